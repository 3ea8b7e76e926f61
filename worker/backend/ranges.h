// SPDX-License-Identifier: MIT
//
// The largest magnitudes that values of a network had, by the values' names: what
// calibrate.c has measured and a backend makes the scales of narrow numbers from.
// Names hold for every size of the network's pictures and every batch.
//
// Not thread-safe: threads have one each and join them.
#ifndef REEL_WORKER_BACKEND_RANGES_H
#define REEL_WORKER_BACKEND_RANGES_H

#include "common/err.h"

struct ranges;

// NOMEM.
enum reel_err ranges_create(struct ranges **out_ranges);
// Accepts &NULL, writes NULL.
void ranges_destroy(struct ranges **ranges);

// The value may be as large as this too; what is no number spoils it for good. NOMEM.
enum reel_err ranges_widen(struct ranges *ranges, const char *name, float magnitude);
// All of `from` into `to`. NOMEM.
enum reel_err ranges_join(struct ranges *to, const struct ranges *from);
// -1: the value is not known, or was not finite. ranges may be NULL.
float ranges_find(const struct ranges *ranges, const char *name);
int ranges_count(const struct ranges *ranges);

#endif

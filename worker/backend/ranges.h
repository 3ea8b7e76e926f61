// SPDX-License-Identifier: MIT
//
// The largest magnitude of each value of a network, by name. calibrate.c measures them; a
// backend derives the scales of narrow number formats from them. The names are valid for
// every picture size and batch.
//
// Not thread-safe: each thread has its own, and they are joined at the end.
#ifndef REEL_WORKER_BACKEND_RANGES_H
#define REEL_WORKER_BACKEND_RANGES_H

#include "common/err.h"

struct ranges;

// NOMEM.
enum reel_err ranges_create(struct ranges **out_ranges);
// Accepts &NULL, writes NULL.
void ranges_destroy(struct ranges **ranges);

// Raises the value's range to at least this magnitude. An infinite value or NaN makes it unknown for good.
// Errors: NOMEM.
enum reel_err ranges_widen(struct ranges *ranges, const char *name, float magnitude);
// Merges `from` into `to`. Errors: NOMEM.
enum reel_err ranges_join(struct ranges *to, const struct ranges *from);
// Returns the magnitude, or -1 if the value is unknown or was not finite. ranges may be
// NULL.
float ranges_find(const struct ranges *ranges, const char *name);
int ranges_count(const struct ranges *ranges);

#endif

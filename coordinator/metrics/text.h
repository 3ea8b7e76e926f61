// SPDX-License-Identifier: MIT
//
// What the metrics' server says: Prometheus' text format (version 0.0.4) and the
// JSON that its page shows. Pure: called by metrics/serve.c with a copy of the board.
#ifndef COORDINATOR_METRICS_TEXT_H
#define COORDINATOR_METRICS_TEXT_H

#include <stddef.h>

#include "coordinator/metrics/board.h"

// Both return a text that the caller frees, NULL without memory. data may hold
// anything: counts are held to the arrays, text ends where its array does.
char *metrics_prometheus(const struct metrics_data *data, size_t *out_bytes);
char *metrics_status(const struct metrics_data *data, size_t *out_bytes);
// The page at "/"; static.
extern const char metrics_page[];

#endif

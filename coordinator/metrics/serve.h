// SPDX-License-Identifier: MIT
//
// The small process that serves --metrics: the coordinator's program in another
// mode, named "metrics". It has the board, read-only, its sockets and no more of
// the run, opens no file once it serves, and ends with the coordinator.
//
// How it is started (metrics.c writes, metrics/serve.c reads):
//   metrics MARK parent board_fd ready_fd ADDR:PORT
// It answers once on ready_fd: "ok PORT", or why it cannot serve.
#ifndef COORDINATOR_METRICS_SERVE_H
#define COORDINATOR_METRICS_SERVE_H

#include <stdbool.h>

#define METRICS_MARK "--serve-metrics"
#define METRICS_ANSWER_BYTES 512

// Whether this is such a start; then *out_code is the exit code.
bool metrics_serve_if_asked(int argc, char **argv, int *out_code);

#endif

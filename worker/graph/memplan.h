// SPDX-License-Identifier: MIT
//
// Memory planning: places intermediate buffers in one arena, so that buffers that are never
// alive at the same time share bytes. Pure: numbers in, offsets out; it knows no graph and
// no device. Backends call it when they compile.
#ifndef REEL_WORKER_GRAPH_MEMPLAN_H
#define REEL_WORKER_GRAPH_MEMPLAN_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

// first and last are step numbers, inclusive: the step that first writes the buffer and the
// last one that reads it. Buffers of 0 bytes take no space. offset is the result.
struct memplan_buffer {
    uint64_t bytes;
    int first, last;
    uint64_t offset;
};

// Assigns offsets that are multiples of align (a power of two): largest buffers first, each
// into the lowest gap that is free during its whole life. The result depends on the
// arguments alone. *out_bytes: size of the arena. Errors: NOMEM, LIMIT (more than 2^62
// bytes).
enum reel_err memplan_assign(struct memplan_buffer *buffers, int count, uint64_t align, uint64_t *out_bytes);

#endif

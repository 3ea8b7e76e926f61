// SPDX-License-Identifier: MIT
//
// Memory planning: where in one arena each intermediate buffer lies, so that
// buffers whose lives do not overlap share bytes. Pure: numbers in, offsets
// out; it knows no graph and no device. Backends call it when they compile.
#ifndef REEL_WORKER_GRAPH_MEMPLAN_H
#define REEL_WORKER_GRAPH_MEMPLAN_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

// first and last are step numbers, both included: the step that writes the
// buffer first and the one that reads it last. A buffer of 0 bytes takes no
// place. offset is the result.
struct memplan_buffer {
    uint64_t bytes;
    int first, last;
    uint64_t offset;
};

// Assigns offsets, multiples of align (a power of two), largest buffers first
// into the lowest gap that holds for their whole life; the result depends on
// the input alone. Returns the arena's size in *out_bytes. NOMEM when the
// planner itself finds no memory, LIMIT when the sum passes 2^62.
enum reel_err memplan_assign(struct memplan_buffer *buffers, int count, uint64_t align, uint64_t *out_bytes);

#endif

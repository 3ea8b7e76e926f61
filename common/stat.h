// SPDX-License-Identifier: MIT
//
// The statistics page: one shared object, one row per process, for progress,
// the report, deadlines and --metrics. Rows are hints: the only decision based
// on them is "this process makes no progress".
//
//   field               writer            reader        order
//   rows[i].*           process i alone   coordinator   each field alone, relaxed
//   magic, rows, bytes  coordinator once  all           before the first spawn
#ifndef REEL_COMMON_STAT_H
#define REEL_COMMON_STAT_H

#include <stdatomic.h>
#include <stdint.h>

#include "common/err.h"

#define REEL_STAT_MAGIC 0x54415453u
#define REEL_STAT_ROWS 512

enum reel_stat_state {
    REEL_STATE_START, // loading
    REEL_STATE_IDLE,  // waiting for messages
    REEL_STATE_BUSY,  // in a frame or a file: progress is expected
};

// One process. Each row has its own two cache lines.
struct reel_stat_row {
    _Alignas(128) _Atomic uint32_t state; // enum reel_stat_state
    _Atomic uint32_t incarnation;
    _Atomic uint64_t progress;  // grows with everything done (packet, frame, message)
    _Atomic uint64_t frames;    // finished by this stage, over all incarnations of the row
    _Atomic uint64_t busy_us;   // time spent working, not waiting
    _Atomic uint64_t run_us;    // worker: inside the network; decoder: in the codec; aggregator: in the encoder
    _Atomic uint64_t bytes_out; // aggregator: written
    _Atomic uint64_t dropped;   // decoder: frames of a live input for which there was no room
    _Atomic uint32_t job;       // being worked on
    _Atomic uint32_t frame;
    _Atomic uint32_t said; // messages sent in all, when it ends by itself; 0 before
};
_Static_assert(sizeof(struct reel_stat_row) == 128, "a row is two cache lines");

struct reel_stat_page {
    uint32_t magic, rows;
    uint64_t bytes;
    struct reel_stat_row row[REEL_STAT_ROWS];
};

// The coordinator makes the page (*out_fd for the children).
enum reel_err reel_stat_create(int *out_fd, struct reel_stat_page **out_page);
enum reel_err reel_stat_attach(int fd, struct reel_stat_page **out_page);

static inline void reel_stat_add(_Atomic uint64_t *field, uint64_t value)
{
    // One writer: a load and a store are enough.
    atomic_store_explicit(field, atomic_load_explicit(field, memory_order_relaxed) + value, memory_order_relaxed);
}

#endif

// SPDX-License-Identifier: MIT
//
// The statistics for --metrics, written by the coordinator once a second and
// read by the small server process, which has access to this object and nothing
// else of the run.
//
//   field   writer             reader              order
//   magic   coordinator once   server at start     before its start
//   turn    coordinator        server              odd while data changes; release, see metrics.c
//   data    coordinator        server, a copy      between two equal, even turns
//
// Names may hold any bytes but NUL.
#ifndef COORDINATOR_METRICS_BOARD_H
#define COORDINATOR_METRICS_BOARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/proto.h"

#define METRICS_MAGIC 0x4452424du
#define METRICS_PROCESSES 512 // = SUPERVISE_MAX
#define METRICS_JOBS 100      // shown by name; all are counted
#define METRICS_NAME_BYTES 256

enum metrics_job_state {
    METRICS_WAITING,
    METRICS_RUNNING, // from its scan to its muxing
    METRICS_DONE,
    METRICS_FAILED,
    METRICS_JOB_STATES,
};

struct metrics_process {
    uint32_t stage, index; // enum reel_stage
    uint32_t up;           // 1: it has said HELLO
    uint32_t restarts;
    int32_t pid;
    uint32_t queue;   // decoder: frames it may write; worker: frames it has; aggregator: frames it was told of
    uint64_t frames;  // finished, over all its lives
    double busy_s;    // worked, over all its lives
    double busy, fps; // of the last seconds: 0 to 1; frames a second
    char device[96];
};

struct metrics_job {
    uint32_t id, state; // enum metrics_job_state
    uint64_t frames;    // committed
    int64_t total;      // -1 unknown
    char doing[16];     // "reading"
    char name[METRICS_NAME_BYTES], error[METRICS_NAME_BYTES];
};

struct metrics_data {
    double start_unix_s, run_s;
    char phase[16];                // "loading", "reading", "running"
    uint64_t frames, frames_total; // of the output, with what earlier runs made; total 0: unknown
    double fps;                    // of the last seconds
    double eta_s;                  // -1 unknown
    uint32_t jobs[METRICS_JOB_STATES];
    uint64_t segments, segments_committed; // of jobs that are scanned
    uint64_t quarantined;
    uint32_t live;    // 1: a live input, whose
    uint64_t dropped; // frames were given up so far, and
    double wait_s;    // others wait so long from decoding to encoding, lately
    uint32_t lanes, lanes_open;
    uint64_t in_flight; // frames between decoder and encoder
    uint64_t bytes_out;
    char bottleneck_stage[32], bottleneck[512]; // "none" before there is one
    uint32_t n_processes, n_jobs;
    struct metrics_process process[METRICS_PROCESSES];
    struct metrics_job job[METRICS_JOBS];
};

struct metrics_board {
    uint32_t magic;
    uint32_t bytes; // of this struct
    _Atomic uint32_t turn;
    struct metrics_data data;
};

#endif

// SPDX-License-Identifier: MIT
//
// --verify: the beginning of one input through the same pipeline once on every
// kind of device that the run would use, and once on one CPU worker in float32;
// then the outputs side by side. Each time is a run of its own (a process forked
// before anything is set up), whose output is written without loss into a folder
// that is gone afterwards; `aggregator --compare` reads them. Called by main.
#ifndef COORDINATOR_VERIFY_H
#define COORDINATOR_VERIFY_H

#include "coordinator/coordinator.h"

#define VERIFY_MOST 16 // kinds of devices, with the reference

// One of the runs. Plain data.
struct verify_case {
    char label[160];
    int backend;      // enum set_backend
    int gpu;          // number of the table, -1: none
    uint32_t workers; // of a CPU backend
    bool reference;
};

// Pure: which runs there are, the reference first, for what the command would
// start (run as command_scale() left it). Returns how many, at most VERIFY_MOST.
uint32_t verify_cases(const struct run *run, struct verify_case out[VERIFY_MOST]);

// Does one run with the given settings, like main's.
typedef int (*verify_work)(struct run *run, const char **words, int n_words);
// Returns the exit code: 0 all within one step of 8 bits, 1 not so or failed,
// 2 wrong usage, 130 interrupted. run has its settings and nothing else.
int verify(const struct run *run, const char **words, int n_words, verify_work work);

#endif

// SPDX-License-Identifier: MIT
//
// Runs the blocks of a kernel on the CPU, one after another, each thread of a
// block as a fiber that runs until it waits at a barrier. Called by the headers
// beside it, which stand in for CUDA's when a .cu file is compiled for the CPU.
// Not thread-safe: one launch at a time in a process.
#ifndef REEL_TESTS_CUDA_CPU_FIBERS_H
#define REEL_TESTS_CUDA_CPU_FIBERS_H

#ifdef __cplusplus
extern "C" {
#endif

struct cuda_cpu_dim {
    unsigned x, y, z;
};

// Of the fiber that runs now.
extern struct cuda_cpu_dim cuda_cpu_thread, cuda_cpu_block, cuda_cpu_block_size, cuda_cpu_grid_size;
// Dynamic shared memory of the block that runs now; garbage at its start.
extern unsigned char *cuda_cpu_shared;

// Calls body(arg) once for every thread of every block. Returns 0, or 1 when
// the sizes are ones that no GPU takes (what cudaErrorInvalidValue stands for).
// Aborts with a text when barriers can never open (a divergent barrier).
int cuda_cpu_launch(struct cuda_cpu_dim grid, struct cuda_cpu_dim block, unsigned long shared_bytes,
                    void (*body)(void *arg), void *arg);

// Barriers of the calling fiber's block and of its warp (32 threads in a row).
void cuda_cpu_sync_block(void);
void cuda_cpu_sync_warp(void);
// All threads of the warp hand in a value and get that of lane `lane`; a lane
// that is not there, or has ended, gives the caller's own.
unsigned long long cuda_cpu_exchange(unsigned long long value, int lane);
// All 32 threads of the warp hand in `bytes` each (at most 64) and get all parts, by
// lane, to be read until the caller's next barrier or call. Aborts when one has ended:
// what a matrix instruction stands for needs them all.
const void *cuda_cpu_hand_in(const void *part, unsigned bytes);
// One bit a live lane: whether its value was not 0.
unsigned cuda_cpu_ballot(int value);

#ifdef __cplusplus
}
#endif
#endif

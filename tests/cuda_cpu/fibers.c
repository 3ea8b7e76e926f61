// SPDX-License-Identifier: MIT
//
// The fibers behind fibers.h. A fiber takes threads of its block one after
// another; only when a thread waits at a barrier does the next fiber begin. So
// a kernel without barriers runs as a plain loop on one fiber.
#include "tests/cuda_cpu/fibers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#define MAX_THREADS 1024 // in a block: every GPU's limit
#define WARP 32
#define PART_BYTES 64
#define STACK_BYTES (128 * 1024)
#define SHARED_BYTES (227 * 1024) // the most a block of sm_90 may ask for

enum state {
    FRESH,       // no thread taken yet, or none left
    RUNS,        // may go on
    WAITS_BLOCK, // at a barrier of the block
    WAITS_WARP,  // at a barrier of the warp
};

struct fiber {
    ucontext_t context;
    char *stack;
    enum state state;
    unsigned thread; // number in the block
};

struct cuda_cpu_dim cuda_cpu_thread, cuda_cpu_block, cuda_cpu_block_size, cuda_cpu_grid_size;
unsigned char *cuda_cpu_shared;

static struct fiber fibers[MAX_THREADS];
static struct fiber *current;
static ucontext_t scheduler;
static unsigned next_thread, n_threads;
static int n_fibers; // begun in this block
static void (*kernel)(void *arg);
static void *kernel_arg;
static unsigned char ended[MAX_THREADS];
static unsigned long long handed[MAX_THREADS];
static unsigned calls[MAX_THREADS]; // of cuda_cpu_hand_in()
static const char *failed;          // why a thread cannot go on

static void die(const char *why)
{
    fprintf(stderr, "cuda_cpu: block %u,%u,%u thread %u: %s\n", cuda_cpu_block.x, cuda_cpu_block.y, cuda_cpu_block.z,
            current ? current->thread : 0, why);
    abort();
}

static void set_thread(unsigned thread)
{
    const struct cuda_cpu_dim size = cuda_cpu_block_size;
    cuda_cpu_thread = (struct cuda_cpu_dim){thread % size.x, thread / size.x % size.y, thread / size.x / size.y};
}

static void fiber_main(void)
{
    struct fiber *self = current;
    for (;;) {
        while (next_thread < n_threads) {
            self->thread = next_thread++;
            self->state = RUNS;
            set_thread(self->thread);
            kernel(kernel_arg);
            ended[self->thread] = 1;
        }
        self->state = FRESH;
        swapcontext(&self->context, &scheduler);
    }
}

static void resume(struct fiber *f)
{
    current = f;
    if (!f->stack) {
        f->stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (f->stack == MAP_FAILED || getcontext(&f->context)) die("no memory for a stack");
        f->context.uc_stack.ss_sp = f->stack;
        f->context.uc_stack.ss_size = STACK_BYTES;
        f->context.uc_link = NULL;
        makecontext(&f->context, fiber_main, 0);
    }
    if (f->state == RUNS) set_thread(f->thread);
    swapcontext(&scheduler, &f->context);
    if (failed) die(failed);
    current = NULL;
}

// die() from within a kernel: on the scheduler's stack, as sanitizers know no other.
static void give_up(const char *why)
{
    failed = why;
    swapcontext(&current->context, &scheduler);
}

static void wait_at(enum state barrier)
{
    struct fiber *self = current;
    if (!self) die("a barrier outside a kernel");
    self->state = barrier;
    swapcontext(&self->context, &scheduler);
    set_thread(self->thread);
}

void cuda_cpu_sync_block(void)
{
    wait_at(WAITS_BLOCK);
}

void cuda_cpu_sync_warp(void)
{
    wait_at(WAITS_WARP);
}

unsigned long long cuda_cpu_exchange(unsigned long long value, int lane)
{
    const unsigned me = current->thread, other = me / WARP * WARP + (unsigned)lane;
    handed[me] = value;
    cuda_cpu_sync_warp();
    const unsigned long long got =
        lane >= 0 && lane < WARP && other < n_threads && !ended[other] ? handed[other] : value;
    cuda_cpu_sync_warp();
    return got;
}

// Two places a warp in turn: when a thread comes to its next call, others may still
// be reading what came with the last one, and none with the one before.
const void *cuda_cpu_hand_in(const void *part, unsigned bytes)
{
    static unsigned char parts[MAX_THREADS / WARP][2][WARP * PART_BYTES];
    const unsigned me = current->thread, warp = me / WARP;
    unsigned char *to = parts[warp][calls[me]++ % 2];
    if (bytes > PART_BYTES) give_up("a part is too large");
    for (unsigned i = 0; i < WARP; i++)
        if (warp * WARP + i >= n_threads || ended[warp * WARP + i]) give_up("a thread of its warp is missing");
    memcpy(to + me % WARP * bytes, part, bytes);
    cuda_cpu_sync_warp();
    return to;
}

unsigned cuda_cpu_ballot(int value)
{
    const unsigned me = current->thread, first = me / WARP * WARP;
    handed[me] = value != 0;
    cuda_cpu_sync_warp();
    unsigned bits = 0;
    for (unsigned i = 0; i < WARP && first + i < n_threads; i++)
        if (!ended[first + i] && handed[first + i]) bits |= 1u << i;
    cuda_cpu_sync_warp();
    return bits;
}

// Opens what barriers it can; false when nothing moved.
static int open_barriers(void)
{
    int waiting_block = 0, live = 0, opened = 0;
    unsigned char warp_live[MAX_THREADS / WARP] = {0}, warp_waits[MAX_THREADS / WARP] = {0};
    for (int i = 0; i < n_fibers; i++) {
        if (fibers[i].state == FRESH) continue;
        live++;
        waiting_block += fibers[i].state == WAITS_BLOCK;
        warp_live[fibers[i].thread / WARP]++;
        warp_waits[fibers[i].thread / WARP] += fibers[i].state == WAITS_WARP;
    }
    for (int i = 0; i < n_fibers; i++) {
        struct fiber *f = &fibers[i];
        const unsigned warp = f->thread / WARP;
        if (f->state == WAITS_WARP && warp_waits[warp] == warp_live[warp]) f->state = RUNS, opened = 1;
        if (f->state == WAITS_BLOCK && waiting_block == live) f->state = RUNS, opened = 1;
    }
    return opened;
}

static void run_block(void)
{
    next_thread = 0;
    n_fibers = 0;
    memset(ended, 0, n_threads);
    memset(calls, 0, sizeof calls);
    for (;;) {
        int ran = 0;
        while (next_thread < n_threads) resume(&fibers[n_fibers++]), ran = 1;
        for (int i = 0; i < n_fibers; i++)
            if (fibers[i].state == RUNS) resume(&fibers[i]), ran = 1;
        int live = 0;
        for (int i = 0; i < n_fibers; i++) live += fibers[i].state != FRESH;
        if (!live) return;
        if (!open_barriers() && !ran) die("its threads wait at different barriers");
    }
}

int cuda_cpu_launch(struct cuda_cpu_dim grid, struct cuda_cpu_dim block, unsigned long shared_bytes,
                    void (*body)(void *arg), void *arg)
{
    const unsigned long threads = (unsigned long)block.x * block.y * block.z;
    if (!threads || threads > MAX_THREADS || block.z > 64 || shared_bytes > SHARED_BYTES) return 1;
    if (!grid.x || !grid.y || !grid.z || grid.x > 0x7fffffff || grid.y > 65535 || grid.z > 65535) return 1;
    if (current) die("a launch inside a kernel");
    // as large as asked for and no larger, so that a sanitizer sees what passes its end
    cuda_cpu_shared = malloc(shared_bytes ? shared_bytes : 1);
    if (!cuda_cpu_shared) return 1;
    cuda_cpu_block_size = block;
    cuda_cpu_grid_size = grid;
    n_threads = (unsigned)threads;
    kernel = body;
    kernel_arg = arg;
    for (unsigned z = 0; z < grid.z; z++)
        for (unsigned y = 0; y < grid.y; y++)
            for (unsigned x = 0; x < grid.x; x++) {
                cuda_cpu_block = (struct cuda_cpu_dim){x, y, z};
                memset(cuda_cpu_shared, 0xff, shared_bytes); // NaN in every float format
                run_block();
            }
    free(cuda_cpu_shared);
    cuda_cpu_shared = NULL;
    return 0;
}

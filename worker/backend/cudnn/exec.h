// SPDX-License-Identifier: MIT
//
// Runs a lowered graph: one interface, two executors. exec_device.c runs it on a GPU,
// exec_host.c with the kernels' C twins in host memory with the same arena layout (fp16 is
// stored as fp16), so that the lowering, layouts, aliasing, order of epilogues and the memory
// plan are tested on machines without a GPU.
#ifndef REEL_WORKER_BACKEND_CUDNN_EXEC_H
#define REEL_WORKER_BACKEND_CUDNN_EXEC_H

#include "worker/backend/cudnn/program.h"

struct exec;

// The memory in which arena.c has placed the buffers.
struct exec_memory {
    char *arena, *constants, *host;
};

// The address of a place; NULL for nowhere.
static inline void *exec_place(const struct lowered *p, const struct exec_memory *m, struct ref r)
{
    if (r.buf < 0) return NULL;
    const struct buf *b = &p->bufs[r.buf];
    if (b->kind == BUF_HOST && b->init) return (char *)b->init + r.offset;
    char *base = b->kind == BUF_ARENA ? m->arena : b->kind == BUF_CONST ? m->constants : m->host;
    return base + b->offset + r.offset;
}

// The rows of a STEP_ROWS whose buffer lies at `base`.
static inline struct backend_rows exec_rows(const struct step_rows *r, char *base)
{
    return (struct backend_rows){.send_up = base + r->send_up,
                                 .send_down = base + r->send_down,
                                 .from_up = base + r->from_up,
                                 .from_down = base + r->from_down,
                                 .bytes = r->bytes};
}

// The tensors of a STEP_RNN.
static inline struct gpu_rnn_data exec_rnn(const struct lowered *p, const struct exec_memory *m, const struct step *s)
{
    return (struct gpu_rnn_data){.xw = exec_place(p, m, s->x),
                                 .r = exec_place(p, m, s->w),
                                 .bias = exec_place(p, m, s->extra[0]),
                                 .peep = exec_place(p, m, s->extra[1]),
                                 .length = exec_place(p, m, s->extra[2]),
                                 .h = exec_place(p, m, s->operand[0]),
                                 .c = exec_place(p, m, s->operand[1]),
                                 .y = exec_place(p, m, s->y),
                                 .last_h = exec_place(p, m, s->operand[2]),
                                 .last_c = exec_place(p, m, s->operand[3])};
}

// Checks that rows can be exchanged if the program does so. Errors: UNSUPPORTED.
static inline enum reel_err exec_check_exchange(const struct lowered *p, const struct backend_params *params)
{
    if (!p->most_rows_bytes || params->exchange) return REEL_OK;
    return reel_fail(REEL_ERR_UNSUPPORTED,
                     "could not compile graph: it is one band of a picture, and no process runs the others");
}

// A step in which the host takes part.
static inline bool exec_for_host(const struct step *s)
{
    return s->kind == STEP_HOST || s->kind == STEP_ROWS || s->kind == STEP_REGIONS;
}

// Returns the end of the steps from `begin` on, at most up to `end`, that a device can be
// given at once, because the host takes no part in them. *out_alone: the first is a step in
// which the host takes part, and the stretch is that one step.
static inline int exec_stretch(const struct lowered *p, int begin, int end, bool *out_alone)
{
    int i = begin;
    while (i < end && !exec_for_host(&p->steps[i])) i++;
    *out_alone = i == begin;
    return i == begin ? begin + 1 : i;
}

struct exec_ops {
    // lowered must stay alive and unchanged until destroy. AGAIN: lower the graph again,
    // without joining in place. Errors: NOMEM, FAULT, UNSUPPORTED.
    enum reel_err (*create)(struct lowered *lowered, const struct backend_params *params, struct exec **out_exec);
    void (*destroy)(struct exec **exec);
    // Copy into or out of a buffer, in order with the steps. src and dst must stay valid
    // until wait().
    enum reel_err (*write)(struct exec *exec, struct ref to, const void *src, size_t bytes);
    enum reel_err (*read)(struct exec *exec, struct ref from, void *dst, size_t bytes);
    // Enqueues steps [begin, end) in order.
    enum reel_err (*run)(struct exec *exec, int begin, int end);
    enum reel_err (*wait)(struct exec *exec);
    // --autotune: measures engines for the program (plan/tune.h), writes the best to a file
    // and a line about each to stdout. NULL: there is nothing to choose. Errors: NOMEM,
    // FAULT, IO.
    enum reel_err (*autotune)(struct exec *exec, const char *file);
    // The address of a buffer, for callers with device memory.
    void *(*at)(struct exec *exec, struct ref r);
    void *(*stream)(struct exec *exec);
    size_t (*memory_bytes)(const struct exec *exec);
    // What was chosen for a step (engine, workspace), "" if nothing was.
    const char *(*note)(const struct exec *exec, int step, char *buf, size_t buf_bytes);
};

extern const struct exec_ops exec_device, exec_host;

#endif

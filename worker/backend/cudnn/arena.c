// SPDX-License-Identifier: MIT
//
// Where the buffers of a lowered graph lie; see steps.h. Constants side by side,
// intermediate results by worker/graph/memplan.
#include <stdlib.h>

#include "worker/backend/cudnn/program.h"
#include "worker/graph/memplan.h"

#define ALIGN 256 // what cudaMalloc gives; cuDNN wants 16

static enum reel_err place_kind(struct lowered *p, enum buf_kind kind, struct memplan_buffer *list, size_t *out_bytes)
{
    int n = 0;
    for (int i = 0; i < p->n_bufs; i++)
        if (p->bufs[i].kind == kind && !(kind == BUF_HOST && p->bufs[i].init))
            list[n++] =
                (struct memplan_buffer){.bytes = p->bufs[i].bytes, .first = p->bufs[i].first, .last = p->bufs[i].last};
    uint64_t bytes = 0;
    enum reel_err err = memplan_assign(list, n, ALIGN, &bytes);
    if (err) return err;
    n = 0;
    for (int i = 0; i < p->n_bufs; i++)
        if (p->bufs[i].kind == kind && !(kind == BUF_HOST && p->bufs[i].init)) p->bufs[i].offset = list[n++].offset;
    *out_bytes = bytes;
    return REEL_OK;
}

enum reel_err gpu_arena_place(struct lowered *p)
{
    struct memplan_buffer *list = calloc((size_t)p->n_bufs + 1, sizeof *list);
    if (!list) return gpu_no_memory(NULL);
    // constants are all alive all the time
    for (int i = 0; i < p->n_bufs; i++)
        if (p->bufs[i].kind == BUF_CONST) {
            p->bufs[i].offset = p->const_bytes;
            p->const_bytes += (p->bufs[i].bytes + ALIGN - 1) / ALIGN * ALIGN;
        }
    enum reel_err err = place_kind(p, BUF_ARENA, list, &p->arena_bytes);
    if (!err) err = place_kind(p, BUF_HOST, list, &p->host_bytes);
    free(list);
    return err;
}

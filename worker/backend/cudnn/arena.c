// SPDX-License-Identifier: MIT
//
// Gives the buffers of a lowered graph their places; see steps.h. Constants lie side by side, intermediate
// results are placed by worker/graph/memplan.
#include <stdlib.h>

#include "worker/backend/cudnn/program.h"
#include "worker/graph/memplan.h"

#define ALIGN 256 // the alignment of cudaMalloc; cuDNN needs 16

// A buffer of its own, or the first of a group.
static bool has_place(const struct buf *b, int i, enum buf_kind kind)
{
    return b->kind == kind && !(kind == BUF_HOST && b->init) && (!b->group || b->group == i + 1);
}

static enum reel_err place_kind(struct lowered *p, enum buf_kind kind, struct memplan_buffer *list, size_t *out_bytes)
{
    int n = 0;
    for (int i = 0; i < p->n_bufs; i++) {
        struct buf *b = &p->bufs[i];
        if (!has_place(b, i, kind)) continue;
        b->offset = (size_t)n; // for its group
        list[n++] = (struct memplan_buffer){.bytes = b->bytes, .first = b->first, .last = b->last};
    }
    for (int i = 0; i < p->n_bufs; i++) {
        const struct buf *b = &p->bufs[i];
        if (b->kind != kind || !b->group) continue;
        struct memplan_buffer *all = &list[p->bufs[b->group - 1].offset];
        if (all->bytes < b->group_at + b->bytes) all->bytes = b->group_at + b->bytes;
        if (all->first > b->first) all->first = b->first;
        if (all->last < b->last) all->last = b->last;
    }
    uint64_t bytes = 0;
    enum reel_err err = memplan_assign(list, n, ALIGN, &bytes);
    if (err) return err;
    n = 0;
    for (int i = 0; i < p->n_bufs; i++)
        if (has_place(&p->bufs[i], i, kind)) p->bufs[i].offset = list[n++].offset;
    for (int i = 0; i < p->n_bufs; i++) {
        struct buf *b = &p->bufs[i];
        if (b->kind == kind && b->group) b->offset = p->bufs[b->group - 1].offset + b->group_at;
    }
    *out_bytes = bytes;
    return REEL_OK;
}

enum reel_err gpu_arena_place(struct lowered *p)
{
    struct memplan_buffer *list = calloc((size_t)p->n_bufs + 1, sizeof *list);
    if (!list) return gpu_no_memory(NULL);
    // constants are alive all the time
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

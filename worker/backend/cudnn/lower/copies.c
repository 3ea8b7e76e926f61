// SPDX-License-Identifier: MIT
//
// Makes one copy of the many small ones that bring what a tail reads to the host (SSDlite: 181
// for scores and masks of 90 classes): their buffers are placed side by side on the device and on
// the host, and the copy stands where the device's stretch of steps ends.
#include <stdlib.h>

#include "worker/backend/cudnn/exec.h"

// Larger ones cost more by their bytes than by being copies.
#define SMALL_BYTES 65536
#define ALIGN 256 // as arena.c aligns buffers

// The list of steps as it becomes.
struct rebuilt {
    struct step *steps;
    int n;
    int *first, *last; // by old step: the new ones that it lies between
    int *pending;      // old steps: copies that are to come
    int n_pending;
};

static bool small_copy(const struct lowered *p, const struct step *s)
{
    if (s->kind != STEP_DOWNLOAD || !s->bytes || s->bytes > SMALL_BYTES || s->x.offset || s->y.offset) return false;
    const struct buf *x = &p->bufs[s->x.buf], *y = &p->bufs[s->y.buf];
    return x->kind == BUF_ARENA && y->kind == BUF_HOST && !y->init && !x->group && !y->group && x->bytes == s->bytes &&
           y->bytes == s->bytes;
}

// Where the device's steps end, or a range of the program or of a piece.
static bool is_end(const struct lowered *p, int i, int end_of_piece)
{
    return i == p->n_steps || i == p->main_begin || i == p->main_end || i == end_of_piece ||
           exec_for_host(&p->steps[i]);
}

// Places buffer i behind those of its group, of which leader is the first.
static void join(struct lowered *p, int i, int leader, size_t at)
{
    p->bufs[i].group = leader + 1;
    p->bufs[i].group_at = at;
}

static void put_copies(struct lowered *p, struct rebuilt *r)
{
    if (!r->n_pending) return;
    struct step all = p->steps[r->pending[0]];
    size_t bytes = 0;
    for (int k = 0; k < r->n_pending; k++) {
        const struct step *s = &p->steps[r->pending[k]];
        r->last[r->pending[k]] = r->n;
        if (r->n_pending > 1) {
            join(p, s->x.buf, all.x.buf, bytes);
            join(p, s->y.buf, all.y.buf, bytes);
        }
        all.bytes = bytes + s->bytes;
        bytes += (s->bytes + ALIGN - 1) / ALIGN * ALIGN;
    }
    r->steps[r->n++] = all;
    r->n_pending = 0;
}

// Whether a copy that waits already writes or reads one of these buffers.
static bool waits(const struct lowered *p, const struct rebuilt *r, const struct step *s)
{
    for (int k = 0; k < r->n_pending; k++)
        if (p->steps[r->pending[k]].x.buf == s->x.buf || p->steps[r->pending[k]].y.buf == s->y.buf) return true;
    return false;
}

static void rebuild(struct lowered *p, struct rebuilt *r)
{
    int end_of_piece = -1;
    for (int i = 0; i < p->n_steps; i++) {
        const struct step *s = &p->steps[i];
        if (is_end(p, i, end_of_piece)) put_copies(p, r);
        if (s->kind == STEP_REGIONS) end_of_piece = gpu_regions_end(s);
        r->first[i] = r->n;
        if (small_copy(p, s) && !waits(p, r, s)) {
            r->pending[r->n_pending++] = i;
            continue;
        }
        r->last[i] = r->n;
        r->steps[r->n++] = *s;
    }
    put_copies(p, r);
    r->first[p->n_steps] = r->last[p->n_steps] = r->n;
}

enum reel_err gpu_join_copies(struct lowered *p)
{
    const size_t n = (size_t)p->n_steps + 1;
    struct rebuilt r = {.steps = malloc(n * sizeof *r.steps)};
    int *index = calloc(3 * n, sizeof *index);
    if (!r.steps || !index) {
        free(r.steps);
        free(index);
        return gpu_no_memory(NULL);
    }
    r.first = index, r.last = index + n, r.pending = index + 2 * n;
    rebuild(p, &r);
    for (int i = 0; i < p->n_bufs; i++) {
        p->bufs[i].first = r.first[p->bufs[i].first];
        p->bufs[i].last = r.last[p->bufs[i].last];
    }
    for (int i = 0; i < p->n_steps; i++) { // later than they stood
        if (p->steps[i].kind != STEP_DOWNLOAD) continue;
        gpu_touch(p, p->steps[i].x, r.last[i]);
        gpu_touch(p, p->steps[i].y, r.last[i]);
    }
    for (int i = 0; i < r.n; i++)
        if (r.steps[i].kind == STEP_REGIONS) gpu_regions_moved(&r.steps[i], r.first);
    p->main_begin = r.first[p->main_begin];
    p->main_end = r.first[p->main_end];
    free(p->steps);
    p->steps = r.steps;
    p->n_steps = r.n, p->cap_steps = (int)n;
    free(index);
    return REEL_OK;
}

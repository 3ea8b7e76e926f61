// SPDX-License-Identifier: MIT
//
// Arithmetic with an operand that is repeated along some axes: the bias of
// attention over all windows, a mask over all heads, a mean of rows. Called by
// elementwise.c for what no tail can do (the result's shape, one element a channel).
#include <string.h>

#include "worker/backend/onednn/lower/attention.h"

// Shorter runs cost more by the piece than the reference takes.
#define SHORTEST 16
// As in elementwise.c: within the first-level cache.
#define PIECE 4096

struct broadcast_job {
    const struct broadcast *w;
    const struct conv_kernels *k;
    struct conv_epilogue e;
    const float *src, *other;
    float *dst;
};

static int64_t other_at(const struct broadcast *w, int64_t run)
{
    int64_t at = 0;
    for (int i = w->n - 2; i >= 0; i--) {
        at += run % w->size[i] * w->other_step[i];
        run /= w->size[i];
    }
    return at;
}

void broadcast_apply(const struct broadcast *w, const struct conv_kernels *k, const struct conv_epilogue *e,
                     const float *other, float *x, int64_t at, int64_t count)
{
    const int64_t length = w->size[w->n - 1], along = w->other_step[w->n - 1];
    for (int64_t end = at + count, n; at < end; at += n, x += n) {
        const int64_t run = at / length, from = at % length;
        n = length - from < end - at ? length - from : end - at;
        if (n > PIECE) n = PIECE;
        struct conv_epilogue first = {.n = 1, .step = {w->step}};
        first.step[0].data = other + other_at(w, run) + along * from;
        k->apply_plain(&first, x, 0, 0, 0, n);
        k->apply_plain(e, x, (size_t)at, 0, 0, n);
    }
}

static void broadcast_units(void *job, int begin, int end, int thread)
{
    const struct broadcast_job *j = job;
    const struct broadcast *w = j->w;
    const int64_t length = w->size[w->n - 1];
    for (int u = begin; u < end; u++) {
        const int64_t from = u % w->pieces * PIECE, at = u / w->pieces * length + from;
        const int64_t n = length - from < PIECE ? length - from : PIECE;
        if (j->src != j->dst) memcpy(j->dst + at, j->src + at, (size_t)n * sizeof(float));
        broadcast_apply(w, j->k, &j->e, j->other, j->dst + at, at, n);
    }
}

static enum reel_err run_broadcast(struct program *p, struct step *s)
{
    const struct broadcast *w = s->data;
    struct broadcast_job job = {
        w, p->k, bind_tail(p, &w->tail), form_at(p, &w->src), form_at(p, &w->other), form_at(p, &w->dst)};
    int64_t units = w->pieces;
    for (int i = 0; i < w->n - 1; i++) units *= w->size[i];
    pool_run(p->pool, broadcast_units, &job, (int)units);
    return REEL_OK;
}

const struct broadcast *broadcast_of(const struct step *s)
{
    return s->run == run_broadcast ? s->data : NULL;
}

// Fills the axes; false when other does not fit out, or runs are short.
static bool axes_of(const struct info *other, const struct info *out, struct broadcast *w)
{
    const int shift = out->shape.ndim - other->shape.ndim;
    if (shift < 0) return false;
    int64_t step[REEL_MAX_DIMS] = {0}, floats = 1;
    for (int i = out->shape.ndim - 1; i >= shift; i--) {
        const int64_t have = other->shape.dim[i - shift];
        if (have != 1 && have != out->shape.dim[i]) return false;
        step[i] = have == 1 ? 0 : floats;
        floats *= have;
    }
    for (int i = 0; i < out->shape.ndim; i++) {
        const int64_t size = out->shape.dim[i];
        if (size == 1) continue;
        const int last = w->n - 1;
        if (last >= 0 && w->other_step[last] == size * step[i]) {
            w->size[last] *= size;
            w->other_step[last] = step[i];
        } else {
            w->size[w->n] = size;
            w->other_step[w->n++] = step[i];
        }
    }
    if (w->n < 1 || w->size[w->n - 1] < SHORTEST) return false;
    w->pieces = (w->size[w->n - 1] + PIECE - 1) / PIECE;
    return out->count < INT32_MAX;
}

enum reel_err lower_broadcast(struct program *p, const struct node *node, enum conv_step_kind kind,
                              const struct value *main, const struct value *other, bool *out_done)
{
    struct info *o = info_of(p, other), *out = info_of(p, node->out[0]);
    struct broadcast w = {.tail = {.layout = LAYOUT_PLAIN, .no_channels = true}};
    if (o->dtype != REEL_F32 || o->count < 1 || !axes_of(o, out, &w)) return REEL_OK;
    w.step.kind = w.other_step[w.n - 1] ? kind : conv_step_of_channel(kind);
    if (!conv_step_full(kind) || w.step.kind == CONV_SLOPE) return REEL_OK;
    enum reel_err err = need_form(p, main, LAYOUT_PLAIN, &w.src);
    if (!err) err = need_form(p, other, LAYOUT_PLAIN, &w.other);
    if (!err) err = take_form(p, out->v, LAYOUT_PLAIN, &w.src, 1, &w.dst);
    struct step *s = err ? NULL : add_step(p, node, "broadcast", run_broadcast, sizeof w);
    if (!s) return err ? err : no_memory(node);
    *(struct broadcast *)s->data = w;
    s->tail = &((struct broadcast *)s->data)->tail;
    touch(p, &w.src, p->n_steps - 1);
    touch(p, &w.other, p->n_steps - 1);
    touch(p, &w.dst, p->n_steps - 1);
    *out_done = true;
    return REEL_OK;
}

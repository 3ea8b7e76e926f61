// SPDX-License-Identifier: MIT
//
// Transpose of plain tensors that comes down to swapping two axes behind a
// batch. Called by image.c for what is no change of an image's layout.
#include "worker/backend/onednn/program.h"

struct swap {
    struct form src, dst;
    int batches, rows, columns;
};

struct swap_job {
    const struct swap *s;
    const float *src;
    float *dst;
};

static void swap_units(void *job, int begin, int end, int thread)
{
    const struct swap_job *j = job;
    plain_transpose(j->s->rows, j->s->columns, j->src, j->dst, begin, end);
}

static enum reel_err run_swap(struct program *p, struct step *s)
{
    const struct swap *w = s->data;
    struct swap_job job = {w, form_at(p, &w->src), form_at(p, &w->dst)};
    pool_run(p->pool, swap_units, &job, w->batches * ((w->rows + 63) / 64));
    return REEL_OK;
}

// A Transpose that, axes of extent 1 and axes that stay together apart, swaps
// two axes behind a batch; false for others.
static bool as_swap(const struct node *node, const struct info *in, struct swap *w)
{
    const int64_t *given;
    const int nd = in->shape.ndim, n = node_attr_ints(node, "perm", &given);
    int64_t perm[REEL_MAX_DIMS], size[REEL_MAX_DIMS];
    int runs = 0, last = -2;
    for (int i = 0; i < nd; i++) {
        const int64_t axis = n ? given[i] : nd - 1 - i;
        if (axis < 0 || axis >= nd) return false;
        if (in->shape.dim[axis] == 1) continue;
        // axes of extent 1 between two others do not part them
        int next = last + 1;
        while (last >= 0 && next < nd && in->shape.dim[next] == 1) next++;
        if (last >= 0 && axis == next) {
            size[runs - 1] *= in->shape.dim[axis];
        } else {
            perm[runs] = axis;
            size[runs++] = in->shape.dim[axis];
        }
        last = (int)axis;
    }
    *w = (struct swap){.batches = 1};
    int at = 0;
    if (runs == 3 && perm[0] < perm[2] && perm[2] < perm[1]) {
        if (size[0] > INT32_MAX / 64) return false;
        w->batches = (int)size[0];
        at = 1;
    } else if (runs != 2 || perm[1] > perm[0]) {
        return false;
    }
    if (size[at] > INT32_MAX / 2 || size[at + 1] > INT32_MAX / 2) return false;
    w->columns = (int)size[at];
    w->rows = (int)size[at + 1];
    return (int64_t)w->batches * ((w->rows + 63) / 64) < INT32_MAX;
}

enum reel_err lower_swap(struct program *p, const struct node *node, bool *out_done)
{
    const struct info *in = info_of(p, node->in[0]), *out = info_of(p, node->out[0]);
    struct swap w;
    if (in->dtype != REEL_F32 || out->dtype != REEL_F32 || in->count < 1 || node->n_epilogue || !as_swap(node, in, &w))
        return REEL_OK;
    enum reel_err err = need_form(p, node->in[0], LAYOUT_PLAIN, &w.src);
    if (!err) err = make_form(p, node->out[0], LAYOUT_PLAIN, &w.dst);
    struct step *s = err ? NULL : add_step(p, node, "swap axes", run_swap, sizeof w);
    if (!s) return err ? err : no_memory(node);
    *(struct swap *)s->data = w;
    touch(p, &w.src, p->n_steps - 1);
    touch(p, &w.dst, p->n_steps - 1);
    *out_done = true;
    return REEL_OK;
}

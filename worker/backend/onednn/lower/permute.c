// SPDX-License-Identifier: MIT
//
// Transpose of plain tensors. Called by image.c for what is no change of an
// image's layout.
#include "worker/backend/onednn/program.h"

struct permute {
    struct form src, dst;
    struct plain_permute axes;
};

struct permute_job {
    const struct plain_permute *axes;
    const float *src;
    float *dst;
};

static void permute_units(void *job, int begin, int end, int thread)
{
    const struct permute_job *j = job;
    plain_permute(j->axes, j->src, j->dst, begin, end);
}

static enum reel_err run_permute(struct program *p, struct step *s)
{
    const struct permute *w = s->data;
    struct permute_job job = {&w->axes, form_at(p, &w->src), form_at(p, &w->dst)};
    pool_run(p->pool, permute_units, &job, plain_permute_units(&w->axes));
    return REEL_OK;
}

// The axes of the result; those of one element are left out, those that stay
// together are one. False when there is nothing to move, or too much.
static bool axes_of(const struct node *node, const struct info *in, struct plain_permute *axes)
{
    const int64_t *given;
    const int nd = in->shape.ndim, n = node_attr_ints(node, "perm", &given);
    size_t step[REEL_MAX_DIMS], floats = 1;
    for (int i = nd - 1; i >= 0; floats *= (size_t)in->shape.dim[i--]) step[i] = floats;
    *axes = (struct plain_permute){0};
    for (int i = 0; i < nd; i++) {
        const int64_t axis = n ? given[i] : nd - 1 - i;
        if (axis < 0 || axis >= nd) return false;
        const size_t size = (size_t)in->shape.dim[axis];
        if (size == 1) continue;
        const int last = axes->n - 1;
        if (last >= 0 && axes->step[last] == size * step[axis]) {
            axes->size[last] *= size;
            axes->step[last] = step[axis];
            continue;
        }
        if (axes->n == PLAIN_MOST_AXES) return false;
        axes->size[axes->n] = size;
        axes->step[axes->n++] = step[axis];
    }
    return axes->n > 1 && floats < INT32_MAX;
}

enum reel_err lower_permute(struct program *p, const struct node *node, bool *out_done)
{
    const struct info *in = info_of(p, node->in[0]), *out = info_of(p, node->out[0]);
    struct permute w;
    if (in->dtype != REEL_F32 || out->dtype != REEL_F32 || in->count < 1 || node->n_epilogue ||
        !axes_of(node, in, &w.axes))
        return REEL_OK;
    enum reel_err err = need_form(p, node->in[0], LAYOUT_PLAIN, &w.src);
    if (!err) err = make_form(p, node->out[0], LAYOUT_PLAIN, &w.dst);
    struct step *s = err ? NULL : add_step(p, node, "permute", run_permute, sizeof w);
    if (!s) return err ? err : no_memory(node);
    *(struct permute *)s->data = w;
    touch(p, &w.src, p->n_steps - 1);
    touch(p, &w.dst, p->n_steps - 1);
    *out_done = true;
    return REEL_OK;
}

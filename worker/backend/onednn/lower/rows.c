// SPDX-License-Identifier: MIT
//
// LayerNormalization and Softmax over the last axes of plain tensors: runs of
// rows, shared out among the threads.
#include <string.h>

#include "kernels/rows.h"
#include "worker/backend/onednn/lower/attention.h"

// Elements of a unit of work.
#define UNIT 16384

struct rows_job {
    const struct rows *r;
    const float *src;
    float *dst;
};

static void rows_units(void *job, int begin, int end, int thread)
{
    const struct rows_job *j = job;
    const struct rows *r = j->r;
    const int64_t first = begin * r->unit, last = end * r->unit < r->rows ? end * r->unit : r->rows;
    const float *src = j->src + first * r->n;
    float *dst = j->dst + first * r->n;
    const size_t count = (size_t)(last - first), n = (size_t)r->n;
    if (r->softmax)
        rows_softmax(src, dst, count, n);
    else
        rows_layer_norm(src, dst, count, n, r->epsilon, r->scale, r->shift);
}

static enum reel_err run_rows(struct program *p, struct step *s)
{
    const struct rows *r = s->data;
    struct rows_job job = {r, form_at(p, &r->src), form_at(p, &r->dst)};
    pool_run(p->pool, rows_units, &job, (int)((r->rows + r->unit - 1) / r->unit));
    return REEL_OK;
}

const struct rows *rows_of(const struct step *s)
{
    return s->run == run_rows ? s->data : NULL;
}

static enum reel_err emit(struct program *p, const struct node *node, struct rows *r, const char *kernel,
                          bool *out_done)
{
    r->unit = r->n < UNIT ? UNIT / r->n : 1;
    if (r->rows / r->unit >= INT32_MAX) return REEL_OK;
    enum reel_err err = need_form(p, node->in[0], LAYOUT_PLAIN, &r->src);
    if (!err) err = take_form(p, node->out[0], LAYOUT_PLAIN, &r->src, 1, &r->dst);
    info_of(p, node->out[0])->step = -1; // nothing is appended
    struct step *s = err ? NULL : add_step(p, node, kernel, run_rows, sizeof *r);
    if (!s) return err ? err : no_memory(node);
    *(struct rows *)s->data = *r;
    touch(p, &r->src, p->n_steps - 1);
    touch(p, &r->dst, p->n_steps - 1);
    *out_done = true;
    return finish_epilogue(p, node, 0);
}

// A constant of the row's length, or none; false when it is something else.
static bool row_constant(struct program *p, const struct node *node, int i, int64_t n, const float **out)
{
    *out = NULL;
    if (i >= node->n_in || !node->in[i]) return true;
    const struct info *c = info_of(p, node->in[i]);
    *out = c->form[LAYOUT_PLAIN].constant;
    return *out && c->dtype == REEL_F32 && c->count == n;
}

enum reel_err lower_rows(struct program *p, const struct node *node, bool *out_done)
{
    struct rows r = {.softmax = !strcmp(node->op_type, "Softmax")};
    if (!r.softmax && strcmp(node->op_type, "LayerNormalization")) return REEL_OK;
    const struct info *in = info_of(p, node->in[0]), *out = info_of(p, node->out[0]);
    const int nd = in->shape.ndim;
    if (in->dtype != REEL_F32 || out->dtype != REEL_F32 || in->count < 1 || nd < 1) return REEL_OK;
    int64_t axis = node_attr_int(node, "axis", r.softmax && node->opset < 13 ? 1 : -1);
    if (axis < 0) axis += nd;
    if (axis < 0 || axis >= nd) return REEL_OK;
    r.n = 1;
    for (int i = (int)axis; i < nd; i++) r.n *= in->shape.dim[i];
    r.rows = in->count / r.n;
    if (r.softmax) {
        // before opset 13 the axes from `axis` on are one
        if (node->opset >= 13 && r.n != in->shape.dim[axis]) return REEL_OK;
        return emit(p, node, &r, "softmax", out_done);
    }
    for (int i = 1; i < node->n_out; i++)
        if (node->out[i] && info_of(p, node->out[i])->uses) return REEL_OK;
    r.epsilon = node_attr_float(node, "epsilon", 1e-5f);
    if (!row_constant(p, node, 1, r.n, &r.scale) || !row_constant(p, node, 2, r.n, &r.shift) || !r.scale)
        return REEL_OK;
    return emit(p, node, &r, "layer norm", out_done);
}

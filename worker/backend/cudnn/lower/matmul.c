// SPDX-License-Identifier: MIT
//
// MatMul and Gemm become cuDNN products in the program's float type if the extents are whole vectors,
// otherwise an own kernel. Gathering by computed indices is here too.
#include <stdlib.h>
#include <string.h>

#include "worker/backend/cudnn/program.h"

// The extents in front of a product's matrices. An operand without one of them is repeated along it.
struct leads {
    int n;
    int64_t extent[REEL_MAX_DIMS];
    bool has[2][REEL_MAX_DIMS]; // whether x and w have it
};

// y (batches,m,k) = x (batches,m,c) w (batches,c,k), with strides as in gpu_matmul.
struct product {
    const struct node *node;
    const struct info *x, *w, *y;
    struct gpu_matmul g;
    const float *bias;          // one number a column
    const struct value *addend; // Gemm's C if it is no such bias
    float beta;
    bool x_shared; // the same matrix x for all batches
    struct leads leads;
    bool copied[2]; // x, w: copied once for each batch
    bool column;    // w is a vector, so the result has no extent for its columns
};

#define MOST (INT32_MAX / 4)
#define COPIED_MOST (1 << 27) // largest number of elements that are copied for a faster engine

// The matrices of an operand. A vector is one row of x, or one column of w.
static struct reel_shape as_matrices(const struct reel_shape *s, bool column)
{
    if (s->ndim != 1) return *s;
    return (struct reel_shape){.ndim = 2, .dim = {column ? s->dim[0] : 1, column ? 1 : s->dim[0]}};
}

// Merges extents in front of the matrices if they are neighbours and the same operands have them.
static bool leads_of(const struct reel_shape *a, const struct reel_shape *b, struct leads *l)
{
    const int nd = a->ndim > b->ndim ? a->ndim : b->ndim;
    *l = (struct leads){0};
    for (int d = 0; d < nd - 2; d++) {
        const int da = d - (nd - a->ndim), db = d - (nd - b->ndim);
        const int64_t x = da < 0 ? 1 : a->dim[da], w = db < 0 ? 1 : b->dim[db];
        if (x != w && x != 1 && w != 1) return false;
        if (x == 1 && w == 1) continue;
        const bool has[2] = {x > 1, w > 1};
        const bool same = l->n && l->has[0][l->n - 1] == has[0] && l->has[1][l->n - 1] == has[1];
        if (!same) l->extent[l->n++] = 1;
        l->has[0][l->n - 1] = has[0], l->has[1][l->n - 1] = has[1];
        l->extent[l->n - 1] *= x > w ? x : w;
    }
    return true;
}

// Whether an operand has some of the leading extents but not all: then it is copied.
static bool repeats(const struct leads *l, int operand)
{
    bool some = false, all = true;
    for (int i = 0; i < l->n; i++) some |= l->has[operand][i], all &= l->has[operand][i];
    return some && !all;
}

static bool open_matmul(const struct lowered *p, struct product *j)
{
    const struct reel_shape a = as_matrices(&j->x->shape, false), b = as_matrices(&j->w->shape, true);
    if (a.ndim < 2 || b.ndim < 2 || !leads_of(&a, &b, &j->leads)) return false;
    struct leads *l = &j->leads;
    const int64_t c = a.dim[a.ndim - 1], k = b.dim[b.ndim - 1];
    int64_t m = a.dim[a.ndim - 2], batches = 1;
    // matrices of x by one of w are one with more rows; but of one matrix for all the
    // images stay apart: the engine that cuDNN picks for one image serves every batch
    while (l->n && !l->has[1][l->n - 1]) {
        const int64_t keep = l->n == 1 && a.dim[0] > 1 && a.ndim > 2 ? a.dim[0] : 1;
        m *= l->extent[l->n - 1] / keep;
        l->extent[l->n - 1] = keep;
        if (keep > 1) break;
        l->n--;
    }
    for (int i = 0; i < l->n; i++) batches *= l->extent[i];
    if (m > MOST || c > MOST || k > MOST || batches > 65535 || b.dim[b.ndim - 2] != c) return false;
    const bool whole = gpu_product_is_whole(p, (int)batches, m, c, k);
    for (int i = 0; i < 2; i++) j->copied[i] = repeats(l, i);
    // cuDNN's engines read no matrix twice
    if (l->n == 1 && !l->has[0][0] && whole && !p->own_matmul && batches * m <= COPIED_MOST / c) j->copied[0] = true;
    j->g = (struct gpu_matmul){.batches = (int)batches, .m = (int)m, .c = (int)c, .k = (int)k, .alpha = 1};
    j->g.x_batch = j->copied[0] || (l->n && l->has[0][0]) ? m * c : 0;
    j->g.w_batch = j->copied[1] || (l->n && l->has[1][0]) ? c * k : 0;
    j->g.y_batch = m * k;
    j->g.x_row = c, j->g.x_col = 1;
    j->g.w_row = k, j->g.w_col = 1;
    j->x_shared = batches > 1 && !j->g.x_batch;
    j->column = j->w->shape.ndim == 1;
    return true;
}

// Copies an operand's matrices, `size` elements each, so that there is one for each of the result's.
static enum reel_err repeat(struct lowered *p, const struct product *j, int operand, int64_t size, enum gpu_elem elem,
                            struct ref *at)
{
    const struct leads *l = &j->leads;
    struct move m = MOVE_NONE;
    struct ref to;
    int64_t src = size, dst = size;
    m.n = l->n + 1;
    m.extent[l->n] = size, m.src[l->n] = m.dst[l->n] = 1;
    for (int i = l->n - 1; i >= 0; i--) {
        m.extent[i] = l->extent[i];
        m.dst[i] = dst;
        m.src[i] = l->has[operand][i] ? src : 0;
        dst *= l->extent[i];
        if (l->has[operand][i]) src *= l->extent[i];
    }
    enum reel_err err = gpu_make_temporary(p, (size_t)dst * gpu_elem_bytes(elem), &to);
    if (!err) err = gpu_emit_move(p, j->node, "repeat", &m, *at, elem, to, elem);
    *at = to;
    return err;
}

static bool open_gemm(struct lowered *p, const struct node *node, struct product *j)
{
    const struct reel_shape *a = &j->x->shape, *b = &j->w->shape;
    if (a->ndim != 2 || b->ndim != 2 || node->opset < 7) return false;
    const bool ta = node_attr_int(node, "transA", 0) != 0, tb = node_attr_int(node, "transB", 0) != 0;
    const int64_t m = a->dim[ta], c = a->dim[!ta], k = b->dim[!tb];
    if (m > MOST || c > MOST || k > MOST) return false;
    j->g = (struct gpu_matmul){.batches = 1, .m = (int)m, .c = (int)c, .k = (int)k};
    j->g.alpha = node_attr_float(node, "alpha", 1);
    j->g.x_row = ta ? 1 : c, j->g.x_col = ta ? m : 1;
    j->g.w_row = tb ? 1 : k, j->g.w_col = tb ? c : 1;
    if (node->n_in < 3 || !node->in[2]) return true;
    const struct info *bias = info_of(p, node->in[2]);
    const float *f = gpu_const_floats(p, node->in[2]), beta = node_attr_float(node, "beta", 1);
    j->beta = beta;
    const bool row = bias->shape.ndim >= 1 && bias->count == k && bias->shape.dim[bias->shape.ndim - 1] == k;
    if (!f || (bias->count != 1 && !row)) {
        j->addend = beta != 0 ? node->in[2] : NULL;
        return bias->dtype == REEL_F32 && bias->count > 0;
    }
    float *all = gpu_lower_alloc(p, (size_t)k * sizeof *all);
    for (int64_t i = 0; all && i < k; i++) all[i] = beta * f[bias->count == 1 ? 0 : i];
    j->bias = all;
    return all != NULL;
}

// A constant w in the layout (C,K), multiplied by alpha.
static enum reel_err constant_w(struct lowered *p, struct product *j, enum gpu_elem elem, struct ref *out_ref)
{
    const float *f = gpu_const_floats(p, j->w->v);
    const int64_t c = j->g.c, k = j->g.k, n = j->w->count;
    float *m = malloc((size_t)(n ? n : 1) * sizeof *m);
    if (!f || !m) {
        free(m);
        return gpu_no_memory(j->node);
    }
    for (int64_t b = 0; b < n / (c * k); b++)
        for (int64_t i = 0; i < c; i++)
            for (int64_t o = 0; o < k; o++)
                m[(b * c + i) * k + o] = j->g.alpha * f[b * j->g.w_batch + i * j->g.w_row + o * j->g.w_col];
    enum reel_err err = gpu_make_constant_floats(p, m, n, n, elem, out_ref);
    free(m);
    j->g.w_row = k, j->g.w_col = 1;
    j->g.alpha = 1;
    return err;
}

#define FEW_ROWS 64

bool gpu_product_is_whole(const struct lowered *p, int batches, int64_t m, int64_t c, int64_t k)
{
    const int vector = 16 / (int)gpu_elem_bytes(p->low);
    // from sm_80 on run-time compiled engines take 16-bit numbers in pairs, as SwinIR's 180
    // channels; images that run one at a time must begin at whole vectors all the same
    if (p->sm >= 80 && vector == 8 && c % 2 == 0 && k % 2 == 0)
        return batches == 1 || (m * c % vector == 0 && m * k % vector == 0 && c * k % vector == 0);
    return c % vector == 0 && k % vector == 0;
}

// Whether cuDNN computes it.
static bool for_cudnn(const struct lowered *p, const struct product *j)
{
    const struct gpu_matmul *g = &j->g;
    const bool rows = g->x_col == 1 && (j->w->v->constant || g->w_col == 1);
    // the rows of a flat matrix may be images; if there are few, they are not given to an engine,
    // because engines are chosen by the number of rows
    const bool images = j->x->shape.ndim <= 2 && g->m < FEW_ROWS;
    return rows && !images && gpu_product_is_whole(p, g->batches, g->m, g->c, g->k) && !j->x_shared &&
           (j->w->v->constant || g->alpha == 1);
}

// Computes y + beta C.
static enum reel_err add_addend(struct lowered *p, const struct product *j)
{
    struct pointwise plan = {.main = j->node->out[0]};
    if (!j->addend) return REEL_OK;
    const bool one = j->beta == 1;
    if ((!one && !gpu_pointwise_step(&plan, GPU_OP_AFFINE, 1 / j->beta, 0)) ||
        !gpu_pointwise_operand(p, &plan, GPU_OP_ADD, j->addend) ||
        (!one && !gpu_pointwise_step(&plan, GPU_OP_AFFINE, j->beta, 0)))
        return reel_fail(REEL_ERR_FAULT, "could not compile node \"%s\": its addend does not fit", j->node->name);
    return gpu_pointwise_onto(p, j->node, "add", &plan, j->node->out[0]);
}

static struct gpu_pattern pattern_of(const struct lowered *p, const struct product *j)
{
    struct gpu_pattern g = gpu_pattern_make(GPU_MATMUL, j->g.c, j->g.m, 1, j->g.k, 1, 1);
    g.n = j->g.batches;
    g.w_batched = j->g.batches > 1 && j->g.w_batch;
    g.x_type = g.w_type = g.y_type = p->low == GPU_ELEM_F32 ? GPU_F32 : p->low == GPU_ELEM_F16 ? GPU_F16 : GPU_BF16;
    g.allow_tf32 = p->allow_tf32;
    return g;
}

enum reel_err gpu_lower_matmul(struct lowered *p, const struct node *node, bool *out_done)
{
    if ((!node_is(node, "MatMul") && !node_is(node, "Gemm")) || node->n_in < 2 || !node->out[0]) return REEL_OK;
    struct product j = {.node = node, .x = info_of(p, node->in[0]), .w = info_of(p, node->in[1])};
    j.y = info_of(p, node->out[0]);
    if (j.x->dtype != REEL_F32 || j.w->dtype != REEL_F32) return REEL_OK;
    if (gpu_only_on_host(p, node->in[node->in[0]->constant ? 1 : 0])) return REEL_OK;
    if (node_is(node, "Gemm") ? !open_gemm(p, node, &j) : !open_matmul(p, &j)) return REEL_OK;
    const bool plan = for_cudnn(p, &j) && !p->own_matmul;
    struct ref x, w, y, operand[GPU_OPERANDS];
    for (int i = 0; i < GPU_OPERANDS; i++) operand[i] = REF_NONE;
    int left = 0;
    struct gpu_pattern pattern = pattern_of(p, &j);
    // an own kernel reads the operands as they are
    const bool x_low = plan || node->in[0]->constant || gpu_has_form(j.x, FORM_LOW);
    const enum form_kind x_form = x_low ? FORM_LOW : FORM_PLAIN;
    const enum form_kind w_form = plan || gpu_has_form(j.w, FORM_LOW) ? FORM_LOW : FORM_PLAIN;
    enum reel_err err = gpu_need_form(p, node->in[0], x_form, &x);
    j.g.x_elem = gpu_form_elem(p, j.x, p->low == GPU_ELEM_F32 ? FORM_PLAIN : x_form);
    j.g.w_elem = node->in[1]->constant ? p->low : gpu_form_elem(p, j.w, p->low == GPU_ELEM_F32 ? FORM_PLAIN : w_form);
    if (!err) err = node->in[1]->constant ? constant_w(p, &j, p->low, &w) : gpu_need_form(p, node->in[1], w_form, &w);
    if (!err && j.copied[0]) err = repeat(p, &j, 0, (int64_t)j.g.m * j.g.c, (enum gpu_elem)j.g.x_elem, &x);
    if (!err && j.copied[1]) err = repeat(p, &j, 1, (int64_t)j.g.c * j.g.k, (enum gpu_elem)j.g.w_elem, &w);
    // the chain counts (batches x m) rows of k channels: true when y is that
    // what comes behind an addend is not in it
    if (!err && !j.addend && !j.column) err = gpu_build_chain(p, node, j.y, true, j.bias, &j.g.chain, operand, &left);
    if (err) return err;
    const bool fused = plan && gpu_pattern_chain(&pattern, &j.g.chain) && !gpu_pattern_check(&pattern);
    j.g.y_elem = p->low;
    err = gpu_make_form(p, node->out[0], FORM_LOW, &y);
    struct step *s = err ? NULL : gpu_add_step(p, fused ? STEP_PLAN : STEP_MATMUL, node, fused ? "plan" : "product");
    if (!s) return err ? err : gpu_no_memory(node);
    s->pattern = pattern;
    s->u.matmul = j.g;
    s->x = x;
    s->w = w;
    s->y = y;
    memcpy(s->operand, operand, sizeof operand);
    gpu_touch_last(p);
    *out_done = true;
    err = add_addend(p, &j);
    return err ? err : gpu_finish_epilogue(p, node, left);
}

// ---- gathering ---------------------------------------------------------------------------

// The indices in 64 bits.
static enum reel_err need_long(struct lowered *p, const struct node *node, const struct value *v, struct ref *out_ref)
{
    const struct info *i = info_of(p, v);
    struct ref narrow;
    struct move m = MOVE_NONE;
    if (i->dtype == REEL_I64) return gpu_need_form(p, v, FORM_PLAIN, out_ref);
    m.n = 1;
    m.extent[0] = i->count, m.src[0] = m.dst[0] = 1;
    enum reel_err err = gpu_need_form(p, v, FORM_PLAIN, &narrow);
    if (!err) err = gpu_make_temporary(p, (size_t)i->count * sizeof(int64_t), out_ref);
    return err ? err : gpu_emit_move(p, node, "indices", &m, narrow, GPU_ELEM_I32, *out_ref, GPU_ELEM_I64);
}

enum reel_err gpu_lower_gather(struct lowered *p, const struct node *node, bool *out_done)
{
    if (!node_is(node, "Gather") || node->n_in != 2 || !node->in[0] || !node->in[1] || !node->out[0]) return REEL_OK;
    const struct info *in = info_of(p, node->in[0]), *index = info_of(p, node->in[1]);
    if ((index->dtype != REEL_I64 && index->dtype != REEL_I32) || node->in[1]->constant || in->shape.ndim < 1)
        return REEL_OK;
    if (gpu_has_form(index, FORM_HOST) && !gpu_has_form(index, FORM_PLAIN)) return REEL_OK;
    int64_t axis = node_attr_int(node, "axis", 0);
    if (axis < 0) axis += in->shape.ndim;
    struct gpu_gather g = {.outer = 1, .axis = in->shape.dim[axis], .inner = 1, .n_index = index->count};
    for (int d = 0; d < axis; d++) g.outer *= in->shape.dim[d];
    for (int d = (int)axis + 1; d < in->shape.ndim; d++) g.inner *= in->shape.dim[d];
    struct ref x, w, y;
    enum reel_err err = gpu_need_form(p, node->in[0], FORM_PLAIN, &x);
    if (!err) err = need_long(p, node, node->in[1], &w);
    if (!err) err = gpu_make_form(p, node->out[0], FORM_PLAIN, &y);
    struct step *s = err ? NULL : gpu_add_step(p, STEP_GATHER, node, "gather");
    if (!s) return err ? err : gpu_no_memory(node);
    g.elem_bytes = (int)reel_dtype_bytes(in->dtype);
    s->u.gather = g;
    s->x = x;
    s->w = w;
    s->y = y;
    gpu_touch_last(p);
    *out_done = true;
    return REEL_OK;
}

// SPDX-License-Identifier: MIT
//
// Einsum: two operands at a time are laid out as matrices - labels of both that stay,
// labels of one, labels that are summed - and multiplied; what stands right already is
// not moved. And com.microsoft's FusedMatMul, and the product both come to.
#include <stdlib.h>
#include <string.h>

#include "worker/backend/cudnn/program.h"
#include "worker/onnx/ops/einsum.h"

// ---- a product -------------------------------------------------------------------------

// The rows of one matrix may be images. If there are few, they are not given to an engine, because engines
// are chosen by the number of rows.
#define FEW_ROWS 64

static enum gpu_type type_of(enum gpu_elem e)
{
    return e == GPU_ELEM_F32 ? GPU_F32 : e == GPU_ELEM_F16 ? GPU_F16 : GPU_BF16;
}

static bool for_cudnn(const struct lowered *p, const struct gpu_matmul *g, struct gpu_pattern *out)
{
    const bool dense_x =
        g->x_col == 1 && g->x_row == g->c && g->x_batch == (g->batches > 1 ? g->y_batch / g->k * g->c : 0);
    const bool dense_w = g->w_col == 1 && g->w_row == g->k && (!g->w_batch || g->w_batch == (int64_t)g->c * g->k);
    if (!dense_x || !dense_w || g->alpha != 1 || p->own_matmul) return false;
    if (!gpu_product_is_whole(p, g->batches, g->m, g->c, g->k)) return false;
    *out = gpu_pattern_make(GPU_MATMUL, g->c, g->m, 1, g->k, 1, 1);
    out->n = g->batches;
    out->w_batched = g->batches > 1 && g->w_batch;
    out->x_type = out->w_type = out->y_type = type_of(p->low);
    out->allow_tf32 = p->allow_tf32;
    return !gpu_pattern_check(out);
}

enum reel_err gpu_emit_product(struct lowered *p, const struct gpu_product *r)
{
    struct step s = gpu_step_of(STEP_MATMUL, "product");
    struct gpu_matmul *g = &s.u.matmul;
    const bool dense = !r->x_row && !r->x_col, dense_w = !r->w_row && !r->w_col;
    *g = (struct gpu_matmul){.x_elem = p->low, .w_elem = p->low, .y_elem = p->low};
    g->batches = r->batches, g->m = r->m, g->c = r->c, g->k = r->k;
    g->x_batch = dense ? (int64_t)r->m * r->c : r->x_batch;
    g->x_row = dense ? r->c : r->x_row, g->x_col = dense ? 1 : r->x_col;
    g->w_batch = dense_w ? (int64_t)r->c * r->k : r->w_batch;
    g->w_row = dense_w ? r->k : r->w_row, g->w_col = dense_w ? 1 : r->w_col;
    if (r->batches == 1) g->x_batch = g->w_batch = 0;
    g->y_batch = (int64_t)r->m * r->k;
    g->alpha = r->alpha == 0 ? 1 : r->alpha;
    s.x = r->x, s.w = r->w, s.y = r->y;
    if (!(r->flat && g->m < FEW_ROWS) && for_cudnn(p, g, &s.pattern)) s.kind = STEP_PLAN, s.label = "plan";
    return gpu_put_step(p, &s, r->node);
}

// ---- FusedMatMul -----------------------------------------------------------------------

// The shape (..., rows, columns) and the number of matrices in it.
struct matrices {
    int64_t n, rows, columns;
};

static struct matrices matrices_of(const struct info *i)
{
    const int nd = i->shape.ndim;
    struct matrices m = {1, i->shape.dim[nd - 2], i->shape.dim[nd - 1]};
    for (int d = 0; d < nd - 2; d++) m.n *= i->shape.dim[d];
    return m;
}

static bool same_lead(const struct info *a, const struct info *b)
{
    if (a->shape.ndim != b->shape.ndim) return false;
    for (int d = 0; d < a->shape.ndim - 2; d++)
        if (a->shape.dim[d] != b->shape.dim[d]) return false;
    return true;
}

static enum reel_err lower_fused(struct lowered *p, const struct node *node, bool *out_done)
{
    const struct info *a = info_of(p, node->in[0]), *b = info_of(p, node->in[1]);
    if (a->dtype != REEL_F32 || b->dtype != REEL_F32 || a->shape.ndim < 2 || b->shape.ndim < 2) return REEL_OK;
    if (node_attr_int(node, "transBatchA", 0) || node_attr_int(node, "transBatchB", 0)) return REEL_OK;
    const bool ta = node_attr_int(node, "transA", 0) != 0, tb = node_attr_int(node, "transB", 0) != 0;
    const struct matrices ma = matrices_of(a), mb = matrices_of(b);
    struct gpu_product g = {.node = node, .alpha = node_attr_float(node, "alpha", 1)};
    const int64_t m = ta ? ma.columns : ma.rows, c = ta ? ma.rows : ma.columns, k = tb ? mb.rows : mb.columns;
    const int64_t batches = ma.n > mb.n ? ma.n : mb.n, most = INT32_MAX / 4;
    const bool fits = mb.n == 1   ? b->shape.ndim <= a->shape.ndim
                      : ma.n == 1 ? a->shape.ndim <= b->shape.ndim
                                  : same_lead(a, b);
    if (!fits || g.alpha == 0 || m > most || c > most || k > most || batches > 65535 ||
        c != (tb ? mb.columns : mb.rows))
        return REEL_OK;
    g.batches = (int)batches, g.m = (int)m, g.c = (int)c, g.k = (int)k;
    g.flat = a->shape.ndim == 2;
    g.x_batch = ma.n == 1 ? 0 : m * c, g.x_row = ta ? 1 : c, g.x_col = ta ? m : 1;
    g.w_batch = mb.n == 1 ? 0 : c * k, g.w_row = tb ? 1 : k, g.w_col = tb ? c : 1;
    enum reel_err err = gpu_need_form(p, node->in[0], FORM_LOW, &g.x);
    if (!err) err = gpu_need_form(p, node->in[1], FORM_LOW, &g.w);
    if (!err) err = gpu_make_form(p, node->out[0], FORM_LOW, &g.y);
    *out_done = true;
    return err ? err : gpu_emit_product(p, &g);
}

// ---- Einsum ----------------------------------------------------------------------------

typedef uint64_t label_set;

// An operand or an intermediate result, addressed by strides of its labels: 0 for labels that it lacks or
// repeats.
struct factor {
    label_set has;
    struct ref at;
    enum gpu_elem elem;
    int64_t stride[EINSUM_LABELS];
};

struct order {
    int n;
    int label[EINSUM_LABELS];
};

struct contraction {
    struct lowered *p;
    const struct node *node;
    struct einsum e;
};

// The labels of a set: first those of the result, in its order, then the others.
static void append(const struct contraction *c, struct order *o, label_set set)
{
    for (int i = 0; i < c->e.out.n; i++)
        if (set >> c->e.out.label[i] & 1)
            o->label[o->n++] = c->e.out.label[i], set &= ~(UINT64_C(1) << c->e.out.label[i]);
    for (int i = 0; i < EINSUM_LABELS; i++)
        if (set >> i & 1) o->label[o->n++] = i;
}

static int64_t volume(const struct contraction *c, const struct order *o)
{
    int64_t n = 1;
    for (int i = 0; i < o->n; i++) n *= c->e.extent[o->label[i]];
    return n;
}

static label_set set_of(const struct einsum_term *t)
{
    label_set set = 0;
    for (int i = 0; i < t->n; i++) set |= UINT64_C(1) << t->label[i];
    return set;
}

// A repeated label means a diagonal, so its strides add up.
static enum reel_err open_factor(const struct contraction *c, int i, struct factor *f)
{
    const struct value *v = c->node->in[i];
    const struct info *info = info_of(c->p, v);
    struct view view;
    enum reel_err err = gpu_need_view(c->p, v, &view);
    *f = (struct factor){.has = set_of(&c->e.in[i]), .at = view.at, .elem = view.elem};
    for (int d = 0; d < info->shape.ndim && !err; d++)
        if (info->shape.dim[d] != 1) f->stride[c->e.in[i].label[d]] += view.stride[d];
    return err;
}

static bool is_dense(const struct contraction *c, const struct factor *f, const struct order *o)
{
    int64_t step = 1;
    for (int i = o->n - 1; i >= 0; i--) {
        if (c->e.extent[o->label[i]] != 1 && f->stride[o->label[i]] != step) return false;
        step *= c->e.extent[o->label[i]];
    }
    return f->elem == c->p->low;
}

// Makes f lie in rows of that order; it is copied if it does not.
static enum reel_err lay_out(const struct contraction *c, const struct factor *f, const struct order *o,
                             struct ref *out)
{
    *out = f->at;
    if (is_dense(c, f, o)) return REEL_OK;
    struct move m = MOVE_NONE;
    int64_t step = 1;
    m.n = o->n;
    for (int i = o->n - 1; i >= 0; i--) {
        m.extent[i] = c->e.extent[o->label[i]];
        m.src[i] = f->stride[o->label[i]];
        m.dst[i] = step;
        step *= m.extent[i];
    }
    enum reel_err err = gpu_make_temporary(c->p, (size_t)step * gpu_elem_bytes(c->p->low), out);
    return err ? err : gpu_emit_move(c->p, c->node, "lay out", &m, f->at, f->elem, *out, c->p->low);
}

static void set_dense(const struct contraction *c, struct factor *f, const struct order *o, struct ref at)
{
    int64_t step = 1;
    *f = (struct factor){.at = at, .elem = c->p->low};
    for (int i = o->n - 1; i >= 0; i--) {
        f->has |= UINT64_C(1) << o->label[i];
        f->stride[o->label[i]] = c->e.extent[o->label[i]] == 1 ? 0 : step;
        step *= c->e.extent[o->label[i]];
    }
}

// Sums f over the labels that are not kept.
static enum reel_err sum_out(const struct contraction *c, struct factor *f, label_set keep)
{
    struct order kept = {0}, all, sums = {0};
    struct step s = gpu_step_of(STEP_REDUCE, "sum");
    if (!(f->has & ~keep)) return REEL_OK;
    append(c, &kept, f->has & keep);
    append(c, &sums, f->has & ~keep);
    all = kept;
    append(c, &all, f->has & ~keep);
    const int64_t rows = volume(c, &kept), n = volume(c, &sums);
    enum reel_err err = lay_out(c, f, &all, &s.x);
    if (!err) err = gpu_make_temporary(c->p, (size_t)rows * gpu_elem_bytes(c->p->low), &s.y);
    s.u.reduce = (struct gpu_reduce){.kind = GPU_REDUCE_SUM,
                                     .src_elem = c->p->low,
                                     .dst_elem = c->p->low,
                                     .outer = rows,
                                     .reduce = n,
                                     .inner = 1,
                                     .src_outer = n,
                                     .src_reduce = 1,
                                     .src_inner = 1,
                                     .dst_outer = 1,
                                     .dst_inner = 1,
                                     .mean_outer_div = 1,
                                     .mean_inner_div = 1,
                                     .scale = 1};
    if (!err) err = gpu_put_step(c->p, &s, c->node);
    if (!err) set_dense(c, f, &kept, s.y);
    return err;
}

static bool is_result(const struct contraction *c, const struct order *o)
{
    bool same = o->n == c->e.out.n;
    for (int i = 0; i < o->n && same; i++) same = o->label[i] == c->e.out.label[i];
    return same;
}

// Computes z = a b, summed over the labels that are not kept. The first label that only a has becomes a
// batch of products if there is no other batch, so that images stay apart, whatever engine multiplies them.
static enum reel_err contract(const struct contraction *c, struct factor *a, struct factor *b, label_set keep,
                              bool last, struct factor *z)
{
    enum reel_err err = sum_out(c, a, keep | b->has);
    if (!err) err = sum_out(c, b, keep | a->has);
    if (err) return err;
    const label_set both = a->has & b->has;
    struct order batch = {0}, rows = {0}, cols = {0}, inner = {0}, oa, ob = {0}, oz;
    append(c, &batch, both & keep);
    append(c, &rows, a->has & ~b->has);
    append(c, &cols, b->has & ~a->has);
    append(c, &inner, both & ~keep);
    oa = oz = batch;
    append(c, &oa, a->has & ~b->has), append(c, &oa, both & ~keep);
    append(c, &oz, a->has & ~b->has), append(c, &oz, b->has & ~a->has);
    append(c, &ob, both & keep), append(c, &ob, both & ~keep), append(c, &ob, b->has & ~a->has);
    struct gpu_product g = {.node = c->node};
    int64_t batches = volume(c, &batch), m = volume(c, &rows);
    const bool images = batch.n == 0 && rows.n > 1 && c->e.extent[rows.label[0]] <= 65535;
    if (images) batches = c->e.extent[rows.label[0]], m /= batches;
    g.batches = (int)batches, g.m = (int)m, g.c = (int)volume(c, &inner), g.k = (int)volume(c, &cols);
    g.flat = batch.n == 0 && !images;
    if (images) g.w_row = g.k, g.w_col = 1; // the same matrix for all images
    err = lay_out(c, a, &oa, &g.x);
    if (!err) err = lay_out(c, b, &ob, &g.w);
    if (!err && last && is_result(c, &oz))
        err = gpu_make_form(c->p, c->node->out[0], FORM_LOW, &g.y);
    else if (!err)
        err = gpu_make_temporary(c->p, (size_t)volume(c, &oz) * gpu_elem_bytes(c->p->low), &g.y);
    if (!err) err = gpu_emit_product(c->p, &g);
    if (!err) set_dense(c, z, &oz, g.y);
    return err;
}

// Brings the result into its order and form.
static enum reel_err give(const struct contraction *c, const struct factor *f)
{
    struct view y;
    struct move m = MOVE_NONE;
    enum reel_err err = gpu_make_view(c->p, c->node->out[0], FORM_LOW, &y);
    m.n = c->e.out.n;
    for (int i = 0; i < m.n && !err; i++) {
        m.extent[i] = c->e.extent[c->e.out.label[i]];
        m.src[i] = f->stride[c->e.out.label[i]];
        m.dst[i] = y.stride[i];
    }
    return err ? err : gpu_emit_move(c->p, c->node, "give", &m, f->at, f->elem, y.at, y.elem);
}

static enum reel_err contract_all(const struct contraction *c)
{
    const label_set out = set_of(&c->e.out);
    struct factor acc, next, z;
    enum reel_err err = open_factor(c, 0, &acc);
    for (int i = 1; i < c->e.n_in && !err; i++) {
        label_set keep = out;
        for (int k = i + 1; k < c->e.n_in; k++) keep |= set_of(&c->e.in[k]);
        err = open_factor(c, i, &next);
        if (!err) err = contract(c, &acc, &next, keep, i == c->e.n_in - 1, &z);
        acc = z;
    }
    if (err || gpu_has_form(info_of(c->p, c->node->out[0]), c->p->low == GPU_ELEM_F32 ? FORM_PLAIN : FORM_LOW))
        return err; // the last product has written it
    err = sum_out(c, &acc, out);
    return err ? err : give(c, &acc);
}

static bool set_fits(const struct contraction *c, label_set set, int64_t most)
{
    int64_t n = 1;
    int labels = 0;
    for (int i = 0; i < EINSUM_LABELS; i++) {
        if (!(set >> i & 1)) continue;
        if (c->e.extent[i] < 1 || __builtin_mul_overflow(n, c->e.extent[i], &n) || n > most) return false;
        labels++;
    }
    return labels <= GPU_DIMS;
}

// Whether all products and copies have sizes that the kernels accept.
static bool fits(const struct contraction *c)
{
    const int64_t most = INT32_MAX / 4;
    label_set acc = set_of(&c->e.in[0]);
    for (int i = 1; i < c->e.n_in; i++) {
        label_set keep = set_of(&c->e.out), next = set_of(&c->e.in[i]);
        for (int k = i + 1; k < c->e.n_in; k++) keep |= set_of(&c->e.in[k]);
        if (!set_fits(c, acc, most) || !set_fits(c, next, most)) return false;
        acc &= keep | next, next &= keep | acc;
        if (!set_fits(c, acc & next & keep, 65535)) return false;
        acc = (acc | next) & keep;
        if (!set_fits(c, acc, most)) return false;
    }
    return set_fits(c, acc, most) && set_fits(c, set_of(&c->e.out), most);
}

static enum reel_err lower_einsum(struct lowered *p, const struct node *node, bool *out_done)
{
    struct contraction c = {.p = p, .node = node};
    struct reel_shape shape;
    struct reel_tensor *t = gpu_lower_alloc(p, (size_t)node->n_in * sizeof *t);
    const struct reel_tensor **list = gpu_lower_alloc(p, (size_t)node->n_in * sizeof *list);
    if (!t || !list) return gpu_no_memory(node);
    for (int i = 0; i < node->n_in; i++) {
        const struct info *in = node->in[i] ? info_of(p, node->in[i]) : NULL;
        if (!in || in->dtype != REEL_F32) return REEL_OK;
        t[i] = (struct reel_tensor){.dtype = in->dtype, .shape = in->shape};
        list[i] = &t[i];
    }
    const struct op_call call = {.node = node, .opset = node->opset, .n_in = node->n_in, .in = list};
    enum reel_err err = einsum_open(&call, &c.e, &shape);
    if (err || !c.e.in || !fits(&c)) {
        free(c.e.in);
        return err;
    }
    *out_done = true;
    err = contract_all(&c);
    free(c.e.in);
    return err;
}

enum reel_err gpu_lower_einsum(struct lowered *p, const struct node *node, bool *out_done)
{
    if (node->n_in < 1 || node->n_out != 1 || !node->in[0] || !node->out[0] || node->n_epilogue) return REEL_OK;
    if (gpu_only_on_host(p, node->in[0])) return REEL_OK;
    if (node_is(node, "FusedMatMul") && node->n_in == 2 && node->in[1]) return lower_fused(p, node, out_done);
    return node_is(node, "Einsum") ? lower_einsum(p, node, out_done) : REEL_OK;
}

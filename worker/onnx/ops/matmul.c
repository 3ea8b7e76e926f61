// SPDX-License-Identifier: MIT
//
// Matrix products: MatMul, Gemm, MatMulInteger, Einsum, Det, com.microsoft's
// FusedMatMul; the table also lists the attention operators of attention.c.
//
// Called through the operator table. All products end in kernels/gemm.h, which
// takes strides, so that no transposed copy is made.
#include "worker/onnx/ops/matmul.h"

#include "kernels/gemm.h"

enum reel_err mat_mul(enum reel_dtype dtype, int64_t m, int64_t n, int64_t k, struct mat a, struct mat b, void *c,
                      int64_t c_row, bool accumulate)
{
    bool ok = false;
    switch (dtype) {
    case REEL_F32:
        ok = gemm_f32(m, n, k, a.p, a.row, a.col, b.p, b.row, b.col, c, c_row, accumulate);
        break;
    case REEL_F64:
        ok = gemm_f64(m, n, k, a.p, a.row, a.col, b.p, b.row, b.col, c, c_row, accumulate);
        break;
    case REEL_I32:
    case REEL_U32:
        ok = gemm_u32(m, n, k, a.p, a.row, a.col, b.p, b.row, b.col, c, c_row, accumulate);
        break;
    case REEL_I64:
    case REEL_U64:
        ok = gemm_u64(m, n, k, a.p, a.row, a.col, b.p, b.row, b.col, c, c_row, accumulate);
        break;
    default:
        return reel_fail(REEL_ERR_UNSUPPORTED, "the type %s is not supported", reel_dtype_name(dtype));
    }
    return ok ? REEL_OK : reel_fail(REEL_ERR_NOMEM, "no memory for the packed matrices");
}

// The type a product of stored elements is computed in.
static enum reel_dtype product_dtype(enum reel_dtype stored)
{
    switch (stored) {
    case REEL_I32:
    case REEL_U32:
    case REEL_I64:
    case REEL_U64:
        return stored;
    default:
        return work_dtype(stored);
    }
}

// ---- MatMul -------------------------------------------------------------

enum reel_err mat_plan_open(const struct reel_shape *a, const struct reel_shape *b, struct mat_plan *plan,
                            struct reel_shape *out_shape)
{
    *plan = (struct mat_plan){0};
    *out_shape = shape_unknown();
    if (a->ndim == 0 || b->ndim == 0) return reel_fail(REEL_ERR_INPUT, "an operand is a scalar");
    if (a->ndim < 0 || b->ndim < 0) return REEL_OK;
    struct reel_shape sa = {.ndim = a->ndim > 2 ? a->ndim - 2 : 0}, sb = {.ndim = b->ndim > 2 ? b->ndim - 2 : 0};
    for (int i = 0; i < sa.ndim; i++) sa.dim[i] = a->dim[i];
    for (int i = 0; i < sb.ndim; i++) sb.dim[i] = b->dim[i];
    enum reel_err err = op_broadcast(&sa, &sb, out_shape);
    if (err) return err;
    plan->m = a->ndim > 1 ? a->dim[a->ndim - 2] : 1;
    plan->k = a->dim[a->ndim - 1];
    plan->n = b->ndim > 1 ? b->dim[b->ndim - 1] : 1;
    int64_t k = b->dim[b->ndim > 1 ? b->ndim - 2 : 0];
    if (k >= 0 && plan->k >= 0 && k != plan->k)
        return reel_fail(REEL_ERR_INPUT, "the inner extents are %lld and %lld", (long long)plan->k, (long long)k);
    plan->nb = out_shape->ndim;
    plan->batches = reel_shape_count(out_shape);
    int64_t unit_a = 1, unit_b = 1;
    for (int i = plan->nb - 1, at = 1; i >= 0; i--, at++) {
        int64_t da = at <= sa.ndim ? sa.dim[sa.ndim - at] : 1, db = at <= sb.ndim ? sb.dim[sb.ndim - at] : 1;
        plan->extent[i] = out_shape->dim[i];
        plan->a_step[i] = da == 1 ? 0 : unit_a;
        plan->b_step[i] = db == 1 ? 0 : unit_b;
        if (da < 0 || db < 0) continue; // not usable anyway
        unit_a *= da;
        unit_b *= db;
    }
    if (a->ndim > 1) out_shape->dim[out_shape->ndim++] = plan->m;
    if (b->ndim > 1) out_shape->dim[out_shape->ndim++] = plan->n;
    return REEL_OK;
}

void mat_plan_at(const struct mat_plan *plan, int64_t i, int64_t *out_a, int64_t *out_b)
{
    *out_a = *out_b = 0;
    for (int d = plan->nb - 1; d >= 0; d--) {
        int64_t at = i % plan->extent[d];
        i /= plan->extent[d];
        *out_a += at * plan->a_step[d];
        *out_b += at * plan->b_step[d];
    }
}

// FusedMatMul's attributes; MatMul has none of them.
struct fused {
    bool trans_a, trans_b;
    double alpha;
};

static struct fused fused_attrs(const struct op_call *call)
{
    return (struct fused){node_attr_int(call->node, "transA", 0) != 0, node_attr_int(call->node, "transB", 0) != 0,
                          node_attr_float(call->node, "alpha", 1.0f)};
}

static struct reel_shape swap_last(struct reel_shape s, bool swap)
{
    if (!swap || s.ndim < 2) return s;
    int64_t t = s.dim[s.ndim - 1];
    s.dim[s.ndim - 1] = s.dim[s.ndim - 2];
    s.dim[s.ndim - 2] = t;
    return s;
}

static enum reel_err matmul_plan(const struct op_call *call, struct mat_plan *plan, struct reel_shape *out_shape)
{
    if (node_attr_int(call->node, "transBatchA", 0) || node_attr_int(call->node, "transBatchB", 0))
        return reel_fail(REEL_ERR_UNSUPPORTED, "transBatchA and transBatchB are not supported");
    struct fused f = fused_attrs(call);
    struct reel_shape a = swap_last(call->in[0]->shape, f.trans_a), b = swap_last(call->in[1]->shape, f.trans_b);
    return mat_plan_open(&a, &b, plan, out_shape);
}

static enum reel_err matmul_infer(const struct op_call *call)
{
    if (!inputs_given(call, 2)) return REEL_ERR_INPUT;
    struct mat_plan plan;
    struct reel_shape shape = {0};
    enum reel_err err = matmul_plan(call, &plan, &shape);
    if (err) return err;
    infer_out(call, 0, call->in[0]->dtype, &shape);
    return REEL_OK;
}

static const void *element_at(const void *p, int64_t i, enum reel_dtype dtype)
{
    return (const char *)p + (size_t)i * reel_dtype_bytes(dtype);
}

static enum reel_err matmul_run(const struct mat_plan *plan, struct fused f, const struct work *a, const struct work *b,
                                struct work *y)
{
    int64_t a_size = plan->m * plan->k, b_size = plan->k * plan->n, c_size = plan->m * plan->n;
    bool b_shared = !f.trans_a, dense = true;
    int64_t unit = 1;
    for (int i = plan->nb - 1; i >= 0; i--) {
        if (plan->b_step[i]) b_shared = false;
        if (plan->extent[i] != 1 && plan->a_step[i] != unit) dense = false;
        unit *= plan->extent[i];
    }
    struct mat ma = {a->p, f.trans_a ? 1 : plan->k, f.trans_a ? plan->m : 1};
    struct mat mb = {b->p, f.trans_b ? 1 : plan->n, f.trans_b ? plan->k : 1};
    if (b_shared && dense) // one B for all: one tall product
        return mat_mul(y->dtype, plan->m * plan->batches, plan->n, plan->k, ma, mb, y->p, plan->n, false);
    enum reel_err err = REEL_OK;
    for (int64_t i = 0; !err && i < plan->batches; i++) {
        int64_t at_a, at_b;
        mat_plan_at(plan, i, &at_a, &at_b);
        ma.p = element_at(a->p, at_a * a_size, y->dtype);
        mb.p = element_at(b->p, at_b * b_size, y->dtype);
        err = mat_mul(y->dtype, plan->m, plan->n, plan->k, ma, mb, (void *)element_at(y->p, i * c_size, y->dtype),
                      plan->n, false);
    }
    return err;
}

// y = y * factor in floating point; integers go through double.
static void scale_all(struct work *y, int64_t n, double factor)
{
    if (factor == 1.0) return;
    for (int64_t i = 0; i < n; i++) {
        if (y->dtype == REEL_F32) {
            ((float *)y->p)[i] *= (float)factor;
        } else if (y->dtype == REEL_F64) {
            ((double *)y->p)[i] *= factor;
        } else {
            void *p = (void *)element_at(y->p, i, y->dtype);
            double v;
            reel_convert(&v, REEL_F64, p, y->dtype, 1);
            v *= factor;
            reel_convert(p, y->dtype, &v, REEL_F64, 1);
        }
    }
}

static enum reel_err matmul_eval(const struct op_call *call)
{
    if (!inputs_given(call, 2)) return REEL_ERR_INPUT;
    struct mat_plan plan;
    struct reel_shape shape = {0};
    enum reel_err err = matmul_plan(call, &plan, &shape);
    if (err || !call_out(call, 0)) return err;
    struct fused f = fused_attrs(call);
    enum reel_dtype dtype = product_dtype(call->in[0]->dtype);
    struct work a = {0}, b = {0}, y = {0};
    err = op_alloc_out(call, 0, call->in[0]->dtype, &shape);
    if (!err) err = work_in(&a, call->in[0], dtype);
    if (!err) err = work_in(&b, call->in[1], dtype);
    if (!err) err = work_out(&y, call->out[0], dtype);
    if (!err) err = matmul_run(&plan, f, &a, &b, &y);
    if (!err) {
        scale_all(&y, reel_shape_count(&shape), f.alpha);
        work_commit(&y);
    }
    work_fini(&a), work_fini(&b), work_fini(&y);
    return err;
}

// ---- MatMulInteger ------------------------------------------------------

static enum reel_err matmul_integer_infer(const struct op_call *call)
{
    if (!inputs_given(call, 2)) return REEL_ERR_INPUT;
    struct mat_plan plan;
    struct reel_shape shape = {0};
    enum reel_err err = mat_plan_open(&call->in[0]->shape, &call->in[1]->shape, &plan, &shape);
    if (err) return err;
    infer_out(call, 0, REEL_I32, &shape);
    return REEL_OK;
}

// Subtracts a zero point: one element, one per row (rows) or column of each
// matrix, or one per row or column of every matrix.
static enum reel_err subtract_zero(int32_t *p, int64_t matrices, int64_t m, int64_t n, const struct reel_tensor *zero,
                                   bool rows)
{
    if (!zero) return REEL_OK;
    int64_t count = reel_tensor_count(zero), along = rows ? m : n;
    if (count != 1 && count != along && count != along * matrices)
        return reel_fail(REEL_ERR_INPUT, "a zero point has %lld elements", (long long)count);
    for (int64_t i = 0; i < matrices * m * n; i++) {
        int64_t at = rows ? i / n % m : i % n;
        if (count == 1) at = 0;
        if (count != 1 && count != along) at += i / (m * n) * along;
        p[i] -= (int32_t)op_scalar_int(zero, at);
    }
    return REEL_OK;
}

static enum reel_err matmul_integer_eval(const struct op_call *call)
{
    if (!inputs_given(call, 2)) return REEL_ERR_INPUT;
    struct mat_plan plan;
    struct reel_shape shape = {0};
    enum reel_err err = mat_plan_open(&call->in[0]->shape, &call->in[1]->shape, &plan, &shape);
    if (err || !call_out(call, 0)) return err;
    struct work a = {0}, b = {0}, y = {0};
    err = op_alloc_out(call, 0, REEL_I32, &shape);
    if (!err) err = work_in(&a, call->in[0], REEL_I32);
    if (!err) err = work_in(&b, call->in[1], REEL_I32);
    if (!err) err = work_out(&y, call->out[0], REEL_I32);
    int64_t a_size = plan.m * plan.k, b_size = plan.k * plan.n;
    if (!err && a_size)
        err = subtract_zero(a.p, reel_tensor_count(call->in[0]) / a_size, plan.m, plan.k, call_in(call, 2), true);
    if (!err && b_size)
        err = subtract_zero(b.p, reel_tensor_count(call->in[1]) / b_size, plan.k, plan.n, call_in(call, 3), false);
    if (!err) err = matmul_run(&plan, (struct fused){.alpha = 1.0}, &a, &b, &y);
    work_fini(&a), work_fini(&b), work_fini(&y);
    return err;
}

// ---- Gemm ---------------------------------------------------------------

static enum reel_err gemm_shape(const struct op_call *call, struct reel_shape *out_shape, int64_t *out_k)
{
    struct fused f = fused_attrs(call);
    struct reel_shape a = swap_last(call->in[0]->shape, f.trans_a), b = swap_last(call->in[1]->shape, f.trans_b);
    if ((a.ndim >= 0 && a.ndim != 2) || (b.ndim >= 0 && b.ndim != 2))
        return reel_fail(REEL_ERR_INPUT, "the operands have ranks %d and %d, not 2", a.ndim, b.ndim);
    *out_shape = (struct reel_shape){2, {a.ndim == 2 ? a.dim[0] : -1, b.ndim == 2 ? b.dim[1] : -1}};
    int64_t ka = a.ndim == 2 ? a.dim[1] : -1, kb = b.ndim == 2 ? b.dim[0] : -1;
    if (ka >= 0 && kb >= 0 && ka != kb)
        return reel_fail(REEL_ERR_INPUT, "the inner extents are %lld and %lld", (long long)ka, (long long)kb);
    *out_k = ka;
    return REEL_OK;
}

static enum reel_err gemm_infer(const struct op_call *call)
{
    if (!inputs_given(call, 2)) return REEL_ERR_INPUT;
    struct reel_shape shape = {0};
    int64_t k;
    enum reel_err err = gemm_shape(call, &shape, &k);
    if (err) return err;
    infer_out(call, 0, call->in[0]->dtype, &shape);
    return REEL_OK;
}

// y = alpha y + beta c, c broadcast to (m,n).
static enum reel_err gemm_add(struct work *y, int64_t m, int64_t n, const struct reel_tensor *c, double beta)
{
    int64_t rows = c->shape.ndim > 1 ? c->shape.dim[0] : 1, cols = c->shape.ndim ? c->shape.dim[c->shape.ndim - 1] : 1;
    if (c->shape.ndim > 2 || (rows != 1 && rows != m) || (cols != 1 && cols != n))
        return reel_fail(REEL_ERR_INPUT, "C does not broadcast to %lldx%lld", (long long)m, (long long)n);
    struct work w = {0}, copy = {.dtype = y->dtype};
    enum reel_err err = work_in(&w, c, y->dtype);
    if (!err && beta != 1.0) { // scaled in a copy: the input stays as it is
        copy.p = copy.owned = work_alloc(rows * cols, reel_dtype_bytes(y->dtype));
        if (!copy.p) err = REEL_ERR_NOMEM;
        if (!err) memcpy(copy.p, w.p, (size_t)(rows * cols) * reel_dtype_bytes(y->dtype));
        if (!err) scale_all(&copy, rows * cols, beta);
    }
    const void *p = copy.p ? copy.p : w.p;
    for (int64_t i = 0; !err && i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            int64_t at = (rows == 1 ? 0 : i) * cols + (cols == 1 ? 0 : j), to = i * n + j;
            if (y->dtype == REEL_F32)
                ((float *)y->p)[to] += ((const float *)p)[at];
            else if (y->dtype == REEL_F64)
                ((double *)y->p)[to] += ((const double *)p)[at];
            else if (reel_dtype_bytes(y->dtype) == 4)
                ((uint32_t *)y->p)[to] += ((const uint32_t *)p)[at];
            else
                ((uint64_t *)y->p)[to] += ((const uint64_t *)p)[at];
        }
    work_fini(&w), work_fini(&copy);
    return err;
}

static enum reel_err gemm_eval(const struct op_call *call)
{
    if (!inputs_given(call, 2)) return REEL_ERR_INPUT;
    struct reel_shape shape = {0};
    int64_t k = 0;
    enum reel_err err = gemm_shape(call, &shape, &k);
    if (err || !call_out(call, 0)) return err;
    struct fused f = fused_attrs(call);
    double beta = node_attr_float(call->node, "beta", 1.0f);
    int64_t m = shape.dim[0], n = shape.dim[1];
    enum reel_dtype dtype = product_dtype(call->in[0]->dtype);
    struct work a = {0}, b = {0}, y = {0};
    err = op_alloc_out(call, 0, call->in[0]->dtype, &shape);
    if (!err) err = work_in(&a, call->in[0], dtype);
    if (!err) err = work_in(&b, call->in[1], dtype);
    if (!err) err = work_out(&y, call->out[0], dtype);
    struct mat ma = {a.p, f.trans_a ? 1 : k, f.trans_a ? m : 1}, mb = {b.p, f.trans_b ? 1 : n, f.trans_b ? k : 1};
    if (!err) err = mat_mul(dtype, m, n, k, ma, mb, y.p, n, false);
    if (!err) {
        scale_all(&y, m * n, f.alpha);
        if (call_in(call, 2) && beta != 0.0) err = gemm_add(&y, m, n, call->in[2], beta);
    }
    if (!err) work_commit(&y);
    work_fini(&a), work_fini(&b), work_fini(&y);
    return err;
}

// ---- Einsum (12) --------------------------------------------------------

// Labels A-Z, a-z (numpy's alphabetical order), then the ellipsis' axes.
#define LABELS (52 + REEL_MAX_DIMS)
#define ELLIPSIS 52

struct term {
    int n;
    int label[LABELS];
};

// An operand or an intermediate: dense, one axis per label. Repeated labels (a
// diagonal) occur in operands only.
struct factor {
    struct term term;
    int64_t dim[LABELS];
    const void *p;
    void *owned;
};

struct einsum {
    int n_in;
    struct term *in, out;
    int64_t extent[LABELS];
};

static int label_of(char c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    return -1;
}

// Parses one term up to ',' '-' or the end. ndim < 0: the term of the result,
// whose ellipsis has `wide` axes; else an operand's, which may widen it.
static enum reel_err parse_term(const char **at, int ndim, int *wide, struct term *out_term)
{
    int before[REEL_MAX_DIMS], after[REEL_MAX_DIMS], nb = 0, na = 0;
    bool dots = false;
    for (; **at && **at != ',' && **at != '-'; (*at)++) {
        if (**at == ' ') continue;
        if (**at == '.') {
            if (strncmp(*at, "...", 3) || dots) return reel_fail(REEL_ERR_INPUT, "the equation's dots are wrong");
            dots = true;
            *at += 2;
            continue;
        }
        int label = label_of(**at);
        if (label < 0) return reel_fail(REEL_ERR_INPUT, "the equation has the character '%c'", **at);
        if (nb + na == REEL_MAX_DIMS) return reel_fail(REEL_ERR_LIMIT, "a term has too many labels");
        if (dots)
            after[na++] = label;
        else
            before[nb++] = label;
    }
    int hidden = dots ? (ndim < 0 ? *wide : ndim - nb - na) : 0;
    if (hidden < 0 || (ndim >= 0 && nb + na + hidden != ndim) || nb + na + hidden > REEL_MAX_DIMS)
        return reel_fail(REEL_ERR_INPUT, "a term of the equation does not fit rank %d", ndim);
    if (hidden > *wide) *wide = hidden;
    *out_term = (struct term){0};
    for (int i = 0; i < nb; i++) out_term->label[out_term->n++] = before[i];
    // Right-aligned: the ellipsis' last axis always has the last label.
    for (int i = 0; i < hidden; i++) out_term->label[out_term->n++] = LABELS - hidden + i;
    for (int i = 0; i < na; i++) out_term->label[out_term->n++] = after[i];
    return REEL_OK;
}

static enum reel_err parse_equation(const struct op_call *call, struct einsum *e)
{
    const char *at = node_attr_string(call->node, "equation", "");
    int wide = 0, count[LABELS] = {0};
    for (int i = 0; i < call->n_in; i++) {
        if (i && *at++ != ',') return reel_fail(REEL_ERR_INPUT, "the equation has too few terms");
        enum reel_err err = parse_term(&at, call->in[i]->shape.ndim, &wide, &e->in[i]);
        if (err) return err;
        for (int d = 0; d < e->in[i].n; d++) count[e->in[i].label[d]]++;
    }
    if (*at == ',') return reel_fail(REEL_ERR_INPUT, "the equation has too many terms");
    if (at[0] == '-') {
        if (at[1] != '>') return reel_fail(REEL_ERR_INPUT, "the equation's arrow is wrong");
        at += 2;
        enum reel_err err = parse_term(&at, -1, &wide, &e->out);
        if (!err && *at) err = reel_fail(REEL_ERR_INPUT, "the equation goes on after the result");
        return err;
    }
    if (*at) return reel_fail(REEL_ERR_INPUT, "the equation is malformed");
    for (int i = LABELS - wide; i < LABELS; i++) e->out.label[e->out.n++] = i;
    for (int i = 0; i < ELLIPSIS; i++)
        if (count[i] == 1) {
            if (e->out.n == REEL_MAX_DIMS) return reel_fail(REEL_ERR_LIMIT, "the result has too many axes");
            e->out.label[e->out.n++] = i;
        }
    return REEL_OK;
}

static enum reel_err einsum_open(const struct op_call *call, struct einsum *e, struct reel_shape *out_shape)
{
    *e = (struct einsum){.n_in = call->n_in};
    *out_shape = shape_unknown();
    for (int i = 0; i < LABELS; i++) e->extent[i] = -2; // not seen
    for (int i = 0; i < call->n_in; i++)
        if (!call->in[i] || call->in[i]->shape.ndim < 0) return REEL_OK;
    e->in = calloc((size_t)call->n_in + 1, sizeof *e->in);
    if (!e->in) return reel_fail(REEL_ERR_NOMEM, "no memory for the equation");
    enum reel_err err = parse_equation(call, e);
    for (int i = 0; !err && i < call->n_in; i++)
        for (int d = 0; !err && d < e->in[i].n; d++) {
            int64_t n = call->in[i]->shape.dim[d], *to = &e->extent[e->in[i].label[d]];
            if (*to == -2 || *to == 1 || (*to == -1 && n != 1))
                *to = n;
            else if (n >= 0 && n != 1 && *to >= 0 && n != *to)
                err = reel_fail(REEL_ERR_INPUT, "a label has the extents %lld and %lld", (long long)*to, (long long)n);
        }
    uint64_t seen = 0;
    out_shape->ndim = e->out.n;
    for (int i = 0; !err && i < e->out.n; i++) {
        int label = e->out.label[i];
        out_shape->dim[i] = e->extent[label];
        if (e->extent[label] == -2 || seen >> label & 1)
            err = reel_fail(REEL_ERR_INPUT, "a label of the result is unknown or stands twice");
        seen |= UINT64_C(1) << label;
    }
    if (err) free(e->in), e->in = NULL;
    return err;
}

static enum reel_err einsum_infer(const struct op_call *call)
{
    struct einsum e;
    struct reel_shape shape = {0};
    enum reel_err err = einsum_open(call, &e, &shape);
    free(e.in);
    if (err) return err;
    infer_out(call, 0, call->in[0]->dtype, &shape);
    return REEL_OK;
}

static uint64_t label_set(const struct term *t)
{
    uint64_t set = 0;
    for (int i = 0; i < t->n; i++) set |= UINT64_C(1) << t->label[i];
    return set;
}

static int64_t set_volume(const struct einsum *e, uint64_t set)
{
    struct reel_shape s = {0};
    int64_t total = 1;
    for (int i = 0; i < LABELS; i++)
        if (set >> i & 1) {
            s = (struct reel_shape){.ndim = 2, .dim = {total, e->extent[i]}};
            total = reel_shape_count(&s);
            if (total < 0) return -1;
        }
    return total;
}

static void append_set(struct term *t, uint64_t set)
{
    for (int i = 0; i < LABELS; i++)
        if (set >> i & 1) t->label[t->n++] = i;
}

// Where each label moves in f's memory: 0 for labels it lacks or broadcasts.
static void label_strides(const struct factor *f, const struct einsum *e, int64_t stride[LABELS])
{
    memset(stride, 0, sizeof(int64_t) * LABELS);
    int64_t unit = 1;
    for (int d = f->term.n - 1; d >= 0; d--) {
        int label = f->term.label[d];
        if (f->dim[d] == e->extent[label] && f->dim[d] != 1) stride[label] += unit;
        unit *= f->dim[d];
    }
}

static void add_element(void *to, const void *from, int64_t at, enum reel_dtype dtype)
{
    if (dtype == REEL_F32)
        *(float *)to += ((const float *)from)[at];
    else if (dtype == REEL_F64)
        *(double *)to += ((const double *)from)[at];
    else
        *(uint64_t *)to += ((const uint64_t *)from)[at];
}

// Lays f out along `order`, summing over the labels of `sums`; to has room.
static void lay_out(const struct factor *f, const struct einsum *e, const struct term *order, uint64_t sums,
                    enum reel_dtype dtype, void *to)
{
    struct term all = *order;
    append_set(&all, sums);
    int64_t stride[LABELS], at[LABELS] = {0}, offset = 0;
    label_strides(f, e, stride);
    int64_t n = 1, inner = 1;
    for (int i = 0; i < all.n; i++) {
        n *= e->extent[all.label[i]];
        if (i >= order->n) inner *= e->extent[all.label[i]];
    }
    size_t elem = reel_dtype_bytes(dtype);
    if (n == 0 || inner == 0) return;
    memset(to, 0, (size_t)(n / inner) * elem);
    for (int64_t i = 0; i < n; i++) {
        add_element((char *)to + (size_t)(i / inner) * elem, f->p, offset, dtype);
        for (int d = all.n - 1; d >= 0; d--) {
            offset += stride[all.label[d]];
            if (++at[d] < e->extent[all.label[d]]) break;
            offset -= stride[all.label[d]] * e->extent[all.label[d]];
            at[d] = 0;
        }
    }
}

// z = a b summed over labels in neither the result nor a later operand (keep).
static enum reel_err contract(const struct einsum *e, const struct factor *a, const struct factor *b, uint64_t keep,
                              enum reel_dtype dtype, struct factor *out_z)
{
    uint64_t in_a = label_set(&a->term), in_b = label_set(&b->term), both = in_a & in_b;
    uint64_t batch = both & keep, inner = both & ~keep, rows = in_a & keep & ~in_b, cols = in_b & keep & ~in_a;
    struct term order_a = {0}, order_b = {0};
    append_set(&order_a, batch), append_set(&order_a, rows), append_set(&order_a, inner);
    append_set(&order_b, batch), append_set(&order_b, inner), append_set(&order_b, cols);
    *out_z = (struct factor){0};
    append_set(&out_z->term, batch), append_set(&out_z->term, rows), append_set(&out_z->term, cols);
    for (int i = 0; i < out_z->term.n; i++) out_z->dim[i] = e->extent[out_z->term.label[i]];
    int64_t nb = set_volume(e, batch), m = set_volume(e, rows), n = set_volume(e, cols), k = set_volume(e, inner);
    int64_t va = set_volume(e, batch | rows | inner), vb = set_volume(e, batch | inner | cols);
    int64_t vz = set_volume(e, batch | rows | cols);
    if (va < 0 || vb < 0 || vz < 0) return reel_fail(REEL_ERR_LIMIT, "an intermediate result is too large");
    size_t elem = reel_dtype_bytes(dtype);
    char *pa = work_alloc(va, elem), *pb = work_alloc(vb, elem), *pz = work_alloc(vz, elem);
    enum reel_err err = pa && pb && pz ? REEL_OK : REEL_ERR_NOMEM;
    if (!err) {
        uint64_t only_a = in_a & ~in_b & ~keep, only_b = in_b & ~in_a & ~keep;
        if (set_volume(e, only_a) == 0) memset(pa, 0, (size_t)va * elem);
        if (set_volume(e, only_b) == 0) memset(pb, 0, (size_t)vb * elem);
        lay_out(a, e, &order_a, only_a, dtype, pa);
        lay_out(b, e, &order_b, only_b, dtype, pb);
    }
    for (int64_t i = 0; !err && i < nb; i++)
        err = mat_mul(dtype, m, n, k, (struct mat){pa + (size_t)(i * m * k) * elem, k, 1},
                      (struct mat){pb + (size_t)(i * k * n) * elem, n, 1}, pz + (size_t)(i * m * n) * elem, n, false);
    free(pa), free(pb);
    if (err) {
        free(pz);
        return err;
    }
    out_z->p = out_z->owned = pz;
    return REEL_OK;
}

static enum reel_err einsum_run(const struct einsum *e, const struct work *in, const struct op_call *call,
                                enum reel_dtype dtype, void *to)
{
    struct factor acc = {.term = e->in[0], .p = in[0].p};
    for (int d = 0; d < acc.term.n; d++) acc.dim[d] = call->in[0]->shape.dim[d];
    enum reel_err err = REEL_OK;
    for (int i = 1; !err && i < e->n_in; i++) {
        struct factor next = {.term = e->in[i], .p = in[i].p}, z;
        for (int d = 0; d < next.term.n; d++) next.dim[d] = call->in[i]->shape.dim[d];
        uint64_t keep = label_set(&e->out);
        for (int k = i + 1; k < e->n_in; k++) keep |= label_set(&e->in[k]);
        err = contract(e, &acc, &next, keep, dtype, &z);
        free(acc.owned);
        acc = err ? (struct factor){0} : z;
    }
    uint64_t out_set = label_set(&e->out);
    int64_t n = set_volume(e, out_set);
    if (!err && n > 0 && set_volume(e, label_set(&acc.term) & ~out_set) == 0)
        memset(to, 0, (size_t)n * reel_dtype_bytes(dtype));
    if (!err) lay_out(&acc, e, &e->out, label_set(&acc.term) & ~out_set, dtype, to);
    free(acc.owned);
    return err;
}

static enum reel_err einsum_eval(const struct op_call *call)
{
    struct einsum e;
    struct reel_shape shape = {0};
    enum reel_err err = einsum_open(call, &e, &shape);
    if (err || !call_out(call, 0)) {
        free(e.in);
        return err;
    }
    enum reel_dtype stored = call->in[0]->dtype;
    enum reel_dtype dtype = reel_dtype_is_float(stored) ? work_dtype(stored) : stored == REEL_U64 ? REEL_U64 : REEL_I64;
    struct work *in = calloc((size_t)call->n_in + 1, sizeof *in), y = {0};
    if (!in) err = reel_fail(REEL_ERR_NOMEM, "no memory for the operands");
    if (!err) err = op_alloc_out(call, 0, stored, &shape);
    for (int i = 0; !err && i < call->n_in; i++) err = work_in(&in[i], call->in[i], dtype);
    if (!err) err = work_out(&y, call->out[0], dtype);
    if (!err) err = einsum_run(&e, in, call, dtype, y.p);
    if (!err) work_commit(&y);
    for (int i = 0; in && i < call->n_in; i++) work_fini(&in[i]);
    work_fini(&y);
    free(in);
    free(e.in);
    return err;
}

// ---- Det (11) -----------------------------------------------------------

static enum reel_err det_shape(const struct op_call *call, struct reel_shape *out_shape)
{
    const struct reel_shape *s = &call->in[0]->shape;
    *out_shape = *s;
    if (s->ndim < 0) return REEL_OK;
    if (s->ndim < 2 || s->dim[s->ndim - 1] != s->dim[s->ndim - 2])
        return reel_fail(REEL_ERR_INPUT, "the input is not made of square matrices");
    out_shape->ndim -= 2;
    return REEL_OK;
}

static enum reel_err det_infer(const struct op_call *call)
{
    struct reel_shape shape = {0};
    enum reel_err err = det_shape(call, &shape);
    if (err) return err;
    infer_out(call, 0, call->in[0]->dtype, &shape);
    return REEL_OK;
}

// Gaussian elimination with row pivots; destroys a.
static double determinant(double *a, int64_t n)
{
    double det = 1.0;
    for (int64_t c = 0; c < n; c++) {
        int64_t pivot = c;
        for (int64_t r = c + 1; r < n; r++)
            if (fabs(a[r * n + c]) > fabs(a[pivot * n + c])) pivot = r;
        if (a[pivot * n + c] == 0.0) return 0.0;
        if (pivot != c) det = -det;
        for (int64_t i = c; i < n && pivot != c; i++) {
            double t = a[c * n + i];
            a[c * n + i] = a[pivot * n + i];
            a[pivot * n + i] = t;
        }
        det *= a[c * n + c];
        for (int64_t r = c + 1; r < n; r++) {
            double f = a[r * n + c] / a[c * n + c];
            for (int64_t i = c; i < n; i++) a[r * n + i] -= f * a[c * n + i];
        }
    }
    return det;
}

static enum reel_err det_eval(const struct op_call *call)
{
    struct reel_shape shape = {0};
    enum reel_err err = det_shape(call, &shape);
    if (err || !call_out(call, 0)) return err;
    int64_t n = call->in[0]->shape.dim[shape.ndim], count = reel_shape_count(&shape);
    struct work x = {0}, y = {0};
    double *a = NULL;
    err = op_alloc_out(call, 0, call->in[0]->dtype, &shape);
    if (!err) err = work_in(&x, call->in[0], REEL_F64);
    if (!err) err = work_out(&y, call->out[0], REEL_F64);
    if (!err && !(a = work_alloc(n * n, sizeof *a))) err = REEL_ERR_NOMEM;
    for (int64_t i = 0; !err && i < count; i++) {
        if (n) memcpy(a, (double *)x.p + i * n * n, sizeof *a * (size_t)(n * n));
        ((double *)y.p)[i] = determinant(a, n);
    }
    if (!err) work_commit(&y);
    free(a);
    work_fini(&x), work_fini(&y);
    return err;
}

// ---- table --------------------------------------------------------------

#define TYPES_PRODUCT (TYPES_FLOAT | T_(REEL_I32) | T_(REEL_I64) | T_(REEL_U32) | T_(REEL_U64))

const struct op_def ops_matmul[] = {
    {"", "MatMul", 1, OPSET_LAST, 2, 2, 1, 1, TYPES_PRODUCT, 0, matmul_infer, matmul_eval, NULL},
    {"", "Gemm", 1, OPSET_LAST, 2, 3, 1, 1, TYPES_PRODUCT, 0, gemm_infer, gemm_eval, NULL},
    {"", "MatMulInteger", 10, OPSET_LAST, 2, 4, 1, 1, T_(REEL_I8) | T_(REEL_U8), 0, matmul_integer_infer,
     matmul_integer_eval, NULL},
    {"", "Einsum", 12, OPSET_LAST, 1, -1, 1, 1, TYPES_NUM, 0, einsum_infer, einsum_eval, NULL},
    {"", "Det", 11, OPSET_LAST, 1, 1, 1, 1, TYPES_FLOAT, 0, det_infer, det_eval, NULL},
    {"", "Attention", 23, OPSET_LAST, 3, 7, 1, 4, TYPES_FLOAT, 0, attention_infer, attention_eval, NULL},
    {"", "RotaryEmbedding", 23, OPSET_LAST, 3, 4, 1, 1, TYPES_FLOAT, 0, op_infer_same, rotary_eval, NULL},
    {"com.microsoft", "FusedMatMul", 1, 1, 2, 2, 1, 1, TYPES_FLOAT, 0, matmul_infer, matmul_eval,
     "no transBatchA, transBatchB"},
    {"com.microsoft", "MultiHeadAttention", 1, 1, 3, 10, 1, 4, TYPES_FLOAT, 0, multi_head_infer, multi_head_eval,
     "separate 3-D query, key, value; optional bias and attention_bias; no cache, no padding mask"},
};
const int ops_matmul_count = sizeof ops_matmul / sizeof ops_matmul[0];

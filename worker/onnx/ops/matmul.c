// SPDX-License-Identifier: MIT
//
// Matrix products: MatMul, Gemm, MatMulInteger, com.microsoft's FusedMatMul; the table also lists the attention
// operators of attention.c.
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
    bool batch_a, batch_b; // the first axis stands before the last one instead
    double alpha;
};

static struct fused fused_attrs(const struct op_call *call)
{
    return (struct fused){node_attr_int(call->node, "transA", 0) != 0, node_attr_int(call->node, "transB", 0) != 0,
                          node_attr_int(call->node, "transBatchA", 0) != 0,
                          node_attr_int(call->node, "transBatchB", 0) != 0, node_attr_float(call->node, "alpha", 1.0f)};
}

// (rows, batches..., columns) as (batches..., rows, columns)
static struct reel_shape rows_behind_batches(struct reel_shape s, bool move)
{
    if (!move || s.ndim < 3) return s;
    int64_t rows = s.dim[0];
    for (int i = 0; i < s.ndim - 2; i++) s.dim[i] = s.dim[i + 1];
    s.dim[s.ndim - 2] = rows;
    return s;
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
    struct fused f = fused_attrs(call);
    struct reel_shape a = swap_last(rows_behind_batches(call->in[0]->shape, f.batch_a), f.trans_a);
    struct reel_shape b = swap_last(rows_behind_batches(call->in[1]->shape, f.batch_b), f.trans_b);
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

// How the stored matrices of an operand lie: elements from row to row and from
// one matrix to the next.
static struct mat stored(const void *p, const struct reel_shape *s, bool batch_behind, bool trans, int64_t *out_next)
{
    int64_t columns = s->dim[s->ndim - 1], row = columns;
    batch_behind = batch_behind && s->ndim > 2;
    if (batch_behind) row = shape_span(s, 1, s->ndim);
    *out_next = batch_behind ? columns : columns * (s->ndim > 1 ? s->dim[s->ndim - 2] : 1);
    if (s->ndim == 1) row = 1; // a vector is a row of A or a column of B
    return (struct mat){p, trans ? 1 : row, trans ? row : 1};
}

static enum reel_err matmul_run(const struct op_call *call, const struct mat_plan *plan, struct fused f,
                                const struct work *a, const struct work *b, struct work *y)
{
    int64_t a_next, b_next, c_size = plan->m * plan->n;
    bool b_shared = !f.trans_a && !f.batch_a, dense = true;
    int64_t unit = 1;
    for (int i = plan->nb - 1; i >= 0; i--) {
        if (plan->b_step[i]) b_shared = false;
        if (plan->extent[i] != 1 && plan->a_step[i] != unit) dense = false;
        unit *= plan->extent[i];
    }
    struct mat ma = stored(a->p, &call->in[0]->shape, f.batch_a, f.trans_a, &a_next);
    struct mat mb = stored(b->p, &call->in[1]->shape, f.batch_b, f.trans_b, &b_next);
    if (b_shared && dense) // one B for all: one tall product
        return mat_mul(y->dtype, plan->m * plan->batches, plan->n, plan->k, ma, mb, y->p, plan->n, false);
    enum reel_err err = REEL_OK;
    for (int64_t i = 0; !err && i < plan->batches; i++) {
        int64_t at_a, at_b;
        mat_plan_at(plan, i, &at_a, &at_b);
        ma.p = element_at(a->p, at_a * a_next, y->dtype);
        mb.p = element_at(b->p, at_b * b_next, y->dtype);
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
    if (!err) err = matmul_run(call, &plan, f, &a, &b, &y);
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
    if (!err) err = matmul_run(call, &plan, (struct fused){.alpha = 1.0}, &a, &b, &y);
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

// ---- table --------------------------------------------------------------

#define TYPES_PRODUCT (TYPES_FLOAT | T_(REEL_I32) | T_(REEL_I64) | T_(REEL_U32) | T_(REEL_U64))

const struct op_def ops_matmul[] = {
    {"", "MatMul", 1, OPSET_LAST, 2, 2, 1, 1, TYPES_PRODUCT, 0, matmul_infer, matmul_eval, NULL},
    {"", "Gemm", 1, OPSET_LAST, 2, 3, 1, 1, TYPES_PRODUCT, 0, gemm_infer, gemm_eval, NULL},
    {"", "MatMulInteger", 10, OPSET_LAST, 2, 4, 1, 1, T_(REEL_I8) | T_(REEL_U8), 0, matmul_integer_infer,
     matmul_integer_eval, NULL},
    {"", "Attention", 23, OPSET_LAST, 3, 7, 1, 4, TYPES_FLOAT, 0, attention_infer, attention_eval, NULL},
    {"", "RotaryEmbedding", 23, OPSET_LAST, 3, 4, 1, 1, TYPES_FLOAT, 0, op_infer_same, rotary_eval, NULL},
    {"com.microsoft", "FusedMatMul", 1, 1, 2, 2, 1, 1, TYPES_FLOAT, 0, matmul_infer, matmul_eval, NULL},
    {"com.microsoft", "MultiHeadAttention", 1, 1, 3, 10, 1, 4, TYPES_FLOAT, 0, multi_head_infer, multi_head_eval,
     "separate 3-D query, key, value; optional bias and attention_bias; no cache, no padding mask"},
};
const int ops_matmul_count = sizeof ops_matmul / sizeof ops_matmul[0];

// SPDX-License-Identifier: MIT
//
// Working copies of tensors; see work.h. Called by the operator families only.
#include "worker/onnx/ops/work.h"

enum reel_dtype work_dtype(enum reel_dtype stored)
{
    return stored == REEL_F64 ? REEL_F64 : REEL_F32;
}

void *work_alloc(int64_t count, size_t bytes)
{
    size_t total = 0;
    if (count < 0 || __builtin_mul_overflow((size_t)count, bytes, &total) || total > (size_t)PTRDIFF_MAX - 64) {
        reel_fail(REEL_ERR_LIMIT, "could not allocate working memory: %lld elements are too many", (long long)count);
        return NULL;
    }
    void *p = aligned_alloc(64, (total + 127) / 64 * 64);
    if (!p) reel_fail(REEL_ERR_NOMEM, "could not allocate working memory: %zu bytes refused", total);
    return p;
}

enum reel_err work_in(struct work *w, const struct reel_tensor *t, enum reel_dtype dtype)
{
    *w = (struct work){.dtype = dtype};
    if (!t) return REEL_OK;
    if (t->dtype == dtype && t->data) {
        w->p = t->data;
        return REEL_OK;
    }
    int64_t n = reel_tensor_count(t);
    w->p = w->owned = work_alloc(n, reel_dtype_bytes(dtype));
    if (!w->p) return REEL_ERR_NOMEM;
    if (n > 0) reel_convert(w->p, dtype, t->data, t->dtype, n);
    return REEL_OK;
}

enum reel_err work_out(struct work *w, struct reel_tensor *t, enum reel_dtype dtype)
{
    *w = (struct work){.dtype = dtype, .target = t};
    if (t->dtype == dtype && t->data) {
        w->p = t->data;
        return REEL_OK;
    }
    w->p = w->owned = work_alloc(reel_tensor_count(t), reel_dtype_bytes(dtype));
    return w->p ? REEL_OK : REEL_ERR_NOMEM;
}

void work_commit(struct work *w)
{
    if (!w->target || !w->owned) return;
    int64_t n = reel_tensor_count(w->target);
    if (n > 0) reel_convert(w->target->data, w->target->dtype, w->p, w->dtype, n);
}

void work_fini(struct work *w)
{
    free(w->owned);
    *w = (struct work){0};
}

enum reel_err call_copy_out(const struct op_call *call, int i, const struct reel_tensor *src)
{
    struct reel_tensor *out = call_out(call, i);
    if (!out) return REEL_OK;
    enum reel_err err = op_alloc_out(call, i, src->dtype, &src->shape);
    if (err) return err;
    size_t bytes = reel_tensor_bytes(src);
    if (bytes && out->data != src->data) memmove(out->data, src->data, bytes);
    return REEL_OK;
}

bool inputs_given(const struct op_call *call, int n)
{
    for (int i = 0; i < n; i++)
        if (!call_in(call, i)) {
            reel_fail(REEL_ERR_INPUT, "input %d is missing", i);
            return false;
        }
    return true;
}

void infer_out(const struct op_call *call, int i, enum reel_dtype dtype, const struct reel_shape *shape)
{
    struct reel_tensor *t = call_out(call, i);
    if (!t) return;
    t->dtype = dtype;
    t->shape = *shape;
}

int64_t shape_span(const struct reel_shape *shape, int from, int to)
{
    struct reel_shape s = {0};
    for (int i = from; i < to; i++) s.dim[s.ndim++] = shape->dim[i];
    return reel_shape_count(&s);
}

enum reel_dtype dtype_of_onnx(int64_t onnx_type)
{
    // onnx.proto, TensorProto.DataType
    static const enum reel_dtype map[] = {
        [1] = REEL_F32,     [2] = REEL_U8,          [3] = REEL_I8,    [4] = REEL_U16,       [5] = REEL_I16,
        [6] = REEL_I32,     [7] = REEL_I64,         [9] = REEL_BOOL,  [10] = REEL_F16,      [11] = REEL_F64,
        [12] = REEL_U32,    [13] = REEL_U64,        [16] = REEL_BF16, [17] = REEL_F8E4M3FN, [18] = REEL_F8E4M3FNUZ,
        [19] = REEL_F8E5M2, [20] = REEL_F8E5M2FNUZ, [21] = REEL_U4,   [22] = REEL_I4,       [23] = REEL_F4E2M1,
        [24] = REEL_F8E8M0, [25] = REEL_U2,         [26] = REEL_I2,
    };
    if (onnx_type < 0 || onnx_type >= (int64_t)(sizeof map / sizeof map[0])) return REEL_DTYPE_NONE;
    return map[onnx_type];
}

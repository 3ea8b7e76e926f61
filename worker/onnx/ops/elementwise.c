// SPDX-License-Identifier: MIT
//
// See elementwise.h.
#include "worker/onnx/ops/elementwise.h"

// ---- unary ----------------------------------------------------------------

// 16-bit floats in pieces that stay in the first cache.
static void unary_half(const struct reel_tensor *in, struct reel_tensor *out, unary_fn fn, const float *p)
{
    enum { PIECE = 1024 };
    float buf[PIECE];
    const int64_t count = reel_tensor_count(in);
    const bool to_half = is_half(out->dtype);
    for (int64_t i = 0; i < count; i += PIECE) {
        const int64_t n = count - i < PIECE ? count - i : PIECE;
        char *to = (char *)out->data + (size_t)i * reel_dtype_bytes(out->dtype);
        reel_convert(buf, REEL_F32, (const uint16_t *)in->data + i, in->dtype, n);
        fn(to_half ? (void *)buf : to, buf, n, p);
        if (to_half) reel_convert(to, out->dtype, buf, REEL_F32, n);
    }
}

enum reel_err unary_eval(const struct op_call *call, const unary_fn *fns, enum reel_dtype out_dtype, const float *p)
{
    const struct reel_tensor *in = call->in[0];
    const bool half = is_half(in->dtype);
    const unary_fn fn = fns[half ? REEL_F32 : in->dtype];
    if (!fn) return typed_refuse(call, 0);
    if (!call->out[0]) return REEL_OK;
    enum reel_err err = op_alloc_out(call, 0, out_dtype, &in->shape);
    if (err) return err;
    const int64_t n = reel_tensor_count(in);
    if (n > 0 && half)
        unary_half(in, call->out[0], fn, p);
    else if (n > 0)
        fn(call->out[0]->data, in->data, n, p);
    return REEL_OK;
}

// ---- binary ---------------------------------------------------------------

// The shape of the second operand as broadcasting sees it. Opsets 1 to 6 align
// it with attribute axis where attribute broadcast asks for it: trailing
// extents of 1 do the same in today's rules.
static enum reel_err second_shape(const struct op_call *call, struct reel_shape *out_shape)
{
    const struct reel_shape *a = &call->in[0]->shape, *b = &call->in[1]->shape;
    *out_shape = *b;
    if (call->opset >= 7 || !node_attr_int(call->node, "broadcast", 0) || a->ndim < 0 || b->ndim < 0) return REEL_OK;
    const struct attr *axis = node_attr(call->node, "axis");
    if (!axis) return REEL_OK;
    const int64_t at = axis->u.i < 0 ? axis->u.i + a->ndim : axis->u.i;
    if (axis->type != ATTR_INT || at < 0 || at > a->ndim || b->ndim > a->ndim - at)
        return reel_fail(REEL_ERR_INPUT, "attribute axis does not fit operands of rank %d and %d", a->ndim, b->ndim);
    while (out_shape->ndim < a->ndim - at) out_shape->dim[out_shape->ndim++] = 1;
    return REEL_OK;
}

enum reel_err binary_shape(const struct op_call *call, struct reel_shape *out_b, struct reel_shape *out_shape)
{
    enum reel_err err = second_shape(call, out_b);
    if (err) return err;
    if (call->in[0]->shape.ndim < 0 || out_b->ndim < 0) {
        *out_shape = shape_unknown();
        return REEL_OK;
    }
    return op_broadcast(&call->in[0]->shape, out_b, out_shape);
}

static enum reel_err infer_binary_as(const struct op_call *call, enum reel_dtype dtype)
{
    struct reel_shape b, shape;
    enum reel_err err = typed_same(call, 0, 1);
    if (!err) err = binary_shape(call, &b, &shape);
    if (!err) infer_out(call, 0, dtype, &shape);
    return err;
}

enum reel_err binary_infer(const struct op_call *call)
{
    return infer_binary_as(call, call->in[0]->dtype);
}

enum reel_err binary_infer_bool(const struct op_call *call)
{
    return infer_binary_as(call, REEL_BOOL);
}

void binary_run(binary_fn fn, struct reel_tensor *out, const void *a, const struct reel_shape *a_shape, const void *b,
                const struct reel_shape *b_shape, size_t in_bytes)
{
    struct walk w;
    const size_t out_bytes = reel_dtype_bytes(out->dtype);
    char *o = out->data;
    for (walk_start(&w, &out->shape, (const struct reel_shape *const[]){a_shape, b_shape}, 2); !w.done; walk_next(&w))
        fn(o + (size_t)w.out * out_bytes, (const char *)a + (size_t)w.at[0] * in_bytes, w.step[0],
           (const char *)b + (size_t)w.at[1] * in_bytes, w.step[1], w.run);
}

enum reel_err binary_eval(const struct op_call *call, const binary_fn *fns, enum reel_dtype out_dtype)
{
    const struct reel_tensor *a = call->in[0], *b = call->in[1];
    if (!fns[a->dtype]) return typed_refuse(call, 0);
    struct reel_shape b_shape, shape;
    enum reel_err err = typed_same(call, 0, 1);
    if (!err) err = binary_shape(call, &b_shape, &shape);
    if (err || !call->out[0]) return err;
    err = op_alloc_out(call, 0, out_dtype, &shape);
    if (err) return err;
    binary_run(fns[a->dtype], call->out[0], a->data, &a->shape, b->data, &b_shape, reel_dtype_bytes(a->dtype));
    return REEL_OK;
}

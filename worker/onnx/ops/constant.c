// SPDX-License-Identifier: MIT
//
// Constant, ConstantOfShape, and what hands its input on: Identity, Dropout (at
// inference). Called through the operator table.
#include "worker/onnx/ops/work.h"

// ---- constants ----------------------------------------------------------

// The tensor which a Constant's attribute describes, borrowing its data where
// it can; scalars point into *scratch.
static enum reel_err constant_value(const struct op_call *call, struct reel_tensor *out_t, int64_t *scratch)
{
    const struct node *node = call->node;
    const struct attr *a;
    *out_t = (struct reel_tensor){0};
    if ((a = node_attr(node, "value")) && a->type == ATTR_TENSOR) {
        *out_t = *a->u.t;
        out_t->owned = false;
        if (out_t->dtype == REEL_STRING || out_t->dtype == REEL_DTYPE_NONE)
            return reel_fail(REEL_ERR_UNSUPPORTED, "the constant's element type is not supported");
        return REEL_OK;
    }
    if ((a = node_attr(node, "value_float")) && a->type == ATTR_FLOAT) {
        out_t->dtype = REEL_F32;
        memcpy(scratch, &a->u.f, sizeof(float));
        out_t->data = scratch;
        return REEL_OK;
    }
    if ((a = node_attr(node, "value_int")) && a->type == ATTR_INT) {
        out_t->dtype = REEL_I64;
        *scratch = a->u.i;
        out_t->data = scratch;
        return REEL_OK;
    }
    if ((a = node_attr(node, "value_floats")) && a->type == ATTR_FLOATS) {
        out_t->dtype = REEL_F32;
        out_t->shape = (struct reel_shape){.ndim = 1, .dim = {a->count}};
        out_t->data = (void *)a->u.floats;
        return REEL_OK;
    }
    if ((a = node_attr(node, "value_ints")) && a->type == ATTR_INTS) {
        out_t->dtype = REEL_I64;
        out_t->shape = (struct reel_shape){.ndim = 1, .dim = {a->count}};
        out_t->data = (void *)a->u.ints;
        return REEL_OK;
    }
    static const char *const refused[] = {"sparse_value", "value_string", "value_strings"};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        if (node_attr(node, refused[i]))
            return reel_fail(REEL_ERR_UNSUPPORTED, "the attribute %s is not supported", refused[i]);
    return reel_fail(REEL_ERR_INPUT, "the constant has no value");
}

static enum reel_err constant_infer(const struct op_call *call)
{
    struct reel_tensor t;
    int64_t scratch;
    enum reel_err err = constant_value(call, &t, &scratch);
    if (err) return err;
    infer_out(call, 0, t.dtype, &t.shape);
    return REEL_OK;
}

static enum reel_err constant_eval(const struct op_call *call)
{
    struct reel_tensor t;
    int64_t scratch;
    enum reel_err err = constant_value(call, &t, &scratch);
    return err ? err : call_copy_out(call, 0, &t);
}

static enum reel_err fill_shape(const struct op_call *call, struct reel_shape *out_shape, enum reel_dtype *out_dtype)
{
    const struct attr *a = node_attr(call->node, "value");
    *out_dtype = REEL_F32;
    if (a && a->type == ATTR_TENSOR) {
        if (reel_tensor_count(a->u.t) != 1) return reel_fail(REEL_ERR_INPUT, "value must have exactly one element");
        *out_dtype = a->u.t->dtype;
        if (!reel_dtype_bytes(*out_dtype)) return reel_fail(REEL_ERR_UNSUPPORTED, "the type of value is not supported");
    }
    const struct reel_tensor *in = call->in[0];
    *out_shape = shape_unknown();
    if (in->shape.ndim > 1) return reel_fail(REEL_ERR_INPUT, "the shape must be a 1-D tensor");
    if (in->shape.ndim < 0) return REEL_OK;
    int64_t n = in->shape.ndim == 1 ? in->shape.dim[0] : 1;
    if (n < 0) return REEL_OK;
    if (n > REEL_MAX_DIMS) return reel_fail(REEL_ERR_LIMIT, "more than %d dimensions", REEL_MAX_DIMS);
    out_shape->ndim = (int)n;
    for (int i = 0; i < n; i++) {
        out_shape->dim[i] = has_data(in) ? op_scalar_int(in, i) : -1;
        if (has_data(in) && out_shape->dim[i] < 0) return reel_fail(REEL_ERR_INPUT, "an extent is negative");
    }
    return REEL_OK;
}

static enum reel_err constant_of_shape_infer(const struct op_call *call)
{
    struct reel_shape shape;
    enum reel_dtype dtype;
    enum reel_err err = fill_shape(call, &shape, &dtype);
    if (err) return err;
    infer_out(call, 0, dtype, &shape);
    return REEL_OK;
}

static enum reel_err constant_of_shape_eval(const struct op_call *call)
{
    struct reel_shape shape;
    enum reel_dtype dtype;
    enum reel_err err = fill_shape(call, &shape, &dtype);
    if (err || !call_out(call, 0)) return err;
    err = op_alloc_out(call, 0, dtype, &shape);
    if (err) return err;
    const struct attr *a = node_attr(call->node, "value");
    size_t elem = reel_dtype_bytes(dtype), bytes = reel_tensor_bytes(call->out[0]);
    char *p = call->out[0]->data;
    if (!a) {
        if (bytes) memset(p, 0, bytes);
        return REEL_OK;
    }
    for (size_t at = 0; at < bytes; at += elem) memcpy(p + at, a->u.t->data, elem);
    return REEL_OK;
}

// ---- identity -----------------------------------------------------------

static enum reel_err identity_eval(const struct op_call *call)
{
    return call_copy_out(call, 0, call->in[0]);
}

// Dropout 12+: training_mode (input 2) with a ratio above 0 draws random
// numbers, which a repeatable video run must not.
static enum reel_err dropout_check(const struct op_call *call)
{
    const struct reel_tensor *ratio = call_in(call, 1), *training = call_in(call, 2);
    if (call->opset < 7 && !node_attr_int(call->node, "is_test", 0))
        return reel_fail(REEL_ERR_UNSUPPORTED, "is_test=0 is not supported: its output is random");
    if (!training || !training->data || reel_tensor_count(training) != 1 || !op_scalar_int(training, 0)) return REEL_OK;
    if (ratio && ratio->data && reel_tensor_count(ratio) == 1 && op_scalar(ratio, 0) == 0.0) return REEL_OK;
    if (ratio && !ratio->data) return REEL_OK; // known at run time only
    return reel_fail(REEL_ERR_UNSUPPORTED, "training mode is not supported: its output is random");
}

static enum reel_dtype dropout_mask_type(const struct op_call *call)
{
    return call->opset >= 10 ? REEL_BOOL : call->in[0]->dtype; // Dropout 10: mask became tensor(bool)
}

static enum reel_err dropout_infer(const struct op_call *call)
{
    enum reel_err err = dropout_check(call);
    if (err) return err;
    infer_out(call, 0, call->in[0]->dtype, &call->in[0]->shape);
    infer_out(call, 1, dropout_mask_type(call), &call->in[0]->shape);
    return REEL_OK;
}

static enum reel_err dropout_eval(const struct op_call *call)
{
    enum reel_err err = dropout_check(call);
    if (!err) err = call_copy_out(call, 0, call->in[0]);
    if (err || !call_out(call, 1)) return err;
    enum reel_dtype dtype = dropout_mask_type(call);
    err = op_alloc_out(call, 1, dtype, &call->in[0]->shape);
    if (err) return err;
    const uint8_t one = 1;
    char *p = call->out[1]->data;
    size_t elem = reel_dtype_bytes(dtype);
    int64_t n = reel_tensor_count(call->out[1]);
    for (int64_t i = 0; i < n; i++) reel_convert(p + i * elem, dtype, &one, REEL_BOOL, 1);
    return REEL_OK;
}

// ---- table --------------------------------------------------------------

const struct op_def ops_constant[] = {
    {"", "Constant", 1, OPSET_LAST, 0, 0, 1, 1, TYPES_ANY, 0, constant_infer, constant_eval,
     "no sparse_value, value_string(s)"},
    {"", "ConstantOfShape", 9, OPSET_LAST, 1, 1, 1, 1, T_(REEL_I64), OP_DATA_SHAPE, constant_of_shape_infer,
     constant_of_shape_eval, NULL},
    {"", "Identity", 1, OPSET_LAST, 1, 1, 1, 1, TYPES_ANY, OP_VIEW | OP_INFERENCE_NOP, op_infer_same, identity_eval,
     NULL},
    {"", "Dropout", 1, OPSET_LAST, 1, 3, 1, 2, TYPES_FLOAT, OP_INFERENCE_NOP, dropout_infer, dropout_eval,
     "inference, or ratio 0"},
};
const int ops_constant_count = sizeof ops_constant / sizeof ops_constant[0];

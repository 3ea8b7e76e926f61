// SPDX-License-Identifier: MIT
//
// The family cast: Cast, CastLike and BitCast. How a number becomes another type
// is common's (tensor.c, narrow.c). What saturates and rounds otherwise than
// there is here.
#include "common/narrow.h"
#include "worker/onnx/ops/elementwise.h"

// ---- Cast, CastLike, BitCast ----------------------------------------------

// The type in attribute `to`. Operators of opset 1 have its name as a string.
static enum reel_err cast_target(const struct op_call *call, enum reel_dtype *out_dtype)
{
    const struct attr *to = node_attr(call->node, "to");
    if (!to) return reel_fail(REEL_ERR_INPUT, "attribute to is missing");
    *out_dtype = REEL_DTYPE_NONE;
    if (to->type == ATTR_STRING) {
        static const struct {
            const char *name;
            enum reel_dtype dtype;
        } names[] = {{"FLOAT", REEL_F32},  {"DOUBLE", REEL_F64}, {"FLOAT16", REEL_F16}, {"INT8", REEL_I8},
                     {"INT16", REEL_I16},  {"INT32", REEL_I32},  {"INT64", REEL_I64},   {"UINT8", REEL_U8},
                     {"UINT16", REEL_U16}, {"UINT32", REEL_U32}, {"UINT64", REEL_U64},  {"BOOL", REEL_BOOL}};
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            if (!strcmp(names[i].name, to->u.s)) *out_dtype = names[i].dtype;
        if (*out_dtype) return REEL_OK;
        return reel_fail(REEL_ERR_UNSUPPORTED, "casting to type \"%s\" is not supported", to->u.s);
    }
    if (to->type != ATTR_INT) return reel_fail(REEL_ERR_INPUT, "attribute to is not an integer");
    *out_dtype = dtype_of_onnx(to->u.i);
    if (*out_dtype == REEL_DTYPE_NONE || *out_dtype == REEL_STRING)
        return reel_fail(REEL_ERR_UNSUPPORTED, "casting to element type %lld is not supported", (long long)to->u.i);
    return REEL_OK;
}

// To float8 (Cast-19: saturate) and float8e8m0 (Cast-24: round_mode).
static enum reel_err cast_narrow(const struct op_call *call, enum reel_dtype dtype, int64_t n)
{
    const bool saturate = node_attr_int(call->node, "saturate", 1) != 0;
    const char *mode = node_attr_string(call->node, "round_mode", "up");
    const enum reel_e8m0_round round = !strcmp(mode, "down")      ? REEL_E8M0_DOWN
                                       : !strcmp(mode, "nearest") ? REEL_E8M0_NEAREST
                                                                  : REEL_E8M0_UP;
    if (round == REEL_E8M0_UP && strcmp(mode, "up")) return reel_fail(REEL_ERR_INPUT, "round_mode is \"%.40s\"", mode);
    uint8_t *out = call->out[0]->data;
    const struct reel_tensor *in = call->in[0];
    if (saturate && (dtype != REEL_F8E8M0 || round == REEL_E8M0_UP)) {
        reel_convert(out, dtype, in->data, in->dtype, n);
        return REEL_OK;
    }
    for (int64_t i = 0; i < n; i++) {
        const float x = reel_f64_to_f32_odd(op_scalar(in, i));
        out[i] = dtype == REEL_F8E8M0 ? reel_f32_to_e8m0(x, saturate, round) : reel_f32_to_narrow(dtype, x, saturate);
    }
    return REEL_OK;
}

static enum reel_err cast_to(const struct op_call *call, enum reel_dtype dtype)
{
    const struct reel_tensor *in = call->in[0];
    if (!reel_dtype_bytes(in->dtype)) return typed_refuse(call, 0);
    if (!call->out[0]) return REEL_OK;
    enum reel_err err = op_alloc_out(call, 0, dtype, &in->shape);
    if (err) return err;
    const int64_t n = reel_tensor_count(in);
    if (reel_is_narrow_float(dtype) && dtype != in->dtype) return cast_narrow(call, dtype, n);
    reel_convert(call->out[0]->data, dtype, in->data, in->dtype, n);
    return REEL_OK;
}

static enum reel_err infer_cast(const struct op_call *call)
{
    enum reel_dtype dtype;
    enum reel_err err = cast_target(call, &dtype);
    if (err) return err;
    infer_out(call, 0, dtype, &call->in[0]->shape);
    return REEL_OK;
}

static enum reel_err eval_cast(const struct op_call *call)
{
    enum reel_dtype dtype;
    enum reel_err err = cast_target(call, &dtype);
    return err ? err : cast_to(call, dtype);
}

static enum reel_err infer_cast_like(const struct op_call *call)
{
    enum reel_err err = typed_present(call, 2);
    if (err) return err;
    infer_out(call, 0, call->in[1]->dtype, &call->in[0]->shape);
    return REEL_OK;
}

static enum reel_err eval_cast_like(const struct op_call *call)
{
    if (!reel_dtype_bytes(call->in[1]->dtype)) return typed_refuse(call, 1);
    return cast_to(call, call->in[1]->dtype);
}

static enum reel_err infer_bit_cast(const struct op_call *call)
{
    enum reel_dtype dtype;
    enum reel_err err = cast_target(call, &dtype);
    if (err) return err;
    if (reel_elements_a_byte(dtype) > 1)
        return reel_fail(REEL_ERR_UNSUPPORTED, "%s is not supported", reel_dtype_name(dtype));
    if (call->in[0]->dtype && reel_dtype_bytes(dtype) != reel_dtype_bytes(call->in[0]->dtype))
        return reel_fail(REEL_ERR_INPUT, "%s and %s have elements of different sizes",
                         reel_dtype_name(call->in[0]->dtype), reel_dtype_name(dtype));
    infer_out(call, 0, dtype, &call->in[0]->shape);
    return REEL_OK;
}

static enum reel_err eval_bit_cast(const struct op_call *call)
{
    enum reel_dtype dtype;
    enum reel_err err = cast_target(call, &dtype);
    if (err) return err;
    const struct reel_tensor *in = call->in[0];
    if (reel_dtype_bytes(dtype) != reel_dtype_bytes(in->dtype)) return infer_bit_cast(call);
    if (!call->out[0]) return REEL_OK;
    err = op_alloc_out(call, 0, dtype, &in->shape);
    if (err) return err;
    const size_t bytes = reel_tensor_bytes(in);
    if (bytes) memcpy(call->out[0]->data, in->data, bytes);
    // A bool holds 0 or 1 here, whatever the bits were.
    uint8_t *b = call->out[0]->data;
    for (size_t i = 0; dtype == REEL_BOOL && i < bytes; i++) b[i] = b[i] != 0;
    return REEL_OK;
}

// ---- the table ------------------------------------------------------------

#define NO_STRINGS "no strings"

const struct op_def ops_cast[] = {
    {"", "BitCast", 26, OPSET_LAST, 1, 1, 1, 1, TYPES_ALL | TYPES_FLOAT8 | T_(REEL_F8E8M0), OP_ELEMENTWISE,
     infer_bit_cast, eval_bit_cast, "no strings, no types of 4 bits and less"},
    {"", "Cast", 1, OPSET_LAST, 1, 1, 1, 1, TYPES_ANY, OP_ELEMENTWISE, infer_cast, eval_cast, NO_STRINGS},
    {"", "CastLike", 15, OPSET_LAST, 2, 2, 1, 1, TYPES_ANY, OP_ELEMENTWISE, infer_cast_like, eval_cast_like,
     NO_STRINGS},
};
const int ops_cast_count = sizeof ops_cast / sizeof *ops_cast;

// SPDX-License-Identifier: MIT
//
// The family logic: comparison, logic and bits of two operands, and Where.
// See elementwise.h.
#include "worker/onnx/ops/elementwise.h"

// ---- comparison and logic -------------------------------------------------

#define EQUAL_FN(D, s, T, U) BINARY_FN(equal_##s, , T, uint8_t, U, x == y)
#define EQUAL_ENTRY(D, s, T, U) ENTRY(D, equal_##s)
EACH_REAL(EQUAL_FN)
static const binary_fn equal_fns[REEL_DTYPE_COUNT] = {EACH_REAL(EQUAL_ENTRY)[REEL_BOOL] = equal_u8};
BINARY_EVAL(equal, REEL_BOOL)

#define LESS_FN(D, s, T, U) BINARY_FN(less_##s, , T, uint8_t, U, x < y)
#define LESS_ENTRY(D, s, T, U) ENTRY(D, less_##s)
EACH_REAL(LESS_FN)
static const binary_fn less_fns[REEL_DTYPE_COUNT] = {EACH_REAL(LESS_ENTRY)};
BINARY_EVAL(less, REEL_BOOL)

#define LESS_EQUAL_FN(D, s, T, U) BINARY_FN(less_equal_##s, , T, uint8_t, U, x <= y)
#define LESS_EQUAL_ENTRY(D, s, T, U) ENTRY(D, less_equal_##s)
EACH_REAL(LESS_EQUAL_FN)
static const binary_fn less_equal_fns[REEL_DTYPE_COUNT] = {EACH_REAL(LESS_EQUAL_ENTRY)};
BINARY_EVAL(less_equal, REEL_BOOL)

#define GREATER_FN(D, s, T, U) BINARY_FN(greater_##s, , T, uint8_t, U, x > y)
#define GREATER_ENTRY(D, s, T, U) ENTRY(D, greater_##s)
EACH_REAL(GREATER_FN)
static const binary_fn greater_fns[REEL_DTYPE_COUNT] = {EACH_REAL(GREATER_ENTRY)};
BINARY_EVAL(greater, REEL_BOOL)

#define GREATER_EQUAL_FN(D, s, T, U) BINARY_FN(greater_equal_##s, , T, uint8_t, U, x >= y)
#define GREATER_EQUAL_ENTRY(D, s, T, U) ENTRY(D, greater_equal_##s)
EACH_REAL(GREATER_EQUAL_FN)
static const binary_fn greater_equal_fns[REEL_DTYPE_COUNT] = {EACH_REAL(GREATER_EQUAL_ENTRY)};
BINARY_EVAL(greater_equal, REEL_BOOL)

#define BITWISE_AND_FN(D, s, T, U) BINARY_FN(bitwise_and_##s, , T, T, U, x &y)
#define BITWISE_OR_FN(D, s, T, U) BINARY_FN(bitwise_or_##s, , T, T, U, x | y)
#define BITWISE_XOR_FN(D, s, T, U) BINARY_FN(bitwise_xor_##s, , T, T, U, x ^ y)
#define BITWISE_AND_ENTRY(D, s, T, U) ENTRY(D, bitwise_and_##s)
#define BITWISE_OR_ENTRY(D, s, T, U) ENTRY(D, bitwise_or_##s)
#define BITWISE_XOR_ENTRY(D, s, T, U) ENTRY(D, bitwise_xor_##s)
EACH_INT(BITWISE_AND_FN)
EACH_INT(BITWISE_OR_FN)
EACH_INT(BITWISE_XOR_FN)
static const binary_fn bitwise_and_fns[REEL_DTYPE_COUNT] = {EACH_INT(BITWISE_AND_ENTRY)};
static const binary_fn bitwise_or_fns[REEL_DTYPE_COUNT] = {EACH_INT(BITWISE_OR_ENTRY)};
static const binary_fn bitwise_xor_fns[REEL_DTYPE_COUNT] = {EACH_INT(BITWISE_XOR_ENTRY)};
BINARY_EVAL(bitwise_and, call->in[0]->dtype)
BINARY_EVAL(bitwise_or, call->in[0]->dtype)
BINARY_EVAL(bitwise_xor, call->in[0]->dtype)

// Booleans are bytes of 0 or 1, but a file's data may say otherwise.
BINARY_FN(and_bool, , uint8_t, uint8_t, uint8_t, x &&y)
BINARY_FN(or_bool, , uint8_t, uint8_t, uint8_t, x || y)
BINARY_FN(xor_bool, , uint8_t, uint8_t, uint8_t, !x != !y)
static const binary_fn and_fns[REEL_DTYPE_COUNT] = {[REEL_BOOL] = and_bool};
static const binary_fn or_fns[REEL_DTYPE_COUNT] = {[REEL_BOOL] = or_bool};
static const binary_fn xor_fns[REEL_DTYPE_COUNT] = {[REEL_BOOL] = xor_bool};
BINARY_EVAL(and, REEL_BOOL)
BINARY_EVAL(or, REEL_BOOL)
BINARY_EVAL(xor, REEL_BOOL)

// A shift by a negative amount or by all the bits of the type or more leaves
// what the sign's extension alone produces (opset 28; undefined before).
#define BITS(T) ((int)(8 * sizeof(T)))
#define SHIFT_LEFT(D, s, T, U) BINARY_FN(shift_left_##s, , T, T, U, (uint64_t)y < BITS(T) ? (Wrap)x << y : 0)
#define SHIFT_RIGHT_UINT(D, s, T, U) BINARY_FN(shift_right_##s, , T, T, U, y < BITS(T) ? x >> y : 0)
#define SHIFT_RIGHT_SINT(D, s, T, U) \
    BINARY_FN(shift_right_##s, , T, T, U, x >> (y >= 0 && y < BITS(T) ? (int)y : BITS(T) - 1))
#define SHIFT_LEFT_ENTRY(D, s, T, U) ENTRY(D, shift_left_##s)
#define SHIFT_RIGHT_ENTRY(D, s, T, U) ENTRY(D, shift_right_##s)
EACH_INT(SHIFT_LEFT)
EACH_UINT(SHIFT_RIGHT_UINT)
EACH_SINT(SHIFT_RIGHT_SINT)
static const binary_fn shift_left_fns[REEL_DTYPE_COUNT] = {EACH_INT(SHIFT_LEFT_ENTRY)};
static const binary_fn shift_right_fns[REEL_DTYPE_COUNT] = {EACH_INT(SHIFT_RIGHT_ENTRY)};

static enum reel_err eval_bit_shift(const struct op_call *call)
{
    const char *direction = node_attr_string(call->node, "direction", "");
    if (!strcmp(direction, "LEFT")) return binary_eval(call, shift_left_fns, call->in[0]->dtype);
    if (!strcmp(direction, "RIGHT")) return binary_eval(call, shift_right_fns, call->in[0]->dtype);
    return reel_fail(REEL_ERR_INPUT, "attribute direction is \"%s\", but must be \"LEFT\" or \"RIGHT\"", direction);
}

// ---- Where ----------------------------------------------------------------

// By element size: the bits are moved, whatever they mean.
#define WHERE_FN(name, T)                                                                                         \
    static void name(void *out, const uint8_t *c, const int64_t *step, const void *px, const void *py, int64_t n) \
    {                                                                                                             \
        T *o = out;                                                                                               \
        const T *x = px, *y = py;                                                                                 \
        if (step[0] && step[1] && step[2]) {                                                                      \
            for (int64_t i = 0; i < n; i++) o[i] = c[i] ? x[i] : y[i];                                            \
        } else if (step[0] && step[2]) {                                                                          \
            const T one = *x;                                                                                     \
            for (int64_t i = 0; i < n; i++) o[i] = c[i] ? one : y[i];                                             \
        } else if (step[0] && step[1]) {                                                                          \
            const T one = *y;                                                                                     \
            for (int64_t i = 0; i < n; i++) o[i] = c[i] ? x[i] : one;                                             \
        } else {                                                                                                  \
            for (int64_t i = 0; i < n; i++) o[i] = c[i * step[0]] ? x[i * step[1]] : y[i * step[2]];              \
        }                                                                                                         \
    }
WHERE_FN(where_1, uint8_t)
WHERE_FN(where_2, uint16_t)
WHERE_FN(where_4, uint32_t)
WHERE_FN(where_8, uint64_t)

static enum reel_err where_shape(const struct op_call *call, struct reel_shape *out_shape)
{
    enum reel_err err = typed_present(call, 3);
    if (!err) err = typed_same(call, 1, 2);
    if (!err && call->in[0]->dtype != REEL_BOOL) err = typed_refuse(call, 0);
    if (!err && !reel_dtype_bytes(call->in[1]->dtype)) err = typed_refuse(call, 1);
    if (err) return err;
    for (int i = 0; i < 3; i++)
        if (call->in[i]->shape.ndim < 0) {
            *out_shape = shape_unknown();
            return REEL_OK;
        }
    struct reel_shape values;
    err = op_broadcast(&call->in[1]->shape, &call->in[2]->shape, &values);
    return err ? err : op_broadcast(&call->in[0]->shape, &values, out_shape);
}

static enum reel_err infer_where(const struct op_call *call)
{
    struct reel_shape shape;
    enum reel_err err = where_shape(call, &shape);
    if (!err) infer_out(call, 0, call->in[1]->dtype, &shape);
    return err;
}

static enum reel_err eval_where(const struct op_call *call)
{
    const struct reel_tensor *c = call->in[0], *x = call->in[1], *y = call->in[2];
    struct reel_shape shape;
    enum reel_err err = where_shape(call, &shape);
    if (err || !call->out[0]) return err;
    err = op_alloc_out(call, 0, x->dtype, &shape);
    if (err) return err;
    const size_t bytes = reel_dtype_bytes(x->dtype);
    char *out = call->out[0]->data;
    const struct reel_shape *const shapes[] = {&c->shape, &x->shape, &y->shape};
    struct walk w;
    for (walk_start(&w, &shape, shapes, 3); !w.done; walk_next(&w)) {
        const uint8_t *pc = (const uint8_t *)c->data + w.at[0];
        const char *px = (const char *)x->data + (size_t)w.at[1] * bytes;
        const char *py = (const char *)y->data + (size_t)w.at[2] * bytes;
        char *po = out + (size_t)w.out * bytes;
        if (bytes == 1) where_1(po, pc, w.step, px, py, w.run);
        if (bytes == 2) where_2(po, pc, w.step, px, py, w.run);
        if (bytes == 4) where_4(po, pc, w.step, px, py, w.run);
        if (bytes == 8) where_8(po, pc, w.step, px, py, w.run);
    }
    return REEL_OK;
}

// ---- the table ------------------------------------------------------------

const struct op_def ops_logic[] = {
    BINARY_DEF("And", 1, T_(REEL_BOOL), binary_infer_bool, eval_and),
    BINARY_DEF("BitShift", 11, TYPES_INT, binary_infer, eval_bit_shift),
    BINARY_DEF("BitwiseAnd", 18, TYPES_INT, binary_infer, eval_bitwise_and),
    BINARY_DEF("BitwiseOr", 18, TYPES_INT, binary_infer, eval_bitwise_or),
    BINARY_DEF("BitwiseXor", 18, TYPES_INT, binary_infer, eval_bitwise_xor),
    BINARY_DEF("Equal", 1, TYPES_ALL, binary_infer_bool, eval_equal),
    BINARY_DEF("Greater", 1, TYPES_NUM, binary_infer_bool, eval_greater),
    BINARY_DEF("GreaterOrEqual", 12, TYPES_NUM, binary_infer_bool, eval_greater_equal),
    BINARY_DEF("Less", 1, TYPES_NUM, binary_infer_bool, eval_less),
    BINARY_DEF("LessOrEqual", 12, TYPES_NUM, binary_infer_bool, eval_less_equal),
    BINARY_DEF("Or", 1, T_(REEL_BOOL), binary_infer_bool, eval_or),
    {"", "Where", 9, OPSET_LAST, 3, 3, 1, 1, T_(REEL_BOOL), OP_ELEMENTWISE, infer_where, eval_where, "no strings"},
    BINARY_DEF("Xor", 1, T_(REEL_BOOL), binary_infer_bool, eval_xor),
};
const int ops_logic_count = sizeof ops_logic / sizeof *ops_logic;

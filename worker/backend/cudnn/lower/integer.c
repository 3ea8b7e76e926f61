// SPDX-License-Identifier: MIT
//
// Pointwise operators of whole numbers (kernels/gpu/integer.h), in the types that the
// file declares: what networks do to indices and masks. And casts that move.c, which
// goes by way of float, leaves: to booleans, bytes and unsigned numbers.
#include <string.h>

#include "worker/backend/cudnn/program.h"

static bool kind_of(enum reel_dtype dtype, int *out)
{
    static const struct {
        enum reel_dtype dtype;
        enum gpu_integer_kind kind;
    } kinds[] = {{REEL_I8, GPU_INT_I8},     {REEL_I16, GPU_INT_I16}, {REEL_I32, GPU_INT_I32}, {REEL_I64, GPU_INT_I64},
                 {REEL_U8, GPU_INT_U8},     {REEL_U16, GPU_INT_U16}, {REEL_U32, GPU_INT_U32}, {REEL_U64, GPU_INT_U64},
                 {REEL_BOOL, GPU_INT_BOOL}, {REEL_F32, GPU_INT_F32}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (kinds[i].dtype == dtype) {
            *out = kinds[i].kind;
            return true;
        }
    return false;
}

// Types whose bits are only moved, by their size.
static bool bits_of(enum reel_dtype dtype, int *out)
{
    const size_t bytes = reel_dtype_bytes(dtype);
    *out = bytes == 1 ? GPU_INT_U8 : bytes == 2 ? GPU_INT_U16 : bytes == 4 ? GPU_INT_U32 : GPU_INT_U64;
    return bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8;
}

// ---- operators -------------------------------------------------------------------------

static int op_of(const struct node *node)
{
    static const struct {
        const char *name;
        enum gpu_integer_op op;
    } ops[] = {{"Neg", GPU_INT_NEG},        {"Abs", GPU_INT_ABS},        {"Sign", GPU_INT_SIGN},
               {"BitwiseNot", GPU_INT_NOT}, {"Add", GPU_INT_ADD},        {"Sum", GPU_INT_ADD},
               {"Sub", GPU_INT_SUB},        {"Mul", GPU_INT_MUL},        {"Div", GPU_INT_DIV},
               {"Pow", GPU_INT_POW},        {"Max", GPU_INT_MAX},        {"Min", GPU_INT_MIN},
               {"BitwiseAnd", GPU_INT_AND}, {"BitwiseOr", GPU_INT_OR},   {"BitwiseXor", GPU_INT_XOR},
               {"Equal", GPU_INT_EQ},       {"Greater", GPU_INT_GT},     {"GreaterOrEqual", GPU_INT_GE},
               {"Less", GPU_INT_LT},        {"LessOrEqual", GPU_INT_LE}, {"Where", GPU_INT_SELECT}};
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        if (node_is(node, ops[i].name)) return ops[i].op;
    if (node_is(node, "Mod")) return node_attr_int(node, "fmod", 0) ? GPU_INT_REM : GPU_INT_MOD;
    if (node_is(node, "BitShift"))
        return strcmp(node_attr_string(node, "direction", ""), "LEFT") ? GPU_INT_RIGHT : GPU_INT_LEFT;
    if (!node_is(node, "Clip") || node->n_in < 2) return -1;
    const bool low = node->in[1], high = node->n_in > 2 && node->in[2];
    return low && high ? GPU_INT_CLIP : low ? GPU_INT_MAX : high ? GPU_INT_MIN : -1;
}

static int arity(int op)
{
    return op < GPU_INT_ADD ? 1 : op < GPU_INT_CLIP ? 2 : 3;
}

// The node's inputs in order, NULL for an absent bound of Clip; false if it has other inputs.
static bool inputs_of(const struct node *node, int op, const struct value *in[3])
{
    int n = 0;
    for (int i = 0; i < node->n_in; i++) {
        if (!node->in[i] && node_is(node, "Clip")) continue;
        if (!node->in[i] || n == 3) return false;
        in[n++] = node->in[i];
    }
    return n == arity(op);
}

// The operands' types, which the operator must allow. Only Pow may have two different ones.
static bool types_of(const struct lowered *p, const struct value *const in[3], const struct info *out, int op,
                     struct gpu_integer *g)
{
    const bool select = op == GPU_INT_SELECT;
    for (int i = 0; i < g->n_in; i++) {
        const enum reel_dtype dtype = info_of(p, in[i])->dtype;
        if (select && i > 0 ? !bits_of(dtype, &g->in[i]) : !kind_of(dtype, &g->in[i])) return false;
        if (g->in[i] >= GPU_INT_F32 || (op == GPU_INT_POW && g->in[i] == GPU_INT_U64)) return false;
        if (i > select && op != GPU_INT_POW && dtype != info_of(p, in[select])->dtype) return false;
    }
    if (select && g->in[0] != GPU_INT_BOOL) return false;
    return select ? bits_of(out->dtype, &g->out) : kind_of(out->dtype, &g->out) && g->out < GPU_INT_F32;
}

// ---- extents and strides ---------------------------------------------------------------

static void set_strides(const struct reel_shape *s, const struct reel_shape *out, int64_t *stride)
{
    int64_t step = 1;
    const int less = out->ndim - s->ndim;
    for (int d = out->ndim - 1; d >= 0; d--) {
        const int64_t n = d < less ? 1 : s->dim[d - less];
        stride[d] = n == 1 ? 0 : step;
        step *= n;
    }
}

static bool one_stride(const struct gpu_integer *g, int d)
{
    for (int i = 0; i < g->n_in; i++)
        if (g->stride[i][d] != g->stride[i][d + 1] * g->extent[d + 1]) return false;
    return true;
}

// Merges neighbouring dimensions through which all operands advance evenly.
static void merge(struct gpu_integer *g)
{
    for (int d = g->n_dims - 2; d >= 0; d--) {
        if (!one_stride(g, d) && g->extent[d] != 1 && g->extent[d + 1] != 1) continue;
        const int from = g->extent[d + 1] == 1 ? d : d + 1; // the strides of this one stay
        g->extent[d] *= g->extent[d + 1];
        for (int i = 0; i < 3; i++) g->stride[i][d] = g->stride[i][from];
        for (int k = d + 1; k + 1 < g->n_dims; k++) {
            g->extent[k] = g->extent[k + 1];
            for (int i = 0; i < 3; i++) g->stride[i][k] = g->stride[i][k + 1];
        }
        g->n_dims--;
    }
}

static enum reel_err emit(struct lowered *p, const struct node *node, const struct value *const in[3],
                          struct gpu_integer g)
{
    struct step s = gpu_step_of(STEP_INTEGER, gpu_integer_op_name((enum gpu_integer_op)g.op));
    const struct info *out = info_of(p, node->out[0]);
    enum reel_err err = REEL_OK;
    g.n_dims = out->shape.ndim;
    g.count = out->count;
    for (int d = 0; d < g.n_dims; d++) g.extent[d] = (int32_t)out->shape.dim[d];
    for (int i = 0; i < g.n_in && !err; i++) {
        enum form_kind kind = FORM_PLAIN;
        set_strides(&info_of(p, in[i])->shape, &out->shape, g.stride[i]);
        if (g.in[i] != GPU_INT_F32) {
            err = gpu_need_form(p, in[i], FORM_PLAIN, &s.operand[i]);
            continue;
        }
        err = gpu_need_rows(p, in[i], &kind, &s.operand[i]);
        const enum gpu_elem elem = gpu_form_elem(p, info_of(p, in[i]), kind);
        g.in[i] = elem == GPU_ELEM_F16 ? GPU_INT_F16 : elem == GPU_ELEM_BF16 ? GPU_INT_BF16 : GPU_INT_F32;
    }
    merge(&g);
    if (!err) err = gpu_make_form(p, node->out[0], FORM_PLAIN, &s.y);
    s.u.integer = g;
    return err ? err : gpu_put_step(p, &s, node);
}

// Whether some operand is on the device (constants do not count).
static bool on_device(const struct lowered *p, const struct value *const in[3], int n)
{
    bool any = false;
    for (int i = 0; i < n; i++) {
        if (info_of(p, in[i])->count < 1) return false;
        any |= !in[i]->constant && !gpu_only_on_host(p, in[i]);
    }
    return any;
}

// move.c makes these as well or better.
static bool cast_types(enum reel_dtype from, enum reel_dtype to, struct gpu_integer *g)
{
    bool exact_from, exact_to;
    if (!kind_of(from, &g->in[0]) || !kind_of(to, &g->out) || from == to) return false;
    gpu_elem_of(from, &exact_from);
    gpu_elem_of(to, &exact_to);
    return !exact_from || !exact_to || to == REEL_BOOL || to == REEL_U8 || to == REEL_I8;
}

enum reel_err gpu_lower_integer(struct lowered *p, const struct node *node, bool *out_done)
{
    const struct value *in[3] = {NULL};
    struct gpu_integer g = {.op = -1};
    if (node->n_in < 1 || node->n_out != 1 || !node->in[0] || !node->out[0] || node->n_epilogue) return REEL_OK;
    const struct info *out = info_of(p, node->out[0]);
    if (*node->domain || out->count < 1 || out->count > INT32_MAX || out->shape.ndim > GPU_DIMS) return REEL_OK;
    if (node_is(node, "Cast") || node_is(node, "CastLike")) {
        in[0] = node->in[0], g.n_in = 1, g.op = GPU_INT_CAST;
        if (!cast_types(info_of(p, in[0])->dtype, out->dtype, &g)) return REEL_OK;
    } else {
        g.op = op_of(node);
        if (g.op < 0 || node->opset < 7 || !inputs_of(node, g.op, in)) return REEL_OK;
        g.n_in = arity(g.op);
        if (!types_of(p, in, out, g.op, &g)) return REEL_OK;
    }
    if (!on_device(p, in, g.n_in)) return REEL_OK; // small values that are only on the host stay there
    *out_done = true;
    return emit(p, node, in, g);
}

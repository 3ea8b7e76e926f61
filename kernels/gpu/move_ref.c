// SPDX-License-Identifier: MIT
//
// Plain C twins of the moving and elementwise kernels, and the element types. See ops.h. They are plain
// loops over all dimensions.
#include <string.h>

#include "common/tensor.h"
#include "kernels/gpu/chain_ref.h"
#include "kernels/gpu/fp8.h"

static const struct {
    size_t bytes;
    const char *name;
} elems[GPU_ELEM_COUNT + 1] = {
    [GPU_ELEM_F32] = {4, "f32"}, [GPU_ELEM_F16] = {2, "f16"}, [GPU_ELEM_BF16] = {2, "bf16"}, [GPU_ELEM_U8] = {1, "u8"},
    [GPU_ELEM_I8] = {1, "i8"},   [GPU_ELEM_I32] = {4, "i32"}, [GPU_ELEM_I64] = {8, "i64"},   [GPU_ELEM_F8] = {1, "f8"},
};

size_t gpu_elem_bytes(enum gpu_elem e)
{
    return elems[e].bytes;
}

const char *gpu_elem_name(enum gpu_elem e)
{
    return elems[e].name;
}

const char *gpu_op_name(enum gpu_op op)
{
    static const char *const names[GPU_OP_COUNT] = {
        [GPU_OP_ADD] = "add",
        [GPU_OP_SUB] = "sub",
        [GPU_OP_RSUB] = "rsub",
        [GPU_OP_MUL] = "mul",
        [GPU_OP_DIV] = "div",
        [GPU_OP_RDIV] = "rdiv",
        [GPU_OP_MAX] = "max",
        [GPU_OP_MIN] = "min",
        [GPU_OP_POW] = "pow",
        [GPU_OP_RPOW] = "rpow",
        [GPU_OP_PRELU] = "prelu",
        [GPU_OP_MOD] = "mod",
        [GPU_OP_EQ] = "eq",
        [GPU_OP_GT] = "gt",
        [GPU_OP_GE] = "ge",
        [GPU_OP_LT] = "lt",
        [GPU_OP_LE] = "le",
        [GPU_OP_AND] = "and",
        [GPU_OP_OR] = "or",
        [GPU_OP_XOR] = "xor",
        [GPU_OP_SELECT] = "select",
        [GPU_OP_ELSE] = "else",
        [GPU_OP_RELU] = "relu",
        [GPU_OP_LEAKY] = "leaky",
        [GPU_OP_CLIP] = "clip",
        [GPU_OP_SIGMOID] = "sigmoid",
        [GPU_OP_TANH] = "tanh",
        [GPU_OP_SILU] = "silu",
        [GPU_OP_HSWISH] = "hswish",
        [GPU_OP_HSIGMOID] = "hsigmoid",
        [GPU_OP_GELU_ERF] = "gelu",
        [GPU_OP_GELU_TANH] = "gelutanh",
        [GPU_OP_ELU] = "elu",
        [GPU_OP_MISH] = "mish",
        [GPU_OP_SELU] = "selu",
        [GPU_OP_CELU] = "celu",
        [GPU_OP_THRESHOLDED] = "thresholded",
        [GPU_OP_ABS] = "abs",
        [GPU_OP_NEG] = "neg",
        [GPU_OP_SQRT] = "sqrt",
        [GPU_OP_RECIPROCAL] = "reciprocal",
        [GPU_OP_EXP] = "exp",
        [GPU_OP_LOG] = "log",
        [GPU_OP_ERF] = "erf",
        [GPU_OP_FLOOR] = "floor",
        [GPU_OP_CEIL] = "ceil",
        [GPU_OP_ROUND] = "round",
        [GPU_OP_SIN] = "sin",
        [GPU_OP_COS] = "cos",
        [GPU_OP_SIGN] = "sign",
        [GPU_OP_SOFTPLUS] = "softplus",
        [GPU_OP_SOFTSIGN] = "softsign",
        [GPU_OP_NOT] = "not",
        [GPU_OP_AFFINE] = "affine",
        [GPU_OP_SWISH] = "swish",
        [GPU_OP_SHRINK] = "shrink",
        [GPU_OP_TAN] = "tan",
        [GPU_OP_ASIN] = "asin",
        [GPU_OP_ACOS] = "acos",
        [GPU_OP_ATAN] = "atan",
        [GPU_OP_SINH] = "sinh",
        [GPU_OP_COSH] = "cosh",
        [GPU_OP_ASINH] = "asinh",
        [GPU_OP_ACOSH] = "acosh",
        [GPU_OP_ATANH] = "atanh",
        [GPU_OP_IS_NAN] = "isnan",
        [GPU_OP_IS_INF] = "isinf",
    };
    return (unsigned)op < GPU_OP_COUNT && names[op] ? names[op] : "?";
}

float gpu_elem_load(enum gpu_elem e, const void *p, int64_t i)
{
    switch (e) {
    case GPU_ELEM_F32:
        return ((const float *)p)[i];
    case GPU_ELEM_F16:
        return reel_f16_to_f32(((const uint16_t *)p)[i]);
    case GPU_ELEM_BF16:
        return reel_bf16_to_f32(((const uint16_t *)p)[i]);
    case GPU_ELEM_U8:
        return ((const uint8_t *)p)[i];
    case GPU_ELEM_I8:
        return ((const int8_t *)p)[i];
    case GPU_ELEM_I32:
        return (float)((const int32_t *)p)[i];
    case GPU_ELEM_I64:
        return (float)((const int64_t *)p)[i];
    case GPU_ELEM_F8:
        return gpu_f8_value(((const uint8_t *)p)[i]);
    }
    return 0;
}

void gpu_elem_store(enum gpu_elem e, void *p, int64_t i, float v)
{
    switch (e) {
    case GPU_ELEM_F32:
        ((float *)p)[i] = v;
        return;
    case GPU_ELEM_F16:
        ((uint16_t *)p)[i] = reel_f32_to_f16(v);
        return;
    case GPU_ELEM_BF16:
        ((uint16_t *)p)[i] = reel_f32_to_bf16(v);
        return;
    case GPU_ELEM_U8:
        ((uint8_t *)p)[i] = (uint8_t)(int)v;
        return;
    case GPU_ELEM_I8:
        ((int8_t *)p)[i] = (int8_t)(int)v;
        return;
    case GPU_ELEM_I32:
        ((int32_t *)p)[i] = (int32_t)v;
        return;
    case GPU_ELEM_I64:
        ((int64_t *)p)[i] = (int64_t)v;
        return;
    case GPU_ELEM_F8:
        ((uint8_t *)p)[i] = gpu_f8_of(v);
        return;
    }
}

static void copy_element(const struct gpu_copy *p, const void *src, int64_t from, void *dst, int64_t to, bool filled,
                         bool zero)
{
    const enum gpu_elem a = (enum gpu_elem)p->from, b = (enum gpu_elem)p->to;
    if (filled || zero)
        gpu_elem_store(b, dst, to, zero ? 0 : p->fill);
    else if (a == b)
        memcpy((char *)dst + to * (int64_t)elems[b].bytes, (const char *)src + from * (int64_t)elems[a].bytes,
               elems[a].bytes);
    else
        gpu_elem_store(b, dst, to, gpu_elem_load(a, src, from));
}

void gpu_copy_ref(const struct gpu_copy *p, const void *src, void *dst, const int32_t *tables)
{
    int64_t count = 1;
    for (int d = 0; d < p->n_dims; d++) count *= p->extent[d];
    int32_t at[GPU_DIMS] = {0};
    for (int64_t i = 0; i < count; i++) {
        int64_t from = p->src_base, to = p->dst_base;
        bool filled = false;
        for (int d = 0; d < p->n_dims; d++) {
            const int64_t k = p->table[d] < 0 ? at[d] : tables[p->table[d] + at[d]];
            if (k < 0) filled = true;
            from += k * p->src_stride[d];
            to += at[d] * p->dst_stride[d];
        }
        const bool zero = p->pad_dim >= 0 && at[p->pad_dim] >= p->pad_from;
        copy_element(p, src, from, dst, to, filled, zero);
        for (int d = p->n_dims - 1; d >= 0 && ++at[d] == p->extent[d]; d--) at[d] = 0;
    }
}

static float elementwise_chain(const struct gpu_elementwise *p, const void *const *operand, float x, const int32_t *at)
{
    float b[GPU_OPERANDS] = {0};
    for (int k = 0; k < p->chain.n_operands; k++) {
        int64_t from = 0;
        for (int d = 0; d < p->n_dims; d++) from += at[d] * p->operand_stride[k][d];
        b[k] = gpu_elem_load((enum gpu_elem)p->chain.operand[k].elem, operand[k], from);
    }
    for (int i = 0; i < p->chain.n; i++) {
        const struct gpu_chain_step *s = &p->chain.step[i];
        const float v = s->operand >= 0 ? b[s->operand] : s->alpha;
        if (s->op == GPU_OP_SELECT) {
            const struct gpu_chain_step *other = s + 1;
            if (v == 0) x = other->operand >= 0 ? b[other->operand] : other->alpha;
            i++;
        } else if (s->op < GPU_OP_WITH_OPERAND) {
            x = gpu_op_binary(s->op, x, v);
        } else {
            x = gpu_op_unary(s->op, x, s->alpha, s->beta);
        }
    }
    return x;
}

void gpu_elementwise_ref(const struct gpu_elementwise *p, const void *x, const void *const *operand, void *y)
{
    int64_t count = 1;
    for (int d = 0; d < p->n_dims; d++) count *= p->extent[d];
    int32_t at[GPU_DIMS] = {0};
    for (int64_t i = 0; i < count; i++) {
        int64_t from = 0, to = 0;
        for (int d = 0; d < p->n_dims; d++) {
            from += at[d] * p->x_stride[d];
            to += at[d] * p->y_stride[d];
        }
        float v = 0;
        if (at[p->n_dims - 1] < p->last)
            v = elementwise_chain(p, operand, gpu_elem_load((enum gpu_elem)p->x_elem, x, from), at);
        gpu_elem_store((enum gpu_elem)p->y_elem, y, to, v);
        for (int d = p->n_dims - 1; d >= 0 && ++at[d] == p->extent[d]; d--) at[d] = 0;
    }
}

void gpu_finish_ref(const struct gpu_finish *p, const void *const *operand, void *y)
{
    const enum gpu_elem e = (enum gpu_elem)p->elem;
    for (int64_t i = 0; i < p->pixels; i++)
        for (int c = 0; c < p->channels; c++) {
            const int64_t at = i * p->pitch + c;
            const float v = gpu_chain_ref(&p->chain, p->from, operand, gpu_elem_load(e, y, at), i / p->image_pixels, i,
                                          c, p->pitch);
            gpu_elem_store(e, y, at, v);
        }
}

void gpu_gather_ref(const struct gpu_gather *p, const void *src, const int64_t *index, void *dst)
{
    const int64_t row = p->inner * p->elem_bytes;
    for (int64_t o = 0; o < p->outer; o++)
        for (int64_t j = 0; j < p->n_index; j++) {
            const int64_t k = index[j] < 0 ? index[j] + p->axis : index[j];
            char *to = (char *)dst + (o * p->n_index + j) * row;
            if (k < 0 || k >= p->axis)
                memset(to, 0, (size_t)row);
            else
                memcpy(to, (const char *)src + (o * p->axis + k) * row, (size_t)row);
        }
}

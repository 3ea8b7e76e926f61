// SPDX-License-Identifier: MIT
//
// QuantizeLinear and DequantizeLinear of 8 bits. Quantised networks are float
// networks here, whose numbers are rounded to steps between the layers (pass_quant.c
// makes QDQ form of all): where a QuantizeLinear is read by DequantizeLinear of the
// same steps alone, which is nearly always, both are one kernel from float to float,
// and the bytes between them are never made.
//
//   DequantizeLinear(QuantizeLinear(x)) = min(max(rint(x / s), lo - z), hi - z) * s
//
// is ONNX's formula (saturate(rint(x / s) + z) - z) * s, where all of it is exact but
// the two roundings that both have.
#include <string.h>

#include "worker/backend/cudnn/program.h"

struct steps {
    const struct value *scale, *zero; // zero NULL: the zero points are 0
    int axis;                         // for one scale a channel; -1: there is one scale
    float z;                          // the zero point, which is the same for all channels
    float lo, hi;                     // the limits of the type
};

static bool range_of(enum reel_dtype dtype, struct steps *s)
{
    if (dtype != REEL_U8 && dtype != REEL_I8) return false;
    s->lo = dtype == REEL_U8 ? 0 : -128;
    s->hi = dtype == REEL_U8 ? 255 : 127;
    return true;
}

static bool one_zero(const struct value *zero, float *out)
{
    *out = 0;
    if (!zero) return true;
    if (!zero->constant) return false;
    const int64_t n = reel_tensor_count(zero->constant);
    for (int64_t i = 0; i < n; i++)
        if (op_scalar(zero->constant, i) != op_scalar(zero->constant, 0)) return false;
    if (n) *out = (float)op_scalar(zero->constant, 0);
    return n > 0;
}

// The steps of a node over 8 bits whose scales are known: one for all, or one a channel.
static bool steps_of(const struct lowered *p, const struct node *node, const struct value *narrow, struct steps *s)
{
    const struct info *i = info_of(p, narrow);
    if (node->n_in < 2 || !node->in[1] || !node->in[1]->constant || node_attr_int(node, "block_size", 0)) return false;
    if (node_attr_int(node, "precision", 0) || node->in[1]->constant->dtype != REEL_F32) return false;
    *s = (struct steps){.scale = node->in[1], .zero = node->n_in > 2 ? node->in[2] : NULL, .axis = -1};
    if (!range_of(i->dtype, s) || !one_zero(s->zero, &s->z)) return false;
    const int64_t n = reel_tensor_count(s->scale->constant);
    if (n == 1) return true;
    int axis;
    if (op_axis(node_attr_int(node, "axis", 1), i->shape.ndim, &axis) || i->shape.dim[axis] != n) return false;
    s->axis = axis;
    return true;
}

static bool same_bytes(const struct reel_tensor *a, const struct reel_tensor *b)
{
    return a->dtype == b->dtype && reel_tensor_count(a) == reel_tensor_count(b) &&
           !memcmp(a->data, b->data, reel_tensor_bytes(a));
}

static bool same_steps(const struct steps *a, const struct steps *b)
{
    return a->axis == b->axis && a->z == b->z &&
           (a->scale == b->scale || same_bytes(a->scale->constant, b->scale->constant));
}

static bool scale_step(struct lowered *p, struct pointwise *plan, enum gpu_op op, const struct steps *s)
{
    const int k = plan->chain.n_operands;
    if (!gpu_pointwise_operand(p, plan, op, s->scale)) return false;
    if (s->axis >= 0) plan->along[k] = s->axis + 1;
    return true;
}

static bool is_dequantize(const struct node *node)
{
    return node_is(node, "DequantizeLinear") && node->n_out == 1 && node->out[0] && !node->n_epilogue;
}

// Whether nobody reads the bytes.
static bool bytes_are_unread(const struct lowered *p, const struct value *bytes, const struct steps *s)
{
    if (bytes->is_output || !bytes->n_use_nodes || bytes->n_uses != bytes->n_use_nodes) return false;
    for (int i = 0; i < bytes->n_use_nodes; i++) {
        const struct node *d = bytes->uses[i];
        struct steps other;
        if (!is_dequantize(d) || d->in[0] != bytes || info_of(p, d->out[0])->dtype != REEL_F32) return false;
        if (!steps_of(p, d, bytes, &other) || !same_steps(s, &other)) return false;
    }
    return true;
}

static enum reel_err quantize(struct lowered *p, const struct node *node, bool *out_done)
{
    const struct value *x = node->in[0], *bytes = node->out[0];
    struct steps s;
    if (info_of(p, x)->dtype != REEL_F32 || !steps_of(p, node, bytes, &s)) return REEL_OK;
    const bool pair = bytes_are_unread(p, bytes, &s);
    struct pointwise plan = {.main = x};
    bool ok = scale_step(p, &plan, GPU_OP_DIV, &s) && gpu_pointwise_step(&plan, GPU_OP_ROUND, 0, 0);
    if (pair)
        ok = ok && gpu_pointwise_step(&plan, GPU_OP_CLIP, s.lo - s.z, s.hi - s.z) &&
             scale_step(p, &plan, GPU_OP_MUL, &s);
    else
        ok = ok && gpu_pointwise_step(&plan, GPU_OP_ADD, s.z, 0) && gpu_pointwise_step(&plan, GPU_OP_CLIP, s.lo, s.hi);
    if (!ok) return REEL_OK;
    const struct value *to = pair ? bytes->uses[0]->out[0] : bytes;
    enum reel_err err = gpu_pointwise_emit(p, node, pair ? "to steps" : "quantize", &plan, to);
    for (int i = 1; i < bytes->n_use_nodes && pair && !err; i++) {
        struct info *other = info_of(p, bytes->uses[i]->out[0]);
        // with the padding lanes that its readers want
        if (other->pitch != info_of(p, to)->pitch) err = gpu_pointwise_emit(p, node, "to steps", &plan, other->v);
        for (int k = 0; k < FORMS && other->pitch == info_of(p, to)->pitch; k++)
            other->form[k] = info_of(p, to)->form[k];
    }
    *out_done = true;
    return err;
}

static enum reel_err dequantize(struct lowered *p, const struct node *node, bool *out_done)
{
    const struct value *bytes = node->in[0], *y = node->out[0];
    struct steps s;
    struct pointwise plan = {.main = bytes};
    *out_done = gpu_on_device(p, info_of(p, y)); // its QuantizeLinear has made it
    if (*out_done || info_of(p, y)->dtype != REEL_F32 || !steps_of(p, node, bytes, &s)) return REEL_OK;
    if (!gpu_pointwise_step(&plan, GPU_OP_SUB, s.z, 0) || !scale_step(p, &plan, GPU_OP_MUL, &s)) return REEL_OK;
    *out_done = true;
    return gpu_pointwise_emit(p, node, "dequantize", &plan, y);
}

enum reel_err gpu_lower_quantize(struct lowered *p, const struct node *node, bool *out_done)
{
    const bool q = node_is(node, "QuantizeLinear");
    if ((!q && !is_dequantize(node)) || !node->in[0] || !node->out[0] || node->n_epilogue) return REEL_OK;
    const struct info *in = info_of(p, node->in[0]);
    // The bytes between such a pair were never made.
    if (q ? !gpu_on_device(p, in) && !in->deferred.from
          : !gpu_on_device(p, in) && !gpu_on_device(p, info_of(p, node->out[0])))
        return REEL_OK;
    return q ? quantize(p, node, out_done) : dequantize(p, node, out_done);
}

// SPDX-License-Identifier: MIT
//
// What 8-bit convolutions and products share: their constant weights, biases as
// part of the sum, and clamps as bounds of the rounding. See quant.h;
// called while quant_conv.c and quant_deconv.c compile.
#include <math.h>
#include <stdlib.h>

#include "worker/backend/onednn/lower/quant.h"
#include "worker/onnx/op.h"

// ---- weights ----------------------------------------------------------------------

bool weights8_fit(const struct reel_tensor *t, int64_t outputs)
{
    return !t || reel_tensor_count(t) == 1 || (reel_tensor_count(t) == outputs && t->shape.ndim == 1);
}

bool weights8_dequantized(struct program *p, const struct value *v, int axis, struct weights8 *w)
{
    const struct node *d = v ? info_of(p, v)->dequantize : NULL;
    if (!d || !constant_of(d->in[0])) return false;
    w->w = constant_of(d->in[0]);
    w->scale = constant_of(d->in[1]);
    w->zero = d->n_in > 2 ? constant_of(d->in[2]) : NULL;
    if (!w->scale || w->scale->dtype != REEL_F32 || !is_byte(w->w->dtype)) return false;
    if (node_attr_int(d, "block_size", 0) || axis >= w->w->shape.ndim) return false;
    w->outputs = w->w->shape.dim[axis];
    if (w->outputs < 1) return false;
    if (!weights8_fit(w->scale, w->outputs) || !weights8_fit(w->zero, w->outputs)) return false;
    int64_t along = node_attr_int(d, "axis", 1);
    if (along < 0) along += w->w->shape.ndim;
    if (reel_tensor_count(w->scale) > 1 && along != axis) return false;
    w->inputs = reel_tensor_count(w->w) / w->outputs;
    w->transposed = axis > 0;
    return true;
}

int16_t *weights8_centred(struct program *p, const struct weights8 *w)
{
    const size_t bytes = sizeof *p->weights16 * (size_t)(w->outputs * w->inputs);
    if (bytes > p->weights16_bytes) {
        free(p->weights16);
        p->weights16 = malloc(bytes);
        p->weights16_bytes = p->weights16 ? bytes : 0;
    }
    int16_t *out = p->weights16;
    const bool many = w->zero && reel_tensor_count(w->zero) > 1;
    for (int64_t o = 0; out && o < w->outputs; o++) {
        const int zero = w->zero ? (int)op_scalar_int(w->zero, many ? o : 0) : 0;
        for (int64_t i = 0; i < w->inputs; i++) {
            const int64_t at = w->transposed ? i * w->outputs + o : o * w->inputs + i;
            const int x = w->w->dtype == REEL_I8 ? ((const int8_t *)w->w->data)[at] : ((const uint8_t *)w->w->data)[at];
            out[o * w->inputs + i] = (int16_t)(x - zero);
        }
    }
    return out;
}

float weights8_scale(const struct weights8 *w, int64_t o)
{
    return w->scale ? (float)op_scalar(w->scale, reel_tensor_count(w->scale) > 1 ? o : 0) : 1;
}

// ---- biases and clamps -------------------------------------------------------------

bool whole_bias(const float *bias, const float *factor, int n, int32_t *out)
{
    for (int o = 0; o < n; o++) {
        const double steps = factor[o] != 0 ? (double)bias[o] / factor[o] : 0.5, whole = rint(steps);
        if (!(fabs(whole) < 1 << 24) || fabs(steps - whole) > 2e-7 * fabs(steps) + 1e-9) return false;
        out[o] = (int32_t)whole;
    }
    return true;
}

const float *constant_bias(struct program *p, const struct node *node, int n, bool *out_ok)
{
    const struct info *b = node->n_in > 2 && node->in[2] ? info_of(p, node->in[2]) : NULL;
    *out_ok = !b || (b->form[LAYOUT_PLAIN].constant && b->dtype == REEL_F32 && b->count == n);
    return b && *out_ok ? b->form[LAYOUT_PLAIN].constant : NULL;
}

bool only_clamps(const struct conv_epilogue *e, float scale, float *lo, float *hi)
{
    for (int i = 0; i < e->n; i++) {
        const struct conv_step *s = &e->step[i];
        if (s->kind != CONV_RELU && s->kind != CONV_CLIP) return false;
        const float low = s->kind == CONV_RELU ? 0 : s->alpha / scale,
                    high = s->kind == CONV_RELU ? INFINITY : s->beta / scale;
        if (!(low <= high)) return false;
        const float was = *lo;
        *lo = fminf(fmaxf(was, low), *hi);
        *hi = fmaxf(fminf(*hi, high), was);
    }
    return true;
}

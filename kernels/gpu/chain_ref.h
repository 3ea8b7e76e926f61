// SPDX-License-Identifier: MIT
//
// A chain of pointwise steps applied to an image, for the twins of ops.h.
#ifndef REEL_KERNELS_GPU_CHAIN_REF_H
#define REEL_KERNELS_GPU_CHAIN_REF_H

#include "kernels/gpu/math.h"

// Applies the steps from number `from` on to value x of channel c in pixel `pixel` of image
// `image`. pitch: that of the result.
static inline float gpu_chain_ref(const struct gpu_chain *chain, int from, const void *const *operand, float x,
                                  int64_t image, int64_t pixel, int c, int pitch)
{
    for (int i = from; i < chain->n; i++) {
        const struct gpu_chain_step *s = &chain->step[i];
        if (s->op >= GPU_OP_WITH_OPERAND) {
            x = gpu_op_unary(s->op, x, s->alpha, s->beta);
            continue;
        }
        float b = s->alpha;
        if (s->operand >= 0) {
            const struct gpu_chain_operand *o = &chain->operand[s->operand];
            const int64_t at = o->per_channel ? image * o->image_stride + c : pixel * (o->pitch ? o->pitch : pitch) + c;
            b = gpu_elem_load((enum gpu_elem)o->elem, operand[s->operand], at);
        }
        x = gpu_op_binary(s->op, x, b);
    }
    return x;
}

#endif

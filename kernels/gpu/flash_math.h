// SPDX-License-Identifier: MIT
//
// The formulas of flash.h for one element, shared by kernel and twin. Needs
// GPU_LOAD(elem, p, i) before it is included; flash.cu defines it.
#ifndef REEL_KERNELS_GPU_FLASH_MATH_H
#define REEL_KERNELS_GPU_FLASH_MATH_H

#include "kernels/gpu/attention_math.h"
#include "kernels/gpu/flash.h"

// Where matrix i begins.
GPU_FN int64_t gpu_flash_at(const struct gpu_flash_place *m, int64_t i)
{
    const int64_t c = i % m->extent[1], ab = i / m->extent[1];
    return ab / m->extent[0] * m->stride[0] + ab % m->extent[0] * m->stride[1] + c * m->stride[2];
}

// The score of a product of q and k, before the terms.
GPU_FN float gpu_flash_scaled(const struct gpu_flash *p, float product)
{
    const float v = p->scale * product;
    return p->softcap > 0 ? p->softcap * tanhf(v / p->softcap) : v;
}

// The score v after a term whose element is t.
GPU_FN float gpu_flash_with(const struct gpu_flash_term *term, float v, float t)
{
    if (term->op == GPU_FLASH_ADD) return v + t;
    if (term->op == GPU_FLASH_MUL) return v * t;
    return (t != 0) == (term->op == GPU_FLASH_KEEP) ? v : term->fill;
}

#endif

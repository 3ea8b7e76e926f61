// SPDX-License-Identifier: MIT
//
// Chooses the 8-bit kernels for this CPU, and has their plain C twin. See conv8.h.
#include "kernels/conv8.h"

#include <stdlib.h>
#include <string.h>

extern const struct conv8_kernels conv8_kernels_base;
#if defined(__x86_64__)
extern const struct conv8_kernels conv8_kernels_avx2, conv8_kernels_avx512, conv8_kernels_vnni;
#endif

const struct conv8_kernels *conv8_kernels_get(enum conv8_isa most, int lanes)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    const bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    if (lanes == 16 && wide) {
        if (most >= CONV8_ISA_VNNI && __builtin_cpu_supports("avx512vnni")) return &conv8_kernels_vnni;
        if (most >= CONV8_ISA_AVX512) return &conv8_kernels_avx512;
    }
    if (lanes == 8 && most >= CONV8_ISA_AVX2 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return &conv8_kernels_avx2;
#endif
    return lanes == conv8_kernels_base.lanes ? &conv8_kernels_base : NULL;
}

void conv8_plan_fini(struct conv8_plan *p)
{
    free(p->w);
    free(p->sums);
    free(p->taps);
    memset(p, 0, sizeof *p);
}

static uint32_t ref_pixel(const struct conv_geometry *g, const uint8_t *image, int zero, const int16_t *weights, int o,
                          int y, int x)
{
    const int icg = g->ic / g->groups, group = o / (g->oc / g->groups);
    uint32_t sum = 0;
    for (int i = 0; i < icg; i++)
        for (int ky = 0; ky < g->kh; ky++)
            for (int kx = 0; kx < g->kw; kx++) {
                int iy = y * g->sh - g->pad_top + ky * g->dh, ix = x * g->sw - g->pad_left + kx * g->dw;
                if (iy < 0 || iy >= g->ih || ix < 0 || ix >= g->iw) continue;
                int a = image[((size_t)(group * icg + i) * g->ih + iy) * g->iw + ix] - zero;
                sum += (uint32_t)(a * weights[(((size_t)o * icg + i) * g->kh + ky) * g->kw + kx]);
            }
    return sum;
}

void conv8_ref(const struct conv_geometry *g, const uint8_t *src, int zero, const int16_t *weights, int32_t *sums)
{
    for (int n = 0; n < g->n; n++)
        for (int o = 0; o < g->oc; o++)
            for (int y = 0; y < g->oh; y++)
                for (int x = 0; x < g->ow; x++)
                    *sums++ = (int32_t)ref_pixel(g, src + (size_t)n * g->ic * g->ih * g->iw, zero, weights, o, y, x);
}

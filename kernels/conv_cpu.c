// SPDX-License-Identifier: MIT
//
// Chooses the convolution kernels for this CPU, and has their plain C twins.
#include "kernels/conv_cpu.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

extern const struct conv_kernels conv_kernels_base;
#if defined(__x86_64__)
extern const struct conv_kernels conv_kernels_avx2, conv_kernels_avx512;
extern const struct conv_kernels conv16_kernels_avx512, conv16_kernels_avx512_emulated;
extern const struct conv_kernels conv16_kernels_amx, conv16_kernels_amx_emulated;
#endif

const struct conv_kernels *conv_kernels_get(enum cpu_isa most)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (most >= CPU_ISA_AVX512 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        return &conv_kernels_avx512;
    if (most >= CPU_ISA_AVX2 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return &conv_kernels_avx2;
#endif
    return &conv_kernels_base;
}

#if defined(__x86_64__) && defined(__linux__)
// Linux lets only processes that ask for them use the tile registers (Documentation/arch/x86/xstate.rst).
#define ARCH_REQ_XCOMP_PERM 0x1023
#define XFEATURE_XTILEDATA 18

static bool may_use_amx(void)
{
    return __builtin_cpu_supports("amx-tile") && __builtin_cpu_supports("amx-bf16") &&
           !syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA);
}
#else
static bool may_use_amx(void)
{
    return false;
}
#endif

enum conv_bf16 conv_bf16_of_cpu(void)
{
#if defined(__x86_64__)
    if (conv_kernels_get(CPU_ISA_AVX512)->isa == CPU_ISA_AVX512 && __builtin_cpu_supports("avx512bf16"))
        return may_use_amx() ? CONV_BF16_AMX : CONV_BF16_AVX512;
#endif
    return CONV_BF16_NONE;
}

const struct conv_kernels *conv_kernels_bf16(enum conv_bf16 how, bool emulated)
{
#if defined(__x86_64__)
    if (emulated && conv_kernels_get(CPU_ISA_AVX512)->isa == CPU_ISA_AVX512)
        return how == CONV_BF16_AMX ? &conv16_kernels_amx_emulated : &conv16_kernels_avx512_emulated;
    if (!emulated && how != CONV_BF16_NONE && how <= conv_bf16_of_cpu())
        return how == CONV_BF16_AMX ? &conv16_kernels_amx : &conv16_kernels_avx512;
#endif
    return NULL;
}

void conv_plan_fini(struct conv_plan *p)
{
    for (int i = 0; p->class_list && i < p->n_classes; i++) free(p->class_list[i]);
    free(p->class_list);
    free(p->class_taps);
    free(p->w);
    free(p->bias);
    memset(p, 0, sizeof *p);
}

// ---- cutting ---------------------------------------------------------------------

static int blocks_of(int channels, int lanes)
{
    return (channels + lanes - 1) / lanes;
}

int conv_unit_rows(int rows, int most, int least)
{
    const int parts = ((rows + most - 1) / most + 7) / 8 * 8, even = (rows + parts - 1) / parts;
    return even > least ? even : rows < least ? rows : least;
}

int conv_plan_cut(struct conv_plan *p, int unit_rows, bool chunk_outer)
{
    const bool direct = p->method == CONV_METHOD_DIRECT;
    const int parts = (p->g.oh + unit_rows - 1) / unit_rows;
    p->chunk_outer = chunk_outer && direct;
    const int chunks = p->chunk_outer                       ? p->n_chunks * p->g.groups
                       : p->method == CONV_METHOD_DEPTHWISE ? blocks_of(p->g.oc, p->lanes)
                                                            : 1;
    p->unit_rows = unit_rows;
    p->units_per_image = parts * chunks;
    p->units = p->units_per_image * p->g.n;
    return chunks;
}

void conv_plan_chunk(const struct conv_plan *p, int chunk, int *out_begin, int *out_end)
{
    if (p->method == CONV_METHOD_DEPTHWISE) {
        *out_begin = chunk, *out_end = chunk + 1;
        return;
    }
    // pairs of blocks; if their number is odd, the last three are done together
    const int of_group = blocks_of(p->g.oc / p->g.groups, p->lanes), group = chunk / p->n_chunks;
    const int within = chunk % p->n_chunks;
    *out_begin = group * of_group + 2 * within;
    *out_end = within + 1 == p->n_chunks ? (group + 1) * of_group : *out_begin + 2;
}

// ---- groups that fill no vectors ----------------------------------------------------

int conv_merge_groups(const struct conv_geometry *g, int lanes, bool src_plain)
{
    const int icg = g->ic / g->groups, ocg = g->oc / g->groups;
    for (int m = 1; m <= lanes && m <= g->groups; m *= 2)
        if (g->groups % m == 0 && m * ocg % lanes == 0 && (src_plain || m * icg % lanes == 0)) return m;
    // done all together, they need no whole vectors
    return g->groups <= CONV_MERGE_ALL ? g->groups : 0;
}

void conv_merge_weights(const struct conv_geometry *g, int merge, const float *weights, float *out)
{
    const size_t icg = (size_t)(g->ic / g->groups), ocg = (size_t)(g->oc / g->groups);
    const size_t taps = (size_t)g->kh * (size_t)g->kw, from = icg * taps, to = from * (size_t)merge;
    memset(out, 0, sizeof(float) * to * (size_t)g->oc);
    for (size_t o = 0; o < (size_t)g->oc; o++)
        memcpy(out + o * to + o / ocg % (size_t)merge * from, weights + o * from, sizeof(float) * from);
}

// ---- twins -----------------------------------------------------------------------

static double ref_pixel(const struct conv_geometry *g, const float *image, const float *weights, int o, int y, int x)
{
    const int icg = g->ic / g->groups, group = o / (g->oc / g->groups);
    double sum = 0;
    for (int i = 0; i < icg; i++)
        for (int ky = 0; ky < g->kh; ky++)
            for (int kx = 0; kx < g->kw; kx++) {
                int iy = y * g->sh - g->pad_top + ky * g->dh, ix = x * g->sw - g->pad_left + kx * g->dw;
                if (iy < 0 || iy >= g->ih || ix < 0 || ix >= g->iw) continue;
                double a = image[((size_t)(group * icg + i) * g->ih + iy) * g->iw + ix];
                sum += a * weights[(((size_t)o * icg + i) * g->kh + ky) * g->kw + kx];
            }
    return sum;
}

void conv_ref(const struct conv_geometry *g, const float *src, const float *weights, const float *bias, float *dst)
{
    for (int n = 0; n < g->n; n++)
        for (int o = 0; o < g->oc; o++)
            for (int y = 0; y < g->oh; y++)
                for (int x = 0; x < g->ow; x++)
                    *dst++ = (float)(ref_pixel(g, src + (size_t)n * g->ic * g->ih * g->iw, weights, o, y, x) +
                                     (bias ? bias[o] : 0));
}

float conv_step_ref(const struct conv_step *s, float value, float full, float chan)
{
    const double x = value, sigmoid = 1 / (1 + exp(-x));
    switch (s->kind) {
    case CONV_ADD_FULL:
        return (float)(x + full);
    case CONV_MUL_FULL:
        return (float)(x * full);
    case CONV_ADD_CHAN:
        return (float)(x + chan);
    case CONV_MUL_CHAN:
        return (float)(x * chan);
    case CONV_SUB_FULL:
        return (float)(x - full);
    case CONV_RSUB_FULL:
        return (float)(full - x);
    case CONV_DIV_FULL:
        return (float)(x / full);
    case CONV_RDIV_FULL:
        return (float)(full / x);
    case CONV_MAX_FULL:
        return (float)fmax(x, full);
    case CONV_MIN_FULL:
        return (float)fmin(x, full);
    case CONV_SUB_CHAN:
        return (float)(x - chan);
    case CONV_RSUB_CHAN:
        return (float)(chan - x);
    case CONV_DIV_CHAN:
        return (float)(x / chan);
    case CONV_RDIV_CHAN:
        return (float)(chan / x);
    case CONV_ABS:
        return (float)fabs(x);
    case CONV_NEG:
        return (float)-x;
    case CONV_SQRT:
        return (float)sqrt(x);
    case CONV_SLOPE:
        return (float)(x < 0 ? x * chan : x);
    case CONV_RELU:
        return (float)(x > 0 ? x : 0);
    case CONV_LEAKY:
        return (float)(x < 0 ? x * s->alpha : x);
    case CONV_CLIP:
        return (float)fmin(fmax(x, s->alpha), s->beta);
    case CONV_SIGMOID:
        return (float)sigmoid;
    case CONV_TANH:
        return (float)tanh(x);
    case CONV_SILU:
        return (float)(x * sigmoid);
    case CONV_HSWISH:
        return (float)(x * fmin(fmax(x / 6 + 0.5, 0), 1));
    case CONV_HSIGMOID:
        return (float)fmin(fmax(s->alpha * x + s->beta, 0), 1);
    case CONV_GELU_ERF:
        return (float)(0.5 * x * (1 + erf(x / sqrt(2))));
    case CONV_GELU_TANH:
        return (float)(0.5 * x * (1 + tanh(0.7978845608028654 * (x + 0.044715 * x * x * x))));
    case CONV_ELU:
        return (float)(x < 0 ? s->alpha * expm1(x) : x);
    case CONV_MISH:
        return (float)(x * tanh(log1p(exp(x))));
    }
    return value;
}

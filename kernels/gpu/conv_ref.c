// SPDX-License-Identifier: MIT
//
// Twins of the kernels with windows and products: convolution, matrix product,
// pooling, resampling; see ops.h. The convolution and the product also
// stand for cuDNN's in the host executor, so their inner loops run over
// contiguous channels and whole networks take seconds, not hours.
#include <stdlib.h>
#include <string.h>

#include "kernels/gpu/chain_ref.h"
#include "kernels/simd.h"

static float *to_float(enum gpu_elem e, const void *p, int64_t count)
{
    float *f = malloc((size_t)(count ? count : 1) * sizeof *f);
    for (int64_t i = 0; f && i < count; i++) f[i] = gpu_elem_load(e, p, i);
    return f;
}

KERN_CLONES static void add_scaled(float *acc, const float *w, float x, int n)
{
    for (int i = 0; i < n; i++) acc[i] += x * w[i];
}

// Adds x (c) times w (c,k) to acc (k). Each sum is made in the order of c; many channels are summed in
// registers.
KERN_CLONES static void add_product(float *acc, const float *w, const float *x, int n_c, int n_k)
{
    enum { MANY = 32 };
    int k = 0;
    for (; k + MANY <= n_k; k += MANY) {
        float sum[MANY];
        for (int i = 0; i < MANY; i++) sum[i] = acc[k + i];
        for (int c = 0; c < n_c; c++)
            for (int i = 0; i < MANY; i++) sum[i] += x[c] * w[(int64_t)c * n_k + k + i];
        for (int i = 0; i < MANY; i++) acc[k + i] = sum[i];
    }
    for (int c = 0; k < n_k && c < n_c; c++)
        for (int i = k; i < n_k; i++) acc[i] += x[c] * w[(int64_t)c * n_k + i];
}

// The type of the numbers that a convolution reads.
static enum gpu_elem x_elem(const struct gpu_conv *p)
{
    return p->x_f8 ? GPU_ELEM_F8 : (enum gpu_elem)p->elem;
}

static void store_pixel(const struct gpu_conv *p, const float *acc, const void *const *operand, void *y, int64_t image,
                        int64_t pixel)
{
    const enum gpu_elem e = (enum gpu_elem)p->elem;
    for (int k = 0; k < p->k; k++)
        gpu_elem_store(e, y, pixel * p->y_pitch + k,
                       gpu_chain_ref(&p->chain, 0, operand, acc[k], image, pixel, k, p->y_pitch));
    for (int k = p->k; k < p->y_lanes; k++) gpu_elem_store(e, y, pixel * p->y_pitch + k, 0);
}

// The weights as (g,R,S,C/g,K/g) in float.
static float *ordered_weights(const struct gpu_conv *p, const void *w)
{
    const int cg = p->c / p->groups, kg = p->k / p->groups, taps = p->r * p->s;
    float *out = malloc((size_t)p->groups * (size_t)taps * (size_t)cg * (size_t)kg * sizeof *out);
    for (int g = 0; out && g < p->groups; g++)
        for (int t = 0; t < taps; t++)
            for (int c = 0; c < cg; c++)
                for (int k = 0; k < kg; k++) {
                    const int64_t from = p->transposed ? ((int64_t)(g * cg + c) * taps + t) * kg + k
                                                       : ((int64_t)(g * kg + k) * taps + t) * cg + c;
                    out[(((int64_t)g * taps + t) * cg + c) * kg + k] = gpu_elem_load(x_elem(p), w, from);
                }
    return out;
}

static void conv_pixel(const struct gpu_conv *p, const float *x, const float *w, float *acc, int n, int py, int px)
{
    const int cg = p->c / p->groups, kg = p->k / p->groups;
    memset(acc, 0, (size_t)p->k * sizeof *acc);
    for (int r = 0; r < p->r; r++) {
        const int iy = py * p->stride_h - p->pad_top + r * p->dilation_h;
        if (iy < 0 || iy >= p->h) continue;
        for (int s = 0; s < p->s; s++) {
            const int ix = px * p->stride_w - p->pad_left + s * p->dilation_w;
            if (ix < 0 || ix >= p->w) continue;
            const float *in = x + (((int64_t)n * p->h + iy) * p->w + ix) * p->x_pitch;
            for (int g = 0; g < p->groups; g++)
                add_product(acc + g * kg, w + ((int64_t)g * p->r * p->s + r * p->s + s) * cg * kg, in + g * cg, cg, kg);
        }
    }
}

static void deconv_image(const struct gpu_conv *p, const float *x, const float *w, float *acc, int n)
{
    const int cg = p->c / p->groups, kg = p->k / p->groups;
    memset(acc, 0, (size_t)p->p * (size_t)p->q * (size_t)p->k * sizeof *acc);
    for (int iy = 0; iy < p->h; iy++)
        for (int ix = 0; ix < p->w; ix++)
            for (int t = 0; t < p->r * p->s; t++) {
                const int oy = iy * p->stride_h - p->pad_top + t / p->s * p->dilation_h;
                const int ox = ix * p->stride_w - p->pad_left + t % p->s * p->dilation_w;
                if (oy < 0 || oy >= p->p || ox < 0 || ox >= p->q) continue;
                const float *in = x + (((int64_t)n * p->h + iy) * p->w + ix) * p->x_pitch;
                float *out = acc + ((int64_t)oy * p->q + ox) * p->k;
                for (int g = 0; g < p->groups; g++)
                    for (int c = 0; c < cg; c++)
                        add_scaled(out + g * kg, w + (((int64_t)g * p->r * p->s + t) * cg + c) * kg, in[g * cg + c],
                                   kg);
            }
}

void gpu_conv_ref(const struct gpu_conv *p, const void *x, const void *w, const void *const *operand, void *y)
{
    const int64_t pixels = (int64_t)p->p * p->q;
    // nothing behind the last pixel's channels is read: it belongs to another tensor, or to nobody
    const int64_t x_pixels = (int64_t)p->n * p->h * p->w;
    float *xf = to_float(x_elem(p), x, x_pixels ? (x_pixels - 1) * p->x_pitch + p->c : 0);
    float *wf = ordered_weights(p, w);
    float *acc = malloc((size_t)(p->transposed ? pixels : 1) * (size_t)p->k * sizeof *acc);
    if (!xf || !wf || !acc) abort(); // a twin cannot report it
    for (int n = 0; n < p->n; n++) {
        if (p->transposed) deconv_image(p, xf, wf, acc, n);
        for (int64_t i = 0; i < pixels; i++) {
            if (!p->transposed) conv_pixel(p, xf, wf, acc, n, (int)(i / p->q), (int)(i % p->q));
            store_pixel(p, p->transposed ? acc + i * p->k : acc, operand, y, n, n * pixels + i);
        }
    }
    free(xf);
    free(wf);
    free(acc);
}

void gpu_depthwise_ref(const struct gpu_conv *p, const void *x, const void *w, const void *const *operand, void *y)
{
    const enum gpu_elem e = (enum gpu_elem)p->elem;
    float *xf = to_float(e, x, (int64_t)p->n * p->h * p->w * p->x_pitch);
    float *wf = to_float(e, w, (int64_t)p->r * p->s * p->y_pitch);
    float *acc = malloc((size_t)p->k * sizeof *acc);
    if (!xf || !wf || !acc) abort();
    for (int64_t i = 0; i < (int64_t)p->n * p->p * p->q; i++) {
        const int64_t n = i / p->q / p->p;
        memset(acc, 0, (size_t)p->k * sizeof *acc);
        for (int t = 0; t < p->r * p->s; t++) {
            const int64_t iy = i / p->q % p->p * p->stride_h - p->pad_top + t / p->s * p->dilation_h;
            const int64_t ix = i % p->q * p->stride_w - p->pad_left + t % p->s * p->dilation_w;
            if (iy < 0 || iy >= p->h || ix < 0 || ix >= p->w) continue;
            const float *in = xf + ((n * p->h + iy) * p->w + ix) * p->x_pitch;
            for (int k = 0; k < p->k; k++) acc[k] += in[k] * wf[t * p->y_pitch + k];
        }
        store_pixel(p, acc, operand, y, n, i);
    }
    free(xf);
    free(wf);
    free(acc);
}

void gpu_matmul_ref(const struct gpu_matmul *p, const void *x, const void *w, const void *const *operand, void *y)
{
    float *wf = malloc((size_t)p->c * (size_t)p->k * sizeof *wf), *acc = malloc((size_t)p->k * sizeof *acc);
    if (!wf || !acc) abort();
    for (int b = 0; b < p->batches; b++) {
        if (b == 0 || p->w_batch)
            for (int c = 0; c < p->c; c++)
                for (int k = 0; k < p->k; k++)
                    wf[(int64_t)c * p->k + k] =
                        gpu_elem_load((enum gpu_elem)p->w_elem, w, b * p->w_batch + c * p->w_row + k * p->w_col);
        for (int m = 0; m < p->m; m++) {
            memset(acc, 0, (size_t)p->k * sizeof *acc);
            for (int c = 0; c < p->c; c++)
                add_scaled(acc, wf + (int64_t)c * p->k,
                           gpu_elem_load((enum gpu_elem)p->x_elem, x, b * p->x_batch + m * p->x_row + c * p->x_col),
                           p->k);
            const int64_t row = (int64_t)b * p->m + m;
            for (int k = 0; k < p->k; k++)
                gpu_elem_store((enum gpu_elem)p->y_elem, y, b * p->y_batch + (int64_t)m * p->k + k,
                               gpu_chain_ref(&p->chain, 0, operand, acc[k] * p->alpha, b, row, k, p->k));
        }
    }
    free(wf);
    free(acc);
}

// ---- windows and resampling -------------------------------------------------------

static float pool_at(const struct gpu_pool *p, const void *x, int64_t n, int py, int px, int c)
{
    float sum = 0, most = -INFINITY;
    int count = 0;
    for (int r = 0; r < p->r; r++)
        for (int s = 0; s < p->s; s++) {
            const int iy = py * p->stride_h - p->pad_top + r * p->dilation_h;
            const int ix = px * p->stride_w - p->pad_left + s * p->dilation_w;
            const bool inside = iy >= 0 && iy < p->h && ix >= 0 && ix < p->w;
            if (inside || (p->count_pad && iy < p->h + p->pad_bottom && ix < p->w + p->pad_right)) count++;
            if (!inside) continue;
            const float v = gpu_elem_load((enum gpu_elem)p->elem, x, ((n * p->h + iy) * p->w + ix) * p->x_pitch + c);
            sum += v;
            if (v > most || v != v) most = v;
        }
    return p->average ? count ? sum / (float)count : 0 : most;
}

void gpu_pool_ref(const struct gpu_pool *p, const void *x, void *y)
{
    for (int64_t i = 0; i < (int64_t)p->n * p->p * p->q; i++)
        for (int c = 0; c < p->y_pitch; c++) {
            float v = 0;
            if (c < p->c) v = pool_at(p, x, i / p->q / p->p, (int)(i / p->q % p->p), (int)(i % p->q), c);
            gpu_elem_store((enum gpu_elem)p->elem, y, i * p->y_pitch + c, v);
        }
}

void gpu_resize_ref(const struct gpu_resize *p, const void *x, const int32_t *index, const float *weight, void *y)
{
    const int32_t *cols = index + (int64_t)p->p * p->taps_h;
    const float *col_weight = weight + (int64_t)p->p * p->taps_h;
    for (int64_t i = 0; i < (int64_t)p->n * p->p * p->q; i++) {
        const int64_t n = i / p->q / p->p, py = i / p->q % p->p, px = i % p->q;
        for (int c = 0; c < p->y_pitch; c++) {
            float v = 0;
            for (int a = 0; c < p->c && a < p->taps_h; a++) {
                float row = 0;
                for (int b = 0; b < p->taps_w; b++) {
                    const int64_t at =
                        ((n * p->h + index[py * p->taps_h + a]) * p->w + cols[px * p->taps_w + b]) * p->x_pitch + c;
                    row += col_weight[px * p->taps_w + b] * gpu_elem_load((enum gpu_elem)p->elem, x, at);
                }
                v += weight[py * p->taps_h + a] * row;
            }
            gpu_elem_store((enum gpu_elem)p->elem, y, i * p->y_pitch + c, v);
        }
    }
}

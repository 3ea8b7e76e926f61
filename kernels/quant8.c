// SPDX-License-Identifier: MIT
//
// Operations on 8-bit tensors in plain loops that the compiler makes vectors of;
// see quant8.h.
#include "kernels/quant8.h"

#include <math.h>
#include <string.h>

#include "kernels/simd.h"

KERN_CLONES void q8_quantize(uint8_t *dst, const float *src, size_t n, struct q8_scale to)
{
    const float zero = (float)to.zero, scale = to.scale;
    const uint8_t flip = (uint8_t)to.flip;
    for (size_t i = 0; i < n; i++) {
        float v = rintf(src[i] / scale) + zero;
        v = v > 0.0f ? v : 0.0f;
        v = v < 255.0f ? v : 255.0f;
        dst[i] = (uint8_t)((uint8_t)(int32_t)v ^ flip);
    }
}

KERN_CLONES void q8_dequantize(float *dst, const uint8_t *src, size_t n, struct q8_scale from)
{
    const int zero = from.zero;
    const float scale = from.scale;
    const uint8_t flip = (uint8_t)from.flip;
    for (size_t i = 0; i < n; i++) dst[i] = (float)((int)(uint8_t)(src[i] ^ flip) - zero) * scale;
}

KERN_CLONES void q8_range(const float *src, size_t n, float *in_out_low, float *in_out_high)
{
    // sixteen runs side by side, so that the compiler need not reorder
    float low[16], high[16];
    for (int k = 0; k < 16; k++) low[k] = *in_out_low, high[k] = *in_out_high;
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        for (int k = 0; k < 16; k++) {
            low[k] = src[i + k] < low[k] ? src[i + k] : low[k];
            high[k] = src[i + k] > high[k] ? src[i + k] : high[k];
        }
    for (; i < n; i++) {
        low[0] = src[i] < low[0] ? src[i] : low[0];
        high[0] = src[i] > high[0] ? src[i] : high[0];
    }
    for (int k = 0; k < 16; k++) {
        *in_out_low = low[k] < *in_out_low ? low[k] : *in_out_low;
        *in_out_high = high[k] > *in_out_high ? high[k] : *in_out_high;
    }
}

// ---- layout --------------------------------------------------------------------

// Pixels turned at a time: within the first-level cache on both sides.
#define TURN 256

void q8_block(const struct blocked_shape *s, int flip, const uint8_t *src, uint8_t *dst, int begin, int end)
{
    const size_t plane = (size_t)s->h * (size_t)s->w, v = (size_t)s->lanes;
    const int nb = blocked_count(s);
    for (int u = begin; u < end; u++) {
        const int c0 = u % nb * s->lanes, have = s->c - c0 < s->lanes ? s->c - c0 : s->lanes;
        const uint8_t *from = src + ((size_t)(u / nb) * (size_t)s->c + (size_t)c0) * plane;
        uint8_t *to = dst + (size_t)u * plane * v;
        for (size_t p0 = 0; p0 < plane; p0 += TURN) {
            const size_t p1 = p0 + TURN < plane ? p0 + TURN : plane;
            if ((size_t)have < v) memset(to + p0 * v, 0, (p1 - p0) * v);
            for (int c = 0; c < have; c++)
                for (size_t p = p0; p < p1; p++) to[p * v + (size_t)c] = from[(size_t)c * plane + p] ^ (uint8_t)flip;
        }
    }
}

void q8_unblock(const struct blocked_shape *s, int flip, const uint8_t *src, uint8_t *dst, int begin, int end)
{
    const size_t plane = (size_t)s->h * (size_t)s->w, v = (size_t)s->lanes;
    const int nb = blocked_count(s);
    for (int u = begin; u < end; u++) {
        const int c0 = u % nb * s->lanes, have = s->c - c0 < s->lanes ? s->c - c0 : s->lanes;
        const uint8_t *from = src + (size_t)u * plane * v;
        uint8_t *to = dst + ((size_t)(u / nb) * (size_t)s->c + (size_t)c0) * plane;
        for (size_t p0 = 0; p0 < plane; p0 += TURN) {
            const size_t p1 = p0 + TURN < plane ? p0 + TURN : plane;
            for (int c = 0; c < have; c++)
                for (size_t p = p0; p < p1; p++) to[(size_t)c * plane + p] = from[p * v + (size_t)c] ^ (uint8_t)flip;
        }
    }
}

// ---- pooling -------------------------------------------------------------------

// to[i] = the larger of it and x, `pixels` times `lanes` of them; x steps by
// `step` bytes.
KERN_CLONES static void larger(uint8_t *restrict to, const uint8_t *restrict x, size_t pixels, size_t lanes,
                               size_t step)
{
    if (step == lanes) {
        for (size_t i = 0; i < pixels * lanes; i++) to[i] = x[i] > to[i] ? x[i] : to[i];
    } else if (lanes == 16) {
        for (size_t p = 0; p < pixels; p++)
            for (size_t i = 0; i < 16; i++)
                to[p * 16 + i] = x[p * step + i] > to[p * 16 + i] ? x[p * step + i] : to[p * 16 + i];
    } else {
        for (size_t p = 0; p < pixels; p++)
            for (size_t i = 0; i < lanes; i++)
                to[p * lanes + i] = x[p * step + i] > to[p * lanes + i] ? x[p * step + i] : to[p * lanes + i];
    }
}

// Output columns [*first, *last) whose input at kernel column kx is inside.
static void columns_inside(const struct blocked_shape *in, const struct blocked_shape *out, const struct q8_window *w,
                           int kx, int *first, int *last)
{
    const int at = kx * w->dw - w->pad_left; // of output column 0
    *first = at < 0 ? (-at + w->sw - 1) / w->sw : 0;
    *last = at > in->w - 1 ? 0 : (in->w - 1 - at) / w->sw + 1;
    if (*last > out->w) *last = out->w;
}

static void max_row(const struct blocked_shape *in, const struct blocked_shape *out, const struct q8_window *w,
                    const uint8_t *plane, int y, uint8_t *to)
{
    const size_t v = (size_t)in->lanes;
    memset(to, 0, (size_t)out->w * v);
    for (int ky = 0; ky < w->kh; ky++) {
        const int iy = y * w->sh - w->pad_top + ky * w->dh;
        if (iy < 0 || iy >= in->h) continue;
        for (int kx = 0; kx < w->kw; kx++) {
            int first, last;
            columns_inside(in, out, w, kx, &first, &last);
            if (first >= last) continue;
            const ptrdiff_t x = (ptrdiff_t)first * w->sw + kx * w->dw - w->pad_left;
            larger(to + (size_t)first * v, plane + ((size_t)iy * (size_t)in->w + (size_t)x) * v, (size_t)(last - first),
                   v, (size_t)w->sw * v);
        }
    }
}

void q8_max_pool(const struct blocked_shape *in, const struct blocked_shape *out, const struct q8_window *w,
                 const uint8_t *src, uint8_t *dst, int begin, int end)
{
    const size_t v = (size_t)in->lanes;
    for (int u = begin; u < end; u++) {
        const uint8_t *plane = src + (size_t)u * (size_t)in->h * (size_t)in->w * v;
        uint8_t *to = dst + (size_t)u * (size_t)out->h * (size_t)out->w * v;
        for (int y = 0; y < out->h; y++, to += (size_t)out->w * v) max_row(in, out, w, plane, y, to);
    }
}

KERN_CLONES void q8_sum(const struct blocked_shape *s, int zero, const uint8_t *src, int32_t *sums, int begin, int end)
{
    const size_t plane = (size_t)s->h * (size_t)s->w, v = (size_t)s->lanes;
    for (int u = begin; u < end; u++) {
        const uint8_t *from = src + (size_t)u * plane * v;
        uint32_t sum[16] = {0};
        for (size_t p = 0; p < plane; p++)
            for (size_t c = 0; c < v; c++) sum[c] += from[p * v + c];
        for (size_t c = 0; c < v; c++) sums[(size_t)u * v + c] = (int32_t)(sum[c] - (uint32_t)zero * (uint32_t)plane);
    }
}

// SPDX-License-Identifier: MIT
//
// Operations on 8-bit tensors, as plain loops that the compiler vectorises. See quant8.h.
#include "kernels/quant8.h"

#include <math.h>
#include <string.h>

#include "kernels/simd.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

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
    // sixteen runs side by side, so that the compiler need not change the order of the sums
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

// Transposes sixteen rows of sixteen bytes: four times, every row of the upper half is interleaved with one
// of the lower half.
#if defined(__SSE2__)
static inline __attribute__((always_inline)) void turn16(__m128i x[16])
{
#pragma GCC unroll 4
    for (int round = 0; round < 4; round++) {
        __m128i y[16];
#pragma GCC unroll 8
        for (int i = 0; i < 8; i++) {
            y[2 * i] = _mm_unpacklo_epi8(x[i], x[i + 8]);
            y[2 * i + 1] = _mm_unpackhi_epi8(x[i], x[i + 8]);
        }
#pragma GCC unroll 16
        for (int i = 0; i < 16; i++) x[i] = y[i];
    }
}

// Writes sixteen pixels of up to sixteen channels, which lie `plane` apart, as `v` bytes a pixel.
static void block16(const uint8_t *from, size_t plane, int have, uint8_t *to, size_t v, int flip)
{
    __m128i x[16];
    const __m128i turned = _mm_set1_epi8((char)flip);
    for (int c = 0; c < 16; c++)
        x[c] = c < have ? _mm_xor_si128(_mm_loadu_si128((const __m128i *)(from + (size_t)c * plane)), turned)
                        : _mm_setzero_si128();
    turn16(x);
    for (int p = 0; p < 16; p++, to += v)
        if (v == 16)
            _mm_storeu_si128((__m128i *)to, x[p]);
        else
            _mm_storel_epi64((__m128i *)to, x[p]);
}

static void unblock16(const uint8_t *from, size_t v, uint8_t *to, size_t plane, int have, int flip)
{
    __m128i x[16];
    for (int p = 0; p < 16; p++, from += v)
        x[p] = v == 16 ? _mm_loadu_si128((const __m128i *)from) : _mm_loadl_epi64((const __m128i *)from);
    turn16(x);
    const __m128i turned = _mm_set1_epi8((char)flip);
    for (int c = 0; c < have; c++) _mm_storeu_si128((__m128i *)(to + (size_t)c * plane), _mm_xor_si128(x[c], turned));
}
#define TURN 16
#else
#define TURN 0
#endif

void q8_block(const struct blocked_shape *s, int flip, const uint8_t *src, uint8_t *dst, int begin, int end)
{
    const size_t plane = (size_t)s->h * (size_t)s->w, v = (size_t)s->lanes;
    const int nb = blocked_count(s);
    for (int u = begin; u < end; u++) {
        const int c0 = u % nb * s->lanes, have = s->c - c0 < s->lanes ? s->c - c0 : s->lanes;
        const uint8_t *from = src + ((size_t)(u / nb) * (size_t)s->c + (size_t)c0) * plane;
        uint8_t *to = dst + (size_t)u * plane * v;
        size_t p = 0;
#if TURN
        for (; p + TURN <= plane; p += TURN) block16(from + p, plane, have, to + p * v, v, flip);
#endif
        for (; p < plane; p++)
            for (size_t c = 0; c < v; c++) to[p * v + c] = (int)c < have ? from[c * plane + p] ^ (uint8_t)flip : 0;
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
        size_t p = 0;
#if TURN
        for (; p + TURN <= plane; p += TURN) unblock16(from + p * v, v, to + p, plane, have, flip);
#endif
        for (int c = 0; c < have; c++)
            for (size_t q = p; q < plane; q++) to[(size_t)c * plane + q] = from[q * v + (size_t)c] ^ (uint8_t)flip;
    }
}

// ---- moves --------------------------------------------------------------------

static void gather_row(const uint8_t *src, uint8_t *dst, const int *map_x, int width, const size_t v, int fill)
{
    for (int x = 0; x < width; x++, dst += v)
        if (map_x[x] >= 0)
            memcpy(dst, src + (size_t)map_x[x] * v, v);
        else
            memset(dst, fill, v);
}

void q8_gather(const struct blocked_shape *in, const struct blocked_shape *out, const int *map_y, const int *map_x,
               int fill, const uint8_t *src, uint8_t *dst, int begin, int end)
{
    const size_t v = (size_t)in->lanes, row = (size_t)out->w * v;
    for (int u = begin; u < end; u++) {
        const uint8_t *from = src + (size_t)u * (size_t)in->h * (size_t)in->w * v;
        uint8_t *to = dst + (size_t)u * (size_t)out->h * row;
        for (int y = 0; y < out->h; y++, to += row) {
            if (map_y[y] < 0)
                memset(to, fill, row);
            else if (y && map_y[y] == map_y[y - 1])
                memcpy(to, to - row, row);
            else if (v == 16)
                gather_row(from + (size_t)map_y[y] * (size_t)in->w * v, to, map_x, out->w, 16, fill);
            else
                gather_row(from + (size_t)map_y[y] * (size_t)in->w * v, to, map_x, out->w, v, fill);
        }
    }
}

void q8_gather_plain(const struct blocked_shape *in, const struct blocked_shape *out, const int *map_y,
                     const int *map_x, const uint8_t *src, uint8_t *dst, int begin, int end)
{
    const size_t row = (size_t)out->w;
    for (int u = begin; u < end; u++) {
        const uint8_t *from = src + (size_t)u * (size_t)in->h * (size_t)in->w;
        uint8_t *to = dst + (size_t)u * (size_t)out->h * row;
        for (int y = 0; y < out->h; y++, to += row) {
            const uint8_t *line = from + (size_t)map_y[y] * (size_t)in->w;
            if (y && map_y[y] == map_y[y - 1])
                memcpy(to, to - row, row);
            else
                for (int x = 0; x < out->w; x++) to[x] = line[map_x[x]];
        }
    }
}

// Moves one row of pixels: `b` neighbours of each go to places that are b apart.
static void spread_row(const uint8_t *q, uint8_t *to, int width, size_t v, const size_t b, uint8_t flip)
{
    for (int x = 0; x < width; x++, q += v, to += b)
        for (size_t k = 0; k < b; k++) to[k] = q[k] ^ flip;
}

void q8_depth_to_space(const struct blocked_shape *s, int b, bool crd, int flip, const uint8_t *src, uint8_t *dst,
                       int begin, int end)
{
    const int co = s->c / (b * b), nb = blocked_count(s), v = s->lanes;
    const size_t plane = (size_t)s->h * (size_t)s->w, wide = (size_t)s->w * (size_t)b;
    for (int u = begin; u < end; u++) {
        const int c = u % co;
        const uint8_t *from = src + (size_t)(u / co) * (size_t)nb * plane * (size_t)v;
        uint8_t *to = dst + (size_t)u * plane * (size_t)(b * b);
        for (int y = 0; y < s->h; y++)
            for (int by = 0; by < b; by++, to += wide) {
                const int first = crd ? c * b * b + by * b : by * b * co + c;
                const uint8_t *row = from + (size_t)y * (size_t)s->w * (size_t)v;
                const uint8_t *q = row + (size_t)(first / v) * plane * (size_t)v + first % v;
                if (crd && (b == 2 || b == 4) && v % b == 0) {
                    if (b == 2) spread_row(q, to, s->w, (size_t)v, 2, (uint8_t)flip);
                    if (b == 4) spread_row(q, to, s->w, (size_t)v, 4, (uint8_t)flip);
                    continue;
                }
                for (int bx = 0; bx < b; bx++) {
                    const int ch = first + bx * (crd ? 1 : co);
                    q = row + (size_t)(ch / v) * plane * (size_t)v + ch % v;
                    for (int x = 0; x < s->w; x++) to[x * b + bx] = q[(size_t)x * (size_t)v] ^ (uint8_t)flip;
                }
            }
    }
}

// ---- pooling -------------------------------------------------------------------

// Sets to[i] to the larger of it and x, for `lanes` numbers of each of `pixels` pixels; x advances by
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

// The output columns [*first, *last) whose input at kernel column kx is inside the picture.
static void columns_inside(const struct blocked_shape *in, const struct blocked_shape *out, const struct q8_window *w,
                           int kx, int *first, int *last)
{
    const int at = kx * w->dw - w->pad_left; // the input of output column 0
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

// SPDX-License-Identifier: MIT
//
// The formulas of gpu_detect.h for one element, once for kernels and twins.
// Included after gpu_pixels_math.h and what that needs.
#ifndef REEL_KERNELS_GPU_DETECT_MATH_H
#define REEL_KERNELS_GPU_DETECT_MATH_H

#include "kernels/gpu_detect.h"
#include "kernels/gpu_pixels_math.h"

// ---- boxes: kernels/nms.c -----------------------------------------------------------

// Whether box i stands before box j in the order of scores.
GPU_FN bool gpu_box_before(const struct nms_box *boxes, int i, int j)
{
    float a = boxes[i].score, b = boxes[j].score;
    if (a != b) return a > b;
    if (boxes[i].index != boxes[j].index) return boxes[i].index < boxes[j].index;
    return i < j;
}

// Its place in that order among numbers; -1: its score is none.
GPU_FN int gpu_box_rank(const struct nms_box *boxes, int n, int i)
{
    if (boxes[i].score != boxes[i].score) return -1;
    int rank = 0;
    for (int j = 0; j < n; j++) rank += boxes[j].score == boxes[j].score && j != i && gpu_box_before(boxes, j, i);
    return rank;
}

GPU_FN float gpu_min(float a, float b)
{
    return a < b ? a : b;
}

GPU_FN float gpu_max(float a, float b)
{
    return a > b ? a : b;
}

GPU_FN bool gpu_box_hides(const struct nms_box *a, const struct nms_box *b, float iou)
{
    if (a->class_id != b->class_id) return false;
    float w = GPU_SUB(gpu_min(a->x2, b->x2), gpu_max(a->x1, b->x1));
    float h = GPU_SUB(gpu_min(a->y2, b->y2), gpu_max(a->y1, b->y1));
    float common = w > 0.0f && h > 0.0f ? GPU_MUL(w, h) : 0.0f, value = 0.0f;
    float all = GPU_SUB(GPU_ADD(GPU_MUL(GPU_SUB(a->x2, a->x1), GPU_SUB(a->y2, a->y1)),
                                GPU_MUL(GPU_SUB(b->x2, b->x1), GPU_SUB(b->y2, b->y1))),
                        common);
    if (common > 0.0f && all > 0.0f) value = common / all;
    return value > iou;
}

// ---- masks: kernels/mask.c --------------------------------------------------------------

GPU_FN uint8_t gpu_class_at(const struct gpu_classes *p, int i, int j)
{
    const struct mask_scores *s = &p->scores;
    const float *wx = p->x.weight + (size_t)i * (size_t)p->x.taps, *wy = p->y.weight + (size_t)j * (size_t)p->y.taps;
    int best = 0;
    float top = 0;
    for (int c = 0; c < s->n; c++) {
        const float *from =
            s->data + (size_t)c * s->step_c + (size_t)p->y.first[j] * s->step_y + (size_t)p->x.first[i] * s->step_x;
        float sum = 0;
        for (int v = 0; v < p->y.taps; v++) {
            float row = 0;
            for (int u = 0; u < p->x.taps; u++)
                row = GPU_ADD(row, GPU_MUL(wx[u], from[(size_t)v * s->step_y + (size_t)u * s->step_x]));
            sum = GPU_ADD(sum, GPU_MUL(wy[v], row));
        }
        if (c == 0 || sum > top) top = sum, best = c;
    }
    return (uint8_t)(best > 255 ? 255 : best);
}

GPU_FN uint8_t gpu_weight_at(const struct gpu_weights *p, int x, int y)
{
    float v = gpu_column_sum(&p->columns, 0, x, y);
    if (!p->matte) return v > p->threshold;
    v = GPU_MUL(v, 255.0f);
    v = v > 0.0f ? v : 0.0f;
    v = v < 255.0f ? v : 255.0f;
    return (uint8_t)(int)GPU_ADD(v, 0.5f);
}

// ---- painting: aggregator/post/paint.c -------------------------------------------------------

GPU_FN int gpu_planes_of(const struct yuv_picture *p)
{
    return p->layout == YUV_GRAY ? 1 : p->layout == YUV_NV ? 2 : 3;
}

GPU_FN void gpu_shift_of(const struct yuv_picture *p, int component, int *out_sx, int *out_sy)
{
    bool chroma = component > 0 && p->layout != YUV_GBR;
    *out_sx = chroma ? p->log2_cw : 0;
    *out_sy = chroma ? p->log2_ch : 0;
}

// Where component (0, 1, 2) of sample (x, y) stands.
GPU_FN void gpu_sample_at(const struct yuv_picture *p, int component, int x, int y, uint8_t **out_8, uint16_t **out_16)
{
    bool nv = p->layout == YUV_NV && component > 0;
    uint8_t *row = p->plane[nv ? 1 : component] + (size_t)y * p->stride[nv ? 1 : component];
    int at = nv ? 2 * x + component - 1 : x;
    *out_8 = row + at;
    *out_16 = (uint16_t *)row + at;
}

GPU_FN void gpu_fill_sample(const struct gpu_fill *p, int component, int x, int y)
{
    uint8_t *s8;
    uint16_t *s16;
    gpu_sample_at(&p->dst, component, x, y, &s8, &s16);
    if (p->dst.depth > 8)
        *s16 = (uint16_t)(p->ink.sample[component] << p->dst.shift);
    else
        *s8 = (uint8_t)p->ink.sample[component];
}

// Sample ranges of the rectangle; false: nothing of it is inside.
GPU_FN bool gpu_fill_range(const struct gpu_fill *p, int component, int *x0, int *y0, int *x1, int *y1)
{
    int sx, sy;
    gpu_shift_of(&p->dst, component, &sx, &sy);
    int left = p->x < 0 ? 0 : p->x, top = p->y < 0 ? 0 : p->y;
    int right = p->x + p->w > p->dst.width ? p->dst.width : p->x + p->w;
    int bottom = p->y + p->h > p->dst.height ? p->dst.height : p->y + p->h;
    *x0 = left >> sx, *x1 = (right + (1 << sx) - 1) >> sx;
    *y0 = top >> sy, *y1 = (bottom + (1 << sy) - 1) >> sy;
    return left < right && top < bottom;
}

GPU_FN void gpu_overlay_sample(const struct gpu_overlay *p, const uint8_t *alpha_of, const struct gpu_ink *ink_of,
                               int component, int x, int y)
{
    const struct yuv_picture *d = &p->dst;
    int sx, sy, sum = 0, n = 0, inside = -1;
    gpu_shift_of(d, component, &sx, &sy);
    for (int i = 0; i < 1 << (sx + sy); i++) {
        int lx = (x << sx) + (i & ((1 << sx) - 1)), ly = (y << sy) + (i >> sx);
        if (lx >= d->width || ly >= d->height) continue;
        int at = p->mask[(size_t)ly * p->mask_stride + (size_t)lx];
        sum += alpha_of[at];
        n++;
        // The ink of the first sample; of the last one inside where that is outside.
        if (i == 0 || (alpha_of[at] &&
                       (inside < 0 || !alpha_of[p->mask[(size_t)(y << sy) * p->mask_stride + (size_t)(x << sx)]])))
            inside = at;
    }
    int alpha = n > 1 ? (sum + n / 2) / n : sum;
    if (!alpha) return;
    uint8_t *s8;
    uint16_t *s16;
    gpu_sample_at(d, component, x, y, &s8, &s16);
    int old = d->depth > 8 ? *s16 >> d->shift : *s8, ink = ink_of[inside].sample[component];
    int v = old + ((ink - old) * alpha + (ink >= old ? 127 : -127)) / 255;
    if (d->depth > 8)
        *s16 = (uint16_t)(v << d->shift);
    else
        *s8 = (uint8_t)v;
}

#endif

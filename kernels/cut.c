// SPDX-License-Identifier: MIT
//
// cut.h: luma alone (green of GBR), as a small picture of means, at which three
// things are looked: how far the light of a coarse grid moved, how far the histogram
// did, and whether the grid's pattern is another. Motion keeps the histogram, a fade
// the pattern; a cut changes all three.
#include "kernels/cut.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CELL 10 // side of a cell of the grid, in pixels of the small picture
#define BINS 64
#define FAR 4 // a mean difference of a quarter of the range already counts as the largest

struct small {
    int w, h;
    const uint8_t *mean; // [h][w]
};

static uint32_t sum_of_row(const struct yuv_picture *p, int y, int x0, int x1)
{
    const uint8_t *row = p->plane[0] + (size_t)y * p->stride[0];
    uint32_t sum = 0;
    if (p->depth > 8) {
        const int shift = p->shift + p->depth - 8;
        for (int x = x0; x < x1; x++) sum += (uint32_t)(((const uint16_t *)(const void *)row)[x] >> shift);
    } else {
        for (int x = x0; x < x1; x++) sum += row[x];
    }
    return sum;
}

void cut_small_size(const struct yuv_picture *p, int *out_w, int *out_h)
{
    *out_w = p->width < CUT_SMALL_W ? p->width : CUT_SMALL_W;
    *out_h = p->height < CUT_SMALL_H ? p->height : CUT_SMALL_H;
}

void cut_shrink(const struct yuv_picture *p, uint8_t *out)
{
    int w, h;
    cut_small_size(p, &w, &h);
    for (int i = 0; i < h; i++) {
        const int y0 = i * p->height / h, y1 = (i + 1) * p->height / h;
        uint64_t sum[CUT_SMALL_W] = {0};
        for (int y = y0; y < y1; y++)
            for (int k = 0; k < w; k++) sum[k] += sum_of_row(p, y, k * p->width / w, (k + 1) * p->width / w);
        for (int k = 0; k < w; k++) {
            const uint64_t n = (uint64_t)((k + 1) * p->width / w - k * p->width / w) * (uint64_t)(y1 - y0);
            const uint64_t mean = (sum[k] + n / 2) / n;
            out[i * w + k] = mean > 255 ? 255 : (uint8_t)mean;
        }
    }
}

// Half of what the histograms differ by, 0..1. Each is smoothed, so that a little more light makes only a
// small difference.
static double histograms_differ(const struct small *a, const struct small *b)
{
    static const int weight[5] = {1, 2, 3, 2, 1}; // the sum is 9
    int64_t by[BINS + 4] = {0}, sum = 0;
    for (int y = 0; y < a->h; y++)
        for (int x = 0; x < a->w; x++) {
            by[a->mean[y * a->w + x] * BINS / 256 + 2]++;
            by[b->mean[y * a->w + x] * BINS / 256 + 2]--;
        }
    for (int i = 0; i < BINS; i++) {
        int64_t smooth = 0;
        for (int k = 0; k < 5; k++) smooth += weight[k] * by[i + k];
        sum += llabs(smooth);
    }
    return (double)sum / (2.0 * 9 * a->w * a->h);
}

struct grid {
    int n;
    // Sum of each cell, as if all cells had CELL x CELL pixels.
    int64_t sum[(CUT_SMALL_W / CELL) * (CUT_SMALL_H / CELL)];
};

static void make_grid(const struct small *s, struct grid *out)
{
    const int columns = s->w < CELL ? 1 : s->w / CELL, rows = s->h < CELL ? 1 : s->h / CELL;
    out->n = columns * rows;
    for (int i = 0; i < out->n; i++) {
        const int y0 = i / columns * s->h / rows, y1 = (i / columns + 1) * s->h / rows;
        const int x0 = i % columns * s->w / columns, x1 = (i % columns + 1) * s->w / columns;
        int64_t sum = 0;
        for (int y = y0; y < y1; y++)
            for (int x = x0; x < x1; x++) sum += s->mean[y * s->w + x];
        out->sum[i] = sum * CELL * CELL / ((y1 - y0) * (x1 - x0));
    }
}

// The correlation of two grids, -1..1; 0 if one of them is flat.
static double pattern(const struct grid *a, const struct grid *b)
{
    int64_t sa = 0, sb = 0, aa = 0, bb = 0, ab = 0;
    for (int i = 0; i < a->n; i++) {
        sa += a->sum[i], sb += b->sum[i];
        aa += a->sum[i] * a->sum[i], bb += b->sum[i] * b->sum[i], ab += a->sum[i] * b->sum[i];
    }
    const int64_t va = aa * a->n - sa * sa, vb = bb * a->n - sb * sb;
    if (va <= 0 || vb <= 0) return 0;
    return (double)(ab * a->n - sa * sb) / (sqrt((double)va) * sqrt((double)vb));
}

double cut_between_small(const uint8_t *a, const uint8_t *b, int w, int h)
{
    const struct small small[2] = {{w, h, a}, {w, h, b}};
    struct grid grid[2];
    for (int i = 0; i < 2; i++) make_grid(&small[i], &grid[i]);
    int64_t moved = 0;
    for (int i = 0; i < grid[0].n; i++) moved += llabs(grid[0].sum[i] - grid[1].sum[i]);
    double light = FAR * (double)moved / (255.0 * CELL * CELL * grid[0].n);
    if (light > 1) light = 1;
    double other = 1 - pattern(&grid[0], &grid[1]);
    other = other > 1 ? 1 : other < 0 ? 0 : other;
    const double differ = histograms_differ(&small[0], &small[1]);
    return sqrt(sqrt(light * (differ > 1 ? 1 : differ)) * other);
}

double cut_between(const struct yuv_picture *a, const struct yuv_picture *b)
{
    static _Thread_local uint8_t small[2][CUT_SMALL_BYTES];
    int w, h;
    cut_small_size(a, &w, &h);
    cut_shrink(a, small[0]);
    cut_shrink(b, small[1]);
    return cut_between_small(small[0], small[1], w, h);
}

// SPDX-License-Identifier: MIT
//
// The formulas of pixels.h for one element, once for kernels and twins.
// They follow kernels/yuv.c and kernels/resize.c operation by operation; sums
// are never contracted (nvcc would make a * b + c one rounding).
//
// Needs GPU_FN, GPU_MUL, GPU_ADD and gpu_get(), gpu_put() before it is
// included: pixels.cu and pixels_ref.c define them.
#ifndef REEL_KERNELS_GPU_PIXELS_MATH_H
#define REEL_KERNELS_GPU_PIXELS_MATH_H

#include "kernels/gpu/pixels.h"

#ifndef GPU_FN // a header compiles alone
#define GPU_FN static inline
#define GPU_MUL(a, b) ((a) * (b))
#define GPU_ADD(a, b) ((a) + (b))
GPU_FN float gpu_get(const struct gpu_image *m, int x, int y, int c)
{
    return ((const float *)m->data)[(size_t)y * m->row + (size_t)x * m->pixel + (size_t)c * m->plane];
}
GPU_FN void gpu_put(const struct gpu_image *m, int x, int y, int c, float v)
{
    ((float *)m->data)[(size_t)y * m->row + (size_t)x * m->pixel + (size_t)c * m->plane] = v;
}
#endif

#define GPU_SUB(a, b) GPU_ADD(a, -(b))

GPU_FN int gpu_clamp(int v, int low, int high)
{
    return v < low ? low : v > high ? high : v;
}

GPU_FN float gpu_clip01(float v)
{
    v = v > 0.0f ? v : 0.0f;
    return v < 1.0f ? v : 1.0f;
}

// ---- samples ----------------------------------------------------------------------

GPU_FN int gpu_sample(const struct yuv_picture *p, int plane, int x, int y)
{
    const uint8_t *row = p->plane[plane] + (size_t)y * p->stride[plane];
    return p->depth > 8 ? ((const uint16_t *)row)[x] >> p->shift : row[x];
}

GPU_FN void gpu_store_sample(const struct yuv_picture *p, int plane, int x, int y, float value, float mul, float add,
                             float low, float high)
{
    float v = GPU_ADD(GPU_MUL(value, mul), add);
    v = v > low ? v : low;
    v = v < high ? v : high;
    int code = (int)GPU_ADD(v, 0.5f);
    uint8_t *row = p->plane[plane] + (size_t)y * p->stride[plane];
    if (p->depth > 8)
        ((uint16_t *)row)[x] = (uint16_t)((unsigned)code << p->shift);
    else
        row[x] = (uint8_t)code;
}

GPU_FN float gpu_luma(const struct gpu_picture *g, int plane, int x, int y)
{
    return GPU_ADD(GPU_MUL((float)gpu_sample(&g->p, plane, x, y), g->y_scale), g->y_offset);
}

GPU_FN float gpu_chroma(const struct gpu_picture *g, int which, int cx, int cy)
{
    bool nv = g->p.layout == YUV_NV;
    int v = gpu_sample(&g->p, nv ? 1 : 1 + which, nv ? 2 * cx + which : cx, cy);
    return GPU_ADD(GPU_MUL((float)v, g->c_scale), g->c_offset);
}

GPU_FN void gpu_store_chroma(const struct gpu_picture *g, int which, int cx, int cy, float v)
{
    bool nv = g->p.layout == YUV_NV;
    gpu_store_sample(&g->p, nv ? 1 : 1 + which, nv ? 2 * cx + which : cx, cy, v, g->c_mul, g->c_add, g->c_low,
                     g->c_high);
}

// ---- chroma at a luma position --------------------------------------------------------

GPU_FN int gpu_chroma_position(int i, int log2, int site, float *out_frac)
{
    int f = 1 << log2, pos = 2 * i; // in units of 1 / (2 f) of a chroma sample
    if (site == YUV_SITE_CENTER) pos -= f - 1;
    if (site == YUV_SITE_LAST) pos -= 2 * (f - 1);
    int at = pos >= 0 ? pos / (2 * f) : -((-pos + 2 * f - 1) / (2 * f));
    *out_frac = (float)(pos - at * 2 * f) / (float)(2 * f);
    return at;
}

// Chroma column cx between rows `at` and the next.
GPU_FN float gpu_chroma_between(const struct gpu_picture *g, int which, int cx, int at, float frac)
{
    int last = g->ch - 1;
    cx = gpu_clamp(cx, 0, g->cw - 1);
    if (frac == 0.0f || at + 1 <= 0) return gpu_chroma(g, which, cx, gpu_clamp(at, 0, last));
    float next = gpu_chroma(g, which, cx, gpu_clamp(at + 1, 0, last));
    if (at >= last) return next;
    return GPU_ADD(GPU_MUL(gpu_chroma(g, which, cx, at), 1.0f - frac), GPU_MUL(next, frac));
}

GPU_FN float gpu_chroma_at(const struct gpu_picture *g, int which, int x, int y)
{
    const struct yuv_picture *p = &g->p;
    float fy, fx;
    int at_y = gpu_chroma_position(y, p->log2_ch, p->site_y, &fy);
    if (p->log2_cw == 0) return gpu_chroma_between(g, which, x, at_y, fy);
    if (p->log2_cw == 1 && p->site_x == YUV_SITE_FIRST) {
        float a = gpu_chroma_between(g, which, x / 2, at_y, fy);
        return x % 2 ? GPU_MUL(0.5f, GPU_ADD(a, gpu_chroma_between(g, which, x / 2 + 1, at_y, fy))) : a;
    }
    if (p->log2_cw == 1 && p->site_x == YUV_SITE_CENTER) {
        int left = x % 2 ? x / 2 : x / 2 - 1;
        float a = gpu_chroma_between(g, which, left, at_y, fy), b = gpu_chroma_between(g, which, left + 1, at_y, fy);
        return x % 2 ? GPU_ADD(GPU_MUL(0.75f, a), GPU_MUL(0.25f, b)) : GPU_ADD(GPU_MUL(0.25f, a), GPU_MUL(0.75f, b));
    }
    int at_x = gpu_chroma_position(x, p->log2_cw, p->site_x, &fx);
    float a = gpu_chroma_between(g, which, at_x, at_y, fy), b = gpu_chroma_between(g, which, at_x + 1, at_y, fy);
    return GPU_ADD(GPU_MUL(a, 1.0f - fx), GPU_MUL(b, fx));
}

// ---- a pixel -----------------------------------------------------------------------------

GPU_FN void gpu_rgb_at(const struct gpu_picture *g, int x, int y, float rgb[3])
{
    if (g->p.layout == YUV_GBR) {
        rgb[1] = gpu_clip01(gpu_luma(g, 0, x, y));
        rgb[2] = gpu_clip01(gpu_luma(g, 1, x, y));
        rgb[0] = gpu_clip01(gpu_luma(g, 2, x, y));
        return;
    }
    float l = gpu_luma(g, 0, x, y);
    if (g->p.layout == YUV_GRAY) {
        rgb[0] = rgb[1] = rgb[2] = gpu_clip01(l);
        return;
    }
    float cb = gpu_chroma_at(g, 0, x, y), cr = gpu_chroma_at(g, 1, x, y);
    rgb[0] = gpu_clip01(GPU_ADD(l, GPU_MUL(g->r_cr, cr)));
    rgb[1] = gpu_clip01(GPU_SUB(GPU_SUB(l, GPU_MUL(g->g_cb, cb)), GPU_MUL(g->g_cr, cr)));
    rgb[2] = gpu_clip01(GPU_ADD(l, GPU_MUL(g->b_cb, cb)));
}

GPU_FN float gpu_weigh(const struct gpu_picture *g, const float rgb[3])
{
    return GPU_ADD(GPU_ADD(GPU_MUL(g->kr, rgb[0]), GPU_MUL(g->kg, rgb[1])), GPU_MUL(g->kb, rgb[2]));
}

GPU_FN float gpu_luma_at(const struct gpu_picture *g, int x, int y)
{
    if (g->p.layout != YUV_GBR) return gpu_luma(g, 0, x, y);
    float rgb[3] = {0, 0, 0};
    gpu_rgb_at(g, x, y, rgb);
    return gpu_weigh(g, rgb);
}

GPU_FN void gpu_feed_pixel(const struct gpu_picture *src, const struct gpu_image *dst, const struct gpu_coding *k,
                           int x, int y)
{
    int sx = gpu_clamp(x, 0, src->p.width - 1), sy = gpu_clamp(y, 0, src->p.height - 1);
    float v[3] = {0, 0, 0};
    if (dst->channels == 1)
        v[0] = gpu_luma_at(src, sx, sy);
    else
        gpu_rgb_at(src, sx, sy, v);
    for (int c = 0; c < dst->padded; c++) {
        int i = c < dst->channels ? k->order[c] : 0;
        gpu_put(dst, x, y, c, c < dst->channels ? GPU_ADD(GPU_MUL(v[i], k->gain[i]), k->bias[i]) : 0.0f);
    }
}

// ---- resizing ------------------------------------------------------------------------------

// The planes' values of the source at column x, row y.
GPU_FN void gpu_rows_source(const struct gpu_rows *r, int x, int y, float v[3])
{
    if (r->what == GPU_ROWS_CHROMA) {
        for (int i = 0; i < 2; i++) v[i] = gpu_chroma(&r->picture, i, x, y);
    } else if (r->what == GPU_ROWS_IMAGE) {
        for (int c = 0; c < r->planes; c++) {
            int i = r->coding.order[c];
            v[i] = GPU_ADD(GPU_MUL(gpu_get(&r->image, r->x0 + x, r->y0 + y, c), r->coding.gain[i]), r->coding.bias[i]);
        }
    } else if (r->planes == 1) {
        v[0] = gpu_luma_at(&r->picture, x, y);
    } else {
        gpu_rgb_at(&r->picture, x, y, v);
    }
}

GPU_FN void gpu_rows_element(const struct gpu_rows *r, int x, int j)
{
    const float *w = r->y.weight + (size_t)j * (size_t)r->y.taps;
    float sum[3] = {0, 0, 0};
    bool begun = false;
    for (int k = 0; k < r->y.taps; k++) {
        if (w[k] == 0.0f) continue;
        float v[3] = {0, 0, 0};
        gpu_rows_source(r, x, r->y.first[j] + k, v);
        for (int i = 0; i < r->planes; i++) sum[i] = begun ? GPU_ADD(sum[i], GPU_MUL(v[i], w[k])) : GPU_MUL(v[i], w[k]);
        begun = true;
    }
    for (int i = 0; i < r->planes; i++)
        r->out[((size_t)i * (size_t)r->y.n_out + (size_t)j) * (size_t)r->width + (size_t)x] = sum[i];
}

GPU_FN float gpu_column_sum(const struct gpu_columns *c, int plane, int x, int y)
{
    const float *w = c->x.weight + (size_t)x * (size_t)c->x.taps;
    const float *at = c->rows + ((size_t)plane * (size_t)c->height + (size_t)y) * (size_t)c->x.n_in + c->x.first[x];
    float sum = 0.0f;
    for (int k = 0; k < c->x.taps; k++) sum = GPU_ADD(sum, GPU_MUL(at[k], w[k]));
    return sum;
}

GPU_FN void gpu_columns_pixel(const struct gpu_columns *c, int x, int y)
{
    for (int ch = 0; ch < c->dst.padded; ch++) {
        float v = 0.0f;
        if (ch < c->dst.channels) {
            int i = c->coding.order[ch];
            v = GPU_ADD(GPU_MUL(gpu_column_sum(c, i, x, y), c->coding.gain[i]), c->coding.bias[i]);
        }
        gpu_put(&c->dst, c->x0 + x, c->y0 + y, ch, v);
    }
}

GPU_FN void gpu_border_pixel(const struct gpu_image *dst, const struct gpu_coding *k, const float fill[3], int x, int y)
{
    for (int c = 0; c < dst->padded; c++) gpu_put(dst, x, y, c, c < dst->channels ? fill[k->order[c]] : 0.0f);
}

// ---- tiles -----------------------------------------------------------------------------------

GPU_FN void gpu_cut_pixel(const struct gpu_image *src, const struct gpu_image *dst, int x0, int y0, int x, int y)
{
    for (int c = 0; c < dst->padded; c++)
        gpu_put(dst, x, y, c, c < dst->channels ? gpu_get(src, x0 + x, y0 + y, c) : 0.0f);
}

GPU_FN void gpu_blend_pixel(const struct gpu_blend *b, int x, int y)
{
    int cx = b->x0 + x, cy = b->y0 + y;
    float wx = b->wx[x], wy = b->wy[y];
    if (cx >= b->canvas.width || cy >= b->canvas.height || wx == 0.0f || wy == 0.0f) return;
    for (int c = 0; c < b->tile.channels; c++) {
        int i = b->coding.order[c];
        float v = GPU_ADD(GPU_MUL(gpu_get(&b->tile, x, y, c), b->coding.gain[i]), b->coding.bias[i]);
        gpu_put(&b->canvas, cx, cy, i, GPU_ADD(gpu_get(&b->canvas, cx, cy, i), GPU_MUL(v, GPU_MUL(wx, wy))));
    }
}

// ---- the tail -----------------------------------------------------------------------------------

// Colours of pixel (x, y), clipped, or its luma as it is.
GPU_FN void gpu_made_at(const struct gpu_tail *t, int x, int y, float rgb[3])
{
    for (int c = 0; c < t->made.channels; c++) {
        int i = t->coding.order[c];
        float v = GPU_ADD(GPU_MUL(gpu_get(&t->made, x, y, c), t->coding.gain[i]), t->coding.bias[i]);
        if (t->residual.data) v = GPU_ADD(v, gpu_get(&t->residual, x, y, i));
        rgb[i] = t->made.channels == 1 ? v : gpu_clip01(v);
    }
}

// Cb (which 0) or Cr of pixel (x, y), the edge repeated.
GPU_FN float gpu_made_chroma(const struct gpu_tail *t, int which, int x, int y)
{
    const struct gpu_picture *d = &t->dst;
    float rgb[3] = {0, 0, 0};
    gpu_made_at(t, gpu_clamp(x, 0, d->p.width - 1), gpu_clamp(y, 0, d->p.height - 1), rgb);
    return GPU_MUL(GPU_SUB(rgb[which ? 0 : 2], gpu_weigh(d, rgb)), which ? d->per_cr : d->per_cb);
}

// Taps of the mean along one axis for chroma sample i: as in kernels/yuv.c.
GPU_FN int gpu_narrow_taps(int log2, int site, int i, int *out_first, float weight[5])
{
    int f = 1 << log2;
    if (f == 1) {
        *out_first = i;
        weight[0] = 1.0f;
        return 1;
    }
    if (site == YUV_SITE_CENTER) {
        *out_first = i * f;
        for (int k = 0; k < f; k++) weight[k] = 1.0f / (float)f;
        return f;
    }
    *out_first = i * f + (site == YUV_SITE_LAST ? f - 1 : 0) - f / 2;
    for (int k = 0; k <= f; k++) weight[k] = (k == 0 || k == f ? 0.5f : 1.0f) / (float)f;
    return f + 1;
}

// Column x of a chroma row: the mean over its rows.
GPU_FN float gpu_narrow_rows(const struct gpu_tail *t, int which, int x, int cy)
{
    float weight[5], sum = 0.0f;
    int first, n = gpu_narrow_taps(t->dst.p.log2_ch, t->dst.p.site_y, cy, &first, weight);
    for (int k = 0; k < n; k++) sum = GPU_ADD(sum, GPU_MUL(gpu_made_chroma(t, which, x, first + k), weight[k]));
    return sum;
}

GPU_FN float gpu_narrow(const struct gpu_tail *t, int which, int cx, int cy)
{
    const struct yuv_picture *p = &t->dst.p;
    if (p->log2_cw == 0) return gpu_narrow_rows(t, which, cx, cy);
    int x = 2 * cx;
    if (p->log2_cw == 1 && p->site_x == YUV_SITE_CENTER)
        return GPU_MUL(0.5f, GPU_ADD(gpu_narrow_rows(t, which, x, cy), gpu_narrow_rows(t, which, x + 1, cy)));
    if (p->log2_cw == 1 && p->site_x == YUV_SITE_FIRST)
        return GPU_ADD(
            GPU_MUL(0.25f, GPU_ADD(gpu_narrow_rows(t, which, x - 1, cy), gpu_narrow_rows(t, which, x + 1, cy))),
            GPU_MUL(0.5f, gpu_narrow_rows(t, which, x, cy)));
    float weight[5], sum = 0.0f;
    int first, n = gpu_narrow_taps(p->log2_cw, p->site_x, cx, &first, weight);
    for (int k = 0; k < n; k++) sum = GPU_ADD(sum, GPU_MUL(weight[k], gpu_narrow_rows(t, which, first + k, cy)));
    return sum;
}

// Everything under chroma sample (cx, cy), or pixel (cx, cy) without chroma.
GPU_FN void gpu_tail_group(const struct gpu_tail *t, int cx, int cy)
{
    const struct gpu_picture *d = &t->dst;
    const struct yuv_picture *p = &d->p;
    bool chroma = p->layout == YUV_PLANAR || p->layout == YUV_NV;
    int fx = chroma ? 1 << p->log2_cw : 1, fy = chroma ? 1 << p->log2_ch : 1;
    for (int y = cy * fy; y < (cy + 1) * fy && y < p->height; y++)
        for (int x = cx * fx; x < (cx + 1) * fx && x < p->width; x++) {
            float rgb[3] = {0, 0, 0};
            gpu_made_at(t, x, y, rgb);
            if (p->layout == YUV_GBR) {
                gpu_store_sample(p, 0, x, y, rgb[1], d->y_mul, d->y_add, d->y_low, d->y_high);
                gpu_store_sample(p, 1, x, y, rgb[2], d->y_mul, d->y_add, d->y_low, d->y_high);
                gpu_store_sample(p, 2, x, y, rgb[0], d->y_mul, d->y_add, d->y_low, d->y_high);
                continue;
            }
            float l = t->made.channels == 1 ? rgb[0] : gpu_weigh(d, rgb);
            gpu_store_sample(p, 0, x, y, l, d->y_mul, d->y_add, d->y_low, d->y_high);
        }
    if (!chroma || (t->made.channels == 1 && !t->neutral)) return;
    for (int i = 0; i < 2; i++) gpu_store_chroma(d, i, cx, cy, t->made.channels == 1 ? 0.0f : gpu_narrow(t, i, cx, cy));
}

#endif

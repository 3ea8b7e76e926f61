// SPDX-License-Identifier: MIT
//
// The reference for yuv.c: computes every output sample by itself, in double precision, straight from the
// formulas of H.273.
#include "kernels/yuv.h"

#include <math.h>

static int clamp_int(int v, int low, int high)
{
    return v < low ? low : v > high ? high : v;
}

static double clip01(double v)
{
    return v < 0 ? 0 : v > 1 ? 1 : v;
}

static int sample(const struct yuv_picture *p, int plane, int x, int y)
{
    const uint8_t *row = p->plane[plane] + (size_t)y * p->stride[plane];
    return p->depth > 8 ? ((const uint16_t *)row)[x] >> p->shift : row[x];
}

static double luma(const struct yuv_picture *p, int plane, int x, int y)
{
    int v = sample(p, plane, x, y), unit = 1 << (p->depth - 8);
    return p->full ? v / (double)((1 << p->depth) - 1) : (v - 16.0 * unit) / (219.0 * unit);
}

static double chroma(const struct yuv_picture *p, int which, int x, int y)
{
    x = clamp_int(x, 0, yuv_chroma_width(p) - 1);
    y = clamp_int(y, 0, yuv_chroma_height(p) - 1);
    int v = p->layout == YUV_NV ? sample(p, 1, 2 * x + which, y) : sample(p, 1 + which, x, y);
    int unit = 1 << (p->depth - 8);
    return (v - 128.0 * unit) / (p->full ? (double)((1 << p->depth) - 1) : 224.0 * unit);
}

static double site_offset(int log2, enum yuv_site site)
{
    double span = (1 << log2) - 1;
    return site == YUV_SITE_CENTER ? span / 2 : site == YUV_SITE_LAST ? span : 0;
}

static double chroma_at(const struct yuv_picture *p, int which, int x, int y)
{
    double cx = (x - site_offset(p->log2_cw, p->site_x)) / (1 << p->log2_cw);
    double cy = (y - site_offset(p->log2_ch, p->site_y)) / (1 << p->log2_ch);
    int ix = (int)floor(cx), iy = (int)floor(cy);
    double fx = cx - ix, fy = cy - iy;
    return (chroma(p, which, ix, iy) * (1 - fx) + chroma(p, which, ix + 1, iy) * fx) * (1 - fy) +
           (chroma(p, which, ix, iy + 1) * (1 - fx) + chroma(p, which, ix + 1, iy + 1) * fx) * fy;
}

static void pixel(const struct yuv_picture *p, int x, int y, double rgb[3])
{
    if (p->layout == YUV_GBR) {
        for (int i = 0; i < 3; i++) rgb[(i + 1) % 3] = clip01(luma(p, i, x, y));
        return;
    }
    double l = luma(p, 0, x, y), cb = 0, cr = 0, kr, kb;
    if (p->layout != YUV_GRAY) cb = chroma_at(p, 0, x, y), cr = chroma_at(p, 1, x, y);
    yuv_matrix_weights(p->matrix, &kr, &kb);
    rgb[0] = clip01(l + 2 * (1 - kr) * cr);
    rgb[1] = clip01(l - (2 * kb * (1 - kb) * cb + 2 * kr * (1 - kr) * cr) / (1 - kr - kb));
    rgb[2] = clip01(l + 2 * (1 - kb) * cb);
}

void yuv_to_rgb_ref(const struct yuv_picture *src, const struct rgb_view *dst)
{
    for (int y = 0; y < dst->height; y++)
        for (int x = 0; x < dst->width; x++) {
            double rgb[3];
            pixel(src, clamp_int(x, 0, src->width - 1), clamp_int(y, 0, src->height - 1), rgb);
            for (int i = 0; i < 3; i++)
                dst->c[i][(size_t)y * dst->row + (size_t)x * dst->px] = (float)(rgb[i] * dst->gain[i] + dst->bias[i]);
        }
}

static void put(const struct yuv_picture *p, int plane, int x, int y, double v, double low, double high)
{
    int code = (int)floor((v < low ? low : v > high ? high : v) + 0.5);
    uint8_t *row = p->plane[plane] + (size_t)y * p->stride[plane];
    if (p->depth > 8)
        ((uint16_t *)row)[x] = (uint16_t)(code << p->shift);
    else
        row[x] = (uint8_t)code;
}

static void put_luma(const struct yuv_picture *p, int plane, int x, int y, double v)
{
    double unit = 1 << (p->depth - 8), top = (1 << p->depth) - 1;
    if (p->full)
        put(p, plane, x, y, v * top, 0, top);
    else
        put(p, plane, x, y, (16 + 219 * v) * unit, 0, top);
}

static void put_chroma(const struct yuv_picture *p, int which, int x, int y, double v)
{
    double unit = 1 << (p->depth - 8), top = (1 << p->depth) - 1;
    int plane = p->layout == YUV_NV ? 1 : 1 + which, at = p->layout == YUV_NV ? 2 * x + which : x;
    if (p->full)
        put(p, plane, at, y, v * top + 128 * unit, 0, top);
    else
        put(p, plane, at, y, (128 + 224 * v) * unit, 16 * unit, 240 * unit);
}

static void ycc(const struct yuv_picture *p, const struct rgb_view *src, int x, int y, double out[3])
{
    x = clamp_int(x, 0, p->width - 1);
    y = clamp_int(y, 0, p->height - 1);
    double rgb[3], kr, kb;
    for (int i = 0; i < 3; i++)
        rgb[i] = clip01((double)src->c[i][(size_t)y * src->row + (size_t)x * src->px] * src->gain[i] + src->bias[i]);
    yuv_matrix_weights(p->matrix, &kr, &kb);
    out[0] = kr * rgb[0] + (1 - kr - kb) * rgb[1] + kb * rgb[2];
    out[1] = (rgb[2] - out[0]) / (2 * (1 - kb));
    out[2] = (rgb[0] - out[0]) / (2 * (1 - kr));
}

// Weight of the luma position that is `distance` luma samples away from a chroma sample: a box if it is
// sited between samples, a box with halved ends if it is sited on one.
static double weight_at(int log2, enum yuv_site site, double distance)
{
    double f = 1 << log2, d = fabs(distance);
    if (log2 == 0) return d == 0;
    if (site == YUV_SITE_CENTER) return d < f / 2 ? 1 / f : 0;
    return d < f / 2 ? 1 / f : d == f / 2 ? 0.5 / f : 0;
}

static double chroma_mean(const struct yuv_picture *p, const struct rgb_view *src, int which, int cx, int cy)
{
    double sx = (cx << p->log2_cw) + site_offset(p->log2_cw, p->site_x), sum = 0;
    double sy = (cy << p->log2_ch) + site_offset(p->log2_ch, p->site_y);
    for (int y = (cy << p->log2_ch) - 4; y <= (cy << p->log2_ch) + 8; y++)
        for (int x = (cx << p->log2_cw) - 4; x <= (cx << p->log2_cw) + 8; x++) {
            double w = weight_at(p->log2_cw, p->site_x, x - sx) * weight_at(p->log2_ch, p->site_y, y - sy);
            if (w == 0) continue;
            double v[3];
            ycc(p, src, x, y, v);
            sum += w * v[1 + which];
        }
    return sum;
}

void yuv_from_rgb_ref(const struct yuv_picture *dst, const struct rgb_view *src)
{
    static const int channel[3] = {1, 2, 0};
    for (int y = 0; y < dst->height; y++)
        for (int x = 0; x < dst->width; x++) {
            if (dst->layout == YUV_GBR) {
                for (int i = 0; i < 3; i++) {
                    int c = channel[i];
                    double v = src->c[c][(size_t)y * src->row + (size_t)x * src->px];
                    put_luma(dst, i, x, y, clip01(v * src->gain[c] + src->bias[c]));
                }
                continue;
            }
            double v[3];
            ycc(dst, src, x, y, v);
            put_luma(dst, 0, x, y, v[0]);
        }
    if (dst->layout == YUV_GBR || dst->layout == YUV_GRAY) return;
    for (int cy = 0; cy < yuv_chroma_height(dst); cy++)
        for (int cx = 0; cx < yuv_chroma_width(dst); cx++)
            for (int i = 0; i < 2; i++) put_chroma(dst, i, cx, cy, chroma_mean(dst, src, i, cx, cy));
}

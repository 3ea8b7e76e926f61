// SPDX-License-Identifier: MIT
//
// The plain C twins of pixels.cu, which are loops over the elements, and what both need to know about a
// picture's format.
#include "kernels/gpu/pixels.h"

#include "common/tensor.h"

#define GPU_FN static inline
#define GPU_MUL(a, b) ((a) * (b))
#define GPU_ADD(a, b) ((a) + (b))

static float gpu_get(const struct gpu_image *m, int x, int y, int c)
{
    size_t at = (size_t)y * m->row + (size_t)x * m->pixel + (size_t)c * m->plane;
    switch (m->type) {
    case GPU_PIXEL_F16:
        return reel_f16_to_f32(((const uint16_t *)m->data)[at]);
    case GPU_PIXEL_BF16:
        return reel_bf16_to_f32(((const uint16_t *)m->data)[at]);
    default:
        return ((const float *)m->data)[at];
    }
}

static void gpu_put(const struct gpu_image *m, int x, int y, int c, float v)
{
    size_t at = (size_t)y * m->row + (size_t)x * m->pixel + (size_t)c * m->plane;
    switch (m->type) {
    case GPU_PIXEL_F16:
        ((uint16_t *)m->data)[at] = reel_f32_to_f16(v);
        break;
    case GPU_PIXEL_BF16:
        ((uint16_t *)m->data)[at] = reel_f32_to_bf16(v);
        break;
    default:
        ((float *)m->data)[at] = v;
    }
}

#include "kernels/gpu/pixels_math.h"

// ---- operands ------------------------------------------------------------------------

struct gpu_image gpu_image_nhwc(void *data, enum gpu_pixel_type type, int w, int h, int channels, size_t pixel_stride)
{
    return (struct gpu_image){.data = data,
                              .type = type,
                              .width = w,
                              .height = h,
                              .channels = channels,
                              .padded = (int)pixel_stride,
                              .row = (size_t)w * pixel_stride,
                              .pixel = pixel_stride,
                              .plane = 1};
}

struct gpu_image gpu_image_planar(void *data, enum gpu_pixel_type type, int w, int h, int channels)
{
    return (struct gpu_image){.data = data,
                              .type = type,
                              .width = w,
                              .height = h,
                              .channels = channels,
                              .padded = channels,
                              .row = (size_t)w,
                              .pixel = 1,
                              .plane = (size_t)w * (size_t)h};
}

// Quantisation and matrices are those of kernels/yuv.c (ITU-T H.273 8.3).
struct gpu_picture gpu_picture_of(const struct yuv_picture *p)
{
    struct gpu_picture g = {.p = *p, .cw = yuv_chroma_width(p), .ch = yuv_chroma_height(p)};
    float unit = (float)(1 << (p->depth - 8)), top = (float)((1 << p->depth) - 1);
    float y_step = p->full ? top : 219.0f * unit, c_step = p->full ? top : 224.0f * unit;
    g.y_scale = 1.0f / y_step, g.y_offset = p->full ? 0.0f : -16.0f * unit / y_step;
    g.c_scale = 1.0f / c_step, g.c_offset = -128.0f * unit / c_step;
    g.y_mul = y_step, g.y_add = p->full ? 0.0f : 16.0f * unit;
    g.y_low = 0.0f, g.y_high = top; // range of luma; colours are already clipped
    g.c_mul = c_step, g.c_add = 128.0f * unit;
    g.c_low = p->full ? 0.0f : 16.0f * unit, g.c_high = p->full ? top : 240.0f * unit;
    double kr, kb;
    yuv_matrix_weights(p->matrix, &kr, &kb);
    double kg = 1.0 - kr - kb;
    g.r_cr = (float)(2 * (1 - kr)), g.b_cb = (float)(2 * (1 - kb));
    g.g_cb = (float)(2 * kb * (1 - kb) / kg), g.g_cr = (float)(2 * kr * (1 - kr) / kg);
    g.kr = (float)kr, g.kb = (float)kb, g.kg = (float)kg;
    g.per_cb = (float)(0.5 / (1 - kb)), g.per_cr = (float)(0.5 / (1 - kr));
    return g;
}

// ---- the twins -----------------------------------------------------------------------------

void gpu_feed_ref(const struct gpu_picture *src, const struct gpu_image *dst, const struct gpu_coding *coding)
{
    for (int y = 0; y < dst->height; y++)
        for (int x = 0; x < dst->width; x++) gpu_feed_pixel(src, dst, coding, x, y);
}

void gpu_rows_ref(const struct gpu_rows *r)
{
    for (int j = 0; j < r->y.n_out; j++)
        for (int x = 0; x < r->width; x++) gpu_rows_element(r, x, j);
}

void gpu_columns_ref(const struct gpu_columns *c)
{
    for (int y = 0; y < c->height; y++)
        for (int x = 0; x < c->x.n_out; x++) gpu_columns_pixel(c, x, y);
}

void gpu_columns_chroma_ref(const struct gpu_columns *c, const struct gpu_picture *dst)
{
    for (int y = 0; y < c->height; y++)
        for (int x = 0; x < c->x.n_out; x++)
            for (int i = 0; i < 2; i++) gpu_store_chroma(dst, i, x, y, gpu_column_sum(c, i, x, y));
}

void gpu_borders_ref(const struct gpu_image *dst, const struct gpu_coding *coding, int x0, int y0, int w, int h,
                     const float fill[3])
{
    for (int y = 0; y < dst->height; y++)
        for (int x = 0; x < dst->width; x++)
            if (x < x0 || x >= x0 + w || y < y0 || y >= y0 + h) gpu_border_pixel(dst, coding, fill, x, y);
}

void gpu_cut_ref(const struct gpu_image *src, const struct gpu_image *dst, int x0, int y0)
{
    for (int y = 0; y < dst->height; y++)
        for (int x = 0; x < dst->width; x++) gpu_cut_pixel(src, dst, x0, y0, x, y);
}

void gpu_blend_ref(const struct gpu_blend *b)
{
    for (int y = 0; y < b->tile.height; y++)
        for (int x = 0; x < b->tile.width; x++) gpu_blend_pixel(b, x, y);
}

void gpu_tail_rows(const struct gpu_tail *t, int *out_begin, int *out_end)
{
    bool chroma = t->dst.p.layout == YUV_PLANAR || t->dst.p.layout == YUV_NV;
    int f = chroma ? 1 << t->dst.p.log2_ch : 1, y1 = t->y1 ? t->y1 : t->dst.p.height;
    *out_begin = t->y0 / f;
    *out_end = (y1 + f - 1) / f;
}

void gpu_tail_ref(const struct gpu_tail *t)
{
    bool chroma = t->dst.p.layout == YUV_PLANAR || t->dst.p.layout == YUV_NV;
    int w = chroma ? t->dst.cw : t->dst.p.width, begin, end;
    gpu_tail_rows(t, &begin, &end);
    for (int y = begin; y < end; y++)
        for (int x = 0; x < w; x++) gpu_tail_group(t, x, y);
}

// SPDX-License-Identifier: MIT
//
// The fast conversions of yuv.h: each step is a plain loop over a row, compiled
// for several instruction sets (kernels/simd.h). No step sums across elements,
// so the bits are the same on all of them.
#include "kernels/yuv.h"

#include <assert.h>
#include <string.h>

#include "kernels/math.h"
#include "kernels/simd.h"

// Room at both ends of a scratch row for the repeated edge sample: a cache line, so that rows stay aligned.
#define PAD 16

static size_t row_floats(int width)
{
    return ((size_t)width + 2 * PAD + 15) / 16 * 16;
}

size_t yuv_scratch_floats(int width)
{
    return 12 * row_floats(width);
}

int yuv_chroma_width(const struct yuv_picture *p)
{
    return (p->width + (1 << p->log2_cw) - 1) >> p->log2_cw;
}

int yuv_chroma_height(const struct yuv_picture *p)
{
    return (p->height + (1 << p->log2_ch) - 1) >> p->log2_ch;
}

void yuv_matrix_weights(int matrix, double *out_kr, double *out_kb)
{
    switch (matrix) { // H.273 table 4
    case 4:
        *out_kr = 0.30, *out_kb = 0.11;
        break;
    case 5:
    case 6:
        *out_kr = 0.299, *out_kb = 0.114;
        break;
    case 7:
        *out_kr = 0.212, *out_kb = 0.087;
        break;
    case 9:
    case 10:
        *out_kr = 0.2627, *out_kb = 0.0593;
        break;
    default:
        *out_kr = 0.2126, *out_kb = 0.0722;
        break;
    }
}

// ---- samples <-> floats -------------------------------------------------

// value = sample * scale + offset
struct quant {
    float scale, offset;
};

static struct quant luma_quant(const struct yuv_picture *p)
{
    float unit = (float)(1 << (p->depth - 8));
    float step = p->full ? (float)((1 << p->depth) - 1) : 219.0f * unit;
    return (struct quant){1.0f / step, p->full ? 0.0f : -16.0f * unit / step};
}

static struct quant chroma_quant(const struct yuv_picture *p)
{
    float unit = (float)(1 << (p->depth - 8));
    float step = p->full ? (float)((1 << p->depth) - 1) : 224.0f * unit;
    return (struct quant){1.0f / step, -128.0f * unit / step};
}

KERN_CLONES
static void load8(const uint8_t *restrict s, float *restrict d, int n, float scale, float offset)
{
    for (int i = 0; i < n; i++) d[i] = (float)s[i] * scale + offset;
}

KERN_CLONES
static void load16(const uint16_t *restrict s, float *restrict d, int n, int shift, float scale, float offset)
{
    for (int i = 0; i < n; i++) d[i] = (float)(s[i] >> shift) * scale + offset;
}

// Copies every second sample, from the first one on.
KERN_CLONES
static void load8_pair(const uint8_t *restrict s, float *restrict d, int n, float scale, float offset)
{
    for (int i = 0; i < n; i++) d[i] = (float)s[2 * i] * scale + offset;
}

KERN_CLONES
static void load16_pair(const uint16_t *restrict s, float *restrict d, int n, int shift, float scale, float offset)
{
    for (int i = 0; i < n; i++) d[i] = (float)(s[2 * i] >> shift) * scale + offset;
}

static void load_row(const struct yuv_picture *p, int plane, int y, float *d, int n, struct quant q)
{
    const uint8_t *s = p->plane[plane] + (size_t)y * p->stride[plane];
    if (p->depth > 8)
        load16((const uint16_t *)s, d, n, p->shift, q.scale, q.offset);
    else
        load8(s, d, n, q.scale, q.offset);
}

static void load_chroma(const struct yuv_picture *p, int which, int cy, float *d, int n)
{
    struct quant q = chroma_quant(p);
    if (p->layout != YUV_NV) {
        load_row(p, 1 + which, cy, d, n, q);
        return;
    }
    const uint8_t *s = p->plane[1] + (size_t)cy * p->stride[1];
    if (p->depth > 8)
        load16_pair((const uint16_t *)s + which, d, n, p->shift, q.scale, q.offset);
    else
        load8_pair(s + which, d, n, q.scale, q.offset);
}

// Rounds to nearest and clips to 0..top. After the clip of floats, values are far from the limits of int.
KERN_CLONES
static void store8(const float *restrict s, uint8_t *restrict d, int n, float mul, float add, float low, float high)
{
    for (int i = 0; i < n; i++) {
        float v = s[i] * mul + add;
        v = v > low ? v : low;
        v = v < high ? v : high;
        d[i] = (uint8_t)(int)(v + 0.5f);
    }
}

KERN_CLONES
static void store16(const float *restrict s, uint16_t *restrict d, int n, int shift, float mul, float add, float low,
                    float high)
{
    for (int i = 0; i < n; i++) {
        float v = s[i] * mul + add;
        v = v > low ? v : low;
        v = v < high ? v : high;
        d[i] = (uint16_t)((unsigned)(int)(v + 0.5f) << shift);
    }
}

KERN_CLONES
static void store8_pair(const float *restrict s, uint8_t *restrict d, int n, float mul, float add, float low,
                        float high)
{
    for (int i = 0; i < n; i++) {
        float v = s[i] * mul + add;
        v = v > low ? v : low;
        v = v < high ? v : high;
        d[2 * i] = (uint8_t)(int)(v + 0.5f);
    }
}

KERN_CLONES
static void store16_pair(const float *restrict s, uint16_t *restrict d, int n, int shift, float mul, float add,
                         float low, float high)
{
    for (int i = 0; i < n; i++) {
        float v = s[i] * mul + add;
        v = v > low ? v : low;
        v = v < high ? v : high;
        d[2 * i] = (uint16_t)((unsigned)(int)(v + 0.5f) << shift);
    }
}

static void store_row(const struct yuv_picture *p, int plane, int y, const float *s, int n)
{
    uint8_t *d = p->plane[plane] + (size_t)y * p->stride[plane];
    float unit = (float)(1 << (p->depth - 8)), top = (float)((1 << p->depth) - 1);
    float mul = p->full ? top : 219.0f * unit, add = p->full ? 0.0f : 16.0f * unit;
    if (p->depth > 8)
        store16(s, (uint16_t *)d, n, p->shift, mul, add, 0.0f, top);
    else
        store8(s, d, n, mul, add, 0.0f, top);
}

void yuv_write_chroma_row(const struct yuv_picture *p, int which, int cy, const float *c)
{
    int n = yuv_chroma_width(p);
    float unit = (float)(1 << (p->depth - 8)), top = (float)((1 << p->depth) - 1);
    float mul = p->full ? top : 224.0f * unit, add = 128.0f * unit;
    float low = p->full ? 0.0f : 16.0f * unit, high = p->full ? top : 240.0f * unit;
    int plane = p->layout == YUV_NV ? 1 : 1 + which;
    uint8_t *d = p->plane[plane] + (size_t)cy * p->stride[plane];
    if (p->layout == YUV_NV && p->depth > 8)
        store16_pair(c, (uint16_t *)d + which, n, p->shift, mul, add, low, high);
    else if (p->layout == YUV_NV)
        store8_pair(c, d + which, n, mul, add, low, high);
    else if (p->depth > 8)
        store16(c, (uint16_t *)d, n, p->shift, mul, add, low, high);
    else
        store8(c, d, n, mul, add, low, high);
}

// ---- chroma upsampling --------------------------------------------------

// Where luma row (or column) i lies between chroma samples: behind *out_at, with weight out_frac for the
// next sample.
static void chroma_position(int i, int log2, enum yuv_site site, int *out_at, float *out_frac)
{
    int f = 1 << log2;
    // counted in 1 / (2 f) of a chroma sample, to stay exact
    int pos = 2 * i;
    if (site == YUV_SITE_CENTER) pos -= f - 1;
    if (site == YUV_SITE_LAST) pos -= 2 * (f - 1);
    int at = pos >= 0 ? pos / (2 * f) : -((-pos + 2 * f - 1) / (2 * f));
    *out_at = at;
    *out_frac = (float)(pos - at * 2 * f) / (float)(2 * f);
}

KERN_CLONES
static void blend(const float *restrict a, float *restrict b, int n, float t)
{
    // b = a (1 - t) + b t
    float s = 1.0f - t;
    for (int i = 0; i < n; i++) b[i] = a[i] * s + b[i] * t;
}

// c[-1] and c[cw] hold the repeated edge.
KERN_CLONES
static void widen2_first(const float *restrict c, float *restrict d, int cw)
{
    for (int i = 0; i < cw; i++) {
        d[2 * i] = c[i];
        d[2 * i + 1] = 0.5f * (c[i] + c[i + 1]);
    }
}

KERN_CLONES
static void widen2_center(const float *restrict c, float *restrict d, int cw)
{
    for (int i = 0; i < cw; i++) {
        d[2 * i] = 0.25f * c[i - 1] + 0.75f * c[i];
        d[2 * i + 1] = 0.75f * c[i] + 0.25f * c[i + 1];
    }
}

static int clamp_int(int v, int low, int high)
{
    return v < low ? low : v > high ? high : v;
}

// The chroma of one luma row, at luma resolution. d has room for width + 1.
static void chroma_row(const struct yuv_picture *p, int which, int y, float *d, float *scratch)
{
    int cw = yuv_chroma_width(p), ch = yuv_chroma_height(p);
    float *row = scratch + PAD, *other = row + row_floats(p->width);
    int at;
    float frac;
    chroma_position(y, p->log2_ch, p->site_y, &at, &frac);
    load_chroma(p, which, clamp_int(at + 1, 0, ch - 1), row, cw);
    if (frac == 0.0f || at + 1 <= 0)
        load_chroma(p, which, clamp_int(at, 0, ch - 1), row, cw);
    else if (at < ch - 1) {
        load_chroma(p, which, at, other, cw);
        blend(other, row, cw, frac);
    }
    if (p->log2_cw == 0) {
        memcpy(d, row, (size_t)cw * sizeof *d);
        return;
    }
    row[-1] = row[0];
    row[cw] = row[cw - 1];
    if (p->log2_cw == 1 && p->site_x != YUV_SITE_LAST) {
        (p->site_x == YUV_SITE_CENTER ? widen2_center : widen2_first)(row, d, cw);
        return;
    }
    for (int x = 0; x < p->width; x++) {
        chroma_position(x, p->log2_cw, p->site_x, &at, &frac);
        float a = row[clamp_int(at, 0, cw - 1)], b = row[clamp_int(at + 1, 0, cw - 1)];
        d[x] = a * (1.0f - frac) + b * frac;
    }
}

// ---- reading ------------------------------------------------------------

KERN_CLONES
static void clip_row(float *v, int n)
{
    for (int i = 0; i < n; i++) v[i] = kern_clip01_f32(v[i]);
}

// r_cr = 2 (1 - Kr), b_cb = 2 (1 - Kb), g_* follow (H.273 section 8.3)
KERN_CLONES
static void matrix_row(const float *restrict y, const float *restrict cb, const float *restrict cr, float *restrict r,
                       float *restrict g, float *restrict b, int n, float r_cr, float g_cb, float g_cr, float b_cb)
{
    for (int i = 0; i < n; i++) {
        r[i] = kern_clip01_f32(y[i] + r_cr * cr[i]);
        g[i] = kern_clip01_f32(y[i] - g_cb * cb[i] - g_cr * cr[i]);
        b[i] = kern_clip01_f32(y[i] + b_cb * cb[i]);
    }
}

void yuv_read_row(const struct yuv_picture *p, int y, float *r, float *g, float *b, float *scratch)
{
    struct quant q = luma_quant(p);
    if (p->layout == YUV_GBR) {
        float *const to[3] = {g, b, r};
        for (int i = 0; i < 3; i++) {
            load_row(p, i, y, to[i], p->width, q);
            clip_row(to[i], p->width);
        }
        return;
    }
    size_t step = row_floats(p->width);
    float *luma = scratch, *cb = luma + step, *cr = cb + step, *work = cr + step;
    load_row(p, 0, y, luma, p->width, q);
    if (p->layout == YUV_GRAY) {
        clip_row(luma, p->width);
        memcpy(r, luma, (size_t)p->width * sizeof *r);
        memcpy(g, luma, (size_t)p->width * sizeof *g);
        memcpy(b, luma, (size_t)p->width * sizeof *b);
        return;
    }
    chroma_row(p, 0, y, cb, work);
    chroma_row(p, 1, y, cr, work);
    double kr, kb;
    yuv_matrix_weights(p->matrix, &kr, &kb);
    double kg = 1.0 - kr - kb;
    matrix_row(luma, cb, cr, r, g, b, p->width, (float)(2 * (1 - kr)), (float)(2 * kb * (1 - kb) / kg),
               (float)(2 * kr * (1 - kr) / kg), (float)(2 * (1 - kb)));
}

KERN_CLONES
static void weigh_row(const float *restrict r, const float *restrict g, const float *restrict b, float *restrict y,
                      int n, float kr, float kg, float kb)
{
    for (int i = 0; i < n; i++) y[i] = kr * r[i] + kg * g[i] + kb * b[i];
}

void yuv_read_luma_row(const struct yuv_picture *p, int y, float *out_y, float *scratch)
{
    if (p->layout != YUV_GBR) {
        load_row(p, 0, y, out_y, p->width, luma_quant(p));
        return;
    }
    size_t step = row_floats(p->width);
    float *r = scratch, *g = r + step, *b = g + step;
    yuv_read_row(p, y, r, g, b, scratch + 3 * step);
    double kr, kb;
    yuv_matrix_weights(p->matrix, &kr, &kb);
    weigh_row(r, g, b, out_y, p->width, (float)kr, (float)(1 - kr - kb), (float)kb);
}

void yuv_read_chroma_row(const struct yuv_picture *p, int which, int cy, float *out_c)
{
    assert(p->layout == YUV_PLANAR || p->layout == YUV_NV);
    load_chroma(p, which, cy, out_c, yuv_chroma_width(p));
}

KERN_CLONES
static void scale_row(const float *restrict s, float *restrict d, int n, float gain, float bias)
{
    for (int i = 0; i < n; i++) d[i] = s[i] * gain + bias;
}

KERN_CLONES
static void scale_row3(const float *restrict r, const float *restrict g, const float *restrict b, float *restrict d,
                       int n, const float *restrict gain, const float *restrict bias)
{
    float g0 = gain[0], g1 = gain[1], g2 = gain[2], b0 = bias[0], b1 = bias[1], b2 = bias[2];
    for (int i = 0; i < n; i++) {
        d[3 * i] = r[i] * g0 + b0;
        d[3 * i + 1] = g[i] * g1 + b1;
        d[3 * i + 2] = b[i] * g2 + b2;
    }
}

// Goes channel by channel if others lie between pixels.
static void scale_row_apart(const float *s, float *d, size_t px, int n, int width, float gain, float bias)
{
    for (int x = 0; x < n; x++) d[(size_t)x * px] = s[x] * gain + bias;
    for (int x = n; x < width; x++) d[(size_t)x * px] = d[(size_t)(n - 1) * px];
}

// Which of the addresses 0, 1, 2 of an interleaved view is the lowest, and in what order its channels
// follow.
static void interleave_order(const struct rgb_view *v, int order[3])
{
    const float *base = v->c[0];
    for (int i = 1; i < 3; i++)
        if (v->c[i] < base) base = v->c[i];
    for (int i = 0; i < 3; i++) order[v->c[i] - base] = i;
}

static void put_rgb_row(const struct rgb_view *v, int y, float *const rows[3], int n)
{
    if (v->px == 1) {
        for (int i = 0; i < 3; i++) {
            float *d = v->c[i] + (size_t)y * v->row;
            scale_row(rows[i], d, n, v->gain[i], v->bias[i]);
            for (int x = n; x < v->width; x++) d[x] = d[n - 1];
        }
        return;
    }
    if (v->px > 3) {
        for (int i = 0; i < 3; i++)
            scale_row_apart(rows[i], v->c[i] + (size_t)y * v->row, v->px, n, v->width, v->gain[i], v->bias[i]);
        return;
    }
    int order[3];
    interleave_order(v, order);
    float gain[3], bias[3];
    for (int i = 0; i < 3; i++) gain[i] = v->gain[order[i]], bias[i] = v->bias[order[i]];
    float *d = v->c[order[0]] + (size_t)y * v->row;
    scale_row3(rows[order[0]], rows[order[1]], rows[order[2]], d, n, gain, bias);
    for (int x = n; x < v->width; x++) memcpy(d + 3 * x, d + 3 * (n - 1), 3 * sizeof *d);
}

void yuv_to_rgb_rows(const struct yuv_picture *src, const struct rgb_view *dst, int y0, int y1, float *scratch)
{
    assert(dst->width >= src->width && y0 >= 0 && y1 <= dst->height && (dst->px == 1 || dst->px >= 3));
    size_t step = row_floats(src->width);
    float *const rows[3] = {scratch, scratch + step, scratch + 2 * step};
    for (int y = y0; y < y1; y++) {
        // Below the picture, its last row is repeated; it is still there.
        int from = y < src->height ? y : src->height - 1;
        if (y == y0 || y < src->height) yuv_read_row(src, from, rows[0], rows[1], rows[2], scratch + 3 * step);
        put_rgb_row(dst, y, rows, src->width);
    }
}

void yuv_to_rgb(const struct yuv_picture *src, const struct rgb_view *dst, float *scratch)
{
    assert(dst->height >= src->height);
    yuv_to_rgb_rows(src, dst, 0, dst->height, scratch);
}

void yuv_to_luma(const struct yuv_picture *src, const struct luma_view *dst, float *scratch)
{
    assert(dst->height >= src->height);
    yuv_to_luma_rows(src, dst, 0, dst->height, scratch);
}

void yuv_to_luma_rows(const struct yuv_picture *src, const struct luma_view *dst, int y0, int y1, float *scratch)
{
    assert(dst->width >= src->width && y0 >= 0 && y1 <= dst->height);
    float *row = scratch;
    for (int y = y0; y < y1; y++) {
        int from = y < src->height ? y : src->height - 1;
        if (y == y0 || y < src->height) yuv_read_luma_row(src, from, row, scratch + row_floats(src->width));
        float *d = dst->c + (size_t)y * dst->row;
        scale_row(row, d, src->width, dst->gain, dst->bias);
        for (int x = src->width; x < dst->width; x++) d[x] = d[src->width - 1];
    }
}

// ---- writing ------------------------------------------------------------

KERN_CLONES
static void take_row(const float *restrict s, float *restrict d, int n, float gain, float bias)
{
    for (int i = 0; i < n; i++) d[i] = kern_clip01_f32(s[i] * gain + bias);
}

KERN_CLONES
static void take_row3(const float *restrict s, float *restrict d, int n, float gain, float bias)
{
    for (int i = 0; i < n; i++) d[i] = kern_clip01_f32(s[3 * i] * gain + bias);
}

static void get_rgb_row(const struct rgb_view *v, int y, float *const rows[3], int n)
{
    for (int i = 0; i < 3; i++)
        (v->px == 1 ? take_row : take_row3)(v->c[i] + (size_t)y * v->row, rows[i], n, v->gain[i], v->bias[i]);
}

KERN_CLONES
static void unmatrix_row(const float *restrict r, const float *restrict g, const float *restrict b, float *restrict y,
                         float *restrict cb, float *restrict cr, int n, float kr, float kg, float kb, float per_cb,
                         float per_cr)
{
    for (int i = 0; i < n; i++) {
        float l = kr * r[i] + kg * g[i] + kb * b[i];
        y[i] = l;
        cb[i] = (b[i] - l) * per_cb;
        cr[i] = (r[i] - l) * per_cr;
    }
}

// Each chroma sample is the mean of the luma positions around its site: (1 1)/2 between two samples, (1 2
// 1)/4 on one. c has a repeated sample at both ends.
KERN_CLONES
static void narrow2_center(const float *restrict c, float *restrict d, int cw)
{
    for (int i = 0; i < cw; i++) d[i] = 0.5f * (c[2 * i] + c[2 * i + 1]);
}

KERN_CLONES
static void narrow2_first(const float *restrict c, float *restrict d, int cw)
{
    for (int i = 0; i < cw; i++) d[i] = 0.25f * (c[2 * i - 1] + c[2 * i + 1]) + 0.5f * c[2 * i];
}

KERN_CLONES
static void add_row(const float *restrict s, float *restrict d, int n, float weight)
{
    for (int i = 0; i < n; i++) d[i] += s[i] * weight;
}

// Taps that reduce chroma along one axis to sample i: the first position and their count; the weights sum
// to 1.
static int narrow_taps(int log2, enum yuv_site site, int i, int *out_first, float weight[5])
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
    // Sited on a sample: that sample and its neighbours out to f / 2, the outermost ones by half.
    *out_first = i * f + (site == YUV_SITE_LAST ? f - 1 : 0) - f / 2;
    for (int k = 0; k <= f; k++) weight[k] = (k == 0 || k == f ? 0.5f : 1.0f) / (float)f;
    return f + 1;
}

// c has room for PAD floats on both sides.
static void narrow_row(const struct yuv_picture *p, float *c, float *d)
{
    int cw = yuv_chroma_width(p);
    if (p->log2_cw == 0) {
        memcpy(d, c, (size_t)cw * sizeof *d);
        return;
    }
    for (int k = 0; k < 6; k++) c[-1 - k] = c[0], c[p->width + k] = c[p->width - 1];
    if (p->log2_cw == 1 && p->site_x != YUV_SITE_LAST) {
        (p->site_x == YUV_SITE_CENTER ? narrow2_center : narrow2_first)(c, d, cw);
        return;
    }
    for (int i = 0; i < cw; i++) {
        int first;
        float weight[5], sum = 0.0f;
        int n = narrow_taps(p->log2_cw, p->site_x, i, &first, weight);
        for (int k = 0; k < n; k++) sum += weight[k] * c[first + k];
        d[i] = sum;
    }
}

struct writer {
    const struct yuv_picture *dst;
    const struct rgb_view *src;
    float kr, kg, kb, per_cb, per_cr;
    float *rows[3], *y, *cb, *cr; // one row each
    float *sum[2];                // chroma rows before their width is reduced
};

static void convert_row(const struct writer *w, int y)
{
    int n = w->dst->width;
    get_rgb_row(w->src, y, w->rows, n);
    unmatrix_row(w->rows[0], w->rows[1], w->rows[2], w->y, w->cb, w->cr, n, w->kr, w->kg, w->kb, w->per_cb, w->per_cr);
}

static void write_gbr(const struct writer *w, int y0, int y1)
{
    static const int channel[3] = {1, 2, 0};
    for (int y = y0; y < y1; y++) {
        get_rgb_row(w->src, y, w->rows, w->dst->width);
        for (int i = 0; i < 3; i++) store_row(w->dst, i, y, w->rows[channel[i]], w->dst->width);
    }
}

// The luma rows of a chroma row lie between y0 and y1. A tap outside of them belongs to another group of
// rows and is converted again (only if chroma is sited on a row).
static void write_group(const struct writer *w, int cy)
{
    const struct yuv_picture *p = w->dst;
    int f = 1 << p->log2_ch, y0 = cy * f, y1 = y0 + f < p->height ? y0 + f : p->height;
    int first;
    float weight[5];
    int taps = narrow_taps(p->log2_ch, p->site_y, cy, &first, weight);
    for (int i = 0; i < 2; i++) memset(w->sum[i], 0, (size_t)p->width * sizeof(float));
    int from = first < y0 ? first : y0, to = first + taps > y1 ? first + taps : y1;
    for (int y = from; y < to; y++) {
        convert_row(w, clamp_int(y, 0, p->height - 1));
        if (y >= y0 && y < y1) store_row(p, 0, y, w->y, p->width);
        if (y < first || y >= first + taps) continue;
        add_row(w->cb, w->sum[0], p->width, weight[y - first]);
        add_row(w->cr, w->sum[1], p->width, weight[y - first]);
    }
    for (int i = 0; i < 2; i++) {
        narrow_row(p, w->sum[i], w->y);
        yuv_write_chroma_row(p, i, cy, w->y);
    }
}

void yuv_from_rgb(const struct yuv_picture *dst, const struct rgb_view *src, float *scratch)
{
    yuv_from_rgb_rows(dst, src, 0, dst->height, scratch);
}

void yuv_from_rgb_rows(const struct yuv_picture *dst, const struct rgb_view *src, int y0, int y1, float *scratch)
{
    assert(src->width >= dst->width && src->height >= dst->height && (src->px == 1 || src->px == 3));
    assert(y0 >= 0 && y1 <= dst->height);
    size_t step = row_floats(dst->width);
    struct writer w = {.dst = dst, .src = src};
    for (int i = 0; i < 3; i++) w.rows[i] = scratch + (size_t)i * step;
    w.y = scratch + 3 * step, w.cb = scratch + 4 * step, w.cr = scratch + 5 * step;
    for (int i = 0; i < 2; i++) w.sum[i] = scratch + (size_t)(6 + i) * step + PAD;
    double kr, kb;
    yuv_matrix_weights(dst->matrix, &kr, &kb);
    w.kr = (float)kr, w.kb = (float)kb, w.kg = (float)(1 - kr - kb);
    w.per_cb = (float)(0.5 / (1 - kb)), w.per_cr = (float)(0.5 / (1 - kr));
    if (dst->layout == YUV_GBR) {
        write_gbr(&w, y0, y1);
        return;
    }
    if (dst->layout == YUV_GRAY) {
        for (int y = y0; y < y1; y++) {
            convert_row(&w, y);
            store_row(dst, 0, y, w.y, dst->width);
        }
        return;
    }
    int f = 1 << dst->log2_ch;
    assert(y0 % f == 0 && (y1 % f == 0 || y1 == dst->height));
    for (int cy = y0 / f; cy * f < y1; cy++) write_group(&w, cy);
}

void yuv_from_luma(const struct yuv_picture *dst, const struct luma_view *src, float *scratch)
{
    yuv_from_luma_rows(dst, src, 0, dst->height, scratch);
}

void yuv_from_luma_rows(const struct yuv_picture *dst, const struct luma_view *src, int y0, int y1, float *scratch)
{
    assert(src->width >= dst->width && src->height >= dst->height && dst->layout != YUV_GBR);
    assert(y0 >= 0 && y1 <= dst->height);
    for (int y = y0; y < y1; y++) {
        scale_row(src->c + (size_t)y * src->row, scratch, dst->width, src->gain, src->bias);
        store_row(dst, 0, y, scratch, dst->width);
    }
}

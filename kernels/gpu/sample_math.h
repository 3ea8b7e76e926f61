// SPDX-License-Identifier: MIT
//
// The formulas of sample.h for one element, once for kernels and twins. Needs
// GPU_LOAD(elem, p, i) and GPU_STORE(elem, p, i, v) before it is included;
// sample.cu defines them.
#ifndef REEL_KERNELS_GPU_SAMPLE_MATH_H
#define REEL_KERNELS_GPU_SAMPLE_MATH_H

#include "kernels/gpu/math.h"
#include "kernels/gpu/sample.h"

#ifndef GPU_LOAD // a header compiles alone
#define GPU_LOAD(elem, p, i) gpu_elem_load((enum gpu_elem)(elem), p, i)
#define GPU_STORE(elem, p, i, v) gpu_elem_store((enum gpu_elem)(elem), p, i, v)
#endif

GPU_FN int64_t gpu_pixel_at(const struct gpu_plane_view *p, int n, int y, int x)
{
    return n * p->stride_n + y * p->stride_h + x * p->stride_w;
}

// ---- GridSample ------------------------------------------------------------------------

// Mirrors x at the borders until it lies between them.
GPU_FN float gpu_reflect(float x, float low, float high)
{
    const float range = high - low;
    if (x >= low && x <= high) return x;
    if (range <= 0) return low;
    const float away = x < low ? low - x : x - high, turns = floorf(away / range), rest = away - turns * range;
    const bool even = fmodf(turns, 2.0f) == 0;
    if (x < low) return even ? low + rest : high - rest;
    return even ? high - rest : low + rest;
}

// Where tap place i of an axis of n lies, or -1 when it counts as zero.
GPU_FN int gpu_grid_place(const struct gpu_grid_sample *p, float i, int n)
{
    const float last = (float)(n - 1);
    if (p->beyond == GPU_BEYOND_BORDER) i = i < 0 ? 0 : i > last ? last : i;
    if (p->beyond == GPU_BEYOND_REFLECTION) {
        const float low = p->align ? 0 : -0.5f, high = p->align ? last : last + 0.5f;
        i = truncf(gpu_reflect(i, low, high));
        i = i < 0 ? 0 : i > last ? last : i;
    }
    return i < 0 || i > last ? -1 : (int)i;
}

// Keys 1981, equation 4, with the operator's coefficient.
GPU_FN void gpu_cubic_weights(float t, float w[4])
{
    const float a = -0.75f, u = 1 - t;
    w[0] = ((a * (t + 1) - 5 * a) * (t + 1) + 8 * a) * (t + 1) - 4 * a;
    w[1] = ((a + 2) * t - (a + 3)) * t * t + 1;
    w[2] = ((a + 2) * u - (a + 3)) * u * u + 1;
    w[3] = ((a * (u + 1) - 5 * a) * (u + 1) + 8 * a) * (u + 1) - 4 * a;
}

// One axis of one point: places and weights of its taps.
GPU_FN void gpu_grid_axis(const struct gpu_grid_sample *p, float normal, int n, int place[4], float weight[4])
{
    const float last = (float)(n - 1), low = p->align ? 0 : -0.5f, high = p->align ? last : last + 0.5f;
    float x = p->align ? (normal + 1) / 2 * last : ((normal + 1) * (float)n - 1) / 2;
    x = x >= -1e9f ? x : -1e9f; // also for NaN
    x = x <= 1e9f ? x : 1e9f;
    if (p->taps == 1) x = rintf(x);
    if (x < low || x > high) {
        // cubic clamps its samples alone: the curve goes on beyond the border
        if (p->beyond == GPU_BEYOND_BORDER && p->taps != 4) x = x < 0 ? 0 : last;
        if (p->beyond == GPU_BEYOND_REFLECTION) x = gpu_reflect(x, low, high);
    }
    float base = floorf(x);
    const float t = x - base;
    weight[0] = 1;
    if (p->taps == 1) base = truncf(x);
    if (p->taps == 2) weight[0] = 1 - t, weight[1] = t;
    if (p->taps == 4) gpu_cubic_weights(t, weight), base -= 1;
    for (int k = 0; k < p->taps; k++) {
        place[k] = gpu_grid_place(p, base + (float)k, n);
        if (place[k] < 0) place[k] = 0, weight[k] = 0;
    }
}

// Channels from..to of one pixel of the result.
GPU_FN void gpu_grid_pixel(const struct gpu_grid_sample *p, const void *x, const void *grid, void *y, int n, int row,
                           int column, int from, int to)
{
    int place_x[4], place_y[4], place_z[4] = {0, 0, 0, 0};
    float weight_x[4], weight_y[4], weight_z[4] = {1, 0, 0, 0};
    const int64_t point = (((int64_t)n * p->y.h + row) * p->y.w + column) * (p->depth ? 3 : 2);
    gpu_grid_axis(p, GPU_LOAD(p->grid_elem, grid, point), p->x.w, place_x, weight_x);
    gpu_grid_axis(p, GPU_LOAD(p->grid_elem, grid, point + 1), p->x.h, place_y, weight_y);
    if (p->depth) gpu_grid_axis(p, GPU_LOAD(p->grid_elem, grid, point + 2), p->depth, place_z, weight_z);
    const int planes = p->depth ? p->taps : 1;
    for (int c = from; c < to; c++) {
        float sum = 0;
        for (int d = 0; d < planes && c < p->x.c; d++)
            for (int i = 0; i < p->taps; i++)
                for (int k = 0; k < p->taps; k++) {
                    const float w = weight_z[d] * weight_y[i] * weight_x[k];
                    if (w == 0) continue; // whatever is there
                    const int64_t at = gpu_pixel_at(&p->x, n, place_y[i], place_x[k]) + place_z[d] * p->stride_d;
                    sum += w * GPU_LOAD(p->x.elem, x, at + c * p->x.stride_c);
                }
        GPU_STORE(p->y.elem, y, gpu_pixel_at(&p->y, n, row, column) + c * p->y.stride_c, sum);
    }
}

// ---- AffineGrid ------------------------------------------------------------------------

// Point i of all.
GPU_FN void gpu_affine_point(const struct gpu_affine_grid *p, const void *theta, float *y, int64_t i)
{
    float at[4] = {0, 0, 0, 0};
    int64_t rest = i;
    for (int d = 0; d < p->dims; d++) {
        const int n = p->extent[p->dims - 1 - d], k = (int)(rest % n);
        rest /= n;
        at[d] = !p->align ? (2 * (float)k + 1) / (float)n - 1 : n > 1 ? 2 * (float)k / (float)(n - 1) - 1 : 0;
    }
    at[p->dims] = 1;
    for (int k = 0; k < p->dims; k++) {
        float sum = 0;
        for (int d = 0; d <= p->dims; d++)
            sum += GPU_LOAD(p->theta_elem, theta, (rest * p->dims + k) * (p->dims + 1) + d) * at[d];
        y[i * p->dims + k] = sum;
    }
}

// ---- RoiAlign --------------------------------------------------------------------------

// One sample: the bilinear mean, or the largest weighted corner.
GPU_FN float gpu_roi_sample(const struct gpu_roi_align *p, const void *x, int64_t at, float v, float u)
{
    const int h = p->x.h, w = p->x.w;
    if (!(v >= -1 && v <= (float)h && u >= -1 && u <= (float)w)) return 0;
    v = v < 0 ? 0 : v;
    u = u < 0 ? 0 : u;
    int y0 = (int)v, x0 = (int)u, y1 = y0 + 1, x1 = x0 + 1;
    if (y0 >= h - 1) y0 = y1 = h - 1, v = (float)y0;
    if (x0 >= w - 1) x0 = x1 = w - 1, u = (float)x0;
    const float fy = v - (float)y0, fx = u - (float)x0;
    const int64_t row0 = at + y0 * p->x.stride_h, row1 = at + y1 * p->x.stride_h;
    const float a = (1 - fy) * (1 - fx) * GPU_LOAD(p->x.elem, x, row0 + x0 * p->x.stride_w);
    const float b = (1 - fy) * fx * GPU_LOAD(p->x.elem, x, row0 + x1 * p->x.stride_w);
    const float c = fy * (1 - fx) * GPU_LOAD(p->x.elem, x, row1 + x0 * p->x.stride_w);
    const float d = fy * fx * GPU_LOAD(p->x.elem, x, row1 + x1 * p->x.stride_w);
    return p->largest ? fmaxf(fmaxf(a, b), fmaxf(c, d)) : a + b + c + d;
}

// Samples from..to of n along an axis may lie in a picture of `size`; the others
// read zeros, however many they are.
GPU_FN void gpu_roi_range(float first, float step, int n, int size, int *out_from, int *out_to)
{
    *out_from = 0, *out_to = n;
    if (!(step > 0)) return;
    const float from = floorf((-1 - first) / step) - 1, to = ceilf(((float)size - first) / step) + 2;
    if (from > 0) *out_from = from < (float)n ? (int)from : n;
    if (to < (float)n) *out_to = to > 0 ? (int)to : 0;
    if (*out_to < *out_from) *out_to = *out_from;
}

GPU_FN int gpu_roi_samples(const struct gpu_roi_align *p, float bin)
{
    const float n = p->ratio ? (float)p->ratio : ceilf(bin);
    return !(n > 0) ? 0 : n < GPU_ROI_SAMPLES_MOST ? (int)n : GPU_ROI_SAMPLES_MOST;
}

GPU_FN float gpu_roi_value(const struct gpu_roi_align *p, const void *x, const void *regions, const int64_t *image,
                           int r, int c, int row, int column)
{
    if (image[r] < 0 || image[r] >= p->x.n || c >= p->x.c) return 0;
    const int64_t at = image[r] * p->x.stride_n + c * p->x.stride_c, of = (int64_t)r * 4;
    const float x0 = GPU_LOAD(p->region_elem, regions, of) * p->scale - p->shift;
    const float y0 = GPU_LOAD(p->region_elem, regions, of + 1) * p->scale - p->shift;
    float w = GPU_LOAD(p->region_elem, regions, of + 2) * p->scale - p->shift - x0;
    float h = GPU_LOAD(p->region_elem, regions, of + 3) * p->scale - p->shift - y0;
    if (p->shift == 0) w = fmaxf(w, 1), h = fmaxf(h, 1); // malformed regions become 1x1
    const float bin_h = h / (float)p->y.h, bin_w = w / (float)p->y.w;
    const int ny = gpu_roi_samples(p, bin_h), nx = gpu_roi_samples(p, bin_w);
    if (!ny || !nx) return 0;
    const float step_y = bin_h / (float)ny, step_x = bin_w / (float)nx;
    const float first_y = y0 + (float)row * bin_h + 0.5f * step_y, first_x = x0 + (float)column * bin_w + 0.5f * step_x;
    int from_y, to_y, from_x, to_x;
    gpu_roi_range(first_y, step_y, ny, p->x.h, &from_y, &to_y);
    gpu_roi_range(first_x, step_x, nx, p->x.w, &from_x, &to_x);
    const bool whole = to_y - from_y == ny && to_x - from_x == nx;
    float acc = p->largest && whole ? -INFINITY : 0;
    for (int i = from_y; i < to_y; i++)
        for (int k = from_x; k < to_x; k++) {
            const float v = gpu_roi_sample(p, x, at, first_y + (float)i * step_y, first_x + (float)k * step_x);
            acc = p->largest ? fmaxf(acc, v) : acc + v;
        }
    return p->largest ? acc : acc / ((float)ny * (float)nx);
}

// ---- MaxRoiPool ------------------------------------------------------------------------

// Bin `at` of `bins` between two edges, as indices first.. to end, of 0..limit.
GPU_FN void gpu_roi_bin(float from, float to, int bins, int at, int limit, int *out_first, int *out_end)
{
    // far beyond any picture: no longer told apart
    const double most = 1 << 24, start = fmin(fmax(round((double)from), -most), most);
    const double n = fmin(fmax(round((double)to), -most), most) - start + 1;
    const double size = (n < 1 ? 1 : n) / (double)bins;
    const double first = start + floor((double)at * size), end = start + ceil((double)(at + 1) * size);
    *out_first = (int)fmin(fmax(first, 0.0), (double)limit);
    *out_end = (int)fmin(fmax(end, 0.0), (double)limit);
}

GPU_FN float gpu_roi_pool_value(const struct gpu_roi_pool *p, const void *x, const void *regions, int r, int c, int row,
                                int column)
{
    const int64_t of = (int64_t)r * 5;
    const float image = GPU_LOAD(p->region_elem, regions, of);
    if (!(image >= 0 && image < (float)p->x.n) || c >= p->x.c) return 0;
    float edge[4];
    for (int i = 0; i < 4; i++) edge[i] = GPU_LOAD(p->region_elem, regions, of + 1 + i) * p->scale;
    int y0, y1, x0, x1;
    gpu_roi_bin(edge[1], edge[3], p->y.h, row, p->x.h, &y0, &y1);
    gpu_roi_bin(edge[0], edge[2], p->y.w, column, p->x.w, &x0, &x1);
    float best = y1 > y0 && x1 > x0 ? -INFINITY : 0;
    for (int i = y0; i < y1; i++)
        for (int k = x0; k < x1; k++) {
            const int64_t at = gpu_pixel_at(&p->x, (int)image, i, k) + c * p->x.stride_c;
            best = fmaxf(best, GPU_LOAD(p->x.elem, x, at));
        }
    return best;
}

// ---- LRN -------------------------------------------------------------------------------

GPU_FN float gpu_lrn_value(const struct gpu_lrn *p, const void *x, int64_t at, int c)
{
    const int before = (p->size - 1) / 2, after = p->size - 1 - before;
    const int from = c > before ? c - before : 0, to = after < p->x.c - c ? c + after : p->x.c - 1;
    float sum = 0;
    for (int k = from; k <= to && k < p->x.c; k++) {
        const float v = GPU_LOAD(p->x.elem, x, at + k * p->x.stride_c);
        sum += v * v;
    }
    return GPU_LOAD(p->x.elem, x, at + c * p->x.stride_c) / powf(p->bias + p->alpha / (float)p->size * sum, p->beta);
}

// ---- deformable convolution ------------------------------------------------------------

// Bilinear, zero outside.
GPU_FN float gpu_sample_zero(const struct gpu_plane_view *p, const void *x, int64_t at, float v, float u)
{
    if (!(v > -1 && v < (float)p->h && u > -1 && u < (float)p->w)) return 0;
    const int y0 = (int)floorf(v), x0 = (int)floorf(u);
    const float fy = v - (float)y0, fx = u - (float)x0;
    float sum = 0;
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < 2; k++) {
            const int yy = y0 + i, xx = x0 + k;
            if (yy < 0 || yy >= p->h || xx < 0 || xx >= p->w) continue;
            sum +=
                (i ? fy : 1 - fy) * (k ? fx : 1 - fx) * GPU_LOAD(p->elem, x, at + yy * p->stride_h + xx * p->stride_w);
        }
    return sum;
}

// Channel c at tap `tap` of the result's pixel (row,column).
GPU_FN float gpu_deform_value(const struct gpu_deform *p, const void *x, const void *offset, const void *mask, int c,
                              int tap, int row, int column)
{
    const int og = c / (p->x.c / p->offset_groups), t = og * p->r * p->s + tap;
    const int64_t by = gpu_pixel_at(&p->offset, p->image, row, column) + (int64_t)t * 2 * p->offset.stride_c;
    const float v =
        (float)(row * p->stride_h - p->pad_top + tap / p->s * p->dilation_h) + GPU_LOAD(p->offset.elem, offset, by);
    const float u = (float)(column * p->stride_w - p->pad_left + tap % p->s * p->dilation_w) +
                    GPU_LOAD(p->offset.elem, offset, by + p->offset.stride_c);
    const float m =
        mask ? GPU_LOAD(p->mask.elem, mask, gpu_pixel_at(&p->mask, p->image, row, column) + t * p->mask.stride_c) : 1;
    return gpu_sample_zero(&p->x, x, p->image * p->x.stride_n + c * p->x.stride_c, v, u) * m;
}

// ---- Col2Im ----------------------------------------------------------------------------

GPU_FN float gpu_col2im_value(const struct gpu_col2im *p, const void *x, int64_t plane, int row, int column)
{
    float sum = 0;
    for (int i = 0; i < p->r; i++)
        for (int k = 0; k < p->s; k++) {
            const int y = row + p->pad_top - i * p->dilation_h, u = column + p->pad_left - k * p->dilation_w;
            if (y < 0 || u < 0 || y % p->stride_h || u % p->stride_w) continue;
            if (y / p->stride_h >= p->rows || u / p->stride_w >= p->columns) continue;
            const int64_t of = (plane * p->r + i) * p->s + k;
            sum += GPU_LOAD(p->elem, x, (of * p->rows + y / p->stride_h) * p->columns + u / p->stride_w);
        }
    return sum;
}

// ---- places of maxima ------------------------------------------------------------------

GPU_FN int64_t gpu_pool_place(const struct gpu_pool *p, const void *x, int n, int c, int row, int column)
{
    const int top = row * p->stride_h - p->pad_top, left = column * p->stride_w - p->pad_left;
    int64_t best = -1;
    float most = 0;
    for (int i = 0; i < p->r; i++)
        for (int k = 0; k < p->s; k++) {
            const int v = top + i * p->dilation_h, u = left + k * p->dilation_w;
            if (v < 0 || v >= p->h || u < 0 || u >= p->w) continue;
            const float e = GPU_LOAD(p->elem, x, (((int64_t)n * p->h + v) * p->w + u) * p->x_pitch + c);
            if (best >= 0 && !(e > most) && most == most) continue;
            best = (int64_t)v * p->w + u;
            most = e;
        }
    return ((int64_t)n * p->c + c) * p->h * p->w + (best < 0 ? 0 : best);
}

// ---- pooling over three axes -----------------------------------------------------------

GPU_FN float gpu_pool3_power(float v, int power)
{
    return power == 1 ? fabsf(v) : power == 2 ? v * v : powf(fabsf(v), (float)power);
}

// Element i of y.
GPU_FN float gpu_pool3_value(const struct gpu_pool3 *p, const void *x, int64_t i)
{
    int at[3], counted = 0, lane = 0, pitch = 1;
    if (p->channels) {
        lane = (int)(i % p->y_pitch), pitch = p->x_pitch;
        i /= p->y_pitch;
        if (lane >= p->channels) return 0;
    }
    for (int d = 2; d >= 0; d--) {
        at[d] = (int)(i % p->out[d]) * p->stride[d] - p->before[d];
        i /= p->out[d];
    }
    float acc = p->average || p->power ? 0 : -INFINITY;
    for (int a = 0; a < p->size[0]; a++)
        for (int b = 0; b < p->size[1]; b++)
            for (int c = 0; c < p->size[2]; c++) {
                const int z = at[0] + a * p->dilation[0], r = at[1] + b * p->dilation[1],
                          s = at[2] + c * p->dilation[2];
                const bool inside = z >= 0 && z < p->in[0] && r >= 0 && r < p->in[1] && s >= 0 && s < p->in[2];
                if (inside || (p->count_pad && z < p->in[0] + p->after[0] && r < p->in[1] + p->after[1] &&
                               s < p->in[2] + p->after[2]))
                    counted++;
                if (!inside) continue;
                const float v =
                    GPU_LOAD(p->elem, x, (((i * p->in[0] + z) * p->in[1] + r) * p->in[2] + s) * pitch + lane);
                acc = p->power     ? acc + gpu_pool3_power(v, p->power)
                      : p->average ? acc + v
                                   : (v > acc || v != v ? v : acc);
            }
    if (p->power) return p->power == 1 ? acc : p->power == 2 ? sqrtf(acc) : powf(acc, 1 / (float)p->power);
    return !p->average ? acc : counted ? acc / (float)counted : 0;
}

#endif

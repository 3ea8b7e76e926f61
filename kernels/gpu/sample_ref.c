// SPDX-License-Identifier: MIT
//
// Twins of the kernels of sample.h: the formulas of sample_math.h, one
// element after another.
#include "kernels/gpu/sample_math.h"

void gpu_grid_sample_ref(const struct gpu_grid_sample *p, const void *x, const void *grid, void *y)
{
    for (int n = 0; n < p->y.n; n++)
        for (int i = 0; i < p->y.h; i++)
            for (int k = 0; k < p->y.w; k++) gpu_grid_pixel(p, x, grid, y, n, i, k, 0, p->lanes);
}

void gpu_affine_grid_ref(const struct gpu_affine_grid *p, const void *theta, float *y)
{
    int64_t points = p->n;
    for (int d = 0; d < p->dims; d++) points *= p->extent[d];
    for (int64_t i = 0; i < points; i++) gpu_affine_point(p, theta, y, i);
}

void gpu_roi_align_ref(const struct gpu_roi_align *p, const void *x, const void *regions, const int64_t *image, void *y)
{
    for (int r = 0; r < p->y.n; r++)
        for (int i = 0; i < p->y.h && !(p->keep && image[r] < 0); i++)
            for (int k = 0; k < p->y.w; k++)
                for (int c = 0; c < p->lanes; c++)
                    GPU_STORE(p->y.elem, y, gpu_pixel_at(&p->y, r, i, k) + c * p->y.stride_c,
                              gpu_roi_value(p, x, regions, image, r, c, i, k));
}

void gpu_roi_pool_ref(const struct gpu_roi_pool *p, const void *x, const void *regions, void *y)
{
    for (int r = 0; r < p->y.n; r++)
        for (int i = 0; i < p->y.h; i++)
            for (int k = 0; k < p->y.w; k++)
                for (int c = 0; c < p->lanes; c++)
                    GPU_STORE(p->y.elem, y, gpu_pixel_at(&p->y, r, i, k) + c * p->y.stride_c,
                              gpu_roi_pool_value(p, x, regions, r, c, i, k));
}

void gpu_lrn_ref(const struct gpu_lrn *p, const void *x, void *y)
{
    for (int n = 0; n < p->y.n; n++)
        for (int i = 0; i < p->y.h; i++)
            for (int k = 0; k < p->y.w; k++)
                for (int c = 0; c < p->lanes; c++)
                    GPU_STORE(p->y.elem, y, gpu_pixel_at(&p->y, n, i, k) + c * p->y.stride_c,
                              c < p->x.c ? gpu_lrn_value(p, x, gpu_pixel_at(&p->x, n, i, k), c) : 0);
}

void gpu_deform_ref(const struct gpu_deform *p, const void *x, const void *offset, const void *mask, void *y)
{
    const int taps = p->r * p->s, width = p->x.c / p->groups;
    for (int i = 0; i < p->pixels; i++)
        for (int g = 0; g < p->groups; g++)
            for (int tap = 0; tap < taps; tap++)
                for (int c = 0; c < width; c++)
                    GPU_STORE(p->y_elem, y, (((int64_t)i * p->groups + g) * taps + tap) * width + c,
                              gpu_deform_value(p, x, offset, mask, g * width + c, tap, (p->first + i) / p->q,
                                               (p->first + i) % p->q));
}

void gpu_col2im_ref(const struct gpu_col2im *p, const void *x, void *y)
{
    for (int64_t plane = 0; plane < (int64_t)p->n * p->c; plane++)
        for (int i = 0; i < p->h; i++)
            for (int k = 0; k < p->w; k++)
                GPU_STORE(p->elem, y, (plane * p->h + i) * p->w + k, gpu_col2im_value(p, x, plane, i, k));
}

void gpu_pool_places_ref(const struct gpu_pool *p, const void *x, int64_t *y)
{
    for (int n = 0; n < p->n; n++)
        for (int c = 0; c < p->c; c++)
            for (int i = 0; i < p->p; i++)
                for (int k = 0; k < p->q; k++) *y++ = gpu_pool_place(p, x, n, c, i, k);
}

void gpu_pool3_ref(const struct gpu_pool3 *p, const void *x, void *y)
{
    const int64_t count = (int64_t)p->planes * p->out[0] * p->out[1] * p->out[2] * (p->channels ? p->y_pitch : 1);
    for (int64_t i = 0; i < count; i++) GPU_STORE(p->elem, y, i, gpu_pool3_value(p, x, i));
}

// SPDX-License-Identifier: MIT
//
// Masks from scores. See mask.h. mask_classes() has a shortcut: a class with the largest score at every tap
// also has the largest weighted mean.
#include "kernels/mask.h"

#include <stdbool.h>

#include "kernels/simd.h"

static int best_at(const struct mask_scores *s, size_t at)
{
    int best = 0;
    float top = s->data[at];
    for (int c = 1; c < s->n; c++) {
        float v = s->data[at + (size_t)c * s->step_c];
        if (v > top) top = v, best = c;
    }
    return best;
}

void mask_best(const struct mask_scores *s, uint16_t *out)
{
    for (int y = 0; y < s->h; y++)
        for (int x = 0; x < s->w; x++)
            out[(size_t)y * (size_t)s->w + (size_t)x] =
                (uint16_t)best_at(s, (size_t)y * s->step_y + (size_t)x * s->step_x);
}

static int interpolated(const struct mask_scores *s, const struct resize_axis *x, int i, const struct resize_axis *y,
                        int j)
{
    const float *wx = x->weight + (size_t)i * (size_t)x->taps, *wy = y->weight + (size_t)j * (size_t)y->taps;
    int best = 0;
    float top = 0;
    for (int c = 0; c < s->n; c++) {
        const float *from =
            s->data + (size_t)c * s->step_c + (size_t)y->first[j] * s->step_y + (size_t)x->first[i] * s->step_x;
        float sum = 0;
        for (int v = 0; v < y->taps; v++) {
            float row = 0;
            for (int u = 0; u < x->taps; u++) row += wx[u] * from[(size_t)v * s->step_y + (size_t)u * s->step_x];
            sum += wy[v] * row;
        }
        if (c == 0 || sum > top) top = sum, best = c;
    }
    return best;
}

static int clip_class(int c)
{
    return c > 255 ? 255 : c;
}

void mask_classes(const struct mask_scores *s, const uint16_t *best, const struct resize_axis *x,
                  const struct resize_axis *y, uint8_t *out, size_t out_stride)
{
    for (int j = 0; j < y->n_out; j++)
        for (int i = 0; i < x->n_out; i++) {
            const uint16_t *at = best + (size_t)y->first[j] * (size_t)s->w + (size_t)x->first[i];
            bool same = true;
            for (int v = 0; v < y->taps && same; v++)
                for (int u = 0; u < x->taps; u++) same &= at[(size_t)v * (size_t)s->w + (size_t)u] == at[0];
            out[(size_t)j * out_stride + (size_t)i] = (uint8_t)clip_class(same ? at[0] : interpolated(s, x, i, y, j));
        }
}

void mask_classes_ref(const struct mask_scores *s, const struct resize_axis *x, const struct resize_axis *y,
                      uint8_t *out, size_t out_stride)
{
    for (int j = 0; j < y->n_out; j++)
        for (int i = 0; i < x->n_out; i++)
            out[(size_t)j * out_stride + (size_t)i] = (uint8_t)clip_class(interpolated(s, x, i, y, j));
}

KERN_CLONES
void mask_bytes(const float *restrict v, uint8_t *restrict out, int n)
{
    for (int i = 0; i < n; i++) {
        float b = v[i] * 255.0f;
        b = b > 0.0f ? b : 0.0f;
        b = b < 255.0f ? b : 255.0f;
        out[i] = (uint8_t)(int)(b + 0.5f);
    }
}

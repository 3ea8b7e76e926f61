// SPDX-License-Identifier: MIT
//
// Plain C twin of the kernel of volume.h.
#include "kernels/gpu/volume.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/gpu/chain_ref.h"

// The position in x for tap t of y's position i; -1: there is none.
static int64_t source(const struct gpu_volume_axis *a, bool transposed, int64_t i, int t)
{
    const int64_t at =
        transposed ? i + a->before - (int64_t)t * a->dilation : i * a->stride - a->before + (int64_t)t * a->dilation;
    if (!transposed) return at >= 0 && at < a->in ? at : -1;
    return at >= 0 && at % a->stride == 0 && at / a->stride < a->in ? at / a->stride : -1;
}

// Adds what tap t contributes to the k sums of a pixel; x is the pixel under that tap.
static void add_tap(const struct gpu_volume *p, const float *x, const void *w, int64_t t, int64_t taps, float *acc)
{
    const enum gpu_elem e = (enum gpu_elem)p->elem;
    const int cg = p->c / p->groups, kg = p->k / p->groups;
    for (int k = 0; k < p->k; k++) {
        if (p->depthwise) {
            acc[k] += x[k] * gpu_elem_load(e, w, t * p->y_pitch + k);
            continue;
        }
        const int g = k / kg;
        for (int c = 0; c < cg; c++) {
            const int64_t at =
                p->transposed ? ((int64_t)(g * cg + c) * taps + t) * kg + k % kg : ((int64_t)k * taps + t) * cg + c;
            acc[k] += x[g * cg + c] * gpu_elem_load(e, w, at);
        }
    }
}

static void sum_pixel(const struct gpu_volume *p, const void *x, const void *w, int64_t n, const int64_t *at, float *in,
                      float *acc)
{
    const struct gpu_volume_axis *a = p->axis;
    const int64_t taps = (int64_t)a[0].size * a[1].size * a[2].size;
    memset(acc, 0, (size_t)p->k * sizeof *acc);
    for (int64_t t = 0; t < taps; t++) {
        const int64_t z = source(&a[0], p->transposed, at[0], (int)(t / a[2].size / a[1].size));
        const int64_t r = source(&a[1], p->transposed, at[1], (int)(t / a[2].size % a[1].size));
        const int64_t s = source(&a[2], p->transposed, at[2], (int)(t % a[2].size));
        if (z < 0 || r < 0 || s < 0) continue;
        const int64_t pixel = ((n * a[0].in + z) * a[1].in + r) * a[2].in + s;
        for (int c = 0; c < p->c; c++) in[c] = gpu_elem_load((enum gpu_elem)p->elem, x, pixel * p->x_pitch + c);
        add_tap(p, in, w, t, taps, acc);
    }
}

void gpu_volume_ref(const struct gpu_volume *p, const void *x, const void *w, const void *const *operand, void *y)
{
    const struct gpu_volume_axis *a = p->axis;
    const int64_t count = (int64_t)p->n * a[0].out * a[1].out * a[2].out;
    float *acc = malloc((size_t)p->k * sizeof *acc), *in = malloc((size_t)p->c * sizeof *in);
    if (!acc || !in) abort(); // a twin cannot report it
    for (int64_t i = 0; i < count; i++) {
        const int64_t at[3] = {i / a[2].out / a[1].out % a[0].out, i / a[2].out % a[1].out, i % a[2].out};
        const int64_t n = i / a[2].out / a[1].out / a[0].out;
        sum_pixel(p, x, w, n, at, in, acc);
        for (int k = 0; k < p->y_pitch; k++) {
            const float v = k < p->k ? gpu_chain_ref(&p->chain, 0, operand, acc[k], n, i, k, p->y_pitch) : 0;
            gpu_elem_store((enum gpu_elem)p->elem, y, i * p->y_pitch + k, v);
        }
    }
    free(acc);
    free(in);
}

// SPDX-License-Identifier: MIT
//
// Filter tables, and a resize that reads rows in order. See resize.h. Rows are combined first (a vector
// loop over the width), then shrunk or widened.
#include "kernels/resize.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/simd.h"

// ---- tables -------------------------------------------------------------

static double kernel_at(enum resize_filter filter, double d)
{
    d = fabs(d);
    if (filter == RESIZE_BICUBIC) {
        if (d < 1) return (1.5 * d - 2.5) * d * d + 1;
        return d < 2 ? ((-0.5 * d + 2.5) * d - 4) * d + 2 : 0;
    }
    return d < 1 ? 1 - d : 0;
}

// The weights of the output at input position `at`; weights outside the input go to the sample at its edge.
// Returns the first index, and fills weight[0..taps).
static int fill_taps(const struct resize_axis *axis, enum resize_filter filter, double at, double widen, double support,
                     double *weight)
{
    int n = axis->n_in, low = (int)floor(at - support), high = (int)ceil(at + support);
    int first = low < 0 ? 0 : low;
    if (first > n - axis->taps) first = n - axis->taps;
    for (int k = 0; k < axis->taps; k++) weight[k] = 0;
    double sum = 0;
    for (int i = low; i <= high; i++) {
        double w = kernel_at(filter, (i - at) / widen);
        int k = (i < 0 ? 0 : i >= n ? n - 1 : i) - first;
        if (w == 0 || k < 0 || k >= axis->taps) continue;
        weight[k] += w;
        sum += w;
    }
    for (int k = 0; k < axis->taps && sum != 0; k++) weight[k] /= sum;
    return first;
}

bool resize_axis_init(struct resize_axis *axis, enum resize_filter filter, int n_in, int n_out, double origin,
                      double step)
{
    assert(n_in >= 1 && n_out >= 1 && n_in <= 1 << 20 && n_out <= 1 << 20);
    bool widens = filter == RESIZE_LINEAR || filter == RESIZE_BICUBIC;
    double widen = widens && fabs(step) > 1 ? fabs(step) : 1;
    double support = filter == RESIZE_NEAREST ? 0 : (filter == RESIZE_BICUBIC ? 2 : 1) * widen;
    int taps = filter == RESIZE_NEAREST ? 1 : (int)ceil(2 * support) + 1;
    *axis = (struct resize_axis){.n_in = n_in, .n_out = n_out, .taps = taps < n_in ? taps : n_in};
    axis->first = malloc((size_t)n_out * sizeof *axis->first);
    axis->weight = malloc((size_t)n_out * (size_t)axis->taps * sizeof *axis->weight);
    double *weight = malloc((size_t)axis->taps * sizeof *weight);
    if (!axis->first || !axis->weight || !weight) {
        free(weight);
        resize_axis_fini(axis);
        return false;
    }
    for (int i = 0; i < n_out; i++) {
        double at = origin + i * step;
        at = at < 0 ? 0 : at > n_in - 1 ? n_in - 1 : at;
        if (filter == RESIZE_NEAREST) {
            axis->first[i] = (int)floor(at + 0.5) < n_in ? (int)floor(at + 0.5) : n_in - 1;
            axis->weight[i] = 1;
            continue;
        }
        axis->first[i] = fill_taps(axis, filter, at, widen, support, weight);
        for (int k = 0; k < axis->taps; k++)
            axis->weight[(size_t)i * (size_t)axis->taps + (size_t)k] = (float)weight[k];
    }
    free(weight);
    return true;
}

bool resize_axis_fit(struct resize_axis *axis, enum resize_filter filter, int n_in, int n_out)
{
    double step = (double)n_in / n_out;
    return resize_axis_init(axis, filter, n_in, n_out, 0.5 * step - 0.5, step);
}

void resize_axis_fini(struct resize_axis *axis)
{
    free(axis->first);
    free(axis->weight);
    *axis = (struct resize_axis){0};
}

// ---- rows ---------------------------------------------------------------

KERN_CLONES
static void weigh_first(const float *restrict s, float *restrict d, int n, float w)
{
    for (int i = 0; i < n; i++) d[i] = s[i] * w;
}

KERN_CLONES
static void weigh_next(const float *restrict s, float *restrict d, int n, float w)
{
    for (int i = 0; i < n; i++) d[i] += s[i] * w;
}

// The taps of both interpolations that do not shrink, for several outputs at once. Each sum has the same
// order as below.
KERN_CLONES
static void row_of_3(const int *restrict first, const float *restrict w, const float *restrict s, float *restrict d,
                     int n)
{
    for (int i = 0; i < n; i++) {
        const float *at = s + first[i], *v = w + 3 * (size_t)i;
        d[i] = at[0] * v[0] + at[1] * v[1] + at[2] * v[2];
    }
}

KERN_CLONES
static void row_of_5(const int *restrict first, const float *restrict w, const float *restrict s, float *restrict d,
                     int n)
{
    for (int i = 0; i < n; i++) {
        const float *at = s + first[i], *v = w + 5 * (size_t)i;
        d[i] = at[0] * v[0] + at[1] * v[1] + at[2] * v[2] + at[3] * v[3] + at[4] * v[4];
    }
}

void resize_row(const struct resize_axis *x, const float *s, float *d)
{
    int taps = x->taps;
    if (taps == 3) return row_of_3(x->first, x->weight, s, d, x->n_out);
    if (taps == 5) return row_of_5(x->first, x->weight, s, d, x->n_out);
    for (int i = 0; i < x->n_out; i++) {
        const float *w = x->weight + (size_t)i * (size_t)taps, *at = s + x->first[i];
        float sum = 0.0f;
        for (int k = 0; k < taps; k++) sum += at[k] * w[k];
        d[i] = sum;
    }
}

static size_t row_floats(int n)
{
    return ((size_t)n + 15) / 16 * 16;
}

size_t resize_scratch_floats(const struct resize_axis *x, const struct resize_axis *y, int n_planes)
{
    return (size_t)n_planes * ((size_t)(y->taps + 1) * row_floats(x->n_in) + row_floats(x->n_out));
}

void resize_rows(const struct resize_axis *x, const struct resize_axis *y, int n_planes, resize_read_fn read,
                 resize_write_fn write, void *user, float *scratch)
{
    assert(n_planes >= 1 && n_planes <= RESIZE_MAX_PLANES);
    size_t in_row = row_floats(x->n_in), out_row = row_floats(x->n_out);
    // Source row r lies in line r mod taps of the cache. Rows are read in order, each once.
    float *cache = scratch, *sum = cache + (size_t)n_planes * (size_t)y->taps * in_row;
    float *result = sum + (size_t)n_planes * in_row;
    int have = 0;
    for (int i = 0; i < y->n_out; i++) {
        const float *w = y->weight + (size_t)i * (size_t)y->taps;
        int first = y->first[i];
        if (have < first) have = first;
        for (; have < first + y->taps; have++) {
            float *rows[RESIZE_MAX_PLANES];
            for (int p = 0; p < n_planes; p++)
                rows[p] = cache + ((size_t)(have % y->taps) * (size_t)n_planes + (size_t)p) * in_row;
            read(user, have, rows);
        }
        float *out[RESIZE_MAX_PLANES];
        for (int p = 0; p < n_planes; p++) {
            float *acc = sum + (size_t)p * in_row;
            bool begun = false;
            for (int k = 0; k < y->taps; k++) {
                if (w[k] == 0.0f) continue;
                const float *s = cache + ((size_t)((first + k) % y->taps) * (size_t)n_planes + (size_t)p) * in_row;
                (begun ? weigh_next : weigh_first)(s, acc, x->n_in, w[k]);
                begun = true;
            }
            out[p] = result + (size_t)p * out_row;
            resize_row(x, acc, out[p]);
        }
        write(user, i, out);
    }
}

void resize_plane_ref(const struct resize_axis *x, const struct resize_axis *y, const float *src, size_t src_row,
                      float *dst, size_t dst_row)
{
    for (int j = 0; j < y->n_out; j++)
        for (int i = 0; i < x->n_out; i++) {
            double sum = 0;
            for (int v = 0; v < y->taps; v++)
                for (int u = 0; u < x->taps; u++)
                    sum += (double)y->weight[j * y->taps + v] * (double)x->weight[i * x->taps + u] *
                           (double)src[(size_t)(y->first[j] + v) * src_row + (size_t)(x->first[i] + u)];
            dst[(size_t)j * dst_row + (size_t)i] = (float)sum;
        }
}

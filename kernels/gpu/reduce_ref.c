// SPDX-License-Identifier: MIT
//
// Plain C twins of the reducing kernels: sums, extremes, softmax, normalisation. See ops.h. They sum in
// double, so that the kernels are compared with the true value.
#include "kernels/gpu/math.h"

static double fold(int kind, double sum, double v, double mean)
{
    switch (kind) {
    case GPU_REDUCE_SUM:
        return sum + v;
    case GPU_REDUCE_SUM_ABS:
        return sum + fabs(v);
    case GPU_REDUCE_SUM_SQUARES:
        return sum + v * v;
    case GPU_REDUCE_SUM_DIFF2:
        return sum + (v - mean) * (v - mean);
    case GPU_REDUCE_MAX:
        return v > sum || v != v ? v : sum;
    case GPU_REDUCE_MIN:
        return v < sum || v != v ? v : sum;
    default:
        return sum * v;
    }
}

void gpu_reduce_ref(const struct gpu_reduce *p, const void *src, const float *mean, void *dst)
{
    for (int64_t o = 0; o < p->outer; o++)
        for (int64_t i = 0; i < p->inner; i++) {
            double sum = p->kind == GPU_REDUCE_MAX    ? -INFINITY
                         : p->kind == GPU_REDUCE_MIN  ? INFINITY
                         : p->kind == GPU_REDUCE_PROD ? 1
                                                      : 0;
            double m = 0;
            if (p->kind == GPU_REDUCE_SUM_DIFF2)
                m = (double)mean[o / p->mean_outer_div * p->mean_outer + i / p->mean_inner_div];
            for (int64_t r = 0; r < p->reduce; r++) {
                const int64_t at = o * p->src_outer + r * p->src_reduce + i * p->src_inner;
                sum = fold(p->kind, sum, (double)gpu_elem_load((enum gpu_elem)p->src_elem, src, at), m);
            }
            sum *= (double)p->scale;
            gpu_elem_store((enum gpu_elem)p->dst_elem, dst, o * p->dst_outer + i * p->dst_inner,
                           (float)(p->root ? sqrt(sum) : sum));
        }
}

void gpu_argmax_ref(const struct gpu_argmax *p, const void *src, int64_t *dst)
{
    for (int64_t o = 0; o < p->outer; o++)
        for (int64_t i = 0; i < p->inner; i++) {
            int64_t best = 0;
            float most = 0;
            for (int64_t r = 0; r < p->reduce; r++) {
                const int64_t at = o * p->src_outer + r * p->src_reduce + i * p->src_inner;
                const float v = gpu_elem_load((enum gpu_elem)p->src_elem, src, at);
                const bool better = p->smallest ? v < most : v > most;
                if (r == 0 || better || (p->last && v == most)) best = r, most = v;
            }
            dst[o * p->inner + i] = best;
        }
}

void gpu_softmax_ref(const struct gpu_softmax *p, const void *src, void *dst)
{
    for (int64_t o = 0; o < p->outer; o++)
        for (int64_t i = 0; i < p->inner; i++) {
            float most = -INFINITY;
            double sum = 0;
            for (int64_t a = 0; a < p->axis; a++)
                most = fmaxf(most, gpu_elem_load((enum gpu_elem)p->src_elem, src,
                                                 o * p->src_outer + a * p->src_axis + i * p->src_inner));
            for (int64_t a = 0; a < p->axis; a++)
                sum += (double)expf(gpu_elem_load((enum gpu_elem)p->src_elem, src,
                                                  o * p->src_outer + a * p->src_axis + i * p->src_inner) -
                                    most);
            for (int64_t a = 0; a < p->axis; a++) {
                const float x = gpu_elem_load((enum gpu_elem)p->src_elem, src,
                                              o * p->src_outer + a * p->src_axis + i * p->src_inner) -
                                most;
                const float v = p->logarithm ? x - logf((float)sum) : expf(x) / (float)sum;
                gpu_elem_store((enum gpu_elem)p->dst_elem, dst, o * p->dst_outer + a * p->dst_axis + i * p->dst_inner,
                               v);
            }
        }
}

void gpu_norm_ref(const struct gpu_norm *p, const void *x, const float *mean, const float *var, const float *scale,
                  const float *shift, void *y)
{
    const enum gpu_elem e = (enum gpu_elem)p->elem;
    for (int64_t i = 0; i < p->images * p->pixels; i++)
        for (int c = 0; c < p->y_pitch; c++) {
            float v = 0;
            if (c < p->c) {
                const int64_t g = i / p->pixels * p->groups + c / (p->c / p->groups);
                v = (gpu_elem_load(e, x, i * p->x_pitch + c) - mean[g]) / sqrtf(var[g] + p->epsilon) * scale[c] +
                    shift[c];
            }
            gpu_elem_store(e, y, i * p->y_pitch + c, v);
        }
}

void gpu_layer_norm_ref(const struct gpu_layer_norm *p, const void *x, const float *scale, const float *shift, void *y)
{
    const enum gpu_elem e = (enum gpu_elem)p->elem;
    for (int64_t r = 0; r < p->rows; r++) {
        double mean = 0, var = 0;
        for (int c = 0; !p->rms && c < p->columns; c++) mean += (double)gpu_elem_load(e, x, r * p->columns + c);
        mean /= p->columns;
        for (int c = 0; c < p->columns; c++) {
            const double d = (double)gpu_elem_load(e, x, r * p->columns + c) - mean;
            var += d * d;
        }
        const double inverse = 1 / sqrt(var / p->columns + (double)p->epsilon);
        for (int c = 0; c < p->columns; c++) {
            double v = ((double)gpu_elem_load(e, x, r * p->columns + c) - mean) * inverse;
            if (scale) v *= (double)scale[c];
            if (shift) v += (double)shift[c];
            gpu_elem_store(e, y, r * p->columns + c, (float)v);
        }
    }
}

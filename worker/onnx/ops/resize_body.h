// SPDX-License-Identifier: MIT
//
// Weighted sums along one axis for one element type; included by resize.c with
// REAL and FN(name) defined. It has no include guard on purpose.

// y = first ? w x : y + w x
HOT static void FN(mix_row)(REAL *restrict y, const REAL *restrict x, REAL w, int64_t n, bool first)
{
    if (first)
        for (int64_t i = 0; i < n; i++) y[i] = w * x[i];
    else
        for (int64_t i = 0; i < n; i++) y[i] += w * x[i];
}

// y = w0 x0 + w1 x1, the linear case in one pass
HOT static void FN(mix_two)(REAL *restrict y, const REAL *restrict x0, const REAL *restrict x1, REAL w0, REAL w1,
                            int64_t n)
{
    for (int64_t i = 0; i < n; i++) y[i] = w0 * x0[i] + w1 * x1[i];
}

// Along the last axis: tap t of output o reads x[index[t*n + o]].
HOT static void FN(gather_row)(REAL *restrict y, const REAL *restrict x, const int32_t *restrict index,
                               const REAL *restrict weight, int64_t n, int64_t taps)
{
    if (taps == 2) {
        for (int64_t o = 0; o < n; o++) y[o] = weight[o] * x[index[o]] + weight[n + o] * x[index[n + o]];
        return;
    }
    for (int64_t o = 0; o < n; o++) y[o] = weight[o] * x[index[o]];
    for (int64_t t = 1; t < taps; t++)
        for (int64_t o = 0; o < n; o++) y[o] += weight[t * n + o] * x[index[t * n + o]];
}

static void FN(mix_axis)(const struct axis_table *t, const REAL *x, REAL *y, int64_t outer, int64_t inner)
{
    const REAL *weight = t->weight;
    for (int64_t i = 0; i < outer; i++, x += t->in * inner, y += t->out * inner) {
        if (inner == 1) {
            FN(gather_row)(y, x, t->index, weight, t->out, t->taps);
            continue;
        }
        for (int64_t o = 0; o < t->out; o++) {
            REAL *to = y + o * inner;
            if (t->taps == 2) {
                FN(mix_two)
                (to, x + t->index[o] * inner, x + t->index[t->out + o] * inner, weight[o], weight[t->out + o], inner);
                continue;
            }
            for (int64_t k = 0; k < t->taps; k++)
                FN(mix_row)(to, x + t->index[k * t->out + o] * inner, weight[k * t->out + o], inner, k == 0);
        }
    }
}

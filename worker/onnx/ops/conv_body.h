// SPDX-License-Identifier: MIT
//
// Convolution and pooling loops for one element type; included by conv.c with
// REAL, FN(name) and GEMM defined. It has no include guard on purpose.

// y[i] += w * x[i*step]
HOT static void FN(axpy)(REAL *restrict y, const REAL *restrict x, REAL w, int64_t n, int64_t step)
{
    if (step == 1)
        for (int64_t i = 0; i < n; i++) y[i] += w * x[i];
    else if (step == 2)
        for (int64_t i = 0; i < n; i++) y[i] += w * x[2 * i];
    else
        for (int64_t i = 0; i < n; i++) y[i] += w * x[i * step];
}

static void FN(fill_bias)(REAL *y, int64_t rows, int64_t cols, const REAL *bias)
{
    for (int64_t r = 0; r < rows; r++) {
        REAL b = bias ? bias[r] : 0;
        for (int64_t i = 0; i < cols; i++) y[r * cols + i] = b;
    }
}

// Columns of output positions q0..q1-1 for `channels` planes of x.
static void FN(im2col)(const struct window *w, const REAL *x, int64_t channels, int64_t q0, int64_t q1, REAL *col)
{
    int64_t plane = window_volume(w->in), taps = window_volume(w->kernel), ow_n = w->out[2];
    for (int64_t r = 0; r < channels * taps; r++, col += q1 - q0) {
        int64_t c = r / taps, kw = r % w->kernel[2], kh = r / w->kernel[2] % w->kernel[1];
        int64_t kd = r % taps / (w->kernel[1] * w->kernel[2]);
        REAL *to = col;
        for (int64_t q = q0; q < q1;) {
            int64_t ow = q % ow_n, oh = q / ow_n % w->out[1], od = q / ow_n / w->out[1];
            int64_t run = ow_n - ow < q1 - q ? ow_n - ow : q1 - q;
            int64_t id = od * w->stride[0] - w->begin[0] + kd * w->dilation[0];
            int64_t ih = oh * w->stride[1] - w->begin[1] + kh * w->dilation[1];
            int64_t off = kw * w->dilation[2] - w->begin[2], lo = ow, hi = ow;
            if (id >= 0 && id < w->in[0] && ih >= 0 && ih < w->in[1])
                valid_range(off, w->stride[2], w->in[2], ow, ow + run, &lo, &hi);
            const REAL *row = x + c * plane + (id * w->in[1] + ih) * w->in[2];
            for (int64_t o = ow; o < lo; o++) to[o - ow] = 0;
            if (hi > lo && w->stride[2] == 1)
                memcpy(to + lo - ow, row + lo + off, sizeof(REAL) * (size_t)(hi - lo));
            else
                for (int64_t o = lo; o < hi; o++) to[o - ow] = row[o * w->stride[2] + off];
            for (int64_t o = hi; o < ow + run; o++) to[o - ow] = 0;
            to += run;
            q += run;
        }
    }
}

// One output plane, tap by tap: for few channels, as in depthwise convolutions.
static void FN(conv_direct)(const struct window *w, const REAL *x, int64_t channels, const REAL *weights, REAL *y)
{
    int64_t plane = window_volume(w->in), taps = window_volume(w->kernel);
    for (int64_t od = 0; od < w->out[0]; od++)
        for (int64_t oh = 0; oh < w->out[1]; oh++) {
            REAL *row_y = y + (od * w->out[1] + oh) * w->out[2];
            for (int64_t r = 0; r < channels * taps; r++) {
                int64_t c = r / taps, kw = r % w->kernel[2], kh = r / w->kernel[2] % w->kernel[1];
                int64_t kd = r % taps / (w->kernel[1] * w->kernel[2]);
                int64_t id = od * w->stride[0] - w->begin[0] + kd * w->dilation[0];
                int64_t ih = oh * w->stride[1] - w->begin[1] + kh * w->dilation[1];
                if (id < 0 || id >= w->in[0] || ih < 0 || ih >= w->in[1]) continue;
                int64_t off = kw * w->dilation[2] - w->begin[2], lo, hi;
                valid_range(off, w->stride[2], w->in[2], 0, w->out[2], &lo, &hi);
                if (hi <= lo) continue;
                const REAL *row = x + c * plane + (id * w->in[1] + ih) * w->in[2];
                FN(axpy)(row_y + lo, row + lo * w->stride[2] + off, weights[r], hi - lo, w->stride[2]);
            }
        }
}

static bool FN(conv_group)(const struct conv *cv, const REAL *x, const REAL *weights, REAL *y, REAL *col, int64_t chunk)
{
    const struct window *w = &cv->w;
    int64_t positions = window_volume(w->out), depth = cv->cg * window_volume(w->kernel);
    if (!col && chunk == 0) { // 1x1: the input is its own column matrix
        return GEMM(cv->mg, positions, depth, weights, depth, 1, x, positions, 1, y, positions, true);
    }
    if (!col) {
        for (int64_t m = 0; m < cv->mg; m++) FN(conv_direct)(w, x, cv->cg, weights + m * depth, y + m * positions);
        return true;
    }
    for (int64_t q = 0; q < positions; q += chunk) {
        int64_t q1 = q + chunk < positions ? q + chunk : positions;
        FN(im2col)(w, x, cv->cg, q, q1, col);
        if (!GEMM(cv->mg, q1 - q, depth, weights, depth, 1, col, q1 - q, 1, y + q, positions, true)) return false;
    }
    return true;
}

static enum reel_err FN(conv)(const struct conv *cv, const REAL *x, const REAL *weights, const REAL *bias, REAL *y)
{
    const struct window *w = &cv->w;
    int64_t positions = window_volume(w->out), plane = window_volume(w->in);
    int64_t depth = cv->cg * window_volume(w->kernel), chunk = CONV_COLUMN_ELEMENTS / (depth ? depth : 1);
    if (positions == 0 || cv->n == 0) return REEL_OK;
    chunk = chunk < 64 ? 64 : chunk;
    if (chunk > positions) chunk = positions;
    bool few = cv->mg < 4 || depth < 4;
    if (!few && window_is_pointwise(w)) chunk = 0;
    REAL *col = NULL;
    if (chunk && !few && !(col = work_alloc(depth * chunk, sizeof(REAL)))) return REEL_ERR_NOMEM;
    bool ok = true;
    for (int64_t n = 0; n < cv->n; n++)
        for (int64_t g = 0; ok && g < cv->groups; g++) {
            REAL *to = y + (n * cv->groups + g) * cv->mg * positions;
            FN(fill_bias)(to, cv->mg, positions, bias ? bias + g * cv->mg : NULL);
            ok = FN(conv_group)(cv, x + (n * cv->groups + g) * cv->cg * plane, weights + g * cv->mg * depth, to, col,
                                chunk);
        }
    free(col);
    return ok ? REEL_OK : reel_fail(REEL_ERR_NOMEM, "no memory for the packed matrices");
}

#ifndef CONV_FORWARD_ONLY

// y[i*step] += x[i]
HOT static void FN(scatter)(REAL *restrict y, const REAL *restrict x, int64_t n, int64_t step)
{
    if (step == 1)
        for (int64_t i = 0; i < n; i++) y[i] += x[i];
    else
        for (int64_t i = 0; i < n; i++) y[i * step] += x[i];
}

// Adds columns (taps of `channels` planes x input positions q0..q1-1) to the
// planes of y: the transpose of im2col.
static void FN(col2im)(const struct window *w, const REAL *col, int64_t channels, int64_t q0, int64_t q1, REAL *y)
{
    int64_t plane = window_volume(w->out), taps = window_volume(w->kernel), iw_n = w->in[2];
    for (int64_t r = 0; r < channels * taps; r++, col += q1 - q0) {
        int64_t c = r / taps, kw = r % w->kernel[2], kh = r / w->kernel[2] % w->kernel[1];
        int64_t kd = r % taps / (w->kernel[1] * w->kernel[2]);
        for (int64_t q = q0; q < q1;) {
            int64_t iw = q % iw_n, ih = q / iw_n % w->in[1], id = q / iw_n / w->in[1];
            int64_t run = iw_n - iw < q1 - q ? iw_n - iw : q1 - q;
            int64_t od = id * w->stride[0] - w->begin[0] + kd * w->dilation[0];
            int64_t oh = ih * w->stride[1] - w->begin[1] + kh * w->dilation[1];
            int64_t off = kw * w->dilation[2] - w->begin[2], lo = iw, hi = iw;
            if (od >= 0 && od < w->out[0] && oh >= 0 && oh < w->out[1])
                valid_range(off, w->stride[2], w->out[2], iw, iw + run, &lo, &hi);
            if (hi > lo)
                FN(scatter)
                (y + c * plane + (od * w->out[1] + oh) * w->out[2] + lo * w->stride[2] + off,
                 col + (q - q0) + (lo - iw), hi - lo, w->stride[2]);
            q += run;
        }
    }
}

// ConvTranspose: cv->mg output planes per group from cv->cg input planes;
// weights are (groups*cg, mg, kernel).
static enum reel_err FN(conv_transpose)(const struct conv *cv, const REAL *x, const REAL *weights, const REAL *bias,
                                        REAL *y)
{
    const struct window *w = &cv->w;
    int64_t plane_y = window_volume(w->out), plane_x = window_volume(w->in);
    int64_t rows = cv->mg * window_volume(w->kernel);
    int64_t chunk = CONV_COLUMN_ELEMENTS / (rows ? rows : 1);
    chunk = chunk < 64 ? 64 : chunk;
    if (chunk > plane_x) chunk = plane_x;
    REAL *col = work_alloc(rows * chunk, sizeof(REAL));
    if (!col) return REEL_ERR_NOMEM;
    bool ok = true;
    for (int64_t n = 0; n < cv->n; n++)
        for (int64_t g = 0; ok && g < cv->groups; g++) {
            const REAL *from = x + (n * cv->groups + g) * cv->cg * plane_x;
            REAL *to = y + (n * cv->groups + g) * cv->mg * plane_y;
            FN(fill_bias)(to, cv->mg, plane_y, bias ? bias + g * cv->mg : NULL);
            for (int64_t q = 0; ok && q < plane_x; q += chunk) {
                int64_t q1 = q + chunk < plane_x ? q + chunk : plane_x;
                ok = GEMM(rows, q1 - q, cv->cg, weights + g * cv->cg * rows, 1, rows, from + q, plane_x, 1, col, q1 - q,
                          false);
                if (ok) FN(col2im)(w, col, cv->mg, q, q1, to);
            }
        }
    free(col);
    return ok ? REEL_OK : reel_fail(REEL_ERR_NOMEM, "no memory for the packed matrices");
}

#endif

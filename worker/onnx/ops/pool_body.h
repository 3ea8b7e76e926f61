// SPDX-License-Identifier: MIT
//
// Pooling loops for one element type; included by conv.c with REAL, LOWEST and
// FN(name) defined. It has no include guard on purpose.

// y[i] = max(y[i], x[i*step]); a NaN never wins.
HOT static void FN(max_row)(REAL *restrict y, const REAL *restrict x, int64_t n, int64_t step)
{
    if (step == 1)
        for (int64_t i = 0; i < n; i++) y[i] = x[i] > y[i] ? x[i] : y[i];
    else if (step == 2)
        for (int64_t i = 0; i < n; i++) y[i] = x[2 * i] > y[i] ? x[2 * i] : y[i];
    else
        for (int64_t i = 0; i < n; i++) y[i] = x[i * step] > y[i] ? x[i * step] : y[i];
}

static void FN(max_pool)(const struct window *w, const REAL *x, REAL *y)
{
    for (int64_t od = 0; od < w->out[0]; od++)
        for (int64_t oh = 0; oh < w->out[1]; oh++) {
            REAL *row_y = y + (od * w->out[1] + oh) * w->out[2];
            for (int64_t i = 0; i < w->out[2]; i++) row_y[i] = LOWEST;
            int64_t tap[WINDOW_DIMS][2];
            tap_range(w, 0, od, &tap[0][0], &tap[0][1]);
            tap_range(w, 1, oh, &tap[1][0], &tap[1][1]);
            tap_range(w, 2, -1, &tap[2][0], &tap[2][1]);
            for (int64_t kd = tap[0][0]; kd < tap[0][1]; kd++)
                for (int64_t kh = tap[1][0]; kh < tap[1][1]; kh++) {
                    int64_t id = od * w->stride[0] - w->begin[0] + kd * w->dilation[0];
                    int64_t ih = oh * w->stride[1] - w->begin[1] + kh * w->dilation[1];
                    const REAL *row = x + (id * w->in[1] + ih) * w->in[2];
                    for (int64_t kw = tap[2][0]; kw < tap[2][1]; kw++) {
                        int64_t off = kw * w->dilation[2] - w->begin[2], lo, hi;
                        valid_range(off, w->stride[2], w->in[2], 0, w->out[2], &lo, &hi);
                        if (hi > lo) FN(max_row)(row_y + lo, row + lo * w->stride[2] + off, hi - lo, w->stride[2]);
                    }
                }
        }
}

// The same with the place of each maximum: the first in row-major order, as an
// index into the plane, row-major or (column_major) with the first axis fastest.
static void FN(max_pool_index)(const struct window *w, const REAL *x, REAL *y, int64_t *index, bool column_major)
{
    int64_t q = 0;
    for (int64_t od = 0; od < w->out[0]; od++)
        for (int64_t oh = 0; oh < w->out[1]; oh++)
            for (int64_t ow = 0; ow < w->out[2]; ow++, q++) {
                REAL best = LOWEST;
                int64_t at = -1;
                int64_t o[WINDOW_DIMS] = {od, oh, ow}, tap[WINDOW_DIMS][2], start[WINDOW_DIMS];
                for (int i = 0; i < WINDOW_DIMS; i++) {
                    tap_range(w, i, o[i], &tap[i][0], &tap[i][1]);
                    start[i] = o[i] * w->stride[i] - w->begin[i];
                }
                for (int64_t kd = tap[0][0]; kd < tap[0][1]; kd++)
                    for (int64_t kh = tap[1][0]; kh < tap[1][1]; kh++)
                        for (int64_t kw = tap[2][0]; kw < tap[2][1]; kw++) {
                            int64_t id = start[0] + kd * w->dilation[0], ih = start[1] + kh * w->dilation[1];
                            int64_t iw = start[2] + kw * w->dilation[2];
                            int64_t place = (id * w->in[1] + ih) * w->in[2] + iw;
                            if (at >= 0 && !(x[place] > best)) continue;
                            best = x[place];
                            at = column_major ? id + w->in[0] * (ih + w->in[1] * iw) : place;
                        }
                y[q] = best;
                index[q] = at < 0 ? 0 : at;
            }
}

// SPDX-License-Identifier: MIT
//
// The element-wise halves of the recurrent cells for one element type; included
// by rnn.c with REAL and FN(name) defined. It has no include guard on purpose.

// to = a + b (+ bias), cut to [-clip, clip] when clip > 0
HOT static void FN(gate_sum)(REAL *restrict to, const REAL *restrict a, const REAL *restrict b,
                             const REAL *restrict bias, int64_t n, REAL clip)
{
    for (int64_t i = 0; i < n; i++) to[i] = a[i] + b[i];
    for (int64_t i = 0; bias && i < n; i++) to[i] += bias[i];
    for (int64_t i = 0; clip > 0 && i < n; i++) to[i] = to[i] > clip ? clip : to[i] < -clip ? -clip : to[i];
}

HOT static void FN(mul_add)(REAL *restrict to, const REAL *restrict a, const REAL *restrict b, int64_t n)
{
    for (int64_t i = 0; i < n; i++) to[i] += a[i] * b[i];
}

HOT static void FN(mul)(REAL *restrict to, const REAL *restrict a, const REAL *restrict b, int64_t n)
{
    for (int64_t i = 0; i < n; i++) to[i] = a[i] * b[i];
}

// GRU: h = (1 - z) fresh + z h
HOT static void FN(gru_mix)(REAL *restrict h, const REAL *restrict z, const REAL *restrict fresh, int64_t n)
{
    for (int64_t i = 0; i < n; i++) h[i] = (1 - z[i]) * fresh[i] + z[i] * h[i];
}

static void FN(clip)(REAL *p, int64_t n, REAL limit)
{
    for (int64_t i = 0; limit > 0 && i < n; i++) p[i] = p[i] > limit ? limit : p[i] < -limit ? -limit : p[i];
}

// One batch element of one step. xw: X W^T + Wb (gates*H); hr: H R^T, likewise.
static void FN(step_rnn)(const struct cell *c, const struct activation *act, const REAL *xw, const REAL *hr,
                         const REAL *rb, REAL *gate, REAL *h)
{
    FN(gate_sum)(gate, xw, hr, rb, c->hidden, (REAL)c->clip);
    activate(&act[0], c->dtype, gate, c->hidden);
    memcpy(h, gate, sizeof(REAL) * (size_t)c->hidden);
}

static void FN(step_lstm)(const struct cell *c, const struct activation *act, const REAL *xw, const REAL *hr,
                          const REAL *rb, const REAL *peep, REAL *gate, REAL *h, REAL *cell)
{
    int64_t n = c->hidden;
    REAL *in = gate, *out = gate + n, *forget = gate + 2 * n, *fresh = gate + 3 * n, limit = (REAL)c->clip;
    FN(gate_sum)(gate, xw, hr, rb, 4 * n, 0);
    if (peep) {
        FN(mul_add)(in, peep, cell, n);
        FN(mul_add)(forget, peep + 2 * n, cell, n);
    }
    FN(clip)(in, n, limit);
    FN(clip)(forget, n, limit);
    FN(clip)(fresh, n, limit);
    activate(&act[0], c->dtype, in, n);
    activate(&act[0], c->dtype, forget, n);
    for (int64_t i = 0; c->input_forget && i < n; i++) forget[i] = 1 - in[i];
    activate(&act[1], c->dtype, fresh, n);
    for (int64_t i = 0; i < n; i++) cell[i] = forget[i] * cell[i] + in[i] * fresh[i];
    if (peep) FN(mul_add)(out, peep + n, cell, n);
    FN(clip)(out, n, limit);
    activate(&act[0], c->dtype, out, n);
    memcpy(fresh, cell, sizeof(REAL) * (size_t)n);
    activate(&act[2], c->dtype, fresh, n);
    FN(mul)(h, out, fresh, n);
}

// The gates z and r; then the candidate, for which linear_before_reset decides
// whether r acts on H R^T (here) or on H (a second product, *reset).
static void FN(step_gru_gates)(const struct cell *c, const struct activation *act, const REAL *xw, const REAL *hr,
                               const REAL *rb, REAL *gate, const REAL *h, REAL *reset)
{
    int64_t n = c->hidden;
    FN(gate_sum)(gate, xw, hr, rb, 2 * n, (REAL)c->clip);
    activate(&act[0], c->dtype, gate, 2 * n);
    if (!c->linear_before_reset) {
        FN(mul)(reset, gate + n, h, n);
        return;
    }
    for (int64_t i = 0; i < n; i++) reset[i] = gate[n + i] * (hr[2 * n + i] + (rb ? rb[2 * n + i] : 0));
}

// hidden: r H R^T of the candidate, without (rb given) or with its bias.
static void FN(step_gru_end)(const struct cell *c, const struct activation *act, const REAL *xw, const REAL *hidden,
                             const REAL *rb, REAL *gate, REAL *h)
{
    int64_t n = c->hidden;
    FN(gate_sum)(gate + 2 * n, xw + 2 * n, hidden, rb ? rb + 2 * n : NULL, n, (REAL)c->clip);
    activate(&act[1], c->dtype, gate + 2 * n, n);
    FN(gru_mix)(h, gate, gate + 2 * n, n);
}

// One direction over all steps. Rows of x are found by cell_row(); h and cell
// hold the initial state and end as the last one.
static enum reel_err FN(run)(const struct cell *c, const struct activation *act, const struct direction *d)
{
    int64_t n = c->hidden, width = c->gates * n;
    const REAL *wb = d->bias, *rb = wb ? wb + width : NULL, *r = d->r;
    REAL *xw = d->xw, *hr = d->hr, *h = d->h, *cell = d->cell, *gate = d->gate, *reset = d->reset, *y = d->y;
    struct mat x = {d->x, c->input, 1}, w = {d->w, 1, c->input}, state = {h, n, 1};
    enum reel_err err = mat_mul(c->dtype, c->steps * c->batch, width, c->input, x, w, xw, width, false);
    for (int64_t i = 0; !err && wb && i < c->steps * c->batch; i++)
        for (int64_t j = 0; j < width; j++) xw[i * width + j] += wb[j];
    bool second = c->kind == CELL_GRU && !c->linear_before_reset;
    for (int64_t t = 0; !err && t < c->steps; t++) {
        err = mat_mul(c->dtype, c->batch, width, n, state, (struct mat){r, 1, n}, hr, width, false);
        for (int64_t b = 0; !err && b < c->batch; b++) {
            if (t >= d->length[b]) {
                if (second) memset(reset + b * n, 0, sizeof(REAL) * (size_t)n);
                continue;
            }
            const REAL *from = xw + cell_row(c, d->reverse ? d->length[b] - 1 - t : t, b) * width;
            REAL *row = hr + b * width, *g = gate + b * width;
            if (c->kind == CELL_RNN)
                FN(step_rnn)(c, act, from, row, rb, g, h + b * n);
            else if (c->kind == CELL_LSTM)
                FN(step_lstm)(c, act, from, row, rb, d->peep, g, h + b * n, cell + b * n);
            else
                FN(step_gru_gates)(c, act, from, row, rb, g, h + b * n, reset + b * n);
        }
        const REAL *hidden = reset;
        if (!err && second) {
            struct mat rh = {r + 2 * n * n, 1, n};
            err = mat_mul(c->dtype, c->batch, n, n, (struct mat){reset, n, 1}, rh, hr, n, false);
            hidden = hr;
        }
        for (int64_t b = 0; !err && b < c->batch; b++) {
            if (t >= d->length[b]) continue;
            int64_t step = d->reverse ? d->length[b] - 1 - t : t;
            const REAL *from = xw + cell_row(c, step, b) * width;
            if (c->kind == CELL_GRU)
                FN(step_gru_end)(c, act, from, hidden + b * n, second ? rb : NULL, gate + b * width, h + b * n);
            if (y) memcpy(y + cell_out(c, step, d->number, b) * n, h + b * n, sizeof(REAL) * (size_t)n);
        }
    }
    return err;
}

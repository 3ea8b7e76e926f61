// SPDX-License-Identifier: MIT
//
// The plain C twin of gpu_rnn(): sums in double, states in float.
#include <stdlib.h>
#include <string.h>

#include "kernels/gpu/rnn_math.h"

// What one direction of one batch element works on.
struct lane {
    const struct gpu_rnn *p;
    const struct gpu_rnn_data *d;
    int direction, b, n, width;
    float *h, *c, *gate, *reset;
};

// Column j of the product of `state` and R.
static float product(const struct lane *l, const float *state, int j)
{
    double sum = 0;
    for (int k = 0; k < l->n; k++)
        sum += (double)state[k] * (double)gpu_elem_load((enum gpu_elem)l->p->r_elem, l->d->r,
                                                        ((int64_t)l->direction * l->n + k) * l->width + j);
    return (float)sum;
}

static float input(const struct lane *l, int step, int j)
{
    const int64_t row = ((int64_t)l->b * l->p->steps + step) * l->p->directions + l->direction;
    return gpu_elem_load((enum gpu_elem)l->p->xw_elem, l->d->xw, row * l->width + j) +
           l->d->bias[(int64_t)l->direction * l->width + j];
}

static void gru_step(const struct lane *l, int step)
{
    const struct gpu_rnn *p = l->p;
    const int n = l->n, g = l->direction;
    for (int u = 0; u < n; u++) {
        l->gate[u] = gpu_cell_gate(p, g, 0, input(l, step, u) + product(l, l->h, u));
        l->gate[n + u] = gpu_cell_gate(p, g, 0, input(l, step, n + u) + product(l, l->h, n + u));
        l->reset[u] = l->gate[n + u] * l->h[u];
    }
    for (int u = 0; u < n; u++) {
        const float beside = l->d->bias[(int64_t)p->directions * l->width + (int64_t)g * n + u];
        const float hidden = p->linear_before_reset ? l->gate[n + u] * (product(l, l->h, 2 * n + u) + beside)
                                                    : product(l, l->reset, 2 * n + u);
        l->gate[2 * n + u] = gpu_cell_gate(p, g, 1, input(l, step, 2 * n + u) + hidden);
    }
    for (int u = 0; u < n; u++) l->h[u] = (1 - l->gate[u]) * l->gate[2 * n + u] + l->gate[u] * l->h[u];
}

static void step_of(const struct lane *l, int step)
{
    const struct gpu_rnn *p = l->p;
    const float *peep = l->d->peep ? l->d->peep + (int64_t)l->direction * 3 * l->n : NULL;
    if (p->kind == GPU_CELL_GRU) {
        gru_step(l, step);
        return;
    }
    for (int j = 0; j < l->width; j++) l->gate[j] = input(l, step, j) + product(l, l->h, j);
    for (int u = 0; u < l->n; u++) {
        if (p->kind == GPU_CELL_RNN)
            l->h[u] = gpu_cell_gate(p, l->direction, 0, l->gate[u]);
        else
            gpu_lstm_unit(p, l->direction, l->gate + u, peep ? peep + u : NULL, l->n, &l->h[u], &l->c[u]);
    }
}

static void load_state(const struct lane *l, int elem, const void *all, float *to)
{
    const int64_t row = gpu_rnn_state_row(l->p, l->direction, l->b) * l->n;
    for (int u = 0; u < l->n; u++) to[u] = all ? gpu_elem_load((enum gpu_elem)elem, all, row + u) : 0;
}

static void store_row(const struct lane *l, void *all, int64_t row, const float *from)
{
    for (int u = 0; all && u < l->n; u++)
        gpu_elem_store((enum gpu_elem)l->p->y_elem, all, row * l->n + u, from ? from[u] : 0);
}

void gpu_rnn_ref(const struct gpu_rnn *p, const struct gpu_rnn_data *d)
{
    const int n = p->hidden, width = GPU_RNN_GATES(p->kind) * n;
    float *work = calloc((size_t)(3 * n + width), sizeof *work);
    if (!work) abort();
    for (int i = 0; i < p->batch * p->directions; i++) {
        struct lane l = {p, d, i % p->directions, i / p->directions, n, width};
        l.h = work, l.c = work + n, l.reset = work + 2 * n, l.gate = work + 3 * n;
        load_state(&l, p->h_elem, d->h, l.h);
        load_state(&l, p->c_elem, d->c, l.c);
        const int length = gpu_rnn_length(p, d->length, l.b);
        for (int t = 0; t < length; t++) {
            const int step = gpu_rnn_step(p, l.direction, length, t);
            step_of(&l, step);
            store_row(&l, d->y, gpu_rnn_y_row(p, step, l.direction, l.b), l.h);
        }
        for (int t = length; t < p->steps; t++) store_row(&l, d->y, gpu_rnn_y_row(p, t, l.direction, l.b), NULL);
        store_row(&l, d->last_h, gpu_rnn_state_row(p, l.direction, l.b), l.h);
        store_row(&l, d->last_c, gpu_rnn_state_row(p, l.direction, l.b), l.c);
    }
    free(work);
}

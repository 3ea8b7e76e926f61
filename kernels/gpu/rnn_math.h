// SPDX-License-Identifier: MIT
//
// The cells of rnn.h, one hidden unit at a time, once for kernel and twin.
#ifndef REEL_KERNELS_GPU_RNN_MATH_H
#define REEL_KERNELS_GPU_RNN_MATH_H

#include "kernels/gpu/math.h"
#include "kernels/gpu/rnn.h"

GPU_FN float gpu_cell_act(const struct gpu_rnn *p, int direction, int k, float v)
{
    const struct gpu_activation *a = &p->act[direction][k];
    return gpu_op_unary(a->op, v, a->alpha, a->beta);
}

// A gate: its sum cut, then its function.
GPU_FN float gpu_cell_gate(const struct gpu_rnn *p, int direction, int k, float v)
{
    if (p->clip > 0) v = v > p->clip ? p->clip : v < -p->clip ? -p->clip : v;
    return gpu_cell_act(p, direction, k, v);
}

// gate: the four sums of the unit, `n` apart, as peep's three.
GPU_FN void gpu_lstm_unit(const struct gpu_rnn *p, int direction, const float *gate, const float *peep, int n, float *h,
                          float *c)
{
    float in = gate[0], out = gate[n], forget = gate[2 * n], fresh = gate[3 * n];
    if (peep) in += peep[0] * *c, forget += peep[2 * n] * *c;
    in = gpu_cell_gate(p, direction, 0, in);
    forget = p->input_forget ? 1 - in : gpu_cell_gate(p, direction, 0, forget);
    fresh = gpu_cell_gate(p, direction, 1, fresh);
    *c = forget * *c + in * fresh;
    if (peep) out += peep[n] * *c;
    out = gpu_cell_gate(p, direction, 0, out);
    *h = out * gpu_cell_act(p, direction, 2, *c);
}

GPU_FN int gpu_rnn_length(const struct gpu_rnn *p, const int32_t *length, int b)
{
    return !length || length[b] > p->steps ? p->steps : length[b] < 0 ? 0 : length[b];
}

// The step of the sequence at turn t, and rows of its states and results.
GPU_FN int gpu_rnn_step(const struct gpu_rnn *p, int direction, int length, int t)
{
    return p->reverse || direction == 1 ? length - 1 - t : t;
}

GPU_FN int64_t gpu_rnn_state_row(const struct gpu_rnn *p, int direction, int b)
{
    return p->batch_first ? (int64_t)b * p->directions + direction : (int64_t)direction * p->batch + b;
}

GPU_FN int64_t gpu_rnn_y_row(const struct gpu_rnn *p, int step, int direction, int b)
{
    return p->batch_first ? ((int64_t)b * p->steps + step) * p->directions + direction
                          : ((int64_t)step * p->directions + direction) * p->batch + b;
}

#endif

// SPDX-License-Identifier: MIT
//
// The kernel of rnn.h; the twin is in rnn_ref.c. A block goes through all steps
// of one direction of one batch element, so that no step waits for another block, and a
// result does not depend on its company. Threads have neighbouring columns of R, whose
// rows are read from the second cache at each step.
#include "kernels/gpu/chain.cuh"
#include "kernels/gpu/rnn_math.h"

#ifdef REEL_CUDA_CPU
#define RNN_BLOCK 32
#else
#define RNN_BLOCK 512
#endif

template <typename T> struct rnn_lane {
    const gpu_rnn_data &d;
    int direction, b, n, width;
    const T *r; // the direction's part of R

    // Column j of the product of `state` and R.
    __device__ float product(const float *state, int j) const
    {
        float sum = 0;
#pragma unroll 4
        for (int k = 0; k < n; k++) sum += state[k] * gpu_load(&r[(long long)k * width + j]);
        return sum;
    }

    __device__ float input(const struct gpu_rnn &p, int step, int j) const
    {
        const long long row = ((long long)b * p.steps + step) * p.directions + direction;
        return gpu_any_load(p.xw_elem, d.xw, row * width + j) + d.bias[(long long)direction * width + j];
    }

    __device__ void store(int elem, void *all, long long row, int u, float v) const
    {
        if (all) gpu_any_store(elem, all, row * n + u, v);
    }
};

// Computes each thread's units one after another; all threads are done when it returns.
#define EACH_UNIT(u, count) for (int u = (int)threadIdx.x; u < (count); u += RNN_BLOCK)

template <typename T>
static __device__ void gru_step(const struct gpu_rnn &p, const rnn_lane<T> &l, int step, float *h, float *gate,
                                float *reset)
{
    const int n = l.n, g = l.direction;
    EACH_UNIT(j, p.linear_before_reset ? 3 * n : 2 * n)
    {
        const float v = l.product(h, j);
        gate[j] = j < 2 * n ? gpu_cell_gate(&p, g, 0, l.input(p, step, j) + v) : v;
    }
    __syncthreads();
    EACH_UNIT(u, n) reset[u] = gate[n + u] * h[u];
    __syncthreads();
    EACH_UNIT(u, n)
    {
        const float beside = l.d.bias[(long long)p.directions * l.width + (long long)g * n + u];
        const float hidden =
            p.linear_before_reset ? gate[n + u] * (gate[2 * n + u] + beside) : l.product(reset, 2 * n + u);
        const float fresh = gpu_cell_gate(&p, g, 1, l.input(p, step, 2 * n + u) + hidden);
        h[u] = (1 - gate[u]) * fresh + gate[u] * h[u];
    }
}

template <typename T>
static __device__ void plain_step(const struct gpu_rnn &p, const rnn_lane<T> &l, int step, float *h, float *c,
                                  float *gate)
{
    const float *peep = l.d.peep ? l.d.peep + (long long)l.direction * 3 * l.n : NULL;
    EACH_UNIT(j, l.width) gate[j] = l.input(p, step, j) + l.product(h, j);
    __syncthreads();
    EACH_UNIT(u, l.n)
    {
        if (p.kind == GPU_CELL_RNN)
            h[u] = gpu_cell_gate(&p, l.direction, 0, gate[u]);
        else
            gpu_lstm_unit(&p, l.direction, gate + u, peep ? peep + u : NULL, l.n, &h[u], &c[u]);
    }
}

template <typename T> static __global__ void rnn(const struct gpu_rnn p, const struct gpu_rnn_data d)
{
    REEL_SHARED(float, states);
    const int n = p.hidden, width = GPU_RNN_GATES(p.kind) * n;
    const int direction = (int)blockIdx.x % p.directions, b = (int)blockIdx.x / p.directions;
    const rnn_lane<T> l = {d, direction, b, n, width, (const T *)d.r + (long long)direction * n * width};
    float *h = states, *c = h + n, *reset = c + n, *gate = reset + n;
    const long long state = gpu_rnn_state_row(&p, direction, b);
    EACH_UNIT(u, n)
    {
        h[u] = d.h ? gpu_any_load(p.h_elem, d.h, state * n + u) : 0.0f;
        c[u] = d.c ? gpu_any_load(p.c_elem, d.c, state * n + u) : 0.0f;
    }
    __syncthreads();
    const int length = gpu_rnn_length(&p, d.length, b);
    for (int t = 0; t < length; t++) {
        const int step = gpu_rnn_step(&p, direction, length, t);
        if (p.kind == GPU_CELL_GRU)
            gru_step(p, l, step, h, gate, reset);
        else
            plain_step(p, l, step, h, c, gate);
        __syncthreads();
        EACH_UNIT(u, n) l.store(p.y_elem, d.y, gpu_rnn_y_row(&p, step, direction, b), u, h[u]);
    }
    for (int t = length; t < p.steps; t++)
        EACH_UNIT(u, n) l.store(p.y_elem, d.y, gpu_rnn_y_row(&p, t, direction, b), u, 0.0f);
    EACH_UNIT(u, n)
    {
        l.store(p.y_elem, d.last_h, state, u, h[u]);
        l.store(p.y_elem, d.last_c, state, u, c[u]);
    }
}

extern "C" int gpu_rnn(const struct gpu_rnn *p, const struct gpu_rnn_data *d, void *stream)
{
    const long long blocks = (long long)p->batch * p->directions;
    const size_t shared = (size_t)(3 + GPU_RNN_GATES(p->kind)) * (size_t)p->hidden * sizeof(float);
    if (!blocks || !p->hidden) return cudaSuccess;
    if (blocks > 0x7fffffff || p->hidden > GPU_RNN_MOST_HIDDEN) return cudaErrorInvalidValue;
    GPU_BY_ELEM(p->r_elem, REEL_LAUNCH((rnn<T>), (unsigned)blocks, RNN_BLOCK, shared, stream, *p, *d));
    return cudaGetLastError();
}

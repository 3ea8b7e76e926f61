// SPDX-License-Identifier: MIT
//
// Chains of pointwise steps with broadcasting, and the rest of an epilogue, in place. See ops.h; their
// plain C twins are in move_ref.c.
#include "kernels/gpu/chain.cuh"
#include "kernels/gpu/enlarge.h"

// How a launch computes: divisors for the extents (the last extent in vectors), and where whole vectors of
// T may be accessed.
struct paths {
    gpu_divisor extent[GPU_DIMS];
    bool x, y, operand[GPU_OPERANDS];
};

// The operand of a step, as V numbers.
template <typename T, int V>
static __device__ __forceinline__ void operand_at(const struct gpu_elementwise &p, const struct gpu_chain_step &step,
                                                  const struct paths &way, const struct gpu_pointers &operand,
                                                  const long long *at, int inside, float *out)
{
    const int o = step.operand;
    const long long from = o == 0 ? at[0] : o == 1 ? at[1] : o == 2 ? at[2] : at[3]; // registers cannot be indexed
    if (o >= 0 && way.operand[o]) {
        gpu_load_vec<T, V>((const T *)operand.p[o] + from, out);
        return;
    }
    if (o >= 0 && p.operand_stride[o][p.n_dims - 1] == 0) {
        const float same = gpu_any_load_call(p.chain.operand[o].elem, operand.p[o], from);
#pragma unroll
        for (int k = 0; k < V; k++) out[k] = same;
        return;
    }
    if (o >= 0) {
        gpu_load_any_vec<T, V>(p.chain.operand[o].elem, operand.p[o], from, p.operand_stride[o][p.n_dims - 1], inside,
                               out);
        return;
    }
#pragma unroll
    for (int k = 0; k < V; k++) out[k] = step.alpha;
}

// Computes V neighbours along the last dimension.
template <typename T, int V>
static __global__ void elementwise(const struct gpu_elementwise p, const struct paths way, const void *x,
                                   const struct gpu_pointers operand, void *y, unsigned count)
{
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    long long from = 0, to = 0, at[GPU_OPERANDS] = {0, 0, 0, 0};
    const int last = p.n_dims - 1;
    int first = 0;
    for (int d = last; d >= 0; d--) {
        const unsigned above = d ? gpu_quotient(i, way.extent[d]) : 0;
        const unsigned k = (i - above * way.extent[d].by) * (d == last ? V : 1);
        i = above;
        if (d == last) first = (int)k;
        from += k * p.x_stride[d];
        to += k * p.y_stride[d];
#pragma unroll
        for (int o = 0; o < GPU_OPERANDS; o++)
            if (o < p.chain.n_operands) at[o] += k * p.operand_stride[o][d];
    }
    float v[V];
    const int inside = p.last - first;
    if (way.x)
        gpu_load_vec<T, V>((const T *)x + from, v);
    else
        gpu_load_any_vec<T, V>(p.x_elem, x, from, p.x_stride[last], inside, v);
    for (int s = 0; s < p.chain.n; s++) {
        const struct gpu_chain_step step = p.chain.step[s];
        if (step.op >= GPU_OP_WITH_OPERAND) {
#pragma unroll
            for (int k = 0; k < V; k++) v[k] = gpu_op_unary(step.op, v[k], step.alpha, step.beta);
            continue;
        }
        float b[V], other[V];
        operand_at<T, V>(p, step, way, operand, at, inside, b);
        if (step.op == GPU_OP_SELECT) operand_at<T, V>(p, p.chain.step[s + 1], way, operand, at, inside, other);
        if (step.op == GPU_OP_SELECT) {
#pragma unroll
            for (int k = 0; k < V; k++) v[k] = b[k] != 0 ? v[k] : other[k];
            s++;
            continue;
        }
#pragma unroll
        for (int k = 0; k < V; k++) v[k] = gpu_op_binary(step.op, v[k], b[k]);
    }
#pragma unroll
    for (int k = 0; k < V; k++)
        if (k >= inside) v[k] = 0;
    if (way.y)
        gpu_store_vec<T, V>((T *)y + to, v);
    else
#pragma unroll 1
        for (int k = 0; k < V; k++) gpu_any_store_call(p.y_elem, y, to + k * p.y_stride[last], v[k]);
}

// Whether the last dimension consists of whole vectors of V numbers.
static bool whole_vectors(const struct gpu_elementwise *p, const int64_t *stride, const void *base, int v, size_t bytes)
{
    const int last = p->n_dims - 1;
    if (stride[last] != 1 || !gpu_aligned(base, v * bytes)) return false;
    for (int d = 0; d < last; d++)
        if (stride[d] % v) return false;
    return true;
}

// Whether all of a vector may be read: if the last one reaches beyond what is computed, the tensor must
// have padding lanes of its own there.
static bool readable_vectors(const struct gpu_elementwise *p, const int64_t *stride, const void *base, int v,
                             size_t bytes)
{
    const int last = p->n_dims - 1;
    if (v == 1 || !whole_vectors(p, stride, base, v, bytes)) return false;
    return p->last % v == 0 || (last > 0 && stride[last - 1] >= p->extent[last] && p->extent[last] - p->last < v);
}

template <typename T, int V>
static int launch_elementwise(const struct gpu_elementwise *p, const void *x, const struct gpu_pointers operand,
                              void *y, unsigned count, void *stream)
{
    const int last = p->n_dims - 1;
    if (p->extent[last] % V) return cudaErrorInvalidValue;
    struct paths way = {};
    for (int d = 0; d <= last; d++) way.extent[d] = gpu_divisor_of((unsigned)p->extent[d] / (d == last ? V : 1));
    way.x = p->x_elem == p->y_elem && readable_vectors(p, p->x_stride, x, V, sizeof(T));
    way.y = V > 1 && whole_vectors(p, p->y_stride, y, V, sizeof(T));
    for (int o = 0; o < p->chain.n_operands; o++)
        way.operand[o] = p->chain.operand[o].elem == p->y_elem &&
                         readable_vectors(p, p->operand_stride[o], operand.p[o], V, sizeof(T));
    REEL_LAUNCH((elementwise<T, V>), gpu_blocks(count / V, GPU_BLOCK), GPU_BLOCK, 0, stream, *p, way, x, operand, y,
                count / V);
    return cudaGetLastError();
}

// The part of the step with the `n` indices of dimension d that begin at `from`.
static int part(const struct gpu_elementwise *p, int d, int from, int n, const void *x, const void *const *operand,
                void *y, void *stream)
{
    struct gpu_elementwise part = *p;
    part.extent[d] = n;
    if (d == p->n_dims - 1) part.last = p->last - from < n ? p->last - from : n;
    const void *moved[GPU_OPERANDS] = {};
    for (int o = 0; o < p->chain.n_operands; o++)
        moved[o] = (const char *)operand[o] +
                   from * p->operand_stride[o][d] * (int64_t)gpu_elem_bytes((enum gpu_elem)p->chain.operand[o].elem);
    return gpu_elementwise(
        &part, (const char *)x + from * p->x_stride[d] * (int64_t)gpu_elem_bytes((enum gpu_elem)p->x_elem), moved,
        (char *)y + from * p->y_stride[d] * (int64_t)gpu_elem_bytes((enum gpu_elem)p->y_elem), stream);
}

// Cuts the longest dimension except the last (whose end is padding): the first half, then the rest.
static int in_halves(const struct gpu_elementwise *p, const void *x, const void *const *operand, void *y, void *stream)
{
    int d = 0;
    for (int k = 1; k < p->n_dims - 1; k++)
        if (p->extent[k] > p->extent[d]) d = k;
    if (p->n_dims < 2 || p->extent[d] < 2) return cudaErrorInvalidValue;
    const int half = p->extent[d] / 2;
    const int error = part(p, d, 0, half, x, operand, y, stream);
    return error ? error : part(p, d, half, p->extent[d] - half, x, operand, y, stream);
}

extern "C" int gpu_elementwise(const struct gpu_elementwise *p, const void *x, const void *const *operand, void *y,
                               void *stream)
{
    unsigned long long count = 1;
    for (int d = 0; d < p->n_dims; d++) count *= (unsigned long long)p->extent[d];
    if (!count) return cudaSuccess;
    int error;
    if (gpu_enlarge(p, x, operand, y, stream, &error)) return error;
    if (count > GPU_COUNT_MOST && p->n_dims > 1) return in_halves(p, x, operand, y, stream);
    if (count > 0xffff0000ull) return cudaErrorInvalidValue;
    const struct gpu_pointers o = gpu_pointers_of(&p->chain, operand);
    const int last = p->extent[p->n_dims - 1], rest = last % 8;
    if (p->n_dims == 1 && rest && last > 8 && p->last == last &&
        p->y_elem <= GPU_ELEM_BF16) { // dense tensors: whole vectors, then the rest
        error = part(p, 0, 0, last - rest, x, operand, y, stream);
        return error ? error : part(p, 0, last - rest, rest, x, operand, y, stream);
    }
    if (last % 8 == 0 && p->y_elem == GPU_ELEM_F16)
        return launch_elementwise<__half, 8>(p, x, o, y, (unsigned)count, stream);
    if (last % 8 == 0 && p->y_elem == GPU_ELEM_BF16)
        return launch_elementwise<__nv_bfloat16, 8>(p, x, o, y, (unsigned)count, stream);
    if (last % 4 == 0 && p->y_elem == GPU_ELEM_F32)
        return launch_elementwise<float, 4>(p, x, o, y, (unsigned)count, stream);
    return launch_elementwise<float, 1>(p, x, o, y, (unsigned)count, stream);
}

// ---- the rest of an epilogue ------------------------------------------------------------

template <typename T, int V>
static __global__ void finish(const struct gpu_finish p, const struct gpu_pointers operand, T *y, long long count,
                              gpu_divisor per_pixel, gpu_divisor image_pixels, unsigned wide)
{
    const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    const long long pixel = gpu_quotient(i, per_pixel);
    const int c = (int)(i - pixel * per_pixel.by) * V;
    float v[V];
    gpu_load_vec<T, V>(y + pixel * p.pitch + c, v);
    gpu_chain_apply<T, V>(p.chain, p.from, operand, v, gpu_quotient(pixel, image_pixels), pixel, c, p.pitch, wide);
    gpu_store_vec<T, V>(y + pixel * p.pitch + c, v);
}

template <typename T, int V>
static void launch_finish(const struct gpu_finish *p, const struct gpu_pointers operand, T *y, void *stream)
{
    const long long count = p->pixels * (p->channels / V);
    REEL_LAUNCH((finish<T, V>), gpu_blocks(count, GPU_BLOCK), GPU_BLOCK, 0, stream, *p, operand, y, count,
                gpu_divisor_of((unsigned)(p->channels / V)), gpu_divisor_of((unsigned)p->image_pixels),
                (gpu_wide_operands<T, V>(&p->chain, &operand, p->pitch)));
}

extern "C" int gpu_finish(const struct gpu_finish *p, const void *const *operand, void *y, void *stream)
{
    const struct gpu_pointers o = gpu_pointers_of(&p->chain, operand);
    if (!p->pixels || !p->channels) return cudaSuccess;
    GPU_BY_ELEM(p->elem, {
        const int v = 16 / (int)sizeof(T);
        if (p->channels % v == 0 && p->pitch % v == 0 && gpu_aligned(y, 16))
            launch_finish<T, 16 / (int)sizeof(T)>(p, o, (T *)y, stream);
        else if (p->channels % 4 == 0 && p->pitch % 4 == 0 && gpu_aligned(y, 4 * sizeof(T)))
            launch_finish<T, 4>(p, o, (T *)y, stream);
        else
            launch_finish<T, 1>(p, o, (T *)y, stream);
    });
    return cudaGetLastError();
}

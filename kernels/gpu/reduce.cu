// SPDX-License-Identifier: MIT
//
// Sums, extremes, argmax, softmax and normalisation. See ops.h; their plain C twins are in reduce_ref.c.
// Every sum is made in one order, which only the extents decide: a thread adds its elements one after
// another, then a tree joins the threads' sums.
#include "kernels/gpu/chain.cuh"

#define THREADS 256

static __device__ __forceinline__ float start(int kind)
{
    return kind == GPU_REDUCE_MAX ? -INFINITY : kind == GPU_REDUCE_MIN ? INFINITY : kind == GPU_REDUCE_PROD ? 1 : 0;
}

static __device__ __forceinline__ float fold(int kind, float sum, float v, float mean)
{
    switch (kind) {
    case GPU_REDUCE_SUM:
        return sum + v;
    case GPU_REDUCE_SUM_ABS:
        return sum + fabsf(v);
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

// Joins two partial results.
static __device__ __forceinline__ float join(int kind, float a, float b)
{
    if (kind == GPU_REDUCE_MAX || kind == GPU_REDUCE_MIN || kind == GPU_REDUCE_PROD) return fold(kind, a, b, 0);
    return a + b;
}

// All threads of the block get the result; scratch has room for THREADS floats.
static __device__ float join_block(int kind, float v, float *scratch, int threads)
{
    const int t = (int)threadIdx.x;
    scratch[t] = v;
    __syncthreads();
    for (int d = threads / 2; d; d >>= 1) {
        if (t < d) scratch[t] = join(kind, scratch[t], scratch[t + d]);
        __syncthreads();
    }
    v = scratch[0];
    __syncthreads();
    return v;
}

static __device__ float mean_at(const struct gpu_reduce &p, const float *mean, long long o, long long i)
{
    if (p.kind != GPU_REDUCE_SUM_DIFF2) return 0;
    return mean[o / p.mean_outer_div * p.mean_outer + i / p.mean_inner_div];
}

static __device__ void store_result(const struct gpu_reduce &p, void *dst, long long o, long long i, float v)
{
    v *= p.scale;
    gpu_any_store(p.dst_elem, dst, o * p.dst_outer + i * p.dst_inner, p.root ? sqrtf(v) : v);
}

// Each block computes one result, with the reduced dimension along the threads.
static __global__ void reduce_rows(const struct gpu_reduce p, const void *src, const float *mean, void *dst,
                                   long long results)
{
    __shared__ float scratch[THREADS];
    for (long long q = blockIdx.x; q < results; q += gridDim.x) {
        const long long o = q / p.inner, i = q % p.inner;
        const float m = mean_at(p, mean, o, i);
        float v = start(p.kind);
        for (long long r = threadIdx.x; r < p.reduce; r += THREADS)
            v = fold(p.kind, v, gpu_any_load(p.src_elem, src, o * p.src_outer + r * p.src_reduce + i * p.src_inner), m);
        v = join_block(p.kind, v, scratch, THREADS);
        if (threadIdx.x == 0) store_result(p, dst, o, i, v);
    }
}

// Computes COLS results side by side, with ROWS threads for each: the kept dimension is the contiguous one.
#define COLS 32
#define ROWS 8

static __global__ void reduce_columns(const struct gpu_reduce p, const void *src, const float *mean, void *dst,
                                      long long blocks)
{
    __shared__ float scratch[ROWS][COLS];
    const long long across = (p.inner + COLS - 1) / COLS;
    for (long long q = blockIdx.x; q < blocks; q += gridDim.x) {
        const long long o = q / across, i = q % across * COLS + threadIdx.x;
        float v = start(p.kind);
        if (i < p.inner) {
            const float m = mean_at(p, mean, o, i);
            for (long long r = threadIdx.y; r < p.reduce; r += ROWS)
                v = fold(p.kind, v, gpu_any_load(p.src_elem, src, o * p.src_outer + r * p.src_reduce + i * p.src_inner),
                         m);
        }
        scratch[threadIdx.y][threadIdx.x] = v;
        __syncthreads();
        if (threadIdx.y == 0 && i < p.inner) {
            for (int r = 1; r < ROWS; r++) v = join(p.kind, v, scratch[r][threadIdx.x]);
            store_result(p, dst, o, i, v);
        }
        __syncthreads();
    }
}

// The same sums in the same order, with V columns a thread that are read as one vector; SIDE sets of
// columns in a block.
#define SIDE 8

template <typename T, int V>
static __global__ void reduce_vectors(const struct gpu_reduce p, const T *src, const float *mean, void *dst,
                                      long long sets, gpu_divisor across)
{
    __shared__ float scratch[SIDE][ROWS][COLS];
    const int x = (int)threadIdx.x * V, side = (int)threadIdx.z;
    for (long long first = (long long)blockIdx.x * SIDE; first < sets; first += (long long)gridDim.x * SIDE) {
        const long long q = first + side, o = gpu_quotient(q, across), i = (q - o * across.by) * COLS + x;
        const bool mine = q < sets && i < p.inner;
        float v[V], m[V], sum[V];
#pragma unroll
        for (int k = 0; k < V; k++) {
            sum[k] = start(p.kind);
            m[k] = mine && i + k < p.inner ? mean_at(p, mean, o, i + k) : 0;
        }
        if (mine) {
            const T *from = src + o * p.src_outer + i;
#pragma unroll 4
            for (long long r = threadIdx.y; r < p.reduce; r += ROWS) {
                gpu_load_vec<T, V>(from + r * p.src_reduce, v);
#pragma unroll
                for (int k = 0; k < V; k++) sum[k] = fold(p.kind, sum[k], v[k], m[k]);
            }
        }
#pragma unroll
        for (int k = 0; k < V; k++) scratch[side][threadIdx.y][x + k] = sum[k];
        __syncthreads();
        // each thread finishes one result: COLS of them in every set
        for (int c = (int)(threadIdx.x + COLS / V * threadIdx.y); c < COLS; c += COLS / V * ROWS) {
            const long long at = i - x + c;
            if (q >= sets || at >= p.inner) continue;
            float all = scratch[side][0][c];
            for (int r = 1; r < ROWS; r++) all = join(p.kind, all, scratch[side][r][c]);
            store_result(p, dst, o, at, all);
        }
        __syncthreads();
    }
}

static unsigned capped(long long blocks)
{
    return (unsigned)(blocks < GPU_GRID_MOST ? blocks : GPU_GRID_MOST);
}

// False if the source has no whole vectors (padding lanes may be read).
template <typename T>
static bool launch_vectors(const struct gpu_reduce *p, const void *src, const float *mean, void *dst, void *stream)
{
    constexpr int V = 16 / (int)sizeof(T);
    const long long across = (p->inner + COLS - 1) / COLS, sets = p->outer * across;
    if (p->src_reduce % V || p->src_outer % V || p->src_reduce < (p->inner + V - 1) / V * V || !gpu_aligned(src, 16))
        return false;
    REEL_LAUNCH((reduce_vectors<T, V>), capped((sets + SIDE - 1) / SIDE), dim3(COLS / V, ROWS, SIDE), 0, stream, *p,
                (const T *)src, mean, dst, sets, gpu_divisor_of((unsigned)across));
    return true;
}

static bool in_vectors(const struct gpu_reduce *p, const void *src, const float *mean, void *dst, void *stream)
{
    switch (p->src_elem) {
    case GPU_ELEM_F32:
        return launch_vectors<float>(p, src, mean, dst, stream);
    case GPU_ELEM_F16:
        return launch_vectors<__half>(p, src, mean, dst, stream);
    case GPU_ELEM_BF16:
        return launch_vectors<__nv_bfloat16>(p, src, mean, dst, stream);
    default:
        return false;
    }
}

extern "C" int gpu_reduce(const struct gpu_reduce *p, const void *src, const float *mean, void *dst, void *stream)
{
    const long long results = p->outer * p->inner;
    if (!results) return cudaSuccess;
    if (p->inner >= COLS / 2 && p->src_inner == 1) {
        if (in_vectors(p, src, mean, dst, stream)) return cudaGetLastError();
        const long long blocks = p->outer * ((p->inner + COLS - 1) / COLS);
        REEL_LAUNCH(reduce_columns, capped(blocks), dim3(COLS, ROWS), 0, stream, *p, src, mean, dst, blocks);
    } else {
        REEL_LAUNCH(reduce_rows, capped(results), THREADS, 0, stream, *p, src, mean, dst, results);
    }
    return cudaGetLastError();
}

// ---- argmax and softmax ---------------------------------------------------------------------

// Each thread computes one result, because the reduced dimension is short (classes).
static __global__ void argmax(const struct gpu_argmax p, const void *src, int64_t *dst, long long results)
{
    const long long q = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (q >= results) return;
    const long long at = q / p.inner * p.src_outer + q % p.inner * p.src_inner;
    long long best = 0;
    float most = gpu_any_load(p.src_elem, src, at);
    for (long long r = 1; r < p.reduce; r++) {
        const float v = gpu_any_load(p.src_elem, src, at + r * p.src_reduce);
        const bool better = p.smallest ? v < most : v > most;
        if (better || (p.last && v == most)) best = r, most = v;
    }
    dst[q] = best;
}

extern "C" int gpu_argmax(const struct gpu_argmax *p, const void *src, int64_t *dst, void *stream)
{
    const long long results = p->outer * p->inner;
    if (!results) return cudaSuccess;
    REEL_LAUNCH(argmax, gpu_blocks(results, GPU_BLOCK), GPU_BLOCK, 0, stream, *p, src, dst, results);
    return cudaGetLastError();
}

// Each thread has a row, because the axis is short.
static __global__ void softmax_short(const struct gpu_softmax p, const void *src, void *dst, long long rows)
{
    const long long q = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (q >= rows) return;
    const long long from = q / p.inner * p.src_outer + q % p.inner * p.src_inner;
    const long long to = q / p.inner * p.dst_outer + q % p.inner * p.dst_inner;
    float most = -INFINITY, sum = 0;
    for (long long a = 0; a < p.axis; a++) most = fmaxf(most, gpu_any_load(p.src_elem, src, from + a * p.src_axis));
    for (long long a = 0; a < p.axis; a++) sum += expf(gpu_any_load(p.src_elem, src, from + a * p.src_axis) - most);
    const float log_sum = logf(sum);
    for (long long a = 0; a < p.axis; a++) {
        const float x = gpu_any_load(p.src_elem, src, from + a * p.src_axis) - most;
        gpu_any_store(p.dst_elem, dst, to + a * p.dst_axis, p.logarithm ? x - log_sum : expf(x) / sum);
    }
}

// Each block has a row, because the axis is long.
static __global__ void softmax_long(const struct gpu_softmax p, const void *src, void *dst, long long rows)
{
    __shared__ float scratch[THREADS];
    for (long long q = blockIdx.x; q < rows; q += gridDim.x) {
        const long long from = q / p.inner * p.src_outer + q % p.inner * p.src_inner;
        const long long to = q / p.inner * p.dst_outer + q % p.inner * p.dst_inner;
        float most = -INFINITY, sum = 0;
        for (long long a = threadIdx.x; a < p.axis; a += THREADS)
            most = fmaxf(most, gpu_any_load(p.src_elem, src, from + a * p.src_axis));
        most = join_block(GPU_REDUCE_MAX, most, scratch, THREADS);
        for (long long a = threadIdx.x; a < p.axis; a += THREADS)
            sum += expf(gpu_any_load(p.src_elem, src, from + a * p.src_axis) - most);
        sum = join_block(GPU_REDUCE_SUM, sum, scratch, THREADS);
        const float log_sum = logf(sum);
        for (long long a = threadIdx.x; a < p.axis; a += THREADS) {
            const float x = gpu_any_load(p.src_elem, src, from + a * p.src_axis) - most;
            gpu_any_store(p.dst_elem, dst, to + a * p.dst_axis, p.logarithm ? x - log_sum : expf(x) / sum);
        }
    }
}

#define LONG_AXIS 64

extern "C" int gpu_softmax(const struct gpu_softmax *p, const void *src, void *dst, void *stream)
{
    const long long rows = p->outer * p->inner;
    if (!rows || !p->axis) return cudaSuccess;
    if (p->axis >= LONG_AXIS && p->inner == 1)
        REEL_LAUNCH(softmax_long, capped(rows), THREADS, 0, stream, *p, src, dst, rows);
    else
        REEL_LAUNCH(softmax_short, gpu_blocks(rows, GPU_BLOCK), GPU_BLOCK, 0, stream, *p, src, dst, rows);
    return cudaGetLastError();
}

// ---- normalisation ---------------------------------------------------------------------------

// Normalises V channels of a pixel. The divisors are: vectors a pixel, pixels an image, channels a group.
struct norm_places {
    gpu_divisor vectors, pixels, group;
};

template <typename T, int V>
static __global__ void norm(const struct gpu_norm p, const struct norm_places by, const T *x, const float *mean,
                            const float *var, const float *scale, const float *shift, T *y, long long count)
{
    const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    const long long pixel = gpu_quotient(i, by.vectors), groups = gpu_quotient(pixel, by.pixels) * p.groups;
    const int first = (int)(i - pixel * by.vectors.by) * V;
    float v[V] = {};
    if (first < p.c) gpu_load_vec<T, V>(&x[pixel * p.x_pitch + first], v);
#pragma unroll
    for (int k = 0; k < V; k++) {
        const int c = first + k;
        const long long g = groups + gpu_quotient((unsigned)c, by.group);
        v[k] = c < p.c ? (v[k] - mean[g]) / sqrtf(var[g] + p.epsilon) * scale[c] + shift[c] : 0.0f;
    }
    gpu_store_vec<T, V>(&y[pixel * p.y_pitch + first], v);
}

template <typename T, int V>
static void launch_norm(const struct gpu_norm *p, const T *x, const float *mean, const float *var, const float *scale,
                        const float *shift, T *y, void *stream)
{
    const long long count = p->images * p->pixels * (p->y_pitch / V);
    const struct norm_places by = {gpu_divisor_of((unsigned)(p->y_pitch / V)), gpu_divisor_of((unsigned)p->pixels),
                                   gpu_divisor_of((unsigned)(p->c / p->groups))};
    REEL_LAUNCH((norm<T, V>), gpu_blocks(count, GPU_BLOCK), GPU_BLOCK, 0, stream, *p, by, x, mean, var, scale, shift, y,
                count);
}

// Vectors may reach into padding lanes of x, if it has as many as y.
extern "C" int gpu_norm(const struct gpu_norm *p, const void *x, const float *mean, const float *var,
                        const float *scale, const float *shift, void *y, void *stream)
{
    if (!p->images || !p->pixels || !p->y_pitch) return cudaSuccess;
    GPU_BY_ELEM(p->elem, {
        const int v = 16 / (int)sizeof(T);
        if (p->x_pitch == p->y_pitch && p->y_pitch % v == 0 && gpu_aligned(x, 16) && gpu_aligned(y, 16))
            launch_norm<T, 16 / (int)sizeof(T)>(p, (const T *)x, mean, var, scale, shift, (T *)y, stream);
        else
            launch_norm<T, 1>(p, (const T *)x, mean, var, scale, shift, (T *)y, stream);
    });
    return cudaGetLastError();
}

template <typename T>
static __global__ void layer_norm(const struct gpu_layer_norm p, const T *x, const float *scale, const float *shift,
                                  T *y)
{
    __shared__ float scratch[THREADS];
    for (long long r = blockIdx.x; r < p.rows; r += gridDim.x) {
        const T *row = x + r * p.columns;
        float mean = 0, var = 0;
        if (!p.rms) {
            for (int c = (int)threadIdx.x; c < p.columns; c += THREADS) mean += gpu_load(&row[c]);
            mean = join_block(GPU_REDUCE_SUM, mean, scratch, THREADS) / (float)p.columns;
        }
        for (int c = (int)threadIdx.x; c < p.columns; c += THREADS) {
            const float d = gpu_load(&row[c]) - mean;
            var += d * d;
        }
        var = join_block(GPU_REDUCE_SUM, var, scratch, THREADS) / (float)p.columns;
        const float inverse = 1 / sqrtf(var + p.epsilon);
        for (int c = (int)threadIdx.x; c < p.columns; c += THREADS) {
            float v = (gpu_load(&row[c]) - mean) * inverse;
            if (scale) v *= scale[c];
            if (shift) v += shift[c];
            gpu_store(&y[r * p.columns + c], v);
        }
    }
}

extern "C" int gpu_layer_norm(const struct gpu_layer_norm *p, const void *x, const float *scale, const float *shift,
                              void *y, void *stream)
{
    if (!p->rows || !p->columns) return cudaSuccess;
    GPU_BY_ELEM(p->elem, REEL_LAUNCH((layer_norm<T>), capped(p->rows), THREADS, 0, stream, *p, (const T *)x, scale,
                                     shift, (T *)y));
    return cudaGetLastError();
}

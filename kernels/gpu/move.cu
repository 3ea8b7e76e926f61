// SPDX-License-Identifier: MIT
//
// Copies with strides, with tables and with a change of type, and gathering. See ops.h; their plain C twins
// are in move_ref.c.
#include "kernels/gpu/chain.cuh"
#include "kernels/gpu/enlarge.h"

struct divisors {
    gpu_divisor extent[GPU_DIMS];
};

static struct divisors divisors_of(const struct gpu_copy *p)
{
    struct divisors by = {};
    for (int d = 0; d < p->n_dims; d++) by.extent[d] = gpu_divisor_of((unsigned)p->extent[d]);
    return by;
}

// Where thread `i`'s element comes from and goes to. Source -1: the fill value; -2: zero.
static __device__ __forceinline__ long long locate(const struct gpu_copy &p, const struct divisors &by,
                                                   const int32_t *tables, unsigned i, long long *out_to)
{
    long long from = p.src_base, to = p.dst_base;
    bool filled = false, zero = false;
    for (int d = p.n_dims - 1; d >= 0; d--) {
        const unsigned above = d ? gpu_quotient(i, by.extent[d]) : 0, at = i - above * by.extent[d].by;
        i = above;
        const int k = p.table[d] < 0 ? (int)at : tables[p.table[d] + (int)at];
        filled |= k < 0;
        zero |= d == p.pad_dim && (int)at >= p.pad_from;
        from += (long long)k * p.src_stride[d];
        to += (long long)at * p.dst_stride[d];
    }
    *out_to = to;
    return zero ? -2 : filled ? -1 : from;
}

template <typename T>
static __global__ void copy_raw(const struct gpu_copy p, const struct divisors by, const T *src, T *dst,
                                const int32_t *tables, unsigned count, T fill)
{
    const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    long long to;
    const long long from = locate(p, by, tables, i, &to);
    T v = {};
    if (from >= 0)
        v = src[from];
    else if (from == -1)
        v = fill;
    dst[to] = v;
}

template <typename A, typename B>
static __global__ void copy_float(const struct gpu_copy p, const struct divisors by, const A *src, B *dst,
                                  const int32_t *tables, unsigned count)
{
    const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    long long to;
    const long long from = locate(p, by, tables, i, &to);
    gpu_store(&dst[to], from >= 0 ? gpu_load(&src[from]) : from == -1 ? p.fill : 0.0f);
}

static __global__ void copy_any(const struct gpu_copy p, const struct divisors by, const void *src, void *dst,
                                const int32_t *tables, unsigned count)
{
    const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    long long to;
    const long long from = locate(p, by, tables, i, &to);
    if (from < 0)
        gpu_any_store(p.to, dst, to, from == -1 ? p.fill : 0.0f);
    else if (p.from >= GPU_ELEM_U8 && p.to >= GPU_ELEM_U8)
        gpu_int_store(p.to, dst, to, gpu_int_load(p.from, src, from));
    else
        gpu_any_store(p.to, dst, to, gpu_any_load(p.from, src, from));
}

// 16 bits without a meaning: half-precision numbers that are only moved, and integers that are moved as if
// they were such (some would be NaNs). A float holds each of them exactly.
struct bits16 {
    uint16_t v;
};
static __device__ __forceinline__ float gpu_load(const bits16 *p)
{
    return (float)p->v;
}
static __device__ __forceinline__ void gpu_store(bits16 *p, float v)
{
    p->v = (uint16_t)v;
}

// ---- a transposition by tiles ---------------------------------------------------------
//
// Where the source runs along dimension b and the result along a, tiles of
// shared memory make both sides contiguous.

#define TILE 32
#define TILE_ROWS 8

template <typename A, typename B>
static __global__ void copy_tiles(const struct gpu_copy p, const A *src, B *dst, int a, int b, unsigned others)
{
    __shared__ float tile[TILE][TILE + 1];
    for (unsigned o = blockIdx.z; o < others; o += gridDim.z) {
        long long from = p.src_base, to = p.dst_base;
        unsigned i = o;
        for (int d = p.n_dims - 1; d >= 0; d--) {
            if (d == a || d == b) continue;
            const unsigned at = i % (unsigned)p.extent[d];
            i /= (unsigned)p.extent[d];
            from += (long long)at * p.src_stride[d];
            to += (long long)at * p.dst_stride[d];
        }
        const int a0 = (int)blockIdx.x * TILE, b0 = (int)blockIdx.y * TILE,
                  last = p.pad_dim == a ? p.pad_from : p.extent[a];
        for (int r = (int)threadIdx.y; r < TILE; r += TILE_ROWS) { // reads the source: b along the threads
            const int ia = a0 + r, ib = b0 + (int)threadIdx.x;
            if (ia < last && ib < p.extent[b]) tile[r][threadIdx.x] = gpu_load(&src[from + ia * p.src_stride[a] + ib]);
        }
        __syncthreads();
        for (int r = (int)threadIdx.y; r < TILE; r += TILE_ROWS) { // writes the result: a along the threads
            const int ia = a0 + (int)threadIdx.x, ib = b0 + r;
            if (ia < p.extent[a] && ib < p.extent[b])
                gpu_store(&dst[to + ia + ib * p.dst_stride[b]], ia < last ? tile[threadIdx.x][r] : 0.0f);
        }
        __syncthreads();
    }
}

// The dimensions of a tiled copy; false if this copy is not one.
static bool tiled(const struct gpu_copy *p, int *out_a, int *out_b)
{
    const int a = p->n_dims - 1;
    int b = -1;
    if (p->from > GPU_ELEM_BF16 || p->to > GPU_ELEM_BF16 || a < 1 || p->dst_stride[a] != 1) return false;
    for (int d = 0; d <= a; d++) {
        if (p->table[d] >= 0 || (p->pad_dim >= 0 && p->pad_dim != a)) return false;
        if (d < a && p->src_stride[d] == 1 && p->extent[d] >= TILE / 2) b = d;
    }
    *out_a = a;
    *out_b = b;
    return b >= 0 && p->src_stride[a] != 1 && p->extent[a] >= 4;
}

// ---- pixels of few channels -------------------------------------------------------------
//
// The result's pixels are one vector each, some channels and padding: a thread
// writes a pixel.

template <typename A, typename B, int V>
static __global__ void copy_pixels(const struct gpu_copy p, const struct divisors by, const A *src, B *dst,
                                   const int32_t *tables, unsigned count, int channels, long long channel_stride)
{
    const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    long long to;
    const long long from = locate(p, by, tables, i, &to);
    float v[V];
#pragma unroll
    for (int k = 0; k < V; k++) {
        v[k] = 0;
        if (k < channels) v[k] = from >= 0 ? gpu_load(&src[from + k * channel_stride]) : p.fill;
    }
    gpu_store_vec<B, V>(&dst[to], v);
}

// Copies whole pixels; false if this copy does not consist of them.
static bool of_pixels(const struct gpu_copy *p, int lanes, const void *dst, size_t bytes, struct gpu_copy *out)
{
    const int last = p->n_dims - 1;
    if (last < 1 || p->pad_dim != last || p->extent[last] != lanes || p->dst_stride[last] != 1 || p->table[last] >= 0)
        return false;
    if (p->dst_base % lanes || !gpu_aligned(dst, bytes)) return false;
    for (int d = 0; d < last; d++)
        if (p->dst_stride[d] % lanes) return false;
    *out = *p;
    out->n_dims = last;
    out->pad_dim = -1;
    return true;
}

template <typename A, typename B>
static void launch_float(const struct gpu_copy *p, const A *src, B *dst, const int32_t *tables, unsigned count,
                         void *stream)
{
    constexpr int LANES = 16 / (int)sizeof(B);
    struct gpu_copy pixels;
    int a, b;
    if (of_pixels(p, LANES, dst, 16, &pixels)) {
        REEL_LAUNCH((copy_pixels<A, B, LANES>), gpu_blocks(count / LANES, GPU_BLOCK), GPU_BLOCK, 0, stream, pixels,
                    divisors_of(&pixels), src, dst, tables, count / LANES, p->pad_from,
                    (long long)p->src_stride[p->n_dims - 1]);
        return;
    }
    if (!tiled(p, &a, &b)) {
        REEL_LAUNCH((copy_float<A, B>), gpu_blocks(count, GPU_BLOCK), GPU_BLOCK, 0, stream, *p, divisors_of(p), src,
                    dst, tables, count);
        return;
    }
    const unsigned others = count / (unsigned)p->extent[a] / (unsigned)p->extent[b];
    const dim3 grid(gpu_blocks(p->extent[a], TILE), gpu_blocks(p->extent[b], TILE),
                    others < GPU_GRID_MOST ? others : GPU_GRID_MOST);
    if (grid.y > GPU_GRID_MOST)
        REEL_LAUNCH((copy_float<A, B>), gpu_blocks(count, GPU_BLOCK), GPU_BLOCK, 0, stream, *p, divisors_of(p), src,
                    dst, tables, count);
    else
        REEL_LAUNCH((copy_tiles<A, B>), grid, dim3(TILE, TILE_ROWS), 0, stream, *p, src, dst, a, b, others);
}

template <typename A>
static int launch_from(const struct gpu_copy *p, const A *src, void *dst, const int32_t *tables, unsigned count,
                       void *stream)
{
    GPU_BY_ELEM(p->to, launch_float(p, src, (T *)dst, tables, count, stream));
    return cudaGetLastError();
}

// ---- equal types: whole vectors where both sides allow ----------------------------------

template <typename T>
static int launch_raw(const struct gpu_copy *p, const void *src, void *dst, const int32_t *tables, unsigned count,
                      T fill, void *stream)
{
    REEL_LAUNCH((copy_raw<T>), gpu_blocks(count, GPU_BLOCK), GPU_BLOCK, 0, stream, *p, divisors_of(p), (const T *)src,
                (T *)dst, tables, count, fill);
    return cudaGetLastError();
}

// Copies in units of `per` elements; false if some size or stride is not a multiple of it.
static bool in_units(const struct gpu_copy *p, int per, struct gpu_copy *out)
{
    *out = *p;
    const int last = p->n_dims - 1;
    if (last < 0 || p->src_stride[last] != 1 || p->dst_stride[last] != 1 || p->table[last] >= 0) return false;
    if (p->extent[last] % per || p->src_base % per || p->dst_base % per) return false;
    if (p->pad_dim == last && p->pad_from % per) return false;
    for (int d = 0; d < last; d++) {
        if (p->src_stride[d] % per || p->dst_stride[d] % per || (p->table[d] >= 0 && p->fill != 0)) return false;
        out->src_stride[d] /= per;
        out->dst_stride[d] /= per;
    }
    out->extent[last] /= per;
    out->src_base /= per;
    out->dst_base /= per;
    if (p->pad_dim == last) out->pad_from /= per;
    return true;
}

static int copy_equal(const struct gpu_copy *p, const void *src, void *dst, const int32_t *tables, unsigned count,
                      void *stream)
{
    struct gpu_copy wide;
    const int bytes = p->from == GPU_ELEM_I64                               ? 8
                      : p->from == GPU_ELEM_F32 || p->from == GPU_ELEM_I32  ? 4
                      : p->from == GPU_ELEM_F16 || p->from == GPU_ELEM_BF16 ? 2
                                                                            : 1;
    int a, b;
    if (gpu_aligned(src, 16) && gpu_aligned(dst, 16) && in_units(p, 16 / bytes, &wide))
        return launch_raw(&wide, src, dst, tables, count / (16u / (unsigned)bytes), make_int4(0, 0, 0, 0), stream);
    if (bytes < 8 && gpu_aligned(src, 8) && gpu_aligned(dst, 8) && in_units(p, 8 / bytes, &wide))
        return launch_raw(&wide, src, dst, tables, count / (8u / (unsigned)bytes), make_int2(0, 0), stream);
    if (p->from == GPU_ELEM_F32) {
        if (tiled(p, &a, &b)) return launch_from(p, (const float *)src, dst, tables, count, stream);
        return launch_raw(p, src, dst, tables, count, p->fill, stream);
    }
    if (p->from == GPU_ELEM_F16) {
        struct gpu_copy pixels;
        if (p->fill != 0) return launch_from(p, (const __half *)src, dst, tables, count, stream);
        if (!of_pixels(p, 8, dst, 16, &pixels) && !tiled(p, &a, &b))
            return launch_raw(p, src, dst, tables, count, (uint16_t)0, stream);
        launch_float(p, (const bits16 *)src, (bits16 *)dst, tables, count, stream);
        return cudaGetLastError();
    }
    if (p->from == GPU_ELEM_BF16) return launch_from(p, (const __nv_bfloat16 *)src, dst, tables, count, stream);
    if (bytes == 8) return launch_raw(p, src, dst, tables, count, (int64_t)p->fill, stream);
    if (bytes == 4) return launch_raw(p, src, dst, tables, count, (int32_t)p->fill, stream);
    return launch_raw(p, src, dst, tables, count, (uint8_t)p->fill, stream);
}

// Depth to space: an elementwise launch without any step.
static bool as_enlargement(const struct gpu_copy *p, const void *src, void *dst, void *stream, int *out_error)
{
    struct gpu_elementwise e = {};
    if (p->from != p->to || p->from > GPU_ELEM_BF16 || p->n_dims < 3 || p->pad_dim >= 0) return false;
    e.x_elem = p->from, e.y_elem = p->to, e.n_dims = p->n_dims;
    for (int d = 0; d < p->n_dims; d++) {
        if (p->table[d] >= 0) return false;
        e.extent[d] = e.last = p->extent[d];
        e.x_stride[d] = p->src_stride[d], e.y_stride[d] = p->dst_stride[d];
    }
    const int64_t bytes = p->from == GPU_ELEM_F32 ? 4 : 2;
    return gpu_enlarge(&e, (const char *)src + p->src_base * bytes, NULL, (char *)dst + p->dst_base * bytes, stream,
                       out_error);
}

// Cuts the longest dimension in two and copies each half.
static void halves(const struct gpu_copy *p, struct gpu_copy *low, struct gpu_copy *high)
{
    int d = 0;
    for (int k = 1; k < p->n_dims; k++)
        if (p->extent[k] > p->extent[d]) d = k;
    const int half = p->extent[d] / 2;
    *low = *high = *p;
    low->extent[d] = half;
    high->extent[d] -= half;
    high->dst_base += half * p->dst_stride[d];
    if (p->table[d] >= 0)
        high->table[d] += half;
    else
        high->src_base += half * p->src_stride[d];
    if (p->pad_dim == d) high->pad_from = p->pad_from > half ? p->pad_from - half : 0;
}

extern "C" int gpu_copy(const struct gpu_copy *p, const void *src, void *dst, const int32_t *tables, void *stream)
{
    unsigned long long count = 1;
    for (int d = 0; d < p->n_dims; d++) count *= (unsigned long long)p->extent[d];
    if (!count) return cudaSuccess;
    int error;
    if (as_enlargement(p, src, dst, stream, &error)) return error;
    if (count > GPU_COUNT_MOST) {
        struct gpu_copy low, high;
        halves(p, &low, &high);
        error = gpu_copy(&low, src, dst, tables, stream);
        return error ? error : gpu_copy(&high, src, dst, tables, stream);
    }
    if (p->from == p->to) return copy_equal(p, src, dst, tables, (unsigned)count, stream);
    if (p->from <= GPU_ELEM_BF16 && p->to <= GPU_ELEM_BF16)
        GPU_BY_ELEM(p->from, return launch_from(p, (const T *)src, dst, tables, (unsigned)count, stream));
    REEL_LAUNCH(copy_any, gpu_blocks((long long)count, GPU_BLOCK), GPU_BLOCK, 0, stream, *p, divisors_of(p), src, dst,
                tables, (unsigned)count);
    return cudaGetLastError();
}

// ---- gathering ---------------------------------------------------------------------------

template <typename T>
static __global__ void gather(const struct gpu_gather p, long long inner, const T *src, const int64_t *index, T *dst,
                              long long count)
{
    const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    const long long j = i / inner % p.n_index, o = i / inner / p.n_index;
    long long k = index[j];
    if (k < 0) k += p.axis;
    T v = {};
    if (k >= 0 && k < p.axis) v = src[(o * p.axis + k) * inner + i % inner];
    dst[i] = v;
}

template <typename T>
static int launch_gather(const struct gpu_gather *p, const void *src, const int64_t *index, void *dst, void *stream)
{
    const long long inner = p->inner * p->elem_bytes / (long long)sizeof(T), count = p->outer * p->n_index * inner;
    if (!count) return cudaSuccess;
    REEL_LAUNCH((gather<T>), gpu_blocks(count, GPU_BLOCK), GPU_BLOCK, 0, stream, *p, inner, (const T *)src, index,
                (T *)dst, count);
    return cudaGetLastError();
}

extern "C" int gpu_gather(const struct gpu_gather *p, const void *src, const int64_t *index, void *dst, void *stream)
{
    const long long bytes = p->inner * p->elem_bytes;
    if (bytes % 16 == 0 && gpu_aligned(src, 16) && gpu_aligned(dst, 16))
        return launch_gather<int4>(p, src, index, dst, stream);
    if (bytes % 4 == 0 && gpu_aligned(src, 4) && gpu_aligned(dst, 4))
        return launch_gather<int32_t>(p, src, index, dst, stream);
    if (bytes % 2 == 0) return launch_gather<uint16_t>(p, src, index, dst, stream);
    return launch_gather<uint8_t>(p, src, index, dst, stream);
}

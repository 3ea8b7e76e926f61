// SPDX-License-Identifier: MIT
//
// The kernels of select.h; their plain C twins are in select_ref.c.
#include "kernels/gpu/chain.cuh"
#include "kernels/gpu/select_math.h"

static __device__ __forceinline__ long long thread_no()
{
    return (long long)blockIdx.x * blockDim.x + threadIdx.x;
}

// ---- the k largest ---------------------------------------------------------------------
//
// Every element has a key, larger for the better one: its value's bits in order, then
// the position's complement; no two are equal, and none is 0. The k-th largest key is
// found eight bits at a time, by counting; what is not smaller is collected in any order
// and sorted by a bitonic network, in shared memory up to GPU_TOPK_SHARED keys. Neither
// counts nor the sorted result depend on the order of the atomics. One block a column;
// a long column is cut into tiles first, and a block each leaves the positions of its
// tile's best, among which the column's are.

#ifdef REEL_CUDA_CPU
#define TOPK_BLOCK 64
#else
#define TOPK_BLOCK 512
#endif

// Values of at most 32 bits.
struct topk_narrow {
    static const int BYTES = 8;
    unsigned long long bits;
};

// Values of 64 bits.
struct topk_wide {
    static const int BYTES = 12;
    unsigned long long value;
    unsigned place;
};

static __device__ __forceinline__ bool operator<(const topk_narrow &a, const topk_narrow &b)
{
    return a.bits < b.bits;
}
static __device__ __forceinline__ bool operator<(const topk_wide &a, const topk_wide &b)
{
    return a.value != b.value ? a.value < b.value : a.place < b.place;
}

static __device__ __forceinline__ unsigned place_of(const topk_narrow &k)
{
    return ~(unsigned)k.bits;
}
static __device__ __forceinline__ unsigned place_of(const topk_wide &k)
{
    return ~k.place;
}

// Byte `level` of a key, counted from the most significant one.
static __device__ __forceinline__ unsigned byte_of(const topk_narrow &k, int level)
{
    return (unsigned)(k.bits >> (56 - 8 * level)) & 255;
}
static __device__ __forceinline__ unsigned byte_of(const topk_wide &k, int level)
{
    return (level < 8 ? (unsigned)(k.value >> (56 - 8 * level)) : k.place >> (88 - 8 * level)) & 255;
}

static __device__ __forceinline__ void set_byte(topk_narrow &k, int level, unsigned byte)
{
    k.bits |= (unsigned long long)byte << (56 - 8 * level);
}
static __device__ __forceinline__ void set_byte(topk_wide &k, int level, unsigned byte)
{
    if (level < 8)
        k.value |= (unsigned long long)byte << (56 - 8 * level);
    else
        k.place |= byte << (88 - 8 * level);
}

// Whether all bytes that are more significant than `level` are equal.
static __device__ __forceinline__ bool begins_as(const topk_narrow &a, const topk_narrow &b, int level)
{
    return level == 0 || (a.bits ^ b.bits) >> (64 - 8 * level) == 0;
}
static __device__ __forceinline__ bool begins_as(const topk_wide &a, const topk_wide &b, int level)
{
    if (level == 0) return true;
    if (level <= 8) return (a.value ^ b.value) >> (64 - 8 * level) == 0;
    return a.value == b.value && (a.place ^ b.place) >> (96 - 8 * level) == 0;
}

static __device__ __forceinline__ void make_key(topk_narrow &k, const struct gpu_topk &p, const void *x,
                                                long long first, long long i)
{
    unsigned u;
    if (p.elem >= GPU_ELEM_U8) {
        u = (unsigned)gpu_int_load(p.elem, x, first + i * p.inner) ^ 0x80000000u;
    } else {
        const float v = gpu_any_load(p.elem, x, first + i * p.inner);
        u = v != v ? 0x7fffffffu : v == 0 ? 0u : __float_as_uint(v); // all NaNs are equal, and so are both zeros
        u = u & 0x80000000u ? ~u : u | 0x80000000u;
    }
    if (p.smallest) u = ~u;
    k.bits = (unsigned long long)u << 32 | (unsigned)~(unsigned)i;
}
static __device__ __forceinline__ void make_key(topk_wide &k, const struct gpu_topk &p, const void *x, long long first,
                                                long long i)
{
    const unsigned long long sign = 1ull << 63, infinity = 0x7ffull << 52;
    unsigned long long u = (unsigned long long)((const int64_t *)x)[first + i * p.inner];
    if (p.is_f64) { // compares by the bits
        if ((u & ~sign) > infinity) u = ~sign;
        if ((u & ~sign) == 0) u = 0;
        u = u & sign ? ~u : u | sign;
    } else {
        u ^= sign;
    }
    k.value = p.smallest ? ~u : u;
    k.place = ~(unsigned)i;
}

// The positions in a column: those of a list, or n from `begin` on.
struct topk_places {
    const int *list;
    long long begin, n;
};

template <typename K>
static __device__ __forceinline__ K key_at(const struct gpu_topk &p, const topk_places &places, const void *x,
                                           long long first, long long i)
{
    K key;
    make_key(key, p, x, first, places.list ? places.list[i] : places.begin + i);
    return key;
}

// Finds the leading bytes of the k-th largest key, with zeros behind them: exactly k keys are not below it.
template <typename K>
static __device__ K find_kth(const struct gpu_topk &p, const topk_places &places, const void *x, long long first,
                             unsigned k)
{
    __shared__ unsigned count[256];
    __shared__ K prefix;
    __shared__ unsigned need;
    __shared__ int done;
    if (threadIdx.x == 0) prefix = K{}, need = k, done = 0;
    for (int level = 0; level < K::BYTES; level++) {
        for (int i = (int)threadIdx.x; i < 256; i += TOPK_BLOCK) count[i] = 0;
        __syncthreads();
        if (!done) {
            const K want = prefix;
            for (long long i = threadIdx.x; i < places.n; i += TOPK_BLOCK) {
                const K key = key_at<K>(p, places, x, first, i);
                if (begins_as(key, want, level)) atomicAdd(&count[(int)byte_of(key, level)], 1u);
            }
        }
        __syncthreads();
        if (threadIdx.x == 0 && !done) {
            int digit = 255;
            for (; digit > 0 && count[digit] < need; digit--) need -= count[digit];
            set_byte(prefix, level, (unsigned)digit);
            done = count[digit] == need;
        }
        __syncthreads();
    }
    return prefix;
}

template <typename K> static __device__ void sort_keys(K *keys, unsigned n)
{
    for (unsigned size = 2; size <= n; size *= 2)
        for (unsigned stride = size / 2; stride > 0; stride /= 2) {
            for (unsigned t = threadIdx.x; t < n / 2; t += TOPK_BLOCK) {
                const unsigned i = t / stride * 2 * stride + t % stride;
                const K a = keys[i], b = keys[i + stride];
                const bool falling = (i & size) == 0;
                if (falling ? a < b : b < a) keys[i] = b, keys[i + stride] = a;
            }
            __syncthreads();
        }
}

static __device__ __forceinline__ long long first_of(const struct gpu_topk &p, long long column)
{
    return column / p.inner * p.n * p.inner + column % p.inner;
}

// Writes the positions of the k best of each tile, `kept` a column.
template <typename K>
static __global__ void topk_tiles(const struct gpu_topk p, const void *x, int *list, long long tile, unsigned tiles,
                                  long long kept)
{
    __shared__ unsigned have;
    const long long column = blockIdx.x / tiles, t = blockIdx.x % tiles, first = first_of(p, column);
    const topk_places places = {NULL, t * tile, p.n - t * tile < tile ? p.n - t * tile : tile};
    const unsigned k = (unsigned)(p.k < places.n ? p.k : places.n);
    list += column * kept + t * p.k; // every tile except the last has more than k elements
    const K least = find_kth<K>(p, places, x, first, k);
    if (threadIdx.x == 0) have = 0;
    __syncthreads();
    for (long long i = threadIdx.x; i < places.n; i += TOPK_BLOCK) {
        if (key_at<K>(p, places, x, first, i) < least) continue;
        const unsigned at = atomicAdd(&have, 1u);
        if (at < k) list[at] = (int)(places.begin + i);
    }
}

template <typename K>
static __global__ void topk(const struct gpu_topk p, const void *x, void *values, int64_t *positions, const int *list,
                            long long kept, K *work, unsigned whole)
{
    __shared__ K near[GPU_TOPK_SHARED];
    __shared__ unsigned have;
    K *keys = whole <= GPU_TOPK_SHARED ? near : work + (size_t)blockIdx.x * whole;
    const long long o = blockIdx.x / p.inner, c = blockIdx.x % p.inner, first = first_of(p, blockIdx.x);
    const topk_places places = {list ? list + blockIdx.x * kept : NULL, 0, kept};
    const K least = find_kth<K>(p, places, x, first, (unsigned)p.k);
    if (threadIdx.x == 0) have = 0;
    for (unsigned i = threadIdx.x; i < whole; i += TOPK_BLOCK) keys[i] = K{}; // a key below all others
    __syncthreads();
    for (long long i = threadIdx.x; i < places.n; i += TOPK_BLOCK) {
        const K key = key_at<K>(p, places, x, first, i);
        if (key < least) continue;
        const unsigned at = atomicAdd(&have, 1u);
        if (at < whole) keys[at] = key;
    }
    __syncthreads();
    sort_keys(keys, whole);
    for (long long j = threadIdx.x; j < p.k; j += TOPK_BLOCK) {
        const long long at = place_of(keys[j]), to = (o * p.k + j) * p.inner + c;
        if (positions) positions[to] = at;
        if (!values) continue;
        if (p.elem >= GPU_ELEM_U8)
            gpu_int_store(p.elem, values, to, gpu_int_load(p.elem, x, first + at * p.inner));
        else
            gpu_any_store(p.elem, values, to, gpu_any_load(p.elem, x, first + at * p.inner));
    }
}

template <typename K>
static int topk_launch(const struct gpu_topk *p, const void *x, void *values, int64_t *positions, void *work,
                       void *stream)
{
    const long long columns = p->outer * p->inner, tile = gpu_topk_tile(p);
    const long long tiles = tile ? (p->n + tile - 1) / tile : 1, kept = tile ? gpu_topk_kept(p) : p->n;
    int *const list = tile ? (int *)((char *)work + gpu_topk_sort_bytes(p)) : NULL;
    if (columns * tiles > 0x7fffffff) return cudaErrorInvalidValue;
    if (tile)
        REEL_LAUNCH((topk_tiles<K>), (unsigned)(columns * tiles), TOPK_BLOCK, 0, stream, *p, x, list, tile,
                    (unsigned)tiles, kept);
    REEL_LAUNCH((topk<K>), (unsigned)columns, TOPK_BLOCK, 0, stream, *p, x, values, positions, (const int *)list, kept,
                (K *)work, (unsigned)gpu_topk_keys(p));
    return cudaGetLastError();
}

extern "C" int gpu_topk(const struct gpu_topk *p, const void *x, void *values, int64_t *positions, void *work,
                        void *stream)
{
    const long long columns = p->outer * p->inner;
    if (!columns || !p->k) return cudaSuccess;
    if (columns > 0x7fffffff || p->n > GPU_TOPK_MOST_N || p->k > GPU_TOPK_MOST_K) return cudaErrorInvalidValue;
    if (p->elem == GPU_ELEM_I64) return topk_launch<topk_wide>(p, x, values, positions, work, stream);
    return topk_launch<topk_narrow>(p, x, values, positions, work, stream);
}

// ---- reading at indices ----------------------------------------------------------------

template <typename T>
static __global__ void gather_at(const struct gpu_index p, const T *data, const void *index, T *dst, long long count)
{
    const long long i = thread_no();
    if (i >= count) return;
    const int64_t at = gpu_index_place(&p, index, i / p.block);
    T v = {};
    if (at >= 0) v = data[at + i % p.block];
    dst[i] = v;
}

// Calls f with a type T of that many bytes.
#define BY_BYTES(bytes, ...)          \
    switch (bytes) {                  \
    case 1: {                         \
        typedef uint8_t T;            \
        __VA_ARGS__;                  \
        break;                        \
    }                                 \
    case 2: {                         \
        typedef uint16_t T;           \
        __VA_ARGS__;                  \
        break;                        \
    }                                 \
    case 4: {                         \
        typedef uint32_t T;           \
        __VA_ARGS__;                  \
        break;                        \
    }                                 \
    case 8: {                         \
        typedef uint64_t T;           \
        __VA_ARGS__;                  \
        break;                        \
    }                                 \
    default:                          \
        return cudaErrorInvalidValue; \
    }

extern "C" int gpu_gather_at(const struct gpu_index *p, const void *data, const void *index, void *dst, void *stream)
{
    const long long count = p->tuples * p->block;
    if (!count) return cudaSuccess;
    BY_BYTES(p->elem_bytes, REEL_LAUNCH((gather_at<T>), gpu_blocks(count, GPU_BLOCK), GPU_BLOCK, 0, stream, *p,
                                        (const T *)data, index, (T *)dst, count));
    return cudaGetLastError();
}

// ---- writing at indices ----------------------------------------------------------------
//
// Several tuples may name one place: their updates count in the tuples' order. Where
// the last one stays, it is found by an integer maximum. Where they are combined, the
// tuples of a place are linked into a list, which one thread puts in order; then an
// element's thread walks the list.

static __global__ void scatter_last(const struct gpu_index p, const void *index, int *head)
{
    const long long i = thread_no();
    if (i >= p.tuples) return;
    const int64_t at = gpu_index_place(&p, index, i);
    if (at >= 0) atomicMax(&head[at / p.block], (int)i);
}

static __global__ void scatter_link(const struct gpu_index p, const void *index, int *head, int *next)
{
    const long long i = thread_no();
    if (i >= p.tuples) return;
    const int64_t at = gpu_index_place(&p, index, i);
    if (at >= 0) next[i] = atomicExch(&head[at / p.block], (int)i);
}

// Cuts the list behind its first `n` elements and returns the rest.
static __device__ int cut(int *next, int from, int n)
{
    for (int i = 1; i < n && from >= 0; i++) from = next[from];
    if (from < 0) return -1;
    const int rest = next[from];
    next[from] = -1;
    return rest;
}

// Merges two sorted lists into one behind `tail` (-1: at the front) and returns its last element.
static __device__ int merge(int *next, int *front, int tail, int a, int b)
{
    while (a >= 0 || b >= 0) {
        const bool take_a = b < 0 || (a >= 0 && a < b);
        const int i = take_a ? a : b;
        if (take_a)
            a = next[a];
        else
            b = next[b];
        if (tail < 0)
            *front = i;
        else
            next[tail] = i;
        tail = i;
    }
    next[tail] = -1;
    return tail;
}

// Sorts by merging runs of 1, 2, 4... tuples, which needs neither a stack nor memory.
static __global__ void scatter_order(int *head, int *next, long long places)
{
    const long long i = thread_no();
    if (i >= places) return;
    int list = head[i];
    if (list < 0 || next[list] < 0) return;
    for (int run = 1, merges = 2; merges > 1; run *= 2) {
        int rest = list, tail = -1;
        merges = 0;
        while (rest >= 0) {
            const int a = rest, b = cut(next, a, run);
            rest = b < 0 ? -1 : cut(next, b, run);
            tail = merge(next, &list, tail, a, b);
            merges++;
        }
    }
    head[i] = list;
}

template <typename T>
static __global__ void scatter_put(const struct gpu_index p, const T *updates, T *y, const int *head)
{
    const long long i = thread_no();
    if (i >= p.count) return;
    const int from = head[i / p.block];
    if (from >= 0) y[i] = updates[from * p.block + i % p.block];
}

static __global__ void scatter_combine(const struct gpu_index p, const void *updates, void *y, const int *head,
                                       const int *next)
{
    const long long i = thread_no();
    if (i >= p.count) return;
    int from = head[i / p.block];
    if (from < 0) return;
    if (p.elem <= GPU_ELEM_BF16) {
        float v = gpu_any_load(p.elem, y, i);
        for (; from >= 0; from = next[from])
            v = gpu_combine_floats(p.combine, v, gpu_any_load(p.elem, updates, from * p.block + i % p.block));
        gpu_any_store(p.elem, y, i, v);
        return;
    }
    int64_t v = gpu_int_load(p.elem, y, i);
    for (; from >= 0; from = next[from])
        v = gpu_combine_ints(p.combine, v, gpu_int_load(p.elem, updates, from * p.block + i % p.block));
    gpu_int_store(p.elem, y, i, v);
}

extern "C" int gpu_scatter(const struct gpu_index *p, const void *data, const void *index, const void *updates, void *y,
                           void *work, void *stream)
{
    const size_t bytes = (size_t)p->count * (size_t)p->elem_bytes;
    int error = cudaSuccess;
    if (bytes && data) error = cudaMemcpyAsync(y, data, bytes, cudaMemcpyDeviceToDevice, (cudaStream_t)stream);
    if (bytes && !data) error = cudaMemsetAsync(y, 0, bytes, (cudaStream_t)stream);
    if (error || !bytes || !p->tuples) return error;
    const long long places = p->count / p->block;
    int *head = (int *)work, *next = head + places;
    error = cudaMemsetAsync(head, 0xff, (size_t)places * sizeof *head, (cudaStream_t)stream);
    if (error) return error;
    const unsigned of_tuples = gpu_blocks(p->tuples, GPU_BLOCK), of_places = gpu_blocks(places, GPU_BLOCK);
    const unsigned of_all = gpu_blocks(p->count, GPU_BLOCK);
    if (p->combine == GPU_COMBINE_NONE) {
        REEL_LAUNCH(scatter_last, of_tuples, GPU_BLOCK, 0, stream, *p, index, head);
        BY_BYTES(p->elem_bytes,
                 REEL_LAUNCH((scatter_put<T>), of_all, GPU_BLOCK, 0, stream, *p, (const T *)updates, (T *)y, head));
        return cudaGetLastError();
    }
    REEL_LAUNCH(scatter_link, of_tuples, GPU_BLOCK, 0, stream, *p, index, head, next);
    REEL_LAUNCH(scatter_order, of_places, GPU_BLOCK, 0, stream, head, next, places);
    REEL_LAUNCH(scatter_combine, of_all, GPU_BLOCK, 0, stream, *p, updates, y, head, next);
    return cudaGetLastError();
}

// ---- one of many -----------------------------------------------------------------------

template <typename T>
static __global__ void one_hot(const struct gpu_one_hot p, const void *index, const T *values, T *y, long long count)
{
    const long long i = thread_no();
    if (i >= count) return;
    const long long c = i % p.inner, d = i / p.inner % p.depth, o = i / p.inner / p.depth;
    long long at;
    if (p.index_elem <= GPU_ELEM_BF16) {
        const float f = gpu_any_load(p.index_elem, index, o * p.inner + c);
        at = f >= -(float)p.depth && f < (float)p.depth ? (long long)f : p.depth;
    } else {
        at = gpu_int_load(p.index_elem, index, o * p.inner + c);
    }
    if (at < 0) at += p.depth;
    y[i] = values[at == d];
}

extern "C" int gpu_one_hot(const struct gpu_one_hot *p, const void *index, const void *values, void *y, void *stream)
{
    const long long count = p->outer * p->depth * p->inner;
    if (!count) return cudaSuccess;
    BY_BYTES(p->elem_bytes, REEL_LAUNCH((one_hot<T>), gpu_blocks(count, GPU_BLOCK), GPU_BLOCK, 0, stream, *p, index,
                                        (const T *)values, (T *)y, count));
    return cudaGetLastError();
}

// ---- prefixes --------------------------------------------------------------------------
//
// A block a column: each thread folds a run of neighbouring elements, the runs'
// results are scanned in shared memory, then each thread goes along its run again.
// With many short columns a thread has one alone.

#ifdef REEL_CUDA_CPU
#define SCAN_BLOCK 32
#else
#define SCAN_BLOCK 256
#endif
#define SCAN_LONG 64 // from so many elements on, a column gets a block of its own

struct scan_floats {
    typedef float value;
    static __device__ value load(int elem, const void *p, long long i)
    {
        return gpu_any_load(elem, p, i);
    }
    static __device__ void store(int elem, void *p, long long i, value v)
    {
        gpu_any_store(elem, p, i, v);
    }
    static __device__ value fold(bool product, value a, value b)
    {
        return product ? a * b : a + b;
    }
};

struct scan_ints {
    typedef long long value;
    static __device__ value load(int elem, const void *p, long long i)
    {
        return gpu_int_load(elem, p, i);
    }
    static __device__ void store(int elem, void *p, long long i, value v)
    {
        gpu_int_store(elem, p, i, v);
    }
    static __device__ value fold(bool product, value a, value b)
    {
        return gpu_combine_ints(product ? GPU_COMBINE_MUL : GPU_COMBINE_ADD, a, b);
    }
};

// Scans elements from..to of a column, in the order of the scan; `sum` is what came before.
template <typename K>
static __device__ typename K::value scan_run(const struct gpu_scan &p, const void *x, void *y, long long first,
                                             long long from, long long to, typename K::value sum)
{
    for (long long k = from; k < to; k++) {
        const long long at = first + (p.reverse ? p.n - 1 - k : k) * p.inner;
        const typename K::value before = sum;
        sum = K::fold(p.product, sum, K::load(p.x_elem, x, at));
        if (y) K::store(p.y_elem, y, at, p.exclusive ? before : sum);
    }
    return sum;
}

template <typename K> static __global__ void scan_short(const struct gpu_scan p, const void *x, void *y)
{
    const long long i = thread_no();
    if (i >= p.outer * p.inner) return;
    scan_run<K>(p, x, y, i / p.inner * p.n * p.inner + i % p.inner, 0, p.n, p.product ? 1 : 0);
}

template <typename K> static __global__ void scan_long(const struct gpu_scan p, const void *x, void *y, long long run)
{
    __shared__ typename K::value sums[SCAN_BLOCK];
    const typename K::value none = p.product ? 1 : 0;
    const long long first = blockIdx.x / p.inner * p.n * p.inner + blockIdx.x % p.inner;
    const int t = (int)threadIdx.x;
    const long long from = t * run < p.n ? t * run : p.n, to = from + run < p.n ? from + run : p.n;
    sums[t] = scan_run<K>(p, x, NULL, first, from, to, none);
    __syncthreads();
    for (int d = 1; d < SCAN_BLOCK; d *= 2) {
        const typename K::value before = t >= d ? sums[t - d] : none;
        __syncthreads();
        sums[t] = K::fold(p.product, before, sums[t]);
        __syncthreads();
    }
    scan_run<K>(p, x, y, first, from, to, t ? sums[t - 1] : none);
}

template <typename K> static int launch_scan(const struct gpu_scan *p, const void *x, void *y, void *stream)
{
    const long long columns = p->outer * p->inner;
    if (!columns || !p->n) return cudaSuccess;
    if (columns > 0x7fffffff) return cudaErrorInvalidValue;
    if (p->n < SCAN_LONG)
        REEL_LAUNCH((scan_short<K>), gpu_blocks(columns, GPU_BLOCK), GPU_BLOCK, 0, stream, *p, x, y);
    else
        REEL_LAUNCH((scan_long<K>), (unsigned)columns, SCAN_BLOCK, 0, stream, *p, x, y,
                    (p->n + SCAN_BLOCK - 1) / SCAN_BLOCK);
    return cudaGetLastError();
}

extern "C" int gpu_scan(const struct gpu_scan *p, const void *x, void *y, void *stream)
{
    return p->x_elem <= GPU_ELEM_BF16 ? launch_scan<scan_floats>(p, x, y, stream)
                                      : launch_scan<scan_ints>(p, x, y, stream);
}

// ---- triangles, reversed sequences -------------------------------------------------------

template <typename T> static __global__ void triangle(const struct gpu_triangle p, const T *x, T *y, long long count)
{
    const long long i = thread_no();
    if (i >= count) return;
    T v = {};
    if (gpu_triangle_keeps(&p, i / p.columns % p.rows, i % p.columns)) v = x[i];
    y[i] = v;
}

extern "C" int gpu_triangle(const struct gpu_triangle *p, const void *x, void *y, void *stream)
{
    const long long count = p->matrices * p->rows * p->columns;
    if (!count) return cudaSuccess;
    BY_BYTES(p->elem_bytes, REEL_LAUNCH((triangle<T>), gpu_blocks(count, GPU_BLOCK), GPU_BLOCK, 0, stream, *p,
                                        (const T *)x, (T *)y, count));
    return cudaGetLastError();
}

template <typename T>
static __global__ void reverse(const struct gpu_reverse p, const T *x, const int64_t *length, T *y, long long count)
{
    const long long i = thread_no();
    if (i >= count) return;
    const long long row = i / p.inner, b = p.batch_first ? row / p.times : row % p.batches;
    const long long t = p.batch_first ? row % p.times : row / p.batches;
    const long long n = length[b] < p.times ? length[b] : p.times, from = t < n ? n - 1 - t : t;
    y[i] = x[i + (from - t) * (p.batch_first ? 1 : p.batches) * p.inner];
}

extern "C" int gpu_reverse(const struct gpu_reverse *p, const void *x, const int64_t *length, void *y, void *stream)
{
    const long long count = p->times * p->batches * p->inner;
    if (!count) return cudaSuccess;
    BY_BYTES(p->elem_bytes, REEL_LAUNCH((reverse<T>), gpu_blocks(count, GPU_BLOCK), GPU_BLOCK, 0, stream, *p,
                                        (const T *)x, length, (T *)y, count));
    return cudaGetLastError();
}

// SPDX-License-Identifier: MIT
//
// The kernel of flash.h; the twin is in flash_ref.c. A block has 64 rows of q, a warp 16
// of them, and goes over the columns 64 at a time: scores in registers, softmax with a
// running maximum and sum (Milakov and Gimelshein 2018, Dao et al. 2022), and the sums
// of v with the 16-bit weights. Columns are taken in tiles that begin at multiples of 64,
// in order, so that a row's sums depend on nothing beside it: a tile of which a row may
// attend nothing leaves it as it was.
//
// Rows of up to 128 numbers: q stays in registers (a quarter of a number's place for each
// of the row, 32 registers at most, beside 64 of sums), keys and values have a place each
// in shared memory, 35 KB at most. Longer ones: the sums alone take 96 or 128 registers, so
// q stays in shared memory, and keys and values take turns in one place: 68 KB at 256
// numbers, which any device of sm_80 and later has for a block (99 KB and more), and sm_80
// and sm_90 for two of them on a multiprocessor, as many as its registers let be there.
#include "kernels/gpu/chain.cuh"
#include "kernels/gpu/conv_way.h" // shared memory
#include "kernels/gpu/mma.cuh"

#define GPU_LOAD(elem, p, i) gpu_any_load(elem, p, i)
#include "kernels/gpu/flash_math.h"

#define WARPS 4
#define THREADS (32 * WARPS)
#define ROWS (16 * WARPS) // rows of q that a block works on
#define COLUMNS 64        // columns that are computed at a time
#define TILES (COLUMNS / 8)
#define LOG2_E 1.44269504088896f

// How a tile is loaded: 8, 2 or 1 numbers of a row at a time, or (0) one at a time down its columns, if
// those are contiguous in memory.
struct flash_ways {
    int q, k, v;
    bool y_pairs;                     // two neighbouring numbers of a row are stored at once
    bool term_pairs[GPU_FLASH_TERMS]; // likewise, two numbers of the program's type are loaded at once
    unsigned tiles;                   // tiles of rows in a matrix
};

struct flash_terms {
    const void *p[GPU_FLASH_TERMS];
};

struct alignas(16) piece {
    uint32_t w[4];
};

// ---- tiles -----------------------------------------------------------------------------

// Loads ROWS rows of `dim` numbers into shared memory, with zeros behind row n and behind number dim.
template <typename T, int WIDTH>
static __device__ __forceinline__ void load_tile(T *to, const T *from, long long row, long long column, int n, int dim,
                                                 int way)
{
    constexpr int PITCH = WIDTH + 8;
    const int t = (int)threadIdx.x;
    if (way == 8) {
        for (int i = t; i < ROWS * (WIDTH / 8); i += THREADS) {
            const int r = i / (WIDTH / 8), c = i % (WIDTH / 8) * 8;
            piece z = {};
            if (r < n && c < dim) z = *(const piece *)(from + r * row + c);
            *(piece *)(to + r * PITCH + c) = z;
        }
    } else if (way == 2) {
        for (int i = t; i < ROWS * (WIDTH / 2); i += THREADS) {
            const int r = i / (WIDTH / 2), c = i % (WIDTH / 2) * 2;
            *(uint32_t *)(to + r * PITCH + c) = r < n && c < dim ? *(const uint32_t *)(from + r * row + c) : 0;
        }
    } else {
        for (int i = t; i < ROWS * WIDTH; i += THREADS) {
            const int r = way ? i / WIDTH : i % ROWS, c = way ? i % WIDTH : i / ROWS;
            if (r < n && c < dim)
                to[r * PITCH + c] = from[r * row + c * column];
            else
                gpu_store(to + r * PITCH + c, 0.0f);
        }
    }
}

static __device__ __forceinline__ float number(uint8_t v)
{
    return (float)v;
}
template <typename E> static __device__ __forceinline__ float number(E v)
{
    return gpu_load(&v);
}

// ---- scores ----------------------------------------------------------------------------

// This thread's place in its warp's 16 rows: rows group and group + 8, and columns 2t and 2t + 1 of each
// tile of 8 columns (mma.cuh).
struct flash_row {
    int i; // row of the matrix
    gpu_attention_bounds in;
    float top, sum; // of this thread's columns
};

static __device__ __forceinline__ float quad_max(float v)
{
    v = fmaxf(v, __shfl_xor_sync(0xffffffffu, v, 1));
    return fmaxf(v, __shfl_xor_sync(0xffffffffu, v, 2));
}

static __device__ __forceinline__ float quad_sum(float v)
{
    v += __shfl_xor_sync(0xffffffffu, v, 1);
    return v + __shfl_xor_sync(0xffffffffu, v, 2);
}

// Adds a term to the scores: s[tile][0..1] belong to the first row, [2..3] to the second. Its numbers have
// type E and are `step` apart in a row. pairs: they are contiguous, aligned, and their number is even.
template <typename E, bool PAIRS>
static __device__ __forceinline__ void add_numbers(const struct gpu_flash_term &term, const E *const from[2],
                                                   int column, int width, float s[TILES][4])
{
    const int step = PAIRS ? 1 : (int)term.at.column;
#pragma unroll
    for (int n = 0; n < TILES; n++) {
#pragma unroll
        for (int h = 0; h < 2; h++) {
            union {
                uint32_t word;
                E v[2];
            } both;
            const int j = column + 8 * n;
            if (PAIRS) {
                both.word = j < width ? *(const uint32_t *)(from[h] + j) : 0;
            } else {
                both.v[0] = from[h][(j < width ? j : width - 1) * step];
                both.v[1] = from[h][(j + 1 < width ? j + 1 : width - 1) * step];
            }
            float *const to = &s[n][2 * h];
            if (term.op == GPU_FLASH_ADD) {
                to[0] += number(both.v[0]), to[1] += number(both.v[1]);
            } else {
                to[0] = gpu_flash_with(&term, to[0], number(both.v[0]));
                to[1] = gpu_flash_with(&term, to[1], number(both.v[1]));
            }
        }
    }
}

template <typename E, bool PAIRS>
static __device__ __forceinline__ void add_typed(const struct gpu_flash &p, const struct gpu_flash_term &term,
                                                 const void *at, long long matrix, const flash_row row[2], int column,
                                                 float s[TILES][4])
{
    const E *from[2];
#pragma unroll
    for (int h = 0; h < 2; h++) // rows beyond the last read the last one
        from[h] = (const E *)at + gpu_flash_at(&term.at, matrix) +
                  (row[h].i < p.span.rows ? row[h].i : p.span.rows - 1) * term.at.row;
    add_numbers<E, PAIRS>(term, from, column, p.span.width, s);
}

template <typename T>
static __device__ __forceinline__ void add_term(const struct gpu_flash &p, const struct gpu_flash_term &term,
                                                const void *at, long long matrix, bool pairs, const flash_row row[2],
                                                int column, float s[TILES][4])
{
    if (pairs)
        add_typed<T, true>(p, term, at, matrix, row, column, s);
    else if (term.elem == GPU_ELEM_U8)
        add_typed<uint8_t, false>(p, term, at, matrix, row, column, s);
    else if (term.elem == GPU_ELEM_F32)
        add_typed<float, false>(p, term, at, matrix, row, column, s);
    else
        add_typed<T, false>(p, term, at, matrix, row, column, s);
}

// Turns scores into weights, which are not yet divided by their sum. Earlier sums must be multiplied by
// scale[].
static __device__ __forceinline__ void weigh(flash_row row[2], int column, float s[TILES][4], float scale[2])
{
#pragma unroll
    for (int h = 0; h < 2; h++) {
        flash_row &r = row[h];
        float top = r.top;
#pragma unroll
        for (int n = 0; n < TILES; n++)
#pragma unroll
            for (int e = 0; e < 2; e++) {
                const int j = column + 8 * n + e;
                float &v = s[n][2 * h + e];
                if (j < r.in.first || j > r.in.last) v = -INFINITY;
                top = fmaxf(top, v);
            }
        top = quad_max(top);
        const float zero = top == -INFINITY ? 0.0f : top;
        scale[h] = exp2f((r.top - zero) * LOG2_E);
        r.top = top;
        r.sum *= scale[h];
#pragma unroll
        for (int n = 0; n < TILES; n++)
#pragma unroll
            for (int e = 0; e < 2; e++) {
                float &v = s[n][2 * h + e];
                v = exp2f((v - zero) * LOG2_E);
                r.sum += v;
            }
    }
}

// Writes this thread's numbers of its two rows, divided by the rows' sums of weights.
template <typename T, int WIDTH>
static __device__ __forceinline__ void store_rows(const struct gpu_flash &p, bool pairs, const flash_row row[2], int t,
                                                  const float o[][4], T *y)
{
#pragma unroll
    for (int h = 0; h < 2; h++) {
        const float sum = quad_sum(row[h].sum), by = sum == 0 ? 0.0f : p.y_scale / sum;
        if (row[h].i >= p.span.rows) continue;
        T *const to = y + (long long)row[h].i * p.y.row;
#pragma unroll
        for (int n = 0; n < WIDTH / 8; n++) {
            const int d = 8 * n + 2 * t;
            if (d >= p.v_dim) continue;
            if (pairs) {
                *(uint32_t *)(to + d) = gpu_pack<T>(o[n][2 * h] * by, o[n][2 * h + 1] * by);
                continue;
            }
            gpu_store(to + d * p.y.column, o[n][2 * h] * by);
            if (d + 1 < p.v_dim) gpu_store(to + (d + 1) * p.y.column, o[n][2 * h + 1] * by);
        }
    }
}

#if GPU_HAS_MMA
// o += weights times values: the weights are the warp's 16 rows of s, the values are in shared memory.
template <typename T, int WIDTH>
static __device__ __forceinline__ void add_weighted(const T *values, int lane, const float s[TILES][4],
                                                    float o[WIDTH / 8][4])
{
    constexpr int PITCH = WIDTH + 8;
#pragma unroll
    for (int j = 0; j < COLUMNS / 16; j++) {
        const uint32_t w[4] = {gpu_pack<T>(s[2 * j][0], s[2 * j][1]), gpu_pack<T>(s[2 * j][2], s[2 * j][3]),
                               gpu_pack<T>(s[2 * j + 1][0], s[2 * j + 1][1]),
                               gpu_pack<T>(s[2 * j + 1][2], s[2 * j + 1][3])};
        const T *const mine = values + (16 * j + lane % 16) * PITCH + lane / 16 * 8;
#pragma unroll
        for (int n = 0; n < WIDTH / 8; n += 2) {
            uint32_t b[4];
            gpu_load_matrices_turned(mine + 8 * n, b);
            gpu_mma<T>(w, b[0], b[1], o[n][0], o[n][1], o[n][2], o[n][3]);
            gpu_mma<T>(w, b[2], b[3], o[n + 1][0], o[n + 1][1], o[n + 1][2], o[n + 1][3]);
        }
    }
}
#endif

// ---- the kernel ------------------------------------------------------------------------

template <typename T, int WIDTH> // WIDTH: numbers in a row, including padding zeros
static __global__ void __launch_bounds__(THREADS, WIDTH <= 32   ? 4
                                                  : WIDTH <= 64 ? 3
                                                                : 2)
    flash(const struct gpu_flash p, const flash_ways ways, const T *q, const T *k, const T *v, const flash_terms terms,
          const int64_t *valid, T *y)
{
#if GPU_HAS_MMA
    constexpr int PITCH = WIDTH + 8, CHUNKS = WIDTH / 16;
    // If true, q stays in registers, and keys and values lie side by side in shared memory.
    constexpr bool NARROW = WIDTH <= 128;
    // shared memory holds the rows, then the keys in their place, and the values behind; or the rows
    // behind, and values in the place of the keys
    REEL_SHARED(T, keys);
    T *const values = NARROW ? keys + COLUMNS * PITCH : keys;
    T *const rows = NARROW ? keys : keys + COLUMNS * PITCH;
    const long long matrix = blockIdx.x / ways.tiles;
    const int first = (int)(blockIdx.x % ways.tiles) * ROWS;
    const int warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32, group = lane / 4, t = lane % 4;
    q += gpu_flash_at(&p.q, matrix) + first * p.q.row;
    k += gpu_flash_at(&p.k, matrix);
    v += gpu_flash_at(&p.v, matrix);
    y += gpu_flash_at(&p.y, matrix);

    uint32_t a[NARROW ? CHUNKS : 1][4];
    const T *const my_rows = rows + (16 * warp + lane % 16) * PITCH + lane / 16 * 8;
    load_tile<T, WIDTH>(rows, q, p.q.row, p.q.column, p.span.rows - first, p.dim, ways.q);
    __syncthreads();
    if (NARROW) {
#pragma unroll
        for (int c = 0; c < CHUNKS; c++) gpu_load_matrices(my_rows + 16 * c, a[NARROW ? c : 0]);
    }

    const int64_t have = gpu_attention_valid(valid, matrix / p.heads);
    flash_row row[2];
#pragma unroll
    for (int h = 0; h < 2; h++) {
        const int i = first + 16 * warp + group + 8 * h;
        row[h].i = i, row[h].in = gpu_attention_bounds_of(&p.span, have, i);
        row[h].top = -INFINITY, row[h].sum = 0;
    }
    // both ends grow with the row
    const int end = first + ROWS < p.span.rows ? first + ROWS : p.span.rows;
    const int64_t from = gpu_attention_bounds_of(&p.span, have, first).first;
    const int64_t last = gpu_attention_bounds_of(&p.span, have, end - 1).last;

    float o[2 * CHUNKS][4] = {};
    for (int at = (int)(from / COLUMNS * COLUMNS); at <= last; at += COLUMNS) {
        __syncthreads();
        load_tile<T, WIDTH>(keys, k + (long long)at * p.k.row, p.k.row, p.k.column, p.span.columns - at, p.dim, ways.k);
        if (NARROW)
            load_tile<T, WIDTH>(values, v + (long long)at * p.v.row, p.v.row, p.v.column, p.span.columns - at, p.v_dim,
                                ways.v);
        __syncthreads();

        float s[TILES][4] = {};
#pragma unroll
        for (int c = 0; c < CHUNKS; c++) {
            const T *const mine = keys + (lane % 8 + lane / 16 * 8) * PITCH + lane / 8 % 2 * 8 + 16 * c;
            uint32_t(&rows_c)[4] = a[NARROW ? c : 0];
            if (!NARROW) gpu_load_matrices(my_rows + 16 * c, rows_c);
#pragma unroll
            for (int n = 0; n < TILES; n += 2) {
                uint32_t b[4];
                gpu_load_matrices(mine + 8 * n * PITCH, b);
                gpu_mma<T>(rows_c, b[0], b[1], s[n][0], s[n][1], s[n][2], s[n][3]);
                gpu_mma<T>(rows_c, b[2], b[3], s[n + 1][0], s[n + 1][1], s[n + 1][2], s[n + 1][3]);
            }
        }
        if (!NARROW) { // no warp reads keys any more; the following steps need none of them
            __syncthreads();
            load_tile<T, WIDTH>(values, v + (long long)at * p.v.row, p.v.row, p.v.column, p.span.columns - at, p.v_dim,
                                ways.v);
        }
#pragma unroll
        for (int n = 0; n < TILES; n++)
#pragma unroll
            for (int e = 0; e < 4; e++) s[n][e] = gpu_flash_scaled(&p, s[n][e]);
        for (int i = 0; i < p.n_terms; i++) {
            const void *const term = terms.p[i];
            add_term<T>(p, p.term[i], term, matrix, ways.term_pairs[i], row, at + 2 * t, s);
        }
        float scale[2];
        weigh(row, at + 2 * t, s, scale);
        if (!NARROW) __syncthreads();

#pragma unroll
        for (int n = 0; n < 2 * CHUNKS; n++)
#pragma unroll
            for (int e = 0; e < 4; e++) o[n][e] *= scale[e / 2];
        add_weighted<T, WIDTH>(values, lane, s, o);
    }

    store_rows<T, WIDTH>(p, ways.y_pairs, row, t, o, y);
#endif
}

// ---- launching -------------------------------------------------------------------------

// Whether every row begins at a multiple of n elements of 2 bytes, and whether its length is one.
static bool whole(const struct gpu_flash_place *m, const void *at, int length, int n)
{
    return m->column == 1 && (uintptr_t)at % (2 * (unsigned)n) == 0 && length % n == 0 && m->row % n == 0 &&
           m->stride[0] % n == 0 && m->stride[1] % n == 0 && m->stride[2] % n == 0;
}

static int way_of(const struct gpu_flash_place *m, const void *at, int length)
{
    if (whole(m, at, length, 8)) return 8;
    if (whole(m, at, length, 2)) return 2;
    return m->column != 1 && m->row == 1 ? 0 : 1;
}

template <typename T, int WIDTH>
static int launch(const struct gpu_flash *p, const struct flash_ways *ways, const void *q, const void *k, const void *v,
                  const struct flash_terms *terms, const int64_t *valid, void *y, void *stream)
{
    const size_t bytes = 2 * COLUMNS * (WIDTH + 8) * sizeof(T);
    if (bytes > GPU_SHARED_MOST) {
        const cudaError_t err =
            cudaFuncSetAttribute(flash<T, WIDTH>, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)bytes);
        if (err) return err;
    }
    REEL_LAUNCH((flash<T, WIDTH>), (unsigned)(p->count * ways->tiles), THREADS, bytes, stream, *p, *ways, (const T *)q,
                (const T *)k, (const T *)v, *terms, valid, (T *)y);
    return cudaGetLastError();
}

template <typename T>
static int by_width(const struct gpu_flash *p, const struct flash_ways *ways, const void *q, const void *k,
                    const void *v, const struct flash_terms *terms, const int64_t *valid, void *y, void *stream)
{
    const int most = p->dim > p->v_dim ? p->dim : p->v_dim;
    if (most <= 32) return launch<T, 32>(p, ways, q, k, v, terms, valid, y, stream);
    if (most <= 64) return launch<T, 64>(p, ways, q, k, v, terms, valid, y, stream);
    if (most <= 96) return launch<T, 96>(p, ways, q, k, v, terms, valid, y, stream);
    if (most <= 128) return launch<T, 128>(p, ways, q, k, v, terms, valid, y, stream);
    if (most <= 192) return launch<T, 192>(p, ways, q, k, v, terms, valid, y, stream);
    return launch<T, 256>(p, ways, q, k, v, terms, valid, y, stream);
}

extern "C" int gpu_flash(const struct gpu_flash *p, const void *q, const void *k, const void *v,
                         const void *const *term, const int64_t *valid, void *y, void *stream)
{
    if (!p->count || !p->span.rows || !p->v_dim) return cudaSuccess;
    struct flash_ways ways = {};
    struct flash_terms terms = {};
    ways.tiles = gpu_blocks(p->span.rows, ROWS);
    for (int i = 0; i < p->n_terms; i++)
        if (p->term[i].elem != GPU_ELEM_U8 && p->term[i].elem != GPU_ELEM_F32 && p->term[i].elem != p->elem)
            return cudaErrorInvalidValue;
    if (p->dim < 1 || p->dim > GPU_FLASH_DIM || p->v_dim > GPU_FLASH_DIM || p->n_terms > GPU_FLASH_TERMS ||
        p->count > 0x7fffffff / ways.tiles)
        return cudaErrorInvalidValue;
    ways.q = way_of(&p->q, q, p->dim), ways.k = way_of(&p->k, k, p->dim), ways.v = way_of(&p->v, v, p->v_dim);
    ways.y_pairs = whole(&p->y, y, p->v_dim, 2);
    for (int i = 0; i < p->n_terms; i++) {
        terms.p[i] = term[i];
        ways.term_pairs[i] = p->term[i].elem == p->elem && whole(&p->term[i].at, term[i], p->span.width, 2);
    }
    if (p->elem == GPU_ELEM_F16) return by_width<__half>(p, &ways, q, k, v, &terms, valid, y, stream);
    return by_width<__nv_bfloat16>(p, &ways, q, k, v, &terms, valid, y, stream);
}

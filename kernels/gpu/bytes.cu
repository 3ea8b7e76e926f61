// SPDX-License-Identifier: MIT
//
// The kernels of bytes.h; the twins are in bytes_ref.c. A block computes 64 x 64 sums, a
// thread 4 x 4, four bytes at a time. All bytes are taken as signed ones: unsigned ones
// and their zero points less 128. Zero points are taken off behind the sums, for which
// the bytes of each row and column are summed too.
#include "kernels/gpu/bytes.h"
#include "kernels/gpu/common.cuh"

#define TILE 64
#define STEP 8  // words of four bytes that are loaded of a row at a time
#define SIDE 16 // threads along a side of the block
#define EACH (TILE / SIDE)
#define ONES 0x01010101

static __device__ __forceinline__ int dot4(int a, int b, int sum)
{
#if !defined(REEL_CUDA_CPU)
    return __dp4a(a, b, sum);
#else
    for (int i = 0; i < 32; i += 8) sum += (int)(int8_t)(a >> i) * (int8_t)(b >> i);
    return sum;
#endif
}

struct window_divisors {
    gpu_divisor r, s, q;
};

static __device__ __forceinline__ int zero_of(const uint8_t *zero, int count, int at, bool is_signed)
{
    if (!count) return is_signed ? 0 : -128;
    return (int)(int8_t)(zero[count > 1 ? at : 0] ^ (is_signed ? 0 : 0x80));
}

// Element (c,j) of the windows' matrix, as a signed byte.
static __device__ __forceinline__ int window_byte(const struct gpu_bytes &p, const window_divisors &by,
                                                  const uint8_t *w, int c, int j, int beyond)
{
    const unsigned rows = gpu_quotient((unsigned)c, by.s), channel = gpu_quotient(rows, by.r);
    const unsigned py = gpu_quotient((unsigned)j, by.q);
    const int s = c - (int)(rows * by.s.by), r = (int)(rows - channel * by.r.by), px = j - (int)(py * by.q.by);
    const int y = (int)py * p.at.stride_h + r * p.at.dilation_h - p.at.pad_top;
    const int x = px * p.at.stride_w + s * p.at.dilation_w - p.at.pad_left;
    if (y < 0 || x < 0 || y >= p.at.h || x >= p.at.w) return beyond;
    return w[((long long)channel * p.at.h + y) * p.at.w + x] ^ (p.w_signed ? 0 : 0x80);
}

// Four bytes of column j, from row c on; w's zero point where there are none.
static __device__ __forceinline__ int column_word(const struct gpu_bytes &p, const window_divisors &by,
                                                  const uint8_t *w, int c, int j, int beyond)
{
    unsigned word = 0;
#pragma unroll
    for (int i = 0; i < 4; i++) {
        int v = beyond;
        if (c + i < p.c && j < p.k)
            v = p.windows ? window_byte(p, by, w, c + i, j, beyond)
                          : w[(long long)(c + i) * p.k + j] ^ (p.w_signed ? 0 : 0x80);
        word |= (unsigned)(v & 0xff) << 8 * i;
    }
    return (int)word;
}

static __device__ __forceinline__ int row_word(const struct gpu_bytes &p, const uint8_t *x, int i, int c, int beyond)
{
    unsigned word = 0;
#pragma unroll
    for (int k = 0; k < 4; k++) {
        int v = beyond;
        if (i < p.m && c + k < p.c) v = x[(long long)i * p.c + c + k] ^ (p.x_signed ? 0 : 0x80);
        word |= (unsigned)(v & 0xff) << 8 * k;
    }
    return (int)word;
}

struct sums {
    int product[EACH][EACH], row[EACH], column[EACH];
};

static __device__ __forceinline__ void add_words(struct sums &s, const int (*xs)[STEP + 1], const int (*ws)[STEP + 1])
{
#pragma unroll
    for (int c = 0; c < STEP; c++) {
        int a[EACH], b[EACH];
#pragma unroll
        for (int i = 0; i < EACH; i++) {
            a[i] = xs[threadIdx.y + i * SIDE][c], b[i] = ws[threadIdx.x + i * SIDE][c];
            s.row[i] = dot4(a[i], ONES, s.row[i]), s.column[i] = dot4(b[i], ONES, s.column[i]);
        }
#pragma unroll
        for (int i = 0; i < EACH; i++)
#pragma unroll
            for (int j = 0; j < EACH; j++) s.product[i][j] = dot4(a[i], b[j], s.product[i][j]);
    }
}

// Computes the sums of a tile of one product, over all its bytes.
static __device__ __forceinline__ struct sums sums_of(const struct gpu_bytes &p, const window_divisors &by,
                                                      const uint8_t *xb, const uint8_t *wb, const uint8_t *x_zero,
                                                      const uint8_t *w_zero, int first_row, int i0, int j0,
                                                      int (*xs)[STEP + 1], int (*ws)[STEP + 1])
{
    const int t = (int)(threadIdx.y * SIDE + threadIdx.x);
    struct sums s = {};
    for (int c0 = 0; c0 < p.c; c0 += 4 * STEP) {
        for (int k = t; k < TILE * STEP; k += SIDE * SIDE) {
            const int i = k / STEP, c = k % STEP; // neighbouring threads read words of the same row
            xs[i][c] = row_word(p, xb, i0 + i, c0 + 4 * c,
                                zero_of(x_zero, p.x_zeros, first_row + (i0 + i < p.m ? i0 + i : 0), p.x_signed));
            const int j = k % TILE, d = k / TILE; // neighbouring threads read columns of the same row
            ws[j][d] = column_word(p, by, wb, c0 + 4 * d, j0 + j,
                                   zero_of(w_zero, p.w_zeros, j0 + j < p.k ? j0 + j : 0, p.w_signed));
        }
        __syncthreads();
        add_words(s, xs, ws);
        __syncthreads();
    }
    return s;
}

// Columns lie along the grid's first axis, because the windows of a picture have millions of them.
static __global__ void __launch_bounds__(SIDE *SIDE, 2)
    bytes(const struct gpu_bytes p, const window_divisors by, const uint8_t *x, const uint8_t *w, const uint8_t *x_zero,
          const uint8_t *w_zero, int32_t *y, unsigned tiles_m)
{
    __shared__ int xs[TILE][STEP + 1], ws[TILE][STEP + 1];
    const int j0 = (int)blockIdx.x * TILE;
    // Including the part beyond the end.
    const unsigned length = (unsigned)((p.c + 4 * STEP - 1) / (4 * STEP) * (4 * STEP));
    for (int b = (int)blockIdx.z; b < p.batches; b += (int)gridDim.z) {
        const int bx = b % p.x_count, bw = b % p.w_count;
        const uint8_t *xb = x + (long long)bx * p.m * p.c;
        const long long picture = (long long)(p.c / (p.at.r * p.at.s)) * p.at.h * p.at.w;
        const uint8_t *wb = w + bw * (p.windows ? picture : (long long)p.c * p.k);
        for (unsigned tile = blockIdx.y; tile < tiles_m; tile += gridDim.y) {
            const int i0 = (int)tile * TILE;
            const struct sums s = sums_of(p, by, xb, wb, x_zero, w_zero, bx * p.m, i0, j0, xs, ws);
#pragma unroll
            for (int i = 0; i < EACH; i++)
#pragma unroll
                for (int j = 0; j < EACH; j++) {
                    const int row = i0 + (int)threadIdx.y + i * SIDE, column = j0 + (int)threadIdx.x + j * SIDE;
                    if (row >= p.m || column >= p.k) continue;
                    const unsigned zx = (unsigned)zero_of(x_zero, p.x_zeros, bx * p.m + row, p.x_signed);
                    const unsigned zw = (unsigned)zero_of(w_zero, p.w_zeros, column, p.w_signed);
                    const unsigned v = (unsigned)s.product[i][j] - zw * (unsigned)s.row[i] - zx * (unsigned)s.column[j];
                    y[((long long)b * p.m + row) * p.k + column] = (int32_t)(v + length * zx * zw);
                }
        }
    }
}

extern "C" int gpu_bytes(const struct gpu_bytes *p, const void *x, const void *w, const void *x_zero,
                         const void *w_zero, int32_t *y, void *stream)
{
    struct gpu_bytes q = *p;
    if (!q.windows) q.at = {1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 1, 1};
    const window_divisors by = {gpu_divisor_of((unsigned)q.at.r), gpu_divisor_of((unsigned)q.at.s),
                                gpu_divisor_of((unsigned)q.at.q)};
    const unsigned tiles_m = gpu_blocks(q.m, TILE);
    const dim3 grid(gpu_blocks(q.k, TILE), tiles_m < GPU_GRID_MOST ? tiles_m : GPU_GRID_MOST,
                    (unsigned)(q.batches < GPU_GRID_MOST ? q.batches : GPU_GRID_MOST));
    if (!grid.x || !grid.y || !grid.z) return cudaSuccess;
    REEL_LAUNCH(bytes, grid, dim3(SIDE, SIDE), 0, stream, q, by, (const uint8_t *)x, (const uint8_t *)w,
                (const uint8_t *)x_zero, (const uint8_t *)w_zero, y, tiles_m);
    return cudaGetLastError();
}

// ---- steps that the data decide ---------------------------------------------------------

static __global__ void byte_scale(const float *low, const float *high, float *scale, uint8_t *zero)
{
    const float lo = fminf(low[0], 0.0f), hi = fmaxf(high[0], 0.0f);
    const float s = lo == hi ? 1.0f : (hi - lo) / 255.0f;
    *scale = s;
    *zero = (uint8_t)(int)rintf(fminf(fmaxf(0.0f - lo / s, 0.0f), 255.0f));
}

extern "C" int gpu_byte_scale(const float *low, const float *high, float *scale, uint8_t *zero, void *stream)
{
    REEL_LAUNCH(byte_scale, 1, 1, 0, stream, low, high, scale, zero);
    return cudaGetLastError();
}

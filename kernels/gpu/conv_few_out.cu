// SPDX-License-Identifier: MIT
//
// Convolutions to few output channels on tensor cores: the last layer of denoisers
// and upscalers (64 -> 3, 3x3). gpu_conv() comes here where gpu_conv_way_of() says so; the
// twin is gpu_conv_ref().
//
// As a matrix product over all taps and channels 3 results would fill 3 of 8 columns,
// and each input value would be read for every tap. Here every input pixel is multiplied
// once, straight from global memory, with the weights of all taps and results:
// P[tap, result][pixel] = sum over c of x[pixel][c] w[result][tap][c], 27 columns for
// 3x3 and 3 results; a result is then the sum of its taps' P at shifted pixels. A block
// takes a strip of GPU_FEW_OUT_W columns of x and goes down its rows, two at a time,
// keeping the last rows' P in shared memory: only two columns a strip, and the rows
// where strips are cut, are multiplied twice.
//
// The channels of the product's sum are permuted so that a thread's fragments are 16
// contiguous bytes of x, and of w. P lies by columns, GPU_FEW_OUT_PITCH floats apart:
// the 4 threads of a pixel write columns 2 apart, 152 = 24 (mod 32) banks from each
// other, and 8 pixels lie side by side, so that a warp's store meets every bank once;
// reads are of pixels side by side. A result's sum over c is the instruction's, that over
// taps goes by rows, then columns: its bytes do not depend on strip, row or image.
#include "kernels/gpu/conv_few.cuh"
#include "kernels/gpu/conv_way.h"
#include "kernels/gpu/mma.cuh"

#define THREADS 128 // four warps: two rows of two times 32 pixels each
// Blocks that run on a multiprocessor at once, so that a thread may use 128 registers; the largest kernels
// need 168.
#define RESIDENT(nt) ((nt) > 4 ? 3 : 4)
#define PIXELS 4 // pixels of a thread, 8 apart in one row

struct few_out_sizes {
    struct gpu_few_out g;
    gpu_divisor lanes;
    unsigned strips, cuts; // number of strips side by side, and one below the other
    int strip_rows;        // rows of results in a strip
};

// A thread's part of CHUNKS * 16 channels: words 2i and 2i + 1 belong to chunk i.
template <int CHUNKS> struct few_out_part {
    uint32_t word[PIXELS][2 * CHUNKS];
};

// Words that one load brings: 16 bytes, or 8 if there is only one chunk.
#define LOAD(chunks) ((chunks) > 1 ? 4 : 2)

// Loads pixels `at`, at + 8 * pitch, ..., whose bit is set in `inside`; the others become zeros.
template <int CHUNKS>
static __device__ __forceinline__ few_out_part<CHUNKS> load_part(const uint16_t *at, int pitch, unsigned inside)
{
    constexpr int L = LOAD(CHUNKS);
    few_out_part<CHUNKS> part;
#pragma unroll
    for (int j = 0; j < PIXELS; j++)
#pragma unroll
        for (int i = 0; i < 2 * CHUNKS; i += L) {
            gpu_vec<uint32_t, L> v = {};
            if (inside >> j & 1) v = *(const gpu_vec<uint32_t, L> *)(at + 8ll * j * pitch + i * 8);
#pragma unroll
            for (int k = 0; k < L; k++) part.word[j][i + k] = v.v[k];
        }
    return part;
}

// The weights in the order of the products' columns: (load, tile, lane).
template <int NT, int CHUNKS>
static __device__ __forceinline__ void load_weights(const struct gpu_conv &p, const struct gpu_few_out &g,
                                                    const uint16_t *w, uint32_t *ws)
{
    constexpr int L = LOAD(CHUNKS);
    const int loads = g.weight_bytes / (4 * L), taps = p.r * p.s;
    for (int i = (int)threadIdx.x; i < loads; i += THREADS) {
        const int lane = i % 32, j = i / 32 % NT, load = i / 32 / NT;
        const int column = 8 * j + lane / 4, tap = column / p.k, k = column % p.k;
        gpu_vec<uint32_t, L> v = {};
        if (column < g.products)
            v = *(const gpu_vec<uint32_t, L> *)(w + ((long long)k * taps + tap) * p.c + load * (8 * L) +
                                                lane % 4 * (2 * L));
        *(gpu_vec<uint32_t, L> *)(ws + i * L) = v;
    }
}

template <typename T, int NT, int CHUNKS>
static __device__ __forceinline__ void multiply(const few_out_part<CHUNKS> &part, const uint32_t *ws,
                                                float acc[2][NT][4])
{
    constexpr int L = LOAD(CHUNKS);
#pragma unroll
    for (int i = 0; i < 2 * CHUNKS; i += L)
#pragma unroll
        for (int j = 0; j < NT; j++) {
            const gpu_vec<uint32_t, L> b =
                *(const gpu_vec<uint32_t, L> *)(ws + ((i / L * NT + j) * 32 + (int)threadIdx.x % 32) * L);
#pragma unroll
            for (int k = 0; k < L; k += 2)
#pragma unroll
                for (int m = 0; m < 2; m++) {
                    const uint32_t a[4] = {part.word[2 * m][i + k], part.word[2 * m + 1][i + k],
                                           part.word[2 * m][i + k + 1], part.word[2 * m + 1][i + k + 1]};
                    gpu_mma<T>(a, b.v[k], b.v[k + 1], acc[m][j][0], acc[m][j][1], acc[m][j][2], acc[m][j][3]);
                }
        }
}

// slot: the columns of a row; x: of the thread's first pixel.
template <int NT>
static __device__ __forceinline__ void keep_products(int products, const float acc[2][NT][4], float *slot, int x)
{
    const int t = (int)threadIdx.x % 4;
#pragma unroll
    for (int j = 0; j < NT; j++)
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const int column = 8 * j + 2 * t + i % 2;
            if (column >= products) continue;
#pragma unroll
            for (int m = 0; m < 2; m++) slot[column * GPU_FEW_OUT_PITCH + x + 16 * m + i / 2 * 8] = acc[m][j][i];
        }
}

// A strip of results: rows x columns, beginning at (y0,x0).
struct few_out_strip {
    long long image;
    int y0, x0, rows, columns;
};

// Computes row `row` of the strip. The rows of x from `row` on are kept, each in its slot.
template <typename T>
static __device__ __forceinline__ void sum_taps(const struct gpu_conv &p, const struct few_out_sizes &z,
                                                const struct gpu_pointers &operand, const few_out_strip &strip, int row,
                                                int begin, const float *kept, T *y)
{
    const int count = strip.columns * p.y_lanes, row_floats = z.g.products * GPU_FEW_OUT_PITCH;
    const long long first = (strip.image * p.p + strip.y0 + row) * p.q + strip.x0;
    for (int i = begin; i < count; i += THREADS / GPU_FEW_OUT_ROWS) {
        const int x = (int)gpu_quotient((unsigned)i, z.lanes), k = i - x * p.y_lanes;
        float v = 0;
        if (k < p.k) {
            int slot = row % z.g.slots, iy = strip.y0 + row - p.pad_top;
            for (int r = 0; r < p.r; r++, iy++) {
                const float *from = kept + slot * row_floats + (r * p.s * p.k + k) * GPU_FEW_OUT_PITCH + x;
                if (++slot == z.g.slots) slot = 0;
                if (iy < 0 || iy >= p.h) continue;
                for (int s = 0; s < p.s; s++, from += p.k * GPU_FEW_OUT_PITCH + 1) v += *from;
            }
            gpu_chain_apply<T, 1>(p.chain, 0, operand, &v, strip.image, first + x, k, p.y_pitch);
        }
        gpu_store(&y[(first + x) * p.y_pitch + k], v);
    }
}

static __device__ __forceinline__ few_out_strip strip_of(const struct gpu_conv &p, const struct few_out_sizes &z)
{
    const int columns = GPU_FEW_OUT_W - (p.s - 1);
    const unsigned above = blockIdx.x / z.strips;
    few_out_strip s;
    s.x0 = (int)(blockIdx.x % z.strips) * columns;
    s.y0 = (int)(above % z.cuts) * z.strip_rows;
    s.image = above / z.cuts;
    s.columns = min(columns, p.q - s.x0);
    s.rows = min(z.strip_rows, p.p - s.y0);
    return s;
}

template <typename T, int NT, int CHUNKS>
static __global__ void __launch_bounds__(THREADS, RESIDENT(NT))
    conv_few_out(const struct gpu_conv p, const struct few_out_sizes z, const T *x, const T *w,
                 const struct gpu_pointers operand, T *y)
{
#if GPU_HAS_MMA
    REEL_SHARED(uint32_t, ws);
    float *const kept = (float *)(ws + z.g.weight_bytes / 4);
    const few_out_strip strip = strip_of(p, z);
    const int lane = (int)threadIdx.x % 32, my_row = (int)threadIdx.x / 64, half = (int)threadIdx.x / 32 % 2;
    const int px = half * 32 + lane / 4, ix = strip.x0 - p.pad_left + px, iy0 = strip.y0 - p.pad_top;
    const int rows = strip.rows + p.r - 1; // rows of x
    unsigned inside = 0;
#pragma unroll
    for (int j = 0; j < PIXELS; j++) inside |= (unsigned)(ix + 8 * j >= 0 && ix + 8 * j < p.w) << j;
    // the thread's channels of its first pixel, in the first row of the strip
    const uint16_t *const at =
        (const uint16_t *)x + ((strip.image * p.h + iy0) * p.w + ix) * p.x_pitch + lane % 4 * (2 * LOAD(CHUNKS));
    const long long row_step = (long long)p.w * p.x_pitch;
    bool there = my_row < rows && iy0 + my_row >= 0 && iy0 + my_row < p.h;
    few_out_part<CHUNKS> part = load_part<CHUNKS>(at + my_row * row_step, p.x_pitch, there ? inside : 0);
    load_weights<NT, CHUNKS>(p, z.g, (const uint16_t *)w, ws);
    __syncthreads();
    for (int base = 0; base < rows; base += GPU_FEW_OUT_ROWS) {
        const int row = base + my_row, next = row + GPU_FEW_OUT_ROWS;
        if (there) {
            float acc[2][NT][4] = {};
            const uint32_t *b = ws;
            multiply<T, NT, CHUNKS>(part, b, acc);
            for (int c = 16 * CHUNKS; c < p.c; c += 16 * CHUNKS) {
                part = load_part<CHUNKS>(at + row * row_step + c, p.x_pitch, inside);
                multiply<T, NT, CHUNKS>(part, b += CHUNKS * NT * 64, acc);
            }
            keep_products<NT>(z.g.products, acc, kept + row % z.g.slots * (z.g.products * GPU_FEW_OUT_PITCH), px);
        }
        // these loads are under way while this row's results are summed
        there = next < rows && iy0 + next >= 0 && iy0 + next < p.h;
        part = load_part<CHUNKS>(at + next * row_step, p.x_pitch, there ? inside : 0);
        __syncthreads();
        const int done = row - (p.r - 1); // the row whose last row of x this one is
        if (done >= 0 && done < strip.rows) sum_taps(p, z, operand, strip, done, (int)threadIdx.x % 64, kept, y);
        __syncthreads();
    }
#endif
}

// ---- launching -----------------------------------------------------------------------------

template <typename T, int NT, int CHUNKS>
static int launch(const struct gpu_conv *p, const struct few_out_sizes *z, const T *x, const T *w,
                  const struct gpu_pointers &operand, T *y, void *stream)
{
    if (z->g.bytes > GPU_SHARED_MOST) {
        const int error =
            cudaFuncSetAttribute(conv_few_out<T, NT, CHUNKS>, cudaFuncAttributeMaxDynamicSharedMemorySize, z->g.bytes);
        if (error) return error;
    }
    REEL_LAUNCH((conv_few_out<T, NT, CHUNKS>), (unsigned)p->n * z->cuts * z->strips, THREADS, (size_t)z->g.bytes,
                stream, *p, *z, x, w, operand, y);
    return cudaGetLastError();
}

template <typename T, int NT>
static int by_chunks(const struct gpu_conv *p, const struct few_out_sizes *z, const T *x, const T *w,
                     const struct gpu_pointers &operand, T *y, void *stream)
{
    if (z->g.chunks == 4) return launch<T, NT, 4>(p, z, x, w, operand, y, stream);
    if (z->g.chunks == 2) return launch<T, NT, 2>(p, z, x, w, operand, y, stream);
    return launch<T, NT, 1>(p, z, x, w, operand, y, stream);
}

template <typename T>
static int by_tiles(const struct gpu_conv *p, const struct few_out_sizes *z, const T *x, const T *w,
                    const struct gpu_pointers &operand, T *y, void *stream)
{
    if (z->g.tiles == 8) return by_chunks<T, 8>(p, z, x, w, operand, y, stream);
    if (z->g.tiles == 4) return by_chunks<T, 4>(p, z, x, w, operand, y, stream);
    return by_chunks<T, 2>(p, z, x, w, operand, y, stream);
}

// Long strips compute fewer rows twice, short ones give enough blocks for a GPU (132 multiprocessors with
// four blocks each, and another round).
static struct few_out_sizes sizes_of(const struct gpu_conv *p)
{
    struct few_out_sizes z = {};
    z.g = gpu_few_out_of(p);
    z.lanes = gpu_divisor_of((unsigned)p->y_lanes);
    z.strips = gpu_blocks(p->q, GPU_FEW_OUT_W - (p->s - 1));
    for (z.strip_rows = 64; z.strip_rows > 8; z.strip_rows /= 2)
        if ((long long)p->n * z.strips * gpu_blocks(p->p, z.strip_rows) >= 1000) break;
    z.cuts = gpu_blocks(p->p, z.strip_rows);
    return z;
}

bool gpu_conv_few_out_fits(const struct gpu_conv *p, const void *x, const void *w)
{
    const struct few_out_sizes z = sizes_of(p);
    return gpu_aligned(x, 16) && gpu_aligned(w, 16) && (long long)p->n * z.cuts * z.strips < 0x7fffffff;
}

int gpu_conv_few_out(const struct gpu_conv *p, const void *x, const void *w, const struct gpu_pointers &operand,
                     void *y, void *stream)
{
    const struct few_out_sizes z = sizes_of(p);
    if (p->elem == GPU_ELEM_F16)
        return by_tiles(p, &z, (const __half *)x, (const __half *)w, operand, (__half *)y, stream);
    return by_tiles(p, &z, (const __nv_bfloat16 *)x, (const __nv_bfloat16 *)w, operand, (__nv_bfloat16 *)y, stream);
}

// SPDX-License-Identifier: MIT
//
// Convolutions of pictures (1 to 4 input channels, few taps) on tensor cores, with
// the epilogue in registers: the first layer of most networks. gpu_conv() comes here
// where gpu_conv_way_of() says so; the twin is gpu_conv_ref().
//
// An implicit matrix product: rows are pixels, columns results, the sum runs over
// pairs of products of a row of taps (conv_way.h). A block has the weights in
// shared memory, in the order in which the matrix instruction wants them, and goes
// over tiles of results; of each it loads the piece of x into shared memory once
// and takes fragments from there. Products that are none (an odd row's last, rows
// of taps filled up to a chunk) are masked, so that nothing but the taps of a pixel
// decides over its bytes: no neighbour, tile or image.
//
// The results of an instruction's columns are permuted so that a thread has 2 * NJ
// results of a pixel side by side and the four threads of a pixel fill whole sectors
// of memory: with 64 results two stores of 16 bytes each, 64 contiguous bytes a pixel.
//
// For 4 and 8 results half of the columns and more are zeros; still a warp needs about
// 160 instructions for 32 pixels of 5x5, 1 -> 4 channels, and 350 without the matrix
// instruction (conv_few.cu), where each of the 25 taps costs a thread a load, a
// conversion and the tests of the edge.
#include "kernels/gpu/conv_few.cuh"
#include "kernels/gpu/conv_way.h"
#include "kernels/gpu/mma.cuh"

#define THREADS 128
// Blocks that run on a multiprocessor at once, so that a thread may use 128 registers; the largest kernels
// need 168.
#define RESIDENT(chunks) ((chunks) > 2 ? 3 : 4)
// Pixels of a thread, 8 apart in one row; a warp has 32.
#define PIXELS 4

// What the kernel needs to know that follows from the geometry.
struct few_in_sizes {
    struct gpu_few_in g;
    gpu_divisor columns; // of the piece's columns
    unsigned tiles_x, tiles_y, tiles;
    bool vector;   // one load of 8 bytes reads all channels of a pixel
    unsigned wide; // bits of the operands that may be read as vectors
};

// ---- the epilogue --------------------------------------------------------------------------

// Any step of the epilogue on the channels of one pixel. It is in the code only once, because such steps
// are rare.
template <typename T, int V>
static GPU_NOINLINE __device__ void rare_step(const struct gpu_chain_step s, const struct gpu_chain_operand o,
                                              const void *operand, long long at, float *x)
{
#pragma unroll 1
    for (int k = 0; k < V; k++) {
        if (s.op >= GPU_OP_WITH_OPERAND)
            x[k] = gpu_op_unary(s.op, x[k], s.alpha, s.beta);
        else
            x[k] = gpu_op_binary(s.op, x[k], s.operand < 0 ? s.alpha : gpu_any_load(o.elem, operand, at + k));
    }
}

static __device__ __forceinline__ bool frequent(const struct gpu_chain_step &s, unsigned wide)
{
    if (s.op >= GPU_OP_WITH_OPERAND) return s.op == GPU_OP_RELU || s.op == GPU_OP_LEAKY || s.op == GPU_OP_CLIP;
    return (s.op == GPU_OP_ADD || s.op == GPU_OP_MUL || s.op == GPU_OP_PRELU) &&
           (s.operand < 0 || wide >> s.operand & 1);
}

// The operation is known at compile time, so there is one branch per pixel and none per number.
template <int OP, int V> static __device__ __forceinline__ void apply_unary(const struct gpu_chain_step &s, float *x)
{
#pragma unroll
    for (int k = 0; k < V; k++) x[k] = gpu_op_unary(OP, x[k], s.alpha, s.beta);
}

template <int OP, int V> static __device__ __forceinline__ void apply_binary(const float *v, float *x)
{
#pragma unroll
    for (int k = 0; k < V; k++) x[k] = gpu_op_binary(OP, x[k], v[k]);
}

// Applies the epilogue to V channels from c on, of the pixels pixel, pixel + 8, ..., of which the first
// `inside` exist.
template <typename T, int V>
static __device__ __forceinline__ void apply_chain(const struct gpu_conv &p, const struct gpu_pointers &operand,
                                                   unsigned wide, long long image, long long pixel, int inside, int c,
                                                   float x[PIXELS][V])
{
    for (int i = 0; i < p.chain.n; i++) {
        const struct gpu_chain_step s = p.chain.step[i];
        const bool binary = s.op < GPU_OP_WITH_OPERAND, tensor = binary && s.operand >= 0;
        const struct gpu_chain_operand o = p.chain.operand[tensor ? s.operand : 0];
        const void *b = operand.p[tensor ? s.operand : 0];
        const bool per_pixel = tensor && !o.per_channel;
        const int pitch = o.pitch ? o.pitch : p.y_pitch;
        const long long first = per_pixel ? pixel * pitch + c : image * o.image_stride + c;
        if (!frequent(s, wide)) {
#pragma unroll
            for (int j = 0; j < PIXELS; j++) {
                if (j >= inside) continue;
                float t[V];
#pragma unroll
                for (int k = 0; k < V; k++) t[k] = x[j][k];
                rare_step<T, V>(s, o, b, first + (per_pixel ? 8ll * j * pitch : 0), t);
#pragma unroll
                for (int k = 0; k < V; k++) x[j][k] = t[k];
            }
            continue;
        }
        if (!binary) {
#pragma unroll
            for (int j = 0; j < PIXELS; j++) {
                if (s.op == GPU_OP_RELU)
                    apply_unary<GPU_OP_RELU, V>(s, x[j]);
                else if (s.op == GPU_OP_LEAKY)
                    apply_unary<GPU_OP_LEAKY, V>(s, x[j]);
                else
                    apply_unary<GPU_OP_CLIP, V>(s, x[j]);
            }
            continue;
        }
        float v[V];
#pragma unroll
        for (int k = 0; k < V; k++) v[k] = s.alpha;
        if (tensor && !per_pixel) gpu_load_vec<T, V>((const T *)b + first, v);
#pragma unroll
        for (int j = 0; j < PIXELS; j++) {
            if (per_pixel && j < inside) gpu_load_vec<T, V>((const T *)b + first + 8ll * j * pitch, v);
            if (s.op == GPU_OP_ADD)
                apply_binary<GPU_OP_ADD, V>(v, x[j]);
            else if (s.op == GPU_OP_MUL)
                apply_binary<GPU_OP_MUL, V>(v, x[j]);
            else
                apply_binary<GPU_OP_PRELU, V>(v, x[j]);
        }
    }
}

// ---- loading -------------------------------------------------------------------------------

// Register `half` of what a lane holds of the weights for a tile of 8 results. Column n of the tile is
// result 2 * NJ * (n / 2) + n % 2 of those from `first` on.
template <int NJ>
static __device__ __forceinline__ uint32_t weight_pair(const struct gpu_conv &p, const struct gpu_few_in &g,
                                                       const uint16_t *w, int first, int chunk, int lane, int half)
{
    const int n = lane / 4, k = first + 2 * NJ * (n / 2) + n % 2;
    const int pair = chunk * 8 + lane % 4 + 4 * half, r = pair / g.row_pairs, in_row = 2 * (pair % g.row_pairs);
    uint32_t word = 0;
    for (int e = 0; e < 2; e++) {
        const int s = (in_row + e) / p.c_used, c = (in_row + e) % p.c_used;
        if (k < p.k && r < p.r && s < p.s)
            word |= (uint32_t)w[(((long long)k * p.r + r) * p.s + s) * p.c + c] << 16 * e;
    }
    return word;
}

// Order of the weights: (group, chunk, tile or two tiles, lane), so that one load brings a lane's part.
template <int NJ, int CHUNKS>
static __device__ __forceinline__ void load_weights(const struct gpu_conv &p, const struct gpu_few_in &g,
                                                    const uint16_t *w, uint32_t *ws)
{
    const int words = g.groups * CHUNKS * NJ * 64;
    for (int i = (int)threadIdx.x; i < words; i += THREADS) {
        constexpr int LOAD = NJ > 1 ? 4 : 2;
        const int half = i % 2, lane = i / LOAD % 32, at = i / (LOAD * 32) * (LOAD / 2) + i % LOAD / 2;
        const int j = at % NJ, chunk = at / NJ % CHUNKS, group = at / NJ / CHUNKS;
        ws[i] = weight_pair<NJ>(p, g, w, group * 8 * NJ + 2 * j, chunk, lane, half);
    }
}

// Loads the piece of x that begins at (y0,x0); zeros beyond the picture.
static __device__ __forceinline__ void load_piece(const struct gpu_conv &p, const struct few_in_sizes &z,
                                                  const uint16_t *image, int y0, int x0, uint16_t *piece)
{
    const int count = z.g.rows * z.g.columns;
    for (int i = (int)threadIdx.x; i < count; i += THREADS) {
        const int row = (int)gpu_quotient((unsigned)i, z.columns), column = i - row * z.g.columns;
        const int y = y0 + row, x = x0 + column;
        uint16_t v[GPU_FEW_CHANNELS] = {};
        if (y >= 0 && y < p.h && x >= 0 && x < p.w) {
            const uint16_t *from = image + ((long long)y * p.w + x) * p.x_pitch;
            if (z.vector) {
                const uint2 t = *(const uint2 *)from;
                v[0] = (uint16_t)t.x, v[1] = (uint16_t)(t.x >> 16), v[2] = (uint16_t)t.y, v[3] = (uint16_t)(t.y >> 16);
            } else {
#pragma unroll
                for (int c = 0; c < GPU_FEW_CHANNELS; c++)
                    if (c < p.c_used) v[c] = from[c];
            }
        }
        int at = row * z.g.row;
        if (p.dilation_w == 1)
            at += column * p.c_used;
        else
            at += column % p.dilation_w * z.g.plane + column / p.dilation_w * p.c_used;
#pragma unroll
        for (int c = 0; c < GPU_FEW_CHANNELS; c++) {
            if (c >= p.c_used) break;
            piece[at + c] = v[c];
            if (z.g.second) piece[2 * z.g.second + 1 + at + c] = v[c];
        }
    }
}

// ---- the kernel ----------------------------------------------------------------------------

// Where a thread's four pixels begin in the piece, where its pairs lie from there (in words), and which
// number of each pair counts.
template <int CHUNKS> struct few_in_places {
    int pixel[PIXELS];
    int pair[CHUNKS][2];
    uint32_t mask[CHUNKS][2];
};

template <int CHUNKS>
static __device__ __forceinline__ few_in_places<CHUNKS> places_of(const struct gpu_conv &p, const struct gpu_few_in &g,
                                                                  int lane)
{
    few_in_places<CHUNKS> at;
#pragma unroll
    for (int j = 0; j < PIXELS; j++) {
        const int column = (lane / 4 + 8 * j) * p.stride_w;
        const int number = column % p.dilation_w * g.plane + column / p.dilation_w * p.c_used;
        at.pixel[j] = number % 2 ? (number + 1) / 2 + g.second : number / 2;
    }
#pragma unroll
    for (int i = 0; i < CHUNKS; i++)
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const int pair = i * 8 + lane % 4 + 4 * half, r = pair / g.row_pairs, k = pair % g.row_pairs;
            const bool there = r < p.r;
            at.pair[i][half] = there ? r * p.dilation_h * g.row / 2 + k : 0;
            at.mask[i][half] = !there ? 0u : 2 * k + 1 < p.s * p.c_used ? 0xffffffffu : 0xffffu;
        }
    return at;
}

template <int CHUNKS>
static __device__ __forceinline__ void load_pixels(const uint32_t *row, const few_in_places<CHUNKS> &at,
                                                   uint32_t a[2][CHUNKS][4])
{
#pragma unroll
    for (int m = 0; m < 2; m++)
#pragma unroll
        for (int i = 0; i < CHUNKS; i++)
#pragma unroll
            for (int k = 0; k < 4; k++)
                a[m][i][k] = row[at.pixel[2 * m + k % 2] + at.pair[i][k / 2]] & at.mask[i][k / 2];
}

// Computes 32 pixels by 8 * NJ results.
template <typename T, int NJ, int CHUNKS>
static __device__ __forceinline__ void multiply(const uint32_t a[2][CHUNKS][4], const uint32_t *ws,
                                                float acc[PIXELS][2 * NJ])
{
    constexpr int LOAD = NJ > 1 ? 4 : 2;
#pragma unroll
    for (int i = 0; i < CHUNKS; i++)
#pragma unroll
        for (int j = 0; j < NJ; j += LOAD / 2) {
            const gpu_vec<uint32_t, LOAD> b =
                *(const gpu_vec<uint32_t, LOAD> *)(ws + (i * NJ + j) * 64 + (int)threadIdx.x % 32 * LOAD);
#pragma unroll
            for (int m = 0; m < 2; m++)
#pragma unroll
                for (int d = 0; d < LOAD / 2; d++)
                    gpu_mma<T>(a[m][i], b.v[2 * d], b.v[2 * d + 1], acc[2 * m][2 * (j + d)],
                               acc[2 * m][2 * (j + d) + 1], acc[2 * m + 1][2 * (j + d)],
                               acc[2 * m + 1][2 * (j + d) + 1]);
        }
}

// Writes the results of a row of 32 pixels, the first of which is x0.
template <typename T, int NJ, int CHUNKS>
static __device__ __forceinline__ void compute_row(const struct gpu_conv &p, const struct few_in_sizes &z,
                                                   const struct gpu_pointers &operand, const uint32_t *ws,
                                                   const uint32_t *row, const few_in_places<CHUNKS> &at,
                                                   long long image, int y, int x0, T *out)
{
    constexpr int V = 2 * NJ;
    const int lane = (int)threadIdx.x % 32, x = x0 + lane / 4;
    const long long pixel = (image * p.p + y) * p.q + x;
    const int inside = x < p.q ? (p.q - x + 7) / 8 : 0;
    uint32_t a[2][CHUNKS][4];
    load_pixels<CHUNKS>(row, at, a);
    for (int group = 0; group < z.g.groups; group++) {
        float acc[PIXELS][V];
#pragma unroll
        for (int j = 0; j < PIXELS; j++)
#pragma unroll
            for (int k = 0; k < V; k++) acc[j][k] = 0;
        multiply<T, NJ, CHUNKS>(a, ws + group * CHUNKS * NJ * 64, acc);
        const int k0 = group * 8 * NJ + lane % 4 * V;
        if (k0 >= p.y_lanes) continue;
        apply_chain<T, V>(p, operand, z.wide, image, pixel, inside, k0, acc);
#pragma unroll
        for (int j = 0; j < PIXELS; j++) {
            if (j >= inside) continue;
            if (p.k < p.y_lanes)
#pragma unroll
                for (int k = 0; k < V; k++)
                    if (k0 + k >= p.k) acc[j][k] = 0;
            gpu_store_vec<T, V>(out + (pixel + 8 * j) * p.y_pitch + k0, acc[j]);
        }
    }
}

template <typename T, int NJ, int CHUNKS>
static __global__ void __launch_bounds__(THREADS, RESIDENT(CHUNKS))
    conv_few_in(const struct gpu_conv p, const struct few_in_sizes z, const T *x, const T *w,
                const struct gpu_pointers operand, T *y)
{
#if GPU_HAS_MMA
    REEL_SHARED(uint32_t, ws);
    uint32_t *piece = ws + z.g.weight_bytes / 4;
    load_weights<NJ, CHUNKS>(p, z.g, (const uint16_t *)w, ws);
    const few_in_places<CHUNKS> at = places_of<CHUNKS>(p, z.g, (int)threadIdx.x % 32);
    for (unsigned tile = blockIdx.x; tile < z.tiles; tile += gridDim.x) {
        const unsigned above = tile / z.tiles_x;
        const int x0 = (int)(tile % z.tiles_x) * GPU_FEW_IN_W, y0 = (int)(above % z.tiles_y) * GPU_FEW_IN_H;
        const long long image = above / z.tiles_y;
        load_piece(p, z, (const uint16_t *)x + image * p.h * p.w * p.x_pitch, y0 * p.stride_h - p.pad_top,
                   x0 * p.stride_w - p.pad_left, (uint16_t *)piece);
        __syncthreads();
        for (int row = (int)threadIdx.x / 32; row < GPU_FEW_IN_H && y0 + row < p.p; row += THREADS / 32)
            compute_row<T, NJ, CHUNKS>(p, z, operand, ws, piece + row * p.stride_h * (z.g.row / 2), at, image, y0 + row,
                                       x0, y);
        __syncthreads();
    }
#endif
}

// ---- launching -----------------------------------------------------------------------------

template <typename T, int NJ, int CHUNKS>
static int launch(const struct gpu_conv *p, struct few_in_sizes *z, const T *x, const T *w,
                  const struct gpu_pointers &operand, T *y, void *stream)
{
    z->wide = gpu_wide_operands<T, 2 * NJ>(&p->chain, &operand, p->y_pitch);
    REEL_LAUNCH((conv_few_in<T, NJ, CHUNKS>), gpu_resident_blocks(z->tiles, RESIDENT(CHUNKS)), THREADS,
                (size_t)z->g.bytes, stream, *p, *z, x, w, operand, y);
    return cudaGetLastError();
}

template <typename T, int NJ>
static int by_chunks(const struct gpu_conv *p, struct few_in_sizes *z, const T *x, const T *w,
                     const struct gpu_pointers &operand, T *y, void *stream)
{
    switch (z->g.chunks) {
    case 1:
        return launch<T, NJ, 1>(p, z, x, w, operand, y, stream);
    case 2:
        return launch<T, NJ, 2>(p, z, x, w, operand, y, stream);
    case 3:
        return launch<T, NJ, 3>(p, z, x, w, operand, y, stream);
    default:
        return launch<T, NJ, 4>(p, z, x, w, operand, y, stream);
    }
}

template <typename T>
static int by_tiles(const struct gpu_conv *p, struct few_in_sizes *z, const T *x, const T *w,
                    const struct gpu_pointers &operand, T *y, void *stream)
{
    if (z->g.tiles == 4) return by_chunks<T, 4>(p, z, x, w, operand, y, stream);
    if (z->g.tiles == 2) return by_chunks<T, 2>(p, z, x, w, operand, y, stream);
    return by_chunks<T, 1>(p, z, x, w, operand, y, stream);
}

static struct few_in_sizes sizes_of(const struct gpu_conv *p, const void *x)
{
    struct few_in_sizes z = {};
    z.g = gpu_few_in_of(p);
    z.columns = gpu_divisor_of((unsigned)z.g.columns);
    z.tiles_x = gpu_blocks(p->q, GPU_FEW_IN_W);
    z.tiles_y = gpu_blocks(p->p, GPU_FEW_IN_H);
    z.tiles = (unsigned)p->n * z.tiles_y * z.tiles_x;
    z.vector = p->x_pitch % 4 == 0 && gpu_aligned(x, 8);
    return z;
}

bool gpu_conv_few_in_fits(const struct gpu_conv *p, const void *y)
{
    const size_t vector = 2 * (size_t)gpu_few_in_of(p).tiles;
    return gpu_aligned(y, vector * 2) &&
           (long long)p->n * gpu_blocks(p->p, GPU_FEW_IN_H) * gpu_blocks(p->q, GPU_FEW_IN_W) < 0x7fffffff;
}

int gpu_conv_few_in(const struct gpu_conv *p, const void *x, const void *w, const struct gpu_pointers &operand, void *y,
                    void *stream)
{
    struct few_in_sizes z = sizes_of(p, x);
    if (p->elem == GPU_ELEM_F16)
        return by_tiles(p, &z, (const __half *)x, (const __half *)w, operand, (__half *)y, stream);
    return by_tiles(p, &z, (const __nv_bfloat16 *)x, (const __nv_bfloat16 *)w, operand, (__nv_bfloat16 *)y, stream);
}

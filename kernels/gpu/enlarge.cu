// SPDX-License-Identifier: MIT
//
// Depth to space and the sum behind it, recognised by its strides: see
// enlarge.h. A thread takes one pixel of x, whose R * R * C channels are
// the R x R pixels of y below it: it reads them as vectors, joins them with the
// operand, and leaves R rows of R * C elements in shared memory; from there the
// block writes R runs of memory, neighbouring threads neighbouring vectors.
#include "kernels/gpu/chain.cuh"
#include "kernels/gpu/enlarge.h"

#define PIXELS 128 // pixels of a block, neighbours in a row of x
// Least number of blocks that run on a multiprocessor at once, so that a thread may use 96 registers, which are enough.
#define BLOCKS 5

// Strides are in elements, between pixels of x unless said otherwise.
struct form {
    int factor, channels;
    bool crd; // how the channels of x are sorted: CRD or DCR
    int w, rows, images;
    long long x_pixel, x_row, x_image;
    long long y_fine, y_row, y_image;        // y_fine: between rows of y
    long long o_pixel, o_row, o_image;       // of the operand
    long long o_fine_row, o_fine, o_channel; // of the operand, between pixels of y; 0: it is enlarged
    int load_bytes, store_bytes;             // bytes of one access; load_bytes 0: one element
    bool joined, product;                    // joined with an operand; by a product, otherwise by a sum
    float x_sign, o_sign;                    // signs of the sum's terms
};

// The channel of x that becomes element i of row r.
template <int R, int C, bool CRD> static __device__ __forceinline__ constexpr int channel_of(int r, int i)
{
    return CRD ? i % C * R * R + r * R + i / C : r * R * C + i;
}

template <typename T, int V, int N> static __device__ __forceinline__ void load_vectors(const T *p, T *out)
{
#pragma unroll
    for (int i = 0; i < (N + V - 1) / V; i++) {
        const gpu_vec<T, V> v = ((const gpu_vec<T, V> *)p)[i];
#pragma unroll
        for (int k = 0; k < V; k++) out[i * V + k] = v.v[k];
    }
}

// Writes the block's rows of `have` elements from the tile to y, `per` elements a row.
template <typename A, typename T, int R, int PER>
static __device__ __forceinline__ void store_rows(const T *tile, int have, T *y, long long fine)
{
    constexpr int EACH = (int)(sizeof(A) / sizeof(T)), ROW = PER / EACH;
    for (int i = (int)threadIdx.x; i < R * ROW; i += PIXELS) {
        const int r = i / ROW, k = i % ROW;
        if (k * EACH < have) ((A *)(y + r * fine))[k] = ((const A *)tile)[i];
    }
}

// Element i of row r of the operand, for a pixel.
template <typename T, int C>
static __device__ __forceinline__ float operand_at(const struct form &f, const T *pixel, int r, int i)
{
    return gpu_load(&pixel[r * f.o_fine_row + i / C * f.o_fine + i % C * f.o_channel]);
}

template <typename T, int R, int C, bool CRD>
static __device__ __forceinline__ void enlarge_pixel(const struct form &f, const T *x, const T *o, T *tile)
{
    constexpr int N = R * R * C, RUN = R * C, WIDE = 16 / (int)sizeof(T);
    // in shared memory, vectors of the largest size that a run consists of
    constexpr int MOST = RUN % 8 == 0 ? 8 : RUN % 4 == 0 ? 4 : RUN % 2 == 0 ? 2 : 1, STEP = MOST < WIDE ? MOST : WIDE;
    T in[(N + WIDE - 1) / WIDE * WIDE];
    float same[C] = {};
    if (f.load_bytes == 16)
        load_vectors<T, WIDE, N>(x, in);
    else if (f.load_bytes == 8)
        load_vectors<T, WIDE / 2, N>(x, in);
    else
        load_vectors<T, 1, N>(x, in);
    const bool enlarged = !f.o_fine && !f.o_fine_row;
    if (f.joined && enlarged)
#pragma unroll
        for (int c = 0; c < C; c++) same[c] = gpu_load(&o[c * f.o_channel]);
#pragma unroll
    for (int r = 0; r < R; r++) {
        float v[RUN];
#pragma unroll
        for (int i = 0; i < RUN; i++) v[i] = gpu_load(&in[channel_of<R, C, CRD>(r, i)]);
        if (f.joined) {
            float b[RUN];
#pragma unroll
            for (int i = 0; i < RUN; i++) b[i] = enlarged ? same[i % C] : operand_at<T, C>(f, o, r, i);
#pragma unroll
            for (int i = 0; i < RUN; i++) v[i] = f.product ? v[i] * b[i] : f.x_sign * v[i] + f.o_sign * b[i];
        }
#pragma unroll
        for (int i = 0; i < RUN; i += STEP) gpu_store_vec<T, STEP>(tile + r * PIXELS * RUN + i, v + i);
    }
}

template <typename T, int R, int C, bool CRD>
static __global__ void __launch_bounds__(PIXELS, BLOCKS) enlarge(const struct form f, const T *x, const T *o, T *y)
{
    constexpr int RUN = R * C, PER = PIXELS * RUN;
    __shared__ __align__(16) unsigned char shared[R * PER * sizeof(T)];
    T *tile = (T *)shared;
    const int first = (int)blockIdx.x * PIXELS, at = first + (int)threadIdx.x;
    const int have = (f.w - first < PIXELS ? f.w - first : PIXELS) * RUN;
    for (int image = (int)blockIdx.z; image < f.images; image += (int)gridDim.z)
        for (int row = (int)blockIdx.y; row < f.rows; row += (int)gridDim.y) {
            if (at < f.w)
                enlarge_pixel<T, R, C, CRD>(f, x + image * f.x_image + row * f.x_row + at * f.x_pixel,
                                            f.joined ? o + image * f.o_image + row * f.o_row + at * f.o_pixel : o,
                                            tile + threadIdx.x * RUN);
            __syncthreads();
            T *to = y + image * f.y_image + row * f.y_row + (long long)first * RUN;
            if (f.store_bytes == 16)
                store_rows<uint4, T, R, PER>(tile, have, to, f.y_fine);
            else if (f.store_bytes == 8)
                store_rows<uint2, T, R, PER>(tile, have, to, f.y_fine);
            else if (f.store_bytes == 4)
                store_rows<unsigned, T, R, PER>(tile, have, to, f.y_fine);
            else
                store_rows<T, T, R, PER>(tile, have, to, f.y_fine);
            __syncthreads();
        }
}

// ---- recognising ---------------------------------------------------------------------

// Names of the last dimensions of a step: rows of x, rows of y in them, pixels of x, pixels of y in them,
// channels.
enum { ROW, FINE_ROW, PIXEL, FINE, CHANNEL, NAMED };

// Strides of one tensor under these names. `one`: FINE and CHANNEL are one dimension.
static void name_strides(const struct gpu_elementwise *p, const int64_t *stride, bool one, int channels,
                         long long *out_image, long long *named)
{
    const int last = p->n_dims - 1, fine_row = last - (one ? 2 : 3);
    named[CHANNEL] = stride[last];
    named[FINE] = one ? stride[last] * channels : stride[last - 1];
    named[PIXEL] = stride[fine_row + 1];
    named[FINE_ROW] = stride[fine_row];
    named[ROW] = fine_row > 0 ? stride[fine_row - 1] : 0;
    *out_image = fine_row > 1 ? stride[fine_row - 2] : 0;
}

// Whether x holds the R x R x C channels of every pixel side by side.
static bool deep(struct form *f, const long long *s)
{
    const int r = f->factor, c = f->channels;
    f->crd = s[CHANNEL] == r * r && s[FINE] == 1 && s[FINE_ROW] == r;
    return f->crd || ((s[CHANNEL] == 1 || c == 1) && s[FINE] == c && s[FINE_ROW] == r * c);
}

static bool extents(const struct gpu_elementwise *p, bool one, struct form *f)
{
    const int last = p->n_dims - 1, fine_row = last - (one ? 2 : 3);
    if (fine_row < 0 || fine_row > 2 || p->last != p->extent[last]) return false;
    f->factor = p->extent[fine_row];
    f->channels = one ? p->extent[last] / (f->factor ? f->factor : 1) : p->extent[last];
    f->w = p->extent[fine_row + 1];
    f->rows = fine_row > 0 ? p->extent[fine_row - 1] : 1;
    f->images = fine_row > 1 ? p->extent[fine_row - 2] : 1;
    return one ? f->factor * f->channels == p->extent[last] : f->factor == p->extent[last - 1];
}

// How x and the operand are joined. `swapped`: the step's x is the operand here.
static bool joint(const struct gpu_chain *c, int elem, bool swapped, struct form *f)
{
    f->x_sign = f->o_sign = 1;
    if (!c->n) return !swapped;
    const int op = c->step[0].op;
    if (c->n != 1 || c->n_operands != 1 || c->step[0].operand != 0 || c->operand[0].elem != elem) return false;
    if (op != GPU_OP_ADD && op != GPU_OP_SUB && op != GPU_OP_RSUB && op != GPU_OP_MUL) return false;
    f->joined = true;
    f->product = op == GPU_OP_MUL;
    if (op == (swapped ? GPU_OP_RSUB : GPU_OP_SUB)) f->o_sign = -1;
    if (op == (swapped ? GPU_OP_SUB : GPU_OP_RSUB)) f->x_sign = -1;
    return true;
}

// Reads the step, with x and operand in the roles that are told; `one` as above.
static bool recognise(const struct gpu_elementwise *p, bool swapped, bool one, struct form *f)
{
    *f = {};
    if (!extents(p, one, f) || f->factor < 2 || !joint(&p->chain, p->x_elem, swapped, f)) return false;
    long long x[NAMED], y[NAMED], o[NAMED];
    name_strides(p, swapped ? p->operand_stride[0] : p->x_stride, one, f->channels, &f->x_image, x);
    name_strides(p, p->y_stride, one, f->channels, &f->y_image, y);
    if (y[CHANNEL] != 1 || y[FINE] != f->channels || y[PIXEL] != f->factor * f->channels || !deep(f, x)) return false;
    f->x_pixel = x[PIXEL], f->x_row = x[ROW];
    f->y_fine = y[FINE_ROW], f->y_row = y[ROW];
    if (!f->joined) return true;
    name_strides(p, swapped ? p->x_stride : p->operand_stride[0], one, f->channels, &f->o_image, o);
    f->o_pixel = o[PIXEL], f->o_row = o[ROW];
    f->o_fine_row = o[FINE_ROW], f->o_fine = o[FINE], f->o_channel = o[CHANNEL];
    return true;
}

static bool multiples(size_t bytes, const void *base, size_t elem, const long long *stride, int n)
{
    for (int i = 0; i < n; i++)
        if ((size_t)stride[i] * elem % bytes) return false;
    return gpu_aligned(base, bytes);
}

// The widest accesses that both ends allow.
static void widths(struct form *f, size_t elem, const void *x, const void *y)
{
    const long long block = (long long)f->factor * f->factor * f->channels;
    const long long xs[] = {f->x_pixel, f->x_row, f->x_image};
    const long long ys[] = {f->y_fine, f->y_row, f->y_image, (long long)f->w * f->factor * f->channels};
    // Padding lanes may be read, but nothing beyond them.
    for (size_t bytes = 16; bytes >= 8 && !f->load_bytes; bytes /= 2) {
        const long long v = (long long)(bytes / elem), whole = (block + v - 1) / v * v;
        if (multiples(bytes, x, elem, xs, 3) && (f->x_pixel >= whole || whole == block)) f->load_bytes = (int)bytes;
    }
    f->store_bytes = 16;
    while (f->store_bytes > (int)elem && !multiples((size_t)f->store_bytes, y, elem, ys, 4)) f->store_bytes /= 2;
}

// ---- launching ------------------------------------------------------------------------

template <typename T, int R, int C, bool CRD>
static int launch(const struct form *f, const void *x, const void *o, void *y, void *stream)
{
    const dim3 grid(gpu_blocks(f->w, PIXELS), f->rows < GPU_GRID_MOST ? (unsigned)f->rows : GPU_GRID_MOST,
                    f->images < GPU_GRID_MOST ? (unsigned)f->images : GPU_GRID_MOST);
    REEL_LAUNCH((enlarge<T, R, C, CRD>), grid, PIXELS, 0, stream, *f, (const T *)x, (const T *)o, (T *)y);
    return cudaGetLastError();
}

// -1: no kernel is built for it.
template <typename T, int R>
static int launch_factor(const struct form *f, const void *x, const void *o, void *y, void *stream)
{
    if (f->channels == 1) return launch<T, R, 1, false>(f, x, o, y, stream);
    if (f->channels == 3 && f->crd) return launch<T, R, 3, true>(f, x, o, y, stream);
    if (f->channels == 3) return launch<T, R, 3, false>(f, x, o, y, stream);
    if (f->channels == 4 && f->crd && R == 2) return launch<T, 2, 4, true>(f, x, o, y, stream);
    return -1;
}

template <typename T> static int launch_form(const struct form *f, const void *x, const void *o, void *y, void *stream)
{
    if (f->factor == 2) return launch_factor<T, 2>(f, x, o, y, stream);
    if (f->factor == 3) return launch_factor<T, 3>(f, x, o, y, stream);
    if (f->factor == 4) return launch_factor<T, 4>(f, x, o, y, stream);
    return -1;
}

static int enqueue(struct form *f, int elem, const void *x, const void *o, void *y, void *stream)
{
    GPU_BY_ELEM(elem, {
        widths(f, sizeof(T), x, y);
        return launch_form<T>(f, x, o, y, stream);
    });
}

extern "C" bool gpu_enlarge(const struct gpu_elementwise *p, const void *x, const void *const *operand, void *y,
                            void *stream, int *out_error)
{
    struct form f;
    if (p->n_dims < 3 || p->x_elem != p->y_elem || p->x_elem > GPU_ELEM_BF16) return false;
    for (int d = 0; d < p->n_dims; d++)
        if (p->extent[d] < 1) return false;
    for (int way = 0; way < 4; way++) {
        const bool swapped = way & 2;
        if (!recognise(p, swapped, way & 1, &f)) continue;
        const void *o = p->chain.n ? operand[0] : NULL;
        *out_error = enqueue(&f, p->x_elem, swapped ? o : x, swapped ? x : o, y, stream);
        return *out_error != -1;
    }
    return false;
}

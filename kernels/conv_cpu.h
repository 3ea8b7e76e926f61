// SPDX-License-Identifier: MIT
//
// Convolution kernels for CPUs: direct, Winograd, depthwise and few-outputs
// convolutions, and matrix products, on float32 or, where asked for, with
// operands rounded to bfloat16. The executor's CPU backend
// prepares and calls them; they know pointers and sizes only.
//
// Layouts. "Blocked" is (N, ceil(C/V), H, W, V) with V = conv_kernels.lanes (16
// with AVX-512, else 8): the channels of one pixel lie together in vectors. The
// lanes beyond C hold anything: no kernel reads them into a result. "Plain" is
// row-major (N, C, H, W).
//
// Work is cut into units that write disjoint parts of the output, and every
// output element is summed in one fixed order, so the result does not depend on
// how units are spread over threads. It does depend on the instruction set.
//
// What it is not: no graph, no memory management beyond the packed weights that
// *_prepare allocates, no threads.
#ifndef REEL_KERNELS_CONV_CPU_H
#define REEL_KERNELS_CONV_CPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Instruction sets a table of kernels exists for.
enum cpu_isa {
    CPU_ISA_BASE,   // the compiler's default
    CPU_ISA_AVX2,   // AVX2 and FMA
    CPU_ISA_AVX512, // AVX-512 F, BW, DQ, VL
};

// ---- what follows the sum ----------------------------------------------------

enum conv_step_kind {
    CONV_ADD_FULL,  // + data at the same place as the output
    CONV_MUL_FULL,  // * likewise
    CONV_SUB_FULL,  // x - data
    CONV_RSUB_FULL, // data - x
    CONV_DIV_FULL,  // x / data
    CONV_RDIV_FULL, // data / x
    CONV_MAX_FULL,
    CONV_MIN_FULL,
    CONV_ADD_CHAN,  // + data[channel]
    CONV_MUL_CHAN,  // * data[channel]
    CONV_SUB_CHAN,  // x - data[channel]
    CONV_RSUB_CHAN, // data[channel] - x
    CONV_DIV_CHAN,  // x / data[channel]
    CONV_RDIV_CHAN, // data[channel] / x
    CONV_SLOPE,     // x < 0 ? data[channel] x : x
    CONV_RELU,
    CONV_LEAKY, // alpha
    CONV_CLIP,  // to [alpha, beta]
    CONV_SIGMOID,
    CONV_TANH,
    CONV_SILU,
    CONV_HSWISH,
    CONV_HSIGMOID, // clip(alpha x + beta, 0, 1)
    CONV_GELU_ERF,
    CONV_GELU_TANH,
    CONV_ELU, // alpha
    CONV_MISH,
    CONV_ABS,
    CONV_NEG,
    CONV_SQRT,
};

#define CONV_MAX_STEPS 6

static inline bool conv_step_full(enum conv_step_kind kind)
{
    return kind <= CONV_MIN_FULL;
}

static inline bool conv_step_chan(enum conv_step_kind kind)
{
    return kind >= CONV_ADD_CHAN && kind <= CONV_SLOPE;
}

// One step of an epilogue. data of the *_CHAN kinds and of CONV_SLOPE has the
// channel count rounded up to whole vectors, per image when chan_stride is not
// 0; data of *_FULL has the output's layout.
struct conv_step {
    enum conv_step_kind kind;
    float alpha, beta;
    const float *data;
    size_t chan_stride; // floats between images (squeeze-and-excite), or 0
};

struct conv_epilogue {
    int n;
    struct conv_step step[CONV_MAX_STEPS];
};

// ---- direct convolution --------------------------------------------------------

// One product of the inner loop: kn inputs from src_bytes on, weights from w on.
struct conv_tap {
    ptrdiff_t src_bytes;
    ptrdiff_t w; // floats
    int kn;
};

struct conv_geometry {
    int n, ic, ih, iw; // input
    int oc, oh, ow;    // output
    int kh, kw, sh, sw, dh, dw, pad_top, pad_left;
    int groups;
    bool spread; // the caller sets out_pixel and its kind in the plan
};

// CONV_METHOD_DOT computes so many output channels at a time.
#define CONV_DOT_CHANNELS 4

enum conv_method {
    CONV_METHOD_NONE,        // these kernels do not cover it
    CONV_METHOD_DIRECT,      // plain or blocked -> blocked
    CONV_METHOD_WINOGRAD,    // blocked -> blocked, 3x3, stride 1, F(4x4,3x3)
    CONV_METHOD_DEPTHWISE,   // blocked -> blocked
    CONV_METHOD_DOT,         // blocked -> plain, few output channels
    CONV_METHOD_MAX,         // blocked -> blocked: the largest under the window, no weights
    CONV_METHOD_AVERAGE,     // likewise the mean of the pixels inside the image
    CONV_METHOD_AVERAGE_ALL, // the sum divided by the window's size
    CONV_METHOD_ROWS,        // plain -> plain, few channels on both sides
};

// A prepared convolution: constant after prepare, may be run from many threads.
struct conv_plan {
    struct conv_geometry g;
    enum conv_method method;
    bool src_plain;
    bool flat; // 1x1, stride 1, no padding: the image is one long row
    bool bf16; // operands are rounded to bfloat16; packed weights are pairs of them
    int lanes;
    float *w;    // packed weights
    float *bias; // one per output channel, whole vectors
    size_t w_bytes;

    // Direct, depthwise and dot (which then leaves the epilogue to the caller):
    // where the output's pixels lie when they are spread over a larger image (a
    // phase of a transposed convolution). Set after prepare, in floats; 0: side
    // by side.
    ptrdiff_t out_begin, out_pixel, out_row;
    size_t out_plane;

    // direct and dot: for each class of columns the taps inside the image,
    // ordered by kernel row
    int n_classes;
    int *class_taps; // taps per kernel row of a class
    struct conv_tap **class_list;
    int x_begin, x_end; // columns of class 0 (all taps inside)
    int y_begin, y_end; // rows with all taps inside

    int window_columns;   // of a bf16 plan: output columns that are made at a time
    int unit_rows, units; // rows of a unit (tiles for Winograd), number of units
    int units_per_image;
    bool chunk_outer; // weights too large for the cache: units are per chunk of output channels
    int n_chunks;
    size_t scratch_bytes; // per thread
};

struct conv_kernels {
    enum cpu_isa isa;
    int lanes;
    const char *name; // "avx512", "avx2", "base", "avx512 bf16"...
    // The method the measured rule picks for a source in that layout.
    enum conv_method (*choose)(const struct conv_geometry *g, bool src_plain);
    // Packs weights (O,I/groups,KH,KW) and bias (may be NULL). Pooling takes
    // neither; its groups are the channels. False when out
    // of memory. conv_plan_fini() frees.
    bool (*prepare)(struct conv_plan *p, const struct conv_geometry *g, enum conv_method method, bool src_plain,
                    const float *weights, const float *bias);
    // Runs units [begin, end). scratch: p->scratch_bytes of 64-byte aligned
    // memory of this thread.
    void (*run)(const struct conv_plan *p, const struct conv_epilogue *e, const float *src, float *dst, int begin,
                int end, float *scratch);

    // C (m,n; row stride ldc) = A (m,k; row stride lda) x packed B, + bias[n]
    // (may be NULL), then e on rows [row_begin, row_end). *_CHAN data is
    // indexed by column. scratch: matmul_scratch_bytes(k) of 64-byte aligned
    // memory of this thread.
    size_t (*pack_b_floats)(int k, int n);
    void (*pack_b)(float *out_packed, const float *b, ptrdiff_t row_stride, ptrdiff_t column_stride, int k, int n);
    size_t (*matmul_scratch_bytes)(int k);
    void (*matmul)(float *c, ptrdiff_t ldc, const float *a, ptrdiff_t lda, const float *packed_b, const float *bias,
                   const struct conv_epilogue *e, int row_begin, int row_end, int k, int n, float *scratch);

    // e in place on the pixels of one channel block; full_offset is where data
    // lies in its tensor.
    void (*apply)(const struct conv_epilogue *e, float *data, size_t full_offset, int channel0, int image, int pixels);
    // The same on count plain elements of one channel.
    void (*apply_plain)(const struct conv_epilogue *e, float *data, size_t full_offset, int channel, int image,
                        ptrdiff_t count);
};

// The best table for this CPU that is not above `most`.
const struct conv_kernels *conv_kernels_get(enum cpu_isa most);

// How bfloat16 is multiplied.
enum conv_bf16 {
    CONV_BF16_NONE,
    CONV_BF16_AVX512, // VDPBF16PS: twice the products of float32
    CONV_BF16_AMX,    // TDPBF16PS: sixteen times
};

// The best this CPU has.
enum conv_bf16 conv_bf16_of_cpu(void);
// The table in which direct convolutions and matrix products round their
// operands to bfloat16 (kernels/conv16_body.inc) and all else is as in
// conv_kernels_get(). emulated: on any CPU with AVX-512, by other instructions,
// slower than float32. NULL where this CPU can't.
const struct conv_kernels *conv_kernels_bf16(enum conv_bf16 how, bool emulated);

void conv_plan_fini(struct conv_plan *p);

// Rows (or pixels) of a unit: at most `most`, not below `least` where there are
// more, and so that eight threads get equal shares.
int conv_unit_rows(int rows, int most, int least);

// Direct, depthwise and dot, after prepare: units of that many rows, so that
// several plans (phases) can be run side by side. chunk_outer (direct only):
// each unit is one chunk of output channels, so that its weights stay in the
// cache. Returns the chunks of an image; its units are [chunk][rows].
int conv_plan_cut(struct conv_plan *p, int unit_rows, bool chunk_outer);
// The blocks of output channels of a chunk, where there are several.
void conv_plan_chunk(const struct conv_plan *p, int chunk, int *out_begin, int *out_end);

// Groups whose channels fill no vectors: how many to take together, with
// weights of 0 between them, for CONV_METHOD_DIRECT; 1 when they do, 0 when it
// would not pay.
#define CONV_MERGE_ALL 4
int conv_merge_groups(const struct conv_geometry *g, int lanes, bool src_plain);
// (O,I/groups,KH,KW) -> (O,merge I/groups,KH,KW).
void conv_merge_weights(const struct conv_geometry *g, int merge, const float *weights, float *out);

// ---- plain C twins ----------------------------------------------------------------

// Plain in, plain out, doubles inside.
void conv_ref(const struct conv_geometry *g, const float *src, const float *weights, const float *bias, float *dst);
// One element of an epilogue; full is the element of a *_FULL step's data.
// Of a *_CHAN step chan is its value.
float conv_step_ref(const struct conv_step *s, float x, float full, float chan);

#endif

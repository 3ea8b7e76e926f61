// SPDX-License-Identifier: MIT
//
// Convolution kernels for CPUs: direct, Winograd and depthwise convolutions, convolutions with
// few outputs, and matrix products. They compute in float32 or, on request, with operands
// rounded to bfloat16. The executor's CPU backend prepares and calls them; they know only
// pointers and sizes.
//
// Layouts: "blocked" is (N, ceil(C/V), H, W, V) with V = conv_kernels.lanes (16 with AVX-512,
// else 8), so the channels of one pixel lie together in vectors. The lanes beyond C may hold
// anything, because no kernel lets them affect a result. "Plain" is row-major (N, C, H, W).
//
// Work is cut into units that write disjoint parts of the output, and every output element is
// summed in a fixed order. The result therefore does not depend on how units are spread over
// threads. It does depend on the instruction set.
//
// There are no graphs or threads here, and no memory is allocated except the packed weights
// and tables that prepare() makes.
#ifndef REEL_KERNELS_CONV_CPU_H
#define REEL_KERNELS_CONV_CPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Instruction sets for which a table of kernels exists.
enum cpu_isa {
    CPU_ISA_BASE,   // the compiler's default
    CPU_ISA_AVX2,   // AVX2 and FMA
    CPU_ISA_AVX512, // AVX-512 F, BW, DQ, VL
};

// ---- what follows the sum ----------------------------------------------------

enum conv_step_kind {
    CONV_ADD_FULL,  // x + data, element by element
    CONV_MUL_FULL,  // x * data
    CONV_SUB_FULL,  // x - data
    CONV_RSUB_FULL, // data - x
    CONV_DIV_FULL,  // x / data
    CONV_RDIV_FULL, // data / x
    CONV_MAX_FULL,
    CONV_MIN_FULL,
    CONV_ADD_CHAN,  // x + data[channel]
    CONV_MUL_CHAN,  // x * data[channel]
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

// One step of an epilogue. For the *_CHAN kinds and CONV_SLOPE, data has one number per
// channel, filled up to whole vectors; for each image if chan_stride is not 0. For *_FULL,
// data has the output's layout.
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

// One step of the inner loop: kn inputs from src_bytes on times the weights from w on.
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

// Output channels that CONV_METHOD_DOT computes at a time.
#define CONV_DOT_CHANNELS 4

enum conv_method {
    CONV_METHOD_NONE,        // none of these kernels can compute it
    CONV_METHOD_DIRECT,      // plain or blocked -> blocked
    CONV_METHOD_WINOGRAD,    // blocked -> blocked, 3x3, stride 1, F(4x4,3x3)
    CONV_METHOD_DEPTHWISE,   // blocked -> blocked
    CONV_METHOD_DOT,         // blocked -> plain, few output channels
    CONV_METHOD_MAX,         // blocked -> blocked: the largest under the window, no weights
    CONV_METHOD_AVERAGE,     // likewise, the mean of the pixels inside the image
    CONV_METHOD_AVERAGE_ALL, // the sum divided by the window's size
    CONV_METHOD_ROWS,        // plain -> plain, few channels on both sides
};

// A prepared convolution: constant after prepare; may be run by many threads at once.
struct conv_plan {
    struct conv_geometry g;
    enum conv_method method;
    bool src_plain;
    bool flat; // 1x1, stride 1, no padding: the image is one long row
    bool bf16; // operands are rounded to bfloat16; the packed weights are pairs of such numbers
    int lanes;
    float *w;    // packed weights
    float *bias; // one per output channel, filled up to whole vectors
    size_t w_bytes;

    // For direct, depthwise and dot (which then leaves the epilogue to the caller): where the
    // output's pixels lie if they are spread over a larger image, as for a phase of a
    // transposed convolution. Set after prepare, in floats; 0: side by side.
    ptrdiff_t out_begin, out_pixel, out_row;
    size_t out_plane;

    // For direct and dot: the taps inside the image for each class of columns, ordered by
    // kernel row.
    int n_classes;
    int *class_taps; // taps per kernel row of a class
    struct conv_tap **class_list;
    int x_begin, x_end; // columns of class 0 (all taps inside)
    int y_begin, y_end; // rows with all taps inside

    int window_columns;   // of a bf16 plan: output columns computed at a time
    int unit_rows, units; // rows of a unit (for Winograd, tiles), and the number of units
    int units_per_image;
    bool chunk_outer; // the weights are too large for the cache: each unit is one chunk of output channels
    int n_chunks;
    size_t scratch_bytes; // per thread
};

struct conv_kernels {
    enum cpu_isa isa;
    int lanes;
    const char *name; // "avx512", "avx2", "base", "avx512 bf16"...
    // The method that is fastest, by a measured rule, for a source in that layout.
    enum conv_method (*choose)(const struct conv_geometry *g, bool src_plain);
    // Packs weights (O,I/groups,KH,KW) and bias (may be NULL). Pooling takes neither; its
    // groups are the channels. Free with conv_plan_fini(). False: out of memory.
    bool (*prepare)(struct conv_plan *p, const struct conv_geometry *g, enum conv_method method, bool src_plain,
                    const float *weights, const float *bias);
    // Runs units [begin, end). scratch: p->scratch_bytes, 64-byte aligned, used by this thread
    // only.
    void (*run)(const struct conv_plan *p, const struct conv_epilogue *e, const float *src, float *dst, int begin,
                int end, float *scratch);

    // C (m,n; row stride ldc) = A (m,k; row stride lda) x packed B + bias[n] (may be NULL),
    // then the epilogue e, for rows [row_begin, row_end). Data of *_CHAN steps is indexed by
    // column. scratch: matmul_scratch_bytes(k), 64-byte aligned, used by this thread only.
    size_t (*pack_b_floats)(int k, int n);
    void (*pack_b)(float *out_packed, const float *b, ptrdiff_t row_stride, ptrdiff_t column_stride, int k, int n);
    size_t (*matmul_scratch_bytes)(int k);
    void (*matmul)(float *c, ptrdiff_t ldc, const float *a, ptrdiff_t lda, const float *packed_b, const float *bias,
                   const struct conv_epilogue *e, int row_begin, int row_end, int k, int n, float *scratch);

    // Applies e in place to pixels of one channel block. full_offset: the position of `data`
    // in its tensor, in floats.
    void (*apply)(const struct conv_epilogue *e, float *data, size_t full_offset, int channel0, int image, int pixels);
    // The same for `count` elements of one channel of a plain tensor.
    void (*apply_plain)(const struct conv_epilogue *e, float *data, size_t full_offset, int channel, int image,
                        ptrdiff_t count);
};

// The best table for this CPU, at most that of the instruction set `most`.
const struct conv_kernels *conv_kernels_get(enum cpu_isa most);

// How bfloat16 is multiplied.
enum conv_bf16 {
    CONV_BF16_NONE,
    CONV_BF16_AVX512, // VDPBF16PS: twice as many products per instruction as float32
    CONV_BF16_AMX,    // TDPBF16PS: sixteen times as many
};

// The best way that this CPU has.
enum conv_bf16 conv_bf16_of_cpu(void);
// The table in which direct convolutions and matrix products round their operands to bfloat16
// (kernels/conv16_body.inc); everything else is as in conv_kernels_get(). emulated: uses other
// instructions, which any CPU with AVX-512 has, and is slower than float32. NULL: this CPU
// cannot run it.
const struct conv_kernels *conv_kernels_bf16(enum conv_bf16 how, bool emulated);

void conv_plan_fini(struct conv_plan *p);

// Rows (or pixels) of a unit: at most `most`, at least `least` if there are that many, and such
// that eight threads get equal shares.
int conv_unit_rows(int rows, int most, int least);

// For direct, depthwise and dot, after prepare: cuts the work into units of that many rows, so
// that several plans (phases) can be run side by side. chunk_outer (direct only): each unit
// has one chunk of output channels, so that its weights stay in the cache. Returns the number
// of chunks; the units of an image are in the order [chunk][rows].
int conv_plan_cut(struct conv_plan *p, int unit_rows, bool chunk_outer);
// The blocks of output channels of a chunk, if there are several chunks.
void conv_plan_chunk(const struct conv_plan *p, int chunk, int *out_begin, int *out_end);

// For CONV_METHOD_DIRECT with groups whose channels do not fill vectors: how many groups to
// merge, with weights of 0 between them. 1: they fill vectors; 0: merging is not worth it.
#define CONV_MERGE_ALL 4
int conv_merge_groups(const struct conv_geometry *g, int lanes, bool src_plain);
// Weights (O,I/groups,KH,KW) to those of merged groups (O,merge*I/groups,KH,KW).
void conv_merge_weights(const struct conv_geometry *g, int merge, const float *weights, float *out);

// ---- plain C twins ----------------------------------------------------------------

// Plain in, plain out, computed in double precision.
void conv_ref(const struct conv_geometry *g, const float *src, const float *weights, const float *bias, float *dst);
// One step of an epilogue on one element. full: the element of a *_FULL step's data; chan: the
// number of a *_CHAN step's data.
float conv_step_ref(const struct conv_step *s, float x, float full, float chan);

#endif

// SPDX-License-Identifier: MIT
//
// Convolutions and matrix products of 8-bit integers with exact 32-bit sums, and the
// conversion of the sums back to 8 bits, or to float32. Called by the executor's CPU
// backend for quantised networks.
//
// Activations are unsigned ("biased": signed values plus 128, which flips the top bit), in
// the blocked layout of conv_cpu.h, with bytes instead of floats and the same number of
// lanes. Lanes beyond C may contain anything. Weights are differences from their zero
// point, -255..255. Sums wrap at 32 bits, as in ONNX's reference; nothing saturates before
// that.
//
// Integer sums do not depend on order, so neither threads nor instruction sets change them.
// Rounding back to 8 bits uses one multiply-add in float32, which the plain kernels do with
// two roundings.
#ifndef REEL_KERNELS_CONV8_H
#define REEL_KERNELS_CONV8_H

#include "kernels/conv_cpu.h"
#include "kernels/quant8.h"

// Groups of four input channels of one tap, and where they are.
struct conv8_tap {
    ptrdiff_t src; // bytes from the first input of an output pixel
    int groups;    // of four channels each
};

enum conv8_method {
    CONV8_NONE,      // these kernels do not cover it
    CONV8_DIRECT,    // blocked -> blocked; any kernel, stride, dilation
    CONV8_DEPTHWISE, // blocked -> blocked
    CONV8_MATMUL,    // rows -> rows
};

// A prepared convolution: constant afterwards, may be run from many threads.
struct conv8_plan {
    struct conv_geometry g;
    enum conv8_method method;
    int lanes;
    bool flat;   // 1x1, stride 1, no padding: the image is one long row
    bool padded; // units copy their input together with the padding
    void *w;     // packed
    size_t w_bytes;
    int32_t *sums; // of the weights, per output channel (whole vectors)
    struct conv8_tap *taps;
    int n_taps;
    ptrdiff_t chunk_bytes;        // of the weights of one vector of output channels
    int in_rows, in_width;        // of a unit's copy
    int unit_rows, parts, chunks; // units of an image: parts of rows x sets of output channels
    int chunk_vectors, units;     // vectors in a set
    size_t scratch_bytes;         // per thread
    // For g.spread, set by the caller: where the output's pixels go if they are spread over
    // a larger image, in elements; without an epilogue.
    ptrdiff_t out_begin, out_pixel, out_row;
    size_t out_plane;
};

enum conv8_kind {
    CONV8_BYTES,
    CONV8_FLOATS,
};

// How sums are converted: v = sum * factor + shift, per output channel, then the epilogue.
// For bytes then v / scale, clamped to [lo, hi], rounded to nearest even, + zero. lo and hi
// are integers within -255..255.
struct conv8_result {
    enum conv8_kind kind;
    const int32_t *start;        // initial sums: bias - zero point x sums of weights
    const float *factor, *shift; // whole vectors
    float scale;                 // 1 without an epilogue, because factor and shift include it
    float lo, hi;
    int zero;
    int pad;                // value of the padding: the biased zero point of the input
    struct conv_epilogue e; // n 0: none
};

struct conv8_kernels {
    const char *name; // "vnni", "avx512", "avx2", "base"
    int lanes;
    enum conv8_method (*choose)(const struct conv_geometry *g);
    // weights (O,I/groups,KH,KW), minus their zero points. CONV8_MATMUL: (n,k), with g->oc
    // = n, g->ic = k and g->oh = rows. False when out of memory.
    bool (*prepare)(struct conv8_plan *p, const struct conv_geometry *g, enum conv8_method method,
                    const int16_t *weights);
    // Runs units [begin, end). scratch: p->scratch_bytes of 64-byte aligned memory of this thread.
    void (*run)(const struct conv8_plan *p, const struct conv8_result *r, const struct conv_kernels *k,
                const uint8_t *src, void *dst, int begin, int end, void *scratch);
    // Rows of a (k bytes each, XORed with flip: 0 or 128) times the packed weights, to dst
    // (n per row); for bytes, zero, lo and hi are those of the stored type. *_CHAN data of
    // the epilogue is indexed by column; bytes take no epilogue.
    void (*matmul)(const struct conv8_plan *p, const struct conv8_result *r, const struct conv_kernels *k,
                   const uint8_t *a, int flip, void *dst, int begin, int end, void *scratch);

    // As q8_quantize and q8_dequantize (quant8.h), except for ties.
    void (*quantize)(uint8_t *dst, const float *src, size_t n, struct q8_scale to);
    void (*dequantize)(float *dst, const uint8_t *src, size_t n, struct q8_scale from);
    // table is indexed by the byte in memory.
    void (*lookup)(uint8_t *dst, const uint8_t *src, size_t n, const uint8_t table[256]);
    // `pixels` pixels of `have` channels (at most V), `step` bytes apart in both.
    void (*lines)(uint8_t *dst, const uint8_t *src, size_t pixels, size_t step, int have, const struct q8_lines *l);
    // On dequantised values; the result is quantised again.
    void (*add)(uint8_t *dst, const uint8_t *a, const uint8_t *b, size_t n, struct q8_scale sa, struct q8_scale sb,
                struct q8_scale to);
    void (*multiply)(uint8_t *dst, const uint8_t *a, const uint8_t *b, size_t n, struct q8_scale sa, struct q8_scale sb,
                     struct q8_scale to);
};

enum conv8_isa {
    CONV8_ISA_BASE,
    CONV8_ISA_AVX2,
    CONV8_ISA_AVX512,
    CONV8_ISA_VNNI,
};

// The best table for this CPU up to `most` with that many lanes; NULL if there is none.
const struct conv8_kernels *conv8_kernels_get(enum conv8_isa most, int lanes);

void conv8_plan_fini(struct conv8_plan *p);

// ---- plain C twin -------------------------------------------------------------

// Plain layouts; sums (N,O,OH,OW) of (src - zero) * weights.
void conv8_ref(const struct conv_geometry *g, const uint8_t *src, int zero, const int16_t *weights, int32_t *sums);

#endif

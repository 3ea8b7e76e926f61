// SPDX-License-Identifier: MIT
//
// What attention does between its two products, and rotary embeddings. Rules are
// those of ops.h.
#ifndef REEL_KERNELS_GPU_ATTENTION_H
#define REEL_KERNELS_GPU_ATTENTION_H

#include "kernels/gpu/ops.h"

#ifdef __cplusplus
extern "C" {
#endif

// Which columns a row may attend.
struct gpu_attention_span {
    int rows, columns;
    int width; // columns from here on are masked
    bool causal;
    int left, right; // of the window, -1: no bound
    int past;        // row i stands at past + i
};

// ONNX Attention (opset 23): scores (batch,heads,rows,columns) become weights, in
// place: softcap, mask, softmax. A row of which nothing may be attended is zeros.
struct gpu_attention {
    int elem;
    int batch, heads;
    struct gpu_attention_span span;
    float softcap; // 0: none
    bool scores;   // they stay scores: softcap and mask alone, what may not be attended is minus infinity
    bool masked;
    int mask_elem;                                        // float: addends; U8: what is 0 is masked
    int64_t mask_batch, mask_head, mask_row, mask_column; // strides
};
// valid: columns of each batch element, the last `rows` of which are the rows' own;
// NULL: all.
int gpu_attention(const struct gpu_attention *p, void *scores, const void *mask, const int64_t *valid, void *stream);
void gpu_attention_ref(const struct gpu_attention *p, void *scores, const void *mask, const int64_t *valid);

// ONNX RotaryEmbedding (opset 23): x (batch,heads,length,dim), or packed
// (batch,length,heads,dim); pairs of the first 2 * half of a head are turned by the
// angle whose cosine and sine stand in row position[b][s] of the caches (positions,
// half), row b * length + s without positions. A row that is not there turns nothing.
struct gpu_rotary {
    int elem, cosine_elem, sine_elem;
    int batch, heads, length, dim, half;
    int64_t positions; // rows of the caches
    bool packed, interleaved;
};
int gpu_rotary(const struct gpu_rotary *p, const void *x, const void *cosine, const void *sine, const int64_t *position,
               void *y, void *stream);
void gpu_rotary_ref(const struct gpu_rotary *p, const void *x, const void *cosine, const void *sine,
                    const int64_t *position, void *y);

#ifdef __cplusplus
}
#endif
#endif

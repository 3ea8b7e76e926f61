// SPDX-License-Identifier: MIT
//
// What attention computes between its two products, and rotary embeddings. The rules are
// those of ops.h.
#ifndef REEL_KERNELS_GPU_ATTENTION_H
#define REEL_KERNELS_GPU_ATTENTION_H

#include "kernels/gpu/ops.h"

#ifdef __cplusplus
extern "C" {
#endif

// Which columns a row may attend to.
struct gpu_attention_span {
    int rows, columns;
    int width; // columns from here on are masked
    bool causal;
    int left, right; // of the window; -1: no bound
    int past;        // row i is at position past + i
};

// ONNX Attention (opset 23): turns scores (batch,heads,rows,columns) into weights in place:
// softcap, mask, softmax. A row that may attend to nothing becomes zeros.
struct gpu_attention {
    int elem;
    int batch, heads;
    struct gpu_attention_span span;
    float softcap; // 0: none
    bool scores;   // keep scores: only softcap and mask; a masked column becomes minus infinity
    bool masked;
    int mask_elem;                                        // float: added to the scores; U8: 0 means masked
    int64_t mask_batch, mask_head, mask_row, mask_column; // strides
};
// valid: number of columns of each batch element, of which the last `rows` are the rows' own;
// NULL: all columns.
int gpu_attention(const struct gpu_attention *p, void *scores, const void *mask, const int64_t *valid, void *stream);
void gpu_attention_ref(const struct gpu_attention *p, void *scores, const void *mask, const int64_t *valid);

// ONNX RotaryEmbedding (opset 23): x (batch,heads,length,dim), or packed
// (batch,length,heads,dim). Pairs of the first 2 * half numbers of a head are rotated by the
// angle whose cosine and sine are in row position[b][s] of the caches (positions,half); if
// position is NULL, in row b * length + s. A position outside the caches rotates nothing.
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

// SPDX-License-Identifier: MIT
//
// The steps that attention is made of, and what takes them together (attention.c): a
// product, what is added to its result, the softmax of its rows, and the product with
// that. Part of the lowering; nothing else sees these.
#ifndef REEL_WORKER_BACKEND_ONEDNN_ATTENTION_H
#define REEL_WORKER_BACKEND_ONEDNN_ATTENTION_H

#include "worker/backend/onednn/program.h"

// C (batches,m,n) = A (batches,m,k) B (batches,k,n), then the tail (matmul.c).
struct matmul {
    struct tail tail;
    struct form a, b, dst; // b absent: packed
    float *packed;
    const float *bias;
    int m, k, n, batches;
    size_t a_step, b_step; // floats between matrices of a batch
    ptrdiff_t b_row, b_column;
};

// Layer norm or softmax of rows of n (rows.c).
struct rows {
    struct form src, dst;
    int64_t rows, n;
    int64_t unit; // rows of one
    bool softmax;
    float epsilon;
    const float *scale, *shift;
};

// A step of arithmetic with an operand that is repeated along some axes (broadcast.c).
struct broadcast {
    struct tail tail; // what follows
    struct form src, other, dst;
    struct conv_step step;
    // Axes of the result, those together along which other goes on, or is repeated
    // (step 0): the last is a run, of elements of other or of one of them.
    int n;
    int64_t size[REEL_MAX_DIMS], other_step[REEL_MAX_DIMS];
    int64_t pieces; // of a run
};

// The step's data, or NULL when it is another kind of step.
const struct matmul *matmul_of(const struct step *s);
const struct rows *rows_of(const struct step *s);
const struct broadcast *broadcast_of(const struct step *s);

// Elements [at, at + count) of the result, in place: x holds those of its main operand.
// e is w's tail, bound.
void broadcast_apply(const struct broadcast *w, const struct conv_kernels *k, const struct conv_epilogue *e,
                     const float *other, float *x, int64_t at, int64_t count);

// The last step is a product: when its left operand is the softmax of a product and nothing
// else needs that, the step does all of it, a block of rows at a time, which stays in the
// caches; the steps before it do nothing then. The same bytes either way. Errors: NOMEM.
enum reel_err take_in_softmax(struct program *p, const struct node *node);

#endif

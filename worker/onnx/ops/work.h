// SPDX-License-Identifier: MIT
//
// Working copies of tensors, for operators that compute in one type (float, double)
// whatever type is stored, and small helpers around struct op_call.
//
// Used by the families conv, norm, matmul, image, rnn, control, quant and signal. Rounding
// to a narrower stored type happens once, in work_commit().
#ifndef REEL_WORKER_ONNX_OPS_WORK_H
#define REEL_WORKER_ONNX_OPS_WORK_H

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "worker/onnx/op.h"

// The newest opset of ai.onnx whose operators were read for these families.
#define OPSET_LAST 28

// One body for each instruction set, chosen once at load. The sums are the same
// on all of them: the build forbids contraction, and no loop is reassociated.
#if defined(__x86_64__) && defined(__OPTIMIZE__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define HOT __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define HOT
#endif

// A tensor's elements as `dtype`. p is the tensor's own memory if the types agree, else
// memory of this struct. Empty when zeroed; fini accepts that.
struct work {
    void *p;
    enum reel_dtype dtype;
    void *owned;
    struct reel_tensor *target; // of an output
};

// F64 for F64, F32 for every other type.
enum reel_dtype work_dtype(enum reel_dtype stored);
// t may be NULL (absent); p is NULL then.
enum reel_err work_in(struct work *w, const struct reel_tensor *t, enum reel_dtype dtype);
// The output's data must be allocated. The contents are undefined.
enum reel_err work_out(struct work *w, struct reel_tensor *t, enum reel_dtype dtype);
// Stores an output's elements; does nothing if the types agree.
void work_commit(struct work *w);
void work_fini(struct work *w);
// count elements of `bytes` each, not zeroed; NULL with a text on overflow or
// lack of memory. count 0 gives a valid pointer.
void *work_alloc(int64_t count, size_t bytes);

static inline const struct reel_tensor *call_in(const struct op_call *call, int i)
{
    return i < call->n_in ? call->in[i] : NULL;
}

static inline struct reel_tensor *call_out(const struct op_call *call, int i)
{
    return i < call->n_out ? call->out[i] : NULL;
}

// out[i] becomes a copy of src; nothing when nobody reads it.
enum reel_err call_copy_out(const struct op_call *call, int i, const struct reel_tensor *src);

// Checks that none of the first n inputs is absent, with a text when one is.
bool inputs_given(const struct op_call *call, int n);

// True when the tensor is there and its elements may be read.
static inline bool has_data(const struct reel_tensor *t)
{
    return t && t->shape.ndim >= 0 && (t->data || reel_tensor_count(t) == 0);
}

// During inference: sets type and shape of out[i], when it is wanted.
void infer_out(const struct op_call *call, int i, enum reel_dtype dtype, const struct reel_shape *shape);

static inline struct reel_shape shape_unknown(void)
{
    return (struct reel_shape){.ndim = -1};
}

static inline struct reel_shape shape_of(int ndim, const int64_t *dims)
{
    struct reel_shape s = {.ndim = ndim};
    for (int i = 0; i < ndim; i++) s.dim[i] = dims[i];
    return s;
}

// The product of extents from..to-1, -1 when one is unknown.
int64_t shape_span(const struct reel_shape *shape, int from, int to);

// ONNX TensorProto.DataType -> our type; NONE for those not carried.
enum reel_dtype dtype_of_onnx(int64_t onnx_type);

#endif

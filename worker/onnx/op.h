// SPDX-License-Identifier: MIT
//
// The operator table: the definition of every ONNX operator, in one place.
//
// Each entry has the opsets, the accepted types, a shape inference function and a reference
// implementation in plain C on row-major tensors. The importer looks operators up here (and
// refuses others). graph/shape.c calls infer. Constant folding, the conformance tests and
// backends without a kernel of their own call eval. docs/operators.md is generated from the
// table. The operators of one family are in one file ops/<family>.c, which exports an array
// of entries.
//
// eval must be correct first; it is not a backend's fast path. Operators that are likely to
// run once per frame on whole feature maps (Concat, Slice, Transpose, Resize, elementwise,
// Softmax...) are also written so that the compiler vectorises the inner loop.
#ifndef REEL_WORKER_ONNX_OP_H
#define REEL_WORKER_ONNX_OP_H

#include "worker/graph/graph.h"

// A call of an operator. in[i] is NULL for an absent optional input.
//
// infer: in[i]->dtype and shape are known (an extent may be -1 when it depends
//   on data); in[i]->data is set when the value is a constant, else NULL. It
//   sets dtype and shape of every out[i] that is not NULL. When a shape depends
//   on data that is not there, it sets those extents to -1 and returns OK.
// eval: all inputs are complete. out[i] is NULL when nobody reads it. out[i]
//   has dtype, shape and data allocated where the shape was known; where
//   out[i]->data is NULL the function calls op_alloc_out().
// Both return UNSUPPORTED or INPUT with a reel_fail() text that says what is wrong with the
// attribute, type or shape; the caller prefixes the node's name. They keep no state, so they
// are thread-safe.
struct op_call {
    const struct node *node; // attributes, name, opset
    int opset;
    int n_in, n_out;
    const struct reel_tensor *const *in;
    struct reel_tensor *const *out;

    // For If, Loop, Scan: runs a body with the given inputs. It allocates the outputs,
    // which the caller then owns. NULL in infer. The interpreter resolves names of the
    // enclosing scope through `scope`.
    enum reel_err (*run_body)(void *scope, struct graph *body, const struct reel_tensor *const *in, int n_in,
                              struct reel_tensor *out, int n_out);
    void *scope;
};

// Sets of element types, for the table and its documentation.
#define T_(x) (1u << (x))
#define TYPES_FLOAT (T_(REEL_F32) | T_(REEL_F64) | T_(REEL_F16) | T_(REEL_BF16))
#define TYPES_SINT (T_(REEL_I8) | T_(REEL_I16) | T_(REEL_I32) | T_(REEL_I64))
#define TYPES_UINT (T_(REEL_U8) | T_(REEL_U16) | T_(REEL_U32) | T_(REEL_U64))
#define TYPES_INT (TYPES_SINT | TYPES_UINT)
#define TYPES_NUM (TYPES_FLOAT | TYPES_INT)
#define TYPES_ALL (TYPES_NUM | T_(REEL_BOOL))
#define TYPES_FLOAT8 (T_(REEL_F8E4M3FN) | T_(REEL_F8E4M3FNUZ) | T_(REEL_F8E5M2) | T_(REEL_F8E5M2FNUZ))
#define TYPES_NARROW_INT (T_(REEL_I4) | T_(REEL_U4) | T_(REEL_I2) | T_(REEL_U2))
#define TYPES_NARROW (TYPES_FLOAT8 | T_(REEL_F8E8M0) | T_(REEL_F4E2M1) | TYPES_NARROW_INT)
// For operators that only move or convert elements.
#define TYPES_ANY (TYPES_ALL | TYPES_NARROW)

enum op_flag {
    OP_ELEMENTWISE = 1 << 0,   // out[0][i] depends on in[*][i] alone (after broadcasting)
    OP_VIEW = 1 << 1,          // same bytes, other shape (Reshape, Squeeze, Flatten...)
    OP_DATA_SHAPE = 1 << 2,    // output shape depends on input data (NonZero, NMS...)
    OP_CONTROL = 1 << 3,       // has bodies
    OP_RANDOM = 1 << 4,        // not deterministic: refused for video
    OP_INFERENCE_NOP = 1 << 5, // identity at inference (Dropout, Identity)
    OP_SEQUENCE = 1 << 6,      // works on sequences or optionals; graph/sequence.c resolves it before the run
};

struct op_def {
    const char *domain; // "" = ai.onnx, "com.microsoft", ...
    const char *name;
    int since, until;   // opsets handled, both included; the importer refuses others
    int min_in, max_in; // max_in < 0: variadic
    int min_out, max_out;
    uint32_t types; // element types of in[0] that eval takes
    unsigned flags;
    enum reel_err (*infer)(const struct op_call *call);
    enum reel_err (*eval)(const struct op_call *call);
    const char *limits; // for docs/operators.md: what is not supported, or NULL
};

// The entry for an operator at an opset, or NULL. *out_name_known: whether the name exists
// at other opsets, for a better message.
const struct op_def *op_find(const char *domain, const char *name, int opset, bool *out_name_known);
// All entries in table order.
const struct op_def *const *op_list(int *out_count);

// Runs one node on complete inputs in[node->n_in]: checks types, infers, allocates outputs
// without data, and evaluates. out[i] is NULL for an output that nobody reads; one that has
// data must fit and stays where it is. Does not apply epilogues. run_body and scope may be
// NULL outside control flow. Errors name the node; the caller frees outputs allocated
// before the error.
enum reel_err op_run(const struct node *node, const struct reel_tensor *const *in, struct reel_tensor *const *out,
                     enum reel_err (*run_body)(void *scope, struct graph *body, const struct reel_tensor *const *in,
                                               int n_in, struct reel_tensor *out, int n_out),
                     void *scope);
// The same without checks: inputs were checked when the graph was compiled, and outputs
// have shapes and data. n_in, n_out: lengths of the lists.
enum reel_err op_eval(const struct node *node, int n_in, const struct reel_tensor *const *in, int n_out,
                      struct reel_tensor *const *out);
// Infers one node (struct op_call above), with the same checks and error texts.
enum reel_err op_infer(const struct node *node, const struct reel_tensor *const *in, struct reel_tensor *const *out);

// ---- helpers for ops/*.c (op.c) -----------------------------------------

// Allocates out[i] if its data is NULL; otherwise checks that it has this type and shape.
enum reel_err op_alloc_out(const struct op_call *call, int i, enum reel_dtype dtype, const struct reel_shape *shape);
// Broadcasts two shapes as in NumPy; unknown extents stay unknown.
enum reel_err op_broadcast(const struct reel_shape *a, const struct reel_shape *b, struct reel_shape *out_shape);
// Converts axis from [-ndim, ndim) to [0, ndim); INPUT if out of range.
enum reel_err op_axis(int64_t axis, int ndim, int *out_axis);
// The int64 (or int32) elements of a constant input; false if in[i] is absent or has no
// data. At most max elements are written; *out_n is the true count.
bool op_const_ints(const struct op_call *call, int i, int64_t *out_values, int max, int *out_n);
// Axes from an attribute (old opsets) or else a constant input (new ones); *out_known is
// false if they depend on data not known yet.
enum reel_err op_axes(const struct op_call *call, const char *attr_name, int input, int ndim, int *out_axes, int *out_n,
                      bool *out_known);
// Gives out[0] the type and shape of in[0].
enum reel_err op_infer_same(const struct op_call *call);
// Element i of any numeric tensor as double / int64. Slow; for parameters.
double op_scalar(const struct reel_tensor *t, int64_t i);
int64_t op_scalar_int(const struct reel_tensor *t, int64_t i);

// Families. Each file defines `const struct op_def ops_<family>[]` and
// `const int ops_<family>_count`; op.c lists them.
#define OP_FAMILIES(X)                                                                                                \
    X(unary)      /* functions of one operand, Not, BitwiseNot, IsNaN, IsInf */                                       \
    X(activation) /* Relu and its kind, Gelu, PRelu, Clip */                                                          \
    X(arithmetic) /* Add, Sub, Mul, Div, Mod, Pow; Sum, Mean, Max, Min */                                             \
    X(logic)      /* comparison, logic and bits of two operands, Where */                                             \
    X(cast)       /* Cast, CastLike, BitCast */                                                                       \
    X(reduce)     /* Reduce* */                                                                                       \
    X(along)      /* ArgMax/Min, CumSum, CumProd, Softmax family, Hardmax, TopK */                                    \
    X(shape)      /* Reshape, Squeeze, Unsqueeze, Flatten, Shape, Size, Range */                                      \
    X(move)       /* Transpose, Concat, Split, Slice, Crop, ReverseSequence */                                        \
    X(repeat)     /* Pad, Tile, Expand */                                                                             \
    X(gather)     /* Gather, GatherElements, GatherND */                                                              \
    X(scatter)    /* Scatter, ScatterElements, ScatterND, TensorScatter */                                            \
    X(pick)       /* NonZero, Compress, Unique, OneHot, Trilu, EyeLike */                                             \
    X(conv)       /* Conv, ConvTranspose, ConvInteger, DeformConv, Col2Im */                                          \
    X(pool)       /* MaxPool, AveragePool, LpPool, Global*Pool, MaxUnpool, MaxRoiPool, LRN */                         \
    X(norm)       /* BatchNormalization, InstanceNorm, LayerNorm, GroupNorm, RMSNorm, LpNorm, MVN */                  \
    X(matmul)     /* MatMul, Gemm, MatMulInteger, Attention, com.microsoft fused attention */                         \
    X(einsum)     /* Einsum, Det */                                                                                   \
    X(image) /* Resize, Upsample, GridSample, AffineGrid, DepthToSpace, SpaceToDepth, RoiAlign, NMS, CenterCropPad */ \
    X(rnn)   /* RNN, GRU, LSTM */                                                                                     \
    X(constant) /* Constant, ConstantOfShape, Identity, Dropout */                                                    \
    X(control)  /* If, Loop, Scan */                                                                                  \
    X(sequence) /* sequences and optionals, which graph/sequence.c resolves */                                        \
    X(quant)    /* QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear, QLinearConv, QLinearMatMul */             \
    X(quant_ms) /* com.microsoft's QLinear*, QGemm */                                                                 \
    X(signal)   /* windows, DFT, STFT, MelWeightMatrix */

#endif

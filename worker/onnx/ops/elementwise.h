// SPDX-License-Identifier: MIT
//
// What the families of elementwise operators (unary, activation, arithmetic, logic, cast)
// share. Macros define one small function per operator and element type, which processes
// contiguous elements; the walk in typed.h finds those under broadcasting.
//
// 16-bit floats are computed in single precision and rounded once. Integers wrap. NaN is
// passed on wherever ONNX's NumPy reference does so. No operator is defined here.
#ifndef REEL_WORKER_ONNX_OPS_ELEMENTWISE_H
#define REEL_WORKER_ONNX_OPS_ELEMENTWISE_H

#include "worker/onnx/ops/typed.h"

// An entry of a table of functions by element type.
#define ENTRY(dtype, fn) [dtype] = fn,

// ---- unary: one function per type -----------------------------------------

// Processes n elements from in to out (which may be in); p are the operator's parameters.
typedef void (*unary_fn)(void *out, const void *in, int64_t n, const float *p);

#define UNARY_FN(name, CLONES, T, R, expression)                                                           \
    CLONES static void name(void *out, const void *in, int64_t n, const float *params)                     \
    {                                                                                                      \
        R *o = out;                                                                                        \
        const T *v = in;                                                                                   \
        const float p[2] __attribute__((unused)) = {params ? params[0] : 0.0f, params ? params[1] : 0.0f}; \
        KERN_INDEPENDENT                                                                                   \
        for (int64_t i = 0; i < n; i++) {                                                                  \
            const T x = v[i];                                                                              \
            o[i] = (R)(expression);                                                                        \
        }                                                                                                  \
    }

// float and double, with an expression each
#define UNARY_FLOAT(name, CLONES, expr32, expr64)      \
    UNARY_FN(name##_f32, CLONES, float, float, expr32) \
    UNARY_FN(name##_f64, , double, double, expr64)     \
    static const unary_fn name##_fns[REEL_DTYPE_COUNT] = {[REEL_F32] = name##_f32, [REEL_F64] = name##_f64};

// out[0] = fns[type of in[0]](in[0]), of type out_dtype; p may be NULL.
enum reel_err unary_eval(const struct op_call *call, const unary_fn *fns, enum reel_dtype out_dtype, const float *p);

// An operator without attributes whose result has its input's type.
#define UNARY_EVAL(name)                                               \
    static enum reel_err eval_##name(const struct op_call *call)       \
    {                                                                  \
        return unary_eval(call, name##_fns, call->in[0]->dtype, NULL); \
    }
#define UNARY_OP(name, CLONES, expr32, expr64) UNARY_FLOAT(name, CLONES, expr32, expr64) UNARY_EVAL(name)

// An operator with float attributes a and b.
#define UNARY_OP_AB(name, CLONES, expr32, expr64, attr_a, default_a, attr_b, default_b) \
    UNARY_FLOAT(name, CLONES, expr32, expr64)                                           \
    static enum reel_err eval_##name(const struct op_call *call)                        \
    {                                                                                   \
        const float p[2] = {node_attr_float(call->node, attr_a, default_a),             \
                            node_attr_float(call->node, attr_b, default_b)};            \
        return unary_eval(call, name##_fns, call->in[0]->dtype, p);                     \
    }
// The same with attribute a only.
#define UNARY_OP_A(name, CLONES, expr32, expr64, attr_a, default_a) \
    UNARY_OP_AB(name, CLONES, expr32, expr64, attr_a, default_a, "", 0.0f)

// ---- binary: one function per type ----------------------------------------

// Computes n results; an operand whose step is 0 is a single element.
typedef void (*binary_fn)(void *out, const void *a, int64_t step_a, const void *b, int64_t step_b, int64_t n);

#define BINARY_LOOP(X, Y, expression)     \
    do {                                  \
        KERN_INDEPENDENT                  \
        for (int64_t i = 0; i < n; i++) { \
            const Type x = X, y = Y;      \
            o[i] = (Result)(expression);  \
        }                                 \
    } while (0)
#define BINARY_FN(name, CLONES, T, R, W, expression)                                                              \
    CLONES static void name(void *out, const void *pa, int64_t step_a, const void *pb, int64_t step_b, int64_t n) \
    {                                                                                                             \
        typedef T Type;                                                                                           \
        typedef R Result;                                                                                         \
        typedef W Wrap __attribute__((unused));                                                                   \
        R *o = out;                                                                                               \
        const T *a = pa, *b = pb;                                                                                 \
        if (step_a && step_b) {                                                                                   \
            BINARY_LOOP(a[i], b[i], expression);                                                                  \
        } else if (step_a) {                                                                                      \
            const T one = *b;                                                                                     \
            BINARY_LOOP(a[i], one, expression);                                                                   \
        } else if (step_b) {                                                                                      \
            const T one = *a;                                                                                     \
            BINARY_LOOP(one, b[i], expression);                                                                   \
        } else {                                                                                                  \
            const T first = *a, second = *b;                                                                      \
            BINARY_LOOP(first, second, expression);                                                               \
        }                                                                                                         \
    }

// The shape of the second operand as broadcasting sees it, and that of the result.
enum reel_err binary_shape(const struct op_call *call, struct reel_shape *out_b, struct reel_shape *out_shape);
// Inference: both inputs have the same type, and so does the result (binary_infer) or it is
// boolean (binary_infer_bool).
enum reel_err binary_infer(const struct op_call *call);
enum reel_err binary_infer_bool(const struct op_call *call);
// out = fn(a, b) over out's shape, to which both broadcast.
void binary_run(binary_fn fn, struct reel_tensor *out, const void *a, const struct reel_shape *a_shape, const void *b,
                const struct reel_shape *b_shape, size_t in_bytes);
// out[0] = fns[type of in[0]](in[0], in[1]), of type out_dtype.
enum reel_err binary_eval(const struct op_call *call, const binary_fn *fns, enum reel_dtype out_dtype);
// Add (arithmetic.c), for activations that begin by adding a bias.
enum reel_err arithmetic_add(const struct op_call *call);

#define BINARY_EVAL(name, out_dtype)                             \
    static enum reel_err eval_##name(const struct op_call *call) \
    {                                                            \
        HALVES_IN_F32(eval_##name);                              \
        return binary_eval(call, name##_fns, out_dtype);         \
    }

// ---- rows of the families' tables -----------------------------------------

#define SINT_FLOAT (TYPES_FLOAT | TYPES_SINT)
#define UNARY_DEF(domain, op, since, until, types, eval)                                       \
    {                                                                                          \
        domain, op, since, until, 1, 1, 1, 1, types, OP_ELEMENTWISE, op_infer_same, eval, NULL \
    }
#define BINARY_DEF(op, since, types, infer, eval)                                       \
    {                                                                                   \
        "", op, since, OPSET_LAST, 2, 2, 1, 1, types, OP_ELEMENTWISE, infer, eval, NULL \
    }

#endif

// SPDX-License-Identifier: MIT
//
// What the executor's kernels share: elements whose type is known at run time,
// vectors of up to 16 bytes, and chains of pointwise steps (ops.h).
// Included by .cu files only.
#ifndef REEL_KERNELS_GPU_CHAIN_CUH
#define REEL_KERNELS_GPU_CHAIN_CUH

#include "kernels/gpu/common.cuh"
#include "kernels/gpu/math.h"

// Element i of any type as float. The branch is the same for a whole grid.
static __device__ __forceinline__ float gpu_any_load(int elem, const void *p, long long i)
{
    switch (elem) {
    case GPU_ELEM_F32:
        return ((const float *)p)[i];
    case GPU_ELEM_F16:
        return gpu_load((const __half *)p + i);
    case GPU_ELEM_BF16:
        return gpu_load((const __nv_bfloat16 *)p + i);
    case GPU_ELEM_U8:
        return (float)((const uint8_t *)p)[i];
    case GPU_ELEM_I8:
        return (float)((const int8_t *)p)[i];
    case GPU_ELEM_I32:
        return (float)((const int32_t *)p)[i];
    default:
        return (float)((const int64_t *)p)[i];
    }
}

static __device__ __forceinline__ void gpu_any_store(int elem, void *p, long long i, float v)
{
    switch (elem) {
    case GPU_ELEM_F32:
        ((float *)p)[i] = v;
        return;
    case GPU_ELEM_F16:
        gpu_store((__half *)p + i, v);
        return;
    case GPU_ELEM_BF16:
        gpu_store((__nv_bfloat16 *)p + i, v);
        return;
    case GPU_ELEM_U8:
        ((uint8_t *)p)[i] = (uint8_t)(int)v;
        return;
    case GPU_ELEM_I8:
        ((int8_t *)p)[i] = (int8_t)(int)v;
        return;
    case GPU_ELEM_I32:
        ((int32_t *)p)[i] = (int32_t)v;
        return;
    default:
        ((int64_t *)p)[i] = (int64_t)v;
        return;
    }
}

// One function a file: for operands of another type than the result's.
static GPU_NOINLINE __device__ float gpu_any_load_call(int elem, const void *p, long long i)
{
    return gpu_any_load(elem, p, i);
}

static GPU_NOINLINE __device__ void gpu_any_store_call(int elem, void *p, long long i, float v)
{
    gpu_any_store(elem, p, i, v);
}

template <typename T> struct gpu_elem_of;
template <> struct gpu_elem_of<float> {
    enum { value = GPU_ELEM_F32 };
};
template <> struct gpu_elem_of<__half> {
    enum { value = GPU_ELEM_F16 };
};
template <> struct gpu_elem_of<__nv_bfloat16> {
    enum { value = GPU_ELEM_BF16 };
};

// Elements at, at + stride, ... of any type, zeros from the `inside`th on.
template <typename T, int V>
static __device__ __forceinline__ void gpu_load_any_vec(int elem, const void *p, long long at, long long stride,
                                                        int inside, float *out)
{
    if (elem == gpu_elem_of<T>::value) {
#pragma unroll
        for (int k = 0; k < V; k++) out[k] = k < inside ? gpu_load((const T *)p + at + k * stride) : 0.0f;
    } else {
#pragma unroll 1
        for (int k = 0; k < V; k++) out[k] = k < inside ? gpu_any_load_call(elem, p, at + k * stride) : 0.0f;
    }
}

// V elements in one access.
template <typename T, int V> struct __align__(sizeof(T) * V) gpu_vec
{
    T v[V];
};

template <typename T, int V> static __device__ __forceinline__ void gpu_load_vec(const T *p, float *out)
{
    const gpu_vec<T, V> t = *(const gpu_vec<T, V> *)p;
#pragma unroll
    for (int i = 0; i < V; i++) out[i] = gpu_load(&t.v[i]);
}

template <typename T, int V> static __device__ __forceinline__ void gpu_store_vec(T *p, const float *in)
{
    gpu_vec<T, V> t;
#pragma unroll
    for (int i = 0; i < V; i++) gpu_store(&t.v[i], in[i]);
    *(gpu_vec<T, V> *)p = t;
}

static inline bool gpu_aligned(const void *p, size_t bytes)
{
    return (uintptr_t)p % bytes == 0;
}

// Operands' addresses, by value into the kernel.
struct gpu_pointers {
    const void *p[GPU_OPERANDS];
};

static inline struct gpu_pointers gpu_pointers_of(const struct gpu_chain *chain, const void *const *operand)
{
    struct gpu_pointers t = {};
    for (int i = 0; i < chain->n_operands; i++) t.p[i] = operand[i];
    return t;
}

// Steps from.. on V channels c.. of one pixel; T is the result's type, which
// operands mostly have. wide: a bit an operand that may be read as a vector.
template <typename T, int V>
static __device__ __forceinline__ void gpu_chain_apply(const struct gpu_chain &chain, int from,
                                                       const struct gpu_pointers &operand, float *x, long long image,
                                                       long long pixel, int c, int pitch, unsigned wide = 0)
{
    for (int i = from; i < chain.n; i++) {
        const struct gpu_chain_step s = chain.step[i];
        if (s.op >= GPU_OP_WITH_OPERAND) {
#pragma unroll
            for (int k = 0; k < V; k++) x[k] = gpu_op_unary(s.op, x[k], s.alpha, s.beta);
            continue;
        }
        float b[V];
        if (s.operand < 0) {
#pragma unroll
            for (int k = 0; k < V; k++) b[k] = s.alpha;
        } else {
            const struct gpu_chain_operand o = chain.operand[s.operand];
            const long long at = o.per_channel ? image * o.image_stride + c : pixel * (o.pitch ? o.pitch : pitch) + c;
            if (wide >> s.operand & 1)
                gpu_load_vec<T, V>((const T *)operand.p[s.operand] + at, b);
            else
                gpu_load_any_vec<T, V>(o.elem, operand.p[s.operand], at, 1, V, b);
        }
#pragma unroll
        for (int k = 0; k < V; k++) x[k] = gpu_op_binary(s.op, x[k], b[k]);
    }
}

// Operands behind an image of which whole vectors of V may be read.
template <typename T, int V>
static unsigned gpu_wide_operands(const struct gpu_chain *chain, const struct gpu_pointers *operand, int pitch)
{
    unsigned wide = 0;
    for (int i = 0; i < chain->n_operands; i++) {
        const struct gpu_chain_operand *o = &chain->operand[i];
        const long long step = o->per_channel ? o->image_stride : o->pitch ? o->pitch : pitch;
        if (o->elem == gpu_elem_of<T>::value && step % V == 0 && gpu_aligned(operand->p[i], V * sizeof(T)))
            wide |= 1u << i;
    }
    return V > 1 ? wide : 0;
}

// Calls a launcher template for the float types.
#define GPU_BY_ELEM(elem, ...)        \
    switch (elem) {                   \
    case GPU_ELEM_F32: {              \
        typedef float T;              \
        __VA_ARGS__;                  \
        break;                        \
    }                                 \
    case GPU_ELEM_F16: {              \
        typedef __half T;             \
        __VA_ARGS__;                  \
        break;                        \
    }                                 \
    case GPU_ELEM_BF16: {             \
        typedef __nv_bfloat16 T;      \
        __VA_ARGS__;                  \
        break;                        \
    }                                 \
    default:                          \
        return cudaErrorInvalidValue; \
    }

#endif

// SPDX-License-Identifier: MIT
//
// The matrix instruction of sm_80 and later, mma.m16n8k16 (PTX ISA, "Matrix
// fragments for mma.m16n8k16 with floating point type"): 16-bit factors, float
// sums. All 32 threads of a warp call it together. With group = lane / 4 and
// t = lane % 4 a thread holds, two 16-bit numbers a register,
//   a[0]: row group,     columns 2t and 2t + 1     a[1]: row group + 8, the same
//   a[2]: row group,     columns 2t + 8 and 2t + 9 a[3]: row group + 8, the same
//   b0:   rows 2t and 2t + 1 of column group       b1:   rows 2t + 8 and 2t + 9
//   c, d: c0, c1: row group, columns 2t and 2t + 1; c2, c3: row group + 8
// The order in which an instruction sums its 16 products is the hardware's, the
// same for every row. On the CPU (tests/cuda_cpu) the sum is exact and rounded once.
// Included by .cu files only.
#ifndef REEL_KERNELS_GPU_MMA_CUH
#define REEL_KERNELS_GPU_MMA_CUH

#include "kernels/gpu/common.cuh"

// Whether this pass of the compiler has it: kernels are empty otherwise, and their
// launchers are not called (conv_way.h).
#if defined(REEL_CUDA_CPU) || (defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800)
#define GPU_HAS_MMA 1
#else
#define GPU_HAS_MMA 0
#endif

// Two numbers, rounded to 16 bits, in a register: the first in the lower half.
template <typename T> static __device__ __forceinline__ uint32_t gpu_pack(float first, float second)
{
    union {
        T v[2];
        uint32_t word;
    } both;
    gpu_store(&both.v[0], first);
    gpu_store(&both.v[1], second);
    return both.word;
}

// Four matrices of 8 rows of 8 16-bit numbers from shared memory (PTX ISA, "ldmatrix"):
// thread 8 m + r says where row r of matrix m lies, aligned to 16 bytes. It gets of each
// matrix columns 2t and 2t + 1 of row group; turned: rows 2t and 2t + 1 of column group.
template <typename T> static __device__ __forceinline__ void gpu_load_matrices(const T *row, uint32_t out[4]);
template <typename T> static __device__ __forceinline__ void gpu_load_matrices_turned(const T *row, uint32_t out[4]);

#ifdef REEL_CUDA_CPU

template <typename T> static inline void gpu_load_matrices(const T *row, uint32_t out[4])
{
    const T *const *rows = (const T *const *)cuda_cpu_hand_in(&row, sizeof row);
    const int lane = cuda_cpu_lane();
    for (int m = 0; m < 4; m++) memcpy(&out[m], rows[8 * m + lane / 4] + 2 * (lane % 4), 4);
}

template <typename T> static inline void gpu_load_matrices_turned(const T *row, uint32_t out[4])
{
    const T *const *rows = (const T *const *)cuda_cpu_hand_in(&row, sizeof row);
    const int lane = cuda_cpu_lane(), t = lane % 4;
    for (int m = 0; m < 4; m++)
        for (int e = 0; e < 2; e++) memcpy((char *)&out[m] + 2 * e, rows[8 * m + 2 * t + e] + lane / 4, 2);
}

struct gpu_mma_part {
    uint32_t a[4], b[2];
};

template <typename T> static inline float gpu_mma_number(uint32_t word, int high)
{
    const uint16_t bits = (uint16_t)(high ? word >> 16 : word);
    T v;
    memcpy(&v, &bits, sizeof v);
    return gpu_load(&v);
}

template <typename T>
static inline void gpu_mma(const uint32_t a[4], uint32_t b0, uint32_t b1, float &c0, float &c1, float &c2, float &c3)
{
    const gpu_mma_part mine = {{a[0], a[1], a[2], a[3]}, {b0, b1}};
    const gpu_mma_part *warp = (const gpu_mma_part *)cuda_cpu_hand_in(&mine, sizeof mine);
    const int lane = cuda_cpu_lane(), group = lane / 4, t = lane % 4;
    float *const d[4] = {&c0, &c1, &c2, &c3};
    for (int i = 0; i < 4; i++) {
        const int row = group, upper = i / 2, column = 2 * t + i % 2;
        double sum = *d[i];
        for (int k = 0; k < 16; k++) { // column k of a, row k of b
            const int half = k / 8, owner = k % 8 / 2;
            sum += (double)gpu_mma_number<T>(warp[row * 4 + owner].a[2 * half + upper], k % 2) *
                   (double)gpu_mma_number<T>(warp[column * 4 + owner].b[half], k % 2);
        }
        *d[i] = (float)sum;
    }
}

#else

template <typename T>
static __device__ __forceinline__ void gpu_mma(const uint32_t a[4], uint32_t b0, uint32_t b1, float &c0, float &c1,
                                               float &c2, float &c3);

#if GPU_HAS_MMA
template <typename T> static __device__ __forceinline__ void gpu_load_matrices(const T *row, uint32_t out[4])
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
                 : "r"((uint32_t)__cvta_generic_to_shared(row)));
}

template <typename T> static __device__ __forceinline__ void gpu_load_matrices_turned(const T *row, uint32_t out[4])
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
                 : "r"((uint32_t)__cvta_generic_to_shared(row)));
}

template <>
__device__ __forceinline__ void gpu_mma<__half>(const uint32_t a[4], uint32_t b0, uint32_t b1, float &c0, float &c1,
                                                float &c2, float &c3)
{
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
                 "{%0,%1,%2,%3};"
                 : "+f"(c0), "+f"(c1), "+f"(c2), "+f"(c3)
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

template <>
__device__ __forceinline__ void gpu_mma<__nv_bfloat16>(const uint32_t a[4], uint32_t b0, uint32_t b1, float &c0,
                                                       float &c1, float &c2, float &c3)
{
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
                 "{%0,%1,%2,%3};"
                 : "+f"(c0), "+f"(c1), "+f"(c2), "+f"(c3)
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
#endif

#endif

#endif

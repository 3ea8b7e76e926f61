// SPDX-License-Identifier: MIT
//
// gpu_conv()'s ways for few channels (conv_way.h), each in a file of its own.
// _fits: whether memory lies as the kernel needs it, where gpu_conv_way_of() names it.
// Included by these files.
#ifndef REEL_KERNELS_GPU_CONV_FEW_CUH
#define REEL_KERNELS_GPU_CONV_FEW_CUH

#include "kernels/gpu/chain.cuh"

// For GPU_CONV_FEW, and for GPU_CONV_FEW_IN of few results that does not fit.
bool gpu_conv_few_fits(const struct gpu_conv *p, const void *y);
bool gpu_conv_few_in_fits(const struct gpu_conv *p, const void *y);
bool gpu_conv_few_out_fits(const struct gpu_conv *p, const void *x, const void *w);
// As gpu_conv().
int gpu_conv_few(const struct gpu_conv *p, const void *x, const void *w, const struct gpu_pointers &operand, void *y,
                 void *stream);
int gpu_conv_few_in(const struct gpu_conv *p, const void *x, const void *w, const struct gpu_pointers &operand, void *y,
                    void *stream);
int gpu_conv_few_out(const struct gpu_conv *p, const void *x, const void *w, const struct gpu_pointers &operand,
                     void *y, void *stream);

#endif

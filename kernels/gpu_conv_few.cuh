// SPDX-License-Identifier: MIT
//
// gpu_conv()'s way for few input channels (gpu_conv_few.cu). Included by these two.
#ifndef REEL_KERNELS_GPU_CONV_FEW_CUH
#define REEL_KERNELS_GPU_CONV_FEW_CUH

#include "kernels/gpu_chain.cuh"

// Whether it is such a convolution whose result lies so that vectors can be stored.
bool gpu_conv_few_fits(const struct gpu_conv *p, const void *y);
// As gpu_conv().
int gpu_conv_few(const struct gpu_conv *p, const void *x, const void *w, const struct gpu_pointers &operand, void *y,
                 void *stream);

#endif

// SPDX-License-Identifier: MIT
//
// The convolution kernels in the compiler's own vectors, for any CPU; see
// conv_body.inc.
#include "kernels/conv_cpu.h"

// A vector of 8 lanes is two registers here. That is fine because no vector is passed between files.
#define VL 8
#define R1 4
#define R2 2
#define R3 1
#define TABLE_NAME conv_kernels_base
#define TABLE_ISA CPU_ISA_BASE
#define TABLE_TEXT "base"
extern const struct conv_kernels TABLE_NAME;
#include "kernels/conv_body.inc"

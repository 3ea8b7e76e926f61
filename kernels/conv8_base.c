// SPDX-License-Identifier: MIT
//
// The 8-bit kernels in the compiler's own vectors, for any CPU; see
// conv8_body.inc.
#include "kernels/conv8.h"

// A vector of 8 lanes is two registers here. That is fine because no vector is passed between files.
#define VL 8
#define DOT_PLAIN
#define R1 2
#define R2 1
#define R3 1
#define TABLE8 conv8_kernels_base
#define TABLE8_TEXT "base"
extern const struct conv8_kernels TABLE8;
#include "kernels/conv8_body.inc"

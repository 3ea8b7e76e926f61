// SPDX-License-Identifier: MIT
//
// Element types of 8 bits and less that no CPU computes in: float8, float4,
// float8e8m0 and integers of 4 and 2 bits. In tensors each element has a byte of
// its own; files pack those of 4 and 2 bits. tensor.c builds reel_convert() on
// this.
#ifndef REEL_COMMON_NARROW_H
#define REEL_COMMON_NARROW_H

#include "common/tensor.h"

// float8e4m3fn, float8e4m3fnuz, float8e5m2, float8e5m2fnuz, float8e8m0, float4e2m1.
bool reel_is_narrow_float(enum reel_dtype dtype);
// int4, uint4, int2, uint2.
bool reel_is_narrow_int(enum reel_dtype dtype);
// The byte type whose values a narrow integer has: int8 or uint8.
enum reel_dtype reel_narrow_int_base(enum reel_dtype dtype);
// 1, 2 or 4: how many elements a byte of a file holds.
int reel_elements_a_byte(enum reel_dtype dtype);

float reel_narrow_to_f32(enum reel_dtype dtype, uint8_t code);
// Rounds to nearest even. What is beyond the largest finite value, infinities
// too, becomes that with saturate, else the type's infinity or NaN; float4 always
// saturates. float8e8m0 rounds up (away from zero).
uint8_t reel_f32_to_narrow(enum reel_dtype dtype, float x, bool saturate);
enum reel_e8m0_round { REEL_E8M0_UP, REEL_E8M0_DOWN, REEL_E8M0_NEAREST };
uint8_t reel_f32_to_e8m0(float x, bool saturate, enum reel_e8m0_round round);
void reel_narrow_to_f32_array(enum reel_dtype dtype, float *dst, const uint8_t *src, int64_t count);
// A double as a float whose last bit is set when anything was cut off: rounding
// that to a narrower type gives the directly rounded result. In tensor.c.
float reel_f64_to_f32_odd(double x);
// Keeps the low bits of each byte, with the sign extended: what storing an
// integer in fewer bits leaves.
void reel_narrow_int_wrap(enum reel_dtype dtype, uint8_t *bytes, int64_t count);

#endif

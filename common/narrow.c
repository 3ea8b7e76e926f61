// SPDX-License-Identifier: MIT
//
// Narrow element types; see narrow.h. Formats: OCP 8-bit Floating Point
// Specification (E4M3, E5M2), OCP Microscaling Formats (E2M1, E8M0), arXiv
// 2206.02915 (the FNUZ kinds); special values by ONNX's Cast-25.
#include "common/narrow.h"

#include <math.h>
#include <string.h>

struct format {
    int mantissa, bias;
    uint8_t most, nan, inf; // codes without sign; 0 for nan or inf: the format has none
    bool one_zero;          // the code of negative zero is the only NaN
    int sign_bit;
};

static const struct format *format_of(enum reel_dtype dtype)
{
    static const struct format e4m3fn = {3, 7, 0x7e, 0x7f, 0, false, 7}, e4m3fnuz = {3, 8, 0x7f, 0, 0, true, 7},
                               e5m2 = {2, 15, 0x7b, 0x7e, 0x7c, false, 7}, e5m2fnuz = {2, 16, 0x7f, 0, 0, true, 7},
                               e2m1 = {1, 1, 0x07, 0, 0, false, 3};
    switch (dtype) {
    case REEL_F8E4M3FN:
        return &e4m3fn;
    case REEL_F8E4M3FNUZ:
        return &e4m3fnuz;
    case REEL_F8E5M2:
        return &e5m2;
    case REEL_F8E5M2FNUZ:
        return &e5m2fnuz;
    default:
        return &e2m1;
    }
}

bool reel_is_narrow_float(enum reel_dtype dtype)
{
    return dtype >= REEL_F8E4M3FN && dtype <= REEL_F4E2M1;
}

bool reel_is_narrow_int(enum reel_dtype dtype)
{
    return dtype >= REEL_I4 && dtype <= REEL_U2;
}

enum reel_dtype reel_narrow_int_base(enum reel_dtype dtype)
{
    return dtype == REEL_I4 || dtype == REEL_I2 ? REEL_I8 : REEL_U8;
}

int reel_elements_a_byte(enum reel_dtype dtype)
{
    if (dtype == REEL_I4 || dtype == REEL_U4 || dtype == REEL_F4E2M1) return 2;
    return dtype == REEL_I2 || dtype == REEL_U2 ? 4 : 1;
}

float reel_narrow_to_f32(enum reel_dtype dtype, uint8_t code)
{
    if (dtype == REEL_F8E8M0) return code == 0xff ? NAN : ldexpf(1.0f, code - 127);
    const struct format *f = format_of(dtype);
    const uint8_t sign = (uint8_t)(code >> f->sign_bit & 1), c = code & (uint8_t)((1 << f->sign_bit) - 1);
    if (f->one_zero && sign && !c) return NAN;
    if (f->inf && c == f->inf) return sign ? -INFINITY : INFINITY;
    if (f->nan && c > f->most) return copysignf(NAN, sign ? -1.0f : 1.0f);
    const int exponent = c >> f->mantissa, fraction = c & ((1 << f->mantissa) - 1);
    const float x = exponent ? ldexpf((float)(fraction + (1 << f->mantissa)), exponent - f->bias - f->mantissa)
                             : ldexpf((float)fraction, 1 - f->bias - f->mantissa);
    return sign ? -x : x;
}

uint8_t reel_f32_to_e8m0(float x, bool saturate, enum reel_e8m0_round round)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    const uint32_t exponent = u >> 23 & 255, fraction = u & 0x7fffff;
    if (exponent == 255) return fraction || !saturate ? 0xff : 0xfe;
    // The smallest value is 2^-127; as a float that is a subnormal with this fraction.
    const uint32_t least = 0x400000;
    if (exponent == 0) {
        if (fraction <= least || round == REEL_E8M0_DOWN) return 0;
        return round == REEL_E8M0_UP || fraction >= least + least / 2;
    }
    const bool up = (round == REEL_E8M0_UP && fraction) || (round == REEL_E8M0_NEAREST && fraction >= 0x400000);
    return (uint8_t)(exponent == 254 && saturate ? 254 : exponent + up);
}

uint8_t reel_f32_to_narrow(enum reel_dtype dtype, float x, bool saturate)
{
    if (dtype == REEL_F8E8M0) return reel_f32_to_e8m0(x, saturate, REEL_E8M0_UP);
    const struct format *f = format_of(dtype);
    const uint8_t sign = (uint8_t)((signbit(x) ? 1 : 0) << f->sign_bit), only_nan = 0x80;
    if (isnan(x)) {
        if (f->one_zero) return only_nan;
        // float4 has no NaN; ONNX's reference implementation gives a zero of the opposite sign.
        return f->nan ? f->nan | sign : sign ^ (uint8_t)(1 << f->sign_bit);
    }
    const float a = fabsf(x);
    uint32_t code = UINT32_MAX;
    if (!isinf(a)) {
        // a = n 2^q with n <= 2^(mantissa + 1); if rounding carries, the sum increments the exponent.
        int exponent;
        frexpf(a, &exponent);
        exponent = a == 0 || exponent - 1 < 1 - f->bias ? 1 - f->bias : exponent - 1;
        const double n = nearbyint(ldexp((double)a, f->mantissa - exponent));
        code = ((uint32_t)(exponent + f->bias - 1) << f->mantissa) + (uint32_t)n;
    }
    if (code > f->most) {
        if (saturate || dtype == REEL_F4E2M1) return f->most | sign;
        if (f->one_zero) return only_nan;
        return (f->inf ? f->inf : f->nan) | sign;
    }
    return (uint8_t)code | (code || !f->one_zero ? sign : 0);
}

void reel_narrow_to_f32_array(enum reel_dtype dtype, float *dst, const uint8_t *src, int64_t count)
{
    enum { FEW = 256 }; // from as many elements as codes on, a table pays off
    if (count < FEW) {
        for (int64_t i = 0; i < count; i++) dst[i] = reel_narrow_to_f32(dtype, src[i]);
        return;
    }
    float table[FEW];
    for (int i = 0; i < FEW; i++) table[i] = reel_narrow_to_f32(dtype, (uint8_t)i);
    for (int64_t i = 0; i < count; i++) dst[i] = table[src[i]];
}

void reel_narrow_int_wrap(enum reel_dtype dtype, uint8_t *bytes, int64_t count)
{
    const int unused = dtype == REEL_I4 || dtype == REEL_U4 ? 4 : 6;
    const bool is_signed = reel_narrow_int_base(dtype) == REEL_I8;
    for (int64_t i = 0; i < count; i++) {
        const uint8_t top = (uint8_t)(bytes[i] << unused);
        bytes[i] = is_signed ? (uint8_t)((int8_t)top >> unused) : (uint8_t)(top >> unused);
    }
}

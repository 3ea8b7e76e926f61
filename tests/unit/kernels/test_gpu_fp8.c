// SPDX-License-Identifier: MIT
//
// e4m3: all 256 codes, every rounding between neighbours, saturation and NaN,
// against values written out by the format's definition; the kernel that brings
// images there, executed on the CPU (tests/cuda_cpu), against its twin.
// tests/gpu/test_fp8.c is this file once more, on a GPU, whose own conversion
// then stands beside ours.
#include "kernels/gpu/fp8.h"

#include "tests/unit/kernels/ops.h"

// Micikevicius et al. 2022, table 1.
static double by_definition(int code)
{
    const int e = code >> 3 & 15, m = code & 7;
    const double v = e ? ldexp(1 + m / 8.0, e - 7) : ldexp(m / 8.0, -6);
    return code & 0x80 ? -v : v;
}

static void every_code_is_its_number(void)
{
    for (int code = 0; code < 256; code++) {
        const float v = gpu_f8_value((uint8_t)code);
        if ((code & 0x7f) == GPU_F8_NAN) {
            CHECK_MSG(isnan(v), "code %02x is %g", (unsigned)code, (double)v);
            CHECK_INT(gpu_f8_of(v), GPU_F8_NAN);
            continue;
        }
        CHECK_MSG((double)v == by_definition(code) && !signbit(v) == !(code & 0x80), "code %02x is %g", (unsigned)code,
                  (double)v);
        CHECK_INT(gpu_f8_of(v), code);
    }
    CHECK_MSG(gpu_f8_value(0x7e) == GPU_F8_MAX, "%g", (double)gpu_f8_value(0x7e));
}

// Between neighbours a and b: the middle goes to the even code, what lies a float
// beside it to the nearer one.
static void rounds_to_nearest_even(void)
{
    for (int code = 0; code < 0x7e; code++) {
        const float a = gpu_f8_value((uint8_t)code), b = gpu_f8_value((uint8_t)(code + 1)), middle = a + (b - a) / 2;
        for (int sign = 0; sign < 0x100; sign += 0x80) {
            const float s = sign ? -1 : 1;
            CHECK_INT(gpu_f8_of(s * middle), (code & 1 ? code + 1 : code) | sign);
            CHECK_INT(gpu_f8_of(s * nextafterf(middle, 0)), code | sign);
            CHECK_INT(gpu_f8_of(s * nextafterf(middle, 1000)), (code + 1) | sign);
            CHECK_INT(gpu_f8_of(s * nextafterf(b, 0)), (code + 1) | sign);
        }
    }
}

static void saturates(void)
{
    static const float above[] = {448, 449, 463.99f, 464, 465, 480, 512, 1e6f, 3.4e38f, INFINITY};
    for (size_t i = 0; i < sizeof above / sizeof *above; i++) {
        CHECK_INT(gpu_f8_of(above[i]), 0x7e);
        CHECK_INT(gpu_f8_of(-above[i]), 0xfe);
    }
    static const float tiny[] = {0, 0x1p-149f, 0x1p-126f, 0x1p-10f, 0x1.fffffep-11f};
    for (size_t i = 0; i < sizeof tiny / sizeof *tiny; i++) {
        CHECK_INT(gpu_f8_of(tiny[i]), 0);
        CHECK_INT(gpu_f8_of(-tiny[i]), 0x80);
    }
    CHECK_INT(gpu_f8_of(0x1.000002p-10f), 1);
    CHECK_INT(gpu_f8_of(NAN), GPU_F8_NAN);
    CHECK_INT(gpu_f8_of(-NAN), GPU_F8_NAN);
}

// More than every tie.
static void every_half_through_the_kernel(void)
{
    CASES(5)
    {
        struct mem x = make(GPU_ELEM_F16, 65536, 0, 1), y = make(GPU_ELEM_U8, 65536, 0, 1), want = copy_of(&y);
        for (int i = 0; i < 65536; i++) ((uint16_t *)x.p)[i] = (uint16_t)i;
        struct gpu_quantise all = {
            .elem = GPU_ELEM_F16, .pixels = 65536 / 32, .channels = 32, .x_pitch = 32, .scale = 1};
        all.scale = ldexpf(1, pick(-8, 8));
        gpu_quantise_ref(&all, x.p, want.p);
        CHECK_INT(gpu_quantise(&all, x.p, y.p, NULL), 0);
        SAME(y, want, "every half");
        drop(&x), drop(&y), drop(&want);
    }
}

static void the_kernel_equals_its_twin(void)
{
    CASES(60)
    {
        struct gpu_quantise p = {.elem = any_float(), .pixels = pick(1, 200), .channels = 16 * pick(1, 6)};
        p.x_pitch = p.channels + (pick(0, 1) ? 8 * pick(1, 4) : 0);
        p.scale = ldexpf(1, pick(-6, 6));
        struct mem a = make((enum gpu_elem)p.elem, p.pixels * p.x_pitch, -20, 20);
        struct mem b = make(GPU_ELEM_U8, p.pixels * p.channels, 0, 1), c = copy_of(&b);
        for (int i = 0; i < 20; i++)
            gpu_elem_store((enum gpu_elem)p.elem, a.p, pick(0, (int)a.n - 1),
                           ldexpf((float)pick(-9, 9), pick(-14, 12)));
        gpu_quantise_ref(&p, a.p, c.p);
        CHECK_INT(gpu_quantise(&p, a.p, b.p, NULL), 0);
        SAME(b, c, "quantise");
        drop(&a), drop(&b), drop(&c);
    }
    struct gpu_quantise odd = {.elem = GPU_ELEM_F16, .pixels = 1, .channels = 24, .x_pitch = 24, .scale = 1};
    CHECK(gpu_quantise(&odd, NULL, NULL, NULL) != 0);
}

OPS_MAIN({"every code is its number", every_code_is_its_number}, {"rounds to nearest even", rounds_to_nearest_even},
         {"saturates; NaN stays", saturates}, {"every half through the kernel", every_half_through_the_kernel},
         {"the kernel equals its twin", the_kernel_equals_its_twin})

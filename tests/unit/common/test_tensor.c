// SPDX-License-Identifier: MIT
//
// Tensors: 16-bit floats over all their values, conversions, .npy files and
// what is wrong with them.
#include "common/tensor.h"

#include <unistd.h>

#include "tests/check.h"

// The value of a half from its bits, by definition.
static double half_value(uint16_t h)
{
    int exp = h >> 10 & 31, man = h & 1023;
    double x = exp == 31 ? (man ? NAN : INFINITY) : exp ? ldexp(1024 + man, exp - 25) : ldexp(man, -24);
    return h & 0x8000 ? -x : x;
}

static void every_half(void)
{
    static uint16_t all[65536], back[65536];
    static float wide[65536];
    for (int i = 0; i < 65536; i++) all[i] = (uint16_t)i;
    reel_convert(wide, REEL_F32, all, REEL_F16, 65536);
    reel_convert(back, REEL_F16, wide, REEL_F32, 65536);
    for (int i = 0; i < 65536; i++) {
        double x = half_value((uint16_t)i);
        float f = reel_f16_to_f32((uint16_t)i);
        if (isnan(x)) {
            CHECK_MSG(isnan(f) && isnan(wide[i]), "half %04x must be a NaN", i);
            CHECK_MSG((reel_f32_to_f16(f) & 0x7c00) == 0x7c00 && reel_f32_to_f16(f) & 0x3ff, "half %04x", i);
            continue;
        }
        CHECK_MSG((double)f == x && wide[i] == f, "half %04x is %g, %g in the array, not %g", i, (double)f,
                  (double)wide[i], x);
        CHECK_INT(reel_f32_to_f16(f), i);
        CHECK_INT(back[i], i);
        CHECK_INT(reel_f32_to_bf16(reel_bf16_to_f32((uint16_t)i)), i);
    }
}

// Between two neighbours: nearest, ties to even; the array code agrees.
static void rounding_to_half(void)
{
    for (int i = 0; i < 0x7bff; i++) {
        double lo = half_value((uint16_t)i), hi = half_value((uint16_t)(i + 1)), mid = (lo + hi) / 2;
        float in[16] = {0};
        in[0] = (float)mid;
        in[1] = nextafterf((float)mid, -INFINITY);
        in[2] = nextafterf((float)mid, INFINITY);
        in[3] = -(float)mid;
        int want[4] = {i + (i & 1), i, i + 1, 0x8000 | (i + (i & 1))};
        uint16_t out[16];
        reel_convert(out, REEL_F16, in, REEL_F32, 16);
        for (int k = 0; k < 4; k++) {
            CHECK_MSG(reel_f32_to_f16(in[k]) == want[k], "%g gives %04x, not %04x", (double)in[k],
                      reel_f32_to_f16(in[k]), want[k]);
            CHECK_INT(out[k], want[k]);
        }
    }
    CHECK_INT(reel_f32_to_f16(65519.996f), 0x7bff);
    CHECK_INT(reel_f32_to_f16(65520), 0x7c00);
    CHECK_INT(reel_f32_to_f16(1e-8f), 0);
    CHECK_INT(reel_f32_to_bf16(1.00390625f), 0x3f80); // halfway: to even
    // From double the rounding happens once: 1 + 2^-11 + 2^-30 is above the tie.
    double d = 1 + 0x1p-11 + 0x1p-30;
    uint16_t h;
    reel_convert(&h, REEL_F16, &d, REEL_F64, 1);
    CHECK_INT(h, 0x3c01);
}

static void conversions(void)
{
    const float f[] = {-1.9f, 1.9f, 300, -1, 0, NAN, 3e9f};
    int8_t i8[7];
    uint8_t u8[7], b[7];
    int64_t i64[7];
    reel_convert(i8, REEL_I8, f, REEL_F32, 7);
    reel_convert(u8, REEL_U8, f, REEL_F32, 7);
    reel_convert(i64, REEL_I64, f, REEL_F32, 7);
    reel_convert(b, REEL_BOOL, f, REEL_F32, 7);
    CHECK_INT(i8[0], -1);
    CHECK_INT(i8[1], 1);
    CHECK_INT(u8[2], 300 - 256);
    CHECK_INT(u8[3], 255);
    CHECK_INT(i64[6], 3000000000);
    CHECK_INT(b[4], 0);
    CHECK_INT(b[5], 1);
    const int64_t big = (INT64_C(1) << 62) + 1;
    double d;
    float x;
    reel_convert(&d, REEL_F64, &big, REEL_I64, 1);
    reel_convert(&x, REEL_F32, &big, REEL_I64, 1);
    CHECK(d == 0x1p62 && x == 0x1p62f);
    const double most = 18e18;
    uint64_t u64;
    reel_convert(&u64, REEL_U64, &most, REEL_F64, 1);
    CHECK(u64 == UINT64_C(18000000000000000000));
}

static void counts_do_not_overflow(void)
{
    struct reel_shape s = {.ndim = 3, .dim = {INT64_MAX, 2, 2}};
    CHECK_INT(reel_shape_count(&s), -1);
    s = (struct reel_shape){.ndim = 4, .dim = {1 << 20, 1 << 20, 1 << 20, 1 << 20}};
    CHECK_INT(reel_shape_count(&s), -1);
    s = (struct reel_shape){.ndim = 3, .dim = {1 << 20, 0, 1 << 20}};
    CHECK_INT(reel_shape_count(&s), 0);
    s = (struct reel_shape){.ndim = 2, .dim = {3, -1}};
    CHECK_INT(reel_shape_count(&s), -1);
    struct reel_tensor t;
    CHECK_INT(reel_tensor_init(&t, REEL_F32, &s), REEL_ERR_LIMIT);
    char text[8];
    CHECK_STR(reel_shape_text(&s, text, sizeof text), "3x?");
    s = (struct reel_shape){.ndim = 8, .dim = {1000, 1000, 1000, 1, 1, 1, 1, 1}};
    CHECK_STR(reel_shape_text(&s, text, sizeof text), "1000x10");
}

// ---- files ------------------------------------------------------------------

static char folder[CHECK_FOLDER_BYTES];

static const char *file(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void npy_round_trip(void)
{
    for (enum reel_dtype dtype = REEL_F32; dtype <= REEL_BOOL; dtype++)
        for (int ndim = 0; ndim <= 4; ndim++) {
            struct reel_shape s = {.ndim = ndim, .dim = {2, 3, ndim == 3 ? 0 : 1, 4}};
            struct reel_tensor t, back;
            CHECK_INT(reel_tensor_init(&t, dtype, &s), REEL_OK);
            for (int64_t i = 0; i < reel_tensor_count(&t); i++) {
                int64_t x = i % 2 ? i : 1;
                if (dtype == REEL_BOOL) x = i & 1;
                reel_convert((char *)t.data + (size_t)i * reel_dtype_bytes(dtype), dtype, &x, REEL_I64, 1);
            }
            CHECK_INT(reel_npy_write(file("t.npy"), &t), REEL_OK);
            CHECK_INT(reel_npy_read(file("t.npy"), &back), REEL_OK);
            CHECK_STR(reel_dtype_name(back.dtype), reel_dtype_name(dtype));
            CHECK(reel_shape_equal(&back.shape, &s));
            CHECK(!memcmp(back.data, t.data, reel_tensor_bytes(&t)));
            reel_tensor_fini(&t);
            reel_tensor_fini(&back);
        }
    unlink(file("t.npy"));
}

static enum reel_err read_bytes(const char *lead, int lead_bytes, const char *header, int data_bytes)
{
    FILE *f = fopen(file("bad.npy"), "wb");
    fwrite(lead, 1, (size_t)lead_bytes, f);
    fputs(header, f);
    for (int i = 0; i < data_bytes; i++) fputc(i, f);
    fclose(f);
    struct reel_tensor t;
    enum reel_err err = reel_npy_read(file("bad.npy"), &t);
    reel_tensor_fini(&t);
    unlink(file("bad.npy"));
    return err;
}

static enum reel_err read_header(const char *header, int data_bytes)
{
    char lead[10] = "\x93NUMPY\x01";
    lead[8] = (char)strlen(header);
    lead[9] = (char)(strlen(header) >> 8);
    return read_bytes(lead, 10, header, data_bytes);
}

// numpy.save of a transposed array: 0 1 2 3 4 5 of shape (3, 2), the first index fastest.
static void fortran_order(void)
{
    FILE *f = fopen(file("f.npy"), "wb");
    const char header[] = "{'descr': '|u1', 'fortran_order': True, 'shape': (3, 1, 2), }\n";
    fwrite("\x93NUMPY\x01\0", 1, 8, f);
    fputc(sizeof header - 1, f);
    fputc(0, f);
    fputs(header, f);
    for (int i = 0; i < 6; i++) fputc(i, f);
    fclose(f);
    struct reel_tensor t;
    CHECK_INT(reel_npy_read(file("f.npy"), &t), REEL_OK);
    CHECK_INT(t.shape.ndim, 3);
    const uint8_t want[] = {0, 3, 1, 4, 2, 5};
    const bool same = !memcmp(t.data, want, 6);
    reel_tensor_fini(&t);
    unlink(file("f.npy"));
    CHECK(same);
}

static void hostile_npy(void)
{
    CHECK_INT(read_header("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n", 8), REEL_OK);
    CHECK_INT(read_header("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n", 7), REEL_ERR_INPUT);
    CHECK_INT(read_header("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999,), }\n", 8), REEL_ERR_INPUT);
    CHECK_INT(read_header("{'descr': '<f4', 'fortran_order': False, 'shape': (9999999999, 9999999999), }", 8),
              REEL_ERR_LIMIT);
    CHECK_INT(read_header("{'descr': '<f4', 'fortran_order': False, 'shape': (-2,), }\n", 8), REEL_ERR_INPUT);
    CHECK_INT(read_header("{'descr': '<f4', 'fortran_order': False, 'shape': (2", 8), REEL_ERR_INPUT);
    CHECK_INT(read_header("{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1), }", 8),
              REEL_ERR_UNSUPPORTED);
    CHECK_INT(read_header("{'descr': '<f4', 'fortran_order': True, 'shape': (0, 9999999999, 9999999999), }\n", 8),
              REEL_ERR_LIMIT);
    CHECK_INT(read_header("{'descr': '>f4', 'fortran_order': False, 'shape': (2,), }\n", 8), REEL_ERR_UNSUPPORTED);
    CHECK_INT(read_header("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,)}", 8), REEL_ERR_UNSUPPORTED);
    CHECK_INT(read_header("", 0), REEL_ERR_INPUT);
    CHECK_INT(read_bytes("\x93NUMPY\x02\x00\xff\xff\xff\xff", 12, "{", 8), REEL_ERR_INPUT);
    CHECK_INT(read_bytes("\x93NUMPZ\x01\x00\x01\x00", 10, "{", 8), REEL_ERR_INPUT);
    CHECK_INT(read_bytes("", 0, "", 0), REEL_ERR_INPUT);
    struct reel_tensor t;
    CHECK_INT(reel_npy_read(folder, &t), REEL_ERR_INPUT);
    CHECK_INT(reel_npy_read(file("none.npy"), &t), REEL_ERR_IO);
    CHECK_HAS(reel_fail_text(), "none.npy");
}

static void failure_texts(void)
{
    reel_fail(REEL_ERR_IO, "could not open video \"%s\": %s", "a.mp4", "no such file");
    CHECK_INT(reel_fail_prefix(REEL_ERR_IO, "job %d: ", 3), REEL_ERR_IO);
    CHECK_STR(reel_fail_text(), "job 3: could not open video \"a.mp4\": no such file");
    reel_fail(REEL_ERR_IO, "again: %s", reel_fail_text()); // reads the text that it replaces
    CHECK_STR(reel_fail_text(), "again: job 3: could not open video \"a.mp4\": no such file");
    CHECK_STR(reel_err_name(REEL_ERR_LIMIT), "limit");
}

static const struct check_case cases[] = {
    {"every_half", every_half},         {"rounding_to_half", rounding_to_half},
    {"conversions", conversions},       {"counts_do_not_overflow", counts_do_not_overflow},
    {"npy_round_trip", npy_round_trip}, {"hostile_npy", hostile_npy},
    {"fortran_order", fortran_order},   {"failure_texts", failure_texts},
};

int main(int argc, char **argv)
{
    check_folder(folder);
    int code = check_main(cases, (int)(sizeof cases / sizeof cases[0]), argc, argv);
    rmdir(folder);
    return code;
}

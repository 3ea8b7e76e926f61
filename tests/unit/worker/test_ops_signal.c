// SPDX-License-Identifier: MIT
//
// Windows and transforms against their definitions.
#include "tests/unit/worker/op_case.h"

static void transform_of_a_real_signal_and_back(void)
{
    struct op_case c = op_case("DFT", 20);
    op_input(&c, REEL_F64, SHAPE(1, 4, 1), (double[]){1, 2, 3, 4});
    op_attr_int(&c, "onesided", 1);
    CHECK(op_result(&c, REEL_F64, SHAPE(1, 3, 2), (double[]){10, 0, -2, 2, -2, 0}));
    c = op_case("DFT", 20);
    op_input(&c, REEL_F64, SHAPE(1, 3, 2), (double[]){10, 0, -2, 2, -2, 0});
    op_attr_int(&c, "onesided", 1);
    op_attr_int(&c, "inverse", 1);
    CHECK(op_result(&c, REEL_F64, SHAPE(1, 4, 1), (double[]){1, 2, 3, 4}));
}

// Every radix and a larger prime against the definition.
static void transforms_of_all_lengths_agree_with_the_sum(void)
{
    static const int64_t lengths[] = {1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 22, 30, 60, 97};
    uint64_t seed = 9;
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        const int64_t n = lengths[i];
        double x[2 * 97];
        for (int64_t k = 0; k < 2 * n; k++) x[k] = (double)(check_rand(&seed) % 1000) / 1000.0;
        struct op_case c = op_case("DFT", 20);
        op_input(&c, REEL_F64, SHAPE(n, 2), x);
        CHECK(op_case_run(&c) == REEL_OK);
        const double *y = c.out[0].data;
        for (int64_t k = 0; k < n; k++) {
            double re = 0, im = 0;
            for (int64_t j = 0; j < n; j++) {
                const double at = -2 * M_PI * (double)(j * k % n) / (double)n;
                re += x[2 * j] * cos(at) - x[2 * j + 1] * sin(at);
                im += x[2 * j] * sin(at) + x[2 * j + 1] * cos(at);
            }
            CHECK_NEAR(y[2 * k], re, 1e-11);
            CHECK_NEAR(y[2 * k + 1], im, 1e-11);
        }
        op_case_fini(&c);
    }
}

static void windows_are_periodic_or_symmetric(void)
{
    struct op_case c = op_case("HannWindow", 17);
    op_input(&c, REEL_I64, SCALAR, (double[]){3});
    op_attr_int(&c, "periodic", 0);
    op_attr_int(&c, "output_datatype", 11);
    CHECK(op_result(&c, REEL_F64, SHAPE(3), (double[]){0, 1, 0}));
    c = op_case("HannWindow", 17);
    op_input(&c, REEL_I64, SCALAR, (double[]){-3});
    CHECK(op_refused(&c, "the size is negative"));
}

CHECK_MAIN({"transform_of_a_real_signal_and_back", transform_of_a_real_signal_and_back},
           {"transforms_of_all_lengths_agree_with_the_sum", transforms_of_all_lengths_agree_with_the_sum},
           {"windows_are_periodic_or_symmetric", windows_are_periodic_or_symmetric})

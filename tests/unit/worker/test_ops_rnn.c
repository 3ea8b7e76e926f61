// SPDX-License-Identifier: MIT
//
// Recurrent layers: sequence ends, directions, where the reset gate acts.
#include "tests/unit/worker/op_case.h"

// Zero weights: the gates are 1/2, the candidate 0, so each step halves the cell.
static void lstm_stops_at_a_sequence_end(void)
{
    struct op_case c = op_case("LSTM", 14);
    c.n_out = 3;
    op_input(&c, REEL_F32, SHAPE(2, 2, 1), (double[]){0, 0, 0, 0});
    op_input(&c, REEL_F32, SHAPE(1, 4, 1), (double[]){0, 0, 0, 0});
    op_input(&c, REEL_F32, SHAPE(1, 4, 1), (double[]){0, 0, 0, 0});
    op_absent(&c);
    op_input(&c, REEL_I32, SHAPE(2), (double[]){2, 1});
    op_absent(&c);
    op_input(&c, REEL_F32, SHAPE(1, 2, 1), (double[]){4, 4});
    CHECK(op_case_run(&c) == REEL_OK);
    CHECK(op_output(&c, 2, REEL_F32, SHAPE(1, 2, 1), (double[]){1, 2}));
    const double h1 = 0.5 * tanh(2), h2 = 0.5 * tanh(1);
    CHECK(op_output(&c, 0, REEL_F32, SHAPE(2, 1, 2, 1), (double[]){h1, h1, h2, 0}));
    CHECK(op_output(&c, 1, REEL_F32, SHAPE(1, 2, 1), (double[]){h2, h1}));
    op_case_fini(&c);
}

// A reverse layer starts at the end: with h' = tanh(x + h) of one element.
static void reverse_starts_at_the_end(void)
{
    struct op_case c = op_case("RNN", 14);
    op_input(&c, REEL_F64, SHAPE(2, 1, 1), (double[]){1, 2});
    op_input(&c, REEL_F64, SHAPE(1, 1, 1), (double[]){1});
    op_input(&c, REEL_F64, SHAPE(1, 1, 1), (double[]){1});
    op_attr_text(&c, "direction", "reverse");
    const double last = tanh(2);
    CHECK(op_result(&c, REEL_F64, SHAPE(2, 1, 1, 1), (double[]){tanh(1 + last), last}));
}

// The reset gate 1/2 acts before or after the product with R (2) and its bias (3).
static void gru_resets_before_or_after(void)
{
    for (int after = 0; after < 2; after++) {
        struct op_case c = op_case("GRU", 14);
        op_input(&c, REEL_F64, SHAPE(1, 1, 1), (double[]){0});
        op_input(&c, REEL_F64, SHAPE(1, 3, 1), (double[]){0, 0, 0});
        op_input(&c, REEL_F64, SHAPE(1, 3, 1), (double[]){0, 0, 2});
        op_input(&c, REEL_F64, SHAPE(1, 6), (double[]){0, 0, 0, 0, 0, 3});
        op_absent(&c);
        op_input(&c, REEL_F64, SHAPE(1, 1, 1), (double[]){0.5});
        op_attr_int(&c, "linear_before_reset", after);
        const double fresh = tanh(after ? 0.5 * (2 * 0.5 + 3) : 2 * 0.25 + 3);
        CHECK(op_result(&c, REEL_F64, SHAPE(1, 1, 1, 1), (double[]){0.5 * fresh + 0.25}));
    }
}

CHECK_MAIN({"lstm_stops_at_a_sequence_end", lstm_stops_at_a_sequence_end},
           {"reverse_starts_at_the_end", reverse_starts_at_the_end},
           {"gru_resets_before_or_after", gru_resets_before_or_after})

// SPDX-License-Identifier: MIT
//
// Control flow and Dropout: how loops end, and what is refused.
#include "tests/unit/worker/op_case.h"
#include "worker/graph/graph.h"

// The body of a loop (iteration, condition, sum) -> (sum below 20, sum +
// iteration, iteration).
static enum reel_err adding_body(void *scope, struct graph *body, const struct reel_tensor *const *in, int n_in,
                                 struct reel_tensor *out, int n_out)
{
    const struct reel_shape scalar = {0};
    const int64_t iteration = op_scalar_int(in[0], 0), sum = op_scalar_int(in[2], 0) + iteration;
    const enum reel_dtype types[] = {REEL_BOOL, REEL_I64, REEL_I64};
    const int64_t values[] = {sum < *(int64_t *)scope, sum, iteration};
    for (int i = 0; i < n_out; i++) {
        enum reel_err err = reel_tensor_init(&out[i], types[i], &scalar);
        if (err) return err;
        reel_convert(out[i].data, types[i], &values[i], REEL_I64, 1);
    }
    return REEL_OK;
}

static enum reel_err run_loop(int64_t trips, int64_t below, struct reel_tensor *sum, struct reel_tensor *scan)
{
    struct value value[3] = {{.dtype = REEL_BOOL}, {.dtype = REEL_I64}, {.dtype = REEL_I64}};
    struct value *places[3] = {&value[0], &value[1], &value[2]};
    struct graph body = {.n_inputs = 3, .n_outputs = 3, .inputs = places, .outputs = places};
    struct attr attr = {.name = "body", .type = ATTR_GRAPH, .u.g = &body};
    struct node node = {.name = "n",
                        .op_type = "Loop",
                        .domain = "",
                        .op = op_find("", "Loop", 13, NULL),
                        .opset = 13,
                        .n_in = 3,
                        .n_out = 2,
                        .n_attr = 1,
                        .attr = &attr};
    int64_t zero = 0;
    struct reel_tensor m = {.dtype = REEL_I64, .data = &trips}, init = {.dtype = REEL_I64, .data = &zero};
    const struct reel_tensor *in[] = {trips < 0 ? NULL : &m, NULL, &init};
    struct reel_tensor *out[] = {sum, scan};
    return op_run(&node, in, out, adding_body, &below);
}

static void loop_ends_by_count_or_condition(void)
{
    static const struct {
        int64_t trips, below, sum, steps;
    } cases[] = {{4, 100, 6, 4}, {100, 6, 6, 4}, {0, 100, 0, 0}, {-1, 20, 21, 7}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct reel_tensor sum = {0}, scan = {0};
        const enum reel_err err = run_loop(cases[i].trips, cases[i].below, &sum, &scan);
        CHECK_MSG(!err, "case %zu: %s", i, reel_fail_text());
        CHECK_INT(op_scalar_int(&sum, 0), cases[i].sum);
        CHECK_INT(scan.shape.ndim, 1);
        CHECK_INT(scan.shape.dim[0], cases[i].steps);
        for (int64_t k = 0; k < cases[i].steps; k++) CHECK_INT(op_scalar_int(&scan, k), k);
        reel_tensor_fini(&sum);
        reel_tensor_fini(&scan);
    }
}

static void endless_loop_is_stopped(void)
{
    struct reel_tensor sum = {0}, scan = {0};
    CHECK(run_loop(-1, INT64_MAX, &sum, &scan) == REEL_ERR_LIMIT);
    CHECK_HAS(reel_fail_text(), "iterations");
}

static void random_dropout_is_refused(void)
{
    struct op_case c = op_case("Dropout", 13);
    op_input(&c, REEL_F32, SHAPE(2), (double[]){1, 2});
    op_input(&c, REEL_F32, SCALAR, (double[]){0.5});
    op_input(&c, REEL_BOOL, SCALAR, (double[]){1});
    CHECK(op_refused(&c, "random"));
}

CHECK_MAIN({"loop_ends_by_count_or_condition", loop_ends_by_count_or_condition},
           {"endless_loop_is_stopped", endless_loop_is_stopped},
           {"random_dropout_is_refused", random_dropout_is_refused})

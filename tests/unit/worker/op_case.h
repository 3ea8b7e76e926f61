// SPDX-License-Identifier: MIT
//
// One operator call in a test: inputs and attributes written down as text of
// the program, the result compared element by element.
//
//     struct op_case c = op_case("Slice", 13);
//     op_input(&c, REEL_F32, SHAPE(2, 3), (double[]){1, 2, 3, 4, 5, 6});
//     op_attr_int(&c, "axis", 1);
//     CHECK(op_result(&c, REEL_F32, SHAPE(2, 1), (double[]){1, 4}));
//
// op_result runs the call through op_run (so with inference before it) and
// explains a difference on stderr. op_refused checks that the call fails with a
// text that has a given part.
#ifndef REEL_TESTS_OP_CASE_H
#define REEL_TESTS_OP_CASE_H

#include "tests/check.h"
#include "worker/onnx/op.h"

#define CASE_MAX 8
#define SHAPE(...)                                                                         \
    (struct reel_shape)                                                                    \
    {                                                                                      \
        .ndim = sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), .dim = { __VA_ARGS__ } \
    }
#define SCALAR ((struct reel_shape){.ndim = 0})

struct op_case {
    const char *domain, *name;
    int opset, n_out;
    int n_in, n_attr;
    struct reel_tensor in[CASE_MAX], out[CASE_MAX];
    bool absent[CASE_MAX];
    struct attr attr[CASE_MAX];
};

static inline struct op_case op_case(const char *name, int opset)
{
    return (struct op_case){.domain = "", .name = name, .opset = opset, .n_out = 1};
}

static inline void op_input(struct op_case *c, enum reel_dtype dtype, struct reel_shape shape, const double *values)
{
    struct reel_tensor *t = &c->in[c->n_in++];
    if (reel_tensor_init(t, dtype, &shape)) abort();
    reel_convert(t->data, dtype, values, REEL_F64, reel_tensor_count(t));
}

// The input of this name is left out.
static inline void op_absent(struct op_case *c)
{
    c->absent[c->n_in++] = true;
}

static inline void op_attr_int(struct op_case *c, const char *name, int64_t i)
{
    c->attr[c->n_attr++] = (struct attr){.name = name, .type = ATTR_INT, .count = 1, .u.i = i};
}

static inline void op_attr_float(struct op_case *c, const char *name, float f)
{
    c->attr[c->n_attr++] = (struct attr){.name = name, .type = ATTR_FLOAT, .count = 1, .u.f = f};
}

static inline void op_attr_ints(struct op_case *c, const char *name, int n, const int64_t *ints)
{
    c->attr[c->n_attr++] = (struct attr){.name = name, .type = ATTR_INTS, .count = n, .u.ints = ints};
}

static inline void op_attr_text(struct op_case *c, const char *name, const char *s)
{
    c->attr[c->n_attr++] = (struct attr){.name = name, .type = ATTR_STRING, .count = (int)strlen(s), .u.s = s};
}

static inline enum reel_err op_case_run(struct op_case *c)
{
    struct value *none[CASE_MAX] = {NULL};
    struct node node = {.name = "n",
                        .op_type = c->name,
                        .domain = c->domain,
                        .op = op_find(c->domain, c->name, c->opset, NULL),
                        .opset = c->opset,
                        .n_in = c->n_in,
                        .n_out = c->n_out,
                        .in = none,
                        .out = none,
                        .n_attr = c->n_attr,
                        .attr = c->attr};
    if (!node.op) return reel_fail(REEL_ERR_UNSUPPORTED, "no operator %s at opset %d", c->name, c->opset);
    const struct reel_tensor *in[CASE_MAX];
    struct reel_tensor *out[CASE_MAX];
    for (int i = 0; i < CASE_MAX; i++) in[i] = c->absent[i] ? NULL : &c->in[i], out[i] = &c->out[i];
    return op_run(&node, in, out, NULL, NULL);
}

static inline void op_case_fini(struct op_case *c)
{
    for (int i = 0; i < CASE_MAX; i++) {
        reel_tensor_fini(&c->in[i]);
        reel_tensor_fini(&c->out[i]);
    }
}

// Output i of a call that has run: type, shape and values within 1e-6 relative
// (exact for what double holds exactly; NaN equals NaN).
static inline bool op_output(const struct op_case *c, int i, enum reel_dtype dtype, struct reel_shape shape,
                             const double *values)
{
    const struct reel_tensor *t = &c->out[i];
    char have[96], want[96];
    if (t->dtype != dtype || !reel_shape_equal(&t->shape, &shape)) {
        fprintf(stderr, "%s output %d is %s %s, expected %s %s\n", c->name, i, reel_dtype_name(t->dtype),
                reel_shape_text(&t->shape, have, sizeof have), reel_dtype_name(dtype),
                reel_shape_text(&shape, want, sizeof want));
        return false;
    }
    for (int64_t k = 0; k < reel_tensor_count(t); k++) {
        const double v = op_scalar(t, k), e = values[k];
        if (v == e || (v != v && e != e) || fabs(v - e) <= 1e-6 * fabs(e)) continue;
        fprintf(stderr, "%s output %d element %" PRId64 " is %.9g, expected %.9g\n", c->name, i, k, v, e);
        return false;
    }
    return true;
}

// Runs a call of one output and compares it; the case is used up.
static inline bool op_result(struct op_case *c, enum reel_dtype dtype, struct reel_shape shape, const double *values)
{
    const enum reel_err err = op_case_run(c);
    if (err) fprintf(stderr, "%s failed: %s\n", c->name, reel_fail_text());
    const bool same = !err && op_output(c, 0, dtype, shape, values);
    op_case_fini(c);
    return same;
}

static inline bool op_refused(struct op_case *c, const char *part)
{
    const enum reel_err err = op_case_run(c);
    const bool refused = err && strstr(reel_fail_text(), part);
    if (!refused) fprintf(stderr, "%s: %s\n", c->name, err ? reel_fail_text() : "was not refused");
    op_case_fini(c);
    return refused;
}

#endif

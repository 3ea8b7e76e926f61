// SPDX-License-Identifier: MIT
//
// Assignments to slices, which are exported as a ScatterND with every element's index, become
// copies by strides, and their indices are not made.
#include "tests/unit/worker/lower_case.h"
#include "worker/graph/shape.h"

// Column d of the indices of a grid, (extent...,1): begin[d] + i_d * step.
static struct value *column(struct maker *m, const struct reel_shape *u, int d, int64_t begin, int64_t step)
{
    struct reel_shape shape = *u;
    struct reel_tensor t;
    shape.dim[shape.ndim++] = 1;
    if (reel_tensor_init(&t, REEL_I64, &shape)) abort();
    int64_t inner = 1;
    for (int k = d + 1; k < u->ndim; k++) inner *= u->dim[k];
    for (int64_t i = 0; i < reel_tensor_count(&t); i++) ((int64_t *)t.data)[i] = begin + i / inner % u->dim[d] * step;
    return graph_add_constant(m->graph, NULL, &t);
}

// The same from one row of numbers, repeated.
static struct value *repeated(struct maker *m, const struct reel_shape *u, int d, int64_t begin, int64_t step)
{
    struct reel_shape row = {.ndim = u->ndim - d}, one = {.ndim = 1, .dim = {u->ndim}};
    struct reel_tensor t, to;
    for (int k = 0; k < row.ndim; k++) row.dim[k] = k ? 1 : u->dim[d];
    if (reel_tensor_init(&t, REEL_I64, &row) || reel_tensor_init(&to, REEL_I64, &one)) abort();
    for (int64_t i = 0; i < u->dim[d]; i++) ((int64_t *)t.data)[i] = begin + i * step;
    for (int k = 0; k < u->ndim; k++) ((int64_t *)to.data)[k] = u->dim[k];
    struct value *v =
        make_node(m, "Expand", graph_add_constant(m->graph, NULL, &t), graph_add_constant(m->graph, NULL, &to), NULL);
    return make_node(m, "Unsqueeze", v, INTS(m, -1), NULL);
}

static struct value *joined(struct maker *m, struct value *const *columns, int n)
{
    struct value *out[1], *y = node_of(m, NULL, "Concat", columns, n, out, 1);
    attr_int(m, y, "axis", -1);
    return y;
}

static struct value *scatter(struct maker *m, struct value *x, struct value *index, struct value *updates)
{
    return make_node(m, "ScatterND", x, index, updates);
}

// The fp32 program's numbers are the graph's; in *out_dump its steps.
static bool same(struct maker *m, char *out_dump)
{
    struct reel_tensor want = run_graph(m->graph, 5);
    struct result r;
    const bool ok = run_lowered(m->graph, PRECISION_FP32, &r) && tensor_difference(&r.out, &want) <= 1e-5;
    snprintf(out_dump, sizeof r.dump, "%s", r.dump);
    result_fini(&r);
    reel_tensor_fini(&want);
    return ok;
}

// The same of a graph whose indices are not folded into one constant. Large ones (from 64 KB on) are
// not, and only pass_fold would do it, which is left out here.
static bool same_unfolded(struct maker *m, char *out_dump)
{
    struct reel_tensor want = run_graph(m->graph, 5), in[8] = {0}, out[8] = {0};
    struct reel_shape shapes[8];
    const struct reel_tensor *in_p[8];
    struct graph *g = graph_clone(m->graph);
    struct program *program = NULL;
    for (int i = 0; i < g->n_inputs; i++) shapes[i] = g->inputs[i]->shape, in_p[i] = &in[i];
    enum reel_err err = shape_infer(g, shapes);
    graph_renumber(g);
    fill_inputs(g, in, 5);
    if (!err) err = backend_cudnn_host.compile(g, &(struct backend_params){.precision = PRECISION_FP32}, &program);
    if (!err) err = backend_cudnn_host.run(program, in_p, out, false);
    FILE *f = fmemopen(out_dump, sizeof((struct result *)0)->dump - 1, "w");
    if (program) backend_cudnn_host.dump(program, f);
    fclose(f);
    if (err) fprintf(stderr, "%s\n", reel_fail_text());
    const bool ok = !err && tensor_difference(&out[0], &want) <= 1e-5;
    for (int i = 0; i < g->n_inputs; i++) reel_tensor_fini(&in[i]);
    if (program) backend_cudnn_host.destroy(&program);
    for (int i = 0; i < g->n_outputs; i++) reel_tensor_fini(&out[i]);
    reel_tensor_fini(&want);
    graph_destroy(&g);
    return ok;
}

// The sum of whole numbers as a number of float32.
static struct value *as_sum(struct maker *m, struct value *v)
{
    struct value *y = make_node(m, "Cast", v, NULL, NULL);
    attr_int(m, y, "to", 1);
    return make_node(m, "ReduceSum", y, NULL, NULL);
}

static char dump[sizeof((struct result *)0)->dump];

// x[:, 1:3, 2:8:2] of (2,4,9,5), rows of which are taken whole; written twice, as an addition in
// place is exported (kind 2).
static void slices(void)
{
    for (int kind = 0; kind < 6; kind++) { // from 3 on: not folded
        struct maker m = maker();
        const struct reel_shape u = kind < 3 ? DIMS(2, 2, 3) : DIMS(16, 24, 32);
        struct value *x = make_input(&m, "x", kind < 3 ? DIMS(2, 4, 9, 5) : DIMS(16, 26, 70, 3)), *c[3];
        struct value *y = make_input(&m, "y", kind < 3 ? DIMS(2, 2, 3, 5) : DIMS(16, 24, 32, 3));
        x = make_node(&m, "Exp", x, NULL, NULL);
        for (int d = 0; d < 3; d++) c[d] = (d && kind % 3 == 1 ? repeated : column)(&m, &u, d, d, d == 2 ? 2 : 1);
        struct value *at = joined(&m, c, 3), *z = make_node(&m, "Abs", y, NULL, NULL);
        struct value *out = scatter(&m, x, at, z);
        if (kind % 3 == 2) out = scatter(&m, out, at, z);
        make_output(&m, make_node(&m, "Neg", out, NULL, NULL));
        CHECK_MSG((kind < 3 ? same : same_unfolded)(&m, dump), "%s", dump);
        CHECK_HAS(dump, "ScatterND        assign ");
        const char *first = strstr(dump, "ScatterND        assign ");
        CHECK_MSG(!strstr(dump, "Concat") && !strstr(dump, "Expand") && !strstr(dump, "scatter  "), "%s", dump);
        CHECK_MSG(!strstr(first + 1, "ScatterND        assign "), "%s", dump);
        graph_destroy(&m.graph);
    }
}

// TSM's shift of channels between neighbouring frames, over pictures as they lie.
static void shifted_channels(void)
{
    struct maker m = maker();
    struct value *x = make_input(&m, "x", DIMS(4, 3, 6, 7)), *c[2];
    struct value *y = make_node(&m, "Conv", x, make_weights(&m, DIMS(8, 3, 1, 1), -1, 1), NULL);
    const struct reel_shape u = DIMS(3, 2);
    struct value *in[4] = {y, INTS(&m, 1, 0), INTS(&m, 4, 2), INTS(&m, 0, 1)}, *part[1];
    node_of(&m, NULL, "Slice", in, 4, part, 1);
    for (int d = 0; d < 2; d++) c[d] = column(&m, &u, d, 0, 1);
    struct value *z = scatter(&m, y, joined(&m, c, 2), part[0]);
    make_output(&m, make_node(&m, "Conv", z, make_weights(&m, DIMS(3, 8, 1, 1), -1, 1), NULL));
    CHECK_MSG(same(&m, dump), "%s", dump);
    CHECK_HAS(dump, "ScatterND        assign ");
    graph_destroy(&m.graph);
}

// Constant indices as one tensor, (u...,axes), that give begin[d] + i_d * step[d] on axis d.
static struct value *grid(struct maker *m, const struct reel_shape *u, const int64_t *begin, const int64_t *step)
{
    struct reel_shape shape = *u;
    struct reel_tensor t;
    const int axes = u->ndim;
    shape.dim[shape.ndim++] = axes;
    if (reel_tensor_init(&t, REEL_I64, &shape)) abort();
    for (int64_t i = 0; i < reel_tensor_count(&t); i++) {
        const int d = (int)(i % axes);
        int64_t inner = 1;
        for (int k = d + 1; k < axes; k++) inner *= u->dim[k];
        ((int64_t *)t.data)[i] = begin[d] + i / axes / inner % u->dim[d] * step[d];
    }
    return graph_add_constant(m->graph, NULL, &t);
}

// To the last element of an axis, one element, a whole axis, from behind (which counts down).
static void ends_of_axes(void)
{
    static const struct {
        struct reel_shape u;
        int64_t begin[2], step[2];
        bool assigned;
    } rows[] = {{{2, {3, 4}}, {3, 5}, {1, 1}, true},   // to the end of both
                {{2, {3, 5}}, {1, 0}, {2, 2}, true},   // in steps, to the end
                {{2, {1, 1}}, {5, 8}, {7, 7}, true},   // one element: no step is taken
                {{2, {6, 9}}, {0, 0}, {1, 1}, true},   // all
                {{2, {3, 4}}, {4, 5}, {-1, 1}, false}, // rows from behind
                {{2, {3, 4}}, {-3, 2}, {1, 1}, false}, // -3 is the third from the end
                {{2, {3, 4}}, {2, 2}, {0, 1}, false}}; // one row again and again
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct maker m = maker();
        struct value *x = make_input(&m, "x", DIMS(6, 9)), *y = make_input(&m, "y", rows[i].u);
        struct value *z =
            scatter(&m, make_node(&m, "Exp", x, NULL, NULL), grid(&m, &rows[i].u, rows[i].begin, rows[i].step), y);
        make_output(&m, z);
        CHECK_MSG(same(&m, dump), "row %zu: %s", i, dump);
        CHECK_MSG(!strstr(dump, " assign") == !rows[i].assigned, "row %zu: %s", i, dump);
        graph_destroy(&m.graph);
    }
}

// Twice, but not the same: other places, steps or values are no repetition.
static void written_twice(void)
{
    for (int kind = 0; kind < 4; kind++) {
        struct maker m = maker();
        const struct reel_shape u = DIMS(2, 3);
        struct value *x = make_input(&m, "x", DIMS(6, 9)), *y = make_input(&m, "y", u), *z = make_input(&m, "z", u);
        const int64_t from[2] = {1, 2}, one[2] = {1, 1};
        struct value *out = scatter(&m, make_node(&m, "Exp", x, NULL, NULL), grid(&m, &u, from, one), y);
        const int64_t begin[2] = {1, kind == 1 ? 3 : 2}, step[2] = {kind == 2 ? 2 : 1, 1};
        out = scatter(&m, out, grid(&m, &u, begin, step), kind == 3 ? z : y);
        make_output(&m, kind == 3 ? out : make_node(&m, "Add", out, make_node(&m, "ReduceSum", z, NULL, NULL), NULL));
        CHECK_MSG(same(&m, dump), "kind %d: %s", kind, dump);
        const char *first = strstr(dump, "ScatterND        assign ");
        CHECK_MSG(first && !strstr(first + 1, "ScatterND        assign ") == !kind, "kind %d: %s", kind, dump);
        graph_destroy(&m.graph);
    }
}

// Indices that somebody else reads are made: as a whole, one column of them, or as an output.
static void indices_that_are_read(void)
{
    for (int kind = 0; kind < 3; kind++) {
        struct maker m = maker();
        const struct reel_shape u = DIMS(96, 100);
        struct value *x = make_input(&m, "x", DIMS(98, 104)), *y = make_input(&m, "y", u), *c[2];
        for (int d = 0; d < 2; d++) c[d] = repeated(&m, &u, d, d, 1);
        struct value *at = joined(&m, c, 2);
        struct value *out = scatter(&m, make_node(&m, "Exp", x, NULL, NULL), at, y);
        make_output(&m, kind < 2 ? make_node(&m, "Add", out, as_sum(&m, kind ? c[1] : at), NULL) : out);
        if (kind == 2) make_output(&m, at);
        CHECK_MSG(same_unfolded(&m, dump), "kind %d: %s", kind, dump);
        CHECK_HAS(dump, "ScatterND        assign ");
        CHECK_MSG(!strstr(dump, "Concat") == (kind == 1), "kind %d: %s", kind, dump);
        graph_destroy(&m.graph);
    }
}

// Indices beyond the end, which no network should have, are left to the kernel that looks at each of them.
static void beyond_the_end(void)
{
    for (int kind = 0; kind < 3; kind++) { // kind 0 ends with the last row
        struct maker m = maker();
        const struct reel_shape u = DIMS(3, 4);
        const int64_t begin[2] = {kind == 1 ? 4 : 1, 2}, step[2] = {kind == 1 ? 1 : kind == 0 ? 2 : 3, 1};
        struct value *x = make_input(&m, "x", DIMS(6, 9)), *y = make_input(&m, "y", u);
        make_output(&m, scatter(&m, make_node(&m, "Exp", x, NULL, NULL), grid(&m, &u, begin, step), y));
        struct result r;
        run_lowered(m.graph, PRECISION_FP32, &r);
        CHECK_MSG(!strstr(r.dump, " assign") == (kind > 0), "kind %d: %s", kind, r.dump);
        result_fini(&r);
        graph_destroy(&m.graph);
    }
}

// Columns that are joined along an axis that is counted from the front; or two whole lists of indices, one
// behind the other.
static void columns_of_other_kinds(void)
{
    for (int kind = 0; kind < 2; kind++) {
        struct maker m = maker();
        const struct reel_shape u = DIMS(96, 100);
        const int64_t begin[2][2] = {{0, 0}, {1, 4}}, step[2] = {1, 1};
        struct value *x = make_input(&m, "x", DIMS(98, 104)), *c[2], *out[1];
        for (int d = 0; d < 2; d++) c[d] = kind ? grid(&m, &u, begin[d], step) : repeated(&m, &u, d, d, 1);
        struct value *at = node_of(&m, NULL, "Concat", c, 2, out, 1);
        attr_int(&m, at, "axis", kind ? 0 : 2);
        struct value *y =
            make_node(&m, "Expand", make_scalar(&m, 0.5), kind ? INTS(&m, 192, 100) : INTS(&m, 96, 100), NULL);
        make_output(&m, scatter(&m, make_node(&m, "Exp", x, NULL, NULL), at, y));
        CHECK_MSG(same_unfolded(&m, dump), "kind %d: %s", kind, dump);
        CHECK_MSG(!strstr(dump, " assign") == (kind == 1), "kind %d: %s", kind, dump);
        graph_destroy(&m.graph);
    }
}

// Indices that are no such grid are scattered as before: one that differs, and a sum.
static void others(void)
{
    for (int kind = 0; kind < 2; kind++) {
        struct maker m = maker();
        const struct reel_shape u = DIMS(3, 4);
        struct value *x = make_input(&m, "x", DIMS(6, 9)), *y = make_input(&m, "y", DIMS(3, 4)), *c[2];
        for (int d = 0; d < 2; d++) c[d] = column(&m, &u, d, 1, 1);
        if (!kind) ((int64_t *)c[1]->constant->data)[11] = 8;
        struct value *z = scatter(&m, make_node(&m, "Exp", x, NULL, NULL), joined(&m, c, 2), y);
        if (kind) attr_text(&m, z, "reduction", "add");
        make_output(&m, z);
        CHECK_MSG(same(&m, dump), "%s", dump);
        CHECK_MSG(!strstr(dump, " assign"), "%s", dump);
        graph_destroy(&m.graph);
    }
}

CHECK_MAIN({"slices", slices}, {"ends of axes", ends_of_axes}, {"written twice", written_twice},
           {"indices that are read", indices_that_are_read}, {"beyond the end", beyond_the_end},
           {"columns of other kinds", columns_of_other_kinds}, {"shifted channels", shifted_channels},
           {"others", others})

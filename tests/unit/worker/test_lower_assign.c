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

// The same of a graph whose indices are not folded into one constant, as large ones are not.
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
    reel_tensor_fini(&out[0]);
    reel_tensor_fini(&want);
    graph_destroy(&g);
    return ok;
}

static char dump[sizeof((struct result *)0)->dump];

// x[:, 1:3, 2:8:2] of (2,4,9,5), rows of which are taken whole; written twice, as an addition in
// place is exported (kind 2).
static void slices(void)
{
    for (int kind = 0; kind < 6; kind++) { // from 3 on: not folded
        struct maker m = maker();
        const struct reel_shape u = DIMS(2, 2, 3);
        struct value *x = make_input(&m, "x", DIMS(2, 4, 9, 5)), *y = make_input(&m, "y", DIMS(2, 2, 3, 5)), *c[3];
        x = make_node(&m, "Exp", x, NULL, NULL);
        for (int d = 0; d < 3; d++) c[d] = (kind % 3 == 1 ? repeated : column)(&m, &u, d, d, d == 2 ? 2 : 1);
        c[0] = column(&m, &u, 0, 0, 1);
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

CHECK_MAIN({"slices", slices}, {"shifted channels", shifted_channels}, {"others", others})

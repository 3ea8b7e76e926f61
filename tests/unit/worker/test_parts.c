// SPDX-License-Identifier: MIT
//
// pass_parts: what com.microsoft's fused operators become on the CPU, that nothing of them is
// left to the reference implementation, and that the results are the operator's.
#include "tests/unit/worker/backend_case.h"

static struct value *ms_node(struct maker *m, const char *type, struct value *const *in, int n_in, struct value **out,
                             int n_out)
{
    for (int i = 0; i < n_out; i++) out[i] = graph_add_value(m->graph, NULL);
    struct node *node = graph_add_node(m->graph, NULL, type, NULL, in, n_in, out, n_out);
    node->domain = "com.microsoft";
    node->op = op_find("com.microsoft", type, 1, NULL);
    if (!node->op) abort();
    return out[0];
}

// The node that made v has `parts` others in its place, and none of the reference's steps.
static void check_parts(struct maker *m, const char *type, int parts)
{
    struct graph *after = after_passes(m->graph, 0), *kept = after_passes(m->graph, BACKEND_STEPS);
    CHECK(after && kept && graph_is_sound(after));
    if (after) CHECK_INT(count_nodes(after, type) + 10 * count_nodes(kept, type), 10);
    if (after) CHECK_MSG(after->n_nodes <= parts, "%s: %d nodes", type, after->n_nodes);
    graph_destroy(&after);
    graph_destroy(&kept);
    CHECK_BACKEND(m);
    CHECK_MSG(!strstr(steps, "reference"), "%s:\n%s", type, steps);
    graph_destroy(&m->graph);
}

static void gelus(void)
{
    static const struct {
        const char *type;
        bool bias;
        float alpha; // 0: absent
    } rows[] = {{"BiasGelu", true, 0},
                {"FastGelu", true, 0},
                {"FastGelu", false, 0},
                {"QuickGelu", false, 0},
                {"QuickGelu", false, 1}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct maker m = maker();
        struct value *x = make_input(&m, "x", DIMS(2, 5, 24)), *out[1];
        struct value *const in[] = {x, make_weights(&m, DIMS(24), -1, 1)};
        struct value *y = ms_node(&m, rows[i].type, in, rows[i].bias ? 2 : 1, out, 1);
        if (rows[i].alpha) make_attr(&m, y, (struct attr){.name = "alpha", .type = ATTR_FLOAT, .u.f = rows[i].alpha});
        make_output(&m, y);
        check_parts(&m, rows[i].type, 3);
    }
}

// With and without shift and bias, with the sum read or not, the product on either side, and
// one row added to all.
static void skip_norms(void)
{
    for (int i = 0; i < 32; i++) {
        const bool shift = i & 1, bias = i & 2, sum = i & 4, right = i & 8, row = i & 16;
        struct maker m = maker();
        struct value *x = make_input(&m, "x", DIMS(2, 5, 24)), *other, *out[4] = {NULL};
        other = row ? make_weights(&m, DIMS(1, 5, 24), -1, 1) : make_input(&m, "other", DIMS(2, 5, 24));
        struct value *product = make_node(&m, "MatMul", x, make_weights(&m, DIMS(24, 24), -1, 1), NULL);
        struct value *scale = make_weights(&m, DIMS(24), 0, 1), *beta = make_weights(&m, DIMS(24), -1, 1);
        struct value *const in[] = {right && !row ? other : product, right && !row ? product : other, scale,
                                    shift ? beta : NULL, bias ? make_weights(&m, DIMS(24), -1, 1) : NULL};
        ms_node(&m, "SkipLayerNormalization", in, bias ? 5 : shift ? 4 : 3, out, sum ? 4 : 1);
        make_attr(&m, out[0], (struct attr){.name = "epsilon", .type = ATTR_FLOAT, .u.f = 1e-5f});
        make_output(&m, out[0]);
        if (sum) make_output(&m, out[3]);
        check_parts(&m, "SkipLayerNormalization", 4);
    }
}

static void products(void)
{
    for (int i = 0; i < 8; i++) {
        const bool turn_a = i & 1, turn_b = i & 2;
        struct maker m = maker();
        struct value *a = make_input(&m, "a", turn_a ? DIMS(3, 8, 5) : DIMS(3, 5, 8)), *out[1];
        struct value *b = make_input(&m, "b", turn_b ? DIMS(3, 6, 8) : DIMS(3, 8, 6));
        struct value *y = ms_node(&m, "FusedMatMul", (struct value *[]){a, b}, 2, out, 1);
        attr_int(&m, y, "transA", turn_a);
        attr_int(&m, y, "transB", turn_b);
        if (i & 4) make_attr(&m, y, (struct attr){.name = "alpha", .type = ATTR_FLOAT, .u.f = 0.25f});
        make_output(&m, y);
        check_parts(&m, "FusedMatMul", 4);
    }
}

// What stays whole: batches among the turned axes, mean and deviation that are read.
static void what_stays(void)
{
    struct maker m = maker();
    struct value *a = make_input(&m, "a", DIMS(5, 3, 8)), *b = make_input(&m, "b", DIMS(3, 8, 6)), *out[4];
    struct value *y = ms_node(&m, "FusedMatMul", (struct value *[]){a, b}, 2, out, 1);
    attr_int(&m, y, "transBatchA", 1);
    make_output(&m, y);
    struct value *x = make_input(&m, "x", DIMS(2, 5, 24)), *w = make_weights(&m, DIMS(24), 0, 1);
    ms_node(&m, "SkipLayerNormalization", (struct value *[]){x, x, w}, 3, out, 2);
    make_output(&m, out[0]);
    make_output(&m, out[1]);
    struct graph *after = after_passes(m.graph, 0);
    CHECK(after && count_nodes(after, "FusedMatMul") == 1 && count_nodes(after, "SkipLayerNormalization") == 1);
    graph_destroy(&after);
    graph_destroy(&m.graph);
}

CHECK_MAIN({"parts: gelus", gelus}, {"parts: skip norms", skip_norms}, {"parts: products", products},
           {"parts: what stays", what_stays})

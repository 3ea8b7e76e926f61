// SPDX-License-Identifier: MIT
//
// Channels that are joined in place in the GPU backend's lowering, run by its host twin (lower_case.h).
#include "tests/unit/worker/lower_nodes.h"

static struct value *join(struct maker *m, struct value *const *in, int n)
{
    struct value *out = graph_add_value(m->graph, NULL), *list[8];
    for (int i = 0; i < n; i++) list[i] = in[i];
    graph_add_node(m->graph, NULL, "Concat", NULL, list, n, &out, 1)->op = op_find("", "Concat", 20, NULL);
    attr_int(m, out, "axis", 1);
    return out;
}

static struct value *leaky(struct maker *m, struct value *x)
{
    return make_node(m, "LeakyRelu", x, NULL, NULL);
}

// As in RRDB: each convolution reads all that was made before it.
static struct value *dense_block(struct maker *m, struct value *x, int64_t c, int64_t grow)
{
    struct value *have[4] = {x}, *all = x;
    for (int i = 1; i < 4; i++) {
        have[i] = leaky(m, conv(m, all, c + (i - 1) * grow, grow, 3, 1));
        all = join(m, have, i + 1);
    }
    return make_node(m, "Add", conv(m, all, c + 3 * grow, c, 3, 1), x, NULL);
}

static void dense_blocks_are_joined_in_place(void)
{
    for (int images = 1; images <= 2; images++) {
        struct maker m = maker();
        char dump[16384];
        struct value *x = conv(&m, make_input(&m, "x", DIMS(images, 3, 7, 9)), 3, 16, 3, 1);
        for (int i = 0; i < 2; i++) x = dense_block(&m, x, 16, 8);
        make_output(&m, conv(&m, x, 16, 3, 3, 1));
        CHECK_RIGHT(&m, 0, dump);
        CHECK_INT(count(dump, "concat"), 0);
        CHECK_HAS(dump, "pitch 40");
    }
}

// What an operator reads that knows no pitch, what is no whole 16 bytes, and what
// a caller reads stays on its own and is copied.
static void others_are_copied_when_joined(void)
{
    struct maker m = maker();
    char dump[16384];
    struct value *x = make_input(&m, "x", DIMS(1, 3, 7, 9));
    struct value *a = conv(&m, x, 3, 16, 3, 1), *b = conv(&m, x, 3, 5, 3, 1), *c = conv(&m, x, 3, 11, 1, 1);
    struct value *d = conv(&m, a, 16, 8, 3, 1), *e = leaky(&m, conv(&m, x, 3, 8, 3, 1));
    struct value *other = make_node(&m, "MaxPool", d, NULL, NULL); // d has another reader
    ATTR_LIST(&m, other, "kernel_shape", 3, 3);
    ATTR_LIST(&m, other, "pads", 1, 1, 1, 1);
    struct value *all = join(&m, (struct value *[]){a, b, c, d, e, a, other}, 7); // a twice
    struct value *two = join(&m, (struct value *[]){e, a}, 2);                    // in another order
    make_output(&m, make_node(&m, "Add", conv(&m, all, 72, 8, 3, 1), conv(&m, two, 24, 8, 1, 1), NULL));
    CHECK_RIGHT(&m, 0, dump);
    CHECK_INT(count(dump, "concat"), 7); // all but a and e in the first one, both in the second
}

// A result that its readers do not see alone: a joined one that is an output.
static void joined_outputs(void)
{
    struct maker m = maker();
    struct value *x = make_input(&m, "x", DIMS(2, 3, 6, 5)), *a = leaky(&m, conv(&m, x, 3, 8, 3, 1));
    struct value *b = leaky(&m, conv(&m, a, 8, 8, 3, 1)), *c = join(&m, (struct value *[]){a, b}, 2);
    struct value *d = leaky(&m, conv(&m, c, 16, 8, 3, 1)), *e = join(&m, (struct value *[]){a, b, d}, 3);
    make_output(&m, e);
    make_output(&m, c);
    CHECK_RIGHT(&m, 0, NULL);
}

CHECK_MAIN({"dense blocks are joined in place", dense_blocks_are_joined_in_place},
           {"others are copied when joined", others_are_copied_when_joined}, {"joined outputs", joined_outputs})

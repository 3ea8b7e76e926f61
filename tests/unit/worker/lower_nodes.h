// SPDX-License-Identifier: MIT
//
// Nodes that several tests of the GPU backend's lowering are made of.
#ifndef REEL_TESTS_UNIT_WORKER_LOWER_NODES_H
#define REEL_TESTS_UNIT_WORKER_LOWER_NODES_H

#include "tests/unit/worker/lower_case.h"

// Conv of k x k pixels in groups, padded to the same size, with a bias.
static inline struct value *conv(struct maker *m, struct value *x, int64_t from, int64_t to, int64_t k, int64_t group)
{
    struct value *w = make_weights(m, DIMS(to, from / group, k, k), -0.3, 0.3);
    struct value *y = make_node(m, "Conv", x, w, make_weights(m, DIMS(to), -1, 1));
    ATTR_LIST(m, y, "pads", k / 2, k / 2, k / 2, k / 2);
    make_attr(m, y, (struct attr){.name = "group", .type = ATTR_INT, .count = 1, .u.i = group});
    return y;
}

// How often the word is in the text.
static inline int count(const char *text, const char *word)
{
    int n = 0;
    for (const char *at = text; (at = strstr(at, word)); at += strlen(word)) n++;
    return n;
}

// Appends a node with as many outputs as `out` has elements.
#define NODE(m, op_type, out, ...)                                                        \
    node_of(m, NULL, op_type, (struct value *[]){__VA_ARGS__},                            \
            (int)(sizeof((struct value *[]){__VA_ARGS__}) / sizeof(struct value *)), out, \
            (int)(sizeof(out) / sizeof *(out)))

// Cast to float32.
static inline struct value *as_floats(struct maker *m, struct value *v)
{
    struct value *y = make_node(m, "Cast", v, NULL, NULL);
    attr_int(m, y, "to", 1);
    return y;
}

// Indices 0..n-1 as data of the network: positions of the largest.
static inline struct value *positions(struct maker *m, struct value *x, int64_t k, bool smallest)
{
    struct value *out[2];
    NODE(m, "TopK", out, x, INTS(m, k));
    attr_int(m, out[0], "largest", !smallest);
    return out[1];
}

#endif

// SPDX-License-Identifier: MIT
//
// Which networks read several images of a run for one result: forms of each kind, and those
// that keep images apart however they reshape them.
#include "tests/unit/worker/lower_case.h"
#include "worker/graph/apart.h"
#include "worker/graph/shape.h"

enum form {
    // apart
    CONVOLUTION,
    POOLED_ALL,
    MEAN_OF_IMAGE,
    CHANNELS_OF_ROWS, // softmax over the channels of rows that all images share
    WINDOWS,          // of all images one behind the other, with products among their rows
    SOFTMAX_OLD,
    STATISTICS_OF_IMAGE,
    ROWS_AND_WEIGHTS,
    APART, // number of these
    // mixed
    LARGEST_OF_ALL = APART,
    MEAN_OVER_IMAGES,
    MEAN_LISTED,
    BYTES,
    STATISTICS_OF_ALL,
    SOFTMAX_OVER_IMAGES,
    SOFTMAX_OVER_ROWS,
    GRAM_OF_ROWS,
    WITHOUT_THE_FIRST,
    IN_ANOTHER_ORDER,
    AS_CHANNELS,
    ALL_FORMS,
};

static struct value *reduced(struct maker *m, const char *op, struct value *x, bool all, int64_t first, int64_t last)
{
    struct value *y = make_node(m, op, x, NULL, NULL);
    if (!all) ATTR_LIST(m, y, "axes", first, last);
    y->producer->opset = 13; // later ones have the axes as an input
    return y;
}

static struct value *shaped(struct maker *m, struct value *x, struct reel_shape s)
{
    return make_node(m, "Reshape", x, make_ints(m, s.ndim, s.dim), NULL);
}

static struct value *along(struct maker *m, const char *op, struct value *x, int64_t axis)
{
    struct value *y = make_node(m, op, x, NULL, NULL);
    attr_int(m, y, "axis", axis);
    return y;
}

static struct value *turned(struct maker *m, struct value *x, int n, const int64_t *perm)
{
    struct value *y = make_node(m, "Transpose", x, NULL, NULL);
    make_attr_ints(m, y, "perm", n, perm);
    return y;
}

// n pictures of 8 channels, 4 x 4.
static struct graph *form(enum form f, int64_t n)
{
    struct maker m = maker();
    struct value *x = make_input(&m, "x", DIMS(n, 8, 4, 4)), *y = x, *rows;
    rows = shaped(&m, turned(&m, x, 4, (int64_t[]){0, 2, 3, 1}), DIMS(-1, 8));
    switch (f) {
    case CONVOLUTION:
        y = make_node(&m, "Conv", x, make_weights(&m, DIMS(8, 8, 3, 3), -1, 1), NULL);
        break;
    case POOLED_ALL:
        y = make_node(&m, "GlobalAveragePool", x, NULL, NULL);
        break;
    case MEAN_OF_IMAGE:
        y = make_node(&m, "Sub", x, reduced(&m, "ReduceMean", x, false, 2, -1), NULL);
        break;
    case CHANNELS_OF_ROWS:
        y = shaped(&m, along(&m, "Softmax", rows, 1), DIMS(-1, 4, 4, 8));
        break;
    case WINDOWS:
        rows = shaped(&m, rows, DIMS(-1, 4, 8));
        y = make_node(&m, "MatMul", rows, turned(&m, rows, 3, (int64_t[]){0, 2, 1}), NULL);
        y = shaped(&m, make_node(&m, "MatMul", along(&m, "Softmax", y, -1), rows, NULL), DIMS(-1, 4, 4, 8));
        break;
    case SOFTMAX_OLD:
        y = along(&m, "Softmax", x, 1), y->producer->opset = 11;
        break;
    case STATISTICS_OF_IMAGE:
        y = make_node(&m, "MeanVarianceNormalization", x, NULL, NULL);
        ATTR_LIST(&m, y, "axes", 2, -1);
        break;
    case ROWS_AND_WEIGHTS:
        y = make_node(&m, "MatMul", rows, make_weights(&m, DIMS(8, 5), -1, 1), NULL);
        break;
    case LARGEST_OF_ALL:
        y = make_node(&m, "Div", x, reduced(&m, "ReduceMax", x, true, 0, 0), NULL);
        break;
    case MEAN_OVER_IMAGES:
        y = make_node(&m, "Sub", x, reduced(&m, "ReduceMean", x, false, 0, 2), NULL);
        break;
    case MEAN_LISTED:
        y = make_node(&m, "Sub", x, reduced(&m, "ReduceMean", x, false, -4, 3), NULL);
        break;
    case BYTES: {
        struct value *out[3];
        node_of(&m, NULL, "DynamicQuantizeLinear", &x, 1, out, 3);
        y = out[0];
        break;
    }
    case STATISTICS_OF_ALL:
        y = make_node(&m, "MeanVarianceNormalization", x, NULL, NULL);
        break;
    case SOFTMAX_OVER_IMAGES:
        y = along(&m, "Softmax", x, 0);
        break;
    case SOFTMAX_OVER_ROWS:
        y = along(&m, "Softmax", rows, 0);
        break;
    case GRAM_OF_ROWS:
        y = make_node(&m, "MatMul", turned(&m, rows, 2, (int64_t[]){1, 0}), rows, NULL);
        break;
    case WITHOUT_THE_FIRST:
        y = make_node(&m, "Slice", x, INTS(&m, 1), INTS(&m, 9));
        break;
    case IN_ANOTHER_ORDER:
        y = make_node(&m, "Gather", rows, INTS(&m, 3, 2, 1, 0), NULL);
        break;
    case AS_CHANNELS:
        y = shaped(&m, x, DIMS(1, -1, 4, 4));
        y = make_node(&m, "LRN", y, NULL, NULL);
        attr_int(&m, y, "size", 3);
        break;
    default:
        break;
    }
    make_output(&m, y);
    return m.graph;
}

static void forms(void)
{
    for (int f = 0; f < ALL_FORMS; f++) {
        struct graph *one = form((enum form)f, 1), *several = form((enum form)f, 3);
        CHECK_MSG(!shape_infer(one, NULL) && !shape_infer(several, NULL), "form %d: %s", f, reel_fail_text());
        CHECK_MSG(graph_mixes_images(one, several) == (f >= APART), "form %d", f);
        graph_destroy(&one);
        graph_destroy(&several);
    }
}

CHECK_MAIN({"forms", forms})

// SPDX-License-Identifier: MIT
//
// The rarer operators of the GPU backend, none of which may be a step on the host:
// each in a small network, by the kernels' twins (lower_case.h).
#include "tests/unit/worker/lower_case.h"
#include "worker/backend/cudnn/exec.h"

#define NODE(m, op_type, out, ...)                                                        \
    node_of(m, NULL, op_type, (struct value *[]){__VA_ARGS__},                            \
            (int)(sizeof((struct value *[]){__VA_ARGS__}) / sizeof(struct value *)), out, \
            (int)(sizeof(out) / sizeof *(out)))

static struct value *as_floats(struct maker *m, struct value *v)
{
    struct value *y = make_node(m, "Cast", v, NULL, NULL);
    attr_int(m, y, "to", 1);
    return y;
}

// Indices 0..n-1 as data of the network: positions of the largest.
static struct value *positions(struct maker *m, struct value *x, int64_t k, bool smallest)
{
    struct value *out[2];
    NODE(m, "TopK", out, x, INTS(m, k));
    attr_int(m, out[0], "largest", !smallest);
    return out[1];
}

// ---- picking ---------------------------------------------------------------------------

static void the_largest(void)
{
    for (int i = 0; i < 8; i++) {
        struct maker m = maker();
        char dump[16384];
        struct value *x = make_input(&m, "x", DIMS(3, 40, 5)), *out[2];
        NODE(&m, "TopK", out, x, INTS(&m, i & 4 ? 5 : 7));
        attr_int(&m, out[0], "axis", i & 4 ? -1 : 1);
        attr_int(&m, out[0], "largest", (i & 2) != 0);
        make_output(&m, i & 1 ? as_floats(&m, out[1]) : out[0]);
        CHECK_RIGHT(&m, 0, dump);
        CHECK_HAS(dump, "top k");
    }
}

// Of 64-bit numbers, in columns of several tiles.
static void the_largest_of_many(void)
{
    for (int i = 0; i < 3; i++) {
        struct maker m = maker();
        char dump[16384];
        struct value *x = make_input(&m, "x", DIMS(2, 20000)), *out[2];
        x->dtype = i == 0 ? REEL_F32 : i == 1 ? REEL_I64 : REEL_F64;
        NODE(&m, "TopK", out, x, INTS(&m, 40));
        make_output(&m, as_floats(&m, out[1]));
        CHECK_RIGHT(&m, 0, dump);
        CHECK_HAS(dump, "top k");
    }
}

// k as exporters write it: of a constant and an extent, known with the shapes.
static void as_many_as_there_are(void)
{
    for (int i = 0; i < 2; i++) {
        struct maker m = maker();
        char dump[16384];
        struct value *x = make_input(&m, "x", DIMS(2, 30)), *out[2], *at[1];
        NODE(&m, "Gather", at, make_node(&m, "Shape", x, NULL, NULL), INTS(&m, 1));
        NODE(&m, "TopK", out, x, make_node(&m, "Min", at[0], INTS(&m, i ? 100 : 7), NULL));
        make_output(&m, make_node(&m, "Add", out[0], as_floats(&m, out[1]), NULL));
        CHECK_RIGHT(&m, 0, dump);
        CHECK_HAS(dump, "top k");
    }
}

// Rows and columns of the best places, masks of these, and other arithmetic of whole numbers
// of every size: none of it on the host.
static void whole_numbers(void)
{
    static const char *const ops[] = {"Add",        "Sub",   "Mul",  "Div",           "Mod",
                                      "Pow",        "Max",   "Min",  "BitwiseAnd",    "BitwiseOr",
                                      "BitwiseXor", "Equal", "Less", "GreaterOrEqual"};
    static const enum reel_dtype types[] = {REEL_I64, REEL_I32, REEL_U8, REEL_I16, REEL_U32};
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
            struct maker m = maker();
            m.graph->opset = 18;
            char dump[16384];
            struct value *a = make_input(&m, "a", DIMS(2, 3, 5)), *b = make_input(&m, "b", DIMS(3, 1));
            a->dtype = b->dtype = types[t];
            make_output(&m, as_floats(&m, make_node(&m, ops[i], a, b, NULL)));
            CHECK_RIGHT(&m, 0, dump);
        }
    for (int i = 0; i < 3; i++) {
        struct maker m = maker();
        char dump[16384];
        struct value *at = positions(&m, make_input(&m, "x", DIMS(2, 48)), 9, false), *w = INTS(&m, 8);
        struct value *row = make_node(&m, "Div", at, w, NULL), *column = make_node(&m, "Mod", at, w, NULL);
        struct value *inside = make_node(&m, "Less", row, column, NULL);
        if (i == 0)
            make_output(&m,
                        as_floats(&m, make_node(&m, "Where", inside, row, make_node(&m, "Neg", column, NULL, NULL))));
        if (i == 1) make_output(&m, as_floats(&m, make_node(&m, "Clip", at, INTS(&m, 3), INTS(&m, 20))));
        struct value *truth = make_node(&m, "Cast", make_node(&m, "Sub", row, column, NULL), NULL, NULL);
        attr_int(&m, truth, "to", 9);
        struct value *cast[1];
        if (i == 2) make_output(&m, NODE(&m, "CastLike", cast, truth, make_weights(&m, DIMS(1), 0, 1)));
        CHECK_RIGHT(&m, 0, dump);
    }
}

static void powers_by_whole_numbers(void)
{
    for (int64_t k = -2; k < 4; k++) {
        struct maker m = maker();
        struct value *x = make_node(&m, "Exp", make_input(&m, "x", DIMS(2, 9, 4)), NULL, NULL);
        make_output(&m, make_node(&m, "Pow", make_node(&m, "Sigmoid", x, NULL, NULL), INTS(&m, k), NULL));
        CHECK_RIGHT(&m, 0, NULL);
    }
}

// Of floats: to booleans and bytes, as networks end that give pictures of bytes.
static void casts_of_floats(void)
{
    for (int i = 0; i < 2; i++) {
        struct maker m = maker();
        struct value *x = make_input(&m, "x", DIMS(1, 9, 6, 10));
        if (i) x->dtype = REEL_I32; // numbers that every float type has
        struct value *y = make_node(&m, "Relu", i ? as_floats(&m, x) : x, NULL, NULL);
        y = make_node(&m, "Cast", y, NULL, NULL);
        attr_int(&m, y, "to", i ? 2 : 9);
        make_output(&m, as_floats(&m, y));
        CHECK_RIGHT(&m, 0, NULL);
    }
}

// As a detector does it: the best boxes of all, by their scores.
static void boxes_of_the_best_scores(void)
{
    struct maker m = maker();
    char dump[16384];
    struct value *boxes = make_input(&m, "boxes", DIMS(2, 30, 4)), *scores = make_input(&m, "scores", DIMS(2, 30));
    struct value *at = positions(&m, scores, 6, false), *out[1];
    struct value *rows = NODE(&m, "GatherND", out, boxes, make_node(&m, "Unsqueeze", at, INTS(&m, 2), NULL));
    attr_int(&m, rows, "batch_dims", 1);
    struct value *same =
        make_node(&m, "Expand", make_node(&m, "Unsqueeze", at, INTS(&m, 2), NULL), INTS(&m, 2, 6, 4), NULL);
    struct value *elements = make_node(&m, "GatherElements", boxes, same, NULL);
    attr_int(&m, elements, "axis", 1);
    make_output(&m, make_node(&m, "Mul", rows, elements, NULL));
    CHECK_RIGHT(&m, 0, dump);
    CHECK_HAS(dump, "GatherND         gather");
    CHECK_HAS(dump, "GatherElements   gather");
}

static void scattered(void)
{
    static const char *const how[] = {"none", "add", "mul", "max", "min"};
    for (int i = 0; i < 10; i++) {
        struct maker m = maker();
        char dump[16384];
        struct value *x = make_input(&m, "x", DIMS(9, 6)), *by = make_input(&m, "by", DIMS(4, 6)), *y;
        struct value *at = positions(&m, by, 4, i & 1); // (4,4): columns, many of them twice
        struct value *out[1], *updates[1];
        NODE(&m, "Slice", updates, by, INTS(&m, 0), INTS(&m, i < 5 ? 4 : 2), INTS(&m, 1));
        if (i < 5) {
            y = NODE(&m, "ScatterElements", out, x, at, updates[0]);
            attr_int(&m, y, "axis", 0);
        } else if (i < 9) { // rows and columns
            struct value *pairs = make_node(&m, "Reshape", at, INTS(&m, 8, 2), NULL);
            y = NODE(&m, "ScatterND", out, x, pairs, make_node(&m, "Reshape", updates[0], INTS(&m, 8), NULL));
        } else { // whole rows
            struct value *rows = make_node(&m, "Reshape", at, INTS(&m, 16, 1), NULL);
            y = NODE(&m, "ScatterND", out, x, rows, make_node(&m, "Tile", by, INTS(&m, 4, 1), NULL));
        }
        attr_text(&m, y, "reduction", how[i % 5]);
        make_output(&m, y);
        CHECK_RIGHT(&m, 0, dump);
        CHECK_HAS(dump, "scatter");
    }
}

static void one_of_many(void)
{
    for (int i = 0; i < 3; i++) {
        struct maker m = maker();
        struct value *x = make_input(&m, "x", DIMS(4, 6)), *out[1], *y;
        if (i < 2) {
            struct value *depth = INTS(&m, 6);
            y = NODE(&m, "OneHot", out, positions(&m, x, 3, false), depth, make_weights(&m, DIMS(2), -1, 1));
            attr_int(&m, y, "axis", i ? 1 : -1);
        } else {
            y = make_node(&m, "Hardmax", x, NULL, NULL);
        }
        make_output(&m, y);
        CHECK_RIGHT(&m, 0, NULL);
    }
}

static void prefixes(void)
{
    for (int i = 0; i < 16; i++) {
        struct maker m = maker();
        struct value *x = make_input(&m, "x", DIMS(2, 3, 11, 4)), *y;
        m.graph->opset = 26;
        y = make_node(&m, i & 8 ? "CumProd" : "CumSum", x, INTS(&m, i & 4 ? 2 : -1), NULL);
        attr_int(&m, y, "exclusive", i & 1);
        attr_int(&m, y, "reverse", i >> 1 & 1);
        make_output(&m, y);
        CHECK_RIGHT(&m, 0, NULL);
    }
}

static void triangles_and_reversals(void)
{
    struct maker m = maker();
    struct value *x = make_input(&m, "x", DIMS(5, 3, 4)), *out[1];
    struct value *low = make_node(&m, "Trilu", x, INTS(&m, -1), NULL), *up = make_node(&m, "Trilu", x, NULL, NULL);
    attr_int(&m, low, "upper", 0);
    struct value *turned = NODE(&m, "ReverseSequence", out, make_node(&m, "Sub", low, up, NULL), INTS(&m, 5, 0, 3));
    struct value *flat = make_node(&m, "Reshape", x, INTS(&m, 15, 4), NULL);
    struct value *eye = make_node(&m, "EyeLike", flat, NULL, NULL);
    attr_int(&m, eye, "k", -2);
    make_output(&m, make_node(&m, "Add", turned, make_node(&m, "Reshape", eye, INTS(&m, 5, 3, 4), NULL), NULL));
    CHECK_RIGHT(&m, 0, NULL);
}

// ---- computed places -------------------------------------------------------------------

static void grids(void)
{
    static const char *const modes[] = {"nearest", "linear", "cubic"}, *const beyond[] = {"zeros", "border",
                                                                                          "reflection"};
    for (int i = 0; i < 18; i++) {
        struct maker m = maker();
        struct value *x = make_input(&m, "x", DIMS(2, i & 1 ? 9 : 3, 6, 7));
        struct value *theta = make_weights(&m, DIMS(2, 2, 3), -1.2, 1.2);
        struct value *moved = make_node(&m, "Mul", theta, make_input(&m, "by", DIMS(2, 1, 1)), NULL);
        struct value *grid = make_node(&m, "AffineGrid", moved, INTS(&m, 2, 3, 5, 4), NULL);
        struct value *y = make_node(&m, "GridSample", make_node(&m, "Relu", x, NULL, NULL), grid, NULL);
        attr_int(&m, grid, "align_corners", i & 1);
        attr_int(&m, y, "align_corners", i & 1);
        attr_text(&m, y, "mode", modes[i / 6]);
        attr_text(&m, y, "padding_mode", beyond[i / 2 % 3]);
        make_output(&m, y);
        // 16-bit numbers of the picture alone differ; a place is float32's in all
        CHECK_RIGHT(&m, 0, NULL);
    }
}

// A look-up table of three dimensions, read at the colours of a picture.
static void colours_through_a_table(void)
{
    static const char *const beyond[] = {"zeros", "border", "reflection"};
    for (int i = 0; i < 6; i++) {
        struct maker m = maker();
        char dump[16384];
        m.graph->opset = 20;
        struct value *x = make_input(&m, "x", DIMS(2, 3, 6, 7)), *t = make_node(&m, "Transpose", x, NULL, NULL);
        ATTR_LIST(&m, t, "perm", 0, 2, 3, 1);
        struct value *grid = make_node(&m, "Unsqueeze", make_node(&m, "Tanh", t, NULL, NULL), INTS(&m, 1), NULL);
        struct value *table = make_input(&m, "table", DIMS(2, 3, 5, 4, 3));
        struct value *y =
            make_node(&m, "GridSample", table, make_node(&m, "Mul", grid, make_scalar(&m, 1.2), NULL), NULL);
        attr_int(&m, y, "align_corners", i & 1);
        attr_text(&m, y, "padding_mode", beyond[i / 2]);
        make_output(&m, make_node(&m, "Squeeze", y, INTS(&m, 2), NULL));
        CHECK_RIGHT(&m, 0, dump);
        CHECK_HAS(dump, "grid sample");
    }
}

static struct value *constant_floats(struct maker *m, struct reel_shape shape, const float *f)
{
    struct value *v = make_weights(m, shape, 0, 1);
    memcpy(v->constant->data, f, (size_t)reel_shape_count(&shape) * sizeof *f);
    return v;
}

static void regions(void)
{
    // inside, across the border, beyond it, of no size
    static const float boxes[] = {1, 1, 9, 7, -3, 2, 4, 30, 40, 40, 50, 60, 5, 5, 5, 5};
    for (int i = 0; i < 8; i++) {
        struct maker m = maker();
        struct value *out[1], *x = make_input(&m, "x", DIMS(2, i & 1 ? 8 : 5, 10, 12));
        struct value *at = make_node(
            &m, "Cast", make_node(&m, "Mul", make_input(&m, "in", DIMS(4)), make_scalar(&m, 0), NULL), NULL, NULL);
        attr_int(&m, at, "to", 7);
        struct value *y =
            NODE(&m, "RoiAlign", out, make_node(&m, "Relu", x, NULL, NULL), constant_floats(&m, DIMS(4, 4), boxes), at);
        attr_int(&m, y, "output_height", 3);
        attr_int(&m, y, "output_width", 2);
        attr_int(&m, y, "sampling_ratio", i & 4 ? 2 : 0);
        attr_text(&m, y, "mode", i & 2 ? "max" : "avg");
        make_output(&m, y);
        CHECK_RIGHT(&m, 0, NULL);
    }
}

static void largest_of_regions(void)
{
    // inside, across the border, beyond it, of no size, of the other image
    static const float boxes[] = {0, 1, 1, 9, 7, 1, -3, 2, 4, 30, 0, 40, 40, 50, 60, 1, 5, 5, 5, 5, 1, 0, 0, 11, 9};
    for (int i = 0; i < 2; i++) {
        struct maker m = maker();
        char dump[16384];
        struct value *out[1], *x = make_input(&m, "x", DIMS(2, i ? 8 : 5, 10, 12));
        struct value *y =
            NODE(&m, "MaxRoiPool", out, make_node(&m, "Tanh", x, NULL, NULL), constant_floats(&m, DIMS(5, 5), boxes));
        ATTR_LIST(&m, y, "pooled_shape", 3, 2);
        make_output(&m, y);
        CHECK_RIGHT(&m, 0, dump);
        CHECK_HAS(dump, "roi pool");
    }
}

static void deformed(void)
{
    for (int i = 0; i < 4; i++) { // groups; with a mask
        struct maker m = maker();
        char dump[16384];
        const int64_t groups = 1 + (i & 1), offsets = 2;
        struct value *x = make_input(&m, "x", DIMS(2, 8, 7, 6)), *out[1];
        struct value *offset = make_input(&m, "offset", DIMS(2, 2 * 9 * offsets, 4, 3));
        struct value *mask = make_node(&m, "Sigmoid", make_input(&m, "mask", DIMS(2, 9 * offsets, 4, 3)), NULL, NULL);
        struct value *w = make_weights(&m, DIMS(i & 1 ? 10 : 16, 8 / groups, 3, 3), -0.3, 0.3);
        struct value *b = make_weights(&m, DIMS(i & 1 ? 10 : 16), -1, 1), *y;
        y = i & 2 ? NODE(&m, "DeformConv", out, x, w, offset, b, mask) : NODE(&m, "DeformConv", out, x, w, offset);
        ATTR_LIST(&m, y, "pads", 1, 1, 1, 1);
        ATTR_LIST(&m, y, "strides", 2, 2);
        attr_int(&m, y, "group", groups);
        attr_int(&m, y, "offset_group", offsets);
        make_output(&m, make_node(&m, "Relu", y, NULL, NULL));
        CHECK_RIGHT(&m, 0, dump);
        CHECK_HAS(dump, i & 1 ? "product" : "plan           matmul");
    }
}

static void pools_of_volumes(void)
{
    for (int i = 0; i < 4; i++) {
        struct maker m = maker();
        char dump[16384];
        struct value *x = make_input(&m, "x", DIMS(2, 3, 5, 7, 6));
        struct value *y = make_node(&m, i & 1 ? "MaxPool" : "AveragePool", x, NULL, NULL);
        ATTR_LIST(&m, y, "kernel_shape", 2, 3, 3);
        ATTR_LIST(&m, y, "strides", 1, 2, 1);
        ATTR_LIST(&m, y, "pads", 0, 1, 2, 1, 1, 0);
        attr_int(&m, y, "ceil_mode", i >> 1);
        if (i == 2) attr_int(&m, y, "count_include_pad", 1);
        make_output(&m, y);
        CHECK_RIGHT(&m, 0, dump);
        CHECK_HAS(dump, i & 1 ? "max pool" : "average pool");
    }
}

// Windows smaller than their stride, centred.
static void centred_pools(void)
{
    static const char *const ops[] = {"AveragePool", "MaxPool", "LpPool"};
    for (int i = 0; i < 6; i++) {
        struct maker m = maker();
        struct value *x = make_node(&m, "Tanh", make_input(&m, "x", DIMS(1, 5, 6, 9)), NULL, NULL);
        struct value *y = make_node(&m, ops[i / 2], x, NULL, NULL);
        ATTR_LIST(&m, y, "kernel_shape", 1, 2);
        ATTR_LIST(&m, y, "strides", 3, 4);
        attr_text(&m, y, "auto_pad", i & 1 ? "SAME_LOWER" : "SAME_UPPER");
        make_output(&m, y);
        CHECK_RIGHT(&m, 0, NULL);
    }
}

// LpPool in one and two dimensions, over all pixels, and a norm along an axis.
static void norms(void)
{
    for (int i = 0; i < 8; i++) {
        struct maker m = maker();
        char dump[16384];
        struct value *x = make_input(&m, "x", i & 1 ? DIMS(2, 9, 7) : DIMS(2, 9, 7, 6));
        struct value *y = make_node(&m, "LpPool", make_node(&m, "Tanh", x, NULL, NULL), NULL, NULL);
        if (i & 1) {
            ATTR_LIST(&m, y, "kernel_shape", 3);
            ATTR_LIST(&m, y, "pads", i >> 1 & 1, 1);
        } else {
            ATTR_LIST(&m, y, "kernel_shape", 3, 2);
            ATTR_LIST(&m, y, "pads", 1, 0, i >> 1 & 1, 1);
        }
        attr_int(&m, y, "p", 1 + (i >> 1));
        y = make_node(&m, "LpNormalization", y, NULL, NULL);
        attr_int(&m, y, "axis", i & 4 ? 1 : -1);
        attr_int(&m, y, "p", 1 + (i & 1));
        struct value *all = make_node(&m, "GlobalLpPool", make_node(&m, "Tanh", x, NULL, NULL), NULL, NULL);
        attr_int(&m, all, "p", 1 + (i & 1));
        y = make_node(&m, "Mul", y, make_node(&m, "ReduceLogSum", all, NULL, NULL), NULL);
        make_output(&m, y);
        CHECK_RIGHT(&m, 0, dump);
        CHECK_HAS(dump, "lp pool");
    }
}

// A norm of zeros divides nothing.
static void norm_of_zeros(void)
{
    struct maker m = maker();
    struct value *x = make_node(&m, "Mul", make_input(&m, "x", DIMS(3, 5)), make_scalar(&m, 0), NULL);
    make_output(&m, make_node(&m, "Add", make_node(&m, "LpNormalization", x, NULL, NULL), make_scalar(&m, 1), NULL));
    CHECK_RIGHT(&m, 0, NULL);
}

static void pooled_and_back(void)
{
    for (int c = 3; c <= 8; c += 5) {
        struct maker m = maker();
        struct value *x = make_input(&m, "x", DIMS(2, c, 8, 6)), *pooled[2], *out[1];
        NODE(&m, "MaxPool", pooled, make_node(&m, "Sign", x, NULL, NULL)); // the same ties in every type
        ATTR_LIST(&m, pooled[0], "kernel_shape", 2, 2);
        ATTR_LIST(&m, pooled[0], "strides", 2, 2);
        struct value *y = NODE(&m, "MaxUnpool", out, pooled[0], pooled[1]);
        ATTR_LIST(&m, y, "kernel_shape", 2, 2);
        ATTR_LIST(&m, y, "strides", 2, 2);
        y = make_node(&m, "LRN", y, NULL, NULL);
        attr_int(&m, y, "size", 3);
        make_attr(&m, y, (struct attr){.name = "alpha", .type = ATTR_FLOAT, .count = 1, .u.f = 0.5f});
        make_output(&m, y);
        CHECK_RIGHT(&m, 0, NULL);
    }
}

static void framed_columns(void)
{
    struct maker m = maker();
    struct value *x = make_input(&m, "x", DIMS(2, 3 * 2 * 3, 5 * 4)), *out[1];
    struct value *y = NODE(&m, "Col2Im", out, x, INTS(&m, 5, 9), INTS(&m, 2, 3));
    ATTR_LIST(&m, y, "pads", 0, 1, 1, 0);
    ATTR_LIST(&m, y, "strides", 1, 2);
    y = make_node(&m, "CenterCropPad", y, INTS(&m, 8, 4), NULL);
    ATTR_LIST(&m, y, "axes", 2, 3);
    make_output(&m, y);
    CHECK_RIGHT(&m, 0, NULL);
}

// ---- products --------------------------------------------------------------------------

static void equations(void)
{
    static const struct {
        const char *equation;
        struct reel_shape a, b;
        const char *label; // NULL: one operand
    } cases[] = {{"bij,bjk->bik", DIMS(2, 70, 16), DIMS(2, 16, 8), "plan           matmul"},
                 {"bhid,bhjd->bhij", DIMS(2, 3, 5, 8), DIMS(2, 3, 7, 8), "product"},
                 {"bchw,kc->bkhw", DIMS(2, 8, 5, 6), DIMS(16, 8), "plan           matmul"},
                 {"nhwc,hkc->nhwk", DIMS(2, 3, 4, 8), DIMS(3, 5, 8), "product"},
                 {"abc,cd->d", DIMS(2, 3, 4), DIMS(4, 5), "sum"},
                 {"i,j->ij", DIMS(5), DIMS(7), "product"},
                 {"...ij,...jk->...ik", DIMS(2, 3, 4, 5), DIMS(1, 3, 5, 6), "product"},
                 {"iij->ji", DIMS(4, 4, 5), {0}, NULL},
                 {"abc->b", DIMS(2, 3, 4), {0}, NULL},
                 {"ab->", DIMS(6, 3), {0}, NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct maker m = maker();
        char dump[16384];
        struct value *a = make_input(&m, "a", cases[i].a), *b = NULL;
        if (cases[i].label) b = make_input(&m, "b", cases[i].b);
        struct value *y = make_node(&m, "Einsum", a, b, NULL);
        attr_text(&m, y, "equation", cases[i].equation);
        make_output(&m, y);
        CHECK_RIGHT(&m, 0, dump);
        if (cases[i].label) CHECK_HAS(dump, cases[i].label);
    }
}

static void three_factors(void)
{
    struct maker m = maker();
    struct value *out[1], *x = make_input(&m, "x", DIMS(2, 6, 5)), *w = make_weights(&m, DIMS(5, 3), -1, 1);
    struct value *y = NODE(&m, "Einsum", out, x, w, make_input(&m, "z", DIMS(2, 3, 4)));
    attr_text(&m, y, "equation", "bij, jk, bkl -> ilb");
    make_output(&m, y);
    CHECK_RIGHT(&m, 0, NULL);
}

static void fused_products(void)
{
    for (int i = 0; i < 8; i++) { // transA, transB, constant
        struct maker m = maker();
        struct value *out[1], *a = make_input(&m, "a", i & 1 ? DIMS(2, 8, 6) : DIMS(2, 6, 8)), *b;
        const struct reel_shape s = i & 2 ? DIMS(16, 8) : DIMS(8, 16);
        b = i & 4 ? make_weights(&m, s, -1, 1) : make_input(&m, "b", s);
        struct value *y = node_of(&m, "com.microsoft", "FusedMatMul", (struct value *[]){a, b}, 2, out, 1);
        attr_int(&m, y, "transA", i & 1);
        attr_int(&m, y, "transB", i >> 1 & 1);
        make_attr(&m, y, (struct attr){.name = "alpha", .type = ATTR_FLOAT, .count = 1, .u.f = 0.25f});
        make_output(&m, y);
        CHECK_RIGHT(&m, 0, NULL);
    }
}

static void whole_attention(void)
{
    for (int i = 0; i < 8; i++) { // packed; shared keys; mask, causal, window
        struct maker m = maker();
        char dump[16384];
        m.graph->opset = 24;
        const bool packed = i & 1;
        const int64_t kv = i & 2 ? 2 : 4, keys = i & 4 ? 9 : 8;
        struct value *out[1];
        struct value *q = make_input(&m, "q", packed ? DIMS(2, 6, 4 * 8) : DIMS(2, 4, 6, 8));
        struct value *k = make_input(&m, "k", packed ? DIMS(2, keys, kv * 8) : DIMS(2, kv, keys, 8));
        struct value *v = make_input(&m, "v", packed ? DIMS(2, keys, kv * 16) : DIMS(2, kv, keys, 16));
        struct value *mask = make_input(&m, "mask", DIMS(2, 1, 6, keys));
        struct value *y = i & 4 ? NODE(&m, "Attention", out, q, k, v, mask) : NODE(&m, "Attention", out, q, k, v);
        if (packed) attr_int(&m, y, "q_num_heads", 4);
        if (packed) attr_int(&m, y, "kv_num_heads", kv);
        if (i & 4) attr_int(&m, y, "is_causal", 1);
        make_output(&m, y);
        CHECK_RIGHT(&m, 0, dump);
        CHECK_HAS(dump, i & 4 ? "product" : "plan           matmul");
    }
}

// The products, or the weights, as an output beside.
static void attention_with_its_scores(void)
{
    static const struct {
        int mode, on_host;
    } cases[] = {{0, 0}, {1, 0}, {2, 0}, {3, 0}};
    for (int i = 0; i < 4; i++) {
        struct maker m = maker();
        m.graph->opset = 24;
        struct value *out[4], *q = make_input(&m, "q", DIMS(2, 4, 6, 8)), *k = make_input(&m, "k", DIMS(2, 4, 9, 8));
        struct value *y = NODE(&m, "Attention", out, q, k, k, make_input(&m, "mask", DIMS(2, 1, 6, 9)));
        attr_int(&m, y, "qk_matmul_output_mode", cases[i].mode);
        make_attr(&m, y, (struct attr){.name = "softcap", .type = ATTR_FLOAT, .count = 1, .u.f = 2});
        make_output(&m, out[3]);
        make_output(&m, y);
        CHECK_RIGHT(&m, cases[i].on_host, NULL);
    }
}

static void heads_of_microsoft(void)
{
    for (int i = 0; i < 2; i++) {
        struct maker m = maker();
        struct value *out[1], *q = make_input(&m, "q", DIMS(2, 7, 24)), *kv = make_input(&m, "kv", DIMS(2, 9, 24));
        struct value *bias = make_weights(&m, DIMS(72), -1, 1), *add = make_input(&m, "add", DIMS(1, 3, 7, 9));
        struct value *in[] = {q, kv, kv, bias, NULL, i ? add : NULL};
        struct value *y = node_of(&m, "com.microsoft", "MultiHeadAttention", in, i ? 6 : 4, out, 1);
        attr_int(&m, y, "num_heads", 3);
        make_output(&m, y);
        CHECK_RIGHT(&m, 0, NULL);
    }
}

static void sums_and_norms_of_microsoft(void)
{
    for (int i = 0; i < 4; i++) { // a skip for all images; bias and sum
        struct maker m = maker();
        struct value *out[4], *x = make_input(&m, "x", DIMS(2, 5, 24));
        struct value *skip = make_input(&m, "skip", i & 1 ? DIMS(5, 24) : DIMS(2, 5, 24));
        struct value *gamma = make_weights(&m, DIMS(24), 0.5, 1), *beta = make_weights(&m, DIMS(24), -1, 1);
        struct value *in[] = {x, skip, gamma, beta, make_weights(&m, DIMS(24), -1, 1)};
        struct value *y = node_of(&m, "com.microsoft", "SkipLayerNormalization", in, i & 2 ? 5 : 4, out, i & 2 ? 4 : 1);
        make_output(&m, i & 2 ? make_node(&m, "Mul", y, out[3], NULL) : y);
        CHECK_RIGHT(&m, 0, NULL);
    }
}

static void turned_by_position(void)
{
    for (int i = 0; i < 4; i++) {
        struct maker m = maker();
        m.graph->opset = 24;
        struct value *out[1], *x = make_input(&m, "x", i & 1 ? DIMS(2, 5, 24) : DIMS(2, 3, 5, 8));
        struct value *at = positions(&m, make_input(&m, "by", DIMS(2, 6)), 5, false);
        struct value *y = NODE(&m, "RotaryEmbedding", out, x, make_weights(&m, DIMS(6, 3), -1, 1),
                               make_weights(&m, DIMS(6, 3), -1, 1), at);
        if (i & 1) attr_int(&m, y, "num_heads", 3);
        attr_int(&m, y, "interleaved", i >> 1);
        attr_int(&m, y, "rotary_embedding_dim", 6);
        make_output(&m, y);
        CHECK_RIGHT(&m, 0, NULL);
    }
}

// ---- recurrent layers ------------------------------------------------------------------

static struct value *lengths(struct maker *m, int64_t a, int64_t b, int64_t c)
{
    struct value *v = make_node(m, "Cast", INTS(m, a, b, c), NULL, NULL);
    attr_int(m, v, "to", 6);
    return v;
}

// kind 0 RNN, 1 GRU, 2 LSTM; `with`: a bit each for what is optional.
static void recurrent(int kind, int with)
{
    static const char *const names[] = {"RNN", "GRU", "LSTM"};
    struct maker m = maker();
    char dump[16384];
    const int64_t n = 8, gates = kind ? kind + 2 : 1, two = with & 1 ? 2 : 1;
    struct value *x = make_input(&m, "x", DIMS(6, 3, 16)), *out[3];
    struct value *w = make_weights(&m, DIMS(two, gates * n, 16), -0.3, 0.3);
    struct value *r = make_weights(&m, DIMS(two, gates * n, n), -0.5, 0.5);
    struct value *b = with & 2 ? make_weights(&m, DIMS(two, 2 * gates * n), -0.5, 0.5) : NULL;
    struct value *h = with & 4 ? make_input(&m, "h", DIMS(two, 3, n)) : NULL;
    struct value *c = kind == 2 && with & 4 ? make_input(&m, "c", DIMS(two, 3, n)) : NULL;
    struct value *peep = kind == 2 && with & 2 ? make_weights(&m, DIMS(two, 3 * n), -0.5, 0.5) : NULL;
    struct value *in[] = {x, w, r, b, with & 8 ? lengths(&m, 6, 0, 4) : NULL, h, c, peep};
    node_of(&m, NULL, names[kind], in, kind == 2 ? 8 : 6, out, kind == 2 ? 3 : 2);
    attr_int(&m, out[0], "hidden_size", n);
    if (with & 1) attr_text(&m, out[0], "direction", "bidirectional");
    if (kind == 1 && with & 16) attr_int(&m, out[0], "linear_before_reset", 1);
    if (kind == 2 && with & 16) attr_int(&m, out[0], "input_forget", 1);
    if (!(with & 1) && with & 16) attr_text(&m, out[0], "direction", "reverse");
    // all results in one: the last states beside each step's
    struct value *last = make_node(&m, "Add", out[1], out[kind == 2 ? 2 : 1], NULL);
    make_output(&m, make_node(&m, "Add", out[0], last, NULL));
    CHECK_RIGHT(&m, 0, dump);
    CHECK_HAS(dump, "all steps");
}

static void recurrent_layers(void)
{
    for (int kind = 0; kind < 3; kind++)
        for (int with = 0; with < 32; with++) recurrent(kind, with);
}

// ---- transforms ------------------------------------------------------------------------

static void spectra(void)
{
    for (int i = 0; i < 24; i++) { // inverse, onesided, along the first axis or the last, cut, whole or longer
        struct maker m = maker();
        const bool inverse = i & 1, onesided = i & 2;
        const int64_t parts = onesided && !inverse ? 1 : 2;
        const int64_t rows = i & 4 ? 5 : 40; // the inverse of few numbers is the host's
        struct value *out[1], *x = make_input(&m, "x", DIMS(2, 9, rows, parts));
        static const int64_t lengths[] = {7, 9, 12};
        struct value *length = make_node(&m, "Squeeze", INTS(&m, lengths[i / 8]), NULL, NULL);
        struct value *axis = make_node(&m, "Squeeze", INTS(&m, i & 4 ? 1 : -2), NULL, NULL);
        struct value *y = NODE(&m, "DFT", out, x, length, axis);
        attr_int(&m, y, "inverse", inverse);
        attr_int(&m, y, "onesided", onesided);
        make_output(&m, y);
        CHECK_RIGHT(&m, inverse && !onesided && rows == 5, NULL);
    }
}

// Weights that are data: templates, styles. Dense, of few channels, in groups, a channel
// each, transposed, of one dimension; scaled constants, and what another convolution made.
static void weights_that_are_data(void)
{
    static const struct {
        int c, k, groups;
        bool transposed, flat;
    } cases[] = {{8, 16, 1},
                 {5, 7, 1},
                 {3, 9, 1},
                 {16, 16, 2},
                 {12, 6, 3},
                 {8, 8, 8},
                 {7, 7, 7},
                 {9, 6, 1, true},
                 {16, 8, 2, true},
                 {8, 16, 1, false, true},
                 {5, 3, 1, true, true}};
    for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
        const int c = cases[i / 2].c, k = cases[i / 2].k, groups = cases[i / 2].groups;
        const bool transposed = cases[i / 2].transposed, flat = cases[i / 2].flat;
        const int first = transposed ? c : k, second = (transposed ? k : c) / groups;
        struct maker m = maker();
        struct value *x = make_input(&m, "x", flat ? DIMS(2, c, 20) : DIMS(2, c, 9, 10)), *w, *out[1];
        if (i & 1) {
            struct value *style = make_input(&m, "style", flat ? DIMS(1, second, 1) : DIMS(1, second, 1, 1));
            w = make_node(&m, "Mul",
                          make_weights(&m, flat ? DIMS(first, second, 3) : DIMS(first, second, 3, 3), -0.2, 0.2), style,
                          NULL);
        } else {
            w = make_node(&m, "Tanh", make_input(&m, "w", flat ? DIMS(first, second, 3) : DIMS(first, second, 3, 3)),
                          NULL, NULL);
            w = make_node(&m, "Mul", w, make_scalar(&m, 0.2), NULL);
        }
        struct value *y =
            NODE(&m, transposed ? "ConvTranspose" : "Conv", out, x, w, make_weights(&m, DIMS(k), -0.1, 0.1));
        attr_int(&m, y, "group", groups);
        if (flat)
            ATTR_LIST(&m, y, "pads", 1, 1);
        else
            ATTR_LIST(&m, y, "pads", 1, 1, 1, 1);
        make_output(&m, make_node(&m, "Relu", y, NULL, NULL));
        CHECK_RIGHT(&m, 0, NULL);
    }
}

// Convolutions over three axes: strides, dilations and padding along each, activations behind.
static void convolved_volumes(void)
{
    for (int i = 0; i < 6; i++) {
        struct maker m = maker();
        char dump[16384];
        const int64_t c = i & 1 ? 3 : 8, k = i & 2 ? 5 : 16, planes = i < 4 ? 3 : 1;
        struct value *x = make_input(&m, "x", DIMS(2, c, 5, 9, 8)), *out[1];
        struct value *w = make_weights(&m, DIMS(k, c, planes, 3, 3), -0.2, 0.2);
        struct value *y = NODE(&m, "Conv", out, x, w, make_weights(&m, DIMS(k), -0.1, 0.1));
        if (i < 2) ATTR_LIST(&m, y, "pads", 1, 1, 1, 1, 1, 1);
        if (i == 2) ATTR_LIST(&m, y, "strides", 2, 1, 2);
        if (i == 2) ATTR_LIST(&m, y, "pads", 2, 0, 1, 0, 1, 0);
        if (i == 3) ATTR_LIST(&m, y, "dilations", 2, 1, 2);
        if (i == 4) attr_text(&m, y, "auto_pad", "SAME_UPPER");
        y = make_node(&m, "Relu", y, NULL, NULL);
        if (i & 1) y = make_node(&m, "Mul", y, make_weights(&m, DIMS(k, 1, 1, 1), 0.5, 2), NULL);
        make_output(&m, y);
        CHECK_RIGHT(&m, 0, dump);
        CHECK(!strstr(dump, "planes") == (planes == 1));
    }
}

// A constant in front, and sums with data of every shape; indices of 32 bits.
static void products_of_other_kinds(void)
{
    for (int i = 0; i < 8; i++) {
        struct maker m = maker();
        struct value *x = make_input(&m, "x", i & 1 ? DIMS(16, 24) : DIMS(2, 3, 16, 24)), *out[1], *y;
        struct value *w = make_weights(&m, DIMS(i & 2 ? 7 : 8, 16), -0.4, 0.4);
        const int64_t rows = i & 2 ? 7 : 8;
        if (i & 1) {
            struct value *c =
                make_node(&m, "Tanh", make_input(&m, "c", i & 4 ? DIMS(rows, 1) : DIMS(rows, 24)), NULL, NULL);
            y = NODE(&m, "Gemm", out, w, x, c);
            make_attr(&m, y, (struct attr){.name = "beta", .type = ATTR_FLOAT, .count = 1, .u.f = i & 2 ? 1 : 0.5f});
        } else {
            y = make_node(&m, "MatMul", w, x, NULL);
        }
        make_output(&m, make_node(&m, "Relu", y, NULL, NULL));
        CHECK_RIGHT(&m, 0, NULL);
    }
    struct maker m = maker();
    struct value *at = make_node(&m, "Cast", positions(&m, make_input(&m, "x", DIMS(2, 30)), 6, false), NULL, NULL);
    attr_int(&m, at, "to", 6);
    make_output(&m, make_node(&m, "Gather", make_input(&m, "table", DIMS(30, 5)), at, NULL));
    CHECK_RIGHT(&m, 0, NULL);
}

// Det, TensorScatter, Compress by a constant, BitCast.
static void rare_operators(void)
{
    for (int i = 0; i < 6; i++) {
        struct maker m = maker();
        m.graph->opset = 26;
        char dump[16384];
        struct value *x = make_node(&m, "Tanh", make_input(&m, "x", DIMS(2, 3, 5, 4)), NULL, NULL), *y, *out[1];
        if (i == 0) {
            y = make_node(&m, "Det", make_node(&m, "Reshape", x, INTS(&m, 30, 2, 2), NULL), NULL, NULL);
        } else if (i < 3) {
            y = NODE(&m, "TensorScatter", out, x, make_input(&m, "u", DIMS(2, 3, 2, 4)),
                     i == 1 ? INTS(&m, 1, 3) : NULL);
            if (i == 2) attr_text(&m, y, "mode", "circular");
        } else if (i < 5) {
            struct reel_tensor t;
            if (reel_tensor_init(&t, REEL_BOOL, &DIMS(4))) abort();
            memcpy(t.data, (uint8_t[]){1, 0, 1, 1}, 4);
            y = NODE(&m, "Compress", out, x, graph_add_constant(m.graph, NULL, &t));
            if (i == 3) attr_int(&m, y, "axis", -2);
        } else {
            y = make_node(&m, "BitCast", make_node(&m, "Floor", x, NULL, NULL), NULL, NULL);
            attr_int(&m, y, "to", 6);
            y = make_node(&m, "BitCast",
                          make_node(&m, "BitwiseNot", make_node(&m, "BitwiseNot", y, NULL, NULL), NULL, NULL), NULL,
                          NULL);
            attr_int(&m, y, "to", 1);
        }
        make_output(&m, y);
        CHECK_RIGHT(&m, 0, dump);
    }
}

// Behind a host step the little stays there, the much comes back.
static void back_from_the_host(void)
{
    for (int i = 0; i < 2; i++) {
        struct maker m = maker();
        struct value *x = make_input(&m, "x", i ? DIMS(1, 8, 48, 48) : DIMS(1, 8, 4, 4));
        struct value *y = by_the_host(&m, x, 8);
        y = make_node(&m, "Mul", make_node(&m, "Sigmoid", y, NULL, NULL), y, NULL);
        make_output(&m, make_node(&m, "Transpose", y, NULL, NULL));
        CHECK_RIGHT(&m, i ? 1 : 4, NULL);
    }
}

// What may be a CUDA graph: all between two steps that take the host's part, and nothing else.
static void stretches(void)
{
    for (int hosts = 0; hosts < 3; hosts++) {
        struct maker m = maker();
        struct value *y = make_node(&m, "Tanh", make_input(&m, "x", DIMS(2, 3, 4, 5)), NULL, NULL);
        for (int i = 0; i < hosts; i++) {
            y = by_the_host(&m, y, 3);
            y = make_node(&m, "Conv", y, make_weights(&m, DIMS(3, 3, 1, 1), -0.5, 0.5), NULL);
        }
        make_output(&m, y);
        struct lowered *lowered = NULL;
        struct graph *after = after_passes(m.graph, backend_cudnn_host.caps);
        const struct lower_params params = {.precision = PRECISION_FP16, .sm = 90};
        CHECK(after && !gpu_lowered_create(after, &params, &lowered));
        int n = 0, alone = 0;
        bool host, last = false;
        for (int at = lowered->main_begin, end; at < lowered->main_end; at = end, n++) {
            end = exec_stretch(lowered, at, lowered->main_end, &host);
            CHECK(end > at && end <= lowered->main_end);
            for (int i = at; i < end; i++) CHECK_INT(lowered->steps[i].kind == STEP_HOST, host);
            CHECK(n == 0 || host || last); // two stretches of the device's do not meet
            last = host, alone += host;
        }
        CHECK_INT(alone, hosts);
        CHECK_INT(n, 2 * hosts + 1);
        gpu_lowered_destroy(&lowered);
        graph_destroy(&after);
        graph_destroy(&m.graph);
    }
}

static void spectra_of_frames(void)
{
    for (int i = 0; i < 4; i++) { // of one part or two; a window
        struct maker m = maker();
        struct value *x = make_input(&m, "x", DIMS(2, 40, i & 1 ? 2 : 1)), *out[1];
        struct value *every = make_node(&m, "Squeeze", INTS(&m, 5), NULL, NULL);
        struct value *length = make_node(&m, "Squeeze", INTS(&m, 12), NULL, NULL);
        struct value *y = NODE(&m, "STFT", out, x, every, i & 2 ? make_weights(&m, DIMS(12), 0, 1) : NULL, length);
        attr_int(&m, y, "onesided", !(i & 1));
        make_output(&m, y);
        CHECK_RIGHT(&m, 0, NULL);
    }
}

CHECK_MAIN({"the largest", the_largest}, {"colours through a table", colours_through_a_table},
           {"the largest of many", the_largest_of_many}, {"boxes of the best scores", boxes_of_the_best_scores},
           {"as many as there are", as_many_as_there_are}, {"whole numbers", whole_numbers},
           {"powers by whole numbers", powers_by_whole_numbers}, {"casts of floats", casts_of_floats},
           {"scattered", scattered}, {"one of many", one_of_many}, {"prefixes", prefixes},
           {"triangles and reversals", triangles_and_reversals}, {"grids", grids}, {"regions", regions},
           {"the largest of regions", largest_of_regions}, {"deformable convolutions", deformed},
           {"pooled and back", pooled_and_back}, {"pools of volumes", pools_of_volumes},
           {"centred pools", centred_pools}, {"norms", norms}, {"a norm of zeros", norm_of_zeros},
           {"framed columns", framed_columns}, {"equations", equations}, {"three factors", three_factors},
           {"fused products", fused_products}, {"whole attention", whole_attention},
           {"attention with its scores", attention_with_its_scores}, {"heads of com.microsoft", heads_of_microsoft},
           {"sums and norms of com.microsoft", sums_and_norms_of_microsoft}, {"turned by position", turned_by_position},
           {"recurrent layers", recurrent_layers}, {"spectra", spectra}, {"spectra of frames", spectra_of_frames},
           {"weights that are data", weights_that_are_data}, {"convolved volumes", convolved_volumes},
           {"products of other kinds", products_of_other_kinds}, {"rare operators", rare_operators},
           {"back from the host", back_from_the_host}, {"stretches", stretches})

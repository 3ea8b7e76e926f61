// SPDX-License-Identifier: MIT
//
// The rarer operators of the GPU backend, none of which may be a step on the host: arithmetic, norms,
// transforms, and what stays on the host. Each in a small network, by the kernels' twins (lower_case.h).
#include "tests/unit/worker/lower_nodes.h"
#include "worker/backend/cudnn/exec.h"

// ---- arithmetic ---------------------------------------------------------------------

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

// ---- norms --------------------------------------------------------------------------

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

CHECK_MAIN({"whole numbers", whole_numbers}, {"powers by whole numbers", powers_by_whole_numbers},
           {"casts of floats", casts_of_floats}, {"norms", norms}, {"a norm of zeros", norm_of_zeros},
           {"sums and norms of com.microsoft", sums_and_norms_of_microsoft}, {"spectra", spectra},
           {"spectra of frames", spectra_of_frames}, {"rare operators", rare_operators},
           {"back from the host", back_from_the_host}, {"stretches", stretches})

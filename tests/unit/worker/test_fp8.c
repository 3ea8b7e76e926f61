// SPDX-License-Identifier: MIT
//
// --precision fp8 by the host twin: which convolutions it takes, that scales,
// layouts and rounding are right (a network whose numbers e4m3 holds exactly comes
// out exactly), what is fp16 all the same, and the ranges behind the scales.
//
// tests/gpu/test_fp8_net.c is this file once more, on a GPU.
#include "common/opt.h"
#include "tests/unit/worker/graph_make.h"
#include "worker/backend/cudnn/program.h"
#include "worker/backend/ranges.h"
#include "worker/calibrate.h"

extern const struct backend_ops backend_cudnn_host, backend_cudnn;

#ifndef FP8_BACKEND
#define FP8_BACKEND backend_cudnn_host
#define FP8_MAIN CHECK_MAIN
#endif

static struct value *conv_of(struct maker *m, struct value *x, struct value *w, int64_t pad)
{
    struct value *y = make_node(m, "Conv", x, w, NULL);
    ATTR_LIST(m, y, "pads", pad, pad, pad, pad);
    return y;
}

static struct value *conv(struct maker *m, struct value *x, int64_t from, int64_t to, int64_t k)
{
    struct value *w = make_weights(m, DIMS(to, from, k, k), -0.3, 0.3);
    struct value *y = make_node(m, "Conv", x, w, make_weights(m, DIMS(to), -1, 1));
    ATTR_LIST(m, y, "pads", k / 2, k / 2, k / 2, k / 2);
    return y;
}

static void fill(struct reel_tensor *in, const struct graph *g, bool whole)
{
    struct maker random = {.seed = 5};
    if (reel_tensor_init(in, REEL_F32, &g->inputs[0]->shape)) abort();
    for (int64_t i = 0; i < reel_tensor_count(in); i++) {
        const double x = make_random(&random, -3, 3);
        ((float *)in->data)[i] = (float)(whole ? rint(x) : x);
    }
}

struct outcome {
    struct reel_tensor out, want;
    char dump[16384];
    double apart; // of the largest
};

// no_ranges: as for a network that cannot be calibrated.
static void run_fp8(const struct maker *m, bool whole, bool no_ranges, struct outcome *o)
{
    struct reel_tensor in = {0}, out[8] = {0}, want[8] = {0};
    struct program *program = NULL;
    struct ranges *ranges = NULL;
    struct graph *after = after_passes(m->graph, backend_cudnn_host.caps);
    fill(&in, m->graph, whole);
    const struct reel_tensor *in_p = &in;
    CHECK(!ranges_create(&ranges));
    CHECK_MSG(!backend_cudnn_host.measure(after, &in_p, ranges), "%s", reel_fail_text());
    const struct backend_params params = {.precision = PRECISION_FP8, .ranges = no_ranges ? NULL : ranges};
    CHECK_MSG(!FP8_BACKEND.compile(after, &params, &program), "%s", reel_fail_text());
    for (int k = 0; k < 2; k++) { // the second finds the arena as the first left it
        for (int i = 0; i < 8; i++) reel_tensor_fini(&out[i]);
        CHECK_MSG(!FP8_BACKEND.run(program, &in_p, out, false), "%s", reel_fail_text());
    }
    CHECK(!interp_run(m->graph, &in_p, want));
    memset(o->dump, 0, sizeof o->dump);
    FILE *f = fmemopen(o->dump, sizeof o->dump - 1, "w");
    FP8_BACKEND.dump(program, f);
    fclose(f);
    o->out = out[0], o->want = want[0];
    o->apart = tensor_difference(&out[0], &want[0]);
    for (int i = 1; i < 8; i++) reel_tensor_fini(&out[i]), reel_tensor_fini(&want[i]);
    FP8_BACKEND.destroy(&program);
    ranges_destroy(&ranges);
    reel_tensor_fini(&in);
    graph_destroy(&after);
}

static void outcome_fini(struct outcome *o)
{
    reel_tensor_fini(&o->out);
    reel_tensor_fini(&o->want);
}

// e4m3 rounds a number by 1/16 of it at most: input and weight together make 1/8 of a
// product, and so of the sum of the products' magnitudes, in each of two or three
// layers. Of the largest result, where signs are random, it is less than a fifth.
#define ROUNDING 0.2

static int count(const char *text, const char *what)
{
    int n = 0;
    for (const char *at = text; (at = strstr(at, what)); at++) n++;
    return n;
}

// A chain: the first result is brought to e4m3, what lies between is made so, the
// last convolution reads fp16.
static void the_middle_is_in_fp8(void)
{
    struct maker m = maker();
    static struct outcome o;
    struct value *x = conv(&m, make_input(&m, "x", DIMS(1, 3, 12, 11)), 3, 16, 3);
    x = conv(&m, make_node(&m, "Relu", x, NULL, NULL), 16, 32, 3);
    x = conv(&m, make_node(&m, "PRelu", x, make_weights(&m, DIMS(32, 1, 1), 0, 0.5), NULL), 32, 48, 1);
    x = conv(&m, make_node(&m, "Sigmoid", x, NULL, NULL), 48, 16, 3);
    make_output(&m, conv(&m, make_node(&m, "Relu", x, NULL, NULL), 16, 5, 3));
    run_fp8(&m, false, false, &o);
    CHECK_HAS(o.dump, "# f8: 3 of the 3 convolutions between the first and the last; cuDNN refused 0");
    CHECK_INT(count(o.dump, " to f8 "), 1);
    CHECK_HAS(o.dump,
              "1x16x12x11 k32 3x3 g1 p1,1,1,1 s1,1 d1,1 o0,0 f8,f8->f8 +mul:channel +add:channel +prelu:channel "
              "+mul:channel");
    CHECK_HAS(o.dump, "k48 1x1 g1 p0,0,0,0 s1,1 d1,1 o0,0 f8,f8->f8 +mul:channel +add:channel +sigmoid +mul:channel");
    CHECK_HAS(o.dump, "1x48x12x11 k16 3x3 g1 p1,1,1,1 s1,1 d1,1 o0,0 f8,f8->f16 +mul:channel +add:channel +relu");
    CHECK_HAS(o.dump, "f16,f16->f16"); // the last one
    CHECK_MSG(o.apart < ROUNDING, "apart by %g of the largest", o.apart);
    CHECK_MSG(o.apart > 1e-4, "apart by %g of the largest: not in fp8", o.apart);
    outcome_fini(&o);
    graph_destroy(&m.graph);
}

// Small integers and weights of powers of two: every product, sum and rounding is
// exact, so any wrong scale, order or byte shows. Each output channel's weights have
// a size of their own.
static void exact_numbers_come_out_exactly(void)
{
    struct maker m = maker();
    static struct outcome o;
    struct value *first = make_weights(&m, DIMS(16, 3, 1, 1), 0, 0), *w = make_weights(&m, DIMS(32, 16, 3, 3), 0, 0),
                 *w2 = make_weights(&m, DIMS(16, 32, 1, 1), 0, 0), *last = make_weights(&m, DIMS(4, 16, 1, 1), -1, 1);
    for (int k = 0; k < 16; k++) ((float *)first->constant->data)[k * 3 + k % 3] = 1;
    for (int k = 0; k < 32; k++) // two taps a channel
        for (int i = 0; i < 2; i++)
            ((float *)w->constant->data)[(k * 16 + (k + i) % 16) * 9 + (k * 5 + i * 7) % 9] =
                ldexpf(k & 1 ? -1 : 1, k % 7 - 4);
    for (int k = 0; k < 16; k++) ((float *)w2->constant->data)[k * 32 + (k * 7) % 32] = ldexpf(1, 3 - k % 5);
    for (int i = 0; i < 64; i++) ((float *)last->constant->data)[i] = i % 4 == i / 16 ? 1 : 0;
    struct value *x = conv_of(&m, make_input(&m, "x", DIMS(2, 3, 7, 9)), first, 0);
    x = conv_of(&m, make_node(&m, "Relu", x, NULL, NULL), w, 1);
    x = conv_of(&m, x, w2, 0);
    make_output(&m, conv_of(&m, x, last, 0));
    run_fp8(&m, true, false, &o);
    CHECK_HAS(o.dump, "# f8: 2 of the 2");
    CHECK_HAS(o.dump, "f8,f8->f8 +mul:channel +mul:channel");
    CHECK_MSG(o.apart == 0, "apart by %g of the largest", o.apart);
    outcome_fini(&o);
    graph_destroy(&m.graph);
}

// Read by a convolution and by a sum behind another one: it is fp16, and e4m3 beside.
static void a_residual_is_fp16(void)
{
    struct maker m = maker();
    static struct outcome o;
    struct value *x = conv(&m, make_input(&m, "x", DIMS(1, 3, 8, 10)), 3, 32, 3);
    struct value *a = make_node(&m, "Relu", conv(&m, x, 32, 32, 3), NULL, NULL);
    struct value *b = make_node(&m, "Add", conv(&m, a, 32, 32, 3), x, NULL);
    make_output(&m, conv(&m, b, 32, 3, 3));
    run_fp8(&m, false, false, &o);
    CHECK_HAS(o.dump, "# f8: 2 of the 2");
    CHECK_INT(count(o.dump, " to f8 "), 1);
    CHECK_HAS(o.dump, "f8,f8->f16 +mul:channel +add:tensor +add:channel");
    CHECK_MSG(o.apart < ROUNDING, "apart by %g of the largest", o.apart);
    outcome_fini(&o);
    graph_destroy(&m.graph);
}

// A dense block: parts of joined tensors are brought to e4m3 with their pitch.
static void parts_of_joined_tensors(void)
{
    struct maker m = maker();
    static struct outcome o;
    struct value *x = conv(&m, make_input(&m, "x", DIMS(1, 3, 8, 10)), 3, 16, 3);
    struct value *a = make_node(&m, "Relu", conv(&m, x, 16, 16, 3), NULL, NULL);
    struct value *both = make_node(&m, "Concat", x, a, NULL);
    make_attr(&m, both, (struct attr){.name = "axis", .type = ATTR_INT, .count = 1, .u.i = 1});
    make_output(&m, conv(&m, conv(&m, both, 32, 16, 3), 16, 3, 3));
    run_fp8(&m, false, false, &o);
    CHECK_HAS(o.dump, "# f8: 2 of the 2");
    CHECK_HAS(o.dump, "f8,f8->f16 pitch 0,32");
    CHECK_MSG(o.apart < ROUNDING, "apart by %g of the largest", o.apart);
    outcome_fini(&o);
    graph_destroy(&m.graph);
}

static void the_rest_stays_fp16(void)
{
    struct maker m = maker();
    static struct outcome o;
    struct value *x = conv(&m, make_input(&m, "x", DIMS(1, 3, 8, 8)), 3, 24, 3);
    x = conv(&m, x, 24, 16, 3); // 24 channels
    x = conv(&m, x, 16, 16, 3); // this one
    struct value *w = make_weights(&m, DIMS(16, 1, 3, 3), -0.3, 0.3), *y = make_node(&m, "Conv", x, w, NULL);
    ATTR_LIST(&m, y, "pads", 1, 1, 1, 1);
    make_attr(&m, y, (struct attr){.name = "group", .type = ATTR_INT, .count = 1, .u.i = 16});
    x = make_node(&m, "GlobalAveragePool", y, NULL, NULL);
    x = make_node(&m, "Mul", y, make_node(&m, "Sigmoid", conv(&m, x, 16, 16, 1), NULL, NULL), NULL); // a gate
    x = make_node(&m, "ConvTranspose", x, make_weights(&m, DIMS(16, 16, 2, 2), -0.3, 0.3), NULL);
    ATTR_LIST(&m, x, "strides", 2, 2);
    make_output(&m, conv(&m, x, 16, 3, 3));
    run_fp8(&m, false, false, &o);
    CHECK_HAS(o.dump, "# f8: 1 of the 3");
    CHECK_INT(count(o.dump, "f8,f8->f16"), 1);
    CHECK_HAS(o.dump, "1x16x8x8 k16 3x3 g1 p1,1,1,1 s1,1 d1,1 o0,0 f8,f8->f16");
    outcome_fini(&o);
    run_fp8(&m, false, true, &o);
    CHECK_HAS(o.dump, "# f8: 0 of the 3");
    CHECK_INT(count(o.dump, "f8,f8"), 0);
    CHECK_MSG(o.apart < 1e-2, "apart by %g of the largest", o.apart);
    outcome_fini(&o);
    graph_destroy(&m.graph);
}

// What an executor has no engine for is fp16 at the next lowering, its neighbours
// stay.
static void what_is_refused_is_fp16(void)
{
    struct maker m = maker();
    struct value *x = conv(&m, make_input(&m, "x", DIMS(1, 3, 8, 8)), 3, 16, 3);
    for (int i = 0; i < 3; i++) x = conv(&m, x, 16, 16, 3);
    make_output(&m, conv(&m, x, 16, 3, 3));
    struct graph *after = after_passes(m.graph, backend_cudnn_host.caps);
    struct ranges *ranges = NULL;
    CHECK(!ranges_create(&ranges));
    for (const struct node *n = after->first; n; n = n->next) CHECK(!ranges_widen(ranges, n->in[0]->name, 3));
    bool *no_fp8 = calloc((size_t)after->n_values, sizeof *no_fp8);
    const struct node *second = after->first->next->next;
    no_fp8[second->out[0]->id] = true;
    struct lowered *p = NULL;
    CHECK(!gpu_lowered_create(after, &(struct lower_params){PRECISION_FP8, 90, true, ranges, no_fp8}, &p));
    CHECK_INT(p->n_f8, 2);
    CHECK_INT(p->n_f8_refused, 1);
    for (int i = 0; i < p->n_steps; i++) {
        const struct step *s = &p->steps[i];
        if (s->kind == STEP_PLAN && s->node == second) CHECK_INT(s->pattern.x_type, GPU_F16);
        if (s->kind == STEP_PLAN && s->node == second->next) CHECK_INT(s->pattern.x_type, GPU_F8E4M3);
        if (s->kind == STEP_PLAN && s->node == second->prev) CHECK_INT(s->pattern.y_type, GPU_F16);
    }
    gpu_lowered_destroy(&p);
    free(no_fp8);
    ranges_destroy(&ranges);
    graph_destroy(&after);
    graph_destroy(&m.graph);
}

// The scale of an input that measured `magnitude`.
static float scale_for(float magnitude)
{
    struct maker m = maker();
    struct value *x = conv(&m, make_input(&m, "x", DIMS(1, 3, 8, 8)), 3, 16, 3);
    make_output(&m, conv(&m, conv(&m, x, 16, 16, 3), 16, 3, 3));
    struct graph *after = after_passes(m.graph, backend_cudnn_host.caps);
    struct ranges *ranges = NULL;
    struct lowered *p = NULL;
    float scale = 0;
    if (ranges_create(&ranges) || ranges_widen(ranges, after->first->out[0]->name, magnitude)) abort();
    if (gpu_lowered_create(after, &(struct lower_params){PRECISION_FP8, 90, true, ranges, NULL}, &p)) abort();
    for (int i = 0; i < p->n_steps; i++)
        if (p->steps[i].kind == STEP_QUANTISE) scale = p->steps[i].u.quantise.scale;
    gpu_lowered_destroy(&p);
    ranges_destroy(&ranges);
    graph_destroy(&after);
    graph_destroy(&m.graph);
    return scale;
}

// Twice what was measured is the most that fits, or more: 224 fits as it is.
static void scales_are_powers_of_two_with_headroom(void)
{
    static const struct {
        float magnitude, scale;
    } want[] = {{224, 1}, {224.01f, 0.5f}, {448, 0.5f}, {1, 128}, {0.875f, 256}, {0.876f, 128}, {100000, 1.0f / 512}};
    for (size_t i = 0; i < sizeof want / sizeof *want; i++)
        CHECK_MSG(scale_for(want[i].magnitude) == want[i].scale, "of %g: %g, not %g", (double)want[i].magnitude,
                  (double)scale_for(want[i].magnitude), (double)want[i].scale);
    CHECK(scale_for(0) == 0); // of what was never seen to be anything there is none
    CHECK(scale_for(NAN) == 0);
    CHECK(scale_for(INFINITY) == 0);
}

static void ranges_keep_the_largest(void)
{
    struct ranges *a = NULL, *b = NULL;
    CHECK(!ranges_create(&a) && !ranges_create(&b));
    CHECK(!ranges_widen(a, "x", 1) && !ranges_widen(a, "x", 3) && !ranges_widen(a, "x", 2));
    CHECK(!ranges_widen(b, "x", 2) && !ranges_widen(b, "y", 5) && !ranges_widen(b, "z", NAN));
    CHECK(!ranges_widen(b, "z", 7));
    CHECK(!ranges_join(a, b));
    CHECK_INT(ranges_count(a), 3);
    CHECK(ranges_find(a, "x") == 3 && ranges_find(a, "y") == 5);
    CHECK(ranges_find(a, "z") == -1 && ranges_find(a, "w") == -1 && ranges_find(NULL, "x") == -1);
    ranges_destroy(&a), ranges_destroy(&b);
}

// From Ada on; every GPU of the tests' tables.
static void which_gpus(void)
{
    static const int none[][2] = {{7, 5}, {8, 0}, {8, 6}, {8, 7}}, have[][2] = {{8, 9}, {9, 0}, {10, 0}, {12, 0}};
    for (size_t i = 0; i < 4; i++) {
        CHECK_INT(gpu_fp8_check("NVIDIA X", none[i][0], none[i][1]), REEL_ERR_UNSUPPORTED);
        CHECK_HAS(reel_fail_text(), "could not use precision fp8: NVIDIA X has compute capability ");
        CHECK_HAS(reel_fail_text(), "fp8 needs 8.9");
        CHECK_INT(gpu_fp8_check("NVIDIA X", have[i][0], have[i][1]), REEL_OK);
    }
}

// The pictures are the same for good: scales, and so every byte, hang on them.
static void pictures_do_not_change(void)
{
    uint32_t sum = 0;
    for (int kind = 0; kind < CALIBRATE_PICTURES; kind++) {
        float lo = 1, hi = 0;
        for (int y = 0; y < 96; y++)
            for (int x = 0; x < 96; x++) {
                float rgb[3];
                calibrate_pixel(kind, 96, y, x, rgb);
                for (int c = 0; c < 3; c++) {
                    uint32_t bits;
                    memcpy(&bits, &rgb[c], 4);
                    sum = sum * 31 + bits;
                    lo = rgb[c] < lo ? rgb[c] : lo, hi = rgb[c] > hi ? rgb[c] : hi;
                }
            }
        CHECK_MSG(lo >= 0 && lo < 0.15f && hi <= 1 && hi > 0.8f, "picture %d: %g to %g", kind, (double)lo, (double)hi);
    }
    CHECK_INT(sum, 1625586698);
}

// The bundled upscaler, calibrated as by --eval_model: pictures that the network's
// input does not mean would saturate or vanish.
static void a_network_keeps_its_picture(void)
{
    static const enum precision precisions[] = {PRECISION_FP32, PRECISION_FP8};
    struct reel_settings *settings = calloc(1, sizeof *settings);
    struct reel_tensor in = {0}, out[2] = {{0}};
    const struct reel_tensor *in_p = &in;
    const struct reel_shape shape = DIMS(1, 1, 64, 72);
    if (!settings || reel_tensor_init(&in, REEL_F32, &shape)) abort();
    opt_defaults(reel_settings_table(), settings);
    for (int i = 0; i < 64 * 72; i++) {
        float rgb[3];
        calibrate_pixel(3, 96, i / 72 + 20, i % 72 + 10, rgb);
        ((float *)in.data)[i] = rgb[1];
    }
    for (int k = 0; k < 2; k++) {
        struct net *net = NULL;
        const struct net_params params = {.backend = FP8_BACKEND.name, .backend_params = {.precision = precisions[k]}};
        CHECK_MSG(!net_open("models/upscale2x.onnx", &params, &net), "%s", reel_fail_text());
        CHECK_MSG(!calibrate_net(net, settings, "models/upscale2x.onnx"), "%s", reel_fail_text());
        CHECK_MSG(!net_prepare(net, &shape), "%s", reel_fail_text());
        CHECK_MSG(!net_run(net, &in_p, &out[k], false), "%s", reel_fail_text());
        net_close(&net);
    }
    double sum = 0;
    const int64_t n = reel_tensor_count(&out[0]);
    for (int64_t i = 0; i < n; i++) {
        const double d = (double)((float *)out[0].data)[i] - (double)((float *)out[1].data)[i];
        sum += d * d;
    }
    const double db = 10 * log10((double)n / fmax(sum, 1e-30));
    CHECK_MSG(db > 50 && db < 100, "%.1f dB", db);
    reel_tensor_fini(&out[0]), reel_tensor_fini(&out[1]), reel_tensor_fini(&in);
    free(settings);
}

FP8_MAIN({"a network keeps its picture", a_network_keeps_its_picture}, {"the middle is in fp8", the_middle_is_in_fp8},
         {"exact numbers come out exactly", exact_numbers_come_out_exactly}, {"a residual is fp16", a_residual_is_fp16},
         {"parts of joined tensors", parts_of_joined_tensors}, {"the rest stays fp16", the_rest_stays_fp16},
         {"what is refused is fp16", what_is_refused_is_fp16},
         {"scales are powers of two with headroom", scales_are_powers_of_two_with_headroom},
         {"ranges keep the largest", ranges_keep_the_largest}, {"which GPUs have it", which_gpus},
         {"pictures do not change", pictures_do_not_change})

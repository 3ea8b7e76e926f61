// SPDX-License-Identifier: MIT
//
// The GPU backend's lowering, run by its host twin (lower_case.h): convolutions, layouts, sums, whole
// networks, and what a caller gives and gets.
#include <unistd.h>

#include "tests/unit/worker/lower_nodes.h"
#include "worker/engine/net.h"

// ---- convolutions ---------------------------------------------------------------------

static void residual_and_activation_are_one_step(void)
{
    struct maker m = maker();
    char dump[16384];
    struct value *x = make_input(&m, "x", DIMS(2, 3, 9, 7)), *a = conv(&m, x, 3, 13, 3, 1);
    a = make_node(&m, "PRelu", a, make_weights(&m, DIMS(13, 1, 1), 0, 0.5), NULL);
    struct value *b = make_node(&m, "Add", conv(&m, a, 13, 13, 3, 1), a, NULL);
    make_output(&m, conv(&m, make_node(&m, "Relu", b, NULL, NULL), 13, 3, 1, 1));
    CHECK_RIGHT(&m, 0, dump);
    // cuDNN's order: the residual before the bias; odd channels are padded
    CHECK_HAS(dump, "+add:tensor +add:channel +relu");
    CHECK_HAS(dump, "+add:channel +prelu:channel");
    CHECK_HAS(dump, "2x16x9x7 k16 3x3");
    CHECK_HAS(dump, "few channels   2x3x9x7 -> 2x13x9x7"); // a picture
}

// The layers of an upscaler and of a denoiser with 16 channels that are not cuDNN's on
// a GPU with tensor cores for 16-bit numbers: the first one, whose few channels fill no
// vector, and the last one, whose few results do not.
static void pictures_in_and_out(void)
{
    static const struct {
        enum precision precision;
        const char *first, *last;
    } kinds[] = {{PRECISION_FP16, "few in tc      1x3x256x256 -> 1x16x256x256 +add:channel +prelu:channel",
                  "few out tc     1x16x256x256 -> 1x3x256x256 +add:channel +clip"},
                 {PRECISION_BF16, "few in tc      1x3", "few out tc     1x16"},
                 {PRECISION_FP32, "few channels   1x3", "plan           conv 1x16x256x256 k3 3x3"}};
    struct maker m = maker();
    struct value *x = make_input(&m, "x", DIMS(1, 3, 256, 256)), *a = conv(&m, x, 3, 16, 3, 1);
    a = make_node(&m, "PRelu", a, make_weights(&m, DIMS(16, 1, 1), 0, 0.5), NULL);
    a = make_node(&m, "Relu", conv(&m, a, 16, 16, 3, 1), NULL, NULL);
    struct value *y = conv(&m, a, 16, 3, 3, 1);
    make_output(&m, make_node(&m, "Clip", y, make_scalar(&m, 0), make_scalar(&m, 1)));
    struct reel_tensor want = run_graph(m.graph, 5);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct result r;
        CHECK(run_lowered(m.graph, kinds[i].precision, &r));
        CHECK(tensor_difference(&r.out, &want) <= (kinds[i].precision == PRECISION_BF16 ? 8e-2 : 1e-2));
        CHECK_HAS(r.dump, kinds[i].first);
        CHECK_HAS(r.dump, kinds[i].last);
        CHECK_HAS(r.dump, "conv 1x16x256x256 k16 3x3"); // those between are
        result_fini(&r);
    }
    reel_tensor_fini(&want);
    graph_destroy(&m.graph);
}

// Which it is depends on the device and on the extents.
static void the_device_decides(void)
{
    static const struct {
        int sm, size;
        const char *first, *last;
    } kinds[] = {{75, 256, "few channels", "plan"},
                 {80, 256, "few in tc", "few out tc"},
                 {120, 256, "few in tc", "few out tc"},
                 {90, 80, "few in tc", "plan"}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct maker m = maker();
        struct value *x = make_input(&m, "x", DIMS(1, 3, kinds[i].size, kinds[i].size));
        make_output(&m, conv(&m, conv(&m, x, 3, 64, 3, 1), 64, 3, 3, 1));
        struct lowered *lowered = NULL;
        struct graph *after = after_passes(m.graph, backend_cudnn_host.caps);
        const struct lower_params params = {.precision = PRECISION_FP16, .sm = kinds[i].sm, .join = true};
        CHECK(after && !gpu_lowered_create(after, &params, &lowered));
        const char *label[2];
        int n = 0;
        for (int k = lowered->main_begin; k < lowered->main_end; k++) {
            const struct step *s = &lowered->steps[k];
            if (s->kind != STEP_PLAN && s->kind != STEP_CONV) continue;
            CHECK(n < 2);
            label[n++] = s->label;
        }
        CHECK_INT(n, 2);
        CHECK_STR(label[0], kinds[i].first);
        CHECK_STR(label[1], kinds[i].last);
        gpu_lowered_destroy(&lowered);
        graph_destroy(&after);
        graph_destroy(&m.graph);
    }
}

static void kinds_of_convolution(void)
{
    static const struct {
        int64_t from, to, k, group, stride, dilation;
        const char *label;
    } kinds[] = {
        {8, 16, 3, 1, 2, 1, "plan"},         {16, 16, 3, 2, 1, 1, "plan"},       {12, 12, 3, 12, 2, 1, "depthwise"},
        {6, 12, 3, 6, 1, 1, "direct"},       {12, 9, 3, 3, 1, 2, "direct"},      {5, 7, 1, 1, 1, 1, "plan"},
        {3, 16, 3, 1, 2, 1, "few channels"}, {1, 4, 5, 1, 1, 2, "few channels"}, {16, 16, 5, 16, 1, 2, "depthwise"},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct maker m = maker();
        char dump[16384];
        struct value *x = make_input(&m, "x", DIMS(1, kinds[i].from, 11, 10));
        struct value *y = conv(&m, x, kinds[i].from, kinds[i].to, kinds[i].k, kinds[i].group);
        ATTR_LIST(&m, y, "strides", kinds[i].stride, kinds[i].stride);
        ATTR_LIST(&m, y, "dilations", kinds[i].dilation, kinds[i].dilation);
        make_output(&m, make_node(&m, "Sigmoid", y, NULL, NULL));
        CHECK_RIGHT(&m, 0, dump);
        CHECK_HAS(dump, kinds[i].label);
        CHECK_HAS(dump, "+add:channel +sigmoid");
    }
}

static void transposed_convolution(void)
{
    for (int64_t group = 1; group <= 2; group++) {
        struct maker m = maker();
        struct value *x = make_input(&m, "x", DIMS(2, 6, 5, 4)), *w = make_weights(&m, DIMS(6, 4, 3, 4), -0.3, 0.3);
        struct value *y = make_node(&m, "ConvTranspose", x, w, make_weights(&m, DIMS(4 * group), -1, 1));
        ATTR_LIST(&m, y, "strides", 2, 3);
        ATTR_LIST(&m, y, "pads", 1, 0, 0, 2);
        ATTR_LIST(&m, y, "output_padding", 1, 0);
        attr_int(&m, y, "group", group);
        make_output(&m, make_node(&m, "LeakyRelu", y, NULL, NULL));
        CHECK_RIGHT(&m, 0, NULL);
    }
}

// ---- layouts --------------------------------------------------------------------------

static void channels_are_cut_and_joined(void)
{
    struct maker m = maker();
    struct value *x = make_input(&m, "x", DIMS(2, 3, 6, 8)), *a = conv(&m, x, 3, 13, 3, 1),
                 *b = conv(&m, x, 3, 5, 1, 1);
    struct value *c = make_node(&m, "Concat", a, b, x);
    attr_int(&m, c, "axis", 1);
    struct value *s = make_node(&m, "Slice", c, INTS(&m, 2, 1, 0), INTS(&m, 19, 6, 8));
    graph_set_input(m.graph, s->producer, 0, c);
    struct value *in[] = {c, INTS(&m, 2, 1), INTS(&m, 19, 6), INTS(&m, 1, 2)}, *cut = graph_add_value(m.graph, NULL);
    graph_add_node(m.graph, NULL, "Slice", NULL, in, 4, &cut, 1)->op = op_find("", "Slice", 20, NULL);
    struct value *d = make_node(&m, "DepthToSpace", conv(&m, cut, 17, 20, 3, 1), NULL, NULL);
    attr_int(&m, d, "blocksize", 2);
    attr_text(&m, d, "mode", "CRD");
    struct value *pad = make_node(&m, "Pad", d, INTS(&m, 0, 0, 1, 2, 0, 0, 3, 3), NULL);
    attr_text(&m, pad, "mode", "reflect");
    struct value *back = make_node(&m, "SpaceToDepth", pad, NULL, NULL);
    attr_int(&m, back, "blocksize", 7);
    struct value *t = make_node(&m, "Transpose", back, NULL, NULL);
    ATTR_LIST(&m, t, "perm", 0, 2, 3, 1);
    make_output(&m, make_node(&m, "Reshape", t, INTS(&m, 0, -1, 49), NULL));
    // what is cut by a wrong number of starts is not part of this graph
    graph_remove_node(m.graph, s->producer);
    CHECK_RIGHT(&m, 0, NULL);
}

static void picture_in_nhwc(void)
{
    struct maker m = maker();
    char dump[16384];
    struct value *x = make_input(&m, "x", DIMS(1, 6, 9, 3)), *t = make_node(&m, "Transpose", x, NULL, NULL);
    ATTR_LIST(&m, t, "perm", 0, 3, 1, 2);
    make_output(&m, conv(&m, t, 3, 8, 3, 1));
    CHECK_RIGHT(&m, 0, dump);
    CHECK(!strstr(dump, "Transpose")); // its bytes are the image's
}

// ---- sums -----------------------------------------------------------------------------

static void norms_and_long_sums(void)
{
    struct maker m = maker();
    char dump[16384];
    struct value *x = make_input(&m, "x", DIMS(2, 5, 72, 64));
    struct value *n =
        make_node(&m, "InstanceNormalization", x, make_weights(&m, DIMS(5), 0.5, 2), make_weights(&m, DIMS(5), -1, 1));
    struct value *c = conv(&m, n, 5, 12, 3, 1), *g = make_node(&m, "GlobalAveragePool", c, NULL, NULL);
    struct value *gate = make_node(&m, "Sigmoid", conv(&m, g, 12, 12, 1, 1), NULL, NULL);
    struct value *y = make_node(&m, "Mul", c, gate, NULL);
    make_output(&m, make_node(&m, "ReduceMax", y, INTS(&m, 1, 3), NULL));
    CHECK_RIGHT(&m, 0, dump);
    CHECK_HAS(dump, "variance");
}

static void groups_rows_and_softmax(void)
{
    struct maker m = maker();
    struct value *x = make_input(&m, "x", DIMS(1, 12, 6, 5));
    struct value *g = make_node(&m, "GroupNormalization", conv(&m, x, 12, 12, 1, 1), make_weights(&m, DIMS(12), 0.5, 2),
                                make_weights(&m, DIMS(12), -1, 1));
    g->producer->opset = 21;
    g->producer->op = op_find("", "GroupNormalization", 21, NULL);
    attr_int(&m, g, "num_groups", 3);
    struct value *s = make_node(&m, "Softmax", g, NULL, NULL);
    attr_int(&m, s, "axis", 1);
    struct value *r = make_node(&m, "Reshape", s, INTS(&m, 6, 60), NULL);
    make_output(&m, make_node(&m, "LayerNormalization", r, make_weights(&m, DIMS(60), 0.5, 2),
                              make_weights(&m, DIMS(60), -1, 1)));
    CHECK_RIGHT(&m, 0, NULL);
}

static void attention(void)
{
    struct maker m = maker();
    char dump[16384];
    struct value *x = make_input(&m, "x", DIMS(2, 9, 16));
    struct value *q = make_node(&m, "MatMul", x, make_weights(&m, DIMS(16, 16), -0.4, 0.4), NULL);
    struct value *k = make_node(&m, "MatMul", x, make_weights(&m, DIMS(16, 16), -0.4, 0.4), NULL);
    struct value *v = make_node(&m, "MatMul", x, make_weights(&m, DIMS(16, 24), -0.4, 0.4), NULL);
    struct value *t = make_node(&m, "Transpose", k, NULL, NULL);
    ATTR_LIST(&m, t, "perm", 0, 2, 1);
    struct value *p = make_node(&m, "Softmax", make_node(&m, "MatMul", q, t, NULL), NULL, NULL);
    struct value *y =
        make_node(&m, "Add", make_node(&m, "MatMul", p, v, NULL), make_weights(&m, DIMS(24), -1, 1), NULL);
    make_output(&m, make_node(&m, "Gelu", y, NULL, NULL));
    CHECK_RIGHT(&m, 0, dump);
    CHECK_HAS(dump, "plan");
    CHECK_HAS(dump, "product"); // 9 columns are no whole vectors
}

// ---- host steps -----------------------------------------------------------------------

static void other_operators_run_on_the_host(void)
{
    struct maker m = maker();
    struct value *x = make_input(&m, "x", DIMS(1, 4, 5, 6)), *y = conv(&m, x, 4, 8, 3, 1);
    for (int i = 0; i < 2; i++) y = by_the_host(&m, y, 8);
    make_output(&m, conv(&m, y, 8, 3, 1, 1));
    CHECK_RIGHT(&m, 2, NULL);
}

// ---- the whole ------------------------------------------------------------------------

// Random chains of operators over images, with branches that join again.
static struct value *random_op(struct maker *m, struct value *x, int64_t *c, uint64_t *seed)
{
    static const char *const unary[] = {"Relu", "Sigmoid", "Tanh", "HardSwish", "Abs", "Neg", "Softplus", "Erf"};
    const uint64_t r = check_rand(seed) >> 8;
    switch (r % 9) {
    case 0:
    case 1: {
        const int64_t to = 1 + (int64_t)(r / 16 % 20);
        struct value *y = conv(m, x, *c, to, 1 + 2 * (int64_t)(r / 512 % 2), 1);
        *c = to;
        return y;
    }
    case 2:
        return conv(m, x, *c, *c, 3, *c);
    case 3:
        return make_node(m, unary[r / 16 % 8], x, NULL, NULL);
    case 4: {
        struct value *y = make_node(m, "Concat", x, make_node(m, unary[r / 16 % 8], x, NULL, NULL), NULL);
        attr_int(m, y, "axis", 1);
        *c *= 2;
        return y;
    }
    case 5:
        return make_node(m, "Mul", x,
                         make_node(m, "Sigmoid", make_node(m, "GlobalAveragePool", x, NULL, NULL), NULL, NULL), NULL);
    case 6: {
        struct value *y = make_node(m, r / 16 % 2 ? "MaxPool" : "AveragePool", x, NULL, NULL);
        ATTR_LIST(m, y, "kernel_shape", 3, 3);
        ATTR_LIST(m, y, "pads", 1, 1, 1, 1);
        return y;
    }
    case 7:
        return make_node(m, "Add", conv(m, x, *c, *c, 3, 1), x, NULL);
    default:
        return make_node(m, "Sub", make_weights(m, DIMS(1, *c, 1, 1), -1, 1), x, NULL);
    }
}

static void random_networks(void)
{
    uint64_t seed = 20;
    for (int i = 0; i < 60; i++) {
        struct maker m = maker();
        m.seed = (uint64_t)i + 1;
        int64_t c = 1 + (int64_t)(check_rand(&seed) >> 20) % 12;
        struct value *x = make_input(&m, "x", DIMS(1 + i % 2, c, 4 + i % 5, 5 + i % 3));
        for (int k = 0; k < 7; k++) x = random_op(&m, x, &c, &seed);
        make_output(&m, x);
        struct reel_tensor want = run_graph(m.graph, 5);
        struct result r;
        CHECK(run_lowered(m.graph, PRECISION_FP32, &r));
        const double d = tensor_difference(&r.out, &want);
        CHECK_MSG(d <= 1e-5, "network %d: apart by %g of the largest\n%s", i, d, r.dump);
        CHECK_HAS(r.dump, "(0 on the host)");
        result_fini(&r);
        reel_tensor_fini(&want);
        graph_destroy(&m.graph);
    }
}

// Twelve layers of 16 channels need two buffers, not thirteen.
static void arena_is_shared(void)
{
    struct maker m = maker();
    struct value *x = make_input(&m, "x", DIMS(1, 16, 32, 32));
    for (int i = 0; i < 12; i++) x = make_node(&m, "Relu", conv(&m, x, 16, 16, 3, 1), NULL, NULL);
    make_output(&m, x);
    struct result r;
    CHECK(run_lowered(m.graph, PRECISION_FP16, &r));
    const char *arena = strstr(r.dump, "arena ");
    CHECK(arena != NULL);
    // input and result in float32 (64 KB each), two layers in fp16 (32 KB each)
    CHECK_MSG(atoi(arena + 6) <= 160, "%s", r.dump);
    result_fini(&r);
    graph_destroy(&m.graph);
}

// A caller with device memory writes the NHWC input itself and reads the result.
static void tensors_on_the_device(void)
{
    struct maker m = maker();
    make_output(&m, conv(&m, make_input(&m, "x", DIMS(1, 3, 5, 6)), 3, 8, 3, 1));
    struct reel_tensor in = {0}, want = run_graph(m.graph, 5);
    struct graph *after = after_passes(m.graph, backend_cudnn_host.caps);
    struct program *program = NULL;
    CHECK_INT(backend_cudnn_host.compile(after, &(struct backend_params){.precision = PRECISION_FP32}, &program),
              REEL_OK);
    struct backend_device_tensor x, y;
    CHECK_INT(backend_cudnn_host.device_input(program, 0, &x), REEL_OK);
    CHECK_INT(backend_cudnn_host.device_output(program, 0, &y), REEL_OK);
    CHECK(x.nhwc && x.c == 3 && x.h == 5 && x.w == 6 && x.pixel_stride == 4 && x.dtype == REEL_F32);
    CHECK(y.nhwc && y.c == 8 && y.h == 5 && y.w == 6 && y.pixel_stride == 8);
    fill_inputs(m.graph, &in, 5);
    for (int p = 0; p < 30; p++)
        for (int c = 0; c < 4; c++) ((float *)x.data)[p * 4 + c] = c < 3 ? ((float *)in.data)[c * 30 + p] : 0;
    CHECK_INT(backend_cudnn_host.enqueue(program), REEL_OK);
    for (int p = 0; p < 30; p++)
        for (int c = 0; c < 8; c++)
            CHECK_NEAR((double)((float *)y.data)[p * 8 + c], (double)((float *)want.data)[c * 30 + p], 1e-4);
    backend_cudnn_host.destroy(&program);
    reel_tensor_fini(&in);
    reel_tensor_fini(&want);
    graph_destroy(&after);
    graph_destroy(&m.graph);
}

static void refusals(void)
{
    CHECK(backend_find("cudnn") == &backend_cudnn);
    struct backend_params params = {0};
    const enum reel_err err = backend_cudnn.probe(&params);
    if (!err) SKIP("there is a GPU");
    CHECK_INT(err, REEL_ERR_UNSUPPORTED);
    CHECK(*reel_fail_text());
}

// Real models, in fp16 beside the CPU backend: PSNR of the first output.
static void model_keeps_50_db(const char *name, struct reel_shape shape)
{
    char path[4096];
    const char *folder = getenv("REELMILL_TESTDATA");
    snprintf(path, sizeof path, "%s/models/%s.onnx", folder ? folder : "../shared/testdata", name);
    static const char *const backends[] = {"onednn", "cudnn-host"};
    struct reel_tensor out[2][16] = {0}, in = {0};
    for (int k = 0; k < 2; k++) {
        struct net *net = NULL;
        struct net_params params = {.backend = backends[k], .backend_params = {.threads = 1}};
        CHECK_MSG(!net_open(path, &params, &net), "%s", reel_fail_text());
        if (k == 0) {
            if (reel_tensor_init(&in, net_input(net, 0)->dtype, &shape)) abort();
            for (int64_t i = 0; i < reel_tensor_count(&in); i++) {
                const double v = 0.5 + 0.4 * sin((double)i * 0.01) * cos((double)(i % 97) * 0.07);
                reel_convert((char *)in.data + (size_t)i * reel_dtype_bytes(in.dtype), in.dtype, &v, REEL_F64, 1);
            }
        }
        const struct reel_tensor *in_p = &in;
        CHECK(net_output_count(net) <= 16);
        CHECK_MSG(!net_prepare(net, &shape), "%s", reel_fail_text());
        CHECK_INT(net_run(net, &in_p, out[k], false), REEL_OK);
        net_close(&net);
    }
    double sum = 0, peak = 0;
    const int64_t n = reel_tensor_count(&out[0][0]);
    for (int64_t i = 0; i < n; i++) {
        const double d = op_scalar(&out[0][0], i) - op_scalar(&out[1][0], i);
        sum += d * d;
        peak = fmax(peak, fabs(op_scalar(&out[0][0], i)));
    }
    const double db = 10 * log10(peak * peak * (double)n / fmax(sum, 1e-30));
    CHECK_MSG(db >= 50, "%s: %.1f dB", name, db);
    for (int k = 0; k < 32; k++) reel_tensor_fini(&out[k / 16][k % 16]);
    reel_tensor_fini(&in);
}

static void models(void)
{
    char path[4096];
    const char *folder = getenv("REELMILL_TESTDATA");
    snprintf(path, sizeof path, "%s/models", folder ? folder : "../shared/testdata");
    if (access(path, R_OK)) SKIP("no test data");
    model_keeps_50_db("sr_realesr_animevideov3_x4_fp16", DIMS(1, 3, 24, 32));
    model_keeps_50_db("denoise_ircnn_medium_fp16", DIMS(1, 3, 24, 32));
    model_keeps_50_db("pose_bodypix_mnv1_x050_s16_dyn", DIMS(1, 65, 81, 3));
    model_keeps_50_db("face_yunet_n_dynamic", DIMS(1, 3, 64, 96));
    model_keeps_50_db("cls_cifar_pt", DIMS(1, 3, 32, 32));
}

CHECK_MAIN({"residual, bias and activation are one step", residual_and_activation_are_one_step},
           {"pictures in and out have their own kernels", pictures_in_and_out},
           {"the device decides which", the_device_decides}, {"every kind of convolution", kinds_of_convolution},
           {"transposed convolution", transposed_convolution},
           {"channels are cut, joined, moved", channels_are_cut_and_joined}, {"a picture in NHWC", picture_in_nhwc},
           {"norms and long sums", norms_and_long_sums}, {"groups, softmax, rows", groups_rows_and_softmax},
           {"attention", attention}, {"other operators run on the host", other_operators_run_on_the_host},
           {"random networks", random_networks}, {"the arena is shared", arena_is_shared},
           {"tensors on the device", tensors_on_the_device}, {"refusals", refusals}, {"real models in fp16", models})

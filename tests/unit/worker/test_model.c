// SPDX-License-Identifier: MIT
//
// What is guessed of the models of the test data, as the line that the user
// sees; and of made-up ones. "test_model FILE.onnx" prints the guess for one.
#include <glob.h>
#include <math.h>
#include <unistd.h>

#include "tests/unit/worker/model_fake.h"
#include "worker/engine/engine.h"

static enum reel_err guess_file(const char *path, char *text, size_t bytes, struct model *m)
{
    struct engine_params p = {
        .path = path, .backend = "interp", .backend_params = {.threads = 1}, .settings = &settings};
    struct engines *e = NULL;
    enum reel_err err = engines_open(&p, &e);
    if (err) return err;
    struct reel_shape shapes[MODEL_MAX_OUTPUTS];
    int w, h;
    err = model_guess_input(engines_facts(e), &settings, m);
    if (!err) model_trial_size(m, &settings, &w, &h);
    if (!err) err = engines_infer(e, m, w, h, shapes);
    if (!err) err = model_guess_output(engines_facts(e), &settings, shapes, w, h, m);
    if (!err) model_describe(m, shapes, w, h, text, bytes);
    engines_close(&e);
    return err;
}

// ---- the test data --------------------------------------------------------------

static const struct {
    const char *file, *text; // text: the line's beginning; or of the error
} models[] = {
    {"sr_realesr_animevideov3_x4_fp16",
     "model reads RGB 0..1 NCHW, any size, whole frames; it makes an RGB picture 0..1 4 times as large"},
    {"sr_realesr_general_x4v3_fp16",
     "model reads RGB 0..1 NCHW, any size, whole frames; it makes an RGB picture 0..1 4 times as large"},
    {"sr_espcn_x3_pt02_op1",
     "model reads luma 0..1 NCHW, 224x224, tiles; it makes a luma picture 0..1 3 times as large"},
    {"denoise_ircnn_medium_fp16",
     "model reads RGB 0..1 NCHW, any size, whole frames; it makes an RGB picture 0..1 of the same size"},
    {"denoise_ircnn_large_fp16",
     "model reads RGB 0..1 NCHW, any size, whole frames; it makes an RGB picture 0..1 of the same size"},
    {"lowlight_sci_720x1280",
     "model reads RGB 0..1 NCHW, 1280x720, tiles; it makes an RGB picture 0..1 of the same size"},
    {"lowlight_tbefn_180x320",
     "model reads RGB 0..1 NCHW, 320x180, tiles; it makes an RGB picture 0..1 of the same size"},
    {"style_mosaic_winml",
     "model reads BGR 0..255 NCHW, 720x720, tiles; it makes a BGR picture 0..255 of the same size"},
    {"style_candy_winml_op7",
     "model reads BGR 0..255 NCHW, 720x720, tiles; it makes a BGR picture 0..255 of the same size"},
    {"face_ultraface_rfb320",
     "model reads RGB -0.9922..1 NCHW, 320x240, letterboxed frames; it finds objects (ssd head, 1 class)"},
    {"face_ultraface_rfb320_simplified",
     "model reads RGB -0.9922..1 NCHW, 320x240, letterboxed frames; it finds objects (ssd head, 1 class)"},
    {"face_ultraface_slim320",
     "model reads RGB -0.9922..1 NCHW, 320x240, letterboxed frames; it finds objects (ssd head, 1 class)"},
    {"face_yunet_2021_160x120",
     "model reads BGR 0..255 NCHW, 160x120, letterboxed frames; it finds objects (yunet_2021 head, 1 class)"},
    {"face_yunet_n_dynamic",
     "model reads BGR 0..255 NCHW, any size, whole frames; it finds objects (yunet head, 1 class)"},
    {"face_yunet_s_dynamic",
     "model reads BGR 0..255 NCHW, any size, whole frames; it finds objects (yunet head, 1 class)"},
    {"face_retinaface_mbnet025",
     "model reads BGR -123..151 NCHW, any size, whole frames; it finds objects (retinaface head, 1 class)"},
    {"det_yolox_nano",
     "model reads BGR 0..255 NCHW, 416x416, letterboxed frames; it finds objects (yolox head, 80 classes)"},
    {"det_fastestdet_352",
     "model reads BGR 0..1 NCHW, 352x352, letterboxed frames; it finds objects (fastestdet head, 80 classes)"},
    {"seg_deeplabv3_mnv2",
     "model reads RGB -1..1 NHWC, 257x257, letterboxed frames; it assigns each pixel one of 21 classes"},
    {"pose_bodypix_mnv1_x050_s16_dyn",
     "model reads RGB -1..1 NHWC, any size, whole frames; it assigns each pixel a weight 0..1 (sigmoid is applied)"},
    {"ocr_ppocr_mobile_v1.1_det",
     "model reads BGR -2.118..2.64 NCHW, any size, whole frames; it assigns each pixel a weight 0..1"},
    {"cls_squeezenet_fp16",
     "model reads BGR -123..151 NCHW, 224x224, frames cropped to the middle; it classifies into 1000 classes"},
    {"cls_cifar_pt", "model reads RGB -1..1 NCHW, 32x32, frames cropped to the middle; it classifies into 10 classes "
                     "(softmax is applied)"},
    {"cls_mnist_cntk", "model reads luma 0..255 NCHW, 28x28, frames cropped to the middle; it classifies into 10 "
                       "classes (softmax is applied)"},
    {"cls_mnist_ort", "model reads luma 0..255 NCHW, 28x28, frames cropped to the middle; it classifies into 10 "
                      "classes (softmax is applied)"},
    {"face_landmark_mediapipe",
     "model reads RGB -1..1 NCHW, 192x192, letterboxed frames; its outputs are passed on as tensors"},
    {"track_nanotrack_v2_backbone",
     "model reads RGB 0..1 NCHW, 255x255, letterboxed frames; its outputs are passed on as tensors"},
    {"feat_xfeat_640", "model reads RGB 0..1 NCHW, 640x640, letterboxed frames; its outputs are passed on as tensors"},
    {"track_nanotrack_v2_head", "needs a second input \"input2\""},
    {"rnn_gtcrn_stream_simple", "is not a picture"},
    {"tfm_self_attention", "is not a picture"},
    {"rnn_silero_vad_16k_only", "is not a picture"},
    {"bad_lfs_pointer_yolo", "could not"},
};

static void guesses_of_test_data(void)
{
    const char *root = getenv("REELMILL_TESTDATA");
    if (!root) root = "../shared/testdata";
    if (access(root, R_OK)) SKIP("no test data");
    reset_settings();
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        char path[1024], text[1024];
        struct model m;
        snprintf(path, sizeof path, "%s/models/%s.onnx", root, models[i].file);
        enum reel_err err = guess_file(path, text, sizeof text, &m);
        if (err) {
            CHECK_MSG(strstr(reel_fail_text(), models[i].text), "%s: \"%s\" does not have \"%s\"", models[i].file,
                      reel_fail_text(), models[i].text);
            continue;
        }
        CHECK_MSG(!strncmp(text, models[i].text, strlen(models[i].text)), "%s:\n got  %s\n want %s", models[i].file,
                  text, models[i].text);
    }
}

// ---- made up --------------------------------------------------------------------

static void yolo_families(void)
{
    reset_settings();
    struct model m;
    char text[1024];
    struct fake v5 = {.in = {IO("images", 4, 1, 3, 640, 640)}, .out = {IO("output0", 3, 1, 25200, 85)}};
    CHECK_INT(guess_fake(&v5, 1, 1, &m, text, sizeof text), REEL_OK);
    CHECK_INT(m.head, MODEL_HEAD_YOLOV5);
    CHECK_INT(m.classes, 80);
    CHECK(!m.input.bgr);
    CHECK_NEAR(m.input.gain[0], 1, 0);
    CHECK_INT(m.input.fit, MODEL_LETTERBOX);
    struct fake v8 = {.in = {IO("images", 4, 1, 3, 640, 640)}, .out = {IO("output0", 3, 1, 84, 8400)}};
    CHECK_INT(guess_fake(&v8, 1, 1, &m, text, sizeof text), REEL_OK);
    CHECK_INT(m.head, MODEL_HEAD_YOLOV8);
    CHECK_INT(m.classes, 80);
    struct fake v10 = {.in = {IO("images", 4, 1, 3, 640, 640)}, .out = {IO("output0", 3, 1, 300, 6)}};
    CHECK_INT(guess_fake(&v10, 1, 1, &m, text, sizeof text), REEL_OK);
    CHECK_INT(m.head, MODEL_HEAD_NMS);
    struct fake wide = {.in = {IO("images", 4, 1, 3, 384, 640)}, .out = {IO("output", 3, 1, 5040, 85)}};
    CHECK_INT(guess_fake(&wide, 1, 1, &m, text, sizeof text), REEL_OK);
    CHECK_INT(m.head, MODEL_HEAD_YOLOX);
    CHECK(m.input.bgr);
}

static const char *meta_of_test(const void *user, const char *key)
{
    for (const char *const *pair = user; *pair; pair += 2)
        if (!strcmp(*pair, key)) return pair[1];
    return NULL;
}
#define META(...) ((const char *const[]){__VA_ARGS__, NULL})

static void check_head(struct fake f, int n_out, const char *const *meta, enum model_head head, int classes, int points)
{
    reset_settings();
    struct model m;
    char text[1024];
    f.in[0] = IO("images", 4, 1, 3, 640, 640);
    if (meta) f.facts.meta = meta_of_test, f.facts.user = meta;
    CHECK_INT(guess_fake(&f, 1, n_out, &m, text, sizeof text), REEL_OK);
    CHECK_INT(m.mask_weights, n_out == 2 && f.out[1].shape.ndim == 4 ? 32 : 0);
    CHECK_INT(m.mask_output, m.mask_weights ? 1 : 0);
    CHECK_MSG(m.head == head && m.classes == classes && m.points == points, "%s, %d classes, %d points: %s",
              f.out[0].name, m.classes, m.points, text);
}

// A file that takes any size says at which it was trained; others are of 640.
static void size_that_the_file_states(void)
{
    static const struct {
        const char *size;
        int w, h;
    } sizes[] = {{"[320, 320]", 320, 320}, {"[384, 640]", 640, 384}, {"[0, 320]", 640, 640}, {"320", 640, 640}};
    struct model m;
    char text[1024];
    reset_settings();
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct fake f = {.in = {IO("images", 4, -1, 3, -1, -1)}, .out = {IO("output0", 3, 1, 22, 1680)}};
        f.facts.meta = meta_of_test, f.facts.user = META("task", "detect", "imgsz", sizes[i].size);
        CHECK_INT(guess_fake(&f, 1, 1, &m, text, sizeof text), REEL_OK);
        CHECK_MSG(m.input.width == sizes[i].w && m.input.height == sizes[i].h, "%s: %s", sizes[i].size, text);
    }
}

// Ultralytics' classifiers see RGB 0..1, and RT-DETR's boxes are of 0..1.
static void ultralytics_exports(void)
{
    struct model m;
    char text[1024];
    reset_settings();
    struct fake classes = {.in = {IO("images", 4, 1, 3, 224, 224)}, .out = {IO("output0", 2, 1, 1000)}};
    classes.facts.meta = meta_of_test, classes.facts.user = META("task", "classify", "author", "Ultralytics");
    CHECK_INT(guess_fake(&classes, 1, 1, &m, text, sizeof text), REEL_OK);
    CHECK_INT(m.task, REEL_TASK_CLASSIFY);
    CHECK_MSG(m.input.gain[0] == 1 && m.input.bias[0] == 0 && !m.input.bgr, "%s", text);
    struct fake queries = {.in = {IO("images", 4, 1, 3, 640, 640)}, .out = {IO("output0", 3, 1, 300, 6)}};
    queries.facts.meta = meta_of_test, queries.facts.user = META("task", "detect", "head", "RTDETRDecoder");
    CHECK_INT(guess_fake(&queries, 1, 1, &m, text, sizeof text), REEL_OK);
    CHECK_MSG(m.head == MODEL_HEAD_NMS && m.centres && m.input.fit == MODEL_STRETCH, "%s", text);
}

// Newer converters leave the producer empty.
static void paddle_by_its_graph(void)
{
    reset_settings();
    struct model m;
    char text[1024];
    struct graph *g = graph_create(NULL);
    g->name = "Model from PaddlePaddle.";
    struct fake f = {.in = {IO("x", 4, -1, 3, -1, -1)}, .out = {IO("sigmoid_0.tmp_0", 4, 1, 1, 256, 320)}};
    f.facts.graph = g;
    CHECK_INT(guess_fake(&f, 1, 1, &m, text, sizeof text), REEL_OK);
    CHECK_MSG(m.task == REEL_TASK_MATTE && m.input.bgr && m.input.gain[0] > 4, "%s", text);
    // Its toolkits differ: OCR's angle, PaddleClas, PaddleSeg.
    struct fake angle = {.in = {IO("x", 4, -1, 3, -1, -1)}, .out = {IO("scores", 2, 1, 2)}, .facts = {.graph = g}};
    CHECK_INT(guess_fake(&angle, 1, 1, &m, text, sizeof text), REEL_OK);
    CHECK_MSG(m.input.bgr && m.input.gain[0] == 2 && m.input.bias[0] == -1, "%s", text);
    CHECK_MSG(m.input.width == 192 && m.input.height == 48 && m.input.fit == MODEL_LETTERBOX, "%s", text);
    struct fake classes = {.in = {IO("x", 4, -1, 3, 224, 224)}, .out = {IO("scores", 2, 1, 4)}, .facts = {.graph = g}};
    CHECK_INT(guess_fake(&classes, 1, 1, &m, text, sizeof text), REEL_OK);
    CHECK_MSG(!m.input.bgr && m.input.gain[0] > 4 && m.input.fit == MODEL_CROP, "%s", text);
    struct fake people = {
        .in = {IO("x", 4, 1, 3, 192, 192)}, .out = {IO("y", 4, 1, 2, 192, 192)}, .facts = {.graph = g}};
    CHECK_INT(guess_fake(&people, 1, 1, &m, text, sizeof text), REEL_OK);
    CHECK_MSG(!m.input.bgr && m.input.gain[0] == 2 && m.input.bias[0] == -1, "%s", text);
    struct value *x = graph_add_value(g, "x"), *letters = graph_add_value(g, "letters");
    graph_add_node(g, NULL, "Softmax", "", &x, 1, &letters, 1);
    struct fake line = {
        .in = {IO("x", 4, 1, 3, 48, 320)}, .out = {IO("letters", 3, 1, 40, 6625)}, .facts = {.graph = g}};
    CHECK_INT(guess_fake(&line, 1, 1, &m, text, sizeof text), REEL_OK);
    CHECK_MSG(m.task == REEL_TASK_TENSOR && m.input.bgr && m.input.bias[0] == -1, "%s", text);
    graph_destroy(&g);
}

// Of networks that nothing else tells apart the name of the file does.
static void families_by_the_file_name(void)
{
    static const struct {
        const char *path;
        int channels;
        double gain, bias;
    } files[] = {
        {"w/modnet_photographic.onnx", 1, 2, -1},
        {"ISNet-general-use.onnx", 1, 1, -0.5},
        {"rmbg-1.4.onnx", 1, 1, -0.5},
        {"modnet/u2net.onnx", 1, 1 / 0.229, -0.485 / 0.229},
        {"GFPGANv1.4.onnx", 3, 2, -1},
        {"sr.onnx", 3, 1, 0},
        {"modnet.onnx", 3, 1, 0}, // it makes a picture
    };
    struct model m;
    reset_settings();
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct fake f = {.in = {IO("input", 4, 1, 3, 512, 512)},
                         .out = {IO("output", 4, 1, files[i].channels, 512, 512)}};
        f.facts.n_in = f.facts.n_out = 1, f.facts.in = f.in, f.facts.out = f.out, f.facts.path = files[i].path;
        f.shapes[0] = f.out[0].shape;
        CHECK_INT(model_guess_input(&f.facts, &settings, &m), REEL_OK);
        CHECK_INT(model_guess_output(&f.facts, &settings, f.shapes, 512, 512, &m), REEL_OK);
        CHECK_MSG(fabs(m.input.gain[0] - files[i].gain) < 1e-5 && fabs(m.input.bias[0] - files[i].bias) < 1e-5,
                  "%s: %s", files[i].path, m.how_input);
    }
}

// Networks that are trained by several maps give all of them, the one to use first.
static void the_first_of_several_maps(void)
{
    struct model m;
    char text[1024];
    reset_settings();
    struct fake mattes = {.in = {IO("x", 4, 1, 3, 320, 320)},
                          .out = {IO("a", 4, 1, 1, 320, 320), IO("b", 4, 1, 1, 320, 320), IO("c", 4, 1, 1, 160, 160)}};
    CHECK_INT(guess_fake(&mattes, 1, 3, &m, text, sizeof text), REEL_OK);
    CHECK_MSG(m.task == REEL_TASK_MATTE && m.output.index == 0 && m.input.gain[0] > 4, "%s", text);
    struct fake classes = {.in = {IO("x", 4, 1, 3, 512, 512)},
                           .out = {IO("a", 4, 1, 19, 512, 512), IO("b", 4, 1, 19, 512, 512)}};
    CHECK_INT(guess_fake(&classes, 1, 2, &m, text, sizeof text), REEL_OK);
    CHECK_MSG(m.task == REEL_TASK_SEGMENT && m.output.index == 0 && m.classes == 19, "%s", text);
    struct fake others = {.in = {IO("x", 4, 1, 3, 512, 512)},
                          .out = {IO("a", 4, 1, 19, 512, 512), IO("b", 4, 1, 64, 64, 64)}};
    CHECK_INT(guess_fake(&others, 1, 2, &m, text, sizeof text), REEL_OK);
    CHECK_INT(m.task, REEL_TASK_TENSOR); // features
}

// The last channel may be a number, which has to be set.
static void a_channel_of_one_number(void)
{
    struct model m;
    char text[1024];
    reset_settings();
    for (int channels = 2; channels <= 4; channels += 2) {
        struct fake f = {.in = {IO("noisy", 4, 1, channels, -1, -1)}, .out = {IO("y", 4, 1, channels - 1, 256, 320)}};
        CHECK_INT(guess_fake(&f, 1, 1, &m, text, sizeof text), REEL_ERR_UNSUPPORTED);
        CHECK_HAS(reel_fail_text(), "--io.constants \"noisy=0.06\"");
    }
}

// Conv of 9 x 9, as PyTorch's networks of one style begin.
static void networks_of_one_style(void)
{
    reset_settings();
    struct graph *g = graph_create(NULL);
    struct value *x = graph_add_value(g, "x"), *v[3], *y = graph_add_value(g, "y");
    x->is_input = true;
    for (int i = 0; i < 3; i++) v[i] = graph_add_value(g, NULL);
    struct reel_tensor t;
    CHECK_INT(reel_tensor_init(&t, REEL_F32, &(struct reel_shape){.ndim = 4, .dim = {8, 3, 9, 9}}), REEL_OK);
    struct value *weights = graph_add_constant(g, NULL, &t);
    graph_add_node(g, NULL, "Pad", "", &x, 1, &v[0], 1);
    struct node *first = graph_add_node(g, NULL, "Conv", "", (struct value *[]){v[0], weights}, 2, &v[1], 1);
    graph_add_node(g, NULL, "InstanceNormalization", "", &v[1], 1, &v[2], 1);
    graph_add_node(g, NULL, "Conv", "", &v[2], 1, &y, 1);
    graph_count_uses(g);
    struct model m;
    char text[1024];
    struct fake f = {.in = {IO("x", 4, 1, 3, 224, 224)}, .out = {IO("y", 4, 1, 3, 224, 224)}, .facts = {.graph = g}};
    CHECK_INT(guess_fake(&f, 1, 1, &m, text, sizeof text), REEL_OK);
    CHECK_MSG(m.input.gain[0] == 255 && m.output.gain[0] == 1 / 255.0f, "%s", text);
    first->in[1]->shape.dim[2] = 7; // any other network that makes pictures
    CHECK_INT(guess_fake(&f, 1, 1, &m, text, sizeof text), REEL_OK);
    CHECK_MSG(m.input.gain[0] == 1, "%s", text);
    graph_destroy(&g);
}

// levels Concats of (scores | others), joined as rows: NanoDet's. Of `parts` 3 it is YOLOX's.
static void check_rows(int parts, const char *end, int64_t axis, enum model_head head, int classes, bool decoded,
                       bool bgr)
{
    reset_settings();
    struct graph *g = graph_create(NULL);
    struct value *x = graph_add_value(g, "images"), *rows[3], *all = graph_add_value(g, NULL),
                 *y = graph_add_value(g, "output");
    x->is_input = true;
    for (int i = 0; i < 3; i++) {
        struct value *part[3], *row = graph_add_value(g, NULL);
        for (int k = 0; k < parts; k++) {
            part[k] = graph_add_value(g, NULL);
            graph_add_node(g, NULL,
                           k == 0 && parts == 3   ? "Conv"
                           : k == 1 && parts == 2 ? "Conv"
                                                  : "Sigmoid",
                           "", &x, 1, &part[k], 1);
        }
        rows[i] = graph_add_value(g, NULL);
        graph_add_node(g, NULL, "Concat", "", part, parts, &row, 1);
        graph_add_node(g, NULL, "Reshape", "", &row, 1, &rows[i], 1);
    }
    if (strcmp(end, "Concat")) {
        graph_add_node(g, NULL, "Concat", "", rows, 3, &all, 1);
        graph_add_node(g, NULL, end, "", &all, 1, &y, 1);
    } else {
        struct node *n = graph_add_node(g, NULL, end, "", rows, 3, &y, 1);
        struct attr *a = graph_alloc(g, sizeof *a);
        *a = (struct attr){.name = "axis", .type = ATTR_INT, .u.i = axis};
        n->attr = a, n->n_attr = 1;
    }
    graph_count_uses(g);
    struct model m;
    char text[1024];
    struct fake f = {
        .in = {IO("images", 4, 1, 3, 640, 640)}, .out = {IO("output", 3, 1, 8400, 85)}, .facts = {.graph = g}};
    CHECK_INT(guess_fake(&f, 1, 1, &m, text, sizeof text), REEL_OK);
    CHECK_MSG(m.head == head && m.classes == classes && m.decoded == decoded && m.input.bgr == bgr, "%d parts, %s: %s",
              parts, end, text);
    graph_destroy(&g);
}

static void rows_of_cells_by_their_graph(void)
{
    check_rows(3, "Transpose", 0, MODEL_HEAD_YOLOX, 80, false, true);
    check_rows(3, "Concat", -1, MODEL_HEAD_YOLOX, 80, true, false); // YOLOv6
    check_rows(3, "Concat", 1, MODEL_HEAD_YOLOX, 80, false, true);  // YOLOX with its rows last
    check_rows(2, "Transpose", 0, MODEL_HEAD_NANODET, 53, false, true);
}

// Of outputs that are nearly alike: a wrong guess gives boxes all the same.
static void other_detectors(void)
{
    struct fake hand = {.out = {IO("output0", 3, 1, 68, 8400)}}, turned = {.out = {IO("output0", 3, 1, 20, 8400)}};
    check_head(hand, 1, META("task", "pose", "kpt_shape", "[21, 3]"), MODEL_HEAD_YOLOV8, 1, 21);
    check_head(hand, 1, META("task", "pose", "kpt_shape", "[31, 2]"), MODEL_HEAD_YOLOV8, 2, 31);
    check_head(hand, 1, META("task", "pose", "kpt_shape", "[-1, 3]"), MODEL_HEAD_YOLOV8, 13, 17);
    check_head(turned, 1, META("task", "obb"), MODEL_HEAD_YOLOV8, 15, 0);
    struct fake masks = {.out = {IO("output0", 3, 1, 116, 8400), IO("output1", 4, 1, 32, 160, 160)}};
    check_head(masks, 2, NULL, MODEL_HEAD_YOLOV8, 80, 0);
    struct fake masks5 = {.out = {IO("output0", 3, 1, 25200, 117), IO("output1", 4, 1, 32, 160, 160)}};
    check_head(masks5, 2, NULL, MODEL_HEAD_YOLOV5, 80, 0);
    struct fake ends = {.out = {IO("output0", 3, 1, 300, 57)}};
    check_head(ends, 1, META("task", "pose", "end2end", "True"), MODEL_HEAD_NMS, 1, 17);
    check_head(ends, 1, META("task", "pose", "end2end", "False"), MODEL_HEAD_NMS, 1, 17); // suppressed in the graph
    struct fake angles = {.out = {IO("output0", 3, 1, 300, 7)}};
    check_head(angles, 1, META("task", "obb", "end2end", "True"), MODEL_HEAD_NMS, 1, 0);
    // Strides 4 to 32, 8 to 64, 16 and 32.
    struct fake p2 = {.out = {IO("output0", 3, 1, 84, 34000)}}, p6 = {.out = {IO("output0", 3, 1, 84, 8500)}};
    struct fake p6_anchors = {.out = {IO("output0", 3, 1, 25500, 85)}}, tiny = {.out = {IO("output0", 3, 1, 84, 2000)}};
    check_head(p2, 1, NULL, MODEL_HEAD_YOLOV8, 80, 0);
    check_head(p6, 1, NULL, MODEL_HEAD_YOLOV8, 80, 0);
    check_head(p6_anchors, 1, NULL, MODEL_HEAD_YOLOV5, 80, 0);
    check_head(tiny, 1, NULL, MODEL_HEAD_YOLOV8, 80, 0);
    struct fake rows = {.out = {IO("output0", 3, 1, 300, 84)}};
    check_head(rows, 1, NULL, MODEL_HEAD_RTDETR, 80, 0);
    struct fake few = {.out = {IO("output0", 3, 1, 300, 6)}}; // two classes, or finished boxes
    check_head(few, 1, META("description", "Ultralytics RT-DETR-l model"), MODEL_HEAD_RTDETR, 2, 0);
    check_head(few, 1, META("description", "Ultralytics YOLOv10n model"), MODEL_HEAD_NMS, 1, 0);
    struct fake rtdetr = {.out = {IO("logits", 3, 1, 300, 80), IO("pred_boxes", 3, 1, 300, 4)}};
    check_head(rtdetr, 2, NULL, MODEL_HEAD_RTDETR, 80, 0);
    struct fake detr = {
        .out = {IO("state", 3, 1, 100, 256), IO("pred_boxes", 3, 1, 100, 4), IO("logits", 3, 1, 100, 92)}};
    check_head(detr, 3, NULL, MODEL_HEAD_DETR, 91, 0);
    struct fake nas = {.out = {IO("a", 3, 1, 8400, 4), IO("b", 3, 1, 8400, 80)}};
    check_head(nas, 2, NULL, MODEL_HEAD_YOLO_NAS, 80, 0);
    struct fake ssd = {.out = {IO("scores", 3, 1, 3000, 21), IO("boxes", 3, 1, 3000, 4)}};
    check_head(ssd, 2, NULL, MODEL_HEAD_SSD, 20, 0);
    struct fake mm = {.out = {IO("dets", 3, 1, 200, 5), IO("labels", 2, 1, 200)}};
    check_head(mm, 2, NULL, MODEL_HEAD_LISTS, 1, 0);
    struct fake faces = {.out = {IO("a", 2, 12800, 1), IO("b", 2, 3200, 1), IO("c", 2, 800, 1), IO("d", 2, 12800, 4),
                                 IO("e", 2, 3200, 4), IO("f", 2, 800, 4), IO("g", 2, 12800, 10), IO("h", 2, 3200, 10),
                                 IO("i", 2, 800, 10)}};
    check_head(faces, 9, NULL, MODEL_HEAD_SCRFD, 1, 0);
    check_head(faces, 6, NULL, MODEL_HEAD_SCRFD, 1, 0);
    struct fake pico = {.out = {IO("a", 3, 1, 6400, 7), IO("b", 3, 1, 1600, 7), IO("c", 3, 1, 400, 7),
                                IO("d", 3, 1, 100, 7), IO("e", 3, 1, 6400, 32), IO("f", 3, 1, 1600, 32),
                                IO("g", 3, 1, 400, 32), IO("h", 3, 1, 100, 32)}};
    check_head(pico, 8, NULL, MODEL_HEAD_PICODET, 7, 0);
    struct fake lists = {.out = {IO("labels", 2, 1, 300), IO("boxes", 3, 1, 300, 4), IO("scores", 2, 1, 300)}};
    check_head(lists, 3, NULL, MODEL_HEAD_LISTS, 1, 0);
}

// Whatever is usual for a network, bytes are 0..255; its order of colours stays.
static void bytes_are_not_normalised(void)
{
    reset_settings();
    struct model m;
    char text[1024];
    struct fake ssd = {.in = {IO("input", 4, 1, 240, 320, 3)},
                       .out = {IO("scores", 3, 1, 4420, 2), IO("boxes", 3, 1, 4420, 4)}};
    CHECK_INT(guess_fake(&ssd, 1, 2, &m, text, sizeof text), REEL_OK);
    CHECK_INT(m.head, MODEL_HEAD_SSD);
    CHECK_NEAR(m.input.gain[0], 255 / 128.0, 1e-6);
    ssd.in[0].dtype = REEL_U8;
    CHECK_INT(guess_fake(&ssd, 1, 2, &m, text, sizeof text), REEL_OK);
    CHECK_NEAR(m.input.gain[0], 255, 0);
    CHECK_NEAR(m.input.bias[0], 0, 0);
    CHECK_HAS(text, "its input is 8-bit: 0..255");
    settings.io.range = SET_RANGE_0_1; // what is stated counts
    CHECK_INT(guess_fake(&ssd, 1, 2, &m, text, sizeof text), REEL_OK);
    CHECK_NEAR(m.input.gain[0], 1, 0);
    struct fake picture = {.in = {IO("x", 4, 1, 3, 64, 96)}, .out = {IO("y", 4, 1, 3, 128, 192)}};
    picture.in[0].dtype = REEL_U8;
    reset_settings();
    CHECK_INT(guess_fake(&picture, 1, 1, &m, text, sizeof text), REEL_OK);
    CHECK_NEAR(m.input.gain[1], 255, 0);
}

// x as `dtype`, Transpose, then op with one number: the values that the input takes.
static void check_first_node(enum reel_dtype dtype, bool quantised, const char *op, double number, double gain)
{
    reset_settings();
    struct graph *g = graph_create(NULL);
    struct value *x = graph_add_value(g, "x"), *v = graph_add_value(g, NULL), *y = graph_add_value(g, "y");
    x->is_input = true;
    graph_add_node(g, NULL, quantised ? "QuantizeLinear" : "Transpose", "", &x, 1, &v, 1);
    struct reel_tensor t;
    CHECK_INT(reel_tensor_init(&t, REEL_F32, &(struct reel_shape){0}), REEL_OK);
    *(float *)t.data = (float)number;
    struct value *const in[] = {v, graph_add_constant(g, NULL, &t)};
    graph_add_node(g, NULL, op, "", in, 2, &y, 1);
    graph_count_uses(g);
    struct model m;
    char text[1024];
    struct fake f = {.in = {IO("x", 4, 1, 240, 320, 3)},
                     .out = {IO("scores", 3, 1, 4420, 2), IO("boxes", 3, 1, 4420, 4)},
                     .facts = {.graph = g}};
    f.in[0].dtype = dtype;
    CHECK_INT(guess_fake(&f, 1, 2, &m, text, sizeof text), REEL_OK);
    CHECK_MSG(m.input.gain[0] == (float)gain && m.input.bias[0] == 0, "%s %g: %s", op, number, text);
    graph_destroy(&g);
}

static void what_the_graph_scales_is_not_scaled_before(void)
{
    check_first_node(REEL_F32, false, "Sub", 127, 255);
    check_first_node(REEL_F32, true, "Div", 255, 255);
    check_first_node(REEL_F32, false, "Mul", 255, 1);
    check_first_node(REEL_U8, false, "Mul", 1 / 255.0, 255);
}

// x -> Div by 255 -> op with a number: 0..255 is read; what is made?
static void check_last_node(const char *op, int at, double number, double gain)
{
    reset_settings();
    struct graph *g = graph_create(NULL);
    struct value *x = graph_add_value(g, "x"), *v = graph_add_value(g, NULL), *y = graph_add_value(g, "y");
    x->is_input = true;
    struct reel_tensor t, u;
    CHECK_INT(reel_tensor_init(&t, REEL_F32, &(struct reel_shape){0}), REEL_OK);
    *(float *)t.data = 255;
    CHECK_INT(reel_tensor_init(&u, REEL_F32, &(struct reel_shape){0}), REEL_OK);
    *(float *)u.data = (float)number;
    graph_add_node(g, NULL, "Div", "", (struct value *[]){x, graph_add_constant(g, NULL, &t)}, 2, &v, 1);
    struct value *in[] = {v, NULL, NULL};
    in[at] = graph_add_constant(g, NULL, &u);
    graph_add_node(g, NULL, op, "", in, at + 1, &y, 1);
    graph_count_uses(g);
    struct model m;
    char text[1024];
    struct fake f = {.in = {IO("x", 4, 1, 3, 64, 96)}, .out = {IO("y", 4, 1, 3, 128, 192)}, .facts = {.graph = g}};
    CHECK_INT(guess_fake(&f, 1, 1, &m, text, sizeof text), REEL_OK);
    CHECK_NEAR(m.input.gain[0], 255, 0);
    CHECK_MSG(m.output.gain[0] == (float)gain, "%s %g: %s", op, number, text);
    graph_destroy(&g);
}

static void the_last_operator_tells_the_range(void)
{
    check_last_node("Clip", 2, 1, 1);
    check_last_node("Clip", 2, 255, 1 / 255.0);
    check_last_node("Mul", 1, 255, 1 / 255.0);
    check_last_node("Add", 1, 0.5, 1 / 255.0); // as the input
}

// x -> op: of one channel, what it is for; of three, what is read.
static void check_last_op(const char *op, const char *output, int channels, enum reel_task task, bool levels,
                          double bias)
{
    struct graph *g = graph_create(NULL);
    struct value *x = graph_add_value(g, "x"), *v = graph_add_value(g, NULL), *y = graph_add_value(g, output);
    x->is_input = true;
    graph_add_node(g, NULL, "Conv", "", &x, 1, &v, 1);
    graph_add_node(g, NULL, op, "", &v, 1, &y, 1);
    graph_count_uses(g);
    struct model m;
    char text[1024];
    struct fake f = {
        .in = {IO("x", 4, 1, 3, 64, 96)}, .out = {IO(output, 4, 1, channels, 64, 96)}, .facts = {.graph = g}};
    if (channels == 1) f.out[0] = IO(output, 3, 1, 64, 96);
    CHECK_INT(guess_fake(&f, 1, 1, &m, text, sizeof text), REEL_OK);
    CHECK_MSG(m.task == task && m.output.levels == levels && fabs(m.input.bias[0] - bias) < 1e-3, "%s %s %d: %s", op,
              output, channels, text);
    graph_destroy(&g);
}

static void depth_and_tanh(void)
{
    reset_settings();
    check_last_op("Relu", "y", 1, REEL_TASK_IMAGE, true, -2.118);
    check_last_op("Conv", "predicted_depth", 1, REEL_TASK_IMAGE, true, -2.118);
    check_last_op("Sigmoid", "disp_0", 1, REEL_TASK_IMAGE, false, 0);
    check_last_op("Conv", "y", 1, REEL_TASK_MATTE, false, -2.118); // logits
    check_last_op("Tanh", "y", 3, REEL_TASK_IMAGE, false, -1);
    check_last_op("Relu", "y", 3, REEL_TASK_IMAGE, false, 0);
    settings.task = REEL_TASK_IMAGE; // of whatever has one channel
    check_last_op("Sigmoid", "y", 1, REEL_TASK_IMAGE, false, 0);
    settings.io.out_range = SET_RANGE_MINMAX;
    settings.io.resize = SET_RESIZE_STRETCH;
    check_last_op("Sigmoid", "y", 1, REEL_TASK_IMAGE, true, 0);
    check_last_op("Relu", "y", 3, REEL_TASK_IMAGE, true, 0);
    reset_settings();
    settings.io.out_range = SET_RANGE_0_255;
    check_last_op("Relu", "depth", 1, REEL_TASK_IMAGE, false, -2.118);
    reset_settings();
    settings.io.resize = SET_RESIZE_TILE;
    struct model m;
    char text[1024];
    struct fake f = {.in = {IO("x", 4, 1, 3, 64, 96)}, .out = {IO("depth", 3, 1, 64, 96)}};
    CHECK_INT(guess_fake(&f, 1, 1, &m, text, sizeof text), REEL_ERR_CONFIG);
    CHECK_HAS(reel_fail_text(), "io.out_range");
}

// A picture of so many channels in, a map of so many out: by names alone.
static enum reel_task task_by_names(const char *path, const char *input, int in, const char *output, int out)
{
    struct model m = {0};
    struct fake f = {.in = {IO(input, 4, 1, in, 256, 256)}, .out = {IO(output, 4, 1, out, 64, 64)}};
    if (out == 3) f.out[0] = IO(output, 4, 1, out, 256, 256);
    f.facts.path = path, f.facts.n_in = f.facts.n_out = 1, f.facts.in = f.in, f.facts.out = f.out;
    enum reel_err err = model_guess_input(&f.facts, &settings, &m);
    if (!err) err = model_guess_output(&f.facts, &settings, &f.out[0].shape, 256, 256, &m);
    return err ? REEL_TASK_AUTO : m.task;
}

static void what_colours_and_what_does_not(void)
{
    static const struct {
        const char *path, *input;
        int in;
        const char *output;
        int out;
        enum reel_task task;
    } known[] = {{"colors/net.onnx", "input", 1, "output", 2, REEL_TASK_SEGMENT}, // a folder's name tells nothing
                 {"net.onnx", "x", 3, "out_ab", 2, REEL_TASK_COLORIZE},
                 {"net.onnx", "x", 3, "class8_AB", 2, REEL_TASK_COLORIZE},
                 {"net.onnx", "x", 3, "labels", 2, REEL_TASK_SEGMENT}, // has the letters, not the word
                 {"net.onnx", "x", 1, "pred_color", 2, REEL_TASK_COLORIZE},
                 {"net.onnx", "data_l", 1, "y", 2, REEL_TASK_COLORIZE},
                 {"net.onnx", "l", 3, "y", 2, REEL_TASK_SEGMENT}, // no lightness in three channels
                 {"net.onnx", "gray", 1, "y", 2, REEL_TASK_SEGMENT},
                 {"a/DDColor_paper.onnx", "input", 3, "output", 2, REEL_TASK_COLORIZE},
                 {"siggraph17.onnx", "input", 1, "output", 2, REEL_TASK_COLORIZE},
                 {"a/net.onnx", "l", 1, "ab", 3, REEL_TASK_IMAGE}, // ab are two
                 {"color_fix.onnx", "input", 3, "output", 3, REEL_TASK_IMAGE},
                 {"DeOldify.onnx", "input", 3, "output", 3, REEL_TASK_COLORIZE},
                 {"deoldify_parts.onnx", "input", 3, "output", 4, REEL_TASK_SEGMENT}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        reset_settings();
        const enum reel_task task =
            task_by_names(known[i].path, known[i].input, known[i].in, known[i].output, known[i].out);
        CHECK_MSG(task == known[i].task, "%s, %s to %s: task %d, not %d", known[i].path, known[i].input,
                  known[i].output, (int)task, (int)known[i].task);
        settings.task = 4; // what is stated counts
        if (known[i].out == 2)
            CHECK_INT(task_by_names(known[i].path, known[i].input, known[i].in, known[i].output, 2), REEL_TASK_SEGMENT);
    }
}

static void settings_win(void)
{
    reset_settings();
    struct model m;
    char text[1024];
    struct fake f = {.in = {IO("x", 4, 1, 3, 64, 96)}, .out = {IO("y", 4, 1, 3, 128, 192)}};
    settings.io.channels = SET_CHANNELS_BGR;
    settings.io.mean = (struct opt_floats){3, {0.1, 0.2, 0.3}};
    settings.io.std = (struct opt_floats){1, {0.5}};
    settings.io.out_range = SET_RANGE_M1_1;
    settings.io.resize = SET_RESIZE_STRETCH;
    CHECK_INT(guess_fake(&f, 1, 1, &m, text, sizeof text), REEL_OK);
    CHECK_INT(m.task, REEL_TASK_IMAGE);
    CHECK(m.input.bgr && m.output.bgr);
    CHECK_NEAR(m.input.gain[0], 2, 1e-6);
    CHECK_NEAR(m.input.bias[0], -0.6, 1e-6); // red is the network's last channel
    CHECK_NEAR(m.input.bias[2], -0.2, 1e-6);
    CHECK_NEAR(m.output.gain[1], 0.5, 1e-6);
    CHECK_NEAR(m.output.bias[1], 0.5, 1e-6);
    CHECK_INT(m.input.fit, MODEL_STRETCH);
    CHECK_HAS(text, "as stated in the settings");
}

static void segmentation_and_classes(void)
{
    reset_settings();
    struct model m;
    char text[1024];
    struct fake seg = {.in = {IO("x", 4, 1, 3, 256, 320)}, .out = {IO("y", 4, 1, 19, 64, 80)}};
    CHECK_INT(guess_fake(&seg, 1, 1, &m, text, sizeof text), REEL_OK);
    CHECK_INT(m.task, REEL_TASK_SEGMENT);
    CHECK_INT(m.classes, 19);
    struct fake numbers = {.in = {IO("x", 4, 1, 3, 256, 320)}, .out = {IO("y", 3, 1, 256, 320)}};
    numbers.out[0].dtype = REEL_I64;
    CHECK_INT(guess_fake(&numbers, 1, 1, &m, text, sizeof text), REEL_OK);
    CHECK_INT(m.task, REEL_TASK_SEGMENT);
    CHECK_INT(m.classes, 0);
    struct fake cls = {.in = {IO("x", 4, 1, 224, 224, 3)}, .out = {IO("y", 2, 1, 1001)}};
    CHECK_INT(guess_fake(&cls, 1, 1, &m, text, sizeof text), REEL_OK);
    CHECK_INT(m.task, REEL_TASK_CLASSIFY);
    CHECK(m.input.nhwc);
    CHECK_NEAR(m.input.bias[0], -1, 0); // NHWC: TensorFlow's habit
    struct fake places = {.in = {IO("x", 4, 1, 3, 112, 112)}, .out = {IO("landmarks", 2, 1, 136)}};
    CHECK_INT(guess_fake(&places, 1, 1, &m, text, sizeof text), REEL_OK);
    CHECK_INT(m.task, REEL_TASK_TENSOR); // numbers, but of no classes
    settings.task = 2;                   // detect
    CHECK_INT(guess_fake(&cls, 1, 1, &m, text, sizeof text), REEL_ERR_CONFIG);
    CHECK_HAS(reel_fail_text(), "detect.head");
}

static void refusals(void)
{
    reset_settings();
    struct model m;
    char text[1024];
    struct fake rank = {.in = {IO("x", 2, 1, 100)}, .out = {IO("y", 2, 1, 10)}};
    CHECK_INT(guess_fake(&rank, 1, 1, &m, text, sizeof text), REEL_ERR_UNSUPPORTED);
    CHECK_HAS(reel_fail_text(), "is not a picture");
    struct fake two = {.in = {IO("x", 4, 1, 3, 64, 64), IO("sigma", 1, 1)}, .out = {IO("y", 4, 1, 3, 64, 64)}};
    CHECK_INT(guess_fake(&two, 2, 1, &m, text, sizeof text), REEL_ERR_UNSUPPORTED);
    CHECK_HAS(reel_fail_text(), "second input \"sigma\"");
    struct fake batch = {.in = {IO("x", 4, 8, 3, 64, 64)}, .out = {IO("y", 4, 8, 3, 64, 64)}};
    CHECK_INT(guess_fake(&batch, 1, 1, &m, text, sizeof text), REEL_ERR_UNSUPPORTED);
    struct fake five = {.in = {IO("x", 4, 1, 5, 64, 64)}, .out = {IO("y", 4, 1, 3, 64, 64)}};
    CHECK_INT(guess_fake(&five, 1, 1, &m, text, sizeof text), REEL_ERR_UNSUPPORTED);
    CHECK_HAS(reel_fail_text(), "5 channels");
    struct fake fixed = {.in = {IO("x", 4, 1, 3, 64, 64)}, .out = {IO("y", 4, 1, 3, 64, 64)}};
    snprintf(settings.io.size, sizeof settings.io.size, "128x128");
    CHECK_INT(guess_fake(&fixed, 1, 1, &m, text, sizeof text), REEL_ERR_CONFIG);
    CHECK_HAS(reel_fail_text(), "64x64");
    reset_settings();
    snprintf(settings.io.output, sizeof settings.io.output, "z");
    CHECK_INT(guess_fake(&fixed, 1, 1, &m, text, sizeof text), REEL_ERR_CONFIG);
}

// Every file of configs/ is accepted.
static void configurations(void)
{
    glob_t found;
    if (glob("configs/*.cfg", 0, NULL, &found)) SKIP("not run from the project's folder");
    bool ok = true;
    for (size_t i = 0; i < found.gl_pathc; i++) {
        reset_settings();
        bool *set = calloc((size_t)reel_settings_table()->n, sizeof *set);
        if (opt_load_file(reel_settings_table(), found.gl_pathv[i], &settings, set)) {
            fprintf(stderr, "%s\n", reel_fail_text());
            ok = false;
        }
        free(set);
    }
    size_t n = found.gl_pathc;
    globfree(&found);
    CHECK(ok);
    CHECK(n >= 10);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strstr(argv[1], ".onnx")) {
        reset_settings();
        for (int i = 1; i < argc; i++) {
            char text[1024];
            struct model m;
            enum reel_err err = guess_file(argv[i], text, sizeof text, &m);
            printf("%s: %s\n", argv[i], err ? reel_fail_text() : text);
        }
        return 0;
    }
    static const struct check_case cases[] = {
        {"model guesses of the test data", guesses_of_test_data},
        {"model yolo families", yolo_families},
        {"model size that the file states", size_that_the_file_states},
        {"model exports of Ultralytics", ultralytics_exports},
        {"model PaddlePaddle by its graph", paddle_by_its_graph},
        {"model families by the file's name", families_by_the_file_name},
        {"model first of several maps", the_first_of_several_maps},
        {"model channel of one number", a_channel_of_one_number},
        {"model networks of one style", networks_of_one_style},
        {"model rows of cells", rows_of_cells_by_their_graph},
        {"model other detectors", other_detectors},
        {"model bytes are not normalised", bytes_are_not_normalised},
        {"model what the graph scales", what_the_graph_scales_is_not_scaled_before},
        {"model range of the last operator", the_last_operator_tells_the_range},
        {"model depth and Tanh", depth_and_tanh},
        {"model what colours and what does not", what_colours_and_what_does_not},
        {"model settings win", settings_win},
        {"model segmentation and classes", segmentation_and_classes},
        {"model refusals", refusals},
        {"model configurations", configurations}};
    return check_main(cases, (int)(sizeof cases / sizeof *cases), argc, argv);
}

// SPDX-License-Identifier: MIT
//
// Which networks are taken for poses, for grids with anchors and for CenterNet, by their outputs,
// their operators and their files' names; what nothing tells is refused or said.
#include <math.h>

#include "tests/unit/worker/model_fake.h"
#include "worker/graph/graph.h"

static struct model m;
static char text[1024];

static void check_pose(const char *path, int w, int h, const char *output, int points, enum model_head head)
{
    reset_settings();
    struct fake f = {.in = {IO("input", 4, 1, 3, h, w)}, .out = {IO(output, 4, 1, points, h / 4, w / 4)}};
    f.facts.path = path;
    CHECK_INT(guess_fake(&f, 1, 1, &m, text, sizeof text), REEL_OK);
    CHECK_MSG(m.head == head, "%s, %d maps \"%s\" of %dx%d: %s", path, points, output, w, h, text);
    if (head == MODEL_HEAD_NONE) {
        CHECK_INT(m.task, REEL_TASK_SEGMENT);
        CHECK_HAS(text, "use --detect.head heatmap");
        settings.detect.head = SET_HEAD_HEATMAP;
        CHECK_INT(guess_fake(&f, 1, 1, &m, text, sizeof text), REEL_OK);
        CHECK_INT(m.head, MODEL_HEAD_HEATMAP);
    }
    CHECK_INT(m.points, points);
    CHECK_INT(m.udp, strstr(path, "vitpose") != NULL);
    CHECK_HAS(text, "points of one body, face or hand that fills the frame (heatmap head)");
    CHECK_HAS(text, "use --task segment");
    CHECK_NEAR(m.input.gain[0], 1 / 0.229, 1e-4);
    CHECK_NEAR(m.input.fill[0], m.input.bias[0], 0); // black, as it is trained
    CHECK_INT(m.input.fit, MODEL_LETTERBOX);
    settings.detect.head = SET_HEAD_AUTO, settings.task = REEL_TASK_SEGMENT;
    CHECK_INT(guess_fake(&f, 1, 1, &m, text, sizeof text), REEL_OK);
    CHECK_MSG(m.task == REEL_TASK_SEGMENT && m.classes == points, "%s", text);
}

static void heatmaps(void)
{
    check_pose("a.onnx", 192, 256, "output", 17, MODEL_HEAD_HEATMAP);
    check_pose("vitpose-b.onnx", 192, 256, "output", 17, MODEL_HEAD_HEATMAP);
    check_pose("a.onnx", 288, 384, "output", 133, MODEL_HEAD_HEATMAP);
    check_pose("a.onnx", 256, 256, "output", 16, MODEL_HEAD_HEATMAP);
    check_pose("a.onnx", 192, 256, "output", 13, MODEL_HEAD_HEATMAP); // upright
    check_pose("a.onnx", 512, 512, "output", 13, MODEL_HEAD_NONE);
    check_pose("a.onnx", 512, 512, "output", 19, MODEL_HEAD_NONE);
    check_pose("a.onnx", 512, 512, "heatmaps", 19, MODEL_HEAD_HEATMAP);
    check_pose("pose/a.onnx", 256, 256, "output", 21, MODEL_HEAD_NONE); // a folder's name says nothing
    check_pose("pose/hrnet_hand.onnx", 256, 256, "output", 21, MODEL_HEAD_HEATMAP);
}

// Not a quarter of the picture, more than an object's points, or maps that differ.
static void no_heatmaps(void)
{
    reset_settings();
    struct fake half = {.in = {IO("input", 4, 1, 3, 256, 192)}, .out = {IO("output", 4, 1, 17, 128, 96)}};
    CHECK_INT(guess_fake(&half, 1, 1, &m, text, sizeof text), REEL_OK);
    CHECK_INT(m.task, REEL_TASK_SEGMENT);
    struct fake many = {.in = {IO("input", 4, 1, 3, 256, 192)}, .out = {IO("output", 4, 1, 150, 64, 48)}};
    CHECK_INT(guess_fake(&many, 1, 1, &m, text, sizeof text), REEL_OK);
    CHECK_INT(m.task, REEL_TASK_SEGMENT);
    settings.detect.head = SET_HEAD_HEATMAP;
    CHECK_INT(guess_fake(&many, 1, 1, &m, text, sizeof text), REEL_ERR_CONFIG);
    reset_settings();
    struct fake stages = {.in = {IO("input", 4, 1, 3, 256, 256)},
                          .out = {IO("a", 4, 1, 16, 64, 64), IO("b", 4, 1, 16, 64, 64)}};
    CHECK_INT(guess_fake(&stages, 1, 2, &m, text, sizeof text), REEL_OK);
    CHECK_MSG(m.head == MODEL_HEAD_HEATMAP && m.head_output[0] == 1, "%s", text); // the last hourglass
}

// Any size: that of the training, people upright.
static void usual_sizes(void)
{
    reset_settings();
    struct fake pose = {.in = {IO("input", 4, 1, 3, -1, -1)}, .out = {IO("heatmaps", 4, 1, 17, 64, 80)}};
    CHECK_INT(guess_fake(&pose, 1, 1, &m, text, sizeof text), REEL_OK);
    CHECK_MSG(m.head == MODEL_HEAD_HEATMAP && m.input.width == 192 && m.input.height == 256, "%s", text);
    struct fake centres = {.in = {IO("input", 4, 1, 3, -1, -1)},
                           .out = {IO("reg", 4, 1, 2, 64, 80), IO("hm", 4, 1, 80, 64, 80), IO("wh", 4, 1, 2, 64, 80)}};
    CHECK_INT(guess_fake(&centres, 1, 3, &m, text, sizeof text), REEL_OK);
    CHECK_MSG(m.head == MODEL_HEAD_CENTERNET && m.classes == 80 && m.input.width == 512, "%s", text);
    CHECK_MSG(m.head_output[0] == 1 && m.head_output[1] == 2 && m.head_output[2] == 0 && m.input.bgr, "%s", text);
}

static void simcc_and_movenet(void)
{
    reset_settings();
    struct fake simcc = {.in = {IO("input", 4, 1, 3, 256, 192)},
                         .out = {IO("simcc_y", 3, 1, 17, 512), IO("simcc_x", 3, 1, 17, 384)}};
    CHECK_INT(guess_fake(&simcc, 1, 2, &m, text, sizeof text), REEL_OK);
    CHECK_MSG(m.head == MODEL_HEAD_SIMCC && m.head_output[0] == 1 && m.points == 17, "%s", text);
    simcc.out[0] = IO("simcc_y", 3, 1, 17, 500);
    CHECK_INT(guess_fake(&simcc, 1, 2, &m, text, sizeof text), REEL_OK);
    CHECK_INT(m.task, REEL_TASK_TENSOR);
    struct fake one = {.in = {IO("input", 4, 1, 192, 192, 3)}, .out = {IO("output_0", 4, 1, 1, 17, 3)}};
    one.in[0].dtype = REEL_I32;
    CHECK_INT(guess_fake(&one, 1, 1, &m, text, sizeof text), REEL_OK);
    CHECK_MSG(m.head == MODEL_HEAD_MOVENET && m.input.nhwc && m.input.gain[0] == 255 && m.input.bias[0] == 0, "%s",
              text);
    struct fake six = {.in = {IO("input", 4, 1, -1, -1, 3)}, .out = {IO("output_0", 3, 1, 6, 56)}};
    six.in[0].dtype = REEL_I32;
    CHECK_INT(guess_fake(&six, 1, 1, &m, text, sizeof text), REEL_OK);
    CHECK_MSG(m.head == MODEL_HEAD_MOVENET && m.points == 17 && m.input.width == 256, "%s", text);
    // Numbers of anything else are no picture.
    struct fake words = {.in = {IO("ids", 4, 1, 2, 192, 192)}, .out = {IO("output_0", 4, 1, 1, 17, 3)}};
    words.in[0].dtype = REEL_I32;
    CHECK_INT(guess_fake(&words, 1, 1, &m, text, sizeof text), REEL_ERR_UNSUPPORTED);
}

// ---- grids ------------------------------------------------------------------------------

static struct fake grids(int n, int side, int channels)
{
    struct fake f = {.in = {IO("images", 4, 1, 3, side, side)}};
    static const char *const names[4] = {"a", "b", "c", "d"};
    // From the largest stride on, as Darknet's.
    for (int i = 0; i < n; i++) {
        const int cells = side / (n == 4 ? 64 : 32) << i;
        f.out[i] = IO(names[i], 4, 1, channels, cells, cells);
    }
    return f;
}

static void check_generation(const char *path, const char *op, int n, enum model_head head)
{
    reset_settings();
    struct graph *g = graph_create(NULL);
    struct value *x = graph_add_value(g, "images"), *v = graph_add_value(g, NULL), *w = graph_add_value(g, NULL);
    x->is_input = true;
    graph_add_node(g, NULL, op ? op : "Relu", "", &x, 1, &v, 1);
    graph_add_node(g, NULL, "Mul", "", (struct value *[]){x, v}, 2, &w, 1);
    for (int i = 0; i < n; i++) {
        struct value *out = graph_add_value(g, (const char *[]){"a", "b", "c", "d"}[i]);
        graph_add_node(g, NULL, "Conv", "", &w, 1, &out, 1);
    }
    graph_count_uses(g);
    struct fake f = grids(n, 640, 255);
    f.facts.graph = g, f.facts.path = path;
    const enum reel_err err = guess_fake(&f, 1, n, &m, text, sizeof text);
    if (head == MODEL_HEAD_NONE) {
        CHECK_INT(err, REEL_ERR_CONFIG);
        CHECK_HAS(reel_fail_text(), "state detect.head yolov3, yolov4, yolov5 or yolov7");
        settings.detect.head = SET_HEAD_YOLOV4;
        CHECK_INT(guess_fake(&f, 1, n, &m, text, sizeof text), REEL_OK);
        CHECK_INT(m.head, MODEL_HEAD_YOLOV4);
    } else {
        CHECK_INT(err, REEL_OK);
        CHECK_MSG(m.head == head, "%s, %s, %d: %s", path, op ? op : "-", n, text);
        CHECK_HAS(text, "anchors for COCO");
    }
    CHECK_MSG(m.classes == 80 && m.n_head_outputs == n && m.head_output[0] == n - 1, "%s", text);
    graph_destroy(&g);
}

static void generations_of_yolo(void)
{
    check_generation("w/yolov3-10.onnx", NULL, 3, MODEL_HEAD_YOLOV3);
    check_generation("YOLOv4.onnx", NULL, 3, MODEL_HEAD_YOLOV4);
    check_generation("yolov4-csp.onnx", "Sigmoid", 3, MODEL_HEAD_YOLOV7); // sizes and anchors as YOLOv7's
    check_generation("yolov7-tiny.onnx", "LeakyRelu", 3, MODEL_HEAD_YOLOV5);
    check_generation("yolov7.onnx", "Sigmoid", 3, MODEL_HEAD_YOLOV7);
    check_generation("a.onnx", "Sigmoid", 3, MODEL_HEAD_YOLOV5); // x * sigmoid(x)
    check_generation("a.onnx", "Sigmoid", 4, MODEL_HEAD_YOLOV5);
    check_generation("a.onnx", "Mish", 3, MODEL_HEAD_YOLOV4);
    check_generation("a.onnx", "LeakyRelu", 3, MODEL_HEAD_YOLOV3);
    check_generation("a.onnx", "LeakyRelu", 2, MODEL_HEAD_YOLOV3);
    check_generation("a.onnx", NULL, 3, MODEL_HEAD_NONE);
}

// Features of a pyramid, distributions beside scores, and grids with a gap.
static void no_grids(void)
{
    reset_settings();
    struct fake features = grids(3, 640, 96);
    for (int i = 0; i < 3; i++) features.out[i].shape.dim[1] = 96;
    CHECK_INT(guess_fake(&features, 1, 3, &m, text, sizeof text), REEL_OK);
    CHECK_INT(m.head, MODEL_HEAD_NONE);
    struct fake gap = grids(3, 640, 255);
    gap.out[1] = gap.out[0];
    CHECK_INT(guess_fake(&gap, 1, 3, &m, text, sizeof text), REEL_OK);
    CHECK_INT(m.head, MODEL_HEAD_NONE);
    struct graph *g = graph_create(NULL);
    struct value *x = graph_add_value(g, "images"), *a = graph_add_value(g, "a"), *s = graph_add_value(g, NULL);
    struct value *silu = graph_add_value(g, NULL);
    x->is_input = true;
    graph_add_node(g, NULL, "Sigmoid", "", &x, 1, &s, 1);
    graph_add_node(g, NULL, "Mul", "", (struct value *[]){x, s}, 2, &silu, 1);
    for (int i = 2; i >= 0; i--) {
        struct value *out = i ? graph_add_value(g, i == 2 ? "c" : "b") : a;
        graph_add_node(g, NULL, "Concat", "", (struct value *[]){x, silu}, 2, &out, 1);
    }
    struct fake eight = grids(3, 640, 144); // YOLOv8's: 64 and 80
    eight.facts.graph = g;
    CHECK_INT(guess_fake(&eight, 1, 3, &m, text, sizeof text), REEL_ERR_CONFIG);
    CHECK_HAS(reel_fail_text(), "export it with its boxes decoded");
    settings.task = 5; // tensor, as the option counts
    CHECK_INT(guess_fake(&eight, 1, 3, &m, text, sizeof text), REEL_OK);
    graph_destroy(&g);
}

// Exports that give the rows and the grids they are made from.
static void rows_beside_grids(void)
{
    reset_settings();
    struct fake f = {.in = {IO("images", 4, 1, 3, 640, 640)},
                     .out = {IO("397", 5, 1, 3, 80, 80, 85), IO("output", 3, 1, 25200, 85),
                             IO("458", 5, 1, 3, 40, 40, 85), IO("519", 5, 1, 3, 20, 20, 85)}};
    CHECK_INT(guess_fake(&f, 1, 4, &m, text, sizeof text), REEL_OK);
    CHECK_MSG(m.head == MODEL_HEAD_YOLOV5 && m.n_head_outputs == 1 && m.head_output[0] == 1 && m.classes == 80, "%s",
              text);
}

static const char *named_classes(const void *user, const char *key)
{
    (void)user;
    return !strcmp(key, "names") ? "{0: 'a'}" : NULL;
}

static void check_rows(const char *path, int columns, bool names, enum model_head head, int classes, int points)
{
    reset_settings();
    struct fake f = {.in = {IO("input", 4, 1, 3, 640, 640)}, .out = {IO("output", 3, 1, 25200, columns)}};
    f.facts.path = path;
    if (names) f.facts.meta = named_classes;
    CHECK_INT(guess_fake(&f, 1, 1, &m, text, sizeof text), REEL_OK);
    CHECK_MSG(m.head == head && m.classes == classes && m.points == points, "%s, %d columns: %s", path, columns, text);
    CHECK_INT(m.points_first, head == MODEL_HEAD_YOLOV5_FACE && columns == 16);
}

static void rows_with_points(void)
{
    check_rows("yolov5n-face.onnx", 16, false, MODEL_HEAD_YOLOV5_FACE, 1, 5);
    check_rows("yolov7-lite-face.onnx", 21, false, MODEL_HEAD_YOLOV5_FACE, 1, 5);
    check_rows("a.onnx", 57, false, MODEL_HEAD_YOLOV5_POSE, 1, 17);
    check_rows("a.onnx", 57, true, MODEL_HEAD_YOLOV5, 52, 0);
    check_rows("yolov5n-face.onnx", 16, true, MODEL_HEAD_YOLOV5, 11, 0);
    check_rows("face.onnx", 85, false, MODEL_HEAD_YOLOV5, 80, 0);
    check_rows("a.onnx", 16, false, MODEL_HEAD_YOLOV5, 11, 0);
    CHECK_HAS(text, "use --detect.head yolov5_face");
    struct fake f = {.in = {IO("input", 4, 1, 3, 640, 640)}, .out = {IO("output", 3, 1, 25200, 16)}};
    settings.detect.head = SET_HEAD_YOLOV5_FACE;
    CHECK_INT(guess_fake(&f, 1, 1, &m, text, sizeof text), REEL_OK);
    CHECK_MSG(m.head == MODEL_HEAD_YOLOV5_FACE && m.points == 5, "%s", text);
}

CHECK_MAIN({"head heatmaps", heatmaps}, {"head no heatmaps", no_heatmaps}, {"head usual sizes", usual_sizes},
           {"head simcc and movenet", simcc_and_movenet}, {"head generations of yolo", generations_of_yolo},
           {"head no grids", no_grids}, {"head rows beside grids", rows_beside_grids},
           {"head rows with points", rows_with_points})

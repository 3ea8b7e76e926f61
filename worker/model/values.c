// SPDX-License-Identifier: MIT
//
// How a network's values are stored, by what the file says of itself, its first and last
// operators, its task, and the settings.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "worker/model/graph.h"
#include "worker/model/look.h"

// stored = ((v - mean) / std) * span + base for v in 0..1, channel by channel
// of the network's order.
struct values {
    bool bgr;
    double mean[3], std[3];
    double span, base;
    const char *how;
};

#define PLAIN   \
    {0, 0, 0},  \
    {           \
        1, 1, 1 \
    }
#define IMAGENET            \
    {0.485, 0.456, 0.406},  \
    {                       \
        0.229, 0.224, 0.225 \
    }
#define IMAGENET_BGR        \
    {0.406, 0.456, 0.485},  \
    {                       \
        0.225, 0.224, 0.229 \
    }
#define CAFFE                                \
    {104 / 255.0, 117 / 255.0, 123 / 255.0}, \
    {                                        \
        1, 1, 1                              \
    }

static const struct values by_head[MODEL_HEADS] = {
    [MODEL_HEAD_SSD] = {false,
                        {127 / 255.0, 127 / 255.0, 127 / 255.0},
                        {128 / 255.0, 128 / 255.0, 128 / 255.0},
                        1,
                        0,
                        "usual for scores and boxes (UltraFace): (RGB - 127) / 128"},
    [MODEL_HEAD_YUNET] = {true, PLAIN, 255, 0, "usual for YuNet: BGR 0..255"},
    [MODEL_HEAD_YUNET_2021] = {true, PLAIN, 255, 0, "usual for YuNet: BGR 0..255"},
    [MODEL_HEAD_YOLOX] = {true, PLAIN, 255, 0, "usual for YOLOX: BGR 0..255"},
    [MODEL_HEAD_YOLOV5] = {false, PLAIN, 1, 0, "usual for YOLOv5: RGB 0..1"},
    [MODEL_HEAD_YOLOV8] = {false, PLAIN, 1, 0, "usual for YOLOv8: RGB 0..1"},
    [MODEL_HEAD_RETINAFACE] = {true, CAFFE, 255, 0, "usual for RetinaFace: BGR 0..255 minus (104, 117, 123)"},
    [MODEL_HEAD_FASTESTDET] = {true, PLAIN, 1, 0, "usual for FastestDet: BGR 0..1"},
    [MODEL_HEAD_DETR] = {false, IMAGENET, 1, 0, "usual for DETR: RGB minus ImageNet's mean"},
    [MODEL_HEAD_RTDETR] = {false, PLAIN, 1, 0, "usual for RT-DETR: RGB 0..1"},
    [MODEL_HEAD_YOLO_NAS] = {false, PLAIN, 1, 0, "usual for YOLO-NAS: RGB 0..1"},
    [MODEL_HEAD_LISTS] = {false, PLAIN, 1, 0, "usual for detectors with built-in suppression: RGB 0..1"},
    [MODEL_HEAD_SCRFD] = {false,
                          {127.5 / 255, 127.5 / 255, 127.5 / 255},
                          {128 / 255.0, 128 / 255.0, 128 / 255.0},
                          1,
                          0,
                          "usual for SCRFD: (RGB - 127.5) / 128"},
    [MODEL_HEAD_NANODET] = {true, IMAGENET_BGR, 1, 0, "usual for NanoDet: BGR minus ImageNet's mean"},
    [MODEL_HEAD_PICODET] = {false, IMAGENET, 1, 0, "usual for PicoDet: RGB minus ImageNet's mean"},
    [MODEL_HEAD_YOLOV3] = {false, PLAIN, 1, 0, "usual for YOLOv3: RGB 0..1"},
    [MODEL_HEAD_YOLOV4] = {false, PLAIN, 1, 0, "usual for YOLOv4: RGB 0..1"},
    [MODEL_HEAD_YOLOV7] = {false, PLAIN, 1, 0, "usual for YOLOv7: RGB 0..1"},
    [MODEL_HEAD_YOLOV5_FACE] = {false, PLAIN, 1, 0, "usual for YOLOv5-face: RGB 0..1"},
    [MODEL_HEAD_YOLOV5_POSE] = {false, PLAIN, 1, 0, "usual for YOLOv7-pose: RGB 0..1"},
    [MODEL_HEAD_CENTERNET] =
        {true, {0.408, 0.447, 0.470}, {0.289, 0.274, 0.278}, 1, 0, "usual for CenterNet: BGR minus COCO's mean"},
    [MODEL_HEAD_HEATMAP] = {false, IMAGENET, 1, 0, "usual for poses as heatmaps: RGB minus ImageNet's mean"},
    [MODEL_HEAD_SIMCC] = {false, IMAGENET, 1, 0, "usual for RTMPose: RGB minus ImageNet's mean"},
    [MODEL_HEAD_MOVENET] = {false, PLAIN, 255, 0, "usual for MoveNet: RGB 0..255"},
    [MODEL_HEAD_NMS] = {false, PLAIN, 1, 0, "usual for YOLO exports with built-in suppression: RGB 0..1"},
};

static bool has(const char *text, const char *part)
{
    return text && strstr(text, part);
}

// The file says it itself (Windows ML's keys).
static bool by_metadata(const struct look *l, struct values *v)
{
    if (!l->f->meta) return false;
    const char *order = l->f->meta(l->f->user, "Image.BitmapPixelFormat");
    const char *range = l->f->meta(l->f->user, "Image.NominalPixelRange");
    if (!order && !range) return false;
    *v = (struct values){has(order, "Bgr") || has(order, "BGR"), PLAIN, 255, 0, "the file's image metadata"};
    if (has(range, "Normalized_0_1")) v->span = 1;
    if (has(range, "Normalized_1_1")) v->span = 2, v->base = -1;
    if (has(range, "16_235")) v->span = 219, v->base = 16;
    return true;
}

// The graph begins by scaling or shifting values that can only be 0..255.
static bool by_first_node(const struct look *l, struct values *v)
{
    const struct node *n = model_first_node(l->f->graph, l->f->in[l->m->input.index].name);
    if (!n) return false;
    double c[16];
    bool found = false, bgr = false;
    if (!strcmp(n->op_type, "ImageScaler")) { // OnnxMLTools: bias of mean colours, BGR when they rise
        const float *bias;
        int k = node_attr_floats(n, "bias", &bias);
        found = true;
        bgr = k == 3 && bias[0] > bias[2] + 5;
    } else if (n->n_in == 2 && (!strcmp(n->op_type, "Sub") || !strcmp(n->op_type, "Div"))) {
        int k = model_constants(n->in[1], c, 16);
        const bool mean = k == 3 && !strcmp(n->op_type, "Sub") && fabs(c[1] - 0.456) < 0.002;
        if (mean && (fabs(c[0] - 0.485) < 0.002 || fabs(c[0] - 0.406) < 0.002)) {
            *v = (struct values){c[0] < c[2], PLAIN, 1, 0,
                                 "the graph's first operator subtracts ImageNet's mean itself"};
            return true;
        }
        found = k > 0 && fabs(c[0]) > 20;
        bgr = found && k >= 3 && c[0] < c[2] - 5;
    } else if (n->n_in == 2 && !strcmp(n->op_type, "Mul")) {
        int k = model_constants(n->in[1], c, 16);
        found = k > 0 && c[0] > 0 && c[0] < 0.02;
        if (k > 0 && c[0] > 250 && c[0] < 260) {
            *v = (struct values){false, PLAIN, 1, 0, "the graph's first operator itself scales 0..1 to 0..255"};
            return true;
        }
    }
    if (!found) return false;
    *v = (struct values){bgr, PLAIN, 255, 0, "the graph's first operator itself scales 0..255"};
    return true;
}

// Integers hold nothing but 0..255: whatever is usual, the graph does it itself.
static void as_bytes(const struct look *l, struct values *v)
{
    const enum reel_dtype dtype = l->f->in[l->m->input.index].dtype;
    if (reel_dtype_is_float(dtype) || (v->span > 2 && v->mean[0] == 0 && v->std[0] == 1)) return;
    *v = (struct values){v->bgr, PLAIN, 255, 0,
                         dtype == REEL_U8 ? "its input is 8-bit: 0..255" : "its input is integers: 0..255"};
}

// PaddlePaddle's toolkits differ: OCR sees BGR; segmentation (PaddleSeg) -1..1; classes (PaddleClas)
// and the rest RGB.
static void by_paddle(const struct look *l, struct values *v)
{
    const struct model *m = l->m;
    if (look_is_text_angle(l))
        *v = (struct values){true, PLAIN, 2, -1, "usual for PP-OCR's angle classifier: BGR -1..1"};
    else if (m->task == REEL_TASK_TENSOR && l->f->n_out == 1 && l->shapes[0].ndim == 3 &&
             !strcmp(model_last_op(l->f->graph, l->f->out[0].name), "Softmax"))
        *v = (struct values){true, PLAIN, 2, -1, "usual for PP-OCR's reading of lines: BGR -1..1"};
    else if (m->task == REEL_TASK_SEGMENT)
        *v = (struct values){false, PLAIN, 2, -1, "usual for PaddleSeg: RGB -1..1"};
    else if (m->task == REEL_TASK_CLASSIFY)
        *v = (struct values){false, IMAGENET, 1, 0, "usual for PaddleClas: RGB minus ImageNet's mean"};
    else
        *v = (struct values){true, IMAGENET, 1, 0, "usual for files made by PaddlePaddle: BGR minus ImageNet's mean"};
}

// Families that nothing in the file tells apart from others, by the name that it is published
// under. -1..1 of mattes is (v - 0.5) / 0.5, of IS-Net and RMBG v - 0.5.
static bool by_file_name(const struct look *l, struct values *v)
{
    static const struct {
        const char *const names[6]; // the last ones NULL
        bool picture;
        struct values values;
    } families[] = {
        {{"modnet", "humanseg", "ppmatting", "pp-matting", NULL},
         false,
         {false, PLAIN, 2, -1, "usual for MODNet and PP-Matting, by the file's name: RGB -1..1"}},
        {{"isnet", "is-net", "is_net", "rmbg", "briaai", NULL},
         false,
         {false, PLAIN, 1, -0.5, "usual for IS-Net and RMBG, by the file's name: RGB -0.5..0.5"}},
        {{"gfpgan", "codeformer", "restoreformer", "gpen", NULL},
         true,
         {false, PLAIN, 2, -1,
          "usual for networks that restore faces, by the file's name: -1..1 (they are made for pictures cut to one "
          "upright face)"}},
    };
    const bool picture = l->m->task == REEL_TASK_IMAGE;
    const bool mask = l->m->task == REEL_TASK_MATTE || l->m->task == REEL_TASK_SEGMENT;
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        if ((families[i].picture ? picture : mask) && look_file_has(l, families[i].names)) {
            *v = families[i].values;
            return true;
        }
    return false;
}

// Johnson et al.'s networks of one style, as PyTorch's examples have them: reflected edges and 9 x 9
// pixels first, normalised by each picture's own mean, and nothing that bounds the end.
static bool is_fast_style(const struct look *l)
{
    const struct graph *g = l->f->graph;
    const struct node *n = model_first_node(g, l->f->in[l->m->input.index].name);
    const char *op = model_last_op(g, l->f->out[l->m->output.index].name);
    if (l->m->input.channels != 3 || !n || strcmp(n->op_type, "Conv") || !model_has_op(g, "InstanceNormalization"))
        return false;
    if (strcmp(op, "Conv") && strcmp(op, "Add")) return false;
    const struct reel_shape *kernel = n->n_in > 1 && n->in[1] ? &n->in[1]->shape : NULL;
    return kernel && kernel->ndim == 4 && kernel->dim[2] == 9 && kernel->dim[3] == 9;
}

static bool by_producer(const struct look *l, struct values *v)
{
    const struct model *m = l->m;
    bool picture = m->task == REEL_TASK_IMAGE;
    const char *author = l->f->meta ? l->f->meta(l->f->user, "author") : NULL;
    if (has(author, "Ultralytics")) {
        *v = (struct values){false, PLAIN, 1, 0, "usual for Ultralytics' exports: RGB 0..1"};
        return true;
    }
    if (m->task == REEL_TASK_COLORIZE) return false; // which it is made with says nothing of its pictures
    if (has(l->f->producer, "CNTK")) {
        *v = (struct values){true, PLAIN, 255, 0, "usual for files made by CNTK: 0..255"};
        return true;
    }
    if (has(l->f->producer, "caffe") && !picture) {
        *v = (struct values){true, CAFFE, 255, 0, "usual for files made by Caffe: BGR 0..255 minus (104, 117, 123)"};
        return true;
    }
    if (look_is_paddle(l) && !picture) {
        by_paddle(l, v);
        return true;
    }
    if ((has(l->f->producer, "tf2onnx") || has(l->f->producer, "tflite") || m->input.nhwc) && !picture) {
        *v = (struct values){false, PLAIN, 2, -1, "usual for networks made with TensorFlow: RGB -1..1"};
        return true;
    }
    return false;
}

// A matte alone, as of networks that find what stands out (U2-Net, BiRefNet, InSPyReNet). Those that
// give the foreground too, or have a state, are trained with 0..1 (RVM, BackgroundMattingV2).
static bool is_plain_matte(const struct look *l)
{
    int foreground, matte;
    const bool state = l->f->states && l->f->states->n;
    return l->m->task == REEL_TASK_MATTE && l->m->input.channels == 3 && !state && l->f->n_in == 1 &&
           !model_cuts_out(l->f->out, l->f->n_out, &foreground, &matte);
}

// ArcFace and its like see faces of 112 x 112; CLIP has its own mean; others begin as classifiers.
static void by_embedding(const struct look *l, struct values *v)
{
    static const char *const clip[] = {"clip", NULL};
    const struct model *m = l->m;
    if (m->input.width == 112 && m->input.height == 112)
        *v = (struct values){false, PLAIN, 2, -1, "usual for faces of 112x112 (ArcFace): RGB -1..1"};
    else if (look_file_has(l, clip) || !strcmp(l->f->out[m->output.index].name, "image_embeds"))
        *v = (struct values){false, {0.48145466, 0.4578275, 0.40821073}, {0.26862954, 0.26130258, 0.27577711}, 1,
                             0,     "usual for CLIP: RGB minus its mean"};
    else
        *v = (struct values){false, IMAGENET, 1, 0, "usual for networks trained on ImageNet: minus its mean"};
}

static void by_task(const struct look *l, struct values *v)
{
    const struct model *m = l->m;
    if (m->embedding) {
        by_embedding(l, v);
        return;
    }
    bool small = m->input.width && m->input.width <= 64;
    if (m->task == REEL_TASK_IMAGE && m->output.levels)
        *v = (struct values){false, IMAGENET, 1, 0, "usual for depth networks: RGB minus ImageNet's mean"};
    else if (m->task == REEL_TASK_IMAGE && is_fast_style(l))
        *v = (struct values){false, PLAIN, 255, 0, "usual for networks of one style (Johnson et al.): 0..255"};
    else if (m->task == REEL_TASK_IMAGE && !strcmp(model_last_op(l->f->graph, l->f->out[m->output.index].name), "Tanh"))
        *v = (struct values){false, PLAIN, 2, -1, "usual for networks that end with a Tanh: -1..1"};
    else if (m->task == REEL_TASK_IMAGE)
        *v = (struct values){false, PLAIN, 1, 0, "usual for networks that make pictures: 0..1"};
    else if (m->task == REEL_TASK_FLOW)
        *v = (struct values){false, PLAIN, 2, -1, "usual for optical flow (RAFT): -1..1"};
    else if (m->task == REEL_TASK_COLORIZE)
        *v = (struct values){false, PLAIN, 1, 0, "usual for networks that colour: 0..1"};
    else if (m->task == REEL_TASK_CLASSIFY && small)
        *v = (struct values){false, PLAIN, 2, -1, "usual for classifiers of small pictures: -1..1"};
    else if (m->task == REEL_TASK_CLASSIFY || m->task == REEL_TASK_SEGMENT || is_plain_matte(l))
        *v = (struct values){false, IMAGENET, 1, 0, "usual for networks trained on ImageNet: minus its mean"};
    else
        *v = (struct values){false, PLAIN, 1, 0, "the file does not say: 0..1"};
}

static enum reel_err three(const struct opt_floats *list, const char *name, double out[3])
{
    if (!list->n) return REEL_OK;
    if (list->n != 1 && list->n != 3)
        return reel_fail(REEL_ERR_CONFIG, "could not use %s: it has %d numbers, 1 or 3 are needed", name, list->n);
    for (int i = 0; i < 3; i++) out[i] = list->v[list->n == 1 ? 0 : i];
    return REEL_OK;
}

static void set_range(int range, double *span, double *base)
{
    *span = range == SET_RANGE_0_255 ? 255 : range == SET_RANGE_M1_1 ? 2 : 1;
    *base = range == SET_RANGE_M1_1 ? -1 : 0;
}

// What the settings state replaces what was guessed.
static enum reel_err by_settings(const struct reel_settings *s, struct values *v, bool *out_stated)
{
    bool numbers = s->io.mean.n || s->io.std.n;
    *out_stated = numbers || s->io.range || s->io.channels;
    if (s->io.range || numbers) {
        // A stated range alone means plain values; stated numbers are of 0..1.
        for (int i = 0; i < 3; i++) v->mean[i] = 0, v->std[i] = 1;
        set_range(s->io.range, &v->span, &v->base);
    }
    enum reel_err err = three(&s->io.mean, "io.mean", v->mean);
    if (!err) err = three(&s->io.std, "io.std", v->std);
    for (int i = 0; i < 3 && !err; i++)
        if (v->std[i] == 0) err = reel_fail(REEL_ERR_CONFIG, "could not use io.std: it has a 0");
    if (s->io.channels == SET_CHANNELS_RGB) v->bgr = false;
    if (s->io.channels == SET_CHANNELS_BGR) v->bgr = true;
    return err;
}

static void store_as(const struct values *v, int channels, bool bgr, float gain[3], float bias[3], float fill[3])
{
    for (int i = 0; i < 3; i++) { // i: R, G, B
        int c = channels == 1 ? 0 : bgr ? 2 - i : i;
        gain[i] = (float)(v->span / v->std[c]);
        bias[i] = (float)(v->base - v->mean[c] / v->std[c] * v->span);
        // YOLO's grey, near the middle, disturbs no network much.
        fill[i] = (float)(114 / 255.0) * gain[i] + bias[i];
    }
}

static void by_detector(const struct look *l, struct values *v)
{
    const struct model *m = l->m;
    *v = by_head[m->head];
    if (m->head == MODEL_HEAD_RTDETR && look_output(l, "dets") >= 0) // RF-DETR names its boxes so
        *v = by_head[MODEL_HEAD_DETR];
    else if (m->head == MODEL_HEAD_YOLOX && look_columns_join(l, m->head_output[0]) &&
             !model_has_op(l->f->graph, "Exp"))
        *v = (struct values){false, PLAIN, 1, 0, "usual for YOLOv6: RGB 0..1"};
    else if (m->head == MODEL_HEAD_LISTS && m->n_head_outputs == 2)
        *v = (struct values){true, IMAGENET_BGR, 1, 0,
                             "usual for MMDetection's RTMDet: BGR minus ImageNet's mean (others of its detectors: "
                             "--io.channels rgb)"};
}

static enum reel_err settle_input(const struct look *l, const struct reel_settings *s, struct values *v)
{
    struct model_input *in = &l->m->input;
    if (s->io.channels == SET_CHANNELS_Y && in->channels != 1)
        return reel_fail(REEL_ERR_CONFIG, "could not use io.channels \"y\": the model takes 3 channels");
    const bool lab = l->m->task == REEL_TASK_COLORIZE && in->channels == 1;
    if (!lab && (s->io.channels == SET_CHANNELS_L || s->io.range >= SET_RANGE_FURTHER))
        return reel_fail(REEL_ERR_CONFIG, "could not read lightness (io.channels, io.range): only a network of one "
                                          "channel that colours (--task colorize) takes L of Lab");
    if (!by_metadata(l, v) && !by_first_node(l, v)) {
        if (l->m->head)
            by_detector(l, v);
        else if (!by_file_name(l, v) && !by_producer(l, v))
            by_task(l, v);
    }
    as_bytes(l, v);
    bool stated;
    enum reel_err err = by_settings(s, v, &stated);
    if (err) return err;
    snprintf(l->m->how_input, sizeof l->m->how_input, "%s", stated ? "as stated in the settings (io)" : v->how);
    in->bgr = v->bgr && in->channels == 3;
    in->range_255 = v->span > 2;
    store_as(v, in->channels, in->bgr, in->gain, in->bias, in->fill);
    const enum model_head head = l->m->head;
    if (head == MODEL_HEAD_CENTERNET || head == MODEL_HEAD_HEATMAP || head == MODEL_HEAD_SIMCC ||
        head == MODEL_HEAD_MOVENET) // trained with black borders
        memcpy(in->fill, in->bias, sizeof in->fill);
    return REEL_OK;
}

// Pictures that are given are stored as the frames are, but where their input's first
// operator scales 0..255 itself, or is of bytes.
static enum reel_err settle_given(const struct look *l, const struct reel_settings *s, const struct values *frames)
{
    enum reel_err err = REEL_OK;
    for (int i = 0; i < l->m->input.n_given && !err; i++) {
        struct model_given *g = &l->m->input.given[i];
        struct model one = *l->m;
        one.input.index = g->index;
        const struct look own = {l->f, l->shapes, l->w, l->h, &one};
        struct values v = *frames;
        bool stated;
        if (!by_metadata(l, &v)) by_first_node(&own, &v);
        as_bytes(&own, &v);
        err = by_settings(s, &v, &stated);
        g->bgr = v.bgr && g->channels == 3;
        store_as(&v, g->channels, g->bgr, g->gain, g->bias, g->fill);
    }
    return err;
}

// The largest value that the graph's last operator is for: 1 or 255; 0 where it
// does not tell.
static int last_node_tells(const struct look *l, const char *output)
{
    const struct node *n = model_last_node(l->f->graph, output);
    double c[16] = {0};
    if (n && !strcmp(n->op_type, "Clip")) {
        c[0] = (double)node_attr_float(n, "max", 0);
        if (n->n_in > 2) model_constants(n->in[2], c, 16);
    } else if (n && !strcmp(n->op_type, "Mul") && n->n_in == 2) {
        if (!model_constants(n->in[1], c, 16)) model_constants(n->in[0], c, 16);
        if (c[0] != 255) c[0] = 0;
    }
    return c[0] == 1 ? 1 : c[0] == 255 ? 255 : 0;
}

// Of the pictures that a run makes for all its frames one is taken (graph_take_middle()).
static bool is_middle(const struct model_facts *f, int output)
{
    const struct node *n = f->graph && output < f->graph->n_outputs ? f->graph->outputs[output]->producer : NULL;
    return n && n->name && !strcmp(n->name, GRAPH_MIDDLE);
}

static enum reel_err settle_output(const struct look *l, const struct reel_settings *s, const struct values *v)
{
    struct model_output *out = &l->m->output;
    const bool colours = l->m->task == REEL_TASK_COLORIZE && out->channels == 3;
    if (l->m->task != REEL_TASK_IMAGE && !colours) return REEL_OK;
    const char *op = model_last_op(l->f->graph, l->f->out[out->index].name);
    bool own = v->mean[0] != 0 || v->std[0] != 1; // a normalised input says nothing of the output
    double span = 1, base = 0, mean[3] = {0}, std[3] = {1, 1, 1};
    const char *how = "0..1";
    const int told = last_node_tells(l, l->f->out[out->index].name);
    if (l->f->out[out->index].dtype == REEL_U8 || told == 255)
        span = 255, how = "0..255";
    else if (told == 1 && v->base == 0)
        how = "0..1";
    else if (v->span > 2 && !own && strcmp(op, "Sigmoid"))
        span = 255, how = "0..255, as the input";
    else if (!strcmp(op, "Tanh") || (v->base == -1 && v->span == 2 && !own))
        span = 2, base = -1, how = "-1..1";
    bool stated = s->io.out_range || s->io.out_mean.n || s->io.out_std.n;
    if (stated) set_range(s->io.out_range, &span, &base), how = "as stated in the settings";
    if (stated) out->levels = s->io.out_range == SET_RANGE_MINMAX;
    if (out->levels)
        span = 1, base = 0,
        how = "each picture's smallest value is black, its largest white (io.out_range overrides this)";
    enum reel_err err = three(&s->io.out_mean, "io.out_mean", mean);
    if (!err) err = three(&s->io.out_std, "io.out_std", std);
    if (err) return err;
    if (s->io.out_channels == SET_CHANNELS_Y && out->channels != 1)
        return reel_fail(REEL_ERR_CONFIG, "could not use io.out_channels \"y\": the model makes 3 channels");
    out->bgr = out->channels == 3 && l->m->input.bgr;
    if (s->io.out_channels == SET_CHANNELS_RGB) out->bgr = false;
    if (s->io.out_channels == SET_CHANNELS_BGR) out->bgr = out->channels == 3;
    out->residual = s->io.residual;
    for (int i = 0; i < 3; i++) {
        int c = out->bgr ? 2 - i : i;
        out->gain[i] = (float)(std[c] / span);
        out->bias[i] = (float)(mean[c] - base * std[c] / span);
    }
    const bool composite = s->background.n && !strcmp(l->f->out[out->index].name, MODEL_COMPOSITE);
    char middle[64] = "";
    if (is_middle(l->f, out->index))
        snprintf(middle, sizeof middle, ", the middle one of the %d that each run makes", l->m->input.frames);
    snprintf(l->m->how_output, sizeof l->m->how_output, "%s%s%s%s%s", how,
             composite ? ", the cut-out over the background" : "", middle, *l->m->which_output ? "; " : "",
             l->m->which_output);
    return REEL_OK;
}

enum reel_err model_settle_values(const struct look *l, const struct reel_settings *s)
{
    struct values v;
    enum reel_err err = settle_input(l, s, &v);
    if (!err) err = settle_given(l, s, &v);
    if (!err) err = settle_output(l, s, &v);
    return err || l->m->task != REEL_TASK_COLORIZE ? err : model_settle_colours(l, s);
}

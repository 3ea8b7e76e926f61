// SPDX-License-Identifier: MIT
//
// model.h, second half: what the outputs are, and from that and the file, how
// values are read.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "worker/model.h"
#include "worker/model_graph.h"
#include "worker/task/head.h"

static const char *file_of(const struct model_facts *f)
{
    return f->path ? f->path : "?";
}

static int find_output(const struct model_facts *f, const char *name)
{
    for (int i = 0; i < f->n_out; i++)
        if (!strcmp(f->out[i].name, name)) return i;
    return -1;
}

static int named(const struct net_io *out, int n, const char *const *names, int channels)
{
    for (; *names; names++)
        for (int i = 0; i < n; i++) {
            const struct reel_shape *s = &out[i].shape;
            const bool fits = s->ndim == 4 && (s->dim[1] == channels || s->dim[1] < 0);
            if (!strcmp(out[i].name, *names) && fits && reel_dtype_is_float(out[i].dtype)) return i;
        }
    return -1;
}

bool model_cuts_out(const struct net_io *out, int n, int *out_foreground, int *out_matte)
{
    static const char *const pictures[] = {"fgr", "foreground", NULL}, *const mattes[] = {"pha", "alpha", "matte",
                                                                                          NULL};
    *out_foreground = named(out, n, pictures, 3), *out_matte = named(out, n, mattes, 1);
    return *out_foreground >= 0 && *out_matte >= 0 && out[*out_foreground].dtype == out[*out_matte].dtype;
}

static int64_t last_dim(const struct reel_shape *s)
{
    return s->ndim > 0 ? s->dim[s->ndim - 1] : -1;
}

// Positions of the grids of strides 8, 16, 32.
static int64_t grid_cells(int w, int h)
{
    int64_t n = 0;
    for (int s = 8; s <= 32; s *= 2) n += (int64_t)((w + s - 1) / s) * ((h + s - 1) / s);
    return n;
}

// ---- heads ------------------------------------------------------------------
// Each looks for its own outputs; true when they are there, with their indices
// in the head's order and the number of classes.

struct look {
    const struct model_facts *f;
    const struct reel_shape *shapes;
    int w, h;
    struct model *m;
};

// The output of rank 3 with a batch of 1, the single one or one beside the
// prototypes of masks, which each row ends with so many weights of; or -1.
static int only_rows(const struct look *l, int64_t *out_weights)
{
    *out_weights = 0;
    if (l->f->n_out < 1 || l->f->n_out > 2) return -1;
    const int i = l->f->n_out == 2 && l->shapes[0].ndim == 4;
    if (l->shapes[i].ndim != 3 || l->shapes[i].dim[0] != 1) return -1;
    if (l->f->n_out == 1) return i;
    const struct reel_shape *masks = &l->shapes[1 - i];
    if (masks->ndim != 4 || masks->dim[0] != 1 || masks->dim[1] > 1 << 12 || masks->dim[2] * 4 != l->h ||
        masks->dim[3] * 4 != l->w)
        return -1;
    *out_weights = masks->dim[1];
    return i;
}

static bool meta_is(const struct look *l, const char *key, const char *value)
{
    const char *is = l->f->meta ? l->f->meta(l->f->user, key) : NULL;
    return is && !strcmp(is, value);
}

// Points of an object as a pose export says ("[21, 3]"), else a body's.
static void take_points(const struct look *l)
{
    const char *shape = l->f->meta ? l->f->meta(l->f->user, "kpt_shape") : NULL;
    int n = 17, floats = 3;
    if (shape && (sscanf(shape, " [%d , %d", &n, &floats) != 2 || n < 0 || n > 4096 || floats < 2 || floats > 3))
        n = 17, floats = 3;
    l->m->points = n, l->m->point_floats = floats;
}

// Beside the rows of output i.
static void take_masks(const struct look *l, int i, int64_t weights)
{
    l->m->mask_weights = (int)weights;
    l->m->mask_output = weights ? 1 - i : 0;
    if (weights) snprintf(l->m->how_output, sizeof l->m->how_output, "boxes and masks of the objects");
}

static bool is_ssd(const struct look *l)
{
    if (l->f->n_out != 2) return false;
    int boxes = last_dim(&l->shapes[1]) == 4 ? 1 : 0, scores = 1 - boxes;
    const struct reel_shape *b = &l->shapes[boxes], *s = &l->shapes[scores];
    if (b->ndim != 3 || s->ndim != 3 || last_dim(b) != 4 || b->dim[1] != s->dim[1] || last_dim(s) < 2) return false;
    l->m->head_output[0] = scores, l->m->head_output[1] = boxes;
    l->m->n_head_outputs = 2;
    l->m->classes = (int)last_dim(s) - 1; // class 0 is the background
    // Offsets become boxes by an exponential: in the graph, or here for the family whose priors are known.
    l->m->decoded = model_has_op(l->f->graph, "Exp") || b->dim[1] != head_ultraface_priors(l->w, l->h);
    return true;
}

static bool is_yunet(const struct look *l)
{
    static const char *const kinds[4] = {"cls", "obj", "bbox", "kps"};
    for (int k = 0; k < 4; k++)
        for (int i = 0; i < 3; i++) {
            char name[16];
            snprintf(name, sizeof name, "%s_%d", kinds[k], 8 << i);
            int at = find_output(l->f, name);
            if (at < 0) return false;
            l->m->head_output[3 * k + i] = at;
        }
    l->m->n_head_outputs = 12;
    l->m->classes = 1;
    return true;
}

// Three outputs with the given last extents, in any order.
static bool three_by_width(const struct look *l, int rank, int64_t a, int64_t b, int64_t c)
{
    if (l->f->n_out != 3) return false;
    const int64_t want[3] = {a, b, c};
    for (int k = 0; k < 3; k++) {
        int at = -1;
        for (int i = 0; i < 3; i++)
            if (l->shapes[i].ndim == rank && last_dim(&l->shapes[i]) == want[k]) at = i;
        if (at < 0) return false;
        l->m->head_output[k] = at;
    }
    l->m->n_head_outputs = 3;
    l->m->classes = 1;
    return true;
}

static bool is_yunet_2021(const struct look *l)
{
    return three_by_width(l, 2, 14, 2, 1);
}

static bool is_retinaface(const struct look *l)
{
    return three_by_width(l, 3, 4, 2, 10);
}

static bool one_output(const struct look *l, int64_t classes)
{
    if (classes < 1 || classes > 1 << 20) return false;
    int64_t weights;
    const int i = only_rows(l, &weights);
    l->m->head_output[0] = i < 0 ? 0 : i;
    take_masks(l, i, weights);
    l->m->n_head_outputs = 1;
    l->m->classes = (int)classes;
    return true;
}

static bool is_yolox(const struct look *l)
{
    int64_t weights;
    int i = only_rows(l, &weights);
    if (i < 0 || weights || l->shapes[i].dim[1] != grid_cells(l->w, l->h)) return false;
    // Boxes decoded inside the graph need an exponential for their sizes.
    l->m->decoded = model_has_op(l->f->graph, "Exp");
    return one_output(l, last_dim(&l->shapes[i]) - 5);
}

static bool is_yolov5(const struct look *l)
{
    int64_t weights;
    int i = only_rows(l, &weights);
    return i >= 0 && l->shapes[i].dim[1] == 3 * grid_cells(l->w, l->h) &&
           one_output(l, last_dim(&l->shapes[i]) - 5 - weights);
}

static bool is_yolov8(const struct look *l)
{
    int64_t weights;
    int i = only_rows(l, &weights);
    if (i < 0 || l->shapes[i].dim[2] != grid_cells(l->w, l->h)) return false;
    if (meta_is(l, "task", "pose")) take_points(l);
    l->m->turned = meta_is(l, "task", "obb");
    if (l->m->turned) snprintf(l->m->how_output, sizeof l->m->how_output, "upright boxes around the turned ones");
    return one_output(l, l->shapes[i].dim[1] - 4 - weights - l->m->points * l->m->point_floats - l->m->turned);
}

static bool is_fastestdet(const struct look *l)
{
    if (l->f->n_out != 1 || l->shapes[0].ndim != 4) return false;
    const struct reel_shape *s = &l->shapes[0];
    if (s->dim[2] * 16 != l->h || s->dim[3] * 16 != l->w || s->dim[1] < 6) return false;
    const struct node *last = model_last_node(l->f->graph, l->f->out[0].name);
    if (last && (strcmp(last->op_type, "Concat") || last->n_in != 3)) return false;
    return one_output(l, s->dim[1] - 5);
}

static bool is_finished(const struct look *l)
{
    int64_t weights;
    const int i = only_rows(l, &weights);
    if (i < 0 && (l->f->n_out != 1 || l->shapes[0].ndim != 2)) return false;
    const struct reel_shape *s = &l->shapes[i < 0 ? 0 : i];
    int64_t columns = last_dim(s), rows = s->dim[s->ndim - 2];
    if (rows > 4096 || meta_is(l, "task", "obb")) return false;
    if (meta_is(l, "end2end", "True") && meta_is(l, "task", "pose")) {
        take_points(l);
        return columns == 6 + l->m->points * l->m->point_floats && one_output(l, 1);
    }
    return (columns == 6 || (columns == 7 && !weights) || (weights && columns == 6 + weights)) && one_output(l, 1);
}

// ---- queries ------------------------------------------------------------------

static int output_like(const struct look *l, const char *const *names)
{
    for (int i = 0; i < l->f->n_out; i++)
        for (const char *const *name = names; *name; name++)
            if (!strcmp(l->f->out[i].name, *name)) return i;
    return -1;
}

// Class scores (1, N, ..) and boxes (1, N, 4), by their names or as the only outputs.
static bool scores_and_boxes(const struct look *l, int *out_scores, int *out_boxes)
{
    static const char *const score_names[] = {"logits", "pred_logits", "labels", "scores", NULL}, *const box_names[] = {
                                                                                                      "pred_boxes",
                                                                                                      "dets", "boxes",
                                                                                                      NULL};
    int scores = output_like(l, score_names), boxes = output_like(l, box_names);
    if (scores < 0 || boxes < 0) {
        if (l->f->n_out != 2) return false;
        boxes = last_dim(&l->shapes[1]) == 4, scores = 1 - boxes;
    }
    const struct reel_shape *s = &l->shapes[scores], *b = &l->shapes[boxes];
    if (s->ndim != 3 || b->ndim != 3 || s->dim[0] != 1 || b->dim[0] != 1 || b->dim[2] != 4) return false;
    if (s->dim[1] != b->dim[1] || s->dim[2] < 1 || s->dim[2] > 1 << 20) return false;
    *out_scores = scores, *out_boxes = boxes;
    return true;
}

static bool take_queries(const struct look *l, int none)
{
    int scores, boxes;
    if (!scores_and_boxes(l, &scores, &boxes) || l->shapes[scores].dim[2] <= none) return false;
    const char *op = model_last_op(l->f->graph, l->f->out[scores].name);
    l->m->head_output[0] = scores, l->m->head_output[1] = boxes;
    l->m->n_head_outputs = 2;
    l->m->classes = (int)l->shapes[scores].dim[2] - none;
    l->m->decoded = !strcmp(op, "Sigmoid") || !strcmp(op, "Softmax");
    return true;
}

static bool is_detr(const struct look *l)
{
    return take_queries(l, 1);
}

static bool is_rtdetr(const struct look *l)
{
    if (take_queries(l, 0)) return true;
    const struct reel_shape *s = &l->shapes[0]; // rows of a box and its scores
    if (l->f->n_out != 1 || s->ndim != 3 || s->dim[0] != 1) return false;
    l->m->decoded = true;
    return one_output(l, s->dim[2] - 4);
}

static bool is_yolo_nas(const struct look *l)
{
    int scores, boxes;
    if (!scores_and_boxes(l, &scores, &boxes)) return false;
    l->m->head_output[0] = boxes, l->m->head_output[1] = scores;
    l->m->n_head_outputs = 2;
    l->m->classes = (int)l->shapes[scores].dim[2];
    return true;
}

// (N, 4) or (1, N, 4) and twice (N) or (1, N), by the names that exports have.
static bool is_lists(const struct look *l)
{
    static const char *const names[3][5] = {{"boxes", "detection_boxes", "detection_boxes:0", NULL},
                                            {"labels", "detection_classes", "detection_classes:0", "classes", NULL},
                                            {"scores", "detection_scores", "detection_scores:0", NULL}};
    for (int k = 0; k < 3; k++) {
        const int i = output_like(l, names[k]), rank = i < 0 ? 0 : l->shapes[i].ndim - (k == 0);
        if (rank != 1 && rank != 2) return false;
        if (k == 0 && last_dim(&l->shapes[i]) != 4) return false;
        l->m->head_output[k] = i;
    }
    l->m->n_head_outputs = 3;
    l->m->classes = 1;
    l->m->decoded = strncmp(l->f->out[l->m->head_output[0]].name, "detection", 9) != 0;
    return true;
}

// Which of those it is: DETR and kin have some hundred queries, of the first with a
// hundred or less each scored by softmax; a cell of each grid is YOLO-NAS's.
static enum model_head guess_queries(const struct look *l)
{
    static const char *const names[] = {"pred_logits", "logits", "dets", "pred_boxes", NULL};
    int scores, boxes;
    if (is_lists(l)) return MODEL_HEAD_LISTS;
    if (l->f->n_out == 1 && l->shapes[0].ndim == 3) {
        const char *told = l->f->meta ? l->f->meta(l->f->user, "description") : NULL;
        const int64_t rows = l->shapes[0].dim[1], columns = l->shapes[0].dim[2];
        const bool ours = told ? strstr(told, "RT-DETR") != NULL : rows == 300 && columns > 7;
        if (ours && !meta_is(l, "end2end", "True") && columns != grid_cells(l->w, l->h) && is_rtdetr(l))
            return MODEL_HEAD_RTDETR;
    }
    if (!scores_and_boxes(l, &scores, &boxes)) return MODEL_HEAD_NONE;
    const int64_t n = l->shapes[scores].dim[1];
    const char *op = model_last_op(l->f->graph, l->f->out[scores].name);
    if (n == grid_cells(l->w, l->h)) return is_yolo_nas(l) ? MODEL_HEAD_YOLO_NAS : MODEL_HEAD_NONE;
    if (output_like(l, names) < 0 && (n % 100 || n > 1000)) return MODEL_HEAD_NONE;
    const bool softmax = !strcmp(op, "Softmax") || (n < 300 && strcmp(op, "Sigmoid"));
    if (softmax && is_detr(l)) return MODEL_HEAD_DETR;
    return is_rtdetr(l) ? MODEL_HEAD_RTDETR : MODEL_HEAD_NONE;
}

static bool (*const head_looks[MODEL_HEADS])(const struct look *) = {
    [MODEL_HEAD_SSD] = is_ssd,
    [MODEL_HEAD_YUNET] = is_yunet,
    [MODEL_HEAD_YUNET_2021] = is_yunet_2021,
    [MODEL_HEAD_YOLOX] = is_yolox,
    [MODEL_HEAD_YOLOV5] = is_yolov5,
    [MODEL_HEAD_YOLOV8] = is_yolov8,
    [MODEL_HEAD_RETINAFACE] = is_retinaface,
    [MODEL_HEAD_FASTESTDET] = is_fastestdet,
    [MODEL_HEAD_DETR] = is_detr,
    [MODEL_HEAD_RTDETR] = is_rtdetr,
    [MODEL_HEAD_YOLO_NAS] = is_yolo_nas,
    [MODEL_HEAD_LISTS] = is_lists,
    [MODEL_HEAD_NMS] = is_finished,
};

static void forget_head(struct model *m)
{
    m->points = m->point_floats = m->classes = m->n_head_outputs = 0;
    m->mask_output = m->mask_weights = 0;
    m->turned = m->decoded = false;
    *m->how_output = 0;
}

static enum model_head guess_head(const struct look *l)
{
    const enum model_head queries = guess_queries(l);
    if (queries != MODEL_HEAD_NONE) return queries;
    static const enum model_head others[] = {MODEL_HEAD_SSD,        MODEL_HEAD_YUNET,  MODEL_HEAD_YUNET_2021,
                                             MODEL_HEAD_YOLOX,      MODEL_HEAD_YOLOV5, MODEL_HEAD_YOLOV8,
                                             MODEL_HEAD_RETINAFACE, MODEL_HEAD_NMS,    MODEL_HEAD_FASTESTDET};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        forget_head(l->m);
        if (head_looks[others[i]](l)) return others[i];
    }
    forget_head(l->m);
    return MODEL_HEAD_NONE;
}

// ---- pictures, classes, maps ------------------------------------------------

// Reads an output as a map of channels x h x w.
struct map {
    bool nhwc;
    int64_t channels, h, w;
};

static bool as_map(const struct reel_shape *s, int w, int h, struct map *out)
{
    if (s->ndim != 4 && s->ndim != 3) return false;
    if (s->ndim == 4 && s->dim[0] != 1) return false;
    const int64_t *d = s->dim + s->ndim - 3;
    if (d[0] < 1 || d[1] < 1 || d[2] < 1) return false;
    // The layout whose spatial extents have the input's shape, NCHW first.
    double want = (double)w / h;
    double nchw = fabs((double)d[2] / (double)d[1] / want - 1), nhwc = fabs((double)d[1] / (double)d[0] / want - 1);
    bool last = nhwc < nchw && d[2] < d[0] * d[1];
    *out = last ? (struct map){true, d[2], d[0], d[1]} : (struct map){false, d[0], d[1], d[2]};
    return (last ? nhwc : nchw) < 0.1;
}

static bool name_has(const char *name, const char *const *parts)
{
    for (; *parts; parts++)
        if (strstr(name, *parts)) return true;
    return false;
}

static bool take_picture(const struct look *l, int i)
{
    struct map map;
    if (!as_map(&l->shapes[i], l->w, l->h, &map) || (map.channels != 3 && map.channels != 1)) return false;
    if (map.w * l->h != map.h * l->w || map.w < l->w) return false;
    if (!reel_dtype_is_float(l->f->out[i].dtype) && l->f->out[i].dtype != REEL_U8) return false;
    if (map.channels == 1 && l->m->input.channels == 3) return false;
    l->m->output.index = i;
    l->m->output.nhwc = map.nhwc;
    l->m->output.channels = (int)map.channels;
    return true;
}

// Networks that measure the depth of a picture, or what else has no fixed range.
static bool is_depth(const struct look *l, int i)
{
    static const char *const names[] = {"depth", "disp", NULL};
    const char *op = model_last_op(l->f->graph, l->f->out[i].name);
    const bool endless = !strcmp(op, "Relu") || !strcmp(op, "Softplus") || !strcmp(op, "Exp");
    return name_has(l->f->out[i].name, names) || (l->f->n_out == 1 && endless);
}

// A gray picture made of one in colours, of the input's shape at any size.
static bool take_gray(const struct look *l, int i)
{
    struct map map;
    if (!as_map(&l->shapes[i], l->w, l->h, &map) || map.channels != 1 || l->m->input.channels != 3) return false;
    if (!reel_dtype_is_float(l->f->out[i].dtype) || l->m->input.frames > 1) return false;
    l->m->output.index = i;
    l->m->output.nhwc = map.nhwc;
    l->m->output.channels = 1;
    return true;
}

static bool take_depth(const struct look *l, int i)
{
    if (!is_depth(l, i) || !take_gray(l, i)) return false;
    const char *op = model_last_op(l->f->graph, l->f->out[i].name);
    l->m->output.levels = strcmp(op, "Sigmoid") != 0; // disparities 0..1
    return true;
}

static bool take_matte(const struct look *l, int i)
{
    static const char *const names[] = {"pha", "alpha", "matte", "mask", "seg", NULL};
    struct map map;
    if (!as_map(&l->shapes[i], l->w, l->h, &map) || map.channels != 1) return false;
    if (!reel_dtype_is_float(l->f->out[i].dtype)) return false;
    const char *op = model_last_op(l->f->graph, l->f->out[i].name);
    bool bounded = !strcmp(op, "Sigmoid") || !strcmp(op, "Clip") || !strcmp(op, "HardSigmoid");
    if (l->f->n_out > 1 && !name_has(l->f->out[i].name, names)) return false;
    l->m->output.index = i;
    l->m->output.nhwc = map.nhwc;
    l->m->output.channels = 1;
    l->m->output.sigmoid = !bounded;
    l->m->classes = 2;
    return true;
}

static bool take_segments(const struct look *l, int i)
{
    const struct net_io *io = &l->f->out[i];
    const struct reel_shape *s = &l->shapes[i];
    struct map map;
    if (!reel_dtype_is_float(io->dtype)) { // class numbers
        bool flat = s->ndim == 3 && s->dim[0] == 1;
        if (s->ndim != 4 && !flat) return false;
        struct reel_shape as4 = {.ndim = 4, .dim = {1, 1, s->dim[s->ndim - 2], s->dim[s->ndim - 1]}};
        if (!as_map(&as4, l->w, l->h, &map)) return false;
        map.channels = 1, map.nhwc = false;
        l->m->classes = 0;
    } else {
        if (!as_map(s, l->w, l->h, &map) || map.channels < 2) return false;
        // A map much coarser than the picture is a feature, not a mask.
        if (map.h * 9 < l->h) return false;
        if (l->f->n_out > 1 && strcmp(io->name, "out")) return false;
        l->m->classes = (int)map.channels;
    }
    l->m->output.index = i;
    l->m->output.nhwc = map.nhwc;
    l->m->output.channels = (int)map.channels;
    return true;
}

static bool take_classes(const struct look *l, int i)
{
    const struct reel_shape *s = &l->shapes[i];
    int64_t n = reel_shape_count(s);
    if (n < 2 || !reel_dtype_is_float(l->f->out[i].dtype)) return false;
    static const char *const places[] = {"landmark", "keypoint", "kpts", "coord", "points", NULL};
    if (l->f->n_out > 1 || name_has(l->f->out[i].name, places)) return false;
    int wide = 0;
    for (int d = 0; d < s->ndim; d++) wide += s->dim[d] > 1;
    if (wide != 1) return false;
    l->m->output.index = i;
    l->m->classes = (int)n;
    l->m->softmax = strcmp(model_last_op(l->f->graph, l->f->out[i].name), "Softmax") != 0;
    return true;
}

// States are for the next frame: only where nothing else will do are they what is wanted.
static bool any_output(const struct look *l, const struct reel_settings *s, bool (*take)(const struct look *, int))
{
    for (int states = 0; states < 2; states++)
        for (int i = 0; i < l->f->n_out; i++) {
            if ((state_of_output(l->f->states, i) >= 0) != (states > 0)) continue;
            if ((!*s->io.output || !strcmp(s->io.output, l->f->out[i].name)) && take(l, i)) return true;
        }
    return false;
}

static enum reel_err no_such_task(const struct look *l, const char *what)
{
    char text[96];
    return reel_fail(REEL_ERR_CONFIG, "could not use model \"%s\": output \"%s\" of shape %s is no %s", file_of(l->f),
                     l->f->out[0].name, reel_shape_text(&l->shapes[0], text, sizeof text), what);
}

// Of a foreground and its matte: both together over a background, else the matte.
static bool take_cut_out(const struct look *l, const struct reel_settings *s, enum reel_task wanted)
{
    int foreground, matte;
    if (*s->io.output || !model_cuts_out(l->f->out, l->f->n_out, &foreground, &matte)) return false;
    const int composite = s->background.n ? find_output(l->f, MODEL_COMPOSITE) : -1;
    if (composite >= 0 && take_picture(l, composite)) {
        l->m->task = REEL_TASK_IMAGE;
        return true;
    }
    if (wanted != REEL_TASK_AUTO || !take_matte(l, matte)) return false;
    l->m->task = REEL_TASK_MATTE;
    snprintf(l->m->how_output, sizeof l->m->how_output,
             "a matte; --background R,G,B puts the foreground over a colour, --io.output %s is the foreground alone",
             l->f->out[foreground].name);
    return true;
}

static enum reel_err guess_task(const struct look *l, const struct reel_settings *s)
{
    struct model *m = l->m;
    enum reel_task wanted = reel_settings_task(s);
    if (*s->io.output && find_output(l->f, s->io.output) < 0)
        return reel_fail(REEL_ERR_CONFIG, "could not use model \"%s\": it has no output \"%s\"", file_of(l->f),
                         s->io.output);
    if (wanted == REEL_TASK_TENSOR) {
        m->task = REEL_TASK_TENSOR;
        return REEL_OK;
    }
    if ((wanted == REEL_TASK_AUTO || wanted == REEL_TASK_IMAGE) && take_cut_out(l, s, wanted)) return REEL_OK;
    bool detects = wanted == REEL_TASK_DETECT || wanted == REEL_TASK_AUTO;
    if (detects && s->detect.head != SET_HEAD_AUTO) {
        if (!head_looks[s->detect.head](l)) return no_such_task(l, "output of this detect.head");
        m->head = (enum model_head)s->detect.head;
    } else if (detects) {
        m->head = guess_head(l);
    }
    m->task = m->head ? REEL_TASK_DETECT : REEL_TASK_TENSOR;
    if (m->head) return REEL_OK;
    if (wanted == REEL_TASK_DETECT)
        return no_such_task(l, "known form of detections\nstate it in detect.head, or use --task tensor");
    if ((wanted == REEL_TASK_AUTO || wanted == REEL_TASK_IMAGE) && any_output(l, s, take_picture))
        m->task = REEL_TASK_IMAGE;
    else if ((wanted == REEL_TASK_AUTO || wanted == REEL_TASK_IMAGE) && any_output(l, s, take_depth))
        m->task = REEL_TASK_IMAGE;
    else if (wanted == REEL_TASK_IMAGE && any_output(l, s, take_gray))
        m->task = REEL_TASK_IMAGE;
    else if ((wanted == REEL_TASK_AUTO || wanted == REEL_TASK_SEGMENT) && any_output(l, s, take_segments))
        m->task = REEL_TASK_SEGMENT;
    else if ((wanted == REEL_TASK_AUTO || wanted == REEL_TASK_SEGMENT) && any_output(l, s, take_matte))
        m->task = wanted == REEL_TASK_SEGMENT ? REEL_TASK_SEGMENT : REEL_TASK_MATTE;
    else if ((wanted == REEL_TASK_AUTO || wanted == REEL_TASK_CLASSIFY) && any_output(l, s, take_classes))
        m->task = REEL_TASK_CLASSIFY;
    if (wanted == REEL_TASK_IMAGE && m->task != wanted) return no_such_task(l, "picture of the input's shape");
    if (wanted == REEL_TASK_SEGMENT && m->task != wanted) return no_such_task(l, "map of classes");
    if (wanted == REEL_TASK_CLASSIFY && m->task != wanted) return no_such_task(l, "list of class scores");
    return REEL_OK;
}

// ---- values -----------------------------------------------------------------

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
    [MODEL_HEAD_RETINAFACE] = {true, CAFFE, 255, 0, "usual for RetinaFace: BGR 0..255 less (104, 117, 123)"},
    [MODEL_HEAD_FASTESTDET] = {true, PLAIN, 1, 0, "usual for FastestDet: BGR 0..1"},
    [MODEL_HEAD_DETR] = {false, IMAGENET, 1, 0, "usual for DETR: RGB less ImageNet's mean"},
    [MODEL_HEAD_RTDETR] = {false, PLAIN, 1, 0, "usual for RT-DETR: RGB 0..1"},
    [MODEL_HEAD_YOLO_NAS] = {false, PLAIN, 1, 0, "usual for YOLO-NAS: RGB 0..1"},
    [MODEL_HEAD_LISTS] = {false, PLAIN, 1, 0, "usual for detectors with suppression inside: RGB 0..1"},
    [MODEL_HEAD_NMS] = {false, PLAIN, 1, 0, "usual for YOLO exports with suppression inside: RGB 0..1"},
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
        found = k > 0 && fabs(c[0]) > 20;
        bgr = found && k >= 3 && c[0] < c[2] - 5;
    } else if (n->n_in == 2 && !strcmp(n->op_type, "Mul")) {
        int k = model_constants(n->in[1], c, 16);
        found = k > 0 && c[0] > 0 && c[0] < 0.02;
        if (k > 0 && c[0] > 250 && c[0] < 260) {
            *v = (struct values){false, PLAIN, 1, 0, "the graph's first operator makes 0..255 of 0..1 itself"};
            return true;
        }
    }
    if (!found) return false;
    *v = (struct values){bgr, PLAIN, 255, 0, "the graph's first operator scales 0..255 itself"};
    return true;
}

// Bytes hold nothing but 0..255: whatever is usual, the graph does it itself.
static void as_bytes(const struct look *l, struct values *v)
{
    if (l->f->in[l->m->input.index].dtype != REEL_U8 || (v->span > 2 && v->mean[0] == 0 && v->std[0] == 1)) return;
    *v = (struct values){v->bgr, PLAIN, 255, 0, "its input is of bytes: 0..255"};
}

static bool by_producer(const struct look *l, struct values *v)
{
    const struct model *m = l->m;
    bool picture = m->task == REEL_TASK_IMAGE;
    if (has(l->f->producer, "CNTK")) {
        *v = (struct values){true, PLAIN, 255, 0, "usual for files made by CNTK: 0..255"};
        return true;
    }
    if (has(l->f->producer, "caffe") && !picture) {
        *v = (struct values){true, CAFFE, 255, 0, "usual for files made by Caffe: BGR 0..255 less (104, 117, 123)"};
        return true;
    }
    if (has(l->f->producer, "Paddle") && !picture) {
        *v = (struct values){true, IMAGENET, 1, 0, "usual for files made by PaddlePaddle: BGR less ImageNet's mean"};
        return true;
    }
    if ((has(l->f->producer, "tf2onnx") || has(l->f->producer, "tflite") || m->input.nhwc) && !picture) {
        *v = (struct values){false, PLAIN, 2, -1, "usual for networks made with TensorFlow: RGB -1..1"};
        return true;
    }
    return false;
}

static void by_task(const struct look *l, struct values *v)
{
    const struct model *m = l->m;
    bool small = m->input.width && m->input.width <= 64;
    if (m->task == REEL_TASK_IMAGE && m->output.levels)
        *v = (struct values){false, IMAGENET, 1, 0, "usual for networks that measure depth: RGB less ImageNet's mean"};
    else if (m->task == REEL_TASK_IMAGE && !strcmp(model_last_op(l->f->graph, l->f->out[m->output.index].name), "Tanh"))
        *v = (struct values){false, PLAIN, 2, -1, "usual for networks that end with a Tanh: -1..1"};
    else if (m->task == REEL_TASK_IMAGE)
        *v = (struct values){false, PLAIN, 1, 0, "usual for networks that make pictures: 0..1"};
    else if (m->task == REEL_TASK_CLASSIFY && small)
        *v = (struct values){false, PLAIN, 2, -1, "usual for classifiers of small pictures: -1..1"};
    else if (m->task == REEL_TASK_CLASSIFY || m->task == REEL_TASK_SEGMENT)
        *v = (struct values){false, IMAGENET, 1, 0, "usual for networks trained on ImageNet: less its mean"};
    else
        *v = (struct values){false, PLAIN, 1, 0, "nothing in the file tells: 0..1"};
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

static enum reel_err settle_input(const struct look *l, const struct reel_settings *s, struct values *v)
{
    struct model_input *in = &l->m->input;
    if (s->io.channels == SET_CHANNELS_Y && in->channels != 1)
        return reel_fail(REEL_ERR_CONFIG, "could not use io.channels \"y\": the model takes 3 channels");
    if (!by_metadata(l, v) && !by_first_node(l, v)) {
        if (l->m->head) // RF-DETR names its boxes so
            *v = by_head[l->m->head == MODEL_HEAD_RTDETR && find_output(l->f, "dets") >= 0 ? MODEL_HEAD_DETR
                                                                                           : l->m->head];
        else if (!by_producer(l, v))
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

static enum reel_err settle_output(const struct look *l, const struct reel_settings *s, const struct values *v)
{
    struct model_output *out = &l->m->output;
    if (l->m->task != REEL_TASK_IMAGE) return REEL_OK;
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
        how = "each picture's smallest value is black, its largest white (io.out_range states others)";
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
    snprintf(l->m->how_output, sizeof l->m->how_output, "%s%s", how,
             composite ? ", what is cut out, over the background" : "");
    return REEL_OK;
}

// ---- fit --------------------------------------------------------------------

static enum reel_err settle_fit(const struct look *l, const struct reel_settings *s)
{
    struct model *m = l->m;
    struct model_input *in = &m->input;
    bool picture = m->task == REEL_TASK_IMAGE;
    int tile_w, tile_h;
    bool tiled = strcmp(s->tile, "auto") && strcmp(s->tile, "off") && *s->tile;
    if (tiled && picture && (!in->width || !in->height)) {
        enum reel_err err = reel_parse_size(s->tile, &tile_w, &tile_h);
        if (err) return err;
        in->width = (tile_w + in->size_multiple - 1) / in->size_multiple * in->size_multiple;
        in->height = (tile_h + in->size_multiple - 1) / in->size_multiple * in->size_multiple;
    }
    // Feature pyramids of stride 32 that the graph alone does not show.
    if (m->head && in->size_multiple < 32) in->size_multiple = 32;
    bool yolo = m->head == MODEL_HEAD_YOLOX || m->head == MODEL_HEAD_YOLOV5 || m->head == MODEL_HEAD_YOLOV8 ||
                m->head == MODEL_HEAD_NMS || m->head == MODEL_HEAD_RTDETR || m->head == MODEL_HEAD_YOLO_NAS;
    if (yolo && !in->width && !in->height) in->width = in->height = 640; // what they are trained at
    if (m->task == REEL_TASK_CLASSIFY && !in->width && !in->height) in->width = in->height = 224;
    bool any = !in->width || !in->height;
    if (any && (in->width || in->height))
        return reel_fail(REEL_ERR_CONFIG,
                         "could not use model \"%s\": only one of its input's extents is fixed\n"
                         "state both in io.size",
                         file_of(l->f));
    static const enum model_fit stated[] = {[SET_RESIZE_LETTERBOX] = MODEL_LETTERBOX,
                                            [SET_RESIZE_STRETCH] = MODEL_STRETCH,
                                            [SET_RESIZE_CROP] = MODEL_CROP,
                                            [SET_RESIZE_TILE] = MODEL_TILES};
    if (any)
        in->fit = MODEL_WHOLE;
    else if (s->io.resize != SET_RESIZE_AUTO)
        in->fit = stated[s->io.resize];
    else if (picture)
        in->fit = m->output.levels ? MODEL_STRETCH : MODEL_TILES;
    else if (m->head == MODEL_HEAD_DETR || m->head == MODEL_HEAD_RTDETR)
        in->fit = MODEL_STRETCH; // as they are trained
    else if (m->task == REEL_TASK_CLASSIFY)
        in->fit = MODEL_CROP;
    else
        in->fit = MODEL_LETTERBOX;
    if (in->fit == MODEL_TILES && !picture)
        return reel_fail(REEL_ERR_CONFIG, "could not use io.resize \"tile\": only networks that make pictures work on "
                                          "tiles");
    if (m->output.levels && (in->fit == MODEL_TILES || tiled))
        return reel_fail(REEL_ERR_CONFIG,
                         "could not cut frames into tiles: the network's picture has no fixed range, and "
                         "tiles would differ\nstate its range in io.out_range, or io.resize \"stretch\"");
    if (in->fit == MODEL_CROP && picture)
        return reel_fail(REEL_ERR_CONFIG, "could not use io.resize \"crop\": the picture made would lack its borders");
    return REEL_OK;
}

// Sizes that RIFE and its like divide by without the graph showing it: strides of 4
// at a sixteenth, or an eighth, of the picture.
#define FLOW_MULTIPLE 32

// What lies between two frames is a picture as they are, with the colours of both.
static enum reel_err check_between(const struct look *l)
{
    struct map map;
    struct model *m = l->m;
    as_map(&l->shapes[m->output.index], l->w, l->h, &map);
    if (m->output.channels != 3 || map.w != l->w || map.h != l->h)
        return reel_fail(REEL_ERR_UNSUPPORTED,
                         "could not use model \"%s\": of two frames of %dx%d it makes a picture of %dx%d with %d "
                         "channels, none that could lie between them",
                         file_of(l->f), l->w, l->h, (int)map.w, (int)map.h, m->output.channels);
    if (!m->input.width && m->input.size_multiple < FLOW_MULTIPLE) m->input.size_multiple = FLOW_MULTIPLE;
    return REEL_OK;
}

enum reel_err model_guess_output(const struct model_facts *f, const struct reel_settings *s,
                                 const struct reel_shape *out_shapes, int w, int h, struct model *m)
{
    struct look l = {f, out_shapes, w, h, m};
    if (f->n_out < 1) return reel_fail(REEL_ERR_UNSUPPORTED, "could not use model \"%s\": no outputs", file_of(f));
    enum reel_err err = guess_task(&l, s);
    struct values v;
    if (!err && m->input.frames > 1 && m->task != REEL_TASK_IMAGE)
        err = reel_fail(REEL_ERR_UNSUPPORTED,
                        "could not use model \"%s\": it looks at %d frames and makes no picture of them", file_of(f),
                        m->input.frames);
    if (!err && m->input.between) err = check_between(&l);
    if (!err) err = settle_input(&l, s, &v);
    if (!err) err = settle_given(&l, s, &v);
    if (!err) err = settle_output(&l, s, &v);
    if (!err) err = settle_fit(&l, s);
    return err;
}

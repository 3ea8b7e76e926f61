// SPDX-License-Identifier: MIT
//
// Which detector a model is, by its outputs' shapes and names. Each look searches for its
// own outputs; true when they are there, with their indices in the head's order and the
// number of classes. What their numbers mean is decided in task/head_*.c.
#include <stdio.h>
#include <string.h>

#include "worker/model/graph.h"
#include "worker/model/look.h"
#include "worker/task/head.h"

static int64_t last_dim(const struct reel_shape *s)
{
    return s->ndim > 0 ? s->dim[s->ndim - 1] : -1;
}

// Positions of the grids of strides from..to.
static int64_t cells_of(int w, int h, int from, int to)
{
    int64_t n = 0;
    for (int s = from; s <= to; s *= 2) n += (int64_t)((w + s - 1) / s) * ((h + s - 1) / s);
    return n;
}

// Of strides 8, 16, 32.
static int64_t grid_cells(int w, int h)
{
    return cells_of(w, h, 8, 32);
}

// Also of the grids that larger (P6), finer (P2) and tiny networks have.
static bool is_grid(const struct look *l, int64_t n)
{
    static const int strides[][2] = {{8, 32}, {8, 64}, {4, 32}, {16, 32}};
    for (size_t i = 0; i < sizeof strides / sizeof *strides; i++)
        if (n == cells_of(l->w, l->h, strides[i][0], strides[i][1])) return true;
    return false;
}

// The output of rank 3 with a batch of 1, all others being the grids from which its rows are made
// (YOLOv5 and YOLOv7, exported without stating that the end is to be alone); or -1.
static int rows_beside_grids(const struct look *l)
{
    int found = -1;
    for (int i = 0; i < l->f->n_out; i++) {
        struct head_grid g;
        if (l->shapes[i].ndim == 3 && l->shapes[i].dim[0] == 1 && found < 0)
            found = i;
        else if (l->shapes[i].ndim != 5 || !head_as_grid(&l->shapes[i], l->w, l->h, &g))
            return -1;
    }
    return found;
}

// The output of rank 3 with a batch of 1, the single one or one beside the
// prototypes of masks, which each row ends with so many weights of; or -1.
static int only_rows(const struct look *l, int64_t *out_weights)
{
    *out_weights = 0;
    if (l->f->n_out > 2) return rows_beside_grids(l);
    if (l->f->n_out < 1) return -1;
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
            int at = look_output(l, name);
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

bool look_columns_join(const struct look *l, int i)
{
    const struct value *v = l->f->graph ? graph_find_value(l->f->graph, l->f->out[i].name) : NULL;
    const struct node *n = v ? v->producer : NULL;
    const int rank = l->shapes[i].ndim;
    if (!n || strcmp(n->op_type, "Concat")) return false;
    const int64_t axis = node_attr_int(n, "axis", 1);
    return axis == -1 || axis == rank - 1;
}

static bool is_yolox(const struct look *l)
{
    int64_t weights;
    int i = only_rows(l, &weights);
    if (i < 0 || weights || l->shapes[i].dim[1] != grid_cells(l->w, l->h)) return false;
    // Boxes decoded inside the graph need an exponential for their sizes, or are put together
    // as rows of finished columns (YOLOv6).
    l->m->decoded = model_has_op(l->f->graph, "Exp") || look_columns_join(l, i);
    return one_output(l, last_dim(&l->shapes[i]) - 5);
}

static bool is_yolov5(const struct look *l)
{
    int64_t weights;
    int i = only_rows(l, &weights);
    const int64_t columns = i < 0 ? 0 : last_dim(&l->shapes[i]);
    if ((columns == 16 || columns == 21) && !(l->f->meta && l->f->meta(l->f->user, "names")))
        LOOK_HOW(l, "boxes and their classes (if they are faces with five points, use --detect.head yolov5_face)");
    return i >= 0 && l->shapes[i].dim[1] % 3 == 0 && is_grid(l, l->shapes[i].dim[1] / 3) &&
           one_output(l, last_dim(&l->shapes[i]) - 5 - weights);
}

// Of YOLOv5's rows; the head itself may also be raw grids.
static bool is_yolov5_any(const struct look *l)
{
    return is_yolov5(l) || look_is_grids(l, MODEL_HEAD_YOLOV5);
}

static bool is_yolov3(const struct look *l)
{
    return look_is_grids(l, MODEL_HEAD_YOLOV3);
}

static bool is_yolov4(const struct look *l)
{
    return look_is_grids(l, MODEL_HEAD_YOLOV4);
}

static bool is_yolov7(const struct look *l)
{
    return look_is_grids(l, MODEL_HEAD_YOLOV7);
}

#define FACE_POINTS 5
#define BODY_POINTS 17

// YOLOv5's rows that hold points beside n classes, at least one.
static bool take_points_of_rows(const struct look *l, int points, int floats, bool first)
{
    int64_t weights;
    const int i = only_rows(l, &weights);
    const int64_t classes = i < 0 ? 0 : last_dim(&l->shapes[i]) - 5 - (int64_t)points * floats;
    if (!is_yolov5(l) || weights || classes < 1) return false;
    l->m->classes = (int)classes;
    l->m->points = points, l->m->point_floats = floats, l->m->points_first = first;
    *l->m->how_output = 0;
    return true;
}

// YOLOv5-face: x y of five points, then the classes; YOLOv7-face: the class, then x y score.
static bool is_yolov5_face(const struct look *l)
{
    int64_t weights;
    const int i = only_rows(l, &weights);
    const bool scored = i >= 0 && last_dim(&l->shapes[i]) == 6 + 3 * FACE_POINTS;
    return take_points_of_rows(l, FACE_POINTS, scored ? 3 : 2, !scored);
}

// YOLOv7-pose and TI's YOLOv5-pose: the class, then x y score of as many points as there is room for.
static bool is_yolov5_pose(const struct look *l)
{
    int64_t weights;
    const int i = only_rows(l, &weights);
    const int64_t numbers = i < 0 ? 0 : last_dim(&l->shapes[i]) - 6;
    return numbers > 0 && numbers % 3 == 0 && numbers / 3 <= REEL_OBJECT_POINTS &&
           take_points_of_rows(l, (int)(numbers / 3), 3, false);
}

// Rows as wide as those with points, of files that do not name their classes.
static enum model_head guess_rows_with_points(const struct look *l, int rows)
{
    static const char *const faces[] = {"face", NULL}, *const poses[] = {"pose", "kpt", "keypoint", NULL};
    const int64_t columns = last_dim(&l->shapes[rows]);
    if (l->f->meta && l->f->meta(l->f->user, "names")) return MODEL_HEAD_NONE;
    const bool face = look_file_has(l, faces) && columns <= 6 + 3 * FACE_POINTS;
    if (face && is_yolov5_face(l)) return MODEL_HEAD_YOLOV5_FACE;
    if ((columns == 6 + 3 * BODY_POINTS || look_file_has(l, poses)) && is_yolov5_pose(l)) return MODEL_HEAD_YOLOV5_POSE;
    return MODEL_HEAD_NONE;
}

#define UPRIGHT "upright boxes around the turned ones"

static bool is_yolov8(const struct look *l)
{
    int64_t weights;
    int i = only_rows(l, &weights);
    if (i < 0 || !is_grid(l, l->shapes[i].dim[2])) return false;
    if (meta_is(l, "task", "pose")) take_points(l);
    l->m->turned = meta_is(l, "task", "obb");
    if (l->m->turned) snprintf(l->m->how_output, sizeof l->m->how_output, "%s", UPRIGHT);
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
    if (rows > 4096) return false;
    l->m->turned = meta_is(l, "task", "obb");
    if (l->m->turned) {
        snprintf(l->m->how_output, sizeof l->m->how_output, "%s", UPRIGHT);
        return columns == 7 && one_output(l, 1);
    }
    l->m->centres = meta_is(l, "head", "RTDETRDecoder");
    if (meta_is(l, "task", "pose")) {
        take_points(l);
        return columns == 6 + l->m->points * l->m->point_floats && one_output(l, 1);
    }
    return (columns == 6 || (columns == 7 && !weights) || (weights && columns == 6 + weights)) && one_output(l, 1);
}

// ---- distances to the sides -----------------------------------------------------

// The output of so many columns with `rows` rows, or a whole multiple of them where `times`; -1: none.
static int output_of(const struct look *l, int64_t columns, int64_t rows, bool times)
{
    for (int i = 0; i < l->f->n_out; i++) {
        const int rank = l->shapes[i].ndim;
        if ((rank != 2 && rank != 3) || last_dim(&l->shapes[i]) != columns || rows < 1) continue;
        const int64_t n = reel_shape_count(&l->shapes[i]) / columns;
        if (times ? n >= rows && n % rows == 0 && n / rows <= 4 : n == rows) return i;
    }
    return -1;
}

// Scores, boxes and mostly five points of the cells of each of three strides (SCRFD).
static bool is_scrfd(const struct look *l)
{
    static const int64_t widths[3] = {1, 4, 10};
    const int kinds = l->f->n_out / 3;
    if (l->f->n_out != 6 && l->f->n_out != 9) return false;
    for (int i = 0; i < 3; i++) {
        int64_t rows = cells_of(l->w, l->h, 8 << i, 8 << i);
        for (int k = 0; k < kinds; k++) {
            const int at = output_of(l, widths[k], rows, k == 0);
            if (at < 0) return false;
            if (k == 0) rows = reel_shape_count(&l->shapes[at]);
            l->m->head_output[3 * k + i] = at;
        }
    }
    for (int i = 0; i < l->f->n_out; i++) // one and the same may be of two strides
        for (int k = 0; k < i; k++)
            if (l->m->head_output[i] == l->m->head_output[k]) return false;
    l->m->n_head_outputs = l->f->n_out;
    l->m->classes = 1;
    return true;
}

// A row is scores and then something else, put together before the rows of all strides are.
static bool is_scores_and_others(const struct look *l, int i)
{
    const struct node *rows = model_last_node(l->f->graph, l->f->out[i].name);
    if (!rows || strcmp(rows->op_type, "Concat") || rows->n_in < 3) return false;
    const struct node *row = rows->in[0]->producer;
    while (row && row->n_in && strcmp(row->op_type, "Concat") &&
           (!strcmp(row->op_type, "Reshape") || !strcmp(row->op_type, "Flatten") || !strcmp(row->op_type, "Transpose")))
        row = row->in[0]->producer;
    if (!row || strcmp(row->op_type, "Concat") || row->n_in != 2 || !row->in[0]->producer) return false;
    return !strcmp(row->in[0]->producer->op_type, "Sigmoid");
}

#define DISTANCES 32 // four distributions over 8 numbers

static bool is_nanodet(const struct look *l)
{
    int64_t weights;
    const int i = only_rows(l, &weights);
    if (i < 0 || weights) return false;
    const int64_t cells = l->shapes[i].dim[1];
    if (cells != grid_cells(l->w, l->h) && cells != cells_of(l->w, l->h, 8, 64)) return false;
    return one_output(l, last_dim(&l->shapes[i]) - DISTANCES);
}

static bool is_picodet(const struct look *l)
{
    if (l->f->n_out != 8) return false;
    const int64_t classes = last_dim(&l->shapes[0]);
    for (int k = 0; k < 8; k++) {
        const int stride = 8 << k % 4;
        const struct reel_shape *s = &l->shapes[k];
        if (s->ndim != 3 || s->dim[0] != 1 || s->dim[1] != cells_of(l->w, l->h, stride, stride)) return false;
        if (s->dim[2] != (k < 4 ? classes : DISTANCES)) return false;
        l->m->head_output[k] = k;
    }
    l->m->n_head_outputs = 8;
    l->m->classes = (int)classes;
    return classes > 0 && classes <= 1 << 20;
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

// MMDetection's: "dets" (1, N, 5) and "labels" (1, N).
static bool is_dets_and_labels(const struct look *l)
{
    const int dets = look_output(l, "dets"), labels = look_output(l, "labels");
    if (dets < 0 || labels < 0 || last_dim(&l->shapes[dets]) != 5) return false;
    const int rank = l->shapes[dets].ndim;
    if ((rank != 2 && rank != 3) || l->shapes[labels].ndim != rank - 1) return false;
    l->m->head_output[0] = dets, l->m->head_output[1] = labels;
    l->m->n_head_outputs = 2;
    l->m->classes = 1;
    l->m->decoded = true;
    return true;
}

// (N, 4) or (1, N, 4) and twice (N) or (1, N), by the names that exports have.
static bool is_lists(const struct look *l)
{
    if (is_dets_and_labels(l)) return true;
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
        const bool posed = meta_is(l, "task", "pose"); // RT-DETR finds boxes alone
        const bool ours = told ? strstr(told, "RT-DETR") != NULL : rows == 300 && columns > 7;
        if (ours && !posed && !meta_is(l, "end2end", "True") && columns != grid_cells(l->w, l->h) && is_rtdetr(l))
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
    [MODEL_HEAD_YOLOV5] = is_yolov5_any,
    [MODEL_HEAD_YOLOV8] = is_yolov8,
    [MODEL_HEAD_RETINAFACE] = is_retinaface,
    [MODEL_HEAD_FASTESTDET] = is_fastestdet,
    [MODEL_HEAD_DETR] = is_detr,
    [MODEL_HEAD_RTDETR] = is_rtdetr,
    [MODEL_HEAD_YOLO_NAS] = is_yolo_nas,
    [MODEL_HEAD_LISTS] = is_lists,
    [MODEL_HEAD_SCRFD] = is_scrfd,
    [MODEL_HEAD_NANODET] = is_nanodet,
    [MODEL_HEAD_PICODET] = is_picodet,
    [MODEL_HEAD_YOLOV3] = is_yolov3,
    [MODEL_HEAD_YOLOV4] = is_yolov4,
    [MODEL_HEAD_YOLOV7] = is_yolov7,
    [MODEL_HEAD_YOLOV5_FACE] = is_yolov5_face,
    [MODEL_HEAD_YOLOV5_POSE] = is_yolov5_pose,
    [MODEL_HEAD_CENTERNET] = look_is_centernet,
    [MODEL_HEAD_HEATMAP] = look_is_heatmap,
    [MODEL_HEAD_SIMCC] = look_is_simcc,
    [MODEL_HEAD_MOVENET] = look_is_movenet,
    [MODEL_HEAD_NMS] = is_finished,
};

static void forget_head(struct model *m)
{
    m->points = m->point_floats = m->classes = m->n_head_outputs = 0;
    m->mask_output = m->mask_weights = 0;
    m->turned = m->decoded = m->centres = m->points_first = m->udp = false;
    *m->how_output = 0;
}

enum model_head model_guess_head(const struct look *l)
{
    const enum model_head queries = guess_queries(l);
    if (queries != MODEL_HEAD_NONE) return queries;
    int64_t weights;
    const int rows = only_rows(l, &weights);
    if (rows >= 0 && is_scores_and_others(l, rows) && is_nanodet(l)) return MODEL_HEAD_NANODET;
    const enum model_head with_points = rows >= 0 ? guess_rows_with_points(l, rows) : MODEL_HEAD_NONE;
    if (with_points != MODEL_HEAD_NONE) return with_points;
    forget_head(l->m);
    if (look_are_raw_grids(l)) return look_guess_maps(l);
    static const enum model_head others[] = {MODEL_HEAD_SSD,        MODEL_HEAD_YUNET,  MODEL_HEAD_YUNET_2021,
                                             MODEL_HEAD_YOLOX,      MODEL_HEAD_YOLOV5, MODEL_HEAD_YOLOV8,
                                             MODEL_HEAD_RETINAFACE, MODEL_HEAD_NMS,    MODEL_HEAD_FASTESTDET,
                                             MODEL_HEAD_SCRFD,      MODEL_HEAD_PICODET};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        forget_head(l->m);
        if (head_looks[others[i]](l)) return others[i];
    }
    forget_head(l->m);
    const enum model_head maps = look_guess_maps(l);
    if (maps == MODEL_HEAD_NONE) forget_head(l->m);
    return maps;
}

bool model_take_head(const struct look *l, enum model_head head)
{
    return head_looks[head](l);
}

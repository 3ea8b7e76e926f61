// SPDX-License-Identifier: MIT
//
// head_cell.h: two functions per family, where its numbers stand and what they
// make. Each states the shapes it reads and where its formulas come from; shapes
// are checked before the first element is.
#include "worker/task/head_cell.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// ---- help -------------------------------------------------------------------

enum reel_err head_bad_shape(enum model_head head, const struct reel_shape *shape)
{
    char text[96];
    return reel_fail(REEL_ERR_UNSUPPORTED, "could not read detections of head \"%s\": an output has shape %s",
                     model_head_name(head), reel_shape_text(shape, text, sizeof text));
}

// Rows and columns of a tensor whose last extent is the columns.
static bool as_rows(const struct reel_shape *shape, int64_t *out_rows, int64_t *out_cols)
{
    int64_t n = reel_shape_count(shape);
    if (shape->ndim < 1 || n < 0) return false;
    *out_cols = shape->dim[shape->ndim - 1];
    if (*out_cols < 1 || *out_cols > 1 << 20) return false;
    *out_rows = n / *out_cols;
    return true;
}

static struct head_box *append(struct head_list *list)
{
    if (list->n == list->cap) {
        int cap = list->cap ? 2 * list->cap : 64;
        struct head_box *more = realloc(list->box, (size_t)cap * sizeof *more);
        if (!more) return NULL;
        list->box = more, list->cap = cap;
    }
    struct head_box *b = &list->box[list->n++];
    *b = (struct head_box){0};
    return b;
}

static enum reel_err no_memory(void)
{
    return reel_fail(REEL_ERR_NOMEM, "could not read detections: out of memory");
}

// False when out of memory. Boxes that are no numbers are left out.
static bool add_corners(struct head_list *list, float x1, float y1, float x2, float y2, float score, int class_id,
                        struct head_box **out_box)
{
    *out_box = NULL;
    if (!isfinite(x1) || !isfinite(y1) || !isfinite(x2) || !isfinite(y2)) return true;
    struct head_box *b = append(list);
    if (!b) return false;
    b->x1 = x1, b->y1 = y1, b->x2 = x2, b->y2 = y2, b->score = score, b->class_id = class_id;
    *out_box = b;
    return true;
}

static bool add_center(struct head_list *list, float cx, float cy, float w, float h, float score, int class_id,
                       struct head_box **out_box)
{
    return add_corners(list, cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2, score, class_id, out_box);
}

static void add_point(struct head_box *b, float x, float y, float score)
{
    if (!b || b->n_points == REEL_OBJECT_POINTS || !isfinite(x) || !isfinite(y)) return;
    b->point[b->n_points].x = x;
    b->point[b->n_points].y = y;
    b->point[b->n_points++].score = score;
}

static float clip01(float v)
{
    return v > 0 ? v < 1 ? v : 1 : 0;
}

static float sigmoid(float v)
{
    return 1.0f / (1.0f + expf(-v));
}

// Largest of n values, `step` apart; the first of equals.
static int best_of(const float *v, int n, size_t step)
{
    int best = 0;
    for (int i = 1; i < n; i++)
        if (v[(size_t)i * step] > v[(size_t)best * step]) best = i;
    return best;
}

// ---- cells ------------------------------------------------------------------
// A family's outputs are a number of cells, each with a score and what makes a
// box of it. A layout says where a cell's numbers stand; a family's function
// makes a box of one cell.

static float of(const struct head_cell *c, int part, int channel)
{
    return c->v[part][(size_t)channel * c->step[part]];
}

static int best_class(const struct head_cell *c, int part, int from, int n)
{
    size_t step = c->step[part];
    const float *v = c->v[part] + (size_t)from * step;
    return step == 1 ? best_of(v, n, 1) : best_of(v, n, step);
}

// Rows of a cell each in output `output` of the head's own order.
static void add_rows(struct head_group *g, int output, int64_t cells, int64_t cols)
{
    g->cells = cells;
    g->part[g->n_parts++] = (struct head_part){
        .output = output, .channels = (int)cols, .cells = cells, .cell_step = (size_t)cols, .channel_step = 1};
}

// Channels first: a plane of cells each.
static void add_planes(struct head_group *g, int output, int64_t cells, int64_t channels)
{
    g->cells = cells;
    g->part[g->n_parts++] = (struct head_part){
        .output = output, .channels = (int)channels, .cells = cells, .cell_step = 1, .channel_step = (size_t)cells};
}

static void score_of(struct head_layout *l, enum gpu_pick_score score, struct gpu_pick_term a, struct gpu_pick_term b)
{
    l->score = score, l->a = a, l->b = b;
}

#define TERM(...) ((struct gpu_pick_term){__VA_ARGS__})
#define NO_TERM TERM(0, 0, 0)

// ---- YuNet 2023: per stride cls (N, 1), obj (N, 1), bbox (N, 4), kps (N, 10) --
// As FaceDetectorYN of OpenCV 4.8 decodes them.

static enum reel_err lay_yunet(const struct head_params *p, const struct reel_shape *const *shape,
                               struct head_layout *l)
{
    static const int64_t widths[4] = {1, 1, 4, 10};
    for (int i = 0; i < 3; i++) {
        int stride = 8 << i, cols = p->net_w / stride, rows = p->net_h / stride;
        for (int k = 0; k < 4; k++) {
            int64_t n, c;
            const struct reel_shape *s = shape[3 * k + i];
            if (!as_rows(s, &n, &c) || c != widths[k] || n != (int64_t)rows * cols) return head_bad_shape(p->head, s);
            add_rows(&l->group[i], 3 * k + i, n, c);
        }
    }
    l->n_groups = 3;
    score_of(l, GPU_PICK_ROOT, TERM(0, 0, 1), TERM(1, 0, 1));
    return REEL_OK;
}

static enum reel_err read_yunet(const struct head_params *p, int group, const struct head_cell *cell,
                                struct head_list *list)
{
    float score = sqrtf(clip01(of(cell, 0, 0)) * clip01(of(cell, 1, 0)));
    if (!(score >= p->score)) return REEL_OK;
    int stride = 8 << group, cols = p->net_w / stride;
    float s = (float)stride, r = (float)(cell->i / cols), c = (float)(cell->i % cols);
    const float *b = cell->v[2], *k = cell->v[3];
    struct head_box *box;
    if (!add_center(list, (c + b[0]) * s, (r + b[1]) * s, expf(b[2]) * s, expf(b[3]) * s, score, 0, &box))
        return no_memory();
    for (int j = 0; j < 5; j++) add_point(box, (k[2 * j] + c) * s, (k[2 * j + 1] + r) * s, 1);
    return REEL_OK;
}

// ---- priors: YuNet 2021, RetinaFace, UltraFace ----------------------------------------
// Offsets from prior boxes with variances 0.1 and 0.2 (SSD, section 2.2 of the
// paper; libfacedetection.train; Pytorch_Retinaface).

struct prior_level {
    int step, rows, cols, n_sizes;
    int sizes[3];
};

#define LEVELS 4

struct prior {
    float cx, cy, w, h; // in network pixels
};

static int yunet_2021_levels(int net_w, int net_h, struct prior_level levels[LEVELS])
{
    static const struct prior_level of_net[LEVELS] = {
        {8, 0, 0, 3, {10, 16, 24}}, {16, 0, 0, 2, {32, 48}}, {32, 0, 0, 2, {64, 96}}, {64, 0, 0, 3, {128, 192, 256}}};
    memcpy(levels, of_net, sizeof of_net);
    // Sizes halve with rounding as the network's poolings do.
    int w = (net_w + 1) / 2 / 2, h = (net_h + 1) / 2 / 2;
    for (int l = 0; l < 4; l++) levels[l].cols = w /= 2, levels[l].rows = h /= 2;
    return 4;
}

static int retinaface_levels(int net_w, int net_h, struct prior_level levels[LEVELS])
{
    static const struct prior_level of_net[3] = {
        {8, 0, 0, 2, {16, 32}}, {16, 0, 0, 2, {64, 128}}, {32, 0, 0, 2, {256, 512}}};
    memcpy(levels, of_net, sizeof of_net);
    for (int l = 0; l < 3; l++) {
        levels[l].cols = (net_w + levels[l].step - 1) / levels[l].step;
        levels[l].rows = (net_h + levels[l].step - 1) / levels[l].step;
    }
    return 3;
}

// Ultra-Light-Fast-Generic-Face-Detector-1MB, vision/ssd/config/fd_config.py.
static int ultraface_levels(int w, int h, struct prior_level levels[LEVELS])
{
    static const int sizes[LEVELS][3] = {{10, 16, 24}, {32, 48}, {64, 96}, {128, 192, 256}};
    for (int l = 0; l < 4; l++) {
        int step = 8 << l;
        levels[l] = (struct prior_level){step, (h + step - 1) / step, (w + step - 1) / step, sizes[l][2] ? 3 : 2};
        memcpy(levels[l].sizes, sizes[l], sizeof sizes[l]);
    }
    return 4;
}

static int levels_of(const struct head_params *p, struct prior_level levels[LEVELS])
{
    return p->head == MODEL_HEAD_YUNET_2021   ? yunet_2021_levels(p->net_w, p->net_h, levels)
           : p->head == MODEL_HEAD_RETINAFACE ? retinaface_levels(p->net_w, p->net_h, levels)
                                              : ultraface_levels(p->net_w, p->net_h, levels);
}

static int64_t count_priors(const struct prior_level *levels, int n)
{
    int64_t sum = 0;
    for (int l = 0; l < n; l++) sum += (int64_t)levels[l].rows * levels[l].cols * levels[l].n_sizes;
    return sum;
}

int64_t head_ultraface_priors(int w, int h)
{
    struct prior_level levels[LEVELS];
    int n = ultraface_levels(w, h, levels);
    return count_priors(levels, n);
}

// Prior number i: row by row, the sizes of one position side by side.
static struct prior prior_of(const struct head_params *p, int64_t i)
{
    struct prior_level levels[LEVELS];
    int l = 0, n = levels_of(p, levels);
    while (l + 1 < n && i >= count_priors(&levels[l], 1)) i -= count_priors(&levels[l++], 1);
    const struct prior_level *at = &levels[l];
    float size = (float)at->sizes[i % at->n_sizes], step = (float)at->step;
    int64_t position = i / at->n_sizes;
    return (struct prior){((float)(position % at->cols) + 0.5f) * step, ((float)(position / at->cols) + 0.5f) * step,
                          size, size};
}

// loc: four offsets; points: ten more, or NULL.
static enum reel_err put_prior(const struct head_params *p, const struct head_cell *cell, const float *loc,
                               const float *points, float score, struct head_list *list)
{
    struct prior a = prior_of(p, cell->i);
    float cx = a.cx + loc[0] * 0.1f * a.w, cy = a.cy + loc[1] * 0.1f * a.h;
    float w = a.w * expf(loc[2] * 0.2f), h = a.h * expf(loc[3] * 0.2f);
    struct head_box *box;
    if (!add_center(list, cx, cy, w, h, score, 0, &box)) return no_memory();
    for (int j = 0; points && j < 5; j++)
        add_point(box, a.cx + points[2 * j] * 0.1f * a.w, a.cy + points[2 * j + 1] * 0.1f * a.h, 1);
    return REEL_OK;
}

// Outputs of a row a prior each, of these widths.
static enum reel_err lay_priors(const struct head_params *p, const struct reel_shape *const *shape,
                                const int64_t widths[3], struct head_layout *l)
{
    struct prior_level levels[LEVELS];
    int n_levels = levels_of(p, levels);
    int64_t n = count_priors(levels, n_levels), rows, cols;
    for (int k = 0; k < 3; k++) {
        if (!as_rows(shape[k], &rows, &cols) || rows != n || cols != widths[k])
            return head_bad_shape(p->head, shape[k]);
        add_rows(&l->group[0], k, rows, cols);
    }
    l->n_groups = 1;
    return REEL_OK;
}

// loc (N, 14): offsets and points, conf (N, 2), iou (N, 1)
static enum reel_err lay_yunet_2021(const struct head_params *p, const struct reel_shape *const *shape,
                                    struct head_layout *l)
{
    score_of(l, GPU_PICK_ROOT, TERM(1, 1, 1), TERM(2, 0, 1));
    return lay_priors(p, shape, (const int64_t[]){14, 2, 1}, l);
}

static enum reel_err read_yunet_2021(const struct head_params *p, const struct head_cell *c, struct head_list *list)
{
    float score = sqrtf(clip01(of(c, 1, 1)) * clip01(of(c, 2, 0)));
    return score >= p->score ? put_prior(p, c, c->v[0], c->v[0] + 4, score, list) : REEL_OK;
}

// loc (N, 4), conf (N, 2), points (N, 10)
static enum reel_err lay_retinaface(const struct head_params *p, const struct reel_shape *const *shape,
                                    struct head_layout *l)
{
    score_of(l, GPU_PICK_ONE, TERM(1, 1, 1), NO_TERM);
    return lay_priors(p, shape, (const int64_t[]){4, 2, 10}, l);
}

static enum reel_err read_retinaface(const struct head_params *p, const struct head_cell *c, struct head_list *list)
{
    float score = of(c, 1, 1);
    return score >= p->score ? put_prior(p, c, c->v[0], c->v[2], score, list) : REEL_OK;
}

// ---- SSD: scores (N, 1 + classes), boxes (N, 4) --------------------------------
// Corners in 0..1; or, where the export ends before they are decoded, offsets
// from the priors of UltraFace.

static enum reel_err lay_ssd(const struct head_params *p, const struct reel_shape *const *shape, struct head_layout *l)
{
    int64_t n, cols, n_boxes, four;
    if (!as_rows(shape[0], &n, &cols) || cols < 2) return head_bad_shape(p->head, shape[0]);
    if (!as_rows(shape[1], &n_boxes, &four) || four != 4 || n_boxes != n) return head_bad_shape(p->head, shape[1]);
    if (!p->decoded && (cols != 2 || n != head_ultraface_priors(p->net_w, p->net_h)))
        return head_bad_shape(p->head, shape[1]);
    add_rows(&l->group[0], 0, n, cols);
    add_rows(&l->group[0], 1, n, 4);
    l->n_groups = 1;
    score_of(l, GPU_PICK_ONE, TERM(0, 1, (int)cols - 1), NO_TERM);
    return REEL_OK;
}

static enum reel_err read_ssd(const struct head_params *p, int classes, const struct head_cell *cell,
                              struct head_list *list)
{
    int c = best_class(cell, 0, 1, classes);
    float score = of(cell, 0, 1 + c);
    const float *b = cell->v[1];
    if (!(score >= p->score)) return REEL_OK;
    if (!p->decoded) return put_prior(p, cell, b, NULL, score, list);
    float w = (float)p->net_w, h = (float)p->net_h;
    struct head_box *box;
    return add_corners(list, b[0] * w, b[1] * h, b[2] * w, b[3] * h, score, c, &box) ? REEL_OK : no_memory();
}

// ---- YOLOX, YOLOv5: (N, 5 + classes) cx cy w h objectness classes -------------
// YOLOX not decoded in the graph: offsets in cells of strides 8, 16, 32 (YOLOX,
// demo_postprocess).

// Where cell i lies; false: beyond the grids.
static bool grid_of(const struct head_params *p, int64_t i, float *out_x, float *out_y, float *out_stride)
{
    for (int s = 8; s <= 32; s *= 2) {
        int64_t w = (p->net_w + s - 1) / s, h = (p->net_h + s - 1) / s;
        if (i < w * h) {
            *out_x = (float)(i % w), *out_y = (float)(i / w), *out_stride = (float)s;
            return true;
        }
        i -= w * h;
    }
    return false;
}

static bool has_grid(const struct head_params *p)
{
    return p->head == MODEL_HEAD_YOLOX && !p->decoded;
}

static enum reel_err lay_yolo_rows(const struct head_params *p, const struct reel_shape *shape, struct head_layout *l)
{
    int64_t n, cols;
    float x, y, s;
    if (!as_rows(shape, &n, &cols) || p->classes < 1 || cols < 5 + p->classes) return head_bad_shape(p->head, shape);
    if (has_grid(p) && ((n > 0 && !grid_of(p, n - 1, &x, &y, &s)) || grid_of(p, n, &x, &y, &s)))
        return head_bad_shape(p->head, shape);
    add_rows(&l->group[0], 0, n, cols);
    l->n_groups = 1;
    score_of(l, GPU_PICK_PRODUCT, TERM(0, 4, 1), TERM(0, 5, p->classes));
    return REEL_OK;
}

static enum reel_err read_yolo_row(const struct head_params *p, int classes, const struct head_cell *cell,
                                   struct head_list *list)
{
    const float *row = cell->v[0];
    int c = best_class(cell, 0, 5, classes);
    float score = row[4] * row[5 + c], gx = 0, gy = 0, stride = 0;
    if (!(score >= p->score)) return REEL_OK;
    if (has_grid(p)) grid_of(p, cell->i, &gx, &gy, &stride);
    struct head_box *box;
    bool ok = stride > 0 ? add_center(list, (row[0] + gx) * stride, (row[1] + gy) * stride, expf(row[2]) * stride,
                                      expf(row[3]) * stride, score, c, &box)
                         : add_center(list, row[0], row[1], row[2], row[3], score, c, &box);
    return ok ? REEL_OK : no_memory();
}

// ---- YOLOv8: (4 + classes [+ 2 or 3 per keypoint, or an angle, or others], N), in network pixels

static enum reel_err lay_yolov8(const struct head_params *p, const struct reel_shape *shape, struct head_layout *l)
{
    const int behind = p->points * p->point_floats + p->turned;
    if (shape->ndim != 3 || shape->dim[0] != 1 || p->classes < 1 || shape->dim[1] < 4 + p->classes + behind)
        return head_bad_shape(p->head, shape);
    add_planes(&l->group[0], 0, shape->dim[2], shape->dim[1]);
    l->n_groups = 1;
    score_of(l, GPU_PICK_ONE, TERM(0, 4, p->classes), NO_TERM);
    return REEL_OK;
}

// Points from channel `at` of part 0 on.
static void add_points(const struct head_params *p, const struct head_cell *cell, int at, struct head_box *box)
{
    for (int k = 0; k < p->points; k++, at += p->point_floats)
        add_point(box, of(cell, 0, at), of(cell, 0, at + 1), p->point_floats > 2 ? of(cell, 0, at + 2) : 1);
}

static enum reel_err read_yolov8(const struct head_params *p, const struct head_cell *cell, struct head_list *list)
{
    int c = best_class(cell, 0, 4, p->classes), behind = 4 + p->classes;
    float score = of(cell, 0, 4 + c), w = of(cell, 0, 2), h = of(cell, 0, 3);
    if (!(score >= p->score)) return REEL_OK;
    if (p->turned) { // the upright box around it
        float cosine = fabsf(cosf(of(cell, 0, behind))), sine = fabsf(sinf(of(cell, 0, behind)));
        float wide = w * cosine + h * sine;
        h = w * sine + h * cosine, w = wide;
    }
    struct head_box *box;
    if (!add_center(list, of(cell, 0, 0), of(cell, 0, 1), w, h, score, c, &box)) return no_memory();
    add_points(p, cell, behind, box);
    return REEL_OK;
}

// ---- FastestDet: (5 + classes, h, w) of stride 16 ------------------------------
// As the project's example decodes it: objectness^0.6 * class^0.4, offsets by
// tanh, sizes by sigmoid of the whole picture.

static enum reel_err lay_fastestdet(const struct head_params *p, const struct reel_shape *shape, struct head_layout *l)
{
    if (shape->ndim != 4 || shape->dim[0] != 1 || shape->dim[1] < 6) return head_bad_shape(p->head, shape);
    add_planes(&l->group[0], 0, shape->dim[2] * shape->dim[3], shape->dim[1]);
    l->n_groups = 1;
    l->cols = (int)shape->dim[3];
    score_of(l, GPU_PICK_POWERS, TERM(0, 0, 1), TERM(0, 5, (int)shape->dim[1] - 5));
    return REEL_OK;
}

static enum reel_err read_fastestdet(const struct head_params *p, const struct head_layout *l,
                                     const struct head_cell *cell, struct head_list *list)
{
    int k = best_class(cell, 0, 5, l->b.n);
    float score = powf(of(cell, 0, 0), 0.6f) * powf(of(cell, 0, 5 + k), 0.4f);
    if (!(score >= p->score)) return REEL_OK;
    int64_t w = l->cols, h = l->group[0].cells / w;
    float net_w = (float)p->net_w, net_h = (float)p->net_h;
    float cx = ((float)(cell->i % w) + tanhf(of(cell, 0, 1))) / (float)w;
    float cy = ((float)(cell->i / w) + tanhf(of(cell, 0, 2))) / (float)h;
    struct head_box *box;
    return add_center(list, cx * net_w, cy * net_h, sigmoid(of(cell, 0, 3)) * net_w, sigmoid(of(cell, 0, 4)) * net_h,
                      score, k, &box)
               ? REEL_OK
               : no_memory();
}

// ---- rows of finished boxes ----------------------------------------------------
// (N, 6): x1 y1 x2 y2 score class (YOLOv10), with points or others behind (YOLO26);
// (N, 7): picture x1 y1 x2 y2 class score (YOLOv7, end to end).

static enum reel_err lay_finished(const struct head_params *p, const struct reel_shape *shape, struct head_layout *l)
{
    int64_t n, cols;
    if (!as_rows(shape, &n, &cols) || cols < 6 || cols < 6 + p->points * p->point_floats)
        return head_bad_shape(p->head, shape);
    add_rows(&l->group[0], 0, n, cols);
    l->n_groups = 1;
    score_of(l, GPU_PICK_ONE, TERM(0, cols == 7 ? 6 : 4, 1), NO_TERM);
    return REEL_OK;
}

static enum reel_err read_finished(const struct head_params *p, int cols, const struct head_cell *cell,
                                   struct head_list *list)
{
    const float *v = cell->v[0] + (cols == 7);
    float score = cols == 7 ? v[5] : v[4], class_id = cols == 7 ? v[4] : v[5];
    if (!(score >= p->score) || !(class_id >= 0 && class_id < 1e6f)) return REEL_OK;
    struct head_box *box;
    if (!add_corners(list, v[0], v[1], v[2], v[3], score, (int)class_id, &box)) return no_memory();
    add_points(p, cell, 6, box);
    return REEL_OK;
}

// ---- DETR and kin: class scores (N, classes) and boxes (N, 4) cx cy w h in 0..1 ------
// DETR: softmax over the classes and, as the last one, none (Carion et al. 2020,
// section 3.1). RT-DETR, Deformable DETR, DINO: each class by its own sigmoid; also as
// rows of a box and its scores.

static enum reel_err lay_queries(const struct head_params *p, const struct reel_shape *const *shape, int n_out,
                                 struct head_layout *l)
{
    const int none = p->head == MODEL_HEAD_DETR, box = n_out == 1 ? 4 : 0;
    int64_t n, cols, n_boxes, four;
    if (!as_rows(shape[0], &n, &cols) || cols != box + p->classes + none || p->classes < 1)
        return head_bad_shape(p->head, shape[0]);
    add_rows(&l->group[0], 0, n, cols);
    if (n_out > 1) {
        if (!as_rows(shape[1], &n_boxes, &four) || four != 4 || n_boxes != n) return head_bad_shape(p->head, shape[1]);
        add_rows(&l->group[0], 1, n, 4);
    }
    l->n_groups = 1;
    l->logits = !p->decoded;
    score_of(l, GPU_PICK_ONE, TERM(0, box, p->classes), NO_TERM);
    return REEL_OK;
}

static float softmax_of(const float *v, int n, int which)
{
    float sum = 0;
    for (int i = 0; i < n; i++) sum += expf(v[i] - v[which]);
    return 1 / sum;
}

static enum reel_err read_query(const struct head_params *p, const struct head_layout *l, const struct head_cell *cell,
                                struct head_list *list)
{
    const float *scores = cell->v[0] + l->a.from, *b = l->group[0].n_parts > 1 ? cell->v[1] : cell->v[0];
    int c = best_of(scores, p->classes, 1);
    float score = p->decoded                   ? scores[c]
                  : p->head == MODEL_HEAD_DETR ? softmax_of(scores, p->classes + 1, c)
                                               : sigmoid(scores[c]);
    float w = (float)p->net_w, h = (float)p->net_h;
    if (!(score >= p->score)) return REEL_OK;
    struct head_box *box;
    return add_center(list, b[0] * w, b[1] * h, b[2] * w, b[3] * h, score, c, &box) ? REEL_OK : no_memory();
}

// ---- YOLO-NAS: boxes (N, 4) x1 y1 x2 y2 in network pixels, scores (N, classes) -----

static enum reel_err lay_yolo_nas(const struct head_params *p, const struct reel_shape *const *shape,
                                  struct head_layout *l)
{
    int64_t n, cols, n_boxes, four;
    if (!as_rows(shape[0], &n_boxes, &four) || four != 4) return head_bad_shape(p->head, shape[0]);
    if (!as_rows(shape[1], &n, &cols) || cols != p->classes || n != n_boxes) return head_bad_shape(p->head, shape[1]);
    add_rows(&l->group[0], 0, n, 4);
    add_rows(&l->group[0], 1, n, cols);
    l->n_groups = 1;
    score_of(l, GPU_PICK_ONE, TERM(1, 0, p->classes), NO_TERM);
    return REEL_OK;
}

static enum reel_err read_yolo_nas(const struct head_params *p, const struct head_cell *cell, struct head_list *list)
{
    const float *b = cell->v[0];
    int c = best_class(cell, 1, 0, p->classes);
    float score = of(cell, 1, c);
    if (!(score >= p->score)) return REEL_OK;
    struct head_box *box;
    return add_corners(list, b[0], b[1], b[2], b[3], score, c, &box) ? REEL_OK : no_memory();
}

// ---- lists: boxes (N, 4), labels (N), scores (N) of what was found -----------------
// x1 y1 x2 y2 in network pixels (torchvision, RT-DETR as it is deployed); else
// y1 x1 y2 x2 in 0..1 (TensorFlow's detection API).

static enum reel_err lay_lists(const struct head_params *p, const struct reel_shape *const *shape,
                               struct head_layout *l)
{
    int64_t n, four;
    if (!as_rows(shape[0], &n, &four) || four != 4) return head_bad_shape(p->head, shape[0]);
    add_rows(&l->group[0], 0, n, 4);
    for (int k = 1; k < 3; k++) {
        if (reel_shape_count(shape[k]) != n) return head_bad_shape(p->head, shape[k]);
        add_rows(&l->group[0], k, n, 1);
    }
    l->n_groups = 1;
    score_of(l, GPU_PICK_ONE, TERM(2, 0, 1), NO_TERM);
    return REEL_OK;
}

static enum reel_err read_list(const struct head_params *p, const struct head_cell *cell, struct head_list *list)
{
    const float *b = cell->v[0], class_id = of(cell, 1, 0), score = of(cell, 2, 0);
    float w = (float)p->net_w, h = (float)p->net_h;
    if (!(score >= p->score) || !(class_id >= 0 && class_id < 1e6f)) return REEL_OK;
    struct head_box *box;
    bool ok = p->decoded ? add_corners(list, b[0], b[1], b[2], b[3], score, (int)class_id, &box)
                         : add_corners(list, b[1] * w, b[0] * h, b[3] * w, b[2] * h, score, (int)class_id, &box);
    return ok ? REEL_OK : no_memory();
}

// ---- all of them -----------------------------------------------------------------

enum reel_err head_lay_out(const struct head_params *p, const struct reel_shape *const *shape, int n_out,
                           struct head_layout *l)
{
    switch (p->head) {
    case MODEL_HEAD_SSD:
        return lay_ssd(p, shape, l);
    case MODEL_HEAD_YUNET:
        return lay_yunet(p, shape, l);
    case MODEL_HEAD_YUNET_2021:
        return lay_yunet_2021(p, shape, l);
    case MODEL_HEAD_YOLOX:
    case MODEL_HEAD_YOLOV5:
        return lay_yolo_rows(p, shape[0], l);
    case MODEL_HEAD_YOLOV8:
        return lay_yolov8(p, shape[0], l);
    case MODEL_HEAD_RETINAFACE:
        return lay_retinaface(p, shape, l);
    case MODEL_HEAD_FASTESTDET:
        return lay_fastestdet(p, shape[0], l);
    case MODEL_HEAD_DETR:
    case MODEL_HEAD_RTDETR:
        return lay_queries(p, shape, n_out, l);
    case MODEL_HEAD_YOLO_NAS:
        return lay_yolo_nas(p, shape, l);
    case MODEL_HEAD_LISTS:
        return lay_lists(p, shape, l);
    default:
        return lay_finished(p, shape[0], l);
    }
}

enum reel_err head_read_cell(const struct head_params *p, const struct head_layout *l, int group,
                             const struct head_cell *cell, struct head_list *list)
{
    switch (p->head) {
    case MODEL_HEAD_SSD:
        return read_ssd(p, l->a.n, cell, list);
    case MODEL_HEAD_YUNET:
        return read_yunet(p, group, cell, list);
    case MODEL_HEAD_YUNET_2021:
        return read_yunet_2021(p, cell, list);
    case MODEL_HEAD_YOLOX:
    case MODEL_HEAD_YOLOV5:
        return read_yolo_row(p, l->b.n, cell, list);
    case MODEL_HEAD_YOLOV8:
        return read_yolov8(p, cell, list);
    case MODEL_HEAD_RETINAFACE:
        return read_retinaface(p, cell, list);
    case MODEL_HEAD_FASTESTDET:
        return read_fastestdet(p, l, cell, list);
    case MODEL_HEAD_DETR:
    case MODEL_HEAD_RTDETR:
        return read_query(p, l, cell, list);
    case MODEL_HEAD_YOLO_NAS:
        return read_yolo_nas(p, cell, list);
    case MODEL_HEAD_LISTS:
        return read_list(p, cell, list);
    default:
        return read_finished(p, l->row, cell, list);
    }
}

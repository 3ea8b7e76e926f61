// SPDX-License-Identifier: MIT
//
// head_family.h: detectors whose outputs are maps as large as a grid of cells: YOLO's with
// anchors, as they leave the last convolution, and CenterNet.
#include "worker/task/head_family.h"

#include <math.h>

// ---- grids with anchors: YOLOv3, v4, v5, v7 -------------------------------------------
// A map for each stride; each cell has three anchors with numbers x y w h, objectness and
// classes, all logits. With s the sigmoid, (c, r) the cell and (aw, ah) the anchor in pixels:
// YOLOv3  x = (s(x) + c) * stride, w = exp(w) * aw (Redmon 2018, section 2.1)
// YOLOv4  x = (s(x) * k - (k - 1) / 2 + c) * stride (scale_x_y = k of its configuration), w as YOLOv3
// v5, v7  x = (2 * s(x) - 0.5 + c) * stride, w = (2 * s(w))^2 * aw (models/yolo.py of both)
// The anchors are those of the networks published for COCO.

#define ANCHORS 3
#define BOX 5 // numbers before the classes

// Each from the smallest stride on.
static const float anchors_v3[3][ANCHORS][2] = { // also YOLOv5 and YOLOv7-tiny
    {{10, 13}, {16, 30}, {33, 23}},
    {{30, 61}, {62, 45}, {59, 119}},
    {{116, 90}, {156, 198}, {373, 326}}};
static const float anchors_v4[3][ANCHORS][2] = { // also YOLOv7
    {{12, 16}, {19, 36}, {40, 28}},
    {{36, 75}, {76, 55}, {72, 146}},
    {{142, 110}, {192, 243}, {459, 401}}};
static const float anchors_v3_tiny[2][ANCHORS][2] = {{{10, 14}, {23, 27}, {37, 58}},
                                                     {{81, 82}, {135, 169}, {344, 319}}};
static const float anchors_v4_tiny[2][ANCHORS][2] = {{{23, 27}, {37, 58}, {81, 82}},
                                                     {{81, 82}, {135, 169}, {344, 319}}};
static const float anchors_p6[4][ANCHORS][2] = { // YOLOv5-P6, YOLOv7-W6 and larger
    {{19, 27}, {44, 40}, {38, 94}},
    {{96, 68}, {86, 152}, {180, 137}},
    {{140, 301}, {303, 264}, {238, 542}},
    {{436, 615}, {739, 380}, {925, 792}}};

static const float (*anchors_of(enum model_head head, int n_grids))[ANCHORS][2]
{
    switch (head) {
    case MODEL_HEAD_YOLOV3:
        return n_grids == 2 ? anchors_v3_tiny : n_grids == 3 ? anchors_v3 : NULL;
    case MODEL_HEAD_YOLOV4:
        return n_grids == 2 ? anchors_v4_tiny : n_grids == 3 ? anchors_v4 : NULL;
    case MODEL_HEAD_YOLOV5:
        return n_grids == 3 ? anchors_v3 : n_grids == 4 ? anchors_p6 : NULL;
    case MODEL_HEAD_YOLOV7:
        return n_grids == 3 ? anchors_v4 : n_grids == 4 ? anchors_p6 : NULL;
    default:
        return NULL;
    }
}

bool head_grids_are_known(enum model_head head, int n_grids)
{
    return anchors_of(head, n_grids) != NULL;
}

bool head_as_grid(const struct reel_shape *s, int net_w, int net_h, struct head_grid *out)
{
    const int64_t *d = s->dim;
    if ((s->ndim != 4 && s->ndim != 5) || d[0] != 1) return false;
    for (int stride = 8; stride <= 64; stride *= 2) {
        const int64_t w = net_w / stride, h = net_h / stride;
        struct head_grid g = {.stride = stride, .w = w, .h = h};
        int64_t all = 0;
        if (w < 1 || h < 1 || net_w % stride || net_h % stride) continue;
        if (s->ndim == 4 && d[2] == h && d[3] == w)
            all = d[1], g.planes = true;
        else if (s->ndim == 4 && d[1] == h && d[2] == w)
            all = d[3];
        else if (s->ndim == 5 && d[1] == ANCHORS && d[3] == h && d[4] == w)
            all = ANCHORS * d[2], g.planes = true;
        else if (s->ndim == 5 && d[1] == ANCHORS && d[2] == h && d[3] == w)
            all = ANCHORS * d[4], g.apart = true;
        else if (s->ndim == 5 && d[3] == ANCHORS && d[1] == h && d[2] == w)
            all = ANCHORS * d[4];
        if (all < 1 || all > 1 << 20) continue;
        g.channels = (int)all;
        *out = g;
        return true;
    }
    return false;
}

// What a cell is, from how the output lies.
static enum reel_err lay_grids(const struct head_params *p, const struct reel_shape *const *shape, int n_out,
                               struct head_layout *l)
{
    const int all = ANCHORS * (BOX + p->classes);
    if (p->classes < 1 || n_out > HEAD_GROUPS || !anchors_of(p->head, n_out)) return head_bad_shape(p->head, shape[0]);
    for (int i = 0; i < n_out; i++) {
        struct head_grid g;
        if (!head_as_grid(shape[i], p->net_w, p->net_h, &g) || g.channels != all ||
            g.stride != (n_out == 2 ? 16 : 8) << i)
            return head_bad_shape(p->head, shape[i]);
        if (g.planes)
            head_add_planes(&l->group[i], i, g.w * g.h, all);
        else if (g.apart)
            head_add_rows(&l->group[i], i, ANCHORS * g.w * g.h, all / ANCHORS);
        else
            head_add_rows(&l->group[i], i, g.w * g.h, all);
    }
    l->n_groups = n_out;
    l->read_all = true;
    head_score_by(l, GPU_PICK_PRODUCT, HEAD_TERM(0, BOX - 1, 1), HEAD_TERM(0, BOX, p->classes));
    return REEL_OK;
}

static float scale_of_v4(int n_grids, int group)
{
    static const float of_three[3] = {1.2f, 1.1f, 1.05f};
    return n_grids == 2 ? 1.05f : of_three[group];
}

// Anchor a of a cell; its numbers begin with channel `at`.
static enum reel_err read_anchor(const struct head_params *p, const struct head_layout *l, const struct head_cell *cell,
                                 int64_t position, int a, int at, struct head_list *list)
{
    const int g = cell->group, stride = (l->n_groups == 2 ? 16 : 8) << g, cols = p->net_w / stride;
    const float *anchor = anchors_of(p->head, l->n_groups)[g][a], s = (float)stride;
    float v[BOX];
    for (int k = 0; k < BOX; k++) {
        v[k] = head_at(cell, 0, at + k);
        const bool size = k == 2 || k == 3, raw = p->head == MODEL_HEAD_YOLOV3 || p->head == MODEL_HEAD_YOLOV4;
        if (!p->decoded && !(size && raw)) v[k] = head_sigmoid(v[k]);
    }
    if (!(v[4] >= p->score)) return REEL_OK;
    const int c = head_best_class(cell, 0, at + BOX, p->classes);
    const float class_score = head_at(cell, 0, at + BOX + c);
    const float score = v[4] * (p->decoded ? class_score : head_sigmoid(class_score));
    if (!(score >= p->score)) return REEL_OK;
    float scale = 2, w, h;
    if (p->head == MODEL_HEAD_YOLOV3 || p->head == MODEL_HEAD_YOLOV4) {
        scale = p->head == MODEL_HEAD_YOLOV4 ? scale_of_v4(l->n_groups, g) : 1;
        w = expf(v[2]) * anchor[0], h = expf(v[3]) * anchor[1];
    } else {
        w = 4 * v[2] * v[2] * anchor[0], h = 4 * v[3] * v[3] * anchor[1];
    }
    const float x = v[0] * scale - (scale - 1) / 2 + (float)(position % cols);
    const float y = v[1] * scale - (scale - 1) / 2 + (float)(position / cols);
    struct head_box *box;
    return head_add_center(list, x * s, y * s, w, h, score, c, &box) ? REEL_OK : head_no_memory();
}

static enum reel_err read_grid(const struct head_params *p, const struct head_layout *l, const struct head_cell *cell,
                               struct head_list *list)
{
    const int numbers = BOX + p->classes;
    const struct head_group *g = &l->group[cell->group];
    enum reel_err err = REEL_OK;
    if (g->part[0].channels == numbers) // an anchor of its own: first all cells of the first one
        return read_anchor(p, l, cell, cell->i % (g->cells / ANCHORS), (int)(cell->i / (g->cells / ANCHORS)), 0, list);
    for (int a = 0; a < ANCHORS && !err; a++) err = read_anchor(p, l, cell, cell->i, a, a * numbers, list);
    return err;
}

const struct head_family head_grids = {.lay_out = lay_grids, .read = read_grid};

// ---- CenterNet: (classes, h, w) middles, (2, h, w) sizes, (2, h, w) offsets, of stride 4 ------
// "Objects as points" (Zhou et al. 2019, section 3): a middle is a score that none of its eight
// neighbours exceeds; size and offset are in cells (ctdet_decode).

#define CENTERNET_STRIDE 4

static enum reel_err lay_centernet(const struct head_params *p, const struct reel_shape *const *shape, int n_out,
                                   struct head_layout *l)
{
    const int64_t h = p->net_h / CENTERNET_STRIDE, w = p->net_w / CENTERNET_STRIDE;
    (void)n_out;
    for (int k = 0; k < 3; k++) {
        const struct reel_shape *s = shape[k];
        if (s->ndim != 4 || s->dim[0] != 1 || s->dim[1] != (k ? 2 : p->classes) || s->dim[2] != h || s->dim[3] != w ||
            reel_shape_count(s) < 1)
            return head_bad_shape(p->head, s);
        head_add_planes(&l->group[0], k, h * w, s->dim[1]);
    }
    l->n_groups = 1;
    l->cols = (int)w;
    l->read_all = true;
    head_score_by(l, GPU_PICK_ONE, HEAD_TERM(0, 0, p->classes), HEAD_NO_TERM);
    return REEL_OK;
}

// v: the score of column x, row y of a map.
static bool is_peak(const float *v, int64_t x, int64_t y, int64_t w, int64_t h)
{
    for (int dy = -1; dy <= 1; dy++)
        for (int dx = -1; dx <= 1; dx++) {
            if (x + dx < 0 || x + dx >= w || y + dy < 0 || y + dy >= h) continue;
            if (v[dy * w + dx] > *v) return false;
        }
    return true;
}

static enum reel_err read_centernet(const struct head_params *p, const struct head_layout *l,
                                    const struct head_cell *cell, struct head_list *list)
{
    const int64_t w = l->cols, h = l->cells / w, x = cell->i % w, y = cell->i / w;
    // A little below the threshold, so that few logits need their sigmoid.
    const float least = p->decoded ? p->score : logf(p->score / (1 - p->score)) - 1e-3f;
    for (int c = 0; c < p->classes; c++) {
        const float *v = cell->v[0] + (size_t)c * cell->step[0];
        if (*v < least) continue;
        const float score = p->decoded ? *v : head_sigmoid(*v);
        if (!(score >= p->score) || !is_peak(v, x, y, w, h)) continue;
        const float s = CENTERNET_STRIDE;
        struct head_box *box;
        if (!head_add_center(list, ((float)x + head_at(cell, 2, 0)) * s, ((float)y + head_at(cell, 2, 1)) * s,
                             head_at(cell, 1, 0) * s, head_at(cell, 1, 1) * s, score, c, &box))
            return head_no_memory();
    }
    return REEL_OK;
}

const struct head_family head_centernet = {.lay_out = lay_centernet, .read = read_centernet, .outputs = 3};

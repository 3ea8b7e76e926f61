// SPDX-License-Identifier: MIT
//
// See head_family.h. Detectors that output one row per object: DETR and its successors, which need no
// suppression, and networks that include it.
#include "worker/task/head_family.h"

#include <math.h>

// ---- DETR and its successors: class scores (N, classes) and boxes (N, 4) cx cy w h in 0..1 ------
// DETR: softmax over the classes and "no object", which comes last (Carion et al. 2020,
// section 3.1). RT-DETR, Deformable DETR, DINO: a sigmoid for each class; boxes and scores
// may also be the columns of one output.

static enum reel_err lay_queries(const struct head_params *p, const struct reel_shape *const *shape, int n_out,
                                 struct head_layout *l)
{
    const int none = p->head == MODEL_HEAD_DETR, box = n_out == 1 ? 4 : 0;
    int64_t n, cols, n_boxes, four;
    if (!head_as_rows(shape[0], &n, &cols) || cols != box + p->classes + none || p->classes < 1)
        return head_bad_shape(p->head, shape[0]);
    head_add_rows(&l->group[0], 0, n, cols);
    if (n_out > 1) {
        if (!head_as_rows(shape[1], &n_boxes, &four) || four != 4 || n_boxes != n)
            return head_bad_shape(p->head, shape[1]);
        head_add_rows(&l->group[0], 1, n, 4);
    }
    l->n_groups = 1;
    l->read_all = !p->decoded;
    head_score_by(l, GPU_PICK_ONE, HEAD_TERM(0, box, p->classes), HEAD_NO_TERM);
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
    int c = head_best_of(scores, p->classes, 1);
    float score = p->decoded                   ? scores[c]
                  : p->head == MODEL_HEAD_DETR ? softmax_of(scores, p->classes + 1, c)
                                               : head_sigmoid(scores[c]);
    float w = (float)p->net_w, h = (float)p->net_h;
    if (!(score >= p->score)) return REEL_OK;
    struct head_box *box;
    return head_add_center(list, b[0] * w, b[1] * h, b[2] * w, b[3] * h, score, c, &box) ? REEL_OK : head_no_memory();
}

const struct head_family head_queries = {.lay_out = lay_queries, .read = read_query, .outputs = 2};

// ---- rows of finished boxes ----------------------------------------------------
// (N, 6): x1 y1 x2 y2 score class (YOLOv10), possibly followed by keypoints or other columns (YOLO26);
// (N, 7): picture number x1 y1 x2 y2 class score (YOLOv7, end to end); of rotated boxes cx cy w h
// score class angle. RT-DETR as Ultralytics exports it: cx cy w h in 0..1, score, class.

// Whether the first column is the number of the picture.
static bool has_number(const struct head_params *p, int64_t cols)
{
    return cols == 7 && !p->turned;
}

static enum reel_err lay_finished(const struct head_params *p, const struct reel_shape *const *shape, int n_out,
                                  struct head_layout *l)
{
    int64_t n, cols;
    if (!head_as_rows(shape[0], &n, &cols) || cols < 6 || cols < 6 + p->points * p->point_floats)
        return head_bad_shape(p->head, shape[0]);
    head_add_rows(&l->group[0], 0, n, cols);
    l->n_groups = 1;
    head_score_by(l, GPU_PICK_ONE, HEAD_TERM(0, has_number(p, cols) ? 6 : 4, 1), HEAD_NO_TERM);
    return REEL_OK;
}

static enum reel_err read_finished(const struct head_params *p, const struct head_layout *l,
                                   const struct head_cell *cell, struct head_list *list)
{
    const bool number = has_number(p, l->row);
    const float *v = cell->v[0] + number;
    float score = number ? v[5] : v[4], class_id = number ? v[4] : v[5], w = v[2], h = v[3];
    if (!(score >= p->score) || !(class_id >= 0 && class_id < 1e6f)) return REEL_OK;
    struct head_box *box;
    if (p->turned || p->centres) {
        const float wide = p->centres ? (float)p->net_w : 1, high = p->centres ? (float)p->net_h : 1;
        if (p->turned) head_make_upright(v[6], &w, &h);
        return head_add_center(list, v[0] * wide, v[1] * high, w * wide, h * high, score, (int)class_id, &box)
                   ? REEL_OK
                   : head_no_memory();
    }
    if (!head_add_corners(list, v[0], v[1], v[2], v[3], score, (int)class_id, &box)) return head_no_memory();
    head_add_points(p, cell, 6, box);
    return REEL_OK;
}

const struct head_family head_rows = {.lay_out = lay_finished, .read = read_finished, .outputs = 1};

// ---- lists: boxes (N, 4), labels (N), scores (N) -----------------------------------
// Boxes are x1 y1 x2 y2 in network pixels (torchvision, deployed RT-DETR), or, if not
// decoded, y1 x1 y2 x2 in 0..1 (TensorFlow's detection API). As MMDetection exports them the
// score is a box's fifth number, and there are two outputs.

static enum reel_err lay_lists(const struct head_params *p, const struct reel_shape *const *shape, int n_out,
                               struct head_layout *l)
{
    int64_t n, cols;
    const int with_score = n_out == 2;
    if ((n_out != 2 && n_out != 3) || !head_as_rows(shape[0], &n, &cols) || cols != 4 + with_score)
        return head_bad_shape(p->head, shape[0]);
    head_add_rows(&l->group[0], 0, n, cols);
    for (int k = 1; k < n_out; k++) {
        if (reel_shape_count(shape[k]) != n) return head_bad_shape(p->head, shape[k]);
        head_add_rows(&l->group[0], k, n, 1);
    }
    l->n_groups = 1;
    head_score_by(l, GPU_PICK_ONE, with_score ? HEAD_TERM(0, 4, 1) : HEAD_TERM(2, 0, 1), HEAD_NO_TERM);
    return REEL_OK;
}

static enum reel_err read_list(const struct head_params *p, const struct head_layout *l, const struct head_cell *cell,
                               struct head_list *list)
{
    const float *b = cell->v[0], class_id = head_at(cell, 1, 0);
    const float score = l->group[0].n_parts > 2 ? head_at(cell, 2, 0) : b[4];
    float w = (float)p->net_w, h = (float)p->net_h;
    if (!(score >= p->score) || !(class_id >= 0 && class_id < 1e6f)) return REEL_OK;
    struct head_box *box;
    bool ok = p->decoded ? head_add_corners(list, b[0], b[1], b[2], b[3], score, (int)class_id, &box)
                         : head_add_corners(list, b[1] * w, b[0] * h, b[3] * w, b[2] * h, score, (int)class_id, &box);
    return ok ? REEL_OK : head_no_memory();
}

const struct head_family head_lists = {.lay_out = lay_lists, .read = read_list};

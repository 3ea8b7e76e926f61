// SPDX-License-Identifier: MIT
//
// See head_family.h. YOLO detectors that need non-maximum suppression (head_final.c has those that
// include it), and FastestDet.
#include "worker/task/head_family.h"

#include <math.h>

// ---- YOLOX, YOLOv5: (N, 5 + classes) cx cy w h objectness classes -------------
// Points may follow the classes (YOLOv7-pose, YOLOv7-face) or stand before them (YOLOv5-face).
// Where the graph does not decode YOLOX's boxes, they are offsets in cells of strides 8, 16
// and 32 (demo_postprocess in the YOLOX repository).

// Column, row and stride of cell i. False if it is beyond the last grid.
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

// Numbers of the points.
static int in_points(const struct head_params *p)
{
    return p->points * p->point_floats;
}

// The channel of the first class.
static int first_class(const struct head_params *p)
{
    return 5 + (p->points_first ? in_points(p) : 0);
}

static enum reel_err lay_yolo_rows(const struct head_params *p, const struct reel_shape *const *shape, int n_out,
                                   struct head_layout *l)
{
    int64_t n, cols;
    float x, y, s;
    if (!head_as_rows(shape[0], &n, &cols) || p->classes < 1 || cols < 5 + p->classes + in_points(p))
        return head_bad_shape(p->head, shape[0]);
    if (has_grid(p) && ((n > 0 && !grid_of(p, n - 1, &x, &y, &s)) || grid_of(p, n, &x, &y, &s)))
        return head_bad_shape(p->head, shape[0]);
    head_add_rows(&l->group[0], 0, n, cols);
    l->n_groups = 1;
    head_score_by(l, GPU_PICK_PRODUCT, HEAD_TERM(0, 4, 1), HEAD_TERM(0, first_class(p), p->classes));
    return REEL_OK;
}

static enum reel_err read_yolo_row(const struct head_params *p, const struct head_layout *l,
                                   const struct head_cell *cell, struct head_list *list)
{
    const float *row = cell->v[0];
    const int first = first_class(p), c = head_best_class(cell, 0, first, l->b.n);
    float score = row[4] * row[first + c], gx = 0, gy = 0, stride = 0;
    if (!(score >= p->score)) return REEL_OK;
    if (has_grid(p)) grid_of(p, cell->i, &gx, &gy, &stride);
    struct head_box *box;
    bool ok = stride > 0 ? head_add_center(list, (row[0] + gx) * stride, (row[1] + gy) * stride, expf(row[2]) * stride,
                                           expf(row[3]) * stride, score, c, &box)
                         : head_add_center(list, row[0], row[1], row[2], row[3], score, c, &box);
    if (!ok) return head_no_memory();
    head_add_points(p, cell, p->points_first ? 5 : 5 + p->classes, box);
    return REEL_OK;
}

const struct head_family head_yolo_rows = {.lay_out = lay_yolo_rows, .read = read_yolo_row, .outputs = 1};

// ---- YOLOv8: (4 + classes [+ extra], N), in network pixels ------------------------
// extra: 2 or 3 channels per keypoint, or an angle, or mask weights (read by detect.c).

static enum reel_err lay_yolov8(const struct head_params *p, const struct reel_shape *const *shape, int n_out,
                                struct head_layout *l)
{
    const int behind = p->points * p->point_floats + p->turned;
    if (shape[0]->ndim != 3 || shape[0]->dim[0] != 1 || p->classes < 1 || shape[0]->dim[1] < 4 + p->classes + behind)
        return head_bad_shape(p->head, shape[0]);
    head_add_planes(&l->group[0], 0, shape[0]->dim[2], shape[0]->dim[1]);
    l->n_groups = 1;
    head_score_by(l, GPU_PICK_ONE, HEAD_TERM(0, 4, p->classes), HEAD_NO_TERM);
    return REEL_OK;
}

static enum reel_err read_yolov8(const struct head_params *p, const struct head_layout *l, const struct head_cell *cell,
                                 struct head_list *list)
{
    int c = head_best_class(cell, 0, 4, p->classes), behind = 4 + p->classes;
    float score = head_at(cell, 0, 4 + c), w = head_at(cell, 0, 2), h = head_at(cell, 0, 3);
    if (!(score >= p->score)) return REEL_OK;
    if (p->turned) head_make_upright(head_at(cell, 0, behind), &w, &h);
    struct head_box *box;
    if (!head_add_center(list, head_at(cell, 0, 0), head_at(cell, 0, 1), w, h, score, c, &box)) return head_no_memory();
    head_add_points(p, cell, behind, box);
    return REEL_OK;
}

const struct head_family head_yolov8 = {.lay_out = lay_yolov8, .read = read_yolov8, .outputs = 1};

// ---- YOLO-NAS: boxes (N, 4) x1 y1 x2 y2 in network pixels, scores (N, classes) -----

static enum reel_err lay_yolo_nas(const struct head_params *p, const struct reel_shape *const *shape, int n_out,
                                  struct head_layout *l)
{
    int64_t n, cols, n_boxes, four;
    if (!head_as_rows(shape[0], &n_boxes, &four) || four != 4) return head_bad_shape(p->head, shape[0]);
    if (!head_as_rows(shape[1], &n, &cols) || cols != p->classes || n != n_boxes)
        return head_bad_shape(p->head, shape[1]);
    head_add_rows(&l->group[0], 0, n, 4);
    head_add_rows(&l->group[0], 1, n, cols);
    l->n_groups = 1;
    head_score_by(l, GPU_PICK_ONE, HEAD_TERM(1, 0, p->classes), HEAD_NO_TERM);
    return REEL_OK;
}

static enum reel_err read_yolo_nas(const struct head_params *p, const struct head_layout *l,
                                   const struct head_cell *cell, struct head_list *list)
{
    const float *b = cell->v[0];
    int c = head_best_class(cell, 1, 0, p->classes);
    float score = head_at(cell, 1, c);
    if (!(score >= p->score)) return REEL_OK;
    struct head_box *box;
    return head_add_corners(list, b[0], b[1], b[2], b[3], score, c, &box) ? REEL_OK : head_no_memory();
}

const struct head_family head_yolo_nas = {.lay_out = lay_yolo_nas, .read = read_yolo_nas, .outputs = 2};

// ---- FastestDet: (5 + classes, h, w) of stride 16 ------------------------------
// As in FastestDet's own example: the score is objectness^0.6 * class^0.4, the offset in the
// cell is a tanh, and the size, relative to the whole picture, is a sigmoid.

static enum reel_err lay_fastestdet(const struct head_params *p, const struct reel_shape *const *shape, int n_out,
                                    struct head_layout *l)
{
    if (shape[0]->ndim != 4 || shape[0]->dim[0] != 1 || shape[0]->dim[1] < 6) return head_bad_shape(p->head, shape[0]);
    head_add_planes(&l->group[0], 0, shape[0]->dim[2] * shape[0]->dim[3], shape[0]->dim[1]);
    l->n_groups = 1;
    l->cols = (int)shape[0]->dim[3];
    head_score_by(l, GPU_PICK_POWERS, HEAD_TERM(0, 0, 1), HEAD_TERM(0, 5, (int)shape[0]->dim[1] - 5));
    return REEL_OK;
}

static enum reel_err read_fastestdet(const struct head_params *p, const struct head_layout *l,
                                     const struct head_cell *cell, struct head_list *list)
{
    int k = head_best_class(cell, 0, 5, l->b.n);
    float score = powf(head_at(cell, 0, 0), 0.6f) * powf(head_at(cell, 0, 5 + k), 0.4f);
    if (!(score >= p->score)) return REEL_OK;
    int64_t w = l->cols, h = l->group[0].cells / w;
    float net_w = (float)p->net_w, net_h = (float)p->net_h;
    float cx = ((float)(cell->i % w) + tanhf(head_at(cell, 0, 1))) / (float)w;
    float cy = ((float)(cell->i / w) + tanhf(head_at(cell, 0, 2))) / (float)h;
    struct head_box *box;
    return head_add_center(list, cx * net_w, cy * net_h, head_sigmoid(head_at(cell, 0, 3)) * net_w,
                           head_sigmoid(head_at(cell, 0, 4)) * net_h, score, k, &box)
               ? REEL_OK
               : head_no_memory();
}

const struct head_family head_fastestdet = {.lay_out = lay_fastestdet, .read = read_fastestdet, .outputs = 1};

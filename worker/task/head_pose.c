// SPDX-License-Identifier: MIT
//
// head_family.h: networks that find the points of one body, hand or face that fills the
// picture (top-down pose): heatmaps (SimpleBaseline, HRNet, ViTPose), SimCC (RTMPose), and
// MoveNet. The whole output is one cell; the box is the one around the points.
#include "worker/task/head_family.h"

#include <math.h>

// Points below this score say nothing of box and score, as in HRNet's evaluation on COCO
// (IN_VIS_THRE).
#define SEEN 0.2f

struct head_point {
    float x, y, score; // in network pixels
};

// Adds an object with the points. Its score is the mean of those that are seen, unless it is
// given (not negative), and box is theirs, unless corners (x1 y1 x2 y2) are given.
static enum reel_err add_body(const struct head_params *p, const struct head_point *point, int n, float score,
                              const float *corners, struct head_list *list)
{
    float b[4] = {INFINITY, INFINITY, -INFINITY, -INFINITY}, sum = 0;
    int seen = 0;
    for (int i = 0; i < n; i++) {
        if (!(point[i].score >= SEEN)) continue;
        b[0] = fminf(b[0], point[i].x), b[1] = fminf(b[1], point[i].y);
        b[2] = fmaxf(b[2], point[i].x), b[3] = fmaxf(b[3], point[i].y);
        sum += point[i].score, seen++;
    }
    if (score < 0) score = seen ? fminf(sum / (float)seen, 1) : 0;
    if (!(score >= p->score) || (!seen && !corners)) return REEL_OK;
    for (int k = 0; k < 4 && corners; k++) b[k] = corners[k];
    struct head_box *box;
    // Points in a line, or a single one, still have a box.
    if (!head_add_corners(list, b[0], b[1], fmaxf(b[2], b[0] + 1), fmaxf(b[3], b[1] + 1), score, 0, &box))
        return head_no_memory();
    for (int i = 0; i < n; i++) head_add_point(box, point[i].x, point[i].y, point[i].score);
    return REEL_OK;
}

// ---- heatmaps: (points, h, w) or (h, w, points) -------------------------------------------
// The largest value of a map, moved by a quarter towards the larger neighbour, as by HRNet's
// get_final_preds() and MMPose. Networks trained with unbiased data processing (Huang et al. 2020)
// count pixels from the first one's middle to the last one's.

static bool points_last(const struct head_params *p, const struct reel_shape *s)
{
    return s->dim[1] != p->points && s->dim[3] == p->points;
}

static enum reel_err lay_heatmap(const struct head_params *p, const struct reel_shape *const *shape, int n_out,
                                 struct head_layout *l)
{
    const struct reel_shape *s = shape[0];
    const int64_t n = reel_shape_count(s);
    (void)n_out;
    if (s->ndim != 4 || s->dim[0] != 1 || n < 1 || n > 1 << 28 || p->points < 1 || p->points > REEL_OBJECT_POINTS ||
        s->dim[points_last(p, s) ? 3 : 1] != p->points)
        return head_bad_shape(p->head, s);
    head_add_rows(&l->group[0], 0, 1, n);
    // Maps that lie pixel by pixel are told apart by a second channel step.
    l->n_groups = 1;
    l->cols = (int)s->dim[points_last(p, s) ? 2 : 3];
    l->points_apart = points_last(p, s) ? 1 : (size_t)(n / p->points);
    l->read_all = true;
    head_score_by(l, GPU_PICK_ONE, HEAD_TERM(0, 0, (int)n), HEAD_NO_TERM);
    return REEL_OK;
}

static float towards(float before, float behind)
{
    return behind > before ? 0.25f : behind < before ? -0.25f : 0;
}

// Pixels of the network's input between two cells, of which there are n in so many pixels.
static float apart(const struct head_params *p, int pixels, int n)
{
    return p->udp && n > 1 ? (float)(pixels - 1) / (float)(n - 1) : (float)pixels / (float)n;
}

static enum reel_err read_heatmap(const struct head_params *p, const struct head_layout *l,
                                  const struct head_cell *cell, struct head_list *list)
{
    const int pixels = l->group[0].part[0].channels / p->points, w = l->cols, h = pixels / w;
    const size_t px = l->points_apart == 1 ? (size_t)p->points : 1, row = px * (size_t)w;
    struct head_point point[REEL_OBJECT_POINTS];
    for (int k = 0; k < p->points; k++) {
        const float *map = cell->v[0] + (size_t)k * l->points_apart;
        const int best = head_best_of(map, pixels, px), x = best % w, y = best / w;
        const float *v = map + (size_t)best * px;
        float at_x = (float)x, at_y = (float)y;
        if (x > 1 && x < w - 1 && y > 1 && y < h - 1) // not at the edges, as published
            at_x += towards(v[-(ptrdiff_t)px], v[px]), at_y += towards(v[-(ptrdiff_t)row], v[row]);
        point[k] = (struct head_point){at_x * apart(p, p->net_w, w), at_y * apart(p, p->net_h, h), *v};
    }
    return add_body(p, point, p->points, -1, NULL, list);
}

const struct head_family head_heatmap = {.lay_out = lay_heatmap, .read = read_heatmap, .outputs = 1};

// ---- SimCC: (points, columns) and (points, rows), some for each pixel ---------------------
// Li et al. 2022; a point's score is the smaller of the two largest values, as by MMPose's
// get_simcc_maximum().

static enum reel_err lay_simcc(const struct head_params *p, const struct reel_shape *const *shape, int n_out,
                               struct head_layout *l)
{
    (void)n_out;
    for (int k = 0; k < 2; k++) {
        int64_t n, cols;
        if (!head_as_rows(shape[k], &n, &cols) || n != p->points || n < 1 || n > REEL_OBJECT_POINTS)
            return head_bad_shape(p->head, shape[k]);
        head_add_rows(&l->group[0], k, 1, n * cols);
    }
    l->n_groups = 1;
    l->read_all = true;
    head_score_by(l, GPU_PICK_ONE, HEAD_TERM(0, 0, 1), HEAD_NO_TERM);
    return REEL_OK;
}

static enum reel_err read_simcc(const struct head_params *p, const struct head_layout *l, const struct head_cell *cell,
                                struct head_list *list)
{
    struct head_point point[REEL_OBJECT_POINTS];
    const int size[2] = {p->net_w, p->net_h};
    for (int i = 0; i < p->points; i++) {
        float at[2], most[2];
        for (int k = 0; k < 2; k++) {
            const int n = l->group[0].part[k].channels / p->points;
            const float *v = cell->v[k] + (size_t)i * (size_t)n;
            const int best = head_best_of(v, n, 1);
            at[k] = (float)best * (float)size[k] / (float)n, most[k] = v[best];
        }
        point[i] = (struct head_point){at[0], at[1], most[0] < most[1] ? most[0] : most[1]};
    }
    return add_body(p, point, p->points, -1, NULL, list);
}

const struct head_family head_simcc = {.lay_out = lay_simcc, .read = read_simcc, .outputs = 2};

// ---- MoveNet: rows of points y x score in 0..1 ------------------------------------------------
// The single-pose networks have one row of points; of the multi-pose one y1 x1 y2 x2 score
// of the body follow, and there are six rows (TensorFlow Hub's model cards).

#define BODY_NUMBERS 5

static enum reel_err lay_movenet(const struct head_params *p, const struct reel_shape *const *shape, int n_out,
                                 struct head_layout *l)
{
    const int64_t points = 3LL * p->points, n = reel_shape_count(shape[0]);
    const int64_t last = shape[0]->ndim > 0 ? shape[0]->dim[shape[0]->ndim - 1] : 0;
    const int64_t row = last == points + BODY_NUMBERS ? last : points;
    (void)n_out;
    if (p->points < 1 || p->points > REEL_OBJECT_POINTS || n < 1 || n % row || n / row > 1 << 20)
        return head_bad_shape(p->head, shape[0]);
    head_add_rows(&l->group[0], 0, n / row, row);
    l->n_groups = 1;
    l->read_all = true;
    head_score_by(l, GPU_PICK_ONE, HEAD_TERM(0, 0, 1), HEAD_NO_TERM);
    return REEL_OK;
}

static enum reel_err read_movenet(const struct head_params *p, const struct head_layout *l,
                                  const struct head_cell *cell, struct head_list *list)
{
    struct head_point point[REEL_OBJECT_POINTS];
    const float w = (float)p->net_w, h = (float)p->net_h, *v = cell->v[0];
    for (int k = 0; k < p->points; k++, v += 3) {
        const bool finite = isfinite(v[0]) && isfinite(v[1]) && isfinite(v[2]);
        point[k] = finite ? (struct head_point){v[1] * w, v[0] * h, v[2]} : (struct head_point){0};
    }
    if (l->row == 3 * p->points) return add_body(p, point, p->points, -1, NULL, list);
    const float corners[4] = {v[1] * w, v[0] * h, v[3] * w, v[2] * h};
    return add_body(p, point, p->points, v[4] >= 0 ? v[4] : 0, corners, list);
}

const struct head_family head_movenet = {.lay_out = lay_movenet, .read = read_movenet, .outputs = 1};

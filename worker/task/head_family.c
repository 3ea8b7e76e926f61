// SPDX-License-Identifier: MIT
//
// See head_family.h. Helpers that the families of detection heads share.
#include "worker/task/head_family.h"

#include <math.h>
#include <stdlib.h>

// ---- layouts --------------------------------------------------------------------

bool head_as_rows(const struct reel_shape *shape, int64_t *out_rows, int64_t *out_cols)
{
    int64_t n = reel_shape_count(shape);
    if (shape->ndim < 1 || n < 0) return false;
    *out_cols = shape->dim[shape->ndim - 1];
    if (*out_cols < 1 || *out_cols > 1 << 20) return false;
    *out_rows = n / *out_cols;
    return true;
}

void head_add_rows(struct head_group *g, int output, int64_t cells, int64_t cols)
{
    g->cells = cells;
    g->part[g->n_parts++] = (struct head_part){
        .output = output, .channels = (int)cols, .cells = cells, .cell_step = (size_t)cols, .channel_step = 1};
}

void head_add_planes(struct head_group *g, int output, int64_t cells, int64_t channels)
{
    g->cells = cells;
    g->part[g->n_parts++] = (struct head_part){
        .output = output, .channels = (int)channels, .cells = cells, .cell_step = 1, .channel_step = (size_t)cells};
}

void head_score_by(struct head_layout *l, enum gpu_pick_score score, struct gpu_pick_term a, struct gpu_pick_term b)
{
    l->score = score, l->a = a, l->b = b;
}

enum reel_err head_bad_shape(enum model_head head, const struct reel_shape *shape)
{
    char text[96];
    return reel_fail(REEL_ERR_UNSUPPORTED, "could not read detections of head \"%s\": an output has shape %s",
                     model_head_name(head), reel_shape_text(shape, text, sizeof text));
}

// ---- cells ----------------------------------------------------------------------

void head_make_upright(float angle, float *w, float *h)
{
    const float cosine = fabsf(cosf(angle)), sine = fabsf(sinf(angle)), wide = *w * cosine + *h * sine;
    *h = *w * sine + *h * cosine, *w = wide;
}

int head_best_of(const float *v, int n, size_t step)
{
    int best = 0;
    for (int i = 1; i < n; i++)
        if (v[(size_t)i * step] > v[(size_t)best * step]) best = i;
    return best;
}

int head_best_class(const struct head_cell *c, int part, int from, int n)
{
    size_t step = c->step[part];
    const float *v = c->v[part] + (size_t)from * step;
    return step == 1 ? head_best_of(v, n, 1) : head_best_of(v, n, step);
}

float head_sigmoid(float v)
{
    return 1.0f / (1.0f + expf(-v));
}

// ---- boxes ----------------------------------------------------------------------

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

bool head_add_corners(struct head_list *list, float x1, float y1, float x2, float y2, float score, int class_id,
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

bool head_add_center(struct head_list *list, float cx, float cy, float w, float h, float score, int class_id,
                     struct head_box **out_box)
{
    return head_add_corners(list, cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2, score, class_id, out_box);
}

void head_add_point(struct head_box *b, float x, float y, float score)
{
    if (!b || b->n_points == REEL_OBJECT_POINTS || !isfinite(x) || !isfinite(y)) return;
    b->point[b->n_points].x = x;
    b->point[b->n_points].y = y;
    b->point[b->n_points++].score = score;
}

void head_add_points(const struct head_params *p, const struct head_cell *cell, int at, struct head_box *box)
{
    for (int k = 0; k < p->points; k++, at += p->point_floats)
        head_add_point(box, head_at(cell, 0, at), head_at(cell, 0, at + 1),
                       p->point_floats > 2 ? head_at(cell, 0, at + 2) : 1);
}

enum reel_err head_no_memory(void)
{
    return reel_fail(REEL_ERR_NOMEM, "could not read detections: out of memory");
}

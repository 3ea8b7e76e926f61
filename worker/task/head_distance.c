// SPDX-License-Identifier: MIT
//
// head_family.h: detectors whose boxes are distances from a point of a grid to the four
// sides: SCRFD (faces), NanoDet and PicoDet.
#include "worker/task/head_family.h"

#include <math.h>

#define BINS 8 // of a distance's distribution: 0 to 7 strides

// Columns and rows of the grid of a stride.
static void grid_size(const struct head_params *p, int stride, int64_t *out_w, int64_t *out_h)
{
    *out_w = (p->net_w + stride - 1) / stride, *out_h = (p->net_h + stride - 1) / stride;
}

static int64_t grid_cells(const struct head_params *p, int stride)
{
    int64_t w, h;
    grid_size(p, stride, &w, &h);
    return w * h;
}

// ---- SCRFD: for each stride scores (N, 1), distances (N, 4) and points (N, 10) --------
// As by InsightFace (detection/scrfd): all are in strides, from the upper left corner of a
// cell, each of which has one or more rows. The points may be missing.

#define STRIDES 3

static enum reel_err lay_scrfd(const struct head_params *p, const struct reel_shape *const *shape, int n_out,
                               struct head_layout *l)
{
    static const int64_t widths[3] = {1, 4, 10};
    if (n_out != 2 * STRIDES && n_out != 3 * STRIDES) return head_bad_shape(p->head, shape[0]);
    for (int i = 0; i < STRIDES; i++) {
        const int64_t cells = grid_cells(p, 8 << i);
        int64_t rows = 0;
        for (int k = 0; k < n_out / STRIDES; k++) {
            int64_t n, c;
            const struct reel_shape *s = shape[k * STRIDES + i];
            if (!head_as_rows(s, &n, &c) || c != widths[k] || n < 1 || cells < 1 || n % cells || (k && n != rows))
                return head_bad_shape(p->head, s);
            rows = n;
            head_add_rows(&l->group[i], k * STRIDES + i, n, c);
        }
    }
    l->n_groups = STRIDES;
    head_score_by(l, GPU_PICK_ONE, HEAD_TERM(0, 0, 1), HEAD_NO_TERM);
    return REEL_OK;
}

static enum reel_err read_scrfd(const struct head_params *p, const struct head_layout *l, const struct head_cell *cell,
                                struct head_list *list)
{
    const float score = head_at(cell, 0, 0), *d = cell->v[1];
    if (!(score >= p->score)) return REEL_OK;
    const int stride = 8 << cell->group;
    int64_t w, h;
    grid_size(p, stride, &w, &h);
    const int64_t at = cell->i / (l->group[cell->group].cells / (w * h));
    const float s = (float)stride, x = (float)(at % w) * s, y = (float)(at / w) * s;
    struct head_box *box;
    if (!head_add_corners(list, x - d[0] * s, y - d[1] * s, x + d[2] * s, y + d[3] * s, score, 0, &box))
        return head_no_memory();
    const float *k = l->group[0].n_parts > 2 ? cell->v[2] : NULL;
    for (int j = 0; k && j < 5; j++) head_add_point(box, x + k[2 * j] * s, y + k[2 * j + 1] * s, 1);
    return REEL_OK;
}

const struct head_family head_scrfd = {.lay_out = lay_scrfd, .read = read_scrfd};

// ---- NanoDet, PicoDet: scores of classes and distributions of four distances -------
// "Generalized focal loss" (Li et al. 2020): a distance is the mean of its distribution.

static float mean_of(const float *logits)
{
    float most = logits[0], sum = 0, mean = 0;
    for (int i = 1; i < BINS; i++) most = logits[i] > most ? logits[i] : most;
    for (int i = 0; i < BINS; i++) {
        const float e = expf(logits[i] - most);
        sum += e, mean += e * (float)i;
    }
    return mean / sum;
}

// d: the four distributions.
static enum reel_err add_by_distances(struct head_list *list, float x, float y, float stride, const float *d,
                                      float score, int class_id)
{
    float side[4];
    for (int k = 0; k < 4; k++) side[k] = mean_of(d + (ptrdiff_t)k * BINS) * stride;
    struct head_box *box;
    return head_add_corners(list, x - side[0], y - side[1], x + side[2], y + side[3], score, class_id, &box)
               ? REEL_OK
               : head_no_memory();
}

// Strides of so many cells: 8 to 32 (NanoDet) or 8 to 64 (NanoDet-Plus); 0: of none.
static int strides_of(const struct head_params *p, int64_t cells)
{
    int64_t n = 0;
    for (int k = 0; k < 4; k++)
        if ((n += grid_cells(p, 8 << k)) == cells && k >= 2) return k + 1;
    return 0;
}

static enum reel_err lay_nanodet(const struct head_params *p, const struct reel_shape *const *shape, int n_out,
                                 struct head_layout *l)
{
    int64_t n, cols;
    if (n_out != 1 || !head_as_rows(shape[0], &n, &cols) || p->classes < 1 || cols != p->classes + 4 * BINS ||
        !strides_of(p, n))
        return head_bad_shape(p->head, shape[0]);
    head_add_rows(&l->group[0], 0, n, cols);
    l->n_groups = 1;
    head_score_by(l, GPU_PICK_ONE, HEAD_TERM(0, 0, p->classes), HEAD_NO_TERM);
    return REEL_OK;
}

static enum reel_err read_nanodet(const struct head_params *p, const struct head_layout *l,
                                  const struct head_cell *cell, struct head_list *list)
{
    const int c = head_best_class(cell, 0, 0, p->classes);
    const float score = head_at(cell, 0, c);
    if (!(score >= p->score)) return REEL_OK;
    // Of the first version the points are the middles of cells, of the second their corners.
    const float middle = strides_of(p, l->cells) == 3 ? 0.5f : 0;
    int64_t i = cell->i, w, h;
    int stride = 8;
    for (; i >= grid_cells(p, stride) && stride < 64; stride *= 2) i -= grid_cells(p, stride);
    grid_size(p, stride, &w, &h);
    const float s = (float)stride;
    return add_by_distances(list, ((float)(i % w) + middle) * s, ((float)(i / w) + middle) * s, s,
                            cell->v[0] + p->classes, score, c);
}

const struct head_family head_nanodet = {.lay_out = lay_nanodet, .read = read_nanodet};

// PicoDet (PaddleDetection, exported without its suppression): for each of the strides 8 to 64
// scores (N, classes), then for each the distributions (N, 32).

static enum reel_err lay_picodet(const struct head_params *p, const struct reel_shape *const *shape, int n_out,
                                 struct head_layout *l)
{
    if (n_out != 2 * HEAD_GROUPS || p->classes < 1) return head_bad_shape(p->head, shape[0]);
    for (int i = 0; i < HEAD_GROUPS; i++) {
        for (int k = 0; k < 2; k++) {
            int64_t n, c;
            const struct reel_shape *s = shape[k * HEAD_GROUPS + i];
            if (!head_as_rows(s, &n, &c) || c != (k ? 4 * BINS : p->classes) || n != grid_cells(p, 8 << i))
                return head_bad_shape(p->head, s);
            head_add_rows(&l->group[i], k * HEAD_GROUPS + i, n, c);
        }
    }
    l->n_groups = HEAD_GROUPS;
    head_score_by(l, GPU_PICK_ONE, HEAD_TERM(0, 0, p->classes), HEAD_NO_TERM);
    return REEL_OK;
}

static enum reel_err read_picodet(const struct head_params *p, const struct head_layout *l,
                                  const struct head_cell *cell, struct head_list *list)
{
    const int c = head_best_class(cell, 0, 0, p->classes);
    const float score = head_at(cell, 0, c), s = (float)(8 << cell->group);
    if (!(score >= p->score)) return REEL_OK;
    int64_t w, h;
    grid_size(p, 8 << cell->group, &w, &h);
    return add_by_distances(list, ((float)(cell->i % w) + 0.5f) * s, ((float)(cell->i / w) + 0.5f) * s, s, cell->v[1],
                            score, c);
}

const struct head_family head_picodet = {.lay_out = lay_picodet, .read = read_picodet};

// SPDX-License-Identifier: MIT
//
// See head_family.h. Detectors of faces and objects whose boxes are offsets from a grid or from prior
// boxes (YuNet, RetinaFace, UltraFace, SSD).
#include "worker/task/head_family.h"

#include <math.h>
#include <string.h>

#include "kernels/math.h"

// ---- YuNet 2023 ----------------------------------------------------------------
// For each stride cls (N, 1), obj (N, 1), bbox (N, 4) and kps (N, 10), decoded as by
// FaceDetectorYN of OpenCV 4.8.

static enum reel_err lay_yunet(const struct head_params *p, const struct reel_shape *const *shape, int n_out,
                               struct head_layout *l)
{
    static const int64_t widths[4] = {1, 1, 4, 10};
    for (int i = 0; i < 3; i++) {
        int stride = 8 << i, cols = p->net_w / stride, rows = p->net_h / stride;
        for (int k = 0; k < 4; k++) {
            int64_t n, c;
            const struct reel_shape *s = shape[3 * k + i];
            if (!head_as_rows(s, &n, &c) || c != widths[k] || n != (int64_t)rows * cols)
                return head_bad_shape(p->head, s);
            head_add_rows(&l->group[i], 3 * k + i, n, c);
        }
    }
    l->n_groups = 3;
    head_score_by(l, GPU_PICK_ROOT, HEAD_TERM(0, 0, 1), HEAD_TERM(1, 0, 1));
    return REEL_OK;
}

static enum reel_err read_yunet(const struct head_params *p, const struct head_layout *l, const struct head_cell *cell,
                                struct head_list *list)
{
    float score = sqrtf(kern_clip01_f32(head_at(cell, 0, 0)) * kern_clip01_f32(head_at(cell, 1, 0)));
    if (!(score >= p->score)) return REEL_OK;
    int stride = 8 << cell->group, cols = p->net_w / stride;
    float s = (float)stride, r = (float)(cell->i / cols), c = (float)(cell->i % cols);
    const float *b = cell->v[2], *k = cell->v[3];
    struct head_box *box;
    if (!head_add_center(list, (c + b[0]) * s, (r + b[1]) * s, expf(b[2]) * s, expf(b[3]) * s, score, 0, &box))
        return head_no_memory();
    for (int j = 0; j < 5; j++) head_add_point(box, (k[2 * j] + c) * s, (k[2 * j + 1] + r) * s, 1);
    return REEL_OK;
}

const struct head_family head_yunet = {.lay_out = lay_yunet, .read = read_yunet, .outputs = 12};

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
    // Halved with the same rounding as in the network's pooling layers.
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

// Prior number i. Priors are numbered row by row; the sizes of one position are neighbours.
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

// Adds a box. loc: its four offsets; points: ten more, or NULL.
static enum reel_err put_prior(const struct head_params *p, const struct head_cell *cell, const float *loc,
                               const float *points, float score, struct head_list *list)
{
    struct prior a = prior_of(p, cell->i);
    float cx = a.cx + loc[0] * 0.1f * a.w, cy = a.cy + loc[1] * 0.1f * a.h;
    float w = a.w * expf(loc[2] * 0.2f), h = a.h * expf(loc[3] * 0.2f);
    struct head_box *box;
    if (!head_add_center(list, cx, cy, w, h, score, 0, &box)) return head_no_memory();
    for (int j = 0; points && j < 5; j++)
        head_add_point(box, a.cx + points[2 * j] * 0.1f * a.w, a.cy + points[2 * j + 1] * 0.1f * a.h, 1);
    return REEL_OK;
}

// Layout of three outputs with one row per prior, of the given widths.
static enum reel_err lay_priors(const struct head_params *p, const struct reel_shape *const *shape,
                                const int64_t widths[3], struct head_layout *l)
{
    struct prior_level levels[LEVELS];
    int n_levels = levels_of(p, levels);
    int64_t n = count_priors(levels, n_levels), rows, cols;
    for (int k = 0; k < 3; k++) {
        if (!head_as_rows(shape[k], &rows, &cols) || rows != n || cols != widths[k])
            return head_bad_shape(p->head, shape[k]);
        head_add_rows(&l->group[0], k, rows, cols);
    }
    l->n_groups = 1;
    return REEL_OK;
}

// loc (N, 14): offsets and points, conf (N, 2), iou (N, 1)
static enum reel_err lay_yunet_2021(const struct head_params *p, const struct reel_shape *const *shape, int n_out,
                                    struct head_layout *l)
{
    head_score_by(l, GPU_PICK_ROOT, HEAD_TERM(1, 1, 1), HEAD_TERM(2, 0, 1));
    return lay_priors(p, shape, (const int64_t[]){14, 2, 1}, l);
}

static enum reel_err read_yunet_2021(const struct head_params *p, const struct head_layout *l,
                                     const struct head_cell *cell, struct head_list *list)
{
    float score = sqrtf(kern_clip01_f32(head_at(cell, 1, 1)) * kern_clip01_f32(head_at(cell, 2, 0)));
    return score >= p->score ? put_prior(p, cell, cell->v[0], cell->v[0] + 4, score, list) : REEL_OK;
}

const struct head_family head_yunet_2021 = {.lay_out = lay_yunet_2021, .read = read_yunet_2021, .outputs = 3};

// loc (N, 4), conf (N, 2), points (N, 10)
static enum reel_err lay_retinaface(const struct head_params *p, const struct reel_shape *const *shape, int n_out,
                                    struct head_layout *l)
{
    head_score_by(l, GPU_PICK_ONE, HEAD_TERM(1, 1, 1), HEAD_NO_TERM);
    return lay_priors(p, shape, (const int64_t[]){4, 2, 10}, l);
}

static enum reel_err read_retinaface(const struct head_params *p, const struct head_layout *l,
                                     const struct head_cell *cell, struct head_list *list)
{
    float score = head_at(cell, 1, 1);
    return score >= p->score ? put_prior(p, cell, cell->v[0], cell->v[2], score, list) : REEL_OK;
}

const struct head_family head_retinaface = {.lay_out = lay_retinaface, .read = read_retinaface, .outputs = 3};

// ---- SSD: scores (N, 1 + classes), boxes (N, 4) --------------------------------
// Boxes are corners in 0..1 or, in exports without the decoding, offsets from UltraFace's priors.

static enum reel_err lay_ssd(const struct head_params *p, const struct reel_shape *const *shape, int n_out,
                             struct head_layout *l)
{
    int64_t n, cols, n_boxes, four;
    if (!head_as_rows(shape[0], &n, &cols) || cols < 2) return head_bad_shape(p->head, shape[0]);
    if (!head_as_rows(shape[1], &n_boxes, &four) || four != 4 || n_boxes != n) return head_bad_shape(p->head, shape[1]);
    if (!p->decoded && (cols != 2 || n != head_ultraface_priors(p->net_w, p->net_h)))
        return head_bad_shape(p->head, shape[1]);
    head_add_rows(&l->group[0], 0, n, cols);
    head_add_rows(&l->group[0], 1, n, 4);
    l->n_groups = 1;
    head_score_by(l, GPU_PICK_ONE, HEAD_TERM(0, 1, (int)cols - 1), HEAD_NO_TERM);
    return REEL_OK;
}

static enum reel_err read_ssd(const struct head_params *p, const struct head_layout *l, const struct head_cell *cell,
                              struct head_list *list)
{
    int c = head_best_class(cell, 0, 1, l->a.n);
    float score = head_at(cell, 0, 1 + c);
    const float *b = cell->v[1];
    if (!(score >= p->score)) return REEL_OK;
    if (!p->decoded) return put_prior(p, cell, b, NULL, score, list);
    float w = (float)p->net_w, h = (float)p->net_h;
    struct head_box *box;
    return head_add_corners(list, b[0] * w, b[1] * h, b[2] * w, b[3] * h, score, c, &box) ? REEL_OK : head_no_memory();
}

const struct head_family head_ssd = {.lay_out = lay_ssd, .read = read_ssd, .outputs = 2};

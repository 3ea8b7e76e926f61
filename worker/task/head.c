// SPDX-License-Identifier: MIT
//
// head.h: one function per family. Each states the shapes it reads and where
// its formulas come from; shapes are checked before the first element is.
#include "worker/task/head.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// ---- help -------------------------------------------------------------------

static enum reel_err bad_shape(enum model_head head, const struct reel_tensor *t)
{
    char text[96];
    return reel_fail(REEL_ERR_UNSUPPORTED, "could not read detections of head \"%s\": an output has shape %s",
                     model_head_name(head), reel_shape_text(&t->shape, text, sizeof text));
}

// Rows and columns of a tensor whose last extent is the columns.
static bool as_rows(const struct reel_tensor *t, int64_t *out_rows, int64_t *out_cols)
{
    int64_t n = reel_tensor_count(t);
    if (t->shape.ndim < 1 || n < 0) return false;
    *out_cols = t->shape.dim[t->shape.ndim - 1];
    if (*out_cols < 1) return false;
    *out_rows = n / *out_cols;
    return t->data || n == 0;
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

// ---- YuNet 2023: per stride cls (N, 1), obj (N, 1), bbox (N, 4), kps (N, 10) --
// As FaceDetectorYN of OpenCV 4.8 decodes them.

static enum reel_err decode_yunet_stride(const struct head_params *p, const struct reel_tensor *const *out, int i,
                                         struct head_list *list)
{
    int stride = 8 << i, cols = p->net_w / stride, rows = p->net_h / stride;
    static const int64_t widths[4] = {1, 1, 4, 10};
    for (int k = 0; k < 4; k++) {
        int64_t n, c;
        const struct reel_tensor *t = out[3 * k + i];
        if (!as_rows(t, &n, &c) || c != widths[k] || n != (int64_t)rows * cols) return bad_shape(p->head, t);
    }
    const float *cls = out[i]->data, *obj = out[3 + i]->data, *bbox = out[6 + i]->data, *kps = out[9 + i]->data;
    float s = (float)stride;
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < cols; c++) {
            size_t at = (size_t)r * (size_t)cols + (size_t)c;
            float score = sqrtf(clip01(cls[at]) * clip01(obj[at]));
            if (!(score >= p->score)) continue;
            const float *b = bbox + 4 * at, *k = kps + 10 * at;
            struct head_box *box;
            if (!add_center(list, ((float)c + b[0]) * s, ((float)r + b[1]) * s, expf(b[2]) * s, expf(b[3]) * s, score,
                            0, &box))
                return no_memory();
            for (int j = 0; j < 5; j++) add_point(box, (k[2 * j] + (float)c) * s, (k[2 * j + 1] + (float)r) * s, 1);
        }
    return REEL_OK;
}

static enum reel_err decode_yunet(const struct head_params *p, const struct reel_tensor *const *out,
                                  struct head_list *list)
{
    for (int i = 0; i < 3; i++) {
        enum reel_err err = decode_yunet_stride(p, out, i, list);
        if (err) return err;
    }
    return REEL_OK;
}

// ---- priors: YuNet 2021, RetinaFace, UltraFace ----------------------------------------
// Offsets from prior boxes with variances 0.1 and 0.2 (SSD, section 2.2 of the
// paper; libfacedetection.train; Pytorch_Retinaface).

struct prior_level {
    int step, rows, cols, n_sizes;
    int sizes[3];
};

struct prior {
    float cx, cy, w, h; // in network pixels
};

static enum reel_err put_prior(const struct head_params *p, const struct prior *a, const float *loc,
                               const float *points, float score, struct head_list *list)
{
    float cx = a->cx + loc[0] * 0.1f * a->w, cy = a->cy + loc[1] * 0.1f * a->h;
    float w = a->w * expf(loc[2] * 0.2f), h = a->h * expf(loc[3] * 0.2f);
    struct head_box *box;
    if (!add_center(list, cx, cy, w, h, score, 0, &box)) return no_memory();
    for (int j = 0; points && j < 5; j++)
        add_point(box, a->cx + points[2 * j] * 0.1f * a->w, a->cy + points[2 * j + 1] * 0.1f * a->h, 1);
    return REEL_OK;
}

// loc: rows of loc_cols, four offsets and then perhaps the points; points: rows
// of their own, or NULL; without either (loc_cols 4) there are none. iou: confidence of the box, or NULL.
static enum reel_err walk_priors(const struct head_params *p, const struct prior_level *levels, int n_levels,
                                 const float *loc, int64_t loc_cols, const float *points, const float *conf,
                                 const float *iou, struct head_list *list)
{
    int64_t at = 0;
    for (int l = 0; l < n_levels; l++)
        for (int r = 0; r < levels[l].rows; r++)
            for (int c = 0; c < levels[l].cols; c++)
                for (int k = 0; k < levels[l].n_sizes; k++, at++) {
                    float score = iou ? sqrtf(clip01(conf[2 * at + 1]) * clip01(iou[at])) : conf[2 * at + 1];
                    if (!(score >= p->score)) continue;
                    float size = (float)levels[l].sizes[k], step = (float)levels[l].step;
                    struct prior a = {((float)c + 0.5f) * step, ((float)r + 0.5f) * step, size, size};
                    const float *o = loc + at * loc_cols, *tail = loc_cols > 4 ? o + 4 : NULL;
                    enum reel_err err = put_prior(p, &a, o, points ? points + 10 * at : tail, score, list);
                    if (err) return err;
                }
    return REEL_OK;
}

static int64_t count_priors(const struct prior_level *levels, int n)
{
    int64_t sum = 0;
    for (int l = 0; l < n; l++) sum += (int64_t)levels[l].rows * levels[l].cols * levels[l].n_sizes;
    return sum;
}

static enum reel_err check_rows(const struct head_params *p, const struct reel_tensor *t, int64_t rows, int64_t cols)
{
    int64_t n, c;
    return as_rows(t, &n, &c) && n == rows && c == cols ? REEL_OK : bad_shape(p->head, t);
}

// loc (N, 14), conf (N, 2), iou (N, 1)
static enum reel_err decode_yunet_2021(const struct head_params *p, const struct reel_tensor *const *out,
                                       struct head_list *list)
{
    // Sizes halve with rounding as the network's poolings do.
    int w = (p->net_w + 1) / 2 / 2, h = (p->net_h + 1) / 2 / 2;
    struct prior_level levels[4] = {
        {8, 0, 0, 3, {10, 16, 24}}, {16, 0, 0, 2, {32, 48}}, {32, 0, 0, 2, {64, 96}}, {64, 0, 0, 3, {128, 192, 256}}};
    for (int l = 0; l < 4; l++) levels[l].cols = w /= 2, levels[l].rows = h /= 2;
    int64_t n = count_priors(levels, 4);
    enum reel_err err = check_rows(p, out[0], n, 14);
    if (!err) err = check_rows(p, out[1], n, 2);
    if (!err) err = check_rows(p, out[2], n, 1);
    if (err) return err;
    return walk_priors(p, levels, 4, out[0]->data, 14, NULL, out[1]->data, out[2]->data, list);
}

// loc (N, 4), conf (N, 2), points (N, 10)
static enum reel_err decode_retinaface(const struct head_params *p, const struct reel_tensor *const *out,
                                       struct head_list *list)
{
    struct prior_level levels[3] = {{8, 0, 0, 2, {16, 32}}, {16, 0, 0, 2, {64, 128}}, {32, 0, 0, 2, {256, 512}}};
    for (int l = 0; l < 3; l++) {
        levels[l].cols = (p->net_w + levels[l].step - 1) / levels[l].step;
        levels[l].rows = (p->net_h + levels[l].step - 1) / levels[l].step;
    }
    int64_t n = count_priors(levels, 3);
    enum reel_err err = check_rows(p, out[0], n, 4);
    if (!err) err = check_rows(p, out[1], n, 2);
    if (!err) err = check_rows(p, out[2], n, 10);
    if (err) return err;
    return walk_priors(p, levels, 3, out[0]->data, 4, out[2]->data, out[1]->data, NULL, list);
}

// ---- SSD: scores (N, 1 + classes), boxes (N, 4) --------------------------------
// Corners in 0..1; or, where the export ends before they are decoded, offsets
// from the priors of UltraFace (Ultra-Light-Fast-Generic-Face-Detector-1MB,
// vision/ssd/config/fd_config.py).

static void ultraface_levels(int w, int h, struct prior_level levels[4])
{
    static const int sizes[4][3] = {{10, 16, 24}, {32, 48}, {64, 96}, {128, 192, 256}};
    for (int l = 0; l < 4; l++) {
        int step = 8 << l;
        levels[l] = (struct prior_level){step, (h + step - 1) / step, (w + step - 1) / step, sizes[l][2] ? 3 : 2};
        memcpy(levels[l].sizes, sizes[l], sizeof sizes[l]);
    }
}

int64_t head_ultraface_priors(int w, int h)
{
    struct prior_level levels[4];
    ultraface_levels(w, h, levels);
    return count_priors(levels, 4);
}

static enum reel_err decode_ssd(const struct head_params *p, const struct reel_tensor *const *out,
                                struct head_list *list)
{
    int64_t n, cols, n_boxes, four;
    if (!as_rows(out[0], &n, &cols) || cols < 2) return bad_shape(p->head, out[0]);
    if (!as_rows(out[1], &n_boxes, &four) || four != 4 || n_boxes != n) return bad_shape(p->head, out[1]);
    const float *scores = out[0]->data, *boxes = out[1]->data;
    if (!p->decoded) {
        struct prior_level levels[4];
        ultraface_levels(p->net_w, p->net_h, levels);
        if (cols != 2 || n != count_priors(levels, 4)) return bad_shape(p->head, out[1]);
        return walk_priors(p, levels, 4, boxes, 4, NULL, scores, NULL, list);
    }
    for (int64_t i = 0; i < n; i++) {
        const float *s = scores + i * cols, *b = boxes + i * 4;
        int c = 1 + best_of(s + 1, (int)cols - 1, 1);
        if (!(s[c] >= p->score)) continue;
        struct head_box *box;
        if (!add_corners(list, b[0] * (float)p->net_w, b[1] * (float)p->net_h, b[2] * (float)p->net_w,
                         b[3] * (float)p->net_h, s[c], c - 1, &box))
            return no_memory();
    }
    return REEL_OK;
}

// ---- YOLOX, YOLOv5: (N, 5 + classes) cx cy w h objectness classes -------------

static enum reel_err put_row(const struct head_params *p, const float *row, int64_t cols, float gx, float gy,
                             float stride, struct head_list *list)
{
    int c = best_of(row + 5, (int)cols - 5, 1);
    float score = row[4] * row[5 + c];
    if (!(score >= p->score)) return REEL_OK;
    struct head_box *box;
    bool ok = stride > 0 ? add_center(list, (row[0] + gx) * stride, (row[1] + gy) * stride, expf(row[2]) * stride,
                                      expf(row[3]) * stride, score, c, &box)
                         : add_center(list, row[0], row[1], row[2], row[3], score, c, &box);
    return ok ? REEL_OK : no_memory();
}

static enum reel_err decode_rows(const struct head_params *p, const struct reel_tensor *t, struct head_list *list)
{
    int64_t n, cols;
    if (!as_rows(t, &n, &cols) || cols < 6) return bad_shape(p->head, t);
    const float *v = t->data;
    enum reel_err err = REEL_OK;
    for (int64_t i = 0; i < n && !err; i++) err = put_row(p, v + i * cols, cols, 0, 0, 0, list);
    return err;
}

// Not decoded in the graph: offsets in cells of strides 8, 16, 32 (YOLOX,
// demo_postprocess).
static enum reel_err decode_yolox(const struct head_params *p, const struct reel_tensor *t, struct head_list *list)
{
    if (p->decoded) return decode_rows(p, t, list);
    int64_t n, cols, at = 0;
    if (!as_rows(t, &n, &cols) || cols < 6) return bad_shape(p->head, t);
    for (int s = 8; s <= 32; s *= 2) {
        int w = (p->net_w + s - 1) / s, h = (p->net_h + s - 1) / s;
        if (at + (int64_t)w * h > n) return bad_shape(p->head, t);
        for (int r = 0; r < h; r++)
            for (int c = 0; c < w; c++, at++) {
                const float *row = (const float *)t->data + at * cols;
                enum reel_err err = put_row(p, row, cols, (float)c, (float)r, (float)s, list);
                if (err) return err;
            }
    }
    return at == n ? REEL_OK : bad_shape(p->head, t);
}

// ---- YOLOv8: (4 + classes [+ 3 per keypoint], N), in network pixels ------------

static enum reel_err decode_yolov8(const struct head_params *p, const struct reel_tensor *t, struct head_list *list)
{
    if (t->shape.ndim != 3 || t->shape.dim[1] < 4 + p->classes || p->classes < 1) return bad_shape(p->head, t);
    int64_t n = t->shape.dim[2];
    int points = (int)(t->shape.dim[1] - 4 - p->classes) / 3;
    size_t step = (size_t)n;
    for (int64_t i = 0; i < n; i++) {
        const float *v = (const float *)t->data + i;
        int c = best_of(v + 4 * step, p->classes, step);
        float score = v[(size_t)(4 + c) * step];
        if (!(score >= p->score)) continue;
        struct head_box *box;
        if (!add_center(list, v[0], v[step], v[2 * step], v[3 * step], score, c, &box)) return no_memory();
        for (int k = 0; k < points; k++) {
            const float *q = v + (size_t)(4 + p->classes + 3 * k) * step;
            add_point(box, q[0], q[step], q[2 * step]);
        }
    }
    return REEL_OK;
}

// ---- FastestDet: (5 + classes, h, w) of stride 16 ------------------------------
// As the project's example decodes it: objectness^0.6 * class^0.4, offsets by
// tanh, sizes by sigmoid of the whole picture.

static enum reel_err decode_fastestdet(const struct head_params *p, const struct reel_tensor *t, struct head_list *list)
{
    if (t->shape.ndim != 4 || t->shape.dim[0] != 1 || t->shape.dim[1] < 6) return bad_shape(p->head, t);
    int h = (int)t->shape.dim[2], w = (int)t->shape.dim[3], classes = (int)t->shape.dim[1] - 5;
    size_t step = (size_t)h * (size_t)w;
    float net_w = (float)p->net_w, net_h = (float)p->net_h;
    for (int r = 0; r < h; r++)
        for (int c = 0; c < w; c++) {
            const float *v = (const float *)t->data + (size_t)r * (size_t)w + (size_t)c;
            int k = best_of(v + 5 * step, classes, step);
            float score = powf(v[0], 0.6f) * powf(v[(size_t)(5 + k) * step], 0.4f);
            if (!(score >= p->score)) continue;
            float cx = ((float)c + tanhf(v[step])) / (float)w, cy = ((float)r + tanhf(v[2 * step])) / (float)h;
            struct head_box *box;
            if (!add_center(list, cx * net_w, cy * net_h, sigmoid(v[3 * step]) * net_w, sigmoid(v[4 * step]) * net_h,
                            score, k, &box))
                return no_memory();
        }
    return REEL_OK;
}

// ---- rows of finished boxes ----------------------------------------------------
// (N, 6): x1 y1 x2 y2 score class (YOLOv10); (N, 7): picture x1 y1 x2 y2 class
// score (YOLOv7, end to end).

static enum reel_err decode_finished(const struct head_params *p, const struct reel_tensor *t, struct head_list *list)
{
    int64_t n, cols;
    if (!as_rows(t, &n, &cols) || (cols != 6 && cols != 7)) return bad_shape(p->head, t);
    for (int64_t i = 0; i < n; i++) {
        const float *v = (const float *)t->data + i * cols + (cols == 7);
        float score = cols == 7 ? v[5] : v[4], class_id = cols == 7 ? v[4] : v[5];
        if (!(score >= p->score) || !(class_id >= 0 && class_id < 1e6f)) continue;
        struct head_box *box;
        if (!add_corners(list, v[0], v[1], v[2], v[3], score, (int)class_id, &box)) return no_memory();
    }
    return REEL_OK;
}

enum reel_err head_decode(const struct head_params *p, const struct reel_tensor *const *out, int n_out,
                          struct head_list *list)
{
    static const int wanted[MODEL_HEADS] = {
        [MODEL_HEAD_SSD] = 2,        [MODEL_HEAD_YUNET] = 12,     [MODEL_HEAD_YUNET_2021] = 3,
        [MODEL_HEAD_RETINAFACE] = 3, [MODEL_HEAD_YOLOX] = 1,      [MODEL_HEAD_YOLOV5] = 1,
        [MODEL_HEAD_YOLOV8] = 1,     [MODEL_HEAD_FASTESTDET] = 1, [MODEL_HEAD_NMS] = 1};
    if ((unsigned)p->head >= MODEL_HEADS || n_out != wanted[p->head] || n_out == 0)
        return reel_fail(REEL_ERR_UNSUPPORTED, "could not read detections of head \"%s\": %d outputs",
                         model_head_name(p->head), n_out);
    switch (p->head) {
    case MODEL_HEAD_SSD:
        return decode_ssd(p, out, list);
    case MODEL_HEAD_YUNET:
        return decode_yunet(p, out, list);
    case MODEL_HEAD_YUNET_2021:
        return decode_yunet_2021(p, out, list);
    case MODEL_HEAD_YOLOX:
        return decode_yolox(p, out[0], list);
    case MODEL_HEAD_YOLOV5:
        return decode_rows(p, out[0], list);
    case MODEL_HEAD_YOLOV8:
        return decode_yolov8(p, out[0], list);
    case MODEL_HEAD_RETINAFACE:
        return decode_retinaface(p, out, list);
    case MODEL_HEAD_FASTESTDET:
        return decode_fastestdet(p, out[0], list);
    default:
        return decode_finished(p, out[0], list);
    }
}

// SPDX-License-Identifier: MIT
//
// The image family: DepthToSpace, SpaceToDepth, NonMaxSuppression,
// CenterCropPad, and the table, which also lists resize.c's and sample.c's
// operators.
//
// Called through the operator table.
#include "worker/onnx/ops/resample.h"

// ---- DepthToSpace, SpaceToDepth -----------------------------------------

struct blocks {
    int64_t n, c, h, w, size; // of the deep side: (n, c*size*size, h, w)
    bool column_first;        // CRD
};

static enum reel_err block_attrs(const struct op_call *call, struct blocks *b)
{
    const struct reel_shape *s = &call->in[0]->shape;
    const char *mode = node_attr_string(call->node, "mode", "DCR");
    *b = (struct blocks){.n = -1, .c = -1, .h = -1, .w = -1, .size = node_attr_int(call->node, "blocksize", 0)};
    b->column_first = !strcmp(mode, "CRD");
    if (!b->column_first && strcmp(mode, "DCR"))
        return reel_fail(REEL_ERR_UNSUPPORTED, "the mode \"%s\" is not known", mode);
    if (b->size < 1 || b->size > 4096) return reel_fail(REEL_ERR_INPUT, "blocksize is %lld", (long long)b->size);
    if (s->ndim >= 0 && s->ndim != 4) return reel_fail(REEL_ERR_INPUT, "the input has rank %d, not 4", s->ndim);
    return REEL_OK;
}

static enum reel_err depth_to_space_shape(const struct op_call *call, struct blocks *b, struct reel_shape *out_shape)
{
    enum reel_err err = block_attrs(call, b);
    const struct reel_shape *s = &call->in[0]->shape;
    *out_shape = shape_unknown();
    if (err || s->ndim < 0) return err;
    int64_t square = b->size * b->size;
    if (s->dim[1] >= 0 && s->dim[1] % square)
        return reel_fail(REEL_ERR_INPUT, "%lld channels are not a multiple of %lld", (long long)s->dim[1],
                         (long long)square);
    b->n = s->dim[0], b->c = s->dim[1] < 0 ? -1 : s->dim[1] / square, b->h = s->dim[2], b->w = s->dim[3];
    *out_shape = (struct reel_shape){4, {b->n, b->c, b->h < 0 ? -1 : b->h * b->size, b->w < 0 ? -1 : b->w * b->size}};
    return REEL_OK;
}

static enum reel_err space_to_depth_shape(const struct op_call *call, struct blocks *b, struct reel_shape *out_shape)
{
    enum reel_err err = block_attrs(call, b);
    const struct reel_shape *s = &call->in[0]->shape;
    *out_shape = shape_unknown();
    if (err || s->ndim < 0) return err;
    for (int i = 2; i < 4; i++)
        if (s->dim[i] >= 0 && s->dim[i] % b->size)
            return reel_fail(REEL_ERR_INPUT, "an extent of %lld is not a multiple of %lld", (long long)s->dim[i],
                             (long long)b->size);
    b->n = s->dim[0], b->c = s->dim[1];
    b->h = s->dim[2] < 0 ? -1 : s->dim[2] / b->size, b->w = s->dim[3] < 0 ? -1 : s->dim[3] / b->size;
    *out_shape = (struct reel_shape){4, {b->n, b->c < 0 ? -1 : b->c * b->size * b->size, b->h, b->w}};
    return REEL_OK;
}

static enum reel_err depth_to_space_infer(const struct op_call *call)
{
    struct blocks b;
    struct reel_shape shape = {0};
    enum reel_err err = depth_to_space_shape(call, &b, &shape);
    if (err) return err;
    infer_out(call, 0, call->in[0]->dtype, &shape);
    return REEL_OK;
}

static enum reel_err space_to_depth_infer(const struct op_call *call)
{
    struct blocks b;
    struct reel_shape shape = {0};
    enum reel_err err = space_to_depth_shape(call, &b, &shape);
    if (err) return err;
    infer_out(call, 0, call->in[0]->dtype, &shape);
    return REEL_OK;
}

// Every step-th element of one side against adjacent ones of the other.
#define STRIDED(TYPE)                                                                                    \
    HOT static void spread_##TYPE(TYPE *restrict to, const TYPE *restrict from, int64_t n, int64_t step) \
    {                                                                                                    \
        if (step == 2)                                                                                   \
            for (int64_t i = 0; i < n; i++) to[2 * i] = from[i];                                         \
        else                                                                                             \
            for (int64_t i = 0; i < n; i++) to[i * step] = from[i];                                      \
    }                                                                                                    \
    HOT static void gather_##TYPE(TYPE *restrict to, const TYPE *restrict from, int64_t n, int64_t step) \
    {                                                                                                    \
        if (step == 2)                                                                                   \
            for (int64_t i = 0; i < n; i++) to[i] = from[2 * i];                                         \
        else                                                                                             \
            for (int64_t i = 0; i < n; i++) to[i] = from[i * step];                                      \
    }
STRIDED(uint8_t)
STRIDED(uint16_t)
STRIDED(uint32_t)
STRIDED(uint64_t)

static void move_row(void *shallow, void *deep, size_t elem, int64_t n, int64_t step, bool to_space)
{
    switch (elem) {
    case 1:
        to_space ? spread_uint8_t(shallow, deep, n, step) : gather_uint8_t(deep, shallow, n, step);
        break;
    case 2:
        to_space ? spread_uint16_t(shallow, deep, n, step) : gather_uint16_t(deep, shallow, n, step);
        break;
    case 4:
        to_space ? spread_uint32_t(shallow, deep, n, step) : gather_uint32_t(deep, shallow, n, step);
        break;
    default:
        to_space ? spread_uint64_t(shallow, deep, n, step) : gather_uint64_t(deep, shallow, n, step);
        break;
    }
}

// Moves rows between the deep side and the wide one.
static void move_blocks(const struct blocks *b, char *deep, char *wide, size_t elem, bool to_space)
{
    int64_t square = b->size * b->size, wide_w = b->w * b->size;
    // Row by row of the wide side, so that each of its cache lines is met once.
    for (int64_t row = 0; row < b->n * b->c * b->h * b->size; row++) {
        int64_t by = row % b->size, h = row / b->size % b->h, c = row / b->size / b->h % b->c;
        int64_t n = row / b->size / b->h / b->c;
        for (int64_t bx = 0; bx < b->size; bx++) {
            int64_t k = by * b->size + bx, q = b->column_first ? c * square + k : k * b->c + c;
            int64_t from = ((n * b->c * square + q) * b->h + h) * b->w;
            move_row(wide + (size_t)(row * wide_w + bx) * elem, deep + (size_t)from * elem, elem, b->w, b->size,
                     to_space);
        }
    }
}

static enum reel_err blocks_eval(const struct op_call *call, bool to_space)
{
    struct blocks b;
    struct reel_shape shape = {0};
    enum reel_err err = to_space ? depth_to_space_shape(call, &b, &shape) : space_to_depth_shape(call, &b, &shape);
    if (err || !call_out(call, 0)) return err;
    err = op_alloc_out(call, 0, call->in[0]->dtype, &shape);
    if (err || reel_shape_count(&shape) == 0) return err;
    void *in = call->in[0]->data, *out = call->out[0]->data;
    move_blocks(&b, to_space ? in : out, to_space ? out : in, reel_dtype_bytes(call->in[0]->dtype), to_space);
    return REEL_OK;
}

static enum reel_err depth_to_space_eval(const struct op_call *call)
{
    return blocks_eval(call, true);
}

static enum reel_err space_to_depth_eval(const struct op_call *call)
{
    return blocks_eval(call, false);
}

// ---- NonMaxSuppression (10, 11) -----------------------------------------

static enum reel_err nms_infer(const struct op_call *call)
{
    if (!inputs_given(call, 2)) return REEL_ERR_INPUT;
    const struct reel_shape *boxes = &call->in[0]->shape, *scores = &call->in[1]->shape;
    if ((boxes->ndim >= 0 && (boxes->ndim != 3 || (boxes->dim[2] >= 0 && boxes->dim[2] != 4))) ||
        (scores->ndim >= 0 && scores->ndim != 3))
        return reel_fail(REEL_ERR_INPUT, "boxes must be (batch,n,4) and scores (batch,classes,n)");
    infer_out(call, 0, REEL_I64, &(struct reel_shape){2, {-1, 3}});
    return REEL_OK;
}

struct candidate {
    double score;
    int64_t box;
};

static int by_score(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    return x->box < y->box ? -1 : x->box > y->box;
}

// Corners in ascending order, and the area between them.
struct corners {
    double low[2], high[2], area; // y, x
};

static struct corners box_corners(const double *box, bool centred)
{
    struct corners c;
    for (int i = 0; i < 2; i++) {
        if (centred) { // x, y, width, height
            c.low[i] = box[1 - i] - box[3 - i] / 2.0, c.high[i] = box[1 - i] + box[3 - i] / 2.0;
        } else {
            c.low[i] = fmin(box[i], box[2 + i]), c.high[i] = fmax(box[i], box[2 + i]);
        }
    }
    c.area = (c.high[0] - c.low[0]) * (c.high[1] - c.low[1]);
    return c;
}

static inline bool overlaps(const struct corners *a, const struct corners *b, double iou)
{
    const double h = fmin(a->high[0], b->high[0]) - fmax(a->low[0], b->low[0]);
    const double w = fmin(a->high[1], b->high[1]) - fmax(a->low[1], b->low[1]);
    const double both = h > 0.0 && w > 0.0 ? h * w : 0.0;
    const double areas = a->area + b->area - both;
    return !((areas > 0.0 ? both / areas : 0.0) <= iou);
}

#define NMS_BINS 256

// The kept boxes of a class lie in lists by their lower edge in y. A box can
// overlap only those that begin above its end and no further before its start
// than the tallest one is tall: of thousands of boxes, a few. torchvision moves
// the boxes of each class to a place of their own, so that all classes are one.
struct nms {
    int64_t limit, n;
    double iou, score;
    bool by_score, centred;
    struct candidate *order;
    struct corners *corners; // of a batch element's boxes
    int64_t *next;           // by box: the one before it in its list, -1: none
    int64_t bins[NMS_BINS];  // the last box of each list
    int n_bins;
    double base, scale, tallest; // of all boxes of the batch element
};

// Boxes without a place (NaN) and those outside lie in the lists at the ends.
static int nms_bin(const struct nms *p, double y)
{
    const double at = (y - p->base) * p->scale;
    return !(at > 0.0) ? 0 : at < p->n_bins ? (int)at : p->n_bins - 1;
}

static void nms_boxes(struct nms *p, const double *boxes)
{
    double low = INFINITY, high = -INFINITY;
    p->tallest = 0.0;
    for (int64_t i = 0; i < p->n; i++) {
        const struct corners *c = &p->corners[i];
        p->corners[i] = box_corners(boxes + 4 * i, p->centred);
        low = fmin(low, c->low[0]), high = fmax(high, c->low[0]);
        p->tallest = fmax(p->tallest, c->high[0] - c->low[0]);
    }
    // Below zero the threshold removes boxes that lie apart, too.
    p->n_bins = p->iou >= 0.0 && high > low ? (int)(p->n / 8 < NMS_BINS ? p->n / 8 + 1 : NMS_BINS) : 1;
    p->base = low, p->scale = p->n_bins > 1 ? p->n_bins / (high - low) : 0.0;
}

static bool nms_suppressed(const struct nms *p, const struct corners *c)
{
    const int first = nms_bin(p, c->low[0] - p->tallest), last = nms_bin(p, c->high[0]);
    for (int bin = first ? first - 1 : 0; bin <= last; bin++) // one more, for what rounding may do
        for (int64_t k = p->bins[bin]; k >= 0; k = p->next[k])
            if (overlaps(c, &p->corners[k], p->iou)) return true;
    return false;
}

static enum reel_err nms_param(const struct op_call *call, int i, double absent, double *out_value)
{
    const struct reel_tensor *t = call_in(call, i);
    *out_value = absent;
    if (!t) return REEL_OK;
    if (reel_tensor_count(t) != 1) return reel_fail(REEL_ERR_INPUT, "input %d must be one element", i);
    *out_value = op_scalar(t, 0);
    return REEL_OK;
}

// The boxes of one class; appends (batch, class, box) triples to *found.
static int64_t nms_class(struct nms *p, const double *scores, int64_t batch, int64_t class, int64_t *found)
{
    int64_t candidates = 0, kept = 0;
    for (int64_t i = 0; i < p->n; i++)
        if (!p->by_score || scores[i] > p->score) p->order[candidates++] = (struct candidate){scores[i], i};
    qsort(p->order, (size_t)candidates, sizeof *p->order, by_score);
    for (int i = 0; i < p->n_bins; i++) p->bins[i] = -1;
    for (int64_t i = 0; i < candidates && kept < p->limit; i++) {
        const int64_t box = p->order[i].box;
        if (nms_suppressed(p, &p->corners[box])) continue;
        const int bin = nms_bin(p, p->corners[box].low[0]);
        p->next[box] = p->bins[bin], p->bins[bin] = box;
        found[3 * kept] = batch, found[3 * kept + 1] = class, found[3 * kept + 2] = box;
        kept++;
    }
    return kept;
}

static enum reel_err nms_run(const struct op_call *call, struct nms *p)
{
    const struct reel_shape *ss = &call->in[1]->shape;
    const int64_t n = p->n, groups = ss->dim[0] * ss->dim[1];
    int64_t total = 0;
    struct work boxes = {0}, scores = {0};
    int64_t *found = work_alloc(groups * p->limit, 3 * sizeof *found);
    enum reel_err err = found ? work_in(&boxes, call->in[0], REEL_F64) : REEL_ERR_NOMEM;
    if (!err) err = work_in(&scores, call->in[1], REEL_F64);
    for (int64_t g = 0; !err && g < groups; g++) {
        const int64_t b = g / ss->dim[1], class = g % ss->dim[1];
        if (!class) nms_boxes(p, (double *)boxes.p + b * n * 4);
        total += nms_class(p, (double *)scores.p + g * n, b, class, found + 3 * total);
    }
    if (!err) err = op_alloc_out(call, 0, REEL_I64, &(struct reel_shape){2, {total, 3}});
    if (!err && total) memcpy(call->out[0]->data, found, sizeof *found * 3 * (size_t)total);
    work_fini(&boxes), work_fini(&scores);
    free(found);
    return err;
}

static enum reel_err nms_eval(const struct op_call *call)
{
    if (!inputs_given(call, 2)) return REEL_ERR_INPUT;
    const struct reel_shape *bs = &call->in[0]->shape, *ss = &call->in[1]->shape;
    enum reel_err err = nms_infer(call);
    if (err || !call_out(call, 0)) return err;
    if (bs->ndim != 3 || ss->ndim != 3 || bs->dim[0] != ss->dim[0] || bs->dim[1] != ss->dim[2])
        return reel_fail(REEL_ERR_INPUT, "boxes and scores do not fit");
    struct nms p = {.n = bs->dim[1], .by_score = call_in(call, 4)};
    double limit = 0.0;
    p.centred = node_attr_int(call->node, "center_point_box", 0) != 0;
    err = nms_param(call, 2, 0.0, &limit);
    if (!err) err = nms_param(call, 3, 0.0, &p.iou);
    if (!err) err = nms_param(call, 4, 0.0, &p.score);
    if (err) return err;
    p.limit = limit > (double)p.n ? p.n : limit > 0.0 ? (int64_t)limit : 0;
    p.order = work_alloc(p.n, sizeof *p.order);
    p.corners = work_alloc(p.n, sizeof *p.corners);
    p.next = work_alloc(p.n, sizeof *p.next);
    err = p.order && p.corners && p.next ? nms_run(call, &p) : REEL_ERR_NOMEM;
    free(p.order);
    free(p.corners);
    free(p.next);
    return err;
}

// ---- CenterCropPad (18) -------------------------------------------------

static enum reel_err crop_pad_shape(const struct op_call *call, struct reel_shape *out_shape)
{
    *out_shape = call->in[0]->shape;
    if (out_shape->ndim < 0) return REEL_OK;
    const int64_t *axes = NULL;
    int64_t wanted[REEL_MAX_DIMS];
    int n_axes = node_attr_ints(call->node, "axes", &axes), n = 0;
    bool known = op_const_ints(call, 1, wanted, REEL_MAX_DIMS, &n);
    int count = n_axes ? n_axes : known ? n : out_shape->ndim;
    if ((known && n != count) || count > out_shape->ndim || (!n_axes && count != out_shape->ndim))
        return reel_fail(REEL_ERR_INPUT, "the shape does not have one element per axis");
    for (int i = 0; i < count; i++) {
        int axis = i;
        enum reel_err err = n_axes ? op_axis(axes[i], out_shape->ndim, &axis) : REEL_OK;
        if (err) return err;
        out_shape->dim[axis] = known ? wanted[i] : -1;
        if (known && wanted[i] < 0) return reel_fail(REEL_ERR_INPUT, "an extent is negative");
    }
    return REEL_OK;
}

static enum reel_err crop_pad_infer(const struct op_call *call)
{
    if (!inputs_given(call, 2)) return REEL_ERR_INPUT;
    struct reel_shape shape = {0};
    enum reel_err err = crop_pad_shape(call, &shape);
    if (err) return err;
    infer_out(call, 0, call->in[0]->dtype, &shape);
    return REEL_OK;
}

static enum reel_err crop_pad_eval(const struct op_call *call)
{
    if (!inputs_given(call, 2)) return REEL_ERR_INPUT;
    struct reel_shape shape = {0};
    enum reel_err err = crop_pad_shape(call, &shape);
    if (err || !call_out(call, 0)) return err;
    const struct reel_tensor *in = call->in[0];
    err = op_alloc_out(call, 0, in->dtype, &shape);
    int64_t n = reel_shape_count(&shape);
    if (err || n == 0) return err;
    size_t elem = reel_dtype_bytes(in->dtype);
    char *to = call->out[0]->data;
    memset(to, 0, (size_t)n * elem);
    int last = shape.ndim - 1;
    int64_t from_at[REEL_MAX_DIMS], to_at[REEL_MAX_DIMS], extent[REEL_MAX_DIMS], rows = 1;
    for (int d = 0; d < shape.ndim; d++) {
        int64_t more = shape.dim[d] - in->shape.dim[d]; // the odd element goes to the end
        from_at[d] = more < 0 ? -more / 2 : 0;
        to_at[d] = more > 0 ? more / 2 : 0;
        extent[d] = more < 0 ? shape.dim[d] : in->shape.dim[d];
        if (d < last) rows *= extent[d];
        if (extent[d] == 0) return REEL_OK;
    }
    if (shape.ndim == 0) {
        memcpy(to, in->data, elem);
        return REEL_OK;
    }
    for (int64_t r = 0; r < rows; r++) {
        int64_t rest = r, from = from_at[last], at = to_at[last];
        int64_t from_unit = in->shape.dim[last], to_unit = shape.dim[last];
        for (int d = last - 1; d >= 0; d--) {
            from += (from_at[d] + rest % extent[d]) * from_unit;
            at += (to_at[d] + rest % extent[d]) * to_unit;
            rest /= extent[d];
            from_unit *= in->shape.dim[d];
            to_unit *= shape.dim[d];
        }
        memcpy(to + (size_t)at * elem, (const char *)in->data + (size_t)from * elem, (size_t)extent[last] * elem);
    }
    return REEL_OK;
}

// ---- table --------------------------------------------------------------

const struct op_def ops_image[] = {
    {"", "Resize", 10, OPSET_LAST, 1, 4, 1, 1, TYPES_ALL, OP_DATA_SHAPE, resize_infer, resize_eval, NULL},
    {"", "Upsample", 7, OPSET_LAST, 1, 2, 1, 1, TYPES_ALL, OP_DATA_SHAPE, resize_infer, resize_eval, NULL},
    {"", "GridSample", 16, OPSET_LAST, 2, 2, 1, 1, TYPES_ALL, 0, grid_sample_infer, grid_sample_eval,
     "1 to 3 spatial axes"},
    {"", "AffineGrid", 20, OPSET_LAST, 2, 2, 1, 1, TYPES_FLOAT, OP_DATA_SHAPE, affine_grid_infer, affine_grid_eval,
     NULL},
    {"", "DepthToSpace", 1, OPSET_LAST, 1, 1, 1, 1, TYPES_ALL, 0, depth_to_space_infer, depth_to_space_eval, NULL},
    {"", "SpaceToDepth", 1, OPSET_LAST, 1, 1, 1, 1, TYPES_ALL, 0, space_to_depth_infer, space_to_depth_eval, NULL},
    {"", "RoiAlign", 10, OPSET_LAST, 3, 3, 1, 1, TYPES_FLOAT, 0, roi_align_infer, roi_align_eval, NULL},
    {"", "NonMaxSuppression", 10, OPSET_LAST, 2, 5, 1, 1, TYPES_FLOAT, OP_DATA_SHAPE, nms_infer, nms_eval, NULL},
    {"", "CenterCropPad", 18, OPSET_LAST, 2, 2, 1, 1, TYPES_ALL, OP_DATA_SHAPE, crop_pad_infer, crop_pad_eval, NULL},
};
const int ops_image_count = sizeof ops_image / sizeof ops_image[0];

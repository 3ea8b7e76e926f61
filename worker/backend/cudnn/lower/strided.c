// SPDX-License-Identifier: MIT
//
// Values that are views: they lie, with strides, in other values' memory. See strided.h.
#include "worker/backend/cudnn/lower/strided.h"

#include <string.h>

static bool add_extent(struct strided *s, int64_t extent, int64_t stride)
{
    if (extent == 1) return true;
    if (s->n == STRIDED_MOST) return false;
    s->extent[s->n] = extent;
    s->stride[s->n++] = stride;
    s->count[s->dims]++;
    return true;
}

static int begin_of(const struct strided *s, int dim)
{
    int at = 0;
    for (int d = 0; d < dim; d++) at += s->count[d];
    return at;
}

void strided_rows(const struct lowered *p, const struct value *v, struct strided *out)
{
    const struct reel_shape *shape = &info_of(p, v)->shape;
    int64_t stride[REEL_MAX_DIMS], step = 1;
    for (int d = shape->ndim - 1; d >= 0; d--) stride[d] = step, step *= shape->dim[d];
    *out = (struct strided){.base = v, .scale = 1};
    for (; out->dims < shape->ndim; out->dims++) add_extent(out, shape->dim[out->dims], stride[out->dims]);
}

void strided_image(const struct lowered *p, const struct value *v, struct strided *out)
{
    const struct info *i = info_of(p, v);
    int64_t stride[REEL_MAX_DIMS];
    gpu_form_strides(i, FORM_IMAGE, stride);
    *out = (struct strided){.base = v, .scale = 1};
    for (; out->dims < i->shape.ndim; out->dims++) add_extent(out, i->shape.dim[out->dims], stride[out->dims]);
}

void strided_as_it_lies(struct lowered *p, const struct value *v, struct strided *out)
{
    const struct info *i = info_of(p, v);
    if (gpu_best_form(p, i) == FORM_IMAGE && has_pixels(i))
        strided_image(p, v, out);
    else
        strided_rows(p, v, out);
}

// ---- one node --------------------------------------------------------------------------

static bool transpose(struct strided *s, const int64_t *perm)
{
    struct strided t = {.base = s->base, .offset = s->offset, .scale = s->scale};
    for (; t.dims < s->dims; t.dims++) {
        const int from = (int)perm[t.dims], at = begin_of(s, from);
        for (int i = 0; i < s->count[from]; i++)
            if (!add_extent(&t, s->extent[at + i], s->stride[at + i])) return false;
    }
    *s = t;
    return true;
}

// The same elements in another shape; false if the strides do not allow it.
static bool reshape(struct strided *s, const struct reel_shape *to)
{
    struct strided t = {.base = s->base, .offset = s->offset, .scale = s->scale};
    int at = 0;
    // The part of extent `at` that is still to be split; its inner dimensions come last.
    int64_t left = s->n ? s->extent[0] : 1;
    for (; t.dims < to->ndim; t.dims++) {
        for (int64_t want = to->dim[t.dims]; want > 1;) {
            while (left == 1) {
                if (++at >= s->n) return false;
                left = s->extent[at];
            }
            const int64_t take = want < left ? want : left;
            if (want % take || left % take) return false;
            left /= take;
            if (!add_extent(&t, take, s->stride[at] * left)) return false;
            want /= take;
        }
    }
    *s = t;
    return true;
}

// Elements from `begin` on of a dimension, `length` of them; removed: the dimension is dropped.
static bool narrow(struct strided *s, int dim, int64_t begin, int64_t length, bool removed)
{
    struct strided t = {.base = s->base, .offset = s->offset, .scale = s->scale};
    int at = 0;
    for (int d = 0; d < s->dims; at += s->count[d++]) {
        if (d != dim) {
            for (int i = 0; i < s->count[d]; i++)
                if (!add_extent(&t, s->extent[at + i], s->stride[at + i])) return false;
            t.dims++;
            continue;
        }
        // of several merged extents, only whole inner ones can be taken, or one element
        int64_t inner = 1;
        for (int i = 1; i < s->count[d]; i++) inner *= s->extent[at + i];
        if (length > 1 && (begin % inner || length % inner)) return false;
        int64_t rest = begin;
        for (int i = s->count[d] - 1; i >= 0; i--) {
            t.offset += rest % s->extent[at + i] * s->stride[at + i];
            rest /= s->extent[at + i];
        }
        for (int i = 0; i < s->count[d] && length > 1; i++)
            if (!add_extent(&t, i ? s->extent[at + i] : length / inner, s->stride[at + i])) return false;
        t.dims += !removed;
    }
    *s = t;
    return true;
}

static int64_t axis_of(const struct node *node, const struct info *in)
{
    const int64_t axis = node_attr_int(node, "axis", 0);
    return axis < 0 ? axis + in->shape.ndim : axis;
}

static bool gather(struct lowered *p, const struct node *node, struct strided *s)
{
    const struct info *in = info_of(p, node->in[0]);
    const int64_t axis = axis_of(node, in);
    if (node->n_in != 2 || !node->in[1] || !node->in[1]->constant || info_of(p, node->in[1])->count != 1) return false;
    if (reel_dtype_is_float(node->in[1]->constant->dtype) || axis < 0 || axis >= in->shape.ndim) return false;
    int64_t at = op_scalar_int(node->in[1]->constant, 0);
    if (at < 0) at += in->shape.dim[axis];
    return at >= 0 && at < in->shape.dim[axis] &&
           narrow(s, (int)axis, at, 1, info_of(p, node->in[1])->shape.ndim == 0) &&
           s->dims == info_of(p, node->out[0])->shape.ndim;
}

static bool part(const struct lowered *p, const struct node *node, const struct value *v, struct strided *s)
{
    const struct info *in = info_of(p, node->in[0]);
    const int64_t axis = axis_of(node, in);
    if (axis < 0 || axis >= in->shape.ndim) return false;
    int64_t begin = 0;
    for (int i = 0; i < node->n_out && node->out[i] != v; i++) {
        if (!node->out[i]) return false;
        begin += info_of(p, node->out[i])->shape.dim[axis];
    }
    return narrow(s, (int)axis, begin, info_of(p, v)->shape.dim[axis], false);
}

static bool slice(struct lowered *p, const struct node *node, struct strided *s)
{
    int n[4] = {0};
    const int64_t *v[4] = {NULL}; // starts, ends, axes and steps
    for (int i = 0; i < 4 && i + 1 < node->n_in && node->in[i + 1]; i++)
        if (!(v[i] = gpu_const_ints(p, node->in[i + 1], &n[i]))) return false;
    const struct info *in = info_of(p, node->in[0]), *out = info_of(p, node->out[0]);
    if (node->opset < 10 || !v[0] || !v[1] || (v[2] && n[2] != n[0]) || (v[3] && n[3] != n[0])) return false;
    for (int i = 0; i < n[0]; i++) {
        int64_t axis = v[2] ? v[2][i] : i;
        if (axis < 0) axis += in->shape.ndim;
        if (axis < 0 || axis >= in->shape.ndim || (v[3] && v[3][i] != 1)) return false;
        int64_t begin = v[0][i] < 0 ? v[0][i] + in->shape.dim[axis] : v[0][i];
        if (begin < 0) begin = 0;
        if (!narrow(s, (int)axis, begin, out->shape.dim[axis], false)) return false;
    }
    return true;
}

// Multiplied or divided by one number.
static const struct value *scaled(struct lowered *p, const struct node *node, float *out_by)
{
    const bool mul = node_is(node, "Mul"), div = node_is(node, "Div");
    if ((!mul && !div) || node->n_in != 2 || !node->in[0] || !node->in[1]) return NULL;
    const int main = mul && node->in[0]->constant ? 1 : 0;
    float by;
    if (node->in[main]->constant || !gpu_const_scalar(p, node->in[1 - main], &by) || (div && by == 0)) return NULL;
    if (!reel_shape_equal(&info_of(p, node->in[main])->shape, &info_of(p, node->out[0])->shape)) return NULL;
    *out_by = div ? 1 / by : by;
    return node->in[main];
}

static bool only_views(const struct lowered *p, const struct node *node)
{
    const struct info *in = info_of(p, node->in[0]), *out = info_of(p, node->out[0]);
    return node->op && (node->op->flags & OP_VIEW) && in->dtype == out->dtype && in->count == out->count;
}

static const int64_t *perm_of(const struct node *node, int dims, int64_t reversed[REEL_MAX_DIMS])
{
    const int64_t *perm;
    if (node_attr_ints(node, "perm", &perm) == dims) return perm;
    for (int d = 0; d < dims; d++) reversed[d] = dims - 1 - d;
    return reversed;
}

bool strided_forward(struct lowered *p, const struct node *node, const struct value *v, struct strided *s)
{
    int64_t reversed[REEL_MAX_DIMS];
    float by;
    if (node_is(node, "Transpose")) return transpose(s, perm_of(node, s->dims, reversed));
    if (node_is(node, "Gather")) return gather(p, node, s);
    if (node_is(node, "Split")) return part(p, node, v, s);
    if (node_is(node, "Slice")) return slice(p, node, s);
    if (scaled(p, node, &by)) {
        s->scale *= by;
        return true;
    }
    return only_views(p, node) && reshape(s, &info_of(p, v)->shape);
}

bool strided_back(const struct lowered *p, const struct node *node, struct strided *s)
{
    int64_t reversed[REEL_MAX_DIMS], inverse[REEL_MAX_DIMS];
    if (!*node->domain && node_is(node, "Transpose")) {
        const int64_t *perm = perm_of(node, s->dims, reversed);
        for (int d = 0; d < s->dims; d++) inverse[perm[d]] = d;
        return transpose(s, inverse);
    }
    return !*node->domain && only_views(p, node) && reshape(s, &info_of(p, node->in[0])->shape);
}

// ---- several ---------------------------------------------------------------------------

const struct value *strided_before(struct lowered *p, const struct value *v)
{
    const struct node *node = v->producer;
    float by;
    if (v->constant || !node || *node->domain || node->n_in < 1 || node->n_epilogue || info_of(p, v)->count <= 0)
        return NULL;
    const struct value *in = scaled(p, node, &by);
    if (!in) in = node->in[0];
    // an input may be in memory only as its transpose (channels_last)
    if (!in || in->constant || in->is_input || info_of(p, in)->count <= 0 || v->halo.rows || in->halo.rows) return NULL;
    if (info_of(p, in)->dtype != info_of(p, v)->dtype || v->owner != p->graph || in->owner != p->graph) return NULL;
    struct strided s;
    strided_rows(p, in, &s);
    return strided_forward(p, node, v, &s) ? in : NULL;
}

void strided_trace(struct lowered *p, const struct value *v, int depth, bool rows, struct strided *out)
{
    const struct value *in = depth > 0 ? strided_before(p, v) : NULL;
    if (in) {
        strided_trace(p, in, depth - 1, rows, out);
        if (strided_forward(p, v->producer, v, out)) return;
    }
    if (rows)
        strided_rows(p, v, out);
    else
        strided_as_it_lies(p, v, out);
}

bool strided_merge(const struct strided *s, int from, int to, int most, int64_t *extent, int64_t *stride)
{
    int n = 0;
    int64_t e[STRIDED_MOST], st[STRIDED_MOST];
    for (int i = begin_of(s, from), end = begin_of(s, to); i < end; i++) {
        if (n && st[n - 1] == s->stride[i] * s->extent[i]) {
            e[n - 1] *= s->extent[i];
            st[n - 1] = s->stride[i];
        } else {
            e[n] = s->extent[i];
            st[n++] = s->stride[i];
        }
    }
    if (n > most) return false;
    for (int i = 0; i < most; i++) {
        const int k = i - (most - n);
        extent[i] = k < 0 ? 1 : e[k];
        stride[i] = k < 0 ? 0 : st[k];
    }
    return true;
}

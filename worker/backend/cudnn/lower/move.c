// SPDX-License-Identifier: MIT
//
// Everything that only moves elements becomes one kind of step: a copy with
// strides (kernels/gpu/ops.h). It reads and writes any form, so that a slice of
// an NHWC image stays one, and a transposition out of NHWC is one pass.
#include <stdlib.h>
#include <string.h>

#include "worker/backend/cudnn/lower/strided.h"

// ---- the step ----------------------------------------------------------------------

static void swap_dims(struct move *m, int a, int b)
{
    struct move t = *m;
    m->extent[a] = t.extent[b], m->extent[b] = t.extent[a];
    m->src[a] = t.src[b], m->src[b] = t.src[a];
    m->dst[a] = t.dst[b], m->dst[b] = t.dst[a];
    m->table[a] = t.table[b], m->table[b] = t.table[a];
    if (t.pad_dim == a) m->pad_dim = b;
    if (t.pad_dim == b) m->pad_dim = a;
}

static void drop_dim(struct move *m, int d)
{
    for (int i = d; i + 1 < m->n; i++) swap_dims(m, i, i + 1);
    m->n--;
}

// Sorts dimensions in the order of the result's memory, and merges those that are contiguous on both sides.
static void tidy(struct move *m)
{
    for (int d = m->n - 1; d >= 0; d--)
        if (m->extent[d] == 1 && !m->table[d] && m->pad_dim != d) drop_dim(m, d);
    for (int i = 1; i < m->n; i++)
        for (int k = i; k > 0 && m->dst[k - 1] < m->dst[k]; k--) swap_dims(m, k - 1, k);
    for (int d = m->n - 2; d >= 0; d--) {
        const bool plain = !m->table[d] && !m->table[d + 1] && m->pad_dim != d && m->pad_dim != d + 1;
        if (!plain || m->src[d] != m->src[d + 1] * m->extent[d + 1] || m->dst[d] != m->dst[d + 1] * m->extent[d + 1])
            continue;
        if (m->extent[d] * m->extent[d + 1] > INT32_MAX) continue;
        m->extent[d + 1] *= m->extent[d];
        drop_dim(m, d);
    }
}

static enum reel_err move_tables(struct lowered *p, const struct move *m, struct gpu_copy *c, struct ref *out_tables)
{
    int64_t count = 0;
    for (int d = 0; d < m->n; d++) count += m->table[d] ? m->extent[d] : 0;
    if (!count) return REEL_OK;
    int32_t *all = malloc((size_t)count * sizeof *all);
    if (!all) return gpu_no_memory(NULL);
    int64_t at = 0;
    for (int d = 0; d < m->n; d++) {
        if (!m->table[d]) continue;
        memcpy(all + at, m->table[d], (size_t)m->extent[d] * sizeof *all);
        c->table[d] = (int32_t)at;
        at += m->extent[d];
    }
    enum reel_err err = gpu_make_constant(p, all, (size_t)count * sizeof *all, out_tables);
    free(all);
    return err;
}

enum reel_err gpu_emit_move(struct lowered *p, const struct node *node, const char *label, struct move *m,
                            struct ref src, enum gpu_elem from, struct ref dst, enum gpu_elem to)
{
    tidy(m);
    struct gpu_copy c = {.from = from,
                         .to = to,
                         .n_dims = m->n,
                         .src_base = m->src_base,
                         .dst_base = m->dst_base,
                         .pad_dim = m->pad_dim,
                         .fill = m->fill};
    struct ref tables = REF_NONE;
    for (int d = 0; d < m->n; d++) c.table[d] = -1;
    enum reel_err err = move_tables(p, m, &c, &tables);
    if (err) return err;
    for (int d = 0; d < m->n; d++) {
        if (m->extent[d] > INT32_MAX)
            return reel_fail(REEL_ERR_LIMIT, "could not compile node \"%s\": an extent is too large",
                             node ? node->name : "(layout)");
        c.extent[d] = (int32_t)m->extent[d];
        c.src_stride[d] = m->src[d];
        c.dst_stride[d] = m->dst[d];
    }
    if (m->pad_dim >= 0) {
        c.pad_from = c.extent[m->pad_dim];
        c.extent[m->pad_dim] = (int32_t)m->pad_to;
    }
    struct step *s = gpu_add_step(p, STEP_COPY, node, label);
    if (!s) return gpu_no_memory(node);
    s->u.copy = c;
    s->x = src;
    s->y = dst;
    s->w = tables;
    gpu_touch_last(p);
    return REEL_OK;
}

// ---- one input, one output -----------------------------------------------------------

// The move from in[0] to out[0] over out's dimensions; the caller fills in the source's strides.
struct mover {
    struct info *in, *out;
    struct view src, dst;
    struct move m;
    enum form_kind kind;
};

static enum reel_err begin_beside(struct lowered *p, const struct node *node, const struct value *from,
                                  enum form_kind beside, struct mover *v)
{
    v->in = info_of(p, from);
    v->out = info_of(p, node->out[0]);
    v->kind = gpu_result_form(p, v->out, beside);
    v->m = MOVE_NONE;
    enum reel_err err = gpu_need_view(p, from, &v->src);
    if (!err) err = gpu_make_view(p, node->out[0], v->kind, &v->dst);
    v->m.n = v->out->shape.ndim;
    for (int d = 0; d < v->m.n; d++) v->m.extent[d] = v->out->shape.dim[d], v->m.dst[d] = v->dst.stride[d];
    gpu_move_pads(p, v->out, v->kind, &v->m, 1);
    return err;
}

static enum reel_err begin_from(struct lowered *p, const struct node *node, const struct value *from, struct mover *v)
{
    return begin_beside(p, node, from, from->constant ? FORM_PLAIN : gpu_best_form(p, info_of(p, from)), v);
}

static enum reel_err begin(struct lowered *p, const struct node *node, struct mover *v)
{
    return begin_from(p, node, node->in[0], v);
}

static enum reel_err finish(struct lowered *p, const struct node *node, struct mover *v, const char *label)
{
    return gpu_emit_move(p, node, label, &v->m, v->src.at, v->src.elem, v->dst.at, v->dst.elem);
}

static enum reel_err move_transpose(struct lowered *p, const struct node *node, bool *out_done)
{
    const int64_t *perm;
    struct mover v;
    const int n = node_attr_ints(node, "perm", &perm);
    enum reel_err err = begin(p, node, &v);
    if (err) return err;
    for (int d = 0; d < v.m.n; d++) v.m.src[d] = v.src.stride[n ? perm[d] : v.m.n - 1 - d];
    *out_done = true;
    return finish(p, node, &v, "transpose");
}

static enum reel_err move_expand(struct lowered *p, const struct node *node, bool *out_done)
{
    struct mover v;
    enum reel_err err = begin(p, node, &v);
    if (err) return err;
    const int less = v.m.n - v.in->shape.ndim;
    for (int d = 0; d < v.m.n; d++)
        v.m.src[d] = d < less || v.in->shape.dim[d - less] == 1 ? 0 : v.src.stride[d - less];
    *out_done = true;
    return finish(p, node, &v, "expand");
}

static int32_t *new_table(struct lowered *p, int64_t n)
{
    return gpu_lower_alloc(p, (size_t)n * sizeof(int32_t));
}

static enum reel_err move_tile(struct lowered *p, const struct node *node, bool *out_done)
{
    struct mover v;
    if (info_of(p, node->in[0])->shape.ndim != info_of(p, node->out[0])->shape.ndim) return REEL_OK;
    enum reel_err err = begin(p, node, &v);
    if (err) return err;
    for (int d = 0; d < v.m.n; d++) {
        v.m.src[d] = v.src.stride[d];
        const int64_t have = v.in->shape.dim[d];
        if (have == v.m.extent[d]) continue;
        int32_t *t = new_table(p, v.m.extent[d]);
        if (!t) return gpu_no_memory(node);
        for (int64_t i = 0; i < v.m.extent[d]; i++) t[i] = (int32_t)(i % have);
        v.m.table[d] = t;
    }
    *out_done = true;
    return finish(p, node, &v, "tile");
}

// ---- rolls -----------------------------------------------------------------------------
//
// Slices of one value joined again along their axis, as the shifted windows of a Swin
// are made (torch.roll): one copy by a table, for several axes one behind the other too.

struct roll {
    const struct value *from;
    const int32_t *table[REEL_MAX_DIMS]; // NULL: the axis is copied as it is
};

// Where the slice `part` begins on the axis that it narrows; false: it is not such a slice of u, or
// somebody else reads it.
static bool slice_begin(struct lowered *p, const struct value *part, const struct value *u, int64_t axis,
                        int64_t *out_begin)
{
    const struct reel_shape *have = &info_of(p, part)->shape, *whole = &info_of(p, u)->shape;
    const struct node *node = part->producer;
    if (info_of(p, part)->uses != 1 || part->is_output || strided_before(p, part) != u || !node_is(node, "Slice"))
        return false;
    int64_t step = 1;
    for (int d = have->ndim - 1; d >= 0; d--) {
        if (d != axis && have->dim[d] != whole->dim[d]) return false;
        if (d > axis) step *= whole->dim[d];
    }
    struct strided s;
    strided_trace(p, part, 1, true, &s);
    *out_begin = s.offset / step;
    return true;
}

// The copy that this Concat is; NULL if it is none, or without memory.
static struct roll *roll_of(struct lowered *p, const struct node *node)
{
    if (!node_is(node, "Concat") || *node->domain || node->n_epilogue || node->n_in < 2 || !node->in[0]) return NULL;
    const struct node *first = node->in[0]->producer;
    const struct value *u = first && first->n_in ? first->in[0] : NULL, *out = node->out[0];
    if (!u || !out || out->halo.rows || info_of(p, out)->count < 1 || info_of(p, out)->shape.ndim < 1) return NULL;
    const int nd = info_of(p, out)->shape.ndim;
    int64_t axis = node_attr_int(node, "axis", 0), at = 0, begin;
    if (axis < 0) axis += nd;
    if (axis < 0 || axis >= nd || info_of(p, out)->shape.dim[axis] > INT32_MAX) return NULL;
    for (int i = 0; i < node->n_in; i++)
        if (!node->in[i] || info_of(p, node->in[i])->shape.ndim != nd || !slice_begin(p, node->in[i], u, axis, &begin))
            return NULL;
    struct roll *r = gpu_lower_alloc(p, sizeof *r);
    int32_t *table = new_table(p, info_of(p, out)->shape.dim[axis]);
    if (!r || !table) return NULL;
    const struct info *before = info_of(p, u);
    const bool passes = before->roll && before->uses == node->n_in && !u->is_output;
    if (passes)
        *r = *before->roll;
    else
        r->from = u;
    for (int i = 0; i < node->n_in; i++) {
        slice_begin(p, node->in[i], u, axis, &begin);
        for (int64_t k = 0; k < info_of(p, node->in[i])->shape.dim[axis]; k++, at++)
            table[at] = r->table[axis] ? r->table[axis][begin + k] : (int32_t)(begin + k);
    }
    r->table[axis] = table;
    if (passes) info_of(p, u)->not_made = true;
    return r;
}

void gpu_plan_rolls(struct lowered *p)
{
    for (const struct node *n = p->graph->first; n; n = n->next) {
        struct roll *r = n->n_out == 1 ? roll_of(p, n) : NULL;
        if (!r) continue;
        info_of(p, n->out[0])->roll = r;
        info_of(p, r->from)->read = true;
        for (int i = 0; i < n->n_in; i++) info_of(p, n->in[i])->not_made = true;
    }
}

enum reel_err gpu_lower_roll(struct lowered *p, const struct node *node, bool *out_done)
{
    const struct roll *r = node->n_out == 1 && node->out[0] ? info_of(p, node->out[0])->roll : NULL;
    struct mover v;
    if (!r || *out_done) return REEL_OK;
    enum reel_err err = begin_from(p, node, r->from, &v);
    for (int d = 0; d < v.m.n && !err; d++) v.m.src[d] = v.src.stride[d], v.m.table[d] = r->table[d];
    *out_done = true;
    return err ? err : finish(p, node, &v, "roll");
}

// Starts, ends, axes and steps, as attributes (opset 1) or constants (opset 10).
static bool slice_of(struct lowered *p, const struct node *node, const struct info *in, int64_t *start, int64_t *step)
{
    const int64_t *starts, *axes = NULL, *steps = NULL;
    int n = node_attr_ints(node, "starts", &starts), n_axes = node_attr_ints(node, "axes", &axes), n_steps = 0;
    if (!n) {
        if (node->n_in < 3 || !(starts = gpu_const_ints(p, node->in[1], &n))) return false;
        if (node->n_in > 3 && node->in[3] && !(axes = gpu_const_ints(p, node->in[3], &n_axes))) return false;
        if (node->n_in > 4 && node->in[4] && !(steps = gpu_const_ints(p, node->in[4], &n_steps))) return false;
    }
    for (int d = 0; d < in->shape.ndim; d++) start[d] = 0, step[d] = 1;
    for (int i = 0; i < n; i++) {
        int64_t axis = axes && i < n_axes ? axes[i] : i;
        if (axis < 0) axis += in->shape.ndim;
        if (axis < 0 || axis >= in->shape.ndim) return false;
        const int64_t size = in->shape.dim[axis];
        step[axis] = steps && i < n_steps ? steps[i] : 1;
        int64_t s = starts[i] < 0 ? starts[i] + size : starts[i];
        const int64_t top = step[axis] < 0 ? size - 1 : size;
        start[axis] = s < 0 ? 0 : s > top ? top : s;
    }
    return true;
}

static enum reel_err move_slice(struct lowered *p, const struct node *node, bool *out_done)
{
    struct mover v;
    int64_t start[REEL_MAX_DIMS], step[REEL_MAX_DIMS];
    if (!slice_of(p, node, info_of(p, node->in[0]), start, step)) return REEL_OK;
    enum reel_err err = begin(p, node, &v);
    if (err) return err;
    for (int d = 0; d < v.m.n; d++) {
        v.m.src[d] = v.src.stride[d] * step[d];
        v.m.src_base += v.src.stride[d] * start[d];
    }
    *out_done = true;
    return finish(p, node, &v, "slice");
}

// Crop (opset 1, deprecated): border is left, top, right, bottom.
static enum reel_err move_crop(struct lowered *p, const struct node *node, bool *out_done)
{
    struct mover v;
    const int64_t *border;
    if (node_attr_ints(node, "border", &border) != 4 || info_of(p, node->in[0])->shape.ndim != 4) return REEL_OK;
    enum reel_err err = begin(p, node, &v);
    if (err) return err;
    for (int d = 0; d < 4; d++) v.m.src[d] = v.src.stride[d];
    v.m.src_base = border[1] * v.src.stride[2] + border[0] * v.src.stride[3];
    *out_done = true;
    return finish(p, node, &v, "crop");
}

// Source index of padded position i; ONNX Pad (opset 19), -1: the constant.
static int32_t pad_index(const char *mode, int64_t i, int64_t n)
{
    if (i >= 0 && i < n) return (int32_t)i;
    if (!strcmp(mode, "edge")) return i < 0 ? 0 : (int32_t)n - 1;
    if (!strcmp(mode, "reflect") && n > 1) {
        const int64_t period = 2 * (n - 1), k = (i % period + period) % period;
        return (int32_t)(k < n ? k : period - k);
    }
    if (!strcmp(mode, "wrap")) return (int32_t)((i % n + n) % n);
    return -1;
}

static enum reel_err move_pad(struct lowered *p, const struct node *node, bool *out_done)
{
    const int64_t *pads, *axes = NULL;
    const struct info *in = info_of(p, node->in[0]);
    int n = node_attr_ints(node, "pads", &pads), n_axes = 0;
    if (!n) n = node_attr_ints(node, "paddings", &pads);
    if (!n && (node->n_in < 2 || !(pads = gpu_const_ints(p, node->in[1], &n)))) return REEL_OK;
    if (node->n_in > 3 && node->in[3] && !(axes = gpu_const_ints(p, node->in[3], &n_axes))) return REEL_OK;
    float fill = node_attr_float(node, "value", 0);
    if (node->n_in > 2 && node->in[2] && !gpu_const_scalar(p, node->in[2], &fill)) return REEL_OK;
    if (fill != 0 && in->dtype != REEL_F32) return REEL_OK;
    const int nd = axes ? n_axes : in->shape.ndim;
    if (n != 2 * nd) return REEL_OK;
    struct mover v;
    enum reel_err err = begin(p, node, &v);
    if (err) return err;
    const char *mode = node_attr_string(node, "mode", "constant");
    v.m.fill = fill;
    for (int d = 0; d < v.m.n; d++) v.m.src[d] = v.src.stride[d];
    for (int k = 0; k < nd; k++) {
        const int64_t d = axes ? axes[k] < 0 ? axes[k] + v.m.n : axes[k] : k;
        if (!pads[k] && !pads[k + nd]) continue;
        int32_t *t = new_table(p, v.m.extent[d]);
        if (!t) return gpu_no_memory(node);
        for (int64_t i = 0; i < v.m.extent[d]; i++) t[i] = pad_index(mode, i - pads[k], v.in->shape.dim[d]);
        v.m.table[d] = t;
    }
    *out_done = true;
    return finish(p, node, &v, "pad");
}

static enum reel_err move_cast(struct lowered *p, const struct node *node, bool *out_done)
{
    const struct info *in = info_of(p, node->in[0]), *out = info_of(p, node->out[0]);
    bool a, b;
    gpu_elem_of(in->dtype, &a);
    gpu_elem_of(out->dtype, &b);
    // to BOOL means x != 0, and to narrow integers depends on the range: the reference implementation
    // does that
    if (!a || !b || out->dtype == REEL_BOOL || out->dtype == REEL_U8 || out->dtype == REEL_I8) return REEL_OK;
    struct mover v;
    enum reel_err err = begin(p, node, &v);
    if (err) return err;
    for (int d = 0; d < v.m.n; d++) v.m.src[d] = v.src.stride[d];
    *out_done = true;
    return finish(p, node, &v, "cast");
}

// Gather along one axis with constant indices.
static enum reel_err move_gather(struct lowered *p, const struct node *node, bool *out_done)
{
    const struct info *in = info_of(p, node->in[0]), *index = info_of(p, node->in[1]), *out = info_of(p, node->out[0]);
    int n = 0;
    const int64_t *ints = gpu_const_ints(p, node->in[1], &n);
    int64_t axis = node_attr_int(node, "axis", 0);
    if (axis < 0) axis += in->shape.ndim;
    if (!ints || n < 1 || in->shape.ndim - 1 + index->shape.ndim > REEL_MAX_DIMS) return REEL_OK;
    struct mover v;
    int wide = 0; // how many dimensions of the indices are not 1; if there are several, the result is rows
    for (int d = 0; d < index->shape.ndim; d++) wide += index->shape.dim[d] != 1;
    enum form_kind beside = node->in[0]->constant ? FORM_PLAIN : gpu_best_form(p, in);
    if (beside == FORM_IMAGE && wide > 1) beside = FORM_LOW;
    enum reel_err err = begin_beside(p, node, node->in[0], beside, &v);
    if (err) return err;
    int32_t *t = new_table(p, n);
    if (!t) return gpu_no_memory(node);
    for (int i = 0; i < n; i++) {
        const int64_t k = ints[i] < 0 ? ints[i] + in->shape.dim[axis] : ints[i];
        if (k < 0 || k >= in->shape.dim[axis])
            return reel_fail(REEL_ERR_INPUT, "could not compile node \"%s\": index %lld is out of range", node->name,
                             (long long)ints[i]);
        t[i] = (int32_t)k;
    }
    // the dimensions of the indices: a table where there is one, else by strides
    // through the first of them only when it is the only one
    const int di = index->shape.ndim;
    for (int d = 0; d < v.m.n; d++)
        if (d < axis || d >= axis + di) v.m.src[d] = v.src.stride[d < axis ? d : d - di + 1];
    if (di == 0) {
        v.m.src_base = t[0] * v.src.stride[axis];
        *out_done = true;
        return finish(p, node, &v, "gather");
    }
    int real = -1; // the only dimension of the indices that is not 1
    for (int d = 0; d < di; d++)
        if (index->shape.dim[d] != 1) {
            if (real >= 0) real = -2;
            if (real == -1) real = d;
        }
    if (real == -2) { // all of them are merged: the result is row-major
        const int64_t step = v.m.dst[axis + di - 1];
        for (int d = di - 1; d > 0; d--) drop_dim(&v.m, (int)axis + d);
        v.m.extent[axis] = n;
        v.m.dst[axis] = step;
        real = 0;
    } else if (real == -1) {
        real = 0;
    }
    v.m.table[axis + real] = t;
    v.m.src[axis + real] = v.src.stride[axis];
    (void)out;
    *out_done = true;
    return finish(p, node, &v, "gather");
}

// ---- depth and space -----------------------------------------------------------------

static enum reel_err move_depth(struct lowered *p, const struct node *node, bool to_space, bool *out_done)
{
    const int64_t b = node_attr_int(node, "blocksize", 1);
    const struct info *in = info_of(p, node->in[0]), *out = info_of(p, node->out[0]);
    if (in->shape.ndim != 4 || b < 1) return REEL_OK;
    if (to_space && b <= 16 && gpu_deferrable(p, node, (int)b)) {
        gpu_defer(p, node, (int)b, strcmp(node_attr_string(node, "mode", "DCR"), "CRD") ? DEFER_DCR : DEFER_CRD);
        *out_done = true;
        return REEL_OK;
    }
    struct mover v;
    enum reel_err err = begin(p, node, &v);
    if (err) return err;
    const bool crd = to_space && !strcmp(node_attr_string(node, "mode", "DCR"), "CRD");
    // the dimensions are n, c, y, block y, x, block x, over the side with few channels
    const struct info *few = to_space ? out : in;
    const int64_t *wide = to_space ? v.dst.stride : v.src.stride, *deep = to_space ? v.src.stride : v.dst.stride;
    int64_t *to_wide = to_space ? v.m.dst : v.m.src, *to_deep = to_space ? v.m.src : v.m.dst;
    const int64_t c = few->shape.dim[1], block_c = crd ? 1 : c;
    const int64_t extent[6] = {few->shape.dim[0], c, few->shape.dim[2] / b, b, few->shape.dim[3] / b, b};
    const int64_t w[6] = {wide[0], wide[1], wide[2] * b, wide[2], wide[3] * b, wide[3]};
    const int64_t d[6] = {deep[0],          deep[1] * (crd ? b * b : 1), deep[2], deep[1] * block_c * b, deep[3],
                          deep[1] * block_c};
    v.m.n = 6;
    memcpy(v.m.extent, extent, sizeof extent);
    memcpy(to_wide, w, sizeof w);
    memcpy(to_deep, d, sizeof d);
    if (v.m.pad_dim >= 0) {
        // the padding of the deep side is no contiguous run of the dimensions above
        if (!to_space) {
            struct move zero = MOVE_NONE;
            zero.n = 2;
            zero.extent[0] = (int64_t)v.out->n * v.out->h * v.out->w; // and none of it is copied
            zero.dst[0] = v.out->pitch, zero.dst[1] = 1, zero.dst_base = v.out->c;
            zero.pad_dim = 1, zero.pad_to = v.out->pitch - v.out->c;
            v.m.pad_dim = -1;
            err = gpu_emit_move(p, node, "clear padding", &zero, v.src.at, v.dst.elem, v.dst.at, v.dst.elem);
            if (err) return err;
        } else {
            v.m.pad_dim = 1;
            v.m.pad_to = c + v.out->pitch - v.out->c;
        }
    }
    *out_done = true;
    return finish(p, node, &v, to_space ? "depth to space" : "space to depth");
}

// ---- several inputs or outputs ----------------------------------------------------------

static enum reel_err move_concat(struct lowered *p, const struct node *node, bool *out_done)
{
    struct info *out = info_of(p, node->out[0]);
    int64_t axis = node_attr_int(node, "axis", 1);
    if (axis < 0) axis += out->shape.ndim;
    enum form_kind beside = FORM_PLAIN;
    bool device = false, host = false;
    for (int i = 0; i < node->n_in; i++) {
        const struct info *in = info_of(p, node->in[i]);
        if (in->dtype != out->dtype) return REEL_OK;
        if (node->in[i]->constant) continue;
        *(gpu_only_on_host(p, node->in[i]) ? &host : &device) = true;
        const enum form_kind k = gpu_best_form(p, in);
        if (gpu_on_device(p, in) && (beside == FORM_PLAIN || k == FORM_IMAGE)) beside = k;
    }
    if (host && !device) return REEL_OK; // small values that are only on the host stay there
    const enum form_kind kind = gpu_result_form(p, out, beside);
    struct view dst;
    // the sources come first, because converting them adds steps
    struct view *src = calloc((size_t)node->n_in, sizeof *src);
    if (!src) return gpu_no_memory(node);
    enum reel_err err = REEL_OK;
    for (int i = 0; i < node->n_in && !err; i++)
        if (info_of(p, node->in[i])->count) err = gpu_need_view(p, node->in[i], &src[i]);
    if (!err) err = gpu_make_view(p, node->out[0], kind, &dst);
    int64_t at = 0;
    for (int i = 0; i < node->n_in && !err; i++) {
        const struct info *in = info_of(p, node->in[i]);
        if (!in->count) continue;
        struct move m = MOVE_NONE;
        m.n = out->shape.ndim;
        for (int d = 0; d < m.n; d++) {
            m.extent[d] = in->shape.dim[d];
            m.src[d] = src[i].stride[d];
            m.dst[d] = dst.stride[d];
        }
        m.dst_base = at * dst.stride[axis];
        at += in->shape.dim[axis];
        // padding lanes are moved together with the last channels
        if (axis != 1 || at == out->shape.dim[1]) gpu_move_pads(p, out, kind, &m, 1);
        err = gpu_emit_move(p, node, "concat", &m, src[i].at, src[i].elem, dst.at, dst.elem);
    }
    free(src);
    *out_done = true;
    return err;
}

static enum reel_err move_split(struct lowered *p, const struct node *node, bool *out_done)
{
    const struct info *in = info_of(p, node->in[0]);
    int64_t axis = node_attr_int(node, "axis", 0), at = 0;
    if (axis < 0) axis += in->shape.ndim;
    struct view src;
    for (int i = 0; i < node->n_out; i++)
        if (!node->out[i]) return REEL_OK;
    enum reel_err err = gpu_need_view(p, node->in[0], &src);
    const enum form_kind beside = node->in[0]->constant ? FORM_PLAIN : gpu_best_form(p, in);
    for (int i = 0; i < node->n_out && !err; i++) {
        const struct info *out = info_of(p, node->out[i]);
        const enum form_kind kind = gpu_result_form(p, out, beside);
        struct view dst;
        struct move m = MOVE_NONE;
        m.src_base = at * src.stride[axis];
        at += out->shape.dim[axis];
        if (out->not_made) continue;
        err = gpu_make_view(p, node->out[i], kind, &dst);
        m.n = out->shape.ndim;
        for (int d = 0; d < m.n; d++)
            m.extent[d] = out->shape.dim[d], m.src[d] = src.stride[d], m.dst[d] = dst.stride[d];
        gpu_move_pads(p, out, kind, &m, 1);
        if (!err) err = gpu_emit_move(p, node, "split", &m, src.at, src.elem, dst.at, dst.elem);
    }
    *out_done = true;
    return err;
}

enum reel_err gpu_lower_move(struct lowered *p, const struct node *node, bool *out_done)
{
    if (node->n_in < 1 || !node->in[0] || !node->out[0] || node->n_epilogue) return REEL_OK;
    if (node_is(node, "Concat")) return move_concat(p, node, out_done);
    // moving small values that are only on the host is cheaper there
    if (gpu_only_on_host(p, node->in[0])) return REEL_OK;
    if (node_is(node, "Split")) return move_split(p, node, out_done);
    if (node_is(node, "Transpose")) return move_transpose(p, node, out_done);
    if (node_is(node, "Expand")) return move_expand(p, node, out_done);
    if (node_is(node, "Tile")) return node->opset >= 6 ? move_tile(p, node, out_done) : REEL_OK;
    if (node_is(node, "Slice")) return move_slice(p, node, out_done);
    if (node_is(node, "Crop")) return move_crop(p, node, out_done);
    if (node_is(node, "Pad")) return move_pad(p, node, out_done);
    if (node_is(node, "Cast") || node_is(node, "CastLike")) return move_cast(p, node, out_done);
    if (node_is(node, "DepthToSpace")) return move_depth(p, node, true, out_done);
    if (node_is(node, "SpaceToDepth")) return move_depth(p, node, false, out_done);
    if (node_is(node, "Gather") && node->n_in == 2 && node->in[1]) return move_gather(p, node, out_done);
    return REEL_OK;
}

// ---- views: the same bytes under another shape ---------------------------------------------

bool gpu_is_large(const struct info *i)
{
    return i->count / (i->shape.ndim && i->shape.dim[0] ? i->shape.dim[0] : 1) > 1 << 22;
}

// Whether both have the same pixels, in however many lines.
static bool same_image(const struct info *a, const struct info *b)
{
    return a->image && b->image && a->n == b->n && a->c == b->c && (int64_t)a->h * a->w == (int64_t)b->h * b->w &&
           a->pitch == b->pitch;
}

enum reel_err gpu_lower_view(struct lowered *p, const struct node *node, bool *out_done)
{
    if (!(node->op->flags & (OP_VIEW | OP_INFERENCE_NOP)) && !node_is(node, "Cast") && !node_is(node, "CastLike"))
        return REEL_OK;
    if (node->n_in < 1 || !node->in[0] || !node->out[0] || node->n_epilogue) return REEL_OK;
    struct info *in = info_of(p, node->in[0]), *out = info_of(p, node->out[0]);
    if (in->dtype != out->dtype || in->count != out->count) return REEL_OK;
    if (node_is(node, "Dropout") && node->n_in > 2 && node->in[2]) return REEL_OK;
    for (int i = 1; i < node->n_out; i++)
        if (node->out[i] && info_of(p, node->out[i])->uses) return REEL_OK; // the mask of a Dropout
    *out_done = true;
    const bool host_only = !node->in[0]->constant && gpu_has_form(in, FORM_HOST) && !gpu_on_device(p, in);
    if (host_only) {
        gpu_set_form(p, node->out[0], FORM_HOST, in->form[FORM_HOST]);
        return REEL_OK;
    }
    const bool keep = gpu_is_large(in) || gpu_is_feature(p, node->out[0]); // its type stays
    if (gpu_has_form(in, FORM_IMAGE) && same_image(in, out) && (keep || in->h == out->h))
        gpu_set_form(p, node->out[0], FORM_IMAGE, in->form[FORM_IMAGE]);
    const bool low = gpu_has_form(in, FORM_LOW) || (gpu_has_form(in, FORM_IMAGE) && keep);
    if (gpu_has_form(out, FORM_IMAGE)) return REEL_OK;
    struct ref r;
    const enum form_kind kind = low && !gpu_has_form(in, FORM_PLAIN) ? FORM_LOW : FORM_PLAIN;
    enum reel_err err = gpu_need_form(p, node->in[0], kind, &r);
    if (!err) gpu_set_form(p, node->out[0], kind, r);
    return err;
}

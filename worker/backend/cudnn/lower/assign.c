// SPDX-License-Identifier: MIT
//
// Assignments to slices, x[:, 1:] = y, which PyTorch exports as a ScatterND with the index of
// every element: temporal shifts, relative positions of MViT. Where the indices, which are known,
// form such a grid, the node is a copy of x and a copy of y into it by strides, and the indices
// (of MViT 300 MB a layer) are never made.
#include "worker/backend/cudnn/program.h"

// Index i_d of axis d is begin[d] + i_d * step[d].
struct assign {
    int axes; // that have an index, the first ones
    int64_t begin[REEL_MAX_DIMS], step[REEL_MAX_DIMS];
    bool again; // the same as its input has just been given
};

// Whether the numbers of t, of every `lanes` of which it is number `lane`, depend on the position
// on axis d of u alone, and evenly. t's dimensions are u's last ones, or 1.
static bool is_even(const struct reel_tensor *t, int dims, int lane, int lanes, const struct reel_shape *u, int d,
                    int64_t *begin, int64_t *step)
{
    const int at = d - (u->ndim - dims);
    int64_t count = 1, inner = 1;
    for (int k = 0; k < dims; k++) {
        count *= t->shape.dim[k];
        if (k > at) inner *= t->shape.dim[k];
    }
    const int64_t n = at >= 0 ? t->shape.dim[at] : 1, *v = t->data;
    if (t->dtype != REEL_I64 || count < 1 || dims > u->ndim || n != u->dim[d]) return false;
    *begin = v[lane];
    *step = n > 1 ? v[inner * lanes + lane] - v[lane] : 1;
    for (int64_t i = 0; i < count; i++)
        if (v[i * lanes + lane] != *begin + i / inner % n * *step) return false;
    return *step > 0;
}

// One column of the indices, (..,1), as a constant behind moves that add or repeat dimensions.
static bool column(const struct lowered *p, const struct value *v, const struct reel_shape *u, int d, struct assign *a)
{
    const struct reel_shape *shape = &info_of(p, v)->shape;
    int dims = shape->ndim - 1; // without the last
    if (shape->ndim < 1 || shape->dim[dims] != 1) return false;
    const struct node *n = v->producer;
    if (!v->constant && n && (node_is(n, "Unsqueeze") || node_is(n, "Reshape")) && n->in[0]) {
        v = n->in[0], dims = info_of(p, v)->shape.ndim, n = v->producer;
        for (int k = 0; k < dims; k++) // what was added is the last dimension
            if (info_of(p, v)->shape.dim[k] != shape->dim[k]) return false;
        if (dims != shape->ndim - 1) return false;
        if (!v->constant && n && node_is(n, "Expand") && n->in[0]) v = n->in[0], dims = info_of(p, v)->shape.ndim;
    }
    return v->constant && is_even(v->constant, dims, 0, 1, u, d, &a->begin[d], &a->step[d]);
}

static bool indices(const struct lowered *p, const struct value *v, const struct reel_shape *u, struct assign *a)
{
    if (v->constant) {
        for (int d = 0; d < a->axes; d++)
            if (!is_even(v->constant, u->ndim, d, a->axes, u, d, &a->begin[d], &a->step[d])) return false;
        return true;
    }
    const struct node *join = v->producer;
    if (!join || !node_is(join, "Concat") || *join->domain || join->n_in != a->axes) return false;
    const int64_t axis = node_attr_int(join, "axis", 0);
    if (axis != -1 && axis != u->ndim) return false;
    for (int d = 0; d < a->axes; d++)
        if (!join->in[d] || !column(p, join->in[d], u, d, a)) return false;
    return true;
}

static bool inside(const struct assign *a, const struct reel_shape *u, const struct reel_shape *data)
{
    for (int d = 0; d < a->axes; d++)
        if (a->begin[d] < 0 || a->begin[d] + (u->dim[d] - 1) * a->step[d] >= data->dim[d]) return false;
    return true;
}

static bool same_as(const struct lowered *p, const struct node *node, const struct assign *a)
{
    const struct node *before = node->in[0]->producer;
    const struct assign *b = before && before->out[0] ? info_of(p, before->out[0])->assign : NULL;
    return b && before->in[2] == node->in[2] && a->axes == b->axes && !memcmp(a->begin, b->begin, sizeof a->begin) &&
           !memcmp(a->step, b->step, sizeof a->step);
}

static bool find(const struct lowered *p, const struct node *node, struct assign *a)
{
    *a = (struct assign){0};
    if (!node_is(node, "ScatterND") || *node->domain || node->n_in != 3 || node->n_epilogue || !node->out[0] ||
        strcmp(node_attr_string(node, "reduction", "none"), "none"))
        return false;
    for (int i = 0; i < 3; i++)
        if (!node->in[i] || info_of(p, node->in[i])->count < 1) return false;
    const struct reel_shape *data = &info_of(p, node->in[0])->shape, *index = &info_of(p, node->in[1])->shape;
    struct reel_shape u = *index; // of the indexed axes
    u.ndim = index->ndim - 1;
    a->axes = (int)index->dim[u.ndim];
    return a->axes == u.ndim && a->axes <= data->ndim && info_of(p, node->in[0])->count > 1 &&
           indices(p, node->in[1], &u, a) && inside(a, &u, data);
}

// Whether nobody needs the value: its readers are assignments that know it, or are not needed.
static bool idle(const struct lowered *p, const struct value *v, const bool *dead)
{
    const struct info *i = info_of(p, v);
    if (v->is_output || v->n_use_nodes < 1 || i->uses != v->n_use_nodes) return false;
    for (int k = 0; k < v->n_use_nodes; k++) {
        const struct node *n = v->uses[k];
        const struct value *out = n->n_out ? n->out[0] : NULL;
        if (!out || n->n_epilogue) return false;
        const bool known = info_of(p, out)->assign && n->in[0] != v && n->in[2] != v;
        if (!known && !(n->n_out == 1 && dead[out->id])) return false;
    }
    return true;
}

enum reel_err gpu_plan_assign(struct lowered *p)
{
    bool any = false;
    for (const struct node *n = p->graph->first; n; n = n->next) {
        struct assign found;
        if (!find(p, n, &found)) continue;
        struct assign *a = gpu_lower_alloc(p, sizeof *a);
        if (!a) return gpu_no_memory(n);
        *a = found;
        a->again = same_as(p, n, a);
        info_of(p, n->out[0])->assign = a;
        any = true;
    }
    bool *dead = any ? gpu_lower_alloc(p, (size_t)p->n_info) : NULL;
    if (any && !dead) return gpu_no_memory(NULL);
    for (const struct node *n = p->graph->last; n && any; n = n->prev) // from the last: readers first
        if (n->n_out == 1 && n->out[0] && idle(p, n->out[0], dead))
            dead[n->out[0]->id] = info_of(p, n->out[0])->not_made = true;
    return REEL_OK;
}

// ---- the steps -------------------------------------------------------------------------

static struct move move_of(const struct reel_shape *shape, const struct view *src, const struct view *dst)
{
    struct move m = MOVE_NONE;
    m.n = shape->ndim;
    for (int d = 0; d < m.n; d++) m.extent[d] = shape->dim[d], m.src[d] = src->stride[d], m.dst[d] = dst->stride[d];
    return m;
}

enum reel_err gpu_lower_assign(struct lowered *p, const struct node *node, bool *out_done)
{
    const struct assign *a = node->n_out && node->out[0] ? info_of(p, node->out[0])->assign : NULL;
    if (!a) return REEL_OK;
    const struct info *out = info_of(p, node->out[0]);
    struct view data, updates, y;
    *out_done = true;
    enum reel_err err = gpu_need_view(p, node->in[0], &data);
    enum form_kind kind = node->in[0]->constant ? FORM_PLAIN : gpu_best_form(p, info_of(p, node->in[0]));
    if (!err && a->again) {
        gpu_set_form(p, node->out[0], kind, data.at);
        return REEL_OK;
    }
    if (!err) err = gpu_need_view(p, node->in[2], &updates);
    kind = gpu_result_form(p, out, kind);
    if (!err) err = gpu_make_view(p, node->out[0], kind, &y);
    if (err) return err;
    struct move whole = move_of(&out->shape, &data, &y);
    gpu_move_pads(p, out, kind, &whole, 1);
    err = gpu_emit_move(p, node, "assign: rest", &whole, data.at, data.elem, y.at, y.elem);
    struct move part = move_of(&info_of(p, node->in[2])->shape, &updates, &y);
    for (int d = 0; d < a->axes; d++) part.dst_base += a->begin[d] * part.dst[d], part.dst[d] *= a->step[d];
    return err ? err : gpu_emit_move(p, node, "assign", &part, updates.at, updates.elem, y.at, y.elem);
}

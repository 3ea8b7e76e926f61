// SPDX-License-Identifier: MIT
//
// Attention in one kernel (kernels/gpu/flash.h) from the operators that networks are
// exported with: MatMul, scale, bias, mask, Softmax, MatMul; com.microsoft's FusedMatMul,
// as ONNX Runtime's optimiser writes it, stands for either product. The last product may be the
// turned one, values (length,columns) by weights (columns,rows), as networks write it that have
// pixels innermost. Before the walk over the nodes gpu_plan_flash() finds such a core; its nodes make no step but the
// last, and neither do the transpositions and reshapes that split heads in front of it and join them behind, where the
// kernel's strides do their work (strided.h).
#include <string.h>

#include "worker/backend/cudnn/lower/strided.h"

enum { Q, K, V };
// Most nodes from a product to its softmax, and most moves on either side of the core.
#define CORE_DEPTH 12
#define MOVES_DEPTH 10

struct core_term {
    int op; // enum gpu_flash_op
    float fill;
    const struct value *v;
    struct reel_shape scores; // to which it broadcasts
};

struct flash_core {
    const struct node *first, *softmax, *last; // the products, and what is between them
    const struct value *side[3];
    bool turned[3]; // stored as (..,length,rows): as MatMul reads keys
    int depth[3];   // how many moves are read through
    int rows, columns, dim, v_dim;
    int64_t count;
    float scale, y_scale;
    bool scaled;  // a scale was found; the search goes backward, so no term may precede it
    bool flipped; // the last product is turned, and its result is (..,v_dim,rows)
    bool y_image; // the result is written as an IMAGE
    int n_terms;  // in the order in which they are applied
    struct core_term term[GPU_FLASH_TERMS];
    const struct node *inside[CORE_DEPTH];
    int n_inside;
    const struct value *y;                 // the value that the last product's result becomes
    const struct node *behind[CORE_DEPTH]; // the nodes that it goes through
    int n_behind;
    const struct node *turn; // a Transpose of the weights before a turned product, or NULL
};

// ---- finding ---------------------------------------------------------------------------

static bool plain(const struct lowered *p, const struct node *node)
{
    return node && !*node->domain && !node->n_epilogue && node->n_out >= 1 && node->out[0] &&
           !node->out[0]->halo.rows && info_of(p, node->out[0])->count > 0;
}

// Whether the value is read exactly once, by a node.
static bool passing(const struct lowered *p, const struct value *v)
{
    return !v->constant && !v->is_output && v->producer && info_of(p, v)->uses == 1 &&
           info_of(p, v)->dtype == REEL_F32 && v->owner == p->graph;
}

static bool add_term(const struct lowered *p, struct flash_core *c, int op, float fill, const struct value *v,
                     const struct reel_shape *scores)
{
    const struct info *i = info_of(p, v);
    if (c->scaled) return false; // the kernel applies the scale before all terms
    if (c->n_terms == GPU_FLASH_TERMS || i->count < 1 || i->shape.ndim > scores->ndim) return false;
    if (i->dtype != (op >= GPU_FLASH_KEEP ? REEL_BOOL : REEL_F32)) return false;
    for (int d = 1; d <= i->shape.ndim; d++) {
        const int64_t have = i->shape.dim[i->shape.ndim - d];
        if (have != 1 && have != scores->dim[scores->ndim - d]) return false;
    }
    c->term[c->n_terms++] = (struct core_term){op, fill, v, *scores};
    return true;
}

static void times(struct flash_core *c, float by)
{
    c->scale *= by;
    c->scaled |= by != 1;
}

// What the passes have put behind the product as its epilogue: one factor, or addends.
static bool product_epilogue(struct lowered *p, struct flash_core *c, const struct node *node)
{
    for (int i = node->n_epilogue - 1; i >= 0; i--) {
        const struct epilogue *e = &node->epilogue[i];
        if (e->kind == EPILOGUE_ADD && e->other && e->other->constant) {
            if (!add_term(p, c, GPU_FLASH_ADD, 0, e->other, &info_of(p, node->out[0])->shape)) return false;
            continue;
        }
        const float *f = e->kind == EPILOGUE_MUL ? gpu_const_floats(p, e->other) : NULL;
        if (!f) return false;
        for (int64_t k = 1; k < info_of(p, e->other)->count; k++)
            if (f[k] != f[0]) return false;
        times(c, f[0]);
    }
    return true;
}

// MatMul, or com.microsoft's FusedMatMul: y = alpha a b; each operand may be given turned.
struct product {
    float alpha;
    bool turned[2];
};

static bool product_of(const struct node *node, struct product *out)
{
    *out = (struct product){.alpha = 1};
    if (!*node->domain && node_is(node, "MatMul")) return true;
    if (strcmp(node->domain, "com.microsoft") || !node_is(node, "FusedMatMul")) return false;
    out->alpha = node_attr_float(node, "alpha", 1);
    out->turned[0] = node_attr_int(node, "transA", 0) != 0;
    out->turned[1] = node_attr_int(node, "transB", 0) != 0;
    return !node_attr_int(node, "transBatchA", 0) && !node_attr_int(node, "transBatchB", 0);
}

static bool find_scores(struct lowered *p, struct flash_core *c, const struct value *v);

// The node's operand `main` is the one that comes from the product.
static bool through(struct lowered *p, struct flash_core *c, const struct node *node, int main)
{
    const struct value *v = node->in[main];
    c->inside[c->n_inside++] = node;
    return find_scores(p, c, v);
}

static bool same_shape(const struct lowered *p, const struct value *a, const struct value *b)
{
    return a && b && reel_shape_equal(&info_of(p, a)->shape, &info_of(p, b)->shape);
}

static bool binary(struct lowered *p, struct flash_core *c, const struct node *node, int op)
{
    const struct flash_core before = *c;
    for (int main = 0; main < 2; main++) {
        *c = before;
        const struct value *other = node->in[1 - main];
        float by;
        if (!same_shape(p, node->in[main], node->out[0]) || node->in[main] == other) continue;
        if (op == GPU_FLASH_MUL && gpu_const_scalar(p, other, &by)) {
            times(c, by);
            if (through(p, c, node, main)) return true;
        } else if (add_term(p, c, op, 0, other, &info_of(p, node->out[0])->shape) && through(p, c, node, main)) {
            return true;
        }
    }
    *c = before;
    return false;
}

static bool choice(struct lowered *p, struct flash_core *c, const struct node *node)
{
    if (node->n_in != 3 || !node->in[0]) return false;
    for (int main = 1; main < 3; main++) {
        float fill;
        if (!node->in[main] || !node->in[3 - main] || !gpu_const_scalar(p, node->in[3 - main], &fill)) continue;
        return same_shape(p, node->in[main], node->out[0]) &&
               add_term(p, c, main == 1 ? GPU_FLASH_KEEP : GPU_FLASH_DROP, fill, node->in[0],
                        &info_of(p, node->out[0])->shape) &&
               through(p, c, node, main);
    }
    return false;
}

// (..,rows,columns) in another shape in front of those two.
static bool same_matrices(const struct lowered *p, const struct node *node)
{
    const struct reel_shape *a = &info_of(p, node->in[0])->shape, *b = &info_of(p, node->out[0])->shape;
    return node->op && (node->op->flags & OP_VIEW) && a->ndim >= 2 && b->ndim >= 2 &&
           a->dim[a->ndim - 1] == b->dim[b->ndim - 1] && a->dim[a->ndim - 2] == b->dim[b->ndim - 2];
}

// Rows, columns and the sum's length of a product of (rows,inner) and (inner,columns).
static void extents_of(const struct reel_shape *a, const struct reel_shape *b, const struct product *f, int64_t out[3])
{
    out[0] = a->dim[a->ndim - (f->turned[0] ? 1 : 2)];
    out[1] = b->dim[b->ndim - (f->turned[1] ? 2 : 1)];
    out[2] = a->dim[a->ndim - (f->turned[0] ? 2 : 1)];
}

static bool first_product(struct lowered *p, struct flash_core *c, const struct node *node, const struct product *f)
{
    const struct reel_shape *a = &info_of(p, node->in[0])->shape, *b = &info_of(p, node->in[1])->shape;
    int64_t n[3];
    if (a->ndim < 3 || a->ndim != b->ndim) return false;
    c->count = 1;
    for (int d = 0; d < a->ndim - 2; d++) {
        if (a->dim[d] != b->dim[d]) return false;
        c->count *= a->dim[d];
    }
    c->first = node;
    c->side[Q] = node->in[0], c->side[K] = node->in[1];
    c->turned[Q] = f->turned[0], c->turned[K] = !f->turned[1]; // the rows of k are the columns of its matrix
    extents_of(a, b, f, n);
    if (n[0] > INT32_MAX / 64 || n[1] > INT32_MAX / 64 || c->count * ((n[0] + 63) / 64) > INT32_MAX) return false;
    c->rows = (int)n[0], c->columns = (int)n[1], c->dim = n[2] > GPU_FLASH_DIM ? 0 : (int)n[2];
    if (!product_epilogue(p, c, node)) return false;
    times(c, f->alpha);
    return true;
}

// Goes back from the softmax's input to the product of queries and keys.
static bool find_scores(struct lowered *p, struct flash_core *c, const struct value *v)
{
    if (!passing(p, v) || c->n_inside == CORE_DEPTH) return false;
    const struct node *node = v->producer;
    struct product f;
    if (product_of(node, &f)) return !v->halo.rows && first_product(p, c, node, &f);
    if (!plain(p, node) || node->n_in < 1 || !node->in[0]) return false;
    if (same_matrices(p, node)) return through(p, c, node, 0);
    if (node_is(node, "Where")) return choice(p, c, node);
    if (node->n_in != 2 || !node->in[1]) return false;
    if (node_is(node, "Add")) return binary(p, c, node, GPU_FLASH_ADD);
    if (node_is(node, "Mul")) return binary(p, c, node, GPU_FLASH_MUL);
    float by;
    if (!node_is(node, "Div") || !gpu_const_scalar(p, node->in[1], &by) || by == 0) return false;
    times(c, 1 / by);
    return same_shape(p, node->in[0], node->out[0]) && through(p, c, node, 0);
}

// Whether the node only turns its matrices.
static bool turns_matrices(const struct lowered *p, const struct node *node)
{
    const int64_t *to;
    if (!plain(p, node) || !node_is(node, "Transpose") || node->n_in != 1) return false;
    const int n = info_of(p, node->in[0])->shape.ndim;
    if (n < 3 || node_attr_ints(node, "perm", &to) != n) return false;
    for (int d = 0; d < n - 2; d++)
        if (to[d] != d) return false;
    return to[n - 2] == n - 1;
}

// For the last product f, whose operand `at` is the weights v: whether they are multiplied by rows of
// values, from the left (*out_flipped: turned, from the right).
static bool weights_side(const struct product *f, int at, bool turned, bool *out_flipped)
{
    *out_flipped = at == 1;
    return (f->turned[at] != turned) == *out_flipped;
}

static bool find_last(struct lowered *p, struct flash_core *c)
{
    const struct value *v = c->softmax->out[0];
    if (!passing(p, v) || v->n_use_nodes != 1) return false;
    const struct node *node = v->uses[0];
    if (turns_matrices(p, node)) {
        c->turn = node, v = node->out[0];
        if (!passing(p, v) || v->n_use_nodes != 1) return false;
        node = v->uses[0];
    }
    struct product f;
    if (!product_of(node, &f) || node->n_in != 2 || !node->in[0] || !node->in[1] || !node->out[0]) return false;
    const int at = node->in[0] == v ? 0 : 1;
    if (!weights_side(&f, at, c->turn != NULL, &c->flipped)) return false;
    const struct value *values = node->in[1 - at];
    const struct reel_shape *a = &info_of(p, v)->shape, *b = &info_of(p, values)->shape;
    if (values == v || node->out[0]->halo.rows || a->ndim != b->ndim || a->ndim < 3) return false;
    for (int d = 0; d < a->ndim - 2; d++)
        if (a->dim[d] != b->dim[d]) return false;
    c->last = node;
    c->side[V] = values;
    c->turned[V] = f.turned[1 - at] != c->flipped;
    c->y_scale = f.alpha;
    const int64_t dim = b->dim[b->ndim - (c->turned[V] ? 2 : 1)];
    c->v_dim = dim > GPU_FLASH_DIM ? 0 : (int)dim;
    return true;
}

static bool find_core(struct lowered *p, const struct node *softmax, struct flash_core *c)
{
    *c = (struct flash_core){.softmax = softmax, .scale = 1};
    if (!node_is(softmax, "Softmax") || !plain(p, softmax) || !softmax->in[0]) return false;
    const int dims = info_of(p, softmax->in[0])->shape.ndim;
    const int64_t axis = node_attr_int(softmax, "axis", softmax->opset < 13 ? 1 : -1);
    if (axis != -1 && axis != dims - 1) return false;
    if (!find_last(p, c) || !find_scores(p, c, softmax->in[0])) return false;
    for (int i = 0; i < c->n_terms / 2; i++) { // they were found from the end
        const struct core_term t = c->term[i];
        c->term[i] = c->term[c->n_terms - 1 - i];
        c->term[c->n_terms - 1 - i] = t;
    }
    return gpu_flash_takes(p->low, p->sm, c->dim, c->v_dim);
}

// ---- where its operands lie ------------------------------------------------------------

// (..,rows,length), or turned (..,length,rows).
static bool place_of(const struct strided *s, bool turned, struct gpu_flash_place *out)
{
    int64_t extent[3], row, column, one;
    const int r = s->dims - 2 + turned, c = s->dims - 1 - turned;
    *out = (struct gpu_flash_place){.extent = {1, 1}};
    if (!strided_merge(s, 0, s->dims - 2, 3, extent, out->stride) || !strided_merge(s, r, r + 1, 1, &one, &row) ||
        !strided_merge(s, c, c + 1, 1, &one, &column) || extent[1] > INT32_MAX || extent[2] > INT32_MAX)
        return false;
    for (int i = 0; i < 2; i++) out->extent[i] = (int32_t)extent[i + 1];
    out->row = row, out->column = s->dims && one == 1 ? 1 : column;
    return true;
}

// How many moves back each operand is read.
static void plan_sides(struct lowered *p, struct flash_core *c)
{
    for (int i = 0; i < 3; i++) {
        struct strided s;
        struct gpu_flash_place at;
        c->depth[i] = MOVES_DEPTH;
        do strided_trace(p, c->side[i], c->depth[i], true, &s);
        while (!place_of(&s, c->turned[i], &at) && c->depth[i]-- > 0);
        if (c->depth[i] < 0) c->depth[i] = 0;
    }
}

// The result in the memory of v, the n-th value behind the product, as an image or as rows.
static bool result_place(const struct lowered *p, const struct flash_core *c, int n, bool image,
                         struct gpu_flash_place *out)
{
    struct strided s;
    const struct value *v = n ? c->behind[n - 1]->out[0] : c->last->out[0];
    if (image)
        strided_image(p, v, &s);
    else
        strided_rows(p, v, &s);
    for (int i = n - 1; i >= 0; i--)
        if (!strided_back(p, c->behind[i], &s)) return false;
    return place_of(&s, c->flipped, out);
}

// Whether the value's image has only its own channels, and is not the same as its rows.
static bool whole_image(const struct lowered *p, const struct value *v)
{
    const struct info *i = info_of(p, v);
    return has_pixels(i) && i->pitch == i->c && i->shape.ndim >= 4;
}

// The result is written as rows where the head's last transposition would put them; if its pixels are
// innermost and it becomes an image, as an image.
static void plan_result(const struct lowered *p, struct flash_core *c)
{
    struct gpu_flash_place at;
    int best = 0;
    c->y = c->last->out[0];
    const struct value *v = c->last->n_epilogue ? NULL : c->y;
    while (v && c->n_behind < 4 && passing(p, v) && v->n_use_nodes == 1 && plain(p, v->uses[0]) &&
           v->uses[0]->in[0] == v) {
        const struct node *node = v->uses[0];
        c->behind[c->n_behind++] = node;
        v = node->out[0];
        if (!result_place(p, c, c->n_behind, false, &at)) break;
        if (node_is(node, "Transpose")) best = c->n_behind, c->y = v, c->y_image = false;
        if (node_is(node, "Transpose") || !c->flipped || best || !whole_image(p, v)) continue;
        if (result_place(p, c, c->n_behind, true, &at) && at.column == 1)
            best = c->n_behind, c->y = v, c->y_image = true;
    }
    c->n_behind = best;
}

// ---- planning --------------------------------------------------------------------------

static void skip(struct lowered *p, const struct value *v)
{
    info_of(p, v)->not_made = true;
}

static void plan_core(struct lowered *p, struct flash_core *c)
{
    plan_sides(p, c);
    plan_result(p, c);
    info_of(p, c->last->out[0])->core = c;
    skip(p, c->first->out[0]);
    skip(p, c->softmax->out[0]);
    if (c->turn) skip(p, c->turn->out[0]);
    for (int i = 0; i < c->n_inside; i++) skip(p, c->inside[i]->out[0]);
    for (int i = 0; i < c->n_behind; i++) skip(p, c->behind[i]->out[0]);
    for (int i = 0; i < 3; i++) {
        struct strided s;
        strided_trace(p, c->side[i], c->depth[i], true, &s);
        for (const struct value *v = c->side[i]; v != s.base; v = strided_before(p, v))
            info_of(p, v)->read_through = true;
        info_of(p, s.base)->read = true;
    }
    for (int i = 0; i < c->n_terms; i++) info_of(p, c->term[i].v)->read = true;
}

// Whether all of the value's readers read through it.
static bool unread(const struct lowered *p, const struct value *v)
{
    const struct info *i = info_of(p, v);
    if (v->is_output || i->read || i->uses != v->n_use_nodes) return false;
    for (int k = 0; k < v->n_use_nodes; k++) {
        const struct node *node = v->uses[k];
        bool made = false, core = false;
        for (int o = 0; o < node->n_out; o++) {
            if (!node->out[o]) continue;
            made |= !info_of(p, node->out[o])->not_made;
            core |= info_of(p, node->out[o])->core != NULL;
        }
        for (int e = 0; e < node->n_epilogue; e++)
            if (node->epilogue[e].other == v) return false;
        if (core ? !i->read_through : made) return false;
    }
    return true;
}

enum reel_err gpu_plan_flash(struct lowered *p)
{
    bool any = false;
    for (const struct node *n = p->graph->first; n; n = n->next) {
        struct flash_core found;
        if (!find_core(p, n, &found)) continue;
        struct flash_core *c = gpu_lower_alloc(p, sizeof *c);
        if (!c) return gpu_no_memory(n);
        *c = found;
        plan_core(p, c);
        any = true;
    }
    // removes moves that nobody else reads, beginning with the last, since a node's readers are behind
    // it
    for (const struct node *n = p->graph->last; n && any; n = n->prev) {
        bool all = true, traced = false;
        for (int i = 0; i < n->n_out; i++) {
            const struct value *v = n->out[i];
            if (!v || info_of(p, v)->core || info_of(p, v)->not_made) continue;
            traced |= info_of(p, v)->read_through;
            all &= unread(p, v);
        }
        for (int i = 0; i < n->n_out && all && traced; i++)
            if (n->out[i]) skip(p, n->out[i]);
        for (int i = 0; i < n->n_out && !all && node_is(n, "Split"); i++) // each part is a copy of its own
            if (n->out[i] && info_of(p, n->out[i])->read_through && unread(p, n->out[i])) skip(p, n->out[i]);
    }
    return REEL_OK;
}

// ---- the step --------------------------------------------------------------------------

// The place of one side, in 16 bits; as it lies if that is possible.
static enum reel_err need_side(struct lowered *p, const struct flash_core *c, int i, struct ref *out_ref,
                               struct gpu_flash_place *out_place, float *scale)
{
    struct strided s;
    strided_trace(p, c->side[i], c->depth[i], false, &s);
    const struct info *base = info_of(p, s.base);
    const enum form_kind best = gpu_best_form(p, base);
    const bool as_is = !s.base->constant && best == FORM_IMAGE && place_of(&s, c->turned[i], out_place);
    if (!as_is) {
        strided_trace(p, c->side[i], c->depth[i], true, &s);
        if (!place_of(&s, c->turned[i], out_place))
            return reel_fail(REEL_ERR_FAULT, "could not compile node \"%s\": its operands cannot be read by strides",
                             c->last->name);
    }
    enum reel_err err = gpu_need_form(p, s.base, as_is ? FORM_IMAGE : FORM_LOW, out_ref);
    out_ref->offset += (size_t)s.offset * gpu_elem_bytes(p->low);
    *scale *= s.scale;
    return err;
}

// Strides of a value that is broadcast to the scores.
static enum reel_err need_term(struct lowered *p, const struct core_term *t, struct gpu_flash_term *g,
                               struct ref *out_ref)
{
    const struct reel_shape *have = &info_of(p, t->v)->shape;
    struct strided s = {.scale = 1};
    int64_t step = 1, stride[REEL_MAX_DIMS];
    for (int d = 0; d < t->scores.ndim; d++) stride[d] = 0;
    for (int d = have->ndim - 1; d >= 0; d--) {
        if (have->dim[d] > 1) stride[t->scores.ndim - have->ndim + d] = step;
        step *= have->dim[d];
    }
    for (; s.dims < t->scores.ndim; s.dims++) {
        if (t->scores.dim[s.dims] == 1) continue;
        s.extent[s.n] = t->scores.dim[s.dims];
        s.stride[s.n++] = stride[s.dims];
        s.count[s.dims]++;
    }
    *g = (struct gpu_flash_term){.op = t->op, .fill = t->fill};
    if (!place_of(&s, false, &g->at))
        return reel_fail(REEL_ERR_FAULT, "could not compile value \"%s\": it cannot be read by strides", t->v->name);
    enum form_kind kind = FORM_PLAIN;
    enum reel_err err;
    if (t->op >= GPU_FLASH_KEEP) {
        err = gpu_need_form(p, t->v, FORM_PLAIN, out_ref);
    } else if (t->v->constant) { // which halves its bytes
        kind = FORM_LOW;
        err = gpu_need_form(p, t->v, FORM_LOW, out_ref);
    } else {
        err = gpu_need_rows(p, t->v, &kind, out_ref);
    }
    g->elem = gpu_form_elem(p, info_of(p, t->v), kind);
    return err;
}

static enum reel_err emit_core(struct lowered *p, const struct flash_core *c)
{
    struct step s = gpu_step_of(STEP_FLASH, "attention");
    struct gpu_flash *g = &s.u.flash;
    *g = (struct gpu_flash){.elem = p->low, .count = c->count, .heads = 1, .dim = c->dim, .v_dim = c->v_dim};
    g->scale = c->scale, g->y_scale = c->y_scale;
    g->span = (struct gpu_attention_span){
        .rows = c->rows, .columns = c->columns, .width = c->columns, .left = -1, .right = -1};
    g->n_terms = c->n_terms;
    enum reel_err err = need_side(p, c, Q, &s.x, &g->q, &g->scale);
    if (!err) err = need_side(p, c, K, &s.w, &g->k, &g->scale);
    if (!err) err = need_side(p, c, V, &s.extra[0], &g->v, &g->y_scale);
    for (int i = 0; i < c->n_terms && !err; i++) err = need_term(p, &c->term[i], &g->term[i], &s.operand[i]);
    if (!err && !result_place(p, c, c->n_behind, c->y_image, &g->y))
        err = reel_fail(REEL_ERR_FAULT, "could not compile node \"%s\": its result cannot be written by strides",
                        c->last->name);
    if (!err) err = gpu_make_form(p, c->y, c->y_image ? FORM_IMAGE : FORM_LOW, &s.y);
    return err ? err : gpu_put_step(p, &s, c->last);
}

enum reel_err gpu_lower_flash(struct lowered *p, const struct node *node, bool *out_done)
{
    bool made = false;
    for (int i = 0; i < node->n_out; i++) made |= node->out[i] && !info_of(p, node->out[i])->not_made;
    const struct flash_core *c = node->n_out && node->out[0] ? info_of(p, node->out[0])->core : NULL;
    *out_done = c || !made;
    if (!c) return REEL_OK;
    enum reel_err err = emit_core(p, c);
    return err ? err : gpu_finish_epilogue(p, node, 0);
}

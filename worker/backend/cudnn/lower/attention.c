// SPDX-License-Identifier: MIT
//
// Attention (ONNX, opset 23) and com.microsoft's MultiHeadAttention: one kernel
// (kernels/gpu/flash.h) where there is one; else queries scaled, keys turned, two
// products around the softmax (kernels/gpu/attention.h), which knows masks and windows,
// where heads that share keys are more rows of one product. And what stands around it: RotaryEmbedding, com.microsoft's
// SkipLayerNormalization.
#include <math.h>
#include <string.h>

#include "worker/backend/cudnn/program.h"

enum { QUERY, KEY, VALUE };

// Where the element of head h, row s and dimension d of batch element b lies.
struct side {
    const struct value *v;
    struct view view;
    int64_t batch, head, row, element; // strides
    int heads, length, dim;
    struct ref bias; // of all heads, in the program's float type; without a place: there is none
};

struct attention {
    const struct node *node;
    struct side in[3], past[3]; // past: only KEY and VALUE are used
    const struct value *mask, *valid, *bias;
    int batch, heads, shared, rows, columns, past_length; // shared: heads of the keys
    bool packed, causal;
    int left, right;
    float scale, softcap;
    const struct value *given; // the scores, if the network returns them
    int given_mode;            // qk_matmul_output_mode: 0 products, 1 behind softcap, 2 with the mask, 3 weights
};

// ---- from the node ---------------------------------------------------------------------

// (batch,heads,length,dim), or (batch,length,heads*dim).
static bool open_side(const struct lowered *p, const struct value *v, int64_t heads, struct side *s)
{
    const struct info *i = v ? info_of(p, v) : NULL;
    *s = (struct side){.v = v, .bias = REF_NONE};
    if (!i || i->dtype != REEL_F32 || i->count < 1 || i->count > INT32_MAX) return false;
    const int64_t *dim = i->shape.dim;
    if (i->shape.ndim == 4) {
        s->heads = (int)dim[1], s->length = (int)dim[2], s->dim = (int)dim[3];
        return true;
    }
    if (i->shape.ndim != 3 || heads < 1 || dim[2] % heads) return false;
    s->heads = (int)heads, s->length = (int)dim[1], s->dim = (int)(dim[2] / heads);
    return true;
}

static bool has_out(const struct lowered *p, const struct node *node, int i)
{
    return i < node->n_out && node->out[i] && info_of(p, node->out[i])->uses;
}

static const struct value *in_of(const struct node *node, int i)
{
    return i < node->n_in ? node->in[i] : NULL;
}

static bool open_onnx(const struct lowered *p, const struct node *node, struct attention *a)
{
    const int64_t q = node_attr_int(node, "q_num_heads", 0), kv = node_attr_int(node, "kv_num_heads", 0);
    for (int i = 0; i < 3; i++)
        if (!open_side(p, in_of(node, i), i == QUERY ? q : kv, &a->in[i])) return false;
    for (int i = KEY; i <= VALUE && in_of(node, 4); i++)
        if (!open_side(p, in_of(node, 3 + i), kv, &a->past[i])) return false;
    a->mask = in_of(node, 3), a->valid = in_of(node, 6);
    a->softcap = node_attr_float(node, "softcap", 0);
    a->causal = node_attr_int(node, "is_causal", 0) != 0;
    a->given = has_out(p, node, 3) ? node->out[3] : NULL;
    a->given_mode = (int)node_attr_int(node, "qk_matmul_output_mode", 0);
    a->left = (int)node_attr_int(node, "left_window_size", -1);
    a->right = (int)node_attr_int(node, "right_window_size", -1);
    a->scale = node_attr(node, "scale") ? node_attr_float(node, "scale", 0) : (float)(1 / sqrt(a->in[QUERY].dim));
    return true;
}

static bool open_microsoft(const struct lowered *p, const struct node *node, struct attention *a)
{
    const int64_t heads = node_attr_int(node, "num_heads", 0);
    for (int i = 0; i < 3; i++)
        if (!open_side(p, in_of(node, i), heads, &a->in[i]) || info_of(p, node->in[i])->shape.ndim != 3) return false;
    for (int i = 4; i < 10; i++)
        if (i != 5 && in_of(node, i)) return false;
    if (in_of(node, 3) && !in_of(node, 3)->constant) return false;
    a->mask = in_of(node, 5);
    a->bias = in_of(node, 3);
    a->causal = node_attr_int(node, "unidirectional", 0) != 0;
    a->left = a->right = -1;
    a->scale = node_attr_float(node, "scale", 0);
    if (a->scale == 0) a->scale = (float)(1 / sqrt(a->in[QUERY].dim));
    return true;
}

static bool open_attention(const struct lowered *p, const struct node *node, struct attention *a)
{
    *a = (struct attention){.node = node};
    if (!(*node->domain && strcmp(node->domain, "ai.onnx") ? open_microsoft : open_onnx)(p, node, a)) return false;
    const struct side *q = &a->in[QUERY], *k = &a->in[KEY], *v = &a->in[VALUE];
    const int64_t batch = info_of(p, q->v)->shape.dim[0];
    a->packed = info_of(p, q->v)->shape.ndim == 3;
    a->heads = q->heads, a->shared = k->heads, a->rows = q->length;
    a->past_length = a->past[KEY].v ? a->past[KEY].length : 0;
    a->columns = a->past_length + k->length;
    a->batch = (int)batch;
    if (a->valid && (info_of(p, a->valid)->dtype != REEL_I64 || info_of(p, a->valid)->count != batch)) return false;
    return q->dim == k->dim && k->heads == v->heads && k->length == v->length && k->heads > 0 &&
           q->heads % k->heads == 0 && batch * q->heads <= 65535 && (int64_t)q->heads * a->rows <= INT32_MAX / 4 &&
           batch * q->heads * a->rows <= INT32_MAX && batch * k->heads * a->columns <= INT32_MAX;
}

// ---- queries, keys and values ----------------------------------------------------------

static enum reel_err need_side(struct lowered *p, struct side *s)
{
    const int nd = s->v ? info_of(p, s->v)->shape.ndim : 0;
    if (!s->v) return REEL_OK;
    enum reel_err err = gpu_need_view(p, s->v, &s->view);
    const int64_t *stride = s->view.stride;
    s->batch = stride[0];
    s->head = nd == 4 ? stride[1] : s->dim * stride[2];
    s->row = nd == 4 ? stride[2] : stride[1];
    s->element = nd == 4 ? stride[3] : stride[2];
    return err;
}

// Writes (x + bias) * scale of a side as rows (batch,heads,length,dim) of y, or turned
// (batch,heads,dim,length), as its rows from `at` on, of `total` rows.
static enum reel_err lay_out(struct lowered *p, const struct attention *a, const struct side *s, bool turned, int at,
                             int total, float scale, struct ref y, enum gpu_elem y_elem, const char *label)
{
    struct step e = gpu_step_of(STEP_ELEMENTWISE, label);
    struct gpu_elementwise *g = &e.u.elementwise;
    e.x = s->view.at;
    e.y = (struct ref){y.buf, y.offset + (size_t)at * (turned ? 1 : (size_t)s->dim) * gpu_elem_bytes(y_elem)};
    *g = (struct gpu_elementwise){.x_elem = s->view.elem, .y_elem = y_elem, .n_dims = 4};
    const int64_t plane = (int64_t)total * s->dim;
    const int32_t extent[4] = {a->batch, s->heads, turned ? s->dim : s->length, turned ? s->length : s->dim};
    const int64_t x[4] = {s->batch, s->head, turned ? s->element : s->row, turned ? s->row : s->element};
    const int64_t to[4] = {s->heads * plane, plane, turned ? total : s->dim, 1};
    const int64_t bias[4] = {0, s->dim, turned, !turned};
    for (int d = 0; d < 4; d++) {
        g->extent[d] = extent[d];
        g->x_stride[d] = x[d], g->y_stride[d] = to[d];
        g->operand_stride[0][d] = bias[d];
    }
    g->last = extent[3];
    if (s->bias.buf >= 0) {
        g->chain.n_operands = 1;
        g->chain.operand[0].elem = p->low;
        g->chain.step[g->chain.n++] = (struct gpu_chain_step){.op = GPU_OP_ADD};
        e.operand[0] = s->bias;
    }
    g->chain.step[g->chain.n++] = (struct gpu_chain_step){.op = GPU_OP_AFFINE, .operand = -1, .alpha = scale};
    return gpu_put_step(p, &e, a->node);
}

// Past rows, followed by the new ones.
static enum reel_err lay_out_all(struct lowered *p, const struct attention *a, int i, bool turned, struct ref y,
                                 enum gpu_elem elem, const char *label)
{
    enum reel_err err = REEL_OK;
    if (a->past[i].v) err = lay_out(p, a, &a->past[i], turned, 0, a->columns, 1, y, elem, label);
    return err ? err : lay_out(p, a, &a->in[i], turned, a->past_length, a->columns, 1, y, elem, label);
}

static enum reel_err need_sides(struct lowered *p, struct attention *a)
{
    int64_t at = 0;
    enum reel_err err = REEL_OK;
    for (int i = 0; i < 3 && !err; i++) {
        err = need_side(p, &a->in[i]);
        if (!err) err = need_side(p, &a->past[i]);
        const int n = a->in[i].heads * a->in[i].dim;
        const float *f = a->bias && !err ? gpu_const_floats(p, a->bias) : NULL;
        if (!f) continue;
        if (info_of(p, a->bias)->count < at + n)
            return reel_fail(REEL_ERR_INPUT, "could not compile node \"%s\": the bias must have %lld elements",
                             a->node->name, (long long)at + n);
        err = gpu_make_constant_floats(p, f + at, n, n, p->low, &a->in[i].bias);
        at += n;
    }
    return err;
}

// ---- the mask --------------------------------------------------------------------------

// Strides of a mask that is broadcast to (batch,heads,rows,columns).
static bool mask_fits(const struct lowered *p, const struct attention *a, struct gpu_attention *g)
{
    const struct info *m = a->mask ? info_of(p, a->mask) : NULL;
    int64_t dim[4] = {1, 1, 1, 1}, stride[4], step = 1;
    const int64_t want[4] = {a->batch, a->heads, a->rows, a->columns};
    if (!m) return true;
    if (m->shape.ndim > 4 || (m->dtype != REEL_BOOL && m->dtype != REEL_F32)) return false;
    for (int d = 0; d < m->shape.ndim; d++) dim[4 - m->shape.ndim + d] = m->shape.dim[d];
    for (int d = 3; d >= 0; d--) {
        if (dim[d] != 1 && dim[d] != want[d] && (d < 3 || dim[d] > want[d])) return false;
        stride[d] = dim[d] == 1 ? 0 : step;
        step *= dim[d];
    }
    g->masked = true;
    g->span.width = dim[3] == 1 ? a->columns : (int)dim[3];
    g->mask_batch = stride[0], g->mask_head = stride[1], g->mask_row = stride[2], g->mask_column = stride[3];
    return true;
}

static enum reel_err add_softmax(struct lowered *p, const struct attention *a, struct gpu_attention g,
                                 struct ref scores)
{
    struct step s = gpu_step_of(STEP_ATTENTION, g.scores ? "mask" : "mask and softmax");
    enum form_kind kind;
    enum reel_err err = REEL_OK;
    s.y = scores;
    if (a->mask) {
        err = gpu_need_rows(p, a->mask, &kind, &s.w);
        g.mask_elem = gpu_form_elem(p, info_of(p, a->mask), kind);
    }
    if (!err && a->valid) err = gpu_need_form(p, a->valid, FORM_PLAIN, &s.extra[0]);
    s.u.attention = g;
    return err ? err : gpu_put_step(p, &s, a->node);
}

// ---- all together ----------------------------------------------------------------------

// The caches with the new rows, if the network returns them.
static enum reel_err give_caches(struct lowered *p, const struct attention *a)
{
    enum reel_err err = REEL_OK;
    for (int i = KEY; i <= VALUE && !err; i++) {
        struct ref y;
        if (!has_out(p, a->node, i)) continue;
        err = gpu_make_form(p, a->node->out[i], FORM_PLAIN, &y);
        if (!err) err = lay_out_all(p, a, i, false, y, GPU_ELEM_F32, "cache");
    }
    return err;
}

// (batch,heads,rows,dim) -> (batch,rows,heads*dim)
static enum reel_err pack(struct lowered *p, const struct attention *a, struct ref from)
{
    const int64_t dim = a->in[VALUE].dim;
    struct ref y;
    struct move m = MOVE_NONE;
    m.n = 4;
    m.extent[0] = a->batch, m.extent[1] = a->rows, m.extent[2] = a->heads, m.extent[3] = dim;
    m.src[0] = (int64_t)a->heads * a->rows * dim, m.src[1] = dim, m.src[2] = a->rows * dim, m.src[3] = 1;
    m.dst[0] = a->rows * a->heads * dim, m.dst[1] = a->heads * dim, m.dst[2] = dim, m.dst[3] = 1;
    enum reel_err err = gpu_make_form(p, a->node->out[0], FORM_LOW, &y);
    return err ? err : gpu_emit_move(p, a->node, "join heads", &m, from, p->low, y, p->low);
}

// Returns the scores as they are now; after softcap, if that is asked for.
static enum reel_err give_scores(struct lowered *p, const struct attention *a, struct ref scores)
{
    struct step s = gpu_step_of(STEP_ELEMENTWISE, "scores");
    struct gpu_elementwise *g = &s.u.elementwise;
    const int64_t n = info_of(p, a->given)->count;
    *g = (struct gpu_elementwise){.x_elem = p->low, .y_elem = GPU_ELEM_F32, .n_dims = 1};
    g->extent[0] = g->last = (int32_t)n;
    g->x_stride[0] = g->y_stride[0] = 1;
    if (a->given_mode == 1 && a->softcap > 0) {
        g->chain.n = 3;
        g->chain.step[0] = (struct gpu_chain_step){GPU_OP_AFFINE, -1, 1 / a->softcap, 0};
        g->chain.step[1] = (struct gpu_chain_step){.op = GPU_OP_TANH, .operand = -1};
        g->chain.step[2] = (struct gpu_chain_step){GPU_OP_AFFINE, -1, a->softcap, 0};
    }
    s.x = scores;
    enum reel_err err = gpu_make_form(p, a->given, FORM_PLAIN, &s.y);
    return err ? err : gpu_put_step(p, &s, a->node);
}

// The same with softcap and mask, in a copy of the scores.
static enum reel_err give_masked(struct lowered *p, const struct attention *a, struct gpu_attention g,
                                 struct ref scores)
{
    struct ref y;
    struct move m = MOVE_NONE;
    m.n = 1;
    m.extent[0] = info_of(p, a->given)->count, m.src[0] = m.dst[0] = 1;
    enum reel_err err = gpu_make_form(p, a->given, FORM_LOW, &y);
    if (!err) err = gpu_emit_move(p, a->node, "scores", &m, scores, p->low, y, p->low);
    g.scores = true;
    return err ? err : add_softmax(p, a, g, y);
}

static enum reel_err emit_attention(struct lowered *p, struct attention *a, const struct gpu_attention *g)
{
    const size_t bytes = gpu_elem_bytes(p->low);
    const size_t scores_n = (size_t)a->batch * (size_t)a->heads * (size_t)a->rows * (size_t)a->columns;
    const size_t kv_rows = (size_t)a->batch * (size_t)a->shared * (size_t)a->columns;
    const int dim = a->in[QUERY].dim, v_dim = a->in[VALUE].dim, group = a->heads / a->shared * a->rows;
    struct ref q, k, v, scores, y;
    enum reel_err err = need_sides(p, a);
    if (!err) err = gpu_make_temporary(p, (size_t)a->batch * (size_t)a->heads * (size_t)(a->rows * dim) * bytes, &q);
    if (!err) err = lay_out(p, a, &a->in[QUERY], false, 0, a->rows, a->scale, q, p->low, "queries");
    if (!err) err = gpu_make_temporary(p, kv_rows * (size_t)dim * bytes, &k);
    if (!err) err = lay_out_all(p, a, KEY, true, k, p->low, "keys");
    if (!err) err = gpu_make_temporary(p, scores_n * bytes, &scores);
    struct gpu_product g1 = {.node = a->node, .batches = a->batch * a->shared, .m = group, .c = dim, .k = a->columns};
    g1.x = q, g1.w = k, g1.y = scores;
    if (!err) err = gpu_emit_product(p, &g1);
    if (!err && a->given && a->given_mode < 2) err = give_scores(p, a, scores);
    if (!err && a->given && a->given_mode == 2) err = give_masked(p, a, *g, scores);
    if (!err) err = add_softmax(p, a, *g, scores);
    if (!err && a->given && a->given_mode == 3) err = give_scores(p, a, scores);
    if (!err) err = gpu_make_temporary(p, kv_rows * (size_t)v_dim * bytes, &v);
    if (!err) err = lay_out_all(p, a, VALUE, false, v, p->low, "values");
    if (!err && !a->packed) err = gpu_make_form(p, a->node->out[0], FORM_LOW, &y);
    if (!err && a->packed)
        err = gpu_make_temporary(p, (size_t)a->batch * (size_t)a->heads * (size_t)(a->rows * v_dim) * bytes, &y);
    struct gpu_product g2 = {.node = a->node, .batches = g1.batches, .m = group, .c = a->columns, .k = v_dim};
    g2.x = scores, g2.w = v, g2.y = y;
    if (!err) err = gpu_emit_product(p, &g2);
    if (!err && a->packed) err = pack(p, a, y);
    return err ? err : give_caches(p, a);
}

// ---- in one kernel ---------------------------------------------------------------------

// Matrices (batch,heads) of rows; groups of heads share one.
static struct gpu_flash_place heads_of(int heads, int group, int64_t batch, int64_t head, int64_t row, int64_t column)
{
    return (struct gpu_flash_place){
        .extent = {heads / group, group}, .stride = {batch, head, group > 1 ? 0 : head}, .row = row, .column = column};
}

// Uses a side where it lies, in the program's type. Past rows and biases are laid out first.
static enum reel_err flash_side(struct lowered *p, struct attention *a, int i, struct ref *out_ref,
                                struct gpu_flash_place *out_place)
{
    struct side *s = &a->in[i];
    const int length = i == QUERY ? a->rows : a->columns, heads = i == QUERY ? a->heads : a->shared;
    enum reel_err err = REEL_OK;
    if (a->past[i].v || s->bias.buf >= 0) {
        const size_t n = (size_t)a->batch * (size_t)heads * (size_t)length * (size_t)s->dim;
        err = gpu_make_temporary(p, n * gpu_elem_bytes(p->low), out_ref);
        if (!err && i == QUERY) err = lay_out(p, a, s, false, 0, length, 1, *out_ref, p->low, "queries");
        if (!err && i != QUERY) err = lay_out_all(p, a, i, false, *out_ref, p->low, i == KEY ? "keys" : "values");
        const int64_t head = (int64_t)length * s->dim;
        *out_place = heads_of(a->heads, a->heads / heads, heads * head, head, s->dim, 1);
        return err;
    }
    struct view v = s->view;
    if (v.elem != p->low) err = gpu_need_view_in(p, s->v, FORM_LOW, &v);
    *out_ref = v.at;
    const bool four = info_of(p, s->v)->shape.ndim == 4;
    const int64_t *at = v.stride;
    *out_place = heads_of(a->heads, a->heads / heads, at[0], four ? at[1] : s->dim * at[2], four ? at[2] : at[1],
                          four ? at[3] : at[2]);
    return err;
}

static enum reel_err emit_flash(struct lowered *p, struct attention *a, const struct gpu_attention *g)
{
    struct step s = gpu_step_of(STEP_FLASH, "attention");
    struct gpu_flash *f = &s.u.flash;
    *f = (struct gpu_flash){.elem = p->low,
                            .count = (int64_t)a->batch * a->heads,
                            .heads = a->heads,
                            .dim = a->in[QUERY].dim,
                            .v_dim = a->in[VALUE].dim,
                            .scale = a->scale,
                            .y_scale = 1,
                            .softcap = g->softcap,
                            .span = g->span};
    enum reel_err err = need_sides(p, a);
    if (!err) err = flash_side(p, a, QUERY, &s.x, &f->q);
    if (!err) err = flash_side(p, a, KEY, &s.w, &f->k);
    if (!err) err = flash_side(p, a, VALUE, &s.extra[0], &f->v);
    if (!err && g->masked) {
        enum form_kind kind;
        struct gpu_flash_term *t = &f->term[f->n_terms++];
        err = gpu_need_rows(p, a->mask, &kind, &s.operand[0]);
        t->elem = gpu_form_elem(p, info_of(p, a->mask), kind);
        t->op = t->elem == GPU_ELEM_U8 ? GPU_FLASH_KEEP : GPU_FLASH_ADD;
        t->fill = -INFINITY;
        t->at = heads_of(a->heads, 1, g->mask_batch, g->mask_head, g->mask_row, g->mask_column);
    }
    if (!err && a->valid) err = gpu_need_form(p, a->valid, FORM_PLAIN, &s.extra[1]);
    const int64_t dim = f->v_dim, head = a->packed ? dim : a->rows * dim, row = a->packed ? a->heads * dim : dim;
    f->y = heads_of(a->heads, 1, a->heads * a->rows * dim, head, row, 1);
    if (!err) err = gpu_make_form(p, a->node->out[0], FORM_LOW, &s.y);
    if (!err) err = gpu_put_step(p, &s, a->node);
    return err ? err : give_caches(p, a);
}

static enum reel_err lower_attention(struct lowered *p, const struct node *node, bool *out_done)
{
    struct attention a;
    struct gpu_attention g = {.elem = p->low};
    if (!open_attention(p, node, &a)) return REEL_OK;
    g.span = (struct gpu_attention_span){.rows = a.rows,
                                         .columns = a.columns,
                                         .width = a.columns,
                                         .causal = a.causal,
                                         .left = a.left,
                                         .right = a.right,
                                         .past = a.past_length};
    if (!mask_fits(p, &a, &g)) return REEL_OK;
    if (a.given && (a.given_mode < 0 || a.given_mode > 3 || info_of(p, a.given)->count > INT32_MAX)) return REEL_OK;
    g.batch = a.batch, g.heads = a.heads, g.softcap = a.softcap;
    *out_done = true;
    const bool one = !a.given && gpu_flash_takes(p->low, p->sm, a.in[QUERY].dim, a.in[VALUE].dim);
    return (one ? emit_flash : emit_attention)(p, &a, &g);
}

// ---- RotaryEmbedding -------------------------------------------------------------------

static enum reel_err lower_rotary(struct lowered *p, const struct node *node, bool *out_done)
{
    struct side x;
    if (node->n_in < 3 || !node->in[1] || !node->in[2]) return REEL_OK;
    const struct value *position = in_of(node, 3);
    const struct info *cosine = info_of(p, node->in[1]), *sine = info_of(p, node->in[2]);
    if (!open_side(p, node->in[0], node_attr_int(node, "num_heads", 0), &x)) return REEL_OK;
    int64_t dim = node_attr_int(node, "rotary_embedding_dim", 0);
    if (dim == 0) dim = x.dim;
    const struct info *in = info_of(p, node->in[0]);
    const int64_t rows = in->shape.dim[0] * x.length;
    if (dim < 2 || dim > x.dim || dim % 2 || cosine->dtype != REEL_F32 || sine->dtype != REEL_F32) return REEL_OK;
    if (cosine->count != sine->count || cosine->count % (dim / 2)) return REEL_OK;
    if (position ? info_of(p, position)->dtype != REEL_I64 || info_of(p, position)->count != rows
                 : cosine->count != rows * (dim / 2))
        return REEL_OK;
    struct step s = gpu_step_of(STEP_ROTARY, "rotary");
    enum form_kind kind, cosine_kind, sine_kind;
    enum reel_err err = gpu_need_rows(p, node->in[0], &kind, &s.x);
    if (!err) err = gpu_need_rows(p, node->in[1], &cosine_kind, &s.w);
    if (!err) err = gpu_need_rows(p, node->in[2], &sine_kind, &s.extra[0]);
    if (!err && position) err = gpu_need_form(p, position, FORM_PLAIN, &s.extra[1]);
    if (!err) err = gpu_make_form(p, node->out[0], kind, &s.y);
    if (err) return err;
    s.u.rotary = (struct gpu_rotary){.elem = gpu_form_elem(p, in, kind),
                                     .cosine_elem = gpu_form_elem(p, cosine, cosine_kind),
                                     .sine_elem = gpu_form_elem(p, sine, sine_kind),
                                     .batch = (int)in->shape.dim[0],
                                     .heads = x.heads,
                                     .length = x.length,
                                     .dim = x.dim,
                                     .half = (int)dim / 2,
                                     .positions = cosine->count / (dim / 2),
                                     .packed = in->shape.ndim == 3,
                                     .interleaved = node_attr_int(node, "interleaved", 0) != 0};
    *out_done = true;
    return gpu_put_step(p, &s, node);
}

// ---- SkipLayerNormalization ------------------------------------------------------------

// Whether skip is as long as in, or is repeated along its first dimensions.
static bool skip_fits(const struct info *in, const struct info *skip)
{
    const int less = in->shape.ndim - skip->shape.ndim;
    if (less < 0 || skip->count < 1) return false;
    int64_t inner = 1;
    for (int d = in->shape.ndim - 1; d >= less && inner < skip->count; d--) {
        if (skip->shape.dim[d - less] != in->shape.dim[d]) return false;
        inner *= in->shape.dim[d];
    }
    return inner == skip->count;
}

// in + skip + bias
static enum reel_err add_skip(struct lowered *p, const struct node *node, struct ref bias, struct ref *out_sum)
{
    const struct info *in = info_of(p, node->in[0]), *skip = info_of(p, node->in[1]);
    const int64_t width = in->shape.dim[in->shape.ndim - 1];
    struct step s = gpu_step_of(STEP_ELEMENTWISE, "sum");
    struct gpu_elementwise *g = &s.u.elementwise;
    *g = (struct gpu_elementwise){.x_elem = p->low, .y_elem = p->low, .n_dims = 3, .last = (int32_t)width};
    const int64_t extent[3] = {in->count / skip->count, skip->count / width, width};
    const int64_t stride[3] = {skip->count, width, 1};
    for (int d = 0; d < 3; d++) {
        g->extent[d] = (int32_t)extent[d];
        g->x_stride[d] = g->y_stride[d] = stride[d];
        g->operand_stride[0][d] = d ? stride[d] : 0;
        g->operand_stride[1][d] = d == 2;
    }
    const bool wanted = has_out(p, node, 3);
    enum reel_err err = gpu_need_form(p, node->in[0], FORM_LOW, &s.x);
    if (!err) err = gpu_need_form(p, node->in[1], FORM_LOW, &s.operand[0]);
    if (!err && wanted) err = gpu_make_form(p, node->out[3], FORM_LOW, &s.y);
    if (!err && !wanted) err = gpu_make_temporary(p, (size_t)in->count * gpu_elem_bytes(p->low), &s.y);
    g->chain.n = g->chain.n_operands = bias.buf >= 0 ? 2 : 1;
    s.operand[1] = bias;
    for (int i = 0; i < g->chain.n; i++) {
        g->chain.operand[i].elem = p->low;
        g->chain.step[i] = (struct gpu_chain_step){.op = GPU_OP_ADD, .operand = i};
    }
    *out_sum = s.y;
    return err ? err : gpu_put_step(p, &s, node);
}

static enum reel_err lower_skip(struct lowered *p, const struct node *node, bool *out_done)
{
    const struct info *in = info_of(p, node->in[0]), *skip = info_of(p, node->in[1]);
    if (in->dtype != REEL_F32 || skip->dtype != REEL_F32 || in->shape.ndim < 1 || node->in[0]->constant) return REEL_OK;
    const int64_t width = in->shape.dim[in->shape.ndim - 1];
    if (has_out(p, node, 1) || has_out(p, node, 2) || !skip_fits(in, skip) || skip->count % width) return REEL_OK;
    if (in->count > INT32_MAX) return REEL_OK;
    const float *f[3] = {NULL}; // gamma, beta, bias
    for (int i = 0; i < 3; i++) {
        const struct value *v = in_of(node, 2 + i);
        if (v && (info_of(p, v)->count != width || !(f[i] = gpu_const_floats(p, v)))) return REEL_OK;
    }
    *out_done = true;
    struct step s = gpu_step_of(STEP_LAYER_NORM, "layer norm");
    struct ref bias = REF_NONE;
    enum reel_err err = f[2] ? gpu_make_constant_floats(p, f[2], width, width, p->low, &bias) : REEL_OK;
    for (int i = 0; i < 2 && !err; i++)
        if (f[i]) err = gpu_make_constant(p, f[i], (size_t)width * sizeof(float), &s.extra[i]);
    if (!err) err = add_skip(p, node, bias, &s.x);
    if (!err) err = gpu_make_form(p, node->out[0], FORM_LOW, &s.y);
    s.u.layer_norm = (struct gpu_layer_norm){.elem = p->low,
                                             .rows = in->count / width,
                                             .columns = (int)width,
                                             .epsilon = node_attr_float(node, "epsilon", 1e-12f)};
    return err ? err : gpu_put_step(p, &s, node);
}

enum reel_err gpu_lower_attention(struct lowered *p, const struct node *node, bool *out_done)
{
    if (node->n_in < 3 || node->n_out < 1 || !node->in[0] || !node->out[0] || node->n_epilogue) return REEL_OK;
    if (gpu_only_on_host(p, node->in[0])) return REEL_OK;
    if (node_is(node, "Attention") || node_is(node, "MultiHeadAttention")) return lower_attention(p, node, out_done);
    if (node_is(node, "SkipLayerNormalization") && node->in[1]) return lower_skip(p, node, out_done);
    return node_is(node, "RotaryEmbedding") ? lower_rotary(p, node, out_done) : REEL_OK;
}

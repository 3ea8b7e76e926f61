// SPDX-License-Identifier: MIT
//
// Runs of moves: transpositions with the views around them, as patches become tokens and
// tokens pictures again, windows are cut and put together, channels shuffled. Before the
// walk over the nodes gpu_plan_moves() finds them; only the last node of a run makes a
// step: one copy from where the first one's input lies to where the result is wanted, or
// none where that is the same place. NHWC pictures are rows of tokens.
#include "worker/backend/cudnn/lower/strided.h"
#include "worker/graph/one_of.h"

#define RUN_MOST 10 // most nodes of a run

struct move_run {
    const struct node *node[RUN_MOST]; // the last one first
    int n;
};

// ---- where a value leads to ------------------------------------------------------------

enum end { END_NONE, END_PRODUCT, END_PICTURE };

static enum end end_of(const struct node *node)
{
    static const char *const pictures[] = {"Conv",
                                           "ConvTranspose",
                                           "Resize",
                                           "Upsample",
                                           "MaxPool",
                                           "AveragePool",
                                           "DepthToSpace",
                                           "BatchNormalization",
                                           "SpaceToDepth",
                                           "GlobalAveragePool",
                                           "GridSample",
                                           "InstanceNormalization",
                                           "GroupNormalization",
                                           NULL};
    static const char *const products[] = {"MatMul",      "Gemm", "Einsum", "Attention", "MultiHeadAttention",
                                           "FusedMatMul", NULL};
    return node_is_one_of(node, pictures) ? END_PICTURE : node_is_one_of(node, products) ? END_PRODUCT : END_NONE;
}

// What a network does to features on their way; not choosing between them, nor making weights of them.
static bool passes_on(const struct node *node)
{
    static const char *const names[] = {"Add",
                                        "Sub",
                                        "Mul",
                                        "Div",
                                        "Concat",
                                        "Split",
                                        "Slice",
                                        "Gather",
                                        "Transpose",
                                        "Reshape",
                                        "Flatten",
                                        "Squeeze",
                                        "Unsqueeze",
                                        "Identity",
                                        "Dropout",
                                        "Pad",
                                        "Relu",
                                        "LeakyRelu",
                                        "PRelu",
                                        "Gelu",
                                        "Sigmoid",
                                        "Tanh",
                                        "HardSwish",
                                        "Clip",
                                        "Elu",
                                        "Swish",
                                        "Mish",
                                        "LayerNormalization",
                                        "RMSNormalization",
                                        "SkipLayerNormalization",
                                        "ReduceMean",
                                        NULL};
    return node_is_one_of(node, names);
}

// The nearest product or operator of pictures that v leads to, through what a network
// does to features. In END_PICTURE v itself is the picture, or of its form: no move is
// between. END_NONE: to outputs alone, as the numbers of boxes, which are worth float32's
// digits.
static enum end leads_to(const struct lowered *p, const struct value *v)
{
    enum { MOST = 64 };
    const struct value *list[MOST] = {v};
    bool moved[MOST] = {false};
    int n = 1;
    for (int at = 0; at < n; at++) {
        for (int i = 0; i < list[at]->n_use_nodes; i++) {
            const struct node *node = list[at]->uses[i];
            const enum end end = end_of(node);
            if (end != END_NONE) return end == END_PICTURE && !moved[at] ? END_PICTURE : END_PRODUCT;
            if (!passes_on(node)) continue;
            const bool moves = node_is(node, "Transpose") || (node->op && node->op->flags & OP_VIEW);
            for (int o = 0; o < node->n_out && n < MOST; o++) {
                const struct value *out = node->out[o];
                bool seen = !out || out->owner != p->graph;
                for (int k = 0; k < n && !seen; k++) seen = list[k] == out;
                if (!seen) moved[n] = moved[at] || moves, list[n++] = out;
            }
        }
    }
    return END_NONE;
}

bool gpu_is_feature(const struct lowered *p, const struct value *v)
{
    return leads_to(p, v) != END_NONE;
}

// ---- planning --------------------------------------------------------------------------

static bool is_transpose(const struct node *node)
{
    return node_is(node, "Transpose");
}

static bool is_move(const struct lowered *p, const struct node *node)
{
    if (!node || *node->domain || node->n_epilogue || node->n_out != 1 || !node->out[0] || node->n_in < 1) return false;
    const struct value *in = node->in[0], *out = node->out[0];
    if (!in || in->constant || out->halo.rows || in->halo.rows) return false;
    if (in->owner != p->graph || out->owner != p->graph) return false;
    const struct info *i = info_of(p, in), *o = info_of(p, out);
    if (i->dtype != REEL_F32 || o->dtype != REEL_F32 || i->count < 1 || i->count != o->count) return false;
    return is_transpose(node) || (node->op && node->op->flags & OP_VIEW);
}

// Whether a value is inside a run: nobody else reads it, and it has no other role in the plan.
static bool is_between(const struct lowered *p, const struct value *v)
{
    const struct info *i = info_of(p, v);
    return !v->is_output && i->uses == 1 && v->n_use_nodes == 1 && !i->not_made && !i->read && !i->read_through &&
           !i->core && !i->roll;
}

// Whether the node transposes an input, which may be in memory only as its transpose.
static bool is_first(const struct node *node)
{
    return node->in[0]->is_input && is_transpose(node);
}

// How the result lies in the memory in which the first n nodes' input begins; rows: that memory is taken to
// be row-major.
static bool trace(struct lowered *p, const struct move_run *run, int n, bool rows, struct strided *out)
{
    const struct value *base = run->node[n - 1]->in[0];
    if (rows)
        strided_rows(p, base, out);
    else
        strided_as_it_lies(p, base, out);
    for (int i = n - 1; i >= 0; i--)
        if (!strided_forward(p, run->node[i], run->node[i]->out[0], out)) return false;
    return true;
}

static bool find_run(struct lowered *p, const struct node *last, struct move_run *run)
{
    struct strided s;
    *run = (struct move_run){.node = {last}, .n = 1};
    if (!is_move(p, last) || info_of(p, last->out[0])->not_made) return false;
    while (run->n < RUN_MOST) {
        const struct value *v = run->node[run->n - 1]->in[0];
        if (!is_move(p, v->producer) || !is_between(p, v) || is_first(v->producer)) break;
        run->node[run->n++] = v->producer;
    }
    // in memory, an image has no more dimensions than row-major values
    while (run->n > 1 && (!trace(p, run, run->n, true, &s) || s.n > REEL_MAX_DIMS)) run->n--;
    bool any = false;
    for (int i = 0; i < run->n; i++) any |= is_transpose(run->node[i]);
    return any && trace(p, run, run->n, true, &s) && s.n <= REEL_MAX_DIMS;
}

enum reel_err gpu_plan_moves(struct lowered *p)
{
    for (const struct node *node = p->graph->last; node; node = node->prev) {
        struct move_run found;
        if (!find_run(p, node, &found)) continue;
        struct move_run *run = gpu_lower_alloc(p, sizeof *run);
        if (!run) return gpu_no_memory(node);
        *run = found;
        info_of(p, node->out[0])->run = run;
        for (int i = 1; i < run->n; i++) info_of(p, run->node[i]->out[0])->not_made = true;
    }
    return REEL_OK;
}

// ---- the step --------------------------------------------------------------------------

// The copy into that form; false: its padding is not one run of a dimension.
static bool move_to(const struct lowered *p, const struct strided *s, const struct info *out, enum form_kind kind,
                    struct move *m)
{
    int64_t stride[REEL_MAX_DIMS];
    const bool padded = kind == FORM_IMAGE && out->pitch != out->c;
    gpu_form_strides(out, kind, stride);
    *m = MOVE_NONE;
    m->src_base = s->offset;
    for (int d = 0, at = 0; d < s->dims; at += s->count[d++]) {
        int64_t inner = stride[d];
        if (padded && d == 1 && s->count[d] != 1) return false;
        for (int i = s->count[d] - 1; i >= 0; i--) {
            m->extent[at + i] = s->extent[at + i];
            m->src[at + i] = s->stride[at + i];
            m->dst[at + i] = inner;
            inner *= s->extent[at + i];
        }
        if (padded && d == 1) gpu_move_pads(p, out, kind, m, at);
    }
    m->n = s->n;
    return true;
}

static bool same_place(const struct move *m)
{
    bool same = m->src_base == 0;
    for (int d = 0; d < m->n; d++) same &= m->src[d] == m->dst[d];
    return same;
}

// In which form the result is wanted, and the copy that makes it; *out_free: no copy is needed.
static enum form_kind choose(struct lowered *p, const struct strided *s, const struct value *v, enum form_kind from,
                             struct move *m, bool *out_free)
{
    const struct info *base = info_of(p, s->base), *out = info_of(p, v);
    const bool low = gpu_form_elem(p, base, from) == p->low;
    const enum end end = leads_to(p, v);
    const bool keep =
        low && (from == FORM_LOW || end != END_NONE || gpu_is_large(out) || p->low == GPU_ELEM_F32); // its type stays
    const enum form_kind rows = keep ? FORM_LOW : FORM_PLAIN;
    const size_t bytes = gpu_form_bytes(p, base, from);
    struct move image;
    const bool may = keep && out->image && move_to(p, s, out, FORM_IMAGE, &image);
    const bool image_free = may && same_place(&image) && bytes == gpu_form_bytes(p, out, FORM_IMAGE);
    move_to(p, s, out, rows, m);
    *out_free = same_place(m) && gpu_form_elem(p, out, rows) == gpu_form_elem(p, base, from) &&
                bytes == gpu_form_bytes(p, out, rows);
    if (!may || (end != END_PICTURE && (!image_free || *out_free))) return rows;
    *m = image;
    *out_free = image_free;
    return FORM_IMAGE;
}

enum reel_err gpu_lower_moves(struct lowered *p, const struct node *node, bool *out_done)
{
    const struct move_run *run = node->n_out == 1 && node->out[0] ? info_of(p, node->out[0])->run : NULL;
    if (!run || *out_done) return REEL_OK;
    const struct value *base = run->node[run->n - 1]->in[0];
    if (run->n == 1 && gpu_only_on_host(p, base)) return REEL_OK;
    struct strided s;
    struct move m;
    struct view src, dst;
    bool free;
    enum reel_err err = gpu_need_view(p, base, &src);
    if (err) return err;
    const enum form_kind from = gpu_best_form(p, info_of(p, base));
    if (!trace(p, run, run->n, false, &s) || s.n > REEL_MAX_DIMS)
        return reel_fail(REEL_ERR_FAULT, "could not compile node \"%s\": its input cannot be read by strides",
                         node->name);
    const enum form_kind kind = choose(p, &s, node->out[0], from, &m, &free);
    *out_done = true;
    if (free) {
        gpu_set_form(p, node->out[0], kind, src.at);
        return REEL_OK;
    }
    err = gpu_make_view(p, node->out[0], kind, &dst);
    return err ? err
               : gpu_emit_move(p, node, run->n > 1 ? "moves" : "transpose", &m, src.at, src.elem, dst.at, dst.elem);
}

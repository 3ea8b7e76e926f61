// SPDX-License-Identifier: MIT
//
// Lowering: the steps' memory, the walk over the nodes, inputs and outputs. See
// program.h; forms are in forms.c. Pure: it reads the graph and makes a list; no device is touched.
#include "worker/backend/cudnn/program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- memory ------------------------------------------------------------------------

static void *grow(void *array, int n, int *cap, size_t element)
{
    if (n < *cap) return array;
    const int more = *cap ? *cap * 2 : 64;
    void *bigger = realloc(array, (size_t)more * element);
    if (bigger) *cap = more;
    return bigger;
}

enum reel_err gpu_no_memory(const struct node *node)
{
    return reel_fail(REEL_ERR_NOMEM, "could not compile node \"%s\": no memory", node ? node->name : "(layout)");
}

void *gpu_lower_alloc(struct lowered *p, size_t bytes)
{
    void **owned = grow(p->owned, p->n_owned, &p->cap_owned, sizeof(*p->owned));
    if (!owned) return NULL;
    p->owned = owned;
    void *m = calloc(1, bytes ? bytes : 1);
    if (m) p->owned[p->n_owned++] = m;
    return m;
}

int gpu_add_buf(struct lowered *p, enum buf_kind kind, size_t bytes, const void *init)
{
    struct buf *bufs = grow(p->bufs, p->n_bufs, &p->cap_bufs, sizeof *p->bufs);
    if (!bufs) return -1;
    p->bufs = bufs;
    p->bufs[p->n_bufs] =
        (struct buf){.kind = kind, .bytes = bytes ? bytes : 1, .first = p->n_steps, .last = p->n_steps, .init = init};
    return p->n_bufs++;
}

struct step gpu_step_of(enum step_kind kind, const char *label)
{
    struct step s = {.kind = kind, .label = label, .x = REF_NONE, .y = REF_NONE, .w = REF_NONE};
    for (size_t i = 0; i < sizeof s.extra / sizeof *s.extra; i++) s.extra[i] = REF_NONE;
    for (int i = 0; i < GPU_OPERANDS; i++) s.operand[i] = REF_NONE;
    return s;
}

struct step *gpu_add_step(struct lowered *p, enum step_kind kind, const struct node *node, const char *label)
{
    struct step *steps = grow(p->steps, p->n_steps, &p->cap_steps, sizeof *p->steps);
    if (!steps) return NULL;
    p->steps = steps;
    struct step *s = &p->steps[p->n_steps++];
    *s = gpu_step_of(kind, label);
    s->node = node;
    if (kind == STEP_HOST) p->n_host_steps++;
    return s;
}

enum reel_err gpu_put_step(struct lowered *p, const struct step *made, const struct node *node)
{
    struct step *s = gpu_add_step(p, made->kind, node, made->label);
    if (!s) return gpu_no_memory(node);
    *s = *made;
    s->node = node;
    gpu_touch_last(p);
    return REEL_OK;
}

void gpu_touch(struct lowered *p, struct ref r, int step)
{
    if (r.buf < 0) return;
    struct buf *b = &p->bufs[r.buf];
    if (step < b->first) b->first = step;
    if (step > b->last) b->last = step;
}

void gpu_touch_last(struct lowered *p)
{
    const int at = p->n_steps - 1;
    const struct step *s = &p->steps[at];
    gpu_touch(p, s->x, at);
    gpu_touch(p, s->y, at);
    gpu_touch(p, s->w, at);
    for (size_t i = 0; i < sizeof s->extra / sizeof *s->extra; i++) gpu_touch(p, s->extra[i], at);
    for (int i = 0; i < GPU_OPERANDS; i++) gpu_touch(p, s->operand[i], at);
}

enum reel_err gpu_make_temporary(struct lowered *p, size_t bytes, struct ref *out_ref)
{
    *out_ref = (struct ref){.buf = gpu_add_buf(p, BUF_ARENA, bytes, NULL)};
    return out_ref->buf < 0 ? gpu_no_memory(NULL) : REEL_OK;
}

enum reel_err gpu_make_constant(struct lowered *p, const void *bytes, size_t count, struct ref *out_ref)
{
    void *m = gpu_lower_alloc(p, count);
    if (!m) return gpu_no_memory(NULL);
    if (count) memcpy(m, bytes, count);
    *out_ref = (struct ref){.buf = gpu_add_buf(p, BUF_CONST, count, m)};
    return out_ref->buf < 0 ? gpu_no_memory(NULL) : REEL_OK;
}

enum reel_err gpu_make_constant_floats(struct lowered *p, const float *values, int64_t n, int64_t whole,
                                       enum gpu_elem elem, struct ref *out_ref)
{
    const size_t bytes = (size_t)whole * gpu_elem_bytes(elem);
    void *m = gpu_lower_alloc(p, bytes);
    if (!m) return gpu_no_memory(NULL);
    for (int64_t i = 0; i < n; i++) gpu_elem_store(elem, m, i, values[i]);
    *out_ref = (struct ref){.buf = gpu_add_buf(p, BUF_CONST, bytes, m)};
    return out_ref->buf < 0 ? gpu_no_memory(NULL) : REEL_OK;
}

// ---- the walk ----------------------------------------------------------------------

// Whether a dense convolution reads the value, so that padding its few channels
// lets cuDNN load whole vectors.
static bool feeds_conv(const struct value *v)
{
    for (int k = 0; k < v->n_use_nodes; k++) {
        const struct node *n = v->uses[k];
        if ((node_is(n, "Conv") || node_is(n, "ConvTranspose")) && n->n_in && n->in[0] == v &&
            node_attr_int(n, "group", 1) == 1)
            return true;
    }
    return false;
}

// Of more elements extents of several axes together would not fit 32 bits.
#define VOLUME_MOST (INT32_MAX / 8)

void gpu_set_pixels(const struct lowered *p, struct info *i)
{
    const int nd = i->shape.ndim;
    i->image = i->volume = false;
    if (i->dtype != REEL_F32 || i->count <= 0 || nd < 3 || nd > 5) return;
    for (int d = 0; d < nd; d++)
        if (i->shape.dim[d] > (1 << 24)) return;
    if (nd == 5 && i->count > VOLUME_MOST) return;
    *(nd == 5 ? &i->volume : &i->image) = true;
    i->n = (int)i->shape.dim[0];
    i->c = (int)i->shape.dim[1];
    i->h = nd == 5 ? (int)(i->shape.dim[2] * i->shape.dim[3]) : nd == 4 ? (int)i->shape.dim[2] : 1;
    i->w = (int)i->shape.dim[nd - 1];
    const int whole = 16 / (int)gpu_elem_bytes(p->low); // channels in 16 bytes
    i->pitch = i->c >= 8 || feeds_conv(i->v) ? (i->c + whole - 1) / whole * whole : i->c;
}

static enum reel_err count_uses(struct lowered *p)
{
    const struct graph *g = p->graph;
    for (const struct node *n = g->first; n; n = n->next) {
        for (int k = 0; k < n->n_in; k++)
            if (n->in[k]) info_of(p, n->in[k])->uses++;
        for (int k = 0; k < n->n_epilogue; k++)
            if (n->epilogue[k].other) info_of(p, n->epilogue[k].other)->uses++;
        if (!(n->op->flags & OP_CONTROL)) continue;
        const struct value **list;
        int captured;
        enum reel_err err = interp_captures(g, n, &list, &captured);
        for (int k = 0; k < captured && !err; k++) info_of(p, list[k])->uses++;
        free(list);
        if (err) return err;
    }
    for (int k = 0; k < g->n_outputs; k++) info_of(p, g->outputs[k])->uses++;
    return REEL_OK;
}

static enum reel_err make_infos(struct lowered *p)
{
    const struct graph *g = p->graph;
    p->n_info = g->n_values;
    p->info = calloc((size_t)p->n_info + 1, sizeof *p->info);
    if (!p->info) return gpu_no_memory(NULL);
    for (int n = 0; n < g->n_values; n++) {
        const struct value *v = g->values[n];
        if (v->id < 0 || v->id >= p->n_info)
            return reel_fail(REEL_ERR_FAULT, "could not compile graph: its values are not numbered");
        const struct reel_shape *shape = v->constant ? &v->constant->shape : &v->shape;
        struct info *i = &p->info[v->id];
        *i = (struct info){.v = v, .shape = *shape, .count = shape->ndim < 0 ? -1 : reel_shape_count(shape)};
        i->dtype = v->constant ? v->constant->dtype : v->dtype;
        for (int k = 0; k < FORMS; k++) i->form[k] = REF_NONE;
        i->joined = REF_NONE;
        gpu_set_pixels(p, i);
    }
    return count_uses(p);
}

// An input that every reader takes apart from N,H,W,C at once: its bytes are the
// readers' NHWC image.
static bool channels_last(const struct lowered *p, const struct value *v)
{
    const struct info *i = info_of(p, v);
    if (i->shape.ndim != 4 || v->is_output || v->n_use_nodes != 1 || i->uses != 1) return false;
    const struct node *n = v->uses[0];
    const int64_t *perm;
    return node_is(n, "Transpose") && node_attr_ints(n, "perm", &perm) == 4 && perm[0] == 0 && perm[1] == 3 &&
           perm[2] == 1 && perm[3] == 2 && info_of(p, n->out[0])->image;
}

const struct value *gpu_input_value(const struct lowered *p, int i)
{
    const struct value *v = p->graph->inputs[i];
    return channels_last(p, v) ? v->uses[0]->out[0] : v;
}

// A picture is read as NHWC: where the caller has device memory, its kernels
// write that, and the host's row-major input is brought to it before.
static enum reel_err compile_inputs(struct lowered *p)
{
    for (int n = 0; n < p->graph->n_inputs; n++) {
        const struct value *v = p->graph->inputs[n];
        struct info *i = info_of(p, v);
        struct ref at, image;
        if (i->count < 0)
            return reel_fail(REEL_ERR_INPUT, "could not compile graph input \"%s\": its shape is open", v->name);
        enum reel_err err = gpu_make_form(p, v, FORM_PLAIN, &at);
        p->in_staging[n] = at;
        if (err) return err;
        gpu_touch(p, at, 0);
        if (!i->image || i->shape.ndim != 4) continue;
        const struct value *first = gpu_input_value(p, n);
        if (first != v) {
            // the transposed value's image straight from the staged rows
            struct info *t = info_of(p, first);
            struct view dst;
            err = gpu_make_view(p, first, FORM_IMAGE, &dst);
            struct move m = MOVE_NONE;
            m.n = 4;
            const int64_t dims[4] = {t->n, t->h, t->w, t->c};
            const int64_t from[4] = {(int64_t)t->h * t->w * t->c, (int64_t)t->w * t->c, t->c, 1};
            const int64_t to[4] = {dst.stride[0], dst.stride[2], dst.stride[3], 1};
            for (int d = 0; d < 4; d++) m.extent[d] = dims[d], m.src[d] = from[d], m.dst[d] = to[d];
            gpu_move_pads(p, t, FORM_IMAGE, &m, 3);
            if (!err) err = gpu_emit_move(p, NULL, "to nhwc", &m, at, GPU_ELEM_F32, dst.at, dst.elem);
        } else {
            err = gpu_need_form(p, v, FORM_IMAGE, &image);
        }
        if (err) return err;
        // what else reads it must see what a device caller wrote
        i->form[FORM_PLAIN] = REF_NONE;
    }
    // an input's buffers are written before the first step
    for (int k = 0; k < p->n_bufs; k++)
        if (p->bufs[k].kind == BUF_ARENA) p->bufs[k].first = 0;
    p->main_begin = p->n_steps;
    return REEL_OK;
}

// How many of a node's results are empty, and how many are not.
static int empty_results(const struct lowered *p, const struct node *node, int *out_others)
{
    int empty = 0;
    *out_others = 0;
    for (int i = 0; i < node->n_out; i++)
        if (node->out[i]) ++*(info_of(p, node->out[i])->count == 0 ? &empty : out_others);
    return empty;
}

// Of a node that makes empty tensors alone (slices of no rows): nothing to do.
static enum reel_err make_empty(struct lowered *p, const struct node *node)
{
    struct ref at;
    enum reel_err err = REEL_OK;
    for (int i = 0; i < node->n_out && !err; i++)
        if (node->out[i]) err = gpu_make_form(p, node->out[i], FORM_HOST, &at);
    return err;
}

static bool already_made(const struct lowered *p, const struct node *node)
{
    return node->n_out == 1 && node->out[0] && gpu_best_form(p, info_of(p, node->out[0])) == FORM_IMAGE;
}

// Whether the lowering goes by the name: of com.microsoft's operators some have
// names of their own, or are ONNX's.
static bool known_domain(const struct node *node)
{
    static const char *const ms[] = {"Gelu",        "QuickGelu",          "FastGelu",
                                     "BiasGelu",    "MultiHeadAttention", "SkipLayerNormalization",
                                     "FusedMatMul", "QuantizeLinear",     "DequantizeLinear"};
    if (!*node->domain || !strcmp(node->domain, "ai.onnx")) return true;
    for (size_t i = 0; i < sizeof ms / sizeof *ms; i++)
        if (!strcmp(node->domain, "com.microsoft") && node_is(node, ms[i])) return true;
    return false;
}

enum reel_err gpu_compile_node(struct lowered *p, const struct node *node)
{
    static lower_fn *const lower[] = {
        gpu_lower_flash,  gpu_lower_assign,      gpu_lower_roll,    gpu_lower_moves,    gpu_lower_conv,
        gpu_lower_deconv, gpu_lower_pool,        gpu_lower_matmul,  gpu_lower_resize,   gpu_lower_reduce,
        gpu_lower_norm,   gpu_lower_elementwise, gpu_lower_integer, gpu_lower_quantize, gpu_lower_view,
        gpu_lower_join,   gpu_lower_move,        gpu_lower_gather,  gpu_lower_select,   gpu_lower_sample,
        gpu_lower_deform, gpu_lower_attention,   gpu_lower_einsum,  gpu_lower_rnn,      gpu_lower_fourier,
        gpu_lower_rare,   gpu_lower_volume,      gpu_lower_bytes,   gpu_lower_mean};
    bool done = already_made(p, node); // by its input (channels_last)
    enum reel_err err = REEL_OK;
    int others;
    const bool empty = empty_results(p, node, &others) > 0, dynamic = gpu_follows_data(p, node);
    if (empty && !others && !dynamic && !done) return make_empty(p, node);
    // what has others beside empty tensors is left to the reference implementations
    if (!dynamic && !empty && known_domain(node))
        for (size_t i = 0; !done && !err && i < sizeof lower / sizeof *lower; i++) err = lower[i](p, node, &done);
    if (!err && !done) err = gpu_lower_host(p, node);
    return err ? err : gpu_lower_halo(p, node);
}

static enum reel_err compile_or_regions(struct lowered *p, const struct node *node)
{
    bool done = false;
    enum reel_err err = gpu_lower_regions(p, node, &done);
    return err || done ? err : gpu_compile_node(p, node);
}

enum form_kind gpu_output_form(const struct lowered *p, const struct info *i)
{
    if (i->volume) return FORM_PLAIN;
    if (!i->v->is_state) return gpu_best_form(p, i);
    return i->image && i->shape.ndim == 4 ? FORM_IMAGE : FORM_PLAIN; // as compile_inputs() has them
}

// States that are made on the device go on there, in the form that their inputs have;
// volumes are given as rows.
static enum reel_err compile_given(struct lowered *p)
{
    enum reel_err err = REEL_OK;
    struct ref at;
    for (int n = 0; n < p->graph->n_outputs && !err; n++) {
        const struct info *i = info_of(p, p->graph->outputs[n]);
        if ((!i->v->is_state && !i->volume) || i->count < 0 || !gpu_on_device(p, i)) continue;
        err = gpu_need_form(p, i->v, gpu_output_form(p, i), &at);
    }
    return err;
}

static enum reel_err compile_outputs(struct lowered *p)
{
    p->main_end = p->n_steps;
    for (int n = 0; n < p->graph->n_outputs; n++) {
        struct info *i = info_of(p, p->graph->outputs[n]);
        p->out_staging[n] = REF_NONE;
        if (i->count < 0) continue;
        // a result that a host step made is there already
        const bool on_host = gpu_has_form(i, FORM_HOST) && !gpu_on_device(p, i);
        enum reel_err err = gpu_need_form(p, i->v, on_host ? FORM_HOST : FORM_PLAIN, &p->out_staging[n]);
        if (err) return err;
    }
    for (int n = 0; n < p->graph->n_outputs; n++) {
        const struct info *i = info_of(p, p->graph->outputs[n]);
        gpu_touch(p, p->out_staging[n], p->n_steps);
        for (int k = 0; k < FORMS; k++) gpu_touch(p, i->form[k], p->n_steps);
    }
    return REEL_OK;
}

// With one piece of regions.
static void count_waits(struct lowered *p)
{
    bool busy = false;
    int end_of_piece = -1;
    for (int i = 0; i < p->n_steps; i++) {
        const struct step *s = &p->steps[i];
        const bool host = s->kind == STEP_HOST || s->kind == STEP_REGIONS || i == end_of_piece;
        p->n_waits += host && busy;
        if (s->kind == STEP_REGIONS) end_of_piece = gpu_regions_end(s);
        busy = s->kind != STEP_HOST && s->kind != STEP_REGIONS;
    }
    p->n_waits += busy && p->n_steps == end_of_piece;
}

static enum reel_err lower_graph(struct lowered *p, const struct lower_params *params)
{
    enum reel_err err = make_infos(p);
    if (!err) err = gpu_plan_assign(p);
    if (!err) gpu_plan_rolls(p);
    if (!err) err = gpu_plan_flash(p);
    if (!err) err = gpu_plan_moves(p);
    if (!err && params->join) gpu_plan_parts(p);
    if (!err && params->precision == PRECISION_FP8) err = gpu_fp8_plan(p);
    if (!err) err = compile_inputs(p);
    if (!err) err = gpu_plan_order(p);
    if (!err) err = gpu_plan_regions(p);
    for (int late = 0; late < 2 && !err; late++) {
        if (late) err = gpu_begin_tail(p);
        for (const struct node *n = p->graph->first; n && !err; n = n->next)
            if (gpu_is_late(p, n) == (late > 0)) err = compile_or_regions(p, n);
    }
    if (!err) err = compile_given(p);
    if (!err) err = compile_outputs(p);
    if (!err) err = gpu_join_copies(p);
    if (!err) err = gpu_arena_place(p);
    count_waits(p);
    return err;
}

enum reel_err gpu_lowered_create(const struct graph *graph, const struct lower_params *params,
                                 struct lowered **out_lowered)
{
    const enum precision precision = params->precision;
    struct lowered *p = calloc(1, sizeof *p);
    if (!p) return gpu_no_memory(NULL);
    p->graph = graph;
    p->ranges = params->ranges;
    p->no_fp8 = params->no_fp8;
    p->low = precision == PRECISION_BF16                                  ? GPU_ELEM_BF16
             : precision == PRECISION_FP32 || precision == PRECISION_TF32 ? GPU_ELEM_F32
                                                                          : GPU_ELEM_F16;
    p->allow_tf32 = precision == PRECISION_TF32;
    p->sm = params->sm;
    p->in_staging = calloc((size_t)graph->n_inputs + 1, sizeof *p->in_staging);
    p->out_staging = calloc((size_t)graph->n_outputs + 1, sizeof *p->out_staging);
    enum reel_err err = p->in_staging && p->out_staging ? lower_graph(p, params) : gpu_no_memory(NULL);
    if (err) {
        gpu_lowered_destroy(&p);
        return err;
    }
    *out_lowered = p;
    return REEL_OK;
}

void gpu_lowered_destroy(struct lowered **lowered)
{
    struct lowered *p = *lowered;
    *lowered = NULL;
    if (!p) return;
    for (int i = 0; p->info && i < p->n_info; i++) reel_tensor_fini(&p->info[i].dynamic);
    for (int i = 0; i < p->n_owned; i++) free(p->owned[i]);
    free(p->owned);
    free(p->steps);
    free(p->bufs);
    free(p->info);
    free(p->in_staging);
    free(p->out_staging);
    free(p);
}

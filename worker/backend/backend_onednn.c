// SPDX-License-Identifier: MIT
//
// The CPU backend: compiles a graph into steps over one arena and runs them.
// The parts are in onednn/: program.h says how values lie in memory, forms.c
// gives them their places, lower/*.c turn nodes into steps, pool.c has the threads. It keeps the name and the
// blocked layouts of the library that it began with; the arithmetic is all in
// kernels/, and oneDNN is neither linked nor needed.
//
// Compiling is one pass over the nodes in order. Every node becomes one or a
// few steps; a change of layout is a step of its own, made once per value.
// Buffers get their place in the arena afterwards, when their lives are known,
// so that a run allocates nothing (but tensors whose size depends on data).
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernels/denormals.h"
#include "worker/backend/backend.h"
#include "worker/backend/onednn/lower/quant.h"
#include "worker/backend/onednn/program.h"
#include "worker/onnx/op.h"

// ---- compiling -------------------------------------------------------------------

static bool narrow(enum reel_dtype t)
{
    return t == REEL_F16 || t == REEL_BF16;
}

static enum reel_err constant_info(struct program *p, struct info *i)
{
    const struct reel_tensor *t = i->v->constant;
    i->form[LAYOUT_PLAIN].constant = t->data ? t->data : "";
    if (!narrow(t->dtype)) return REEL_OK;
    void *m = program_alloc(p, (size_t)reel_tensor_count(t) * sizeof(float));
    if (!m) return no_memory(NULL);
    reel_convert(m, REEL_F32, t->data, t->dtype, reel_tensor_count(t));
    i->form[LAYOUT_PLAIN].constant = m;
    return REEL_OK;
}

static void image_info(struct program *p, struct info *i)
{
    const int nd = i->shape.ndim;
    if ((i->dtype != REEL_F32 && !is_byte(i->dtype)) || i->count <= 0 || (nd != 4 && nd != 3)) return;
    for (int d = 0; d < nd; d++)
        if (i->shape.dim[d] > (1 << 24)) return;
    i->image = i->dtype == REEL_F32;
    i->bytes_image = !i->image;
    i->bs = (struct blocked_shape){.n = (int)i->shape.dim[0],
                                   .c = (int)i->shape.dim[1],
                                   .h = nd == 4 ? (int)i->shape.dim[2] : 1,
                                   .w = (int)i->shape.dim[nd - 1],
                                   .lanes = p->k->lanes};
}

static void volume_info(struct program *p, struct info *i)
{
    if (i->dtype != REEL_F32 || i->count <= 0 || i->shape.ndim != 5 || i->v->constant) return;
    const int64_t *d = i->shape.dim;
    for (int k = 0; k < 5; k++)
        if (d[k] > (1 << 24)) return;
    if (d[0] * d[2] > (1 << 24)) return;
    i->volume = true;
    i->bs = (struct blocked_shape){.n = (int)(d[0] * d[2]),
                                   .c = (int)d[1],
                                   .h = (int)d[3],
                                   .w = (int)d[4],
                                   .lanes = p->k->lanes,
                                   .depth = (int)d[2]};
}

// What the bodies of a control node read from the graph around them.
static enum reel_err for_captured(struct program *p, const struct node *node,
                                  void (*each)(struct program *p, const struct value *v))
{
    const struct value **list;
    int n;
    if (!(node->op->flags & OP_CONTROL)) return REEL_OK;
    enum reel_err err = interp_captures(p->graph, node, &list, &n);
    for (int i = 0; i < n && !err; i++) each(p, list[i]);
    free(list);
    return err;
}

static void expect_read(struct program *p, const struct value *v)
{
    info_of(p, v)->pending++;
}

static enum reel_err make_infos(struct program *p)
{
    const struct graph *g = p->graph;
    p->n_info = g->n_values;
    p->info = calloc((size_t)p->n_info + 1, sizeof *p->info);
    if (!p->info) return no_memory(NULL);
    for (int n = 0; n < g->n_values; n++) {
        const struct value *v = g->values[n];
        if (v->id < 0 || v->id >= p->n_info)
            return reel_fail(REEL_ERR_FAULT, "could not compile graph: values not numbered");
        struct info *i = &p->info[v->id];
        const struct reel_shape *shape = v->constant ? &v->constant->shape : &v->shape;
        enum reel_dtype dtype = v->constant ? v->constant->dtype : v->dtype;
        *i = (struct info){.v = v, .shape = *shape, .count = reel_shape_count(shape), .step = -1, .made = -1};
        i->form[0] = i->form[1] = FORM_NONE;
        if (shape->ndim < 0) i->count = -1;
        i->dtype = narrow(dtype) && i->count >= 0 ? REEL_F32 : dtype;
        image_info(p, i);
        volume_info(p, i);
        enum reel_err err = v->constant ? constant_info(p, i) : REEL_OK;
        if (err) return err;
    }
    for (const struct node *n = g->first; n; n = n->next) {
        for (int k = 0; k < n->n_in; k++)
            if (n->in[k]) info_of(p, n->in[k])->pending++;
        for (int k = 0; k < n->n_epilogue; k++)
            if (n->epilogue[k].other) info_of(p, n->epilogue[k].other)->pending++;
        enum reel_err err = for_captured(p, n, expect_read);
        if (err) return err;
    }
    for (int k = 0; k < g->n_outputs; k++) info_of(p, g->outputs[k])->pending++;
    for (int k = 0; k < p->n_info; k++) p->info[k].uses = p->info[k].pending;
    return REEL_OK;
}

struct widen {
    struct form src, dst;
    enum reel_dtype from;
    int64_t count;
};

static enum reel_err run_widen(struct program *p, struct step *s)
{
    const struct widen *w = s->data;
    reel_convert(form_at(p, &w->dst), REEL_F32, form_at(p, &w->src), w->from, w->count);
    return REEL_OK;
}

static enum reel_err compile_inputs(struct program *p)
{
    for (int n = 0; n < p->graph->n_inputs; n++) {
        const struct value *v = p->graph->inputs[n];
        struct info *i = info_of(p, v);
        if (i->count < 0)
            return reel_fail(REEL_ERR_INPUT, "could not compile graph input \"%s\": its shape is open", v->name);
        int buf = add_buf(p, BUF_INPUT, 0, 0);
        if (buf < 0) return no_memory(NULL);
        p->bufs[buf].io = n;
        struct form in = {.buf = buf};
        if (!narrow(v->dtype)) {
            set_form(p, v, LAYOUT_PLAIN, in);
            continue;
        }
        struct form wide;
        enum reel_err err = make_form(p, v, LAYOUT_PLAIN, &wide);
        struct step *s = err ? NULL : add_step(p, NULL, "widen", run_widen, sizeof(struct widen));
        if (!s) return no_memory(NULL);
        *(struct widen *)s->data = (struct widen){in, wide, v->dtype, i->count};
        i->step = -1;
    }
    return REEL_OK;
}

static bool dynamic_node(struct program *p, const struct node *node)
{
    for (int i = 0; i < node->n_in; i++)
        if (node->in[i] && info_of(p, node->in[i])->count < 0) return true;
    for (int i = 0; i < node->n_out; i++)
        if (node->out[i] && info_of(p, node->out[i])->count < 0) return true;
    return false;
}

static void read_once(struct program *p, const struct value *v)
{
    struct info *i = info_of(p, v);
    i->pending--;
    int seen = -1;
    for (int k = 0; k < LAYOUTS; k++) {
        if (i->form[k].buf < 0 || i->form[k].constant || i->form[k].buf == seen) continue;
        seen = i->form[k].buf;
        p->bufs[seen].pending--;
    }
}

// Finds values that can be written straight to their place in the result of a Concat: of one image, whole
// blocks of channels, wanted by no other Concat. Later Concats come first, so that nested ones end in the
// outermost.
static void find_homes(struct program *p)
{
    for (const struct node *n = p->graph->last; n; n = n->prev) {
        if (strcmp(n->op_type, "Concat") || *n->domain || n->n_epilogue || !n->out[0]) continue;
        const struct info *out = info_of(p, n->out[0]);
        int64_t axis = node_attr_int(n, "axis", 1);
        if (axis < 0) axis += out->shape.ndim;
        if (!out->image || out->bs.n != 1 || axis != 1) continue;
        bool images = true;
        for (int i = 0; i < n->n_in; i++) {
            const struct info *in = info_of(p, n->in[i]);
            images &= in->image && in->shape.ndim == out->shape.ndim;
        }
        int channel = 0;
        for (int i = 0; i < n->n_in && images; i++) {
            struct info *in = info_of(p, n->in[i]);
            const bool last = i + 1 == n->n_in;
            if (channel % in->bs.lanes == 0 && (last || in->bs.c % in->bs.lanes == 0) && !in->home && in->v->producer &&
                !in->v->is_output && !in->v->constant) {
                in->home = n->out[0];
                in->home_channel = channel;
            }
            channel += in->bs.c;
        }
    }
}

static enum reel_err compile_node(struct program *p, const struct node *node)
{
    static enum reel_err (*const lower[])(struct program *, const struct node *, bool *) = {
        lower_conv,      lower_volume,      lower_deconv, lower_pool, lower_matmul,
        lower_attention, lower_elementwise, lower_image,  lower_rows, lower_view,
    };
    bool done = false;
    enum reel_err err = REEL_OK;
    const bool fixed = !dynamic_node(p, node);
    const bool known = fixed && (!*node->domain || !strcmp(node->domain, "ai.onnx"));
    if (known) err = lower_quant(p, node, &done);
    if (!err && !done) err = dequantize_operands(p, node);
    if (known)
        for (size_t i = 0; !done && !err && i < sizeof lower / sizeof *lower; i++) err = lower[i](p, node, &done);
    if (fixed && !known && !done && !err) err = lower_attention(p, node, &done); // an operator of com.microsoft
    if (!err && !done) err = lower_reference(p, node);
    if (!err) err = lower_halo(p, node);
    for (int i = 0; i < node->n_in; i++) {
        if (!node->in[i]) continue;
        read_once(p, node->in[i]);
        // from now on the place may hold another value
        if (node->out[0] && info_of(p, node->in[i])->home == node->out[0]) info_of(p, node->in[i])->home = NULL;
    }
    for (int i = 0; i < node->n_epilogue; i++)
        if (node->epilogue[i].other) read_once(p, node->epilogue[i].other);
    return err ? err : for_captured(p, node, read_once);
}

// A result that fills a buffer of its own is written directly into the caller's memory.
static void claim_output(struct program *p, int n)
{
    const struct value *v = p->graph->outputs[n];
    struct info *i = info_of(p, v);
    const struct form *f = &i->form[LAYOUT_PLAIN];
    if (f->constant || f->buf < 0 || f->offset || i->dtype != v->dtype) return;
    struct buf *b = &p->bufs[f->buf];
    const size_t bytes = (size_t)i->count * reel_dtype_bytes(i->dtype);
    // the first part of a larger buffer begins where the buffer does
    if (b->kind != BUF_ARENA || b->padded || b->pending != 1 || b->asked_bytes != bytes) return;
    b->kind = BUF_OUTPUT;
    b->io = n;
    b->bytes = bytes;
}

static enum reel_err compile_outputs(struct program *p)
{
    for (int n = 0; n < p->graph->n_outputs; n++) {
        struct info *i = info_of(p, p->graph->outputs[n]);
        if (i->count < 0) continue;
        struct form f;
        enum reel_err err = need_form(p, i->v, LAYOUT_PLAIN, &f);
        if (err) return err;
    }
    // not earlier: making one output plain is a step, and must not use the place of another output
    for (int n = 0; n < p->graph->n_outputs; n++) {
        const struct info *i = info_of(p, p->graph->outputs[n]);
        if (i->count < 0) continue;
        touch(p, &i->form[LAYOUT_PLAIN], p->n_steps);
        claim_output(p, n);
    }
    return REEL_OK;
}

static void destroy(struct program **program)
{
    struct program *p = *program;
    *program = NULL;
    if (!p) return;
    for (int i = 0; i < p->n_steps; i++)
        if (p->steps[i].fini) p->steps[i].fini(p->steps[i].data);
    for (int i = 0; i < p->n_bufs; i++) free(p->bufs[i].own);
    for (int i = 0; p->info && i < p->n_info; i++) reel_tensor_fini(&p->info[i].dynamic);
    for (int i = 0; i < p->n_owned; i++) free(p->owned[i]);
    free(p->owned);
    free(p->steps);
    free(p->bufs);
    free(p->info);
    free(p->arena);
    free(p->scratch);
    free(p->weights16);
    free(p->step_us);
    pool_destroy(&p->pool);
    free(p);
}

// The kernels for --precision bf16; NULL if this CPU has none. For tests, and to see what a network loses,
// REELMILL_EMULATE_BF16 ("avx512" or "amx") does the same arithmetic with other instructions, slowly.
static const struct conv_kernels *bf16_kernels(void)
{
    const char *emulate = getenv("REELMILL_EMULATE_BF16");
    if (emulate && *emulate) return conv_kernels_bf16(strcmp(emulate, "amx") ? CONV_BF16_AVX512 : CONV_BF16_AMX, true);
    return conv_kernels_bf16(conv_bf16_of_cpu(), false);
}

static enum reel_err probe(const struct backend_params *params)
{
    switch (params->precision) {
    case PRECISION_AUTO:
    case PRECISION_FP32:
        return REEL_OK;
    case PRECISION_BF16:
        if (bf16_kernels()) return REEL_OK;
        return reel_fail(REEL_ERR_UNSUPPORTED,
                         "could not start backend \"onednn\": this CPU has no bf16 instructions (AVX512_BF16, AMX)\n"
                         "use --precision fp32");
    default:
        return reel_fail(REEL_ERR_UNSUPPORTED,
                         "could not start backend \"onednn\": this precision is not available on CPUs\n"
                         "use --precision fp32, or bf16 where the CPU has it");
    }
}

static const struct conv_kernels *kernels_for(enum precision precision)
{
    const struct conv_kernels *narrow = precision == PRECISION_BF16 ? bf16_kernels() : NULL;
    return narrow ? narrow : conv_kernels_get(CPU_ISA_AVX512);
}

const char *backend_onednn_kernels(const struct backend_params *params)
{
    return kernels_for(params->precision)->name;
}

static enum reel_err compile(const struct graph *graph, const struct backend_params *params,
                             struct program **out_program)
{
    enum reel_err err = probe(params);
    if (err) return err;
    struct program *p = calloc(1, sizeof *p);
    if (!p) return no_memory(NULL);
    p->graph = graph;
    p->bf16 = params->precision == PRECISION_BF16;
    p->exchange = params->exchange;
    p->k = kernels_for(params->precision);
    p->k8 = conv8_kernels_get(CONV8_ISA_VNNI, p->k->lanes);
    err = pool_create(params->threads > 0 ? params->threads : 1, &p->pool);
    if (!err) {
        err = make_infos(p);
        if (!err) find_homes(p);
        if (!err) err = compile_inputs(p);
        for (const struct node *n = graph->first; n && !err; n = n->next) err = compile_node(p, n);
        if (!err) err = compile_outputs(p);
        free(p->weights16);
        p->weights16 = NULL;
        if (!err) err = plan_memory(p);
        // helps people who look for the slow step in a dump
        if (!err && getenv("REELMILL_PROFILE")) p->step_us = calloc((size_t)p->n_steps + 1, sizeof *p->step_us);
    }
    if (err) {
        destroy(&p);
        return err;
    }
    *out_program = p;
    return REEL_OK;
}

// ---- running ---------------------------------------------------------------------

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

static enum reel_err bind_io(struct program *p, const struct reel_tensor *const *in, const struct reel_tensor *out)
{
    for (int i = 0; i < p->n_bufs; i++) {
        struct buf *b = &p->bufs[i];
        if (b->kind == BUF_INPUT) b->base = in[b->io]->data;
        if (b->kind != BUF_OUTPUT) continue;
        b->base = out[b->io].data;
        if (b->base) continue;
        if (!b->own) b->own = aligned_alloc(64, (b->bytes + 127) / 64 * 64);
        if (!b->own) return reel_fail(REEL_ERR_NOMEM, "could not run graph: no memory for an output");
        b->base = b->own;
    }
    return REEL_OK;
}

static enum reel_err give_dynamic(struct info *i, struct reel_tensor *out, bool borrow)
{
    struct reel_tensor *t = &i->dynamic;
    if (t->dtype == REEL_DTYPE_NONE)
        return reel_fail(REEL_ERR_FAULT, "could not run graph: output \"%s\" was not made", i->v->name);
    if (borrow) {
        *out = *t;
        out->owned = false;
        return REEL_OK;
    }
    return reel_tensor_copy(out, t);
}

static enum reel_err give_output(struct program *p, int n, struct reel_tensor *out, bool borrow)
{
    struct info *i = info_of(p, p->graph->outputs[n]);
    if (i->count < 0) return give_dynamic(i, out, borrow);
    const struct form *f = &i->form[LAYOUT_PLAIN];
    const enum reel_dtype dtype = i->v->constant ? i->v->constant->dtype : i->v->dtype;
    const void *from = form_at(p, f);
    if (out->data) {
        if (out->data == from) return REEL_OK;
    } else if (borrow && i->dtype == dtype) {
        *out = (struct reel_tensor){.dtype = dtype, .shape = i->shape, .data = (void *)from};
        return REEL_OK;
    } else {
        *out = (struct reel_tensor){0};
        enum reel_err err = reel_tensor_init(out, dtype, &i->shape);
        if (err) return err;
    }
    if (i->dtype == dtype)
        memcpy(out->data, from, (size_t)i->count * reel_dtype_bytes(dtype));
    else
        reel_convert(out->data, dtype, from, i->dtype, i->count);
    return REEL_OK;
}

static enum reel_err run(struct program *p, const struct reel_tensor *const *in, struct reel_tensor *out, bool borrow)
{
    const unsigned before = denormals_off(); // as the pool's threads do
    enum reel_err err = bind_io(p, in, out);
    for (int i = 0; i < p->n_info; i++)
        if (p->info[i].dynamic.dtype != REEL_DTYPE_NONE) reel_tensor_fini(&p->info[i].dynamic);
    for (int i = 0; !err && i < p->n_steps; i++) {
        const double begin = p->step_us ? now_us() : 0;
        err = p->steps[i].run(p, &p->steps[i]);
        if (!p->step_us) continue;
        const double us = now_us() - begin;
        if (!p->runs || us < p->step_us[i]) p->step_us[i] = us;
    }
    for (int n = 0; !err && n < p->graph->n_outputs; n++) err = give_output(p, n, &out[n], borrow);
    p->runs++;
    denormals_restore(before);
    return err;
}

// ---- inspection ------------------------------------------------------------------

static size_t memory_bytes(const struct program *p)
{
    size_t bytes = p->constant_bytes + p->arena_bytes;
    if (p->pool) bytes += p->scratch_bytes * (size_t)pool_threads(p->pool);
    for (int i = 0; i < p->n_bufs; i++)
        if (p->bufs[i].own) bytes += p->bufs[i].bytes;
    return bytes;
}

static void dump(const struct program *p, void *stdio_file)
{
    FILE *f = stdio_file;
    fprintf(f, "# %s, %d lanes, %d threads, arena %zu KB, constants %zu KB, scratch %zu KB a thread\n", p->k->name,
            p->k->lanes, pool_threads(p->pool), p->arena_bytes >> 10, p->constant_bytes >> 10, p->scratch_bytes >> 10);
    for (int i = 0; i < p->n_steps; i++) {
        const struct step *s = &p->steps[i];
        char in[128] = "", out[128] = "";
        if (s->node && s->node->n_in && s->node->in[0])
            reel_shape_text(&p->info[s->node->in[0]->id].shape, in, sizeof in);
        if (s->node && s->node->n_out && s->node->out[0])
            reel_shape_text(&p->info[s->node->out[0]->id].shape, out, sizeof out);
        fprintf(f, "%3d %-20s %-22s %s -> %s", i, s->node ? s->node->op_type : "-", s->kernel, in, out);
        if (p->step_us && p->runs) fprintf(f, " %.1f us", p->step_us[i]);
        if (s->mflop > 0) fprintf(f, " %.2f MFLOP", s->mflop);
        if (s->tail && s->tail->e.n) fprintf(f, " +%d", s->tail->e.n);
        if (s->node) fprintf(f, "  %s", s->node->name);
        fputc('\n', f);
    }
}

const struct backend_ops backend_onednn = {
    .name = "onednn",
    .caps = BACKEND_FUSES_ACT | BACKEND_FUSES_RESIDUAL | BACKEND_FUSES_PRELU | BACKEND_DYNAMIC_TAIL | BACKEND_INT8 |
            BACKEND_FEW_CHANNELS | BACKEND_EXCHANGES,
    .own_ops =
        "Abs Add Attention AveragePool BatchNormalization Clip Concat Conv ConvInteger ConvTranspose Crop DepthToSpace "
        "DequantizeLinear Div DynamicQuantizeLinear Elu Gelu Gemm GlobalAveragePool GlobalMaxPool HardSigmoid "
        "HardSwish "
        "InstanceNormalization LayerNormalization LeakyRelu MatMul MatMulInteger Max MaxPool Min Mish Mul Neg PRelu "
        "Pad QLinearConv "
        "QLinearMatMul QuantizeLinear ReduceMean Relu Resize Sigmoid Slice Softmax Split Sqrt Sub Tanh Transpose "
        "Upsample "
        "com.microsoft.MultiHeadAttention com.microsoft.QGemm com.microsoft.QLinearAdd "
        "com.microsoft.QLinearAveragePool com.microsoft.QLinearConcat "
        "com.microsoft.QLinearGlobalAveragePool com.microsoft.QLinearLeakyRelu com.microsoft.QLinearMul "
        "com.microsoft.QLinearSigmoid com.microsoft.QLinearSoftmax",
    .probe = probe,
    .compile = compile,
    .run = run,
    .memory_bytes = memory_bytes,
    .dump = dump,
    .destroy = destroy,
};

// SPDX-License-Identifier: MIT
//
// Convolutions and matrix products of quantised networks -> 8-bit kernels with
// exact 32-bit sums (kernels/conv8.h); see quant.c for how they are found.
//
// Such a step makes float32 at first, so that what follows is put behind it as
// behind any other step; when the next reader is QuantizeLinear the step is
// changed to make bytes (quantize_behind). Clamps are then bounds of the
// rounding: rounding is monotone, so that the result is the same to the bit.
#include <stdlib.h>
#include <string.h>

#include "kernels/conv8.h"
#include "worker/backend/onednn/lower/quant.h"
#include "worker/onnx/op.h"

struct conv8 {
    struct tail tail;
    struct conv8_plan plan;
    struct conv8_result r;
    int32_t *start;
    float *factor, *shift;
    struct form src, dst;
    struct form zero; // of the input, when it is known at run time only
    int zero_flip;
    bool dynamic;
    int flip; // of rows
};

struct conv8_job {
    struct program *p;
    const struct conv8 *c;
    struct conv8_result r;
    const uint8_t *src;
    void *dst;
};

static void fini_conv8(void *data)
{
    conv8_plan_fini(&((struct conv8 *)data)->plan);
}

static void conv8_units(void *job, int begin, int end, int thread)
{
    const struct conv8_job *j = job;
    j->p->k8->run(&j->c->plan, &j->r, j->p->k, j->src, j->dst, begin, end, thread_scratch(j->p, thread));
}

static void matmul8_units(void *job, int begin, int end, int thread)
{
    const struct conv8_job *j = job;
    j->p->k8->matmul(&j->c->plan, &j->r, j->p->k, j->src, j->c->flip, j->dst, begin, end, thread_scratch(j->p, thread));
}

// The input's zero point times the sums of the weights comes off every sum.
static void set_start(struct conv8 *c, const int32_t *bias, int zero)
{
    for (int o = 0; o < c->plan.g.oc; o++)
        c->start[o] = (int32_t)((uint32_t)(bias ? bias[o] : 0) - (uint32_t)zero * (uint32_t)c->plan.sums[o]);
    c->r.pad = zero;
}

static void prepare_run(struct program *p, struct conv8 *c, struct conv8_job *job)
{
    if (c->dynamic) set_start(c, NULL, *(const uint8_t *)form_at(p, &c->zero) ^ c->zero_flip);
    *job = (struct conv8_job){p, c, c->r, form_at(p, &c->src), form_at(p, &c->dst)};
    job->r.e = bind_tail(p, &c->tail);
}

static enum reel_err run_conv8(struct program *p, struct step *s)
{
    struct conv8 *c = s->data;
    struct conv8_job job;
    prepare_run(p, c, &job);
    pool_run(p->pool, conv8_units, &job, c->plan.units);
    return REEL_OK;
}

static enum reel_err run_matmul8(struct program *p, struct step *s)
{
    struct conv8 *c = s->data;
    struct conv8_job job;
    prepare_run(p, c, &job);
    pool_run(p->pool, matmul8_units, &job, c->plan.units);
    return REEL_OK;
}

// ---- compiling a step ---------------------------------------------------------------

// Makes the step's numbers and adds it. bias: one an output channel, or NULL.
static enum reel_err emit8(struct program *p, const struct node *node, struct conv8 *c, const struct conv_geometry *g,
                           enum conv8_method method, const struct weights8 *w, float in_scale, int zero,
                           const float *bias, struct step **out_step)
{
    const size_t room = ((size_t)g->oc + 64) * sizeof(float);
    const int16_t *weights = weights8_centred(p, w);
    int32_t *whole = malloc(room);
    c->start = program_alloc(p, room), c->factor = program_alloc(p, room), c->shift = program_alloc(p, room);
    bool ok = weights && whole && c->start && c->factor && c->shift;
    ok = ok && p->k8->prepare(&c->plan, g, method, weights);
    struct step *s = ok ? add_step(p, node, "", method == CONV8_MATMUL ? run_matmul8 : run_conv8, sizeof *c) : NULL;
    if (!s) {
        conv8_plan_fini(&c->plan);
        free(whole);
        return no_memory(node);
    }
    for (int o = 0; o < g->oc; o++) c->factor[o] = in_scale * weights8_scale(w, o);
    const bool in_sum = bias && whole_bias(bias, c->factor, g->oc, whole);
    if (bias && !in_sum) memcpy(c->shift, bias, sizeof(float) * (size_t)g->oc);
    c->r = (struct conv8_result){
        .kind = CONV8_FLOATS, .start = c->start, .factor = c->factor, .shift = c->shift, .scale = 1};
    set_start(c, in_sum ? whole : NULL, zero);
    free(whole);
    *(struct conv8 *)s->data = *c;
    s->fini = fini_conv8;
    s->tail = &((struct conv8 *)s->data)->tail;
    s->mflop = 2e-6 * g->n * g->oc * g->oh * g->ow * (g->ic / g->groups) * g->kh * g->kw;
    s->kernel = method == CONV8_MATMUL      ? "matmul8"
                : method == CONV8_DEPTHWISE ? "depthwise8"
                : c->plan.flat              ? "1x1 8"
                                            : "direct8";
    p->constant_bytes += c->plan.w_bytes;
    want_scratch(p, c->plan.scratch_bytes);
    touch(p, &c->src, p->n_steps - 1);
    touch(p, &c->dst, p->n_steps - 1);
    if (c->dynamic) touch(p, &c->zero, p->n_steps - 1);
    *out_step = s;
    return REEL_OK;
}

// ---- Conv --------------------------------------------------------------------------------

static enum reel_err conv_float8(struct program *p, const struct node *node, bool *out_done)
{
    const struct info *bytes;
    struct q8_scale from;
    struct weights8 w;
    struct info *out = info_of(p, node->out[0]);
    if (!dequantized_from(p, node->in[0], &bytes, &from) || !weights8_dequantized(p, node->in[1], 0, &w))
        return REEL_OK;
    const struct info *shape_of_w = info_of(p, node->in[1]);
    if (!bytes->bytes_image || !out->image || shape_of_w->shape.ndim != bytes->shape.ndim) return REEL_OK;
    bool ok;
    const float *bias = constant_bias(p, node, out->bs.c, &ok);
    struct conv_geometry g;
    if (!ok || !conv_geometry_of(node, bytes, shape_of_w, out, &g)) return REEL_OK;
    const enum conv8_method method = p->k8->choose(&g);
    if (method == CONV8_NONE) return REEL_OK;
    struct conv8 c = {.tail.layout = LAYOUT_BLOCKED};
    int left = 0;
    struct step *s = NULL;
    enum reel_err err = need_form(p, bytes->v, LAYOUT_BLOCKED, &c.src);
    if (!err) err = map_epilogue(p, node, out, &c.tail, &left);
    if (!err) err = make_form(p, node->out[0], LAYOUT_BLOCKED, &c.dst);
    if (!err) err = emit8(p, node, &c, &g, method, &w, from.scale, from.zero, bias, &s);
    if (err) return err;
    touch_tail(p, &c.tail, p->n_steps - 1);
    *out_done = true;
    if (left == node->n_epilogue) return REEL_OK;
    s->tail = NULL;
    return finish_epilogue(p, node, left);
}

// The Cast to float32 that alone reads v.
static const struct node *cast_behind(struct program *p, const struct value *v)
{
    const struct node *c = graph_only_consumer(p->graph, v);
    return is_onnx(c, "Cast") && c->out[0] && c->out[0]->dtype == REEL_F32 && !c->n_epilogue ? c : NULL;
}

// Weights and zero points of ConvInteger and MatMulInteger.
static bool integer_weights(struct program *p, const struct node *node, int axis, struct conv8 *c, struct weights8 *w,
                            enum reel_err *out_err)
{
    *w = (struct weights8){.w = constant_of(node->in[1]), .zero = node->n_in > 3 ? constant_of(node->in[3]) : NULL};
    if (!w->w || (node->n_in > 3 && node->in[3] && !w->zero) || axis >= w->w->shape.ndim) return false;
    w->outputs = w->w->shape.dim[axis];
    w->transposed = axis > 0;
    if (w->outputs < 1 || !weights8_fit(w->zero, w->outputs)) return false;
    w->inputs = reel_tensor_count(w->w) / w->outputs;
    const struct value *zero = node->n_in > 2 ? node->in[2] : NULL;
    if (zero && info_of(p, zero)->count != 1) return false;
    if (!zero) return true;
    c->dynamic = true;
    c->zero_flip = info_of(p, zero)->dtype == REEL_I8 ? 128 : 0;
    *out_err = need_form(p, zero, LAYOUT_PLAIN, &c->zero);
    return true;
}

static enum reel_err conv_integer8(struct program *p, const struct node *node, bool *out_done)
{
    const struct info *bytes = info_of(p, node->in[0]);
    const struct node *cast = cast_behind(p, node->out[0]);
    if (!cast || !is_byte(bytes->dtype) || !bytes->bytes_image || bytes->v->constant) return REEL_OK;
    struct info *out = info_of(p, cast->out[0]);
    struct conv8 c = {.tail.layout = LAYOUT_BLOCKED};
    struct weights8 w;
    struct conv_geometry g;
    enum reel_err err = REEL_OK;
    if (!out->image || !integer_weights(p, node, 0, &c, &w, &err) || err) return err;
    const struct info *shape_of_w = info_of(p, node->in[1]);
    if (shape_of_w->shape.ndim != bytes->shape.ndim || !conv_geometry_of(node, bytes, shape_of_w, out, &g))
        return REEL_OK;
    const enum conv8_method method = p->k8->choose(&g);
    if (method == CONV8_NONE) return REEL_OK;
    struct step *s;
    const int zero = bytes->dtype == REEL_I8 ? 128 : 0;
    err = need_form(p, bytes->v, LAYOUT_BLOCKED, &c.src);
    if (!err) err = make_form(p, out->v, LAYOUT_BLOCKED, &c.dst);
    if (!err) err = emit8(p, node, &c, &g, method, &w, 1, zero, NULL, &s);
    *out_done = true;
    return err;
}

enum reel_err lower_conv8(struct program *p, const struct node *node, bool *out_done)
{
    if (node->n_in < 2 || !node->in[1] || !p->k8) return REEL_OK;
    if (is_onnx(node, "Conv")) return conv_float8(p, node, out_done);
    return is_onnx(node, "ConvInteger") && !node->n_epilogue ? conv_integer8(p, node, out_done) : REEL_OK;
}

// ---- matrix products ------------------------------------------------------------------------

// Rows of `a` times a constant matrix of two dimensions.
static bool rows_of(const struct info *a, int64_t inputs, int64_t outputs, struct conv_geometry *g)
{
    const int nd = a->shape.ndim;
    if (nd < 2 || a->count < 1 || a->shape.dim[nd - 1] != inputs || inputs < 1) return false;
    const int64_t m = a->count / inputs, most = INT32_MAX / 4;
    if (m > most || inputs > most / 64 || outputs > most / 64) return false;
    *g = (struct conv_geometry){.n = 1, .ic = (int)inputs, .ih = 1, .iw = 1, .oc = (int)outputs, .oh = (int)m, .ow = 1};
    g->kh = g->kw = g->sh = g->sw = g->dh = g->dw = g->groups = 1;
    return true;
}

static enum reel_err matmul_float8(struct program *p, const struct node *node, bool *out_done)
{
    const bool gemm = is_onnx(node, "Gemm");
    const int axis = gemm && node_attr_int(node, "transB", 0) ? 0 : 1;
    const struct info *bytes;
    struct q8_scale from;
    struct weights8 w;
    struct conv_geometry g;
    if (gemm && (node_attr_int(node, "transA", 0) || node_attr_float(node, "alpha", 1) != 1 ||
                 node_attr_float(node, "beta", 1) != 1))
        return REEL_OK;
    if (!dequantized_from(p, node->in[0], &bytes, &from) || !weights8_dequantized(p, node->in[1], axis, &w))
        return REEL_OK;
    if (w.w->shape.ndim != 2 || !rows_of(bytes, w.inputs, w.outputs, &g)) return REEL_OK;
    struct info *out = info_of(p, node->out[0]);
    bool ok = true;
    const float *bias = gemm ? constant_bias(p, node, g.oc, &ok) : NULL;
    if (!ok || out->v->dtype != REEL_F32 || out->count != (int64_t)g.oh * g.oc) return REEL_OK;
    struct conv8 c = {.tail = {.layout = LAYOUT_PLAIN, .columns = true}, .flip = memory_flip(bytes, LAYOUT_PLAIN)};
    int left = 0;
    struct step *s = NULL;
    enum reel_err err = need_form(p, bytes->v, LAYOUT_PLAIN, &c.src);
    if (!err) err = map_epilogue(p, node, out, &c.tail, &left);
    if (!err && !bias && c.tail.e.n && c.tail.e.step[0].kind == CONV_ADD_CHAN && c.tail.data[0].constant) {
        bias = c.tail.data[0].constant; // MatMul and Add
        c.tail.e.n--;
        memmove(c.tail.e.step, c.tail.e.step + 1, sizeof(c.tail.e.step[0]) * (size_t)c.tail.e.n);
        memmove(c.tail.data, c.tail.data + 1, sizeof(c.tail.data[0]) * (size_t)c.tail.e.n);
    }
    if (!err) err = make_form(p, node->out[0], LAYOUT_PLAIN, &c.dst);
    if (!err) err = emit8(p, node, &c, &g, CONV8_MATMUL, &w, from.scale, from.zero, bias, &s);
    if (err) return err;
    touch_tail(p, &c.tail, p->n_steps - 1);
    *out_done = true;
    if (left == node->n_epilogue) return REEL_OK;
    s->tail = NULL;
    return finish_epilogue(p, node, left);
}

static enum reel_err matmul_integer8(struct program *p, const struct node *node, bool *out_done)
{
    const struct info *bytes = info_of(p, node->in[0]);
    const struct node *cast = cast_behind(p, node->out[0]);
    if (!cast || !is_byte(bytes->dtype) || bytes->v->constant || !node->in[1]) return REEL_OK;
    struct info *out = info_of(p, cast->out[0]);
    struct conv8 c = {.tail = {.layout = LAYOUT_PLAIN, .columns = true}, .flip = memory_flip(bytes, LAYOUT_PLAIN)};
    struct weights8 w;
    struct conv_geometry g;
    enum reel_err err = REEL_OK;
    if (!integer_weights(p, node, 1, &c, &w, &err) || err) return err;
    if (w.w->shape.ndim != 2 || !rows_of(bytes, w.inputs, w.outputs, &g) || out->count != (int64_t)g.oh * g.oc)
        return REEL_OK;
    struct step *s;
    err = need_form(p, bytes->v, LAYOUT_PLAIN, &c.src);
    if (!err) err = make_form(p, out->v, LAYOUT_PLAIN, &c.dst);
    if (!err) err = emit8(p, node, &c, &g, CONV8_MATMUL, &w, 1, c.flip, NULL, &s);
    *out_done = true;
    return err;
}

enum reel_err lower_matmul8(struct program *p, const struct node *node, bool *out_done)
{
    if (node->n_in < 2 || !node->in[1] || !p->k8) return REEL_OK;
    if (is_onnx(node, "MatMul") || is_onnx(node, "Gemm")) return matmul_float8(p, node, out_done);
    return is_onnx(node, "MatMulInteger") && !node->n_epilogue ? matmul_integer8(p, node, out_done) : REEL_OK;
}

// ---- QuantizeLinear behind them -----------------------------------------------------------------

enum reel_err quantize_behind(struct program *p, const struct node *node, struct info *in, struct info *out,
                              struct q8_scale to, bool *out_done)
{
    if (in->step < 0 || in->uses != 1 || in->made != in->step || in->home) return REEL_OK;
    const int at = in->step;
    struct step *s = &p->steps[at];
    const bool rows = s->run == run_matmul8;
    if (!rows && s->run != run_conv8) return REEL_OK;
    const enum layout layout = rows ? LAYOUT_PLAIN : LAYOUT_BLOCKED, other = rows ? LAYOUT_BLOCKED : LAYOUT_PLAIN;
    const struct form was = in->form[layout];
    struct conv8 *c = s->data;
    if (in->step_layout != layout || was.buf < 0 || was.offset || form_exists(&in->form[other])) return REEL_OK;
    if (p->bufs[was.buf].pending != 1 || c->r.kind != CONV8_FLOATS || !s->tail) return REEL_OK;
    if (!rows && !out->bytes_image) return REEL_OK;
    const int bias = rows && out->dtype == REEL_I8 ? 128 : 0; // rows are stored as they are
    struct conv8_result r = c->r;
    r.zero = to.zero - bias;
    r.lo = (float)-to.zero, r.hi = (float)(255 - to.zero);
    const bool clamps = only_clamps(&c->tail.e, to.scale, &r.lo, &r.hi);
    if (rows && !clamps) return REEL_OK;
    struct form dst;
    enum reel_err err = make_form(p, node->out[0], layout, &dst);
    if (err) return err;
    touch(p, &dst, at);
    r.kind = CONV8_BYTES;
    if (clamps) {
        c->tail.e.n = 0;
        for (int o = 0; o < c->plan.g.oc; o++) c->factor[o] /= to.scale, c->shift[o] /= to.scale;
    } else {
        r.scale = to.scale;
    }
    c->r = r;
    c->dst = dst;
    s->tail = NULL;
    p->bufs[was.buf].bytes = 0;
    in->form[layout] = FORM_NONE;
    out->step = -1;
    out->made = at;
    *out_done = true;
    return REEL_OK;
}

// SPDX-License-Identifier: MIT
//
// ConvTranspose of quantised networks -> 8-bit kernels, between DequantizeLinear
// and QuantizeLinear (and clamps before it): a convolution a phase, as in
// float32 (deconv.c), which writes its bytes where they belong. See
// quant.c for how they are found.
#include <stdlib.h>

#include "kernels/conv8.h"
#include "worker/backend/onednn/lower/quant.h"
#include "worker/onnx/op.h"

#define DECONV8_PHASES 64

struct deconv8 {
    struct form src, dst;
    int n;
    struct conv8_plan plan[DECONV8_PHASES];
    struct conv8_result r[DECONV8_PHASES];
};

struct deconv8_job {
    struct program *p;
    const struct deconv8 *d;
    int phase;
    const uint8_t *src;
    uint8_t *dst;
};

static void fini_deconv8(void *data)
{
    struct deconv8 *d = data;
    for (int i = 0; i < d->n; i++) conv8_plan_fini(&d->plan[i]);
}

static void deconv8_units(void *job, int begin, int end, int thread)
{
    const struct deconv8_job *j = job;
    j->p->k8->run(&j->d->plan[j->phase], &j->d->r[j->phase], j->p->k, j->src, j->dst, begin, end,
                  thread_scratch(j->p, thread));
}

static enum reel_err run_deconv8(struct program *p, struct step *s)
{
    struct deconv8 *d = s->data;
    struct deconv8_job job = {p, d, 0, form_at(p, &d->src), form_at(p, &d->dst)};
    for (; job.phase < d->n; job.phase++) pool_run(p->pool, deconv8_units, &job, d->plan[job.phase].units);
    return REEL_OK;
}

// Weights (C,M,kh,kw) less their zero points -> (M,C,..) of a phase.
static void phase_weights8(const struct weights8 *w, int ic, const struct deconv_shape *d,
                           const struct deconv_phase f[2], int16_t *out)
{
    const bool many = w->zero && reel_tensor_count(w->zero) > 1;
    for (int64_t o = 0; o < w->outputs; o++) {
        const int zero = w->zero ? (int)op_scalar_int(w->zero, many ? o : 0) : 0;
        for (int i = 0; i < ic; i++)
            for (int y = 0; y < f[0].taps; y++)
                for (int x = 0; x < f[1].taps; x++) {
                    const int ky = f[0].from + f[0].step * (f[0].taps - 1 - y);
                    const int kx = f[1].from + f[1].step * (f[1].taps - 1 - x);
                    const int64_t at = ((i * w->outputs + o) * d->k[0] + ky) * d->k[1] + kx;
                    const int v =
                        w->w->dtype == REEL_I8 ? ((const int8_t *)w->w->data)[at] : ((const uint8_t *)w->w->data)[at];
                    *out++ = (int16_t)(v - zero);
                }
    }
}

static bool prepare_phase8(struct program *p, struct deconv8 *d, const struct deconv_shape *shape,
                           const struct blocked_shape *in, const struct blocked_shape *out, const struct weights8 *w,
                           int phase, int16_t *weights)
{
    const int v = p->k8->lanes;
    const struct deconv_phase f[2] = {deconv_phase_of(shape, 0, phase / shape->s[1], out->h),
                                      deconv_phase_of(shape, 1, phase % shape->s[1], out->w)};
    if (f[0].count <= 0 || f[1].count <= 0) return true;
    struct conv_geometry g = {.n = in->n, .ic = in->c, .ih = in->h, .iw = in->w, .oc = out->c};
    g.oh = f[0].count, g.ow = f[1].count, g.kh = f[0].taps, g.kw = f[1].taps;
    g.pad_top = f[0].pad, g.pad_left = f[1].pad;
    g.sh = g.sw = g.groups = 1;
    g.dh = f[0].dilation, g.dw = f[1].dilation;
    g.spread = true;
    phase_weights8(w, in->c, shape, f, weights);
    struct conv8_plan *plan = &d->plan[d->n];
    if (!p->k8->prepare(plan, &g, CONV8_DIRECT, weights)) return false;
    d->n++;
    plan->out_pixel = (ptrdiff_t)shape->s[1] * v;
    plan->out_row = (ptrdiff_t)shape->s[0] * out->w * v;
    plan->out_begin = ((ptrdiff_t)f[0].first * out->w + f[1].first) * v;
    plan->out_plane = (size_t)out->h * (size_t)out->w * (size_t)v;
    p->constant_bytes += plan->w_bytes;
    want_scratch(p, plan->scratch_bytes);
    return true;
}

// The node's clamps as bounds in steps of the result; false when it has others.
static bool clamped_result(const struct node *node, struct q8_scale to, struct conv8_result *r)
{
    struct conv_epilogue e = {0};
    for (int i = 0; i < node->n_epilogue; i++) {
        const struct epilogue *step = &node->epilogue[i];
        if ((step->kind != EPILOGUE_RELU && step->kind != EPILOGUE_CLIP) || e.n == CONV_MAX_STEPS) return false;
        e.step[e.n++] = (struct conv_step){
            .kind = step->kind == EPILOGUE_RELU ? CONV_RELU : CONV_CLIP, .alpha = step->alpha, .beta = step->beta};
    }
    *r = (struct conv8_result){.kind = CONV8_BYTES, .scale = 1, .zero = to.zero};
    r->lo = (float)-to.zero, r->hi = (float)(255 - to.zero);
    return only_clamps(&e, to.scale, &r->lo, &r->hi);
}

// Factors, shifts and what the sums start from; r: what all phases share.
static bool phase_results(struct program *p, struct deconv8 *d, const struct weights8 *w, struct q8_scale from,
                          struct q8_scale to, const float *bias, struct conv8_result r)
{
    const int oc = (int)w->outputs;
    const size_t room = ((size_t)oc + 64) * sizeof(float);
    float *factor = program_alloc(p, room), *shift = program_alloc(p, room);
    int32_t *whole = program_alloc(p, room);
    if (!factor || !shift || !whole) return false;
    for (int o = 0; o < oc; o++) factor[o] = from.scale * weights8_scale(w, o);
    const bool in_sum = bias && whole_bias(bias, factor, oc, whole);
    for (int o = 0; o < oc; o++) {
        shift[o] = bias && !in_sum ? bias[o] / to.scale : 0;
        factor[o] /= to.scale;
    }
    r.factor = factor, r.shift = shift, r.pad = from.zero;
    for (int i = 0; i < d->n; i++) {
        int32_t *start = program_alloc(p, room);
        if (!start) return false;
        for (int o = 0; o < oc; o++)
            start[o] =
                (int32_t)((uint32_t)(in_sum ? whole[o] : 0) - (uint32_t)from.zero * (uint32_t)d->plan[i].sums[o]);
        d->r[i] = r;
        d->r[i].start = start;
    }
    return true;
}

// Each phase has taps, so that it is a convolution; no groups.
static bool phases_have_taps(const struct deconv_shape *d)
{
    if (d->groups != 1 || d->s[0] * d->s[1] > DECONV8_PHASES) return false;
    for (int axis = 0; axis < 2; axis++)
        for (int r = 0; r < d->s[axis]; r++)
            if (!deconv_phase_of(d, axis, r, 1).taps) return false;
    return true;
}

enum reel_err lower_deconv8(struct program *p, const struct node *node, bool *out_done)
{
    const struct info *bytes;
    struct q8_scale from, to;
    struct weights8 w;
    struct deconv_shape shape;
    struct conv8_result r;
    if (!p->k8 || !is_onnx(node, "ConvTranspose") || node->n_in < 2 || !node->in[1]) return REEL_OK;
    if (!dequantized_from(p, node->in[0], &bytes, &from) || !weights8_dequantized(p, node->in[1], 1, &w))
        return REEL_OK;
    const struct node *q = quantizer(p, node->out[0], &to);
    const struct info *out = q ? info_of(p, q->out[0]) : NULL, *shape_of_w = info_of(p, node->in[1]);
    if (!q || !bytes->bytes_image || !out->bytes_image || shape_of_w->shape.ndim != bytes->shape.ndim) return REEL_OK;
    bool ok;
    const float *bias = constant_bias(p, node, out->bs.c, &ok);
    if (!ok || !deconv_shape_of(node, bytes, shape_of_w, out, &shape) || !clamped_result(node, to, &r)) return REEL_OK;
    if (!phases_have_taps(&shape)) return REEL_OK;
    struct form src, dst;
    enum reel_err err = need_form(p, bytes->v, LAYOUT_BLOCKED, &src);
    if (!err) err = make_form(p, out->v, LAYOUT_BLOCKED, &dst);
    struct step *s = err ? NULL : add_step(p, node, "direct8 phases", run_deconv8, sizeof(struct deconv8));
    if (!s) return err ? err : no_memory(node);
    struct deconv8 *d = s->data;
    *d = (struct deconv8){.src = src, .dst = dst};
    s->fini = fini_deconv8;
    s->mflop = 2e-6 * bytes->bs.n * bytes->bs.c * bytes->bs.h * bytes->bs.w * out->bs.c * shape.k[0] * shape.k[1];
    touch(p, &src, p->n_steps - 1);
    touch(p, &dst, p->n_steps - 1);
    int16_t *weights = malloc(sizeof *weights * (size_t)reel_tensor_count(w.w));
    ok = weights;
    for (int i = 0; i < shape.s[0] * shape.s[1] && ok; i++)
        ok = prepare_phase8(p, d, &shape, &bytes->bs, &out->bs, &w, i, weights);
    free(weights);
    if (!ok || !phase_results(p, d, &w, from, to, bias, r)) return no_memory(node);
    info_of(p, node->out[0])->absorbed = true;
    *out_done = true;
    return REEL_OK;
}

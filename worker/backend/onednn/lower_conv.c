// SPDX-License-Identifier: MIT
//
// Conv, ConvTranspose and pooling -> convolution kernels.
#include <stdlib.h>
#include <string.h>

#include "worker/backend/onednn/program.h"

struct conv {
    struct tail tail;
    struct conv_plan plan;
    struct form src, dst;
};

static void fini_conv(void *data)
{
    conv_plan_fini(&((struct conv *)data)->plan);
}

struct conv_job {
    struct program *p;
    const struct conv_plan *plan;
    struct conv_epilogue e;
    const float *src;
    float *dst;
};

static void conv_units(void *job, int begin, int end, int thread)
{
    const struct conv_job *j = job;
    j->p->k->run(j->plan, &j->e, j->src, j->dst, begin, end, thread_scratch(j->p, thread));
}

static enum reel_err run_conv(struct program *p, struct step *s)
{
    const struct conv *c = s->data;
    struct conv_job job = {p, &c->plan, bind_tail(p, &c->tail), form_at(p, &c->src), form_at(p, &c->dst)};
    pool_run(p->pool, conv_units, &job, c->plan.units);
    return REEL_OK;
}

static int64_t attr_at(const struct node *node, const char *name, int i, int64_t absent)
{
    const int64_t *v;
    int n = node_attr_ints(node, name, &v);
    return i < n ? v[i] : absent;
}

// The padding before along one axis; ONNX Conv, attribute auto_pad.
static int64_t pad_before(const struct node *node, int axis, int axes, int64_t in, int64_t out, int64_t reach,
                          int64_t stride)
{
    const char *mode = node_attr_string(node, "auto_pad", "NOTSET");
    if (!strcmp(mode, "VALID")) return 0;
    if (!strncmp(mode, "SAME", 4)) {
        int64_t total = (out - 1) * stride + reach - in;
        if (total < 0) total = 0;
        return !strcmp(mode, "SAME_LOWER") ? total - total / 2 : total / 2;
    }
    return attr_at(node, "pads", axis, 0);
}

bool conv_geometry_of(const struct node *node, const struct info *in, const struct info *w, const struct info *out,
                      struct conv_geometry *g)
{
    const int axes = in->shape.ndim - 2, h = axes == 2 ? 0 : -1, x = axes - 1;
    int64_t k[2] = {1, 1}, s[2] = {1, 1}, d[2] = {1, 1}, pad[2] = {0, 0};
    const int64_t size[2] = {in->bs.h, in->bs.w}, to[2] = {out->bs.h, out->bs.w};
    for (int i = 0; i < 2; i++) {
        const int axis = i == 0 ? h : x;
        if (axis < 0) continue;
        k[i] = w->shape.dim[2 + axis];
        s[i] = attr_at(node, "strides", axis, 1);
        d[i] = attr_at(node, "dilations", axis, 1);
        if (k[i] < 1 || s[i] < 1 || d[i] < 1 || k[i] > 4096 || s[i] > 4096 || d[i] > 4096) return false;
        pad[i] = pad_before(node, axis, axes, size[i], to[i], (k[i] - 1) * d[i] + 1, s[i]);
        if (pad[i] < 0 || pad[i] > 65536) return false;
    }
    const int64_t groups = node_attr_int(node, "group", 1);
    if (groups < 1 || groups > in->bs.c || in->bs.c % groups || out->bs.c % groups) return false;
    if (w->shape.dim[1] != in->bs.c / groups || w->shape.dim[0] != out->bs.c) return false;
    *g = (struct conv_geometry){
        .n = in->bs.n,
        .ic = in->bs.c,
        .ih = in->bs.h,
        .iw = in->bs.w,
        .oc = out->bs.c,
        .oh = out->bs.h,
        .ow = out->bs.w,
        .kh = (int)k[0],
        .kw = (int)k[1],
        .sh = (int)s[0],
        .sw = (int)s[1],
        .dh = (int)d[0],
        .dw = (int)d[1],
        .pad_top = (int)pad[0],
        .pad_left = (int)pad[1],
        .groups = (int)groups,
    };
    return true;
}

static const char *method_name(enum conv_method m, bool flat, bool plain)
{
    switch (m) {
    case CONV_METHOD_WINOGRAD:
        return "winograd";
    case CONV_METHOD_DEPTHWISE:
        return "depthwise";
    case CONV_METHOD_DOT:
        return "dot";
    case CONV_METHOD_ROWS:
        return "rows";
    default:
        return flat ? plain ? "1x1 plain" : "1x1" : plain ? "direct plain" : "direct";
    }
}

// Which layout to read and by which method.
static enum conv_method pick(const struct program *p, const struct conv_geometry *g, const struct info *in,
                             bool *out_plain)
{
    const bool have_blocked = form_exists(&in->form[LAYOUT_BLOCKED]);
    enum conv_method rows = p->k->choose(g, true), blocked = p->k->choose(g, false);
    if (rows == CONV_METHOD_ROWS || rows == CONV_METHOD_DEPTHWISE) {
        *out_plain = rows == CONV_METHOD_ROWS;
        return rows;
    }
    *out_plain =
        !have_blocked && blocked != CONV_METHOD_WINOGRAD && blocked != CONV_METHOD_DOT && rows != CONV_METHOD_NONE;
    return *out_plain ? rows : blocked;
}

enum reel_err lower_conv(struct program *p, const struct node *node, bool *out_done)
{
    if (strcmp(node->op_type, "Conv") || node->n_in < 2) return REEL_OK;
    struct info *in = info_of(p, node->in[0]), *w = info_of(p, node->in[1]), *out = info_of(p, node->out[0]);
    struct info *b = node->n_in > 2 && node->in[2] ? info_of(p, node->in[2]) : NULL;
    if (!in->image || !out->image || !w->form[LAYOUT_PLAIN].constant || w->dtype != REEL_F32 ||
        w->shape.ndim != in->shape.ndim)
        return REEL_OK;
    if (b && (!b->form[LAYOUT_PLAIN].constant || b->dtype != REEL_F32 || b->count != out->bs.c)) return REEL_OK;
    struct conv_geometry g;
    if (!conv_geometry_of(node, in, w, out, &g)) return REEL_OK;
    bool plain;
    const enum conv_method method = pick(p, &g, in, &plain);
    if (method == CONV_METHOD_NONE) return REEL_OK;

    struct conv c = {0};
    const bool to_plain = method == CONV_METHOD_DOT || method == CONV_METHOD_ROWS;
    c.tail.layout = to_plain ? LAYOUT_PLAIN : LAYOUT_BLOCKED;
    int left = 0;
    enum reel_err err = need_form(p, node->in[0], plain ? LAYOUT_PLAIN : LAYOUT_BLOCKED, &c.src);
    if (!err) err = map_epilogue(p, node, out, &c.tail, &left);
    if (!err) err = make_form(p, node->out[0], c.tail.layout, &c.dst);
    struct step *s = err ? NULL : add_step(p, node, "", run_conv, sizeof c);
    if (!s) return err ? err : no_memory(node);
    if (!p->k->prepare(&c.plan, &g, method, plain, w->form[LAYOUT_PLAIN].constant,
                       b ? b->form[LAYOUT_PLAIN].constant : NULL))
        return no_memory(node);
    *(struct conv *)s->data = c;
    s->fini = fini_conv;
    s->kernel = method_name(method, c.plan.flat, plain);
    s->mflop = 2e-6 * g.n * g.oc * g.oh * g.ow * (g.ic / g.groups) * g.kh * g.kw;
    p->constant_bytes += c.plan.w_bytes;
    want_scratch(p, c.plan.scratch_bytes);
    touch(p, &c.src, p->n_steps - 1);
    touch(p, &c.dst, p->n_steps - 1);
    touch_tail(p, &c.tail, p->n_steps - 1);
    if (left < node->n_epilogue)
        err = finish_epilogue(p, node, left);
    else
        s->tail = &((struct conv *)s->data)->tail;
    *out_done = true;
    return err;
}

// ---- pooling ---------------------------------------------------------------------

bool pool_window(const struct node *node, const struct info *in, const struct info *out, struct conv_geometry *g,
                 bool *out_over)
{
    const int axes = in->shape.ndim - 2;
    const bool global = !strncmp(node->op_type, "Global", 6);
    *g = (struct conv_geometry){.n = in->bs.n,
                                .ic = in->bs.c,
                                .ih = in->bs.h,
                                .iw = in->bs.w,
                                .oc = in->bs.c,
                                .oh = out->bs.h,
                                .ow = out->bs.w,
                                .groups = in->bs.c,
                                .kh = 1,
                                .kw = 1,
                                .sh = 1,
                                .sw = 1,
                                .dh = 1,
                                .dw = 1};
    *out_over = false;
    for (int i = 0; i < 2; i++) {
        const int axis = axes == 2 ? i : i - 1;
        const int64_t size = i ? in->bs.w : in->bs.h, to = i ? out->bs.w : out->bs.h;
        if (axis < 0) continue;
        const int64_t k = global ? size : attr_at(node, "kernel_shape", axis, 0);
        const int64_t s = attr_at(node, "strides", axis, 1), d = attr_at(node, "dilations", axis, 1);
        if (k < 1 || s < 1 || d < 1 || k > 65536 || s > 4096 || d > 4096) return false;
        const int64_t before = pad_before(node, axis, axes, size, to, (k - 1) * d + 1, s);
        const int64_t after = attr_at(node, "pads", axes + axis, 0);
        if (before < 0 || before > 65536) return false;
        if ((to - 1) * s + (k - 1) * d + 1 > size + before + after) *out_over = true;
        *(i ? &g->kw : &g->kh) = (int)k;
        *(i ? &g->sw : &g->sh) = (int)s;
        *(i ? &g->dw : &g->dh) = (int)d;
        *(i ? &g->pad_left : &g->pad_top) = (int)before;
    }
    return true;
}

static enum reel_err emit_pool(struct program *p, const struct node *node, const struct conv_geometry *g,
                               enum conv_method method, struct form src, struct form dst, struct step **out_step)
{
    struct step *s =
        add_step(p, node, method == CONV_METHOD_MAX ? "max pool" : "average pool", run_conv, sizeof(struct conv));
    if (!s) return no_memory(node);
    struct conv *c = s->data;
    c->src = src;
    c->dst = dst;
    c->tail.layout = LAYOUT_BLOCKED;
    if (!p->k->prepare(&c->plan, g, method, false, NULL, NULL)) return no_memory(node);
    s->fini = fini_conv;
    touch(p, &src, p->n_steps - 1);
    touch(p, &dst, p->n_steps - 1);
    *out_step = s;
    return REEL_OK;
}

// A large window over both axes costs less as two passes, one an axis.
#define SPLIT_WINDOW 16

enum reel_err lower_pool(struct program *p, const struct node *node, bool *out_done)
{
    const bool average = !strcmp(node->op_type, "AveragePool");
    if (!average && strcmp(node->op_type, "MaxPool") && strcmp(node->op_type, "GlobalMaxPool")) return REEL_OK;
    struct info *in = info_of(p, node->in[0]), *out = info_of(p, node->out[0]);
    if (!in->image || !out->image || in->bs.c != out->bs.c || in->bs.n != out->bs.n) return REEL_OK;
    if (in->form[LAYOUT_BLOCKED].buf < 0 && in->bs.c < FEW_CHANNELS) return REEL_OK;
    if (node->n_out > 1 && node->out[1] && info_of(p, node->out[1])->uses) return REEL_OK; // indices
    struct conv_geometry g;
    bool over;
    if (!pool_window(node, in, out, &g, &over)) return REEL_OK;
    const bool all = average && node_attr_int(node, "count_include_pad", 0);
    if (all && (over || !strncmp(node_attr_string(node, "auto_pad", "NOTSET"), "SAME", 4))) return REEL_OK;
    const enum conv_method method = all ? CONV_METHOD_AVERAGE_ALL : average ? CONV_METHOD_AVERAGE : CONV_METHOD_MAX;
    struct form src, dst;
    struct step *s = NULL;
    enum reel_err err = need_form(p, node->in[0], LAYOUT_BLOCKED, &src);
    if (!err && method == CONV_METHOD_MAX && g.kh > 1 && g.kw > 1 && g.kh * g.kw >= SPLIT_WINDOW) {
        struct conv_geometry rows = g;
        rows.kh = rows.sh = rows.dh = 1;
        rows.pad_top = 0;
        rows.oh = g.ih;
        const struct blocked_shape between = {.n = g.n, .c = g.ic, .h = g.ih, .w = g.ow, .lanes = p->k->lanes};
        err = make_temporary(p, blocked_floats(&between) * sizeof(float), &dst);
        if (!err) err = emit_pool(p, node, &rows, method, src, dst, &s);
        src = dst;
        g.kw = g.sw = g.dw = 1;
        g.pad_left = 0;
        g.iw = g.ow;
    }
    if (!err) err = make_form(p, node->out[0], LAYOUT_BLOCKED, &dst);
    if (!err) err = emit_pool(p, node, &g, method, src, dst, &s);
    if (err) return err;
    s->tail = &((struct conv *)s->data)->tail;
    *out_done = true;
    return finish_epilogue(p, node, 0);
}

// ---- transposed convolution --------------------------------------------------------
//
// With stride s, the outputs whose position (with the padding) has the same
// remainder by s see the same taps: each such phase is a convolution of stride
// 1 whose results lie s apart.

#define MAX_PHASES DECONV_MAX_PHASES

struct deconv {
    struct tail tail;
    struct form src, dst;
    int n;
    struct conv_plan plan[MAX_PHASES];
};

static void fini_deconv(void *data)
{
    struct deconv *d = data;
    for (int i = 0; i < d->n; i++) conv_plan_fini(&d->plan[i]);
}

static enum reel_err run_deconv(struct program *p, struct step *s)
{
    const struct deconv *d = s->data;
    struct conv_job job = {p, NULL, bind_tail(p, &d->tail), form_at(p, &d->src), form_at(p, &d->dst)};
    for (int i = 0; i < d->n; i++) {
        job.plan = &d->plan[i];
        pool_run(p->pool, conv_units, &job, d->plan[i].units);
    }
    return REEL_OK;
}

struct deconv_phase deconv_phase_of(int remainder, int kernel, int stride, int pad, int out)
{
    struct deconv_phase f = {.taps = (kernel - remainder + stride - 1) / stride};
    const int t0 = pad > remainder ? (pad - remainder + stride - 1) / stride : 0;
    f.first = stride * t0 + remainder - pad;
    f.count = f.first < out ? (out - f.first + stride - 1) / stride : 0;
    f.pad = f.taps - 1 - t0;
    return f;
}

// Weights (C,M,kh,kw) of a transposed convolution -> (M,C,..) of a phase.
static void phase_weights(const float *w, int ic, int oc, const int k[2], const int s[2], const int r[2],
                          const struct deconv_phase f[2], float *out)
{
    for (int o = 0; o < oc; o++)
        for (int i = 0; i < ic; i++)
            for (int y = 0; y < f[0].taps; y++)
                for (int x = 0; x < f[1].taps; x++) {
                    const int ky = r[0] + s[0] * (f[0].taps - 1 - y), kx = r[1] + s[1] * (f[1].taps - 1 - x);
                    *out++ = w[(((size_t)i * oc + o) * k[0] + ky) * k[1] + kx];
                }
}

// ONNX ConvTranspose.
bool deconv_shape_of(const struct node *node, const struct info *in, const struct info *w, const struct info *out,
                     struct deconv_shape *d)
{
    const int axes = in->shape.ndim - 2;
    const char *mode = node_attr_string(node, "auto_pad", "NOTSET");
    if (node_attr_int(node, "group", 1) != 1 || w->shape.dim[0] != in->bs.c || w->shape.dim[1] != out->bs.c)
        return false;
    *d = (struct deconv_shape){.k = {1, 1}, .s = {1, 1}};
    for (int axis = 0; axis < axes; axis++) {
        const int i = axes == 2 ? axis : 1;
        const int64_t size = i ? in->bs.w : in->bs.h, to = i ? out->bs.w : out->bs.h;
        const int64_t k = w->shape.dim[2 + axis], s = attr_at(node, "strides", axis, 1);
        const int64_t extra = attr_at(node, "output_padding", axis, 0);
        if (attr_at(node, "dilations", axis, 1) != 1 || k < s || s < 1 || k > 4096) return false;
        int64_t pad = attr_at(node, "pads", axis, 0);
        const int64_t *given;
        if (strcmp(mode, "NOTSET") || node_attr_ints(node, "output_shape", &given)) {
            // the padding follows from the output's size
            int64_t total = s * (size - 1) + extra + k - to;
            if (total < 0) return false;
            pad = !strcmp(mode, "VALID") ? 0 : !strcmp(mode, "SAME_UPPER") ? total / 2 : total - total / 2;
        }
        if (pad < 0 || pad > 65536) return false;
        d->k[i] = (int)k, d->s[i] = (int)s, d->pad[i] = (int)pad;
    }
    return d->s[0] * d->s[1] <= MAX_PHASES;
}

static enum reel_err prepare_phases(struct program *p, const struct node *node, const struct deconv_shape *d,
                                    const struct info *in, const struct info *out, bool plain, const float *w,
                                    const float *bias, struct deconv *to)
{
    const int v = p->k->lanes;
    float *phase_w = malloc(sizeof(float) * (size_t)in->bs.c * (size_t)out->bs.c * (size_t)d->k[0] * (size_t)d->k[1]);
    if (!phase_w) return no_memory(node);
    enum reel_err err = REEL_OK;
    for (int i = 0; i < d->s[0] * d->s[1] && !err; i++) {
        const int r[2] = {i / d->s[1], i % d->s[1]};
        const struct deconv_phase f[2] = {deconv_phase_of(r[0], d->k[0], d->s[0], d->pad[0], out->bs.h),
                                          deconv_phase_of(r[1], d->k[1], d->s[1], d->pad[1], out->bs.w)};
        if (f[0].count <= 0 || f[1].count <= 0) continue;
        phase_weights(w, in->bs.c, out->bs.c, d->k, d->s, r, f, phase_w);
        const struct conv_geometry g = {
            .n = in->bs.n,
            .ic = in->bs.c,
            .ih = in->bs.h,
            .iw = in->bs.w,
            .oc = out->bs.c,
            .oh = f[0].count,
            .ow = f[1].count,
            .kh = f[0].taps,
            .kw = f[1].taps,
            .sh = 1,
            .sw = 1,
            .dh = 1,
            .dw = 1,
            .pad_top = f[0].pad,
            .pad_left = f[1].pad,
            .groups = 1,
            .spread = true,
        };
        struct conv_plan *plan = &to->plan[to->n];
        if (!p->k->prepare(plan, &g, CONV_METHOD_DIRECT, plain, phase_w, bias)) {
            err = no_memory(node);
            break;
        }
        to->n++;
        plan->out_pixel = (ptrdiff_t)d->s[1] * v;
        plan->out_row = (ptrdiff_t)d->s[0] * out->bs.w * v;
        plan->out_begin = ((ptrdiff_t)f[0].first * out->bs.w + f[1].first) * v;
        plan->out_plane = (size_t)out->bs.h * (size_t)out->bs.w * (size_t)v;
        p->constant_bytes += plan->w_bytes;
        want_scratch(p, plan->scratch_bytes);
    }
    free(phase_w);
    return err;
}

enum reel_err lower_deconv(struct program *p, const struct node *node, bool *out_done)
{
    if (strcmp(node->op_type, "ConvTranspose") || node->n_in < 2) return REEL_OK;
    struct info *in = info_of(p, node->in[0]), *w = info_of(p, node->in[1]), *out = info_of(p, node->out[0]);
    struct info *b = node->n_in > 2 && node->in[2] ? info_of(p, node->in[2]) : NULL;
    struct deconv_shape shape;
    if (!in->image || !out->image || !w->form[LAYOUT_PLAIN].constant || w->dtype != REEL_F32 ||
        w->shape.ndim != in->shape.ndim)
        return REEL_OK;
    if (b && (!b->form[LAYOUT_PLAIN].constant || b->dtype != REEL_F32 || b->count != out->bs.c)) return REEL_OK;
    if (!deconv_shape_of(node, in, w, out, &shape)) return REEL_OK;
    const bool plain = !form_exists(&in->form[LAYOUT_BLOCKED]);
    struct tail tail = {.layout = LAYOUT_BLOCKED};
    struct form src, dst;
    int left = 0;
    enum reel_err err = need_form(p, node->in[0], plain ? LAYOUT_PLAIN : LAYOUT_BLOCKED, &src);
    if (!err) err = map_epilogue(p, node, out, &tail, &left);
    if (!err) err = make_form(p, node->out[0], LAYOUT_BLOCKED, &dst);
    struct step *s = err ? NULL : add_step(p, node, "direct phases", run_deconv, sizeof(struct deconv));
    if (!s) return err ? err : no_memory(node);
    struct deconv *d = s->data;
    *d = (struct deconv){.tail = tail, .src = src, .dst = dst};
    s->fini = fini_deconv;
    s->mflop = 2e-6 * in->bs.n * in->bs.c * in->bs.h * in->bs.w * out->bs.c * shape.k[0] * shape.k[1];
    touch(p, &src, p->n_steps - 1);
    touch(p, &dst, p->n_steps - 1);
    touch_tail(p, &tail, p->n_steps - 1);
    err = prepare_phases(p, node, &shape, in, out, plain, w->form[LAYOUT_PLAIN].constant,
                         b ? b->form[LAYOUT_PLAIN].constant : NULL, d);
    if (err) return err;
    *out_done = true;
    if (left < node->n_epilogue) return finish_epilogue(p, node, left);
    s->tail = &d->tail;
    return REEL_OK;
}

// SPDX-License-Identifier: MIT
//
// Conv and pooling -> convolution kernels.
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

int64_t axis_attr(const struct node *node, const char *name, int axis, int64_t absent)
{
    const int64_t *v;
    int n = node_attr_ints(node, name, &v);
    return axis < n ? v[axis] : absent;
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
    return axis_attr(node, "pads", axis, 0);
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
        s[i] = axis_attr(node, "strides", axis, 1);
        d[i] = axis_attr(node, "dilations", axis, 1);
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

static const char *method_name(const struct conv_plan *plan)
{
    const bool flat = plan->flat, plain = plan->src_plain;
    if (plan->bf16) return flat ? "1x1 bf16" : "direct bf16";
    switch (plan->method) {
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

// Which layout to read and by which method. *out_merge: how many groups are
// taken together, where they fill no vectors one by one.
static enum conv_method pick(const struct program *p, const struct conv_geometry *g, const struct info *in,
                             bool *out_plain, int *out_merge)
{
    *out_merge = 1;
    const bool have_blocked = form_exists(&in->form[LAYOUT_BLOCKED]);
    enum conv_method rows = p->k->choose(g, true), blocked = p->k->choose(g, false);
    if (rows == CONV_METHOD_ROWS || rows == CONV_METHOD_DEPTHWISE) {
        *out_plain = rows == CONV_METHOD_ROWS;
        return rows;
    }
    *out_plain =
        !have_blocked && blocked != CONV_METHOD_WINOGRAD && blocked != CONV_METHOD_DOT && rows != CONV_METHOD_NONE;
    const enum conv_method method = *out_plain ? rows : blocked;
    if (method != CONV_METHOD_NONE || g->groups == 1) return method;
    *out_plain = !have_blocked;
    *out_merge = conv_merge_groups(g, p->k->lanes, *out_plain);
    return *out_merge ? CONV_METHOD_DIRECT : CONV_METHOD_NONE;
}

// As k->prepare, with groups taken together.
static bool prepare_conv(const struct program *p, struct conv_plan *plan, struct conv_geometry g,
                         enum conv_method method, bool plain, int merge, const float *weights, const float *bias)
{
    if (merge == 1) return p->k->prepare(plan, &g, method, plain, weights, bias);
    const size_t n = (size_t)g.oc * (size_t)(g.ic / g.groups * merge) * (size_t)g.kh * (size_t)g.kw;
    float *merged = malloc(n * sizeof *merged);
    if (!merged) return false;
    conv_merge_weights(&g, merge, weights, merged);
    g.groups /= merge;
    const bool ok = p->k->prepare(plan, &g, method, plain, merged, bias);
    free(merged);
    return ok;
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
    int merge;
    const enum conv_method method = pick(p, &g, in, &plain, &merge);
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
    if (!prepare_conv(p, &c.plan, g, method, plain, merge, w->form[LAYOUT_PLAIN].constant,
                      b ? b->form[LAYOUT_PLAIN].constant : NULL))
        return no_memory(node);
    *(struct conv *)s->data = c;
    s->fini = fini_conv;
    s->kernel = method_name(&c.plan);
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
        const int64_t k = global ? size : axis_attr(node, "kernel_shape", axis, 0);
        const int64_t s = axis_attr(node, "strides", axis, 1), d = axis_attr(node, "dilations", axis, 1);
        if (k < 1 || s < 1 || d < 1 || k > 65536 || s > 4096 || d > 4096) return false;
        const int64_t before = pad_before(node, axis, axes, size, to, (k - 1) * d + 1, s);
        const int64_t after = axis_attr(node, "pads", axes + axis, 0);
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

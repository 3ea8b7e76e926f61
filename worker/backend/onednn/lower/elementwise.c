// SPDX-License-Identifier: MIT
//
// Elementwise operators, and what of a node's epilogue does not fit behind its
// step: tails (tail.c) of a pass over a tensor. A chain of elementwise nodes
// becomes one pass: each is put behind the step that made its input when nobody
// else reads that.
#include <math.h>
#include <string.h>

#include "worker/backend/epilogue.h"
#include "worker/backend/onednn/program.h"

// ---- nodes -----------------------------------------------------------------------

struct unary {
    const char *op;
    enum conv_step_kind kind;
    const char *alpha, *beta; // attributes
    float alpha_default, beta_default;
};

static const struct unary unaries[] = {
    {"Relu", CONV_RELU, NULL, NULL, 0, 0},        {"LeakyRelu", CONV_LEAKY, "alpha", NULL, 0.01f, 0},
    {"Sigmoid", CONV_SIGMOID, NULL, NULL, 0, 0},  {"Tanh", CONV_TANH, NULL, NULL, 0, 0},
    {"HardSwish", CONV_HSWISH, NULL, NULL, 0, 0}, {"HardSigmoid", CONV_HSIGMOID, "alpha", "beta", 0.2f, 0.5f},
    {"Elu", CONV_ELU, "alpha", NULL, 1, 0},       {"Mish", CONV_MISH, NULL, NULL, 0, 0},
    {"Abs", CONV_ABS, NULL, NULL, 0, 0},          {"Neg", CONV_NEG, NULL, NULL, 0, 0},
    {"Sqrt", CONV_SQRT, NULL, NULL, 0, 0},
};

struct binary {
    const char *op;
    enum conv_step_kind kind, swapped; // with the second operand as the main one
};

static const struct binary binaries[] = {
    {"Add", CONV_ADD_FULL, CONV_ADD_FULL},  {"Mul", CONV_MUL_FULL, CONV_MUL_FULL},
    {"Sub", CONV_SUB_FULL, CONV_RSUB_FULL}, {"Div", CONV_DIV_FULL, CONV_RDIV_FULL},
    {"Max", CONV_MAX_FULL, CONV_MAX_FULL},  {"Min", CONV_MIN_FULL, CONV_MIN_FULL},
};

// What a node does to its main operand.
struct plan {
    const struct value *main, *other;
    struct conv_step step;
};

// The bounds of a Clip when they are constants.
static bool clip_bounds(struct program *p, const struct node *node, float *lo, float *hi)
{
    *lo = node_attr_float(node, "min", -INFINITY);
    *hi = node_attr_float(node, "max", INFINITY);
    for (int i = 1; i < node->n_in && i < 3; i++) {
        if (!node->in[i]) continue;
        const struct info *b = info_of(p, node->in[i]);
        if (!b->form[LAYOUT_PLAIN].constant || b->dtype != REEL_F32 || b->count != 1) return false;
        *(i == 1 ? lo : hi) = *(const float *)b->form[LAYOUT_PLAIN].constant;
    }
    return true;
}

static bool plan_unary(struct program *p, const struct node *node, struct plan *plan)
{
    plan->main = node->in[0];
    if (!strcmp(node->op_type, "Clip")) {
        plan->step.kind = CONV_CLIP;
        return clip_bounds(p, node, &plan->step.alpha, &plan->step.beta);
    }
    if (!strcmp(node->op_type, "Gelu")) {
        bool tanh = !strcmp(node_attr_string(node, "approximate", "none"), "tanh");
        plan->step.kind = tanh ? CONV_GELU_TANH : CONV_GELU_ERF;
        return true;
    }
    for (size_t i = 0; i < sizeof unaries / sizeof *unaries; i++) {
        const struct unary *u = &unaries[i];
        if (strcmp(u->op, node->op_type)) continue;
        plan->step.kind = u->kind;
        plan->step.alpha = u->alpha ? node_attr_float(node, u->alpha, u->alpha_default) : u->alpha_default;
        plan->step.beta = u->beta ? node_attr_float(node, u->beta, u->beta_default) : u->beta_default;
        return true;
    }
    return false;
}

static bool plan_binary(struct program *p, const struct node *node, const struct info *out, struct plan *plan)
{
    if (node->n_in != 2 || node->opset < 7 || !node->in[0] || !node->in[1]) return false;
    const struct info *a = info_of(p, node->in[0]), *b = info_of(p, node->in[1]);
    const bool a_main = a->dtype == REEL_F32 && reel_shape_equal(&a->shape, &out->shape) && !a->v->constant;
    const bool b_main = b->dtype == REEL_F32 && reel_shape_equal(&b->shape, &out->shape) && !b->v->constant;
    if (!strcmp(node->op_type, "PRelu")) {
        if (!a_main) return false;
        *plan = (struct plan){.main = node->in[0], .other = node->in[1], .step.kind = CONV_SLOPE};
        return true;
    }
    for (size_t i = 0; i < sizeof binaries / sizeof *binaries; i++) {
        if (strcmp(binaries[i].op, node->op_type)) continue;
        // the main operand is the one whose memory can be taken over, or that is
        // blocked already
        bool swap = !a_main;
        if (a_main && b_main && a->v != b->v) {
            const struct step *made_b = b->step >= 0 ? &p->steps[b->step] : NULL;
            swap = b->step > a->step && made_b && made_b->tail;
        }
        if (swap && !b_main) return false;
        plan->main = node->in[swap ? 1 : 0];
        plan->other = node->in[swap ? 0 : 1];
        plan->step.kind = swap ? binaries[i].swapped : binaries[i].kind;
        return true;
    }
    return false;
}

struct elementwise {
    struct tail tail;
    struct form src, dst;
    int n, channels;
    size_t count; // elements of a row, or of the tensor
};

struct elementwise_job {
    const struct elementwise *w;
    const struct conv_kernels *k;
    struct conv_epilogue e;
    const float *src;
    float *dst;
};

// Elements done at a time: within the first-level cache, so that the copy and
// every step but the first find them there.
#define PIECE 4096

static int pieces(size_t count)
{
    return (int)((count + PIECE - 1) / PIECE);
}

static void blocked_units(void *job, int begin, int end, int thread)
{
    const struct elementwise_job *j = job;
    const int v = j->k->lanes, nb = (j->w->channels + v - 1) / v, per = pieces(j->w->count * (size_t)v);
    for (int u = begin; u < end; u++) {
        const int block = u / per;
        const size_t from = (size_t)(u % per) * PIECE, whole = j->w->count * (size_t)v;
        const size_t n = whole - from < PIECE ? whole - from : PIECE, at = (size_t)block * whole + from;
        if (j->src != j->dst) memcpy(j->dst + at, j->src + at, n * sizeof(float));
        j->k->apply(&j->e, j->dst + at, at, block % nb * v, block / nb, (int)(n / (size_t)v));
    }
}

static void plain_units(void *job, int begin, int end, int thread)
{
    const struct elementwise_job *j = job;
    const int per = pieces(j->w->count);
    for (int u = begin; u < end; u++) {
        const int row = u / per;
        const size_t from = (size_t)(u % per) * PIECE;
        const size_t n = j->w->count - from < PIECE ? j->w->count - from : PIECE, at = (size_t)row * j->w->count + from;
        if (j->src != j->dst) memcpy(j->dst + at, j->src + at, n * sizeof(float));
        j->k->apply_plain(&j->e, j->dst + at, at, row % j->w->channels, row / j->w->channels, (ptrdiff_t)n);
    }
}

static enum reel_err run_elementwise(struct program *p, struct step *s)
{
    const struct elementwise *w = s->data;
    struct elementwise_job job = {w, p->k, bind_tail(p, &w->tail), form_at(p, &w->src), form_at(p, &w->dst)};
    const int v = p->k->lanes;
    if (w->tail.layout == LAYOUT_BLOCKED)
        pool_run(p->pool, blocked_units, &job, w->n * ((w->channels + v - 1) / v) * pieces(w->count * (size_t)v));
    else
        pool_run(p->pool, plain_units, &job, w->n * w->channels * pieces(w->count));
    return REEL_OK;
}

// Whether `other` can be read by a step that runs at index `step`.
static bool there_before(struct program *p, const struct value *other, enum layout layout, int step)
{
    const struct info *o = info_of(p, other);
    if (o->form[LAYOUT_PLAIN].constant) return true; // converted while compiling
    if (o->count == 1) return false;                 // spread by a step of its own
    if (!form_exists(&o->form[layout]) || p->bufs[o->form[layout].buf].first >= step) return false;
    return o->made < step;
}

// Puts the node behind the step that made its main operand. *out_done stays
// false when that is not possible.
static enum reel_err append(struct program *p, const struct plan *plan, struct info *out, bool *out_done)
{
    struct info *m = info_of(p, plan->main);
    if (m->step < 0 || m->uses != 1 || !p->steps[m->step].tail || out->shape.ndim != m->shape.ndim) return REEL_OK;
    struct tail *t = p->steps[m->step].tail;
    const enum layout layout = m->step_layout;
    const struct form at = m->form[layout];
    if (t->e.n >= CONV_MAX_STEPS || t->layout != layout || at.buf < 0 || p->bufs[at.buf].pending != 1) return REEL_OK;
    const enum layout other_layout = layout == LAYOUT_PLAIN ? LAYOUT_BLOCKED : LAYOUT_PLAIN;
    if (form_exists(&m->form[other_layout]) && m->form[other_layout].buf != at.buf) return REEL_OK;
    if (plan->other) {
        if (!there_before(p, plan->other, layout, m->step)) return REEL_OK;
        const int steps = p->n_steps;
        bool ok = false;
        enum reel_err err = add_operand(p, t, out, plan->step.kind, plan->other, &ok);
        if (err || !ok) return err;
        if (p->n_steps != steps)
            return reel_fail(REEL_ERR_FAULT, "could not compile a fused step: an operand is computed after it");
        touch(p, &t->data[t->e.n - 1], m->step);
    } else {
        t->data[t->e.n] = FORM_NONE;
        t->e.step[t->e.n++] = plan->step;
    }
    set_form(p, out->v, layout, at);
    out->step = out->made = m->step;
    out->step_layout = layout;
    *out_done = true;
    return REEL_OK;
}

static enum reel_err emit(struct program *p, const struct node *node, const struct plan *plan, struct info *out,
                          bool *out_done)
{
    struct info *m = info_of(p, plan->main);
    struct elementwise w = {.n = 1, .channels = 1, .count = (size_t)out->count};
    const bool other_blocked = plan->other && form_exists(&info_of(p, plan->other)->form[LAYOUT_BLOCKED]);
    const bool blocked =
        m->image && out->image && !few_channels(out) && (form_exists(&m->form[LAYOUT_BLOCKED]) || other_blocked);
    w.tail.layout = blocked ? LAYOUT_BLOCKED : LAYOUT_PLAIN;
    // plain tensors are one long row unless a step knows channels
    bool ok = true, channels = false;
    enum reel_err err = REEL_OK;
    if (plan->other) {
        ok = false;
        err = add_operand(p, &w.tail, out, plan->step.kind, plan->other, &ok);
        if (err) return err;
        if (!ok) return lower_broadcast(p, node, plan->step.kind, plan->main, plan->other, out_done);
        channels = conv_step_chan(w.tail.e.step[0].kind) && info_of(p, plan->other)->count != 1;
    } else {
        w.tail.data[0] = FORM_NONE;
        w.tail.e.step[w.tail.e.n++] = plan->step;
    }
    if (channels && !out->image) return lower_broadcast(p, node, plan->step.kind, plan->main, plan->other, out_done);
    w.tail.no_channels = !blocked && !channels;
    if (blocked || channels) {
        w.n = out->bs.n;
        w.channels = out->bs.c;
        w.count = (size_t)out->bs.h * (size_t)out->bs.w;
    }
    err = need_form(p, plan->main, w.tail.layout, &w.src);
    if (err) return err;
    err = take_form(p, out->v, w.tail.layout, &w.src, 1 + (plan->other == plan->main), &w.dst);
    struct step *s =
        err ? NULL : add_step(p, node, blocked ? "elementwise blocked" : "elementwise", run_elementwise, sizeof w);
    if (!s) return err ? err : no_memory(node);
    *(struct elementwise *)s->data = w;
    s->tail = &((struct elementwise *)s->data)->tail;
    touch(p, &w.src, p->n_steps - 1);
    touch(p, &w.dst, p->n_steps - 1);
    touch_tail(p, &w.tail, p->n_steps - 1);
    *out_done = true;
    return REEL_OK;
}

// BatchNormalization at inference: x * scale + shift, one of each a channel.
static enum reel_err lower_batch_norm(struct program *p, const struct node *node, struct info *out, bool *out_done)
{
    struct info *in = info_of(p, node->in[0]);
    const float *c[4];
    const int nd = in->shape.ndim;
    if (node->n_in < 5 || nd < 2 || in->dtype != REEL_F32 || node->n_epilogue) return REEL_OK;
    const int64_t channels = in->shape.dim[1];
    for (int i = 0; i < 4; i++) {
        const struct info *v = info_of(p, node->in[i + 1]);
        c[i] = v->dtype == REEL_F32 && v->count == channels ? v->form[LAYOUT_PLAIN].constant : NULL;
        if (!c[i]) return REEL_OK;
    }
    for (int i = 1; i < node->n_out; i++)
        if (node->out[i]) return REEL_OK;
    const float epsilon = node_attr_float(node, "epsilon", 1e-5f);
    float *mul = program_alloc(p, ((size_t)channels + 16) * sizeof(float));
    float *add = program_alloc(p, ((size_t)channels + 16) * sizeof(float));
    if (!mul || !add) return no_memory(node);
    for (int i = 0; i < channels; i++) {
        mul[i] = c[0][i] / sqrtf(c[3][i] + epsilon);
        add[i] = (float)(c[1][i] - (double)c[2][i] * mul[i]);
    }
    const struct conv_step steps[2] = {{.kind = CONV_MUL_CHAN}, {.kind = CONV_ADD_CHAN}};
    const struct form data[2] = {{.buf = -1, .constant = mul}, {.buf = -1, .constant = add}};
    // behind the step that made the input, when nobody else reads that
    struct tail *t = in->step >= 0 && in->uses == 1 ? p->steps[in->step].tail : NULL;
    const struct form at = t ? in->form[in->step_layout] : FORM_NONE;
    if (t && t->e.n + 2 <= CONV_MAX_STEPS && !t->no_channels && t->layout == in->step_layout && at.buf >= 0 &&
        p->bufs[at.buf].pending == 1 && (!t->columns || nd == 2)) {
        for (int i = 0; i < 2; i++) {
            t->data[t->e.n] = data[i];
            t->e.step[t->e.n++] = steps[i];
        }
        set_form(p, out->v, in->step_layout, at);
        out->step = out->made = in->step;
        out->step_layout = in->step_layout;
        *out_done = true;
        return REEL_OK;
    }
    if (!in->image || !out->image) return REEL_OK;
    const bool blocked = form_exists(&in->form[LAYOUT_BLOCKED]);
    struct elementwise w = {.n = in->bs.n, .channels = in->bs.c, .count = (size_t)in->bs.h * (size_t)in->bs.w};
    w.tail.layout = blocked ? LAYOUT_BLOCKED : LAYOUT_PLAIN;
    for (int i = 0; i < 2; i++) {
        w.tail.data[i] = data[i];
        w.tail.e.step[w.tail.e.n++] = steps[i];
    }
    enum reel_err err = need_form(p, node->in[0], w.tail.layout, &w.src);
    if (!err) err = make_form(p, node->out[0], w.tail.layout, &w.dst);
    struct step *s = err ? NULL : add_step(p, node, "scale and shift", run_elementwise, sizeof w);
    if (!s) return err ? err : no_memory(node);
    *(struct elementwise *)s->data = w;
    s->tail = &((struct elementwise *)s->data)->tail;
    touch(p, &w.src, p->n_steps - 1);
    touch(p, &w.dst, p->n_steps - 1);
    *out_done = true;
    return REEL_OK;
}

enum reel_err lower_elementwise(struct program *p, const struct node *node, bool *out_done)
{
    if (node->n_out < 1 || !node->out[0] || node->n_in < 1 || !node->in[0] || node->n_epilogue) return REEL_OK;
    struct info *out = info_of(p, node->out[0]);
    struct plan plan = {0};
    if (out->dtype != REEL_F32 || out->count < 1) return REEL_OK;
    if (!strcmp(node->op_type, "BatchNormalization")) return lower_batch_norm(p, node, out, out_done);
    if (!plan_unary(p, node, &plan) && !plan_binary(p, node, out, &plan)) return REEL_OK;
    const struct info *m = info_of(p, plan.main);
    if (m->dtype != REEL_F32 || m->v->constant || !reel_shape_equal(&m->shape, &out->shape)) return REEL_OK;
    if (plan.other == plan.main && plan.step.kind == CONV_SLOPE) return REEL_OK;
    enum reel_err err = plan.other == plan.main ? REEL_OK : append(p, &plan, out, out_done);
    if (!err && !*out_done) err = emit(p, node, &plan, out, out_done);
    return err;
}

// ---- the rest of an epilogue ----------------------------------------------------------

struct finish {
    const struct epilogue *e;
    struct form x, other;
    struct reel_tensor x_tensor, other_tensor;
};

static enum reel_err run_finish(struct program *p, struct step *s)
{
    struct finish *f = s->data;
    f->x_tensor.data = form_at(p, &f->x);
    if (f->e->other) f->other_tensor.data = form_at(p, &f->other);
    return epilogue_apply(f->e, &f->x_tensor, f->e->other ? &f->other_tensor : NULL);
}

static enum reel_err finish_reference(struct program *p, const struct node *node, int from)
{
    for (int i = from; i < node->n_epilogue; i++) {
        struct info *out = info_of(p, node->out[0]);
        struct finish f = {.e = &node->epilogue[i]};
        enum reel_err err = need_form(p, out->v, LAYOUT_PLAIN, &f.x);
        if (!err && f.e->other) err = need_form(p, f.e->other, LAYOUT_PLAIN, &f.other);
        struct step *s = err ? NULL : add_step(p, node, "reference epilogue", run_finish, sizeof f);
        if (!s) return err ? err : no_memory(node);
        out->form[LAYOUT_BLOCKED] = FORM_NONE;
        f.x_tensor = (struct reel_tensor){.dtype = out->dtype, .shape = out->shape};
        touch(p, &f.x, p->n_steps - 1);
        if (f.e->other) {
            const struct info *o = info_of(p, f.e->other);
            f.other_tensor = (struct reel_tensor){.dtype = o->dtype, .shape = o->shape};
            touch(p, &f.other, p->n_steps - 1);
        }
        *(struct finish *)s->data = f;
        // nothing may be appended to the step that made the first form
        out->step = out->made = p->n_steps - 1;
        out->step_layout = LAYOUT_PLAIN;
    }
    return REEL_OK;
}

// What an epilogue needs beyond the step that made the node's result: one more
// pass in place, or the reference for steps that know no fast form.
enum reel_err finish_epilogue(struct program *p, const struct node *node, int from)
{
    if (from >= node->n_epilogue) return REEL_OK;
    struct info *out = info_of(p, node->out[0]);
    const enum layout layout = form_exists(&out->form[LAYOUT_BLOCKED]) ? LAYOUT_BLOCKED : LAYOUT_PLAIN;
    int left = from;
    struct elementwise w = {.tail.layout = layout};
    if (out->image && out->dtype == REEL_F32) {
        enum reel_err err = map_epilogue(p, node, out, &w.tail, &left);
        if (err) return err;
    }
    if (left > from) {
        w.n = out->bs.n, w.channels = out->bs.c, w.count = (size_t)out->bs.h * (size_t)out->bs.w;
        w.src = w.dst = out->form[layout];
        struct step *s = add_step(p, node, "epilogue", run_elementwise, sizeof w);
        if (!s) return no_memory(node);
        *(struct elementwise *)s->data = w;
        touch(p, &w.src, p->n_steps - 1);
        touch_tail(p, &w.tail, p->n_steps - 1);
        out->form[layout == LAYOUT_PLAIN ? LAYOUT_BLOCKED : LAYOUT_PLAIN] = FORM_NONE;
        out->step = out->made = p->n_steps - 1;
        out->step_layout = layout;
        if (left == node->n_epilogue) s->tail = &((struct elementwise *)s->data)->tail;
    }
    return finish_reference(p, node, left);
}

// SPDX-License-Identifier: MIT
//
// Tails: what is done to the result of a step before it is stored, as a list of
// conv_steps with operands. Called by the lower/*.c that make steps with one;
// lower/elementwise.c puts further nodes behind them. See program.h. What it is
// not: the arithmetic (kernels/conv_cpu.h).

#include "worker/backend/onednn/program.h"

// ---- operands --------------------------------------------------------------------

enum operand {
    OPERAND_FULL,    // the result's shape
    OPERAND_CHANNEL, // one element a channel
    OPERAND_SCALAR,
    OPERAND_NONE, // anything else
};

// How `other` lies against a result of that shape. axis is that of the channels.
static enum operand classify(const struct info *other, const struct reel_shape *out, int64_t out_count, int axis,
                             bool lone_vector_is_channel)
{
    if (other->count < 1 || other->dtype != REEL_F32) return OPERAND_NONE;
    if (other->count == 1) return other->v->constant || other->shape.ndim <= 1 ? OPERAND_SCALAR : OPERAND_NONE;
    const int shift = out->ndim - other->shape.ndim;
    if (shift < 0) return OPERAND_NONE;
    if (other->count == out_count) {
        for (int i = 0; i < other->shape.ndim; i++)
            if (other->shape.dim[i] != out->dim[i + shift]) return OPERAND_NONE;
        return OPERAND_FULL;
    }
    if (axis < 0 || axis >= out->ndim) return OPERAND_NONE;
    if (lone_vector_is_channel && other->shape.ndim == 1 && other->count == out->dim[axis]) return OPERAND_CHANNEL;
    bool per_image = axis == 1 && shift == 0 && other->shape.dim[0] == out->dim[0] && out->dim[0] > 1;
    for (int i = 0; i < other->shape.ndim; i++) {
        const int at = i + shift;
        const int64_t want = at == axis ? out->dim[axis] : at == 0 && per_image ? out->dim[0] : 1;
        if (other->shape.dim[i] != want) return OPERAND_NONE;
    }
    return axis >= shift ? OPERAND_CHANNEL : OPERAND_NONE;
}

enum conv_step_kind conv_step_of_channel(enum conv_step_kind full)
{
    switch (full) {
    case CONV_ADD_FULL:
        return CONV_ADD_CHAN;
    case CONV_MUL_FULL:
        return CONV_MUL_CHAN;
    case CONV_SUB_FULL:
        return CONV_SUB_CHAN;
    case CONV_RSUB_FULL:
        return CONV_RSUB_CHAN;
    case CONV_DIV_FULL:
        return CONV_DIV_CHAN;
    case CONV_RDIV_FULL:
        return CONV_RDIV_CHAN;
    default:
        return CONV_SLOPE;
    }
}

static bool has_channel_kind(enum conv_step_kind full)
{
    return full <= CONV_RDIV_FULL || full == CONV_SLOPE;
}

// One element a channel, padded to whole vectors.
static const float *channel_constant(struct program *p, const float *src, int64_t count, int64_t channels)
{
    const int64_t v = p->k->lanes, whole = (channels + v - 1) / v * v;
    float *m = program_alloc(p, (size_t)whole * sizeof(float));
    for (int64_t i = 0; m && i < channels; i++) m[i] = src[count == 1 ? 0 : i];
    return m;
}

struct spread {
    struct form src, dst;
    int64_t count;
};

static enum reel_err run_spread(struct program *p, struct step *s)
{
    const struct spread *w = s->data;
    const float x = *(const float *)form_at(p, &w->src);
    float *to = form_at(p, &w->dst);
    for (int64_t i = 0; i < w->count; i++) to[i] = x;
    return REEL_OK;
}

// One computed number as one for each channel; a step.
static enum reel_err spread_scalar(struct program *p, const struct value *v, int64_t channels, struct form *out_form)
{
    const int64_t lanes = p->k->lanes;
    struct spread w = {.count = (channels + lanes - 1) / lanes * lanes};
    enum reel_err err = need_form(p, v, LAYOUT_PLAIN, &w.src);
    if (!err) err = make_temporary(p, (size_t)w.count * sizeof(float), &w.dst);
    struct step *s = err ? NULL : add_step(p, NULL, "spread", run_spread, sizeof w);
    if (!s) return err ? err : no_memory(NULL);
    *(struct spread *)s->data = w;
    touch(p, &w.src, p->n_steps - 1);
    touch(p, &w.dst, p->n_steps - 1);
    *out_form = w.dst;
    return REEL_OK;
}

enum reel_err add_operand(struct program *p, struct tail *t, const struct info *out, enum conv_step_kind kind,
                          const struct value *other, bool *out_ok)
{
    struct info *o = info_of(p, other);
    const int axis = t->columns ? out->shape.ndim - 1 : 1;
    enum operand how = classify(o, &out->shape, out->count, axis, kind == CONV_SLOPE && !t->columns);
    if (how == OPERAND_CHANNEL && t->no_channels) return REEL_OK;
    struct conv_step *s = &t->e.step[t->e.n];
    struct form *data = &t->data[t->e.n];
    *s = (struct conv_step){.kind = kind};
    *data = FORM_NONE;
    enum reel_err err = REEL_OK;
    if (how == OPERAND_FULL && kind != CONV_SLOPE) {
        if (t->layout == LAYOUT_BLOCKED && (!(o->image || o->volume) || o->shape.ndim != out->shape.ndim))
            return REEL_OK;
        err = need_form(p, other, t->layout, data);
    } else if ((how == OPERAND_CHANNEL || how == OPERAND_SCALAR) && has_channel_kind(kind)) {
        s->kind = conv_step_of_channel(kind);
        const int64_t channels = axis < out->shape.ndim ? out->shape.dim[axis] : 1;
        if (o->form[LAYOUT_PLAIN].constant) {
            const float *m = channel_constant(p, o->form[LAYOUT_PLAIN].constant, o->count, channels > 0 ? channels : 1);
            if (!m) return no_memory(NULL);
            data->constant = m;
        } else if (how == OPERAND_SCALAR) {
            err = spread_scalar(p, other, channels > 0 ? channels : 1, data);
        } else if (t->columns || !o->image || o->shape.ndim != out->shape.ndim || o->bs.c != channels) {
            return REEL_OK; // (C,1,1) counts as C images
        } else {
            err = need_form(p, other, t->layout, data);
            const int64_t v = p->k->lanes;
            const int64_t whole = t->layout == LAYOUT_BLOCKED ? (channels + v - 1) / v * v : channels;
            if (o->bs.n > 1) s->chan_stride = (size_t)whole;
            // whole vectors are read: not beyond memory of the caller's
            if (!err && p->bufs[data->buf].kind != BUF_ARENA) return REEL_OK;
        }
    } else {
        return REEL_OK;
    }
    if (err) return err;
    t->e.n++;
    *out_ok = true;
    return REEL_OK;
}

// ---- epilogues -------------------------------------------------------------------

static enum conv_step_kind activation(enum epilogue_kind kind)
{
    switch (kind) {
    case EPILOGUE_ADD:
        return CONV_ADD_FULL;
    case EPILOGUE_MUL:
        return CONV_MUL_FULL;
    case EPILOGUE_RELU:
        return CONV_RELU;
    case EPILOGUE_LEAKY:
        return CONV_LEAKY;
    case EPILOGUE_PRELU:
        return CONV_SLOPE;
    case EPILOGUE_CLIP:
        return CONV_CLIP;
    case EPILOGUE_SIGMOID:
        return CONV_SIGMOID;
    case EPILOGUE_TANH:
        return CONV_TANH;
    case EPILOGUE_SILU:
        return CONV_SILU;
    case EPILOGUE_HSWISH:
        return CONV_HSWISH;
    case EPILOGUE_HSIGMOID:
        return CONV_HSIGMOID;
    case EPILOGUE_GELU_ERF:
        return CONV_GELU_ERF;
    case EPILOGUE_GELU_TANH:
        return CONV_GELU_TANH;
    case EPILOGUE_ELU:
        return CONV_ELU;
    case EPILOGUE_MISH:
        return CONV_MISH;
    }
    return CONV_RELU;
}

enum reel_err map_epilogue(struct program *p, const struct node *node, const struct info *out, struct tail *tail,
                           int *left)
{
    int i = *left;
    for (; i < node->n_epilogue && tail->e.n < CONV_MAX_STEPS; i++) {
        const struct epilogue *e = &node->epilogue[i];
        const enum conv_step_kind kind = activation(e->kind);
        if (e->other) {
            bool ok = false;
            enum reel_err err = add_operand(p, tail, out, kind, e->other, &ok);
            if (err) return err;
            if (!ok) break;
            continue;
        }
        tail->data[tail->e.n] = FORM_NONE;
        tail->e.step[tail->e.n++] = (struct conv_step){.kind = kind, .alpha = e->alpha, .beta = e->beta};
    }
    *left = i;
    return REEL_OK;
}

struct conv_epilogue bind_tail(const struct program *p, const struct tail *tail)
{
    struct conv_epilogue e = tail->e;
    for (int i = 0; i < e.n; i++)
        if (form_exists(&tail->data[i])) e.step[i].data = form_at(p, &tail->data[i]);
    return e;
}

void touch_tail(struct program *p, const struct tail *tail, int step)
{
    for (int i = 0; i < tail->e.n; i++) touch(p, &tail->data[i], step);
}

// SPDX-License-Identifier: MIT
//
// --precision fp8: which convolutions multiply e4m3 numbers (kernels/gpu/fp8.h),
// and what they need: inputs brought there, weights, scales in the epilogue.
//
// A number stands for code * 2^e. The scales are powers of two, so that applying
// one rounds nothing and the last digits of a measured maximum do not matter, but
// where it lies on a power of two itself. One e a value, from the largest
// magnitude that calibrate.c has seen of it, with room for HEADROOM times as
// much: pictures of a kind that calibration does not have, and a code's relative
// error is the same a binade lower. One e an output channel of weights.
//
// The choice depends on the graph and on what cuDNN takes, never on a clock. It is
// made before lowering (gpu_fp8_plan); where a result then does not fit (an
// epilogue that is no single chain) it is fp16 and is brought to e4m3 by a step of
// its own, as any other input is.
#include <math.h>
#include <stdlib.h>

#include "kernels/gpu/fp8.h"
#include "worker/backend/cudnn/program.h"
#include "worker/backend/ranges.h"

// A factor of two: the scale is also rounded up to a power of two, so that what fits is at least the
// measured maximum and less than four times it.
#define HEADROOM 2.0f

// The channels of both sides must be a multiple of 16 bytes of e4m3, as cuDNN's engines want.
#define WHOLE 16

// The least e with magnitude <= 448 * 2^e; 0 if the magnitude is 0.
static int exponent_of(float magnitude)
{
    int e;
    if (!(magnitude > 0)) return 0;
    const float m = frexpf(magnitude / GPU_F8_MAX, &e); // m in 0.5..1
    if (m == 0.5f) e--;
    return e < -100 ? -100 : e > 100 ? 100 : e;
}

// ---- where there is any ----------------------------------------------------------------

// e4m3 convolutions exist since Ada: compute capability 8.9.
#define LEAST_FP8_CC 89

enum reel_err gpu_fp8_check(const char *gpu, int cc_major, int cc_minor)
{
    if (cc_major * 10 + cc_minor >= LEAST_FP8_CC) return REEL_OK;
    return reel_fail(REEL_ERR_UNSUPPORTED,
                     "could not use precision fp8: %s has compute capability %d.%d, fp8 needs 8.9 (Ada, Hopper, "
                     "Blackwell)\nuse --precision fp16",
                     gpu, cc_major, cc_minor);
}

// ---- the choice ------------------------------------------------------------------------

static bool is_conv(const struct node *node)
{
    return node_is(node, "Conv") || node_is(node, "ConvTranspose");
}

// By value: whether a convolution precedes it, and whether one follows it.
struct sides {
    bool *before, *behind;
};

static bool reads_marked(const struct node *node, const bool *mark)
{
    for (int i = 0; i < node->n_in; i++)
        if (node->in[i] && mark[node->in[i]->id]) return true;
    for (int i = 0; i < node->n_epilogue; i++)
        if (node->epilogue[i].other && mark[node->epilogue[i].other->id]) return true;
    return false;
}

static bool makes_marked(const struct node *node, const bool *mark)
{
    for (int i = 0; i < node->n_out; i++)
        if (node->out[i] && mark[node->out[i]->id]) return true;
    return false;
}

static void mark_sides(const struct graph *g, const struct sides *s)
{
    for (const struct node *n = g->first; n; n = n->next)
        for (int i = 0; i < n->n_out && (is_conv(n) || reads_marked(n, s->before)); i++)
            if (n->out[i]) s->before[n->out[i]->id] = true;
    for (const struct node *n = g->last; n; n = n->prev) {
        if (!is_conv(n) && !makes_marked(n, s->behind)) continue;
        for (int i = 0; i < n->n_in; i++)
            if (n->in[i]) s->behind[n->in[i]->id] = true;
        for (int i = 0; i < n->n_epilogue; i++)
            if (n->epilogue[i].other) s->behind[n->epilogue[i].other->id] = true;
    }
}

static bool whole_image(const struct info *i)
{
    // Single pixels (the gates of squeeze and excite) gain nothing.
    return i->image && i->shape.ndim == 4 && i->c % WHOLE == 0 && i->pitch == i->c && i->h * i->w > 1;
}

// How many operands the epilogue and the bias need; the chain's other operands are left for scales.
static int operands_of(const struct lowered *p, const struct node *node)
{
    int n = node->n_in > 2 && node->in[2] ? 1 : 0;
    for (int i = 0; i < node->n_epilogue; i++)
        if (node->epilogue[i].other && info_of(p, node->epilogue[i].other)->count != 1) n++;
    return n;
}

static bool takes(struct lowered *p, const struct node *node, const struct sides *s)
{
    if (!node_is(node, "Conv") || *node->domain || node->n_in < 2 || !node->in[1] || !node->in[1]->constant)
        return false;
    const struct info *in = info_of(p, node->in[0]), *out = info_of(p, node->out[0]);
    if (node_attr_int(node, "group", 1) != 1 || !s->before[node->in[0]->id] || !s->behind[node->out[0]->id])
        return false;
    p->n_f8_middle++;
    const float most = ranges_find(p->ranges, node->in[0]->name);
    if (p->no_fp8 && p->no_fp8[node->out[0]->id]) {
        p->n_f8_refused++;
        return false;
    }
    return whole_image(in) && whole_image(out) && most > 0 && operands_of(p, node) < GPU_OPERANDS &&
           node->n_epilogue + 2 <= GPU_MAX_STEPS;
}

static bool reads_f8(const struct lowered *p, const struct node *node, const struct value *v)
{
    if (!node->n_out || !node->out[0] || !info_of(p, node->out[0])->f8 || node->in[0] != v) return false;
    for (int i = 1; i < node->n_in; i++)
        if (node->in[i] == v) return false;
    for (int i = 0; i < node->n_epilogue; i++)
        if (node->epilogue[i].other == v) return false;
    return true;
}

static bool only_f8(const struct lowered *p, const struct value *v)
{
    if (v->is_output || v->n_uses != v->n_use_nodes || info_of(p, v)->part.root) return false;
    for (int i = 0; i < v->n_use_nodes; i++)
        if (!reads_f8(p, v->uses[i], v)) return false;
    return v->n_use_nodes > 0;
}

enum reel_err gpu_fp8_plan(struct lowered *p)
{
    struct sides s = {calloc((size_t)p->n_info + 1, sizeof *s.before), calloc((size_t)p->n_info + 1, sizeof *s.behind)};
    enum reel_err err = s.before && s.behind ? REEL_OK : gpu_no_memory(NULL);
    if (!err) mark_sides(p->graph, &s);
    for (const struct node *n = p->graph->first; n && !err; n = n->next) {
        if (!takes(p, n, &s)) continue;
        info_of(p, n->out[0])->f8 = true;
        info_of(p, n->in[0])->f8_exponent = exponent_of(HEADROOM * ranges_find(p->ranges, n->in[0]->name));
        p->n_f8++;
    }
    for (const struct node *n = p->graph->first; n && !err; n = n->next)
        if (n->n_out && n->out[0] && info_of(p, n->out[0])->f8) info_of(p, n->out[0])->f8_only = only_f8(p, n->out[0]);
    free(s.before);
    free(s.behind);
    return err;
}

// ---- steps -----------------------------------------------------------------------------

enum reel_err gpu_fp8_need(struct lowered *p, const struct value *v, struct ref *out_ref)
{
    struct info *i = info_of(p, v);
    *out_ref = i->form[FORM_F8];
    if (gpu_has_form(i, FORM_F8)) return REEL_OK;
    const bool part = gpu_is_part(i);
    struct ref from;
    enum reel_err err = gpu_need_form(p, v, part ? FORM_PART : FORM_IMAGE, &from);
    if (!err) err = gpu_make_form(p, v, FORM_F8, out_ref);
    struct step *s = err ? NULL : gpu_add_step(p, STEP_QUANTISE, NULL, "to f8");
    if (!s) return err ? err : gpu_no_memory(NULL);
    s->x = from;
    s->y = *out_ref;
    s->u.quantise = (struct gpu_quantise){.elem = (int)p->low,
                                          .pixels = (int64_t)i->n * i->h * i->w,
                                          .channels = i->c,
                                          .x_pitch = part ? i->part.pitch : i->pitch,
                                          .scale = ldexpf(1, -i->f8_exponent)};
    gpu_touch_last(p);
    return REEL_OK;
}

// From ONNX's (K,C,R,S) to (K,R,S,C) in e4m3; `factor` (K) receives each channel's scale.
static enum reel_err weights(struct lowered *p, const struct f8_conv *c, float *factor, struct ref *out_ref)
{
    uint8_t *codes = malloc((size_t)c->k * (size_t)c->c * (size_t)c->taps);
    if (!codes) return gpu_no_memory(c->node);
    for (int64_t k = 0; k < c->k; k++) {
        const float *w = c->w + k * c->c * c->taps;
        float most = 0;
        for (int64_t i = 0; i < (int64_t)c->c * c->taps; i++) most = fmaxf(most, fabsf(w[i]));
        const int e = exponent_of(most);
        factor[k] = ldexpf(1, e);
        for (int64_t i = 0; i < c->c; i++)
            for (int64_t t = 0; t < c->taps; t++)
                codes[(k * c->taps + t) * c->c + i] = gpu_f8_of(ldexpf(w[i * c->taps + t], -e));
    }
    enum reel_err err = gpu_make_constant(p, codes, (size_t)c->k * (size_t)c->c * (size_t)c->taps, out_ref);
    free(codes);
    return err;
}

// Adds a product with one number a channel; the chain has room for it.
static enum reel_err add_product(struct lowered *p, const float *factor, int k, int at, struct gpu_chain *chain,
                                 struct ref *operand)
{
    const int o = chain->n_operands++;
    chain->operand[o] = (struct gpu_chain_operand){.elem = GPU_ELEM_F32, .per_channel = true};
    memmove(&chain->step[at + 1], &chain->step[at], (size_t)(chain->n - at) * sizeof *chain->step);
    chain->step[at] = (struct gpu_chain_step){.op = GPU_OP_MUL, .operand = o};
    chain->n++;
    return gpu_make_constant_floats(p, factor, k, k, GPU_ELEM_F32, &operand[o]);
}

enum reel_err gpu_fp8_layer(struct lowered *p, const struct f8_conv *c, bool whole, struct gpu_chain *chain,
                            struct ref *operand, struct ref *out_w, bool *out_y_f8)
{
    const struct info *in = info_of(p, c->node->in[0]), *out = info_of(p, c->node->out[0]);
    float *factor = malloc((size_t)c->k * sizeof *factor);
    if (!factor) return gpu_no_memory(c->node);
    enum reel_err err = weights(p, c, factor, out_w);
    for (int k = 0; k < c->k; k++) factor[k] = ldexpf(factor[k], in->f8_exponent);
    if (!err) err = add_product(p, factor, c->k, 0, chain, operand);
    *out_y_f8 = whole && out->f8_only && chain->n_operands < GPU_OPERANDS && chain->n < GPU_MAX_STEPS;
    for (int k = 0; k < c->k; k++) factor[k] = ldexpf(1, -out->f8_exponent);
    if (!err && *out_y_f8) err = add_product(p, factor, c->k, chain->n, chain, operand);
    free(factor);
    return err;
}

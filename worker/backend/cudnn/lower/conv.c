// SPDX-License-Identifier: MIT
//
// Conv and ConvTranspose -> fused patterns for cuDNN, or own kernels where it
// has no tensor-core engine (few channels in a group). Weights are put into
// cuDNN's order and padded with zeros to the images' pitches: constants here, those
// that are data (styles, templates) by a step of their own.
#include <stdlib.h>
#include <string.h>

#include "kernels/gpu/conv_way.h"
#include "worker/backend/cudnn/lower/axis.h"

struct job {
    const struct node *node;
    const struct info *in, *out;
    struct info flat[2];      // in and out if they are volumes: seen as images
    const struct info *whole; // the result as it is in the graph
    const float *w, *bias;    // w NULL: the weights are data
    bool transposed;
    struct conv_axis y, x;
    int groups;
};

// The images and their axes; volumes only if they can be seen as images.
static bool open_images(struct lowered *p, struct job *j)
{
    const struct node *node = j->node;
    j->in = info_of(p, node->in[0]);
    j->out = j->whole = info_of(p, node->out[0]);
    const struct info *w = info_of(p, node->in[1]);
    if (w->shape.ndim != j->in->shape.ndim) return false;
    if (j->in->volume) {
        if (!gpu_flat_volume(p, node, &j->flat[0], &j->flat[1], &j->y, &j->x)) return false;
        j->in = &j->flat[0], j->out = &j->flat[1];
        return true;
    }
    if (!j->in->image || !j->out->image) return false;
    const int axes = j->in->shape.ndim - 2;
    j->y = CONV_AXIS_NONE;
    for (int i = 0; i < axes; i++) {
        const bool rows = axes == 2 && i == 0;
        const int64_t size = rows ? j->in->h : j->in->w, to = rows ? j->out->h : j->out->w;
        const int64_t kernel = w->shape.dim[2 + i];
        *(rows ? &j->y : &j->x) =
            j->transposed ? gpu_deconv_axis(node, i, size, to, kernel) : gpu_conv_axis(node, i, axes, size, to, kernel);
    }
    return true;
}

// False for convolutions that other files lower.
static bool open_job(struct lowered *p, const struct node *node, struct job *j)
{
    if (node->n_in < 2 || !node->in[0] || !node->in[1] || !node->out[0]) return false;
    *j = (struct job){.node = node, .transposed = node_is(node, "ConvTranspose")};
    if (!open_images(p, j)) return false;
    const struct info *w = info_of(p, node->in[1]);
    j->w = gpu_const_floats(p, node->in[1]);
    if (!j->w && (w->dtype != REEL_F32 || w->count < 1 || w->count > INT32_MAX || node->in[1]->constant)) return false;
    if (!j->w && j->in->volume) return false;
    if (node->n_in > 2 && node->in[2]) {
        j->bias = gpu_const_floats(p, node->in[2]);
        if (!j->bias || info_of(p, node->in[2])->count != j->out->c) return false;
    }
    const int64_t groups = node_attr_int(node, "group", 1);
    if (groups < 1 || j->in->c % groups || j->out->c % groups) return false;
    j->groups = (int)groups;
    const int64_t have[2] = {w->shape.dim[0], w->shape.dim[1]};
    if (j->transposed ? have[0] != j->in->c || have[1] != j->out->c / groups
                      : have[0] != j->out->c || have[1] != j->in->c / groups)
        return false;
    return gpu_conv_axis_ok(&j->y) && gpu_conv_axis_ok(&j->x);
}

static enum gpu_type gpu_type_of(enum gpu_elem e)
{
    return e == GPU_ELEM_F32 ? GPU_F32 : e == GPU_ELEM_F16 ? GPU_F16 : e == GPU_ELEM_F8 ? GPU_F8E4M3 : GPU_BF16;
}

static struct gpu_pattern pattern_of(const struct lowered *p, const struct job *j)
{
    struct gpu_pattern g = gpu_pattern_make(j->transposed ? GPU_DECONV : GPU_CONV, j->in->pitch, j->in->h, j->in->w,
                                            j->out->pitch, (int)j->y.kernel, (int)j->x.kernel);
    g.n = j->in->n;
    g.groups = j->groups;
    g.pad_top = (int)j->y.before, g.pad_bottom = (int)j->y.after;
    g.pad_left = (int)j->x.before, g.pad_right = (int)j->x.after;
    g.stride_h = (int)j->y.stride, g.stride_w = (int)j->x.stride;
    g.dilation_h = (int)j->y.dilation, g.dilation_w = (int)j->x.dilation;
    g.out_pad_h = (int)j->y.out_pad, g.out_pad_w = (int)j->x.out_pad;
    g.x_type = g.w_type = g.y_type = gpu_type_of(p->low);
    g.allow_tf32 = p->allow_tf32;
    return g;
}

bool gpu_pattern_chain(struct gpu_pattern *g, const struct gpu_chain *chain)
{
    static const struct {
        enum gpu_op op;
        enum epilogue_kind kind;
    } table[] = {
        {GPU_OP_ADD, EPILOGUE_ADD},
        {GPU_OP_MUL, EPILOGUE_MUL},
        {GPU_OP_PRELU, EPILOGUE_PRELU},
        {GPU_OP_RELU, EPILOGUE_RELU},
        {GPU_OP_LEAKY, EPILOGUE_LEAKY},
        {GPU_OP_CLIP, EPILOGUE_CLIP},
        {GPU_OP_SIGMOID, EPILOGUE_SIGMOID},
        {GPU_OP_TANH, EPILOGUE_TANH},
        {GPU_OP_SILU, EPILOGUE_SILU},
        {GPU_OP_HSWISH, EPILOGUE_HSWISH},
        {GPU_OP_HSIGMOID, EPILOGUE_HSIGMOID},
        {GPU_OP_GELU_ERF, EPILOGUE_GELU_ERF},
        {GPU_OP_GELU_TANH, EPILOGUE_GELU_TANH},
        {GPU_OP_ELU, EPILOGUE_ELU},
        {GPU_OP_MISH, EPILOGUE_MISH},
    };
    for (int i = 0; i < chain->n; i++) {
        const struct gpu_chain_step *s = &chain->step[i];
        size_t k = 0;
        while (k < sizeof table / sizeof *table && (int)table[k].op != s->op) k++;
        if (k == sizeof table / sizeof *table) return false;
        enum gpu_operand how = GPU_OPERAND_NONE;
        if (s->op < GPU_OP_WITH_OPERAND)
            how = s->operand < 0                           ? GPU_OPERAND_SCALAR
                  : chain->operand[s->operand].per_channel ? GPU_OPERAND_CHANNEL
                                                           : GPU_OPERAND_TENSOR;
        if (!gpu_pattern_add(g, table[k].kind, how, s->alpha, s->beta)) return false;
        if (how >= GPU_OPERAND_CHANNEL)
            g->step[g->n_steps - 1].type = gpu_type_of((enum gpu_elem)chain->operand[s->operand].elem);
        const int pitch = how == GPU_OPERAND_TENSOR ? chain->operand[s->operand].pitch : 0;
        g->step[g->n_steps - 1].pitch = pitch == g->k ? 0 : pitch;
    }
    return true;
}

// From ONNX's weights (K,C/g,R,S) to (K,R,S,C/g), from transposed ones (C,K/g,R,S) to (C,R,S,K/g), with
// zeros up to `first` and `last` if groups is 1.
static enum reel_err ordered_weights(struct lowered *p, const struct job *j, int first, int last, struct ref *out_ref)
{
    const int64_t a = j->transposed ? j->in->c : j->out->c;
    const int64_t b = (j->transposed ? j->out->c : j->in->c) / j->groups, taps = j->y.kernel * j->x.kernel;
    float *m = calloc((size_t)first * (size_t)taps * (size_t)last, sizeof *m);
    if (!m) return gpu_no_memory(j->node);
    for (int64_t i = 0; i < a; i++)
        for (int64_t k = 0; k < b; k++)
            for (int64_t t = 0; t < taps; t++) m[(i * taps + t) * last + k] = j->w[(i * b + k) * taps + t];
    enum reel_err err = gpu_make_constant_floats(p, m, first * taps * last, first * taps * last, p->low, out_ref);
    free(m);
    return err;
}

// (C,1,R,S) -> (R,S,pitch)
static enum reel_err depthwise_weights(struct lowered *p, const struct job *j, struct ref *out_ref)
{
    const int64_t taps = j->y.kernel * j->x.kernel, pitch = j->out->pitch;
    float *m = calloc((size_t)(taps * pitch), sizeof *m);
    if (!m) return gpu_no_memory(j->node);
    for (int64_t c = 0; c < j->out->c; c++)
        for (int64_t t = 0; t < taps; t++) m[t * pitch + c] = j->w[c * taps + t];
    enum reel_err err = gpu_make_constant_floats(p, m, taps * pitch, taps * pitch, p->low, out_ref);
    free(m);
    return err;
}

// The first n of `extent` indices, and zeros for the others. NULL if no zeros are needed, or without
// memory.
static const int32_t *first_of(struct lowered *p, int n, int extent)
{
    int32_t *t = n < extent ? gpu_lower_alloc(p, (size_t)extent * sizeof *t) : NULL;
    for (int i = 0; t && i < extent; i++) t[i] = i < n ? i : -1;
    return t;
}

// The same for weights that are data, wherever they lie: (A,B,R,S) -> (first,R,S,last); depthwise:
// (C,1,R,S) -> (R,S,last).
static enum reel_err data_weights(struct lowered *p, const struct job *j, bool depthwise, int first, int last,
                                  struct ref *out_ref)
{
    const int a = j->transposed ? j->in->c : j->out->c, b = (j->transposed ? j->out->c : j->in->c) / j->groups;
    const int r = (int)j->y.kernel, s = (int)j->x.kernel, have[2] = {depthwise ? 1 : a, depthwise ? a : b};
    const int want[2] = {depthwise ? 1 : first, last};
    struct view w;
    struct move m = MOVE_NONE;
    enum reel_err err = gpu_need_view(p, j->node->in[1], &w);
    const bool flat = j->in->shape.ndim == 3; // (A,B,S)
    const int64_t extent[4] = {want[0], r, s, want[1]};
    const int64_t src[4] = {depthwise ? 0 : w.stride[0], flat ? 0 : w.stride[2], w.stride[flat ? 2 : 3],
                            w.stride[depthwise ? 0 : 1]};
    m.n = 4;
    int64_t step = 1;
    for (int d = 3; d >= 0; d--) {
        m.extent[d] = extent[d], m.src[d] = src[d], m.dst[d] = step;
        step *= extent[d];
    }
    for (int i = 0; i < 2; i++) {
        m.table[3 * i] = first_of(p, have[i], want[i]);
        if (!m.table[3 * i] && have[i] < want[i]) return gpu_no_memory(j->node);
    }
    if (!err) err = gpu_make_temporary(p, (size_t)step * gpu_elem_bytes(p->low), out_ref);
    return err ? err : gpu_emit_move(p, j->node, "weights", &m, w.at, w.elem, *out_ref, p->low);
}

static struct gpu_conv conv_of(const struct lowered *p, const struct job *j, bool padded)
{
    return (struct gpu_conv){.elem = p->low,
                             .n = j->in->n,
                             .c = padded ? j->in->pitch : j->in->c,
                             .h = j->in->h,
                             .w = j->in->w,
                             .k = padded ? j->out->pitch : j->out->c,
                             .p = j->out->h,
                             .q = j->out->w,
                             .r = (int)j->y.kernel,
                             .s = (int)j->x.kernel,
                             .stride_h = (int)j->y.stride,
                             .stride_w = (int)j->x.stride,
                             .pad_top = (int)j->y.before,
                             .pad_left = (int)j->x.before,
                             .dilation_h = (int)j->y.dilation,
                             .dilation_w = (int)j->x.dilation,
                             .groups = j->groups,
                             .x_pitch = j->in->pitch,
                             .y_pitch = j->out->pitch,
                             .y_lanes = j->out->pitch,
                             .transposed = j->transposed,
                             .c_used = j->groups == 1 ? j->in->c : 0,
                             .sm = p->sm};
}

// The places of x and y: between other channels if possible.
struct places {
    struct ref x, y;
    int x_pitch, y_pitch;
};

static enum reel_err find_x(struct lowered *p, const struct job *j, struct places *at)
{
    const bool part = gpu_is_part(j->in) && j->groups == 1 && !j->transposed;
    if (j->out->f8) {
        at->x_pitch = j->in->pitch;
        return gpu_fp8_need(p, j->node->in[0], &at->x);
    }
    at->x_pitch = part ? j->in->part.pitch : j->in->pitch;
    return gpu_need_form(p, j->node->in[0], part ? FORM_PART : FORM_IMAGE, &at->x);
}

// whole: all of the epilogue is in the pattern, and no step of it needs a kernel of its own.
static enum reel_err find_y(struct lowered *p, const struct job *j, bool whole, struct places *at)
{
    const struct value *y = j->node->out[0];
    at->y_pitch = j->out->pitch;
    if (!j->out->part.root || j->groups != 1 || j->transposed || !whole) return gpu_make_form(p, y, FORM_IMAGE, &at->y);
    enum reel_err err = gpu_make_part(p, y, &at->y);
    at->y_pitch = j->out->part.pitch;
    return err;
}

// The pattern in e4m3, with its weights and scales.
static enum reel_err narrow(struct lowered *p, const struct job *j, bool whole, struct gpu_pattern *g,
                            struct gpu_conv *conv, struct gpu_chain *chain, struct ref *operand, struct ref *out_w)
{
    const struct f8_conv c = {j->node, j->w, j->out->c, j->in->c, (int)(j->y.kernel * j->x.kernel)};
    bool y_f8 = false;
    enum reel_err err = gpu_fp8_layer(p, &c, whole, chain, operand, out_w, &y_f8);
    conv->x_f8 = true;
    if (y_f8) conv->elem = GPU_ELEM_F8;
    g->x_type = g->w_type = GPU_F8E4M3;
    g->y_type = gpu_type_of((enum gpu_elem)conv->elem);
    return err;
}

static void set_pitches(struct gpu_pattern *g, const struct places *at)
{
    g->x_pitch = at->x_pitch == g->c ? 0 : at->x_pitch;
    g->y_pitch = at->y_pitch == g->k ? 0 : at->y_pitch;
}

// The label of the own kernel that is better than cuDNN's; NULL: none is. It depends only on shape, element
// type and device.
static const char *better_kernel(const struct gpu_conv *p)
{
    switch (gpu_conv_way_of(p)) {
    case GPU_CONV_FEW:
        return "few channels";
    case GPU_CONV_FEW_IN:
        return "few in tc";
    case GPU_CONV_FEW_OUT:
        return (int64_t)p->p * p->q >= GPU_FEW_OUT_PIXELS ? "few out tc" : NULL;
    case GPU_CONV_DIRECT:
        break;
    }
    return NULL;
}

static enum reel_err make_weights(struct lowered *p, const struct job *j, bool depthwise, struct ref *out_ref)
{
    const struct info *from = j->transposed ? j->in : j->out, *to = j->transposed ? j->out : j->in;
    const bool padded = j->groups == 1;
    const int first = padded ? from->pitch : from->c, last = padded ? to->pitch : to->c / j->groups;
    if (!j->w) return data_weights(p, j, depthwise, first, depthwise ? j->out->pitch : last, out_ref);
    return depthwise ? depthwise_weights(p, j, out_ref) : ordered_weights(p, j, first, last, out_ref);
}

static enum reel_err lower(struct lowered *p, struct job *j, bool *out_done)
{
    struct gpu_pattern g = pattern_of(p, j);
    const bool depthwise = !j->transposed && j->groups == j->in->c && j->in->c == j->out->c && j->groups > 1 &&
                           j->in->pitch == j->out->pitch;
    // groups must lie side by side, without padding between them
    const bool packed = j->groups == 1 || (j->in->pitch == j->in->c && j->out->pitch == j->out->c);
    bool plan = packed && !gpu_pattern_wants_own_kernel(&g);
    struct gpu_chain chain;
    struct ref w, operand[GPU_OPERANDS];
    struct places at;
    int left = 0;
    for (int i = 0; i < GPU_OPERANDS; i++) operand[i] = REF_NONE;
    enum reel_err err = find_x(p, j, &at);
    if (!err) err = gpu_build_chain(p, j->node, j->whole, false, j->bias, &chain, operand, &left);
    const bool padded = j->groups == 1, whole = left == j->node->n_epilogue;
    struct gpu_conv conv = conv_of(p, j, padded);
    if (!err && j->out->f8) err = narrow(p, j, whole, &g, &conv, &chain, operand, &w);
    if (!err && conv.elem == GPU_ELEM_F8) {
        at.y_pitch = j->out->pitch;
        err = gpu_make_form(p, j->node->out[0], FORM_F8, &at.y);
    } else if (!err) {
        err = find_y(p, j, whole, &at);
    }
    if (err) return err;
    set_pitches(&g, &at);
    conv.x_pitch = at.x_pitch, conv.y_pitch = at.y_pitch;
    const char *own = better_kernel(&conv);
    plan = plan && !own && gpu_pattern_chain(&g, &chain);
    if (plan && gpu_pattern_check(&g)) plan = false;
    if (j->out->f8 && !plan) return reel_fail(REEL_ERR_FAULT, "could not compile node \"%s\" in fp8", j->node->name);
    if (!j->out->f8) err = make_weights(p, j, depthwise && !plan, &w); // e4m3 weights are already made
    struct step *s = err ? NULL
                         : gpu_add_step(p,
                                        plan        ? STEP_PLAN
                                        : depthwise ? STEP_DEPTHWISE
                                                    : STEP_CONV,
                                        j->node,
                                        plan        ? "plan"
                                        : depthwise ? "depthwise"
                                        : own       ? own
                                                    : "direct");
    if (!s) return err ? err : gpu_no_memory(j->node);
    s->pattern = g;
    s->u.conv = conv;
    s->u.conv.chain = chain;
    s->x = at.x;
    s->w = w;
    s->y = at.y;
    memcpy(s->operand, operand, sizeof operand);
    gpu_touch_last(p);
    *out_done = true;
    return gpu_finish_epilogue(p, j->node, left);
}

enum reel_err gpu_lower_conv(struct lowered *p, const struct node *node, bool *out_done)
{
    struct job j;
    if (!node_is(node, "Conv") || !open_job(p, node, &j)) return REEL_OK;
    return lower(p, &j, out_done);
}

enum reel_err gpu_lower_deconv(struct lowered *p, const struct node *node, bool *out_done)
{
    struct job j;
    if (!node_is(node, "ConvTranspose") || !open_job(p, node, &j)) return REEL_OK;
    return lower(p, &j, out_done);
}

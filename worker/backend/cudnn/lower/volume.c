// SPDX-License-Identifier: MIT
//
// Convolutions over three axes (constant weights) that are none over two as they lie
// (axis.h). Conv: for each position along the first axis the planes that its window covers
// are joined as channels, planes beyond the ends zeros; then it is one of conv.c's patterns
// over all positions at once, with the kernel's planes as channels too. ConvTranspose: the
// same for every stride-th plane of the output, which the same planes of the kernel make. Of few channels in a group: a
// kernel of its own.
#include <stdlib.h>
#include <string.h>

#include "worker/backend/cudnn/lower/axis.h"

struct volume {
    const struct node *node;
    const struct info *in, *out;
    const float *w, *bias;
    bool transposed;
    struct conv_axis axis[3]; // planes, rows, columns
    int groups;
    int64_t c, k; // channels of x and y in a group
};

static bool open_volume(struct lowered *p, const struct node *node, struct volume *j)
{
    const struct value *w = node->n_in > 1 ? node->in[1] : NULL;
    *j = (struct volume){.node = node, .transposed = node_is(node, "ConvTranspose")};
    if ((!node_is(node, "Conv") && !j->transposed) || !w || !node->in[0] || node->n_out != 1 || !node->out[0])
        return false;
    j->in = info_of(p, node->in[0]), j->out = info_of(p, node->out[0]);
    if (!j->in->volume || !j->out->volume || node->in[0]->constant || info_of(p, w)->shape.ndim != 5) return false;
    const int64_t *in = j->in->shape.dim, *out = j->out->shape.dim, *size = info_of(p, w)->shape.dim;
    const int64_t groups = node_attr_int(node, "group", 1);
    if (!(j->w = gpu_const_floats(p, w)) || groups < 1 || in[1] % groups || out[1] % groups) return false;
    if (node->n_in > 2 && node->in[2]) {
        j->bias = gpu_const_floats(p, node->in[2]);
        if (!j->bias || info_of(p, node->in[2])->count != out[1]) return false;
    }
    j->groups = (int)groups, j->c = in[1] / groups, j->k = out[1] / groups;
    const int64_t first = j->transposed ? in[1] : out[1], second = j->transposed ? j->k : j->c;
    if (size[0] != first || size[1] != second) return false;
    for (int i = 0; i < 3; i++) {
        j->axis[i] = j->transposed ? gpu_deconv_axis(node, i, in[2 + i], out[2 + i], size[2 + i])
                                   : gpu_conv_axis(node, i, 3, in[2 + i], out[2 + i], size[2 + i]);
        if (!gpu_conv_axis_ok(&j->axis[i])) return false;
    }
    return true;
}

// ---- planes as channels ----------------------------------------------------------------

// Planes first, first + step, ... of y, and the kernel's planes that make them.
struct slab {
    int64_t first, step, count;
    int taps, *tap; // there is at least one
    int pitch;      // of the joined planes, whose groups lie side by side
};

// The plane of x from which tap makes plane o of y; -1: none.
static int64_t plane_of(const struct volume *j, int64_t o, int tap)
{
    const struct conv_axis *a = &j->axis[0];
    const int64_t depth = j->in->shape.dim[2];
    const int64_t at =
        j->transposed ? o + a->before - tap * a->dilation : o * a->stride - a->before + tap * a->dilation;
    if (!j->transposed) return at >= 0 && at < depth ? at : -1;
    return at >= 0 && at % a->stride == 0 && at / a->stride < depth ? at / a->stride : -1;
}

// Finds the planes of y from `first` on; false: no memory.
static bool open_slab(struct lowered *p, const struct volume *j, int64_t first, struct slab *q)
{
    const struct conv_axis *a = &j->axis[0];
    const int64_t step = j->transposed ? a->stride : 1, whole = 16 / (int64_t)gpu_elem_bytes(p->low);
    *q = (struct slab){.first = first, .step = step, .count = (j->out->shape.dim[2] - first + step - 1) / step};
    q->tap = gpu_lower_alloc(p, (size_t)a->kernel * sizeof *q->tap);
    for (int t = 0; q->tap && t < a->kernel; t++)
        if (!j->transposed || (first + a->before - t * a->dilation) % step == 0) q->tap[q->taps++] = t;
    if (q->tap && !q->taps) q->taps = 1; // its first plane is beyond the ends everywhere
    const int64_t joined = q->taps * j->c * j->groups;
    q->pitch = (int)(j->groups == 1 ? (joined + whole - 1) / whole * whole : joined);
    return q->tap != NULL;
}

// Whether all sizes that the copies and the convolution need fit in 32 bits.
static bool slab_fits(const struct volume *j, const struct slab *q)
{
    const int64_t *in = j->in->shape.dim, *out = j->out->shape.dim, pictures = in[0] * q->count;
    return q->pitch <= CONV_AXIS_MOST && pictures <= INT32_MAX / (in[3] * in[4]) / q->pitch &&
           pictures <= INT32_MAX / (out[3] * out[4]) / j->out->pitch;
}

// Where tap i of every window lies: in each group, the channels from i * c on of the joined ones.
static enum reel_err join_planes(struct lowered *p, const struct volume *j, const struct slab *q, int i,
                                 const struct view *x, struct ref y)
{
    const int64_t *in = j->in->shape.dim, plane = in[3] * in[4] * q->pitch;
    const int64_t extent[6] = {in[0], q->count, in[3], in[4], j->groups, j->c};
    const int64_t src[6] = {x->stride[0], x->stride[2], x->stride[3], x->stride[4], j->c * x->stride[1], x->stride[1]};
    const int64_t dst[6] = {q->count * plane, plane, in[4] * q->pitch, q->pitch, q->taps * j->c, 1};
    int32_t *from = gpu_lower_alloc(p, (size_t)q->count * sizeof *from);
    struct move m = MOVE_NONE;
    if (!from) return gpu_no_memory(j->node);
    for (int64_t o = 0; o < q->count; o++) from[o] = (int32_t)plane_of(j, q->first + o * q->step, q->tap[i]);
    m.n = 6;
    for (int d = 0; d < 6; d++) m.extent[d] = extent[d], m.src[d] = src[d], m.dst[d] = dst[d];
    m.table[1] = from;
    m.dst_base = (int64_t)i * j->c;
    if (i == q->taps - 1 && j->groups == 1) m.pad_dim = 5, m.pad_to = q->pitch - m.dst_base;
    return gpu_emit_move(p, j->node, "planes", &m, x->at, x->elem, y, p->low);
}

// Every plane is there once, where it lies.
static bool joined_already(const struct lowered *p, const struct volume *j, const struct slab *q)
{
    if (q->taps != 1 || q->count != j->in->shape.dim[2] || q->pitch != j->in->pitch) return false;
    for (int64_t o = 0; o < q->count; o++)
        if (plane_of(j, q->first + o * q->step, q->tap[0]) != o) return false;
    return gpu_best_form(p, j->in) == FORM_IMAGE;
}

static enum reel_err need_planes(struct lowered *p, const struct volume *j, const struct slab *q, struct ref *out_ref)
{
    struct view x;
    const size_t pixels = (size_t)(j->in->shape.dim[0] * q->count * j->in->shape.dim[3] * j->in->shape.dim[4]);
    enum reel_err err = gpu_need_view(p, j->node->in[0], &x);
    *out_ref = x.at;
    if (err || joined_already(p, j, q)) return err;
    err = gpu_make_temporary(p, pixels * (size_t)q->pitch * gpu_elem_bytes(p->low), out_ref);
    for (int i = 0; i < q->taps && !err; i++) err = join_planes(p, j, q, i, &x, *out_ref);
    return err;
}

// (K,C/g,D,R,S) -> (K,R,S,taps*C/g), transposed (C,K/g,D,R,S) -> (taps*C,R,S,K/g) with the
// channels of a group together; of one group zeros up to whole vectors.
static enum reel_err slab_weights(struct lowered *p, const struct volume *j, const struct slab *q, struct ref *out_ref)
{
    const bool one = j->groups == 1;
    const int64_t area = j->axis[1].kernel * j->axis[2].kernel, depth = j->axis[0].kernel, all_k = j->groups * j->k;
    const int64_t inner = j->transposed ? one ? j->out->pitch : j->k : one ? q->pitch : q->taps * j->c;
    const int64_t n = (j->transposed ? q->pitch : one ? j->out->pitch : all_k) * area * inner;
    float *m = calloc((size_t)n, sizeof *m);
    if (!m) return gpu_no_memory(j->node);
    for (int64_t k = 0; k < all_k; k++)
        for (int64_t c = 0; c < j->c; c++)
            for (int64_t i = 0; i < q->taps; i++)
                for (int64_t t = 0; t < area; t++) {
                    const int64_t g = k / j->k, from = g * j->c + c; // the channel of x
                    const int64_t at = j->transposed ? from * j->k + k % j->k : k * j->c + c;
                    const float v = j->w[(at * depth + q->tap[i]) * area + t];
                    const int64_t joined = (g * q->taps + i) * j->c + c;
                    if (j->transposed)
                        m[(joined * area + t) * inner + k % j->k] = v;
                    else
                        m[(k * area + t) * inner + i * j->c + c] = v;
                }
    enum reel_err err = gpu_make_constant_floats(p, m, n, n, p->low, out_ref);
    free(m);
    return err;
}

static struct gpu_pattern pattern_of(const struct lowered *p, const struct volume *j, const struct slab *q)
{
    const int64_t *in = j->in->shape.dim;
    const struct conv_axis *h = &j->axis[1], *v = &j->axis[2];
    struct gpu_pattern g = gpu_pattern_make(j->transposed ? GPU_DECONV : GPU_CONV, q->pitch, (int)in[3], (int)in[4],
                                            j->out->pitch, (int)h->kernel, (int)v->kernel);
    g.n = (int)(in[0] * q->count);
    g.groups = j->groups;
    g.pad_top = (int)h->before, g.pad_bottom = (int)h->after;
    g.pad_left = (int)v->before, g.pad_right = (int)v->after;
    g.stride_h = (int)h->stride, g.stride_w = (int)v->stride;
    g.dilation_h = (int)h->dilation, g.dilation_w = (int)v->dilation;
    g.out_pad_h = (int)h->out_pad, g.out_pad_w = (int)v->out_pad;
    g.x_type = g.w_type = g.y_type = p->low == GPU_ELEM_F32 ? GPU_F32 : p->low == GPU_ELEM_F16 ? GPU_F16 : GPU_BF16;
    g.allow_tf32 = p->allow_tf32;
    return g;
}

static struct gpu_conv conv_of(const struct lowered *p, const struct volume *j, const struct slab *q)
{
    const int64_t *in = j->in->shape.dim, *out = j->out->shape.dim;
    const struct conv_axis *h = &j->axis[1], *v = &j->axis[2];
    return (struct gpu_conv){.elem = p->low,
                             .n = (int)(in[0] * q->count),
                             .c = q->pitch,
                             .h = (int)in[3],
                             .w = (int)in[4],
                             .k = j->groups == 1 ? j->out->pitch : j->out->c,
                             .p = (int)out[3],
                             .q = (int)out[4],
                             .r = (int)h->kernel,
                             .s = (int)v->kernel,
                             .stride_h = (int)h->stride,
                             .stride_w = (int)v->stride,
                             .pad_top = (int)h->before,
                             .pad_left = (int)v->before,
                             .dilation_h = (int)h->dilation,
                             .dilation_w = (int)v->dilation,
                             .groups = j->groups,
                             .x_pitch = q->pitch,
                             .y_pitch = j->out->pitch,
                             .y_lanes = j->out->pitch,
                             .transposed = j->transposed,
                             .c_used = j->groups == 1 ? q->taps * (int)j->c : 0,
                             .sm = p->sm};
}

// Computes the slab's planes, one behind another, into y; s has the chain and its operands.
static enum reel_err convolve_slab(struct lowered *p, const struct volume *j, const struct slab *q, struct step *s,
                                   struct ref y)
{
    const struct gpu_chain chain = s->u.conv.chain;
    enum reel_err err = need_planes(p, j, q, &s->x);
    if (!err) err = slab_weights(p, j, q, &s->w);
    s->u.conv = conv_of(p, j, q);
    s->u.conv.chain = chain;
    s->y = y;
    s->pattern = pattern_of(p, j, q);
    s->kind = STEP_CONV, s->label = "direct";
    if (!gpu_pattern_wants_own_kernel(&s->pattern) && gpu_pattern_chain(&s->pattern, &chain) &&
        !gpu_pattern_check(&s->pattern))
        s->kind = STEP_PLAN, s->label = "plan";
    return err ? err : gpu_put_step(p, s, j->node);
}

// Copies the slab's planes to their places among the others.
static enum reel_err spread_planes(struct lowered *p, const struct volume *j, const struct slab *q, struct ref from,
                                   struct ref y)
{
    const int64_t plane = (int64_t)j->out->shape.dim[3] * j->out->shape.dim[4] * j->out->pitch;
    struct move m = MOVE_NONE;
    m.n = 3;
    m.extent[0] = j->out->n, m.src[0] = q->count * plane, m.dst[0] = j->out->shape.dim[2] * plane;
    m.extent[1] = q->count, m.src[1] = plane, m.dst[1] = q->step * plane;
    m.extent[2] = plane, m.src[2] = m.dst[2] = 1;
    m.dst_base = q->first * plane;
    return gpu_emit_move(p, j->node, "volumes", &m, from, p->low, y, p->low);
}

static enum reel_err emit_slabs(struct lowered *p, const struct volume *j, const struct slab *slab, int n)
{
    struct step s = gpu_step_of(STEP_CONV, "direct");
    struct node bare = *j->node; // with several slabs, it keeps only the steps of the epilogue that have no operand
    struct ref y;
    int left = 0;
    if (n > 1) bare.n_epilogue = 0;
    while (bare.n_epilogue < j->node->n_epilogue && !j->node->epilogue[bare.n_epilogue].other) bare.n_epilogue++;
    enum reel_err err = gpu_build_chain(p, &bare, j->out, false, j->bias, &s.u.conv.chain, s.operand, &left);
    if (!err) err = gpu_make_form(p, j->node->out[0], FORM_IMAGE, &y);
    for (int i = 0; i < n && !err; i++) {
        const struct slab *q = &slab[i];
        const size_t plane = (size_t)j->out->shape.dim[3] * (size_t)j->out->shape.dim[4] * (size_t)j->out->pitch;
        const size_t bytes = (size_t)j->out->n * (size_t)q->count * plane * gpu_elem_bytes(p->low);
        struct step each = s;
        struct ref to = y;
        if (n > 1) err = gpu_make_temporary(p, bytes, &to);
        if (!err) err = convolve_slab(p, j, q, &each, to);
        if (!err && n > 1) err = spread_planes(p, j, q, to, y);
    }
    return err ? err : gpu_finish_epilogue(p, j->node, left);
}

// ---- few channels in a group -----------------------------------------------------------

// (C,1,D,R,S) -> (taps,pitch); (K,C/g,D,R,S) -> (K,taps,C/g), transposed (C,K/g,D,R,S) ->
// (C,taps,K/g).
static enum reel_err own_weights(struct lowered *p, const struct volume *j, bool depthwise, struct ref *out_ref)
{
    const int64_t taps = j->axis[0].kernel * j->axis[1].kernel * j->axis[2].kernel;
    const int64_t a = (int64_t)j->groups * (j->transposed ? j->c : j->k), b = j->transposed ? j->k : j->c;
    const int64_t pitch = j->out->pitch, n = depthwise ? taps * pitch : a * b * taps;
    float *m = calloc((size_t)n, sizeof *m);
    if (!m) return gpu_no_memory(j->node);
    for (int64_t i = 0; i < a; i++)
        for (int64_t k = 0; k < b; k++)
            for (int64_t t = 0; t < taps; t++)
                m[depthwise ? t * pitch + i : (i * taps + t) * b + k] = j->w[(i * b + k) * taps + t];
    enum reel_err err = gpu_make_constant_floats(p, m, n, n, p->low, out_ref);
    free(m);
    return err;
}

static enum reel_err emit_own(struct lowered *p, const struct volume *j)
{
    const bool depthwise = !j->transposed && j->c == 1 && j->k == 1 && j->in->pitch == j->out->pitch;
    struct step s = gpu_step_of(STEP_VOLUME, depthwise ? "depthwise" : "direct");
    struct gpu_volume *g = &s.u.volume;
    int left = 0;
    *g = (struct gpu_volume){.elem = p->low, .n = j->in->n, .c = j->in->c, .k = j->out->c, .groups = j->groups};
    g->x_pitch = j->in->pitch, g->y_pitch = j->out->pitch;
    g->transposed = j->transposed, g->depthwise = depthwise;
    for (int i = 0; i < 3; i++)
        g->axis[i] = (struct gpu_volume_axis){.in = (int)j->in->shape.dim[2 + i],
                                              .out = (int)j->out->shape.dim[2 + i],
                                              .size = (int)j->axis[i].kernel,
                                              .stride = (int)j->axis[i].stride,
                                              .before = (int)j->axis[i].before,
                                              .dilation = (int)j->axis[i].dilation};
    enum reel_err err = gpu_need_form(p, j->node->in[0], FORM_IMAGE, &s.x);
    if (!err) err = own_weights(p, j, depthwise, &s.w);
    if (!err) err = gpu_build_chain(p, j->node, j->out, false, j->bias, &g->chain, s.operand, &left);
    if (!err) err = gpu_make_form(p, j->node->out[0], FORM_IMAGE, &s.y);
    if (!err) err = gpu_put_step(p, &s, j->node);
    return err ? err : gpu_finish_epilogue(p, j->node, left);
}

// ---- the node --------------------------------------------------------------------------

// Whether cuDNN's engines are worth the copies. They support one group, and groups that lie side by side
// without gaps.
static bool for_planes(const struct lowered *p, const struct volume *j, const struct slab *q)
{
    if (j->groups == 1) return true;
    if (j->in->pitch != j->in->c || j->out->pitch != j->out->c) return false;
    const struct gpu_pattern g = pattern_of(p, j, q);
    return !gpu_pattern_wants_own_kernel(&g) && !gpu_pattern_check(&g);
}

enum reel_err gpu_lower_volume(struct lowered *p, const struct node *node, bool *out_done)
{
    struct volume j;
    if (!open_volume(p, node, &j)) return REEL_OK;
    const int64_t most = j.out->shape.dim[2];
    const int n = (int)(!j.transposed ? 1 : j.axis[0].stride < most ? j.axis[0].stride : most);
    struct slab *slab = gpu_lower_alloc(p, (size_t)n * sizeof *slab);
    bool planes = slab != NULL;
    for (int i = 0; slab && i < n; i++) {
        if (!open_slab(p, &j, i, &slab[i])) return gpu_no_memory(node);
        planes = planes && slab_fits(&j, &slab[i]) && for_planes(p, &j, &slab[i]);
    }
    if (!slab) return gpu_no_memory(node);
    *out_done = true;
    return planes ? emit_slabs(p, &j, slab, n) : emit_own(p, &j);
}

// SPDX-License-Identifier: MIT
//
// Conv over three axes (constant weights, one group) as a convolution of pictures: for
// each position along the first axis the planes that its window covers are joined as
// channels, planes beyond the ends zeros; then it is one of conv.c's patterns over all
// positions at once, with the kernel's planes as channels too.
#include <stdlib.h>
#include <string.h>

#include "worker/backend/cudnn/program.h"

#define MOST 65536 // a kernel, stride, dilation or padding

struct axis {
    int size, stride, dilation, before, after;
};

struct volume {
    const struct node *node;
    const struct info *in, *out;
    const float *w, *bias;
    struct axis d, h, v; // planes, rows, columns
    int n, c, k;         // images, channels of x and y
    int pitch;           // of the joined planes
    struct info flat;    // the result as pictures
};

// ONNX Conv (opset 22), attribute auto_pad.
static bool open_axis(const struct node *node, int i, int64_t in, int64_t out, int64_t size, struct axis *a)
{
    const char *mode = node_attr_string(node, "auto_pad", "NOTSET");
    const int64_t stride = gpu_attr_at(node, "strides", i, 1), dilation = gpu_attr_at(node, "dilations", i, 1);
    int64_t before = gpu_attr_at(node, "pads", i, 0), after = gpu_attr_at(node, "pads", 3 + i, 0);
    if (!strcmp(mode, "VALID")) before = after = 0;
    if (!strncmp(mode, "SAME", 4)) {
        int64_t total = (out - 1) * stride + (size - 1) * dilation + 1 - in;
        if (total < 0) total = 0;
        before = !strcmp(mode, "SAME_LOWER") ? total - total / 2 : total / 2;
        after = total - before;
    }
    *a = (struct axis){(int)size, (int)stride, (int)dilation, (int)before, (int)after};
    return size >= 1 && size <= MOST && stride >= 1 && stride <= MOST && dilation >= 1 && dilation <= MOST &&
           before >= 0 && before <= MOST && after >= 0 && after <= MOST && in > 0;
}

static bool open_volume(struct lowered *p, const struct node *node, struct volume *j)
{
    const struct value *w = node->n_in > 1 ? node->in[1] : NULL;
    if (!node_is(node, "Conv") || !w || !node->in[0] || node->n_out != 1 || !node->out[0]) return false;
    *j = (struct volume){.node = node, .in = info_of(p, node->in[0]), .out = info_of(p, node->out[0])};
    const int64_t *in = j->in->shape.dim, *out = j->out->shape.dim, *size = info_of(p, w)->shape.dim;
    if (j->in->shape.ndim != 5 || j->out->shape.ndim != 5 || j->in->dtype != REEL_F32) return false;
    if (!(j->w = gpu_const_floats(p, w)) || node_attr_int(node, "group", 1) != 1 || node->in[0]->constant) return false;
    if (node->n_in > 2 && node->in[2] && !(j->bias = gpu_const_floats(p, node->in[2]))) return false;
    struct axis *const axis[3] = {&j->d, &j->h, &j->v};
    for (int i = 0; i < 3; i++)
        if (!open_axis(node, i, in[2 + i], out[2 + i], size[2 + i], axis[i])) return false;
    const int64_t whole = 16 / (int64_t)gpu_elem_bytes(p->low), joined = size[2] * size[1], pictures = out[0] * out[2];
    const int64_t pitch = (joined + whole - 1) / whole * whole, k_pitch = (out[1] + whole - 1) / whole * whole;
    // what the copies' and the convolution's 32 bits hold
    if (size[1] != in[1] || joined > MOST || out[1] > MOST || in[3] > 1 << 24 || in[4] > 1 << 24) return false;
    if (pictures > INT32_MAX / (in[3] * in[4]) / pitch || pictures > INT32_MAX / (out[3] * out[4]) / k_pitch)
        return false;
    j->n = (int)in[0], j->c = (int)in[1], j->k = (int)out[1], j->pitch = (int)pitch;
    j->flat = (struct info){.v = node->out[0],
                            .dtype = REEL_F32,
                            .shape = {4, {pictures, out[1], out[3], out[4]}},
                            .count = j->out->count,
                            .image = true,
                            .n = (int)pictures,
                            .c = (int)out[1],
                            .h = (int)out[3],
                            .w = (int)out[4],
                            .pitch = (int)k_pitch};
    return true;
}

// Plane i of every window: channels from i * c on of the joined ones.
static enum reel_err join_planes(struct lowered *p, const struct volume *j, int i, const struct view *x, struct ref y)
{
    const int64_t *in = j->in->shape.dim, positions = j->out->shape.dim[2], plane = in[3] * in[4] * j->pitch;
    const int64_t extent[5] = {j->n, positions, in[3], in[4], j->c};
    const int64_t src[5] = {x->stride[0], x->stride[2], x->stride[3], x->stride[4], x->stride[1]};
    const int64_t dst[5] = {positions * plane, plane, in[4] * j->pitch, j->pitch, 1};
    int32_t *from = gpu_lower_alloc(p, (size_t)positions * sizeof *from);
    struct move m = MOVE_NONE;
    if (!from) return gpu_no_memory(j->node);
    for (int64_t o = 0; o < positions; o++) {
        const int64_t at = o * j->d.stride + (int64_t)i * j->d.dilation - j->d.before;
        from[o] = at >= 0 && at < in[2] ? (int32_t)at : -1;
    }
    m.n = 5;
    for (int d = 0; d < 5; d++) m.extent[d] = extent[d], m.src[d] = src[d], m.dst[d] = dst[d];
    m.table[1] = from;
    m.dst_base = (int64_t)i * j->c;
    if (i == j->d.size - 1) m.pad_dim = 4, m.pad_to = j->pitch - m.dst_base;
    return gpu_emit_move(p, j->node, "planes", &m, x->at, x->elem, y, p->low);
}

// (K,C,D,R,S) -> (K,R,S,D*C), with zeros up to whole vectors.
static enum reel_err make_weights(struct lowered *p, const struct volume *j, struct ref *out_ref)
{
    const int64_t taps = (int64_t)j->h.size * j->v.size, n = j->flat.pitch * taps * j->pitch;
    float *m = calloc((size_t)n, sizeof *m);
    if (!m) return gpu_no_memory(j->node);
    const float *w = j->w;
    for (int64_t k = 0; k < j->k; k++)
        for (int64_t c = 0; c < j->c; c++)
            for (int64_t d = 0; d < j->d.size; d++)
                for (int64_t t = 0; t < taps; t++) m[(k * taps + t) * j->pitch + d * j->c + c] = *w++;
    enum reel_err err = gpu_make_constant_floats(p, m, n, n, p->low, out_ref);
    free(m);
    return err;
}

static struct gpu_pattern pattern_of(const struct lowered *p, const struct volume *j)
{
    const int64_t *in = j->in->shape.dim;
    struct gpu_pattern g =
        gpu_pattern_make(GPU_CONV, j->pitch, (int)in[3], (int)in[4], j->flat.pitch, j->h.size, j->v.size);
    g.n = j->flat.n;
    g.pad_top = j->h.before, g.pad_bottom = j->h.after;
    g.pad_left = j->v.before, g.pad_right = j->v.after;
    g.stride_h = j->h.stride, g.stride_w = j->v.stride;
    g.dilation_h = j->h.dilation, g.dilation_w = j->v.dilation;
    g.x_type = g.w_type = g.y_type = p->low == GPU_ELEM_F32 ? GPU_F32 : p->low == GPU_ELEM_F16 ? GPU_F16 : GPU_BF16;
    g.allow_tf32 = p->allow_tf32;
    return g;
}

static struct gpu_conv conv_of(const struct lowered *p, const struct volume *j)
{
    return (struct gpu_conv){.elem = p->low,
                             .n = j->flat.n,
                             .c = j->pitch,
                             .h = (int)j->in->shape.dim[3],
                             .w = (int)j->in->shape.dim[4],
                             .k = j->flat.pitch,
                             .p = j->flat.h,
                             .q = j->flat.w,
                             .r = j->h.size,
                             .s = j->v.size,
                             .stride_h = j->h.stride,
                             .stride_w = j->v.stride,
                             .pad_top = j->h.before,
                             .pad_left = j->v.before,
                             .dilation_h = j->h.dilation,
                             .dilation_w = j->v.dilation,
                             .groups = 1,
                             .x_pitch = j->pitch,
                             .y_pitch = j->flat.pitch,
                             .y_lanes = j->flat.pitch,
                             .c_used = j->d.size * j->c,
                             .sm = p->sm};
}

// The pictures' channels back into volumes, row by row.
static enum reel_err give(struct lowered *p, const struct volume *j, struct ref y)
{
    const int64_t *out = j->out->shape.dim, plane = out[3] * out[4], image = plane * j->flat.pitch;
    const int64_t extent[5] = {out[0], out[1], out[2], out[3], out[4]};
    const int64_t src[5] = {out[2] * image, 1, image, out[4] * j->flat.pitch, j->flat.pitch};
    struct move m = MOVE_NONE;
    struct view to;
    enum reel_err err = gpu_make_view(p, j->node->out[0], FORM_LOW, &to);
    m.n = 5;
    for (int d = 0; d < 5; d++) m.extent[d] = extent[d], m.src[d] = src[d], m.dst[d] = to.stride[d];
    return err ? err : gpu_emit_move(p, j->node, "volumes", &m, y, p->low, to.at, to.elem);
}

static enum reel_err emit(struct lowered *p, const struct volume *j)
{
    struct view x;
    struct step s = gpu_step_of(STEP_CONV, "direct");
    struct node bare = *j->node; // of its epilogue what goes over every number by itself
    int left = 0;
    const size_t x_bytes = (size_t)j->flat.n * (size_t)(j->in->shape.dim[3] * j->in->shape.dim[4] * j->pitch);
    const size_t y_bytes = (size_t)j->flat.n * (size_t)j->flat.h * (size_t)j->flat.w * (size_t)j->flat.pitch;
    bare.n_epilogue = 0;
    while (bare.n_epilogue < j->node->n_epilogue && !j->node->epilogue[bare.n_epilogue].other) bare.n_epilogue++;
    enum reel_err err = gpu_need_view(p, j->node->in[0], &x);
    if (!err) err = gpu_make_temporary(p, x_bytes * gpu_elem_bytes(p->low), &s.x);
    for (int i = 0; i < j->d.size && !err; i++) err = join_planes(p, j, i, &x, s.x);
    if (!err) err = make_weights(p, j, &s.w);
    s.u.conv = conv_of(p, j);
    if (!err) err = gpu_build_chain(p, &bare, &j->flat, false, j->bias, &s.u.conv.chain, s.operand, &left);
    s.pattern = pattern_of(p, j);
    if (!gpu_pattern_wants_own_kernel(&s.pattern) && gpu_pattern_chain(&s.pattern, &s.u.conv.chain) &&
        !gpu_pattern_check(&s.pattern))
        s.kind = STEP_PLAN, s.label = "plan";
    if (!err) err = gpu_make_temporary(p, y_bytes * gpu_elem_bytes(p->low), &s.y);
    if (!err) err = gpu_put_step(p, &s, j->node);
    if (!err) err = give(p, j, s.y);
    return err ? err : gpu_finish_epilogue(p, j->node, left);
}

enum reel_err gpu_lower_conv3(struct lowered *p, const struct node *node, bool *out_done)
{
    struct volume j;
    if (!open_volume(p, node, &j)) return REEL_OK;
    *out_done = true;
    return emit(p, &j);
}

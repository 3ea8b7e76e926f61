// SPDX-License-Identifier: MIT
//
// Networks whose numbers become bytes by steps that the data decide: MatMulInteger and
// ConvInteger (kernels/gpu/bytes.h), and DynamicQuantizeLinear in front of them.
#include <float.h>
#include <math.h>
#include <string.h>

#include "worker/backend/cudnn/lower/reduce.h"

#define MOST (INT32_MAX / 4)

static bool is_byte(const struct info *i)
{
    return i->dtype == REEL_U8 || i->dtype == REEL_I8;
}

static const struct value *in_of(const struct node *node, int i)
{
    return i < node->n_in ? node->in[i] : NULL;
}

// How many bytes a zero point has: 1, or `each`; -1: something else.
static int zeros_of(const struct lowered *p, const struct value *v, enum reel_dtype dtype, int64_t each)
{
    if (!v) return 0;
    const struct info *i = info_of(p, v);
    return i->dtype != dtype || (i->count != 1 && i->count != each) ? -1 : (int)i->count;
}

// Copies an operand's matrices so that there is one for each of the result's, if it has only some of the
// extents.
static enum reel_err repeat_bytes(struct lowered *p, const struct node *node, const struct info *i,
                                  const struct reel_shape *lead, struct ref *at)
{
    struct move m = MOVE_NONE;
    struct ref to;
    const int less = lead->ndim - (i->shape.ndim - 2);
    const int64_t size = i->shape.dim[i->shape.ndim - 2] * i->shape.dim[i->shape.ndim - 1];
    int64_t src = size, dst = size;
    m.n = lead->ndim + 1;
    m.extent[lead->ndim] = size, m.src[lead->ndim] = m.dst[lead->ndim] = 1;
    for (int d = lead->ndim - 1; d >= 0; d--) {
        const int64_t own = d < less ? 1 : i->shape.dim[d - less];
        m.extent[d] = lead->dim[d], m.src[d] = own == 1 ? 0 : src, m.dst[d] = dst;
        src *= own, dst *= lead->dim[d];
    }
    const enum gpu_elem elem = gpu_form_elem(p, i, FORM_PLAIN);
    enum reel_err err = gpu_make_temporary(p, (size_t)dst, &to);
    if (!err) err = gpu_emit_move(p, node, "repeat", &m, *at, elem, to, elem);
    *at = to;
    return err;
}

// repeated: for x and w, over what their matrices are repeated; NULL: they are not.
static enum reel_err emit(struct lowered *p, const struct node *node, const struct gpu_bytes *g,
                          const struct value *const in[4], const struct reel_shape *const repeated[2])
{
    struct step s = gpu_step_of(STEP_BYTES, g->windows ? "windows of bytes" : "bytes");
    struct ref *at[4] = {&s.x, &s.w, &s.extra[0], &s.extra[1]}; // and their zero points
    enum reel_err err = REEL_OK;
    s.u.bytes = *g;
    for (int i = 0; i < 4 && !err; i++) {
        if (in[i]) err = gpu_need_form(p, in[i], FORM_PLAIN, at[i]);
        if (!err && i < 2 && repeated[i]) err = repeat_bytes(p, node, info_of(p, in[i]), repeated[i], at[i]);
    }
    if (!err) err = gpu_make_form(p, node->out[0], FORM_PLAIN, &s.y);
    return err ? err : gpu_put_step(p, &s, node);
}

// ---- MatMulInteger ---------------------------------------------------------------------

// The extents in front of both operands' matrices. If they differ, one of them is 1.
static bool common_lead(const struct reel_shape *a, const struct reel_shape *b, struct reel_shape *out)
{
    const struct reel_shape *const of[2] = {a, b};
    *out = (struct reel_shape){.ndim = (a->ndim > b->ndim ? a->ndim : b->ndim) - 2};
    for (int d = 0; d < out->ndim; d++) {
        int64_t extent = 1;
        for (int i = 0; i < 2; i++) {
            const int at = d - (out->ndim - (of[i]->ndim - 2));
            const int64_t n = at < 0 ? 1 : of[i]->dim[at];
            if (n != 1 && extent != 1 && n != extent) return false;
            if (n != 1) extent = n;
        }
        out->dim[d] = extent;
    }
    return true;
}

static int64_t lead_count(const struct reel_shape *s, int dims)
{
    int64_t n = 1;
    for (int d = 0; d < dims; d++) n *= s->dim[d];
    return n;
}

static enum reel_err lower_matmul(struct lowered *p, const struct node *node, bool *out_done)
{
    const struct info *x = info_of(p, node->in[0]), *w = info_of(p, node->in[1]);
    const struct reel_shape *a = &x->shape, *b = &w->shape;
    struct reel_shape lead;
    if (a->ndim < 2 || b->ndim < 2 || !common_lead(a, b, &lead)) return REEL_OK;
    int64_t m = a->dim[a->ndim - 2], x_lead = lead_count(a, a->ndim - 2), batches = lead_count(&lead, lead.ndim);
    const int64_t c = a->dim[a->ndim - 1], k = b->dim[b->ndim - 1], w_lead = lead_count(b, b->ndim - 2);
    const int64_t rows = x_lead * m;
    if (w_lead == 1) m = rows, x_lead = batches = 1; // they are the rows of one matrix
    const bool x_copied = x_lead != 1 && x_lead != batches, w_copied = w_lead != 1 && w_lead != batches;
    if (m > MOST || c > MOST || k > MOST || batches > MOST || b->dim[b->ndim - 2] != c || rows > MOST) return REEL_OK;
    if (m < 1 || c < 1 || k < 1 || batches > MOST / m / c || batches > MOST / c / k) return REEL_OK;
    struct gpu_bytes g = {.x_signed = x->dtype == REEL_I8, .w_signed = w->dtype == REEL_I8};
    g.batches = (int)batches;
    g.x_count = x_copied ? g.batches : (int)x_lead, g.w_count = w_copied ? g.batches : (int)w_lead;
    g.m = (int)m, g.c = (int)c, g.k = (int)k;
    g.x_zeros = zeros_of(p, in_of(node, 2), x->dtype, rows);
    g.w_zeros = zeros_of(p, in_of(node, 3), w->dtype, k);
    if (g.x_zeros < 0 || g.w_zeros < 0 || (x_copied && g.x_zeros > 1)) return REEL_OK;
    *out_done = true;
    return emit(p, node, &g, (const struct value *[]){node->in[0], node->in[1], in_of(node, 2), in_of(node, 3)},
                (const struct reel_shape *[]){x_copied ? &lead : NULL, w_copied ? &lead : NULL});
}

// ---- ConvInteger -----------------------------------------------------------------------

struct axis {
    int64_t size, stride, dilation, before;
};

// ONNX Conv (opset 22), attribute auto_pad.
static bool open_axis(const struct node *node, int i, int64_t in, int64_t out, int64_t size, struct axis *a)
{
    const char *mode = node_attr_string(node, "auto_pad", "NOTSET");
    *a = (struct axis){size, gpu_attr_at(node, "strides", i, 1), gpu_attr_at(node, "dilations", i, 1),
                       gpu_attr_at(node, "pads", i, 0)};
    if (!strcmp(mode, "VALID")) a->before = 0;
    if (!strncmp(mode, "SAME", 4)) {
        int64_t total = (out - 1) * a->stride + (size - 1) * a->dilation + 1 - in;
        if (total < 0) total = 0;
        a->before = !strcmp(mode, "SAME_LOWER") ? total - total / 2 : total / 2;
    }
    return in > 0 && in <= 1 << 24 && size >= 1 && size <= 65536 && a->stride >= 1 && a->stride <= 65536 &&
           a->dilation >= 1 && a->dilation <= 65536 && a->before >= 0 && a->before <= 65536;
}

static enum reel_err lower_conv(struct lowered *p, const struct node *node, bool *out_done)
{
    const struct info *x = info_of(p, node->in[0]), *w = info_of(p, node->in[1]), *y = info_of(p, node->out[0]);
    const int64_t *in = x->shape.dim, *to = y->shape.dim, *size = w->shape.dim,
                  groups = node_attr_int(node, "group", 1);
    const int axes = x->shape.ndim - 2;
    if (axes < 1 || axes > 2 || w->shape.ndim != axes + 2 || y->shape.ndim != axes + 2) return REEL_OK;
    if (groups < 1 || in[1] % groups || size[0] % groups || size[1] != in[1] / groups) return REEL_OK;
    struct axis rows = {1, 1, 1, 0}, columns;
    const bool line = axes == 1;
    if (!line && !open_axis(node, 0, in[2], to[2], size[2], &rows)) return REEL_OK;
    if (!open_axis(node, axes - 1, in[1 + axes], to[1 + axes], size[1 + axes], &columns)) return REEL_OK;
    const int64_t h = line ? 1 : in[2], v = in[1 + axes], q = to[1 + axes], pixels = (line ? 1 : to[2]) * q;
    const int64_t c = size[1] * rows.size * columns.size;
    if (c > MOST || size[0] > MOST || pixels > MOST || in[0] * groups > MOST) return REEL_OK;
    struct gpu_bytes g = {.x_signed = w->dtype == REEL_I8, .w_signed = x->dtype == REEL_I8, .windows = true};
    g.batches = g.w_count = (int)(in[0] * groups), g.x_count = (int)groups;
    g.m = (int)(size[0] / groups), g.c = (int)c, g.k = (int)pixels;
    g.x_zeros = zeros_of(p, in_of(node, 3), w->dtype, size[0]);
    g.w_zeros = zeros_of(p, in_of(node, 2), x->dtype, 1);
    g.at = (struct gpu_byte_windows){.h = (int)h, .w = (int)v, .p = line ? 1 : (int)to[2], .q = (int)q};
    g.at.r = (int)rows.size, g.at.s = (int)columns.size;
    g.at.stride_h = (int)rows.stride, g.at.stride_w = (int)columns.stride;
    g.at.dilation_h = (int)rows.dilation, g.at.dilation_w = (int)columns.dilation;
    g.at.pad_top = (int)rows.before, g.at.pad_left = (int)columns.before;
    if (g.x_zeros < 0 || g.w_zeros < 0) return REEL_OK;
    *out_done = true;
    return emit(p, node, &g, (const struct value *[]){node->in[1], node->in[0], in_of(node, 3), in_of(node, 2)},
                (const struct reel_shape *[]){NULL, NULL});
}

// ---- DynamicQuantizeLinear -------------------------------------------------------------

// An output, or memory for a result that nobody reads.
static enum reel_err need_out(struct lowered *p, const struct node *node, int i, size_t bytes, struct ref *out_ref)
{
    return i < node->n_out && node->out[i] ? gpu_make_form(p, node->out[i], FORM_PLAIN, out_ref)
                                           : gpu_make_temporary(p, bytes, out_ref);
}

static enum reel_err extreme(struct lowered *p, const struct node *node, enum gpu_reduction kind, struct ref x,
                             enum gpu_elem elem, struct ref *out_ref)
{
    const struct gpu_reduce r = {.kind = kind,
                                 .src_elem = elem,
                                 .dst_elem = GPU_ELEM_F32,
                                 .outer = 1,
                                 .reduce = info_of(p, node->in[0])->count,
                                 .inner = 1,
                                 .src_reduce = 1,
                                 .dst_outer = 1,
                                 .dst_inner = 1,
                                 .scale = 1};
    enum reel_err err = gpu_make_temporary(p, sizeof(float), out_ref);
    return err ? err : gpu_emit_reduce(p, node, kind == GPU_REDUCE_MIN ? "least" : "largest", r, x, REF_NONE, *out_ref);
}

// saturate(round(x / scale) + zero)
static enum reel_err to_bytes(struct lowered *p, const struct node *node, struct ref x, enum gpu_elem elem,
                              struct ref scale, struct ref zero, struct ref y)
{
    struct step s = gpu_step_of(STEP_ELEMENTWISE, "quantize");
    struct gpu_elementwise *g = &s.u.elementwise;
    *g = (struct gpu_elementwise){.x_elem = elem, .y_elem = GPU_ELEM_U8, .n_dims = 1};
    g->extent[0] = g->last = (int32_t)info_of(p, node->in[0])->count;
    g->x_stride[0] = g->y_stride[0] = 1;
    g->chain.n = 4, g->chain.n_operands = 2;
    g->chain.operand[0].elem = GPU_ELEM_F32, g->chain.operand[1].elem = GPU_ELEM_U8;
    g->chain.step[0] = (struct gpu_chain_step){.op = GPU_OP_DIV, .operand = 0};
    g->chain.step[1] = (struct gpu_chain_step){.op = GPU_OP_ROUND, .operand = -1};
    g->chain.step[2] = (struct gpu_chain_step){.op = GPU_OP_ADD, .operand = 1};
    g->chain.step[3] = (struct gpu_chain_step){GPU_OP_CLIP, -1, 0, 255};
    s.x = x, s.y = y, s.operand[0] = scale, s.operand[1] = zero;
    return gpu_put_step(p, &s, node);
}

static enum reel_err lower_dynamic(struct lowered *p, const struct node *node, bool *out_done)
{
    const struct info *in = info_of(p, node->in[0]);
    if (in->dtype != REEL_F32 || in->count < 1 || in->count > INT32_MAX) return REEL_OK;
    struct step s = gpu_step_of(STEP_BYTE_SCALE, "scale of bytes");
    enum form_kind kind;
    struct ref x, y;
    enum reel_err err = gpu_need_rows(p, node->in[0], &kind, &x);
    const enum gpu_elem elem = gpu_form_elem(p, in, kind);
    *out_done = true;
    if (!err) err = extreme(p, node, GPU_REDUCE_MIN, x, elem, &s.x);
    if (!err) err = extreme(p, node, GPU_REDUCE_MAX, x, elem, &s.w);
    if (!err) err = need_out(p, node, 1, sizeof(float), &s.y);
    if (!err) err = need_out(p, node, 2, 1, &s.extra[0]);
    if (!err) err = gpu_put_step(p, &s, node);
    if (err || !node->out[0]) return err;
    err = gpu_make_form(p, node->out[0], FORM_PLAIN, &y);
    return err ? err : to_bytes(p, node, x, elem, s.y, s.extra[0], y);
}

enum reel_err gpu_lower_bytes(struct lowered *p, const struct node *node, bool *out_done)
{
    if (node->n_in < 1 || !node->in[0] || node->n_epilogue || *node->domain || node->n_out < 1) return REEL_OK;
    if (node_is(node, "DynamicQuantizeLinear"))
        return gpu_only_on_host(p, node->in[0]) || node->in[0]->constant ? REEL_OK : lower_dynamic(p, node, out_done);
    const bool matmul = node_is(node, "MatMulInteger");
    if ((!matmul && !node_is(node, "ConvInteger")) || node->n_in < 2 || !node->in[1] || !node->out[0]) return REEL_OK;
    if (!is_byte(info_of(p, node->in[0])) || !is_byte(info_of(p, node->in[1]))) return REEL_OK;
    if (gpu_only_on_host(p, node->in[node->in[0]->constant ? 1 : 0])) return REEL_OK;
    return (matmul ? lower_matmul : lower_conv)(p, node, out_done);
}

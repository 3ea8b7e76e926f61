// SPDX-License-Identifier: MIT
//
// Receptive fields by interval arithmetic. See field.h. Along one axis element i of a value depends
// on input pixels i * stride + lo .. i * stride + hi. Each known operator maps these three numbers;
// others make the value unbounded.
#include "worker/graph/field.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "worker/graph/one_of.h"
#include "worker/onnx/op.h"

enum state {
    CONSTANT,  // does not depend on the picture
    PICTURE,   // the interval holds
    UNBOUNDED, // depends on the picture in an unknown way
};

struct span {
    double stride, lo, hi;
};

struct field {
    enum state state;
    int axis[2]; // which axes are H and W
    struct span span[2];
};

static bool is(const struct node *node, const char *op_type)
{
    return !*node->domain && !strcmp(node->op_type, op_type);
}

static bool is_one_of(const struct node *node, const char *const *op_types)
{
    return !*node->domain && node_is_one_of(node, op_types);
}

static const struct field unbounded = {.state = UNBOUNDED};

// ---- windows ----------------------------------------------------------------

struct window {
    double kernel, step, dilation, pad;
};

// Window parameters along spatial axis d (0 H, 1 W). False if the operator is not 2-D.
static bool window_of(const struct node *node, int d, struct window *out)
{
    const int64_t *kernel, *strides, *dilations, *pads;
    int n = node_attr_ints(node, "kernel_shape", &kernel);
    const struct value *w = node->n_in > 1 ? node->in[1] : NULL;
    if (n == 2)
        out->kernel = (double)kernel[d];
    else if (n == 0 && w && w->shape.ndim == 4)
        out->kernel = (double)w->shape.dim[2 + d];
    else
        return false;
    out->step = node_attr_ints(node, "strides", &strides) == 2 ? (double)strides[d] : 1;
    out->dilation = node_attr_ints(node, "dilations", &dilations) == 2 ? (double)dilations[d] : 1;
    out->pad = node_attr_ints(node, "pads", &pads) == 4 ? (double)pads[d] : 0;
    const char *auto_pad = node_attr_string(node, "auto_pad", "NOTSET");
    // The padding of SAME depends on the sizes: half the window on both sides, and one element for
    // the rounding, covers all cases.
    if (!strncmp(auto_pad, "SAME", 4)) out->pad = floor((out->kernel - 1) * out->dilation / 2), out->kernel += 1;
    return out->step > 0;
}

static struct field through_window(const struct node *node, struct field f)
{
    bool transposed = is(node, "ConvTranspose");
    for (int d = 0; d < 2; d++) {
        struct window w;
        if (f.axis[d] != 2 + d || !window_of(node, d, &w)) return unbounded;
        struct span *s = &f.span[d];
        double reach = (w.kernel - 1) * w.dilation;
        if (transposed) {
            s->lo += s->stride * (w.pad - reach) / w.step;
            s->hi += s->stride * w.pad / w.step;
            s->stride /= w.step;
        } else {
            s->lo -= s->stride * w.pad;
            s->hi += s->stride * (reach - w.pad);
            s->stride *= w.step;
        }
    }
    return f;
}

// ---- scaling and moving -----------------------------------------------------

static struct field through_resize(const struct node *node, struct field f)
{
    const struct reel_shape *in = &node->in[0]->shape, *out = &node->out[0]->shape;
    const char *mode = node_attr_string(node, "mode", "nearest");
    const char *place = node_attr_string(node, "coordinate_transformation_mode", "half_pixel");
    bool of_whole = !strcmp(place, "align_corners") || !strcmp(place, "tf_crop_and_resize");
    double support = !strcmp(mode, "cubic") ? 2 : !strcmp(mode, "linear") ? 1 : 0;
    for (int d = 0; d < 2; d++) {
        int axis = f.axis[d];
        if (in->dim[axis] <= 0 || out->dim[axis] <= 0) return unbounded;
        if (in->dim[axis] == out->dim[axis]) continue;
        // One element is spread over the picture, or positions depend on its size.
        if (in->dim[axis] == 1 || of_whole) return unbounded;
        double up = (double)out->dim[axis] / (double)in->dim[axis];
        struct span *s = &f.span[d];
        // In all coordinate modes source positions differ from i / up by less than one element.
        double reach = node_attr_int(node, "antialias", 0) && up < 1 ? support / up : support;
        s->lo -= s->stride * (reach + 1);
        s->hi += s->stride * (reach + 1);
        s->stride /= up;
    }
    return f;
}

static struct field through_blocks(const struct node *node, struct field f)
{
    double b = (double)node_attr_int(node, "blocksize", 1);
    if (b < 1 || f.axis[0] != 2 || f.axis[1] != 3) return unbounded;
    for (int d = 0; d < 2; d++) {
        struct span *s = &f.span[d];
        if (is(node, "DepthToSpace")) {
            s->lo -= s->stride * (b - 1) / b;
            s->stride /= b;
        } else {
            s->hi += s->stride * (b - 1);
            s->stride *= b;
        }
    }
    return f;
}

static bool const_ints(const struct node *node, int input, const char *attr, int64_t *out, int *out_n)
{
    const int64_t *ints;
    *out_n = node_attr_ints(node, attr, &ints);
    if (*out_n > 2 * REEL_MAX_DIMS) return false;
    if (*out_n) {
        memcpy(out, ints, (size_t)*out_n * sizeof *ints);
        return true;
    }
    const struct reel_tensor *t = input < node->n_in && node->in[input] ? node->in[input]->constant : NULL;
    if (!t || reel_tensor_count(t) > 2 * REEL_MAX_DIMS) return false;
    *out_n = (int)reel_tensor_count(t);
    for (int i = 0; i < *out_n; i++) out[i] = op_scalar_int(t, i);
    return true;
}

static struct field through_pad(const struct node *node, struct field f)
{
    int64_t pads[2 * REEL_MAX_DIMS];
    int n, ndim = node->in[0]->shape.ndim;
    if (!const_ints(node, 1, "pads", pads, &n) || n != 2 * ndim || (node->n_in > 3 && node->in[3])) return unbounded;
    // Padding is added at the edges of the picture. In a tile it is wrong, but that affects only
    // elements whose window reaches it.
    const char *mode = node_attr_string(node, "mode", "constant");
    const bool near = !strcmp(mode, "constant") || !strcmp(mode, "edge");
    for (int d = 0; d < 2; d++) {
        struct span *s = &f.span[d];
        double before = (double)pads[f.axis[d]], after = (double)pads[ndim + f.axis[d]];
        s->lo -= s->stride * before;
        s->hi -= s->stride * before;
        if (near) continue;
        s->hi += s->stride * 2 * fmax(before, 0); // reflected pixels lie on the other side of the edge
        s->lo -= s->stride * 2 * fmax(after, 0);
    }
    return f;
}

static struct field through_slice(const struct node *node, struct field f)
{
    int64_t starts[2 * REEL_MAX_DIMS], axes[2 * REEL_MAX_DIMS], steps[2 * REEL_MAX_DIMS];
    int n, n_axes, n_steps, ndim = node->in[0]->shape.ndim;
    if (!const_ints(node, 1, "starts", starts, &n)) return unbounded;
    if (!const_ints(node, 3, "axes", axes, &n_axes)) n_axes = 0;
    if (!const_ints(node, 4, "steps", steps, &n_steps)) n_steps = 0;
    for (int i = 0; i < n; i++) {
        int axis;
        if (op_axis(i < n_axes ? axes[i] : i, ndim, &axis)) return unbounded;
        double step = i < n_steps ? (double)steps[i] : 1, start = (double)starts[i];
        for (int d = 0; d < 2; d++) {
            if (axis != f.axis[d]) continue;
            if (step < 1) return unbounded;
            if (start < 0) start += (double)node->in[0]->shape.dim[axis];
            f.span[d].lo += f.span[d].stride * start;
            f.span[d].hi += f.span[d].stride * start;
            f.span[d].stride *= step;
        }
    }
    return f;
}

static struct field through_transpose(const struct node *node, struct field f)
{
    const int64_t *perm;
    int n = node_attr_ints(node, "perm", &perm), axis[2] = {-1, -1};
    for (int i = 0; i < n; i++)
        for (int d = 0; d < 2; d++)
            if (perm[i] == f.axis[d]) axis[d] = i;
    if (axis[0] < 0 || axis[1] < 0) return unbounded;
    memcpy(f.axis, axis, sizeof axis);
    return f;
}

// A view (Reshape etc.) is followed if H and W stay the last two axes.
static struct field through_view(const struct node *node, struct field f)
{
    const struct reel_shape *in = &node->in[0]->shape, *out = &node->out[0]->shape;
    if (in->ndim < 2 || out->ndim < 2 || f.axis[0] != in->ndim - 2 || f.axis[1] != in->ndim - 1) return unbounded;
    for (int d = 1; d <= 2; d++)
        if (in->dim[in->ndim - d] != out->dim[out->ndim - d]) return unbounded;
    f.axis[0] = out->ndim - 2;
    f.axis[1] = out->ndim - 1;
    return f;
}

// ---- nodes ------------------------------------------------------------------

// Combines broadcast operands, whose axes are counted from the end.
static struct field merge(const struct node *node, const struct field *fields)
{
    struct field all = {.state = CONSTANT};
    int ndim = node->out[0]->shape.ndim;
    for (int i = 0; i < node->n_in; i++) {
        if (!node->in[i]) continue;
        struct field f = fields[i];
        if (f.state == CONSTANT) continue;
        if (f.state == UNBOUNDED) return unbounded;
        for (int d = 0; d < 2; d++) f.axis[d] += ndim - node->in[i]->shape.ndim;
        if (all.state == CONSTANT) {
            all = f;
            continue;
        }
        for (int d = 0; d < 2; d++) {
            struct span *s = &all.span[d];
            if (all.axis[d] != f.axis[d] || fabs(s->stride - f.span[d].stride) > 1e-9 * s->stride) return unbounded;
            s->lo = fmin(s->lo, f.span[d].lo);
            s->hi = fmax(s->hi, f.span[d].hi);
        }
    }
    return all;
}

// Operators that mix elements along one axis only.
static struct field through_axis(const struct node *node, struct field f, int64_t absent)
{
    int axis;
    if (op_axis(node_attr_int(node, "axis", absent), node->in[0]->shape.ndim, &axis)) return unbounded;
    return axis == f.axis[0] || axis == f.axis[1] ? unbounded : f;
}

static struct field through_node(const struct node *node, const struct field *fields)
{
    static const char *const windows[] = {"Conv",   "ConvTranspose", "MaxPool", "AveragePool",
                                          "LpPool", "QLinearConv",   NULL};
    static const char *const pointwise[] = {"BatchNormalization",
                                            "PRelu",
                                            "Clip",
                                            "Cast",
                                            "QuantizeLinear",
                                            "DequantizeLinear",
                                            "LRN",
                                            "ImageScaler",
                                            "Affine",
                                            "Dropout",
                                            "Identity",
                                            "Concat",
                                            "Sum",
                                            "Mean",
                                            "Max",
                                            "Min",
                                            "Where",
                                            "Expand",
                                            NULL};
    bool any = false;
    for (int i = 0; i < node->n_in; i++) any |= node->in[i] && fields[i].state != CONSTANT;
    if (!any || is(node, "Shape") || is(node, "Size")) return (struct field){.state = CONSTANT};
    struct field first = fields[0];
    if (first.state != PICTURE && !(node->op->flags & OP_ELEMENTWISE)) return unbounded;
    if (is(node, "Concat") && through_axis(node, first, 1).state == UNBOUNDED) return unbounded;
    if (node->op->flags & OP_ELEMENTWISE || is_one_of(node, pointwise)) return merge(node, fields);
    for (int i = 1; i < node->n_in; i++)
        if (node->in[i] && fields[i].state != CONSTANT) return unbounded;
    if (is_one_of(node, windows)) return through_window(node, first);
    if (is(node, "Resize") || is(node, "Upsample")) return through_resize(node, first);
    if (is(node, "DepthToSpace") || is(node, "SpaceToDepth")) return through_blocks(node, first);
    if (is(node, "Pad")) return through_pad(node, first);
    if (is(node, "Slice")) return through_slice(node, first);
    if (is(node, "Transpose")) return through_transpose(node, first);
    if (is(node, "Softmax") || is(node, "LogSoftmax")) return through_axis(node, first, node->opset < 13 ? 1 : -1);
    if (is(node, "Split") || is(node, "ArgMax") || is(node, "Gather")) {
        bool keeps = !is(node, "ArgMax") || node_attr_int(node, "keepdims", 1);
        return keeps && node->out[0]->shape.ndim == node->in[0]->shape.ndim ? through_axis(node, first, 0) : unbounded;
    }
    if (is(node, "MatMul") && first.axis[1] < node->in[0]->shape.ndim - 1) return first; // channels last
    if (node->op->flags & OP_VIEW) return through_view(node, first);
    return unbounded;
}

static struct field of_input(const struct value *v)
{
    if (v->shape.ndim != 4) return (struct field){.state = v->shape.ndim > 1 ? UNBOUNDED : CONSTANT};
    int64_t c1 = v->shape.dim[1], c3 = v->shape.dim[3];
    bool last = (c3 == 1 || c3 == 3 || c3 == 4) && !(c1 == 1 || c1 == 3 || c1 == 4);
    struct field f = {.state = PICTURE, .axis = {last ? 1 : 2, last ? 2 : 3}};
    f.span[0].stride = f.span[1].stride = 1;
    return f;
}

#define MOST_STEP 4096 // a larger step between cuts would be useless

static int common_multiple(int a, int b)
{
    int x = a, y = b;
    while (y) {
        int rest = x % y;
        x = y, y = rest;
    }
    return a / x > MOST_STEP / b ? MOST_STEP : a / x * b;
}

// The smallest shift of the picture, in pixels, that moves a value by whole elements.
static int step_of(double stride)
{
    for (int k = 1; k < MOST_STEP; k++) {
        double elements = k / stride;
        if (elements > 0.5 && fabs(elements - rint(elements)) < 1e-6) return k;
    }
    return MOST_STEP;
}

// Dense 3 x 3 convolutions with step 1 are computed in blocks, so the bits of an element depend on
// its block's whole input: adds the width of a block.
static void widen_by_block(const struct node *node, const struct field *in, int block, struct field *f, int *step)
{
    bool transposed = is(node, "ConvTranspose");
    struct window w[2];
    if (f->state != PICTURE || (!transposed && !is(node, "Conv")) || node_attr_int(node, "group", 1) > 1) return;
    if (!window_of(node, 0, &w[0]) || !window_of(node, 1, &w[1])) return;
    for (int d = 0; d < 2; d++)
        if (!transposed && (w[d].kernel != 3 || w[d].step != 1)) return;
    for (int d = 0; d < 2; d++) {
        double more = in->span[d].stride * (block - 1) * w[d].dilation;
        f->span[d].lo -= more;
        f->span[d].hi += more;
        *step = common_multiple(*step, step_of(in->span[d].stride * block * w[d].dilation));
    }
}

// block: the block size of convolutions; 1: ignore blocks, which affect only rounding.
static bool follow(const struct graph *graph, int block, struct field *fields, int *step)
{
    int wide = 1;
    for (const struct node *node = graph->first; node; node = node->next)
        if (node->n_in > wide) wide = node->n_in;
    struct field *args = calloc((size_t)wide, sizeof *args);
    if (!args) return false;
    for (int i = 0; i < graph->n_inputs; i++) fields[graph->inputs[i]->id] = of_input(graph->inputs[i]);
    for (const struct node *node = graph->first; node; node = node->next) {
        bool control = node->op->flags & OP_CONTROL;
        for (int i = 0; i < node->n_in; i++)
            args[i] = node->in[i] ? fields[node->in[i]->id] : (struct field){.state = CONSTANT};
        struct field f = control || node->n_out < 1 || !node->out[0] ? unbounded : through_node(node, args);
        for (int d = 0; d < 2 && f.state == PICTURE; d++) *step = common_multiple(*step, step_of(f.span[d].stride));
        if (block > 1) widen_by_block(node, args, block, &f, step);
        for (int i = 0; i < node->n_out; i++)
            if (node->out[i]) fields[node->out[i]->id] = f;
    }
    free(args);
    return true;
}

struct field_reach field_reach_of(const struct graph *graph, int block)
{
    struct field_reach reach = {.h = -1, .w = -1, .step = 1};
    struct field *fields = calloc((size_t)graph->n_values + 1, sizeof *fields);
    if (fields && graph->n_outputs && graph->n_inputs && follow(graph, block, fields, &reach.step)) {
        const struct field *f = &fields[graph->outputs[0]->id];
        if (f->state == PICTURE && reach.step < MOST_STEP) {
            reach.h = (int)ceil(fmax(fmax(-f->span[0].lo, f->span[0].hi), 0) - 1e-9);
            reach.w = (int)ceil(fmax(fmax(-f->span[1].lo, f->span[1].hi), 0) - 1e-9);
        }
    }
    free(fields);
    return reach;
}

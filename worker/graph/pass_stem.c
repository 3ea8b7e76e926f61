// SPDX-License-Identifier: MIT
//
// The first layer of many detectors ("focus", or SpaceToDepth) splits a picture into phases (for
// example every second pixel of every second row, four times), joins these as channels and convolves
// them. With b phases per axis, a convolution with k taps and stride s over the phases equals one with
// b k taps and stride b s over the picture: the same products in another order. If the backend has
// kernels for few input channels, that saves writing the picture again. The slices are left to
// pass_clean.
#include <string.h>

#include "worker/backend/backend.h"
#include "worker/graph/pass.h"
#include "worker/onnx/op.h"

// Pictures have at most four channels. With more, the usual kernels are faster.
#define MOST_CHANNELS 4
#define MOST_PHASES 16

// Element (y, x) of a value is element (first[0] + step[0] y, first[1] + step[1]
// x) of root.
struct phase {
    const struct value *root;
    int64_t first[2], step[2];
};

static bool is(const struct node *node, const char *op_type)
{
    return node && !*node->domain && !strcmp(node->op_type, op_type) && node->n_epilogue == 0;
}

static bool constant_ints(const struct node *node, int i)
{
    const struct value *v = i < node->n_in ? node->in[i] : NULL;
    return v && v->constant && v->constant->data && (v->dtype == REEL_I64 || v->dtype == REEL_I32);
}

// If the node is a Slice (opset 10 and later) of rows and columns with constant parameters, changes *f
// to refer to its input. False for other nodes; *f is unchanged then.
static bool through_slice(const struct node *node, struct phase *f)
{
    if (!is(node, "Slice") || node->n_in < 4 || !constant_ints(node, 1) || !constant_ints(node, 3)) return false;
    const bool steps = node->n_in > 4 && node->in[4];
    if (steps && !constant_ints(node, 4)) return false;
    const struct reel_shape *in = &node->in[0]->shape, *out = &node->out[0]->shape;
    if (in->ndim != 4 || in->dim[0] != out->dim[0] || in->dim[1] != out->dim[1]) return false;
    struct phase made = *f;
    for (int64_t i = 0; i < reel_tensor_count(node->in[1]->constant); i++) {
        int64_t axis = op_scalar_int(node->in[3]->constant, i), start = op_scalar_int(node->in[1]->constant, i);
        const int64_t step = steps ? op_scalar_int(node->in[4]->constant, i) : 1;
        if (axis < 0) axis += 4;
        if (axis < 2 || axis > 3 || step < 1 || step > MOST_PHASES) return false;
        if (start < 0) start += in->dim[axis];
        if (start < 0 || start >= in->dim[axis]) return false;
        made.first[axis - 2] = start + step * f->first[axis - 2];
        made.step[axis - 2] = step * f->step[axis - 2];
    }
    made.root = node->in[0];
    *f = made;
    return true;
}

static struct phase phase_of(const struct value *v)
{
    struct phase f = {.root = v, .step = {1, 1}};
    while (through_slice(f.root->producer, &f)) {
    }
    return f;
}

// If v consists of the channels of phases that together cover a picture, stores these and returns
// their number; else 0.
static int phases_of(const struct value *v, struct phase out[MOST_PHASES])
{
    const struct node *node = v->producer;
    int n = 0;
    if (is(node, "SpaceToDepth")) {
        const int64_t b = node_attr_int(node, "blocksize", 1);
        if (b < 1 || b > MOST_PHASES || b * b > MOST_PHASES) return 0;
        for (int64_t y = 0; y < b; y++)
            for (int64_t x = 0; x < b; x++) out[n++] = (struct phase){node->in[0], {y, x}, {b, b}};
    } else if (is(node, "Concat") && node_attr_int(node, "axis", 0) == 1 && node->n_in <= MOST_PHASES) {
        for (int i = 0; i < node->n_in; i++) out[n++] = phase_of(node->in[i]);
    }
    if (n < 2) return 0;
    const struct value *root = out[0].root;
    const int64_t *step = out[0].step;
    if (root->constant || root->dtype != REEL_F32 || root->shape.ndim != 4 || root->shape.dim[1] > MOST_CHANNELS)
        return 0;
    if (step[0] * step[1] != n || v->shape.dim[1] != n * root->shape.dim[1]) return 0;
    for (int d = 0; d < 2; d++)
        if (root->shape.dim[2 + d] != step[d] * v->shape.dim[2 + d]) return 0;
    for (int i = 0; i < n; i++) {
        const struct phase *f = &out[i];
        if (f->root != root || f->step[0] != step[0] || f->step[1] != step[1]) return 0;
        if (f->first[0] >= step[0] || f->first[1] >= step[1]) return 0;
    }
    return n;
}

// (M, phases C, kh, kw) -> (M, C, step kh, step kw)
static enum reel_err spread_weights(const struct reel_tensor *w, const struct phase *phase, int n,
                                    struct reel_tensor *out)
{
    const int64_t *dim = w->shape.dim, c = dim[1] / n, sy = phase[0].step[0], sx = phase[0].step[1];
    const int64_t kh = dim[2], kw = dim[3];
    const struct reel_shape shape = {.ndim = 4, .dim = {dim[0], c, kh * sy, kw * sx}};
    enum reel_err err = reel_tensor_init(out, REEL_F32, &shape);
    if (err) return err;
    memset(out->data, 0, (size_t)reel_tensor_count(out) * sizeof(float));
    const float *from = w->data;
    for (int64_t o = 0; o < dim[0]; o++)
        for (int64_t i = 0; i < n * c; i++)
            for (int64_t y = 0; y < kh; y++)
                for (int64_t x = 0; x < kw; x++) {
                    const struct phase *f = &phase[i / c];
                    const int64_t row = (o * c + i % c) * kh * sy + y * sy + f->first[0];
                    ((float *)out->data)[row * kw * sx + x * sx + f->first[1]] += *from++;
                }
    return REEL_OK;
}

// Multiplies the `count` integers of an attribute (default `absent`) by the phases' step along their
// axis.
static bool scaled_attr(struct graph *graph, const struct node *conv, const char *name, int count, int64_t absent,
                        const int64_t step[2], struct attr *out)
{
    const int64_t *given;
    const int n = node_attr_ints(conv, name, &given);
    int64_t *made = graph_alloc(graph, (size_t)count * sizeof *made);
    if (!made) return false;
    for (int i = 0; i < count; i++) made[i] = (n == count ? given[i] : absent) * step[i % 2];
    *out = (struct attr){.name = name, .type = ATTR_INTS, .count = count, .u.ints = made};
    return true;
}

static bool plain_conv(const struct node *conv)
{
    if (!is(conv, "Conv") || conv->n_in < 2 || !conv->in[1] || !conv->in[1]->constant) return false;
    const struct value *w = conv->in[1];
    const char *pad = node_attr_string(conv, "auto_pad", "NOTSET");
    if (w->dtype != REEL_F32 || !w->constant->data || w->shape.ndim != 4 || conv->in[0]->shape.ndim != 4) return false;
    if (*pad && strcmp(pad, "NOTSET")) return false;
    const int64_t *given;
    const int n = node_attr_ints(conv, "dilations", &given);
    for (int i = 0; i < n; i++)
        if (given[i] != 1) return false;
    return node_attr_int(conv, "group", 1) == 1 && w->shape.dim[1] == conv->in[0]->shape.dim[1];
}

static enum reel_err take_phases(struct graph *graph, struct node *conv)
{
    struct phase phase[MOST_PHASES];
    if (!plain_conv(conv) || graph_only_consumer(graph, conv->in[0]) != conv) return REEL_OK;
    const int n = phases_of(conv->in[0], phase);
    if (!n || phase[0].root->owner != graph) return REEL_OK;
    const int64_t *step = phase[0].step;
    struct attr *attrs = graph_alloc(graph, 3 * sizeof *attrs);
    struct reel_tensor weights;
    enum reel_err err = spread_weights(conv->in[1]->constant, phase, n, &weights);
    if (err) return err;
    struct value *w = graph_add_constant(graph, NULL, &weights);
    if (!w) reel_tensor_fini(&weights);
    if (!w || !attrs || !scaled_attr(graph, conv, "strides", 2, 1, step, &attrs[0]) ||
        !scaled_attr(graph, conv, "pads", 4, 0, step, &attrs[1]))
        return reel_fail(REEL_ERR_NOMEM, "could not rewrite node \"%s\": out of memory", conv->name);
    conv->attr = attrs;
    conv->n_attr = 2;
    graph_set_input(graph, conv, 1, w);
    graph_set_input(graph, conv, 0, (struct value *)phase[0].root);
    return REEL_OK;
}

enum reel_err pass_stem(struct graph *graph, const struct pass_params *params)
{
    if (!(params->caps & BACKEND_FEW_CHANNELS)) return REEL_OK;
    for (struct node *node = graph->first; node; node = node->next) {
        enum reel_err err = take_phases(graph, node);
        if (err) return err;
    }
    return REEL_OK;
}

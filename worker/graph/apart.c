// SPDX-License-Identifier: MIT
//
// Whether a network mixes the images of a batch, checked operator by operator. See apart.h.
#include "worker/graph/apart.h"

#include <string.h>

#include "worker/graph/one_of.h"
#include "worker/onnx/op.h"

// Sets of axes, as bits.
#define ALL ~0u   // every axis may carry images
#define IMAGES 1u // only the first axis

// The same node in both graphs, and the axes of its first two inputs that carry images.
struct pair {
    const struct node *one, *several;
    unsigned in[2];
};

static unsigned axes_of(const struct value *a, const struct value *b)
{
    if (!a || !b) return 0;
    if (a->shape.ndim < 0 || a->shape.ndim != b->shape.ndim) return ALL;
    unsigned axes = 0;
    for (int d = 0; d < a->shape.ndim; d++)
        if (a->shape.dim[d] != b->shape.dim[d]) axes |= 1u << d;
    return axes;
}

static int count(unsigned axes)
{
    return __builtin_popcount(axes);
}

static int rank(const struct node *node, int input)
{
    return node->n_in > input && node->in[input] ? node->in[input]->shape.ndim : 0;
}

// The axis of the first input that an attribute gives, alone or with all following ones. ALL if
// it is invalid.
static unsigned axis_bits(const struct node *node, int64_t value, bool and_behind)
{
    int axis;
    const int n = rank(node, 0);
    if (op_axis(value, n, &axis)) return ALL;
    return and_behind ? ((1u << n) - 1) & ~((1u << axis) - 1) : 1u << axis;
}

static unsigned listed_axes(const struct node *node)
{
    static const int64_t usual[] = {0, 2, 3}; // default of MeanVarianceNormalization
    const int64_t *axes = usual;
    int n = 3;
    unsigned bits = 0;
    if (node_attr(node, "axes")) n = node_attr_ints(node, "axes", &axes);
    for (int i = 0; i < n; i++) bits |= axis_bits(node, axes[i], false);
    return bits;
}

static unsigned summed_axis(const struct node *node)
{
    const struct value *v = node->n_in > 1 ? node->in[1] : NULL;
    if (!v || !v->constant || reel_tensor_count(v->constant) != 1) return ALL;
    return axis_bits(node, op_scalar_int(v->constant, 0), false);
}

// Axes of the first input along which the operator reads more than one element for a result.
static unsigned read_along(const struct node *node)
{
    static const char *const softmax[] = {"Softmax", "LogSoftmax", "Hardmax", NULL};
    static const char *const behind[] = {"LayerNormalization", "RMSNormalization", NULL};
    static const char *const along[] = {"TopK", "LpNormalization", NULL};
    static const char *const recurrent[] = {"LSTM", "GRU", "RNN", NULL};
    static const char *const pictures[] = {"Conv",
                                           "ConvTranspose",
                                           "ConvInteger",
                                           "QLinearConv",
                                           "DeformConv",
                                           "MaxPool",
                                           "AveragePool",
                                           "LpPool",
                                           "Attention",
                                           "InstanceNormalization",
                                           "GroupNormalization",
                                           "MultiHeadAttention",
                                           "Resize",
                                           "Upsample",
                                           "GridSample",
                                           "LRN",
                                           NULL};
    static const char *const picked[] = {"Gather", "GatherElements", "ScatterElements", NULL};
    static const char *const opaque[] = {"DynamicQuantizeLinear",
                                         "GatherND",
                                         "ScatterND",
                                         "ReverseSequence",
                                         "NonMaxSuppression",
                                         "NonZero",
                                         "Unique",
                                         "Compress",
                                         NULL};
    const bool old = node->opset < 13; // Softmax and similar operators worked on all axes from `axis` on
    if (node_is_one_of(node, softmax)) return axis_bits(node, node_attr_int(node, "axis", old ? 1 : -1), old);
    if (node_is_one_of(node, behind)) return axis_bits(node, node_attr_int(node, "axis", -1), true);
    if (node_is_one_of(node, along)) return axis_bits(node, node_attr_int(node, "axis", -1), false);
    if (!strcmp(node->op_type, "CumSum")) return summed_axis(node);
    if (!strcmp(node->op_type, "MeanVarianceNormalization")) return listed_axes(node);
    if (node_is_one_of(node, picked)) return axis_bits(node, node_attr_int(node, "axis", 0), false);
    if (node_is_one_of(node, opaque)) return ALL;
    if (!strcmp(node->op_type, "BatchNormalization")) return node_attr_int(node, "training_mode", 0) ? ALL : 0;
    if (node_is_one_of(node, recurrent)) return node_attr_int(node, "layout", 0) ? ~IMAGES : ~2u;
    return node_is_one_of(node, pictures) ? ~IMAGES : 0;
}

// Whether a matrix product sums over images: it sums over the first factor's last axis and the
// second factor's last but one.
static bool sums_images(const struct pair *p)
{
    static const char *const products[] = {"MatMul", "MatMulInteger", "QLinearMatMul", "FusedMatMul", NULL};
    const struct node *node = p->several;
    const int n = rank(node, 0), m = rank(node, 1);
    if (!strcmp(node->op_type, "Gemm")) {
        const unsigned a = node_attr_int(node, "transA", 0) ? 1u : 2u, b = node_attr_int(node, "transB", 0) ? 2u : 1u;
        return p->in[0] & a || p->in[1] & b;
    }
    if (!node_is_one_of(node, products) || n < 1 || m < 1) return false;
    const unsigned last = 1u << (n - 1), rows = 1u << (m > 1 ? m - 2 : 0);
    const unsigned turned = !strcmp(node->op_type, "FusedMatMul") ? ~IMAGES : 0; // its factors may be transposed
    return p->in[0] & (last | turned) || p->in[1] & (rows | turned);
}

// Whether the operator combines images if its result has fewer axes with images than an input.
static bool gathers(const struct node *node)
{
    return !strncmp(node->op_type, "Reduce", 6) || !strncmp(node->op_type, "Arg", 3) ||
           !strcmp(node->op_type, "Einsum");
}

// Whether images are left out, added, or moved along one of these axes.
static bool resized(const struct node *node, int output, unsigned axes)
{
    static const char *const parts[] = {"Slice", "Split", "Pad", NULL};
    if (!node_is_one_of(node, parts)) return false;
    const struct reel_shape *in = &node->in[0]->shape, *out = &node->out[output]->shape;
    for (int d = 0; d < in->ndim; d++)
        if (axes & 1u << d && (d >= out->ndim || out->dim[d] != in->dim[d])) return true;
    return false;
}

static bool mixes(struct pair *p)
{
    const struct node *a = p->one, *b = p->several;
    unsigned any = 0;
    if (a->n_in != b->n_in || a->n_out != b->n_out || strcmp(a->op_type, b->op_type) != 0) return true;
    for (int i = 0; i < a->n_in; i++) {
        const unsigned axes = axes_of(a->in[i], b->in[i]);
        if (i < 2) p->in[i] = axes;
        any |= axes;
    }
    if (!any || !strcmp(a->op_type, "Shape") || !strcmp(a->op_type, "Size")) return false;
    for (int i = 0; i < a->n_out; i++) {
        if (!a->out[i] || !b->out[i]) continue;
        const unsigned left = axes_of(a->out[i], b->out[i]);
        if (!left || left == ALL) return true; // one result for all images
        if (gathers(b) && (count(left) < count(p->in[0]) || count(left) < count(p->in[1]))) return true;
        if (resized(b, i, p->in[0])) return true;
    }
    return p->in[0] & read_along(b) || sums_images(p);
}

bool graph_mixes_images(const struct graph *one, const struct graph *several)
{
    const struct node *a = one->first, *b = several->first;
    for (; a && b; a = a->next, b = b->next) {
        struct pair p = {a, b, {0}};
        if (mixes(&p)) return true;
    }
    return a || b;
}

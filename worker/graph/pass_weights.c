// SPDX-License-Identifier: MIT
//
// Moves arithmetic with one constant per channel (batch normalisation, scale, shift) into the weights
// of the convolution before or after it, and zero padding into the convolution's own. New weights are
// computed in double and rounded once. What would be wrong (a shift before a padded convolution,
// infinite factors) stays a node.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "worker/graph/pass.h"
#include "worker/onnx/op.h"

// y = scale x + shift, with one pair per channel.
struct affine {
    double *scale, *shift;
    int64_t channels;
};

static enum reel_err out_of_memory(void)
{
    return reel_fail(REEL_ERR_NOMEM, "could not fold weights: out of memory");
}

static bool is(const struct node *node, const char *op_type)
{
    return node && !*node->domain && !strcmp(node->op_type, op_type);
}

static bool constant_f32(const struct value *v)
{
    return v && v->constant && v->constant->data && v->constant->dtype == REEL_F32;
}

static bool is_conv(const struct node *node)
{
    if (!is(node, "Conv") && !is(node, "ConvTranspose")) return false;
    if (node->n_epilogue || node->n_in < 2 || !node->in[0] || !constant_f32(node->in[1])) return false;
    if (node->n_in > 2 && node->in[2] && !constant_f32(node->in[2])) return false;
    return node->in[1]->shape.ndim >= 3 && node->out[0] && node->out[0]->shape.ndim == node->in[1]->shape.ndim;
}

static int64_t out_channels(const struct node *conv)
{
    const struct reel_shape *w = &conv->in[1]->shape;
    return is(conv, "Conv") ? w->dim[0] : w->dim[1] * node_attr_int(conv, "group", 1);
}

// ---- what an arithmetic node does -------------------------------------------

static void affine_fini(struct affine *a)
{
    free(a->scale);
    free(a->shift);
    *a = (struct affine){0};
}

static bool affine_init(struct affine *a, int64_t channels)
{
    *a = (struct affine){.channels = channels};
    a->scale = malloc((size_t)(channels + 1) * sizeof *a->scale);
    a->shift = malloc((size_t)(channels + 1) * sizeof *a->shift);
    for (int64_t i = 0; a->scale && a->shift && i < channels; i++) a->scale[i] = 1, a->shift[i] = 0;
    return a->scale && a->shift;
}

// Whether the constant has one element, or one per channel of a value of this rank (channels on
// axis 1), and broadcasting does not enlarge the value.
static bool per_channel(const struct value *v, int ndim, int64_t channels)
{
    if (!constant_f32(v) || v->shape.ndim > ndim) return false;
    int64_t count = reel_tensor_count(v->constant);
    if (count == 1) return true;
    int axis = 1 - (ndim - v->shape.ndim);
    return axis >= 0 && axis < v->shape.ndim && count == channels && v->shape.dim[axis] == channels;
}

static double channel_of(const struct value *v, int64_t c)
{
    return op_scalar(v->constant, reel_tensor_count(v->constant) == 1 ? 0 : c);
}

static bool binary_affine(const struct node *node, const struct value *x, struct affine *a)
{
    if (node->n_in != 2 || node->opset < 7 || node->in[0] == node->in[1]) return false;
    bool second = node->in[1] == x;
    const struct value *c = node->in[second ? 0 : 1];
    if (!per_channel(c, x->shape.ndim, a->channels)) return false;
    for (int64_t i = 0; i < a->channels; i++) {
        double k = channel_of(c, i);
        if (is(node, "Mul"))
            a->scale[i] = k;
        else if (is(node, "Add"))
            a->shift[i] = k;
        else if (is(node, "Div") && !second)
            a->scale[i] = 1 / k;
        else if (is(node, "Sub"))
            a->scale[i] = second ? -1 : 1, a->shift[i] = second ? k : -k;
        else
            return false;
    }
    return true;
}

static bool batch_norm_affine(const struct node *node, struct affine *a)
{
    if (!is(node, "BatchNormalization") || node->n_in != 5 || node_attr_int(node, "training_mode", 0)) return false;
    for (int i = 1; i < node->n_out; i++)
        if (node->out[i] && node->out[i]->n_uses) return false;
    for (int i = 1; i < 5; i++)
        if (!constant_f32(node->in[i]) || reel_tensor_count(node->in[i]->constant) != a->channels) return false;
    if (node->opset < 9 && !node_attr_int(node, "spatial", 1)) return false;
    if (node->opset < 7 && !node_attr_int(node, "is_test", 0)) return false;
    double epsilon = (double)node_attr_float(node, "epsilon", 1e-5f);
    for (int64_t i = 0; i < a->channels; i++) {
        double gamma = op_scalar(node->in[1]->constant, i), beta = op_scalar(node->in[2]->constant, i);
        double mean = op_scalar(node->in[3]->constant, i), var = op_scalar(node->in[4]->constant, i);
        a->scale[i] = gamma / sqrt(var + epsilon);
        a->shift[i] = beta - mean * a->scale[i];
    }
    return true;
}

// The scale and shift per channel that the node applies to x. False if it does something else.
static bool affine_of(const struct node *node, const struct value *x, int64_t channels, struct affine *a)
{
    if (!node->out[0] || !reel_shape_equal(&node->out[0]->shape, &x->shape) || x->dtype != REEL_F32) return false;
    if (!is(node, "Mul") && !is(node, "Add") && !is(node, "Sub") && !is(node, "Div") && !is(node, "BatchNormalization"))
        return false;
    if (node->n_epilogue || !affine_init(a, channels)) return false;
    bool ok =
        node->in[0] == x && is(node, "BatchNormalization") ? batch_norm_affine(node, a) : binary_affine(node, x, a);
    for (int64_t i = 0; ok && i < channels; i++)
        if (!(fabs(a->scale[i]) < 1e18 && fabs(a->shift[i]) < 1e18)) ok = false;
    if (!ok) affine_fini(a);
    return ok;
}

// ---- into the weights -------------------------------------------------------

static enum reel_err set_constant(struct graph *graph, struct node *node, int input, struct reel_tensor *t)
{
    struct value *v = graph_add_constant(graph, NULL, t);
    if (!v) {
        reel_tensor_fini(t);
        return out_of_memory();
    }
    if (input >= node->n_in) { // the node had no bias
        struct value **in = graph_alloc(graph, (size_t)(input + 1) * sizeof(*in));
        if (!in) return out_of_memory();
        memcpy(in, node->in, (size_t)node->n_in * sizeof(*in));
        node->in = in;
        node->n_in = input + 1;
    }
    graph_set_input(graph, node, input, v);
    return REEL_OK;
}

// conv' (x) = scale conv(x) + shift
static enum reel_err scale_outputs(struct graph *graph, struct node *conv, const struct affine *a)
{
    const struct reel_tensor *w = conv->in[1]->constant;
    struct reel_tensor weights, bias;
    struct reel_shape vector = {.ndim = 1, .dim = {a->channels}};
    enum reel_err err = reel_tensor_copy(&weights, w);
    if (err) return err;
    if ((err = reel_tensor_init(&bias, REEL_F32, &vector))) {
        reel_tensor_fini(&weights);
        return err;
    }
    // Conv (M, C/g, ...); ConvTranspose (C, M/g, ...) with M = g groups of M/g.
    bool transposed = is(conv, "ConvTranspose");
    int64_t rows = w->shape.dim[0], columns = w->shape.dim[1], inner = 1;
    for (int d = 2; d < w->shape.ndim; d++) inner *= w->shape.dim[d];
    int64_t groups = node_attr_int(conv, "group", 1), rows_a_group = transposed && groups > 0 ? rows / groups : 1;
    float *p = weights.data;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < columns; c++) {
            int64_t m = transposed ? (rows_a_group ? r / rows_a_group : 0) * columns + c : r;
            for (int64_t i = 0; i < inner; i++, p++) *p = (float)((double)*p * a->scale[m]);
        }
    const struct value *old = conv->n_in > 2 ? conv->in[2] : NULL;
    for (int64_t m = 0; m < a->channels; m++)
        ((float *)bias.data)[m] = (float)((old ? op_scalar(old->constant, m) : 0) * a->scale[m] + a->shift[m]);
    err = set_constant(graph, conv, 1, &weights);
    if (err) {
        reel_tensor_fini(&bias);
        return err;
    }
    return set_constant(graph, conv, 2, &bias);
}

// conv'(x) = conv(scale x + shift): Conv only; the shift needs a convolution
// without padding.
static enum reel_err scale_inputs(struct graph *graph, struct node *conv, const struct affine *a)
{
    const struct reel_tensor *w = conv->in[1]->constant;
    int64_t rows = w->shape.dim[0], columns = w->shape.dim[1], inner = 1, groups = node_attr_int(conv, "group", 1);
    for (int d = 2; d < w->shape.ndim; d++) inner *= w->shape.dim[d];
    struct reel_tensor weights, bias;
    struct reel_shape vector = {.ndim = 1, .dim = {rows}};
    enum reel_err err = reel_tensor_copy(&weights, w);
    if (err) return err;
    if ((err = reel_tensor_init(&bias, REEL_F32, &vector))) {
        reel_tensor_fini(&weights);
        return err;
    }
    const struct value *old = conv->n_in > 2 ? conv->in[2] : NULL;
    float *p = weights.data;
    for (int64_t r = 0; r < rows; r++) {
        double sum = old ? op_scalar(old->constant, r) : 0;
        for (int64_t c = 0; c < columns; c++) {
            int64_t k = r / (rows / groups) * columns + c; // the input channel
            for (int64_t i = 0; i < inner; i++, p++) {
                sum += (double)*p * a->shift[k];
                *p = (float)((double)*p * a->scale[k]);
            }
        }
        ((float *)bias.data)[r] = (float)sum;
    }
    err = set_constant(graph, conv, 1, &weights);
    if (err) {
        reel_tensor_fini(&bias);
        return err;
    }
    return set_constant(graph, conv, 2, &bias);
}

// ---- padding ----------------------------------------------------------------

static bool pads_of(const struct node *pad, int64_t *out_pads, int ndim)
{
    const int64_t *attr;
    int n = node_attr_ints(pad, "pads", &attr);
    const struct value *v = pad->n_in > 1 ? pad->in[1] : NULL, *axes = pad->n_in > 3 ? pad->in[3] : NULL;
    if (axes || strcmp(node_attr_string(pad, "mode", "constant"), "constant")) return false;
    double value = (double)node_attr_float(pad, "value", 0);
    if (pad->n_in > 2 && pad->in[2]) {
        if (!pad->in[2]->constant || reel_tensor_count(pad->in[2]->constant) != 1) return false;
        value = op_scalar(pad->in[2]->constant, 0);
    }
    if (value != 0) return false;
    if (v && (!v->constant || v->constant->dtype != REEL_I64)) return false;
    if (v) n = (int)reel_tensor_count(v->constant);
    if (n != 2 * ndim) return false;
    for (int i = 0; i < n; i++) {
        out_pads[i] = v ? op_scalar_int(v->constant, i) : attr[i];
        if (out_pads[i] < 0 || out_pads[i] > 1 << 20 || (i % ndim < 2 && out_pads[i])) return false;
    }
    return true;
}

static enum reel_err take_padding(struct graph *graph, struct node *conv)
{
    struct node *pad = conv->in[0]->producer;
    int ndim = conv->in[0]->shape.ndim, spatial = ndim - 2;
    const char *auto_pad = node_attr_string(conv, "auto_pad", "NOTSET");
    bool explicit_pads = !strcmp(auto_pad, "NOTSET") || !strcmp(auto_pad, "VALID") || !*auto_pad;
    int64_t more[2 * REEL_MAX_DIMS];
    if (!is(conv, "Conv") || !is(pad, "Pad") || !explicit_pads || pad->n_epilogue || !pads_of(pad, more, ndim))
        return REEL_OK;
    if (!pad->in[0] || pad->in[0]->owner != graph) return REEL_OK;
    const int64_t *old;
    int n = node_attr_ints(conv, "pads", &old);
    if (n != 0 && n != 2 * spatial) return REEL_OK;
    int64_t *pads = graph_alloc(graph, (size_t)(2 * spatial) * sizeof *pads);
    struct attr *attrs = graph_alloc(graph, (size_t)(conv->n_attr + 1) * sizeof *attrs);
    if (!pads || !attrs) return out_of_memory();
    for (int i = 0; i < spatial; i++) {
        bool keep = n && strcmp(auto_pad, "VALID"); // with VALID the attribute is ignored
        pads[i] = (keep ? old[i] : 0) + more[2 + i];
        pads[spatial + i] = (keep ? old[spatial + i] : 0) + more[ndim + 2 + i];
    }
    int k = 0;
    for (int i = 0; i < conv->n_attr; i++)
        if (strcmp(conv->attr[i].name, "pads") && strcmp(conv->attr[i].name, "auto_pad")) attrs[k++] = conv->attr[i];
    attrs[k++] = (struct attr){.name = "pads", .type = ATTR_INTS, .count = 2 * spatial, .u.ints = pads};
    conv->attr = attrs;
    conv->n_attr = k;
    graph_set_input(graph, conv, 0, pad->in[0]);
    return REEL_OK;
}

// -----------------------------------------------------------------------------

static bool has_padding(const struct node *conv)
{
    const int64_t *pads;
    int n = node_attr_ints(conv, "pads", &pads);
    if (!strncmp(node_attr_string(conv, "auto_pad", "NOTSET"), "SAME", 4)) return true;
    for (int i = 0; i < n; i++)
        if (pads[i]) return true;
    return false;
}

// Absorbs the nodes after the convolution as long as they are affine.
static enum reel_err take_behind(struct graph *graph, struct node *conv)
{
    for (;;) {
        struct value *y = conv->out[0];
        struct node *next = graph_only_consumer(graph, y);
        struct affine a;
        if (!next || !affine_of(next, y, out_channels(conv), &a)) return REEL_OK;
        enum reel_err err = scale_outputs(graph, conv, &a);
        affine_fini(&a);
        if (err) return err;
        struct value *out = next->out[0];
        graph_set_output(graph, next, 0, NULL);
        graph_set_output(graph, conv, 0, out);
        graph_remove_node(graph, next);
    }
}

static enum reel_err take_before(struct graph *graph, struct node *conv)
{
    struct value *x = conv->in[0];
    struct node *before = x->producer;
    if (!is(conv, "Conv") || !before || before->n_in < 1 || graph_only_consumer(graph, x) != conv) return REEL_OK;
    int64_t groups = node_attr_int(conv, "group", 1), channels = conv->in[1]->shape.dim[1] * groups;
    if (groups <= 0 || conv->in[1]->shape.dim[0] % groups || x->shape.dim[1] != channels) return REEL_OK;
    for (int i = 0; i < 2 && i < before->n_in; i++) {
        struct value *inner = before->in[i];
        struct affine a;
        if (!inner || inner->constant || inner->owner != graph || !affine_of(before, inner, channels, &a)) continue;
        bool shifts = false;
        for (int64_t c = 0; c < channels; c++) shifts |= a.shift[c] != 0;
        bool exact = !shifts || !has_padding(conv);
        enum reel_err err = exact ? scale_inputs(graph, conv, &a) : REEL_OK;
        affine_fini(&a);
        if (!err && exact) graph_set_input(graph, conv, 0, inner);
        return err;
    }
    return REEL_OK;
}

enum reel_err pass_weights(struct graph *graph, const struct pass_params *params)
{
    (void)params;
    for (struct node *node = graph->first; node; node = node->next) {
        if (!is_conv(node)) continue;
        enum reel_err err = take_padding(graph, node);
        if (!err) err = take_before(graph, node);
        if (!err) err = take_behind(graph, node);
        if (err) return err;
    }
    return REEL_OK;
}

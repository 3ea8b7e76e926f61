// SPDX-License-Identifier: MIT
//
// Operators that ONNX Runtime's optimiser and quantiser put in the place of
// several, taken apart into ONNX's own while the model is read: passes and
// backends know nothing of them. Called by the importer for each node.
//
// What it is not: the place of operators with arithmetic of their own (QLinearAdd,
// QGemm, SkipLayerNormalization...), which are entries of the operator table.
// Definitions: onnxruntime, docs/ContribOperators.md.
#include <stdio.h>
#include <string.h>

#include "worker/onnx/import.h"
#include "worker/onnx/importer.h"
#include "worker/onnx/op.h"

// The versions in whose words the parts are written.
#define OPSET 13
#define OPSET_CLIP 10 // bounds as attributes
#define OPSET_GRID 16 // com.microsoft's GridSample became ONNX's
#define OPSET_TRILU 14
#define OPSET_RMS 23

#define MS "com.microsoft"

struct parts {
    struct importer *im;
    struct scope *scope;
    const Onnx__NodeProto *proto;
    struct value **in; // borrows; NULL for what is left out
    int n_in;
    struct value *out;
};

static struct value *arg(const struct parts *p, int i)
{
    return i < p->n_in ? p->in[i] : NULL;
}

// Adds a node; out[i] NULL becomes a new value. The node has the file's name when
// it is the main one of its parts, else with its type behind it.
static enum reel_err add_of(struct parts *p, const char *domain, const char *op_type, int opset, bool main,
                            struct value *const *in, int n_in, struct value **out, int n_out, struct node **out_node)
{
    if (++p->im->n_nodes > p->im->params.max_nodes)
        return reel_fail(REEL_ERR_LIMIT, "the model has more than %d nodes", p->im->params.max_nodes);
    char name[512] = "";
    const char *own = import_text(p->proto->name), *prefix = p->scope->prefix;
    if (*own)
        snprintf(name, sizeof name, "%.160s%s%.240s%s%s", prefix, *prefix ? "/" : "", own, main ? "" : "/",
                 main ? "" : op_type);
    for (int i = 0; i < n_out; i++)
        if (!out[i] && !(out[i] = graph_add_value(p->scope->graph, NULL))) return import_no_memory();
    struct node *node = graph_add_node(p->scope->graph, NULL, op_type, name, in, n_in, out, n_out);
    if (!node) return import_no_memory();
    node->domain = domain;
    node->opset = opset;
    node->op = op_find(domain, op_type, opset, NULL);
    if (out_node) *out_node = node;
    return node->op ? REEL_OK : reel_fail(REEL_ERR_FAULT, "operator %s of opset %d is missing", op_type, opset);
}

static enum reel_err add(struct parts *p, const char *op_type, int opset, bool main, struct value *const *in, int n_in,
                         struct value **out, int n_out, struct node **out_node)
{
    return add_of(p, "", op_type, opset, main, in, n_in, out, n_out, out_node);
}

// One result from up to four operands. *out NULL: a new value.
static enum reel_err add_one(struct parts *p, const char *op_type, struct value *a, struct value *b, struct value *c,
                             struct value *d, struct value **out)
{
    struct value *const in[] = {a, b, c, d};
    return add(p, op_type, OPSET, false, in, d ? 4 : c ? 3 : b ? 2 : 1, out, 1, NULL);
}

static enum reel_err set_attrs(struct parts *p, struct node *node, const struct attr *attrs, int n)
{
    struct attr *copy = graph_alloc(p->scope->graph, (size_t)(n + 1) * sizeof *copy);
    if (!copy) return import_no_memory();
    for (int i = 0; i < n; i++) copy[i] = attrs[i];
    node->attr = copy;
    node->n_attr = n;
    return REEL_OK;
}

// The attributes that the main node has beyond ONNX's go away.
static void strip_attrs(struct node *node)
{
    int n = 0;
    for (int i = 0; i < node->n_attr; i++)
        if (strncmp(node->attr[i].name, "activation", strlen("activation")) &&
            strcmp(node->attr[i].name, "channels_last"))
            node->attr[n++] = node->attr[i];
    node->n_attr = n;
}

// ---- activations ------------------------------------------------------------

struct activation {
    const char *name;
    const char *attr[2]; // in the order of FusedConv's activation_params
};

static const struct activation activations[] = {
    {"Relu", {0}},
    {"Sigmoid", {0}},
    {"Tanh", {0}},
    {"Softplus", {0}},
    {"Softsign", {0}},
    {"LeakyRelu", {"alpha"}},
    {"Elu", {"alpha"}},
    {"ThresholdedRelu", {"alpha"}},
    {"Selu", {"alpha", "gamma"}},
    {"HardSigmoid", {"alpha", "beta"}},
    {"Clip", {"min", "max"}},
};

// FusedConv has its parameters in a list, FusedGemm by name.
static bool activation_param(const struct node *node, const char *attr, int i, float *out)
{
    const float *list;
    if (i < node_attr_floats(node, "activation_params", &list)) {
        *out = list[i];
        return true;
    }
    char name[40];
    snprintf(name, sizeof name, "activation_%s", attr);
    if (!node_attr(node, name)) return false;
    *out = node_attr_float(node, name, 0);
    return true;
}

// out = activation(x), as `node` has it among its attributes.
static enum reel_err add_activation(struct parts *p, const struct node *node, struct value *x, struct value *out)
{
    const char *name = node_attr_string(node, "activation", "");
    const struct activation *a = NULL;
    for (size_t i = 0; i < sizeof activations / sizeof *activations; i++)
        if (!strcmp(activations[i].name, name)) a = &activations[i];
    if (!a) return reel_fail(REEL_ERR_UNSUPPORTED, "its activation \"%.60s\" is not supported", name);
    struct attr attrs[2];
    int n = 0;
    for (int i = 0; i < 2 && a->attr[i]; i++) {
        float value;
        if (activation_param(node, a->attr[i], i, &value))
            attrs[n++] = (struct attr){.name = a->attr[i], .type = ATTR_FLOAT, .u.f = value};
    }
    struct node *made = NULL;
    enum reel_err err = add(p, a->name, strcmp(name, "Clip") ? OPSET : OPSET_CLIP, false, &x, 1, &out, 1, &made);
    return err ? err : set_attrs(p, made, attrs, n);
}

// ---- the operators ----------------------------------------------------------

// X, W, bias, Z: activation(Conv(X, W, bias) + Z)
static enum reel_err fused_conv(struct parts *p)
{
    struct node *node = NULL;
    struct value *conv = NULL, *sum = NULL, *z = arg(p, 3);
    enum reel_err err = add(p, "Conv", OPSET, true, p->in, p->n_in < 3 ? p->n_in : 3, &conv, 1, &node);
    if (!err) err = import_attrs(p->im, p->scope, p->proto, node);
    if (!err && z) err = add_one(p, "Add", conv, z, NULL, NULL, &sum);
    if (!err) err = add_activation(p, node, z ? sum : conv, p->out);
    if (!err) strip_attrs(node);
    return err;
}

static enum reel_err fused_gemm(struct parts *p)
{
    struct node *node = NULL;
    struct value *product = NULL;
    enum reel_err err = add(p, "Gemm", OPSET, true, p->in, p->n_in, &product, 1, &node);
    if (!err) err = import_attrs(p->im, p->scope, p->proto, node);
    if (!err) err = add_activation(p, node, product, p->out);
    if (!err) strip_attrs(node);
    return err;
}

// float32 of a product of integers: (a - az)(b - bz) * (as bs) + bias
static enum reel_err scaled_product(struct parts *p, struct value *const abzz[4], struct value *as, struct value *bs,
                                    struct value *bias)
{
    struct value *sums = NULL, *wide = NULL, *scale = NULL, *product = bias ? NULL : p->out;
    enum reel_err err = add(p, "MatMulInteger", OPSET, true, abzz, 4, &sums, 1, NULL);
    struct node *cast = NULL;
    if (!err) err = add(p, "Cast", OPSET, false, &sums, 1, &wide, 1, &cast);
    const struct attr to = {.name = "to", .type = ATTR_INT, .u.i = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT};
    if (!err) err = set_attrs(p, cast, &to, 1);
    if (!err) err = add_one(p, "Mul", as, bs, NULL, NULL, &scale);
    if (!err) err = add_one(p, "Mul", wide, scale, NULL, NULL, &product);
    if (!err && bias) err = add_one(p, "Add", product, bias, NULL, NULL, &p->out);
    return err;
}

// A (float), B, scale of B, zero point of B, bias
static enum reel_err dynamic_product(struct parts *p)
{
    struct value *a[3] = {0};
    enum reel_err err = add(p, "DynamicQuantizeLinear", OPSET, false, p->in, 1, a, 3, NULL);
    struct value *const abzz[] = {a[0], arg(p, 1), a[2], arg(p, 3)};
    return err ? err : scaled_product(p, abzz, a[1], arg(p, 2), arg(p, 4));
}

// A, B, scale of A, scale of B, zero point of A, zero point of B, bias
static enum reel_err integer_product(struct parts *p)
{
    struct value *const abzz[] = {arg(p, 0), arg(p, 1), arg(p, 4), arg(p, 5)};
    return scaled_product(p, abzz, arg(p, 2), arg(p, 3), arg(p, 6));
}

// condition; X, Y and the result, each with scale and zero point
static enum reel_err quantised_where(struct parts *p)
{
    struct value *x = NULL, *y = NULL, *z = NULL;
    enum reel_err err = add_one(p, "DequantizeLinear", arg(p, 1), arg(p, 2), arg(p, 3), NULL, &x);
    if (!err) err = add_one(p, "DequantizeLinear", arg(p, 4), arg(p, 5), arg(p, 6), NULL, &y);
    if (!err) err = add_one(p, "Where", arg(p, 0), x, y, NULL, &z);
    return err ? err : add_one(p, "QuantizeLinear", z, arg(p, 7), arg(p, 8), NULL, &p->out);
}

// ---- channels last ----------------------------------------------------------

// out = x with the channels behind the others, or (to_first) back in front of them.
static enum reel_err add_transpose(struct parts *p, struct value *x, int ndim, bool to_first, struct value **out)
{
    int64_t *perm = graph_alloc(p->scope->graph, (size_t)ndim * sizeof *perm);
    if (!perm) return import_no_memory();
    for (int i = 1; i < ndim - 1; i++) perm[to_first ? i + 1 : i] = to_first ? i : i + 1;
    perm[to_first ? 1 : ndim - 1] = to_first ? ndim - 1 : 1;
    struct node *node = NULL;
    enum reel_err err = add(p, "Transpose", OPSET, false, &x, 1, out, 1, &node);
    const struct attr attr = {.name = "perm", .type = ATTR_INTS, .count = ndim, .u.ints = perm};
    return err ? err : set_attrs(p, node, &attr, 1);
}

// The operator of this name between two transpositions.
static enum reel_err between_transposes(struct parts *p, const char *domain, const char *op_type, int opset, int ndim)
{
    if (ndim < 3 || ndim > REEL_MAX_DIMS) return reel_fail(REEL_ERR_UNSUPPORTED, "its rank is not known");
    struct value *x = p->in[0], *first = NULL, *made = NULL;
    struct node *node = NULL;
    enum reel_err err = add_transpose(p, x, ndim, true, &first);
    p->in[0] = first;
    if (!err) err = add_of(p, domain, op_type, opset, true, p->in, p->n_in, &made, 1, &node);
    p->in[0] = x;
    if (!err) err = import_attrs(p->im, p->scope, p->proto, node);
    if (!err) strip_attrs(node);
    return err ? err : add_transpose(p, made, ndim, false, &p->out);
}

// The number of a list of integers of the node, 0 when absent.
static int ints_of(const struct parts *p, const char *name)
{
    for (size_t i = 0; i < p->proto->n_attribute; i++)
        if (!strcmp(import_text(p->proto->attribute[i]->name), name)) return (int)p->proto->attribute[i]->n_ints;
    return 0;
}

static bool is_channels_last(const Onnx__NodeProto *proto)
{
    for (size_t i = 0; i < proto->n_attribute; i++)
        if (!strcmp(import_text(proto->attribute[i]->name), "channels_last")) return proto->attribute[i]->i != 0;
    return false;
}

static enum reel_err same_as(struct parts *p, const char *op_type, int opset)
{
    struct node *node = NULL;
    enum reel_err err = add(p, op_type, opset, true, p->in, p->n_in, &p->out, 1, &node);
    if (!err) err = import_attrs(p->im, p->scope, p->proto, node);
    if (!err) strip_attrs(node);
    return err;
}

// Weights lie as ONNX's, whatever the picture does.
static enum reel_err quantised_conv(struct parts *p)
{
    if (!is_channels_last(p->proto)) return same_as(p, "QLinearConv", OPSET);
    return between_transposes(p, "", "QLinearConv", OPSET, arg(p, 3) ? arg(p, 3)->shape.ndim : 0);
}

static enum reel_err max_pool(struct parts *p)
{
    return between_transposes(p, "", "MaxPool", OPSET, ints_of(p, "kernel_shape") + 2);
}

static enum reel_err average_pool(struct parts *p)
{
    return between_transposes(p, MS, "QLinearAveragePool", 1, ints_of(p, "kernel_shape") + 2);
}

// Nothing says the rank where no shape is known: a picture's then.
static enum reel_err global_pool(struct parts *p)
{
    const int ndim = p->in[0] ? p->in[0]->shape.ndim : -1;
    return between_transposes(p, MS, "QLinearGlobalAveragePool", 1, ndim < 0 ? 4 : ndim);
}

// ---- weights of a few bits ----------------------------------------------------

static enum reel_err product_with(struct parts *p, struct value *weights, struct value *bias)
{
    struct value *const in[] = {arg(p, 0), weights};
    struct value *product = bias ? NULL : p->out;
    enum reel_err err = add(p, "MatMul", OPSET, true, in, 2, &product, 1, NULL);
    return err || !bias ? err : add_one(p, "Add", product, bias, NULL, NULL, &p->out);
}

// A, packed weights, scales, zero points, g_idx, bias
static enum reel_err packed_product(struct parts *p)
{
    struct value *weights = NULL;
    enum reel_err err = import_packed_integers(p->im, p->scope, p->proto, p->in, p->n_in, &weights);
    return err ? err : product_with(p, weights, arg(p, 5));
}

// A, packed weights, scales
static enum reel_err table_product(struct parts *p)
{
    struct value *weights = NULL;
    enum reel_err err = import_packed_table(p->im, p->scope, p->proto, p->in, &weights);
    return err ? err : product_with(p, weights, NULL);
}

// ---- attention ------------------------------------------------------------------

// The widths of query, key and value, when the file states them; NULL: all alike.
static enum reel_err widths_of(struct parts *p, struct value **out_widths)
{
    const Onnx__AttributeProto *a = NULL;
    for (size_t i = 0; i < p->proto->n_attribute; i++)
        if (!strcmp(import_text(p->proto->attribute[i]->name), "qkv_hidden_sizes")) a = p->proto->attribute[i];
    *out_widths = NULL;
    if (!a || !a->n_ints) return REEL_OK;
    if (a->n_ints != 3) return reel_fail(REEL_ERR_INPUT, "its qkv_hidden_sizes are %zu numbers", a->n_ints);
    struct reel_tensor t;
    enum reel_err err = reel_tensor_init(&t, REEL_I64, &(struct reel_shape){.ndim = 1, .dim = {3}});
    if (err) return err;
    memcpy(t.data, a->ints, 3 * sizeof(int64_t));
    *out_widths = graph_add_constant(p->scope->graph, NULL, &t);
    if (*out_widths) return REEL_OK;
    reel_tensor_fini(&t);
    return import_no_memory();
}

// input, weights and bias of query, key and value side by side, mask_index, past, attention_bias:
// their product, cut into three, and MultiHeadAttention
static enum reel_err packed_attention(struct parts *p)
{
    if (arg(p, 3) || arg(p, 4) || arg(p, 6))
        return reel_fail(REEL_ERR_UNSUPPORTED, "the input %s is not supported",
                         arg(p, 3)   ? "mask_index"
                         : arg(p, 4) ? "past"
                                     : "past_sequence_length");
    struct value *product = NULL, *sum = NULL, *widths = NULL, *part[3] = {NULL};
    struct node *split = NULL, *node = NULL;
    enum reel_err err = add_one(p, "MatMul", arg(p, 0), arg(p, 1), NULL, NULL, &product);
    if (!err && arg(p, 2)) err = add_one(p, "Add", product, arg(p, 2), NULL, NULL, &sum);
    if (!err) err = widths_of(p, &widths);
    struct value *const in[] = {sum ? sum : product, widths};
    if (!err) err = add(p, "Split", OPSET, false, in, widths ? 2 : 1, part, 3, &split);
    const struct attr axis = {.name = "axis", .type = ATTR_INT, .u.i = -1};
    if (!err) err = set_attrs(p, split, &axis, 1);
    struct value *const qkv[] = {part[0], part[1], part[2], NULL, NULL, arg(p, 5)};
    if (!err) err = add_of(p, MS, "MultiHeadAttention", 1, true, qkv, arg(p, 5) ? 6 : 3, &p->out, 1, &node);
    return err ? err : import_attrs(p->im, p->scope, p->proto, node);
}

// ---- operators that ONNX has by now -----------------------------------------

static enum reel_err grid_sample(struct parts *p)
{
    return same_as(p, "GridSample", OPSET_GRID);
}

static enum reel_err trilu(struct parts *p)
{
    return same_as(p, "Trilu", OPSET_TRILU);
}

// FusedMatMul's name before it had transBatchA and transBatchB.
static enum reel_err old_fused_product(struct parts *p)
{
    struct node *node = NULL;
    enum reel_err err = add_of(p, MS, "FusedMatMul", 1, true, p->in, p->n_in, &p->out, 1, &node);
    return err ? err : import_attrs(p->im, p->scope, p->proto, node);
}

static enum reel_err rms_norm(struct parts *p)
{
    return same_as(p, "RMSNormalization", OPSET_RMS);
}

// ---- table --------------------------------------------------------------------

struct fused {
    const char *domain, *type;
    int min_in, max_in;
    enum reel_err (*make)(struct parts *p);
    bool only_channels_last; // otherwise the operator table's
};

static const struct fused table[] = {
    {MS, "Attention", 2, 7, packed_attention, false},
    {MS, "DynamicQuantizeMatMul", 3, 5, dynamic_product, false},
    {MS, "FusedConv", 2, 4, fused_conv, false},
    {MS, "FusedGemm", 2, 3, fused_gemm, false},
    {MS, "GridSample", 2, 2, grid_sample, false},
    {MS, "MatMulBnb4", 3, 3, table_product, false},
    {MS, "MatMulIntegerToFloat", 4, 7, integer_product, false},
    {MS, "MatMulNBits", 3, 6, packed_product, false},
    {MS, "NhwcMaxPool", 1, 1, max_pool, false},
    {MS, "QLinearAveragePool", 4, 5, average_pool, true},
    {MS, "QLinearConv", 8, 9, quantised_conv, false},
    {MS, "QLinearGlobalAveragePool", 4, 5, global_pool, true},
    {MS, "QLinearWhere", 9, 9, quantised_where, false},
    {MS, "TransposeMatMul", 2, 2, old_fused_product, false},
    {MS, "Trilu", 1, 2, trilu, false},
    {"", "SimplifiedLayerNormalization", 2, 2, rms_norm, false},
};

const char *import_fused_name(int i, const char **out_domain)
{
    if (i < 0 || i >= (int)(sizeof table / sizeof *table)) return NULL;
    *out_domain = table[i].domain;
    return table[i].type;
}

enum reel_err import_fused(struct importer *im, struct scope *scope, const Onnx__NodeProto *proto, const char *domain,
                           struct value **in, struct value **out, bool *out_done)
{
    *out_done = false;
    const struct fused *f = NULL;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (!strcmp(table[i].domain, domain) && !strcmp(table[i].type, import_text(proto->op_type))) f = &table[i];
    if (!f || (f->only_channels_last && !is_channels_last(proto))) return REEL_OK;
    int n_in = (int)proto->n_input;
    while (n_in && !in[n_in - 1]) n_in--;
    if (n_in < f->min_in || n_in > f->max_in) return reel_fail(REEL_ERR_INPUT, "it has %d inputs", n_in);
    if (!in[0] || (n_in > 1 && !in[1])) return reel_fail(REEL_ERR_INPUT, "an input is missing");
    for (size_t i = 1; i < proto->n_output; i++)
        if (out[i]) return reel_fail(REEL_ERR_UNSUPPORTED, "only its first output is supported");
    if (proto->n_output < 1 || !out[0]) return reel_fail(REEL_ERR_INPUT, "it has no output");
    struct parts parts = {.im = im, .scope = scope, .proto = proto, .in = in, .n_in = n_in, .out = out[0]};
    *out_done = true;
    return f->make(&parts);
}

// SPDX-License-Identifier: MIT
//
// ONNX file -> graph; see import.h. The file is scanned (wire.c), unpacked by
// protobuf-c, then walked once: values are declared before nodes are made, so
// that nodes may stand in any order, and nodes are sorted at the end. Names
// live in scopes: a body's scope lies within that of its node; a function's
// scope stands alone and binds its formal names to the caller's values. Its other
// files: importer.h.
#include "worker/onnx/import.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "worker/onnx/importer.h"
#include "worker/onnx/wire.h"

// protobuf-c's structures may take this much more than the file itself: a
// message of two bytes becomes a structure of some hundred.
#define UNPACK_FACTOR 4
#define UNPACK_EXTRA ((uint64_t)256 << 20)
// Keeps the look over the file short; the largest real graphs have a few
// hundred thousand fields outside their tensors.
#define MAX_FIELDS INT64_C(50000000)

static const char *domain_of(const Onnx__NodeProto *node)
{
    return node->domain && strcmp(node->domain, "ai.onnx") ? node->domain : "";
}

// Puts the node's name in front of the text. Where nesting itself is the fault,
// the outermost node is enough.
static enum reel_err in_node(enum reel_err err, const struct scope *scope, const Onnx__NodeProto *node)
{
    if (err == REEL_ERR_LIMIT && scope->depth > 0) return err;
    const char *domain = domain_of(node);
    return reel_fail_prefix(err, "node \"%.200s\" (%.100s%s%.100s): ",
                            node->name && *node->name ? node->name
                            : node->n_output          ? node->output[0]
                                                      : "",
                            domain, *domain ? "." : "", import_text(node->op_type));
}

// ---- values -----------------------------------------------------------------

// Sequences and optionals of tensors: what they hold is found out later
// (graph/sequence.c). Only their element type is kept. The types that *type
// becomes have no more than these two levels.
static enum list_kind list_kind_of(const Onnx__TypeProto **type)
{
    enum list_kind kind = LIST_NOT;
    if ((*type)->value_case == ONNX__TYPE_PROTO__VALUE_OPTIONAL_TYPE && (*type)->optional_type->elem_type) {
        kind = LIST_OPTIONAL;
        *type = (*type)->optional_type->elem_type;
    }
    if ((*type)->value_case == ONNX__TYPE_PROTO__VALUE_SEQUENCE_TYPE && (*type)->sequence_type->elem_type) {
        if (!kind) kind = LIST_SEQUENCE;
        *type = (*type)->sequence_type->elem_type;
    }
    return kind;
}

static enum reel_err set_type(struct value *v, const Onnx__TypeProto *type)
{
    if (!type || type->value_case == ONNX__TYPE_PROTO__VALUE__NOT_SET) return REEL_OK;
    v->list = list_kind_of(&type);
    if (type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE || !type->tensor_type)
        return reel_fail(REEL_ERR_UNSUPPORTED, "\"%.200s\" is not a dense tensor (sequence, optional, map or sparse)",
                         v->name);
    const Onnx__TypeProto__Tensor *t = type->tensor_type;
    if (t->elem_type) {
        v->dtype = tensor_dtype(t->elem_type);
        if (v->dtype == REEL_DTYPE_NONE)
            return reel_fail(REEL_ERR_UNSUPPORTED, "\"%.200s\": element type %s (%d) is not supported", v->name,
                             tensor_type_name(t->elem_type), t->elem_type);
    }
    if (!t->shape || v->list) return REEL_OK;
    if (t->shape->n_dim > REEL_MAX_DIMS)
        return reel_fail(REEL_ERR_UNSUPPORTED, "\"%.200s\" has %zu dimensions, more than %d", v->name, t->shape->n_dim,
                         REEL_MAX_DIMS);
    v->shape.ndim = (int)t->shape->n_dim;
    for (int i = 0; i < v->shape.ndim; i++) {
        const Onnx__TensorShapeProto__Dimension *d = t->shape->dim[i];
        bool known = d->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
        v->shape.dim[i] = known && d->dim_value >= 0 ? d->dim_value : -1;
        if (d->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM && d->dim_param && *d->dim_param) {
            v->dim_param[i] = graph_strdup(v->owner, d->dim_param);
            if (!v->dim_param[i]) return import_no_memory();
        }
    }
    return REEL_OK;
}

// ---- nodes ------------------------------------------------------------------

static int64_t opset_of(const struct importer *im, const struct scope *scope, const char *domain)
{
    const struct scope *s = scope;
    while (s && !s->function) s = s->outer;
    for (int pass = s ? 0 : 1; pass < 2; pass++) {
        size_t n = pass == 0 ? s->function->n_opset_import : im->model->n_opset_import;
        Onnx__OperatorSetIdProto **list = pass == 0 ? s->function->opset_import : im->model->opset_import;
        for (size_t i = 0; i < n; i++) {
            const char *d = import_text(list[i]->domain);
            if (!strcmp(d, "ai.onnx")) d = "";
            if (!strcmp(d, domain)) return list[i]->version;
        }
    }
    // Before IR version 3 there were no opset imports, and one opset.
    return !*domain && im->model->ir_version < 3 ? 1 : 0;
}

static enum reel_err find_op(const struct importer *im, const struct scope *scope, const Onnx__NodeProto *proto,
                             const struct op_def **out_op, int *out_opset)
{
    const char *domain = domain_of(proto), *type = import_text(proto->op_type);
    int64_t opset = opset_of(im, scope, domain);
    *out_op = NULL;
    *out_opset = 0;
    if (opset <= 0 || opset > 1000)
        return reel_fail(REEL_ERR_INPUT, "the model does not import an opset of domain \"%.100s\"",
                         *domain ? domain : "ai.onnx");
    bool known;
    *out_opset = (int)opset;
    *out_op = op_find(domain, type, (int)opset, &known);
    if (*out_op) return REEL_OK;
    if (known)
        return reel_fail(REEL_ERR_UNSUPPORTED, "operator %.100s is not supported in opset %d, only in other opsets",
                         type, (int)opset);
    if (!strncmp(domain, "com.microsoft.nchwc", strlen("com.microsoft.nchwc")))
        return reel_fail(REEL_ERR_UNSUPPORTED,
                         "operator %.60s.%.100s is specific to ONNX Runtime on one kind of processor\nsave the model "
                         "with optimisation level \"extended\" or below, not \"all\"",
                         domain, type);
    return reel_fail(REEL_ERR_UNSUPPORTED, "operator %s%s%.100s (opset %d) is not supported", domain,
                     *domain ? "." : "", type, (int)opset);
}

static enum reel_err check_arity(const struct op_def *op, const Onnx__NodeProto *proto)
{
    size_t n_in = proto->n_input, n_out = proto->n_output;
    while (n_in && !*proto->input[n_in - 1]) n_in--;
    while (n_out && !*proto->output[n_out - 1]) n_out--;
    if (n_in < (size_t)op->min_in || (op->max_in >= 0 && n_in > (size_t)op->max_in))
        return reel_fail(REEL_ERR_INPUT, "it has %zu inputs", n_in);
    if (n_out < (size_t)op->min_out || (op->max_out >= 0 && n_out > (size_t)op->max_out))
        return reel_fail(REEL_ERR_INPUT, "it has %zu outputs", n_out);
    return REEL_OK;
}

// A Constant node becomes the value's data. *out_done stays false for the kinds
// that are left to the operator (and refused there).
static enum reel_err import_constant(struct importer *im, struct scope *scope, const Onnx__NodeProto *proto,
                                     bool *out_done)
{
    *out_done = false;
    if (proto->n_output != 1 || !*proto->output[0] || proto->n_attribute < 1) return REEL_OK;
    struct scope *where = scope;
    Onnx__AttributeProto *a = import_resolve(im, proto->attribute[0], &where);
    if (!a) return REEL_OK;
    const char *name = import_text(proto->attribute[0]->name);
    struct reel_tensor t = {0};
    struct reel_shape vector = {.ndim = 1};
    enum reel_err err = REEL_OK;
    im->source.keep = scope->in_function;
    if (!strcmp(name, "value") && a->t) {
        err = tensor_from_proto(a->t, &im->source, &t);
    } else if (!strcmp(name, "sparse_value") && a->sparse_tensor) {
        err = tensor_from_sparse(a->sparse_tensor, &im->source, &t);
    } else if (!strcmp(name, "value_int") || !strcmp(name, "value_float")) {
        bool whole = name[6] == 'i';
        if (whole ? !a->has_i : !a->has_f) return REEL_OK;
        err = reel_tensor_init(&t, whole ? REEL_I64 : REEL_F32, &(struct reel_shape){0});
        if (!err) memcpy(t.data, whole ? (const void *)&a->i : (const void *)&a->f, whole ? 8 : 4);
    } else if (!strcmp(name, "value_ints") || !strcmp(name, "value_floats")) {
        bool whole = name[6] == 'i';
        vector.dim[0] = (int64_t)(whole ? a->n_ints : a->n_floats);
        err = reel_tensor_init(&t, whole ? REEL_I64 : REEL_F32, &vector);
        if (!err && vector.dim[0])
            memcpy(t.data, whole ? (const void *)a->ints : (const void *)a->floats, reel_tensor_bytes(&t));
    } else {
        return REEL_OK;
    }
    if (err) return err;
    struct value *v = names_get(&scope->names, proto->output[0]);
    if (!v || !graph_make_constant(scope->graph, v, &t)) {
        reel_tensor_fini(&t);
        return import_no_memory();
    }
    *out_done = true;
    return REEL_OK;
}

static enum reel_err collect_args(const struct scope *scope, const Onnx__NodeProto *proto, struct value **in,
                                  struct value **out)
{
    for (size_t i = 0; i < proto->n_input; i++) {
        in[i] = *proto->input[i] ? scope_find(scope, proto->input[i]) : NULL;
        if (*proto->input[i] && !in[i])
            return reel_fail(REEL_ERR_INPUT, "its input \"%.200s\" is not produced by any node", proto->input[i]);
    }
    for (size_t i = 0; i < proto->n_output; i++)
        out[i] = *proto->output[i] ? names_get(&scope->names, proto->output[i]) : NULL;
    return REEL_OK;
}

static enum reel_err add_plain_node(struct importer *im, struct scope *scope, const Onnx__NodeProto *proto,
                                    struct value **in, struct value **out)
{
    const struct op_def *op;
    int opset;
    enum reel_err err = find_op(im, scope, proto, &op, &opset);
    if (!err) err = check_arity(op, proto);
    if (err) return err;
    if (++im->n_nodes > im->params.max_nodes)
        return reel_fail(REEL_ERR_LIMIT, "the model has more than %d nodes", im->params.max_nodes);
    bool done = false;
    if (!strcmp(op->name, "Constant") && !*op->domain) err = import_constant(im, scope, proto, &done);
    if (err || done) return err;

    char *name = NULL;
    if (*scope->prefix && proto->name && *proto->name && asprintf(&name, "%s/%s", scope->prefix, proto->name) < 0)
        return import_no_memory();
    struct node *node = graph_add_node(scope->graph, NULL, op->name, name ? name : import_text(proto->name), in,
                                       (int)proto->n_input, out, (int)proto->n_output);
    free(name);
    if (!node) return import_no_memory();
    node->domain = op->domain;
    node->op = op;
    node->opset = opset;
    return import_attrs(im, scope, proto, node);
}

// ---- functions --------------------------------------------------------------

static int compare_names(const char *domain_a, const char *name_a, const char *domain_b, const char *name_b)
{
    int c = strcmp(name_a, name_b);
    return c ? c : strcmp(domain_a, domain_b);
}

static int compare_functions(const void *a, const void *b)
{
    const Onnx__FunctionProto *x = *(Onnx__FunctionProto *const *)a, *y = *(Onnx__FunctionProto *const *)b;
    return compare_names(import_text(x->domain), import_text(x->name), import_text(y->domain), import_text(y->name));
}

static const Onnx__FunctionProto *find_function(const struct importer *im, const Onnx__NodeProto *node)
{
    size_t lo = 0, hi = im->n_functions;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        const Onnx__FunctionProto *f = im->functions[mid];
        int c = compare_names(import_text(node->domain), import_text(node->op_type), import_text(f->domain),
                              import_text(f->name));
        if (c == 0) return f;
        if (c < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return NULL;
}

static enum reel_err import_nodes(struct importer *im, struct scope *scope, Onnx__NodeProto **nodes, size_t n);

static enum reel_err identity(struct importer *im, struct scope *scope, struct value *from, struct value *to)
{
    struct node *node = graph_add_node(scope->graph, NULL, "Identity", NULL, &from, 1, &to, 1);
    if (!node) return import_no_memory();
    node->op = op_find("", "Identity", 13, NULL);
    node->opset = 13;
    im->n_nodes++;
    return node->op ? REEL_OK : reel_fail(REEL_ERR_UNSUPPORTED, "operator Identity is not supported");
}

static enum reel_err fill_function(struct importer *im, struct scope *inside, struct value **in, struct value **out)
{
    const Onnx__FunctionProto *f = inside->function;
    // Formal inputs first, then those formal outputs that some node gives.
    for (size_t i = 0; i < f->n_input && i < inside->call->n_input; i++)
        if (in[i] && !names_put(&inside->names, f->input[i], in[i])) return import_no_memory();
    static struct value mark;
    struct names given = {0};
    enum reel_err err = REEL_OK;
    for (size_t i = 0; !err && i < f->n_node; i++)
        for (size_t k = 0; !err && k < f->node[i]->n_output; k++)
            if (*f->node[i]->output[k] && !names_put(&given, f->node[i]->output[k], &mark)) err = import_no_memory();
    for (size_t i = 0; !err && i < f->n_output && i < inside->call->n_output; i++)
        if (out[i] && names_get(&given, f->output[i]) && !names_put(&inside->names, f->output[i], out[i]))
            err = import_no_memory();
    if (!err) err = import_nodes(im, inside, f->node, f->n_node);
    for (size_t i = 0; !err && i < f->n_output && i < inside->call->n_output; i++) {
        if (!out[i] || out[i]->producer || out[i]->constant) continue;
        struct value *from = names_get(&inside->names, f->output[i]);
        if (!from || from == out[i])
            err = reel_fail(REEL_ERR_INPUT, "output \"%.200s\" of the function is not produced by any node",
                            f->output[i]);
        else
            err = identity(im, inside, from, out[i]);
    }
    free(given.slots);
    return err;
}

static enum reel_err inline_function(struct importer *im, struct scope *scope, const Onnx__NodeProto *proto,
                                     const Onnx__FunctionProto *function, struct value **in, struct value **out)
{
    if (scope->depth >= im->params.max_depth)
        return reel_fail(REEL_ERR_LIMIT, "functions and bodies nest deeper than %d", im->params.max_depth);
    if (proto->n_input > function->n_input || proto->n_output > function->n_output)
        return reel_fail(REEL_ERR_INPUT, "it has more arguments than the function it calls");
    if (++im->n_calls > im->params.max_nodes)
        return reel_fail(REEL_ERR_LIMIT, "the model calls more than %d functions", im->params.max_nodes);
    char prefix[160];
    snprintf(prefix, sizeof prefix, "%.120s#%d", import_text(proto->op_type), im->n_calls);
    struct scope inside = {.graph = scope->graph,
                           .function = function,
                           .call = proto,
                           .caller = scope,
                           .prefix = prefix,
                           .in_function = true,
                           .depth = scope->depth + 1};
    // An input named as in a caller's outer graph stays reachable: values are
    // bound by pointer, not by name.
    enum reel_err err = fill_function(im, &inside, in, out);
    free(inside.names.slots);
    return err;
}

// ---- graphs -----------------------------------------------------------------

static enum reel_err declare_outputs(struct scope *scope, const Onnx__NodeProto *proto)
{
    for (size_t k = 0; k < proto->n_output; k++) {
        const char *name = proto->output[k];
        if (!*name) continue;
        struct value *have = names_get(&scope->names, name);
        // A function's formal output was bound before; nobody may give it twice.
        bool formal = have && scope->function && !have->is_input && !have->constant && !have->producer;
        if (have && !formal)
            return reel_fail(REEL_ERR_INPUT, "its output \"%.200s\" is also produced by another node or input", name);
        if (!have && !scope_declare(scope, name)) return import_no_memory();
    }
    return REEL_OK;
}

static enum reel_err import_node(struct importer *im, struct scope *scope, const Onnx__NodeProto *proto)
{
    size_t n = proto->n_input + proto->n_output;
    if (n > INT32_MAX / 2) return reel_fail(REEL_ERR_LIMIT, "it has %zu arguments", n);
    struct value **args = calloc(n + 1, sizeof(*args));
    if (!args) return import_no_memory();
    struct value **out = args + proto->n_input;
    enum reel_err err = collect_args(scope, proto, args, out);
    for (size_t i = 0; !err && i < proto->n_output; i++) // two nodes of a function for one formal output
        if (out[i] && (out[i]->producer || out[i]->constant))
            err = reel_fail(REEL_ERR_INPUT, "its output \"%.200s\" is given twice", proto->output[i]);
    const Onnx__FunctionProto *function = im->n_functions ? find_function(im, proto) : NULL;
    const char *domain = domain_of(proto);
    bool done = false;
    if (!err && !function && opset_of(im, scope, domain) > 0)
        err = import_fused(im, scope, proto, domain, args, out, &done);
    if (!err && !done)
        err = function ? inline_function(im, scope, proto, function, args, out)
                       : add_plain_node(im, scope, proto, args, out);
    free(args);
    return err;
}

static enum reel_err import_nodes(struct importer *im, struct scope *scope, Onnx__NodeProto **nodes, size_t n)
{
    enum reel_err err = REEL_OK;
    for (size_t i = 0; i < n && !err; i++) {
        err = declare_outputs(scope, nodes[i]);
        if (err) return in_node(err, scope, nodes[i]);
    }
    for (size_t i = 0; i < n && !err; i++) {
        err = import_node(im, scope, nodes[i]);
        if (err) return in_node(err, scope, nodes[i]);
    }
    return err;
}

static enum reel_err import_initializers(struct importer *im, struct scope *scope, Onnx__GraphProto *proto)
{
    im->source.keep = scope->in_function;
    for (size_t i = 0; i < proto->n_initializer + proto->n_sparse_initializer; i++) {
        bool dense = i < proto->n_initializer;
        Onnx__SparseTensorProto *sparse = dense ? NULL : proto->sparse_initializer[i - proto->n_initializer];
        const char *name = import_text(dense            ? proto->initializer[i]->name
                                       : sparse->values ? sparse->values->name
                                                        : NULL);
        if (names_get(&scope->names, name))
            return reel_fail(REEL_ERR_INPUT, "initializer \"%.200s\" is given twice", name);
        struct reel_tensor t;
        enum reel_err err = dense ? tensor_from_proto(proto->initializer[i], &im->source, &t)
                                  : tensor_from_sparse(sparse, &im->source, &t);
        if (err) return reel_fail_prefix(err, "initializer \"%.200s\": ", name);
        struct value *v = scope_declare(scope, name);
        if (!v || !graph_make_constant(scope->graph, v, &t)) {
            reel_tensor_fini(&t);
            return import_no_memory();
        }
    }
    return REEL_OK;
}

static enum reel_err import_inputs(struct importer *im, struct scope *scope, const Onnx__GraphProto *proto)
{
    struct graph *graph = scope->graph;
    graph->inputs = graph_alloc(graph, (proto->n_input + 1) * sizeof(*graph->inputs));
    if (!graph->inputs) return import_no_memory();
    for (size_t i = 0; i < proto->n_input; i++) {
        const char *name = import_text(proto->input[i]->name);
        struct value *v = names_get(&scope->names, name);
        if (v && v->constant) continue; // an initializer that is also listed as an input
        if (v || !*name) return reel_fail(REEL_ERR_INPUT, "input \"%.200s\" is given twice or has no name", name);
        if (!(v = scope_declare(scope, name))) return import_no_memory();
        v->is_input = true;
        graph->inputs[graph->n_inputs++] = v;
        enum reel_err err = set_type(v, proto->input[i]->type);
        if (err) return reel_fail_prefix(err, "input ");
    }
    return REEL_OK;
}

static enum reel_err import_outputs(struct importer *im, struct scope *scope, const Onnx__GraphProto *proto)
{
    struct graph *graph = scope->graph;
    graph->outputs = graph_alloc(graph, (proto->n_output + 1) * sizeof(*graph->outputs));
    if (!graph->outputs) return import_no_memory();
    for (size_t i = 0; i < proto->n_output; i++) {
        const char *name = import_text(proto->output[i]->name);
        struct value *v = scope_find(scope, name);
        if (!v) return reel_fail(REEL_ERR_INPUT, "output \"%.200s\" is not produced by any node", name);
        v->is_output = v->owner == graph;
        graph->outputs[graph->n_outputs++] = v;
        if (v->is_input || v->constant || v->owner != graph) continue;
        enum reel_err err = set_type(v, proto->output[i]->type);
        if (err) return reel_fail_prefix(err, "output ");
    }
    return REEL_OK;
}

// ---- a graph ----------------------------------------------------------------

static enum reel_err fill_graph(struct importer *im, struct scope *scope, Onnx__GraphProto *proto)
{
    scope->graph->name = graph_strdup(scope->graph, import_text(proto->name));
    if (!scope->graph->name) return import_no_memory();
    int64_t opset = opset_of(im, scope, "");
    scope->graph->opset = opset > 0 && opset <= 1000 ? (int)opset : 0;
    enum reel_err err = import_initializers(im, scope, proto);
    if (!err) err = import_inputs(im, scope, proto);
    if (!err) err = import_nodes(im, scope, proto->node, proto->n_node);
    if (!err) err = import_outputs(im, scope, proto);
    if (!err) err = graph_sort(scope->graph);
    return err;
}

enum reel_err import_body(struct importer *im, Onnx__GraphProto *proto, struct scope *outer, struct graph **out_graph)
{
    if (outer->depth >= im->params.max_depth)
        return reel_fail(REEL_ERR_LIMIT, "functions and bodies nest deeper than %d", im->params.max_depth);
    struct graph *body = graph_create(outer->graph);
    if (!body) return import_no_memory();
    struct scope scope = {
        .outer = outer, .graph = body, .prefix = "", .in_function = outer->in_function, .depth = outer->depth + 1};
    enum reel_err err = fill_graph(im, &scope, proto);
    free(scope.names.slots);
    *out_graph = body;
    return err;
}

// ---- the model --------------------------------------------------------------

static enum reel_err import_meta(struct graph *graph, const Onnx__ModelProto *model)
{
    graph->producer = model->producer_name ? graph_strdup(graph, model->producer_name) : NULL;
    graph->description = model->doc_string ? graph_strdup(graph, model->doc_string) : NULL;
    size_t n = model->n_metadata_props;
    graph->meta_keys = graph_alloc(graph, (n + 1) * sizeof(*graph->meta_keys));
    graph->meta_values = graph_alloc(graph, (n + 1) * sizeof(*graph->meta_values));
    if (!graph->meta_keys || !graph->meta_values) return import_no_memory();
    for (size_t i = 0; i < n; i++) {
        graph->meta_keys[i] = graph_strdup(graph, import_text(model->metadata_props[i]->key));
        graph->meta_values[i] = graph_strdup(graph, import_text(model->metadata_props[i]->value));
        if (!graph->meta_keys[i] || !graph->meta_values[i]) return import_no_memory();
        graph->n_meta++;
    }
    return REEL_OK;
}

static enum reel_err import_model(struct importer *im, struct graph **out_graph)
{
    if (!im->model->graph) return reel_fail(REEL_ERR_INPUT, "it is not an ONNX model: it has no graph");
    im->n_functions = im->model->n_functions;
    im->functions = calloc(im->n_functions + 1, sizeof(*im->functions));
    if (!im->functions) return import_no_memory();
    size_t imports = im->model->n_opset_import;
    for (size_t i = 0; i < im->n_functions; i++) {
        im->functions[i] = im->model->functions[i];
        if (im->functions[i]->n_opset_import > imports) imports = im->functions[i]->n_opset_import;
    }
    if (imports > MAX_LIST) return reel_fail(REEL_ERR_LIMIT, "it imports %zu opsets", imports);
    qsort(im->functions, im->n_functions, sizeof(*im->functions), compare_functions);
    for (size_t i = 1; i < im->n_functions; i++)
        if (!compare_functions(&im->functions[i - 1], &im->functions[i]))
            return reel_fail(REEL_ERR_INPUT, "function \"%.200s\" is defined twice",
                             import_text(im->functions[i]->name));

    struct graph *graph = graph_create(NULL);
    if (!graph) return import_no_memory();
    struct scope scope = {.graph = graph, .prefix = ""};
    enum reel_err err = fill_graph(im, &scope, im->model->graph);
    if (!err && graph->n_outputs == 0) err = reel_fail(REEL_ERR_INPUT, "it has no outputs");
    if (!err) err = import_meta(graph, im->model);
    free(scope.names.slots);
    if (err) {
        graph_destroy(&graph);
        return err;
    }
    graph_count_uses(graph);
    *out_graph = graph;
    return REEL_OK;
}

static enum reel_err check_bytes(const uint8_t *bytes, size_t count, const struct import_params *params)
{
    static const char lfs[] = "version https://git-lfs";
    if (count == 0) return reel_fail(REEL_ERR_INPUT, "the file is empty");
    if (count >= sizeof lfs - 1 && !memcmp(bytes, lfs, sizeof lfs - 1))
        return reel_fail(REEL_ERR_INPUT, "it is a Git LFS pointer, not the model itself\n`git lfs pull` in its "
                                         "repository fetches the model");
    if (count > params->max_file_bytes)
        return reel_fail(REEL_ERR_LIMIT, "it is %zu MiB large, more than the %llu allowed", count >> 20,
                         (unsigned long long)params->max_file_bytes >> 20);
    struct wire_limits limits = {
        .max_depth = params->max_depth, .max_nodes = params->max_nodes, .max_fields = MAX_FIELDS};
    int64_t nodes;
    enum reel_err err = wire_check_model(bytes, count, &limits, &nodes);
    if (err == REEL_ERR_INPUT) err = reel_fail_prefix(err, "it is not an ONNX model: ");
    return err;
}

enum reel_err import_memory(const void *bytes, size_t count, const char *name, int folder_fd,
                            const struct import_params *params, struct graph **out_graph)
{
    struct pb_memory memory;
    pb_memory_init(&memory, (uint64_t)count * UNPACK_FACTOR + UNPACK_EXTRA);
    struct importer im = {.params = IMPORT_DEFAULTS, .memory = &memory};
    if (params) im.params = *params;
    im.source = (struct tensor_source){.folder_fd = folder_fd, .bytes_left = im.params.max_file_bytes};
    *out_graph = NULL;
    enum reel_err err = check_bytes(bytes, count, &im.params);
    if (!err) {
        im.source.bytes_left -= count;
        im.model = onnx__model_proto__unpack(&memory.allocator, count, bytes);
        err = im.model ? import_model(&im, out_graph)
                       : reel_fail(REEL_ERR_INPUT, "it is not an ONNX model: its bytes are damaged or truncated");
    }
    while (im.defaults) {
        struct default_attr *gone = im.defaults;
        im.defaults = gone->next;
        onnx__attribute_proto__free_unpacked(gone->proto, &memory.allocator);
        free(gone);
    }
    free(im.functions);
    if (im.model) onnx__model_proto__free_unpacked(im.model, &memory.allocator);
    return err ? reel_fail_prefix(err, "could not read model \"%s\": ", name) : REEL_OK;
}

static enum reel_err read_all(int fd, const struct import_params *params, uint8_t **out_bytes, size_t *out_count)
{
    struct stat st;
    if (fstat(fd, &st)) return reel_fail(REEL_ERR_IO, "%s", strerror(errno));
    if (!S_ISREG(st.st_mode)) return reel_fail(REEL_ERR_INPUT, "it is not a file");
    if ((uint64_t)st.st_size > params->max_file_bytes)
        return reel_fail(REEL_ERR_LIMIT, "it is %lld MiB large, more than the %llu allowed",
                         (long long)st.st_size >> 20, (unsigned long long)params->max_file_bytes >> 20);
    size_t count = (size_t)st.st_size;
    uint8_t *bytes = malloc(count + 1);
    if (!bytes) return reel_fail(REEL_ERR_NOMEM, "out of memory for its %zu MiB", count >> 20);
    for (size_t done = 0; done < count;) {
        ssize_t n = read(fd, bytes + done, count - done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            free(bytes);
            return n ? reel_fail(REEL_ERR_IO, "%s", strerror(errno))
                     : reel_fail(REEL_ERR_IO, "it became shorter while it was read");
        }
        done += (size_t)n;
    }
    *out_bytes = bytes;
    *out_count = count;
    return REEL_OK;
}

static int open_folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
    int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    free(folder);
    return fd;
}

enum reel_err import_file(const char *path, const struct import_params *params, struct graph **out_graph)
{
    static const struct import_params defaults = IMPORT_DEFAULTS;
    *out_graph = NULL;
    // Non-blocking, so that a FIFO is refused instead of waited for.
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return reel_fail(REEL_ERR_IO, "could not open model \"%s\": %s", path, strerror(errno));
    uint8_t *bytes = NULL;
    size_t count = 0;
    enum reel_err err = read_all(fd, params ? params : &defaults, &bytes, &count);
    close(fd);
    if (err) return reel_fail_prefix(err, "could not read model \"%s\": ", path);
    err = import_read(path, bytes, count, params, out_graph);
    free(bytes);
    return err;
}

enum reel_err import_read(const char *path, const void *bytes, size_t count, const struct import_params *params,
                          struct graph **out_graph)
{
    *out_graph = NULL;
    int folder_fd = open_folder_of(path);
    enum reel_err err = import_memory(bytes, count, path, folder_fd, params, out_graph);
    if (folder_fd >= 0) close(folder_fd);
    return err;
}

enum reel_err import_tensor_bytes(const void *bytes, size_t count, struct reel_tensor *out_t, char *out_name,
                                  size_t name_bytes)
{
    struct pb_memory memory;
    pb_memory_init(&memory, (uint64_t)count * UNPACK_FACTOR + UNPACK_EXTRA);
    *out_t = (struct reel_tensor){.shape.ndim = 0};
    Onnx__TensorProto *proto = onnx__tensor_proto__unpack(&memory.allocator, count, bytes);
    if (!proto) return reel_fail(REEL_ERR_INPUT, "could not read tensor: its bytes are damaged or truncated");
    struct tensor_source source = {.folder_fd = -1};
    enum reel_err err = tensor_from_proto(proto, &source, out_t);
    if (out_name && name_bytes) snprintf(out_name, name_bytes, "%s", import_text(proto->name));
    onnx__tensor_proto__free_unpacked(proto, &memory.allocator);
    return err ? reel_fail_prefix(err, "could not read tensor: ") : REEL_OK;
}

const char *import_library(void)
{
    return protobuf_c_version();
}

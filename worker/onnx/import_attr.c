// SPDX-License-Identifier: MIT
//
// Attributes of nodes, see importer.h: numbers, strings, tensors, bodies, and
// references from within a function to the calling node's.
#include <stdlib.h>
#include <string.h>

#include "worker/onnx/importer.h"

static enum attr_type attr_type_of(const Onnx__AttributeProto *a, bool *out_known)
{
    *out_known = true;
    switch (a->has_type ? a->type : ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__UNDEFINED) {
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT:
        return ATTR_FLOAT;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT:
        return ATTR_INT;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING:
        return ATTR_STRING;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR:
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__SPARSE_TENSOR:
        return ATTR_TENSOR;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPH:
        return ATTR_GRAPH;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS:
        return ATTR_FLOATS;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS:
        return ATTR_INTS;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRINGS:
        return ATTR_STRINGS;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__UNDEFINED:
        break; // before IR version 2 the field itself says what it is
    default:
        *out_known = false;
        return ATTR_INT;
    }
    if (a->has_f) return ATTR_FLOAT;
    if (a->has_i) return ATTR_INT;
    if (a->has_s) return ATTR_STRING;
    if (a->t || a->sparse_tensor) return ATTR_TENSOR;
    if (a->g) return ATTR_GRAPH;
    if (a->n_floats) return ATTR_FLOATS;
    if (a->n_strings) return ATTR_STRINGS;
    return ATTR_INTS;
}

static enum reel_err attr_strings(struct graph *graph, const Onnx__AttributeProto *a, struct attr *out)
{
    const char **strings = graph_alloc(graph, (a->n_strings + 1) * sizeof(*strings));
    if (!strings) return import_no_memory();
    for (size_t i = 0; i < a->n_strings; i++) {
        char *s = graph_alloc(graph, a->strings[i].len + 1);
        if (!s) return import_no_memory();
        if (a->strings[i].len) memcpy(s, a->strings[i].data, a->strings[i].len);
        strings[i] = s;
    }
    out->u.strings = strings;
    out->count = (int)a->n_strings;
    return REEL_OK;
}

static enum reel_err attr_numbers(struct graph *graph, const Onnx__AttributeProto *a, struct attr *out)
{
    bool ints = out->type == ATTR_INTS;
    size_t n = ints ? a->n_ints : a->n_floats, item = ints ? sizeof *a->ints : sizeof *a->floats;
    if (n > INT32_MAX) return reel_fail(REEL_ERR_LIMIT, "attribute %s has %zu elements", out->name, n);
    void *copy = graph_alloc(graph, (n + 1) * item);
    if (!copy) return import_no_memory();
    if (n) memcpy(copy, ints ? (const void *)a->ints : (const void *)a->floats, n * item);
    if (ints)
        out->u.ints = copy;
    else
        out->u.floats = copy;
    out->count = (int)n;
    return REEL_OK;
}

static enum reel_err attr_tensor(struct importer *im, struct scope *scope, Onnx__AttributeProto *a, struct attr *out)
{
    struct reel_tensor t;
    im->source.keep = scope->in_function;
    enum reel_err err = a->t               ? tensor_from_proto(a->t, &im->source, &t)
                        : a->sparse_tensor ? tensor_from_sparse(a->sparse_tensor, &im->source, &t)
                                           : reel_fail(REEL_ERR_INPUT, "it has no value");
    if (err) return reel_fail_prefix(err, "attribute %.100s: ", out->name);
    out->u.t = graph_own_tensor(scope->graph, &t);
    if (out->u.t) return REEL_OK;
    reel_tensor_fini(&t);
    return import_no_memory();
}

static enum reel_err import_attr(struct importer *im, struct scope *scope, Onnx__AttributeProto *a, const char *name,
                                 struct attr *out)
{
    bool known;
    out->type = attr_type_of(a, &known);
    out->name = graph_strdup(scope->graph, name);
    if (!out->name) return import_no_memory();
    if (!known)
        return reel_fail(REEL_ERR_UNSUPPORTED, "attribute %.100s has a type (%d) that is not supported", name,
                         (int)a->type);
    switch (out->type) {
    case ATTR_INT:
        out->u.i = a->i;
        return REEL_OK;
    case ATTR_FLOAT:
        out->u.f = a->f;
        return REEL_OK;
    case ATTR_STRING: {
        char *s = graph_alloc(scope->graph, a->s.len + 1);
        if (!s) return import_no_memory();
        if (a->s.len) memcpy(s, a->s.data, a->s.len);
        out->u.s = s;
        out->count = a->s.len > INT32_MAX ? INT32_MAX : (int)a->s.len;
        return REEL_OK;
    }
    case ATTR_TENSOR:
        return attr_tensor(im, scope, a, out);
    case ATTR_GRAPH:
        if (!a->g) return reel_fail(REEL_ERR_INPUT, "attribute %.100s has no graph", name);
        return import_body(im, a->g, scope, &out->u.g);
    case ATTR_STRINGS:
        return attr_strings(scope->graph, a, out);
    default:
        return attr_numbers(scope->graph, a, out);
    }
}

// A function's own default for an attribute (FunctionProto.attribute_proto,
// field 11, which older onnx.proto files do not declare: then it is among the
// unknown fields).
static Onnx__AttributeProto *function_default(struct importer *im, const Onnx__FunctionProto *function,
                                              const char *name)
{
    const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field(function->base.descriptor, 11);
    if (field) {
        const char *base = (const char *)function;
        size_t n = *(const size_t *)(const void *)(base + field->quantifier_offset);
        Onnx__AttributeProto **list = *(Onnx__AttributeProto * *const *)(const void *)(base + field->offset);
        for (size_t i = 0; i < n; i++)
            if (!strcmp(import_text(list[i]->name), name)) return list[i];
        return NULL;
    }
    for (unsigned i = 0; i < function->base.n_unknown_fields; i++) {
        const ProtobufCMessageUnknownField *u = &function->base.unknown_fields[i];
        if (u->tag != 11 || u->wire_type != PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED) continue;
        size_t skip = 0;
        while (skip < u->len && u->data[skip] & 0x80) skip++;
        if (++skip > u->len) continue;
        Onnx__AttributeProto *a = onnx__attribute_proto__unpack(&im->memory->allocator, u->len - skip, u->data + skip);
        struct default_attr *keep = a ? malloc(sizeof *keep) : NULL;
        if (!keep) {
            if (a) onnx__attribute_proto__free_unpacked(a, &im->memory->allocator);
            continue;
        }
        *keep = (struct default_attr){.proto = a, .next = im->defaults};
        im->defaults = keep;
        if (!strcmp(import_text(a->name), name)) return a;
    }
    return NULL;
}

Onnx__AttributeProto *import_resolve(struct importer *im, Onnx__AttributeProto *a, struct scope **scope)
{
    while (a && a->ref_attr_name && *a->ref_attr_name) {
        struct scope *inside = *scope;
        while (inside && !inside->function) inside = inside->outer; // a body within the function
        if (!inside) return NULL;
        Onnx__AttributeProto *given = NULL;
        for (size_t i = 0; i < inside->call->n_attribute; i++)
            if (!strcmp(import_text(inside->call->attribute[i]->name), a->ref_attr_name))
                given = inside->call->attribute[i];
        if (!given) return function_default(im, inside->function, a->ref_attr_name);
        a = given;
        *scope = (struct scope *)inside->caller;
    }
    return a;
}

enum reel_err import_attrs(struct importer *im, struct scope *scope, const Onnx__NodeProto *proto, struct node *node)
{
    if (proto->n_attribute > MAX_LIST) return reel_fail(REEL_ERR_LIMIT, "it has %zu attributes", proto->n_attribute);
    node->attr = graph_alloc(scope->graph, (proto->n_attribute + 1) * sizeof *node->attr);
    if (!node->attr) return import_no_memory();
    for (size_t i = 0; i < proto->n_attribute; i++) {
        const char *name = import_text(proto->attribute[i]->name);
        struct scope *where = scope;
        Onnx__AttributeProto *a = import_resolve(im, proto->attribute[i], &where);
        if (!a) continue;
        if (a->tp && node->op->flags & OP_SEQUENCE) continue; // of Optional: the type of what it has not
        // A graph handed in by reference still belongs to the caller's names,
        // but to the node that runs it: only the plain kinds can be lent so.
        if (where != scope && a->g)
            return reel_fail(REEL_ERR_UNSUPPORTED, "attribute %.100s passes a graph to a function", name);
        for (int k = 0; k < node->n_attr; k++)
            if (!strcmp(node->attr[k].name, name))
                return reel_fail(REEL_ERR_INPUT, "attribute %.100s is given twice", name);
        enum reel_err err = import_attr(im, scope, a, name, &node->attr[node->n_attr]);
        if (err) return err;
        node->n_attr++;
    }
    return REEL_OK;
}

// SPDX-License-Identifier: MIT
//
// What the importer's files share: import.c (values, nodes, functions, graphs,
// the model), import_attr.c, scope.c. Included by these alone.
#ifndef REEL_WORKER_ONNX_IMPORTER_H
#define REEL_WORKER_ONNX_IMPORTER_H

#include "worker/onnx/import.h"
#include "worker/onnx/import_tensor.h"
#include "worker/onnx/op.h"

// Attributes of a node, opset imports: lists that are searched linearly.
#define MAX_LIST 1000

// A hash table of names; zeroed is empty, slots are freed by the owner.
struct names {
    struct name_slot {
        const char *name; // borrowed from the message
        struct value *value;
    } * slots;
    size_t count, size; // size is a power of two
};

// Where a name is looked up.
struct scope {
    struct scope *outer; // for bodies; NULL for the model and for functions
    struct graph *graph;
    struct names names;
    const Onnx__FunctionProto *function; // when this is a function's inside
    const Onnx__NodeProto *call;         // the node that calls it
    const struct scope *caller;          // where call stands
    const char *prefix;                  // of node and value names
    bool in_function;                    // here or around: the message is read once for every call
    int depth;
};

// What one call of import_memory() has in hand.
struct importer {
    struct import_params params;
    Onnx__ModelProto *model;
    struct tensor_source source;
    struct pb_memory *memory;
    const Onnx__FunctionProto **functions; // sorted by domain and name
    size_t n_functions;
    struct default_attr *defaults; // attributes' defaults, unpacked on demand
    int n_nodes, n_calls;
};

struct default_attr {
    Onnx__AttributeProto *proto;
    struct default_attr *next;
};

// ---- scope.c ------------------------------------------------------------------

struct value *names_get(const struct names *names, const char *name); // NULL: not there
// Binds a name (borrowed); false on out of memory. A bound name keeps its first value.
bool names_put(struct names *names, const char *name, struct value *value);
// Here or in a scope around; NULL: nowhere.
struct value *scope_find(const struct scope *scope, const char *name);
// Makes a value of this scope's graph under a name of the file; NULL on out of memory.
struct value *scope_declare(struct scope *scope, const char *name);
const char *import_text(const char *s); // "" for NULL
enum reel_err import_no_memory(void);   // NOMEM with its text

// ---- import_attr.c --------------------------------------------------------------

// All attributes of a node of the file. Errors: INPUT, UNSUPPORTED, NOMEM, LIMIT.
enum reel_err import_attrs(struct importer *im, struct scope *scope, const Onnx__NodeProto *proto, struct node *node);
// Follows a reference to the calling node's attribute; *scope becomes the one
// that the result's names belong to. NULL when the caller leaves it out.
Onnx__AttributeProto *import_resolve(struct importer *im, Onnx__AttributeProto *a, struct scope **scope);

// ---- import_fused.c -------------------------------------------------------------

// Adds what an operator of ONNX Runtime's own stands for; *out_done is false where
// it is none of those. Errors: INPUT, UNSUPPORTED, NOMEM, LIMIT.
enum reel_err import_fused(struct importer *im, struct scope *scope, const Onnx__NodeProto *proto, const char *domain,
                           struct value **in, struct value **out, bool *out_done);

// ---- import.c -------------------------------------------------------------------

// The graph of a body (If, Loop, Scan). *out_graph belongs to outer's, also after an error.
enum reel_err import_body(struct importer *im, Onnx__GraphProto *proto, struct scope *outer, struct graph **out_graph);

#endif

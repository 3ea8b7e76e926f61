// SPDX-License-Identifier: MIT
//
// What the importer's files share: import.c (values, nodes, functions, graphs, the model),
// import_attr.c, import_fused.c, import_packed.c and scope.c. Nobody else includes it.
#ifndef REEL_WORKER_ONNX_IMPORTER_H
#define REEL_WORKER_ONNX_IMPORTER_H

#include "worker/onnx/import.h"
#include "worker/onnx/import_tensor.h"
#include "worker/onnx/op.h"

// Limit for attributes of a node and opset imports, which are searched linearly.
#define MAX_LIST 1000

// A hash table of names. Empty when zeroed; the owner frees slots.
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
    const Onnx__FunctionProto *function; // if this is the inside of a function
    const Onnx__NodeProto *call;         // node that calls the function
    const struct scope *caller;          // scope of that node
    const char *prefix;                  // of node and value names
    bool in_function;                    // this or an outer scope is a function, whose message is read once per call
    int depth;
};

// State of one call of import_memory().
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

struct value *names_get(const struct names *names, const char *name); // NULL if not bound
// Binds a name (borrowed). A bound name keeps its first value. False when out of memory.
bool names_put(struct names *names, const char *name, struct value *value);
// Looks in this scope, then in the outer ones; NULL if not found.
struct value *scope_find(const struct scope *scope, const char *name);
// Makes a value of this scope's graph with a name from the file; NULL when out of memory.
struct value *scope_declare(struct scope *scope, const char *name);
const char *import_text(const char *s); // "" for NULL
enum reel_err import_no_memory(void);   // NOMEM with its text

// ---- import_attr.c --------------------------------------------------------------

// Reads all attributes of a node. Errors: INPUT, UNSUPPORTED, NOMEM, LIMIT.
enum reel_err import_attrs(struct importer *im, struct scope *scope, const Onnx__NodeProto *proto, struct node *node);
// Follows a reference to an attribute of the calling node; *scope becomes the one that the
// names in the result belong to. NULL if the caller omits the attribute.
Onnx__AttributeProto *import_resolve(struct importer *im, Onnx__AttributeProto *a, struct scope **scope);

// ---- import_fused.c -------------------------------------------------------------

// Expands one of ONNX Runtime's own operators into standard ones; *out_done is false if it
// is not one of them. Errors: INPUT, UNSUPPORTED, NOMEM, LIMIT.
enum reel_err import_fused(struct importer *im, struct scope *scope, const Onnx__NodeProto *proto, const char *domain,
                           struct value **in, struct value **out, bool *out_done);

// ---- import_packed.c ------------------------------------------------------------

// The weights of a MatMulNBits (inputs from the packed ones on: in[1]...) or MatMulBnb4 as a
// constant (K,N) of the scales' type. Errors: INPUT, UNSUPPORTED, NOMEM, LIMIT.
enum reel_err import_packed_integers(struct importer *im, struct scope *scope, const Onnx__NodeProto *proto,
                                     struct value *const *in, int n_in, struct value **out);
enum reel_err import_packed_table(struct importer *im, struct scope *scope, const Onnx__NodeProto *proto,
                                  struct value *const *in, struct value **out);

// ---- import.c -------------------------------------------------------------------

// Reads the body of an If, Loop or Scan. *out_graph belongs to outer's graph, also after an
// error.
enum reel_err import_body(struct importer *im, Onnx__GraphProto *proto, struct scope *outer, struct graph **out_graph);

#endif

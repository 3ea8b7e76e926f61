// SPDX-License-Identifier: MIT
//
// The graph: a network between the ONNX file and a backend.
//
// onnx/import.c builds it, graph/pass_*.c rewrite it, a backend compiles it.
// Values are single-assignment: one producer (a node, a graph input or a
// constant), any number of consumers. Nodes stand in topological order at all
// times; passes keep it so. Everything lives in the graph's arena and dies with
// it; only constants' tensor data is owned by the values.
//
// What it is not: it executes nothing and knows no backend, no frame and no
// file format.
#ifndef REEL_WORKER_GRAPH_GRAPH_H
#define REEL_WORKER_GRAPH_GRAPH_H

#include "common/tensor.h"

struct graph;
struct node;
struct op_def;

// ---- attributes ---------------------------------------------------------

enum attr_type {
    ATTR_INT,
    ATTR_FLOAT,
    ATTR_STRING,
    ATTR_TENSOR,
    ATTR_GRAPH,
    ATTR_INTS,
    ATTR_FLOATS,
    ATTR_STRINGS,
};

struct attr {
    const char *name;
    enum attr_type type;
    int count; // elements of INTS/FLOATS/STRINGS; bytes of STRING
    union {
        int64_t i;
        float f;
        const char *s; // NUL-terminated copy
        const int64_t *ints;
        const float *floats;
        const char *const *strings;
        struct reel_tensor *t;
        struct graph *g; // body of If, Loop, Scan
    } u;
};

// ---- values and nodes ---------------------------------------------------

// What a value of ONNX's types sequence(tensor) and optional holds, once
// sequence.c has found it out: the tensors, which are values of this graph or of
// one around it.
struct sequence {
    struct value **items;
    int count;
    bool none; // an optional without an element
};

enum list_kind {
    LIST_NOT,      // a tensor
    LIST_SEQUENCE, // of tensors
    LIST_OPTIONAL, // of a tensor or a sequence
};

// Of a picture that is one band of a whole one (bands.h): rows that stand above
// and below the band's own, and how many of these come from the neighbours, each
// time the value has been made. 0 rows: none.
struct value_halo {
    int rows, above, below;
    bool up, down; // there is a neighbour
};

struct value {
    const char *name; // unique in its graph, never NULL
    enum reel_dtype dtype;
    struct reel_shape shape;              // -1 extents until shape inference
    const char *dim_param[REEL_MAX_DIMS]; // symbolic names of a graph input's extents, or NULL
    struct reel_tensor *constant;         // data, or NULL when computed at run time
    const struct sequence *sequence;      // during shape inference: it is no tensor; else NULL
    struct node *producer;                // NULL for inputs and constants
    int n_uses;                           // reads by nodes (bodies and epilogues too) + 1 for each graph output
    struct node **uses;                   // the reading nodes of this graph, one entry a read; a control node
    int n_use_nodes, cap_uses;            // stands for the reads in its bodies
    struct graph *owner;                  // a body's nodes may also read values of enclosing graphs
    int id;                               // dense number for side tables
    bool is_input, is_output;
    bool is_state;       // an output that an input takes in the next run (state.h)
    enum list_kind list; // as the file declares an input or output
    struct value_halo halo;
};

// What a backend does to the main operator's result before it is stored, in
// order. Built by pass_fuse; a backend that cannot do a step in one pass runs
// it in place afterwards.
enum epilogue_kind {
    EPILOGUE_ADD,   // + other (same shape, or broadcast over N,H,W: per channel)
    EPILOGUE_MUL,   // * other (likewise)
    EPILOGUE_RELU,  // max(x, 0)
    EPILOGUE_LEAKY, // x < 0 ? alpha x : x
    EPILOGUE_PRELU, // slope in other: one per channel or one element
    EPILOGUE_CLIP,  // min(max(x, alpha), beta)
    EPILOGUE_SIGMOID,
    EPILOGUE_TANH,
    EPILOGUE_SILU,      // x * sigmoid(x)
    EPILOGUE_HSWISH,    // x * clip(x/6 + 1/2, 0, 1)
    EPILOGUE_HSIGMOID,  // clip(alpha x + beta, 0, 1)
    EPILOGUE_GELU_ERF,  // 0.5 x (1 + erf(x / sqrt 2))
    EPILOGUE_GELU_TANH, // tanh approximation
    EPILOGUE_ELU,       // alpha
    EPILOGUE_MISH,      // x tanh(softplus x)
};

#define NODE_MAX_EPILOGUE 6

struct epilogue {
    enum epilogue_kind kind;
    float alpha, beta;
    struct value *other; // ADD, MUL, PRELU; also counted in n_uses
};

struct node {
    const char *name;    // as in the file; made up ("Conv_17") when empty
    const char *op_type; // "Conv"
    const char *domain;  // "" for ai.onnx
    const struct op_def *op;
    int opset; // version of its domain that the file imports

    int n_in, n_out;
    struct value **in;  // NULL for an absent optional input
    struct value **out; // NULL for an unused optional output
    int n_attr;
    struct attr *attr;

    int n_epilogue;
    struct epilogue epilogue[NODE_MAX_EPILOGUE];

    struct peel *peel;        // of a Loop that is being unrolled (unroll.c)
    struct node *prev, *next; // topological order
    int id;                   // dense number for side tables; graph_renumber()
};

struct graph {
    const char *name;
    struct graph *parent; // enclosing graph of a control-flow body, or NULL
    struct node *first, *last;
    int n_nodes;

    struct value **values; // every value ever made; unused ones have n_uses 0
    int n_values, cap_values;

    struct value **inputs; // without initializers
    int n_inputs;
    struct value **outputs;
    int n_outputs;

    int opset; // of ai.onnx
    // constant 8-bit weights of convolutions and products stay behind their
    // DequantizeLinear: the backend computes with them
    bool keep_quantized;
    struct arena *arena;

    // From the file's metadata, for people and for guessing what it is; NULL
    // when absent.
    const char *producer, *description;
    int n_meta;
    const char **meta_keys, **meta_values;
};

// ---- building and rewriting (graph.c) -----------------------------------

// Returns NULL on out of memory. parent may be NULL; a body shares its
// parent's arena.
struct graph *graph_create(struct graph *parent);
// Accepts &NULL, writes NULL. Bodies are destroyed with their parent.
void graph_destroy(struct graph **graph);

// Memory of the graph's arena, zeroed; aborts the import cleanly by returning
// NULL at the limit (1 GiB of structure).
void *graph_alloc(struct graph *graph, size_t bytes);
char *graph_strdup(struct graph *graph, const char *s);

struct value *graph_add_value(struct graph *graph, const char *name);
// Consumes tensor's data (moves it). Returns a constant value.
struct value *graph_add_constant(struct graph *graph, const char *name, struct reel_tensor *tensor);
// Appends, or inserts before `before` when that is not NULL. The arrays in and
// out are copied; producers are set.
struct node *graph_add_node(struct graph *graph, struct node *before, const char *op_type, const char *name,
                            struct value *const *in, int n_in, struct value *const *out, int n_out);
// The n inputs of these numbers, which are of one type and shape, become the first
// input, of this name, in which they lie one behind the other along axis (join.c).
// Errors: NOMEM.
#define GRAPH_JOIN_MOST 15
#define GRAPH_JOINT "(joined inputs)" // name of the first node then, whose outputs are the inputs that were
enum reel_err graph_join_inputs(struct graph *graph, const char *name, int axis, const int *which, int n);
// One more output of this name (composite.c): outputs foreground (1,3,H,W) and matte
// (1,1,H,W), of one float type, over a colour: f * m + (1 - m) * background. Errors: NOMEM.
enum reel_err graph_add_composite(struct graph *graph, int foreground, int matte, const double background[3],
                                  const char *name);
#define GRAPH_MIDDLE "(middle frame)" // name of the node that makes such an output
// Of an output (1,frames,C,H,W) the middle frame (1,C,H,W) takes its place, under its name
// (middle.c). Errors: NOMEM.
enum reel_err graph_take_middle(struct graph *graph, int output, int frames);
#define GRAPH_BORDER "(edge pixels)" // name of the first node then
// Edge pixels are repeated around a picture of four axes that an input takes: border[0] rows along
// axis, border[1] columns along the next, half of them (rounded down) before it (border.c). A size
// that the file fixes becomes smaller by as much. Errors: NOMEM.
enum reel_err graph_add_border(struct graph *graph, int input, int axis, const int border[2]);
void graph_remove_node(struct graph *graph, struct node *node);
// Every consumer of `from` (epilogues and graph outputs included) reads `to`.
void graph_replace_value(struct graph *graph, struct value *from, struct value *to);
// One operand of one node; keeps the lists of uses true. Passes change operands
// only through this and the functions above.
void graph_set_input(struct graph *graph, struct node *node, int i, struct value *to);
// False when the node has NODE_MAX_EPILOGUE steps already.
bool graph_add_epilogue(struct graph *graph, struct node *node, enum epilogue_kind kind, float alpha, float beta,
                        struct value *other);
// The node's result i gets a new home: `to` must have no producer.
void graph_set_output(struct graph *graph, struct node *node, int i, struct value *to);
// The graph's arena frees the tensor's data in the end. Consumes the tensor;
// returns its place in the arena, NULL on out of memory (then untouched).
struct reel_tensor *graph_own_tensor(struct graph *graph, struct reel_tensor *tensor);
// A computed value becomes a constant; consumes tensor. Its producer is left
// without this output. False on out of memory.
bool graph_make_constant(struct graph *graph, struct value *value, struct reel_tensor *tensor);
// Takes the nodes of a body out of their control node `node` and puts them
// before it, removes node, and lets readers of its outputs read the body's. The
// body must have no inputs of its own left to bind (If). False: out of memory.
bool graph_inline_body(struct graph *graph, struct node *node, struct graph *body);
// A deep copy that borrows the constants' data: it must be destroyed before the
// original. NULL on out of memory.
struct graph *graph_clone(const struct graph *graph);
// Copies the nodes of a body before `before`, which must be there, with in[i] in
// the place of the body's inputs; out[i] are set to the values of its outputs.
// tag goes in front of the copies' names. The body is left as it is. False: out
// of memory.
bool graph_copy_body(struct graph *graph, struct node *before, const struct graph *body, const char *tag,
                     struct value *const *in, struct value **out);
// A body's own constants become values of the graph around it, so that copies of
// the body share them. The body must be copied and dropped after this. False: out
// of memory.
bool graph_hoist_constants(struct graph *graph, struct graph *body);
// Adds what the bodies of a control node read to the lists of uses, and makes
// those of the bodies' own values. False: out of memory.
bool graph_count_body_reads(struct graph *graph, struct node *node);
struct value *graph_find_value(const struct graph *graph, const char *name);
void graph_count_uses(struct graph *graph);
void graph_renumber(struct graph *graph);
// Topological order; nodes that are in order stay so, bodies' reads count. Errors:
// INPUT (a cycle, naming a node), NOMEM.
enum reel_err graph_sort(struct graph *graph);
// The only consumer node of v when n_uses == 1 and v is no graph output; else NULL.
struct node *graph_only_consumer(const struct graph *graph, const struct value *v);

const struct attr *node_attr(const struct node *node, const char *name);
int64_t node_attr_int(const struct node *node, const char *name, int64_t absent);
float node_attr_float(const struct node *node, const char *name, float absent);
const char *node_attr_string(const struct node *node, const char *name, const char *absent);
// Returns the count (0 when absent); *out_ints holds as long as the graph.
int node_attr_ints(const struct node *node, const char *name, const int64_t **out_ints);
int node_attr_floats(const struct node *node, const char *name, const float **out_floats);

// Text form for --dump_graph: one line a node with types, shapes, attributes
// and epilogues. Writes to a stdio stream.
void graph_dump(const struct graph *graph, void *stdio_file);

#endif

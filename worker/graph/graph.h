// SPDX-License-Identifier: MIT
//
// The graph: a network between the ONNX file and a backend.
//
// onnx/import.c builds it, graph/pass_*.c rewrite it, and a backend compiles it. Values are
// single-assignment: one producer (a node, a graph input or a constant) and any number of
// consumers. Nodes are in topological order at all times; passes must preserve it.
// Everything lives in the graph's arena and is freed with it; only the tensor data of
// constants is owned by the values.
//
// The graph executes nothing, and knows no backend, frame or file format.
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

// What a value of ONNX type sequence(tensor) or optional contains, once sequence.c has
// resolved it: tensors, which are values of this graph or an enclosing one.
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

// For one band of a picture (bands.h): rows above and below the band's own, and how many of
// these are received from the neighbours each time the value has been computed. 0 rows:
// none.
struct value_halo {
    int rows, above, below;
    bool up, down; // there is a neighbour on that side
};

struct value {
    const char *name; // unique in its graph, never NULL
    enum reel_dtype dtype;
    struct reel_shape shape;              // -1 extents until shape inference
    const char *dim_param[REEL_MAX_DIMS]; // symbolic names of a graph input's extents, or NULL
    struct reel_tensor *constant;         // data, or NULL if computed at run time
    const struct sequence *sequence;      // only during shape inference, for values that are not tensors; else NULL
    struct node *producer;                // NULL for inputs and constants
    int n_uses;                           // reads by nodes (bodies and epilogues too) + 1 for each graph output
    struct node **uses;                   // reading nodes of this graph, one entry per read; a control
    int n_use_nodes, cap_uses;            // node stands for the reads in its bodies
    struct graph *owner;                  // a body's nodes may also read values of enclosing graphs
    int id;                               // dense number for side tables
    bool is_input, is_output;
    bool is_state;       // an output that becomes an input of the next run (state.h)
    enum list_kind list; // for inputs and outputs, as the file declares them
    struct value_halo halo;
};

// Steps that a backend applies, in order, to the main operator's result before storing it.
// Built by pass_fuse. A backend that cannot fuse a step runs it in place afterwards.
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
    const char *name;    // as in the file; generated ("Conv_17") if empty
    const char *op_type; // "Conv"
    const char *domain;  // "" for ai.onnx
    const struct op_def *op;
    int opset; // version that the file imports of its domain

    int n_in, n_out;
    struct value **in;  // NULL for an absent optional input
    struct value **out; // NULL for an unused optional output
    int n_attr;
    struct attr *attr;

    int n_epilogue;
    struct epilogue epilogue[NODE_MAX_EPILOGUE];

    struct peel *peel;        // for a Loop that is being unrolled (unroll.c)
    struct node *prev, *next; // topological order
    int id;                   // dense number for side tables; graph_renumber()
};

struct graph {
    const char *name;
    struct graph *parent; // enclosing graph of a control-flow body, or NULL
    struct node *first, *last;
    int n_nodes;

    struct value **values; // all values ever created; unused ones have n_uses 0
    int n_values, cap_values;

    struct value **inputs; // without initializers
    int n_inputs;
    struct value **outputs;
    int n_outputs;

    int opset; // of ai.onnx
    // Do not fold DequantizeLinear of constant 8-bit weights of convolutions and products:
    // the backend computes with the 8-bit values.
    bool keep_quantized;
    struct arena *arena;

    // From the file's metadata, for display and for guessing what the network does; NULL if
    // absent.
    const char *producer, *description;
    int n_meta;
    const char **meta_keys, **meta_values;
};

// ---- building and rewriting (graph.c) -----------------------------------

// Returns NULL when out of memory. parent may be NULL; a body shares its parent's arena.
struct graph *graph_create(struct graph *parent);
// Accepts &NULL, writes NULL. Bodies are destroyed with their parent.
void graph_destroy(struct graph **graph);

// Zeroed memory from the graph's arena. NULL when out of memory, or at the limit (1 GiB of
// structure), so that the import ends cleanly.
void *graph_alloc(struct graph *graph, size_t bytes);
char *graph_strdup(struct graph *graph, const char *s);

struct value *graph_add_value(struct graph *graph, const char *name);
// Returns a constant value. Consumes tensor's data (moves it).
struct value *graph_add_constant(struct graph *graph, const char *name, struct reel_tensor *tensor);
// Appends a node, or inserts it before `before` if that is not NULL. The arrays in and out
// are copied; producers are set.
struct node *graph_add_node(struct graph *graph, struct node *before, const char *op_type, const char *name,
                            struct value *const *in, int n_in, struct value *const *out, int n_out);
// Replaces n inputs of one type and shape by a new first input of this name, in which they
// are concatenated along axis (join.c). Errors: NOMEM.
#define GRAPH_JOIN_MOST 15
#define GRAPH_JOINT "(joined inputs)" // name of the node that splits it into the former inputs
enum reel_err graph_join_inputs(struct graph *graph, const char *name, int axis, const int *which, int n);
// Adds an output of this name (composite.c): outputs foreground (1,3,H,W) and matte
// (1,1,H,W), of one float type, over a colour, i.e. f * m + (1 - m) * background. Errors:
// NOMEM.
enum reel_err graph_add_composite(struct graph *graph, int foreground, int matte, const double background[3],
                                  const char *name);
#define GRAPH_MIDDLE "(middle frame)" // name of the node that selects the frame
// Replaces an output (1,frames,C,H,W) by its middle frame (1,C,H,W), under the same name
// (middle.c). Errors: NOMEM.
enum reel_err graph_take_middle(struct graph *graph, int output, int frames);
#define GRAPH_BORDER "(edge pixels)" // name of the node that repeats them
// Repeats edge pixels around a picture input with four axes: border[0] rows in total along
// axis, border[1] columns along the next axis, half of them (rounded down) at the beginning
// (border.c). Sizes that the file fixes shrink accordingly. Errors: NOMEM.
enum reel_err graph_add_border(struct graph *graph, int input, int axis, const int border[2]);
#define GRAPH_CHANNEL "(channel of one number)" // name of the node that adds it
// Adds a channel that holds `number` everywhere behind those of an input with four axes, of which
// `axis` is the channels; the input has one channel less from then on. Errors: NOMEM.
enum reel_err graph_add_channel(struct graph *graph, int input, int axis, double number);
void graph_remove_node(struct graph *graph, struct node *node);
// Makes every consumer of `from` (including epilogues and graph outputs) read `to`.
void graph_replace_value(struct graph *graph, struct value *from, struct value *to);
// Changes one operand of one node and updates the lists of uses. Passes change operands
// only through this and the functions above.
void graph_set_input(struct graph *graph, struct node *node, int i, struct value *to);
// False if the node already has NODE_MAX_EPILOGUE steps.
bool graph_add_epilogue(struct graph *graph, struct node *node, enum epilogue_kind kind, float alpha, float beta,
                        struct value *other);
// Makes `to`, which must have no producer, the node's output i.
void graph_set_output(struct graph *graph, struct node *node, int i, struct value *to);
// Makes the graph's arena free the tensor's data. Consumes the tensor; returns its address
// in the arena, or NULL when out of memory (the tensor is untouched then).
struct reel_tensor *graph_own_tensor(struct graph *graph, struct reel_tensor *tensor);
// Turns a computed value into a constant; consumes tensor. The producer loses this output.
// False when out of memory.
bool graph_make_constant(struct graph *graph, struct value *value, struct reel_tensor *tensor);
// Inlines a body: moves its nodes in front of their control node, removes that node, and
// makes readers of its outputs read the body's. The body must have no inputs left to bind
// (If). False when out of memory.
bool graph_inline_body(struct graph *graph, struct node *node, struct graph *body);
// A deep copy that borrows the constants' data, so it must be destroyed before the
// original. NULL when out of memory.
struct graph *graph_clone(const struct graph *graph);
// Copies the nodes of a body in front of `before` (not NULL), with in[i] in place of the
// body's inputs; out[i] are set to the values of its outputs. tag prefixes the copies'
// names. The body is not changed. False when out of memory.
bool graph_copy_body(struct graph *graph, struct node *before, const struct graph *body, const char *tag,
                     struct value *const *in, struct value **out);
// Moves a body's own constants to the graph around it, so that copies of the body share
// them. The body must be copied and dropped after this. False when out of memory.
bool graph_hoist_constants(struct graph *graph, struct graph *body);
// Adds the reads in the bodies of a control node to the lists of uses, and builds those of
// the bodies' own values. False when out of memory.
bool graph_count_body_reads(struct graph *graph, struct node *node);
struct value *graph_find_value(const struct graph *graph, const char *name);
void graph_count_uses(struct graph *graph);
void graph_renumber(struct graph *graph);
// Sorts the nodes topologically, also by what bodies read; nodes that are in order stay so.
// Errors: INPUT (a cycle; names a node), NOMEM.
enum reel_err graph_sort(struct graph *graph);
// The only consumer of v if n_uses == 1 and v is not a graph output; else NULL.
struct node *graph_only_consumer(const struct graph *graph, const struct value *v);

const struct attr *node_attr(const struct node *node, const char *name);
int64_t node_attr_int(const struct node *node, const char *name, int64_t absent);
float node_attr_float(const struct node *node, const char *name, float absent);
const char *node_attr_string(const struct node *node, const char *name, const char *absent);
// Returns the count (0 if absent); *out_ints is valid for the life of the graph.
int node_attr_ints(const struct node *node, const char *name, const int64_t **out_ints);
int node_attr_floats(const struct node *node, const char *name, const float **out_floats);

// Writes a text form for --dump_graph to a stdio stream: one line per node with types,
// shapes, attributes and epilogues.
void graph_dump(const struct graph *graph, void *stdio_file);

#endif

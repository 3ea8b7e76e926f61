// SPDX-License-Identifier: MIT
//
// The passes over a graph, in order. net.c runs them on a copy of the imported graph whose
// input shapes are fixed; --dump_graph prints the result of each. Every pass preserves
// topological order, the lists of uses, types and shapes of all values, and the numbers
// that a run gives (except for rounding).
#ifndef REEL_WORKER_GRAPH_PASS_H
#define REEL_WORKER_GRAPH_PASS_H

#include "worker/graph/graph.h"

struct pass_params {
    unsigned caps;                      // enum backend_cap of the backend that compiles it
    const struct reel_shape *in_shapes; // one for each graph input
};

struct pass {
    const char *name;
    const char *what; // one line, for people
    enum reel_err (*run)(struct graph *graph, const struct pass_params *params);
};

// All passes in order.
const struct pass *pass_list(int *out_count);
// Runs them all. With stdio_file (a FILE *), writes a line for each pass that changed the
// number of nodes. Errors are those of the passes.
enum reel_err pass_run_all(struct graph *graph, const struct pass_params *params, void *stdio_file);

// For passes: inserts a node of an operator of opset 13 before `before` and returns its result, of the
// given type and shape. NULL when out of memory.
struct value *pass_insert(struct graph *graph, struct node *before, const char *op_type, struct value *const *in,
                          int n_in, enum reel_dtype dtype, const struct reel_shape *shape);

// pass_float.c: turns 16-bit float networks into float32. Inputs and outputs keep the type
// that the file declares, through Cast nodes.
enum reel_err pass_float(struct graph *graph, const struct pass_params *params);
// pass_einsum.c: turns Einsum of two operands into MatMul.
enum reel_err pass_einsum(struct graph *graph, const struct pass_params *params);
// pass_parts.c: without BACKEND_STEPS, com.microsoft's operators that are several of ONNX's
// become those.
enum reel_err pass_parts(struct graph *graph, const struct pass_params *params);
// pass_quant.c: with BACKEND_INT8 or BACKEND_STEPS, operators on 8-bit tensors become
// their float32 forms between DequantizeLinear and QuantizeLinear, which the backend
// recognises; with BACKEND_INT8 what only moves bytes is done on them.
enum reel_err pass_quant(struct graph *graph, const struct pass_params *params);
// pass_fold.c: evaluates what depends on constants only, within a limit on size.
enum reel_err pass_fold(struct graph *graph, const struct pass_params *params);
// pass_clean.c: removes identities, duplicate nodes and unread nodes. pass_outputs then
// gives outputs that are inputs, constants or duplicates an Identity node of their own.
enum reel_err pass_clean(struct graph *graph, const struct pass_params *params);
enum reel_err pass_outputs(struct graph *graph, const struct pass_params *params);
// pass_rewrite.c: replaces decompositions (hard swish, SiLU, GELU...) by single operators.
enum reel_err pass_rewrite(struct graph *graph, const struct pass_params *params);
// pass_stem.c: with BACKEND_FEW_CHANNELS, makes a convolution over the phases of a picture
// (space to depth) read the picture itself.
enum reel_err pass_stem(struct graph *graph, const struct pass_params *params);
// pass_weights.c: merges arithmetic with one constant per channel into weights.
enum reel_err pass_weights(struct graph *graph, const struct pass_params *params);
// pass_fuse.c: merges activations and additions into epilogues.
enum reel_err pass_fuse(struct graph *graph, const struct pass_params *params);

#endif

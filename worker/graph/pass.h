// SPDX-License-Identifier: MIT
//
// The passes over a graph, in their order. net.c runs them on a copy of the
// imported graph whose input shapes are fixed; --dump_graph prints what each
// leaves. Every pass keeps: topological order, the lists of uses, types and
// shapes of all values, and the numbers a run gives (to rounding).
#ifndef REEL_WORKER_GRAPH_PASS_H
#define REEL_WORKER_GRAPH_PASS_H

#include "worker/graph/graph.h"

struct pass_params {
    unsigned caps;                      // enum backend_cap of the backend that will compile
    const struct reel_shape *in_shapes; // one for each graph input
};

struct pass {
    const char *name;
    const char *what; // one line, for people
    enum reel_err (*run)(struct graph *graph, const struct pass_params *params);
};

// All passes in order.
const struct pass *pass_list(int *out_count);
// Runs them all. With stdio_file (a FILE *) not NULL, writes a line a pass that
// changed the number of nodes. Errors are the pass's.
enum reel_err pass_run_all(struct graph *graph, const struct pass_params *params, void *stdio_file);

// pass_float.c: 16-bit float networks in float32; inputs and outputs keep the
// type the file declares, by Cast nodes at the edges.
enum reel_err pass_float(struct graph *graph, const struct pass_params *params);
// pass_quant.c: with BACKEND_INT8 and BACKEND_STEPS, operators on 8-bit tensors become
// their float32 forms between DequantizeLinear and QuantizeLinear, which the backend
// recognises; with BACKEND_INT8 what only moves bytes is done on them.
enum reel_err pass_quant(struct graph *graph, const struct pass_params *params);
// pass_fold.c: evaluates what depends on constants alone, within a budget.
enum reel_err pass_fold(struct graph *graph, const struct pass_params *params);
// pass_clean.c: identities, repeated and unread nodes; then outputs that are
// inputs, constants or given twice get an Identity node of their own.
enum reel_err pass_clean(struct graph *graph, const struct pass_params *params);
enum reel_err pass_outputs(struct graph *graph, const struct pass_params *params);
// pass_rewrite.c: decompositions (hard swish, SiLU, GELU...) become operators.
enum reel_err pass_rewrite(struct graph *graph, const struct pass_params *params);
// pass_stem.c: with BACKEND_FEW_CHANNELS, a convolution over the phases of a
// picture reads the picture.
enum reel_err pass_stem(struct graph *graph, const struct pass_params *params);
// pass_weights.c: arithmetic with one constant a channel into weights.
enum reel_err pass_weights(struct graph *graph, const struct pass_params *params);
// pass_fuse.c: activations and additions into epilogues.
enum reel_err pass_fuse(struct graph *graph, const struct pass_params *params);

#endif

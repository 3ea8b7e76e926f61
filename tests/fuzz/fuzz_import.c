// SPDX-License-Identifier: MIT
//
// libFuzzer target: a model file from anywhere is imported, and, when it is
// accepted, goes through all passes. Nothing may crash, hang or take memory out
// of proportion. Run by `make fuzz`.
#include <stdlib.h>

#include "worker/backend/backend.h"
#include "worker/graph/pass.h"
#include "worker/onnx/import.h"

// Open and large extents become small ones: the arithmetic on shapes is what is
// tested, not the machine's memory.
#define SMALL 8
#define MOST (1 << 16) // elements

static struct reel_shape small_shape(const struct reel_shape *declared)
{
    struct reel_shape shape = *declared;
    if (shape.ndim < 0) shape = (struct reel_shape){.ndim = 4, .dim = {1, 3, SMALL, SMALL}};
    for (int d = 0; d < shape.ndim; d++)
        if (shape.dim[d] < 0 || shape.dim[d] > 4 * SMALL) shape.dim[d] = SMALL;
    // many axes of those are more than the sanitizers compute in the time of one file
    for (int d = 0; d < shape.ndim && reel_shape_count(&shape) > MOST; d++)
        if (shape.dim[d] > 2) shape.dim[d] = 2;
    return shape;
}

static void fix_inputs(struct graph *graph, const struct reel_shape *shapes)
{
    int n = graph->n_inputs;
    graph->n_inputs = 0;
    for (int i = 0; i < n; i++) {
        struct value *v = graph->inputs[i];
        struct reel_tensor t;
        v->is_input = false;
        if (reel_tensor_init(&t, v->dtype == REEL_DTYPE_NONE ? REEL_F32 : v->dtype, &shapes[i])) {
            continue;
        }
        for (int64_t k = 0; k < reel_tensor_count(&t); k++) {
            int64_t x = (k * 37 + i) % 11 - 3;
            reel_convert((char *)t.data + (size_t)k * reel_dtype_bytes(t.dtype), t.dtype, &x, REEL_I64, 1);
        }
        graph_make_constant(graph, v, &t);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    static const struct import_params limits = {.max_file_bytes = 1 << 20, .max_nodes = 2000, .max_depth = 16};
    struct graph *graph;
    if (import_memory(bytes, count, "fuzz", -1, &limits, &graph)) return 0;
    struct graph *copy = graph_clone(graph);
    struct reel_shape *shapes = calloc((size_t)graph->n_inputs + 1, sizeof *shapes);
    for (int i = 0; shapes && i < graph->n_inputs; i++) shapes[i] = small_shape(&graph->inputs[i]->shape);
    // Every other file has its inputs known, so that the operators' arithmetic
    // runs too, by constant folding.
    if (copy && shapes && count % 2) fix_inputs(copy, shapes);
    struct pass_params params = {.caps = BACKEND_FUSES_ACT | BACKEND_FUSES_RESIDUAL | BACKEND_FUSES_PRELU,
                                 .in_shapes = shapes};
    if (count % 4 < 2) params.caps |= BACKEND_INT8;
    if (copy && shapes) pass_run_all(copy, &params, NULL);
    free(shapes);
    graph_destroy(&copy);
    graph_destroy(&graph);
    return 0;
}

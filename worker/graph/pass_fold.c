// SPDX-License-Identifier: MIT
//
// Folds constants that shape inference left, mainly weights that are transposed, dequantised,
// normalised or generated. The budget counts operations, not seconds, so that a file is folded in the
// same way on every machine, because folding affects the bits of the results.
#include <string.h>

#include "worker/graph/pass.h"
#include "worker/graph/shape.h"
#include "worker/onnx/op.h"

#define MAX_NODE_BYTES (UINT64_C(256) << 20)
#define MAX_TOTAL_BYTES (UINT64_C(1) << 30)
// Takes the reference implementations a few seconds at most.
#define MAX_OPERATIONS INT64_C(2000000000)

static bool all_constant(const struct node *node)
{
    for (int i = 0; i < node->n_in; i++)
        if (node->in[i] && !node->in[i]->constant) return false;
    return true;
}

static int64_t count_of(const struct value *v)
{
    int64_t n = v ? reel_shape_count(&v->shape) : 0;
    return n < 0 ? 0 : n;
}

// Roughly how many multiplications and additions an evaluation takes; contractions read a whole row
// of their operands for each result.
static int64_t operations(const struct node *node)
{
    int64_t in = 0, out = 0;
    for (int i = 0; i < node->n_in; i++) in += count_of(node->in[i]);
    for (int i = 0; i < node->n_out; i++) out += count_of(node->out[i]);
    static const char *const contractions[] = {"Conv",        "ConvTranspose", "MatMul",
                                               "Gemm",        "Einsum",        "ConvInteger",
                                               "QLinearConv", "MatMulInteger", "QLinearMatMul"};
    for (size_t i = 0; i < sizeof contractions / sizeof contractions[0]; i++)
        if (!strcmp(node->op_type, contractions[i])) {
            const struct reel_shape *s = &node->in[0]->shape;
            int64_t row = s->ndim > 0 ? s->dim[s->ndim - 1] : 1;
            if (strstr(contractions[i], "Conv")) {
                const struct value *w = node->n_in > 1 ? node->in[1] : NULL;
                row = w && w->shape.ndim > 0 && w->shape.dim[0] > 0 ? count_of(w) / w->shape.dim[0] : in;
            }
            return out > MAX_OPERATIONS / (row > 0 ? row : 1) ? INT64_MAX / 4 : out * row;
        }
    // Other operators may read the data more than once.
    return in > INT64_MAX / 16 || out > INT64_MAX / 16 ? INT64_MAX / 4 : 4 * (in + out);
}

enum reel_err pass_fold(struct graph *graph, const struct pass_params *params)
{
    (void)params;
    int64_t operations_left = MAX_OPERATIONS;
    uint64_t bytes_left = MAX_TOTAL_BYTES;
    for (struct node *node = graph->first, *next; node; node = next) {
        next = node->next;
        if (!all_constant(node)) continue;
        int64_t cost = operations(node);
        if (cost > operations_left) continue;
        uint64_t limit = bytes_left < MAX_NODE_BYTES ? bytes_left : MAX_NODE_BYTES, bytes = 0;
        for (int i = 0; i < node->n_out; i++)
            if (node->out[i]) bytes += (uint64_t)count_of(node->out[i]) * reel_dtype_bytes(node->out[i]->dtype);
        bool done;
        enum reel_err err = shape_fold_node(graph, node, limit, &done);
        if (err) return err;
        if (!done) continue;
        operations_left -= cost;
        bytes_left -= bytes < bytes_left ? bytes : bytes_left;
    }
    return REEL_OK;
}

// SPDX-License-Identifier: MIT
//
// Shape inference; see shape.h. Called by pass.c and net.c. In bodies of Loop and Scan nothing is
// folded, and an extent that changes between iterations is unknown.
#include "worker/graph/shape.h"

#include <stdlib.h>
#include <string.h>

#include "worker/graph/sequence.h"
#include "worker/graph/unroll.h"
#include "worker/onnx/op.h"

// Results up to this size (in bytes) are folded here; larger ones are left to pass_fold.
#define SMALL_BYTES 65536

// What else may be done during inference: nothing in loops while the shapes of all iterations are
// unknown, resolving sequences in other bodies, also folding in the outermost graph.
enum freedom { SHAPES_ONLY, SEQUENCES, FOLDING };

static enum reel_err infer_nodes(struct graph *graph, enum freedom freedom);

// ---- folding ----------------------------------------------------------------

static bool reads_shape_only(const struct node *node)
{
    return !*node->op->domain && (!strcmp(node->op_type, "Shape") || !strcmp(node->op_type, "Size"));
}

// Whether everything that the node reads is known: the data, or for Shape and Size the shape.
static bool is_known(const struct node *node)
{
    for (int i = 0; i < node->n_in; i++) {
        const struct value *v = node->in[i];
        if (!v) continue;
        if (v->constant && v->constant->dtype != REEL_STRING) continue;
        if (!reads_shape_only(node) || reel_shape_count(&v->shape) < 0) return false;
    }
    return node->n_epilogue == 0 && !(node->op->flags & (OP_CONTROL | OP_RANDOM | OP_SEQUENCE));
}

static bool fits(const struct node *node, uint64_t max_bytes)
{
    uint64_t bytes = 0;
    for (int i = 0; i < node->n_out; i++) {
        const struct value *v = node->out[i];
        if (!v || v->n_uses == 0) continue;
        int64_t count = reel_shape_count(&v->shape);
        // A result whose shape depends on data is at most as large as the input.
        if (count < 0) count = node->n_in && node->in[0] ? reel_shape_count(&node->in[0]->shape) : -1;
        if (count < 0) return false;
        bytes += (uint64_t)count * (v->dtype ? reel_dtype_bytes(v->dtype) : 8);
    }
    return bytes <= max_bytes;
}

// Describes a value as a tensor, without data if only its shape is known.
static void describe(const struct value *v, struct reel_tensor *t)
{
    *t = v->constant ? *v->constant : (struct reel_tensor){.dtype = v->dtype, .shape = v->shape};
    t->owned = false;
}

// Whether the node dequantises 8-bit weights of an operator whose other operand is dequantised too.
static bool is_quantized_weight(const struct node *node)
{
    if (strcmp(node->op_type, "DequantizeLinear") || !node->in[0] || !node->in[0]->constant || !node->out[0])
        return false;
    const enum reel_dtype t = node->in[0]->constant->dtype;
    const struct node *reader = node->out[0]->n_use_nodes == 1 ? node->out[0]->uses[0] : NULL;
    if ((t != REEL_I8 && t != REEL_U8) || !reader || reader->n_in < 2 || reader->in[1] != node->out[0]) return false;
    if (strcmp(reader->op_type, "Conv") && strcmp(reader->op_type, "ConvTranspose") &&
        strcmp(reader->op_type, "MatMul") && strcmp(reader->op_type, "Gemm"))
        return false;
    const struct node *other = reader->in[0] ? reader->in[0]->producer : NULL;
    return other && !strcmp(other->op_type, "DequantizeLinear");
}

enum reel_err shape_fold_node(struct graph *graph, struct node *node, uint64_t max_bytes, bool *out_done)
{
    *out_done = false;
    if (graph->keep_quantized && is_quantized_weight(node)) return REEL_OK;
    if (!is_known(node) || !fits(node, max_bytes)) return REEL_OK;
    size_t n = (size_t)(node->n_in + node->n_out) + 1;
    struct reel_tensor *t = calloc(n, sizeof *t);
    struct reel_tensor **p = calloc(n, sizeof(*p));
    enum reel_err err =
        t && p ? REEL_OK : reel_fail(REEL_ERR_NOMEM, "could not fold node \"%s\": out of memory", node->name);
    for (int i = 0; !err && i < node->n_in; i++) {
        if (!node->in[i]) continue;
        describe(node->in[i], &t[i]);
        p[i] = &t[i];
    }
    struct reel_tensor *out = t + node->n_in, **out_p = p + node->n_in;
    for (int i = 0; !err && i < node->n_out; i++) out_p[i] = node->out[i] && node->out[i]->n_uses > 0 ? &out[i] : NULL;
    if (!err) err = op_run(node, (const struct reel_tensor *const *)p, out_p, NULL, NULL);
    for (int i = 0; !err && i < node->n_out; i++) {
        struct value *v = node->out[i];
        if (!out_p[i]) continue;
        if (!graph_make_constant(graph, v, &out[i])) err = reel_fail(REEL_ERR_NOMEM, "could not fold: out of memory");
    }
    if (!err) {
        graph_remove_node(graph, node);
        *out_done = true;
    }
    for (int i = 0; t && i < node->n_out; i++) reel_tensor_fini(&out[i]);
    free(t);
    free(p);
    return err;
}

// ---- one node ---------------------------------------------------------------

static enum reel_err infer_node(struct node *node)
{
    enum reel_err err = sequence_refuse(node);
    if (err) return err;
    size_t n = (size_t)(node->n_in + node->n_out) + 1;
    struct reel_tensor small[16], *small_p[16];
    struct reel_tensor *t = n <= 16 ? small : malloc(n * sizeof *t);
    struct reel_tensor **p = n <= 16 ? small_p : malloc(n * sizeof(*p));
    if (!t || !p) err = reel_fail(REEL_ERR_NOMEM, "could not infer shapes: out of memory");
    for (int i = 0; !err && i < node->n_in; i++) {
        p[i] = node->in[i] ? &t[i] : NULL;
        if (p[i]) describe(node->in[i], &t[i]);
    }
    struct reel_tensor *out = t + node->n_in, **out_p = p + node->n_in;
    for (int i = 0; !err && i < node->n_out; i++) {
        out[i] = (struct reel_tensor){.shape.ndim = -1};
        out_p[i] = node->out[i] ? &out[i] : NULL;
    }
    if (!err) err = op_infer(node, (const struct reel_tensor *const *)p, out_p);
    for (int i = 0; !err && i < node->n_out; i++) {
        if (!out_p[i]) continue;
        node->out[i]->dtype = out[i].dtype;
        node->out[i]->shape = out[i].shape;
    }
    if (t != small) free(t);
    if (p != small_p) free(p);
    return err;
}

// ---- bodies -----------------------------------------------------------------

static void set_input(struct graph *body, int i, enum reel_dtype dtype, const struct reel_shape *shape)
{
    if (i >= body->n_inputs) return;
    if (dtype) body->inputs[i]->dtype = dtype;
    body->inputs[i]->shape = *shape;
}

// Makes the extents of *a unknown that differ from b's; true when any did.
static bool widen(struct reel_shape *a, const struct reel_shape *b)
{
    if (a->ndim < 0) return false;
    if (b->ndim != a->ndim) {
        a->ndim = -1;
        return true;
    }
    bool changed = false;
    for (int i = 0; i < a->ndim; i++) {
        if (a->dim[i] < 0 || a->dim[i] == b->dim[i]) continue;
        a->dim[i] = -1;
        changed = true;
    }
    return changed;
}

// A branch or body may never run, so errors in it only give unknown shapes here; they are reported
// when it runs.
static void infer_body(struct graph *body, enum freedom freedom)
{
    if (infer_nodes(body, freedom == FOLDING ? SEQUENCES : freedom) == REEL_OK) return;
    for (int i = 0; i < body->n_outputs; i++)
        if (body->outputs[i]->owner == body && !body->outputs[i]->constant) body->outputs[i]->shape.ndim = -1;
}

static void infer_loop(const struct node *node, struct graph *body)
{
    const struct reel_shape scalar = {0};
    set_input(body, 0, REEL_I64, &scalar);
    set_input(body, 1, REEL_BOOL, &scalar);
    for (int i = 2; i < node->n_in; i++)
        if (node->in[i]) set_input(body, i, node->in[i]->dtype, &node->in[i]->shape);
    // A carried value keeps only extents that no iteration changes. Each round makes some extents
    // unknown, so a few rounds are enough.
    for (int round = 0; round < 3; round++) {
        infer_body(body, SHAPES_ONLY);
        bool changed = false;
        for (int i = 2; i < node->n_in && i < body->n_inputs && i - 1 < body->n_outputs; i++)
            if (widen(&body->inputs[i]->shape, &body->outputs[i - 1]->shape)) changed = true;
        if (!changed) return;
    }
    for (int i = 2; i < body->n_inputs; i++) body->inputs[i]->shape.ndim = -1;
    infer_body(body, SHAPES_ONLY);
}

static void infer_scan(const struct node *node, struct graph *body)
{
    int64_t scans = node_attr_int(node, "num_scan_inputs", 0);
    int first = node->opset < 9 ? 1 : 0; // Scan-8 has a leading sequence_lens and a batch axis
    int n_in = node->n_in - first;
    if (scans < 0 || scans > n_in) return;
    int states = n_in - (int)scans;
    const int64_t *axes;
    int n_axes = node_attr_ints(node, "scan_input_axes", &axes);
    for (int i = 0; i < n_in; i++) {
        const struct value *v = node->in[first + i];
        if (!v) continue;
        struct reel_shape shape = v->shape;
        for (int cut = i < states ? first : 1 + first; cut > 0 && shape.ndim > 0; cut--) {
            bool scan_axis = cut == 1 && i >= states;
            int axis = 0;
            if (scan_axis && i - states < n_axes && op_axis(axes[i - states], shape.ndim, &axis)) axis = 0;
            for (int d = axis; d + 1 < shape.ndim; d++) shape.dim[d] = shape.dim[d + 1];
            shape.ndim--;
        }
        set_input(body, i, v->dtype, &shape);
    }
    infer_body(body, SHAPES_ONLY);
}

static void infer_bodies(const struct node *node, enum freedom freedom)
{
    for (int i = 0; i < node->n_attr; i++) {
        if (node->attr[i].type != ATTR_GRAPH) continue;
        struct graph *body = node->attr[i].u.g;
        const bool loop = !strcmp(node->op_type, "Loop"), scan = !strcmp(node->op_type, "Scan");
        if (loop) infer_loop(node, body);
        if (scan) infer_scan(node, body);
        // In loops, sequences are resolved only when the shapes hold for every iteration.
        if ((!loop && !scan) || (freedom != SHAPES_ONLY && sequence_is_used(body))) infer_body(body, freedom);
    }
}

// Replaces an If with a constant condition by its branch.
static enum reel_err resolve_if(struct graph *graph, struct node *node, bool *out_done)
{
    *out_done = false;
    if (strcmp(node->op_type, "If") || node->n_in < 1 || !node->in[0]->constant) return REEL_OK;
    const struct reel_tensor *cond = node->in[0]->constant;
    if (cond->dtype != REEL_BOOL || reel_tensor_count(cond) != 1) return REEL_OK;
    const struct attr *a = node_attr(node, op_scalar_int(cond, 0) ? "then_branch" : "else_branch");
    if (!a || a->type != ATTR_GRAPH || a->u.g->n_inputs || a->u.g->n_outputs < node->n_out) return REEL_OK;
    if (!graph_inline_body(graph, node, a->u.g))
        return reel_fail(REEL_ERR_NOMEM, "could not resolve node \"%s\": out of memory", node->name);
    *out_done = true;
    return REEL_OK;
}

// ---- graphs -----------------------------------------------------------------

// Replaces the node by others if possible (sequences, loops, If). These must then be inferred.
static enum reel_err replace_node(struct graph *graph, struct node *node, enum freedom freedom, bool *out_done)
{
    *out_done = false;
    if (freedom != SHAPES_ONLY && sequence_is_node(node)) {
        *out_done = true;
        return sequence_resolve(graph, node);
    }
    if (freedom != FOLDING || !(node->op->flags & OP_CONTROL)) return REEL_OK;
    if (!strcmp(node->op_type, "Loop")) return unroll_loop(graph, node, out_done);
    return resolve_if(graph, node, out_done);
}

static enum reel_err infer_nodes(struct graph *graph, enum freedom freedom)
{
    struct node *node = graph->first;
    while (node) {
        struct node *prev = node->prev, *next = node->next;
        bool done = false;
        enum reel_err err = REEL_OK;
        if (node->op->flags & (OP_CONTROL | OP_SEQUENCE | OP_INFERENCE_NOP)) {
            err = replace_node(graph, node, freedom, &done);
            if (err) return err;
            if (done) { // continue with the nodes that replaced it
                node = prev ? prev->next : graph->first;
                continue;
            }
            if (node->op->flags & OP_CONTROL) infer_bodies(node, freedom);
        }
        if (!(node->op->flags & OP_SEQUENCE)) err = infer_node(node);
        if (!err && freedom == FOLDING) err = shape_fold_node(graph, node, SMALL_BYTES, &done);
        if (err) return err;
        node = next;
    }
    return REEL_OK;
}

static bool has_bodies_or_sequences(const struct graph *graph)
{
    for (const struct node *node = graph->first; node; node = node->next)
        if (node->op->flags & (OP_CONTROL | OP_SEQUENCE)) return true;
    return false;
}

enum reel_err shape_infer(struct graph *graph, const struct reel_shape *in_shapes)
{
    for (int i = 0; i < graph->n_inputs; i++) {
        if (in_shapes) graph->inputs[i]->shape = in_shapes[i];
        if (graph->inputs[i]->dtype == REEL_DTYPE_NONE) graph->inputs[i]->dtype = REEL_F32;
    }
    const bool rewritten = has_bodies_or_sequences(graph);
    enum reel_err err = infer_nodes(graph, FOLDING);
    if (!err && rewritten) err = sequence_check(graph);
    // After rewriting, bodies may read other values of the graphs around them.
    if (!err && rewritten) graph_count_uses(graph);
    return err;
}

// SPDX-License-Identifier: MIT
//
// Takes apart com.microsoft's operators that are several of ONNX's in a row: BiasGelu,
// FastGelu, Gelu, QuickGelu, SkipLayerNormalization and FusedMatMul, in float32. Their parts
// have fast kernels and are merged with the products before them, while the whole is the
// reference implementation. Backends with kernels for the whole (BACKEND_STEPS) keep it.
//
// What it is not: import_fused.c, which takes apart what no backend knows.
#include <string.h>

#include "worker/backend/backend.h"
#include "worker/graph/pass.h"
#include "worker/onnx/op.h"

#define OPSET 20 // the first with Gelu

static enum reel_err out_of_memory(void)
{
    return reel_fail(REEL_ERR_NOMEM, "could not rewrite graph: out of memory");
}

struct parts {
    struct graph *graph;
    struct node *whole;
    bool failed; // out of memory
};

// A node of one result. out NULL: a new value of this shape.
static struct value *add(struct parts *p, const char *op_type, struct value *const *in, int n_in,
                         const struct attr *attrs, int n_attr, struct value *out, const struct reel_shape *shape)
{
    struct attr *copy = graph_alloc(p->graph, (size_t)(n_attr + 1) * sizeof *copy);
    if (!out && (out = graph_add_value(p->graph, NULL))) {
        out->dtype = REEL_F32;
        out->shape = *shape;
    }
    struct node *node =
        out && copy ? graph_add_node(p->graph, p->whole, op_type, p->whole->name, in, n_in, &out, 1) : NULL;
    if (!node || !(node->op = op_find("", op_type, OPSET, NULL))) {
        p->failed = true;
        return NULL;
    }
    for (int i = 0; i < n_attr; i++) copy[i] = attrs[i];
    node->opset = OPSET;
    node->attr = copy;
    node->n_attr = n_attr;
    return out;
}

static struct value *binary(struct parts *p, const char *op_type, struct value *a, struct value *b, struct value *out,
                            const struct reel_shape *shape)
{
    if (!a || !b) return NULL;
    return add(p, op_type, (struct value *const[]){a, b}, 2, NULL, 0, out, shape);
}

static struct value *number(struct parts *p, float x)
{
    struct reel_tensor t;
    struct value *v = NULL;
    if (!reel_tensor_init(&t, REEL_F32, &(struct reel_shape){.ndim = 0})) {
        *(float *)t.data = x;
        if (!(v = graph_add_constant(p->graph, NULL, &t))) reel_tensor_fini(&t);
    }
    p->failed |= !v;
    return v;
}

static struct value *operand(const struct node *node, int i)
{
    return i < node->n_in ? node->in[i] : NULL;
}

// The whole's result i, which now the parts make. NULL when nothing reads it.
static struct value *take_out(struct parts *p, int i)
{
    struct value *v = i < p->whole->n_out ? p->whole->out[i] : NULL;
    if (v) p->whole->out[i] = NULL;
    return v;
}

static bool read(const struct node *node, int i)
{
    const struct value *v = i < node->n_out ? node->out[i] : NULL;
    return v && (v->n_uses || v->is_output);
}

// ---- the operators ----------------------------------------------------------

static void gelu(struct parts *p)
{
    static const struct attr tanh_attr = {.name = "approximate", .type = ATTR_STRING, .count = 4, .u.s = "tanh"};
    struct value *x = p->whole->in[0], *bias = operand(p->whole, 1);
    if (bias) x = binary(p, "Add", x, bias, NULL, &p->whole->out[0]->shape);
    const bool fast = !strcmp(p->whole->op_type, "FastGelu");
    if (x) add(p, "Gelu", &x, 1, &tanh_attr, fast, take_out(p, 0), NULL);
}

// x sigmoid(alpha x)
static void quick_gelu(struct parts *p)
{
    struct value *x = p->whole->in[0], *scaled = x;
    const float alpha = node_attr_float(p->whole, "alpha", 1.702f);
    if (alpha != 1) scaled = binary(p, "Mul", x, number(p, alpha), NULL, &x->shape);
    struct value *gate = scaled ? add(p, "Sigmoid", &scaled, 1, NULL, 0, NULL, &x->shape) : NULL;
    if (gate) binary(p, "Mul", x, gate, take_out(p, 0), NULL);
}

// The bias goes to a product's result, into whose step both additions fit.
static void skip_norm(struct parts *p)
{
    struct node *w = p->whole;
    struct value *x = w->in[0], *skip = w->in[1], *bias = operand(w, 4);
    const struct reel_shape shape = x->shape;
    const bool turned =
        skip->producer && !strcmp(skip->producer->op_type, "MatMul") && reel_shape_equal(&skip->shape, &shape);
    if (bias && turned) {
        x = skip;
        skip = w->in[0];
    }
    if (bias) x = binary(p, "Add", x, bias, NULL, &shape);
    struct value *sum = binary(p, "Add", x, skip, read(w, 3) ? take_out(p, 3) : NULL, &shape);
    struct value *const in[] = {sum, w->in[2], operand(w, 3)};
    const struct attr attrs[] = {{.name = "axis", .type = ATTR_INT, .u.i = -1},
                                 {.name = "epsilon", .type = ATTR_FLOAT, .u.f = node_attr_float(w, "epsilon", 1e-12f)}};
    if (sum) add(p, "LayerNormalization", in, in[2] ? 3 : 2, attrs, 2, take_out(p, 0), NULL);
}

static struct value *turn(struct parts *p, struct value *v, bool turned)
{
    if (!turned) return v;
    const int n = v->shape.ndim;
    int64_t *perm = graph_alloc(p->graph, (size_t)n * sizeof *perm);
    if (!perm) {
        p->failed = true;
        return NULL;
    }
    for (int i = 0; i < n; i++) perm[i] = i < n - 2 ? i : 2 * n - 3 - i;
    struct reel_shape shape = v->shape;
    shape.dim[n - 2] = v->shape.dim[n - 1];
    shape.dim[n - 1] = v->shape.dim[n - 2];
    const struct attr attr = {.name = "perm", .type = ATTR_INTS, .count = n, .u.ints = perm};
    return add(p, "Transpose", &v, 1, &attr, 1, NULL, &shape);
}

static void product(struct parts *p)
{
    const struct node *w = p->whole;
    const struct reel_shape shape = w->out[0]->shape;
    const float alpha = node_attr_float(w, "alpha", 1);
    struct value *a = turn(p, w->in[0], node_attr_int(w, "transA", 0)),
                 *b = turn(p, w->in[1], node_attr_int(w, "transB", 0));
    struct value *y = binary(p, "MatMul", a, b, alpha == 1 ? take_out(p, 0) : NULL, &shape);
    if (alpha != 1) binary(p, "Mul", y, number(p, alpha), take_out(p, 0), NULL);
}

// ---- the pass -------------------------------------------------------------------

static bool plain_product(const struct node *node)
{
    return node->in[0]->shape.ndim >= 2 && node->in[1]->shape.ndim >= 2 && !node_attr_int(node, "transBatchA", 0) &&
           !node_attr_int(node, "transBatchB", 0);
}

static void (*parts_of(const struct node *node))(struct parts *)
{
    const char *type = node->op_type;
    if (!strcmp(type, "BiasGelu") || !strcmp(type, "FastGelu") || !strcmp(type, "Gelu")) return gelu;
    if (!strcmp(type, "QuickGelu")) return quick_gelu;
    if (!strcmp(type, "SkipLayerNormalization")) return read(node, 1) || read(node, 2) ? NULL : skip_norm;
    return !strcmp(type, "FusedMatMul") && plain_product(node) ? product : NULL;
}

static bool known(const struct node *node)
{
    bool ok = node->n_epilogue == 0 && node->n_out && node->out[0] && reel_shape_count(&node->out[0]->shape) > 0;
    for (int i = 0; i < node->n_in && ok; i++) {
        const struct value *v = node->in[i];
        if (v) ok = v->dtype == REEL_F32 && reel_shape_count(&v->shape) > 0;
    }
    return ok && node->in[0] && (node->n_in < 2 || node->in[1]);
}

enum reel_err pass_parts(struct graph *graph, const struct pass_params *params)
{
    if (params->caps & BACKEND_STEPS) return REEL_OK;
    for (struct node *node = graph->first, *next; node; node = next) {
        next = node->next;
        if (strcmp(node->domain, "com.microsoft") || !known(node)) continue;
        void (*make)(struct parts *) = parts_of(node);
        struct parts p = {.graph = graph, .whole = node};
        if (!make) continue;
        make(&p);
        if (p.failed) return out_of_memory();
        graph_remove_node(graph, node);
    }
    return REEL_OK;
}

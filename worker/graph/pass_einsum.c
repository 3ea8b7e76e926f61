// SPDX-License-Identifier: MIT
//
// Turns Einsum of two operands into MatMul: the labels of both operands that stay are the batch, those
// of one that stay are its rows or columns, those of both that go are summed. Where operands or
// result are not laid out like that, Transpose and Reshape bring them there. MatMul has fast kernels
// on every backend, and is recognised in attention.
//
// Backends that lay out operands themselves (BACKEND_STEPS) get it only where nothing has to be moved.
#include <stdlib.h>
#include <string.h>

#include "worker/backend/backend.h"
#include "worker/graph/pass.h"
#include "worker/onnx/ops/einsum.h"

// Labels in order.
struct labels {
    int n, label[REEL_MAX_DIMS];
};

struct product {
    struct graph *graph;
    struct node *node;
    struct einsum e;
    struct value *a, *b;
    const struct einsum_term *a_term, *b_term;
    struct labels batch, rows, columns, summed;
};

static enum reel_err out_of_memory(void)
{
    return reel_fail(REEL_ERR_NOMEM, "could not rewrite Einsum: out of memory");
}

// ---- what the equation says -------------------------------------------------

static int find(const struct einsum_term *term, int label)
{
    for (int i = 0; i < term->n; i++)
        if (term->label[i] == label) return i;
    return -1;
}

static void append(struct labels *to, int label)
{
    to->label[to->n++] = label;
}

// Whether each label occurs once in the term, and an axis never stands for a longer one.
static bool is_plain(const struct product *p, const struct einsum_term *term, const struct value *v)
{
    for (int i = 0; i < term->n; i++)
        if (find(term, term->label[i]) != i || v->shape.dim[i] < 1 || v->shape.dim[i] != p->e.extent[term->label[i]])
            return false;
    return true;
}

// Sorts the labels. False: it is no product of matrices.
static bool classify(struct product *p)
{
    const struct einsum_term *a = p->a_term, *b = p->b_term, *out = &p->e.out;
    if (!is_plain(p, a, p->a) || !is_plain(p, b, p->b)) return false;
    for (int i = 0; i < out->n; i++) {
        const int label = out->label[i];
        const bool in_a = find(a, label) >= 0, in_b = find(b, label) >= 0;
        append(in_a && in_b ? &p->batch : in_a ? &p->rows : &p->columns, label);
    }
    for (int i = 0; i < a->n; i++) {
        if (find(out, a->label[i]) >= 0) continue;
        if (find(b, a->label[i]) < 0) return false; // summed in one operand alone
        append(&p->summed, a->label[i]);
    }
    for (int i = 0; i < b->n; i++)
        if (find(out, b->label[i]) < 0 && find(a, b->label[i]) < 0) return false;
    return p->summed.n && p->rows.n + p->columns.n;
}

static struct labels join(const struct labels *x, const struct labels *y, const struct labels *z)
{
    struct labels all = *x;
    for (int i = 0; i < y->n; i++) append(&all, y->label[i]);
    for (int i = 0; i < z->n; i++) append(&all, z->label[i]);
    return all;
}

// Whether the term has its labels, which are the order's, in that order.
static bool has_order(const struct einsum_term *term, const struct labels *order)
{
    return !memcmp(term->label, order->label, (size_t)order->n * sizeof *order->label);
}

static void exchange(struct product *p)
{
    struct value *v = p->a;
    p->a = p->b, p->b = v;
    const struct einsum_term *term = p->a_term;
    p->a_term = p->b_term, p->b_term = term;
    const struct labels rows = p->rows;
    p->rows = p->columns, p->columns = rows;
}

// How many of operands and result have to be turned.
static int turns(const struct product *p)
{
    const struct labels a = join(&p->batch, &p->rows, &p->summed), b = join(&p->batch, &p->summed, &p->columns);
    const struct labels out = join(&p->batch, &p->rows, &p->columns);
    return !has_order(p->a_term, &a) + !has_order(p->b_term, &b) + !has_order(&p->e.out, &out);
}

// Whether MatMul takes it as it stands, but for the second operand's last two axes.
static bool is_matmul(const struct product *p)
{
    const struct labels a = join(&p->batch, &p->rows, &p->summed), out = join(&p->batch, &p->rows, &p->columns);
    const struct labels b = join(&p->batch, &p->summed, &p->columns), turned = join(&p->batch, &p->columns, &p->summed);
    return p->rows.n == 1 && p->columns.n == 1 && p->summed.n == 1 && has_order(p->a_term, &a) &&
           has_order(&p->e.out, &out) && (has_order(p->b_term, &b) || has_order(p->b_term, &turned));
}

// ---- nodes ------------------------------------------------------------------

static struct reel_shape extents(const struct product *p, const struct labels *order)
{
    struct reel_shape s = {.ndim = order->n};
    for (int i = 0; i < order->n; i++) s.dim[i] = p->e.extent[order->label[i]];
    return s;
}

static int64_t volume(const struct product *p, const struct labels *group)
{
    const struct reel_shape s = extents(p, group);
    return reel_shape_count(&s);
}

static struct value *reshaped(struct product *p, struct value *x, const struct reel_shape *shape)
{
    if (!x || reel_shape_equal(&x->shape, shape)) return x;
    struct reel_tensor t;
    if (reel_tensor_init(&t, REEL_I64, &(struct reel_shape){.ndim = 1, .dim = {shape->ndim}})) return NULL;
    memcpy(t.data, shape->dim, (size_t)shape->ndim * sizeof *shape->dim);
    struct value *dims = graph_add_constant(p->graph, NULL, &t);
    if (!dims) {
        reel_tensor_fini(&t);
        return NULL;
    }
    return pass_insert(p->graph, p->node, "Reshape", (struct value *const[]){x, dims}, 2, x->dtype, shape);
}

// Axes from one order to another.
static struct value *arranged(struct product *p, struct value *x, const struct einsum_term *have,
                              const struct labels *want)
{
    const struct reel_shape shape = extents(p, want);
    int64_t *perm = graph_alloc(p->graph, (size_t)(want->n + 1) * sizeof *perm);
    struct attr *attr = graph_alloc(p->graph, sizeof *attr);
    if (!x || !perm || !attr) return NULL;
    bool moves = false; // more than axes of one element
    int64_t last = -1;
    for (int i = 0; i < want->n; i++) {
        perm[i] = find(have, want->label[i]);
        if (shape.dim[i] == 1) continue;
        moves |= perm[i] < last;
        last = perm[i];
    }
    if (!moves) return reshaped(p, x, &shape);
    struct value *y = pass_insert(p->graph, p->node, "Transpose", &x, 1, x->dtype, &shape);
    if (!y) return NULL;
    *attr = (struct attr){.name = "perm", .type = ATTR_INTS, .count = want->n, .u.ints = perm};
    y->producer->attr = attr;
    y->producer->n_attr = 1;
    return y;
}

// An operand as (batch, first, second).
static struct value *as_matrix(struct product *p, struct value *x, const struct einsum_term *term,
                               const struct labels *first, const struct labels *second)
{
    const struct labels order = join(&p->batch, first, second);
    struct reel_shape shape = extents(p, &p->batch);
    shape.dim[shape.ndim++] = volume(p, first);
    shape.dim[shape.ndim++] = volume(p, second);
    return reshaped(p, arranged(p, x, term, &order), &shape);
}

static enum reel_err build(struct product *p)
{
    struct value *old = p->node->out[0], *in[2];
    struct reel_shape shape = extents(p, &p->batch);
    shape.dim[shape.ndim++] = volume(p, &p->rows);
    shape.dim[shape.ndim++] = volume(p, &p->columns);
    in[0] = as_matrix(p, p->a, p->a_term, &p->rows, &p->summed);
    in[1] = as_matrix(p, p->b, p->b_term, &p->summed, &p->columns);
    if (!in[0] || !in[1]) return out_of_memory();
    struct value *y = pass_insert(p->graph, p->node, "MatMul", in, 2, old->dtype, &shape);
    const struct labels order = join(&p->batch, &p->rows, &p->columns);
    struct einsum_term made = {.n = order.n};
    memcpy(made.label, order.label, sizeof order.label);
    struct labels want = {.n = p->e.out.n};
    memcpy(want.label, p->e.out.label, sizeof want.label);
    shape = extents(p, &order);
    y = arranged(p, reshaped(p, y, &shape), &made, &want);
    if (!y) return out_of_memory();
    struct node *last = y->producer;
    graph_set_output(p->graph, p->node, 0, NULL);
    graph_remove_node(p->graph, p->node);
    graph_set_output(p->graph, last, 0, old);
    return REEL_OK;
}

static enum reel_err rewrite(struct product *p, bool lays_out)
{
    if (!classify(p)) return REEL_OK;
    const int as_written = turns(p);
    exchange(p);
    if (turns(p) >= as_written) exchange(p);
    return lays_out && !is_matmul(p) ? REEL_OK : build(p);
}

static enum reel_err rewrite_node(struct graph *graph, struct node *node, bool lays_out)
{
    struct reel_tensor t[2] = {{0}};
    const struct reel_tensor *list[2] = {&t[0], &t[1]};
    for (int i = 0; i < 2; i++) {
        if (!node->in[i] || node->in[i]->dtype != REEL_F32 || node->in[i]->owner != graph) return REEL_OK;
        t[i] = (struct reel_tensor){.dtype = REEL_F32, .shape = node->in[i]->shape};
    }
    struct reel_shape shape;
    const struct op_call call = {.node = node, .opset = node->opset, .n_in = 2, .in = list};
    struct product p = {.graph = graph, .node = node, .a = node->in[0], .b = node->in[1]};
    enum reel_err err = einsum_open(&call, &p.e, &shape);
    if (!err && p.e.in) {
        p.a_term = &p.e.in[0];
        p.b_term = &p.e.in[1];
        err = rewrite(&p, lays_out);
    }
    free(p.e.in);
    return err;
}

enum reel_err pass_einsum(struct graph *graph, const struct pass_params *params)
{
    for (struct node *node = graph->first, *next; node; node = next) {
        next = node->next;
        if (*node->domain || strcmp(node->op_type, "Einsum") || node->n_in != 2 || node->n_out != 1 || !node->out[0])
            continue;
        enum reel_err err = rewrite_node(graph, node, params->caps & BACKEND_STEPS);
        if (err) return err;
    }
    return REEL_OK;
}

// SPDX-License-Identifier: MIT
//
// Replaces decompositions that exporters write by the operators they stand for: hard sigmoid and hard
// swish, GELU, Mish, squares, layer normalisation, depth-to-space. Additions with the broadcast
// attribute of opsets below 7 get operands of the shape that later opsets need. Nodes that become
// unread are left to pass_clean. Every pattern is matched backwards from its last node.
#include <math.h>
#include <string.h>

#include "worker/graph/pass.h"
#include "worker/onnx/op.h"

static bool is(const struct node *node, const char *op_type)
{
    return node && !*node->domain && !strcmp(node->op_type, op_type) && node->n_epilogue == 0;
}

// The node that computes v if it has this type, else NULL.
static struct node *made_by(const struct value *v, const char *op_type)
{
    return v && is(v->producer, op_type) ? v->producer : NULL;
}

static bool scalar(const struct value *v, double *out)
{
    if (!v || !v->constant || !v->constant->data || reel_tensor_count(v->constant) != 1) return false;
    *out = op_scalar(v->constant, 0);
    return true;
}

static bool near(double x, double y)
{
    return fabs(x - y) <= 1e-5 * fabs(y);
}

static bool simple_binary(const struct node *node)
{
    return node && node->n_in == 2 && node->in[0] && node->in[1] && node->opset >= 7;
}

// v = op(x, c) with a constant c; Add and Mul take either order.
static struct value *with_scalar(const struct value *v, const char *op_type, double c)
{
    const struct node *node = made_by(v, op_type);
    double have;
    if (!simple_binary(node)) return NULL;
    if (scalar(node->in[1], &have) && near(have, c)) return node->in[0];
    bool commutes = !strcmp(op_type, "Add") || !strcmp(op_type, "Mul");
    if (commutes && scalar(node->in[0], &have) && near(have, c)) return node->in[1];
    return NULL;
}

// v = x * c, written as a multiplication or as a division by 1 / c.
static struct value *scaled(const struct value *v, double c)
{
    struct value *x = with_scalar(v, "Mul", c);
    return x ? x : with_scalar(v, "Div", 1 / c);
}

// v = Clip(x, lo, hi)
static struct value *clipped(const struct value *v, double lo, double hi)
{
    const struct node *node = made_by(v, "Clip");
    if (!node) return NULL;
    double have_lo = (double)node_attr_float(node, "min", -INFINITY);
    double have_hi = (double)node_attr_float(node, "max", INFINITY);
    if (node->n_in > 1 && node->in[1] && !scalar(node->in[1], &have_lo)) return NULL;
    if (node->n_in > 2 && node->in[2] && !scalar(node->in[2], &have_hi)) return NULL;
    return have_lo == lo && have_hi == hi ? node->in[0] : NULL;
}

static bool same_type_and_shape(const struct value *a, const struct value *b)
{
    return a->dtype == b->dtype && reel_shape_count(&a->shape) >= 0 && reel_shape_equal(&a->shape, &b->shape);
}

static enum reel_err out_of_memory(void)
{
    return reel_fail(REEL_ERR_NOMEM, "could not rewrite graph: out of memory");
}

// Replaces the node `old` by one of another type.
static enum reel_err replace(struct graph *graph, struct node *old, const char *op_type, int opset,
                             struct value *const *in, int n_in, const struct attr *attrs, int n_attr,
                             struct node **out_new)
{
    const struct op_def *op = op_find("", op_type, opset, NULL);
    *out_new = NULL;
    if (!op) return REEL_OK;
    struct attr *copy = graph_alloc(graph, (size_t)(n_attr + 1) * sizeof *copy);
    struct value *out = old->out[0];
    if (!copy) return out_of_memory();
    for (int i = 0; i < n_attr; i++) copy[i] = attrs[i];
    old->out[0] = NULL;
    struct node *node = graph_add_node(graph, old, op_type, old->name, in, n_in, &out, 1);
    if (!node) return out_of_memory();
    node->op = op;
    node->opset = opset;
    node->attr = copy;
    node->n_attr = n_attr;
    graph_remove_node(graph, old);
    *out_new = node;
    return REEL_OK;
}

static enum reel_err unary(struct graph *graph, struct node **node, const char *op_type, int opset, struct value *x,
                           const struct attr *attrs, int n_attr)
{
    if (x->owner != graph || !same_type_and_shape(x, (*node)->out[0])) return REEL_OK;
    struct node *made;
    enum reel_err err = replace(graph, *node, op_type, opset, &x, 1, attrs, n_attr, &made);
    if (made) *node = made;
    return err;
}

// ---- hard sigmoid, hard swish -----------------------------------------------

static struct value *hard_sigmoid_inside(const struct value *v)
{
    struct value *clip = scaled(v, 1.0 / 6), *sum = clip ? clipped(clip, 0, 6) : NULL;
    return sum ? with_scalar(sum, "Add", 3) : NULL;
}

static enum reel_err hard_sigmoid(struct graph *graph, struct node **node)
{
    struct value *x = hard_sigmoid_inside((*node)->out[0]);
    static const struct attr attrs[] = {{.name = "alpha", .type = ATTR_FLOAT, .u.f = 1.0f / 6},
                                        {.name = "beta", .type = ATTR_FLOAT, .u.f = 0.5f}};
    return x ? unary(graph, node, "HardSigmoid", 6, x, attrs, 2) : REEL_OK;
}

// v = HardSigmoid(x, 1/6, 1/2)
static struct value *sixth_sigmoid(const struct value *v)
{
    const struct node *node = made_by(v, "HardSigmoid");
    if (!node || !near((double)node_attr_float(node, "alpha", 0.2f), 1.0 / 6)) return NULL;
    return near((double)node_attr_float(node, "beta", 0.5f), 0.5) ? node->in[0] : NULL;
}

static enum reel_err hard_swish(struct graph *graph, struct node **node)
{
    // x * hard_sigmoid(x), or x * clip(x + 3, 0, 6) / 6
    struct value *product = (*node)->out[0], *inner = scaled(product, 1.0 / 6), *x = NULL;
    const struct node *mul = made_by(product, "Mul");
    for (int i = 0; simple_binary(mul) && i < 2 && !x; i++)
        if (sixth_sigmoid(mul->in[i]) == mul->in[1 - i]) x = mul->in[1 - i];
    const struct node *whole = inner ? made_by(inner, "Mul") : NULL;
    for (int i = 0; simple_binary(whole) && i < 2 && !x; i++) {
        struct value *sum = clipped(whole->in[i], 0, 6);
        if (sum && with_scalar(sum, "Add", 3) == whole->in[1 - i]) x = whole->in[1 - i];
    }
    return x ? unary(graph, node, "HardSwish", 14, x, NULL, 0) : REEL_OK;
}

// ---- GELU, Mish -------------------------------------------------------------

#define SQRT_2 1.41421356237309504880
#define SQRT_2_OVER_PI 0.79788456080286535588

// 1 + erf(x / sqrt 2) -> x
static struct value *erf_inside(const struct value *v)
{
    struct value *erf = with_scalar(v, "Add", 1);
    const struct node *node = made_by(erf, "Erf");
    return node ? scaled(node->in[0], 1 / SQRT_2) : NULL;
}

// Whether v is a number times a power of x, in any grouping of products.
static bool monomial(const struct value *v, const struct value *x, int depth, double *number, int *power)
{
    double c;
    const struct node *mul = made_by(v, "Mul"), *pow = made_by(v, "Pow"), *div = made_by(v, "Div");
    if (v == x) {
        *power += 1;
        return true;
    }
    if (scalar(v, &c)) {
        *number *= c;
        return true;
    }
    if (simple_binary(pow) && pow->in[0] == x && scalar(pow->in[1], &c) && (c == 2 || c == 3)) {
        *power += (int)c;
        return true;
    }
    if (depth == 0) return false;
    if (simple_binary(div) && scalar(div->in[1], &c) && c != 0) {
        *number /= c;
        return monomial(div->in[0], x, depth - 1, number, power);
    }
    return simple_binary(mul) && monomial(mul->in[0], x, depth - 1, number, power) &&
           monomial(mul->in[1], x, depth - 1, number, power);
}

// 1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)) -> x
static struct value *tanh_inside(const struct value *v)
{
    struct value *t = with_scalar(v, "Add", 1);
    const struct node *tanh_node = made_by(t, "Tanh");
    struct value *sum = tanh_node ? scaled(tanh_node->in[0], SQRT_2_OVER_PI) : NULL;
    const struct node *add = made_by(sum, "Add");
    for (int i = 0; simple_binary(add) && i < 2; i++) {
        double number = 1;
        int power = 0;
        if (monomial(add->in[1 - i], add->in[i], 4, &number, &power) && near(number, 0.044715) && power == 3)
            return add->in[i];
    }
    return NULL;
}

// If the node is the product of x, 1/2 and g(x), in any grouping, returns x.
static struct value *half_product(const struct node *root, struct value *(*inside)(const struct value *))
{
    struct value *rest = scaled(root->out[0], 0.5);
    const struct node *mul = rest ? made_by(rest, "Mul") : root;
    for (int i = 0; simple_binary(mul) && i < 2; i++) {
        struct value *a = mul->in[i], *b = mul->in[1 - i];
        struct value *x = inside(b);
        if (x && (rest ? a == x : scaled(a, 0.5) == x)) return x;
        struct value *half = rest ? NULL : scaled(b, 0.5); // x * (g(x) / 2)
        x = half ? inside(half) : NULL;
        if (x && a == x) return x;
    }
    return NULL;
}

static enum reel_err gelu(struct graph *graph, struct node **node)
{
    static const struct attr tanh_attr = {.name = "approximate", .type = ATTR_STRING, .count = 4, .u.s = "tanh"};
    struct value *x = half_product(*node, erf_inside);
    if (x) return unary(graph, node, "Gelu", 20, x, NULL, 0);
    x = half_product(*node, tanh_inside);
    return x ? unary(graph, node, "Gelu", 20, x, &tanh_attr, 1) : REEL_OK;
}

static enum reel_err mish(struct graph *graph, struct node **node)
{
    for (int i = 0; simple_binary(*node) && i < 2; i++) {
        const struct node *t = made_by((*node)->in[i], "Tanh"), *s = t ? made_by(t->in[0], "Softplus") : NULL;
        if (s && s->in[0] == (*node)->in[1 - i]) return unary(graph, node, "Mish", 18, s->in[0], NULL, 0);
    }
    return REEL_OK;
}

// ---- powers -----------------------------------------------------------------

// x^2 becomes x * x, with the same bits: pow(x, 2) is the correctly rounded product.
static enum reel_err square(struct graph *graph, struct node **node)
{
    double power;
    struct value *x = (*node)->n_in == 2 ? (*node)->in[0] : NULL;
    if (!x || x->owner != graph || x->dtype != REEL_F32 || !scalar((*node)->in[1], &power) || power != 2 ||
        !same_type_and_shape(x, (*node)->out[0]))
        return REEL_OK;
    struct value *in[2] = {x, x};
    struct node *made;
    enum reel_err err = replace(graph, *node, "Mul", 14, in, 2, NULL, 0, &made);
    if (made) *node = made;
    return err;
}

// ---- layer normalisation -----------------------------------------------------

struct layer_norm {
    struct value *x;
    const struct value *scale, *bias; // constants; NULL: none
    double epsilon;
};

// If v is the mean of a value over its last axis (kept with extent 1), returns that value.
static struct value *last_mean(const struct value *v)
{
    const struct node *node = made_by(v, "ReduceMean");
    const int64_t *axes;
    if (!node || node->n_in < 1 || !node->in[0] || node_attr_int(node, "keepdims", 1) != 1) return NULL;
    int64_t axis;
    if (node->n_in > 1 && node->in[1]) {
        const struct reel_tensor *t = node->in[1]->constant;
        if (!t || !t->data || reel_tensor_count(t) != 1) return NULL;
        axis = op_scalar_int(t, 0);
    } else {
        if (node_attr_ints(node, "axes", &axes) != 1) return NULL;
        axis = axes[0];
    }
    return axis == -1 || axis == node->in[0]->shape.ndim - 1 ? node->in[0] : NULL;
}

// v = d^2
static struct value *squared(const struct value *v)
{
    struct value *d = with_scalar(v, "Pow", 2);
    const struct node *mul = made_by(v, "Mul");
    return d ? d : simple_binary(mul) && mul->in[0] == mul->in[1] ? mul->in[0] : NULL;
}

// v = (x - mean x) / sqrt(mean (x - mean x)^2 + epsilon)
static bool normalised(const struct value *v, struct layer_norm *n)
{
    const struct node *div = made_by(v, "Div");
    const struct node *sub = simple_binary(div) ? made_by(div->in[0], "Sub") : NULL;
    const struct node *root = div ? made_by(div->in[1], "Sqrt") : NULL;
    const struct node *add = root && root->n_in ? made_by(root->in[0], "Add") : NULL;
    if (!simple_binary(sub) || !simple_binary(add) || last_mean(sub->in[1]) != sub->in[0]) return false;
    const int constant = add->in[0]->constant ? 0 : 1;
    const struct value *square = last_mean(add->in[1 - constant]);
    if (!scalar(add->in[constant], &n->epsilon) || !square || squared(square) != div->in[0]) return false;
    n->x = sub->in[0];
    return n->x->dtype == REEL_F32 && same_type_and_shape(n->x, v);
}

// If node = op(v, c) with a constant c of one element per element of v's last axis, returns c, and v
// in *out.
static const struct value *along_last(const struct node *node, struct value **out)
{
    if (!simple_binary(node)) return NULL;
    for (int i = 0; i < 2; i++) {
        const struct value *c = node->in[i];
        struct value *v = node->in[1 - i];
        const int dims = v->shape.ndim;
        *out = v;
        if (c->constant && c->constant->data && c->constant->dtype == REEL_F32 && dims > 0 && c->shape.ndim > 0 &&
            c->shape.ndim <= dims && reel_tensor_count(c->constant) == v->shape.dim[dims - 1] &&
            c->shape.dim[c->shape.ndim - 1] == v->shape.dim[dims - 1])
            return c;
    }
    return NULL;
}

// The constant in the shape (n); ones if it is NULL.
static struct value *vector_of(struct graph *graph, const struct value *v, int64_t n)
{
    struct reel_tensor t;
    if (reel_tensor_init(&t, REEL_F32, &(struct reel_shape){.ndim = 1, .dim = {n}})) return NULL;
    for (int64_t i = 0; i < n; i++) ((float *)t.data)[i] = v ? ((const float *)v->constant->data)[i] : 1;
    struct value *made = graph_add_constant(graph, NULL, &t);
    if (!made) reel_tensor_fini(&t);
    return made;
}

// Rewrites normalised * scale + bias, without bias, or without both. Starts only at the last of these
// nodes, so that the whole pattern is found.
static enum reel_err layer_norm(struct graph *graph, struct node **node)
{
    struct layer_norm n = {NULL};
    struct value *v = (*node)->out[0], *inner;
    const struct node *next = graph_only_consumer(graph, v);
    if (!is(*node, "Add") && (is(next, "Mul") || is(next, "Add")) && along_last(next, &inner) && inner == v)
        return REEL_OK;
    if (is(*node, "Add") && (n.bias = along_last(*node, &inner))) v = inner;
    const struct node *mul = made_by(v, "Mul");
    if (mul && (n.scale = along_last(mul, &inner))) v = inner;
    if ((is(*node, "Add") && !n.bias) || !normalised(v, &n) || n.x->owner != graph) return REEL_OK;
    const int64_t columns = n.x->shape.dim[n.x->shape.ndim - 1];
    struct value *in[3] = {n.x, vector_of(graph, n.scale, columns), n.bias ? vector_of(graph, n.bias, columns) : NULL};
    if (!in[1] || (n.bias && !in[2])) return out_of_memory();
    const struct attr attrs[] = {{.name = "axis", .type = ATTR_INT, .count = 1, .u.i = -1},
                                 {.name = "epsilon", .type = ATTR_FLOAT, .count = 1, .u.f = (float)n.epsilon}};
    struct node *made;
    enum reel_err err = replace(graph, *node, "LayerNormalization", 17, in, n.bias ? 3 : 2, attrs, 2, &made);
    if (made) *node = made;
    return err;
}

// ---- depth to space ---------------------------------------------------------

// (N, C r r, H, W) -> (N, C, r, r, H, W) -> (N, C, H, r, W, r) -> (N, C, H r, W r)
static enum reel_err depth_to_space(struct graph *graph, struct node **node)
{
    const struct node *perm_node = made_by((*node)->in[0], "Transpose");
    const struct node *split = perm_node ? made_by(perm_node->in[0], "Reshape") : NULL;
    if (!split || split->in[0]->owner != graph) return REEL_OK;
    const struct reel_shape *in = &split->in[0]->shape, *mid = &split->out[0]->shape, *out = &(*node)->out[0]->shape;
    const int64_t *perm;
    static const int64_t crd[] = {0, 1, 4, 2, 5, 3}, dcr[] = {0, 3, 4, 1, 5, 2};
    if (in->ndim != 4 || mid->ndim != 6 || out->ndim != 4 || node_attr_ints(perm_node, "perm", &perm) != 6)
        return REEL_OK;
    bool is_crd = !memcmp(perm, crd, sizeof crd), is_dcr = !memcmp(perm, dcr, sizeof dcr);
    int64_t r = is_crd ? mid->dim[2] : mid->dim[1], c = is_crd ? mid->dim[1] : mid->dim[3];
    bool fits = (is_crd || is_dcr) && r > 0 && mid->dim[is_crd ? 3 : 2] == r && mid->dim[0] == in->dim[0] &&
                mid->dim[4] == in->dim[2] && mid->dim[5] == in->dim[3] && out->dim[0] == in->dim[0] &&
                out->dim[1] == c && out->dim[2] == in->dim[2] * r && out->dim[3] == in->dim[3] * r;
    if (!fits) return REEL_OK;
    const struct attr attrs[] = {{.name = "blocksize", .type = ATTR_INT, .u.i = r},
                                 {.name = "mode", .type = ATTR_STRING, .count = 3, .u.s = is_crd ? "CRD" : "DCR"}};
    struct node *made;
    struct value *x = split->in[0];
    enum reel_err err = replace(graph, *node, "DepthToSpace", 13, &x, 1, attrs, 2, &made);
    if (made) *node = made;
    return err;
}

// ---- broadcasting before opset 7 --------------------------------------------

// Add-1 and similar operators: B (here a constant) is aligned with A at `axis`. With trailing extents
// of 1 the rules of later opsets give the same result.
static enum reel_err old_broadcast(struct graph *graph, struct node *node)
{
    if (node->opset >= 7 || node->n_in != 2 || !node_attr_int(node, "broadcast", 0)) return REEL_OK;
    const struct op_def *op = op_find("", node->op_type, 7, NULL);
    const struct value *a = node->in[0], *b = node->in[1];
    if (!op || !b->constant || a->shape.ndim < b->shape.ndim || b->shape.ndim < 0) return REEL_OK;
    int64_t axis = node_attr_int(node, "axis", a->shape.ndim - b->shape.ndim);
    if (axis < 0) axis += a->shape.ndim;
    if (axis < 0 || axis + b->shape.ndim > a->shape.ndim) return REEL_OK;
    struct reel_tensor t = *b->constant;
    t.owned = false; // borrowed: constants live as long as the graph
    for (int64_t i = axis + b->shape.ndim; i < a->shape.ndim; i++) t.shape.dim[t.shape.ndim++] = 1;
    struct value *wide = graph_add_constant(graph, NULL, &t);
    if (!wide) return out_of_memory();
    graph_set_input(graph, node, 1, wide);
    node->op = op;
    node->opset = 7;
    node->n_attr = 0;
    return REEL_OK;
}

// -----------------------------------------------------------------------------

enum reel_err pass_rewrite(struct graph *graph, const struct pass_params *params)
{
    (void)params;
    for (struct node *node = graph->first, *next; node; node = next) {
        next = node->next;
        if (node->n_out != 1 || !node->out[0] || *node->domain || node->n_epilogue) continue;
        enum reel_err err = REEL_OK;
        if (is(node, "Add") || is(node, "Sub") || is(node, "Mul") || is(node, "Div")) err = old_broadcast(graph, node);
        if (!err && (is(node, "Mul") || is(node, "Div"))) err = hard_sigmoid(graph, &node);
        if (!err && (is(node, "Mul") || is(node, "Div"))) err = hard_swish(graph, &node);
        if (!err && (is(node, "Mul") || is(node, "Div"))) err = gelu(graph, &node);
        if (!err && is(node, "Mul")) err = mish(graph, &node);
        if (!err && is(node, "Pow")) err = square(graph, &node);
        if (!err && (is(node, "Add") || is(node, "Mul") || is(node, "Div"))) err = layer_norm(graph, &node);
        if (!err && is(node, "Reshape")) err = depth_to_space(graph, &node);
        if (err) return err;
    }
    return REEL_OK;
}

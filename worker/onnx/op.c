// SPDX-License-Identifier: MIT
//
// The operator table's face: look-up over all families, one way to infer and to
// run a node, and the helpers that the families share. Called by the importer,
// the passes, the interpreter and the backends; see op.h for the contract. The
// families themselves are in ops/*.c.
#include "worker/onnx/op.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define DECLARE_FAMILY(name)                 \
    extern const struct op_def ops_##name[]; \
    extern const int ops_##name##_count;
OP_FAMILIES(DECLARE_FAMILY)

// ---- look-up ----------------------------------------------------------------

#define MAX_OPS 1024
#define HASH_SIZE 2048 // a power of two above MAX_OPS

static const struct op_def *all_ops[MAX_OPS];
static int all_count;
static const struct op_def *hash[HASH_SIZE]; // by domain and name, linear probing
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

static uint32_t hash_name(const char *domain, const char *name)
{
    uint32_t h = 2166136261u; // FNV-1a
    for (const char *p = domain; *p; p++) h = (h ^ (unsigned char)*p) * 16777619u;
    h = (h ^ ':') * 16777619u;
    for (const char *p = name; *p; p++) h = (h ^ (unsigned char)*p) * 16777619u;
    return h;
}

static void add_family(const struct op_def *ops, int count)
{
    for (int i = 0; i < count && all_count < MAX_OPS; i++) {
        all_ops[all_count++] = &ops[i];
        uint32_t h = hash_name(ops[i].domain, ops[i].name) % HASH_SIZE;
        while (hash[h]) h = (h + 1) % HASH_SIZE;
        hash[h] = &ops[i];
    }
}

static void make_table(void)
{
#define ADD_FAMILY(name) add_family(ops_##name, ops_##name##_count);
    OP_FAMILIES(ADD_FAMILY)
}

const struct op_def *op_find(const char *domain, const char *name, int opset, bool *out_name_known)
{
    pthread_once(&table_once, make_table);
    if (!strcmp(domain, "ai.onnx")) domain = "";
    bool known = false;
    const struct op_def *found = NULL;
    for (uint32_t h = hash_name(domain, name) % HASH_SIZE; hash[h] && !found; h = (h + 1) % HASH_SIZE) {
        if (strcmp(hash[h]->name, name) || strcmp(hash[h]->domain, domain)) continue;
        known = true;
        if (opset >= hash[h]->since && opset <= hash[h]->until) found = hash[h];
    }
    if (out_name_known) *out_name_known = known;
    return found;
}

const struct op_def *const *op_list(int *out_count)
{
    pthread_once(&table_once, make_table);
    *out_count = all_count;
    return all_ops;
}

// ---- inference and evaluation of one node -----------------------------------

static enum reel_err name_node(enum reel_err err, const struct node *node)
{
    return reel_fail_prefix(err, "could not run node \"%s\" (%s%s%s, opset %d): ", node->name, node->domain,
                            *node->domain ? "." : "", node->op_type, node->opset);
}

static enum reel_err check_call(const struct node *node, const struct reel_tensor *const *in)
{
    const struct op_def *op = node->op;
    for (int i = 0; i < op->min_in; i++)
        if (i >= node->n_in || (!in[i] && i == 0))
            return reel_fail(REEL_ERR_INPUT, "it has %d inputs, at least %d are needed", node->n_in, op->min_in);
    if (node->n_in && in[0] && in[0]->dtype != REEL_DTYPE_NONE && !(op->types & T_(in[0]->dtype)))
        return reel_fail(REEL_ERR_UNSUPPORTED, "it does not take %s", reel_dtype_name(in[0]->dtype));
    return REEL_OK;
}

enum reel_err op_infer(const struct node *node, const struct reel_tensor *const *in, struct reel_tensor *const *out)
{
    enum reel_err err = check_call(node, in);
    if (err) return name_node(err, node);
    struct op_call call = {
        .node = node, .opset = node->opset, .n_in = node->n_in, .n_out = node->n_out, .in = in, .out = out};
    err = node->op->infer(&call);
    if (err) return name_node(err, node);
    for (int i = 0; i < node->n_out; i++)
        if (out[i] && out[i]->shape.ndim > REEL_MAX_DIMS)
            return name_node(reel_fail(REEL_ERR_LIMIT, "more than %d dimensions", REEL_MAX_DIMS), node);
    return REEL_OK;
}

// Allocates the outputs whose shape inference knew; the others are eval's.
static enum reel_err alloc_outputs(const struct op_call *call, const struct reel_tensor *inferred)
{
    for (int i = 0; i < call->n_out; i++) {
        const struct reel_tensor *t = &inferred[i];
        if (!call->out[i] || reel_shape_count(&t->shape) < 0 || reel_dtype_bytes(t->dtype) == 0) continue;
        enum reel_err err = op_alloc_out(call, i, t->dtype, &t->shape);
        if (err) return err;
    }
    return REEL_OK;
}

static enum reel_err run_call(struct op_call *call)
{
    const struct op_def *op = call->node->op;
    if (!(op->flags & OP_CONTROL)) {
        // Inferred beside the true outputs, which may have their memory already.
        struct reel_tensor small[8], *inferred = small, *places_small[8], **places = places_small;
        if (call->n_out > 8) {
            inferred = malloc((size_t)call->n_out * sizeof *inferred);
            places = malloc((size_t)call->n_out * sizeof(*places));
        }
        enum reel_err err =
            inferred && places ? REEL_OK : reel_fail(REEL_ERR_NOMEM, "no memory for %d outputs", call->n_out);
        for (int i = 0; !err && i < call->n_out; i++) {
            inferred[i] = (struct reel_tensor){.shape.ndim = -1};
            places[i] = call->out[i] ? &inferred[i] : NULL;
        }
        struct op_call probe = *call;
        probe.out = places;
        if (!err) err = op->infer(&probe);
        if (!err) err = alloc_outputs(call, inferred);
        if (inferred != small) free(inferred);
        if (places != places_small) free(places);
        if (err) return err;
    }
    enum reel_err err = op->eval(call);
    for (int i = 0; !err && i < call->n_out; i++)
        if (call->out[i] && !call->out[i]->data) err = reel_fail(REEL_ERR_FAULT, "output %d was not computed", i);
    return err;
}

enum reel_err op_run(const struct node *node, const struct reel_tensor *const *in, struct reel_tensor *const *out,
                     enum reel_err (*run_body)(void *scope, struct graph *body, const struct reel_tensor *const *in,
                                               int n_in, struct reel_tensor *out, int n_out),
                     void *scope)
{
    struct op_call call = {.node = node,
                           .opset = node->opset,
                           .n_in = node->n_in,
                           .n_out = node->n_out,
                           .in = in,
                           .out = out,
                           .run_body = run_body,
                           .scope = scope};
    enum reel_err err = check_call(node, in);
    if (!err && (node->op->flags & OP_CONTROL) && !run_body)
        err = reel_fail(REEL_ERR_UNSUPPORTED, "control flow cannot be run here");
    if (!err) err = run_call(&call);
    return err ? name_node(err, node) : REEL_OK;
}

enum reel_err op_eval(const struct node *node, int n_in, const struct reel_tensor *const *in, int n_out,
                      struct reel_tensor *const *out)
{
    struct op_call call = {.node = node, .opset = node->opset, .n_in = n_in, .n_out = n_out, .in = in, .out = out};
    enum reel_err err = node->op->eval(&call);
    return err ? name_node(err, node) : REEL_OK;
}

// ---- helpers for the families -----------------------------------------------

enum reel_err op_alloc_out(const struct op_call *call, int i, enum reel_dtype dtype, const struct reel_shape *shape)
{
    struct reel_tensor *t = call->out[i];
    if (!t->data) return reel_tensor_init(t, dtype, shape);
    if (t->dtype == dtype && reel_shape_equal(&t->shape, shape)) return REEL_OK;
    char have[128], want[128];
    return reel_fail(REEL_ERR_INPUT, "output %d is %s %s where %s %s was expected", i, reel_dtype_name(dtype),
                     reel_shape_text(shape, want, sizeof want), reel_dtype_name(t->dtype),
                     reel_shape_text(&t->shape, have, sizeof have));
}

enum reel_err op_broadcast(const struct reel_shape *a, const struct reel_shape *b, struct reel_shape *out_shape)
{
    struct reel_shape out = {.ndim = -1};
    if (a->ndim < 0 || b->ndim < 0) {
        *out_shape = out;
        return REEL_OK;
    }
    out.ndim = a->ndim > b->ndim ? a->ndim : b->ndim;
    for (int i = 0; i < out.ndim; i++) {
        int ia = i - (out.ndim - a->ndim), ib = i - (out.ndim - b->ndim);
        int64_t da = ia < 0 ? 1 : a->dim[ia], db = ib < 0 ? 1 : b->dim[ib];
        if (da == db || db == 1) {
            out.dim[i] = da;
        } else if (da == 1) {
            out.dim[i] = db;
        } else if (da < 0 || db < 0) {
            out.dim[i] = da < 0 ? db : da; // the unknown one must be 1 or equal
        } else {
            char ta[128], tb[128];
            return reel_fail(REEL_ERR_INPUT, "shapes %s and %s do not broadcast", reel_shape_text(a, ta, sizeof ta),
                             reel_shape_text(b, tb, sizeof tb));
        }
    }
    *out_shape = out;
    return REEL_OK;
}

enum reel_err op_axis(int64_t axis, int ndim, int *out_axis)
{
    if (axis < -ndim || axis >= ndim)
        return reel_fail(REEL_ERR_INPUT, "axis %" PRId64 " is outside a tensor of %d dimensions", axis, ndim);
    *out_axis = (int)(axis < 0 ? axis + ndim : axis);
    return REEL_OK;
}

bool op_const_ints(const struct op_call *call, int i, int64_t *out_values, int max, int *out_n)
{
    *out_n = 0;
    if (i >= call->n_in || !call->in[i]) return false;
    const struct reel_tensor *t = call->in[i];
    int64_t count = reel_tensor_count(t);
    if (count < 0 || count > INT32_MAX || (!t->data && count > 0)) return false;
    if (t->dtype != REEL_I64 && t->dtype != REEL_I32) return false;
    *out_n = (int)count;
    for (int64_t k = 0; k < count && k < max; k++) out_values[k] = op_scalar_int(t, k);
    return true;
}

enum reel_err op_axes(const struct op_call *call, const char *attr_name, int input, int ndim, int *out_axes, int *out_n,
                      bool *out_known)
{
    *out_n = 0;
    *out_known = true;
    int64_t axes[REEL_MAX_DIMS];
    const int64_t *from = axes;
    int n = attr_name ? node_attr_ints(call->node, attr_name, &from) : 0;
    if (n == 0) {
        bool given = input >= 0 && input < call->n_in && call->in[input];
        if (!given) return REEL_OK;
        from = axes;
        if (!op_const_ints(call, input, axes, REEL_MAX_DIMS, &n)) {
            const struct reel_tensor *t = call->in[input];
            if (t->dtype != REEL_I64 && t->dtype != REEL_I32 && t->dtype != REEL_DTYPE_NONE)
                return reel_fail(REEL_ERR_INPUT, "axes of type %s", reel_dtype_name(t->dtype));
            *out_known = false;
            return REEL_OK;
        }
    }
    if (n > REEL_MAX_DIMS) return reel_fail(REEL_ERR_INPUT, "%d axes", n);
    for (int i = 0; i < n; i++) {
        enum reel_err err = op_axis(from[i], ndim, &out_axes[i]);
        if (err) return err;
        for (int k = 0; k < i; k++)
            if (out_axes[k] == out_axes[i]) return reel_fail(REEL_ERR_INPUT, "axis %d is given twice", out_axes[i]);
    }
    *out_n = n;
    return REEL_OK;
}

enum reel_err op_infer_same(const struct op_call *call)
{
    if (call->n_out < 1 || !call->out[0]) return REEL_OK;
    call->out[0]->dtype = call->in[0]->dtype;
    call->out[0]->shape = call->in[0]->shape;
    return REEL_OK;
}

double op_scalar(const struct reel_tensor *t, int64_t i)
{
    double value = 0;
    reel_convert(&value, REEL_F64, (const char *)t->data + (size_t)i * reel_dtype_bytes(t->dtype), t->dtype, 1);
    return value;
}

int64_t op_scalar_int(const struct reel_tensor *t, int64_t i)
{
    int64_t value = 0;
    reel_convert(&value, REEL_I64, (const char *)t->data + (size_t)i * reel_dtype_bytes(t->dtype), t->dtype, 1);
    return value;
}

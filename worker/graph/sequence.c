// SPDX-License-Identifier: MIT
//
// Sequences and optionals as lists of values; see sequence.h. Definitions: ONNX,
// SequenceConstruct, SequenceEmpty, SequenceInsert, SequenceErase, SequenceAt,
// SequenceLength, SplitToSequence, ConcatFromSequence (11), SequenceMap (17),
// Optional, OptionalGetElement, OptionalHasElement (15, 18).
#include "worker/graph/sequence.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/onnx/op.h"

// Enough for a picture split into its rows. A list to which a loop appends one item per iteration,
// copying it each time, stays below 100 MB.
#define MAX_ITEMS 4096
#define MAX_MAP_NODES 16384 // in all copies of a SequenceMap's body
// Opset of the nodes that are added here, whatever the file's is.
#define OPSET 13

static enum reel_err out_of_memory(void)
{
    return reel_fail(REEL_ERR_NOMEM, "out of memory");
}

enum reel_err sequence_fail(enum reel_err err, const struct node *node)
{
    return reel_fail_prefix(err, "could not resolve node \"%s\" (%s, opset %d): ", node->name, node->op_type,
                            node->opset);
}

bool sequence_is_node(const struct node *node)
{
    if (node->op->flags & OP_SEQUENCE) return true;
    return node->op->flags & OP_INFERENCE_NOP && node->n_in && node->in[0] && node->in[0]->sequence;
}

bool sequence_is_used(const struct graph *graph)
{
    for (const struct node *node = graph->first; node; node = node->next) {
        if (sequence_is_node(node)) return true;
        for (int i = 0; i < node->n_attr; i++)
            if (node->attr[i].type == ATTR_GRAPH && sequence_is_used(node->attr[i].u.g)) return true;
    }
    return false;
}

// ---- building ---------------------------------------------------------------

static struct sequence *new_sequence(struct graph *graph, int count)
{
    struct sequence *s = graph_alloc(graph, sizeof *s);
    if (s) s->items = graph_alloc(graph, (size_t)(count + 1) * sizeof(*s->items));
    if (!s || !s->items) return NULL;
    s->count = count;
    return s;
}

// A value named after another: "boxes[3]".
static struct value *item_value(struct graph *graph, const struct value *of, int i)
{
    char name[256];
    snprintf(name, sizeof name, "%.200s[%d]", of ? of->name : "sequence", i);
    return graph_add_value(graph, name);
}

static struct value *int_constant(struct graph *graph, const int64_t *ints, int ndim, int n)
{
    struct reel_tensor t;
    if (reel_tensor_init(&t, REEL_I64, &(struct reel_shape){.ndim = ndim, .dim = {n}})) return NULL;
    if (n) memcpy(t.data, ints, (size_t)n * sizeof *ints); // for a scalar n is 1
    struct value *v = graph_add_constant(graph, NULL, &t);
    if (!v) reel_tensor_fini(&t);
    return v;
}

// Inserts a node before `at`. axis: its attribute of that name, or NULL.
static enum reel_err emit(struct graph *graph, struct node *at, const char *op_type, const int64_t *axis,
                          struct value *const *in, int n_in, struct value *const *out, int n_out)
{
    struct node *node = graph_add_node(graph, at, op_type, at->name, in, n_in, out, n_out);
    struct attr *a = graph_alloc(graph, sizeof *a);
    if (!node || !a) return out_of_memory();
    node->op = op_find("", op_type, OPSET, NULL);
    node->opset = OPSET;
    if (!node->op) return reel_fail(REEL_ERR_UNSUPPORTED, "operator %s is not supported", op_type);
    if (!axis) return REEL_OK;
    *a = (struct attr){.name = "axis", .type = ATTR_INT, .u.i = *axis};
    node->attr = a;
    node->n_attr = 1;
    return REEL_OK;
}

// Counts the items of a new list as read, so that they are kept until their readers are known.
// shape_infer() counts the uses again at the end.
static void hold(const struct sequence *s)
{
    for (int i = 0; i < s->count; i++) s->items[i]->n_uses++;
}

// Replaces result i of the node by `to` wherever it is read.
static void give(struct graph *graph, struct node *node, int i, struct value *to)
{
    if (i < node->n_out && node->out[i]) graph_replace_value(graph, node->out[i], to);
}

static void give_sequence(struct node *node, int i, const struct sequence *s)
{
    if (i < node->n_out && node->out[i]) node->out[i]->sequence = s;
}

static enum reel_err give_constant(struct graph *graph, struct node *node, enum reel_dtype dtype, int64_t x)
{
    struct reel_tensor t;
    enum reel_err err = reel_tensor_init(&t, dtype, &(struct reel_shape){0});
    if (err) return err;
    reel_convert(t.data, dtype, &x, REEL_I64, 1);
    struct value *v = graph_add_constant(graph, NULL, &t);
    if (!v) {
        reel_tensor_fini(&t);
        return out_of_memory();
    }
    give(graph, node, 0, v);
    return REEL_OK;
}

// ---- reading ----------------------------------------------------------------

static struct value *operand(const struct node *node, int i)
{
    return i < node->n_in ? node->in[i] : NULL;
}

static enum reel_err sequence_in(const struct node *node, int i, const struct sequence **out_s)
{
    const struct value *v = operand(node, i);
    *out_s = v ? v->sequence : NULL;
    if (!v) return reel_fail(REEL_ERR_INPUT, "input %d is missing", i);
    if (*out_s && !(*out_s)->none) return REEL_OK;
    return *out_s ? reel_fail(REEL_ERR_INPUT, "its input \"%.200s\" is an empty optional", v->name)
                  : reel_fail(REEL_ERR_UNSUPPORTED, "the sequence \"%.200s\" is not known before the run", v->name);
}

static enum reel_err tensor_in(const struct node *node, int i, struct value **out_v)
{
    *out_v = operand(node, i);
    if (!*out_v) return reel_fail(REEL_ERR_INPUT, "input %d is missing", i);
    if ((*out_v)->sequence)
        return reel_fail(REEL_ERR_UNSUPPORTED, "\"%.200s\" is a sequence where a tensor is needed", (*out_v)->name);
    return REEL_OK;
}

// Input i as a position in [-n, n - 1], or in [-n, n] if `behind`; `absent` if the input is left out.
static enum reel_err position_in(const struct node *node, int i, int n, bool behind, int absent, int *out_at)
{
    const struct value *v = operand(node, i);
    *out_at = absent;
    if (v && !v->constant) return reel_fail(REEL_ERR_UNSUPPORTED, "the position \"%.200s\" depends on data", v->name);
    int64_t at = absent;
    if (v) {
        if (reel_tensor_count(v->constant) != 1) return reel_fail(REEL_ERR_INPUT, "the position is not one integer");
        at = op_scalar_int(v->constant, 0);
    }
    if (at < -n || at > (behind ? n : n - 1))
        return reel_fail(REEL_ERR_INPUT, "position %" PRId64 " in a sequence of %d", at, n);
    *out_at = (int)(at < 0 ? at + n : at);
    return REEL_OK;
}

// ---- operators --------------------------------------------------------------

static enum reel_err construct(struct graph *graph, struct node *node)
{
    struct sequence *s = new_sequence(graph, node->n_in);
    if (!s) return out_of_memory();
    for (int i = 0; i < node->n_in; i++) {
        enum reel_err err = tensor_in(node, i, &s->items[i]);
        if (err) return err;
    }
    give_sequence(node, 0, s);
    return REEL_OK;
}

static enum reel_err empty(struct graph *graph, struct node *node)
{
    struct sequence *s = new_sequence(graph, 0);
    if (!s) return out_of_memory();
    give_sequence(node, 0, s);
    return REEL_OK;
}

static enum reel_err insert(struct graph *graph, struct node *node)
{
    const struct sequence *from;
    struct value *item;
    int at;
    enum reel_err err = sequence_in(node, 0, &from);
    if (!err) err = tensor_in(node, 1, &item);
    if (!err) err = position_in(node, 2, from->count, true, from->count, &at);
    if (!err && from->count >= MAX_ITEMS) err = reel_fail(REEL_ERR_LIMIT, "more than %d elements", MAX_ITEMS);
    if (err) return err;
    struct sequence *s = new_sequence(graph, from->count + 1);
    if (!s) return out_of_memory();
    for (int i = 0; i < s->count; i++) s->items[i] = i == at ? item : from->items[i > at ? i - 1 : i];
    give_sequence(node, 0, s);
    return REEL_OK;
}

static enum reel_err erase(struct graph *graph, struct node *node)
{
    const struct sequence *from;
    int at;
    enum reel_err err = sequence_in(node, 0, &from);
    if (!err) err = position_in(node, 1, from->count, false, from->count - 1, &at);
    if (err) return err;
    struct sequence *s = new_sequence(graph, from->count - 1);
    if (!s) return out_of_memory();
    for (int i = 0; i < s->count; i++) s->items[i] = from->items[i >= at ? i + 1 : i];
    give_sequence(node, 0, s);
    return REEL_OK;
}

static enum reel_err at(struct graph *graph, struct node *node)
{
    const struct sequence *s;
    int i;
    if (!operand(node, 1)) return reel_fail(REEL_ERR_INPUT, "the position is missing");
    enum reel_err err = sequence_in(node, 0, &s);
    if (!err) err = position_in(node, 1, s->count, false, 0, &i);
    if (!err) give(graph, node, 0, s->items[i]);
    return err;
}

static enum reel_err length(struct graph *graph, struct node *node)
{
    const struct sequence *s;
    enum reel_err err = sequence_in(node, 0, &s);
    return err ? err : give_constant(graph, node, REEL_I64, s->count);
}

// The number of parts and, if `split` or the input's extent gives them, their extents. *out_parts is
// allocated in the graph.
static enum reel_err parts_of(struct graph *graph, const struct node *node, int64_t extent, int64_t **out_parts,
                              int *out_n)
{
    const struct value *split = operand(node, 1);
    if (split && !split->constant)
        return reel_fail(REEL_ERR_UNSUPPORTED, "the split \"%.200s\" depends on data", split->name);
    bool listed = split && split->constant->shape.ndim > 0;
    int64_t step = split && !listed ? op_scalar_int(split->constant, 0) : 1;
    if (!listed && extent < 0) return reel_fail(REEL_ERR_UNSUPPORTED, "the extent that it splits depends on data");
    if (step < 1) return reel_fail(REEL_ERR_INPUT, "the split is %" PRId64, step);
    int64_t n = listed ? reel_tensor_count(split->constant) : extent / step + (extent % step != 0);
    if (n > MAX_ITEMS) return reel_fail(REEL_ERR_LIMIT, "more than %d elements", MAX_ITEMS);
    int64_t *parts = graph_alloc(graph, (size_t)(n + 1) * sizeof *parts);
    if (!parts) return out_of_memory();
    for (int64_t i = 0; i < n; i++) {
        parts[i] = listed ? op_scalar_int(split->constant, i) : extent - i * step;
        if (!listed && parts[i] > step) parts[i] = step;
    }
    *out_parts = parts;
    *out_n = (int)n;
    return REEL_OK;
}

static enum reel_err split(struct graph *graph, struct node *node)
{
    struct value *x;
    int axis;
    int64_t *parts = NULL;
    enum reel_err err = tensor_in(node, 0, &x);
    if (!err && x->shape.ndim < 0) err = reel_fail(REEL_ERR_UNSUPPORTED, "its input's rank depends on data");
    if (!err) err = op_axis(node_attr_int(node, "axis", 0), x->shape.ndim, &axis);
    struct sequence *s = NULL;
    int n = 0;
    if (!err) err = parts_of(graph, node, x->shape.dim[axis], &parts, &n);
    if (!err && !(s = new_sequence(graph, n))) err = out_of_memory();
    for (int i = 0; !err && i < n; i++)
        if (!(s->items[i] = item_value(graph, node->out[0], i))) err = out_of_memory();
    if (err) return err;
    give_sequence(node, 0, s);
    if (n == 0) return REEL_OK;
    const int64_t along = axis;
    struct value *lengths = int_constant(graph, parts, 1, n);
    struct value *axes = int_constant(graph, &along, 1, 1);
    if (!lengths || !axes) return out_of_memory();
    err = emit(graph, node, "Split", &along, (struct value *const[]){x, lengths}, 2, s->items, n);
    // keepdims counts only without split.
    bool squeeze = !operand(node, 1) && !node_attr_int(node, "keepdims", 1);
    for (int i = 0; !err && squeeze && i < n; i++) {
        struct value *flat = item_value(graph, s->items[i], 0);
        if (!flat) return out_of_memory();
        err = emit(graph, node, "Squeeze", NULL, (struct value *const[]){s->items[i], axes}, 2, &flat, 1);
        s->items[i] = flat;
    }
    hold(s);
    return err;
}

static enum reel_err concat(struct graph *graph, struct node *node)
{
    const struct sequence *s;
    enum reel_err err = sequence_in(node, 0, &s);
    if (err) return err;
    const struct attr *a = node_attr(node, "axis");
    if (!a || a->type != ATTR_INT) return reel_fail(REEL_ERR_INPUT, "the attribute axis is missing");
    if (s->count == 0) return reel_fail(REEL_ERR_INPUT, "the sequence is empty");
    const int64_t axis = a->u.i;
    struct value **items = s->items, *out = graph_add_value(graph, NULL);
    if (!out) return out_of_memory();
    if (node_attr_int(node, "new_axis", 0)) {
        struct value *axes = int_constant(graph, &axis, 1, 1);
        items = graph_alloc(graph, (size_t)s->count * sizeof(*items));
        if (!items || !axes) return out_of_memory();
        for (int i = 0; !err && i < s->count; i++) {
            if (!(items[i] = item_value(graph, node->out[0], i))) return out_of_memory();
            err = emit(graph, node, "Unsqueeze", NULL, (struct value *const[]){s->items[i], axes}, 2, &items[i], 1);
        }
    }
    if (!err) err = emit(graph, node, "Concat", &axis, items, s->count, &out, 1);
    if (!err) give(graph, node, 0, out);
    return err;
}

// Copies the body for each element; inputs that are not sequences go to every copy.
static enum reel_err map(struct graph *graph, struct node *node)
{
    const struct sequence *first;
    enum reel_err err = sequence_in(node, 0, &first);
    const struct attr *a = node_attr(node, "body");
    if (err) return err;
    if (!a || a->type != ATTR_GRAPH || a->u.g->n_inputs != node->n_in || a->u.g->n_outputs < node->n_out)
        return reel_fail(REEL_ERR_INPUT, "its body does not fit its inputs and outputs");
    struct graph *body = a->u.g;
    const int n_in = node->n_in, n_out = body->n_outputs;
    if ((int64_t)first->count * (body->n_nodes + 1) > MAX_MAP_NODES)
        return reel_fail(REEL_ERR_LIMIT, "its body %d times is more than %d nodes", first->count, MAX_MAP_NODES);
    struct sequence **results = graph_alloc(graph, (size_t)(n_out + 1) * sizeof(*results));
    struct value **in = graph_alloc(graph, (size_t)(n_in + n_out + 1) * sizeof(*in)), **out = in ? in + n_in : NULL;
    if (!results || !in || !graph_hoist_constants(graph, body)) return out_of_memory();
    for (int k = 0; k < n_out; k++)
        if (!(results[k] = new_sequence(graph, first->count))) return out_of_memory();
    for (int i = 0; i < first->count; i++) {
        for (int k = 0; k < n_in; k++) {
            const struct sequence *s = node->in[k] ? node->in[k]->sequence : NULL;
            if (!node->in[k] || (s && s->count != first->count))
                return reel_fail(REEL_ERR_INPUT, "input %d has another length than the first", k);
            in[k] = s ? s->items[i] : node->in[k];
        }
        char tag[160];
        snprintf(tag, sizeof tag, "%.140s#%d", node->name, i);
        if (!graph_copy_body(graph, node, body, tag, in, out)) return out_of_memory();
        for (int k = 0; k < n_out; k++) results[k]->items[i] = out[k];
    }
    for (int k = 0; k < n_out; k++) hold(results[k]);
    for (int k = 0; k < node->n_out; k++) give_sequence(node, k, results[k]);
    return REEL_OK;
}

static enum reel_err optional(struct graph *graph, struct node *node)
{
    struct value *v = operand(node, 0);
    if (v) {
        give(graph, node, 0, v);
        return REEL_OK;
    }
    struct sequence *s = new_sequence(graph, 0);
    if (!s) return out_of_memory();
    s->none = true;
    give_sequence(node, 0, s);
    return REEL_OK;
}

static enum reel_err optional_get(struct graph *graph, struct node *node)
{
    struct value *v = operand(node, 0);
    if (!v) return reel_fail(REEL_ERR_INPUT, "input 0 is missing");
    if (v->sequence && v->sequence->none) return reel_fail(REEL_ERR_INPUT, "the optional has no element");
    give(graph, node, 0, v);
    return REEL_OK;
}

static enum reel_err optional_has(struct graph *graph, struct node *node)
{
    const struct value *v = operand(node, 0);
    return give_constant(graph, node, REEL_BOOL, v && !(v->sequence && v->sequence->none));
}

static enum reel_err identity(struct graph *graph, struct node *node)
{
    give(graph, node, 0, node->in[0]);
    return REEL_OK;
}

enum reel_err sequence_resolve(struct graph *graph, struct node *node)
{
    static const struct {
        const char *name;
        enum reel_err (*resolve)(struct graph *graph, struct node *node);
    } ops[] = {
        {"SequenceConstruct", construct},
        {"SequenceEmpty", empty},
        {"SequenceInsert", insert},
        {"SequenceErase", erase},
        {"SequenceAt", at},
        {"SequenceLength", length},
        {"SplitToSequence", split},
        {"ConcatFromSequence", concat},
        {"SequenceMap", map},
        {"Optional", optional},
        {"OptionalGetElement", optional_get},
        {"OptionalHasElement", optional_has},
    };
    enum reel_err (*resolve)(struct graph * graph, struct node * node) = identity;
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++)
        if (!strcmp(ops[i].name, node->op_type)) resolve = ops[i].resolve;
    enum reel_err err = resolve(graph, node);
    if (err) return sequence_fail(err, node);
    graph_remove_node(graph, node);
    return REEL_OK;
}

// ---- what is left -----------------------------------------------------------

enum reel_err sequence_refuse(const struct node *node)
{
    for (int i = 0; i < node->n_in; i++)
        if (node->in[i] && node->in[i]->sequence)
            return sequence_fail(
                reel_fail(REEL_ERR_UNSUPPORTED, "its input \"%.200s\" is a sequence%s", node->in[i]->name,
                          strcmp(node->op_type, "Loop") ? "" : ", and how often it turns depends on data"),
                node);
    return REEL_OK;
}

static enum reel_err check_nodes(struct graph *graph)
{
    for (struct node *node = graph->first, *next; node; node = next) {
        next = node->next;
        enum reel_err err = sequence_is_node(node) ? sequence_resolve(graph, node) : REEL_OK;
        for (int i = 0; !err && i < node->n_attr; i++)
            if (node->attr[i].type == ATTR_GRAPH) err = check_nodes(node->attr[i].u.g);
        if (!err) err = sequence_refuse(node);
        if (err) return err;
    }
    for (int i = 0; i < graph->n_outputs; i++)
        if (graph->outputs[i]->sequence)
            return reel_fail(REEL_ERR_UNSUPPORTED, "could not resolve output \"%.200s\": it is a sequence%s",
                             graph->outputs[i]->name,
                             graph->parent ? ", and which branch gives it depends on data" : "");
    return REEL_OK;
}

enum reel_err sequence_check(struct graph *graph)
{
    return check_nodes(graph);
}

// ---- lists at the graph's edges -----------------------------------------------

static struct node *add_list_node(struct graph *graph, struct node *before, const char *op_type,
                                  struct value *const *in, int n_in, struct value *out)
{
    struct node *node = graph_add_node(graph, before, op_type, NULL, in, n_in, &out, 1);
    const int opset = 18; // the first with the current versions of all sequence operators
    if (!node) return NULL;
    node->op = op_find("", op_type, opset, NULL);
    node->opset = opset;
    return node->op ? node : NULL;
}

// Stores the inputs that replace input v in in[]; *n counts them.
static bool open_input(struct graph *graph, struct value *v, int length, struct value **in, int *n)
{
    v->list = LIST_NOT;
    if (length == SEQUENCE_TENSOR) {
        in[(*n)++] = v;
        return true;
    }
    struct value **items = in + *n;
    for (int i = 0; i < length; i++) {
        struct value *item = item_value(graph, v, i);
        if (!item) return false;
        item->is_input = true;
        item->dtype = v->dtype;
        in[(*n)++] = item;
    }
    v->is_input = false;
    const char *op_type = length == SEQUENCE_NONE ? "Optional" : length ? "SequenceConstruct" : "SequenceEmpty";
    return add_list_node(graph, graph->first, op_type, items, length > 0 ? length : 0, v);
}

static bool open_output(struct graph *graph, struct value *v, int length, struct value **out, int *n)
{
    if (length == SEQUENCE_TENSOR) {
        out[(*n)++] = v;
        return true;
    }
    for (int64_t i = 0; i < length; i++) {
        struct value *in[] = {v, int_constant(graph, &i, 0, 1)}, *item = item_value(graph, v, (int)i);
        if (!in[1] || !item || !add_list_node(graph, NULL, "SequenceAt", in, 2, item)) return false;
        item->dtype = v->dtype;
        out[(*n)++] = item;
    }
    struct value *count = graph_add_value(graph, NULL);
    if (!count || !add_list_node(graph, NULL, "SequenceLength", &v, 1, count)) return false;
    out[(*n)++] = count;
    return true;
}

enum reel_err sequence_open_lists(struct graph *graph, const int *in_lengths, const int *out_lengths)
{
    int64_t n_in = graph->n_inputs, n_out = graph->n_outputs;
    for (int i = 0; i < graph->n_inputs; i++) n_in += in_lengths[i] > 0 ? in_lengths[i] : 0;
    for (int i = 0; i < graph->n_outputs; i++) {
        if (out_lengths[i] == SEQUENCE_NONE)
            return reel_fail(REEL_ERR_UNSUPPORTED, "could not give output \"%.200s\": an optional without an element",
                             graph->outputs[i]->name);
        n_out += out_lengths[i] > 0 ? out_lengths[i] : 0;
    }
    if (n_in > MAX_ITEMS || n_out > MAX_ITEMS)
        return reel_fail(REEL_ERR_LIMIT, "more than %d inputs or outputs", MAX_ITEMS);
    struct value **in = graph_alloc(graph, (size_t)(n_in + 1) * sizeof(*in));
    struct value **out = graph_alloc(graph, (size_t)(n_out + 1) * sizeof(*out));
    int made_in = 0, made_out = 0;
    bool ok = in && out;
    for (int i = 0; ok && i < graph->n_inputs; i++)
        ok = open_input(graph, graph->inputs[i], in_lengths[i], in, &made_in);
    for (int i = 0; ok && i < graph->n_outputs; i++)
        ok = open_output(graph, graph->outputs[i], out_lengths[i], out, &made_out);
    if (!ok) return out_of_memory();
    graph->inputs = in;
    graph->n_inputs = made_in;
    graph->outputs = out;
    graph->n_outputs = made_out;
    graph_count_uses(graph);
    return REEL_OK;
}

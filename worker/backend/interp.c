// SPDX-License-Identifier: MIT
//
// The reference interpreter: every node by its operator's eval function, in
// graph order, shapes resolved at run time. The yardstick of the backends, the
// runner of control-flow bodies, what folds constants. It is not fast, and it
// keeps no state between runs: thread-safe on a graph that nobody changes.
#include <stdlib.h>
#include <string.h>

#include "worker/backend/backend.h"
#include "worker/backend/epilogue.h"
#include "worker/onnx/op.h"

// The values of one graph in execution; bodies look up the frames around them.
struct frame {
    const struct graph *graph;
    const struct frame *outer;
    struct reel_tensor *slot; // by value id; borrowed (owned false) for inputs and constants
    int *last_read;           // by value id: position of the last node that reads it
};

static enum reel_err run_frame(struct frame *frame, const struct reel_tensor *const *in, struct reel_tensor *out);

// The tensor of a value, in this frame or in one around it; NULL if it has not been computed (a body is
// read before its values exist).
static const struct reel_tensor *find(const struct frame *frame, const struct value *v)
{
    if (v->constant) return v->constant;
    for (; frame; frame = frame->outer)
        if (frame->graph == v->owner) {
            const struct reel_tensor *t = &frame->slot[v->id];
            return t->dtype == REEL_DTYPE_NONE ? NULL : t;
        }
    return NULL;
}

static enum reel_err run_body(void *scope, struct graph *body, const struct reel_tensor *const *in, int n_in,
                              struct reel_tensor *out, int n_out)
{
    if (n_in != body->n_inputs || n_out != body->n_outputs)
        return reel_fail(REEL_ERR_INPUT, "body \"%s\" takes %d inputs and gives %d outputs", body->name, body->n_inputs,
                         body->n_outputs);
    struct frame frame = {.graph = body, .outer = scope};
    return run_frame(&frame, in, out);
}

static void mark_reads(const struct graph *graph, const struct node *node, int position, int *last_read)
{
    for (int i = 0; i < node->n_in; i++)
        if (node->in[i] && node->in[i]->owner == graph) last_read[node->in[i]->id] = position;
    for (int i = 0; i < node->n_epilogue; i++)
        if (node->epilogue[i].other && node->epilogue[i].other->owner == graph)
            last_read[node->epilogue[i].other->id] = position;
    for (int i = 0; i < node->n_attr; i++) {
        if (node->attr[i].type != ATTR_GRAPH) continue;
        const struct graph *body = node->attr[i].u.g;
        for (const struct node *n = body->first; n; n = n->next) mark_reads(graph, n, position, last_read);
        for (int k = 0; k < body->n_outputs; k++)
            if (body->outputs[k]->owner == graph) last_read[body->outputs[k]->id] = position;
    }
}

static enum reel_err not_computed(const struct node *node, const struct value *v)
{
    return reel_fail(REEL_ERR_INPUT, "could not run node \"%s\": its input \"%s\" has no value here", node->name,
                     v->name);
}

static enum reel_err run_node(struct frame *frame, const struct node *node, const struct reel_tensor **in,
                              struct reel_tensor **out)
{
    for (int i = 0; i < node->n_in; i++) {
        in[i] = node->in[i] ? find(frame, node->in[i]) : NULL;
        if (node->in[i] && !in[i]) return not_computed(node, node->in[i]);
    }
    for (int i = 0; i < node->n_out; i++)
        out[i] = node->out[i] && node->out[i]->n_uses > 0 ? &frame->slot[node->out[i]->id] : NULL;
    enum reel_err err = op_run(node, in, out, run_body, frame);
    for (int i = 0; !err && i < node->n_epilogue && out[0]; i++) {
        const struct value *v = node->epilogue[i].other;
        const struct reel_tensor *other = v ? find(frame, v) : NULL;
        if (v && !other) return not_computed(node, v);
        err = epilogue_apply(&node->epilogue[i], out[0], other);
        if (err) err = reel_fail_prefix(err, "could not run node \"%s\": ", node->name);
    }
    return err;
}

static void free_after(struct frame *frame, const struct node *node, int position)
{
    for (int i = 0; i < node->n_in + node->n_epilogue; i++) {
        const struct value *v = i < node->n_in ? node->in[i] : node->epilogue[i - node->n_in].other;
        if (v && v->owner == frame->graph && frame->last_read[v->id] == position) reel_tensor_fini(&frame->slot[v->id]);
    }
}

// An output is returned as the frame's own memory if no other output needs it.
static enum reel_err take_output(struct frame *frame, const struct value *v, struct reel_tensor *out)
{
    const struct reel_tensor *t = find(frame, v);
    if (!t)
        return reel_fail(REEL_ERR_INPUT, "could not run graph \"%s\": output \"%s\" has no value", frame->graph->name,
                         v->name);
    struct reel_tensor *mine = v->owner == frame->graph && !v->constant ? &frame->slot[v->id] : NULL;
    int times = 0;
    for (int i = 0; mine && i < frame->graph->n_outputs; i++) times += frame->graph->outputs[i] == v;
    if (mine && mine->owned && times == 1) {
        *out = *mine;
        mine->owned = false;
        return REEL_OK;
    }
    return reel_tensor_copy(out, t);
}

static int widest(const struct graph *graph)
{
    int n = 1;
    for (const struct node *node = graph->first; node; node = node->next) {
        if (node->n_in > n) n = node->n_in;
        if (node->n_out > n) n = node->n_out;
    }
    return n;
}

static enum reel_err run_frame(struct frame *frame, const struct reel_tensor *const *in, struct reel_tensor *out)
{
    const struct graph *graph = frame->graph;
    size_t n_values = (size_t)graph->n_values + 1, wide = (size_t)widest(graph);
    frame->slot = calloc(n_values, sizeof *frame->slot);
    frame->last_read = calloc(n_values, sizeof *frame->last_read);
    const struct reel_tensor **args = calloc(wide, sizeof(*args));
    struct reel_tensor **results = calloc(wide, sizeof(*results));
    enum reel_err err = REEL_OK;
    int taken = 0, position = 0;
    if (!frame->slot || !frame->last_read || !args || !results) {
        err = reel_fail(REEL_ERR_NOMEM, "could not run graph \"%s\": out of memory", graph->name);
        goto done;
    }
    for (const struct node *node = graph->first; node; node = node->next)
        mark_reads(graph, node, ++position, frame->last_read);
    for (int i = 0; i < graph->n_outputs; i++)
        if (graph->outputs[i]->owner == graph) frame->last_read[graph->outputs[i]->id] = 0; // kept to the end
    for (int i = 0; i < graph->n_inputs; i++) {
        frame->slot[graph->inputs[i]->id] = *in[i];
        frame->slot[graph->inputs[i]->id].owned = false;
    }
    position = 0;
    for (const struct node *node = graph->first; node && !err; node = node->next) {
        err = run_node(frame, node, args, results);
        free_after(frame, node, ++position);
    }
    for (; !err && taken < graph->n_outputs; taken++) {
        err = take_output(frame, graph->outputs[taken], &out[taken]);
        if (err) break;
    }
done:
    for (int i = 0; err && i < taken; i++) reel_tensor_fini(&out[i]);
    for (size_t i = 0; frame->slot && i < n_values; i++) reel_tensor_fini(&frame->slot[i]);
    free(frame->slot);
    free(frame->last_read);
    free(args);
    free(results);
    return err;
}

enum reel_err interp_run(const struct graph *graph, const struct reel_tensor *const *in, struct reel_tensor *out)
{
    struct frame frame = {.graph = graph};
    return run_frame(&frame, in, out);
}

// ---- one control node among a backend's steps ------------------------------------------

struct captures {
    const struct graph *graph;
    const struct value **list; // NULL: they are only counted
    bool *seen;                // by value id
    int n;
};

static void capture(struct captures *c, const struct value *v)
{
    if (!v || v->owner != c->graph || v->constant || c->seen[v->id]) return;
    c->seen[v->id] = true;
    if (c->list) c->list[c->n] = v;
    c->n++;
}

static void capture_bodies(struct captures *c, const struct node *node)
{
    for (int i = 0; i < node->n_attr; i++) {
        if (node->attr[i].type != ATTR_GRAPH) continue;
        const struct graph *body = node->attr[i].u.g;
        for (const struct node *n = body->first; n; n = n->next) {
            for (int k = 0; k < n->n_in; k++) capture(c, n->in[k]);
            for (int k = 0; k < n->n_epilogue; k++) capture(c, n->epilogue[k].other);
            capture_bodies(c, n);
        }
        for (int k = 0; k < body->n_outputs; k++) capture(c, body->outputs[k]);
    }
}

enum reel_err interp_captures(const struct graph *graph, const struct node *node, const struct value ***out_list,
                              int *out_n)
{
    struct captures c = {.graph = graph, .seen = calloc((size_t)graph->n_values + 1, sizeof *c.seen)};
    enum reel_err err = REEL_OK;
    *out_list = NULL;
    if (c.seen) capture_bodies(&c, node);
    *out_n = c.n;
    if (c.seen && c.n) {
        memset(c.seen, 0, ((size_t)graph->n_values + 1) * sizeof *c.seen);
        *out_list = c.list = calloc((size_t)c.n, sizeof(*c.list));
        c.n = 0;
        if (c.list) capture_bodies(&c, node);
    }
    if (!c.seen || (*out_n && !c.list))
        err = reel_fail(REEL_ERR_NOMEM, "could not compile node \"%s\": out of memory", node->name);
    free(c.seen);
    return err;
}

enum reel_err interp_run_control(const struct graph *graph, const struct node *node,
                                 const struct reel_tensor *const *in, struct reel_tensor *const *out,
                                 const struct value *const *captured, const struct reel_tensor *const *values, int n)
{
    struct frame frame = {.graph = graph, .slot = calloc((size_t)graph->n_values + 1, sizeof *frame.slot)};
    if (!frame.slot) return reel_fail(REEL_ERR_NOMEM, "could not run node \"%s\": out of memory", node->name);
    for (int i = 0; i < n; i++) {
        frame.slot[captured[i]->id] = *values[i];
        frame.slot[captured[i]->id].owned = false;
    }
    enum reel_err err = op_run(node, in, out, run_body, &frame);
    free(frame.slot);
    return err;
}

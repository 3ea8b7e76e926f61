// SPDX-License-Identifier: MIT
//
// Binds inputs to constants, and finds the shapes of states as a fixed point of shape inference. See
// state.h.
#include "worker/graph/state.h"

#include <string.h>

#include "common/err.h"
#include "worker/graph/pass.h"
#include "worker/graph/shape.h"

// Rounds until the fixed point. Each one settles at least one extent of the longest chain of states,
// usually all.
#define MAX_ROUNDS 12

enum reel_err graph_bind_input(struct graph *graph, int i, struct reel_tensor *tensor)
{
    struct value *v = graph->inputs[i];
    if (!graph_make_constant(graph, v, tensor))
        return reel_fail(REEL_ERR_NOMEM, "could not set input \"%s\": out of memory", v->name);
    v->is_input = false;
    memmove(&graph->inputs[i], &graph->inputs[i + 1], (size_t)(graph->n_inputs - i - 1) * sizeof(*graph->inputs));
    graph->n_inputs--;
    return REEL_OK;
}

// ---- shapes -----------------------------------------------------------------

struct search {
    const struct graph *graph;
    unsigned caps;
    const struct graph_state *states;
    int n;
    struct reel_shape *shapes;
};

// Infers the shapes of the states after one run; unknown extents are -1.
static enum reel_err infer(const struct search *s, struct reel_shape *out)
{
    struct graph *g = graph_clone(s->graph);
    if (!g) return reel_fail(REEL_ERR_NOMEM, "could not infer shapes: out of memory");
    const struct pass_params params = {.caps = s->caps, .in_shapes = s->shapes};
    enum reel_err err = pass_float(g, &params);
    if (!err) err = shape_infer(g, s->shapes);
    for (int i = 0; i < s->n && !err; i++)
        out[i] = s->states[i].of_input ? s->shapes[s->states[i].out] : g->outputs[s->states[i].out]->shape;
    graph_destroy(&g);
    return err;
}

static bool is_open(const struct search *s)
{
    bool open = false;
    for (int i = 0; i < s->n; i++) open |= reel_shape_count(&s->shapes[s->states[i].in]) < 0;
    return open;
}

// Makes the known extents of the outputs those of the inputs. True if that changed a shape. *out_bad:
// the file does not allow the new shape.
static bool step(const struct search *s, const struct reel_shape *out, bool *out_bad)
{
    bool changed = false;
    for (int i = 0; i < s->n; i++) {
        struct reel_shape *have = &s->shapes[s->states[i].in];
        const struct reel_shape *want = &s->graph->inputs[s->states[i].in]->shape;
        if (out[i].ndim < 0) continue;
        if (have->ndim >= 0 && have->ndim != out[i].ndim) *out_bad = true;
        if (have->ndim < 0) *have = out[i], changed = true;
        for (int d = 0; d < have->ndim && !*out_bad; d++) {
            const int64_t to = out[i].dim[d];
            if (to < 0 || to == have->dim[d]) continue;
            if (want->ndim >= 0 && want->dim[d] > 0 && want->dim[d] != to) *out_bad = true;
            have->dim[d] = to;
            changed = true;
        }
    }
    return changed;
}

static void close_with(const struct search *s, int64_t extent)
{
    for (int i = 0; i < s->n; i++) {
        struct reel_shape *shape = &s->shapes[s->states[i].in];
        for (int d = 0; d < shape->ndim; d++)
            if (shape->dim[d] < 0) shape->dim[d] = extent;
    }
}

// Repeats steps until the output shapes equal the input shapes.
static enum reel_err settle(const struct search *s)
{
    struct reel_shape out[GRAPH_MAX_STATES];
    for (int round = 0; round < MAX_ROUNDS; round++) {
        enum reel_err err = infer(s, out);
        bool bad = false;
        if (err) return err;
        if (step(s, out, &bad) && !bad) continue;
        if (bad) break;
        if (!is_open(s)) return REEL_OK;
        close_with(s, 1);
    }
    char text[96];
    return reel_fail(REEL_ERR_INPUT, "of shape %s comes another one",
                     reel_shape_text(&s->shapes[s->states[0].in], text, sizeof text));
}

// The extent of that name in another input's shape; -1: there is none.
static int64_t by_name(const struct search *s, const char *name)
{
    for (int i = 0; name && i < s->graph->n_inputs; i++) {
        const struct value *v = s->graph->inputs[i];
        for (int d = 0; d < v->shape.ndim && d < s->shapes[i].ndim; d++)
            if (v->dim_param[d] && !strcmp(v->dim_param[d], name) && s->shapes[i].dim[d] > 0)
                return s->shapes[i].dim[d];
    }
    return -1;
}

// Starts with the declared shapes. named: extents of the same name are equal.
static void begin(const struct search *s, bool named)
{
    for (int i = 0; i < s->n; i++) s->shapes[s->states[i].in].ndim = -1;
    for (int i = 0; i < s->n; i++) {
        const int at = s->states[i].in;
        const struct value *v = s->graph->inputs[at];
        struct reel_shape shape = v->shape;
        for (int d = 0; d < shape.ndim; d++)
            if (shape.dim[d] <= 0) shape.dim[d] = named ? by_name(s, v->dim_param[d]) : -1;
        s->shapes[at] = shape;
    }
}

// Starts with unknown extents set to those of the picture divided by `by`, for networks in which
// inference fails with any other value.
static void begin_smaller(const struct search *s, int by)
{
    begin(s, false);
    int picture = 0;
    for (int i = 0; i < s->graph->n_inputs; i++)
        if (s->shapes[i].ndim > s->shapes[picture].ndim) picture = i;
    for (int i = 0; i < s->n; i++) {
        struct reel_shape *shape = &s->shapes[s->states[i].in];
        const struct reel_shape *p = &s->shapes[picture];
        for (int d = 0; d < shape->ndim; d++) {
            if (shape->dim[d] > 0) continue;
            const bool area = shape->ndim >= 4 && d >= shape->ndim - 2 && p->ndim >= 4;
            shape->dim[d] = area ? (p->dim[p->ndim - shape->ndim + d] + by - 1) / by : 1;
        }
    }
}

enum reel_err graph_state_shapes(const struct graph *graph, unsigned caps, const struct graph_state *states, int n,
                                 struct reel_shape *shapes)
{
    const struct search s = {graph, caps, states, n, shapes};
    if (!n) return REEL_OK;
    enum reel_err err = REEL_ERR_INPUT;
    for (int named = 1; named >= 0 && err && err != REEL_ERR_NOMEM; named--) {
        begin(&s, named);
        err = settle(&s);
    }
    if (err && err != REEL_ERR_NOMEM) {
        begin(&s, false);
        close_with(&s, 1);
        err = settle(&s);
    }
    for (int by = 1; by <= 32 && err && err != REEL_ERR_NOMEM; by *= 2) {
        begin_smaller(&s, by);
        err = settle(&s);
    }
    return err ? reel_fail_prefix(err, "could not find the shape of state \"%s\": ", graph->inputs[states[0].in]->name)
               : REEL_OK;
}

// SPDX-License-Identifier: MIT
//
// engine.h: what a lane's network carries from frame to frame, in host memory. A
// device's are device/states.c.
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "worker/engine/own.h"

struct engine_states {
    const struct state_plan *plan; // borrowed
    int sets;
    bool *begun; // [sets]
    // [sets * plan->n], of the inputs' types and shapes: those of the next run, and
    // those of the last one, which its outputs may point into.
    struct reel_tensor *tensor, *before;
};

enum reel_err engine_states_create(struct engines *e, const struct model *model, int w, int h, int sets,
                                   struct engine_states **out_states)
{
    struct reel_shape shapes[ENGINE_MAX_INPUTS];
    const int n = e->plan.n;
    *out_states = NULL;
    if (!n) return REEL_OK;
    enum reel_err err = engines_input_shapes(e, e->first, model, w, h, shapes);
    if (err) return err;
    struct engine_states *s = calloc(1, sizeof *s);
    if (s) *s = (struct engine_states){.plan = &e->plan, .sets = sets, .begun = calloc((size_t)sets, sizeof *s->begun)};
    if (s) s->tensor = calloc((size_t)sets * (size_t)n, sizeof *s->tensor);
    if (s) s->before = calloc((size_t)sets * (size_t)n, sizeof *s->before);
    if (!s || !s->begun || !s->tensor || !s->before)
        err = reel_fail(REEL_ERR_NOMEM, "could not hold a state: out of memory");
    for (int i = 0; i < sets * n && !err; i++) {
        const int in = e->plan.state[i % n].in;
        err = reel_tensor_init(&s->tensor[i], net_input(e->first, in)->dtype, &shapes[in]);
        if (!err) err = reel_tensor_init(&s->before[i], net_input(e->first, in)->dtype, &shapes[in]);
    }
    if (err) engine_states_destroy(&s);
    *out_states = s;
    return err;
}

void engine_states_destroy(struct engine_states **states)
{
    struct engine_states *s = *states;
    *states = NULL;
    if (!s) return;
    for (int i = 0; s->tensor && i < s->sets * s->plan->n; i++) reel_tensor_fini(&s->tensor[i]);
    for (int i = 0; s->before && i < s->sets * s->plan->n; i++) reel_tensor_fini(&s->before[i]);
    free(s->tensor);
    free(s->before);
    free(s->begun);
    free(s);
}

void engine_use_states(struct engine *g, struct engine_states *states, int set)
{
    assert(!states || (set >= 0 && set < states->sets));
    g->states = states;
    g->set = set;
}

// ---- around a run -----------------------------------------------------------

static void keep(struct reel_tensor *state, const struct reel_tensor *t)
{
    if (t->dtype == state->dtype)
        memcpy(state->data, t->data, reel_tensor_bytes(state));
    else
        reel_convert(state->data, state->dtype, t->data, t->dtype, reel_tensor_count(state));
}

static bool begins_as_picture(const struct engine *g, const struct graph_state *s, const struct reel_tensor *state)
{
    const enum set_begin begin = g->plan->begin;
    return reel_shape_equal(&state->shape, &g->input.shape) &&
           (begin == SET_BEGIN_PICTURE || (begin == SET_BEGIN_AUTO && s->of_input));
}

// The first run's are made here.
enum reel_err engine_put_states(struct engine *g, const struct reel_tensor *in[ENGINE_MAX_INPUTS])
{
    const int n = g->plan->n;
    if (!n) return REEL_OK;
    if (!g->states) return reel_fail(REEL_ERR_FAULT, "could not run the network: its state is not there");
    struct reel_tensor *t = g->states->tensor + g->set * n;
    for (int i = 0; i < n; i++) {
        const struct graph_state *s = &g->plan->state[i];
        if (!g->states->begun[g->set] && begins_as_picture(g, s, &t[i])) keep(&t[i], in[g->picture]);
        in[s->in] = &t[i];
    }
    g->states->begun[g->set] = true;
    return REEL_OK;
}

enum reel_err engine_take_states(struct engine *g, const struct reel_tensor *const in[ENGINE_MAX_INPUTS])
{
    const int n = g->plan->n;
    if (!n) return REEL_OK;
    struct reel_tensor *state = g->states->tensor + g->set * n, *next = g->states->before + g->set * n;
    for (int i = 0; i < n; i++) {
        const struct graph_state *s = &g->plan->state[i];
        const struct reel_tensor *t = s->of_input ? in[s->out] : &g->raw[s->out];
        char have[96], want[96];
        if (!reel_shape_equal(&t->shape, &next[i].shape))
            return reel_fail(REEL_ERR_FAULT, "could not keep state \"%s\": it was %s and became %s",
                             net_input(g->net, s->in)->name, reel_shape_text(&next[i].shape, want, sizeof want),
                             reel_shape_text(&t->shape, have, sizeof have));
        keep(&next[i], t);
    }
    for (int i = 0; i < n; i++) {
        const struct reel_tensor last = state[i];
        state[i] = next[i];
        next[i] = last;
    }
    return REEL_OK;
}

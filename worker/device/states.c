// SPDX-License-Identifier: MIT
//
// states.h.
#include "worker/device/states.h"

#include <stdlib.h>

#include "common/err.h"
#include "worker/device/ops.h"

struct device_states {
    const struct device_ops *ops;
    int n, sets;
    size_t bytes[GRAPH_MAX_STATES];
    void *memory[GRAPH_MAX_STATES]; // sets behind each other
    bool *begun;                    // [sets]
};

static size_t bytes_of(const struct backend_device_tensor *t)
{
    const size_t pixels = (size_t)t->n * (size_t)t->h * (size_t)t->w;
    return pixels * (t->nhwc ? t->pixel_stride : (size_t)t->c) * reel_dtype_bytes(t->dtype);
}

void device_states_destroy(struct device_states **states)
{
    struct device_states *s = *states;
    *states = NULL;
    if (!s) return;
    for (int i = 0; i < s->n; i++)
        if (s->memory[i]) s->ops->free(s->memory[i]);
    free(s->begun);
    free(s);
}

static enum reel_err create(const struct device_ops *ops, struct engine *engine, int sets, struct device_states **out)
{
    struct device_states *s = calloc(1, sizeof *s);
    if (s) *s = (struct device_states){.ops = ops, .n = engine_plan(engine)->n, .sets = sets};
    if (s) s->begun = calloc((size_t)sets, sizeof *s->begun);
    enum reel_err err = s && s->begun ? REEL_OK : reel_fail(REEL_ERR_NOMEM, "could not hold a state: out of memory");
    for (int i = 0; !err && i < s->n; i++) {
        struct backend_device_tensor in, from;
        if ((err = engine_device_state(engine, i, &in, &from))) break;
        s->bytes[i] = bytes_of(&in);
        err = ops->alloc((size_t)sets * s->bytes[i], &s->memory[i]);
    }
    if (err) device_states_destroy(&s);
    *out = s;
    return err;
}

// The same for all runs of the task: its engine may be made anew, its network is the same.
static enum reel_err check(const struct device_states *s, int i, const struct backend_device_tensor *in)
{
    if (bytes_of(in) == s->bytes[i]) return REEL_OK;
    return reel_fail(REEL_ERR_FAULT, "could not go on with a state: it has %zu bytes, the network reads %zu",
                     s->bytes[i], bytes_of(in));
}

static bool begins_as_picture(const struct engine *engine, const struct graph_state *s,
                              const struct backend_device_tensor *in, const struct backend_device_tensor *picture)
{
    const enum set_begin begin = engine_plan(engine)->begin;
    const bool same = in->dtype == picture->dtype && in->nhwc == picture->nhwc && in->c == picture->c &&
                      in->h == picture->h && in->w == picture->w && in->pixel_stride == picture->pixel_stride;
    return same && (begin == SET_BEGIN_PICTURE || (begin == SET_BEGIN_AUTO && s->of_input));
}

// The states into the network, and the picture that was fed into those that take it: the
// run may use its memory for something else.
static enum reel_err put(struct device_states *s, struct engine *engine, int set)
{
    struct backend_device_tensor in, from, picture;
    enum reel_err err = engine_device_input(engine, &picture);
    for (int i = 0; i < s->n && !err; i++) {
        const struct graph_state *state = &engine_plan(engine)->state[i];
        uint8_t *mine = (uint8_t *)s->memory[i] + (size_t)set * s->bytes[i];
        err = engine_device_state(engine, i, &in, &from);
        if (!err) err = check(s, i, &in);
        if (err) break;
        if (s->begun[set])
            err = s->ops->copy(in.data, mine, s->bytes[i], engine_stream(engine));
        else if (begins_as_picture(engine, state, &in, &picture))
            err = s->ops->copy(in.data, picture.data, s->bytes[i], engine_stream(engine));
        else
            err = s->ops->clear(in.data, s->bytes[i], engine_stream(engine));
        if (!err && state->of_input) err = s->ops->copy(mine, from.data, s->bytes[i], engine_stream(engine));
    }
    return err;
}

static enum reel_err take(struct device_states *s, struct engine *engine, int set)
{
    struct backend_device_tensor in, from;
    enum reel_err err = REEL_OK;
    for (int i = 0; i < s->n && !err; i++) {
        if (engine_plan(engine)->state[i].of_input) continue;
        uint8_t *mine = (uint8_t *)s->memory[i] + (size_t)set * s->bytes[i];
        err = engine_device_state(engine, i, &in, &from);
        if (!err) err = s->ops->copy(mine, from.data, s->bytes[i], engine_stream(engine));
    }
    s->begun[set] = true;
    return err;
}

enum reel_err device_states_run(const struct device_ops *ops, struct task *task, struct engine *engine, int tile)
{
    const struct view *v = &task->view;
    if (!engine_plan(engine)->n) return engine_enqueue(engine);
    enum reel_err err = REEL_OK;
    if (!task->device_states) err = create(ops, engine, v->n_x * v->n_y, &task->device_states);
    if (!err) err = put(task->device_states, engine, tile);
    if (!err) err = engine_enqueue(engine);
    return err ? err : take(task->device_states, engine, tile);
}

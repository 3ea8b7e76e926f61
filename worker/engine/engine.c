// SPDX-License-Identifier: MIT
//
// engine.h: one network at one size, and the host's tensors around a run.
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/life.h"
#include "worker/calibrate.h"
#include "worker/engine/own.h"

// ---- preparing --------------------------------------------------------------

// Once, whatever sizes come.
static enum reel_err find_ranges(struct engines *e, const struct model *model)
{
    if (e->calibrated || model->input.frames > 1 || !calibrate_wanted(e->first)) return REEL_OK;
    enum reel_err err = calibrate(e->first, &model->input, &e->ranges);
    e->params.backend_params.ranges = e->ranges;
    e->calibrated = !err;
    return err;
}

// An input as float32, and of the net's type where that is another.
static enum reel_err own_input(struct reel_tensor *input, struct reel_tensor *native, enum reel_dtype dtype,
                               const struct reel_shape *shape)
{
    enum reel_err err = reel_tensor_init(input, REEL_F32, shape);
    return err || dtype == REEL_F32 ? err : reel_tensor_init(native, dtype, shape);
}

static void drop_outputs(struct engine *engine)
{
    for (int i = 0; i < engine->n_out; i++) {
        reel_tensor_fini(&engine->out[i]);
        reel_tensor_fini(&engine->raw[i]);
    }
}

void engine_destroy(struct engine **engine)
{
    struct engine *g = *engine;
    if (!g) return;
    drop_outputs(g);
    reel_tensor_fini(&g->input);
    reel_tensor_fini(&g->native);
    reel_tensor_fini(&g->time_input);
    reel_tensor_fini(&g->time_native);
    net_close(&g->net);
    free(g);
    *engine = NULL;
}

enum reel_err engine_create(struct engines *e, const struct model *model, int w, int h, int batch,
                            const struct band *band, struct engine **out_engine)
{
    struct engine *g = calloc(1, sizeof *g);
    if (!g) return reel_fail(REEL_ERR_NOMEM, "could not prepare model: out of memory");
    g->w = w, g->h = h, g->batch = batch;
    g->serial = ++e->serials;
    g->picture = model->input.index;
    g->time = model->input.time_input;
    g->pictures = model->input.n_given;
    g->n_out = e->facts.n_out;
    g->plan = &e->plan;
    struct reel_shape shapes[ENGINE_MAX_INPUTS], *shape = &shapes[g->picture];
    enum reel_err err = find_ranges(e, model);
    if (!err) err = net_copy(e->first, &e->params.backend_params, &g->net);
    if (!err) err = engines_input_shapes(e, g->net, model, w, h, shapes);
    if (!err && batch > 1) shape->dim[0] = batch;
    if (!err) err = net_prepare_band(g->net, shapes, band);
    if (!err && band) g->band = *band;
    if (!err) err = own_input(&g->input, &g->native, model->input.dtype, shape);
    if (!err && g->time >= 0)
        err = own_input(&g->time_input, &g->time_native, e->facts.in[g->time].dtype, &shapes[g->time]);
    if (err) {
        engine_destroy(&g);
        return err;
    }
    *out_engine = g;
    return REEL_OK;
}

int engine_batch(const struct engine *g)
{
    return g->batch;
}

size_t engine_memory_bytes(const struct engine *g)
{
    if (!g->net) return 0;
    size_t bytes = net_memory_bytes(g->net) + reel_tensor_bytes(&g->input) + reel_tensor_bytes(&g->native);
    for (int i = 0; i < g->plan->n; i++) { // of one lane
        const struct net_io *io = net_input(g->net, g->plan->state[i].in);
        bytes += 2 * (size_t)reel_shape_count(&io->shape) * reel_dtype_bytes(io->dtype);
    }
    return bytes;
}

// ---- running ----------------------------------------------------------------

float *engine_input(struct engine *g)
{
    return g->input.data;
}

float *engine_time(struct engine *g, int64_t *out_count)
{
    *out_count = g->time < 0 ? 0 : reel_tensor_count(&g->time_input);
    return g->time_input.data;
}

void engine_give(struct engine *g, const struct engine_given *given, int n)
{
    g->given = given, g->n_given = n;
}

// Rounds to nearest and keeps integers inside their type: converting floats
// outside of it is undefined.
const struct reel_tensor *engine_as_input(const struct reel_tensor *input, struct reel_tensor *native)
{
    const float *s = input->data;
    int64_t n = reel_tensor_count(input);
    if (!native->data) return input;
    if (native->dtype == REEL_U8)
        for (int64_t i = 0; i < n; i++)
            ((uint8_t *)native->data)[i] = (uint8_t)(s[i] < 0 ? 0 : s[i] > 255 ? 255 : (int)(s[i] + 0.5f));
    else if (native->dtype == REEL_I32)
        for (int64_t i = 0; i < n; i++)
            ((int32_t *)native->data)[i] = (int32_t)floorf(fminf(fmaxf(s[i], -1e9f), 1e9f) + 0.5f);
    else
        reel_convert(native->data, native->dtype, s, REEL_F32, n);
    return native;
}

enum reel_err engine_run(struct engine *g, int64_t *run_us)
{
    int64_t begin_us = reel_now_us();
    if (!g->net) {
        enum reel_err err = g->owner->ops->run(g->program, NULL, NULL, false);
        *run_us += reel_now_us() - begin_us;
        return err;
    }
    drop_outputs(g);
    const struct reel_tensor *in[ENGINE_MAX_INPUTS] = {0};
    in[g->picture] = engine_as_input(&g->input, &g->native);
    if (g->time >= 0) in[g->time] = engine_as_input(&g->time_input, &g->time_native);
    enum reel_err err = g->n_given == g->pictures
                            ? REEL_OK
                            : reel_fail(REEL_ERR_FAULT, "could not run the network: its pictures are not there");
    for (int i = 0; i < g->n_given; i++) in[g->given[i].index] = &g->given[i].tensor;
    if (!err) err = engine_put_states(g, in);
    if (!err) err = net_run(g->net, in, g->raw, true);
    if (!err) err = engine_take_states(g, in);
    for (int i = 0; i < g->n_out && !err; i++) {
        struct reel_tensor *raw = &g->raw[i];
        if (raw->dtype == REEL_F32) {
            g->out[i] = *raw;
            g->out[i].owned = false;
            continue;
        }
        if ((err = reel_tensor_init(&g->out[i], REEL_F32, &raw->shape))) break;
        reel_convert(g->out[i].data, REEL_F32, raw->data, raw->dtype, reel_tensor_count(raw));
    }
    *run_us += reel_now_us() - begin_us;
    return err;
}

const struct reel_tensor *engine_output(const struct engine *g, int i)
{
    assert(i >= 0 && i < g->n_out);
    return &g->out[i];
}

int engine_output_count(const struct engine *g)
{
    return g->n_out;
}

// SPDX-License-Identifier: MIT
//
// engine.h: a network's inputs and outputs in device memory, for device/.
#include <stdlib.h>

#include "worker/engine/own.h"

uint64_t engine_serial(const struct engine *g)
{
    return g->serial;
}

unsigned engine_caps(const struct engine *g)
{
    return g->net ? net_backend(g->net)->caps : 0;
}

const struct state_plan *engine_plan(const struct engine *g)
{
    return g->plan;
}

enum reel_err engine_device_state(struct engine *g, int i, struct backend_device_tensor *out_in,
                                  struct backend_device_tensor *out_from)
{
    const struct graph_state *s = &g->plan->state[i];
    const struct backend_ops *b = net_backend(g->net);
    enum reel_err err = b->device_input(net_program(g->net), s->in, out_in);
    if (err) return err;
    return (s->of_input ? b->device_input : b->device_output)(net_program(g->net), s->out, out_from);
}

static bool keeps_states(struct engine *g)
{
    struct backend_device_tensor in, from;
    for (int i = 0; i < g->plan->n; i++) {
        if (engine_device_state(g, i, &in, &from)) return false;
        if (in.dtype != from.dtype || in.nhwc != from.nhwc || in.pixel_stride != from.pixel_stride || in.n != from.n ||
            in.c != from.c || in.h != from.h || in.w != from.w)
            return false;
    }
    return true;
}

static bool is_float(const struct backend_device_tensor *t)
{
    return t->dtype == REEL_F32 || t->dtype == REEL_F16 || t->dtype == REEL_BF16;
}

bool engine_has_device(struct engine *g)
{
    const int n_in = 1 + g->plan->n + g->pictures + (g->time >= 0);
    if (!(engine_caps(g) & BACKEND_DEVICE_MEMORY) || net_input_count(g->net) != n_in || !keeps_states(g)) return false;
    struct backend_device_tensor t;
    if (engine_device_input(g, &t) || !is_float(&t)) return false;
    if (g->time >= 0 && (!engine_device_time(g, &t) || !is_float(&t))) return false;
    for (int i = 0; i < g->n_out; i++)
        if (reel_shape_count(&net_output(g->net, i)->shape) < 0 || engine_device_output(g, i, &t)) return false;
    return true;
}

enum reel_err engine_device_given(struct engine *g, int index, struct backend_device_tensor *out)
{
    return net_backend(g->net)->device_input(net_program(g->net), index, out);
}

bool engine_device_time(struct engine *g, struct backend_device_tensor *out)
{
    return g->time >= 0 && !net_backend(g->net)->device_input(net_program(g->net), g->time, out);
}

enum reel_err engine_device_input(struct engine *g, struct backend_device_tensor *out)
{
    return net_backend(g->net)->device_input(net_program(g->net), g->picture, out);
}

enum reel_err engine_device_output(struct engine *g, int i, struct backend_device_tensor *out)
{
    return net_backend(g->net)->device_output(net_program(g->net), i, out);
}

enum reel_err engine_device_image(struct engine *g, int i, int image, struct backend_device_tensor *t)
{
    enum reel_err err = engine_device_output(g, i, t);
    if (err || g->batch == 1) return err;
    // What is no picture is a row of all images' numbers.
    int *images = t->n == g->batch ? &t->n : &t->w;
    *images /= g->batch;
    size_t elements = (size_t)t->n * (size_t)t->h * (size_t)t->w * (t->nhwc ? t->pixel_stride : (size_t)t->c);
    t->data = (uint8_t *)t->data + (size_t)image * elements * reel_dtype_bytes(t->dtype);
    return REEL_OK;
}

void *engine_stream(struct engine *g)
{
    return net_backend(g->net)->stream(net_program(g->net));
}

enum reel_err engine_enqueue(struct engine *g)
{
    return net_backend(g->net)->enqueue(net_program(g->net));
}

// ---- outputs back on the host -----------------------------------------------

enum reel_err engine_put_output(struct engine *g, int i, const struct backend_device_tensor *like, const void *bytes)
{
    struct reel_tensor *t = &g->out[i];
    reel_tensor_fini(t);
    reel_tensor_fini(&g->raw[i]);
    struct reel_shape shape = net_output(g->net, i)->shape;
    if (g->batch > 1) shape.dim[0] = 1;
    enum reel_err err = reel_tensor_init(t, REEL_F32, &shape);
    if (err) return err;
    int64_t count = reel_tensor_count(t);
    if (!like->nhwc) {
        reel_convert(t->data, REEL_F32, bytes, like->dtype, count);
        return REEL_OK;
    }
    size_t pixels = (size_t)like->h * (size_t)like->w, c = (size_t)like->c, from = like->pixel_stride;
    float *row = malloc(from * sizeof *row);
    if (!row) return reel_fail(REEL_ERR_NOMEM, "could not read an output: out of memory");
    size_t element = reel_dtype_bytes(like->dtype);
    for (size_t p = 0; p < (size_t)like->n * pixels; p++) {
        reel_convert(row, REEL_F32, (const uint8_t *)bytes + p * from * element, like->dtype, (int64_t)from);
        float *to = (float *)t->data + p / pixels * c * pixels + p % pixels;
        for (size_t k = 0; k < c; k++) to[k * pixels] = row[k];
    }
    free(row);
    return REEL_OK;
}

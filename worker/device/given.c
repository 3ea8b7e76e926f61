// SPDX-License-Identifier: MIT
//
// given.h.
#include "worker/device/given.h"

#include "worker/picture_set.h"

static bool input_of(const struct model_given *g, int net_w, int net_h, struct engine *engine, struct gpu_image *out)
{
    struct backend_device_tensor t;
    size_t bytes;
    const int w = g->as_frame ? net_w : g->width, h = g->as_frame ? net_h : g->height;
    return !engine_device_given(engine, g->index, &t) &&
           device_tensor_as_image(&t, 1, g->nhwc, w, h, g->channels, out, &bytes);
}

bool device_given_can(const struct task *task, struct engine *engine)
{
    const struct model_input *in = &task->model->input;
    struct gpu_image image;
    for (int i = 0; i < in->n_given; i++)
        if (!input_of(&in->given[i], task->view.net_w, task->view.net_h, engine, &image)) return false;
    return true;
}

enum reel_err device_given_make(struct device_image *d, struct engine *engine)
{
    const struct picture_set *s = d->task->pictures;
    if (!d->task->model->input.n_given) return REEL_OK;
    if (!s) return reel_fail(REEL_ERR_FAULT, "could not feed the network on the device: its pictures are not there");
    enum reel_err err = REEL_OK;
    for (int i = 0; i < s->n && !err; i++) {
        const struct picture_canvas *c = &s->canvas[i];
        const size_t floats = (size_t)c->w * (size_t)c->h * (size_t)c->given->channels;
        void *data = NULL;
        if (!input_of(c->given, c->net_w, c->net_h, engine, &d->given_in[i]))
            return reel_fail(REEL_ERR_UNSUPPORTED, "could not feed a picture to the network on the device");
        err = device_tables_put(&d->tables, c->values, floats * sizeof(float), &data);
        d->given[i] = gpu_image_planar(data, GPU_PIXEL_F32, c->w, c->h, c->given->channels);
    }
    return err;
}

enum reel_err device_given_feed(struct device_image *d, int x0, int y0, void *stream)
{
    const struct picture_set *s = d->task->pictures;
    enum reel_err err = REEL_OK;
    for (int i = 0; s && i < s->n && !err; i++) {
        const bool cut = s->canvas[i].cut;
        err = d->ops->cut(&d->given[i], &d->given_in[i], cut ? x0 : 0, cut ? y0 : 0, stream);
    }
    return err;
}

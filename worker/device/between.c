// SPDX-License-Identifier: MIT
//
// Pictures between two frames on a device: what task/between.c does on the host. A
// frame is several runs, each of which is fed from slots or from what the ones before
// it made. Cuts are looked for by image.h's small pictures.
#include <stdlib.h>

#include "worker/device/given.h"
#include "worker/task/between.h"

// ---- making -------------------------------------------------------------------

enum reel_err device_between_make(struct device_image *d, struct engine *engine)
{
    const struct model_input *in = &d->task->model->input;
    const int w = d->task->view.net_w, h = d->task->view.net_h;
    struct backend_device_tensor t;
    if (engine_device_time(engine, &t)) {
        const enum gpu_pixel_type type = device_pixel_type_of(t.dtype);
        d->net_time = t.nhwc ? gpu_image_nhwc(t.data, type, t.n * t.h * t.w, 1, t.c, t.pixel_stride)
                             : gpu_image_planar(t.data, type, t.n * t.c * t.h * t.w, 1, 1);
    }
    if (!in->planes) return REEL_OK;
    d->net_planes = device_channels_from(&d->net_in, in->channels * in->frames, in->planes);
    d->net_planes.padded = d->net_in.padded - in->channels * in->frames;
    const size_t plane = (size_t)w * (size_t)h;
    float *values = malloc(plane * (size_t)in->planes * sizeof *values);
    if (!values) return reel_fail(REEL_ERR_NOMEM, "could not prepare a device: out of memory");
    for (int i = 0; i < in->planes; i++)
        for (int y = 0; y < h; y++)
            for (int x = 0; x < w; x++)
                values[(size_t)i * plane + (size_t)y * (size_t)w + (size_t)x] = task_plane_at(d->task, i, 0, x, y);
    void *data = NULL;
    enum reel_err err = device_tables_put(&d->tables, values, plane * (size_t)in->planes * sizeof *values, &data);
    free(values);
    d->planes = gpu_image_planar(data, GPU_PIXEL_F32, w, h, in->planes);
    return err;
}

// ---- a frame ------------------------------------------------------------------

// The time of what is made, to wherever the network is told it.
static enum reel_err feed_time(struct device_image *d, float time, void *stream)
{
    const float fill[3] = {time, time, time};
    enum reel_err err = REEL_OK;
    if (d->net_time.data) err = d->ops->borders(&d->net_time, &d->plain, 0, 0, 0, 0, fill, stream);
    if (err || !d->planes.data) return err;
    struct gpu_image plane = device_channels_from(&d->planes, MODEL_PLANE_TIME, 1);
    err = d->ops->borders(&plane, &d->plain, 0, 0, 0, 0, fill, stream);
    return err ? err : d->ops->cut(&d->planes, &d->net_planes, 0, 0, stream);
}

static const uint8_t *picture_at(const struct device_image *d, const struct device_frame *f, int k, bool *out_made)
{
    *out_made = between_is_made(d->task->model, k);
    return *out_made ? f->out + between_offset(d->task, k) : f->seen[k > 0];
}

// Every run is fed anew: a program may use its inputs' memory for something else.
enum reel_err device_between_run(struct device_image *d, struct engine *engine, const struct device_frame *f,
                                 const struct image_band *band)
{
    const struct task *task = d->task;
    struct between_step step[REEL_MAX_RATE - 1];
    const int n = between_steps(task->model, step);
    enum reel_err err = REEL_OK;
    for (int i = 0; i < n && !err; i++) {
        struct device_frame one = *f;
        one.seen[0] = picture_at(d, f, step[i].from, &one.made[0]);
        one.seen[1] = picture_at(d, f, step[i].to, &one.made[1]);
        one.out = f->out + between_offset(task, step[i].at);
        err = device_image_feed_seen(d, &one, &d->net_in);
        if (!err) err = device_given_feed(d, 0, 0, f->stream);
        if (!err) err = feed_time(d, step[i].time, f->stream);
        if (!err) err = engine_enqueue(engine);
        if (!err) err = device_image_write_picture(d, &one, band);
        if (task->on_step) task->on_step(task->user);
    }
    return err;
}

// ---- cuts ---------------------------------------------------------------------

enum reel_err device_image_shrink(struct device_image *d, const struct device_frame *f, uint8_t *to, size_t *out_bytes)
{
    struct yuv_picture p = task_picture(&d->task->in, &d->task->media.colour, NULL);
    int w, h;
    cut_small_size(&p, &w, &h);
    *out_bytes = (size_t)w * (size_t)h;
    enum reel_err err = REEL_OK;
    for (int i = 0; i < 2 && !err; i++) {
        p = task_picture(&d->task->in, &d->task->media.colour, f->seen[i]);
        err = d->ops->shrink(&p, to + (size_t)i * *out_bytes, f->stream);
    }
    return err;
}

bool device_image_is_cut(const struct device_image *d, uint32_t n, const uint8_t *small)
{
    const struct yuv_picture p = task_picture(&d->task->in, &d->task->media.colour, NULL);
    int w, h;
    cut_small_size(&p, &w, &h);
    return between_is_cut(d->task, n, cut_between_small(small, small + (size_t)w * (size_t)h, w, h));
}

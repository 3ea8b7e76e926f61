// SPDX-License-Identifier: MIT
//
// nms.h, on a stream of its own, beside the frames that are under way.
#include "worker/device/nms.h"

#include <stdlib.h>

struct device_nms {
    const struct device_ops *ops;
    void *stream, *done;
    int room, most; // boxes that there is memory for, and of those that are kept
    void *boxes, *scratch, *kept;
    void *answer; // host: kept, once they are here
};

enum reel_err device_nms_create(const struct device_ops *ops, struct device_nms **out)
{
    struct device_nms *d = calloc(1, sizeof *d);
    if (!d) return reel_fail(REEL_ERR_NOMEM, "could not prepare a device: out of memory");
    d->ops = ops;
    *out = d;
    return REEL_OK;
}

static void let_go(struct device_nms *d)
{
    if (d->boxes) d->ops->free(d->boxes);
    if (d->scratch) d->ops->free(d->scratch);
    if (d->kept) d->ops->free(d->kept);
    if (d->answer) d->ops->host_free(d->answer);
    d->boxes = d->scratch = d->kept = d->answer = NULL;
    d->room = d->most = 0;
}

void device_nms_destroy(struct device_nms **nms)
{
    struct device_nms *d = *nms;
    if (!d) return;
    let_go(d);
    if (d->done) d->ops->event_destroy(&d->done);
    if (d->stream) d->ops->stream_destroy(&d->stream);
    free(d);
    *nms = NULL;
}

static size_t answer_bytes(int most)
{
    return (1 + (size_t)most) * sizeof(int32_t);
}

static enum reel_err make_room(struct device_nms *d, int n, int most)
{
    enum reel_err err = REEL_OK;
    if (!d->stream) err = d->ops->stream_create(&d->stream);
    if (!err && !d->done) err = d->ops->event_create(&d->done);
    if (err || (n <= d->room && most <= d->most)) return err;
    let_go(d);
    const int room = n + n / 2;
    err = d->ops->alloc((size_t)room * sizeof(struct nms_box), &d->boxes);
    if (!err) err = d->ops->alloc(GPU_NMS_SCRATCH, &d->scratch);
    if (!err) err = d->ops->alloc(answer_bytes(most), &d->kept);
    if (!err) err = d->ops->host_alloc(answer_bytes(most), &d->answer);
    if (err)
        let_go(d);
    else
        d->room = room, d->most = most;
    return err;
}

static enum reel_err ask(struct device_nms *d, const struct nms_box *boxes, int n, float iou, int most)
{
    const struct gpu_nms g = {
        .box = d->boxes, .n = n, .iou = iou, .most = most, .scratch = d->scratch, .kept = d->kept};
    enum reel_err err = d->ops->upload(d->boxes, boxes, (size_t)n * sizeof *boxes, d->stream);
    if (!err) err = d->ops->nms(&g, d->stream);
    if (!err) err = d->ops->download(d->answer, d->kept, answer_bytes(most), d->stream);
    if (!err) err = d->ops->event_record(d->done, d->stream);
    return err ? err : d->ops->event_sync(d->done);
}

static enum reel_err on_the_host(struct nms_box *boxes, int n, float iou, int most, int *out_n)
{
    *out_n = nms_keep(boxes, n, iou, most);
    return *out_n >= 0 ? REEL_OK : reel_fail(REEL_ERR_NOMEM, "could not sort out %d detections: out of memory", n);
}

enum reel_err device_nms_keep(struct device_nms *d, struct nms_box *boxes, int n, float iou, int most, int *out_n)
{
    if (n < DEVICE_NMS_LEAST) return on_the_host(boxes, n, iou, most, out_n);
    enum reel_err err = make_room(d, n, most);
    if (err == REEL_ERR_NOMEM) return on_the_host(boxes, n, iou, most, out_n);
    if (!err) err = ask(d, boxes, n, iou, most);
    if (err) return err;
    const int32_t *kept = d->answer;
    if (kept[0] < 0 || kept[0] > most)
        return reel_fail(REEL_ERR_FAULT, "could not sort out %d detections: the device keeps %d", n, kept[0]);
    for (int i = 0; i < kept[0]; i++) boxes[i] = boxes[kept[1 + i]]; // numbers rise
    *out_n = kept[0];
    return REEL_OK;
}

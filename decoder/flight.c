// SPDX-License-Identifier: MIT
//
// A queue of frames that are being copied. See flight.h.
#include "decoder/flight.h"

#include <stdlib.h>

#include "common/cuda.h"

struct item {
    struct flight_frame frame;
    AVFrame *picture; // keeps the copy's source; empty between frames
    void *event;
    bool under_way;
};

struct flight {
    const struct flight_ops *ops;
    void *stream;
    struct item item[FLIGHT_MAX];
    unsigned first, count;
};

const struct flight_ops flight_cuda = {
    .event_create = reel_cuda_event_create,
    .event_destroy = reel_cuda_event_destroy,
    .event_record = reel_cuda_event_record,
    .event_query = reel_cuda_event_query,
    .event_sync = reel_cuda_event_sync,
    .stream_sync = reel_cuda_stream_sync,
};

// ---- a device in host memory ----------------------------------------------------

static enum reel_err host_create(void **out_event)
{
    *out_event = calloc(1, sizeof(int)); // how many queries will still return AGAIN
    return *out_event ? REEL_OK : reel_fail(REEL_ERR_NOMEM, "could not make an event: out of memory");
}

static void host_destroy(void **event)
{
    free(*event);
    *event = NULL;
}

static enum reel_err host_record(void *event, void *stream)
{
    *(int *)event = 1;
    return REEL_OK;
}

static enum reel_err host_query(void *event)
{
    int *left = event;
    return (*left)-- > 0 ? REEL_AGAIN : REEL_OK;
}

static enum reel_err host_sync(void *event)
{
    *(int *)event = 0;
    return REEL_OK;
}

static enum reel_err host_stream_sync(void *stream)
{
    return REEL_OK;
}

const struct flight_ops flight_host = {
    .event_create = host_create,
    .event_destroy = host_destroy,
    .event_record = host_record,
    .event_query = host_query,
    .event_sync = host_sync,
    .stream_sync = host_stream_sync,
};

// ---- the queue ------------------------------------------------------------------

enum reel_err flight_create(const struct flight_ops *ops, void *stream, struct flight **out_flight)
{
    *out_flight = NULL;
    struct flight *f = calloc(1, sizeof *f);
    if (!f) return reel_fail(REEL_ERR_NOMEM, "could not open a lane: out of memory");
    f->ops = ops;
    f->stream = stream;
    enum reel_err err = REEL_OK;
    for (int i = 0; i < FLIGHT_MAX && !err; i++) {
        f->item[i].picture = av_frame_alloc();
        if (!f->item[i].picture) err = reel_fail(REEL_ERR_NOMEM, "could not open a lane: out of memory");
        if (!err && ops) err = ops->event_create(&f->item[i].event);
    }
    if (err)
        flight_destroy(&f);
    else
        *out_flight = f;
    return err;
}

// Waits until all copies have ended, because their surfaces and slots are about to be reused. After
// a fault of the device they have ended as well.
static void wait_all(struct flight *f)
{
    if (f->ops->stream_sync(f->stream)) reel_cuda_look();
}

void flight_destroy(struct flight **flight)
{
    struct flight *f = *flight;
    if (!f) return;
    bool under_way = false;
    for (unsigned i = 0; i < f->count; i++) under_way |= f->item[(f->first + i) % FLIGHT_MAX].under_way;
    if (under_way) wait_all(f);
    for (int i = 0; i < FLIGHT_MAX; i++) {
        av_frame_free(&f->item[i].picture);
        if (f->item[i].event) f->ops->event_destroy(&f->item[i].event);
    }
    free(f);
    *flight = NULL;
}

bool flight_full(const struct flight *f)
{
    return f->count == FLIGHT_MAX;
}

const struct flight_frame *flight_oldest(const struct flight *f)
{
    return f->count ? &f->item[f->first].frame : NULL;
}

enum reel_err flight_add(struct flight *f, const struct flight_frame *frame, AVFrame *picture, bool under_way)
{
    struct item *item = &f->item[(f->first + f->count) % FLIGHT_MAX];
    enum reel_err err = REEL_OK;
    if (flight_full(f) || (under_way && !f->ops))
        err = reel_fail(REEL_ERR_FAULT, "could not write a picture: too many are under way");
    else if (under_way)
        err = f->ops->event_record(item->event, f->stream);
    if (err) {
        if (f->ops && under_way) wait_all(f);
        av_frame_unref(picture);
        return err;
    }
    item->frame = *frame;
    item->under_way = under_way;
    // A complete copy does not need its source any more.
    if (under_way)
        av_frame_move_ref(item->picture, picture);
    else
        av_frame_unref(picture);
    f->count++;
    return REEL_OK;
}

enum reel_err flight_next(struct flight *f, struct flight_frame *out_frame)
{
    if (!f->count) return REEL_AGAIN;
    struct item *item = &f->item[f->first];
    enum reel_err err = item->under_way ? f->ops->event_query(item->event) : REEL_OK;
    if (err) return err;
    *out_frame = item->frame;
    item->under_way = false;
    av_frame_unref(item->picture);
    f->first = (f->first + 1) % FLIGHT_MAX;
    f->count--;
    return REEL_OK;
}

enum reel_err flight_wait(struct flight *f)
{
    if (!f->count || !f->item[f->first].under_way) return REEL_OK;
    enum reel_err err = f->ops->event_sync(f->item[f->first].event);
    // It is complete; flight_next() need not query the event.
    if (!err) f->item[f->first].under_way = false;
    return err;
}

// SPDX-License-Identifier: MIT
//
// Pictures on their way into slots, with a device of this test's own: told in
// order and only when their copies are complete, surfaces kept until then, and
// nothing let go while it is copied.
#include "tests/check.h"

#include "decoder/flight.h"

#define CHECK_OK(call) CHECK_INT(call, REEL_OK)

// ---- the device -------------------------------------------------------------------

// Copies are numbered as they are enqueued; `done` of them are complete.
static int enqueued, done, surfaces, events;
static bool faulty, no_event, no_record;
static int stream_syncs, done_at_sync;

struct event {
    int copy;
};

static enum reel_err event_create(void **out_event)
{
    *out_event = NULL;
    if (no_event && events == 2) return reel_fail(REEL_ERR_NOMEM, "could not make an event");
    events++;
    *out_event = calloc(1, sizeof(struct event));
    return REEL_OK;
}

static void event_destroy(void **event)
{
    events--;
    free(*event);
    *event = NULL;
}

static enum reel_err event_record(void *event, void *stream)
{
    if (no_record) return reel_fail(REEL_ERR_FAULT, "could not record");
    ((struct event *)event)->copy = enqueued;
    return REEL_OK;
}

static enum reel_err event_query(void *event)
{
    if (faulty) return reel_fail(REEL_ERR_FAULT, "could not ask for a GPU's progress: lost");
    return ((struct event *)event)->copy <= done ? REEL_OK : REEL_AGAIN;
}

static enum reel_err event_sync(void *event)
{
    if (faulty) return reel_fail(REEL_ERR_FAULT, "could not wait for a GPU: lost");
    if (done < ((struct event *)event)->copy) done = ((struct event *)event)->copy;
    return REEL_OK;
}

static enum reel_err stream_sync(void *stream)
{
    stream_syncs++;
    done_at_sync = surfaces; // none may have been let go before
    done = enqueued;
    return REEL_OK;
}

static const struct flight_ops ops = {event_create, event_destroy, event_record, event_query, event_sync, stream_sync};

static void let_go(void *opaque, uint8_t *data)
{
    surfaces--;
    free(data);
}

static void surface(AVFrame *f)
{
    surfaces++;
    f->buf[0] = av_buffer_create(malloc(16), 16, let_go, NULL, 0);
    f->data[0] = f->buf[0]->data;
}

static AVFrame *picture;

static void reset(void)
{
    enqueued = done = stream_syncs = done_at_sync = 0;
    faulty = no_event = no_record = false;
    if (!picture) picture = av_frame_alloc();
}

static enum reel_err add(struct flight *f, uint32_t n, bool under_way)
{
    surface(picture);
    enqueued += under_way;
    struct flight_frame frame = {.n = n, .slot_id = n % 3, .pts = 10 * n, .serial = n};
    return flight_add(f, &frame, picture, under_way);
}

// ---- cases ------------------------------------------------------------------------

// Whatever completes when, frames are told in order, each once, none early.
static void in_order_and_never_early(void)
{
    reset();
    struct flight *f;
    CHECK_OK(flight_create(&ops, NULL, &f));
    uint32_t n = 0, told = 0, seed = 1;
    struct flight_frame got;
    for (int i = 0; i < 5000; i++) {
        seed = seed * 1664525 + 1013904223;
        if (seed >> 30 && !flight_full(f))
            CHECK_OK(add(f, n++, true));
        else if (done < enqueued && seed >> 29 & 1)
            done++;
        enum reel_err err = flight_next(f, &got);
        CHECK_INT(err, told < (uint32_t)done ? REEL_OK : REEL_AGAIN);
        if (err) continue;
        CHECK_INT(got.n, told);
        CHECK_INT(got.slot_id, told % 3);
        CHECK_INT(got.pts, 10 * told);
        told++;
        CHECK_INT(surfaces, (int)(n - told)); // each is kept as long as it is read
    }
    CHECK(told > 500);
    flight_destroy(&f);
    CHECK_INT(surfaces, 0);
    CHECK_INT(events, 0);
}

static void full(void)
{
    reset();
    struct flight *f;
    CHECK_OK(flight_create(&ops, NULL, &f));
    CHECK(!flight_oldest(f));
    for (uint32_t i = 0; i < FLIGHT_MAX; i++) {
        CHECK(!flight_full(f));
        CHECK_OK(add(f, i, true));
    }
    CHECK(flight_full(f));
    CHECK_INT(flight_oldest(f)->n, 0);
    CHECK_OK(flight_wait(f)); // for the oldest alone
    CHECK_INT(done, 1);
    struct flight_frame got;
    CHECK_OK(flight_next(f, &got));
    CHECK_INT(flight_next(f, &got), REEL_AGAIN);
    CHECK_INT(flight_oldest(f)->n, 1);
    flight_destroy(&f);
}

// Pictures that need no device wait behind those that do.
static void complete_ones_wait(void)
{
    reset();
    struct flight *f;
    struct flight_frame got;
    CHECK_OK(flight_create(&ops, NULL, &f));
    CHECK_OK(add(f, 0, true));
    CHECK_OK(add(f, 1, false));
    CHECK_INT(surfaces, 1); // the second is not read any more
    CHECK_INT(flight_next(f, &got), REEL_AGAIN);
    done = 1;
    CHECK_OK(flight_next(f, &got));
    CHECK_INT(got.n, 0);
    CHECK_OK(flight_next(f, &got));
    CHECK_INT(got.n, 1);
    CHECK_INT(flight_next(f, &got), REEL_AGAIN);
    flight_destroy(&f);
    CHECK_INT(stream_syncs, 0);
    // Without a device at all they go straight through.
    CHECK_OK(flight_create(NULL, NULL, &f));
    CHECK_OK(add(f, 0, false));
    CHECK_OK(flight_next(f, &got));
    CHECK_OK(flight_wait(f));
    CHECK_INT(add(f, 1, true), REEL_ERR_FAULT);
    CHECK_INT(surfaces, 0);
    flight_destroy(&f);
}

// A lane that is given up: its slots and surfaces are let go after the copies.
static void given_up(void)
{
    reset();
    struct flight *f;
    CHECK_OK(flight_create(&ops, NULL, &f));
    for (uint32_t i = 0; i < 3; i++) CHECK_OK(add(f, i, true));
    flight_destroy(&f);
    CHECK(!f);
    CHECK_INT(stream_syncs, 1);
    CHECK_INT(done_at_sync, 3);
    CHECK_INT(surfaces, 0);
    CHECK_INT(events, 0);
}

static void faults(void)
{
    reset();
    struct flight *f;
    struct flight_frame got;
    CHECK_OK(flight_create(&ops, NULL, &f));
    CHECK_OK(add(f, 0, true));
    faulty = true;
    done = 1;
    CHECK_INT(flight_next(f, &got), REEL_ERR_FAULT); // and not told
    CHECK_INT(flight_wait(f), REEL_ERR_FAULT);
    CHECK_INT(flight_oldest(f)->n, 0);
    faulty = false;
    no_record = true;
    CHECK_INT(add(f, 1, true), REEL_ERR_FAULT);
    CHECK_INT(done_at_sync, 2); // its copy is over before its surface goes
    CHECK_INT(surfaces, 1);
    flight_destroy(&f);
    CHECK_INT(surfaces, 0);
    reset();
    no_event = true;
    CHECK_INT(flight_create(&ops, NULL, &f), REEL_ERR_NOMEM);
    CHECK(!f);
    CHECK_INT(events, 0);
}

// The device that is the host's memory tells late, as a GPU does.
static void host_tells_late(void)
{
    reset();
    struct flight *f;
    struct flight_frame got;
    CHECK_OK(flight_create(&flight_host, NULL, &f));
    CHECK_OK(add(f, 0, true));
    CHECK_INT(flight_next(f, &got), REEL_AGAIN);
    CHECK_OK(flight_next(f, &got));
    CHECK_OK(add(f, 1, true));
    CHECK_OK(flight_wait(f));
    CHECK_OK(flight_next(f, &got));
    CHECK_INT(got.n, 1);
    flight_destroy(&f);
    CHECK_INT(surfaces, 0);
    av_frame_free(&picture);
}

CHECK_MAIN({"in order and never early", in_order_and_never_early}, {"full", full},
           {"complete ones wait", complete_ones_wait}, {"given up", given_up}, {"faults", faults},
           {"host memory tells late", host_tells_late})

// SPDX-License-Identifier: MIT
//
// One lane's epoch: frames come in, pictures go to the sink. See lane.h.
#include "aggregator/lane.h"

#include <stdlib.h>

#include "aggregator/post/image.h"
#include "aggregator/sink/sink.h"
#include "common/life.h"

struct lane {
    uint32_t index, epoch, segment;
    struct reel_job job;
    struct plan plan;
    const struct reel_ring *in, *out;
    struct release *release;
    struct reel_stat_row *row;
    struct image *image;
    struct sink *sink;
    struct live *live;
    // Frames that wait: number `done` to the one before `next`, frame i at [i % room]. Otherwise frame
    // i is number base + i, but a live job's numbers have gaps.
    struct reel_rec_frame *queue;
    uint32_t room, done, next, base;
    bool finishing, committed, failed;
};

enum reel_err lane_open(const struct lane_params *params, struct lane **out_lane)
{
    const struct reel_rec_open *open = params->open;
    struct lane *l = calloc(1, sizeof *l);
    if (!l) return reel_fail(REEL_ERR_NOMEM, "could not open lane %u: out of memory", open->lane);
    *l = (struct lane){.index = open->lane,
                       .epoch = open->epoch,
                       .segment = open->segment,
                       .job = *params->job,
                       .in = params->in,
                       .out = params->out,
                       .release = params->release,
                       .row = params->row,
                       .live = params->live,
                       .room = open->in_slots};
    struct encoder *encoder = NULL;
    enum reel_err err = REEL_OK;
    if (open->in_place == REEL_PLACE_HOST)
        err = reel_ring_configure(params->in, open->epoch, open->in_slots, &open->in);
    if (!err && open->out_place == REEL_PLACE_HOST)
        err = reel_ring_configure(params->out, open->epoch, open->out_slots + open->out_spares, &open->out);
    l->queue = calloc(l->room, sizeof *l->queue);
    if (!err && !l->queue) err = reel_fail(REEL_ERR_NOMEM, "could not open lane %u: out of memory", open->lane);
    if (!err) err = plan_open(params->settings, params->job, open, &l->plan, &encoder);
    if (!err) {
        // One slot stays free, so that there is always room for the next frame.
        struct image_params image = {
            &l->plan,   l->in,    l->out,     l->release,
            open->lane, l->epoch, l->segment, open->out_slots > 1 ? (int)open->out_slots - 1 : 0};
        err = image_create(&image, &l->image);
        if (err) encode_close(&encoder);
    }
    if (!err) {
        struct sink_params sink = {&l->plan, open->segment, encoder, l->live, l->row};
        if (l->live) live_begin(l->live);
        err = sink_open(&sink, &l->sink);
    }
    if (err)
        lane_close(&l);
    else
        *out_lane = l;
    return err;
}

void lane_close(struct lane **lane)
{
    struct lane *l = *lane;
    if (!l) return;
    sink_abandon(&l->sink); // its encoder gives back slots
    image_destroy(&l->image);
    free(l->queue);
    free(l);
    *lane = NULL;
}

// The smallest number that the next frame may have.
static uint32_t next_number(const struct lane *l)
{
    return l->live && l->next ? l->queue[(l->next - 1) % l->room].n + 1 : l->base + l->next;
}

enum reel_err lane_frame(struct lane *l, const struct reel_rec_frame *rec)
{
    // Frames before the first one that arrives belonged to the warm-up.
    if (!l->live && !l->next) l->base = rec->n;
    uint32_t least = next_number(l);
    bool fits = l->live ? rec->n >= least : rec->n == least;
    if (!fits || l->finishing)
        return reel_fail(REEL_ERR_PROTO, "could not take frame %u of lane %u: expected frame %u", rec->n, l->index,
                         least);
    if (l->next - l->done >= l->room)
        return reel_fail(REEL_ERR_PROTO, "could not take frame %u of lane %u: %u are already waiting", rec->n, l->index,
                         l->room);
    l->queue[l->next++ % l->room] = *rec;
    return REEL_OK;
}

enum reel_err lane_finish(struct lane *l, uint32_t frames)
{
    if (frames != l->next)
        return reel_fail(REEL_ERR_PROTO, "could not end lane %u: %u frames were announced, %u arrived", l->index,
                         frames, l->next);
    l->finishing = true;
    return REEL_OK;
}

// ---- one frame ----------------------------------------------------------------

static enum reel_err put(struct lane *l, const struct sink_frame *frame)
{
    int64_t from = reel_now_us();
    enum reel_err err = sink_put(l->sink, frame);
    reel_stat_add(&l->row->run_us, (uint64_t)(reel_now_us() - from));
    if (!err && l->live && !l->sink->ops->later) live_wrote(l->live, frame->pts);
    return err;
}

// Passes everything that the filter has ready to the sink. AGAIN or EOF at the end.
static enum reel_err put_pictures(struct lane *l)
{
    for (;;) {
        AVFrame *picture;
        enum reel_err err = image_next(l->image, &picture);
        if (err) return err;
        struct sink_frame frame = {.pts = picture->pts, .duration = *av_frame_duration(picture), .picture = picture};
        err = put(l, &frame);
        av_frame_free(&picture);
        if (err) return err;
    }
}

static enum reel_err put_results(struct lane *l, const struct reel_rec_frame *rec)
{
    struct results results;
    enum reel_err err = image_results(l->image, rec, &results);
    if (err) return err;
    struct sink_frame frame = {.pts = rec->pts,
                               .duration = rec->duration,
                               .results = &results,
                               .filled_in = rec->flags & (REEL_FRAME_REPEAT | REEL_FRAME_PASS)};
    const struct reel_geometry *g = &l->out->geometry;
    if (g->format.layout == REEL_PIX_GRAY && g->format.depth == 8 && !frame.filled_in) {
        frame.mask = reel_ring_plane(l->out, rec->out_slot, 0);
        frame.mask_stride = g->plane_stride[0];
        frame.mask_width = g->width;
        frame.mask_height = g->height;
    }
    return put(l, &frame);
}

// Passes on all pictures of a frame, each before the next one is made.
static enum reel_err put_all(struct lane *l, const struct reel_rec_frame *rec)
{
    enum reel_err err = REEL_AGAIN;
    for (uint32_t k = 0; k < l->plan.rate && err == REEL_AGAIN; k++) {
        err = image_send(l->image, rec, k);
        if (!err) err = put_pictures(l);
    }
    return err == REEL_AGAIN ? REEL_OK : err;
}

static int64_t written_us(const struct reel_ring *ring, uint32_t slot)
{
    return ((const struct reel_stamp *)reel_ring_slot(ring, slot))->written_us;
}

// When a picture of a frame was ready to be shown: the frame's own with the frame, pictures between two
// frames when the later one was there.
static void expect_all(struct lane *l, const struct reel_rec_frame *rec)
{
    const uint32_t next = rec->after ? reel_ring_slot_of(l->in, rec->next) : rec->in_slot;
    for (uint32_t k = 0; k < l->plan.rate; k++) {
        int64_t pts, duration;
        plan_time(&l->plan, rec, k, &pts, &duration);
        live_expect(l->live, pts, written_us(l->in, k ? next : rec->in_slot));
    }
}

static enum reel_err do_frame(struct lane *l, const struct reel_rec_frame *rec)
{
    if (l->live) expect_all(l, rec);
    if (l->plan.wants == PLAN_PICTURE) return put_all(l, rec);
    struct reel_stamp stamp;
    enum reel_err err = image_check(l->image, rec, &stamp);
    if (!err && l->plan.wants == PLAN_RESULTS) err = put_results(l, rec);
    for (uint32_t k = 0; k < l->plan.rate && !err && l->plan.wants == PLAN_NOTHING; k++) {
        struct sink_frame frame = {0};
        plan_time(&l->plan, rec, k, &frame.pts, &frame.duration);
        err = put(l, &frame);
    }
    if (!err) release_return(l->release, (struct reel_rec_taken){l->index, l->epoch, rec->n});
    return err;
}

static enum reel_err end(struct lane *l, struct reel_rec_committed *out)
{
    enum reel_err err = REEL_OK;
    if (l->plan.wants == PLAN_PICTURE) {
        err = image_end(l->image);
        if (!err) err = put_pictures(l);
        if (err == REEL_EOF) err = REEL_OK;
    }
    struct sink_done done = {0};
    int64_t from = reel_now_us();
    if (!err) err = sink_finish(&l->sink, &done);
    reel_stat_add(&l->row->run_us, (uint64_t)(reel_now_us() - from));
    struct live_count count = {0};
    if (!err && l->live) live_attempt(l->live, &count);
    if (l->live) done.frames = (uint32_t)count.written;
    if (!err && done.frames + count.unsent != (uint64_t)l->next * l->plan.rate)
        err = reel_fail(REEL_ERR_FAULT, "could not write segment %u: %u frames went in, %u came out, at %u for each",
                        l->segment, l->next, done.frames, l->plan.rate);
    if (err) return err;
    reel_crash_point("aggregator.after_rename");
    reel_stat_add(&l->row->bytes_out, done.bytes);
    *out = (struct reel_rec_committed){.lane = l->index,
                                       .epoch = l->epoch,
                                       .job = l->job.id,
                                       .segment = l->segment,
                                       .frames = done.frames,
                                       .unsent = (uint32_t)count.unsent,
                                       .bytes = done.bytes,
                                       .file = l->live ? live_file_number(l->live) : 0};
    memcpy(out->latency_us, count.latency_us, sizeof out->latency_us);
    if (!l->live) memcpy(out->sha256, done.sha256, sizeof out->sha256);
    l->committed = true;
    return REEL_EOF;
}

enum reel_err lane_step(struct lane *l, struct reel_rec_committed *out_committed)
{
    if (l->failed || l->committed) return REEL_AGAIN;
    if (l->done == l->next) return l->finishing ? end(l, out_committed) : REEL_AGAIN;
    if (!sink_ready(l->sink)) return REEL_AGAIN;
    const struct reel_rec_frame *rec = &l->queue[l->done % l->room];
    atomic_store_explicit(&l->row->job, l->job.id, memory_order_relaxed);
    atomic_store_explicit(&l->row->frame, rec->n, memory_order_relaxed);
    enum reel_err err = do_frame(l, rec);
    if (err) return err;
    l->done++;
    reel_stat_add(&l->row->frames, l->plan.rate);
    return REEL_OK;
}

uint32_t lane_epoch(const struct lane *lane)
{
    return lane->epoch;
}

uint32_t lane_job(const struct lane *lane)
{
    return lane->job.id;
}

bool lane_is_live(const struct lane *lane)
{
    return lane->live != NULL;
}

uint32_t lane_at(const struct lane *lane)
{
    return lane->done < lane->next ? lane->queue[lane->done % lane->room].n : REEL_NO_FRAME;
}

void lane_set_failed(struct lane *lane)
{
    lane->failed = true;
}

bool lane_failed(const struct lane *lane)
{
    return lane->failed;
}

// SPDX-License-Identifier: MIT
//
// Brings one lane's frames into its ring. See lane.h. serve.c calls all lanes in turn, so a call
// never waits: frames that a GPU copies are announced later.
#include "decoder/lane.h"

#include <stdlib.h>

#include "common/child_rings.h"
#include "common/life.h"
#include "common/log.h"
#include "decoder/around.h"
#include "decoder/flight.h"
#include "decoder/live.h"
#include "decoder/nvdec.h"
#include "decoder/upload.h"

struct lane {
    uint32_t lane, epoch, job;
    struct reel_ring *ring; // borrowed from the child
    struct around *around;  // the source of frames; NULL for a live input,
    struct live *live;      // which is borrowed from the process
    struct reel_media media;
    struct upload upload;
    AVFrame *frame; // if has_frame: a decoded frame that waits for its slot
    AVFrame *newer; // live: the next frame, which replaces one that still waits
    bool has_frame, decoded_all, ended;
    int64_t pts, duration;
    uint32_t flags;            // of the waiting frame
    uint32_t next, window_end; // frames below next are written or being copied
    uint32_t behind;           // how many of these lie after the end of the segment
    struct flight *flight;     // frames being copied
    bool told_fitted, told_software, wants_gpu;
    AVFrame *fetched; // copy of a GPU frame in main memory
    uint8_t *staging; // picture of a slot before it is copied to a device
    int side_lost;
    int64_t run_us; // time in the codec that is already in the statistics
};

static enum reel_err open_flight(struct decoder *d, struct lane *l)
{
    if (l->ring->on_gpu && d->nvdec) return flight_create(&flight_cuda, nvdec_stream(d->nvdec), &l->flight);
    return flight_create(l->ring->on_device && !l->ring->on_gpu ? &flight_host : NULL, NULL, &l->flight);
}

// Begins an attempt at the process's live input, and opens that if an earlier process has scanned it.
static enum reel_err begin_live(struct decoder *d, const struct reel_rec_open *r, struct lane *l)
{
    if (!(l->newer = av_frame_alloc()))
        return reel_fail(REEL_ERR_NOMEM, "could not open lane %u: out of memory", r->lane);
    enum reel_err err = d->live ? REEL_OK : decoder_open_live(d, r->job, r);
    if (err) return err;
    l->live = d->live;
    live_begin(l->live, r);
    return REEL_OK;
}

enum reel_err lane_open(struct decoder *d, const struct reel_rec_open *r, struct lane **out_lane)
{
    *out_lane = NULL;
    struct around_params p = {
        .own =
            {
                .settings = &d->child.settings,
                .media = r->media,
                .has_entry = r->has_entry,
                .entry = r->entry,
                .start_pts = r->start_pts,
                .end_pts = r->end_pts,
                .warmup_pts = r->warmup_pts,
                .nvdec = r->software ? NULL : d->nvdec,
            },
        .before = r->before,
        .after = r->after,
        .lead = r->lead,
        .next = r->next,
    };
    enum reel_err err = reel_jobs_get(d->child.jobs, r->job, &p.own.job);
    if (err) return err;
    struct lane *l = calloc(1, sizeof *l);
    if (!l || !(l->frame = av_frame_alloc())) {
        free(l);
        return reel_fail(REEL_ERR_NOMEM, "could not open lane %u: out of memory", r->lane);
    }
    l->lane = r->lane;
    l->epoch = r->epoch;
    l->job = r->job;
    l->media = r->media;
    l->window_end = r->window_end;
    l->wants_gpu = p.own.nvdec != NULL && *d->child.settings.pre_filter == 0 && r->media.rotation == 0;
    l->ring = &d->child.in[r->lane];
    if (upload_av_format(r->in.format) == AV_PIX_FMT_NONE)
        err = reel_fail(REEL_ERR_PROTO, "could not open lane %u: the decoder does not write this slot format", r->lane);
    if (!err) err = open_flight(d, l);
    if (!err) err = r->live ? begin_live(d, r, l) : around_open(&p, d->pool, &l->around);
    if (err) lane_close(d, &l);
    *out_lane = l;
    return err;
}

void lane_close(struct decoder *d, struct lane **lane)
{
    struct lane *l = *lane;
    if (!l) return;
    if (l->live) {
        // Frames that were not announced are lost.
        const struct flight_frame *oldest = l->flight ? flight_oldest(l->flight) : NULL;
        reel_stat_add(&d->child.row->dropped, l->has_frame + (oldest ? l->next - oldest->n : 0));
        live_pause(l->live);
    }
    flight_destroy(&l->flight);
    around_close(&l->around, d->pool);
    upload_fini(&l->upload);
    av_frame_free(&l->frame);
    av_frame_free(&l->newer);
    av_frame_free(&l->fetched);
    free(l->staging);
    free(l);
    *lane = NULL;
}

uint32_t lane_epoch(const struct lane *l)
{
    return l->epoch;
}

uint32_t lane_job(const struct lane *l)
{
    return l->job;
}

uint32_t lane_next(const struct lane *l)
{
    return l->next;
}

// Whether the next frame can be written now.
static bool may_write(const struct lane *l)
{
    return l->next < l->window_end && !flight_full(l->flight);
}

void lane_stop(struct decoder *d, struct lane *l)
{
    if (!l->live || l->ended) return;
    live_stop(l->live);
    l->decoded_all = true;
    if (!l->has_frame || may_write(l)) return;
    reel_stat_add(&d->child.row->dropped, 1);
    av_frame_unref(l->frame);
    l->has_frame = false;
}

void lane_window(struct lane *l, uint32_t end)
{
    if (end > l->window_end) l->window_end = end;
}

static void say_fitted(struct decoder *d, struct lane *l)
{
    if (l->told_fitted) return;
    l->told_fitted = true;
    reel_child_note(&d->child, REEL_LOG_WARN, l->job,
                    "the video changes to %dx%d %s: frames are converted to its first size and format", l->frame->width,
                    l->frame->height, av_get_pix_fmt_name((enum AVPixelFormat)l->frame->format));
}

static void say_software(struct decoder *d, struct lane *l)
{
    if (l->told_software || !d->nvdec || !l->wants_gpu) return;
    l->told_software = true;
    reel_child_note(&d->child, REEL_LOG_INFO, l->job,
                    "the GPU's decoder (NVDEC) does not support this video: it is decoded on the CPU");
}

// Writes a frame in main memory to a slot, on the host or on a device.
static enum reel_err put_host_frame(struct decoder *d, struct lane *l, const AVFrame *frame, uint8_t *pixels)
{
    const struct reel_geometry *g = &l->ring->geometry;
    bool fitted, away = l->ring->on_gpu;
    if (away && !l->staging && !(l->staging = malloc(g->slot_bytes)))
        return reel_fail(REEL_ERR_NOMEM, "could not write a picture: out of memory");
    uint8_t *slot = away ? l->staging : pixels;
    enum reel_err err = upload_frame(&l->upload, g, &l->media.colour, slot, frame, &fitted);
    if (!err && fitted) say_fitted(d, l);
    return err || !away ? err : nvdec_upload(d->nvdec, g, slot, pixels);
}

// Writes the waiting frame's picture. *out_under_way: a device is still copying.
static enum reel_err put_picture(struct decoder *d, struct lane *l, uint8_t *pixels, bool *out_under_way)
{
    *out_under_way = false;
    if (l->frame->format != AV_PIX_FMT_CUDA) {
        say_software(d, l);
        // Host memory that stands in for a device's is written at once, but announced like a copy.
        *out_under_way = l->ring->on_device && !l->ring->on_gpu;
        return put_host_frame(d, l, l->frame, pixels);
    }
    if (l->ring->on_gpu) {
        enum reel_err err = nvdec_to_slot(d->nvdec, l->frame, &l->ring->geometry, pixels);
        *out_under_way = !err;
        if (err != REEL_ERR_UNSUPPORTED) return err; // else it has another size or format: convert it on the CPU
    }
    if (!l->fetched && !(l->fetched = av_frame_alloc()))
        return reel_fail(REEL_ERR_NOMEM, "could not write a picture: out of memory");
    enum reel_err err = nvdec_download(d->nvdec, l->frame, l->fetched);
    return err ? err : put_host_frame(d, l, l->fetched, pixels);
}

// Writes the waiting frame into its slot, or starts the copy.
static enum reel_err write_slot(struct decoder *d, struct lane *l)
{
    uint32_t slot_id = reel_ring_slot_of(l->ring, l->next);
    const struct reel_geometry *g = &l->ring->geometry;
    bool under_way;
    enum reel_err err = put_picture(d, l, reel_ring_pixels(l->ring, slot_id), &under_way);
    if (err) return err;
    reel_crash_point("decoder.mid_slot");
    int lost = 0;
    struct flight_frame frame = {.n = l->next,
                                 .slot_id = slot_id,
                                 .aux_bytes =
                                     upload_side(l->frame, reel_ring_aux(l->ring, slot_id), g->aux_bytes, &lost),
                                 .pts = l->pts,
                                 .duration = l->duration,
                                 .flags = l->flags,
                                 .serial = d->copies++};
    if (lost && !l->side_lost++) reel_warn("lane", "a frame's side data does not fit its slot and is dropped");
    l->has_frame = false;
    l->behind += l->flags == REEL_FRAME_CONTEXT;
    if ((err = flight_add(l->flight, &frame, l->frame, under_way))) return err;
    if (under_way) reel_crash_point("decoder.copying");
    l->next++;
    return REEL_OK;
}

// Announces all frames whose slots are complete.
static enum reel_err announce(struct decoder *d, struct lane *l, bool *out_worked)
{
    struct flight_frame f;
    enum reel_err err;
    while (!(err = flight_next(l->flight, &f))) {
        *out_worked = true;
        reel_ring_publish(l->ring, f.slot_id, f.n, f.pts, f.aux_bytes);
        reel_crash_point("decoder.before_decoded");
        struct reel_rec_decoded decoded = {
            .lane = l->lane, .epoch = l->epoch, .n = f.n, .flags = f.flags, .pts = f.pts, .duration = f.duration};
        if ((err = reel_bus_post(d->child.bus, REEL_BUS_HUB, REEL_MSG_DECODED, &decoded))) return err;
        reel_crash_point("decoder.after_decoded");
        reel_stat_add(&d->child.row->frames, 1);
    }
    return err == REEL_AGAIN ? REEL_OK : err;
}

static void read_ledger(const struct lane *l, struct segment_ledger *out)
{
    struct live_ledger live;
    if (!l->live) {
        around_ledger(l->around, out);
        return;
    }
    live_ledger(l->live, &live);
    *out = (struct segment_ledger){.packets = live.packets, .unreadable = live.unreadable, .filtered = live.filtered};
}

static enum reel_err end_lane(struct decoder *d, struct lane *l)
{
    struct segment_ledger ledger;
    read_ledger(l, &ledger);
    struct reel_rec_lane_end end = {.lane = l->lane,
                                    .epoch = l->epoch,
                                    .frames = l->next - l->behind,
                                    .packets = ledger.packets,
                                    .hidden = ledger.hidden,
                                    .unreadable = ledger.unreadable,
                                    .filtered = ledger.filtered};
    if (ledger.errors)
        reel_info("lane", "lane %u: the codec reported %lld damaged places, %lld packets gave no picture", l->lane,
                  (long long)ledger.errors, (long long)ledger.unreadable);
    l->ended = true;
    // The codec is not needed any more; the open input goes to the pool for the next segment.
    around_close(&l->around, d->pool);
    reel_crash_point("decoder.before_lane_end");
    return reel_bus_post(d->child.bus, REEL_BUS_HUB, REEL_MSG_LANE_END, &end);
}

// Takes the next frame of a live input even if there is no room: a frame that still waits for its
// slot is dropped.
static enum reel_err fetch_live(struct decoder *d, struct lane *l, bool *out_worked)
{
    int64_t pts, duration;
    enum reel_err err = live_next(l->live, l->newer, &pts, &duration, out_worked);
    uint64_t lost = live_lost(l->live);
    if (lost) reel_stat_add(&d->child.row->dropped, lost);
    int64_t run_us = live_run_us(l->live);
    if (run_us > l->run_us) reel_stat_add(&d->child.row->run_us, (uint64_t)(run_us - l->run_us));
    l->run_us = run_us;
    if (err == REEL_EOF) l->decoded_all = true;
    if (err) return err == REEL_AGAIN || err == REEL_EOF ? REEL_OK : err;
    if (l->has_frame) {
        reel_stat_add(&d->child.row->dropped, 1);
        av_frame_unref(l->frame);
    }
    av_frame_move_ref(l->frame, l->newer);
    l->pts = pts;
    l->duration = duration;
    l->has_frame = true;
    return REEL_OK;
}

static enum reel_err fetch(struct decoder *d, struct lane *l)
{
    enum reel_err err = around_next(l->around, l->frame, &l->pts, &l->duration, &l->flags);
    int64_t run_us = around_run_us(l->around);
    reel_stat_add(&d->child.row->run_us, (uint64_t)(run_us - l->run_us));
    l->run_us = run_us;
    if (!err) {
        l->has_frame = true;
        l->pts -= l->media.zero_pts;
    }
    if (err == REEL_EOF) l->decoded_all = true;
    return err == REEL_AGAIN || err == REEL_EOF ? REEL_OK : err;
}

uint64_t lane_oldest_copy(const struct lane *l)
{
    const struct flight_frame *oldest = flight_oldest(l->flight);
    return oldest ? oldest->serial : UINT64_MAX;
}

bool lane_is_held(const struct lane *l)
{
    return flight_oldest(l->flight) && (l->decoded_all || l->next < l->window_end);
}

enum reel_err lane_wait_copy(struct lane *l)
{
    return flight_wait(l->flight);
}

enum reel_err lane_step(struct decoder *d, struct lane *l, bool *out_worked)
{
    *out_worked = false;
    if (l->ended) return REEL_OK;
    enum reel_err err = announce(d, l, out_worked);
    if (err) return err;
    if (l->decoded_all && !l->has_frame) {
        if (flight_oldest(l->flight)) return REEL_OK;
        *out_worked = true;
        return end_lane(d, l);
    }
    if (l->has_frame && !may_write(l) && (!l->live || l->decoded_all)) return REEL_OK;
    bool worked = true;
    atomic_store_explicit(&d->child.row->job, l->job, memory_order_relaxed);
    atomic_store_explicit(&d->child.row->frame, l->next, memory_order_relaxed);
    if (l->live && !l->decoded_all && (!l->has_frame || !may_write(l)))
        err = fetch_live(d, l, &worked);
    else if (!l->has_frame)
        err = fetch(d, l);
    *out_worked |= worked;
    if (err || !l->has_frame || !may_write(l)) return err;
    *out_worked = true;
    err = write_slot(d, l);
    return err ? err : announce(d, l, out_worked);
}

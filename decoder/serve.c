// SPDX-License-Identifier: MIT
//
// Receives the coordinator's messages and passes them to the scan or a lane, and gives scan and lanes
// their turns. See decoder.h. No media code.
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/child_rings.h"
#include "common/cuda.h"
#include "common/life.h"
#include "common/log.h"
#include "decoder/av.h"
#include "decoder/decoder.h"
#include "decoder/demux.h"
#include "decoder/filter.h"
#include "decoder/lane.h"
#include "decoder/live.h"
#include "decoder/nvdec.h"
#include "decoder/scan.h"

void notes_say(const struct notes *notes, int level, const char *fmt, ...)
{
    char text[REEL_TEXT_BYTES];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    notes->say(notes->ctx, level, text);
}

static void note_scan(void *ctx, int level, const char *text)
{
    struct decoder *d = ctx;
    uint32_t job = d->live ? live_job(d->live) : d->scan ? scan_job(d->scan) : d->scans[0];
    reel_child_note(&d->child, level, job, "%s", text);
}

// libav's log callback. Its messages, mostly about damage, are noise for a user and go to the debug log.
static void av_says(void *ctx, int level, const char *fmt, va_list args)
{
    if (level <= AV_LOG_ERROR) filter_hear(ctx, fmt, args);
    if (level > AV_LOG_WARNING || reel_log_level_get() < REEL_LOG_DEBUG) return;
    char line[512];
    int prefix = 1;
    av_log_format_line2(ctx, level, fmt, args, line, sizeof line, &prefix);
    line[strcspn(line, "\n")] = 0;
    reel_debug("libav", "%s", line);
}

const char *decoder_build(char *buf, size_t bytes)
{
    unsigned codec = avcodec_version(), format = avformat_version(), filter = avfilter_version(),
             scale = swscale_version();
    snprintf(buf, bytes, "libavcodec %u.%u.%u, libavformat %u.%u.%u, libavfilter %u.%u.%u, libswscale %u.%u.%u",
             codec >> 16, codec >> 8 & 255, codec & 255, format >> 16, format >> 8 & 255, format & 255, filter >> 16,
             filter >> 8 & 255, filter & 255, scale >> 16, scale >> 8 & 255, scale & 255);
    return buf;
}

// Opens NVDEC. If that fails this process decodes in software and says so once.
static void open_gpu(struct decoder *d)
{
    if (!reel_child_on_gpu(&d->child) || d->child.device < 0) return;
    if (!nvdec_create(d->child.device, &d->nvdec)) return;
    reel_child_note(&d->child, REEL_LOG_INFO, REEL_NO_JOB, "GPU %d: %s; videos are decoded on the CPU", d->child.device,
                    reel_fail_text());
}

enum reel_err decoder_init(struct decoder *d)
{
    av_log_set_callback(av_says);
    d->lanes = calloc(d->child.lanes, sizeof *d->lanes);
    d->pool = demux_pool_create(&d->child.row->progress);
    d->scan_notes = (struct notes){note_scan, d};
    if ((!d->lanes && d->child.lanes) || !d->pool)
        return reel_fail(REEL_ERR_NOMEM, "could not start decoder: out of memory");
    open_gpu(d);
    return REEL_OK;
}

void decoder_fini(struct decoder *d)
{
    for (uint32_t i = 0; d->lanes && i < d->child.lanes; i++) lane_close(d, &d->lanes[i]);
    free(d->lanes);
    live_close(&d->live);
    scan_close(&d->scan);
    free(d->scans);
    nvdec_destroy(&d->nvdec);
    demux_pool_destroy(&d->pool);
}

// ---- messages -------------------------------------------------------------

static enum reel_err on_scan(struct decoder *d, const struct reel_rec_job *r)
{
    if (r->job >= reel_jobs_count(d->child.jobs))
        return reel_fail(REEL_ERR_PROTO, "there is no job %u to scan", r->job);
    if (d->n_scans == d->room_scans) {
        uint32_t room = d->room_scans ? 2 * d->room_scans : 16;
        uint32_t *grown = realloc(d->scans, room * sizeof *grown);
        if (!grown) return reel_fail(REEL_ERR_NOMEM, "could not queue a scan: out of memory");
        d->scans = grown;
        d->room_scans = room;
    }
    d->scans[d->n_scans++] = r->job;
    return REEL_OK;
}

// Reports a failure of a lane. A bad input fails the job; anything else only this epoch, which may be
// tried again.
static enum reel_err report_lane(struct decoder *d, enum reel_err err, uint32_t job, uint32_t lane, uint32_t epoch,
                                 uint32_t n)
{
    bool input =
        err == REEL_ERR_INPUT || err == REEL_ERR_UNSUPPORTED || err == REEL_ERR_LIMIT || err == REEL_ERR_CONFIG;
    return reel_child_failed(&d->child, input ? REEL_SCOPE_JOB : REEL_SCOPE_LANE, err, job, lane, epoch, n);
}

static enum reel_err on_open(struct decoder *d, const struct reel_rec_open *r)
{
    if (r->lane >= d->child.lanes) return reel_fail(REEL_ERR_PROTO, "there is no lane %u", r->lane);
    struct lane **lane = &d->lanes[r->lane];
    if (*lane && lane_epoch(*lane) >= r->epoch) return REEL_OK;
    lane_close(d, lane);
    int64_t begin = reel_now_us();
    enum reel_err err = reel_child_ring_configure(&d->child, r, REEL_RING_IN);
    // If the device ring cannot be made the coordinator has been told; it will use host memory.
    if (!err && reel_child_ring_make(&d->child, r, REEL_RING_IN)) return REEL_OK;
    if (!err) err = lane_open(d, r, lane);
    reel_stat_add(&d->child.row->busy_us, (uint64_t)(reel_now_us() - begin));
    if (err) return report_lane(d, err, r->job, r->lane, r->epoch, 0);
    reel_debug("lane", "lane %u epoch %u: job %u segment %u from %s", r->lane, r->epoch, r->job, r->segment,
               r->has_entry ? "its entry" : "the file's start");
    return REEL_OK;
}

// Closes the lane unless its epoch is newer than the message's. Answers in any case, because the lane
// may have failed before.
static enum reel_err on_close(struct decoder *d, const struct reel_rec_lane *r)
{
    if (r->lane >= d->child.lanes) return reel_fail(REEL_ERR_PROTO, "there is no lane %u", r->lane);
    struct lane **lane = &d->lanes[r->lane];
    if (*lane && lane_epoch(*lane) <= r->epoch) lane_close(d, lane);
    return reel_bus_post(d->child.bus, REEL_BUS_HUB, REEL_MSG_LANE_CLOSED, r);
}

static void on_window(struct decoder *d, const struct reel_rec_window *r)
{
    struct lane *lane = r->lane < d->child.lanes ? d->lanes[r->lane] : NULL;
    if (lane && lane_epoch(lane) == r->epoch) lane_window(lane, r->end);
}

static void on_stop(struct decoder *d, const struct reel_rec_lane *r)
{
    struct lane *lane = r->lane < d->child.lanes ? d->lanes[r->lane] : NULL;
    if (lane && lane_epoch(lane) == r->epoch) lane_stop(d, lane);
}

static enum reel_err dispatch(struct decoder *d, enum reel_msg_type type, const void *record)
{
    switch (type) {
    case REEL_MSG_SCAN:
        return on_scan(d, record);
    case REEL_MSG_OPEN_LANE:
        return on_open(d, record);
    case REEL_MSG_CLOSE_LANE:
        return on_close(d, record);
    case REEL_MSG_WINDOW:
        on_window(d, record);
        return REEL_OK;
    case REEL_MSG_STOP:
        on_stop(d, record);
        return REEL_OK;
    case REEL_MSG_FREE_RING:
        reel_child_ring_free(&d->child, record);
        return REEL_OK;
    case REEL_MSG_QUIT:
        d->quit = true;
        return REEL_OK;
    default:
        return reel_fail(REEL_ERR_PROTO, "message %s is not for a decoder", reel_msg_name(type));
    }
}

enum reel_err decoder_listen(struct decoder *d)
{
    struct reel_msg msg;
    enum reel_err err;
    while (!d->quit && !(err = reel_bus_recv(d->child.bus, &msg))) {
        reel_stat_add(&d->child.row->progress, 1);
        if (msg.type == REEL_MSG_QUIT) d->quit = true;
        size_t bytes = reel_msg_record_bytes(msg.type);
        for (uint32_t i = 0; i < msg.count && !d->quit; i++) {
            err = dispatch(d, msg.type, (const char *)msg.records + i * bytes);
            if (err) return err;
        }
    }
    return d->quit || err == REEL_AGAIN ? REEL_OK : err;
}

// ---- turns ----------------------------------------------------------------

static enum reel_err post_scan(struct decoder *d, struct scan_result *r)
{
    // Host memory that stands in for a device's can hold frames decoded on the CPU.
    if (d->child.mem_kind == REEL_MEM_HOST)
        r->scanned.on_device = 1;
    else if (!d->nvdec)
        r->scanned.on_device = 0;
    enum reel_err err = REEL_OK;
    for (uint32_t i = 0; i < r->scanned.n_entries && !err; i++) {
        struct reel_rec_entry entry = {.job = r->scanned.job, .entry = r->entries[i]};
        err = reel_bus_post(d->child.bus, REEL_BUS_HUB, REEL_MSG_ENTRIES, &entry);
    }
    return err ? err : reel_bus_post(d->child.bus, REEL_BUS_HUB, REEL_MSG_SCANNED, &r->scanned);
}

enum reel_err decoder_open_live(struct decoder *d, uint32_t job, const struct reel_rec_open *resume)
{
    struct live_params params = {.settings = &d->child.settings,
                                 .fd = d->child.input_fd,
                                 .head_fd = d->child.head_fd,
                                 .nvdec = d->nvdec,
                                 .notes = &d->scan_notes,
                                 .resume = resume};
    enum reel_err err = reel_jobs_get(d->child.jobs, job, &params.job);
    return err ? err : live_open(&params, &d->live);
}

// The scan of a live input ends with its first frame.
static enum reel_err step_live_scan(struct decoder *d, bool *out_worked)
{
    uint32_t id = d->scans[0];
    struct scan_result result = {0};
    enum reel_err err = d->live ? REEL_OK : decoder_open_live(d, id, NULL);
    if (!err) err = live_scan(d->live, &result.scanned);
    *out_worked = err != REEL_AGAIN;
    if (err == REEL_AGAIN) return REEL_OK;
    d->n_scans = 0;
    return err ? reel_child_failed(&d->child, REEL_SCOPE_JOB, err, id, 0, 0, REEL_NO_FRAME) : post_scan(d, &result);
}

// Spends a few milliseconds on the oldest scan.
static enum reel_err step_scan(struct decoder *d, bool *out_worked)
{
    if (!d->n_scans) return REEL_OK;
    if (d->child.settings.live) return step_live_scan(d, out_worked);
    *out_worked = true;
    uint32_t id = d->scans[0];
    struct scan_result result;
    enum reel_err err = REEL_OK;
    atomic_store_explicit(&d->child.row->job, id, memory_order_relaxed);
    if (!d->scan) {
        struct reel_job job;
        err = reel_jobs_get(d->child.jobs, id, &job);
        if (!err) err = scan_open(&job, &d->child.settings, &d->scan_notes, &d->scan);
        if (!err) return REEL_OK;
    }
    if (!err) err = scan_step(d->scan, &result);
    if (err == REEL_AGAIN) return REEL_OK;
    err = err ? reel_child_failed(&d->child, REEL_SCOPE_JOB, err, id, 0, 0, REEL_NO_FRAME) : post_scan(d, &result);
    scan_close(&d->scan);
    memmove(d->scans, d->scans + 1, --d->n_scans * sizeof *d->scans);
    return err;
}

static enum reel_err fail_lane(struct decoder *d, uint32_t i, enum reel_err err)
{
    struct lane *lane = d->lanes[i];
    enum reel_err sent = report_lane(d, err, lane_job(lane), i, lane_epoch(lane), lane_next(lane));
    // This process cannot use a lost GPU again; it ends and is restarted.
    if (!sent && reel_cuda_lost()) return err;
    lane_close(d, &d->lanes[i]); // on_close() will still answer CLOSE_LANE
    return sent;
}

static enum reel_err step_lane(struct decoder *d, uint32_t i, bool *out_worked)
{
    bool worked = false;
    enum reel_err err = lane_step(d, d->lanes[i], &worked);
    *out_worked |= worked;
    return err ? fail_lane(d, i, err) : REEL_OK;
}

// There is nothing else to do: waits for the oldest copy, which ends first, after sending all open
// messages.
static enum reel_err await_copy(struct decoder *d, bool *out_waited, bool *out_held)
{
    uint32_t oldest = 0;
    uint64_t serial = UINT64_MAX;
    for (uint32_t i = 0; i < d->child.lanes; i++) {
        if (!d->lanes[i]) continue;
        uint64_t of_lane = lane_oldest_copy(d->lanes[i]);
        if (of_lane < serial) serial = of_lane, oldest = i;
        *out_held |= lane_is_held(d->lanes[i]);
    }
    *out_waited = serial != UINT64_MAX;
    if (!*out_waited) return REEL_OK;
    enum reel_err err = reel_bus_flush(d->child.bus);
    if (err) return err;
    err = lane_wait_copy(d->lanes[oldest]);
    return err ? fail_lane(d, oldest, err) : REEL_OK;
}

enum reel_err decoder_step(struct decoder *d, bool *out_worked)
{
    *out_worked = false;
    bool waited = false, held = false; // waited for copies; a lane is held up by copies
    int64_t begin = reel_now_us();
    enum reel_err err = step_scan(d, out_worked);
    for (uint32_t k = 0; k < d->child.lanes && !err; k++) {
        uint32_t i = (d->turn + k) % d->child.lanes;
        if (d->lanes[i]) err = step_lane(d, i, out_worked);
    }
    if (d->child.lanes) d->turn = (d->turn + 1) % d->child.lanes;
    bool idled = false;
    if (!err && d->live && !d->n_scans) err = live_idle(d->live, &idled);
    *out_worked |= idled;
    if (!err && !*out_worked) err = await_copy(d, &waited, &held);
    bool busy = *out_worked || held;
    *out_worked |= waited;
    if (busy) {
        reel_stat_add(&d->child.row->busy_us, (uint64_t)(reel_now_us() - begin));
        reel_stat_add(&d->child.row->progress, 1);
    }
    return err;
}

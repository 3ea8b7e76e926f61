// SPDX-License-Identifier: MIT
//
// The aggregator's main loop: reads messages, processes a frame of each lane in turn, and sends answers.
// Messages about another epoch than a lane's present one are dropped.
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "aggregator/aggregator.h"
#include "aggregator/encode.h"
#include "aggregator/nvenc.h"
#include "aggregator/sink/output.h"
#include "common/child_rings.h"
#include "common/cuda.h"
#include "common/life.h"
#include "common/log.h"

// Small pictures: TAKEN messages are sent in groups, no more often than this.
#define TELL_US 250

enum reel_err aggregator_init(struct aggregator *a)
{
    encode_begin();
    output_init(a->child.output_fd);
    a->lanes = calloc(a->child.lanes ? a->child.lanes : 1, sizeof *a->lanes);
    if (!a->lanes) return reel_fail(REEL_ERR_NOMEM, "could not start the aggregator: out of memory");
    a->bell_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (a->bell_fd < 0) return reel_fail(REEL_ERR_IO, "could not make an event descriptor: %s", strerror(errno));
    enum reel_err err = release_create(a->bell_fd, &a->release);
    if (!err) err = chores_create(a->bell_fd, a->child.row, &a->chores);
    if (reel_child_on_gpu(&a->child) && a->child.device >= 0) nvenc_use(a->child.device);
    return err;
}

void aggregator_fini(struct aggregator *a)
{
    chores_destroy(&a->chores);
    for (uint32_t i = 0; a->lanes && i < a->child.lanes; i++) lane_close(&a->lanes[i]);
    live_close(&a->live);
    free(a->lanes);
    a->lanes = NULL;
    release_destroy(&a->release);
    nvenc_end();
    if (a->bell_fd > 0) close(a->bell_fd);
}

static enum reel_err post(struct aggregator *a, enum reel_msg_type type, const void *record)
{
    return reel_bus_post(a->child.bus, REEL_BUS_HUB, type, record);
}

// ---- failures -------------------------------------------------------------------

// Whether the same work could succeed if it is tried again.
static bool is_passing(enum reel_err err)
{
    return err == REEL_ERR_NOMEM || err == REEL_ERR_FAULT || err == REEL_ERR_PROTO;
}

static enum reel_err job_failed(struct aggregator *a, enum reel_err err, uint32_t job)
{
    return reel_child_failed(&a->child, REEL_SCOPE_JOB, err, job, 0, 0, REEL_NO_FRAME);
}

static enum reel_err lane_gave_up(struct aggregator *a, uint32_t index, enum reel_err err)
{
    struct lane *l = a->lanes[index];
    enum reel_scope scope = is_passing(err) ? REEL_SCOPE_LANE : REEL_SCOPE_JOB;
    reel_info("lane", "lane %u failed: %s", index, reel_fail_text());
    lane_set_failed(l);
    enum reel_err sent = reel_child_failed(&a->child, scope, err, lane_job(l), index, lane_epoch(l), lane_at(l));
    // A GPU that is lost stays lost for this process, so another process must take its place.
    return !sent && reel_cuda_lost() ? err : sent;
}

// ---- messages -------------------------------------------------------------------

// The lane that a record is about, if it is in the lane's present epoch and the lane still works.
static struct lane *present(const struct aggregator *a, uint32_t index, uint32_t epoch)
{
    if (index >= a->child.lanes || !a->lanes[index]) return NULL;
    struct lane *l = a->lanes[index];
    return lane_epoch(l) == epoch && !lane_failed(l) ? l : NULL;
}

// A live job has one lane at a time: everything that an earlier one wrote is counted before the next
// begins.
static void close_live_lanes(struct aggregator *a)
{
    for (uint32_t i = 0; i < a->child.lanes; i++)
        if (a->lanes[i] && lane_is_live(a->lanes[i])) lane_close(&a->lanes[i]);
}

// The output of a live job: it is open since an earlier attempt, or is opened now.
static enum reel_err find_live(struct aggregator *a, const struct reel_job *job)
{
    if (a->live && live_job(a->live)->id == job->id) return REEL_OK;
    live_close(&a->live);
    return live_open(&a->child.settings, job, a->bell_fd, &a->live);
}

static enum reel_err on_open(struct aggregator *a, const struct reel_rec_open *rec)
{
    if (rec->lane >= a->child.lanes)
        return reel_fail(REEL_ERR_PROTO, "could not open lane %u: there are %u", rec->lane, a->child.lanes);
    lane_close(&a->lanes[rec->lane]); // an earlier epoch ended without a message
    reel_child_ring_drop(&a->child, rec->lane, REEL_RING_IN);
    struct reel_job job;
    enum reel_err err = reel_jobs_get(a->child.jobs, rec->job, &job);
    if (!err) err = reel_child_ring_configure(&a->child, rec, REEL_RING_IN);
    if (!err) err = reel_child_ring_configure(&a->child, rec, REEL_RING_OUT);
    if (err) return err;
    // A lane cannot work without its device ring: the coordinator is told, and goes on in host memory.
    if (reel_child_ring_make(&a->child, rec, REEL_RING_OUT)) return REEL_OK;
    if (rec->live) close_live_lanes(a);
    if (rec->live) err = find_live(a, &job);
    struct lane_params params = {.settings = &a->child.settings,
                                 .job = &job,
                                 .open = rec,
                                 .in = &a->child.in[rec->lane],
                                 .out = &a->child.out[rec->lane],
                                 .release = a->release,
                                 .row = a->child.row,
                                 .live = rec->live ? a->live : NULL};
    if (!err) err = lane_open(&params, &a->lanes[rec->lane]);
    if (!err) return REEL_OK;
    enum reel_scope scope = is_passing(err) ? REEL_SCOPE_LANE : REEL_SCOPE_JOB;
    return reel_child_failed(&a->child, scope, err, rec->job, rec->lane, rec->epoch, REEL_NO_FRAME);
}

// The slot has not been given back yet, so its stamp tells when the frame was decoded.
static void measure(struct aggregator *a, const struct reel_rec_taken *taken)
{
    const struct reel_ring *in = &a->child.in[taken->lane];
    const struct reel_stamp *stamp = (const struct reel_stamp *)reel_ring_slot(in, reel_ring_slot_of(in, taken->n));
    latency_add(&a->latency, reel_now_us() - stamp->written_us);
}

static enum reel_err post_taken(struct aggregator *a)
{
    struct reel_rec_taken taken;
    enum reel_err err = REEL_OK;
    while (!err && release_next(a->release, &taken)) {
        if (taken.lane >= a->child.lanes || !a->lanes[taken.lane] || lane_epoch(a->lanes[taken.lane]) != taken.epoch)
            continue;
        reel_crash_point("aggregator.before_taken");
        measure(a, &taken);
        err = post(a, REEL_MSG_TAKEN, &taken);
    }
    return err;
}

static enum reel_err on_close(struct aggregator *a, const struct reel_rec_lane *rec)
{
    if (rec->lane < a->child.lanes && a->lanes[rec->lane] && lane_epoch(a->lanes[rec->lane]) <= rec->epoch)
        lane_close(&a->lanes[rec->lane]);
    if (rec->lane < a->child.lanes && a->child.in[rec->lane].epoch <= rec->epoch)
        reel_child_ring_drop(&a->child, rec->lane, REEL_RING_IN);
    enum reel_err err = post_taken(a); // before this, nothing of this lane is left to report
    return err ? err : post(a, REEL_MSG_LANE_CLOSED, rec);
}

static enum reel_err on_prove(struct aggregator *a, const struct reel_rec_prove *rec)
{
    struct reel_job job;
    enum reel_err err = reel_jobs_get(a->child.jobs, rec->job, &job);
    if (err) return err;
    struct plan plan;
    struct reel_rec_proven proven;
    err = plan_prove(&a->child.settings, &job, rec, &plan, &proven);
    if (err) return job_failed(a, err, rec->job);
    // Memory that stands for a device's can be read by every encoder.
    if (a->child.mem_kind == REEL_MEM_HOST) proven.on_device = 1;
    if (*plan.notes) err = reel_child_note(&a->child, REEL_LOG_WARN, rec->job, "%s", plan.notes);
    return err ? err : post(a, REEL_MSG_PROVEN, &proven);
}

static enum reel_err on_frame(struct aggregator *a, const struct reel_rec_frame *rec)
{
    struct lane *l = present(a, rec->lane, rec->epoch);
    if (!l) return REEL_OK;
    enum reel_err err = lane_frame(l, rec);
    return err ? lane_gave_up(a, rec->lane, err) : REEL_OK;
}

static enum reel_err on_finish(struct aggregator *a, const struct reel_rec_finish *rec)
{
    struct lane *l = present(a, rec->lane, rec->epoch);
    if (!l) return REEL_OK;
    enum reel_err err = lane_finish(l, rec->frames);
    return err ? lane_gave_up(a, rec->lane, err) : REEL_OK;
}

static enum reel_err on_chore(struct aggregator *a, enum reel_msg_type type, const void *record)
{
    struct chore chore = {.type = type};
    uint32_t id;
    if (type == REEL_MSG_MUX) {
        chore.u.mux = *(const struct reel_rec_mux *)record;
        id = chore.u.mux.job;
    } else {
        chore.u.verify = *(const struct reel_rec_verify *)record;
        id = chore.u.verify.job;
    }
    enum reel_err err = reel_jobs_get(a->child.jobs, id, &chore.job);
    if (!err && type == REEL_MSG_MUX && a->child.settings.live) {
        close_live_lanes(a);
        err = find_live(a, &chore.job);
        if (err) return job_failed(a, err, id);
        chore.live = a->live;
        a->live = NULL;
    }
    return err ? err : chores_add(a->chores, &chore);
}

static enum reel_err on_record(struct aggregator *a, enum reel_msg_type type, const void *record)
{
    switch (type) {
    case REEL_MSG_QUIT:
        a->quit = true;
        return REEL_OK;
    case REEL_MSG_OPEN_LANE:
        return on_open(a, record);
    case REEL_MSG_CLOSE_LANE:
        return on_close(a, record);
    case REEL_MSG_PROVE:
        return on_prove(a, record);
    case REEL_MSG_FRAME:
        return on_frame(a, record);
    case REEL_MSG_RING:
        return reel_child_ring_take(&a->child, record);
    case REEL_MSG_FREE_RING:
        reel_child_ring_free(&a->child, record);
        return REEL_OK;
    case REEL_MSG_FINISH:
        return on_finish(a, record);
    case REEL_MSG_VERIFY:
    case REEL_MSG_MUX:
        return on_chore(a, type, record);
    default:
        return reel_fail(REEL_ERR_PROTO, "could not take message %s: it is not for an aggregator", reel_msg_name(type));
    }
}

// Handles every message that has arrived.
static enum reel_err listen(struct aggregator *a, bool *out_any)
{
    struct reel_msg msg;
    enum reel_err err;
    while (!(err = reel_bus_recv(a->child.bus, &msg)) && !a->quit) {
        *out_any = true;
        reel_stat_add(&a->child.row->progress, 1);
        size_t bytes = reel_msg_record_bytes(msg.type);
        const uint8_t *at = msg.records;
        if (!bytes) err = on_record(a, msg.type, NULL);
        for (uint32_t i = 0; !err && bytes && i < msg.count; i++, at += bytes) err = on_record(a, msg.type, at);
        if (err) return err;
    }
    return err == REEL_AGAIN || a->quit ? REEL_OK : err;
}

// ---- work -----------------------------------------------------------------------

static enum reel_err step_lane(struct aggregator *a, uint32_t index, bool *out_any)
{
    struct reel_rec_committed committed;
    enum reel_err err = lane_step(a->lanes[index], &committed);
    if (err == REEL_AGAIN) return REEL_OK;
    *out_any = true;
    reel_stat_add(&a->child.row->progress, 1);
    if (!err) return REEL_OK;
    if (err != REEL_EOF) return lane_gave_up(a, index, err);
    if ((err = post_taken(a))) return err; // must precede COMMITTED, which ends the epoch
    return post(a, REEL_MSG_COMMITTED, &committed);
}

static enum reel_err post_news(struct aggregator *a, bool *out_any)
{
    struct chore_news news;
    enum reel_err err = REEL_OK;
    while (!err && chores_take(a->chores, &news)) {
        *out_any = true;
        if (news.type == REEL_MSG_NOTE)
            err = reel_child_note(&a->child, REEL_LOG_WARN, news.job, "%s", news.text);
        else if (news.type == REEL_MSG_FAILED)
            err = job_failed(a, reel_fail(news.err, "%s", news.text), news.job);
        else
            err = post(a, news.type, &news.u);
    }
    return err;
}

static enum reel_err post_live_notes(struct aggregator *a)
{
    char text[REEL_TEXT_BYTES];
    enum reel_err err = REEL_OK;
    while (!err && a->live && live_take_note(a->live, text))
        err = reel_child_note(&a->child, REEL_LOG_WARN, live_job(a->live)->id, "%s", text);
    return err;
}

static void set_state(struct aggregator *a, enum reel_stat_state state)
{
    atomic_store_explicit(&a->child.row->state, state, memory_order_relaxed);
}

// One turn of the loop: all messages that have arrived, then a frame of each lane.
static enum reel_err turn(struct aggregator *a, bool *out_any)
{
    enum reel_err err = listen(a, out_any);
    for (uint32_t i = 0; !err && !a->quit && i < a->child.lanes; i++)
        if (a->lanes[i]) err = step_lane(a, i, out_any);
    if (!err) err = post_taken(a);
    if (!err) err = post_news(a, out_any);
    if (!err) err = post_live_notes(a);
    return err ? err : reel_bus_flush_paced(a->child.bus, TELL_US);
}

static void say_latency(const struct aggregator *a)
{
    const struct latency *l = &a->latency;
    if (l->frames)
        reel_debug("latency", "%llu frames from their input slot to TAKEN: median %.0f us, 10%% %.0f us, 99%% %.0f us",
                   (unsigned long long)l->frames, latency_quantile(l, 0.5), latency_quantile(l, 0.1),
                   latency_quantile(l, 0.99));
}

enum reel_err aggregator_collect(struct aggregator *a)
{
    enum reel_err err = REEL_OK;
    while (!err && !a->quit) {
        set_state(a, REEL_STATE_BUSY);
        int64_t from = reel_now_us();
        bool any = false;
        err = turn(a, &any);
        if (any) reel_stat_add(&a->child.row->busy_us, (uint64_t)(reel_now_us() - from));
        if (err || any || a->quit || !release_arm(a->release)) continue;
        if (!chores_busy(a->chores)) set_state(a, REEL_STATE_IDLE);
        bool rung;
        err = reel_bus_wait(a->child.bus, &a->bell_fd, &rung, 1, -1);
        if (err == REEL_AGAIN) err = REEL_OK;
        uint64_t count;
        if (!err && rung && read(a->bell_fd, &count, sizeof count) < 0 && errno != EAGAIN)
            err = reel_fail(REEL_ERR_IO, "could not read an event descriptor: %s", strerror(errno));
    }
    say_latency(a);
    return err;
}

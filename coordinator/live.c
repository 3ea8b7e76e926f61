// SPDX-License-Identifier: MIT
//
// A live job: consecutive attempts at its input, one lane each; how it continues after a
// death; and its end, by the input or by the user. Called by jobs.c, flow*.c and run.c.
// late.c decides which frames are too late.
//
//   decoder gone       the lane ends with the frames announced so far; the next attempt continues
//   aggregator gone    the lane and its frames in flight are lost; the next attempt continues
//   LANE_END           the input is over: the output is finished (MUX)
//   Ctrl-C             STOP is sent to the decoder, which answers LANE_END
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/input.h"
#include "common/life.h"
#include "common/log.h"
#include "coordinator/flow.h"

#define STOP_US INT64_C(2000000) // how long the decoder has to answer STOP
#define ONE_STOP_US INT64_C(500000)
#define BARREN_US INT64_C(1000000) // pause after an attempt without a frame

static enum reel_input_kind kind_of(const struct job *job)
{
    enum reel_input_kind kind;
    const char *why;
    reel_input_kind_of(job->spec->input, &kind, &why);
    return kind;
}

enum reel_err live_init(struct run *run)
{
    run->input_fd = -1;
    if (!run->settings.live) return REEL_OK;
    run->dispatch.live_ahead_us = late_ahead_us((int64_t)run->settings.latency_ms * 1000);
    const char *name = run->inputs.jobs[0].input;
    if (kind_of(&(struct job){.spec = &run->inputs.jobs[0]}) != REEL_INPUT_PIPE) return REEL_OK;
    // Also kept open here, so that the writer gets no SIGPIPE when a decoder dies.
    run->input_fd =
        strcmp(name, "-") ? open(name, O_RDONLY | O_NONBLOCK | O_CLOEXEC) : fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
    if (run->input_fd >= 0) {
        enum reel_err err = reel_head_create(&run->head_fd);
        return err ? err : reel_head_open(run->head_fd, &run->head);
    }
    return reel_fail(REEL_ERR_CONFIG, "could not open input \"%s\": %s", name, strerror(errno));
}

// ---- attempts -------------------------------------------------------------------

static struct lane *open_lane_of(struct run *run, const struct job *job, uint32_t *out_l)
{
    for (uint32_t l = 0; l < run->n_lanes; l++)
        if (run->lanes[l].state == LANE_OPEN && run->lanes[l].p.job == job->spec->id) {
            *out_l = l;
            return &run->lanes[l];
        }
    return NULL;
}

static int64_t ticks_of(const struct job *job, int64_t us)
{
    const struct reel_rational tb = job->scanned.media.time_base;
    return (int64_t)((double)us / 1e6 * tb.den / tb.num);
}

int64_t live_start_pts(const struct job *job, int64_t now_us)
{
    const struct job_live *l = &job->live;
    if (l->last_pts == INT64_MIN) return 0;
    // A file continues after its last frame; other inputs continue where they are now.
    int64_t more = kind_of(job) == REEL_INPUT_FILE ? 1 : ticks_of(job, now_us - l->last_us);
    return l->last_pts + (more > 1 ? more : 1);
}

static void append_attempt(struct run *run, struct job *job)
{
    struct job_segment *grown = realloc(job->segments, (job->n_segments + 1) * sizeof *grown);
    if (!grown) {
        jobs_fail(run, job, REEL_ERR_NOMEM, "could not begin an attempt: out of memory");
        return;
    }
    job->segments = grown;
    job->segments[job->n_segments++] = (struct job_segment){.plan = {.end_pts = INT64_MAX}, .row = NO_ROW};
}

bool live_step(struct run *run, struct job *job, int64_t now_us)
{
    struct job_live *l = &job->live;
    uint32_t at;
    struct lane *lane = open_lane_of(run, job, &at);
    // A decoder that does not answer STOP.
    if (lane && l->asked && !lane->ended && now_us - l->stop_us > STOP_US) lane_cut_short(lane);
    if (lane || job->n_committed < job->n_segments) return false;
    if (l->over) return !flow_open_lanes(run, job->spec->id);
    if (l->barren >= (uint32_t)run->settings.poison_tries) {
        jobs_fail(run, job, REEL_ERR_FAULT,
                  "could not get any frame of the live input to its output, in repeated attempts");
        return false;
    }
    if (now_us >= l->next_us) append_attempt(run, job);
    return false;
}

void live_on_decoded(struct run *run, struct job *job, struct lane *lane, uint32_t n, int64_t now_us)
{
    struct lane_frame *f = lane_frame_of(lane, n);
    if (!f) return;
    f->decoded_us = now_us;
    if (run->head) reel_head_end(run->head);
    job->live.last_pts = f->pts;
    job->live.last_us = now_us;
    job->live.barren = 0;
}

// ---- the account ----------------------------------------------------------------

static uint64_t dropped_by_decoder(const struct run *run)
{
    return atomic_load_explicit(&run->stat->row[run->sup.first[REEL_DECODER]].dropped, memory_order_relaxed);
}

// Starts the ledger entry of a finished attempt: frames that the decoder announced or dropped.
static void begin_account(struct run *run, struct job *job, const struct lane *lane, int64_t encoded,
                          struct ledger_entry *out)
{
    uint64_t dropped = dropped_by_decoder(run);
    out->decoded = lane->decoded + (int64_t)(dropped - job->live.seen_dropped);
    out->encoded = encoded;
    out->dropped = out->decoded * run_rate(run) - encoded;
    job->live.seen_dropped = dropped;
    if (lane->decoded) return;
    // It gave no frame; wait before the next attempt.
    job->live.barren++;
    job->live.next_us = reel_now_us() + BARREN_US;
}

void live_account(struct run *run, struct job *job, const struct lane *lane, const struct reel_rec_committed *rec,
                  struct ledger_entry *out)
{
    begin_account(run, job, lane, rec->frames, out);
    if (!rec->frames) return;
    memcpy(job->live.latency_us, rec->latency_us, sizeof rec->latency_us);
    job->live.file = rec->file;
}

// Accounts for frames that were lost outside of any attempt.
static void add_lost(const struct run *run, struct job *job, uint64_t frames)
{
    job->ledger.sum.decoded += (int64_t)frames;
    job->ledger.sum.dropped += (int64_t)frames * run_rate(run);
}

void live_on_stale(const struct run *run, struct job *job, const struct lane *lane, const struct reel_rec_decoded *rec)
{
    if (lane->state == LANE_CLOSING && rec->epoch == lane->p.epoch && rec->n >= lane->decoded) add_lost(run, job, 1);
}

void live_settle(struct run *run, struct job *job)
{
    uint64_t dropped = dropped_by_decoder(run);
    add_lost(run, job, dropped - job->live.seen_dropped);
    job->live.seen_dropped = dropped;
}

void live_lost(struct run *run, struct job *job, const struct lane *lane)
{
    struct job_segment *s = &job->segments[lane->p.segment];
    if (s->state != SEGMENT_ACTIVE) return;
    struct ledger_entry entry = {0};
    char why[256];
    // Frames that the encoder released count as written; more cannot be known.
    const int64_t encoded = (int64_t)lane->taken * run_rate(run);
    begin_account(run, job, lane, encoded, &entry);
    entry.quarantined = poison_quarantined(&job->poison, lane->p.segment, 0);
    if (entry.quarantined > lane->taken) entry.quarantined = lane->taken;
    ledger_add(&job->ledger, &entry, why, sizeof why);
    s->state = SEGMENT_COMMITTED;
    run->last_commit_us = reel_now_us();
    job->n_committed++;
    job->frames_committed += (uint64_t)encoded;
}

uint64_t live_dropped(const struct run *run)
{
    const struct job *job = run->jobs;
    if (!run->settings.live || !job) return 0;
    uint64_t n = dropped_by_decoder(run) - job->live.seen_dropped;
    for (uint32_t l = 0; l < run->n_lanes; l++)
        if (run->lanes[l].state == LANE_OPEN && !run->lanes[l].committed) n += run->lanes[l].dropped;
    return (uint64_t)job->ledger.sum.dropped + n * run_rate(run);
}

void live_on_aggregator_gone(struct run *run)
{
    if (run->settings.live && run->jobs) run->jobs[0].live.earlier = (uint64_t)run->jobs[0].ledger.sum.encoded;
}

// ---- the end --------------------------------------------------------------------

bool live_cut_off(struct run *run, struct job *job, const char *text)
{
    uint32_t at;
    struct lane *lane = open_lane_of(run, job, &at);
    if (job->state != JOB_RUN || job->live.last_pts == INT64_MIN) return false;
    progress_pause(run->progress);
    reel_warn("live", "%s: the output ends here", text);
    job->live.over = job->live.cut_off = true;
    job->live.stop_us = reel_now_us();
    if (lane) lane_cut_short(lane);
    return true;
}

bool live_stop(struct run *run, int64_t now_us)
{
    struct job *job = run->jobs;
    uint32_t at;
    if (!run->settings.live || !job) return false;
    // Ctrl-C on a terminal reaches this process twice: directly and passed on by run.sh. Signals
    // within ONE_STOP_US count as one.
    if (!job->live.stop_us || now_us - job->live.stop_us < ONE_STOP_US) job->live.stops = reel_life_stops();
    if (reel_life_stops() > job->live.stops) return false;
    if (!job->live.stop_us) job->live.stop_us = now_us;
    if (job->state == JOB_MUX || job->state == JOB_DONE) return true;
    if (job->state != JOB_RUN || job->live.last_pts == INT64_MIN) return false;
    job->live.over = true;
    const struct lane *lane = open_lane_of(run, job, &at);
    if (!lane || lane->ended || job->live.asked) return true;
    job->live.asked = true;
    struct reel_rec_lane rec = {at, lane->p.epoch};
    run_post(run, supervise_at(&run->sup, REEL_DECODER, run->io[at].decoder), REEL_MSG_STOP, &rec);
    return true;
}

// SPDX-License-Identifier: MIT
//
// Turns messages into trace events. See trace.h.
#include "coordinator/trace/trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/json.h"
#include "common/life.h"
#include "common/secret.h"
#include "coordinator/coordinator.h"
#include "coordinator/trace/file.h"

_Static_assert(RUN_MAX_LANES <= 90, "rows below a process, see tid_of()");

#define FLUSH_US INT64_C(1000000)
#define MOST_ASKED 256 // open requests; further ones are not shown

// Rows of the trace. Viewers reserve process 0 and thread 0.
#define PID_COORDINATOR 1
#define PID_FIRST 2 // + the process's row
// Rows below a process, for tid_of().
#define ROW_JOBS 0
#define ROW_NETWORK 1
#define ROW_LANE 10 // + lane

struct given {
    uint16_t worker;
    uint16_t part;
    int64_t us;
};

// A frame in flight.
struct trace_frame {
    uint32_t n;
    uint32_t n_given;
    int64_t room_us;  // when the decoder was allowed to write it
    int64_t ready_us; // when FRAME was sent
    struct given given[LANE_MAX_PARTS];
};

struct trace_lane {
    bool open, committed;
    uint32_t epoch, job, segment, frames;
    uint32_t decoder, aggregator; // their rows
    int64_t opened_us;
    uint32_t room_end;              // frames below this number have a room_us
    int64_t decoded_us, encoded_us; // ends of the last events on the two rows
    int64_t shown[3];               // last values of the counters
    struct trace_frame frame[LANE_MAX_SLOTS];
};

// An unanswered request about a job.
struct asked {
    enum reel_msg_type answer; // NONE: free
    uint32_t row, job, segment;
    int64_t us;
};

struct trace {
    struct trace_file *file;
    unsigned life; // counts starts of the coordinator, from 1
    int64_t flush_us;
    int64_t shown_frames; // last value of the counter
    struct asked asked[MOST_ASKED];
    struct {
        int64_t network_us, jobs_us; // ends of the last events on these rows
        int64_t shown_held;
    } row[SUPERVISE_MAX];
    uint32_t n_lanes;
    struct trace_lane *lane;
};

// ---- text -----------------------------------------------------------------------

// Escapes text for a JSON string and cuts it to what fits.
static const char *quoted(const char *text, char *out, size_t bytes)
{
    size_t at = 0;
    char next[REEL_JSON_NEXT];
    for (size_t n; (n = reel_json_next(&text, next)) && at + n < bytes; at += n) memcpy(out + at, next, n);
    out[at] = 0;
    return out;
}

static uint32_t pid_of(const struct proc *p)
{
    return PID_FIRST + p->row;
}

// Thread numbers must be unique in the whole trace, because Perfetto takes them for Linux thread ids.
// So they are not equal to a process's number either, which would mean its main thread.
static uint32_t tid_of(uint32_t pid, uint32_t row)
{
    return 1000 + 100 * pid + row;
}

static void name_process(struct trace *t, uint32_t pid, const char *name, int index)
{
    char number[16] = "";
    if (index >= 0) snprintf(number, sizeof number, " %d", index);
    trace_file_event(t->file, "\"ph\":\"M\",\"name\":\"process_name\",\"pid\":%u,\"args\":{\"name\":\"%s%s\"}", pid,
                     name, number);
    trace_file_event(t->file, "\"ph\":\"M\",\"name\":\"process_sort_index\",\"pid\":%u,\"args\":{\"sort_index\":%u}",
                     pid, pid);
}

static void name_thread(struct trace *t, uint32_t pid, uint32_t row, const char *name, int index)
{
    uint32_t tid = tid_of(pid, row);
    char number[16] = "";
    if (index >= 0) snprintf(number, sizeof number, " %d", index);
    trace_file_event(t->file,
                     "\"ph\":\"M\",\"name\":\"thread_name\",\"pid\":%u,\"tid\":%u,\"args\":{\"name\":\"%s%s\"}", pid,
                     tid, name, number);
    trace_file_event(t->file,
                     "\"ph\":\"M\",\"name\":\"thread_sort_index\",\"pid\":%u,\"tid\":%u,\"args\":{\"sort_index\":%u}",
                     pid, tid, tid);
}

static void name_all(struct trace *t, const struct run *run)
{
    name_process(t, PID_COORDINATOR, "coordinator", -1);
    for (uint32_t l = 0; l < run->n_lanes; l++) name_thread(t, PID_COORDINATOR, ROW_LANE + l, "lane", (int)l);
    for (uint32_t i = 0; i < run->sup.n; i++) {
        const struct proc *p = &run->sup.proc[i];
        name_process(t, pid_of(p), supervise_stage_name(p->stage), (int)p->index);
        name_thread(t, pid_of(p), ROW_JOBS, "jobs", -1);
        if (p->stage == REEL_WORKER) {
            name_thread(t, pid_of(p), ROW_NETWORK, "network", -1);
            continue;
        }
        for (uint32_t l = 0; l < run->n_lanes; l++) name_thread(t, pid_of(p), ROW_LANE + l, "lane", (int)l);
    }
}

// Writes an instant event of a whole process.
static void process_event(struct trace *t, uint32_t pid, int64_t us, const char *name, const char *args)
{
    char text[1400];
    trace_file_event(t->file,
                     "\"ph\":\"i\",\"s\":\"p\",\"cat\":\"process\",\"name\":\"%s\",\"pid\":%u,\"tid\":%u,\"ts\":%lld,"
                     "\"args\":{%s}",
                     quoted(name, text, sizeof text), pid, pid, (long long)us, args);
}

// ---- birth and end --------------------------------------------------------------

enum reel_err trace_create(const struct run *run, struct trace **out)
{
    struct trace *t = calloc(1, sizeof *t);
    if (!t || !(t->lane = calloc(run->n_lanes, sizeof *t->lane))) {
        free(t);
        return reel_fail(REEL_ERR_NOMEM, "could not write trace \"%s\": out of memory", run->settings.trace);
    }
    t->n_lanes = run->n_lanes;
    const char *life = getenv("REELMILL_LIFE");
    t->life = life && atoi(life) > 1 ? (unsigned)atoi(life) : 1;
    enum reel_err err = trace_file_create(run->settings.trace, t->life > 1, &t->file);
    if (err) {
        free(t->lane);
        free(t);
        return err;
    }
    name_all(t, run);
    char args[160];
    snprintf(args, sizeof args,
             "\"version\":\"%s\",\"life\":%u,\"unix_s\":%lld,\"clock\":\"CLOCK_MONOTONIC, microseconds\"", REEL_VERSION,
             t->life, (long long)time(NULL));
    process_event(t, PID_COORDINATOR, reel_now_us(), "started", args);
    *out = t;
    return REEL_OK;
}

static void end_epoch(struct trace *t, uint32_t l, int64_t now_us)
{
    struct trace_lane *lane = &t->lane[l];
    if (!lane->open) return;
    lane->open = false;
    trace_file_event(t->file,
                     "\"ph\":\"X\",\"cat\":\"segment\",\"name\":\"segment %u%s\",\"pid\":%u,\"tid\":%u,\"ts\":%lld,"
                     "\"dur\":%lld,\"args\":{\"job\":%u,\"epoch\":%u,\"frames\":%u,\"committed\":%s}",
                     lane->segment, lane->committed ? "" : " (given up)", PID_COORDINATOR,
                     tid_of(PID_COORDINATOR, ROW_LANE + l), (long long)lane->opened_us,
                     (long long)(now_us - lane->opened_us), lane->job, lane->epoch, lane->frames,
                     lane->committed ? "true" : "false");
}

void trace_destroy(struct trace **trace, const struct run *run)
{
    struct trace *t = *trace;
    if (!t) return;
    int64_t now_us = reel_now_us();
    for (uint32_t l = 0; l < t->n_lanes; l++) end_epoch(t, l, now_us);
    process_event(t, PID_COORDINATOR, now_us, run->interrupted ? "interrupted" : run->failed ? "failed" : "ended", "");
    trace_file_destroy(&t->file);
    free(t->lane);
    free(t);
    *trace = NULL;
}

// ---- frames ---------------------------------------------------------------------

// The lane if the epoch is its current one, else NULL.
static struct trace_lane *lane_at(struct trace *t, uint32_t lane, uint32_t epoch)
{
    return lane < t->n_lanes && t->lane[lane].open && t->lane[lane].epoch == epoch ? &t->lane[lane] : NULL;
}

static struct trace_frame *frame_at(struct trace_lane *lane, uint32_t n)
{
    struct trace_frame *f = &lane->frame[n % LANE_MAX_SLOTS];
    return f->n == n ? f : NULL;
}

// The decoder may write frames below end from now on.
static void give_room(struct trace_lane *lane, uint32_t end, int64_t now_us)
{
    for (; lane->room_end < end; lane->room_end++)
        lane->frame[lane->room_end % LANE_MAX_SLOTS] = (struct trace_frame){.n = lane->room_end, .room_us = now_us};
}

// A number for the frame that is unique in the whole trace. It includes the coordinator's life,
// because each one counts epochs from the beginning.
static unsigned long long flow_of(const struct trace *t, const struct trace_lane *lane, uint32_t n)
{
    return (unsigned long long)t->life << 60 | (unsigned long long)(lane->epoch & 0x3fffffff) << 30 | (n & 0x3fffffff);
}

static int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

// The time of one of several frames that came with one message: the time since the last event
// is divided equally among the `left` frames not shown yet (this one included).
static void span(int64_t last_us, int64_t may_us, int64_t now_us, uint32_t left, int64_t *out_start, int64_t *out_end)
{
    *out_start = most(last_us, may_us);
    if (*out_start > now_us) *out_start = now_us;
    *out_end = *out_start + (now_us - *out_start) / left;
}

static void on_decoded(struct trace *t, const struct proc *p, const struct reel_rec_decoded *rec, uint32_t left,
                       int64_t now_us)
{
    struct trace_lane *lane = lane_at(t, rec->lane, rec->epoch);
    struct trace_frame *f = lane ? frame_at(lane, rec->n) : NULL;
    if (!f || lane->decoder != p->row) return;
    int64_t start, end;
    span(lane->decoded_us, f->room_us, now_us, left, &start, &end);
    lane->decoded_us = end;
    trace_file_event(
        t->file,
        "\"ph\":\"X\",\"cat\":\"frame\",\"name\":\"decode\",\"pid\":%u,\"tid\":%u,\"ts\":%lld,\"dur\":%lld,"
        "\"bind_id\":\"0x%llx\",\"flow_out\":true,\"args\":{\"job\":%u,\"segment\":%u,\"frame\":%u,"
        "\"pts\":%lld}",
        pid_of(p), tid_of(pid_of(p), ROW_LANE + rec->lane), (long long)start, (long long)(end - start),
        flow_of(t, lane, rec->n), lane->job, lane->segment, rec->n, (long long)rec->pts);
}

static void on_work(struct trace *t, const struct proc *p, const struct reel_rec_work *rec, int64_t now_us)
{
    struct trace_lane *lane = lane_at(t, rec->lane, rec->epoch);
    struct trace_frame *f = lane ? frame_at(lane, rec->n) : NULL;
    if (!f) return;
    // If the list is full (a frame given many times), the last entry is overwritten.
    uint32_t i = f->n_given < LANE_MAX_PARTS ? f->n_given++ : LANE_MAX_PARTS - 1;
    f->given[i] = (struct given){.worker = (uint16_t)p->index, .part = (uint16_t)rec->part, .us = now_us};
}

// When the worker was given that part; 0: unknown.
static int64_t given_us(const struct trace_frame *f, uint32_t worker, uint32_t part)
{
    for (uint32_t i = f ? f->n_given : 0; i-- > 0;)
        if (f->given[i].worker == worker && f->given[i].part == part) return f->given[i].us;
    return 0;
}

// left: as in span(). The frames of a batch come in one message, and each took total_us.
static void on_done(struct trace *t, const struct proc *p, const struct reel_rec_done *rec, uint32_t left,
                    int64_t now_us)
{
    struct trace_lane *lane = lane_at(t, rec->lane, rec->epoch);
    if (!lane) return;
    int64_t total_us = rec->total_us, *last_us = &t->row[p->row].network_us;
    int64_t given = given_us(frame_at(lane, rec->n), p->index, rec->part);
    int64_t start = most(most(now_us - total_us * left, *last_us), given);
    if (start > now_us) start = now_us;
    int64_t end = left > 1 && start + total_us < now_us ? start + total_us : now_us;
    *last_us = end;
    trace_file_event(
        t->file,
        "\"ph\":\"X\",\"cat\":\"frame\",\"name\":\"infer\",\"pid\":%u,\"tid\":%u,\"ts\":%lld,\"dur\":%lld,"
        "\"bind_id\":\"0x%llx\",\"flow_in\":true,\"flow_out\":true,\"args\":{\"job\":%u,\"segment\":%u,\"frame\":%u,"
        "\"part\":%u,\"lane\":%u,\"queued_us\":%lld,\"network_us\":%u}",
        pid_of(p), tid_of(pid_of(p), ROW_NETWORK), (long long)start, (long long)(end - start), flow_of(t, lane, rec->n),
        lane->job, lane->segment, rec->n, rec->part, rec->lane, (long long)(given ? start - given : 0), rec->run_us);
}

static void on_frame(struct trace *t, const struct reel_rec_frame *rec, int64_t now_us)
{
    struct trace_lane *lane = lane_at(t, rec->lane, rec->epoch);
    struct trace_frame *f = lane ? frame_at(lane, rec->n) : NULL;
    if (f) f->ready_us = now_us;
}

static void on_taken(struct trace *t, const struct proc *p, const struct reel_rec_taken *rec, uint32_t left,
                     int64_t now_us)
{
    struct trace_lane *lane = lane_at(t, rec->lane, rec->epoch);
    struct trace_frame *f = lane ? frame_at(lane, rec->n) : NULL;
    if (!f || !f->ready_us || lane->aggregator != p->row) return;
    int64_t start, end;
    span(lane->encoded_us, f->ready_us, now_us, left, &start, &end);
    lane->encoded_us = end;
    lane->frames++;
    trace_file_event(
        t->file,
        "\"ph\":\"X\",\"cat\":\"frame\",\"name\":\"encode\",\"pid\":%u,\"tid\":%u,\"ts\":%lld,\"dur\":%lld,"
        "\"bind_id\":\"0x%llx\",\"flow_in\":true,\"args\":{\"job\":%u,\"segment\":%u,\"frame\":%u,"
        "\"queued_us\":%lld}",
        pid_of(p), tid_of(pid_of(p), ROW_LANE + rec->lane), (long long)start, (long long)(end - start),
        flow_of(t, lane, rec->n), lane->job, lane->segment, rec->n, (long long)(start - f->ready_us));
}

// ---- epochs ---------------------------------------------------------------------

// Called for OPEN_LANE to the lane's decoder and again for that to its aggregator.
static void on_open(struct trace *t, const struct proc *p, const struct reel_rec_open *rec, int64_t now_us)
{
    if (rec->lane >= t->n_lanes || p->stage == REEL_WORKER) return;
    struct trace_lane *lane = &t->lane[rec->lane];
    if (!lane->open || lane->epoch != rec->epoch) {
        end_epoch(t, rec->lane, now_us);
        lane->open = true;
        lane->committed = false;
        lane->epoch = rec->epoch;
        lane->job = rec->job;
        lane->segment = rec->segment;
        lane->frames = lane->room_end = 0;
        lane->opened_us = lane->decoded_us = lane->encoded_us = now_us;
        give_room(lane, rec->window_end, now_us);
    }
    *(p->stage == REEL_DECODER ? &lane->decoder : &lane->aggregator) = p->row;
}

static void on_committed(struct trace *t, const struct proc *p, const struct reel_rec_committed *rec, int64_t now_us)
{
    struct trace_lane *lane = lane_at(t, rec->lane, rec->epoch);
    if (!lane) return;
    lane->committed = true;
    trace_file_event(t->file,
                     "\"ph\":\"i\",\"s\":\"t\",\"cat\":\"segment\",\"name\":\"segment %u committed\",\"pid\":%u,"
                     "\"tid\":%u,\"ts\":%lld,\"args\":{\"job\":%u,\"frames\":%u,\"bytes\":%llu}",
                     lane->segment, pid_of(p), tid_of(pid_of(p), ROW_LANE + rec->lane), (long long)now_us, lane->job,
                     rec->frames, (unsigned long long)rec->bytes);
}

// ---- requests about jobs --------------------------------------------------------

static const char *request_name(enum reel_msg_type answer)
{
    return answer == REEL_MSG_SCANNED    ? "scan"
           : answer == REEL_MSG_SHAPED   ? "shape"
           : answer == REEL_MSG_PROVEN   ? "open encoder"
           : answer == REEL_MSG_VERIFIED ? "verify part"
                                         : "mux";
}

static void on_ask(struct trace *t, const struct proc *p, enum reel_msg_type answer, uint32_t job, uint32_t segment,
                   int64_t now_us)
{
    for (uint32_t i = 0; i < MOST_ASKED; i++) {
        if (t->asked[i].answer) continue;
        t->asked[i] = (struct asked){answer, p->row, job, segment, now_us};
        return;
    }
}

static void on_answer(struct trace *t, const struct run *run, const struct proc *p, enum reel_msg_type type,
                      uint32_t job, uint32_t segment, int64_t now_us)
{
    for (uint32_t i = 0; i < MOST_ASKED; i++) {
        struct asked *a = &t->asked[i];
        if (a->answer != type || a->row != p->row || a->job != job || a->segment != segment) continue;
        a->answer = REEL_MSG_NONE;
        int64_t start = most(a->us, t->row[p->row].jobs_us);
        t->row[p->row].jobs_us = now_us;
        char input[1400], shown[1400];
        trace_file_event(t->file,
                         "\"ph\":\"X\",\"cat\":\"job\",\"name\":\"%s\",\"pid\":%u,\"tid\":%u,\"ts\":%lld,\"dur\":%lld,"
                         "\"args\":{\"job\":%u,\"input\":\"%s\"}",
                         request_name(type), pid_of(p), tid_of(pid_of(p), ROW_JOBS), (long long)start,
                         (long long)(now_us - start), job,
                         quoted(reel_shown(job < run->n_jobs ? run->jobs[job].spec->input : "", shown, sizeof shown),
                                input, sizeof input));
        return;
    }
}

// ---- processes ------------------------------------------------------------------

static void on_hello(struct trace *t, const struct proc *p, const struct reel_rec_hello *in, int64_t now_us)
{
    struct reel_rec_hello rec = *in;
    rec.device[sizeof rec.device - 1] = 0;
    char device[6 * sizeof rec.device], args[6 * sizeof rec.device + 96];
    snprintf(args, sizeof args, "\"process\":%d,\"life\":%u,\"device\":\"%s\"", (int)p->pid, p->incarnation,
             quoted(rec.device, device, sizeof device));
    process_event(t, pid_of(p), now_us, p->incarnation > 1 ? "started again" : "started", args);
    trace_file_event(t->file,
                     "\"ph\":\"M\",\"name\":\"process_labels\",\"pid\":%u,\"args\":{\"labels\":\"process %d, %s\"}",
                     pid_of(p), (int)p->pid, device);
}

static void on_failed(struct trace *t, const struct proc *p, const struct reel_rec_failed *in, int64_t now_us)
{
    char text[REEL_TEXT_BYTES], json[1400], args[1600];
    memcpy(text, in->text, sizeof text);
    text[sizeof text - 1] = 0;
    snprintf(args, sizeof args, "\"job\":%u,\"text\":\"%s\"", in->job, quoted(text, json, sizeof json));
    process_event(t, pid_of(p), now_us, "failed", args);
}

void trace_death(struct trace *t, const struct run *run, const struct proc *p, const char *why)
{
    for (uint32_t i = 0; i < MOST_ASKED; i++)
        if (t->asked[i].answer && t->asked[i].row == p->row) t->asked[i].answer = REEL_MSG_NONE;
    char args[96];
    snprintf(args, sizeof args, "\"process\":%d,\"life\":%u", (int)p->pid, p->incarnation);
    process_event(t, pid_of(p), reel_now_us(), why, args);
}

// ---- all messages ---------------------------------------------------------------

static void take(struct trace *t, const struct run *run, const struct proc *p, enum reel_msg_type type, const void *rec,
                 uint32_t left, int64_t now_us)
{
    switch (type) {
    case REEL_MSG_DECODED:
        on_decoded(t, p, rec, left, now_us);
        break;
    case REEL_MSG_DONE:
        on_done(t, p, rec, left, now_us);
        break;
    case REEL_MSG_TAKEN:
        on_taken(t, p, rec, left, now_us);
        break;
    case REEL_MSG_COMMITTED:
        on_committed(t, p, rec, now_us);
        break;
    case REEL_MSG_HELLO:
        on_hello(t, p, rec, now_us);
        break;
    case REEL_MSG_FAILED:
        on_failed(t, p, rec, now_us);
        break;
    case REEL_MSG_MODEL:
        process_event(t, pid_of(p), now_us, "network loaded", "");
        break;
    case REEL_MSG_SCANNED:
        on_answer(t, run, p, type, ((const struct reel_rec_scanned *)rec)->job, 0, now_us);
        break;
    case REEL_MSG_SHAPED:
        on_answer(t, run, p, type, ((const struct reel_rec_shaped *)rec)->job, 0, now_us);
        break;
    case REEL_MSG_PROVEN:
        on_answer(t, run, p, type, ((const struct reel_rec_proven *)rec)->job, 0, now_us);
        break;
    case REEL_MSG_MUXED:
        on_answer(t, run, p, type, ((const struct reel_rec_muxed *)rec)->job, 0, now_us);
        break;
    case REEL_MSG_VERIFIED: {
        const struct reel_rec_verify *verify = rec;
        on_answer(t, run, p, type, verify->job, verify->segment, now_us);
        break;
    }
    default:
        break;
    }
}

void trace_received(struct trace *t, const struct run *run, const struct proc *p, const struct reel_msg *msg)
{
    int64_t now_us = reel_now_us();
    size_t bytes = reel_msg_record_bytes(msg->type);
    for (uint32_t i = 0; i < msg->count; i++)
        take(t, run, p, msg->type, (const char *)msg->records + i * bytes, msg->count - i, now_us);
}

void trace_sent(struct trace *t, const struct run *run, const struct proc *p, enum reel_msg_type type,
                const void *record)
{
    int64_t now_us = reel_now_us();
    switch (type) {
    case REEL_MSG_WORK:
        on_work(t, p, record, now_us);
        break;
    case REEL_MSG_FRAME:
        on_frame(t, record, now_us);
        break;
    case REEL_MSG_WINDOW: {
        const struct reel_rec_window *window = record;
        struct trace_lane *lane = lane_at(t, window->lane, window->epoch);
        if (lane) give_room(lane, window->end, now_us);
        break;
    }
    case REEL_MSG_OPEN_LANE:
        on_open(t, p, record, now_us);
        break;
    case REEL_MSG_CLOSE_LANE: {
        const struct reel_rec_lane *close = record;
        if (lane_at(t, close->lane, close->epoch)) end_epoch(t, close->lane, now_us);
        break;
    }
    case REEL_MSG_SCAN:
        on_ask(t, p, REEL_MSG_SCANNED, ((const struct reel_rec_job *)record)->job, 0, now_us);
        break;
    case REEL_MSG_SHAPE:
        on_ask(t, p, REEL_MSG_SHAPED, ((const struct reel_rec_shape *)record)->job, 0, now_us);
        break;
    case REEL_MSG_PROVE:
        on_ask(t, p, REEL_MSG_PROVEN, ((const struct reel_rec_prove *)record)->job, 0, now_us);
        break;
    case REEL_MSG_MUX:
        on_ask(t, p, REEL_MSG_MUXED, ((const struct reel_rec_mux *)record)->job, 0, now_us);
        break;
    case REEL_MSG_VERIFY: {
        const struct reel_rec_verify *verify = record;
        on_ask(t, p, REEL_MSG_VERIFIED, verify->job, verify->segment, now_us);
        break;
    }
    default:
        break;
    }
}

// ---- counters -------------------------------------------------------------------

static int64_t count_lane(struct trace *t, const struct run *run, uint32_t l, int64_t now_us)
{
    const struct lane *lane = &run->lanes[l];
    bool open = lane->state == LANE_OPEN;
    int64_t now[3] = {open && !lane->ended ? (int64_t)lane->window_end - lane->decoded : 0,
                      open ? (int64_t)lane->decoded - lane->sent : 0, open ? (int64_t)lane_at_aggregator(lane) : 0};
    if (memcmp(now, t->lane[l].shown, sizeof now)) {
        memcpy(t->lane[l].shown, now, sizeof now);
        trace_file_event(t->file,
                         "\"ph\":\"C\",\"name\":\"lane %u window\",\"pid\":%u,\"ts\":%lld,\"args\":{\"to decode\":%lld,"
                         "\"to infer\":%lld,\"to encode\":%lld}",
                         l, PID_COORDINATOR, (long long)now_us, (long long)now[0], (long long)now[1],
                         (long long)now[2]);
    }
    return now[1] + now[2];
}

const char *trace_tick(struct trace *t, const struct run *run, int64_t now_us)
{
    int64_t frames = 0;
    for (uint32_t l = 0; l < t->n_lanes; l++) frames += count_lane(t, run, l, now_us);
    if (frames != t->shown_frames)
        trace_file_event(t->file,
                         "\"ph\":\"C\",\"name\":\"frames in flight\",\"pid\":%u,\"ts\":%lld,\"args\":{\"frames\":%lld}",
                         PID_COORDINATOR, (long long)now_us, (long long)frames);
    t->shown_frames = frames;
    for (uint32_t i = 0; i < run->workers; i++) {
        const struct proc *p = &run->sup.proc[run->sup.first[REEL_WORKER] + i];
        int64_t held = run->dispatch.worker[i].held;
        if (held != t->row[p->row].shown_held)
            trace_file_event(t->file,
                             "\"ph\":\"C\",\"name\":\"queue\",\"pid\":%u,\"ts\":%lld,\"args\":{\"frames\":%lld}",
                             pid_of(p), (long long)now_us, (long long)held);
        t->row[p->row].shown_held = held;
    }
    if (now_us - t->flush_us >= FLUSH_US) {
        t->flush_us = now_us;
        trace_file_flush(t->file);
    }
    return trace_file_trouble(t->file);
}

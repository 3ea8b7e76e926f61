// SPDX-License-Identifier: MIT
//
// The reading thread of a live input. See reader.h.
#include "decoder/reader.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/life.h"
#include "common/log.h"
#include "decoder/facts.h"
#include "decoder/nvdec.h"
#include "decoder/pace.h"

#define MOST_BYTES (UINT64_C(64) << 20) // the queue is full at this size,
#define MOST_PACKETS 512                // or with so many packets
#define SILENCE_US INT64_C(10000000)    // after this time without a packet the connection is dead
#define FIRST_RETRY_US INT64_C(500000)
#define MOST_RETRY_US INT64_C(5000000)
#define KEY_PATIENCE 600 // how many packets to wait for a keyframe; streams with intra refresh have none

struct note {
    struct note *next;
    int level;
    char text[REEL_TEXT_BYTES];
};

struct reader {
    struct reader_params p;
    pthread_t thread;
    bool started;
    int bell_fd, stop_fd;
    _Atomic bool stop;
    struct demux_live how;
    struct notes notes, no_notes;

    pthread_mutex_t lock;
    pthread_cond_t changed; // signalled when something that the thread waits for has changed
    // under lock
    struct reader_item *first, **last;
    struct note *note, **last_note;
    uint32_t packets; // in the queue
    uint64_t bytes, dropped;
    bool going, begin;
    uint32_t wanted, attempt;

    // the thread's own
    struct demux *demux;
    struct pace pace;
    AVPacket *packet;
    AVCodecParameters **layout; // the streams when the input was opened first
    AVRational *layout_base;
    unsigned n_layout;
    bool same_layout, told_layout;
    int64_t deadline_us, retry_us, shown_packets, last_ts_us;
    int waits_for_key; // how many more packets to wait for a keyframe; 0: not waiting
    bool skips;        // the queue was full; packets are skipped until a keyframe
};

// ---- the queue ------------------------------------------------------------------

static void ring(const struct reader *r)
{
    uint64_t one = 1;
    if (write(r->bell_fd, &one, sizeof one) < 0) return; // fails only if it is set already
}

static void push(struct reader *r, struct reader_item *item)
{
    pthread_mutex_lock(&r->lock);
    item->next = NULL;
    *r->last = item;
    r->last = &item->next;
    if (item->packet) {
        r->packets++;
        r->bytes += (uint64_t)item->packet->size;
        if (r->wanted) r->wanted--;
    }
    pthread_mutex_unlock(&r->lock);
    ring(r);
}

static struct reader_item *new_item(enum reader_what what)
{
    struct reader_item *item = calloc(1, sizeof *item);
    if (item) item->what = what;
    return item;
}

void reader_stream_free(struct reader_stream **stream)
{
    if (!*stream) return;
    avcodec_parameters_free(&(*stream)->par);
    free(*stream);
    *stream = NULL;
}

void reader_free(struct reader_item **item)
{
    if (!*item) return;
    reader_stream_free(&(*item)->stream);
    copy_close(&(*item)->copy);
    av_packet_free(&(*item)->packet);
    free(*item);
    *item = NULL;
}

enum reel_err reader_next(struct reader *r, struct reader_item **out_item)
{
    pthread_mutex_lock(&r->lock);
    struct reader_item *item = r->first;
    if (item) {
        r->first = item->next;
        if (!r->first) r->last = &r->first;
        if (item->packet) {
            r->packets--;
            r->bytes -= (uint64_t)item->packet->size;
            pthread_cond_signal(&r->changed);
        }
    }
    pthread_mutex_unlock(&r->lock);
    *out_item = item;
    return item ? REEL_OK : REEL_AGAIN;
}

// ---- lines for the user ---------------------------------------------------------

static void say(void *ctx, int level, const char *text)
{
    struct reader *r = ctx;
    struct note *n = calloc(1, sizeof *n);
    if (!n) return;
    n->level = level;
    snprintf(n->text, sizeof n->text, "%s", text);
    pthread_mutex_lock(&r->lock);
    *r->last_note = n;
    r->last_note = &n->next;
    pthread_mutex_unlock(&r->lock);
    ring(r);
}

static void say_nothing(void *ctx, int level, const char *text)
{
}

bool reader_note(struct reader *r, int *out_level, char text[REEL_TEXT_BYTES])
{
    pthread_mutex_lock(&r->lock);
    struct note *n = r->note;
    if (n) r->note = n->next;
    if (!r->note) r->last_note = &r->note;
    pthread_mutex_unlock(&r->lock);
    if (!n) return false;
    *out_level = n->level;
    memcpy(text, n->text, sizeof n->text);
    free(n);
    return true;
}

// ---- waiting --------------------------------------------------------------------

static bool stops(const struct reader *r)
{
    return atomic_load_explicit(&r->stop, memory_order_acquire);
}

// libav's interrupt callback: whether it should stop waiting.
static int interrupted(void *ctx)
{
    const struct reader *r = ctx;
    return stops(r) || (r->deadline_us && reel_now_us() > r->deadline_us);
}

// Waits until `changed` is signalled, or until_us. The caller holds the lock.
static void wait_changed(struct reader *r, int64_t until_us)
{
    struct timespec until = {until_us / 1000000, until_us % 1000000 * 1000};
    pthread_cond_timedwait(&r->changed, &r->lock, &until);
}

static void sleep_until(struct reader *r, int64_t until_us)
{
    pthread_mutex_lock(&r->lock);
    while (!stops(r) && reel_now_us() < until_us) wait_changed(r, until_us);
    pthread_mutex_unlock(&r->lock);
}

// Whether the input waits for its reader (files, pipes), so that nothing is lost meanwhile.
static bool has_patience(const struct reader *r)
{
    return r->p.kind == REEL_INPUT_FILE || r->p.kind == REEL_INPUT_PIPE ||
           (r->p.kind == REEL_INPUT_NETWORK && reel_input_in_pieces(r->p.job.input));
}

static bool is_full(const struct reader *r)
{
    return r->packets >= MOST_PACKETS || r->bytes >= MOST_BYTES;
}

// An input that can wait is read only while frames are wanted and there is room.
static void wait_for_turn(struct reader *r)
{
    if (!has_patience(r)) return;
    pthread_mutex_lock(&r->lock);
    while (!stops(r) && !r->begin && (is_full(r) || !(r->going || r->wanted)))
        wait_changed(r, reel_now_us() + SILENCE_US);
    pthread_mutex_unlock(&r->lock);
}

// ---- connecting -----------------------------------------------------------------

static bool same_as_before(const struct reader *r)
{
    const AVFormatContext *fmt = r->demux->fmt;
    if (r->demux->n_streams != r->n_layout) return false;
    for (unsigned i = 0; i < r->n_layout; i++) {
        const AVCodecParameters *a = r->layout[i], *b = fmt->streams[i]->codecpar;
        if (a->codec_type != b->codec_type || a->codec_id != b->codec_id || a->sample_rate != b->sample_rate)
            return false;
        if (av_cmp_q(r->layout_base[i], fmt->streams[i]->time_base)) return false;
    }
    return true;
}

static enum reel_err keep_layout(struct reader *r)
{
    const AVFormatContext *fmt = r->demux->fmt;
    r->layout = calloc(r->demux->n_streams, sizeof *r->layout);
    r->layout_base = calloc(r->demux->n_streams, sizeof *r->layout_base);
    r->n_layout = 0;
    for (unsigned i = 0; r->layout && r->layout_base && i < r->demux->n_streams; i++) {
        r->layout[i] = avcodec_parameters_alloc();
        if (!r->layout[i] || avcodec_parameters_copy(r->layout[i], fmt->streams[i]->codecpar) < 0) break;
        r->layout_base[i] = fmt->streams[i]->time_base;
        r->n_layout++;
    }
    r->same_layout = true;
    return r->n_layout == r->demux->n_streams ? REEL_OK : reel_fail(REEL_ERR_NOMEM, "could not read: out of memory");
}

static struct reader_stream *describe(const struct reader *r, bool first)
{
    struct reader_stream *s = calloc(1, sizeof *s);
    const AVStream *st = r->demux->fmt->streams[r->demux->video];
    if (!s || !(s->par = avcodec_parameters_alloc()) || avcodec_parameters_copy(s->par, r->demux->par) < 0) {
        reader_stream_free(&s);
        return NULL;
    }
    s->time_base = r->demux->time_base;
    s->frame_rate = r->demux->frame_rate;
    s->sar = st->sample_aspect_ratio.num > 0 ? st->sample_aspect_ratio : st->codecpar->sample_aspect_ratio;
    s->video = r->demux->video;
    s->made_pts = r->demux->made_pts;
    s->first = first;
    s->on_device = nvdec_can(s->par);
    const int32_t *matrix = demux_display_matrix(r->demux);
    s->has_matrix = matrix != NULL;
    facts_of_stream(st, &s->media);
    if (matrix) memcpy(s->matrix, matrix, sizeof s->matrix);
    return s;
}

// Opens the pack file for the other streams of a new attempt.
static enum reel_err begin_copy(struct reader *r, uint32_t attempt)
{
    struct reader_item *item = new_item(READER_COPY);
    if (!item) return reel_fail(REEL_ERR_NOMEM, "could not copy streams: out of memory");
    enum reel_err err =
        copy_open_live(&r->p.job, r->demux, attempt ? &r->no_notes : &r->notes, attempt, &item->kept, &item->copy);
    if (err) {
        reader_free(&item);
        return err;
    }
    push(r, item);
    return REEL_OK;
}

// Tells the main thread that the input is open, and which streams it has.
static enum reel_err introduce(struct reader *r, bool first)
{
    enum reel_err err = REEL_OK;
    if (first) err = keep_layout(r);
    if (!first) r->same_layout = same_as_before(r);
    struct reader_item *item = new_item(READER_STREAM);
    if (!err && (!item || !(item->stream = describe(r, first))))
        err = reel_fail(REEL_ERR_NOMEM, "could not read video \"%s\": out of memory", r->p.job.input);
    if (err) {
        reader_free(&item);
        return err;
    }
    push(r, item);
    if (!r->same_layout && !r->told_layout) {
        r->told_layout = true;
        notes_say(&r->notes, REEL_LOG_WARN, "\"%s\" has different streams than before: only its video continues",
                  r->p.job.input);
    }
    if (!first) return REEL_OK;
    pthread_mutex_lock(&r->lock);
    uint32_t attempt = r->attempt;
    r->begin = false;
    pthread_mutex_unlock(&r->lock);
    return begin_copy(r, attempt);
}

static enum reel_err connect_once(struct reader *r)
{
    bool first = !r->layout;
    r->deadline_us = r->p.kind == REEL_INPUT_PIPE ? 0 : reel_now_us() + SILENCE_US;
    enum reel_err err = demux_open_live(&r->p.job, r->p.settings, &r->how, &r->demux);
    if (err) return err;
    if (first && r->p.kind == REEL_INPUT_FILE && r->p.resume_us != INT64_MIN)
        demux_go_to(r->demux, av_rescale_q(r->p.resume_us, AV_TIME_BASE_Q, r->demux->time_base));
    pace_begin(&r->pace, r->p.kind == REEL_INPUT_FILE ? 0 : r->p.latency_us);
    r->shown_packets = 0;
    r->waits_for_key = has_patience(r) ? 0 : KEY_PATIENCE;
    r->skips = false;
    err = introduce(r, first);
    if (err) demux_close(&r->demux);
    return err;
}

// Reports a failure and waits until the next try. False: there is none.
static bool may_try_again(struct reader *r, const char *what)
{
    bool before = r->layout || r->p.attempt;
    if (!reel_input_reopens(r->p.kind) || !before) return false;
    if (stops(r)) return true;
    r->retry_us = !r->retry_us ? FIRST_RETRY_US : 2 * r->retry_us < MOST_RETRY_US ? 2 * r->retry_us : MOST_RETRY_US;
    notes_say(&r->notes, REEL_LOG_WARN, "%s: reopening in %.1f s", what, (double)r->retry_us / 1e6);
    sleep_until(r, reel_now_us() + r->retry_us);
    return true;
}

static void end(struct reader *r, enum reel_err err)
{
    struct reader_item *item = new_item(READER_END);
    if (!item) abort(); // the main thread would wait for the end for ever
    item->err = err;
    if (err) snprintf(item->text, sizeof item->text, "%s", reel_fail_text());
    push(r, item);
}

// ---- packets --------------------------------------------------------------------

// The time of a video packet. Other streams do not set the pace, because timestamps of data tracks
// are unreliable.
static int64_t time_of(struct reader *r, const AVPacket *k)
{
    int64_t ts = k->dts != AV_NOPTS_VALUE ? k->dts : k->pts;
    AVRational rate = r->demux->frame_rate;
    if (ts != AV_NOPTS_VALUE)
        r->last_ts_us = av_rescale_q(ts, r->demux->time_base, AV_TIME_BASE_Q);
    else
        r->last_ts_us += av_rescale_q(1, rate.num > 0 ? av_inv_q(rate) : (AVRational){1, 25}, AV_TIME_BASE_Q);
    return r->last_ts_us;
}

// Whether to keep a packet of an input that cannot wait: not while the queue is full, and after that,
// as at the start, not before a keyframe.
static bool finds_room(struct reader *r, bool video)
{
    pthread_mutex_lock(&r->lock);
    bool full = is_full(r), half = 2 * r->packets >= MOST_PACKETS || 2 * r->bytes >= MOST_BYTES;
    if (full) r->skips = true;
    bool key = r->packet->flags & AV_PKT_FLAG_KEY;
    if (r->skips && video && key && !half) r->skips = false;
    bool room = video ? !r->skips : !full;
    if (video && !room && r->going) r->dropped++;
    pthread_mutex_unlock(&r->lock);
    if (!video || !room || !r->waits_for_key) return room;
    r->waits_for_key = key ? 0 : r->waits_for_key - 1;
    return key;
}

static enum reel_err pass_on(struct reader *r)
{
    AVPacket *k = r->packet;
    bool video = k->stream_index == r->demux->video;
    if (!video && !r->same_layout) return REEL_OK;
    k->time_base = video ? r->demux->time_base : r->demux->fmt->streams[k->stream_index]->time_base;
    if (has_patience(r)) {
        pthread_mutex_lock(&r->lock);
        bool going = r->going;
        pthread_mutex_unlock(&r->lock);
        int64_t now_us = reel_now_us(), wait_us = going && video ? pace_wait_us(&r->pace, time_of(r, k), now_us) : 0;
        if (wait_us) sleep_until(r, now_us + wait_us);
    } else if (!finds_room(r, video)) {
        return REEL_OK;
    }
    if (video) {
        r->shown_packets++;
        r->retry_us = 0; // the connection works: start with short delays again
    }
    struct reader_item *item = new_item(READER_PACKET);
    if (!item || !(item->packet = av_packet_alloc())) {
        reader_free(&item);
        return reel_fail(REEL_ERR_NOMEM, "could not read video \"%s\": out of memory", r->p.job.input);
    }
    av_packet_move_ref(item->packet, k);
    push(r, item);
    return REEL_OK;
}

static enum reel_err read_one(struct reader *r)
{
    r->deadline_us = r->p.kind == REEL_INPUT_PIPE ? 0 : reel_now_us() + SILENCE_US;
    enum reel_err err = demux_read(r->demux, r->packet);
    if (err) return err;
    err = pass_on(r);
    av_packet_unref(r->packet);
    return err;
}

// ---- the thread -----------------------------------------------------------------

// Handles the beginning of a new attempt while the input is open.
static enum reel_err see_begin(struct reader *r)
{
    pthread_mutex_lock(&r->lock);
    bool begin = r->begin;
    uint32_t attempt = r->attempt;
    r->begin = false;
    pthread_mutex_unlock(&r->lock);
    return begin && r->same_layout ? begin_copy(r, attempt) : REEL_OK;
}

static void *work(void *arg)
{
    struct reader *r = arg;
    enum reel_err err = REEL_OK;
    while (!stops(r)) {
        if (!r->demux && (err = connect_once(r))) {
            if (may_try_again(r, reel_fail_text())) continue;
            break;
        }
        if ((err = see_begin(r))) break;
        wait_for_turn(r);
        if (stops(r)) break;
        pthread_mutex_lock(&r->lock);
        bool begin = r->begin;
        pthread_mutex_unlock(&r->lock);
        if (begin) continue;
        err = read_one(r);
        if (!err) continue;
        if (err == REEL_EOF) {
            err = REEL_OK;
            break;
        }
        demux_close(&r->demux);
        char what[REEL_TEXT_BYTES];
        snprintf(what, sizeof what, "\"%s\" broke off (%.700s)", r->p.job.input, reel_fail_text());
        if (err != REEL_ERR_IO || !may_try_again(r, what)) break;
    }
    end(r, stops(r) ? REEL_OK : err);
    demux_close(&r->demux);
    return NULL;
}

// ---- called by the main thread ---------------------------------------------------

enum reel_err reader_open(const struct reader_params *params, struct reader **out_reader)
{
    *out_reader = NULL;
    struct reader *r = calloc(1, sizeof *r);
    if (!r) return reel_fail(REEL_ERR_NOMEM, "could not read video \"%s\": out of memory", params->job.input);
    r->p = *params;
    r->attempt = params->attempt;
    r->last = &r->first;
    r->last_note = &r->note;
    r->notes = (struct notes){say, r};
    r->no_notes = (struct notes){say_nothing, r};
    r->bell_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    r->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    r->how = (struct demux_live){params->kind, params->fd, params->head, r->stop_fd, {interrupted, r}};
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&r->changed, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&r->lock, NULL);
    r->packet = av_packet_alloc();
    enum reel_err err = REEL_OK;
    if (r->bell_fd < 0 || r->stop_fd < 0)
        err = reel_fail(REEL_ERR_IO, "could not make an event descriptor: %s", strerror(errno));
    else if (!r->packet)
        err = reel_fail(REEL_ERR_NOMEM, "could not read video \"%s\": out of memory", params->job.input);
    int rc = err ? 0 : pthread_create(&r->thread, NULL, work, r);
    if (rc) err = reel_fail(REEL_ERR_NOMEM, "could not start a thread: %s", strerror(rc));
    r->started = !err;
    if (err) reader_close(&r);
    *out_reader = r;
    return err;
}

void reader_close(struct reader **reader)
{
    struct reader *r = *reader;
    if (!r) return;
    if (r->started) {
        uint64_t one = 1;
        pthread_mutex_lock(&r->lock);
        atomic_store_explicit(&r->stop, true, memory_order_release);
        pthread_cond_signal(&r->changed);
        pthread_mutex_unlock(&r->lock);
        if (write(r->stop_fd, &one, sizeof one) < 0) reel_warn("reader", "could not ring a bell: %s", strerror(errno));
        pthread_join(r->thread, NULL);
    }
    struct reader_item *item;
    while (!reader_next(r, &item)) reader_free(&item);
    int level;
    char text[REEL_TEXT_BYTES];
    while (reader_note(r, &level, text)) {
    }
    for (unsigned i = 0; i < r->n_layout; i++) avcodec_parameters_free(&r->layout[i]);
    free(r->layout);
    free(r->layout_base);
    av_packet_free(&r->packet);
    pthread_cond_destroy(&r->changed);
    pthread_mutex_destroy(&r->lock);
    if (r->bell_fd >= 0) close(r->bell_fd);
    if (r->stop_fd >= 0) close(r->stop_fd);
    free(r);
    *reader = NULL;
}

int reader_bell(const struct reader *r)
{
    return r->bell_fd;
}

static void tell(struct reader *r)
{
    pthread_cond_signal(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

void reader_want_one(struct reader *r)
{
    pthread_mutex_lock(&r->lock);
    r->wanted = 1;
    tell(r);
}

void reader_go(struct reader *r)
{
    pthread_mutex_lock(&r->lock);
    r->going = true;
    tell(r);
}

void reader_begin(struct reader *r, uint32_t attempt)
{
    pthread_mutex_lock(&r->lock);
    r->begin = attempt != r->attempt;
    r->attempt = attempt;
    tell(r);
}

uint64_t reader_dropped(struct reader *r)
{
    pthread_mutex_lock(&r->lock);
    uint64_t dropped = r->dropped;
    pthread_mutex_unlock(&r->lock);
    return dropped;
}

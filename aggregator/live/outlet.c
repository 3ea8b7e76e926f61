// SPDX-License-Identifier: MIT
//
// The thread that writes a live video. See outlet.h.
//
// Its state is under one lock, which is let go of while libav works; what only the
// thread touches stands apart. One turn: open what is closed, or write one packet, or
// wait until there is one, the other streams' file may have grown, or it is time to
// connect again.
#include "aggregator/live/outlet.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include "aggregator/live/follow.h"
#include "aggregator/live/outlet_open.h"
#include "common/life.h"

#define MAX_QUEUED 8            // packets; more wait as frames, of which the oldest are dropped first
#define POLL_US 15000           // how often the other streams' file is checked for packets
#define QUIET_US 50000          // after so long without a new packet, everything earlier has arrived
#define FIRST_BACKOFF_US 500000 // before reconnecting; doubled each time
#define LAST_BACKOFF_US 5000000
#define VIDEO_HOLD_US 100000 // how long a frame waits for audio that usually precedes it
#define DESTROY_SECONDS 2    // a thread that is resolving a name is not waited for longer
#define FINISH_SECONDS 30    // for all waits at an end together

struct item {
    struct item *next;
    AVPacket *packet;
    int64_t since_us;
};

struct outlet {
    struct live *live;
    bool is_file;
    AVRational time_base; // of the video's packets
    int64_t other_hold_us;
    pthread_t thread;
    bool joined;
    _Atomic bool stop;
    pthread_mutex_t lock;
    pthread_cond_t changed;

    // Guarded by the lock.
    struct mux_head head; // used by the thread alone, except `video`, which is set before the thread reads it
    struct item *first, **last;
    uint32_t queued;
    uint32_t attempt;
    bool begins; // the other streams of the attempt are not open yet
    int64_t begun_us;
    bool begun;   // an attempt has begun
    bool drains;  // no more of this attempt follows
    bool drained; // and all of it is written
    bool ends;    // nothing more follows at all
    bool over;    // the thread has ended
    bool down;    // there is no connection, and it is not the first one that is being made
    bool refused; // somebody waits for room in the queue
    uint32_t breaks;
    enum reel_err err; // why nothing more can be written
    char text[REEL_ERROR_TEXT_MAX];

    // Used by the thread alone.
    struct channel channel;
    struct follow follow;
    bool copies_known; // the streams of the first attempt are in head
    bool chosen;       // their places in the output are chosen
    bool opened;       // was opened at least once
    bool wants_key;
    int64_t try_us, backoff_us; // when to connect next
    int64_t down_since_us;
    uint64_t lost; // frames lost since then
    int64_t base;  // timestamp of the video that is written as 0
    // Last_dts in the container's time base, last_written in time_base; both of the video.
    int64_t last_dts, last_written;
    int64_t gap;  // between its last two
    bool in_time; // see struct outlet_heads
    uint64_t bytes;
    char why[REEL_ERROR_TEXT_MAX];
};

// ---- which is next --------------------------------------------------------------

enum outlet_choice outlet_choose(const struct outlet_heads *h, int64_t now, int64_t video_hold_us,
                                 int64_t other_hold_us, int64_t *out_wait_us)
{
    bool video = h->video_us != INT64_MAX, other = h->other_us != INT64_MAX;
    *out_wait_us = -1;
    if (video && other) return h->other_us <= h->video_us ? OUTLET_OTHER : OUTLET_VIDEO;
    if (!video && !other) return OUTLET_WAIT;
    if (h->ending) return video ? OUTLET_VIDEO : OUTLET_OTHER;
    if (video && !h->others_in_time) return OUTLET_VIDEO;
    int64_t until = video ? h->video_since + video_hold_us : h->other_since + other_hold_us;
    if (now >= until) return video ? OUTLET_VIDEO : OUTLET_OTHER;
    *out_wait_us = until - now;
    return OUTLET_WAIT;
}

// ---- the queue ------------------------------------------------------------------

static struct item *pop(struct outlet *o)
{
    struct item *item = o->first;
    o->first = item->next;
    if (!o->first) o->last = &o->first;
    o->queued--;
    if (o->refused && o->queued < MAX_QUEUED) {
        o->refused = false;
        live_ring(o->live);
    }
    return item;
}

static void free_item(struct item *item)
{
    av_packet_free(&item->packet);
    free(item);
}

static void give_up(struct outlet *o, uint32_t frames)
{
    o->lost += frames;
    live_gave_up(o->live, frames);
}

static void give_up_queue(struct outlet *o)
{
    uint32_t n = 0;
    for (; o->first; n++) free_item(pop(o));
    if (n) give_up(o, n);
}

// ---- failures -------------------------------------------------------------------

// A file that cannot be written, or a stream that is not valid, ends the job.
static void fail(struct outlet *o, enum reel_err err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void fail(struct outlet *o, enum reel_err err, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(o->text, sizeof o->text, fmt, args);
    va_end(args);
    o->err = err;
    channel_close(&o->channel, true, o->why, sizeof o->why);
    give_up_queue(o);
    live_ring(o->live);
}

// The connection is lost: frames are dropped until there is another.
static void broke(struct outlet *o, const char *what)
{
    const char *output = live_job(o->live)->output;
    bool news = !o->down;
    if (o->is_file && reel_is_stdout(output)) {
        fail(o, REEL_ERR_IO, "could not write to standard output: %s",
             strcmp(o->why, "Broken pipe") ? o->why : "its reader has ended");
        return;
    }
    if (o->is_file) {
        fail(o, REEL_ERR_IO, "could not write file \"%s\": %s", output, o->why);
        return;
    }
    pthread_mutex_unlock(&o->lock);
    channel_close(&o->channel, true, (char[1]){0}, 1);
    pthread_mutex_lock(&o->lock);
    if (news) {
        o->down_since_us = reel_now_us();
        o->lost = 0;
        live_note(o->live, "%s \"%s\": %s; retrying as long as the run lasts, frames are not sent until then", what,
                  output, o->why);
    }
    o->down = true;
    o->breaks++;
    o->try_us = reel_now_us() + o->backoff_us;
    o->backoff_us = 2 * o->backoff_us < LAST_BACKOFF_US ? 2 * o->backoff_us : LAST_BACKOFF_US;
    give_up_queue(o);
    live_ring(o->live);
}

// ---- the other streams ------------------------------------------------------------

static void stop_following(struct outlet *o, const char *why)
{
    live_note(o->live, "could not continue with the input's other streams: %s", why);
    for (int i = 0; i < o->head.n_copied; i++)
        if (o->head.copied[i].to >= 0) mux_count_lost(&o->head, &o->head.copied[i], true);
    follow_end(&o->follow);
}

// Opens the attempt's other streams and reads their packets that precede the video's. Returns how many us
// to wait for them before anything is written; 0: no longer.
static int64_t begin_following(struct outlet *o)
{
    char path[REEL_PATH_BYTES];
    reel_live_copy_path(live_job(o->live), o->attempt, path);
    enum reel_err err = o->follow.reader ? REEL_OK : follow_open(&o->follow, path);
    bool open = o->follow.reader;
    if (!err) err = follow_head(&o->follow, &o->head, !o->copies_known);
    int64_t waited = reel_now_us() - (open ? o->follow.since_us : o->begun_us);
    bool hopes = err == REEL_AGAIN && waited < (open ? QUIET_US : o->other_hold_us / 2);
    // The header needs to know which streams there are; it is written only once.
    if (hopes) return o->copies_known ? 0 : POLL_US / 3;
    if (err == REEL_AGAIN && !open && o->copies_known) return 0; // the file may still appear
    o->begins = false;
    o->copies_known = true;
    if (err == REEL_AGAIN && !open) follow_end(&o->follow); // this attempt has no other streams
    if (err && err != REEL_AGAIN) stop_following(o, reel_fail_text());
    return 0;
}

// Whether a packet of the other streams is ready.
static bool look_at_others(struct outlet *o)
{
    if (!o->follow.reader || o->begins) return false;
    enum reel_err err = follow_next(&o->follow, &o->head);
    if (err == REEL_EOF) follow_end(&o->follow);
    if (err && err != REEL_AGAIN && err != REEL_EOF) stop_following(o, reel_fail_text());
    if (err) return false;
    const struct copied *c = follow_stream(&o->follow, &o->head);
    AVRational us = {1, 1000000};
    if (c->par->codec_type == AVMEDIA_TYPE_AUDIO && !o->in_time)
        o->in_time = o->last_written != INT64_MIN &&
                     follow_us(&o->follow, &o->head) >= av_rescale_q(o->last_written, o->time_base, us);
    return true;
}

// ---- connecting -------------------------------------------------------------------

static void connected(struct outlet *o)
{
    if (o->down)
        live_note(o->live, "reconnected to \"%s\" after %.1f s: %llu frames were not sent", live_job(o->live)->output,
                  (double)(reel_now_us() - o->down_since_us) / 1e6, (unsigned long long)o->lost);
    // A transport stream continues; a container with a header of its own begins at 0.
    bool goes_on = !strcmp(o->head.format->name, "mpegts") || !strcmp(o->head.format->name, "rtp_mpegts");
    o->base = goes_on ? 0 : INT64_MIN;
    o->last_dts = INT64_MIN;
    for (int i = 0; i < o->head.n_copied; i++) o->head.copied[i].last_dts = INT64_MIN;
    o->wants_key = true;
    o->opened = true;
    o->down = false;
    live_ring(o->live);
}

// Writes the next packet. Returns how long to wait, as turn() does.
static int64_t connect_to(struct outlet *o)
{
    int64_t now = reel_now_us();
    if (now < o->try_us) {
        give_up_queue(o);
        while (look_at_others(o)) o->follow.there = false; // they are too late to be written
        int64_t left = o->try_us - now;
        return left < POLL_US * 4 ? left : POLL_US * 4;
    }
    if (!o->chosen) mux_choose_streams(&o->head);
    o->chosen = true;
    pthread_mutex_unlock(&o->lock);
    int rc = channel_open(&o->channel, o->opened, o->why, sizeof o->why);
    pthread_mutex_lock(&o->lock);
    if (rc < 0)
        broke(o, "could not connect to");
    else
        connected(o);
    return 0;
}

// ---- writing ----------------------------------------------------------------------

// Makes the timestamps of a video packet grow, in the container's time base.
static void set_times(struct outlet *o, AVPacket *pkt)
{
    if (pkt->dts == AV_NOPTS_VALUE) pkt->dts = pkt->pts;
    if (o->last_written != INT64_MIN && pkt->dts > o->last_written) o->gap = pkt->dts - o->last_written;
    o->last_written = pkt->dts;
    if (pkt->duration <= 0) pkt->duration = o->gap;
    pkt->pts -= o->base;
    pkt->dts -= o->base;
    av_packet_rescale_ts(pkt, o->time_base, o->channel.oc->streams[0]->time_base);
    if (o->last_dts != INT64_MIN && pkt->dts <= o->last_dts) pkt->dts = o->last_dts + 1;
    if (pkt->pts < pkt->dts) pkt->pts = pkt->dts;
    o->last_dts = pkt->dts;
    pkt->stream_index = 0;
}

static void write_video(struct outlet *o)
{
    struct item *item = pop(o);
    AVPacket *pkt = item->packet;
    if (o->wants_key && !(pkt->flags & AV_PKT_FLAG_KEY)) {
        give_up(o, 1);
        free_item(item);
        return;
    }
    o->wants_key = false;
    int64_t pts = pkt->pts;
    set_times(o, pkt);
    uint64_t bytes = (uint64_t)pkt->size;
    pthread_mutex_unlock(&o->lock);
    int rc = channel_write(&o->channel, pkt, o->why, sizeof o->why);
    if (rc >= 0) live_wrote(o->live, pts);
    pthread_mutex_lock(&o->lock);
    free_item(item);
    if (rc < 0) {
        broke(o, "lost the connection to");
        give_up(o, 1);
        return;
    }
    o->bytes += bytes;
    o->backoff_us = FIRST_BACKOFF_US;
}

// Packets before the first picture, and packets whose timestamps go back, are left out.
static bool place_other(struct outlet *o, struct copied *c, AVPacket *pkt)
{
    AVStream *st = o->channel.oc->streams[c->to];
    if (pkt->dts == AV_NOPTS_VALUE) pkt->dts = pkt->pts;
    if (pkt->pts == AV_NOPTS_VALUE) pkt->pts = pkt->dts;
    if (pkt->dts == AV_NOPTS_VALUE || o->base == INT64_MIN) return false;
    int64_t base = av_rescale_q(o->base, o->time_base, c->time_base);
    pkt->pts -= base;
    pkt->dts -= base;
    av_packet_rescale_ts(pkt, c->time_base, st->time_base);
    if (pkt->dts < 0) return false;
    const int64_t delay = mux_codec_delay(&o->head, c, st->time_base);
    pkt->pts += delay;
    pkt->dts += delay;
    if (c->last_dts != INT64_MIN && pkt->dts <= c->last_dts) return false;
    if (pkt->pts < pkt->dts) pkt->pts = pkt->dts;
    c->last_dts = pkt->dts;
    pkt->stream_index = c->to;
    return true;
}

static void write_other(struct outlet *o, AVPacket *pkt)
{
    struct copied *c = follow_stream(&o->follow, &o->head);
    o->follow.there = false;
    if (mux_fill_packet(pkt, &o->follow.record->u.packet) || !place_other(o, c, pkt)) return;
    uint64_t bytes = (uint64_t)pkt->size;
    pthread_mutex_unlock(&o->lock);
    int rc = channel_write(&o->channel, pkt, o->why, sizeof o->why);
    pthread_mutex_lock(&o->lock);
    bool refused = rc == AVERROR(EINVAL) || rc == AVERROR_INVALIDDATA || rc == AVERROR_PATCHWELCOME;
    if (rc >= 0) {
        o->bytes += bytes;
    } else if (!refused) {
        broke(o, "lost the connection to");
    } else if (!c->refused++) { // refused by the container: the others are still written
        const char *kind = av_get_media_type_string(c->par->codec_type);
        live_note(o->live, "could not keep some packets of a copied %s stream (%s): %s", kind ? kind : "data",
                  avcodec_get_name(c->par->codec_id), o->why);
        mux_count_lost(&o->head, c, true);
    }
}

static int64_t decoding_time(const AVPacket *pkt)
{
    return pkt->dts == AV_NOPTS_VALUE ? pkt->pts : pkt->dts;
}

static int64_t head_us(const struct outlet *o)
{
    return av_rescale_q(decoding_time(o->first->packet), o->time_base, (AVRational){1, 1000000});
}

// The first picture behind a header begins at 0, which must be known before audio is placed.
static void set_base(struct outlet *o)
{
    if (o->base != INT64_MIN || !o->first) return;
    if (o->wants_key && !(o->first->packet->flags & AV_PKT_FLAG_KEY)) return; // it will not be written
    o->base = decoding_time(o->first->packet);
}

// ---- the thread -------------------------------------------------------------------

// Does what comes next. Returns how many us to wait before the next turn; -1: until something changes.
static int64_t turn(struct outlet *o, AVPacket *scratch)
{
    if (o->err || !o->begun) {
        give_up_queue(o);
        o->drained = o->drains;
        return -1;
    }
    int64_t wait_us = o->begins ? begin_following(o) : 0;
    if (wait_us) return wait_us;
    if (!o->channel.oc && !(o->down && o->drains)) return connect_to(o);
    if (!o->channel.oc) give_up_queue(o); // the end of an attempt waits for no server
    set_base(o);
    bool other = o->channel.oc && look_at_others(o);
    struct outlet_heads heads = {.video_us = o->first ? head_us(o) : INT64_MAX,
                                 .video_since = o->first ? o->first->since_us : 0,
                                 .other_us = other ? follow_us(&o->follow, &o->head) : INT64_MAX,
                                 .other_since = o->follow.since_us,
                                 .others_in_time = o->in_time && o->follow.reader,
                                 .ending = o->drains};
    int64_t now = reel_now_us();
    enum outlet_choice choice = outlet_choose(&heads, now, VIDEO_HOLD_US, o->other_hold_us, &wait_us);
    if (choice == OUTLET_VIDEO && heads.others_in_time && heads.other_us == INT64_MAX && !o->drains)
        o->in_time = false; // late: the next frames do not wait
    if (choice == OUTLET_VIDEO) write_video(o);
    if (choice == OUTLET_OTHER) write_other(o, scratch);
    if (choice != OUTLET_WAIT) return 0;
    if (o->drains && !o->drained) {
        o->drained = true;
        o->begins = false;
        follow_end(&o->follow);
        return 0;
    }
    if (!o->follow.reader && !o->begins) return wait_us;
    return wait_us >= 0 && wait_us < POLL_US ? wait_us : POLL_US;
}

static void wait_for(struct outlet *o, int64_t us)
{
    if (us < 0) {
        pthread_cond_wait(&o->changed, &o->lock);
        return;
    }
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t ns = until.tv_nsec + us % 1000000 * 1000;
    until.tv_sec += us / 1000000 + ns / 1000000000;
    until.tv_nsec = ns % 1000000000;
    pthread_cond_timedwait(&o->changed, &o->lock, &until);
}

static void *work(void *arg)
{
    struct outlet *o = arg;
    AVPacket *scratch = av_packet_alloc();
    pthread_mutex_lock(&o->lock);
    if (!scratch) fail(o, REEL_ERR_NOMEM, "could not write \"%s\": out of memory", live_job(o->live)->output);
    while (!atomic_load(&o->stop)) {
        bool drained = o->drained;
        int64_t wait_us = turn(o, scratch);
        if (o->drained && !drained) pthread_cond_broadcast(&o->changed);
        if (o->ends && (!o->begun || o->drained || o->err)) break;
        if (wait_us && !atomic_load(&o->stop)) wait_for(o, wait_us);
    }
    pthread_mutex_unlock(&o->lock);
    int rc = channel_close(&o->channel, atomic_load(&o->stop), o->why, sizeof o->why);
    pthread_mutex_lock(&o->lock);
    if (rc < 0 && o->is_file && !o->err)
        fail(o, REEL_ERR_IO, "could not end file \"%s\": %s", live_job(o->live)->output, o->why);
    else if (rc < 0 && !o->err)
        live_note(o->live, "could not end the connection to \"%s\": %s", live_job(o->live)->output, o->why);
    follow_end(&o->follow);
    give_up_queue(o);
    o->drained = o->over = true;
    pthread_cond_broadcast(&o->changed);
    pthread_mutex_unlock(&o->lock);
    av_packet_free(&scratch);
    return NULL;
}

// ---- the main loop's side -----------------------------------------------------------

static void on_note(void *ctx, const char *text)
{
    live_note(((struct outlet *)ctx)->live, "%s", text);
}

static void outlet_free(struct outlet *o)
{
    mux_head_fini(&o->head);
    free((void *)o->head.media);
    pthread_cond_destroy(&o->changed);
    pthread_mutex_destroy(&o->lock);
    free(o);
}

static enum reel_err start(struct outlet *o)
{
    const char *name = plan_container_name(o->head.output);
    struct reel_media *media = malloc(sizeof *media);
    if (!media) return mux_no_memory();
    *media = *o->head.media;
    o->head.media = media; // the lane's own copy ends with the lane
    o->head.format = name ? av_guess_format(name, NULL, NULL) : NULL;
    if (encode_has_fixed_rate(o->head.format)) o->head.rate = mux_rate(media, 0);
    if (!o->head.format)
        return reel_fail(REEL_ERR_UNSUPPORTED, "could not write \"%s\": this FFmpeg has no writer for it",
                         o->head.output);
    int rc = pthread_create(&o->thread, NULL, work, o);
    return rc ? reel_fail(REEL_ERR_NOMEM, "could not start a thread: %s", strerror(rc)) : REEL_OK;
}

enum reel_err outlet_create(struct live *live, const struct reel_media *media, struct outlet **out_outlet)
{
    struct outlet *o = calloc(1, sizeof *o);
    if (!o) return mux_no_memory();
    const char *output = live_job(live)->output;
    int latency_ms = live_settings(live)->latency_ms;
    *o = (struct outlet){.live = live,
                         .is_file = !reel_is_url(output),
                         .time_base = {media->time_base.num, media->time_base.den},
                         .other_hold_us = 2000 * (int64_t)(latency_ms > 0 ? latency_ms : 500),
                         .head = {.output = output, .live = true, .media = media, .note = on_note, .ctx = o},
                         .backoff_us = FIRST_BACKOFF_US,
                         .last_written = INT64_MIN,
                         .last_dts = INT64_MIN};
    o->last = &o->first;
    o->channel = (struct channel){.live = live, .head = &o->head, .stop = &o->stop};
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&o->lock, NULL);
    pthread_cond_init(&o->changed, &attr);
    pthread_condattr_destroy(&attr);
    enum reel_err err = start(o);
    if (!err) {
        *out_outlet = o;
        return REEL_OK;
    }
    if (o->head.media == media) o->head.media = NULL;
    outlet_free(o);
    return err;
}

// Whether the thread ended within so many seconds.
static bool join(struct outlet *o, int seconds)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += seconds;
    o->joined = o->joined || !pthread_timedjoin_np(o->thread, NULL, &until);
    return o->joined;
}

bool outlet_destroy(struct outlet **outlet)
{
    struct outlet *o = *outlet;
    if (!o) return true;
    *outlet = NULL;
    pthread_mutex_lock(&o->lock);
    atomic_store(&o->stop, true);
    pthread_cond_broadcast(&o->changed);
    pthread_mutex_unlock(&o->lock);
    if (!join(o, DESTROY_SECONDS)) {
        pthread_detach(o->thread);
        return false;
    }
    outlet_free(o);
    return true;
}

enum reel_err outlet_attempt(struct outlet *o, uint32_t attempt, const struct reel_pack_stream *video)
{
    pthread_mutex_lock(&o->lock);
    enum reel_err err = REEL_OK;
    const char *what = o->head.video ? mux_differs(&o->head, video) : NULL;
    if (what)
        err = reel_fail(REEL_ERR_FAULT, "could not continue \"%s\": attempt %u has a different %s from those before",
                        o->head.output, attempt, what);
    else if (!o->head.video)
        err = mux_keep_video(&o->head, video);
    if (!err) {
        o->attempt = attempt;
        o->begins = o->begun = true;
        o->begun_us = reel_now_us();
        o->in_time = false;
        o->drains = o->drained = false;
        pthread_cond_broadcast(&o->changed);
    }
    pthread_mutex_unlock(&o->lock);
    return err;
}

bool outlet_ready(struct outlet *o)
{
    pthread_mutex_lock(&o->lock);
    bool ready = o->queued < MAX_QUEUED || o->err;
    o->refused = !ready;
    pthread_mutex_unlock(&o->lock);
    return ready;
}

uint32_t outlet_breaks(struct outlet *o, bool *out_down)
{
    pthread_mutex_lock(&o->lock);
    *out_down = o->down && !o->err;
    uint32_t breaks = o->breaks;
    pthread_mutex_unlock(&o->lock);
    return breaks;
}

void outlet_give_up(struct outlet *o)
{
    pthread_mutex_lock(&o->lock);
    give_up(o, 1);
    pthread_mutex_unlock(&o->lock);
}

enum reel_err outlet_put(struct outlet *o, const AVPacket *packet)
{
    struct item *item = malloc(sizeof *item);
    if (item) *item = (struct item){.packet = av_packet_clone(packet), .since_us = reel_now_us()};
    if (!item || !item->packet) {
        free(item);
        return mux_no_memory();
    }
    pthread_mutex_lock(&o->lock);
    enum reel_err err = o->err;
    if (err) {
        reel_fail(err, "%s", o->text);
        free_item(item);
    } else {
        *o->last = item;
        o->last = &item->next;
        o->queued++;
        pthread_cond_broadcast(&o->changed);
    }
    pthread_mutex_unlock(&o->lock);
    return err;
}

void outlet_drain(struct outlet *o)
{
    pthread_mutex_lock(&o->lock);
    o->drains = true;
    pthread_cond_broadcast(&o->changed);
    while (o->begun && !o->drained) pthread_cond_wait(&o->changed, &o->lock);
    pthread_mutex_unlock(&o->lock);
}

enum reel_err outlet_error(struct outlet *o)
{
    pthread_mutex_lock(&o->lock);
    enum reel_err err = o->err ? reel_fail(o->err, "%s", o->text) : REEL_OK;
    pthread_mutex_unlock(&o->lock);
    return err;
}

enum reel_err outlet_finish(struct outlet *o, struct reel_kept *out_lost, uint64_t *out_bytes)
{
    pthread_mutex_lock(&o->lock);
    o->drains = o->ends = true;
    pthread_cond_broadcast(&o->changed);
    pthread_mutex_unlock(&o->lock);
    if (!join(o, FINISH_SECONDS))
        return reel_fail(REEL_ERR_IO, "could not end the output \"%s\": no answer for %d s", o->head.output,
                         FINISH_SECONDS);
    *out_lost = o->head.kept;
    *out_bytes = o->bytes;
    return o->err ? reel_fail(o->err, "%s", o->text) : REEL_OK;
}

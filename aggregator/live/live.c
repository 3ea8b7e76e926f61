// SPDX-License-Identifier: MIT
//
// A live job's output. See live.h.
//
// The state file is one line of fixed length, "file frames", written over with each
// frame: a process that dies between a frame and its number leaves a picture that is
// written again, or a line whose number comes twice.
#include "aggregator/live/live.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aggregator/latency.h"
#include "aggregator/live/outlet.h"
#include "common/life.h"

#define STATE_BYTES 32
#define ON_THE_WAY 256 // frames between lane and file: more than any encoder holds back
#define MAX_NOTES 8

struct trip {
    int64_t pts, written_us;
};

struct tally {
    uint64_t written, unsent;
    struct latency latency;
    uint32_t longest_us;
};

struct live {
    const struct reel_settings *settings;
    struct reel_job job; // its strings stay valid as long as the process
    int bell_fd, state_fd;
    struct outlet *outlet;
    pthread_mutex_t lock;
    // Guarded by the lock.
    bool begun;      // an earlier process wrote something
    bool chosen;     // the file that this process writes is known
    uint32_t file;   // number of the output's file, from 1
    uint64_t frames; // of all processes that worked on it
    struct tally attempt, life;
    struct trip trips[ON_THE_WAY];
    uint32_t next_trip;
    char notes[MAX_NOTES][REEL_TEXT_BYTES];
    uint32_t notes_from, n_notes;
};

static enum reel_err state_failed(const struct live *l, const char *what, int error)
{
    char path[REEL_PATH_BYTES];
    return reel_fail(REEL_ERR_IO, "could not %s file \"%s\": %s", what, reel_live_state_path(&l->job, path),
                     strerror(error));
}

static enum reel_err read_state(struct live *l)
{
    char path[REEL_PATH_BYTES], text[STATE_BYTES + 1] = "";
    l->state_fd = open(reel_live_state_path(&l->job, path), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (l->state_fd < 0) return state_failed(l, "create", errno);
    ssize_t n = pread(l->state_fd, text, STATE_BYTES, 0);
    if (n < 0) return state_failed(l, "read", errno);
    if (!n) return REEL_OK;
    unsigned long long frames;
    if (sscanf(text, "%u %llu", &l->file, &frames) != 2 || !l->file)
        return reel_fail(REEL_ERR_INPUT, "could not read file \"%s\": it is damaged", path);
    l->frames = frames;
    l->begun = true;
    return REEL_OK;
}

static enum reel_err write_state(struct live *l)
{
    char text[STATE_BYTES + 1];
    int n = snprintf(text, sizeof text, "%10u %20llu\n", l->file, (unsigned long long)l->frames);
    return pwrite(l->state_fd, text, (size_t)n, 0) == n ? REEL_OK : state_failed(l, "write", errno);
}

enum reel_err live_open(const struct reel_settings *settings, const struct reel_job *job, int bell_fd,
                        struct live **out_live)
{
    struct live *l = calloc(1, sizeof *l);
    if (!l) return reel_fail(REEL_ERR_NOMEM, "could not open a live output: out of memory");
    l->settings = settings;
    l->job = *job;
    l->bell_fd = bell_fd;
    l->state_fd = -1;
    l->file = 1;
    pthread_mutex_init(&l->lock, NULL);
    enum reel_err err = read_state(l);
    if (err)
        live_close(&l);
    else
        *out_live = l;
    return err;
}

void live_close(struct live **live)
{
    struct live *l = *live;
    if (!l) return;
    *live = NULL;
    if (!outlet_destroy(&l->outlet)) return; // its thread is stuck in libav and may still use this
    if (l->state_fd >= 0) close(l->state_fd);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

// ---- the output -----------------------------------------------------------------

const struct reel_job *live_job(const struct live *l)
{
    return &l->job;
}

const struct reel_settings *live_settings(const struct live *l)
{
    return l->settings;
}

enum reel_err live_outlet(struct live *l, const struct reel_media *media, struct outlet **out_outlet)
{
    enum reel_err err = l->outlet ? REEL_OK : outlet_create(l, media, &l->outlet);
    *out_outlet = l->outlet;
    return err;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

enum reel_err live_file(struct live *l, bool appends, char *path, bool *out_append)
{
    pthread_mutex_lock(&l->lock);
    bool later = l->begun && !l->chosen;
    *out_append = appends && (l->begun || l->chosen);
    if (later && !appends && reel_is_stdout(l->job.output)) {
        pthread_mutex_unlock(&l->lock);
        return reel_fail(REEL_ERR_FAULT,
                         "could not go on: the process that wrote to standard output died, and a second "
                         "header cannot follow what it wrote");
    }
    if (later && !appends) do
            l->file++;
        while (!access(reel_live_file_path(&l->job, l->file, path), F_OK));
    l->chosen = true;
    reel_live_file_path(&l->job, l->file, path);
    enum reel_err err = write_state(l);
    pthread_mutex_unlock(&l->lock);
    if (later && !err) {
        if (appends)
            live_note(l, "the process that wrote \"%s\" died: the output continues at the end of the file", path);
        else
            live_note(l, "the process that wrote \"%s\" died: the output continues in \"%s\"", l->job.output,
                      base_name(path));
    }
    return err;
}

// What the outlet says was lost of a kind replaces what was known before.
static void merge_kept(struct reel_kept *kept, const struct reel_kept *lost)
{
    uint8_t to[sizeof *kept], from[sizeof *kept];
    memcpy(to, kept, sizeof to);
    memcpy(from, lost, sizeof from);
    for (size_t i = 0; i < sizeof to; i++)
        if (from[i] != REEL_KEPT_NONE) to[i] = from[i];
    memcpy(kept, to, sizeof to);
}

static void summarize(const struct tally *t, struct live_count *out)
{
    *out = (struct live_count){.written = t->written, .unsent = t->unsent};
    out->latency_us[REEL_LATENCY_MEDIAN] = (uint32_t)latency_quantile(&t->latency, 0.5);
    out->latency_us[REEL_LATENCY_P99] = (uint32_t)latency_quantile(&t->latency, 0.99);
    out->latency_us[REEL_LATENCY_MAX] = t->longest_us;
    // The histogram returns the middle of a bucket.
    for (int i = 0; i < REEL_LATENCY_MAX; i++)
        if (out->latency_us[i] > t->longest_us) out->latency_us[i] = t->longest_us;
}

enum reel_err live_finish(struct live *l, const struct reel_kept *kept, struct reel_rec_muxed *out)
{
    *out = (struct reel_rec_muxed){.job = l->job.id, .kept = *kept};
    struct reel_kept lost = {0};
    enum reel_err err = l->outlet ? outlet_finish(l->outlet, &lost, &out->bytes) : REEL_OK;
    merge_kept(&out->kept, &lost);
    pthread_mutex_lock(&l->lock);
    struct live_count count;
    summarize(&l->life, &count);
    out->frames = count.written;
    out->unsent = count.unsent;
    memcpy(out->latency_us, count.latency_us, sizeof out->latency_us);
    out->file = l->file;
    pthread_mutex_unlock(&l->lock);
    return err;
}

// ---- frames -----------------------------------------------------------------------

void live_begin(struct live *l)
{
    pthread_mutex_lock(&l->lock);
    l->attempt = (struct tally){0};
    pthread_mutex_unlock(&l->lock);
}

void live_expect(struct live *l, int64_t pts, int64_t written_us)
{
    pthread_mutex_lock(&l->lock);
    l->trips[l->next_trip++ % ON_THE_WAY] = (struct trip){pts, written_us};
    pthread_mutex_unlock(&l->lock);
}

// When the frame's input slot was written; 0: not known any more.
static int64_t departure(const struct live *l, int64_t pts)
{
    for (uint32_t i = 1; i <= ON_THE_WAY && i <= l->next_trip; i++) {
        const struct trip *t = &l->trips[(l->next_trip - i) % ON_THE_WAY];
        if (t->pts == pts) return t->written_us;
    }
    return 0;
}

static void count_trip(struct tally *t, int64_t us)
{
    latency_add(&t->latency, us);
    if (us > (int64_t)t->longest_us) t->longest_us = us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
}

void live_wrote(struct live *l, int64_t pts)
{
    int64_t now = reel_now_us();
    pthread_mutex_lock(&l->lock);
    int64_t from = departure(l, pts);
    if (from) count_trip(&l->attempt, now - from);
    if (from) count_trip(&l->life, now - from);
    l->attempt.written++;
    l->life.written++;
    l->frames++;
    write_state(l); // a number that cannot be written is no reason to lose a frame
    pthread_mutex_unlock(&l->lock);
}

void live_gave_up(struct live *l, uint32_t frames)
{
    pthread_mutex_lock(&l->lock);
    l->attempt.unsent += frames;
    l->life.unsent += frames;
    pthread_mutex_unlock(&l->lock);
}

uint64_t live_frames(struct live *l)
{
    pthread_mutex_lock(&l->lock);
    uint64_t frames = l->frames;
    pthread_mutex_unlock(&l->lock);
    return frames;
}

uint32_t live_file_number(struct live *l)
{
    pthread_mutex_lock(&l->lock);
    uint32_t file = l->file;
    pthread_mutex_unlock(&l->lock);
    return file;
}

void live_attempt(struct live *l, struct live_count *out_count)
{
    pthread_mutex_lock(&l->lock);
    summarize(&l->attempt, out_count);
    pthread_mutex_unlock(&l->lock);
}

// ---- notes ------------------------------------------------------------------------

void live_ring(struct live *l)
{
    uint64_t one = 1;
    if (l->bell_fd >= 0 && write(l->bell_fd, &one, sizeof one) < 0) return; // a full bell rings already
}

void live_note(struct live *l, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    pthread_mutex_lock(&l->lock);
    if (l->n_notes < MAX_NOTES)
        vsnprintf(l->notes[(l->notes_from + l->n_notes++) % MAX_NOTES], REEL_TEXT_BYTES, fmt, args);
    pthread_mutex_unlock(&l->lock);
    va_end(args);
    live_ring(l);
}

bool live_take_note(struct live *l, char *text)
{
    pthread_mutex_lock(&l->lock);
    bool any = l->n_notes > 0;
    if (any) {
        snprintf(text, REEL_TEXT_BYTES, "%s", l->notes[l->notes_from % MAX_NOTES]);
        l->notes_from++;
        l->n_notes--;
    }
    pthread_mutex_unlock(&l->lock);
    return any;
}

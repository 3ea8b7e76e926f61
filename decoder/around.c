// SPDX-License-Identifier: MIT
//
// The frames around a segment. See around.h.
#include "decoder/around.h"

#include <stdlib.h>

enum part {
    PART_SEEK,   // decodes the frames before the range and keeps the last ones
    PART_BEFORE, // gives those
    PART_OWN,
    PART_BEHIND,
    PART_OVER,
};

struct kept {
    AVFrame *frame;
    int64_t pts, duration;
};

struct around {
    struct around_params p;
    struct demux_pool *pool; // borrowed
    enum part part;
    struct segment *segment; // of the current part; NULL: not opened yet
    struct kept kept[REEL_MAX_ASIDE];
    uint32_t n_kept, given; // frames kept, and how many of those before (or after) the range were given
    uint32_t tries;
    struct segment_ledger ledger;
    int64_t run_us; // sum over closed segments
};

static void close_part(struct around *a)
{
    if (a->segment) a->run_us += segment_run_us(a->segment);
    segment_close(&a->segment, a->pool);
}

static void forget_kept(struct around *a)
{
    for (uint32_t i = 0; i < REEL_MAX_ASIDE; i++)
        if (a->kept[i].frame) av_frame_unref(a->kept[i].frame);
    a->n_kept = 0;
}

void around_close(struct around **around, struct demux_pool *pool)
{
    struct around *a = *around;
    if (!a) return;
    segment_close(&a->segment, pool);
    for (uint32_t i = 0; i < REEL_MAX_ASIDE; i++) av_frame_free(&a->kept[i].frame);
    free(a);
    *around = NULL;
}

// ---- parts ----------------------------------------------------------------

// Whether the current try is the last one, which decodes from the beginning of the file.
static bool is_from_start(const struct around *a)
{
    return a->tries > a->p.lead.n;
}

// Begins another try at the frames before the range.
static enum reel_err open_before(struct around *a)
{
    struct segment_params p = a->p.own;
    const uint32_t k = a->tries++;
    p.has_entry = !is_from_start(a);
    if (p.has_entry) p.entry = a->p.lead.from[k];
    p.start_pts = p.warmup_pts = p.has_entry ? p.entry.pts : INT64_MIN; // frames before the entry lack references
    p.end_pts = a->p.own.start_pts;
    p.kept_frames = a->p.before;
    return segment_open(&p, a->pool, &a->segment);
}

static enum reel_err open_behind(struct around *a)
{
    struct segment_params p = a->p.own;
    p.has_entry = a->p.next.bytes > 0;
    p.entry = a->p.next;
    p.start_pts = p.warmup_pts = a->p.own.end_pts;
    p.end_pts = INT64_MAX;
    return segment_open(&p, a->pool, &a->segment);
}

static enum reel_err open_part(struct around *a)
{
    switch (a->part) {
    case PART_SEEK:
        return open_before(a);
    case PART_OWN:
        return segment_open(&a->p.own, a->pool, &a->segment);
    case PART_BEHIND:
        a->given = 0;
        return open_behind(a);
    default:
        return REEL_OK;
    }
}

enum reel_err around_open(const struct around_params *p, struct demux_pool *pool, struct around **out_around)
{
    *out_around = NULL;
    if (p->before > REEL_MAX_ASIDE || p->after > REEL_MAX_ASIDE || p->lead.n > REEL_MAX_LEADS)
        return reel_fail(REEL_ERR_PROTO, "could not open segment of \"%s\": %u frames before and %u behind",
                         p->own.job.input, p->before, p->after);
    struct around *a = calloc(1, sizeof *a);
    bool ok = a != NULL;
    for (uint32_t i = 0; ok && i < p->before; i++) ok = (a->kept[i].frame = av_frame_alloc()) != NULL;
    enum reel_err err =
        ok ? REEL_OK : reel_fail(REEL_ERR_NOMEM, "could not open segment of \"%s\": out of memory", p->own.job.input);
    if (!err) {
        a->p = *p;
        a->pool = pool;
        a->part = p->before ? PART_SEEK : PART_OWN;
        err = open_part(a);
    }
    if (err) around_close(&a, pool);
    *out_around = a;
    return err;
}

// ---- before the range -----------------------------------------------------

// Keeps the last `before` frames.
static void keep(struct around *a, AVFrame *frame, int64_t pts, int64_t duration)
{
    if (a->n_kept == a->p.before) {
        struct kept oldest = a->kept[0];
        for (uint32_t i = 1; i < a->n_kept; i++) a->kept[i - 1] = a->kept[i];
        a->kept[--a->n_kept] = oldest;
    }
    struct kept *k = &a->kept[a->n_kept++];
    av_frame_unref(k->frame);
    av_frame_move_ref(k->frame, frame);
    k->pts = pts;
    k->duration = duration;
}

// Whether the kept frames equal those that the neighbouring segments show. An entry inside such a
// segment gives the same frames as its own entry only if nothing is damaged.
static bool is_settled(const struct around *a)
{
    if (is_from_start(a)) return true;
    if (a->tries == 1 && a->p.lead.inner && !segment_is_whole(a->segment)) return false;
    return a->n_kept == a->p.before;
}

static enum reel_err seek_step(struct around *a, AVFrame *frame)
{
    int64_t pts, duration;
    enum reel_err err = segment_next(a->segment, frame, &pts, &duration);
    if (!err) keep(a, frame, pts, duration);
    if (err != REEL_EOF) return err ? err : REEL_AGAIN;
    const bool settled = is_settled(a);
    close_part(a);
    if (settled)
        a->part = PART_BEFORE;
    else
        forget_kept(a);
    return REEL_AGAIN;
}

static enum reel_err give_kept(struct around *a, AVFrame *frame, int64_t *out_pts, int64_t *out_duration)
{
    if (a->given == a->n_kept) {
        a->part = PART_OWN;
        return REEL_AGAIN;
    }
    struct kept *k = &a->kept[a->given++];
    av_frame_move_ref(frame, k->frame);
    *out_pts = k->pts;
    *out_duration = k->duration;
    return REEL_OK;
}

// ---- the frames -----------------------------------------------------------

static enum reel_err own_step(struct around *a, AVFrame *frame, int64_t *out_pts, int64_t *out_duration)
{
    enum reel_err err = segment_next(a->segment, frame, out_pts, out_duration);
    if (err != REEL_EOF) return err;
    segment_ledger(a->segment, &a->ledger);
    close_part(a);
    a->part = a->p.after ? PART_BEHIND : PART_OVER;
    return REEL_AGAIN;
}

static enum reel_err behind_step(struct around *a, AVFrame *frame, int64_t *out_pts, int64_t *out_duration)
{
    enum reel_err err =
        a->given < a->p.after ? segment_next(a->segment, frame, out_pts, out_duration) : (enum reel_err)REEL_EOF;
    a->given += !err;
    if (err != REEL_EOF) return err;
    close_part(a);
    a->part = PART_OVER;
    return REEL_AGAIN;
}

enum reel_err around_next(struct around *a, AVFrame *frame, int64_t *out_pts, int64_t *out_duration,
                          uint32_t *out_flags)
{
    enum reel_err err = a->segment ? REEL_OK : open_part(a);
    if (err) return err;
    *out_flags = 0;
    switch (a->part) {
    case PART_SEEK:
        return seek_step(a, frame);
    case PART_BEFORE:
        *out_flags = REEL_FRAME_WARMUP | REEL_FRAME_CONTEXT;
        return give_kept(a, frame, out_pts, out_duration);
    case PART_OWN:
        err = own_step(a, frame, out_pts, out_duration);
        // With warm-up there is no filter that changes the time base, so the times are comparable.
        if (!err && a->p.own.warmup_pts < a->p.own.start_pts && *out_pts < a->p.own.start_pts)
            *out_flags = REEL_FRAME_WARMUP;
        return err;
    case PART_BEHIND:
        *out_flags = REEL_FRAME_CONTEXT;
        return behind_step(a, frame, out_pts, out_duration);
    case PART_OVER:
        break;
    }
    return REEL_EOF;
}

void around_ledger(const struct around *a, struct segment_ledger *out_ledger)
{
    *out_ledger = a->ledger;
}

int64_t around_run_us(const struct around *a)
{
    return a->run_us + (a->segment ? segment_run_us(a->segment) : 0);
}

uint32_t around_tries(const struct around *a)
{
    return a->tries;
}

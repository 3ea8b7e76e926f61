// SPDX-License-Identifier: MIT
//
// What the decoder's tests share: a scratch folder, clips made by the ffmpeg
// command, a scan run to its end, a segment decoded into hashes.
#ifndef REEL_TESTS_DECODER_CLIP_H
#define REEL_TESTS_DECODER_CLIP_H

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/hash.h"
#include "common/log.h"
#include "decoder/scan.h"
#include "decoder/segment.h"
#include "decoder/upload.h"
#include "tests/check.h"

static char clip_dir[CHECK_FOLDER_BYTES];
static struct reel_settings clip_settings;
static char clip_said[4096]; // notes of the last scan, one a line

static inline void clip_say(void *ctx, int level, const char *text)
{
    size_t n = strlen(clip_said);
    snprintf(clip_said + n, sizeof clip_said - n, "%s\n", text);
}
static const struct notes clip_notes = {clip_say, NULL};

static inline void clip_begin(void)
{
    reel_log_init("test", 0, REEL_LOG_ERROR, NULL);
    if (!getenv("CLIP_LOG")) av_log_set_level(AV_LOG_QUIET);
    opt_defaults(reel_settings_table(), &clip_settings);
    check_folder(clip_dir);
}

static inline void clip_end(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", clip_dir);
    if (system(command)) fprintf(stderr, "could not remove %s\n", clip_dir);
}

static inline bool clip_have_ffmpeg(void)
{
    static int have = -1;
    if (have < 0) have = !system("ffmpeg -version >/dev/null 2>&1");
    return have;
}

// Runs ffmpeg with args into clip_dir/name; false when it cannot (no such encoder).
static inline bool clip_make(const char *args, const char *name, char *path, size_t bytes)
{
    char command[4096];
    snprintf(path, bytes, "%s/%s", clip_dir, name);
    snprintf(command, sizeof command, "cd %s && ffmpeg -nostdin -v error -y %s '%s' >/dev/null 2>&1", clip_dir, args,
             path);
    return !system(command);
}

static inline const char *clip_testdata(void)
{
    static char dir[1024];
    const char *env = getenv("REELMILL_TESTDATA");
    snprintf(dir, sizeof dir, "%s/clips", env ? env : "../shared/testdata");
    struct stat st;
    return stat(dir, &st) ? NULL : dir;
}

// A scan with everything that outlives it.
struct clip_scan {
    struct reel_job job;
    enum reel_err err;
    char text[REEL_ERROR_TEXT_MAX];
    struct reel_rec_scanned scanned;
    struct reel_entry *entries;
};

static inline struct clip_scan clip_scan(const char *input, const char *output, enum reel_output_kind kind)
{
    struct clip_scan c = {.job = {.id = 1, .kind = kind, .input = input, .output = output, .parts_dir = clip_dir}};
    struct scan *scan = NULL;
    struct scan_result result;
    clip_said[0] = 0;
    c.err = scan_open(&c.job, &clip_settings, &clip_notes, &scan);
    if (!c.err)
        while ((c.err = scan_step(scan, &result)) == REEL_AGAIN) {
        }
    if (c.err) snprintf(c.text, sizeof c.text, "%s", reel_fail_text());
    if (!c.err) {
        c.scanned = result.scanned;
        c.entries = calloc(result.scanned.n_entries + 1, sizeof *c.entries);
        if (result.scanned.n_entries) memcpy(c.entries, result.entries, result.scanned.n_entries * sizeof *c.entries);
    }
    scan_close(&scan);
    return c;
}

struct clip_frame {
    int64_t pts, duration;
    uint32_t crc;
};

struct clip_frames {
    struct clip_frame *at;
    int n, room;
    struct segment_ledger ledger;
};

// Pixels as they stand in a slot, rows without padding.
static inline uint32_t clip_hash(const struct reel_geometry *g, const uint8_t *slot)
{
    uint32_t crc = 0;
    for (int p = 0; p < reel_format_planes(g->format); p++) {
        uint32_t w, h;
        reel_plane_size(g, p, &w, &h);
        for (uint32_t y = 0; y < h; y++)
            crc = reel_crc32c(crc, slot + g->plane_offset[p] + (size_t)y * g->plane_stride[p],
                              w * reel_format_bytes(g->format));
    }
    return crc;
}

static inline void clip_append(struct clip_frames *frames, struct clip_frame frame)
{
    if (frames->n == frames->room) {
        frames->room = frames->room ? 2 * frames->room : 64;
        frames->at = realloc(frames->at, (size_t)frames->room * sizeof *frames->at);
    }
    frames->at[frames->n++] = frame;
}

// A decoded picture on its way through a slot to what is compared.
struct clip_slot {
    struct reel_geometry g;
    struct reel_colour colour;
    struct upload upload;
    uint8_t *pixels;
    AVFrame *frame;
};

static inline enum reel_err clip_slot_init(const struct reel_media *media, struct clip_slot *s)
{
    *s = (struct clip_slot){.colour = media->colour};
    enum reel_err err = reel_geometry_init(&s->g, media->format, media->width, media->height, REEL_INPUT_AUX_BYTES);
    if (err) return err;
    s->pixels = aligned_alloc(4096, s->g.slot_bytes);
    s->frame = av_frame_alloc();
    return REEL_OK;
}

static inline void clip_slot_fini(struct clip_slot *s)
{
    upload_fini(&s->upload);
    av_frame_free(&s->frame);
    free(s->pixels);
}

// Appends s->frame, and lets go of it.
static inline enum reel_err clip_take(struct clip_slot *s, int64_t pts, int64_t duration, struct clip_frames *to)
{
    bool fitted;
    int lost = 0;
    enum reel_err err = upload_frame(&s->upload, &s->g, &s->colour, s->pixels, s->frame, &fitted);
    if (err) return err;
    upload_side(s->frame, s->pixels + s->g.aux_offset, s->g.aux_bytes, &lost);
    clip_append(to, (struct clip_frame){pts, duration, clip_hash(&s->g, s->pixels)});
    av_frame_unref(s->frame);
    return REEL_OK;
}

// Decodes one segment and appends its frames (and adds to the ledger); those from
// `warmup` to its start to *seen.
static inline enum reel_err clip_segment_from(const struct clip_scan *scan, struct demux_pool *pool,
                                              const struct reel_entry *entry, int64_t warmup, int64_t start,
                                              int64_t end, struct clip_frames *frames, struct clip_frames *seen)
{
    struct segment_params p = {
        .settings = &clip_settings,
        .job = scan->job,
        .media = scan->scanned.media,
        .has_entry = entry != NULL,
        .start_pts = start,
        .end_pts = end,
        .warmup_pts = warmup,
    };
    if (entry) p.entry = *entry;
    struct segment *segment;
    struct clip_slot slot;
    enum reel_err err = segment_open(&p, pool, &segment);
    if (err) return err;
    err = clip_slot_init(&p.media, &slot);
    int64_t pts, duration;
    while (!err && ((err = segment_next(segment, slot.frame, &pts, &duration)) == REEL_OK || err == REEL_AGAIN))
        err = err ? REEL_OK : clip_take(&slot, pts, duration, pts < start ? seen : frames);
    struct segment_ledger l;
    segment_ledger(segment, &l);
    frames->ledger.packets += l.packets;
    frames->ledger.hidden += l.hidden;
    frames->ledger.unreadable += l.unreadable;
    frames->ledger.filtered += l.filtered;
    frames->ledger.errors += l.errors;
    frames->ledger.moved += l.moved;
    clip_slot_fini(&slot);
    segment_close(&segment, pool);
    return err == REEL_EOF ? REEL_OK : err;
}

static inline enum reel_err clip_segment(const struct clip_scan *scan, struct demux_pool *pool,
                                         const struct reel_entry *entry, int64_t start, int64_t end,
                                         struct clip_frames *frames)
{
    return clip_segment_from(scan, pool, entry, start, start, end, frames, NULL);
}

#endif

// SPDX-License-Identifier: MIT
//
// A bench for the aggregator's tests: rings in memory, settings as the
// coordinator gives them, a job in a folder of its own, frames with a picture
// that can be told apart, and a lane driven as the loop drives it.
#ifndef REEL_TESTS_LAB_H
#define REEL_TESTS_LAB_H

#include <dirent.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aggregator/lane.h"
#include "aggregator/live/live.h"
#include "aggregator/picture.h"
#include "aggregator/sink/sink.h"
#include "tests/check.h"

struct lab {
    struct reel_settings settings;
    char folder[CHECK_FOLDER_BYTES], parts[CHECK_FOLDER_BYTES + 16], output[CHECK_FOLDER_BYTES + 96];
    struct reel_job job;
    struct reel_stat_row row;
    struct release *release;
    struct reel_ring in, out;
    bool on_device; // pixels in memory that stands for a device's
    bool masked;    // the model makes a mask
    uint32_t rate;  // pictures of a frame; 0 is 1
    struct reel_rec_proven proven;
    struct plan plan; // of the proof
    struct reel_rec_prove prove;
    struct lane *lane;
    struct reel_rec_open open;
    struct live *live; // of a live job, by lab_live()
    int bell_fd;
    uint32_t next, taken;
    uint32_t skipped;        // live: numbers that no frame has
    uint64_t taken_bits[64]; // of frames 0..4095
    struct reel_rec_committed committed[64];
    uint32_t segments;
    uint64_t frames;
    char notes[4096];
};

// MPEG-1 layer 3, 32 kbit/s, 48 kHz, stereo: 96 bytes for 24 ms.
static inline struct reel_pack_stream lab_mp3(void)
{
    return (struct reel_pack_stream){.media_type = AVMEDIA_TYPE_AUDIO,
                                     .codec_id = AV_CODEC_ID_MP3,
                                     .format = AV_SAMPLE_FMT_FLTP,
                                     .sample_rate = 48000,
                                     .channels = 2,
                                     .channel_mask = 3,
                                     .frame_size = 1152,
                                     .bit_rate = 32000,
                                     .disposition = AV_DISPOSITION_DEFAULT,
                                     .time_base = {1, 48000},
                                     .duration = INT64_MIN};
}

static inline void lab_init(struct lab *l, enum reel_output_kind kind, const char *name)
{
    *l = (struct lab){0};
    opt_defaults(reel_settings_table(), &l->settings);
    check_folder(l->folder);
    snprintf(l->parts, sizeof l->parts, "%s/parts", l->folder);
    if (mkdir(l->parts, 0700)) abort();
    if (kind == REEL_OUTPUT_NULL)
        snprintf(l->output, sizeof l->output, "null:");
    else
        snprintf(l->output, sizeof l->output, "%s/%s", l->folder, name);
    l->job = (struct reel_job){0, kind, "in.mp4", l->output, l->parts};
    l->bell_fd = eventfd(0, EFD_NONBLOCK);
    if (release_create(l->bell_fd, &l->release)) abort();
    encode_begin();
}

// The job becomes a live one; again after live_close(), as a process's next life.
static inline enum reel_err lab_live(struct lab *l)
{
    l->settings.live = true;
    return live_open(&l->settings, &l->job, l->bell_fd, &l->live);
}

// All of a text file, up to 1 MB; empty when there is none. free().
static inline char *lab_slurp(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f) return strdup("");
    char *text = calloc(1, 1 << 20);
    if (fread(text, 1, (1 << 20) - 1, f) == 0) text[0] = 0;
    fclose(f);
    return text;
}

static inline void lab_remove(const char *path)
{
    DIR *dir = opendir(path);
    if (!dir) {
        unlink(path);
        return;
    }
    struct dirent *e;
    while ((e = readdir(dir))) {
        char item[600];
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
        snprintf(item, sizeof item, "%s/%s", path, e->d_name);
        lab_remove(item);
    }
    closedir(dir);
    rmdir(path);
}

static inline void lab_fini(struct lab *l)
{
    lane_close(&l->lane);
    live_close(&l->live);
    free(l->in.base);
    free(l->out.base);
    free(l->in.pixels);
    free(l->out.pixels);
    release_destroy(&l->release);
    lab_remove(l->folder);
}

static inline struct reel_media lab_media(uint32_t w, uint32_t h, struct reel_pixel_format f)
{
    return (struct reel_media){.width = w,
                               .height = h,
                               .format = f,
                               .source_depth = f.depth,
                               .colour = {2, 2, 2, 0, 0, 0},
                               .sar = {0, 1},
                               .time_base = {1, 12800},
                               .frame_rate = {25, 1},
                               .last_duration = 512,
                               .n_frames = -1,
                               .codec = "h264"};
}

// Proves; shaped of media's size x scale.
static inline enum reel_err lab_prove(struct lab *l, enum reel_task task, const struct reel_media *media,
                                      uint32_t scale, uint32_t results_bytes)
{
    struct reel_rec_prove *p = &l->prove;
    *p = (struct reel_rec_prove){.in_slots = 8, .rate = l->rate, .media = *media};
    enum reel_err err = reel_geometry_init(&p->in, media->format, media->width, media->height, REEL_INPUT_AUX_BYTES);
    if (err) return err;
    p->shaped = (struct reel_rec_shaped){.task = task, .format = media->format, .results_bytes = results_bytes};
    if (l->masked) p->shaped.format = (struct reel_pixel_format){.layout = REEL_PIX_GRAY, .depth = 8};
    if (task == REEL_TASK_IMAGE) {
        p->shaped.width = media->width * scale;
        p->shaped.height = media->height * scale;
    }
    return plan_prove(&l->settings, &l->job, p, &l->plan, &l->proven);
}

static inline void lab_ring(struct reel_ring *ring, const struct reel_geometry *g, uint32_t slots)
{
    free(ring->base);
    ring->bytes = g->slot_bytes * slots;
    ring->base = aligned_alloc(REEL_SLOT_ALIGN, ring->bytes);
    if (!ring->base) abort();
    memset(ring->base, 0, ring->bytes);
}

// As children set up a ring on a device that plays with host memory.
static inline enum reel_err lab_device_ring(struct reel_ring *ring, uint32_t epoch, const struct reel_geometry *g,
                                            uint32_t slots)
{
    free(ring->pixels);
    enum reel_err err = reel_ring_configure_device(ring, epoch, slots, g);
    uint8_t *pixels = aligned_alloc(REEL_SLOT_ALIGN, g->slot_bytes * slots);
    if (!pixels) abort();
    reel_ring_attach(ring, pixels, false);
    return err;
}

static inline enum reel_err lab_open(struct lab *l, uint32_t segment)
{
    uint32_t in_slots = 8, out_slots = 4 + l->proven.hold_frames;
    lab_ring(&l->in, &l->prove.in, in_slots);
    lab_ring(&l->out, &l->proven.out, out_slots);
    l->open = (struct reel_rec_open){.lane = 0,
                                     .epoch = segment + 1,
                                     .segment = segment,
                                     .in_slots = in_slots,
                                     .out_slots = out_slots,
                                     .in = l->prove.in,
                                     .out = l->proven.out,
                                     .media = l->prove.media,
                                     .out_colour = l->proven.out_colour,
                                     .live = l->live != NULL,
                                     .task = l->prove.shaped.task,
                                     .rate = l->rate};
    if (l->on_device) {
        l->open.in_place = REEL_PLACE_DEVICE;
        enum reel_err err = lab_device_ring(&l->in, l->open.epoch, &l->prove.in, in_slots);
        if (err) return err;
    }
    if (l->on_device && l->proven.out.format.layout != REEL_PIX_NONE) {
        l->open.out_place = REEL_PLACE_DEVICE;
        enum reel_err err = lab_device_ring(&l->out, l->open.epoch, &l->proven.out, out_slots);
        if (err) return err;
    }
    struct lane_params params = {&l->settings, &l->job, &l->open, &l->in, &l->out, l->release, &l->row, l->live};
    l->next = l->taken = l->skipped = 0;
    memset(l->taken_bits, 0, sizeof l->taken_bits);
    return lane_open(&params, &l->lane);
}

// A picture that moves with n: gradients in every plane.
static inline void lab_draw(const struct reel_ring *ring, uint32_t slot, uint32_t n)
{
    const struct reel_geometry *g = &ring->geometry;
    int top = (1 << g->format.depth) - 1;
    for (int p = 0; p < reel_format_planes(g->format); p++) {
        uint32_t w, h;
        reel_plane_size(g, p, &w, &h);
        for (uint32_t y = 0; y < h; y++) {
            uint8_t *row = reel_ring_plane(ring, slot, p) + (size_t)y * g->plane_stride[p];
            for (uint32_t x = 0; x < w; x++) {
                int v = (int)((x * 3 + y * 2 + n * 5 + (uint32_t)p * 40) % 200 + 20) * top / 255;
                if (g->format.depth > 8)
                    ((uint16_t *)row)[x] = (uint16_t)v;
                else
                    row[x] = (uint8_t)v;
            }
        }
    }
}

static inline void lab_collect_taken(struct lab *l)
{
    struct reel_rec_taken t;
    while (release_next(l->release, &t)) {
        if (t.epoch != l->open.epoch) continue;
        if (t.n < 4096) l->taken_bits[t.n / 64] |= UINT64_C(1) << t.n % 64;
        l->taken++;
    }
}

// One frame through the lane. results: aux of the output slot, or NULL.
static inline enum reel_err lab_frame_with(struct lab *l, int64_t pts, int64_t duration, uint32_t flags,
                                           const void *results, uint32_t results_bytes)
{
    uint32_t n = l->next++, in_slot = n % l->open.in_slots, out_slot = n % l->open.out_slots;
    // The lane must have let go of the frame that had this slot.
    if (!l->live && n >= l->open.out_slots &&
        !(l->taken_bits[(n - l->open.out_slots) / 64] >> (n - l->open.out_slots) % 64 & 1))
        return reel_fail(REEL_ERR_LIMIT, "slot of frame %u is still held at frame %u", n - l->open.out_slots, n);
    lab_draw(&l->in, in_slot, n);
    reel_ring_publish(&l->in, in_slot, n, pts, 0);
    if (!(flags & (REEL_FRAME_REPEAT | REEL_FRAME_PASS))) {
        if (l->out.geometry.format.layout != REEL_PIX_NONE) lab_draw(&l->out, out_slot, n);
        if (results_bytes) memcpy(reel_ring_aux(&l->out, out_slot), results, results_bytes);
        reel_ring_publish(&l->out, out_slot, n, pts, results_bytes);
    }
    struct reel_rec_frame rec = {0, l->open.epoch, n, in_slot, out_slot, flags, pts, duration};
    enum reel_err err = lane_frame(l->lane, &rec);
    struct reel_rec_committed committed;
    while (!err && (err = lane_step(l->lane, &committed)) == REEL_AGAIN) { // its sink has no room
        struct pollfd bell = {l->bell_fd, POLLIN, 0};
        uint64_t rung;
        err = poll(&bell, 1, 10000) == 1 && read(l->bell_fd, &rung, sizeof rung) == sizeof rung
                  ? REEL_OK
                  : reel_fail(REEL_ERR_FAULT, "the sink had no room for ten seconds");
    }
    lab_collect_taken(l);
    return err;
}

static inline enum reel_err lab_frame(struct lab *l, int64_t pts)
{
    return lab_frame_with(l, pts, 0, 0, NULL, 0);
}

// Flush and commit.
static inline enum reel_err lab_commit(struct lab *l)
{
    enum reel_err err = lane_finish(l->lane, l->next - l->skipped);
    struct reel_rec_committed *c = &l->committed[l->segments];
    if (!err) err = lane_step(l->lane, c);
    if (err != REEL_EOF) return err ? err : REEL_ERR_PROTO;
    lane_close(&l->lane);
    lab_collect_taken(l);
    l->segments++;
    l->frames += c->frames;
    return REEL_OK;
}

static bool lab_tick(void *ctx, uint64_t bytes)
{
    return true;
}

static void lab_note(void *ctx, const char *text)
{
    struct lab *l = ctx;
    size_t at = strlen(l->notes);
    snprintf(l->notes + at, sizeof l->notes - at, "%s\n", text);
}

static inline enum reel_err lab_join(struct lab *l, struct reel_rec_muxed *out)
{
    struct reel_rec_mux mux = {
        .segments = l->segments, .media = reel_media_at_rate(&l->prove.media, l->rate), .frames = l->frames};
    struct sink_join join = {&l->job, &mux, lab_tick, lab_note, l};
    return sink_of(l->job.kind)->join(&join, out);
}

// The sink's word on the committed part of a segment of n frames.
static inline bool lab_verify(struct lab *l, uint32_t segment, uint32_t n)
{
    struct reel_rec_verify want = {.segment = segment, .frames = n, .bytes = l->committed[segment].bytes};
    memcpy(want.sha256, l->committed[segment].sha256, 32);
    struct sink_check check = {&l->job, &want, lab_tick, l};
    return sink_of(l->job.kind)->verify(&check);
}

// Number of entries of a folder that are not "." and "..".
static inline int lab_count_files(const char *path)
{
    DIR *dir = opendir(path);
    if (!dir) return -1;
    int n = 0;
    struct dirent *e;
    while ((e = readdir(dir))) n += strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
    closedir(dir);
    return n;
}

#define LAB_YUV420 ((struct reel_pixel_format){REEL_PIX_YUV, 8, 1, 1})

#endif

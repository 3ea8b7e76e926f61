// SPDX-License-Identifier: MIT
//
// First pass of the mux: the timestamps and stream of the video's parts, and
// what the part of the copied streams holds. See mux.h. All that it keeps are
// copies: the readers are closed when it ends.
#include <stdlib.h>
#include <sys/stat.h>

#include "aggregator/sink/mux.h"
#include "aggregator/sink/output.h"

// ---- the video's parts --------------------------------------------

// All parts must be one stream.
static enum reel_err check_video(const struct mux *m, const struct reel_pack_stream *s, uint32_t segment)
{
    const char *what = mux_differs(&m->head, s);
    if (!what) return REEL_OK;
    return reel_fail(
        REEL_ERR_INPUT,
        "could not join \"%s\": segment %u has a different %s from segment 0\nto start over use: --resume never",
        m->join->job->output, segment, what);
}

static enum reel_err scan_part(struct mux *m, uint32_t segment)
{
    char path[REEL_PATH_BYTES];
    struct reel_pack_reader *r;
    enum reel_err err = reel_pack_open(reel_part_path(m->join->job, segment, path), &r);
    if (err) return err;
    struct reel_pack_record *rec = m->part_record;
    while (!err && !(err = reel_pack_read(r, rec))) {
        if (rec->type == REEL_PACK_STREAM)
            err = m->head.video ? check_video(m, &rec->u.stream, segment) : mux_keep_video(&m->head, &rec->u.stream);
        if (rec->type == REEL_PACK_PACKET) err = timeline_add(&m->timeline, rec->u.packet.pts);
        if (!err && !m->join->tick(m->join->ctx, 0)) err = REEL_GONE;
    }
    reel_pack_close(&r);
    return err == REEL_EOF ? REEL_OK : err;
}

// What is written already was placed by the depth of those before.
static enum reel_err check_depth(struct mux *m, size_t before)
{
    if (m->timeline.depth <= before) return REEL_OK;
    return reel_fail(REEL_ERR_FAULT,
                     "could not write to standard output: the encoder reorders %zu frames, and %zu before\nwithout B "
                     "frames it will not: --encoder_opts bf=0",
                     m->timeline.depth, before);
}

enum reel_err mux_scan_video(struct mux *m, uint32_t n)
{
    const struct reel_rec_mux *rec = m->join->mux;
    enum reel_err err = REEL_OK;
    const bool first = !m->scanned;
    if (n > rec->segments) n = rec->segments;
    if (m->scanned >= n) return REEL_OK;
    for (; !err && m->scanned < n; m->scanned++) {
        if (m->streams) err = output_wait_part(m->join, m->scanned);
        if (!err) err = scan_part(m, m->scanned);
    }
    if (!err && (!m->head.video || (!m->streams && m->timeline.n != rec->frames)))
        err = reel_fail(REEL_ERR_INPUT, "could not join \"%s\": the parts have %zu frames of %llu",
                        m->join->job->output, m->timeline.n, (unsigned long long)rec->frames);
    if (!err && first && m->streams) m->timeline.depth = (size_t)m->head.video->video_delay;
    const size_t depth = m->timeline.depth;
    if (!err) err = timeline_close(&m->timeline, rec->media.last_duration);
    if (!err && !first) err = check_depth(m, depth);
    m->head.reorder = (int)m->timeline.depth;
    return err;
}

// ---- the copied streams -------------------------------------------

// Streams, texts and chapters; in Matroska also cover pictures, which are
// attachments there and belong to the header. Leaves the reader closed.
enum reel_err mux_scan_copied(struct mux *m, bool *out_any)
{
    char path[REEL_PATH_BYTES];
    *out_any = false;
    struct stat st;
    const bool there = !stat(reel_copy_part_path(m->join->job, path), &st);
    const uint64_t want = m->join->mux->copy_bytes;
    if (want && (!there || (uint64_t)st.st_size != want))
        return reel_fail(REEL_ERR_IO,
                         "could not join \"%s\": its sound and other streams, in \"%s\", were %s by somebody\n"
                         "run the same command again",
                         m->join->job->output, path, there ? "changed" : "removed");
    if (!there) return REEL_OK;
    *out_any = true;
    struct reel_pack_reader *r;
    enum reel_err err = reel_pack_open(path, &r);
    if (err) return err;
    struct reel_pack_record *rec = m->copy_record;
    bool matroska = mux_is_format(&m->head, "matroska");
    int covers = 0;
    while (!err && !(err = reel_pack_read(r, rec))) {
        if (rec->type == REEL_PACK_STREAM) {
            err = mux_keep_copied(&m->head, &rec->u.stream);
            if (!err) covers += matroska && mux_is_cover(&m->head.copied[m->head.n_copied - 1]);
        } else if (rec->type == REEL_PACK_GLOBALS) {
            mux_put_texts(&m->head.globals, rec->u.globals.text, rec->u.globals.n);
        } else if (rec->type == REEL_PACK_CHAPTER) {
            err = mux_keep_chapter(&m->head, &rec->u.chapter);
        } else if (rec->type == REEL_PACK_PACKET) {
            struct copied *c = &m->head.copied[rec->u.packet.stream];
            if (!covers) break; // the rest is for the second pass
            if (!mux_is_cover(c) || c->cover) continue;
            c->cover = mux_copy_bytes(rec->u.packet.data, rec->u.packet.bytes);
            c->cover_bytes = rec->u.packet.bytes;
            if (!c->cover) err = mux_no_memory();
            covers--;
        }
        if (!err && !m->join->tick(m->join->ctx, 0)) err = REEL_GONE;
    }
    reel_pack_close(&r);
    return err == REEL_EOF ? REEL_OK : err;
}

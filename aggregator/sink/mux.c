// SPDX-License-Identifier: MIT
//
// The final file: the parts of all segments in order and the part of the
// copied streams, read from our own pack files, written by libavformat under a
// temporary name, read again and counted, synced and renamed. Runs in the
// chores' thread.
//
// Two passes over the video: the first (mux_scan.c) takes the timestamps
// (timeline.h) and sees that all segments were encoded alike, the second, here,
// writes. To standard output (output.h) both go part by part, as these come: one that
// is written has the next one scanned, whose first frame ends its last. Nothing is read
// again there. For .mp4 and .mov a pass between the two, which writes to nowhere, tells
// how large the header in front will be (placed.h).
#include <errno.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "aggregator/sink/mux.h"
#include "aggregator/sink/output.h"
#include "common/life.h"

static void add_size(const char *path, uint64_t *bytes)
{
    struct stat st;
    if (!stat(path, &st)) *bytes += (uint64_t)st.st_size;
}

// The output has about the size of its parts; what was written of it goes, unless parts
// are in it already.
static enum reel_err disk_full(const struct mux *m, int error)
{
    struct statvfs fs;
    uint64_t have = 0;
    if (!statvfs(m->join->job->parts_dir, &fs)) have = (uint64_t)fs.f_bavail * fs.f_frsize;
    if (!moved_any(m->moved)) add_size(m->temporary, &have);
    const uint64_t need = m->parts_bytes / 16 + m->parts_bytes / 50;
    return reel_fail(REEL_ERR_IO,
                     "could not write file \"%s\": %s\nits parts are done and kept: free about %llu MB there and run "
                     "the same command again, which only puts them together",
                     m->join->job->output, strerror(error),
                     1 + (unsigned long long)((need > have ? need - have : 0) >> 20));
}

static enum reel_err mux_failed(const struct mux *m, const char *what, int rc)
{
    if (m->streams && rc == AVERROR(EPIPE)) return REEL_ERR_IO; // output.c has said why
    if (rc == AVERROR_EXIT) return REEL_GONE;
    if (!m->streams && (rc == AVERROR(ENOSPC) || rc == AVERROR(EDQUOT))) return disk_full(m, AVUNERROR(rc));
    if (rc == AVERROR(ENOSPC) || rc == AVERROR(EDQUOT) || rc == AVERROR(EIO))
        return sink_write_failed(m->join->job->output, AVUNERROR(rc));
    if (rc == AVERROR(EFBIG))
        return reel_fail(REEL_ERR_IO,
                         "could not write file \"%s\": %s\nits disk (FAT: 4 GB) or ulimit -f allows no larger one; its "
                         "parts are done and kept: the same command puts them together once it may",
                         m->join->job->output, strerror(EFBIG));
    char why[AV_ERROR_MAX_STRING_SIZE];
    av_strerror(rc, why, sizeof why);
    return reel_fail(REEL_ERR_FAULT, "could not %s file \"%s\": %s", what, m->join->job->output, encode_log_text(why));
}

// ---- second pass ----------------------------------------------------------------

enum reel_err mux_next_video(struct mux *m)
{
    for (;;) {
        enum reel_err err = REEL_OK;
        if (!m->part) {
            if (m->segment == m->join->mux->segments) return REEL_EOF;
            char path[REEL_PATH_BYTES];
            if (m->streams) err = mux_scan_video(m, m->segment + 2);
            if (!err) err = reel_pack_open(reel_part_path(m->join->job, m->segment++, path), &m->part);
        }
        if (!err) err = reel_pack_read(m->part, m->part_record);
        if (err == REEL_EOF) {
            reel_pack_close(&m->part);
            if (m->streams) output_drop_part(m->join, m->segment - 1);
            continue;
        }
        if (err || m->part_record->type == REEL_PACK_PACKET) return err;
    }
}

// The next packet of a kept stream into copy_record; copy_there tells whether.
static enum reel_err next_copied(struct mux *m)
{
    m->copy_there = false;
    while (m->copy) {
        enum reel_err err = reel_pack_read(m->copy, m->copy_record);
        if (err == REEL_EOF) {
            reel_pack_close(&m->copy);
            return REEL_OK;
        }
        if (err) return err;
        if (m->copy_record->type != REEL_PACK_PACKET) continue;
        const struct copied *c = &m->head.copied[m->copy_record->u.packet.stream];
        if (c->to < 0 || c->cover || c->par->codec_type == AVMEDIA_TYPE_ATTACHMENT) continue;
        m->copy_there = true;
        return REEL_OK;
    }
    return REEL_OK;
}

// The place of the frame shown at pts in a container with a rate: the nearest that is free.
static int64_t place(struct mux *m, int64_t pts)
{
    AVRational tb = {m->head.video->time_base.num, m->head.video->time_base.den};
    int64_t at = av_rescale_q(pts - m->timeline.sorted[0], tb, av_inv_q(m->head.rate));
    // Else times that a container has rounded would leave gaps.
    if (!(m->head.media->flags & REEL_MEDIA_VFR) || at < m->next_tick) at = m->next_tick;
    m->next_tick = at + 1;
    return at;
}

// Once for each place up to the next frame's: there is nothing else to show.
static int write_raw(struct mux *m, AVPacket *pkt)
{
    const int64_t end = pkt->pts + timeline_duration(&m->timeline, pkt->pts);
    const int64_t at = place(m, pkt->pts);
    AVRational tb = {m->head.video->time_base.num, m->head.video->time_base.den};
    int64_t times = av_rescale_q(end - m->timeline.sorted[0], tb, av_inv_q(m->head.rate)) - at;
    if (times < 1 || !(m->head.media->flags & REEL_MEDIA_VFR)) times = 1;
    int rc = 0;
    for (int64_t i = 0; i < times && rc >= 0; i++) {
        pkt->pts = pkt->dts = at + i;
        rc = av_write_frame(m->oc, pkt);
        m->written++;
    }
    m->next_tick = at + times;
    return rc;
}

static int write_coded(struct mux *m, AVPacket *pkt)
{
    AVStream *st = m->oc->streams[0];
    AVRational tb = {m->head.video->time_base.num, m->head.video->time_base.den};
    pkt->dts = timeline_dts(&m->timeline, m->frames);
    pkt->duration = timeline_duration(&m->timeline, pkt->pts);
    if (m->head.rate.num) {
        pkt->dts = pkt->pts = place(m, pkt->dts);
        pkt->duration = 1;
        tb = av_inv_q(m->head.rate);
    }
    av_packet_rescale_ts(pkt, tb, st->time_base);
    // A coarser time base may bring two together.
    if (m->frames && pkt->dts <= m->last_video_dts) pkt->dts = m->last_video_dts + 1;
    if (pkt->pts < pkt->dts) pkt->pts = pkt->dts;
    m->last_video_dts = pkt->dts;
    m->written++;
    return av_interleaved_write_frame(m->oc, pkt);
}

static enum reel_err write_video(struct mux *m)
{
    AVPacket *pkt = m->packet;
    enum reel_err err = mux_fill_packet(pkt, &m->part_record->u.packet);
    if (err) return err;
    const bool raw = encode_is_raw(m->head.format);
    const uint64_t bytes = (uint64_t)pkt->size;
    pkt->stream_index = 0;
    if (raw) err = y4m_wrap(m->head.video, pkt);
    if (err) return err;
    encode_log_clear();
    int rc = raw ? write_raw(m, pkt) : write_coded(m, pkt);
    if (raw) y4m_unwrap(pkt);
    if (rc >= 0 && m->oc->pb->error < 0) rc = m->oc->pb->error;
    if (rc < 0) return mux_failed(m, "write", rc);
    m->frames++;
    if (!m->measures) reel_crash_point("aggregator.mid_mux");
    return m->join->tick(m->join->ctx, m->measures ? 0 : bytes) ? REEL_OK : REEL_GONE;
}

static enum reel_err write_copied(struct mux *m)
{
    AVPacket *pkt = m->packet;
    struct copied *c = &m->head.copied[m->copy_record->u.packet.stream];
    enum reel_err err = mux_fill_packet(pkt, &m->copy_record->u.packet);
    if (err) return err;
    AVStream *st = m->oc->streams[c->to];
    av_packet_rescale_ts(pkt, c->time_base, st->time_base);
    if (pkt->dts == AV_NOPTS_VALUE) pkt->dts = pkt->pts;
    if (pkt->pts == AV_NOPTS_VALUE) pkt->pts = pkt->dts;
    if (pkt->pts != AV_NOPTS_VALUE) {
        const int64_t delay = mux_codec_delay(&m->head, c, st->time_base);
        pkt->pts += delay;
        pkt->dts += delay;
    }
    // Damage in the input: order is what a container asks for.
    if (c->last_dts != INT64_MIN && pkt->dts != AV_NOPTS_VALUE && pkt->dts <= c->last_dts) pkt->dts = c->last_dts + 1;
    if (pkt->dts != AV_NOPTS_VALUE) {
        if (pkt->pts < pkt->dts) pkt->pts = pkt->dts;
        c->last_dts = pkt->dts;
    }
    pkt->stream_index = c->to;
    uint64_t bytes = (uint64_t)pkt->size;
    encode_log_clear();
    int rc = av_interleaved_write_frame(m->oc, pkt);
    if (rc == AVERROR(ENOSPC) || rc == AVERROR(EDQUOT) || rc == AVERROR(EIO) || rc == AVERROR(ENOMEM) ||
        m->oc->pb->error < 0)
        return mux_failed(m, "write", rc < 0 ? rc : m->oc->pb->error);
    if (rc < 0 && !c->refused++ && !m->measures) {
        char why[AV_ERROR_MAX_STRING_SIZE];
        av_strerror(rc, why, sizeof why);
        const char *kind = av_get_media_type_string(c->par->codec_type);
        mux_note(&m->head, "could not keep some packets of a copied %s stream (%s): %s", kind ? kind : "data",
                 avcodec_get_name(c->par->codec_id), encode_log_text(why));
        mux_count_lost(&m->head, c, true);
    }
    return m->join->tick(m->join->ctx, m->measures ? 0 : bytes) ? REEL_OK : REEL_GONE;
}

// Parts that are written may go, where the disk has no room for both.
static enum reel_err give_parts_back(struct mux *m, uint64_t bytes)
{
    if (!moved_is_due(m->moved, bytes)) return REEL_OK;
    avio_flush(m->oc->pb);
    if (m->oc->pb->error < 0) return mux_failed(m, "write", m->oc->pb->error);
    return m->part ? moved_step(m->moved, m->segment - 1, reel_pack_at(m->part)) : REEL_OK;
}

// Whether the copied packet goes before the video packet.
static bool copied_first(const struct mux *m)
{
    const struct reel_pack_packet *p = &m->copy_record->u.packet;
    int64_t at = p->dts != INT64_MIN ? p->dts : p->pts;
    if (at == INT64_MIN) return true;
    AVRational tb = {m->head.video->time_base.num, m->head.video->time_base.den};
    return av_compare_ts(at, m->head.copied[p->stream].time_base, timeline_dts(&m->timeline, m->frames), tb) < 0;
}

static enum reel_err write_packets(struct mux *m)
{
    char path[REEL_PATH_BYTES];
    enum reel_err err = REEL_OK;
    if (m->any_copied) err = reel_pack_open(reel_copy_part_path(m->join->job, path), &m->copy);
    if (!err) err = next_copied(m);
    enum reel_err video = err ? err : mux_next_video(m);
    while (!err && (video == REEL_OK || m->copy_there)) {
        if (m->copy_there && (video == REEL_EOF || copied_first(m))) {
            err = write_copied(m);
            if (!err) err = give_parts_back(m, m->copy_record->u.packet.bytes);
            if (!err) err = next_copied(m);
        } else {
            err = write_video(m);
            if (!err) err = give_parts_back(m, m->part_record->u.packet.bytes);
            if (!err) video = mux_next_video(m);
        }
        if (video && video != REEL_EOF) err = video;
    }
    return err;
}

enum reel_err mux_open_output(struct mux *m)
{
    if (m->streams) return output_open(m->join, &m->oc->pb);
    int rc = 0;
    if (m->measures || m->header.bytes)
        rc = placed_open(m->oc, m->measures ? NULL : m->temporary, &m->header, &m->placed);
    else
        rc = avio_open(&m->oc->pb, m->temporary, AVIO_FLAG_WRITE);
    return rc < 0 ? mux_failed(m, "create", rc) : REEL_OK;
}

static int close_output(struct mux *m)
{
    int rc = 0;
    if (m->placed)
        rc = placed_close(m->oc, &m->placed);
    else if (!m->streams)
        rc = avio_closep(&m->oc->pb);
    else
        output_close(&m->oc->pb);
    return rc;
}

static enum reel_err begin_file(struct mux *m)
{
    enum reel_err err = mux_make_context(&m->head, m->temporary, &m->oc);
    if (!err) err = mux_open_output(m);
    if (err) return err;
    AVDictionary *options = NULL;
    mux_container_options(&m->head, &options);
    encode_log_clear();
    int rc = avformat_write_header(m->oc, &options);
    av_dict_free(&options);
    return rc < 0 ? mux_failed(m, "begin", rc) : REEL_OK;
}

static enum reel_err finish_file(struct mux *m)
{
    encode_log_clear();
    int rc = av_write_trailer(m->oc);
    avio_flush(m->oc->pb);
    if (rc >= 0) rc = m->oc->pb->error;
    if (m->measures && rc >= 0) m->header = placed_found(m->placed);
    const int closed = close_output(m);
    if (rc >= 0) rc = closed;
    return rc < 0 ? mux_failed(m, "end", rc) : REEL_OK;
}

static enum reel_err write_file(struct mux *m)
{
    enum reel_err err = begin_file(m);
    if (!err) err = write_packets(m);
    return err ? err : finish_file(m);
}

// What the header of an .mp4 or .mov takes: all is written to nowhere, and is to be written again.
static enum reel_err measure_header(struct mux *m)
{
    if (m->streams || (!mux_is_format(&m->head, "mp4") && !mux_is_format(&m->head, "mov"))) return REEL_OK;
    m->measures = true;
    enum reel_err err = write_file(m);
    m->measures = false;
    if (err) return err;
    avformat_free_context(m->oc);
    m->oc = NULL;
    m->frames = m->written = 0;
    m->last_video_dts = m->next_tick = 0;
    m->segment = 0;
    for (int i = 0; i < m->head.n_copied; i++) {
        m->head.copied[i].last_dts = INT64_MIN;
        m->head.copied[i].refused = 0;
    }
    return REEL_OK;
}

// ---- reading it again -----------------------------------------------------------

// Some readers know their streams only by their packets. -1: not yet.
static int find_video(const AVFormatContext *ic)
{
    for (unsigned i = 0; i < ic->nb_streams; i++)
        if (ic->streams[i]->codecpar->codec_type == AVMEDIA_TYPE_VIDEO &&
            !(ic->streams[i]->disposition & AV_DISPOSITION_ATTACHED_PIC))
            return (int)i;
    return -1;
}

// Texts of the input that the file does not give back.
static void check_texts(struct mux *m, const AVFormatContext *ic)
{
    static const char *const own[] = {"encoder",           "major_brand",  "minor_version",
                                      "compatible_brands", "handler_name", "vendor_id"};
    const AVDictionaryEntry *e = NULL;
    int all = 0, lost = 0;
    char names[256] = "";
    while ((e = av_dict_get(m->head.globals, "", e, AV_DICT_IGNORE_SUFFIX))) {
        bool skip = false;
        for (size_t i = 0; i < sizeof own / sizeof *own; i++) skip |= !strcasecmp(e->key, own[i]);
        if (skip) continue;
        all++;
        if (av_dict_get(ic->metadata, e->key, NULL, 0)) continue;
        lost++;
        av_strlcatf(names, sizeof names, "%s%s", *names ? ", " : "", e->key);
    }
    if (!lost) return;
    m->head.kept.metadata = lost == all ? REEL_KEPT_LOST : REEL_KEPT_PART;
    mux_note(&m->head, "could not keep metadata: the output's format does not hold %s", names);
}

// Cover pictures that went in and do not come out (.mov).
static void check_covers(struct mux *m, const AVFormatContext *ic)
{
    int in = 0, out = 0;
    for (int i = 0; i < m->head.n_copied; i++) in += m->head.copied[i].to >= 0 && mux_is_cover(&m->head.copied[i]);
    for (unsigned i = 0; i < ic->nb_streams; i++)
        out += ic->streams[i]->disposition & AV_DISPOSITION_ATTACHED_PIC ? 1 : 0;
    if (out >= in) return;
    m->head.kept.other = out ? REEL_KEPT_PART : REEL_KEPT_LOST;
    mux_note(&m->head, "could not keep the cover picture: the output's format does not hold it");
}

static enum reel_err read_again(struct mux *m)
{
    static const char *const readers[][2] = {{"mp4", "mov"}, {"webm", "matroska"}, {"vob", "mpeg"}};
    AVFormatContext *ic = NULL;
    AVDictionary *options = NULL;
    const char *demuxer = m->head.format->name; // most are called like the muxer
    for (size_t i = 0; i < sizeof readers / sizeof *readers; i++)
        if (mux_is_format(&m->head, readers[i][0])) demuxer = readers[i][1];
    av_dict_set(&options, "ignore_editlist", "1", 0); // every packet counts
    encode_log_clear();
    int rc = avformat_open_input(&ic, m->temporary, av_find_input_format(demuxer), &options);
    av_dict_free(&options);
    if (rc < 0) return mux_failed(m, "read back", rc);
    check_texts(m, ic);
    check_covers(m, ic);
    int video = find_video(ic);
    for (unsigned i = 0; video >= 0 && i < ic->nb_streams; i++)
        if ((int)i != video) ic->streams[i]->discard = AVDISCARD_ALL;
    uint64_t frames = 0;
    enum reel_err err = REEL_OK;
    while (!err && av_read_frame(ic, m->packet) >= 0) {
        if (video < 0) video = find_video(ic);
        frames += m->packet->stream_index == video && m->packet->size > 0; // in .avi empty ones stand for a wait
        av_packet_unref(m->packet);
        if (!m->join->tick(m->join->ctx, 0)) err = REEL_GONE;
    }
    avformat_close_input(&ic);
    if (!err && (frames != m->written || m->frames != m->join->mux->frames))
        err = reel_fail(REEL_ERR_FAULT, "could not verify file \"%s\": reading it back gives %llu frames of %llu",
                        m->join->job->output, (unsigned long long)frames, (unsigned long long)m->written);
    return err;
}

// ---- all of it --------------------------------------------------------------------

static void mux_fini(struct mux *m)
{
    if (m->oc) {
        close_output(m);
        avformat_free_context(m->oc);
    }
    mux_head_fini(&m->head);
    reel_pack_close(&m->copy);
    reel_pack_close(&m->part);
    free(m->copy_record);
    free(m->part_record);
    av_packet_free(&m->packet);
    timeline_fini(&m->timeline);
}

// Parts may become holes where the output holds their packets: a GIF is encoded anew.
static enum reel_err watch_room(struct mux *m)
{
    char path[REEL_PATH_BYTES];
    for (uint32_t i = 0; i < m->join->mux->segments; i++)
        add_size(reel_part_path(m->join->job, i, path), &m->parts_bytes);
    add_size(reel_copy_part_path(m->join->job, path), &m->parts_bytes);
    if (mux_is_format(&m->head, "gif")) return REEL_OK;
    return moved_begin(m->join, m->temporary, m->header.at + m->header.bytes, m->parts_bytes, &m->moved);
}

static enum reel_err run(struct mux *m)
{
    if (!m->streams) sink_unpublish(m->join->job);
    enum reel_err err = m->streams ? REEL_OK : moved_restore(m->join->job, m->join->tick, m->join->ctx);
    m->whole = !err;
    if (!err) err = mux_scan_video(m, m->streams ? 2 : m->join->mux->segments);
    if (!err) err = mux_scan_copied(m, &m->any_copied);
    if (err) return err;
    if (encode_has_fixed_rate(m->head.format)) m->head.rate = mux_rate(m->head.media, timeline_median(&m->timeline));
    mux_choose_streams(&m->head);
    err = measure_header(m);
    if (!err && !m->streams) err = watch_room(m);
    if (!err && mux_is_format(&m->head, "gif")) {
        err = gif_write(m);
        if (!err) err = finish_file(m);
    } else if (!err) {
        err = write_file(m);
    }
    if (err || m->streams) return err;
    err = read_again(m);
    reel_crash_point("aggregator.before_publish");
    return err ? err : sink_publish(m->join, m->temporary, &m->file);
}

enum reel_err mux_join(const struct sink_join *join, struct reel_rec_muxed *out)
{
    const bool streams = reel_is_stdout(join->job->output);
    struct mux m = {.join = join,
                    .streams = streams,
                    .head = {.streams = streams,
                             .output = join->job->output,
                             .media = &join->mux->media,
                             .note = join->note,
                             .ctx = join->ctx,
                             .kept = join->mux->kept}};
    const char *name = plan_container_name(join->job->output);
    m.head.format = name ? av_guess_format(name, NULL, NULL) : NULL;
    m.packet = av_packet_alloc();
    m.copy_record = malloc(sizeof *m.copy_record);
    m.part_record = malloc(sizeof *m.part_record);
    reel_unfinished_path(join->job, m.temporary);
    enum reel_err err = REEL_OK;
    if (!m.head.format)
        err = reel_fail(REEL_ERR_UNSUPPORTED, "could not write \"%s\": this FFmpeg has no writer for it",
                        join->job->output);
    else if (!m.packet || !m.copy_record || !m.part_record)
        err = mux_no_memory();
    if (!err) err = run(&m);
    const bool needed = !m.whole || moved_any(m.moved);
    moved_end(&m.moved);
    mux_fini(&m);
    if (err) {
        if (m.head.format && !streams && !needed) unlink(m.temporary);
        return err;
    }
    char path[REEL_PATH_BYTES];
    *out = (struct reel_rec_muxed){.job = join->job->id, .file = m.file, .frames = m.frames, .kept = m.head.kept};
    add_size(reel_live_file_path(join->job, m.file, path), &out->bytes);
    if (out->kept.timestamps == REEL_KEPT_NONE) out->kept.timestamps = REEL_KEPT_ALL;
    return REEL_OK;
}

// SPDX-License-Identifier: MIT
//
// What the tests of live outputs share: reading a written file back, and writing the pack file of an audio
// stream while the video is written.
#ifndef REEL_TESTS_AGGREGATOR_STREAM_LAB_H
#define REEL_TESTS_AGGREGATOR_STREAM_LAB_H

#include "tests/unit/aggregator/lab.h"

#include "aggregator/live/outlet.h"

#define STEP 512 // of a frame at 25 fps in lab_media's time base

// ---- reading back -----------------------------------------------------------------

struct packet {
    bool audio, key;
    int64_t pts, dts; // us
};

struct back {
    int n, frames, audio, keys;
    enum AVCodecID codec;
    struct packet packet[2048]; // in the file's order
    int64_t pts[1024];          // of the video, in the file's order
};

static inline bool read_back(const char *path, struct back *b)
{
    *b = (struct back){0};
    AVFormatContext *ic = NULL;
    if (avformat_open_input(&ic, path, NULL, NULL) < 0 || avformat_find_stream_info(ic, NULL) < 0) return false;
    AVPacket *pkt = av_packet_alloc();
    AVRational us = {1, 1000000};
    while (av_read_frame(ic, pkt) >= 0 && b->n < 2048) {
        const AVStream *st = ic->streams[pkt->stream_index];
        struct packet *p = &b->packet[b->n++];
        *p = (struct packet){.audio = st->codecpar->codec_type == AVMEDIA_TYPE_AUDIO,
                             .key = pkt->flags & AV_PKT_FLAG_KEY,
                             .pts = av_rescale_q(pkt->pts, st->time_base, us),
                             .dts = av_rescale_q(pkt->dts, st->time_base, us)};
        if (p->audio) {
            b->audio++;
        } else {
            b->codec = st->codecpar->codec_id;
            b->keys += p->key;
            if (b->frames < 1024) b->pts[b->frames++] = p->pts;
        }
        av_packet_unref(pkt);
    }
    av_packet_free(&pkt);
    avformat_close_input(&ic);
    return true;
}

// The largest distance of a packet to the latest before it, in us: 0 when all are in order.
static inline int64_t largest_step_back(const struct back *b)
{
    int64_t latest = INT64_MIN, most = 0;
    for (int i = 0; i < b->n; i++) {
        if (latest != INT64_MIN && latest - b->packet[i].dts > most) most = latest - b->packet[i].dts;
        if (b->packet[i].dts > latest) latest = b->packet[i].dts;
    }
    return most;
}

// ---- writing ------------------------------------------------------------------------

static inline struct reel_pack_writer *begin_audio(const struct lab *l, uint32_t attempt)
{
    char path[REEL_PATH_BYTES];
    struct reel_pack_writer *w;
    static struct reel_pack_stream s;
    s = lab_mp3();
    if (reel_pack_create_live(reel_live_copy_path(&l->job, attempt, path), &w) || reel_pack_put_stream(w, &s)) abort();
    return w;
}

// Packets up to a time of the video's clock; *at counts them.
static inline void put_audio(struct reel_pack_writer *w, int *at, int64_t upto)
{
    uint8_t frame[96] = {0xff, 0xfb, 0x14, 0x00};
    for (; *at * INT64_C(1152) * 12800 <= upto * 48000; (*at)++) {
        struct reel_pack_packet p = {
            .pts = *at * 1152, .dts = *at * 1152, .duration = 1152, .flags = 1, .bytes = sizeof frame, .data = frame};
        if (reel_pack_put_packet(w, &p)) abort();
    }
}

static inline void take_notes(struct lab *l)
{
    char text[REEL_TEXT_BYTES];
    while (live_take_note(l->live, text)) lab_note(l, text);
}

// Ends the job as MUX does.
static inline enum reel_err finish(struct lab *l, struct reel_rec_muxed *out)
{
    struct reel_kept kept = {.audio = REEL_KEPT_ALL};
    enum reel_err err = live_finish(l->live, &kept, out);
    take_notes(l);
    live_close(&l->live);
    return err;
}

static inline enum reel_err prove(struct lab *l, const char *name, const char *encoder)
{
    lab_init(l, REEL_OUTPUT_STREAM, name);
    snprintf(l->settings.encoder, sizeof l->settings.encoder, "%s", encoder);
    l->settings.latency_ms = 300;
    enum reel_err err = lab_live(l);
    struct reel_media media = lab_media(192, 96, LAB_YUV420);
    return err ? err : lab_prove(l, REEL_TASK_IMAGE, &media, 1, 0);
}

#endif

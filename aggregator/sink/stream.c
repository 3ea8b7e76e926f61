// SPDX-License-Identifier: MIT
//
// Live video: an attempt's encoder, whose packets go to the outlet of the live job
// (live/outlet.h) as they come. The outlet stays open when the attempt is over, and
// the join finishes it.
#include <stdlib.h>
#include <unistd.h>

#include "aggregator/live/outlet.h"
#include "aggregator/sink/sink.h"

struct stream {
    struct sink base;
    struct live *live;
    struct outlet *outlet;
    struct encoder *encoder;
    AVPacket *packet;
    const struct plan *plan;
    uint32_t attempt;
    uint32_t breaks; // of the outlet, when the last frame was sent
    uint32_t sent, received;
    uint64_t bytes;
};

// What is on its way is written or given up first: the next attempt's frames are
// counted apart.
static void stream_close(struct stream *s)
{
    char path[REEL_PATH_BYTES];
    if (s->outlet) outlet_drain(s->outlet);
    unlink(reel_live_copy_path(&s->plan->job, s->attempt, path));
    encode_close(&s->encoder);
    av_packet_free(&s->packet);
    free(s);
}

static enum reel_err stream_open(const struct sink_params *params, struct sink **out_sink)
{
    struct stream *s = calloc(1, sizeof *s);
    struct encoder *encoder = params->encoder;
    if (!s) {
        encode_close(&encoder);
        return reel_fail(REEL_ERR_NOMEM, "could not open a live output: out of memory");
    }
    *s = (struct stream){.base = {&sink_stream},
                         .live = params->live,
                         .encoder = encoder,
                         .packet = av_packet_alloc(),
                         .plan = params->plan,
                         .attempt = params->segment};
    enum reel_err err = s->packet ? REEL_OK : reel_fail(REEL_ERR_NOMEM, "could not open a live output: out of memory");
    if (!err && !s->live)
        err = reel_fail(REEL_ERR_PROTO, "could not open \"%s\": it is for live jobs", params->plan->job.output);
    if (!err) err = live_outlet(s->live, &params->plan->media, &s->outlet);
    bool down;
    if (!err) s->breaks = outlet_breaks(s->outlet, &down);
    if (err)
        stream_close(s);
    else
        *out_sink = &s->base;
    return err;
}

// Begun with the first packet: some encoders know their extradata only then.
static enum reel_err begin(struct stream *s)
{
    struct reel_pack_stream *video = calloc(1, sizeof *video);
    if (!video) return reel_fail(REEL_ERR_NOMEM, "could not open a live output: out of memory");
    struct sink_hdr hdr;
    encode_describe(s->encoder, video);
    sink_put_hdr(&s->plan->media, &hdr, video);
    enum reel_err err = outlet_attempt(s->outlet, s->attempt, video);
    free(video);
    return err;
}

static enum reel_err put_packet(struct stream *s)
{
    if (s->packet->pts == AV_NOPTS_VALUE)
        return reel_fail(REEL_ERR_FAULT, "could not encode: the encoder gave a packet without a timestamp");
    enum reel_err err = s->received ? REEL_OK : begin(s);
    if (!err) err = outlet_put(s->outlet, s->packet);
    if (err) return err;
    s->received++;
    s->bytes += (uint64_t)s->packet->size;
    return REEL_OK;
}

// One picture, or NULL for the flush. OK while more may come, EOF at the end.
static enum reel_err drive(struct stream *s, const AVFrame *picture)
{
    enum reel_err err = encode_send(s->encoder, picture);
    while (!err && !(err = encode_receive(s->encoder, s->packet))) {
        err = put_packet(s);
        av_packet_unref(s->packet);
    }
    return err == REEL_AGAIN ? REEL_OK : err;
}

// After a connection broke the next one begins with a keyframe.
static enum reel_err drive_key(struct stream *s, const AVFrame *picture)
{
    AVFrame *key = av_frame_clone(picture);
    if (!key) return reel_fail(REEL_ERR_NOMEM, "could not encode: out of memory");
    key->pict_type = AV_PICTURE_TYPE_I;
    enum reel_err err = drive(s, key);
    av_frame_free(&key);
    return err;
}

static enum reel_err stream_put(struct sink *sink, const struct sink_frame *frame)
{
    struct stream *s = (struct stream *)sink;
    bool down;
    uint32_t breaks = outlet_breaks(s->outlet, &down);
    if (down) { // not even encoded
        outlet_give_up(s->outlet);
        return REEL_OK;
    }
    enum reel_err err = breaks == s->breaks ? drive(s, frame->picture) : drive_key(s, frame->picture);
    s->breaks = breaks;
    if (!err) s->sent++;
    return err == REEL_EOF ? reel_fail(REEL_ERR_FAULT, "could not encode: the encoder ended by itself") : err;
}

static bool stream_ready(struct sink *sink)
{
    return outlet_ready(((struct stream *)sink)->outlet);
}

static enum reel_err stream_finish(struct sink *sink, struct sink_done *out)
{
    struct stream *s = (struct stream *)sink;
    enum reel_err err = s->sent ? drive(s, NULL) : REEL_OK;
    if (err == REEL_EOF) err = REEL_OK;
    if (!err && s->received != s->sent)
        err = reel_fail(REEL_ERR_FAULT, "could not encode: %u pictures went in, %u packets came out", s->sent,
                        s->received);
    encode_close(&s->encoder); // the last slots come back first
    if (!err) outlet_drain(s->outlet);
    if (!err) err = outlet_error(s->outlet);
    *out = (struct sink_done){.bytes = s->bytes};
    stream_close(s);
    return err;
}

static void stream_abandon(struct sink *sink)
{
    stream_close((struct stream *)sink);
}

const struct sink_ops sink_stream = {
    .name = "stream",
    .later = true,
    .open = stream_open,
    .ready = stream_ready,
    .put = stream_put,
    .finish = stream_finish,
    .abandon = stream_abandon,
};

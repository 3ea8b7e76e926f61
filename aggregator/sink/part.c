// SPDX-License-Identifier: MIT
//
// Video: a segment's pictures through a fresh encoder into a pack file. The
// packets keep the encoder's order and the job's timestamps; decoding
// timestamps are made by the mux, which sees the whole job.
#include <stdlib.h>

#include "aggregator/sink/sink.h"
#include "common/life.h"
#include "common/stat.h"

struct part {
    struct sink base;
    struct encoder *encoder;
    struct reel_pack_writer *writer;
    AVPacket *packet;
    const struct reel_media *media;
    uint32_t sent, received;
    struct reel_stat_row *row;
};

static void part_close(struct part *p)
{
    encode_close(&p->encoder);
    reel_pack_abandon(&p->writer);
    av_packet_free(&p->packet);
    free(p);
}

static enum reel_err part_open(const struct sink_params *params, struct sink **out_sink)
{
    struct part *p = calloc(1, sizeof *p);
    if (!p) {
        struct encoder *encoder = params->encoder;
        encode_close(&encoder);
        return reel_fail(REEL_ERR_NOMEM, "could not open a part: out of memory");
    }
    *p =
        (struct part){{&sink_video}, params->encoder, NULL, av_packet_alloc(), &params->plan->media, 0, 0, params->row};
    char path[REEL_PATH_BYTES];
    enum reel_err err = p->packet ? REEL_OK : reel_fail(REEL_ERR_NOMEM, "could not open a part: out of memory");
    if (!err) err = reel_pack_create(reel_part_path(&params->plan->job, params->segment, path), &p->writer);
    if (err)
        part_close(p);
    else
        *out_sink = &p->base;
    return err;
}

// Written before the first packet: some encoders know their extradata only then.
static enum reel_err put_stream(struct part *p)
{
    struct reel_pack_stream *s = calloc(1, sizeof *s);
    if (!s) return reel_fail(REEL_ERR_NOMEM, "could not write a part: out of memory");
    encode_describe(p->encoder, s);
    struct sink_hdr hdr;
    sink_put_hdr(p->media, &hdr, s);
    enum reel_err err = reel_pack_put_stream(p->writer, s);
    free(s);
    return err;
}

// What a muxer writes beside the data; the rest speaks of the encoder.
static bool side_counts(enum AVPacketSideDataType type)
{
    return type == AV_PKT_DATA_MATROSKA_BLOCKADDITIONAL || type == AV_PKT_DATA_DYNAMIC_HDR10_PLUS ||
           type == AV_PKT_DATA_NEW_EXTRADATA;
}

static enum reel_err put_packet(struct part *p, const AVPacket *pkt)
{
    if (pkt->pts == AV_NOPTS_VALUE)
        return reel_fail(REEL_ERR_FAULT, "could not encode: the encoder gave a packet without a timestamp");
    struct reel_pack_packet out = {.pts = pkt->pts,
                                   .dts = INT64_MIN,
                                   .flags = (uint32_t)pkt->flags,
                                   .bytes = (uint32_t)pkt->size,
                                   .data = pkt->data};
    for (int i = 0; i < pkt->side_data_elems && out.n_side < REEL_PACK_MAX_SIDE; i++)
        if (side_counts(pkt->side_data[i].type))
            out.side[out.n_side++] = (struct reel_pack_side){(uint32_t)pkt->side_data[i].type,
                                                             (uint32_t)pkt->side_data[i].size, pkt->side_data[i].data};
    enum reel_err err = p->received ? REEL_OK : put_stream(p);
    if (!err) err = reel_pack_put_packet(p->writer, &out);
    if (!err) p->received++;
    reel_stat_add(&p->row->progress, 1); // a flush may take long: dozens of pictures wait in an encoder
    return err;
}

// One picture, or NULL for the flush: the same loop. OK while more may come,
// EOF when the encoder is empty.
static enum reel_err drive(struct part *p, const AVFrame *picture)
{
    enum reel_err err = encode_send(p->encoder, picture);
    if (err) return err;
    for (;;) {
        err = encode_receive(p->encoder, p->packet);
        if (err == REEL_AGAIN) return REEL_OK;
        if (err) return err;
        err = put_packet(p, p->packet);
        av_packet_unref(p->packet);
        if (err) return err;
    }
}

static enum reel_err part_put(struct sink *sink, const struct sink_frame *frame)
{
    struct part *p = (struct part *)sink;
    enum reel_err err = drive(p, frame->picture);
    if (!err) p->sent++;
    return err == REEL_EOF ? reel_fail(REEL_ERR_FAULT, "could not encode: the encoder ended by itself") : err;
}

static enum reel_err part_finish(struct sink *sink, struct sink_done *out)
{
    struct part *p = (struct part *)sink;
    enum reel_err err = p->sent ? drive(p, NULL) : put_stream(p);
    if (err == REEL_EOF) err = REEL_OK;
    if (!err && p->received != p->sent)
        err = reel_fail(REEL_ERR_FAULT, "could not encode: %u pictures went in, %u packets came out", p->sent,
                        p->received);
    encode_close(&p->encoder); // the last slots come back before the commit
    reel_crash_point("aggregator.before_commit");
    if (!err) err = reel_pack_commit(&p->writer, &out->bytes, out->sha256);
    if (!err) out->frames = p->received;
    part_close(p);
    return err;
}

static void part_abandon(struct sink *sink)
{
    part_close((struct part *)sink);
}

const struct sink_ops sink_video = {
    .name = "video",
    .open = part_open,
    .put = part_put,
    .finish = part_finish,
    .abandon = part_abandon,
    .verify = sink_verify_file,
    .join = mux_join,
};

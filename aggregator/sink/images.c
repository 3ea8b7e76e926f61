// SPDX-License-Identifier: MIT
//
// Image files: what the encoder makes of each picture, in a numbered file (numbered.h).
#include <stdlib.h>

#include "aggregator/sink/numbered.h"

struct images {
    struct sink base;
    struct encoder *encoder;
    AVPacket *packet;
    uint32_t sent;
    struct numbered files;
};

static void images_abandon(struct sink *sink)
{
    struct images *s = (struct images *)sink;
    numbered_abandon(&s->files);
    encode_close(&s->encoder);
    av_packet_free(&s->packet);
    free(s);
}

static enum reel_err images_open(const struct sink_params *params, struct sink **out_sink)
{
    struct images *s = calloc(1, sizeof *s);
    struct encoder *encoder = params->encoder;
    if (!s) {
        encode_close(&encoder);
        return reel_fail(REEL_ERR_NOMEM, "could not open a part: out of memory");
    }
    *s = (struct images){.base = {&sink_images}, .encoder = encoder, .packet = av_packet_alloc()};
    enum reel_err err = s->packet ? REEL_OK : reel_fail(REEL_ERR_NOMEM, "could not open a part: out of memory");
    if (!err) err = numbered_begin(&s->files, params);
    if (err)
        images_abandon(&s->base);
    else
        *out_sink = &s->base;
    return err;
}

static enum reel_err drive(struct images *s, const AVFrame *picture)
{
    enum reel_err err = encode_send(s->encoder, picture);
    while (!err && !(err = encode_receive(s->encoder, s->packet))) {
        err = numbered_put(&s->files, s->packet->data, (size_t)s->packet->size);
        av_packet_unref(s->packet);
    }
    return err == REEL_AGAIN || err == REEL_EOF ? REEL_OK : err;
}

static enum reel_err images_put(struct sink *sink, const struct sink_frame *frame)
{
    struct images *s = (struct images *)sink;
    s->sent++;
    return drive(s, frame->picture);
}

static enum reel_err images_finish(struct sink *sink, struct sink_done *out)
{
    struct images *s = (struct images *)sink;
    enum reel_err err = drive(s, NULL);
    if (!err && s->files.written != s->sent)
        err = reel_fail(REEL_ERR_FAULT, "could not encode: %u pictures went in, %u images came out", s->sent,
                        s->files.written);
    encode_close(&s->encoder);
    if (!err) err = numbered_commit(&s->files, out);
    images_abandon(sink);
    return err;
}

const struct sink_ops sink_images = {
    .name = "images",
    .open = images_open,
    .put = images_put,
    .finish = images_finish,
    .abandon = images_abandon,
    .verify = numbered_verify,
    .join = numbered_join,
};

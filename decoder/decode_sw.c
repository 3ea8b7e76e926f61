// SPDX-License-Identifier: MIT
//
// Decoding on the CPU with libavcodec. See decode.h. Frame and slice threads do not change the
// frames, only when they come.
#include "decoder/decode.h"

// libavcodec's own decoders of VP8 and VP9 skip the second stream that holds the alpha plane.
static const AVCodec *find_decoder(const AVCodecParameters *par)
{
    const AVCodec *codec = NULL;
    if (par->format == AV_PIX_FMT_YUVA420P && par->codec_id == AV_CODEC_ID_VP9)
        codec = avcodec_find_decoder_by_name("libvpx-vp9");
    if (par->format == AV_PIX_FMT_YUVA420P && par->codec_id == AV_CODEC_ID_VP8)
        codec = avcodec_find_decoder_by_name("libvpx");
    return codec ? codec : avcodec_find_decoder(par->codec_id);
}

static enum reel_err sw_open(const struct decode_params *p, void **out_state)
{
    const AVCodec *codec = find_decoder(p->par);
    if (!codec)
        return reel_fail(REEL_ERR_UNSUPPORTED, "could not decode video \"%s\": no decoder for \"%s\"", p->name,
                         avcodec_get_name(p->par->codec_id));
    AVCodecContext *ctx = avcodec_alloc_context3(codec);
    if (!ctx) return reel_fail(REEL_ERR_NOMEM, "could not open decoder for \"%s\": out of memory", p->name);
    int r = avcodec_parameters_to_context(ctx, p->par);
    if (r >= 0) {
        ctx->pkt_timebase = p->time_base;
        ctx->thread_count = p->threads;
        ctx->max_pixels = p->max_pixels;
        r = avcodec_open2(ctx, codec, NULL);
    }
    if (r < 0) {
        char reason[AV_ERROR_MAX_STRING_SIZE];
        av_strerror(r, reason, sizeof reason);
        avcodec_free_context(&ctx);
        return reel_fail(r == AVERROR(ENOMEM) ? REEL_ERR_NOMEM : REEL_ERR_INPUT,
                         "could not open decoder \"%s\" for \"%s\": %s", codec->name, p->name, reason);
    }
    *out_state = ctx;
    return REEL_OK;
}

static int sw_send(void *state, const AVPacket *packet)
{
    return avcodec_send_packet(state, packet);
}

static int sw_receive(void *state, AVFrame *frame)
{
    return avcodec_receive_frame(state, frame);
}

static void sw_close(void **state)
{
    AVCodecContext *ctx = *state;
    avcodec_free_context(&ctx);
    *state = NULL;
}

const struct decode_ops decode_sw = {
    .name = "software",
    .open = sw_open,
    .send = sw_send,
    .receive = sw_receive,
    .close = sw_close,
};

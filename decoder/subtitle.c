// SPDX-License-Identifier: MIT
//
// Converting text subtitles. See subtitle.h.
#include "decoder/subtitle.h"

#include <stdlib.h>
#include <string.h>

#define TEXT_BYTES (256 * 1024) // limit of one event, far above any caption

struct subtitle {
    AVCodecContext *from, *to;
    AVRational time_base;
    uint8_t *buf;
};

bool subtitle_is_text(enum AVCodecID codec)
{
    const AVCodecDescriptor *desc = avcodec_descriptor_get(codec);
    return desc && desc->type == AVMEDIA_TYPE_SUBTITLE && desc->props & AV_CODEC_PROP_TEXT_SUB &&
           codec != AV_CODEC_ID_EIA_608;
}

static AVCodecContext *open_decoder(const AVCodecParameters *par, AVRational time_base)
{
    const AVCodec *codec = avcodec_find_decoder(par->codec_id);
    AVCodecContext *ctx = codec ? avcodec_alloc_context3(codec) : NULL;
    if (!ctx) return NULL;
    ctx->pkt_timebase = time_base;
    if (avcodec_parameters_to_context(ctx, par) < 0 || avcodec_open2(ctx, codec, NULL) < 0) avcodec_free_context(&ctx);
    return ctx;
}

static AVCodecContext *open_encoder(const AVCodecContext *from, enum AVCodecID target)
{
    const AVCodec *codec = avcodec_find_encoder(target);
    AVCodecContext *ctx = codec ? avcodec_alloc_context3(codec) : NULL;
    if (!ctx) return NULL;
    ctx->time_base = (AVRational){1, 1000};
    int r = 0;
    if (from->subtitle_header && from->subtitle_header_size > 0) {
        ctx->subtitle_header = av_mallocz((size_t)from->subtitle_header_size + 1);
        if (ctx->subtitle_header) {
            memcpy(ctx->subtitle_header, from->subtitle_header, (size_t)from->subtitle_header_size);
            ctx->subtitle_header_size = from->subtitle_header_size;
        } else {
            r = AVERROR(ENOMEM);
        }
    }
    if (r < 0 || avcodec_open2(ctx, codec, NULL) < 0) avcodec_free_context(&ctx);
    return ctx;
}

enum reel_err subtitle_open(const AVCodecParameters *par, AVRational time_base, enum AVCodecID target,
                            struct subtitle **out_subtitle)
{
    struct subtitle *s = calloc(1, sizeof *s);
    *out_subtitle = NULL;
    if (!s) return reel_fail(REEL_ERR_NOMEM, "could not convert subtitles: out of memory");
    s->time_base = time_base;
    s->buf = malloc(TEXT_BYTES);
    s->from = open_decoder(par, time_base);
    s->to = s->from ? open_encoder(s->from, target) : NULL;
    if (!s->to || !s->buf) {
        subtitle_close(&s);
        return reel_fail(REEL_ERR_UNSUPPORTED, "could not convert subtitles from %s to %s: not in this FFmpeg",
                         avcodec_get_name(par->codec_id), avcodec_get_name(target));
    }
    *out_subtitle = s;
    return REEL_OK;
}

void subtitle_close(struct subtitle **subtitle)
{
    struct subtitle *s = *subtitle;
    if (!s) return;
    avcodec_free_context(&s->from);
    avcodec_free_context(&s->to);
    free(s->buf);
    free(s);
    *subtitle = NULL;
}

const uint8_t *subtitle_extradata(const struct subtitle *s, int *out_bytes)
{
    *out_bytes = s->to->extradata ? s->to->extradata_size : 0;
    return s->to->extradata;
}

int subtitle_convert(struct subtitle *s, AVPacket *packet, const uint8_t **out_data, int64_t *out_duration)
{
    AVSubtitle event;
    int got = 0, bytes = 0;
    if (avcodec_decode_subtitle2(s->from, &event, &got, packet) < 0 || !got) return 0;
    *out_duration = packet->duration;
    if (*out_duration <= 0 && event.end_display_time && event.end_display_time != UINT32_MAX)
        *out_duration = av_rescale_q(event.end_display_time, (AVRational){1, 1000}, s->time_base);
    event.start_display_time = 0; // encoders require the event to begin at the packet's time
    if (event.num_rects) bytes = avcodec_encode_subtitle(s->to, s->buf, TEXT_BYTES, &event);
    avsubtitle_free(&event);
    *out_data = s->buf;
    return bytes > 0 ? bytes : 0;
}

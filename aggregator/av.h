// SPDX-License-Identifier: MIT
//
// libav as this process sees it: the headers, and thin switches over what
// changed between FFmpeg 5.1 (Debian 12), 6.1 (Ubuntu 24.04) and 7.1 (Debian
// 13). Every part of the aggregator includes libav through this file. No logic.
#ifndef REEL_AGGREGATOR_AV_H
#define REEL_AGGREGATOR_AV_H

#include <stdbool.h>
#include <string.h>

#include <libavcodec/avcodec.h>
#include <libavcodec/bsf.h>
#include <libavfilter/avfilter.h>
#include <libavfilter/buffersink.h>
#include <libavfilter/buffersrc.h>
#include <libavformat/avformat.h>
#include <libavutil/avstring.h>
#include <libavutil/dict.h>
#include <libavutil/imgutils.h>
#include <libavutil/intreadwrite.h>
#include <libavutil/mastering_display_metadata.h>
#include <libavutil/md5.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>

// What the writer of an AVIOContext is given.
#if LIBAVFORMAT_VERSION_MAJOR >= 61 // 7.0
typedef const uint8_t av_written_byte;
#else
typedef uint8_t av_written_byte;
#endif

// Interlacing became flags in libavutil 58.7.
static inline void av_frame_set_fields(AVFrame *f, bool interlaced, bool top_first)
{
#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(58, 7, 100)
    f->flags &= ~(AV_FRAME_FLAG_INTERLACED | AV_FRAME_FLAG_TOP_FIELD_FIRST);
    if (interlaced) f->flags |= AV_FRAME_FLAG_INTERLACED;
    if (interlaced && top_first) f->flags |= AV_FRAME_FLAG_TOP_FIELD_FIRST;
#else
    f->interlaced_frame = interlaced;
    f->top_field_first = interlaced && top_first;
#endif
}

// The frame's duration got its name in libavutil 57.30.
static inline int64_t *av_frame_duration(AVFrame *f)
{
#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(57, 30, 100)
    return &f->duration;
#else
    return &f->pkt_duration;
#endif
}

// Pixel formats of an encoder, ended by AV_PIX_FMT_NONE; NULL: it does not say.
static inline const enum AVPixelFormat *av_codec_formats(const AVCodec *codec)
{
#if LIBAVCODEC_VERSION_INT >= AV_VERSION_INT(61, 13, 100)
    const void *formats = NULL;
    if (avcodec_get_supported_config(NULL, codec, AV_CODEC_CONFIG_PIX_FORMAT, 0, &formats, NULL) < 0) return NULL;
    return formats;
#else
    return codec->pix_fmts;
#endif
}

// Frame rates an encoder is bound to, ended by 0/0; NULL: any.
static inline const AVRational *av_codec_rates(const AVCodec *codec)
{
#if LIBAVCODEC_VERSION_INT >= AV_VERSION_INT(61, 13, 100)
    const void *rates = NULL;
    if (avcodec_get_supported_config(NULL, codec, AV_CODEC_CONFIG_FRAME_RATE, 0, &rates, NULL) < 0) return NULL;
    return rates;
#else
    return codec->supported_framerates;
#endif
}

// Side data of a stream moved from AVStream to AVCodecParameters in 6.1.
static inline bool av_stream_put_side(AVStream *st, enum AVPacketSideDataType type, const void *data, size_t bytes)
{
#if LIBAVCODEC_VERSION_INT >= AV_VERSION_INT(60, 31, 102)
    AVCodecParameters *par = st->codecpar;
    AVPacketSideData *side = av_packet_side_data_new(&par->coded_side_data, &par->nb_coded_side_data, type, bytes, 0);
    uint8_t *room = side ? side->data : NULL;
#else
    uint8_t *room = av_stream_new_side_data(st, type, bytes);
#endif
    if (room) memcpy(room, data, bytes);
    return room != NULL;
}

// Channel layouts became structs in libavutil 57.24; 5.1 has them.
static inline void av_par_set_channels(AVCodecParameters *par, int channels, uint64_t mask)
{
    av_channel_layout_uninit(&par->ch_layout);
    if (!mask || av_channel_layout_from_mask(&par->ch_layout, mask) < 0 || par->ch_layout.nb_channels != channels) {
        av_channel_layout_uninit(&par->ch_layout);
        par->ch_layout.order = AV_CHANNEL_ORDER_UNSPEC;
        par->ch_layout.nb_channels = channels;
    }
}

#endif

// SPDX-License-Identifier: MIT
//
// libav as this process sees it: the headers, and thin switches over what
// changed between FFmpeg 5.1 (Debian 12), 6.1 (Ubuntu 24.04) and 7.1 (Debian
// 13). Every part of the decoder includes libav through this file. No logic.
#ifndef REEL_DECODER_AV_H
#define REEL_DECODER_AV_H

#include <stdbool.h>

#include <libavcodec/avcodec.h>
#include <libavfilter/avfilter.h>
#include <libavfilter/buffersink.h>
#include <libavfilter/buffersrc.h>
#include <libavformat/avformat.h>
#include <libavutil/avstring.h>
#include <libavutil/display.h>
#include <libavutil/imgutils.h>
#include <libavutil/intreadwrite.h>
#include <libavutil/mastering_display_metadata.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <libavutil/timecode.h>
#include <libswscale/swscale.h>

// Frame flags and durations moved in libavutil 58.7 and 57.30.
static inline bool av_frame_interlaced(const AVFrame *f)
{
#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(58, 7, 100)
    return f->flags & AV_FRAME_FLAG_INTERLACED;
#else
    return f->interlaced_frame;
#endif
}

static inline bool av_frame_top_first(const AVFrame *f)
{
#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(58, 7, 100)
    return f->flags & AV_FRAME_FLAG_TOP_FIELD_FIRST;
#else
    return f->top_field_first;
#endif
}

static inline int64_t av_frame_duration(const AVFrame *f)
{
#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(57, 30, 100)
    return f->duration;
#else
    return f->pkt_duration;
#endif
}

static inline void av_frame_set_duration(AVFrame *f, int64_t duration)
{
#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(57, 30, 100)
    f->duration = duration;
#else
    f->pkt_duration = duration;
#endif
}

// The frame rate that the codec's headers state, 0/1: none. Since FFmpeg 6.1 avg_frame_rate of a raw
// stream no longer says it.
static inline AVRational av_coded_rate(const AVCodecParameters *par)
{
#if LIBAVCODEC_VERSION_INT >= AV_VERSION_INT(60, 16, 100)
    return par->framerate;
#else
    return (AVRational){0, 1};
#endif
}

// Side data of a stream moved from AVStream to AVCodecParameters in 6.1.
static inline const AVPacketSideData *av_stream_side(const AVStream *st, int *out_n)
{
#if LIBAVCODEC_VERSION_INT >= AV_VERSION_INT(60, 31, 102)
    *out_n = st->codecpar->nb_coded_side_data;
    return st->codecpar->coded_side_data;
#else
    *out_n = st->nb_side_data;
    return st->side_data;
#endif
}

static inline const uint8_t *av_stream_side_find(const AVStream *st, enum AVPacketSideDataType type, size_t *out_bytes)
{
    int n;
    const AVPacketSideData *sd = av_stream_side(st, &n);
    for (int i = 0; i < n; i++)
        if (sd[i].type == type) {
            *out_bytes = sd[i].size;
            return sd[i].data;
        }
    *out_bytes = 0;
    return NULL;
}

#endif

// SPDX-License-Identifier: MIT
//
// Which streams the output's container can hold. See container.h.
#include "decoder/container.h"

#include <string.h>

#include "common/job.h"

static const struct {
    const char *name; // in libavformat
    enum container_kind kind;
} containers[] = {
    {"mp4", CONTAINER_MP4},   {"mov", CONTAINER_MOV},   {"matroska", CONTAINER_MKV},
    {"webm", CONTAINER_WEBM}, {"mpegts", CONTAINER_TS}, {"vob", CONTAINER_PS},
    {"nut", CONTAINER_OTHER}, {"avi", CONTAINER_OTHER}, {"flv", CONTAINER_OTHER},
};

// The format in which the aggregator sends live video to an address.
static void find_of_url(const char *output, struct container *c)
{
    bool flv = !strncasecmp(output, "rtmp", 4), rtsp = !strncasecmp(output, "rtsp", 4);
    c->kind = flv ? CONTAINER_OTHER : rtsp ? CONTAINER_RTSP : CONTAINER_TS;
    c->name = flv ? "flv" : rtsp ? "rtsp" : "ts";
    c->format = av_guess_format(flv ? "flv" : rtsp ? "rtsp" : "mpegts", NULL, NULL);
}

void container_find(const char *output, struct container *c)
{
    if (reel_is_url(output)) {
        find_of_url(output, c);
        return;
    }
    // Containers that are not in the list hold only pictures, like image files.
    const char *name = reel_container_of(output, strlen(output));
    for (size_t i = 0; name && i < sizeof containers / sizeof containers[0]; i++) {
        if (strcmp(name, containers[i].name)) continue;
        c->kind = containers[i].kind;
        c->name = strrchr(output, '.') + 1;
        c->format = av_guess_format(name, NULL, NULL);
    }
}

static bool ts_holds(enum AVCodecID codec)
{
    switch (codec) { // libav's muxer has no list of its codecs
    case AV_CODEC_ID_MP2:
    case AV_CODEC_ID_MP3:
    case AV_CODEC_ID_AAC:
    case AV_CODEC_ID_AC3:
    case AV_CODEC_ID_EAC3:
    case AV_CODEC_ID_DTS:
    case AV_CODEC_ID_OPUS:
    case AV_CODEC_ID_MPEG1VIDEO:
    case AV_CODEC_ID_MPEG2VIDEO:
    case AV_CODEC_ID_MPEG4:
    case AV_CODEC_ID_H264:
    case AV_CODEC_ID_HEVC:
    case AV_CODEC_ID_DVB_SUBTITLE:
    case AV_CODEC_ID_DVB_TELETEXT:
    case AV_CODEC_ID_SMPTE_KLV:
    case AV_CODEC_ID_TIMED_ID3:
        return true;
    default:
        return false;
    }
}

// Program streams hold the codecs to which libav's muxer gives a stream number.
static bool ps_holds(enum AVCodecID codec)
{
    return codec == AV_CODEC_ID_MP2 || codec == AV_CODEC_ID_MP3 || codec == AV_CODEC_ID_AC3 ||
           codec == AV_CODEC_ID_DTS || codec == AV_CODEC_ID_DVD_SUBTITLE || codec == AV_CODEC_ID_MPEG1VIDEO ||
           codec == AV_CODEC_ID_MPEG2VIDEO;
}

static bool rtsp_holds(enum AVCodecID codec)
{
    switch (codec) { // this muxer has no list either
    case AV_CODEC_ID_AAC:
    case AV_CODEC_ID_AC3:
    case AV_CODEC_ID_MP2:
    case AV_CODEC_ID_MP3:
    case AV_CODEC_ID_OPUS:
    case AV_CODEC_ID_PCM_ALAW:
    case AV_CODEC_ID_PCM_MULAW:
        return true;
    default:
        return false;
    }
}

bool container_holds(const struct container *c, enum AVCodecID codec)
{
    if (codec == AV_CODEC_ID_NONE) return false;
    if (c->kind == CONTAINER_RTSP) return rtsp_holds(codec);
    if (c->kind == CONTAINER_TS) return ts_holds(codec);
    if (c->kind == CONTAINER_PS) return ps_holds(codec);
    // The muxer lists it, but writes it only with experimental features enabled.
    if (codec == AV_CODEC_ID_TRUEHD && (c->kind == CONTAINER_MP4 || c->kind == CONTAINER_MOV)) return false;
    return avformat_query_codec(c->format, codec, FF_COMPLIANCE_NORMAL) == 1;
}

enum AVCodecID container_text_codec(const struct container *c, enum AVCodecID codec)
{
    switch (c->kind) {
    case CONTAINER_MP4:
    case CONTAINER_MOV:
        return AV_CODEC_ID_MOV_TEXT;
    case CONTAINER_MKV:
        return codec == AV_CODEC_ID_MOV_TEXT || !container_holds(c, codec) ? AV_CODEC_ID_SUBRIP : codec;
    case CONTAINER_WEBM:
        return AV_CODEC_ID_WEBVTT;
    default: // .nut among them, which cannot store when a text ends
        return AV_CODEC_ID_NONE;
    }
}

// SPDX-License-Identifier: MIT
//
// Pictures as libavformat's yuv4mpegpipe takes them: a frame whose address is the
// packet. See mux_head.h.
#include "aggregator/sink/mux_head.h"

enum reel_err y4m_wrap(const struct reel_pack_stream *v, AVPacket *packet)
{
    AVFrame *f = av_frame_alloc();
    if (!f) return mux_no_memory();
    f->format = v->format;
    f->width = v->width;
    f->height = v->height;
    int bytes =
        av_image_fill_arrays(f->data, f->linesize, packet->data, (enum AVPixelFormat)v->format, v->width, v->height, 1);
    if (bytes != packet->size) {
        av_frame_free(&f);
        return reel_fail(REEL_ERR_INPUT, "could not write a picture of %dx%d: it has %d bytes", v->width, v->height,
                         packet->size);
    }
    packet->data = (uint8_t *)f;
    packet->size = sizeof *f;
    return REEL_OK;
}

void y4m_unwrap(AVPacket *packet)
{
    AVFrame *f = (AVFrame *)packet->data;
    av_frame_free(&f);
    packet->data = NULL;
    packet->size = 0;
}

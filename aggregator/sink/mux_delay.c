// SPDX-License-Identifier: MIT
//
// The codec delay of Opus in Matroska. See mux_head.h.
//
// Readers play a block earlier by its track's CodecDelay, so a writer has to make
// blocks later by as much. libavformat writes CodecDelay in all versions, but made
// blocks later only from some version on; 5.1 does not, so that each copy of a file
// would be earlier than the last. Which one is loaded is found by writing a packet
// and reading it back.
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "aggregator/av.h"
#include "aggregator/sink/mux_head.h"

#define PROBE_RATE 48000
#define PROBE_DELAY 480 // samples: 10 ms

struct probe {
    uint8_t *bytes;
    int n, at;
};

static int read_probe(void *opaque, uint8_t *buf, int bytes)
{
    struct probe *p = opaque;
    const int n = p->n - p->at < bytes ? p->n - p->at : bytes;
    if (!n) return AVERROR_EOF;
    memcpy(buf, p->bytes + p->at, (size_t)n);
    p->at += n;
    return n;
}

static bool put_stream(AVFormatContext *fmt)
{
    static const uint8_t head[19] = {'O',  'p', 'u', 's', 'H', 'e', 'a', 'd', 1, 1, PROBE_DELAY & 255, PROBE_DELAY >> 8,
                                     0x80, 0xbb}; // 48000 Hz
    AVStream *st = avformat_new_stream(fmt, NULL);
    if (!st) return false;
    AVCodecParameters *par = st->codecpar;
    par->codec_type = AVMEDIA_TYPE_AUDIO;
    par->codec_id = AV_CODEC_ID_OPUS;
    par->sample_rate = PROBE_RATE;
    par->initial_padding = PROBE_DELAY;
    av_par_set_channels(par, 1, 0);
    par->extradata = mux_copy_bytes(head, sizeof head);
    par->extradata_size = sizeof head;
    return par->extradata;
}

// A file of one packet at 0.
static bool write_probe(struct probe *p)
{
    static uint8_t silence[] = {0xf8, 0xff, 0xfe}; // 20 ms
    AVFormatContext *fmt = NULL;
    if (avformat_alloc_output_context2(&fmt, NULL, "matroska", NULL) < 0) return false;
    AVPacket *pkt = av_packet_alloc();
    bool ok = pkt && put_stream(fmt) && avio_open_dyn_buf(&fmt->pb) >= 0;
    if (ok && (ok = avformat_write_header(fmt, NULL) >= 0)) {
        pkt->data = silence;
        pkt->size = sizeof silence;
        pkt->pts = pkt->dts = 0;
        ok = av_write_frame(fmt, pkt) >= 0 && av_write_trailer(fmt) >= 0;
    }
    if (fmt->pb) p->n = avio_close_dyn_buf(fmt->pb, &p->bytes);
    av_packet_free(&pkt);
    avformat_free_context(fmt);
    return ok;
}

// Its packet's time, in the unit of its stream; below 0: blocks come as they are.
static bool time_of_probe(struct probe *p, int64_t *out_pts)
{
    AVFormatContext *fmt = avformat_alloc_context();
    AVPacket *pkt = av_packet_alloc();
    uint8_t *buffer = av_malloc(4096);
    AVIOContext *io = buffer ? avio_alloc_context(buffer, 4096, 0, p, read_probe, NULL, NULL) : NULL;
    if (!io) av_free(buffer);
    bool ok = fmt && pkt && io;
    if (ok) {
        fmt->pb = io;
        ok = avformat_open_input(&fmt, NULL, av_find_input_format("matroska"), NULL) >= 0 &&
             av_read_frame(fmt, pkt) >= 0;
        *out_pts = pkt->pts;
    }
    av_packet_free(&pkt);
    avformat_close_input(&fmt);
    if (io) av_freep(&io->buffer);
    avio_context_free(&io);
    return ok;
}

static bool writer_delays; // where nothing could be found out: as new ones do

static void find_out(void)
{
    struct probe p = {NULL};
    int64_t pts = 0;
    writer_delays = !write_probe(&p) || !time_of_probe(&p, &pts) || pts >= 0;
    av_free(p.bytes);
}

int64_t mux_codec_delay(const struct mux_head *h, const struct copied *c, AVRational time_base)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    const AVCodecParameters *par = c->par;
    if (!mux_is_format(h, "matroska") && !mux_is_format(h, "webm")) return 0;
    if (par->codec_id != AV_CODEC_ID_OPUS || par->sample_rate <= 0) return 0;
    pthread_once(&once, find_out);
    return writer_delays ? 0 : av_rescale_q(par->initial_padding, (AVRational){1, par->sample_rate}, time_base);
}

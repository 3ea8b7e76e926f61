// SPDX-License-Identifier: MIT
//
// Files with room for their header: the bytes of libavformat's own faststart, for headers
// smaller and larger than a buffer; a header that does not fit its room.
#include "aggregator/sink/placed.h"

#include "tests/check.h"

#define PACKET 3000

static char folder[CHECK_FOLDER_BYTES];

// A muxer with a video and a sound stream; NULL: not in this libavformat.
static AVFormatContext *make(const char *format, const char *path)
{
    AVFormatContext *oc = NULL;
    if (avformat_alloc_output_context2(&oc, NULL, format, path) < 0) return NULL;
    AVStream *video = avformat_new_stream(oc, NULL), *sound = avformat_new_stream(oc, NULL);
    oc->flags |= AVFMT_FLAG_BITEXACT;
    video->time_base = (AVRational){1, 12800};
    video->codecpar->codec_type = AVMEDIA_TYPE_VIDEO;
    video->codecpar->codec_id = AV_CODEC_ID_MPEG4;
    video->codecpar->width = 64;
    video->codecpar->height = 48;
    sound->time_base = (AVRational){1, 48000};
    sound->codecpar->codec_type = AVMEDIA_TYPE_AUDIO;
    sound->codecpar->codec_id = AV_CODEC_ID_MP3;
    sound->codecpar->sample_rate = 48000;
    sound->codecpar->frame_size = 1152;
    av_channel_layout_default(&sound->codecpar->ch_layout, 2);
    av_dict_set(&oc->metadata, "title", "a title", 0);
    return oc;
}

// Packets whose size and data follow from their number; what a write or the end gives.
static int fill(AVFormatContext *oc, int packets)
{
    static uint8_t data[PACKET];
    AVDictionary *options = NULL;
    AVPacket *pkt = av_packet_alloc();
    av_dict_set(&options, "movflags", "+faststart", 0);
    int rc = avformat_write_header(oc, &options);
    av_dict_free(&options);
    for (int i = 0; i < packets && rc >= 0; i++) {
        const bool sound = i % 3 == 2;
        memset(data, 17 * i, sizeof data);
        pkt->data = data;
        pkt->size = 1 + i * 37 % PACKET;
        pkt->stream_index = sound;
        pkt->pts = pkt->dts = sound ? 1152 * (i / 3) : 512 * (i - i / 3);
        pkt->duration = sound ? 1152 : 512;
        pkt->flags = AV_PKT_FLAG_KEY;
        rc = av_interleaved_write_frame(oc, pkt);
    }
    av_packet_free(&pkt);
    const int end = av_write_trailer(oc);
    return rc < 0 ? rc : end;
}

static int placed(const char *format, const char *path, int packets, const struct placed_header *header,
                  struct placed_header *out_found)
{
    struct placed *file = NULL;
    AVFormatContext *oc = make(format, path ? path : "nowhere");
    int rc = placed_open(oc, path, header, &file);
    if (rc >= 0) {
        rc = fill(oc, packets);
        avio_flush(oc->pb);
        if (out_found) *out_found = placed_found(file);
        const int closed = placed_close(oc, &file);
        if (rc >= 0) rc = closed;
    }
    avformat_free_context(oc);
    return rc;
}

static bool same_files(const char *a, const char *b)
{
    FILE *x = fopen(a, "re"), *y = fopen(b, "re");
    int c = 0, d = 0;
    while (x && y && c == d && c != EOF) c = getc(x), d = getc(y);
    if (x) fclose(x);
    if (y) fclose(y);
    return x && y && c == d;
}

static void check_same(const char *format, int packets)
{
    char want[256], got[256];
    snprintf(want, sizeof want, "%s/want.%s", folder, format);
    snprintf(got, sizeof got, "%s/got.%s", folder, format);
    AVFormatContext *oc = make(format, want);
    CHECK(avio_open(&oc->pb, want, AVIO_FLAG_WRITE) >= 0);
    CHECK(fill(oc, packets) >= 0);
    avio_closep(&oc->pb);
    avformat_free_context(oc);
    struct placed_header header = {0, 0}, again;
    CHECK(placed(format, NULL, packets, NULL, &header) >= 0);
    CHECK(header.bytes > 0);
    CHECK(placed(format, got, packets, &header, &again) >= 0);
    CHECK_INT(again.at, header.at);
    CHECK_INT(again.bytes, header.bytes);
    CHECK(same_files(want, got));
}

static void a_few_packets(void)
{
    check_same("mp4", 5);
}

static void a_header_of_many_buffers(void)
{
    check_same("mp4", 30000);
}

static void quicktime(void)
{
    check_same("mov", 500);
}

// More packets than were measured: an error, and nothing over the data.
static void a_header_that_does_not_fit(void)
{
    char path[256];
    struct placed_header header;
    snprintf(path, sizeof path, "%s/more.mp4", folder);
    CHECK(placed("mp4", NULL, 20, NULL, &header) >= 0);
    CHECK(placed("mp4", path, 400, &header, NULL) < 0);
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {{"a_few_packets", a_few_packets},
                                              {"a_header_of_many_buffers", a_header_of_many_buffers},
                                              {"quicktime", quicktime},
                                              {"a_header_that_does_not_fit", a_header_that_does_not_fit}};
    av_log_set_level(AV_LOG_QUIET);
    check_folder(folder);
    const int rc = check_main(cases, sizeof cases / sizeof *cases, argc, argv);
    char command[CHECK_FOLDER_BYTES + 16];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command) ? 1 : rc;
}

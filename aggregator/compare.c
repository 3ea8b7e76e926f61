// SPDX-License-Identifier: MIT
//
// Compares two outputs frame by frame. See compare.h.
#include "aggregator/compare.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "aggregator/av.h"

#define MOST_FILES 32

// ---- reading --------------------------------------------------------------------

struct reader {
    AVFormatContext *format;
    AVCodecContext *codec;
    AVPacket *packet;
    AVFrame *frame;
    int stream;
    bool drained;
};

static void close_reader(struct reader *r)
{
    av_frame_free(&r->frame);
    av_packet_free(&r->packet);
    avcodec_free_context(&r->codec);
    avformat_close_input(&r->format);
}

static enum reel_err open_reader(const char *path, struct reader *r)
{
    *r = (struct reader){.packet = av_packet_alloc(), .frame = av_frame_alloc()};
    const AVCodec *codec = NULL;
    int rc = r->packet && r->frame ? avformat_open_input(&r->format, path, NULL, NULL) : AVERROR(ENOMEM);
    if (rc >= 0) rc = avformat_find_stream_info(r->format, NULL);
    if (rc >= 0) rc = r->stream = av_find_best_stream(r->format, AVMEDIA_TYPE_VIDEO, -1, -1, &codec, 0);
    if (rc >= 0 && !(r->codec = avcodec_alloc_context3(codec))) rc = AVERROR(ENOMEM);
    if (rc >= 0) rc = avcodec_parameters_to_context(r->codec, r->format->streams[r->stream]->codecpar);
    if (rc >= 0) rc = avcodec_open2(r->codec, codec, NULL);
    if (rc >= 0) return REEL_OK;
    enum reel_err err = reel_fail(REEL_ERR_INPUT, "could not read \"%s\": %s", path, av_err2str(rc));
    close_reader(r);
    return err;
}

// Reads the next frame into r->frame. EOF: there is none.
static enum reel_err next_frame(struct reader *r)
{
    for (;;) {
        int rc = avcodec_receive_frame(r->codec, r->frame);
        if (rc == AVERROR_EOF) return REEL_EOF;
        if (rc >= 0) return REEL_OK;
        if (rc == AVERROR(EAGAIN) && !r->drained) {
            rc = av_read_frame(r->format, r->packet);
            r->drained = rc == AVERROR_EOF;
            if (rc >= 0 && r->packet->stream_index != r->stream) {
                av_packet_unref(r->packet);
                continue;
            }
            if (rc >= 0 || r->drained) rc = avcodec_send_packet(r->codec, r->drained ? NULL : r->packet);
            av_packet_unref(r->packet);
        }
        if (rc < 0) return reel_fail(REEL_ERR_INPUT, "could not read \"%s\": %s", r->format->url, av_err2str(rc));
    }
}

// ---- comparing ------------------------------------------------------------------

struct sums {
    double squares; // sum of squared differences, of samples in 0..1
    double samples;
    double largest; // largest difference, in steps of 8 bits
    uint16_t *row[2];
};

// One plane of samples, whatever their layout: (height,width) u16 a row at a time.
static void compare_component(const AVPixFmtDescriptor *d, int c, const AVFrame *a, const AVFrame *b, struct sums *sums)
{
    bool chroma = (c == 1 || c == 2) && !(d->flags & AV_PIX_FMT_FLAG_RGB);
    int w = chroma ? AV_CEIL_RSHIFT(a->width, d->log2_chroma_w) : a->width;
    int h = chroma ? AV_CEIL_RSHIFT(a->height, d->log2_chroma_h) : a->height;
    int depth = d->comp[c].depth, most = 0;
    double full = (double)((1 << depth) - 1), squares = 0;
    for (int y = 0; y < h; y++) {
        av_read_image_line2(sums->row[0], (const uint8_t **)a->data, a->linesize, d, 0, y, c, w, 0, 2);
        av_read_image_line2(sums->row[1], (const uint8_t **)b->data, b->linesize, d, 0, y, c, w, 0, 2);
        uint64_t row_squares = 0;
        for (int x = 0; x < w; x++) {
            int off = abs(sums->row[0][x] - sums->row[1][x]);
            if (off > most) most = off;
            row_squares += (uint64_t)off * (uint64_t)off;
        }
        squares += (double)row_squares;
    }
    double steps = depth > 8 ? (double)most / (double)(1 << (depth - 8)) : most;
    if (steps > sums->largest) sums->largest = steps;
    sums->squares += squares / (full * full);
    sums->samples += (double)w * h;
}

// Whether all samples are equal.
static bool compare_frames(const AVFrame *a, const AVFrame *b, struct sums *sums)
{
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get((enum AVPixelFormat)a->format);
    double before = sums->squares;
    for (int c = 0; c < d->nb_components; c++) compare_component(d, c, a, b, sums);
    return sums->squares == before;
}

static enum reel_err check_alike(const AVFrame *a, const AVFrame *b)
{
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get((enum AVPixelFormat)a->format);
    const char *names[2] = {av_get_pix_fmt_name((enum AVPixelFormat)a->format),
                            av_get_pix_fmt_name((enum AVPixelFormat)b->format)};
    if (!d || d->comp[0].depth > 16 ||
        (d->flags & (AV_PIX_FMT_FLAG_FLOAT | AV_PIX_FMT_FLAG_PAL | AV_PIX_FMT_FLAG_HWACCEL)))
        return reel_fail(REEL_ERR_INPUT, "could not compare pictures of format %s", names[0] ? names[0] : "?");
    if (a->width != b->width || a->height != b->height || a->format != b->format)
        return reel_fail(REEL_ERR_INPUT, "could not compare pictures: %dx%d %s and %dx%d %s", a->width, a->height,
                         names[0], b->width, b->height, names[1] ? names[1] : "?");
    return REEL_OK;
}

static enum reel_err compare_pair(struct reader r[2], struct sums *sums, struct compare_result *out)
{
    const AVFrame *a = r[0].frame, *b = r[1].frame;
    enum reel_err err = check_alike(a, b);
    if (err) return err;
    if (!sums->row[0]) {
        out->width = a->width;
        out->height = a->height;
        snprintf(out->format, sizeof out->format, "%s", av_get_pix_fmt_name((enum AVPixelFormat)a->format));
        sums->row[0] = calloc(2 * (size_t)a->width, sizeof **sums->row);
        if (!sums->row[0]) return reel_fail(REEL_ERR_NOMEM, "could not compare pictures: out of memory");
        sums->row[1] = sums->row[0] + a->width;
    } else if (a->width != out->width) {
        return reel_fail(REEL_ERR_INPUT, "could not compare pictures: their size changes");
    }
    AVRational base[2] = {r[0].format->streams[r[0].stream]->time_base, r[1].format->streams[r[1].stream]->time_base};
    out->times += a->pts != b->pts && (a->pts == AV_NOPTS_VALUE || b->pts == AV_NOPTS_VALUE ||
                                       av_compare_ts(a->pts, base[0], b->pts, base[1]));
    if (compare_frames(a, b, sums))
        out->equal++;
    else if (out->first_other < 0)
        out->first_other = (int64_t)out->frames[0];
    return REEL_OK;
}

static enum reel_err compare_all(struct reader r[2], struct compare_result *out)
{
    struct sums sums = {0};
    enum reel_err got[2] = {REEL_OK, REEL_OK}, err = REEL_OK;
    while (!err) {
        for (int i = 0; i < 2; i++)
            if (got[i] == REEL_OK) got[i] = next_frame(&r[i]);
        for (int i = 0; i < 2; i++)
            if (got[i] && got[i] != REEL_EOF) err = got[i];
        if (err || (got[0] && got[1])) break;
        if (!got[0] && !got[1]) err = compare_pair(r, &sums, out);
        for (int i = 0; i < 2; i++) out->frames[i] += !got[i];
    }
    free(sums.row[0]);
    out->largest = sums.largest;
    out->psnr = sums.squares > 0 ? 10 * log10(sums.samples / sums.squares) : INFINITY;
    return err;
}

enum reel_err compare_files(const char *a, const char *b, struct compare_result *out)
{
    *out = (struct compare_result){.first_other = -1};
    struct reader r[2] = {0};
    enum reel_err err = open_reader(a, &r[0]);
    if (err) return err;
    if (!(err = open_reader(b, &r[1]))) {
        err = compare_all(r, out);
        close_reader(&r[1]);
    }
    close_reader(&r[0]);
    return err;
}

bool compare_is_good(const struct compare_result *r)
{
    return r->frames[0] == r->frames[1] && r->frames[0] && !r->times && r->largest <= 1;
}

// ---- the command ----------------------------------------------------------------

static void print_head(const char *reference, const struct compare_result *r)
{
    printf("%llu frames of %dx%d %s, compared with: %s\n\n", (unsigned long long)r->frames[0], r->width, r->height,
           r->format, reference);
    printf("  %-32s %8s %11s %8s %8s %10s %12s\n", "device", "frames", "timestamps", "equal", "largest", "PSNR",
           "first other");
}

static void print_row(const char *label, const struct compare_result *r)
{
    char psnr[24] = "inf", first[24] = "-", times[24] = "same";
    if (isfinite(r->psnr)) snprintf(psnr, sizeof psnr, "%.2f dB", r->psnr);
    if (r->first_other >= 0) snprintf(first, sizeof first, "%lld", (long long)r->first_other);
    if (r->times) snprintf(times, sizeof times, "%llu other", (unsigned long long)r->times);
    printf("  %-32.60s %8llu %11s %8llu %8.4g %10s %12s%s\n", label, (unsigned long long)r->frames[1], times,
           (unsigned long long)r->equal, r->largest, psnr, first, compare_is_good(r) ? "" : "  <-");
}

int compare_main(int argc, char **argv)
{
    int n = (argc - 2) / 2, bad = 0;
    if (argc < 6 || argc % 2 || n > MOST_FILES) {
        fprintf(stderr, "usage: aggregator --compare LABEL FILE LABEL FILE...\n");
        return 2;
    }
    av_log_set_level(AV_LOG_ERROR);
    for (int i = 1; i < n; i++) {
        struct compare_result r;
        const char *label = argv[2 + 2 * i];
        if (compare_files(argv[3], argv[3 + 2 * i], &r)) {
            fprintf(stderr, "reelmill: %s: %s\n", label, reel_fail_text());
            return 1;
        }
        if (i == 1) print_head(argv[2], &r);
        print_row(label, &r);
        bad += !compare_is_good(&r);
    }
    printf("\n%s\n", bad ? "not the same: frames, timestamps, or samples by more than 1 step of 8 bits"
                         : "the same frames and timestamps; no sample differs by more than 1 step of 8 bits");
    return bad ? 1 : 0;
}

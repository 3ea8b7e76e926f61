// SPDX-License-Identifier: MIT
//
// .md5: a line per frame with its timestamp and the MD5 of its samples, in the
// form of ffmpeg's framemd5, so that two runs, or a run and another program,
// can be compared frame by frame.
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "aggregator/sink/sink.h"

struct md5_sink {
    struct sink base;
    struct sink_text text;
    struct AVMD5 *md5;
    uint32_t frames;
    const struct plan *plan;
};

static void md5_close(struct md5_sink *s)
{
    sink_text_abandon(&s->text);
    av_free(s->md5);
    free(s);
}

// What the head of the joined file needs: it is at the front of every part.
static enum reel_err put_head(struct md5_sink *s)
{
    const struct plan *p = s->plan;
    char head[512];
    int n = snprintf(head, sizeof head,
                     "#format: frame checksums\n#version: 2\n#hash: MD5\n#tb 0: %d/%d\n#media_type 0: video\n#codec_id "
                     "0: rawvideo\n#dimensions 0: %dx%d\n#sar 0: %d/%d\n#stream#, dts,        pts, duration,     size, "
                     "hash\n",
                     p->media.time_base.num, p->media.time_base.den, p->final_width, p->final_height, p->final_sar.num,
                     p->final_sar.den > 0 ? p->final_sar.den : 1);
    return sink_text_write(&s->text, head, (size_t)n);
}

static enum reel_err md5_open(const struct sink_params *params, struct sink **out_sink)
{
    struct md5_sink *s = calloc(1, sizeof *s);
    if (!s) return reel_fail(REEL_ERR_NOMEM, "could not open a part: out of memory");
    s->base.ops = &sink_md5;
    s->plan = params->plan;
    s->md5 = av_md5_alloc();
    enum reel_err err = s->md5 ? REEL_OK : reel_fail(REEL_ERR_NOMEM, "could not open a part: out of memory");
    if (!err) err = sink_text_begin(&s->text, params);
    if (!err && sink_text_is_new(&s->text)) err = put_head(s);
    if (err)
        md5_close(s);
    else
        *out_sink = &s->base;
    return err;
}

static enum reel_err md5_put(struct sink *sink, const struct sink_frame *frame)
{
    struct md5_sink *s = (struct md5_sink *)sink;
    s->frames++;
    const AVFrame *f = frame->picture;
    av_md5_init(s->md5);
    uint64_t bytes = 0;
    int lines[4];
    enum AVPixelFormat format = (enum AVPixelFormat)f->format;
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(format);
    av_image_fill_linesizes(lines, format, f->width);
    for (int i = 0; i < 4 && f->data[i]; i++) {
        bool chroma = (i == 1 || i == 2) && !(d->flags & AV_PIX_FMT_FLAG_RGB);
        int rows = chroma ? AV_CEIL_RSHIFT(f->height, d->log2_chroma_h) : f->height;
        for (int y = 0; y < rows; y++)
            av_md5_update(s->md5, f->data[i] + (ptrdiff_t)y * f->linesize[i], (size_t)lines[i]);
        bytes += (uint64_t)rows * (uint64_t)lines[i];
    }
    uint8_t hash[16];
    char hex[33], line[160];
    av_md5_final(s->md5, hash);
    int n = snprintf(line, sizeof line, "0, %10lld, %10lld, %8lld, %8llu, %s\n", (long long)frame->pts,
                     (long long)frame->pts, (long long)frame->duration, (unsigned long long)bytes,
                     reel_hex(hash, sizeof hash, hex));
    return sink_text_write(&s->text, line, (size_t)n);
}

static enum reel_err md5_finish(struct sink *sink, struct sink_done *out)
{
    struct md5_sink *s = (struct md5_sink *)sink;
    out->frames = s->frames;
    enum reel_err err = sink_text_commit(&s->text, out);
    md5_close(s);
    return err;
}

static void md5_abandon(struct sink *sink)
{
    md5_close((struct md5_sink *)sink);
}

// The head of the first part, the lines of all.
static enum reel_err append_line(struct sink_text *out, uint32_t segment, const char *line, size_t n, uint64_t *frames)
{
    bool head = *line == '#';
    *frames += !head;
    return head && segment ? REEL_OK : sink_text_write(out, line, n);
}

static enum reel_err md5_join(const struct sink_join *join, struct reel_rec_muxed *out)
{
    return sink_text_join(join, append_line, out);
}

const struct sink_ops sink_md5 = {
    .name = "md5",
    .open = md5_open,
    .put = md5_put,
    .finish = md5_finish,
    .abandon = md5_abandon,
    .verify = sink_verify_file,
    .join = md5_join,
};

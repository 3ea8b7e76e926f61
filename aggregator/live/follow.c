// SPDX-License-Identifier: MIT
//
// Reads the other streams (audio, subtitles) of a live job's attempt. See follow.h.
#include "aggregator/live/follow.h"

#include <stdlib.h>

#include "common/life.h"

// Whether packets of one stream can continue the other.
static bool is_alike(const struct copied *c, const struct reel_pack_stream *s)
{
    const AVCodecParameters *p = c->par;
    if (p->codec_type != (enum AVMediaType)s->media_type || p->codec_id != (enum AVCodecID)s->codec_id) return false;
    if (p->codec_type == AVMEDIA_TYPE_AUDIO &&
        (p->sample_rate != s->sample_rate || p->ch_layout.nb_channels != s->channels))
        return false;
    return p->extradata_size == (int)s->extradata_bytes &&
           (!s->extradata_bytes || !memcmp(p->extradata, s->extradata, s->extradata_bytes));
}

static bool is_mapped(const struct follow *f, int to)
{
    for (int i = 0; i < f->n_map; i++)
        if (f->map[i] == to) return true;
    return false;
}

// Index of the stream of an earlier attempt that this one continues; -1: none.
static int find_alike(const struct follow *f, const struct mux_head *head, const struct reel_pack_stream *s)
{
    for (int i = 0; i < head->n_copied; i++)
        if (!is_mapped(f, i) && is_alike(&head->copied[i], s)) return i;
    return -1;
}

static enum reel_err map_stream(struct follow *f, struct mux_head *head, const struct reel_pack_stream *s, bool first)
{
    int *more = realloc(f->map, (size_t)(f->n_map + 1) * sizeof *more);
    if (!more) return mux_no_memory();
    f->map = more;
    enum reel_err err = first ? mux_keep_copied(head, s) : REEL_OK;
    if (err) return err;
    int to = first ? head->n_copied - 1 : find_alike(f, head, s);
    if (to < 0) {
        const char *kind = av_get_media_type_string((enum AVMediaType)s->media_type);
        mux_note(head, "could not keep %s stream (%s): the input had no such stream before", kind ? kind : "a",
                 avcodec_get_name((enum AVCodecID)s->codec_id));
    }
    f->map[f->n_map++] = to;
    return REEL_OK;
}

enum reel_err follow_open(struct follow *f, const char *path)
{
    f->record = f->record ? f->record : malloc(sizeof *f->record);
    f->since_us = reel_now_us();
    return f->record ? reel_pack_follow(path, &f->reader) : mux_no_memory();
}

enum reel_err follow_head(struct follow *f, struct mux_head *head, bool first)
{
    const struct reel_pack_record *r = f->record;
    enum reel_err err;
    while (!(err = reel_pack_read(f->reader, f->record))) {
        f->since_us = reel_now_us();
        if (r->type == REEL_PACK_STREAM) {
            if ((err = map_stream(f, head, &r->u.stream, first))) return err;
            continue;
        }
        if (r->type == REEL_PACK_GLOBALS && first) mux_put_texts(&head->globals, r->u.globals.text, r->u.globals.n);
        f->there = r->type == REEL_PACK_PACKET; // if it is a packet, the container decides whether to keep it
        return REEL_OK;
    }
    return err == REEL_EOF ? REEL_OK : err;
}

static bool is_kept(const struct follow *f, const struct mux_head *head)
{
    const struct copied *c = follow_stream(f, head);
    return c && c->to >= 0 && c->par->codec_type != AVMEDIA_TYPE_ATTACHMENT;
}

enum reel_err follow_next(struct follow *f, const struct mux_head *head)
{
    if (!f->reader) return REEL_EOF;
    for (;;) {
        if (f->there && is_kept(f, head)) return REEL_OK;
        f->there = false;
        enum reel_err err = reel_pack_read(f->reader, f->record);
        if (err) return err;
        f->there = f->record->type == REEL_PACK_PACKET;
        f->since_us = reel_now_us();
    }
}

struct copied *follow_stream(const struct follow *f, const struct mux_head *head)
{
    uint32_t i = f->record->u.packet.stream;
    int to = i < (uint32_t)f->n_map ? f->map[i] : -1;
    return to < 0 ? NULL : &head->copied[to];
}

int64_t follow_us(const struct follow *f, const struct mux_head *head)
{
    const struct reel_pack_packet *p = &f->record->u.packet;
    int64_t at = p->dts != INT64_MIN ? p->dts : p->pts;
    if (at == INT64_MIN) return INT64_MIN; // due at once
    return av_rescale_q(at, follow_stream(f, head)->time_base, AV_TIME_BASE_Q);
}

void follow_end(struct follow *f)
{
    reel_pack_close(&f->reader);
    free(f->record);
    free(f->map);
    *f = (struct follow){0};
}

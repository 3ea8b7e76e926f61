// SPDX-License-Identifier: MIT
//
// The contents of a header: copies of what packs hold. See mux_head.h.
#include "aggregator/sink/mux_head.h"

#include <stdarg.h>
#include <stdlib.h>

#define MAX_STREAMS 1024
#define MAX_CHAPTERS 4096

enum reel_err mux_no_memory(void)
{
    return reel_fail(REEL_ERR_NOMEM, "could not write the output: out of memory");
}

void mux_note(const struct mux_head *h, const char *fmt, ...)
{
    char text[REEL_TEXT_BYTES];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    h->note(h->ctx, text);
}

bool mux_is_format(const struct mux_head *h, const char *name)
{
    return !strcmp(h->format->name, name);
}

// ---- the video --------------------------------------------------------------------

uint8_t *mux_copy_bytes(const uint8_t *data, size_t n)
{
    uint8_t *copy = av_mallocz(n + AV_INPUT_BUFFER_PADDING_SIZE);
    if (copy && n) memcpy(copy, data, n);
    return copy;
}

enum reel_err mux_keep_video(struct mux_head *h, const struct reel_pack_stream *s)
{
    h->video = malloc(sizeof *h->video);
    if (!h->video) return mux_no_memory();
    *h->video = *s;
    h->video->n_text = 0;
    h->video->n_side = 0;
    h->video->extradata = mux_copy_bytes(s->extradata, s->extradata_bytes);
    if (!h->video->extradata) return mux_no_memory();
    for (uint32_t i = 0; i < s->n_side; i++) {
        struct reel_pack_side side = s->side[i];
        side.data = mux_copy_bytes(side.data, side.bytes);
        if (!side.data) return mux_no_memory();
        h->video->side[h->video->n_side++] = side;
    }
    return REEL_OK;
}

const char *mux_differs(const struct mux_head *h, const struct reel_pack_stream *s)
{
    const struct reel_pack_stream *v = h->video;
    if (s->codec_id != v->codec_id || s->format != v->format) return "codec";
    if (s->width != v->width || s->height != v->height) return "size";
    if (s->time_base.num != v->time_base.num || s->time_base.den != v->time_base.den) return "time base";
    if (s->extradata_bytes != v->extradata_bytes) return "codec header";
    if (s->extradata_bytes && memcmp(s->extradata, v->extradata, s->extradata_bytes)) return "codec header";
    return NULL;
}

// ---- the copied streams -----------------------------------------------------------

void mux_put_texts(AVDictionary **dict, const struct reel_pack_text *text, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) av_dict_set(dict, text[i].key, text[i].value, AV_DICT_DONT_OVERWRITE);
}

AVCodecParameters *mux_make_par(const struct reel_pack_stream *s)
{
    AVCodecParameters *par = avcodec_parameters_alloc();
    if (!par) return NULL;
    par->codec_type = (enum AVMediaType)s->media_type;
    par->codec_id = (enum AVCodecID)s->codec_id;
    par->codec_tag = s->codec_tag;
    par->format = s->format;
    par->profile = s->profile;
    par->level = s->level;
    par->width = s->width;
    par->height = s->height;
    par->bit_rate = s->bit_rate;
    par->bits_per_coded_sample = s->bits_per_coded_sample;
    par->bits_per_raw_sample = s->bits_per_raw_sample;
    par->sample_rate = s->sample_rate;
    par->frame_size = s->frame_size;
    par->block_align = s->block_align;
    par->initial_padding = s->initial_padding;
    par->trailing_padding = s->trailing_padding;
    par->seek_preroll = s->seek_preroll;
    par->video_delay = s->video_delay;
    par->sample_aspect_ratio = (AVRational){s->sar.num, s->sar.den > 0 ? s->sar.den : 1};
    par->color_primaries = (enum AVColorPrimaries)s->colour.primaries;
    par->color_trc = (enum AVColorTransferCharacteristic)s->colour.transfer;
    par->color_space = (enum AVColorSpace)s->colour.matrix;
    par->chroma_location = (enum AVChromaLocation)s->colour.chroma_location;
    if (s->colour.range_known) par->color_range = s->colour.full_range ? AVCOL_RANGE_JPEG : AVCOL_RANGE_MPEG;
    if (par->codec_type == AVMEDIA_TYPE_AUDIO) av_par_set_channels(par, s->channels, s->channel_mask);
    if (s->extradata_bytes) {
        par->extradata = mux_copy_bytes(s->extradata, s->extradata_bytes);
        par->extradata_size = (int)s->extradata_bytes;
        if (!par->extradata) avcodec_parameters_free(&par);
    }
    return par;
}

enum reel_err mux_keep_copied(struct mux_head *h, const struct reel_pack_stream *s)
{
    if (h->n_copied == MAX_STREAMS)
        return reel_fail(REEL_ERR_LIMIT, "could not write the output: over %d streams", MAX_STREAMS);
    struct copied *more = realloc(h->copied, (size_t)(h->n_copied + 1) * sizeof *more);
    if (!more) return mux_no_memory();
    h->copied = more;
    struct copied *c = &h->copied[h->n_copied++];
    *c = (struct copied){.to = -1, .last_dts = INT64_MIN, .disposition = s->disposition};
    c->time_base = (AVRational){s->time_base.num, s->time_base.den};
    if (c->time_base.num <= 0 || c->time_base.den <= 0) c->time_base = (AVRational){1, 1000};
    c->par = mux_make_par(s);
    mux_put_texts(&c->text, s->text, s->n_text);
    c->side = calloc(s->n_side + 1, sizeof *c->side);
    if (!c->par || !c->side) return mux_no_memory();
    for (uint32_t i = 0; i < s->n_side; i++) {
        c->side[i] = s->side[i];
        c->side[i].data = mux_copy_bytes(s->side[i].data, s->side[i].bytes);
        if (!c->side[i].data) return mux_no_memory();
        c->n_side++;
    }
    return REEL_OK;
}

enum reel_err mux_keep_chapter(struct mux_head *h, const struct reel_pack_chapter *c)
{
    if (h->n_chapters == MAX_CHAPTERS) return REEL_OK;
    struct reel_pack_chapter *more = realloc(h->chapters, (size_t)(h->n_chapters + 1) * sizeof *more);
    if (!more) return mux_no_memory();
    h->chapters = more;
    struct reel_pack_chapter *k = &more[h->n_chapters++];
    *k = *c;
    k->n_text = 0;
    for (uint32_t i = 0; i < c->n_text; i++) {
        struct reel_pack_text text = {strdup(c->text[i].key), strdup(c->text[i].value)};
        k->text[k->n_text++] = text;
        if (!text.key || !text.value) return mux_no_memory();
    }
    return REEL_OK;
}

bool mux_is_cover(const struct copied *c)
{
    return c->par->codec_type == AVMEDIA_TYPE_VIDEO && c->disposition & AV_DISPOSITION_ATTACHED_PIC;
}

enum reel_err mux_fill_packet(AVPacket *pkt, const struct reel_pack_packet *p)
{
    av_packet_unref(pkt);
    pkt->data = (uint8_t *)p->data;
    pkt->size = (int)p->bytes;
    pkt->pts = p->pts;
    pkt->dts = p->dts;
    pkt->duration = p->duration;
    pkt->flags = (int)p->flags;
    for (uint32_t i = 0; i < p->n_side; i++) {
        uint8_t *room = av_packet_new_side_data(pkt, (enum AVPacketSideDataType)p->side[i].type, p->side[i].bytes);
        if (!room) return mux_no_memory();
        memcpy(room, p->side[i].data, p->side[i].bytes);
    }
    return REEL_OK;
}

void mux_head_fini(struct mux_head *h)
{
    if (h->video) {
        for (uint32_t i = 0; i < h->video->n_side; i++) av_free((void *)h->video->side[i].data);
        av_free((void *)h->video->extradata);
        free(h->video);
    }
    for (int i = 0; i < h->n_copied; i++) {
        struct copied *c = &h->copied[i];
        for (uint32_t k = 0; c->side && k < c->n_side; k++) av_free((void *)c->side[k].data);
        free(c->side);
        av_free(c->cover);
        av_dict_free(&c->text);
        avcodec_parameters_free(&c->par);
    }
    free(h->copied);
    for (int i = 0; i < h->n_chapters; i++)
        for (uint32_t k = 0; k < h->chapters[i].n_text; k++) {
            free((char *)h->chapters[i].text[k].key);
            free((char *)h->chapters[i].text[k].value);
        }
    free(h->chapters);
    av_dict_free(&h->globals);
}

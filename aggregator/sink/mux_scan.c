// SPDX-License-Identifier: MIT
//
// First pass of the mux: the timestamps and stream of the video's parts, and
// what the part of the copied streams holds. See mux.h. All that it keeps are
// copies: the readers are closed when it ends.
#include <stdlib.h>
#include <unistd.h>

#include "aggregator/sink/mux.h"

#define MAX_STREAMS 1024
#define MAX_CHAPTERS 4096

// ---- the video's parts --------------------------------------------

uint8_t *mux_copy_bytes(const uint8_t *data, size_t n)
{
    uint8_t *copy = av_mallocz(n + AV_INPUT_BUFFER_PADDING_SIZE);
    if (copy && n) memcpy(copy, data, n);
    return copy;
}

static enum reel_err keep_video(struct mux *m, const struct reel_pack_stream *s)
{
    m->video = malloc(sizeof *m->video);
    if (!m->video) return mux_no_memory();
    *m->video = *s;
    m->video->n_text = 0;
    m->video->n_side = 0;
    m->video->extradata = mux_copy_bytes(s->extradata, s->extradata_bytes);
    if (!m->video->extradata) return mux_no_memory();
    for (uint32_t i = 0; i < s->n_side; i++) {
        struct reel_pack_side side = s->side[i];
        side.data = mux_copy_bytes(side.data, side.bytes);
        if (!side.data) return mux_no_memory();
        m->video->side[m->video->n_side++] = side;
    }
    return REEL_OK;
}

// All parts must be one stream.
static enum reel_err check_video(const struct mux *m, const struct reel_pack_stream *s, uint32_t segment)
{
    const struct reel_pack_stream *v = m->video;
    const char *what = NULL;
    if (s->codec_id != v->codec_id || s->format != v->format)
        what = "codec";
    else if (s->width != v->width || s->height != v->height)
        what = "size";
    else if (s->time_base.num != v->time_base.num || s->time_base.den != v->time_base.den)
        what = "time base";
    else if (s->extradata_bytes != v->extradata_bytes || memcmp(s->extradata, v->extradata, v->extradata_bytes))
        what = "codec header";
    if (!what) return REEL_OK;
    return reel_fail(REEL_ERR_INPUT,
                     "could not join \"%s\": segment %u has another %s than segment 0\nstart again with: "
                     "--resume never",
                     m->join->job->output, segment, what);
}

static enum reel_err scan_part(struct mux *m, uint32_t segment)
{
    char path[REEL_PATH_BYTES];
    struct reel_pack_reader *r;
    enum reel_err err = reel_pack_open(reel_part_path(m->join->job, segment, path), &r);
    if (err) return err;
    struct reel_pack_record *rec = m->part_record;
    while (!err && !(err = reel_pack_read(r, rec))) {
        if (rec->type == REEL_PACK_STREAM)
            err = m->video ? check_video(m, &rec->u.stream, segment) : keep_video(m, &rec->u.stream);
        if (rec->type == REEL_PACK_PACKET) err = timeline_add(&m->timeline, rec->u.packet.pts);
        if (!err && !m->join->tick(m->join->ctx, 0)) err = REEL_GONE;
    }
    reel_pack_close(&r);
    return err == REEL_EOF ? REEL_OK : err;
}

enum reel_err mux_scan_video(struct mux *m)
{
    const struct reel_rec_mux *rec = m->join->mux;
    enum reel_err err = REEL_OK;
    for (uint32_t i = 0; !err && i < rec->segments; i++) err = scan_part(m, i);
    if (!err && (!m->video || m->timeline.n != rec->frames))
        err = reel_fail(REEL_ERR_INPUT, "could not join \"%s\": the parts have %zu frames of %llu",
                        m->join->job->output, m->timeline.n, (unsigned long long)rec->frames);
    return err ? err : timeline_close(&m->timeline, rec->media.last_duration);
}

// ---- the copied streams -------------------------------------------

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

static enum reel_err keep_copied(struct mux *m, const struct reel_pack_stream *s)
{
    if (m->n_copied == MAX_STREAMS)
        return reel_fail(REEL_ERR_LIMIT, "could not write the output: over %d streams", MAX_STREAMS);
    struct copied *more = realloc(m->copied, (size_t)(m->n_copied + 1) * sizeof *more);
    if (!more) return mux_no_memory();
    m->copied = more;
    struct copied *c = &m->copied[m->n_copied++];
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

static enum reel_err keep_chapter(struct mux *m, const struct reel_pack_chapter *c)
{
    if (m->n_chapters == MAX_CHAPTERS) return REEL_OK;
    struct reel_pack_chapter *more = realloc(m->chapters, (size_t)(m->n_chapters + 1) * sizeof *more);
    if (!more) return mux_no_memory();
    m->chapters = more;
    struct reel_pack_chapter *k = &more[m->n_chapters++];
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

// Streams, texts and chapters; in Matroska also cover pictures, which are
// attachments there and belong to the header. Leaves the reader closed.
enum reel_err mux_scan_copied(struct mux *m, bool *out_any)
{
    char path[REEL_PATH_BYTES];
    *out_any = false;
    if (access(reel_copy_part_path(m->join->job, path), F_OK)) return REEL_OK;
    *out_any = true;
    struct reel_pack_reader *r;
    enum reel_err err = reel_pack_open(path, &r);
    if (err) return err;
    struct reel_pack_record *rec = m->copy_record;
    bool matroska = mux_is_format(m, "matroska");
    int covers = 0;
    while (!err && !(err = reel_pack_read(r, rec))) {
        if (rec->type == REEL_PACK_STREAM) {
            err = keep_copied(m, &rec->u.stream);
            if (!err) covers += matroska && mux_is_cover(&m->copied[m->n_copied - 1]);
        } else if (rec->type == REEL_PACK_GLOBALS) {
            mux_put_texts(&m->globals, rec->u.globals.text, rec->u.globals.n);
        } else if (rec->type == REEL_PACK_CHAPTER) {
            err = keep_chapter(m, &rec->u.chapter);
        } else if (rec->type == REEL_PACK_PACKET) {
            struct copied *c = &m->copied[rec->u.packet.stream];
            if (!covers) break; // the rest is for the second pass
            if (!mux_is_cover(c) || c->cover) continue;
            c->cover = mux_copy_bytes(rec->u.packet.data, rec->u.packet.bytes);
            c->cover_bytes = rec->u.packet.bytes;
            if (!c->cover) err = mux_no_memory();
            covers--;
        }
        if (!err && !m->join->tick(m->join->ctx, 0)) err = REEL_GONE;
    }
    reel_pack_close(&r);
    return err == REEL_EOF ? REEL_OK : err;
}

void mux_scan_fini(struct mux *m)
{
    if (m->video) {
        for (uint32_t i = 0; i < m->video->n_side; i++) av_free((void *)m->video->side[i].data);
        av_free((void *)m->video->extradata);
        free(m->video);
    }
    for (int i = 0; i < m->n_copied; i++) {
        struct copied *c = &m->copied[i];
        for (uint32_t k = 0; c->side && k < c->n_side; k++) av_free((void *)c->side[k].data);
        free(c->side);
        av_free(c->cover);
        av_dict_free(&c->text);
        avcodec_parameters_free(&c->par);
    }
    free(m->copied);
    for (int i = 0; i < m->n_chapters; i++)
        for (uint32_t k = 0; k < m->chapters[i].n_text; k++) {
            free((char *)m->chapters[i].text[k].key);
            free((char *)m->chapters[i].text[k].value);
        }
    free(m->chapters);
}

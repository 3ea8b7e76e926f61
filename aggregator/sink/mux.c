// SPDX-License-Identifier: MIT
//
// The final file: the parts of all segments in order and the part of the
// copied streams, read from our own pack files, written by libavformat under a
// temporary name, read again and counted, synced and renamed. Runs in the
// chores' thread.
//
// Two passes over the video: the first takes the timestamps (timeline.h) and
// sees that all segments were encoded alike, the second writes.
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "aggregator/sink/sink.h"
#include "aggregator/sink/timeline.h"
#include "common/life.h"

#define MAX_STREAMS 1024
#define MAX_CHAPTERS 4096

// A stream of the copy part.
struct copied {
    AVCodecParameters *par;
    AVRational time_base;
    int disposition;
    AVDictionary *text;
    struct reel_pack_side *side; // copies
    uint32_t n_side;
    uint8_t *cover; // of an attached picture that becomes an attachment
    size_t cover_bytes;
    int to; // stream of the output, -1: it cannot be kept
    int64_t last_dts;
    int64_t refused; // packets
};

struct mux {
    const struct sink_join *join;
    const AVOutputFormat *format;
    struct timeline timeline;
    struct reel_pack_stream *video; // of the first part; its pointers are copies
    struct copied *copied;
    int n_copied;
    struct reel_pack_chapter *chapters; // texts are copies
    int n_chapters;
    AVDictionary *globals;
    // writing
    AVFormatContext *oc;
    AVPacket *packet;
    int64_t last_video_dts;
    uint64_t frames;
    struct reel_pack_reader *copy, *part;
    struct reel_pack_record *copy_record, *part_record;
    bool copy_there; // copy_record holds a packet that was not written
    uint32_t segment;
    struct reel_kept kept;
    char temporary[REEL_PATH_BYTES];
};

static enum reel_err no_memory(void)
{
    return reel_fail(REEL_ERR_NOMEM, "could not write the output: out of memory");
}

static enum reel_err av_failed(const struct mux *m, const char *what, int rc)
{
    if (rc == AVERROR(ENOSPC) || rc == AVERROR(EDQUOT) || rc == AVERROR(EIO))
        return sink_write_failed(m->join->job->output, AVUNERROR(rc));
    char why[AV_ERROR_MAX_STRING_SIZE];
    av_strerror(rc, why, sizeof why);
    return reel_fail(REEL_ERR_FAULT, "could not %s file \"%s\": %s", what, m->join->job->output, encode_log_text(why));
}

static void note(const struct mux *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void note(const struct mux *m, const char *fmt, ...)
{
    char text[REEL_TEXT_BYTES];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    m->join->note(m->join->ctx, text);
}

static bool is_format(const struct mux *m, const char *name)
{
    return !strcmp(m->format->name, name);
}

// ---- first pass: the video's parts --------------------------------------------

static uint8_t *copy_bytes(const uint8_t *data, size_t n)
{
    uint8_t *copy = av_mallocz(n + AV_INPUT_BUFFER_PADDING_SIZE);
    if (copy && n) memcpy(copy, data, n);
    return copy;
}

static enum reel_err keep_video(struct mux *m, const struct reel_pack_stream *s)
{
    m->video = malloc(sizeof *m->video);
    if (!m->video) return no_memory();
    *m->video = *s;
    m->video->n_text = 0;
    m->video->n_side = 0;
    m->video->extradata = copy_bytes(s->extradata, s->extradata_bytes);
    if (!m->video->extradata) return no_memory();
    for (uint32_t i = 0; i < s->n_side; i++) {
        struct reel_pack_side side = s->side[i];
        side.data = copy_bytes(side.data, side.bytes);
        if (!side.data) return no_memory();
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

static enum reel_err scan_video(struct mux *m)
{
    const struct reel_rec_mux *rec = m->join->mux;
    enum reel_err err = REEL_OK;
    for (uint32_t i = 0; !err && i < rec->segments; i++) err = scan_part(m, i);
    if (!err && (!m->video || m->timeline.n != rec->frames))
        err = reel_fail(REEL_ERR_INPUT, "could not join \"%s\": the parts have %zu frames of %llu",
                        m->join->job->output, m->timeline.n, (unsigned long long)rec->frames);
    return err ? err : timeline_close(&m->timeline, rec->media.last_duration);
}

// ---- first pass: the copied streams -------------------------------------------

static void put_texts(AVDictionary **dict, const struct reel_pack_text *text, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) av_dict_set(dict, text[i].key, text[i].value, AV_DICT_DONT_OVERWRITE);
}

static AVCodecParameters *make_par(const struct reel_pack_stream *s)
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
        par->extradata = copy_bytes(s->extradata, s->extradata_bytes);
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
    if (!more) return no_memory();
    m->copied = more;
    struct copied *c = &m->copied[m->n_copied++];
    *c = (struct copied){.to = -1, .last_dts = INT64_MIN, .disposition = s->disposition};
    c->time_base = (AVRational){s->time_base.num, s->time_base.den};
    if (c->time_base.num <= 0 || c->time_base.den <= 0) c->time_base = (AVRational){1, 1000};
    c->par = make_par(s);
    put_texts(&c->text, s->text, s->n_text);
    c->side = calloc(s->n_side + 1, sizeof *c->side);
    if (!c->par || !c->side) return no_memory();
    for (uint32_t i = 0; i < s->n_side; i++) {
        c->side[i] = s->side[i];
        c->side[i].data = copy_bytes(s->side[i].data, s->side[i].bytes);
        if (!c->side[i].data) return no_memory();
        c->n_side++;
    }
    return REEL_OK;
}

static enum reel_err keep_chapter(struct mux *m, const struct reel_pack_chapter *c)
{
    if (m->n_chapters == MAX_CHAPTERS) return REEL_OK;
    struct reel_pack_chapter *more = realloc(m->chapters, (size_t)(m->n_chapters + 1) * sizeof *more);
    if (!more) return no_memory();
    m->chapters = more;
    struct reel_pack_chapter *k = &more[m->n_chapters++];
    *k = *c;
    k->n_text = 0;
    for (uint32_t i = 0; i < c->n_text; i++) {
        struct reel_pack_text text = {strdup(c->text[i].key), strdup(c->text[i].value)};
        k->text[k->n_text++] = text;
        if (!text.key || !text.value) return no_memory();
    }
    return REEL_OK;
}

static bool is_cover(const struct copied *c)
{
    return c->par->codec_type == AVMEDIA_TYPE_VIDEO && c->disposition & AV_DISPOSITION_ATTACHED_PIC;
}

// Streams, texts and chapters; in Matroska also cover pictures, which are
// attachments there and belong to the header. Leaves the reader closed.
static enum reel_err scan_copy(struct mux *m, bool *out_any)
{
    char path[REEL_PATH_BYTES];
    *out_any = false;
    if (access(reel_copy_part_path(m->join->job, path), F_OK)) return REEL_OK;
    *out_any = true;
    struct reel_pack_reader *r;
    enum reel_err err = reel_pack_open(path, &r);
    if (err) return err;
    struct reel_pack_record *rec = m->copy_record;
    bool matroska = is_format(m, "matroska");
    int covers = 0;
    while (!err && !(err = reel_pack_read(r, rec))) {
        if (rec->type == REEL_PACK_STREAM) {
            err = keep_copied(m, &rec->u.stream);
            if (!err) covers += matroska && is_cover(&m->copied[m->n_copied - 1]);
        } else if (rec->type == REEL_PACK_GLOBALS) {
            put_texts(&m->globals, rec->u.globals.text, rec->u.globals.n);
        } else if (rec->type == REEL_PACK_CHAPTER) {
            err = keep_chapter(m, &rec->u.chapter);
        } else if (rec->type == REEL_PACK_PACKET) {
            struct copied *c = &m->copied[rec->u.packet.stream];
            if (!covers) break; // the rest is for the second pass
            if (!is_cover(c) || c->cover) continue;
            c->cover = copy_bytes(rec->u.packet.data, rec->u.packet.bytes);
            c->cover_bytes = rec->u.packet.bytes;
            if (!c->cover) err = no_memory();
            covers--;
        }
        if (!err && !m->join->tick(m->join->ctx, 0)) err = REEL_GONE;
    }
    reel_pack_close(&r);
    return err == REEL_EOF ? REEL_OK : err;
}

// ---- the header ---------------------------------------------------------------

static enum reel_err add_video(struct mux *m, AVFormatContext *oc)
{
    AVStream *st = avformat_new_stream(oc, NULL);
    AVCodecParameters *par = st ? make_par(m->video) : NULL;
    if (!par) return no_memory();
    int rc = avcodec_parameters_copy(st->codecpar, par);
    avcodec_parameters_free(&par);
    if (rc < 0) return no_memory();
    par = st->codecpar;
    par->codec_tag = 0;
    bool iso = is_format(m, "mp4") || is_format(m, "mov");
    // Players of Apple's take HEVC under this tag alone.
    if (iso && par->codec_id == AV_CODEC_ID_HEVC) par->codec_tag = MKTAG('h', 'v', 'c', '1');
    par->video_delay = (int)m->timeline.depth;
    st->time_base = (AVRational){m->video->time_base.num, m->video->time_base.den};
    st->sample_aspect_ratio = par->sample_aspect_ratio;
    st->disposition = AV_DISPOSITION_DEFAULT;
    const struct reel_media *media = &m->join->mux->media;
    if (media->frame_rate.num > 0 && media->frame_rate.den > 0 && !(media->flags & REEL_MEDIA_VFR))
        st->avg_frame_rate = (AVRational){media->frame_rate.num, media->frame_rate.den};
    if (media->flags & REEL_MEDIA_INTERLACED)
        par->field_order = media->flags & REEL_MEDIA_TOP_FIRST ? AV_FIELD_TT : AV_FIELD_BB;
    else
        par->field_order = AV_FIELD_PROGRESSIVE;
    for (uint32_t i = 0; i < m->video->n_side; i++)
        if (!av_stream_put_side(st, (enum AVPacketSideDataType)m->video->side[i].type, m->video->side[i].data,
                                m->video->side[i].bytes))
            return no_memory();
    return REEL_OK;
}

// A cover picture as Matroska has it: an attached file.
static bool turn_into_attachment(const struct copied *c, AVStream *st)
{
    bool png = c->par->codec_id == AV_CODEC_ID_PNG;
    st->codecpar->codec_type = AVMEDIA_TYPE_ATTACHMENT;
    av_freep(&st->codecpar->extradata);
    st->codecpar->extradata = copy_bytes(c->cover, c->cover_bytes);
    st->codecpar->extradata_size = st->codecpar->extradata ? (int)c->cover_bytes : 0;
    av_dict_set(&st->metadata, "filename", png ? "cover.png" : "cover.jpg", AV_DICT_DONT_OVERWRITE);
    av_dict_set(&st->metadata, "mimetype", png ? "image/png" : "image/jpeg", AV_DICT_DONT_OVERWRITE);
    st->disposition = 0;
    return st->codecpar->extradata != NULL;
}

static enum reel_err add_copied(struct mux *m, const struct copied *c, AVFormatContext *oc)
{
    AVStream *st = avformat_new_stream(oc, NULL);
    if (!st || avcodec_parameters_copy(st->codecpar, c->par) < 0) return no_memory();
    st->time_base = c->time_base;
    st->disposition = c->disposition;
    av_dict_copy(&st->metadata, c->text, 0);
    if (c->par->codec_type == AVMEDIA_TYPE_VIDEO) st->sample_aspect_ratio = c->par->sample_aspect_ratio;
    // A tag of another container means nothing here.
    unsigned tag = c->par->codec_tag;
    if (m->format->codec_tag && av_codec_get_id(m->format->codec_tag, tag) != c->par->codec_id)
        st->codecpar->codec_tag = 0;
    for (uint32_t i = 0; i < c->n_side; i++)
        if (!av_stream_put_side(st, (enum AVPacketSideDataType)c->side[i].type, c->side[i].data, c->side[i].bytes))
            return no_memory();
    if (c->cover && !turn_into_attachment(c, st)) return no_memory();
    return REEL_OK;
}

// Whether mp4's usual boxes know the key: others need the free-form ones.
static bool usual_key(const char *key)
{
    static const char *const keys[] = {"title",
                                       "artist",
                                       "album_artist",
                                       "composer",
                                       "album",
                                       "date",
                                       "encoder",
                                       "comment",
                                       "genre",
                                       "copyright",
                                       "grouping",
                                       "lyrics",
                                       "description",
                                       "synopsis",
                                       "show",
                                       "episode_id",
                                       "network",
                                       "keywords",
                                       "media_type",
                                       "hd_video",
                                       "gapless_playback",
                                       "compilation",
                                       "episode_sort",
                                       "season_number",
                                       "track",
                                       "disc",
                                       "creation_time",
                                       "sort_name",
                                       "sort_artist",
                                       "sort_album",
                                       "sort_album_artist",
                                       "sort_composer",
                                       "sort_show",
                                       "rating",
                                       "podcast",
                                       "category",
                                       "account_type"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (!strcmp(key, keys[i])) return true;
    return false;
}

static void container_options(const struct mux *m, AVDictionary **options)
{
    if (!is_format(m, "mp4") && !is_format(m, "mov")) return;
    // Exact timestamps; small denominators libavformat multiplies by itself.
    if (m->video->time_base.den > 1000) av_dict_set_int(options, "video_track_timescale", m->video->time_base.den, 0);
    bool free_form = false;
    const AVDictionaryEntry *e = NULL;
    // libavformat writes either free-form keys or a cover.
    for (int i = 0; i < m->n_copied && is_format(m, "mp4"); i++)
        if (m->copied[i].to >= 0 && is_cover(&m->copied[i])) {
            av_dict_set(options, "movflags", "+faststart", 0);
            return;
        }
    while ((e = av_dict_get(m->globals, "", e, AV_DICT_IGNORE_SUFFIX))) free_form |= !usual_key(e->key);
    av_dict_set(options, "movflags", free_form ? "+faststart+use_metadata_tags" : "+faststart", 0);
}

static enum reel_err set_chapters(const struct mux *m, AVFormatContext *oc)
{
    if (!m->n_chapters) return REEL_OK;
    oc->chapters = av_calloc((size_t)m->n_chapters, sizeof *oc->chapters);
    if (!oc->chapters) return no_memory();
    for (int i = 0; i < m->n_chapters; i++) {
        const struct reel_pack_chapter *k = &m->chapters[i];
        AVChapter *c = av_mallocz(sizeof *c);
        if (!c) return no_memory();
        c->id = k->id;
        c->time_base = (AVRational){k->time_base.num, k->time_base.den > 0 ? k->time_base.den : 1};
        c->start = k->start;
        c->end = k->end;
        put_texts(&c->metadata, k->text, k->n_text);
        oc->chapters[oc->nb_chapters++] = c;
    }
    return REEL_OK;
}

// What a transport stream names; its muxer would write anything else as data
// that nobody recognises.
static bool ts_names(const struct copied *c)
{
    static const enum AVCodecID ids[] = {
        AV_CODEC_ID_MP2,          AV_CODEC_ID_MP3,          AV_CODEC_ID_AAC,
        AV_CODEC_ID_AAC_LATM,     AV_CODEC_ID_AC3,          AV_CODEC_ID_EAC3,
        AV_CODEC_ID_DTS,          AV_CODEC_ID_TRUEHD,       AV_CODEC_ID_OPUS,
        AV_CODEC_ID_S302M,        AV_CODEC_ID_H264,         AV_CODEC_ID_HEVC,
        AV_CODEC_ID_MPEG1VIDEO,   AV_CODEC_ID_MPEG2VIDEO,   AV_CODEC_ID_MPEG4,
        AV_CODEC_ID_DVB_SUBTITLE, AV_CODEC_ID_DVB_TELETEXT, AV_CODEC_ID_HDMV_PGS_SUBTITLE,
        AV_CODEC_ID_TIMED_ID3,    AV_CODEC_ID_SMPTE_KLV};
    if (c->disposition & AV_DISPOSITION_ATTACHED_PIC) return false;
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++)
        if (c->par->codec_id == ids[i]) return true;
    return false;
}

// Whether a copied stream can stand beside the video: tried on a header that
// goes nowhere.
static bool can_hold(struct mux *m, const struct copied *c)
{
    if (is_format(m, "mpegts") && !ts_names(c)) return false;
    AVFormatContext *oc = NULL;
    if (avformat_alloc_output_context2(&oc, m->format, NULL, NULL) < 0) return false;
    AVDictionary *options = NULL;
    uint8_t *nothing = NULL;
    oc->flags |= AVFMT_FLAG_BITEXACT;
    bool ok = !add_video(m, oc) && !add_copied(m, c, oc) && avio_open_dyn_buf(&oc->pb) >= 0;
    if (ok) {
        encode_log_clear();
        ok = avformat_write_header(oc, &options) >= 0;
        avio_close_dyn_buf(oc->pb, &nothing);
        av_free(nothing);
        oc->pb = NULL;
    }
    av_dict_free(&options);
    avformat_free_context(oc);
    return ok;
}

// What a lost stream means for the report.
static void count_lost(struct mux *m, const struct copied *c, bool others_kept)
{
    enum reel_kept_state state = others_kept ? REEL_KEPT_PART : REEL_KEPT_LOST;
    switch (c->par->codec_type) {
    case AVMEDIA_TYPE_AUDIO:
        m->kept.audio = (uint8_t)state;
        break;
    case AVMEDIA_TYPE_SUBTITLE:
        m->kept.subtitles = (uint8_t)state;
        break;
    case AVMEDIA_TYPE_ATTACHMENT:
        m->kept.attachments = (uint8_t)state;
        break;
    default:
        m->kept.other = (uint8_t)state;
    }
}

static void choose_streams(struct mux *m)
{
    int at = 1; // 0 is the video
    for (int i = 0; i < m->n_copied; i++)
        if (can_hold(m, &m->copied[i])) m->copied[i].to = at++;
    for (int i = 0; i < m->n_copied; i++) {
        struct copied *c = &m->copied[i];
        if (c->to >= 0) continue;
        bool others = false;
        for (int k = 0; k < m->n_copied; k++)
            others |= m->copied[k].to >= 0 && m->copied[k].par->codec_type == c->par->codec_type;
        count_lost(m, c, others);
        const char *kind = av_get_media_type_string(c->par->codec_type);
        note(m, "could not keep %s stream (%s): the output's format cannot hold it", kind ? kind : "a",
             avcodec_get_name(c->par->codec_id));
    }
    if (m->n_chapters && is_format(m, "mpegts")) {
        m->kept.chapters = REEL_KEPT_LOST;
        note(m, "could not keep %d chapters: a .ts file has none", m->n_chapters);
    }
}

static enum reel_err write_header(struct mux *m)
{
    int rc = avformat_alloc_output_context2(&m->oc, m->format, NULL, m->temporary);
    if (rc < 0) return no_memory();
    m->oc->flags |= AVFMT_FLAG_BITEXACT;
    enum reel_err err = add_video(m, m->oc);
    for (int i = 0; !err && i < m->n_copied; i++)
        if (m->copied[i].to >= 0) err = add_copied(m, &m->copied[i], m->oc);
    if (!err) err = set_chapters(m, m->oc);
    if (err) return err;
    av_dict_copy(&m->oc->metadata, m->globals, 0);
    if ((rc = avio_open(&m->oc->pb, m->temporary, AVIO_FLAG_WRITE)) < 0) return av_failed(m, "create", rc);
    AVDictionary *options = NULL;
    container_options(m, &options);
    encode_log_clear();
    rc = avformat_write_header(m->oc, &options);
    av_dict_free(&options);
    return rc < 0 ? av_failed(m, "begin", rc) : REEL_OK;
}

// ---- second pass ----------------------------------------------------------------

// The next video packet into part_record; EOF behind the last.
static enum reel_err next_video(struct mux *m)
{
    for (;;) {
        enum reel_err err = REEL_OK;
        if (!m->part) {
            if (m->segment == m->join->mux->segments) return REEL_EOF;
            char path[REEL_PATH_BYTES];
            err = reel_pack_open(reel_part_path(m->join->job, m->segment++, path), &m->part);
        }
        if (!err) err = reel_pack_read(m->part, m->part_record);
        if (err == REEL_EOF) {
            reel_pack_close(&m->part);
            continue;
        }
        if (err || m->part_record->type == REEL_PACK_PACKET) return err;
    }
}

// The next packet of a kept stream into copy_record; copy_there tells whether.
static enum reel_err next_copied(struct mux *m)
{
    m->copy_there = false;
    while (m->copy) {
        enum reel_err err = reel_pack_read(m->copy, m->copy_record);
        if (err == REEL_EOF) {
            reel_pack_close(&m->copy);
            return REEL_OK;
        }
        if (err) return err;
        if (m->copy_record->type != REEL_PACK_PACKET) continue;
        const struct copied *c = &m->copied[m->copy_record->u.packet.stream];
        if (c->to < 0 || c->cover || c->par->codec_type == AVMEDIA_TYPE_ATTACHMENT) continue;
        m->copy_there = true;
        return REEL_OK;
    }
    return REEL_OK;
}

// Borrows the record's memory until the next read.
static enum reel_err fill_packet(AVPacket *pkt, const struct reel_pack_packet *p)
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
        if (!room) return no_memory();
        memcpy(room, p->side[i].data, p->side[i].bytes);
    }
    return REEL_OK;
}

static enum reel_err write_video(struct mux *m)
{
    AVPacket *pkt = m->packet;
    enum reel_err err = fill_packet(pkt, &m->part_record->u.packet);
    if (err) return err;
    pkt->dts = timeline_dts(&m->timeline, m->frames);
    pkt->duration = timeline_duration(&m->timeline, pkt->pts);
    AVStream *st = m->oc->streams[0];
    av_packet_rescale_ts(pkt, (AVRational){m->video->time_base.num, m->video->time_base.den}, st->time_base);
    // A coarser time base may bring two together.
    if (m->frames && pkt->dts <= m->last_video_dts) pkt->dts = m->last_video_dts + 1;
    if (pkt->pts < pkt->dts) pkt->pts = pkt->dts;
    m->last_video_dts = pkt->dts;
    pkt->stream_index = 0;
    uint64_t bytes = (uint64_t)pkt->size;
    encode_log_clear();
    int rc = av_interleaved_write_frame(m->oc, pkt);
    if (rc < 0) return av_failed(m, "write", rc);
    m->frames++;
    reel_crash_point("aggregator.mid_mux");
    return m->join->tick(m->join->ctx, bytes) ? REEL_OK : REEL_GONE;
}

static enum reel_err write_copied(struct mux *m)
{
    AVPacket *pkt = m->packet;
    struct copied *c = &m->copied[m->copy_record->u.packet.stream];
    enum reel_err err = fill_packet(pkt, &m->copy_record->u.packet);
    if (err) return err;
    AVStream *st = m->oc->streams[c->to];
    av_packet_rescale_ts(pkt, c->time_base, st->time_base);
    if (pkt->dts == AV_NOPTS_VALUE) pkt->dts = pkt->pts;
    if (pkt->pts == AV_NOPTS_VALUE) pkt->pts = pkt->dts;
    // Damage in the input: order is what a container asks for.
    if (c->last_dts != INT64_MIN && pkt->dts != AV_NOPTS_VALUE && pkt->dts <= c->last_dts) pkt->dts = c->last_dts + 1;
    if (pkt->dts != AV_NOPTS_VALUE) {
        if (pkt->pts < pkt->dts) pkt->pts = pkt->dts;
        c->last_dts = pkt->dts;
    }
    pkt->stream_index = c->to;
    uint64_t bytes = (uint64_t)pkt->size;
    encode_log_clear();
    int rc = av_interleaved_write_frame(m->oc, pkt);
    if (rc == AVERROR(ENOSPC) || rc == AVERROR(EDQUOT) || rc == AVERROR(EIO) || rc == AVERROR(ENOMEM) ||
        m->oc->pb->error < 0)
        return av_failed(m, "write", rc < 0 ? rc : m->oc->pb->error);
    if (rc < 0 && !c->refused++) {
        char why[AV_ERROR_MAX_STRING_SIZE];
        av_strerror(rc, why, sizeof why);
        const char *kind = av_get_media_type_string(c->par->codec_type);
        note(m, "could not keep some packets of a copied %s stream (%s): %s", kind ? kind : "data",
             avcodec_get_name(c->par->codec_id), encode_log_text(why));
        count_lost(m, c, true);
    }
    return m->join->tick(m->join->ctx, bytes) ? REEL_OK : REEL_GONE;
}

// Whether the copied packet goes before the video packet.
static bool copied_first(const struct mux *m)
{
    const struct reel_pack_packet *p = &m->copy_record->u.packet;
    int64_t at = p->dts != INT64_MIN ? p->dts : p->pts;
    if (at == INT64_MIN) return true;
    AVRational tb = {m->video->time_base.num, m->video->time_base.den};
    return av_compare_ts(at, m->copied[p->stream].time_base, timeline_dts(&m->timeline, m->frames), tb) < 0;
}

static enum reel_err write_packets(struct mux *m, bool any_copied)
{
    char path[REEL_PATH_BYTES];
    enum reel_err err = REEL_OK;
    if (any_copied) err = reel_pack_open(reel_copy_part_path(m->join->job, path), &m->copy);
    if (!err) err = next_copied(m);
    enum reel_err video = err ? err : next_video(m);
    while (!err && (video == REEL_OK || m->copy_there)) {
        if (m->copy_there && (video == REEL_EOF || copied_first(m))) {
            err = write_copied(m);
            if (!err) err = next_copied(m);
        } else {
            err = write_video(m);
            if (!err) video = next_video(m);
        }
        if (video && video != REEL_EOF) err = video;
    }
    return err;
}

static enum reel_err finish_file(struct mux *m)
{
    encode_log_clear();
    int rc = av_write_trailer(m->oc);
    int closed = avio_closep(&m->oc->pb);
    if (rc >= 0) rc = closed;
    return rc < 0 ? av_failed(m, "end", rc) : REEL_OK;
}

// ---- reading it again -----------------------------------------------------------

static int find_video(const AVFormatContext *ic)
{
    for (unsigned i = 0; i < ic->nb_streams; i++)
        if (ic->streams[i]->codecpar->codec_type == AVMEDIA_TYPE_VIDEO &&
            !(ic->streams[i]->disposition & AV_DISPOSITION_ATTACHED_PIC))
            return (int)i;
    return -1;
}

// Texts of the input that the file does not give back.
static void check_texts(struct mux *m, const AVFormatContext *ic)
{
    static const char *const own[] = {"encoder",           "major_brand",  "minor_version",
                                      "compatible_brands", "handler_name", "vendor_id"};
    const AVDictionaryEntry *e = NULL;
    int all = 0, lost = 0;
    char names[256] = "";
    while ((e = av_dict_get(m->globals, "", e, AV_DICT_IGNORE_SUFFIX))) {
        bool skip = false;
        for (size_t i = 0; i < sizeof own / sizeof *own; i++) skip |= !strcasecmp(e->key, own[i]);
        if (skip) continue;
        all++;
        if (av_dict_get(ic->metadata, e->key, NULL, 0)) continue;
        lost++;
        av_strlcatf(names, sizeof names, "%s%s", *names ? ", " : "", e->key);
    }
    if (!lost) return;
    m->kept.metadata = lost == all ? REEL_KEPT_LOST : REEL_KEPT_PART;
    note(m, "could not keep metadata: the output's format does not hold %s", names);
}

// Cover pictures that went in and do not come out (.mov).
static void check_covers(struct mux *m, const AVFormatContext *ic)
{
    int in = 0, out = 0;
    for (int i = 0; i < m->n_copied; i++) in += m->copied[i].to >= 0 && is_cover(&m->copied[i]);
    for (unsigned i = 0; i < ic->nb_streams; i++)
        out += ic->streams[i]->disposition & AV_DISPOSITION_ATTACHED_PIC ? 1 : 0;
    if (out >= in) return;
    m->kept.other = out ? REEL_KEPT_PART : REEL_KEPT_LOST;
    note(m, "could not keep the cover picture: the output's format does not hold it");
}

static enum reel_err read_again(struct mux *m)
{
    AVFormatContext *ic = NULL;
    AVDictionary *options = NULL;
    const char *demuxer = is_format(m, "mpegts")                       ? "mpegts"
                          : is_format(m, "mp4") || is_format(m, "mov") ? "mov"
                                                                       : "matroska";
    av_dict_set(&options, "ignore_editlist", "1", 0); // every packet counts
    encode_log_clear();
    int rc = avformat_open_input(&ic, m->temporary, av_find_input_format(demuxer), &options);
    av_dict_free(&options);
    if (rc < 0) return av_failed(m, "read back", rc);
    check_texts(m, ic);
    check_covers(m, ic);
    int video = find_video(ic);
    for (unsigned i = 0; i < ic->nb_streams; i++)
        if ((int)i != video) ic->streams[i]->discard = AVDISCARD_ALL;
    uint64_t frames = 0;
    enum reel_err err = REEL_OK;
    while (!err && video >= 0 && av_read_frame(ic, m->packet) >= 0) {
        frames += m->packet->stream_index == video;
        av_packet_unref(m->packet);
        if (!m->join->tick(m->join->ctx, 0)) err = REEL_GONE;
    }
    avformat_close_input(&ic);
    if (!err && frames != m->join->mux->frames)
        err = reel_fail(REEL_ERR_FAULT, "could not verify file \"%s\": it gives back %llu frames of %llu",
                        m->join->job->output, (unsigned long long)frames, (unsigned long long)m->join->mux->frames);
    return err;
}

// ---- all of it --------------------------------------------------------------------

static void free_copied(struct mux *m)
{
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

static void mux_fini(struct mux *m)
{
    if (m->oc) {
        avio_closep(&m->oc->pb);
        avformat_free_context(m->oc);
    }
    if (m->video) {
        for (uint32_t i = 0; i < m->video->n_side; i++) av_free((void *)m->video->side[i].data);
        av_free((void *)m->video->extradata);
        free(m->video);
    }
    free_copied(m);
    reel_pack_close(&m->copy);
    reel_pack_close(&m->part);
    free(m->copy_record);
    free(m->part_record);
    av_packet_free(&m->packet);
    av_dict_free(&m->globals);
    timeline_fini(&m->timeline);
}

static enum reel_err run(struct mux *m)
{
    bool any_copied;
    enum reel_err err = scan_video(m);
    if (!err) err = scan_copy(m, &any_copied);
    if (err) return err;
    choose_streams(m);
    err = write_header(m);
    if (!err) err = write_packets(m, any_copied);
    if (!err) err = finish_file(m);
    if (!err) err = read_again(m);
    reel_crash_point("aggregator.before_publish");
    return err ? err : sink_publish(m->temporary, m->join->job->output);
}

enum reel_err mux_join(const struct sink_join *join, struct reel_rec_muxed *out)
{
    struct mux m = {.join = join, .kept = join->mux->kept};
    const char *name = plan_container_name(join->job->output);
    m.format = name ? av_guess_format(name, NULL, NULL) : NULL;
    m.packet = av_packet_alloc();
    m.copy_record = malloc(sizeof *m.copy_record);
    m.part_record = malloc(sizeof *m.part_record);
    reel_unfinished_path(join->job, m.temporary);
    enum reel_err err = REEL_OK;
    if (!m.format)
        err = reel_fail(REEL_ERR_UNSUPPORTED, "could not write \"%s\": this FFmpeg has no writer for it",
                        join->job->output);
    else if (!m.packet || !m.copy_record || !m.part_record)
        err = no_memory();
    if (!err) err = run(&m);
    mux_fini(&m);
    if (err) {
        if (m.format) unlink(m.temporary);
        return err;
    }
    struct stat st;
    *out = (struct reel_rec_muxed){.job = join->job->id, .frames = m.frames, .kept = m.kept};
    if (!stat(join->job->output, &st)) out->bytes = (uint64_t)st.st_size;
    if (out->kept.timestamps == REEL_KEPT_NONE) out->kept.timestamps = REEL_KEPT_ALL;
    return REEL_OK;
}

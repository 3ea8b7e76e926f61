// SPDX-License-Identifier: MIT
//
// The copy part. See copy.h. Each stream of the input is copied packet by packet, converted
// (text subtitles), stored whole in its record (attachments and covers for Matroska), or not
// kept. That depends on the output's container only and is decided before the first packet.
//
// Damaged streams never fail the job: whatever libav returns is written, with timestamps made
// increasing.
#include "decoder/copy.h"

#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/pack.h"
#include "decoder/container.h"
#include "decoder/subtitle.h"

#define WARMUP_US 50000 // two packets of AAC

enum way {
    WAY_SKIP,    // left out without losing anything
    WAY_LOSE,    // lost, because the container cannot hold it
    WAY_COPY,    // copied packet by packet
    WAY_CONVERT, // text subtitles, converted packet by packet
    WAY_ATTACH,  // stored whole in the stream's record
};

// The field of struct reel_kept for which a stream counts.
enum group {
    GROUP_AUDIO,
    GROUP_SUBTITLES,
    GROUP_ATTACHMENTS,
    GROUP_OTHER,
    GROUPS,
};

struct copy_stream {
    enum way way;
    enum group group;
    bool cover;
    bool adts;      // AAC with an ADTS header before each frame; the headers are replaced by
    uint8_t asc[2]; // one AudioSpecificConfig (ISO 14496-3, 1.6.2.1)
    uint32_t id;    // in the pack file
    int64_t last_dts;
    int64_t packets;
    enum cut_kind cut_kind;
    AVRational time_base;
    bool begun; // a packet was kept (when a part of the input is processed)
    struct subtitle *subtitle;
};

struct copy {
    struct reel_job job;
    struct demux *demux;
    const struct notes *notes;
    struct container out;
    struct reel_pack_writer *writer;
    struct copy_stream *streams; // [n_streams]
    unsigned n_streams;
    bool live;                  // the file is read while it grows; demux then belongs to another thread,
    struct reel_kept kept_live; // so this was filled in at the beginning
    bool is_part;               // a part of the input (--start, --end) is processed,
    struct cut cut;             // namely this one
    uint32_t n_written;
    int seen[GROUPS], kept[GROUPS];
    bool has_metadata;
    uint8_t chapters;
};

// ---- what happens to a stream ------------------------------------------------

static const char *const group_names[GROUPS] = {"audio", "subtitle", "attachment", "data or video"};

static enum way way_of_cover(const struct copy *c, const AVStream *st)
{
    if (!st->attached_pic.size) return WAY_LOSE;
    if (c->out.kind == CONTAINER_MKV) return WAY_ATTACH;
    enum AVCodecID codec = st->codecpar->codec_id;
    bool known = codec == AV_CODEC_ID_MJPEG || codec == AV_CODEC_ID_PNG || codec == AV_CODEC_ID_BMP;
    return c->out.kind == CONTAINER_MP4 && known ? WAY_COPY : WAY_LOSE;
}

static enum way way_of_data(const struct copy *c, const AVStream *st)
{
    // The track that holds QuickTime chapters, which are kept as chapters.
    if (c->demux->fmt->nb_chapters && st->codecpar->codec_tag == MKTAG('t', 'e', 'x', 't')) return WAY_SKIP;
    // Timecode tracks: their content is also in the metadata, from which the muxer makes a new one.
    bool timecode =
        st->codecpar->codec_tag == MKTAG('t', 'm', 'c', 'd') && av_dict_get(st->metadata, "timecode", NULL, 0);
    if (timecode && (c->out.kind == CONTAINER_MP4 || c->out.kind == CONTAINER_MOV)) return WAY_SKIP;
    return c->out.kind == CONTAINER_TS && container_holds(&c->out, st->codecpar->codec_id) ? WAY_COPY : WAY_LOSE;
}

static enum way way_of(const struct copy *c, const AVStream *st, enum group *out_group)
{
    enum AVCodecID codec = st->codecpar->codec_id;
    *out_group = GROUP_OTHER;
    if (st->index == c->demux->video) return WAY_SKIP;
    if (st->disposition & AV_DISPOSITION_ATTACHED_PIC) {
        *out_group = GROUP_ATTACHMENTS;
        return way_of_cover(c, st);
    }
    switch (st->codecpar->codec_type) {
    case AVMEDIA_TYPE_AUDIO:
        *out_group = GROUP_AUDIO;
        return container_holds(&c->out, codec) && st->codecpar->sample_rate > 0 ? WAY_COPY : WAY_LOSE;
    case AVMEDIA_TYPE_SUBTITLE:
        *out_group = GROUP_SUBTITLES;
        if (subtitle_is_text(codec) && container_text_codec(&c->out, codec) != codec)
            return container_text_codec(&c->out, codec) == AV_CODEC_ID_NONE ? WAY_LOSE : WAY_CONVERT;
        return container_holds(&c->out, codec) ? WAY_COPY : WAY_LOSE;
    case AVMEDIA_TYPE_VIDEO:
        return container_holds(&c->out, codec) ? WAY_COPY : WAY_LOSE;
    case AVMEDIA_TYPE_ATTACHMENT:
        *out_group = GROUP_ATTACHMENTS;
        return c->out.kind == CONTAINER_MKV && st->codecpar->extradata_size > 0 ? WAY_COPY : WAY_LOSE;
    default:
        return way_of_data(c, st);
    }
}

// ---- records --------------------------------------------------------------

static uint32_t fill_text(const AVDictionary *dict, struct reel_pack_text *text, uint32_t room)
{
    uint32_t n = 0;
    const AVDictionaryEntry *e = NULL;
    while (n < room && (e = av_dict_get(dict, "", e, AV_DICT_IGNORE_SUFFIX)))
        text[n++] = (struct reel_pack_text){e->key, e->value};
    return n;
}

static struct reel_rational rational(AVRational r)
{
    return r.den > 0 ? (struct reel_rational){r.num, r.den} : (struct reel_rational){0, 1};
}

// The input's codec tag if the output's container uses it for the same codec, else 0.
static uint32_t tag_for(const struct copy *c, const AVCodecParameters *par)
{
    unsigned tag = 0;
    if (!c->out.format->codec_tag || av_codec_get_id(c->out.format->codec_tag, par->codec_tag) == par->codec_id ||
        !av_codec_get_tag2(c->out.format->codec_tag, par->codec_id, &tag))
        return par->codec_tag;
    return 0;
}

static void fill_parameters(const struct copy *c, const AVStream *st, struct reel_pack_stream *r)
{
    const AVCodecParameters *par = st->codecpar;
    *r = (struct reel_pack_stream){
        .media_type = par->codec_type,
        .codec_id = par->codec_id,
        .codec_tag = tag_for(c, par),
        .format = par->format,
        .profile = par->profile,
        .level = par->level,
        .width = par->width,
        .height = par->height,
        .bit_rate = par->bit_rate,
        .bits_per_coded_sample = par->bits_per_coded_sample,
        .bits_per_raw_sample = par->bits_per_raw_sample,
        .sample_rate = par->sample_rate,
        .channels = par->ch_layout.nb_channels,
        .frame_size = par->frame_size,
        .block_align = par->block_align,
        .initial_padding = par->initial_padding,
        .trailing_padding = par->trailing_padding,
        .seek_preroll = par->seek_preroll,
        .channel_mask = par->ch_layout.order == AV_CHANNEL_ORDER_NATIVE ? par->ch_layout.u.mask : 0,
        .disposition = st->disposition,
        .time_base = rational(st->time_base),
        .sar = rational(par->sample_aspect_ratio),
        .frame_rate = rational(st->avg_frame_rate),
        .colour = {.primaries = (uint8_t)par->color_primaries,
                   .transfer = (uint8_t)par->color_trc,
                   .matrix = (uint8_t)par->color_space,
                   .full_range = par->color_range == AVCOL_RANGE_JPEG,
                   .range_known = par->color_range != AVCOL_RANGE_UNSPECIFIED,
                   .chroma_location = (uint8_t)par->chroma_location},
        .video_delay = par->video_delay,
        .duration = st->duration,
        .extradata_bytes = (uint32_t)par->extradata_size,
        .extradata = par->extradata,
    };
    int n;
    const AVPacketSideData *side = av_stream_side(st, &n);
    for (int i = 0; i < n && r->n_side < REEL_PACK_MAX_SIDE; i++)
        if (side[i].size <= UINT32_MAX)
            r->side[r->n_side++] = (struct reel_pack_side){side[i].type, (uint32_t)side[i].size, side[i].data};
    r->n_text = fill_text(st->metadata, r->text, REEL_PACK_MAX_TEXT);
}

static bool has_text(const struct reel_pack_stream *r, const char *key)
{
    for (uint32_t i = 0; i < r->n_text; i++)
        if (!strcasecmp(r->text[i].key, key)) return true;
    return false;
}

// A cover picture as Matroska keeps it: an attached file.
static void fill_cover(const AVStream *st, struct reel_pack_stream *r)
{
    bool png = st->codecpar->codec_id == AV_CODEC_ID_PNG;
    r->media_type = AVMEDIA_TYPE_ATTACHMENT;
    r->codec_tag = 0;
    r->disposition = 0;
    r->extradata = st->attached_pic.data;
    r->extradata_bytes = (uint32_t)st->attached_pic.size;
    if (!has_text(r, "filename") && r->n_text < REEL_PACK_MAX_TEXT)
        r->text[r->n_text++] = (struct reel_pack_text){"filename", png ? "cover.png" : "cover.jpg"};
    if (!has_text(r, "mimetype") && r->n_text < REEL_PACK_MAX_TEXT)
        r->text[r->n_text++] = (struct reel_pack_text){"mimetype", png ? "image/png" : "image/jpeg"};
}

static enum reel_err open_conversion(struct copy *c, const AVStream *st, struct copy_stream *s,
                                     struct reel_pack_stream *r)
{
    enum AVCodecID target = container_text_codec(&c->out, st->codecpar->codec_id);
    enum reel_err err = subtitle_open(st->codecpar, st->time_base, target, &s->subtitle);
    if (err) return err;
    int bytes;
    r->extradata = subtitle_extradata(s->subtitle, &bytes);
    r->extradata_bytes = (uint32_t)bytes;
    r->codec_id = target;
    r->codec_tag = 0;
    r->profile = r->level = -99; // "unknown" in libav
    return REEL_OK;
}

static void say_lost(const struct copy *c, const AVStream *st, const char *why)
{
    enum AVCodecID codec = st->codecpar->codec_id;
    const AVDictionaryEntry *language = av_dict_get(st->metadata, "language", NULL, 0);
    const AVOutputFormat *mkv = av_guess_format("matroska", NULL, NULL);
    bool attached =
        st->codecpar->codec_type == AVMEDIA_TYPE_ATTACHMENT || st->disposition & AV_DISPOSITION_ATTACHED_PIC;
    bool elsewhere =
        attached || (mkv && codec != AV_CODEC_ID_NONE && avformat_query_codec(mkv, codec, FF_COMPLIANCE_NORMAL) == 1);
    char tag[AV_FOURCC_MAX_STRING_SIZE];
    enum group group;
    way_of(c, st, &group);
    notes_say(c->notes, REEL_LOG_WARN, "\"%s\": %s stream %d (%s%s%s) is not kept: %s%s", c->job.input,
              group_names[group], st->index,
              codec == AV_CODEC_ID_NONE ? av_fourcc_make_string(tag, st->codecpar->codec_tag) : avcodec_get_name(codec),
              language ? ", " : "", language ? language->value : "", why,
              elsewhere && c->out.kind != CONTAINER_MKV ? "; an .mkv output would" : "");
}

// Makes the AudioSpecificConfig of AAC as it is in MPEG-TS, with an ADTS header (ISO 14496-3,
// 1.A.3.2) on each frame. Muxers usually take it from the first packet, but a live output's header
// is written before that.
static void know_aac(const AVStream *st, struct copy_stream *s, struct reel_pack_stream *r)
{
    static const int rates[] = {96000, 88200, 64000, 48000, 44100, 32000, 24000,
                                22050, 16000, 12000, 11025, 8000,  7350};
    const AVCodecParameters *par = st->codecpar;
    if (par->codec_id != AV_CODEC_ID_AAC || par->extradata_size) return;
    // The configuration describes the core: spectral band replication doubles its sample rate,
    // parametric stereo its channels.
    bool doubled = par->profile == FF_PROFILE_AAC_HE || par->profile == FF_PROFILE_AAC_HE_V2;
    int rate = doubled ? par->sample_rate / 2 : par->sample_rate, index = 0, channels = par->ch_layout.nb_channels;
    while (index < 13 && rates[index] != rate) index++;
    if (par->profile == FF_PROFILE_AAC_HE_V2) channels = 1;
    if (channels == 8) channels = 7;
    if (index == 13 || channels < 1 || channels > 7) return;
    int type = doubled || par->profile < 0 || par->profile > 3 ? 2 : par->profile + 1; // audio object type; 2: LC
    s->asc[0] = (uint8_t)(type << 3 | index >> 1);
    s->asc[1] = (uint8_t)(index << 7 | channels << 3);
    s->adts = true;
    r->extradata = s->asc;
    r->extradata_bytes = sizeof s->asc;
}

static void strip_adts(const struct copy_stream *s, struct reel_pack_packet *r)
{
    if (!s->adts || r->bytes < 10 || r->data[0] != 0xff || (r->data[1] & 0xf0) != 0xf0) return;
    uint32_t head = r->data[1] & 1 ? 7 : 9; // without or with a checksum
    r->data += head;
    r->bytes -= head;
}

// Sound packets that only reach into the part are kept if the container has edit lists, which hide
// the beginning.
static enum cut_kind cut_kind_of(const struct copy *c, const AVStream *st)
{
    switch (st->codecpar->codec_type) {
    case AVMEDIA_TYPE_AUDIO:
        return c->out.kind == CONTAINER_MP4 || c->out.kind == CONTAINER_MOV ? CUT_HIDDEN : CUT_SOUND;
    case AVMEDIA_TYPE_SUBTITLE:
        return subtitle_is_text(st->codecpar->codec_id) ? CUT_TEXT : CUT_OTHER;
    case AVMEDIA_TYPE_VIDEO:
        return CUT_VIDEO;
    default:
        return CUT_OTHER;
    }
}

static enum reel_err open_stream(struct copy *c, unsigned i, struct reel_pack_stream *record)
{
    const AVStream *st = c->demux->fmt->streams[i];
    struct copy_stream *s = &c->streams[i];
    s->cut_kind = cut_kind_of(c, st);
    s->time_base = st->time_base;
    s->way = way_of(c, st, &s->group);
    s->cover = st->disposition & AV_DISPOSITION_ATTACHED_PIC;
    s->last_dts = INT64_MIN;
    if (s->way == WAY_SKIP) return REEL_OK;
    c->seen[s->group]++;
    char why[96];
    snprintf(why, sizeof why, ".%s does not hold it", c->out.name);
    if (s->way != WAY_LOSE) {
        fill_parameters(c, st, record);
        if (c->live) know_aac(st, s, record);
        if (s->way == WAY_ATTACH) fill_cover(st, record);
        if (s->way == WAY_CONVERT && open_conversion(c, st, s, record)) {
            s->way = WAY_LOSE;
            snprintf(why, sizeof why, "%.90s", reel_fail_text());
        }
    }
    if (s->way == WAY_LOSE) {
        say_lost(c, st, why);
        return REEL_OK;
    }
    c->kept[s->group]++;
    record->id = s->id = c->n_written++;
    return reel_pack_put_stream(c->writer, record);
}

// Metadata about the input file itself, which is not true of the output.
static bool is_file_fact(const char *key)
{
    static const char *const facts[] = {"major_brand", "minor_version", "compatible_brands", "encoder", "duration"};
    for (size_t i = 0; i < sizeof facts / sizeof facts[0]; i++)
        if (!strcasecmp(key, facts[i])) return true;
    return false;
}

static enum reel_err put_globals(struct copy *c)
{
    const AVFormatContext *fmt = c->demux->fmt;
    struct reel_pack_text text[REEL_PACK_MAX_TEXT];
    uint32_t n = 0;
    bool timecode = false;
    char code[64];
    const AVDictionaryEntry *e = NULL;
    while (n < REEL_PACK_MAX_TEXT - 1 && (e = av_dict_get(fmt->metadata, "", e, AV_DICT_IGNORE_SUFFIX))) {
        if (is_file_fact(e->key)) continue;
        timecode |= !strcasecmp(e->key, "timecode");
        text[n++] = (struct reel_pack_text){e->key, e->value};
    }
    for (unsigned i = 0; i < c->demux->n_streams && !timecode; i++) {
        if ((e = av_dict_get(fmt->streams[i]->metadata, "timecode", NULL, 0))) {
            text[n++] = (struct reel_pack_text){"timecode", e->value};
            timecode = true;
        }
    }
    for (uint32_t i = 0; c->is_part && i < n; i++)
        if (!strcasecmp(text[i].key, "timecode") &&
            cut_timecode(&c->cut, c->demux->frame_rate, text[i].value, code, sizeof code))
            text[i].value = code;
    c->has_metadata = n > 0;
    return n ? reel_pack_put_globals(c->writer, text, n) : REEL_OK;
}

static enum reel_err put_chapters(struct copy *c)
{
    const AVFormatContext *fmt = c->demux->fmt;
    c->chapters = REEL_KEPT_NONE;
    if (!fmt->nb_chapters) return REEL_OK;
    bool none = c->out.kind == CONTAINER_TS || c->out.kind == CONTAINER_PS || c->out.kind == CONTAINER_OTHER ||
                c->out.kind == CONTAINER_RTSP;
    if (none) {
        c->chapters = REEL_KEPT_LOST;
        notes_say(c->notes, REEL_LOG_WARN, "\"%s\": %u chapters are not kept: .%s does not hold them", c->job.input,
                  fmt->nb_chapters, c->out.name);
        return REEL_OK;
    }
    int64_t start = fmt->start_time == AV_NOPTS_VALUE ? 0 : fmt->start_time;
    enum reel_err err = REEL_OK;
    struct reel_pack_chapter *record = malloc(sizeof *record);
    if (!record) return reel_fail(REEL_ERR_NOMEM, "could not copy chapters: out of memory");
    for (unsigned i = 0; i < fmt->nb_chapters && !err; i++) {
        const AVChapter *ch = fmt->chapters[i];
        int64_t shift = av_rescale_q(start, AV_TIME_BASE_Q, ch->time_base);
        *record = (struct reel_pack_chapter){
            .id = ch->id,
            .time_base = rational(ch->time_base),
            .start = ch->start > shift ? ch->start - shift : 0,
            .end = ch->end == AV_NOPTS_VALUE ? INT64_MIN
                   : ch->end > shift         ? ch->end - shift
                                             : 0,
        };
        record->n_text = fill_text(ch->metadata, record->text, REEL_PACK_MAX_TEXT);
        if (c->is_part && !cut_chapter(&c->cut, record)) continue;
        c->chapters = REEL_KEPT_ALL;
        err = reel_pack_put_chapter(c->writer, record);
    }
    free(record);
    return err;
}

// Writes a cover, which libav takes from the header and not from packets of the file.
static enum reel_err put_cover(struct copy *c, unsigned i)
{
    const AVPacket *pic = &c->demux->fmt->streams[i]->attached_pic;
    struct reel_pack_packet record = {
        .stream = c->streams[i].id,
        .pts = 0,
        .dts = 0,
        .flags = AV_PKT_FLAG_KEY,
        .bytes = (uint32_t)pic->size,
        .data = pic->data,
    };
    return reel_pack_put_packet(c->writer, &record);
}

static enum reel_err open_part(struct copy *c, uint32_t attempt)
{
    struct reel_pack_stream *record = malloc(sizeof *record);
    c->n_streams = c->demux->n_streams;
    c->streams = calloc(c->n_streams, sizeof *c->streams);
    if (!record || !c->streams) {
        free(record);
        return reel_fail(REEL_ERR_NOMEM, "could not copy streams of \"%s\": out of memory", c->job.input);
    }
    char path[REEL_PATH_BYTES];
    enum reel_err err = c->live ? reel_pack_create_live(reel_live_copy_path(&c->job, attempt, path), &c->writer)
                                : reel_pack_create(reel_copy_part_path(&c->job, path), &c->writer);
    for (unsigned i = 0; i < c->demux->n_streams && !err; i++) err = open_stream(c, i, record);
    free(record);
    if (!err) err = put_globals(c);
    if (!err) err = put_chapters(c);
    for (unsigned i = 0; i < c->demux->n_streams && !err; i++)
        if (c->demux->fmt->streams[i]->disposition & AV_DISPOSITION_ATTACHED_PIC && c->streams[i].way == WAY_COPY)
            err = put_cover(c, i);
    return err;
}

// ---- what is kept --------------------------------------------------------

static uint8_t kept_state(const struct copy *c, enum group group)
{
    if (!c->seen[group]) return REEL_KEPT_NONE;
    if (c->kept[group] == c->seen[group]) return REEL_KEPT_ALL;
    return c->kept[group] ? REEL_KEPT_PART : REEL_KEPT_LOST;
}

// For outputs that hold only pictures or results: other streams do not count as lost.
static void say_unasked(const struct copy *c, struct reel_kept *kept)
{
    const AVFormatContext *fmt = c->demux->fmt;
    if (!fmt) return;
    for (unsigned i = 0; i < c->demux->n_streams; i++) {
        const AVStream *st = fmt->streams[i];
        if (st->index == c->demux->video) continue;
        enum AVMediaType type = st->codecpar->codec_type;
        if (type == AVMEDIA_TYPE_AUDIO)
            kept->audio = REEL_KEPT_UNASKED;
        else if (type == AVMEDIA_TYPE_SUBTITLE)
            kept->subtitles = REEL_KEPT_UNASKED;
        else if (type == AVMEDIA_TYPE_ATTACHMENT || st->disposition & AV_DISPOSITION_ATTACHED_PIC)
            kept->attachments = REEL_KEPT_UNASKED;
        else
            kept->other = REEL_KEPT_UNASKED;
    }
    if (fmt->nb_chapters) kept->chapters = REEL_KEPT_UNASKED;
    if (av_dict_count(fmt->metadata)) kept->metadata = REEL_KEPT_UNASKED;
}

static void fill_kept(const struct copy *c, struct reel_kept *out_kept)
{
    *out_kept = (struct reel_kept){0};
    if (!c->writer) {
        say_unasked(c, out_kept);
        return;
    }
    out_kept->audio = kept_state(c, GROUP_AUDIO);
    out_kept->subtitles = kept_state(c, GROUP_SUBTITLES);
    out_kept->attachments = kept_state(c, GROUP_ATTACHMENTS);
    out_kept->other = kept_state(c, GROUP_OTHER);
    out_kept->chapters = c->chapters;
    out_kept->metadata = c->has_metadata ? REEL_KEPT_ALL : REEL_KEPT_NONE;
}

// ---- begin -----------------------------------------------------------------

static enum reel_err open_copy(const struct reel_job *job, struct demux *demux, const struct cut *cut,
                               const struct notes *notes, bool live, uint32_t attempt, struct copy **out_copy)
{
    *out_copy = NULL;
    struct copy *c = calloc(1, sizeof *c);
    if (!c) return reel_fail(REEL_ERR_NOMEM, "could not copy streams of \"%s\": out of memory", job->input);
    c->job = *job;
    c->demux = demux;
    c->notes = notes;
    c->live = live;
    c->is_part = cut != NULL;
    if (cut) c->cut = *cut;
    if (job->kind == REEL_OUTPUT_VIDEO || job->kind == REEL_OUTPUT_STREAM) container_find(c->job.output, &c->out);
    enum reel_err err = c->out.format && demux->fmt ? open_part(c, attempt) : REEL_OK;
    if (err) copy_close(&c);
    *out_copy = c;
    return err;
}

enum reel_err copy_open(const struct reel_job *job, struct demux *demux, const struct cut *cut,
                        const struct notes *notes, struct copy **out_copy)
{
    return open_copy(job, demux, cut, notes, false, 0, out_copy);
}

bool copy_is_open(const struct copy *copy)
{
    return copy->writer != NULL;
}

enum reel_err copy_open_live(const struct reel_job *job, struct demux *demux, const struct notes *notes,
                             uint32_t attempt, struct reel_kept *out_kept, struct copy **out_copy)
{
    enum reel_err err = open_copy(job, demux, NULL, notes, true, attempt, out_copy);
    if (err) return err;
    fill_kept(*out_copy, out_kept);
    (*out_copy)->kept_live = *out_kept;
    (*out_copy)->demux = NULL;
    return REEL_OK;
}

void copy_close(struct copy **copy)
{
    struct copy *c = *copy;
    if (!c) return;
    reel_pack_abandon(&c->writer);
    for (unsigned i = 0; c->streams && i < c->n_streams; i++) subtitle_close(&c->streams[i].subtitle);
    free(c->streams);
    free(c);
    *copy = NULL;
}

// ---- packets --------------------------------------------------------------

// Makes timestamps increase, as muxers require.
static void fix_times(struct copy_stream *s, struct reel_pack_packet *r)
{
    if (r->dts == INT64_MIN) r->dts = r->pts;
    if (r->dts == INT64_MIN) r->dts = s->last_dts == INT64_MIN ? 0 : s->last_dts + 1;
    if (s->last_dts != INT64_MIN && r->dts <= s->last_dts) r->dts = s->last_dts + 1;
    if (r->pts == INT64_MIN || r->pts < r->dts) r->pts = r->dts;
    s->last_dts = r->dts;
}

// Whether it is sound that the input's edit list hides, apart from the last packets before 0, with
// which a decoder warms up. An output without edit lists would play it before the first picture.
static bool is_hidden(const struct copy_stream *s, const AVPacket *k)
{
    if (s->cut_kind != CUT_SOUND || !(k->flags & AV_PKT_FLAG_DISCARD) || k->pts == AV_NOPTS_VALUE) return false;
    return av_compare_ts(k->pts + k->duration, s->time_base, -WARMUP_US, AV_TIME_BASE_Q) < 0;
}

enum reel_err copy_packet(struct copy *c, AVPacket *packet)
{
    if (!c->writer) return REEL_OK;
    struct copy_stream *s = &c->streams[packet->stream_index];
    if ((s->way != WAY_COPY && s->way != WAY_CONVERT) || s->cover || packet->size <= 0) return REEL_OK;
    if (is_hidden(s, packet)) return REEL_OK;
    struct reel_pack_packet r = {
        .stream = s->id,
        .pts = packet->pts,
        .dts = packet->dts,
        .duration = packet->duration,
        .flags = (uint32_t)packet->flags,
        .bytes = (uint32_t)packet->size,
        .data = packet->data,
    };
    strip_adts(s, &r);
    if (s->way == WAY_CONVERT) {
        int bytes = subtitle_convert(s->subtitle, packet, &r.data, &r.duration);
        if (!bytes) return REEL_OK;
        r.bytes = (uint32_t)bytes;
        r.dts = r.pts;
    }
    for (int i = 0; i < packet->side_data_elems && r.n_side < REEL_PACK_MAX_SIDE && s->way == WAY_COPY; i++) {
        const AVPacketSideData *side = &packet->side_data[i];
        if (side->size <= UINT32_MAX)
            r.side[r.n_side++] = (struct reel_pack_side){side->type, (uint32_t)side->size, side->data};
    }
    if (c->is_part && !cut_packet(&c->cut, s->cut_kind, s->time_base, &s->begun, &r)) return REEL_OK;
    fix_times(s, &r);
    s->packets++;
    return reel_pack_put_packet(c->writer, &r);
}

// ---- the end --------------------------------------------------------------

enum reel_err copy_finish(struct copy *c, struct reel_kept *out_kept, uint64_t *out_bytes, uint8_t out_sha256[32])
{
    if (c->live)
        *out_kept = c->kept_live;
    else
        fill_kept(c, out_kept);
    *out_bytes = 0;
    memset(out_sha256, 0, 32);
    if (!c->writer) return REEL_OK;
    if (!c->n_written && !c->has_metadata && c->chapters != REEL_KEPT_ALL) {
        reel_pack_abandon(&c->writer);
        return REEL_OK;
    }
    return reel_pack_commit(&c->writer, out_bytes, out_sha256);
}

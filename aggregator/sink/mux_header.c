// SPDX-License-Identifier: MIT
//
// Which streams a container takes, as what, under which tags, texts and options. See
// mux_head.h.
#include <stdlib.h>

#include "aggregator/sink/mux_head.h"

#define LIVE_FRAGMENT_US 200000 // of a live .mp4: what is lost at most when all die

AVRational mux_rate(const struct reel_media *m, int64_t median)
{
    static const AVRational usual[] = {{24, 1}, {25, 1}, {30, 1}, {50, 1}, {60, 1}, {15, 1}, {12, 1}, {10, 1}};
    AVRational mean = m->frame_rate.num > 0 && m->frame_rate.den > 0
                          ? (AVRational){m->frame_rate.num, m->frame_rate.den}
                          : (AVRational){25, 1};
    if (!(m->flags & REEL_MEDIA_VFR) || median < 1) return mean;
    AVRational rate;
    av_reduce(&rate.num, &rate.den, m->time_base.den, m->time_base.num * median, 100000);
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) {
        double off = av_q2d(rate) / av_q2d(usual[i]);
        if (off > 0.95 && off < 1.05) rate = usual[i]; // times are rounded in many containers
    }
    return av_cmp_q(rate, mean) < 0 ? mean : rate;
}

static enum reel_err add_video(const struct mux_head *h, AVFormatContext *oc)
{
    AVStream *st = avformat_new_stream(oc, NULL);
    AVCodecParameters *par = st ? mux_make_par(h->video) : NULL;
    if (!par) return mux_no_memory();
    int rc = avcodec_parameters_copy(st->codecpar, par);
    avcodec_parameters_free(&par);
    if (rc < 0) return mux_no_memory();
    par = st->codecpar;
    par->codec_tag = 0;
    bool iso = mux_is_format(h, "mp4") || mux_is_format(h, "mov");
    // Players of Apple's take HEVC under this tag alone.
    if (iso && par->codec_id == AV_CODEC_ID_HEVC) par->codec_tag = MKTAG('h', 'v', 'c', '1');
    par->video_delay = h->reorder;
    st->time_base = (AVRational){h->video->time_base.num, h->video->time_base.den};
    if (h->rate.num) {
        st->avg_frame_rate = h->rate;
        st->time_base = av_inv_q(h->rate);
    }
    if (encode_is_raw(h->format)) {
        par->codec_id = AV_CODEC_ID_WRAPPED_AVFRAME;
        oc->strict_std_compliance = FF_COMPLIANCE_UNOFFICIAL; // more than 8 bits, as every tool writes it
    }
    st->sample_aspect_ratio = par->sample_aspect_ratio;
    st->disposition = AV_DISPOSITION_DEFAULT;
    const struct reel_media *media = h->media;
    if (media->frame_rate.num > 0 && media->frame_rate.den > 0 && !(media->flags & REEL_MEDIA_VFR))
        st->avg_frame_rate = (AVRational){media->frame_rate.num, media->frame_rate.den};
    if (media->flags & REEL_MEDIA_INTERLACED)
        par->field_order = media->flags & REEL_MEDIA_TOP_FIRST ? AV_FIELD_TT : AV_FIELD_BB;
    else
        par->field_order = AV_FIELD_PROGRESSIVE;
    for (uint32_t i = 0; i < h->video->n_side; i++)
        if (!av_stream_put_side(st, (enum AVPacketSideDataType)h->video->side[i].type, h->video->side[i].data,
                                h->video->side[i].bytes))
            return mux_no_memory();
    return REEL_OK;
}

// A cover picture as Matroska has it: an attached file.
static bool turn_into_attachment(const struct copied *c, AVStream *st)
{
    bool png = c->par->codec_id == AV_CODEC_ID_PNG;
    st->codecpar->codec_type = AVMEDIA_TYPE_ATTACHMENT;
    av_freep(&st->codecpar->extradata);
    st->codecpar->extradata = mux_copy_bytes(c->cover, c->cover_bytes);
    st->codecpar->extradata_size = st->codecpar->extradata ? (int)c->cover_bytes : 0;
    av_dict_set(&st->metadata, "filename", png ? "cover.png" : "cover.jpg", AV_DICT_DONT_OVERWRITE);
    av_dict_set(&st->metadata, "mimetype", png ? "image/png" : "image/jpeg", AV_DICT_DONT_OVERWRITE);
    st->disposition = 0;
    return st->codecpar->extradata != NULL;
}

static enum reel_err add_copied(const struct mux_head *h, const struct copied *c, AVFormatContext *oc)
{
    AVStream *st = avformat_new_stream(oc, NULL);
    if (!st || avcodec_parameters_copy(st->codecpar, c->par) < 0) return mux_no_memory();
    st->time_base = c->time_base;
    st->disposition = c->disposition;
    av_dict_copy(&st->metadata, c->text, 0);
    if (c->par->codec_type == AVMEDIA_TYPE_VIDEO) st->sample_aspect_ratio = c->par->sample_aspect_ratio;
    // A tag of another container means nothing here.
    unsigned tag = c->par->codec_tag;
    if (h->format->codec_tag && av_codec_get_id(h->format->codec_tag, tag) != c->par->codec_id)
        st->codecpar->codec_tag = 0;
    for (uint32_t i = 0; i < c->n_side; i++)
        if (!av_stream_put_side(st, (enum AVPacketSideDataType)c->side[i].type, c->side[i].data, c->side[i].bytes))
            return mux_no_memory();
    if (c->cover && !turn_into_attachment(c, st)) return mux_no_memory();
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

void mux_container_options(const struct mux_head *h, AVDictionary **options)
{
    if ((h->live || h->streams) && mux_is_format(h, "flv")) av_dict_set(options, "flvflags", "no_duration_filesize", 0);
    const char *dot = strrchr(h->output, '.');
    if (mux_is_format(h, "mpegts") && dot && strcasecmp(dot, ".ts")) // .m2ts .mts: packets with a time each
        av_dict_set(options, "mpegts_m2ts_mode", "1", 0);
    if (!mux_is_format(h, "mp4") && !mux_is_format(h, "mov")) return;
    // Exact timestamps; small denominators libavformat multiplies by itself.
    if (h->video->time_base.den > 1000) av_dict_set_int(options, "video_track_timescale", h->video->time_base.den, 0);
    bool free_form = false;
    const AVDictionaryEntry *e = NULL;
    // libavformat writes either free-form keys or a cover.
    for (int i = 0; i < h->n_copied && mux_is_format(h, "mp4") && !h->streams; i++)
        if (h->copied[i].to >= 0 && mux_is_cover(&h->copied[i])) {
            av_dict_set(options, "movflags", "+faststart", 0);
            return;
        }
    while ((e = av_dict_get(h->globals, "", e, AV_DICT_IGNORE_SUFFIX))) free_form |= !usual_key(e->key);
    // A fragment is readable by itself; one of a single picture would be half boxes.
    av_dict_set(options, "movflags",
                h->live      ? "+empty_moov+default_base_moof"
                : h->streams ? "+frag_keyframe+delay_moov+default_base_moof"
                             : "+faststart",
                0);
    if (h->live) {
        av_dict_set_int(options, "frag_duration", LIVE_FRAGMENT_US, 0);
        // Else libavformat puts the first packet of every stream at 0.
        av_dict_set_int(options, "use_editlist", 0, 0);
        av_dict_set(options, "avoid_negative_ts", "make_non_negative", 0);
    }
    if (free_form) av_dict_set(options, "movflags", "+use_metadata_tags", AV_DICT_APPEND);
}

static enum reel_err set_chapters(const struct mux_head *h, AVFormatContext *oc)
{
    if (!h->n_chapters) return REEL_OK;
    oc->chapters = av_calloc((size_t)h->n_chapters, sizeof *oc->chapters);
    if (!oc->chapters) return mux_no_memory();
    for (int i = 0; i < h->n_chapters; i++) {
        const struct reel_pack_chapter *k = &h->chapters[i];
        AVChapter *c = av_mallocz(sizeof *c);
        if (!c) return mux_no_memory();
        c->id = k->id;
        c->time_base = (AVRational){k->time_base.num, k->time_base.den > 0 ? k->time_base.den : 1};
        c->start = k->start;
        c->end = k->end;
        mux_put_texts(&c->metadata, k->text, k->n_text);
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

// What has a payload of its own in RTP.
static bool rtp_names(const struct copied *c)
{
    static const enum AVCodecID ids[] = {AV_CODEC_ID_AAC,       AV_CODEC_ID_OPUS,     AV_CODEC_ID_MP2,
                                         AV_CODEC_ID_MP3,       AV_CODEC_ID_AC3,      AV_CODEC_ID_VORBIS,
                                         AV_CODEC_ID_PCM_MULAW, AV_CODEC_ID_PCM_ALAW, AV_CODEC_ID_ADPCM_G722};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++)
        if (c->par->codec_type == AVMEDIA_TYPE_AUDIO && c->par->codec_id == ids[i]) return true;
    return false;
}

// Whether a copied stream can stand beside the video: tried on a header that
// goes nowhere.
static bool can_hold(struct mux_head *h, const struct copied *c)
{
    if ((h->live || h->streams) && mux_is_cover(c)) return false; // it would have to be there before the first frame
    if (mux_is_format(h, "rtsp")) return rtp_names(c);            // a header would connect
    if (mux_is_format(h, "rtp_mpegts")) return ts_names(c);
    if (mux_is_format(h, "mpegts") && !ts_names(c)) return false;
    AVFormatContext *oc = NULL;
    if (avformat_alloc_output_context2(&oc, h->format, NULL, NULL) < 0) return false;
    AVDictionary *options = NULL;
    uint8_t *nothing = NULL;
    oc->flags |= AVFMT_FLAG_BITEXACT;
    bool ok = !add_video(h, oc) && !add_copied(h, c, oc) && avio_open_dyn_buf(&oc->pb) >= 0;
    if (ok) {
        if (h->live) mux_container_options(h, &options); // an empty moov asks for more
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
void mux_count_lost(struct mux_head *h, const struct copied *c, bool others_kept)
{
    enum reel_kept_state state = others_kept ? REEL_KEPT_PART : REEL_KEPT_LOST;
    switch (c->par->codec_type) {
    case AVMEDIA_TYPE_AUDIO:
        h->kept.audio = (uint8_t)state;
        break;
    case AVMEDIA_TYPE_SUBTITLE:
        h->kept.subtitles = (uint8_t)state;
        break;
    case AVMEDIA_TYPE_ATTACHMENT:
        h->kept.attachments = (uint8_t)state;
        break;
    default:
        h->kept.other = (uint8_t)state;
    }
}

void mux_choose_streams(struct mux_head *h)
{
    int at = 1; // 0 is the video
    for (int i = 0; i < h->n_copied; i++)
        if (can_hold(h, &h->copied[i])) h->copied[i].to = at++;
    for (int i = 0; i < h->n_copied; i++) {
        struct copied *c = &h->copied[i];
        if (c->to >= 0) continue;
        bool others = false;
        for (int k = 0; k < h->n_copied; k++)
            others |= h->copied[k].to >= 0 && h->copied[k].par->codec_type == c->par->codec_type;
        mux_count_lost(h, c, others);
        const char *kind = av_get_media_type_string(c->par->codec_type);
        mux_note(h, "could not keep %s stream (%s): the output's format cannot hold it", kind ? kind : "a",
                 avcodec_get_name(c->par->codec_id));
    }
    if (h->n_chapters && mux_is_format(h, "mpegts")) {
        h->kept.chapters = REEL_KEPT_LOST;
        mux_note(h, "could not keep %d chapters: a .ts file has none", h->n_chapters);
    }
}

enum reel_err mux_make_context(const struct mux_head *h, const char *name, AVFormatContext **out_oc)
{
    if (avformat_alloc_output_context2(out_oc, h->format, NULL, name) < 0) return mux_no_memory();
    AVFormatContext *oc = *out_oc;
    oc->flags |= AVFMT_FLAG_BITEXACT;
    enum reel_err err = add_video(h, oc);
    for (int i = 0; !err && i < h->n_copied; i++)
        if (h->copied[i].to >= 0) err = add_copied(h, &h->copied[i], oc);
    if (!err) err = set_chapters(h, oc);
    if (!err) av_dict_copy(&oc->metadata, h->globals, 0);
    return err;
}

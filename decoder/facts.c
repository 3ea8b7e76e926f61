// SPDX-License-Identifier: MIT
//
// Facts about a video from its first frame. See facts.h.
#include "decoder/facts.h"

#include <string.h>

#include "common/log.h"
#include "decoder/upload.h"

static void set_mastering(struct reel_media *m, const uint8_t *data, size_t bytes)
{
    if (!data || bytes > sizeof m->mastering || m->flags & REEL_MEDIA_HAS_MASTERING) return;
    memcpy(m->mastering, data, bytes);
    m->mastering_bytes = (uint32_t)bytes;
    m->flags |= REEL_MEDIA_HAS_MASTERING;
}

static void set_light(struct reel_media *m, const uint8_t *data, size_t bytes)
{
    const AVContentLightMetadata *level = (const AVContentLightMetadata *)data;
    if (!data || bytes < sizeof *level || m->flags & REEL_MEDIA_HAS_LIGHT_LEVEL) return;
    m->max_cll = level->MaxCLL;
    m->max_fall = level->MaxFALL;
    m->flags |= REEL_MEDIA_HAS_LIGHT_LEVEL;
}

void facts_of_stream(const AVStream *st, struct reel_media *m)
{
    size_t bytes;
    const uint8_t *data = av_stream_side_find(st, AV_PKT_DATA_MASTERING_DISPLAY_METADATA, &bytes);
    set_mastering(m, data, bytes);
    data = av_stream_side_find(st, AV_PKT_DATA_CONTENT_LIGHT_LEVEL, &bytes);
    set_light(m, data, bytes);
}

enum reel_err facts_of_picture(const struct facts_ask *ask, const AVFrame *f, struct reel_media *m)
{
    struct upload_choice choice;
    enum reel_err err = upload_choose((enum AVPixelFormat)f->format, &choice);
    if (err) return reel_fail_prefix(err, "video \"%s\": ", ask->name);
    m->width = (uint32_t)f->width;
    m->height = (uint32_t)f->height;
    m->format = choice.format;
    const AVPixFmtDescriptor *source = av_pix_fmt_desc_get(ask->source);
    m->source_depth = source ? (uint32_t)source->comp[0].depth : choice.format.depth;
    m->colour = upload_colour(f, choice.format);
    // Gray image files are full range, even if the file does not say so.
    if (ask->still && choice.format.layout == REEL_PIX_GRAY && !m->colour.range_known)
        m->colour.full_range = m->colour.range_known = 1;
    m->sar = (struct reel_rational){f->sample_aspect_ratio.num, f->sample_aspect_ratio.den};
    if (m->sar.num <= 0 || m->sar.den <= 0) m->sar = (struct reel_rational){0, 1};
    m->rotation = ask->rotation;
    if (alpha_has(f)) {
        bool opaque;
        m->flags |= REEL_MEDIA_ALPHA;
        if ((err = alpha_is_opaque(f, &opaque))) return err;
        if (opaque) m->flags |= REEL_MEDIA_OPAQUE;
    }
    if (av_frame_interlaced(f)) { // after --pre_filter, which may have deinterlaced it
        m->flags |= REEL_MEDIA_INTERLACED;
        if (av_frame_top_first(f)) m->flags |= REEL_MEDIA_TOP_FIRST;
        notes_say(ask->notes, REEL_LOG_WARN,
                  "\"%s\" is interlaced, and the model sees interlaced frames\nto deinterlace first: --pre_filter "
                  "bwdif=send_frame",
                  ask->name);
    }
    const AVFrameSideData *sd = av_frame_get_side_data(f, AV_FRAME_DATA_MASTERING_DISPLAY_METADATA);
    if (sd) set_mastering(m, sd->data, sd->size);
    sd = av_frame_get_side_data(f, AV_FRAME_DATA_CONTENT_LIGHT_LEVEL);
    if (sd) set_light(m, sd->data, sd->size);
    struct reel_geometry g; // only to check that a slot can hold the picture
    err = reel_media_geometry(m, &g);
    return err ? reel_fail_prefix(err, "video \"%s\": ", ask->name) : REEL_OK;
}

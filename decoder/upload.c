// SPDX-License-Identifier: MIT
//
// Writes an AVFrame into a slot. See upload.h. Called by a lane for each frame, after the filters.
// Rows are copied if the formats are equal, unpacked by the format's descriptor if only packing or
// byte order differ (exact), else converted by swscale (chroma sampling, depth class, size).
#include "decoder/upload.h"

#include <stdlib.h>
#include <string.h>

// With these flags conversions give the same bytes on every CPU.
#define SWS_FLAGS (SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT | SWS_FULL_CHR_H_INP | SWS_BITEXACT)

// ---- formats --------------------------------------------------------------

static const struct {
    struct reel_pixel_format format;
    enum AVPixelFormat av;
} carried[] = {
#define YUV(depth, suffix)                                         \
    {{REEL_PIX_YUV, depth, 1, 1}, AV_PIX_FMT_YUV420P##suffix},     \
        {{REEL_PIX_YUV, depth, 1, 0}, AV_PIX_FMT_YUV422P##suffix}, \
    {                                                              \
        {REEL_PIX_YUV, depth, 0, 0}, AV_PIX_FMT_YUV444P##suffix    \
    }
    YUV(8, ),
    YUV(9, 9LE),
    YUV(10, 10LE),
    YUV(12, 12LE),
    YUV(14, 14LE),
    YUV(16, 16LE),
#undef YUV
    {{REEL_PIX_GRAY, 8, 0, 0}, AV_PIX_FMT_GRAY8},
    {{REEL_PIX_GRAY, 9, 0, 0}, AV_PIX_FMT_GRAY9LE},
    {{REEL_PIX_GRAY, 10, 0, 0}, AV_PIX_FMT_GRAY10LE},
    {{REEL_PIX_GRAY, 12, 0, 0}, AV_PIX_FMT_GRAY12LE},
    {{REEL_PIX_GRAY, 14, 0, 0}, AV_PIX_FMT_GRAY14LE},
    {{REEL_PIX_GRAY, 16, 0, 0}, AV_PIX_FMT_GRAY16LE},
    {{REEL_PIX_GBR, 8, 0, 0}, AV_PIX_FMT_GBRP},
    {{REEL_PIX_GBR, 9, 0, 0}, AV_PIX_FMT_GBRP9LE},
    {{REEL_PIX_GBR, 10, 0, 0}, AV_PIX_FMT_GBRP10LE},
    {{REEL_PIX_GBR, 12, 0, 0}, AV_PIX_FMT_GBRP12LE},
    {{REEL_PIX_GBR, 14, 0, 0}, AV_PIX_FMT_GBRP14LE},
    {{REEL_PIX_GBR, 16, 0, 0}, AV_PIX_FMT_GBRP16LE},
};

enum AVPixelFormat upload_av_format(struct reel_pixel_format format)
{
    for (size_t i = 0; i < sizeof carried / sizeof carried[0]; i++)
        if (!memcmp(&carried[i].format, &format, sizeof format)) return carried[i].av;
    return AV_PIX_FMT_NONE;
}

static bool is_rgb(const AVPixFmtDescriptor *d)
{
    return d->flags & (AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_PAL);
}

static int colour_components(const AVPixFmtDescriptor *d)
{
    if (d->flags & AV_PIX_FMT_FLAG_PAL) return 3;
    return d->nb_components - (d->flags & AV_PIX_FMT_FLAG_ALPHA ? 1 : 0);
}

// Whether the format's samples are neither brightness nor colour values.
static bool is_odd(const AVPixFmtDescriptor *d)
{
    return d->flags & (AV_PIX_FMT_FLAG_FLOAT | AV_PIX_FMT_FLAG_BAYER | AV_PIX_FMT_FLAG_BITSTREAM) ||
           strstr(d->name, "xyz");
}

enum reel_err upload_choose(enum AVPixelFormat av_format, struct upload_choice *out_choice)
{
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(av_format);
    *out_choice = (struct upload_choice){0};
    if (!d || d->flags & AV_PIX_FMT_FLAG_HWACCEL)
        return reel_fail(REEL_ERR_UNSUPPORTED, "could not take pictures of format \"%s\": not in main memory",
                         d ? d->name : "none");
    static const uint8_t depths[] = {8, 9, 10, 12, 14, 16};
    int deepest = 8;
    for (int i = 0; i < d->nb_components; i++)
        if (d->comp[i].depth > deepest) deepest = d->comp[i].depth;
    struct reel_pixel_format f = {.depth = 16};
    for (size_t i = sizeof depths; i-- > 0;)
        if (depths[i] >= deepest) f.depth = depths[i];
    out_choice->resamples = is_odd(d) || (deepest != f.depth && deepest > 8);
    if (is_rgb(d) || strstr(d->name, "xyz")) {
        f.layout = REEL_PIX_GBR;
    } else if (colour_components(d) == 1) {
        f.layout = REEL_PIX_GRAY;
    } else {
        f.layout = REEL_PIX_YUV;
        f.log2_chroma_w = d->log2_chroma_w;
        f.log2_chroma_h = d->log2_chroma_h;
        bool usual = f.log2_chroma_w <= 1 && f.log2_chroma_h <= f.log2_chroma_w;
        if (!usual) { // 4:1:1 -> 4:2:2, 4:1:0 -> 4:2:0, 4:4:0 -> 4:4:4: no samples are lost
            f.log2_chroma_h = f.log2_chroma_w > 1 && f.log2_chroma_h ? 1 : 0;
            if (f.log2_chroma_w > 1) f.log2_chroma_w = 1;
            out_choice->resamples = true;
        }
    }
    out_choice->format = f;
    return REEL_OK;
}

struct reel_colour upload_colour(const AVFrame *frame, struct reel_pixel_format format)
{
    struct reel_colour c = {
        .primaries = (uint8_t)frame->color_primaries,
        .transfer = (uint8_t)frame->color_trc,
        .matrix = (uint8_t)frame->colorspace,
        .full_range = frame->color_range == AVCOL_RANGE_JPEG,
        .range_known = frame->color_range != AVCOL_RANGE_UNSPECIFIED,
        .chroma_location = (uint8_t)frame->chroma_location,
    };
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get((enum AVPixelFormat)frame->format);
    if (d && !strncmp(d->name, "yuvj", 4)) c.full_range = c.range_known = 1;
    if (format.layout == REEL_PIX_GBR) {
        c.matrix = AVCOL_SPC_RGB;
        c.full_range = c.range_known = 1;
        c.chroma_location = 0;
    } else if (c.matrix == AVCOL_SPC_RGB) {
        c.matrix = AVCOL_SPC_UNSPECIFIED; // impossible for YUV samples
    }
    return c;
}

// ---- rows -----------------------------------------------------------------

// Copies rows plane by plane; GBR planes are in the same order as in libav.
static void copy_rows(const struct reel_geometry *g, uint8_t *slot, const AVFrame *frame)
{
    for (int p = 0; p < reel_format_planes(g->format); p++) {
        uint32_t w, h;
        reel_plane_size(g, p, &w, &h);
        size_t row = (size_t)w * reel_format_bytes(g->format), stride = g->plane_stride[p];
        const uint8_t *src = frame->data[p];
        ptrdiff_t from = frame->linesize[p];
        uint8_t *dst = slot + g->plane_offset[p];
        if (from == (ptrdiff_t)stride) {
            memcpy(dst, src, stride * (h - 1) + row);
            continue;
        }
        for (uint32_t y = 0; y < h; y++, src += from, dst += stride) memcpy(dst, src, row);
    }
}

// Whether the frame's planes can be copied as they are.
static bool is_direct(const AVPixFmtDescriptor *d, struct reel_pixel_format f)
{
    static const int gbr[3] = {2, 0, 1}; // plane of R, G, B
    bool rgb = f.layout == REEL_PIX_GBR;
    if (is_odd(d) || d->flags & AV_PIX_FMT_FLAG_PAL || (d->flags & AV_PIX_FMT_FLAG_BE && f.depth > 8)) return false;
    if (rgb != is_rgb(d) || colour_components(d) != reel_format_planes(f)) return false;
    if (f.layout == REEL_PIX_YUV && (d->log2_chroma_w != f.log2_chroma_w || d->log2_chroma_h != f.log2_chroma_h))
        return false;
    for (int c = 0; c < colour_components(d); c++) {
        const AVComponentDescriptor *k = &d->comp[c];
        if (k->plane != (rgb ? gbr[c] : c) || k->offset || k->shift || k->depth != f.depth ||
            k->step != (f.depth > 8 ? 2 : 1))
            return false;
    }
    return true;
}

// ---- exact unpacking ------------------------------------------------------

static void unpack_palette(const struct reel_geometry *g, uint8_t *slot, const AVFrame *frame)
{
    const uint32_t *palette = (const uint32_t *)frame->data[1]; // 0xAARRGGBB
    for (uint32_t y = 0; y < g->height; y++) {
        const uint8_t *src = frame->data[0] + (ptrdiff_t)y * frame->linesize[0];
        uint8_t *green = slot + g->plane_offset[0] + (size_t)y * g->plane_stride[0];
        uint8_t *blue = slot + g->plane_offset[1] + (size_t)y * g->plane_stride[1];
        uint8_t *red = slot + g->plane_offset[2] + (size_t)y * g->plane_stride[2];
        for (uint32_t x = 0; x < g->width; x++) {
            uint32_t v = palette[src[x]];
            green[x] = (uint8_t)(v >> 8);
            blue[x] = (uint8_t)v;
            red[x] = (uint8_t)(v >> 16);
        }
    }
}

static void unpack_rgb8(const struct reel_geometry *g, const AVPixFmtDescriptor *d, uint8_t *slot, const AVFrame *frame)
{
    int step = d->comp[0].step;
    for (uint32_t y = 0; y < g->height; y++) {
        const uint8_t *src = frame->data[0] + (ptrdiff_t)y * frame->linesize[0];
        const uint8_t *r = src + d->comp[0].offset, *gr = src + d->comp[1].offset, *b = src + d->comp[2].offset;
        uint8_t *green = slot + g->plane_offset[0] + (size_t)y * g->plane_stride[0];
        uint8_t *blue = slot + g->plane_offset[1] + (size_t)y * g->plane_stride[1];
        uint8_t *red = slot + g->plane_offset[2] + (size_t)y * g->plane_stride[2];
        for (uint32_t x = 0; x < g->width; x++) {
            green[x] = gr[(size_t)x * step];
            blue[x] = b[(size_t)x * step];
            red[x] = r[(size_t)x * step];
        }
    }
}

void upload_line(uint8_t *dst, const uint16_t *line, uint32_t w, int from_depth, int to_depth)
{
    unsigned from_max = (1u << from_depth) - 1, to_max = (1u << to_depth) - 1;
    for (uint32_t x = 0; x < w; x++) {
        unsigned v = line[x];
        if (from_depth != to_depth) v = (v * to_max + from_max / 2) / from_max;
        if (to_depth > 8)
            ((uint16_t *)dst)[x] = (uint16_t)v;
        else
            dst[x] = (uint8_t)v;
    }
}

// Unpacks any packing, shift and byte order, one line of one component at a time.
static enum reel_err unpack_lines(const struct reel_geometry *g, const AVPixFmtDescriptor *d, uint8_t *slot,
                                  const AVFrame *frame)
{
    static const int gbr[3] = {2, 0, 1};
    uint16_t *line = malloc((size_t)g->width * sizeof *line);
    if (!line) return reel_fail(REEL_ERR_NOMEM, "could not unpack a picture: out of memory");
    for (int c = 0; c < colour_components(d); c++) {
        int plane = g->format.layout == REEL_PIX_GBR ? gbr[c] : c;
        uint32_t w, h;
        reel_plane_size(g, plane, &w, &h);
        for (uint32_t y = 0; y < h; y++) {
            av_read_image_line2(line, (const uint8_t **)frame->data, frame->linesize, d, 0, (int)y, c, (int)w, 0,
                                sizeof *line);
            upload_line(slot + g->plane_offset[plane] + (size_t)y * g->plane_stride[plane], line, w, d->comp[c].depth,
                        g->format.depth);
        }
    }
    free(line);
    return REEL_OK;
}

static enum reel_err unpack(const struct reel_geometry *g, const AVPixFmtDescriptor *d, uint8_t *slot,
                            const AVFrame *frame)
{
    if (d->flags & AV_PIX_FMT_FLAG_PAL) {
        unpack_palette(g, slot, frame);
        return REEL_OK;
    }
    bool rgb8 = is_rgb(d) && !(d->flags & AV_PIX_FMT_FLAG_PLANAR) && d->nb_components >= 3;
    for (int c = 0; c < 3 && rgb8; c++) rgb8 = d->comp[c].depth == 8 && !d->comp[c].shift && d->comp[c].plane == 0;
    if (rgb8) {
        unpack_rgb8(g, d, slot, frame);
        return REEL_OK;
    }
    return unpack_lines(g, d, slot, frame);
}

// ---- fitting --------------------------------------------------------------

static enum reel_err fit(struct upload *u, const struct reel_geometry *g, const struct reel_colour *colour,
                         const AVFrame *frame, AVFrame **out_fitted)
{
    enum AVPixelFormat to = upload_av_format(g->format);
    if (!u->scratch) u->scratch = av_frame_alloc();
    AVFrame *s = u->scratch;
    if (!s) return reel_fail(REEL_ERR_NOMEM, "could not convert a picture: out of memory");
    if (s->width != (int)g->width || s->height != (int)g->height || s->format != to) {
        av_frame_unref(s);
        s->width = (int)g->width;
        s->height = (int)g->height;
        s->format = to;
        if (av_frame_get_buffer(s, 0) < 0)
            return reel_fail(REEL_ERR_NOMEM, "could not convert a picture: out of memory");
    }
    u->sws = sws_getCachedContext(u->sws, frame->width, frame->height, (enum AVPixelFormat)frame->format, s->width,
                                  s->height, to, SWS_FLAGS, NULL, NULL, NULL);
    if (!u->sws)
        return reel_fail(REEL_ERR_FAULT, "could not convert a picture of %dx%d %s to %ux%u %s", frame->width,
                         frame->height, av_get_pix_fmt_name((enum AVPixelFormat)frame->format), g->width, g->height,
                         av_get_pix_fmt_name(to));
    struct upload_choice choice;
    enum reel_err err = upload_choose((enum AVPixelFormat)frame->format, &choice);
    if (err) return err;
    struct reel_colour from = upload_colour(frame, choice.format);
    const int *from_matrix = sws_getCoefficients(reel_colour_matrix(&from, frame->height));
    const int *to_matrix = sws_getCoefficients(reel_colour_matrix(colour, (int)g->height));
    sws_setColorspaceDetails(u->sws, from_matrix, from.full_range, to_matrix, colour->full_range, 0, 1 << 16, 1 << 16);
    if (sws_scale(u->sws, (const uint8_t *const *)frame->data, frame->linesize, 0, frame->height, s->data,
                  s->linesize) < 0)
        return reel_fail(REEL_ERR_FAULT, "could not convert a picture of %dx%d", frame->width, frame->height);
    *out_fitted = s;
    return REEL_OK;
}

static enum reel_err write_colour(struct upload *u, const struct reel_geometry *g, const struct reel_colour *colour,
                                  uint8_t *slot, const AVFrame *frame, bool *out_fitted)
{
    *out_fitted = false;
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get((enum AVPixelFormat)frame->format);
    struct upload_choice choice;
    enum reel_err err = upload_choose((enum AVPixelFormat)frame->format, &choice);
    if (err) return err;
    bool same_size = frame->width == (int)g->width && frame->height == (int)g->height;
    if (same_size && is_direct(d, g->format)) {
        copy_rows(g, slot, frame);
        return REEL_OK;
    }
    if (same_size && !choice.resamples && !memcmp(&choice.format, &g->format, sizeof g->format))
        return unpack(g, d, slot, frame);
    AVFrame *fitted = NULL;
    err = fit(u, g, colour, frame, &fitted);
    if (err) return err;
    // Not "fitted" if the frame has the job's format and only slots do not support that.
    *out_fitted = !same_size || memcmp(&choice.format, &g->format, sizeof g->format);
    copy_rows(g, slot, fitted);
    return REEL_OK;
}

enum reel_err upload_frame(struct upload *u, const struct reel_geometry *g, const struct reel_colour *colour,
                           uint8_t *slot, const AVFrame *frame, bool *out_fitted)
{
    enum reel_err err = write_colour(u, g, colour, slot, frame, out_fitted);
    return err || !g->alpha_stride ? err : alpha_write(&u->alpha, g, slot, frame);
}

void upload_fini(struct upload *u)
{
    sws_freeContext(u->sws);
    av_frame_free(&u->scratch);
    alpha_fini(&u->alpha);
    *u = (struct upload){0};
}

// ---- side data ------------------------------------------------------------

// Side data that is plain bytes (no pointers) and still true of the processed picture.
static bool side_kept(enum AVFrameSideDataType type)
{
    switch (type) {
    case AV_FRAME_DATA_A53_CC:
    case AV_FRAME_DATA_AFD:
    case AV_FRAME_DATA_GOP_TIMECODE:
    case AV_FRAME_DATA_S12M_TIMECODE:
    case AV_FRAME_DATA_MASTERING_DISPLAY_METADATA:
    case AV_FRAME_DATA_CONTENT_LIGHT_LEVEL:
    case AV_FRAME_DATA_DYNAMIC_HDR_PLUS:
    case AV_FRAME_DATA_DYNAMIC_HDR_VIVID:
    case AV_FRAME_DATA_ICC_PROFILE:
        return true;
    default:
        return false;
    }
}

uint32_t upload_side(const AVFrame *frame, uint8_t *aux, uint32_t room, int *out_lost)
{
    uint32_t used = 0;
    for (int i = 0; i < frame->nb_side_data; i++) {
        const AVFrameSideData *sd = frame->side_data[i];
        if (!side_kept(sd->type) || !sd->size) continue;
        size_t padded = (sd->size + 7) & ~(size_t)7;
        if (sd->size > room || padded + sizeof(struct reel_aux_item) > room - used) {
            ++*out_lost;
            continue;
        }
        struct reel_aux_item item = {(uint32_t)sd->type, (uint32_t)sd->size};
        memcpy(aux + used, &item, sizeof item);
        memcpy(aux + used + sizeof item, sd->data, sd->size);
        memset(aux + used + sizeof item + sd->size, 0, padded - sd->size);
        used += (uint32_t)(sizeof item + padded);
    }
    return used;
}

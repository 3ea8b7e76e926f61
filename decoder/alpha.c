// SPDX-License-Identifier: MIT
//
// The alpha channel of libav's formats, one line at a time: planes, packed pixels, palettes
// and floating point. See alpha.h.
#include "decoder/alpha.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "decoder/upload.h"

#define PALETTE_COLOURS 256
#define SWS_FLAGS (SWS_BICUBIC | SWS_ACCURATE_RND | SWS_BITEXACT)

static const AVPixFmtDescriptor *describe(const AVFrame *frame)
{
    return av_pix_fmt_desc_get((enum AVPixelFormat)frame->format);
}

static bool has_palette(const AVPixFmtDescriptor *d)
{
    return d->flags & AV_PIX_FMT_FLAG_PAL;
}

bool alpha_has(const AVFrame *frame)
{
    const AVPixFmtDescriptor *d = describe(frame);
    if (!d) return false;
    if (!has_palette(d)) return d->flags & AV_PIX_FMT_FLAG_ALPHA;
    const uint32_t *palette = (const uint32_t *)frame->data[1]; // 0xAARRGGBB
    for (int i = 0; palette && i < PALETTE_COLOURS; i++)
        if (palette[i] >> 24 != 255) return true;
    return false;
}

// ---- one line ---------------------------------------------------------------

static double half_to_double(uint16_t bits)
{
    const int exponent = bits >> 10 & 31, fraction = bits & 1023;
    if (bits >> 15) return 0; // negative: transparent
    if (exponent == 31) return fraction ? 0 : INFINITY;
    return exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24);
}

// Converts floating-point samples, 0..1, to 16 bits.
static void read_float(const AVFrame *frame, const AVPixFmtDescriptor *d, int y, uint16_t *line)
{
    const AVComponentDescriptor *k = &d->comp[d->nb_components - 1];
    const uint8_t *at = frame->data[k->plane] + (ptrdiff_t)y * frame->linesize[k->plane] + k->offset;
    const bool swap = d->flags & AV_PIX_FMT_FLAG_BE;
    for (int x = 0; x < frame->width; x++, at += k->step) {
        double v;
        if (k->depth == 16) {
            v = half_to_double(swap ? AV_RB16(at) : AV_RL16(at));
        } else {
            const uint32_t bits = swap ? AV_RB32(at) : AV_RL32(at);
            float f;
            memcpy(&f, &bits, sizeof f);
            v = (double)f;
        }
        line[x] = v > 0 ? (uint16_t)lrint(65535 * fmin(v, 1)) : 0; // NaN: transparent
    }
}

// Reads line y. Returns the depth of its samples.
static int read_line(const AVFrame *frame, const AVPixFmtDescriptor *d, int y, uint16_t *line)
{
    if (has_palette(d)) {
        const uint32_t *palette = (const uint32_t *)frame->data[1];
        const uint8_t *src = frame->data[0] + (ptrdiff_t)y * frame->linesize[0];
        for (int x = 0; x < frame->width; x++) line[x] = (uint16_t)(palette[src[x]] >> 24);
        return 8;
    }
    if (d->flags & AV_PIX_FMT_FLAG_FLOAT) {
        read_float(frame, d, y, line);
        return 16;
    }
    const int c = d->nb_components - 1;
    av_read_image_line2(line, (const uint8_t **)frame->data, frame->linesize, d, 0, y, c, frame->width, 0,
                        sizeof *line);
    return d->comp[c].depth;
}

static uint16_t *make_line(const AVFrame *frame)
{
    uint16_t *line = malloc((size_t)frame->width * sizeof *line);
    if (!line) reel_fail(REEL_ERR_NOMEM, "could not read a picture's transparency: no memory");
    return line;
}

enum reel_err alpha_is_opaque(const AVFrame *frame, bool *out_opaque)
{
    *out_opaque = true;
    if (!alpha_has(frame)) return REEL_OK;
    uint16_t *line = make_line(frame);
    if (!line) return REEL_ERR_NOMEM;
    for (int y = 0; y < frame->height && *out_opaque; y++) {
        const unsigned opaque = (1u << read_line(frame, describe(frame), y, line)) - 1;
        for (int x = 0; x < frame->width && *out_opaque; x++) *out_opaque = line[x] == opaque;
    }
    free(line);
    return REEL_OK;
}

// ---- the plane --------------------------------------------------------------

static void fill_opaque(uint8_t *dst, size_t stride, uint32_t w, uint32_t h, int depth)
{
    for (uint32_t y = 0; y < h; y++, dst += stride) {
        if (depth == 8)
            memset(dst, 255, w);
        else
            for (uint32_t x = 0; x < w; x++) ((uint16_t *)(void *)dst)[x] = (uint16_t)((1u << depth) - 1);
    }
}

// Whether the samples are in a separate plane of the slot's format.
static bool is_direct(const AVPixFmtDescriptor *d, int depth)
{
    const AVComponentDescriptor *k = &d->comp[d->nb_components - 1];
    return !(d->flags & (AV_PIX_FMT_FLAG_PAL | AV_PIX_FMT_FLAG_FLOAT)) &&
           !(d->flags & AV_PIX_FMT_FLAG_BE && depth > 8) && k->depth == depth && !k->shift && !k->offset &&
           k->step == (depth > 8 ? 2 : 1);
}

// The frame's alpha in its own size.
static enum reel_err extract(const AVFrame *frame, int depth, uint8_t *dst, size_t stride)
{
    const AVPixFmtDescriptor *d = describe(frame);
    if (is_direct(d, depth)) {
        const int plane = d->comp[d->nb_components - 1].plane;
        av_image_copy_plane(dst, (int)stride, frame->data[plane], frame->linesize[plane],
                            frame->width * (depth > 8 ? 2 : 1), frame->height);
        return REEL_OK;
    }
    uint16_t *line = make_line(frame);
    if (!line) return REEL_ERR_NOMEM;
    for (int y = 0; y < frame->height; y++, dst += stride) {
        const int from = read_line(frame, d, y, line);
        upload_line(dst, line, (uint32_t)frame->width, from, depth);
    }
    free(line);
    return REEL_OK;
}

// The frame's alpha in the job's size.
static enum reel_err resize(struct alpha *a, const struct reel_geometry *g, uint8_t *dst, const AVFrame *frame)
{
    const int depth = g->format.depth;
    const enum AVPixelFormat gray = upload_av_format((struct reel_pixel_format){REEL_PIX_GRAY, g->format.depth, 0, 0});
    AVFrame *s = a->own_size ? a->own_size : (a->own_size = av_frame_alloc());
    if (!s) return reel_fail(REEL_ERR_NOMEM, "could not resize a picture's transparency: no memory");
    if (s->width != frame->width || s->height != frame->height || s->format != gray) {
        av_frame_unref(s);
        s->width = frame->width;
        s->height = frame->height;
        s->format = gray;
        if (av_frame_get_buffer(s, 0) < 0)
            return reel_fail(REEL_ERR_NOMEM, "could not resize a picture's transparency: no memory");
    }
    enum reel_err err = extract(frame, depth, s->data[0], (size_t)s->linesize[0]);
    if (err) return err;
    a->sws = sws_getCachedContext(a->sws, s->width, s->height, gray, (int)g->width, (int)g->height, gray, SWS_FLAGS,
                                  NULL, NULL, NULL);
    uint8_t *const planes[4] = {dst};
    const int strides[4] = {(int)g->alpha_stride};
    if (!a->sws || sws_scale(a->sws, (const uint8_t *const *)s->data, s->linesize, 0, s->height, planes, strides) < 0)
        return reel_fail(REEL_ERR_FAULT, "could not resize a picture's transparency from %dx%d to %ux%u", s->width,
                         s->height, g->width, g->height);
    return REEL_OK;
}

enum reel_err alpha_write(struct alpha *a, const struct reel_geometry *g, uint8_t *slot, const AVFrame *frame)
{
    uint8_t *dst = slot + g->alpha_offset;
    if (!alpha_has(frame)) {
        fill_opaque(dst, g->alpha_stride, g->width, g->height, g->format.depth);
        return REEL_OK;
    }
    const bool same_size = frame->width == (int)g->width && frame->height == (int)g->height;
    return same_size ? extract(frame, g->format.depth, dst, g->alpha_stride) : resize(a, g, dst, frame);
}

void alpha_fini(struct alpha *a)
{
    sws_freeContext(a->sws);
    av_frame_free(&a->own_size);
    *a = (struct alpha){0};
}

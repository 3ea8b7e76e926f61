// SPDX-License-Identifier: MIT
//
// Puts the alpha plane of an input slot into the output's picture. See alpha.h.
#include "aggregator/post/alpha.h"

#define SWS_HOW (SWS_BICUBIC | SWS_ACCURATE_RND | SWS_BITEXACT)

// A plane of samples of `depth` bits.
struct samples {
    const uint8_t *data;
    size_t stride;
    int width, height, depth;
};

static enum AVPixelFormat gray(int depth)
{
    return picture_av_format((struct reel_pixel_format){.layout = REEL_PIX_GRAY, .depth = (uint8_t)depth});
}

static unsigned sample(const uint8_t *line, int x, int depth)
{
    return depth > 8 ? ((const uint16_t *)(const void *)line)[x] : line[x];
}

static struct samples slot_plane(const struct reel_ring *in, uint32_t slot_id)
{
    const struct reel_geometry *g = &in->geometry;
    return (struct samples){reel_ring_pixels(in, slot_id) + g->alpha_offset, g->alpha_stride, (int)g->width,
                            (int)g->height, g->format.depth};
}

// Mixes the planes of two slots; *out_own holds the result, and *s describes it.
static enum reel_err mix(struct alpha *a, const struct reel_ring *in, const struct alpha_place *place,
                         struct samples *s, AVFrame **out_own)
{
    *out_own = NULL;
    if (!place->part) return REEL_OK;
    const struct samples b = slot_plane(in, place->later_id);
    enum reel_err err = picture_alloc(&a->mixed, gray(s->depth), s->width, s->height, out_own);
    if (err) return err;
    AVFrame *to = *out_own;
    const unsigned later = place->part, sooner = place->parts - later;
    for (int y = 0; y < s->height; y++) {
        const uint8_t *p = s->data + (size_t)y * s->stride, *q = b.data + (size_t)y * b.stride;
        uint8_t *line = to->data[0] + (ptrdiff_t)y * to->linesize[0];
        for (int x = 0; x < s->width; x++) {
            const unsigned v =
                (sooner * sample(p, x, s->depth) + later * sample(q, x, s->depth) + place->parts / 2) / place->parts;
            if (s->depth > 8)
                ((uint16_t *)(void *)line)[x] = (uint16_t)v;
            else
                line[x] = (uint8_t)v;
        }
    }
    *s = (struct samples){to->data[0], (size_t)to->linesize[0], s->width, s->height, s->depth};
    return REEL_OK;
}

// Resizes the plane if its size differs; *out_own holds the result, and *s describes it.
static enum reel_err resize(struct alpha *a, struct samples *s, int width, int height, AVFrame **out_own)
{
    *out_own = NULL;
    if (s->width == width && s->height == height) return REEL_OK;
    enum reel_err err = picture_alloc(&a->resized, gray(s->depth), width, height, out_own);
    if (err) return err;
    a->sws = sws_getCachedContext(a->sws, s->width, s->height, gray(s->depth), width, height, gray(s->depth), SWS_HOW,
                                  NULL, NULL, NULL);
    const uint8_t *const planes[4] = {s->data};
    const int strides[4] = {(int)s->stride};
    AVFrame *to = *out_own;
    if (!a->sws || sws_scale(a->sws, planes, strides, 0, s->height, to->data, to->linesize) < 0) {
        av_frame_free(out_own);
        return reel_fail(REEL_ERR_FAULT, "could not resize a picture's transparency to %dx%d", width, height);
    }
    *s = (struct samples){to->data[0], (size_t)to->linesize[0], width, height, s->depth};
    return REEL_OK;
}

// Writes the plane into another of the same size: values are scaled from one depth to another.
static void write(const struct samples *s, int depth, uint8_t *dst, size_t stride)
{
    const unsigned most = (1u << s->depth) - 1, to = (1u << depth) - 1;
    const uint8_t *src = s->data;
    for (int y = 0; y < s->height; y++, src += s->stride, dst += stride)
        for (int x = 0; x < s->width; x++) {
            const unsigned v = sample(src, x, s->depth), scaled = (v < most ? v * to + most / 2 : most * to) / most;
            if (depth > 8)
                ((uint16_t *)(void *)dst)[x] = (uint16_t)scaled;
            else
                dst[x] = (uint8_t)scaled;
        }
}

// Whether `with`, which has an alpha plane, has the three planes of `without` beside it.
static bool adds_alpha(enum AVPixelFormat without, enum AVPixelFormat with)
{
    const AVPixFmtDescriptor *a = av_pix_fmt_desc_get(without), *b = av_pix_fmt_desc_get(with);
    return av_pix_fmt_count_planes(without) == 3 &&
           (a->flags & AV_PIX_FMT_FLAG_RGB) == (b->flags & AV_PIX_FMT_FLAG_RGB) &&
           a->comp[0].depth == b->comp[0].depth && a->log2_chroma_w == b->log2_chroma_w &&
           a->log2_chroma_h == b->log2_chroma_h;
}

// Copies the picture's colour into a format with an alpha plane; that plane is left unwritten.
static enum reel_err copy_colour(struct alpha *a, const AVFrame *frame, enum AVPixelFormat format, AVFrame **out)
{
    enum reel_err err = picture_alloc(&a->joined, format, frame->width, frame->height, out);
    if (err) return err;
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(format);
    const int bytes = d->comp[0].step;
    for (int i = 0; i < 3; i++) {
        const int w = i ? AV_CEIL_RSHIFT(frame->width, d->log2_chroma_w) : frame->width;
        const int h = i ? AV_CEIL_RSHIFT(frame->height, d->log2_chroma_h) : frame->height;
        av_image_copy_plane((*out)->data[i], (*out)->linesize[i], frame->data[i], frame->linesize[i], w * bytes, h);
    }
    if (av_frame_copy_props(*out, frame) >= 0) return REEL_OK;
    av_frame_free(out);
    return reel_fail(REEL_ERR_NOMEM, "could not copy a picture: out of memory");
}

enum reel_err alpha_join(struct alpha *a, struct picture_convert *convert, const AVFrame *frame,
                         enum AVPixelFormat format, const struct reel_colour *colour, const struct reel_ring *in,
                         const struct alpha_place *place, AVFrame **out_frame)
{
    struct samples s = slot_plane(in, place->slot_id);
    AVFrame *out, *mixed, *own = NULL;
    enum reel_err err =
        adds_alpha((enum AVPixelFormat)frame->format, format)
            ? copy_colour(a, frame, format, &out)
            : picture_convert(convert, frame, colour, format, frame->width, frame->height, colour, &out);
    if (err) return err;
    err = mix(a, in, place, &s, &mixed);
    if (!err) err = resize(a, &s, frame->width, frame->height, &own);
    if (!err) write(&s, av_pix_fmt_desc_get(format)->comp[3].depth, out->data[3], (size_t)out->linesize[3]);
    av_frame_free(&mixed);
    av_frame_free(&own);
    if (err)
        av_frame_free(&out);
    else
        *out_frame = out;
    return err;
}

void alpha_fini(struct alpha *a)
{
    sws_freeContext(a->sws);
    picture_pool_fini(&a->mixed);
    picture_pool_fini(&a->resized);
    picture_pool_fini(&a->joined);
    *a = (struct alpha){0};
}

// SPDX-License-Identifier: MIT
//
// Geometry of slots: sizes and offsets from a pixel format, and the check of a
// geometry that came in a message.
#include "common/frame.h"

#include <string.h>

#include "common/round.h"

#define MAX_SIDE 32768u
#define STRIDE_ALIGN 64u // one cache line, one AVX-512 register
#define PLANE_ALIGN 64u

int reel_colour_matrix(const struct reel_colour *colour, int height)
{
    if (colour->matrix != 2) return colour->matrix;
    return height >= 720 ? 1 : 6; // BT.709 : SMPTE 170M
}

int reel_format_planes(struct reel_pixel_format format)
{
    switch (format.layout) {
    case REEL_PIX_GRAY:
        return 1;
    case REEL_PIX_NV:
        return 2;
    case REEL_PIX_YUV:
    case REEL_PIX_GBR:
        return 3;
    default:
        return 0;
    }
}

void reel_plane_size(const struct reel_geometry *g, int plane, uint32_t *out_w, uint32_t *out_h)
{
    const struct reel_pixel_format f = g->format;
    *out_w = g->width;
    *out_h = g->height;
    if (plane == 0 || (f.layout != REEL_PIX_YUV && f.layout != REEL_PIX_NV)) return;
    uint32_t cw = (g->width + (1u << f.log2_chroma_w) - 1) >> f.log2_chroma_w;
    *out_w = f.layout == REEL_PIX_NV ? 2 * cw : cw;
    *out_h = (g->height + (1u << f.log2_chroma_h) - 1) >> f.log2_chroma_h;
}

static bool format_valid(struct reel_pixel_format f)
{
    if (f.layout == REEL_PIX_NONE) return true;
    if (f.layout > REEL_PIX_GBR || f.depth < 8 || f.depth > 16) return false;
    return f.log2_chroma_w <= 2 && f.log2_chroma_h <= 2;
}

static enum reel_err too_large(uint32_t width, uint32_t height)
{
    return reel_fail(REEL_ERR_LIMIT, "could not lay out pictures of %ux%u: over 4 GiB", width, height);
}

enum reel_err reel_geometry_init(struct reel_geometry *g, struct reel_pixel_format format, uint32_t width,
                                 uint32_t height, uint32_t aux_bytes)
{
    return reel_geometry_init_several(g, format, width, height, 1, aux_bytes);
}

enum reel_err reel_geometry_init_several(struct reel_geometry *g, struct reel_pixel_format format, uint32_t width,
                                         uint32_t height, uint32_t pictures, uint32_t aux_bytes)
{
    if (pictures < 1 || pictures >= REEL_MAX_RATE)
        return reel_fail(REEL_ERR_LIMIT, "could not lay out %u pictures in a slot", pictures);
    if (!format_valid(format))
        return reel_fail(REEL_ERR_CONFIG, "could not lay out pictures: layout %u with %u bits is not supported",
                         format.layout, format.depth);
    if (format.layout != REEL_PIX_NONE && (!width || !height || width > MAX_SIDE || height > MAX_SIDE))
        return reel_fail(REEL_ERR_LIMIT, "could not lay out pictures of %ux%u: sides must be within 1..%u", width,
                         height, MAX_SIDE);
    *g = (struct reel_geometry){.format = format, .width = width, .height = height, .pictures = pictures};
    uint64_t end = REEL_STAMP_BYTES;
    int planes = reel_format_planes(format);
    for (int i = 0; i < planes; i++) {
        uint32_t w, h;
        reel_plane_size(g, i, &w, &h);
        uint64_t stride = reel_round_up((uint64_t)w * reel_format_bytes(format), STRIDE_ALIGN);
        g->plane_offset[i] = (uint32_t)end;
        g->plane_stride[i] = (uint32_t)stride;
        // One cache line more than needed: SIMD readers may load past a row's end.
        end = reel_round_up(end + stride * h + STRIDE_ALIGN, PLANE_ALIGN);
        if (end > UINT32_MAX) return too_large(width, height);
    }
    g->picture_bytes = (uint32_t)end - REEL_STAMP_BYTES;
    end += (uint64_t)g->picture_bytes * (pictures - 1);
    if (end > UINT32_MAX) return too_large(width, height);
    g->aux_offset = (uint32_t)end;
    g->aux_bytes = aux_bytes;
    g->slot_bytes = reel_round_up(end + aux_bytes, REEL_SLOT_ALIGN);
    return g->slot_bytes > UINT32_MAX ? too_large(width, height) : REEL_OK;
}

enum reel_err reel_geometry_add_alpha(struct reel_geometry *g)
{
    const uint64_t stride = reel_round_up((uint64_t)g->width * reel_format_bytes(g->format), STRIDE_ALIGN);
    const uint64_t end = reel_round_up(g->aux_offset + stride * g->height + STRIDE_ALIGN, PLANE_ALIGN);
    if (end > UINT32_MAX) return too_large(g->width, g->height);
    g->alpha_offset = g->aux_offset;
    g->alpha_stride = (uint32_t)stride;
    g->aux_offset = (uint32_t)end;
    g->slot_bytes = reel_round_up(end + g->aux_bytes, REEL_SLOT_ALIGN);
    return g->slot_bytes > UINT32_MAX ? too_large(g->width, g->height) : REEL_OK;
}

bool reel_geometry_valid(const struct reel_geometry *g, uint32_t slots, uint64_t ring_bytes)
{
    struct reel_geometry want;
    if (reel_geometry_init_several(&want, g->format, g->width, g->height, g->pictures, g->aux_bytes)) return false;
    if (g->alpha_stride && reel_geometry_add_alpha(&want)) return false;
    if (memcmp(&want, g, sizeof want)) return false;
    return slots > 0 && g->slot_bytes <= ring_bytes && slots <= ring_bytes / g->slot_bytes;
}

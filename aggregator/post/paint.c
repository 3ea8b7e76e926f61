// SPDX-License-Identifier: MIT
//
// The list of what is drawn on a picture. See paint.h.
#include "aggregator/post/paint.h"

#include <math.h>
#include <stdlib.h>

void paint_begin(struct paint_canvas *c, struct reel_pixel_format format, int width, int height,
                 const struct reel_colour *colour)
{
    *c = (struct paint_canvas){.width = width, .height = height, .format = format, .colour = *colour};
}

void paint_end(struct paint_canvas *c)
{
    free(c->item);
    free(c->glyph);
    *c = (struct paint_canvas){0};
}

// ---- colours ------------------------------------------------------------------

uint32_t paint_palette(int i)
{
    static const uint32_t colours[] = {0xe6194b, 0x3cb44b, 0xffe119, 0x4363d8, 0xf58231, 0x911eb4, 0x46f0f0,
                                       0xf032e6, 0xbcf60c, 0xfabebe, 0x008080, 0xe6beff, 0x9a6324, 0xfffac8,
                                       0x800000, 0xaaffc3, 0x808000, 0xffd8b1, 0x000075, 0x808080};
    return colours[(unsigned)i % (sizeof colours / sizeof *colours)];
}

struct overlay_ink paint_ink(const struct paint_canvas *c, uint32_t rgb)
{
    double r = (rgb >> 16 & 255) / 255.0, g = (rgb >> 8 & 255) / 255.0, b = (rgb & 255) / 255.0;
    double top = (1 << c->format.depth) - 1, unit = 1 << (c->format.depth - 8);
    if (c->format.layout == REEL_PIX_GBR)
        return (struct overlay_ink){{(uint16_t)lrint(g * top), (uint16_t)lrint(b * top), (uint16_t)lrint(r * top)}};
    // H.273: BT.709 has Kr 0.2126, Kb 0.0722; BT.2020 0.2627, 0.0593; BT.601 0.299, 0.114.
    int matrix = reel_colour_matrix(&c->colour, c->height);
    double kr = matrix == 1 ? 0.2126 : matrix == 9 || matrix == 10 ? 0.2627 : 0.299;
    double kb = matrix == 1 ? 0.0722 : matrix == 9 || matrix == 10 ? 0.0593 : 0.114;
    double y = kr * r + (1 - kr - kb) * g + kb * b, cb = (b - y) / (2 * (1 - kb)), cr = (r - y) / (2 * (1 - kr));
    bool full = c->colour.full_range;
    double mid = 128 * unit, y0 = full ? 0 : 16 * unit, ys = full ? top : 219 * unit, cs = full ? top : 224 * unit;
    return (struct overlay_ink){{(uint16_t)lrint(y0 + y * ys), (uint16_t)lrint(fmin(top, fmax(0, mid + cb * cs))),
                                 (uint16_t)lrint(fmin(top, fmax(0, mid + cr * cs)))}};
}

// ---- the list -----------------------------------------------------------------

// Returns `items` with room for one more of `bytes`. Without memory the list stays as it is, and nothing
// more is added to it.
static void *grow(struct paint_canvas *c, void *items, uint32_t n, uint32_t *room, size_t bytes)
{
    if (c->full || n < *room) return items;
    uint32_t more = *room ? 2 * *room : 64;
    void *p = realloc(items, more * bytes);
    c->full = !p;
    if (!p) return items;
    *room = more;
    return p;
}

// Adds an item that may change [x0, x1) x [y0, y1), cut to the picture.
static void note(struct paint_canvas *c, int64_t x0, int64_t y0, int64_t x1, int64_t y1, struct overlay_item item)
{
    if (x0 < 0) x0 = 0;
    if (y0 < 0) y0 = 0;
    if (x1 > c->width) x1 = c->width;
    if (y1 > c->height) y1 = c->height;
    if (x0 >= x1 || y0 >= y1) return;
    c->item = grow(c, c->item, c->n, &c->room, sizeof item);
    if (c->full) return;
    item.x0 = (int32_t)x0, item.y0 = (int32_t)y0, item.x1 = (int32_t)x1, item.y1 = (int32_t)y1;
    c->item[c->n++] = item;
}

void paint_fill(struct paint_canvas *c, int x, int y, int w, int h, struct overlay_ink ink)
{
    note(c, x, y, (int64_t)x + w, (int64_t)y + h, (struct overlay_item){.kind = OVERLAY_FILL, .ink = ink});
}

void paint_frame(struct paint_canvas *c, int x, int y, int w, int h, int line, struct overlay_ink ink)
{
    if (w <= 2 * line || h <= 2 * line) {
        paint_fill(c, x, y, w, h, ink);
        return;
    }
    paint_fill(c, x, y, w, line, ink);
    paint_fill(c, x, y + h - line, w, line, ink);
    paint_fill(c, x, y + line, line, h - 2 * line, ink);
    paint_fill(c, x + w - line, y + line, line, h - 2 * line, ink);
}

int paint_text_width(const char *text, int scale)
{
    int n = (int)strlen(text);
    return n ? (n * (PAINT_GLYPH_W + 1) - 1) * scale : 0;
}

static uint64_t glyph_of(unsigned char ch)
{
    const unsigned char *row = paint_font[(ch < 32 || ch > 126 ? '?' : ch) - 32];
    uint64_t dots = 0;
    for (int i = 0; i < PAINT_GLYPH_W * PAINT_GLYPH_H; i++)
        dots |= (uint64_t)(row[i / PAINT_GLYPH_W] >> (PAINT_GLYPH_W - 1 - i % PAINT_GLYPH_W) & 1) << i;
    return dots;
}

void paint_text(struct paint_canvas *c, int x, int y, int scale, const char *text, struct overlay_ink ink)
{
    struct overlay_item item = {
        .kind = OVERLAY_TEXT, .left = x, .top = y, .scale = scale, .glyph = c->glyphs, .ink = ink};
    int64_t right = (int64_t)x + paint_text_width(text, scale);
    for (; *text; text++, item.glyphs++) {
        c->glyph = grow(c, c->glyph, c->glyphs, &c->glyph_room, sizeof *c->glyph);
        if (c->full) return;
        c->glyph[c->glyphs++] = glyph_of((unsigned char)*text);
    }
    note(c, x, y, right, (int64_t)y + PAINT_GLYPH_H * scale, item);
}

void paint_blend(struct paint_canvas *c, const uint8_t *mask, size_t stride, const struct overlay_blend *blend)
{
    c->mask = mask;
    c->mask_stride = stride;
    c->blend = *blend;
    note(c, 0, 0, c->width, c->height, (struct overlay_item){.kind = OVERLAY_BLEND});
}

// ---- playing it ---------------------------------------------------------------

struct overlay_list paint_list(const struct paint_canvas *c)
{
    return (struct overlay_list){.item = c->item,
                                 .n = c->n,
                                 .glyph = c->glyph,
                                 .mask = c->mask,
                                 .mask_stride = c->mask_stride,
                                 .blend = &c->blend};
}

static enum reel_err no_memory(void)
{
    return reel_fail(REEL_ERR_NOMEM, "could not draw on a picture: out of memory");
}

enum reel_err paint_play(const struct paint_canvas *c, AVFrame *frame)
{
    struct overlay_picture picture;
    if (c->full) return no_memory();
    if (!picture_planes(frame, (enum AVPixelFormat)frame->format, &picture))
        return reel_fail(REEL_ERR_UNSUPPORTED, "could not draw on pictures of this format");
    struct overlay_list list = paint_list(c);
    overlay_draw(&list, &picture);
    return REEL_OK;
}

static void drop(void *opaque, uint8_t *data)
{
    paint_end((struct paint_canvas *)(void *)data);
    free(data);
}

enum reel_err paint_attach(struct paint_canvas *c, AVFrame *frame)
{
    if (c->full) return no_memory();
    struct paint_canvas *copy = malloc(sizeof *copy);
    if (copy) frame->opaque_ref = av_buffer_create((uint8_t *)copy, sizeof *copy, drop, NULL, AV_BUFFER_FLAG_READONLY);
    if (!copy || !frame->opaque_ref) {
        free(copy);
        return no_memory();
    }
    *copy = *c;
    *c = (struct paint_canvas){0};
    return REEL_OK;
}

const struct paint_canvas *paint_of(const AVFrame *frame)
{
    return frame->opaque_ref ? (const struct paint_canvas *)(const void *)frame->opaque_ref->data : NULL;
}

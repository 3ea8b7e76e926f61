// SPDX-License-Identifier: MIT
//
// Drawing. See paint.h. A chroma sample belongs to a rectangle when any of its
// luma samples does, so that thin lines keep their colour.
#include "aggregator/post/paint.h"

#include <math.h>

bool paint_begin(struct paint_canvas *c, AVFrame *frame, const struct reel_colour *colour)
{
    *c = (struct paint_canvas){.frame = frame, .colour = *colour};
    return picture_slot_format((enum AVPixelFormat)frame->format, &c->format) && c->format.layout != REEL_PIX_NV;
}

uint32_t paint_palette(int i)
{
    static const uint32_t colours[] = {0xe6194b, 0x3cb44b, 0xffe119, 0x4363d8, 0xf58231, 0x911eb4, 0x46f0f0,
                                       0xf032e6, 0xbcf60c, 0xfabebe, 0x008080, 0xe6beff, 0x9a6324, 0xfffac8,
                                       0x800000, 0xaaffc3, 0x808000, 0xffd8b1, 0x000075, 0x808080};
    return colours[(unsigned)i % (sizeof colours / sizeof *colours)];
}

struct paint_ink paint_ink(const struct paint_canvas *c, uint32_t rgb)
{
    double r = (rgb >> 16 & 255) / 255.0, g = (rgb >> 8 & 255) / 255.0, b = (rgb & 255) / 255.0;
    double top = (1 << c->format.depth) - 1, unit = 1 << (c->format.depth - 8);
    if (c->format.layout == REEL_PIX_GBR)
        return (struct paint_ink){{(uint16_t)lrint(g * top), (uint16_t)lrint(b * top), (uint16_t)lrint(r * top)}};
    // H.273: BT.709 has Kr 0.2126, Kb 0.0722; BT.2020 0.2627, 0.0593; BT.601 0.299, 0.114.
    int matrix = reel_colour_matrix(&c->colour, c->frame->height);
    double kr = matrix == 1 ? 0.2126 : matrix == 9 || matrix == 10 ? 0.2627 : 0.299;
    double kb = matrix == 1 ? 0.0722 : matrix == 9 || matrix == 10 ? 0.0593 : 0.114;
    double y = kr * r + (1 - kr - kb) * g + kb * b, cb = (b - y) / (2 * (1 - kb)), cr = (r - y) / (2 * (1 - kr));
    bool full = c->colour.full_range;
    double mid = 128 * unit, y0 = full ? 0 : 16 * unit, ys = full ? top : 219 * unit, cs = full ? top : 224 * unit;
    return (struct paint_ink){{(uint16_t)lrint(y0 + y * ys), (uint16_t)lrint(fmin(top, fmax(0, mid + cb * cs))),
                               (uint16_t)lrint(fmin(top, fmax(0, mid + cr * cs)))}};
}

static void plane_shift(const struct paint_canvas *c, int plane, int *out_sx, int *out_sy)
{
    bool chroma = plane > 0 && c->format.layout == REEL_PIX_YUV;
    *out_sx = chroma ? c->format.log2_chroma_w : 0;
    *out_sy = chroma ? c->format.log2_chroma_h : 0;
}

static void put_row(uint8_t *row, int from, int to, int depth, uint16_t value)
{
    if (depth > 8)
        for (int x = from; x < to; x++) ((uint16_t *)row)[x] = value;
    else
        memset(row + from, value, (size_t)(to - from));
}

void paint_fill(const struct paint_canvas *c, int x, int y, int w, int h, struct paint_ink ink)
{
    int64_t right = (int64_t)x + w, bottom = (int64_t)y + h;
    int x1 = right > c->frame->width ? c->frame->width : (int)right;
    int y1 = bottom > c->frame->height ? c->frame->height : (int)bottom;
    int x0 = x < 0 ? 0 : x, y0 = y < 0 ? 0 : y;
    if (x0 >= x1 || y0 >= y1) return;
    for (int p = 0; p < reel_format_planes(c->format); p++) {
        int sx, sy;
        plane_shift(c, p, &sx, &sy);
        int to_x = (x1 + (1 << sx) - 1) >> sx, to_y = (y1 + (1 << sy) - 1) >> sy;
        for (int row = y0 >> sy; row < to_y; row++)
            put_row(c->frame->data[p] + (ptrdiff_t)row * c->frame->linesize[p], x0 >> sx, to_x, c->format.depth,
                    ink.sample[p]);
    }
}

void paint_frame(const struct paint_canvas *c, int x, int y, int w, int h, int line, struct paint_ink ink)
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

void paint_text(const struct paint_canvas *c, int x, int y, int scale, const char *text, struct paint_ink ink)
{
    for (; *text && x < c->frame->width; text++, x += (PAINT_GLYPH_W + 1) * scale) {
        unsigned char ch = (unsigned char)*text;
        const unsigned char *glyph = paint_font[(ch < 32 || ch > 126 ? '?' : ch) - 32];
        for (int row = 0; row < PAINT_GLYPH_H; row++)
            for (int col = 0; col < PAINT_GLYPH_W; col++)
                if (glyph[row] >> (PAINT_GLYPH_W - 1 - col) & 1)
                    paint_fill(c, x + col * scale, y + row * scale, scale, scale, ink);
    }
}

// ---- blending ---------------------------------------------------------------

static int mix(int have, int want, int alpha)
{
    int d = (want - have) * alpha;
    return have + (d + (d < 0 ? -127 : 127)) / 255;
}

// Mean alpha of the luma samples under one chroma sample.
static int mean_alpha(const struct paint_mask *m, int x, int y, int sx, int sy, int width, int height)
{
    int sum = 0, n = 0;
    for (int dy = 0; dy < 1 << sy && (y << sy) + dy < height; dy++)
        for (int dx = 0; dx < 1 << sx && (x << sx) + dx < width; dx++, n++)
            sum += m->alpha_of[m->data[(size_t)((y << sy) + dy) * m->stride + (size_t)((x << sx) + dx)]];
    return n ? (sum + n / 2) / n : 0;
}

static void blend_plane(const struct paint_canvas *c, const struct paint_mask *m, int plane)
{
    int sx, sy, width = c->frame->width, height = c->frame->height;
    plane_shift(c, plane, &sx, &sy);
    int w = (width + (1 << sx) - 1) >> sx, h = (height + (1 << sy) - 1) >> sy;
    for (int y = 0; y < h; y++) {
        uint8_t *row = c->frame->data[plane] + (ptrdiff_t)y * c->frame->linesize[plane];
        const uint8_t *mask = m->data + (size_t)(y << sy) * m->stride;
        for (int x = 0; x < w; x++) {
            int at = mask[x << sx];
            int alpha = sx | sy ? mean_alpha(m, x, y, sx, sy, width, height) : m->alpha_of[at];
            if (!alpha) continue;
            if (!m->alpha_of[at]) { // the first sample is outside: take an ink from inside
                for (int i = 1; i < 1 << (sx + sy); i++) {
                    int dx = i & ((1 << sx) - 1), dy = i >> sx;
                    if ((x << sx) + dx >= width || (y << sy) + dy >= height) continue;
                    int other = mask[(size_t)dy * m->stride + (size_t)((x << sx) + dx)];
                    if (m->alpha_of[other]) at = other;
                }
            }
            int ink = m->ink_of[at].sample[plane];
            if (c->format.depth > 8)
                ((uint16_t *)row)[x] = (uint16_t)mix(((uint16_t *)row)[x], ink, alpha);
            else
                row[x] = (uint8_t)mix(row[x], ink, alpha);
        }
    }
}

void paint_blend(const struct paint_canvas *c, const struct paint_mask *m)
{
    for (int p = 0; p < reel_format_planes(c->format); p++) blend_plane(c, m, p);
}

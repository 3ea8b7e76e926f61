// SPDX-License-Identifier: MIT
//
// Draws boxes, points and labels. See boxes.h.
#include "aggregator/post/boxes.h"

#include <math.h>
#include <stdio.h>

#define BLACK 0x000000u
#define WHITE 0xffffffu

static int text_scale(const struct paint_canvas *c)
{
    int scale = (c->height + 200) / 400; // letters of 5 x 7 cells, each 3 pixels wide at 1080 lines
    return scale < 1 ? 1 : scale;
}

// Rounds, and keeps the value near the picture, so that no sum overflows.
static int to_pixel(float v)
{
    return (int)lrintf(fminf(fmaxf(v, -65536.0f), 65536.0f));
}

// Black on light colours, white on dark ones.
static uint32_t text_colour(uint32_t rgb)
{
    unsigned luma = 299 * (rgb >> 16 & 255) + 587 * (rgb >> 8 & 255) + 114 * (rgb & 255);
    return luma > 140 * 1000 ? BLACK : WHITE;
}

// A line of text on a filled ground; (x, y) is the ground's upper left corner.
static void draw_tag(struct paint_canvas *c, int x, int y, const char *text, uint32_t rgb)
{
    int scale = text_scale(c);
    paint_fill(c, x, y, paint_text_width(text, scale) + 2 * scale, (PAINT_GLYPH_H + 2) * scale, paint_ink(c, rgb));
    paint_text(c, x + scale, y + scale, scale, text, paint_ink(c, text_colour(rgb)));
}

// track 0: the object has none.
static void draw_object(struct paint_canvas *c, const struct reel_object *o, int32_t track, uint32_t set,
                        const struct boxes_params *p, int line)
{
    int x = to_pixel(o->x), y = to_pixel(o->y), w = to_pixel(o->w), h = to_pixel(o->h);
    uint32_t rgb = paint_palette(track ? track : o->class_id);
    struct overlay_ink ink = paint_ink(c, rgb);
    paint_frame(c, x, y, w, h, line, ink);
    for (uint32_t i = 0; i < o->n_points; i++) {
        if (!isfinite(o->point[i].x) || !isfinite(o->point[i].y)) continue;
        int side = line + 2;
        paint_fill(c, to_pixel(o->point[i].x) - side / 2, to_pixel(o->point[i].y) - side / 2, side, side,
                   paint_ink(c, WHITE));
    }
    if (!p->draw_labels) return;
    char number[16], text[112], which[16] = "";
    if (track) snprintf(which, sizeof which, " #%d", track);
    snprintf(text, sizeof text, "%.80s%s %.2f", labels_name(p->labels, set, o->class_id, number, sizeof number), which,
             (double)o->score);
    int height = (PAINT_GLYPH_H + 2) * text_scale(c);
    draw_tag(c, x, y >= height ? y - height : y, text, rgb);
}

void boxes_draw(struct paint_canvas *c, const struct results *r, const struct boxes_params *p)
{
    int line = p->line_width;
    if (line <= 0) line = c->height < 540 ? 2 : (c->height + 135) / 270; // 4 pixels at 1080 lines
    // Results come best first; the best is drawn last, on top.
    for (uint32_t i = r->head.count; i-- > 0;) {
        if (!results_shown(r, i)) continue;
        struct reel_object o = results_object(r, i);
        if (!isfinite(o.x) || !isfinite(o.y) || !isfinite(o.w) || !isfinite(o.h)) continue;
        draw_object(c, &o, results_track(r, i), r->head.labels, p, line);
    }
}

void boxes_draw_classes(struct paint_canvas *c, const struct results *r, const struct boxes_params *p)
{
    int y = 0;
    for (uint32_t i = 0; i < r->head.count && y < c->height; i++) {
        struct reel_class_score s = results_class(r, i);
        char number[16], text[96];
        snprintf(text, sizeof text, "%.80s %.2f",
                 labels_name(p->labels, r->head.labels, s.class_id, number, sizeof number), (double)s.score);
        draw_tag(c, 0, y, text, i == 0 ? paint_palette(s.class_id) : BLACK);
        y += (PAINT_GLYPH_H + 2) * text_scale(c);
    }
}

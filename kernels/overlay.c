// SPDX-License-Identifier: MIT
//
// Draws into pictures in host memory. See overlay.h.
#include "kernels/overlay.h"

#include <string.h>

#include "kernels/overlay_math.h"

// ---- rectangles ---------------------------------------------------------------

static void put_row(const struct overlay_picture *p, const struct overlay_plane *plane, int y, int from, int to,
                    unsigned value)
{
    uint8_t *row = (uint8_t *)plane->data + (size_t)y * plane->stride;
    const int step = plane->step;
    if (p->bytes == 2)
        for (int x = from; x < to; x++) ((uint16_t *)row)[x * step] = (uint16_t)(value << plane->shift);
    else if (step == 1)
        memset(row + from, (int)value, (size_t)(to - from));
    else
        for (int x = from; x < to; x++) row[x * step] = (uint8_t)value;
}

static void fill(const struct overlay_picture *p, int x0, int y0, int x1, int y1, const struct overlay_ink *ink)
{
    for (int i = 0; i < p->planes; i++) {
        const struct overlay_plane *plane = &p->plane[i];
        int sx = plane->log2_w, sy = plane->log2_h;
        int to_x = (x1 + (1 << sx) - 1) >> sx, to_y = (y1 + (1 << sy) - 1) >> sy;
        for (int y = y0 >> sy; y < to_y; y++) put_row(p, plane, y, x0 >> sx, to_x, ink->sample[i]);
    }
}

// ---- text ---------------------------------------------------------------------

static void dot(const struct overlay_picture *p, const struct overlay_item *t, int x, int y)
{
    int x0 = x > t->x0 ? x : t->x0, y0 = y > t->y0 ? y : t->y0;
    int x1 = x + t->scale < t->x1 ? x + t->scale : t->x1, y1 = y + t->scale < t->y1 ? y + t->scale : t->y1;
    if (x0 < x1 && y0 < y1) fill(p, x0, y0, x1, y1, &t->ink);
}

static void text(const struct overlay_list *l, const struct overlay_picture *p, const struct overlay_item *t)
{
    int x = t->left;
    for (uint32_t i = 0; i < t->glyphs && x < t->x1; i++, x += (OVERLAY_GLYPH_W + 1) * t->scale)
        for (uint64_t dots = l->glyph[t->glyph + i]; dots; dots &= dots - 1) {
            int at = __builtin_ctzll(dots);
            dot(p, t, x + at % OVERLAY_GLYPH_W * t->scale, t->top + at / OVERLAY_GLYPH_W * t->scale);
        }
}

// ---- blending -----------------------------------------------------------------

// Planes that have a byte for each of the mask's samples: most of the work.
static void blend_bytes(const struct overlay_list *l, int w, int h, const struct overlay_plane *plane, int i)
{
    uint8_t ink_of[256];
    for (int v = 0; v < 256; v++) ink_of[v] = (uint8_t)l->blend->ink_of[v].sample[i];
    for (int y = 0; y < h; y++) {
        uint8_t *row = (uint8_t *)plane->data + (size_t)y * plane->stride;
        const uint8_t *mask = l->mask + (size_t)y * l->mask_stride;
        for (int x = 0; x < w; x++) {
            const int alpha = l->blend->alpha_of[mask[x]];
            if (alpha) row[x] = (uint8_t)overlay_mix(row[x], ink_of[mask[x]], alpha);
        }
    }
}

static void blend_plane(const struct overlay_list *l, const struct overlay_picture *p, int i)
{
    const struct overlay_plane *plane = &p->plane[i];
    const int w = (p->width + (1 << plane->log2_w) - 1) >> plane->log2_w;
    const int h = (p->height + (1 << plane->log2_h) - 1) >> plane->log2_h;
    if (p->bytes == 1 && plane->step == 1 && !plane->log2_w && !plane->log2_h) {
        blend_bytes(l, w, h, plane, i);
        return;
    }
    for (int y = 0; y < h; y++) {
        uint8_t *row = (uint8_t *)plane->data + (size_t)y * plane->stride;
        for (int x = 0; x < w; x++) {
            int value, alpha = overlay_alpha(l, p, plane, x, y, &value);
            if (!alpha) continue;
            const int ink = l->blend->ink_of[value].sample[i], at = x * plane->step;
            if (p->bytes == 2) {
                uint16_t *s = (uint16_t *)row + at;
                *s = (uint16_t)(overlay_mix(*s >> plane->shift, ink, alpha) << plane->shift);
            } else {
                row[at] = (uint8_t)overlay_mix(row[at], ink, alpha);
            }
        }
    }
}

void overlay_draw(const struct overlay_list *l, const struct overlay_picture *p)
{
    for (uint32_t i = 0; i < l->n; i++) {
        const struct overlay_item *t = &l->item[i];
        if (t->kind == OVERLAY_FILL)
            fill(p, t->x0, t->y0, t->x1, t->y1, &t->ink);
        else if (t->kind == OVERLAY_TEXT)
            text(l, p, t);
        else
            for (int k = 0; k < p->planes; k++) blend_plane(l, p, k);
    }
}

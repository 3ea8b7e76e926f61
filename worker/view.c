// SPDX-License-Identifier: MIT
//
// view.h: the geometry between source and network.
#include "worker/view.h"

#include <assert.h>

// Overlap of blended tiles in source pixels, where the receptive field is not
// known: wide enough to hide most networks' border effects.
#define BLEND_OVERLAP 16

int view_round_up(int v, int multiple)
{
    return multiple > 1 ? (v + multiple - 1) / multiple * multiple : v;
}

static int tiles_for(int src, int net, int overlap)
{
    if (src <= net) return 1;
    int step = net - overlap;
    return (src - overlap + step - 1) / step;
}

// Rounding tiles down to multiples may take align - 1 from an overlap.
int view_overlap(int radius, int align)
{
    return 2 * (radius + VIEW_MARGIN) + align - 1;
}

static int tile_at(int i, int n, int net, int pad, int align)
{
    if (n == 1) return 0;
    int at = (int)((int64_t)(pad - net) * i / (n - 1));
    return at - at % align; // of the last one nothing, pad - net is a multiple
}

int view_column_at(const struct view *v, int i)
{
    return tile_at(i, v->n_x, v->net_w, v->pad_w, v->align);
}

int view_row_at(const struct view *v, int i)
{
    return tile_at(i, v->n_y, v->net_h, v->pad_h, v->align);
}

// The picture's extent with the edge pixels repeated behind it, so that the last
// tile begins at a multiple, too.
static int padded(int src, int net, int align)
{
    return src <= net ? net : net + view_round_up(src - net, align);
}

static enum reel_err init_tiles(struct view *v, const struct view_params *p)
{
    int least = p->net_w < p->net_h ? p->net_w : p->net_h;
    bool whole = p->src_w <= p->net_w && p->src_h <= p->net_h;
    int align = p->align > 1 ? p->align : 1;
    v->overlap = view_overlap(p->radius, align);
    // A field that eats more than half of a tile of stated size costs more than it gains.
    int room = p->bits ? v->overlap + 1 : 2 * v->overlap;
    v->exact = !whole && p->radius >= 0 && (p->src_w <= p->net_w || room <= p->net_w) &&
               (p->src_h <= p->net_h || room <= p->net_h);
    if (v->exact) v->align = align;
    v->bits = v->exact && p->bits;
    v->margin = v->exact ? p->margin : 0;
    // Without a bounded field a tile sees only itself: overlap more, so that
    // the blend hides the steps.
    if (!v->exact && p->radius < 0) v->overlap = least / 4;
    if (!v->exact && v->overlap < BLEND_OVERLAP) v->overlap = BLEND_OVERLAP;
    if (!v->exact && v->overlap > least / 4) v->overlap = least / 4;
    v->pad_w = padded(p->src_w, p->net_w, v->align);
    v->pad_h = padded(p->src_h, p->net_h, v->align);
    v->n_x = tiles_for(v->pad_w, p->net_w, v->overlap);
    v->n_y = tiles_for(v->pad_h, p->net_h, v->overlap);
    if (v->n_x * v->n_y > VIEW_MAX_TILES)
        return reel_fail(REEL_ERR_LIMIT,
                         "could not cut picture \"%dx%d\" into tiles of %dx%d: more than %d tiles\n"
                         "state a larger size in io.size or tile",
                         p->src_w, p->src_h, p->net_w, p->net_h, VIEW_MAX_TILES);
    if (p->parts > 1 && v->exact) v->parts = p->parts < v->n_y ? p->parts : v->n_y;
    return REEL_OK;
}

void view_part(const struct view *v, int part, int *out_first, int *out_end)
{
    *out_first = v->n_y * part / v->parts;
    *out_end = v->n_y * (part + 1) / v->parts;
}

int view_band_at(const struct view *v, int i)
{
    return i <= 0 ? 0 : i >= v->n_y ? v->pad_h : view_row_at(v, i) + v->margin;
}

void view_band(const struct view *v, int part, struct band *out)
{
    const int at = view_row_at(v, part);
    *out = (struct band){
        .above = view_band_at(v, part) - at, .below = at + v->net_h - view_band_at(v, part + 1), .margin = v->margin};
}

static void init_letterbox(struct view *v)
{
    double fx = (double)v->net_w / v->src_w, fy = (double)v->net_h / v->src_h, f = fx < fy ? fx : fy;
    v->pic_w = (int)(v->src_w * f + 0.5), v->pic_h = (int)(v->src_h * f + 0.5);
    if (v->pic_w < 1) v->pic_w = 1;
    if (v->pic_h < 1) v->pic_h = 1;
    v->pic_x = (v->net_w - v->pic_w) / 2, v->pic_y = (v->net_h - v->pic_h) / 2;
    v->scale_x = (double)v->src_w / v->pic_w, v->scale_y = (double)v->src_h / v->pic_h;
    v->shift_x = -v->pic_x * v->scale_x, v->shift_y = -v->pic_y * v->scale_y;
}

static void init_crop(struct view *v)
{
    double fx = (double)v->src_w / v->net_w, fy = (double)v->src_h / v->net_h, f = fx < fy ? fx : fy;
    v->scale_x = v->scale_y = f;
    v->shift_x = (v->src_w - f * v->net_w) / 2, v->shift_y = (v->src_h - f * v->net_h) / 2;
}

enum reel_err view_init(struct view *v, const struct view_params *p)
{
    assert(p->src_w > 0 && p->src_h > 0);
    bool dynamic = p->net_w <= 0 || p->net_h <= 0;
    *v = (struct view){.fit = dynamic ? MODEL_WHOLE : p->fit,
                       .src_w = p->src_w,
                       .src_h = p->src_h,
                       .net_w = dynamic ? view_round_up(p->src_w, p->size_multiple) : p->net_w,
                       .net_h = dynamic ? view_round_up(p->src_h, p->size_multiple) : p->net_h,
                       .scale_x = 1,
                       .scale_y = 1,
                       .n_x = 1,
                       .n_y = 1,
                       .parts = 1,
                       .align = 1};
    v->pic_w = v->pad_w = v->net_w, v->pic_h = v->pad_h = v->net_h;
    switch (v->fit) {
    case MODEL_WHOLE:
        return REEL_OK;
    case MODEL_TILES:
        return init_tiles(v, p);
    case MODEL_LETTERBOX:
        init_letterbox(v);
        return REEL_OK;
    case MODEL_STRETCH:
        v->scale_x = (double)p->src_w / p->net_w, v->scale_y = (double)p->src_h / p->net_h;
        return REEL_OK;
    case MODEL_CROP:
        init_crop(v);
        return REEL_OK;
    }
    return REEL_OK;
}

void view_to_source(const struct view *v, float x, float y, float *out_x, float *out_y)
{
    *out_x = (float)(x * v->scale_x + v->shift_x);
    *out_y = (float)(y * v->scale_y + v->shift_y);
}

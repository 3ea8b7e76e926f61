// SPDX-License-Identifier: MIT
//
// Sizes of tiles and bands. See tiling.h.
#include "worker/tiling.h"

// A part that takes more than this share of the whole frame's pixels is not
// worth its worker.
#define PART_WORTH 0.85
#define PART_ROWS 16 // least height of a band
// Tiles that make more work than this, of the frame's, are not worth their memory.
#define TILES_WORTH 2.0
#define TILES_NEEDED 8.0 // where the whole frame has no room
#define MOST_TILES 64    // along one axis

static int multiple_of(const struct view_params *p, int align)
{
    int m = align;
    while (p->size_multiple > 1 && m % p->size_multiple) m += align;
    return m;
}

// The smallest tile with which n of them cover pad, the last one beginning at a
// multiple of align.
static int side_of(int pad, int n, int overlap, int align)
{
    if (n == 1) return pad;
    int side = (pad + (n - 1) * overlap + n - 1) / n;
    return side + (pad - side) % align;
}

static int largest(struct field_reach r)
{
    return r.w > r.h ? r.w : r.h;
}

void tiling_reach(struct view_params *p, struct field_reach r)
{
    p->radius = r.w < 0 || r.h < 0 ? -1 : largest(r);
    p->align = multiple_of(p, r.step);
}

// Frames and tiles of more pixels are cut.
static int64_t most_of(const struct view_params *p)
{
    return p->tile_pixels ? p->tile_pixels : TILING_WHOLE_PIXELS;
}

// The least work with tiles of most_of() pixels at the most, in `parts` bands
// of whole tile rows. False: there is none that is worth it.
static bool choose(struct view_params *p, struct field_reach reach, bool bits, int parts)
{
    struct view_params q = *p;
    tiling_reach(&q, reach);
    if (q.radius < 0) return false;
    int overlap = view_overlap(q.radius, q.align);
    int pad_w = view_round_up(p->src_w, p->size_multiple), pad_h = view_round_up(p->src_h, p->size_multiple);
    double frame = (double)pad_w * pad_h;
    double best = frame * (parts > 1 ? PART_WORTH * parts : p->tile_pixels ? TILES_NEEDED : TILES_WORTH);
    if (parts > 1 && (pad_h - overlap) / parts < PART_ROWS) return false;
    q.fit = MODEL_TILES, q.bits = bits, q.parts = parts, q.net_w = 0;
    for (int n_x = 1; n_x <= MOST_TILES; n_x++)
        for (int n_y = parts; n_y <= MOST_TILES; n_y += parts) {
            int w = side_of(pad_w, n_x, overlap, q.align), h = side_of(pad_h, n_y, overlap, q.align);
            int least = bits ? overlap + 1 : 2 * overlap;
            if ((n_x > 1 && w < least) || (n_y > 1 && h < least)) break; // smaller ones are no better
            double work = (double)w * h * n_x * n_y;
            if ((double)w * h > (double)most_of(p) || work > best) continue;
            best = work, q.net_w = w, q.net_h = h;
        }
    if (!q.net_w) return false;
    *p = q;
    return true;
}

void tiling_choose(struct view_params *p, struct field_reach values, struct field_reach bits, bool may_tile)
{
    for (int parts = p->parts; parts > 1; parts--)
        if (choose(p, bits, true, parts)) return;
    p->parts = 1;
    bool large = (int64_t)p->src_w * p->src_h > most_of(p);
    if (!large || !may_tile || choose(p, bits, true, 1)) return;
    choose(p, values, false, 1);
}

// Every band has rows of its own for its neighbours' margins, and as many in all
// as the network needs.
static bool bands_hold(const struct view *v, int rows)
{
    if (v->n_y != v->parts || v->net_h < rows) return false;
    for (int i = 0; i < v->parts; i++) {
        struct band b;
        view_band(v, i, &b);
        const int own = v->net_h - b.above - b.below;
        if (own < v->margin || own < PART_ROWS || (i > 0 && b.above < v->margin)) return false;
        if (i + 1 < v->parts && b.below < v->margin) return false;
    }
    return true;
}

bool tiling_exchange(struct view_params *p, int parts, struct field_reach bits, const struct bands_need *need)
{
    // Rows of chroma, and blocks of a network whose field says nothing of them.
    int align = multiple_of(p, bits.step);
    while (align % VIEW_MARGIN) align += multiple_of(p, bits.step);
    const int pad_w = view_round_up(p->src_w, p->size_multiple), pad_h = view_round_up(p->src_h, p->size_multiple);
    const int margin = view_round_up(need->margin > VIEW_MARGIN ? need->margin : VIEW_MARGIN, align);
    for (; parts > 1; parts--) {
        struct view_params q = *p;
        // view_overlap() of this radius is two margins.
        q.fit = MODEL_TILES, q.bits = true, q.parts = parts, q.margin = margin, q.radius = margin - VIEW_MARGIN;
        q.align = align, q.net_w = pad_w;
        q.net_h = side_of(pad_h, parts, view_overlap(q.radius, align), align);
        struct view v;
        if (q.net_h > PART_WORTH * pad_h || view_init(&v, &q) || !bands_hold(&v, need->rows)) continue;
        *p = q;
        return true;
    }
    return false;
}

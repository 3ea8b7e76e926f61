// SPDX-License-Identifier: MIT
//
// Sizes of tiles and bands: whatever is chosen keeps every bit and bounds the
// memory.
#include "tests/check.h"
#include "worker/tiling.h"

static int up(int v, int multiple)
{
    return (v + multiple - 1) / multiple * multiple;
}

static int below(uint64_t *seed, int n)
{
    return (int)((check_rand(seed) >> 33) % (uint64_t)n);
}

// What the uncut picture would be, tiles that begin at multiples, and overlaps
// of the whole field.
static void check_axis(int src, int net, int pad, int n, int want_pad, int align, int radius, const int *at)
{
    CHECK_INT(pad, want_pad);
    for (int i = 0; i < n; i++) {
        CHECK_MSG(at[i] % align == 0 && at[i] >= 0, "extent %d: tile %d of %d begins at %d, not a multiple of %d", src,
                  i, n, at[i], align);
        if (i)
            CHECK_MSG(at[i - 1] + net - at[i] >= 2 * radius, "extent %d: tiles %d and %d overlap by %d", src, i - 1, i,
                      at[i - 1] + net - at[i]);
    }
    CHECK_INT(at[n - 1] + net, pad);
}

static void check_view(const struct view_params *p, int multiple)
{
    struct view v;
    int columns[64], rows[64];
    CHECK_INT(view_init(&v, p), REEL_OK);
    CHECK(v.exact && v.bits == p->bits);
    CHECK((int64_t)v.net_w * v.net_h <= TILING_WHOLE_PIXELS);
    for (int i = 0; i < v.n_x; i++) columns[i] = view_column_at(&v, i);
    for (int i = 0; i < v.n_y; i++) rows[i] = view_row_at(&v, i);
    check_axis(p->src_w, v.net_w, v.pad_w, v.n_x, up(p->src_w, multiple), v.align, p->radius, columns);
    check_axis(p->src_h, v.net_h, v.pad_h, v.n_y, up(p->src_h, multiple), v.align, p->radius, rows);
}

static void every_size(void)
{
    uint64_t seed = 11;
    int tiled = 0, split = 0;
    for (int i = 0; i < 3000; i++) {
        int multiple = 1 + below(&seed, 4), radius = below(&seed, 60), step = multiple * (1 + below(&seed, 3));
        struct field_reach values = {radius, radius / 2, step}, bits = {radius + 30, radius + 10, step * 4};
        struct view_params p = {
            .src_w = 1 + below(&seed, 8000), .src_h = 1 + below(&seed, 5000), .size_multiple = multiple};
        p.parts = 1 + below(&seed, 8);
        tiling_choose(&p, values, bits, true);
        bool large = (int64_t)p.src_w * p.src_h > TILING_WHOLE_PIXELS;
        if (p.fit != MODEL_TILES) {
            CHECK_MSG(!large, "%dx%d goes whole", p.src_w, p.src_h);
            CHECK_INT(p.parts, 1);
            continue;
        }
        CHECK(large || p.parts > 1);
        tiled++, split += p.parts > 1;
        check_view(&p, multiple);
    }
    CHECK_MSG(tiled > 1000 && split > 500, "%d tiled, %d of them split", tiled, split);
}

// The bundled upscaler: 18 pixels of field, 48 of bits, blocks of 8 pixels.
static const struct field_reach values = {18, 18, 2}, bits = {48, 48, 8};

static void even_sizes_are_tiled_and_split(void)
{
    struct view_params p = {.src_w = 3840, .src_h = 2160, .size_multiple = 2};
    tiling_choose(&p, values, bits, true);
    CHECK_MSG(p.fit == MODEL_TILES && p.bits, "a 4K frame goes whole");
    check_view(&p, 2);
    p = (struct view_params){.src_w = 1919, .src_h = 1079, .size_multiple = 2, .parts = 2};
    tiling_choose(&p, values, bits, true);
    CHECK_INT(p.parts, 2);
    check_view(&p, 2);
    // Two bands of a small frame would be no less work than the whole.
    p = (struct view_params){.src_w = 320, .src_h = 120, .size_multiple = 2, .parts = 2};
    tiling_choose(&p, values, bits, true);
    CHECK(p.fit != MODEL_TILES && p.parts == 1);
}

static void unbounded_fields_go_whole(void)
{
    const struct field_reach none = {-1, -1, 1};
    struct view_params p = {.src_w = 3840, .src_h = 2160, .parts = 4};
    tiling_choose(&p, none, none, true);
    CHECK(p.fit != MODEL_TILES && p.parts == 1);
    tiling_choose(&p, values, none, true); // the field of values is enough for tiles
    CHECK(p.fit == MODEL_TILES && !p.bits);
    p = (struct view_params){.src_w = 3840, .src_h = 2160};
    tiling_choose(&p, values, bits, false);
    CHECK(p.fit != MODEL_TILES);
}

// Where the memory allows less than TILING_WHOLE_PIXELS.
static void less_room_takes_smaller_tiles(void)
{
    for (uint32_t most = 1 << 20; most >= 1 << 16; most /= 2) {
        struct view_params p = {.src_w = 1280, .src_h = 720, .size_multiple = 2, .tile_pixels = most};
        tiling_choose(&p, values, bits, true);
        CHECK(p.fit == MODEL_TILES || most >= 1280 * 720);
        if (p.fit != MODEL_TILES) continue;
        check_view(&p, 2);
        CHECK_MSG((int64_t)p.net_w * p.net_h <= most, "%dx%d", p.net_w, p.net_h);
    }
    // Less than the field leaves nothing to choose.
    struct view_params p = {.src_w = 1280, .src_h = 720, .size_multiple = 2, .tile_pixels = 50 * 50};
    tiling_choose(&p, values, bits, true);
    CHECK(p.fit != MODEL_TILES);
}

// Bands that exchange rows: every row is one band's own, bands begin at whole
// steps, and margins are as wide as is needed where the picture goes on.
static void bands_with_margins(void)
{
    uint64_t seed = 5;
    int cut = 0;
    for (int i = 0; i < 3000; i++) {
        int multiple = 1 + below(&seed, 4), parts = 2 + below(&seed, 7);
        struct field_reach far = {400, 400, multiple * (1 + below(&seed, 8))};
        struct bands_need need = {.fit = true, .margin = 1 + below(&seed, 12), .rows = below(&seed, 60)};
        struct view_params p = {
            .src_w = 1 + below(&seed, 900), .src_h = 1 + below(&seed, 900), .size_multiple = multiple};
        if (!tiling_exchange(&p, parts, far, &need)) {
            CHECK(p.fit != MODEL_TILES && !p.margin);
            CHECK_MSG(p.src_h < 16 * (far.step * 4 + 16 + need.margin) || need.rows > 40,
                      "%d rows are not cut, margin %d, step %d", p.src_h, need.margin, far.step);
            continue;
        }
        struct view v;
        CHECK_INT(view_init(&v, &p), REEL_OK);
        CHECK(v.parts > 1 && v.parts <= parts && v.n_y == v.parts && v.n_x == 1 && v.margin >= need.margin);
        CHECK_INT(v.pad_h, up(p.src_h, multiple));
        CHECK(v.net_h >= need.rows && v.net_h < v.pad_h);
        for (int k = 0, next = 0; k < v.parts; k++) {
            struct band b;
            view_band(&v, k, &b);
            const int at = view_row_at(&v, k);
            CHECK_INT(at % far.step, 0);
            CHECK_INT(at % 4, 0);
            CHECK_INT(at + b.above, next);
            CHECK(k ? b.above >= need.margin : b.above == 0);
            CHECK(k + 1 < v.parts ? b.below >= need.margin : b.below == 0);
            next = at + v.net_h - b.below;
            CHECK_INT(next, view_band_at(&v, k + 1));
            if (k + 1 == v.parts) CHECK_INT(next, v.pad_h);
        }
        cut++;
    }
    CHECK_MSG(cut > 1000, "%d frames were cut", cut);
}

CHECK_MAIN({"tiling: bands with margins", bands_with_margins}, {"tiling: every size", every_size},
           {"tiling: even sizes are tiled and split", even_sizes_are_tiled_and_split},
           {"tiling: unbounded fields go whole", unbounded_fields_go_whole},
           {"tiling: less room takes smaller tiles", less_room_takes_smaller_tiles})

// SPDX-License-Identifier: MIT
//
// The kernels around a network on a GPU against their C twins, on random pictures,
// maps, cells, boxes and lists of what is drawn. (On the CPU tests/unit/kernels/
// test_gpu_pixels.c, test_gpu_results.c, test_nms.c and test_gpu_overlay.c compare more of
// them, and the twins with the CPU path.)
// float32 results must be the same bits, 16-bit ones too.
#include "common/cuda.h"
#include "kernels/cut.h"
#include "kernels/gpu/pixels.h"
#include "kernels/gpu/results.h"
#include "kernels/nms.h"
#include "kernels/overlay.h"
#include "tests/check.h"

#define W 333
#define H 207
#define OUT_W 190
#define OUT_H 160
#define STRIDE 1408 // bytes a row, room for 16-bit pairs

static uint64_t seed = 3;

// Host memory and its copy on the device.
struct both {
    void *host, *device;
    size_t bytes;
};

static struct both make(size_t bytes)
{
    struct both b = {calloc(1, bytes), NULL, bytes};
    if (!b.host || reel_cuda_malloc(bytes, &b.device)) abort();
    return b;
}

static void up(const struct both *b)
{
    if (reel_cuda_upload(b->device, b->host, b->bytes, NULL) || reel_cuda_stream_sync(NULL)) abort();
}

static void drop(struct both *b)
{
    free(b->host);
    reel_cuda_free(b->device);
}

// Whether the device's bytes are those of the host's.
static bool same(const struct both *b)
{
    uint8_t *got = malloc(b->bytes);
    if (reel_cuda_download(got, b->device, b->bytes, NULL) || reel_cuda_stream_sync(NULL)) abort();
    bool ok = !memcmp(got, b->host, b->bytes);
    free(got);
    return ok;
}

static bool open_gpu(void)
{
    int n;
    return !reel_cuda_count(&n) && !reel_cuda_open(0);
}

static const struct {
    enum yuv_layout layout;
    int depth, shift, cw, ch;
    enum yuv_site sx, sy;
    bool full;
} formats[] = {{YUV_NV, 8, 0, 1, 1, YUV_SITE_FIRST, YUV_SITE_CENTER, false},
               {YUV_NV, 10, 6, 1, 1, YUV_SITE_FIRST, YUV_SITE_FIRST, false},
               {YUV_PLANAR, 8, 0, 1, 1, YUV_SITE_CENTER, YUV_SITE_LAST, true},
               {YUV_PLANAR, 10, 0, 1, 0, YUV_SITE_FIRST, YUV_SITE_CENTER, false},
               {YUV_PLANAR, 16, 0, 0, 0, YUV_SITE_FIRST, YUV_SITE_CENTER, false},
               {YUV_GRAY, 8, 0, 0, 0, YUV_SITE_FIRST, YUV_SITE_CENTER, false},
               {YUV_GBR, 12, 0, 0, 0, YUV_SITE_FIRST, YUV_SITE_CENTER, true}};
#define FORMATS (sizeof formats / sizeof *formats)

// planes: three planes one after another.
static struct gpu_picture picture(size_t f, const struct both *planes, bool device, int w, int h)
{
    struct yuv_picture p = {.layout = formats[f].layout,
                            .depth = formats[f].depth,
                            .shift = formats[f].shift,
                            .log2_cw = formats[f].cw,
                            .log2_ch = formats[f].ch,
                            .width = w,
                            .height = h,
                            .matrix = 9,
                            .full = formats[f].full,
                            .site_x = formats[f].sx,
                            .site_y = formats[f].sy};
    for (int i = 0; i < 3; i++) {
        p.plane[i] = (uint8_t *)(device ? planes->device : planes->host) + (size_t)i * H * STRIDE;
        p.stride[i] = STRIDE;
    }
    return gpu_picture_of(&p);
}

static void fill_random(const struct both *planes, size_t f)
{
    unsigned top = (1u << formats[f].depth) - 1;
    for (size_t i = 0; i < planes->bytes / 2; i++) {
        unsigned v = (unsigned)(check_rand(&seed) >> 33);
        if (formats[f].depth > 8)
            ((uint16_t *)planes->host)[i] = (uint16_t)((v & top) << formats[f].shift);
        else
            ((uint16_t *)planes->host)[i] = (uint16_t)v;
    }
    up(planes);
}

static const struct gpu_coding coding = {{2.0f, 1.7f, 1.9f}, {-1.0f, -0.8f, -0.9f}, {2, 1, 0}};

static void feeds(void)
{
    if (!open_gpu()) SKIP("no GPU");
    struct both planes = make(3 * H * STRIDE), out = make((size_t)W * H * 8 * 4);
    for (size_t f = 0; f < FORMATS; f++)
        for (int type = GPU_PIXEL_F32; type <= GPU_PIXEL_BF16; type++) {
            fill_random(&planes, f);
            memset(out.host, 0, out.bytes);
            up(&out);
            struct gpu_picture on_host = picture(f, &planes, false, W, H), on_device = picture(f, &planes, true, W, H);
            struct gpu_image a = gpu_image_nhwc(out.host, (enum gpu_pixel_type)type, W, H, 3, 8), b = a;
            b.data = out.device;
            gpu_feed_ref(&on_host, &a, &coding);
            CHECK_INT(gpu_feed(&on_device, &b, &coding, NULL), 0);
            CHECK_MSG(same(&out), "format %zu, type %d: GPU and twin differ", f, type);
        }
    drop(&planes), drop(&out);
}

struct axis_pair {
    struct resize_axis host;
    struct both first, weight;
};

static struct axis_pair make_axis_of(enum resize_filter filter, int n_in, int n_out)
{
    struct axis_pair a;
    if (!resize_axis_fit(&a.host, filter, n_in, n_out)) abort();
    a.first = make((size_t)n_out * sizeof(int));
    a.weight = make((size_t)n_out * (size_t)a.host.taps * sizeof(float));
    memcpy(a.first.host, a.host.first, a.first.bytes);
    memcpy(a.weight.host, a.host.weight, a.weight.bytes);
    up(&a.first), up(&a.weight);
    return a;
}

static struct axis_pair make_axis(int n_in, int n_out)
{
    return make_axis_of(RESIZE_BICUBIC, n_in, n_out);
}

static struct gpu_axis axis_of(const struct axis_pair *a, bool device)
{
    return (struct gpu_axis){a->host.n_in, a->host.n_out, a->host.taps, device ? a->first.device : a->first.host,
                             device ? a->weight.device : a->weight.host};
}

static void resizes(void)
{
    if (!open_gpu()) SKIP("no GPU");
    struct both planes = make(3 * H * STRIDE), rows = make((size_t)3 * OUT_H * W * 4),
                out = make((size_t)OUT_W * OUT_H * 3 * 4);
    struct axis_pair x = make_axis(W, OUT_W), y = make_axis(H, OUT_H);
    for (size_t f = 0; f < FORMATS; f++) {
        fill_random(&planes, f);
        struct gpu_rows a = {.what = GPU_ROWS_PICTURE,
                             .picture = picture(f, &planes, false, W, H),
                             .planes = 3,
                             .width = W,
                             .y = axis_of(&y, false),
                             .out = rows.host},
                        b = a;
        b.picture = picture(f, &planes, true, W, H), b.y = axis_of(&y, true), b.out = rows.device;
        gpu_rows_ref(&a);
        CHECK_INT(gpu_rows(&b, NULL), 0);
        CHECK_MSG(same(&rows), "format %zu: rows differ", f);
        struct gpu_columns c = {.rows = rows.host,
                                .planes = 3,
                                .height = OUT_H,
                                .x = axis_of(&x, false),
                                .coding = coding,
                                .dst = gpu_image_planar(out.host, GPU_PIXEL_F32, OUT_W, OUT_H, 3)},
                           d = c;
        d.rows = rows.device, d.x = axis_of(&x, true), d.dst.data = out.device;
        gpu_columns_ref(&c);
        CHECK_INT(gpu_columns(&d, NULL), 0);
        CHECK_MSG(same(&out), "format %zu: columns differ", f);
    }
    resize_axis_fini(&x.host), resize_axis_fini(&y.host);
    drop(&planes), drop(&rows), drop(&out);
    drop(&x.first), drop(&x.weight), drop(&y.first), drop(&y.weight);
}

static void tails(void)
{
    if (!open_gpu()) SKIP("no GPU");
    struct both planes = make(3 * H * STRIDE), made = make((size_t)W * H * 4 * 4);
    for (size_t f = 0; f < FORMATS; f++)
        for (int half = 0; half < 2; half++) {
            for (size_t i = 0; i < (size_t)W * H * 4; i++) {
                float v = (float)(check_rand(&seed) >> 40) / 16777216.0f;
                if (half)
                    ((uint16_t *)made.host)[i] = (uint16_t)(0x2000 + (unsigned)(v * 0x1c00)); // f16 below 1
                else
                    ((float *)made.host)[i] = v * 1.2f - 0.1f;
            }
            up(&made);
            memset(planes.host, 0x33, planes.bytes);
            up(&planes);
            struct gpu_tail a = {.dst = picture(f, &planes, false, W, H),
                                 .coding = {{1, 1, 1}, {0, 0, 0}, {0, 1, 2}},
                                 .made = gpu_image_nhwc(made.host, half ? GPU_PIXEL_F16 : GPU_PIXEL_F32, W, H, 3, 4)},
                            b = a;
            b.dst = picture(f, &planes, true, W, H), b.made.data = made.device;
            gpu_tail_ref(&a);
            CHECK_INT(gpu_tail(&b, NULL), 0);
            CHECK_MSG(same(&planes), "format %zu, %s: GPU and twin differ", f, half ? "16 bits" : "32 bits");
        }
    drop(&planes), drop(&made);
}

// Numbers of -2..2 in 16 bits.
static void fill_halves(const struct both *b)
{
    for (size_t i = 0; i < b->bytes / 2; i++)
        ((uint16_t *)b->host)[i] = (uint16_t)((check_rand(&seed) & 0x8000) | (check_rand(&seed) % 0x4000));
    up(b);
}

// Only a sigmoid may round otherwise: then bytes are off by one at most.
static bool same_mask(const struct both *out, bool exact)
{
    uint8_t *got = malloc(out->bytes);
    if (reel_cuda_download(got, out->device, out->bytes, NULL) || reel_cuda_stream_sync(NULL)) abort();
    bool ok = true;
    for (size_t i = 0; i < out->bytes; i++) ok &= abs(got[i] - ((uint8_t *)out->host)[i]) <= (exact ? 0 : 1);
    free(got);
    return ok;
}

static void masks(void)
{
    if (!open_gpu()) SKIP("no GPU");
    enum { N = 21, MAP_W = 65, MAP_H = 49, PIXEL = 24 };
    struct both maps = make((size_t)MAP_W * MAP_H * PIXEL * 2), out = make((size_t)W * H);
    struct both scratch = make((size_t)MAP_W * H * sizeof(float));
    struct axis_pair x = make_axis_of(RESIZE_LINEAR, MAP_W, W), y = make_axis_of(RESIZE_LINEAR, MAP_H, H);
    for (int k = 0; k < 6; k++) {
        fill_halves(&maps);
        struct gpu_mask a = {.kind = k < 4 ? (enum gpu_mask_kind)k : GPU_MASK_BYTES,
                             .scores = {.data = maps.host,
                                        .elem = GPU_ELEM_F16,
                                        .n = k == 0 ? N : 1,
                                        .w = MAP_W,
                                        .h = MAP_H,
                                        .step_c = 1,
                                        .step_y = (size_t)MAP_W * PIXEL,
                                        .step_x = PIXEL},
                             .x = axis_of(&x, false),
                             .y = axis_of(&y, false),
                             .sigmoid = k >= 4,
                             .threshold = 0.25f,
                             .scratch = scratch.host,
                             .out = out.host,
                             .stride = W},
                        b = a;
        b.scores.data = maps.device, b.x = axis_of(&x, true), b.y = axis_of(&y, true);
        b.scratch = scratch.device, b.out = out.device;
        gpu_mask_ref(&a);
        CHECK_INT(gpu_mask(&b, NULL), 0);
        CHECK_MSG(same_mask(&out, k < 4), "mask %d: GPU and twin differ", k);
    }
    resize_axis_fini(&x.host), resize_axis_fini(&y.host);
    drop(&maps), drop(&out), drop(&scratch);
    drop(&x.first), drop(&x.weight), drop(&y.first), drop(&y.weight);
}

// The rows go into pinned host memory, as in the worker.
static void cells(void)
{
    if (!open_gpu()) SKIP("no GPU");
    enum { CELLS = 8400, CHANNELS = 84 };
    struct both data = make((size_t)CELLS * CHANNELS * 2), count = make(sizeof(uint32_t));
    uint32_t *want_id = malloc(CELLS * sizeof *want_id), *where = calloc(CELLS, sizeof *where);
    float *want_row = malloc(sizeof(float) * CELLS * CHANNELS);
    void *id, *row;
    CHECK(!reel_cuda_host_alloc(CELLS * sizeof(uint32_t), &id));
    CHECK(!reel_cuda_host_alloc(sizeof(float) * CELLS * CHANNELS, &row));
    for (int planes = 0; planes < 2; planes++) {
        fill_halves(&data);
        memset(count.host, 0, count.bytes);
        up(&count);
        struct gpu_pick a = {.part = {{data.host, GPU_ELEM_F16, CHANNELS, planes ? 1 : CHANNELS, planes ? CELLS : 1}},
                             .n_parts = 1,
                             .cells = CELLS,
                             .score = GPU_PICK_ONE,
                             .a = {0, 4, 4},
                             .least = 1.5f,
                             .count = count.host,
                             .id = want_id,
                             .row = want_row,
                             .row_floats = CHANNELS},
                        b = a;
        b.part[0].data = data.device, b.count = count.device, b.id = id, b.row = row;
        gpu_pick_ref(&a);
        CHECK_INT(gpu_pick(&b, NULL), 0);
        CHECK(same(&count)); // waits
        uint32_t n = *(uint32_t *)count.host, found = 0;
        for (uint32_t i = 0; i < n; i++) where[((uint32_t *)id)[i] % CELLS] = i;
        for (uint32_t i = 0; i < n; i++) {
            uint32_t at = where[want_id[i]];
            found += ((uint32_t *)id)[at] == want_id[i] &&
                     !memcmp((float *)row + (size_t)at * CHANNELS, want_row + (size_t)i * CHANNELS, CHANNELS * 4);
        }
        CHECK(n > 0 && n < CELLS);
        CHECK_INT(found, n);
    }
    reel_cuda_host_free(id), reel_cuda_host_free(row);
    free(want_id), free(where), free(want_row);
    drop(&data), drop(&count);
}

static int below(int n)
{
    return (int)(check_rand(&seed) >> 33) % n;
}

// Pinned host memory, which a GPU reads by the same address, except for the picture.
static void drawing(void)
{
    if (!open_gpu()) SKIP("no GPU");
    enum { ITEMS = 700, GLYPHS = 64 };
    struct lists {
        struct overlay_item item[ITEMS];
        uint64_t glyph[GLYPHS];
        uint8_t mask[W * H];
        struct overlay_blend blend;
    };
    void *pinned;
    CHECK(!reel_cuda_host_alloc(sizeof(struct lists), &pinned));
    struct lists *lists = pinned;
    struct both planes = make(3 * H * STRIDE);
    for (int p010 = 0; p010 < 2; p010++) {
        fill_random(&planes, (size_t)p010);
        for (size_t i = 0; i < sizeof *lists; i++) ((uint8_t *)lists)[i] = (uint8_t)check_rand(&seed);
        for (int i = 0; i < GLYPHS; i++) lists->glyph[i] >>= 64 - OVERLAY_GLYPH_W * OVERLAY_GLYPH_H;
        for (int i = 0; i < 256; i++)
            for (int k = 0; k < 3; k++) lists->blend.ink_of[i].sample[k] &= p010 ? 1023 : 255;
        for (int i = 0; i < ITEMS; i++) {
            int x = below(W), y = below(H), scale = 1 + below(3);
            bool text = i % 3 == 0;
            struct overlay_item t = {.kind = i == ITEMS / 2 ? OVERLAY_BLEND
                                             : text         ? OVERLAY_TEXT
                                                            : OVERLAY_FILL,
                                     .x0 = x,
                                     .y0 = y,
                                     .x1 = text ? x + 47 * scale : x + 1 + below(60),
                                     .y1 = text ? y + 7 * scale : y + 1 + below(6),
                                     .left = x,
                                     .top = y,
                                     .scale = scale,
                                     .glyph = (uint32_t)below(GLYPHS - 8),
                                     .glyphs = 8,
                                     .ink = lists->blend.ink_of[below(256)]};
            if (t.kind == OVERLAY_BLEND) t.x0 = t.y0 = 0, t.x1 = W, t.y1 = H;
            t.x1 = t.x1 < W ? t.x1 : W, t.y1 = t.y1 < H ? t.y1 : H;
            lists->item[i] = t;
        }
        struct overlay_list l = {lists->item, ITEMS, lists->glyph, lists->mask, W, &lists->blend};
        for (int device = 0; device < 2; device++) {
            uint8_t *luma = device ? planes.device : planes.host, *chroma = luma + H * STRIDE;
            const int bytes = 1 + p010, shift = 6 * p010;
            struct overlay_picture p = {W, H, bytes, 3, {{luma, STRIDE, 1, 0, 0, shift}}};
            p.plane[1] = (struct overlay_plane){chroma, STRIDE, 2, 1, 1, shift};
            p.plane[2] = (struct overlay_plane){chroma + bytes, STRIDE, 2, 1, 1, shift};
            if (device)
                CHECK_INT(gpu_overlay(&l, &p, NULL), 0);
            else
                overlay_draw(&l, &p);
        }
        CHECK_MSG(same(&planes), "%s: GPU and twin differ", p010 ? "P010" : "NV12");
    }
    reel_cuda_host_free(lists);
    drop(&planes);
}

static void suppression(void)
{
    if (!open_gpu()) SKIP("no GPU");
    enum { BOXES = 25200, MOST = 4096 };
    struct both boxes = make(BOXES * sizeof(struct nms_box)), kept = make((1 + MOST) * sizeof(int32_t));
    struct both scratch = make(GPU_NMS_SCRATCH);
    for (int k = 0; k < 6; k++) {
        struct nms_box *b = boxes.host;
        int n = k == 5 ? 100 : BOXES;
        for (int i = 0; i < n; i++) {
            float x = (float)below(k % 2 ? 300 : 1800), y = (float)below(1000), w = 20 + (float)below(900) / 7;
            b[i] = (struct nms_box){x, y, x + w, y + w * 1.4f, (float)below(4000) / 4000, below(k < 3 ? 1 : 80), i};
        }
        n = nms_sort(b, n);
        memset(kept.host, 0, kept.bytes);
        up(&boxes), up(&kept);
        struct gpu_nms a = {.box = boxes.host, .n = n, .iou = 0.45f, .most = k < 2 ? 300 : MOST, .kept = kept.host};
        struct gpu_nms g = a;
        g.box = boxes.device, g.scratch = scratch.device, g.kept = kept.device;
        CHECK(gpu_nms_ref(&a));
        CHECK_INT(gpu_nms(&g, NULL), 0);
        CHECK_MSG(same(&kept), "%d boxes of case %d: GPU and twin differ", n, k);
    }
    drop(&boxes), drop(&kept), drop(&scratch);
}

// The small pictures by which a cut is seen.
static void shrinking(void)
{
    if (!open_gpu()) SKIP("no GPU");
    static const int depths[][2] = {{8, 0}, {10, 6}, {12, 0}};
    struct both luma = make((size_t)STRIDE * H), small = make(CUT_SMALL_BYTES);
    for (size_t k = 0; k < sizeof depths / sizeof *depths; k++) {
        for (size_t i = 0; i < luma.bytes; i++) ((uint8_t *)luma.host)[i] = (uint8_t)below(256);
        memset(small.host, 0, small.bytes);
        up(&luma), up(&small);
        struct yuv_picture p = {.layout = YUV_NV,
                                .depth = depths[k][0],
                                .shift = depths[k][1],
                                .width = W,
                                .height = H,
                                .plane = {luma.host},
                                .stride = {STRIDE}};
        cut_shrink(&p, small.host);
        p.plane[0] = luma.device;
        CHECK_INT(gpu_shrink(&p, small.device, NULL), 0);
        CHECK_MSG(same(&small), "%d bits: GPU and twin differ", p.depth);
    }
    drop(&luma), drop(&small);
}

CHECK_MAIN({"gpu: feeds as their twins", feeds}, {"gpu: resizes as their twins", resizes},
           {"gpu: tails as their twins", tails}, {"gpu: masks as their twins", masks},
           {"gpu: picked cells as their twins", cells}, {"gpu: drawing as its twin", drawing},
           {"gpu: suppression as its twin", suppression}, {"gpu: small pictures as their twin", shrinking})

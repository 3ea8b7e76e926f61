// SPDX-License-Identifier: MIT
//
// kernels/yuv against its twin in double precision, over every layout, depth,
// subsampling, siting, matrix and range; and there and back again.
// "test_yuv bench" times 1080p.
#include "kernels/yuv.h"

#include <time.h>

#include "tests/check.h"

struct buffers {
    struct yuv_picture p;
    uint8_t *memory;
    size_t bytes;
};

static int planes_of(const struct yuv_picture *p)
{
    return p->layout == YUV_GRAY ? 1 : p->layout == YUV_NV ? 2 : 3;
}

static void allocate(struct buffers *b)
{
    size_t sample = b->p.depth > 8 ? 2 : 1, stride = ((size_t)b->p.width * sample * 2 + 63) / 64 * 64;
    b->bytes = stride * (size_t)b->p.height * 3;
    b->memory = calloc(1, b->bytes);
    for (int i = 0; i < planes_of(&b->p); i++) {
        b->p.plane[i] = b->memory + (size_t)i * stride * (size_t)b->p.height;
        b->p.stride[i] = stride;
    }
}

static void fill_random(struct buffers *b, uint64_t *seed)
{
    for (size_t i = 0; i < b->bytes; i++) b->memory[i] = (uint8_t)(check_rand(seed) >> 32);
    if (b->p.depth == 8) return;
    for (size_t i = 0; i + 1 < b->bytes; i += 2) {
        uint16_t *s = (uint16_t *)(b->memory + i);
        *s = (uint16_t)((*s & ((1u << b->p.depth) - 1)) << b->p.shift);
    }
}

static struct yuv_picture random_format(uint64_t *seed)
{
    static const int matrices[] = {1, 5, 6, 9, 7, 2};
    static const int depths[] = {8, 10, 12, 16};
    struct yuv_picture p = {.layout = (enum yuv_layout)(check_rand(seed) >> 33) % 4};
    p.depth = depths[(check_rand(seed) >> 33) % 4];
    if (p.layout == YUV_NV && p.depth > 8) p.shift = 16 - p.depth;
    if (p.layout == YUV_PLANAR || p.layout == YUV_NV) {
        p.log2_cw = (int)((check_rand(seed) >> 33) % 3);
        p.log2_ch = (int)((check_rand(seed) >> 33) % 3);
    }
    if (p.layout == YUV_NV) p.log2_cw = p.log2_ch = 1;
    p.width = 1 + (int)((check_rand(seed) >> 33) % 70);
    p.height = 1 + (int)((check_rand(seed) >> 33) % 40);
    p.matrix = matrices[(check_rand(seed) >> 33) % 6];
    p.full = (check_rand(seed) >> 33) % 2;
    p.site_x = (enum yuv_site)((check_rand(seed) >> 33) % 3);
    p.site_y = (enum yuv_site)((check_rand(seed) >> 33) % 3);
    return p;
}

static struct rgb_view make_view(int w, int h, bool interleaved, bool bgr, float *data)
{
    struct rgb_view v = {.width = w, .height = h, .px = interleaved ? 3 : 1};
    v.row = (size_t)w * v.px;
    for (int i = 0; i < 3; i++) {
        size_t c = (size_t)(bgr ? 2 - i : i);
        v.c[i] = data + (interleaved ? c : c * (size_t)w * (size_t)h);
        v.gain[i] = 1, v.bias[i] = 0;
    }
    return v;
}

#define FORMAT_TEXT "layout %d depth %d chroma %d,%d size %dx%d matrix %d full %d site %d,%d"
#define FORMAT_ARGS(p) \
    (p).layout, (p).depth, (p).log2_cw, (p).log2_ch, (p).width, (p).height, (p).matrix, (p).full, (p).site_x, (p).site_y

static void reads_as_reference(void)
{
    uint64_t seed = 7;
    for (int round = 0; round < 400; round++) {
        struct buffers b = {.p = random_format(&seed)};
        allocate(&b);
        fill_random(&b, &seed);
        int w = b.p.width + (int)(round % 5), h = b.p.height + (int)(round % 3);
        bool interleaved = round & 1, bgr = round & 2;
        const size_t frames = round & 4 ? 3 : 1; // of others between, where interleaved
        size_t n = frames * 3 * (size_t)w * (size_t)h;
        float *got = calloc(n, sizeof *got), *want = calloc(n, sizeof *want);
        float *scratch = calloc(yuv_scratch_floats(b.p.width), sizeof *scratch);
        struct rgb_view vg = make_view(w, h, interleaved, bgr, got), vw = make_view(w, h, interleaved, bgr, want);
        if (interleaved) vg.px *= frames, vg.row *= frames, vw.px *= frames, vw.row *= frames;
        for (int i = 0; i < 3; i++)
            vg.gain[i] = vw.gain[i] = (float)(i + 1), vg.bias[i] = vw.bias[i] = -0.25f * (float)i;
        yuv_to_rgb(&b.p, &vg, scratch);
        yuv_to_rgb_ref(&b.p, &vw);
        double worst = 0;
        for (size_t i = 0; i < n; i++) worst = fmax(worst, fabs((double)got[i] - (double)want[i]));
        free(got), free(want), free(scratch), free(b.memory);
        CHECK_MSG(worst < 4e-6, "round %d: " FORMAT_TEXT ": off by %g", round, FORMAT_ARGS(b.p), worst);
    }
}

static void writes_as_reference(void)
{
    uint64_t seed = 11;
    for (int round = 0; round < 400; round++) {
        struct buffers a = {.p = random_format(&seed)}, b = {.p = a.p};
        allocate(&a);
        allocate(&b);
        int w = a.p.width + (int)(round % 4), h = a.p.height + (int)(round % 3);
        size_t n = 3 * (size_t)w * (size_t)h;
        float *data = calloc(n, sizeof *data), *scratch = calloc(yuv_scratch_floats(a.p.width), sizeof *scratch);
        for (size_t i = 0; i < n; i++) data[i] = (float)((double)(check_rand(&seed) >> 40) / (1 << 24) * 2.4 - 1.2);
        struct rgb_view v = make_view(w, h, round & 1, round & 2, data);
        for (int i = 0; i < 3; i++) v.gain[i] = 0.5f, v.bias[i] = 0.5f;
        yuv_from_rgb(&a.p, &v, scratch);
        yuv_from_rgb_ref(&b.p, &v);
        // A value within a rounding error of a half may fall either way.
        int worst = 0;
        size_t step = a.p.depth > 8 ? 2 : 1;
        for (size_t i = 0; i < a.bytes; i += step) {
            int x = step == 2 ? *(uint16_t *)(a.memory + i) >> a.p.shift : a.memory[i];
            int y = step == 2 ? *(uint16_t *)(b.memory + i) >> a.p.shift : b.memory[i];
            worst = abs(x - y) > worst ? abs(x - y) : worst;
        }
        free(data), free(scratch), free(a.memory), free(b.memory);
        CHECK_MSG(worst <= 1, "round %d: " FORMAT_TEXT ": off by %d", round, FORMAT_ARGS(a.p), worst);
    }
}

// Through RGB and back: colours that RGB holds come back within one step where
// chroma is as fine as luma, and luma does at every subsampling of flat chroma.
static void round_trip(void)
{
    uint64_t seed = 3;
    for (int round = 0; round < 120; round++) {
        struct buffers a = {.p = random_format(&seed)};
        if (a.p.layout == YUV_PLANAR) a.p.log2_cw = a.p.log2_ch = 0;
        if (a.p.layout == YUV_NV) continue;
        // What is written from colours lies inside of RGB.
        struct buffers b = {.p = a.p};
        allocate(&a);
        allocate(&b);
        size_t n = 3 * (size_t)a.p.width * (size_t)a.p.height;
        float *data = calloc(n, sizeof *data), *scratch = calloc(yuv_scratch_floats(a.p.width), sizeof *scratch);
        for (size_t i = 0; i < n; i++) data[i] = (float)(check_rand(&seed) >> 40) / (1 << 24);
        struct rgb_view v = make_view(a.p.width, a.p.height, false, false, data);
        yuv_from_rgb(&a.p, &v, scratch);
        yuv_to_rgb(&a.p, &v, scratch);
        yuv_from_rgb(&b.p, &v, scratch);
        int worst = 0;
        size_t step = a.p.depth > 8 ? 2 : 1;
        for (size_t i = 0; i < a.bytes; i += step) {
            int x = step == 2 ? *(uint16_t *)(a.memory + i) : a.memory[i];
            int y = step == 2 ? *(uint16_t *)(b.memory + i) : b.memory[i];
            worst = abs(x - y) > worst ? abs(x - y) : worst;
        }
        free(data), free(scratch), free(a.memory), free(b.memory);
        CHECK_MSG(worst <= 1, "round %d: " FORMAT_TEXT ": off by %d", round, FORMAT_ARGS(a.p), worst);
    }
}

static void flat_colours(void)
{
    // BT.709, limited range, 8 bits: red is (63, 102, 240) in the standards' tables.
    struct buffers b = {.p = {.layout = YUV_PLANAR,
                              .depth = 8,
                              .log2_cw = 1,
                              .log2_ch = 1,
                              .width = 9,
                              .height = 5,
                              .matrix = 1,
                              .site_y = YUV_SITE_CENTER}};
    allocate(&b);
    float data[3 * 45], scratch[4096];
    CHECK(yuv_scratch_floats(9) <= 4096);
    for (int i = 0; i < 45; i++) data[i] = 1, data[45 + i] = data[90 + i] = 0;
    struct rgb_view v = make_view(9, 5, false, false, data);
    yuv_from_rgb(&b.p, &v, scratch);
    int y = b.p.plane[0][4], cb = b.p.plane[1][4], cr = b.p.plane[2][4];
    yuv_to_rgb(&b.p, &v, scratch);
    free(b.memory);
    CHECK_INT(y, 63);
    CHECK_INT(cb, 102);
    CHECK_INT(cr, 240);
    CHECK_NEAR(data[22], 1, 0.01);
    CHECK_NEAR(data[45 + 22], 0, 0.01);
}

// Cameras put highlights above 235: every sample comes back from luma as it was.
static void luma_beyond_white(void)
{
    for (int depth = 8; depth <= 10; depth += 2) {
        int n = 1 << depth;
        struct buffers from = {.p = {.layout = YUV_PLANAR, .depth = depth, .width = n, .height = 1, .matrix = 1}},
                       to = from;
        allocate(&from), allocate(&to);
        for (int x = 0; x < n; x++) {
            if (depth == 8)
                from.p.plane[0][x] = (uint8_t)x;
            else
                ((uint16_t *)from.p.plane[0])[x] = (uint16_t)x;
        }
        float *data = calloc((size_t)n, sizeof *data), *scratch = calloc(yuv_scratch_floats(n), sizeof *scratch);
        struct luma_view v = {.c = data, .row = (size_t)n, .width = n, .height = 1, .gain = 1};
        yuv_to_luma(&from.p, &v, scratch);
        CHECK_NEAR(data[n - 1], (255.75 - (depth == 8 ? 0.75 : 0) - 16) / 219, 1e-5);
        yuv_from_luma(&to.p, &v, scratch);
        CHECK(!memcmp(to.p.plane[0], from.p.plane[0], from.p.stride[0]));
        data[0] = -9, data[1] = 9;
        yuv_from_luma(&to.p, &v, scratch);
        int top = depth == 8 ? to.p.plane[0][1] : ((uint16_t *)to.p.plane[0])[1];
        CHECK_INT(to.p.plane[0][0], 0);
        CHECK_INT(top, n - 1);
        free(data), free(scratch), free(from.memory), free(to.memory);
    }
}

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void bench(void)
{
    uint64_t seed = 5;
    for (int depth = 8; depth <= 10; depth += 2) {
        struct buffers b = {.p = {.layout = YUV_PLANAR,
                                  .depth = depth,
                                  .log2_cw = 1,
                                  .log2_ch = 1,
                                  .width = 1920,
                                  .height = 1080,
                                  .matrix = 1,
                                  .site_y = YUV_SITE_CENTER}};
        allocate(&b);
        fill_random(&b, &seed);
        size_t n = 3 * 1920 * 1080;
        float *data = calloc(n, sizeof *data), *scratch = calloc(yuv_scratch_floats(1920), sizeof *scratch);
        for (int interleaved = 0; interleaved < 2; interleaved++) {
            struct rgb_view v = make_view(1920, 1080, interleaved, false, data);
            double best_to = 1e9, best_from = 1e9;
            for (int i = 0; i < 10; i++) {
                double t0 = now_ms();
                yuv_to_rgb(&b.p, &v, scratch);
                double t1 = now_ms();
                yuv_from_rgb(&b.p, &v, scratch);
                double t2 = now_ms();
                best_to = fmin(best_to, t1 - t0), best_from = fmin(best_from, t2 - t1);
            }
            printf("# 1080p 4:2:0 %d bits, %s: to RGB %.2f ms, from RGB %.2f ms\n", depth,
                   interleaved ? "NHWC" : "NCHW", best_to, best_from);
        }
        double t0 = now_ms();
        memset(data, 1, n * sizeof *data);
        printf("# writing that many floats: %.2f ms\n", now_ms() - t0);
        free(data), free(scratch), free(b.memory);
    }
}

// H.273 table 4; the reference above takes the same function's.
static void matrix_weights(void)
{
    static const struct {
        int matrix;
        double kr, kb;
    } known[] = {{1, 0.2126, 0.0722}, {4, 0.30, 0.11},     {5, 0.299, 0.114},   {6, 0.299, 0.114},
                 {7, 0.212, 0.087},   {9, 0.2627, 0.0593}, {10, 0.2627, 0.0593}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        double kr, kb;
        yuv_matrix_weights(known[i].matrix, &kr, &kb);
        CHECK_MSG(kr == known[i].kr && kb == known[i].kb, "matrix %d: %g and %g", known[i].matrix, kr, kb);
    }
}

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "bench")) {
        bench();
        return 0;
    }
    static const struct check_case cases[] = {{"yuv reads as reference", reads_as_reference},
                                              {"yuv writes as reference", writes_as_reference},
                                              {"yuv round trip", round_trip},
                                              {"yuv flat colours", flat_colours},
                                              {"yuv luma beyond white", luma_beyond_white},
                                              {"yuv matrix weights", matrix_weights}};
    return check_main(cases, 6, argc, argv);
}

// SPDX-License-Identifier: MIT
//
// The 8-bit convolution and matrix kernels against their plain C twin, on
// numbers over the whole range of the types, extremes included: every sum must
// be exact, every instruction set this CPU has. With the argument "bench" the
// speed of a few shapes is printed instead.
#include "kernels/conv8.h"

#include <math.h>
#include <time.h>

#include "tests/check.h"

static uint64_t seed = 88172645463325252u;

static int rand_int(int lo, int hi)
{
    return lo + (int)(check_rand(&seed) % (uint64_t)(hi - lo + 1));
}

static void *room(size_t bytes)
{
    void *p = aligned_alloc(64, (bytes + 191) / 64 * 64);
    if (!p) abort();
    memset(p, 0xa5, (bytes + 191) / 64 * 64);
    return p;
}

static int blocks(int c, int v)
{
    return (c + v - 1) / v;
}

// Mostly extremes when `hard`, so that anything that saturates shows.
static int draw(int lo, int hi, bool hard)
{
    return hard && rand_int(0, 3) ? (rand_int(0, 1) ? lo : hi) : rand_int(lo, hi);
}

static uint8_t *to_blocked(const uint8_t *src, int n, int c, int plane, int v)
{
    uint8_t *out = room((size_t)n * blocks(c, v) * plane * v);
    for (int i = 0; i < n; i++)
        for (int k = 0; k < c; k++)
            for (int p = 0; p < plane; p++)
                out[(((size_t)i * blocks(c, v) + k / v) * plane + p) * v + k % v] =
                    src[((size_t)i * c + k) * plane + p];
    return out;
}

struct trial {
    struct conv_geometry g;
    enum conv8_kind kind;
    int zero, out_zero, w_lo, w_hi;
    bool hard, relu;
};

static uint8_t *inputs;
static int16_t *weights;
static int32_t *want, *start;
static float *factor, *shift;

static void make_numbers(const struct trial *t)
{
    const struct conv_geometry *g = &t->g;
    const size_t in = (size_t)g->n * g->ic * g->ih * g->iw;
    const size_t w = (size_t)g->oc * (g->ic / g->groups) * g->kh * g->kw;
    const size_t out = (size_t)g->n * g->oc * g->oh * g->ow;
    inputs = room(in);
    weights = room(w * sizeof *weights);
    want = room(out * sizeof *want);
    for (size_t i = 0; i < in; i++) inputs[i] = (uint8_t)draw(0, 255, t->hard);
    for (size_t i = 0; i < w; i++) weights[i] = (int16_t)draw(t->w_lo, t->w_hi, t->hard);
    conv8_ref(g, inputs, t->zero, weights, want);
    start = room(sizeof *start * (size_t)(g->oc + 64));
    factor = room(sizeof *factor * (size_t)(g->oc + 64));
    shift = room(sizeof *shift * (size_t)(g->oc + 64));
    memset(start, 0, sizeof *start * (size_t)(g->oc + 64));
    memset(factor, 0, sizeof *factor * (size_t)(g->oc + 64));
    memset(shift, 0, sizeof *shift * (size_t)(g->oc + 64));
    for (int o = 0; o < g->oc; o++) {
        const int terms = g->ic / g->groups * g->kh * g->kw;
        factor[o] = t->kind == CONV8_FLOATS ? 1 : (float)rand_int(1, 100) / (50.0f * 4000.0f * sqrtf((float)terms));
        start[o] = rand_int(-1000, 1000);
        shift[o] = t->kind == CONV8_FLOATS ? 0 : (float)rand_int(-8, 8) / 4;
    }
}

// What the element should be; *out_tie where rounding may go either way.
static double result_of(const struct trial *t, size_t i, int o, bool *out_tie)
{
    const int32_t sum = (int32_t)((uint32_t)want[i] + (uint32_t)start[o]);
    if (t->kind == CONV8_FLOATS) {
        *out_tie = false;
        return t->relu && sum < 0 ? 0 : (float)sum;
    }
    double v = (double)(float)sum * factor[o] + shift[o];
    if (t->relu && v < 0) v = 0;
    const double lo = -t->out_zero, hi = 255 - t->out_zero;
    v = v < lo ? lo : v > hi ? hi : v;
    *out_tie = fabs(fabs(v - floor(v)) - 0.5) < 1e-4;
    return rint(v) + t->out_zero;
}

static bool near(double got, double want_, bool tie)
{
    return got == want_ || (tie && fabs(got - want_) == 1);
}

static void describe(const struct trial *t, const char *isa, char *text, size_t bytes)
{
    const struct conv_geometry *g = &t->g;
    snprintf(text, bytes,
             "%s n%d ic%d %dx%d oc%d %dx%d k%dx%d s%d,%d d%d,%d pad%d,%d groups%d kind%d zero%d w%d..%d hard%d", isa,
             g->n, g->ic, g->ih, g->iw, g->oc, g->oh, g->ow, g->kh, g->kw, g->sh, g->sw, g->dh, g->dw, g->pad_top,
             g->pad_left, g->groups, t->kind, t->zero, t->w_lo, t->w_hi, t->hard);
}

static struct conv8_result result_for(const struct trial *t, const struct conv8_plan *plan)
{
    for (int o = 0; o < t->g.oc; o++)
        start[o] = (int32_t)((uint32_t)start[o] - (uint32_t)t->zero * (uint32_t)plan->sums[o]);
    struct conv8_result r = {.kind = t->kind, .start = start, .factor = factor, .shift = shift, .scale = 1};
    r.lo = (float)-t->out_zero, r.hi = (float)(255 - t->out_zero), r.zero = t->out_zero, r.pad = t->zero;
    if (t->relu) r.e = (struct conv_epilogue){.n = 1, .step = {{.kind = CONV_RELU}}};
    return r;
}

static void undo_start(const struct trial *t, const struct conv8_plan *plan)
{
    for (int o = 0; o < t->g.oc; o++)
        start[o] = (int32_t)((uint32_t)start[o] + (uint32_t)t->zero * (uint32_t)plan->sums[o]);
}

// Those that apply epilogues, of as many lanes.
static const struct conv_kernels *float_kernels(const struct conv8_kernels *k)
{
    return conv_kernels_get(k->lanes == 16 ? CPU_ISA_AVX512 : CPU_ISA_BASE);
}

static void check_conv(const struct conv8_kernels *k, const struct trial *t)
{
    const struct conv_geometry *g = &t->g;
    const int v = k->lanes, out_plane = g->oh * g->ow;
    const enum conv8_method method = k->choose(g);
    if (method == CONV8_NONE) return;
    struct conv8_plan plan;
    CHECK(k->prepare(&plan, g, method, weights));
    const struct conv8_result r = result_for(t, &plan);
    uint8_t *src = to_blocked(inputs, g->n, g->ic, g->ih * g->iw, v);
    const size_t item = t->kind == CONV8_BYTES ? 1 : 4;
    uint8_t *dst = room((size_t)g->n * blocks(g->oc, v) * out_plane * v * item);
    void *scratch = room(plan.scratch_bytes);
    // units in two halves, the second first: none may need another
    const struct conv_kernels *f = float_kernels(k);
    k->run(&plan, &r, f, src, dst, plan.units / 2, plan.units, scratch);
    k->run(&plan, &r, f, src, dst, 0, plan.units / 2, scratch);
    undo_start(t, &plan);
    int bad = 0;
    char text[256];
    describe(t, k->name, text, sizeof text);
    for (int n = 0; n < g->n; n++)
        for (int o = 0; o < g->oc; o++)
            for (int p = 0; p < out_plane; p++) {
                const size_t at = (((size_t)n * blocks(g->oc, v) + o / v) * out_plane + p) * v + o % v;
                bool tie;
                const double w = result_of(t, ((size_t)n * g->oc + o) * out_plane + p, o, &tie);
                const double got = t->kind == CONV8_BYTES ? dst[at] : ((float *)dst)[at];
                if (!near(got, w, tie) && bad++ == 0)
                    CHECK_MSG(false, "%s: channel %d pixel %d: %g, not %g", text, o, p, got, w);
            }
    CHECK(bad == 0);
    free(src), free(dst), free(scratch);
    conv8_plan_fini(&plan);
}

static void check_matmul(const struct conv8_kernels *k, const struct trial *t)
{
    const struct conv_geometry *g = &t->g; // n 1, kernel 1x1: rows are ow
    struct conv_geometry rows = *g;
    rows.oh = g->ow, rows.ow = 1;
    struct conv8_plan plan;
    CHECK(k->prepare(&plan, &rows, CONV8_MATMUL, weights));
    const struct conv8_result r = result_for(t, &plan);
    const size_t item = t->kind == CONV8_BYTES ? 1 : 4, m = (size_t)g->ow;
    uint8_t *a = room(m * (size_t)g->ic), *dst = room(m * (size_t)g->oc * item + 64);
    const int flip = rand_int(0, 1) * 128;
    for (size_t i = 0; i < m; i++)
        for (int c = 0; c < g->ic; c++) a[i * (size_t)g->ic + (size_t)c] = (uint8_t)(inputs[(size_t)c * m + i] ^ flip);
    void *scratch = room(plan.scratch_bytes);
    memset(dst, 0x5a, m * (size_t)g->oc * item + 64);
    k->matmul(&plan, &r, float_kernels(k), a, flip, dst, 0, plan.units, scratch);
    undo_start(t, &plan);
    char text[256];
    int bad = 0;
    describe(t, k->name, text, sizeof text);
    for (size_t i = 0; i < m; i++)
        for (int o = 0; o < g->oc; o++) {
            bool tie;
            const double w = result_of(t, (size_t)o * m + i, o, &tie);
            const size_t at = i * (size_t)g->oc + (size_t)o;
            const double got = t->kind == CONV8_BYTES ? dst[at] : ((float *)dst)[at];
            if (!near(got, w, tie) && bad++ == 0)
                CHECK_MSG(false, "matmul %s: row %zu column %d: %g, not %g", text, i, o, got, w);
        }
    CHECK(bad == 0 && dst[m * (size_t)g->oc * item] == 0x5a);
    free(a), free(dst), free(scratch);
    conv8_plan_fini(&plan);
}

static const struct conv8_kernels *tables[4];

static int find_tables(void)
{
    int n = 0;
    for (int isa = CONV8_ISA_BASE; isa <= CONV8_ISA_VNNI; isa++)
        for (int lanes = 8; lanes <= 16; lanes += 8) {
            const struct conv8_kernels *k = conv8_kernels_get((enum conv8_isa)isa, lanes);
            bool seen = !k;
            for (int i = 0; i < n; i++) seen |= tables[i] == k;
            if (!seen) tables[n++] = k;
        }
    return n;
}

static void over_all(const struct trial *t, bool matmul)
{
    make_numbers(t);
    for (int i = 0, n = find_tables(); i < n; i++) (matmul ? check_matmul : check_conv)(tables[i], t);
    free(inputs), free(weights), free(want), free(start), free(factor), free(shift);
}

static void draw_kind(struct trial *t)
{
    static const int range[][2] = {{-128, 127}, {-127, 127}, {-255, 255}, {0, 255}, {-255, 0}};
    const int w = rand_int(0, 4);
    t->w_lo = range[w][0], t->w_hi = range[w][1];
    t->kind = rand_int(0, 1) ? CONV8_BYTES : CONV8_FLOATS;
    t->zero = rand_int(0, 3) ? rand_int(0, 255) : rand_int(0, 1) * 255;
    t->out_zero = rand_int(0, 2) ? rand_int(0, 255) : 0;
    t->hard = rand_int(0, 1);
}

static int out_size(int in, int k, int s, int d, int a, int b)
{
    return (in + a + b - (k - 1) * d - 1) / s + 1;
}

static void convolutions_of_all_kinds_are_exact(void)
{
    for (int i = 0; i < 160; i++) {
        struct trial t = {.relu = i % 5 == 0};
        struct conv_geometry *g = &t.g;
        draw_kind(&t);
        *g = (struct conv_geometry){.n = rand_int(1, 2), .ih = rand_int(1, 19), .iw = rand_int(1, 19)};
        g->sh = rand_int(1, 3), g->sw = rand_int(1, 3), g->dh = rand_int(1, 2), g->dw = rand_int(1, 2);
        g->kh = rand_int(1, 5), g->kw = rand_int(1, 5);
        if (i % 4 == 0) g->kh = g->kw = g->sh = g->sw = 1;
        g->pad_top = rand_int(0, 3), g->pad_left = rand_int(0, 3);
        const int bottom = rand_int(0, 3), right = rand_int(0, 3);
        if (i % 8 == 0) g->pad_top = g->pad_left = 0;
        switch (i % 3) {
        case 0: // depthwise
            g->groups = g->ic = g->oc = rand_int(2, 40);
            break;
        case 1:
            g->groups = 1, g->ic = rand_int(1, 40), g->oc = rand_int(1, 90);
            break;
        default: // groups of whole vectors, or none
            g->groups = rand_int(1, 2), g->ic = 16 * g->groups * rand_int(1, 2),
            g->oc = 16 * g->groups * rand_int(1, 3);
        }
        g->oh = out_size(g->ih, g->kh, g->sh, g->dh, g->pad_top, i % 8 ? bottom : 0);
        g->ow = out_size(g->iw, g->kw, g->sw, g->dw, g->pad_left, i % 8 ? right : 0);
        if (g->oh < 1 || g->ow < 1 || (g->kh - 1) * g->dh >= g->ih + g->pad_top + bottom ||
            (g->kw - 1) * g->dw >= g->iw + g->pad_left + right)
            continue;
        over_all(&t, false);
    }
}

// Weights that do not fit into the cache are cut into sets of output channels.
static void many_channels_are_exact(void)
{
    for (int i = 0; i < 3; i++) {
        struct trial t = {0};
        draw_kind(&t);
        t.g = (struct conv_geometry){.n = 1,
                                     .ic = 240,
                                     .oc = 272,
                                     .ih = 5,
                                     .iw = 4,
                                     .oh = 5,
                                     .ow = 4,
                                     .kh = 3,
                                     .kw = 3,
                                     .sh = 1,
                                     .sw = 1,
                                     .dh = 1,
                                     .dw = 1,
                                     .pad_top = 1,
                                     .pad_left = 1,
                                     .groups = 1};
        over_all(&t, false);
    }
}

static void matrix_products_are_exact(void)
{
    for (int i = 0; i < 60; i++) {
        struct trial t = {0};
        draw_kind(&t);
        t.relu = t.kind == CONV8_FLOATS && i % 3 == 0;
        const int m = rand_int(1, i % 4 ? 20 : 130), k = rand_int(1, 90), n = rand_int(1, i % 5 ? 70 : 300);
        t.g = (struct conv_geometry){.n = 1,
                                     .ic = k,
                                     .oc = n,
                                     .ih = 1,
                                     .iw = m,
                                     .oh = 1,
                                     .ow = m,
                                     .kh = 1,
                                     .kw = 1,
                                     .sh = 1,
                                     .sw = 1,
                                     .dh = 1,
                                     .dw = 1,
                                     .groups = 1};
        over_all(&t, true);
    }
}

// Sums wrap around at 32 bits, as ONNX's do, and do not saturate.
static void sums_wrap_around(void)
{
    struct trial t = {.kind = CONV8_FLOATS, .w_lo = 255, .w_hi = 255, .zero = 0};
    t.g = (struct conv_geometry){.n = 1,
                                 .ic = 34000,
                                 .oc = 3,
                                 .ih = 1,
                                 .iw = 2,
                                 .oh = 1,
                                 .ow = 2,
                                 .kh = 1,
                                 .kw = 1,
                                 .sh = 1,
                                 .sw = 1,
                                 .dh = 1,
                                 .dw = 1,
                                 .groups = 1};
    make_numbers(&t);
    memset(inputs, 255, (size_t)t.g.ic * 2);
    conv8_ref(&t.g, inputs, 0, weights, want);
    CHECK(want[0] < 0);
    for (int i = 0, n = find_tables(); i < n; i++) check_matmul(tables[i], &t), check_conv(tables[i], &t);
    free(inputs), free(weights), free(want), free(start), free(factor), free(shift);
}

// Lines of every kernel against doubles, but where they lie at a tie.
static void lines_are_rounded_to_bytes(void)
{
    for (int i = 0, n = find_tables(); i < n; i++)
        for (int kind = 0; kind < 16; kind++) {
            const int v = tables[i]->lanes, have = kind & 8 ? v - 3 : v, pixels = 37;
            const size_t step = (size_t)(kind & 4 ? v + 5 : v);
            float numbers[4][16];
            for (int k = 0; k < 4; k++)
                for (int c = 0; c < 16; c++)
                    numbers[k][c] = k & 1 ? (float)rand_int(-90000, 90000) / 1000 : (float)rand_int(-3000, 3000) / 1000;
            const struct q8_lines l = {numbers[0],
                                       numbers[1],
                                       numbers[2],
                                       numbers[3],
                                       .bent = kind & 1,
                                       .turn = 131,
                                       .lo = 17,
                                       .hi = 201,
                                       .flip_in = kind & 2 ? 128 : 0,
                                       .flip_out = kind & 1 ? 128 : 0};
            uint8_t src[64 * 24], dst[64 * 24];
            for (size_t b = 0; b < sizeof src; b++) src[b] = (uint8_t)rand_int(0, 255), dst[b] = 77;
            tables[i]->lines(dst, src, (size_t)pixels, step, have, &l);
            int wrong = 0;
            for (int p = 0; p < pixels; p++)
                for (int c = 0; c < (int)step; c++) {
                    const size_t at = (size_t)p * step + (size_t)c;
                    if (c >= have) {
                        wrong += dst[at] != 77;
                        continue;
                    }
                    const int x = src[at] ^ l.flip_in, below = l.bent && x < l.turn ? 2 : 0;
                    const double y =
                        fmin(fmax((double)x * (double)numbers[below][c] + (double)numbers[below + 1][c], 17), 201);
                    wrong += fabs(y - (dst[at] ^ l.flip_out)) > 0.5001;
                }
            CHECK_MSG(!wrong, "%s, kind %d: %d wrong", tables[i]->name, kind, wrong);
        }
}

// ---- speed -----------------------------------------------------------------------

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static void bench(void)
{
    static const struct {
        int ic, oc, size, k, s, groups;
    } shapes[] = {{64, 64, 56, 3, 1, 1},   {64, 256, 56, 1, 1, 1}, {256, 256, 14, 3, 1, 1}, {512, 512, 7, 3, 1, 1},
                  {96, 96, 56, 3, 1, 96},  {96, 24, 56, 1, 1, 1},  {3, 64, 112, 7, 2, 1},   {48, 48, 180, 3, 1, 1},
                  {512, 256, 33, 1, 1, 1}, {480, 80, 33, 1, 1, 1}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const int size = shapes[i].size, k = shapes[i].k;
        struct trial t = {.kind = CONV8_BYTES, .w_lo = -127, .w_hi = 127, .zero = 128, .out_zero = 128};
        t.g = (struct conv_geometry){.n = 1,
                                     .ic = shapes[i].ic,
                                     .oc = shapes[i].oc,
                                     .ih = size * shapes[i].s,
                                     .iw = size * shapes[i].s,
                                     .oh = size,
                                     .ow = size,
                                     .kh = k,
                                     .kw = k,
                                     .sh = shapes[i].s,
                                     .sw = shapes[i].s,
                                     .dh = 1,
                                     .dw = 1,
                                     .pad_top = k / 2,
                                     .pad_left = k / 2,
                                     .groups = shapes[i].groups};
        const size_t in = (size_t)(t.g.ic + 16) * t.g.ih * t.g.iw, out = (size_t)(t.g.oc + 16) * size * size;
        weights = room((size_t)t.g.oc * t.g.ic * k * k * 2);
        for (size_t w = 0; w < (size_t)t.g.oc * (t.g.ic / t.g.groups) * k * k; w++)
            weights[w] = (int16_t)rand_int(-127, 127);
        start = room(sizeof *start * (size_t)(t.g.oc + 64));
        factor = room(sizeof *factor * (size_t)(t.g.oc + 64));
        memset(start, 0, sizeof *start * (size_t)(t.g.oc + 64));
        memset(factor, 0, sizeof *factor * (size_t)(t.g.oc + 64));
        shift = factor;
        uint8_t *src = room(in), *dst = room(out);
        for (int n = 0, count = find_tables(); n < count; n++) {
            struct conv8_plan plan;
            if (!tables[n]->prepare(&plan, &t.g, tables[n]->choose(&t.g), weights)) continue;
            const struct conv8_result r = result_for(&t, &plan);
            void *scratch = room(plan.scratch_bytes);
            double best = 1e9;
            for (int turn = 0; turn < 20; turn++) {
                const double t0 = now_ms();
                tables[n]->run(&plan, &r, NULL, src, dst, 0, plan.units, scratch);
                best = fmin(best, now_ms() - t0);
            }
            const double mac = 1e-6 * t.g.oc * (t.g.ic / t.g.groups) * k * k * size * size;
            printf("%3d -> %3d %dx%d s%d groups %3d at %3d: %-7s %8.3f ms %7.1f GMAC/s\n", t.g.ic, t.g.oc, k, k, t.g.sh,
                   t.g.groups, size, tables[n]->name, best, mac / best);
            free(scratch);
            conv8_plan_fini(&plan);
        }
        free(src), free(dst), free(weights), free(start), free(factor);
    }
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"convolutions_of_all_kinds_are_exact", convolutions_of_all_kinds_are_exact},
        {"many_channels_are_exact", many_channels_are_exact},
        {"matrix_products_are_exact", matrix_products_are_exact},
        {"sums_wrap_around", sums_wrap_around},
        {"lines_are_rounded_to_bytes", lines_are_rounded_to_bytes}};
    if (argc > 1 && !strcmp(argv[1], "bench")) {
        bench();
        return 0;
    }
    return check_main(cases, (int)(sizeof cases / sizeof cases[0]), argc, argv);
}

// SPDX-License-Identifier: MIT
//
// The CPU convolution kernels against their plain C twins: every method, every
// instruction set this CPU has, random geometries and epilogues. With the
// argument "bench" the speed of a few shapes is printed instead.
#include "kernels/conv_cpu.h"

#include <time.h>

#include "tests/check.h"

static uint64_t seed = 88172645463325252u;

static float rand_float(void)
{
    return (float)((double)(check_rand(&seed) >> 40) / (1 << 24) * 2 - 1);
}
static int rand_int(int lo, int hi)
{
    return lo + (int)(check_rand(&seed) % (uint64_t)(hi - lo + 1));
}

static float *rand_floats(size_t n, float scale)
{
    float *p = aligned_alloc(64, (n * sizeof *p + 64 + 63) / 64 * 64);
    for (size_t i = 0; p && i < n; i++) p[i] = rand_float() * scale;
    return p;
}

static int blocks(int c, int v)
{
    return (c + v - 1) / v;
}

// Lanes beyond the channels get NaN: nothing may read them.
static float *to_blocked(const float *src, int n, int c, int plane, int v)
{
    size_t count = (size_t)n * blocks(c, v) * plane * v;
    float *out = aligned_alloc(64, (count * sizeof *out + 63) / 64 * 64);
    for (size_t i = 0; i < count; i++) out[i] = NAN;
    for (int i = 0; i < n; i++)
        for (int k = 0; k < c; k++)
            for (int p = 0; p < plane; p++)
                out[(((size_t)i * blocks(c, v) + k / v) * plane + p) * v + k % v] =
                    src[((size_t)i * c + k) * plane + p];
    return out;
}

// The tables there are on this CPU: of the instruction sets, then those of
// bfloat16, by its own instructions and emulated. NULL: not here.
#define FLOAT_TABLES (CPU_ISA_AVX512 + 1)
#define TABLES (FLOAT_TABLES + 4)

static const struct conv_kernels *table(int i)
{
    if (i >= FLOAT_TABLES) {
        const int j = i - FLOAT_TABLES;
        return conv_kernels_bf16(j % 2 ? CONV_BF16_AMX : CONV_BF16_AVX512, j >= 2);
    }
    const struct conv_kernels *k = conv_kernels_get((enum cpu_isa)i);
    return (int)k->isa == i ? k : NULL;
}

// To the nearest bfloat16, ties to even.
static void round_to_bf16(float *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &p[i], sizeof bits);
        bits = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000u;
        memcpy(&p[i], &bits, sizeof bits);
    }
}

struct trial {
    bool bf16;
    struct conv_geometry g;
    enum conv_method method;
    bool src_plain;
    struct conv_epilogue e;
};

static int out_size(int in, int k, int s, int d, int pad_a, int pad_b)
{
    return (in + pad_a + pad_b - (k - 1) * d - 1) / s + 1;
}

static struct conv_epilogue rand_epilogue(int channels, size_t full, float **chan, float **data)
{
    struct conv_epilogue e = {.n = rand_int(0, 3)};
    *chan = rand_floats((size_t)channels + 32, 1);
    *data = rand_floats(full + 64, 1);
    for (int i = 0; i < e.n; i++) {
        enum conv_step_kind kind = (enum conv_step_kind)rand_int(CONV_ADD_FULL, CONV_NEG);
        // the quotient of two sums near 0 are no test of the kernels
        if (kind == CONV_DIV_FULL || kind == CONV_RDIV_FULL || kind == CONV_DIV_CHAN || kind == CONV_RDIV_CHAN)
            kind = CONV_RSUB_CHAN;
        if (kind == CONV_NEG) kind = CONV_ABS;
        e.step[i] = (struct conv_step){.kind = kind, .alpha = 0.1f, .beta = 0.9f};
        if (conv_step_full(kind)) e.step[i].data = *data;
        if (conv_step_chan(kind)) e.step[i].data = *chan;
    }
    return e;
}

static void run_trial(const struct conv_kernels *k, struct trial *t)
{
    const struct conv_geometry *g = &t->g;
    const int v = k->lanes, icg = g->ic / g->groups;
    const bool dst_plain = t->method == CONV_METHOD_DOT || t->method == CONV_METHOD_ROWS;
    const size_t in_count = (size_t)g->n * g->ic * g->ih * g->iw, out_plane = (size_t)g->oh * g->ow;
    const size_t out_count = (size_t)g->n * (dst_plain ? g->oc : blocks(g->oc, v) * v) * out_plane;
    float *src = rand_floats(in_count, 1), *w = rand_floats((size_t)g->oc * icg * g->kh * g->kw, 0.5f);
    float *bias = rand_floats((size_t)g->oc, 1), *want = rand_floats((size_t)g->n * g->oc * out_plane, 0);
    float *in = t->src_plain ? src : to_blocked(src, g->n, g->ic, g->ih * g->iw, v);
    float *got = rand_floats(out_count, 0), *chan, *full;
    t->e = rand_epilogue(g->oc, out_count, &chan, &full);
    struct conv_plan p;
    bool ok = k->prepare(&p, g, t->method, t->src_plain, w, bias);
    CHECK(ok);
    CHECK(p.bf16 == (t->bf16 && !t->src_plain));
    if (p.bf16) { // what is expected is made of the rounded operands, in double precision
        round_to_bf16(src, in_count);
        round_to_bf16(w, (size_t)g->oc * icg * g->kh * g->kw);
    }
    conv_ref(g, src, w, bias, want);
    float *scratch = aligned_alloc(64, (p.scratch_bytes + 64 + 63) / 64 * 64);
    // odd cuts of the units: each must stand alone
    for (int u = 0; u < p.units; u += 3) k->run(&p, &t->e, in, got, u, u + 3 < p.units ? u + 3 : p.units, scratch);
    double worst = 0;
    size_t worst_at = 0;
    for (int n = 0; n < g->n; n++)
        for (int o = 0; o < g->oc; o++)
            for (size_t i = 0; i < out_plane; i++) {
                size_t at = dst_plain ? ((size_t)n * g->oc + o) * out_plane + i
                                      : (((size_t)n * blocks(g->oc, v) + o / v) * out_plane + i) * v + o % v;
                size_t plain = ((size_t)n * g->oc + o) * out_plane + i;
                float x = want[plain];
                for (int s = 0; s < t->e.n; s++)
                    x = conv_step_ref(&t->e.step[s], x, conv_step_full(t->e.step[s].kind) ? full[at] : 0, chan[o]);
                double err = fabs(x - got[at]) / (1 + fabs(x));
                if (!(err <= worst)) worst = err, worst_at = plain;
            }
    conv_plan_fini(&p);
    free(scratch), free(got), free(want), free(bias), free(w), free(chan), free(full);
    if (in != src) free(in);
    free(src);
    // Winograd sums differences of products: a few bits less
    CHECK_MSG(worst < (t->method == CONV_METHOD_WINOGRAD ? 1e-4 : 3e-5),
              "%s method %d plain %d n %d ic %d oc %d groups %d in %dx%d out %dx%d k %dx%d s %d,%d d %d,%d pad %d,%d: "
              "apart by %g at %zu, epilogue %d (%d %d %d)",
              k->name, t->method, t->src_plain, g->n, g->ic, g->oc, g->groups, g->ih, g->iw, g->oh, g->ow, g->kh, g->kw,
              g->sh, g->sw, g->dh, g->dw, g->pad_top, g->pad_left, worst, worst_at, t->e.n, t->e.step[0].kind,
              t->e.step[1].kind, t->e.step[2].kind);
}

static void rand_geometry(struct conv_geometry *g, bool unit_stride)
{
    g->n = rand_int(1, 2);
    g->kh = rand_int(1, 5), g->kw = rand_int(1, 5);
    g->sh = unit_stride ? 1 : rand_int(1, 3), g->sw = unit_stride ? 1 : rand_int(1, 3);
    g->dh = rand_int(1, 2), g->dw = rand_int(1, 2);
    g->pad_top = rand_int(0, g->kh), g->pad_left = rand_int(0, g->kw);
    g->ih = rand_int((g->kh - 1) * g->dh + 1, 30), g->iw = rand_int((g->kw - 1) * g->dw + 1, 70);
    g->oh = out_size(g->ih, g->kh, g->sh, g->dh, g->pad_top, rand_int(0, g->kh));
    g->ow = out_size(g->iw, g->kw, g->sw, g->dw, g->pad_left, rand_int(0, g->kw));
}

// Taps so far apart that no pixel has all of them inside; runs of columns have the same ones.
static void wide_geometry(struct conv_geometry *g)
{
    g->kh = g->kw = 3, g->sh = 1, g->sw = rand_int(1, 2);
    g->dh = g->pad_top = rand_int(5, 24), g->dw = g->pad_left = rand_int(5, 24);
    g->ih = g->oh = rand_int(1, 20), g->iw = rand_int(1, 40);
    g->ow = out_size(g->iw, 3, g->sw, g->dw, g->pad_left, g->pad_left);
}

#ifdef __SANITIZE_ADDRESS__
#define TRIALS 30 // each takes six times as long there
#else
#define TRIALS 60
#endif

static void trials(enum conv_method method)
{
    for (int which = 0; which < (method == CONV_METHOD_DIRECT ? TABLES : FLOAT_TABLES); which++) {
        const struct conv_kernels *k = table(which);
        if (!k) continue;
        for (int i = 0; i < (which < FLOAT_TABLES ? TRIALS : TRIALS / 2) && !check_now.failed; i++) {
            struct trial t = {.bf16 = which >= FLOAT_TABLES, .method = method, .g.groups = 1};
            struct conv_geometry *g = &t.g;
            rand_geometry(g, method == CONV_METHOD_ROWS || method == CONV_METHOD_WINOGRAD);
            if (i % 5 == 4 && method != CONV_METHOD_ROWS && method != CONV_METHOD_WINOGRAD) wide_geometry(g);
            g->ic = rand_int(1, 40), g->oc = rand_int(1, 100);
            if (method == CONV_METHOD_DIRECT) {
                t.src_plain = rand_int(0, 1);
                if (rand_int(0, 3) == 0) g->groups = 2, g->ic = 2 * k->lanes, g->oc = 4 * k->lanes;
                if (rand_int(0, 3) == 0) { // the 1x1 path
                    g->kh = g->kw = g->sh = g->sw = 1, g->pad_top = g->pad_left = 0;
                    g->oh = g->ih, g->ow = g->iw;
                }
            }
            if (method == CONV_METHOD_DEPTHWISE) g->groups = g->oc = g->ic;
            if (method == CONV_METHOD_DOT) g->ic = rand_int(1, 3 * k->lanes), g->oc = rand_int(1, 6);
            if (method == CONV_METHOD_ROWS) t.src_plain = true, g->ic = rand_int(1, 4), g->oc = rand_int(1, 9);
            if (method == CONV_METHOD_WINOGRAD) {
                g->kh = g->kw = 3;
                g->dw = g->dh = rand_int(1, 3);
                g->pad_top = g->dh * rand_int(0, 1), g->pad_left = g->dw * rand_int(0, 1);
                g->ih += 7, g->iw += 7;
                g->oh = out_size(g->ih, 3, 1, g->dh, g->pad_top, g->pad_top);
                g->ow = out_size(g->iw, 3, 1, g->dw, g->pad_left, g->pad_left);
            }
            run_trial(k, &t);
        }
    }
}

static void direct(void)
{
    trials(CONV_METHOD_DIRECT);
}
static void winograd(void)
{
    trials(CONV_METHOD_WINOGRAD);
}

// How far Winograd's sums are from exact ones, as a share of their usual size: the root mean
// square and the largest. A direct convolution in float32 has about 4e-7 and 2e-6; the points 1
// and 2 had 1.6e-6 and 2e-5.
static void winograd_rounding(void)
{
    const struct conv_geometry g = {1, 64, 48, 48, 32, 48, 48, 3, 3, 1, 1, 1, 1, 1, 1, 1};
    const int plane = g.ih * g.iw, count = g.oc * plane;
    const uint64_t before = seed;
    for (int isa = CPU_ISA_BASE; isa <= CPU_ISA_AVX512; isa++) {
        const struct conv_kernels *k = table(isa);
        if (!k) continue;
        seed = before; // the same numbers for all
        float *src = rand_floats((size_t)g.ic * plane, 1), *w = rand_floats((size_t)g.oc * g.ic * 9, 1);
        float *in = to_blocked(src, 1, g.ic, plane, k->lanes);
        float *out = rand_floats((size_t)count, 0);
        const struct conv_epilogue none = {0};
        struct conv_plan p;
        CHECK(k->prepare(&p, &g, CONV_METHOD_WINOGRAD, false, w, NULL));
        float *scratch = aligned_alloc(64, (p.scratch_bytes + 127) / 64 * 64);
        k->run(&p, &none, in, out, 0, p.units, scratch);
        double size = 0, errors = 0, worst = 0;
        for (int i = 0; i < count; i++) {
            const int o = i / plane, y = i % plane / g.iw, x = i % g.iw;
            double want = 0;
            for (int c = 0; c < g.ic * 9; c++) {
                const int iy = y - 1 + c % 9 / 3, ix = x - 1 + c % 3;
                if (iy < 0 || iy >= g.ih || ix < 0 || ix >= g.iw) continue;
                want += (double)src[c / 9 * plane + iy * g.iw + ix] * w[o * g.ic * 9 + c];
            }
            const double e = fabs(want - out[(o / k->lanes * plane + i % plane) * k->lanes + o % k->lanes]);
            size += want * want, errors += e * e;
            if (!(e <= worst)) worst = e;
        }
        conv_plan_fini(&p);
        free(scratch), free(src), free(w), free(in), free(out);
        size = sqrt(size / count);
        CHECK_MSG(sqrt(errors / count) < 1e-6 * size && worst < 1e-5 * size, "%s: apart by %.2g, at most %.2g", k->name,
                  sqrt(errors / count) / size, worst / size);
    }
}

static void depthwise(void)
{
    trials(CONV_METHOD_DEPTHWISE);
}
static void dot(void)
{
    trials(CONV_METHOD_DOT);
}
static void rows(void)
{
    trials(CONV_METHOD_ROWS);
}

// Pools against the definition, padding left out.
static void pools(void)
{
    for (int isa = CPU_ISA_BASE; isa <= CPU_ISA_AVX512; isa++) {
        const struct conv_kernels *k = table(isa);
        if (!k) continue;
        for (int trial = 0; trial < TRIALS; trial++) {
            struct conv_geometry g;
            rand_geometry(&g, false);
            g.pad_top = rand_int(0, g.kh - 1), g.pad_left = rand_int(0, g.kw - 1);
            g.oh = out_size(g.ih, g.kh, g.sh, g.dh, g.pad_top, 0),
            g.ow = out_size(g.iw, g.kw, g.sw, g.dw, g.pad_left, 0);
            g.groups = g.ic = g.oc = rand_int(1, 40);
            const enum conv_method method = (enum conv_method)rand_int(CONV_METHOD_MAX, CONV_METHOD_AVERAGE_ALL);
            const int v = k->lanes, plane = g.ih * g.iw, to = g.oh * g.ow;
            float *src = rand_floats((size_t)g.n * g.ic * plane, 1);
            float *in = to_blocked(src, g.n, g.ic, plane, v);
            float *out = rand_floats((size_t)g.n * blocks(g.oc, v) * v * to, 0);
            const struct conv_epilogue none = {0};
            struct conv_plan p;
            CHECK(k->prepare(&p, &g, method, false, NULL, NULL));
            k->run(&p, &none, in, out, 0, p.units, NULL);
            double worst = 0;
            for (int i = 0; i < g.n * g.oc * to; i++) {
                const int c = i / to % g.oc, n = i / to / g.oc, y = i % to / g.ow, x = i % g.ow;
                double best = -INFINITY, sum = 0;
                int count = 0;
                for (int t = 0; t < g.kh * g.kw; t++) {
                    const int iy = y * g.sh - g.pad_top + t / g.kw * g.dh, ix = x * g.sw - g.pad_left + t % g.kw * g.dw;
                    if (iy < 0 || iy >= g.ih || ix < 0 || ix >= g.iw) continue;
                    const double a = src[(n * g.ic + c) * plane + iy * g.iw + ix];
                    best = a > best ? a : best, sum += a, count++;
                }
                const double want = method == CONV_METHOD_MAX       ? best
                                    : method == CONV_METHOD_AVERAGE ? (count ? sum / count : 0)
                                                                    : sum / (g.kh * g.kw);
                const double got = out[((n * blocks(g.oc, v) + c / v) * to + i % to) * v + c % v];
                const double err = want == got ? 0 : fabs(want - got);
                if (!(err <= worst)) worst = err;
            }
            conv_plan_fini(&p);
            free(src), free(in), free(out);
            CHECK_MSG(worst < 1e-5, "%s pool %d, %d channels %dx%d k %dx%d: apart by %g", k->name, method, g.ic, g.ih,
                      g.iw, g.kh, g.kw, worst);
        }
    }
}

static void matmul(void)
{
    for (int which = 0; which < TABLES; which++) {
        const struct conv_kernels *k = table(which);
        if (!k) continue;
        for (int trial = 0; trial < TRIALS; trial++) {
            int m = rand_int(1, 140), n = rand_int(1, 90), kk = rand_int(1, 70);
            bool transposed = rand_int(0, 1);
            float *a = rand_floats((size_t)m * kk, 1), *b = rand_floats((size_t)n * kk, 1),
                  *bias = rand_floats((size_t)n + 64, 1);
            float *c = rand_floats((size_t)m * n, 0), *packed = rand_floats(k->pack_b_floats(kk, n), 0), *chan, *full;
            struct conv_epilogue e = rand_epilogue(n, (size_t)m * n, &chan, &full);
            k->pack_b(packed, b, transposed ? 1 : n, transposed ? kk : 1, kk, n);
            float *scratch = rand_floats(k->matmul_scratch_bytes(kk) / sizeof(float) + 1, 1);
            int cut = m / 2;
            k->matmul(c, n, a, kk, packed, bias, &e, 0, cut, kk, n, scratch);
            k->matmul(c, n, a, kk, packed, bias, &e, cut, m, kk, n, scratch);
            if (which >= FLOAT_TABLES) {
                round_to_bf16(a, (size_t)m * kk);
                round_to_bf16(b, (size_t)n * kk);
            }
            double worst = 0;
            for (int i = 0; i < m; i++)
                for (int j = 0; j < n; j++) {
                    double sum = bias[j];
                    for (int x = 0; x < kk; x++)
                        sum += (double)a[i * kk + x] * (transposed ? b[j * kk + x] : b[x * n + j]);
                    float y = (float)sum;
                    for (int s = 0; s < e.n; s++) y = conv_step_ref(&e.step[s], y, full[i * n + j], chan[j]);
                    double err = fabs(y - c[i * n + j]) / (1 + fabs(y));
                    if (!(err <= worst)) worst = err;
                }
            free(scratch), free(a), free(b), free(bias), free(c), free(packed), free(chan), free(full);
            CHECK_MSG(worst < 3e-5, "%s %dx%dx%d transposed %d: apart by %g", k->name, m, kk, n, transposed, worst);
        }
    }
}

// Long sums of numbers that are all positive: float32 loses with their length unless they are
// made in pieces. In one piece they are 1.2e-6 off, a share of the whole.
static void long_sums(void)
{
    for (int isa = CPU_ISA_BASE; isa <= CPU_ISA_AVX512; isa++) {
        const struct conv_kernels *k = table(isa);
        if (!k) continue;
        const int m = 17, n = 40, kk = 8192;
        float *a = rand_floats((size_t)m * kk, 1), *b = rand_floats((size_t)n * kk, 1), *bias = rand_floats(64, 1);
        float *c = rand_floats((size_t)m * n, 0), *packed = rand_floats(k->pack_b_floats(kk, n), 0);
        for (int i = 0; i < m * kk; i++) a[i] = fabsf(a[i]);
        for (int i = 0; i < n * kk; i++) b[i] = fabsf(b[i]);
        const struct conv_epilogue clamp = {.n = 1, .step[0] = {.kind = CONV_RELU}};
        float *scratch = rand_floats(k->matmul_scratch_bytes(kk) / sizeof(float) + 1, 1);
        k->pack_b(packed, b, n, 1, kk, n);
        k->matmul(c, n, a, kk, packed, bias, &clamp, 0, m, kk, n, scratch);
        double errors = 0;
        for (int i = 0; i < m; i++)
            for (int j = 0; j < n; j++) {
                double sum = bias[j];
                for (int x = 0; x < kk; x++) sum += (double)a[i * kk + x] * b[x * n + j];
                errors += (c[i * n + j] / sum - 1) * (c[i * n + j] / sum - 1);
            }
        free(scratch), free(a), free(b), free(bias), free(c), free(packed);
        errors = sqrt(errors / (m * n));
        CHECK_MSG(errors < 3e-7, "%s: apart by %.2g", k->name, errors);
    }
}

// Every function of an epilogue far out, where a factor overflows, and at what
// is no number.
static void far_out(void)
{
    static const float at[] = {0, 1e-30f, 20, 87.9f, 88.4f, 89, 104, 1e4f, 1e20f, INFINITY};
    enum { COUNT = 2 * sizeof at / sizeof at[0] + 1 };
    for (int isa = CPU_ISA_BASE; isa <= CPU_ISA_AVX512; isa++) {
        const struct conv_kernels *k = table(isa);
        if (!k) continue;
        for (enum conv_step_kind kind = CONV_RELU; kind <= CONV_ABS; kind++) {
            float x[COUNT];
            for (int i = 0; i < COUNT; i++) x[i] = i == COUNT - 1 ? NAN : i % 2 ? -at[i / 2] : at[i / 2];
            const struct conv_epilogue e = {.n = 1, .step[0] = {.kind = kind, .alpha = 0.1f, .beta = 0.9f}};
            k->apply_plain(&e, x, 0, 0, 0, COUNT);
            for (int i = 0; i < COUNT - 1; i++) {
                const float from = i % 2 ? -at[i / 2] : at[i / 2], want = conv_step_ref(&e.step[0], from, 0, 0);
                if (isnan(want)) continue; // -inf * 0
                CHECK_MSG(want == x[i] || fabs(want - x[i]) <= 1e-5 * (1 + fabs(want)), "%s, step %d at %g: %g, not %g",
                          k->name, kind, from, x[i], want);
            }
            // ONNX leaves what Relu and Clip make of it open
            if (kind != CONV_RELU)
                CHECK_MSG(isnan(x[COUNT - 1]), "%s, step %d: NaN became %g", k->name, kind, x[COUNT - 1]);
        }
    }
}

// ---- bench ---------------------------------------------------------------------

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void bench_one(const char *text, enum conv_method method, struct conv_geometry g, bool src_plain)
{
    const struct conv_kernels *k = conv_kernels_get(CPU_ISA_AVX512);
    float *src = rand_floats((size_t)g.n * (size_t)(g.ic + 16) * g.ih * g.iw, 1);
    float *w = rand_floats((size_t)g.oc * g.ic / g.groups * g.kh * g.kw, 1);
    float *dst = rand_floats((size_t)g.n * (size_t)(g.oc + 16) * g.oh * g.ow, 0);
    struct conv_epilogue e = {.n = 1, .step[0] = {.kind = CONV_RELU}};
    struct conv_plan p;
    if (!k->prepare(&p, &g, method, src_plain, w, NULL)) return;
    float *scratch = aligned_alloc(64, (p.scratch_bytes + 127) / 64 * 64);
    double best = 1e9, begin = now();
    for (int i = 0; i < 5 || now() - begin < 0.3; i++) {
        double t = now();
        k->run(&p, &e, src, dst, 0, p.units, scratch);
        t = now() - t;
        if (t < best) best = t;
    }
    double flops = 2.0 * g.n * g.oc * g.oh * g.ow * (g.ic / g.groups) * g.kh * g.kw;
    printf("%-28s %8.3f ms %7.1f GFLOP/s of the direct count\n", text, best * 1e3, flops / best * 1e-9);
    conv_plan_fini(&p);
    free(src), free(w), free(dst), free(scratch);
}

static void bench(void)
{
    struct conv_geometry c3 = {1, 64, 180, 320, 64, 180, 320, 3, 3, 1, 1, 1, 1, 1, 1, 1};
    bench_one("direct 3x3 64-64 180x320", CONV_METHOD_DIRECT, c3, false);
    bench_one("winograd 3x3 64-64 180x320", CONV_METHOD_WINOGRAD, c3, false);
    struct conv_geometry c4 = c3;
    c4.dh = c4.dw = c4.pad_top = c4.pad_left = 3;
    bench_one("winograd 3x3 d3 64-64", CONV_METHOD_WINOGRAD, c4, false);
    struct conv_geometry c32 = {1, 32, 180, 320, 32, 180, 320, 3, 3, 1, 1, 1, 1, 1, 1, 1};
    bench_one("direct 3x3 32-32", CONV_METHOD_DIRECT, c32, false);
    bench_one("winograd 3x3 32-32", CONV_METHOD_WINOGRAD, c32, false);
    struct conv_geometry c16 = {1, 16, 180, 320, 16, 180, 320, 3, 3, 1, 1, 1, 1, 1, 1, 1};
    bench_one("direct 3x3 16-16", CONV_METHOD_DIRECT, c16, false);
    bench_one("winograd 3x3 16-16", CONV_METHOD_WINOGRAD, c16, false);
    struct conv_geometry c128 = {1, 128, 40, 40, 128, 40, 40, 3, 3, 1, 1, 1, 1, 1, 1, 1};
    bench_one("direct 3x3 128-128 40x40", CONV_METHOD_DIRECT, c128, false);
    bench_one("winograd 3x3 128-128 40x40", CONV_METHOD_WINOGRAD, c128, false);
    struct conv_geometry s10 = {1, 64, 10, 10, 64, 10, 10, 3, 3, 1, 1, 1, 1, 1, 1, 1};
    bench_one("direct 3x3 64-64 10x10", CONV_METHOD_DIRECT, s10, false);
    bench_one("winograd 3x3 64-64 10x10", CONV_METHOD_WINOGRAD, s10, false);
    struct conv_geometry p = {1, 64, 80, 80, 64, 80, 80, 1, 1, 1, 1, 1, 1, 0, 0, 1};
    bench_one("1x1 64-64 80x80", CONV_METHOD_DIRECT, p, false);
    struct conv_geometry p2 = {1, 256, 20, 20, 256, 20, 20, 1, 1, 1, 1, 1, 1, 0, 0, 1};
    bench_one("1x1 256-256 20x20", CONV_METHOD_DIRECT, p2, false);
    bench_one("1x1 plain 256-256 20x20", CONV_METHOD_DIRECT, p2, true);
    struct conv_geometry dw = {1, 64, 80, 80, 64, 80, 80, 3, 3, 1, 1, 1, 1, 1, 1, 64};
    bench_one("depthwise 3x3 64 80x80", CONV_METHOD_DEPTHWISE, dw, false);
    struct conv_geometry first = {1, 3, 320, 320, 32, 160, 160, 3, 3, 2, 2, 1, 1, 1, 1, 1};
    bench_one("first 3-32 3x3 s2", CONV_METHOD_DIRECT, first, true);
    struct conv_geometry last = {1, 64, 180, 320, 3, 180, 320, 3, 3, 1, 1, 1, 1, 1, 1, 1};
    bench_one("dot 64-3 3x3", CONV_METHOD_DOT, last, false);
    bench_one("direct 64-3 3x3", CONV_METHOD_DIRECT, last, false);
    struct conv_geometry small = {1, 3, 720, 1280, 3, 720, 1280, 3, 3, 1, 1, 1, 1, 1, 1, 1};
    bench_one("rows 3-3 3x3 720p", CONV_METHOD_ROWS, small, true);
    bench_one("direct 3-3 3x3 720p", CONV_METHOD_DIRECT, small, true);
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"direct", direct},       {"winograd", winograd}, {"winograd_rounding", winograd_rounding},
        {"depthwise", depthwise}, {"dot", dot},           {"rows", rows},
        {"pools", pools},         {"matmul", matmul},     {"long_sums", long_sums},
        {"far_out", far_out}};
    if (argc > 1 && !strcmp(argv[1], "bench")) {
        bench();
        return 0;
    }
    return check_main(cases, (int)(sizeof cases / sizeof cases[0]), argc, argv);
}

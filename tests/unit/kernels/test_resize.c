// SPDX-License-Identifier: MIT
//
// kernels/resize against its definition; and that its filters do what they are
// for: keep flat pictures flat and ramps straight.
#include "kernels/resize.h"

#include "tests/check.h"

struct plane {
    const float *src;
    float *dst;
    int w_in, w_out, n;
    size_t in_plane, out_plane;
    int next; // rows must be asked for in order
    bool ordered;
};

static void read_plane(void *user, int y, float *const *rows)
{
    struct plane *p = user;
    if (y < p->next) p->ordered = false;
    p->next = y + 1;
    for (int i = 0; i < p->n; i++)
        memcpy(rows[i], p->src + (size_t)i * p->in_plane + (size_t)y * (size_t)p->w_in,
               (size_t)p->w_in * sizeof(float));
}

static void write_plane(void *user, int y, float *const *rows)
{
    struct plane *p = user;
    for (int i = 0; i < p->n; i++)
        memcpy(p->dst + (size_t)i * p->out_plane + (size_t)y * (size_t)p->w_out, rows[i],
               (size_t)p->w_out * sizeof(float));
}

static void streams_as_reference(void)
{
    uint64_t seed = 99;
    for (int round = 0; round < 200; round++) {
        int w = 1 + (int)((check_rand(&seed) >> 33) % 60), h = 1 + (int)((check_rand(&seed) >> 33) % 60);
        int ow = 1 + (int)((check_rand(&seed) >> 33) % 90), oh = 1 + (int)((check_rand(&seed) >> 33) % 90);
        enum resize_filter filter = (enum resize_filter)(round % 4);
        struct resize_axis x, y;
        CHECK(resize_axis_fit(&x, filter, w, ow) && resize_axis_fit(&y, filter, h, oh));
        size_t in = (size_t)w * (size_t)h, out = (size_t)ow * (size_t)oh;
        float *src = calloc(3 * in, sizeof *src), *got = calloc(3 * out, sizeof *got),
              *want = calloc(out, sizeof *want);
        for (size_t i = 0; i < 3 * in; i++) src[i] = (float)(check_rand(&seed) >> 40) / (1 << 24);
        float *scratch = malloc(resize_scratch_floats(&x, &y, 3) * sizeof *scratch);
        struct plane p = {src, got, w, ow, 3, in, out, 0, true};
        resize_rows(&x, &y, 3, read_plane, write_plane, &p, scratch);
        double worst = 0;
        for (int i = 0; i < 3; i++) {
            resize_plane_ref(&x, &y, src + (size_t)i * in, (size_t)w, want, (size_t)ow);
            for (size_t k = 0; k < out; k++)
                worst = fmax(worst, fabs((double)got[(size_t)i * out + k] - (double)want[k]));
        }
        free(src), free(got), free(want), free(scratch);
        resize_axis_fini(&x);
        resize_axis_fini(&y);
        CHECK_MSG(worst < 2e-6, "%dx%d to %dx%d, filter %d: off by %g", w, h, ow, oh, filter, worst);
        CHECK_MSG(p.ordered, "%dx%d to %dx%d: a row was read twice", w, h, ow, oh);
    }
}

static void weights_sum_to_one(void)
{
    for (int filter = 0; filter < 4; filter++)
        for (int n = 1; n < 40; n += 3)
            for (int out = 1; out < 60; out += 7) {
                struct resize_axis a;
                CHECK(resize_axis_init(&a, (enum resize_filter)filter, n, out, -3.3, 1.7 * n / out));
                for (int i = 0; i < out; i++) {
                    double sum = 0;
                    for (int k = 0; k < a.taps; k++) sum += (double)a.weight[i * a.taps + k];
                    CHECK_NEAR(sum, 1, 1e-5);
                    CHECK(a.first[i] >= 0 && a.first[i] + a.taps <= n);
                }
                resize_axis_fini(&a);
            }
}

static void ramps_stay_straight(void)
{
    // A ramp twice as long has the same slope per input sample, away from the
    // ends.
    for (int filter = RESIZE_LINEAR; filter <= RESIZE_POINT_LINEAR; filter++) {
        struct resize_axis a;
        CHECK(resize_axis_fit(&a, (enum resize_filter)filter, 20, 40));
        float in[20], out[40];
        for (int i = 0; i < 20; i++) in[i] = (float)i;
        resize_row(&a, in, out);
        resize_axis_fini(&a);
        for (int i = 6; i < 34; i++) CHECK_NEAR(out[i], (i + 0.5) / 2 - 0.5, 1e-5);
    }
}

static void shrinking_averages(void)
{
    struct resize_axis a;
    CHECK(resize_axis_fit(&a, RESIZE_LINEAR, 400, 10));
    float in[400], out[10];
    for (int i = 0; i < 400; i++) in[i] = (float)(i % 2);
    resize_row(&a, in, out);
    resize_axis_fini(&a);
    for (int i = 1; i < 9; i++) CHECK_NEAR(out[i], 0.5, 0.01); // the ends repeat one sample
}

CHECK_MAIN({"resize streams as reference", streams_as_reference}, {"resize weights sum to one", weights_sum_to_one},
           {"resize keeps ramps straight", ramps_stay_straight},
           {"resize averages when it shrinks", shrinking_averages})

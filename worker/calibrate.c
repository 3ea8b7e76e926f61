// SPDX-License-Identifier: MIT
//
// See calibrate.h. Pictures are made of integer hashes and of sums and products of
// floats alone, so that they are the same bits everywhere.
#include "worker/calibrate.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/life.h"
#include "common/log.h"
#include "worker/backend/ranges.h"
#include "worker/graph/pass.h"

// ---- pictures ---------------------------------------------------------------------

// 0..1 from three numbers: Mueller's integer hash ("murmur3" finaliser).
static float noise(uint32_t x, uint32_t y, uint32_t seed)
{
    uint32_t h = x * 0x9e3779b1u ^ y * 0x85ebca77u ^ seed * 0xc2b2ae3du;
    h = (h ^ h >> 16) * 0x85ebca6bu;
    h = (h ^ h >> 13) * 0xc2b2ae35u;
    return (float)((h ^ h >> 16) >> 8) / (float)(1 << 24);
}

// Noise between lattice points `period` pixels apart.
static float smooth_noise(int x, int y, int period, uint32_t seed)
{
    const int i = x / period, j = y / period;
    const float u = (float)(x % period) / (float)period, v = (float)(y % period) / (float)period;
    const float top = noise((uint32_t)i, (uint32_t)j, seed) * (1 - u) + noise((uint32_t)i + 1, (uint32_t)j, seed) * u;
    const float low =
        noise((uint32_t)i, (uint32_t)j + 1, seed) * (1 - u) + noise((uint32_t)i + 1, (uint32_t)j + 1, seed) * u;
    return top * (1 - v) + low * v;
}

// Amplitudes that halve as the frequency doubles: the spectrum of natural pictures
// (Field 1987), stretched to most of 0..1.
static float natural(int x, int y, uint32_t seed)
{
    float sum = 0, amplitude = 1, all = 0;
    for (int period = 64; period >= 1; period /= 2) {
        sum += amplitude * smooth_noise(x, y, period, seed + (uint32_t)period);
        all += amplitude;
        amplitude *= 0.5f;
    }
    const float v = (sum / all - 0.5f) * 2 + 0.5f;
    return v < 0 ? 0 : v > 1 ? 1 : v;
}

// Discs and bars of full contrast on ramps.
static float edges(int x, int y, int side, int channel)
{
    const int cx = x % 48 - 24, cy = y % 40 - 20, r2 = cx * cx + cy * cy;
    if (r2 < 100) return channel == (x / 48 + y / 40) % 3 ? 1 : 0;
    if (r2 < 144) return 1;
    if ((x + 2 * y) % 61 < 3) return 0;
    const int along = channel == 0 ? x : channel == 1 ? y : side - 1 - x;
    return (float)along / (float)(side - 1);
}

// Stripes and checks of one to eight pixels, and single dots.
static float texture(int x, int y, int channel)
{
    const int size = 1 << (x / 32 % 4), tile = y / 32 % 4;
    if (tile == 0) return (float)((x / size + y / size) % 2);
    if (tile == 1) return (float)(x / size % 2);
    if (tile == 2) return (float)(y / size % 2);
    const float n = noise((uint32_t)x, (uint32_t)y, 7);
    return n < 0.05f ? 1 : n < 0.1f ? 0 : noise((uint32_t)x, (uint32_t)y, 11 + (uint32_t)channel);
}

void calibrate_pixel(int kind, int side, int y, int x, float out_rgb[3])
{
    const float light = natural(x, y, 1);
    for (int c = 0; c < 3; c++) {
        const float grain = (noise((uint32_t)x, (uint32_t)y, 31 + (uint32_t)c) - 0.5f) * 0.1f;
        float v = 0;
        if (kind == 0) v = edges(x, y, side, c);
        if (kind == 1) v = texture(x, y, c);
        if (kind == 2) v = light + (natural(x, y, 101 + (uint32_t)c) - 0.5f) * 0.5f;
        // the same with grain, darker to one side, cut by an object in front
        if (kind == 3) v = natural(x + 200, y, 5) * (0.2f + 0.8f * (float)y / (float)side) + grain;
        if (kind == 3 && x > side / 2 && y > side / 3 && (x + y) % 29 > 2) v = 1 - v;
        out_rgb[c] = v < 0 ? 0 : v > 1 ? 1 : v;
    }
}

static float stored(const struct model_input *in, const float rgb[3], int channel)
{
    if (in->channels == 1) // luma of BT.601
        return (0.299f * rgb[0] + 0.587f * rgb[1] + 0.114f * rgb[2]) * in->gain[0] + in->bias[0];
    if (channel > 2) return in->gain[0] + in->bias[0]; // opaque
    const int c = in->bgr && channel < 3 ? 2 - channel : channel;
    return rgb[c] * in->gain[c] + in->bias[c];
}

// Repeats beyond `side` on larger inputs.
static enum reel_err make_picture(const struct model_input *in, int kind, int side, const struct reel_shape *shape,
                                  struct reel_tensor *out)
{
    struct reel_tensor f = {0};
    enum reel_err err = reel_tensor_init(&f, REEL_F32, shape);
    if (err) return err;
    const int d = shape->ndim - 3;
    const int64_t c = shape->dim[d + (in->nhwc ? 2 : 0)], h = shape->dim[d + (in->nhwc ? 0 : 1)],
                  w = shape->dim[d + (in->nhwc ? 1 : 2)], images = d ? shape->dim[0] : 1;
    for (int64_t n = 0; n < images; n++)
        for (int64_t y = 0; y < h; y++)
            for (int64_t x = 0; x < w; x++) {
                float rgb[3];
                calibrate_pixel(kind, side, (int)(y % side), (int)(x % side), rgb);
                for (int64_t k = 0; k < c; k++)
                    ((float *)f.data)[in->nhwc ? ((n * h + y) * w + x) * c + k : ((n * c + k) * h + y) * w + x] =
                        stored(in, rgb, (int)k);
            }
    if (in->dtype == REEL_F32) {
        *out = f;
        return REEL_OK;
    }
    err = reel_tensor_init(out, in->dtype, shape);
    if (!err) reel_convert(out->data, in->dtype, f.data, REEL_F32, reel_tensor_count(&f));
    reel_tensor_fini(&f);
    return err;
}

// ---- running ----------------------------------------------------------------------

// A picture's run, in a thread of its own.
struct job {
    const struct backend_ops *backend;
    const struct graph *graph;
    struct reel_tensor picture;
    struct ranges *ranges;
    enum reel_err err;
    char text[REEL_ERROR_TEXT_MAX];
};

static void *measure(void *arg)
{
    struct job *job = arg;
    const struct reel_tensor *in = &job->picture;
    job->err = job->backend->measure(job->graph, &in, job->ranges);
    if (job->err) snprintf(job->text, sizeof job->text, "%s", reel_fail_text());
    return NULL;
}

static enum reel_err measure_all(const struct net *net, const struct graph *graph, const struct model_input *input,
                                 int side, const struct reel_shape *shape, struct ranges *ranges)
{
    struct job job[CALIBRATE_PICTURES] = {0};
    pthread_t thread[CALIBRATE_PICTURES];
    bool started[CALIBRATE_PICTURES] = {false};
    enum reel_err err = REEL_OK;
    for (int i = 0; i < CALIBRATE_PICTURES && !err; i++) {
        job[i].backend = net_backend(net);
        job[i].graph = graph;
        err = ranges_create(&job[i].ranges);
        if (!err) err = make_picture(input, i, side, shape, &job[i].picture);
        if (!err) started[i] = !pthread_create(&thread[i], NULL, measure, &job[i]);
        if (!err && !started[i]) measure(&job[i]);
    }
    for (int i = 0; i < CALIBRATE_PICTURES; i++) {
        if (started[i]) pthread_join(thread[i], NULL);
        if (!err && job[i].err) err = reel_fail(job[i].err, "%s", job[i].text);
        if (!err) err = ranges_join(ranges, job[i].ranges);
        reel_tensor_fini(&job[i].picture);
        ranges_destroy(&job[i].ranges);
    }
    return err;
}

// A network of many weights is measured on fewer pixels: a start stays a matter of
// seconds.
#define MANY_WEIGHTS 4000000

static bool is_large(const struct graph *g)
{
    int64_t count = 0;
    for (int i = 0; i < g->n_values; i++)
        if (g->values[i]->constant) count += reel_tensor_count(g->values[i]->constant);
    return count > MANY_WEIGHTS;
}

// The first size the network takes; the shape goes to *out_shape. 0: none.
static int choose_side(struct net *net, const struct model_input *input, struct reel_shape *out_shape)
{
    static const int sides[] = {64, 96, 128, 192, 256};
    struct reel_shape *out = calloc((size_t)net_output_count(net) + 1, sizeof *out);
    int side = 0;
    for (size_t i = is_large(net_graph(net)) ? 0 : 1; out && !side && i < sizeof sides / sizeof *sides; i++) {
        *out_shape = net_default_shape(net, input->index, sides[i], sides[i]);
        if (reel_shape_count(out_shape) > 0 && !net_infer_shapes(net, out_shape, out)) side = sides[i];
    }
    free(out);
    return side;
}

bool calibrate_wanted(const struct net *net)
{
    return net_precision(net) == PRECISION_FP8 && net_backend(net)->measure;
}

enum reel_err calibrate(struct net *net, const struct model_input *input, struct ranges **out_ranges)
{
    struct reel_shape shape;
    struct graph *graph = NULL;
    *out_ranges = NULL;
    assert(input->gain[0] != 0); // black pictures measure nothing
    const int rank = net_input(net, 0)->shape.ndim;
    if (net_input_count(net) != 1 || (rank != 3 && rank != 4)) return REEL_OK;
    const int side = choose_side(net, input, &shape);
    if (!side) return REEL_OK;
    const int64_t begin_us = reel_now_us();
    struct pass_params params = {.caps = net_backend(net)->caps, .in_shapes = &shape};
    enum reel_err err = ranges_create(out_ranges);
    if (!err && !(graph = graph_clone(net_graph(net))))
        err = reel_fail(REEL_ERR_NOMEM, "could not calibrate: no memory");
    if (!err) err = pass_run_all(graph, &params, NULL);
    if (!err) err = measure_all(net, graph, input, side, &shape, *out_ranges);
    graph_destroy(&graph);
    if (err) {
        ranges_destroy(out_ranges);
        return reel_fail_prefix(err, "could not find the network's ranges for fp8: ");
    }
    reel_debug("net", "%d ranges for fp8 from %d pictures in %.1f s", ranges_count(*out_ranges), CALIBRATE_PICTURES,
               (double)(reel_now_us() - begin_us) * 1e-6);
    return REEL_OK;
}

static const char *meta_of(const void *user, const char *key)
{
    return net_meta(user, key);
}

// As main.c does; false when it is no network for pictures.
static bool guess(struct net *net, const struct reel_settings *settings, const struct model_facts *facts,
                  struct model *out)
{
    int w = 0, h = 0;
    struct reel_shape in[MODEL_MAX_INPUTS], shapes[MODEL_MAX_OUTPUTS];
    if (facts->n_out > MODEL_MAX_OUTPUTS || model_guess_input(facts, settings, out)) return false;
    model_trial_size(out, settings, &w, &h);
    model_input_shapes(out, facts, w, h, in);
    return !net_infer_shapes(net, in, shapes) && !model_guess_output(facts, settings, shapes, w, h, out);
}

enum reel_err calibrate_net(struct net *net, const struct reel_settings *settings, const char *path)
{
    struct ranges *ranges = NULL;
    struct model model;
    if (!calibrate_wanted(net) || net_input_count(net) != 1) return REEL_OK;
    struct net_io *out = calloc((size_t)net_output_count(net) + 1, sizeof *out);
    if (!out) return reel_fail(REEL_ERR_NOMEM, "could not calibrate: no memory");
    for (int i = 0; i < net_output_count(net); i++) out[i] = *net_output(net, i);
    const struct model_facts facts = {.n_in = 1,
                                      .n_out = net_output_count(net),
                                      .in = net_input(net, 0),
                                      .out = out,
                                      .graph = net_graph(net),
                                      .producer = net_producer(net),
                                      .path = path,
                                      .size_multiple = net_size_multiple(net),
                                      .meta = meta_of,
                                      .user = net};
    enum reel_err err = REEL_OK;
    if (guess(net, settings, &facts, &model) && model.input.frames == 1) err = calibrate(net, &model.input, &ranges);
    if (ranges) net_set_ranges(net, ranges);
    free(out);
    return err;
}

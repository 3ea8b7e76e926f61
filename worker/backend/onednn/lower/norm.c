// SPDX-License-Identifier: MIT
//
// InstanceNormalization: of blocked images, and of plain ones as rows. Called by
// image.c.
//
// Two passes, which is what the arithmetic asks for: the moments, then the
// results and what is fused behind them, in place where the input is needed no
// more. Both are cut into chunks, so that one large plane has work for all
// threads; a few planes are done at a time, so that the second pass finds them
// in the caches.
#include <math.h>
#include <string.h>

#include "kernels/norm.h"
#include "worker/backend/onednn/program.h"

#define CHUNK 32768 // floats
// Of the second pass at a time: the epilogue finds them in the first-level cache.
#define PIECE 4096
// Of planes done at a time, for each thread.
#define ROUND_BYTES (512 << 10)

struct norm {
    struct tail tail;
    struct form src, dst;
    size_t pixels;              // of a plane
    int planes, lanes;          // lanes: 1 for plain rows
    int channels, chunks;       // channel planes of an image; chunks of a plane
    const float *scale, *shift; // whole vectors
    float epsilon;
    struct norm_moments *part; // of the chunks of a round
};

struct norm_job {
    const struct norm *n;
    const struct conv_kernels *k;
    struct conv_epilogue e;
    const float *src;
    float *dst;
    int first; // plane of the round
};

static size_t chunk_pixels(const struct norm *n)
{
    return CHUNK / (size_t)n->lanes;
}

// Where chunk u of the round lies, in floats; *out_pixels: how many there are.
static size_t chunk_at(const struct norm_job *j, int u, size_t *out_pixels)
{
    const struct norm *n = j->n;
    const size_t from = (size_t)(u % n->chunks) * chunk_pixels(n), left = n->pixels - from;
    *out_pixels = left < chunk_pixels(n) ? left : chunk_pixels(n);
    return ((size_t)(j->first + u / n->chunks) * n->pixels + from) * (size_t)n->lanes;
}

static void moments_units(void *job, int begin, int end, int thread)
{
    const struct norm_job *j = job;
    for (int u = begin; u < end; u++) {
        size_t pixels;
        const float *src = j->src + chunk_at(j, u, &pixels);
        if (j->n->lanes == 1)
            norm_row_moments(src, pixels, &j->n->part[u]);
        else
            norm_moments(src, pixels, j->n->lanes, &j->n->part[u]);
    }
}

// The factors of a plane, from the first chunk's moments, which hold the plane's.
static void factors(const struct norm *n, int plane, const struct norm_moments *m, float mean[NORM_LANES],
                    float mul[NORM_LANES], float add[NORM_LANES])
{
    const int c = plane % n->channels * n->lanes;
    for (int l = 0; l < n->lanes; l++) {
        mean[l] = (float)m->mean[l];
        mul[l] = (float)((double)n->scale[c + l] / sqrt(m->square[l] / m->count + (double)n->epsilon));
        add[l] = n->shift[c + l];
    }
}

static void apply_units(void *job, int begin, int end, int thread)
{
    const struct norm_job *j = job;
    const struct norm *n = j->n;
    const size_t piece = PIECE / (size_t)n->lanes;
    for (int u = end - 1; u >= begin; u--) { // what was read last is in the cache
        float mean[NORM_LANES], mul[NORM_LANES], add[NORM_LANES];
        const int plane = j->first + u / n->chunks, channel = plane % n->channels, image = plane / n->channels;
        factors(n, plane, &n->part[u / n->chunks * n->chunks], mean, mul, add);
        size_t pixels, at = chunk_at(j, u, &pixels);
        for (size_t count; pixels; pixels -= count, at += count * (size_t)n->lanes) {
            count = pixels < piece ? pixels : piece;
            if (n->lanes == 1) {
                norm_row_apply(j->src + at, j->dst + at, count, *mean, *mul, *add);
                j->k->apply_plain(&j->e, j->dst + at, at, channel, image, (ptrdiff_t)count);
            } else {
                norm_apply(j->src + at, j->dst + at, count, n->lanes, mean, mul, add);
                j->k->apply(&j->e, j->dst + at, at, channel * n->lanes, image, (int)count);
            }
        }
    }
}

static int round_planes(const struct program *p, const struct norm *n)
{
    const size_t bytes = n->pixels * (size_t)n->lanes * sizeof(float);
    const size_t planes = (size_t)pool_threads(p->pool) * ROUND_BYTES / bytes;
    return planes < 1 ? 1 : planes > (size_t)n->planes ? n->planes : (int)planes;
}

static enum reel_err run_norm(struct program *p, struct step *s)
{
    const struct norm *n = s->data;
    struct norm_job job = {n, p->k, bind_tail(p, &n->tail), form_at(p, &n->src), form_at(p, &n->dst), 0};
    const int most = round_planes(p, n);
    for (; job.first < n->planes; job.first += most) {
        const int planes = n->planes - job.first < most ? n->planes - job.first : most;
        pool_run(p->pool, moments_units, &job, planes * n->chunks);
        for (int i = 0; i < planes; i++)
            for (int c = 1; c < n->chunks; c++)
                norm_merge(&n->part[i * n->chunks], &n->part[i * n->chunks + c], n->lanes);
        pool_run(p->pool, apply_units, &job, planes * n->chunks);
    }
    return REEL_OK;
}

static const float *padded_constant(struct program *p, const struct value *v, int channels)
{
    const struct info *c = v ? info_of(p, v) : NULL;
    if (!c || c->dtype != REEL_F32 || c->count != channels || !c->form[LAYOUT_PLAIN].constant) return NULL;
    float *m = program_alloc(p, ((size_t)channels + NORM_LANES) * sizeof(float));
    if (m) memcpy(m, c->form[LAYOUT_PLAIN].constant, (size_t)channels * sizeof(float));
    return m;
}

enum reel_err lower_norm(struct program *p, const struct node *node, bool *out_done)
{
    if (node->n_in < 3) return REEL_OK;
    const struct info *in = info_of(p, node->in[0]);
    struct norm n = {.epsilon = node_attr_float(node, "epsilon", 1e-5f)};
    n.scale = padded_constant(p, node->in[1], in->bs.c);
    n.shift = padded_constant(p, node->in[2], in->bs.c);
    if (!n.scale || !n.shift) return REEL_OK;
    const bool blocked = form_exists(&in->form[LAYOUT_BLOCKED]);
    n.tail.layout = blocked ? LAYOUT_BLOCKED : LAYOUT_PLAIN;
    n.lanes = blocked ? in->bs.lanes : 1;
    n.channels = blocked ? blocked_count(&in->bs) : in->bs.c;
    n.planes = in->bs.n * n.channels;
    n.pixels = (size_t)in->bs.h * (size_t)in->bs.w;
    n.chunks = (int)((n.pixels + chunk_pixels(&n) - 1) / chunk_pixels(&n));
    n.part = program_alloc(p, sizeof *n.part * (size_t)round_planes(p, &n) * (size_t)n.chunks);
    enum reel_err err = n.part ? need_form(p, node->in[0], n.tail.layout, &n.src) : no_memory(node);
    if (!err) err = take_form(p, node->out[0], n.tail.layout, &n.src, 1, &n.dst);
    struct step *s =
        err ? NULL : add_step(p, node, blocked ? "instance norm" : "instance norm plain", run_norm, sizeof n);
    if (!s) return err ? err : no_memory(node);
    *(struct norm *)s->data = n;
    s->tail = &((struct norm *)s->data)->tail;
    touch(p, &n.src, p->n_steps - 1);
    touch(p, &n.dst, p->n_steps - 1);
    *out_done = true;
    return finish_epilogue(p, node, 0);
}

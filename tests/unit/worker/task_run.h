// SPDX-License-Identifier: MIT
//
// A task with its model and slots, for tests: opened as intake.c does it.
#ifndef REEL_TESTS_UNIT_WORKER_TASK_RUN_H
#define REEL_TESTS_UNIT_WORKER_TASK_RUN_H

#include <math.h>
#include <unistd.h>

#include "tests/check.h"
#include "worker/task/task.h"
#include "worker/tiling.h"

static struct reel_settings settings;
static const char *task_run_backend = "onednn";

struct run {
    struct engines *engines;
    struct model model;
    struct task task;
};

static int task_run_up(int v, int multiple)
{
    return multiple > 1 ? (v + multiple - 1) / multiple * multiple : v;
}

// parts: of a frame over several workers, in tiles of about tile_w (0: as wide
// as the frame) x tile_h that keep all bits; 1: in tiles for one; 0: whole.
static enum reel_err open_parts(struct run *r, const char *path, int w, int h, struct reel_pixel_format format,
                                int parts, int tile_w, int tile_h, int location)
{
    struct engine_params ep = {
        .path = path, .backend = task_run_backend, .backend_params = {.threads = 1}, .settings = &settings};
    struct reel_shape shapes[MODEL_MAX_OUTPUTS];
    int tw, th;
    *r = (struct run){0};
    enum reel_err err = engines_open(&ep, &r->engines);
    if (!err) err = model_guess_input(engines_facts(r->engines), &settings, &r->model);
    if (err) return err;
    model_trial_size(&r->model, &settings, &tw, &th);
    err = engines_infer(r->engines, &r->model, tw, th, shapes);
    if (!err) err = model_guess_output(engines_facts(r->engines), &settings, shapes, tw, th, &r->model);
    if (err) return err;
    struct task *t = &r->task;
    *t = (struct task){.ops = task_find(r->model.task), .settings = &settings, .model = &r->model};
    if ((err = reel_geometry_init(&t->in, format, (uint32_t)w, (uint32_t)h, 0))) return err;
    t->media.colour.matrix = t->out_colour.matrix = 6;
    t->media.colour.chroma_location = t->out_colour.chroma_location = (uint8_t)location;
    struct view_params p = {.fit = r->model.input.fit,
                            .src_w = w,
                            .src_h = h,
                            .net_w = r->model.input.width,
                            .net_h = r->model.input.height,
                            .size_multiple = r->model.input.size_multiple};
    if (p.fit == MODEL_TILES) {
        p.parts = parts;
        tiling_reach(&p, engines_reach(r->engines, &r->model, false));
    } else if (parts) {
        p.fit = MODEL_TILES, p.parts = parts, p.bits = true;
        tiling_reach(&p, engines_reach(r->engines, &r->model, true));
        int pad_w = task_run_up(w, p.size_multiple), pad_h = task_run_up(h, p.size_multiple);
        p.net_w = tile_w ? tile_w + (pad_w - tile_w) % p.align : pad_w;
        p.net_h = tile_h + (pad_h - tile_h) % p.align;
    }
    if ((err = view_init(&t->view, &p))) return err;
    if ((err = engines_infer(r->engines, &r->model, t->view.net_w, t->view.net_h, t->out_shapes))) return err;
    struct reel_rec_shaped shaped = {0};
    if ((err = t->ops->shape(t, &shaped))) return err;
    if ((err = reel_geometry_init(&t->out, shaped.format, shaped.width, shaped.height, shaped.results_bytes)))
        return err;
    return t->ops->open ? t->ops->open(t) : REEL_OK;
}

__attribute__((unused)) static enum reel_err open_run(struct run *r, const char *path, int w, int h,
                                                      struct reel_pixel_format format)
{
    return open_parts(r, path, w, h, format, 0, 0, 0, 0);
}

static void close_run(struct run *r)
{
    if (r->task.ops && r->task.ops->close) r->task.ops->close(&r->task);
    task_free_scratch(&r->task);
    engines_close(&r->engines);
}

static enum reel_err run_part(struct run *r, const uint8_t *in, uint8_t *out, uint32_t part)
{
    struct engine *engine;
    enum reel_err err = engines_get(r->engines, &r->model, r->task.view.net_w, r->task.view.net_h, 1, &engine);
    struct task_frame f = {.in = in, .out = out, .aux = out + r->task.out.aux_offset, .part = part};
    return err ? err : r->task.ops->run(&r->task, engine, &f);
}

__attribute__((unused)) static enum reel_err run_frame(struct run *r, const uint8_t *in, uint8_t *out)
{
    return run_part(r, in, out, 0);
}

// Smooth shapes with noise, so that the network has something to do.
static void fill_picture(struct run *r, uint8_t *slot)
{
    uint64_t seed = 4;
    for (int i = 0; i < 3; i++) {
        uint32_t w, h;
        reel_plane_size(&r->task.in, i, &w, &h);
        int deep = r->task.in.format.depth - 8;
        for (uint32_t y = 0; y < h; y++)
            for (uint32_t x = 0; x < w; x++) {
                double v = 128 + 60 * sin(x * 0.07 + i) * cos(y * 0.05) + (double)(check_rand(&seed) >> 59);
                uint8_t *row = slot + r->task.in.plane_offset[i] + y * r->task.in.plane_stride[i];
                if (deep)
                    ((uint16_t *)row)[x] = (uint16_t)(v * (1 << deep));
                else
                    row[x] = (uint8_t)v;
            }
    }
}

#endif

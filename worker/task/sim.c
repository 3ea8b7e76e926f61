// SPDX-License-Identifier: MIT
//
// The task of the simulated backend, without a network: the output is the input picture with a stamp
// that tests can read.
//
// The stamp: where the picture is at least 128 x 64, the luma (GBR: all
// planes) of its upper left corner is a grid of 16 x 16 blocks, 8 to a row;
// block i (from 0, row by row) is white when bit i of the frame's number n in
// its lane is set, else black; chroma is neutral there. At 128 x 128 and more,
// four further rows hold the lower 32 bits of the frame's PTS in the same way.
#include <string.h>

#include "worker/task/task.h"

#define BLOCK 16
#define ACROSS 8

static enum reel_err sim_shape(const struct task *task, struct reel_rec_shaped *shaped)
{
    shaped->width = task->in.width;
    shaped->height = task->in.height;
    shaped->format = task->in.format;
    shaped->results_bytes = (uint32_t)sizeof(struct reel_results);
    shaped->memory_bytes = 1 << 20;
    return REEL_OK;
}

// The output rows of a part. Only the first part has the stamp.
static void rows_of(const struct task *task, const struct task_frame *frame, int *out_y0, int *out_y1)
{
    int h = (int)task->in.height, parts = task->view.parts > 1 ? task->view.parts : 1, y[2];
    for (int i = 0; i < 2; i++) {
        int part = (int)frame->part + i;
        y[i] = (int)((int64_t)h * part / parts) / 4 * 4; // whole chroma rows
        if (part > 0 && y[i] < 8 * BLOCK) y[i] = 8 * BLOCK;
        if (part == parts || y[i] > h) y[i] = h;
    }
    *out_y0 = y[0], *out_y1 = y[1];
}

static void copy_picture(const struct yuv_picture *from, const struct yuv_picture *to, int planes, int y0, int y1)
{
    for (int i = 0; i < planes; i++) {
        bool chroma = i > 0 && from->layout != YUV_GBR;
        int f = chroma ? 1 << from->log2_ch : 1;
        size_t rows = (size_t)((y1 + f - 1) / f);
        size_t n = (size_t)(chroma ? yuv_chroma_width(from) : from->width);
        if (chroma && from->layout == YUV_NV) n *= 2;
        n *= from->depth > 8 ? 2 : 1;
        for (size_t y = (size_t)(y0 / f); y < rows; y++)
            memcpy(to->plane[i] + y * to->stride[i], from->plane[i] + y * from->stride[i], n);
    }
}

static enum reel_err convert_picture(struct task *task, const struct yuv_picture *from, const struct yuv_picture *to,
                                     int y0, int y1)
{
    size_t pixels = (size_t)from->width * (size_t)from->height;
    float *data = task_scratch(task, 3 * pixels + yuv_scratch_floats(from->width));
    if (!data) return reel_fail(REEL_ERR_NOMEM, "could not convert a picture: out of memory");
    struct rgb_view v = {.c = {data, data + pixels, data + 2 * pixels},
                         .row = (size_t)from->width,
                         .px = 1,
                         .width = from->width,
                         .height = from->height,
                         .gain = {1, 1, 1}};
    int above = y0 - YUV_ROWS_AROUND, below = y1 + YUV_ROWS_AROUND;
    yuv_to_rgb_rows(from, &v, above > 0 ? above : 0, below < v.height ? below : v.height, data + 3 * pixels);
    yuv_from_rgb_rows(to, &v, y0, y1, data + 3 * pixels);
    return REEL_OK;
}

static void fill(const struct yuv_picture *p, int plane, int x0, int y0, int w, int h, int value)
{
    for (int y = y0; y < y0 + h; y++) {
        uint8_t *row = p->plane[plane] + (size_t)y * p->stride[plane];
        for (int x = x0; x < x0 + w; x++) {
            if (p->depth > 8)
                ((uint16_t *)row)[x] = (uint16_t)(value << p->shift);
            else
                row[x] = (uint8_t)value;
        }
    }
}

static void stamp_bits(const struct yuv_picture *p, int top, uint32_t bits)
{
    int unit = 1 << (p->depth - 8), full = (1 << p->depth) - 1;
    int black = p->full ? 0 : 16 * unit, white = p->full ? full : 235 * unit;
    for (int i = 0; i < 32; i++) {
        int x = i % ACROSS * BLOCK, y = top + i / ACROSS * BLOCK, v = bits >> i & 1 ? white : black;
        fill(p, 0, x, y, BLOCK, BLOCK, v);
        if (p->layout == YUV_GBR) fill(p, 1, x, y, BLOCK, BLOCK, v), fill(p, 2, x, y, BLOCK, BLOCK, v);
    }
    if (p->layout != YUV_PLANAR && p->layout != YUV_NV) return;
    int w = ACROSS * BLOCK >> p->log2_cw, h = 4 * BLOCK >> p->log2_ch, y = top >> p->log2_ch;
    fill(p, 1, 0, y, p->layout == YUV_NV ? 2 * w : w, h, 128 * unit);
    if (p->layout == YUV_PLANAR) fill(p, 2, 0, y, w, h, 128 * unit);
}

static enum reel_err sim_run(struct task *task, struct engine *engine, struct task_frame *frame)
{
    const struct reel_geometry *in = &task->in, *out = &task->out;
    if (out->format.layout != REEL_PIX_NONE) {
        if (out->width != in->width || out->height != in->height)
            return reel_fail(REEL_ERR_PROTO, "could not simulate a model: the output is %ux%u, the input %ux%u",
                             out->width, out->height, in->width, in->height);
        struct yuv_picture from = task_picture(in, &task->media.colour, frame->in);
        struct yuv_picture to = task_picture(out, &task->out_colour, frame->out);
        enum reel_err err = REEL_OK;
        int y0, y1;
        rows_of(task, frame, &y0, &y1);
        const bool alike = !memcmp(&in->format, &out->format, sizeof in->format) && from.full == to.full &&
                           (from.matrix == to.matrix || in->format.layout != REEL_PIX_YUV);
        if (alike)
            copy_picture(&from, &to, reel_format_planes(in->format), y0, y1);
        else if (y0 < y1)
            err = convert_picture(task, &from, &to, y0, y1);
        if (err) return err;
        bool stamps = !frame->part && to.width >= ACROSS * BLOCK;
        if (stamps && to.height >= 4 * BLOCK) stamp_bits(&to, 0, frame->n);
        if (stamps && to.height >= 8 * BLOCK) stamp_bits(&to, 4 * BLOCK, (uint32_t)frame->pts);
    }
    return engine_run(engine, &frame->run_us);
}

const struct task_ops task_sim = {.name = "sim", .shape = sim_shape, .run = sim_run};

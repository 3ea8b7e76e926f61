// SPDX-License-Identifier: MIT
//
// Networks that make pictures between two frames. For each frame all pictures between it and the
// next one are written into its output slot, by the picture task (image.c). A network that takes a
// time gets the two frames and the time; others get the two pictures, original or made, in whose
// middle the new one lies.
//
// No picture is made across a cut or after the last frame. The slot's results say for each picture
// which frame is shown instead (enum reel_between).
#include <stdio.h>

#include "common/log.h"
#include "kernels/cut.h"
#include "worker/task/between.h"
#include "worker/task/image.h"

#define MARKS_BYTES 8 // size of the results: one byte per picture
_Static_assert(MARKS_BYTES >= REEL_MAX_RATE - 1, "a mark for each picture");

static enum reel_err between_shape(const struct task *task, struct reel_rec_shaped *shaped)
{
    enum reel_err err = task_image.shape(task, shaped);
    if (err) return err;
    if (shaped->width != task->in.width || shaped->height != task->in.height)
        return reel_fail(
            REEL_ERR_UNSUPPORTED,
            "could not use model: from frames of %ux%u it makes pictures of %ux%u, which cannot lie between them",
            task->in.width, task->in.height, shaped->width, shaped->height);
    shaped->results_bytes += MARKS_BYTES;
    return REEL_OK;
}

static enum reel_err between_open(struct task *task)
{
    if (task->out.pictures != (uint32_t)task->model->rate - 1)
        return reel_fail(REEL_ERR_PROTO, "could not make %d pictures a frame: the output slot has room for %u",
                         task->model->rate - 1, task->out.pictures);
    return task_image.open(task);
}

static void between_close(struct task *task)
{
    task_image.close(task);
}

// ---- the order of the pictures ------------------------------------------------

int between_steps(const struct model *model, struct between_step out[REEL_MAX_RATE - 1])
{
    const struct model_input *in = &model->input;
    const int rate = model->rate;
    int n = 0;
    if (in->planes || in->time_input >= 0) {
        for (int k = 1; k < rate; k++) out[n++] = (struct between_step){0, rate, k, (float)k / (float)rate};
        return n;
    }
    // The middle first, then the middle of each half, and so on.
    for (int step = rate; step > 1; step /= 2)
        for (int from = 0; from < rate; from += step)
            out[n++] = (struct between_step){from, from + step, from + step / 2, 0.5f};
    return n;
}

bool between_is_made(const struct model *model, int k)
{
    return k > 0 && k < model->rate;
}

size_t between_offset(const struct task *task, int k)
{
    return (size_t)(k - 1) * task->out.picture_bytes;
}

bool between_is_cut(const struct task *task, uint32_t n, double differ)
{
    reel_trace("between", "frame %u and the next: %.3f", n, differ);
    if (differ <= task->settings->scene_cut) return false;
    reel_debug("between", "a cut behind frame %u (%.3f)", n, differ);
    return true;
}

void between_say(const struct task *task, struct task_frame *frame, bool makes)
{
    const int rate = task->model->rate;
    uint8_t marks[MARKS_BYTES];
    // If none is made, the nearest frame is shown; the earlier one if both are equally near.
    for (int k = 1; k < rate && k <= MARKS_BYTES; k++)
        marks[k - 1] = makes                          ? REEL_BETWEEN_MADE
                       : frame->after && 2 * k > rate ? REEL_BETWEEN_BEHIND
                                                      : REEL_BETWEEN_BEFORE;
    task_put_results(task, frame, REEL_TASK_IMAGE, marks, (uint32_t)rate - 1, 1);
}

// ---- on the host --------------------------------------------------------------

// Whether the next frame shows another scene.
static bool is_cut(const struct task *task, const struct task_frame *frame)
{
    const struct yuv_picture a = task_picture(&task->in, &task->media.colour, frame->seen[0]);
    const struct yuv_picture b = task_picture(&task->in, &task->media.colour, frame->seen[1]);
    return between_is_cut(task, frame->n, cut_between(&a, &b));
}

static const uint8_t *picture_at(const struct task *task, const struct task_frame *frame, int k, bool *out_made)
{
    *out_made = between_is_made(task->model, k);
    return *out_made ? frame->out + between_offset(task, k) : frame->seen[k > 0];
}

// Makes one picture. fed: the two frames are in the network's input already.
static enum reel_err make(struct task *task, struct engine *engine, struct task_frame *frame,
                          const struct between_step *step, bool fed)
{
    struct task_frame one = *frame;
    one.seen[0] = picture_at(task, frame, step->from, &one.made[0]);
    one.seen[1] = picture_at(task, frame, step->to, &one.made[1]);
    one.out = frame->out + between_offset(task, step->at);
    one.time = step->time;
    one.fed = fed && task->view.fit != MODEL_TILES;
    one.run_us = 0;
    enum reel_err err = task_image.run(task, engine, &one);
    frame->run_us += one.run_us;
    if (task->on_step) task->on_step(task->user);
    return err;
}

static enum reel_err between_run(struct task *task, struct engine *engine, struct task_frame *frame)
{
    struct between_step step[REEL_MAX_RATE - 1];
    const bool makes = frame->after && !is_cut(task, frame);
    const int n = makes ? between_steps(task->model, step) : 0;
    enum reel_err err = REEL_OK;
    for (int i = 0; i < n && !err; i++) {
        const bool fed = i && step[i].from == step[i - 1].from && step[i].to == step[i - 1].to;
        err = make(task, engine, frame, &step[i], fed);
    }
    if (!err) between_say(task, frame, makes);
    return err;
}

const struct task_ops task_between = {
    .name = "between", .shape = between_shape, .open = between_open, .close = between_close, .run = between_run};

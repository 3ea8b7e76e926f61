// SPDX-License-Identifier: MIT
//
// Optical flow: where each pixel of a frame has gone in the next one. The network's
// motions are brought to the frame's size and into its pixels. The picture that is made
// shows them by colour (kernels/wheel.h); where the output takes numbers they are results.
// Nothing follows the last frame: as a picture it does not move, as numbers it is unknown.
#include <stdlib.h>
#include <string.h>

#include "kernels/wheel.h"
#include "worker/task/task.h"

#define LEAST_LENGTH 1e-3f // of the scale: where nothing moves, noise has no colours
#define USUAL_SHARE 32     // of the frame's width has full colour, unless the settings say otherwise

struct flow_state {
    struct wheel wheel;
    float *motion; // u, v planes of the frame's size
    float *canvas; // R, G, B planes of the frame's size; NULL: numbers are the output
};

static enum reel_err no_memory(void)
{
    return reel_fail(REEL_ERR_NOMEM, "could not draw optical flow: out of memory");
}

static void flow_close(struct task *task)
{
    struct flow_state *s = task->state;
    if (!s) return;
    free(s->motion);
    free(s->canvas);
    free(s);
    task->state = NULL;
}

static uint64_t numbers_bytes(const struct task *task)
{
    return sizeof(struct reel_results) + sizeof(struct reel_motion) * (uint64_t)task->in.width * task->in.height;
}

static enum reel_err flow_shape(const struct task *task, struct reel_rec_shaped *shaped)
{
    if (!task->numbers) return task_shape_in_colour(task, shaped);
    const uint64_t bytes = numbers_bytes(task);
    if (bytes > 1u << 30)
        return reel_fail(REEL_ERR_UNSUPPORTED,
                         "could not pass on the motion of frames of %ux%u: it has %llu MB, at "
                         "most 1024 are possible",
                         task->in.width, task->in.height, (unsigned long long)(bytes >> 20));
    shaped->results_bytes = (uint32_t)bytes;
    return REEL_OK;
}

// Whether the output slot is what was asked for.
static enum reel_err check_slot(const struct task *task)
{
    if (!task->numbers) return task_check_in_colour(task, "draw optical flow");
    if (task->out.aux_bytes >= numbers_bytes(task)) return REEL_OK;
    return reel_fail(REEL_ERR_PROTO, "could not pass on the motion of frames of %ux%u: the output slot has %u bytes",
                     task->in.width, task->in.height, task->out.aux_bytes);
}

static enum reel_err flow_open(struct task *task)
{
    const enum reel_err err = check_slot(task);
    if (err) return err;
    struct flow_state *s = calloc(1, sizeof *s);
    if (!s) return no_memory();
    task->state = s;
    wheel_init(&s->wheel);
    const size_t plane = (size_t)task->in.width * task->in.height;
    s->motion = malloc(2 * sizeof(float) * plane);
    if (!task->numbers) s->canvas = malloc(3 * sizeof(float) * plane);
    if (s->motion && (s->canvas || task->numbers)) return REEL_OK;
    flow_close(task);
    return no_memory();
}

// ---- the network's motions in the frame's pixels ----------------------------------

struct motions {
    const struct task *task;
    const float *data; // of the network's output
    int w, h;
    size_t step_c, step_x, step_y;
    float *u, *v; // planes of the frame's size
};

static void read_motions(void *user, int y, float *const *rows)
{
    const struct motions *m = user;
    for (int c = 0; c < 2; c++)
        for (int x = 0; x < m->w; x++)
            rows[c][x] = m->data[(size_t)c * m->step_c + (size_t)y * m->step_y + (size_t)x * m->step_x];
}

static void write_motions(void *user, int y, float *const *rows)
{
    const struct motions *m = user;
    const struct view *v = &m->task->view;
    const size_t n = (size_t)v->src_w, at = (size_t)y * n;
    for (size_t x = 0; x < n; x++) {
        m->u[at + x] = rows[0][x] * (float)v->scale_x;
        m->v[at + x] = rows[1][x] * (float)v->scale_y;
    }
}

static enum reel_err read_shape(const struct task *task, const struct reel_tensor *t, struct motions *m)
{
    const bool nhwc = task->model->output.nhwc;
    const struct view *v = &task->view;
    const int first = t->shape.ndim - 3;
    const int64_t *d = t->shape.dim + (first > 0 ? first : 0);
    char text[96];
    m->h = v->net_h, m->w = v->net_w;
    if (!t->data || first < 0 || d[nhwc ? 2 : 0] != 2 || d[nhwc ? 0 : 1] != m->h || d[nhwc ? 1 : 2] != m->w ||
        reel_shape_count(&t->shape) != (int64_t)2 * m->h * m->w)
        return reel_fail(REEL_ERR_UNSUPPORTED, "could not read optical flow: for frames of %dx%d it has shape %s", m->w,
                         m->h, reel_shape_text(&t->shape, text, sizeof text));
    m->data = t->data;
    m->step_c = nhwc ? 1 : (size_t)m->h * (size_t)m->w;
    m->step_x = nhwc ? 2 : 1;
    m->step_y = (size_t)m->w * m->step_x;
    return REEL_OK;
}

static enum reel_err read_flow(struct task *task, const struct reel_tensor *t)
{
    const struct view *v = &task->view;
    const struct flow_state *s = task->state;
    struct motions m = {.task = task, .u = s->motion, .v = s->motion + (size_t)v->src_w * (size_t)v->src_h};
    enum reel_err err = read_shape(task, t, &m);
    if (err) return err;
    struct resize_axis x = {0}, y = {0};
    float *scratch = NULL;
    const double per_x = 1 / v->scale_x, per_y = 1 / v->scale_y;
    if (resize_axis_init(&x, RESIZE_LINEAR, m.w, v->src_w, v->pic_x + (0.5 - v->shift_x) * per_x - 0.5, per_x) &&
        resize_axis_init(&y, RESIZE_LINEAR, m.h, v->src_h, v->pic_y + (0.5 - v->shift_y) * per_y - 0.5, per_y))
        scratch = task_scratch(task, resize_scratch_floats(&x, &y, 2));
    if (scratch) resize_rows(&x, &y, 2, read_motions, write_motions, &m, scratch);
    resize_axis_fini(&x);
    resize_axis_fini(&y);
    return scratch ? REEL_OK : no_memory();
}

// ---- a frame ----------------------------------------------------------------------

// The length that has full colour, in the frame's pixels.
static float scale_of(const struct task *task, size_t pixels)
{
    const struct flow_state *s = task->state;
    if (task->settings->flow.per_frame) return wheel_longest(s->motion, s->motion + pixels, pixels, LEAST_LENGTH);
    if (task->settings->flow.most > 0) return (float)task->settings->flow.most;
    return (float)task->out.width / USUAL_SHARE;
}

static enum reel_err draw(struct task *task, uint8_t *out)
{
    const struct flow_state *s = task->state;
    struct yuv_picture dst = task_picture(&task->out, &task->out_colour, out);
    const size_t w = (size_t)dst.width, plane = w * (size_t)dst.height;
    const float most = scale_of(task, plane);
    float *r = s->canvas, *g = r + plane, *b = g + plane;
    wheel_row(&s->wheel, s->motion, s->motion + plane, most, r, g, b, (int)plane);
    const struct rgb_view v = {
        .c = {r, g, b}, .row = w, .px = 1, .width = dst.width, .height = dst.height, .gain = {1, 1, 1}};
    float *scratch = task_scratch(task, yuv_scratch_floats(dst.width));
    if (!scratch) return no_memory();
    yuv_from_rgb(&dst, &v, scratch);
    return REEL_OK;
}

// u and v of each pixel, beside each other.
static void put_numbers(struct task *task, struct task_frame *frame)
{
    const struct flow_state *s = task->state;
    const size_t n = (size_t)task->in.width * task->in.height;
    const struct reel_results head = {
        .task = REEL_TASK_FLOW, .count = (uint32_t)n, .bytes = (uint32_t)(n * sizeof(struct reel_motion))};
    memcpy(frame->aux, &head, sizeof head);
    uint8_t *to = frame->aux + sizeof head;
    for (size_t i = 0; i < n; i++, to += sizeof(struct reel_motion))
        memcpy(to, &(struct reel_motion){s->motion[i], s->motion[n + i]}, sizeof(struct reel_motion));
    frame->aux_bytes = (uint32_t)sizeof head + head.bytes;
}

static enum reel_err flow_run(struct task *task, struct engine *engine, struct task_frame *frame)
{
    struct flow_state *s = task->state;
    enum reel_err err = REEL_OK;
    if (frame->after) {
        err = task_feed(task, engine, frame);
        if (!err) err = engine_run(engine, &frame->run_us);
        if (!err) err = read_flow(task, engine_output(engine, task->model->output.index));
    } else {
        const float still = task->numbers ? REEL_MOTION_UNKNOWN : 0;
        for (size_t i = 0; i < 2 * (size_t)task->in.width * task->in.height; i++) s->motion[i] = still;
    }
    if (!err && task->numbers) put_numbers(task, frame);
    if (err || task->numbers) return err;
    err = draw(task, frame->out);
    if (!err) task_put_results(task, frame, REEL_TASK_IMAGE, NULL, 0, 1);
    return err;
}

const struct task_ops task_flow = {
    .name = "flow", .shape = flow_shape, .open = flow_open, .close = flow_close, .run = flow_run};

// SPDX-License-Identifier: MIT
//
// Networks that add colour. The frame's luma, as gray, is resized to the network's size. The
// resulting colours are resized to the frame's size and combined with the frame's own luma, so that
// no detail is lost even with a small network.
//
// If the network gives ab of CIE Lab, that is used directly (kernels/lab.h); of a whole picture only
// the chroma is used. The frame's own chroma is ignored.
#include <stdlib.h>
#include <string.h>

#include "kernels/lab.h"
#include "kernels/math.h"
#include "worker/task/task.h"

struct colorize_state {
    struct lab_tables tables;
    float *gray;   // net_h x net_w
    float *canvas; // R, G, B planes of the frame's size
};

static void colorize_close(struct task *task)
{
    struct colorize_state *s = task->state;
    if (!s) return;
    free(s->gray);
    free(s->canvas);
    free(s);
    task->state = NULL;
}

static enum reel_err out_of_memory(void)
{
    return reel_fail(REEL_ERR_NOMEM, "could not colour a picture: out of memory");
}

static enum reel_err colorize_open(struct task *task)
{
    const enum reel_err err = task_check_in_colour(task, "colour a picture");
    if (err) return err;
    struct colorize_state *s = calloc(1, sizeof *s);
    if (!s) return out_of_memory();
    task->state = s;
    lab_tables_init(&s->tables);
    s->gray = malloc(sizeof(float) * (size_t)task->view.net_w * (size_t)task->view.net_h);
    s->canvas = malloc(3 * sizeof(float) * (size_t)task->out.width * task->out.height);
    if (s->gray && s->canvas) return REEL_OK;
    colorize_close(task);
    return out_of_memory();
}

// ---- gray into the network ------------------------------------------------------

struct feeder {
    const struct task *task;
    const struct yuv_picture *src;
    float *scratch;
};

static void read_gray(void *user, int y, float *const *rows)
{
    const struct feeder *f = user;
    yuv_read_luma_row(f->src, y, rows[0], f->scratch);
}

static void write_gray(void *user, int y, float *const *rows)
{
    const struct feeder *f = user;
    const struct view *v = &f->task->view;
    const struct colorize_state *s = f->task->state;
    memcpy(s->gray + (size_t)(v->pic_y + y) * (size_t)v->net_w + (size_t)v->pic_x, rows[0],
           (size_t)v->pic_w * sizeof *rows[0]);
}

// Resizes the frame's luma to the network's size; if the aspect ratios differ, the rest is gray.
static enum reel_err shrink_gray(struct task *task, const struct yuv_picture *src)
{
    const struct view *v = &task->view;
    const struct colorize_state *s = task->state;
    struct feeder f = {task, src, NULL};
    struct resize_axis x, y;
    const size_t reader = yuv_scratch_floats(src->width), pixels = (size_t)v->net_w * (size_t)v->net_h;
    if (v->pic_w != v->net_w || v->pic_h != v->net_h)
        for (size_t i = 0; i < pixels; i++) s->gray[i] = 114 / 255.0f;
    if (task_feed_axes(task, &x, &y)) f.scratch = task_scratch(task, reader + resize_scratch_floats(&x, &y, 1));
    if (f.scratch) resize_rows(&x, &y, 1, read_gray, write_gray, &f, f.scratch + reader);
    resize_axis_fini(&x);
    resize_axis_fini(&y);
    return f.scratch ? REEL_OK : out_of_memory();
}

// Writes the gray as L, luma, or R G B into the network's input tensor.
static void store_gray(const struct task *task, float *data)
{
    const struct model_input *in = &task->model->input;
    const struct colorize_state *s = task->state;
    const size_t pixels = (size_t)task->view.net_w * (size_t)task->view.net_h;
    if (in->lightness) {
        lab_lightness_row(&s->tables, s->gray, data, (int)pixels, in->gain[0], in->bias[0]);
        return;
    }
    for (int i = 0; i < in->channels; i++) {
        const size_t channel = (size_t)(in->bgr ? in->channels - 1 - i : i);
        const size_t px = in->nhwc ? (size_t)in->channels : 1;
        float *to = data + (in->nhwc ? channel : channel * pixels);
        for (size_t k = 0; k < pixels; k++) to[k * px] = kern_clip01_f32(s->gray[k]) * in->gain[i] + in->bias[i];
    }
}

// ---- colours onto the frame ----------------------------------------------------------

struct joiner {
    const struct task *task;
    const struct yuv_picture *src;
    const float *data; // the network's output
    int width, height, planes;
    int x0, y0, columns; // the part of the output that belongs to the picture
    size_t step_c, step_x, step_y;
    float kr, kb; // weights of red and blue in the frame's luma
    float *luma, *scratch;
};

static void read_colours(void *user, int y, float *const *rows)
{
    const struct joiner *j = user;
    const struct model_output *o = &j->task->model->output;
    const int n = j->columns;
    for (int i = 0; i < j->planes; i++) {
        const size_t channel = (size_t)(o->bgr ? j->planes - 1 - i : i);
        const float *from = j->data + channel * j->step_c + (size_t)(j->y0 + y) * j->step_y + (size_t)j->x0 * j->step_x;
        for (int x = 0; x < n; x++) rows[i][x] = from[(size_t)x * j->step_x] * o->gain[i] + o->bias[i];
    }
}

static void join_row(void *user, int y, float *const *rows)
{
    const struct joiner *j = user;
    const struct colorize_state *s = j->task->state;
    const int n = j->src->width;
    const size_t plane = (size_t)n * (size_t)j->src->height;
    float *r = s->canvas + (size_t)y * (size_t)n, *g = r + plane, *b = g + plane;
    yuv_read_luma_row(j->src, y, j->luma, j->scratch);
    if (j->planes == 2) {
        lab_to_rgb_row(&s->tables, j->luma, rows[0], rows[1], r, g, b, n);
        return;
    }
    float *const to[3] = {r, g, b};
    for (int i = 0; i < 3; i++) memcpy(to[i], rows[i], (size_t)n * sizeof *r);
    lab_move_luma_row(j->luma, r, g, b, n, j->kr, j->kb);
}

static enum reel_err read_shape(const struct task *task, const struct reel_tensor *t, struct joiner *j)
{
    const struct model_output *o = &task->model->output;
    const int first = t->shape.ndim - 3;
    const int64_t *d = t->shape.dim + (first > 0 ? first : 0);
    const int64_t c = first < 0 ? 0 : d[o->nhwc ? 2 : 0], h = first < 0 ? 0 : d[o->nhwc ? 0 : 1];
    const int64_t w = first < 0 ? 0 : d[o->nhwc ? 1 : 2];
    char text[96];
    if (!t->data || c != o->channels || h < 1 || w < 1 || h > 32768 || w > 32768 ||
        c * h * w != reel_shape_count(&t->shape))
        return reel_fail(REEL_ERR_UNSUPPORTED, "could not read the network's colours: shape %s",
                         reel_shape_text(&t->shape, text, sizeof text));
    j->data = t->data;
    j->planes = (int)c, j->width = (int)w, j->height = (int)h;
    j->step_c = o->nhwc ? 1 : (size_t)(h * w);
    j->step_x = o->nhwc ? (size_t)c : 1;
    j->step_y = (size_t)w * j->step_x;
    return REEL_OK;
}

// An axis of a view: the network's extent, the picture's place in it, the source's extent, and
// how source positions become the network's.
struct back {
    int net, picture, picture_n, src;
    double scale, shift;
};

// For resizing the network's output (n values) to the source along an axis. Uses only values that
// lie completely inside the picture, because the network has seen borders beyond its edges.
static bool back_axis(const struct back *b, int n, struct resize_axis *axis, int *out_first)
{
    const int64_t first = ((int64_t)b->picture * n + b->net - 1) / b->net;
    const int64_t end = (int64_t)(b->picture + b->picture_n) * n / b->net;
    const double step = (double)n / b->net / b->scale;
    *out_first = (int)(first < n ? first : n - 1);
    const int count = end > *out_first ? (int)end - *out_first : 1;
    return resize_axis_init(axis, RESIZE_LINEAR, count, b->src, (0.5 - b->shift) * step - 0.5 - *out_first, step);
}

static bool back_axes(struct joiner *j, struct resize_axis *x, struct resize_axis *y)
{
    const struct view *v = &j->task->view;
    const struct back columns = {v->net_w, v->pic_x, v->pic_w, v->src_w, v->scale_x, v->shift_x};
    const struct back rows = {v->net_h, v->pic_y, v->pic_h, v->src_h, v->scale_y, v->shift_y};
    *x = *y = (struct resize_axis){0};
    return back_axis(&columns, j->width, x, &j->x0) && back_axis(&rows, j->height, y, &j->y0);
}

// Combines the network's colours with the frame's luma, as R, G, B in the canvas.
static enum reel_err join(struct task *task, const struct yuv_picture *src, const struct reel_tensor *made)
{
    struct joiner j = {.task = task, .src = src};
    enum reel_err err = read_shape(task, made, &j);
    if (err) return err;
    double kr, kb;
    yuv_matrix_weights(src->matrix, &kr, &kb);
    j.kr = (float)kr, j.kb = (float)kb;
    struct resize_axis x, y;
    const size_t reader = yuv_scratch_floats(src->width), luma = ((size_t)src->width + 15) / 16 * 16;
    if (back_axes(&j, &x, &y)) j.scratch = task_scratch(task, reader + luma + resize_scratch_floats(&x, &y, j.planes));
    if (j.scratch) {
        j.luma = j.scratch + reader, j.columns = x.n_in;
        resize_rows(&x, &y, j.planes, read_colours, join_row, &j, j.luma + luma);
    }
    resize_axis_fini(&x);
    resize_axis_fini(&y);
    return j.scratch ? REEL_OK : out_of_memory();
}

// ---- a frame --------------------------------------------------------------------------

static enum reel_err write_canvas(struct task *task, uint8_t *out)
{
    const struct colorize_state *s = task->state;
    struct yuv_picture dst = task_picture(&task->out, &task->out_colour, out);
    const size_t plane = (size_t)dst.width * (size_t)dst.height;
    const struct rgb_view v = {.c = {s->canvas, s->canvas + plane, s->canvas + 2 * plane},
                               .row = (size_t)dst.width,
                               .px = 1,
                               .width = dst.width,
                               .height = dst.height,
                               .gain = {1, 1, 1}};
    float *scratch = task_scratch(task, yuv_scratch_floats(dst.width));
    if (!scratch) return out_of_memory();
    yuv_from_rgb(&dst, &v, scratch);
    return REEL_OK;
}

static enum reel_err colorize_run(struct task *task, struct engine *engine, struct task_frame *frame)
{
    const struct yuv_picture src = task_picture(&task->in, &task->media.colour, frame->in);
    enum reel_err err = shrink_gray(task, &src);
    if (err) return err;
    store_gray(task, engine_input(engine));
    err = engine_run(engine, &frame->run_us);
    if (!err) err = join(task, &src, engine_output(engine, task->model->output.index));
    if (!err) err = write_canvas(task, frame->out);
    if (!err) task_put_results(task, frame, REEL_TASK_IMAGE, NULL, 0, 1);
    return err;
}

const struct task_ops task_colorize = {.name = "colorize",
                                       .shape = task_shape_in_colour,
                                       .open = colorize_open,
                                       .close = colorize_close,
                                       .run = colorize_run};

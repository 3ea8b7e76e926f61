// SPDX-License-Identifier: MIT
//
// Segmentation and mattes: the network's map, brought to the source's pixels:
// a class number or a weight 0..255 per pixel in an 8-bit plane.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/mask.h"
#include "worker/task/task.h"

static enum reel_err segment_shape(const struct task *task, struct reel_rec_shaped *shaped)
{
    shaped->width = task->in.width;
    shaped->height = task->in.height;
    shaped->format = (struct reel_pixel_format){.layout = REEL_PIX_GRAY, .depth = 8};
    shaped->results_bytes = (uint32_t)sizeof(struct reel_results);
    return REEL_OK;
}

// The axes from a map of w x h to the source's pixels.
static bool make_axes(const struct task *task, int w, int h, enum resize_filter filter, struct resize_axis *x,
                      struct resize_axis *y)
{
    const struct view *v = &task->view;
    double per_x = (double)w / v->net_w / v->scale_x, per_y = (double)h / v->net_h / v->scale_y;
    *x = *y = (struct resize_axis){0};
    return resize_axis_init(x, filter, w, v->src_w, (0.5 - v->shift_x) * per_x - 0.5, per_x) &&
           resize_axis_init(y, filter, h, v->src_h, (0.5 - v->shift_y) * per_y - 0.5, per_y);
}

static enum reel_err no_memory(void)
{
    return reel_fail(REEL_ERR_NOMEM, "could not make a mask: out of memory");
}

struct plane {
    uint8_t *data;
    size_t stride;
};

// ---- many classes -------------------------------------------------------------

static enum reel_err put_classes(const struct task *task, const struct mask_scores *s, struct plane to)
{
    struct resize_axis x, y;
    uint16_t *best = malloc((size_t)s->w * (size_t)s->h * sizeof *best);
    enum reel_err err = REEL_OK;
    if (!make_axes(task, s->w, s->h, RESIZE_LINEAR, &x, &y) || !best)
        err = no_memory();
    else {
        mask_best(s, best);
        mask_classes(s, best, &x, &y, to.data, to.stride);
    }
    free(best);
    resize_axis_fini(&x);
    resize_axis_fini(&y);
    return err;
}

// The network gives class numbers itself: the nearest counts.
static enum reel_err put_numbers(const struct task *task, const struct mask_scores *s, struct plane to)
{
    struct resize_axis x, y;
    enum reel_err err = REEL_OK;
    if (!make_axes(task, s->w, s->h, RESIZE_NEAREST, &x, &y)) {
        err = no_memory();
        goto done;
    }
    for (int j = 0; j < y.n_out; j++)
        for (int i = 0; i < x.n_out; i++) {
            float v = s->data[(size_t)y.first[j] * s->step_y + (size_t)x.first[i] * s->step_x];
            to.data[(size_t)j * to.stride + (size_t)i] = (uint8_t)(v > 0 ? v < 255 ? (int)v : 255 : 0);
        }
done:
    resize_axis_fini(&x);
    resize_axis_fini(&y);
    return err;
}

// ---- one weight -----------------------------------------------------------------

struct weights {
    const struct mask_scores *s;
    const struct task *task;
    struct plane to;
};

static void read_weights(void *user, int y, float *const *rows)
{
    const struct weights *w = user;
    for (int x = 0; x < w->s->w; x++) {
        float v = w->s->data[(size_t)y * w->s->step_y + (size_t)x * w->s->step_x];
        rows[0][x] = w->task->model->output.sigmoid ? 1.0f / (1.0f + expf(-v)) : v;
    }
}

static void write_weights(void *user, int y, float *const *rows)
{
    const struct weights *w = user;
    uint8_t *row = w->to.data + (size_t)y * w->to.stride;
    int n = w->task->view.src_w;
    if (w->task->model->task == REEL_TASK_MATTE) {
        mask_bytes(rows[0], row, n);
        return;
    }
    float threshold = (float)w->task->settings->segment.threshold;
    for (int x = 0; x < n; x++) row[x] = rows[0][x] > threshold;
}

static enum reel_err put_weights(struct task *task, const struct mask_scores *s, struct plane to)
{
    struct weights w = {s, task, to};
    struct resize_axis x, y;
    enum reel_err err = REEL_OK;
    float *scratch = NULL;
    if (make_axes(task, s->w, s->h, RESIZE_LINEAR, &x, &y))
        scratch = task_scratch(task, resize_scratch_floats(&x, &y, 1));
    if (scratch)
        resize_rows(&x, &y, 1, read_weights, write_weights, &w, scratch);
    else
        err = no_memory();
    resize_axis_fini(&x);
    resize_axis_fini(&y);
    return err;
}

// ---- a frame ----------------------------------------------------------------------

static enum reel_err as_scores(const struct task *task, const struct reel_tensor *t, struct mask_scores *out)
{
    const struct model_output *o = &task->model->output;
    int rank = t->shape.ndim;
    bool flat = rank == 3 && task->model->classes == 0; // class numbers without a channel
    const int64_t *d = t->shape.dim + rank - 3;
    int64_t c = flat ? 1 : o->nhwc ? d[2] : d[0], h = flat ? d[1] : o->nhwc ? d[0] : d[1];
    int64_t w = flat ? d[2] : o->nhwc ? d[1] : d[2];
    char text[96];
    if (rank < 3 || c != o->channels || h < 1 || w < 1 || h > 32768 || w > 32768 || c * h * w > reel_tensor_count(t))
        return reel_fail(REEL_ERR_UNSUPPORTED, "could not make a mask: the output has shape %s",
                         reel_shape_text(&t->shape, text, sizeof text));
    *out = (struct mask_scores){.data = t->data, .n = (int)c, .w = (int)w, .h = (int)h};
    out->step_c = o->nhwc && !flat ? 1 : (size_t)(h * w);
    out->step_x = o->nhwc && !flat ? (size_t)c : 1;
    out->step_y = (size_t)w * out->step_x;
    return REEL_OK;
}

static enum reel_err segment_finish(struct task *task, struct engine *engine, struct task_frame *frame)
{
    const struct reel_geometry *g = &task->out;
    if (g->format.layout != REEL_PIX_GRAY || g->format.depth != 8 || g->width != task->in.width ||
        g->height != task->in.height)
        return reel_fail(REEL_ERR_PROTO,
                         "could not make a mask: the output slot is no 8-bit plane of the input's size");
    struct mask_scores scores;
    enum reel_err err = as_scores(task, engine_output(engine, task->model->output.index), &scores);
    if (err) return err;
    struct plane to = {frame->out + g->plane_offset[0], g->plane_stride[0]};
    if (task->model->classes == 0)
        err = put_numbers(task, &scores, to);
    else if (scores.n == 1)
        err = put_weights(task, &scores, to);
    else
        err = put_classes(task, &scores, to);
    if (!err) task_put_results(task, frame, task->model->task, NULL, 0, 1);
    return err;
}

const struct task_ops task_segment = {
    .name = "segment", .shape = segment_shape, .run = task_run_plain, .finish = segment_finish};

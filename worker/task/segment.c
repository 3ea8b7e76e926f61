// SPDX-License-Identifier: MIT
//
// Segmentation and mattes: resizes the network's map to the source, as a class number or a weight
// 0..255 per pixel in an 8-bit plane.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "worker/task/segment.h"

static enum reel_err segment_shape(const struct task *task, struct reel_rec_shaped *shaped)
{
    shaped->width = task->in.width;
    shaped->height = task->in.height;
    shaped->format = (struct reel_pixel_format){.layout = REEL_PIX_GRAY, .depth = 8};
    shaped->results_bytes = (uint32_t)sizeof(struct reel_results);
    return REEL_OK;
}

// The axes for resizing a map of w x h to the source.
static bool make_axes(const struct task *task, int w, int h, enum resize_filter filter, struct resize_axis *x,
                      struct resize_axis *y)
{
    const struct view *v = &task->view;
    double per_x = (double)w / v->net_w / v->scale_x, per_y = (double)h / v->net_h / v->scale_y;
    *x = *y = (struct resize_axis){0};
    return resize_axis_init(x, filter, w, v->src_w, (0.5 - v->shift_x) * per_x - 0.5, per_x) &&
           resize_axis_init(y, filter, h, v->src_h, (0.5 - v->shift_y) * per_y - 0.5, per_y);
}

static enum reel_err out_of_memory(void)
{
    return reel_fail(REEL_ERR_NOMEM, "could not make a mask: out of memory");
}

static enum reel_err as_scores(const struct task *task, const struct reel_shape *shape, struct mask_scores *out)
{
    const struct model_output *o = &task->model->output;
    int rank = shape->ndim;
    bool flat = rank == 3 && task->model->classes == 0; // class numbers without a channel
    const int64_t *d = shape->dim + rank - 3;
    int64_t c = 0, h = 0, w = 0;
    if (rank >= 3) {
        c = flat ? 1 : o->nhwc ? d[2] : d[0], h = flat ? d[1] : o->nhwc ? d[0] : d[1];
        w = flat ? d[2] : o->nhwc ? d[1] : d[2];
    }
    char text[96];
    if (c != o->channels || h < 1 || w < 1 || h > 32768 || w > 32768 || c * h * w > reel_shape_count(shape))
        return reel_fail(REEL_ERR_UNSUPPORTED, "could not make a mask: the output has shape %s",
                         reel_shape_text(shape, text, sizeof text));
    *out = (struct mask_scores){.n = (int)c, .w = (int)w, .h = (int)h};
    out->step_c = o->nhwc && !flat ? 1 : (size_t)(h * w);
    out->step_x = o->nhwc && !flat ? (size_t)c : 1;
    out->step_y = (size_t)w * out->step_x;
    return REEL_OK;
}

enum reel_err segment_plan_init(const struct task *task, const struct reel_shape *shape, struct segment_plan *out)
{
    const struct reel_geometry *g = &task->out;
    *out = (struct segment_plan){.sigmoid = task->model->output.sigmoid,
                                 .threshold = (float)task->settings->segment.threshold};
    if (g->format.layout != REEL_PIX_GRAY || g->format.depth != 8 || g->width != task->in.width ||
        g->height != task->in.height)
        return reel_fail(REEL_ERR_PROTO,
                         "could not make a mask: the output slot is no 8-bit plane of the input's size");
    enum reel_err err = as_scores(task, shape, &out->scores);
    if (err) return err;
    const struct mask_scores *s = &out->scores;
    out->kind = task->model->classes == 0              ? GPU_MASK_NUMBERS
                : s->n > 1                             ? GPU_MASK_CLASSES
                : task->model->task == REEL_TASK_MATTE ? GPU_MASK_BYTES
                                                       : GPU_MASK_ABOVE;
    enum resize_filter filter = out->kind == GPU_MASK_NUMBERS ? RESIZE_NEAREST : RESIZE_LINEAR;
    if (make_axes(task, s->w, s->h, filter, &out->x, &out->y)) return REEL_OK;
    segment_plan_fini(out);
    return out_of_memory();
}

void segment_plan_fini(struct segment_plan *plan)
{
    resize_axis_fini(&plan->x);
    resize_axis_fini(&plan->y);
}

struct plane {
    uint8_t *data;
    size_t stride;
};

// ---- many classes -------------------------------------------------------------

static enum reel_err put_classes(const struct segment_plan *p, struct plane to)
{
    const struct mask_scores *s = &p->scores;
    uint16_t *best = malloc((size_t)s->w * (size_t)s->h * sizeof *best);
    if (!best) return out_of_memory();
    mask_best(s, best);
    mask_classes(s, best, &p->x, &p->y, to.data, to.stride);
    free(best);
    return REEL_OK;
}

// For networks that give class numbers themselves: takes the nearest.
static void put_numbers(const struct segment_plan *p, struct plane to)
{
    const struct mask_scores *s = &p->scores;
    for (int j = 0; j < p->y.n_out; j++)
        for (int i = 0; i < p->x.n_out; i++) {
            float v = s->data[(size_t)p->y.first[j] * s->step_y + (size_t)p->x.first[i] * s->step_x];
            to.data[(size_t)j * to.stride + (size_t)i] = (uint8_t)(v > 0 ? v < 255 ? (int)v : 255 : 0);
        }
}

// ---- one weight -----------------------------------------------------------------

struct weights {
    const struct segment_plan *p;
    struct plane to;
};

static void read_weights(void *user, int y, float *const *rows)
{
    const struct weights *w = user;
    const struct mask_scores *s = &w->p->scores;
    for (int x = 0; x < s->w; x++) {
        float v = s->data[(size_t)y * s->step_y + (size_t)x * s->step_x];
        rows[0][x] = w->p->sigmoid ? 1.0f / (1.0f + expf(-v)) : v;
    }
}

static void write_weights(void *user, int y, float *const *rows)
{
    const struct weights *w = user;
    uint8_t *row = w->to.data + (size_t)y * w->to.stride;
    int n = w->p->x.n_out;
    if (w->p->kind == GPU_MASK_BYTES) {
        mask_bytes(rows[0], row, n);
        return;
    }
    for (int x = 0; x < n; x++) row[x] = rows[0][x] > w->p->threshold;
}

static enum reel_err put_weights(struct task *task, const struct segment_plan *p, struct plane to)
{
    struct weights w = {p, to};
    float *scratch = task_scratch(task, resize_scratch_floats(&p->x, &p->y, 1));
    if (!scratch) return out_of_memory();
    resize_rows(&p->x, &p->y, 1, read_weights, write_weights, &w, scratch);
    return REEL_OK;
}

// ---- a frame ----------------------------------------------------------------------

static enum reel_err segment_finish(struct task *task, struct engine *engine, struct task_frame *frame)
{
    const struct reel_tensor *t = engine_output(engine, task->model->output.index);
    struct segment_plan p;
    enum reel_err err = segment_plan_init(task, &t->shape, &p);
    if (err) return err;
    p.scores.data = t->data;
    struct plane to = {frame->out + task->out.plane_offset[0], task->out.plane_stride[0]};
    if (p.kind == GPU_MASK_NUMBERS)
        put_numbers(&p, to);
    else
        err = p.kind == GPU_MASK_CLASSES ? put_classes(&p, to) : put_weights(task, &p, to);
    segment_plan_fini(&p);
    if (!err) task_put_results(task, frame, task->model->task, NULL, 0, 1);
    return err;
}

const struct task_ops task_segment = {
    .name = "segment", .shape = segment_shape, .run = task_run_plain, .finish = segment_finish};

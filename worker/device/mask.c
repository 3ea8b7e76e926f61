// SPDX-License-Identifier: MIT
//
// mask.h: task/segment.c's plan, with its tables on the device.
#include "worker/device/mask.h"

#include <stdlib.h>

#include "worker/device/tables.h"
#include "worker/task/segment.h"

struct device_mask {
    struct device_tables tables;
    const struct task *task;
    struct gpu_mask mask; // without the frame's data and output
};

// Where a program has the maps that the plan reads row-major. As an image it has
// the file's extents 1, 2, 3 as channel, row and column, whatever they mean.
static bool place(const struct task *task, const struct backend_device_tensor *t, const struct segment_plan *plan,
                  struct gpu_scores *out)
{
    const struct mask_scores *s = &plan->scores;
    *out = (struct gpu_scores){
        .n = s->n, .w = s->w, .h = s->h, .step_c = s->step_c, .step_y = s->step_y, .step_x = s->step_x};
    if (!device_elem_of(t->dtype, &out->elem)) return false;
    if (!t->nhwc) return (int64_t)t->n * t->c * t->h * t->w == (int64_t)s->n * s->w * s->h;
    const size_t column = t->pixel_stride, row = (size_t)t->w * t->pixel_stride;
    if (t->n != 1) return false;
    if (task->model->output.nhwc) {
        out->step_y = 1, out->step_x = row, out->step_c = column;
        return t->c == s->h && t->h == s->w && t->w == s->n;
    }
    out->step_c = 1, out->step_y = row, out->step_x = column;
    return t->c == s->n && t->h == s->h && t->w == s->w;
}

bool device_mask_can(const struct task *task, struct engine *engine)
{
    struct task t = *task;
    t.out.format = (struct reel_pixel_format){.layout = REEL_PIX_GRAY, .depth = 8};
    t.out.width = t.in.width, t.out.height = t.in.height;
    const int index = task->model->output.index;
    struct backend_device_tensor tensor;
    struct segment_plan plan;
    struct gpu_scores scores;
    if (engine_device_image(engine, index, 0, &tensor) || segment_plan_init(&t, &t.out_shapes[index], &plan))
        return false;
    bool can = place(&t, &tensor, &plan, &scores);
    segment_plan_fini(&plan);
    return can;
}

static enum reel_err fill(struct device_mask *m, const struct segment_plan *plan)
{
    m->mask.kind = plan->kind;
    m->mask.sigmoid = plan->sigmoid;
    m->mask.threshold = plan->threshold;
    m->mask.stride = m->task->out.plane_stride[0];
    enum reel_err err = device_tables_put_axis(&m->tables, &plan->x, &m->mask.x);
    if (!err) err = device_tables_put_axis(&m->tables, &plan->y, &m->mask.y);
    if (!err) err = device_tables_own(&m->tables, gpu_mask_scratch_bytes(&m->mask), &m->mask.scratch);
    return err;
}

enum reel_err device_mask_create(const struct device_ops *ops, const struct task *task, struct engine *engine,
                                 struct device_mask **out)
{
    *out = NULL;
    const int index = task->model->output.index;
    struct backend_device_tensor t;
    struct segment_plan plan;
    enum reel_err err = engine_device_image(engine, index, 0, &t);
    if (!err) err = segment_plan_init(task, &task->out_shapes[index], &plan);
    if (err) return err;
    struct gpu_scores scores;
    if (!place(task, &t, &plan, &scores)) {
        segment_plan_fini(&plan);
        return REEL_OK;
    }
    struct device_mask *m = calloc(1, sizeof *m);
    if (!m) err = reel_fail(REEL_ERR_NOMEM, "could not make masks on a device: out of memory");
    if (!err) {
        *m = (struct device_mask){.tables = {.ops = ops}, .task = task, .mask = {.scores = scores}};
        err = fill(m, &plan);
    }
    segment_plan_fini(&plan);
    if (err)
        device_mask_destroy(&m);
    else
        *out = m;
    return err;
}

void device_mask_destroy(struct device_mask **mask)
{
    if (!*mask) return;
    device_tables_fini(&(*mask)->tables);
    free(*mask);
    *mask = NULL;
}

enum reel_err device_mask_write(struct device_mask *m, struct engine *engine, const struct device_frame *f)
{
    struct backend_device_tensor t;
    enum reel_err err = engine_device_image(engine, m->task->model->output.index, f->image, &t);
    if (err) return err;
    struct gpu_mask mask = m->mask;
    mask.scores.data = t.data;
    mask.out = f->out + m->task->out.plane_offset[0];
    return m->tables.ops->mask(&mask, f->stream);
}

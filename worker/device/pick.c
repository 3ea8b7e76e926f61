// SPDX-License-Identifier: MIT
//
// pick.h. The device writes a picked cell's number and channels into
// pinned host memory itself: there are few, and how many is known only then.
#include "worker/device/pick.h"

#include <math.h>
#include <stdlib.h>

#include "worker/device/nms.h"
#include "worker/device/tables.h"
#include "worker/task/head.h"

// The device's powf() is not the host's: the host looks again at what is near.
#define NEAR 1e-4f
#define COUNT_BYTES 64 // in front of the cells' numbers

struct device_pick {
    const struct device_ops *ops;
    const struct task *task;
    struct head_layout layout;
    struct device_nms *nms;
    struct gpu_pick group[sizeof((struct head_layout *)0)->group / sizeof(struct head_group)]; // without data
};

// Where a program has what the layout reads row-major.
static bool place(const struct backend_device_tensor *t, const struct head_part *part, struct gpu_pick_part *out)
{
    *out = (struct gpu_pick_part){
        .channels = part->channels, .cell_step = part->cell_step, .channel_step = part->channel_step};
    if (!device_elem_of(t->dtype, &out->elem)) return false;
    if (!t->nhwc) return (int64_t)t->n * t->c * t->h * t->w == part->cells * part->channels;
    bool planes = part->cell_step == 1 && part->channel_step == (size_t)part->cells; // declared as NCHW
    if (!planes || t->n != 1 || t->c != part->channels || (int64_t)t->h * t->w != part->cells) return false;
    out->cell_step = t->pixel_stride, out->channel_step = 1;
    return true;
}

static bool lay_out(struct device_pick *p, struct engine *engine)
{
    const struct head_layout *l = &p->layout;
    float score = (float)reel_settings_score(p->task->settings);
    if (l->read_all || l->cells < 1 || l->cells > INT32_MAX / 2 || (int64_t)l->row * l->cells > INT32_MAX) return false;
    for (int g = 0; g < l->n_groups; g++) {
        const struct head_group *from = &l->group[g];
        struct gpu_pick *to = &p->group[g];
        *to = (struct gpu_pick){.n_parts = from->n_parts,
                                .cells = from->cells,
                                .first = (uint32_t)from->first,
                                .score = l->score,
                                .a = l->a,
                                .b = l->b,
                                .least = score - NEAR * fabsf(score),
                                .row_floats = l->row};
        for (int k = 0; k < from->n_parts; k++) {
            struct backend_device_tensor t;
            int index = p->task->model->head_output[from->part[k].output];
            if (engine_device_image(engine, index, 0, &t) || !place(&t, &from->part[k], &to->part[k])) return false;
        }
    }
    return true;
}

enum reel_err device_pick_create(const struct device_ops *ops, const struct task *task, struct engine *engine,
                                 struct device_pick **out)
{
    *out = NULL;
    struct device_pick *p = calloc(1, sizeof *p);
    if (!p) return reel_fail(REEL_ERR_NOMEM, "could not pick detections on a device: out of memory");
    p->ops = ops;
    p->task = task;
    enum reel_err err = device_nms_create(ops, &p->nms);
    // What is no layout is told when a frame is finished, as on the CPU.
    if (err || task->ops->layout(task, &p->layout) || !lay_out(p, engine))
        device_pick_destroy(&p);
    else
        *out = p;
    return err;
}

void device_pick_destroy(struct device_pick **pick)
{
    if (*pick) device_nms_destroy(&(*pick)->nms);
    free(*pick);
    *pick = NULL;
}

static size_t rows_at(const struct device_pick *p)
{
    return (COUNT_BYTES + (size_t)p->layout.cells * sizeof(uint32_t) + 127) / 128 * 128;
}

size_t device_pick_bytes(const struct device_pick *p)
{
    return rows_at(p) + (size_t)p->layout.cells * (size_t)p->layout.row * sizeof(float);
}

enum reel_err device_pick_enqueue(struct device_pick *p, struct engine *engine, const struct device_frame *f,
                                  void *count, void *to)
{
    enum reel_err err = p->ops->clear(count, sizeof(uint32_t), f->stream);
    for (int g = 0; g < p->layout.n_groups && !err; g++) {
        struct gpu_pick pick = p->group[g];
        for (int k = 0; k < pick.n_parts && !err; k++) {
            struct backend_device_tensor t;
            int index = p->task->model->head_output[p->layout.group[g].part[k].output];
            err = engine_device_image(engine, index, f->image, &t);
            pick.part[k].data = t.data;
        }
        pick.count = count;
        pick.id = (uint32_t *)((uint8_t *)to + COUNT_BYTES);
        pick.row = (float *)((uint8_t *)to + rows_at(p));
        if (!err) err = p->ops->pick(&pick, f->stream);
    }
    return err ? err : p->ops->download(to, count, sizeof(uint32_t), f->stream);
}

enum reel_err device_pick_finish(const struct device_pick *p, struct task *task, struct task_frame *frame,
                                 const void *to)
{
    struct head_picked picked = {.n = *(const uint32_t *)to,
                                 .id = (const uint32_t *)((const uint8_t *)to + COUNT_BYTES),
                                 .row = (const float *)((const uint8_t *)to + rows_at(p))};
    return task->ops->finish_picked(task, frame, &p->layout, &picked, p->nms);
}

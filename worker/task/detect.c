// SPDX-License-Identifier: MIT
//
// Detection: the head's boxes, without the weaker ones of each object, in
// upright source pixels.
#include <stdlib.h>
#include <string.h>

#include "kernels/nms.h"
#include "worker/device/nms.h"
#include "worker/task/head.h"
#include "worker/task/task.h"

static enum reel_err detect_shape(const struct task *task, struct reel_rec_shaped *shaped)
{
    shaped->results_bytes = (uint32_t)(sizeof(struct reel_results) +
                                       (size_t)task->settings->detect.max_objects * sizeof(struct reel_object));
    return REEL_OK;
}

// Reading the whole picture's boxes may give some outside of it: they are cut.
// False when nothing is left.
static bool to_object(const struct view *v, const struct head_box *b, struct reel_object *out)
{
    float x1, y1, x2, y2;
    view_to_source(v, b->x1, b->y1, &x1, &y1);
    view_to_source(v, b->x2, b->y2, &x2, &y2);
    float w = (float)v->src_w, h = (float)v->src_h;
    x1 = x1 > 0 ? x1 : 0, y1 = y1 > 0 ? y1 : 0;
    x2 = x2 < w ? x2 : w, y2 = y2 < h ? y2 : h;
    if (!(x2 > x1) || !(y2 > y1)) return false;
    *out =
        (struct reel_object){.class_id = b->class_id, .score = b->score, .x = x1, .y = y1, .w = x2 - x1, .h = y2 - y1};
    out->n_points = (uint32_t)b->n_points;
    for (int i = 0; i < b->n_points; i++) {
        view_to_source(v, b->point[i].x, b->point[i].y, &out->point[i].x, &out->point[i].y);
        out->point[i].score = b->point[i].score;
    }
    return true;
}

// Without the weaker ones of each object, best first: *n of them stand in front.
static enum reel_err sort_out(struct device_nms *nms, struct nms_box *boxes, int *n, float iou, int most)
{
    int all = *n, sorted = *n = nms_sort(boxes, all);
    if (sorted >= 0 && nms) return device_nms_keep(nms, boxes, sorted, iou, most, n);
    if (sorted >= 0) *n = nms_keep(boxes, sorted, iou, most);
    return *n >= 0 ? REEL_OK : reel_fail(REEL_ERR_NOMEM, "could not sort out %d detections: out of memory", all);
}

// nms: a device's help, or NULL.
static enum reel_err put_objects(struct task *task, struct task_frame *frame, const struct head_list *list,
                                 struct device_nms *nms)
{
    const struct reel_settings *s = task->settings;
    struct nms_box *boxes = malloc(((size_t)list->n + 1) * sizeof *boxes);
    struct reel_object *objects = malloc(((size_t)list->n + 1) * sizeof *objects);
    enum reel_err err = REEL_OK;
    if (!boxes || !objects) {
        err = reel_fail(REEL_ERR_NOMEM, "could not read %d detections: out of memory", list->n);
        goto done;
    }
    for (int i = 0; i < list->n; i++) {
        const struct head_box *b = &list->box[i];
        boxes[i] = (struct nms_box){b->x1, b->y1, b->x2, b->y2, b->score, b->class_id, i};
    }
    // Finished boxes have been through it, and queries know of each other: only sorted here.
    const enum model_head head = task->model->head;
    const bool apart =
        head == MODEL_HEAD_NMS || head == MODEL_HEAD_LISTS || head == MODEL_HEAD_DETR || head == MODEL_HEAD_RTDETR;
    float iou = apart ? 1.0f : (float)s->detect.iou;
    int n = list->n;
    err = sort_out(nms, boxes, &n, iou, s->detect.max_objects);
    if (err) goto done;
    uint32_t count = 0;
    for (int i = 0; i < n; i++) count += to_object(&task->view, &list->box[boxes[i].index], &objects[count]);
    task_put_results(task, frame, REEL_TASK_DETECT, objects, count, sizeof *objects);
done:
    free(boxes);
    free(objects);
    return err;
}

static struct head_params params_of(const struct task *task)
{
    const struct model *m = task->model;
    return (struct head_params){.head = m->head,
                                .classes = m->classes,
                                .decoded = m->decoded,
                                .points = m->points,
                                .point_floats = m->point_floats,
                                .turned = m->turned,
                                .net_w = task->view.net_w,
                                .net_h = task->view.net_h,
                                .score = (float)task->settings->detect.score};
}

static enum reel_err detect_finish(struct task *task, struct engine *engine, struct task_frame *frame)
{
    const struct model *m = task->model;
    const struct reel_tensor *out[HEAD_OUTPUTS];
    for (int i = 0; i < m->n_head_outputs; i++) out[i] = engine_output(engine, m->head_output[i]);
    struct head_params p = params_of(task);
    struct head_list list = {0};
    enum reel_err err = head_decode(&p, out, m->n_head_outputs, &list);
    if (!err) err = put_objects(task, frame, &list, NULL);
    free(list.box);
    return err;
}

static enum reel_err detect_layout(const struct task *task, struct head_layout *out)
{
    const struct model *m = task->model;
    const struct reel_shape *shape[HEAD_OUTPUTS];
    for (int i = 0; i < m->n_head_outputs; i++) shape[i] = &task->out_shapes[m->head_output[i]];
    struct head_params p = params_of(task);
    return head_layout_init(&p, shape, m->n_head_outputs, out);
}

static enum reel_err detect_finish_picked(struct task *task, struct task_frame *frame, const struct head_layout *layout,
                                          const struct head_picked *picked, struct device_nms *nms)
{
    struct head_params p = params_of(task);
    struct head_list list = {0};
    enum reel_err err = head_decode_picked(&p, layout, picked, &list);
    if (!err) err = put_objects(task, frame, &list, nms);
    free(list.box);
    return err;
}

const struct task_ops task_detect = {.name = "detect",
                                     .shape = detect_shape,
                                     .run = task_run_plain,
                                     .finish = detect_finish,
                                     .layout = detect_layout,
                                     .finish_picked = detect_finish_picked};

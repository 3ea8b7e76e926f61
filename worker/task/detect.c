// SPDX-License-Identifier: MIT
//
// Detection: the boxes of the head, after non-maximum suppression, in pixels of the upright source.
#include <stdlib.h>
#include <string.h>

#include "kernels/nms.h"
#include "worker/device/nms.h"
#include "worker/task/instances.h"

static enum reel_err detect_shape(const struct task *task, struct reel_rec_shaped *shaped)
{
    shaped->results_bytes = (uint32_t)(sizeof(struct reel_results) +
                                       (size_t)task->settings->detect.max_objects * sizeof(struct reel_object));
    if (!task->model->mask_weights) return REEL_OK;
    shaped->width = task->in.width;
    shaped->height = task->in.height;
    shaped->format = (struct reel_pixel_format){.layout = REEL_PIX_GRAY, .depth = 8};
    return REEL_OK;
}

// Converts a box to source pixels and clips it to the picture. False if nothing is left.
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

// Non-maximum suppression: the *n remaining boxes come first, best first.
static enum reel_err sort_out(struct device_nms *nms, struct nms_box *boxes, int *n, float iou, int most)
{
    int all = *n, sorted = *n = nms_sort(boxes, all);
    if (sorted >= 0 && nms) return device_nms_keep(nms, boxes, sorted, iou, most, n);
    if (sorted >= 0) *n = nms_keep(boxes, sorted, iou, most);
    return *n >= 0 ? REEL_OK : reel_fail(REEL_ERR_NOMEM, "could not sort out %d detections: out of memory", all);
}

// The frame's objects, best first.
struct found {
    struct reel_object *objects;
    const struct head_box **boxes; // [n] the box of each object
    uint32_t n;
};

static enum reel_err found_init(struct found *f, int most)
{
    *f = (struct found){.objects = malloc(((size_t)most + 1) * sizeof *f->objects),
                        .boxes = malloc(((size_t)most + 1) * sizeof *f->boxes)};
    if (f->objects && f->boxes) return REEL_OK;
    return reel_fail(REEL_ERR_NOMEM, "could not read %d detections: out of memory", most);
}

static void found_fini(struct found *f)
{
    free(f->objects);
    free(f->boxes);
}

// Finds the objects; f was initialised for the list. nms: suppression on a device, or NULL.
static enum reel_err find_objects(const struct task *task, const struct head_list *list, struct device_nms *nms,
                                  struct found *f)
{
    const struct reel_settings *s = task->settings;
    struct nms_box *boxes = malloc(((size_t)list->n + 1) * sizeof *boxes);
    if (!boxes) return reel_fail(REEL_ERR_NOMEM, "could not read %d detections: out of memory", list->n);
    for (int i = 0; i < list->n; i++) {
        const struct head_box *b = &list->box[i];
        boxes[i] = (struct nms_box){b->x1, b->y1, b->x2, b->y2, b->score, b->class_id, i};
    }
    // These heads need no suppression (it is in the network, or each query gives another object), so
    // their boxes are only sorted.
    const enum model_head head = task->model->head;
    const bool apart = head == MODEL_HEAD_NMS || head == MODEL_HEAD_LISTS || head == MODEL_HEAD_DETR ||
                       head == MODEL_HEAD_RTDETR || head == MODEL_HEAD_CENTERNET || head == MODEL_HEAD_MOVENET;
    float iou = apart ? 1.0f : (float)s->detect.iou;
    int n = list->n;
    enum reel_err err = sort_out(nms, boxes, &n, iou, s->detect.max_objects);
    for (int i = 0; i < n && !err; i++) {
        f->boxes[f->n] = &list->box[boxes[i].index];
        f->n += to_object(&task->view, f->boxes[f->n], &f->objects[f->n]);
    }
    free(boxes);
    return err;
}

static enum reel_err put_objects(struct task *task, struct task_frame *frame, const struct head_list *list,
                                 struct device_nms *nms)
{
    struct found f;
    enum reel_err err = found_init(&f, list->n);
    if (!err) err = find_objects(task, list, nms, &f);
    if (!err) task_put_results(task, frame, REEL_TASK_DETECT, f.objects, f.n, sizeof *f.objects);
    found_fini(&f);
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
                                .points_first = m->points_first,
                                .udp = m->udp,
                                .turned = m->turned,
                                .centres = m->centres,
                                .net_w = task->view.net_w,
                                .net_h = task->view.net_h,
                                .score = (float)reel_settings_score(task->settings)};
}

// Writes objects and their masks; a mask's weights are the last channels of its box's cell.
static enum reel_err put_masked(struct task *task, struct task_frame *frame, const struct head_list *list,
                                const struct reel_tensor *cells, const struct reel_tensor *prototypes)
{
    const struct reel_shape *shape = &cells->shape;
    const struct head_params p = params_of(task);
    struct head_layout l;
    struct found f;
    enum reel_err err = found_init(&f, list->n);
    struct instance *instances = malloc(((size_t)list->n + 1) * sizeof *instances);
    if (!err && !instances) err = reel_fail(REEL_ERR_NOMEM, "could not make masks: out of memory");
    if (!err) err = head_layout_init(&p, &shape, 1, &l);
    if (!err) err = find_objects(task, list, NULL, &f);
    for (uint32_t i = 0; i < f.n && !err; i++) {
        const struct head_part *part = &l.group[0].part[0];
        const int64_t channels = reel_shape_count(shape) / part->cells, first = channels - task->model->mask_weights;
        const float *cell = (const float *)cells->data + (size_t)f.boxes[i]->cell * part->cell_step;
        instances[i] = (struct instance){f.boxes[i], cell + (size_t)first * part->channel_step, part->channel_step};
    }
    if (!err) err = instances_put(task, frame, prototypes, instances, (int)f.n);
    if (!err) task_put_results(task, frame, REEL_TASK_DETECT, f.objects, f.n, sizeof *f.objects);
    free(instances);
    found_fini(&f);
    return err;
}

static enum reel_err detect_finish(struct task *task, struct engine *engine, struct task_frame *frame)
{
    const struct model *m = task->model;
    const struct reel_tensor *out[HEAD_OUTPUTS];
    for (int i = 0; i < m->n_head_outputs; i++) out[i] = engine_output(engine, m->head_output[i]);
    struct head_params p = params_of(task);
    struct head_list list = {0};
    enum reel_err err = head_decode(&p, out, m->n_head_outputs, &list);
    if (!err && m->mask_weights)
        err = put_masked(task, frame, &list, out[0], engine_output(engine, m->mask_output));
    else if (!err)
        err = put_objects(task, frame, &list, NULL);
    free(list.box);
    return err;
}

static enum reel_err detect_layout(const struct task *task, struct head_layout *out)
{
    const struct model *m = task->model;
    const struct reel_shape *shape[HEAD_OUTPUTS];
    if (m->mask_weights) // needs the prototypes and weights too
        return reel_fail(REEL_ERR_UNSUPPORTED, "could not pick detections: their masks are made on the host");
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

// SPDX-License-Identifier: MIT
//
// See head.h. The table of families, and the loop over all cells of a head's outputs or over those
// that a device has picked. The family decides what a cell means (head_family.h).
#include "worker/task/head.h"

#include <stdlib.h>

#include "worker/task/head_family.h"

static const struct head_family *const families[MODEL_HEADS] = {
    [MODEL_HEAD_SSD] = &head_ssd,
    [MODEL_HEAD_YUNET] = &head_yunet,
    [MODEL_HEAD_YUNET_2021] = &head_yunet_2021,
    [MODEL_HEAD_YOLOX] = &head_yolo_rows,
    [MODEL_HEAD_YOLOV5] = &head_yolo_rows,
    [MODEL_HEAD_YOLOV8] = &head_yolov8,
    [MODEL_HEAD_RETINAFACE] = &head_retinaface,
    [MODEL_HEAD_FASTESTDET] = &head_fastestdet,
    [MODEL_HEAD_DETR] = &head_queries,
    [MODEL_HEAD_RTDETR] = &head_queries,
    [MODEL_HEAD_YOLO_NAS] = &head_yolo_nas,
    [MODEL_HEAD_LISTS] = &head_lists,
    [MODEL_HEAD_SCRFD] = &head_scrfd,
    [MODEL_HEAD_NANODET] = &head_nanodet,
    [MODEL_HEAD_PICODET] = &head_picodet,
    [MODEL_HEAD_YOLOV3] = &head_grids,
    [MODEL_HEAD_YOLOV4] = &head_grids,
    [MODEL_HEAD_YOLOV7] = &head_grids,
    [MODEL_HEAD_YOLOV5_FACE] = &head_yolo_rows,
    [MODEL_HEAD_YOLOV5_POSE] = &head_yolo_rows,
    [MODEL_HEAD_CENTERNET] = &head_centernet,
    [MODEL_HEAD_HEATMAP] = &head_heatmap,
    [MODEL_HEAD_SIMCC] = &head_simcc,
    [MODEL_HEAD_MOVENET] = &head_movenet,
    [MODEL_HEAD_NMS] = &head_rows,
};

// The family of a head; that of YOLOv5 depends on whether its grids are joined as rows.
static const struct head_family *family_of(enum model_head head, int n_out)
{
    if (head == MODEL_HEAD_YOLOV5 && n_out > 1) return &head_grids;
    return (unsigned)head < MODEL_HEADS ? families[head] : NULL;
}

enum reel_err head_layout_init(const struct head_params *p, const struct reel_shape *const *shape, int n_out,
                               struct head_layout *l)
{
    const struct head_family *family = family_of(p->head, n_out);
    const bool rows = p->head == MODEL_HEAD_RTDETR && n_out == 1; // boxes and scores side by side
    if (!family || (family->outputs && n_out != family->outputs && !rows))
        return reel_fail(REEL_ERR_UNSUPPORTED, "could not read detections of head \"%s\": %d outputs",
                         model_head_name(p->head), n_out);
    *l = (struct head_layout){.family = family};
    enum reel_err err = family->lay_out(p, shape, n_out, l);
    if (err) return err;
    for (int g = 0; g < l->n_groups; g++) {
        l->group[g].first = l->cells;
        l->cells += l->group[g].cells;
    }
    for (int k = 0; k < l->group[0].n_parts; k++) l->row += l->group[0].part[k].channels;
    return REEL_OK;
}

// Adds the box of a cell, if it has one.
static enum reel_err read_cell(const struct head_params *p, const struct head_layout *l, const struct head_cell *cell,
                               struct head_list *list)
{
    const int before = list->n;
    enum reel_err err = l->family->read(p, l, cell, list);
    for (int i = before; i < list->n; i++) list->box[i].cell = l->group[cell->group].first + cell->i;
    return err;
}

enum reel_err head_decode(const struct head_params *p, const struct reel_tensor *const *out, int n_out,
                          struct head_list *list)
{
    const struct reel_shape *shape[HEAD_OUTPUTS];
    struct head_layout l = {0};
    for (int i = 0; i < n_out && i < HEAD_OUTPUTS; i++) shape[i] = &out[i]->shape;
    enum reel_err err = head_layout_init(p, shape, n_out, &l);
    for (int g = 0; g < l.n_groups && !err; g++) {
        const struct head_group *group = &l.group[g];
        struct head_cell cell = {.group = g};
        for (int k = 0; k < group->n_parts; k++) {
            cell.v[k] = out[group->part[k].output]->data;
            cell.step[k] = group->part[k].channel_step;
            if (!cell.v[k] && group->cells) return head_bad_shape(p->head, shape[group->part[k].output]);
        }
        for (; cell.i < group->cells && !err; cell.i++) {
            err = read_cell(p, &l, &cell, list);
            for (int k = 0; k < group->n_parts; k++) cell.v[k] += group->part[k].cell_step;
        }
    }
    return err;
}

// ---- some of the cells ------------------------------------------------------------------

static int by_id(const void *va, const void *vb)
{
    const uint64_t *a = va, *b = vb;
    return *a < *b ? -1 : *a > *b;
}

enum reel_err head_decode_picked(const struct head_params *p, const struct head_layout *l,
                                 const struct head_picked *picked, struct head_list *list)
{
    if (picked->n > l->cells)
        return reel_fail(REEL_ERR_FAULT, "could not read detections: %u of %lld cells were picked", picked->n,
                         (long long)l->cells);
    uint64_t *order = malloc(((size_t)picked->n + 1) * sizeof *order);
    if (!order) return reel_fail(REEL_ERR_NOMEM, "could not read detections: out of memory");
    for (uint32_t i = 0; i < picked->n; i++) order[i] = (uint64_t)picked->id[i] << 32 | i;
    qsort(order, picked->n, sizeof *order, by_id); // the same order as when all cells are read
    enum reel_err err = REEL_OK;
    for (uint32_t i = 0, g = 0; i < picked->n && !err; i++) {
        int64_t id = (int64_t)(order[i] >> 32);
        const float *row = picked->row + (order[i] & UINT32_MAX) * (size_t)l->row;
        if (id >= l->cells) {
            err = reel_fail(REEL_ERR_FAULT, "could not read detections: there is no cell %lld", (long long)id);
            break;
        }
        while (id >= l->group[g].first + l->group[g].cells) g++;
        struct head_cell cell = {.group = (int)g, .i = id - l->group[g].first};
        for (int k = 0; k < l->group[g].n_parts; k++) {
            cell.v[k] = row, cell.step[k] = 1;
            row += l->group[g].part[k].channels;
        }
        err = read_cell(p, l, &cell, list);
    }
    free(order);
    return err;
}

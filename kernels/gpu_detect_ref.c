// SPDX-License-Identifier: MIT
//
// The C twins of gpu_detect.cu.
#include "kernels/gpu_detect.h"

#define GPU_FN static inline
#define GPU_MUL(a, b) ((a) * (b))
#define GPU_ADD(a, b) ((a) + (b))

// Nothing here reads or writes tensors by elements.
GPU_FN float gpu_get(const struct gpu_image *m, int x, int y, int c)
{
    return ((const float *)m->data)[(size_t)y * m->row + (size_t)x * m->pixel + (size_t)c * m->plane];
}
GPU_FN void gpu_put(const struct gpu_image *m, int x, int y, int c, float v)
{
    ((float *)m->data)[(size_t)y * m->row + (size_t)x * m->pixel + (size_t)c * m->plane] = v;
}

#include "kernels/gpu_detect_math.h"

void gpu_nms_ref(const struct gpu_nms *p)
{
    int numbers = 0, kept = 0;
    for (int i = 0; i < p->n; i++) {
        int rank = gpu_box_rank(p->boxes, p->n, i);
        if (rank < 0) continue;
        p->order[rank] = i;
        numbers++;
    }
    for (int i = 0; i < numbers && kept < p->most; i++) {
        bool hidden = false;
        for (int k = 0; k < kept && !hidden; k++)
            hidden = gpu_box_hides(&p->boxes[p->out_kept[k]], &p->boxes[p->order[i]], p->iou);
        if (!hidden) p->out_kept[kept++] = p->order[i];
    }
    *p->out_count = kept;
}

void gpu_classes_ref(const struct gpu_classes *p)
{
    for (int j = 0; j < p->y.n_out; j++)
        for (int i = 0; i < p->x.n_out; i++) p->out[(size_t)j * p->out_stride + (size_t)i] = gpu_class_at(p, i, j);
}

void gpu_weights_ref(const struct gpu_weights *p)
{
    for (int y = 0; y < p->columns.height; y++)
        for (int x = 0; x < p->columns.x.n_out; x++)
            p->out[(size_t)y * p->out_stride + (size_t)x] = gpu_weight_at(p, x, y);
}

void gpu_fill_ref(const struct gpu_fill *p)
{
    int components = p->dst.layout == YUV_GRAY ? 1 : 3, x0, y0, x1, y1;
    for (int c = 0; c < components; c++) {
        if (!gpu_fill_range(p, c, &x0, &y0, &x1, &y1)) return;
        for (int y = y0; y < y1; y++)
            for (int x = x0; x < x1; x++) gpu_fill_sample(p, c, x, y);
    }
}

void gpu_overlay_ref(const struct gpu_overlay *p)
{
    int components = p->dst.layout == YUV_GRAY ? 1 : 3;
    for (int c = 0; c < components; c++) {
        int sx, sy;
        gpu_shift_of(&p->dst, c, &sx, &sy);
        for (int y = 0; y << sy < p->dst.height; y++)
            for (int x = 0; x << sx < p->dst.width; x++) gpu_overlay_sample(p, p->alpha_of, p->ink_of, c, x, y);
    }
}

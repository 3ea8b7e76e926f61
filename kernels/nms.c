// SPDX-License-Identifier: MIT
//
// nms.h. A quadratic loop over the kept boxes: after the score threshold there
// are hundreds, not thousands.
#include "kernels/nms.h"

#include <math.h>
#include <stdlib.h>

float nms_iou(const struct nms_box *a, const struct nms_box *b)
{
    float w = fminf(a->x2, b->x2) - fmaxf(a->x1, b->x1), h = fminf(a->y2, b->y2) - fmaxf(a->y1, b->y1);
    if (!(w > 0.0f) || !(h > 0.0f)) return 0.0f;
    float common = w * h;
    float all = (a->x2 - a->x1) * (a->y2 - a->y1) + (b->x2 - b->x1) * (b->y2 - b->y1) - common;
    return all > 0.0f ? common / all : 0.0f;
}

static int by_score(const void *va, const void *vb)
{
    const struct nms_box *a = va, *b = vb;
    if (a->score != b->score) return a->score > b->score ? -1 : 1;
    return a->index < b->index ? -1 : a->index > b->index;
}

int nms_run(struct nms_box *boxes, int n, float iou, int most)
{
    int numbers = 0;
    for (int i = 0; i < n; i++)
        if (!isnan(boxes[i].score)) boxes[numbers++] = boxes[i];
    if (numbers > 1) qsort(boxes, (size_t)numbers, sizeof *boxes, by_score);
    int kept = 0;
    for (int i = 0; i < numbers && kept < most; i++) {
        int k = 0;
        while (k < kept && !(boxes[k].class_id == boxes[i].class_id && nms_iou(&boxes[k], &boxes[i]) > iou)) k++;
        if (k == kept) boxes[kept++] = boxes[i];
    }
    return kept;
}

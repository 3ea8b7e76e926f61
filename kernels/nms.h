// SPDX-License-Identifier: MIT
//
// Non-maximum suppression: greedy, within each class, in the order of the scores. After
// sorting, it is done in host memory by nms_keep() or on a GPU by gpu_nms(); both keep the
// same boxes, and tests compare them.
#ifndef REEL_KERNELS_NMS_H
#define REEL_KERNELS_NMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct nms_box {
    float x1, y1, x2, y2, score;
    int32_t class_id;
    int32_t index; // for the caller; of equal scores, the lower index comes first
};

// Intersection over union; 0 for empty boxes.
float nms_iou(const struct nms_box *a, const struct nms_box *b);
// Sorts boxes, best first. Boxes whose score is NaN are dropped. Returns how many are left;
// -1: out of memory.
int nms_sort(struct nms_box *boxes, int n);
// Drops those of the sorted boxes that overlap a better kept one of their class by more than
// iou (0..1), and keeps at most `most`. The kept ones are moved to the front, best first.
// Returns how many are kept; -1: out of memory.
int nms_keep(struct nms_box *boxes, int n, float iou, int most);

struct gpu_nms {
    const struct nms_box *box; // [n], sorted
    int n;
    float iou;
    int most;
    void *scratch; // GPU_NMS_SCRATCH bytes, aligned to 4
    int32_t *kept; // [1 + most]: how many are kept, then their positions in box, best first
};
#define GPU_NMS_CHUNK 2048 // boxes compared with each other at a time
#define GPU_NMS_SCRATCH ((GPU_NMS_CHUNK + 1) * (size_t)GPU_NMS_CHUNK / 8)
// As nms_keep(), with everything in a GPU's memory: asynchronous on `stream`; returns a
// cudaError_t.
int gpu_nms(const struct gpu_nms *nms, void *stream);
// The same in host memory, by nms_keep(); false: out of memory.
bool gpu_nms_ref(const struct gpu_nms *nms);

#ifdef __cplusplus
}
#endif

#endif

// SPDX-License-Identifier: MIT
//
// Non-maximum suppression: greedy, within a class, in the order of the scores.
// What follows the sorting is done in host memory by nms_keep() or on a GPU by
// gpu_nms(); both keep the same boxes, so that the one is the other's twin.
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
    int32_t index; // the caller's; also breaks ties of scores (lower first)
};

// Intersection over union; 0 for empty boxes.
float nms_iou(const struct nms_box *a, const struct nms_box *b);
// Sorts boxes best first. Those with a score that is not a number are dropped.
// Returns how many are left; -1: out of memory.
int nms_sort(struct nms_box *boxes, int n);
// Of sorted boxes, drops those that overlap a better one of their class by more
// than iou (0..1), keeps at most `most`. Returns how many are kept; they stand in
// front, best first. -1: out of memory.
int nms_keep(struct nms_box *boxes, int n, float iou, int most);

struct gpu_nms {
    const struct nms_box *box; // [n], sorted
    int n;
    float iou;
    int most;
    void *scratch; // GPU_NMS_SCRATCH bytes, aligned to 4
    int32_t *kept; // how many are kept, then the numbers of the kept ones, best first: [1 + most]
};
#define GPU_NMS_CHUNK 2048 // boxes that are compared with each other at a time
#define GPU_NMS_SCRATCH ((GPU_NMS_CHUNK + 1) * (size_t)GPU_NMS_CHUNK / 8)
// As nms_keep(), all of it in a GPU's memory: asynchronous on `stream`, returns a
// cudaError_t.
int gpu_nms(const struct gpu_nms *nms, void *stream);
// The same in host memory, by nms_keep(); false: out of memory.
bool gpu_nms_ref(const struct gpu_nms *nms);

#ifdef __cplusplus
}
#endif

#endif

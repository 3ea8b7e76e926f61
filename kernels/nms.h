// SPDX-License-Identifier: MIT
//
// Non-maximum suppression: greedy, within a class, in the order of the scores.
#ifndef REEL_KERNELS_NMS_H
#define REEL_KERNELS_NMS_H

#include <stdint.h>

struct nms_box {
    float x1, y1, x2, y2, score;
    int32_t class_id;
    int32_t index; // the caller's; also breaks ties of scores (lower first)
};

// Intersection over union; 0 for empty boxes.
float nms_iou(const struct nms_box *a, const struct nms_box *b);
// Sorts boxes best first, drops those that overlap a better one of their class
// by more than iou, keeps at most `most`. Returns how many are kept; they stand
// in front, best first. A box with a score that is not a number is dropped.
int nms_run(struct nms_box *boxes, int n, float iou, int most);

#endif

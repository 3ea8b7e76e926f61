// SPDX-License-Identifier: MIT
//
// What follows a network that finds things, on a GPU: non-maximum suppression
// (as kernels/nms.h), masks from coarse maps (as kernels/mask.h), boxes and
// masks painted onto a picture's samples (as aggregator/post/paint.h). The same
// results as there, bit by bit.
//
// Launchers run asynchronously on `stream` with device pointers and return a
// cudaError_t as int; the _ref twins do the same on host memory.
#ifndef REEL_KERNELS_GPU_DETECT_H
#define REEL_KERNELS_GPU_DETECT_H

#ifdef __cplusplus
extern "C" {
#endif

#include "kernels/gpu_pixels.h"
#include "kernels/mask.h"
#include "kernels/nms.h"

// ---- boxes ------------------------------------------------------------------------

#define GPU_NMS_MAX 16384

// boxes: n candidates, left as they are. order: scratch of n. out_kept: numbers
// of the kept boxes, best first, at most `most`; *out_count how many.
struct gpu_nms {
    const struct nms_box *boxes;
    int n; // 0..GPU_NMS_MAX
    float iou;
    int most;
    int32_t *order, *out_kept, *out_count;
};
int gpu_nms(const struct gpu_nms *p, void *stream);
void gpu_nms_ref(const struct gpu_nms *p);

// ---- masks ------------------------------------------------------------------------

// The best class at every output position, scores interpolated by the axes.
struct gpu_classes {
    struct mask_scores scores; // data: device memory
    struct gpu_axis x, y;
    uint8_t *out; // [y.n_out][out_stride]
    size_t out_stride;
};
int gpu_classes(const struct gpu_classes *p, void *stream);
void gpu_classes_ref(const struct gpu_classes *p);

// Weights of one plane (columns of gpu_rows()) to a byte: 0..255 of a matte, or
// 1 above the threshold.
struct gpu_weights {
    struct gpu_columns columns; // planes 1
    bool matte;
    float threshold;
    uint8_t *out;
    size_t out_stride;
};
int gpu_weights(const struct gpu_weights *p, void *stream);
void gpu_weights_ref(const struct gpu_weights *p);

// ---- painting -----------------------------------------------------------------------

struct gpu_ink {
    uint16_t sample[3]; // of planes 0, 1, 2, not shifted
};

// A rectangle, clipped; a chroma sample belongs to it when any of its luma
// samples does.
struct gpu_fill {
    struct yuv_picture dst;
    int x, y, w, h;
    struct gpu_ink ink;
};
int gpu_fill(const struct gpu_fill *p, void *stream);
void gpu_fill_ref(const struct gpu_fill *p);

// out = picture + (ink - picture) * alpha / 255, by a mask of luma samples.
struct gpu_overlay {
    struct yuv_picture dst;
    const uint8_t *mask;
    size_t mask_stride;
    uint8_t alpha_of[256];
    struct gpu_ink ink_of[256];
};
// The tables lie behind `table`, a device copy of *p.
int gpu_overlay(const struct gpu_overlay *p, const struct gpu_overlay *table, void *stream);
void gpu_overlay_ref(const struct gpu_overlay *p);

#ifdef __cplusplus
}
#endif

#endif

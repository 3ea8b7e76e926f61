// SPDX-License-Identifier: MIT
//
// The GPU executor's kernels that read pictures at computed positions: GridSample, RoiAlign,
// the columns of a deformable convolution; and LRN, Col2Im, AffineGrid. The rules are those of
// ops.h. Pictures have strides, so that they may be NHWC or row-major; `lanes` channels are
// written, zeros from the c-th on.
#ifndef REEL_KERNELS_GPU_SAMPLE_H
#define REEL_KERNELS_GPU_SAMPLE_H

#include "kernels/gpu/ops.h"

#ifdef __cplusplus
extern "C" {
#endif

struct gpu_plane_view {
    int elem; // float
    int n, c, h, w;
    int64_t stride_n, stride_c, stride_h, stride_w;
};

enum gpu_beyond { GPU_BEYOND_ZEROS, GPU_BEYOND_BORDER, GPU_BEYOND_REFLECTION };

// ONNX GridSample (opset 20) in two dimensions, or in three (a 3-D look-up table): then x has
// consecutive planes, and y has the rows of all its planes. grid (n,y.h,y.w,2 or 3), x first.
struct gpu_grid_sample {
    struct gpu_plane_view x, y;
    int depth; // planes of x; 0: two dimensions
    int64_t stride_d;
    int lanes;     // of y
    int grid_elem; // float
    int taps;      // per axis: 1 nearest, 2 linear, 4 cubic
    int beyond;    // enum gpu_beyond
    bool align;    // align_corners
};
int gpu_grid_sample(const struct gpu_grid_sample *p, const void *x, const void *grid, void *y, void *stream);
void gpu_grid_sample_ref(const struct gpu_grid_sample *p, const void *x, const void *grid, void *y);

// ONNX AffineGrid: theta (n,dims,dims+1) -> float y (n,extent...,dims).
struct gpu_affine_grid {
    int theta_elem;
    int n, dims;       // 2 or 3
    int32_t extent[3]; // outermost first
    bool align;
};
int gpu_affine_grid(const struct gpu_affine_grid *p, const void *theta, float *y, void *stream);
void gpu_affine_grid_ref(const struct gpu_affine_grid *p, const void *theta, float *y);

// ONNX RoiAlign (opset 16): regions (y.n,4); image (y.n): the image of each. A region whose
// image does not exist reads zeros; with keep, the result of a region whose image is negative
// stays as it is.
struct gpu_roi_align {
    struct gpu_plane_view x, y;
    int lanes; // of y
    int region_elem;
    int ratio; // samples per bin and axis; 0: from the bin's size
    float scale, shift;
    bool largest; // otherwise the average
    bool keep;
};
// Most samples per bin and axis.
#define GPU_ROI_SAMPLES_MOST 4096
int gpu_roi_align(const struct gpu_roi_align *p, const void *x, const void *regions, const int64_t *image, void *y,
                  void *stream);
void gpu_roi_align_ref(const struct gpu_roi_align *p, const void *x, const void *regions, const int64_t *image,
                       void *y);

// ONNX MaxRoiPool: regions (y.n,5), the image and two corners of each. A bin without pixels or
// without an image becomes zero.
struct gpu_roi_pool {
    struct gpu_plane_view x, y;
    int lanes; // of y
    int region_elem;
    float scale;
};
int gpu_roi_pool(const struct gpu_roi_pool *p, const void *x, const void *regions, void *y, void *stream);
void gpu_roi_pool_ref(const struct gpu_roi_pool *p, const void *x, const void *regions, void *y);

// y = x / (bias + alpha / size * sum of squares of `size` channels around)^beta
struct gpu_lrn {
    struct gpu_plane_view x, y;
    int lanes; // of y
    int size;
    float alpha, beta, bias;
};
int gpu_lrn(const struct gpu_lrn *p, const void *x, void *y, void *stream);
void gpu_lrn_ref(const struct gpu_lrn *p, const void *x, void *y);

// The matrix that a deformable convolution multiplies by its weights. For `pixels` pixels of
// the result (p,q) from `first` on, of image `image`: a row of (groups, r*s, c/groups) numbers
// each, sampled at positions moved by offset (n, offset_groups*r*s*2, p, q), times mask
// (n, offset_groups*r*s, p, q).
struct gpu_deform {
    struct gpu_plane_view x, offset, mask;
    int p, q, r, s;
    int stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w;
    int groups, offset_groups;
    int image, first, pixels;
    int y_elem;
};
// mask may be NULL.
int gpu_deform(const struct gpu_deform *p, const void *x, const void *offset, const void *mask, void *y, void *stream);
void gpu_deform_ref(const struct gpu_deform *p, const void *x, const void *offset, const void *mask, void *y);

// ONNX Col2Im in two dimensions: x (n, c*r*s, rows*columns) -> y (n,c,h,w).
struct gpu_col2im {
    int elem;
    int n, c, h, w, r, s, rows, columns;
    int stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w;
};
int gpu_col2im(const struct gpu_col2im *p, const void *x, void *y, void *stream);
void gpu_col2im_ref(const struct gpu_col2im *p, const void *x, void *y);

// Where each maximum of gpu_pool() is: the first one in row-major order, as a position in
// row-major (n,c,h,w); y (n,c,p,q). A NaN is taken only if there are no numbers.
int gpu_pool_places(const struct gpu_pool *p, const void *x, int64_t *y, void *stream);
void gpu_pool_places_ref(const struct gpu_pool *p, const void *x, int64_t *y);

// MaxPool, AveragePool and LpPool over three axes. Row-major: x (planes, in...), y (planes,
// out...). With channels: x (planes, in..., x_pitch), y (planes, out..., y_pitch), with zeros
// in y's lanes from `channels` on.
struct gpu_pool3 {
    int elem; // float
    int planes;
    int channels, x_pitch, y_pitch; // channels 0: row-major
    int32_t in[3], out[3], size[3], stride[3], dilation[3], before[3], after[3];
    bool average, count_pad; // as for gpu_pool()
    int power;               // LpPool's p; 0: not LpPool
};
int gpu_pool3(const struct gpu_pool3 *p, const void *x, void *y, void *stream);
void gpu_pool3_ref(const struct gpu_pool3 *p, const void *x, void *y);

#ifdef __cplusplus
}
#endif
#endif

// SPDX-License-Identifier: MIT
//
// Operations on blocked tensors (N, ceil(C/V), H, W, V), see conv_cpu.h, except
// convolution, pooling and normalisation (norm.h): layout changes, means, resampling,
// padding. Called by the executor's CPU backend.
//
// All work is divided into units (mostly one channel block of one image) that write
// disjoint memory; a call does units [begin, end). lanes (V) is 8 or 16. The contents of
// lanes beyond C never affect a result.
#ifndef REEL_KERNELS_BLOCKED_H
#define REEL_KERNELS_BLOCKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct blocked_shape {
    int n, c, h, w;
    int lanes;
    int depth; // of volumes, of whose planes n counts all: plain is (n/depth,C,depth,H,W); else 0
};

static inline int blocked_count(const struct blocked_shape *s)
{
    return (s->c + s->lanes - 1) / s->lanes;
}

// Number of floats in a blocked tensor.
size_t blocked_floats(const struct blocked_shape *s);

// ---- layout ------------------------------------------------------------------

// (N,C,H,W), or volumes (N,C,D,H,W), to blocked and back; units: n * blocks. Lanes beyond
// C become 0. Planes of volumes are blocked one by one: (N, D, blocks, H, W, V).
void blocked_from_plain(const struct blocked_shape *s, const float *src, float *dst, int begin, int end);
void blocked_to_plain(const struct blocked_shape *s, const float *src, float *dst, int begin, int end);
// (N,H,W,C) likewise; units: n * h.
void blocked_from_nhwc(const struct blocked_shape *s, const float *src, float *dst, int begin, int end);
void blocked_to_nhwc(const struct blocked_shape *s, const float *src, float *dst, int begin, int end);
// Permutes the axes of a plain tensor: axis i of the result has size[i] elements, which are
// step[i] floats apart in the source. One of the steps is 1.
#define PLAIN_MOST_AXES 8
struct plain_permute {
    int n; // at least 2
    size_t size[PLAIN_MOST_AXES], step[PLAIN_MOST_AXES];
};
int plain_permute_units(const struct plain_permute *p);
void plain_permute(const struct plain_permute *p, const float *src, float *dst, int begin, int end);
// DepthToSpace, ONNX opset 11. s is the input, plain if its lanes are 1; dst is plain (N,
// C/b^2, H b, W b). b is at most BLOCKED_MOST_DEPTH. crd: channel order depth-column-row,
// else DCR. Units: n * (c / b^2) * h.
#define BLOCKED_MOST_DEPTH 16
void blocked_depth_to_space(const struct blocked_shape *s, int b, bool crd, const float *src, float *dst, int begin,
                            int end);
// Copies `count` channels of src, from channel src_c on, to channel dst_c and following of
// dst; whole blocks at a time if both are aligned. s_src and s_dst differ in c only. Units:
// n.
void blocked_copy_channels(const struct blocked_shape *s_src, const float *src, int src_c,
                           const struct blocked_shape *s_dst, float *dst, int dst_c, int count, int begin, int end);
// The same for elements of one byte.
void blocked_copy_channels8(const struct blocked_shape *s_src, const uint8_t *src, int src_c,
                            const struct blocked_shape *s_dst, uint8_t *dst, int dst_c, int count, int begin, int end);

// ---- sampling -------------------------------------------------------

// Mean over H and W: dst is (N, blocks, V). Units: n * blocks.
void blocked_mean(const struct blocked_shape *in, const float *src, float *dst, int begin, int end);
// dst[y][x] = src[map_y[y]][map_x[x]], or value if an index is negative: nearest resize,
// crop, every kind of padding. Units: n * blocks.
void blocked_gather(const struct blocked_shape *in, const struct blocked_shape *out, const int *map_y, const int *map_x,
                    float value, const float *src, float *dst, int begin, int end);
// Linear resize: output row y is interpolated between rows y0[y] and y1[y], the latter with
// weight wy[y]; likewise columns. Units: n * blocks.
struct blocked_linear {
    const int *y0, *y1, *x0, *x1;
    const float *wy, *wx;
};
void blocked_linear(const struct blocked_shape *in, const struct blocked_shape *out, const struct blocked_linear *map,
                    const float *src, float *dst, int begin, int end);

#endif

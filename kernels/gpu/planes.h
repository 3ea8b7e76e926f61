// SPDX-License-Identifier: MIT
//
// Converts planes of pictures on a GPU between the interleaved samples of video codecs (NV12,
// P010: two chroma samples side by side, 10 bits in the high part of a word) and the separate
// planes of a ring's slot. The decoder's and the aggregator's hardware paths call these for
// every frame.
//
// Launchers run asynchronously on `stream`, take device pointers and return a cudaError_t as
// int. The _ref twins do the same in host memory, and tests compare the launchers with them.
#ifndef KERNELS_GPU_PLANES_H
#define KERNELS_GPU_PLANES_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GPU_PLANES_MAX 4

// One interleaved picture plane and the planes it is made of.
struct gpu_planes {
    void *interleaved;                  // [height][pitch]: n samples per pixel, side by side
    size_t interleaved_pitch;           // bytes
    void *plane[GPU_PLANES_MAX];        // [height][plane_pitch[i]]
    size_t plane_pitch[GPU_PLANES_MAX]; // bytes
    int n;                              // samples per pixel: 1 (luma) or 2 (chroma of NV12 and P010)
    int width, height;                  // pixels of a plane
    int sample_bytes;                   // 1 or 2
    int shift;                          // interleaved = plane << shift; 0, or 6 for 10 bits in P010
};

// plane[i][y][x] = interleaved[y][n * x + i] >> shift
int gpu_planes_split(const struct gpu_planes *p, void *stream);
void gpu_planes_split_ref(const struct gpu_planes *p);
// interleaved[y][n * x + i] = plane[i][y][x] << shift
int gpu_planes_join(const struct gpu_planes *p, void *stream);
void gpu_planes_join_ref(const struct gpu_planes *p);

#ifdef __cplusplus
}
#endif

#endif

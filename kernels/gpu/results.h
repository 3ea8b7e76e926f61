// SPDX-License-Identifier: MIT
//
// Processes a network's results other than pictures on a GPU, so that little has to be
// downloaded: makes a mask of the source's size from maps of scores (as kernels/mask.h and
// kernels/resize.h do on the CPU, with the same formulas in the same order), and picks those
// of a detector's thousands of cells whose score is high enough. The worker's device path
// (worker/device/mask.c, worker/device/pick.c) calls these for every frame.
//
// Launchers run asynchronously on `stream`, take device pointers in the
// structures and return a cudaError_t as int. The _ref twins do the same on
// host memory.
#ifndef REEL_KERNELS_GPU_RESULTS_H
#define REEL_KERNELS_GPU_RESULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "kernels/gpu/ops.h"
#include "kernels/gpu/pixels.h"

// ---- masks ----------------------------------------------------------------------

// n maps of w x h: number (x, y) of map c is element c * step_c + y * step_y +
// x * step_x.
struct gpu_scores {
    const void *data;
    enum gpu_elem elem;
    int n, w, h;
    size_t step_c, step_y, step_x;
};

enum gpu_mask_kind {
    GPU_MASK_CLASSES, // the class of the largest interpolated score, at most 255
    GPU_MASK_NUMBERS, // the nearest number of the one map, limited to 0..255
    GPU_MASK_ABOVE,   // 1 where the one map, interpolated, is above the threshold
    GPU_MASK_BYTES,   // the one map, interpolated, 0..1 as 0..255
};

struct gpu_mask {
    enum gpu_mask_kind kind;
    struct gpu_scores scores;
    struct gpu_axis x, y; // from the maps to the mask
    bool sigmoid;         // ABOVE, BYTES: the map holds logits
    float threshold;      // ABOVE
    void *scratch;        // gpu_mask_scratch_bytes(), aligned to 4
    uint8_t *out;         // [y.n_out] rows of x.n_out bytes
    size_t stride;
};
size_t gpu_mask_scratch_bytes(const struct gpu_mask *m);
int gpu_mask(const struct gpu_mask *m, void *stream);
void gpu_mask_ref(const struct gpu_mask *m);

// ---- cells worth a look -------------------------------------------------------------

#define GPU_PICK_PARTS 4

// A cell's numbers in one tensor: channel c of cell i is element i * cell_step +
// c * channel_step.
struct gpu_pick_part {
    const void *data;
    enum gpu_elem elem;
    int channels;
    size_t cell_step, channel_step;
};

// The largest of n channels of a part.
struct gpu_pick_term {
    int part, from, n;
};

enum gpu_pick_score {
    GPU_PICK_ONE,     // a
    GPU_PICK_PRODUCT, // a * b
    GPU_PICK_ROOT,    // the square root of a * b, each limited to 0..1
    GPU_PICK_POWERS,  // a^0.6 * b^0.4
};

struct gpu_pick {
    struct gpu_pick_part part[GPU_PICK_PARTS];
    int n_parts;
    int64_t cells;  // fewer than 2^31
    uint32_t first; // number of the first one
    enum gpu_pick_score score;
    struct gpu_pick_term a, b;
    float least;     // cells with a lower score are left out, but not those with NaN
    uint32_t *count; // number of cells picked so far; is increased
    uint32_t *id;    // their numbers, in any order
    float *row;      // their channels, part by part: [..][row_floats]
    int row_floats;
};
// id and row may be host memory that the device can reach, because they are written only once,
// for a few cells.
int gpu_pick(const struct gpu_pick *p, void *stream);
void gpu_pick_ref(const struct gpu_pick *p);

#ifdef __cplusplus
}
#endif

#endif

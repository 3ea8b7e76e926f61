// SPDX-License-Identifier: MIT
//
// Which of gpu_conv()'s kernels a convolution uses, and the geometry of those that use tensor
// cores. Both depend on shape, element type and the device's compute capability, never on the
// batch. The lowering asks here before it asks cuDNN, and the launchers follow. Plain C,
// without state.
#ifndef REEL_KERNELS_GPU_CONV_WAY_H
#define REEL_KERNELS_GPU_CONV_WAY_H

#include "kernels/gpu/ops.h"

enum gpu_conv_way {
    GPU_CONV_DIRECT,  // conv.cu: any convolution
    GPU_CONV_FEW,     // conv_few.cu: few input channels, without tensor cores
    GPU_CONV_FEW_IN,  // conv_few_in.cu: the same on tensor cores
    GPU_CONV_FEW_OUT, // conv_few_out.cu: few output channels, on tensor cores
};

// Shared memory that a block has on every GPU, and the most that can be requested on all of
// sm_80 and later (CUDA programming guide, technical specifications).
#define GPU_SHARED_MOST (48 * 1024)
#define GPU_SHARED_ASKED (96 * 1024)

// What counts as few channels: the most channels, products and results per pixel.
#define GPU_FEW_CHANNELS 4
#define GPU_FEW_PRODUCTS 64
#define GPU_FEW_RESULTS 64

static inline bool gpu_conv_is_picture(const struct gpu_conv *p)
{
    return p->groups == 1 && !p->transposed && p->c_used >= 1 && p->c_used <= GPU_FEW_CHANNELS &&
           p->r * p->s * p->c_used <= GPU_FEW_PRODUCTS && p->k >= 4 && p->y_lanes % 4 == 0 && p->y_pitch % 4 == 0;
}

static inline bool gpu_conv_on_tensor_cores(const struct gpu_conv *p)
{
    return p->sm >= 80 && (p->elem == GPU_ELEM_F16 || p->elem == GPU_ELEM_BF16) && p->groups == 1 && !p->transposed;
}

// ---- few input channels ------------------------------------------------------------------

// Results that a block computes at a time.
#define GPU_FEW_IN_W 32
#define GPU_FEW_IN_H 8

// A block's piece of x in shared memory, C channels per pixel. The columns that a dilated row
// of taps reads lie side by side, `plane` numbers apart from those of the next residue. The
// products of a row of taps are then contiguous and are taken in pairs. If a pair may begin at
// an odd number, there is a second copy, shifted by one.
struct gpu_few_in {
    int row_pairs;     // of products in a row of taps
    int chunks;        // of 16 products, zeros included
    int columns, rows; // of the piece
    int plane, row;    // numbers of a residue's columns and of a row, even
    int second;        // 32-bit words from the first copy to the second; 0: there is none
    int tiles;         // of 8 results in a group: 1, 2, 4
    int groups;        // of 8 * tiles results
    int weight_bytes;  // of all, in the order of the matrix instruction
    int bytes;         // weights and the piece
};

static inline struct gpu_few_in gpu_few_in_of(const struct gpu_conv *p)
{
    struct gpu_few_in g;
    g.row_pairs = (p->s * p->c_used + 1) / 2;
    g.chunks = (p->r * g.row_pairs + 7) / 8;
    g.columns = (GPU_FEW_IN_W - 1) * p->stride_w + (p->s - 1) * p->dilation_w + 1;
    g.rows = (GPU_FEW_IN_H - 1) * p->stride_h + (p->r - 1) * p->dilation_h + 1;
    // one more than its columns have: an odd row's last pair ends there
    g.plane = ((g.columns + p->dilation_w - 1) / p->dilation_w * p->c_used + 2) / 2 * 2;
    g.row = g.plane * p->dilation_w;
    const bool even = p->c_used % 2 == 0 || (p->dilation_w == 1 && p->stride_w % 2 == 0);
    const int words = g.rows * g.row / 2;
    g.second = even ? 0 : (words + 15) / 32 * 32 + 16; // half of the 32 banks away from the first
    g.tiles = p->y_lanes > 16 ? 4 : p->y_lanes > 8 ? 2 : 1;
    g.groups = (p->y_lanes + 8 * g.tiles - 1) / (8 * g.tiles);
    g.weight_bytes = g.chunks * g.groups * g.tiles * 256;
    g.bytes = g.weight_bytes + 4 * (g.second + words + 1);
    return g;
}

static inline bool gpu_conv_is_few_in(const struct gpu_conv *p)
{
    // so that the extents of the piece cannot become large
    if (!gpu_conv_on_tensor_cores(p) || !gpu_conv_is_picture(p) || p->y_lanes > 1024 || p->stride_w > 64 ||
        p->stride_h > 64 || p->dilation_w > 64 || p->dilation_h > 64)
        return false;
    const struct gpu_few_in g = gpu_few_in_of(p);
    const int vector = 2 * g.tiles; // results that a thread stores at once
    return g.chunks <= GPU_FEW_PRODUCTS / 16 && p->y_lanes % vector == 0 && p->y_pitch % vector == 0 &&
           g.bytes <= GPU_SHARED_MOST;
}

// ---- few output channels -----------------------------------------------------------------

// Columns of x that a block takes, the pitch of their products (12 more than a multiple of the
// 32 banks, see conv_few_out.cu), and rows taken at a time.
#define GPU_FEW_OUT_W 64
#define GPU_FEW_OUT_PITCH 76
#define GPU_FEW_OUT_ROWS 2
// Most results per pixel.
#define GPU_FEW_OUT_K 8
// With fewer pixels such blocks do not fill a GPU, and the convolution is left to cuDNN.
#define GPU_FEW_OUT_PIXELS 65536

struct gpu_few_out {
    int products; // per input pixel: one column for every tap and result
    int tiles;    // of 8 columns: 2, 4, 8
    int chunks;   // of 16 channels, loaded at once: 1, 2, 4
    int slots;    // rows of products that are kept
    int weight_bytes, bytes;
};

static inline struct gpu_few_out gpu_few_out_of(const struct gpu_conv *p)
{
    struct gpu_few_out g;
    g.products = p->r * p->s * p->k;
    g.tiles = g.products > 32 ? 8 : g.products > 16 ? 4 : 2;
    g.chunks = p->c % 64 == 0 ? 4 : p->c % 32 == 0 ? 2 : 1;
    g.slots = p->r - 1 + GPU_FEW_OUT_ROWS;
    g.weight_bytes = p->c / 16 * g.tiles * 256;
    g.bytes = g.weight_bytes + g.slots * g.products * GPU_FEW_OUT_PITCH * 4;
    return g;
}

static inline bool gpu_conv_is_few_out(const struct gpu_conv *p)
{
    return gpu_conv_on_tensor_cores(p) && p->k >= 1 && p->k <= GPU_FEW_OUT_K && p->r * p->s >= 2 &&
           p->r * p->s * p->k <= GPU_FEW_PRODUCTS && p->stride_h == 1 && p->stride_w == 1 && p->dilation_h == 1 &&
           p->dilation_w == 1 && p->s <= GPU_FEW_OUT_W / 2 && p->c >= 16 && p->c <= 1024 && p->c % 16 == 0 &&
           p->x_pitch % 8 == 0 && gpu_few_out_of(p).bytes <= GPU_SHARED_ASKED;
}

static inline enum gpu_conv_way gpu_conv_way_of(const struct gpu_conv *p)
{
    if (gpu_conv_is_few_in(p)) return GPU_CONV_FEW_IN;
    if (gpu_conv_is_picture(p) && p->y_lanes <= GPU_FEW_RESULTS) return GPU_CONV_FEW;
    return gpu_conv_is_few_out(p) ? GPU_CONV_FEW_OUT : GPU_CONV_DIRECT;
}

#endif

// SPDX-License-Identifier: MIT
//
// The steps of a lowered graph: what the GPU does, one step after another, on buffers of one
// arena. Built by program.c and lower/*.c, placed by arena.c. Run by exec_device.c (cuDNN and
// kernels on a stream) or by exec_host.c (the kernels' C twins in host memory, so that
// everything except the kernels is tested without a GPU). Plain data, without pointers into
// an arena.
#ifndef REEL_WORKER_BACKEND_CUDNN_STEPS_H
#define REEL_WORKER_BACKEND_CUDNN_STEPS_H

#include "kernels/gpu/attention.h"
#include "kernels/gpu/bytes.h"
#include "kernels/gpu/flash.h"
#include "kernels/gpu/found.h"
#include "kernels/gpu/fourier.h"
#include "kernels/gpu/fp8.h"
#include "kernels/gpu/integer.h"
#include "kernels/gpu/ops.h"
#include "kernels/gpu/rare.h"
#include "kernels/gpu/rnn.h"
#include "kernels/gpu/sample.h"
#include "kernels/gpu/select.h"
#include "kernels/gpu/volume.h"
#include "worker/backend/cudnn/plan/pattern.h"

enum buf_kind {
    BUF_ARENA, // device memory, shared with buffers used at other times
    BUF_CONST, // device memory, filled once from init
    BUF_HOST,  // host memory: arguments and results of host steps
};

struct buf {
    enum buf_kind kind;
    size_t bytes;
    int first, last;  // first and last step that use it
    const void *init; // BUF_CONST and constant BUF_HOST: its bytes, valid as long as the program
    int group;        // 0, or 1 + the buffer from whose beginning it lies group_at (lower/copies.c)
    size_t group_at;
    size_t offset; // in the memory of its kind (arena.c)
};

// A place in a buffer; buf -1: nowhere.
struct ref {
    int buf;
    size_t offset;
};
#define REF_NONE ((struct ref){.buf = -1})

enum step_kind {
    STEP_PLAN, // a fused pattern: by cuDNN, or by conv or matmul if it refuses
    STEP_CONV, // our kernels from here on
    STEP_DEPTHWISE,
    STEP_VOLUME, // over three axes
    STEP_MATMUL,
    STEP_COPY,
    STEP_QUANTISE,
    STEP_ELEMENTWISE,
    STEP_INTEGER,
    STEP_POOL,
    STEP_RESIZE,
    STEP_REDUCE,
    STEP_ARGMAX,
    STEP_SOFTMAX,
    STEP_NORM,
    STEP_LAYER_NORM,
    STEP_GATHER,
    STEP_TOPK,
    STEP_GATHER_AT,
    STEP_SCATTER,
    STEP_FOUND, // what a mask has set, into host memory
    STEP_ONE_HOT,
    STEP_SCAN,
    STEP_TRIANGLE,
    STEP_REVERSE,
    STEP_GRID_SAMPLE,
    STEP_AFFINE_GRID,
    STEP_ROI_ALIGN,
    STEP_ROI_POOL,
    STEP_LRN,
    STEP_DEFORM,
    STEP_COL2IM,
    STEP_POOL_PLACES,
    STEP_POOL3,
    STEP_ATTENTION,
    STEP_FLASH,
    STEP_ROTARY,
    STEP_RNN,
    STEP_FOURIER,
    STEP_DET,
    STEP_CACHE_UPDATE,
    STEP_BYTES,
    STEP_BYTE_SCALE,
    STEP_UPLOAD, // host buffer -> device buffer
    STEP_DOWNLOAD,
    STEP_HOST,    // the operator's reference implementation, on host buffers
    STEP_REGIONS, // the host gives the steps that follow it one piece of rows after another (lower/regions.h)
    STEP_ROWS,    // exchanges rows of a band with its neighbours
};

// Rows of a value in the buffer y, by offsets from its beginning: the band's own first and
// last rows, which are sent, and the rows beyond them, which are received.
struct step_rows {
    size_t bytes; // of the rows sent to each neighbour
    bool up, down;
    size_t send_up, send_down, from_up, from_down;
};

struct host_call; // lower/host.c
struct regions;   // lower/regions.h

struct step {
    enum step_kind kind;
    const struct node *node; // NULL for conversions between forms
    const char *label;       // for the dump
    struct ref x, y;
    struct ref w;                     // weights; tables of COPY and RESIZE; indices
    struct ref extra[3];              // RESIZE: weights. REDUCE: mean. NORM: mean, var, scale... see exec_host.c
    struct ref operand[GPU_OPERANDS]; // of the chain
    size_t bytes;                     // UPLOAD, DOWNLOAD
    struct gpu_pattern pattern;       // PLAN
    union {
        struct gpu_conv conv; // CONV, DEPTHWISE, PLAN of a convolution
        struct gpu_volume volume;
        struct gpu_matmul matmul; // MATMUL, PLAN of a product
        struct gpu_copy copy;
        struct gpu_quantise quantise;
        struct gpu_elementwise elementwise;
        struct gpu_integer integer; // step.operand: what it reads
        struct gpu_pool pool;
        struct gpu_pool3 pool3;
        struct gpu_resize resize;
        struct gpu_reduce reduce;
        struct gpu_argmax argmax;
        struct gpu_softmax softmax;
        struct gpu_norm norm;
        struct gpu_layer_norm layer_norm;
        struct gpu_gather gather;
        struct gpu_topk topk;
        struct gpu_index index; // GATHER_AT, SCATTER
        struct gpu_found found; // x: mask, w: data; y, extra[0]: positions and values on the host
        struct gpu_one_hot one_hot;
        struct gpu_scan scan;
        struct gpu_triangle triangle;
        struct gpu_reverse reverse;
        struct gpu_grid_sample grid_sample;
        struct gpu_affine_grid affine_grid;
        struct gpu_roi_align roi_align;
        struct gpu_roi_pool roi_pool;
        struct gpu_lrn lrn;
        struct gpu_deform deform;
        struct gpu_col2im col2im;
        struct gpu_attention attention;
        struct gpu_flash flash; // x, w, extra[0]: q, k, v; operand: terms; extra[1]: valid
        struct gpu_rotary rotary;
        struct gpu_rnn rnn;
        struct gpu_fourier fourier;
        struct gpu_det det;
        struct gpu_cache_update cache_update;
        struct gpu_bytes bytes; // x, w; extra[0], extra[1]: their zero points
        struct host_call *host;
        struct regions *regions;
        struct step_rows rows;
    } u;
};

// The chain of pointwise steps that follows the step's main work; NULL for kinds without one.
static inline struct gpu_chain *step_chain(struct step *s)
{
    switch (s->kind) {
    case STEP_PLAN:
        return s->pattern.kind == GPU_MATMUL ? &s->u.matmul.chain : &s->u.conv.chain;
    case STEP_CONV:
    case STEP_DEPTHWISE:
        return &s->u.conv.chain;
    case STEP_VOLUME:
        return &s->u.volume.chain;
    case STEP_MATMUL:
        return &s->u.matmul.chain;
    case STEP_ELEMENTWISE:
        return &s->u.elementwise.chain;
    default:
        return NULL;
    }
}

#endif

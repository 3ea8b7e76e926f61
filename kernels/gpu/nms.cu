// SPDX-License-Identifier: MIT
//
// gpu_nms() of nms.h. Boxes are taken in their order, a chunk at a time, so that
// memory and work stay small however many there are. Three kernels a chunk: which
// of its boxes one that is kept already covers, a bit each; which of its boxes
// cover which later ones, a row of bits each; and one block that goes through the
// chunk, keeps the next box that is not covered and adds its row to what is. Once
// enough are kept the others end at once.
#include "kernels/gpu/common.cuh"
#include "kernels/nms.h"

#define CHUNK GPU_NMS_CHUNK
#define WORDS (CHUNK / 32)
#define PART 512 // kept boxes that one block compares with

struct scratch {
    uint32_t gone[WORDS]; // bit i: box i of the chunk is covered by a box that is kept
    uint32_t bits[CHUNK][WORDS];
};
static_assert(sizeof(scratch) == GPU_NMS_SCRATCH, "nms.h says how much is needed");

// Whether nms_iou() > iou for two boxes of one class; the sums are made in the same way.
static __device__ __forceinline__ bool covers(const nms_box &a, const nms_box &b, float iou)
{
    if (a.class_id != b.class_id) return false;
    const float w = __fsub_rn(fminf(a.x2, b.x2), fmaxf(a.x1, b.x1));
    const float h = __fsub_rn(fminf(a.y2, b.y2), fmaxf(a.y1, b.y1));
    if (!(w > 0.0f) || !(h > 0.0f)) return false;
    const float common = __fmul_rn(w, h);
    const float area_a = __fmul_rn(__fsub_rn(a.x2, a.x1), __fsub_rn(a.y2, a.y1));
    const float area_b = __fmul_rn(__fsub_rn(b.x2, b.x1), __fsub_rn(b.y2, b.y1));
    const float all = __fsub_rn(__fadd_rn(area_a, area_b), common);
    return all > 0.0f && __fdiv_rn(common, all) > iou;
}

static __global__ void begin(struct gpu_nms g)
{
    ((scratch *)g.scratch)->gone[threadIdx.x] = 0;
    if (threadIdx.x == 0) g.kept[0] = 0;
}

// Each thread has a box of the chunk; blocks side by side compare it with parts of the kept boxes.
static __global__ void against_kept(struct gpu_nms g, int from)
{
    const int kept = g.kept[0], first = (int)blockIdx.y * PART, end = min(kept, first + PART);
    if (first >= kept || kept >= g.most) return;
    const int at = (int)(blockIdx.x * GPU_BLOCK + threadIdx.x);
    bool gone = false;
    if (from + at < g.n) {
        const nms_box b = g.box[from + at];
        for (int k = first; k < end && !gone; k++) gone = covers(g.box[g.kept[1 + k]], b, g.iou);
    }
    const unsigned votes = __ballot_sync(0xffffffffu, gone);
    if (threadIdx.x % 32 == 0 && votes) atomicOr(&((scratch *)g.scratch)->gone[at / 32], votes);
}

// Each thread has a box of the chunk; blocks side by side compute words of its row.
static __global__ void within(struct gpu_nms g, int from)
{
    __shared__ nms_box later[32];
    const int at = (int)(blockIdx.x * GPU_BLOCK + threadIdx.x), column = (int)blockIdx.y * 32;
    if (column + 31 <= (int)(blockIdx.x * GPU_BLOCK) || from + column >= g.n || g.kept[0] >= g.most) return;
    const int columns = min(32, g.n - from - column);
    if ((int)threadIdx.x < columns) later[threadIdx.x] = g.box[from + column + (int)threadIdx.x];
    __syncthreads();
    if (from + at >= g.n) return;
    const nms_box b = g.box[from + at];
    uint32_t bits = 0;
    for (int i = max(0, at + 1 - column); i < columns; i++) bits |= (uint32_t)covers(b, later[i], g.iou) << i;
    ((scratch *)g.scratch)->bits[at][blockIdx.y] = bits;
}

// Each thread has a word. All threads go through the same boxes.
static __global__ void choose(struct gpu_nms g, int from)
{
    __shared__ uint32_t diagonal[CHUNK], word;
    scratch *s = (scratch *)g.scratch;
    const int thread = (int)threadIdx.x, count = min(CHUNK, g.n - from);
    int kept = g.kept[0];
    if (kept >= g.most) return;
    for (int i = thread; i < count; i += WORDS) diagonal[i] = s->bits[i][i / 32];
    uint32_t gone = s->gone[thread];
    s->gone[thread] = 0; // ready for the next chunk
    for (int w = 0; w * 32 < count && kept < g.most; w++) {
        __syncthreads();
        if (thread == w) word = ~gone;
        __syncthreads();
        uint32_t left = word;
        if (count - w * 32 < 32) left &= (1u << (count - w * 32)) - 1;
        while (left && kept < g.most) {
            const int bit = __ffs((int)left) - 1, i = w * 32 + bit;
            if (thread == 0) g.kept[1 + kept] = from + i;
            kept++;
            left &= ~(diagonal[i] | 1u << bit);
            if (thread > w && thread * 32 < count) gone |= s->bits[i][thread];
        }
    }
    if (thread == 0) g.kept[0] = kept;
}

int gpu_nms(const struct gpu_nms *g, void *stream)
{
    if (g->n < 0 || g->most < 0) return (int)cudaErrorInvalidValue;
    REEL_LAUNCH(begin, 1, WORDS, 0, stream, *g);
    for (int from = 0; from < g->n && g->most; from += CHUNK) {
        const int count = g->n - from < CHUNK ? g->n - from : CHUNK, most = g->most < from ? g->most : from;
        const unsigned blocks = gpu_blocks(count, GPU_BLOCK);
        if (from) REEL_LAUNCH(against_kept, dim3(blocks, gpu_blocks(most, PART)), GPU_BLOCK, 0, stream, *g, from);
        REEL_LAUNCH(within, dim3(blocks, gpu_blocks(count, 32)), GPU_BLOCK, 0, stream, *g, from);
        REEL_LAUNCH(choose, 1, WORDS, 0, stream, *g, from);
    }
    return (int)cudaGetLastError();
}

// SPDX-License-Identifier: MIT
//
// gpu_overlay() of overlay.h. A block has a tile of one plane: its threads look
// at 256 items of the list at a time, one each, and note those that touch the
// tile; then each thread applies them, in order, to its samples, which it holds
// in registers. Tiles that nothing touches are neither read nor written.
#include "kernels/gpu/common.cuh"
#include "kernels/overlay.h"

#define OVERLAY_FN static __device__ __forceinline__
#include "kernels/overlay_math.h"

#define TILE_W 64
#define TILE_H 32
#define ROWS (GPU_BLOCK / TILE_W)
#define EACH (TILE_H / ROWS) // samples of a thread, one below the other, ROWS apart
#define WORDS (GPU_BLOCK / 32)

// Luma samples [x0, x1) x [y0, y1).
struct area {
    int x0, y0, x1, y1;
};

// Covers samples [x, x + w) x [y, y + h) of a plane, within the picture.
static __device__ __forceinline__ area luma_of(const overlay_picture &p, const overlay_plane &plane, int x, int y,
                                               int w, int h)
{
    return {x << plane.log2_w, y << plane.log2_h, min((x + w) << plane.log2_w, p.width),
            min((y + h) << plane.log2_h, p.height)};
}

static __device__ __forceinline__ bool touches(const overlay_item &t, const area &a)
{
    return t.x0 < a.x1 && t.x1 > a.x0 && t.y0 < a.y1 && t.y1 > a.y0;
}

static __device__ bool has_dot(const overlay_list &l, const overlay_item &t, const area &a)
{
    const int x1 = min(a.x1, t.x1), y1 = min(a.y1, t.y1);
    for (int y = max(a.y0, t.y0); y < y1; y++)
        for (int x = max(a.x0, t.x0); x < x1; x++) {
            const int across = (x - t.left) / t.scale, row = (y - t.top) / t.scale;
            const int column = across % (OVERLAY_GLYPH_W + 1);
            if (column == OVERLAY_GLYPH_W) continue;
            const uint64_t glyph = l.glyph[t.glyph + across / (OVERLAY_GLYPH_W + 1)];
            if (glyph >> (row * OVERLAY_GLYPH_W + column) & 1) return true;
        }
    return false;
}

// What a sample of value v becomes.
static __device__ __forceinline__ int apply(const overlay_list &l, const overlay_picture &p, int i,
                                            const overlay_item &t, int x, int y, int v)
{
    const overlay_plane &plane = p.plane[i];
    if (t.kind == OVERLAY_BLEND) {
        int value;
        const int alpha = overlay_alpha(&l, &p, &plane, x, y, &value);
        return alpha ? overlay_mix(v, l.blend->ink_of[value].sample[i], alpha) : v;
    }
    const area a = luma_of(p, plane, x, y, 1, 1);
    if (!touches(t, a) || (t.kind == OVERLAY_TEXT && !has_dot(l, t, a))) return v;
    return t.ink.sample[i];
}

template <typename sample> static __device__ __forceinline__ sample *sample_at(const overlay_plane &plane, int x, int y)
{
    return (sample *)((uint8_t *)plane.data + (size_t)y * plane.stride) + (size_t)x * plane.step;
}

template <typename sample> static __global__ void draw(overlay_list l, overlay_picture p)
{
    __shared__ unsigned touching[WORDS];
    const overlay_plane &plane = p.plane[blockIdx.z];
    const int w = (p.width + (1 << plane.log2_w) - 1) >> plane.log2_w;
    const int h = (p.height + (1 << plane.log2_h) - 1) >> plane.log2_h;
    const int tile_x = (int)blockIdx.x * TILE_W, tile_y = (int)blockIdx.y * TILE_H, thread = (int)threadIdx.x;
    if (tile_x >= w || tile_y >= h) return;
    const area tile = luma_of(p, plane, tile_x, tile_y, TILE_W, TILE_H);
    const int x = tile_x + thread % TILE_W, y = tile_y + thread / TILE_W;
    int v[EACH] = {};
    bool loaded = false;
    for (unsigned from = 0; from < l.n; from += GPU_BLOCK) {
        const unsigned at = from + (unsigned)thread;
        const unsigned votes = __ballot_sync(0xffffffffu, at < l.n && touches(l.item[at], tile));
        if (thread % 32 == 0) touching[thread / 32] = votes;
        __syncthreads();
        for (int word = 0; word < WORDS; word++)
            for (unsigned bits = touching[word]; bits; bits &= bits - 1) {
                const overlay_item t = l.item[from + (unsigned)(word * 32 + __ffs((int)bits) - 1)];
                for (int k = 0; k < EACH; k++) {
                    const int row = y + k * ROWS;
                    if (x >= w || row >= h) continue;
                    if (!loaded) v[k] = *sample_at<sample>(plane, x, row) >> plane.shift;
                    v[k] = apply(l, p, (int)blockIdx.z, t, x, row, v[k]);
                }
                loaded = true;
            }
        __syncthreads();
    }
    if (!loaded || x >= w) return;
    for (int k = 0; k < EACH && y + k * ROWS < h; k++)
        *sample_at<sample>(plane, x, y + k * ROWS) = (sample)(v[k] << plane.shift);
}

int gpu_overlay(const struct overlay_list *l, const struct overlay_picture *p, void *stream)
{
    if (p->width <= 0 || p->height <= 0 || p->planes < 1 || p->planes > 3 || (p->bytes != 1 && p->bytes != 2))
        return (int)cudaErrorInvalidValue;
    if (!l->n) return (int)cudaSuccess;
    dim3 grid(gpu_blocks(p->width, TILE_W), gpu_blocks(p->height, TILE_H), (unsigned)p->planes);
    if (p->bytes == 2)
        REEL_LAUNCH(draw<uint16_t>, grid, GPU_BLOCK, 0, stream, *l, *p);
    else
        REEL_LAUNCH(draw<uint8_t>, grid, GPU_BLOCK, 0, stream, *l, *p);
    return (int)cudaGetLastError();
}

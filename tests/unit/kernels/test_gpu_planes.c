// SPDX-License-Identifier: MIT
//
// The plane kernels and their C twins: known values, what was split joins to
// the same bytes, and kernel and twin agree on random pictures.
#include "tests/check.h"

#include "kernels/gpu/planes.h"

// P010 keeps 10 bits in the high part of a word (fourcc P010).
static void p010(void)
{
    uint16_t chroma[2][4] = {{1023 << 6, 512 << 6, 4 << 6, 5 << 6}, {6 << 6, 7 << 6, 8 << 6, 0}};
    uint16_t u[2][3] = {{0}}, v[2][3] = {{0}};
    struct gpu_planes p = {.interleaved = chroma,
                           .interleaved_pitch = sizeof chroma[0],
                           .plane = {u, v},
                           .plane_pitch = {sizeof u[0], sizeof v[0]},
                           .n = 2,
                           .width = 2,
                           .height = 2,
                           .sample_bytes = 2,
                           .shift = 6};
    gpu_planes_split_ref(&p);
    CHECK_INT(u[0][0], 1023);
    CHECK_INT(v[0][0], 512);
    CHECK_INT(u[0][1], 4);
    CHECK_INT(v[0][1], 5);
    CHECK_INT(u[1][1], 8);
    CHECK_INT(u[1][2], 0); // beyond the width
}

static void round_trip(void)
{
    enum { W = 37, H = 11, PITCH = 96 };
    static uint8_t from[H][PITCH], back[H][PITCH], u[H][64], v[H][48];
    for (int y = 0; y < H; y++)
        for (int x = 0; x < PITCH; x++) from[y][x] = (uint8_t)(y * 31 + x * 7);
    struct gpu_planes p = {.interleaved = from,
                           .interleaved_pitch = PITCH,
                           .plane = {u, v},
                           .plane_pitch = {64, 48},
                           .n = 2,
                           .width = W,
                           .height = H,
                           .sample_bytes = 1};
    gpu_planes_split_ref(&p);
    CHECK_INT(u[3][5], from[3][10]);
    CHECK_INT(v[3][5], from[3][11]);
    p.interleaved = back;
    gpu_planes_join_ref(&p);
    for (int y = 0; y < H; y++) {
        CHECK_INT(memcmp(from[y], back[y], 2 * W), 0);
        CHECK_INT(back[y][2 * W], 0); // nothing beyond the width is written
    }
}

#define LARGEST 200
static uint8_t inter[2][LARGEST * LARGEST * 4], planes[2][2][LARGEST * LARGEST * 2];

// Everything outside the picture must stay as it was, so whole buffers are compared.
static void twins(void)
{
    uint64_t seed = 4711;
    for (int k = 0; k < 60; k++) {
        int n = 1 + (int)(check_rand(&seed) % 2), bytes = 1 + (int)(check_rand(&seed) % 2);
        int w = 1 + (int)(check_rand(&seed) % (LARGEST - 8)), h = 1 + (int)(check_rand(&seed) % LARGEST);
        int shift = bytes == 2 && check_rand(&seed) % 2 ? 6 : 0;
        for (size_t i = 0; i < sizeof inter[0]; i++) inter[0][i] = inter[1][i] = (uint8_t)check_rand(&seed);
        memset(planes, 0x5a, sizeof planes);
        struct gpu_planes p[2];
        for (int t = 0; t < 2; t++)
            p[t] = (struct gpu_planes){.interleaved = inter[t],
                                       .interleaved_pitch = (size_t)(w + 4) * bytes * n,
                                       .plane = {planes[t][0], planes[t][1]},
                                       .plane_pitch = {(size_t)(w + 2) * bytes, (size_t)w * bytes},
                                       .n = n,
                                       .width = w,
                                       .height = h,
                                       .sample_bytes = bytes,
                                       .shift = shift};
        CHECK_INT(gpu_planes_split(&p[0], NULL), 0);
        gpu_planes_split_ref(&p[1]);
        CHECK_MSG(!memcmp(planes[0], planes[1], sizeof planes[0]), "split %dx%d, %d samples of %d bytes, shift %d", w,
                  h, n, bytes, shift);
        memset(inter, 0xa5, sizeof inter);
        CHECK_INT(gpu_planes_join(&p[0], NULL), 0);
        gpu_planes_join_ref(&p[1]);
        CHECK_MSG(!memcmp(inter[0], inter[1], sizeof inter[0]), "join %dx%d, %d samples of %d bytes, shift %d", w, h, n,
                  bytes, shift);
    }
    struct gpu_planes bad = {.n = 3, .width = 0, .height = 1, .sample_bytes = 1};
    CHECK(gpu_planes_split(&bad, NULL) != 0);
}

CHECK_MAIN({"P010 planes", p010}, {"planes split and join", round_trip}, {"plane kernels and their twins", twins})

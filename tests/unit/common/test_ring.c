// SPDX-License-Identifier: MIT
#include "tests/check.h"

#include <sys/stat.h>
#include <unistd.h>

#include "common/ring.h"
#include "common/shm.h"

static const struct reel_pixel_format yuv420 = {REEL_PIX_YUV, 8, 1, 1}, yuv422p10 = {REEL_PIX_YUV, 10, 1, 0},
                                      nv12 = {REEL_PIX_NV, 8, 1, 1}, gbr = {REEL_PIX_GBR, 8, 0, 0}, none = {0};

// Planes lie apart, in the slot, aligned; odd sizes round chroma up.
static void geometry(void)
{
    const struct reel_pixel_format formats[] = {yuv420, yuv422p10, nv12, gbr, {REEL_PIX_GRAY, 16, 0, 0}, none};
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        struct reel_geometry g;
        CHECK_INT(reel_geometry_init(&g, formats[i], 641, 361, 100), REEL_OK);
        uint64_t end = REEL_STAMP_BYTES;
        for (int p = 0; p < reel_format_planes(formats[i]); p++) {
            uint32_t w, h;
            reel_plane_size(&g, p, &w, &h);
            CHECK(g.plane_offset[p] >= end && g.plane_offset[p] % 64 == 0 && g.plane_stride[p] % 64 == 0);
            CHECK(g.plane_stride[p] >= w * reel_format_bytes(formats[i]));
            end = g.plane_offset[p] + (uint64_t)g.plane_stride[p] * h;
        }
        CHECK(g.aux_offset >= end && g.aux_offset + 100 <= g.slot_bytes && g.slot_bytes % REEL_SLOT_ALIGN == 0);
        CHECK(reel_geometry_valid(&g, 3, 3 * g.slot_bytes));
        CHECK(!reel_geometry_valid(&g, 4, 3 * g.slot_bytes));
        CHECK(!reel_geometry_valid(&g, 0, 3 * g.slot_bytes));
    }
    struct reel_geometry g;
    uint32_t w, h;
    CHECK_INT(reel_geometry_init(&g, yuv420, 641, 361, 0), REEL_OK);
    reel_plane_size(&g, 1, &w, &h);
    CHECK_INT(w, 321);
    CHECK_INT(h, 181);
}

// The alpha plane lies behind the picture's, in front of the aux area.
static void geometry_alpha(void)
{
    const struct reel_pixel_format formats[] = {yuv420, yuv422p10, gbr, {REEL_PIX_GRAY, 16, 0, 0}};
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        struct reel_geometry g, plain;
        CHECK_INT(reel_geometry_init(&g, formats[i], 641, 361, 100), REEL_OK);
        plain = g;
        CHECK_INT(reel_geometry_add_alpha(&g), REEL_OK);
        CHECK_INT(g.alpha_offset, plain.aux_offset);
        CHECK(g.alpha_stride >= 641 * reel_format_bytes(formats[i]) && g.alpha_stride % 64 == 0);
        CHECK(g.aux_offset >= g.alpha_offset + (uint64_t)g.alpha_stride * 361 && g.aux_offset + 100 <= g.slot_bytes);
        CHECK(reel_geometry_valid(&g, 3, 3 * g.slot_bytes));
        CHECK(!reel_geometry_valid(&g, 4, 3 * g.slot_bytes));
        g.alpha_offset += 64;
        CHECK(!reel_geometry_valid(&g, 3, 3 * g.slot_bytes));
        g.alpha_offset = plain.aux_offset;
        g.alpha_stride = 64;
        CHECK(!reel_geometry_valid(&g, 3, 3 * g.slot_bytes));
    }
    struct reel_geometry g; // 4 planes of a GiB
    CHECK_INT(reel_geometry_init(&g, (struct reel_pixel_format){REEL_PIX_GBR, 8, 0, 0}, 32768, 32768, 0), REEL_OK);
    CHECK_INT(reel_geometry_add_alpha(&g), REEL_ERR_LIMIT);
}

static void geometry_refused(void)
{
    struct reel_geometry g;
    CHECK_INT(reel_geometry_init(&g, yuv420, 0, 10, 0), REEL_ERR_LIMIT);
    CHECK_INT(reel_geometry_init(&g, yuv420, 40000, 10, 0), REEL_ERR_LIMIT);
    CHECK_INT(reel_geometry_init(&g, (struct reel_pixel_format){REEL_PIX_GBR, 16, 0, 0}, 32768, 32768, 0),
              REEL_ERR_LIMIT);
    CHECK_INT(reel_geometry_init(&g, (struct reel_pixel_format){9, 8, 0, 0}, 16, 16, 0), REEL_ERR_CONFIG);
    CHECK_INT(reel_geometry_init(&g, yuv420, 64, 64, 0), REEL_OK);
    g.plane_offset[1] = 1u << 30; // a peer's numbers are never trusted
    CHECK(!reel_geometry_valid(&g, 1, 1u << 31));
}

static void stamps(void)
{
    const uint64_t bytes = 1 << 20;
    int fd;
    struct reel_ring ring;
    struct reel_geometry g;
    struct reel_stamp stamp;
    CHECK_INT(reel_shm_create(REEL_SHM_MEMFD, bytes, &fd), REEL_OK);
    CHECK_INT(reel_ring_init(&ring, fd, bytes), REEL_OK);
    CHECK_INT(reel_geometry_init(&g, yuv420, 64, 32, 64), REEL_OK);
    CHECK_INT(reel_ring_configure(&ring, 7, 4, &g), REEL_OK);
    CHECK_INT(reel_shm_reserve(fd, 4 * g.slot_bytes), REEL_OK);
    reel_ring_publish(&ring, reel_ring_slot_of(&ring, 6), 6, 1234, 8);
    CHECK_INT(reel_ring_check(&ring, 2, 6, &stamp), REEL_OK);
    CHECK_INT(stamp.pts, 1234);
    CHECK_INT(stamp.aux_bytes, 8);
    CHECK_INT(reel_ring_check(&ring, 2, 2, &stamp), REEL_ERR_PROTO);
    CHECK_INT(reel_ring_check(&ring, 4, 6, &stamp), REEL_ERR_PROTO);
    CHECK_INT(reel_ring_configure(&ring, 8, 4, &g), REEL_OK);
    CHECK_INT(reel_ring_check(&ring, 2, 6, &stamp), REEL_ERR_PROTO); // an older epoch's
    CHECK_INT(reel_ring_configure(&ring, 9, 100000, &g), REEL_ERR_PROTO);
    reel_ring_fini(&ring);
    close(fd);
}

// Reserved memory goes back; an unreserved object uses none; no name stays.
static void sparse(void)
{
    for (int kind = REEL_SHM_POSIX; kind <= REEL_SHM_MEMFD; kind++) {
        const uint64_t bytes = UINT64_C(1) << 33;
        int fd;
        struct stat st;
        CHECK_INT(reel_shm_create(kind, bytes, &fd), REEL_OK);
        CHECK(!fstat(fd, &st));
        CHECK_INT(st.st_blocks, 0);
        CHECK_INT(reel_shm_reserve(fd, 1 << 20), REEL_OK);
        CHECK(!fstat(fd, &st));
        CHECK_INT(st.st_blocks * 512, 1 << 20);
        reel_shm_punch(fd, 1 << 20);
        CHECK(!fstat(fd, &st));
        CHECK_INT(st.st_blocks, 0);
        CHECK_INT(st.st_nlink, 0);
        if (kind == REEL_SHM_MEMFD) CHECK(ftruncate(fd, 0) < 0); // sealed
        void *base;
        CHECK_INT(reel_shm_map(fd, bytes / 2, &base), REEL_ERR_PROTO);
        close(fd);
    }
}

// Pixels elsewhere: host slots hold stamp and side data alone, plane addresses
// count from the device ring.
static void on_device(void)
{
    struct reel_geometry g, host;
    const struct reel_pixel_format yuv = {REEL_PIX_YUV, 8, 1, 1};
    CHECK_INT(reel_geometry_init(&g, yuv, 640, 360, 5000), REEL_OK);
    host = reel_ring_host_part(&g);
    CHECK(host.slot_bytes < g.slot_bytes && host.slot_bytes >= REEL_STAMP_BYTES + 5000);
    CHECK_INT(host.aux_bytes, 5000);
    int fd;
    uint64_t bytes = 4 * host.slot_bytes; // too small for one picture
    CHECK_INT(reel_shm_create(REEL_SHM_MEMFD, bytes, &fd), REEL_OK);
    struct reel_ring ring;
    CHECK_INT(reel_ring_init(&ring, fd, bytes), REEL_OK);
    close(fd);
    CHECK_INT(reel_ring_configure(&ring, 3, 4, &g), REEL_ERR_PROTO);
    CHECK_INT(reel_ring_configure_device(&ring, 3, 5, &g), REEL_ERR_PROTO); // one slot too many
    CHECK_INT(reel_ring_configure_device(&ring, 3, 4, &g), REEL_OK);
    uint8_t *pixels = malloc(4 * g.slot_bytes);
    reel_ring_attach(&ring, pixels, false);
    CHECK(reel_ring_pixels(&ring, 3) == pixels + 3 * g.slot_bytes);
    CHECK(reel_ring_plane(&ring, 2, 1) == pixels + 2 * g.slot_bytes + g.plane_offset[1]);
    CHECK(reel_ring_slot(&ring, 3) == ring.base + 3 * host.slot_bytes);
    CHECK(reel_ring_aux(&ring, 1) + 5000 <= reel_ring_slot(&ring, 2));
    memset(reel_ring_aux(&ring, 1), 7, 5000);
    reel_ring_publish(&ring, 1, 9, 1234, 5000);
    struct reel_stamp stamp;
    CHECK_INT(reel_ring_check(&ring, 1, 9, &stamp), REEL_OK);
    CHECK_INT(stamp.aux_bytes, 5000);
    CHECK_INT(reel_ring_aux(&ring, 1)[4999], 7);
    // The next epoch in host memory again.
    struct reel_geometry small;
    CHECK_INT(reel_geometry_init(&small, yuv, 16, 16, 64), REEL_OK);
    CHECK_INT(reel_ring_configure(&ring, 4, 1, &small), REEL_OK);
    CHECK(reel_ring_pixels(&ring, 0) == ring.base && !ring.on_device);
    reel_ring_fini(&ring);
    free(pixels);
}

CHECK_MAIN({"ring on a device", on_device}, {"ring geometry", geometry}, {"ring geometry alpha", geometry_alpha},
           {"ring geometry refused", geometry_refused}, {"ring stamps", stamps},
           {"shm sparse, nameless, sealed", sparse})

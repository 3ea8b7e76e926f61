// SPDX-License-Identifier: MIT
//
// The shortcut of mask_classes() changes nothing.
#include "kernels/mask.h"

#include "tests/check.h"

static void shortcut_is_exact(void)
{
    uint64_t seed = 21;
    for (int round = 0; round < 40; round++) {
        int w = 2 + round % 9, h = 2 + round % 7, n = 2 + round % 5, ow = 37, oh = 29;
        float *data = malloc((size_t)(w * h * n) * sizeof *data);
        for (int i = 0; i < w * h * n; i++) data[i] = (float)(check_rand(&seed) >> 40) / (1 << 24);
        struct mask_scores s = {data, n, w, h, (size_t)(w * h), (size_t)w, 1};
        if (round & 1) s.step_c = 1, s.step_x = (size_t)n, s.step_y = (size_t)(w * n);
        struct resize_axis x, y;
        CHECK(resize_axis_fit(&x, RESIZE_LINEAR, w, ow) && resize_axis_fit(&y, RESIZE_LINEAR, h, oh));
        uint16_t best[200];
        uint8_t got[37 * 29], want[37 * 29];
        mask_best(&s, best);
        mask_classes(&s, best, &x, &y, got, 37);
        mask_classes_ref(&s, &x, &y, want, 37);
        int differ = memcmp(got, want, sizeof got) != 0;
        free(data);
        resize_axis_fini(&x);
        resize_axis_fini(&y);
        CHECK_MSG(!differ, "round %d: %dx%d, %d classes", round, w, h, n);
    }
}

static void bytes(void)
{
    const float v[6] = {-1, 0, 0.5f, 1, 7, 0.1f};
    uint8_t out[6];
    mask_bytes(v, out, 6);
    static const uint8_t want[6] = {0, 0, 128, 255, 255, 26};
    for (int i = 0; i < 6; i++) CHECK_INT(out[i], want[i]);
}

CHECK_MAIN({"mask shortcut is exact", shortcut_is_exact}, {"mask bytes", bytes})

// SPDX-License-Identifier: MIT
//
// Suppression: known cases; the host's way beside the definition, pair by pair;
// the GPU's beside the host's, to the box.
#include "kernels/nms.h"

#include "tests/check.h"

// As detect.c does it.
static int run(struct nms_box *b, int n, float iou, int most)
{
    return nms_keep(b, nms_sort(b, n), iou, most);
}

static void keeps_best_of_class(void)
{
    struct nms_box b[] = {{0, 0, 10, 10, 0.5f, 0, 0},
                          {1, 1, 11, 11, 0.9f, 0, 1},
                          {0, 0, 10, 10, 0.8f, 1, 2},
                          {30, 30, 40, 40, 0.1f, 0, 3},
                          {0, 0, 0, 0, NAN, 0, 4}};
    int n = run(b, 5, 0.45f, 10);
    CHECK_INT(n, 3);
    CHECK_INT(b[0].index, 1);
    CHECK_INT(b[1].index, 2);
    CHECK_INT(b[2].index, 3);
}

static void ties_and_limit(void)
{
    struct nms_box b[20];
    for (int i = 0; i < 20; i++) b[i] = (struct nms_box){(float)i * 20, 0, (float)i * 20 + 10, 10, 0.5f, 0, 19 - i};
    CHECK_INT(run(b, 20, 0.5f, 7), 7);
    for (int i = 0; i < 7; i++) CHECK_INT(b[i].index, i);
    CHECK_INT(run(b, 0, 0.5f, 7), 0);
    CHECK_INT(run(b, 7, 0.5f, 0), 0);
}

static void overlap(void)
{
    struct nms_box a = {0, 0, 2, 2, 1, 0, 0}, b = {1, 0, 3, 2, 1, 0, 0}, c = {5, 5, 5, 9, 1, 0, 0};
    CHECK_NEAR(nms_iou(&a, &b), 1.0 / 3, 1e-6);
    CHECK_NEAR(nms_iou(&a, &c), 0, 0);
    CHECK_NEAR(nms_iou(&a, &a), 1, 1e-6);
}

// ---- against the definition -----------------------------------------------------

#define LARGEST 6000

static uint64_t seed = 77;

static int below(int n)
{
    return (int)(check_rand(&seed) >> 33) % n;
}

static int by_score(const void *va, const void *vb)
{
    const struct nms_box *a = va, *b = vb;
    if (a->score != b->score) return a->score > b->score ? -1 : 1;
    return a->index < b->index ? -1 : a->index > b->index;
}

static int by_definition(struct nms_box *b, int n, float iou, int most)
{
    int numbers = 0, kept = 0;
    for (int i = 0; i < n; i++)
        if (!isnan(b[i].score)) b[numbers++] = b[i];
    qsort(b, (size_t)numbers, sizeof *b, by_score);
    for (int i = 0; i < numbers && kept < most; i++) {
        int k = 0;
        while (k < kept && (b[k].class_id != b[i].class_id || !(nms_iou(&b[k], &b[i]) > iou))) k++;
        if (k == kept) b[kept++] = b[i];
    }
    return kept;
}

// levels: how many scores there are; kinds of boxes: a crowd on a grid, some alone,
// empty ones, some turned round.
static void random_boxes(struct nms_box *b, int n, int classes, int levels)
{
    for (int i = 0; i < n; i++) {
        int kind = below(20);
        float x = (float)(kind < 12 ? below(40) * 24 + below(6) : below(1800)), y = (float)(below(30) * 30 + below(7));
        float w = kind == 19 ? -3.0f : kind == 18 ? 0.0f : 20.0f + (float)below(3000) / 97.0f;
        b[i] = (struct nms_box){x, y, x + w, y + 1.3f * w, (float)(below(levels) - levels / 4) / (float)levels, 0, i};
        b[i].class_id = below(8) ? below(classes) : below(classes) * 256 - 512; // several in one list
        if (below(50) == 0) b[i].score = NAN;
        if (below(50) == 0) b[i].score = -0.0f;
    }
    for (int i = 0; i < n; i++) b[i].index = n - 1 - (i * 7 + 3) % n; // in no order
    if (n % 7 == 0)
        for (int i = 0; i < n; i++) b[i].index = i - n / 2;
}

static struct nms_box made[LARGEST], want[LARGEST], got[LARGEST];
static struct {
    uint8_t bytes[GPU_NMS_SCRATCH];
} scratch;
static int32_t kept[2][LARGEST + 2];

static void compare(int n, int classes, int levels, float iou, int most)
{
    random_boxes(made, n, classes, levels);
    memcpy(want, made, sizeof made);
    memcpy(got, made, sizeof made);
    int n_want = by_definition(want, n, iou, most), sorted = nms_sort(got, n);
    struct gpu_nms g = {got, sorted, iou, most, &scratch, kept[0]}, ref = g;
    ref.kept = kept[1];
    memset(&scratch, 0xa5, sizeof scratch);
    memset(kept, 0x5a, sizeof kept);
    CHECK(gpu_nms_ref(&ref));
    CHECK_INT(gpu_nms(&g, NULL), 0);
    CHECK_MSG(!memcmp(kept[0], kept[1], sizeof kept[0]), "GPU and twin: %d of %d boxes, %d classes, iou %g, most %d",
              n_want, n, classes, (double)iou, most);
    CHECK_INT(kept[0][0], n_want);
    for (int i = 0; i < n_want; i++) CHECK(!memcmp(&want[i], &got[kept[0][1 + i]], sizeof *want));
    CHECK_INT(nms_keep(got, sorted, iou, most), n_want);
    CHECK_MSG(!memcmp(want, got, (size_t)n_want * sizeof *want), "%d of %d boxes, %d classes, iou %g, most %d", n_want,
              n, classes, (double)iou, most);
}

static void few(void)
{
    static const float ious[] = {0, 0.3f, 0.45f, 0.9f, 1};
    for (int i = 0; i < 300; i++)
        compare(1 + below(200), 1 + below(5), 1 + below(300), ious[below(5)], below(3) ? 1 + below(40) : 300);
    compare(0, 1, 1, 0.5f, 5);
    compare(100, 3, 10, 0.5f, 0);
}

// Beyond a chunk of the GPU's, at its edge, with more kept than one of its blocks looks at.
static void thousands(void)
{
    compare(GPU_NMS_CHUNK - 1, 1, 1000, 0.45f, 300);
    compare(GPU_NMS_CHUNK, 2, 3, 0.45f, LARGEST);
    compare(GPU_NMS_CHUNK + 1, 1, 1000, 0.45f, LARGEST);
    compare(LARGEST, 1, 100000, 0.3f, LARGEST);
    compare(LARGEST, 80, 100000, 0.45f, 4096);
    compare(LARGEST, 1, 1, 0.2f, 300);
    compare(5000, 5, 50, 0.95f, GPU_NMS_CHUNK + 5);
}

CHECK_MAIN({"nms keeps the best of a class", keeps_best_of_class}, {"nms ties and limit", ties_and_limit},
           {"nms overlap", overlap}, {"nms by the definition, and on a GPU", few},
           {"nms of thousands of boxes", thousands})

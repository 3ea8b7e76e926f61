// SPDX-License-Identifier: MIT
//
// Masks and picked cells: the kernels against their C twins, and the twins
// against what the CPU path does, on random maps of every type and layout.
#include "kernels/gpu/results.h"

#include <math.h>

#include "common/tensor.h"
#include "kernels/mask.h"
#include "tests/check.h"

static uint64_t seed = 21;

static int below(int n)
{
    return (int)(check_rand(&seed) % (uint64_t)n);
}

// ---- numbers of every type --------------------------------------------------------

#define MOST 60000
static double stored[MOST]; // aligned room for numbers of any type
static float plain[MOST];   // the same numbers

// Some equal scores and some that are no numbers.
static float some_number(enum gpu_elem e, int most)
{
    if (e == GPU_ELEM_F32 || e == GPU_ELEM_F16 || e == GPU_ELEM_BF16)
        return below(200) == 0 ? NAN : (float)below(400) / 100.0f - 2.0f;
    return (float)(below(most) - (e == GPU_ELEM_U8 ? 0 : most / 8));
}

static void fill(enum gpu_elem e, int n, int most)
{
    CHECK(n <= MOST);
    for (int i = 0; i < n; i++) {
        gpu_elem_store(e, stored, i, some_number(e, most));
        plain[i] = gpu_elem_load(e, stored, i);
    }
}

// ---- masks ------------------------------------------------------------------------

#define SIDE 90
static uint8_t masks[3][SIDE * (SIDE + 8)];

static struct gpu_axis axis_of(const struct resize_axis *a)
{
    return (struct gpu_axis){a->n_in, a->n_out, a->taps, a->first, a->weight};
}

static void read_row(void *user, int y, float *const *rows)
{
    const struct gpu_mask *m = user;
    for (int x = 0; x < m->scores.w; x++) {
        float v = plain[(size_t)y * m->scores.step_y + (size_t)x * m->scores.step_x];
        rows[0][x] = m->sigmoid ? 1.0f / (1.0f + expf(-v)) : v;
    }
}

static void write_row(void *user, int y, float *const *rows)
{
    const struct gpu_mask *m = user;
    uint8_t *row = masks[2] + (size_t)y * m->stride;
    if (m->kind == GPU_MASK_BYTES) mask_bytes(rows[0], row, m->x.n_out);
    for (int x = 0; x < m->x.n_out && m->kind == GPU_MASK_ABOVE; x++) row[x] = rows[0][x] > m->threshold;
}

// By the functions of the CPU path, into masks[2].
static void by_cpu(const struct gpu_mask *m, const struct resize_axis *x, const struct resize_axis *y)
{
    struct mask_scores s = {plain,           m->scores.n, m->scores.w, m->scores.h, m->scores.step_c, m->scores.step_y,
                            m->scores.step_x};
    static uint16_t best[SIDE * SIDE];
    if (m->kind == GPU_MASK_CLASSES) {
        mask_best(&s, best);
        mask_classes(&s, best, x, y, masks[2], m->stride);
    } else if (m->kind == GPU_MASK_NUMBERS) {
        for (int j = 0; j < y->n_out; j++)
            for (int i = 0; i < x->n_out; i++) {
                float v = plain[(size_t)y->first[j] * s.step_y + (size_t)x->first[i] * s.step_x];
                masks[2][(size_t)j * m->stride + (size_t)i] = (uint8_t)(v > 0 ? v < 255 ? (int)v : 255 : 0);
            }
    } else {
        float *scratch = aligned_alloc(64, (resize_scratch_floats(x, y, 1) * sizeof(float) + 63) / 64 * 64);
        resize_rows(x, y, 1, read_row, write_row, (void *)m, scratch);
        free(scratch);
    }
}

static void one_mask(enum gpu_mask_kind kind, enum gpu_elem e)
{
    struct gpu_mask m = {.kind = kind, .sigmoid = below(2), .threshold = 0.4f};
    int n = kind == GPU_MASK_CLASSES ? 2 + below(6) : 1, w = 1 + below(40), h = 1 + below(40);
    int pixel = n + below(4); // channels of a pixel, with padding
    bool nhwc = below(2);
    m.scores = (struct gpu_scores){.data = stored, .elem = e, .n = n, .w = w, .h = h};
    m.scores.step_c = nhwc ? 1 : (size_t)(w * h);
    m.scores.step_x = nhwc ? (size_t)pixel : 1;
    m.scores.step_y = (size_t)w * m.scores.step_x;
    fill(e, w * h * (nhwc ? pixel : n), kind == GPU_MASK_NUMBERS ? 400 : 9);
    struct resize_axis x, y;
    enum resize_filter filter = kind == GPU_MASK_NUMBERS ? RESIZE_NEAREST : RESIZE_LINEAR;
    CHECK(resize_axis_fit(&x, filter, w, 1 + below(SIDE)) && resize_axis_fit(&y, filter, h, 1 + below(SIDE)));
    m.x = axis_of(&x), m.y = axis_of(&y);
    m.stride = (size_t)x.n_out + (size_t)below(8);
    m.scratch = malloc(gpu_mask_scratch_bytes(&m) + 1);
    memset(masks, 0x5a, sizeof masks);
    m.out = masks[0];
    CHECK_INT(gpu_mask(&m, NULL), 0);
    m.out = masks[1];
    gpu_mask_ref(&m);
    CHECK_MSG(!memcmp(masks[0], masks[1], sizeof masks[0]), "kernel and twin, mask %d of %s, %dx%dx%d to %dx%d", kind,
              gpu_elem_name(e), n, w, h, x.n_out, y.n_out);
    by_cpu(&m, &x, &y);
    CHECK_MSG(!memcmp(masks[1], masks[2], sizeof masks[1]), "twin and CPU, mask %d of %s, %dx%dx%d to %dx%d", kind,
              gpu_elem_name(e), n, w, h, x.n_out, y.n_out);
    free(m.scratch);
    resize_axis_fini(&x);
    resize_axis_fini(&y);
}

static void masks_of_all_kinds(void)
{
    for (int k = 0; k < 140; k++) {
        enum gpu_elem e = (enum gpu_elem)(k % GPU_ELEM_COUNT);
        one_mask(GPU_MASK_CLASSES, e);
        one_mask(GPU_MASK_NUMBERS, e);
        one_mask(GPU_MASK_ABOVE, e);
        one_mask(GPU_MASK_BYTES, e);
    }
}

// A class above 255 is 255; the first of equal scores counts.
static void many_classes(void)
{
    enum { N = 300 };
    fill(GPU_ELEM_F32, N * 2, 9);
    for (int c = 0; c < N; c++) {
        ((float *)stored)[2 * c] = c == 280 ? 5.0f : 1.0f;
        ((float *)stored)[2 * c + 1] = c == 7 || c == 9 ? 5.0f : 1.0f;
    }
    struct resize_axis x, y;
    CHECK(resize_axis_fit(&x, RESIZE_LINEAR, 2, 2) && resize_axis_fit(&y, RESIZE_LINEAR, 1, 1));
    uint16_t scratch[2];
    struct gpu_mask m = {.scores = {stored, GPU_ELEM_F32, N, 2, 1, 2, 2, 1},
                         .x = axis_of(&x),
                         .y = axis_of(&y),
                         .scratch = scratch,
                         .out = masks[0],
                         .stride = 2};
    CHECK_INT(gpu_mask(&m, NULL), 0);
    CHECK_INT(masks[0][0], 255);
    CHECK_INT(masks[0][1], 7);
    resize_axis_fini(&x);
    resize_axis_fini(&y);
}

// ---- cells --------------------------------------------------------------------------

#define CELLS 900
#define CHANNELS 12

static uint32_t ids[2][2 * CELLS], counts[2];
static float rows[2][2 * CELLS * CHANNELS];

// The kernel keeps no order: row of a cell by its number.
static const float *row_of(int t, uint32_t id, int row_floats)
{
    for (uint32_t i = 0; i < counts[t]; i++)
        if (ids[t][i] == id) return rows[t] + (size_t)i * (size_t)row_floats;
    return NULL;
}

static double score_of(const struct gpu_pick *p, int cell)
{
    double best[2] = {0, 0};
    const struct gpu_pick_term *terms[2] = {&p->a, &p->b};
    for (int k = 0; k < 2; k++)
        for (int c = 0; c < terms[k]->n; c++) {
            const struct gpu_pick_part *t = &p->part[terms[k]->part];
            int64_t at = (int64_t)cell * (int64_t)t->cell_step + (terms[k]->from + c) * (int64_t)t->channel_step;
            double v = (double)gpu_elem_load(t->elem, t->data, at);
            if (c == 0 || v > best[k]) best[k] = v;
        }
    switch (p->score) {
    case GPU_PICK_ONE:
        return best[0];
    case GPU_PICK_PRODUCT:
        return best[0] * best[1];
    case GPU_PICK_ROOT:
        return sqrt(fmin(fmax(best[0], 0), 1) * fmin(fmax(best[1], 0), 1));
    default:
        return pow(best[0], 0.6) * pow(best[1], 0.4);
    }
}

static struct gpu_pick random_pick(int cells, enum gpu_elem e)
{
    struct gpu_pick p = {.n_parts = 1 + below(3),
                         .cells = cells,
                         .first = (uint32_t)below(50),
                         .score = (enum gpu_pick_score)below(4),
                         .least = (float)below(100) / 100.0f};
    size_t at = 0;
    for (int k = 0; k < p.n_parts; k++) {
        int channels = 2 + below(3), padded = channels + below(3);
        bool planes = below(2);
        p.part[k] = (struct gpu_pick_part){.data = (uint8_t *)stored + at * gpu_elem_bytes(e),
                                           .elem = e,
                                           .channels = channels,
                                           .cell_step = planes ? 1 : (size_t)padded,
                                           .channel_step = planes ? (size_t)cells : 1};
        at += (size_t)cells * (size_t)padded;
        p.row_floats += channels;
    }
    fill(e, (int)at, 9);
    p.a = (struct gpu_pick_term){0, 0, 1 + below(2)};
    p.b = (struct gpu_pick_term){p.n_parts - 1, 1, 1};
    return p;
}

static void one_pick(enum gpu_elem e)
{
    int cells = 1 + below(below(2) ? CELLS : 70);
    struct gpu_pick p = random_pick(cells, e);
    for (int t = 0; t < 2; t++) {
        counts[t] = 3; // behind those of another group
        for (uint32_t i = 0; i < 3; i++) ids[t][i] = UINT32_MAX;
        p.count = &counts[t], p.id = ids[t], p.row = rows[t];
        if (t)
            gpu_pick_ref(&p);
        else
            CHECK_INT(gpu_pick(&p, NULL), 0);
    }
    CHECK_INT(counts[0], counts[1]);
    uint32_t passed = 0;
    for (int cell = 0; cell < cells; cell++) {
        uint32_t id = p.first + (uint32_t)cell;
        const float *a = row_of(0, id, p.row_floats), *b = row_of(1, id, p.row_floats);
        double score = score_of(&p, cell);
        CHECK_MSG((a != NULL) == (b != NULL), "cell %d of %d: one of kernel and twin keeps it", cell, cells);
        if (score > (double)p.least + 1e-5) CHECK_MSG(b != NULL, "cell %d: score %g is lost", cell, score);
        if (score < (double)p.least - 1e-5) CHECK_MSG(b == NULL, "cell %d: score %g is kept", cell, score);
        if (!a || !b) continue;
        passed++;
        CHECK(!memcmp(a, b, (size_t)p.row_floats * sizeof *a));
        const struct gpu_pick_part *last = &p.part[p.n_parts - 1];
        int64_t at = (int64_t)cell * (int64_t)last->cell_step + (last->channels - 1) * (int64_t)last->channel_step;
        float want = gpu_elem_load(e, last->data, at);
        CHECK(!memcmp(&a[p.row_floats - 1], &want, sizeof want));
    }
    CHECK_INT(passed + 3, counts[0]);
}

static void cells_of_high_scores(void)
{
    for (int k = 0; k < 60; k++) one_pick((enum gpu_elem)(k % 3)); // floats
    struct gpu_pick p = {.cells = (int64_t)1 << 31};
    CHECK(gpu_pick(&p, NULL) != 0);
    p.cells = 0;
    CHECK_INT(gpu_pick(&p, NULL), 0);
}

CHECK_MAIN({"masks of all kinds", masks_of_all_kinds}, {"masks of many classes", many_classes},
           {"cells of high scores", cells_of_high_scores})

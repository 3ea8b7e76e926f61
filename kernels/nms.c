// SPDX-License-Identifier: MIT
//
// Suppression of overlapping boxes. See nms.h. Each box is compared only with the kept boxes of its class,
// GROUP of them at a time. Thousands of boxes are sorted by the bytes of their scores.
#include "kernels/nms.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/simd.h"

float nms_iou(const struct nms_box *a, const struct nms_box *b)
{
    float w = fminf(a->x2, b->x2) - fmaxf(a->x1, b->x1), h = fminf(a->y2, b->y2) - fmaxf(a->y1, b->y1);
    if (!(w > 0.0f) || !(h > 0.0f)) return 0.0f;
    float common = w * h;
    float all = (a->x2 - a->x1) * (a->y2 - a->y1) + (b->x2 - b->x1) * (b->y2 - b->y1) - common;
    return all > 0.0f ? common / all : 0.0f;
}

// ---- sorting ------------------------------------------------------------------

struct place {
    uint64_t key; // boxes with smaller keys come first
    int at;
};

// Sorts by falling scores, then by rising indices. The bits of negative floats rise while the float falls;
// the lower half of the key turns all of them around.
static uint64_t key_of(const struct nms_box *b)
{
    float score = b->score + 0.0f; // makes both zeros the same
    uint32_t bits;
    memcpy(&bits, &score, sizeof bits);
    uint32_t falling = bits >> 31 ? bits : ~bits & 0x7fffffffu;
    return (uint64_t)falling << 32 | ((uint32_t)b->index ^ 0x80000000u);
}

// Sorts by one byte of the keys, from `from` to `to`; equal bytes keep their order.
static void by_byte(const struct place *from, struct place *to, int n, int byte, const uint32_t count[256])
{
    uint32_t at[256], sum = 0;
    for (int i = 0; i < 256; i++) at[i] = sum, sum += count[i];
    for (int i = 0; i < n; i++) to[at[from[i].key >> 8 * byte & 255]++] = from[i];
}

// Returns the places in order, in p or q (n each).
static struct place *sort_places(struct place *p, struct place *q, int n)
{
    uint32_t count[8][256] = {0};
    for (int i = 0; i < n; i++)
        for (int byte = 0; byte < 8; byte++) count[byte][p[i].key >> 8 * byte & 255]++;
    for (int byte = 0; byte < 8; byte++) {
        if (count[byte][p[0].key >> 8 * byte & 255] == (uint32_t)n) continue; // all have the same byte
        by_byte(p, q, n, byte, count[byte]);
        struct place *sorted = q;
        q = p, p = sorted;
    }
    return p;
}

int nms_sort(struct nms_box *boxes, int n)
{
    int numbers = 0;
    for (int i = 0; i < n; i++)
        if (!isnan(boxes[i].score)) boxes[numbers++] = boxes[i];
    if (numbers < 2) return numbers;
    struct place *places = malloc(2 * (size_t)numbers * sizeof *places);
    struct nms_box *copy = malloc((size_t)numbers * sizeof *copy);
    if (places && copy) {
        memcpy(copy, boxes, (size_t)numbers * sizeof *copy);
        for (int i = 0; i < numbers; i++) places[i] = (struct place){key_of(&boxes[i]), i};
        const struct place *sorted = sort_places(places, places + numbers, numbers);
        for (int i = 0; i < numbers; i++) boxes[i] = copy[sorted[i].at];
    } else {
        numbers = -1;
    }
    free(places);
    free(copy);
    return numbers;
}

// ---- keeping ------------------------------------------------------------------

#define GROUP 16
#define LISTS 256

// The kept boxes of one list's classes. Free places hold empty boxes at the origin, which overlap nothing.
struct group {
    float x1[GROUP], y1[GROUP], x2[GROUP], y2[GROUP], area[GROUP];
    int32_t class_id[GROUP];
    int n, next; // next: number of the list's next group, -1: this is the last one
};

// Whether a box of the list that begins with group g overlaps b by more than iou. Computes nms_iou() for
// all boxes of a group at once.
KERN_CLONES
static bool is_covered(const struct group *groups, int g, const struct nms_box *b, float iou)
{
    const float area = (b->x2 - b->x1) * (b->y2 - b->y1);
    for (; g >= 0; g = groups[g].next) {
        const struct group *k = &groups[g];
        int covered = 0;
        for (int i = 0; i < GROUP; i++) {
            float right = k->x2[i] < b->x2 ? k->x2[i] : b->x2, left = k->x1[i] > b->x1 ? k->x1[i] : b->x1;
            float bottom = k->y2[i] < b->y2 ? k->y2[i] : b->y2, top = k->y1[i] > b->y1 ? k->y1[i] : b->y1;
            float w = right - left, h = bottom - top, common = w * h, all = k->area[i] + area - common;
            covered |= (w > 0.0f) & (h > 0.0f) & (all > 0.0f) & (common / all > iou) & (k->class_id[i] == b->class_id);
        }
        if (covered) return true;
    }
    return false;
}

// Adds b to the list that begins with group `first`. Returns the first group of the list, which may be
// another.
static int add(struct group *groups, int *n_groups, int first, const struct nms_box *b)
{
    if (first < 0 || groups[first].n == GROUP) {
        groups[*n_groups] = (struct group){.next = first};
        first = (*n_groups)++;
    }
    struct group *g = &groups[first];
    const int i = g->n++;
    g->x1[i] = b->x1, g->y1[i] = b->y1, g->x2[i] = b->x2, g->y2[i] = b->y2;
    g->area[i] = (b->x2 - b->x1) * (b->y2 - b->y1);
    g->class_id[i] = b->class_id;
    return first;
}

int nms_keep(struct nms_box *boxes, int n, float iou, int most)
{
    // Kept boxes fill at most so many groups, and each list has one that is not full.
    const size_t room = (size_t)(n < most ? n : most) / GROUP + LISTS;
    struct group *groups = malloc(room * sizeof *groups);
    int first[LISTS], n_groups = 0, kept = 0;
    if (!groups) return -1;
    for (int i = 0; i < LISTS; i++) first[i] = -1;
    for (int i = 0; i < n && kept < most; i++) {
        int *list = &first[(uint32_t)boxes[i].class_id % LISTS];
        if (is_covered(groups, *list, &boxes[i], iou)) continue;
        *list = add(groups, &n_groups, *list, &boxes[i]);
        boxes[kept++] = boxes[i];
    }
    free(groups);
    return kept;
}

bool gpu_nms_ref(const struct gpu_nms *g)
{
    const size_t n = g->n > 0 ? (size_t)g->n : 0;
    struct nms_box *boxes = malloc((n + 1) * sizeof *boxes);
    if (!boxes) return false;
    for (size_t i = 0; i < n; i++) boxes[i] = g->box[i], boxes[i].index = (int32_t)i;
    g->kept[0] = nms_keep(boxes, (int)n, g->iou, g->most);
    for (int i = 0; i < g->kept[0]; i++) g->kept[1 + i] = boxes[i].index;
    free(boxes);
    return g->kept[0] >= 0;
}

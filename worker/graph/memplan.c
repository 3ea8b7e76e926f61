// SPDX-License-Identifier: MIT
//
// Places buffers with known lifetimes, largest first. That simple rule works well for networks,
// where a few large feature maps determine the peak. See memplan.h.
#include "worker/graph/memplan.h"

#include <stdlib.h>

#include "common/round.h"

static int by_size(const void *a, const void *b)
{
    const struct memplan_buffer *x = *(struct memplan_buffer *const *)a, *y = *(struct memplan_buffer *const *)b;
    if (x->bytes != y->bytes) return x->bytes > y->bytes ? -1 : 1;
    if (x->first != y->first) return x->first < y->first ? -1 : 1;
    return x < y ? -1 : x > y; // by position in the array, so that the order is defined
}

static int by_offset(const void *a, const void *b)
{
    const struct memplan_buffer *x = *(struct memplan_buffer *const *)a, *y = *(struct memplan_buffer *const *)b;
    if (x->offset != y->offset) return x->offset < y->offset ? -1 : 1;
    return x < y ? -1 : x > y;
}

// The lowest offset at which the buffer fits between placed buffers that are alive at the same time.
static uint64_t lowest_gap(const struct memplan_buffer *b, struct memplan_buffer **placed, int n_placed,
                           struct memplan_buffer **alive, uint64_t align)
{
    int n = 0;
    for (int i = 0; i < n_placed; i++)
        if (placed[i]->first <= b->last && b->first <= placed[i]->last) alive[n++] = placed[i];
    qsort(alive, (size_t)n, sizeof(*alive), by_offset);
    uint64_t at = 0;
    for (int i = 0; i < n; i++) {
        if (alive[i]->offset >= at && alive[i]->offset - at >= b->bytes) break;
        uint64_t end = reel_round_up(alive[i]->offset + alive[i]->bytes, align);
        if (end > at) at = end;
    }
    return at;
}

enum reel_err memplan_assign(struct memplan_buffer *buffers, int count, uint64_t align, uint64_t *out_bytes)
{
    *out_bytes = 0;
    uint64_t sum = 0;
    for (int i = 0; i < count; i++) {
        buffers[i].offset = 0;
        if (buffers[i].bytes > UINT64_C(1) << 61 || (sum += reel_round_up(buffers[i].bytes, align)) > UINT64_C(1) << 62)
            return reel_fail(REEL_ERR_LIMIT, "could not plan memory: the buffers are too large");
    }
    size_t n = (size_t)(count > 0 ? count : 1);
    struct memplan_buffer **order = malloc(n * sizeof(*order)), **alive = malloc(n * sizeof(*alive));
    if (!order || !alive) {
        free(order);
        free(alive);
        return reel_fail(REEL_ERR_NOMEM, "could not plan memory: out of memory");
    }
    int n_order = 0;
    for (int i = 0; i < count; i++)
        if (buffers[i].bytes) order[n_order++] = &buffers[i];
    qsort(order, (size_t)n_order, sizeof(*order), by_size);
    for (int i = 0; i < n_order; i++) {
        order[i]->offset = lowest_gap(order[i], order, i, alive, align);
        uint64_t end = reel_round_up(order[i]->offset + order[i]->bytes, align);
        if (end > *out_bytes) *out_bytes = end;
    }
    free(order);
    free(alive);
    return REEL_OK;
}

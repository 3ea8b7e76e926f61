// SPDX-License-Identifier: MIT
//
// Memory plans of random lives: no two buffers that live at one time overlap,
// offsets are aligned, and nothing lies beyond the arena's end.
#include "worker/graph/memplan.h"

#include "tests/check.h"

static bool overlap(const struct memplan_buffer *a, const struct memplan_buffer *b)
{
    bool alive = a->first <= b->last && b->first <= a->last;
    return alive && a->offset < b->offset + b->bytes && b->offset < a->offset + a->bytes;
}

static void random_lives(void)
{
    enum { MAX = 120 };
    struct memplan_buffer buffers[MAX];
    for (uint64_t seed = 1; seed <= 400; seed++) {
        uint64_t state = seed;
        int count = (int)(check_rand(&state) % MAX);
        uint64_t total = 0;
        for (int i = 0; i < count; i++) {
            int first = (int)(check_rand(&state) % 50);
            uint64_t kind = check_rand(&state) % 8;
            uint64_t bytes = kind == 0 ? 0 : kind < 3 ? 4096 : check_rand(&state) % 100000;
            buffers[i] = (struct memplan_buffer){
                .bytes = bytes, .first = first, .last = first + (int)(check_rand(&state) % 12), .offset = 77};
            total += (bytes + 63) / 64 * 64;
        }
        uint64_t arena;
        CHECK_INT(memplan_assign(buffers, count, 64, &arena), REEL_OK);
        CHECK_MSG(arena <= total, "seed %d: arena of %llu for %llu bytes", (int)seed, (unsigned long long)arena,
                  (unsigned long long)total);
        for (int i = 0; i < count; i++) {
            CHECK_INT(buffers[i].offset % 64, 0);
            CHECK_MSG(buffers[i].offset + buffers[i].bytes <= arena, "seed %d: buffer %d ends beyond", (int)seed, i);
            for (int k = 0; k < i; k++)
                CHECK_MSG(!overlap(&buffers[i], &buffers[k]), "seed %d: buffers %d and %d overlap", (int)seed, i, k);
        }
    }
}

// A chain of equal buffers, each alive until the next is made, needs two places.
static void chains_alternate(void)
{
    struct memplan_buffer b[50];
    for (int i = 0; i < 50; i++) b[i] = (struct memplan_buffer){.bytes = 1000, .first = i, .last = i + 1};
    uint64_t arena;
    CHECK_INT(memplan_assign(b, 50, 64, &arena), REEL_OK);
    CHECK_INT(arena, 2 * 1024);
}

static void sums_beyond_memory_are_refused(void)
{
    struct memplan_buffer b[2] = {{.bytes = UINT64_MAX, .first = 0, .last = 1}, {.bytes = 1, .first = 0, .last = 1}};
    uint64_t arena;
    CHECK_INT(memplan_assign(b, 2, 64, &arena), REEL_ERR_LIMIT);
    CHECK_INT(memplan_assign(b, 0, 64, &arena), REEL_OK);
    CHECK_INT(arena, 0);
}

CHECK_MAIN({"random_lives", random_lives}, {"chains_alternate", chains_alternate},
           {"sums_beyond_memory_are_refused", sums_beyond_memory_are_refused})

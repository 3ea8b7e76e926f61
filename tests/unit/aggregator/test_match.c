// SPDX-License-Identifier: MIT
//
// Ranges of parts found in outputs: as containers store packets, by parts of them, and
// not at all; recipes that are damaged.
#include "aggregator/sink/match.h"
#include "tests/check.h"

#define PACKETS 6
#define PACKET 1500
#define HEAD 40 // of a record, in front of its data
#define RANGE (PACKETS * (HEAD + PACKET))

static uint32_t seed = 1;
static uint8_t any(void)
{
    seed = seed * 1664525u + 1013904223u;
    return (uint8_t)(seed >> 24);
}

struct bench {
    uint8_t range[RANGE], output[4 * RANGE], again[RANGE];
    struct match_span spans[PACKETS];
    size_t out_n, used;
    struct match_recipe recipe;
};

static void begin(struct bench *b)
{
    *b = (struct bench){.out_n = 0};
    for (size_t i = 0; i < RANGE; i++) b->range[i] = any();
    for (size_t i = 0; i < PACKETS; i++) b->spans[i] = (struct match_span){i * (HEAD + PACKET) + HEAD, PACKET};
}

static void add(struct bench *b, const uint8_t *data, size_t n)
{
    for (size_t i = 0; i < n; i++) b->output[b->out_n++] = data ? data[i] : any();
}

// Describes and rebuilds; the range must be the same.
static void check_range(struct bench *b)
{
    CHECK(match_describe(b->range, RANGE, b->spans, PACKETS, b->output, b->out_n, &b->recipe, &b->used));
    CHECK(b->used <= b->out_n);
    CHECK(match_rebuild(b->recipe.data, b->recipe.bytes, b->output, b->used, b->again, RANGE));
    CHECK(!memcmp(b->again, b->range, RANGE));
}

static void whole_packets(void)
{
    struct bench b;
    begin(&b);
    for (int i = 0; i < PACKETS; i++) {
        add(&b, NULL, i == 3 ? 9000 : 20); // a container's head; once another stream
        add(&b, b.range + b.spans[i].at, PACKET);
    }
    check_range(&b);
    CHECK_INT(b.recipe.own, PACKETS * HEAD);
    CHECK_INT(b.used, b.out_n);
    free(b.recipe.data);
}

static void lengths_for_start_codes(void)
{
    struct bench b;
    begin(&b);
    for (int i = 0; i < PACKETS; i++) {
        add(&b, NULL, 12);
        for (size_t k = 0; k < 3; k++) { // three units, whose first four bytes are others
            add(&b, NULL, 4);
            add(&b, b.range + b.spans[i].at + k * 500 + 4, 496);
        }
    }
    check_range(&b);
    CHECK_INT(b.recipe.own, PACKETS * (HEAD + 12));
    free(b.recipe.data);
}

static void in_pieces(void) // MPEG-TS
{
    struct bench b;
    begin(&b);
    for (int i = 0; i < PACKETS; i++)
        for (size_t at = 0; at < PACKET; at += 184) {
            add(&b, NULL, at % 3 ? 4 : 192); // sometimes a packet of another stream
            add(&b, b.range + b.spans[i].at + at, PACKET - at < 184 ? PACKET - at : 184);
        }
    check_range(&b);
    CHECK_MSG(b.recipe.own < PACKETS * (HEAD + 30), "%zu bytes were not found", b.recipe.own);
    free(b.recipe.data);
}

static void not_there(void)
{
    struct bench b;
    begin(&b);
    add(&b, NULL, 2 * RANGE);
    check_range(&b);
    CHECK_INT(b.recipe.own, RANGE);
    CHECK_INT(b.used, 0);
    b.out_n = 0; // nothing was written yet
    check_range(&b);
    free(b.recipe.data);
    begin(&b);
    for (int i = 0; i < 3; i++) add(&b, b.range + b.spans[i].at, PACKET); // the half of it
    check_range(&b);
    CHECK_INT(b.recipe.own, RANGE - 3 * PACKET);
    free(b.recipe.data);
}

static void damaged(void)
{
    struct bench b;
    begin(&b);
    for (int i = 0; i < PACKETS; i++) add(&b, b.range + b.spans[i].at, PACKET);
    check_range(&b);
    CHECK(!match_rebuild(b.recipe.data, b.recipe.bytes, b.output, b.used - 1, b.again, RANGE));
    CHECK(!match_rebuild(b.recipe.data, b.recipe.bytes, b.output, b.used, b.again, RANGE - 1));
    for (size_t n = 0; n < b.recipe.bytes; n++) // cut off: never beyond its end
        match_rebuild(b.recipe.data, n, b.output, b.used, b.again, RANGE);
    CHECK(!match_rebuild(b.recipe.data, b.recipe.bytes - 1, b.output, b.used, b.again, RANGE));
    for (int k = 0; k < 20000; k++) {
        uint8_t copy[RANGE];
        memcpy(copy, b.recipe.data, b.recipe.bytes);
        copy[(size_t)(any() << 8 | any()) % b.recipe.bytes] = any();
        match_rebuild(copy, b.recipe.bytes, b.output, b.used, b.again, RANGE); // whatever it says
    }
    free(b.recipe.data);
}

CHECK_MAIN({"whole_packets", whole_packets}, {"lengths_for_start_codes", lengths_for_start_codes},
           {"in_pieces", in_pieces}, {"not_there", not_there}, {"damaged", damaged})

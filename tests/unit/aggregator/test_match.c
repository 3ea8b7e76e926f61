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

// Describes and rebuilds; the range must be the same, and no byte beyond the output's end be read.
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
    begin(&b);
    add(&b, NULL, 20000); // a number of three bytes
    add(&b, b.range + b.spans[0].at, PACKET);
    check_range(&b);
    CHECK_INT(b.recipe.own, RANGE - PACKET);
    free(b.recipe.data);
}

// The output is the range itself, heads too: what lies between packets stays the range's own.
static void only_packets(void)
{
    struct bench b;
    begin(&b);
    add(&b, b.range, RANGE);
    check_range(&b);
    CHECK_INT(b.recipe.own, PACKETS * HEAD);
    for (int i = 0; i < PACKETS; i++) b.spans[i].bytes = 10; // so few bytes may be the same by accident
    check_range(&b);
    CHECK_INT(b.recipe.own, RANGE);
    CHECK_INT(b.used, 0);
    free(b.recipe.data);
}

// The output ends within the third packet; what stands in memory behind it is not its.
static void written_so_far(void)
{
    struct bench b;
    begin(&b);
    for (int i = 0; i < PACKETS; i++) add(&b, b.range + b.spans[i].at, PACKET);
    b.out_n = 2 * PACKET + 700;
    check_range(&b);
    CHECK_INT(b.used, b.out_n);
    CHECK_INT(b.recipe.own, RANGE - 2 * PACKET - 700);
    free(b.recipe.data);
}

// Packets are looked for far away while some are found there; and after four that are nowhere, no more.
static void far_away(void)
{
    struct bench b;
    begin(&b);
    for (int i = 0; i < PACKETS; i++) {
        add(&b, NULL, 4300);
        add(&b, b.range + b.spans[i].at, PACKET);
    }
    check_range(&b);
    CHECK_INT(b.recipe.own, PACKETS * HEAD);
    free(b.recipe.data);
    begin(&b);
    add(&b, NULL, 5000);
    add(&b, b.range + b.spans[5].at, PACKET);
    check_range(&b);
    CHECK_INT(b.recipe.own, RANGE);
    free(b.recipe.data);
}

// The rest of a packet behind 3000 bytes of another stream; eight bytes left out within a packet.
static void pieces_near_by(void)
{
    struct bench b;
    begin(&b);
    add(&b, b.range + b.spans[0].at, 700);
    add(&b, NULL, 3000);
    add(&b, b.range + b.spans[0].at + 700, 400);
    add(&b, NULL, 20);
    add(&b, b.range + b.spans[0].at + 1108, 392);
    check_range(&b);
    CHECK_INT(b.recipe.own, RANGE - PACKET + 8);
    free(b.recipe.data);
}

// Bytes in front of a piece that are the same as those in front of it in the output, but are taken already.
static void taken_once(void)
{
    struct bench b;
    begin(&b);
    const size_t at = b.spans[0].at;
    add(&b, b.range + at, 500);
    add(&b, NULL, 30);
    b.output[b.out_n - 1] = b.range[at + 499]; // of the output: a second time
    add(&b, b.range + at + 500, 1000);
    b.output[500] = (uint8_t)~b.range[at + 500];
    check_range(&b);
    CHECK_INT(b.recipe.own, RANGE - PACKET);
    free(b.recipe.data);
    begin(&b);
    add(&b, b.range + at, 500);
    b.range[at + 500] = b.range[at + 499]; // of the range: the output has it once
    b.range[at + 501] = (uint8_t)~b.range[at + 500];
    add(&b, b.range + at + 501, 999);
    check_range(&b);
    CHECK_INT(b.recipe.own, RANGE - PACKET + 1);
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
    CHECK_INT(b.recipe.own, PACKETS * HEAD);
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
    static const uint8_t abc[] = {'a', 'b', 'c'};
    uint8_t room[4] = {0, 0, 7, 7};
    CHECK(!match_rebuild((const uint8_t[]){3, 'a', 'b'}, 3, abc, 0, room, 3));            // ends within its own bytes
    CHECK(!match_rebuild((const uint8_t[]){3, 'a', 'b', 'c', 0, 0}, 6, abc, 0, room, 2)); // too many of them
    CHECK(!match_rebuild((const uint8_t[]){0, 0, 3}, 3, abc, 3, room, 2));
    CHECK(room[2] == 7 && room[3] == 7);
    CHECK(!match_rebuild((const uint8_t[]){1, 'a', 0, 0}, 4, abc, 0, room, 2)); // too few
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

CHECK_MAIN({"whole_packets", whole_packets}, {"only_packets", only_packets}, {"written_so_far", written_so_far},
           {"far_away", far_away}, {"pieces_near_by", pieces_near_by}, {"taken_once", taken_once},
           {"lengths_for_start_codes", lengths_for_start_codes}, {"in_pieces", in_pieces}, {"not_there", not_there},
           {"damaged", damaged})

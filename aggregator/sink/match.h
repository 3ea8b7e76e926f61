// SPDX-License-Identifier: MIT
//
// Where the bytes of a part lie in the output that they were written to. A container
// stores packets whole, or with start codes made lengths, or in pieces (MPEG-TS); all of
// it is found by comparing bytes, and nothing is taken on trust. Pure: knows no file.
#ifndef REEL_AGGREGATOR_SINK_MATCH_H
#define REEL_AGGREGATOR_SINK_MATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// A packet's data in a range of a part.
struct match_span {
    size_t at, bytes;
};

// How a range is put together again: bytes of its own and bytes of the output, in turn.
struct match_recipe {
    uint8_t *data; // free()
    size_t bytes, room;
    size_t own; // bytes of the range that it holds itself
};

// Describes range (n bytes; spans: where data of packets is, in order) by output (out_n
// bytes, in which they lie in order), looking only inside of spans. *out_used: end of what
// it refers to. False: out of memory.
bool match_describe(const uint8_t *range, size_t n, const struct match_span *spans, size_t n_spans,
                    const uint8_t *output, size_t out_n, struct match_recipe *recipe, size_t *out_used);
// The range of n bytes again. False: the recipe is damaged, or reaches beyond the output.
bool match_rebuild(const uint8_t *recipe, size_t bytes, const uint8_t *output, size_t out_n, uint8_t *range, size_t n);

#endif

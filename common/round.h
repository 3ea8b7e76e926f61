// SPDX-License-Identifier: MIT
//
// Rounding of sizes and offsets.
#ifndef REEL_COMMON_ROUND_H
#define REEL_COMMON_ROUND_H

#include <stdint.h>

// The least multiple of `to` (above 0) that is not below value.
static inline uint64_t reel_round_up(uint64_t value, uint64_t to)
{
    return (value + to - 1) / to * to;
}

#endif

// SPDX-License-Identifier: MIT
//
// `aggregator --compare LABEL FILE LABEL FILE...`, for --verify: compares
// outputs that were written without loss, frame by frame, with the first one.
#ifndef AGGREGATOR_COMPARE_H
#define AGGREGATOR_COMPARE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"

// How two files differ. Plain data.
struct compare_result {
    uint64_t frames[2];
    uint64_t equal;      // of those in both
    uint64_t times;      // frames with other timestamps
    int64_t first_other; // number of the first frame with other samples; -1: none
    double largest;      // difference of a sample, in steps of 8 bits
    double psnr;         // dB over all samples; INFINITY: all are equal
    int width, height;   // of the first's pictures
    char format[32];     // FFmpeg's name
};

// Errors: INPUT (a file cannot be read, the pictures are of other sizes or formats), NOMEM.
enum reel_err compare_files(const char *a, const char *b, struct compare_result *out);
// Whether they count as the same: frames, timestamps, no sample more than one step off.
bool compare_is_good(const struct compare_result *r);
// The command: prints a table; returns the exit code, 0 when all are good.
int compare_main(int argc, char **argv);

#endif

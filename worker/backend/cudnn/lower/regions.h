// SPDX-License-Identifier: MIT
//
// What a detector does with the regions that it has found (Faster and Mask R-CNN's second
// stage): features by RoiAlign and the layers that follow, row by row. How many regions there
// are is data, so the device does them in pieces: regions.c finds the
// nodes, pieces.c turns them into steps and runs these, once for each piece.
//
// An exported network has one RoiAlign for each level of its pyramid, each over the regions
// of that level, and scatters the results into one tensor of all regions. Here each level
// writes the rows of its own regions into that tensor directly.
#ifndef REEL_WORKER_BACKEND_CUDNN_LOWER_REGIONS_H
#define REEL_WORKER_BACKEND_CUDNN_LOWER_REGIONS_H

#include "worker/backend/cudnn/lower/host.h"

// Rows of a piece: enough for a product's tiles where features are small (boxes: 7x7), fewer
// for what is done to the objects found (masks, key points: 14x14), of which there are some ten.
#define REGION_MANY 128
#define REGION_FEW 32
#define REGION_SMALL 100 // pixels
#define REGION_LEVELS 8

// Of a value's node.
enum region_role {
    REGION_NONE,
    REGION_EXTENTS, // the host needs only its extents
    REGION_COVERED, // a step of the export that is not made (scattering)
    REGION_FIRST,   // gives the features of all regions
    REGION_INSIDE,  // follows them, row by row
};

struct region_level {
    const struct node *align;            // RoiAlign
    const struct value *rows;            // which of all regions these are; NULL: all, in order
    struct argument at, image, row_no;   // corners, the picture's number, rows: on the host
    struct ref host_image, device_image; // (rows) int64; -1: not of this level
};

struct region_value {
    const struct value *v;
    struct reel_shape piece; // its shape
    bool extents;            // the host reads its extents
    bool read;               // and these: its numbers
    struct ref host;         // of one piece
};

struct regions {
    const struct node *last; // makes value[0], the features
    int n_levels;
    struct region_level level[REGION_LEVELS];
    const struct value *extents; // of all features, for their number of rows; NULL: as many as the only level has
    struct argument all;         // extents on the host
    int n_values, cap_values;
    struct region_value *value;
    struct ref host_at, device_at; // (rows,4) corners
    int rows;                      // of a piece
    int begin, end;                // its steps
    int64_t n;                     // regions of this run
};

#endif

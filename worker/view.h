// SPDX-License-Identifier: MIT
//
// Where the pixels of a source picture go on a network's input, and where its
// output belongs: tiles, letterbox, stretch, crop. Pure geometry; settled once
// per input size, before frame 0.
#ifndef REEL_WORKER_VIEW_H
#define REEL_WORKER_VIEW_H

#include "worker/model.h"

struct view {
    enum model_fit fit;
    int src_w, src_h; // source picture
    int net_w, net_h; // network input
    // Source position of a network input position: src = net * scale + shift, in
    // pixels from the upper left corner (not of pixel centres).
    double scale_x, scale_y, shift_x, shift_y;
    // Network pixels that hold picture (letterbox); all of it otherwise.
    int pic_x, pic_y, pic_w, pic_h;
    // Tiles: upper left corners on the source, evenly spread.
    int n_x, n_y;
    int overlap; // at least, in source pixels
    bool exact;  // overlap covers the receptive field: cut, not blended; same pixels but for rounding
    int parts;   // bands of whole tile rows that workers may do apart; 1: none
    int align;   // tiles begin at multiples of this, except the last
};

// Source rows beyond the receptive field that tiles of a frame in parts overlap
// by, on each side of a seam: chroma rows are not cut, and neither are the rows
// that chroma sited on a row is averaged from.
#define VIEW_PART_MARGIN 4
// Their overlap in all, with cuts at multiples of align.
int view_part_overlap(int radius, int align);

#define VIEW_MAX_TILES 4096

struct view_params {
    enum model_fit fit;
    int src_w, src_h;
    int net_w, net_h; // 0: as large as the source
    int size_multiple;
    int radius_w, radius_h; // receptive radius, -1 unknown or unbounded
    bool steps;             // the network sees its input in steps: tiles never give the same pixels
    int parts;              // wished; 0 or 1: none
    int align;              // of parts: cuts at these multiples change no bits
};

// Errors: LIMIT (more than VIEW_MAX_TILES tiles).
enum reel_err view_init(struct view *view, const struct view_params *params);
// Corner of tile i on one axis (n tiles, of size net, on a source of src).
int view_tile_at(int i, int n, int net, int src);
// Left and upper edge of tile column and row i.
int view_column_at(const struct view *view, int i);
int view_row_at(const struct view *view, int i);
// Tile rows first <= i < end of a part.
void view_part(const struct view *view, int part, int *out_first, int *out_end);
// A point of the network's input in source pixels.
void view_to_source(const struct view *view, float x, float y, float *out_x, float *out_y);

#endif

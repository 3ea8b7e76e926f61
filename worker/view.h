// SPDX-License-Identifier: MIT
//
// Where the pixels of a source picture go on a network's input, and where its
// output belongs: tiles, letterbox, stretch, crop. Pure geometry; settled once
// per input size, before frame 0.
#ifndef REEL_WORKER_VIEW_H
#define REEL_WORKER_VIEW_H

#include "worker/graph/bands.h"
#include "worker/model/model.h"

struct view {
    enum model_fit fit;
    int src_w, src_h; // source picture
    int net_w, net_h; // network input
    // Source position of a network input position: src = net * scale + shift, in
    // pixels from the upper left corner (not of pixel centres).
    double scale_x, scale_y, shift_x, shift_y;
    // Network pixels that hold picture (letterbox); all of it otherwise.
    int pic_x, pic_y, pic_w, pic_h;
    // What the network sees of a picture uncut, or in tiles of any number: the
    // source, and edge pixels repeated to the right and below.
    int pad_w, pad_h;
    // Tiles: upper left corners on the padded source, evenly spread.
    int n_x, n_y;
    int overlap; // at least, in source pixels
    bool exact;  // overlap covers the receptive field: cut, not blended; same pixels but for rounding
    bool bits;   // and the same bytes
    int parts;   // bands of whole tile rows that workers may do apart; 1: none
    int align;   // tiles begin at multiples of this
    int margin;  // of bands that exchange rows: rows beyond those that are theirs; else 0
};

// Source rows beyond the receptive field that exact tiles overlap by, on each
// side of a seam: chroma rows are not cut, and neither are the rows that chroma
// sited on a row is averaged from.
#define VIEW_MARGIN 4
// The overlap of exact tiles in all, with cuts at multiples of align.
int view_overlap(int radius, int align);

#define VIEW_MAX_TILES 4096

struct view_params {
    enum model_fit fit;
    int src_w, src_h;
    int net_w, net_h; // 0: as large as the source
    int size_multiple;
    int radius;           // receptive radius in both directions, -1 unknown or unbounded
    int align;            // cuts at these multiples change nothing; 0 = 1
    bool bits;            // radius and align are those of bits, net_w and net_h were chosen for them
    int parts;            // wished; 0 or 1: none
    uint32_t tile_pixels; // at most of a chosen tile; 0: TILING_WHOLE_PIXELS
    int margin;           // as in view
};

// Errors: LIMIT (more than VIEW_MAX_TILES tiles).
enum reel_err view_init(struct view *view, const struct view_params *params);
// Left and upper edge of tile column and row i, on the padded source.
int view_column_at(const struct view *view, int i);
int view_row_at(const struct view *view, int i);
// Tile rows first <= i < end of a part.
void view_part(const struct view *view, int part, int *out_first, int *out_end);
// Where the rows that are tile row i's own begin, with a margin.
int view_band_at(const struct view *view, int i);
// The band that a part is, in rows of the source.
void view_band(const struct view *view, int part, struct band *out);
// A point of the network's input in source pixels.
void view_to_source(const struct view *view, float x, float y, float *out_x, float *out_y);

#endif

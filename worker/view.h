// SPDX-License-Identifier: MIT
//
// Where a source picture's pixels go on the network's input, and where its output belongs:
// tiles, letterbox, stretch, crop. Pure geometry, settled once per input size, before frame
// 0.
#ifndef REEL_WORKER_VIEW_H
#define REEL_WORKER_VIEW_H

#include "worker/graph/bands.h"
#include "worker/model/model.h"

struct view {
    enum model_fit fit;
    int src_w, src_h; // source picture
    int net_w, net_h; // network input
    // Source position of a network input position: src = net * scale + shift, in pixels
    // from the upper left corner (of the picture, not pixel centres).
    double scale_x, scale_y, shift_x, shift_y;
    // The part of the network's input that holds the picture (letterbox); otherwise all of
    // it.
    int pic_x, pic_y, pic_w, pic_h;
    // The picture that is fed uncut or in tiles: the source, with edge pixels repeated to
    // the right and below.
    int pad_w, pad_h;
    // Tiles: upper left corners on the padded source, evenly spread.
    int n_x, n_y;
    int overlap; // of neighbouring tiles, at least, in source pixels
    bool exact;  // overlap covers the receptive field: tiles are cut, not blended; same pixels except for rounding
    bool bits;   // the same bytes, too
    int parts;   // bands of whole tile rows that different workers may do; 1: not divided
    int align;   // tiles begin at multiples of this
    int margin;  // for bands that exchange rows: rows beyond their own; else 0
};

// Source rows by which exact tiles overlap in addition to the receptive field, on each side
// of a seam, so that neither chroma rows nor the rows averaged into a chroma row are cut.
#define VIEW_MARGIN 4
// Total overlap of exact tiles, with cuts at multiples of align.
int view_overlap(int radius, int align);

#define VIEW_MAX_TILES 4096

struct view_params {
    enum model_fit fit;
    int src_w, src_h;
    int net_w, net_h; // 0: as large as the source
    int size_multiple;
    int radius;           // receptive radius in both directions; -1: unknown or unbounded
    int align;            // cuts at multiples of this change nothing; 0: as 1
    bool bits;            // radius and align guarantee equal bits, and net_w and net_h were chosen for them
    int parts;            // wanted; 0 or 1: not divided
    uint32_t tile_pixels; // upper limit for a chosen tile; 0: TILING_WHOLE_PIXELS
    int margin;           // as in view
};

// Errors: LIMIT (more than VIEW_MAX_TILES tiles).
enum reel_err view_init(struct view *view, const struct view_params *params);
// Left edge of tile column i, and upper edge of tile row i, on the padded source.
int view_column_at(const struct view *view, int i);
int view_row_at(const struct view *view, int i);
// Tile rows first <= i < end of a part.
void view_part(const struct view *view, int part, int *out_first, int *out_end);
// First row that belongs to tile row i alone, for bands with a margin.
int view_band_at(const struct view *view, int i);
// The band of a part, in rows of the source.
void view_band(const struct view *view, int part, struct band *out);
// Converts a point of the network's input to source pixels.
void view_to_source(const struct view *view, float x, float y, float *out_x, float *out_y);

// v rounded up to a multiple; multiple <= 1: v.
int view_round_up(int v, int multiple);

#endif

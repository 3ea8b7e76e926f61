// SPDX-License-Identifier: MIT
//
// Detections and classes drawn on a canvas.
#ifndef REEL_AGGREGATOR_POST_BOXES_H
#define REEL_AGGREGATOR_POST_BOXES_H

#include "aggregator/post/labels.h"
#include "aggregator/post/paint.h"
#include "aggregator/post/results.h"

struct boxes_params {
    const struct labels *labels; // or NULL
    int line_width;              // 0: by the picture's size
    bool draw_labels;
};

// Boxes are in pixels of the canvas; values that are no numbers draw nothing.
void boxes_draw(struct paint_canvas *canvas, const struct results *results, const struct boxes_params *params);
// The best classes as lines in the upper left corner.
void boxes_draw_classes(struct paint_canvas *canvas, const struct results *results, const struct boxes_params *params);

#endif

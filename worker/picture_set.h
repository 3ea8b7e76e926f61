// SPDX-License-Identifier: MIT
//
// The pictures that a network is given beside frames of one size, as values in the
// order and range of its inputs. Where the frames are cut into tiles so are pictures
// that lie where they do; all else is ready as it is. Made by pictures.h; used by
// task/image.c and device/given.c.
#ifndef REEL_WORKER_PICTURE_SET_H
#define REEL_WORKER_PICTURE_SET_H

#include "common/picture.h"
#include "worker/engine/engine.h"
#include "worker/view.h"

// One picture: [channels][h][w] in the network's order of channels.
struct picture_canvas {
    const struct model_given *given; // what it is for
    int w, h;
    int net_w, net_h; // of the network's input
    bool cut;         // the input takes net_w x net_h of it, as the tile lies; else all of it
    float *values;
};

struct task;

struct picture_set {
    int n;
    struct picture_canvas canvas[REEL_MAX_PICTURES];
    struct engine_given given[REEL_MAX_PICTURES]; // for runs on the host: engine_give()
    struct reel_tensor values[REEL_MAX_PICTURES]; // as float32, where the input is of another type
    // pictures.c
    struct view view; // that they were made for
    int lanes;        // that have it
    uint64_t last_use;
};

// What the model makes of a picture in one view. Errors: NOMEM.
enum reel_err picture_canvas_make(const struct reel_picture *picture, const struct model_given *given,
                                  const struct task *task, struct picture_canvas *out);
// Puts the part at (x0, y0) of what is cut into set->given.
void picture_set_cut(struct picture_set *set, int x0, int y0);

#endif

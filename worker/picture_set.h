// SPDX-License-Identifier: MIT
//
// The pictures that a network takes beside frames of one size, as values in the order and
// range of its inputs. Where frames are cut into tiles, pictures aligned with the frame are
// cut likewise; all others are ready to use. Made by pictures.h; used by task/image.c and
// device/given.c.
#ifndef REEL_WORKER_PICTURE_SET_H
#define REEL_WORKER_PICTURE_SET_H

#include "common/picture.h"
#include "worker/engine/engine.h"
#include "worker/view.h"

// One picture, [channels][h][w], with channels in the network's order.
struct picture_canvas {
    const struct model_given *given; // the input it is for
    int w, h;
    int net_w, net_h; // size of the network's input
    bool cut;         // the input takes the tile's net_w x net_h part of it; else all of it
    float *values;
};

struct task;

struct picture_set {
    int n;
    struct picture_canvas canvas[REEL_MAX_PICTURES];
    struct engine_given given[REEL_MAX_PICTURES]; // for runs on the host: engine_give()
    struct reel_tensor values[REEL_MAX_PICTURES]; // converted, where the input is not float32
    // pictures.c
    struct view view; // the one they were made for
    int lanes;        // that use it
    uint64_t last_use;
};

// Converts a picture for the task's view. Errors: NOMEM.
enum reel_err picture_canvas_make(const struct reel_picture *picture, const struct model_given *given,
                                  const struct task *task, struct picture_canvas *out);
// Puts the part at (x0, y0) of each picture that is cut into set->given.
void picture_set_cut(struct picture_set *set, int x0, int y0);

#endif

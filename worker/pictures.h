// SPDX-License-Identifier: MIT
//
// Pictures that the model takes beside the frames. They are attached once
// (common/picture.h) and converted for the network once per frame size, however many lanes
// and frames there are.
#ifndef REEL_WORKER_PICTURES_H
#define REEL_WORKER_PICTURES_H

#include "common/child.h"
#include "worker/task/task.h"

struct pictures;

// Errors: IO, PROTO, CONFIG. *out_pictures is NULL if the settings name no picture.
enum reel_err pictures_open(const struct reel_child *child, struct pictures **out_pictures);
// All sets must have been given back. Accepts &NULL.
void pictures_close(struct pictures **pictures);
// Sets the pictures in params, which borrows them.
void pictures_tell(const struct pictures *pictures, struct engine_params *params);

// All pictures in the form that a task's network takes (worker/picture_set.h). They are
// converted if this size is new; the sets of the last sizes are kept. *out_set is NULL for
// a model without pictures. Errors: NOMEM.
enum reel_err pictures_take(struct pictures *pictures, const struct task *task, struct picture_set **out_set);
// Accepts &NULL.
void pictures_give_back(struct picture_set **set);

#endif

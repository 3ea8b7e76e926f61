// SPDX-License-Identifier: MIT
//
// Pictures that the model is given beside the frames: attached once (common/picture.h),
// and made ready for the network once for each size of frames, however many lanes and
// frames there are.
#ifndef REEL_WORKER_PICTURES_H
#define REEL_WORKER_PICTURES_H

#include "common/child.h"
#include "worker/task/task.h"

struct pictures;

// Errors: IO, PROTO, CONFIG. NULL where the settings name none.
enum reel_err pictures_open(const struct reel_child *child, struct pictures **out_pictures);
// No set is held any more. Accepts &NULL.
void pictures_close(struct pictures **pictures);
// Puts them into params, borrowed.
void pictures_tell(const struct pictures *pictures, struct engine_params *params);

// All of them as a task's network takes them (worker/picture_set.h), made where that
// is new: one is kept for each of the last sizes. NULL for a model that has none. Errors:
// NOMEM.
enum reel_err pictures_take(struct pictures *pictures, const struct task *task, struct picture_set **out_set);
// Accepts &NULL.
void pictures_give_back(struct picture_set **set);

#endif

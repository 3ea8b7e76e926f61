// SPDX-License-Identifier: MIT
//
// What the guesses about a model's outputs look at, and the parts of model_guess_output():
// head.c (detectors), colours.c (networks that colour), values.c (how values are
// stored), output.c (the task, and how frames are fitted). Nothing else includes this.
#ifndef REEL_WORKER_MODEL_LOOK_H
#define REEL_WORKER_MODEL_LOOK_H

#include "worker/model/model.h"

struct look {
    const struct model_facts *f;
    const struct reel_shape *shapes; // of the outputs
    int w, h;                        // of the network's input that they are for
    struct model *m;                 // gets what is found
};

// The output of that name, or -1.
int look_output(const struct look *l, const char *name);

// An output read as a map of channels x h x w.
struct look_map {
    bool nhwc;
    int64_t channels, h, w;
};
// False: it is none of the shape of a picture of w x h.
bool look_as_map(const struct reel_shape *shape, int w, int h, struct look_map *out);

// ---- colours.c ----

// Takes output i for the colours of gray frames; stated: the settings say that it is such
// a network, else names and constants of the file must. False: they are not.
bool model_take_colours(const struct look *l, int i, bool stated);
// How gray frames are stored for it, and its colours read. Errors: CONFIG.
enum reel_err model_settle_colours(const struct look *l, const struct reel_settings *s);

// Which detector's outputs these are; NONE when they are no one's known.
enum model_head model_guess_head(const struct look *l);
// Takes them for that detector's. False: they cannot be.
bool model_take_head(const struct look *l, enum model_head head);

// How the values of the input, of pictures that are given and of the output are stored;
// the task is known. Errors: CONFIG.
enum reel_err model_settle_values(const struct look *l, const struct reel_settings *s);

#endif

// SPDX-License-Identifier: MIT
//
// What the guesses about a model's outputs are based on, and the parts of
// model_guess_output(): head.c (detectors), colours.c (networks that colour), values.c (how
// values are stored), output.c (the task, and how frames are fitted). Nobody else includes
// this.
#ifndef REEL_WORKER_MODEL_LOOK_H
#define REEL_WORKER_MODEL_LOOK_H

#include "worker/model/model.h"

struct look {
    const struct model_facts *f;
    const struct reel_shape *shapes; // of the outputs
    int w, h;                        // input size for which they were inferred
    struct model *m;                 // receives what is found
};

// The index of the output of that name, or -1.
int look_output(const struct look *l, const char *name);

// The file's own name, without its folder, has one of the words, in whatever case. The list ends
// with NULL.
bool look_file_has(const struct look *l, const char *const *words);
// Whether PaddlePaddle's exporter has written the file.
bool look_is_paddle(const struct look *l);
// PP-OCR's classifier of upright text and text upside down: two classes of a line of text. The
// task must be known.
bool look_is_text_angle(const struct look *l);

// An output read as a map of channels x h x w.
struct look_map {
    bool nhwc;
    int64_t channels, h, w;
};
// False: the shape is not that of a map for a picture of w x h.
bool look_as_map(const struct reel_shape *shape, int w, int h, struct look_map *out);

// ---- colours.c ----

// Takes output i as the colours of gray frames. stated: the settings say that this is such
// a network; otherwise names and constants in the file must show it. False: it is not.
bool model_take_colours(const struct look *l, int i, bool stated);
// Settles how gray frames are stored for it and how its colours are read. Errors: CONFIG.
enum reel_err model_settle_colours(const struct look *l, const struct reel_settings *s);

// ---- head.c ----

// Which detector the outputs belong to; NONE: none that is known.
enum model_head model_guess_head(const struct look *l);
// Takes the outputs as that detector's. False: they do not fit it.
bool model_take_head(const struct look *l, enum model_head head);

// Whether the rows of an output are put together from columns at the very end, which are then
// the finished ones (YOLOv6 among those that have a cell of each grid).
bool look_columns_join(const struct look *l, int output);

// What is said of the outputs: a format and its words.
#define LOOK_HOW(l, ...) snprintf((l)->m->how_output, sizeof(l)->m->how_output, __VA_ARGS__)

// ---- head_maps.c: grids with anchors, CenterNet, poses ----

bool look_is_grids(const struct look *l, enum model_head head);
bool look_is_centernet(const struct look *l);
bool look_is_heatmap(const struct look *l);
bool look_is_simcc(const struct look *l);
bool look_is_movenet(const struct look *l);
// Which of these the outputs belong to; NONE: to none.
enum model_head look_guess_maps(const struct look *l);
// Whether the outputs are grids of strides from 8 or 16 on with three anchors, as of detectors whose
// boxes are not finished; true also where nothing shows which.
bool look_are_raw_grids(const struct look *l);
// Whether a map of scores is as those of points are: a quarter of the picture and without Softmax.
bool look_may_be_heatmap(const struct look *l, int output);

// ---- values.c ----

// Settles how the values of the input, of given pictures and of the output are stored. The
// task must be known. Errors: CONFIG.
enum reel_err model_settle_values(const struct look *l, const struct reel_settings *s);

#endif

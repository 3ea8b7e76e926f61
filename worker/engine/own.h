// SPDX-License-Identifier: MIT
//
// What is inside of engines, for their own files: engines.c (all of them),
// open.c (the model's file), engine.c (one, and its runs), states.c
// and device.c. Nobody else includes it.
#ifndef REEL_WORKER_ENGINE_OWN_H
#define REEL_WORKER_ENGINE_OWN_H

#include "common/proto.h"
#include "worker/backend/ranges.h"
#include "worker/engine/engine.h"

// Prepared sizes held at once: inputs of a run rarely mix more, and each holds
// its own weights.
#define ENGINES_MOST 3
#define ENGINE_MAX_INPUTS (GRAPH_MAX_STATES + MODEL_MAX_INPUTS)

struct engine {
    struct net *net;         // NULL: a backend without a model
    struct program *program; // then
    const struct engines *owner;
    int w, h, batch;
    struct band band; // margin 0: no band of a picture
    uint64_t last_use, serial;
    int picture, time;                      // indices of the inputs; time -1: there is none
    struct reel_tensor input, time_input;   // float32
    struct reel_tensor native, time_native; // of the net's type, when that is not float32
    int n_out;
    struct reel_tensor raw[MODEL_MAX_OUTPUTS]; // as the net gives them
    struct reel_tensor out[MODEL_MAX_OUTPUTS]; // float32: borrows raw's data, or owns a conversion
    const struct state_plan *plan;
    struct engine_states *states; // of the next run, borrowed
    int set;
    int pictures; // that it must be given
    const struct engine_given *given;
    int n_given;
};

struct engines {
    struct engine_params params;
    char *path;
    const struct backend_ops *ops;
    struct engine idle[REEL_MAX_PARTS]; // of a backend without a model: for frames in i + 1 parts
    struct net *first;                  // for facts and shapes; never prepared
    bool calibrated;
    struct ranges *ranges; // for every net of the same
    struct model_facts facts;
    struct net_io *io;
    struct state_plan plan;
    bool border_known;
    int border[2], border_axis; // net_find_border()
    struct bands_need bands;
    bool bands_known;
    struct engine *list[ENGINES_MOST];
    uint64_t clock, serials;
};

// open.c: reads the model's file and makes of it what is run: states and
// constants found, frames that are an input each joined, a cut-out composed. Once
// for the facts and once for each size. Errors: as net_open(), CONFIG.
enum reel_err engine_open_net(struct engines *engines, struct net **out_net);

// engines.c: shapes of all of net's inputs for pictures of w x h. Sets the net's
// constants that follow from them. Errors: those of net_state_shapes().
enum reel_err engines_input_shapes(const struct engines *engines, struct net *net, const struct model *model, int w,
                                   int h, struct reel_shape shapes[ENGINE_MAX_INPUTS]);

// engine.c: a net compiled for one size. band: NULL, or of a picture that others
// have the rest of. Errors: as net_prepare().
enum reel_err engine_create(struct engines *engines, const struct model *model, int w, int h, int batch,
                            const struct band *band, struct engine **out_engine);
void engine_destroy(struct engine **engine);

// states.c, around a run: puts the states behind the other inputs, and keeps
// what they became. Nothing for a network that has none. Errors: FAULT.
enum reel_err engine_put_states(struct engine *engine, const struct reel_tensor *in[ENGINE_MAX_INPUTS]);
enum reel_err engine_take_states(struct engine *engine, const struct reel_tensor *const in[ENGINE_MAX_INPUTS]);

#endif

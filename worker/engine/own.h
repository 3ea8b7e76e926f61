// SPDX-License-Identifier: MIT
//
// The inside of engines, for engines.c (the list), open.c (loading the file), engine.c (one
// engine and its runs), states.c and device.c. Nobody else includes it.
#ifndef REEL_WORKER_ENGINE_OWN_H
#define REEL_WORKER_ENGINE_OWN_H

#include "common/proto.h"
#include "worker/backend/ranges.h"
#include "worker/engine/engine.h"

// Sizes kept ready at once. Jobs rarely mix more, and each has weights of its own, as the
// backend packs them.
#define ENGINES_MOST 3
#define ENGINE_MAX_INPUTS (GRAPH_MAX_STATES + MODEL_MAX_INPUTS)

struct engine {
    struct net *net;         // NULL with a backend without a model
    struct program *program; // used then
    const struct engines *owner;
    int w, h, batch;
    struct band band; // margin 0: not a band
    uint64_t last_use, serial;
    int picture, time;                      // indices of the inputs; time -1: there is none
    struct reel_tensor input, time_input;   // float32
    struct reel_tensor native, time_native; // in the net's type, if that is not float32
    int n_out;
    struct reel_tensor raw[MODEL_MAX_OUTPUTS]; // as the net returns them
    struct reel_tensor out[MODEL_MAX_OUTPUTS]; // float32: borrows raw's data, or owns a conversion
    const struct state_plan *plan;
    struct engine_states *states; // for the next run, borrowed
    int set;
    int pictures; // number it needs
    const struct engine_given *given;
    int n_given;
};

struct engines {
    struct engine_params params;
    char *path;
    const struct backend_ops *ops;
    struct engine idle[REEL_MAX_PARTS]; // with a backend without a model: for frames in i + 1 parts
    struct net *first;                  // for facts and shapes, and the weights of all sizes; never prepared
    bool calibrated;
    struct ranges *ranges; // shared by all nets
    struct model_facts facts;
    struct net_io *io;
    struct state_plan plan;
    int border[2]; // net_find_border()
    struct bands_need bands;
    bool bands_known;
    struct engine *list[ENGINES_MOST];
    uint64_t clock, serials;
};

// open.c: loads the model's file and turns it into the net that is run: finds states and
// constants, joins inputs that are one frame each, adds the composite of a cut-out. Called
// once; each size gets a copy (net_copy()). Errors: as net_open(), CONFIG.
enum reel_err engine_open_net(struct engines *engines, struct net **out_net);

// engines.c: shapes of all inputs of net for pictures of w x h. Also sets the constants
// that depend on the size. Errors: those of net_state_shapes().
enum reel_err engines_input_shapes(const struct engines *engines, struct net *net, const struct model *model, int w,
                                   int h, struct reel_shape shapes[ENGINE_MAX_INPUTS]);

// engine.c: compiles a net for one size. band: NULL for whole pictures. Errors: as
// net_prepare().
enum reel_err engine_create(struct engines *engines, const struct model *model, int w, int h, int batch,
                            const struct band *band, struct engine **out_engine);
void engine_destroy(struct engine **engine);

// states.c, around a run: adds the states to the inputs, and keeps their new values.
// Nothing for a network without states. Errors: FAULT.
enum reel_err engine_put_states(struct engine *engine, const struct reel_tensor *in[ENGINE_MAX_INPUTS]);
enum reel_err engine_take_states(struct engine *engine, const struct reel_tensor *const in[ENGINE_MAX_INPUTS]);

#endif

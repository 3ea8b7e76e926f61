// SPDX-License-Identifier: MIT
//
// Networks that carry a state from frame to frame: which inputs take the value that an
// output had in the run before (or the previous frame's picture), and which are constants.
// Found through the settings io.state and io.constants, else by names (r1i and r1o, h and
// h_out, state and new_state, prev_output and output), else by shape and order.
//
// No tensors here; engine.h has a lane's states.
#ifndef REEL_WORKER_MODEL_STATE_H
#define REEL_WORKER_MODEL_STATE_H

#include "common/settings.h"
#include "worker/engine/net.h"

#define STATE_MAX_CONSTANTS 16

struct state_constant {
    char name[SET_WORD]; // of the input
    double value;        // in every element
    bool of_size;        // the value depends on the frame's size (RVM's downsample_ratio)
};

struct state_plan {
    int n;
    struct graph_state state[GRAPH_MAX_STATES]; // by index of the net's inputs and outputs
    const char *how;                            // how they were found
    enum set_begin begin;                       // AUTO: pictures begin as the first frame, others as zeros
    int n_constants;
    struct state_constant constant[STATE_MAX_CONSTANTS];
};

// Turns inputs into constants, finds the states among the others, and tells the net.
// settings may be NULL. Errors: CONFIG (settings that do not fit), NOMEM.
enum reel_err state_open(struct net *net, const struct reel_settings *settings, const char *path,
                         struct state_plan *out_plan);
// Sets the constants that depend on the size of pictures. Before net_prepare() and
// net_infer_shapes().
enum reel_err state_set_size(struct net *net, const struct state_plan *plan, int w, int h);
// The index of the state that input i is; -1 if it is none. plan may be NULL.
int state_of_input(const struct state_plan *plan, int i);
// The same for an output.
int state_of_output(const struct state_plan *plan, int i);
// Describes states and constants in one or more lines for the user; "" if there are none.
void state_describe(const struct state_plan *plan, const struct net_io *in, const struct net_io *out, char *buf,
                    size_t bytes);

// The settings that concern states.
struct state_words {
    const char *state;    // io.state; "": guessed
    const char *input;    // io.input
    const char *pictures; // io.pictures: inputs that are not states
};

// Finds the states among inputs and outputs. Pure, exposed for tests. Errors: CONFIG.
enum reel_err state_find(const struct net_io *in, int n_in, const struct net_io *out, int n_out,
                         const struct state_words *words, const char *path, struct state_plan *plan);

#endif

// SPDX-License-Identifier: MIT
//
// Networks that carry a state from frame to frame: which inputs are given what an
// output was in the run before (or the picture of the frame before), and which are
// constants. Found by the settings io.state and io.constants, by names (r1i and
// r1o, h and h_out, state and new_state, prev_output and output), and where names
// tell nothing by shape and order.
//
// What it is not: it holds no tensors; a lane's states are engine.h's.
#ifndef REEL_WORKER_MODEL_STATE_H
#define REEL_WORKER_MODEL_STATE_H

#include "common/settings.h"
#include "worker/engine/net.h"

#define STATE_MAX_CONSTANTS 16

struct state_constant {
    char name[SET_WORD]; // of the input
    double value;        // in every element
    bool of_size;        // value follows from the frame's size (RVM's downsample_ratio)
};

struct state_plan {
    int n;
    struct graph_state state[GRAPH_MAX_STATES]; // by index of the net's inputs and outputs
    const char *how;                            // where the belief came from
    enum set_begin begin;                       // AUTO: pictures of the frame before as the first, others as zeros
    int n_constants;
    struct state_constant constant[STATE_MAX_CONSTANTS];
};

// Makes constants of inputs, finds the states of what is left and tells the net.
// settings: NULL: none. Errors: CONFIG (settings that do not fit), NOMEM.
enum reel_err state_open(struct net *net, const struct reel_settings *settings, const char *path,
                         struct state_plan *out_plan);
// Sets the constants that follow from the size of pictures. Before net_prepare()
// and net_infer_shapes().
enum reel_err state_set_size(struct net *net, const struct state_plan *plan, int w, int h);
// Which state input i is; -1: none. plan may be NULL.
int state_of_input(const struct state_plan *plan, int i);
// Likewise of an output.
int state_of_output(const struct state_plan *plan, int i);
// One line or more for the user, "" where there is neither state nor constant.
void state_describe(const struct state_plan *plan, const struct net_io *in, const struct net_io *out, char *buf,
                    size_t bytes);

// The settings that say something of states; each "" where nothing is said.
struct state_words {
    const char *state;    // io.state; "": guessed
    const char *input;    // io.input
    const char *pictures; // io.pictures: inputs that are none
};

// Pure, exposed for tests: the states among inputs and outputs. Errors: CONFIG.
enum reel_err state_find(const struct net_io *in, int n_in, const struct net_io *out, int n_out,
                         const struct state_words *words, const char *path, struct state_plan *plan);

#endif

// SPDX-License-Identifier: MIT
//
// Measures the range of a network's values, for precisions whose scales must be known
// before the first frame (fp8). The network runs on pictures generated here, which are the
// same at every start, through the backend's `measure`, which gives the same bits on every
// machine. So all workers, and every resumed run, have the same scales, whatever the
// frames, sizes and batches.
//
// For networks with one picture as input. Called by engine.c and cli.c.
#ifndef REEL_WORKER_CALIBRATE_H
#define REEL_WORKER_CALIBRATE_H

#include "worker/engine/net.h"
#include "worker/model/model.h"

// Whether the net's backend needs ranges for the requested precision.
bool calibrate_wanted(const struct net *net);

// Measures the ranges. input: what the picture means to the network. The caller owns
// *out_ranges; it is NULL if the network does not have exactly one picture input or accepts
// none of the test pictures' sizes. Errors: NOMEM; those of a run.
enum reel_err calibrate(struct net *net, const struct model_input *input, struct ranges **out_ranges);

// For callers without a model: guesses what the net's input means (model.h), measures if
// ranges are needed, and gives them to the net. path is for messages.
enum reel_err calibrate_net(struct net *net, const struct reel_settings *settings, const char *path);

// R, G, B in 0..1 of pixel (y, x) of test picture `kind`, which is `side` x `side` pixels.
// Exposed for tests.
#define CALIBRATE_PICTURES 4
void calibrate_pixel(int kind, int side, int y, int x, float out_rgb[3]);

#endif

// SPDX-License-Identifier: MIT
//
// What the values of a network measure, for precisions whose scales must be known
// before the first frame (fp8): the network is run on pictures that are made here,
// the same at every start, by the backend's `measure`, which gives the same bits on
// every machine. So all workers and every resume have the same scales, and they
// depend on no frame, size or batch.
//
// For networks with one picture as their input. Called by engine.c and cli.c.
#ifndef REEL_WORKER_CALIBRATE_H
#define REEL_WORKER_CALIBRATE_H

#include "worker/engine/net.h"
#include "worker/model/model.h"

// Whether the net's backend wants ranges for the precision that was asked for.
bool calibrate_wanted(const struct net *net);

// Measures. input: what the picture means to the network. *out_ranges is the
// caller's, NULL when the network has not one picture input, or takes none of the
// pictures' sizes. Errors: NOMEM; those of a run.
enum reel_err calibrate(struct net *net, const struct model_input *input, struct ranges **out_ranges);

// For who has a net alone: guesses what its input means (model.h), measures where
// that is wanted and gives the net its ranges. path is for messages.
enum reel_err calibrate_net(struct net *net, const struct reel_settings *settings, const char *path);

// Pixel (y, x) of picture `kind` of `side` x `side` pixels, R, G, B in 0..1.
// Exposed for tests.
#define CALIBRATE_PICTURES 4
void calibrate_pixel(int kind, int side, int y, int x, float out_rgb[3]);

#endif

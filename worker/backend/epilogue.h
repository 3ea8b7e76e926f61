// SPDX-License-Identifier: MIT
//
// The reference of every epilogue step, on row-major tensors: what the
// interpreter runs, and what a backend may fall back on for steps it cannot do
// in one pass. It is not fast.
#ifndef REEL_WORKER_BACKEND_EPILOGUE_H
#define REEL_WORKER_BACKEND_EPILOGUE_H

#include "worker/graph/graph.h"

// Applies one step in place. x is of a float type (16-bit floats are rounded
// once a step). other is broadcast to x's shape as in NumPy; NULL for the kinds
// without an operand. INPUT when other does not broadcast to x.
enum reel_err epilogue_apply(const struct epilogue *e, struct reel_tensor *x, const struct reel_tensor *other);

#endif

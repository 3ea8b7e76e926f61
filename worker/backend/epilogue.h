// SPDX-License-Identifier: MIT
//
// Reference implementation of every epilogue step, on row-major tensors. The interpreter
// runs it, and backends may use it for steps that they cannot fuse. It is not fast.
#ifndef REEL_WORKER_BACKEND_EPILOGUE_H
#define REEL_WORKER_BACKEND_EPILOGUE_H

#include "worker/graph/graph.h"

// Applies one step in place. x has a float type (16-bit floats are rounded once per step).
// other is broadcast to x's shape as in NumPy; NULL for kinds without an operand. Errors:
// INPUT (other does not broadcast to x).
enum reel_err epilogue_apply(const struct epilogue *e, struct reel_tensor *x, const struct reel_tensor *other);

#endif

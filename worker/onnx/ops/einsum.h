// SPDX-License-Identifier: MIT
//
// Einsum's equation, for the operator and for backends that do the contraction themselves.
#ifndef REEL_WORKER_ONNX_OPS_EINSUM_H
#define REEL_WORKER_ONNX_OPS_EINSUM_H

#include "worker/onnx/op.h"

// Labels A-Z, a-z (NumPy's alphabetical order), then the axes of the ellipsis.
#define EINSUM_LABELS (52 + REEL_MAX_DIMS)
#define EINSUM_ELLIPSIS 52

struct einsum_term {
    int n;
    int label[EINSUM_LABELS];
};

// The equation of one call.
struct einsum {
    int n_in;
    struct einsum_term *in, out;
    int64_t extent[EINSUM_LABELS]; // -2: not in the equation
};

// Parses the equation and checks the inputs' shapes. If a rank is unknown, *out_shape is
// unknown and nothing else is set. The caller frees out_e->in. Errors: INPUT, LIMIT, NOMEM.
enum reel_err einsum_open(const struct op_call *call, struct einsum *out_e, struct reel_shape *out_shape);

#endif

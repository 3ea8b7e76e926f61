// SPDX-License-Identifier: MIT
//
// Plain C twin of the kernel of integer.h.
#include "kernels/gpu/integer_math.h"

const char *gpu_integer_op_name(enum gpu_integer_op op)
{
    static const char *const names[GPU_INT_OPS] = {"cast",  "neg", "abs", "sign", "not", "add", "sub",  "mul",   "div",
                                                   "mod",   "rem", "pow", "max",  "min", "and", "or",   "xor",   "left",
                                                   "right", "eq",  "gt",  "ge",   "lt",  "le",  "clip", "select"};
    return names[op];
}

void gpu_integer_ref(const struct gpu_integer *p, const void *const *in, void *y)
{
    for (int64_t i = 0; i < p->count; i++) gpu_integer_element(p, in[0], in[1], in[2], y, i);
}

// SPDX-License-Identifier: MIT
//
// exec_device.c in a build without CUDA. It is never called, because probing already reports that there is
// no GPU.
#include "worker/backend/cudnn/exec.h"

static enum reel_err create(struct lowered *p, const struct backend_params *params, struct exec **out_exec)
{
    (void)p, (void)params, (void)out_exec;
    return reel_fail(REEL_ERR_UNSUPPORTED, "could not run on a GPU: this build has no CUDA");
}

const struct exec_ops exec_device = {.create = create};

// SPDX-License-Identifier: MIT
//
// The CUDA kinds of mem.h in a build without CUDA: every call fails with one clear message.
#include "common/mem.h"

static enum reel_err refuse(void)
{
    return reel_fail(REEL_ERR_UNSUPPORTED, "could not use GPU memory: this build has no CUDA\n"
                                           "install the CUDA toolkit (./run.sh --setup) and build again");
}

static enum reel_err no_alloc(struct reel_mem *mem)
{
    return refuse();
}

static enum reel_err no_export(struct reel_mem *mem, int *out_fd)
{
    return refuse();
}

static enum reel_err no_open(struct reel_mem *mem, int fd, int device)
{
    return refuse();
}

const struct reel_mem_ops reel_mem_ipc = {.alloc = no_alloc, .export = no_export, .open = no_open, .close = no_alloc};
const struct reel_mem_ops reel_mem_vmm = {.alloc = no_alloc, .export = no_export, .open = no_open, .close = no_alloc};

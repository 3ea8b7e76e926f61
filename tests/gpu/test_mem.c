// SPDX-License-Identifier: MIT
//
// The contract of shared device memory (common/mem.h) over CUDA's kinds, on a
// GPU; tests/unit/common/test_mem.c runs the same suite over the host's.
#include "tests/unit/common/mem_suite.h"

// Whether GPU 0 has the kind, asked in a child: this process must fork before
// it uses a device.
static bool has_kind(enum reel_mem_kind kind)
{
    pid_t pid = fork();
    if (!pid) {
        struct reel_cuda_device device;
        struct reel_mem *mem;
        int n;
        bool has = !reel_cuda_count(&n) && !reel_cuda_device(0, &device) && (kind != REEL_MEM_VMM || device.vmm) &&
                   !reel_cuda_open(0) && !reel_mem_alloc(kind, 0, MEM_BYTES, &mem);
        _exit(has ? 0 : 1);
    }
    int status = 1;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) && !WEXITSTATUS(status);
}

#define OVER(kind, part)                                        \
    do {                                                        \
        if (!has_kind(kind)) SKIP("no GPU that has this kind"); \
        mem_run(kind, part);                                    \
    } while (0)

static void vmm_rules(void)
{
    OVER(REEL_MEM_VMM, mem_rules);
}

static void vmm_owner_dies(void)
{
    OVER(REEL_MEM_VMM, mem_owner_dies);
}

static void ipc_rules(void)
{
    OVER(REEL_MEM_IPC, mem_rules);
}

static void ipc_owner_dies(void)
{
    OVER(REEL_MEM_IPC, mem_owner_dies);
}

CHECK_MAIN({"VMM rules", vmm_rules}, {"VMM owner dies", vmm_owner_dies}, {"legacy IPC rules", ipc_rules},
           {"legacy IPC owner dies", ipc_owner_dies})

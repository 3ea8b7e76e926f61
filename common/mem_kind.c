// SPDX-License-Identifier: MIT
//
// Names of the kinds of device memory, and the choice of one: the part of mem.h that the
// coordinator uses. Independent of the implementations.
#include <string.h>

#include "common/mem.h"

static const char *const names[REEL_MEM_KINDS] = {"none", "host", "ipc", "vmm"};

const char *reel_mem_kind_name(enum reel_mem_kind kind)
{
    return kind < REEL_MEM_KINDS ? names[kind] : "unknown";
}

enum reel_mem_kind reel_mem_kind_parse(const char *name)
{
    for (int i = 1; i < REEL_MEM_KINDS; i++)
        if (!strcmp(names[i], name)) return (enum reel_mem_kind)i;
    return REEL_MEM_NONE;
}

enum reel_mem_kind reel_mem_choose(bool vmm, bool host)
{
    return host ? REEL_MEM_HOST : vmm ? REEL_MEM_VMM : REEL_MEM_IPC;
}

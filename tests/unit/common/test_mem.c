// SPDX-License-Identifier: MIT
//
// The contract of shared device memory over its host kind; tests/gpu runs the
// same suite over CUDA's kinds. And what needs no device at all.
#include "tests/unit/common/mem_suite.h"

#include <fcntl.h>

static void rules(void)
{
    mem_run(REEL_MEM_HOST, mem_rules);
}

static void misuse(void)
{
    mem_run(REEL_MEM_HOST, mem_misuse);
}

static void owner_dies(void)
{
    mem_run(REEL_MEM_HOST, mem_owner_dies);
}

static void no_handle(void)
{
    struct reel_mem *mem = NULL;
    struct reel_mem_handle handle = {0};
    CHECK_INT(reel_mem_open(&handle, -1, 0, &mem), REEL_ERR_PROTO);
    handle = (struct reel_mem_handle){REEL_MEM_MAGIC, REEL_MEM_HOST, 0, 1, 1, 4096, 4096, {0}};
    CHECK_INT(reel_mem_open(&handle, -1, 0, &mem), REEL_ERR_PROTO); // no descriptor
    int fd = open("/dev/null", 0);
    CHECK_INT(reel_mem_open(&handle, fd, 0, &mem), REEL_ERR_PROTO);
    close(fd);
    CHECK(!mem);
    CHECK_INT(reel_mem_alloc(REEL_MEM_NONE, 0, 4096, &mem), REEL_ERR_UNSUPPORTED);
    CHECK_INT(reel_mem_close(&mem), REEL_OK);
}

// Many at once, closed in another order: the list of what is open stays right.
static void many(void)
{
    enum { N = 200 };
    static struct reel_mem *mem[N];
    for (int i = 0; i < N; i++) CHECK_INT(reel_mem_alloc(REEL_MEM_HOST, 0, 8192, &mem[i]), REEL_OK);
    for (int i = 0; i < N; i += 2) CHECK_INT(reel_mem_close(&mem[i]), REEL_OK);
    struct reel_mem_handle handle;
    int fd;
    CHECK_INT(reel_mem_export(mem[1], &handle, &fd), REEL_OK);
    close(fd);
    for (int i = 1; i < N; i += 2) CHECK_INT(reel_mem_close(&mem[i]), REEL_OK);
}

static void kinds(void)
{
    CHECK_INT(reel_mem_choose(true, false), REEL_MEM_VMM);
    CHECK_INT(reel_mem_choose(false, false), REEL_MEM_IPC);
    CHECK_INT(reel_mem_choose(true, true), REEL_MEM_HOST);
    for (int i = 1; i < REEL_MEM_KINDS; i++)
        CHECK_INT(reel_mem_kind_parse(reel_mem_kind_name((enum reel_mem_kind)i)), i);
    CHECK_INT(reel_mem_kind_parse("disk"), REEL_MEM_NONE);
    int n;
    if (!reel_cuda_count(&n)) SKIP("there is a GPU");
    struct reel_mem *mem;
    CHECK_INT(reel_mem_alloc(REEL_MEM_VMM, 0, 4096, &mem), REEL_ERR_UNSUPPORTED);
    CHECK_INT(reel_mem_alloc(REEL_MEM_IPC, 0, 4096, &mem), REEL_ERR_UNSUPPORTED);
}

CHECK_MAIN({"device memory rules", rules}, {"device memory misuse", misuse}, {"device memory owner dies", owner_dies},
           {"device memory no handle", no_handle}, {"device memory many", many}, {"device memory kinds", kinds})

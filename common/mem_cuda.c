// SPDX-License-Identifier: MIT
//
// Device memory of CUDA: legacy IPC handles and virtual memory shared as file
// descriptors. See mem.h. The driver's functions come from the runtime's entry
// point, so that nothing links to a driver.
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cuda.h>
#include <cuda_runtime_api.h>

#include "common/cuda.h"
#include "common/mem.h"
#include "common/round.h"

// Allocations are whole 2 MiB pages, because a legacy handle exposes every page that it touches.
#define PAGE_BYTES (UINT64_C(2) << 20)

// ---- legacy handles -----------------------------------------------------------

static enum reel_err ipc_alloc(struct reel_mem *m)
{
    m->handle.mapped_bytes = reel_round_up(m->handle.bytes, PAGE_BYTES);
    enum reel_err err = reel_cuda_malloc(m->handle.mapped_bytes, &m->base);
    if (err) return err;
    cudaIpcMemHandle_t ipc;
    _Static_assert(sizeof ipc <= sizeof m->handle.ipc, "a legacy handle fits");
    err = reel_cuda_check(cudaIpcGetMemHandle(&ipc, m->base), "share GPU memory");
    if (err) {
        reel_cuda_free(m->base);
        return err;
    }
    memcpy(m->handle.ipc, &ipc, sizeof ipc);
    return REEL_OK;
}

static enum reel_err ipc_export(struct reel_mem *m, int *out_fd)
{
    return REEL_OK; // the handle says everything; no descriptor
}

static enum reel_err ipc_open(struct reel_mem *m, int fd, int device)
{
    cudaIpcMemHandle_t ipc;
    memcpy(&ipc, m->handle.ipc, sizeof ipc);
    return reel_cuda_check(cudaIpcOpenMemHandle(&m->base, ipc, cudaIpcMemLazyEnablePeerAccess),
                           "open shared GPU memory");
}

static enum reel_err ipc_close(struct reel_mem *m)
{
    if (!m->owned) return reel_cuda_check(cudaIpcCloseMemHandle(m->base), "close shared GPU memory");
    reel_cuda_free(m->base);
    return REEL_OK;
}

const struct reel_mem_ops reel_mem_ipc = {
    .alloc = ipc_alloc, .export = ipc_export, .open = ipc_open, .close = ipc_close};

// ---- virtual memory -----------------------------------------------------------

#define FUNCTIONS(X)                                                                                            \
    X(cuMemGetAllocationGranularity, (size_t *, const CUmemAllocationProp *, CUmemAllocationGranularity_flags)) \
    X(cuMemCreate, (CUmemGenericAllocationHandle *, size_t, const CUmemAllocationProp *, unsigned long long))   \
    X(cuMemRelease, (CUmemGenericAllocationHandle))                                                             \
    X(cuMemExportToShareableHandle,                                                                             \
      (void *, CUmemGenericAllocationHandle, CUmemAllocationHandleType, unsigned long long))                    \
    X(cuMemImportFromShareableHandle, (CUmemGenericAllocationHandle *, void *, CUmemAllocationHandleType))      \
    X(cuMemAddressReserve, (CUdeviceptr *, size_t, size_t, CUdeviceptr, unsigned long long))                    \
    X(cuMemAddressFree, (CUdeviceptr, size_t))                                                                  \
    X(cuMemMap, (CUdeviceptr, size_t, size_t, CUmemGenericAllocationHandle, unsigned long long))                \
    X(cuMemUnmap, (CUdeviceptr, size_t))                                                                        \
    X(cuMemSetAccess, (CUdeviceptr, size_t, const CUmemAccessDesc *, size_t))

static struct {
#define X(name, args) CUresult(*name) args;
    FUNCTIONS(X)
#undef X
} driver;

static enum reel_err load(void)
{
    if (driver.cuMemSetAccess) return REEL_OK;
    const char *missing = NULL;
#define X(name, args)                                          \
    *(void **)&driver.name = reel_cuda_driver_function(#name); \
    if (!driver.name) missing = missing ? missing : #name;
    FUNCTIONS(X)
#undef X
    if (!missing) return REEL_OK;
    driver.cuMemSetAccess = NULL;
    return reel_fail(REEL_ERR_UNSUPPORTED, "could not share GPU memory: the driver has no %s", missing);
}

static enum reel_err judge(CUresult result, const char *what)
{
    if (result == CUDA_SUCCESS) return REEL_OK;
    if (result == CUDA_ERROR_OUT_OF_MEMORY) return reel_fail(REEL_ERR_NOMEM, "could not %s: out of GPU memory", what);
    // The driver and the runtime use the same numbers for faults.
    return reel_cuda_check((int)result, what);
}

static CUmemAllocationProp prop_of(int device)
{
    CUmemAllocationProp prop;
    memset(&prop, 0, sizeof prop);
    prop.type = CU_MEM_ALLOCATION_TYPE_PINNED;
    prop.location.type = CU_MEM_LOCATION_TYPE_DEVICE;
    prop.location.id = device;
    prop.requestedHandleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR;
    return prop;
}

// Gives the allocation an address that `device` may read and write.
static enum reel_err vmm_map(struct reel_mem *m, int device)
{
    CUdeviceptr at = 0;
    size_t bytes = m->handle.mapped_bytes;
    enum reel_err err = judge(driver.cuMemAddressReserve(&at, bytes, 0, 0, 0), "reserve addresses for GPU memory");
    if (err) return err;
    err = judge(driver.cuMemMap(at, bytes, 0, m->vmm, 0), "map GPU memory");
    if (err) {
        driver.cuMemAddressFree(at, bytes);
        return err;
    }
    CUmemAccessDesc access;
    memset(&access, 0, sizeof access);
    access.location.type = CU_MEM_LOCATION_TYPE_DEVICE;
    access.location.id = device;
    access.flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
    err = judge(driver.cuMemSetAccess(at, bytes, &access, 1), "allow access to GPU memory");
    if (err) {
        driver.cuMemUnmap(at, bytes);
        driver.cuMemAddressFree(at, bytes);
        return err;
    }
    m->base = m->mapping = (void *)(uintptr_t)at;
    return REEL_OK;
}

static enum reel_err vmm_alloc(struct reel_mem *m)
{
    enum reel_err err = load();
    if (err) return err;
    CUmemAllocationProp prop = prop_of(m->handle.device);
    size_t grain = 0;
    err = judge(driver.cuMemGetAllocationGranularity(&grain, &prop, CU_MEM_ALLOC_GRANULARITY_RECOMMENDED),
                "ask for the page size of GPU memory");
    if (err) return err;
    m->handle.mapped_bytes = reel_round_up(m->handle.bytes, grain ? grain : PAGE_BYTES);
    CUmemGenericAllocationHandle handle = 0;
    if ((err = judge(driver.cuMemCreate(&handle, m->handle.mapped_bytes, &prop, 0), "allocate GPU memory"))) return err;
    m->vmm = handle;
    if ((err = vmm_map(m, m->handle.device))) driver.cuMemRelease(handle);
    return err;
}

static enum reel_err vmm_export(struct reel_mem *m, int *out_fd)
{
    int fd = -1;
    enum reel_err err =
        judge(driver.cuMemExportToShareableHandle(&fd, m->vmm, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0),
              "share GPU memory");
    *out_fd = err ? -1 : fd;
    return err;
}

static enum reel_err vmm_open(struct reel_mem *m, int fd, int device)
{
    enum reel_err err = load();
    if (err) return err;
    CUmemGenericAllocationHandle handle = 0;
    err = judge(
        driver.cuMemImportFromShareableHandle(&handle, (void *)(uintptr_t)fd, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR),
        "open shared GPU memory");
    if (err) return err;
    m->vmm = handle;
    if ((err = vmm_map(m, device))) driver.cuMemRelease(handle);
    return err;
}

static enum reel_err vmm_close(struct reel_mem *m)
{
    CUdeviceptr at = (CUdeviceptr)(uintptr_t)m->base;
    enum reel_err err = judge(driver.cuMemUnmap(at, m->handle.mapped_bytes), "unmap GPU memory");
    driver.cuMemAddressFree(at, m->handle.mapped_bytes);
    driver.cuMemRelease(m->vmm);
    return err;
}

const struct reel_mem_ops reel_mem_vmm = {
    .alloc = vmm_alloc, .export = vmm_export, .open = vmm_open, .close = vmm_close};

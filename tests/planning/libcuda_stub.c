// SPDX-License-Identifier: MIT
//
// A libcuda.so.1 of a machine without GPUs, for the planning tests: cuDNN lists
// its run-time compiled engines only where a driver can be opened, and building
// one ends with loading the compiled code. Here loading does nothing and
// succeeds, so that planning can be tested; nothing can run.
//
// tests/unit/worker/test_cudnn_plan.c and tests/planning/plan_table.c open it by
// its path before cuDNN asks the loader for the same name. It never becomes part
// of what is installed.
#include <stddef.h>
#include <string.h>

// CUresult: 0 is success, 1 an invalid value.
int cuInit(unsigned flags);
int cuDriverGetVersion(int *out_version);
int cuDeviceGetCount(int *out_count);
int cuGetExportTable(const void **out_table, const void *id);
int cuGetProcAddress_v2(const char *symbol, void **out_function, int version, unsigned long long flags, int *out_found);

static int succeed(void)
{
    return 0;
}

int cuInit(unsigned flags)
{
    return 0;
}

int cuDriverGetVersion(int *out_version)
{
    *out_version = 13000;
    return 0;
}

int cuDeviceGetCount(int *out_count)
{
    *out_count = 0;
    return 0;
}

// NVRTC asks for the driver's private tables and does without when refused.
int cuGetExportTable(const void **out_table, const void *id)
{
    return 1;
}

// What the CUDA runtime inside cuDNN asks for function by function.
int cuGetProcAddress_v2(const char *symbol, void **out_function, int version, unsigned long long flags, int *out_found)
{
    static const struct {
        const char *name;
        void *function;
    } known[] = {{"cuInit", (void *)cuInit},
                 {"cuDriverGetVersion", (void *)cuDriverGetVersion},
                 {"cuDeviceGetCount", (void *)cuDeviceGetCount},
                 {"cuGetExportTable", (void *)cuGetExportTable},
                 {"cuGetProcAddress", (void *)cuGetProcAddress_v2}};
    *out_function = (void *)succeed;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (!strcmp(symbol, known[i].name)) *out_function = known[i].function;
    if (out_found) *out_found = 0; // CU_GET_PROC_ADDRESS_SUCCESS
    return 0;
}

// What cuDNN's engines look up by name (dlsym); one missing and no engine is listed.
#define SUCCEEDS(name) \
    int name(void);    \
    int name(void)     \
    {                  \
        return 0;      \
    }
SUCCEEDS(cuCtxGetCurrent)
SUCCEEDS(cuCtxGetLimit)
SUCCEEDS(cuCtxPopCurrent)
SUCCEEDS(cuCtxPushCurrent)
SUCCEEDS(cuDeviceGet)
SUCCEEDS(cuGetErrorName)
SUCCEEDS(cuGetErrorString)
SUCCEEDS(cuKernelGetAttribute)
SUCCEEDS(cuKernelSetAttribute)
SUCCEEDS(cuLaunchCooperativeKernel)
SUCCEEDS(cuLaunchKernel)
SUCCEEDS(cuLaunchKernelEx)
SUCCEEDS(cuLibraryGetKernel)
SUCCEEDS(cuLibraryLoadData)
SUCCEEDS(cuLibraryLoadFromFile)
SUCCEEDS(cuLibraryUnload)
SUCCEEDS(cuLinkAddData)
SUCCEEDS(cuLinkComplete)
SUCCEEDS(cuLinkCreate)
SUCCEEDS(cuLinkDestroy)
SUCCEEDS(cuOccupancyMaxActiveClusters)
SUCCEEDS(cuOccupancyMaxPotentialClusterSize)
SUCCEEDS(cuStreamGetCtx)

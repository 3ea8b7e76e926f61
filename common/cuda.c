// SPDX-License-Identifier: MIT
//
// cuda.h over the CUDA runtime, linked statically. See cuda.h. Thread-safe as
// the runtime is; the only state of its own is the flag of a lost device.
#include "common/cuda.h"

#include <ctype.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <cuda.h>
#include <cuda_runtime_api.h>

static _Atomic bool device_lost;

// ---- errors -----------------------------------------------------------------

// Faults that leave the process's context unusable (CUDA runtime API, enum
// cudaError: "the process must be terminated and relaunched"). UNKNOWN and the
// link and memory errors are treated in the same way, because nobody knows what still works.
static bool is_sticky(cudaError_t e)
{
    switch (e) {
    case cudaErrorECCUncorrectable:
    case cudaErrorNvlinkUncorrectable:
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchTimeout:
    case cudaErrorContextIsDestroyed:
    case cudaErrorAssert:
    case cudaErrorHardwareStackError:
    case cudaErrorIllegalInstruction:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorLaunchFailure:
    case cudaErrorExternalDevice:
    case cudaErrorMpsClientTerminated:
    case cudaErrorUnknown:
#if CUDART_VERSION >= 12080
    case cudaErrorContained:
    case cudaErrorTensorMemoryLeak:
#endif
        return true;
    default:
        return false;
    }
}

static enum reel_err class_of(cudaError_t e)
{
    switch (e) {
    case cudaErrorMemoryAllocation:
        return REEL_ERR_NOMEM;
    case cudaErrorNoDevice:
    case cudaErrorInsufficientDriver:
    case cudaErrorStubLibrary:
    case cudaErrorNotSupported:
    case cudaErrorNoKernelImageForDevice:
    case cudaErrorPeerAccessUnsupported:
    case cudaErrorCallRequiresNewerDriver:
        return REEL_ERR_UNSUPPORTED;
    default:
        return REEL_ERR_FAULT;
    }
}

enum reel_err reel_cuda_check(int cuda_error, const char *what)
{
    cudaError_t e = (cudaError_t)cuda_error;
    if (e == cudaSuccess) return REEL_OK;
    cudaGetLastError(); // clears it, otherwise the next launch would report it
    if (is_sticky(e)) atomic_store(&device_lost, true);
    return reel_fail(class_of(e), "could not %s: %s (%s)", what, cudaGetErrorString(e), cudaGetErrorName(e));
}

void reel_cuda_look(void)
{
    cudaError_t last = cudaGetLastError();
    // A fault that a library met through the driver is not the runtime's last error, but
    // every later call on the context returns it. The query is harmless during a capture.
    cudaError_t now = cudaStreamQuery(NULL);
    cudaGetLastError();
    if (is_sticky(last) || is_sticky(now)) atomic_store(&device_lost, true);
}

bool reel_cuda_lost(void)
{
    return atomic_load(&device_lost);
}

#define CHECK(call, what) reel_cuda_check((int)(call), what)

// ---- devices ----------------------------------------------------------------

bool reel_cuda_built(void)
{
    return true;
}

void reel_cuda_versions(int *out_runtime, int *out_driver)
{
    *out_runtime = CUDART_VERSION;
    *out_driver = 0;
    if (cudaDriverGetVersion(out_driver)) *out_driver = 0;
    cudaGetLastError();
}

enum reel_err reel_cuda_count(int *out_n)
{
    *out_n = 0;
    cudaError_t e = cudaGetDeviceCount(out_n);
    if (!e && *out_n > 0) return REEL_OK;
    cudaGetLastError();
    *out_n = 0;
    int runtime, driver;
    reel_cuda_versions(&runtime, &driver);
    if (!driver) return reel_fail(REEL_ERR_UNSUPPORTED, "could not use a GPU: there is no NVIDIA driver");
    if (e == cudaErrorInsufficientDriver)
        return reel_fail(REEL_ERR_UNSUPPORTED,
                         "could not use a GPU: the driver is for CUDA %d.%d, this build needs %d.0\n"
                         "install a newer driver, or build with an older CUDA toolkit",
                         driver / 1000, driver % 1000 / 10, runtime / 1000);
    if (!e || e == cudaErrorNoDevice)
        return reel_fail(REEL_ERR_UNSUPPORTED, "could not use a GPU: the driver shows none to this process\ncheck "
                                               "CUDA_VISIBLE_DEVICES and the container's settings");
    CHECK(e, "use a GPU");
    return REEL_ERR_UNSUPPORTED;
}

static int numa_node_of(const char *pci)
{
    char path[96];
    snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/numa_node", pci);
    FILE *f = fopen(path, "re");
    int node = -1;
    if (f && fscanf(f, "%d", &node) != 1) node = -1;
    if (f) fclose(f);
    return node;
}

static void uuid_text(const struct cudaDeviceProp *prop, bool mig, char *out, size_t bytes)
{
    const unsigned char *u = (const unsigned char *)prop->uuid.bytes;
    snprintf(out, bytes, "%s-%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", mig ? "MIG" : "GPU",
             u[0], u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13], u[14], u[15]);
}

void *reel_cuda_driver_function(const char *name)
{
    void *f = NULL;
    enum cudaDriverEntryPointQueryResult found;
#if CUDART_VERSION >= 12050
    cudaError_t e = cudaGetDriverEntryPointByVersion(name, &f, 12000, cudaEnableDefault, &found);
#else
    cudaError_t e = cudaGetDriverEntryPoint(name, &f, cudaEnableDefault, &found);
#endif
    cudaGetLastError();
    return !e && found == cudaDriverEntryPointSuccess ? f : NULL;
}

static bool has_vmm(int device)
{
    CUresult (*get)(CUdevice *, int) = (CUresult(*)(CUdevice *, int))reel_cuda_driver_function("cuDeviceGet");
    CUresult (*attribute)(int *, CUdevice_attribute, CUdevice) =
        (CUresult(*)(int *, CUdevice_attribute, CUdevice))reel_cuda_driver_function("cuDeviceGetAttribute");
    CUdevice d;
    int yes = 0;
    if (!get || !attribute || get(&d, device)) return false;
    if (attribute(&yes, CU_DEVICE_ATTRIBUTE_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR_SUPPORTED, d)) return false;
    return yes;
}

enum reel_err reel_cuda_device(int device, struct reel_cuda_device *out)
{
    memset(out, 0, sizeof *out);
    struct cudaDeviceProp prop;
    enum reel_err err = CHECK(cudaGetDeviceProperties(&prop, device), "read the properties of a GPU");
    if (err) return err;
    if ((err = CHECK(cudaDeviceGetPCIBusId(out->pci, sizeof out->pci, device), "read the address of a GPU")))
        return err;
    for (char *p = out->pci; *p; p++) *p = (char)tolower((unsigned char)*p);
    snprintf(out->name, sizeof out->name, "%.90s", prop.name);
    out->mig = strstr(prop.name, "MIG ") != NULL; // the driver's names of slices: "NVIDIA H100 80GB HBM3 MIG 1g.10gb"
    uuid_text(&prop, out->mig, out->uuid, sizeof out->uuid);
    out->cc_major = prop.major;
    out->cc_minor = prop.minor;
    out->sm_count = prop.multiProcessorCount;
    out->total_bytes = prop.totalGlobalMem;
    out->integrated = prop.integrated;
    out->numa_node = numa_node_of(out->pci);
    out->vmm = has_vmm(device);
    return REEL_OK;
}

enum reel_err reel_cuda_peer(int device, int peer, bool *out_can)
{
    int can = 0;
    enum reel_err err = CHECK(cudaDeviceCanAccessPeer(&can, device, peer), "ask for peer access");
    *out_can = !err && can;
    return err;
}

enum reel_err reel_cuda_open(int device)
{
    enum reel_err err = CHECK(cudaSetDevice(device), "open a GPU");
    return err ? err : CHECK(cudaFree(NULL), "open a GPU"); // makes the context now
}

enum reel_err reel_cuda_mem_info(size_t *out_free_bytes, size_t *out_total_bytes)
{
    *out_free_bytes = *out_total_bytes = 0;
    return CHECK(cudaMemGetInfo(out_free_bytes, out_total_bytes), "ask for free GPU memory");
}

enum reel_err reel_cuda_context(void **out_context)
{
    *out_context = NULL;
    CUresult (*get)(CUcontext *) = (CUresult(*)(CUcontext *))reel_cuda_driver_function("cuCtxGetCurrent");
    CUcontext context = NULL;
    if (!get || get(&context) || !context)
        return reel_fail(REEL_ERR_FAULT, "could not find the context of a GPU: none is open in this thread");
    *out_context = context;
    return REEL_OK;
}

// ---- memory -----------------------------------------------------------------

enum reel_err reel_cuda_malloc(size_t bytes, void **out)
{
    *out = NULL;
    cudaError_t e = cudaMalloc(out, bytes ? bytes : 1);
    if (e != cudaErrorMemoryAllocation) return CHECK(e, "allocate GPU memory");
    cudaGetLastError();
    size_t free_bytes = 0, total_bytes = 0;
    cudaMemGetInfo(&free_bytes, &total_bytes);
    cudaGetLastError();
    return reel_fail(REEL_ERR_NOMEM, "could not allocate %.1f MB of GPU memory: %.1f of %.1f MB are free",
                     (double)bytes / 1e6, (double)free_bytes / 1e6, (double)total_bytes / 1e6);
}

void reel_cuda_free(void *p)
{
    if (p) CHECK(cudaFree(p), "free GPU memory");
}

enum reel_err reel_cuda_host_alloc(size_t bytes, void **out)
{
    *out = NULL;
    return CHECK(cudaHostAlloc(out, bytes ? bytes : 1, cudaHostAllocPortable), "allocate pinned memory");
}

void reel_cuda_host_free(void *p)
{
    if (p) CHECK(cudaFreeHost(p), "free pinned memory");
}

enum reel_err reel_cuda_host_register(void *p, size_t bytes)
{
    return CHECK(cudaHostRegister(p, bytes, cudaHostRegisterPortable), "pin shared memory");
}

void reel_cuda_host_unregister(void *p)
{
    if (p) CHECK(cudaHostUnregister(p), "unpin shared memory");
}

enum reel_err reel_cuda_upload(void *dst, const void *src, size_t bytes, void *stream)
{
    return CHECK(cudaMemcpyAsync(dst, src, bytes, cudaMemcpyDefault, stream), "upload to a GPU");
}

enum reel_err reel_cuda_download(void *dst, const void *src, size_t bytes, void *stream)
{
    return CHECK(cudaMemcpyAsync(dst, src, bytes, cudaMemcpyDefault, stream), "download from a GPU");
}

enum reel_err reel_cuda_copy(void *dst, const void *src, size_t bytes, void *stream)
{
    return CHECK(cudaMemcpyAsync(dst, src, bytes, cudaMemcpyDeviceToDevice, stream), "copy on a GPU");
}

enum reel_err reel_cuda_copy_2d(void *dst, size_t dst_pitch, const void *src, size_t src_pitch, size_t row_bytes,
                                size_t rows, void *stream)
{
    return CHECK(cudaMemcpy2DAsync(dst, dst_pitch, src, src_pitch, row_bytes, rows, cudaMemcpyDefault, stream),
                 "copy a plane on a GPU");
}

enum reel_err reel_cuda_memset(void *dst, int byte, size_t bytes, void *stream)
{
    return CHECK(cudaMemsetAsync(dst, byte, bytes, stream), "set GPU memory");
}

// ---- streams, events, graphs --------------------------------------------------

enum reel_err reel_cuda_stream_create(void **out_stream)
{
    cudaStream_t stream = NULL;
    enum reel_err err = CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "make a stream");
    *out_stream = stream;
    return err;
}

void reel_cuda_stream_destroy(void **stream)
{
    if (*stream) CHECK(cudaStreamDestroy(*stream), "destroy a stream");
    *stream = NULL;
}

enum reel_err reel_cuda_stream_sync(void *stream)
{
    return CHECK(cudaStreamSynchronize(stream), "wait for a GPU");
}

enum reel_err reel_cuda_stream_wait(void *stream, void *event)
{
    return CHECK(cudaStreamWaitEvent(stream, event, 0), "order two streams");
}

enum reel_err reel_cuda_event_create(void **out_event)
{
    cudaEvent_t event = NULL;
    // Blocking: a waiting process sleeps instead of burning a core others need.
    enum reel_err err = CHECK(cudaEventCreateWithFlags(&event, cudaEventBlockingSync), "make an event");
    *out_event = event;
    return err;
}

void reel_cuda_event_destroy(void **event)
{
    if (*event) CHECK(cudaEventDestroy(*event), "destroy an event");
    *event = NULL;
}

enum reel_err reel_cuda_event_record(void *event, void *stream)
{
    return CHECK(cudaEventRecord(event, stream), "record an event");
}

enum reel_err reel_cuda_event_query(void *event)
{
    cudaError_t e = cudaEventQuery(event);
    if (e != cudaErrorNotReady) return CHECK(e, "ask for a GPU's progress");
    cudaGetLastError();
    return REEL_AGAIN;
}

enum reel_err reel_cuda_event_sync(void *event)
{
    return CHECK(cudaEventSynchronize(event), "wait for a GPU");
}

enum reel_err reel_cuda_event_elapsed_us(void *from, void *to, double *out_us)
{
    float ms = 0;
    enum reel_err err = CHECK(cudaEventElapsedTime(&ms, from, to), "time a GPU's work");
    *out_us = ms * 1e3;
    return err;
}

enum reel_err reel_cuda_capture_begin(void *stream)
{
    // Thread-local: other threads of the process may go on allocating.
    return CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "capture a graph");
}

enum reel_err reel_cuda_capture_end(void *stream, void **out_graph)
{
    *out_graph = NULL;
    cudaGraph_t graph = NULL;
    enum reel_err err = CHECK(cudaStreamEndCapture(stream, &graph), "capture a graph");
    if (err) return err;
    cudaGraphExec_t exec = NULL;
#if CUDART_VERSION >= 12000
    err = CHECK(cudaGraphInstantiate(&exec, graph, 0), "make a graph ready");
#else
    err = CHECK(cudaGraphInstantiateWithFlags(&exec, graph, 0), "make a graph ready");
#endif
    cudaGraphDestroy(graph);
    *out_graph = exec;
    return err;
}

enum reel_err reel_cuda_graph_launch(void *graph, void *stream)
{
    return CHECK(cudaGraphLaunch(graph, stream), "launch a graph");
}

void reel_cuda_graph_destroy(void **graph)
{
    if (*graph) CHECK(cudaGraphExecDestroy(*graph), "destroy a graph");
    *graph = NULL;
}

// SPDX-License-Identifier: MIT
//
// The CUDA runtime as the project sees it: devices, memory, copies, streams,
// events, captured graphs. cuda.c is the only C file that includes CUDA's
// headers (kernels' .cu files include their own); a build without CUDA links
// cuda_stub.c, where each call answers UNSUPPORTED with one clear line.
//
// Used by workers, decoders and aggregators. The coordinator calls none of it:
// it loads no GPU driver and asks a short-lived `worker --list_devices`.
//
// A program with this module starts on machines without a GPU or a driver; the
// first call then fails. A stream, an event and a graph are `void *` outside
// .cu files; a NULL stream is CUDA's default stream.
//
// Errors of all calls: NOMEM (device or pinned memory could not be had),
// UNSUPPORTED (no GPU, no driver, driver too old, not in this build or on this
// device), FAULT (everything else). After some faults (an illegal access, an
// uncorrectable memory error) the process can never use its device again:
// reel_cuda_lost() is then true, and the process must exit; a new one can
// continue.
#ifndef REEL_COMMON_CUDA_H
#define REEL_COMMON_CUDA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define REEL_CUDA_MAX_DEVICES 64

// ---- devices ----------------------------------------------------------------

struct reel_cuda_device {
    char name[96]; // "NVIDIA H200"
    char pci[16];  // "0000:65:00.0", lower case, as in /sys/bus/pci/devices
    char uuid[48]; // "GPU-8-4-4-4-12 hex digits", or "MIG-..."
    int cc_major, cc_minor;
    int sm_count;
    int numa_node; // -1: unknown or there is one only
    uint64_t total_bytes;
    bool mig;        // a slice of a GPU: no peer access, no legacy IPC
    bool integrated; // shares the host's memory
    bool vmm;        // memory can be exported as a file descriptor
};

// Whether this build has CUDA at all.
bool reel_cuda_built(void);
// Versions of the runtime it was built with and of the driver, 1000 * major +
// 10 * minor; 0: none.
void reel_cuda_versions(int *out_runtime, int *out_driver);
// Devices this process may use (CUDA_VISIBLE_DEVICES and MIG are honoured by
// the driver). OK has *out_n >= 1; everything else is UNSUPPORTED with a text.
enum reel_err reel_cuda_count(int *out_n);
enum reel_err reel_cuda_device(int device, struct reel_cuda_device *out_device);
// Whether kernels on `device` may read `peer`'s memory directly.
enum reel_err reel_cuda_peer(int device, int peer, bool *out_can);
// The device becomes current for the calling thread and its context is made.
enum reel_err reel_cuda_open(int device);
enum reel_err reel_cuda_mem_info(size_t *out_free_bytes, size_t *out_total_bytes);
// The CUcontext of the calling thread's device, for libraries that want it
// (FFmpeg); holds as long as the process.
enum reel_err reel_cuda_context(void **out_context);

// A function of the driver by its name, for CUDA's own modules of common/; NULL:
// this driver has none. Nothing links to a driver.
void *reel_cuda_driver_function(const char *name);

// ---- memory -----------------------------------------------------------------

// *out is aligned to 256 bytes at least. free takes NULL.
enum reel_err reel_cuda_malloc(size_t bytes, void **out);
void reel_cuda_free(void *p);
// Host memory that copies may read at full speed.
enum reel_err reel_cuda_host_alloc(size_t bytes, void **out);
void reel_cuda_host_free(void *p);
// Pins a mapping of this process (shared memory) for all devices.
enum reel_err reel_cuda_host_register(void *p, size_t bytes);
void reel_cuda_host_unregister(void *p);

// Asynchronous on `stream`: the memory must stay until the stream is synced. The
// host's side may as well be device memory (a slot of a device ring).
enum reel_err reel_cuda_upload(void *dst_device, const void *src_host, size_t bytes, void *stream);
enum reel_err reel_cuda_download(void *dst_host, const void *src_device, size_t bytes, void *stream);
enum reel_err reel_cuda_copy(void *dst_device, const void *src_device, size_t bytes, void *stream);
// rows of row_bytes; either side may be host or device memory.
enum reel_err reel_cuda_copy_2d(void *dst, size_t dst_pitch, const void *src, size_t src_pitch, size_t row_bytes,
                                size_t rows, void *stream);
enum reel_err reel_cuda_memset(void *dst_device, int byte, size_t bytes, void *stream);

// ---- streams, events, graphs --------------------------------------------------

enum reel_err reel_cuda_stream_create(void **out_stream);
void reel_cuda_stream_destroy(void **stream);
// Waits until all work on the stream is complete.
enum reel_err reel_cuda_stream_sync(void *stream);
// Later work on `stream` waits for the event.
enum reel_err reel_cuda_stream_wait(void *stream, void *event);

enum reel_err reel_cuda_event_create(void **out_event);
void reel_cuda_event_destroy(void **event);
enum reel_err reel_cuda_event_record(void *event, void *stream);
// OK: it has happened; AGAIN: not yet.
enum reel_err reel_cuda_event_query(void *event);
// Sleeps until the event has happened.
enum reel_err reel_cuda_event_sync(void *event);
// Time between two events that have happened.
enum reel_err reel_cuda_event_elapsed_us(void *from, void *to, double *out_us);

// What is enqueued on `stream` from begin to end becomes a graph instead of
// being run.
enum reel_err reel_cuda_capture_begin(void *stream);
enum reel_err reel_cuda_capture_end(void *stream, void **out_graph);
enum reel_err reel_cuda_graph_launch(void *graph, void *stream);
void reel_cuda_graph_destroy(void **graph);

// ---- errors -----------------------------------------------------------------

// Turns the result of a kernel launcher or runtime call into an error with a
// text: "could not <what>: <CUDA's text>". 0 is OK. Clears CUDA's last error.
enum reel_err reel_cuda_check(int cuda_error, const char *what);
// After a failure of another library (cuDNN, FFmpeg): takes note of a fault that
// it met, and clears CUDA's last error, which the next launch would report.
void reel_cuda_look(void);
// True once a call met a fault after which this process cannot use its device.
bool reel_cuda_lost(void);

#endif

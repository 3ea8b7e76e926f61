// SPDX-License-Identifier: MIT
//
// Memory of one device that several processes use: allocated by its owner, sent
// as a handle (with a file descriptor where the kind has one), opened by others.
// Three kinds behind one interface, with the same rules:
//
//   REEL_MEM_VMM   CUDA virtual memory, shared as a file descriptor. Lives until
//                  the last mapping and descriptor are gone: whoever holds a
//                  duplicate keeps it alive, without any driver.
//   REEL_MEM_IPC   cudaMalloc and a legacy IPC handle. Dies with its owner.
//   REEL_MEM_HOST  host memory that stands for a device's (no GPU: tests, and
//                  the told tables of device.h). Counts who has it open.
//
// Rules (CUDA's own for its kinds; the host kind checks them): the owner's
// process does not open its own memory; a process opens a memory once; the owner
// frees it after all others have closed it; a freed memory cannot be opened.
//
// A slot of such memory is published only when the device has completed its
// writes (the writer waits for its stream), never by a flag on the device.
// Not thread-safe: one thread of a process calls it.
#ifndef REEL_COMMON_MEM_H
#define REEL_COMMON_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

enum reel_mem_kind {
    REEL_MEM_NONE,
    REEL_MEM_HOST,
    REEL_MEM_IPC,
    REEL_MEM_VMM,
    REEL_MEM_KINDS,
};

#define REEL_MEM_MAGIC 0x4d454d52u

// What travels between processes; plain data. The descriptor goes beside it.
struct reel_mem_handle {
    uint32_t magic;
    uint32_t kind;   // enum reel_mem_kind
    int32_t device;  // that it lies on, as all processes of a run number them
    int32_t owner;   // pid
    uint64_t serial; // of the owner's allocations, from 1
    uint64_t bytes;  // usable
    uint64_t mapped_bytes;
    uint8_t ipc[64]; // REEL_MEM_IPC: cudaIpcMemHandle_t
};

// One process's side of a memory.
struct reel_mem;

// The best kind for a device: VMM where it can be, else IPC.
enum reel_mem_kind reel_mem_choose(bool vmm, bool host);
const char *reel_mem_kind_name(enum reel_mem_kind kind);
// "host", "ipc", "vmm" -> kind; NONE for anything else.
enum reel_mem_kind reel_mem_kind_parse(const char *name);

// Owner: allocates `bytes` on `device` (which must be open in this thread for
// the CUDA kinds). Errors: NOMEM, UNSUPPORTED, FAULT.
enum reel_err reel_mem_alloc(enum reel_mem_kind kind, int device, uint64_t bytes, struct reel_mem **out_mem);
// Owner: the handle, and a descriptor that the caller closes (-1: the kind has
// none). May be called again.
enum reel_err reel_mem_export(struct reel_mem *mem, struct reel_mem_handle *out_handle, int *out_fd);
// Another process: maps it for `device`, which may be a peer of the memory's.
// fd is borrowed. Errors: PROTO (own memory, opened already, no handle), GONE
// (its owner has freed it), UNSUPPORTED (no peer access), NOMEM, FAULT.
enum reel_err reel_mem_open(const struct reel_mem_handle *handle, int fd, int device, struct reel_mem **out_mem);
// Unmaps (importer) or frees (owner). PROTO when an owner frees what others
// still have open, as far as the kind can tell; it is freed all the same.
enum reel_err reel_mem_close(struct reel_mem **mem);

// Device pointer (of the host kind: an address of this process). Holds until
// the close.
void *reel_mem_base(const struct reel_mem *mem);
uint64_t reel_mem_bytes(const struct reel_mem *mem);
// Whether the processor may read and write it by its address.
bool reel_mem_on_host(const struct reel_mem *mem);

// ---- for the kinds' own files -------------------------------------------------

struct reel_mem {
    struct reel_mem_handle handle;
    bool owned;
    void *base;
    void *mapping; // host: of the whole object; vmm: = base
    int fd;        // host, owner: the object
    uint64_t vmm;  // CUmemGenericAllocationHandle
};

// What a kind must be able to do; the rules that need no device are checked by
// mem.c before.
struct reel_mem_ops {
    enum reel_err (*alloc)(struct reel_mem *mem);
    enum reel_err (*export)(struct reel_mem *mem, int *out_fd);
    enum reel_err (*open)(struct reel_mem *mem, int fd, int device);
    enum reel_err (*close)(struct reel_mem *mem);
};
extern const struct reel_mem_ops reel_mem_host, reel_mem_ipc, reel_mem_vmm;

#endif

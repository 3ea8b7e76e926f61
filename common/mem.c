// SPDX-License-Identifier: MIT
//
// The rules that all kinds of device memory share. See mem.h.
#include "common/mem.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct reel_mem_ops *const kinds[REEL_MEM_KINDS] = {
    [REEL_MEM_HOST] = &reel_mem_host, [REEL_MEM_IPC] = &reel_mem_ipc, [REEL_MEM_VMM] = &reel_mem_vmm};

// Memory that this process has open, so that none is opened twice.
struct opened {
    int32_t owner;
    uint64_t serial;
};
static struct opened *opened;
static size_t n_opened, room_opened;
static uint64_t last_serial;

static size_t find_opened(int32_t owner, uint64_t serial)
{
    size_t i = 0;
    while (i < n_opened && (opened[i].owner != owner || opened[i].serial != serial)) i++;
    return i;
}

enum reel_err reel_mem_alloc(enum reel_mem_kind kind, int device, uint64_t bytes, struct reel_mem **out_mem)
{
    *out_mem = NULL;
    if (kind <= REEL_MEM_NONE || kind >= REEL_MEM_KINDS || !bytes)
        return reel_fail(REEL_ERR_UNSUPPORTED, "could not allocate device memory: this device can share none");
    struct reel_mem *m = calloc(1, sizeof *m);
    if (!m) return reel_fail(REEL_ERR_NOMEM, "could not allocate device memory: out of memory");
    m->handle = (struct reel_mem_handle){.magic = REEL_MEM_MAGIC,
                                         .kind = kind,
                                         .device = device,
                                         .owner = (int32_t)getpid(),
                                         .serial = ++last_serial,
                                         .bytes = bytes,
                                         .mapped_bytes = bytes};
    m->owned = true;
    m->fd = -1;
    enum reel_err err = kinds[kind]->alloc(m);
    if (err)
        free(m);
    else
        *out_mem = m;
    return err;
}

enum reel_err reel_mem_export(struct reel_mem *m, struct reel_mem_handle *out_handle, int *out_fd)
{
    *out_fd = -1;
    if (!m->owned) return reel_fail(REEL_ERR_PROTO, "could not share device memory: another process owns it");
    enum reel_err err = kinds[m->handle.kind]->export(m, out_fd);
    *out_handle = m->handle;
    return err;
}

static enum reel_err remember(const struct reel_mem_handle *h)
{
    if (n_opened == room_opened) {
        size_t room = room_opened ? 2 * room_opened : 64;
        struct opened *grown = realloc(opened, room * sizeof *grown);
        if (!grown) return reel_fail(REEL_ERR_NOMEM, "could not open device memory: out of memory");
        opened = grown;
        room_opened = room;
    }
    opened[n_opened++] = (struct opened){h->owner, h->serial};
    return REEL_OK;
}

static void forget(const struct reel_mem_handle *h)
{
    size_t i = find_opened(h->owner, h->serial);
    if (i < n_opened) opened[i] = opened[--n_opened];
}

enum reel_err reel_mem_open(const struct reel_mem_handle *h, int fd, int device, struct reel_mem **out_mem)
{
    *out_mem = NULL;
    if (h->magic != REEL_MEM_MAGIC || h->kind <= REEL_MEM_NONE || h->kind >= REEL_MEM_KINDS || !h->bytes ||
        h->mapped_bytes < h->bytes)
        return reel_fail(REEL_ERR_PROTO, "could not open device memory: this is no handle");
    if (h->owner == (int32_t)getpid())
        return reel_fail(REEL_ERR_PROTO, "could not open device memory %llu: it is this process's own",
                         (unsigned long long)h->serial);
    if (find_opened(h->owner, h->serial) < n_opened)
        return reel_fail(REEL_ERR_PROTO, "could not open device memory %llu of process %d: it is open already",
                         (unsigned long long)h->serial, h->owner);
    struct reel_mem *m = calloc(1, sizeof *m);
    if (!m) return reel_fail(REEL_ERR_NOMEM, "could not open device memory: out of memory");
    m->handle = *h;
    m->fd = -1;
    enum reel_err err = remember(h);
    if (!err && (err = kinds[h->kind]->open(m, fd, device))) forget(h);
    if (err)
        free(m);
    else
        *out_mem = m;
    return err;
}

enum reel_err reel_mem_close(struct reel_mem **mem)
{
    struct reel_mem *m = *mem;
    if (!m) return REEL_OK;
    enum reel_err err = kinds[m->handle.kind]->close(m);
    if (!m->owned) forget(&m->handle);
    free(m);
    *mem = NULL;
    return err;
}

void *reel_mem_base(const struct reel_mem *mem)
{
    return mem->base;
}

uint64_t reel_mem_bytes(const struct reel_mem *mem)
{
    return mem->handle.bytes;
}

bool reel_mem_on_host(const struct reel_mem *mem)
{
    return mem->handle.kind == REEL_MEM_HOST;
}

// SPDX-License-Identifier: MIT
//
// A stand-in for device memory in host memory: a memfd whose first page records which
// processes have it open. See mem.h. It follows the rules of the CUDA kinds and, unlike
// them, notices violations.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/mem.h"

#define PAGE 4096u
#define MAX_OPENERS 500
#define PAGE_MAGIC 0x484d454du

// The first page. The owner writes magic and freed, each opener its own entry.
struct page {
    uint32_t magic;
    _Atomic uint32_t freed;
    _Atomic int32_t opener[MAX_OPENERS]; // pids; 0: free entry
};
_Static_assert(sizeof(struct page) <= PAGE, "the count of openers fits its page");

static enum reel_err map(struct reel_mem *m, int fd)
{
    m->handle.mapped_bytes = m->handle.bytes + PAGE;
    m->mapping = mmap(NULL, m->handle.mapped_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (m->mapping == MAP_FAILED)
        return reel_fail(REEL_ERR_NOMEM, "could not map device memory of %llu bytes: %s",
                         (unsigned long long)m->handle.bytes, strerror(errno));
    m->base = (uint8_t *)m->mapping + PAGE;
    return REEL_OK;
}

// Bytes that this process has allocated. REELMILL_HOST_DEVICE_BYTES limits them (0 or unset:
// no limit), so that tests can run out of device memory.
static uint64_t used_bytes;

static bool is_full(uint64_t bytes)
{
    const char *text = getenv("REELMILL_HOST_DEVICE_BYTES");
    uint64_t limit = text ? strtoull(text, NULL, 10) : 0;
    return limit && bytes > limit - (used_bytes < limit ? used_bytes : limit);
}

static enum reel_err host_alloc(struct reel_mem *m)
{
    if (is_full(m->handle.bytes))
        return reel_fail(REEL_ERR_NOMEM, "could not allocate device memory of %llu bytes: the device is full",
                         (unsigned long long)m->handle.bytes);
    m->fd = memfd_create("reelmill-device", MFD_CLOEXEC);
    int rc = m->fd < 0 ? errno : posix_fallocate(m->fd, 0, (off_t)(m->handle.bytes + PAGE));
    enum reel_err err = rc ? reel_fail(REEL_ERR_NOMEM, "could not allocate device memory of %llu bytes: %s",
                                       (unsigned long long)m->handle.bytes, strerror(rc))
                           : map(m, m->fd);
    if (err) {
        if (m->fd >= 0) close(m->fd);
        return err;
    }
    ((struct page *)m->mapping)->magic = PAGE_MAGIC;
    used_bytes += m->handle.bytes;
    return REEL_OK;
}

static enum reel_err host_export(struct reel_mem *m, int *out_fd)
{
    *out_fd = fcntl(m->fd, F_DUPFD_CLOEXEC, 3);
    return *out_fd >= 0 ? REEL_OK : reel_fail(REEL_ERR_IO, "could not share device memory: %s", strerror(errno));
}

static enum reel_err sign_in(struct page *page)
{
    if (page->magic != PAGE_MAGIC) return reel_fail(REEL_ERR_PROTO, "could not open device memory: it is none");
    if (atomic_load(&page->freed)) return reel_fail(REEL_GONE, "could not open device memory: its owner has freed it");
    for (int i = 0; i < MAX_OPENERS; i++) {
        int32_t none = 0;
        if (atomic_compare_exchange_strong(&page->opener[i], &none, (int32_t)getpid())) return REEL_OK;
    }
    return reel_fail(REEL_ERR_LIMIT, "could not open device memory: %d processes have it open", MAX_OPENERS);
}

static enum reel_err host_open(struct reel_mem *m, int fd, int device)
{
    off_t size = fd >= 0 ? lseek(fd, 0, SEEK_END) : -1;
    if (size < 0 || (uint64_t)size < m->handle.bytes + PAGE)
        return reel_fail(REEL_ERR_PROTO, "could not open device memory: its descriptor is missing or too small");
    enum reel_err err = map(m, fd);
    if (!err && (err = sign_in(m->mapping))) munmap(m->mapping, m->handle.mapped_bytes);
    return err;
}

// The number of openers that are alive. A dead one's entry stays but does not count.
static int living_openers(struct page *page)
{
    int n = 0;
    for (int i = 0; i < MAX_OPENERS; i++) {
        int32_t pid = atomic_load(&page->opener[i]);
        n += pid && !kill(pid, 0);
    }
    return n;
}

static enum reel_err host_close(struct reel_mem *m)
{
    struct page *page = m->mapping;
    enum reel_err err = REEL_OK;
    if (m->owned) {
        atomic_store(&page->freed, 1);
        int n = living_openers(page);
        if (n)
            err = reel_fail(REEL_ERR_PROTO, "could not free device memory %llu in order: %d process%s still open",
                            (unsigned long long)m->handle.serial, n, n == 1 ? " has it" : "es have it");
        close(m->fd);
        used_bytes -= m->handle.bytes;
    } else {
        for (int i = 0; i < MAX_OPENERS; i++) {
            int32_t self = (int32_t)getpid();
            if (atomic_compare_exchange_strong(&page->opener[i], &self, 0)) break;
        }
    }
    munmap(m->mapping, m->handle.mapped_bytes);
    return err;
}

const struct reel_mem_ops reel_mem_host = {
    .alloc = host_alloc, .export = host_export, .open = host_open, .close = host_close};

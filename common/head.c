// SPDX-License-Identifier: MIT
//
// What was read from a pipe before its first frame. See head.h.
#include "common/head.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/shm.h"

#define DATA_AT 4096 // the first page holds the shared header and is the only one mapped
#define STEP_BYTES ((size_t)64 << 10)

struct shared {
    _Atomic uint32_t over;
};

_Static_assert(sizeof(struct shared) <= DATA_AT, "the data would lie over it");

struct reel_head {
    int fd; // borrowed
    struct shared *shared;
};

enum reel_err reel_head_create(int *out_fd)
{
    const int fd = memfd_create("reelmill-head", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, DATA_AT)) {
        enum reel_err err = reel_fail(REEL_ERR_IO, "could not create shared memory: %s", strerror(errno));
        if (fd >= 0) close(fd);
        return err;
    }
    *out_fd = fd;
    return REEL_OK;
}

enum reel_err reel_head_open(int fd, struct reel_head **out_head)
{
    struct reel_head *h = calloc(1, sizeof *h);
    void *page = h ? mmap(NULL, DATA_AT, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;
    *out_head = NULL;
    if (page == MAP_FAILED) {
        enum reel_err err =
            reel_fail(h ? REEL_ERR_IO : REEL_ERR_NOMEM, "could not map what was read from a pipe: %s", strerror(errno));
        free(h);
        return err;
    }
    h->fd = fd;
    h->shared = page;
    *out_head = h;
    return REEL_OK;
}

void reel_head_close(struct reel_head **head)
{
    if (*head) munmap((*head)->shared, DATA_AT);
    free(*head);
    *head = NULL;
}

void reel_head_end(struct reel_head *head)
{
    atomic_store_explicit(&head->shared->over, 1, memory_order_relaxed);
}

bool reel_head_is_over(const struct reel_head *head)
{
    return atomic_load_explicit(&head->shared->over, memory_order_relaxed);
}

// The end of the data is the file's size, which the kernel keeps: a process may die at any time.
static off_t end_of(const struct reel_head *head)
{
    struct stat st;
    return fstat(head->fd, &st) || st.st_size < DATA_AT ? DATA_AT : st.st_size;
}

size_t reel_head_get(const struct reel_head *head, uint64_t at, void *buf, size_t most)
{
    const ssize_t n = pread(head->fd, buf, most, (off_t)(DATA_AT + at));
    return n > 0 ? (size_t)n : 0;
}

// For inputs that are no pipe: through a buffer. A death between the two calls loses data.
static ssize_t copy(int from, int to, off_t at)
{
    uint8_t buf[4096];
    const ssize_t n = read(from, buf, sizeof buf);
    return n > 0 ? pwrite(to, buf, (size_t)n, at) : n;
}

ssize_t reel_head_take(struct reel_head *head, int from)
{
    off_t at = end_of(head);
    const off_t room = DATA_AT + (off_t)REEL_HEAD_MOST - at;
    if (room <= 0) reel_head_end(head);
    if (reel_head_is_over(head)) {
        errno = ENOSPC;
        return -1;
    }
    const size_t most = room < (off_t)STEP_BYTES ? (size_t)room : STEP_BYTES;
    const off_t end = at;
    const ssize_t n = splice(from, NULL, head->fd, &at, most, SPLICE_F_NONBLOCK);
    return n < 0 && errno == EINVAL ? copy(from, head->fd, end) : n;
}

void reel_head_drop(struct reel_head *head)
{
    reel_head_end(head);
    fallocate(head->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, DATA_AT,
              (off_t)REEL_HEAD_MOST); // else it stays until the run's end
}

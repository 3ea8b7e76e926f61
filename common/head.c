// SPDX-License-Identifier: MIT
//
// What was read from a pipe before its first frame. See head.h.
#include "common/head.h"

#include <string.h>
#include <sys/mman.h>

#include "common/shm.h"

#define DATA_AT 4096 // a page of its own: data is given back alone
#define OBJECT_BYTES (DATA_AT + REEL_HEAD_MOST)

struct reel_head {
    _Atomic uint64_t bytes;
    _Atomic uint32_t over;
};

_Static_assert(sizeof(struct reel_head) <= DATA_AT, "the data would lie over it");

enum reel_err reel_head_create(int *out_fd)
{
    return reel_shm_create(REEL_SHM_MEMFD, OBJECT_BYTES, out_fd);
}

enum reel_err reel_head_map(int fd, struct reel_head **out_head)
{
    void *base;
    enum reel_err err = reel_shm_map(fd, OBJECT_BYTES, &base);
    *out_head = err ? NULL : base;
    return err;
}

void reel_head_unmap(struct reel_head **head)
{
    if (*head) reel_shm_unmap(*head, OBJECT_BYTES);
    *head = NULL;
}

void reel_head_end(struct reel_head *head)
{
    atomic_store_explicit(&head->over, 1, memory_order_relaxed);
}

bool reel_head_is_over(const struct reel_head *head)
{
    return atomic_load_explicit(&head->over, memory_order_relaxed);
}

static uint8_t *data(const struct reel_head *head)
{
    return (uint8_t *)head + DATA_AT;
}

size_t reel_head_get(const struct reel_head *head, uint64_t at, void *buf, size_t most)
{
    // Pairs with the release in reel_head_add(), of a process that may be dead by now.
    const uint64_t there = atomic_load_explicit(&head->bytes, memory_order_acquire);
    if (at >= there) return 0;
    const size_t n = there - at < most ? (size_t)(there - at) : most;
    memcpy(buf, data(head) + at, n);
    return n;
}

void *reel_head_room(struct reel_head *head, size_t *out_room)
{
    const uint64_t there = atomic_load_explicit(&head->bytes, memory_order_relaxed);
    *out_room = (size_t)(REEL_HEAD_MOST - there);
    if (!*out_room) reel_head_end(head);
    return reel_head_is_over(head) ? NULL : data(head) + there;
}

void reel_head_add(struct reel_head *head, size_t bytes)
{
    // Pairs with the acquire in reel_head_get().
    atomic_fetch_add_explicit(&head->bytes, bytes, memory_order_release);
}

void reel_head_drop(struct reel_head *head)
{
    madvise(data(head), REEL_HEAD_MOST, MADV_REMOVE); // else it stays until the run's end
}

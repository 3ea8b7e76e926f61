// SPDX-License-Identifier: MIT
//
// Rings of messages in shared memory. See box.h.
#include "common/box.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/shm.h"

#define HEAD_BYTES 8             // the message's length, and padding; messages begin at multiples of it
#define SKIP UINT64_MAX          // instead of a length: the rest of the ring is empty
#define LINE_ALIGN _Alignas(128) // two cache lines: processors fetch them in pairs

struct ring {
    LINE_ALIGN _Atomic uint64_t head;
    LINE_ALIGN _Atomic uint64_t tail;
    LINE_ALIGN _Atomic uint32_t asleep;
    LINE_ALIGN uint8_t data[REEL_BOX_BYTES];
};

struct shared {
    struct ring to_child, to_hub;
};

struct reel_box {
    struct shared *shared;
    struct ring *in, *out;
    struct reel_box_fds fds;
    int other_bell;
    bool hub;
    // Private copies, because the peer could overwrite the ones in shared memory.
    uint64_t head; // bytes written to out
    uint64_t tail; // bytes read from in
    size_t taken;  // size of the message that was peeked at
};

enum reel_err reel_bell_create(int *out_fd)
{
    *out_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return *out_fd < 0 ? reel_fail(REEL_ERR_IO, "could not create an event descriptor: %s", strerror(errno)) : REEL_OK;
}

void reel_bell_silence(int fd)
{
    uint64_t rung;
    if (read(fd, &rung, sizeof rung) < 0) return; // it had not rung
}

static enum reel_err map(struct reel_box_fds fds, bool hub, struct reel_box **out_box)
{
    struct reel_box *b = calloc(1, sizeof *b);
    if (!b) return reel_fail(REEL_ERR_NOMEM, "could not open a message ring: out of memory");
    void *base = NULL;
    enum reel_err err = reel_shm_map(fds.memory, sizeof(struct shared), &base);
    if (err) {
        free(b);
        return err;
    }
    *b = (struct reel_box){.shared = base, .fds = fds, .hub = hub};
    b->in = hub ? &b->shared->to_hub : &b->shared->to_child;
    b->out = hub ? &b->shared->to_child : &b->shared->to_hub;
    b->other_bell = hub ? fds.child_bell : fds.hub_bell;
    *out_box = b;
    return REEL_OK;
}

enum reel_err reel_box_create(int hub_bell, struct reel_box **out_box)
{
    struct reel_box_fds fds = {.memory = -1, .child_bell = -1, .hub_bell = hub_bell};
    enum reel_err err = reel_shm_create(REEL_SHM_MEMFD, sizeof(struct shared), &fds.memory);
    // Reserved now, because running out of memory later would be a SIGBUS.
    if (!err) err = reel_shm_reserve(fds.memory, sizeof(struct shared));
    if (!err) err = reel_bell_create(&fds.child_bell);
    if (!err) err = map(fds, true, out_box);
    if (!err) return REEL_OK;
    if (fds.memory >= 0) close(fds.memory);
    if (fds.child_bell >= 0) close(fds.child_bell);
    return err;
}

enum reel_err reel_box_attach(const struct reel_box_fds *fds, struct reel_box **out_box)
{
    return map(*fds, false, out_box);
}

void reel_box_close(struct reel_box **box)
{
    struct reel_box *b = *box;
    if (!b) return;
    reel_shm_unmap(b->shared, sizeof *b->shared);
    if (b->hub) {
        close(b->fds.memory);
        close(b->fds.child_bell);
    }
    free(b);
    *box = NULL;
}

struct reel_box_fds reel_box_fds(const struct reel_box *box)
{
    return box->fds;
}

static void ring_bell(struct reel_box *b)
{
    if (!atomic_load(&b->out->asleep) || !atomic_exchange(&b->out->asleep, 0)) return;
    uint64_t one = 1;
    ssize_t n;
    do {
        n = write(b->other_bell, &one, sizeof one);
    } while (n < 0 && errno == EINTR);
}

bool reel_box_put(struct reel_box *b, const void *data, size_t bytes)
{
    struct ring *r = b->out;
    if (bytes > REEL_BOX_BYTES) return false;
    size_t need = HEAD_BYTES + (bytes + HEAD_BYTES - 1) / HEAD_BYTES * HEAD_BYTES;
    uint64_t used = b->head - atomic_load_explicit(&r->tail, memory_order_acquire);
    size_t at = b->head % REEL_BOX_BYTES, to_end = REEL_BOX_BYTES - at;
    size_t skip = need > to_end ? to_end : 0;
    if (used > REEL_BOX_BYTES || skip + need > REEL_BOX_BYTES - used) return false;
    if (skip) {
        uint64_t mark = SKIP;
        memcpy(r->data + at, &mark, sizeof mark);
        at = 0;
    }
    uint64_t length = bytes;
    memcpy(r->data + at, &length, sizeof length);
    memcpy(r->data + at + HEAD_BYTES, data, bytes);
    b->head += skip + need;
    atomic_store(&r->head, b->head);
    ring_bell(b);
    return true;
}

enum reel_err reel_box_peek(struct reel_box *b, const void **out_data, size_t *out_bytes)
{
    struct ring *r = b->in;
    uint64_t waits = atomic_load(&r->head) - b->tail;
    if (!waits) return REEL_AGAIN;
    uint64_t length = SKIP;
    size_t at = b->tail % REEL_BOX_BYTES, skip = 0;
    if (waits <= REEL_BOX_BYTES) memcpy(&length, r->data + at, sizeof length);
    if (length == SKIP && waits <= REEL_BOX_BYTES && waits > REEL_BOX_BYTES - at) {
        skip = REEL_BOX_BYTES - at;
        at = 0;
        memcpy(&length, r->data, sizeof length);
    }
    size_t most = REEL_BOX_BYTES - at - HEAD_BYTES;
    if (length > most || skip + HEAD_BYTES + length > waits)
        return reel_fail(REEL_GONE, "peer broke its ring of messages");
    b->taken = skip + HEAD_BYTES + (length + HEAD_BYTES - 1) / HEAD_BYTES * HEAD_BYTES;
    *out_data = r->data + at + HEAD_BYTES;
    *out_bytes = length;
    return REEL_OK;
}

void reel_box_drop(struct reel_box *b)
{
    b->tail += b->taken;
    b->taken = 0;
    atomic_store_explicit(&b->in->tail, b->tail, memory_order_release);
}

void reel_box_set_asleep(struct reel_box *b, bool asleep)
{
    atomic_store(&b->in->asleep, asleep);
}

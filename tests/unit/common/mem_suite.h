// SPDX-License-Identifier: MIT
//
// The contract of common/mem.h, run over every kind: an owner and two other
// processes that do what they are told, so that each rule is seen from the
// process it binds. The processes are forked before any of them uses a device.
#ifndef REEL_TESTS_MEM_SUITE_H
#define REEL_TESTS_MEM_SUITE_H

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cuda.h"
#include "common/mem.h"
#include "common/wire.h"
#include "tests/check.h"

#define MEM_BYTES 100000u

enum mem_order { ORDER_ALLOC, ORDER_EXPORT, ORDER_OPEN, ORDER_FILL, ORDER_SUM, ORDER_CLOSE };

struct mem_request {
    enum mem_order order;
    enum reel_mem_kind kind;
    struct reel_mem_handle handle;
    int byte;
};
struct mem_answer {
    enum reel_err err;
    struct reel_mem_handle handle;
    uint64_t sum;
    char text[256];
};

// ---- messages with a descriptor -------------------------------------------------

static inline bool mem_send(int to, const void *data, size_t bytes, int fd)
{
    return !reel_wire_send(to, data, bytes, fd);
}

static inline bool mem_recv(int from, void *data, size_t bytes, int *out_fd)
{
    struct pollfd wait = {.fd = from, .events = POLLIN};
    poll(&wait, 1, -1);
    return !reel_wire_recv(from, data, bytes, out_fd);
}

// ---- a process under orders -----------------------------------------------------

static inline enum reel_err mem_fill(struct reel_mem *m, int byte)
{
    if (!reel_mem_on_host(m)) {
        enum reel_err err = reel_cuda_memset(reel_mem_base(m), byte, MEM_BYTES, NULL);
        return err ? err : reel_cuda_stream_sync(NULL);
    }
    memset(reel_mem_base(m), byte, MEM_BYTES);
    return REEL_OK;
}

static inline enum reel_err mem_sum(struct reel_mem *m, uint64_t *out_sum)
{
    static uint8_t copy[MEM_BYTES];
    enum reel_err err = REEL_OK;
    if (reel_mem_on_host(m)) {
        memcpy(copy, reel_mem_base(m), MEM_BYTES);
    } else {
        err = reel_cuda_download(copy, reel_mem_base(m), MEM_BYTES, NULL);
        if (!err) err = reel_cuda_stream_sync(NULL);
    }
    *out_sum = 0;
    for (size_t i = 0; i < MEM_BYTES; i++) *out_sum += copy[i];
    return err;
}

static inline void mem_obey(int fd)
{
    struct reel_mem *mem = NULL;
    struct mem_request r;
    int got;
    bool open = false;
    while (mem_recv(fd, &r, sizeof r, &got)) {
        struct mem_answer a = {0};
        int give = -1;
        if (!open && r.kind != REEL_MEM_HOST) a.err = reel_cuda_open(0);
        open = true;
        struct reel_mem *second = NULL;
        switch (a.err ? -1 : (int)r.order) {
        case ORDER_ALLOC:
            a.err = reel_mem_alloc(r.kind, 0, MEM_BYTES, &mem);
            break;
        case ORDER_EXPORT:
            a.err = reel_mem_export(mem, &a.handle, &give);
            break;
        case ORDER_OPEN:
            a.err = reel_mem_open(&r.handle, got, 0, mem ? &second : &mem);
            break;
        case ORDER_FILL:
            a.err = mem_fill(mem, r.byte);
            break;
        case ORDER_SUM:
            a.err = mem_sum(mem, &a.sum);
            break;
        case ORDER_CLOSE:
            a.err = reel_mem_close(&mem);
            break;
        default:
            break;
        }
        snprintf(a.text, sizeof a.text, "%.250s", a.err ? reel_fail_text() : "");
        if (got >= 0) close(got);
        bool sent = mem_send(fd, &a, sizeof a, give);
        if (give >= 0) close(give);
        if (!sent) break;
    }
    _exit(0);
}

// ---- the suite --------------------------------------------------------------------

struct mem_peer {
    pid_t pid;
    int fd;
};
static struct mem_peer mem_owner, mem_reader, mem_other;
static enum reel_mem_kind mem_kind;
static struct reel_mem_handle mem_handle;
static int mem_fd = -1;

static inline void mem_start(struct mem_peer *p)
{
    int ends[2] = {-1, -1};
    if (reel_wire_pair(ends)) abort();
    p->pid = fork();
    if (!p->pid) {
        // Or the others would not see the end of their orders.
        struct mem_peer *all[] = {&mem_owner, &mem_reader, &mem_other};
        for (int i = 0; i < 3; i++)
            if (all[i] != p && all[i]->pid > 0) close(all[i]->fd);
        close(ends[0]);
        mem_obey(ends[1]);
    }
    close(ends[1]);
    p->fd = ends[0];
}

static inline void mem_end(struct mem_peer *p, bool kill_it)
{
    if (p->pid <= 0) return;
    if (kill_it) kill(p->pid, SIGKILL);
    close(p->fd);
    waitpid(p->pid, NULL, 0);
    p->pid = 0;
}

static inline struct mem_answer mem_tell(struct mem_peer *p, enum mem_order order, int byte)
{
    struct mem_request r = {.order = order, .kind = mem_kind, .handle = mem_handle, .byte = byte};
    struct mem_answer a = {.err = REEL_ERR_IO};
    int got = -1;
    if (!mem_send(p->fd, &r, sizeof r, order == ORDER_OPEN ? mem_fd : -1) || !mem_recv(p->fd, &a, sizeof a, &got))
        snprintf(a.text, sizeof a.text, "the process is gone");
    if (order == ORDER_EXPORT && !a.err) {
        mem_handle = a.handle;
        if (mem_fd >= 0) close(mem_fd);
        mem_fd = got;
    }
    return a;
}

#define TELL(peer, order, want)                                                                                    \
    do {                                                                                                           \
        struct mem_answer a_ = mem_tell(peer, order, 0);                                                           \
        CHECK_MSG(a_.err == (want), "%s of %s by %s: %s, not %s: %s", #order, reel_mem_kind_name(mem_kind), #peer, \
                  reel_err_name(a_.err), reel_err_name(want), a_.text);                                            \
    } while (0)

static inline void mem_rules(void)
{
    TELL(&mem_owner, ORDER_ALLOC, REEL_OK);
    TELL(&mem_owner, ORDER_EXPORT, REEL_OK);
    CHECK_INT(mem_handle.bytes, MEM_BYTES);
    CHECK_INT(mem_fd >= 0, mem_kind != REEL_MEM_IPC);
    TELL(&mem_owner, ORDER_OPEN, REEL_ERR_PROTO); // its own
    TELL(&mem_reader, ORDER_OPEN, REEL_OK);
    TELL(&mem_reader, ORDER_OPEN, REEL_ERR_PROTO); // twice
    TELL(&mem_other, ORDER_OPEN, REEL_OK);
    TELL(&mem_reader, ORDER_EXPORT, REEL_ERR_PROTO); // not its to share

    CHECK_INT(mem_tell(&mem_owner, ORDER_FILL, 3).err, REEL_OK);
    CHECK_INT(mem_tell(&mem_reader, ORDER_SUM, 0).sum, 3u * MEM_BYTES);
    CHECK_INT(mem_tell(&mem_other, ORDER_FILL, 5).err, REEL_OK); // a worker writes into an aggregator's ring
    CHECK_INT(mem_tell(&mem_owner, ORDER_SUM, 0).sum, 5u * MEM_BYTES);

    TELL(&mem_reader, ORDER_CLOSE, REEL_OK);
    TELL(&mem_reader, ORDER_OPEN, REEL_OK); // closed and opened again
    CHECK_INT(mem_tell(&mem_reader, ORDER_SUM, 0).sum, 5u * MEM_BYTES);

    // A reader that is killed lets go; the owner frees in order all the same.
    mem_end(&mem_other, true);
    TELL(&mem_reader, ORDER_CLOSE, REEL_OK);
    TELL(&mem_owner, ORDER_CLOSE, REEL_OK);
}

// The host kind notices what CUDA leaves undefined.
static inline void mem_misuse(void)
{
    TELL(&mem_owner, ORDER_ALLOC, REEL_OK);
    TELL(&mem_owner, ORDER_EXPORT, REEL_OK);
    TELL(&mem_reader, ORDER_OPEN, REEL_OK);
    TELL(&mem_owner, ORDER_CLOSE, REEL_ERR_PROTO); // freed while open
    TELL(&mem_reader, ORDER_CLOSE, REEL_OK);
    TELL(&mem_reader, ORDER_OPEN, REEL_GONE); // use after free
}

// The owner dies: what others have open stays whole (vmm and host: as long as
// anyone holds it; legacy handles: in practice, which nothing promises, so the
// epoch ends).
static inline void mem_owner_dies(void)
{
    TELL(&mem_owner, ORDER_ALLOC, REEL_OK);
    TELL(&mem_owner, ORDER_EXPORT, REEL_OK);
    CHECK_INT(mem_tell(&mem_owner, ORDER_FILL, 7).err, REEL_OK);
    TELL(&mem_reader, ORDER_OPEN, REEL_OK);
    mem_end(&mem_owner, true);
    if (mem_kind != REEL_MEM_IPC) CHECK_INT(mem_tell(&mem_reader, ORDER_SUM, 0).sum, 7u * MEM_BYTES);
    // The coordinator's duplicate of the descriptor keeps it for those who come later.
    if (mem_kind == REEL_MEM_VMM || mem_kind == REEL_MEM_HOST) {
        TELL(&mem_other, ORDER_OPEN, REEL_OK);
        CHECK_INT(mem_tell(&mem_other, ORDER_SUM, 0).sum, 7u * MEM_BYTES);
        TELL(&mem_other, ORDER_CLOSE, REEL_OK);
    }
    TELL(&mem_reader, ORDER_CLOSE, REEL_OK);
}

static inline void mem_run(enum reel_mem_kind kind, void (*part)(void))
{
    mem_kind = kind;
    mem_start(&mem_owner);
    mem_start(&mem_reader);
    mem_start(&mem_other);
    part();
    mem_end(&mem_owner, false);
    mem_end(&mem_reader, false);
    mem_end(&mem_other, false);
    if (mem_fd >= 0) close(mem_fd);
    mem_fd = -1;
}

#endif

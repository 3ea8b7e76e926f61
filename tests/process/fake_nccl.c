// SPDX-License-Identifier: MIT
//
// The few functions of NCCL that worker/team/collective_nccl.c calls, between processes
// whose device memory is host memory, through named pipes in the folder
// $FAKE_NCCL. As the library's, a non-blocking communicator gets on when it is
// asked for its state. What was done stands in $FAKE_NCCL/log.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SUCCESS = 0, SYSTEM_ERROR = 2, IN_PROGRESS = 7 };
#define MOST_OPS 4

struct nccl_id {
    char bytes[128];
};

struct op {
    bool send;
    char *at;
    size_t left;
    int fd;
};

struct comm {
    char id[128];
    int rank, ranks, pipes[2][16]; // from this rank, to it
    bool met;
    struct op op[MOST_OPS];
    int n;
    long groups;
};

static struct comm *open_group; // there is one communicator

static const char *path_of(const char *id, const char *what, int a, int b, char buf[PATH_MAX])
{
    snprintf(buf, PATH_MAX, "%s/%s-%s-%d-%d", getenv("FAKE_NCCL"), id, what, a, b);
    return buf;
}

static void note(const struct comm *c, const char *what)
{
    char path[PATH_MAX], line[128];
    snprintf(path, sizeof path, "%s/log", getenv("FAKE_NCCL"));
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    int n = snprintf(line, sizeof line, "rank %d of %d: %s after %ld exchanges\n", c->rank, c->ranks, what, c->groups);
    if (fd >= 0 && write(fd, line, (size_t)n) < n) perror(path);
    close(fd);
}

int ncclGetVersion(int *out)
{
    *out = 22809;
    return SUCCESS;
}

int ncclGetUniqueId(struct nccl_id *out)
{
    memset(out, 0, sizeof *out);
    snprintf(out->bytes, sizeof out->bytes, "%d", (int)getpid());
    return getenv("FAKE_NCCL") ? SUCCESS : SYSTEM_ERROR;
}

int ncclCommInitRankConfig(void **out_comm, int ranks, struct nccl_id id, int rank, void *config)
{
    (void)config;
    char path[PATH_MAX];
    struct comm *c = calloc(1, sizeof *c);
    if (!c || ranks > 16) return SYSTEM_ERROR;
    memcpy(c->id, id.bytes, sizeof c->id);
    c->rank = rank, c->ranks = ranks;
    for (int k = 0; k < 2 * ranks; k++) {
        const bool to = k >= ranks;
        const int peer = k % ranks;
        path_of(c->id, "rows", to ? peer : rank, to ? rank : peer, path);
        if (mkfifo(path, 0600) && errno != EEXIST) return SYSTEM_ERROR;
        if ((c->pipes[to][peer] = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC)) < 0) return SYSTEM_ERROR;
    }
    close(open(path_of(c->id, "here", rank, 0, path), O_WRONLY | O_CREAT, 0600));
    *out_comm = open_group = c;
    return IN_PROGRESS;
}

static bool all_met(struct comm *c)
{
    char path[PATH_MAX];
    for (int r = 0; r < c->ranks && !c->met; r++)
        if (access(path_of(c->id, "here", r, 0, path), F_OK)) return false;
    if (!c->met) note(c, "joined");
    return c->met = true;
}

int ncclCommGetAsyncError(void *comm, int *out)
{
    struct comm *c = comm;
    bool under_way = !all_met(c);
    for (int i = 0; i < c->n; i++) {
        struct op *o = &c->op[i];
        const ssize_t n = !o->left ? 0 : o->send ? write(o->fd, o->at, o->left) : read(o->fd, o->at, o->left);
        if (n > 0) o->at += n, o->left -= (size_t)n;
        under_way |= o->left > 0;
    }
    if (!under_way) c->n = 0;
    *out = under_way ? IN_PROGRESS : SUCCESS;
    return SUCCESS;
}

int ncclCommAbort(void *comm)
{
    struct comm *c = comm;
    note(c, "aborted");
    for (int k = 0; k < 2 * c->ranks; k++) close(c->pipes[k / c->ranks][k % c->ranks]);
    free(c);
    return SUCCESS;
}

static int add(struct comm *c, bool send, void *at, size_t bytes, int peer)
{
    if (c->n == MOST_OPS || peer < 0 || peer >= c->ranks) return SYSTEM_ERROR;
    c->op[c->n++] = (struct op){send, at, bytes, c->pipes[!send][peer]};
    return SUCCESS;
}

int ncclSend(const void *from, size_t n, int type, int peer, void *comm, void *stream)
{
    (void)type, (void)stream;
    return add(comm, true, (void *)(uintptr_t)from, n, peer);
}

int ncclRecv(void *to, size_t n, int type, int peer, void *comm, void *stream)
{
    (void)type, (void)stream;
    return add(comm, false, to, n, peer);
}

int ncclGroupStart(void)
{
    open_group->groups++;
    return SUCCESS;
}

int ncclGroupEnd(void)
{
    return IN_PROGRESS;
}

const char *ncclGetErrorString(int error)
{
    return error == SYSTEM_ERROR ? "the fake cannot" : "some error";
}

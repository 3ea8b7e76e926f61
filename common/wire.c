// SPDX-License-Identifier: MIT
//
// Messages with descriptors over a socket pair. See wire.h.
#include "common/wire.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

// Room for one descriptor, aligned as the kernel wants it.
union control {
    char room[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
};

enum reel_err reel_wire_pair(int out_ends[2])
{
    if (!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, out_ends)) return REEL_OK;
    return reel_fail(REEL_ERR_IO, "could not make a socket pair: %s", strerror(errno));
}

static enum reel_err judge(ssize_t rc)
{
    if (errno == EAGAIN || errno == EWOULDBLOCK) return REEL_AGAIN;
    if (rc == 0 || errno == EPIPE || errno == ECONNRESET) return REEL_GONE;
    return reel_fail(REEL_ERR_IO, "could not pass a device ring on: %s", strerror(errno));
}

enum reel_err reel_wire_send(int wire, const void *data, size_t bytes, int fd)
{
    union control control = {{0}};
    struct iovec part = {(void *)(uintptr_t)data, bytes};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
    if (fd >= 0) {
        m.msg_control = control.room;
        m.msg_controllen = sizeof control.room;
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(c), &fd, sizeof fd);
    }
    ssize_t n;
    do {
        n = sendmsg(wire, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    return n == (ssize_t)bytes ? REEL_OK : judge(n);
}

enum reel_err reel_wire_recv(int wire, void *data, size_t bytes, int *out_fd)
{
    union control control = {{0}};
    struct iovec part = {data, bytes};
    struct msghdr m = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof control.room};
    *out_fd = -1;
    ssize_t n;
    do {
        errno = 0;
        n = recvmsg(wire, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    if (n <= 0) return judge(n);
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) memcpy(out_fd, CMSG_DATA(c), sizeof *out_fd);
    if ((size_t)n == bytes && !(m.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) return REEL_OK;
    if (*out_fd >= 0) close(*out_fd);
    *out_fd = -1;
    return reel_fail(REEL_ERR_PROTO, "could not take a device ring: the message is of another size");
}

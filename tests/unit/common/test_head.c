// SPDX-License-Identifier: MIT
//
// What was read from a pipe before its first frame: kept, given again, and no more
// once it is over; whole, whenever who takes it is killed.
#include "common/head.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/check.h"

// Takes `bytes` of value v through a pair of descriptors; what take returned.
static ssize_t keep(struct reel_head *h, const int pair[2], int v, size_t bytes)
{
    uint8_t buf[64];
    memset(buf, v, sizeof buf);
    return write(pair[1], buf, bytes) == (ssize_t)bytes ? reel_head_take(h, pair[0]) : -2;
}

static void kept_from(const int pair[2])
{
    int fd = -1;
    struct reel_head *writer, *next;
    uint8_t buf[64];
    CHECK_INT(reel_head_create(&fd), REEL_OK);
    CHECK_INT(reel_head_open(fd, &writer), REEL_OK);
    CHECK_INT(keep(writer, pair, 1, 10), 10);
    CHECK_INT(keep(writer, pair, 2, 20), 20);
    reel_head_close(&writer); // it died
    CHECK_INT(reel_head_open(fd, &next), REEL_OK);
    CHECK_INT(reel_head_is_over(next), false);
    CHECK_INT(reel_head_get(next, 0, buf, 16), 16);
    CHECK_INT(buf[9], 1);
    CHECK_INT(buf[10], 2);
    CHECK_INT(reel_head_get(next, 16, buf, sizeof buf), 14);
    CHECK_INT(reel_head_get(next, 30, buf, sizeof buf), 0);
    CHECK_INT(keep(next, pair, 3, 5), 5);
    CHECK_INT(reel_head_get(next, 30, buf, sizeof buf), 5);
    reel_head_end(next);
    CHECK_INT(keep(next, pair, 4, 5), -1);
    CHECK_INT(errno, ENOSPC);
    CHECK_INT(read(pair[0], buf, sizeof buf), 5); // it stayed where it was
    CHECK_INT(buf[0], 4);
    close(pair[1]);
    reel_head_close(&next);
    reel_head_close(&next);
    close(pair[0]);
    close(fd);
}

static void kept(void)
{
    int pair[2];
    CHECK_INT(pipe(pair), 0);
    kept_from(pair);
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0); // no pipe: it is copied
    kept_from(pair);
}

static void as_read(void)
{
    int fd = -1, pair[2];
    struct reel_head *h;
    CHECK_INT(reel_head_create(&fd), REEL_OK);
    CHECK_INT(reel_head_open(fd, &h), REEL_OK);
    CHECK_INT(pipe(pair), 0);
    CHECK_INT(reel_head_take(h, pair[0]), -1);
    CHECK_INT(errno, EAGAIN);
    close(pair[1]);
    CHECK_INT(reel_head_take(h, pair[0]), 0);
    close(pair[0]);
    reel_head_close(&h);
    close(fd);
}

static void full(void)
{
    int fd = -1, pair[2];
    struct reel_head *h;
    static uint8_t block[1 << 16];
    memset(block, 1, sizeof block);
    CHECK_INT(reel_head_create(&fd), REEL_OK);
    CHECK_INT(reel_head_open(fd, &h), REEL_OK);
    CHECK_INT(pipe(pair), 0);
    uint64_t taken = 0;
    for (ssize_t n = 0; taken < REEL_HEAD_MOST; taken += (uint64_t)n) {
        CHECK(write(pair[1], block, sizeof block) == sizeof block);
        n = reel_head_take(h, pair[0]);
        CHECK_MSG(n > 0, "%s", strerror(errno));
        if (n <= 0) break;
    }
    CHECK_INT(taken, REEL_HEAD_MOST);
    CHECK_INT(keep(h, pair, 1, 1), -1);
    CHECK_INT(reel_head_is_over(h), true); // with a hole it would be worse than nothing
    reel_head_drop(h);
    uint8_t byte = 1;
    CHECK_INT(reel_head_get(h, 5, &byte, 1), 1);
    CHECK_INT(byte, 0);
    reel_head_close(&h);
    close(pair[0]);
    close(pair[1]);
    close(fd);
}

static _Noreturn void take_all(int fd, int from)
{
    struct reel_head *h;
    if (reel_head_open(fd, &h)) _exit(1);
    for (;;) reel_head_take(h, from);
}

static void put_number(int fd, uint32_t v)
{
    while (write(fd, &v, sizeof v) != sizeof v) {
    }
}

// A process that takes is killed again and again while numbers come in.
static void killed(void)
{
    enum { KILLS = 100, EACH = 3000 };
    int fd = -1, pair[2];
    CHECK_INT(reel_head_create(&fd), REEL_OK);
    CHECK_INT(pipe(pair), 0);
    uint32_t next = 0;
    for (int k = 0; k < KILLS; k++) {
        const pid_t pid = fork();
        if (!pid) take_all(fd, pair[0]);
        for (int i = 0; i < EACH + 7 * k; i++) put_number(pair[1], next++);
        kill(pid, SIGKILL);
        CHECK_INT(waitpid(pid, NULL, 0), pid);
    }
    struct reel_head *h;
    CHECK_INT(reel_head_open(fd, &h), REEL_OK);
    fcntl(pair[0], F_SETFL, O_NONBLOCK);
    while (reel_head_take(h, pair[0]) > 0) {
    }
    uint32_t v, n = 0;
    while (reel_head_get(h, (uint64_t)n * sizeof v, &v, sizeof v) == sizeof v && v == n) n++;
    CHECK_INT(n, next);
    reel_head_close(&h);
    close(pair[0]);
    close(pair[1]);
    close(fd);
}

CHECK_MAIN({"head: kept", kept}, {"head: as read(2)", as_read}, {"head: full", full}, {"head: killed", killed})

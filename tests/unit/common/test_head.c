// SPDX-License-Identifier: MIT
//
// What was read from a pipe before its first frame: kept, given again, and no more
// once it is over.
#include "common/head.h"

#include <unistd.h>

#include "tests/check.h"

// Keeps `bytes` of value v; how many it took.
static size_t keep(struct reel_head *h, int v, size_t bytes)
{
    size_t room = 0;
    void *at = reel_head_room(h, &room);
    if (!at) return 0;
    const size_t n = bytes < room ? bytes : room;
    memset(at, v, n);
    reel_head_add(h, n);
    return n;
}

static void kept(void)
{
    int fd = -1;
    struct reel_head *writer, *next;
    uint8_t buf[64];
    CHECK_INT(reel_head_create(&fd), REEL_OK);
    CHECK_INT(reel_head_map(fd, &writer), REEL_OK);
    CHECK_INT(keep(writer, 1, 10), 10);
    CHECK_INT(keep(writer, 2, 20), 20);
    reel_head_unmap(&writer); // it died
    CHECK_INT(reel_head_map(fd, &next), REEL_OK);
    CHECK_INT(reel_head_is_over(next), false);
    CHECK_INT(reel_head_get(next, 0, buf, 16), 16);
    CHECK_INT(buf[9], 1);
    CHECK_INT(buf[10], 2);
    CHECK_INT(reel_head_get(next, 16, buf, sizeof buf), 14);
    CHECK_INT(reel_head_get(next, 30, buf, sizeof buf), 0);
    CHECK_INT(keep(next, 3, 5), 5);
    CHECK_INT(reel_head_get(next, 30, buf, sizeof buf), 5);
    reel_head_end(next);
    CHECK_INT(keep(next, 4, 5), 0);
    reel_head_unmap(&next);
    reel_head_unmap(&next);
    close(fd);
}

static void full(void)
{
    int fd = -1;
    struct reel_head *h;
    CHECK_INT(reel_head_create(&fd), REEL_OK);
    CHECK_INT(reel_head_map(fd, &h), REEL_OK);
    CHECK_INT(keep(h, 1, REEL_HEAD_MOST + 1), REEL_HEAD_MOST);
    CHECK_INT(keep(h, 1, 1), 0);
    CHECK_INT(reel_head_is_over(h), true); // with a hole it would be worse than nothing
    reel_head_drop(h);
    uint8_t byte = 1;
    CHECK_INT(reel_head_get(h, 5, &byte, 1), 1);
    CHECK_INT(byte, 0);
    reel_head_unmap(&h);
    close(fd);
}

CHECK_MAIN({"head: kept", kept}, {"head: full", full})

// SPDX-License-Identifier: MIT
//
// The wire: messages with and without a descriptor, in order, never waiting,
// and what it says when the other end is gone.
#include "tests/check.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/wire.h"

static bool same_file(int a, int b)
{
    struct stat sa, sb;
    return !fstat(a, &sa) && !fstat(b, &sb) && sa.st_ino == sb.st_ino && sa.st_dev == sb.st_dev;
}

static void messages(void)
{
    int ends[2], fd = -1, file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    CHECK_INT(reel_wire_pair(ends), REEL_OK);
    struct reel_ring_offer offer = {.lane = 3, .epoch = 9}, got;
    CHECK_INT(reel_wire_recv(ends[1], &got, sizeof got, &fd), REEL_AGAIN);
    CHECK_INT(reel_wire_send(ends[0], &offer, sizeof offer, file), REEL_OK);
    offer.lane = 4;
    CHECK_INT(reel_wire_send(ends[0], &offer, sizeof offer, -1), REEL_OK);
    CHECK_INT(reel_wire_recv(ends[1], &got, sizeof got, &fd), REEL_OK);
    CHECK_INT(got.lane, 3);
    CHECK(fd >= 0 && fd != file && same_file(fd, file));
    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    close(fd);
    CHECK_INT(reel_wire_recv(ends[1], &got, sizeof got, &fd), REEL_OK);
    CHECK_INT(got.lane, 4);
    CHECK_INT(fd, -1);
    // Of another size: refused, and its descriptor does not stay open.
    CHECK_INT(reel_wire_send(ends[0], "short", 5, file), REEL_OK);
    CHECK_INT(reel_wire_recv(ends[1], &got, sizeof got, &fd), REEL_ERR_PROTO);
    CHECK_INT(fd, -1);
    // A peer that does not read fills the wire; nobody waits for him.
    enum reel_err err = REEL_OK;
    for (int i = 0; i < 100000 && !err; i++) err = reel_wire_send(ends[0], &offer, sizeof offer, -1);
    CHECK_INT(err, REEL_AGAIN);
    close(ends[1]);
    CHECK_INT(reel_wire_send(ends[0], &offer, sizeof offer, -1), REEL_GONE);
    CHECK_INT(reel_wire_recv(ends[0], &got, sizeof got, &fd), REEL_GONE);
    close(ends[0]);
    close(file);
}

CHECK_MAIN({"wire messages", messages})

// SPDX-License-Identifier: MIT
//
// The wire between the coordinator and one child: a socket pair made at fork
// that carries what the bus cannot, handles of device rings with their
// descriptors. A message of the bus follows each (RING_MADE, RING), so nobody
// waits on a wire: what was announced is there.
#ifndef REEL_COMMON_WIRE_H
#define REEL_COMMON_WIRE_H

#include "common/err.h"
#include "common/mem.h"

// Plain data.
struct reel_ring_offer {
    uint32_t lane, epoch;
    uint32_t direction; // enum reel_direction
    uint32_t reserved;
    struct reel_mem_handle handle;
};

// Both ends, close-on-exec. Errors: IO.
enum reel_err reel_wire_pair(int out_ends[2]);
// Sends one message, with fd (borrowed) when it is >= 0. Never waits. Errors:
// AGAIN (full: the peer does not read), GONE, IO.
enum reel_err reel_wire_send(int wire, const void *data, size_t bytes, int fd);
// The next message, which must be of this size; *out_fd is the caller's, -1: it
// came without. Never waits. Errors: AGAIN (none there), GONE, PROTO.
enum reel_err reel_wire_recv(int wire, void *data, size_t bytes, int *out_fd);

#endif

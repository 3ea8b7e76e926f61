// SPDX-License-Identifier: MIT
//
// The fast path between the coordinator and one child: a pair of message rings
// in shared memory, one in each direction, with a bell (an eventfd) at either
// end. common/bus.c sends per-frame messages through it: a message through a
// socket wakes two threads on either side; one through a ring wakes nobody
// while its reader is awake, and one thread when it sleeps.
//
// Each ring has one writer and one reader, who may die at any instruction:
//
//   field   writer  reader  order
//   data    sender  reader  written before head, read before tail
//   head    sender  reader  sequentially consistent: bytes written, ever
//   tail    reader  sender  release / acquire: bytes read, ever
//   asleep  both    both    sequentially consistent: the reader sets it before
//                           its last look at head, the sender looks at it after
//                           writing head; one of the two sees the other
//
// What a peer has written is not trusted: offsets are checked against the ring,
// contents by bus.c. The rings do not grow: when one is full, messages go through
// the socket.
#ifndef REEL_COMMON_BOX_H
#define REEL_COMMON_BOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define REEL_BOX_BYTES 32768u // of a ring: small, so that it stays in the caches

struct reel_box;

// What the child inherits; the coordinator owns all three.
struct reel_box_fds {
    int memory;
    int child_bell; // rung by the coordinator
    int hub_bell;   // one for all children
};

// Coordinator: makes the memory and the child's bell. Errors: IO, NOMEM.
enum reel_err reel_box_create(int hub_bell, struct reel_box **out_box);
// Child: maps it. Errors: IO, PROTO.
enum reel_err reel_box_attach(const struct reel_box_fds *fds, struct reel_box **out_box);
// The coordinator's end closes the descriptors. Accepts &NULL, writes NULL.
void reel_box_close(struct reel_box **box);
struct reel_box_fds reel_box_fds(const struct reel_box *box);

// A bell, not yet in a box.
enum reel_err reel_bell_create(int *out_fd);
void reel_bell_silence(int fd);

// Puts a message in, and rings if the reader sleeps. False when there is no room.
bool reel_box_put(struct reel_box *box, const void *data, size_t bytes);
// The next message, inside the ring, until reel_box_drop(). AGAIN when there is
// none; GONE when the other end broke the ring.
enum reel_err reel_box_peek(struct reel_box *box, const void **out_data, size_t *out_bytes);
void reel_box_drop(struct reel_box *box);
// This end is about to sleep, or awake again. After setting it, reel_box_peek()
// sees everything put in before; whatever is put in later rings the bell.
void reel_box_set_asleep(struct reel_box *box, bool asleep);

#endif

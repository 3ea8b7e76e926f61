// SPDX-License-Identifier: MIT
//
// The head of a live input that is a pipe: what was read from it before its first
// frame was decoded. A pipe gives each byte once; if the decoder dies so early, the
// next one reads the head first and begins where the stream begins.
//
//   field  written by                      read by
//   data   the kernel, which moves it from the pipe behind what is there: the
//          object's size says how much    the decoder, and the next one
//   over   the coordinator, at the first   the decoder, before it takes more;
//          frame; a decoder without room   the next one, before it reads
//
// Bytes are moved, never read into a process first, so that a death at any time
// loses none. One decoder at a time has the head: the next is started when the one
// before is dead.
#ifndef REEL_COMMON_HEAD_H
#define REEL_COMMON_HEAD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/err.h"

#define REEL_HEAD_MOST (UINT64_C(64) << 20) // a stream without a frame in that much has none

struct reel_head;

// A shared object of no data yet. Errors: IO.
enum reel_err reel_head_create(int *out_fd);
// For one process; fd stays the caller's and open. Close accepts &NULL. Errors: IO, NOMEM.
enum reel_err reel_head_open(int fd, struct reel_head **out_head);
void reel_head_close(struct reel_head **head);

// There was a frame, or there is no room: nothing is kept or given any more.
void reel_head_end(struct reel_head *head);
bool reel_head_is_over(const struct reel_head *head);
// What is kept from `at` on, at most `most` bytes, into buf: how much there was.
size_t reel_head_get(const struct reel_head *head, uint64_t at, void *buf, size_t most);
// Moves what a pipe holds behind what is kept, without waiting: as read(2) returns, -1 with
// ENOSPC once the head is over or full. What is no pipe (a socket, a file) is copied.
ssize_t reel_head_take(struct reel_head *head, int from);
// Gives the memory back; it is over then.
void reel_head_drop(struct reel_head *head);

#endif

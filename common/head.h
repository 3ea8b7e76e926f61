// SPDX-License-Identifier: MIT
//
// The head of a live input that is a pipe: what was read from it before its first
// frame was decoded. A pipe gives each byte once; if the decoder dies so early, the
// next one reads the head first and begins where the stream begins.
//
//   field   written by                      read by
//   bytes   the decoder, behind its data    the next decoder
//   over    the coordinator, at the first   the decoder, before it keeps more;
//           frame; a decoder without room   the next one, before it reads
//   data    the decoder, below MOST         the next decoder, below bytes
//
// One decoder at a time has it: the next is started when the one before is dead.
#ifndef REEL_COMMON_HEAD_H
#define REEL_COMMON_HEAD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define REEL_HEAD_MOST (UINT64_C(64) << 20) // a stream without a frame in that much has none

struct reel_head;

// A shared object, sparse. Errors: IO, NOMEM.
enum reel_err reel_head_create(int *out_fd);
// Maps it; unmap accepts &NULL. Errors: IO, PROTO.
enum reel_err reel_head_map(int fd, struct reel_head **out_head);
void reel_head_unmap(struct reel_head **head);

// There was a frame, or there is no room: nothing is kept or given any more.
void reel_head_end(struct reel_head *head);
bool reel_head_is_over(const struct reel_head *head);
// What is kept from `at` on, at most `most` bytes, into buf: how much there was.
size_t reel_head_get(const struct reel_head *head, uint64_t at, void *buf, size_t most);
// Where to read up to *out_room bytes to; NULL: it is over. Then how many came.
void *reel_head_room(struct reel_head *head, size_t *out_room);
void reel_head_add(struct reel_head *head, size_t bytes);
// Gives the memory back, once it is over; for the process that wrote it.
void reel_head_drop(struct reel_head *head);

#endif

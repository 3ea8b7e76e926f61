// SPDX-License-Identifier: MIT
//
// Joining on a disk that has no room for parts and output at once. What a range of a part
// holds is in the unfinished output as soon as it was written there: the join says in a
// list (reel_moved_path) how it is put together again from that file, syncs both, and gives
// the range back to the disk. The part is a file with a hole then, until the job is done.
//
//   for each range   output synced -> listed, list synced -> hole in the part
//   a later join     takes the list from its end: range written back and synced ->
//                    its line off the list -> output cut off before it
//
// So at any time each byte of a part is in it, or in the list and in the output that the
// list names. Writing back needs room for one range. Parts are hashed afterwards as always.
// Not for outputs that do not hold the packets of their parts.
#ifndef REEL_AGGREGATOR_SINK_MOVED_H
#define REEL_AGGREGATOR_SINK_MOVED_H

#include "aggregator/sink/sink.h"

struct moved;

// Puts back what an unfinished join has moved; nothing where there is none. Whoever else
// does so meanwhile is waited for. Errors: IO (disk full says so), NOMEM, GONE (given up).
enum reel_err moved_restore(const struct reel_job *job, bool (*tick)(void *ctx, uint64_t bytes), void *ctx);

// Begins to watch a join to `output` (the unfinished file; borrowed, as join is). from:
// where it may have data of parts; bytes: of all parts and of the copied streams.
// Errors: NOMEM.
enum reel_err moved_begin(const struct sink_join *join, const char *output, uint64_t from, uint64_t bytes,
                          struct moved **out_moved);
// Whether it is time for moved_step(), the output's buffers being flushed: `bytes` more of
// the parts were written.
bool moved_is_due(struct moved *moved, uint64_t bytes);
// Gives back what has been written, where room is short: the join reads part `segment`, and
// has read its first `at` bytes. Errors: IO, NOMEM, GONE.
enum reel_err moved_step(struct moved *moved, uint32_t segment, uint64_t at);
// Whether the unfinished output must stay, because parts need it.
bool moved_any(const struct moved *moved);
// Accepts &NULL.
void moved_end(struct moved **moved);

#endif

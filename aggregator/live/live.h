// SPDX-License-Identifier: MIT
//
// A live job's output over all its attempts and, by a small file in the parts
// folder, over all lives of this process: how many frames it has, which file is
// being written, how long frames took. The main loop has one (collect.c); lanes
// report what is in progress, sinks what was written. Video also has an outlet
// (outlet.h), which stays open from lane to lane.
//
// Thread-safe: the outlet's thread reports what it wrote.
#ifndef REEL_AGGREGATOR_LIVE_LIVE_H
#define REEL_AGGREGATOR_LIVE_LIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/job.h"
#include "common/proto.h"
#include "common/settings.h"

struct live;
struct outlet;

// Frames of an attempt, or of this process's life.
struct live_count {
    uint64_t written, unsent;
    uint32_t latency_us[REEL_LATENCIES];
};

// Reads what an earlier life left. bell_fd: an eventfd, written when there is a note
// or the outlet has room again; borrowed, as the settings. Errors: IO, INPUT, NOMEM.
enum reel_err live_open(const struct reel_settings *settings, const struct reel_job *job, int bell_fd,
                        struct live **out_live);
// Abandons what is not finished; does not wait for a server. Accepts &NULL.
void live_close(struct live **live);

// ---- the output ---------------------------------------------------------------

const struct reel_job *live_job(const struct live *live);
const struct reel_settings *live_settings(const struct live *live);
// The outlet, made when it is first asked for. Errors: NOMEM.
enum reel_err live_outlet(struct live *live, const struct reel_media *media, struct outlet **out_outlet);
// The file to write, and whether to append to it: in the first life the output
// itself; later the same if `appends`, else the next NAME.K.EXT that does not exist
// yet, with a message. path: REEL_PATH_BYTES. Errors: IO.
enum reel_err live_file(struct live *live, bool appends, char *path, bool *out_append);
// Finishes what is open, in bounded time, and fills the answer; kept is what is known
// so far. Errors: IO, FAULT.
enum reel_err live_finish(struct live *live, const struct reel_kept *kept, struct reel_rec_muxed *out_muxed);

// ---- frames -------------------------------------------------------------------

// An attempt begins.
void live_begin(struct live *live);
// A frame with this timestamp, whose input slot was written then, goes to the sink.
void live_expect(struct live *live, int64_t pts, int64_t written_us);
// It was written, or given up.
void live_wrote(struct live *live, int64_t pts);
void live_gave_up(struct live *live, uint32_t frames);
// Frames that the output has, over all lives: the number of the next.
uint64_t live_frames(struct live *live);
uint32_t live_file_number(struct live *live);
void live_attempt(struct live *live, struct live_count *out_count);

// ---- notes ----------------------------------------------------------------------

// A line for the user; when nobody reads them the latest are lost.
void live_note(struct live *live, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
// The next one; false when there is none. text: REEL_TEXT_BYTES.
bool live_take_note(struct live *live, char *text);
// Wakes the main loop.
void live_ring(struct live *live);

#endif

// SPDX-License-Identifier: MIT
//
// The live input of this process: its packets decoded, frame by frame, with
// timestamps that start at 0 and continue whatever happens to the input. It lives
// as long as the process: lanes come and go (one per attempt), the connection
// stays.
//
//   reader.c (thread) -> packets -> decode -> filter -> timestamps -> lane.c
//                          |
//                          +-> copy part of the other streams
//
// Between attempts and before the first one, an input that cannot wait is
// decoded and discarded, so that the next frame is a current one.
#ifndef REEL_DECODER_LIVE_H
#define REEL_DECODER_LIVE_H

#include "common/proto.h"
#include "decoder/av.h"
#include "decoder/decoder.h"

struct live;

struct live_params {
    struct reel_job job;                  // strings borrowed
    const struct reel_settings *settings; // borrowed
    int fd;                               // of an input that is a pipe, -1
    int head_fd;                          // with fd: what was read from it before its first frame
    struct nvdec *nvdec;                  // the GPU to decode on, or NULL
    const struct notes *notes;            // borrowed
    // An attempt that goes on where another process died; NULL: the input was not begun yet.
    const struct reel_rec_open *resume;
};

enum reel_err live_open(const struct live_params *params, struct live **out_live);
// Accepts &NULL.
void live_close(struct live **live);
// Readable when there may be something to do.
int live_bell(const struct live *live);
uint32_t live_job(const struct live *live);

// What the input is, from its first frame, which is kept. AGAIN: not yet. Errors: as demux_open().
enum reel_err live_scan(struct live *live, struct reel_rec_scanned *out_scanned);
// An attempt begins: frames are wanted. Only once after live_scan() with attempt 0.
void live_begin(struct live *live, const struct reel_rec_open *open);
// The attempt is over, whatever ended it: further frames belong to no attempt.
void live_pause(struct live *live);
// The next frame of the attempt, its PTS in the job's time base. AGAIN: none yet
// (*out_worked: call again at once). EOF: the input is at its end. Errors: INPUT
// (it is lost for good), FAULT, NOMEM.
enum reel_err live_next(struct live *live, AVFrame *frame, int64_t *out_pts, int64_t *out_duration, bool *out_worked);
// Discards what arrives between attempts.
enum reel_err live_idle(struct live *live, bool *out_worked);
// The input ends here: EOF follows.
void live_stop(struct live *live);
// Frames lost before reaching the codec because the queue was full, since the last
// call.
uint64_t live_lost(struct live *live);

// Packets of this attempt, and those that gave no picture because they were damaged.
struct live_ledger {
    int64_t packets, unreadable, filtered;
};
void live_ledger(const struct live *live, struct live_ledger *out_ledger);
// Microseconds inside the codec so far.
int64_t live_run_us(const struct live *live);

#endif

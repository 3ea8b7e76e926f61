// SPDX-License-Identifier: MIT
//
// What the parts of the decoder process share: the process itself, and how a
// part reports something to the user without knowing the bus.
//
// A decoder process serves several lanes and at most one scan at a time, all
// from one thread: each part does a bounded step and returns, so that no lane
// ever waits for another. libav brings its own threads.
#ifndef REEL_DECODER_DECODER_H
#define REEL_DECODER_DECODER_H

#include "common/child.h"

// Lines for the user about one job. text is complete; level as in common/log.h.
struct notes {
    void (*say)(void *ctx, int level, const char *text);
    void *ctx;
};
void notes_say(const struct notes *notes, int level, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

struct lane;
struct scan;
struct demux_pool;
struct live;
struct nvdec;

struct decoder {
    struct reel_child child;
    struct lane **lanes;     // [child.lanes]; NULL: closed
    struct nvdec *nvdec;     // this process's GPU, or NULL
    struct demux_pool *pool; // open inputs that wait for the job's next segment
    uint32_t *scans;         // jobs that wait for their scan, in order
    uint32_t n_scans, room_scans;
    struct scan *scan; // of scans[0], when it has begun
    struct live *live; // the live input, from its scan or first lane on; NULL without --live
    struct notes scan_notes;
    uint32_t turn;   // the lane that is served first next time
    uint64_t copies; // into slots, all lanes
    bool quit;
};

// Everything but the child's own attachments.
enum reel_err decoder_init(struct decoder *d);
void decoder_fini(struct decoder *d);
// Handles every message that has arrived. GONE or a fault when the link is
// broken.
enum reel_err decoder_listen(struct decoder *d);
// One step of the scan and of each lane. *out_worked is false when all of them
// wait for the coordinator.
enum reel_err decoder_step(struct decoder *d, bool *out_worked);
// Opens the live input of a job; resume: as in live.h.
enum reel_err decoder_open_live(struct decoder *d, uint32_t job, const struct reel_rec_open *resume);
// Library versions for the journal.
const char *decoder_build(char *buf, size_t bytes);

#endif

// SPDX-License-Identifier: MIT
//
// Work on whole files (joining parts, verifying parts), done by one thread
// beside the lanes, which must not wait for it. The main loop adds chores and
// collects their results; the thread touches no bus and no lane.
#ifndef REEL_AGGREGATOR_CHORES_H
#define REEL_AGGREGATOR_CHORES_H

#include "aggregator/live/live.h"
#include "common/job.h"
#include "common/proto.h"
#include "common/stat.h"

struct chores;

struct chore {
    enum reel_msg_type type; // REEL_MSG_MUX or REEL_MSG_VERIFY
    struct reel_job job;     // strings hold as long as the process
    struct live *live;       // MUX of a live job: its output; consumed
    union {
        struct reel_rec_mux mux;
        struct reel_rec_verify verify;
    } u;
};

// The result of a chore, or a message from it.
struct chore_news {
    enum reel_msg_type type; // NOTE, VERIFIED, MUXED or FAILED
    uint32_t job;
    enum reel_err err;          // FAILED
    char text[REEL_TEXT_BYTES]; // NOTE, FAILED
    union {
        struct reel_rec_verify verified;
        struct reel_rec_muxed muxed;
    } u;
};

// bell_fd is written when there are news; row->progress grows with the work.
enum reel_err chores_create(int bell_fd, struct reel_stat_row *row, struct chores **out_chores);
// Abandons the current chore. Accepts &NULL.
void chores_destroy(struct chores **chores);
enum reel_err chores_add(struct chores *chores, const struct chore *chore); // NOMEM
// False when there is nothing new.
bool chores_take(struct chores *chores, struct chore_news *out_news);
bool chores_busy(struct chores *chores);

#endif

// SPDX-License-Identifier: MIT
//
// Sizes and names of the messages; one row per type of proto.h.
#include "common/proto.h"

#include <stddef.h>

static const struct {
    const char *name;
    size_t bytes;
} messages[REEL_MSG_TYPES] = {
    [REEL_MSG_NONE] = {"none", 0},
    [REEL_MSG_HELLO] = {"hello", sizeof(struct reel_rec_hello)},
    [REEL_MSG_FAILED] = {"failed", sizeof(struct reel_rec_failed)},
    [REEL_MSG_NOTE] = {"note", sizeof(struct reel_rec_note)},
    [REEL_MSG_LANE_CLOSED] = {"lane_closed", sizeof(struct reel_rec_lane)},
    [REEL_MSG_QUIT] = {"quit", 0},
    [REEL_MSG_OPEN_LANE] = {"open_lane", sizeof(struct reel_rec_open)},
    [REEL_MSG_CLOSE_LANE] = {"close_lane", sizeof(struct reel_rec_lane)},
    [REEL_MSG_RING_MADE] = {"ring_made", sizeof(struct reel_rec_ring)},
    [REEL_MSG_RING] = {"ring", sizeof(struct reel_rec_ring)},
    [REEL_MSG_RING_OPEN] = {"ring_open", sizeof(struct reel_rec_ring)},
    [REEL_MSG_FREE_RING] = {"free_ring", sizeof(struct reel_rec_ring)},
    [REEL_MSG_SCAN] = {"scan", sizeof(struct reel_rec_job)},
    [REEL_MSG_ENTRIES] = {"entries", sizeof(struct reel_rec_entry)},
    [REEL_MSG_SCANNED] = {"scanned", sizeof(struct reel_rec_scanned)},
    [REEL_MSG_WINDOW] = {"window", sizeof(struct reel_rec_window)},
    [REEL_MSG_DECODED] = {"decoded", sizeof(struct reel_rec_decoded)},
    [REEL_MSG_STOP] = {"stop", sizeof(struct reel_rec_lane)},
    [REEL_MSG_LANE_END] = {"lane_end", sizeof(struct reel_rec_lane_end)},
    [REEL_MSG_MODEL] = {"model", sizeof(struct reel_rec_model)},
    [REEL_MSG_SHAPE] = {"shape", sizeof(struct reel_rec_shape)},
    [REEL_MSG_SHAPED] = {"shaped", sizeof(struct reel_rec_shaped)},
    [REEL_MSG_READY] = {"ready", sizeof(struct reel_rec_ready)},
    [REEL_MSG_WORK] = {"work", sizeof(struct reel_rec_work)},
    [REEL_MSG_DONE] = {"done", sizeof(struct reel_rec_done)},
    [REEL_MSG_JOIN] = {"join", 0},
    [REEL_MSG_JOINED] = {"joined", sizeof(struct reel_rec_joined)},
    [REEL_MSG_PROVE] = {"prove", sizeof(struct reel_rec_prove)},
    [REEL_MSG_PROVEN] = {"proven", sizeof(struct reel_rec_proven)},
    [REEL_MSG_FRAME] = {"frame", sizeof(struct reel_rec_frame)},
    [REEL_MSG_TAKEN] = {"taken", sizeof(struct reel_rec_taken)},
    [REEL_MSG_FINISH] = {"finish", sizeof(struct reel_rec_finish)},
    [REEL_MSG_COMMITTED] = {"committed", sizeof(struct reel_rec_committed)},
    [REEL_MSG_VERIFY] = {"verify", sizeof(struct reel_rec_verify)},
    [REEL_MSG_VERIFIED] = {"verified", sizeof(struct reel_rec_verify)},
    [REEL_MSG_MUX] = {"mux", sizeof(struct reel_rec_mux)},
    [REEL_MSG_MUXED] = {"muxed", sizeof(struct reel_rec_muxed)},
};

_Static_assert(sizeof(struct reel_msg_head) == 24, "the head is packed by nature and keeps records 8-byte aligned");
_Static_assert(sizeof(struct reel_rec_work) % 8 == 0 && sizeof(struct reel_rec_frame) % 8 == 0,
               "records of a batch stay aligned");

size_t reel_msg_record_bytes(enum reel_msg_type type)
{
    return (unsigned)type < REEL_MSG_TYPES ? messages[type].bytes : 0;
}

const char *reel_msg_name(enum reel_msg_type type)
{
    return (unsigned)type < REEL_MSG_TYPES && messages[type].name ? messages[type].name : "unknown";
}

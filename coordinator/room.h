// SPDX-License-Identifier: MIT
//
// Whether what a run still writes has room on its disk: told long before the disk is full,
// from what it has written so far. Pure: knows no file and no clock. Called by disk.c.
#ifndef COORDINATOR_ROOM_H
#define COORDINATOR_ROOM_H

#include <stdbool.h>
#include <stdint.h>

// What putting a job's parts together needs beside them.
enum room_join {
    ROOM_JOIN_MOVES,   // nothing: they are renamed (images), or there are none
    ROOM_JOIN_PUNCHES, // pieces: parts are given back while their data are written
    ROOM_JOIN_COPIES,  // as much again
    ROOM_JOIN_ENCODES, // the output, which is smaller (.gif of whole pictures)
};

// A job, as far as it has come. Frames are those of the output.
struct room_job {
    enum room_join join;
    bool joining;                      // its parts are whole: only its join is left, which looks after itself
    uint64_t frames, bytes;            // written: committed, and of segments in progress
    uint64_t frames_total, copy_bytes; // copy_bytes: sound and other streams, written before
};

// What is still needed; all 0: too little was written to know.
struct room_need {
    uint64_t parts, join; // bytes
    uint64_t output;      // of the file as it will be
    double share;         // of the frames, that this was concluded from
};
struct room_need room_need_of(const struct room_job *job);

enum room_word {
    ROOM_ENOUGH,
    ROOM_SHORT,    // it will not fit
    ROOM_CRITICAL, // and the disk is full soon
};

// What was said so far; all zero: nothing.
struct room_said {
    enum room_word word;
};
// What is to be said now; ENOUGH: nothing. need: of all jobs. full_s: seconds until the disk
// is full at the present speed, below 0: not known. The more frames a need was concluded
// from, the smaller the lack that is told; each word is said once, again only after there
// has been room.
enum room_word room_judge(struct room_said *said, const struct room_need *need, uint64_t free_bytes, double full_s);

#endif

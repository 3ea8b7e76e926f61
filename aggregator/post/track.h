// SPDX-License-Identifier: MIT
//
// Which detections of successive frames are the same object: ByteTrack (Zhang et al.,
// 2022, arXiv:2110.06864). A Kalman filter of constant velocity says where each object
// should be; detections are assigned to tracks by overlap, first those of high score,
// then the weak ones, which continue a track and never begin one. A detection of
// another class counts less, so that one that changes between two names keeps its track.
//
// A function of the detections and times alone.
#ifndef REEL_AGGREGATOR_POST_TRACK_H
#define REEL_AGGREGATOR_POST_TRACK_H

#include "aggregator/post/results.h"

struct tracker;

struct track_params {
    float score;      // from here on a detection begins a track and is reported by itself
    double keep;      // seconds for which a track without detections may be found again
    int32_t first_id; // of the tracks' numbers
};

// What stands in for a track's number.
enum { TRACK_NONE = 0, TRACK_HIDDEN = -1 };

// Errors: NOMEM.
enum reel_err tracker_create(const struct track_params *params, struct tracker **out_tracker);
// Accepts &NULL.
void tracker_destroy(struct tracker **tracker);

// The next frame: n its number (those between it and the one before were dropped),
// seconds its time, r->head.count detections. out[i] is the number of detection i's track;
// NONE: it may be the first of one, which the next frame will tell (those of the first
// frame have numbers at once); HIDDEN: weak and of no track. Boxes that are no numbers
// are HIDDEN. Errors: NOMEM.
enum reel_err tracker_frame(struct tracker *tracker, uint32_t n, double seconds, const struct results *results,
                            int32_t *out);

#endif

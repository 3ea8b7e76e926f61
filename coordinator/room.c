// SPDX-License-Identifier: MIT
//
// Room on a disk, ahead of time. See room.h.
#include "coordinator/room.h"

#define LEAST_FRAMES 50
#define CRITICAL_S 600
#define GIF_SHARE 4 // a GIF is no larger than this part of its uncompressed pictures, nearly always
// A join that punches holes: two or three steps, each a 64th of the parts.
#define PUNCH_SHARE 16

static uint64_t join_bytes(const struct room_job *job, uint64_t parts)
{
    switch (job->join) {
    case ROOM_JOIN_MOVES:
        break;
    case ROOM_JOIN_PUNCHES:
        return parts / PUNCH_SHARE + job->copy_bytes;
    case ROOM_JOIN_COPIES:
        return parts + job->copy_bytes;
    case ROOM_JOIN_ENCODES:
        return parts / GIF_SHARE;
    }
    return 0;
}

struct room_need room_need_of(const struct room_job *job)
{
    struct room_need need = {0, 0, 0, 0};
    if (job->joining || job->frames < LEAST_FRAMES || !job->frames_total || !job->bytes) return need;
    const double per_frame = (double)job->bytes / (double)job->frames;
    const uint64_t left = job->frames_total > job->frames ? job->frames_total - job->frames : 0;
    need.parts = (uint64_t)(per_frame * (double)left);
    need.join = join_bytes(job, job->bytes + need.parts);
    need.output = job->join == ROOM_JOIN_ENCODES ? need.join : job->bytes + need.parts + job->copy_bytes;
    need.share = (double)job->frames / (double)(job->frames + left);
    return need;
}

// How many times what there is must be needed. Few frames say little of a whole film.
static double margin(double share)
{
    return share < 0.02 ? 2 : share < 0.2 ? 1.25 : 1.05;
}

enum room_word room_judge(struct room_said *said, const struct room_need *need, uint64_t free_bytes, double full_s)
{
    const double needed = (double)need->parts + (double)need->join, there = (double)free_bytes;
    if (needed <= there) said->word = ROOM_ENOUGH;
    if (needed <= there || (!said->word && needed < margin(need->share) * there)) return ROOM_ENOUGH;
    const bool soon = (double)need->parts > there && full_s >= 0 && full_s < CRITICAL_S;
    const enum room_word now = soon ? ROOM_CRITICAL : ROOM_SHORT;
    if (now <= said->word) return ROOM_ENOUGH;
    said->word = now;
    return now;
}

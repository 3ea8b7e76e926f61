// SPDX-License-Identifier: MIT
//
// The part of an input that is processed (--start, --end). See range.h.
#include "decoder/range.h"

#include <stdio.h>

#include "decoder/timing.h"

int64_t range_tick(int64_t us, AVRational time_base)
{
    if (us == INT64_MAX) return INT64_MAX;
    return us <= 0 ? 0 : av_rescale_q_rnd(us - 1, AV_TIME_BASE_Q, time_base, AV_ROUND_UP);
}

enum reel_err range_init(struct range *r, const struct reel_settings *settings, AVRational time_base)
{
    *r = (struct range){.time_base = time_base, .first = INT64_MAX, .last = INT64_MIN};
    enum reel_err err = reel_settings_part(settings, &r->start_us, &r->end_us);
    if (err) return err;
    r->on = r->start_us > 0 || r->end_us < INT64_MAX;
    r->from = r->start_us > 0 ? range_tick(r->start_us, time_base) : INT64_MIN;
    r->to = range_tick(r->end_us, time_base);
    return REEL_OK;
}

void range_see(struct range *r, int64_t pts, int64_t dts, bool shows)
{
    if (!shows) return;
    if (pts == AV_NOPTS_VALUE) r->untimed++;
    const int64_t time = pts != AV_NOPTS_VALUE ? pts : dts;
    if (time == AV_NOPTS_VALUE) return;
    if (time > r->last) r->last = time;
    if (time < r->from) r->earlier = true;
    if (time >= r->from && time < r->first) r->first = time;
    r->n_after += r->n_after || time >= r->from;
    // Packets after the part are counted from the last one that belongs to it.
    if (time < r->to)
        r->n_behind = 0;
    else
        r->n_behind++;
}

bool range_is_settled(const struct range *r)
{
    return r->from == INT64_MIN || r->n_after > TIMING_LEADING_MAX;
}

int64_t range_zero(const struct range *r)
{
    if (r->from == INT64_MIN) return 0;
    return r->earlier && !r->untimed && r->first < INT64_MAX ? r->first : r->from;
}

bool range_is_read(const struct range *r)
{
    return r->to < INT64_MAX && r->n_behind > TIMING_LEADING_MAX;
}

static const char *clock_text(int64_t us, char *buf, size_t bytes)
{
    const int64_t ms = us / 1000;
    int n = snprintf(buf, bytes, "%lld:%02d:%02d", (long long)(ms / 3600000), (int)(ms / 60000 % 60),
                     (int)(ms / 1000 % 60));
    if (ms % 1000 && n > 0 && (size_t)n < bytes) snprintf(buf + n, bytes - (size_t)n, ".%03d", (int)(ms % 1000));
    return buf;
}

const char *range_text(const struct range *r, char *buf, size_t bytes)
{
    char from[40], to[40];
    snprintf(buf, bytes, "%s to %s", clock_text(r->start_us, from, sizeof from),
             r->end_us == INT64_MAX ? "its end" : clock_text(r->end_us, to, sizeof to));
    return buf;
}

// SPDX-License-Identifier: MIT
//
// Derives from a stream's facts its slots, and the facts of a stream with more frames. See media.h.
#include "common/media.h"

#define NANO 1000000000

enum reel_err reel_media_geometry(const struct reel_media *m, struct reel_geometry *g)
{
    enum reel_err err = reel_geometry_init(g, m->format, m->width, m->height, REEL_INPUT_AUX_BYTES);
    return err || !(m->flags & REEL_MEDIA_ALPHA) ? err : reel_geometry_add_alpha(g);
}

static int64_t gcd(int64_t a, int64_t b)
{
    while (b) {
        int64_t rest = a % b;
        a = b, b = rest;
    }
    return a;
}

// num/den in lowest terms. False: it does not fit.
static bool fraction(int64_t num, int64_t den, struct reel_rational *out)
{
    const int64_t by = gcd(num, den);
    if (by < 1 || num / by > INT32_MAX || den / by > INT32_MAX) return false;
    *out = (struct reel_rational){(int32_t)(num / by), (int32_t)(den / by)};
    return true;
}

static bool is_positive(struct reel_rational q)
{
    return q.num > 0 && q.den > 0;
}

// The input's time base divided by the rate, or nanoseconds where that does not fit the type.
static struct reel_rational finer(struct reel_rational time_base, uint32_t rate)
{
    struct reel_rational out = time_base;
    if (rate > 1 && is_positive(time_base) && !fraction(time_base.num, (int64_t)time_base.den * rate, &out))
        out = (struct reel_rational){1, NANO};
    return out;
}

static int64_t clamp(__int128 v)
{
    return v > INT64_MAX ? INT64_MAX : v < INT64_MIN ? INT64_MIN : (int64_t)v;
}

// Rounds down, for negative numbers too, so that the order of timestamps is kept.
static __int128 divide(__int128 a, __int128 b)
{
    return a / b - (a % b < 0);
}

int64_t reel_media_time(const struct reel_media *media, uint32_t rate, int64_t pts, int64_t gap, uint32_t k)
{
    const struct reel_rational from = media->time_base, to = finer(from, rate);
    if (rate < 2 || !is_positive(from)) return pts;
    // The time in ticks of the old time base, times rate.
    const __int128 at = clamp((__int128)pts * rate + (__int128)gap * k);
    const __int128 by = (__int128)from.num * to.den, per = (__int128)from.den * to.num * rate;
    const __int128 common = by % per ? 1 : per; // usually by is a multiple of per, and the product cannot overflow
    return clamp(divide(at * (by / common), per / common));
}

struct reel_media reel_media_at_rate(const struct reel_media *media, uint32_t rate)
{
    struct reel_media m = *media;
    if (rate < 2) return m;
    m.time_base = finer(media->time_base, rate);
    if (is_positive(media->frame_rate) &&
        !fraction((int64_t)media->frame_rate.num * rate, media->frame_rate.den, &m.frame_rate))
        m.frame_rate = (struct reel_rational){0, 1};
    const int64_t last = media->last_duration;
    m.first_pts = reel_media_time(media, rate, media->first_pts, 0, 0);
    m.last_pts = reel_media_time(media, rate, media->last_pts, last, rate - 1);
    m.last_duration = reel_media_time(media, rate, media->last_pts, last, rate) - m.last_pts;
    if (media->n_frames > 0) m.n_frames *= rate;
    return m;
}

// SPDX-License-Identifier: MIT
//
// Tracks objects from frame to frame. See track.h.
//
// The noise of the Kalman filter is ByteTrack's: it grows with the object's height and is independent in
// each coordinate, so the filter of eight states is four filters of two.
#include "aggregator/post/track.h"

#include <math.h>
#include <stdlib.h>

#include "aggregator/post/assign.h"

// Overlaps (0 to 1, weighted by the detection's score and class) below these are no match.
#define LEAST_STRONG 0.2f
#define LEAST_WEAK 0.5f
#define LEAST_NEW 0.3f
#define OTHER_CLASS 0.7f // by which an overlap with another class is multiplied
#define SAME_PLACE 0.85f // a lost track that overlaps a followed one by so much is given up
#define MOST_STEPS 30    // most frames that are predicted at once
#define POSITION 0.05    // noise of a position, in heights of the object
#define VELOCITY 0.00625 // noise of a velocity, in heights a frame

// A position, its velocity per frame, and their covariance.
struct axis {
    double x, v, xx, xv, vv;
};

enum { CENTRE_X, CENTRE_Y, ASPECT, HEIGHT, N_AXES };

enum track_state {
    TRACK_NEW, // seen only once
    TRACK_FOLLOWED,
    TRACK_LOST,
};

struct track {
    enum track_state state;
    int32_t id;
    int32_t class_id;
    struct axis axis[N_AXES];
    double seen; // when, in seconds
    bool taken;  // by a detection of this frame
};

struct detection {
    struct reel_object object;
    uint32_t index; // among the frame's objects
    bool strong, taken;
};

struct tracker {
    struct track_params params;
    struct track *track;
    struct detection *detection;
    float *weight;
    int *rows, *cols, *pair; // tracks and detections of a round, and which detection each track got
    size_t n_tracks, room_tracks, n_detections, room_detections, room_weight, room_round;
    uint32_t last;
    bool begun;
    int32_t next_id;
};

static enum reel_err no_memory(void)
{
    return reel_fail(REEL_ERR_NOMEM, "could not track objects: out of memory");
}

enum reel_err tracker_create(const struct track_params *params, struct tracker **out)
{
    *out = calloc(1, sizeof **out);
    if (!*out) return no_memory();
    (*out)->params = *params;
    (*out)->next_id = params->first_id;
    return REEL_OK;
}

void tracker_destroy(struct tracker **tracker)
{
    struct tracker *t = *tracker;
    if (!t) return;
    free(t->track);
    free(t->detection);
    free(t->weight);
    free(t->rows);
    free(t->cols);
    free(t->pair);
    free(t);
    *tracker = NULL;
}

// ---- where an object is ---------------------------------------------------------

static double square(double v)
{
    return v * v;
}

// The deviation of an axis's noise: `of_height` is its share of the object's height.
static double noise(int axis, double height, double of_height, double aspect)
{
    return axis == ASPECT ? aspect : of_height * height;
}

static void measure(const struct reel_object *o, double out[N_AXES])
{
    out[CENTRE_X] = (double)o->x + (double)o->w / 2;
    out[CENTRE_Y] = (double)o->y + (double)o->h / 2;
    out[ASPECT] = (double)o->w / (double)o->h;
    out[HEIGHT] = (double)o->h;
}

static void begin_at(struct track *t, const struct reel_object *o)
{
    double z[N_AXES];
    measure(o, z);
    for (int i = 0; i < N_AXES; i++)
        t->axis[i] = (struct axis){.x = z[i],
                                   .xx = square(noise(i, z[HEIGHT], 2 * POSITION, 1e-2)),
                                   .vv = square(noise(i, z[HEIGHT], 10 * VELOCITY, 1e-5))};
}

static void predict(struct track *t)
{
    if (t->state != TRACK_FOLLOWED) t->axis[HEIGHT].v = 0;
    const double height = t->axis[HEIGHT].x;
    for (int i = 0; i < N_AXES; i++) {
        struct axis *a = &t->axis[i];
        a->x += a->v;
        a->xx += 2 * a->xv + a->vv + square(noise(i, height, POSITION, 1e-2));
        a->xv += a->vv;
        a->vv += square(noise(i, height, VELOCITY, 1e-5));
    }
}

static void correct(struct track *t, const struct reel_object *o)
{
    double z[N_AXES];
    measure(o, z);
    const double height = t->axis[HEIGHT].x;
    for (int i = 0; i < N_AXES; i++) {
        struct axis *a = &t->axis[i];
        const double sum = a->xx + square(noise(i, height, POSITION, 1e-1));
        const double gain_x = a->xx / sum, gain_v = a->xv / sum, off = z[i] - a->x;
        a->x += gain_x * off;
        a->v += gain_v * off;
        a->vv -= gain_v * a->xv;
        a->xv *= 1 - gain_x;
        a->xx *= 1 - gain_x;
    }
}

struct box {
    float x1, y1, x2, y2;
};

static struct box box_of_track(const struct track *t)
{
    const double h = t->axis[HEIGHT].x, w = h * t->axis[ASPECT].x, x = t->axis[CENTRE_X].x, y = t->axis[CENTRE_Y].x;
    return (struct box){(float)(x - w / 2), (float)(y - h / 2), (float)(x + w / 2), (float)(y + h / 2)};
}

static struct box box_of_object(const struct reel_object *o)
{
    return (struct box){o->x, o->y, o->x + o->w, o->y + o->h};
}

static float overlap(struct box a, struct box b)
{
    const float w = fminf(a.x2, b.x2) - fmaxf(a.x1, b.x1), h = fminf(a.y2, b.y2) - fmaxf(a.y1, b.y1);
    if (!(w > 0 && h > 0)) return 0;
    const float both = w * h;
    return both / ((a.x2 - a.x1) * (a.y2 - a.y1) + (b.x2 - b.x1) * (b.y2 - b.y1) - both);
}

// ---- a round of assignment ------------------------------------------------------

static bool grow(void *buffer, size_t *room, size_t want, size_t item)
{
    void **at = buffer;
    if (want <= *room) return true;
    void *more = realloc(*at, want * 2 * item);
    if (!more) return false;
    *at = more;
    *room = want * 2;
    return true;
}

static void match(struct tracker *t, struct track *track, struct detection *d, double seconds)
{
    correct(track, &d->object);
    if (track->state == TRACK_NEW) track->id = t->next_id++;
    track->state = TRACK_FOLLOWED;
    track->class_id = d->object.class_id;
    track->seen = seconds;
    track->taken = d->taken = true;
}

// Collects the tracks of some states (bits) and the strong or weak detections, as far as they are still
// free.
static enum reel_err round_of(struct tracker *t, unsigned states, bool strong, float least, double seconds,
                              int32_t *out)
{
    int rows = 0, cols = 0;
    for (size_t i = 0; i < t->n_tracks; i++)
        if (!t->track[i].taken && states & 1u << t->track[i].state) t->rows[rows++] = (int)i;
    for (size_t i = 0; i < t->n_detections; i++)
        if (!t->detection[i].taken && t->detection[i].strong == strong) t->cols[cols++] = (int)i;
    if (!rows || !cols) return REEL_OK;
    if (!grow(&t->weight, &t->room_weight, (size_t)rows * (size_t)cols, sizeof *t->weight)) return no_memory();
    for (int r = 0; r < rows; r++) {
        const struct track *track = &t->track[t->rows[r]];
        const struct box box = box_of_track(track);
        for (int c = 0; c < cols; c++) {
            const struct reel_object *o = &t->detection[t->cols[c]].object;
            float value = overlap(box, box_of_object(o)) * (o->class_id == track->class_id ? 1 : OTHER_CLASS);
            if (strong) value *= fminf(o->score, 1);
            t->weight[r * cols + c] = value > least ? value - least : 0;
        }
    }
    enum reel_err err = assign(t->weight, rows, cols, t->pair);
    for (int r = 0; r < rows && !err; r++) {
        if (t->pair[r] < 0) continue;
        struct track *track = &t->track[t->rows[r]];
        struct detection *d = &t->detection[t->cols[t->pair[r]]];
        match(t, track, d, seconds);
        out[d->index] = track->id;
    }
    return err;
}

// ---- a frame --------------------------------------------------------------------

static enum reel_err take_detections(struct tracker *t, const struct results *r, int32_t *out)
{
    if (!grow(&t->detection, &t->room_detections, r->head.count + 1, sizeof *t->detection)) return no_memory();
    t->n_detections = 0;
    for (uint32_t i = 0; i < r->head.count; i++) {
        const struct reel_object o = results_object(r, i);
        const bool strong = o.score >= t->params.score;
        out[i] = strong ? TRACK_NONE : TRACK_HIDDEN;
        const float sum = o.x + o.y + o.w + o.h;
        if (isfinite(sum) && o.w > 0 && o.h > 0)
            t->detection[t->n_detections++] = (struct detection){.object = o, .index = i, .strong = strong};
    }
    return REEL_OK;
}

// Makes room for all tracks that this frame may begin, and for the rounds.
static enum reel_err make_room(struct tracker *t)
{
    if (!grow(&t->track, &t->room_tracks, t->n_tracks + t->n_detections + 1, sizeof *t->track)) return no_memory();
    const size_t most = t->room_tracks > t->room_detections ? t->room_tracks : t->room_detections;
    if (most <= t->room_round) return REEL_OK;
    int **const list[] = {&t->rows, &t->cols, &t->pair};
    for (int i = 0; i < 3; i++) {
        int *more = realloc(*list[i], most * sizeof **list[i]);
        if (!more) return no_memory();
        *list[i] = more;
    }
    t->room_round = most;
    return REEL_OK;
}

static bool covered(const struct tracker *t, const struct track *lost)
{
    const struct box box = box_of_track(lost);
    for (size_t i = 0; i < t->n_tracks; i++)
        if (t->track[i].state == TRACK_FOLLOWED && overlap(box, box_of_track(&t->track[i])) > SAME_PLACE) return true;
    return false;
}

// A track that no detection continued is lost, and dropped after a while; one that was seen only once is
// dropped at once.
static void drop_tracks(struct tracker *t, double seconds)
{
    for (size_t i = 0; i < t->n_tracks; i++)
        if (!t->track[i].taken && t->track[i].state == TRACK_FOLLOWED) t->track[i].state = TRACK_LOST;
    size_t n = 0;
    for (size_t i = 0; i < t->n_tracks; i++) {
        const struct track *track = &t->track[i];
        const bool gone = track->state == TRACK_LOST ? seconds - track->seen > t->params.keep || covered(t, track)
                                                     : track->state == TRACK_NEW;
        if (!gone) t->track[n++] = *track;
    }
    t->n_tracks = n;
}

static void begin_tracks(struct tracker *t, double seconds, int32_t *out)
{
    for (size_t i = 0; i < t->n_detections; i++) {
        const struct detection *d = &t->detection[i];
        if (d->taken || !d->strong) continue;
        struct track *track = &t->track[t->n_tracks++];
        *track = (struct track){.state = TRACK_NEW, .class_id = d->object.class_id, .seen = seconds};
        begin_at(track, &d->object);
        if (t->begun) continue;
        track->state = TRACK_FOLLOWED;
        out[d->index] = track->id = t->next_id++;
    }
}

enum reel_err tracker_frame(struct tracker *t, uint32_t n, double seconds, const struct results *results, int32_t *out)
{
    const unsigned followed = 1u << TRACK_FOLLOWED, lost = 1u << TRACK_LOST, seen_once = 1u << TRACK_NEW;
    enum reel_err err = take_detections(t, results, out);
    if (!err) err = make_room(t);
    if (err) return err;
    uint32_t steps = t->begun ? n - t->last : 0;
    if (steps > MOST_STEPS) steps = MOST_STEPS;
    for (size_t i = 0; i < t->n_tracks; i++) {
        t->track[i].taken = false;
        for (uint32_t k = 0; k < steps; k++) predict(&t->track[i]);
    }
    err = round_of(t, followed | lost, true, LEAST_STRONG, seconds, out);
    if (!err) err = round_of(t, followed, false, LEAST_WEAK, seconds, out);
    if (!err) err = round_of(t, seen_once, true, LEAST_NEW, seconds, out);
    if (err) return err;
    drop_tracks(t, seconds);
    begin_tracks(t, seconds, out);
    t->begun = true;
    t->last = n;
    return REEL_OK;
}

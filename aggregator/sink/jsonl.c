// SPDX-License-Identifier: MIT
//
// .jsonl: one object per frame (docs/media.md, "Results"). A segment's lines are
// numbered from 0; the join counts them over the whole job.
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "aggregator/live/live.h"
#include "aggregator/post/masks.h"
#include "aggregator/sink/sink.h"
#include "common/json.h"

#define MATTE_LEVEL 128 // from here on a matte's pixel is foreground

struct jsonl {
    struct sink base;
    struct sink_text text;
    const struct plan *plan;
    struct labels *labels;
    uint32_t frames;
    uint64_t first; // number of the first line's frame
    // The line in the making.
    char *line;
    size_t used, room;
    bool failed;      // out of memory
    uint8_t *columns; // a mask, column by column
    size_t columns_room;
};

// ---- writing JSON -----------------------------------------------------------

static void put_bytes(struct jsonl *s, const char *data, size_t n)
{
    if (s->failed) return;
    if (s->room - s->used < n) {
        size_t room = (s->used + n) * 2;
        char *line = realloc(s->line, room);
        if (!line) {
            s->failed = true;
            return;
        }
        s->line = line;
        s->room = room;
    }
    memcpy(s->line + s->used, data, n);
    s->used += n;
}

static void put(struct jsonl *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void put(struct jsonl *s, const char *fmt, ...)
{
    char text[256];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (n > 0) put_bytes(s, text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1);
}

// With at most `digits` places and at least one; JSON knows no infinities.
static void put_number(struct jsonl *s, double v, int digits)
{
    if (!isfinite(v)) {
        put(s, "null");
        return;
    }
    char text[400];
    int n = snprintf(text, sizeof text, "%.*f", digits, v);
    while (n > 2 && text[n - 1] == '0' && text[n - 2] != '.') text[--n] = 0;
    put_bytes(s, strcmp(text, "-0.0") ? text : "0.0", strcmp(text, "-0.0") ? (size_t)n : 3);
}

static void put_string(struct jsonl *s, const char *text)
{
    char next[REEL_JSON_NEXT];
    put(s, "\"");
    for (size_t n; (n = reel_json_next(&text, next));) put_bytes(s, next, n);
    put(s, "\"");
}

static void put_class(struct jsonl *s, uint32_t set, int id)
{
    char number[16];
    put(s, "{\"class\":%d,\"label\":", id);
    put_string(s, labels_name(s->labels, set, id, number, sizeof number));
}

// ---- results ----------------------------------------------------------------

struct runs {
    struct jsonl *s;
    uint32_t last; // not written yet
    int n;
};

static void put_run(void *ctx, uint32_t run)
{
    struct runs *r = ctx;
    if (r->n) put(r->s, r->n > 1 ? ",%u" : "%u", r->last);
    r->last += run;
    if (r->n++) r->last = run;
}

// Column by column, as the runs go; a matte becomes classes 0 and 1.
static bool turn_mask(struct jsonl *s, const struct sink_frame *f, uint32_t count[256])
{
    size_t pixels = (size_t)f->mask_width * f->mask_height;
    if (s->columns_room < pixels) {
        uint8_t *columns = realloc(s->columns, pixels);
        if (!columns) return false;
        s->columns = columns;
        s->columns_room = pixels;
    }
    bool matte = s->plan->task == REEL_TASK_MATTE;
    for (uint32_t y = 0; y < f->mask_height; y++) {
        const uint8_t *row = f->mask + y * f->mask_stride;
        uint8_t *to = s->columns + y;
        for (uint32_t x = 0; x < f->mask_width; x++, to += f->mask_height) {
            *to = matte ? row[x] >= MATTE_LEVEL : row[x];
            count[*to]++;
        }
    }
    return true;
}

// The pixels of that number, all in columns [first, end), after turn_mask().
static void put_rle(struct jsonl *s, const struct sink_frame *f, int id, uint32_t first, uint32_t end)
{
    const uint32_t h = f->mask_height;
    if (end < f->mask_width) end++; // so that the last run is outside, or the picture's end
    struct runs runs = {s, first * h, 0};
    put(s, "\"rle\":{\"size\":[%u,%u],\"counts\":[", h, f->mask_width);
    masks_rle(s->columns + (size_t)first * h, 1, 1, (int)((end - first) * h), id, put_run, &runs);
    put(s, runs.n > 1 ? ",%u]}" : "%u]}", runs.last + (f->mask_width - end) * h);
}

static void put_mask_of(struct jsonl *s, const struct sink_frame *f, const struct reel_object *o, int number,
                        uint32_t pixels)
{
    const float w = (float)f->mask_width, x0 = floorf(o->x), x1 = ceilf(o->x + o->w);
    const uint32_t first = x0 > 0 ? x0 < w ? (uint32_t)x0 : f->mask_width : 0;
    const uint32_t end = x1 > x0 ? x1 < w ? (uint32_t)x1 : f->mask_width : first;
    put(s, ",\"pixels\":%u,", pixels);
    put_rle(s, f, number, first, end > first ? end : first);
}

// pixels: how many each has in the mask, by its number, from 1; NULL: there is none.
static void put_objects(struct jsonl *s, const struct sink_frame *f, const uint32_t *pixels)
{
    const struct results *r = f->results;
    const char *comma = "";
    put(s, ",\"objects\":[");
    for (uint32_t i = 0; i < r->head.count; i++) {
        if (!results_shown(r, i)) continue;
        struct reel_object o = results_object(r, i);
        put(s, "%s", comma);
        comma = ",";
        put_class(s, r->head.labels, o.class_id);
        if (results_track(r, i)) put(s, ",\"track\":%d", results_track(r, i));
        put(s, ",\"score\":");
        put_number(s, (double)o.score, 4);
        const float box[4] = {o.x, o.y, o.w, o.h};
        for (int k = 0; k < 4; k++) {
            put(s, k ? "," : ",\"box\":[");
            put_number(s, (double)box[k], 2);
        }
        put(s, "]");
        for (uint32_t k = 0; k < o.n_points; k++) {
            put(s, k ? ",[" : ",\"points\":[[");
            put_number(s, (double)o.point[k].x, 2);
            put(s, ",");
            put_number(s, (double)o.point[k].y, 2);
            put(s, ",");
            put_number(s, (double)o.point[k].score, 4);
            put(s, "]");
        }
        if (o.n_points) put(s, "]");
        if (pixels && i < 255) put_mask_of(s, f, &o, (int)i + 1, pixels[i + 1]);
        put(s, "}");
    }
    put(s, "]");
}

static void put_masked_objects(struct jsonl *s, const struct sink_frame *f)
{
    uint32_t pixels[256] = {0};
    if (f->mask && !turn_mask(s, f, pixels)) {
        s->failed = true;
        return;
    }
    put_objects(s, f, f->mask ? pixels : NULL);
}

static void put_classes(struct jsonl *s, const struct results *r)
{
    put(s, ",\"classes\":[");
    for (uint32_t i = 0; i < r->head.count; i++) {
        struct reel_class_score c = results_class(r, i);
        put(s, i ? "," : "");
        put_class(s, r->head.labels, c.class_id);
        put(s, ",\"score\":");
        put_number(s, (double)c.score, 6);
        put(s, "}");
    }
    put(s, "]");
}

static void put_segments(struct jsonl *s, const struct sink_frame *f)
{
    uint32_t count[256] = {0};
    if (!turn_mask(s, f, count)) {
        s->failed = true;
        return;
    }
    put(s, ",\"segments\":[");
    bool any = false;
    for (int id = s->plan->task == REEL_TASK_MATTE ? 1 : 0; id < 256; id++) {
        if (!count[id]) continue;
        put(s, any ? "," : "");
        any = true;
        put_class(s, f->results->head.labels, id);
        put(s, ",\"pixels\":%u,", count[id]);
        put_rle(s, f, id, 0, f->mask_width);
        put(s, "}");
    }
    put(s, "]");
}

static enum reel_err put_tensors(struct jsonl *s, const struct results *r)
{
    put(s, ",\"tensors\":[");
    uint32_t at = 0;
    for (uint32_t i = 0; i < r->head.count; i++) {
        struct reel_result_tensor t;
        if (r->head.bytes - at < sizeof t)
            return reel_fail(REEL_ERR_PROTO, "could not read results: a tensor is cut off");
        memcpy(&t, r->items + at, sizeof t);
        at += sizeof t;
        if (t.bytes > r->head.bytes - at || t.ndim > 8)
            return reel_fail(REEL_ERR_PROTO, "could not read results: a tensor is cut off");
        t.name[sizeof t.name - 1] = 0;
        put(s, i ? ",{\"name\":" : "{\"name\":");
        put_string(s, t.name);
        put(s, ",\"shape\":[");
        for (uint32_t k = 0; k < t.ndim; k++) put(s, k ? ",%lld" : "%lld", (long long)t.dim[k]);
        put(s, "],\"data\":[");
        for (uint32_t k = 0; k < t.bytes / 4; k++) {
            float v;
            memcpy(&v, r->items + at + 4 * (size_t)k, sizeof v);
            put(s, k ? "," : "");
            if (isfinite(v))
                put(s, "%.9g", (double)v);
            else
                put(s, "null");
        }
        put(s, "]}");
        at += t.bytes; // at most what is left: the padding of the last one may be missing
        const uint32_t pad = (8 - t.bytes % 8) % 8, left = r->head.bytes - at;
        at += pad < left ? pad : left;
    }
    put(s, "]");
    return REEL_OK;
}

// ---- the sink ---------------------------------------------------------------

static void jsonl_close(struct jsonl *s)
{
    sink_text_abandon(&s->text);
    labels_free(&s->labels);
    free(s->columns);
    free(s->line);
    free(s);
}

static enum reel_err jsonl_open(const struct sink_params *params, struct sink **out_sink)
{
    struct jsonl *s = calloc(1, sizeof *s);
    if (!s) return reel_fail(REEL_ERR_NOMEM, "could not open a part: out of memory");
    s->base.ops = &sink_jsonl;
    s->plan = params->plan;
    s->first = params->live ? live_frames(params->live) : 0;
    const struct reel_settings *set = params->plan->settings;
    enum reel_task task = params->plan->task;
    const char *path = task == REEL_TASK_DETECT     ? set->detect.labels
                       : task == REEL_TASK_CLASSIFY ? set->classify.labels
                                                    : set->segment.labels;
    enum reel_err err = labels_load(path, set->model, &s->labels);
    if (!err) err = sink_text_begin(&s->text, params);
    if (err)
        jsonl_close(s);
    else
        *out_sink = &s->base;
    return err;
}

static enum reel_err jsonl_put(struct sink *sink, const struct sink_frame *f)
{
    struct jsonl *s = (struct jsonl *)sink;
    const struct reel_media *m = &s->plan->media;
    enum reel_err err = REEL_OK;
    s->used = 0;
    put(s, "{\"frame\":%llu,\"pts\":", (unsigned long long)(s->first + s->frames++));
    put_number(s, m->time_base.den ? (double)f->pts * m->time_base.num / m->time_base.den : NAN, 6);
    switch (s->plan->task) {
    case REEL_TASK_CLASSIFY:
        put_classes(s, f->results);
        break;
    case REEL_TASK_SEGMENT:
    case REEL_TASK_MATTE:
        if (f->mask)
            put_segments(s, f);
        else
            put(s, ",\"segments\":[]");
        break;
    case REEL_TASK_TENSOR:
        err = put_tensors(s, f->results);
        break;
    default:
        put_masked_objects(s, f);
    }
    if (f->results->head.dropped) put(s, ",\"dropped\":%u", f->results->head.dropped);
    put(s, f->filled_in ? ",\"quarantined\":true}\n" : "}\n");
    if (!err && s->failed) err = reel_fail(REEL_ERR_NOMEM, "could not write results: out of memory");
    return err ? err : sink_text_write(&s->text, s->line, s->used);
}

static enum reel_err jsonl_finish(struct sink *sink, struct sink_done *out)
{
    struct jsonl *s = (struct jsonl *)sink;
    out->frames = s->frames;
    enum reel_err err = sink_text_commit(&s->text, out);
    jsonl_close(s);
    return err;
}

static void jsonl_abandon(struct sink *sink)
{
    jsonl_close((struct jsonl *)sink);
}

// ---- join -------------------------------------------------------------------

// The frame's number counts through the segments.
static enum reel_err append_line(struct sink_text *out, uint32_t segment, const char *line, size_t n, uint64_t *frames)
{
    static const char begin[] = "{\"frame\":";
    char number[32];
    if (n < sizeof begin || strncmp(line, begin, sizeof begin - 1) || line[n - 1] != '\n')
        return reel_fail(REEL_ERR_INPUT, "a line is not a frame");
    const char *rest = line + sizeof begin - 1;
    rest += strspn(rest, "0123456789");
    int digits = snprintf(number, sizeof number, "%s%llu", begin, (unsigned long long)(*frames)++);
    enum reel_err err = sink_text_write(out, number, (size_t)digits);
    return err ? err : sink_text_write(out, rest, (size_t)(line + n - rest));
}

static enum reel_err jsonl_join(const struct sink_join *join, struct reel_rec_muxed *out)
{
    return sink_text_join(join, append_line, out);
}

const struct sink_ops sink_jsonl = {
    .name = "jsonl",
    .open = jsonl_open,
    .put = jsonl_put,
    .finish = jsonl_finish,
    .abandon = jsonl_abandon,
    .verify = sink_verify_file,
    .join = jsonl_join,
};

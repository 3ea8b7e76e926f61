// SPDX-License-Identifier: MIT
//
// device.h: slots of the device, their events and the order between three
// streams. Kernels are enqueued by image.c on the program's own stream.
#include "worker/device/device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/life.h"
#include "common/log.h"
#include "worker/device/image.h"
#include "worker/device/pick.h"
#include "worker/device/states.h"
#include "worker/task/between.h"

struct buffer {
    void *p;
    size_t bytes;
};

struct device_slot {
    struct task *task;
    struct engine *engine;
    struct task_frame frame;
    uint64_t token;
    struct buffer in, out;               // on the device, laid out as the host's slots
    struct buffer outputs;               // host: what is finished here: outputs, picked cells, small pictures of a cut
    struct buffer count;                 // on the device: of picked cells, or those small pictures
    enum device_rest rest;               // how it goes on behind the network
    size_t output_at[MODEL_MAX_OUTPUTS]; // offsets in it
    struct backend_device_tensor output[MODEL_MAX_OUTPUTS];
    void *uploaded, *computed, *done; // events
    void *begun, *ran;                // before its feed, behind its batch's run; with times alone
    int image;                        // of its batch
    enum reel_err err;                // of its batch's run
    char text[256];                   // then
    int64_t begin_us;
};

// Sums over frames, for one line of the log where it is asked for.
struct times {
    int frames;
    double run_us, rest_us, download_us; // on the device
    int64_t begin_us, waited_us;         // the host's clock
};

struct device {
    const struct device_ops *ops;
    void *upload, *download; // streams; the program has its own
    struct device_slot slot[DEVICE_FRAMES];
    int room;         // slots that are in use: each has its own buffers
    int first, count; // in work: slot[first], ... in order
    int open;         // the last ones of them: fed, the network's run is to come
    int64_t last_end_us;
    bool timed;
    struct times times;
};

static void run_open(struct device *d);

static struct device_slot *slot_at(struct device *d, int i)
{
    return &d->slot[(d->first + i) % d->room];
}

// ---- making ----------------------------------------------------------------------

const struct device_ops *device_ops_of(unsigned backend_caps)
{
    if (!(backend_caps & BACKEND_DEVICE_MEMORY)) return NULL;
    return backend_caps & BACKEND_DEVICE_IS_HOST ? &device_ops_host : device_ops_cuda();
}

enum reel_err device_create(const struct device_ops *ops, int number, struct device **out_device)
{
    struct device *d = calloc(1, sizeof *d);
    if (!d) return reel_fail(REEL_ERR_NOMEM, "could not open a device: out of memory");
    d->ops = ops;
    d->room = DEVICE_FRAMES;
    d->timed = reel_log_level_get() >= REEL_LOG_DEBUG;
    enum reel_err err = ops->open(number);
    if (!err) err = ops->stream_create(&d->upload);
    if (!err) err = ops->stream_create(&d->download);
    for (int i = 0; i < DEVICE_FRAMES && !err; i++) {
        err = ops->event_create(&d->slot[i].uploaded);
        if (!err) err = ops->event_create(&d->slot[i].computed);
        if (!err) err = ops->event_create(&d->slot[i].done);
        if (!err && d->timed) err = ops->event_create(&d->slot[i].begun);
        if (!err && d->timed) err = ops->event_create(&d->slot[i].ran);
    }
    if (err)
        device_destroy(&d);
    else
        *out_device = d;
    return err;
}

void device_destroy(struct device **device)
{
    struct device *d = *device;
    if (!d) return;
    run_open(d);
    for (int i = 0; i < d->count; i++) d->ops->event_sync(slot_at(d, i)->done);
    for (int i = 0; i < DEVICE_FRAMES; i++) {
        struct device_slot *s = &d->slot[i];
        if (s->in.p) d->ops->free(s->in.p);
        if (s->out.p) d->ops->free(s->out.p);
        if (s->count.p) d->ops->free(s->count.p);
        if (s->outputs.p) d->ops->host_free(s->outputs.p);
        if (s->uploaded) d->ops->event_destroy(&s->uploaded);
        if (s->computed) d->ops->event_destroy(&s->computed);
        if (s->done) d->ops->event_destroy(&s->done);
        if (s->begun) d->ops->event_destroy(&s->begun);
        if (s->ran) d->ops->event_destroy(&s->ran);
    }
    if (d->upload) d->ops->stream_destroy(&d->upload);
    if (d->download) d->ops->stream_destroy(&d->download);
    free(d);
    *device = NULL;
}

bool device_lost(const struct device *d)
{
    return d->ops->lost();
}

void device_pin(struct device *d, const struct device_pin *want, struct device_pin *have)
{
    if (want->p == have->p && want->bytes == have->bytes && want->memory == have->memory) return;
    if (have->p) d->ops->unpin(have->p);
    *have = (struct device_pin){0};
    if (!want->p) return;
    int64_t begin_us = reel_now_us();
    if (d->ops->pin(want->p, want->bytes)) {
        reel_warn("device", "slots are not pinned, copies are slow: %s", reel_fail_text());
        return;
    }
    *have = *want;
    reel_debug("device", "pinned %.1f MB in %.1f ms", (double)want->bytes / 1e6,
               (double)(reel_now_us() - begin_us) / 1e3);
}

bool device_takes(const struct device *d, const struct task *task, struct engine *engine)
{
    return engine_has_device(engine) && device_image_can(task, engine);
}

bool device_failed(const struct device *d)
{
    return d->count && d->slot[(d->first + d->count - 1) % d->room].err != REEL_OK;
}

bool device_writes(const struct device *d, const struct task *task, struct engine *engine)
{
    return device_takes(d, task, engine) && device_image_writes(task, engine);
}

int device_in_work(const struct device *d)
{
    return d->count;
}

// Where the device's time goes, over the frames since the last line.
static void say_times(struct device *d)
{
    const struct times *t = &d->times;
    double n = 1e3 * t->frames;
    if (t->frames)
        reel_debug(
            "device",
            "%d frames, ms each: %.2f from one to the next, %.2f on the program's stream (feed and network %.2f, "
            "behind it %.2f), download %.2f; the host waited %.2f",
            t->frames, (double)(d->last_end_us - t->begin_us) / n, (t->run_us + t->rest_us) / n, t->run_us / n,
            t->rest_us / n, t->download_us / n, (double)t->waited_us / n);
    d->times = (struct times){0};
}

// A frame that is over; the host waited for it since from_us.
static void add_times(struct device *d, const struct device_slot *s, int64_t from_us)
{
    struct times *t = &d->times;
    bool fetched = s->rest == DEVICE_REST_PLANES && !s->frame.out_on_gpu;
    double run_us = 0, rest_us = 0, download_us = 0;
    if (!t->frames++) t->begin_us = s->begin_us;
    t->waited_us += reel_now_us() - from_us;
    // A batch's run counts once.
    enum reel_err err = s->image ? REEL_OK : d->ops->event_elapsed_us(s->begun, s->ran, &run_us);
    if (!err) err = d->ops->event_elapsed_us(s->ran, fetched ? s->computed : s->done, &rest_us);
    if (!err && fetched) err = d->ops->event_elapsed_us(s->computed, s->done, &download_us);
    t->run_us += run_us, t->rest_us += rest_us, t->download_us += download_us;
}

void device_forget(struct device *d, struct task *task)
{
    if (d->timed) say_times(d);
    device_image_destroy(&task->device);
    device_states_destroy(&task->device_states);
}

// ---- a frame in -------------------------------------------------------------------------

// Nothing of the slot is in work: its buffers may change.
static enum reel_err grow(struct device *d, struct buffer *b, size_t bytes, bool host)
{
    if (bytes <= b->bytes) return REEL_OK;
    if (b->p) (host ? d->ops->host_free : d->ops->free)(b->p);
    *b = (struct buffer){0};
    enum reel_err err = (host ? d->ops->host_alloc : d->ops->alloc)(bytes, &b->p);
    if (!err) b->bytes = bytes;
    return err;
}

// The frame's part of the network's outputs to the host, on the program's
// stream: the next run waits for it.
static enum reel_err fetch_outputs(struct device *d, struct device_slot *s, void *stream)
{
    size_t bytes = 0, size[MODEL_MAX_OUTPUTS];
    int n = engine_output_count(s->engine);
    enum reel_err err = REEL_OK;
    for (int i = 0; i < n && !err; i++) {
        if ((err = engine_device_image(s->engine, i, s->image, &s->output[i]))) break;
        const struct backend_device_tensor *t = &s->output[i];
        size_t elements = (size_t)t->n * (size_t)t->h * (size_t)t->w * (t->nhwc ? t->pixel_stride : (size_t)t->c);
        s->output_at[i] = bytes;
        size[i] = elements * reel_dtype_bytes(t->dtype);
        bytes += (size[i] + 255) / 256 * 256;
    }
    if (!err) err = grow(d, &s->outputs, bytes, true);
    for (int i = 0; i < n && !err; i++)
        err = d->ops->download((uint8_t *)s->outputs.p + s->output_at[i], s->output[i].data, size[i], stream);
    return err;
}

// The rows y0 <= y < y1 of each plane of the output slot's pictures.
static enum reel_err fetch_rows(struct device *d, const struct device_slot *s, int y0, int y1)
{
    const struct reel_geometry *g = &s->task->out;
    const int planes = reel_format_planes(g->format);
    enum reel_err err = REEL_OK;
    for (int i = 0; i < planes * (int)g->pictures && !err; i++) {
        const int plane = i % planes;
        uint32_t w, h;
        reel_plane_size(g, plane, &w, &h);
        uint32_t f = h == g->height ? 1 : 1u << g->format.log2_chroma_h, begin = (uint32_t)y0 / f;
        uint32_t end = ((uint32_t)y1 + f - 1) / f;
        size_t at = (size_t)(i / planes) * g->picture_bytes + g->plane_offset[plane];
        at += (size_t)begin * g->plane_stride[plane];
        size_t bytes = (size_t)(end - begin) * g->plane_stride[plane];
        err = d->ops->download(s->frame.out + at, (uint8_t *)s->out.p + at, bytes, d->download);
    }
    return err;
}

// The pictures of the slots that the network sees, on the device, where they do not
// lie there.
static enum reel_err bring_in(struct device *d, struct device_slot *s, void *stream)
{
    if (s->frame.in_on_gpu) return REEL_OK;
    const size_t from = REEL_STAMP_BYTES, bytes = s->task->in.aux_offset;
    const int frames = s->task->model->input.frames;
    enum reel_err err = grow(d, &s->in, (size_t)frames * bytes, false);
    for (int i = 0; i < frames && !err; i++)
        err = d->ops->upload((uint8_t *)s->in.p + (size_t)i * bytes + from, task_seen(s->task, &s->frame, i) + from,
                             bytes - from, d->upload);
    if (!err) err = d->ops->event_record(s->uploaded, d->upload);
    return err ? err : d->ops->stream_wait(stream, s->uploaded);
}

// The picture or mask behind the network, and its way to the output slot.
static enum reel_err enqueue_picture(struct device *d, struct device_slot *s, struct device_frame *f)
{
    const struct device_ops *ops = d->ops;
    int y0, y1;
    bool direct = s->frame.out_on_gpu;
    enum reel_err err = direct ? REEL_OK : grow(d, &s->out, s->task->out.aux_offset, false);
    f->out = direct ? s->frame.out : s->out.p;
    if (!err) err = device_image_write(s->task->device, s->engine, f, &y0, &y1);
    if (!err) err = ops->event_record(direct ? s->done : s->computed, f->stream);
    if (err || direct) return err;
    err = ops->stream_wait(d->download, s->computed);
    if (!err) err = fetch_rows(d, s, y0, y1);
    return err ? err : ops->event_record(s->done, d->download);
}

static struct device_frame frame_of(const struct device_slot *s)
{
    const int frames = s->task->model->input.frames;
    struct device_frame f = {.part = s->frame.part, .image = s->image, .stream = engine_stream(s->engine)};
    for (int i = 0; i < frames; i++)
        f.seen[i] = s->frame.in_on_gpu ? task_seen(s->task, &s->frame, i)
                                       : (const uint8_t *)s->in.p + (size_t)i * s->task->in.aux_offset;
    f.in = f.seen[s->task->model->input.pair ? 0 : frames / 2];
    return f;
}

// Cells of high scores, by the program's stream into host memory.
static enum reel_err pick_cells(struct device *d, struct device_slot *s, const struct device_frame *f)
{
    struct device_image *image = s->task->device;
    enum reel_err err = grow(d, &s->outputs, device_pick_bytes(device_image_pick(image)), true);
    if (!err) err = grow(d, &s->count, sizeof(uint32_t), false);
    return err ? err : device_image_pick_cells(image, s->engine, f, s->count.p, s->outputs.p);
}

// Whether there is nothing to do for a frame but to say so: nothing lies behind the last.
static bool is_idle(const struct device_slot *s)
{
    return s->task->model->input.between && !s->frame.after;
}

// The small pictures by which a cut is seen, for finish(): nobody waits for them here, so
// that what is made across a cut is made for nobody.
static enum reel_err look_for_cut(struct device *d, struct device_slot *s, const struct device_frame *f)
{
    size_t bytes;
    enum reel_err err = grow(d, &s->count, 2 * CUT_SMALL_BYTES, false);
    if (!err) err = grow(d, &s->outputs, 2 * CUT_SMALL_BYTES, true);
    if (!err) err = device_image_shrink(s->task->device, f, s->count.p, &bytes);
    return err ? err : d->ops->download(s->outputs.p, s->count.p, 2 * bytes, f->stream);
}

static enum reel_err enqueue_nothing(struct device *d, struct device_slot *s, void *stream)
{
    enum reel_err err = d->ops->event_record(s->computed, stream);
    return err ? err : d->ops->event_record(s->done, stream);
}

// What comes after the network.
static enum reel_err enqueue_rest(struct device *d, struct device_slot *s)
{
    struct device_frame f = frame_of(s);
    s->rest = device_image_rest(s->task->device);
    if (is_idle(s)) return enqueue_nothing(d, s, f.stream);
    if (s->rest == DEVICE_REST_PLANES) return enqueue_picture(d, s, &f);
    if (s->frame.out_on_gpu)
        return reel_fail(REEL_ERR_FAULT, "could not finish a frame: its slot is on the device, its results are not");
    enum reel_err err = s->rest == DEVICE_REST_CELLS ? pick_cells(d, s, &f) : fetch_outputs(d, s, f.stream);
    return err ? err : d->ops->event_record(s->done, f.stream);
}

// Nothing of the slot outlives this.
static void let_be(struct device *d, struct device_slot *s)
{
    if (!d->ops->event_record(s->uploaded, d->upload)) d->ops->event_sync(s->uploaded);
    if (!d->ops->event_record(s->computed, engine_stream(s->engine))) d->ops->event_sync(s->computed);
    if (!d->ops->event_record(s->done, d->download)) d->ops->event_sync(s->done);
}

// The run of the frames that have been fed, and what follows for each. A
// failure is theirs: device_finish() tells.
static void run_open(struct device *d)
{
    if (!d->open) return;
    int from = d->count - d->open;
    struct device_slot *first = slot_at(d, from);
    enum reel_err err =
        device_image_many(first->task->device) ? REEL_OK : device_states_run(d->ops, first->task, first->engine, 0);
    for (int i = from; i < d->count; i++) {
        struct device_slot *s = slot_at(d, i);
        if (!err && d->timed) err = d->ops->event_record(s->ran, engine_stream(s->engine));
        if (!err) s->err = enqueue_rest(d, s);
        if (err) s->err = err;
        if (!s->err) continue;
        snprintf(s->text, sizeof s->text, "%s", reel_fail_text());
        let_be(d, s);
    }
    d->open = 0;
}

// The picture on the device and in the network's input.
static enum reel_err feed(struct device *d, struct device_slot *s)
{
    struct task *task = s->task;
    if (task->device_engine != engine_serial(s->engine)) device_image_destroy(&task->device);
    enum reel_err err = task->device ? REEL_OK : device_image_create(d->ops, task, s->engine, &task->device);
    if (err) return err;
    task->device_engine = engine_serial(s->engine);
    if (!is_idle(s)) err = bring_in(d, s, engine_stream(s->engine));
    if (!err && d->timed) err = d->ops->event_record(s->begun, engine_stream(s->engine));
    if (err || is_idle(s)) return err;
    struct device_frame f = frame_of(s);
    if (task->model->input.between) err = look_for_cut(d, s, &f);
    return err ? err : device_image_feed(task->device, &f);
}

bool device_full(const struct device *d, const struct engine *engine)
{
    return d->count >= DEVICE_BATCHES * engine_batch(engine) || (d->count && d->count >= d->room);
}

enum reel_err device_submit(struct device *d, struct task *task, struct engine *engine, const struct task_frame *frame,
                            uint64_t token)
{
    if (d->count >= DEVICE_FRAMES || device_full(d, engine))
        return reel_fail(REEL_ERR_FAULT, "could not start a frame: the device is full");
    if (d->open && slot_at(d, d->count - 1)->engine != engine) run_open(d);
    // No more buffers than can be in use: large pictures fill a GPU.
    if (!d->count) d->room = DEVICE_BATCHES * engine_batch(engine), d->first = 0;
    struct device_slot *s = slot_at(d, d->count);
    s->task = task;
    s->engine = engine;
    s->frame = *frame;
    s->token = token;
    s->image = d->open;
    s->err = REEL_OK;
    s->begin_us = reel_now_us();
    enum reel_err err = feed(d, s);
    if (err) {
        let_be(d, s); // parts of it may be under way
        return err;
    }
    d->count++;
    if (++d->open == engine_batch(engine)) run_open(d);
    return REEL_OK;
}

// ---- and out --------------------------------------------------------------------------------

static enum reel_err finish(struct device_slot *s)
{
    struct task *task = s->task;
    if (task->model->input.between) {
        between_say(task, &s->frame, !is_idle(s) && !device_image_is_cut(task->device, s->frame.n, s->outputs.p));
        return REEL_OK;
    }
    if (s->rest == DEVICE_REST_PLANES) {
        if (!s->frame.part) task_put_results(task, &s->frame, task->model->task, NULL, 0, 1);
        return REEL_OK;
    }
    if (s->rest == DEVICE_REST_CELLS)
        return device_pick_finish(device_image_pick(task->device), task, &s->frame, s->outputs.p);
    for (int i = 0; i < engine_output_count(s->engine); i++) {
        enum reel_err err =
            engine_put_output(s->engine, i, &s->output[i], (const uint8_t *)s->outputs.p + s->output_at[i]);
        if (err) return err;
    }
    return task->ops->finish(task, s->engine, &s->frame);
}

bool device_ready(const struct device *d)
{
    const struct device_slot *s = &d->slot[d->first];
    return !d->count || d->open == d->count || s->err || d->ops->event_query(s->done) != REEL_AGAIN;
}

enum reel_err device_finish(struct device *d, struct task_frame *out_frame, uint64_t *out_token)
{
    if (!d->count) return reel_fail(REEL_ERR_FAULT, "could not finish a frame: the device has none");
    if (d->open == d->count) run_open(d); // nothing else is under way: no fuller one to wait for
    struct device_slot *s = &d->slot[d->first];
    int64_t from_us = reel_now_us();
    enum reel_err err = s->err ? reel_fail(s->err, "%s", s->text) : d->ops->event_sync(s->done);
    if (!err && d->timed) add_times(d, s, from_us);
    int64_t end_us = reel_now_us(), begin_us = s->begin_us > d->last_end_us ? s->begin_us : d->last_end_us;
    // What the frame cost beside those in front of it.
    s->frame.run_us = end_us - begin_us;
    d->last_end_us = end_us;
    if (!err) err = finish(s);
    *out_frame = s->frame;
    *out_token = s->token;
    d->first = (d->first + 1) % d->room;
    d->count--;
    return err;
}

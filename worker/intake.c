// SPDX-License-Identifier: MIT
//
// What the coordinator says to a worker: lanes open and close, shapes are
// asked for, frames are queued. main.c calls it between frames, so that a lane
// that closes holds no frame in work.
#include <stdio.h>
#include <string.h>

#include "common/child_rings.h"
#include "common/life.h"
#include "common/log.h"
#include "worker/pictures.h"
#include "worker/tiling.h"
#include "worker/worker.h"

// ---- tasks ----------------------------------------------------------------

// exchange: bands may give each other rows.
static void settle_tiles(struct worker *w, struct view_params *p, bool exchange)
{
    const int parts = p->parts;
    const int64_t most = p->tile_pixels ? p->tile_pixels : TILING_WHOLE_PIXELS;
    bool dynamic = p->net_w <= 0 || p->net_h <= 0, large = (int64_t)p->src_w * p->src_h > most;
    // A grid of the whole picture is not one of a tile.
    bool may = !strcmp(w->child.settings.tile, "auto") && w->model.input.planes < MODEL_PLANES;
    if (w->model.output.levels) return; // nor are its values those of a tile
    if (p->fit == MODEL_TILES)
        tiling_reach(p, engines_reach(w->engines, &w->model, false));
    else if (dynamic && w->model.task == REEL_TASK_IMAGE && ((large && may) || p->parts > 1))
        tiling_choose(p, engines_reach(w->engines, &w->model, false), engines_reach(w->engines, &w->model, true), may);
    // Of frames that go through whole otherwise, so that the bytes are the same.
    if (!exchange || !w->team || !dynamic || w->model.task != REEL_TASK_IMAGE || p->fit != MODEL_WHOLE) return;
    const struct bands_need *need = engines_bands(w->engines);
    if (parts < 2 || p->parts > 1 || p->tile_pixels) return;
    if (!need->fit)
        reel_debug("intake", "workers of one frame exchange no rows: %s", need->why);
    else if (!tiling_exchange(p, parts, engines_reach(w->engines, &w->model, true), need))
        reel_debug("intake", "workers of one frame exchange no rows: their bands would be too small");
}

// Pixels that keep a GPU busy in one run: smaller pictures go several at once.
#define BUSY_PIXELS (1 << 20)

int intake_batch(struct worker *w, int net_w, int net_h)
{
    int wish = w->child.settings.batch;
    if (!w->device || w->model.input.between) return 1;
    if (!wish)
        for (wish = DEVICE_BATCH; wish > 1 && (int64_t)wish * net_w * net_h > BUSY_PIXELS;) wish /= 2;
    return engines_batch(w->engines, &w->model, net_w, net_h, wish < DEVICE_BATCH ? wish : DEVICE_BATCH);
}

static void count_step(void *user)
{
    reel_stat_add(&((struct worker *)user)->child.row->progress, 1);
}

// Settles where pictures of this size go; ops->open comes later, when the
// output's geometry is known.
static enum reel_err setup_task(struct worker *w, uint32_t job_id, const struct reel_media *media,
                                const struct reel_geometry *in, uint32_t parts, uint32_t tile_pixels, bool exchange,
                                struct task *out_task)
{
    struct reel_job job;
    enum reel_err err = reel_jobs_get(w->child.jobs, job_id, &job);
    if (err) return err;
    *out_task =
        (struct task){.settings = &w->child.settings, .media = *media, .in = *in, .on_step = count_step, .user = w};
    if (in->format.layout == REEL_PIX_NONE || !in->width || !in->height)
        return reel_fail(REEL_ERR_INPUT, "could not read frames: they have no picture");
    out_task->view.parts = 1;
    if (!w->has_model) {
        out_task->ops = &task_sim;
        out_task->view.parts = (int)parts;
        return REEL_OK;
    }
    out_task->model = &w->model;
    out_task->ops = w->model.input.between ? &task_between : task_find(w->model.task);
    if (!out_task->ops) return reel_fail(REEL_ERR_UNSUPPORTED, "could not use model: no task fits its outputs");
    const struct model_facts *facts = engines_facts(w->engines);
    out_task->numbers = out_task->ops == &task_flow && job.kind == REEL_OUTPUT_FLO;
    out_task->n_outputs = facts->n_out;
    for (int i = 0; i < facts->n_out; i++) out_task->output_names[i] = facts->out[i].name;
    struct view_params p = {.fit = w->model.input.fit,
                            .src_w = (int)in->width,
                            .src_h = (int)in->height,
                            .net_w = w->model.input.width,
                            .net_h = w->model.input.height,
                            .size_multiple = w->model.input.size_multiple,
                            .parts = w->model.task == REEL_TASK_IMAGE && w->model.input.frames == 1 ? (int)parts : 1,
                            .tile_pixels = tile_pixels};
    settle_tiles(w, &p, exchange);
    if ((err = view_init(&out_task->view, &p))) return err;
    // Of tiles a frame is several runs, of bands it is a part of one.
    const struct view *v = &out_task->view;
    out_task->batch = v->fit == MODEL_TILES || v->parts > 1 ? 1 : intake_batch(w, v->net_w, v->net_h);
    return engines_infer(w->engines, &w->model, out_task->view.net_w, out_task->view.net_h, out_task->out_shapes);
}

static void fini_task(struct worker *w, struct task *task)
{
    if (w->device) device_forget(w->device, task);
    if (task->ops && task->ops->close) task->ops->close(task);
    task_free_scratch(task);
    engine_states_destroy(&task->states);
    pictures_give_back(&task->pictures);
    *task = (struct task){0};
}

static void say_parts(struct worker *w, uint32_t job, const struct view *v)
{
    double rows = (double)v->net_h * v->n_y / v->parts / v->src_h;
    if (v->margin)
        reel_child_note(&w->child, REEL_LOG_INFO, job,
                        "each frame is split over %d workers, in bands that exchange rows between the network's "
                        "layers: each computes %.0f%% of the rows",
                        v->parts, 100 * rows);
    else if (v->parts > 1)
        reel_child_note(&w->child, REEL_LOG_INFO, job,
                        "each frame is split over %d workers, in bands that overlap by the network's receptive field: "
                        "each computes %.0f%% of the rows",
                        v->parts, 100 * rows);
    else
        reel_child_note(&w->child, REEL_LOG_WARN, job,
                        "--split spatial has no effect here: for this network's receptive field, bands of %dx%d frames "
                        "would give different pixels or save no work; each frame goes whole to one worker",
                        v->src_w, v->src_h);
}

// What tiles are to the uncut picture. Tiles of a stated size may end behind it:
// then its edge pixels are repeated where uncut the network pads.
static const char *tiles_are(const struct view *v, int multiple)
{
    if (!v->exact) return "blended where they overlap, because the model's receptive field is larger than the overlap";
    if (v->bits) return "overlapping by the network's receptive field: the same pixels as untiled";
    if (v->pad_w - v->src_w < multiple && v->pad_h - v->src_h < multiple)
        return "overlapping by the network's receptive field: the same pixels as untiled, except for rounding";
    return "overlapping by the network's receptive field: the same pixels as untiled, except for rounding and the "
           "right and lower edges";
}

static void say_tiles(struct worker *w, uint32_t job, const struct view *v, uint32_t tile_pixels)
{
    if (v->fit != MODEL_TILES || v->n_x * v->n_y < 2 || v->margin) return;
    int multiple = w->model.input.size_multiple > 1 ? w->model.input.size_multiple : 1;
    reel_child_note(&w->child, REEL_LOG_INFO, job, "frames of %dx%d are cut into %d x %d tiles of %dx%d%s, %s",
                    v->src_w, v->src_h, v->n_x, v->n_y, v->net_w, v->net_h, tile_pixels ? " for lack of memory" : "",
                    tiles_are(v, multiple));
}

#define TILE_LEAST 4096 // pixels: smaller tiles are mostly overlap

// Settles the task and compiles its network: that is the memory trial, and the
// first frame finds it done. Frames for which there is no room whole are cut into
// tiles, into smaller ones until they fit, where the field of the network makes
// the same pixels of them. What is found here holds for all workers and resumes.
static enum reel_err try_task(struct worker *w, const struct reel_rec_shape *rec, struct task *out_task,
                              struct engine **out_engine, uint32_t *out_tile_pixels)
{
    // It may take the place of an engine that frames under way are computed by.
    enum reel_err err = batch_drain(w);
    if (err) return err;
    uint32_t most = rec->tile_pixels;
    char why[REEL_TEXT_BYTES] = "";
    bool exchange = rec->exchange;
    for (int64_t tried = INT64_MAX;;) {
        err = setup_task(w, rec->job, &rec->media, &rec->in, rec->parts, most, exchange, out_task);
        if (err || !w->has_model) break;
        const struct view *v = &out_task->view;
        if (v->margin && !(err = batch_band_engine(w, out_task, 0, out_engine))) break;
        if (v->margin && err == REEL_ERR_UNSUPPORTED) { // by the sizes that it has here
            reel_debug("intake", "workers of one frame exchange no rows: %s", reel_fail_text());
            exchange = false;
            continue;
        }
        const int64_t pixels = (int64_t)v->net_w * v->net_h;
        if (*why && (pixels >= tried || !v->exact)) { // nothing smaller gives the same pixels
            err = reel_fail(REEL_ERR_NOMEM, "%s\nset a size with --tile WxH, or use fewer --workers_per_gpu", why);
            break;
        }
        if (!v->margin) err = batch_engine(w, out_task, out_engine);
        const bool may = w->model.task == REEL_TASK_IMAGE && w->model.input.width <= 0 && !w->model.output.levels &&
                         !strcmp(w->child.settings.tile, "auto");
        if (err != REEL_ERR_NOMEM || !may || rec->tile_pixels || pixels / 2 < TILE_LEAST) break;
        snprintf(why, sizeof why, "%s", reel_fail_text());
        tried = pixels;
        most = (uint32_t)(pixels / 2);
    }
    *out_tile_pixels = most;
    return err;
}

static enum reel_err shape_of(struct worker *w, const struct reel_rec_shape *rec, struct reel_rec_shaped *out_shaped)
{
    struct task task;
    struct engine *engine = NULL;
    if (rec->parts < 1 || rec->parts > REEL_MAX_PARTS)
        return reel_fail(REEL_ERR_PROTO, "could not work on frames in %u parts", rec->parts);
    *out_shaped = (struct reel_rec_shaped){.job = rec->job};
    enum reel_err err = try_task(w, rec, &task, &engine, &out_shaped->tile_pixels);
    if (err) return err;
    out_shaped->task = task_told_of(&task);
    out_shaped->parts = (uint32_t)task.view.parts;
    out_shaped->exchange = task.view.margin > 0;
    if ((err = task.ops->shape(&task, out_shaped))) return err;
    // Device memory that is the host's is read and written like any other.
    out_shaped->reads_device = out_shaped->writes_device = w->child.mem_kind == REEL_MEM_HOST;
    if (!w->has_model) return REEL_OK;
    if (rec->parts > 1) say_parts(w, rec->job, &task.view);
    say_tiles(w, rec->job, &task.view, out_shaped->tile_pixels);
    if (reel_child_on_gpu(&w->child) && w->device && device_takes(w->device, &task, engine)) {
        out_shaped->reads_device = 1;
        out_shaped->writes_device = device_writes(w->device, &task, engine);
    }
    out_shaped->memory_bytes = engine_memory_bytes(engine) + task_memory_bytes(&task, out_shaped);
    return REEL_OK;
}

static enum reel_err take_shape(struct worker *w, const struct reel_rec_shape *rec)
{
    struct reel_rec_shaped shaped;
    enum reel_err err = shape_of(w, rec, &shaped);
    if (err) return reel_child_failed(&w->child, REEL_SCOPE_JOB, err, rec->job, 0, 0, REEL_NO_FRAME);
    return reel_bus_post(w->child.bus, REEL_BUS_HUB, REEL_MSG_SHAPED, &shaped);
}

// ---- lanes ----------------------------------------------------------------

static void pin_ring(struct worker *w, const struct reel_ring *ring, uint32_t memory, struct device_pin *pin)
{
    struct device_pin want = {0};
    if (!ring->on_device) // of device rings only stamps are in host memory
        want = (struct device_pin){ring->base, (size_t)ring->slots * ring->geometry.slot_bytes, memory};
    device_pin(w->device, &want, pin);
}

static void pin_lane(struct worker *w, uint32_t lane)
{
    struct worker_lane *l = &w->lanes[lane];
    if (!w->device) return;
    pin_ring(w, &w->child.in[lane], l->rec.memory, &l->pin[REEL_RING_IN]);
    pin_ring(w, &w->child.out[lane], l->rec.memory, &l->pin[REEL_RING_OUT]);
}

bool intake_keeps_pins(const struct worker *w)
{
    for (uint32_t i = 0; w->device && i < w->child.lanes; i++)
        if (!w->lanes[i].open && (w->lanes[i].pin[0].p || w->lanes[i].pin[1].p)) return true;
    return false;
}

void intake_unpin_idle(struct worker *w)
{
    for (uint32_t i = 0; w->device && i < w->child.lanes; i++)
        for (int d = 0; d < 2 && !w->lanes[i].open; d++)
            device_pin(w->device, &(struct device_pin){0}, &w->lanes[i].pin[d]);
}

static void drop_lane(struct worker *w, uint32_t lane)
{
    struct worker_lane *l = &w->lanes[lane];
    uint32_t kept = 0;
    if (l->open) batch_drop_lane(w, lane);
    for (uint32_t i = 0; i < w->queue_count; i++) {
        struct reel_rec_work item = w->queue[(w->queue_first + i) % WORKER_CREDITS];
        if (item.lane == lane)
            w->credits_back++;
        else
            w->queue[(w->queue_first + kept++) % WORKER_CREDITS] = item;
    }
    w->queue_count = kept;
    if (l->open) fini_task(w, &l->task);
    l->open = false;
    reel_child_ring_drop(&w->child, lane, REEL_RING_IN);
    reel_child_ring_drop(&w->child, lane, REEL_RING_OUT);
}

static enum reel_err open_lane(struct worker *w, const struct reel_rec_open *rec)
{
    struct worker_lane *l = &w->lanes[rec->lane];
    enum reel_err err = reel_child_ring_configure(&w->child, rec, REEL_RING_IN);
    if (!err) err = reel_child_ring_configure(&w->child, rec, REEL_RING_OUT);
    if (!err && (rec->parts < 1 || rec->parts > REEL_MAX_PARTS))
        err = reel_fail(REEL_ERR_PROTO, "could not work on frames in %u parts", rec->parts);
    if (!err)
        err = setup_task(w, rec->job, &rec->media, &rec->in, rec->parts, rec->tile_pixels, rec->exchange, &l->task);
    if (!err && (l->task.view.parts != (int)rec->parts || (l->task.view.margin > 0) != (rec->exchange > 0)))
        err = reel_fail(REEL_ERR_PROTO, "could not work on frames in %u parts: this network takes %d", rec->parts,
                        l->task.view.parts);
    if (err) return err;
    l->task.out = rec->out;
    l->task.out_colour = rec->out_colour;
    if ((err = pictures_take(w->pictures, &l->task, &l->task.pictures))) return err;
    if (l->task.ops->open && (err = l->task.ops->open(&l->task))) return err;
    l->rec = *rec;
    l->open = true;
    pin_lane(w, rec->lane);
    return REEL_OK;
}

#define FRAMES_EACH 8 // of a job, for a worker, for which it compiles ahead: single pictures go to one worker alone

// The worker that answered SHAPE has the network; the others make it while the
// decoder makes the first frame. What fails fails again with a frame, and is told then.
static void prepare_ahead(struct worker *w, const struct worker_lane *l)
{
    bool idle = !w->queue_count && !batch_in_work(w);
    int64_t frames = l->rec.media.n_frames;
    if (!w->has_model || !idle || (frames >= 0 && frames < FRAMES_EACH * (int64_t)w->child.workers)) return;
    const struct view *v = &l->task.view;
    int64_t begin_us = reel_now_us();
    struct engine *engine;
    const uint32_t part = w->child.index < l->rec.parts ? w->child.index : l->rec.parts - 1; // most likely
    if (v->margin ? batch_band_engine(w, &l->task, part, &engine) : batch_engine(w, &l->task, &engine)) return;
    reel_debug("intake", "lane %u: the network for %dx%d was there in %.1f ms, before any frame", l->rec.lane, v->net_w,
               v->net_h, (double)(reel_now_us() - begin_us) / 1e3);
}

static enum reel_err take_open(struct worker *w, const struct reel_rec_open *rec)
{
    if (rec->lane >= w->child.lanes)
        return reel_fail(REEL_ERR_PROTO, "could not open lane %u: there are %u", rec->lane, w->child.lanes);
    drop_lane(w, rec->lane);
    enum reel_err err = open_lane(w, rec);
    if (!err) {
        prepare_ahead(w, &w->lanes[rec->lane]);
        return REEL_OK;
    }
    fini_task(w, &w->lanes[rec->lane].task);
    return reel_child_failed(&w->child, REEL_SCOPE_LANE, err, rec->job, rec->lane, rec->epoch, REEL_NO_FRAME);
}

static enum reel_err take_close(struct worker *w, const struct reel_rec_lane *rec)
{
    if (rec->lane >= w->child.lanes)
        return reel_fail(REEL_ERR_PROTO, "could not close lane %u: there are %u", rec->lane, w->child.lanes);
    struct worker_lane *l = &w->lanes[rec->lane];
    if (!l->open || l->rec.epoch <= rec->epoch) drop_lane(w, rec->lane);
    return reel_bus_post(w->child.bus, REEL_BUS_HUB, REEL_MSG_LANE_CLOSED, rec);
}

void intake_close_all(struct worker *w)
{
    for (uint32_t i = 0; i < w->child.lanes; i++) drop_lane(w, i);
    intake_unpin_idle(w);
}

// ---- work -----------------------------------------------------------------

static enum reel_err take_work(struct worker *w, const struct reel_rec_work *rec)
{
    if (rec->lane >= w->child.lanes) return reel_fail(REEL_ERR_PROTO, "work names lane %u", rec->lane);
    const struct worker_lane *l = &w->lanes[rec->lane];
    if (!l->open || l->rec.epoch != rec->epoch) { // of an epoch that is over, or failed to open here
        w->credits_back++;
        return REEL_OK;
    }
    if (rec->in_slot >= l->rec.in_slots || rec->out_slot >= l->rec.out_slots + l->rec.out_spares)
        return reel_fail(REEL_ERR_PROTO, "work names slots %u and %u of %u and %u", rec->in_slot, rec->out_slot,
                         l->rec.in_slots, l->rec.out_slots + l->rec.out_spares);
    if (w->queue_count == WORKER_CREDITS) return reel_fail(REEL_ERR_PROTO, "more work than was asked for");
    w->queue[(w->queue_first + w->queue_count++) % WORKER_CREDITS] = *rec;
    return REEL_OK;
}

// Without a device, or a second worker on it, there is no way past the host.
static enum reel_err take_join(struct worker *w)
{
    enum reel_err err = w->team && w->device ? team_join(w->team) : REEL_ERR_UNSUPPORTED;
    if (err && w->device) reel_debug("intake", "rows go through host memory: %s", reel_fail_text());
    const struct reel_rec_joined joined = {.ok = err == REEL_OK};
    return reel_bus_post(w->child.bus, REEL_BUS_HUB, REEL_MSG_JOINED, &joined);
}

enum reel_err intake_take(struct worker *w, const struct reel_msg *msg)
{
    reel_trace("intake", "%s x %u", reel_msg_name(msg->type), msg->count);
    if (msg->type == REEL_MSG_QUIT) {
        w->quit = true;
        return REEL_OK;
    }
    if (msg->type == REEL_MSG_JOIN) return take_join(w);
    const char *record = msg->records;
    size_t bytes = reel_msg_record_bytes(msg->type);
    enum reel_err err = REEL_OK;
    for (uint32_t i = 0; i < msg->count && !err; i++, record += bytes) switch (msg->type) {
        case REEL_MSG_SHAPE:
            err = take_shape(w, (const void *)record);
            break;
        case REEL_MSG_OPEN_LANE:
            err = take_open(w, (const void *)record);
            break;
        case REEL_MSG_CLOSE_LANE:
            err = take_close(w, (const void *)record);
            break;
        case REEL_MSG_RING:
            err = reel_child_ring_take(&w->child, (const void *)record);
            break;
        case REEL_MSG_WORK:
            err = take_work(w, (const void *)record);
            break;
        default:
            err = reel_fail(REEL_ERR_PROTO, "message %s is not for a worker", reel_msg_name(msg->type));
        }
    return err;
}

// SPDX-License-Identifier: MIT
//
// Opening a lane: chooses its processes, the place of its rings and the number of slots, and
// sends OPEN_LANE to all members. Called by flow.c.
#include "coordinator/flow.h"

#include "common/log.h"

#define LEAST_WINDOW 8                  // frames in a lane's window in addition to those the workers hold
#define EASY_BYTES (UINT64_C(64) << 20) // rings may be longer, for fewer messages, up to this size per lane
#define OUT_SPARES 2                    // output slots for second tries of late frames
#define LIVE_AT_ENCODER 2               // finished frames of a live input that may wait for the encoder
#define DECODER_FRAMES 20               // pictures inside a codec: 16 references and some being decoded

// ---- who takes it ---------------------------------------------------------------

// The process with the fewest lanes. device >= 0: one on that device first of all.
static struct proc *choose_near(struct run *run, enum reel_stage stage, bool alone, int device)
{
    struct proc *best = NULL;
    uint32_t best_load = 0;
    for (uint32_t i = 0; i < run->sup.count[stage]; i++) {
        struct proc *p = supervise_at(&run->sup, stage, i);
        if (p == stream_writer(run)) continue;
        if (p->pidfd < 0 || p->state < PROC_UP || p->hung || p->broken) continue;
        bool taken_alone;
        uint32_t load = flow_load_of(run, p, &taken_alone);
        if (taken_alone || (alone && load)) continue;
        if (device >= 0 && p->device != device) load += run->n_lanes;
        if (best && load >= best_load) continue;
        best = p;
        best_load = load;
    }
    return best;
}

struct proc *flow_choose(struct run *run, enum reel_stage stage, bool alone)
{
    return choose_near(run, stage, alone, -1);
}

// ---- opening a lane -------------------------------------------------------------

// Decides where the frames of a lane between these two processes lie. With pixels on a device,
// the host's slots need only the rest.
static void place_rings(struct run *run, uint32_t l, const struct job *job, const struct proc *decoder,
                        const struct proc *aggregator, struct memory_want *want)
{
    bool any = run->mem_kind != REEL_MEM_NONE;
    struct placement_ask ask = {.gpus = &run->gpus,
                                .worker_gpu = run->worker_devices,
                                .n_workers = run->workers,
                                .decoder_gpu = decoder->device,
                                .aggregator_gpu = aggregator->device,
                                .rings_off = run->rings_off,
                                .in = any && job->scanned.on_device && job->shaped.reads_device,
                                .out = any && job->proven.on_device && job->shaped.writes_device &&
                                       job->proven.out.format.layout != REEL_PIX_NONE,
                                .segments_left = job->n_segments - job->n_committed,
                                .lanes = run->n_lanes,
                                .in_slots = want->in_slots,
                                .out_slots = want->out_slots + want->spares,
                                .least_in_slots = want->least_in_slots,
                                .least_out_slots = want->least_out_slots + want->spares,
                                .in_slot_bytes = want->in_slot_bytes,
                                .out_slot_bytes = want->out_slot_bytes};
    rings_plan(run, l, &ask);
    const struct placement *place = &run->io[l].rings.place;
    if (place->in) {
        want->in_slots = place->in_slots;
        want->in_slot_bytes = reel_ring_host_part(&job->in).slot_bytes;
    }
    if (place->out) {
        want->out_slots = place->out_slots - want->spares;
        want->out_slot_bytes = reel_ring_host_part(&job->proven.out).slot_bytes;
    }
}

// For a live input: enough input slots for all frames that may wait (60 fps are assumed if the
// rate is unknown), but few output slots, because finished frames cannot be dropped any more.
static void live_slots(const struct run *run, const struct job *job, uint32_t *slots, uint32_t *out_slots)
{
    const struct reel_rational rate = job->scanned.media.frame_rate;
    double fps = rate.num > 0 && rate.den > 0 ? (double)rate.num / rate.den : 60;
    if (fps > 240) fps = 240;
    *out_slots = *slots - LEAST_WINDOW + LIVE_AT_ENCODER;
    *slots += (uint32_t)(fps * run->settings.latency_ms / 1000);
}

static void want_of(const struct run *run, const struct job *job, struct memory_want *out)
{
    uint32_t hold = job->proven.hold_frames < LANE_MAX_SLOTS / 2 ? job->proven.hold_frames : LANE_MAX_SLOTS / 2;
    uint32_t batch = run->model.batch ? run->model.batch : 1;
    uint32_t parts = job->shaped.parts;
    uint32_t seen = run->model.before + run->model.after;
    uint32_t slots = hold + LEAST_WINDOW + seen + (2 * run->workers * batch + parts - 1) / parts;
    uint32_t easy = slots + LEAST_WINDOW + 4 * run->workers * batch / parts;
    if (!run->settings.live && easy * (job->in.slot_bytes + job->proven.out.slot_bytes) <= EASY_BYTES) slots = easy;
    uint32_t out_slots = slots;
    if (run->settings.live) live_slots(run, job, &slots, &out_slots);
    if (slots > LANE_MAX_SLOTS) slots = LANE_MAX_SLOTS;
    if (out_slots > LANE_MAX_SLOTS) out_slots = LANE_MAX_SLOTS;
    *out = (struct memory_want){.in_slot_bytes = job->in.slot_bytes,
                                .out_slot_bytes = job->proven.out.slot_bytes,
                                .in_slots = slots,
                                .out_slots = out_slots,
                                .least_in_slots = hold + batch + 1 + seen,
                                .least_out_slots = hold + batch,
                                .spares = parts > 1 || run->model.stateful ? 0 : OUT_SPARES,
                                .codec_bytes = job->proven.memory_bytes + DECODER_FRAMES * job->in.slot_bytes,
                                .model_bytes = run->workers * job->shaped.memory_bytes};
}

static uint64_t granted_bytes(const struct run *run)
{
    uint64_t used = 0;
    for (uint32_t i = 0; i < run->n_lanes; i++)
        if (run->lanes[i].state != LANE_IDLE) used += run->io[i].granted_bytes;
    return used;
}

void flow_release_ring(struct lane_io *io)
{
    if (io->in_reserved || io->out_reserved) io->memory++;
    if (io->in_reserved) reel_shm_punch(io->in_fd, io->in_reserved);
    if (io->out_reserved) reel_shm_punch(io->out_fd, io->out_reserved);
    io->in_reserved = io->out_reserved = 0;
}

// Reserves memory for the slots, or keeps that of the lane's previous segment if the sizes are equal.
static enum reel_err reserve(struct lane_io *io, const struct memory_grant *grant, const struct memory_want *want)
{
    uint64_t in = grant->in_slots * want->in_slot_bytes;
    uint64_t out = (uint64_t)(grant->out_slots + grant->spares) * want->out_slot_bytes;
    io->granted_bytes = grant->bytes;
    if (in == io->in_reserved && out == io->out_reserved) return REEL_OK;
    flow_release_ring(io);
    enum reel_err err = reel_shm_reserve(io->in_fd, in);
    if (!err) io->in_reserved = in;
    if (!err) err = reel_shm_reserve(io->out_fd, out);
    if (!err) io->out_reserved = out;
    if (err) {
        io->in_reserved = in; // a part may have been reserved; release all
        io->out_reserved = out;
        flow_release_ring(io);
    }
    return err;
}

static void fill_open(const struct run *run, uint32_t l, const struct job *job, uint32_t segment,
                      const struct memory_grant *grant, int64_t now_us, struct reel_rec_open *out)
{
    const struct segment *plan = &job->segments[segment].plan;
    *out = (struct reel_rec_open){.lane = l,
                                  .epoch = run->last_epoch,
                                  .job = job->spec->id,
                                  .segment = segment,
                                  .in_slots = grant->in_slots,
                                  .out_slots = grant->out_slots,
                                  .out_spares = grant->spares,
                                  .in = job->in,
                                  .out = job->proven.out,
                                  .media = job->scanned.media,
                                  .out_colour = job->proven.out_colour,
                                  .task = job->shaped.task,
                                  .parts = job->shaped.parts,
                                  .tile_pixels = job->shaped.tile_pixels,
                                  .exchange = job->shaped.exchange,
                                  .rate = run_rate(run),
                                  .before = plan->has_before ? run->model.before : 0,
                                  .after = plan->has_next ? run->model.after : 0,
                                  .in_place = run->io[l].rings.place.in ? REEL_PLACE_DEVICE : REEL_PLACE_HOST,
                                  .out_place = run->io[l].rings.place.out ? REEL_PLACE_DEVICE : REEL_PLACE_HOST,
                                  .memory = run->io[l].memory,
                                  .software = job->segments[segment].crashes[REEL_DECODER] > 0,
                                  .has_entry = plan->has_entry,
                                  .entry = plan->entry,
                                  .lead = plan->lead,
                                  .next = plan->next,
                                  .live = run->settings.live,
                                  .start_pts = run->settings.live ? live_start_pts(job, now_us) : plan->start_pts,
                                  .warmup_pts = plan->warmup_pts,
                                  .end_pts = plan->end_pts};
}

// Starts a segment on an idle lane. False if that is not possible now.
bool flow_open_lane(struct run *run, uint32_t l, struct job *job, uint32_t segment, int64_t now_us)
{
    struct job_segment *s = &job->segments[segment];
    struct proc *decoder = flow_choose(run, REEL_DECODER, s->suspect);
    struct proc *aggregator =
        choose_near(run, REEL_AGGREGATOR, s->suspect, decoder && run->mem_kind ? decoder->device : -1);
    if (!decoder || !aggregator) return false;
    struct memory_want want;
    struct memory_grant grant;
    want_of(run, job, &want);
    place_rings(run, l, job, decoder, aggregator, &want);
    uint64_t used = granted_bytes(run);
    enum memory_answer answer = memory_fit(run->memory.budget, used, &want, &grant);
    if (answer == MEMORY_WAIT) return false;
    if (answer == MEMORY_REFUSED) {
        char text[REEL_TEXT_BYTES];
        memory_explain(&run->memory, &want, text, sizeof text);
        jobs_fail(run, job, REEL_ERR_NOMEM, text);
        return false;
    }
    struct lane_io *io = &run->io[l];
    if (reserve(io, &grant, &want)) {
        if (!used) jobs_fail(run, job, REEL_ERR_NOMEM, reel_fail_text());
        return false;
    }
    run->last_epoch++;
    fill_open(run, l, job, segment, &grant, now_us, &io->open);
    struct lane_params params = {.epoch = run->last_epoch,
                                 .job = job->spec->id,
                                 .segment = segment,
                                 .shape = job->spec->id,
                                 .in_slots = grant.in_slots,
                                 .out_slots = grant.out_slots,
                                 .out_spares = grant.spares,
                                 .before = run->model.before,
                                 .after = run->model.after,
                                 .pairs = run_rate(run) > 1,
                                 .stateful = run->model.stateful,
                                 .loose = run->settings.live,
                                 .parts = job->shaped.parts,
                                 .together = job->shaped.exchange,
                                 .order = ++run->last_order};
    struct lane *lane = &run->lanes[l];
    lane_open(lane, &params);
    io->decoder = decoder->index;
    io->aggregator = aggregator->index;
    io->alone = s->suspect;
    io->opened_us = now_us;
    io->ledger = (struct ledger_entry){0};
    if (io->rings.place.gpu >= 0) lane_limit(lane);
    lane_next_window(lane, &io->open.window_end);
    lane_join(lane, LANE_MEMBER_DECODER);
    lane_join(lane, LANE_MEMBER_AGGREGATOR);
    run_post(run, decoder, REEL_MSG_OPEN_LANE, &io->open);
    run_post(run, aggregator, REEL_MSG_OPEN_LANE, &io->open);
    for (uint32_t i = 0; i < run->workers; i++) {
        struct proc *w = supervise_at(&run->sup, REEL_WORKER, i);
        if (w->state != PROC_READY || !rings_reached_by(run, l, i)) continue;
        lane_join(lane, LANE_MEMBER_WORKER0 + i);
        run_post(run, w, REEL_MSG_OPEN_LANE, &io->open);
    }
    s->state = SEGMENT_ACTIVE;
    if (io->rings.place.gpu >= 0)
        reel_debug("flow", "lane %u: %s on GPU %d", l,
                   !io->rings.place.in    ? "results"
                   : !io->rings.place.out ? "frames"
                                          : "frames and results",
                   io->rings.place.gpu);
    reel_debug("flow", "lane %u: job %u segment %u, epoch %u, decoder %u, aggregator %u, %u + %u slots", l,
               job->spec->id, segment, run->last_epoch, io->decoder, io->aggregator, grant.in_slots, grant.out_slots);
    return true;
}

void flow_on_worker_ready(struct run *run, struct proc *p)
{
    for (uint32_t l = 0; l < run->n_lanes; l++) {
        if (run->lanes[l].state != LANE_OPEN || !rings_reached_by(run, l, p->index)) continue;
        lane_join(&run->lanes[l], LANE_MEMBER_WORKER0 + p->index);
        run_post(run, p, REEL_MSG_OPEN_LANE, &run->io[l].open);
        rings_offer(run, l, p);
    }
    dispatch_up(&run->dispatch, p->index, run->model.batch);
}

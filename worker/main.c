// SPDX-License-Identifier: MIT
//
// The worker: takes frames from input rings, runs the model, writes results
// into output rings. Called by a person it answers --eval_model, --bench_model,
// --dump_graph and --version; for --dry_run the coordinator calls it with --guess.
//
// It allocates nothing that others share: it may die at any instruction, and
// its frames are done again by another worker.
#include <gnu/libc-version.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cuda.h"
#include "common/hash.h"
#include "common/life.h"
#include "common/log.h"
#include "worker/backend/cudnn/plan/plan.h"
#include "worker/cli.h"
#include "worker/device/ops.h"
#include "worker/devices.h"
#include "worker/guess.h"
#include "worker/team/collective.h"
#include "worker/worker.h"

// ---- what this worker is ----------------------------------------------------

// One cost, or one per device: "10,10,40".
static double sim_ms_of(const char *list, int device)
{
    double cost[256];
    int n = 0;
    char *end;
    for (const char *p = list; *p && n < 256; p = *end == ',' ? end + 1 : end) {
        cost[n] = strtod(p, &end);
        if (end == p) return -1;
        n++;
        if (*end && *end != ',') return -1;
    }
    return n ? cost[device % n] : 0;
}

static void choose_backend(struct worker *w)
{
    const struct reel_settings *s = &w->child.settings;
    int device = w->child.device >= 0 ? w->child.device : (int)w->child.index;
    switch (s->backend) {
    case SET_BACKEND_SIM:
        w->backend = "sim";
        break;
    case SET_BACKEND_CUDNN:
        w->backend = "cudnn";
        break;
    default:
        w->backend = "onednn";
    }
    w->params = (struct backend_params){.device = w->child.device,
                                        .threads = s->threads > 0 ? s->threads : 1,
                                        .precision = (enum precision)s->precision,
                                        .plans = s->plans,
                                        .sim_ms = sim_ms_of(s->sim_ms, device)};
}

// Measured engines decide sums too; a file that cannot be read fails in
// load_model(), with its reason.
static void describe_plans(const struct worker *w, char *buf, size_t bytes)
{
    struct gpu_pins *pins = NULL;
    uint8_t hash[32];
    if (!*w->child.settings.plans || gpu_pins_read(w->child.settings.plans, &pins)) return;
    gpu_pins_hash(pins, hash);
    gpu_pins_destroy(&pins);
    snprintf(buf, bytes, ", plans %02x%02x%02x%02x", hash[0], hash[1], hash[2], hash[3]);
}

// Where this worker computes, for reports, and what decides its sums (DESIGN 6),
// for the journal: engines are chosen by model and multiprocessors of a GPU and by
// cuDNN's version, on CPUs by instruction set and threads.
static void describe_device(const struct worker *w, char device[96], char kind[96])
{
    const char *level = backend_onednn_kernels(&w->params);
    const char *narrow = w->params.precision == PRECISION_FP8 ? ", fp8" : "";
    struct reel_cuda_device gpu;
    if (!strcmp(w->backend, "sim")) {
        snprintf(device, 96, "sim %s", w->child.settings.sim_ms);
        snprintf(kind, 96, "sim");
    } else if (!strcmp(w->backend, "cudnn")) {
        int number = w->params.device < 0 ? 0 : w->params.device;
        bool known = !reel_cuda_device(number, &gpu);
        size_t cudnn = gpu_plan_cudnn_version();
        snprintf(device, 96, "%.80s #%d%s", known ? gpu.name : "GPU", number, narrow);
        int n = snprintf(kind, 96, "%.48s, %d SM, cuDNN %zu.%zu", known ? gpu.name : "GPU", known ? gpu.sm_count : 0,
                         cudnn / 10000, cudnn / 100 % 100);
        describe_plans(w, kind + n, 96 - (size_t)n);
    } else {
        snprintf(device, 96, "cpu %s%s", level, narrow);
        snprintf(kind, 96, "cpu %s, %d thread%s", level, w->params.threads, w->params.threads == 1 ? "" : "s");
    }
}

static enum reel_err say_hello(struct worker *w)
{
    char device[96], kind[96];
    describe_device(w, device, kind);
    // Heads use the C library's exp and pow.
    char build[256];
    snprintf(build, sizeof build, "%s, glibc %s", cli_libraries(), gnu_get_libc_version());
    return reel_child_hello(&w->child, build, device, kind);
}

// ---- the model ----------------------------------------------------------------

// A backend with device memory has its frames fed and read there.
static enum reel_err open_device(struct worker *w)
{
    const struct device_ops *ops = w->has_model ? device_ops_of(backend_find(w->backend)->caps) : NULL;
    return ops ? device_create(ops, w->params.device, &w->device) : REEL_OK;
}

// A model that is larger is read by each worker as it needs it.
#define SHARED_MODEL_BYTES ((size_t)1 << 30)

// Workers that start together read the model's file once: from a network's disk
// that counts. What fails is done alone.
static void read_together(struct worker *w)
{
    if (w->child.collective_fd < 0 || w->child.workers < 2) return;
    enum reel_err err = collective_open_shared(w->child.collective_fd, w->child.index, w->child.workers,
                                               COLLECTIVE_LIMIT_MS, &w->together);
    if (!err && w->child.incarnation != 1) return;
    if (!err)
        err = collective_read_file(w->together, w->child.settings.model, SHARED_MODEL_BYTES, &w->model_bytes,
                                   &w->n_model_bytes);
    if (err) reel_debug("main", "reads the model alone: %s", reel_fail_text());
}

static void count_step(void *user)
{
    reel_stat_add(&((struct worker *)user)->child.row->progress, 1);
}

// Bands of a frame may exchange rows where the workers have the memory for it and
// the backend can. A neighbour that is waited for in vain is noticed before this
// worker counts as hung itself.
static void open_team(struct worker *w)
{
    const bool split = w->child.settings.split == SET_SPLIT_SPATIAL && w->together;
    if (!split || !w->has_model || !(backend_find(w->backend)->caps & BACKEND_EXCHANGES)) return;
    const struct team_params p = {.together = w->together,
                                  .limit_ms = (int)(w->child.settings.hang_seconds * 500),
                                  .on_step = count_step,
                                  .user = w};
    if (team_create(&p, &w->team)) {
        reel_debug("main", "workers of one frame exchange no rows: %s", reel_fail_text());
        return;
    }
    engines_exchange_by(w->engines, team_exchange(w->team));
}

// The file's bytes are needed no longer.
static enum reel_err hash_model(struct worker *w, uint8_t out_hash[32], uint64_t *out_bytes)
{
    if (!w->model_bytes) return reel_sha256_file(w->child.settings.model, out_hash, out_bytes);
    struct reel_sha256 s;
    reel_sha256_init(&s);
    reel_sha256_update(&s, w->model_bytes, w->n_model_bytes);
    reel_sha256_final(&s, out_hash);
    *out_bytes = w->n_model_bytes;
    free(w->model_bytes);
    w->model_bytes = NULL;
    return REEL_OK;
}

// Frames for which the coordinator makes room: twice as many are promised, so that
// the device never waits for the next ones. Of networks for any size the batch is
// known with the first shape alone, and their pictures are large, mostly.
static uint32_t promised(struct worker *w)
{
    const struct model_input *in = &w->model.input;
    int wish = w->child.settings.batch, batch = wish < DEVICE_BATCH ? wish : DEVICE_BATCH;
    if (in->width) batch = intake_batch(w, in->width, in->height);
    return batch < 2 ? 2 : (uint32_t)batch;
}

static enum reel_err load_model(struct worker *w)
{
    struct reel_rec_model rec = {.task = REEL_TASK_IMAGE, .batch = 1};
    struct engine_params p = {.path = w->child.settings.model,
                              .backend = w->backend,
                              .backend_params = w->params,
                              .settings = &w->child.settings};
    read_together(w);
    p.bytes = w->model_bytes, p.n_bytes = w->n_model_bytes;
    if (reel_fault_point("worker.load"))
        return reel_fail(REEL_ERR_NOMEM, "could not load the network: a fault point says that memory is used up");
    struct gpu_pins *pins = NULL;
    enum reel_err err = *w->child.settings.plans ? gpu_pins_read(w->child.settings.plans, &pins) : REEL_OK;
    gpu_pins_destroy(&pins);
    if (!err) err = pictures_open(&w->child, &w->pictures);
    pictures_tell(w->pictures, &p);
    if (!err) err = engines_open(&p, &w->engines);
    if (err) return err;
    w->has_model = engines_facts(w->engines) != NULL;
    if ((err = open_device(w))) return err;
    open_team(w);
    w->batch_most = w->device ? DEVICE_BATCH : 1;
    if (w->has_model) {
        if ((err = guess_model(w->engines, &w->child.settings, &w->model, rec.text, sizeof rec.text))) return err;
        if (w->device) rec.batch = promised(w);
        uint64_t bytes;
        if ((err = hash_model(w, rec.model_sha256, &bytes))) return err;
        rec.task = task_told(w->model.task);
        rec.before = (uint32_t)model_sees_before(&w->model.input);
        rec.after = (uint32_t)model_sees_behind(&w->model.input);
        rec.rate = (uint32_t)w->model.rate;
        rec.stateful = engines_facts(w->engines)->states->n > 0;
        rec.memory_bytes = bytes;
    } else if (w->child.settings.rate) {
        return reel_fail(REEL_ERR_CONFIG, "could not use --rate %d: without a model no frames are interpolated",
                         w->child.settings.rate);
    } else if (w->pictures) {
        return reel_fail(REEL_ERR_CONFIG, "could not use io.pictures: without a model nothing uses them");
    } else {
        snprintf(rec.text, sizeof rec.text, "no model: each frame takes %g ms and is passed through with a stamp",
                 w->params.sim_ms);
    }
    return reel_bus_post(w->child.bus, REEL_BUS_HUB, REEL_MSG_MODEL, &rec);
}

// ---- the loop -------------------------------------------------------------------

static enum reel_err give_credits(struct worker *w)
{
    if (!w->credits_back) return REEL_OK;
    struct reel_rec_ready ready = {.credits = w->credits_back};
    w->credits_back = 0;
    return reel_bus_post(w->child.bus, REEL_BUS_HUB, REEL_MSG_READY, &ready);
}

// DONE of quick frames goes out in groups, while more wait here than the next
// one: none of them is held back for longer than this. A worker in a dead one's
// place may die as soon itself, with all that it held back: it holds back none.
#define TELL_US 20000
#define TELL_PARTS_US 6000 // of frames in parts, which are wanted soon
#define KEEP_PINS_MS 1000  // slots of closed lanes stay pinned, where nothing comes

static bool may_wait(const struct worker *w)
{
    if (w->child.incarnation > 1) return false;
    int64_t most_us = w->in_parts ? TELL_PARTS_US : TELL_US;
    return w->queue_count >= 2 && (!w->untold_us || reel_now_us() - w->untold_us + w->frame_us < most_us);
}

static enum reel_err tell(struct worker *w)
{
    enum reel_err err = give_credits(w);
    w->untold_us = 0;
    return err ? err : reel_bus_flush(w->child.bus);
}

// Everything that has come; between frames too, so that a closing lane waits
// for one frame at most.
static enum reel_err take_messages(struct worker *w)
{
    struct reel_msg msg;
    enum reel_err err;
    while (!w->quit && !(err = reel_bus_recv(w->child.bus, &msg))) {
        if ((err = intake_take(w, &msg))) return err;
        reel_stat_add(&w->child.row->progress, 1);
    }
    return w->quit || err == REEL_AGAIN ? REEL_OK : err;
}

static enum reel_err serve(struct worker *w)
{
    w->credits_back = WORKER_CREDITS;
    while (!w->quit) {
        enum reel_err err = w->queue_count || batch_in_work(w) ? batch_next(w) : REEL_OK;
        if (!err) err = take_messages(w);
        if (!err && !may_wait(w))
            err = tell(w);
        else if (!err && w->untold_us)
            reel_crash_point("worker.untold");
        if (err) return err;
        if (w->queue_count || batch_in_work(w)) continue;
        if (w->quit) break;
        atomic_store_explicit(&w->child.row->state, REEL_STATE_IDLE, memory_order_relaxed);
        bool keeps = intake_keeps_pins(w);
        err = reel_bus_wait(w->child.bus, NULL, NULL, 0, keeps ? KEEP_PINS_MS : -1);
        if (err && err != REEL_AGAIN) return err;
        if (err && keeps) intake_unpin_idle(w);
    }
    return reel_bus_flush(w->child.bus);
}

static int run_child(int argc, char **argv)
{
    struct worker *w = calloc(1, sizeof *w);
    if (!w || reel_child_open(argc, argv, &w->child)) {
        free(w);
        return 1;
    }
    atomic_store_explicit(&w->child.row->state, REEL_STATE_START, memory_order_relaxed);
    choose_backend(w);
    enum reel_err err = say_hello(w);
    w->lanes = calloc(w->child.lanes ? w->child.lanes : 1, sizeof *w->lanes);
    if (!err && !w->lanes) err = reel_fail(REEL_ERR_NOMEM, "could not start worker: out of memory");
    if (!err) err = load_model(w);
    if (!err) err = serve(w);
    if (err && err != REEL_GONE) {
        reel_child_failed(&w->child, REEL_SCOPE_PROCESS, err, REEL_NO_JOB, 0, 0, REEL_NO_FRAME);
    }
    if (w->lanes) intake_close_all(w);
    device_destroy(&w->device);
    engines_close(&w->engines);
    pictures_close(&w->pictures);
    team_destroy(&w->team);
    collective_close(&w->together);
    free(w->model_bytes);
    free(w->lanes);
    reel_child_close(&w->child);
    free(w);
    return err ? 1 : 0;
}

int main(int argc, char **argv)
{
    if (reel_child_is(argc, argv)) return run_child(argc, argv);
    if (argc >= 2 && !strcmp(argv[1], "--list_devices")) return devices_main(argc > 2 ? atoi(argv[2]) : 1);
    if (argc == 3 && !strcmp(argv[1], "--guess")) return guess_main(atoi(argv[2]));
    if (argc == 2 && !strcmp(argv[1], "--version")) {
        printf("reelmill %s\n%s\n", REEL_VERSION, cli_libraries());
        return 0;
    }
    return cli_main(argc, argv);
}

// SPDX-License-Identifier: MIT
//
// Plans: fused patterns compiled by cuDNN's graph API, each with one pinned engine.
//
// A planner belongs to one thread. It holds that thread's cuDNN handle (or, for tests, the
// properties of a GPU that is not present) and the plan cache. The choice follows a fixed rule
// and is never timed. The candidates are the engines that heuristics mode A lists for the
// pattern with ONE image; from PINS_LARGE output pixels on, they are listed at one size for
// all. Of these it takes the one that a table of measured engines names (pins.h); otherwise
// the first that is not the generic engine 0, keeps to the wanted arithmetic and needs no more
// workspace than the cap. Its knobs are pinned with it. Plans for more images and other large
// sizes use the same choice, so a frame's bytes depend neither on the batch it is computed in
// nor on the tiles or bands it is cut into. (An engine that refuses N images runs them one at
// a time.)
//
// An engine whose workspace is as large as a repacked copy of a tensor would copy it, and is
// skipped.
//
// This module allocates no device memory and knows no graph nodes.
#ifndef REEL_WORKER_BACKEND_CUDNN_PLAN_PLAN_H
#define REEL_WORKER_BACKEND_CUDNN_PLAN_PLAN_H

#include "worker/backend/cudnn/plan/pattern.h"
#include "worker/backend/cudnn/plan/pins.h"

// Belongs to one thread; not thread-safe.
struct gpu_planner;
// Belongs to its planner and must be destroyed before it. Used by the planner's thread.
struct gpu_plan;

struct gpu_planner_params {
    // JSON of a GPU's properties in cuDNN's format, to plan without a device; such plans
    // cannot run. NULL: the calling thread's current CUDA device.
    const char *device_json;
    // Folder of cached plans, or NULL: $REELMILL_CACHE, $XDG_CACHE_HOME/reelmill
    // or ~/.cache/reelmill. "" caches nothing.
    const char *cache_dir;
    const struct gpu_pins *pins; // measured engines beside the built-in ones; must stay alive. NULL: none
    bool no_builtin_pins;        // ignore the built-in table
    size_t workspace_cap_bytes;  // 0: 32 MiB
    bool no_runtime_compile;     // only engines that need no run-time compiler
    bool choose_only;            // only report what would be chosen, compile nothing; plans cannot run
};
#define GPU_PLANNER_DEFAULTS ((struct gpu_planner_params){0})

// What was chosen, for --dump_graph, tests and docs. Strings are valid as long as the plan.
struct gpu_plan_info {
    int fused_steps;       // leading steps of the pattern inside the plan
    int engine;            // cuDNN's global engine index
    bool runtime_compiled; // built by NVRTC, 0.3 to 4 s without the cache
    bool tensor_core;      // has CUDNN_NUMERICAL_NOTE_TENSOR_CORE
    bool generic;          // the engine of last resort
    bool from_cache;
    bool fallback; // from heuristics mode FALLBACK, because A offered nothing
    bool pinned;   // named by a table of measured engines
    int rank;      // place in the heuristics' list, 0 the first
    int listed;    // engines in the list
    int repeat;    // > 1: images run one at a time
    size_t workspace_bytes;
    const char *knobs; // "tile_size=3 stages=2"
};

// Pointers of one run, all on the device. operand[i] belongs to step i; NULL for
// steps without a CHANNEL or TENSOR operand and for steps that are not fused.
struct gpu_plan_io {
    const void *x;
    const void *w;
    void *y;
    const void *operand[GPU_MAX_STEPS];
};

// Checks that libcudnn can be loaded. Errors: UNSUPPORTED with the reason and the command that
// installs it. Cheap after the first call.
enum reel_err gpu_plan_probe(void);
// cudnnGetVersion(); 0 if cuDNN cannot be loaded.
size_t gpu_plan_cudnn_version(void);

// Errors: UNSUPPORTED (no cuDNN), FAULT (cuDNN's text), CONFIG (device_json).
enum reel_err gpu_planner_create(const struct gpu_planner_params *params, struct gpu_planner **out_planner);
// Accepts &NULL, writes NULL. All its plans must have been destroyed.
void gpu_planner_destroy(struct gpu_planner **planner);
// The device's properties as cuDNN's JSON; valid as long as the planner.
const char *gpu_planner_device_json(const struct gpu_planner *planner);

// Whether the cache lacks this plan. False also if plans are not cached at all (cache_dir "",
// no home folder, or choose_only).
bool gpu_planner_lacks(const struct gpu_planner *planner, const struct gpu_pattern *pattern);

// Compiles those of the patterns that the cache lacks, on several threads at once, so that
// gpu_plan_create() only loads them. Equal patterns count once. Call it before making plans.
// device: the CUDA device of params (unused with device_json). Returns how many distinct
// patterns were compiled; 0 if there is no cache or nothing to gain. Failures are left to
// gpu_plan_create().
int gpu_plan_prepare(const struct gpu_planner_params *params, int device, const struct gpu_pattern *const *patterns,
                     int n, int threads);

// Compiles the pattern with as many leading steps as cuDNN accepts, at most
// gpu_pattern_fusable(). info->fused_steps says how many; the caller applies the others to y.
// Errors: UNSUPPORTED if no engine takes even the bare operation (the text lists why); NOMEM;
// FAULT.
enum reel_err gpu_plan_create(struct gpu_planner *planner, const struct gpu_pattern *pattern,
                              struct gpu_plan **out_plan);
void gpu_plan_destroy(struct gpu_plan **plan);
const struct gpu_plan_info *gpu_plan_info(const struct gpu_plan *plan);

// Lists what could be pinned for a pattern of one image with that many fused steps: at most
// `most` of the engines that keep to the rule above, best first by the heuristics. Returns how
// many.
int gpu_plan_choices(struct gpu_planner *planner, const struct gpu_pattern *pattern, int steps,
                     struct gpu_pin *out_pins, int most);
// 90 for compute capability 9.0.
int gpu_planner_sm(const struct gpu_planner *planner);

// Enqueues the plan on stream (a cudaStream_t), which may be being captured. workspace:
// info->workspace_bytes, 16-byte aligned; plans on one stream may share it. Errors: FAULT,
// UNSUPPORTED (made without a device).
enum reel_err gpu_plan_run(struct gpu_plan *plan, const struct gpu_plan_io *io, void *workspace, void *stream);

#endif

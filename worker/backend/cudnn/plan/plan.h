// SPDX-License-Identifier: MIT
//
// Plans: fused patterns compiled by cuDNN's graph API, one engine pinned each.
//
// A planner belongs to one thread: it holds that thread's cuDNN handle (or, for
// tests, the properties of a GPU that is not there) and the plan cache. The
// choice follows a fixed rule, never a clock: of the engines that heuristics
// mode A lists for the pattern with ONE image, and from PINS_LARGE output pixels on
// at one size for all, the one that a table of measured engines names (pins.h), else
// the first that is not the generic engine 0, keeps to the wanted arithmetic and asks
// for no more workspace than the cap; its knobs are pinned with it. Plans for more
// images and other large sizes have that choice, so a frame's bytes do not depend on
// the batch it travels in, nor on the tiles or bands it is cut into. (An engine that
// refuses N images runs them one at a time.)
//
// A workspace as large as a repacked copy of a tensor is a hidden copy: such an
// engine is passed over.
//
// What it is not: it allocates no device memory and knows no graph node.
#ifndef REEL_WORKER_BACKEND_CUDNN_PLAN_PLAN_H
#define REEL_WORKER_BACKEND_CUDNN_PLAN_PLAN_H

#include "worker/backend/cudnn/plan/pattern.h"
#include "worker/backend/cudnn/plan/pins.h"

// One thread's; not thread-safe.
struct gpu_planner;
// Belongs to its planner and dies before it. Used by the planner's thread.
struct gpu_plan;

struct gpu_planner_params {
    // JSON of a GPU's properties (cuDNN's own form): plan without a device; such
    // plans cannot run. NULL: the calling thread's current CUDA device.
    const char *device_json;
    // Folder of cached plans, or NULL: $REELMILL_CACHE, $XDG_CACHE_HOME/reelmill
    // or ~/.cache/reelmill. "" caches nothing.
    const char *cache_dir;
    const struct gpu_pins *pins; // measured engines beside the built-in ones; stays alive. NULL: none
    bool no_builtin_pins;        // the heuristics' choice
    size_t workspace_cap_bytes;  // 0: 32 MiB
    bool no_runtime_compile;     // only engines that need no run-time compiler
    bool choose_only;            // say what would be chosen, compile nothing; plans cannot run
};
#define GPU_PLANNER_DEFAULTS ((struct gpu_planner_params){0})

// What was chosen, for --dump_graph, tests and docs. Strings hold as long as the plan.
struct gpu_plan_info {
    int fused_steps;       // leading steps of the pattern inside the plan
    int engine;            // cuDNN's global engine index
    bool runtime_compiled; // built by NVRTC, 0.3 to 4 s without the cache
    bool tensor_core;      // has CUDNN_NUMERICAL_NOTE_TENSOR_CORE
    bool generic;          // the engine of last resort
    bool from_cache;
    bool fallback; // from heuristics mode FALLBACK: A offered nothing
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

// Whether libcudnn can be loaded here; UNSUPPORTED with one line and the command
// that installs it. Cheap after the first call.
enum reel_err gpu_plan_probe(void);
// cudnnGetVersion(), 0 when it cannot be loaded.
size_t gpu_plan_cudnn_version(void);

// Errors: UNSUPPORTED (no cuDNN), FAULT (cuDNN's text), CONFIG (device_json).
enum reel_err gpu_planner_create(const struct gpu_planner_params *params, struct gpu_planner **out_planner);
// Accepts &NULL, writes NULL. All its plans must be destroyed.
void gpu_planner_destroy(struct gpu_planner **planner);
// The device's properties in cuDNN's JSON; holds as long as the planner.
const char *gpu_planner_device_json(const struct gpu_planner *planner);

// Whether plans are kept at all (not with cache_dir "", no home folder,
// choose_only) and this one is not there yet.
bool gpu_planner_lacks(const struct gpu_planner *planner, const struct gpu_pattern *pattern);

// Compiles into the cache, on several threads at once, what of the patterns is
// not there yet; gpu_plan_create() then only loads. Equal ones count once. Call
// it before making plans; device is the CUDA device of params (none with
// device_json). Returns how many distinct patterns were compiled, 0 when there is
// no cache or nothing to gain. Failures are left to gpu_plan_create().
int gpu_plan_prepare(const struct gpu_planner_params *params, int device, const struct gpu_pattern *const *patterns,
                     int n, int threads);

// Compiles as many leading steps as cuDNN takes, at most gpu_pattern_fusable():
// info->fused_steps says how many; the caller does the others on y. Errors:
// UNSUPPORTED when no engine takes even the bare operation (the text lists
// why); NOMEM; FAULT.
enum reel_err gpu_plan_create(struct gpu_planner *planner, const struct gpu_pattern *pattern,
                              struct gpu_plan **out_plan);
void gpu_plan_destroy(struct gpu_plan **plan);
const struct gpu_plan_info *gpu_plan_info(const struct gpu_plan *plan);

// What could be pinned for a pattern of one image with so many steps fused: of the
// engines that keep to plan.h's rule, best first by the heuristics, at most most
// of them. Returns how many.
int gpu_plan_choices(struct gpu_planner *planner, const struct gpu_pattern *pattern, int steps,
                     struct gpu_pin *out_pins, int most);
// 90 for compute capability 9.0.
int gpu_planner_sm(const struct gpu_planner *planner);

// Enqueues on stream (a cudaStream_t); may be called while that stream is being
// captured. workspace holds info->workspace_bytes, 16-byte aligned; plans on one
// stream may share it. Errors: FAULT.
enum reel_err gpu_plan_run(struct gpu_plan *plan, const struct gpu_plan_io *io, void *workspace, void *stream);

#endif

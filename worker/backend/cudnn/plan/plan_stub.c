// SPDX-License-Identifier: MIT
//
// Plans in a build without CUDA: every function reports that there are none. See plan.h.
#include "worker/backend/cudnn/plan/plan.h"

static enum reel_err missing(void)
{
    return reel_fail(REEL_ERR_UNSUPPORTED, "could not use cuDNN: this reelmill was built without CUDA\n"
                                           "build with CUDA=1, or use --backend onednn");
}

enum reel_err gpu_plan_probe(void)
{
    return missing();
}

size_t gpu_plan_cudnn_version(void)
{
    return 0;
}

enum reel_err gpu_planner_create(const struct gpu_planner_params *params, struct gpu_planner **out_planner)
{
    *out_planner = NULL;
    return missing();
}

void gpu_planner_destroy(struct gpu_planner **planner)
{
}

const char *gpu_planner_device_json(const struct gpu_planner *planner)
{
    return NULL;
}

bool gpu_planner_lacks(const struct gpu_planner *planner, const struct gpu_pattern *pattern)
{
    return false;
}

enum reel_err gpu_plan_create(struct gpu_planner *planner, const struct gpu_pattern *pattern,
                              struct gpu_plan **out_plan)
{
    *out_plan = NULL;
    return missing();
}

int gpu_plan_choices(struct gpu_planner *planner, const struct gpu_pattern *pattern, int steps,
                     struct gpu_pin *out_pins, int most)
{
    return 0;
}

int gpu_planner_sm(const struct gpu_planner *planner)
{
    return 0;
}

void gpu_plan_destroy(struct gpu_plan **plan)
{
}

const struct gpu_plan_info *gpu_plan_info(const struct gpu_plan *plan)
{
    return NULL;
}

enum reel_err gpu_plan_run(struct gpu_plan *plan, const struct gpu_plan_io *io, void *workspace, void *stream)
{
    return missing();
}

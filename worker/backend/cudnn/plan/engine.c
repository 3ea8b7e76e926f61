// SPDX-License-Identifier: MIT
//
// Lists engines, sorts them by preference, and builds them. See engine.h.
#include "worker/backend/cudnn/plan/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- reading an engine config ------------------------------------------------

static enum reel_err desc_get(struct plan_bag *bag, cudnnBackendDescriptor_t d, cudnnBackendAttributeName_t name,
                              cudnnBackendAttributeType_t type, int64_t room, int64_t *out_count, void *out_values)
{
    *out_count = 0;
    cudnnStatus_t status = bag->api->cudnnBackendGetAttribute(d, name, type, room, out_count, out_values);
    if (status == CUDNN_STATUS_SUCCESS) return REEL_OK;
    char what[64];
    snprintf(what, sizeof what, "read cuDNN attribute %d", (int)name);
    return cudnn_api_fail(bag->api, status, what);
}

// Reads an attribute that is a list of descriptors, up to `room` of them.
static enum reel_err desc_get_list(struct plan_bag *bag, cudnnBackendDescriptor_t d, cudnnBackendAttributeName_t name,
                                   cudnnBackendDescriptorType_t type, int room, int64_t *out_count,
                                   cudnnBackendDescriptor_t *out_list)
{
    enum reel_err err = REEL_OK;
    for (int i = 0; !err && i < room; i++) err = plan_desc_new(bag, type, &out_list[i]);
    return err ? err : desc_get(bag, d, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, room, out_count, out_list);
}

static bool has_note(const int *note, int64_t count, int wanted)
{
    for (int64_t i = 0; i < count; i++)
        if (note[i] == wanted) return true;
    return false;
}

// Knobs that decide in which order sums are made. The engine must not choose them by the problem's size,
// since then a frame's bits would depend on its batch.
static bool steers_sum(cudnnBackendKnobType_t type)
{
    return type == CUDNN_KNOB_TYPE_SPLIT_K_SLC || type == CUDNN_KNOB_TYPE_SPLIT_K_BUF ||
           type == CUDNN_KNOB_TYPE_REDUCTION_MODE || type == CUDNN_KNOB_TYPE_STREAM_K;
}

static enum reel_err read_knobs(struct plan_bag *bag, cudnnBackendDescriptor_t config, struct plan_choice *out)
{
    cudnnBackendDescriptor_t knob[PLAN_MAX_KNOBS];
    int64_t count, got;
    enum reel_err err = desc_get_list(bag, config, CUDNN_ATTR_ENGINECFG_KNOB_CHOICES,
                                      CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR, PLAN_MAX_KNOBS, &count, knob);
    for (int64_t i = 0; !err && i < count && i < PLAN_MAX_KNOBS; i++) {
        int type = 0;
        int64_t value = 0;
        err = desc_get(bag, knob[i], CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, 1, &got, &type);
        if (!err) err = desc_get(bag, knob[i], CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, CUDNN_TYPE_INT64, 1, &got, &value);
        // -1 leaves the choice to the engine, which must not be for knobs that steer sums.
        if (!err && value >= 0) {
            out->knob[out->n_knobs].type = type;
            out->knob[out->n_knobs++].value = value;
        }
    }
    return err;
}

static bool has_knob(const struct plan_choice *c, cudnnBackendKnobType_t type)
{
    for (int i = 0; i < c->n_knobs; i++)
        if (c->knob[i].type == type) return true;
    return false;
}

// Sets every knob that steers sums, and that the heuristics left open, to its least value: one slice, no
// stream-K.
static enum reel_err pin_sum_knobs(struct plan_bag *bag, cudnnBackendDescriptor_t engine, struct plan_choice *c)
{
    cudnnBackendDescriptor_t info[PLAN_MAX_KNOBS];
    int64_t count, got;
    enum reel_err err = desc_get_list(bag, engine, CUDNN_ATTR_ENGINE_KNOB_INFO, CUDNN_BACKEND_KNOB_INFO_DESCRIPTOR,
                                      PLAN_MAX_KNOBS, &count, info);
    for (int64_t i = 0; !err && i < count && i < PLAN_MAX_KNOBS; i++) {
        int type = 0;
        int64_t least = 0;
        err = desc_get(bag, info[i], CUDNN_ATTR_KNOB_INFO_TYPE, CUDNN_TYPE_KNOB_TYPE, 1, &got, &type);
        if (err || !steers_sum(type) || has_knob(c, type) || c->n_knobs == PLAN_MAX_KNOBS) continue;
        err = desc_get(bag, info[i], CUDNN_ATTR_KNOB_INFO_MINIMUM_VALUE, CUDNN_TYPE_INT64, 1, &got, &least);
        if (err) break;
        c->knob[c->n_knobs].type = type;
        c->knob[c->n_knobs++].value = least;
    }
    return err;
}

struct notes {
    bool nondeterministic, reduced, fft;
};

// Reads one entry of the heuristics' list. Descriptors that are made on the way are freed at return.
static enum reel_err read_config(const struct plan_target *target, cudnnBackendDescriptor_t config,
                                 struct plan_choice *out, struct notes *out_notes)
{
    struct plan_bag bag = {.api = target->api};
    cudnnBackendDescriptor_t engine;
    int numeric[CUDNN_NUMERICAL_NOTE_TYPE_COUNT], behaviour[CUDNN_BEHAVIOR_NOTE_TYPE_COUNT];
    int64_t count, n_numeric, n_behaviour, index = 0, workspace = 0;
    enum reel_err err =
        desc_get_list(&bag, config, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_BACKEND_ENGINE_DESCRIPTOR, 1, &count, &engine);
    if (!err) err = desc_get(&bag, engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, &count, &index);
    if (!err)
        err = desc_get(&bag, engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
                       CUDNN_NUMERICAL_NOTE_TYPE_COUNT, &n_numeric, numeric);
    if (!err)
        err = desc_get(&bag, engine, CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, CUDNN_TYPE_BEHAVIOR_NOTE,
                       CUDNN_BEHAVIOR_NOTE_TYPE_COUNT, &n_behaviour, behaviour);
    if (!err) err = read_knobs(&bag, config, out);
    if (!err) err = pin_sum_knobs(&bag, engine, out);
    // Some engines say this only after they are built; plan_engine_build() asks again.
    if (!err && desc_get(&bag, config, CUDNN_ATTR_ENGINECFG_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &count, &workspace))
        workspace = 0;
    if (!err) {
        out->engine = (int)index;
        out->tensor_core = has_note(numeric, n_numeric, CUDNN_NUMERICAL_NOTE_TENSOR_CORE);
        out->winograd = has_note(numeric, n_numeric, CUDNN_NUMERICAL_NOTE_WINOGRAD);
        out->runtime_compiled = has_note(behaviour, n_behaviour, CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION);
        // The generic engine is number 0 among the precompiled ones; run-time
        // compiled engines are numbered from 0 in patterns of their own.
        out->generic = index == 0 && !out->runtime_compiled;
        out->workspace_bytes = workspace > 0 ? (size_t)workspace : 0;
        out_notes->nondeterministic = has_note(numeric, n_numeric, CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC);
        out_notes->reduced = has_note(numeric, n_numeric, CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION) ||
                             has_note(numeric, n_numeric, CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS);
        out_notes->fft = has_note(numeric, n_numeric, CUDNN_NUMERICAL_NOTE_FFT);
    }
    plan_bag_fini(&bag);
    return err;
}

// ---- the list --------------------------------------------------------------------

static bool allowed(const struct plan_choice *c, const struct notes *notes, const struct plan_limits *limits)
{
    if (notes->nondeterministic || notes->reduced || notes->fft || c->winograd) return false;
    if (limits->strict_f32 && c->tensor_core) return false;
    if (limits->no_runtime_compile && c->runtime_compiled) return false;
    return c->workspace_bytes <= limits->workspace_bytes;
}

#define HEUR_MAX 64 // mode A was seen to list up to 38

static enum reel_err list_mode(const struct plan_target *target, struct plan_graph *graph, cudnnBackendHeurMode_t mode,
                               const struct plan_limits *limits, struct plan_candidates *list)
{
    struct plan_bag bag = {.api = target->api};
    cudnnBackendDescriptor_t heur, config[HEUR_MAX];
    int64_t count = 0;
    enum reel_err err = plan_desc_new(&bag, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, &heur);
    if (!err)
        err = plan_desc_set(&bag, heur, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
                            &graph->ops);
    if (!err) err = plan_desc_set(&bag, heur, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
    if (!err && target->device_prop)
        err = plan_desc_set(&bag, heur, CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
                            &target->device_prop);
    // "Nothing for this graph" is reported as an error here; the other mode may know more.
    if (!err && plan_desc_finalize(&bag, heur, "ask cuDNN's heuristics")) count = -1;
    if (!err && count == 0)
        err = desc_get_list(&bag, heur, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, HEUR_MAX,
                            &count, config);
    for (int64_t i = 0; !err && i < count && list->n < PLAN_MAX_CANDIDATES; i++) {
        struct plan_choice c = {.rank = list->listed++};
        struct notes notes = {0};
        if (read_config(target, config[i], &c, &notes)) continue; // it cannot be used if it cannot be queried
        if (allowed(&c, &notes, limits)) list->choice[list->n++] = c;
    }
    plan_bag_fini(&bag);
    return err;
}

static int preference(const struct plan_choice *c, const struct plan_limits *limits)
{
    if (c->generic) return 2;
    return limits->want_tensor_core && !c->tensor_core ? 1 : 0;
}

enum reel_err plan_engine_list(const struct plan_target *target, struct plan_graph *graph,
                               const struct plan_limits *limits, bool fallback, struct plan_candidates *out_list)
{
    out_list->n = out_list->listed = 0;
    cudnnBackendHeurMode_t mode = fallback ? CUDNN_HEUR_MODE_FALLBACK : CUDNN_HEUR_MODE_A;
    enum reel_err err = list_mode(target, graph, mode, limits, out_list);
    if (err) return err;
    // A stable sort by preference: engines that are equally good keep the heuristics' order.
    for (int i = 1; i < out_list->n; i++) {
        struct plan_choice c = out_list->choice[i];
        int at = i;
        for (; at > 0 && preference(&out_list->choice[at - 1], limits) > preference(&c, limits); at--)
            out_list->choice[at] = out_list->choice[at - 1];
        out_list->choice[at] = c;
    }
    return REEL_OK;
}

// ---- building ----------------------------------------------------------------------

static enum reel_err make_config(const struct plan_target *target, struct plan_graph *graph,
                                 const struct plan_choice *choice, cudnnBackendDescriptor_t *out_config)
{
    struct plan_bag *bag = &graph->bag;
    cudnnBackendDescriptor_t engine, knob[PLAN_MAX_KNOBS];
    const cudnnBackendAttributeType_t desc = CUDNN_TYPE_BACKEND_DESCRIPTOR;
    int64_t index = choice->engine;
    enum reel_err err = plan_desc_new(bag, CUDNN_BACKEND_ENGINE_DESCRIPTOR, &engine);
    if (!err) err = plan_desc_set(bag, engine, CUDNN_ATTR_ENGINE_OPERATION_GRAPH, desc, 1, &graph->ops);
    if (!err) err = plan_desc_set(bag, engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, &index);
    if (!err && target->device_prop)
        err = plan_desc_set(bag, engine, CUDNN_ATTR_ENGINE_DEVICEPROP, desc, 1, &target->device_prop);
    if (!err) err = plan_desc_finalize(bag, engine, "take a cuDNN engine");
    for (int i = 0; !err && i < choice->n_knobs; i++) {
        err = plan_desc_new(bag, CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR, &knob[i]);
        if (!err)
            err = plan_desc_set(bag, knob[i], CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, 1,
                                &choice->knob[i].type);
        if (!err)
            err = plan_desc_set(bag, knob[i], CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, CUDNN_TYPE_INT64, 1,
                                &choice->knob[i].value);
        if (!err) err = plan_desc_finalize(bag, knob[i], "turn a cuDNN knob");
    }
    if (!err) err = plan_desc_new(bag, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, out_config);
    if (!err) err = plan_desc_set(bag, *out_config, CUDNN_ATTR_ENGINECFG_ENGINE, desc, 1, &engine);
    if (!err && choice->n_knobs)
        err = plan_desc_set(bag, *out_config, CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, desc, choice->n_knobs, knob);
    return err ? err : plan_desc_finalize(bag, *out_config, "configure a cuDNN engine");
}

static enum reel_err make_plan(const struct plan_target *target, struct plan_bag *bag, cudnnBackendDescriptor_t config,
                               cudnnBackendDescriptor_t *out_plan)
{
    const cudnnBackendAttributeType_t desc = CUDNN_TYPE_BACKEND_DESCRIPTOR;
    enum reel_err err = plan_desc_new(bag, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, out_plan);
    if (!err) err = plan_desc_set(bag, *out_plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, desc, 1, &config);
    if (!err && target->device_prop)
        err = plan_desc_set(bag, *out_plan, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, desc, 1, &target->device_prop);
    if (!err && target->handle)
        err = plan_desc_set(bag, *out_plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, &target->handle);
    return err ? err : plan_desc_finalize(bag, *out_plan, "build a cuDNN plan");
}

enum reel_err plan_engine_build(const struct plan_target *target, struct plan_graph *graph,
                                const struct plan_choice *choice, bool config_only, cudnnBackendDescriptor_t *out_plan,
                                size_t *out_workspace_bytes)
{
    struct plan_bag *bag = &graph->bag;
    cudnnBackendDescriptor_t config;
    int64_t count, workspace = 0;
    const int mark = bag->n;
    *out_plan = NULL;
    enum reel_err err = make_config(target, graph, choice, &config);
    if (!err && !config_only) err = make_plan(target, bag, config, out_plan);
    if (!err)
        err = desc_get(bag, config_only ? config : *out_plan,
                       config_only ? CUDNN_ATTR_ENGINECFG_WORKSPACE_SIZE : CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE,
                       CUDNN_TYPE_INT64, 1, &count, &workspace);
    *out_workspace_bytes = workspace > 0 ? (size_t)workspace : 0;
    if (err) plan_bag_cut(bag, mark);
    return err;
}

// ---- text ----------------------------------------------------------------------------

static const char *knob_name(cudnnBackendKnobType_t type)
{
    switch ((int)type) {
    case CUDNN_KNOB_TYPE_SWIZZLE:
        return "swizzle";
    case CUDNN_KNOB_TYPE_TILE_SIZE:
        return "tile_size";
    case CUDNN_KNOB_TYPE_EDGE:
        return "edge";
    case CUDNN_KNOB_TYPE_SPLIT_K_BUF:
        return "split_k_buf";
    case CUDNN_KNOB_TYPE_TILEK:
        return "tile_k";
    case CUDNN_KNOB_TYPE_STAGES:
        return "stages";
    case CUDNN_KNOB_TYPE_REDUCTION_MODE:
        return "reduction_mode";
    case CUDNN_KNOB_TYPE_SPLIT_K_SLC:
        return "split_k_slc";
    case CUDNN_KNOB_TYPE_IDX_MODE:
        return "idx_mode";
    case CUDNN_KNOB_TYPE_SPECFILT:
        return "specfilt";
    case CUDNN_KNOB_TYPE_KERNEL_CFG:
        return "kernel_cfg";
    case CUDNN_KNOB_TYPE_WORKSPACE:
        return "workspace";
    case CUDNN_KNOB_TYPE_TILE_CGA_M:
        return "tile_cga_m";
    case CUDNN_KNOB_TYPE_TILE_CGA_N:
        return "tile_cga_n";
    case CUDNN_KNOB_TYPE_STREAM_K:
        return "stream_k";
    }
    return NULL;
}

const char *plan_choice_knobs(const struct plan_choice *choice, char *buf, size_t buf_bytes)
{
    size_t at = 0;
    buf[0] = 0;
    for (int i = 0; i < choice->n_knobs && at < buf_bytes; i++) {
        char number[16];
        const char *name = knob_name(choice->knob[i].type);
        if (!name) snprintf(number, sizeof number, "knob%d", (int)choice->knob[i].type);
        at += snprintf(buf + at, buf_bytes - at, "%s%s=%lld", i ? " " : "", name ? name : number,
                       (long long)choice->knob[i].value);
    }
    return buf;
}

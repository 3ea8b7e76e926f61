// SPDX-License-Identifier: MIT
//
// Planners and plans over cuDNN's graph API; see plan.h.
//
// A compiled pattern (struct compiled) is shared by all plans of equal patterns
// of its planner: the sixteen equal layers of a network are compiled once.
#include "worker/backend/cudnn/plan/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/backend/cudnn/plan/cache.h"
#include "worker/backend/cudnn/plan/engine.h"

#define DEFAULT_WORKSPACE_CAP ((size_t)32 << 20)
// Below this no workspace counts as a hidden copy: engines want a little for
// their own bookkeeping, 1.4 MB at most as seen on sm_75 and sm_89.
#define REPACK_FLOOR ((size_t)2 << 20)
// Output of the pattern that stands for all large ones: between what fills a GPU and 4K.
#define LARGE_ROWS 540
#define LARGE_COLUMNS 960
#define KEY_BYTES (GPU_PATTERN_TEXT_MAX + GPU_PIN_TEXT_MAX + 256)

struct compiled {
    struct compiled *next;
    int refs;
    char key[KEY_BYTES];
    struct plan_graph graph;
    cudnnBackendDescriptor_t plan; // owned by graph.bag, or by `loaded`
    struct plan_bag loaded;
    struct gpu_plan_info info;
    char knobs[256];
};

struct gpu_planner {
    const struct cudnn_api *api;
    struct plan_bag bag; // owns device_prop
    struct plan_target target;
    cudnnBackendDescriptor_t device_prop;
    char *device_json;
    int sm_version, sm_count;
    size_t workspace_cap_bytes;
    bool no_runtime_compile, choose_only;
    const struct gpu_pins *pins, *builtin;
    char cache_dir[1024];
    void *stream; // the handle's stream
    struct compiled *compiled;
};

struct gpu_plan {
    struct gpu_planner *planner;
    struct compiled *compiled;
    struct gpu_pattern pattern;
};

// ---- probe --------------------------------------------------------------------------

enum reel_err gpu_plan_probe(void)
{
    return cudnn_api_load() ? REEL_OK : REEL_ERR_UNSUPPORTED;
}

size_t gpu_plan_cudnn_version(void)
{
    const struct cudnn_api *api = cudnn_api_load();
    return api ? api->cudnnGetVersion() : 0;
}

// ---- planner ------------------------------------------------------------------------

// The number behind "key": in flat JSON; -1 if there is none.
static int json_number(const char *json, const char *key)
{
    char quoted[64];
    snprintf(quoted, sizeof quoted, "\"%s\"", key);
    const char *at = strstr(json, quoted);
    if (!at) return -1;
    at += strlen(quoted);
    at += strspn(at, " \t\r\n:");
    return *at >= '0' && *at <= '9' ? atoi(at) : -1;
}

static enum reel_err set_device_json(struct gpu_planner *planner, const char *json)
{
    enum reel_err err = plan_desc_set(&planner->bag, planner->device_prop, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION,
                                      CUDNN_TYPE_CHAR, (int64_t)strlen(json), json);
    if (!err) err = plan_desc_finalize(&planner->bag, planner->device_prop, "read the GPU's properties");
    if (err) return reel_fail_prefix(REEL_ERR_CONFIG, "device properties: ");
    planner->target.device_prop = planner->device_prop;
    planner->device_json = strdup(json);
    return planner->device_json ? REEL_OK : reel_fail(REEL_ERR_NOMEM, "could not plan: out of memory");
}

// The properties of the handle's device, as cuDNN writes them.
static enum reel_err get_device_json(struct gpu_planner *planner)
{
    struct plan_bag *bag = &planner->bag;
    int64_t bytes = 0;
    enum reel_err err = plan_desc_set(bag, planner->device_prop, CUDNN_ATTR_DEVICEPROP_HANDLE, CUDNN_TYPE_HANDLE, 1,
                                      &planner->target.handle);
    if (!err) err = plan_desc_finalize(bag, planner->device_prop, "ask for the GPU's properties");
    if (err) return err;
    const struct cudnn_api *api = planner->api;
    cudnnStatus_t status = api->cudnnBackendGetAttribute(
        planner->device_prop, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, 0, &bytes, NULL);
    if (status == CUDNN_STATUS_SUCCESS) {
        planner->device_json = calloc(1, (size_t)bytes + 1);
        if (!planner->device_json) return reel_fail(REEL_ERR_NOMEM, "could not plan: out of memory");
        status = api->cudnnBackendGetAttribute(planner->device_prop, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION,
                                               CUDNN_TYPE_CHAR, bytes, &bytes, planner->device_json);
    }
    return status == CUDNN_STATUS_SUCCESS ? REEL_OK : cudnn_api_fail(api, status, "read the GPU's properties");
}

static enum reel_err open_device(struct gpu_planner *planner, const char *json)
{
    enum reel_err err = plan_desc_new(&planner->bag, CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR, &planner->device_prop);
    if (!err && json) {
        err = set_device_json(planner, json);
    } else if (!err) {
        cudnnStatus_t status = planner->api->cudnnCreate(&planner->target.handle);
        if (status != CUDNN_STATUS_SUCCESS) return cudnn_api_fail(planner->api, status, "open cuDNN on the GPU");
        err = get_device_json(planner);
    }
    if (err) return err;
    planner->sm_version = json_number(planner->device_json, "deviceVer");
    planner->sm_count = json_number(planner->device_json, "multiProcessorCount");
    if (planner->sm_version < 0 || planner->sm_count < 1)
        return reel_fail(REEL_ERR_CONFIG, "could not use the device properties: no deviceVer or multiProcessorCount");
    return REEL_OK;
}

enum reel_err gpu_planner_create(const struct gpu_planner_params *params, struct gpu_planner **out_planner)
{
    *out_planner = NULL;
    const struct cudnn_api *api = cudnn_api_load();
    if (!api) return REEL_ERR_UNSUPPORTED;
    struct gpu_planner *planner = calloc(1, sizeof *planner);
    if (!planner) return reel_fail(REEL_ERR_NOMEM, "could not plan: out of memory");
    planner->api = planner->bag.api = planner->target.api = api;
    planner->workspace_cap_bytes = params->workspace_cap_bytes ? params->workspace_cap_bytes : DEFAULT_WORKSPACE_CAP;
    planner->no_runtime_compile = params->no_runtime_compile;
    planner->choose_only = params->choose_only;
    planner->pins = params->pins;
    planner->builtin = params->no_builtin_pins ? NULL : gpu_pins_builtin();
    if (params->choose_only)
        planner->cache_dir[0] = 0;
    else if (params->cache_dir)
        snprintf(planner->cache_dir, sizeof planner->cache_dir, "%s", params->cache_dir);
    else
        plan_cache_default_dir(planner->cache_dir, sizeof planner->cache_dir);
    enum reel_err err = open_device(planner, params->device_json);
    if (err) gpu_planner_destroy(&planner);
    *out_planner = planner;
    return err;
}

static void free_compiled(struct compiled *c)
{
    if (!c) return;
    if (c->loaded.api) plan_bag_fini(&c->loaded);
    plan_graph_fini(&c->graph);
    free(c);
}

void gpu_planner_destroy(struct gpu_planner **planner)
{
    struct gpu_planner *p = *planner;
    if (!p) return;
    while (p->compiled) {
        struct compiled *next = p->compiled->next;
        free_compiled(p->compiled);
        p->compiled = next;
    }
    plan_bag_fini(&p->bag);
    if (p->target.handle) p->api->cudnnDestroy(p->target.handle);
    free(p->device_json);
    free(p);
    *planner = NULL;
}

const char *gpu_planner_device_json(const struct gpu_planner *planner)
{
    return planner->device_json;
}

int gpu_planner_sm(const struct gpu_planner *planner)
{
    return planner->sm_version / 10;
}

// ---- choosing -----------------------------------------------------------------------

static bool half_like(enum gpu_type type)
{
    return type == GPU_F16 || type == GPU_BF16 || type == GPU_F8E4M3;
}

static struct plan_limits limits_of(const struct gpu_planner *planner, const struct gpu_pattern *p)
{
    bool low = half_like(p->x_type);
    // A workspace of more than half of the smaller of x and y can only hold a copy of one of them.
    size_t x = gpu_pattern_x_bytes(p), y = gpu_pattern_y_bytes(p), copy = (x < y ? x : y) / 2;
    if (copy < REPACK_FLOOR) copy = REPACK_FLOOR;
    return (struct plan_limits){
        .workspace_bytes = copy < planner->workspace_cap_bytes ? copy : planner->workspace_cap_bytes,
        .strict_f32 = !low && !p->allow_tf32,
        .want_tensor_core = low || p->allow_tf32,
        .no_runtime_compile = planner->no_runtime_compile,
    };
}

// Builds the choice for all images, or for one image if the engine refuses more.
static enum reel_err build_choice(struct gpu_planner *planner, const struct gpu_pattern *pattern, int steps,
                                  const struct plan_choice *choice, struct compiled *c)
{
    enum reel_err err = REEL_OK;
    for (int repeat = 1; repeat <= pattern->n; repeat = repeat < pattern->n ? pattern->n : pattern->n + 1) {
        struct gpu_pattern p = *pattern;
        if (repeat > 1) p.n = 1;
        struct plan_limits limits = limits_of(planner, &p);
        err = plan_graph_init(&c->graph, &planner->target, &p, steps);
        if (!err)
            err = plan_engine_build(&planner->target, &c->graph, choice, planner->choose_only, &c->plan,
                                    &c->info.workspace_bytes);
        if (!err && c->info.workspace_bytes > limits.workspace_bytes)
            err = reel_fail(REEL_ERR_UNSUPPORTED, "could not use engine %d: its workspace of %zu bytes is a copy",
                            choice->engine, c->info.workspace_bytes);
        if (!err) {
            c->info.repeat = repeat;
            return REEL_OK;
        }
        plan_graph_fini(&c->graph);
    }
    return err;
}

// The pattern whose engines serve this one: of one image, and of one size for all
// large ones, so that a picture, its tiles and its bands are summed in one order.
static struct gpu_pattern model_of(const struct gpu_pattern *pattern)
{
    struct gpu_pattern p = *pattern;
    int rows, columns;
    gpu_pattern_output(&p, &rows, &columns);
    p.n = 1;
    if ((int64_t)rows * columns < PINS_LARGE) return p;
    const bool up = p.kind == GPU_DECONV;
    if (p.kind == GPU_MATMUL) {
        p.h = LARGE_ROWS * LARGE_COLUMNS;
    } else {
        p.h = up ? LARGE_ROWS / p.stride_h : LARGE_ROWS * p.stride_h;
        p.w = up ? LARGE_COLUMNS / p.stride_w : LARGE_COLUMNS * p.stride_w;
    }
    return p;
}

// The engines of its model, with this many steps fused.
static enum reel_err list_engines(struct gpu_planner *planner, const struct gpu_pattern *pattern, int steps,
                                  bool fallback, struct plan_candidates *out_list)
{
    const struct gpu_pattern model = model_of(pattern);
    const struct plan_limits limits = limits_of(planner, &model);
    struct plan_graph graph;
    enum reel_err err = plan_graph_init(&graph, &planner->target, &model, steps);
    out_list->n = out_list->listed = 0;
    if (!err) err = plan_engine_list(&planner->target, &graph, &limits, fallback, out_list);
    plan_graph_fini(&graph);
    // An operation that the graph cannot express (a type that this device lacks) is treated as one
    // without engines.
    return err == REEL_ERR_NOMEM ? err : REEL_OK;
}

struct attempt {
    int steps;
    bool fallback; // asks the heuristics in mode FALLBACK instead of A
    enum floor {
        FLOOR_GOOD,     // uses tensor cores where they are wanted
        FLOOR_SPECIFIC, // anything except the generic engine
        FLOOR_ANY,
    } floor;
};

static void describe(struct compiled *c, const struct plan_choice *choice, struct attempt a, int listed)
{
    plan_choice_knobs(choice, c->knobs, sizeof c->knobs);
    c->info.fused_steps = a.steps;
    c->info.engine = choice->engine;
    c->info.runtime_compiled = choice->runtime_compiled;
    c->info.tensor_core = choice->tensor_core;
    c->info.generic = choice->generic;
    c->info.fallback = a.fallback;
    c->info.rank = choice->rank;
    c->info.listed = listed;
}

// Tries the engines in order; AGAIN if none can be built.
static enum reel_err try_engines(struct gpu_planner *planner, const struct gpu_pattern *pattern, struct attempt a,
                                 struct plan_candidates *list, struct compiled *c)
{
    bool want = half_like(pattern->x_type) || pattern->allow_tf32;
    enum reel_err err = list_engines(planner, pattern, a.steps, a.fallback, list);
    if (err) return err;
    for (int i = 0; i < list->n; i++) {
        const struct plan_choice *choice = &list->choice[i];
        if (a.floor < FLOOR_ANY && choice->generic) break;
        if (a.floor == FLOOR_GOOD && want && !choice->tensor_core) break;
        if (build_choice(planner, pattern, a.steps, choice, c)) continue;
        describe(c, choice, a, list->listed);
        return REEL_OK;
    }
    return REEL_AGAIN;
}

// ---- measured engines ---------------------------------------------------------------

static void pin_of(const struct plan_choice *choice, int steps, struct gpu_pin *out)
{
    *out = (struct gpu_pin){.steps = steps, .engine = choice->engine, .n_knobs = choice->n_knobs};
    for (int i = 0; i < choice->n_knobs; i++) {
        out->knob[i].type = (int)choice->knob[i].type;
        out->knob[i].value = choice->knob[i].value;
    }
}

static bool is_pin(const struct plan_choice *choice, const struct gpu_pin *pin)
{
    if (choice->engine != pin->engine || choice->n_knobs != pin->n_knobs) return false;
    for (int i = 0; i < pin->n_knobs; i++)
        if ((int)choice->knob[i].type != pin->knob[i].type || choice->knob[i].value != pin->knob[i].value) return false;
    return true;
}

static bool find_pin(const struct gpu_planner *planner, const struct gpu_pattern *pattern, struct gpu_pin *out)
{
    return gpu_pins_find(planner->pins, gpu_planner_sm(planner), pattern, out) ||
           gpu_pins_find(planner->builtin, gpu_planner_sm(planner), pattern, out);
}

// AGAIN: none is pinned, or this cuDNN does not list it.
static enum reel_err try_pinned(struct gpu_planner *planner, const struct gpu_pattern *pattern,
                                struct plan_candidates *list, struct compiled *c)
{
    struct gpu_pin pin;
    if (!find_pin(planner, pattern, &pin) || pin.steps > gpu_pattern_fusable(pattern)) return REEL_AGAIN;
    const struct attempt a = {.steps = pin.steps};
    enum reel_err err = list_engines(planner, pattern, a.steps, a.fallback, list);
    if (err) return err;
    for (int i = 0; i < list->n; i++) {
        if (!is_pin(&list->choice[i], &pin) || build_choice(planner, pattern, a.steps, &list->choice[i], c)) continue;
        describe(c, &list->choice[i], a, list->listed);
        c->info.pinned = true;
        return REEL_OK;
    }
    return REEL_AGAIN;
}

int gpu_plan_choices(struct gpu_planner *planner, const struct gpu_pattern *pattern, int steps,
                     struct gpu_pin *out_pins, int most)
{
    struct plan_candidates *list = malloc(sizeof *list);
    int n = 0;
    if (list && !list_engines(planner, pattern, steps, false, list))
        for (int i = 0; i < list->n && n < most && !list->choice[i].generic; i++)
            pin_of(&list->choice[i], steps, &out_pins[n++]);
    free(list);
    return n;
}

// Fuses as many steps as a good engine accepts; if there is none, as many as any engine accepts.
static enum reel_err build(struct gpu_planner *planner, const struct gpu_pattern *pattern, struct compiled *c)
{
    struct plan_candidates *list = malloc(sizeof *list);
    if (!list) return reel_fail(REEL_ERR_NOMEM, "could not plan: out of memory");
    enum reel_err err = try_pinned(planner, pattern, list, c);
    reel_fail(REEL_ERR_UNSUPPORTED, "cuDNN lists no engine");
    for (enum floor floor = FLOOR_GOOD; err == REEL_AGAIN && floor <= FLOOR_ANY; floor++) {
        for (int steps = gpu_pattern_fusable(pattern); err == REEL_AGAIN && steps >= 0; steps--) {
            for (int fallback = 0; err == REEL_AGAIN && fallback <= 1; fallback++)
                err = try_engines(planner, pattern, (struct attempt){steps, fallback, floor}, list, c);
        }
    }
    free(list);
    if (err != REEL_AGAIN) return err;
    char text[GPU_PATTERN_TEXT_MAX];
    return reel_fail_prefix(REEL_ERR_UNSUPPORTED,
                            "could not plan \"%s\" for sm_%d: ", gpu_pattern_text(pattern, text, sizeof text),
                            planner->sm_version / 10);
}

// ---- the cache ----------------------------------------------------------------------

static void make_key(const struct gpu_planner *planner, const struct gpu_pattern *pattern, char *key)
{
    char text[GPU_PATTERN_TEXT_MAX], pinned[GPU_PIN_TEXT_MAX] = "";
    struct gpu_pin pin;
    if (find_pin(planner, pattern, &pin)) gpu_pin_text(&pin, pinned, sizeof pinned);
    snprintf(key, KEY_BYTES, "cudnn %zu sm %d count %d cap %zu rtc %d large %dx%d %s %s",
             planner->api->cudnnGetVersion(), planner->sm_version, planner->sm_count, planner->workspace_cap_bytes,
             !planner->no_runtime_compile, LARGE_ROWS, LARGE_COLUMNS, gpu_pattern_text(pattern, text, sizeof text),
             pinned);
}

// The first line of a cached body; the plan's JSON follows it.
#define META_FORMAT                                                                                               \
    "steps %d fallback %d engine %d rtc %d tc %d generic %d pinned %d rank %d listed %d repeat %d workspace %zu " \
    "knobs [%255[^]]]"

static bool read_meta(struct compiled *c, const char *body, const char **out_json)
{
    int fallback = 0, rtc = 0, tc = 0, generic = 0, pinned = 0;
    struct gpu_plan_info *info = &c->info;
    const char *end = strchr(body, '\n');
    if (!end) return false;
    // A choice without knobs has a blank between the brackets.
    int got = sscanf(body, META_FORMAT, &info->fused_steps, &fallback, &info->engine, &rtc, &tc, &generic, &pinned,
                     &info->rank, &info->listed, &info->repeat, &info->workspace_bytes, c->knobs);
    info->fallback = fallback, info->runtime_compiled = rtc, info->tensor_core = tc, info->generic = generic;
    info->pinned = pinned;
    if (strcmp(c->knobs, " ") == 0) c->knobs[0] = 0;
    *out_json = end + 1;
    return got == 12 && info->fused_steps >= 0 && info->fused_steps <= GPU_MAX_STEPS && info->repeat >= 1;
}

bool gpu_planner_lacks(const struct gpu_planner *planner, const struct gpu_pattern *pattern)
{
    char key[KEY_BYTES], *body = NULL;
    size_t bytes = 0;
    if (!*planner->cache_dir) return false;
    make_key(planner, pattern, key);
    enum reel_err err = plan_cache_load(planner->cache_dir, key, &body, &bytes);
    free(body);
    return err != REEL_OK;
}

static enum reel_err load_json(struct gpu_planner *planner, struct compiled *c, const char *json)
{
    struct plan_bag *bag = &c->loaded;
    const struct plan_target *t = &planner->target;
    enum reel_err err = plan_desc_new(bag, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, &c->plan);
    if (!err && t->handle)
        err = plan_desc_set(bag, c->plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, &t->handle);
    if (!err && t->device_prop)
        err = plan_desc_set(bag, c->plan, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
                            &t->device_prop);
    if (!err)
        err = plan_desc_set(bag, c->plan, CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, CUDNN_TYPE_CHAR,
                            (int64_t)strlen(json), json);
    return err ? err : plan_desc_finalize(bag, c->plan, "load a cached plan");
}

// False: the cache has nothing usable, and c is unchanged.
static bool load(struct gpu_planner *planner, const struct gpu_pattern *pattern, struct compiled *c)
{
    char *body = NULL;
    const char *json = NULL;
    size_t bytes = 0;
    if (plan_cache_load(planner->cache_dir, c->key, &body, &bytes)) return false;
    struct gpu_pattern p = *pattern;
    bool good = read_meta(c, body, &json) && c->info.fused_steps <= gpu_pattern_fusable(pattern);
    if (c->info.repeat > 1) p.n = 1;
    // The graph is made only for its scalars; the plan itself comes from the file.
    good =
        good && !plan_graph_init(&c->graph, &planner->target, &p, c->info.fused_steps) && !load_json(planner, c, json);
    free(body);
    if (!good) {
        plan_bag_fini(&c->loaded);
        plan_graph_fini(&c->graph);
        c->info = (struct gpu_plan_info){0};
    }
    c->info.from_cache = good;
    return good;
}

// A plan that cannot be stored is compiled again next time, which is not an error.
static void store(struct gpu_planner *planner, const struct compiled *c)
{
    int64_t bytes = 0;
    const struct gpu_plan_info *i = &c->info;
    const struct cudnn_api *api = planner->api;
    if (!*planner->cache_dir || api->cudnnBackendGetAttribute(c->plan, CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION,
                                                              CUDNN_TYPE_CHAR, 0, &bytes, NULL))
        return;
    char *body = malloc(1024 + (size_t)bytes);
    if (!body) return;
    int at = snprintf(
        body, 1024,
        "steps %d fallback %d engine %d rtc %d tc %d generic %d pinned %d rank %d listed %d repeat %d workspace %zu "
        "knobs [%s]\n",
        i->fused_steps, i->fallback, i->engine, i->runtime_compiled, i->tensor_core, i->generic, i->pinned, i->rank,
        i->listed, i->repeat, i->workspace_bytes, *c->knobs ? c->knobs : " ");
    if (!api->cudnnBackendGetAttribute(c->plan, CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, bytes,
                                       &bytes, body + at)) {
        body[at + bytes] = 0;
        plan_cache_store(planner->cache_dir, c->key, body, strlen(body));
    }
    free(body);
}

// ---- plans --------------------------------------------------------------------------

static enum reel_err compile(struct gpu_planner *planner, const struct gpu_pattern *pattern, struct compiled **out)
{
    struct compiled *c = calloc(1, sizeof *c);
    if (!c) return reel_fail(REEL_ERR_NOMEM, "could not plan: out of memory");
    c->loaded.api = planner->api;
    make_key(planner, pattern, c->key);
    enum reel_err err = REEL_OK;
    if (!load(planner, pattern, c)) {
        err = build(planner, pattern, c);
        if (!err) store(planner, c);
    }
    if (err) {
        free_compiled(c);
        return err;
    }
    c->info.knobs = c->knobs;
    c->next = planner->compiled;
    planner->compiled = *out = c;
    return REEL_OK;
}

enum reel_err gpu_plan_create(struct gpu_planner *planner, const struct gpu_pattern *pattern,
                              struct gpu_plan **out_plan)
{
    *out_plan = NULL;
    enum reel_err err = gpu_pattern_check(pattern);
    if (err) return err;
    char key[KEY_BYTES];
    make_key(planner, pattern, key);
    struct compiled *c = planner->compiled;
    while (c && strcmp(c->key, key)) c = c->next;
    struct gpu_plan *plan = calloc(1, sizeof *plan);
    if (!plan) return reel_fail(REEL_ERR_NOMEM, "could not plan: out of memory");
    if (!c) err = compile(planner, pattern, &c);
    if (err) {
        free(plan);
        return err;
    }
    *plan = (struct gpu_plan){planner, c, *pattern};
    c->refs++;
    *out_plan = plan;
    return REEL_OK;
}

void gpu_plan_destroy(struct gpu_plan **plan)
{
    struct gpu_plan *p = *plan;
    if (!p) return;
    // The last plan of a pattern also frees the compiled kernel.
    if (--p->compiled->refs == 0) {
        struct compiled **at = &p->planner->compiled;
        while (*at != p->compiled) at = &(*at)->next;
        *at = p->compiled->next;
        free_compiled(p->compiled);
    }
    free(p);
    *plan = NULL;
}

const struct gpu_plan_info *gpu_plan_info(const struct gpu_plan *plan)
{
    return &plan->compiled->info;
}

// ---- running ------------------------------------------------------------------------

struct binding {
    int n;
    int64_t uid[3 + 5 * GPU_MAX_STEPS];
    void *pointer[3 + 5 * GPU_MAX_STEPS];
};

static void bind(struct binding *b, int64_t uid, const void *p)
{
    b->uid[b->n] = uid;
    b->pointer[b->n++] = (void *)p;
}

// image > 0: the pointers are those of that image of a batch whose images run one by one.
static void bind_all(const struct gpu_plan *plan, const struct gpu_plan_io *io, int image, struct binding *b)
{
    const struct gpu_pattern *p = &plan->pattern;
    const size_t at = (size_t)image, n = (size_t)p->n;
    b->n = 0;
    bind(b, PLAN_UID_X, (const char *)io->x + at * (gpu_pattern_x_bytes(p) / n));
    bind(b, PLAN_UID_W, (const char *)io->w + (p->w_batched ? at * (gpu_pattern_w_bytes(p) / n) : 0));
    bind(b, PLAN_UID_Y, (char *)io->y + at * (gpu_pattern_y_bytes(p) / n));
    for (int i = 0; i < plan->compiled->info.fused_steps; i++) {
        enum gpu_operand operand = p->step[i].operand;
        size_t step_bytes = operand == GPU_OPERAND_TENSOR ? gpu_pattern_operand_bytes(p, i) / n : 0;
        if (operand == GPU_OPERAND_CHANNEL || operand == GPU_OPERAND_TENSOR)
            bind(b, PLAN_UID_OPERAND + i, (const char *)io->operand[i] + at * step_bytes);
    }
    // Scalars that are passed by value are read from the host's memory at launch.
    for (int i = 0; i < plan->compiled->graph.n_scalars; i++)
        bind(b, PLAN_UID_SCALAR + i, &plan->compiled->graph.scalar[i]);
}

static enum reel_err execute(struct gpu_plan *plan, const struct binding *b, void *workspace)
{
    struct plan_bag bag = {.api = plan->planner->api};
    cudnnBackendDescriptor_t pack;
    enum reel_err err = plan_desc_new(&bag, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, &pack);
    if (!err) err = plan_desc_set(&bag, pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, b->n, b->uid);
    if (!err)
        err = plan_desc_set(&bag, pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, b->n, b->pointer);
    if (!err) err = plan_desc_set(&bag, pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace);
    if (!err) err = plan_desc_finalize(&bag, pack, "bind a plan's tensors");
    if (!err) {
        cudnnStatus_t status = bag.api->cudnnBackendExecute(plan->planner->target.handle, plan->compiled->plan, pack);
        if (status != CUDNN_STATUS_SUCCESS) err = cudnn_api_fail(bag.api, status, "run a cuDNN plan");
    }
    plan_bag_fini(&bag);
    return err;
}

enum reel_err gpu_plan_run(struct gpu_plan *plan, const struct gpu_plan_io *io, void *workspace, void *stream)
{
    struct gpu_planner *planner = plan->planner;
    if (!planner->target.handle || planner->choose_only)
        return reel_fail(REEL_ERR_UNSUPPORTED, "could not run a plan: it was made for a GPU that is not here");
    if (planner->stream != stream) {
        cudnnStatus_t status = planner->api->cudnnSetStream(planner->target.handle, stream);
        if (status != CUDNN_STATUS_SUCCESS) return cudnn_api_fail(planner->api, status, "set cuDNN's stream");
        planner->stream = stream;
    }
    enum reel_err err = REEL_OK;
    for (int image = 0; !err && image < plan->compiled->info.repeat; image++) {
        struct binding b;
        bind_all(plan, io, image, &b);
        err = execute(plan, &b, workspace);
    }
    return err;
}

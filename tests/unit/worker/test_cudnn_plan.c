// SPDX-License-Identifier: MIT
//
// Planning without a GPU: cuDNN plans for the device properties in
// tests/planning/devices. Every quick pattern must be accepted whole on every
// kind of GPU, by a tensor-core engine, without a hidden copy; the choice must
// not depend on the batch; the cache must give back what was stored and
// nothing else. What it cannot show: that a kernel is right or fast.
//
// `test_cudnn_plan --long` plans all patterns on all devices and compiles those
// that need it; `make test-long` runs that.
#include <dirent.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/check.h"
#include "tests/planning/patterns.h"
#include "worker/backend/cudnn/plan/cache.h"
#include "worker/backend/cudnn/plan/plan.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
// cuDNN keeps what its heuristics learnt in modules that are gone when leaks are
// looked for: they cannot be told from leaks, nor suppressed by name.
static void ignore_leaks(void)
{
    __lsan_disable();
}
#else
static void ignore_leaks(void)
{
}
#endif

#define NO_CUDNN()                             \
    do {                                       \
        if (!have_cudnn()) SKIP(why_no_cudnn); \
    } while (0)

static char why_no_cudnn[200];
static bool long_run;

static bool have_cudnn(void)
{
    static bool asked, have;
    if (!asked) {
        asked = true;
        ignore_leaks();
        // Opened by its path, it answers when cuDNN asks for "libcuda.so.1".
        char stub[600];
        const char *build = getenv("REELMILL_BUILD");
        snprintf(stub, sizeof stub, "%s/tests/planning/libcuda.so.1", build ? build : "build/release");
        have = gpu_plan_probe() == REEL_OK;
        if (!have) {
            snprintf(why_no_cudnn, sizeof why_no_cudnn, "%.150s", reel_fail_text());
            why_no_cudnn[strcspn(why_no_cudnn, "\n")] = 0;
        } else if (!dlopen(stub, RTLD_NOW | RTLD_GLOBAL)) {
            have = false;
            snprintf(why_no_cudnn, sizeof why_no_cudnn, "no %.170s", stub);
        }
    }
    return have;
}

static char *device_json(const char *device)
{
    static char text[4096];
    char path[300];
    snprintf(path, sizeof path, "tests/planning/devices/%s.json", device);
    FILE *f = fopen(path, "rb");
    size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
    if (f) fclose(f);
    text[n] = 0;
    return text;
}

static struct gpu_planner *planner_for(const char *device, struct gpu_planner_params params)
{
    struct gpu_planner *planner = NULL;
    params.device_json = device_json(device);
    if (!params.cache_dir) params.cache_dir = "";
    gpu_planner_create(&params, &planner);
    return planner;
}

static struct gpu_pattern named(const char *name)
{
    for (int i = 0; i < N_NAMED_PATTERNS; i++)
        if (!strcmp(named_patterns[i].name, name)) return named_pattern_make(&named_patterns[i]);
    fprintf(stderr, "no pattern is called \"%s\"\n", name);
    abort();
}

// What is chosen for pattern; engine -1 when nothing is.
static struct gpu_plan_info choose(struct gpu_planner *planner, const struct gpu_pattern *p)
{
    struct gpu_plan *plan;
    struct gpu_plan_info info = {.engine = -1};
    if (gpu_plan_create(planner, p, &plan) == REEL_OK) {
        info = *gpu_plan_info(plan);
        gpu_plan_destroy(&plan);
    }
    return info;
}

// ---- measured engines --------------------------------------------------------------

// A table's choice stands in place of the heuristics', for every batch; what this
// cuDNN does not list is passed over.
static void test_measured(void)
{
    NO_CUDNN();
    struct gpu_pattern p = named("srvgg last");
    struct gpu_planner *planner = planner_for("h200", (struct gpu_planner_params){.choose_only = true});
    struct gpu_pin pin[4], wrong;
    struct gpu_pins *pins;
    CHECK(planner != NULL);
    CHECK_INT(gpu_planner_sm(planner), 90);
    CHECK_INT(gpu_plan_choices(planner, &p, 1, pin, 4), 4);
    gpu_planner_destroy(&planner);
    CHECK(!gpu_pins_create(&pins) && !gpu_pins_set(pins, 90, &p, &pin[2]));

    const struct gpu_planner_params params = {.choose_only = true, .pins = pins};
    planner = planner_for("h200", params);
    struct gpu_plan_info info = choose(planner, &p);
    CHECK(info.pinned && info.rank == 2);
    CHECK_INT(info.engine, pin[2].engine);
    p.n = 4;
    info = choose(planner, &p);
    CHECK(info.pinned && info.rank == 2);
    gpu_planner_destroy(&planner);

    planner = planner_for("t4", params); // another GPU's
    info = choose(planner, &p);
    CHECK(info.engine >= 0 && !info.pinned);
    gpu_planner_destroy(&planner);

    wrong = pin[2];
    wrong.engine = 4711;
    CHECK(!gpu_pins_set(pins, 90, &p, &wrong));
    planner = planner_for("h200", params);
    info = choose(planner, &p);
    CHECK(info.engine >= 0 && info.engine != 4711 && !info.pinned);
    gpu_planner_destroy(&planner);
    gpu_pins_destroy(&pins);
}

// ---- the library ----------------------------------------------------------------

// In a child, since the library is looked for once a process.
static void test_missing_library(void)
{
    int pipe_fd[2];
    CHECK_INT(pipe(pipe_fd), 0);
    pid_t pid = fork();
    if (pid == 0) {
        setenv("REELMILL_CUDNN", "/nowhere/libcudnn.so.9", 1);
        struct gpu_planner *planner = NULL;
        struct gpu_planner_params params = GPU_PLANNER_DEFAULTS;
        enum reel_err err = gpu_planner_create(&params, &planner);
        dprintf(pipe_fd[1], "%d %d %zu %s", err == REEL_ERR_UNSUPPORTED, planner == NULL, gpu_plan_cudnn_version(),
                reel_fail_text());
        _exit(0);
    }
    close(pipe_fd[1]);
    char text[600] = "";
    size_t n = 0;
    for (ssize_t got; (got = read(pipe_fd[0], text + n, sizeof text - 1 - n)) > 0;) n += (size_t)got;
    close(pipe_fd[0]);
    waitpid(pid, NULL, 0);
    CHECK_HAS(text, "1 1 0 could not ");
    CHECK_HAS(text, "--backend onednn");
}

static void test_bad_device(void)
{
    NO_CUDNN();
    struct gpu_planner *planner = NULL;
    struct gpu_planner_params params = GPU_PLANNER_DEFAULTS;
    params.cache_dir = "";
    params.device_json = "{\"deviceVer\": 900}";
    CHECK_INT(gpu_planner_create(&params, &planner), REEL_ERR_CONFIG);
    CHECK(planner == NULL);
    CHECK_HAS(reel_fail_text(), "device properties");
}

// ---- choices ----------------------------------------------------------------------

static const char *const all_devices[] = {"h200", "h100", "a100", "b200", "t4", "rtx3090", "rtx4090", "rtx5090"};
static const char *const quick_devices[] = {"h200", "t4", "b200"};

static void check_pattern(struct gpu_planner *planner, const char *device, const struct named_pattern *n)
{
    struct gpu_pattern p = named_pattern_make(n);
    struct gpu_plan_info info = choose(planner, &p);
    const int left = strcmp(device, "t4") ? 0 : n->sm75_left;
    if (left < 0) {
        CHECK_MSG(info.engine < 0, "%s on %s: engine %d takes it", n->name, device, info.engine);
        return;
    }
    CHECK_MSG(info.engine >= 0, "%s on %s: %s", n->name, device, reel_fail_text());
    CHECK_MSG(!info.generic, "%s on %s: the generic engine", n->name, device);
    // An sm_75 has none for three channels in and three out.
    bool tiny = !strcmp(device, "t4") && p.c < 8 && p.k < 8;
    CHECK_MSG(info.tensor_core || tiny, "%s on %s: engine %d uses no tensor cores", n->name, device, info.engine);
    CHECK_MSG(info.fused_steps == p.n_steps - left, "%s on %s: %d of %d steps fused", n->name, device, info.fused_steps,
              p.n_steps);
    CHECK_MSG(info.workspace_bytes <= gpu_pattern_x_bytes(&p) / 2 || info.workspace_bytes <= 2u << 20,
              "%s on %s: a workspace of %zu bytes", n->name, device, info.workspace_bytes);
}

static void test_patterns_fuse(void)
{
    NO_CUDNN();
    struct gpu_planner_params params = {.choose_only = true};
    const char *const *devices = long_run ? all_devices : quick_devices;
    int n_devices = long_run ? sizeof all_devices / sizeof *devices : sizeof quick_devices / sizeof *devices;
    for (int d = 0; d < n_devices; d++) {
        struct gpu_planner *planner = planner_for(devices[d], params);
        CHECK_MSG(planner, "%s: %s", devices[d], reel_fail_text());
        for (int i = 0; i < N_NAMED_PATTERNS && !check_now.failed; i++)
            if (named_patterns[i].quick || long_run) check_pattern(planner, devices[d], &named_patterns[i]);
        gpu_planner_destroy(&planner);
        if (check_now.failed) return;
    }
}

// Operand order and clips are put so that precompiled engines match.
static void test_precompiled_where_possible(void)
{
    NO_CUDNN();
    struct gpu_planner *planner = planner_for("h200", (struct gpu_planner_params){.choose_only = true});
    struct gpu_pattern p = named("residual block"); // bias first, then the residual
    CHECK_INT(p.step[0].operand, GPU_OPERAND_CHANNEL);
    CHECK_INT(p.step[1].operand, GPU_OPERAND_TENSOR);
    struct gpu_plan_info info = choose(planner, &p);
    CHECK_INT(info.runtime_compiled, false);
    CHECK_INT(info.fused_steps, 3);
    p = named("srvgg last");
    info = choose(planner, &p);
    CHECK_INT(info.runtime_compiled, false);
    p = named("srvgg body"); // PReLU
    info = choose(planner, &p);
    CHECK_INT(info.runtime_compiled, true);
    gpu_planner_destroy(&planner);

    // Without the run-time compiler the activation is left to the caller.
    planner = planner_for("h200", (struct gpu_planner_params){.choose_only = true, .no_runtime_compile = true});
    info = choose(planner, &p);
    CHECK_INT(info.runtime_compiled, false);
    CHECK_INT(info.fused_steps, 1);
    gpu_planner_destroy(&planner);
}

static void test_choice_ignores_batch(void)
{
    NO_CUDNN();
    static const char *const names[] = {"srvgg body", "srvgg last", "style deconv", "yolox silu 3x3", "residual block"};
    static const int batch[] = {2, 4, 8};
    struct gpu_planner *planner = planner_for("h200", (struct gpu_planner_params){.choose_only = true});
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct gpu_pattern p = named(names[i]);
        struct gpu_plan *one, *many;
        CHECK_INT(gpu_plan_create(planner, &p, &one), REEL_OK);
        for (size_t j = 0; j < sizeof batch / sizeof *batch; j++) {
            p.n = batch[j];
            CHECK_INT(gpu_plan_create(planner, &p, &many), REEL_OK);
            CHECK_INT(gpu_plan_info(many)->engine, gpu_plan_info(one)->engine);
            CHECK_STR(gpu_plan_info(many)->knobs, gpu_plan_info(one)->knobs);
            CHECK_INT(gpu_plan_info(many)->repeat, 1);
            gpu_plan_destroy(&many);
        }
        // Nothing that orders a sum is left to the engine.
        if (gpu_plan_info(one)->runtime_compiled) CHECK_HAS(gpu_plan_info(one)->knobs, "split_k_slc=1");
        gpu_plan_destroy(&one);
    }
    gpu_planner_destroy(&planner);
}

// A large picture, its bands and tiles, and other large pictures.
static void test_choice_ignores_large_sizes(void)
{
    NO_CUDNN();
    static const char *const names[] = {"srvgg body", "srvgg last", "deconv 4x4 relu", "upscaler body", "ircnn d2"};
    static const struct {
        int h, w;
    } size[] = {{540, 960}, {288, 960}, {1080, 1920}, {2160, 3840}, {256, 256}, {1088, 512}};
    struct gpu_planner *planner = planner_for("h200", (struct gpu_planner_params){.choose_only = true});
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct gpu_pattern p = named(names[i]);
        struct gpu_plan *first = NULL, *other;
        for (size_t j = 0; j < sizeof size / sizeof *size; j++) {
            p.h = size[j].h, p.w = size[j].w;
            CHECK_INT(gpu_plan_create(planner, &p, &other), REEL_OK);
            if (!first) first = other;
            CHECK_INT(gpu_plan_info(other)->engine, gpu_plan_info(first)->engine);
            CHECK_STR(gpu_plan_info(other)->knobs, gpu_plan_info(first)->knobs);
            CHECK_INT(gpu_plan_info(other)->fused_steps, gpu_plan_info(first)->fused_steps);
            if (other != first) gpu_plan_destroy(&other);
        }
        gpu_plan_destroy(&first);
    }
    gpu_planner_destroy(&planner);
}

static void test_arithmetic(void)
{
    NO_CUDNN();
    struct gpu_planner *planner = planner_for("h200", (struct gpu_planner_params){.choose_only = true});
    struct gpu_pattern p = named("ircnn d2");
    p.x_type = p.w_type = p.y_type = GPU_F32;
    for (int i = 0; i < p.n_steps; i++) p.step[i].type = GPU_F32;
    struct gpu_plan_info info = choose(planner, &p);
    CHECK(info.engine >= 0);
    CHECK_INT(info.tensor_core, false);
    p.allow_tf32 = true;
    info = choose(planner, &p);
    CHECK_INT(info.tensor_core, true);
    CHECK_INT(info.generic, false);
    p = named("ircnn d2");
    p.x_type = p.w_type = p.y_type = GPU_BF16;
    for (int i = 0; i < p.n_steps; i++) p.step[i].type = GPU_BF16;
    info = choose(planner, &p);
    CHECK_INT(info.tensor_core, true);
    gpu_planner_destroy(&planner);
}

// The heuristics' first strict fp32 engines repack into 118 MB and more.
static void test_no_hidden_copy(void)
{
    NO_CUDNN();
    struct gpu_planner *planner = planner_for("t4", (struct gpu_planner_params){.choose_only = true});
    struct gpu_pattern p = gpu_pattern_make(GPU_CONV, 64, 360, 640, 64, 3, 3);
    p.pad_top = p.pad_left = p.pad_bottom = p.pad_right = 1;
    p.x_type = p.w_type = p.y_type = GPU_F32;
    gpu_pattern_add(&p, EPILOGUE_ADD, GPU_OPERAND_CHANNEL, 0, 0);
    struct gpu_plan_info info = choose(planner, &p);
    CHECK(info.engine >= 0);
    CHECK(info.rank > 0); // something before it was passed over
    CHECK(info.workspace_bytes < gpu_pattern_x_bytes(&p) / 2);
    gpu_planner_destroy(&planner);
}

// Parts of a wider tensor, as in a dense block: run-time compiled engines read and
// write them in place.
static void test_pitch(void)
{
    NO_CUDNN();
    static const char *const devices[] = {"h200", "a100", "b200"};
    for (size_t d = 0; d < sizeof devices / sizeof *devices; d++) {
        struct gpu_planner *planner = planner_for(devices[d], (struct gpu_planner_params){.choose_only = true});
        struct gpu_pattern p = named("rrdb dense 4");
        p.x_pitch = p.y_pitch = 192;
        struct gpu_plan_info info = choose(planner, &p);
        CHECK_INT(info.fused_steps, 2);
        CHECK_INT(info.tensor_core, true);
        CHECK_INT(info.workspace_bytes, 0);
        // The block's end, and its residual from between other channels.
        p = named("rrdb dense 5");
        p.x_pitch = p.y_pitch = p.step[p.n_steps - 1].pitch = 192;
        info = choose(planner, &p);
        CHECK_INT(info.fused_steps, p.n_steps);
        CHECK_INT(info.tensor_core, true);
        CHECK_INT(info.workspace_bytes, 0);
        CHECK(info.engine != 0);
        // A ReLU alone has precompiled engines, but those would copy.
        p = named("ircnn d2");
        p.x_pitch = 192;
        info = choose(planner, &p);
        CHECK_INT(info.fused_steps, 2);
        CHECK_INT(info.tensor_core, true);
        CHECK_INT(info.runtime_compiled, true);
        CHECK(info.workspace_bytes < 2u << 20);
        gpu_planner_destroy(&planner);
    }
}

// A convolution of e4m3 numbers as lower_fp8.c asks for it: a scale a channel, [residual],
// bias, activation, and, where the result is e4m3 too, its scale.
static struct gpu_pattern fp8_pattern(int c, int k, int r, int h, int w, int step, bool residual, enum gpu_type y)
{
    struct gpu_pattern p = gpu_pattern_make(GPU_CONV, c, h, w, k, r, r);
    p.pad_top = p.pad_left = p.pad_bottom = p.pad_right = r / 2;
    p.x_type = p.w_type = GPU_F8E4M3;
    p.y_type = y;
    gpu_pattern_add(&p, EPILOGUE_MUL, GPU_OPERAND_CHANNEL, 0, 0);
    if (residual) gpu_pattern_add(&p, EPILOGUE_ADD, GPU_OPERAND_TENSOR, 0, 0);
    gpu_pattern_add(&p, EPILOGUE_ADD, GPU_OPERAND_CHANNEL, 0, 0);
    if (step == EPILOGUE_PRELU)
        gpu_pattern_add(&p, EPILOGUE_PRELU, GPU_OPERAND_CHANNEL, 0, 0);
    else if (step != EPILOGUE_ADD)
        gpu_pattern_add(&p, (enum epilogue_kind)step, GPU_OPERAND_NONE, 0.1f, 6);
    if (y == GPU_F8E4M3) gpu_pattern_add(&p, EPILOGUE_MUL, GPU_OPERAND_CHANNEL, 0, 0);
    for (int i = 0; i < p.n_steps; i++) p.step[i].type = p.step[i].kind == EPILOGUE_MUL ? GPU_F32 : GPU_F16;
    return p;
}

// FP8 came with sm_89: whole, on tensor cores, without a copy, for every batch; before
// it there is none.
static void test_fp8(void)
{
    NO_CUDNN();
    static const char *const devices[] = {"rtx4090", "h200", "b200", "rtx5090"}, *const none[] = {"a100", "rtx3090",
                                                                                                  "t4"};
    const struct gpu_pattern patterns[] = {
        fp8_pattern(64, 64, 3, 540, 960, EPILOGUE_PRELU, false, GPU_F8E4M3),
        fp8_pattern(64, 64, 3, 540, 960, EPILOGUE_PRELU, false, GPU_F16),
        fp8_pattern(64, 64, 3, 270, 480, EPILOGUE_ADD, true, GPU_F16),
        fp8_pattern(64, 64, 3, 270, 480, EPILOGUE_RELU, true, GPU_F8E4M3),
        fp8_pattern(128, 64, 1, 80, 80, EPILOGUE_SILU, false, GPU_F8E4M3),
        fp8_pattern(16, 48, 3, 40, 40, EPILOGUE_CLIP, false, GPU_F8E4M3),
        fp8_pattern(160, 32, 3, 270, 480, EPILOGUE_LEAKY, false, GPU_F16),
    };
    for (size_t d = 0; d < sizeof devices / sizeof *devices; d++) {
        struct gpu_planner *planner = planner_for(devices[d], (struct gpu_planner_params){.choose_only = true});
        for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
            struct gpu_pattern p = patterns[i];
            char text[GPU_PATTERN_TEXT_MAX];
            gpu_pattern_text(&p, text, sizeof text);
            struct gpu_plan_info one = choose(planner, &p);
            CHECK_MSG(one.fused_steps == p.n_steps && one.tensor_core && !one.generic && one.workspace_bytes == 0,
                      "%s: %s: engine %d fused %d workspace %zu", devices[d], text, one.engine, one.fused_steps,
                      one.workspace_bytes);
            if (i) continue;
            p.n = 4;
            struct gpu_plan_info four = choose(planner, &p);
            CHECK_INT(four.engine, one.engine);
            CHECK_INT(four.repeat, 1);
            // a dense block's layer, into its part of a joined tensor
            p = patterns[6];
            p.y_pitch = 192;
            CHECK_INT(choose(planner, &p).fused_steps, p.n_steps);
        }
        gpu_planner_destroy(&planner);
    }
    for (size_t d = 0; d < sizeof none / sizeof *none; d++) {
        struct gpu_planner *planner = planner_for(none[d], (struct gpu_planner_params){.choose_only = true});
        CHECK_INT(choose(planner, &patterns[0]).engine, -1);
        CHECK_HAS(reel_fail_text(), "cuDNN lists no engine");
        gpu_planner_destroy(&planner);
    }
}

// ---- compiled plans and the cache ---------------------------------------------------

static void test_cache(void)
{
    NO_CUDNN();
    char dir[CHECK_FOLDER_BYTES];
    check_folder(dir);
    struct gpu_planner_params params = {.cache_dir = dir};
    struct gpu_pattern p = named("ircnn d2"), rtc = named("yolox silu 3x3");
    struct gpu_planner *planner = planner_for("h200", params);
    struct gpu_plan_info first = choose(planner, &p), first_rtc = choose(planner, &rtc);
    CHECK_INT(first.engine >= 0 && first_rtc.engine >= 0, true);
    CHECK_INT(first.from_cache || first_rtc.from_cache, false);
    CHECK_INT(first_rtc.runtime_compiled, true);
    struct gpu_plan_info again = choose(planner, &rtc);
    CHECK_INT(again.from_cache, true);
    CHECK_INT(again.engine, first_rtc.engine);
    CHECK_INT(again.fused_steps, first_rtc.fused_steps);
    CHECK_INT(again.tensor_core, true);
    again = choose(planner, &p);
    CHECK_INT(again.from_cache, true);
    CHECK_INT(again.workspace_bytes, first.workspace_bytes);
    gpu_planner_destroy(&planner);

    // An H100 has an H200's SMs: the plan is good there; another SM count is not.
    planner = planner_for("h100", params);
    CHECK_INT(choose(planner, &rtc).from_cache, true);
    gpu_planner_destroy(&planner);
    planner = planner_for("a100", params);
    CHECK_INT(choose(planner, &p).from_cache, false);
    gpu_planner_destroy(&planner);

    // Entries that read well but that cuDNN refuses are made anew.
    DIR *d = opendir(dir);
    char path[400], line[2000], key[2000] = "";
    for (struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        FILE *f = fopen(path, "rb");
        if (f && fgets(line, sizeof line, f) && fgets(key, sizeof key, f)) {
            key[strcspn(key, "\n")] = 0;
            char bad[] = "steps 2 fallback 0 engine 7 rtc 1 tc 1 generic 0 rank 0 listed 3 repeat 1 workspace 0 "
                         "knobs [ ]\n{\"cudnnVersion\":91900}";
            CHECK_INT(plan_cache_store(dir, key, bad, strlen(bad)), REEL_OK);
        }
        if (f) fclose(f);
    }
    closedir(d);
    planner = planner_for("h200", params);
    again = choose(planner, &p);
    CHECK_INT(again.from_cache, false);
    CHECK_INT(again.engine, first.engine);
    CHECK_INT(choose(planner, &p).from_cache, true);
    gpu_planner_destroy(&planner);

    d = opendir(dir);
    for (struct dirent *e; (e = readdir(d));) {
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        unlink(path);
    }
    closedir(d);
    rmdir(dir);
}

// Two threads compile; afterwards every pattern comes from the cache.
static void test_prepare(void)
{
    NO_CUDNN();
    char dir[CHECK_FOLDER_BYTES], path[400];
    check_folder(dir);
    static char json[4096];
    snprintf(json, sizeof json, "%s", device_json("h200"));
    struct gpu_planner_params params = {.cache_dir = dir, .device_json = json};
    struct gpu_pattern p[4] = {named("ircnn d2"), named("ircnn d3"), named("ircnn d4"), named("ircnn d3")};
    const struct gpu_pattern *list[4] = {&p[0], &p[1], &p[2], &p[3]};
    CHECK_INT(gpu_plan_prepare(&params, 0, list, 4, 2), 3);
    CHECK_INT(gpu_plan_prepare(&params, 0, list, 4, 2), 0); // all there
    struct gpu_planner *planner = NULL;
    CHECK_INT(gpu_planner_create(&params, &planner), REEL_OK);
    for (int i = 0; i < 4; i++) CHECK_INT(choose(planner, &p[i]).from_cache, true);
    gpu_planner_destroy(&planner);
    params.cache_dir = "";
    CHECK_INT(gpu_plan_prepare(&params, 0, list, 4, 2), 0);
    DIR *d = opendir(dir);
    for (struct dirent *e; (e = readdir(d));) {
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        unlink(path);
    }
    closedir(d);
    rmdir(dir);
}

static void test_equal_patterns_share(void)
{
    NO_CUDNN();
    struct gpu_planner *planner = planner_for("h200", (struct gpu_planner_params){0});
    struct gpu_pattern p = named("ircnn d2");
    struct gpu_plan *a, *b;
    CHECK_INT(gpu_plan_create(planner, &p, &a), REEL_OK);
    CHECK_INT(gpu_plan_create(planner, &p, &b), REEL_OK);
    CHECK(gpu_plan_info(a) == gpu_plan_info(b));
    struct gpu_plan_io io = {0};
    CHECK_INT(gpu_plan_run(a, &io, NULL, NULL), REEL_ERR_UNSUPPORTED);
    CHECK_HAS(reel_fail_text(), "not here");
    gpu_plan_destroy(&a);
    CHECK_INT(gpu_plan_info(b)->fused_steps, 2);
    gpu_plan_destroy(&b);
    p.w = 0;
    CHECK_INT(gpu_plan_create(planner, &p, &a), REEL_ERR_UNSUPPORTED);
    CHECK(a == NULL);
    gpu_planner_destroy(&planner);
}

// Run-time compiled engines really compile, on one device of each family.
static void test_long_compiles(void)
{
    if (!long_run) SKIP("minutes: make test-long");
    NO_CUDNN();
    static const char *const devices[] = {"h200", "t4", "b200"};
    for (size_t d = 0; d < sizeof devices / sizeof *devices; d++) {
        struct gpu_planner *planner = planner_for(devices[d], (struct gpu_planner_params){0});
        for (int i = 0; i < N_NAMED_PATTERNS; i++) {
            if (named_patterns[i].sm75_left < 0 && !strcmp(devices[d], "t4")) continue;
            struct gpu_pattern p = named_pattern_make(&named_patterns[i]);
            struct gpu_plan_info info = choose(planner, &p);
            CHECK_MSG(info.engine >= 0 && !info.generic, "%s on %s: engine %d, tensor cores %d, %d steps: %s",
                      named_patterns[i].name, devices[d], info.engine, info.tensor_core, info.fused_steps,
                      reel_fail_text());
        }
        gpu_planner_destroy(&planner);
    }
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"missing library", test_missing_library},
        {"bad device", test_bad_device},
        {"measured engines", test_measured},
        {"patterns fuse", test_patterns_fuse},
        {"precompiled where possible", test_precompiled_where_possible},
        {"choice ignores batch", test_choice_ignores_batch},
        {"choice ignores large sizes", test_choice_ignores_large_sizes},
        {"arithmetic", test_arithmetic},
        {"no hidden copy", test_no_hidden_copy},
        {"pitch", test_pitch},
        {"fp8", test_fp8},
        {"cache", test_cache},
        {"prepare", test_prepare},
        {"equal patterns share", test_equal_patterns_share},
        {"compiles everywhere", test_long_compiles},
    };
    long_run = argc > 1 && !strcmp(argv[1], "--long");
    if (long_run) argc--, argv++;
    return check_main(cases, (int)(sizeof cases / sizeof cases[0]), argc, argv);
}

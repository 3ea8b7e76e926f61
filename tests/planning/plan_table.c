// SPDX-License-Identifier: MIT
//
// Prints which cuDNN engine every pattern gets on every GPU, as tables in
// Markdown: `make plan-table`, kept in docs/gpu-plans.md. Without a GPU: it plans for
// the device properties in tests/planning/devices.
//
//   plan_table STUB DEVICE.json... [-- MODEL.onnx...]
//   plan_table --device
//
// The second form plans on GPU 0 and prints the properties that cuDNN has of it
// first: the file to keep in tests/planning/devices.
//
// Without models the patterns of patterns.h, with models a line each. What a
// model leaves to the generic engine or to engines without tensor cores goes to
// stderr, pattern by pattern.
//
// Exit codes: 0, 1 (a pattern without a plan), 77 (no cuDNN, or no GPU).
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cuda.h"
#include "tests/planning/model_patterns.h"
#include "tests/planning/patterns.h"
#include "worker/backend/cudnn/plan/plan.h"

static char *read_file(const char *path)
{
    static char text[4096];
    FILE *f = fopen(path, "rb");
    size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
    if (f) fclose(f);
    text[n] = 0;
    return text;
}

static struct gpu_planner *open_planner(const char *path)
{
    struct gpu_planner_params params = GPU_PLANNER_DEFAULTS;
    struct gpu_planner *planner = NULL;
    params.device_json = read_file(path);
    params.choose_only = true;
    if (gpu_planner_create(&params, &planner)) fprintf(stderr, "%s: %s\n", path, reel_fail_text());
    return planner;
}

// "41 TC 0.0" : engine, P precompiled or R run-time compiled, TC or -, workspace
static bool print_cell(struct gpu_planner *planner, const struct gpu_pattern *p)
{
    struct gpu_plan *plan;
    if (gpu_plan_create(planner, p, &plan)) {
        printf(" none |");
        fprintf(stderr, "%s\n", reel_fail_text());
        return false;
    }
    const struct gpu_plan_info *i = gpu_plan_info(plan);
    printf(" %d %c%s", i->engine, i->generic ? 'G' : i->runtime_compiled ? 'R' : 'P', i->tensor_core ? " tc" : "");
    if (i->fallback) printf(" fb");
    if (i->fused_steps < p->n_steps) printf(" %d/%d", i->fused_steps, p->n_steps);
    if (i->workspace_bytes >= 100000) printf(" %.1f MB", i->workspace_bytes / 1e6);
    printf(" |");
    gpu_plan_destroy(&plan);
    return true;
}

static void print_head(const char *first, char **devices, int n)
{
    printf("%s", first);
    for (int i = 0; i < n; i++) {
        const char *base = strrchr(devices[i], '/');
        base = base ? base + 1 : devices[i];
        printf(" %.*s |", (int)strcspn(base, "."), base);
    }
    printf("\n");
    for (const char *c = first; *c; c++)
        if (*c == '|') printf(c[1] ? "|---" : "|");
    for (int i = 0; i < n; i++) printf("---|");
    printf("\n");
}

static int named_table(struct gpu_planner **planner, int n)
{
    int bad = 0;
    for (int j = 0; j < N_NAMED_PATTERNS; j++) {
        const struct named_pattern *named = &named_patterns[j];
        struct gpu_pattern p = named_pattern_make(named);
        printf("| %s | %dx%dx%d -> %d, %dx%d |", named->name, p.c, p.h, p.w, p.k, p.r, p.s);
        for (int i = 0; i < n; i++) {
            if (named->sm75_left < 0 && gpu_planner_sm(planner[i]) == 75)
                printf(" - |");
            else
                bad += !print_cell(planner[i], &p);
        }
        printf("\n");
        fflush(stdout);
    }
    return bad;
}

// How one device takes a model's patterns: "12 P 9 R" and what falls short.
static int print_model_cell(struct gpu_planner *planner, const char *name, const char *device,
                            const struct model_patterns *m)
{
    int precompiled = 0, runtime = 0, partly = 0, scalar = 0, generic = 0, refused = 0;
    for (int i = 0; i < m->n; i++) {
        const struct gpu_pattern *p = &m->pattern[i];
        char text[GPU_PATTERN_TEXT_MAX];
        struct gpu_plan *plan;
        if (gpu_plan_create(planner, p, &plan)) {
            refused++;
            fprintf(stderr, "%s on %s: %s\n", name, device, reel_fail_text());
            continue;
        }
        const struct gpu_plan_info *info = gpu_plan_info(plan);
        *(info->generic ? &generic : info->runtime_compiled ? &runtime : &precompiled) += 1;
        scalar += !info->generic && !info->tensor_core;
        partly += info->fused_steps < p->n_steps;
        if (info->generic || !info->tensor_core)
            fprintf(stderr, "%s on %s: engine %d%s: %s\n", name, device, info->engine,
                    info->generic ? ", the generic one" : " without tensor cores",
                    gpu_pattern_text(p, text, sizeof text));
        gpu_plan_destroy(&plan);
    }
    printf(" %d P %d R", precompiled, runtime);
    if (partly) printf(", %d partly", partly);
    if (scalar) printf(", %d no tc", scalar);
    if (generic) printf(", %d G", generic);
    if (refused) printf(", %d none", refused);
    printf(" |");
    return refused;
}

// Lowered for the first device.
static int model_table(struct gpu_planner **planner, char **devices, int n, char **models, int n_models)
{
    int bad = 0;
    for (int j = 0; j < n_models; j++) {
        struct model_patterns m;
        const char *name = strrchr(models[j], '/');
        name = name ? name + 1 : models[j];
        if (model_patterns_read(models[j], 544, 960, gpu_planner_sm(planner[0]), &m)) {
            fprintf(stderr, "%s: %s\n", name, reel_fail_text());
            continue;
        }
        if (m.n > 0) {
            printf("| %.*s | %d (%d) | %d |", (int)strcspn(name, "."), name, m.n_plan, m.n, m.n_own);
            for (int i = 0; i < n; i++) bad += print_model_cell(planner[i], name, devices[i], &m);
            printf("\n");
            fflush(stdout);
        }
        free(m.pattern);
    }
    return bad;
}

static int on_device(void)
{
    struct gpu_planner *planner = NULL;
    const struct gpu_planner_params params = GPU_PLANNER_DEFAULTS;
    int n;
    if (reel_cuda_count(&n) || reel_cuda_open(0) || gpu_plan_probe() || gpu_planner_create(&params, &planner)) {
        printf("skipped: %s\n", reel_fail_text());
        return 77;
    }
    printf("%s\n\n", gpu_planner_device_json(planner));
    char device[] = "device", *column[] = {device};
    print_head("| pattern | shape |", column, 1);
    int bad = named_table(&planner, 1);
    gpu_planner_destroy(&planner);
    return bad ? 1 : 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && !strcmp(argv[1], "--device")) return on_device();
    if (argc < 3) {
        fprintf(stderr, "usage: plan_table STUB DEVICE.json...\n");
        return 2;
    }
    if (!dlopen(argv[1], RTLD_NOW | RTLD_GLOBAL)) fprintf(stderr, "%s\n", dlerror());
    if (gpu_plan_probe()) {
        printf("skipped: %s\n", reel_fail_text());
        return 77;
    }
    int n = 0, bad;
    while (n < 32 && 2 + n < argc && strcmp(argv[2 + n], "--")) n++;
    struct gpu_planner *planner[32] = {0};
    for (int i = 0; i < n; i++)
        if (!(planner[i] = open_planner(argv[2 + i]))) return 1;
    if (2 + n == argc) {
        print_head("| pattern | shape |", argv + 2, n);
        bad = named_table(planner, n);
    } else {
        print_head("| model | for cuDNN (distinct) | own kernels |", argv + 2, n);
        bad = model_table(planner, argv + 2, n, argv + 3 + n, argc - 3 - n);
    }
    for (int i = 0; i < n; i++) gpu_planner_destroy(&planner[i]);
    return bad ? 1 : 0;
}

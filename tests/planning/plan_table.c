// SPDX-License-Identifier: MIT
//
// Prints which cuDNN engine every pattern gets on every GPU, as a table in
// Markdown: `make plan-table`, kept in docs/gpu.md. Without a GPU: it plans for
// the device properties in tests/planning/devices.
//
//   plan_table STUB DEVICE.json...   patterns of patterns.h
//
// Exit codes: 0, 1 (a pattern without a plan), 77 (no cuDNN).
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/planning/patterns.h"
#include "worker/backend/cudnn/plan.h"

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

static void print_head(char **devices, int n)
{
    printf("| pattern | shape |");
    for (int i = 0; i < n; i++) {
        const char *base = strrchr(devices[i], '/');
        base = base ? base + 1 : devices[i];
        printf(" %.*s |", (int)strcspn(base, "."), base);
    }
    printf("\n|---|---|");
    for (int i = 0; i < n; i++) printf("---|");
    printf("\n");
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: plan_table STUB DEVICE.json...\n");
        return 2;
    }
    if (!dlopen(argv[1], RTLD_NOW | RTLD_GLOBAL)) fprintf(stderr, "%s\n", dlerror());
    if (gpu_plan_probe()) {
        printf("skipped: %s\n", reel_fail_text());
        return 77;
    }
    int n = argc - 2, bad = 0;
    struct gpu_planner *planner[32] = {0};
    for (int i = 0; i < n && i < 32; i++)
        if (!(planner[i] = open_planner(argv[2 + i]))) return 1;
    print_head(argv + 2, n);
    for (int j = 0; j < N_NAMED_PATTERNS; j++) {
        const struct named_pattern *named = &named_patterns[j];
        struct gpu_pattern p = named_pattern_make(named);
        printf("| %s | %dx%dx%d -> %d, %dx%d |", named->name, p.c, p.h, p.w, p.k, p.r, p.s);
        for (int i = 0; i < n; i++) bad += !print_cell(planner[i], &p);
        printf("\n");
        fflush(stdout);
    }
    for (int i = 0; i < n; i++) gpu_planner_destroy(&planner[i]);
    return bad ? 1 : 0;
}

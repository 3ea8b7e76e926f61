// SPDX-License-Identifier: MIT
//
// What --verify runs for what a command would use: one of each kind of device.
#include "coordinator/verify.h"

#include "tests/check.h"

static struct run *run_of(int backend)
{
    static struct run run;
    memset(&run, 0, sizeof run);
    run.settings.backend = backend;
    return &run;
}

static void add_gpu(struct run *run, const char *name, int sm)
{
    struct reel_gpu *g = &run->gpus.gpu[run->gpus.n];
    snprintf(g->name, sizeof g->name, "%s", name);
    g->sm_count = sm;
    run->worker_devices[run->workers++] = (int)run->gpus.n++;
}

static void each_kind_once(void)
{
    struct run *run = run_of(SET_BACKEND_CUDNN);
    add_gpu(run, "A", 100);
    add_gpu(run, "B", 60);
    add_gpu(run, "A", 100);
    add_gpu(run, "A", 80); // a slice, or another model of the same name
    struct verify_case cases[VERIFY_MOST];
    CHECK_INT(verify_cases(run, cases), 4);
    CHECK(cases[0].reference && cases[0].backend == SET_BACKEND_ONEDNN && cases[0].workers == 1);
    CHECK_STR(cases[1].label, "A (GPU 0)");
    CHECK_STR(cases[2].label, "B (GPU 1)");
    CHECK_STR(cases[3].label, "A (GPU 3)");
    for (int i = 1; i < 4; i++) CHECK(!cases[i].reference && cases[i].backend == SET_BACKEND_CUDNN);
    CHECK_INT(cases[3].gpu, 3);
}

static void many_kinds(void)
{
    struct run *run = run_of(SET_BACKEND_CUDNN);
    for (int i = 0; i < 40; i++) add_gpu(run, "A", i + 1);
    struct verify_case cases[VERIFY_MOST];
    CHECK_INT(verify_cases(run, cases), VERIFY_MOST);
}

static void without_a_gpu(void)
{
    struct run *run = run_of(SET_BACKEND_ONEDNN);
    struct verify_case cases[VERIFY_MOST];
    run->workers = 1; // it is the reference: then two
    CHECK_INT(verify_cases(run, cases), 2);
    CHECK_INT(cases[1].workers, 2);
    run->workers = 8;
    run->settings.split = SET_SPLIT_SPATIAL;
    CHECK_INT(verify_cases(run, cases), 2);
    CHECK_STR(cases[1].label, "8 CPU workers, split frames");
    CHECK_INT(cases[1].gpu, -1);
    run = run_of(SET_BACKEND_SIM);
    run->workers = 3;
    CHECK_INT(verify_cases(run, cases), 2);
    CHECK(cases[0].backend == SET_BACKEND_SIM && cases[1].backend == SET_BACKEND_SIM && cases[1].workers == 3);
}

CHECK_MAIN({"verify: each kind of GPU once", each_kind_once}, {"verify: as many as there is room for", many_kinds},
           {"verify: without a GPU", without_a_gpu})

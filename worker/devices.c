// SPDX-License-Identifier: MIT
//
// Asks CUDA for its devices and writes them down. See devices.h.
#include "worker/devices.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cuda.h"
#include "common/device.h"
#include "worker/backend/cudnn/plan/plan.h"

#define TEXT_MAX 65536

// What a person would do with it must be there as libraries too: containers
// often carry a driver without its video part.
static void drop_missing_codecs(struct reel_gpu *g)
{
    void *dec = dlopen("libnvcuvid.so.1", RTLD_LAZY | RTLD_LOCAL);
    void *enc = dlopen("libnvidia-encode.so.1", RTLD_LAZY | RTLD_LOCAL);
    if (!dec) g->decode = g->decode_engines = 0;
    if (!enc) g->encode = 0;
    if (dec) dlclose(dec);
    if (enc) dlclose(enc);
}

static enum reel_err describe(int i, struct reel_gpu *g)
{
    struct reel_cuda_device d;
    enum reel_err err = reel_cuda_device(i, &d);
    if (err) return err;
    *g = (struct reel_gpu){.cc_major = d.cc_major,
                           .cc_minor = d.cc_minor,
                           .sm_count = d.sm_count,
                           .numa_node = d.numa_node,
                           .total_bytes = d.total_bytes,
                           .mig = d.mig,
                           .vmm = d.vmm};
    snprintf(g->name, sizeof g->name, "%s", d.name);
    snprintf(g->uuid, sizeof g->uuid, "%s", d.uuid);
    snprintf(g->pci, sizeof g->pci, "%s", d.pci);
    reel_gpu_codecs(g);
    drop_missing_codecs(g);
    return REEL_OK;
}

static void probe_peers(struct reel_gpu_table *t)
{
    for (uint32_t i = 0; i < t->n; i++)
        for (uint32_t k = 0; k < t->n; k++) {
            bool can = false;
            if (i != k && !reel_cuda_peer((int)i, (int)k, &can) && can) t->gpu[i].peers |= UINT64_C(1) << k;
        }
}

// Free memory needs a context on each device, which takes a moment and some
// memory; both go with this process.
static void probe_free(struct reel_gpu_table *t)
{
    for (uint32_t i = 0; i < t->n; i++) {
        size_t free_bytes = 0, total_bytes = 0;
        if (!reel_cuda_open((int)i)) reel_cuda_mem_info(&free_bytes, &total_bytes);
        t->gpu[i].free_bytes = free_bytes;
    }
}

static void ask_cuda(struct reel_gpu_table *t)
{
    int n;
    enum reel_err err = reel_cuda_count(&n);
    reel_cuda_versions(&t->runtime, &t->driver);
    for (int i = 0; !err && i < n && t->n < REEL_MAX_GPUS; i++) {
        err = describe(i, &t->gpu[t->n]);
        t->n += !err;
    }
    if (err) {
        t->n = 0;
        snprintf(t->trouble, sizeof t->trouble, "%s", reel_fail_text());
        return;
    }
    probe_peers(t);
    probe_free(t);
    t->cudnn = (int)gpu_plan_cudnn_version(); // wherever it may lie, Python wheels included
}

static int write_all(int fd, const char *text, int n)
{
    for (int at = 0; at < n;) {
        ssize_t wrote = write(fd, text + at, (size_t)(n - at));
        if (wrote <= 0) return 1;
        at += (int)wrote;
    }
    return 0;
}

int devices_main(int fd)
{
    static struct reel_gpu_table table;
    static char text[TEXT_MAX];
    enum reel_err err = reel_gpu_table_told(&table);
    if (err == REEL_AGAIN)
        ask_cuda(&table);
    else if (err)
        snprintf(table.trouble, sizeof table.trouble, "%s", reel_fail_text());
    int n = reel_gpu_table_print(&table, text, sizeof text);
    if (n < 0) return 1;
    return write_all(fd, text, n);
}

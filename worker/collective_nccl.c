// SPDX-License-Identifier: MIT
//
// Collectives between GPUs through NCCL, loaded when it is asked for. A
// communicator is non-blocking: every call is polled until it is through, with
// a time limit, and a communicator that fails is aborted, so that a killed rank
// never holds up the others.
//
// Result codes and enumerators are nccl.h's: ncclSuccess 0, ncclInProgress 7,
// ncclUint8 1; the configuration is that of 2.18, which later libraries take.
#include <dlfcn.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/cuda.h"
#include "common/life.h"
#include "worker/collective_ops.h"

#define LIBRARY "libnccl.so.2"
#define IN_PROGRESS 7
#define UINT8 1
#define CONFIG_MAGIC 0xcafebeefu // NCCL_CONFIG_INITIALIZER
#define CONFIG_VERSION 21800     // NCCL_VERSION(2, 18, 0)

struct gpu_group {
    struct collective base;
    const struct nccl_table *nccl;
    void *comm, *stream;
};

static struct gpu_group *group_of(struct collective *c)
{
    return (struct gpu_group *)c;
}

// ---- the library ------------------------------------------------------------------

static void *load(void)
{
    static const char *const places[] = {"/usr/local/cuda/lib64/" LIBRARY,
                                         "/usr/local/lib/python3*/*-packages/nvidia/nccl/lib/" LIBRARY,
                                         "/usr/lib/python3*/*-packages/nvidia/nccl/lib/" LIBRARY,
                                         "/opt/*/lib/python3*/site-packages/nvidia/nccl/lib/" LIBRARY};
    void *lib = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    for (size_t i = 0; i < sizeof places / sizeof places[0] && !lib; i++) {
        glob_t found;
        if (glob(places[i], 0, NULL, &found)) continue;
        for (size_t k = 0; k < found.gl_pathc && !lib; k++) lib = dlopen(found.gl_pathv[k], RTLD_NOW | RTLD_LOCAL);
        globfree(&found);
    }
    return lib;
}

// Once; NULL with a text when there is none.
static const struct nccl_table *table(void)
{
    static struct nccl_table t;
    static bool loaded;
    if (loaded) return &t;
    void *lib = load();
    if (!lib) {
        reel_fail(REEL_ERR_UNSUPPORTED, "could not load \"" LIBRARY "\": there is none\n"
                                        "install it with ./run.sh --setup (or pip install nvidia-nccl-cu13)");
        return NULL;
    }
#define NCCL_SYMBOL(type, name, args)                                                           \
    *(void **)&t.name = dlsym(lib, "nccl" #name);                                               \
    if (!t.name) {                                                                              \
        reel_fail(REEL_ERR_UNSUPPORTED, "could not use \"" LIBRARY "\": it has no nccl" #name); \
        return NULL;                                                                            \
    }
    NCCL_FUNCTIONS(NCCL_SYMBOL)
#undef NCCL_SYMBOL
    t.stream_query = reel_cuda_stream_query;
    loaded = true;
    return &t;
}

// ---- time limits --------------------------------------------------------------------

static enum reel_err give_up(struct gpu_group *g, const char *what, const char *why)
{
    if (g->comm) g->nccl->CommAbort(g->comm);
    g->comm = NULL;
    return reel_fail(REEL_GONE, "could not %s: %s", what, why);
}

// Until the communicator is through with what it was asked (result: of the
// call), and the stream with what was put on it.
static enum reel_err settle(struct gpu_group *g, int result, bool on_stream, const char *what)
{
    const struct timespec nap = {0, 50000};
    int64_t until_us = reel_now_us() + (int64_t)g->base.limit_ms * 1000;
    for (;;) {
        int state = 0;
        if (result && result != IN_PROGRESS) return give_up(g, what, g->nccl->GetErrorString(result));
        if (g->nccl->CommGetAsyncError(g->comm, &state)) return give_up(g, what, "its state is unknown");
        if (state && state != IN_PROGRESS) return give_up(g, what, g->nccl->GetErrorString(state));
        if (!state) {
            enum reel_err err = on_stream ? g->nccl->stream_query(g->stream) : REEL_OK;
            if (!err) return REEL_OK;
            if (err != REEL_AGAIN) return give_up(g, what, "the GPU failed");
        }
        result = 0;
        if (reel_now_us() > until_us) return give_up(g, what, "another worker did not answer in time");
        nanosleep(&nap, NULL);
    }
}

// ---- the operations --------------------------------------------------------------------

static enum reel_err nccl_broadcast(struct collective *c, void *data, size_t bytes, uint32_t root)
{
    struct gpu_group *g = group_of(c);
    if (!g->comm) return give_up(g, "send to all GPUs", "the communicator is closed");
    int result = g->nccl->Broadcast(data, data, bytes, UINT8, (int)root, g->comm, g->stream);
    return settle(g, result, true, "send to all GPUs");
}

static enum reel_err nccl_exchange(struct collective *c, const struct collective_halo *h)
{
    struct gpu_group *g = group_of(c);
    const struct nccl_table *n = g->nccl;
    if (!g->comm) return give_up(g, "exchange rows", "the communicator is closed");
    int result = n->GroupStart(), up = (int)c->rank - 1, down = (int)c->rank + 1;
    if (!result && c->rank > 0) {
        result = n->Send(h->send_up, h->bytes, UINT8, up, g->comm, g->stream);
        if (!result) result = n->Recv(h->from_up, h->bytes, UINT8, up, g->comm, g->stream);
    }
    if (!result && c->rank + 1 < c->ranks) {
        result = n->Send(h->send_down, h->bytes, UINT8, down, g->comm, g->stream);
        if (!result) result = n->Recv(h->from_down, h->bytes, UINT8, down, g->comm, g->stream);
    }
    int ended = n->GroupEnd();
    return settle(g, result ? result : ended, true, "exchange rows");
}

// ---- making -------------------------------------------------------------------------------

static void nccl_close(struct collective *c)
{
    struct gpu_group *g = group_of(c);
    // A rank that is gone would hold up an orderly end.
    if (g->comm && c->over) g->nccl->CommAbort(g->comm);
    if (g->comm && !c->over) {
        enum reel_err err = settle(g, g->nccl->CommFinalize(g->comm), false, "end a communicator");
        if (!err) g->nccl->CommDestroy(g->comm);
    }
    free(g);
}

static const struct collective_ops nccl_ops = {
    .broadcast = nccl_broadcast, .exchange = nccl_exchange, .close = nccl_close};

enum reel_err collective_open_nccl_with(const struct nccl_table *nccl, struct collective *meet, void *stream,
                                        int limit_ms, struct collective **out)
{
    struct nccl_id id = {{0}};
    int result = meet->rank == 0 ? nccl->GetUniqueId(&id) : 0;
    if (result) memset(&id, 0, sizeof id); // said to the others by an id of zeros
    enum reel_err err = collective_broadcast(meet, &id, sizeof id, 0);
    static const struct nccl_id none;
    if (!err && !memcmp(&id, &none, sizeof id))
        err = reel_fail(REEL_GONE, "could not join the GPUs: there is no common address");
    if (err) return err;
    struct gpu_group *g = calloc(1, sizeof *g);
    if (!g) return reel_fail(REEL_ERR_NOMEM, "could not join the GPUs: out of memory");
    g->base = (struct collective){.ops = &nccl_ops, .rank = meet->rank, .ranks = meet->ranks, .limit_ms = limit_ms};
    g->nccl = nccl;
    g->stream = stream;
    struct nccl_config config = {.size = sizeof config,
                                 .magic = CONFIG_MAGIC,
                                 .version = CONFIG_VERSION,
                                 .blocking = 0,
                                 .cga_cluster = INT_MIN,
                                 .min_ctas = INT_MIN,
                                 .max_ctas = INT_MIN,
                                 .split_share = INT_MIN};
    result = nccl->CommInitRankConfig(&g->comm, (int)meet->ranks, id, (int)meet->rank, &config);
    if (!g->comm && (!result || result == IN_PROGRESS)) result = 1; // ncclUnhandledCudaError
    err = settle(g, result, false, "join the GPUs");
    if (err)
        free(g);
    else
        *out = &g->base;
    return err;
}

enum reel_err collective_open_nccl(struct collective *meet, void *stream, int limit_ms, struct collective **out)
{
    const struct nccl_table *t = table();
    return t ? collective_open_nccl_with(t, meet, stream, limit_ms, out) : REEL_ERR_UNSUPPORTED;
}

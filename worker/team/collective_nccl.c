// SPDX-License-Identifier: MIT
//
// Rows between GPUs through NCCL, loaded when it is asked for. A communicator is
// non-blocking: every call is polled until it is through, with a time limit, and a
// communicator that fails, or whose round is over, is aborted, so that a killed rank
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

#include "common/life.h"
#include "worker/team/collective_ops.h"

#define LIBRARY "libnccl.so.2"
#define IN_PROGRESS 7
#define UINT8 1
#define CONFIG_MAGIC 0xcafebeefu // NCCL_CONFIG_INITIALIZER
#define CONFIG_VERSION 21800     // NCCL_VERSION(2, 18, 0)

struct gpu_group {
    struct collective base;
    const struct nccl_table *nccl;
    struct collective *meet;
    void *comm; // NULL: aborted
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
    const char *named = getenv("REELMILL_NCCL");
    void *lib = dlopen(named && *named ? named : LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (named && *named) return lib;
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
        const char *why = dlerror();
        reel_fail(REEL_ERR_UNSUPPORTED,
                  "could not load \"" LIBRARY "\": %s\n"
                  "install it with ./run.sh --setup (or pip install nvidia-nccl-cu13)",
                  why ? why : "there is none");
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
    loaded = true;
    return &t;
}

// ---- time limits --------------------------------------------------------------------

static void abort_comm(struct gpu_group *g)
{
    if (g->comm) g->nccl->CommAbort(g->comm);
    g->comm = NULL;
}

static enum reel_err give_up(struct gpu_group *g, const char *what, const char *why)
{
    abort_comm(g);
    return reel_fail(REEL_GONE, "could not %s: %s", what, why);
}

static bool bad(int result)
{
    return result && result != IN_PROGRESS;
}

#define SPIN_US 100 // putting work on a stream takes that long, joining much longer

// Until the communicator is through with what it was asked (result: of the call);
// what it has put on a stream may be under way still.
static enum reel_err settle(struct gpu_group *g, int result, const char *what)
{
    const struct timespec nap = {0, 50000};
    const int64_t begin_us = reel_now_us(), limit_us = (int64_t)g->base.limit_ms * 1000;
    for (;;) {
        int state = 0;
        if (bad(result)) return give_up(g, what, g->nccl->GetErrorString(result));
        if (g->nccl->CommGetAsyncError(g->comm, &state)) return give_up(g, what, "its state is unknown");
        if (state && state != IN_PROGRESS) return give_up(g, what, g->nccl->GetErrorString(state));
        if (!state) return REEL_OK;
        result = 0;
        if (collective_is_over(g->meet, g->meet->round)) return give_up(g, what, "the others gave up");
        const int64_t waited_us = reel_now_us() - begin_us;
        if (waited_us > limit_us) return give_up(g, what, "another worker did not answer in time");
        if (waited_us > SPIN_US) nanosleep(&nap, NULL);
    }
}

// ---- rows ------------------------------------------------------------------------------

static int with_neighbour(struct gpu_group *g, int peer, const void *send, void *from, size_t bytes, void *stream)
{
    int result = peer < 0 ? 0 : g->nccl->Send(send, bytes, UINT8, peer, g->comm, stream);
    return peer < 0 || bad(result) ? result : g->nccl->Recv(from, bytes, UINT8, peer, g->comm, stream);
}

static enum reel_err nccl_exchange(struct collective *c, const struct collective_halo *h)
{
    struct gpu_group *g = group_of(c);
    if (!g->comm) return give_up(g, "exchange rows", "the communicator is closed");
    int result = g->nccl->GroupStart();
    if (!bad(result)) result = with_neighbour(g, c->up, h->send_up, h->from_up, h->bytes, h->stream);
    if (!bad(result)) result = with_neighbour(g, c->down, h->send_down, h->from_down, h->bytes, h->stream);
    const int ended = g->nccl->GroupEnd();
    return settle(g, bad(result) ? result : ended, "exchange rows");
}

// ---- making -------------------------------------------------------------------------------

// Never an orderly end: that waits for all ranks, one of which may be gone.
static void nccl_close(struct collective *c)
{
    struct gpu_group *g = group_of(c);
    abort_comm(g);
    free(g);
}

static const struct collective_ops nccl_ops = {.exchange = nccl_exchange, .close = nccl_close};

enum reel_err collective_open_nccl_with(const struct nccl_table *nccl, struct collective *meet, int limit_ms,
                                        struct collective **out)
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
    collective_between(&g->base, meet->up, meet->down);
    g->nccl = nccl;
    g->meet = meet;
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
    err = settle(g, result, "join the GPUs");
    if (err)
        free(g);
    else
        *out = &g->base;
    return err;
}

enum reel_err collective_open_nccl(struct collective *meet, int limit_ms, struct collective **out)
{
    const struct nccl_table *t = table();
    return t ? collective_open_nccl_with(t, meet, limit_ms, out) : REEL_ERR_UNSUPPORTED;
}

// SPDX-License-Identifier: MIT
//
// Finds and opens libcudnn.so.9; see api.h.
//
// Where it may be, in this order: what $REELMILL_CUDNN names, the loader's own
// path, the CUDA toolkit's folders, and the folders that NVIDIA's Python wheels
// unpack to (a machine set up for PyTorch has cuDNN nowhere else).
#include "worker/backend/cudnn/api.h"

#include <dlfcn.h>
#include <glob.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIBRARY "libcudnn.so.9"
#define WHEEL "nvidia/cudnn/lib/" LIBRARY // in a site-packages folder

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct cudnn_api table;
static bool loaded;
static char why_not[512];

// cuDNN opens its parts (libcudnn_graph.so.9, ...) by their own paths beside it,
// NVRTC and cuBLAS by the loader's; in wheels these lie in sibling folders.
static void open_siblings(const char *path)
{
    static const char *const part[] = {"cuda_nvrtc/lib/libnvrtc.so.*", "cu13/lib/libnvrtc.so.*",
                                       "cublas/lib/libcublasLt.so.*", "cu13/lib/libcublasLt.so.*"};
    const char *wheel = strstr(path, "nvidia/cudnn/lib/");
    if (!wheel) return;
    for (size_t i = 0; i < sizeof part / sizeof part[0]; i++) {
        char pattern[1024];
        snprintf(pattern, sizeof pattern, "%.*snvidia/%s", (int)(wheel - path), path, part[i]);
        glob_t found;
        if (glob(pattern, 0, NULL, &found) == 0) {
            for (size_t j = 0; j < found.gl_pathc; j++) dlopen(found.gl_pathv[j], RTLD_NOW | RTLD_GLOBAL);
        }
        globfree(&found);
    }
}

static void *open_pattern(const char *pattern)
{
    void *lib = NULL;
    glob_t found;
    if (glob(pattern, GLOB_TILDE, NULL, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc && !lib; i++) {
            open_siblings(found.gl_pathv[i]);
            lib = dlopen(found.gl_pathv[i], RTLD_NOW | RTLD_LOCAL);
        }
    }
    globfree(&found);
    return lib;
}

// Tries the pattern with each entry of a colon-separated list in the place of its %s.
static void *open_list(const char *list, const char *pattern)
{
    void *lib = NULL;
    for (const char *at = list; at && *at && !lib;) {
        size_t n = strcspn(at, ":");
        char entry[512], path[1024];
        snprintf(entry, sizeof entry, "%.*s", (int)n, at);
        snprintf(path, sizeof path, pattern, entry);
        if (n > 0 && n < sizeof entry) lib = open_pattern(path);
        at += n + (at[n] == ':');
    }
    return lib;
}

static void *open_library(void)
{
    static const char *const place[] = {
        "/usr/local/cuda/lib64/" LIBRARY,      "/usr/local/cuda-*/lib64/" LIBRARY,
        "/usr/lib/*-linux-gnu/" LIBRARY,       "/usr/local/lib/python3*/*-packages/" WHEEL,
        "/usr/lib/python3*/*-packages/" WHEEL, "~/.local/lib/python3*/site-packages/" WHEEL,
    };
    const char *named = getenv("REELMILL_CUDNN");
    if (named && *named) return dlopen(named, RTLD_NOW | RTLD_LOCAL);
    void *lib = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    for (size_t i = 0; !lib && i < sizeof place / sizeof place[0]; i++) lib = open_pattern(place[i]);
    // The environments of the Python interpreters that the user would start.
    if (!lib) lib = open_list(getenv("VIRTUAL_ENV"), "%s/lib/python3*/site-packages/" WHEEL);
    if (!lib) lib = open_list(getenv("PYTHONPATH"), "%s/" WHEEL);
    if (!lib) lib = open_list(getenv("PATH"), "%s/../lib/python3*/*-packages/" WHEEL);
    return lib;
}

static void load(void)
{
    void *lib = open_library();
    if (!lib) {
        const char *reason = dlerror();
        snprintf(why_not, sizeof why_not,
                 "could not load library \"" LIBRARY "\": %.300s\n"
                 "install cuDNN 9 (./run.sh --setup, or pip install nvidia-cudnn-cu13), or use --backend onednn",
                 reason ? reason : "not found");
        return;
    }
#define X(name)                                                                                          \
    if (!(*(void **)&table.name = dlsym(lib, #name))) {                                                  \
        snprintf(why_not, sizeof why_not, "could not use library \"" LIBRARY "\": it has no %s", #name); \
        return;                                                                                          \
    }
    CUDNN_API_FUNCTIONS(X)
#undef X
    size_t version = table.cudnnGetVersion();
    // Execution plans as JSON, and device properties, exist since 9.8.
    if (version < 90800) {
        snprintf(why_not, sizeof why_not,
                 "could not use library \"" LIBRARY "\": version %zu.%zu.%zu is older than 9.8", version / 10000,
                 version / 100 % 100, version % 100);
        return;
    }
    loaded = true;
}

const struct cudnn_api *cudnn_api_load(void)
{
    pthread_once(&once, load);
    if (loaded) return &table;
    reel_fail(REEL_ERR_UNSUPPORTED, "%s", why_not);
    return NULL;
}

enum reel_err cudnn_api_fail(const struct cudnn_api *api, cudnnStatus_t status, const char *what)
{
    char detail[600] = "";
    api->cudnnGetLastErrorString(detail, sizeof detail);
    for (char *c = detail; *c; c++)
        if (*c == '\n') *c = ' ';
    enum reel_err code = REEL_ERR_FAULT;
    if (status == CUDNN_STATUS_ALLOC_FAILED) code = REEL_ERR_NOMEM;
    if (status / 1000 * 1000 == CUDNN_STATUS_NOT_SUPPORTED) code = REEL_ERR_UNSUPPORTED;
    return reel_fail(code, "could not %s: %s%s%s", what, api->cudnnGetErrorString(status), *detail ? ": " : "", detail);
}

// SPDX-License-Identifier: MIT
//
// cuDNN, loaded at run time. Only this header includes cudnn.h; only api.c and plan/ include
// this header.
//
// The library is opened on first use, not at start, because a machine without a GPU has none.
// It stays open until the process ends, because its kernels stay loaded.
#ifndef REEL_WORKER_BACKEND_CUDNN_API_H
#define REEL_WORKER_BACKEND_CUDNN_API_H

#include "common/err.h"

#if REEL_CUDA
#include <cudnn.h>

// Every function that is used, as a member of the table below.
#define CUDNN_API_FUNCTIONS(X)       \
    X(cudnnGetVersion)               \
    X(cudnnGetErrorString)           \
    X(cudnnGetLastErrorString)       \
    X(cudnnCreate)                   \
    X(cudnnDestroy)                  \
    X(cudnnSetStream)                \
    X(cudnnBackendCreateDescriptor)  \
    X(cudnnBackendDestroyDescriptor) \
    X(cudnnBackendSetAttribute)      \
    X(cudnnBackendGetAttribute)      \
    X(cudnnBackendFinalize)          \
    X(cudnnBackendExecute)

struct cudnn_api {
#define X(name) __typeof__(&name) name;
    CUDNN_API_FUNCTIONS(X)
#undef X
};

// The table, or NULL with the reason in reel_fail_text() (UNSUPPORTED). Thread-safe; the table
// is valid until the process ends.
const struct cudnn_api *cudnn_api_load(void);

// Stores "could not <what>: <cuDNN's reasons>" and returns REEL_ERR_FAULT, or
// NOMEM or UNSUPPORTED if the status says so.
enum reel_err cudnn_api_fail(const struct cudnn_api *api, cudnnStatus_t status, const char *what);

#endif
#endif

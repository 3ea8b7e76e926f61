// SPDX-License-Identifier: MIT
//
// Compiled plans on disk: one file a key, checked and replaced as a whole.
//
// plan.c stores cuDNN's serialised plans here, since compiling one takes up to
// four seconds. The key is a text that holds everything a plan depends on
// (library version, device, pattern, options); the file's name is its SHA-256
// and the file repeats it. A file that is truncated, damaged, of another format
// or of another key counts as absent and is written anew. Workers of one run
// may store the same key at once: each writes a file of its own and renames it.
//
// Knows no cuDNN: every build has it and tests it.
#ifndef REEL_WORKER_BACKEND_CUDNN_PLAN_CACHE_H
#define REEL_WORKER_BACKEND_CUDNN_PLAN_CACHE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"

// The folder that a run uses when none is named: $REELMILL_CACHE,
// $XDG_CACHE_HOME/reelmill or $HOME/.cache/reelmill, with "/plans" behind it;
// "" when there is no such place. Writes into buf and returns it.
const char *plan_cache_default_dir(char *buf, size_t buf_bytes);

// Allocates *out_body (the caller frees it; a NUL stands behind its bytes).
// AGAIN: not there, or not usable. dir "" caches nothing.
enum reel_err plan_cache_load(const char *dir, const char *key, char **out_body, size_t *out_bytes);

// Makes the folder when needed. Errors: IO with a text; the run can go on.
enum reel_err plan_cache_store(const char *dir, const char *key, const char *body, size_t bytes);

// The file of a key, for tests and messages; returns buf.
const char *plan_cache_path(const char *dir, const char *key, char *buf, size_t buf_bytes);

#endif

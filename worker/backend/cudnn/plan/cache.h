// SPDX-License-Identifier: MIT
//
// Compiled plans on disk: one file per key, checked and replaced as a whole.
//
// plan.c stores cuDNN's serialised plans here, because compiling one takes up to four seconds.
// The key is a text with everything a plan depends on (library version, device, pattern,
// options). The file is named by the key's SHA-256 and contains the key. A file that is
// truncated, damaged, of another format or for another key counts as absent and is written
// again. Workers of one run may store the same key at once: each writes its own file and
// renames it.
//
// Does not use cuDNN, so every build contains and tests it.
#ifndef REEL_WORKER_BACKEND_CUDNN_PLAN_CACHE_H
#define REEL_WORKER_BACKEND_CUDNN_PLAN_CACHE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"

// The folder that a run uses when none is named: $REELMILL_CACHE,
// $XDG_CACHE_HOME/reelmill or $HOME/.cache/reelmill, followed by "/plans"; "" if none of them
// is set. Writes into buf and returns it.
const char *plan_cache_default_dir(char *buf, size_t buf_bytes);

// Allocates *out_body, which the caller frees; a NUL follows its bytes. AGAIN: absent or not
// usable. dir "": nothing is cached.
enum reel_err plan_cache_load(const char *dir, const char *key, char **out_body, size_t *out_bytes);

// Makes the folder if needed. Errors: IO with a text; the run can go on.
enum reel_err plan_cache_store(const char *dir, const char *key, const char *body, size_t bytes);

// The file of a key, for tests and messages; returns buf.
const char *plan_cache_path(const char *dir, const char *key, char *buf, size_t buf_bytes);

#endif

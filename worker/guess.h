// SPDX-License-Identifier: MIT
//
// What a model's inputs and outputs mean, guessed when it is loaded and put into words. Called
// by main.c; the work is done by model/.
#ifndef REEL_WORKER_GUESS_H
#define REEL_WORKER_GUESS_H

#include "worker/engine/engine.h"

// text: the lines for the user. Errors: CONFIG, UNSUPPORTED, INPUT, as model_guess_input() and
// model_guess_output().
enum reel_err guess_model(struct engines *engines, const struct reel_settings *settings, struct model *out_model,
                          char *text, size_t text_bytes);
// The same in a process of its own, for --dry_run: prints the text, or on stderr why there is
// none. settings_fd: as a child gets it (reel_child_settings()). Returns an exit code (0, 1, 2).
int guess_main(int settings_fd);

#endif

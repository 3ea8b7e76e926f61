// SPDX-License-Identifier: MIT
//
// From options to what is to be done: the one-shot commands, and the numbers
// of processes for a run. Called by main.
#ifndef COORDINATOR_COMMAND_H
#define COORDINATOR_COMMAND_H

#include "coordinator/coordinator.h"

// Reads the command line and the configuration file into run->settings; words
// are the inputs. Errors: CONFIG.
enum reel_err command_parse(int argc, char **argv, struct reel_settings *settings, const char ***out_words, int *out_n);
// Does a one-shot command. True: *out_code is the exit code.
bool command_once(const struct reel_settings *settings, char **argv, int *out_code);
// That the report, the trace and the logs can be written, and --metrics is an address. Errors: CONFIG.
enum reel_err command_check_files(const struct reel_settings *settings);
// Settles the backend, devices and numbers of processes. Errors: CONFIG.
enum reel_err command_scale(struct run *run);
// --dry_run: prints what would be done, and what the model does, which a worker finds out.
// Returns an exit code: a model that cannot be used is refused as in a run.
int command_print_plan(struct run *run);

#endif

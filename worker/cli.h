// SPDX-License-Identifier: MIT
//
// The worker's one-process commands: --eval_model, --bench_model, --autotune, --dump_graph.
// They read a model, run the network alone and print; there are no frames, rings or
// coordinator. main.c calls cli_main() when the process was not started as a child.
#ifndef REEL_WORKER_CLI_H
#define REEL_WORKER_CLI_H

#include "common/settings.h"
#include "worker/backend/backend.h"

struct cli_params {
    const struct reel_settings *settings; // what a model's input means
    const char *model;                    // path of the file
    const char *backend;
    struct backend_params backend_params;
    const char *eval_inputs;  // "NAME=file.npy,NAME=file.npy"
    const char *eval_outputs; // folder, created if missing
    const char *autotune;     // file to write
    const char *shape;        // "1x3x360x640[,1x1]": one per input; "": chosen automatically
};

// Each prints to stdout, reports errors on stderr, and returns an exit code (0, 1, 2).
int cli_eval_model(const struct cli_params *params);
// The last line of stdout is JSON: ms_median, ms_min, setup_ms, peak_mb.
int cli_bench_model(const struct cli_params *params);
// Times the candidate engines of a network on a GPU and writes the choice to a file
// (backend/cudnn/plan/pins.h).
int cli_autotune(const struct cli_params *params);
// Prints the graph as imported, the passes, the graph after them, and the steps.
int cli_dump_graph(const struct cli_params *params);

// 2 where the fault lies with the command, the model or the files given, as when a run refuses
// its model; else 1.
int cli_exit_code(enum reel_err err);
// Parses the command line (the settings table) and runs the command that it names.
int cli_main(int argc, char **argv);

// Names and versions of the libraries that the numbers depend on, for the journal.
const char *cli_libraries(void);

#endif

// SPDX-License-Identifier: MIT
//
// The coordinator: options, inputs, scale, the run, one exit code.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/life.h"
#include "common/log.h"
#include "coordinator/command.h"
#include "coordinator/metrics/serve.h"
#include "coordinator/verify.h"

static int refuse(enum reel_err err)
{
    if (reel_life_stops()) { // the error may only be a consequence: a child got the same signal
        fprintf(stderr, "reelmill: interrupted\n");
        return EXIT_INTERRUPTED;
    }
    fprintf(stderr, "reelmill: %s\n", reel_fail_text());
    return err == REEL_ERR_CONFIG ? EXIT_USAGE : EXIT_FAILED;
}

// run.sh sets REELMILL_PARENT to its process id: when it dies, the run ends as by SIGTERM, and
// can be resumed.
static bool follow_parent(void)
{
    const char *parent = getenv("REELMILL_PARENT");
    if (!parent) return true;
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    return getppid() == (pid_t)atoi(parent);
}

static int work(struct run *run, const char **words, int n_words)
{
    enum reel_err err = inputs_given(&run->settings, n_words);
    if (!err) err = command_check_files(&run->settings);
    const char *life = getenv("REELMILL_LIFE");
    const bool again = life && atoi(life) > 1;
    if (!err && run->settings.live && again) // where a configuration says so
        err = reel_fail(REEL_ERR_FAULT, "could not continue: a live input cannot be read again");
    if (!err && !strcmp(run->settings.output, "-") && again)
        err = reel_fail(REEL_ERR_FAULT, "could not continue: what was written to standard output cannot be taken back");
    if (!err) err = command_scale(run);
    if (err) return refuse(err);
    reel_log_init("coordinator", -1, (enum reel_log_level)run->settings.log_level, run->settings.log_dir);
    bool plan_only = run->settings.dry_run;
    if (!plan_only) rundir_sweep();
    err = plan_only ? REEL_OK : rundir_create(run->streams, &run->dir);
    if (err) return refuse(err);
    err = inputs_collect(&run->settings, words, n_words, plan_only ? "/tmp" : run->dir.path, &run->inputs);
    int code = EXIT_DONE;
    if (err)
        code = refuse(err);
    else if (plan_only)
        code = command_print_plan(run);
    else
        code = run_all(run);
    if (!plan_only) rundir_destroy(&run->dir);
    inputs_fini(&run->inputs);
    return code;
}

int main(int argc, char **argv)
{
    const char **words = NULL;
    int n_words = 0, code;
    if (metrics_serve_if_asked(argc, argv, &code)) return code;
    struct run *run = calloc(1, sizeof *run);
    if (!run) return EXIT_FAILED;
    if (!follow_parent()) return EXIT_INTERRUPTED;
    enum reel_err err = command_parse(argc, argv, &run->settings, &words, &n_words);
    if (err) {
        code = refuse(err);
    } else if (!command_once(&run->settings, argv, &code)) {
        reel_life_catch_stop();
        signal(SIGCHLD, SIG_DFL);
        code = run->settings.verify ? verify(run, words, n_words, work) : work(run, words, n_words);
    }
    free(words);
    free(run);
    return code;
}

// SPDX-License-Identifier: MIT
//
// From the words of the command line to jobs: files, folders, @lists and image
// patterns, each with its output and parts folder. Everything that can be
// refused by looking at names is refused here, before anything is started.
// Called once by main; parses no media.
#ifndef COORDINATOR_INPUTS_H
#define COORDINATOR_INPUTS_H

#include "common/job.h"
#include "common/settings.h"

struct inputs {
    struct reel_job *jobs; // strings are owned by the list
    // [n] In the output folder, where the journal of a finished job lies until all
    // are done: OUTPUT/.reelmill/NAME.done. NULL where the output is no folder.
    char **done_paths;
    uint32_t n;
    bool many; // the output is a folder
};

// Checks that the command line has inputs and an output. Errors: CONFIG.
enum reel_err inputs_given(const struct reel_settings *settings, int n_words);
// After inputs_given(): makes the list. run_dir holds the parts of jobs with the output
// null:. Errors: CONFIG, IO.
enum reel_err inputs_collect(const struct reel_settings *settings, const char *const *words, int n_words,
                             const char *run_dir, struct inputs *out);
void inputs_fini(struct inputs *inputs);
// Refuses an output that exists, unless -y was given or an earlier run is resumed. Called again once
// a job's lock is held, because the run that held it may have written the output meanwhile.
// done_path may be NULL. Errors: CONFIG.
enum reel_err inputs_check_free(const struct reel_settings *settings, const struct reel_job *job,
                                const char *done_path);
// Makes the folders that job's output and parts lie in. Errors: IO.
enum reel_err inputs_make_folders(const struct reel_job *job);
// The same for the place of a finished job's journal.
enum reel_err inputs_make_done_folder(const char *done_path);
// Removes that journal, if it is there, and its folders as far as they are empty.
void inputs_drop_done(const char *done_path);

#endif

// SPDX-License-Identifier: MIT
//
// A job and what an earlier run left of it: the lock of its parts folder,
// whether the journal is this command's, and the account of a finished job.
// Called by jobs.c, which owns the job's states; here is none of them.
#ifndef COORDINATOR_RESUME_H
#define COORDINATOR_RESUME_H

#include "coordinator/coordinator.h"

// Locks the parts folder, which it makes. AGAIN: held by somebody, whom
// job->holder names. Errors: IO.
enum reel_err resume_lock(struct run *run, struct job *job);
// The run directory has changed: writes its new path into the locks that this run holds.
void resume_hold_again(const struct run *run);
// Removes all parts and the journal, but not the lock.
void resume_wipe(const struct job *job);
// Reads the journal into job->old: that of an unfinished run, else that of a
// finished one. *out_done: an earlier run finished this job, and neither its
// input nor its output was written since. Errors: as journal_read().
enum reel_err resume_read(struct job *job, bool *out_done);
// Of a job that is not done: whether a file at the output's name may be replaced
// (job->replaces). Errors: CONFIG (there is one that this job did not write, without -y).
enum reel_err resume_check_output(const struct run *run, struct job *job);
// A finished job's journal leaves the parts folder, which is removed, for its
// place in the output folder.
void resume_keep_done(struct job *job);
// Of such a job: matches it with this command and takes its account over.
// AGAIN: model and stages are not known yet. Errors: CONFIG (another command's).
enum reel_err resume_take_over(struct run *run, struct job *job);
// Opens the journal: a new one, or the old one behind its last whole line.
// Errors: CONFIG (another command's), IO, NOMEM.
enum reel_err resume_begin_journal(struct run *run, struct job *job);

#endif

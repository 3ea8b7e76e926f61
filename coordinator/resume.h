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
// Removes all parts and the journal, but not the lock.
void resume_wipe(const struct job *job);
// An earlier run finished this job (job->old), and neither its input nor its
// output was written since.
bool resume_is_done(const struct job *job);
// Of such a job: matches it with this command and takes its account over.
// AGAIN: model and stages are not known yet. Errors: CONFIG (another command's).
enum reel_err resume_take_over(struct run *run, struct job *job);
// Opens the journal: a new one, or the old one behind its last whole line.
// Errors: CONFIG (another command's), IO, NOMEM.
enum reel_err resume_begin_journal(struct run *run, struct job *job);

#endif

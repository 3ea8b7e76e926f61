// SPDX-License-Identifier: MIT
//
// A job whose output is standard output: its parts go there in order while others are
// still made. One aggregator (the last, which has no lane) is told of the job when it
// begins (MUX), waits for each part, writes and removes it; so what is gone has been
// written, and segments are begun only a few ahead of that. There is no journal: what a
// reader has had cannot be taken back. See also aggregator/sink/output.h.
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "coordinator/coordinator.h"

// Beside those in work: one is written, and the one behind it must be whole for that.
#define AHEAD 2

enum reel_err stream_init(struct run *run)
{
    if (strcmp(run->settings.output, "-")) return REEL_OK;
    // Whatever prints to its standard output, ours or a library, prints to the other one.
    run->output_fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    if (run->output_fd < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
        return reel_fail(REEL_ERR_IO, "could not use standard output: %s", strerror(errno));
    return REEL_OK;
}

struct proc *stream_writer(struct run *run)
{
    return run->streams ? supervise_at(&run->sup, REEL_AGGREGATOR, run->aggregators - 1) : NULL;
}

bool stream_has_room(const struct run *run, const struct job *job)
{
    const uint32_t ahead = run->n_lanes + AHEAD;
    char path[REEL_PATH_BYTES];
    if (!run->streams || job->next_pending < ahead) return true;
    const uint32_t behind = job->next_pending - ahead;
    return job->segments[behind].state == SEGMENT_COMMITTED && access(reel_part_path(job->spec, behind, path), F_OK);
}

// SPDX-License-Identifier: MIT
//
// A job whose output is standard output: its parts are written there in order while later ones
// are still made. The last aggregator, which has no lane, gets MUX when the job begins. It waits
// for each part, writes it and removes it; so a part that is gone has been written. Segments are
// started only a few ahead of that. There is no journal, because written data cannot be taken
// back. See also aggregator/sink/output.h.
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "coordinator/coordinator.h"

// Segments beside those in work: one is being written, and for that the next must be complete.
#define AHEAD 2

enum reel_err stream_init(struct run *run)
{
    if (strcmp(run->settings.output, "-")) return REEL_OK;
    // Anything else that prints to standard output, our code or a library, goes to standard error.
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

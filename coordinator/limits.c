// SPDX-License-Identifier: MIT
//
// Checks the limits on open files and on address space (ulimit -n, ulimit -v). See limits.h.
#include "coordinator/limits.h"

#include <sys/resource.h>

#define MOST_FILES 8192
#define OWN_FILES 28 // standard streams, run directory, bus and its threads, settings, report, trace

// Descriptors that this process needs: four for each child (handle, doorbell, socket of the bus, wire), two
// for each lane (rings), and two for each job in progress (lock, journal).
static rlim_t files_needed(const struct run *run)
{
    const uint32_t processes = run->decoders + run->workers + run->aggregators;
    const uint32_t inputs = run->n_lanes + run->decoders + 1;
    return OWN_FILES + 4 * processes + 2 * run->n_lanes + 2 * (run->inputs.n < inputs ? run->inputs.n : inputs) +
           (rlim_t)run->pictures.n;
}

enum reel_err limits_raise_files(const struct run *run)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit)) return REEL_OK;
    if (limit.rlim_cur < MOST_FILES) { // the usual limit is 1024
        limit.rlim_cur = limit.rlim_max < MOST_FILES ? limit.rlim_max : MOST_FILES;
        if (setrlimit(RLIMIT_NOFILE, &limit) && getrlimit(RLIMIT_NOFILE, &limit)) return REEL_OK;
    }
    const rlim_t need = files_needed(run);
    if (limit.rlim_cur >= need) return REEL_OK;
    return reel_fail(REEL_ERR_LIMIT,
                     "could not start %u processes: %llu open files are needed, and this shell allows %llu\n"
                     "lift that: ulimit -n %d; or give fewer --gpu_num, --decoders, --aggregators, --lanes",
                     run->decoders + run->workers + run->aggregators, (unsigned long long)need,
                     (unsigned long long)limit.rlim_cur, MOST_FILES);
}

enum reel_err limits_check_addresses(const struct run *run)
{
    struct rlimit limit;
    const uint64_t need = 2 * (uint64_t)run->n_lanes * run->ring_bytes;
    if (getrlimit(RLIMIT_AS, &limit) || need < limit.rlim_cur) return REEL_OK;
    return reel_fail(REEL_ERR_NOMEM,
                     "could not map rings of %llu MB: this shell limits the addresses of a process to %llu MB\n"
                     "lift that: ulimit -v unlimited; or give a smaller --memory, or fewer --lanes",
                     (unsigned long long)(need >> 20), (unsigned long long)(limit.rlim_cur >> 20));
}

// SPDX-License-Identifier: MIT
//
// Births and deaths of processes: spawn with inherited descriptors, pidfds,
// end with the parent, stop by signal, and named crash points for tests.
#ifndef REEL_COMMON_LIFE_H
#define REEL_COMMON_LIFE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/err.h"

// Starts path with argv (argv[0] is the process name) and exactly stdin
// (/dev/null), stdout, stderr and keep_fds. The child dies with the calling
// thread's process. *out_pidfd becomes readable at its death. Errors: IO.
enum reel_err reel_life_spawn(const char *path, char *const argv[], const int *keep_fds, int n_keep, pid_t *out_pid,
                              int *out_pidfd);
// Reaps; returns waitid's status word translated: exit code >= 0, or
// -signal. Call after the pidfd is readable.
int reel_life_reap(int pidfd);
void reel_life_kill(int pidfd, int signal);

// A child's first call: dies with its parent (GONE when that is dead already),
// is not dumpable by others, ignores SIGINT (the coordinator decides), SIGPIPE.
enum reel_err reel_life_adopt(pid_t parent);

// Installs handlers for SIGINT, SIGTERM, SIGHUP that set one flag; a second
// SIGINT/SIGTERM is counted. A SIGHUP that is ignored (nohup) stays so. SIGPIPE and SIGXFSZ (ulimit -f) are ignored:
// writing fails then.
void reel_life_catch_stop(void);
// Number of stop signals so far.
int reel_life_stops(void);

// Monotonic microseconds; CPU microseconds of this process, and of another by
// pid (-1 when it is gone).
int64_t reel_now_us(void);
int64_t reel_cpu_us(void);
int64_t reel_cpu_us_of(pid_t pid);
// Whether a thread of another process wants the CPU or waits for a disk, so
// that the process would make progress if it could. False when all threads
// sleep or are stopped.
bool reel_life_would_run(pid_t pid);
// Whether another process was stopped by a signal (SIGSTOP, Ctrl-Z) and has not
// been continued. False while a debugger holds it.
bool reel_life_is_stopped(pid_t pid);
// Whether a process has ended: there is none of that number, or it only waits
// for its parent to ask for its exit code (in a container that may be never).
bool reel_life_is_over(pid_t pid);

// Crash points: REELMILL_CRASH=point:hit:signal[,more] raises the signal at the
// hit-th passing (from 1) of the named point in a process; "stage.index/point"
// restricts it to one process, and it fires only in incarnation 1 unless the
// hit is followed by '*' ("worker.2/before_done:3*:9": every incarnation).
void reel_crash_init(const char *stage, int index, uint32_t incarnation);
void reel_crash_point(const char *point);
// True if REELMILL_CRASH names the point with signal 0: the operation at this
// place shall fail now.
bool reel_fault_point(const char *point);

#endif

// SPDX-License-Identifier: MIT
//
// The children: births, HELLO limits, deaths seen by pidfd, restarts within a
// budget, hangs, and the end of all. Knows processes, no frames or jobs;
// called by run.c, which decides what a death means for lanes and jobs.
//
// Invariant: what a process held is taken back only after its death is
// confirmed here (reaped), never on a time limit.
#ifndef COORDINATOR_SUPERVISE_H
#define COORDINATOR_SUPERVISE_H

#include <sys/types.h>

#include "common/child.h"

#define SUPERVISE_MAX 512 // = REEL_STAT_ROWS
#define SUPERVISE_DEVICE_BYTES 96

enum proc_state {
    PROC_DOWN,     // to be started when its time comes
    PROC_STARTING, // spawned, no HELLO yet
    PROC_UP,       // said HELLO
    PROC_READY,    // a worker whose network is loaded
};

// One child; row in the statistics page and in supervise.proc are the same.
struct proc {
    enum reel_stage stage;
    uint32_t index, row;
    int device; // GPU or simulated device, -1 none
    enum proc_state state;
    uint32_t incarnation;
    pid_t pid;
    int pidfd; // -1 when not running
    int wire;  // our end of its wire, -1 when not running
    reel_peer peer;
    struct reel_rec_hello hello;

    int64_t started_us, retry_us; // of this life; when the next may begin
    uint32_t restarts;            // in all
    uint32_t idle_deaths;         // since the last progress
    uint32_t idle_crashes;        // of those, by itself
    char text[REEL_TEXT_BYTES];   // what it reported before its death
    uint32_t no_memory;           // frames in a row that it had no memory for
    bool left_out;                // there is no memory for it: not started again

    // Hang detection.
    bool owes;    // an answer is expected; set by the caller before supervise_tick()
    bool hung;    // was killed for no progress: counts as its own fault
    bool stopped; // by a signal from outside when it was last looked at: then it is not its own fault
    bool broken;  // was killed for breaking the protocol: the same
    uint64_t seen_progress;
    int64_t seen_us, seen_cpu_us; // when it last changed
    int64_t look_us, look_cpu_us; // of the look before
};

// What is known of a process that has made no progress for a while. CPU time is
// that of all its threads: the main one may sleep while those of a codec work.
struct hang_look {
    int64_t limit_us;                  // --hang_seconds
    int64_t waited_us, used_us;        // since its last progress; CPU time in that
    int64_t lately_us, used_lately_us; // since the look before; CPU time in that
    bool would_run;                    // reel_life_would_run()
};

struct supervise {
    struct proc proc[SUPERVISE_MAX];
    uint32_t n, first[REEL_STAGES], count[REEL_STAGES];
    struct reel_child_params params; // what all children share
    const int *extra_fds;            // further descriptors that all inherit
    int n_extra;
    char bin_dir[4096];
    struct reel_bus *bus;
    struct reel_stat_page *stat;
    int epoll_fd; // readable when any child is dead
    int64_t hang_us;
    int64_t tick_us;       // of the last supervise_tick()
    uint32_t most_crashes; // of one process by itself, without progress
};

struct supervise_death {
    struct proc *proc;
    bool by_itself; // a crash, an error exit or a hang; not a signal from outside
    char why[256];  // "was killed by signal 11 (Segmentation fault)"
};

// counts[stage] processes; devices[stage] maps an index to its device (NULL: none).
// params, extra_fds, bus and stat are borrowed; tries: crashes that one frame may
// cause before it is given up. Errors: IO, LIMIT.
enum reel_err supervise_init(struct supervise *s, const struct reel_child_params *params, const uint32_t *counts,
                             const int *const *devices, const int *extra_fds, int n_extra, struct reel_bus *bus,
                             struct reel_stat_page *stat, double hang_seconds, uint32_t tries);
void supervise_fini(struct supervise *s);

// Starts the processes that are due. Errors: IO (a program is missing).
enum reel_err supervise_start(struct supervise *s, int64_t now_us);
// A dead process that was not reported yet; NULL: none.
struct proc *supervise_dead(struct supervise *s);
// Whether p, dead, ended by itself and messages of it have not come yet: why it
// ended may be among them.
bool supervise_has_more_to_say(const struct supervise *s, const struct proc *p);
// Reaps p, dead (from supervise_dead()), and expels it from the bus; it will be
// started again by its budget.
void supervise_bury(struct supervise *s, struct proc *p, int64_t now_us, struct supervise_death *out_death);
// False with a text when the budget of restarts without progress is used up.
bool supervise_may_restart(const struct supervise *s, const struct proc *p, char *out_why, size_t bytes);
// Wall time misleads on overloaded cores: a process is hung if it had the CPU for
// about the limit, or does not want it; and in any case after ten times the limit.
bool supervise_is_hang(const struct hang_look *look);
// Kills hung processes and those that start too slowly; one stopped by a signal is
// reported long before. Time in which this process was stopped itself counts
// against nobody.
void supervise_tick(struct supervise *s, int64_t now_us);
// p has finished something: its restart budget is full again.
void supervise_on_progress(struct proc *p);
void supervise_kill(struct proc *p);

struct proc *supervise_find(struct supervise *s, reel_peer peer);
static inline struct proc *supervise_at(struct supervise *s, enum reel_stage stage, uint32_t index)
{
    return &s->proc[s->first[stage] + index];
}
// Asks all processes to exit, kills those that have not after wait_us, and
// reaps them.
void supervise_end(struct supervise *s, int64_t wait_us);
const char *supervise_stage_name(enum reel_stage stage);

#endif

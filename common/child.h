// SPDX-License-Identifier: MIT
//
// The common start-up of decoder, worker and aggregator: takes over what the
// coordinator passes on the command line and as descriptors.
#ifndef REEL_COMMON_CHILD_H
#define REEL_COMMON_CHILD_H

#include "common/bus.h"
#include "common/job.h"
#include "common/mem.h"
#include "common/picture.h"
#include "common/ring.h"
#include "common/settings.h"
#include "common/stat.h"
#include "common/wire.h"

// What the coordinator decides about a child; written to argv by
// reel_child_argv() and read back by reel_child_open().
struct reel_child_params {
    enum reel_stage stage;
    uint32_t index, incarnation;
    int32_t parent;              // pid
    int32_t device;              // GPU number, or -1
    enum reel_mem_kind mem_kind; // of device rings; NONE: there are none
    int wire_fd;                 // this child's end
    const char *bus_path;
    struct reel_box_fds box;
    int settings_fd, jobs_fd, stat_fd;
    uint32_t stat_row;
    uint32_t lanes;
    uint64_t in_ring_bytes, out_ring_bytes; // of every lane's object
    const int *in_ring_fds, *out_ring_fds;  // [lanes]
    int collective_fd;                      // of REEL_COLLECTIVE_BYTES, for workers; -1: none
    uint32_t workers;                       // of the run
    int input_fd;                           // a live input that is a pipe, for decoders; -1: none
    int head_fd;                            // what was read from it before its first frame (head.h); -1: none
    int output_fd;                          // the run's standard output, for aggregators; -1: it is not the job's
    int n_pictures;                         // that the model is given, for workers
    const int *picture_fds;                 // [n_pictures]
};

// A device ring of a lane in one direction.
struct reel_child_ring {
    struct reel_mem *mem;
    uint32_t epoch;
};

struct reel_child {
    enum reel_stage stage;
    uint32_t index, incarnation;
    int32_t device;
    struct reel_settings settings;
    struct reel_jobs *jobs;
    struct reel_stat_page *stat;
    struct reel_stat_row *row; // this process's
    struct reel_bus *bus;
    uint32_t part;     // of the frame in work, for FAILED
    int collective_fd; // a worker's, -1 without
    int input_fd;      // a decoder's, -1 without
    int head_fd;       // with input_fd
    int output_fd;     // an aggregator's, -1 without
    int n_pictures;    // a worker's
    int picture_fds[REEL_MAX_PICTURES];
    uint32_t workers;
    uint32_t lanes;
    struct reel_ring *in, *out; // [lanes]

    // child_rings.c
    enum reel_mem_kind mem_kind;
    int wire_fd;
    bool device_open;                     // in this process's main thread
    struct reel_child_ring *device_rings; // [2 * lanes]: in, out of each
};

#define REEL_CHILD_MAX_ARGS 64
// Fills argv (strings in buf) for the child; NULL-terminated.
enum reel_err reel_child_argv(const struct reel_child_params *p, char *buf, size_t buf_bytes,
                              char *argv[REEL_CHILD_MAX_ARGS]);
// Reads the settings that the coordinator wrote to a memory file (reel_shm_publish()). Errors:
// CONFIG, IO, NOMEM.
enum reel_err reel_child_settings(int fd, struct reel_settings *out_settings);
// True when argv is that of a child (and not a person's call of the binary).
bool reel_child_is(int argc, char **argv);
// Dies with the parent, names the log, attaches settings, jobs, statistics and
// rings, connects the bus. Errors: GONE, PROTO, IO; logged here.
enum reel_err reel_child_open(int argc, char **argv, struct reel_child *out_child);
void reel_child_close(struct reel_child *child);

// Says HELLO with version, build text and device.
enum reel_err reel_child_hello(struct reel_child *child, const char *build, const char *device,
                               const char *device_kind);
// Reports this thread's reel_fail_text() to the coordinator.
enum reel_err reel_child_failed(struct reel_child *child, enum reel_scope scope, enum reel_err err, uint32_t job,
                                uint32_t lane, uint32_t epoch, uint32_t n);
// A line for the user.
enum reel_err reel_child_note(struct reel_child *child, int level, uint32_t job, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#endif

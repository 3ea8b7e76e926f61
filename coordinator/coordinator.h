// SPDX-License-Identifier: MIT
//
// The coordinator's private structures: the run, its jobs, its lanes. All
// decisions are made here; there are no pixels, no media parser, no model and
// no GPU driver.
//
//   main.c      the story            run.c       setup, the loop, the end
//   jobs.c      a job's life         flow.c      a lane's life, frames on their way
//   resume.c    what an earlier run left of a job
//   supervise.c processes            progress.c, disk.c, report.c, trace.c, metrics.c  what people see
//   plan, lanes, dispatch, ledger, poison, room: pure
#ifndef COORDINATOR_COORDINATOR_H
#define COORDINATOR_COORDINATOR_H

#include "common/device.h"
#include "common/head.h"
#include "common/rounds.h"
#include "common/shm.h"
#include "coordinator/dispatch.h"
#include "coordinator/inputs.h"
#include "coordinator/journal.h"
#include "coordinator/late.h"
#include "coordinator/ledger.h"
#include "coordinator/memory.h"
#include "coordinator/metrics/metrics.h"
#include "coordinator/pictures.h"
#include "coordinator/plan.h"
#include "coordinator/poison.h"
#include "coordinator/rings.h"
#include "coordinator/room.h"
#include "coordinator/rundir.h"
#include "coordinator/supervise.h"
#include "coordinator/team.h"
#include "coordinator/trace/trace.h"

#define RUN_MAX_LANES 64
#define NO_LANE UINT32_MAX
#define NO_ROW UINT32_MAX

enum exit_code {
    EXIT_DONE = 0,
    EXIT_FAILED = 1, // resumable unless it says otherwise
    EXIT_USAGE = 2,  // wrong usage or configuration
    EXIT_LOSSY = 3,  // done, but something was quarantined or could not be kept
    EXIT_INTERRUPTED = 130,
};

// ---- jobs -------------------------------------------------------------------

enum job_state {
    JOB_WAITING,     // not begun
    JOB_LOCK,        // waits for another run to let its parts go
    JOB_DONE_BEFORE, // an earlier run finished it: was it this command?
    JOB_SCAN,        // a decoder reads all packets
    JOB_SHAPE,       // a worker says what its model makes of this size
    JOB_PROVE,       // an aggregator opens the encoder at that size
    JOB_CHECK,       // parts of an earlier run are verified
    JOB_RUN,         // segments are on lanes
    JOB_MUX,         // an aggregator puts the parts together
    JOB_DONE,
    JOB_FAILED,
};

enum segment_state {
    SEGMENT_PENDING,
    SEGMENT_CHECKING,  // an aggregator verifies its part
    SEGMENT_ACTIVE,    // on a lane
    SEGMENT_COMMITTED, // its part is whole and journaled
};

struct job_segment {
    struct segment plan;
    enum segment_state state;
    uint32_t row;                  // CHECKING: of the aggregator asked, or NO_ROW
    uint32_t crashes[REEL_STAGES]; // of stages by themselves, at this segment
    bool suspect;                  // a stage crashed with it: next time it has its stages for itself
    struct journal_segment committed;
};

// A live job: attempts at its input, one after the other, each a segment.
struct job_live {
    bool over;                 // the input has ended: no further attempt
    bool asked;                // the decoder was told to end it
    bool cut_off;              // it ended because it could not be gone on with
    int64_t stop_us;           // when the user wanted the end, 0
    int stops;                 // signals that were that wish
    int64_t next_us;           // when the next attempt may begin
    uint32_t barren;           // attempts in a row without a frame
    int64_t last_pts, last_us; // of the last frame decoded, and when; INT64_MIN: none yet
    uint64_t seen_dropped;     // of the decoder's count: is in the ledger
    uint64_t earlier;          // frames that aggregators before this one wrote
    uint32_t latency_us[REEL_LATENCIES];
    uint32_t file; // number of the output's file
};

// One input and its output.
struct job {
    const struct reel_job *spec;
    const char *done_path; // of its journal when it is finished and others are not; NULL: the output is no folder
    enum job_state state;
    int64_t began_us, ended_us, lock_until_us;
    int lock_fd;
    char holder[256]; // text of the lock file: who has it
    bool replaces;    // a file that has the output's name
    uint32_t file;    // number of the output where its name was taken (reel_live_file_path()); 0: it was not

    // A request to one process (scan, shape, prove, mux).
    uint32_t asked_row; // NO_ROW: to be asked
    uint32_t tries;     // deaths of processes with it

    struct reel_entry *entries;
    uint32_t n_entries, room_entries;
    struct reel_rec_scanned scanned;
    struct reel_geometry in;
    struct reel_rec_shaped shaped;
    struct reel_rec_proven proven;
    struct reel_kept kept;

    struct job_segment *segments;
    uint32_t n_segments, n_committed;
    uint32_t next_pending; // no segment below is PENDING
    struct journal *journal;
    bool has_journal;           // it was begun, open or not
    struct journal_content old; // of an earlier run
    struct poison poison;
    struct ledger ledger;
    uint64_t frames_committed, frames_resumed;
    uint64_t frames_out, output_bytes; // of the finished file
    struct job_live live;
    bool streamed; // all is written to standard output, as muxed says
    struct reel_rec_muxed muxed;

    enum reel_err error_code;
    char error[REEL_TEXT_BYTES + 64];
};

// ---- lanes ------------------------------------------------------------------

// What a lane is bound to beside its frames.
struct lane_io {
    int in_fd, out_fd;
    uint64_t in_reserved, out_reserved;
    uint32_t memory; // of reel_rec_open
    uint64_t granted_bytes;
    uint32_t decoder, aggregator; // indices
    bool alone;                   // its stages serve no other lane
    struct lane_rings rings;      // on a device
    struct reel_rec_open open;
    struct ledger_entry ledger;
    int64_t opened_us;
};

// ---- the run ----------------------------------------------------------------

// What is known of the room on the outputs' disk (disk.c).
struct disk {
    int64_t looked_us, since_us;
    uint64_t written_before;           // at since_us
    uint64_t free_bytes, needed_bytes; // as it was looked at last
    bool tried, holes;                 // whether files can have holes was tried, and what came out
    bool too_large, warned;            // what was said
    struct room_said said;
};

struct run {
    struct reel_settings settings;
    struct inputs inputs;
    struct rundir dir;
    struct memory_limits memory;
    char *config_text;   // what output bytes depend on
    double only_seconds; // --verify: so much of each input; 0: all
    int settings_fd, jobs_fd, stat_fd;
    int input_fd;             // a live input that is a pipe; -1
    int head_fd;              // what was read from it before its first frame; -1
    struct reel_head *head;   // the same, mapped; NULL
    int output_fd;            // standard output, where that is the job's; -1. Ours goes to standard error then
    bool streams;             // the job's parts go there as they come, by the last aggregator (stream.c)
    int collective_fd;        // through which workers share what they read; -1: each reads alone
    struct pictures pictures; // that the model is given beside the frames
    struct reel_stat_page *stat;
    struct reel_bus *bus;
    struct supervise sup;
    uint32_t workers, decoders, aggregators;
    uint32_t cores;
    int worker_devices[LANE_MAX_WORKERS];                                  // numbers of gpus, or of CPU workers
    struct reel_gpu_table gpus;                                            // empty: no devices
    enum reel_mem_kind mem_kind;                                           // of device rings; NONE: there are none
    int decoder_devices[SUPERVISE_MAX], aggregator_devices[SUPERVISE_MAX]; // -1 none
    uint64_t rings_off;                                                    // bit i: rings on GPU i have failed
    enum reel_shm_kind shm_kind;
    uint64_t ring_bytes; // of each sparse object
    int in_fds[RUN_MAX_LANES], out_fds[RUN_MAX_LANES];

    struct lane lanes[RUN_MAX_LANES];
    struct lane_io io[RUN_MAX_LANES];
    uint32_t n_lanes;
    uint32_t last_epoch;
    uint64_t last_order;
    struct dispatch dispatch;
    struct team team;
    struct reel_rounds *rounds; // in the object of collective_fd; NULL: no frame's parts exchange rows

    bool model_known;
    struct reel_rec_model model;

    struct job *jobs;
    uint32_t n_jobs, next_job; // jobs below next_job have begun
    uint32_t n_finished;       // DONE or FAILED
    uint32_t active[2 * RUN_MAX_LANES + 4];
    uint32_t n_active, max_active;

    int64_t start_us, first_dispatch_us, last_commit_us, tick_us;
    uint64_t busy_at_first[SUPERVISE_MAX];                  // busy_us of each process at the first dispatch
    int64_t cpu_at_first[REEL_STAGES], cpu_us[REEL_STAGES]; // CPU time of each stage, then, and from then on
    int64_t cpu_until_us;                                   // when the latter was read
    uint64_t frames_taken, frames_given;
    double live_wait_us; // of a live input's frames from decoding to TAKEN, lately

    bool failed; // the run as a whole
    enum reel_err failed_code;
    char failure[REEL_TEXT_BYTES + 128];
    bool interrupted;
    struct disk disk;
    struct progress *progress;
    struct trace *trace;     // NULL: --trace is not given
    struct metrics *metrics; // NULL: --metrics is not given
};

// ---- stream.c ---------------------------------------------------------------

// Standard output becomes the job's alone, where that is its output. Errors: IO.
enum reel_err stream_init(struct run *run);
// The aggregator that writes the job's parts there; NULL: that is not its output.
struct proc *stream_writer(struct run *run);
// Whether the job's next segment may begin: those before it are not too far from written.
bool stream_has_room(const struct run *run, const struct job *job);

// ---- run.c ------------------------------------------------------------------
// Does the whole run; returns the exit code. run is zeroed except for settings
// and inputs.
int run_all(struct run *run);
// The run cannot continue: everything ends, and text is reported.
void run_fail(struct run *run, enum reel_err code, const char *text);
// There is not enough memory for worker p (on its device): the others do its
// work; the run fails if there are none.
void run_leave_out(struct run *run, struct proc *p, const char *text);
// Output frames per input frame, as far as the model is known.
uint32_t run_rate(const struct run *run);
// Whether inputs are cut into segments. A model that carries a state from frame to frame
// would lose it at a cut, unless it may warm up on some frames before it. Frames that a
// model sees across a cut are decoded twice.
bool run_may_cut(const struct run *run);
// Posts to a process that may be dead (its death is noticed separately).
void run_post(struct run *run, const struct proc *p, enum reel_msg_type type, const void *record);

// ---- jobs.c -----------------------------------------------------------------
enum reel_err jobs_init(struct run *run);
void jobs_fini(struct run *run);
// Begins jobs and takes each as far as it goes without waiting.
void jobs_step(struct run *run, int64_t now_us);
// Ends a job with the text of the last failure.
void jobs_fail(struct run *run, struct job *job, enum reel_err code, const char *text);
void jobs_on_entries(struct run *run, struct proc *p, const struct reel_rec_entry *rec);
void jobs_on_scanned(struct run *run, struct proc *p, const struct reel_rec_scanned *rec);
void jobs_on_shaped(struct run *run, struct proc *p, const struct reel_rec_shaped *rec);
void jobs_on_proven(struct run *run, struct proc *p, const struct reel_rec_proven *rec);
void jobs_on_verified(struct run *run, struct proc *p, const struct reel_rec_verify *rec);
void jobs_on_muxed(struct run *run, struct proc *p, const struct reel_rec_muxed *rec);
// A segment's part is whole; journals it.
void jobs_on_committed(struct run *run, struct job *job, uint32_t segment, const struct reel_rec_committed *rec,
                       const struct ledger_entry *ledger);
// A process died: pending requests to it are made again.
void jobs_on_gone(struct run *run, const struct supervise_death *death);
// The next segment for a lane: oldest job first. NULL: none.
struct job *jobs_next_segment(struct run *run, uint32_t *out_segment);
void jobs_quarantine(struct run *run, struct job *job, uint32_t segment, uint32_t n);
// Whether p owes an answer about a job.
bool jobs_owes(const struct run *run, const struct proc *p);
uint64_t jobs_quarantined(const struct job *job);

// ---- live.c: what is different with --live ---------------------------------------
// Opens a pipe that is the input, so that no process's death loses it. Errors: CONFIG.
enum reel_err live_init(struct run *run);
// A stop signal: true if the run now finishes normally, false if it must be interrupted.
bool live_stop(struct run *run, int64_t now_us);
// Begins the next attempt when it is time; true when the output can be finished.
bool live_step(struct run *run, struct job *job, int64_t now_us);
// Where the timestamps of the attempt that begins now continue.
int64_t live_start_pts(const struct job *job, int64_t now_us);
void live_on_decoded(struct run *run, struct job *job, struct lane *lane, uint32_t n, int64_t now_us);
// Adds to the ledger an attempt whose frames the aggregator has written, or one that was lost with
// the aggregator.
void live_account(struct run *run, struct job *job, const struct lane *lane, const struct reel_rec_committed *rec,
                  struct ledger_entry *out);
void live_lost(struct run *run, struct job *job, const struct lane *lane);
// A frame was decoded for an attempt that was already given up.
void live_on_stale(const struct run *run, struct job *job, const struct lane *lane, const struct reel_rec_decoded *rec);
// At the end: what the decoder dropped behind the last attempt.
void live_settle(struct run *run, struct job *job);
// The input cannot be continued: finishes the output as it is. False: there is none.
bool live_cut_off(struct run *run, struct job *job, const char *text);
// Frames of the output that were dropped so far, those of lanes in progress included.
uint64_t live_dropped(const struct run *run);
// An aggregator is gone: what it wrote is not in the next one's count.
void live_on_aggregator_gone(struct run *run);

// ---- flow.c, flow_open.c, flow_gone.c ---------------------------------------
enum reel_err flow_init(struct run *run);
void flow_fini(struct run *run);
// Opens idle lanes, hands out frames, moves windows: until nothing more can be done.
void flow_step(struct run *run, int64_t now_us);
void flow_on_decoded(struct run *run, struct proc *p, const struct reel_rec_decoded *rec);
void flow_on_lane_end(struct run *run, struct proc *p, const struct reel_rec_lane_end *rec);
void flow_on_done(struct run *run, struct proc *p, const struct reel_rec_done *rec);
void flow_on_taken(struct run *run, struct proc *p, const struct reel_rec_taken *rec);
void flow_on_committed(struct run *run, struct proc *p, const struct reel_rec_committed *rec);
void flow_on_lane_closed(struct run *run, struct proc *p, const struct reel_rec_lane *rec);
// Whether the epoch is that of an open lane.
bool flow_is_present(const struct run *run, uint32_t lane, uint32_t epoch);
// A stage could not go on with its lane, or with one frame.
void flow_on_lane_failed(struct run *run, struct proc *p, const struct reel_rec_failed *rec);
// A worker has loaded its network: sends it the open lanes.
void flow_on_worker_ready(struct run *run, struct proc *p);
void flow_on_ring_made(struct run *run, struct proc *p, const struct reel_rec_ring *rec);
void flow_on_ring_open(struct run *run, struct proc *p, const struct reel_rec_ring *rec);
void flow_on_gone(struct run *run, const struct supervise_death *death);
// Gives up all lanes of a job.
void flow_close_job(struct run *run, uint32_t job);
bool flow_owes(const struct run *run, const struct proc *p);
uint32_t flow_open_lanes(const struct run *run, uint32_t job);
// Least loaded live process of a stage for a lane; NULL when none may take it.
struct proc *flow_choose(struct run *run, enum reel_stage stage, bool alone);

// ---- flow_team.c ------------------------------------------------------------
void flow_team_init(struct run *run);
// Makes all members stop waiting for each other: the run is ending.
void flow_team_end(struct run *run);
void flow_team_fini(struct run *run);
// Whether there are that many workers that may work on a frame together.
bool flow_team_fits(const struct run *run, uint32_t parts);
// A part of that lane, or its holder, for which the others wait, has failed;
// called before the lane is updated.
void flow_team_break(struct run *run, const struct lane *lane, const char *why);
void flow_team_joined(struct run *run, const struct reel_rec_joined *rec);
void flow_team_gone(struct run *run); // a worker
// Gives frames to teams; true when any was given.
bool flow_team_step(struct run *run, int64_t now_us);

// ---- disk.c -----------------------------------------------------------------
// Warns where the outputs will not have room on their disk.
void disk_tick(struct run *run, int64_t now_us);

// ---- progress.c, report.c ---------------------------------------------------
struct progress;
enum reel_err progress_create(struct run *run, struct progress **out);
void progress_destroy(struct progress **progress);
void progress_tick(struct progress *progress, struct run *run, int64_t now_us);
// Clears the bar, so that a line can be written.
void progress_pause(struct progress *progress);
// Frames per second now; frames encoded, with those of earlier runs, and to be expected (0: not known).
double progress_view(const struct progress *progress, const struct run *run, uint64_t *out_done, uint64_t *out_total);
void progress_end(struct progress *progress, struct run *run, int64_t now_us);

// CPU time that each stage's live processes have had so far.
void report_read_cpu(const struct run *run, int64_t out_us[REEL_STAGES]);

struct bottleneck {
    char stage[32];
    char text[512];
};
// What is known of a run's stages, from the first dispatch to the last commit.
struct shares {
    double busy[REEL_STAGES];       // of the time, 0 to 1, the mean of a stage's processes
    double cores_used[REEL_STAGES]; // CPU time of all its processes / time
    uint32_t processes[REEL_STAGES];
    uint32_t cores;
    uint64_t segments; // of all jobs
    bool no_cuts;      // inputs cannot be cut into more
    bool keeps;        // a segment is one worker's from its first frame to its last
    bool live;         // the input is
    bool dropped;      // and some of its frames were late
    bool on_cpu;       // workers are
    bool uncoded;      // outputs hold no coded pictures: results, motion, hashes, nothing
};
// Pure: which stage was the bottleneck, and a line for the user that says what
// would help.
void report_judge(const struct shares *in, struct bottleneck *out);
void report_bottleneck(const struct run *run, struct bottleneck *out);
// Frames per second, from the first dispatch to the last commit.
double report_fps(const struct run *run);
enum reel_err report_write(const struct run *run, const char *path, int64_t now_us);

#endif

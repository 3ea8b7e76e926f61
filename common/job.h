// SPDX-License-Identifier: MIT
//
// The job table: every input with its output and parts folder. The coordinator
// makes it before the first child and gives all children a sealed read-only
// copy. And the names of files in a parts folder, which decoder, aggregator and
// coordinator agree on.
#ifndef REEL_COMMON_JOB_H
#define REEL_COMMON_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/files.h"

enum reel_output_kind {
    REEL_OUTPUT_VIDEO,  // .mp4 .mkv .y4m .gif ...: the file name tells the container (reel_container_of)
    REEL_OUTPUT_IMAGES, // a pattern with one %d or %0Nd: .png .jpg .tif .exr ...
    REEL_OUTPUT_FLO,    // such a pattern with .flo: the motion of each frame
    REEL_OUTPUT_JSONL,
    REEL_OUTPUT_NULL, // "null:": everything is done but writing
    REEL_OUTPUT_MD5,  // .md5: a hash per frame (as ffmpeg -f framemd5)
    // Live video: a URL, or with --live a file of VIDEO's endings. Not by parts:
    // packets go out as they come.
    REEL_OUTPUT_STREAM,
};

// Strings hold as long as the table.
struct reel_job {
    uint32_t id;
    enum reel_output_kind kind;
    const char *input;
    const char *output;    // absolute, "null:", or of standard output "-.EXT"
    const char *parts_dir; // absolute folder of the job's parts and journal
};

struct reel_jobs;

// Coordinator: builds the sealed table from n jobs (ids are the indices).
enum reel_err reel_jobs_publish(const struct reel_job *jobs, uint32_t n, int *out_fd);
// Children: maps it. Errors: IO, PROTO.
enum reel_err reel_jobs_attach(int fd, struct reel_jobs **out_jobs);
void reel_jobs_detach(struct reel_jobs **jobs);
uint32_t reel_jobs_count(const struct reel_jobs *jobs);
// PROTO when id is out of range.
enum reel_err reel_jobs_get(const struct reel_jobs *jobs, uint32_t id, struct reel_job *out_job);

// Whether a job's output is standard output. Then its parts are written to it in order
// as they come, each when the one behind it is whole too, and removed: a part that is
// gone has been written.
bool reel_is_stdout(const char *output);
// Whether a name is an address ("rtmp://...") and no file.
bool reel_is_url(const char *name);
// The container of a video file's name of n bytes, by the name of libavformat's muxer;
// NULL for an extension that is not written.
const char *reel_container_of(const char *name, size_t n);
// Kind by file name or address; false when it cannot be written (*out_why lists what
// can). A video file is VIDEO; that --live makes it a STREAM is the caller's to say.
bool reel_output_kind_of(const char *output, enum reel_output_kind *out_kind, const char **out_why);

// Whether an output is a file for each frame, its name a pattern with the number.
bool reel_is_numbered(enum reel_output_kind kind);

// Paths inside the parts folder; buf of at least REEL_PATH_BYTES. Of numbered files
// a segment's part is a folder: 0.png, 1.png, ...
const char *reel_part_path(const struct reel_job *job, uint32_t segment, char *buf);
const char *reel_copy_part_path(const struct reel_job *job, char *buf);
// The other streams of a live job's attempt, in a pack file that grows while it is
// read (pack.h): begun by the decoder before the attempt's first DECODED, removed by
// the aggregator.
const char *reel_live_copy_path(const struct reel_job *job, uint32_t attempt, char *buf);
// What the aggregator keeps of a live job's output from one life to the next.
const char *reel_live_state_path(const struct reel_job *job, char *buf);
// File number `file` of a live output that could not go on in one, or of an output whose
// name was taken: the output itself (0, 1), or NAME.2.EXT and so on.
const char *reel_live_file_path(const struct reel_job *job, uint32_t file, char *buf);
const char *reel_journal_path(const struct reel_job *job, char *buf);
// Where the output is written until it is whole: nothing of ours lies beside it.
const char *reel_unfinished_path(const struct reel_job *job, char *buf);
// What of the parts is only there any more, of a join on a disk without room for both.
const char *reel_moved_path(const struct reel_job *job, char *buf);

#endif

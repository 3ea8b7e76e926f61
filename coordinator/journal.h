// SPDX-License-Identifier: MIT
//
// The journal of a job: text lines in its parts folder that say what is
// committed, so that an interrupted run goes on where it stopped.
//
//   <CRC-32C of the rest, 8 hex digits> <TYPE> key=value ...\n
//
//   HEADER      what the run depends on: input, model, configuration, build,
//               kind of device; another run's journal is refused by it
//   SEGMENT     a part was committed: its number, hash, frames and ledger
//   QUARANTINE  a frame is filled in (written before it is skipped)
//   DONE        the output is in place
//
// Append-only, every line synced. A torn last line is ignored and cut off, a
// torn line before others is an error: the disk lost something.
// Called by jobs.c; not pure (it is the file), but knows no job.
#ifndef COORDINATOR_JOURNAL_H
#define COORDINATOR_JOURNAL_H

#include "common/err.h"
#include "coordinator/ledger.h"

// What equal output bytes depend on. Strings are malloc'ed or NULL.
struct journal_header {
    char *input;  // SHA-256 of the input's identity, hex
    char *model;  // of the model file, hex; "none" without
    char *config; // effective configuration without what does not change bytes
    char *build;  // versions of all stages
    char *device; // kind of device
    uint32_t segments;
    uint32_t tile_pixels; // of reel_rec_shaped: settled by the memory of the first run
};

struct journal_segment {
    uint32_t segment;
    uint32_t frames;
    uint64_t bytes;
    uint8_t sha256[32];
    struct ledger_entry ledger;
};

struct journal_quarantine {
    uint32_t segment, n;
};

// What a file holds.
struct journal_content {
    bool has_header, done;
    struct journal_header header;
    struct journal_segment *segments;
    uint32_t n_segments;
    struct journal_quarantine *quarantined;
    uint32_t n_quarantined;
    uint64_t done_bytes;  // of the output
    uint64_t done_kept;   // what its job kept, as the caller packed it
    uint64_t whole_bytes; // of the file up to its last whole line
};

struct journal;

// Reads all; a missing file is an empty content. Errors: INPUT (torn middle, a
// line of another version), IO, NOMEM.
enum reel_err journal_read(const char *path, struct journal_content *out_content);
void journal_content_fini(struct journal_content *content);
void journal_header_fini(struct journal_header *header);
// Whether the journal may be gone on with. CONFIG, with the text naming what
// differs.
enum reel_err journal_match(const struct journal_header *old, const struct journal_header *now);

// Opens for appending behind whole_bytes (0: a new file), cutting off the rest.
enum reel_err journal_open(const char *path, uint64_t whole_bytes, struct journal **out_journal);
void journal_close(struct journal **journal);
// Each returns after the line is on the disk. A failed sync is final: IO.
enum reel_err journal_put_header(struct journal *j, const struct journal_header *header);
enum reel_err journal_put_segment(struct journal *j, const struct journal_segment *segment);
enum reel_err journal_put_quarantine(struct journal *j, uint32_t segment, uint32_t n);
enum reel_err journal_put_done(struct journal *j, uint64_t output_bytes, uint64_t kept);

#endif

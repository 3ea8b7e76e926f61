// SPDX-License-Identifier: MIT
//
// A trace on its way to the disk: JSON in the Trace Event Format's array form,
// one event a line, in whole lines only. Called by trace.c, which knows what the
// events are; nothing here knows a run.
//
// Invariant: what is on the disk is the array's beginning up to an event's end.
// The format lets the closing bracket be missing, so that a viewer opens the file
// of a run that goes on, or that was killed. Memory does not grow with the run.
#ifndef COORDINATOR_TRACE_FILE_H
#define COORDINATOR_TRACE_FILE_H

#include <stdbool.h>

#include "common/err.h"

struct trace_file;

// Opens path, which is replaced; goes_on: what another process wrote there before
// it was killed stays, and events are added to it. Pipes are written to as they
// are. Errors: CONFIG (it cannot be written), NOMEM.
enum reel_err trace_file_create(const char *path, bool goes_on, struct trace_file **out);
// Writes the rest, closes the array.
void trace_file_destroy(struct trace_file **file);

// Adds one event: the text between its braces, of at most TRACE_EVENT_BYTES.
#define TRACE_EVENT_BYTES 4096
void trace_file_event(struct trace_file *file, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
// Hands what is there to the disk: for who looks while the run goes on.
void trace_file_flush(struct trace_file *file);
// Why no more is written (a full disk), once; NULL: all is well, or it was told.
const char *trace_file_trouble(struct trace_file *file);

#endif

// SPDX-License-Identifier: MIT
//
// Standard output as the output of a job ("-.EXT", job.h): what the reader at the other
// end takes slowly or not at all. For the joins (mux.c, sink.c) and live outputs.
#ifndef REEL_AGGREGATOR_SINK_OUTPUT_H
#define REEL_AGGREGATOR_SINK_OUTPUT_H

#include "aggregator/sink/sink.h"

// Once, at the start: the run's standard output, or -1.
void output_init(int fd);
int output_fd(void);

// Writes all of it, with a tick of the join while the reader takes nothing. Errors: IO
// (the reader is gone), GONE.
enum reel_err output_write(const struct sink_join *join, const void *data, size_t n);
// The same for libavformat: a context that cannot seek. *out_io is output_close()'s to
// free; NOMEM.
enum reel_err output_open(const struct sink_join *join, AVIOContext **out_io);
// What is in the context's buffer is given up; accepts &NULL.
void output_close(AVIOContext **io);

// Waits until a segment's part is there. Errors: IO (the reader is gone meanwhile), GONE.
enum reel_err output_wait_part(const struct sink_join *join, uint32_t segment);
// It has been written: removes it, and what of those before came a second time.
void output_drop_part(const struct sink_join *join, uint32_t segment);

#endif

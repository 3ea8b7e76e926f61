// SPDX-License-Identifier: MIT
//
// Geometric preprocessing by libavfilter: frames turned upright, then the
// user's --pre_filter. If neither is needed, frames pass unchanged and no graph
// is built. A change of size or format in mid-stream builds the graph again;
// what comes out is fitted to the job's first geometry by upload.c.
#ifndef REEL_DECODER_FILTER_H
#define REEL_DECODER_FILTER_H

#include <stdarg.h>

#include "common/err.h"
#include "decoder/av.h"

struct filter_params {
    const char *pre_filter; // "" for none
    const int32_t *matrix;  // 3x3 display matrix, or NULL
    AVRational time_base, frame_rate;
};

struct filter;

enum reel_err filter_create(const struct filter_params *params, struct filter **out_filter);
// Accepts &NULL.
void filter_destroy(struct filter **filter);
// Gives a frame (its content is moved out), or NULL once at the end. Errors:
// CONFIG (the filter string), NOMEM, FAULT.
enum reel_err filter_send(struct filter *filter, AVFrame *frame);
// AGAIN, EOF, or as filter_send().
enum reel_err filter_receive(struct filter *filter, AVFrame *frame);
// Time base of the frames that come out; known after the first filter_send().
AVRational filter_time_base(const struct filter *filter);
// Their rate; that of the input until then, and 0/1 if it is not known.
AVRational filter_frame_rate(const struct filter *filter);
// Whether frames go through as they are.
bool filter_passes(const struct filter *filter);
// Degrees clockwise that frames are turned by.
int filter_rotation(const struct filter *filter);
// For libav's log callback: an error logged while this thread builds a graph
// becomes the reason in the message.
void filter_hear(void *ctx, const char *fmt, va_list args);

#endif

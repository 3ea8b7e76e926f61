// SPDX-License-Identifier: MIT
//
// Filters that fill time with frames: up to the end of the last one, but not for ever.
#include "decoder/filter.h"

#include <stdlib.h>

#include "tests/check.h"

static AVFrame *picture(int64_t pts, int64_t duration)
{
    AVFrame *f = av_frame_alloc();
    if (!f) abort();
    f->width = f->height = 2;
    f->format = AV_PIX_FMT_GRAY8;
    if (av_frame_get_buffer(f, 0) < 0) abort();
    f->pts = pts;
    av_frame_set_duration(f, duration);
    return f;
}

static int64_t n_out;
static AVRational rate_out;

// Sends two frames at 25 fps through the filter and counts what comes out.
static void run(const char *chain, int64_t last_duration)
{
    const struct filter_params params = {.pre_filter = chain, .time_base = {1, 25}, .frame_rate = {25, 1}};
    struct filter *filter = NULL;
    CHECK_INT(filter_create(&params, &filter), REEL_OK);
    AVFrame *frame[] = {picture(0, 1), picture(1, last_duration)}, *out = av_frame_alloc();
    n_out = 0;
    for (int i = 0; i <= 2; i++) {
        CHECK_INT(filter_send(filter, i < 2 ? frame[i] : NULL), REEL_OK);
        for (; !filter_receive(filter, out); n_out++) av_frame_unref(out);
    }
    rate_out = filter_frame_rate(filter);
    for (int i = 0; i < 2; i++) av_frame_free(&frame[i]);
    av_frame_free(&out);
    filter_destroy(&filter);
}

static void fills_up_to_the_end(void)
{
    run("fps=50", 1);
    CHECK_INT(n_out, 4);
    CHECK_INT(rate_out.num, 50);
    run("fps=50", 0); // unknown: one frame's
    CHECK_INT(n_out, 4);
    run("fps=50", 3);
    CHECK_INT(n_out, 8);
    run("hflip", 3);
    CHECK_INT(n_out, 2);
    CHECK_INT(rate_out.num, 25);
    run("", 3);
    CHECK_INT(n_out, 2);
    CHECK_INT(rate_out.num, 25);
}

static void not_for_ever(void)
{
    run("fps=50", INT64_C(1) << 59);
    CHECK_INT(n_out, 2 + 600 * 50);
}

CHECK_MAIN({"fills_up_to_the_end", fills_up_to_the_end}, {"not_for_ever", not_for_ever})

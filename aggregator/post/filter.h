// SPDX-License-Identifier: MIT
//
// --post_filter: a libavfilter graph behind the model, one per lane. It must
// give exactly one picture for each: timestamps are kept by number, so that no
// filter can change them.
#ifndef REEL_AGGREGATOR_POST_FILTER_H
#define REEL_AGGREGATOR_POST_FILTER_H

#include "aggregator/plan.h"

struct filter;

struct filter_format {
    enum AVPixelFormat format;
    int width, height;
    struct reel_rational sar;
};

// The format that the plan's filter produces from its source pictures. CONFIG
// when the filter is unknown or refuses.
enum reel_err filter_probe(const struct plan *plan, struct filter_format *out_format);
// With the plan's final format at the end.
enum reel_err filter_create(const struct plan *plan, struct filter **out_filter);
void filter_destroy(struct filter **filter);
// Consumes frame (NULL: no more will come). Errors: FAULT, CONFIG.
enum reel_err filter_send(struct filter *filter, AVFrame **frame);
// The next picture with the pts of its source. AGAIN, EOF.
enum reel_err filter_receive(struct filter *filter, AVFrame **out_frame);

#endif

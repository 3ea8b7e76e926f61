// SPDX-License-Identifier: MIT
//
// What a string of FFmpeg filters (--pre_filter, --post_filter) means for the
// plan. Read as text: the decoder plans by it, the aggregator lends by it. Not a
// judge of whether the filters exist: that is libavfilter's to say.
#ifndef REEL_COMMON_FILTERS_H
#define REEL_COMMON_FILTERS_H

#include <stdbool.h>

// Whether the filters work on each frame by itself, so that a job may be cut
// into segments. False for filters not known to.
bool reel_filter_is_spatial(const char *filters);

#endif

// SPDX-License-Identifier: MIT
//
// What a string of FFmpeg filters (--pre_filter, --post_filter) means for the
// plan. Only the text is examined: the decoder uses it for the plan, the
// aggregator to decide whether slots can be lent. Whether the filters exist is
// decided by libavfilter.
#ifndef REEL_COMMON_FILTERS_H
#define REEL_COMMON_FILTERS_H

#include <stdbool.h>

// Whether the filters process each frame independently, so that a job may be
// cut into segments. False for unknown filters.
bool reel_filter_is_spatial(const char *filters);

#endif

// SPDX-License-Identifier: MIT
//
// What a string of FFmpeg filters (--pre_filter, --post_filter) means for the
// plan. Only the text is examined: the decoder uses it for the plan, the
// aggregator to decide whether slots can be lent. Which filters exist is known to
// libavfilter, in those two processes.
#ifndef REEL_COMMON_FILTERS_H
#define REEL_COMMON_FILTERS_H

#include <stdbool.h>
#include <stddef.h>

// Whether the filters process each frame independently, so that a job may be
// cut into segments. False for unknown filters.
bool reel_filter_is_spatial(const char *filters);
// Whether known() is false for the name of a filter: the first such name is in name then.
bool reel_filter_unknown(const char *filters, bool (*known)(const char *name), char *name, size_t bytes);

#endif

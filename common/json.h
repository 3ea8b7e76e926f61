// SPDX-License-Identifier: MIT
//
// Escaping of strings in JSON. Called by the writers of reports and results,
// which handle numbers and structure.
#ifndef REEL_COMMON_JSON_H
#define REEL_COMMON_JSON_H

#include <stddef.h>

#define REEL_JSON_NEXT 8

// The next character of *text as it stands in a JSON string (no NUL behind it),
// *text moved on behind it; 0 at the end. What is no UTF-8 (names of files need
// not be) becomes U+FFFD, a byte at a time.
size_t reel_json_next(const char **text, char out[static REEL_JSON_NEXT]);

#endif

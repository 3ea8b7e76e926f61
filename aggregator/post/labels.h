// SPDX-License-Identifier: MIT
//
// Names of classes: a file of the user's with one per line, or a built-in list
// that the worker named in the results, else the number.
#ifndef REEL_AGGREGATOR_POST_LABELS_H
#define REEL_AGGREGATOR_POST_LABELS_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

struct labels;

// path "": none. Errors: CONFIG (no such file, not text, too large), NOMEM.
enum reel_err labels_load(const char *path, struct labels **out_labels);
void labels_free(struct labels **labels);
// The name of a class, or its number written into buf. labels may be NULL; set
// is an enum reel_label_set.
const char *labels_name(const struct labels *labels, uint32_t set, int class_id, char *buf, size_t bytes);

#endif

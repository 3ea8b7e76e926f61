// SPDX-License-Identifier: MIT
//
// Names of classes: a file of the user's with one per line, or those that the model's file
// holds, or a built-in list that the worker named in the results, else the number.
#ifndef REEL_AGGREGATOR_POST_LABELS_H
#define REEL_AGGREGATOR_POST_LABELS_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

struct labels;

// path: the user's file; "": the names in the model's file, if it has any. NULL in
// *out_labels: there are none. Errors: CONFIG (no such file, not text, too large), NOMEM.
enum reel_err labels_load(const char *path, const char *model, struct labels **out_labels);
void labels_free(struct labels **labels);
// The name of a class, or its number written into buf. labels may be NULL; set
// is an enum reel_label_set.
const char *labels_name(const struct labels *labels, uint32_t set, int class_id, char *buf, size_t bytes);

#endif

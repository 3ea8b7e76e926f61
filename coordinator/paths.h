// SPDX-License-Identifier: MIT
//
// Where an output really lies, and its parts folder. Called by inputs.c.
#ifndef COORDINATOR_PATHS_H
#define COORDINATOR_PATHS_H

#include <stdbool.h>
#include <stdint.h>

// The part of a path behind its last slash.
const char *paths_base_name(const char *path);
// Whether the file's name has a number, "%d" or "%0Nd".
bool paths_is_pattern(const char *path);
// Makes a path absolute; its file need not exist. Returns malloc'ed text, NULL if out of memory.
char *paths_absolute(const char *path);
// What a symbolic link points to, so that the link stays and its target is written, as other programs
// do; also if the target does not exist yet. A target with another ending is another format: then, and
// for anything else, path. Consumes path (malloc'ed, absolute) and returns malloc'ed text.
char *paths_behind_link(char *path);
// The folder for the parts of an output: beside it, so that the final rename stays on one disk; in
// run_dir if there is no such place. Two outputs never have the same one. Returns malloc'ed text, NULL
// if out of memory.
char *paths_parts_dir(const char *output, const char *run_dir, uint32_t id);

#endif

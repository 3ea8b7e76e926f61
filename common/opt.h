// SPDX-License-Identifier: MIT
//
// The option engine: one table of options drives the command line, the
// libconfig file, --help, --dump_config and the documentation. The table
// itself is common/settings.c. The only module that includes libconfig.h.
#ifndef REEL_COMMON_OPT_H
#define REEL_COMMON_OPT_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"

enum opt_type {
    OPT_BOOL,       // bool
    OPT_INT,        // int
    OPT_DOUBLE,     // double
    OPT_STRING,     // char[size]
    OPT_ENUM,       // int; choices "a,b,c" give 0,1,2
    OPT_COUNT_AUTO, // int; "auto" = 0, else a number >= 1
    OPT_FLOATS,     // struct opt_floats; "1,2,3" or (1.0, 2.0)
};

#define OPT_MAX_FLOATS 64
struct opt_floats {
    int n;
    double v[OPT_MAX_FLOATS];
};

enum opt_flag {
    OPT_ACTION = 1 << 0,    // command-line only: does something and ends (--help)
    OPT_CLI_ONLY = 1 << 1,  // never in a configuration file
    OPT_NO_OUTPUT = 1 << 2, // does not change output bytes: left out of the configuration's hash
};

struct opt_def {
    const char *name; // "gpu_num", "detect.score" (a dot: a group in the file)
    char letter;      // 'o' for -o, or 0
    enum opt_type type;
    size_t offset, size; // in the settings struct; size of a STRING
    const char *absent;  // default, as text
    double min, max;     // range of numbers (both 0: none)
    const char *choices; // of ENUM
    const char *unit;    // shown in help: "FILE", "N", "s"
    unsigned flags;
    const char *section; // heading in --help
    const char *help;
};

struct opt_table {
    const struct opt_def *defs;
    int n;
};

// Sets every default.
void opt_defaults(const struct opt_table *table, void *settings);
// Reads a libconfig file. Unknown keys, wrong types and values out of range
// are CONFIG errors with file and line. keys already in `set` (by the command
// line) are left alone.
enum reel_err opt_load_file(const struct opt_table *table, const char *path, void *settings, bool *set);
// The same from memory; name stands for the file in messages.
enum reel_err opt_load_text(const struct opt_table *table, const char *text, const char *name, void *settings,
                            bool *set);
// Parses argv[1..]; '-' and '_' are the same in names, --name value and
// --name=value both work, --flag and --no_flag for BOOL. set[i] is true for
// defs[i] given. Other words go to out_words (pointers into argv); "--" ends
// options. Errors: CONFIG, with the nearest known name as a hint.
enum reel_err opt_parse_argv(const struct opt_table *table, int argc, char **argv, void *settings, bool *set,
                             const char **out_words, int *out_n_words);
// Sets one option from text. Errors: CONFIG.
enum reel_err opt_set(const struct opt_table *table, const char *name, const char *value, void *settings);
// The effective configuration as a libconfig text that opt_load_text() reads
// back; without_no_output leaves out what does not change output bytes.
// Returns malloc'ed text.
char *opt_dump(const struct opt_table *table, const void *settings, bool without_no_output);
// --help, to a stdio stream; columns wide.
void opt_help(const struct opt_table *table, void *stdio_file, int columns);
// The same as Markdown tables, for docs/options.md.
void opt_markdown(const struct opt_table *table, void *stdio_file);

#endif

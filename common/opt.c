// SPDX-License-Identifier: MIT
//
// The option engine. See opt.h.
#include "common/opt.h"

#include <errno.h>
#include <libconfig.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *field(const struct opt_def *def, void *settings)
{
    return (char *)settings + def->offset;
}

// Compares names, with '-' equal to '_'.
static bool same_name(const char *a, const char *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char x = a[i] == '-' ? '_' : a[i], y = b[i] == '-' ? '_' : b[i];
        if (x != y || !x) return false;
    }
    return !b[n];
}

static const struct opt_def *find(const struct opt_table *table, const char *name, size_t n)
{
    for (int i = 0; i < table->n; i++)
        if (same_name(name, table->defs[i].name, n)) return &table->defs[i];
    return NULL;
}

static int edit_distance(const char *a, size_t n, const char *b)
{
    size_t m = strlen(b);
    if (n > 63 || m > 63) return 64;
    int row[64];
    for (size_t j = 0; j <= m; j++) row[j] = (int)j;
    for (size_t i = 1; i <= n; i++) {
        int diagonal = row[0];
        row[0] = (int)i;
        for (size_t j = 1; j <= m; j++) {
            int cost = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < cost) cost = row[j] + 1;
            if (row[j - 1] + 1 < cost) cost = row[j - 1] + 1;
            row[j] = cost;
        }
    }
    return row[m];
}

// The known name most similar to a wrong one, or NULL when none is similar.
static const char *nearest(const struct opt_table *table, const char *name, size_t n)
{
    int best = 3;
    const char *found = NULL;
    for (int i = 0; i < table->n; i++) {
        int d = edit_distance(name, n, table->defs[i].name);
        if (d < best) best = d, found = table->defs[i].name;
    }
    return found;
}

static bool choice(const char *choices, const char *value, int *out_index)
{
    size_t n = strlen(value);
    int index = 0;
    for (const char *p = choices; *p; index++) {
        size_t len = strcspn(p, ",");
        if (len == n && !strncmp(p, value, n)) return *out_index = index, true;
        p += len + (p[len] == ',');
    }
    return false;
}

static enum reel_err bad_value(const struct opt_def *def, const char *value, const char *why)
{
    return reel_fail(REEL_ERR_CONFIG, "could not set option \"%s\" to \"%s\": %s", def->name, value, why);
}

static enum reel_err set_number(const struct opt_def *def, const char *value, void *to)
{
    char *end, why[128];
    errno = 0;
    double v = strtod(value, &end);
    if (end == value || *end || errno || !isfinite(v)) return bad_value(def, value, "not a number");
    if ((def->min || def->max) && (v < def->min || v > def->max)) {
        snprintf(why, sizeof why, "it must be between %g and %g", def->min, def->max);
        return bad_value(def, value, why);
    }
    if (def->type == OPT_DOUBLE) return *(double *)to = v, REEL_OK;
    if (v != floor(v) || fabs(v) > 2e9) return bad_value(def, value, "not a whole number");
    *(int *)to = (int)v;
    return REEL_OK;
}

static enum reel_err set_floats(const struct opt_def *def, const char *value, struct opt_floats *to)
{
    struct opt_floats list = {0};
    for (const char *p = value; *p;) {
        char *end;
        double v = strtod(p, &end);
        if (end == p || (*end && *end != ',') || !isfinite(v) || list.n == OPT_MAX_FLOATS)
            return bad_value(def, value, "not a list of numbers like 0.5,0.5,0.5");
        list.v[list.n++] = v;
        p = end + (*end == ',');
    }
    *to = list;
    return REEL_OK;
}

static enum reel_err set_value(const struct opt_def *def, const char *value, void *settings)
{
    void *to = field(def, settings);
    char why[512];
    switch (def->type) {
    case OPT_BOOL: {
        int index;
        if (!choice("false,true,0,1,no,yes,off,on", value, &index)) return bad_value(def, value, "use true or false");
        *(bool *)to = index & 1;
        return REEL_OK;
    }
    case OPT_ENUM:
        if (choice(def->choices, value, to)) return REEL_OK;
        snprintf(why, sizeof why, "use one of %s", def->choices);
        return bad_value(def, value, why);
    case OPT_STRING:
        if (strlen(value) >= def->size) return bad_value(def, value, "too long");
        strcpy(to, value);
        return REEL_OK;
    case OPT_COUNT_AUTO:
        if (!strcmp(value, "auto")) return *(int *)to = 0, REEL_OK;
        return set_number(def, value, to);
    case OPT_FLOATS:
        return set_floats(def, value, to);
    default:
        return set_number(def, value, to);
    }
}

void opt_defaults(const struct opt_table *table, void *settings)
{
    for (int i = 0; i < table->n; i++) {
        memset(field(&table->defs[i], settings), 0, table->defs[i].size);
        if (set_value(&table->defs[i], table->defs[i].absent, settings)) {
            fprintf(stderr, "%s\n", reel_fail_text());
            abort(); // the table itself is wrong
        }
    }
}

enum reel_err opt_set(const struct opt_table *table, const char *name, const char *value, void *settings)
{
    const struct opt_def *def = find(table, name, strlen(name));
    if (!def) {
        const char *near = nearest(table, name, strlen(name));
        return reel_fail(REEL_ERR_CONFIG, "unknown option \"%s\"%s%s%s", name, near ? "\ndid you mean \"" : "",
                         near ? near : "", near ? "\"?" : "");
    }
    return set_value(def, value, settings);
}

// ---- command line -----------------------------------------------------------

static enum reel_err unknown_option(const struct opt_table *table, const char *word, const char *name, size_t n)
{
    const char *near = nearest(table, name, n);
    if (near) return reel_fail(REEL_ERR_CONFIG, "unknown option \"%s\"\ndid you mean \"--%s\"?", word, near);
    return reel_fail(REEL_ERR_CONFIG, "unknown option \"%s\"\n--help lists all options", word);
}

// Finds the option of a word "--name", "--name=value", "--no_name" or "-x".
static enum reel_err match(const struct opt_table *table, const char *word, const struct opt_def **out_def,
                           const char **out_value, bool *out_negated)
{
    *out_value = NULL;
    *out_negated = false;
    if (word[1] != '-') {
        for (int i = 0; i < table->n; i++) {
            if (!table->defs[i].letter || word[1] != table->defs[i].letter) continue;
            *out_def = &table->defs[i];
            if (word[2]) *out_value = word + 2;
            if (word[2] && table->defs[i].type == OPT_BOOL) break;
            return REEL_OK;
        }
        return unknown_option(table, word, word + 1, strlen(word + 1));
    }
    const char *name = word + 2;
    size_t n = strcspn(name, "=");
    if (name[n]) *out_value = name + n + 1;
    *out_def = find(table, name, n);
    if (!*out_def && n > 3 && (!strncmp(name, "no_", 3) || !strncmp(name, "no-", 3))) {
        *out_def = find(table, name + 3, n - 3);
        *out_negated = *out_def && (*out_def)->type == OPT_BOOL && !*out_value;
        if (!*out_negated) *out_def = NULL;
    }
    return *out_def ? REEL_OK : unknown_option(table, word, name, n);
}

enum reel_err opt_parse_argv(const struct opt_table *table, int argc, char **argv, void *settings, bool *set,
                             const char **out_words, int *out_n_words)
{
    *out_n_words = 0;
    bool ended = false;
    for (int i = 1; i < argc; i++) {
        if (ended || argv[i][0] != '-' || !argv[i][1]) {
            out_words[(*out_n_words)++] = argv[i];
            continue;
        }
        if (!strcmp(argv[i], "--")) {
            ended = true;
            continue;
        }
        const struct opt_def *def = NULL;
        const char *value;
        bool negated;
        enum reel_err err = match(table, argv[i], &def, &value, &negated);
        if (err) return err;
        if (!value && def->type == OPT_BOOL) value = negated ? "false" : "true";
        if (!value && i + 1 == argc) return reel_fail(REEL_ERR_CONFIG, "option \"%s\" needs a value", argv[i]);
        if (!value) value = argv[++i];
        if ((err = set_value(def, value, settings))) return err;
        set[def - table->defs] = true;
    }
    return REEL_OK;
}

// ---- libconfig --------------------------------------------------------------

// The text of a scalar or list setting as set_value() reads it.
static bool setting_text(const config_setting_t *s, char *buf, size_t bytes)
{
    switch (config_setting_type(s)) {
    case CONFIG_TYPE_INT:
    case CONFIG_TYPE_INT64:
        snprintf(buf, bytes, "%lld", config_setting_get_int64(s));
        return true;
    case CONFIG_TYPE_FLOAT:
        snprintf(buf, bytes, "%.17g", config_setting_get_float(s));
        return true;
    case CONFIG_TYPE_BOOL:
        snprintf(buf, bytes, "%s", config_setting_get_bool(s) ? "true" : "false");
        return true;
    case CONFIG_TYPE_STRING:
        return (size_t)snprintf(buf, bytes, "%s", config_setting_get_string(s)) < bytes;
    case CONFIG_TYPE_ARRAY:
    case CONFIG_TYPE_LIST: {
        size_t at = 0;
        buf[0] = 0;
        for (int i = 0; i < config_setting_length(s); i++) {
            char item[64];
            const config_setting_t *e = config_setting_get_elem(s, (unsigned)i);
            if (config_setting_is_aggregate(e) || !setting_text(e, item, sizeof item)) return false;
            at += (size_t)snprintf(buf + at, bytes - at, "%s%s", i ? "," : "", item);
            if (at >= bytes) return false;
        }
        return true;
    }
    default:
        return false;
    }
}

static enum reel_err load_group(const struct opt_table *table, const config_setting_t *group, const char *prefix,
                                const char *file, void *settings, bool *set)
{
    for (int i = 0; i < config_setting_length(group); i++) {
        const config_setting_t *s = config_setting_get_elem(group, (unsigned)i);
        char name[256], value[8192];
        snprintf(name, sizeof name, "%s%s%s", prefix, *prefix ? "." : "", config_setting_name(s));
        int line = (int)config_setting_source_line(s);
        enum reel_err err = REEL_OK;
        if (config_setting_type(s) == CONFIG_TYPE_GROUP && !*prefix) {
            if ((err = load_group(table, s, name, file, settings, set))) return err;
            continue;
        }
        const struct opt_def *def = find(table, name, strlen(name));
        if (!def || def->flags & (OPT_ACTION | OPT_CLI_ONLY)) {
            const char *near = def ? NULL : nearest(table, name, strlen(name));
            return reel_fail(REEL_ERR_CONFIG, "%s:%d: %s key \"%s\"%s%s%s", file, line,
                             def ? "command-line only" : "unknown", name, near ? "\ndid you mean \"" : "",
                             near ? near : "", near ? "\"?" : "");
        }
        if (set[def - table->defs]) continue;
        if (!setting_text(s, value, sizeof value))
            return reel_fail(REEL_ERR_CONFIG, "%s:%d: key \"%s\" cannot take such a value", file, line, name);
        err = set_value(def, value, settings);
        if (err) return reel_fail_prefix(err, "%s:%d: ", file, line);
    }
    return REEL_OK;
}

static enum reel_err load(const struct opt_table *table, config_t *config, int ok, const char *file, void *settings,
                          bool *set)
{
    if (!ok && config_error_type(config) == CONFIG_ERR_FILE_IO)
        return reel_fail(REEL_ERR_CONFIG, "could not read configuration \"%s\": %s", file,
                         errno ? strerror(errno) : "it is not a file");
    if (!ok)
        return reel_fail(REEL_ERR_CONFIG, "%s:%d: could not read configuration: %s",
                         config_error_file(config) ? config_error_file(config) : file, config_error_line(config),
                         config_error_text(config));
    return load_group(table, config_root_setting(config), "", file, settings, set);
}

enum reel_err opt_load_file(const struct opt_table *table, const char *path, void *settings, bool *set)
{
    config_t config;
    config_init(&config);
    errno = 0; // libconfig does not set it for a folder
    enum reel_err err = load(table, &config, config_read_file(&config, path), path, settings, set);
    config_destroy(&config);
    return err;
}

enum reel_err opt_load_text(const struct opt_table *table, const char *text, const char *name, void *settings,
                            bool *set)
{
    config_t config;
    config_init(&config);
    enum reel_err err = load(table, &config, config_read_string(&config, text), name, settings, set);
    config_destroy(&config);
    return err;
}

// ---- writing ----------------------------------------------------------------

static void quote(FILE *f, const char *s)
{
    fputc('"', f);
    for (; *s; s++) {
        if (*s == '"' || *s == '\\') fputc('\\', f);
        if (*s == '\n')
            fputs("\\n", f);
        else
            fputc(*s, f);
    }
    fputc('"', f);
}

static void put_value(FILE *f, const struct opt_def *def, const void *settings)
{
    const void *from = (const char *)settings + def->offset;
    switch (def->type) {
    case OPT_BOOL:
        fputs(*(const bool *)from ? "true" : "false", f);
        break;
    case OPT_INT:
        fprintf(f, "%d", *(const int *)from);
        break;
    case OPT_DOUBLE: {
        char text[40];
        snprintf(text, sizeof text, "%.17g", *(const double *)from);
        // libconfig recognises a float by its point or exponent.
        fprintf(f, "%s%s", text, strpbrk(text, ".e") ? "" : ".0");
        break;
    }
    case OPT_STRING:
        quote(f, from);
        break;
    case OPT_COUNT_AUTO:
        if (*(const int *)from)
            fprintf(f, "%d", *(const int *)from);
        else
            fputs("\"auto\"", f);
        break;
    case OPT_ENUM: {
        const char *p = def->choices;
        for (int i = *(const int *)from; i > 0; i--) p = strchr(p, ',') + 1;
        fprintf(f, "\"%.*s\"", (int)strcspn(p, ","), p);
        break;
    }
    case OPT_FLOATS: {
        const struct opt_floats *list = from;
        fputc('"', f);
        for (int i = 0; i < list->n; i++) fprintf(f, "%s%.17g", i ? "," : "", list->v[i]);
        fputc('"', f);
        break;
    }
    }
}

char *opt_dump(const struct opt_table *table, const void *settings, bool without_no_output)
{
    char *text = NULL;
    size_t bytes;
    FILE *f = open_memstream(&text, &bytes);
    if (!f) return NULL;
    char group[64] = "";
    for (int i = 0; i < table->n; i++) {
        const struct opt_def *def = &table->defs[i];
        if (def->flags & (OPT_ACTION | OPT_CLI_ONLY)) continue;
        if (without_no_output && def->flags & OPT_NO_OUTPUT) continue;
        const char *dot = strchr(def->name, '.');
        size_t n = dot ? (size_t)(dot - def->name) : 0;
        if (strlen(group) != n || strncmp(group, def->name, n)) {
            if (*group) fputs("};\n", f);
            snprintf(group, sizeof group, "%.*s", (int)n, def->name);
            if (n) fprintf(f, "%s = {\n", group);
        }
        fprintf(f, "%s%s = ", n ? "  " : "", dot ? dot + 1 : def->name);
        put_value(f, def, settings);
        fputs(";\n", f);
    }
    if (*group) fputs("};\n", f);
    fclose(f);
    return text;
}

// Where the descriptions of options begin in --help.
#define HELP_COLUMN 32

// The description of an option: its help, choices and default. Returns out.
static char *describe(const struct opt_def *def, char *out, size_t bytes)
{
    size_t n = (size_t)snprintf(out, bytes, "%s", def->help);
    for (const char *c = def->choices; c && *c; c += *c == ',') {
        const int len = (int)strcspn(c, ",");
        n += (size_t)snprintf(out + n, bytes - n, "%s%.*s", c == def->choices ? ": " : ", ", len, c);
        c += len;
    }
    if (*def->absent && def->type != OPT_BOOL) snprintf(out + n, bytes - n, " (default %s)", def->absent);
    return out;
}

// "-o, --output OUT". Returns its length.
static int synopsis(const struct opt_def *def, char *out, size_t bytes)
{
    char letter[8] = "";
    if (def->letter) snprintf(letter, sizeof letter, "-%c, ", def->letter);
    const char *unit = def->unit ? def->unit : def->choices ? "WORD" : NULL;
    return snprintf(out, bytes, "%s--%s%s%s", letter, def->name, unit ? " " : "", unit ? unit : "");
}

void opt_help(const struct opt_table *table, void *stdio_file, int columns)
{
    FILE *f = stdio_file;
    const char *section = "";
    for (int i = 0; i < table->n; i++) {
        const struct opt_def *def = &table->defs[i];
        if (strcmp(section, def->section)) fprintf(f, "\n%s:\n", section = def->section);
        char left[128], right[1024];
        const int n = 2 + synopsis(def, left, sizeof left);
        fprintf(f, "  %-*s%s", HELP_COLUMN - 2, left, n >= HELP_COLUMN ? "\n" : "");
        if (n >= HELP_COLUMN) fprintf(f, "%*s", HELP_COLUMN, "");
        int at = HELP_COLUMN;
        for (char *word = strtok(describe(def, right, sizeof right), " "); word; word = strtok(NULL, " ")) {
            if (at > HELP_COLUMN && at + 1 + (int)strlen(word) > columns) {
                fprintf(f, "\n%*s", HELP_COLUMN, "");
                at = HELP_COLUMN;
            }
            at += fprintf(f, "%s%s", at > HELP_COLUMN ? " " : "", word);
        }
        fputc('\n', f);
    }
}

void opt_markdown(const struct opt_table *table, void *stdio_file)
{
    FILE *f = stdio_file;
    const char *section = "";
    for (int i = 0; i < table->n; i++) {
        const struct opt_def *def = &table->defs[i];
        char left[128], right[1024];
        if (strcmp(section, def->section))
            fprintf(f, "\n## %s\n\n| option | meaning |\n|---|---|\n", section = def->section);
        synopsis(def, left, sizeof left);
        fprintf(f, "| `%s` | %s |\n", left, describe(def, right, sizeof right));
    }
}

// SPDX-License-Identifier: MIT
//
// Inputs and where their outputs go. See inputs.h.
#include "coordinator/inputs.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/input.h"
#include "coordinator/paths.h"

#define MAX_DEPTH 64
#define MAX_JOBS 1000000u

// One input: its path, and its name relative to the folder in which it was found.
struct found {
    char *path, *name;
};

struct list {
    struct found *item;
    uint32_t n, capacity;
    bool folder; // one of the words was a folder or a list
};

static bool is_media(const char *name)
{
    static const char *const known[] = {"mp4", "m4v", "mov",  "mkv",  "webm", "avi",   "ts",  "m2ts",
                                        "mts", "mpg", "mpeg", "vob",  "flv",  "wmv",   "asf", "ogv",
                                        "3gp", "mxf", "y4m",  "h264", "264",  "hevc",  "265", "h265",
                                        "ivf", "obu", "av1",  "gif",  "nut",  "mjpeg", "m2v", "dv"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < sizeof known / sizeof *known; i++)
        if (!strcasecmp(dot + 1, known[i])) return true;
    return false;
}

static enum reel_err add(struct list *list, const char *path, const char *name)
{
    if (list->n == MAX_JOBS) return reel_fail(REEL_ERR_LIMIT, "could not take more than %u inputs", MAX_JOBS);
    if (list->n == list->capacity) {
        uint32_t capacity = list->capacity ? 2 * list->capacity : 64;
        struct found *grown = realloc(list->item, capacity * sizeof *grown);
        if (!grown) return reel_fail(REEL_ERR_NOMEM, "could not list inputs: out of memory");
        list->item = grown;
        list->capacity = capacity;
    }
    list->item[list->n++] = (struct found){strdup(path), strdup(name)};
    return REEL_OK;
}

// A folder that is being read, linked to the one it was found in.
struct nest {
    const struct nest *outer;
    dev_t device;
    ino_t inode;
    int depth;
};

// Whether the folder is also one of its own parents, through a link: reading would never end.
static bool leads_back(const struct nest *n)
{
    for (const struct nest *o = n->outer; o; o = o->outer)
        if (o->device == n->device && o->inode == n->inode) return true;
    return false;
}

static enum reel_err add_folder(struct list *list, const char *path, const char *name, const struct nest *outer)
{
    struct stat here;
    if (stat(path, &here)) return reel_fail(REEL_ERR_CONFIG, "could not read folder \"%s\": %s", path, strerror(errno));
    struct nest nest = {outer, here.st_dev, here.st_ino, outer ? outer->depth + 1 : 0};
    if (leads_back(&nest)) return REEL_OK;
    if (nest.depth > MAX_DEPTH)
        return reel_fail(REEL_ERR_LIMIT, "could not read folder \"%s\": more than %d deep", path, MAX_DEPTH);
    struct dirent **entries;
    int n = scandir(path, &entries, NULL, alphasort);
    if (n < 0) return reel_fail(REEL_ERR_CONFIG, "could not read folder \"%s\": %s", path, strerror(errno));
    enum reel_err err = REEL_OK;
    for (int i = 0; i < n; i++) {
        const char *entry = entries[i]->d_name;
        char full[PATH_MAX], below[PATH_MAX];
        struct stat st;
        // Hidden entries are skipped; among them are our own parts folders.
        bool fits = snprintf(full, sizeof full, "%s/%s", path, entry) < (int)sizeof full &&
                    snprintf(below, sizeof below, "%s%s%s", name, *name ? "/" : "", entry) < (int)sizeof below;
        if (!err && entry[0] != '.' && fits && !stat(full, &st)) {
            if (S_ISDIR(st.st_mode))
                err = add_folder(list, full, below, &nest);
            else if (S_ISREG(st.st_mode) && is_media(entry))
                err = add(list, full, below);
        }
        free(entries[i]);
    }
    free(entries);
    return err;
}

static enum reel_err add_list(struct list *list, const char *path)
{
    FILE *f = fopen(path, "re");
    if (!f) return reel_fail(REEL_ERR_CONFIG, "could not open list \"%s\": %s", path, strerror(errno));
    char line[PATH_MAX];
    enum reel_err err = REEL_OK;
    while (!err && fgets(line, sizeof line, f)) {
        size_t n = strlen(line);
        if (n + 1 == sizeof line)
            err = reel_fail(REEL_ERR_CONFIG, "could not read list \"%s\": a line is too long", path);
        while (n && (line[n - 1] == '\n' || line[n - 1] == '\r' || line[n - 1] == ' ' || line[n - 1] == '\t'))
            line[--n] = 0;
        char *p = line + strspn(line, " \t");
        if (err || !*p || *p == '#') continue;
        // Relative paths keep their folders in the output; of others only the name is used.
        bool plain = *p != '/' && !strstr(p, "..");
        while (plain && !strncmp(p, "./", 2)) p += 2;
        struct stat st;
        if (!stat(p, &st) && S_ISDIR(st.st_mode))
            err = add_folder(list, p, plain ? p : paths_base_name(p), NULL);
        else
            err = add(list, p, plain ? p : paths_base_name(p)); // a missing file fails later, as its own job
    }
    fclose(f);
    return err;
}

static enum reel_err add_word(struct list *list, const char *word)
{
    struct stat st;
    if (*word == '@') {
        list->folder = true;
        return add_list(list, word + 1);
    }
    if (paths_is_pattern(word) && stat(word, &st)) {
        char folder[PATH_MAX];
        snprintf(folder, sizeof folder, "%s", word);
        char *slash = strrchr(folder, '/');
        if (slash) *slash = 0;
        if (slash && folder[0] && (stat(folder, &st) || !S_ISDIR(st.st_mode)))
            return reel_fail(REEL_ERR_CONFIG, "could not open input \"%s\": there is no folder \"%s\"", word, folder);
        return add(list, word, paths_base_name(word));
    }
    if (reel_is_url(word) || !strcmp(word, "-"))
        return reel_fail(REEL_ERR_CONFIG,
                         "could not open input \"%s\": it can be read only once, as it arrives\nfor that use: --live",
                         word);
    if (stat(word, &st)) return reel_fail(REEL_ERR_CONFIG, "could not open input \"%s\": %s", word, strerror(errno));
    if (!S_ISDIR(st.st_mode)) return add(list, word, paths_base_name(word));
    list->folder = true;
    uint32_t before = list->n;
    enum reel_err err = add_folder(list, word, "", NULL);
    if (!err && list->n == before) return reel_fail(REEL_ERR_CONFIG, "could not find a video in folder \"%s\"", word);
    return err;
}

// ---- outputs ----------------------------------------------------------------

static bool is_folder(const char *path)
{
    struct stat st;
    return !stat(path, &st) && S_ISDIR(st.st_mode);
}

// Whether nothing is to be written. "nullable.mp4" is a file.
static bool is_null(const char *output)
{
    return !strcmp(output, "null:") || !strcmp(output, "null");
}

// The output's name in the output folder: the input's, with an extension that can be written.
static char *mapped_name(const struct reel_settings *s, const char *name)
{
    char ext[SET_WORD + 1] = "";
    const char *dot = strrchr(name, '.');
    if (dot && strchr(dot, '/')) dot = NULL;
    int stem = dot ? (int)(dot - name) : (int)strlen(name);
    if (s->output_format[0] && strcmp(s->output_format, "auto"))
        snprintf(ext, sizeof ext, "%s%s", s->output_format[0] == '.' ? "" : ".", s->output_format);
    else if (dot)
        snprintf(ext, sizeof ext, "%s", dot);
    // Containers that keep everything, and single pictures; others (.avi, .gif, .flv...) become .mkv.
    static const char *const kept[] = {"mp4", "matroska", "mov", "webm", "mpegts"};
    const char *container = reel_container_of(name, strlen(name));
    bool asked = s->output_format[0] && strcmp(s->output_format, "auto"), keeps = asked;
    for (size_t i = 0; container && i < sizeof kept / sizeof *kept; i++) keeps |= !strcmp(container, kept[i]);
    enum reel_output_kind kind;
    const char *why;
    keeps |= !strchr(name, '%') && reel_output_kind_of(name, &kind, &why) && kind == REEL_OUTPUT_IMAGES;
    char *out = NULL;
    if (!keeps) snprintf(ext, sizeof ext, ".mkv");
    return asprintf(&out, "%.*s%s", stem, name, ext) < 0 ? NULL : out;
}

static bool same_file(const char *a, const char *b)
{
    struct stat sa, sb;
    return !stat(a, &sa) && !stat(b, &sb) && sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

// Checks that the nearest existing folder above the output is writable.
static enum reel_err check_folder(const char *output, bool may_make)
{
    char folder[PATH_MAX];
    snprintf(folder, sizeof folder, "%s", output);
    for (;;) {
        char *slash = strrchr(folder, '/');
        if (!slash) return REEL_OK;
        slash[slash == folder] = 0;
        if (is_folder(folder)) break;
        if (!access(folder, F_OK))
            return reel_fail(REEL_ERR_CONFIG, "could not write output \"%s\": \"%s\" is not a folder", output, folder);
        if (!may_make)
            return reel_fail(REEL_ERR_CONFIG,
                             "could not write output \"%s\": there is no folder \"%s\"\nto make it: mkdir -p \"%s\"",
                             output, folder, folder);
    }
    if (access(folder, W_OK | X_OK))
        return reel_fail(REEL_ERR_CONFIG, "could not write output \"%s\": folder \"%s\": %s", output, folder,
                         strerror(errno));
    return REEL_OK;
}

// Checks the output of a live job, which is written directly and not in parts.
static enum reel_err job_lives(const struct reel_settings *s, struct reel_job *job)
{
    if (!s->live || job->kind != REEL_OUTPUT_VIDEO) return REEL_OK;
    static const char *const whole[] = {"avi", "gif", "vob"};
    const char *container = reel_container_of(job->output, strlen(job->output));
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++)
        if (!strcmp(container, whole[i]))
            return reel_fail(REEL_ERR_CONFIG,
                             "could not write live video to \"%s\": it can be .mkv .mp4 .mov .webm .ts "
                             ".m2ts .nut .flv or .y4m",
                             job->output);
    job->kind = REEL_OUTPUT_STREAM;
    return REEL_OK;
}

// Checks that the output's format can be written to a pipe.
static enum reel_err check_stdout(const struct reel_settings *s, struct reel_job *job)
{
    static const char *const formats[] = {".nut",  ".mkv", ".y4m", ".ts",   ".mp4", ".mov",   ".webm", ".flv",
                                          ".m2ts", ".mts", ".mpg", ".mpeg", ".m4v", ".jsonl", ".md5"};
    bool known = false;
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) known |= !strcasecmp(job->output + 1, formats[i]);
    if (!known)
        return reel_fail(REEL_ERR_CONFIG,
                         "could not write %s to standard output: that can be .nut .mkv .y4m .ts .mp4 .mov .webm .flv "
                         ".mpg .jsonl or .md5\nsay which: --output_format .mkv",
                         job->output + 1);
    if (isatty(STDOUT_FILENO))
        return reel_fail(REEL_ERR_CONFIG, "could not write to standard output: it is a terminal\npipe it to a program, "
                                          "or name a file: -o FILE");
    return job_lives(s, job);
}

enum reel_err inputs_check_free(const struct reel_settings *s, const struct reel_job *job, const char *done_path)
{
    if (job->kind == REEL_OUTPUT_NULL || reel_is_url(job->output) || reel_is_stdout(job->output)) return REEL_OK;
    char path[REEL_PATH_BYTES], first[PATH_MAX];
    const char *name = paths_base_name(job->output);
    if (reel_is_numbered(job->kind)) { // the kind was checked: one %d in the name
        int n = snprintf(first, sizeof first, "%.*s", (int)(name - job->output), job->output);
        snprintf(first + n, sizeof first - (size_t)n, name, 0);
    } else {
        snprintf(first, sizeof first, "%s", job->output);
    }
    // A journal beside it: an interrupted run of ours goes on.
    bool begun = !access(reel_journal_path(job, path), F_OK) || (done_path && !access(done_path, F_OK));
    bool resumes = s->resume == SET_RESUME_AUTO && begun && !s->live;
    if (!s->overwrite && !resumes && !access(first, F_OK))
        return reel_fail(REEL_ERR_CONFIG, "could not write output \"%s\": it exists\nto replace it use: -y", first);
    return REEL_OK;
}

static enum reel_err check_output(const struct reel_settings *s, struct reel_job *job, const char *done_path, bool many)
{
    const char *why;
    if (s->report[0] && same_file(job->input, s->report))
        return reel_fail(REEL_ERR_CONFIG, "could not write report \"%s\": it is the input", s->report);
    if (s->trace[0] && (same_file(job->input, s->trace) || !strcmp(job->output, s->trace)))
        return reel_fail(REEL_ERR_CONFIG, "could not write trace \"%s\": it is the %s", s->trace,
                         strcmp(job->output, s->trace) ? "input" : "output");
    if (!reel_output_kind_of(job->output, &job->kind, &why) && !reel_is_stdout(job->output))
        return reel_fail(REEL_ERR_CONFIG, "could not use output \"%s\": %s", job->output, why);
    if (reel_is_stdout(job->output)) return check_stdout(s, job);
    if (job->kind == REEL_OUTPUT_STREAM && !s->live)
        return reel_fail(REEL_ERR_CONFIG,
                         "could not use output \"%s\": only live video is sent to an address\nfor that "
                         "use: --live",
                         job->output);
    if (job->kind == REEL_OUTPUT_NULL || job->kind == REEL_OUTPUT_STREAM) return REEL_OK;
    enum reel_err lives = job_lives(s, job);
    if (lives) return lives;
    if (is_folder(job->output))
        return reel_fail(REEL_ERR_CONFIG, "could not write output \"%s\": it is a folder", job->output);
    if (same_file(job->input, job->output) || !strcmp(job->input, job->output))
        return reel_fail(REEL_ERR_CONFIG, "could not write output \"%s\": it is the input", job->output);
    struct stat st;
    if (job->kind != REEL_OUTPUT_STREAM && !stat(job->output, &st) && !S_ISREG(st.st_mode))
        return reel_fail(REEL_ERR_CONFIG,
                         "could not write output \"%s\": it is no regular file, and would be replaced by one\nto write "
                         "to a pipe: -o - --output_format .mkv > PIPE",
                         job->output);
    // A folder for numbered files is created if missing, like one for videos.
    enum reel_err err = check_folder(job->output, many || reel_is_numbered(job->kind));
    if (err) return err;
    return inputs_check_free(s, job, done_path);
}

static const struct reel_job *sort_jobs;
static int by_output(const void *a, const void *b)
{
    return strcmp(sort_jobs[*(const uint32_t *)a].output, sort_jobs[*(const uint32_t *)b].output);
}

// Refuses two inputs with one output, and an output that is another job's input.
static enum reel_err check_collisions(const struct inputs *in)
{
    uint32_t *order = malloc(in->n * sizeof *order);
    if (!order) return reel_fail(REEL_ERR_NOMEM, "could not compare outputs: out of memory");
    for (uint32_t i = 0; i < in->n; i++) order[i] = i;
    sort_jobs = in->jobs;
    qsort(order, in->n, sizeof *order, by_output);
    enum reel_err err = REEL_OK;
    for (uint32_t i = 1; !err && i < in->n; i++) {
        const struct reel_job *a = &in->jobs[order[i - 1]], *b = &in->jobs[order[i]];
        if (a->kind != REEL_OUTPUT_NULL && !strcmp(a->output, b->output))
            err = reel_fail(REEL_ERR_CONFIG,
                            "could not use output \"%s\": inputs \"%s\" and \"%s\" would both be written there\nrun "
                            "them separately, or give their common parent folder: paths below it are kept",
                            a->output, a->input, b->input);
    }
    for (uint32_t i = 0; !err && i < in->n; i++) {
        struct reel_job key = {.output = in->jobs[i].input};
        char *full = paths_absolute(key.output);
        for (uint32_t lo = 0, hi = in->n; full && lo < hi;) {
            uint32_t mid = (lo + hi) / 2;
            int order_of = strcmp(full, in->jobs[order[mid]].output);
            if (!order_of) {
                err = reel_fail(REEL_ERR_CONFIG, "could not write output \"%s\": it is an input", full);
                break;
            }
            if (order_of < 0)
                hi = mid;
            else
                lo = mid + 1;
        }
        free(full);
    }
    free(order);
    return err;
}

// Whether -o means a folder.
static bool output_is_folder(const struct reel_settings *s, const struct list *list)
{
    const char *o = s->output;
    if (is_null(o) || reel_is_url(o) || !strcmp(o, "-")) return false;
    size_t n = strlen(o);
    return list->folder || list->n > 1 || (n && o[n - 1] == '/') || is_folder(o);
}

// A file name that says the format of standard output: that of --output_format; without it
// JSON lines if the task gives results as lines, else video.
static char *stdout_name(const struct reel_settings *s)
{
    const char *format = s->output_format;
    if (!format[0] || !strcmp(format, "auto")) {
        const enum reel_task task = reel_settings_task(s);
        const bool results = task > REEL_TASK_IMAGE && task != REEL_TASK_COLORIZE && task != REEL_TASK_FLOW;
        format = results ? "jsonl" : "mkv";
        if (s->progress != SET_PROGRESS_OFF)
            fprintf(stderr, "note: standard output is written as .%s; --output_format says otherwise\n", format);
    }
    char *out = NULL;
    return asprintf(&out, "-%s%s", *format == '.' ? "" : ".", format) < 0 ? NULL : out;
}

static enum reel_err make_job(const struct reel_settings *s, const struct found *f, bool many, const char *run_dir,
                              struct reel_job *job, char **out_done_path)
{
    char *name = many ? mapped_name(s, f->name) : NULL, *joined = NULL, *done = NULL;
    const char *slash = many && s->output[strlen(s->output) - 1] == '/' ? "" : "/";
    if (many && asprintf(&joined, "%s%s%s", s->output, slash, name) < 0) joined = NULL;
    if (many && asprintf(&done, "%s%s.reelmill/%s.done", s->output, slash, name) < 0) done = NULL;
    if (done) *out_done_path = paths_absolute(done);
    const char *output = many ? joined : s->output;
    job->output = is_null(s->output)              ? strdup("null:")
                  : !strcmp(s->output, "-")       ? stdout_name(s)
                  : output && reel_is_url(output) ? strdup(output)
                  : output                        ? paths_absolute(output)
                                                  : NULL;
    if (job->output && job->output[0] == '/') job->output = paths_behind_link((char *)job->output);
    job->input = strdup(f->path);
    job->parts_dir = job->output ? paths_parts_dir(job->output, run_dir, job->id) : NULL;
    free(name);
    free(joined);
    free(done);
    if (!job->output || !job->input || !job->parts_dir || (many && !*out_done_path))
        return reel_fail(REEL_ERR_NOMEM, "could not list inputs: out of memory");
    if (strlen(job->parts_dir) > PATH_MAX - 64)
        return reel_fail(REEL_ERR_CONFIG, "could not use output \"%s\": the path is too long", job->output);
    return check_output(s, job, *out_done_path, many);
}

enum reel_err inputs_given(const struct reel_settings *s, int n_words)
{
    if (!n_words)
        return reel_fail(REEL_ERR_CONFIG,
                         "no input was given\nusage: ./run.sh [options] INPUT... -o OUTPUT (--help lists the options)");
    if (!s->output[0]) return reel_fail(REEL_ERR_CONFIG, "no output was given\nsay where the result goes: -o OUTPUT");
    return REEL_OK;
}

// Adds the input of a live run: exactly one, no folder, list or image sequence; it need not be a file.
static enum reel_err add_live(const struct reel_settings *s, struct list *list, const char *const *words, int n_words)
{
    const char *word = words[0], *why;
    enum reel_input_kind kind;
    struct stat st;
    if (n_words > 1)
        return reel_fail(REEL_ERR_CONFIG, "could not read %d inputs live: --live takes one\nrun one command for each",
                         n_words);
    if (s->split == SET_SPLIT_SPATIAL)
        return reel_fail(REEL_ERR_CONFIG,
                         "could not use --split spatial with --live: frames of a live input are not split");
    if (!reel_input_kind_of(word, &kind, &why))
        return reel_fail(REEL_ERR_CONFIG, "could not open input \"%s\": its protocol is not supported\n%s", word, why);
    if (!strcmp(word, "-") && isatty(STDIN_FILENO))
        return reel_fail(REEL_ERR_CONFIG, "could not read standard input: it is a terminal\npipe a video to it");
    bool by_name =
        kind == REEL_INPUT_FILE || kind == REEL_INPUT_DEVICE || (kind == REEL_INPUT_PIPE && strcmp(word, "-"));
    if (by_name && stat(word, &st))
        return reel_fail(REEL_ERR_CONFIG, "could not open input \"%s\": %s", word, strerror(errno));
    if (kind == REEL_INPUT_FILE && (!S_ISREG(st.st_mode) || *word == '@'))
        return reel_fail(REEL_ERR_CONFIG,
                         "could not read input \"%s\" live: it is no video file\n--live takes an address, a camera "
                         "(/dev/videoN), a pipe, - or a file",
                         word);
    size_t n = strlen(s->output);
    if (n && !is_null(s->output) && !reel_is_url(s->output) && (s->output[n - 1] == '/' || is_folder(s->output)))
        return reel_fail(REEL_ERR_CONFIG, "could not use output \"%s\": live video goes to one file or address",
                         s->output);
    return add(list, word, "live");
}

enum reel_err inputs_collect(const struct reel_settings *s, const char *const *words, int n_words, const char *run_dir,
                             struct inputs *out)
{
    *out = (struct inputs){0};
    struct list list = {0};
    enum reel_err err = REEL_OK;
    if (s->live) err = add_live(s, &list, words, n_words);
    for (int i = 0; !err && !s->live && i < n_words; i++) err = add_word(&list, words[i]);
    if (!err && !list.n) err = reel_fail(REEL_ERR_CONFIG, "could not find an input: the list is empty");
    if (!err) {
        out->many = output_is_folder(s, &list);
        struct stat st;
        if (out->many && !stat(s->output, &st) && !S_ISDIR(st.st_mode))
            err = reel_fail(REEL_ERR_CONFIG,
                            "could not use output \"%s\": several inputs need a folder, this is a file", s->output);
        out->jobs = calloc(list.n, sizeof *out->jobs);
        out->done_paths = calloc(list.n, sizeof *out->done_paths);
        if (!out->jobs || !out->done_paths) err = reel_fail(REEL_ERR_NOMEM, "could not list inputs: out of memory");
    }
    if (!err && !strcmp(s->output, "-") && (list.folder || list.n > 1))
        err = reel_fail(REEL_ERR_CONFIG,
                        "could not write %u inputs to standard output: it takes one\nstart a command for each", list.n);
    for (uint32_t i = 0; !err && i < list.n; i++) {
        out->jobs[i].id = i;
        out->n = i + 1;
        err = make_job(s, &list.item[i], out->many, run_dir, &out->jobs[i], &out->done_paths[i]);
    }
    if (!err) err = check_collisions(out);
    for (uint32_t i = 0; i < list.n; i++) {
        free(list.item[i].path);
        free(list.item[i].name);
    }
    free(list.item);
    if (err) inputs_fini(out);
    return err;
}

void inputs_fini(struct inputs *in)
{
    for (uint32_t i = 0; i < in->n; i++) {
        free((char *)in->jobs[i].input);
        free((char *)in->jobs[i].output);
        free((char *)in->jobs[i].parts_dir);
        free(in->done_paths[i]);
    }
    free(in->jobs);
    free(in->done_paths);
    *in = (struct inputs){0};
}

static enum reel_err make_folder(const char *path, mode_t mode)
{
    char buf[PATH_MAX];
    snprintf(buf, sizeof buf, "%s", path);
    for (char *p = buf + 1; *p; p++) {
        if (*p != '/') continue;
        *p = 0;
        if (mkdir(buf, 0777) && errno != EEXIST)
            return reel_fail(errno == ENOSPC ? REEL_ERR_IO : REEL_ERR_CONFIG, "could not make folder \"%s\": %s", buf,
                             strerror(errno));
        *p = '/';
    }
    if (mkdir(buf, mode) && errno != EEXIST)
        return reel_fail(errno == ENOSPC ? REEL_ERR_IO : REEL_ERR_CONFIG, "could not make folder \"%s\": %s", buf,
                         strerror(errno));
    return REEL_OK;
}

enum reel_err inputs_make_folders(const struct reel_job *job)
{
    // The parts folder lies in the output's folder, which is made too if it is missing.
    return make_folder(job->parts_dir, 0777);
}

enum reel_err inputs_make_done_folder(const char *done_path)
{
    char folder[PATH_MAX];
    snprintf(folder, sizeof folder, "%s", done_path);
    *strrchr(folder, '/') = 0;
    return make_folder(folder, 0777);
}

void inputs_drop_done(const char *done_path)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s", done_path);
    if (unlink(path)) return;
    for (char *slash; (slash = strrchr(path, '/'));) {
        *slash = 0;
        bool root = !strcmp(paths_base_name(path), ".reelmill");
        if (rmdir(path) || root) return;
    }
}

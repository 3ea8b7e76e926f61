// SPDX-License-Identifier: MIT
//
// See pins.h. A line of a file:
//
//   sm_90 steps 2 engine 41 knobs 2=4,4=0 for conv 1x64x0x0 k64 3x3 ...
//
// with 0x0 for any large size; "#" begins a remark.
#include "worker/backend/cudnn/plan/pins.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/hash.h"

struct entry {
    int sm;
    struct gpu_pin pin;
    char *pattern; // text of the class of patterns
};

struct gpu_pins {
    struct entry *entry;
    int n, room;
};

// The text that choices have in common if they are equal.
static const char *class_text(const struct gpu_pattern *pattern, char buf[GPU_PATTERN_TEXT_MAX])
{
    struct gpu_pattern p = *pattern;
    int rows, columns;
    gpu_pattern_output(&p, &rows, &columns);
    p.n = 1;
    if ((int64_t)rows * columns >= PINS_LARGE) p.h = p.w = 0;
    return gpu_pattern_text(&p, buf, GPU_PATTERN_TEXT_MAX);
}

// ---- text -------------------------------------------------------------------

const char *gpu_pin_text(const struct gpu_pin *pin, char *buf, size_t buf_bytes)
{
    int at = snprintf(buf, buf_bytes, "steps %d engine %d knobs ", pin->steps, pin->engine);
    for (int i = 0; i < pin->n_knobs && at > 0 && (size_t)at < buf_bytes; i++)
        at += snprintf(buf + at, buf_bytes - (size_t)at, "%s%d=%lld", i ? "," : "", pin->knob[i].type,
                       (long long)pin->knob[i].value);
    if (!pin->n_knobs && at > 0 && (size_t)at < buf_bytes) snprintf(buf + at, buf_bytes - (size_t)at, "-");
    return buf;
}

static bool read_knobs(char *text, struct gpu_pin *pin)
{
    if (!strcmp(text, "-")) return true;
    char *rest = NULL;
    for (char *word = strtok_r(text, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
        int type, used = 0;
        long long value;
        if (pin->n_knobs == PIN_MAX_KNOBS || sscanf(word, "%d=%lld%n", &type, &value, &used) != 2 || word[used])
            return false;
        pin->knob[pin->n_knobs].type = type;
        pin->knob[pin->n_knobs++].value = value;
    }
    return true;
}

static enum reel_err add(struct gpu_pins *pins, int sm, const struct gpu_pin *pin, const char *pattern)
{
    for (int i = 0; i < pins->n; i++) {
        if (pins->entry[i].sm != sm || strcmp(pins->entry[i].pattern, pattern)) continue;
        pins->entry[i].pin = *pin;
        return REEL_OK;
    }
    if (pins->n == pins->room) {
        int room = pins->room ? 2 * pins->room : 64;
        struct entry *grown = realloc(pins->entry, (size_t)room * sizeof *grown);
        if (!grown) return reel_fail(REEL_ERR_NOMEM, "could not keep a plan: out of memory");
        pins->entry = grown, pins->room = room;
    }
    char *text = strdup(pattern);
    if (!text) return reel_fail(REEL_ERR_NOMEM, "could not keep a plan: out of memory");
    pins->entry[pins->n++] = (struct entry){sm, *pin, text};
    return REEL_OK;
}

// REEL_ERR_CONFIG: this is not a line of such a file.
static enum reel_err add_line(struct gpu_pins *pins, const char *line)
{
    char knobs[GPU_PIN_TEXT_MAX];
    struct gpu_pin pin = {0};
    int sm, at = 0;
    if (sscanf(line, "sm_%d steps %d engine %d knobs %639s for %n", &sm, &pin.steps, &pin.engine, knobs, &at) != 4 ||
        !at || !line[at] || pin.steps < 0 || pin.steps > GPU_MAX_STEPS || !read_knobs(knobs, &pin))
        return REEL_ERR_CONFIG;
    return add(pins, sm, &pin, line + at);
}

// ---- tables ------------------------------------------------------------------

enum reel_err gpu_pins_create(struct gpu_pins **out_pins)
{
    *out_pins = calloc(1, sizeof **out_pins);
    return *out_pins ? REEL_OK : reel_fail(REEL_ERR_NOMEM, "could not keep plans: out of memory");
}

void gpu_pins_destroy(struct gpu_pins **pins)
{
    struct gpu_pins *p = *pins;
    *pins = NULL;
    if (!p) return;
    for (int i = 0; i < p->n; i++) free(p->entry[i].pattern);
    free(p->entry);
    free(p);
}

static enum reel_err read_lines(FILE *f, const char *path, struct gpu_pins *pins)
{
    char *line = NULL;
    size_t room = 0;
    enum reel_err err = REEL_OK;
    for (int n = 1; !err && getline(&line, &room, f) > 0; n++) {
        line[strcspn(line, "\r\n")] = 0;
        if (!*line || *line == '#') continue;
        err = add_line(pins, line);
        if (err == REEL_ERR_CONFIG)
            reel_fail(
                err,
                "could not read plans \"%s\": line %d does not belong in a plan file\n--autotune writes such files",
                path, n);
    }
    free(line);
    return err;
}

enum reel_err gpu_pins_read(const char *path, struct gpu_pins **out_pins)
{
    *out_pins = NULL;
    FILE *f = fopen(path, "re");
    if (!f) return reel_fail(REEL_ERR_IO, "could not read plans \"%s\": %s", path, strerror(errno));
    enum reel_err err = gpu_pins_create(out_pins);
    if (!err) err = read_lines(f, path, *out_pins);
    fclose(f);
    if (err) gpu_pins_destroy(out_pins);
    return err;
}

enum reel_err gpu_pins_set(struct gpu_pins *pins, int sm, const struct gpu_pattern *pattern, const struct gpu_pin *pin)
{
    char text[GPU_PATTERN_TEXT_MAX];
    return add(pins, sm, pin, class_text(pattern, text));
}

bool gpu_pins_find(const struct gpu_pins *pins, int sm, const struct gpu_pattern *pattern, struct gpu_pin *out_pin)
{
    char text[GPU_PATTERN_TEXT_MAX];
    if (!pins || !pins->n) return false;
    class_text(pattern, text);
    for (int i = 0; i < pins->n; i++) {
        if (pins->entry[i].sm != sm || strcmp(pins->entry[i].pattern, text)) continue;
        *out_pin = pins->entry[i].pin;
        return true;
    }
    return false;
}

static int line_of(const struct entry *e, char *buf, size_t bytes)
{
    char pin[GPU_PIN_TEXT_MAX];
    return snprintf(buf, bytes, "sm_%d %s for %s\n", e->sm, gpu_pin_text(&e->pin, pin, sizeof pin), e->pattern);
}

enum reel_err gpu_pins_write(const struct gpu_pins *pins, const char *path)
{
    char line[GPU_PIN_TEXT_MAX + GPU_PATTERN_TEXT_MAX + 32];
    FILE *f = fopen(path, "we");
    if (!f) return reel_fail(REEL_ERR_IO, "could not write plans \"%s\": %s", path, strerror(errno));
    fprintf(f, "# Engines measured with --autotune, for --plans.\n");
    for (int i = 0; i < pins->n; i++)
        if (line_of(&pins->entry[i], line, sizeof line) > 0) fputs(line, f);
    bool bad = ferror(f) != 0;
    if (fclose(f) || bad) return reel_fail(REEL_ERR_IO, "could not write plans \"%s\": %s", path, strerror(errno));
    return REEL_OK;
}

void gpu_pins_hash(const struct gpu_pins *pins, uint8_t out_hash[32])
{
    char line[GPU_PIN_TEXT_MAX + GPU_PATTERN_TEXT_MAX + 32];
    struct reel_sha256 s;
    reel_sha256_init(&s);
    for (int i = 0; i < pins->n; i++)
        if (line_of(&pins->entry[i], line, sizeof line) > 0) reel_sha256_update(&s, line, strlen(line));
    reel_sha256_final(&s, out_hash);
}

// ---- the built-in table --------------------------------------------------------

static const char *const builtin_lines[] = {
#include "worker/backend/cudnn/plan/pins_builtin.inc"
    NULL,
};

static struct gpu_pins builtin;
static pthread_once_t once = PTHREAD_ONCE_INIT;

// The unit test of this table finds lines that cannot be read.
static void read_builtin(void)
{
    for (const char *const *line = builtin_lines; *line; line++)
        if (add_line(&builtin, *line)) return;
}

// Made when it is first used, and kept: planners of several threads read it.
const struct gpu_pins *gpu_pins_builtin(void)
{
    pthread_once(&once, read_builtin);
    return &builtin;
}

int gpu_pins_count(const struct gpu_pins *pins)
{
    return pins->n;
}

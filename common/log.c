// SPDX-License-Identifier: MIT
#include "common/log.h"

#include "common/secret.h"

#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *const level_names[] = {"off", "error", "warn", "info", "debug", "trace"};

static struct {
    char stage[32];
    int index;
    int fd;
    _Atomic int level;
} state = {.stage = "reelmill", .index = -1, .fd = STDERR_FILENO, .level = REEL_LOG_WARN};

void reel_log_init(const char *stage, int index, enum reel_log_level level, const char *dir)
{
    snprintf(state.stage, sizeof state.stage, "%s", stage);
    state.index = index;
    atomic_store(&state.level, (int)level);
    if (!dir || !*dir) return;
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s%d.log", dir, stage, index < 0 ? 0 : index);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd >= 0)
        state.fd = fd;
    else
        reel_warn("log", "could not open log file \"%s\": %m; writing to stderr", path);
}

int reel_log_level_parse(const char *name)
{
    for (int i = 0; i < (int)(sizeof level_names / sizeof level_names[0]); i++)
        if (!strcmp(name, level_names[i])) return i;
    return -1;
}

enum reel_log_level reel_log_level_get(void)
{
    return (enum reel_log_level)atomic_load_explicit(&state.level, memory_order_relaxed);
}

void reel_log(enum reel_log_level level, const char *subsystem, const char *fmt, ...)
{
    if (level > reel_log_level_get() || level == REEL_LOG_OFF) return;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    struct tm tm;
    localtime_r(&now.tv_sec, &tm);
    char line[4096];
    int n =
        snprintf(line, sizeof line, "%02d:%02d:%02d.%03ld ", tm.tm_hour, tm.tm_min, tm.tm_sec, now.tv_nsec / 1000000);
    if (state.index >= 0)
        n += snprintf(line + n, sizeof line - n, "%s[%d] ", state.stage, state.index);
    else
        n += snprintf(line + n, sizeof line - n, "%s ", state.stage);
    n += snprintf(line + n, sizeof line - n, "%d %s %s: ", (int)getpid(), level_names[level], subsystem);
    va_list args;
    va_start(args, fmt);
    int m = vsnprintf(line + n, sizeof line - n - 1, fmt, args);
    va_end(args);
    n += m < 0 ? 0 : m;
    if (n > (int)sizeof line - 2) n = (int)sizeof line - 2;
    line[n] = 0;
    reel_hide_secrets(line);
    n = (int)strlen(line);
    line[n++] = '\n';
    // If the log cannot be written, there is no other place to report that.
    ssize_t written = write(state.fd, line, (size_t)n);
    (void)written;
}

// SPDX-License-Identifier: MIT
//
// Log lines: time, stage[index], pid, level, subsystem, text. One line a call,
// written by one write(2), so that lines of several processes do not mix.
#ifndef REEL_COMMON_LOG_H
#define REEL_COMMON_LOG_H

// Levels are defined here once. Nothing that happens per frame is above TRACE.
enum reel_log_level {
    REEL_LOG_OFF,
    REEL_LOG_ERROR, // the job or the process failed
    REEL_LOG_WARN,  // goes on, but the user should know
    REEL_LOG_INFO,  // what is being done, a few lines a run
    REEL_LOG_DEBUG, // decisions, once per segment or rarer
    REEL_LOG_TRACE, // every message and frame
};

// Names this process in its lines ("worker", 3) and sets the level. dir: a
// folder for one file per process ("worker3.log"), or NULL for stderr.
void reel_log_init(const char *stage, int index, enum reel_log_level level, const char *dir);
// "error", "warn", ... -> level; -1 when unknown.
int reel_log_level_parse(const char *name);
enum reel_log_level reel_log_level_get(void);

// subsystem is the file's noun: "ring", "dispatch". Thread-safe.
void reel_log(enum reel_log_level level, const char *subsystem, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#define reel_error(sub, ...) reel_log(REEL_LOG_ERROR, sub, __VA_ARGS__)
#define reel_warn(sub, ...) reel_log(REEL_LOG_WARN, sub, __VA_ARGS__)
#define reel_info(sub, ...) reel_log(REEL_LOG_INFO, sub, __VA_ARGS__)
#define reel_debug(sub, ...) reel_log(REEL_LOG_DEBUG, sub, __VA_ARGS__)
#define reel_trace(sub, ...)                                                                    \
    do {                                                                                        \
        if (reel_log_level_get() >= REEL_LOG_TRACE) reel_log(REEL_LOG_TRACE, sub, __VA_ARGS__); \
    } while (0)

#endif

// SPDX-License-Identifier: MIT
//
// Result codes, and the text of the last failure.
//
// Every fallible function of the project returns an enum reel_err. Where the
// reason of a fault is known, the function calls reel_fail() once; it stores
// the text for the process's main thread, which reports it (to the coordinator,
// or to stderr in a one-process command). Callers on the way up only return
// the code. Flow results (AGAIN, EOF, GONE) carry no text.
#ifndef REEL_COMMON_ERR_H
#define REEL_COMMON_ERR_H

enum reel_err {
    REEL_OK = 0,

    // Flow results: no fault, nothing to report.
    REEL_AGAIN, // nothing there yet; ask again after the next event
    REEL_EOF,   // the sequence has ended
    REEL_GONE,  // the peer is dead or has left

    // Faults.
    REEL_ERR_NOMEM,       // memory (host, shared or device) could not be had
    REEL_ERR_IO,          // the operating system refused: the text has errno
    REEL_ERR_INPUT,       // a file of the user's (video, model, list) is bad
    REEL_ERR_CONFIG,      // wrong usage or configuration (exit code 2)
    REEL_ERR_UNSUPPORTED, // well-formed, but not supported by this build
    REEL_ERR_PROTO,       // a peer broke the protocol
    REEL_ERR_LIMIT,       // a declared limit was passed
    REEL_ERR_FAULT,       // a library or device failed
};

#define REEL_ERROR_TEXT_MAX 1024

// Stores the reason of a failure and returns code, so that a function can end
// with `return reel_fail(REEL_ERR_IO, "could not open video \"%s\": %s", ...)`.
// Form of the text: could not <do> <kind> "<name>": <reason>; a hint for the
// user goes behind a '\n'. Secrets of addresses are hidden (secret.h). Thread-safe:
// the text is kept per thread.
enum reel_err reel_fail(enum reel_err code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

// Puts context before the stored text ("job 3: " + text). Returns code.
enum reel_err reel_fail_prefix(enum reel_err code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

// The text of this thread's last failure, "" when there was none. Holds until
// the next reel_fail() of this thread.
const char *reel_fail_text(void);

// A name for logs: "again", "input", ...
const char *reel_err_name(enum reel_err code);

#endif

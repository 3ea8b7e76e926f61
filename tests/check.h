// SPDX-License-Identifier: MIT
//
// The unit tests' harness: a table of cases, checks that print both values, and
// lines that tests/run counts ("ok - name", "not ok - name", "ok - name # SKIP
// why"). A failing check ends its case (return), the program goes on and exits
// with 1 at the end.
#ifndef REEL_TESTS_CHECK_H
#define REEL_TESTS_CHECK_H

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// A new folder in $TMPDIR, which its caller removes.
#define CHECK_FOLDER_BYTES 128
static inline void check_folder(char out[static CHECK_FOLDER_BYTES])
{
    const char *base = getenv("TMPDIR");
    snprintf(out, CHECK_FOLDER_BYTES, "%s/reelmill-test.XXXXXX", base && *base ? base : "/tmp");
    if (mkdtemp(out)) return;
    perror(out);
    exit(1);
}

struct check_state {
    bool failed;
    const char *skip_why;
};
static struct check_state check_now;

#define CHECK_FAIL_(...)                                \
    do {                                                \
        fprintf(stderr, "%s:%d: ", __FILE__, __LINE__); \
        fprintf(stderr, __VA_ARGS__);                   \
        fputc('\n', stderr);                            \
        check_now.failed = true;                        \
        return;                                         \
    } while (0)

#define CHECK(cond)                                          \
    do {                                                     \
        if (!(cond)) CHECK_FAIL_("check failed: %s", #cond); \
    } while (0)
#define CHECK_INT(a, b)                                                                          \
    do {                                                                                         \
        long long check_a = (long long)(a), check_b = (long long)(b);                            \
        if (check_a != check_b) CHECK_FAIL_("%s is %lld, %s is %lld", #a, check_a, #b, check_b); \
    } while (0)
#define CHECK_STR(a, b)                                                                     \
    do {                                                                                    \
        const char *check_a = (a), *check_b = (b);                                          \
        if (!check_a || !check_b || strcmp(check_a, check_b))                               \
            CHECK_FAIL_("%s is \"%s\", %s is \"%s\"", #a, check_a ? check_a : "(null)", #b, \
                        check_b ? check_b : "(null)");                                      \
    } while (0)
// text must contain part
#define CHECK_HAS(text, part)                                                                     \
    do {                                                                                          \
        const char *check_a = (text), *check_b = (part);                                          \
        if (!check_a || !strstr(check_a, check_b))                                                \
            CHECK_FAIL_("\"%s\" does not contain \"%s\"", check_a ? check_a : "(null)", check_b); \
    } while (0)
#define CHECK_NEAR(a, b, tolerance)                                                                          \
    do {                                                                                                     \
        double check_a = (a), check_b = (b), check_t = (tolerance);                                          \
        if (!(fabs(check_a - check_b) <= check_t))                                                           \
            CHECK_FAIL_("%s is %.9g, %s is %.9g, apart by more than %g", #a, check_a, #b, check_b, check_t); \
    } while (0)
// Fails the case with a message of its own (give the parameters).
#define CHECK_MSG(cond, ...)                   \
    do {                                       \
        if (!(cond)) CHECK_FAIL_(__VA_ARGS__); \
    } while (0)
#define SKIP(why)                   \
    do {                            \
        check_now.skip_why = (why); \
        return;                     \
    } while (0)

struct check_case {
    const char *name;
    void (*run)(void);
};

// A small deterministic generator (xorshift64*), so that a schedule or tensor
// can be made again from its seed.
static inline uint64_t check_rand(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(2685821657736338717);
}

static inline int check_main(const struct check_case *cases, int count, int argc, char **argv)
{
    int failed = 0;
    for (int i = 0; i < count; i++) {
        if (argc > 1 && !strstr(cases[i].name, argv[1])) continue;
        check_now = (struct check_state){0};
        cases[i].run();
        if (check_now.failed)
            printf("not ok - %s\n", cases[i].name), failed++;
        else if (check_now.skip_why)
            printf("ok - %s # SKIP %s\n", cases[i].name, check_now.skip_why);
        else
            printf("ok - %s\n", cases[i].name);
        fflush(stdout);
    }
    return failed ? 1 : 0;
}

#define CHECK_MAIN(...)                                                              \
    int main(int argc, char **argv)                                                  \
    {                                                                                \
        static const struct check_case cases[] = {__VA_ARGS__};                      \
        return check_main(cases, (int)(sizeof cases / sizeof cases[0]), argc, argv); \
    }

#endif

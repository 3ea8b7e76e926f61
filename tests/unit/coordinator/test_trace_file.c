// SPDX-License-Identifier: MIT
//
// A trace's file: always whole events, closed at the end, and what goes on after
// a process that died anywhere in it.
#include "tests/check.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "coordinator/trace/file.h"

static char folder[CHECK_FOLDER_BYTES], path[CHECK_FOLDER_BYTES + 16];

static const char *content(void)
{
    static char text[1 << 20];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0) close(fd);
    text[n > 0 ? n : 0] = 0;
    return text;
}

static void put(const char *text)
{
    FILE *f = fopen(path, "we");
    if (!f) abort();
    fputs(text, f);
    fclose(f);
}

static void closes_the_array(void)
{
    struct trace_file *f;
    put("of another run, and longer than what comes now");
    CHECK_INT(trace_file_create(path, false, &f), REEL_OK);
    trace_file_event(f, "\"a\":%d", 1);
    trace_file_flush(f);
    CHECK_STR(content(), "[\n{\"a\":1},\n"); // as a killed process leaves it
    trace_file_event(f, "\"a\":%d", 2);
    trace_file_destroy(&f);
    CHECK_STR(content(), "[\n{\"a\":1},\n{\"a\":2}\n]\n");
    CHECK(!f);
    trace_file_destroy(&f);
}

static void closes_after_a_flush(void)
{
    struct trace_file *f;
    CHECK_INT(trace_file_create(path, false, &f), REEL_OK);
    trace_file_event(f, "\"a\":1");
    trace_file_flush(f);
    trace_file_destroy(&f);
    const char *end = strstr(content(), "}\n]\n");
    CHECK(end && !end[4] && !strstr(content(), "},\n]"));
}

// What stands before the new event, for what a process before has left.
static void goes_on(void)
{
    static const struct {
        const char *left, *then;
    } rows[] = {
        {"[\n{\"a\":1},\n", "[\n{\"a\":1},\n{\"b\":2}\n]\n"},
        {"[\n{\"a\":1},\n{\"torn\":", "[\n{\"a\":1},\n{\"b\":2}\n]\n"},
        {"[\n{\"a\":1}\n]\n", "[\n{\"a\":1},\n{\"b\":2}\n]\n"},
        {"[\n", "[\n{\"b\":2}\n]\n"},
        {"", "[\n{\"b\":2}\n]\n"},
        {"[", "[\n{\"b\":2}\n]\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct trace_file *f;
        put(rows[i].left);
        CHECK_INT(trace_file_create(path, true, &f), REEL_OK);
        trace_file_event(f, "\"b\":2");
        trace_file_destroy(&f);
        CHECK_STR(content(), rows[i].then);
    }
    unlink(path);
    struct trace_file *f;
    CHECK_INT(trace_file_create(path, true, &f), REEL_OK);
    trace_file_event(f, "\"b\":2");
    trace_file_destroy(&f);
    CHECK_STR(content(), "[\n{\"b\":2}\n]\n");
}

static void many_events_are_whole(void)
{
    struct trace_file *f;
    CHECK_INT(trace_file_create(path, false, &f), REEL_OK);
    for (int i = 0; i < 3000; i++) trace_file_event(f, "\"n\":%d,\"text\":\"%0*d\"", i, i % 200 + 1, 0);
    char big[TRACE_EVENT_BYTES + 1];
    memset(big, 'x', TRACE_EVENT_BYTES);
    big[TRACE_EVENT_BYTES] = 0;
    trace_file_event(f, "\"%s\":0", big); // too long: not written in half
    trace_file_destroy(&f);
    const char *p = content();
    CHECK(!strncmp(p, "[\n", 2));
    p += 2;
    for (int i = 0; i < 3000; i++) {
        int n = -1, used = 0;
        CHECK_MSG(sscanf(p, "{\"n\":%d,\"text\":\"%*[0]\"}%n", &n, &used) == 1 && n == i && used, "event %d: %.40s", i,
                  p);
        p += used;
        CHECK(*p == (i < 2999 ? ',' : '\n'));
        p += i < 2999 ? 2 : 1;
    }
    CHECK_STR(p, "]\n");
}

static void refused(void)
{
    struct trace_file *f;
    char none[sizeof path + 8];
    snprintf(none, sizeof none, "%s/no/t", folder);
    CHECK_INT(trace_file_create(none, false, &f), REEL_ERR_CONFIG);
    CHECK_HAS(reel_fail_text(), "/no/t\": No such file");
    CHECK_INT(trace_file_create(folder, false, &f), REEL_ERR_CONFIG);
    CHECK_INT(trace_file_create(folder, true, &f), REEL_ERR_CONFIG);
}

static void full_disk(void)
{
    struct trace_file *f;
    CHECK_INT(trace_file_create("/dev/full", false, &f), REEL_OK);
    trace_file_event(f, "\"a\":1");
    CHECK(!trace_file_trouble(f));
    trace_file_flush(f);
    CHECK_STR(trace_file_trouble(f), "No space left on device");
    CHECK(!trace_file_trouble(f)); // once
    for (int i = 0; i < 100000; i++) trace_file_event(f, "\"a\":1");
    trace_file_destroy(&f);
}

// The disk is full in the middle of an event: what was whole before stays.
static void full_in_the_middle(void)
{
    struct trace_file *f;
    struct rlimit before, limit;
    CHECK(!getrlimit(RLIMIT_FSIZE, &before));
    signal(SIGXFSZ, SIG_IGN);
    CHECK_INT(trace_file_create(path, false, &f), REEL_OK);
    trace_file_event(f, "\"a\":1");
    trace_file_flush(f);
    limit = before;
    limit.rlim_cur = 20;
    CHECK(!setrlimit(RLIMIT_FSIZE, &limit));
    trace_file_event(f, "\"much longer than the room that is left\":1");
    trace_file_flush(f);
    CHECK(!setrlimit(RLIMIT_FSIZE, &before));
    CHECK(trace_file_trouble(f));
    trace_file_destroy(&f);
    CHECK_STR(content(), "[\n{\"a\":1},\n");
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"trace_file: closes the array", closes_the_array},
        {"trace_file: closes after a flush", closes_after_a_flush},
        {"trace_file: goes on after a killed process", goes_on},
        {"trace_file: many events are whole", many_events_are_whole},
        {"trace_file: refused paths", refused},
        {"trace_file: full disk", full_disk},
        {"trace_file: full disk in an event", full_in_the_middle},
    };
    check_folder(folder);
    snprintf(path, sizeof path, "%s/t.json", folder);
    int code = check_main(cases, (int)(sizeof cases / sizeof cases[0]), argc, argv);
    unlink(path);
    rmdir(folder);
    return code;
}

// SPDX-License-Identifier: MIT
//
// limits: how many open files a run needs, how far their limit is raised, and rings that do not fit
// the addresses of a process. Limits are lowered in a child process, since not everyone may raise them.
#include "coordinator/limits.h"

#include <sys/resource.h>
#include <sys/wait.h>

#include "tests/check.h"

struct shell {
    int resource;
    rlim_t soft, hard;
};

struct answer {
    enum reel_err err;
    struct rlimit after;
    char text[512];
};

// What check() returns in a process with the shell's limits, and the limit afterwards.
static bool ask(const struct shell *shell, enum reel_err (*check)(const struct run *run), const struct run *run,
                struct answer *out)
{
    int fds[2], status = -1;
    if (pipe(fds)) return false;
    const pid_t child = fork();
    if (!child) {
        struct rlimit limit = {shell->soft, shell->hard};
        if (setrlimit(shell->resource, &limit)) _exit(1);
        out->err = check(run);
        snprintf(out->text, sizeof out->text, "%s", out->err ? reel_fail_text() : "");
        if (getrlimit(shell->resource, &out->after)) _exit(1);
        _exit(write(fds[1], out, sizeof *out) != sizeof *out);
    }
    close(fds[1]);
    const bool told = read(fds[0], out, sizeof *out) == sizeof *out;
    close(fds[0]);
    return child > 0 && waitpid(child, &status, 0) == child && !status && told;
}

static struct run *new_run(void)
{
    static struct run run;
    memset(&run, 0, sizeof run);
    return &run;
}

static void open_files_of_a_run(void)
{
    static const struct {
        uint32_t decoders, workers, aggregators, lanes, inputs, pictures;
        rlim_t need; // 28, 4 a process, 2 a lane, 2 a job in progress, 1 a picture
    } rows[] = {{1, 1, 1, 1, 1, 0, 28 + 12 + 2 + 2},
                {2, 3, 1, 5, 3, 0, 28 + 24 + 10 + 6},
                {2, 3, 1, 5, 7, 0, 28 + 24 + 10 + 14},
                {2, 3, 1, 5, 100, 0, 28 + 24 + 10 + 16}, // one is begun while the others are read
                {2, 3, 1, 5, 100, 7, 28 + 24 + 10 + 16 + 7},
                {4, 16, 4, 32, 9, 0, 28 + 96 + 64 + 18}};
    struct run *run = new_run();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        run->decoders = rows[i].decoders, run->workers = rows[i].workers, run->aggregators = rows[i].aggregators;
        run->n_lanes = rows[i].lanes, run->inputs.n = rows[i].inputs, run->pictures.n = rows[i].pictures;
        struct answer enough, few;
        CHECK(ask(&(struct shell){RLIMIT_NOFILE, rows[i].need, rows[i].need}, limits_raise_files, run, &enough));
        CHECK(ask(&(struct shell){RLIMIT_NOFILE, rows[i].need - 1, rows[i].need - 1}, limits_raise_files, run, &few));
        CHECK_MSG(!enough.err, "row %zu: %s", i, enough.text);
        CHECK_INT(few.err, REEL_ERR_LIMIT);
        char want[128];
        snprintf(want, sizeof want,
                 "could not start %u processes: %llu open files are needed, and this shell allows %llu",
                 rows[i].decoders + rows[i].workers + rows[i].aggregators, (unsigned long long)rows[i].need,
                 (unsigned long long)rows[i].need - 1);
        CHECK_HAS(few.text, want);
        CHECK_HAS(few.text, "ulimit -n 8192");
    }
}

static void limit_is_raised(void)
{
    struct rlimit now;
    struct answer a;
    struct run *run = new_run();
    CHECK(!getrlimit(RLIMIT_NOFILE, &now));
    if (now.rlim_max < 128) SKIP("fewer than 128 open files are allowed here");
    CHECK(ask(&(struct shell){RLIMIT_NOFILE, 64, 128}, limits_raise_files, run, &a));
    CHECK_INT(a.err, REEL_OK);
    CHECK_INT(a.after.rlim_cur, 128); // as far as the shell's own limit
    if (now.rlim_max < 10000) SKIP("fewer than 10000 open files are allowed here");
    CHECK(ask(&(struct shell){RLIMIT_NOFILE, 64, 10000}, limits_raise_files, run, &a));
    CHECK_INT(a.after.rlim_cur, 8192);
    CHECK_INT(a.after.rlim_max, 10000);
    CHECK(ask(&(struct shell){RLIMIT_NOFILE, 9000, 10000}, limits_raise_files, run, &a));
    CHECK_INT(a.after.rlim_cur, 9000); // never lowered
}

static void addresses_of_all_rings(void)
{
    struct run *run = new_run();
    struct answer a;
    run->n_lanes = 3, run->ring_bytes = UINT64_C(3) << 30; // an input and an output ring each: 18 GB
    const rlim_t need = (rlim_t)18 << 30;
    struct rlimit now;
    CHECK(!getrlimit(RLIMIT_AS, &now));
    if (now.rlim_max != RLIM_INFINITY) SKIP("addresses are limited here");
    CHECK_INT(limits_check_addresses(run), REEL_OK);
    CHECK(ask(&(struct shell){RLIMIT_AS, need + 1, need + 1}, limits_check_addresses, run, &a));
    CHECK_INT(a.err, REEL_OK);
    CHECK(ask(&(struct shell){RLIMIT_AS, need, need}, limits_check_addresses, run, &a));
    CHECK_INT(a.err, REEL_ERR_NOMEM);
    CHECK_HAS(a.text, "could not map rings of 18432 MB: this shell limits the addresses of a process to 18432 MB");
}

CHECK_MAIN({"limits: open files of a run", open_files_of_a_run}, {"limits: the limit is raised", limit_is_raised},
           {"limits: addresses of all rings", addresses_of_all_rings})

// SPDX-License-Identifier: MIT
//
// Rows from device to device, by the team's own calls and a library that stands for
// NCCL (tests/process/fake_nccl.c), between processes: rounds, what is waited for
// when a member dies or ends a round, and the way back to host memory.
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/life.h"
#include "common/proto.h"
#include "common/shm.h"
#include "tests/check.h"
#include "worker/team/team.h"

#define LIMIT_MS 5000
#define ROWS 70000 // more than a pipe holds

struct rank {
    struct collective *together;
    struct team *team;
    uint32_t number;
    int64_t begin_us;
};

static void no_step(void *user)
{
}

static bool yes(void *user)
{
    return true;
}

static bool never(void *user)
{
    return false;
}

// Rows of round `round` with the neighbours among three; by the device where direct.
static int rows_of(struct rank *r, uint64_t round, bool direct)
{
    static uint8_t send[2][ROWS], from[2][ROWS];
    const struct team_round begin = {.number = round,
                                     .part = r->number,
                                     .parts = 3,
                                     .up = (int)r->number - 1,
                                     .down = r->number < 2 ? (int)r->number + 1 : -1,
                                     .direct = direct};
    if (team_begin(r->team, &begin)) return 20;
    const struct backend_exchange *x = team_exchange(r->team);
    const struct backend_rows rows = {send[0], send[1], from[0], from[1], ROWS};
    for (int k = 0; k < 5; k++) {
        memset(send[0], (int)(round * 30 + (uint64_t)k * 4 + r->number), ROWS);
        memset(send[1], (int)(round * 30 + (uint64_t)k * 4 + r->number + 128), ROWS);
        enum reel_err err = x->device_rows(x->user, &rows, NULL);
        if ((err == REEL_AGAIN) == direct) return 21;
        if (err == REEL_AGAIN) err = x->rows(x->user, &rows);
        if (err) return err == REEL_GONE ? 1 : 22;
        if (r->number > 0 && from[0][ROWS - 1] != (uint8_t)(round * 30 + (uint64_t)k * 4 + r->number - 1 + 128))
            return 23;
        if (r->number < 2 && from[1][ROWS - 1] != (uint8_t)(round * 30 + (uint64_t)k * 4 + r->number + 1)) return 24;
    }
    return direct && team_settle(r->team, round, yes, NULL) ? 25 : 0;
}

static int goes_well(struct rank *r)
{
    if (team_join(r->team)) return 10;
    for (uint64_t round = 1; round <= 6; round++) {
        int code = rows_of(r, round, true);
        if (code) return code;
    }
    return 0;
}

// Rank 2 dies in round 2; who sees it (here rank 0, a moment later) ends the round.
static int one_dies(struct rank *r)
{
    if (team_join(r->team) || rows_of(r, 1, true)) return 10;
    if (r->number == 2) raise(SIGKILL);
    if (r->number == 0) {
        usleep(50000);
        team_end_round(r->team, 2);
        const struct team_round late = {.number = 2, .parts = 3, .down = 1, .up = -1, .direct = true};
        return team_begin(r->team, &late) == REEL_GONE ? 0 : 11;
    }
    r->begin_us = reel_now_us();
    if (rows_of(r, 2, true) != 1) return 12;
    return reel_now_us() - r->begin_us < LIMIT_MS * 500 ? 0 : 13;
}

// A device that is not through with its round: until somebody ends it, or too long.
static int device_waits(struct rank *r)
{
    if (team_join(r->team) || rows_of(r, 1, true)) return 10;
    if (r->number == 2) {
        usleep(50000);
        team_end_round(r->team, 1);
    }
    r->begin_us = reel_now_us();
    if (team_settle(r->team, 1, never, NULL) != REEL_GONE) return 11;
    if (reel_now_us() - r->begin_us > LIMIT_MS * 500) return 12;
    // They are parted: the next round goes by the host, for all.
    return rows_of(r, 2, false);
}

// The library's folder is missing for all: no joining, at once.
static int cannot_join(struct rank *r)
{
    unsetenv("FAKE_NCCL");
    if (team_join(r->team) != REEL_GONE) return 10;
    return rows_of(r, 1, false);
}

// The library lies beside the tests: build/VARIANT/tests/process.
static bool find_library(void)
{
    char real[PATH_MAX], path[PATH_MAX + 64];
    if (!realpath("/proc/self/exe", real)) return false;
    snprintf(path, sizeof path, "%s/../../process/libfake_nccl.so", dirname(real));
    return !access(path, R_OK) && !setenv("REELMILL_NCCL", path, 1);
}

static void with_ranks(int (*f)(struct rank *), int killed)
{
    char folder[CHECK_FOLDER_BYTES], path[PATH_MAX];
    int fd = -1;
    pid_t pid[3];
    CHECK(find_library());
    check_folder(folder);
    setenv("FAKE_NCCL", folder, 1);
    if (reel_shm_create(REEL_SHM_MEMFD, REEL_COLLECTIVE_BYTES, &fd)) abort();
    for (uint32_t i = 0; i < 3; i++) {
        if ((pid[i] = fork())) continue;
        struct rank r = {.number = i};
        if (collective_open_shared(fd, i, 3, LIMIT_MS, &r.together)) _exit(2);
        const struct team_params p = {.together = r.together, .limit_ms = LIMIT_MS, .on_step = no_step};
        if (team_create(&p, &r.team)) _exit(3);
        int code = f(&r);
        team_destroy(&r.team);
        collective_close(&r.together);
        _exit(code);
    }
    for (int i = 0; i < 3; i++) {
        int status = 0;
        waitpid(pid[i], &status, 0);
        if (i == killed)
            CHECK(WIFSIGNALED(status));
        else
            CHECK_MSG(!status, "rank %d ended with %d", i,
                      WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status));
    }
    close(fd);
    snprintf(path, sizeof path, "rm -rf '%s'", folder);
    CHECK_INT(system(path), 0);
}

static void rounds_from_device_to_device(void)
{
    with_ranks(goes_well, -1);
}

static void a_dead_one_holds_up_nobody(void)
{
    with_ranks(one_dies, 2);
}

static void a_device_is_not_waited_for_in_vain(void)
{
    with_ranks(device_waits, -1);
}

static void without_the_library_by_the_host(void)
{
    with_ranks(cannot_join, -1);
}

CHECK_MAIN({"rounds_from_device_to_device", rounds_from_device_to_device},
           {"a_dead_one_holds_up_nobody", a_dead_one_holds_up_nobody},
           {"a_device_is_not_waited_for_in_vain", a_device_is_not_waited_for_in_vain},
           {"without_the_library_by_the_host", without_the_library_by_the_host})

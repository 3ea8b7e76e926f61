// SPDX-License-Identifier: MIT
//
// Who is hung: a table of what is seen of a process. Deaths: the programs are
// shell scripts, and the test speaks for them on the bus.
#include "tests/check.h"

#include <poll.h>
#include <signal.h>
#include <sys/stat.h>

#include "common/files.h"
#include "common/life.h"
#include "coordinator/supervise.h"

static void hangs(void)
{
    enum { S = 1000000, TICK = 50000 };
    static const struct {
        const char *what;
        struct hang_look look;
        bool hung;
    } rows[] = {
        {"not yet at the limit", {60 * S, 59 * S, 59 * S, TICK, TICK, true}, false},
        {"sleeps", {60 * S, 60 * S, 0, TICK, 0, false}, true},
        {"sleeps after some work", {60 * S, 61 * S, 3 * S, TICK, 0, false}, true},
        {"had the CPU all the time", {60 * S, 60 * S, 59 * S, TICK, TICK, true}, true},
        {"starved, would run", {60 * S, 70 * S, 5 * S, TICK, 0, true}, false},
        {"starved, asleep just now, but it works", {60 * S, 70 * S, 5 * S, TICK, 2000, false}, false},
        {"starved for too long", {60 * S, 600 * S, 5 * S, TICK, 2000, true}, true},
        {"four threads, a share of the CPU each", {60 * S, 60 * S, 20 * S, TICK, 4000, false}, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        CHECK_MSG(supervise_is_hang(&rows[i].look) == rows[i].hung, "%s: %s", rows[i].what,
                  rows[i].hung ? "passes for working" : "is called hung");
}

// ---- deaths ---------------------------------------------------------------------

// A decoder that ends by itself at once, and three workers that wait to be killed.
enum { WORKERS = 3 };
static struct crowd {
    char folder[CHECK_FOLDER_BYTES], path[CHECK_FOLDER_BYTES + 16];
    struct reel_bus *hub;
    struct reel_stat_page *stat;
    int stat_fd;
    struct supervise sup;
} crowd;

static void script(const char *name, const char *what)
{
    char path[sizeof crowd.path + 16];
    snprintf(path, sizeof path, "%s/%s", crowd.folder, name);
    FILE *f = fopen(path, "w");
    if (!f) return;
    fprintf(f, "#!/bin/sh\n%s\n", what);
    fclose(f);
    chmod(path, 0700);
}

static enum reel_err gather(void)
{
    check_folder(crowd.folder);
    script("decoder", "exit 3");
    script("worker", "exec sleep 60");
    snprintf(crowd.path, sizeof crowd.path, "%s/bus", crowd.folder);
    enum reel_err err = reel_bus_open_hub(crowd.path, &crowd.hub);
    if (!err) err = reel_stat_create(&crowd.stat_fd, &crowd.stat);
    if (err) return err;
    struct reel_child_params params = {
        .bus_path = crowd.path, .settings_fd = -1, .jobs_fd = -1, .stat_fd = crowd.stat_fd, .collective_fd = -1};
    uint32_t counts[REEL_STAGES] = {[REEL_DECODER] = 1, [REEL_WORKER] = WORKERS};
    const int *devices[REEL_STAGES] = {0};
    err = supervise_init(&crowd.sup, &params, counts, devices, NULL, 0, crowd.hub, crowd.stat, 60, 1);
    snprintf(crowd.sup.bin_dir, sizeof crowd.sup.bin_dir, "%s", crowd.folder);
    return err ? err : supervise_start(&crowd.sup, 1000);
}

static void disperse(void)
{
    supervise_end(&crowd.sup, 0);
    supervise_fini(&crowd.sup);
    reel_bus_close(&crowd.hub);
    close(crowd.stat_fd);
    reel_remove_tree(crowd.folder);
}

static bool is_dead(const struct proc *p)
{
    struct pollfd wait = {.fd = p->pidfd, .events = POLLIN};
    return poll(&wait, 1, 10000) == 1;
}

static enum reel_err say(struct reel_bus *voice, uint32_t lane)
{
    struct reel_rec_lane rec = {.lane = lane};
    enum reel_err err = reel_bus_post(voice, REEL_BUS_HUB, REEL_MSG_LANE_CLOSED, &rec);
    return err ? err : reel_bus_flush(voice);
}

// The next message within two seconds; the lane that it speaks of, or -1.
static int heard(reel_peer *out_from)
{
    int64_t until = reel_now_us() + 2000000;
    struct reel_msg msg;
    enum reel_err err;
    while ((err = reel_bus_recv(crowd.hub, &msg)) == REEL_AGAIN && reel_now_us() < until)
        reel_bus_wait(crowd.hub, NULL, NULL, 0, 100);
    *out_from = err ? 0 : msg.from;
    return err ? -1 : (int)((const struct reel_rec_lane *)msg.records)->lane;
}

// Three die before anybody looks: each is reported once, with its own end; what
// the second has said is heard after the first is buried; who lives is left alone.
static void deaths_at_once(void)
{
    CHECK_INT(gather(), REEL_OK);
    struct supervise *s = &crowd.sup;
    struct proc *decoder = supervise_at(s, REEL_DECODER, 0);
    struct proc *w[WORKERS];
    struct reel_bus *voice[WORKERS] = {0};
    reel_peer from;
    for (uint32_t i = 0; i < WORKERS; i++) {
        w[i] = supervise_at(s, REEL_WORKER, i);
        CHECK_INT(reel_bus_open_peer(crowd.path, w[i]->peer, NULL, &voice[i]), REEL_OK);
        CHECK_INT(say(voice[i], i), REEL_OK);
        CHECK_INT(heard(&from), (int)i);
        CHECK(from == w[i]->peer);
    }
    atomic_store(&crowd.stat->row[w[0]->row].said, 2);
    atomic_store(&crowd.stat->row[w[2]->row].said, 1);
    CHECK(supervise_has_more_to_say(s, w[0]));
    CHECK(!supervise_has_more_to_say(s, w[2]));
    supervise_kill(w[0]);
    supervise_kill(w[2]);
    CHECK(is_dead(decoder) && is_dead(w[0]) && is_dead(w[2]));

    reel_peer old[] = {decoder->peer, w[0]->peer, w[2]->peer};
    bool seen[3] = {false};
    for (int i = 0; i < 3; i++) {
        struct proc *p = supervise_dead(s);
        CHECK(p == decoder || p == w[0] || p == w[2]);
        int k = p == decoder ? 0 : p == w[0] ? 1 : 2;
        CHECK_MSG(!seen[k], "one death is reported twice");
        seen[k] = true;
        CHECK(supervise_find(s, old[k]) == p);
        if (p == w[0]) { // its last words, though others are buried
            CHECK_INT(say(voice[0], 70), REEL_OK);
            CHECK_INT(heard(&from), 70);
            CHECK(from == old[1] && !supervise_has_more_to_say(s, p));
        }
        struct supervise_death death;
        supervise_bury(s, p, 5000, &death);
        CHECK(death.proc == p && p->pidfd == -1 && p->state == PROC_DOWN && !supervise_find(s, old[k]));
        CHECK_INT(reel_bus_received(crowd.hub, old[k]), 0); // nobody listens to it any more
        CHECK_INT(death.by_itself, p == decoder);
        CHECK_HAS(death.why, p == decoder ? "ended with exit code 3" : "was killed by signal 9");
        CHECK_INT(p->restarts, 1);
        CHECK_INT(p->idle_crashes, p == decoder);
        CHECK_INT(say(voice[1], 71 + (uint32_t)i), REEL_OK);
        CHECK_INT(heard(&from), 71 + i);
        CHECK(from == w[1]->peer && supervise_find(s, from) == w[1]);
    }
    CHECK(!supervise_dead(s));

    // The next lives: at once after a first death, under another name.
    CHECK_INT(supervise_start(s, 5000), REEL_OK);
    CHECK_INT(decoder->incarnation, 2);
    CHECK_INT(w[0]->incarnation, 2);
    CHECK_INT(w[1]->incarnation, 1);
    CHECK_INT(w[2]->incarnation, 2);
    CHECK(supervise_find(s, w[2]->peer) == w[2] && !supervise_find(s, old[2]));

    // The end: who is up is asked, and killed when it does not go by itself.
    w[1]->state = PROC_UP;
    int64_t begin_us = reel_now_us();
    supervise_end(s, 50000);
    int64_t took_us = reel_now_us() - begin_us;
    CHECK_MSG(took_us >= 50000 && took_us < 20000000, "the end took %" PRId64 " us", took_us);
    for (uint32_t i = 0; i < WORKERS; i++) CHECK_INT(w[i]->pidfd, -1);
    struct reel_msg msg;
    reel_bus_wait(voice[1], NULL, NULL, 0, 2000);
    CHECK_INT(reel_bus_recv(voice[1], &msg), REEL_OK);
    CHECK_INT(msg.type, REEL_MSG_QUIT);
    for (uint32_t i = 0; i < WORKERS; i++) reel_bus_close(&voice[i]);
    disperse();
}

// Who dies by itself again and again waits longer each time, and is given up;
// what was finished in between makes its budget whole.
static void budget(void)
{
    CHECK_INT(gather(), REEL_OK);
    struct supervise *s = &crowd.sup;
    struct proc *p = supervise_at(s, REEL_DECODER, 0);
    static const int64_t waits_us[] = {0, 40000, 80000, 160000, 320000};
    char why[256];
    int64_t now_us = 1000;
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < sizeof waits_us / sizeof *waits_us; i++) {
            CHECK(supervise_may_restart(s, p, why, sizeof why));
            CHECK(is_dead(p) && supervise_dead(s) == p);
            struct supervise_death death;
            supervise_bury(s, p, now_us, &death);
            CHECK_INT(p->retry_us - now_us, waits_us[i]);
            now_us = p->retry_us;
            uint32_t life = p->incarnation;
            CHECK_INT(supervise_start(s, now_us - 1), REEL_OK);
            CHECK_INT(p->incarnation, life);
            CHECK_INT(supervise_start(s, now_us), REEL_OK);
            CHECK_INT(p->incarnation, life + 1);
        }
        CHECK(!supervise_may_restart(s, p, why, sizeof why));
        CHECK_HAS(why, "could not keep decoder 0 running: it died 5 times");
        supervise_on_progress(p);
    }
    disperse();
}

// Ticks of a second, as many as it takes until p is killed; at most so many.
static int ticks_until_killed(struct supervise *s, const struct proc *p, int64_t *now_us, int most)
{
    int ticks = 0;
    while (!p->hung && ticks < most) ticks++, supervise_tick(s, *now_us += 1000000);
    return ticks;
}

// Who is stopped from outside is replaced after the limit as well, and it is not
// its own fault; in the time in which we did not look ourselves nobody is hung.
static void stopped_from_outside(void)
{
    CHECK_INT(gather(), REEL_OK);
    struct supervise *s = &crowd.sup;
    struct proc *stopped = supervise_at(s, REEL_WORKER, 0), *hung = supervise_at(s, REEL_WORKER, 1);
    struct proc *idle = supervise_at(s, REEL_WORKER, 2);
    int64_t now_us = 1000, limit_s = s->hang_us / 1000000;
    for (uint32_t i = 0; i < WORKERS; i++) {
        struct proc *p = supervise_at(s, REEL_WORKER, i);
        for (int k = 0; reel_life_would_run(p->pid) && k < 10000; k++) usleep(1000); // on its way to sleep
        p->state = PROC_UP;
        p->owes = p != idle;
        atomic_store(&crowd.stat->row[p->row].state, REEL_STATE_IDLE);
    }
    kill(stopped->pid, SIGSTOP);
    for (int k = 0; !reel_life_is_stopped(stopped->pid) && k < 10000; k++) usleep(1000);
    CHECK(reel_life_is_stopped(stopped->pid) && !reel_life_is_stopped(hung->pid));

    CHECK_INT(ticks_until_killed(s, stopped, &now_us, (int)limit_s / 2), limit_s / 2);
    CHECK(stopped->stopped && !hung->stopped && !idle->stopped);
    supervise_tick(s, now_us += 100 * s->hang_us); // Ctrl-Z, and an hour later fg
    CHECK(!stopped->hung && !hung->hung);
    int left = ticks_until_killed(s, stopped, &now_us, 2 * (int)limit_s);
    CHECK_MSG(left >= limit_s / 2 - 1 && left <= limit_s / 2 + 1, "killed after %d ticks more", left);
    ticks_until_killed(s, hung, &now_us, 1);
    CHECK(stopped->hung && hung->hung && !idle->hung);
    CHECK(is_dead(stopped) && is_dead(hung));
    for (int i = 0; i < 3; i++) { // the decoder's death is one of them
        struct proc *p = supervise_dead(s);
        CHECK(p != NULL && p != idle);
        struct supervise_death death;
        supervise_bury(s, p, now_us, &death);
        CHECK_INT(death.by_itself, p != stopped);
        if (p == stopped) CHECK_HAS(death.why, "was stopped by a signal");
        if (p == hung) CHECK_STR(death.why, "made no progress and was killed");
    }
    CHECK_INT(supervise_start(s, now_us), REEL_OK);
    CHECK(!stopped->stopped && !stopped->hung);
    disperse();
}

// It goes on in time: nothing is remembered.
static void let_go_in_time(void)
{
    CHECK_INT(gather(), REEL_OK);
    struct supervise *s = &crowd.sup;
    struct proc *p = supervise_at(s, REEL_WORKER, 0);
    int64_t now_us = 1000;
    for (int k = 0; reel_life_would_run(p->pid) && k < 10000; k++) usleep(1000);
    p->state = PROC_UP;
    p->owes = true;
    kill(p->pid, SIGSTOP);
    for (int k = 0; !reel_life_is_stopped(p->pid) && k < 10000; k++) usleep(1000);
    CHECK_INT(ticks_until_killed(s, p, &now_us, 20), 20);
    CHECK(p->stopped);
    kill(p->pid, SIGCONT);
    for (int k = 0; reel_life_is_stopped(p->pid) && k < 10000; k++) usleep(1000);
    supervise_tick(s, now_us += 1000000);
    CHECK(!p->stopped && !p->hung);
    atomic_fetch_add(&crowd.stat->row[p->row].progress, 1);
    supervise_tick(s, now_us += 1000000);
    CHECK_INT(ticks_until_killed(s, p, &now_us, 59), 59);
    disperse();
}

CHECK_MAIN({"supervise: hangs", hangs}, {"supervise: deaths at once", deaths_at_once}, {"supervise: budget", budget},
           {"supervise: stopped from outside", stopped_from_outside}, {"supervise: let go in time", let_go_in_time})

// SPDX-License-Identifier: MIT
#include "tests/check.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/life.h"

static int run(const char *command, const int *fds, int n_fds)
{
    pid_t pid;
    int pidfd;
    char *argv[] = {"sh", "-c", (char *)command, NULL};
    if (reel_life_spawn("/bin/sh", argv, fds, n_fds, &pid, &pidfd)) return -1000;
    struct pollfd p = {.fd = pidfd, .events = POLLIN};
    poll(&p, 1, 10000);
    int status = reel_life_reap(pidfd);
    close(pidfd);
    return status;
}

static void status(void)
{
    CHECK_INT(run("exit 7", NULL, 0), 7);
    CHECK_INT(run("kill -SEGV $$", NULL, 0), -SIGSEGV);
}

// Descriptors kept are open in the child, others are not.
static void descriptors(void)
{
    int kept[2], other[2];
    CHECK(!pipe2(kept, O_CLOEXEC) && !pipe2(other, O_CLOEXEC));
    char command[128], buf[8] = "";
    snprintf(command, sizeof command, "echo hi >&%d; test ! -e /proc/self/fd/%d", kept[1], other[1]);
    CHECK_INT(run(command, &kept[1], 1), 0);
    CHECK_INT(read(kept[0], buf, sizeof buf - 1), 3);
    CHECK_STR(buf, "hi\n");
    for (int i = 0; i < 2; i++) close(kept[i]), close(other[i]);
}

static void missing_program(void)
{
    pid_t pid;
    int pidfd;
    char *argv[] = {"x", NULL};
    CHECK_INT(reel_life_spawn("/nonexistent/worker", argv, NULL, 0, &pid, &pidfd), REEL_ERR_IO);
    CHECK_HAS(reel_fail_text(), "/nonexistent/worker");
}

static void crash_points(void)
{
    for (int hit = 1; hit <= 3; hit++) {
        pid_t pid = fork();
        if (!pid) {
            char text[128];
            snprintf(text, sizeof text, "decoder.1/here:2:9,worker.0/here:%d:10", hit);
            setenv("REELMILL_CRASH", text, 1);
            signal(SIGUSR1, SIG_DFL); // 10
            reel_crash_init("worker", 0, hit == 3 ? 2 : 1);
            reel_crash_point("there");
            reel_crash_point("here");
            if (hit == 2) reel_crash_point("here");
            _exit(5);
        }
        siginfo_t info;
        waitid(P_PID, (id_t)pid, &info, WEXITED);
        CHECK_INT(info.si_status, hit == 3 ? 5 : SIGUSR1);
    }
}

static void *spin(void *stop)
{
    while (!*(volatile int *)stop) continue;
    return NULL;
}

// The main thread's state says nothing about the others.
static void threads_that_would_run(void)
{
    int ready[2];
    CHECK(!pipe(ready));
    for (int spins = 0; spins < 2; spins++) {
        pid_t pid = fork();
        if (!pid) {
            int stop = 0;
            pthread_t thread;
            if (spins && pthread_create(&thread, NULL, spin, &stop)) _exit(1);
            if (write(ready[1], "x", 1) != 1) _exit(1);
            for (;;) pause();
        }
        char byte;
        CHECK_INT(read(ready[0], &byte, 1), 1);
        // It may still be on its way into pause().
        for (int i = 0; !spins && reel_life_would_run(pid) && i < 1000; i++) usleep(1000);
        CHECK_INT(reel_life_would_run(pid), spins);
        if (spins) {
            int64_t cpu = reel_cpu_us_of(pid);
            for (int i = 0; reel_cpu_us_of(pid) == cpu && i < 10000; i++) usleep(1000);
            CHECK(reel_cpu_us_of(pid) > cpu);
            kill(pid, SIGSTOP);
            waitpid(pid, NULL, WUNTRACED);
            for (int i = 0; reel_life_would_run(pid) && i < 1000; i++) usleep(1000);
            CHECK(!reel_life_would_run(pid)); // stopped
            CHECK(reel_life_is_stopped(pid));
            kill(pid, SIGCONT);
            for (int i = 0; reel_life_is_stopped(pid) && i < 1000; i++) usleep(1000);
            CHECK(!reel_life_is_stopped(pid));
        }
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        CHECK(!reel_life_would_run(pid));
    }
    close(ready[0]), close(ready[1]);
}

CHECK_MAIN({"life exit status", status}, {"life descriptors", descriptors}, {"life missing program", missing_program},
           {"life crash points", crash_points}, {"life threads that would run", threads_that_would_run})

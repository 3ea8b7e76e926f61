// SPDX-License-Identifier: MIT
//
// Starting processes and noticing their deaths. See life.h.
#include "common/life.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

// In the child, between fork and exec: async-signal-safe calls only.
static void exec_child(const char *path, char *const argv[], const int *keep_fds, int n_keep)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    int null = open("/dev/null", O_RDONLY);
    if (null >= 0) dup2(null, STDIN_FILENO);
    for (int i = 0; i < n_keep; i++) {
        int flags = fcntl(keep_fds[i], F_GETFD);
        if (flags >= 0) fcntl(keep_fds[i], F_SETFD, flags & ~FD_CLOEXEC);
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execv(path, argv);
    _exit(127);
}

enum reel_err reel_life_spawn(const char *path, char *const argv[], const int *keep_fds, int n_keep, pid_t *out_pid,
                              int *out_pidfd)
{
    if (access(path, X_OK))
        return reel_fail(REEL_ERR_IO, "could not start program \"%s\": %s\nbuild it with: make", path, strerror(errno));
    pid_t pid = fork();
    if (pid < 0) return reel_fail(REEL_ERR_IO, "could not start program \"%s\": %s", path, strerror(errno));
    if (pid == 0) exec_child(path, argv, keep_fds, n_keep);
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (pidfd < 0) {
        enum reel_err err = reel_fail(REEL_ERR_IO, "could not watch process %d: %s", (int)pid, strerror(errno));
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        return err;
    }
    *out_pid = pid;
    *out_pidfd = pidfd;
    return REEL_OK;
}

int reel_life_reap(int pidfd)
{
    siginfo_t info = {0};
    while (waitid((idtype_t)P_PIDFD, (id_t)pidfd, &info, WEXITED) < 0)
        if (errno != EINTR) return -SIGKILL;
    return info.si_code == CLD_EXITED ? info.si_status : -info.si_status;
}

void reel_life_kill(int pidfd, int signal)
{
    syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0);
}

enum reel_err reel_life_adopt(pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) return reel_fail(REEL_GONE, "the parent process %d is gone", (int)parent);
#ifndef __SANITIZE_ADDRESS__ // LeakSanitizer traces its own process
    prctl(PR_SET_DUMPABLE, 0);
#endif
    signal(SIGINT, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    return REEL_OK;
}

static volatile sig_atomic_t stops;

static void on_stop(int number)
{
    stops = stops + 1;
}

void reel_life_catch_stop(void)
{
    struct sigaction action = {.sa_handler = on_stop};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    // If our parent had it ignored (nohup), it stays ignored.
    struct sigaction before;
    if (!sigaction(SIGHUP, NULL, &before) && before.sa_handler != SIG_IGN) sigaction(SIGHUP, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
}

int reel_life_stops(void)
{
    return stops;
}

static int64_t clock_us(clockid_t clock)
{
    struct timespec t;
    if (clock_gettime(clock, &t)) return -1;
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t reel_now_us(void)
{
    return clock_us(CLOCK_MONOTONIC);
}

int64_t reel_cpu_us(void)
{
    return clock_us(CLOCK_PROCESS_CPUTIME_ID);
}

int64_t reel_cpu_us_of(pid_t pid)
{
    clockid_t clock;
    if (clock_getcpuclockid(pid, &clock)) return -1;
    return clock_us(clock);
}

// 'R', 'S', 'T'...; 0 when unknown.
static char state_of(pid_t pid, const char *thread)
{
    char path[320], text[512];
    snprintf(path, sizeof path, "/proc/%d/task/%s/stat", (int)pid, thread);
    FILE *f = fopen(path, "re");
    if (!f) return 0;
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = 0;
    char *close = strrchr(text, ')');
    return close && close[1] == ' ' ? close[2] : 0;
}

bool reel_life_would_run(pid_t pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *dir = opendir(path);
    bool any = false;
    for (struct dirent *e; dir && !any && (e = readdir(dir));) {
        char state = e->d_name[0] == '.' ? 0 : state_of(pid, e->d_name);
        any = state == 'R' || state == 'D';
    }
    if (dir) closedir(dir);
    return any;
}

static char main_state_of(pid_t pid)
{
    char main_thread[16];
    snprintf(main_thread, sizeof main_thread, "%d", (int)pid);
    return state_of(pid, main_thread);
}

bool reel_life_is_stopped(pid_t pid)
{
    return main_state_of(pid) == 'T'; // a signal stops all threads at once; 't' is a debugger's
}

bool reel_life_is_over(pid_t pid)
{
    if (kill(pid, 0) && errno == ESRCH) return true;
    return main_state_of(pid) == 'Z';
}

// ---- crash points -----------------------------------------------------------

#define MAX_CRASHES 8

static struct crash {
    char point[64];
    int hit, signal, passed;
} crashes[MAX_CRASHES];
static int n_crashes;

void reel_crash_init(const char *stage, int index, uint32_t incarnation)
{
    n_crashes = 0;
    const char *text = getenv("REELMILL_CRASH");
    if (!text) return;
    char who[64], copy[1024], *state = NULL;
    snprintf(who, sizeof who, "%s.%d/", stage, index);
    snprintf(copy, sizeof copy, "%s", text);
    for (char *item = strtok_r(copy, ",", &state); item && n_crashes < MAX_CRASHES;
         item = strtok_r(NULL, ",", &state)) {
        struct crash c = {.hit = 1, .signal = SIGKILL};
        char *slash = strchr(item, '/');
        if (slash && strncmp(item, who, strlen(who))) continue;
        if (slash) item = slash + 1;
        char *hit = strchr(item, ':');
        bool every = false;
        if (hit) {
            *hit++ = 0;
            char *end;
            c.hit = (int)strtol(hit, &end, 10);
            every = *end == '*';
            if (every) end++;
            if (*end == ':') c.signal = atoi(end + 1);
        }
        if (!every && incarnation > 1) continue;
        snprintf(c.point, sizeof c.point, "%s", item);
        crashes[n_crashes++] = c;
    }
}

void reel_crash_point(const char *point)
{
    for (int i = 0; i < n_crashes; i++) {
        struct crash *c = &crashes[i];
        if (!c->signal || strcmp(c->point, point) || ++c->passed != c->hit) continue;
        reel_warn("crash", "crash point \"%s\", hit %d: raising signal %d", point, c->hit, c->signal);
        if (c->signal != SIGSTOP && c->signal != SIGKILL) signal(c->signal, SIG_DFL); // sanitizers install handlers
        raise(c->signal);
    }
}

bool reel_fault_point(const char *point)
{
    for (int i = 0; i < n_crashes; i++) {
        struct crash *c = &crashes[i];
        if (c->signal || strcmp(c->point, point) || ++c->passed < c->hit) continue;
        reel_warn("crash", "crash point \"%s\", hit %d: fails", point, c->passed);
        return true; // this hit and all later ones
    }
    return false;
}

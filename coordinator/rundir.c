// SPDX-License-Identifier: MIT
//
// Making, guarding and sweeping run directories. See rundir.h.
#include "coordinator/rundir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/files.h"
#include "common/life.h"
#include "common/log.h"

#define PREFIX "reelmill-"

// The folder if it can be used, else /tmp. The path of a socket in it must fit sockaddr_un (108 bytes).
static const char *usable(const char *dir)
{
    return dir && dir[0] == '/' && strlen(dir) < 48 && !access(dir, W_OK | X_OK) ? dir : "/tmp";
}

// XDG_RUNTIME_DIR is in memory; parts, which are large, go to TMPDIR.
static const char *base_dir(bool parts)
{
    return usable(getenv(parts ? "TMPDIR" : "XDG_RUNTIME_DIR"));
}

// The guard process removes the directory if the coordinator is killed: it waits for the end of
// the pipe, then for the children (who hold the lock too). It ignores the terminal's signals and
// closes the caller's files.
static void guard(const struct rundir *r, int pipe_fd)
{
    setsid();
    prctl(PR_SET_NAME, "reelmill-guard");
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    int null = open("/dev/null", O_RDWR);
    for (int fd = 0; fd < 3 && null >= 0; fd++) dup2(null, fd);
    for (int fd = 3; fd < 1024; fd++)
        if (fd != pipe_fd) close(fd);
    char byte;
    ssize_t n;
    do {
        n = read(pipe_fd, &byte, 1);
    } while (n < 0 && errno == EINTR);
    rundir_wait_free(r->lock_path, 5000);
    reel_remove_tree(r->path);
    _exit(0);
}

static enum reel_err start_guard(struct rundir *r)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC)) return reel_fail(REEL_ERR_IO, "could not make a pipe: %s", strerror(errno));
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[1]);
        guard(r, ends[0]);
    }
    close(ends[0]);
    if (pid < 0) {
        close(ends[1]);
        return reel_fail(REEL_ERR_IO, "could not start the guard process: %s", strerror(errno));
    }
    r->guard_fd = ends[1];
    r->guard_pid = pid;
    return REEL_OK;
}

static void choose_paths(struct rundir *r, const char *base)
{
    uint64_t random = 0;
    if (getrandom(&random, sizeof random, 0) != sizeof random) random = (uint64_t)reel_now_us();
    snprintf(r->path, sizeof r->path, "%s/" PREFIX "%d-%08x", base, (int)getpid(), (unsigned)random);
    snprintf(r->lock_path, sizeof r->lock_path, "%s/lock", r->path);
    snprintf(r->bus_path, sizeof r->bus_path, "%s/bus", r->path);
}

static enum reel_err make_and_lock(struct rundir *r)
{
    if (mkdir(r->path, 0700))
        return reel_fail(REEL_ERR_IO, "could not make run directory \"%s\": %s", r->path, strerror(errno));
    int fd = open(r->lock_path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB)) {
        enum reel_err err = reel_fail(REEL_ERR_IO, "could not lock run directory \"%s\": %s", r->path, strerror(errno));
        if (fd >= 0) close(fd);
        return err;
    }
    if (r->lock_fd >= 0) close(r->lock_fd);
    r->lock_fd = fd;
    return REEL_OK;
}

static enum reel_err create_in(const char *base, struct rundir *out)
{
    *out = (struct rundir){.lock_fd = -1, .guard_fd = -1};
    choose_paths(out, base);
    enum reel_err err = start_guard(out);
    if (err) return err;
    err = make_and_lock(out);
    if (err) rundir_destroy(out);
    return err;
}

enum reel_err rundir_create(bool parts, struct rundir *out)
{
    const char *base = base_dir(parts);
    enum reel_err err = create_in(base, out);
    return err && strcmp(base, "/tmp") ? create_in("/tmp", out) : err; // it may be full
}

bool rundir_is_there(const struct rundir *r)
{
    return !access(r->bus_path, F_OK);
}

enum reel_err rundir_renew(struct rundir *r)
{
    struct stat held, there;
    if (!fstat(r->lock_fd, &held) && !lstat(r->lock_path, &there) && held.st_ino == there.st_ino &&
        held.st_dev == there.st_dev)
        return REEL_OK; // only the socket is missing
    if (!make_and_lock(r)) return REEL_OK;
    choose_paths(r, "/tmp"); // the parent folder is gone too, or not writable any more
    return make_and_lock(r);
}

void rundir_destroy(struct rundir *r)
{
    if (r->path[0]) reel_remove_tree(r->path);
    if (r->guard_fd >= 0) {
        kill(r->guard_pid, SIGKILL); // nothing is left to do; a message would not reach a guard that was stopped
        close(r->guard_fd);
        waitpid(r->guard_pid, NULL, 0);
    }
    if (r->lock_fd >= 0) close(r->lock_fd);
    *r = (struct rundir){.lock_fd = -1, .guard_fd = -1};
}

enum reel_err rundir_wait_free(const char *lock_path, int wait_ms)
{
    int fd = open(lock_path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) return REEL_OK; // the run is over and has removed it
    int64_t until = reel_now_us() + (int64_t)wait_ms * 1000;
    enum reel_err err = REEL_OK;
    while (flock(fd, LOCK_EX | LOCK_NB)) {
        if (errno != EWOULDBLOCK && errno != EINTR) break;
        if (reel_now_us() >= until) {
            err = REEL_AGAIN;
            break;
        }
        poll(NULL, 0, 10); // flock() cannot wait with a time limit
    }
    close(fd);
    return err;
}

static int sweep(const char *base)
{
    int removed = 0;
    DIR *dir = opendir(base);
    if (!dir) return 0;
    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        int pid = 0;
        unsigned random = 0;
        const bool ours =
            sscanf(e->d_name, PREFIX "%d-%8x", &pid, &random) == 2 || sscanf(e->d_name, VERIFY_PREFIX "%d-", &pid) == 1;
        if (!ours || pid <= 1) continue;
        if (!reel_life_is_over(pid)) continue; // alive, or another process has its number now
        char path[512], lock[544];
        snprintf(path, sizeof path, "%s/%s", base, e->d_name);
        snprintf(lock, sizeof lock, "%s/lock", path);
        struct stat st;
        if (lstat(path, &st) || !S_ISDIR(st.st_mode) || st.st_uid != getuid()) continue;
        if (rundir_wait_free(lock, 0)) continue;
        reel_remove_tree(path);
        removed++;
    }
    closedir(dir);
    return removed;
}

int rundir_sweep(void)
{
    const char *small = base_dir(false), *large = base_dir(true);
    return sweep(small) + (strcmp(small, large) ? sweep(large) : 0);
}

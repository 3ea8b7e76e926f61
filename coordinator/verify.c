// SPDX-License-Identifier: MIT
//
// --verify: makes the runs and compares them. See verify.h.
#include "coordinator/verify.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/files.h"
#include "common/life.h"
#include "coordinator/command.h"
#include "coordinator/rundir.h"

#define TWIN "REELMILL_GPU_TWIN"

// ---- what is compared -----------------------------------------------------------

static bool same_kind(const struct reel_gpu *a, const struct reel_gpu *b)
{
    return !strcmp(a->name, b->name) && a->sm_count == b->sm_count;
}

static uint32_t add_gpus(const struct run *run, struct verify_case *out, uint32_t n)
{
    for (uint32_t i = 0; i < run->workers && n < VERIFY_MOST; i++) {
        int id = run->worker_devices[i];
        const struct reel_gpu *gpu = &run->gpus.gpu[id];
        bool known = false;
        for (uint32_t k = 1; k < n; k++) known |= same_kind(&run->gpus.gpu[out[k].gpu], gpu);
        if (known) continue;
        out[n] = (struct verify_case){.backend = SET_BACKEND_CUDNN, .gpu = id};
        snprintf(out[n++].label, sizeof out->label, "%s (GPU %d)", gpu->name, id);
    }
    return n;
}

uint32_t verify_cases(const struct run *run, struct verify_case out[VERIFY_MOST])
{
    const struct reel_settings *s = &run->settings;
    bool sim = s->backend == SET_BACKEND_SIM, twin = getenv(TWIN) && !sim;
    out[0] = (struct verify_case){
        .backend = sim ? SET_BACKEND_SIM : SET_BACKEND_ONEDNN, .gpu = -1, .workers = 1, .reference = true};
    snprintf(out[0].label, sizeof out->label, "%s", sim ? "one simulated worker" : "one CPU worker, float32");
    if (s->backend == SET_BACKEND_CUDNN) return add_gpus(run, out, 1);
    uint32_t workers = run->workers > 1 ? run->workers : 2;
    out[1] = (struct verify_case){.backend = s->backend, .gpu = -1, .workers = workers};
    snprintf(out[1].label, sizeof out->label, "%u %s workers%s", workers,
             sim    ? "simulated"
             : twin ? "GPU-twin"
                    : "CPU",
             s->split == SET_SPLIT_SPATIAL ? ", split frames" : "");
    return 2;
}

// ---- one run --------------------------------------------------------------------

static void settle(struct reel_settings *s, const struct verify_case *c, const char *output)
{
    s->verify = false;
    s->overwrite = true;
    s->resume = SET_RESUME_NEVER;
    s->progress = SET_PROGRESS_OFF;
    s->report[0] = s->trace[0] = s->metrics[0] = s->encoder_opts[0] = 0;
    snprintf(s->output, sizeof s->output, "%s", output);
    snprintf(s->encoder, sizeof s->encoder, "ffv1"); // lossless
    s->backend = c->backend;
    s->gpu_num = c->gpu < 0 ? (int)c->workers : 0;
    s->workers_per_gpu = 0;
    s->gpu_ids[0] = 0;
    if (c->gpu >= 0) snprintf(s->gpu_ids, sizeof s->gpu_ids, "%d", c->gpu);
    if (!c->reference) return;
    s->decoders = s->aggregators = s->lanes = s->batch = 0;
    s->split = SET_SPLIT_OFF;
    s->plans[0] = 0;
    if (s->precision != SET_PRECISION_AUTO) s->precision = SET_PRECISION_FP32;
}

// Waits for a child and passes on signals that only this process received.
static int wait_for(pid_t pid)
{
    int status, told = 0;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR) return EXIT_FAILED;
        if (reel_life_stops() > told++) kill(pid, SIGTERM);
    }
    if (reel_life_stops()) return EXIT_INTERRUPTED;
    return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILED;
}

static pid_t fork_child(void)
{
    pid_t parent = getpid(), pid;
    fflush(NULL);
    pid = fork();
    if (pid) return pid;
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) _exit(EXIT_INTERRUPTED);
    return 0;
}

static int run_case(const struct run *run, const struct verify_case *c, const char *output, const char **words,
                    int n_words, verify_work work)
{
    pid_t pid = fork_child();
    if (pid < 0) {
        fprintf(stderr, "reelmill: could not start a run: %s\n", strerror(errno));
        return EXIT_FAILED;
    }
    if (pid) return wait_for(pid);
    struct run *own = calloc(1, sizeof *own);
    if (!own) _exit(EXIT_FAILED);
    own->settings = run->settings;
    own->only_seconds = run->settings.verify_seconds;
    settle(&own->settings, c, output);
    if (c->reference) unsetenv(TWIN); // the reference runs without the twin
    int code = work(own, words, n_words);
    fflush(NULL);
    _exit(code);
}

// ---- all of them ----------------------------------------------------------------

static int compare(const struct verify_case *cases, uint32_t n, const char *folder)
{
    char paths[VERIFY_MOST][SET_PATH], self[4200];
    const char *argv[2 * VERIFY_MOST + 3] = {"aggregator", "--compare"};
    for (uint32_t i = 0; i < n; i++) {
        snprintf(paths[i], sizeof paths[i], "%s/%u.mkv", folder, i);
        argv[2 + 2 * i] = cases[i].label;
        argv[3 + 2 * i] = paths[i];
    }
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 64);
    self[length > 0 ? length : 0] = 0;
    char *slash = strrchr(self, '/');
    snprintf(slash ? slash + 1 : self, 64, "aggregator");
    pid_t pid = fork_child();
    if (pid == 0) {
        execv(self, (char *const *)argv);
        fprintf(stderr, "reelmill: could not start program \"%s\": %s\n", self, strerror(errno));
        _exit(EXIT_FAILED);
    }
    return pid < 0 ? EXIT_FAILED : wait_for(pid);
}

static int run_and_compare(const struct run *run, const struct verify_case *cases, uint32_t n, const char *folder,
                           const char **words, int n_words, verify_work work)
{
    bool quiet = run->settings.progress == SET_PROGRESS_OFF;
    for (uint32_t i = 0; i < n; i++) {
        char output[SET_PATH];
        snprintf(output, sizeof output, "%s/%u.mkv", folder, i);
        if (!quiet) fprintf(stderr, "verify: %u of %u: %s\n", i + 1, n, cases[i].label);
        int code = run_case(run, &cases[i], output, words, n_words, work);
        if (code == EXIT_DONE || code == EXIT_LOSSY) continue; // lost sound or subtitles do not matter here
        if (code != EXIT_INTERRUPTED)
            fprintf(stderr, "reelmill: could not verify: the run on %s failed\n", cases[i].label);
        return code;
    }
    return compare(cases, n, folder);
}

int verify(const struct run *run, const char **words, int n_words, verify_work work)
{
    if (n_words != 1) {
        fprintf(stderr, "reelmill: --verify looks at one input, %d were given\n", n_words);
        return EXIT_USAGE;
    }
    if (run->settings.live) {
        fprintf(stderr, "reelmill: could not verify a live input: it can be read only once\ngive --verify a file, "
                        "without --live\n");
        return EXIT_USAGE;
    }
    struct run *scaled = calloc(1, sizeof *scaled);
    if (!scaled) return EXIT_FAILED;
    scaled->settings = run->settings;
    struct verify_case cases[VERIFY_MOST];
    uint32_t n = 0;
    enum reel_err err = command_scale(scaled);
    if (!err) n = verify_cases(scaled, cases);
    free(scaled);
    if (err) {
        fprintf(stderr, "reelmill: %s\n", reel_fail_text());
        return err == REEL_ERR_CONFIG ? EXIT_USAGE : EXIT_FAILED;
    }
    const char *base = getenv("TMPDIR");
    char folder[SET_PATH - 64];
    snprintf(folder, sizeof folder, "%s/" VERIFY_PREFIX "%d-XXXXXX", base && *base ? base : "/tmp", (int)getpid());
    if (!mkdtemp(folder)) {
        fprintf(stderr, "reelmill: could not make folder \"%s\": %s\n", folder, strerror(errno));
        return EXIT_FAILED;
    }
    // As long as it is held, no other run removes the folder.
    char lock[SET_PATH];
    snprintf(lock, sizeof lock, "%s/lock", folder);
    int lock_fd = open(lock, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (lock_fd >= 0) flock(lock_fd, LOCK_EX);
    int code = run_and_compare(run, cases, n, folder, words, n_words, work);
    reel_remove_tree(folder);
    if (lock_fd >= 0) close(lock_fd);
    return code;
}

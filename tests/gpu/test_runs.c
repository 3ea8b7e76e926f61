// SPDX-License-Identifier: MIT
//
// Whole runs on a GPU: the bundled network over the bundled clip by cuDNN, with
// one and three workers, with host and device rings, with workers killed on the
// way: the same bytes; and what --split makes of them.
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/cuda.h"
#include "common/hash.h"
#include "tests/check.h"
#include "worker/backend/backend.h"

static char folder[CHECK_FOLDER_BYTES];
static const char *build;

static int can_run(void)
{
    int n;
    if (reel_cuda_count(&n)) return 1;
    const struct backend_ops *cudnn = backend_find("cudnn");
    struct backend_params params = {0};
    return cudnn && !cudnn->probe(&params) ? 0 : 2;
}

// 0: yes; 1: no GPU; 2: no cuDNN backend.
static int asked(void)
{
    static int answer = -1;
    if (answer >= 0) return answer;
    pid_t pid = fork();
    if (!pid) _exit(can_run());
    int status = 0;
    waitpid(pid, &status, 0);
    return answer = WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

#define NEED_GPU()                               \
    do {                                         \
        if (asked() == 1) SKIP("no GPU");        \
        if (asked()) SKIP("no cuDNN backend");   \
        if (!prepare()) SKIP("no bundled clip"); \
    } while (0)

static bool prepare(void)
{
    build = getenv("REELMILL_BUILD") ? getenv("REELMILL_BUILD") : "build/release";
    if (!*folder) check_folder(folder);
    return !access("models/upscale2x.onnx", R_OK) && !access("models/demo/demo.mp4", R_OK);
}

static pid_t start(const char *name, const char *const *more)
{
    char binary[1100], out[128], log[128];
    snprintf(binary, sizeof binary, "%s/coordinator", build);
    snprintf(out, sizeof out, "%s/%s", folder, name);
    snprintf(log, sizeof log, "%s/log", folder);
    const char *argv[40] = {"coordinator",
                            "models/demo/demo.mp4",
                            "-o",
                            out,
                            "-y",
                            "--model",
                            "models/upscale2x.onnx",
                            "--progress",
                            "off",
                            "--segment_seconds",
                            "1",
                            "--gpu_ids",
                            "0"};
    int n = 13;
    for (; *more && n < 39; more++) argv[n++] = *more;
    pid_t pid = fork();
    if (pid) return pid;
    int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    dup2(fd, 1), dup2(fd, 2);
    execv(binary, (char *const *)argv);
    _exit(127);
}

static int wait_for(pid_t pid)
{
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void show_log(void)
{
    char path[128], line[512];
    snprintf(path, sizeof path, "%s/log", folder);
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f)) fprintf(stderr, "    %s", line);
    if (f) fclose(f);
}

#define RUN(name, ...) run_is(__LINE__, name, (const char *const[]){__VA_ARGS__, NULL})

static bool run_is(int line, const char *name, const char *const *more)
{
    int code = wait_for(start(name, more));
    if (code) fprintf(stderr, "line %d: %s ended with %d\n", line, name, code), show_log();
    return code == 0;
}

static bool hash_of(const char *name, uint8_t out[32])
{
    char path[128];
    uint64_t bytes;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return !reel_sha256_file(path, out, &bytes) && bytes > 1000;
}

static bool equal(const char *a, const char *b)
{
    uint8_t ha[32], hb[32];
    return hash_of(a, ha) && hash_of(b, hb) && !memcmp(ha, hb, 32);
}

static void one_and_three_workers(void)
{
    NEED_GPU();
    CHECK(RUN("one.mkv", "--backend", "cudnn"));
    CHECK(RUN("three.mkv", "--backend", "cudnn", "--workers_per_gpu", "3"));
    CHECK(equal("one.mkv", "three.mkv"));
    CHECK(RUN("again.mkv", "--backend", "cudnn"));
    CHECK(equal("one.mkv", "again.mkv"));
}

// A frame's bytes do not depend on those beside it in a run of the network.
static void batches(void)
{
    NEED_GPU();
    CHECK(RUN("alone.mkv", "--backend", "cudnn", "--batch", "1"));
    CHECK(equal("one.mkv", "alone.mkv"));
    static const char *const sizes[] = {"2", "3", "4", "8"};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        CHECK(RUN("batch.mkv", "--backend", "cudnn", "--batch", sizes[i]));
        CHECK_MSG(equal("alone.mkv", "batch.mkv"), "%s frames a run: other bytes", sizes[i]);
    }
}

static void host_and_device_rings(void)
{
    NEED_GPU();
    setenv("REELMILL_DEVICE_MEMORY", "off", 1);
    CHECK(RUN("host.mkv", "--backend", "cudnn"));
    CHECK(equal("one.mkv", "host.mkv"));
    setenv("REELMILL_DEVICE_MEMORY", "ipc", 1);
    CHECK(RUN("ipc.mkv", "--backend", "cudnn"));
    CHECK(equal("one.mkv", "ipc.mkv"));
    unsetenv("REELMILL_DEVICE_MEMORY");
}

static bool file_has(const char *name, const char *text)
{
    char path[128];
    static char content[1 << 16];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "r");
    size_t n = f ? fread(content, 1, sizeof content - 1, f) : 0;
    if (f) fclose(f);
    content[n] = 0;
    return strstr(content, text) != NULL;
}

// Pictures of NVDEC and of the processor's decoder are the same: H.264 leaves no
// choice. A filter before the network keeps decoding on the processor.
static void decoded_by_either(void)
{
    NEED_GPU();
    char report[128];
    snprintf(report, sizeof report, "%s/report.json", folder);
    CHECK(RUN("nvdec.mkv", "--backend", "cudnn", "--report", report));
    CHECK(!file_has("report.json", "\"device\": \"cpu avx")); // the worker's name is the GPU's
    if (!file_has("report.json", "(NVDEC)")) SKIP("no NVDEC");
    CHECK(RUN("software.mkv", "--backend", "cudnn", "--pre_filter", "null"));
    CHECK(equal("nvdec.mkv", "software.mkv"));
}

// The name of a process is its stage's.
static pid_t a_child(pid_t parent, const char *stage)
{
    char path[64], comm[32];
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)parent, (int)parent);
    FILE *f = fopen(path, "r");
    int pid = 0, found = 0;
    while (f && fscanf(f, "%d", &pid) == 1) {
        snprintf(path, sizeof path, "/proc/%d/comm", pid);
        FILE *c = fopen(path, "r");
        if (c && fgets(comm, sizeof comm, c) && !strncmp(comm, stage, strlen(stage))) found = pid;
        if (c) fclose(c);
    }
    if (f) fclose(f);
    return found;
}

static void killed_on_the_way(void)
{
    NEED_GPU();
    static const char *const stages[] = {"worker", "decoder", "worker", "aggregator"};
    for (size_t i = 0; i < sizeof stages / sizeof *stages; i++) {
        pid_t run = start("killed.mkv", (const char *const[]){"--backend", "cudnn", "--workers_per_gpu", "2", NULL});
        int kills = 0;
        for (int look = 0; look < 400 && kills < 2 && !kill(run, 0); look++) {
            nanosleep(&(struct timespec){0, 50000000}, NULL);
            pid_t child = look % 10 == 9 ? a_child(run, stages[i]) : 0;
            if (child && !kill(child, SIGKILL)) kills++;
            if (waitpid(run, NULL, WNOHANG | WNOWAIT) != 0) break;
        }
        int code = wait_for(run);
        CHECK_MSG(code == 0, "with %s killed %d times it ended with %d", stages[i], kills, code);
        CHECK_MSG(equal("one.mkv", "killed.mkv"), "with %s killed %d times: other bytes", stages[i], kills);
    }
}

// A crash inside the worker, by itself: its frame is done again elsewhere.
static void crashes_on_the_way(void)
{
    NEED_GPU();
    static const char *const points[] = {"worker.before_run:20:11", "worker.mid_slot:15:9", "worker.before_done:10:6"};
    for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
        setenv("REELMILL_CRASH", points[i], 1);
        bool ok = RUN("crashed.mkv", "--backend", "cudnn", "--workers_per_gpu", "2");
        unsetenv("REELMILL_CRASH");
        CHECK(ok);
        CHECK_MSG(equal("one.mkv", "crashed.mkv"), "%s: other bytes", points[i]);
    }
}

static void split_over_workers(void)
{
    NEED_GPU();
    CHECK(RUN("two.mkv", "--backend", "cudnn", "--workers_per_gpu", "2", "--split", "spatial"));
    CHECK(RUN("four.mkv", "--backend", "cudnn", "--workers_per_gpu", "4", "--split", "spatial"));
    fprintf(stderr, "split over 2 workers: %s bytes as whole; over 4: %s\n",
            equal("one.mkv", "two.mkv") ? "the same" : "other", equal("one.mkv", "four.mkv") ? "the same" : "other");
}

CHECK_MAIN({"gpu: one and three workers", one_and_three_workers}, {"gpu: batches", batches},
           {"gpu: host and device rings", host_and_device_rings}, {"gpu: decoded by either", decoded_by_either},
           {"gpu: killed on the way", killed_on_the_way}, {"gpu: crashes on the way", crashes_on_the_way},
           {"gpu: split over workers", split_over_workers})

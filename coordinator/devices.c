// SPDX-License-Identifier: MIT
//
// The child that lists GPUs, the choice among them, and --list_gpus. See
// devices.h.
#include "coordinator/devices.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/life.h"
#include "coordinator/memory.h"

#define ASK_US INT64_C(60000000) // initialising a driver with eight GPUs takes seconds
#define TRIES 5                  // the child is started again if it was killed
#define TEXT_MAX 65536
#define LEAST_CC 75 // the oldest that CUDA 13 and cuDNN 9 support

#define ELSE_CPU "to use the CPU: --backend onednn"

bool devices_driver(void)
{
    const char *told = getenv(REEL_DEVICES_ENV);
    return (told && *told) || !access("/dev/nvidiactl", F_OK) || !access("/dev/nvidia0", F_OK) ||
           !access("/proc/driver/nvidia/version", F_OK) || !access("/dev/dxg", F_OK); // /dev/dxg: WSL
}

// ---- the child ------------------------------------------------------------------

static enum reel_err read_answer(int fd, char *text, size_t bytes)
{
    int64_t until = reel_now_us() + ASK_US;
    size_t n = 0;
    for (;;) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        int64_t left_ms = (until - reel_now_us()) / 1000;
        if (left_ms <= 0 || poll(&wait, 1, (int)left_ms) == 0)
            return reel_fail(REEL_ERR_IO, "could not list the GPUs: the driver did not answer for %d seconds",
                             (int)(ASK_US / 1000000));
        ssize_t got = read(fd, text + n, bytes - 1 - n);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0 || n + (size_t)got >= bytes - 1) break;
        n += (size_t)got;
    }
    text[n] = 0;
    return REEL_OK;
}

static void worker_path(char *out, size_t bytes)
{
    ssize_t n = readlink("/proc/self/exe", out, bytes - 8);
    out[n > 0 ? n : 0] = 0;
    char *slash = strrchr(out, '/');
    strcpy(slash ? slash + 1 : out, "worker");
}

// Runs the child once. GONE: a signal ended it.
static enum reel_err ask_once(struct reel_gpu_table *out)
{
    char path[4200], fd_text[16];
    memset(out, 0, sizeof *out);
    worker_path(path, sizeof path);
    if (access(path, X_OK))
        return reel_fail(REEL_ERR_IO, "could not start program \"%s\": %s\nbuild it with: make", path, strerror(errno));
    int ends[2], pidfd;
    if (pipe2(ends, O_CLOEXEC)) return reel_fail(REEL_ERR_IO, "could not make a pipe: %s", strerror(errno));
    snprintf(fd_text, sizeof fd_text, "%d", ends[1]);
    char *argv[] = {"worker", "--list_devices", fd_text, NULL};
    pid_t pid;
    enum reel_err err = reel_life_spawn(path, argv, &ends[1], 1, &pid, &pidfd);
    close(ends[1]);
    char *text = calloc(1, TEXT_MAX);
    if (!err && !text) err = reel_fail(REEL_ERR_NOMEM, "could not list the GPUs: out of memory");
    if (!err) {
        err = read_answer(ends[0], text, TEXT_MAX);
        if (err) reel_life_kill(pidfd, SIGKILL);
        int status = reel_life_reap(pidfd);
        close(pidfd);
        if (!err && status)
            err = reel_fail(status < 0 ? REEL_GONE : REEL_ERR_IO,
                            "could not list the GPUs: the program that asks the driver %s %d",
                            status < 0 ? "was killed by signal" : "ended with exit code", abs(status));
    }
    close(ends[0]);
    if (!err) err = reel_gpu_table_parse(text, out);
    free(text);
    return err;
}

enum reel_err devices_ask(struct reel_gpu_table *out)
{
    enum reel_err err = ask_once(out);
    for (int tries = 1; err == REEL_GONE && tries < TRIES && !reel_life_stops(); tries++) err = ask_once(out);
    return err == REEL_GONE ? REEL_ERR_IO : err;
}

// ---- the choice -----------------------------------------------------------------

bool devices_usable(const struct reel_gpu *g)
{
    return g->host || g->cc_major * 10 + g->cc_minor >= LEAST_CC;
}

// Parses "0,2" into GPU numbers.
static enum reel_err parse_ids(const char *text, const struct reel_gpu_table *table, uint32_t *out_ids, uint32_t *out_n)
{
    *out_n = 0;
    for (const char *p = text; *p;) {
        char *end;
        long id = strtol(p, &end, 10);
        if (end == p || (*end && *end != ',') || id < 0)
            return reel_fail(REEL_ERR_CONFIG, "could not read --gpu_ids \"%s\": use numbers like 0,2", text);
        if ((uint64_t)id >= table->n)
            return reel_fail(REEL_ERR_CONFIG, "could not use GPU %ld: there are %u, numbered from 0 (--list_gpus)", id,
                             table->n);
        for (uint32_t i = 0; i < *out_n; i++)
            if (out_ids[i] == (uint32_t)id)
                return reel_fail(REEL_ERR_CONFIG,
                                 "could not use GPU %ld twice\nfor more workers on each: --workers_per_gpu", id);
        if (!devices_usable(&table->gpu[id]))
            return reel_fail(REEL_ERR_CONFIG, "could not use GPU %ld (%s): its compute capability %d.%d is below %d.%d",
                             id, table->gpu[id].name, table->gpu[id].cc_major, table->gpu[id].cc_minor, LEAST_CC / 10,
                             LEAST_CC % 10);
        out_ids[(*out_n)++] = (uint32_t)id;
        p = *end ? end + 1 : end;
    }
    return REEL_OK;
}

// Convolutions in e4m3 need Ada or later.
#define LEAST_FP8_CC 89

static enum reel_err check_fp8(const struct reel_gpu_table *table, const uint32_t *ids, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        const struct reel_gpu *g = &table->gpu[ids[i]];
        if (g->host || g->cc_major * 10 + g->cc_minor >= LEAST_FP8_CC) continue;
        return reel_fail(REEL_ERR_CONFIG,
                         "could not use precision fp8: GPU %u (%s) has compute capability %d.%d, fp8 needs %d.%d (Ada, "
                         "Hopper, Blackwell)\nuse --precision fp16%s",
                         ids[i], g->name, g->cc_major, g->cc_minor, LEAST_FP8_CC / 10, LEAST_FP8_CC % 10,
                         n > 1 ? ", or name the GPUs that have it with --gpu_ids" : "");
    }
    return REEL_OK;
}

enum reel_err devices_choose(const struct reel_settings *s, const struct reel_gpu_table *table,
                             uint32_t out_ids[REEL_MAX_GPUS], uint32_t *out_n)
{
    *out_n = 0;
    if (!table->n)
        return reel_fail(REEL_ERR_CONFIG, "%s\n" ELSE_CPU,
                         table->trouble[0] ? table->trouble : "could not use a GPU: there is none");
    enum reel_err err = parse_ids(s->gpu_ids, table, out_ids, out_n);
    if (err) return err;
    uint32_t usable = 0;
    for (uint32_t i = 0; i < table->n; i++) {
        if (!devices_usable(&table->gpu[i])) continue;
        usable++;
        if (!s->gpu_ids[0] && (!s->gpu_num || *out_n < (uint32_t)s->gpu_num)) out_ids[(*out_n)++] = i;
    }
    if (!usable)
        return reel_fail(REEL_ERR_CONFIG,
                         "could not use a GPU: %s has compute capability %d.%d, at least %d.%d is needed\n" ELSE_CPU,
                         table->gpu[0].name, table->gpu[0].cc_major, table->gpu[0].cc_minor, LEAST_CC / 10,
                         LEAST_CC % 10);
    if (s->gpu_num && s->gpu_ids[0] && (uint32_t)s->gpu_num != *out_n)
        return reel_fail(REEL_ERR_CONFIG, "could not use %d GPUs: --gpu_ids names %u\ngive one of the two options",
                         s->gpu_num, *out_n);
    if (s->gpu_num && (uint32_t)s->gpu_num > *out_n)
        return reel_fail(REEL_ERR_CONFIG,
                         "could not use %d GPUs: there %s %u\nfor more workers on each: --workers_per_gpu; for CPU "
                         "workers: --backend onednn",
                         s->gpu_num, usable == 1 ? "is" : "are", usable);
    return s->precision == SET_PRECISION_FP8 ? check_fp8(table, out_ids, *out_n) : REEL_OK;
}

// ---- --list_gpus ----------------------------------------------------------------

static void print_peers(const struct reel_gpu_table *t, uint32_t i, FILE *out)
{
    if (t->n < 2) return;
    fprintf(out, "; peer access to ");
    const char *comma = "";
    for (uint32_t k = 0; k < t->n; k++) {
        if (!(t->gpu[i].peers >> k & 1)) continue;
        fprintf(out, "%s%u", comma, k);
        comma = ", ";
    }
    fprintf(out, "%s", *comma ? "" : "none");
}

void devices_print(const struct reel_gpu_table *t, FILE *out)
{
    char a[64], b[64], codecs[128];
    for (uint32_t i = 0; i < t->n; i++) {
        const struct reel_gpu *g = &t->gpu[i];
        fprintf(out, "%u: %s, %s", i, g->name, memory_text(g->total_bytes, a));
        if (g->free_bytes) fprintf(out, " (%s free)", memory_text(g->free_bytes, b));
        fprintf(out, ", %d SM, compute capability %d.%d%s, %s", g->sm_count, g->cc_major, g->cc_minor,
                g->mig ? ", a MIG slice" : "", g->pci);
        if (g->numa_node >= 0) fprintf(out, ", NUMA node %d", g->numa_node);
        fprintf(out, ", %s%s\n", g->uuid, devices_usable(g) ? "" : " (too old: not used)");
        char engines[16] = "";
        if (g->decode && g->decode_engines > 1) snprintf(engines, sizeof engines, " x%u", g->decode_engines);
        fprintf(out, "   NVDEC%s: %s", engines, reel_gpu_codec_text(g->decode, codecs, sizeof codecs));
        fprintf(out, "; NVENC: %s", reel_gpu_codec_text(g->encode, codecs, sizeof codecs));
        if (g->encode_sessions) fprintf(out, " (%d at a time)", g->encode_sessions);
        print_peers(t, i, out);
        fprintf(out, "\n");
    }
    if (!t->n) fprintf(out, "%s\n", t->trouble[0] ? t->trouble : "there is no GPU");
    if (t->driver)
        fprintf(out, "driver for CUDA %d.%d, built with CUDA %d.%d, cuDNN ", t->driver / 1000, t->driver % 1000 / 10,
                t->runtime / 1000, t->runtime % 1000 / 10);
    if (t->driver && t->cudnn)
        fprintf(out, "%d.%d.%d\n", t->cudnn / 10000, t->cudnn % 10000 / 100, t->cudnn % 100);
    else if (t->driver)
        fprintf(out, "not found (./run.sh --setup installs it)\n");
}

// SPDX-License-Identifier: MIT
//
// That a killed process's writes are over when its pidfd fires: the coordinator
// gives a dead worker's slots to others then. A process keeps a GPU busy with
// writes to memory that it shares, on the device and in pinned host memory, and is
// killed in the midst; another one then writes its own mark over all of it, and
// finds it there half a second later. (Host memory by the processor's own stores
// shows, without a GPU, that the test works.)
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/cuda.h"
#include "common/mem.h"
#include "common/wire.h"
#include "tests/check.h"

#define BYTES ((size_t)64 << 20)
#define ROUNDS 8
#define QUEUED 100 // writes of a queue: tens of milliseconds of a GPU's work
#define MARK 0x77
#define SETTLE_MS 500

struct shared {
    struct reel_mem *mem;
    uint8_t *host; // [BYTES], mapped by both
    bool device;
};

static void sleep_ms(int ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000L}, NULL);
}

// ---- who writes --------------------------------------------------------------------

static enum reel_err write_on_device(const struct shared *s, void *stream, uint8_t value)
{
    enum reel_err err = REEL_OK;
    for (int i = 0; i < QUEUED && !err; i++) {
        err = reel_cuda_memset(reel_mem_base(s->mem), value, BYTES, stream);
        if (!err && i % 10 == 0) err = reel_cuda_download(s->host, reel_mem_base(s->mem), BYTES, stream);
    }
    return err ? err : reel_cuda_stream_sync(stream);
}

// Until it is killed; 1: it could not.
static int write_for_ever(int wire, struct shared *s)
{
    struct reel_mem_handle handle;
    void *stream = NULL;
    int fd = -1;
    enum reel_err err;
    while ((err = reel_wire_recv(wire, &handle, sizeof handle, &fd)) == REEL_AGAIN) sleep_ms(1);
    if (!err && s->device) err = reel_cuda_open(0);
    if (!err) err = reel_mem_open(&handle, fd, 0, &s->mem);
    if (!err && s->device) err = reel_cuda_host_register(s->host, BYTES);
    if (!err && s->device) err = reel_cuda_stream_create(&stream);
    if (!err) err = reel_wire_send(wire, "y", 1, -1);
    for (uint8_t value = 0; !err; value = (uint8_t)((value + 1) % MARK)) {
        if (s->device) {
            err = write_on_device(s, stream, value);
        } else {
            memset(reel_mem_base(s->mem), value, BYTES);
            memset(s->host, value, BYTES);
        }
    }
    fprintf(stderr, "writer: %s\n", reel_fail_text());
    return 1;
}

// ---- who looks ------------------------------------------------------------------------

static bool all_marks(const uint8_t *p)
{
    return p[0] == MARK && !memcmp(p, p + 1, BYTES - 1);
}

static enum reel_err put_marks(struct shared *s)
{
    memset(s->host, MARK, BYTES);
    if (!s->device) return memset(reel_mem_base(s->mem), MARK, BYTES), REEL_OK;
    enum reel_err err = reel_cuda_memset(reel_mem_base(s->mem), MARK, BYTES, NULL);
    return err ? err : reel_cuda_stream_sync(NULL);
}

// 0; 2: could not; 3, 4: marks are gone, on the device or on the host.
static int look_for_marks(struct shared *s)
{
    if (put_marks(s)) return 2;
    sleep_ms(SETTLE_MS);
    if (!all_marks(s->host)) return 4;
    if (!s->device) return all_marks(reel_mem_base(s->mem)) ? 0 : 3;
    uint8_t *copy = malloc(BYTES);
    int code = !copy || reel_cuda_download(copy, reel_mem_base(s->mem), BYTES, NULL) || reel_cuda_stream_sync(NULL) ? 2
               : all_marks(copy)                                                                                    ? 0
                                                                                                                    : 3;
    free(copy);
    return code;
}

// Kills the writer in its work and waits for nothing but its pidfd.
static bool kill_it(pid_t pid)
{
    struct pollfd fd = {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};
    bool dead = fd.fd >= 0 && !kill(pid, SIGKILL) && poll(&fd, 1, 10000) == 1;
    if (fd.fd >= 0) close(fd.fd);
    return dead;
}

// In a process of its own: it must fork before it uses a device.
static int round_of(enum reel_mem_kind kind, int after_ms)
{
    struct shared s = {.device = kind != REEL_MEM_HOST};
    struct reel_mem_handle handle;
    int wire[2], fd = -1;
    s.host = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (s.host == MAP_FAILED || reel_wire_pair(wire)) return 2;
    pid_t pid = fork();
    if (!pid) _exit(write_for_ever(wire[1], &s));
    enum reel_err err = s.device ? reel_cuda_open(0) : REEL_OK;
    if (!err) err = reel_mem_alloc(kind, 0, BYTES, &s.mem);
    if (!err) err = reel_mem_export(s.mem, &handle, &fd);
    if (!err) err = reel_wire_send(wire[0], &handle, sizeof handle, fd);
    char answer = 'n';
    for (int i = 0; !err && i < 20000 && (err = reel_wire_recv(wire[0], &answer, 1, &fd)) == REEL_AGAIN; i++) {
        err = REEL_OK;
        sleep_ms(1);
    }
    if (err || answer != 'y') {
        fprintf(stderr, "owner: %s\n", reel_fail_text());
        kill(pid, SIGKILL);
        return 2;
    }
    sleep_ms(after_ms);
    int code = kill_it(pid) ? look_for_marks(&s) : 5;
    waitpid(pid, NULL, 0);
    return code;
}

static int in_child(int (*f)(enum reel_mem_kind, int), enum reel_mem_kind kind, int n)
{
    pid_t pid = fork();
    if (!pid) _exit(f(kind, n));
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int lacks(enum reel_mem_kind kind, int n)
{
    struct reel_cuda_device device;
    return reel_cuda_count(&n) || reel_cuda_device(0, &device) || (kind == REEL_MEM_VMM && !device.vmm);
}

static void killed_while_it_writes(enum reel_mem_kind kind)
{
    if (kind != REEL_MEM_HOST && in_child(lacks, kind, 0)) SKIP("no GPU that has this kind");
    for (int i = 0; i < ROUNDS; i++) {
        const int code = in_child(round_of, kind, 20 + 13 * i);
        CHECK_MSG(code != 3 && code != 4, "%s memory, round %d: a dead process has written %s",
                  reel_mem_kind_name(kind), i, code == 3 ? "on the device" : "on the host");
        CHECK_INT(code, 0);
    }
}

static void host_memory(void)
{
    killed_while_it_writes(REEL_MEM_HOST);
}

static void vmm_memory(void)
{
    killed_while_it_writes(REEL_MEM_VMM);
}

static void ipc_memory(void)
{
    killed_while_it_writes(REEL_MEM_IPC);
}

CHECK_MAIN({"host memory of the killed", host_memory}, {"gpu: VMM memory of the killed", vmm_memory},
           {"gpu: legacy IPC memory of the killed", ipc_memory})

// SPDX-License-Identifier: MIT
//
// What happens when things go wrong on a GPU: a process with an illegal access
// loses its device and others do not; a killed process gives its memory back;
// what an event has shown as complete is complete in host memory.
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/cuda.h"
#include "kernels/gpu/pixels.h"
#include "tests/check.h"

// In a child, for this process must not touch a device before it forks.
static int in_child(int (*f)(void))
{
    pid_t pid = fork();
    if (!pid) _exit(f());
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int has_gpu(void)
{
    int n;
    return reel_cuda_count(&n) || reel_cuda_open(0) ? 1 : 0;
}

static int cut(void *from, void *to)
{
    struct gpu_image a = gpu_image_planar(from, GPU_PIXEL_F32, 64, 64, 3),
                     b = gpu_image_planar(to, GPU_PIXEL_F32, 64, 64, 3);
    return gpu_cut(&a, &b, 0, 0, NULL);
}

static int illegal_access(void)
{
    void *p;
    if (reel_cuda_open(0) || reel_cuda_malloc(1 << 20, &p)) return 1;
    if (cut(p, p) || reel_cuda_stream_sync(NULL) || reel_cuda_lost()) return 2;
    if (reel_cuda_check(cut(p, (void *)0x4000), "cut")) return 3; // the launch itself is fine
    if (!reel_cuda_stream_sync(NULL)) return 4;
    if (!reel_cuda_lost()) return 5;
    return reel_cuda_malloc(1 << 20, &p) ? 0 : 6; // nothing works any more
}

static int copies_while_another_faults(void)
{
    void *p;
    float *host = malloc(1 << 20);
    if (reel_cuda_open(0) || reel_cuda_malloc(1 << 20, &p)) return 1;
    for (int i = 0; i < 60; i++) {
        for (int k = 0; k < 1 << 18; k++) host[k] = (float)(i + k);
        if (reel_cuda_upload(p, host, 1 << 20, NULL) || reel_cuda_stream_sync(NULL)) return 2;
        memset(host, 0, 1 << 20);
        if (reel_cuda_download(host, p, 1 << 20, NULL) || reel_cuda_stream_sync(NULL)) return 3;
        if (host[77] != (float)(i + 77)) return 4;
        nanosleep(&(struct timespec){0, 20000000}, NULL);
    }
    return reel_cuda_lost();
}

static void a_fault_ends_one_process(void)
{
    if (in_child(has_gpu)) SKIP("no GPU");
    pid_t other = fork();
    if (!other) _exit(copies_while_another_faults());
    for (int i = 0; i < 3; i++) CHECK_INT(in_child(illegal_access), 0);
    int status = 1;
    waitpid(other, &status, 0);
    CHECK_MSG(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the other process ended with status %x",
              (unsigned)status);
}

static size_t baseline;

static int measure(void)
{
    size_t free_bytes, total;
    if (reel_cuda_open(0) || reel_cuda_mem_info(&free_bytes, &total)) return 1;
    FILE *f = fopen("/dev/shm/reelmill-test-gpu-free", "w");
    if (!f) return 2;
    fprintf(f, "%zu\n", free_bytes);
    return fclose(f) ? 3 : 0;
}

static size_t free_now(void)
{
    size_t bytes = 0;
    if (in_child(measure)) return 0;
    FILE *f = fopen("/dev/shm/reelmill-test-gpu-free", "r");
    if (f && fscanf(f, "%zu", &bytes) != 1) bytes = 0;
    if (f) fclose(f);
    unlink("/dev/shm/reelmill-test-gpu-free");
    return bytes;
}

static void memory_of_the_killed_comes_back(void)
{
    if (in_child(has_gpu)) SKIP("no GPU");
    baseline = free_now();
    int ready[2];
    CHECK(baseline && !pipe(ready));
    pid_t pid = fork();
    if (!pid) {
        void *p;
        bool ok = !reel_cuda_open(0) && !reel_cuda_malloc((size_t)2 << 30, &p) &&
                  !reel_cuda_memset(p, 1, (size_t)2 << 30, NULL) && !reel_cuda_stream_sync(NULL);
        if (write(ready[1], ok ? "y" : "n", 1) != 1) _exit(1);
        pause();
    }
    char c = 'n';
    CHECK(read(ready[0], &c, 1) == 1 && c == 'y');
    size_t held = free_now();
    CHECK_MSG(held + ((size_t)1 << 30) < baseline, "%zu bytes are free, %zu before", held, baseline);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    size_t after = 0;
    int tries = 0;
    for (; tries < 100 && after + (64 << 20) < baseline; tries++) {
        after = free_now();
        nanosleep(&(struct timespec){0, 50000000}, NULL);
    }
    CHECK_MSG(after + (64 << 20) >= baseline, "%zu bytes are free after the kill, %zu before", after, baseline);
    fprintf(stderr, "memory of a killed process was back after %d looks\n", tries);
    close(ready[0]), close(ready[1]);
}

// A long row of kernels, then the copy that publishes: the host may read only
// after the event, and then reads what the last kernel made.
static int publishes_after_completion(void)
{
    enum { N = 2048 };
    size_t bytes = (size_t)N * N * 3 * sizeof(float);
    void *a, *b, *host, *stream, *event;
    if (reel_cuda_open(0) || reel_cuda_malloc(bytes, &a) || reel_cuda_malloc(bytes, &b) ||
        reel_cuda_host_alloc(bytes, &host) || reel_cuda_stream_create(&stream) || reel_cuda_event_create(&event))
        return 1;
    struct gpu_image from = gpu_image_planar(a, GPU_PIXEL_F32, N, N, 3),
                     to = gpu_image_planar(b, GPU_PIXEL_F32, N, N, 3);
    for (int round = 1; round <= 5; round++) {
        memset(host, 0, bytes);
        float *values = host;
        for (size_t i = 0; i < bytes / sizeof *values; i++) values[i] = (float)round;
        if (reel_cuda_upload(a, host, bytes, stream) || reel_cuda_stream_sync(stream)) return 2;
        memset(host, 0xee, bytes);
        for (int i = 0; i < 200; i++)
            if (gpu_cut(&from, &to, 0, 0, stream) || gpu_cut(&to, &from, 0, 0, stream)) return 3;
        if (reel_cuda_download(host, b, bytes, stream) || reel_cuda_event_record(event, stream)) return 4;
        if (reel_cuda_event_sync(event)) return 5;
        for (size_t i = 0; i < bytes / sizeof *values; i += 511)
            if (values[i] != (float)round) return 6;
    }
    return 0;
}

static void complete_after_the_event(void)
{
    if (in_child(has_gpu)) SKIP("no GPU");
    CHECK_INT(in_child(publishes_after_completion), 0);
}

CHECK_MAIN({"gpu: a fault ends one process", a_fault_ends_one_process},
           {"gpu: memory of the killed comes back", memory_of_the_killed_comes_back},
           {"gpu: complete after the event", complete_after_the_event})

// SPDX-License-Identifier: MIT
//
// What four ZeroMQ hops cost on this machine, with nothing else in them: the
// way of a frame's messages (decoder, hub, worker, hub, aggregator), as bare
// ROUTER and DEALER sockets of four processes. `make bench` compares the
// pipeline with it.
//
//   hops COUNT INTERVAL_US    one line of JSON: quantiles of the way, in us
//
// Not the coordinator's bus: no framing, no checks, no batching.
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

#define MESSAGE_BYTES 64 // a head and one small record

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void *open_socket(int type, const char *id, const char *endpoint)
{
    void *socket = zmq_socket(zmq_ctx_new(), type);
    if (!socket) exit(1);
    if (id) zmq_setsockopt(socket, ZMQ_ROUTING_ID, id, 1);
    int rc = id ? zmq_connect(socket, endpoint) : zmq_bind(socket, endpoint);
    if (rc) {
        fprintf(stderr, "hops: could not open \"%s\": %s\n", endpoint, zmq_strerror(zmq_errno()));
        exit(1);
    }
    return socket;
}

// A peer says its name first, so that the hub knows that it is there.
static void *join_hub(const char *id, const char *endpoint)
{
    void *socket = open_socket(ZMQ_DEALER, id, endpoint);
    char hello[MESSAGE_BYTES] = {0};
    zmq_send(socket, hello, sizeof hello, 0);
    return socket;
}

static void decoder(const char *endpoint, int count, int64_t interval_us)
{
    void *socket = join_hub("d", endpoint);
    char message[MESSAGE_BYTES];
    if (zmq_recv(socket, message, sizeof message, 0) < 0) exit(1); // all are there
    int64_t next = now_ns();
    for (int i = 0; i < count; i++) {
        next += interval_us * 1000;
        struct timespec until = {next / 1000000000, next % 1000000000};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
        int64_t sent = now_ns();
        memcpy(message, &sent, sizeof sent);
        zmq_send(socket, message, sizeof message, 0);
    }
    pause();
}

static void worker(const char *endpoint)
{
    void *socket = join_hub("w", endpoint);
    char message[MESSAGE_BYTES];
    while (zmq_recv(socket, message, sizeof message, 0) >= 0) zmq_send(socket, message, sizeof message, 0);
}

static void hub(const char *endpoint, int count)
{
    void *socket = open_socket(ZMQ_ROUTER, NULL, endpoint);
    char from, message[MESSAGE_BYTES];
    int present = 0;
    for (int i = 0; i < 2 * count + 4;) {
        if (zmq_recv(socket, &from, 1, 0) < 0 || zmq_recv(socket, message, sizeof message, 0) < 0) exit(1);
        int64_t sent;
        memcpy(&sent, message, sizeof sent);
        const char *to = from == 'd' ? "w" : "a";
        if (!sent) { // a hello
            if (++present < 3) continue;
            to = "d";
        }
        zmq_send(socket, to, 1, ZMQ_SNDMORE);
        zmq_send(socket, message, sizeof message, 0);
        i++;
    }
    pause();
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static pid_t start(void)
{
    pid_t pid = fork();
    if (pid < 0) exit(1);
    if (!pid) prctl(PR_SET_PDEATHSIG, SIGKILL);
    return pid;
}

int main(int argc, char **argv)
{
    int count = argc > 1 ? atoi(argv[1]) : 500, interval_us = argc > 2 ? atoi(argv[2]) : 10000;
    if (count < 1 || interval_us < 0) return 2;
    char path[64], endpoint[80];
    snprintf(path, sizeof path, "/tmp/reelmill-hops-%d", (int)getpid());
    snprintf(endpoint, sizeof endpoint, "ipc://%s", path);
    pid_t pids[3];
    if (!(pids[0] = start())) return hub(endpoint, count), 0;
    if (!(pids[1] = start())) return worker(endpoint), 0;
    if (!(pids[2] = start())) return decoder(endpoint, count, interval_us), 0;
    void *socket = join_hub("a", endpoint);
    int timeout_ms = 10000 + interval_us / 1000;
    zmq_setsockopt(socket, ZMQ_RCVTIMEO, &timeout_ms, sizeof timeout_ms);
    double *us = calloc((size_t)count, sizeof *us);
    int n = 0;
    for (char message[MESSAGE_BYTES]; us && n < count; n++) {
        if (zmq_recv(socket, message, sizeof message, 0) < 0) break;
        int64_t sent;
        memcpy(&sent, message, sizeof sent);
        us[n] = (double)(now_ns() - sent) / 1e3;
    }
    for (int i = 0; i < 3; i++) kill(pids[i], SIGKILL);
    while (wait(NULL) > 0) continue;
    unlink(path);
    if (n < count) {
        fprintf(stderr, "hops: %d of %d messages arrived\n", n, count);
        return 1;
    }
    qsort(us, (size_t)n, sizeof *us, compare);
    printf("{\"count\": %d, \"p10_us\": %.1f, \"p50_us\": %.1f, \"p99_us\": %.1f}\n", n, us[n / 10], us[n / 2],
           us[n * 99 / 100]);
    return 0;
}

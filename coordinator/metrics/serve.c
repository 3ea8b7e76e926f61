// SPDX-License-Identifier: MIT
//
// Serves the board. See metrics/serve.h. One loop that never waits for a single client: at most
// CONNECTIONS at once (others wait in the kernel's queue), each for at most a few seconds, with a
// request of at most METRICS_REQUEST_BYTES.
#include "coordinator/metrics/serve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#if __has_include(<linux/landlock.h>)
#include <linux/landlock.h>
#endif

#include "common/life.h"
#include "coordinator/metrics/http.h"
#include "coordinator/metrics/text.h"

#define CONNECTIONS 32
#define QUEUE 256 // connections that wait in the kernel
#define LISTENERS 8
#define REQUEST_US INT64_C(5000000) // time for a request to arrive completely
#define ANSWER_US INT64_C(10000000) // time for the client to receive the answer
#define LINGER_US INT64_C(1000000)  // time for the client to close before its connection is reset
#define BUSY_TRIES 20               // a previous run may be about to release the port
#define BUSY_MS 50
#define BOARD_TRIES 1000 // attempts at a consistent reading while the coordinator writes

enum connection_state { CONNECTION_FREE, CONNECTION_READS, CONNECTION_WRITES, CONNECTION_LINGERS };

struct connection {
    enum connection_state state;
    int fd;
    int64_t until_us;
    size_t read;
    char request[METRICS_REQUEST_BYTES];
    char *answer; // head and body
    size_t answer_bytes, written;
};

struct server {
    const struct metrics_board *board;
    int listener[LISTENERS];
    int n_listeners;
    unsigned port;
    struct metrics_data data; // a copy of the board
    struct connection connection[CONNECTIONS];
};

// ---- the board ------------------------------------------------------------------

// Makes a consistent copy of the board. Pairs with publish() in metrics.c.
static bool read_board(struct server *s)
{
    for (int i = 0; i < BOARD_TRIES; i++) {
        uint32_t before = atomic_load_explicit(&s->board->turn, memory_order_acquire);
        if (!(before & 1)) {
            memcpy(&s->data, (const void *)&s->board->data, sizeof s->data);
            atomic_thread_fence(memory_order_acquire);
            if (atomic_load_explicit(&s->board->turn, memory_order_relaxed) == before) return true;
        }
        usleep(100);
    }
    return false; // the coordinator was stopped in the middle of writing
}

static bool map_board(int fd, const struct metrics_board **out)
{
    const struct metrics_board *board = mmap(NULL, sizeof *board, PROT_READ, MAP_SHARED, fd, 0);
    if (board == MAP_FAILED || board->magic != METRICS_MAGIC || board->bytes != sizeof *board) return false;
    *out = board;
    return true;
}

// ---- listening ------------------------------------------------------------------

static int listen_at(const struct addrinfo *a)
{
    int one = 1, fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (a->ai_family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    int rc = -1;
    for (int i = 0; i < BUSY_TRIES; i++) {
        rc = bind(fd, a->ai_addr, a->ai_addrlen);
        if (!rc || errno != EADDRINUSE) break;
        usleep(BUSY_MS * 1000);
    }
    if (!rc && !listen(fd, QUEUE)) return fd;
    int why = errno;
    close(fd);
    errno = why;
    return -1;
}

static unsigned port_of(int fd)
{
    struct sockaddr_storage address;
    socklen_t bytes = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &bytes)) return 0;
    return ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
                                               : ((struct sockaddr_in *)&address)->sin_port);
}

static void set_port(const struct addrinfo *a, unsigned port)
{
    if (a->ai_family == AF_INET6)
        ((struct sockaddr_in6 *)a->ai_addr)->sin6_port = htons((uint16_t)port);
    else
        ((struct sockaddr_in *)a->ai_addr)->sin_port = htons((uint16_t)port);
}

// Listens on every address of the host. Addresses that this machine does not have (IPv6) are
// skipped if another one works. why: the reason of a failure, as text.
static bool listen_all(struct server *s, const char *address, char *why, size_t bytes)
{
    char host[METRICS_HOST_BYTES], port[8];
    bool all;
    if (!metrics_parse_address(address, host, &s->port, &all)) return false;
    snprintf(port, sizeof port, "%u", s->port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *found = NULL;
    int rc = getaddrinfo(all ? NULL : host, port, &hints, &found);
    if (rc) {
        snprintf(why, bytes, "%s", rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc));
        return false;
    }
    int error = 0;
    for (const struct addrinfo *a = found; a && s->n_listeners < LISTENERS; a = a->ai_next) {
        if (a->ai_family != AF_INET && a->ai_family != AF_INET6) continue;
        if (s->n_listeners) set_port(a, s->port); // port 0: the first address has chosen one
        int fd = listen_at(a);
        if (fd < 0) {
            bool absent = errno == EADDRNOTAVAIL || errno == EAFNOSUPPORT;
            if (!error || !absent) error = errno;
            if (!absent) break;
            continue;
        }
        s->listener[s->n_listeners++] = fd;
        s->port = port_of(fd);
    }
    freeaddrinfo(found);
    bool absent = error == EADDRNOTAVAIL || error == EAFNOSUPPORT;
    if (s->n_listeners && (!error || absent)) return true;
    snprintf(why, bytes, "%s", error ? strerror(error) : "no such address");
    return false;
}

// ---- the sandbox ----------------------------------------------------------------

// From now on this process cannot open files, start programs or write much. Restrictions that
// the kernel does not support are left out.
static void lock_in(void)
{
    struct rlimit files = {LISTENERS + CONNECTIONS + 16, LISTENERS + CONNECTIONS + 16}, none = {0, 0};
    setrlimit(RLIMIT_NOFILE, &files);
    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
#if defined(LANDLOCK_ACCESS_FS_MAKE_SYM) && defined(SYS_landlock_create_ruleset) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
    struct landlock_ruleset_attr all = {.handled_access_fs = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1};
    int rules = (int)syscall(SYS_landlock_create_ruleset, &all, sizeof all.handled_access_fs, 0);
    if (rules < 0) return;
    syscall(SYS_landlock_restrict_self, rules, 0);
    close(rules);
#endif
}

// ---- one connection -------------------------------------------------------------

static void end(struct connection *c)
{
    close(c->fd);
    free(c->answer);
    *c = (struct connection){.state = CONNECTION_FREE, .fd = -1};
}

static void begin(struct connection *c, int fd, int64_t now_us)
{
    c->state = CONNECTION_READS;
    c->fd = fd;
    c->until_us = now_us + REQUEST_US;
    c->read = c->written = c->answer_bytes = 0;
    c->answer = NULL;
}

static char *body_of(struct server *s, struct metrics_request *request, size_t *out_bytes)
{
    if (request->status == 200 && request->document != METRICS_PAGE && !read_board(s)) request->status = 503;
    char *body = NULL;
    if (request->status != 200 || request->document == METRICS_PAGE) {
        const char *text = request->status == 200 ? metrics_page : metrics_status_text(request->status);
        *out_bytes = strlen(text);
        return strdup(text);
    }
    body = request->document == METRICS_TEXT ? metrics_prometheus(&s->data, out_bytes)
                                             : metrics_status(&s->data, out_bytes);
    return body;
}

// Makes the whole answer. False when out of memory.
static bool answer(struct server *s, struct connection *c, struct metrics_request *request, int64_t now_us)
{
    size_t bytes;
    char *body = body_of(s, request, &bytes), head[1024];
    if (!body) return false;
    size_t n = metrics_answer_head(request, bytes, time(NULL), head, sizeof head);
    if (request->head_only) bytes = 0;
    c->answer = malloc(n + bytes);
    if (c->answer) {
        memcpy(c->answer, head, n);
        memcpy(c->answer + n, body, bytes);
    }
    free(body);
    c->answer_bytes = n + bytes;
    c->written = 0;
    c->state = CONNECTION_WRITES;
    c->until_us = now_us + ANSWER_US;
    return c->answer != NULL;
}

static bool again(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

static void read_some(struct server *s, struct connection *c, int64_t now_us)
{
    ssize_t n = recv(c->fd, c->request + c->read, sizeof c->request - c->read, 0);
    if (n <= 0) {
        if (n == 0 || !again()) end(c);
        return;
    }
    c->read += (size_t)n;
    struct metrics_request request;
    if (!metrics_parse_request(c->request, c->read, &request)) return;
    if (!answer(s, c, &request, now_us)) end(c);
}

static void write_some(struct connection *c, int64_t now_us)
{
    ssize_t n = send(c->fd, c->answer + c->written, c->answer_bytes - c->written, MSG_NOSIGNAL);
    if (n < 0) {
        if (!again()) end(c);
        return;
    }
    c->written += (size_t)n;
    if (c->written < c->answer_bytes) return;
    // Closing while something is unread would reset the connection and lose the answer.
    shutdown(c->fd, SHUT_WR);
    c->state = CONNECTION_LINGERS;
    c->until_us = now_us + LINGER_US;
}

static void drain(struct connection *c)
{
    ssize_t n = recv(c->fd, c->request, sizeof c->request, 0);
    if (n == 0 || (n < 0 && !again())) end(c);
}

// ---- the loop -------------------------------------------------------------------

// A place for another connection: a free one, or that of the client that was answered longest
// ago. NULL: all are in use.
static struct connection *find_place(struct server *s)
{
    struct connection *answered = NULL;
    for (int i = 0; i < CONNECTIONS; i++) {
        struct connection *c = &s->connection[i];
        if (c->state == CONNECTION_FREE) return c;
        if (c->state == CONNECTION_LINGERS && (!answered || c->until_us < answered->until_us)) answered = c;
    }
    return answered;
}

static void accept_all(struct server *s, int listener, int64_t now_us)
{
    for (struct connection *c; (c = find_place(s));) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) return;
        if (c->state != CONNECTION_FREE) end(c);
        begin(c, fd, now_us);
    }
}

static void turn(struct server *s)
{
    struct pollfd polled[LISTENERS + CONNECTIONS];
    struct connection *of[LISTENERS + CONNECTIONS];
    int n = 0, listeners = find_place(s) ? s->n_listeners : 0;
    int64_t now_us = reel_now_us(), until_us = INT64_MAX;
    for (; n < listeners; n++) polled[n] = (struct pollfd){.fd = s->listener[n], .events = POLLIN};
    for (int i = 0; i < CONNECTIONS; i++) {
        struct connection *c = &s->connection[i];
        if (c->state != CONNECTION_FREE && now_us >= c->until_us) end(c);
        if (c->state == CONNECTION_FREE) continue;
        if (c->until_us < until_us) until_us = c->until_us;
        of[n] = c;
        polled[n++] = (struct pollfd){.fd = c->fd, .events = c->state == CONNECTION_WRITES ? POLLOUT : POLLIN};
    }
    int wait_ms = until_us == INT64_MAX ? -1 : (int)((until_us - now_us) / 1000) + 1;
    if (poll(polled, (nfds_t)n, wait_ms) <= 0) return;
    now_us = reel_now_us();
    for (int i = listeners; i < n; i++) {
        if (!polled[i].revents) continue;
        if (of[i]->state == CONNECTION_READS)
            read_some(s, of[i], now_us);
        else if (of[i]->state == CONNECTION_WRITES)
            write_some(of[i], now_us);
        else
            drain(of[i]);
    }
    for (int i = 0; i < listeners; i++)
        if (polled[i].revents) accept_all(s, polled[i].fd, now_us);
}

static int serve(struct server *s, pid_t parent, int board_fd, int ready_fd, const char *address)
{
    char why[256] = "not an address", text[METRICS_ANSWER_BYTES];
    if (reel_life_adopt(parent)) return 1;
    prctl(PR_SET_NAME, "metrics");
    signal(SIGHUP, SIG_IGN); // the coordinator decides when to end, as for Ctrl-C
    bool good = map_board(board_fd, &s->board);
    if (!good) snprintf(why, sizeof why, "the board is not of this build");
    if (good) good = listen_all(s, address, why, sizeof why);
    close(board_fd);
    int n = good ? snprintf(text, sizeof text, "ok %u", s->port) : snprintf(text, sizeof text, "%s", why);
    if (write(ready_fd, text, (size_t)n) != n || !good) return 1;
    close(ready_fd);
    lock_in();
    for (;;) turn(s);
}

bool metrics_serve_if_asked(int argc, char **argv, int *out_code)
{
    if (argc != 6 || strcmp(argv[1], METRICS_MARK)) return false;
    struct server *s = calloc(1, sizeof *s);
    *out_code = s ? serve(s, (pid_t)atoi(argv[2]), atoi(argv[3]), atoi(argv[4]), argv[5]) : 1;
    free(s);
    return true;
}

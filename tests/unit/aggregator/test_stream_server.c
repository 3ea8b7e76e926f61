// SPDX-License-Identifier: MIT
//
// Live outputs that are sent to a server which works, comes late, goes away, or takes nothing.
#include <arpa/inet.h>
#include <pthread.h>
#include <sys/socket.h>

#include "tests/unit/aggregator/stream_lab.h"

#include "common/life.h"

// Takes connections one after another and writes what comes into files.
struct server {
    int fd, port;
    pthread_t thread;
    char folder[CHECK_FOLDER_BYTES];
    size_t limit;        // bytes after which the first connection is closed; 0: never
    _Atomic bool deaf;   // takes nothing from a connection
    _Atomic int taken;   // connections that came
    _Atomic bool closed; // the first was
};

static void *serve(void *arg)
{
    struct server *s = arg;
    for (;;) {
        int c = accept(s->fd, NULL, NULL);
        if (c < 0) return NULL;
        int number = ++s->taken;
        char path[200], block[4096];
        snprintf(path, sizeof path, "%s/got%d.ts", s->folder, number);
        FILE *f = fopen(path, "wb");
        size_t got = 0;
        ssize_t n;
        while (s->deaf) usleep(10000);
        while ((n = read(c, block, sizeof block)) > 0) {
            fwrite(block, 1, (size_t)n, f);
            got += (size_t)n;
            if (number == 1 && s->limit && got >= s->limit) break;
        }
        fclose(f);
        close(c);
        s->closed = true;
    }
}

static bool server_bind(struct server *s, int port)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int on = 1;
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(s->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(s->fd, (struct sockaddr *)&a, sizeof a) || getsockname(s->fd, (struct sockaddr *)&a, &n)) return false;
    s->port = ntohs(a.sin_port);
    return true;
}

static bool server_listen(struct server *s)
{
    return !listen(s->fd, 4) && !pthread_create(&s->thread, NULL, serve, s);
}

static void server_stop(struct server *s)
{
    s->deaf = false;
    shutdown(s->fd, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    close(s->fd);
}

static enum reel_err prove_tcp(struct lab *l, struct server *s)
{
    lab_init(l, REEL_OUTPUT_STREAM, "unused");
    snprintf(l->output, sizeof l->output, "tcp://127.0.0.1:%d", s->port);
    snprintf(s->folder, sizeof s->folder, "%s", l->folder);
    enum reel_err err = lab_live(l);
    struct reel_media media = lab_media(192, 96, LAB_YUV420);
    return err ? err : lab_prove(l, REEL_TASK_IMAGE, &media, 1, 0);
}

static const char *got(const struct server *s, int number)
{
    static char path[200];
    snprintf(path, sizeof path, "%s/got%d.ts", s->folder, number);
    return path;
}

static void to_a_server(void)
{
    struct server s = {0};
    struct lab l;
    CHECK(server_bind(&s, 0) && server_listen(&s));
    CHECK_INT(prove_tcp(&l, &s), REEL_OK);
    struct reel_pack_writer *w = begin_audio(&l, 0);
    int at = 0;
    CHECK_INT(lab_open(&l, 0), REEL_OK);
    for (int k = 0; k < 60; k++) {
        put_audio(w, &at, k * STEP + 2000);
        CHECK_INT(lab_frame(&l, k * STEP), REEL_OK);
    }
    CHECK_INT(lab_commit(&l), REEL_OK);
    CHECK_INT(l.committed[0].frames, 60);
    struct reel_rec_muxed muxed;
    CHECK_INT(finish(&l, &muxed), REEL_OK);
    reel_pack_abandon(&w);
    server_stop(&s);
    static struct back b;
    CHECK(read_back(got(&s, 1), &b));
    CHECK_INT(b.frames, 60);
    CHECK_INT(b.audio, at);
    CHECK_NEAR(b.pts[59], 59 * 40000, 20);
    CHECK_STR(l.notes, "");
    lab_fini(&l);
}

// The server goes away and comes again: what was not sent is counted and said, what
// follows begins with a keyframe.
static void server_goes_away(void)
{
    struct server s = {.limit = 20000};
    struct lab l;
    CHECK(server_bind(&s, 0) && server_listen(&s));
    CHECK_INT(prove_tcp(&l, &s), REEL_OK);
    CHECK_INT(lab_open(&l, 0), REEL_OK);
    int k = 0;
    int64_t until = reel_now_us() + 20000000;
    // Frames at some pace until the second connection has had a few.
    for (int more = 20; more && reel_now_us() < until; k++) {
        CHECK_INT(lab_frame(&l, k * STEP), REEL_OK);
        if (s.taken > 1) more--;
        if (s.closed) usleep(10000);
    }
    CHECK_INT(lab_commit(&l), REEL_OK);
    struct reel_rec_muxed muxed;
    CHECK_INT(finish(&l, &muxed), REEL_OK);
    server_stop(&s);
    CHECK_INT(s.taken, 2);
    CHECK_INT(l.committed[0].frames + l.committed[0].unsent, k);
    CHECK(l.committed[0].unsent > 0);
    CHECK_INT(muxed.unsent, l.committed[0].unsent);
    CHECK_HAS(l.notes, "lost the connection to \"tcp://127.0.0.1:");
    CHECK_HAS(l.notes, "connected to \"tcp://127.0.0.1:");
    static struct back b;
    CHECK(read_back(got(&s, 2), &b));
    CHECK(b.frames > 5 && b.packet[0].key);
    CHECK_NEAR(b.pts[b.frames - 1], (k - 1) * 40000, 20); // the clock went on
    lab_fini(&l);
}

// Nobody listens: everything is given up, nothing waits, nothing is left open.
static void no_server(void)
{
    static const char *const schemes[] = {"tcp", "rtmp", "rtsp", "http"};
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        struct server s = {0};
        struct lab l;
        CHECK(server_bind(&s, 0)); // taken, but not listened on
        lab_init(&l, REEL_OUTPUT_STREAM, "unused");
        snprintf(l.output, sizeof l.output, "%s://127.0.0.1:%d/a/b", schemes[i], s.port);
        CHECK_INT(lab_live(&l), REEL_OK);
        struct reel_media media = lab_media(192, 96, LAB_YUV420);
        CHECK_INT(lab_prove(&l, REEL_TASK_IMAGE, &media, 1, 0), REEL_OK);
        struct reel_pack_writer *w = begin_audio(&l, 0);
        int files = lab_count_files("/proc/self/fd");
        CHECK_INT(lab_open(&l, 0), REEL_OK);
        int64_t from = reel_now_us();
        for (int k = 0; k < 60; k++) CHECK_INT(lab_frame(&l, k * STEP), REEL_OK);
        CHECK_INT(lab_commit(&l), REEL_OK);
        CHECK_INT(l.taken, 60);
        CHECK_INT(l.committed[0].frames, 0);
        CHECK_INT(l.committed[0].unsent, 60);
        CHECK_INT(lab_count_files("/proc/self/fd"), files);
        struct reel_rec_muxed muxed;
        CHECK_INT(finish(&l, &muxed), REEL_OK);
        CHECK_MSG(reel_now_us() - from < 3000000, "%s took %lld ms", schemes[i],
                  (long long)(reel_now_us() - from) / 1000);
        CHECK_HAS(l.notes, "Connection refused");
        reel_pack_abandon(&w);
        close(s.fd);
        lab_fini(&l);
    }
}

// A server that takes the connection and no byte: frames wait, then it counts as gone.
static void deaf_server(void)
{
    struct server s = {.deaf = true};
    struct lab l;
    CHECK(server_bind(&s, 0));
    int small = 4096;
    setsockopt(s.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    CHECK(server_listen(&s));
    CHECK_INT(prove_tcp(&l, &s), REEL_OK);
    snprintf(l.output, sizeof l.output, "tcp://127.0.0.1:%d?send_buffer_size=4096", s.port);
    snprintf(l.settings.encoder_opts, sizeof l.settings.encoder_opts, "qp=1");
    CHECK_INT(lab_open(&l, 0), REEL_OK);
    int64_t from = reel_now_us();
    char text[REEL_TEXT_BYTES] = "";
    int k = 0;
    while (!live_take_note(l.live, text) && reel_now_us() - from < 20000000)
        CHECK_INT(lab_frame(&l, k++ * STEP), REEL_OK);
    CHECK_HAS(text, "no answer");
    lane_close(&l.lane);
    CHECK_MSG(reel_now_us() - from < 12000000, "it took %lld ms", (long long)(reel_now_us() - from) / 1000);
    server_stop(&s);
    lab_fini(&l);
}

CHECK_MAIN({"to_a_server", to_a_server}, {"server_goes_away", server_goes_away}, {"no_server", no_server},
           {"deaf_server", deaf_server})

// SPDX-License-Identifier: MIT
#include "tests/check.h"

#include <dlfcn.h>
#include <unistd.h>

#include "common/bus.h"
#include "common/life.h"
#include "common/shm.h"

static char path[64];

static struct reel_bus *hub(void)
{
    struct reel_bus *bus = NULL;
    snprintf(path, sizeof path, "/tmp/reel-test-bus-%d", (int)getpid());
    if (reel_bus_open_hub(path, &bus)) fprintf(stderr, "%s\n", reel_fail_text());
    return bus;
}

// The next message within two seconds.
static enum reel_err next(struct reel_bus *bus, struct reel_msg *msg)
{
    int64_t until = reel_now_us() + 2000000;
    enum reel_err err;
    while ((err = reel_bus_recv(bus, msg)) == REEL_AGAIN && reel_now_us() < until)
        reel_bus_wait(bus, NULL, NULL, 0, 100);
    return err;
}

// Records posted one by one arrive in order, gathered into few messages.
static void batches(void)
{
    reel_peer self = reel_peer_make(REEL_WORKER, 3, 1);
    struct reel_bus *a = hub(), *b = NULL;
    CHECK(a);
    CHECK_INT(reel_bus_admit(a, self, NULL), REEL_OK);
    CHECK_INT(reel_bus_open_peer(path, self, NULL, &b), REEL_OK);
    struct reel_msg msg;
    struct reel_rec_ready ready = {.credits = 2};
    CHECK_INT(reel_bus_post(b, REEL_BUS_HUB, REEL_MSG_READY, &ready), REEL_OK);
    CHECK_INT(reel_bus_flush(b), REEL_OK);
    CHECK_INT(next(a, &msg), REEL_OK);
    CHECK_INT(msg.type, REEL_MSG_READY);
    CHECK(msg.from == self);

    const uint32_t total = 2000;
    for (uint32_t i = 0; i < total; i++) {
        struct reel_rec_work work = {.lane = 1, .epoch = 2, .n = i};
        CHECK_INT(reel_bus_post(a, self, REEL_MSG_WORK, &work), REEL_OK);
    }
    CHECK_INT(reel_bus_post(a, self, REEL_MSG_QUIT, NULL), REEL_OK);
    CHECK_INT(reel_bus_flush(a), REEL_OK);
    uint32_t n = 0, messages = 0;
    while (n < total) {
        CHECK_INT(next(b, &msg), REEL_OK);
        CHECK_INT(msg.type, REEL_MSG_WORK);
        const struct reel_rec_work *work = msg.records;
        for (uint32_t i = 0; i < msg.count; i++) CHECK_INT(work[i].n, n++);
        messages++;
    }
    CHECK_INT(messages, (total + REEL_MAX_RECORDS - 1) / REEL_MAX_RECORDS);
    CHECK_INT(next(b, &msg), REEL_OK);
    CHECK_INT(msg.type, REEL_MSG_QUIT);
    reel_bus_close(&b);
    reel_bus_close(&a);
}

// A new incarnation is another peer; the old one's messages are not heard.
static void incarnations(void)
{
    reel_peer old = reel_peer_make(REEL_DECODER, 0, 1), new = reel_peer_make(REEL_DECODER, 0, 2);
    struct reel_bus *a = hub(), *b = NULL, *c = NULL;
    CHECK(a);
    CHECK_INT(reel_bus_admit(a, old, NULL), REEL_OK);
    CHECK_INT(reel_bus_open_peer(path, old, NULL, &b), REEL_OK);
    reel_bus_expel(a, old);
    CHECK_INT(reel_bus_admit(a, new, NULL), REEL_OK);
    struct reel_rec_lane lane = {.lane = 1};
    CHECK_INT(reel_bus_post(b, REEL_BUS_HUB, REEL_MSG_LANE_CLOSED, &lane), REEL_OK);
    CHECK_INT(reel_bus_flush(b), REEL_OK);
    CHECK_INT(reel_bus_open_peer(path, new, NULL, &c), REEL_OK);
    lane.lane = 2;
    CHECK_INT(reel_bus_post(c, REEL_BUS_HUB, REEL_MSG_LANE_CLOSED, &lane), REEL_OK);
    CHECK_INT(reel_bus_flush(c), REEL_OK);
    struct reel_msg msg;
    CHECK_INT(next(a, &msg), REEL_OK);
    CHECK_INT(((const struct reel_rec_lane *)msg.records)->lane, 2);
    reel_bus_close(&c);
    reel_bus_close(&b);
    reel_bus_close(&a);
}

// A gap in a sender's numbers is its end: here the hub has forgotten the first one.
static void lost_message(void)
{
    reel_peer self = reel_peer_make(REEL_WORKER, 4, 1);
    struct reel_bus *a = hub(), *b = NULL;
    CHECK(a);
    CHECK_INT(reel_bus_admit(a, self, NULL), REEL_OK);
    CHECK_INT(reel_bus_open_peer(path, self, NULL, &b), REEL_OK);
    struct reel_msg msg;
    struct reel_rec_ready ready = {.credits = 1};
    CHECK_INT(reel_bus_post(b, REEL_BUS_HUB, REEL_MSG_READY, &ready), REEL_OK);
    CHECK_INT(reel_bus_flush(b), REEL_OK);
    CHECK_INT(next(a, &msg), REEL_OK);
    reel_bus_expel(a, self);
    CHECK_INT(reel_bus_admit(a, self, NULL), REEL_OK);
    CHECK_INT(reel_bus_post(b, REEL_BUS_HUB, REEL_MSG_READY, &ready), REEL_OK);
    CHECK_INT(reel_bus_flush(b), REEL_OK);
    CHECK_INT(next(a, &msg), REEL_GONE);
    CHECK(msg.from == self);
    CHECK_HAS(reel_fail_text(), "message 1 was lost");
    reel_bus_close(&b);
    reel_bus_close(&a);
}

// Nonsense in a box is the end of who has it.
static void nonsense_in_a_box(void)
{
    reel_peer self = reel_peer_make(REEL_WORKER, 4, 1);
    struct reel_bus *a = hub(), *b = NULL;
    struct reel_box *box = NULL;
    struct reel_box_fds fds;
    CHECK(a);
    CHECK_INT(reel_bus_admit(a, self, &fds), REEL_OK);
    CHECK_INT(reel_bus_open_peer(path, self, &fds, &b), REEL_OK);
    CHECK_INT(reel_box_attach(&fds, &box), REEL_OK); // a second hand in the same ring
    struct reel_msg msg;
    uint8_t nonsense[64] = {0};
    CHECK(reel_box_put(box, nonsense, sizeof nonsense));
    CHECK_INT(next(a, &msg), REEL_GONE);
    CHECK(msg.from == self);
    CHECK_HAS(reel_fail_text(), "not a message of this version");
    CHECK_INT(reel_bus_recv(a, &msg), REEL_AGAIN); // once is enough
    reel_box_close(&box);
    reel_bus_close(&b);
    reel_bus_expel(a, self);

    CHECK_INT(reel_bus_admit(a, self, &fds), REEL_OK);
    void *base = NULL;
    off_t bytes = lseek(fds.memory, 0, SEEK_END);
    CHECK_INT(reel_shm_map(fds.memory, (uint64_t)bytes, &base), REEL_OK);
    ((uint64_t *)base)[(size_t)bytes / 16] = UINT64_MAX / 2; // the second ring's head
    CHECK_INT(next(a, &msg), REEL_GONE);
    CHECK_HAS(reel_fail_text(), "broke its ring");
    CHECK_INT(reel_bus_recv(a, &msg), REEL_AGAIN);
    enum reel_err err = REEL_OK;
    for (int i = 0; i < 50 && !err; i++) err = reel_bus_wait(a, NULL, NULL, 0, 1); // old news are over some time
    CHECK_INT(err, REEL_AGAIN);
    reel_shm_unmap(base, (uint64_t)bytes);
    reel_box_close(&box);
    reel_bus_close(&b);
    reel_bus_close(&a);
}

// Sending to one that is not there neither fails nor blocks.
static void absent_peer(void)
{
    reel_peer gone = reel_peer_make(REEL_WORKER, 9, 1);
    struct reel_bus *a = hub();
    CHECK(a);
    CHECK_INT(reel_bus_admit(a, gone, NULL), REEL_OK);
    struct reel_rec_lane lane = {0};
    CHECK_INT(reel_bus_post(a, gone, REEL_MSG_CLOSE_LANE, &lane), REEL_OK);
    CHECK_INT(reel_bus_flush(a), REEL_OK);
    reel_bus_close(&a);
    CHECK(access(path, F_OK) != 0);
}

// Paced flushes gather what is posted in quick succession, and send at once
// what comes slowly.
static void paced(void)
{
    reel_peer self = reel_peer_make(REEL_DECODER, 1, 1);
    struct reel_bus *a = hub(), *b = NULL;
    CHECK(a);
    CHECK_INT(reel_bus_admit(a, self, NULL), REEL_OK);
    CHECK_INT(reel_bus_open_peer(path, self, NULL, &b), REEL_OK);
    struct reel_msg msg;
    struct reel_rec_decoded rec = {.lane = 1};
    for (uint32_t i = 0; i < 3; i++, rec.n++) { // far apart, measured by a most_us of nothing
        CHECK_INT(reel_bus_post(b, REEL_BUS_HUB, REEL_MSG_DECODED, &rec), REEL_OK);
        CHECK_INT(reel_bus_flush_paced(b, 0), REEL_OK);
        CHECK_INT(next(a, &msg), REEL_OK);
        CHECK_INT(msg.count, 1);
    }
    for (uint32_t i = 0; i < 100; i++, rec.n++) {
        CHECK_INT(reel_bus_post(b, REEL_BUS_HUB, REEL_MSG_DECODED, &rec), REEL_OK);
        CHECK_INT(reel_bus_flush_paced(b, INT64_C(3600000000)), REEL_OK);
    }
    CHECK_INT(reel_bus_recv(a, &msg), REEL_AGAIN);
    reel_bus_wait(b, NULL, NULL, 0, 0); // who sleeps has sent everything
    CHECK_INT(next(a, &msg), REEL_OK);
    CHECK_INT(msg.count, 100);
    reel_bus_close(&b);
    reel_bus_close(&a);
}

// Each peer has an open message of its own: turning from one to the other and
// back splits nothing, and what a dead peer was to get is forgotten.
static void open_messages(void)
{
    reel_peer one = reel_peer_make(REEL_WORKER, 0, 1), two = reel_peer_make(REEL_WORKER, 1, 1);
    struct reel_bus *a = hub(), *b = NULL, *c = NULL;
    CHECK(a);
    CHECK_INT(reel_bus_admit(a, one, NULL), REEL_OK);
    CHECK_INT(reel_bus_admit(a, two, NULL), REEL_OK);
    CHECK_INT(reel_bus_open_peer(path, one, NULL, &b), REEL_OK);
    CHECK_INT(reel_bus_open_peer(path, two, NULL, &c), REEL_OK);
    struct reel_msg msg;
    struct reel_rec_ready ready = {.credits = 1};
    CHECK_INT(reel_bus_post(c, REEL_BUS_HUB, REEL_MSG_READY, &ready), REEL_OK);
    CHECK_INT(reel_bus_flush(c), REEL_OK);
    CHECK_INT(next(a, &msg), REEL_OK); // connected
    for (uint32_t i = 0; i < 40; i++) {
        struct reel_rec_work work = {.n = i};
        CHECK_INT(reel_bus_post(a, i % 2 ? two : one, REEL_MSG_WORK, &work), REEL_OK);
    }
    reel_bus_expel(a, one);
    CHECK_INT(reel_bus_flush(a), REEL_OK);
    CHECK_INT(next(c, &msg), REEL_OK);
    CHECK_INT(msg.count, 20);
    CHECK_INT(reel_bus_recv(b, &msg), REEL_AGAIN);
    reel_bus_close(&c);
    reel_bus_close(&b);
    reel_bus_close(&a);
}

// What goes with frames takes the box, the rest and what finds no room the
// socket; the order is that of the posts, whatever is quicker.
static void two_ways(void)
{
    reel_peer self = reel_peer_make(REEL_WORKER, 5, 1), other = reel_peer_make(REEL_WORKER, 6, 1);
    struct reel_bus *a = hub(), *b = NULL, *c = NULL;
    struct reel_box_fds fds, other_fds;
    CHECK(a);
    CHECK_INT(reel_bus_admit(a, other, &other_fds), REEL_OK);
    CHECK_INT(reel_bus_admit(a, self, &fds), REEL_OK);
    CHECK_INT(reel_bus_open_peer(path, other, &other_fds, &c), REEL_OK);
    CHECK_INT(reel_bus_open_peer(path, self, &fds, &b), REEL_OK);
    struct reel_msg msg;
    struct reel_rec_ready ready = {.credits = 1};
    struct reel_rec_lane closed = {.lane = 0};
    CHECK_INT(reel_bus_post(b, REEL_BUS_HUB, REEL_MSG_LANE_CLOSED, &closed), REEL_OK);
    CHECK_INT(reel_bus_flush(b), REEL_OK);
    CHECK_INT(next(a, &msg), REEL_OK); // connected
    // The first link goes, the second moves to its place.
    CHECK_INT(reel_bus_post(c, REEL_BUS_HUB, REEL_MSG_READY, &ready), REEL_OK);
    CHECK_INT(reel_bus_flush(c), REEL_OK);
    CHECK_INT(next(a, &msg), REEL_OK);
    CHECK(msg.from == other);
    reel_bus_expel(a, other);
    uint32_t posted = 0, seen = 0;
    for (uint32_t i = 0; i < 3000; i++, posted++) {
        struct reel_rec_work work = {.n = posted};
        struct reel_rec_lane lane = {.lane = posted};
        bool seldom = i % 7 == 3 || i % 300 < 2;
        CHECK_INT(reel_bus_post(a, self, seldom ? REEL_MSG_CLOSE_LANE : REEL_MSG_WORK, seldom ? (void *)&lane : &work),
                  REEL_OK);
        if (i % 5 == 0) CHECK_INT(reel_bus_flush(a), REEL_OK);
        while (i % 1000 > 700 && !reel_bus_recv(b, &msg)) // before: the ring runs over
            for (uint32_t k = 0; k < msg.count; k++, seen++)
                CHECK_INT(msg.type == REEL_MSG_WORK ? ((const struct reel_rec_work *)msg.records)[k].n
                                                    : ((const struct reel_rec_lane *)msg.records)[k].lane,
                          seen);
    }
    CHECK_INT(reel_bus_flush(a), REEL_OK);
    while (seen < posted) {
        CHECK_INT(next(b, &msg), REEL_OK);
        for (uint32_t k = 0; k < msg.count; k++, seen++)
            CHECK_INT(msg.type == REEL_MSG_WORK ? ((const struct reel_rec_work *)msg.records)[k].n
                                                : ((const struct reel_rec_lane *)msg.records)[k].lane,
                      seen);
    }
    // And the other way.
    CHECK_INT(reel_bus_post(b, REEL_BUS_HUB, REEL_MSG_READY, &ready), REEL_OK);
    CHECK_INT(reel_bus_flush(b), REEL_OK);
    CHECK_INT(next(a, &msg), REEL_OK);
    CHECK(msg.from == self);
    reel_bus_close(&c);
    reel_bus_close(&b);
    reel_bus_close(&a);
}

// The short way is taken, and only by what goes with frames.
static void short_way(void)
{
    reel_peer self = reel_peer_make(REEL_WORKER, 8, 1);
    struct reel_bus *a = hub();
    struct reel_box *box = NULL;
    struct reel_box_fds fds;
    CHECK(a);
    CHECK_INT(reel_bus_admit(a, self, &fds), REEL_OK);
    CHECK_INT(reel_box_attach(&fds, &box), REEL_OK);
    for (int t = 1; t < REEL_MSG_TYPES; t++) {
        static const uint64_t record[1024];
        bool frames = t == REEL_MSG_WINDOW || t == REEL_MSG_DECODED || t == REEL_MSG_READY || t == REEL_MSG_WORK ||
                      t == REEL_MSG_DONE || t == REEL_MSG_FRAME || t == REEL_MSG_TAKEN;
        CHECK(reel_msg_record_bytes(t) <= sizeof record);
        CHECK_INT(reel_bus_post(a, self, t, record), REEL_OK);
        CHECK_INT(reel_bus_flush(a), REEL_OK);
        const void *data;
        size_t bytes;
        CHECK_INT(reel_box_peek(box, &data, &bytes), frames ? REEL_OK : REEL_AGAIN);
        if (frames) reel_box_drop(box);
    }
    reel_box_close(&box);
    reel_bus_close(&a);
}

// Who waits without end is woken by either way, and by nothing else.
static void woken(void)
{
    reel_peer self = reel_peer_make(REEL_WORKER, 7, 1);
    struct reel_bus *a = hub(), *b = NULL;
    struct reel_box_fds fds;
    CHECK(a);
    CHECK_INT(reel_bus_admit(a, self, &fds), REEL_OK);
    CHECK_INT(reel_bus_open_peer(path, self, &fds, &b), REEL_OK);
    struct reel_msg msg;
    for (uint32_t i = 0; i < 20; i++) {
        struct reel_rec_ready ready = {.credits = i};
        struct reel_rec_lane closed = {.lane = i};
        CHECK_INT(reel_bus_wait(a, NULL, NULL, 0, 0), REEL_AGAIN);
        CHECK_INT(reel_bus_post(b, REEL_BUS_HUB, i % 2 ? REEL_MSG_READY : REEL_MSG_LANE_CLOSED,
                                i % 2 ? (void *)&ready : &closed),
                  REEL_OK);
        CHECK_INT(reel_bus_flush(b), REEL_OK);
        int64_t until = reel_now_us() + 5000000;
        enum reel_err err;
        do { // ZeroMQ wakes for its own news as well
            CHECK_INT(reel_bus_wait(a, NULL, NULL, 0, 5000), REEL_OK);
            err = reel_bus_recv(a, &msg);
        } while (err == REEL_AGAIN && reel_now_us() < until);
        CHECK_INT(err, REEL_OK);
        CHECK_INT(msg.type, i % 2 ? REEL_MSG_READY : REEL_MSG_LANE_CLOSED);
        CHECK_INT(reel_bus_recv(a, &msg), REEL_AGAIN);
    }
    reel_bus_close(&b);
    reel_bus_close(&a);
}

// Stands before ZeroMQ's own: what a test has to happen between the look at the
// boxes and that at the socket happens here, once.
static void (*before_socket)(void *socket);
int zmq_msg_recv(void *msg, void *socket, int flags);
int zmq_poll(void *items, int n, long timeout_ms);
int zmq_msg_recv(void *msg, void *socket, int flags)
{
    static int (*real)(void *, void *, int);
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, "zmq_msg_recv");
    void (*hook)(void *) = before_socket;
    before_socket = NULL;
    if (hook) hook(socket);
    return real(msg, socket, flags);
}

static struct reel_bus *late_bus;
static void say_late(void *socket)
{
    struct reel_rec_ready ready = {.credits = 5};
    struct reel_rec_lane closed = {.lane = 6};
    reel_bus_post(late_bus, REEL_BUS_HUB, REEL_MSG_READY, &ready); // to the box
    reel_bus_post(late_bus, REEL_BUS_HUB, REEL_MSG_LANE_CLOSED, &closed);
    reel_bus_flush(late_bus);
    struct { // zmq_pollitem_t
        void *socket;
        int fd;
        short events, revents;
    } item = {.socket = socket, .events = 1};
    zmq_poll(&item, 1, 2000);
}

// A box that is filled just after it was looked at: the message of the socket,
// which is there first, waits for what was put into the box before it. Whoever
// goes meanwhile takes nothing but its own along.
static void overtaken(void)
{
    enum { STAYS, OTHER_GOES, LAST_GOES, SELF_GOES, CASES };
    for (int what = STAYS; what < CASES; what++) {
        reel_peer first = reel_peer_make(REEL_WORKER, 10, 1), self = reel_peer_make(REEL_WORKER, 11, 1),
                  last = reel_peer_make(REEL_WORKER, 12, 1);
        struct reel_bus *a = hub(), *b = NULL;
        struct reel_box_fds fds;
        CHECK(a);
        // As the last of the links it moves when another goes; else it stays.
        if (what == OTHER_GOES) CHECK_INT(reel_bus_admit(a, first, NULL), REEL_OK);
        CHECK_INT(reel_bus_admit(a, self, &fds), REEL_OK);
        if (what == LAST_GOES || what == SELF_GOES) CHECK_INT(reel_bus_admit(a, last, NULL), REEL_OK);
        CHECK_INT(reel_bus_open_peer(path, self, &fds, &b), REEL_OK);
        struct reel_msg msg;
        struct reel_rec_lane closed = {.lane = 1};
        CHECK_INT(reel_bus_post(b, REEL_BUS_HUB, REEL_MSG_LANE_CLOSED, &closed), REEL_OK);
        CHECK_INT(reel_bus_flush(b), REEL_OK);
        CHECK_INT(next(a, &msg), REEL_OK); // connected

        late_bus = b;
        int64_t until = reel_now_us() + 2000000;
        enum reel_err err;
        do { // until the socket is looked at, however long after the last look
            before_socket = say_late;
            err = reel_bus_recv(a, &msg);
        } while (before_socket && reel_now_us() < until);
        CHECK_INT(err, REEL_OK);
        CHECK_INT(msg.type, REEL_MSG_READY);
        CHECK_INT(((const struct reel_rec_ready *)msg.records)->credits, 5);
        CHECK(msg.from == self);
        CHECK_INT(reel_bus_wait(a, NULL, NULL, 0, 0), REEL_OK); // nobody sleeps over the one that waits

        if (what == OTHER_GOES) reel_bus_expel(a, first);
        if (what == LAST_GOES) reel_bus_expel(a, last);
        if (what == SELF_GOES) {
            reel_bus_expel(a, self);
            CHECK_INT(reel_bus_recv(a, &msg), REEL_AGAIN);
        } else {
            CHECK_INT(reel_bus_recv(a, &msg), REEL_OK);
            CHECK_INT(msg.type, REEL_MSG_LANE_CLOSED);
            CHECK_INT(((const struct reel_rec_lane *)msg.records)->lane, 6);
            CHECK(msg.from == self);
            CHECK_INT(reel_bus_recv(a, &msg), REEL_AGAIN);
            struct reel_rec_ready ready = {.credits = 7};
            CHECK_INT(reel_bus_post(b, REEL_BUS_HUB, REEL_MSG_READY, &ready), REEL_OK);
            CHECK_INT(reel_bus_flush(b), REEL_OK);
            CHECK_INT(next(a, &msg), REEL_OK);
            CHECK_INT(((const struct reel_rec_ready *)msg.records)->credits, 7);
        }
        reel_bus_close(&b);
        reel_bus_close(&a);
    }
}

static void record_sizes(void)
{
    for (int t = 1; t < REEL_MSG_TYPES; t++) {
        CHECK_MSG(strcmp(reel_msg_name(t), "unknown"), "message %d has no name", t);
        CHECK_MSG(t == REEL_MSG_QUIT || t == REEL_MSG_JOIN || reel_msg_record_bytes(t) > 0, "message %d has no record",
                  t);
        CHECK_INT(reel_msg_record_bytes(t) % 4, 0);
        CHECK(reel_msg_record_bytes(t) <= sizeof(struct reel_rec_failed) + sizeof(struct reel_rec_open));
    }
}

CHECK_MAIN({"bus batches in order", batches}, {"bus incarnations", incarnations}, {"bus lost message", lost_message},
           {"bus nonsense in a box", nonsense_in_a_box}, {"bus absent peer", absent_peer}, {"bus paced", paced},
           {"bus open messages", open_messages}, {"bus two ways", two_ways}, {"bus short way", short_way},
           {"bus woken", woken}, {"bus overtaken", overtaken}, {"bus record sizes", record_sizes})

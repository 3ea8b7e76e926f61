// SPDX-License-Identifier: MIT
//
// Boxes: messages of any length come out as they went in, between two
// processes of which either sleeps and dies when it likes; a broken ring is
// seen; who finds no room is told.
#include "common/box.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/shm.h"
#include "tests/check.h"

#define MESSAGES 60000

static size_t length_of(uint32_t k)
{
    uint32_t x = k * 2654435761u;
    return k % 500 == 0 ? x % (REEL_BOX_BYTES / 2) + 4 : x % 300 + 4;
}

static void fill(uint8_t *data, uint32_t k)
{
    memcpy(data, &k, sizeof k);
    for (size_t i = sizeof k; i < length_of(k); i++) data[i] = (uint8_t)(k + i);
}

static bool is_right(const uint8_t *data, size_t bytes, uint32_t k)
{
    static uint8_t want[REEL_BOX_BYTES];
    fill(want, k);
    return bytes == length_of(k) && !memcmp(data, want, bytes);
}

// Sleeps as bus.c does, until there is something or ten seconds have passed.
static enum reel_err await(struct reel_box *box, int bell, const void **data, size_t *bytes)
{
    for (;;) {
        enum reel_err err = reel_box_peek(box, data, bytes);
        if (err != REEL_AGAIN) return err;
        reel_box_set_asleep(box, true);
        err = reel_box_peek(box, data, bytes);
        struct pollfd wait = {.fd = bell, .events = POLLIN};
        int rc = err == REEL_AGAIN ? poll(&wait, 1, 10000) : 1;
        reel_box_set_asleep(box, false);
        reel_bell_silence(bell);
        if (!rc) return REEL_AGAIN; // nobody rang
    }
}

// Sends every message it gets back, in a process of its own.
static void echo(const struct reel_box_fds *fds)
{
    struct reel_box *box = NULL;
    if (reel_box_attach(fds, &box)) _exit(1);
    for (uint32_t k = 0; k < MESSAGES; k++) {
        const void *data;
        size_t bytes;
        if (await(box, fds->child_bell, &data, &bytes)) _exit(2);
        if (!is_right(data, bytes, k)) _exit(3);
        while (!reel_box_put(box, data, bytes)) usleep(50);
        reel_box_drop(box);
    }
    _exit(0);
}

// Both ways at once, in bursts, so that each side sleeps often and finds its
// ring full often: nothing is lost, changed or slept through.
static void there_and_back(void)
{
    int bell;
    struct reel_box *box = NULL;
    CHECK_INT(reel_bell_create(&bell), REEL_OK);
    CHECK_INT(reel_box_create(bell, &box), REEL_OK);
    struct reel_box_fds fds = reel_box_fds(box);
    pid_t pid = fork();
    if (!pid) echo(&fds);
    uint32_t sent = 0, back = 0;
    static uint8_t data[REEL_BOX_BYTES];
    while (back < MESSAGES) {
        uint32_t burst = sent + 1 + sent % 97 * (sent % 5 == 0);
        for (; sent < MESSAGES && sent < burst; sent++) {
            fill(data, sent);
            if (!reel_box_put(box, data, length_of(sent))) break;
        }
        const void *got;
        size_t bytes;
        CHECK_INT(await(box, bell, &got, &bytes), REEL_OK);
        do {
            CHECK(is_right(got, bytes, back));
            back++;
            reel_box_drop(box);
        } while (reel_box_peek(box, &got, &bytes) == REEL_OK);
    }
    int status = -1;
    CHECK_INT(waitpid(pid, &status, 0), pid);
    CHECK_INT(status, 0);
    reel_box_close(&box);
    close(bell);
}

// Both ends of a box in one process.
struct pair {
    int bell;
    struct reel_box *hub, *child;
    struct reel_box_fds fds;
};

static bool pair_open(struct pair *p)
{
    *p = (struct pair){0};
    if (reel_bell_create(&p->bell) || reel_box_create(p->bell, &p->hub)) return false;
    p->fds = reel_box_fds(p->hub);
    return !reel_box_attach(&p->fds, &p->child);
}

static void pair_close(struct pair *p)
{
    reel_box_close(&p->child);
    reel_box_close(&p->hub);
    close(p->bell);
}

static void no_room(void)
{
    struct pair p;
    CHECK(pair_open(&p));
    struct reel_box *hub = p.hub, *child = p.child;
    static uint8_t data[REEL_BOX_BYTES + 8];
    CHECK(!reel_box_put(hub, data, REEL_BOX_BYTES + 1));
    CHECK(!reel_box_put(hub, data, REEL_BOX_BYTES)); // its length needs room as well
    const void *got;
    size_t bytes;
    for (uint32_t turn = 0; turn < 50; turn++) { // wherever in the ring it begins
        uint32_t n = 0, k = 0;
        for (;; n++) {
            memset(data, (int)(turn + n), 1000 + turn);
            if (!reel_box_put(hub, data, 1000 + turn)) break;
        }
        CHECK(n >= 29);
        for (; reel_box_peek(child, &got, &bytes) == REEL_OK; k++) {
            CHECK_INT(bytes, 1000 + turn);
            CHECK(((const uint8_t *)got)[0] == (uint8_t)(turn + k) &&
                  ((const uint8_t *)got)[bytes - 1] == (uint8_t)(turn + k));
            reel_box_drop(child);
        }
        CHECK_INT(k, n);
    }
    pair_close(&p);
}

// Whatever stands in a ring that the other end has scribbled over: an answer,
// and no byte outside it (ASan and the end of the mapping would tell).
static void scribbled(void)
{
    srand(7);
    for (int turn = 0; turn < 300; turn++) {
        struct pair p;
        CHECK(pair_open(&p));
        struct reel_box *hub = p.hub, *child = p.child;
        uint8_t data[64] = {0};
        for (int i = 0; i < 5; i++) CHECK(reel_box_put(child, data, sizeof data));
        off_t size = lseek(p.fds.memory, 0, SEEK_END);
        void *base = NULL;
        CHECK_INT(reel_shm_map(p.fds.memory, (uint64_t)size, &base), REEL_OK);
        uint64_t *words = base;
        for (int i = 0; i < 4000; i++)
            words[(size_t)rand() % ((size_t)size / 8)] =
                turn % 3 ? (uint64_t)rand() % 40000 : UINT64_MAX - (uint64_t)(rand() % 3);
        // The heads of both rings lie at the beginnings of the halves.
        words[0] = words[(size_t)size / 16] = turn % 2 ? (uint64_t)rand() % 100000 : UINT64_MAX;
        const void *got;
        size_t bytes;
        enum reel_err err = REEL_OK;
        for (int i = 0; i < 5000 && !(err = reel_box_peek(hub, &got, &bytes)); i++) {
            CHECK(bytes <= REEL_BOX_BYTES);
            uint8_t sum = 0;
            for (size_t b = 0; b < bytes; b++) sum ^= ((const uint8_t *)got)[b];
            data[0] = sum;
            reel_box_drop(hub);
        }
        CHECK(err == REEL_GONE || err == REEL_AGAIN || err == REEL_OK);
        reel_box_put(hub, data, sizeof data);
        reel_shm_unmap(base, (uint64_t)size);
        pair_close(&p);
    }
}

CHECK_MAIN({"there_and_back", there_and_back}, {"no_room", no_room}, {"scribbled", scribbled})

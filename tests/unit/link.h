// SPDX-License-Identifier: MIT
//
// The coordinator's end of a child's bus, for tests that drive one process by hand.
#ifndef REEL_TESTS_LINK_H
#define REEL_TESTS_LINK_H

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/bus.h"
#include "common/life.h"

struct link {
    struct reel_bus *bus;
    reel_peer peer;
    struct reel_msg msg;
    uint32_t at;      // records of msg used
    char notes[4096]; // what link_await() heard, a line each
};

// The next record. NULL after ten seconds without one.
static inline const void *link_next(struct link *l, enum reel_msg_type *out_type)
{
    int64_t until = reel_now_us() + 10000000;
    while (!l->msg.records || l->at >= l->msg.count) {
        enum reel_err err = reel_bus_recv(l->bus, &l->msg);
        l->at = 0;
        if (!err) continue;
        l->msg.count = 0;
        if (err != REEL_AGAIN || reel_now_us() > until) return NULL;
        reel_bus_wait(l->bus, NULL, NULL, 0, 100);
    }
    *out_type = l->msg.type;
    return (const char *)l->msg.records + l->at++ * reel_msg_record_bytes(l->msg.type);
}

// The next record of a type; notes are kept, others passed over.
static inline const void *link_await(struct link *l, enum reel_msg_type type)
{
    enum reel_msg_type got = REEL_MSG_NONE;
    const void *record;
    while ((record = link_next(l, &got)) && got != type) {
        if (got == REEL_MSG_FAILED) fprintf(stderr, "failed: %s\n", ((const struct reel_rec_failed *)record)->text);
        size_t n = strlen(l->notes);
        if (got == REEL_MSG_NOTE)
            snprintf(l->notes + n, sizeof l->notes - n, "%s\n", ((const struct reel_rec_note *)record)->text);
    }
    return record;
}

static inline void link_post(struct link *l, enum reel_msg_type type, const void *record)
{
    reel_bus_post(l->bus, l->peer, type, record);
    reel_bus_flush(l->bus);
}

// The end of a process that was told to quit, or was sent a signal: its exit code or
// -signal. One that is there after ten seconds is killed (*out_killed).
static inline int link_reap(struct link *l, int pidfd, bool *out_killed)
{
    bool gone = false;
    for (int64_t until = reel_now_us() + 10000000; !gone && reel_now_us() < until;) {
        reel_bus_wait(l->bus, &pidfd, &gone, 1, 100);
        while (!reel_bus_recv(l->bus, &l->msg)) {
        }
    }
    if (!gone) reel_life_kill(pidfd, SIGKILL);
    *out_killed = !gone;
    int rc = reel_life_reap(pidfd);
    close(pidfd);
    return rc;
}

#endif

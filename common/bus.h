// SPDX-License-Identifier: MIT
//
// The control plane's transport: ZeroMQ ROUTER in the coordinator (the hub),
// one DEALER in each child. This is the only module that includes zmq.h.
// Per-frame messages take the fast path through shared memory (box.h), or the
// socket when that is full; the sequence numbers of a link keep the order
// across both.
//
// Sending is batched: reel_bus_post() appends a record to the open message of
// that peer when the type is the same, and sends it when another type follows,
// at REEL_MAX_RECORDS, or at reel_bus_flush(), which every loop calls before it
// waits. The order on a link is the order of the posts.
//
// Receiving checks magic, version, record size, count, incarnation and the
// link's sequence number. A gap is reported as GONE with the peer's id.
#ifndef REEL_COMMON_BUS_H
#define REEL_COMMON_BUS_H

#include "common/box.h"
#include "common/proto.h"

struct reel_bus;

// A peer as the hub sees it: (stage, index, incarnation) packed; children use
// REEL_BUS_HUB.
typedef uint64_t reel_peer;
#define REEL_BUS_HUB UINT64_C(0)
static inline reel_peer reel_peer_make(enum reel_stage stage, uint32_t index, uint32_t incarnation)
{
    return (uint64_t)stage << 56 | (uint64_t)(index & 0xffffff) << 32 | incarnation;
}
static inline enum reel_stage reel_peer_stage(reel_peer p)
{
    return (enum reel_stage)(p >> 56);
}
static inline uint32_t reel_peer_index(reel_peer p)
{
    return (uint32_t)(p >> 32) & 0xffffff;
}
static inline uint32_t reel_peer_incarnation(reel_peer p)
{
    return (uint32_t)p;
}

struct reel_msg {
    reel_peer from;
    enum reel_msg_type type;
    uint32_t count;
    const void *records; // until the next reel_bus_recv(); 8-byte aligned
};

// Binds path (a socket in the run directory). Errors: IO.
enum reel_err reel_bus_open_hub(const char *path, struct reel_bus **out_bus);
// Of a hub whose socket somebody has removed: new peers connect to path, which may be the
// same. Peers that are connected stay so. Errors: IO.
enum reel_err reel_bus_bind_again(struct reel_bus *hub, const char *path);
// Connects as (stage, index, incarnation); fds NULL: by the socket alone.
// Errors: IO, PROTO.
enum reel_err reel_bus_open_peer(const char *path, reel_peer self, const struct reel_box_fds *fds,
                                 struct reel_bus **out_bus);
// The hub drops unsent messages; a peer waits up to a second for them to go.
// Accepts &NULL, writes NULL.
void reel_bus_close(struct reel_bus **bus);

// Hub only: from now on messages of peer are expected (its sequence begins at
// 1), or dropped silently. out_fds (the bus's, until the peer is expelled) are
// for the peer to inherit; NULL: it gets no box. Errors: IO, NOMEM.
enum reel_err reel_bus_admit(struct reel_bus *bus, reel_peer peer, struct reel_box_fds *out_fds);
void reel_bus_expel(struct reel_bus *bus, reel_peer peer);

// Appends a record (record NULL for types without) to the peer's open message,
// which goes out when another type follows, when it is full, and at a flush.
// A send to a dead peer is dropped: its death is seen by its pidfd. Errors:
// IO, NOMEM.
enum reel_err reel_bus_post(struct reel_bus *bus, reel_peer to, enum reel_msg_type type, const void *record);
// Sends all open messages.
enum reel_err reel_bus_flush(struct reel_bus *bus);
// For a caller that is still busy: if its calls follow each other closely,
// records are held back for at most most_us to form larger messages, because
// messages cost by number (at least a wake-up of the reader), not by size.
// reel_bus_wait() sends what was held back.
enum reel_err reel_bus_flush_paced(struct reel_bus *bus, int64_t most_us);

// How many messages a peer has sent, or the hub has taken from one of its peers
// (0: of none such): what is still on its way.
uint32_t reel_bus_sent(const struct reel_bus *bus);
uint32_t reel_bus_received(struct reel_bus *bus, reel_peer peer);

// The next message. AGAIN when there is none at once (at the socket it looks
// again only after 100 us, or a wait); GONE when out_msg->from broke the
// sequence or the protocol (the text says how); IO.
enum reel_err reel_bus_recv(struct reel_bus *bus, struct reel_msg *out_msg);

// Flushes, then waits for a message or one of fds to be readable, at most
// timeout_ms (-1: for ever). It sleeps at once: spinning before would burn more
// than a frame's budget at 500 frames a second, to save a wake-up of 25 us.
// out_ready[i] is set for fds[i]. OK when anything may be there, AGAIN at the time limit or
// a signal.
enum reel_err reel_bus_wait(struct reel_bus *bus, const int *fds, bool *out_ready, int n_fds, int timeout_ms);

// ZeroMQ's version, for --version.
const char *reel_bus_library(void);

#endif

// SPDX-License-Identifier: MIT
//
// Messages over ZeroMQ and through boxes. See bus.h.
#include "common/bus.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

#include "common/life.h"
#include "common/log.h"

#define MAX_PEERS 1024
#define ID_BYTES 9 // routing ids must not begin with a zero byte: 'R' and the packed peer
#define MAX_MESSAGE (sizeof(struct reel_msg_head) + REEL_MAX_RECORDS * sizeof(struct reel_rec_open))
#define FIRST_ROOM 2048 // initial buffer of a link's open message
// After finding the socket empty, reel_bus_recv() does not look again for this long,
// because every look is a system call.
#define LOOK_US 100

struct link {
    reel_peer peer;
    uint32_t sent, received; // sequence numbers, from 1
    struct reel_box *box;    // NULL: everything goes by the socket
    bool broken;             // a bad message was found in its box, which is no longer read

    // The open message: records of one type that wait for a flush.
    enum reel_msg_type out_type; // REEL_MSG_NONE: there is none
    uint32_t out_count;
    size_t out_bytes, out_room;
    uint8_t *out; // of out_room bytes
};

struct reel_bus {
    void *context, *socket;
    int fd;   // ZeroMQ's
    int bell; // rung when a message for this end was put into a box
    bool hub;
    reel_peer self;
    char path[128]; // the hub's socket, removed at the end
    struct link links[MAX_PEERS];
    int n_links;

    uint32_t n_open;  // links with an open message
    int64_t open_us;  // when the first of them was opened
    int64_t paced_us; // last call of reel_bus_flush_paced(), whether it sent or not; 0: none since the last wait
    int64_t gap_us;   // time between such calls, smoothed
    int64_t empty_us; // when the socket was last found empty; 0: look at once

    zmq_msg_t in;
    uint8_t *in_aligned; // the last message read from the socket
    size_t in_bytes;
    struct link *held;   // the link of that message while messages in its box come before it
    struct link *peeked; // the link whose box holds the message last returned; NULL: none
    int next_box;        // the link to look at first
};

const char *reel_bus_library(void)
{
    static char text[32];
    int major, minor, patch;
    zmq_version(&major, &minor, &patch);
    snprintf(text, sizeof text, "%d.%d.%d", major, minor, patch);
    return text;
}

static struct link *find_link(struct reel_bus *bus, reel_peer peer)
{
    if (!bus->hub) return &bus->links[0];
    for (int i = 0; i < bus->n_links; i++)
        if (bus->links[i].peer == peer) return &bus->links[i];
    return NULL;
}

static bool goes_with_frames(enum reel_msg_type type)
{
    switch (type) {
    case REEL_MSG_WINDOW:
    case REEL_MSG_DECODED:
    case REEL_MSG_READY:
    case REEL_MSG_WORK:
    case REEL_MSG_DONE:
    case REEL_MSG_FRAME:
    case REEL_MSG_TAKEN:
        return true;
    default:
        return false;
    }
}

static void pack_id(reel_peer peer, uint8_t id[ID_BYTES])
{
    id[0] = 'R';
    memcpy(id + 1, &peer, sizeof peer);
}

static enum reel_err open_socket(int type, struct reel_bus **out_bus)
{
    struct reel_bus *bus = calloc(1, sizeof *bus);
    if (!bus) return reel_fail(REEL_ERR_NOMEM, "could not open bus: out of memory");
    bus->bell = -1;
    bus->in_aligned = malloc(MAX_MESSAGE);
    bus->context = zmq_ctx_new();
    if (bus->context) bus->socket = zmq_socket(bus->context, type);
    zmq_msg_init(&bus->in);
    if (!bus->in_aligned || !bus->socket) {
        enum reel_err err = reel_fail(REEL_ERR_NOMEM, "could not open bus: %s", zmq_strerror(zmq_errno()));
        reel_bus_close(&bus);
        return err;
    }
    int zero = 0;
    int64_t max_bytes = MAX_MESSAGE;
    zmq_setsockopt(bus->socket, ZMQ_LINGER, &zero, sizeof zero);
    // Credits limit the number of messages under way; a high-water mark would drop or block.
    zmq_setsockopt(bus->socket, ZMQ_SNDHWM, &zero, sizeof zero);
    zmq_setsockopt(bus->socket, ZMQ_RCVHWM, &zero, sizeof zero);
    zmq_setsockopt(bus->socket, ZMQ_MAXMSGSIZE, &max_bytes, sizeof max_bytes);
    *out_bus = bus;
    return REEL_OK;
}

static enum reel_err finish_open(struct reel_bus **bus, const char *path, const char *verb, int rc)
{
    size_t size = sizeof(*bus)->fd;
    if (!rc) rc = zmq_getsockopt((*bus)->socket, ZMQ_FD, &(*bus)->fd, &size);
    if (!rc) return REEL_OK;
    enum reel_err err = reel_fail(REEL_ERR_IO, "could not %s socket \"%s\": %s", verb, path, zmq_strerror(zmq_errno()));
    reel_bus_close(bus);
    return err;
}

static int bind_to(struct reel_bus *hub, const char *path)
{
    char endpoint[256];
    snprintf(hub->path, sizeof hub->path, "%s", path);
    snprintf(endpoint, sizeof endpoint, "ipc://%s", path);
    return zmq_bind(hub->socket, endpoint);
}

enum reel_err reel_bus_open_hub(const char *path, struct reel_bus **out_bus)
{
    enum reel_err err = open_socket(ZMQ_ROUTER, out_bus);
    if (err) return err;
    (*out_bus)->hub = true;
    if ((err = reel_bell_create(&(*out_bus)->bell))) {
        reel_bus_close(out_bus);
        return err;
    }
    int one = 1;
    zmq_setsockopt((*out_bus)->socket, ZMQ_ROUTER_MANDATORY, &one, sizeof one);
    return finish_open(out_bus, path, "bind", bind_to(*out_bus, path));
}

enum reel_err reel_bus_bind_again(struct reel_bus *bus, const char *path)
{
    if (!bind_to(bus, path)) return REEL_OK; // the old one stays open for the peers connected to it
    return reel_fail(REEL_ERR_IO, "could not bind socket \"%s\": %s", path, zmq_strerror(zmq_errno()));
}

enum reel_err reel_bus_open_peer(const char *path, reel_peer self, const struct reel_box_fds *fds,
                                 struct reel_bus **out_bus)
{
    enum reel_err err = open_socket(ZMQ_DEALER, out_bus);
    if (err) return err;
    (*out_bus)->self = self;
    (*out_bus)->n_links = 1;
    (*out_bus)->links[0].peer = self;
    if (fds && (err = reel_box_attach(fds, &(*out_bus)->links[0].box))) {
        reel_bus_close(out_bus);
        return err;
    }
    if (fds) (*out_bus)->bell = fds->child_bell;
    // The last message of a process that exits (FAILED) must still go out.
    int linger_ms = 1000;
    zmq_setsockopt((*out_bus)->socket, ZMQ_LINGER, &linger_ms, sizeof linger_ms);
    uint8_t id[ID_BYTES];
    pack_id(self, id);
    zmq_setsockopt((*out_bus)->socket, ZMQ_ROUTING_ID, id, sizeof id);
    char endpoint[256];
    snprintf(endpoint, sizeof endpoint, "ipc://%s", path);
    return finish_open(out_bus, path, "connect to", zmq_connect((*out_bus)->socket, endpoint));
}

void reel_bus_close(struct reel_bus **bus)
{
    struct reel_bus *b = *bus;
    if (!b) return;
    zmq_msg_close(&b->in);
    if (b->socket) zmq_close(b->socket);
    if (b->context) zmq_ctx_term(b->context);
    if (*b->path) unlink(b->path);
    for (int i = 0; i < b->n_links; i++) {
        free(b->links[i].out);
        reel_box_close(&b->links[i].box);
    }
    if (b->hub && b->bell >= 0) close(b->bell);
    free(b->in_aligned);
    free(b);
    *bus = NULL;
}

enum reel_err reel_bus_admit(struct reel_bus *bus, reel_peer peer, struct reel_box_fds *out_fds)
{
    if (bus->n_links == MAX_PEERS)
        return reel_fail(REEL_ERR_LIMIT, "could not talk to more than %d processes", MAX_PEERS);
    struct link link = {.peer = peer};
    if (out_fds) {
        enum reel_err err = reel_box_create(bus->bell, &link.box);
        if (err) return err;
        *out_fds = reel_box_fds(link.box);
    }
    bus->links[bus->n_links++] = link;
    return REEL_OK;
}

void reel_bus_expel(struct reel_bus *bus, reel_peer peer)
{
    struct link *link = find_link(bus, peer);
    if (!link) return;
    bus->n_open -= link->out_type != REEL_MSG_NONE; // its open message is dropped
    free(link->out);
    reel_box_close(&link->box);
    struct link *last = &bus->links[--bus->n_links];
    bus->held = bus->held == link ? NULL : bus->held == last ? link : bus->held;
    bus->peeked = bus->peeked == link ? NULL : bus->peeked == last ? link : bus->peeked;
    *link = *last;
}

// Sends a link's open message.
static enum reel_err send_open(struct reel_bus *bus, struct link *link)
{
    enum reel_msg_type type = link->out_type;
    link->out_type = REEL_MSG_NONE;
    bus->n_open--;
    struct reel_msg_head *head = (struct reel_msg_head *)link->out;
    *head = (struct reel_msg_head){.magic = REEL_PROTO_MAGIC,
                                   .version = REEL_PROTO_VERSION,
                                   .type = (uint16_t)type,
                                   .seq = ++link->sent,
                                   .incarnation = reel_peer_incarnation(link->peer),
                                   .count = link->out_count,
                                   .record_bytes = (uint32_t)reel_msg_record_bytes(type)};
    if (link->box && goes_with_frames(type) && reel_box_put(link->box, link->out, link->out_bytes)) return REEL_OK;
    if (bus->hub) {
        uint8_t id[ID_BYTES];
        pack_id(link->peer, id);
        if (zmq_send(bus->socket, id, sizeof id, ZMQ_SNDMORE) < 0) {
            // The peer is dead or not yet connected; a death is noticed through its pidfd.
            reel_debug("bus", "message \"%s\" to a peer that is gone was dropped", reel_msg_name(type));
            return REEL_OK;
        }
    }
    if (zmq_send(bus->socket, link->out, link->out_bytes, 0) < 0)
        return reel_fail(REEL_ERR_IO, "could not send message \"%s\": %s", reel_msg_name(type),
                         zmq_strerror(zmq_errno()));
    return REEL_OK;
}

enum reel_err reel_bus_flush(struct reel_bus *bus)
{
    if (!bus->n_open) return REEL_OK;
    for (int i = 0; i < bus->n_links && bus->n_open; i++) {
        if (bus->links[i].out_type == REEL_MSG_NONE) continue;
        enum reel_err err = send_open(bus, &bus->links[i]);
        if (err) return err;
    }
    return REEL_OK;
}

enum reel_err reel_bus_flush_paced(struct reel_bus *bus, int64_t most_us)
{
    int64_t now_us = reel_now_us();
    if (bus->paced_us) bus->gap_us += (now_us - bus->paced_us - bus->gap_us) / 4;
    bus->paced_us = now_us;
    // Hold back only if the next call will probably come in time.
    bool dense = bus->gap_us < most_us / 2;
    return dense && now_us - bus->open_us < most_us ? REEL_OK : reel_bus_flush(bus);
}

static enum reel_err make_room(struct link *link, size_t bytes)
{
    if (link->out_room >= bytes) return REEL_OK;
    size_t room = link->out_room ? 2 * link->out_room : FIRST_ROOM;
    while (room < bytes) room *= 2;
    uint8_t *grown = realloc(link->out, room);
    if (!grown) return reel_fail(REEL_ERR_NOMEM, "could not send a message: out of memory");
    link->out = grown;
    link->out_room = room;
    return REEL_OK;
}

enum reel_err reel_bus_post(struct reel_bus *bus, reel_peer to, enum reel_msg_type type, const void *record)
{
    struct link *link = find_link(bus, to);
    if (!link) return REEL_OK;
    size_t bytes = reel_msg_record_bytes(type);
    enum reel_err err = REEL_OK;
    if (link->out_type != REEL_MSG_NONE && (link->out_type != type || !bytes || link->out_count == REEL_MAX_RECORDS))
        err = send_open(bus, link);
    bool begins = link->out_type == REEL_MSG_NONE;
    if (!err) err = make_room(link, (begins ? sizeof(struct reel_msg_head) : link->out_bytes) + bytes);
    if (err) return err;
    if (begins) {
        link->out_type = type;
        link->out_count = 0;
        link->out_bytes = sizeof(struct reel_msg_head);
        if (!bus->n_open++) bus->open_us = reel_now_us();
    }
    if (!bytes) return REEL_OK;
    memcpy(link->out + link->out_bytes, record, bytes);
    link->out_bytes += bytes;
    link->out_count++;
    return REEL_OK;
}

uint32_t reel_bus_sent(const struct reel_bus *bus)
{
    return bus->links[0].sent;
}

uint32_t reel_bus_received(struct reel_bus *bus, reel_peer peer)
{
    const struct link *link = find_link(bus, peer);
    return link ? link->received : 0;
}

// Reads one frame of a ZeroMQ message into bus->in. AGAIN when none.
static enum reel_err receive_frame(struct reel_bus *bus, int flags)
{
    zmq_msg_close(&bus->in);
    zmq_msg_init(&bus->in);
    while (zmq_msg_recv(&bus->in, bus->socket, flags) < 0) {
        if (zmq_errno() == EINTR) continue;
        if (zmq_errno() == EAGAIN) return REEL_AGAIN;
        return reel_fail(REEL_ERR_IO, "could not receive: %s", zmq_strerror(zmq_errno()));
    }
    return REEL_OK;
}

static enum reel_err check_message(struct link *link, const uint8_t *data, size_t bytes, struct reel_msg *out_msg)
{
    const struct reel_msg_head *head = (const struct reel_msg_head *)data;
    if (bytes < sizeof *head || head->magic != REEL_PROTO_MAGIC || head->version != REEL_PROTO_VERSION)
        return reel_fail(REEL_GONE, "peer sent %zu bytes that are not a message of this version", bytes);
    if (head->seq != link->received + 1)
        return reel_fail(REEL_GONE, "message %u was lost (the next is %u)", link->received + 1, head->seq);
    size_t want = reel_msg_record_bytes((enum reel_msg_type)head->type);
    if (head->type == REEL_MSG_NONE || head->type >= REEL_MSG_TYPES || head->record_bytes != want ||
        head->count > REEL_MAX_RECORDS || bytes != sizeof *head + head->count * want ||
        head->incarnation != reel_peer_incarnation(link->peer) || (want && !head->count))
        return reel_fail(REEL_GONE, "peer sent a malformed message of type %u", head->type);
    link->received = head->seq;
    *out_msg =
        (struct reel_msg){.type = (enum reel_msg_type)head->type, .count = head->count, .records = data + sizeof *head};
    return REEL_OK;
}

// Reads one message from the socket into in_aligned. *out_link is NULL if its sender is
// not admitted.
static enum reel_err receive_message(struct reel_bus *bus, struct link **out_link)
{
    enum reel_err err = receive_frame(bus, ZMQ_DONTWAIT);
    if (err) return err;
    *out_link = bus->hub ? NULL : &bus->links[0];
    if (bus->hub) {
        if (zmq_msg_size(&bus->in) == ID_BYTES) {
            reel_peer from;
            memcpy(&from, (uint8_t *)zmq_msg_data(&bus->in) + 1, sizeof from);
            *out_link = find_link(bus, from);
        }
        if (!zmq_msg_more(&bus->in)) {
            *out_link = NULL;
            return REEL_OK;
        }
        if ((err = receive_frame(bus, 0))) return err;
    }
    bool more = zmq_msg_more(&bus->in);
    bus->in_bytes = zmq_msg_size(&bus->in);
    if (bus->in_bytes <= MAX_MESSAGE) memcpy(bus->in_aligned, zmq_msg_data(&bus->in), bus->in_bytes);
    while (more) { // a malformed message with more parts: read and ignore them
        if ((err = receive_frame(bus, 0))) return err;
        more = zmq_msg_more(&bus->in);
        bus->in_bytes = 0;
    }
    return REEL_OK;
}

// Takes the message at the front of a link's box. AGAIN: the box is empty, or a message
// on the socket comes first.
static enum reel_err take_from_box(struct reel_bus *bus, struct link *link, struct reel_msg *out_msg)
{
    const void *data;
    size_t bytes;
    if (!link->box || link->broken) return REEL_AGAIN;
    enum reel_err err = reel_box_peek(link->box, &data, &bytes);
    if (err == REEL_AGAIN) return err;
    const struct reel_msg_head *head = data;
    // The message before it was sent through the socket.
    if (!err && bytes >= sizeof *head && head->seq > link->received + 1) return REEL_AGAIN;
    if (!err) err = check_message(link, data, bytes, out_msg);
    if (err)
        link->broken = true;
    else
        bus->peeked = link;
    out_msg->from = bus->hub ? link->peer : REEL_BUS_HUB;
    return err;
}

static enum reel_err take_from_boxes(struct reel_bus *bus, struct reel_msg *out_msg)
{
    for (int i = 0; i < bus->n_links; i++) {
        int k = (bus->next_box + i) % bus->n_links;
        enum reel_err err = take_from_box(bus, &bus->links[k], out_msg);
        if (err == REEL_AGAIN) continue;
        bus->next_box = k;
        return err;
    }
    return REEL_AGAIN;
}

enum reel_err reel_bus_recv(struct reel_bus *bus, struct reel_msg *out_msg)
{
    if (bus->peeked) reel_box_drop(bus->peeked->box);
    bus->peeked = NULL;
    enum reel_err err = REEL_AGAIN;
    struct link *link = bus->held;
    if (!link) {
        if ((err = take_from_boxes(bus, out_msg)) != REEL_AGAIN) return err;
        if (bus->empty_us && reel_now_us() - bus->empty_us < LOOK_US) return REEL_AGAIN;
        do { // skip messages of peers that are not admitted or were expelled
            err = receive_message(bus, &link);
        } while (!err && !link);
        if (err == REEL_AGAIN) bus->empty_us = reel_now_us();
        if (err) return err;
        bus->held = link;
    }
    // Messages put into the box before this one was sent are visible by now; they come first.
    if ((err = take_from_box(bus, link, out_msg)) != REEL_AGAIN) return err;
    bus->held = NULL;
    err = bus->in_bytes <= MAX_MESSAGE ? check_message(link, bus->in_aligned, bus->in_bytes, out_msg)
                                       : reel_fail(REEL_GONE, "peer sent a message of %zu bytes", bus->in_bytes);
    out_msg->from = bus->hub ? link->peer : REEL_BUS_HUB;
    return err;
}

static bool socket_has_one(struct reel_bus *bus)
{
    int events = 0;
    size_t size = sizeof events;
    return bus->held || (!zmq_getsockopt(bus->socket, ZMQ_EVENTS, &events, &size) && (events & ZMQ_POLLIN));
}

static bool boxes_have_one(struct reel_bus *bus)
{
    const void *data;
    size_t bytes;
    for (int i = 0; i < bus->n_links; i++) {
        struct link *link = &bus->links[i];
        if (!link->box || link->broken || reel_box_peek(link->box, &data, &bytes)) continue;
        const struct reel_msg_head *head = data;
        if (bytes < sizeof *head || head->seq <= link->received + 1) return true;
    }
    return false;
}

static void set_asleep(struct reel_bus *bus, bool asleep)
{
    for (int i = 0; i < bus->n_links; i++)
        if (bus->links[i].box) reel_box_set_asleep(bus->links[i].box, asleep);
}

enum reel_err reel_bus_wait(struct reel_bus *bus, const int *fds, bool *out_ready, int n_fds, int timeout_ms)
{
    enum reel_err err = reel_bus_flush(bus);
    bus->paced_us = 0;
    if (err) return err;
    if (bus->peeked) reel_box_drop(bus->peeked->box);
    bus->peeked = NULL;
    for (int i = 0; i < n_fds; i++) out_ready[i] = false;
    struct pollfd polls[2 + REEL_STAGES * 256];
    int limit = (int)(sizeof polls / sizeof polls[0]) - 2;
    if (n_fds > limit) return reel_fail(REEL_ERR_LIMIT, "could not wait for %d descriptors: at most %d", n_fds, limit);
    polls[0] = (struct pollfd){.fd = bus->fd, .events = POLLIN};
    polls[1] = (struct pollfd){.fd = bus->bell, .events = POLLIN}; // poll() ignores -1
    for (int i = 0; i < n_fds; i++) polls[i + 2] = (struct pollfd){.fd = fds[i], .events = POLLIN};
    set_asleep(bus, true);
    bool at_socket = socket_has_one(bus);
    int rc = at_socket || boxes_have_one(bus) ? 1 : poll(polls, (nfds_t)(n_fds + 2), timeout_ms);
    int error = errno;
    set_asleep(bus, false);
    if (rc < 0 && error != EINTR) return reel_fail(REEL_ERR_IO, "could not wait: %s", strerror(error));
    if (rc > 0 && polls[1].revents) reel_bell_silence(bus->bell);
    // ZMQ_FD also becomes readable for ZeroMQ's internal events; reel_bus_recv() finds out.
    at_socket |= rc > 0 && polls[0].revents;
    bus->empty_us = at_socket ? 0 : reel_now_us();
    for (int i = 0; rc > 0 && i < n_fds; i++) out_ready[i] = polls[i + 2].revents != 0;
    return rc > 0 ? REEL_OK : REEL_AGAIN;
}

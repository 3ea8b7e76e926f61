// SPDX-License-Identifier: MIT
//
// Slots that libav has on loan. See release.h. Thread-safe: callbacks come from any thread, release_next()
// is called by the main loop.
#include "aggregator/release.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

struct release {
    int bell_fd;
    pthread_mutex_t lock;
    // Guarded by the lock.
    bool armed; // the main loop sleeps, or is about to
    struct reel_rec_taken *items;
    size_t from, used, room; // items[from, used)
};

struct loan {
    struct release *release;
    struct reel_rec_taken rec;
    _Atomic int *held;
};

enum reel_err release_create(int bell_fd, struct release **out_release)
{
    struct release *r = calloc(1, sizeof *r);
    if (!r) return reel_fail(REEL_ERR_NOMEM, "could not start the aggregator: out of memory");
    r->bell_fd = bell_fd;
    pthread_mutex_init(&r->lock, NULL);
    *out_release = r;
    return REEL_OK;
}

void release_destroy(struct release **release)
{
    if (!*release) return;
    pthread_mutex_destroy(&(*release)->lock);
    free((*release)->items);
    free(*release);
    *release = NULL;
}

void release_return(struct release *r, struct reel_rec_taken rec)
{
    pthread_mutex_lock(&r->lock);
    if (r->used == r->room) {
        if (r->from) {
            memmove(r->items, r->items + r->from, (r->used - r->from) * sizeof *r->items);
            r->used -= r->from;
            r->from = 0;
        } else {
            size_t room = r->room ? r->room * 2 : 256;
            struct reel_rec_taken *items = realloc(r->items, room * sizeof *items);
            if (!items) abort(); // without it the lane would hang, because a slot would never come back
            r->items = items;
            r->room = room;
        }
    }
    r->items[r->used++] = rec;
    bool ring = r->armed;
    r->armed = false;
    pthread_mutex_unlock(&r->lock);
    uint64_t one = 1;
    if (ring && write(r->bell_fd, &one, sizeof one) < 0) return; // a full bell rings already
}

static void come_back(void *opaque, uint8_t *data)
{
    struct loan *loan = opaque;
    atomic_fetch_sub(loan->held, 1);
    release_return(loan->release, loan->rec);
    free(loan);
}

AVBufferRef *release_lend(struct release *r, uint8_t *data, size_t bytes, struct reel_rec_taken rec, _Atomic int *held)
{
    struct loan *loan = malloc(sizeof *loan);
    if (!loan) return NULL;
    *loan = (struct loan){r, rec, held};
    AVBufferRef *ref = av_buffer_create(data, bytes, come_back, loan, AV_BUFFER_FLAG_READONLY);
    if (!ref) {
        free(loan);
        return NULL;
    }
    atomic_fetch_add(held, 1);
    return ref;
}

bool release_arm(struct release *r)
{
    pthread_mutex_lock(&r->lock);
    r->armed = r->from == r->used;
    bool armed = r->armed;
    pthread_mutex_unlock(&r->lock);
    return armed;
}

bool release_next(struct release *r, struct reel_rec_taken *out_rec)
{
    pthread_mutex_lock(&r->lock);
    bool any = r->from < r->used;
    if (any) *out_rec = r->items[r->from++];
    if (r->from == r->used) r->from = r->used = 0;
    pthread_mutex_unlock(&r->lock);
    return any;
}

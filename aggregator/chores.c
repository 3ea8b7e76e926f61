// SPDX-License-Identifier: MIT
//
// The thread for work on whole files. See chores.h.
#include "aggregator/chores.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aggregator/sink/moved.h"
#include "common/life.h"

struct link {
    struct link *next;
    union {
        struct chore chore;
        struct chore_news news;
    } u;
};

struct list {
    struct link *first, **last;
};

struct chores {
    pthread_t thread;
    int bell_fd;
    struct reel_stat_row *row;
    _Atomic bool stop;
    pthread_mutex_t lock;
    pthread_cond_t more;
    // Guarded by the lock.
    struct list waiting, news;
    bool working;
    // Used by the thread alone.
    const struct chore *now;
};

static void push(struct list *list, struct link *link)
{
    link->next = NULL;
    *list->last = link;
    list->last = &link->next;
}

static struct link *pop(struct list *list)
{
    struct link *link = list->first;
    if (!link) return NULL;
    list->first = link->next;
    if (!list->first) list->last = &list->first;
    return link;
}

static void tell(struct chores *c, const struct chore_news *news)
{
    struct link *link = malloc(sizeof *link);
    if (!link) abort(); // without its answer the job would hang
    link->u.news = *news;
    pthread_mutex_lock(&c->lock);
    push(&c->news, link);
    pthread_mutex_unlock(&c->lock);
    uint64_t one = 1;
    if (write(c->bell_fd, &one, sizeof one) < 0) return; // a full bell rings already
}

static bool on_tick(void *ctx, uint64_t bytes)
{
    struct chores *c = ctx;
    atomic_fetch_add_explicit(&c->row->progress, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&c->row->bytes_out, bytes, memory_order_relaxed);
    return !atomic_load(&c->stop);
}

static void on_note(void *ctx, const char *text)
{
    struct chores *c = ctx;
    struct chore_news news = {.type = REEL_MSG_NOTE, .job = c->now->job.id};
    snprintf(news.text, sizeof news.text, "%s", text);
    tell(c, &news);
}

// Finishes the live output that is open; such a job has no parts.
static enum reel_err finish_live(struct chores *c, struct live *live, struct reel_rec_muxed *out)
{
    char text[REEL_TEXT_BYTES];
    enum reel_err err = live_finish(live, &c->now->u.mux.kept, out);
    while (live_take_note(live, text)) on_note(c, text);
    live_close(&live);
    on_tick(c, 0);
    return err;
}

static void tell_failed(struct chores *c, enum reel_err err)
{
    struct chore_news news = {.type = REEL_MSG_FAILED, .job = c->now->job.id, .err = err};
    snprintf(news.text, sizeof news.text, "%s", reel_fail_text());
    tell(c, &news);
}

static void do_mux(struct chores *c)
{
    struct sink_join join = {&c->now->job, &c->now->u.mux, on_tick, on_note, c};
    struct chore_news news = {.type = REEL_MSG_MUXED, .job = c->now->job.id};
    enum reel_err err = c->now->live ? finish_live(c, c->now->live, &news.u.muxed)
                                     : sink_of(c->now->job.kind)->join(&join, &news.u.muxed);
    if (err == REEL_GONE) return; // the process ends
    if (err)
        tell_failed(c, err);
    else
        tell(c, &news);
}

static void do_verify(struct chores *c)
{
    const struct reel_rec_verify *want = &c->now->u.verify;
    reel_crash_point("aggregator.verify");
    const enum reel_err err = moved_restore(&c->now->job, on_tick, c);
    if (err == REEL_GONE) return; // the process ends
    if (err) {
        tell_failed(c, err);
        return;
    }
    bool copy = want->segment == REEL_NO_FRAME;
    struct sink_check check = {&c->now->job, want, on_tick, c};
    bool ok = copy ? sink_verify_copy(&check) : sink_of(c->now->job.kind)->verify(&check);
    if (atomic_load(&c->stop)) return; // the process ends, so nothing was found out
    struct chore_news news = {.type = REEL_MSG_VERIFIED, .job = c->now->job.id, .u.verified = *want};
    news.u.verified.ok = ok;
    on_tick(c, 0);
    tell(c, &news);
}

static void *work(void *arg)
{
    struct chores *c = arg;
    pthread_mutex_lock(&c->lock);
    while (!atomic_load(&c->stop)) {
        struct link *link = pop(&c->waiting);
        if (!link) {
            pthread_cond_wait(&c->more, &c->lock);
            continue;
        }
        c->working = true;
        pthread_mutex_unlock(&c->lock);
        c->now = &link->u.chore;
        if (link->u.chore.type == REEL_MSG_MUX)
            do_mux(c);
        else
            do_verify(c);
        free(link);
        pthread_mutex_lock(&c->lock);
        c->working = false;
    }
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

enum reel_err chores_create(int bell_fd, struct reel_stat_row *row, struct chores **out_chores)
{
    struct chores *c = calloc(1, sizeof *c);
    if (!c) return reel_fail(REEL_ERR_NOMEM, "could not start the aggregator: out of memory");
    c->bell_fd = bell_fd;
    c->row = row;
    c->waiting.last = &c->waiting.first;
    c->news.last = &c->news.first;
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->more, NULL);
    int rc = pthread_create(&c->thread, NULL, work, c);
    if (rc) {
        free(c);
        return reel_fail(REEL_ERR_NOMEM, "could not start a thread: %s", strerror(rc));
    }
    *out_chores = c;
    return REEL_OK;
}

void chores_destroy(struct chores **chores)
{
    struct chores *c = *chores;
    if (!c) return;
    pthread_mutex_lock(&c->lock);
    atomic_store(&c->stop, true);
    pthread_cond_signal(&c->more);
    pthread_mutex_unlock(&c->lock);
    pthread_join(c->thread, NULL);
    struct link *link;
    while ((link = pop(&c->waiting))) {
        live_close(&link->u.chore.live);
        free(link);
    }
    while ((link = pop(&c->news))) free(link);
    pthread_cond_destroy(&c->more);
    pthread_mutex_destroy(&c->lock);
    free(c);
    *chores = NULL;
}

enum reel_err chores_add(struct chores *c, const struct chore *chore)
{
    struct link *link = malloc(sizeof *link);
    if (!link) return reel_fail(REEL_ERR_NOMEM, "could not put the output together: out of memory");
    link->u.chore = *chore;
    pthread_mutex_lock(&c->lock);
    push(&c->waiting, link);
    pthread_cond_signal(&c->more);
    pthread_mutex_unlock(&c->lock);
    return REEL_OK;
}

bool chores_take(struct chores *c, struct chore_news *out_news)
{
    pthread_mutex_lock(&c->lock);
    struct link *link = pop(&c->news);
    pthread_mutex_unlock(&c->lock);
    if (!link) return false;
    *out_news = link->u.news;
    free(link);
    return true;
}

bool chores_busy(struct chores *c)
{
    pthread_mutex_lock(&c->lock);
    bool busy = c->working || c->waiting.first;
    pthread_mutex_unlock(&c->lock);
    return busy;
}

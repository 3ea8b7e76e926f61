// SPDX-License-Identifier: MIT
//
// Rounds of bands over a collective. See team.h.
#include "worker/team/team.h"

#include <stdlib.h>
#include <time.h>

#include "common/life.h"
#include "common/log.h"

struct team {
    struct team_params params;
    struct backend_exchange exchange;
    struct collective *gpus; // NULL: not joined, or parted again
    struct team_round round; // that runs go to
};

static struct collective_halo halo_of(const struct backend_rows *rows, void *stream)
{
    return (struct collective_halo){.send_up = rows->send_up,
                                    .send_down = rows->send_down,
                                    .from_up = rows->from_up,
                                    .from_down = rows->from_down,
                                    .bytes = rows->bytes,
                                    .stream = stream};
}

static enum reel_err exchange_rows(void *user, const struct backend_rows *rows)
{
    struct team *t = user;
    const struct collective_halo halo = halo_of(rows, NULL);
    t->params.on_step(t->params.user);
    reel_crash_point("worker.exchange");
    return collective_exchange(t->params.together, &halo);
}

static enum reel_err gone(void)
{
    return reel_fail(REEL_GONE, "could not exchange rows between GPUs: another worker is gone");
}

// Whatever is under way between the GPUs ends, at the others' next look too.
static void part(struct team *t)
{
    if (!t->gpus) return;
    collective_close(&t->gpus);
    reel_debug("team", "rows go from GPU to GPU no more");
    collective_end_round(t->params.together, t->round.number);
}

static enum reel_err exchange_device_rows(void *user, const struct backend_rows *rows, void *stream)
{
    struct team *t = user;
    const struct collective_halo halo = halo_of(rows, stream);
    if (!t->round.direct) return REEL_AGAIN;
    t->params.on_step(t->params.user);
    reel_crash_point("worker.exchange");
    if (!t->gpus) return gone();
    enum reel_err err = collective_exchange(t->gpus, &halo);
    if (err) part(t);
    return err;
}

enum reel_err team_create(const struct team_params *params, struct team **out_team)
{
    struct team *t = calloc(1, sizeof *t);
    if (!t) return reel_fail(REEL_ERR_NOMEM, "could not work together: out of memory");
    t->params = *params;
    t->exchange = (struct backend_exchange){.rows = exchange_rows, .device_rows = exchange_device_rows, .user = t};
    collective_set_limit(params->together, params->limit_ms);
    *out_team = t;
    return REEL_OK;
}

void team_destroy(struct team **team)
{
    if (!*team) return;
    collective_close(&(*team)->gpus);
    free(*team);
    *team = NULL;
}

const struct backend_exchange *team_exchange(const struct team *t)
{
    return &t->exchange;
}

enum reel_err team_join(struct team *t)
{
    return collective_open_nccl(t->params.together, t->params.limit_ms, &t->gpus);
}

enum reel_err team_begin(struct team *t, const struct team_round *round)
{
    if (!round->direct) collective_close(&t->gpus); // the coordinator has seen somebody go
    t->round = *round;
    enum reel_err err = collective_begin(t->params.together, round->number, round->part, round->parts);
    if (err || !round->direct) return err;
    if (!t->gpus) return gone();
    collective_between(t->gpus, round->up, round->down);
    return REEL_OK;
}

enum reel_err team_settle(struct team *t, uint64_t round, bool (*is_done)(void *user), void *user)
{
    const struct timespec nap = {0, 50000};
    const int64_t until_us = reel_now_us() + (int64_t)t->params.limit_ms * 1000;
    while (!is_done(user)) {
        if (collective_is_over(t->params.together, round) || reel_now_us() > until_us) {
            collective_end_round(t->params.together, round);
            part(t); // the GPU gets on then
            break;
        }
        nanosleep(&nap, NULL);
    }
    return collective_is_over(t->params.together, round) ? gone() : REEL_OK;
}

void team_end_round(struct team *t, uint64_t round)
{
    collective_end_round(t->params.together, round);
}

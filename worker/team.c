// SPDX-License-Identifier: MIT
//
// Rounds of bands over a collective. See team.h.
#include "worker/team.h"

#include <stdlib.h>

#include "common/life.h"

struct team {
    struct collective *collective;
    struct team_params params;
    struct backend_exchange exchange;
};

static enum reel_err exchange_rows(void *user, const struct backend_rows *rows)
{
    struct team *t = user;
    const struct collective_halo halo = {.send_up = rows->send_up,
                                         .send_down = rows->send_down,
                                         .from_up = rows->from_up,
                                         .from_down = rows->from_down,
                                         .bytes = rows->bytes};
    t->params.on_step(t->params.user);
    reel_crash_point("worker.exchange");
    return collective_exchange(t->collective, &halo);
}

enum reel_err team_create(const struct team_params *params, struct team **out_team)
{
    struct team *t = calloc(1, sizeof *t);
    if (!t) return reel_fail(REEL_ERR_NOMEM, "could not work together: out of memory");
    t->params = *params;
    t->exchange = (struct backend_exchange){.rows = exchange_rows, .user = t};
    enum reel_err err =
        collective_open_shared(params->fd, params->worker, params->workers, params->limit_ms, &t->collective);
    if (err) {
        team_destroy(&t);
        return err;
    }
    *out_team = t;
    return REEL_OK;
}

void team_destroy(struct team **team)
{
    if (!*team) return;
    collective_close(&(*team)->collective);
    free(*team);
    *team = NULL;
}

const struct backend_exchange *team_exchange(const struct team *t)
{
    return &t->exchange;
}

enum reel_err team_begin(struct team *t, uint64_t round, uint32_t part, uint32_t parts)
{
    return collective_begin(t->collective, round, part, parts);
}

void team_end_round(struct team *t, uint64_t round)
{
    collective_end_round(t->collective, round);
}

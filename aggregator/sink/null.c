// SPDX-License-Identifier: MIT
//
// null: everything is done but writing. Frames are counted.
#include <stdlib.h>

#include "aggregator/sink/sink.h"

struct null {
    struct sink base;
    uint32_t frames;
};

static enum reel_err null_open(const struct sink_params *params, struct sink **out_sink)
{
    struct null *s = calloc(1, sizeof *s);
    if (!s) return reel_fail(REEL_ERR_NOMEM, "could not open a lane: out of memory");
    s->base.ops = &sink_null;
    *out_sink = &s->base;
    return REEL_OK;
}

static enum reel_err null_put(struct sink *sink, const struct sink_frame *frame)
{
    ((struct null *)sink)->frames++;
    return REEL_OK;
}

static enum reel_err null_finish(struct sink *sink, struct sink_done *out)
{
    struct reel_sha256 sha;
    reel_sha256_init(&sha);
    reel_sha256_final(&sha, out->sha256);
    out->frames = ((struct null *)sink)->frames;
    out->bytes = 0;
    free(sink);
    return REEL_OK;
}

static void null_abandon(struct sink *sink)
{
    free(sink);
}

// There is nothing that could be damaged.
static bool null_verify(const struct sink_check *check)
{
    return check->want->bytes == 0;
}

static enum reel_err null_join(const struct sink_join *join, struct reel_rec_muxed *out)
{
    *out = (struct reel_rec_muxed){.job = join->job->id, .frames = join->mux->frames, .kept = join->mux->kept};
    return REEL_OK;
}

const struct sink_ops sink_null = {
    .name = "null",
    .open = null_open,
    .put = null_put,
    .finish = null_finish,
    .abandon = null_abandon,
    .verify = null_verify,
    .join = null_join,
};

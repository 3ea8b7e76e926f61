// SPDX-License-Identifier: MIT
//
// Motion in numbered .flo files, the format of the Middlebury flow benchmark (Baker et al.,
// "A Database and Evaluation Methodology for Optical Flow", ICCV 2007; flowIO.cpp): the
// number 202021.25 as a float, width and height as 32-bit integers, then u and v of each
// pixel as floats, row by row from the top; all little endian. Where the motion is not
// known both are above 1e9: here in the whole file of a frame that was given up.
#include <stdlib.h>
#include <string.h>

#include "aggregator/sink/numbered.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are written as they are in memory");

#define TAG 202021.25f

struct flo_head {
    float tag;
    int32_t width, height;
};
_Static_assert(sizeof(struct flo_head) == 12, "the head has no gaps");

struct flo {
    struct sink base;
    struct numbered files;
    uint8_t *file; // a whole one: the head, then the motions
    size_t motions_bytes;
};

static void flo_abandon(struct sink *sink)
{
    struct flo *s = (struct flo *)sink;
    numbered_abandon(&s->files);
    free(s->file);
    free(s);
}

static enum reel_err flo_open(const struct sink_params *params, struct sink **out_sink)
{
    const struct reel_geometry *in = &params->plan->in;
    const struct flo_head head = {TAG, (int32_t)in->width, (int32_t)in->height};
    struct flo *s = calloc(1, sizeof *s);
    if (!s) return reel_fail(REEL_ERR_NOMEM, "could not open a part: out of memory");
    s->base.ops = &sink_flo;
    s->motions_bytes = sizeof(struct reel_motion) * in->width * in->height;
    s->file = malloc(sizeof head + s->motions_bytes);
    enum reel_err err = s->file ? REEL_OK : reel_fail(REEL_ERR_NOMEM, "could not open a part: out of memory");
    if (!err) {
        memcpy(s->file, &head, sizeof head);
        err = numbered_begin(&s->files, params);
    }
    if (err)
        flo_abandon(&s->base);
    else
        *out_sink = &s->base;
    return err;
}

static enum reel_err flo_put(struct sink *sink, const struct sink_frame *frame)
{
    struct flo *s = (struct flo *)sink;
    uint8_t *to = s->file + sizeof(struct flo_head);
    const struct results *r = frame->results;
    const struct reel_motion unknown = {REEL_MOTION_UNKNOWN, REEL_MOTION_UNKNOWN};
    if (frame->filled_in) {
        for (size_t at = 0; at < s->motions_bytes; at += sizeof unknown) memcpy(to + at, &unknown, sizeof unknown);
    } else if (r->head.task == REEL_TASK_FLOW && r->head.bytes == s->motions_bytes) {
        memcpy(to, r->items, s->motions_bytes);
    } else {
        return reel_fail(REEL_ERR_PROTO, "could not read motion: %u bytes of it came, not %zu", r->head.bytes,
                         s->motions_bytes);
    }
    return numbered_put(&s->files, s->file, sizeof(struct flo_head) + s->motions_bytes);
}

static enum reel_err flo_finish(struct sink *sink, struct sink_done *out)
{
    const enum reel_err err = numbered_commit(&((struct flo *)sink)->files, out);
    flo_abandon(sink);
    return err;
}

const struct sink_ops sink_flo = {
    .name = "flo",
    .open = flo_open,
    .put = flo_put,
    .finish = flo_finish,
    .abandon = flo_abandon,
    .verify = numbered_verify,
    .join = numbered_join,
};

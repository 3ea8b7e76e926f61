// SPDX-License-Identifier: MIT
//
// Reads the results in a slot. See results.h.
#include "aggregator/post/results.h"

#include <string.h>

static size_t item_bytes(uint32_t task)
{
    switch (task) {
    case REEL_TASK_DETECT:
        return sizeof(struct reel_object);
    case REEL_TASK_CLASSIFY:
        return sizeof(struct reel_class_score);
    case REEL_TASK_FLOW:
        return sizeof(struct reel_motion);
    default:
        return 0;
    }
}

enum reel_err results_read(const uint8_t *aux, uint32_t aux_bytes, struct results *r)
{
    *r = (struct results){0};
    if (!aux_bytes) return REEL_OK; // the task has no results
    if (aux_bytes < sizeof r->head)
        return reel_fail(REEL_ERR_PROTO, "could not read results: %u bytes are too few for a header", aux_bytes);
    memcpy(&r->head, aux, sizeof r->head);
    r->items = aux + sizeof r->head;
    size_t room = aux_bytes - sizeof r->head, item = item_bytes(r->head.task);
    if (r->head.bytes > room || (item && r->head.count > r->head.bytes / item))
        return reel_fail(REEL_ERR_PROTO, "could not read results: %u items in %u bytes do not fit %zu", r->head.count,
                         r->head.bytes, room);
    return REEL_OK;
}

struct reel_object results_object(const struct results *r, uint32_t i)
{
    struct reel_object o;
    memcpy(&o, r->items + i * sizeof o, sizeof o);
    if (o.n_points > REEL_OBJECT_POINTS) o.n_points = REEL_OBJECT_POINTS;
    return o;
}

struct reel_class_score results_class(const struct results *r, uint32_t i)
{
    struct reel_class_score s;
    memcpy(&s, r->items + i * sizeof s, sizeof s);
    return s;
}

// SPDX-License-Identifier: MIT
//
// Writes the command line of a child: all that the coordinator needs of
// child.h, apart from what opens rings and devices.
#include "common/child_args.h"

#include <stdio.h>

#include "common/child.h"

static const char *const stage_names[REEL_STAGES] = {"coordinator", "decoder", "worker", "aggregator"};

enum reel_err reel_child_argv(const struct reel_child_params *p, char *buf, size_t buf_bytes,
                              char *argv[REEL_CHILD_MAX_ARGS])
{
    size_t at = 0;
    int n = 0;
#define ADD(...)                                                                                           \
    do {                                                                                                   \
        int len = snprintf(buf + at, buf_bytes - at, __VA_ARGS__);                                         \
        if (len < 0 || (size_t)len + 1 > buf_bytes - at)                                                   \
            return reel_fail(REEL_ERR_LIMIT, "could not start %s: too many lanes", stage_names[p->stage]); \
        argv[n++] = buf + at;                                                                              \
        at += (size_t)len + 1;                                                                             \
    } while (0)
    ADD("%s", stage_names[p->stage]);
    ADD("%s", CHILD_MARK);
    ADD("%d", (int)p->stage);
    ADD("%u", p->index);
    ADD("%u", p->incarnation);
    ADD("%d", p->parent);
    ADD("%d", p->device);
    ADD("%d", (int)p->mem_kind);
    ADD("%d", p->wire_fd);
    ADD("%s", p->bus_path);
    ADD("%d,%d,%d", p->box.memory, p->box.child_bell, p->box.hub_bell);
    ADD("%d", p->settings_fd);
    ADD("%d", p->jobs_fd);
    ADD("%d", p->stat_fd);
    ADD("%u", p->stat_row);
    ADD("%u", p->lanes);
    ADD("%llu", (unsigned long long)p->in_ring_bytes);
    ADD("%llu", (unsigned long long)p->out_ring_bytes);
    ADD("%d", p->stage == REEL_WORKER ? p->collective_fd : -1);
    ADD("%u", p->workers);
    ADD("%d", p->stage == REEL_DECODER ? p->input_fd : -1);
    ADD("%d", p->stage == REEL_DECODER ? p->head_fd : -1);
    ADD("%d", p->stage == REEL_AGGREGATOR ? p->output_fd : -1);
    const int n_pictures = p->stage == REEL_WORKER ? p->n_pictures : 0;
    char pictures[16 * REEL_MAX_PICTURES] = "-";
    for (int i = 0, len = 0; i < n_pictures; i++)
        len += snprintf(pictures + len, sizeof pictures - (size_t)len, "%s%d", i ? "," : "", p->picture_fds[i]);
    ADD("%s", pictures);
    char *rings = buf + at;
    for (uint32_t i = 0; i < p->lanes; i++) {
        int len = snprintf(buf + at, buf_bytes - at, "%s%d:%d", i ? "," : "", p->in_ring_fds[i], p->out_ring_fds[i]);
        if (len < 0 || (size_t)len + 1 > buf_bytes - at)
            return reel_fail(REEL_ERR_LIMIT, "could not start %s: too many lanes", stage_names[p->stage]);
        at += (size_t)len;
    }
    if (at >= buf_bytes) return reel_fail(REEL_ERR_LIMIT, "could not start %s: too many lanes", stage_names[p->stage]);
    buf[at] = 0;
    argv[n++] = rings;
    argv[n] = NULL;
#undef ADD
    return REEL_OK;
}

// SPDX-License-Identifier: MIT
//
// The order in which nodes become steps. Behind a result whose size depends on data (a
// detector's NonZero, the suppression of boxes) stands the network's tail, which runs on
// the host. All that does not depend on it goes first, then one group of copies brings what
// the tail reads, and the tail waits for the device once, unless it gives the device work.
#include <stdlib.h>

#include "worker/backend/cudnn/program.h"

bool gpu_follows_data(const struct lowered *p, const struct node *node)
{
    for (int i = 0; i < node->n_in; i++)
        if (node->in[i] && info_of(p, node->in[i])->count < 0) return true;
    for (int i = 0; i < node->n_out; i++)
        if (node->out[i] && info_of(p, node->out[i])->count < 0) return true;
    return false;
}

// Values that the node reads: its inputs, operands of its epilogue, what its bodies read.
typedef enum reel_err value_fn(struct lowered *p, const struct value *v, void *user);

static enum reel_err each_read(struct lowered *p, const struct node *node, value_fn *fn, void *user)
{
    enum reel_err err = REEL_OK;
    for (int i = 0; i < node->n_in && !err; i++)
        if (node->in[i]) err = fn(p, node->in[i], user);
    for (int i = 0; i < node->n_epilogue && !err; i++)
        if (node->epilogue[i].other) err = fn(p, node->epilogue[i].other, user);
    if (err || !(node->op->flags & OP_CONTROL)) return err;
    const struct value **list;
    int n;
    err = interp_captures(p->graph, node, &list, &n);
    for (int i = 0; i < n && !err; i++) err = fn(p, list[i], user);
    free(list);
    return err;
}

static enum reel_err is_late(struct lowered *p, const struct value *v, void *user)
{
    *(bool *)user |= info_of(p, v)->late;
    return REEL_OK;
}

static bool for_the_host(const struct lowered *p, const struct node *node)
{
    return (node->op->flags & OP_CONTROL) || gpu_follows_data(p, node);
}

enum reel_err gpu_plan_order(struct lowered *p)
{
    for (const struct node *n = p->graph->first; n; n = n->next) {
        bool late = for_the_host(p, n);
        enum reel_err err = each_read(p, n, is_late, &late);
        if (err) return err;
        for (int i = 0; i < n->n_out; i++)
            if (n->out[i]) info_of(p, n->out[i])->late = late;
    }
    return REEL_OK;
}

bool gpu_is_late(const struct lowered *p, const struct node *node)
{
    for (int i = 0; i < node->n_out; i++)
        if (node->out[i]) return info_of(p, node->out[i])->late;
    return false;
}

// What the device has made and the tail reads.
static enum reel_err bring(struct lowered *p, const struct value *v, void *user)
{
    struct ref at;
    const struct info *i = info_of(p, v);
    (void)user;
    if (v->constant || i->late || i->count < 0 || !(gpu_on_device(p, i) || gpu_has_form(i, FORM_HOST))) return REEL_OK;
    return gpu_need_form(p, v, FORM_HOST, &at);
}

static bool is_found(const struct lowered *p, const struct node *node)
{
    return node->n_out && node->out[0] && info_of(p, node->out[0])->found;
}

// Read on the device, or not at all.
static bool of_regions(const struct lowered *p, const struct node *node)
{
    return node->n_out && node->out[0] && info_of(p, node->out[0])->regions;
}

enum reel_err gpu_begin_tail(struct lowered *p)
{
    enum reel_err err = REEL_OK;
    for (const struct node *n = p->graph->first; n && !err; n = n->next)
        if (for_the_host(p, n)) err = gpu_find(p, n);
    for (const struct node *n = p->graph->first; n && !err; n = n->next)
        if (for_the_host(p, n) && !is_found(p, n) && !of_regions(p, n)) err = each_read(p, n, bring, NULL);
    return err;
}

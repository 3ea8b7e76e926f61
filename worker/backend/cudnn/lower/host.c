// SPDX-License-Identifier: MIT
//
// Host steps: any operator by its reference implementation, on arguments that
// were brought to host memory. Tensors whose size depends on data live there
// only, as do the operators that read them. Control flow (If, Loop, Scan) is one such
// step; what its bodies read of the network around them are arguments too.
#include <stdlib.h>
#include <string.h>

#include "worker/backend/cudnn/lower/host.h"
#include "worker/backend/epilogue.h"

// Of a node of which only the extents are found: RoiAlign, Cast.
#define NODE_EXTENTS_IN 3

struct host_call {
    int n_in, n_out, n_captured;
    const struct value **captured;                       // what bodies read
    struct argument *in, *out, other[NODE_MAX_EPILOGUE]; // in: captured ones behind the node's
    const struct reel_tensor **in_tensors;
    struct reel_tensor **out_tensors;
    const struct found *found; // by the device: nothing is read but that
    bool known;                // every shape is fixed: no inference at run time
    bool extents_only;         // only the result's extents are found: nobody reads its numbers
};

enum reel_err gpu_open_argument(struct lowered *p, const struct value *v, struct argument *a)
{
    const struct info *i = info_of(p, v);
    *a = (struct argument){.v = v, .r = REF_NONE, .t = {.dtype = i->dtype, .shape = i->shape}};
    a->dynamic = i->count < 0;
    return a->dynamic ? REEL_OK : gpu_need_form(p, v, FORM_HOST, &a->r);
}

static enum reel_err open_outputs(struct lowered *p, const struct node *node, struct host_call *c)
{
    for (int i = 0; i < node->n_out; i++) {
        const struct value *v = node->out[i];
        if (!v || (!info_of(p, v)->uses && node->n_out > 1)) continue;
        struct argument *a = &c->out[i];
        const struct info *info = info_of(p, v);
        *a = (struct argument){.v = v, .r = REF_NONE, .t = {.dtype = info->dtype, .shape = info->shape}};
        a->dynamic = info->count < 0;
        c->out_tensors[i] = &a->t;
        if (a->dynamic) {
            c->known = false;
            continue;
        }
        enum reel_err err = gpu_make_form(p, v, FORM_HOST, &a->r);
        if (err) return err;
    }
    return REEL_OK;
}

static enum reel_err open_captured(struct lowered *p, const struct node *node, struct host_call *c)
{
    const struct value **list;
    enum reel_err err = interp_captures(p->graph, node, &list, &c->n_captured);
    if (err) return err;
    c->captured = gpu_lower_alloc(p, ((size_t)c->n_captured + 1) * sizeof(*c->captured));
    if (c->captured && c->n_captured) memcpy(c->captured, list, (size_t)c->n_captured * sizeof(*list));
    free(list);
    return c->captured ? REEL_OK : gpu_no_memory(node);
}

// Of a node that gives on what the device has found.
static enum reel_err lower_found(struct lowered *p, const struct node *node, struct host_call *c)
{
    c->found = info_of(p, node->out[0])->found;
    struct step *s = gpu_add_step(p, STEP_HOST, node, "on the host");
    if (!s) return gpu_no_memory(node);
    s->u.host = c;
    gpu_touch(p, c->found->positions, p->n_steps - 1);
    gpu_touch(p, c->found->values, p->n_steps - 1);
    return REEL_OK;
}

enum reel_err gpu_lower_extents(struct lowered *p, const struct node *node)
{
    struct host_call *c = gpu_lower_alloc(p, sizeof *c);
    struct step *s = c ? gpu_add_step(p, STEP_HOST, node, "extents") : NULL;
    if (!s) return gpu_no_memory(node);
    c->extents_only = true;
    s->u.host = c;
    return REEL_OK;
}

enum reel_err gpu_lower_host(struct lowered *p, const struct node *node)
{
    struct host_call *c = gpu_lower_alloc(p, sizeof *c);
    if (!c) return gpu_no_memory(node);
    if (node->n_out && node->out[0] && info_of(p, node->out[0])->found) return lower_found(p, node, c);
    const bool control = node->op->flags & OP_CONTROL;
    enum reel_err err = control ? open_captured(p, node, c) : REEL_OK;
    if (err) return err;
    c->n_in = node->n_in + c->n_captured;
    c->n_out = node->n_out;
    c->known = !control;
    c->in = gpu_lower_alloc(p, sizeof *c->in * (size_t)(c->n_in + 1));
    c->out = gpu_lower_alloc(p, sizeof *c->out * (size_t)(node->n_out + 1));
    c->in_tensors = gpu_lower_alloc(p, sizeof(*c->in_tensors) * (size_t)(c->n_in + 1));
    c->out_tensors = gpu_lower_alloc(p, sizeof(*c->out_tensors) * (size_t)(node->n_out + 1));
    if (!c->in || !c->out || !c->in_tensors || !c->out_tensors) return gpu_no_memory(node);
    for (int i = 0; i < c->n_in && !err; i++) {
        const struct value *v = i < node->n_in ? node->in[i] : c->captured[i - node->n_in];
        if (!v) continue;
        err = gpu_open_argument(p, v, &c->in[i]);
        c->in_tensors[i] = &c->in[i].t;
        if (c->in[i].dynamic) c->known = false;
    }
    for (int i = 0; i < node->n_epilogue && !err; i++)
        if (node->epilogue[i].other) err = gpu_open_argument(p, node->epilogue[i].other, &c->other[i]);
    if (!err) err = open_outputs(p, node, c);
    struct step *s = err ? NULL : gpu_add_step(p, STEP_HOST, node, "on the host");
    if (!s) return err ? err : gpu_no_memory(node);
    s->u.host = c;
    const int at = p->n_steps - 1;
    for (int i = 0; i < c->n_in; i++)
        if (c->in[i].v) gpu_touch(p, c->in[i].r, at);
    for (int i = 0; i < node->n_epilogue; i++)
        if (c->other[i].v) gpu_touch(p, c->other[i].r, at);
    for (int i = 0; i < c->n_out; i++)
        if (c->out[i].v) gpu_touch(p, c->out[i].r, at);
    return REEL_OK;
}

// ---- running ---------------------------------------------------------------------------

enum reel_err gpu_bind_argument(struct lowered *p, const struct node *node, struct argument *a, gpu_host_fn *host_at,
                                void *exec)
{
    if (!a->dynamic) {
        a->t.data = host_at(exec, a->r);
        return REEL_OK;
    }
    a->t = info_of(p, a->v)->dynamic;
    a->t.owned = false;
    if (a->t.dtype != REEL_DTYPE_NONE) return REEL_OK;
    return reel_fail(REEL_ERR_FAULT, "could not run node \"%s\": input \"%s\" was not computed", node->name,
                     a->v->name);
}

static enum reel_err call_operator(const struct lowered *p, const struct node *node, struct host_call *c)
{
    if (node->op->flags & OP_CONTROL)
        return interp_run_control(p->graph, node, c->in_tensors, c->out_tensors, c->captured,
                                  c->in_tensors + node->n_in, c->n_captured);
    return c->known ? op_eval(node, c->n_in, c->in_tensors, c->n_out, c->out_tensors)
                    : op_run(node, c->in_tensors, c->out_tensors, NULL, NULL);
}

// A result that only points into something else is copied.
static enum reel_err store_dynamic(struct lowered *p, struct argument *a)
{
    struct info *i = info_of(p, a->v);
    enum reel_err err = reel_tensor_own(&a->t);
    if (err) return err;
    i->dynamic = a->t;
    a->t = (struct reel_tensor){0};
    return REEL_OK;
}

// The extents of the result, from those of what it is made of.
static enum reel_err infer_extents(struct lowered *p, const struct node *node)
{
    struct reel_tensor in[NODE_EXTENTS_IN], out = {.shape.ndim = -1};
    const struct reel_tensor *in_at[NODE_EXTENTS_IN];
    for (int i = 0; i < node->n_in; i++) {
        const struct value *v = node->in[i];
        const struct info *info = v ? info_of(p, v) : NULL;
        in_at[i] = v ? &in[i] : NULL;
        if (!v) continue;
        in[i] = v->constant       ? *v->constant
                : info->count < 0 ? info->dynamic
                                  : (struct reel_tensor){.dtype = info->dtype, .shape = info->shape};
        in[i].owned = false;
        if (in[i].dtype == REEL_DTYPE_NONE)
            return reel_fail(REEL_ERR_FAULT, "could not run node \"%s\": input \"%s\" was not computed", node->name,
                             v->name);
    }
    enum reel_err err = op_infer(node, in_at, (struct reel_tensor *const[]){&out});
    if (!err) info_of(p, node->out[0])->dynamic = out;
    return err;
}

enum reel_err gpu_run_host_call(struct lowered *p, const struct step *s, gpu_host_fn *host_at, void *exec)
{
    struct host_call *c = s->u.host;
    const struct node *node = s->node;
    enum reel_err err = REEL_OK;
    if (c->extents_only) return infer_extents(p, node);
    if (c->found)
        return gpu_give_found(p, node, host_at(exec, c->found->positions), host_at(exec, c->found->values),
                              &info_of(p, node->out[0])->dynamic);
    for (int i = 0; i < c->n_in && !err; i++)
        if (c->in[i].v) err = gpu_bind_argument(p, node, &c->in[i], host_at, exec);
    for (int i = 0; i < node->n_epilogue && !err; i++)
        if (c->other[i].v) err = gpu_bind_argument(p, node, &c->other[i], host_at, exec);
    if (err) return err;
    for (int i = 0; i < c->n_out; i++) {
        struct argument *a = &c->out[i];
        if (!a->v) continue;
        if (a->dynamic)
            a->t = (struct reel_tensor){.shape.ndim = -1};
        else
            a->t.data = host_at(exec, a->r);
    }
    err = call_operator(p, node, c);
    for (int i = 0; i < node->n_epilogue && !err; i++)
        err = epilogue_apply(&node->epilogue[i], &c->out[0].t, c->other[i].v ? &c->other[i].t : NULL);
    for (int i = 0; i < c->n_out; i++) {
        struct argument *a = &c->out[i];
        if (!a->v || !a->dynamic) continue;
        if (err)
            reel_tensor_fini(&a->t);
        else
            err = store_dynamic(p, a);
    }
    return err;
}

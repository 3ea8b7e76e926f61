// SPDX-License-Identifier: MIT
//
// The steps that any node can be: the operator's reference implementation on
// plain tensors, and views, which are no step at all. Control flow (If, Loop, Scan) is
// such a step; what its bodies read of the network around them are arguments too.
#include <stdlib.h>
#include <string.h>

#include "worker/backend/epilogue.h"
#include "worker/backend/onednn/program.h"
#include "worker/onnx/op.h"

// ---- views -----------------------------------------------------------------------

// Split along the first axis that is not 1: each part is a run of the input.
static enum reel_err split_view(struct program *p, const struct node *node, bool *out_done)
{
    struct info *in = info_of(p, node->in[0]);
    int64_t axis = node_attr_int(node, "axis", 0);
    if (axis < 0) axis += in->shape.ndim;
    if (in->count < 1 || in->v->constant || axis < 0 || axis >= in->shape.ndim || node->n_epilogue) return REEL_OK;
    for (int i = 0; i < axis; i++)
        if (in->shape.dim[i] != 1) return REEL_OK;
    for (int i = 0; i < node->n_out; i++)
        if (!node->out[i] || info_of(p, node->out[i])->dtype != in->dtype) return REEL_OK;
    struct form f;
    enum reel_err err = need_form(p, node->in[0], LAYOUT_PLAIN, &f);
    if (err || f.buf < 0) return err;
    for (int i = 0; i < node->n_out; i++) {
        struct info *out = info_of(p, node->out[i]);
        set_form(p, out->v, LAYOUT_PLAIN, f);
        out->made = in->made;
        f.offset += (size_t)out->count * reel_dtype_bytes(in->dtype);
    }
    *out_done = true;
    return REEL_OK;
}

// Gather of one constant index along the first axis that is not 1, as networks take
// Q, K and V apart: a run of the input.
static enum reel_err gather_view(struct program *p, const struct node *node, bool *out_done)
{
    struct info *in = info_of(p, node->in[0]), *out = info_of(p, node->out[0]);
    const struct reel_tensor *index = node->n_in > 1 && node->in[1] ? node->in[1]->constant : NULL;
    int64_t axis = node_attr_int(node, "axis", 0), at;
    if (axis < 0) axis += in->shape.ndim;
    if (!index || reel_tensor_count(index) != 1 || in->count < 1 || out->dtype != in->dtype || in->v->constant ||
        axis < 0 || axis >= in->shape.ndim || node->n_epilogue)
        return REEL_OK;
    for (int i = 0; i < axis; i++)
        if (in->shape.dim[i] != 1) return REEL_OK;
    reel_convert(&at, REEL_I64, index->data, index->dtype, 1);
    if (at < 0) at += in->shape.dim[axis];
    if (at < 0 || at >= in->shape.dim[axis]) return REEL_OK; // its error is the operator's
    struct form f;
    enum reel_err err = need_form(p, node->in[0], LAYOUT_PLAIN, &f);
    if (err || f.buf < 0) return err;
    f.offset += (size_t)at * (size_t)out->count * reel_dtype_bytes(in->dtype);
    set_form(p, out->v, LAYOUT_PLAIN, f);
    out->made = in->made;
    *out_done = true;
    return REEL_OK;
}

enum reel_err lower_view(struct program *p, const struct node *node, bool *out_done)
{
    if (!strcmp(node->op_type, "Split")) return split_view(p, node, out_done);
    if (!strcmp(node->op_type, "Gather")) return gather_view(p, node, out_done);
    if (!(node->op->flags & (OP_VIEW | OP_INFERENCE_NOP)) && strcmp(node->op_type, "Cast")) return REEL_OK;
    if (node->n_in < 1 || !node->in[0] || !node->out[0] || node->n_epilogue) return REEL_OK;
    struct info *in = info_of(p, node->in[0]), *out = info_of(p, node->out[0]);
    if (in->dtype != out->dtype || in->count != out->count) return REEL_OK;
    // Dropout that is told to train is none
    if (!strcmp(node->op_type, "Dropout") && node->n_in > 2 && node->in[2]) return REEL_OK;
    // a cast to 16 bits and back rounds; inside the program it is kept exact
    for (int i = 1; i < node->n_out; i++)
        if (node->out[i] && info_of(p, node->out[i])->pending) return REEL_OK; // Dropout's mask
    if (reel_shape_equal(&in->shape, &out->shape)) {
        for (int k = 0; k < LAYOUTS; k++)
            if (form_exists(&in->form[k])) {
                bool twice = k == 1 && in->form[1].buf >= 0 && in->form[1].buf == in->form[0].buf;
                if (twice)
                    out->form[k] = in->form[k];
                else
                    set_form(p, out->v, (enum layout)k, in->form[k]);
            }
    } else {
        struct form f;
        enum reel_err err = need_form(p, node->in[0], LAYOUT_PLAIN, &f);
        if (err) return err;
        set_form(p, out->v, LAYOUT_PLAIN, f);
    }
    out->made = in->made;
    *out_done = true;
    return REEL_OK;
}

// ---- reference steps ---------------------------------------------------------------

struct argument {
    const struct value *v; // NULL when absent
    struct form f;
    struct reel_tensor t;
    void *narrow; // the operator's own 16-bit copy of a value kept as float32
    bool dynamic;
};

struct reference {
    int n_in, n_out, n_captured;
    const struct value **captured; // what bodies read
    struct argument *in, *out;     // in: captured ones behind the node's
    const struct reel_tensor **in_tensors;
    struct reel_tensor **out_tensors;
    bool known; // every shape is fixed: no inference at run time
};

static enum reel_err store_dynamic(struct program *p, struct argument *a)
{
    struct info *i = info_of(p, a->v);
    enum reel_err err = reel_tensor_own(&a->t); // a view into something that will not outlive the step
    if (err) return err;
    i->dynamic = a->t;
    a->t = (struct reel_tensor){0};
    return REEL_OK;
}

static enum reel_err bind_input(struct program *p, const struct node *node, struct argument *a)
{
    if (a->dynamic) {
        a->t = info_of(p, a->v)->dynamic;
        a->t.owned = false;
        if (a->t.dtype == REEL_DTYPE_NONE)
            return reel_fail(REEL_ERR_FAULT, "could not run node \"%s\": input \"%s\" was not computed", node->name,
                             a->v->name);
        return REEL_OK;
    }
    void *data = form_at(p, &a->f);
    if (a->narrow) {
        reel_convert(a->narrow, a->t.dtype, data, REEL_F32, reel_tensor_count(&a->t));
        data = a->narrow;
    }
    a->t.data = data;
    return REEL_OK;
}

static enum reel_err epilogue_dynamic(struct program *p, const struct node *node, struct reel_tensor *x)
{
    for (int i = 0; i < node->n_epilogue; i++) {
        const struct epilogue *e = &node->epilogue[i];
        struct reel_tensor other = {0};
        if (e->other) {
            struct info *o = info_of(p, e->other);
            other = (struct reel_tensor){.dtype = o->dtype, .shape = o->shape};
            if (o->count < 0)
                other = o->dynamic;
            else
                other.data = form_at(p, &o->form[LAYOUT_PLAIN]);
        }
        enum reel_err err = epilogue_apply(e, x, e->other ? &other : NULL);
        if (err) return err;
    }
    return REEL_OK;
}

static enum reel_err call_operator(const struct program *p, const struct node *node, struct reference *r)
{
    if (node->op->flags & OP_CONTROL)
        return interp_run_control(p->graph, node, r->in_tensors, r->out_tensors, r->captured,
                                  r->in_tensors + node->n_in, r->n_captured);
    return r->known ? op_eval(node, r->n_in, r->in_tensors, r->n_out, r->out_tensors)
                    : op_run(node, r->in_tensors, r->out_tensors, NULL, NULL);
}

static enum reel_err run_reference(struct program *p, struct step *s)
{
    struct reference *r = s->data;
    for (int i = 0; i < r->n_in; i++) {
        enum reel_err err = r->in[i].v ? bind_input(p, s->node, &r->in[i]) : REEL_OK;
        if (err) return err;
    }
    for (int i = 0; i < r->n_out; i++) {
        struct argument *a = &r->out[i];
        if (!a->v) continue;
        if (a->dynamic)
            a->t = (struct reel_tensor){.shape.ndim = -1};
        else
            a->t.data = a->narrow ? a->narrow : form_at(p, &a->f);
    }
    enum reel_err err = call_operator(p, s->node, r);
    for (int i = 0; i < r->n_out; i++) {
        struct argument *a = &r->out[i];
        if (!a->v) continue;
        if (a->dynamic) {
            if (!err && i == 0) err = epilogue_dynamic(p, s->node, &a->t);
            if (err)
                reel_tensor_fini(&a->t);
            else
                err = store_dynamic(p, a);
        } else if (a->narrow && !err) {
            reel_convert(form_at(p, &a->f), REEL_F32, a->narrow, a->t.dtype, reel_tensor_count(&a->t));
        }
    }
    return err;
}

static enum reel_err input_argument(struct program *p, const struct value *v, struct argument *a)
{
    struct info *i = info_of(p, v);
    *a = (struct argument){.v = v, .dynamic = i->count < 0};
    if (a->dynamic) return REEL_OK;
    const enum reel_dtype dtype = v->constant ? v->constant->dtype : v->dtype;
    a->t = (struct reel_tensor){.dtype = dtype, .shape = i->shape};
    if (v->constant) { // as the file has it, not as the program keeps it
        a->f = (struct form){.buf = -1, .constant = v->constant->data ? v->constant->data : ""};
        return REEL_OK;
    }
    enum reel_err err = need_form(p, v, LAYOUT_PLAIN, &a->f);
    if (err || i->dtype == dtype) return err;
    a->narrow = program_alloc(p, (size_t)i->count * reel_dtype_bytes(dtype));
    return a->narrow ? REEL_OK : no_memory(NULL);
}

static enum reel_err output_argument(struct program *p, const struct value *v, struct argument *a)
{
    struct info *i = info_of(p, v);
    *a = (struct argument){.v = v, .dynamic = i->count < 0};
    if (a->dynamic) return REEL_OK;
    a->t = (struct reel_tensor){.dtype = v->dtype, .shape = i->shape};
    enum reel_err err = make_form(p, v, LAYOUT_PLAIN, &a->f);
    if (err || i->dtype == v->dtype) return err;
    a->narrow = program_alloc(p, (size_t)i->count * reel_dtype_bytes(v->dtype));
    return a->narrow ? REEL_OK : no_memory(NULL);
}

static enum reel_err open_captured(struct program *p, const struct node *node, struct reference *r)
{
    const struct value **list;
    enum reel_err err = interp_captures(p->graph, node, &list, &r->n_captured);
    if (err) return err;
    r->captured = program_alloc(p, ((size_t)r->n_captured + 1) * sizeof(*r->captured));
    if (r->captured && r->n_captured) memcpy(r->captured, list, (size_t)r->n_captured * sizeof(*list));
    free(list);
    return r->captured ? REEL_OK : no_memory(node);
}

static enum reel_err make_arguments(struct program *p, const struct node *node, struct reference *r)
{
    const bool control = node->op->flags & OP_CONTROL;
    enum reel_err err = control ? open_captured(p, node, r) : REEL_OK;
    if (err) return err;
    r->n_in = node->n_in + r->n_captured;
    r->n_out = node->n_out;
    r->in = program_alloc(p, sizeof *r->in * (size_t)(r->n_in + 1));
    r->out = program_alloc(p, sizeof *r->out * (size_t)(node->n_out + 1));
    r->in_tensors = program_alloc(p, sizeof(*r->in_tensors) * (size_t)(r->n_in + 1));
    r->out_tensors = program_alloc(p, sizeof(*r->out_tensors) * (size_t)(node->n_out + 1));
    if (!r->in || !r->out || !r->in_tensors || !r->out_tensors) return no_memory(node);
    r->known = !control;
    for (int i = 0; i < r->n_in && !err; i++) {
        const struct value *v = i < node->n_in ? node->in[i] : r->captured[i - node->n_in];
        if (!v) continue;
        err = input_argument(p, v, &r->in[i]);
        r->in_tensors[i] = &r->in[i].t;
        if (r->in[i].dynamic) r->known = false;
    }
    // the operands of an epilogue on a dynamic result must be there in plain form
    for (int i = 0; i < node->n_epilogue && !err; i++) {
        const struct value *v = node->epilogue[i].other;
        struct form f;
        if (v && info_of(p, v)->count >= 0) err = need_form(p, v, LAYOUT_PLAIN, &f);
    }
    for (int i = 0; i < node->n_out && !err; i++) {
        if (!node->out[i] || (!info_of(p, node->out[i])->pending && node->n_out > 1)) continue;
        err = output_argument(p, node->out[i], &r->out[i]);
        r->out_tensors[i] = &r->out[i].t;
        if (r->out[i].dynamic) r->known = false;
    }
    return err;
}

enum reel_err lower_reference(struct program *p, const struct node *node)
{
    struct reference r = {0};
    enum reel_err err = make_arguments(p, node, &r);
    struct step *s = err ? NULL : add_step(p, node, "reference", run_reference, sizeof r);
    if (!s) return err ? err : no_memory(node);
    *(struct reference *)s->data = r;
    const int step = p->n_steps - 1;
    for (int i = 0; i < r.n_in; i++)
        if (r.in[i].v && !r.in[i].dynamic) touch(p, &r.in[i].f, step);
    bool dynamic = false;
    for (int i = 0; i < r.n_out; i++) {
        if (!r.out[i].v) continue;
        if (r.out[i].dynamic)
            dynamic = true;
        else
            touch(p, &r.out[i].f, step);
    }
    if (!dynamic) return finish_epilogue(p, node, 0);
    for (int i = 0; i < node->n_epilogue; i++)
        if (node->epilogue[i].other) touch(p, &info_of(p, node->epilogue[i].other)->form[LAYOUT_PLAIN], step);
    return REEL_OK;
}

// SPDX-License-Identifier: MIT
//
// Joining in place: results of convolutions that a Concat along the channels
// joins are written into the joined tensor at once, pixels a pitch apart, and
// are read there (FORM_PART). Dense blocks join what they have over and over;
// copied, that moves more bytes than their convolutions.
//
// Planned before the first node is lowered: where a value will stand. What then
// comes to be elsewhere (an own kernel, an operator that knows no pitch) is
// copied by its Concat, as without a plan: nothing depends on it.
#include "worker/backend/cudnn/program.h"

// A multiple of 16 bytes of channels: no padding between parts, and aligned for cuDNN.
static bool is_whole(const struct lowered *p, const struct info *i)
{
    return i->image && i->shape.ndim == 4 && i->dtype == REEL_F32 && i->pitch == i->c &&
           (size_t)i->c * gpu_elem_bytes(p->low) % 16 == 0;
}

static bool joins(const struct lowered *p, const struct node *node)
{
    if (!node_is(node, "Concat") || *node->domain || node->n_epilogue || node->n_out != 1 || !node->out[0])
        return false;
    const struct info *out = info_of(p, node->out[0]);
    int64_t axis = node_attr_int(node, "axis", 1);
    if (axis < 0) axis += out->shape.ndim;
    for (int i = 0; i < node->n_in; i++)
        if (!node->in[i] || info_of(p, node->in[i])->count <= 0) return false;
    return axis == 1 && is_whole(p, out);
}

static bool convolves(const struct node *node)
{
    return node_is(node, "Conv") && !*node->domain && node_attr_int(node, "group", 1) == 1;
}

// Whether the node can read v between the channels of others.
static bool reads_part(const struct lowered *p, const struct node *node, const struct value *v)
{
    if (joins(p, node)) return true;
    if (!convolves(node)) return false;
    for (int i = 1; i < node->n_in; i++)
        if (node->in[i] == v) return false;
    for (int i = 0; i < node->n_epilogue; i++)
        if (node->epilogue[i].other == v && !reel_shape_equal(&v->shape, &node->out[0]->shape)) return false;
    return true;
}

static bool may_be_part(const struct lowered *p, const struct value *v)
{
    const struct info *i = info_of(p, v);
    if (i->part.root || v->constant || v->is_output || !v->producer || !is_whole(p, i)) return false;
    if (!convolves(v->producer) && !joins(p, v->producer)) return false;
    if (v->n_uses != v->n_use_nodes) return false; // the body of an If or a Loop reads it
    for (int k = 0; k < v->n_use_nodes; k++)
        if (!reads_part(p, v->uses[k], v)) return false;
    return true;
}

// What an earlier, narrower Concat joins may lie side by side within a later one.
static bool stands_already(const struct lowered *p, const struct node *node, struct part *out)
{
    const struct part first = info_of(p, node->in[0])->part;
    int at = first.at;
    for (int i = 0; i < node->n_in; i++) {
        const struct info *in = info_of(p, node->in[i]);
        if (!first.root || in->part.root != first.root || in->part.at != at) return false;
        at += in->c;
    }
    *out = first;
    return true;
}

static void place_inputs(struct lowered *p, const struct node *node)
{
    struct info *out = info_of(p, node->out[0]);
    struct part at = out->part.root ? out->part : (struct part){.root = node->out[0]};
    for (int i = 0; i < node->n_in; i++) {
        struct info *in = info_of(p, node->in[i]);
        if (may_be_part(p, node->in[i])) in->part = at;
        at.at += in->c;
    }
}

void gpu_plan_parts(struct lowered *p)
{
    for (const struct node *node = p->graph->last; node; node = node->prev) {
        if (!joins(p, node)) continue;
        struct part at;
        if (may_be_part(p, node->out[0]) && stands_already(p, node, &at))
            info_of(p, node->out[0])->part = at;
        else
            place_inputs(p, node);
    }
}

enum reel_err gpu_make_part(struct lowered *p, const struct value *v, struct ref *out_ref)
{
    struct info *i = info_of(p, v), *root = info_of(p, i->part.root);
    enum reel_err err = REEL_OK;
    if (root->joined.buf < 0)
        err = gpu_make_temporary(
            p, (size_t)root->n * (size_t)root->h * (size_t)root->w * (size_t)root->pitch * gpu_elem_bytes(p->low),
            &root->joined);
    if (err) return err;
    *out_ref = (struct ref){root->joined.buf, (size_t)i->part.at * gpu_elem_bytes(p->low)};
    i->form[FORM_PART] = *out_ref;
    i->part.pitch = root->pitch;
    return REEL_OK;
}

bool gpu_is_part(const struct info *i)
{
    return gpu_has_form(i, FORM_PART) && !gpu_has_form(i, FORM_IMAGE);
}

bool gpu_on_device(const struct lowered *p, const struct info *i)
{
    return gpu_has_form(i, FORM_PART) || gpu_has_form(i, gpu_best_form(p, i));
}

// ---- the Concat itself -----------------------------------------------------------------

// Copies input v to channel `at` of the joined tensor, whose channels lie as in dst, unless it is there
// already.
static enum reel_err bring(struct lowered *p, const struct node *node, const struct value *v, struct part where,
                           const struct view *dst)
{
    struct info *in = info_of(p, v);
    const bool mine = in->part.root == where.root && in->part.at == where.at;
    if (mine && gpu_has_form(in, FORM_PART)) return REEL_OK;
    struct view src;
    enum reel_err err = gpu_is_part(in) ? gpu_need_view_in(p, v, FORM_PART, &src) : gpu_need_view(p, v, &src);
    if (err) return err;
    struct move m = MOVE_NONE;
    m.n = 4;
    for (int d = 0; d < 4; d++) m.extent[d] = in->shape.dim[d], m.src[d] = src.stride[d], m.dst[d] = dst->stride[d];
    m.dst_base = where.at;
    return gpu_emit_move(p, node, "concat", &m, src.at, src.elem, dst->at, dst->elem);
}

enum reel_err gpu_lower_join(struct lowered *p, const struct node *node, bool *out_done)
{
    struct info *out = joins(p, node) ? info_of(p, node->out[0]) : NULL;
    if (!out) return REEL_OK;
    struct part where = out->part.root ? out->part : (struct part){.root = node->out[0]};
    struct info *root = info_of(p, where.root);
    if (!out->part.root && root->joined.buf < 0) return REEL_OK; // no part lies there
    struct ref at;
    enum reel_err err = REEL_OK;
    if (out->part.root) {
        err = gpu_make_part(p, node->out[0], &at);
    } else {
        gpu_set_form(p, node->out[0], FORM_IMAGE, root->joined);
    }
    struct view whole;
    if (!err) err = gpu_need_view_in(p, node->out[0], out->part.root ? FORM_PART : FORM_IMAGE, &whole);
    whole.at.offset = 0;
    for (int i = 0; i < node->n_in && !err; i++) {
        err = bring(p, node, node->in[i], where, &whole);
        where.at += info_of(p, node->in[i])->c;
    }
    *out_done = true;
    return err;
}

// SPDX-License-Identifier: MIT
//
// DeformConv: the numbers that every pixel multiplies are sampled into rows (gpu_deform), then it is a
// product, which cuDNN computes if rows are whole vectors. The rows of a whole picture could be gigabytes,
// so one piece of it is done at a time.
#include <stdlib.h>
#include <string.h>

#include "worker/backend/cudnn/program.h"

#define MOST_COLUMN_BYTES ((size_t)256 << 20)

struct deform {
    const struct node *node;
    const struct info *x, *y;
    struct gpu_deform g;
    int k;     // results of a group
    int width; // of a row of the product, including the padding of the result's pixels
    int depth; // numbers of a row and group
    struct ref x_at, offset_at, mask_at, y_at, columns, product, *w, *bias;
};

static bool open_deform(struct lowered *p, const struct node *node, struct deform *d)
{
    const struct info *w = info_of(p, node->in[1]), *offset = info_of(p, node->in[2]);
    d->node = node;
    d->x = info_of(p, node->in[0]), d->y = info_of(p, node->out[0]);
    if (!d->x->image || !d->y->image || d->x->shape.ndim != 4 || w->shape.ndim != 4 || !node->in[1]->constant ||
        !offset->image || offset->shape.ndim != 4)
        return false;
    d->g = (struct gpu_deform){.p = d->y->h,
                               .q = d->y->w,
                               .r = (int)w->shape.dim[2],
                               .s = (int)w->shape.dim[3],
                               .stride_h = (int)gpu_attr_at(node, "strides", 0, 1),
                               .stride_w = (int)gpu_attr_at(node, "strides", 1, 1),
                               .pad_top = (int)gpu_attr_at(node, "pads", 0, 0),
                               .pad_left = (int)gpu_attr_at(node, "pads", 1, 0),
                               .dilation_h = (int)gpu_attr_at(node, "dilations", 0, 1),
                               .dilation_w = (int)gpu_attr_at(node, "dilations", 1, 1),
                               .groups = (int)node_attr_int(node, "group", 1),
                               .offset_groups = (int)node_attr_int(node, "offset_group", 1),
                               .y_elem = p->low};
    const struct gpu_deform *g = &d->g;
    if (g->groups < 1 || d->x->c % g->groups || d->y->c % g->groups || g->offset_groups < 1) return false;
    if (d->x->c % g->offset_groups || w->shape.dim[1] != d->x->c / g->groups) return false;
    if ((int64_t)g->p * g->q > INT32_MAX / 2 || (int64_t)d->x->c * g->r * g->s > INT32_MAX / 2) return false;
    if (offset->n != d->x->n || offset->c != 2 * g->offset_groups * g->r * g->s || offset->h != g->p ||
        offset->w != g->q)
        return false;
    d->k = d->y->c / g->groups;
    d->width = g->groups == 1 ? d->y->pitch : d->k;
    d->depth = d->x->c / g->groups * g->r * g->s;
    return true;
}

// The weights (K,C/g,R,S) of a group as (R,S,C/g,width), together with its bias.
static enum reel_err make_weights(struct lowered *p, struct deform *d)
{
    const struct node *node = d->node;
    const float *f = gpu_const_floats(p, node->in[1]);
    const bool has_bias = node->n_in > 3 && node->in[3];
    const float *bias = has_bias ? gpu_const_floats(p, node->in[3]) : NULL;
    const int taps = d->g.r * d->g.s, c_n = d->depth / taps;
    const int64_t count = (int64_t)d->depth * d->width;
    float *m = calloc((size_t)(count + d->width), sizeof *m);
    enum reel_err err = f && m && (bias || !has_bias) ? REEL_OK : gpu_no_memory(node);
    for (int g = 0; g < d->g.groups && !err; g++) {
        for (int t = 0; t < taps; t++)
            for (int c = 0; c < c_n; c++)
                for (int k = 0; k < d->k; k++)
                    m[((int64_t)t * c_n + c) * d->width + k] = f[((int64_t)(g * d->k + k) * c_n + c) * taps + t];
        for (int k = 0; k < d->k && bias; k++) m[count + k] = bias[g * d->k + k];
        err = gpu_make_constant_floats(p, m, count, count, p->low, &d->w[g]);
        if (!err && bias) err = gpu_make_constant_floats(p, m + count, d->width, d->width, p->low, &d->bias[g]);
    }
    free(m);
    return err;
}

static enum reel_err need_operands(struct lowered *p, struct deform *d)
{
    const struct node *node = d->node;
    const struct value *mask = node->n_in > 4 ? node->in[4] : NULL;
    struct view x, offset, m;
    struct ref whole;
    enum reel_err err = gpu_need_form(p, node->in[0], FORM_IMAGE, &whole);
    if (!err) err = gpu_need_view_in(p, node->in[0], FORM_IMAGE, &x);
    if (!err) err = gpu_need_view(p, node->in[2], &offset);
    if (!err && mask) err = gpu_need_view(p, mask, &m);
    if (!err) err = make_weights(p, d);
    if (err) return err;
    d->x_at = x.at, d->offset_at = offset.at, d->mask_at = mask ? m.at : REF_NONE;
    d->g.x = gpu_view_planes(d->x, &x);
    d->g.offset = gpu_view_planes(info_of(p, node->in[2]), &offset);
    if (mask) d->g.mask = gpu_view_planes(info_of(p, mask), &m);
    return REEL_OK;
}

// Multiplies the rows `pixels` of the columns, of group g, by its weights, into y.
static enum reel_err add_product(struct lowered *p, const struct deform *d, int g, int pixels, struct ref y)
{
    struct step s = gpu_step_of(STEP_MATMUL, "product");
    s.x = (struct ref){d->columns.buf, (size_t)g * (size_t)d->depth * gpu_elem_bytes(p->low)};
    s.w = d->w[g];
    s.y = y;
    s.u.matmul = (struct gpu_matmul){.x_elem = p->low,
                                     .w_elem = p->low,
                                     .y_elem = p->low,
                                     .batches = 1,
                                     .m = pixels,
                                     .c = d->depth,
                                     .k = d->width,
                                     .x_row = (int64_t)d->depth * d->g.groups,
                                     .x_col = 1,
                                     .w_row = d->width,
                                     .w_col = 1,
                                     .alpha = 1};
    if (d->bias[g].buf >= 0) {
        struct gpu_chain *c = &s.u.matmul.chain;
        c->n = c->n_operands = 1;
        c->step[0] = (struct gpu_chain_step){.op = GPU_OP_ADD};
        c->operand[0] = (struct gpu_chain_operand){.elem = p->low, .per_channel = true};
        s.operand[0] = d->bias[g];
    }
    const int whole = 16 / (int)gpu_elem_bytes(p->low);
    struct gpu_pattern pattern = gpu_pattern_make(GPU_MATMUL, d->depth, pixels, 1, d->width, 1, 1);
    pattern.x_type = pattern.w_type = pattern.y_type = p->low == GPU_ELEM_F32   ? GPU_F32
                                                       : p->low == GPU_ELEM_F16 ? GPU_F16
                                                                                : GPU_BF16;
    pattern.allow_tf32 = p->allow_tf32;
    if (d->g.groups == 1 && d->depth % whole == 0 && d->width % whole == 0 && !p->own_matmul &&
        gpu_pattern_chain(&pattern, &s.u.matmul.chain) && !gpu_pattern_check(&pattern)) {
        s.kind = STEP_PLAN;
        s.label = "plan";
        s.pattern = pattern;
    }
    return gpu_put_step(p, &s, d->node);
}

// Copies a group's product into its channels of the image.
static enum reel_err place_product(struct lowered *p, const struct deform *d, int g, int pixels, struct ref y)
{
    struct move m = MOVE_NONE;
    m.n = 2;
    m.extent[0] = pixels, m.extent[1] = d->k;
    m.src[0] = d->width, m.src[1] = 1;
    m.dst[0] = d->y->pitch, m.dst[1] = 1;
    m.dst_base = (int64_t)g * d->k;
    if (g == d->g.groups - 1 && d->y->pitch > d->y->c) m.pad_dim = 1, m.pad_to = d->k + d->y->pitch - d->y->c;
    return gpu_emit_move(p, d->node, "place", &m, d->product, p->low, y, p->low);
}

static enum reel_err add_piece(struct lowered *p, struct deform *d)
{
    struct step s = gpu_step_of(STEP_DEFORM, "columns");
    s.x = d->x_at, s.w = d->offset_at, s.extra[0] = d->mask_at, s.y = d->columns;
    s.u.deform = d->g;
    const size_t pixel = (size_t)d->y->pitch * gpu_elem_bytes(p->low);
    const size_t before = (size_t)d->g.image * (size_t)d->g.p * (size_t)d->g.q + (size_t)d->g.first;
    const struct ref y = {d->y_at.buf, d->y_at.offset + before * pixel};
    enum reel_err err = gpu_put_step(p, &s, d->node);
    for (int g = 0; g < d->g.groups && !err; g++) {
        err = add_product(p, d, g, d->g.pixels, d->g.groups == 1 ? y : d->product);
        if (!err && d->g.groups > 1) err = place_product(p, d, g, d->g.pixels, y);
    }
    return err;
}

enum reel_err gpu_lower_deform(struct lowered *p, const struct node *node, bool *out_done)
{
    struct deform d = {0};
    if (!node_is(node, "DeformConv") || node->n_in < 3 || !node->in[0] || !node->in[1] || !node->in[2] ||
        !node->out[0] || node->n_epilogue || node->in[0]->constant || !open_deform(p, node, &d))
        return REEL_OK;
    if (node->n_in > 3 && node->in[3] && !node->in[3]->constant) return REEL_OK;
    if (node->n_in > 4 && node->in[4] && !info_of(p, node->in[4])->image) return REEL_OK;
    d.w = gpu_lower_alloc(p, (size_t)d.g.groups * sizeof *d.w);
    d.bias = gpu_lower_alloc(p, (size_t)d.g.groups * sizeof *d.bias);
    if (!d.w || !d.bias) return gpu_no_memory(node);
    for (int g = 0; g < d.g.groups; g++) d.bias[g] = REF_NONE;
    const size_t row = (size_t)d.depth * (size_t)d.g.groups * gpu_elem_bytes(p->low);
    const int all = d.g.p * d.g.q;
    const int most = row * (size_t)all <= MOST_COLUMN_BYTES ? all : (int)(MOST_COLUMN_BYTES / row) + 1;
    enum reel_err err = need_operands(p, &d);
    if (!err) err = gpu_make_temporary(p, row * (size_t)most, &d.columns);
    if (!err && d.g.groups > 1)
        err = gpu_make_temporary(p, (size_t)most * (size_t)d.width * gpu_elem_bytes(p->low), &d.product);
    if (!err) err = gpu_make_form(p, node->out[0], FORM_IMAGE, &d.y_at);
    for (d.g.image = 0; d.g.image < d.y->n && !err; d.g.image++)
        for (d.g.first = 0; d.g.first < all && !err; d.g.first += most) {
            d.g.pixels = all - d.g.first < most ? all - d.g.first : most;
            err = add_piece(p, &d);
        }
    *out_done = true;
    return err;
}

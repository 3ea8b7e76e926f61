// SPDX-License-Identifier: MIT
//
// A band's value when it has been made (graph/bands.h): the rows beyond the
// band's own become the neighbours'. Rows of an NHWC image follow each other, so
// they are sent and received where they are; those of a value in any other form are
// copied to a block of their own and back.
#include "worker/backend/cudnn/program.h"

// Copies rows [y, y + rows) of a value between where it lies and a block of (rows, W, C).
struct piece {
    const struct node *node;
    const struct view *view;
    const struct info *info;
    struct ref block;
    int rows;
};

static enum reel_err move_rows(struct lowered *p, const struct piece *x, int y, size_t offset, bool out)
{
    const struct info *i = x->info;
    const int64_t packed[4] = {0, 1, (int64_t)i->w * i->c, i->c}; // steps of n, c, y, x in the block
    const int64_t *from = out ? x->view->stride : packed, *to = out ? packed : x->view->stride;
    struct ref block = {x->block.buf, offset};
    struct move m = MOVE_NONE;
    m.n = 4;
    for (int d = 0; d < 4; d++) {
        m.extent[d] = d == 2 ? x->rows : i->shape.dim[d];
        m.src[d] = from[d], m.dst[d] = to[d];
    }
    *(out ? &m.src_base : &m.dst_base) = y * x->view->stride[2];
    return gpu_emit_move(p, x->node, out ? "rows to send" : "rows received", &m, out ? x->view->at : block,
                         x->view->elem, out ? block : x->view->at, x->view->elem);
}

static enum reel_err add_exchange(struct lowered *p, const struct node *node, struct ref at, const struct step_rows *r)
{
    struct step *s = gpu_add_step(p, STEP_ROWS, node, "neighbours' rows");
    if (!s) return gpu_no_memory(node);
    s->y = at;
    s->u.rows = *r;
    gpu_touch_last(p);
    if (r->bytes > p->most_rows_bytes) p->most_rows_bytes = r->bytes;
    return REEL_OK;
}

static enum reel_err exchange_in_place(struct lowered *p, const struct node *node, const struct value *v)
{
    const struct info *i = info_of(p, v);
    const struct value_halo *h = &v->halo;
    const size_t row = (size_t)i->w * (size_t)i->pitch * gpu_elem_bytes(p->low), rows = (size_t)h->rows * row;
    const size_t begin = (size_t)h->above * row, end = (size_t)(i->h - h->below) * row; // of the band's own rows
    const struct step_rows r = {.bytes = rows,
                                .up = h->up,
                                .down = h->down,
                                .send_up = begin,
                                .send_down = end - rows,
                                .from_up = h->up ? begin - rows : 0,
                                .from_down = end};
    return add_exchange(p, node, i->form[FORM_IMAGE], &r);
}

static enum reel_err exchange_packed(struct lowered *p, const struct node *node, const struct value *v,
                                     enum form_kind kind)
{
    const struct info *i = info_of(p, v);
    const struct value_halo *h = &v->halo;
    const int end = i->h - h->below;
    struct view view;
    enum reel_err err = gpu_need_view_in(p, v, kind, &view);
    if (err) return err;
    const size_t bytes = (size_t)h->rows * (size_t)i->w * (size_t)i->c * gpu_elem_bytes(view.elem);
    const struct step_rows r = {.bytes = bytes,
                                .up = h->up,
                                .down = h->down,
                                .send_up = 0,
                                .send_down = bytes,
                                .from_up = 2 * bytes,
                                .from_down = 3 * bytes};
    struct piece x = {node, &view, i, REF_NONE, h->rows};
    err = gpu_make_temporary(p, 4 * bytes, &x.block);
    if (!err && h->up) err = move_rows(p, &x, h->above, r.send_up, true);
    if (!err && h->down) err = move_rows(p, &x, end - h->rows, r.send_down, true);
    if (!err) err = add_exchange(p, node, x.block, &r);
    if (!err && h->up) err = move_rows(p, &x, h->above - h->rows, r.from_up, false);
    if (!err && h->down) err = move_rows(p, &x, end, r.from_down, false);
    return err;
}

static enum reel_err exchange(struct lowered *p, const struct node *node, const struct value *v)
{
    struct info *i = info_of(p, v);
    const enum form_kind kind = gpu_is_part(i) ? FORM_PART : gpu_best_form(p, i);
    if (!i->image || i->n != 1 || i->shape.ndim != 4 || !gpu_has_form(i, kind))
        return reel_fail(REEL_ERR_UNSUPPORTED, "could not compile node \"%s\": its rows cannot be exchanged",
                         node->name);
    enum reel_err err = kind == FORM_IMAGE ? exchange_in_place(p, node, v) : exchange_packed(p, node, v, kind);
    // In any other form, the rows are outdated.
    for (int k = 0; k < FORMS; k++)
        if (k != (int)kind) i->form[k] = REF_NONE;
    return err;
}

enum reel_err gpu_lower_halo(struct lowered *p, const struct node *node)
{
    enum reel_err err = REEL_OK;
    for (int i = 0; i < node->n_out && !err; i++)
        if (node->out[i] && node->out[i]->halo.rows) err = exchange(p, node, node->out[i]);
    return err;
}

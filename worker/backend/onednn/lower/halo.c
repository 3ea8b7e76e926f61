// SPDX-License-Identifier: MIT
//
// A band's value when it has been made (graph/bands.h): the rows beyond the
// band's own become the neighbours'. They are put together, go by
// backend_params.exchange, and are put at their places.
#include <string.h>

#include "worker/backend/onednn/program.h"

// The value's memory: `planes` of `h` rows of `row_bytes`.
struct halo {
    struct form form;
    int planes, h;
    size_t row_bytes;
    struct value_halo rows;
    char *send[2], *from[2]; // up, down
};

// Copies rows [y, y + rows) of all planes to or from the packed block.
static void move_rows(const struct halo *x, char *base, int y, char *packed, bool in)
{
    const size_t bytes = (size_t)x->rows.rows * x->row_bytes;
    for (int i = 0; i < x->planes; i++) {
        char *rows = base + ((size_t)i * (size_t)x->h + (size_t)y) * x->row_bytes, *at = packed + (size_t)i * bytes;
        memcpy(in ? rows : at, in ? at : rows, bytes);
    }
}

static enum reel_err run_halo(struct program *p, struct step *s)
{
    const struct halo *x = s->data;
    const struct value_halo *r = &x->rows;
    char *base = form_at(p, &x->form);
    const int end = x->h - r->below; // of the band's own rows
    if (r->up) move_rows(x, base, r->above, x->send[0], false);
    if (r->down) move_rows(x, base, end - r->rows, x->send[1], false);
    const struct backend_rows rows = {.send_up = x->send[0],
                                      .send_down = x->send[1],
                                      .from_up = x->from[0],
                                      .from_down = x->from[1],
                                      .bytes = (size_t)x->planes * (size_t)r->rows * x->row_bytes};
    enum reel_err err = p->exchange->rows(p->exchange->user, &rows);
    if (err) return err;
    if (r->up) move_rows(x, base, r->above - r->rows, x->from[0], true);
    if (r->down) move_rows(x, base, end, x->from[1], true);
    return REEL_OK;
}

static enum reel_err exchange(struct program *p, const struct node *node, const struct value *v)
{
    struct info *i = info_of(p, v);
    const bool blocked = form_exists(&i->form[LAYOUT_BLOCKED]);
    const struct form form = i->form[blocked ? LAYOUT_BLOCKED : LAYOUT_PLAIN];
    // What was made in both is one in the other's place: rows of one would stay behind.
    if (!p->exchange || !i->image || form.buf < 0 ||
        (blocked && form_exists(&i->form[LAYOUT_PLAIN]) && i->form[LAYOUT_PLAIN].buf != form.buf))
        return reel_fail(REEL_ERR_UNSUPPORTED, "could not compile node \"%s\": its rows cannot be exchanged",
                         node->name);
    const int lanes = blocked ? i->bs.lanes : 1;
    struct halo x = {.form = form,
                     .planes = blocked ? blocked_count(&i->bs) : i->bs.c,
                     .h = i->bs.h,
                     .row_bytes = (size_t)i->bs.w * (size_t)lanes * sizeof(float),
                     .rows = v->halo};
    const size_t bytes = (size_t)x.planes * (size_t)x.rows.rows * x.row_bytes;
    char *packed = program_alloc(p, 4 * bytes);
    struct step *s = packed ? add_step(p, node, "rows of the neighbours", run_halo, sizeof x) : NULL;
    if (!s) return no_memory(node);
    for (int k = 0; k < 2; k++) x.send[k] = packed + (size_t)k * bytes, x.from[k] = packed + (size_t)(2 + k) * bytes;
    *(struct halo *)s->data = x;
    touch(p, &x.form, p->n_steps - 1);
    // Nothing is added to the step that made it any more.
    i->made = p->n_steps - 1;
    i->step = -1;
    return REEL_OK;
}

enum reel_err lower_halo(struct program *p, const struct node *node)
{
    enum reel_err err = REEL_OK;
    for (int i = 0; i < node->n_out && !err; i++)
        if (node->out[i] && node->out[i]->halo.rows) err = exchange(p, node, node->out[i]);
    return err;
}

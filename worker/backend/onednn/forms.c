// SPDX-License-Identifier: MIT
//
// Where the values of a program lie: constants and steps, buffers and their
// lives, the forms of each value and the changes of layout between them, and in
// the end a place in the arena for each buffer. Called while compiling
// (backend_onednn.c, lower/*.c); nothing here runs per frame but the changes of
// layout.
#include <stdlib.h>
#include <string.h>

#include "kernels/quant8.h"
#include "worker/backend/onednn/lower/quant.h"
#include "worker/backend/onednn/program.h"

// ---- memory of a program ---------------------------------------------------------

static void *grow(void *array, int n, int *cap, size_t element)
{
    if (n < *cap) return array;
    int more = *cap ? *cap * 2 : 64;
    void *bigger = realloc(array, (size_t)more * element);
    if (bigger) *cap = more;
    return bigger;
}

enum reel_err no_memory(const struct node *node)
{
    return reel_fail(REEL_ERR_NOMEM, "could not compile node \"%s\": no memory", node ? node->name : "(layout)");
}

void *program_alloc(struct program *p, size_t bytes)
{
    void **owned = grow(p->owned, p->n_owned, &p->cap_owned, sizeof(*p->owned));
    if (!owned) return NULL;
    p->owned = owned;
    bytes = (bytes + 127) / 64 * 64; // whole vectors may be read at the end
    void *m = aligned_alloc(64, bytes);
    if (!m) return NULL;
    memset(m, 0, bytes);
    p->owned[p->n_owned++] = m;
    p->constant_bytes += bytes;
    return m;
}

struct info *info_of(struct program *p, const struct value *v)
{
    return &p->info[v->id];
}

int next_step(const struct program *p)
{
    return p->n_steps;
}

struct step *add_step(struct program *p, const struct node *node, const char *kernel,
                      enum reel_err (*run)(struct program *, struct step *), size_t data_bytes)
{
    struct step *steps = grow(p->steps, p->n_steps, &p->cap_steps, sizeof *p->steps);
    if (!steps) return NULL;
    p->steps = steps;
    void *data = program_alloc(p, data_bytes);
    if (!data) return NULL;
    struct step *s = &p->steps[p->n_steps++];
    *s = (struct step){.run = run, .data = data, .node = node, .kernel = kernel};
    return s;
}

void want_scratch(struct program *p, size_t bytes)
{
    bytes = (bytes + 127) / 64 * 64;
    if (bytes > p->scratch_bytes) p->scratch_bytes = bytes;
}

void touch(struct program *p, const struct form *f, int step)
{
    if (f->constant || f->buf < 0) return;
    struct buf *b = &p->bufs[f->buf];
    if (step < b->first) b->first = step;
    if (step > b->last) b->last = step;
}

int add_buf(struct program *p, enum buf_kind kind, size_t bytes, int step)
{
    struct buf *bufs = grow(p->bufs, p->n_bufs, &p->cap_bufs, sizeof *p->bufs);
    if (!bufs) return -1;
    p->bufs = bufs;
    p->bufs[p->n_bufs] =
        (struct buf){.kind = kind, .asked_bytes = bytes, .bytes = (bytes + 127) / 64 * 64, .first = step, .last = step};
    return p->n_bufs++;
}

// ---- forms -----------------------------------------------------------------------

void set_form(struct program *p, const struct value *v, enum layout layout, struct form f)
{
    struct info *i = info_of(p, v);
    i->form[layout] = f;
    if (f.buf >= 0) p->bufs[f.buf].pending += i->pending;
}

// Where v lies inside the Concat result it is a part of.
static enum reel_err make_at_home(struct program *p, struct info *i, struct form *out_form)
{
    struct info *whole = info_of(p, i->home);
    const int step = whole->step, made = whole->made;
    struct form f = whole->form[LAYOUT_BLOCKED];
    enum reel_err err = form_exists(&f) ? REEL_OK : make_form(p, whole->v, LAYOUT_BLOCKED, &f);
    whole->step = step;
    whole->made = made;
    if (err) return err;
    f.offset += (size_t)i->home_channel * (size_t)i->bs.h * (size_t)i->bs.w * sizeof(float);
    touch(p, &f, p->n_steps);
    set_form(p, i->v, LAYOUT_BLOCKED, f);
    *out_form = f;
    return REEL_OK;
}

enum reel_err make_form(struct program *p, const struct value *v, enum layout layout, struct form *out_form)
{
    struct info *i = info_of(p, v);
    i->step = i->made = p->n_steps;
    i->step_layout = layout;
    if (layout == LAYOUT_BLOCKED && form_exists(&i->form[layout])) { // its parts are there already
        *out_form = i->form[layout];
        return REEL_OK;
    }
    if (layout == LAYOUT_BLOCKED && i->home) return make_at_home(p, i, out_form);
    const size_t elements = layout == LAYOUT_BLOCKED ? blocked_floats(&i->bs) : (size_t)i->count;
    const size_t bytes = elements * reel_dtype_bytes(i->dtype);
    int buf = add_buf(p, BUF_ARENA, bytes, p->n_steps);
    if (buf < 0) return no_memory(NULL);
    p->bufs[buf].padded = layout == LAYOUT_BLOCKED;
    set_form(p, v, layout, (struct form){.buf = buf});
    *out_form = i->form[layout];
    return REEL_OK;
}

enum reel_err make_temporary(struct program *p, size_t bytes, struct form *out_form)
{
    const int buf = add_buf(p, BUF_ARENA, bytes, p->n_steps);
    *out_form = (struct form){.buf = buf};
    return buf < 0 ? no_memory(NULL) : REEL_OK;
}

enum reel_err take_form(struct program *p, const struct value *v, enum layout layout, const struct form *src, int uses,
                        struct form *out_form)
{
    struct info *i = info_of(p, v);
    if (!form_dies(p, src, uses) || (i->home && layout == LAYOUT_BLOCKED)) return make_form(p, v, layout, out_form);
    set_form(p, v, layout, *src);
    i->step = i->made = p->n_steps;
    i->step_layout = layout;
    *out_form = *src;
    return REEL_OK;
}

bool form_dies(const struct program *p, const struct form *f, int uses)
{
    return !f->constant && f->buf >= 0 && p->bufs[f->buf].kind == BUF_ARENA && p->bufs[f->buf].pending <= uses;
}

struct reorder {
    struct blocked_shape s;
    struct form src, dst;
    enum layout to;
    bool bytes;
    int flip; // of plain bytes
};

struct reorder_job {
    const struct reorder *r;
    const void *src;
    void *dst;
};

static void reorder_units(void *job, int begin, int end, int thread)
{
    const struct reorder_job *j = job;
    if (j->r->bytes)
        (j->r->to == LAYOUT_BLOCKED ? q8_block : q8_unblock)(&j->r->s, j->r->flip, j->src, j->dst, begin, end);
    else
        (j->r->to == LAYOUT_BLOCKED ? blocked_from_plain : blocked_to_plain)(&j->r->s, j->src, j->dst, begin, end);
}

static enum reel_err run_reorder(struct program *p, struct step *s)
{
    const struct reorder *r = s->data;
    struct reorder_job job = {r, form_at(p, &r->src), form_at(p, &r->dst)};
    pool_run(p->pool, reorder_units, &job, r->s.n * blocked_count(&r->s));
    return REEL_OK;
}

// A pixel per image in one vector run: both layouts have the same bytes.
static bool same_bytes(const struct info *i)
{
    return i->dtype != REEL_I8 && i->bs.depth <= 1 && i->bs.h * i->bs.w == 1 &&
           (i->bs.n == 1 || i->bs.c % i->bs.lanes == 0);
}

static enum reel_err constant_form(struct program *p, struct info *i, enum layout layout)
{
    const int units = i->bs.n * blocked_count(&i->bs);
    void *m = program_alloc(p, blocked_floats(&i->bs) * reel_dtype_bytes(i->dtype));
    if (!m) return no_memory(NULL);
    if (i->bytes_image)
        q8_block(&i->bs, memory_flip(i, LAYOUT_PLAIN), i->form[LAYOUT_PLAIN].constant, m, 0, units);
    else
        blocked_from_plain(&i->bs, i->form[LAYOUT_PLAIN].constant, m, 0, units);
    i->form[layout] = (struct form){.buf = -1, .constant = m};
    return REEL_OK;
}

enum reel_err need_form(struct program *p, const struct value *v, enum layout layout, struct form *out_form)
{
    struct info *i = info_of(p, v);
    const enum layout other = layout == LAYOUT_PLAIN ? LAYOUT_BLOCKED : LAYOUT_PLAIN;
    enum reel_err err = REEL_OK;
    if (i->dequantize && !form_exists(&i->form[layout]) && !form_exists(&i->form[other]))
        err = make_dequantized(p, i, layout);
    if (err) return err;
    if (!form_exists(&i->form[layout])) {
        const struct form from = i->form[other];
        if (!form_exists(&from))
            return reel_fail(REEL_ERR_FAULT, "could not compile value \"%s\": it is read before it is computed",
                             v->name);
        if (from.constant) {
            err = constant_form(p, i, layout);
        } else if (same_bytes(i) && p->bufs[from.buf].kind == BUF_ARENA) {
            i->form[layout] = from;
        } else {
            const int step = i->step, made = i->made;
            const enum layout step_layout = i->step_layout;
            struct form to;
            err = make_form(p, v, layout, &to);
            i->step = step;
            i->made = made;
            i->step_layout = step_layout;
            struct step *s = err ? NULL
                                 : add_step(p, NULL, layout == LAYOUT_BLOCKED ? "to blocked" : "to plain", run_reorder,
                                            sizeof(struct reorder));
            if (!s) return no_memory(NULL);
            *(struct reorder *)s->data = (struct reorder){.s = i->bs,
                                                          .src = from,
                                                          .dst = to,
                                                          .to = layout,
                                                          .bytes = i->bytes_image,
                                                          .flip = memory_flip(i, LAYOUT_PLAIN)};
            touch(p, &from, p->n_steps - 1);
            touch(p, &to, p->n_steps - 1);
        }
    }
    *out_form = i->form[layout];
    return err;
}

// ---- the arena ----------------------------------------------------------------------

// Offsets by size, largest first, each at the lowest place that is free during
// its life.
static int by_size(const void *a, const void *b)
{
    const struct buf *x = *(struct buf *const *)a, *y = *(struct buf *const *)b;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? 1 : -1;
    return x->first != y->first ? (x->first > y->first) - (x->first < y->first) : (x > y) - (x < y);
}

static size_t place(struct buf **placed, int n, const struct buf *b)
{
    // placed is kept in order of offset
    size_t at = 0;
    for (int i = 0; i < n; i++) {
        const struct buf *o = placed[i];
        if (o->last < b->first || o->first > b->last) continue;
        if (o->offset >= at + b->bytes) break;
        if (o->offset + o->bytes > at) at = o->offset + o->bytes;
    }
    return at;
}

enum reel_err plan_memory(struct program *p)
{
    struct buf **list = calloc((size_t)p->n_bufs * 2 + 1, sizeof(*list));
    if (!list) return no_memory(NULL);
    struct buf **placed = list + p->n_bufs;
    int n = 0;
    for (int i = 0; i < p->n_bufs; i++)
        if (p->bufs[i].kind == BUF_ARENA) list[n++] = &p->bufs[i];
    qsort(list, (size_t)n, sizeof(*list), by_size);
    for (int i = 0; i < n; i++) {
        struct buf *b = list[i];
        b->offset = place(placed, i, b);
        int k = i;
        for (; k > 0 && placed[k - 1]->offset > b->offset; k--) placed[k] = placed[k - 1];
        placed[k] = b;
        if (b->offset + b->bytes > p->arena_bytes) p->arena_bytes = b->offset + b->bytes;
    }
    free(list);
    p->arena = aligned_alloc(64, p->arena_bytes + 64);
    p->scratch = aligned_alloc(64, p->scratch_bytes * (size_t)pool_threads(p->pool) + 64);
    if (!p->arena || !p->scratch)
        return reel_fail(REEL_ERR_NOMEM, "could not compile graph \"%s\": no memory for %zu MB of intermediate results",
                         p->graph->name ? p->graph->name : "", p->arena_bytes >> 20);
    // garbage in lanes nobody reads must not be slow to compute with
    memset(p->arena, 0, p->arena_bytes);
    for (int i = 0; i < p->n_bufs; i++) p->bufs[i].base = p->arena + p->bufs[i].offset;
    return REEL_OK;
}

// SPDX-License-Identifier: MIT
//
// Attention by blocks of rows: softmax(Q K + ...) V, where the scores of all queries against
// all keys would go to memory and back three times, and for large pictures be gigabytes.
// Found among the steps: matmul.c calls take_in_softmax() for a product that has just
// become one. See attention.h. ONNX's Attention operators are
// attend.c's.
#include "worker/backend/onednn/lower/attention.h"

#include "kernels/rows.h"

// Steps between the first product and the softmax.
#define BETWEEN_MOST 3
// Of the scores that are at work: with both packed operands in the second-level cache.
#define BLOCK_BYTES (256 << 10)
#define ROWS_MOST 112
#define ROWS_LEAST 28

struct attention {
    const struct matmul *scores, *result;
    const struct broadcast *between[BETWEEN_MOST]; // in order
    int n_between;
    int rows, blocks; // of queries in a block, blocks of a matrix
    // floats from the thread's memory on: packed keys, values, scores, the kernels' own
    size_t values_at, scores_at, kernel_at;
};

struct attention_job {
    const struct program *p;
    const struct attention *w;
    struct conv_epilogue scores, result, between[BETWEEN_MOST];
    const float *q, *k, *v, *other[BETWEEN_MOST];
    float *dst;
};

// ---- running ---------------------------------------------------------------------

// e for the part of the result that begins at element `at`.
static struct conv_epilogue moved(struct conv_epilogue e, size_t at)
{
    for (int s = 0; s < e.n; s++)
        if (conv_step_full(e.step[s].kind)) e.step[s].data += at;
    return e;
}

static void pack(const struct attention_job *j, int matrix, float *keys, float *values)
{
    const struct matmul *s = j->w->scores, *r = j->w->result;
    j->p->k->pack_b(keys, j->k + s->b_step * (size_t)matrix, s->b_row, s->b_column, s->k, s->n);
    j->p->k->pack_b(values, j->v + r->b_step * (size_t)matrix, r->b_row, r->b_column, r->k, r->n);
}

// Rows [first, first + count) of a matrix.
static void attend(const struct attention_job *j, int matrix, int first, int count, float *scratch)
{
    const struct attention *w = j->w;
    const struct matmul *s = w->scores, *r = w->result;
    const struct conv_kernels *k = j->p->k;
    const size_t row = (size_t)matrix * (size_t)s->m + (size_t)first, n = (size_t)s->n;
    float *scores = scratch + w->scores_at, *own = scratch + w->kernel_at;
    struct conv_epilogue e = moved(j->scores, row * n);
    k->matmul(scores, s->n, j->q + s->a_step * (size_t)matrix + (size_t)first * (size_t)s->k, s->k, scratch, s->bias,
              &e, 0, count, s->k, s->n, own);
    for (int i = 0; i < w->n_between; i++)
        broadcast_apply(w->between[i], k, &j->between[i], j->other[i], scores, (int64_t)(row * n),
                        (int64_t)count * s->n);
    rows_softmax(scores, scores, (size_t)count, n);
    const size_t at = row * (size_t)r->n;
    e = moved(j->result, at);
    k->matmul(j->dst + at, r->n, scores, r->k, scratch + w->values_at, r->bias, &e, 0, count, r->k, r->n, own);
}

static void attention_units(void *job, int begin, int end, int thread)
{
    const struct attention_job *j = job;
    const struct attention *w = j->w;
    float *scratch = thread_scratch(j->p, thread);
    for (int u = begin, packed = -1; u < end; u++) {
        const int matrix = u / w->blocks, first = u % w->blocks * w->rows, left = w->scores->m - first;
        if (matrix != packed) pack(j, matrix, scratch, scratch + w->values_at);
        packed = matrix;
        attend(j, matrix, first, left < w->rows ? left : w->rows, scratch);
    }
}

static enum reel_err run_attention(struct program *p, struct step *s)
{
    const struct attention *w = s->data;
    struct attention_job job = {.p = p,
                                .w = w,
                                .scores = bind_tail(p, &w->scores->tail),
                                .result = bind_tail(p, &w->result->tail),
                                .q = form_at(p, &w->scores->a),
                                .k = form_at(p, &w->scores->b),
                                .v = form_at(p, &w->result->b),
                                .dst = form_at(p, &w->result->dst)};
    for (int i = 0; i < w->n_between; i++) {
        job.between[i] = bind_tail(p, &w->between[i]->tail);
        job.other[i] = form_at(p, &w->between[i]->other);
    }
    pool_run(p->pool, attention_units, &job, w->scores->batches * w->blocks);
    return REEL_OK;
}

static enum reel_err run_nothing(struct program *p, struct step *s)
{
    return REEL_OK;
}

// ---- finding ---------------------------------------------------------------------

// The chain of steps from the softmax back to the first product.
struct chain {
    int step[BETWEEN_MOST + 2]; // softmax first
    int n;
};

// The node's operand that lies in that buffer; NULL when there is none, or several.
static const struct value *operand_in(struct program *p, const struct node *node, int buf)
{
    const struct value *found = NULL;
    for (int i = 0; i < node->n_in; i++) {
        if (!node->in[i] || info_of(p, node->in[i])->form[LAYOUT_PLAIN].buf != buf) continue;
        if (found) return NULL;
        found = node->in[i];
    }
    return found;
}

static bool is_product_of(const struct step *s, const struct node *node)
{
    const struct matmul *w = matmul_of(s);
    return w && s->node == node && !w->packed;
}

// From the softmax's result on back, as long as each value is read once and was made in place
// by a step that is known here or stands in its tail.
static bool find_chain(struct program *p, const struct value *v, int buf, struct chain *c)
{
    while (v && v->producer && !v->is_output && !v->halo.rows && info_of(p, v)->uses == 1) {
        const int made = info_of(p, v)->made;
        if (made < 0 || (c->n && made > c->step[c->n - 1])) return false;
        if (!c->n || made != c->step[c->n - 1]) {
            if (c->n == BETWEEN_MOST + 2) return false;
            const struct rows *rows = rows_of(&p->steps[made]);
            if (!c->n ? !rows || !rows->softmax : !matmul_of(&p->steps[made]) && !broadcast_of(&p->steps[made]))
                return false;
            c->step[c->n++] = made;
        }
        if (is_product_of(&p->steps[made], v->producer)) return c->n >= 2;
        v = operand_in(p, v->producer, buf);
    }
    return false;
}

// ---- planning --------------------------------------------------------------------

static size_t whole(size_t floats)
{
    return (floats + 15) / 16 * 16;
}

static void plan_blocks(struct program *p, struct attention *w)
{
    const struct matmul *s = w->scores, *r = w->result;
    const struct conv_kernels *k = p->k;
    int rows = BLOCK_BYTES / 4 / s->n / ROWS_LEAST * ROWS_LEAST;
    rows = rows < ROWS_LEAST ? ROWS_LEAST : rows > ROWS_MOST ? ROWS_MOST : rows;
    w->blocks = (s->m + rows - 1) / rows;
    w->rows = (s->m + w->blocks - 1) / w->blocks;
    const size_t a = k->matmul_scratch_bytes(s->k), b = k->matmul_scratch_bytes(r->k);
    w->values_at = whole(k->pack_b_floats(s->k, s->n));
    w->scores_at = w->values_at + whole(k->pack_b_floats(r->k, r->n));
    w->kernel_at = w->scores_at + whole((size_t)w->rows * (size_t)s->n);
    want_scratch(p, w->kernel_at * sizeof(float) + (a > b ? a : b));
}

// The steps' work is done by a later one: so long are their operands in use.
static void hand_over(struct program *p, struct attention *w, const struct chain *c)
{
    const int last = p->n_steps - 1;
    touch(p, &w->scores->a, last);
    touch(p, &w->scores->b, last);
    touch_tail(p, &w->scores->tail, last);
    for (int i = 0; i < w->n_between; i++) {
        touch(p, &w->between[i]->other, last);
        touch_tail(p, &w->between[i]->tail, last);
    }
    for (int i = 0; i < c->n; i++) {
        struct step *s = &p->steps[c->step[i]];
        p->steps[last].mflop += s->mflop;
        *s = (struct step){.run = run_nothing, .node = s->node, .kernel = "in attention"};
    }
    p->bufs[w->result->a.buf].bytes = 0; // the scores are nowhere as a whole
}

enum reel_err take_in_softmax(struct program *p, const struct node *node)
{
    struct step *last = &p->steps[p->n_steps - 1];
    const struct matmul *result = matmul_of(last);
    const int buf = result->a.buf;
    struct chain c = {0};
    if (buf < 0 || p->bufs[buf].kind != BUF_ARENA || p->bufs[buf].pending != 1) return REEL_OK;
    if (!find_chain(p, node->in[0], buf, &c)) return REEL_OK;
    const struct matmul *scores = matmul_of(&p->steps[c.step[c.n - 1]]);
    const struct rows *rows = rows_of(&p->steps[c.step[0]]);
    if (!scores || scores->batches != result->batches || scores->m != result->m || scores->n != result->k ||
        rows->n != scores->n || scores->dst.buf != buf || rows->dst.buf != buf)
        return REEL_OK;
    struct attention *w = program_alloc(p, sizeof *w);
    if (!w) return no_memory(node);
    w->scores = scores;
    w->result = result;
    for (int i = c.n - 2; i > 0; i--) {
        w->between[w->n_between] = broadcast_of(&p->steps[c.step[i]]);
        if (!w->between[w->n_between++]) return REEL_OK;
    }
    plan_blocks(p, w);
    if ((int64_t)scores->batches * w->blocks > INT32_MAX) return REEL_OK;
    hand_over(p, w, &c);
    last->run = run_attention;
    last->data = w;
    last->kernel = "attention";
    return REEL_OK;
}

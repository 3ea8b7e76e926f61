// SPDX-License-Identifier: MIT
//
// ONNX's Attention (23 and later) and com.microsoft's MultiHeadAttention as one step: scores
// of a block of queries, scale, mask, softmax and the product with the values, while the
// block stays in the second-level cache. Heads are read and written where they lie, packed
// rows included; the scores are never stored as a whole. Called by the lowering; caches,
// score caps and further outputs are left to the reference implementation, as attention
// spelled out in products is to attention.c.
#include <math.h>
#include <string.h>

#include "kernels/rows.h"
#include "worker/backend/onednn/program.h"
#include "worker/onnx/ops/attention.h"

// As attention.c's: with both packed operands in the second-level cache.
#define BLOCK_BYTES (256 << 10)
#define ROWS_MOST 112
#define ROWS_LEAST 28

struct attend {
    struct attention a;
    struct form q, k, v, mask, bias, dst; // mask, bias absent: FORM_NONE
    bool has_mask, mask_bytes, has_bias;
    int64_t mask_step[4]; // elements from one batch, head, query, key to the next; 0: the same
    int rows, blocks;     // of queries in a block, blocks of a head
    // floats from the thread's memory on: packed keys before, packed values, scores, rows with
    // their bias, the kernels' own
    size_t values_at, scores_at, rows_at, kernel_at;
};

struct attend_job {
    const struct program *p;
    const struct attend *w;
    const float *q, *k, *v, *bias;
    const void *mask;
    float *dst;
};

// A head's rows: the first of them, and how far they are apart.
struct head {
    const float *at;
    ptrdiff_t row;
};

static struct head head_of(const struct attention *a, const float *x, int64_t b, int64_t h, int64_t heads, int64_t len,
                           int64_t dim)
{
    if (a->packed) return (struct head){x + (b * len * heads + h) * dim, heads * dim};
    return (struct head){x + (b * heads + h) * len * dim, dim};
}

// n rows with the bias of that head, in `to`; the head itself without one.
static struct head biased(const struct attend_job *j, struct head x, size_t bias_at, int64_t n, int64_t dim, float *to)
{
    if (!j->bias) return x;
    const float *bias = j->bias + bias_at;
    for (int64_t i = 0; i < n; i++)
        for (int64_t d = 0; d < dim; d++) to[i * dim + d] = x.at[i * x.row + d] + bias[d];
    return (struct head){to, dim};
}

static void pack_head(const struct attend_job *j, int64_t b, int64_t h, float *scratch)
{
    const struct attend *w = j->w;
    const struct attention *a = &w->a;
    const int64_t kv = h / (a->q_heads / a->kv_heads), hidden = a->q_heads * a->dim;
    float *rows = scratch + w->rows_at;
    struct head k = biased(j, head_of(a, j->k, b, kv, a->kv_heads, a->total, a->dim), (size_t)(hidden + kv * a->dim),
                           a->total, a->dim, rows);
    j->p->k->pack_b(scratch, k.at, 1, k.row, (int)a->dim, (int)a->total);
    struct head v = biased(j, head_of(a, j->v, b, kv, a->kv_heads, a->total, a->v_dim),
                           (size_t)(2 * hidden + kv * a->v_dim), a->total, a->v_dim, rows);
    j->p->k->pack_b(scratch + w->values_at, v.at, v.row, 1, (int)a->total, (int)a->v_dim);
}

// Keys [first, last] of query i.
static void keys_of(const struct attention *a, int64_t i, int64_t *out_first, int64_t *out_last)
{
    int64_t first = 0, last = a->total - 1;
    if (a->causal && i < last) last = i;
    if (a->right >= 0 && i + a->right < last) last = i + a->right;
    if (a->left >= 0 && i - a->left > first) first = i - a->left;
    *out_first = first, *out_last = last;
}

// Adds the mask to the keys [first, last] of a row.
static void add_mask(const struct attend_job *j, int64_t at, int64_t first, int64_t last, float *row)
{
    const int64_t step = j->w->mask_step[3];
    if (j->w->mask_bytes) {
        const uint8_t *m = (const uint8_t *)j->mask + at;
        for (int64_t t = first; t <= last; t++) row[t] = m[t * step] ? row[t] : -INFINITY;
    } else if (step) {
        const float *m = (const float *)j->mask + at;
        for (int64_t t = first; t <= last; t++) row[t] += m[t];
    } else {
        const float m = ((const float *)j->mask)[at];
        for (int64_t t = first; t <= last; t++) row[t] += m;
    }
}

// Scaled and masked scores of a row become weights; all zero where nothing may be attended.
static void weigh(const struct attend_job *j, int64_t b, int64_t h, int64_t i, float *row)
{
    const struct attention *a = &j->w->a;
    const int64_t *step = j->w->mask_step;
    int64_t first, last;
    keys_of(a, i, &first, &last);
    float most = -INFINITY;
    if (j->mask) add_mask(j, b * step[0] + h * step[1] + i * step[2], first, last, row);
    for (int64_t t = first; t <= last; t++) most = row[t] > most ? row[t] : most;
    if (most == -INFINITY) last = first - 1;
    for (int64_t t = 0; t < first; t++) row[t] = 0;
    for (int64_t t = last + 1; t < a->total; t++) row[t] = 0;
    if (last >= first) rows_softmax(row + first, row + first, 1, (size_t)(last - first + 1));
}

static void attend_block(const struct attend_job *j, int64_t b, int64_t h, int64_t first, int64_t count, float *scratch)
{
    const struct attend *w = j->w;
    const struct attention *a = &w->a;
    const struct conv_kernels *k = j->p->k;
    const struct conv_epilogue none = {0};
    const bool plain = !j->mask && !a->causal && a->left < 0 && a->right < 0;
    const int64_t n = a->total;
    float *scores = scratch + w->scores_at, *own = scratch + w->kernel_at;
    struct head q = head_of(a, j->q, b, h, a->q_heads, a->q_len, a->dim);
    q.at += first * q.row;
    q = biased(j, q, (size_t)(h * a->dim), count, a->dim, scratch + w->rows_at);
    k->matmul(scores, n, q.at, q.row, scratch, NULL, &none, 0, (int)count, (int)a->dim, (int)n, own);
    const float scale = (float)a->scale;
    for (int64_t i = 0; i < count * n; i++) scores[i] *= scale;
    if (plain) rows_softmax(scores, scores, (size_t)count, (size_t)n);
    for (int64_t i = 0; !plain && i < count; i++) weigh(j, b, h, first + i, scores + i * n);
    const struct head y = head_of(a, j->dst, b, h, a->q_heads, a->q_len, a->v_dim);
    k->matmul((float *)y.at + first * y.row, y.row, scores, n, scratch + w->values_at, NULL, &none, 0, (int)count,
              (int)n, (int)a->v_dim, own);
}

static void attend_units(void *job, int begin, int end, int thread)
{
    const struct attend_job *j = job;
    const struct attend *w = j->w;
    float *scratch = thread_scratch(j->p, thread);
    for (int u = begin, packed = -1; u < end; u++) {
        const int head = u / w->blocks, first = u % w->blocks * w->rows, left = (int)w->a.q_len - first;
        const int64_t b = head / w->a.q_heads, h = head % w->a.q_heads;
        if (head != packed) pack_head(j, b, h, scratch);
        packed = head;
        attend_block(j, b, h, first, left < w->rows ? left : w->rows, scratch);
    }
}

static enum reel_err run_attend(struct program *p, struct step *s)
{
    const struct attend *w = s->data;
    const struct attend_job job = {.p = p,
                                   .w = w,
                                   .q = form_at(p, &w->q),
                                   .k = form_at(p, &w->k),
                                   .v = form_at(p, &w->v),
                                   .bias = w->has_bias ? form_at(p, &w->bias) : NULL,
                                   .mask = w->has_mask ? form_at(p, &w->mask) : NULL,
                                   .dst = form_at(p, &w->dst)};
    pool_run(p->pool, attend_units, (void *)&job, (int)(w->a.batch * w->a.q_heads) * w->blocks);
    return REEL_OK;
}

// ---- planning --------------------------------------------------------------------

static size_t whole(int64_t floats)
{
    return (size_t)((floats + 15) / 16 * 16);
}

static void plan_attend(struct program *p, struct attend *w)
{
    const struct attention *a = &w->a;
    const struct conv_kernels *k = p->k;
    const int q = (int)a->q_len, n = (int)a->total, d = (int)a->dim, v = (int)a->v_dim;
    int rows = BLOCK_BYTES / 4 / n / ROWS_LEAST * ROWS_LEAST;
    rows = rows < ROWS_LEAST ? ROWS_LEAST : rows > ROWS_MOST ? ROWS_MOST : rows;
    w->blocks = (q + rows - 1) / rows;
    w->rows = (q + w->blocks - 1) / w->blocks;
    const size_t first = k->matmul_scratch_bytes(d), second = k->matmul_scratch_bytes(n);
    w->values_at = whole((int64_t)k->pack_b_floats(d, n));
    w->scores_at = w->values_at + whole((int64_t)k->pack_b_floats(n, v));
    w->rows_at = w->scores_at + whole((int64_t)w->rows * n);
    w->kernel_at = w->rows_at + (w->has_bias ? whole((int64_t)(n > w->rows ? n : w->rows) * (d > v ? d : v)) : 0);
    want_scratch(p, w->kernel_at * sizeof(float) + (first > second ? first : second));
}

static const struct value *input(const struct node *node, int i)
{
    return i < node->n_in ? node->in[i] : NULL;
}

// The mask's steps; false when it is none that broadcasts over the scores element for element.
static bool mask_steps(const struct info *m, const struct attention *a, int64_t step[4])
{
    const int64_t want[4] = {a->batch, a->q_heads, a->q_len, a->total};
    int64_t unit = 1;
    if (m->shape.ndim > 4 || m->count < 1 || (m->dtype != REEL_F32 && m->dtype != REEL_BOOL)) return false;
    for (int i = 3; i >= 0; i--) {
        const int at = i - (4 - m->shape.ndim);
        const int64_t dim = at < 0 ? 1 : m->shape.dim[at];
        if (dim != 1 && dim != want[i]) return false;
        step[i] = dim == 1 ? 0 : unit;
        unit *= dim;
    }
    return true;
}

// Extents and options, when the step can do all of them.
static enum reel_err open_attention(struct program *p, const struct node *node, bool multi, struct attention *a,
                                    bool *out_ok)
{
    struct reel_tensor t[16] = {{0}};
    const struct reel_tensor *in[16] = {NULL};
    struct reel_tensor *out[1] = {NULL};
    *out_ok = false;
    if (node->n_in > 16) return REEL_OK;
    for (int i = 1; i < node->n_out; i++)
        if (node->out[i]) return REEL_OK;
    for (int i = 0; i < node->n_in; i++) {
        if (!node->in[i]) continue;
        const struct info *have = info_of(p, node->in[i]);
        if (i < 3 && (have->dtype != REEL_F32 || have->count < 1)) return REEL_OK;
        t[i] = (struct reel_tensor){.dtype = have->dtype, .shape = have->shape};
        in[i] = &t[i];
    }
    for (int i = multi ? 6 : 4; i < node->n_in; i++)
        if (node->in[i]) return REEL_OK;
    if (multi && input(node, 4)) return REEL_OK;
    const struct op_call call = {
        .node = node, .opset = node->opset, .n_in = node->n_in, .in = in, .n_out = 1, .out = out};
    bool known = true;
    enum reel_err err = multi ? multi_head_open(&call, a) : attention_open(&call, a, &known);
    if (err || !known) return err;
    const int64_t most = INT32_MAX / 4;
    const struct info *y = info_of(p, node->out[0]);
    *out_ok = a->past == 0 && a->softcap <= 0 && y->dtype == REEL_F32 && y->count > 0 && a->q_len < most &&
              a->total < most && a->batch * a->q_heads * a->q_len < most;
    return REEL_OK;
}

static enum reel_err open_operands(struct program *p, const struct node *node, bool multi, struct attend *w,
                                   bool *out_ok)
{
    const struct value *bias = multi ? input(node, 3) : NULL, *mask = input(node, multi ? 5 : 3);
    w->has_bias = bias != NULL;
    w->has_mask = mask != NULL;
    w->mask_bytes = mask && info_of(p, mask)->dtype == REEL_BOOL;
    *out_ok = (!mask || mask_steps(info_of(p, mask), &w->a, w->mask_step)) &&
              (!bias || (info_of(p, bias)->dtype == REEL_F32 &&
                         info_of(p, bias)->count == w->a.q_heads * (2 * w->a.dim + w->a.v_dim)));
    if (!*out_ok) return REEL_OK;
    enum reel_err err = need_form(p, node->in[0], LAYOUT_PLAIN, &w->q);
    if (!err) err = need_form(p, node->in[1], LAYOUT_PLAIN, &w->k);
    if (!err) err = need_form(p, node->in[2], LAYOUT_PLAIN, &w->v);
    if (!err && mask) err = need_form(p, mask, LAYOUT_PLAIN, &w->mask);
    if (!err && bias) err = need_form(p, bias, LAYOUT_PLAIN, &w->bias);
    return err;
}

enum reel_err lower_attention(struct program *p, const struct node *node, bool *out_done)
{
    const bool multi = !strcmp(node->domain, "com.microsoft") && !strcmp(node->op_type, "MultiHeadAttention");
    if (!multi && (*node->domain || strcmp(node->op_type, "Attention"))) return REEL_OK;
    struct attend w = {.mask = FORM_NONE, .bias = FORM_NONE};
    bool ok = false;
    enum reel_err err = open_attention(p, node, multi, &w.a, &ok);
    if (!err && ok) err = open_operands(p, node, multi, &w, &ok);
    if (err || !ok) return err;
    plan_attend(p, &w);
    err = make_form(p, node->out[0], LAYOUT_PLAIN, &w.dst);
    struct step *s = err ? NULL : add_step(p, node, "attention", run_attend, sizeof w);
    if (!s) return err ? err : no_memory(node);
    *(struct attend *)s->data = w;
    s->mflop = 2e-6 * (double)(w.a.batch * w.a.q_heads * w.a.q_len * w.a.total * (w.a.dim + w.a.v_dim));
    const struct form *used[] = {&w.q, &w.k, &w.v, &w.dst, &w.mask, &w.bias};
    for (int i = 0; i < 6; i++)
        if (form_exists(used[i])) touch(p, used[i], p->n_steps - 1);
    *out_done = true;
    return finish_epilogue(p, node, 0);
}

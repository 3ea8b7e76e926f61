// SPDX-License-Identifier: MIT
//
// Attention (23, 24, 25), RotaryEmbedding (23) and com.microsoft's
// MultiHeadAttention, whose entries stand in matmul.c's table.
//
// One head of one batch element at a time: scores by a matrix product, softmax
// row by row, values by a second product. Masks are positions and addends of a
// row, never a tensor of their own. What it is not: no blocked (flash) form; the
// score matrix of one head must fit in memory.
#include "worker/onnx/ops/attention.h"
#include "kernels/math.h"

// Type and size of in[i] as (batch, heads, length, dim).
struct heads {
    int64_t batch, count, len, dim;
};

static enum reel_err heads_of(const struct reel_shape *s, int64_t count, struct heads *out_h)
{
    if (s->ndim == 4) {
        *out_h = (struct heads){s->dim[0], s->dim[1], s->dim[2], s->dim[3]};
        return REEL_OK;
    }
    if (s->ndim != 3) return reel_fail(REEL_ERR_INPUT, "query, key and value must have rank 3 or 4, not %d", s->ndim);
    if (count < 1 || (s->dim[2] >= 0 && s->dim[2] % count))
        return reel_fail(REEL_ERR_INPUT, "%lld heads do not divide %lld", (long long)count, (long long)s->dim[2]);
    *out_h = (struct heads){s->dim[0], count, s->dim[1], s->dim[2] < 0 ? -1 : s->dim[2] / count};
    return REEL_OK;
}

static bool clash(int64_t a, int64_t b)
{
    return a >= 0 && b >= 0 && a != b;
}

enum reel_err attention_open(const struct op_call *call, struct attention *a, bool *out_known)
{
    const struct node *node = call->node;
    *a = (struct attention){.dtype = work_dtype(call->in[0]->dtype)};
    *out_known = false;
    for (int i = 0; i < 3; i++)
        if (!call->in[i] || call->in[i]->shape.ndim < 0) return REEL_OK;
    int64_t qh = node_attr_int(node, "q_num_heads", 0), kvh = node_attr_int(node, "kv_num_heads", 0);
    struct heads q = {0}, k = {0}, v = {0};
    enum reel_err err = heads_of(&call->in[0]->shape, qh, &q);
    if (!err) err = heads_of(&call->in[1]->shape, kvh, &k);
    if (!err) err = heads_of(&call->in[2]->shape, kvh, &v);
    if (err) return err;
    if (call->in[0]->shape.ndim != call->in[1]->shape.ndim || call->in[0]->shape.ndim != call->in[2]->shape.ndim)
        return reel_fail(REEL_ERR_INPUT, "query, key and value have different ranks");
    if (clash(q.batch, k.batch) || clash(q.batch, v.batch) || clash(k.count, v.count) || clash(k.len, v.len) ||
        clash(q.dim, k.dim) || (q.count >= 0 && k.count >= 0 && (k.count == 0 || q.count % k.count)))
        return reel_fail(REEL_ERR_INPUT, "the shapes of query, key and value do not fit");
    const struct reel_tensor *past_k = call_in(call, 4), *past_v = call_in(call, 5);
    if (!past_k != !past_v) return reel_fail(REEL_ERR_INPUT, "past_key and past_value must be used together");
    if (past_k && call_in(call, 6)) return reel_fail(REEL_ERR_INPUT, "nonpad_kv_seqlen and a cache exclude each other");
    if (past_k) {
        const struct reel_shape *pk = &past_k->shape, *pv = &past_v->shape;
        if (pk->ndim < 0 || pv->ndim < 0) return REEL_OK;
        if (pk->ndim != 4 || pv->ndim != 4 || clash(pk->dim[0], q.batch) || clash(pk->dim[1], k.count) ||
            clash(pk->dim[3], k.dim) || clash(pv->dim[0], q.batch) || clash(pv->dim[1], k.count) ||
            clash(pv->dim[2], pk->dim[2]) || clash(pv->dim[3], v.dim))
            return reel_fail(REEL_ERR_INPUT, "the cache's shape does not fit key and value");
        a->past = pk->dim[2];
    }
    a->batch = q.batch, a->q_heads = q.count, a->kv_heads = k.count, a->q_len = q.len, a->kv_len = k.len;
    a->dim = q.dim, a->v_dim = v.dim;
    a->total = a->past < 0 || k.len < 0 ? -1 : a->past + k.len;
    a->packed = call->in[0]->shape.ndim == 3;
    a->scale = node_attr_float(node, "scale", 0.0f);
    if (!node_attr(node, "scale")) a->scale = a->dim > 0 ? 1.0 / sqrt((double)a->dim) : 1.0;
    a->softcap = node_attr_float(node, "softcap", 0.0f);
    a->causal = node_attr_int(node, "is_causal", 0) != 0;
    a->left = node_attr_int(node, "left_window_size", -1);
    a->right = node_attr_int(node, "right_window_size", -1);
    a->mode = node_attr_int(node, "qk_matmul_output_mode", 0);
    if (a->mode < 0 || a->mode > 3)
        return reel_fail(REEL_ERR_INPUT, "qk_matmul_output_mode is %lld", (long long)a->mode);
    *out_known = true;
    return REEL_OK;
}

static void attention_shapes(const struct attention *a, struct reel_shape out[4])
{
    out[0] = (struct reel_shape){4, {a->batch, a->q_heads, a->q_len, a->v_dim}};
    if (a->packed)
        out[0] =
            (struct reel_shape){3, {a->batch, a->q_len, a->q_heads < 0 || a->v_dim < 0 ? -1 : a->q_heads * a->v_dim}};
    out[1] = (struct reel_shape){4, {a->batch, a->kv_heads, a->total, a->dim}};
    out[2] = (struct reel_shape){4, {a->batch, a->kv_heads, a->total, a->v_dim}};
    out[3] = (struct reel_shape){4, {a->batch, a->q_heads, a->q_len, a->total}};
}

enum reel_err attention_infer(const struct op_call *call)
{
    if (!inputs_given(call, 3)) return REEL_ERR_INPUT;
    struct attention a;
    bool known = false;
    enum reel_err err = attention_open(call, &a, &known);
    if (err) return err;
    struct reel_shape shape[4] = {{.ndim = -1}, {.ndim = -1}, {.ndim = -1}, {.ndim = -1}};
    if (known) attention_shapes(&a, shape);
    for (int i = 0; i < 4; i++) infer_out(call, i, call->in[i == 2 ? 2 : 0]->dtype, &shape[i]);
    return REEL_OK;
}

static void *offset(const void *p, int64_t elements, enum reel_dtype dtype)
{
    return (char *)p + (size_t)elements * reel_dtype_bytes(dtype);
}

// Key or value as (B, heads, past + new, dim): the cache, then the new rows.
static enum reel_err join_cache(const struct attention *a, const struct reel_tensor *fresh,
                                const struct reel_tensor *past, int64_t dim, struct work *out_w)
{
    struct work f = {0}, p = {0};
    *out_w = (struct work){.dtype = a->dtype};
    enum reel_err err = work_in(&f, fresh, a->dtype);
    if (!err) err = work_in(&p, past, a->dtype);
    if (!err &&
        !(out_w->p = out_w->owned = work_alloc(a->batch * a->kv_heads * a->total * dim, reel_dtype_bytes(a->dtype))))
        err = REEL_ERR_NOMEM;
    size_t row = (size_t)dim * reel_dtype_bytes(a->dtype);
    for (int64_t i = 0; !err && row && i < a->batch * a->kv_heads; i++) {
        int64_t b = i / a->kv_heads, h = i % a->kv_heads;
        char *to = offset(out_w->p, i * a->total * dim, a->dtype);
        if (p.p && a->past) memcpy(to, offset(p.p, i * a->past * dim, a->dtype), row * (size_t)a->past);
        to += row * (size_t)a->past;
        for (int64_t s = 0; s < a->kv_len; s++) {
            int64_t from = a->packed ? (b * a->kv_len + s) * a->kv_heads + h : i * a->kv_len + s;
            memcpy(to + row * (size_t)s, offset(f.p, from * dim, a->dtype), row);
        }
    }
    work_fini(&f), work_fini(&p);
    return err;
}

// attn_mask: addends (B,H,S,T) found by strides of 0 or more; columns from
// `width` on are masked.
struct mask {
    struct work w;
    bool boolean;
    int64_t b, h, s, t, width;
};

static enum reel_err mask_open(const struct attention *a, const struct reel_tensor *t, struct mask *out_m)
{
    *out_m = (struct mask){.width = a->total};
    if (!t) return REEL_OK;
    if (t->shape.ndim > 4) return reel_fail(REEL_ERR_INPUT, "the mask has rank %d", t->shape.ndim);
    int64_t dim[4] = {1, 1, 1, 1}, want[4] = {a->batch, a->q_heads, a->q_len, a->total};
    for (int i = 0; i < t->shape.ndim; i++) dim[4 - t->shape.ndim + i] = t->shape.dim[i];
    for (int i = 0; i < 4; i++)
        if (dim[i] != 1 && dim[i] != want[i] && (i < 3 || dim[i] > want[i]))
            return reel_fail(REEL_ERR_INPUT, "the mask does not broadcast to the scores");
    int64_t *stride[4] = {&out_m->b, &out_m->h, &out_m->s, &out_m->t}, unit = 1;
    for (int i = 3; i >= 0; i--) {
        *stride[i] = dim[i] == 1 ? 0 : unit;
        unit *= dim[i];
    }
    if (dim[3] != 1) out_m->width = dim[3];
    out_m->boolean = t->dtype == REEL_BOOL;
    return work_in(&out_m->w, t, REEL_F64);
}

// Adds mask, causality and window to row i of the scores; false when nothing of
// it may be attended.
static bool mask_row(const struct attention *a, const struct mask *m, int64_t b, int64_t h, int64_t i, int64_t before,
                     int64_t valid, double *row)
{
    const double *addend = m->w.p ? (double *)m->w.p + b * m->b + h * m->h + i * m->s : NULL;
    int64_t last = a->total - 1, first = 0;
    if (valid - 1 < last) last = valid - 1;
    if (m->width - 1 < last) last = m->width - 1;
    if (a->causal && before + i < last) last = before + i;
    if (a->right >= 0 && before + i + a->right < last) last = before + i + a->right;
    if (a->left >= 0 && before + i - a->left > first) first = before + i - a->left;
    bool any = false;
    for (int64_t j = 0; j < a->total; j++) {
        double add = j < first || j > last ? -INFINITY : 0.0;
        if (addend && add == 0.0) {
            add = addend[j * m->t];
            if (m->boolean) add = add != 0.0 ? 0.0 : -INFINITY;
        }
        row[j] += add;
        if (add != -INFINITY) any = true;
    }
    return any;
}

static void softmax_row(double *row, int64_t n)
{
    double top = -INFINITY, sum = 0.0;
    for (int64_t j = 0; j < n; j++) top = row[j] > top ? row[j] : top;
    for (int64_t j = 0; j < n; j++) sum += row[j] = top == -INFINITY ? 0.0 : exp(row[j] - top);
    for (int64_t j = 0; j < n; j++) row[j] = sum > 0.0 ? row[j] / sum : row[j];
}

// Without mask, cap or a fourth output: the vectorised path of vision models.
static void softmax_plain(float *row, int64_t n)
{
    float top = kern_max_f32(row, (size_t)n);
    float inv = (float)(1.0 / kern_exp_sum_f32(row, row, (size_t)n, top));
    for (int64_t j = 0; j < n; j++) row[j] *= inv;
}

struct attention_data {
    struct work q, k, v, y, qk;
    struct mask mask;
    const struct reel_tensor *nonpad;
    void *scores; // (q_len, total) of one head, in the working type
    double *row;  // one row in double
};

static void score_rows(const struct attention *a, struct attention_data *d, int64_t b, int64_t h)
{
    int64_t valid = d->nonpad ? op_scalar_int(d->nonpad, b) : a->total;
    int64_t before = d->nonpad ? valid - a->q_len : a->past;
    bool plain = a->dtype == REEL_F32 && !d->mask.w.p && !a->causal && !d->nonpad && a->softcap <= 0.0 && !d->qk.p &&
                 a->left < 0 && a->right < 0;
    for (int64_t i = 0; i < a->q_len; i++) {
        void *at = offset(d->scores, i * a->total, a->dtype);
        if (plain) {
            softmax_plain(at, a->total);
            continue;
        }
        reel_convert(d->row, REEL_F64, at, a->dtype, a->total);
        void *qk = d->qk.p ? offset(d->qk.p, ((b * a->q_heads + h) * a->q_len + i) * a->total, a->dtype) : NULL;
        if (qk && a->mode == 0) reel_convert(qk, a->dtype, d->row, REEL_F64, a->total);
        for (int64_t j = 0; a->softcap > 0.0 && j < a->total; j++)
            d->row[j] = a->softcap * tanh(d->row[j] / a->softcap);
        if (qk && a->mode == 1) reel_convert(qk, a->dtype, d->row, REEL_F64, a->total);
        bool any = mask_row(a, &d->mask, b, h, i, before, valid, d->row);
        if (qk && a->mode == 2) reel_convert(qk, a->dtype, d->row, REEL_F64, a->total);
        if (any)
            softmax_row(d->row, a->total);
        else
            memset(d->row, 0, sizeof *d->row * (size_t)a->total);
        if (qk && a->mode == 3) reel_convert(qk, a->dtype, d->row, REEL_F64, a->total);
        reel_convert(at, a->dtype, d->row, REEL_F64, a->total);
    }
}

static void scale_rows(void *p, enum reel_dtype dtype, int64_t n, double factor)
{
    if (dtype == REEL_F64)
        for (int64_t i = 0; i < n; i++) ((double *)p)[i] *= factor;
    else
        for (int64_t i = 0; i < n; i++) ((float *)p)[i] *= (float)factor;
}

static enum reel_err attention_run(const struct attention *a, struct attention_data *d)
{
    enum reel_err err = REEL_OK;
    if (a->q_len == 0 || a->total == 0) {
        size_t bytes = (size_t)(a->batch * a->q_heads * a->q_len * a->v_dim) * reel_dtype_bytes(a->dtype);
        if (bytes) memset(d->y.p, 0, bytes);
        return REEL_OK;
    }
    int64_t q_row = a->packed ? a->q_heads * a->dim : a->dim, y_row = a->packed ? a->q_heads * a->v_dim : a->v_dim;
    d->scores = work_alloc(a->q_len * a->total, reel_dtype_bytes(a->dtype));
    d->row = work_alloc(a->total, sizeof *d->row);
    if (!d->scores || !d->row) err = REEL_ERR_NOMEM;
    for (int64_t i = 0; !err && i < a->batch * a->q_heads; i++) {
        int64_t b = i / a->q_heads, h = i % a->q_heads, kv = b * a->kv_heads + h / (a->q_heads / a->kv_heads);
        int64_t q_at = a->packed ? b * a->q_len * q_row + h * a->dim : i * a->q_len * a->dim;
        int64_t y_at = a->packed ? b * a->q_len * y_row + h * a->v_dim : i * a->q_len * a->v_dim;
        struct mat q = {offset(d->q.p, q_at, a->dtype), q_row, 1};
        struct mat k = {offset(d->k.p, kv * a->total * a->dim, a->dtype), 1, a->dim};
        struct mat v = {offset(d->v.p, kv * a->total * a->v_dim, a->dtype), a->v_dim, 1};
        err = mat_mul(a->dtype, a->q_len, a->total, a->dim, q, k, d->scores, a->total, false);
        if (err) break;
        scale_rows(d->scores, a->dtype, a->q_len * a->total, a->scale);
        score_rows(a, d, b, h);
        err = mat_mul(a->dtype, a->q_len, a->v_dim, a->total, (struct mat){d->scores, a->total, 1}, v,
                      offset(d->y.p, y_at, a->dtype), y_row, false);
    }
    free(d->scores);
    free(d->row);
    return err;
}

// Writes a joined cache to an output.
static enum reel_err give_cache(const struct op_call *call, int i, enum reel_dtype dtype,
                                const struct reel_shape *shape, const struct work *w)
{
    if (!call_out(call, i)) return REEL_OK;
    enum reel_err err = op_alloc_out(call, i, dtype, shape);
    if (!err && reel_shape_count(shape) > 0)
        reel_convert(call->out[i]->data, dtype, w->p, w->dtype, reel_shape_count(shape));
    return err;
}

enum reel_err attention_eval(const struct op_call *call)
{
    if (!inputs_given(call, 3)) return REEL_ERR_INPUT;
    struct attention a;
    bool known = false;
    struct reel_shape shape[4];
    struct attention_data d = {0};
    enum reel_err err = attention_open(call, &a, &known);
    if (err) return err;
    attention_shapes(&a, shape);
    struct reel_tensor discarded = {0};
    d.nonpad = call_in(call, 6);
    if (d.nonpad && reel_tensor_count(d.nonpad) != a.batch)
        return reel_fail(REEL_ERR_INPUT, "nonpad_kv_seqlen must have one element per batch element");
    err = call_out(call, 0) ? op_alloc_out(call, 0, call->in[0]->dtype, &shape[0])
                            : reel_tensor_init(&discarded, call->in[0]->dtype, &shape[0]);
    if (!err) err = work_in(&d.q, call->in[0], a.dtype);
    if (!err) err = join_cache(&a, call->in[1], call_in(call, 4), a.dim, &d.k);
    if (!err) err = join_cache(&a, call->in[2], call_in(call, 5), a.v_dim, &d.v);
    if (!err) err = mask_open(&a, call_in(call, 3), &d.mask);
    if (!err) err = work_out(&d.y, call_out(call, 0) ? call->out[0] : &discarded, a.dtype);
    if (!err && call_out(call, 3)) {
        err = op_alloc_out(call, 3, call->in[0]->dtype, &shape[3]);
        if (!err) err = work_out(&d.qk, call->out[3], a.dtype);
    }
    if (!err) err = give_cache(call, 1, call->in[0]->dtype, &shape[1], &d.k);
    if (!err) err = give_cache(call, 2, call->in[2]->dtype, &shape[2], &d.v);
    if (!err) err = attention_run(&a, &d);
    if (!err) {
        work_commit(&d.y);
        if (d.qk.p) work_commit(&d.qk);
    }
    work_fini(&d.q), work_fini(&d.k), work_fini(&d.v), work_fini(&d.y), work_fini(&d.qk), work_fini(&d.mask.w);
    reel_tensor_fini(&discarded);
    return err;
}

// ---- com.microsoft MultiHeadAttention -----------------------------------

enum reel_err multi_head_open(const struct op_call *call, struct attention *a)
{
    static const char *const unsupported[] = {[4] = "key_padding_mask",
                                              [6] = "past_key",
                                              [7] = "past_value",
                                              [8] = "past_sequence_length",
                                              [9] = "cache_indirection"};
    *a = (struct attention){.dtype = work_dtype(call->in[0]->dtype), .packed = true, .left = -1, .right = -1};
    for (int i = 4; i < 10; i++)
        if (i != 5 && call_in(call, i))
            return reel_fail(REEL_ERR_UNSUPPORTED, "the input %s is not supported", unsupported[i]);
    for (int i = 1; i < 4; i++)
        if (call_out(call, i)) return reel_fail(REEL_ERR_UNSUPPORTED, "only the first output is supported");
    struct heads h[3] = {{0}};
    int64_t count = node_attr_int(call->node, "num_heads", 0);
    for (int i = 0; i < 3; i++) {
        if (!call_in(call, i) || call->in[i]->shape.ndim != 3)
            return reel_fail(REEL_ERR_UNSUPPORTED, "query, key and value must be separate tensors of rank 3");
        enum reel_err err = heads_of(&call->in[i]->shape, count, &h[i]);
        if (err) return err;
    }
    if (clash(h[0].batch, h[1].batch) || clash(h[0].batch, h[2].batch) || clash(h[1].len, h[2].len) ||
        clash(h[0].dim, h[1].dim))
        return reel_fail(REEL_ERR_INPUT, "the shapes of query, key and value do not fit");
    a->batch = h[0].batch, a->q_heads = a->kv_heads = count, a->q_len = h[0].len;
    a->kv_len = a->total = h[1].len;
    a->dim = h[0].dim, a->v_dim = h[2].dim;
    a->scale = node_attr_float(call->node, "scale", 0.0f);
    if (a->scale == 0.0 && a->dim > 0) a->scale = 1.0 / sqrt((double)a->dim);
    a->causal = node_attr_int(call->node, "unidirectional", 0) != 0;
    return REEL_OK;
}

enum reel_err multi_head_infer(const struct op_call *call)
{
    if (!inputs_given(call, 3)) return REEL_ERR_INPUT;
    struct attention a;
    struct reel_shape shape[4];
    enum reel_err err = multi_head_open(call, &a);
    if (err) return err;
    attention_shapes(&a, shape);
    infer_out(call, 0, call->in[0]->dtype, &shape[0]);
    return REEL_OK;
}

// A copy of t (B,S,width) with bias added to each row, or t's own elements.
static enum reel_err biased(const struct reel_tensor *t, enum reel_dtype dtype, const struct work *bias, int64_t at,
                            struct reel_tensor *out_t)
{
    struct work w = {0};
    enum reel_err err = reel_tensor_init(out_t, dtype, &t->shape);
    if (!err) err = work_in(&w, t, dtype);
    int64_t n = reel_tensor_count(t), width = t->shape.dim[2];
    for (int64_t i = 0; !err && i < n; i++) {
        if (dtype == REEL_F64)
            ((double *)out_t->data)[i] = ((double *)w.p)[i] + (bias->p ? ((double *)bias->p)[at + i % width] : 0.0);
        else
            ((float *)out_t->data)[i] = ((float *)w.p)[i] + (bias->p ? ((float *)bias->p)[at + i % width] : 0.0f);
    }
    work_fini(&w);
    return err;
}

enum reel_err multi_head_eval(const struct op_call *call)
{
    if (!inputs_given(call, 3)) return REEL_ERR_INPUT;
    struct attention a;
    struct reel_shape shape[4];
    struct attention_data d = {0};
    struct reel_tensor in[3] = {{0}};
    struct work bias = {0};
    enum reel_err err = multi_head_open(call, &a);
    if (err || !call_out(call, 0)) return err;
    attention_shapes(&a, shape);
    int64_t hidden = a.q_heads * a.dim, want = 2 * hidden + a.q_heads * a.v_dim;
    if (call_in(call, 3) && reel_tensor_count(call->in[3]) != want)
        return reel_fail(REEL_ERR_INPUT, "the bias must have %lld elements", (long long)want);
    err = op_alloc_out(call, 0, call->in[0]->dtype, &shape[0]);
    if (!err) err = work_in(&bias, call_in(call, 3), a.dtype);
    for (int i = 0; !err && i < 3; i++) err = biased(call->in[i], a.dtype, &bias, i * hidden, &in[i]);
    if (!err) err = work_in(&d.q, &in[0], a.dtype);
    if (!err) err = join_cache(&a, &in[1], NULL, a.dim, &d.k);
    if (!err) err = join_cache(&a, &in[2], NULL, a.v_dim, &d.v);
    if (!err) err = mask_open(&a, call_in(call, 5), &d.mask);
    if (!err) err = work_out(&d.y, call->out[0], a.dtype);
    if (!err) err = attention_run(&a, &d);
    if (!err) work_commit(&d.y);
    work_fini(&d.q), work_fini(&d.k), work_fini(&d.v), work_fini(&d.y), work_fini(&d.mask.w), work_fini(&bias);
    for (int i = 0; i < 3; i++) reel_tensor_fini(&in[i]);
    return err;
}

// ---- RotaryEmbedding (23) -----------------------------------------------

struct rotary {
    struct heads x;
    int64_t half; // pairs rotated of each head
    bool packed, interleaved;
};

static enum reel_err rotary_open(const struct op_call *call, struct rotary *r)
{
    const struct reel_shape *s = &call->in[0]->shape, *cos_s = &call->in[1]->shape, *sin_s = &call->in[2]->shape;
    *r = (struct rotary){.packed = s->ndim == 3, .interleaved = node_attr_int(call->node, "interleaved", 0) != 0};
    enum reel_err err = heads_of(s, node_attr_int(call->node, "num_heads", 0), &r->x);
    if (err) return err;
    int64_t dim = node_attr_int(call->node, "rotary_embedding_dim", 0);
    if (dim == 0) dim = r->x.dim;
    if (dim < 0 || dim > r->x.dim || dim % 2)
        return reel_fail(REEL_ERR_INPUT, "%lld of %lld elements cannot be rotated", (long long)dim,
                         (long long)r->x.dim);
    r->half = dim / 2;
    bool by_position = call_in(call, 3) != NULL;
    if (!reel_shape_equal(cos_s, sin_s) || cos_s->ndim != (by_position ? 2 : 3) ||
        cos_s->dim[cos_s->ndim - 1] != r->half ||
        (!by_position && (cos_s->dim[0] != r->x.batch || cos_s->dim[1] != r->x.len)))
        return reel_fail(REEL_ERR_INPUT, "the caches' shape does not fit");
    if (by_position && reel_tensor_count(call->in[3]) != r->x.batch * r->x.len)
        return reel_fail(REEL_ERR_INPUT, "position_ids must be (batch, sequence)");
    return REEL_OK;
}

enum reel_err rotary_eval(const struct op_call *call)
{
    if (!inputs_given(call, 3)) return REEL_ERR_INPUT;
    struct rotary r;
    enum reel_err err = rotary_open(call, &r);
    if (err || !call_out(call, 0)) return err;
    struct work in[3] = {{0}}, y = {0};
    err = op_alloc_out(call, 0, call->in[0]->dtype, &call->in[0]->shape);
    for (int i = 0; !err && i < 3; i++) err = work_in(&in[i], call->in[i], REEL_F64);
    if (!err) err = work_out(&y, call->out[0], REEL_F64);
    for (int64_t i = 0; !err && i < r.x.batch * r.x.len; i++) {
        int64_t b = i / r.x.len, s = i % r.x.len, at = call_in(call, 3) ? op_scalar_int(call->in[3], i) : i;
        if (at < 0 || (call_in(call, 3) && at >= call->in[1]->shape.dim[0])) {
            err = reel_fail(REEL_ERR_INPUT, "the position %lld is outside the caches", (long long)at);
            break;
        }
        const double *cosine = (double *)in[1].p + at * r.half, *sine = (double *)in[2].p + at * r.half;
        for (int64_t h = 0; h < r.x.count; h++) {
            int64_t row = r.packed ? i * r.x.count + h : (b * r.x.count + h) * r.x.len + s;
            const double *x = (double *)in[0].p + row * r.x.dim;
            double *to = (double *)y.p + row * r.x.dim;
            for (int64_t k = 0; k < r.half; k++) {
                int64_t re = r.interleaved ? 2 * k : k, im = r.interleaved ? 2 * k + 1 : k + r.half;
                to[re] = cosine[k] * x[re] - sine[k] * x[im];
                to[im] = sine[k] * x[re] + cosine[k] * x[im];
            }
            for (int64_t k = 2 * r.half; k < r.x.dim; k++) to[k] = x[k];
        }
    }
    if (!err) work_commit(&y);
    for (int i = 0; i < 3; i++) work_fini(&in[i]);
    work_fini(&y);
    return err;
}

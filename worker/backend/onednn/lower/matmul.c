// SPDX-License-Identifier: MIT
//
// MatMul and Gemm -> matrix product kernels. A constant right-hand side is
// packed once; another one at each run, per matrix of a batch.
#include <stdlib.h>
#include <string.h>

#include "worker/backend/onednn/lower/attention.h"

struct matmul_job {
    struct program *p;
    const struct matmul *w;
    struct conv_epilogue e;
    const float *a, *b, *packed;
    float *dst;
    int rows; // of a unit
};

// This thread's memory for the kernel, behind what another thread or batch packs
// into the scratch memory.
static float *kernel_scratch(const struct program *p, const struct matmul *w, int thread)
{
    return thread_scratch(p, thread) + (w->packed ? 0 : p->k->pack_b_floats(w->k, w->n));
}

// Most rows of one unit: a few tiles, so that threads share a product.
#define UNIT_ROWS 56

// Rows of a unit, so that all threads get as many units, of about as many rows.
static int unit_rows(int m, int threads)
{
    const int rounds = (m + threads * UNIT_ROWS - 1) / (threads * UNIT_ROWS), units = rounds * threads;
    return (m + units - 1) / units;
}

static void row_units(void *job, int begin, int end, int thread)
{
    const struct matmul_job *j = job;
    const struct matmul *w = j->w;
    const int last = end * j->rows < w->m ? end * j->rows : w->m;
    j->p->k->matmul(j->dst, w->n, j->a, w->k, j->packed, w->bias, &j->e, begin * j->rows, last, w->k, w->n,
                    kernel_scratch(j->p, w, thread));
}

static void batch_units(void *job, int begin, int end, int thread)
{
    const struct matmul_job *j = job;
    const struct matmul *w = j->w;
    for (int i = begin; i < end; i++) {
        const float *packed = w->packed;
        if (!packed) {
            float *scratch = thread_scratch(j->p, thread);
            j->p->k->pack_b(scratch, j->b + w->b_step * (size_t)i, w->b_row, w->b_column, w->k, w->n);
            packed = scratch;
        }
        const size_t at = (size_t)i * (size_t)w->m * (size_t)w->n;
        struct conv_epilogue e = j->e;
        for (int s = 0; s < e.n; s++)
            if (conv_step_full(e.step[s].kind)) e.step[s].data += at;
        j->p->k->matmul(j->dst + at, w->n, j->a + w->a_step * (size_t)i, w->k, packed, w->bias, &e, 0, w->m, w->k, w->n,
                        kernel_scratch(j->p, w, thread));
    }
}

static enum reel_err run_matmul(struct program *p, struct step *s)
{
    const struct matmul *w = s->data;
    struct matmul_job job = {
        .p = p, .w = w, .e = bind_tail(p, &w->tail), .a = form_at(p, &w->a), .dst = form_at(p, &w->dst)};
    if (!w->packed) job.b = form_at(p, &w->b);
    if (w->batches > 1) {
        pool_run(p->pool, batch_units, &job, w->batches);
        return REEL_OK;
    }
    job.packed = w->packed;
    if (!job.packed) {
        p->k->pack_b(p->scratch, job.b, w->b_row, w->b_column, w->k, w->n);
        job.packed = p->scratch;
    }
    job.rows = unit_rows(w->m, pool_threads(p->pool));
    pool_run(p->pool, row_units, &job, (w->m + job.rows - 1) / job.rows);
    return REEL_OK;
}

const struct matmul *matmul_of(const struct step *s)
{
    return s->run == run_matmul ? s->data : NULL;
}

static bool fits(int64_t m, int64_t k, int64_t n, int64_t batches)
{
    const int64_t most = INT32_MAX / 2;
    return m > 0 && k > 0 && n > 0 && batches > 0 && m < most && k < most && n < most && batches < most;
}

// MatMul with the sizes of ONNX's (NumPy's) rules, where batches are equal or B
// is one matrix.
static bool sizes_matmul(const struct info *a, const struct info *b, struct matmul *w)
{
    const int na = a->shape.ndim, nb = b->shape.ndim;
    if (na < 2 || nb < 2) return false;
    const int64_t k = a->shape.dim[na - 1], n = b->shape.dim[nb - 1];
    int64_t m = a->shape.dim[na - 2], lead = 1, b_lead = 1;
    if (b->shape.dim[nb - 2] != k) return false;
    for (int i = 0; i < na - 2; i++) lead *= a->shape.dim[i];
    for (int i = 0; i < nb - 2; i++) b_lead *= b->shape.dim[i];
    if (b_lead == 1 && nb <= na) {
        m *= lead;
        lead = 1;
    } else {
        if (na != nb) return false;
        for (int i = 0; i < na - 2; i++)
            if (a->shape.dim[i] != b->shape.dim[i]) return false;
    }
    if (!fits(m, k, n, lead)) return false;
    w->m = (int)m, w->k = (int)k, w->n = (int)n, w->batches = (int)lead;
    w->a_step = (size_t)m * (size_t)k;
    w->b_step = (size_t)k * (size_t)n;
    w->b_row = n, w->b_column = 1;
    return true;
}

static bool sizes_gemm(const struct node *node, const struct info *a, const struct info *b, struct matmul *w)
{
    if (node_attr_int(node, "transA", 0) || a->shape.ndim != 2 || b->shape.ndim != 2) return false;
    const bool trans = node_attr_int(node, "transB", 0);
    const int64_t k = a->shape.dim[1], n = b->shape.dim[trans ? 0 : 1];
    if (b->shape.dim[trans ? 1 : 0] != k || !fits(a->shape.dim[0], k, n, 1)) return false;
    w->m = (int)a->shape.dim[0], w->k = (int)k, w->n = (int)n, w->batches = 1;
    w->b_row = trans ? 1 : n, w->b_column = trans ? k : 1;
    return true;
}

// The third operand of Gemm as one number a column; false when it is not that.
static enum reel_err gemm_bias(struct program *p, const struct node *node, struct matmul *w, bool *out_ok)
{
    *out_ok = true;
    if (node->n_in < 3 || !node->in[2]) return REEL_OK;
    const struct info *c = info_of(p, node->in[2]);
    const float *src = c->form[LAYOUT_PLAIN].constant, beta = node_attr_float(node, "beta", 1);
    const bool row = c->shape.ndim >= 1 && c->shape.dim[c->shape.ndim - 1] == w->n && c->count == w->n;
    *out_ok = src && c->dtype == REEL_F32 && (c->count == 1 || row);
    if (!*out_ok) return REEL_OK;
    float *bias = program_alloc(p, ((size_t)w->n + 64) * sizeof(float));
    if (!bias) return no_memory(node);
    for (int i = 0; i < w->n; i++) bias[i] = beta * src[c->count == 1 ? 0 : i];
    w->bias = bias;
    return REEL_OK;
}

static enum reel_err pack_constant(struct program *p, const struct node *node, const float *b, float alpha,
                                   struct matmul *w)
{
    const size_t floats = p->k->pack_b_floats(w->k, w->n);
    w->packed = program_alloc(p, floats * sizeof(float));
    if (!w->packed) return no_memory(node);
    float *scaled = NULL;
    if (alpha != 1) {
        const size_t n = (size_t)w->k * (size_t)w->n;
        scaled = malloc(n * sizeof *scaled);
        if (!scaled) return no_memory(node);
        for (size_t i = 0; i < n; i++) scaled[i] = alpha * b[i];
    }
    p->k->pack_b(w->packed, scaled ? scaled : b, w->b_row, w->b_column, w->k, w->n);
    free(scaled);
    return REEL_OK;
}

static const char *product_name(const struct program *p, bool packed)
{
    if (p->bf16) return packed ? "matmul packed bf16" : "matmul bf16";
    return packed ? "matmul packed" : "matmul";
}

enum reel_err lower_matmul(struct program *p, const struct node *node, bool *out_done)
{
    const bool gemm = !strcmp(node->op_type, "Gemm");
    if (!gemm && strcmp(node->op_type, "MatMul")) return REEL_OK;
    struct info *a = info_of(p, node->in[0]), *b = info_of(p, node->in[1]), *out = info_of(p, node->out[0]);
    if (a->dtype != REEL_F32 || b->dtype != REEL_F32 || out->dtype != REEL_F32 || out->count < 1) return REEL_OK;
    struct matmul w = {.tail = {.layout = LAYOUT_PLAIN, .columns = true}, .b = FORM_NONE};
    if (gemm ? !sizes_gemm(node, a, b, &w) : !sizes_matmul(a, b, &w)) return REEL_OK;
    const float alpha = gemm ? node_attr_float(node, "alpha", 1) : 1;
    const float *constant = b->form[LAYOUT_PLAIN].constant;
    if (constant && w.batches > 1) constant = NULL;
    if (!constant && alpha != 1) return REEL_OK;
    bool ok = true;
    enum reel_err err = gemm ? gemm_bias(p, node, &w, &ok) : REEL_OK;
    if (err || !ok) return err;
    int left = 0;
    err = need_form(p, node->in[0], LAYOUT_PLAIN, &w.a);
    if (!err && constant) err = pack_constant(p, node, constant, alpha, &w);
    if (!err && !constant) {
        err = need_form(p, node->in[1], LAYOUT_PLAIN, &w.b);
    }
    if (!err) {
        const size_t packed = constant ? 0 : p->k->pack_b_floats(w.k, w.n) * sizeof(float);
        want_scratch(p, packed + p->k->matmul_scratch_bytes(w.k));
    }
    if (!err) err = map_epilogue(p, node, out, &w.tail, &left);
    if (!err) err = make_form(p, node->out[0], LAYOUT_PLAIN, &w.dst);
    struct step *s = err ? NULL : add_step(p, node, product_name(p, constant), run_matmul, sizeof w);
    if (!s) return err ? err : no_memory(node);
    *(struct matmul *)s->data = w;
    s->mflop = 2e-6 * w.m * w.n * w.k * w.batches;
    touch(p, &w.a, p->n_steps - 1);
    if (!constant) touch(p, &w.b, p->n_steps - 1);
    touch(p, &w.dst, p->n_steps - 1);
    touch_tail(p, &w.tail, p->n_steps - 1);
    if (left == node->n_epilogue) s->tail = &((struct matmul *)s->data)->tail;
    if (!constant) err = take_in_softmax(p, node);
    if (!err && left < node->n_epilogue) err = finish_epilogue(p, node, left);
    *out_done = true;
    return err;
}

// SPDX-License-Identifier: MIT
//
// What a function of one 8-bit tensor becomes: DequantizeLinear, operators whose
// other operands are constants (one number, or one a channel), QuantizeLinear.
// Such a chain has 256 results a channel, so that it is evaluated while
// compiling, by the operators' reference, and its step cannot differ from them:
// one table where all channels share it, else a line or two a channel
// (q8_lines), or the channels' tables where lines would not give the same bytes.
//
// What it is not: sums of two computed tensors (quant.c).
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/quant8.h"
#include "worker/backend/epilogue.h"
#include "worker/backend/onednn/lower/quant.h"
#include "worker/onnx/op.h"

// ---- chains ----------------------------------------------------------------------

static bool is_table(const struct node *node)
{
    static const char *const ops[] = {"Relu", "LeakyRelu", "Sigmoid", "Tanh",     "HardSigmoid",    "HardSwish",
                                      "Elu",  "Selu",      "Celu",    "Softplus", "Softsign",       "Mish",
                                      "Gelu", "Erf",       "Exp",     "Log",      "Sqrt",           "Reciprocal",
                                      "Abs",  "Neg",       "Clip",    "Floor",    "Ceil",           "Round",
                                      "Sign", "Sin",       "Cos",     "Identity", "ThresholdedRelu"};
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        if (is_onnx(node, ops[i])) return true;
    return false;
}

#define CHAIN_MOST 8
#define BYTES 256 // values of one

// Operators that map x, and how their constants spread over it.
struct chain {
    const struct node *node[CHAIN_MOST];
    int x[CHAIN_MOST]; // which operand is x
    int n;
    const struct info *bytes; // what it reads
    const struct node *q;     // the QuantizeLinear behind it
    struct q8_scale from, to;
    int axis; // of the channels; -1: the same for all
};

// A constant has one element, or one along a single axis, the same for all.
static bool spreads(struct chain *c, const struct value *v)
{
    if (!v || !v->constant) return false;
    const struct reel_shape *s = &v->constant->shape, *x = &c->bytes->shape;
    if (s->ndim > x->ndim) return false;
    for (int d = 0; d < s->ndim; d++) {
        const int axis = d + x->ndim - s->ndim;
        if (s->dim[d] == 1) continue;
        if (s->dim[d] != x->dim[axis] || (c->axis >= 0 && c->axis != axis)) return false;
        c->axis = axis;
    }
    return true;
}

static bool is_arithmetic(const struct node *node)
{
    static const char *const ops[] = {"Add", "Sub", "Mul", "Div", "Max", "Min", "PRelu"};
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        if (is_onnx(node, ops[i])) return true;
    return false;
}

static bool is_inference_norm(const struct node *node)
{
    if (!is_onnx(node, "BatchNormalization") || node->n_in != 5 || node_attr_int(node, "training_mode", 0))
        return false;
    for (int i = 1; i < node->n_out; i++)
        if (node->out[i] && node->out[i]->n_uses) return false;
    return true;
}

// Whether node maps its operand x alone.
static bool maps(struct chain *c, const struct node *node, int x)
{
    if (node->n_in > 8 || !node->out[0] || node->out[0]->dtype != REEL_F32) return false;
    if (!reel_shape_equal(&node->out[0]->shape, &c->bytes->shape)) return false;
    for (int i = 0; i < node->n_epilogue; i++)
        if (node->epilogue[i].other && !spreads(c, node->epilogue[i].other)) return false;
    if (is_inference_norm(node)) {
        if (x || c->bytes->shape.ndim < 2 || (c->axis >= 0 && c->axis != 1)) return false;
        for (int i = 1; i < node->n_in; i++)
            if (!node->in[i] || !node->in[i]->constant) return false;
        c->axis = 1;
        return true;
    }
    const bool arithmetic = is_arithmetic(node);
    if (!arithmetic && !is_table(node)) return false;
    if (x && (!arithmetic || is_onnx(node, "PRelu"))) return false;
    for (int i = 0; i < node->n_in; i++) {
        if (i == x || (!arithmetic && !node->in[i])) continue;
        if (arithmetic ? !spreads(c, node->in[i]) : !node->in[i]->constant) return false;
    }
    return true;
}

static int operand(const struct node *node, const struct value *v)
{
    int at = -1;
    for (int i = 0; i < node->n_in; i++)
        if (node->in[i] == v) at = at < 0 ? i : CHAIN_MOST * 8; // twice: no
    return at < 8 ? at : -1;
}

// The chain that starts at node.
static bool find_chain(struct program *p, const struct node *node, struct chain *c)
{
    *c = (struct chain){.axis = -1};
    const struct value *x = NULL;
    for (int i = 0; i < node->n_in && !x; i++)
        if (node->in[i] && dequantized_from(p, node->in[i], &c->bytes, &c->from)) x = node->in[i];
    if (!x || c->bytes->count < 1) return false;
    for (; c->n < CHAIN_MOST; node = graph_only_consumer(p->graph, x)) {
        if (!node) return false;
        if (c->n && is_onnx(node, "QuantizeLinear")) {
            c->q = quantizer(p, x, &c->to);
            return c->q;
        }
        const int at = operand(node, x);
        if (at < 0 || !maps(c, node, at)) return false;
        c->node[c->n] = node;
        c->x[c->n++] = at;
        x = node->out[0];
    }
    return false;
}

static enum reel_err run_mapped(const struct node *node, int at, struct reel_tensor *x)
{
    const struct reel_tensor *in[8] = {0};
    struct reel_tensor y = {.shape.ndim = -1}, *out[8] = {&y};
    for (int i = 0; i < node->n_in; i++) in[i] = i == at ? x : node->in[i] ? node->in[i]->constant : NULL;
    enum reel_err err = op_run(node, in, out, NULL, NULL);
    for (int i = 0; !err && i < node->n_epilogue; i++)
        err =
            epilogue_apply(&node->epilogue[i], &y, node->epilogue[i].other ? node->epilogue[i].other->constant : NULL);
    if (err) {
        reel_tensor_fini(&y);
        return err;
    }
    reel_tensor_fini(x);
    *x = y;
    return REEL_OK;
}

static int channels_of(const struct chain *c)
{
    return c->axis < 0 ? 1 : (int)c->bytes->shape.dim[c->axis];
}

// What the chain makes of every biased byte, (channels, 256). The caller frees.
static enum reel_err evaluate(const struct chain *c, float **out_y)
{
    const int nd = c->bytes->shape.ndim, channels = channels_of(c);
    const int along = c->axis == nd - 1 ? 0 : nd - 1; // of the bytes
    struct reel_shape shape = {.ndim = nd};
    for (int d = 0; d < nd; d++) shape.dim[d] = d == c->axis ? channels : d == along ? BYTES : 1;
    uint8_t all[BYTES];
    float x[BYTES];
    for (int i = 0; i < BYTES; i++) all[i] = (uint8_t)i;
    q8_dequantize(x, all, BYTES, c->from);
    struct reel_tensor t = {0};
    enum reel_err err = reel_tensor_init(&t, REEL_F32, &shape);
    const size_t by_channel = along < c->axis ? 1 : BYTES, by_byte = along < c->axis ? (size_t)channels : 1;
    for (size_t k = 0; !err && k < (size_t)channels; k++)
        for (size_t i = 0; i < BYTES; i++) ((float *)t.data)[k * by_channel + i * by_byte] = x[i];
    for (int i = 0; i < c->n && !err; i++) err = run_mapped(c->node[i], c->x[i], &t);
    float *y = err ? NULL : malloc(sizeof *y * BYTES * (size_t)channels);
    for (size_t k = 0; y && k < (size_t)channels; k++)
        for (size_t i = 0; i < BYTES; i++) y[k * BYTES + i] = ((float *)t.data)[k * by_channel + i * by_byte];
    reel_tensor_fini(&t);
    *out_y = y;
    return err || y ? err : no_memory(c->node[0]);
}

// ---- one table ---------------------------------------------------------------------

struct lookup {
    struct form src, dst;
    size_t count;
    uint8_t table[BYTES];
};

struct lookup_job {
    const struct conv8_kernels *k;
    const struct lookup *w;
    const uint8_t *src;
    uint8_t *dst;
};

static void lookup_units(void *job, int begin, int end, int thread)
{
    const struct lookup_job *j = job;
    for (int u = begin; u < end; u++) {
        const size_t at = (size_t)u * QUANT_PIECE, left = j->w->count - at;
        j->k->lookup(j->dst + at, j->src + at, left < QUANT_PIECE ? left : QUANT_PIECE, j->w->table);
    }
}

static enum reel_err run_lookup(struct program *p, struct step *s)
{
    const struct lookup *w = s->data;
    struct lookup_job job = {p->k8, w, form_at(p, &w->src), form_at(p, &w->dst)};
    pool_run(p->pool, lookup_units, &job, quant_pieces(w->count));
    return REEL_OK;
}

// x * f(x) with f(x) rounded between, as quantised SiLU and HardSwish are: the
// product behind f, whose other operand is dequantised from the same bytes.
struct gate {
    const struct node *q; // behind the product
    struct q8_scale x, f, to;
};

static bool gate_behind(struct program *p, const struct info *bytes, const struct node *q, struct gate *g)
{
    const struct node *d = graph_only_consumer(p->graph, q->out[0]);
    const struct node *mul = is_onnx(d, "DequantizeLinear") ? graph_only_consumer(p->graph, d->out[0]) : NULL;
    if (!is_onnx(mul, "Mul") || mul->n_in != 2 || mul->n_epilogue || mul->in[0] == mul->in[1]) return false;
    const struct value *x = mul->in[mul->in[0] == d->out[0] ? 1 : 0];
    const struct node *from = x ? x->producer : NULL;
    if (!is_onnx(from, "DequantizeLinear") || from->in[0] != bytes->v) return false;
    g->q = quantizer(p, mul->out[0], &g->to);
    return g->q && one_scale(p, d, info_of(p, q->out[0]), &g->f) && one_scale(p, from, bytes, &g->x);
}

static enum reel_err lower_lookup(struct program *p, const struct chain *c, const uint8_t *table)
{
    const struct info *bytes = c->bytes;
    const enum layout layout = form_exists(&bytes->form[LAYOUT_BLOCKED]) ? LAYOUT_BLOCKED : LAYOUT_PLAIN;
    struct info *out = info_of(p, c->q->out[0]);
    struct lookup w = {.count = count_in(bytes, layout)};
    const int in_flip = memory_flip(bytes, layout), out_flip = memory_flip(out, layout);
    for (int i = 0; i < BYTES; i++) w.table[i ^ in_flip] = table[i] ^ (uint8_t)out_flip;
    struct gate g;
    const bool gated = gate_behind(p, bytes, c->q, &g);
    if (gated) {
        uint8_t all[BYTES], f[BYTES];
        for (int i = 0; i < BYTES; i++) all[i] = (uint8_t)i;
        memcpy(f, w.table, sizeof f);
        g.x.flip = in_flip, g.f.flip = out_flip;
        out->absorbed = true;
        out = info_of(p, g.q->out[0]);
        g.to.flip = memory_flip(out, layout);
        p->k8->multiply(w.table, all, f, BYTES, g.x, g.f, g.to);
    }
    enum reel_err err = need_form(p, bytes->v, layout, &w.src);
    if (!err) err = make_form(p, out->v, layout, &w.dst);
    struct step *s = err ? NULL : add_step(p, c->node[0], gated ? "table of a gate" : "table", run_lookup, sizeof w);
    if (!s) return err ? err : no_memory(c->node[0]);
    *(struct lookup *)s->data = w;
    touch(p, &w.src, p->n_steps - 1);
    touch(p, &w.dst, p->n_steps - 1);
    return REEL_OK;
}

// ---- lines a channel -------------------------------------------------------------------

struct lines8 {
    struct form src, dst;
    struct q8_lines *block; // one a vector of channels, of all images
    int channels, blocks;
    size_t pixels; // of a channel block of an image; of rows: rows
    bool rows;     // channels are the last axis
};

struct lines8_job {
    const struct conv8_kernels *k;
    const struct lines8 *w;
    const uint8_t *src;
    uint8_t *dst;
};

#define LINE_PIXELS 2048 // done at a time by one thread

static int line_pieces(const struct lines8 *w)
{
    return (int)((w->pixels + LINE_PIXELS - 1) / LINE_PIXELS);
}

static void lines8_units(void *job, int begin, int end, int thread)
{
    const struct lines8_job *j = job;
    const struct lines8 *w = j->w;
    const int v = j->k->lanes, pieces = line_pieces(w);
    for (int u = begin; u < end; u++) {
        const int block = u / pieces;
        const size_t from = (size_t)(u % pieces) * LINE_PIXELS, left = w->pixels - from,
                     n = left < LINE_PIXELS ? left : LINE_PIXELS;
        const size_t at = ((size_t)block * w->pixels + from) * (size_t)v;
        j->k->lines(j->dst + at, j->src + at, n, (size_t)v, v, &w->block[block]);
    }
}

#define LINE_ROWS 32

static void line_rows_units(void *job, int begin, int end, int thread)
{
    const struct lines8_job *j = job;
    const struct lines8 *w = j->w;
    const int v = j->k->lanes;
    for (int u = begin; u < end; u++) {
        const size_t row = (size_t)u * LINE_ROWS, left = w->pixels - row, n = left < LINE_ROWS ? left : LINE_ROWS;
        for (int b = 0; b < w->blocks; b++) {
            const size_t at = row * (size_t)w->channels + (size_t)(b * v);
            const int have = w->channels - b * v;
            j->k->lines(j->dst + at, j->src + at, n, (size_t)w->channels, have < v ? have : v, &w->block[b]);
        }
    }
}

static enum reel_err run_lines8(struct program *p, struct step *s)
{
    const struct lines8 *w = s->data;
    struct lines8_job job = {p->k8, w, form_at(p, &w->src), form_at(p, &w->dst)};
    if (w->rows)
        pool_run(p->pool, line_rows_units, &job, (int)((w->pixels + LINE_ROWS - 1) / LINE_ROWS));
    else
        pool_run(p->pool, lines8_units, &job, line_pieces(w) * w->blocks);
    return REEL_OK;
}

// What y is in steps of the result.
static double steps_at(float y, const struct q8_scale *to)
{
    return fmax(fmin((double)y / (double)to->scale, 1e6), -1e6) + to->zero;
}

// A line through y of bytes from..end-1, best where the result is not clamped.
static void fit(const float *y, const uint8_t *table, const struct q8_scale *scale, int from, int end,
                const struct q8_lines *l, float *out_factor, float *out_shift)
{
    int a = from, b = end - 1;
    *out_factor = *out_shift = 0;
    if (b < a) return;
    while (a < b && (table[a] <= l->lo || table[a] >= l->hi)) a++;
    while (b > a && (table[b] <= l->lo || table[b] >= l->hi)) b--;
    if (a == b && b + 1 < end)
        b++;
    else if (a == b && a > from)
        a--;
    const double at_a = steps_at(y[a], scale), at_b = steps_at(y[b], scale);
    const double factor = a < b ? (at_b - at_a) / (b - a) : 0;
    *out_factor = (float)factor;
    *out_shift = (float)(at_a - factor * a);
}

// Whether the kernel gives the table's bytes. Where a result lies at a tie, which
// one multiplication rounds otherwise than the operators do, the line is moved a
// little; it may agree next time.
static bool agrees(const struct conv8_kernels *k, const struct q8_lines *l, const uint8_t *table, int have,
                   float *shift, float *below_shift)
{
    const int v = k->lanes;
    const struct blocked_shape shape = {.n = 1, .c = have, .h = 1, .w = BYTES, .lanes = v};
    uint8_t x[BYTES * 16], y[BYTES * 16], want[BYTES * 16];
    for (int i = 0; i < BYTES; i++) memset(x + i * v, i ^ l->flip_in, (size_t)v);
    q8_block(&shape, l->flip_out, table, want, 0, 1);
    k->lines(y, x, BYTES, (size_t)v, v, l);
    bool same = true;
    for (int i = 0; i < BYTES; i++) {
        if (!memcmp(y + i * v, want + i * v, (size_t)have)) continue;
        for (int c = 0; c < have; c++) {
            const int got = y[i * v + c] ^ l->flip_out, wanted = table[c * BYTES + i];
            float *of = l->bent && i < l->turn ? below_shift : shift;
            if (got != wanted) of[c] += (float)(wanted - got) * 3e-5f, same = false; // an ulp of 255 is 1.5e-5
        }
    }
    return same;
}

// y, table: of this block's channels.
static bool make_lines(struct program *p, const struct chain *c, const float *y, const uint8_t *table, int have,
                       struct q8_lines *l)
{
    const int v = p->k8->lanes;
    float *numbers = program_alloc(p, sizeof(float) * 4 * (size_t)v);
    if (!numbers) return false;
    l->factor = numbers, l->shift = numbers + v, l->below_factor = numbers + 2 * v, l->below_shift = numbers + 3 * v;
    l->turn = c->from.zero;
    uint8_t lo = 255, hi = 0;
    for (int i = 0; i < have * BYTES; i++) {
        lo = table[i] < lo ? table[i] : lo;
        hi = table[i] > hi ? table[i] : hi;
    }
    l->lo = lo, l->hi = hi;
    for (int bent = 0; bent < 2; bent++) {
        l->bent = bent;
        for (int k = 0; k < have; k++) {
            const float *at = y + k * BYTES;
            const uint8_t *t = table + k * BYTES;
            fit(at, t, &c->to, bent ? l->turn : 0, BYTES, l, &numbers[k], &numbers[v + k]);
            if (bent) fit(at, t, &c->to, 0, l->turn, l, &numbers[2 * v + k], &numbers[3 * v + k]);
        }
        for (int tries = 0; tries < 4; tries++)
            if (agrees(p->k8, l, table, have, numbers + v, numbers + 3 * v)) return true;
    }
    uint8_t *own = program_alloc(p, (size_t)v * BYTES);
    if (own) memcpy(own, table, (size_t)have * BYTES);
    l->table = own;
    return own;
}

static enum reel_err lower_lines(struct program *p, const struct chain *c, const float *y, const uint8_t *table,
                                 bool *out_done)
{
    const struct info *bytes = c->bytes, *out = info_of(p, c->q->out[0]);
    const int nd = bytes->shape.ndim, v = p->k8->lanes, channels = channels_of(c);
    struct lines8 w = {.channels = channels, .rows = c->axis == nd - 1, .blocks = (channels + v - 1) / v};
    if (w.rows ? nd < 2 : c->axis != 1 || !bytes->bytes_image || !out->bytes_image) return REEL_OK;
    const enum layout layout = w.rows ? LAYOUT_PLAIN : LAYOUT_BLOCKED;
    const int images = w.rows ? 1 : bytes->bs.n;
    w.pixels = w.rows ? (size_t)(bytes->count / channels) : (size_t)bytes->bs.h * (size_t)bytes->bs.w;
    w.block = program_alloc(p, sizeof *w.block * (size_t)w.blocks * (size_t)images);
    bool ok = w.block;
    for (int b = 0; b < w.blocks && ok; b++) {
        w.block[b].flip_in = memory_flip(bytes, layout), w.block[b].flip_out = memory_flip(out, layout);
        const int have = channels - b * v < v ? channels - b * v : v;
        ok = make_lines(p, c, y + b * v * BYTES, table + b * v * BYTES, have, &w.block[b]);
    }
    if (!ok) return no_memory(c->node[0]);
    for (int i = 1; i < images; i++) memcpy(w.block + i * w.blocks, w.block, sizeof *w.block * (size_t)w.blocks);
    w.blocks *= images;
    enum reel_err err = need_form(p, bytes->v, layout, &w.src);
    if (!err) err = make_form(p, out->v, layout, &w.dst);
    bool tables = false;
    for (int b = 0; b < w.blocks; b++) tables |= w.block[b].table != NULL;
    struct step *s =
        err ? NULL : add_step(p, c->node[0], tables ? "lines and tables" : "lines of bytes", run_lines8, sizeof w);
    if (!s) return err ? err : no_memory(c->node[0]);
    *(struct lines8 *)s->data = w;
    touch(p, &w.src, p->n_steps - 1);
    touch(p, &w.dst, p->n_steps - 1);
    *out_done = true;
    return REEL_OK;
}

enum reel_err lower_table8(struct program *p, const struct node *node, bool *out_done)
{
    struct chain c;
    float *y = NULL;
    if (!p->k8 || !find_chain(p, node, &c) || channels_of(&c) > 1 << 16) return REEL_OK;
    enum reel_err err = evaluate(&c, &y);
    if (err) return err;
    const size_t n = (size_t)channels_of(&c) * BYTES;
    uint8_t *table = malloc(n);
    if (table) q8_quantize(table, y, n, c.to);
    if (!table)
        err = no_memory(node);
    else if (c.axis < 0)
        err = lower_lookup(p, &c, table), *out_done = true;
    else
        err = lower_lines(p, &c, y, table, out_done);
    for (int i = 0; i < c.n && *out_done; i++) info_of(p, c.node[i]->out[0])->absorbed = true;
    free(table);
    free(y);
    return err;
}

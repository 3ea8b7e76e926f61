// SPDX-License-Identifier: MIT
//
// Quantised networks (graph/pass_quant.c has put all of them into the form
// DequantizeLinear -> operator -> QuantizeLinear) -> 8-bit kernels.
//
// DequantizeLinear is lazy: its result only remembers what it is the dequantised
// form of, and operators that have 8-bit kernels read that. Where one reads
// float32, need_form() makes it. QuantizeLinear behind a convolution or product
// changes the step that is there already: it rounds its sums at once; behind an
// operator on bytes the operator is compiled as one step with it.
// quant_conv.c has the convolutions and products, quant_deconv.c
// ConvTranspose, quant_weights.c what those share, quant_table.c what
// has one operand, quant_image.c pooling and concatenation.
#include "worker/backend/onednn/lower/quant.h"

#include <math.h>
#include <string.h>

#include "kernels/quant8.h"
#include "worker/onnx/op.h"

#define PIECE QUANT_PIECE

int quant_pieces(size_t count)
{
    return (int)((count + PIECE - 1) / PIECE);
}

// ---- scales ----------------------------------------------------------------------

bool is_byte(enum reel_dtype t)
{
    return t == REEL_I8 || t == REEL_U8;
}

int memory_flip(const struct info *bytes, enum layout layout)
{
    return layout == LAYOUT_PLAIN && bytes->dtype == REEL_I8 ? 128 : 0;
}

bool one_scale(struct program *p, const struct node *node, const struct info *bytes, struct q8_scale *out)
{
    if (node->n_in < 2 || !node->in[1] || !is_byte(bytes->dtype)) return false;
    const struct info *s = info_of(p, node->in[1]);
    const struct info *z = node->n_in > 2 && node->in[2] ? info_of(p, node->in[2]) : NULL;
    if (s->count != 1 || s->v->dtype != REEL_F32 || !s->v->constant || node_attr_int(node, "block_size", 0))
        return false;
    if (z && (z->count != 1 || z->dtype != bytes->dtype || !z->v->constant)) return false;
    const int zero = z ? (int)op_scalar_int(z->v->constant, 0) : 0;
    *out = (struct q8_scale){.scale = (float)op_scalar(s->v->constant, 0),
                             .zero = zero + (bytes->dtype == REEL_I8 ? 128 : 0)};
    return true;
}

const struct node *quantizer(struct program *p, const struct value *v, struct q8_scale *out)
{
    const struct node *q = graph_only_consumer(p->graph, v);
    if (!is_onnx(q, "QuantizeLinear") || q->in[0] != v || !q->out[0]) return NULL;
    const enum reel_dtype precision = (enum reel_dtype)node_attr_int(q, "precision", 0);
    return !precision && one_scale(p, q, info_of(p, q->out[0]), out) ? q : NULL;
}

bool dequantized_from(struct program *p, const struct value *v, const struct info **out_bytes, struct q8_scale *out)
{
    const struct info *i = v ? info_of(p, v) : NULL;
    if (!i || !i->dequantize) return false;
    *out_bytes = info_of(p, i->dequantize->in[0]);
    return !(*out_bytes)->v->constant && one_scale(p, i->dequantize, *out_bytes, out);
}

// ---- DequantizeLinear --------------------------------------------------------------

struct convert {
    struct form src, dst;
    struct q8_scale scale;
    size_t count;
};

struct convert_job {
    const struct conv8_kernels *k;
    const struct convert *c;
    const void *src;
    void *dst;
};

static size_t piece_of(const struct convert *c, int u)
{
    const size_t left = c->count - (size_t)u * PIECE;
    return left < PIECE ? left : PIECE;
}

static void dequantize_units(void *job, int begin, int end, int thread)
{
    const struct convert_job *j = job;
    for (int u = begin; u < end; u++)
        j->k->dequantize((float *)j->dst + (size_t)u * PIECE, (const uint8_t *)j->src + (size_t)u * PIECE,
                         piece_of(j->c, u), j->c->scale);
}

static void quantize_units(void *job, int begin, int end, int thread)
{
    const struct convert_job *j = job;
    for (int u = begin; u < end; u++)
        j->k->quantize((uint8_t *)j->dst + (size_t)u * PIECE, (const float *)j->src + (size_t)u * PIECE,
                       piece_of(j->c, u), j->c->scale);
}

static enum reel_err run_convert(struct program *p, struct step *s, void (*units)(void *, int, int, int))
{
    const struct convert *c = s->data;
    struct convert_job job = {p->k8, c, form_at(p, &c->src), form_at(p, &c->dst)};
    pool_run(p->pool, units, &job, quant_pieces(c->count));
    return REEL_OK;
}

static enum reel_err run_dequantize(struct program *p, struct step *s)
{
    return run_convert(p, s, dequantize_units);
}

static enum reel_err run_quantize(struct program *p, struct step *s)
{
    return run_convert(p, s, quantize_units);
}

size_t count_in(const struct info *i, enum layout layout)
{
    return layout == LAYOUT_BLOCKED ? blocked_floats(&i->bs) : (size_t)i->count;
}

static struct step *add_convert(struct program *p, const struct node *node, const char *kernel,
                                enum reel_err (*run)(struct program *, struct step *), const struct convert *c)
{
    struct step *s = add_step(p, node, kernel, run, sizeof *c);
    if (!s) return NULL;
    *(struct convert *)s->data = *c;
    touch(p, &c->src, p->n_steps - 1);
    touch(p, &c->dst, p->n_steps - 1);
    return s;
}

// Weights: evaluated while compiling.
static enum reel_err dequantize_constant(struct program *p, struct info *i)
{
    const struct node *node = i->dequantize;
    const struct reel_tensor *in[3] = {0};
    struct reel_tensor out = {.shape.ndim = -1}, *outs[1] = {&out};
    for (int k = 0; k < node->n_in && k < 3; k++) in[k] = node->in[k] ? node->in[k]->constant : NULL;
    enum reel_err err = op_run(node, in, outs, NULL, NULL);
    float *m = err ? NULL : program_alloc(p, (size_t)i->count * sizeof(float));
    if (m) memcpy(m, out.data, (size_t)i->count * sizeof(float));
    reel_tensor_fini(&out);
    if (err) return err;
    if (!m) return no_memory(node);
    i->form[LAYOUT_PLAIN] = (struct form){.buf = -1, .constant = m};
    return REEL_OK;
}

enum reel_err make_dequantized(struct program *p, struct info *i, enum layout layout)
{
    const struct node *node = i->dequantize;
    const struct info *bytes = info_of(p, node->in[0]);
    if (bytes->v->constant) return dequantize_constant(p, i);
    if (!i->image || !bytes->bytes_image) layout = LAYOUT_PLAIN;
    struct convert c = {.count = count_in(i, layout)};
    one_scale(p, node, bytes, &c.scale);
    c.scale.flip = memory_flip(bytes, layout);
    enum reel_err err = need_form(p, bytes->v, layout, &c.src);
    if (!err) err = make_form(p, i->v, layout, &c.dst);
    if (!err && !add_convert(p, node, "dequantize", run_dequantize, &c)) err = no_memory(node);
    return err;
}

static enum reel_err lower_dequantize(struct program *p, const struct node *node, bool *out_done)
{
    struct info *bytes = info_of(p, node->in[0]), *out = info_of(p, node->out[0]);
    struct q8_scale scale;
    if (!is_byte(bytes->dtype) || out->v->dtype != REEL_F32 || out->count < 1) return REEL_OK;
    bool constant = true;
    for (int i = 0; i < node->n_in; i++) constant &= !node->in[i] || node->in[i]->constant;
    if (!constant && (bytes->v->constant || !one_scale(p, node, bytes, &scale))) return REEL_OK;
    out->dequantize = node;
    *out_done = true;
    return REEL_OK;
}

enum reel_err dequantize_operands(struct program *p, const struct node *node)
{
    enum reel_err err = REEL_OK;
    for (int i = 0; i < node->n_in + node->n_epilogue && !err; i++) {
        const struct value *v = i < node->n_in ? node->in[i] : node->epilogue[i - node->n_in].other;
        if (!v) continue;
        struct info *in = info_of(p, v);
        if (!in->dequantize || form_exists(&in->form[0]) || form_exists(&in->form[1])) continue;
        const struct info *bytes = info_of(p, in->dequantize->in[0]);
        struct form f;
        const bool blocked = in->image && form_exists(&bytes->form[LAYOUT_BLOCKED]);
        err = need_form(p, v, blocked ? LAYOUT_BLOCKED : LAYOUT_PLAIN, &f);
    }
    return err;
}

// ---- QuantizeLinear ------------------------------------------------------------------

static enum reel_err lower_quantize(struct program *p, const struct node *node, bool *out_done)
{
    struct info *in = info_of(p, node->in[0]), *out = info_of(p, node->out[0]);
    struct convert c = {0};
    if (out->absorbed || form_exists(&out->form[0]) || form_exists(&out->form[1])) { // made by the operator before it
        *out_done = true;
        return REEL_OK;
    }
    if (in->v->dtype != REEL_F32 || in->count < 1 || node_attr_int(node, "precision", 0) ||
        !one_scale(p, node, out, &c.scale))
        return REEL_OK;
    enum reel_err err = quantize_behind(p, node, in, out, c.scale, out_done);
    if (err || *out_done) return err;
    const struct info *bytes = in->dequantize ? info_of(p, in->dequantize->in[0]) : NULL;
    const bool blocked =
        out->bytes_image && in->image &&
        (form_exists(&in->form[LAYOUT_BLOCKED]) || (bytes && form_exists(&bytes->form[LAYOUT_BLOCKED])));
    const enum layout layout = blocked ? LAYOUT_BLOCKED : LAYOUT_PLAIN;
    c.count = count_in(in, layout);
    c.scale.flip = memory_flip(out, layout);
    err = need_form(p, node->in[0], layout, &c.src);
    if (!err) err = make_form(p, node->out[0], layout, &c.dst);
    if (!err && !add_convert(p, node, blocked ? "quantize blocked" : "quantize", run_quantize, &c))
        err = no_memory(node);
    *out_done = true;
    return err;
}

// ---- two operands -----------------------------------------------------------------------

struct binary8 {
    struct form a, b, dst;
    struct q8_scale from_a, from_b, to;
    bool product;
    size_t count;
    size_t plane; // of a: b has one element a channel, blocked
};

struct binary8_job {
    const struct conv8_kernels *k;
    const struct binary8 *w;
    const uint8_t *a, *b;
    uint8_t *dst;
};

static void binary8_units(void *job, int begin, int end, int thread)
{
    const struct binary8_job *j = job;
    for (int u = begin; u < end; u++) {
        const size_t at = (size_t)u * PIECE, left = j->w->count - at, n = left < PIECE ? left : PIECE;
        (j->w->product ? j->k->multiply : j->k->add)(j->dst + at, j->a + at, j->b + at, n, j->w->from_a, j->w->from_b,
                                                     j->w->to);
    }
}

// The channels' elements are repeated, so that the same loop does it.
#define REPEAT_BYTES 1024

static void gate8_units(void *job, int begin, int end, int thread)
{
    const struct binary8_job *j = job;
    const size_t v = (size_t)j->k->lanes;
    for (int u = begin; u < end; u++) {
        uint8_t row[REPEAT_BYTES];
        for (size_t i = 0; i < REPEAT_BYTES; i += v) memcpy(row + i, j->b + (size_t)u * v, v);
        for (size_t i = 0; i < j->w->plane; i += REPEAT_BYTES) {
            const size_t left = j->w->plane - i, at = (size_t)u * j->w->plane + i;
            (j->w->product ? j->k->multiply : j->k->add)(j->dst + at, j->a + at, row,
                                                         left < REPEAT_BYTES ? left : REPEAT_BYTES, j->w->from_a,
                                                         j->w->from_b, j->w->to);
        }
    }
}

static enum reel_err run_binary8(struct program *p, struct step *s)
{
    const struct binary8 *w = s->data;
    struct binary8_job job = {p->k8, w, form_at(p, &w->a), form_at(p, &w->b), form_at(p, &w->dst)};
    if (w->plane)
        pool_run(p->pool, gate8_units, &job, (int)(w->count / w->plane));
    else
        pool_run(p->pool, binary8_units, &job, quant_pieces(w->count));
    return REEL_OK;
}

// Whether b has one element for each channel of the image a.
static bool one_a_channel(const struct info *a, const struct info *b)
{
    return a->bytes_image && b->bytes_image && a->shape.ndim == b->shape.ndim && a->bs.n == b->bs.n &&
           a->bs.c == b->bs.c && b->bs.h * b->bs.w == 1;
}

static enum reel_err lower_binary8(struct program *p, const struct node *node, bool *out_done)
{
    const bool product = is_onnx(node, "Mul");
    const struct info *a, *b;
    struct binary8 w = {.product = product};
    if ((!product && !is_onnx(node, "Add")) || node->n_in != 2 || node->n_epilogue) return REEL_OK;
    if (!dequantized_from(p, node->in[0], &a, &w.from_a) || !dequantized_from(p, node->in[1], &b, &w.from_b))
        return REEL_OK;
    const struct node *q = quantizer(p, node->out[0], &w.to);
    if (!q) return REEL_OK;
    const struct info *out = info_of(p, q->out[0]);
    if (form_exists(&out->form[0]) || form_exists(&out->form[1])) { // a gate, made with its table
        *out_done = true;
        return REEL_OK;
    }
    const bool same = reel_shape_equal(&a->shape, &b->shape);
    if (!same && one_a_channel(b, a)) {
        const struct info *swap = a;
        const struct q8_scale scale = w.from_a;
        a = b, w.from_a = w.from_b;
        b = swap, w.from_b = scale;
    } else if (!same && !one_a_channel(a, b)) {
        return REEL_OK;
    }
    const bool blocked = !same || form_exists(&a->form[LAYOUT_BLOCKED]) || form_exists(&b->form[LAYOUT_BLOCKED]);
    const enum layout layout = blocked ? LAYOUT_BLOCKED : LAYOUT_PLAIN;
    w.count = count_in(a, layout);
    if (!same) w.plane = (size_t)a->bs.h * (size_t)a->bs.w * (size_t)a->bs.lanes;
    w.from_a.flip = memory_flip(a, layout), w.from_b.flip = memory_flip(b, layout),
    w.to.flip = memory_flip(out, layout);
    enum reel_err err = need_form(p, a->v, layout, &w.a);
    if (!err) err = need_form(p, b->v, layout, &w.b);
    if (!err) err = make_form(p, out->v, layout, &w.dst);
    struct step *s =
        err ? NULL : add_step(p, node, product ? "product of bytes" : "sum of bytes", run_binary8, sizeof w);
    if (!s) return err ? err : no_memory(node);
    *(struct binary8 *)s->data = w;
    touch(p, &w.a, p->n_steps - 1);
    touch(p, &w.b, p->n_steps - 1);
    touch(p, &w.dst, p->n_steps - 1);
    *out_done = true;
    return REEL_OK;
}

// ---- DynamicQuantizeLinear ------------------------------------------------------------------

struct dynamic8 {
    struct form src, dst, scale, zero;
    size_t count;
};

static void dynamic8_units(void *job, int begin, int end, int thread)
{
    quantize_units(job, begin, end, thread);
}

static enum reel_err run_dynamic8(struct program *p, struct step *s)
{
    const struct dynamic8 *d = s->data;
    struct convert c = {.count = d->count};
    const float *src = form_at(p, &d->src);
    float low = 0, high = 0;
    q8_range(src, d->count, &low, &high);
    // ONNX DynamicQuantizeLinear (11), as the reference computes it
    c.scale.scale = high == low ? 1.0f : (high - low) / 255.0f;
    c.scale.zero = (int)rintf(fminf(fmaxf(0.0f - low / c.scale.scale, 0.0f), 255.0f));
    struct convert_job job = {p->k8, &c, src, form_at(p, &d->dst)};
    pool_run(p->pool, dynamic8_units, &job, quant_pieces(c.count));
    if (form_exists(&d->scale)) *(float *)form_at(p, &d->scale) = c.scale.scale;
    if (form_exists(&d->zero)) *(uint8_t *)form_at(p, &d->zero) = (uint8_t)c.scale.zero;
    return REEL_OK;
}

static enum reel_err lower_dynamic8(struct program *p, const struct node *node, bool *out_done)
{
    if (!is_onnx(node, "DynamicQuantizeLinear")) return REEL_OK;
    const struct info *in = info_of(p, node->in[0]);
    if (in->count < 1 || in->v->dtype != REEL_F32) return REEL_OK;
    struct dynamic8 d = {.count = (size_t)in->count, .scale = FORM_NONE, .zero = FORM_NONE};
    enum reel_err err = need_form(p, node->in[0], LAYOUT_PLAIN, &d.src);
    if (!err) err = make_form(p, node->out[0], LAYOUT_PLAIN, &d.dst);
    if (!err && node->n_out > 1 && node->out[1]) err = make_form(p, node->out[1], LAYOUT_PLAIN, &d.scale);
    if (!err && node->n_out > 2 && node->out[2]) err = make_form(p, node->out[2], LAYOUT_PLAIN, &d.zero);
    struct step *s = err ? NULL : add_step(p, node, "quantize by range", run_dynamic8, sizeof d);
    if (!s) return err ? err : no_memory(node);
    *(struct dynamic8 *)s->data = d;
    const struct form *all[] = {&d.src, &d.dst, &d.scale, &d.zero};
    for (int i = 0; i < 4; i++) touch(p, all[i], p->n_steps - 1);
    *out_done = true;
    return REEL_OK;
}

enum reel_err lower_quant(struct program *p, const struct node *node, bool *out_done)
{
    static enum reel_err (*const lower[])(struct program *, const struct node *, bool *) = {
        lower_conv8, lower_deconv8, lower_matmul8, lower_table8,   lower_binary8,
        lower_max8,  lower_mean8,   lower_concat8, lower_dynamic8,
    };
    if (node->n_in < 1 || !node->in[0] || node->n_out < 1 || !node->out[0]) return REEL_OK;
    if (!strcmp(node->op_type, "DequantizeLinear")) return lower_dequantize(p, node, out_done);
    if (!strcmp(node->op_type, "QuantizeLinear")) return lower_quantize(p, node, out_done);
    const struct info *out = info_of(p, node->out[0]);
    if (out->absorbed) { // by the step that the chain's first operator became
        *out_done = true;
        return REEL_OK;
    }
    // made by the integer product before it
    if (is_onnx(node, "Cast") && (form_exists(&out->form[0]) || form_exists(&out->form[1]))) {
        *out_done = true;
        return REEL_OK;
    }
    enum reel_err err = REEL_OK;
    for (size_t i = 0; !*out_done && !err && i < sizeof lower / sizeof *lower; i++) err = lower[i](p, node, out_done);
    return err;
}

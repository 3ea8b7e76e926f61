// SPDX-License-Identifier: MIT
//
// ConvTranspose -> convolution kernels. compile_node() calls it; its 8-bit twin
// (quant_deconv.c) takes the geometry from here.
//
// With stride s, the outputs whose position (with the padding) has the same
// remainder by s see the same taps: each such phase is a convolution of stride
// 1 whose results lie s apart. A phase that no tap meets holds the bias alone.
//
// The same rows of all phases are one unit of work, so that all phases but the
// first find the input in the cache, and what follows the sum is applied to
// whole rows while they are there.
#include <stdlib.h>
#include <string.h>

#include "worker/backend/onednn/program.h"

// A phase is a plan of its own; 32 x 32 is the largest stride known (FCN-32s).
#define MAX_PHASES 1024
// The rows of a unit should stay in the second-level cache until their epilogue.
#define UNIT_BYTES (256 << 10)

struct deconv {
    struct tail tail;
    struct form src, dst;
    struct blocked_shape out;
    int row_stride; // of a phase's rows in the output
    int n;          // phases
    struct conv_plan *plan;
    int unit_rows; // of each phase
    int parts;     // units along the rows, per image and chunk
    int chunks;    // of output channels (conv_plan_cut)
};

struct deconv_job {
    struct program *p;
    const struct deconv *d;
    struct conv_epilogue inner, outer; // in the kernels; on whole rows after them
    const float *src;
    float *dst;
};

static void fini_deconv(void *data)
{
    struct deconv *d = data;
    for (int i = 0; i < d->n; i++) conv_plan_fini(&d->plan[i]);
}

// The epilogue on output rows [r0, r1) of one image and chunk.
static void finish_rows(const struct deconv_job *j, int image, int chunk, int r0, int r1)
{
    const struct deconv *d = j->d;
    const bool plain = d->tail.layout == LAYOUT_PLAIN;
    const int planes = plain ? d->out.c : blocked_count(&d->out), v = plain ? 1 : d->out.lanes;
    int b0 = 0, b1 = planes;
    if (d->chunks > 1) conv_plan_chunk(&d->plan[0], chunk, &b0, &b1);
    for (int b = b0; b < b1; b++) {
        const size_t row = ((size_t)image * (size_t)planes + (size_t)b) * (size_t)d->out.h + (size_t)r0;
        const size_t at = row * (size_t)d->out.w * (size_t)v;
        if (plain)
            j->p->k->apply_plain(&j->outer, j->dst + at, at, b, image, (ptrdiff_t)(r1 - r0) * d->out.w);
        else
            j->p->k->apply(&j->outer, j->dst + at, at, b * v, image, (r1 - r0) * d->out.w);
    }
}

static void deconv_units(void *job, int begin, int end, int thread)
{
    const struct deconv_job *j = job;
    const struct deconv *d = j->d;
    for (int u = begin; u < end; u++) {
        const int part = u % d->parts, chunk = u / d->parts % d->chunks, image = u / d->parts / d->chunks;
        for (int i = 0; i < d->n; i++) {
            const struct conv_plan *plan = &d->plan[i];
            const int parts = plan->units_per_image / d->chunks, unit = (image * d->chunks + chunk) * parts + part;
            if (part >= parts) continue; // a phase with a row less
            j->p->k->run(plan, &j->inner, j->src, j->dst, unit, unit + 1, thread_scratch(j->p, thread));
        }
        // phases begin in the first rows, one each: together their rows have no gaps
        const int rows = d->unit_rows * d->row_stride, r0 = part * rows;
        if (j->outer.n) finish_rows(j, image, chunk, r0, r0 + rows < d->out.h ? r0 + rows : d->out.h);
    }
}

static enum reel_err run_deconv(struct program *p, struct step *s)
{
    const struct deconv *d = s->data;
    struct deconv_job job = {.p = p, .d = d, .src = form_at(p, &d->src), .dst = form_at(p, &d->dst)};
    job.outer = bind_tail(p, &d->tail);
    const bool clamp = job.outer.n == 1 && (job.outer.step[0].kind == CONV_RELU || job.outer.step[0].kind == CONV_CLIP);
    if (clamp && d->tail.layout == LAYOUT_BLOCKED) { // costs nothing inside
        job.inner = job.outer;
        job.outer.n = 0;
    }
    pool_run(p->pool, deconv_units, &job, d->out.n * d->chunks * d->parts);
    return REEL_OK;
}

// ---- geometry ---------------------------------------------------------------------

static int gcd(int a, int b)
{
    while (b) {
        const int r = a % b;
        a = b;
        b = r;
    }
    return a;
}

// Output o (with the padding) gets tap k of input i where o = i s + k d. With
// g = gcd(s, d) and o = t s + r that is every (s/g)-th tap from the first k
// with k d = r modulo s on, and the input goes back by d/g from tap to tap.
struct deconv_phase deconv_phase_of(const struct deconv_shape *shape, int axis, int remainder, int out)
{
    const int k = shape->k[axis], s = shape->s[axis], d = shape->d[axis], pad = shape->pad[axis], g = gcd(s, d);
    struct deconv_phase f = {.step = s / g, .dilation = d / g};
    while (f.from < k && f.from < f.step && (int64_t)f.from * d % s != remainder) f.from++;
    if (f.from < k && f.from < f.step) f.taps = (k - f.from + f.step - 1) / f.step;
    const int t0 = pad > remainder ? (pad - remainder + s - 1) / s : 0;
    f.first = s * t0 + remainder - pad;
    f.count = f.first < out ? (out - f.first + s - 1) / s : 0;
    f.pad = (f.taps - 1) * f.dilation + (f.from * d - remainder) / s - t0;
    return f;
}

// ONNX ConvTranspose, opset 22; where the output's size is given the padding
// follows from it, and none is added when the sums do not reach so far.
bool deconv_shape_of(const struct node *node, const struct info *in, const struct info *w, const struct info *out,
                     struct deconv_shape *d)
{
    const int axes = in->shape.ndim - 2;
    const int64_t groups = node_attr_int(node, "group", 1);
    const char *mode = node_attr_string(node, "auto_pad", "NOTSET");
    if (groups < 1 || in->bs.c % groups || w->shape.dim[0] != in->bs.c || w->shape.dim[1] * groups != out->bs.c)
        return false;
    *d = (struct deconv_shape){.k = {1, 1}, .s = {1, 1}, .d = {1, 1}, .groups = (int)groups};
    for (int axis = 0; axis < axes; axis++) {
        const int i = axes == 2 ? axis : 1;
        const int64_t size = i ? in->bs.w : in->bs.h, to = i ? out->bs.w : out->bs.h;
        const int64_t k = w->shape.dim[2 + axis], s = axis_attr(node, "strides", axis, 1);
        const int64_t dilation = axis_attr(node, "dilations", axis, 1);
        int64_t pad = axis_attr(node, "pads", axis, 0);
        if (k < 1 || s < 1 || dilation < 1 || k > 4096 || s > 4096 || dilation > 4096) return false;
        const int64_t *given;
        if (strcmp(mode, "NOTSET") || node_attr_ints(node, "output_shape", &given)) {
            const int64_t extra = axis_attr(node, "output_padding", axis, 0);
            const int64_t total = s * (size - 1) + extra + (k - 1) * dilation + 1 - to;
            pad = total < 0 ? 0 : !strcmp(mode, "SAME_UPPER") ? total / 2 : total - total / 2;
        }
        if (pad < 0 || pad > 65536) return false;
        d->k[i] = (int)k, d->s[i] = (int)s, d->d[i] = (int)dilation, d->pad[i] = (int)pad;
    }
    return true;
}

// ---- preparing --------------------------------------------------------------------

// Weights (C,M/groups,kh,kw) of a transposed convolution -> (M,C/groups,..) of
// a phase.
static void phase_weights(const float *w, int ic, int oc, const struct deconv_shape *d, const struct deconv_phase f[2],
                          float *out)
{
    const int icg = ic / d->groups, ocg = oc / d->groups;
    for (int o = 0; o < oc; o++)
        for (int i = 0; i < icg; i++) {
            const float *from = w + ((size_t)(o / ocg * icg + i) * ocg + o % ocg) * d->k[0] * d->k[1];
            for (int y = f[0].taps - 1; y >= 0; y--)
                for (int x = f[1].taps - 1; x >= 0; x--)
                    *out++ = from[(f[0].from + y * f[0].step) * d->k[1] + f[1].from + x * f[1].step];
        }
}

// The convolution that phase f is; without taps one that looks beside the image.
static struct conv_geometry phase_geometry(const struct conv_geometry *whole, const struct deconv_phase f[2])
{
    struct conv_geometry g = *whole;
    g.oh = f[0].count, g.ow = f[1].count;
    g.kh = g.kw = g.sh = g.sw = g.dh = g.dw = 1;
    g.spread = true;
    if (!f[0].taps || !f[1].taps) {
        g.pad_top = -g.ih;
        g.pad_left = 0;
        return g;
    }
    g.kh = f[0].taps, g.kw = f[1].taps;
    g.dh = f[0].dilation, g.dw = f[1].dilation;
    g.pad_top = f[0].pad, g.pad_left = f[1].pad;
    return g;
}

struct making {
    struct conv_geometry g;
    struct deconv_shape shape;
    enum conv_method method;
    bool plain; // the input is
    int merge;  // groups taken together
    const float *w, *bias;
};

// memory: for the weights of a phase, twice.
static bool prepare_phase(struct program *p, const struct making *m, int phase, struct deconv *d, float *memory)
{
    const struct deconv_shape *s = &m->shape;
    const bool plain = d->tail.layout == LAYOUT_PLAIN;
    const ptrdiff_t v = plain ? 1 : p->k->lanes, width = d->out.w;
    const struct deconv_phase f[2] = {deconv_phase_of(s, 0, phase / s->s[1], d->out.h),
                                      deconv_phase_of(s, 1, phase % s->s[1], d->out.w)};
    if (f[0].count <= 0 || f[1].count <= 0) return true;
    const struct conv_geometry g = phase_geometry(&m->g, f);
    const size_t weights = (size_t)g.oc * (size_t)(g.ic / g.groups) * (size_t)g.kh * (size_t)g.kw;
    struct conv_geometry merged = g;
    merged.groups = g.groups / m->merge;
    memset(memory, 0, sizeof(float) * weights);
    phase_weights(m->w, g.ic, g.oc, s, f, memory);
    if (m->merge > 1) conv_merge_weights(&g, m->merge, memory, memory + weights);
    struct conv_plan *plan = &d->plan[d->n];
    if (!p->k->prepare(plan, &merged, m->method, m->plain, memory + (m->merge > 1 ? weights : 0), m->bias))
        return false;
    d->n++;
    plan->out_pixel = s->s[1] * v;
    plan->out_row = s->s[0] * width * v;
    plan->out_begin = (f[0].first * width + f[1].first) * v;
    plan->out_plane = (size_t)d->out.h * (size_t)width * (size_t)v;
    p->constant_bytes += plan->w_bytes;
    want_scratch(p, plan->scratch_bytes);
    return true;
}

// Cuts all phases at the same rows.
static void cut_phases(struct deconv *d)
{
    const bool plain = d->tail.layout == LAYOUT_PLAIN;
    const size_t planes = plain ? (size_t)d->out.c : (size_t)blocked_count(&d->out) * (size_t)d->out.lanes;
    const size_t row = planes * (size_t)d->out.w * (size_t)d->row_stride * sizeof(float);
    bool chunk_outer = false;
    int most = 0;
    for (int i = 0; i < d->n; i++) {
        chunk_outer |= d->plan[i].chunk_outer;
        if (d->plan[i].g.oh > most) most = d->plan[i].g.oh;
    }
    d->unit_rows = row < UNIT_BYTES / 8 ? 8 : row < UNIT_BYTES ? (int)(UNIT_BYTES / row) : 1;
    if (d->unit_rows > (most + 1) / 2) d->unit_rows = (most + 1) / 2;
    if (chunk_outer && most <= 64) d->unit_rows = (most + 1) / 2; // reading the weights costs more
    d->parts = (most + d->unit_rows - 1) / d->unit_rows;
    for (int i = 0; i < d->n; i++) d->chunks = conv_plan_cut(&d->plan[i], d->unit_rows, chunk_outer);
}

// The kernels for this transposed convolution; false when there are none.
static bool choose_method(const struct program *p, const struct info *in, struct making *m)
{
    const struct conv_geometry *g = &m->g;
    m->plain = !form_exists(&in->form[LAYOUT_BLOCKED]);
    m->merge = 1;
    m->method = CONV_METHOD_DIRECT;
    if (g->groups > 1 && g->ic == g->groups && g->oc == g->groups) {
        m->method = CONV_METHOD_DEPTHWISE;
        const bool few = m->plain && in->bs.c < FEW_CHANNELS;
        m->plain = false;
        return !few;
    }
    if (g->groups > 1) {
        m->merge = conv_merge_groups(g, p->k->lanes, m->plain);
        return m->merge > 0;
    }
    if (g->oc <= CONV_DOT_CHANNELS && !m->plain) m->method = CONV_METHOD_DOT;
    return true;
}

static enum reel_err prepare_phases(struct program *p, const struct node *node, const struct making *m,
                                    struct deconv *d)
{
    const struct deconv_shape *s = &m->shape;
    const int phases = s->s[0] * s->s[1];
    const size_t weights = (size_t)m->g.ic * (size_t)m->g.oc * (size_t)s->k[0] * (size_t)s->k[1];
    d->plan = program_alloc(p, sizeof *d->plan * (size_t)phases);
    // never less than one tap a phase
    float *memory = malloc(sizeof(float) * weights / (size_t)m->g.groups * (size_t)(m->merge + 1));
    bool ok = d->plan && memory;
    for (int i = 0; i < phases && ok; i++) ok = prepare_phase(p, m, i, d, memory);
    free(memory);
    if (!ok) return no_memory(node);
    cut_phases(d);
    return REEL_OK;
}

static bool constant_floats(const struct info *i)
{
    return i->form[LAYOUT_PLAIN].constant && i->dtype == REEL_F32;
}

enum reel_err lower_deconv(struct program *p, const struct node *node, bool *out_done)
{
    if (strcmp(node->op_type, "ConvTranspose") || node->n_in < 2) return REEL_OK;
    struct info *in = info_of(p, node->in[0]), *w = info_of(p, node->in[1]), *out = info_of(p, node->out[0]);
    struct info *b = node->n_in > 2 && node->in[2] ? info_of(p, node->in[2]) : NULL;
    struct making m = {0};
    if (!in->image || !out->image || !constant_floats(w) || w->shape.ndim != in->shape.ndim) return REEL_OK;
    if (b && (!constant_floats(b) || b->count != out->bs.c)) return REEL_OK;
    if (!deconv_shape_of(node, in, w, out, &m.shape) || m.shape.s[0] * m.shape.s[1] > MAX_PHASES) return REEL_OK;
    m.g = (struct conv_geometry){.n = in->bs.n, .ic = in->bs.c, .ih = in->bs.h, .iw = in->bs.w};
    m.g.oc = out->bs.c, m.g.groups = m.shape.groups;
    m.w = w->form[LAYOUT_PLAIN].constant, m.bias = b ? b->form[LAYOUT_PLAIN].constant : NULL;
    if (!choose_method(p, in, &m)) return REEL_OK;

    struct deconv d = {.out = out->bs, .row_stride = m.shape.s[0]};
    d.tail.layout = m.method == CONV_METHOD_DOT ? LAYOUT_PLAIN : LAYOUT_BLOCKED;
    int left = 0;
    enum reel_err err = need_form(p, node->in[0], m.plain ? LAYOUT_PLAIN : LAYOUT_BLOCKED, &d.src);
    if (!err) err = map_epilogue(p, node, out, &d.tail, &left);
    if (!err) err = make_form(p, node->out[0], d.tail.layout, &d.dst);
    struct step *s = err ? NULL : add_step(p, node, "direct phases", run_deconv, sizeof d);
    if (!s) return err ? err : no_memory(node);
    if (m.method == CONV_METHOD_DOT) s->kernel = "dot phases";
    if (m.method == CONV_METHOD_DEPTHWISE) s->kernel = "depthwise phases";
    s->fini = fini_deconv;
    s->mflop = 2e-6 * m.g.n * m.g.ic * m.g.ih * m.g.iw * (m.g.oc / m.g.groups) * m.shape.k[0] * m.shape.k[1];
    *(struct deconv *)s->data = d;
    touch(p, &d.src, p->n_steps - 1);
    touch(p, &d.dst, p->n_steps - 1);
    touch_tail(p, &d.tail, p->n_steps - 1);
    err = prepare_phases(p, node, &m, s->data);
    if (err) return err;
    *out_done = true;
    if (left < node->n_epilogue) return finish_epilogue(p, node, left);
    s->tail = &((struct deconv *)s->data)->tail;
    return REEL_OK;
}

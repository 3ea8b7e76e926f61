// SPDX-License-Identifier: MIT
//
// Conv, MaxPool and AveragePool over three axes as those of pictures. The planes of a volume lie one behind
// another, each with all its channels (blocked, or plain where the channels are few), so the
// planes that one plane of the result is made of are one picture with the channels of all of
// them. Next to the ends there are fewer: each number of planes has weights of its own.
//
// Pools, and convolutions in groups or with planes that are skipped, take the taps of the depth in turn:
// each is an operator on one plane, to whose result the next one's is added (or the larger one stays). The sum
// of the planes' means is then divided by their number.
#include <stdlib.h>
#include <string.h>

#include "worker/backend/onednn/program.h"

// Most different sets of taps along the depth: 2 * 7 - 1 and more.
#define MOST_SLABS 16

// The taps [first, first + n) of the depth and the convolution that they are.
struct slab {
    int first, n;
    struct conv_plan plan;
};

struct volume {
    struct tail tail;
    struct slab slab[MOST_SLABS];
    int n_slabs;
    bool in_turn;              // slab t is tap t alone
    enum conv_step_kind joins; // in_turn: two taps
    const float *bias;         // in_turn: one per channel, filled up to whole vectors; or NULL
    const float *share;        // of a mean: 1 / n, likewise, for each number n of planes; or NULL
    size_t share_floats;       // of one n
    size_t tap_floats;         // in_turn: from the plane of one tap to the next one's
    int *n_taps;               // in_turn: planes
    struct form src, dst;
    int *of_plane;       // planes: number of the slab
    int *begin;          // planes + 1: the plane's first unit
    size_t *from;        // planes: where the first plane it reads begins, in floats
    int planes;          // of the result
    size_t plane_floats; // of one of them
};

struct volume_job {
    struct program *p;
    const struct volume *v;
    struct conv_epilogue e;
    const float *src;
    float *dst;
};

// The units [from, to) of plane o, with all that follows the sum in e.
static void one_sum(const struct volume_job *j, int o, const struct conv_epilogue *e, int from, int to, float *scratch)
{
    const struct volume *v = j->v;
    j->p->k->run(&v->slab[v->of_plane[o]].plan, e, j->src + v->from[o], j->dst + (size_t)o * v->plane_floats, from, to,
                 scratch);
}

// The same, tap by tap. Kernels store a sum before they add to it, so every other tap goes to a plane
// in the scratch memory, and the last one to the result.
static void sums_in_turn(const struct volume_job *j, int o, const struct conv_epilogue *e, int from, int to,
                         float *scratch)
{
    const struct volume *v = j->v;
    float *dst = j->dst + (size_t)o * v->plane_floats;
    const int n = v->n_taps[o];
    for (int t = 0; t < n; t++) {
        float *here = (n - 1 - t) % 2 ? scratch : dst, *other = here == dst ? scratch : dst;
        struct conv_epilogue now = {0};
        if (t) now.step[now.n++] = (struct conv_step){.kind = v->joins, .data = other};
        if (t + 1 == n) {
            const float *share = v->share ? v->share + (size_t)(n - 1) * v->share_floats : NULL;
            if (share) now.step[now.n++] = (struct conv_step){.kind = CONV_MUL_CHAN, .data = share};
            if (v->bias) now.step[now.n++] = (struct conv_step){.kind = CONV_ADD_CHAN, .data = v->bias};
            for (int i = 0; i < e->n; i++) now.step[now.n++] = e->step[i];
        }
        j->p->k->run(&v->slab[v->of_plane[o] + t].plan, &now, j->src + v->from[o] + (size_t)t * v->tap_floats, here,
                     from, to, scratch + v->plane_floats);
    }
}

static void volume_units(void *job, int begin, int end, int thread)
{
    const struct volume_job *j = job;
    const struct volume *v = j->v;
    for (int o = 0; o < v->planes && v->begin[o] < end; o++) {
        if (v->begin[o + 1] <= begin) continue;
        const int from = begin > v->begin[o] ? begin - v->begin[o] : 0;
        const int to = (end < v->begin[o + 1] ? end : v->begin[o + 1]) - v->begin[o];
        const size_t at = (size_t)o * v->plane_floats;
        struct conv_epilogue e = j->e;
        for (int i = 0; i < e.n; i++)
            if (conv_step_full(e.step[i].kind)) e.step[i].data += at;
        (v->in_turn ? sums_in_turn : one_sum)(j, o, &e, from, to, thread_scratch(j->p, thread));
    }
}

static enum reel_err run_volume(struct program *p, struct step *s)
{
    const struct volume *v = s->data;
    struct volume_job job = {p, v, bind_tail(p, &v->tail), form_at(p, &v->src), form_at(p, &v->dst)};
    pool_run(p->pool, volume_units, &job, v->begin[v->planes]);
    return REEL_OK;
}

static void fini_volume(void *data)
{
    struct volume *v = data;
    for (int i = 0; i < v->n_slabs; i++) conv_plan_fini(&v->slab[i].plan);
}

// ---- few channels: plain planes one behind another ----------------------------------

struct planes_first {
    struct plain_permute move;
    struct form src, dst;
};

struct planes_job {
    const struct plain_permute *move;
    const float *src;
    float *dst;
};

static void planes_units(void *job, int begin, int end, int thread)
{
    (void)thread;
    const struct planes_job *j = job;
    plain_permute(j->move, j->src, j->dst, begin, end);
}

static enum reel_err run_planes_first(struct program *p, struct step *s)
{
    const struct planes_first *f = s->data;
    struct planes_job job = {&f->move, form_at(p, &f->src), form_at(p, &f->dst)};
    pool_run(p->pool, planes_units, &job, plain_permute_units(&f->move));
    return REEL_OK;
}

// (N,C,D,H,W) as (N,D,C,H W); a step.
static enum reel_err planes_first(struct program *p, const struct node *node, struct form *out_form)
{
    const struct info *in = info_of(p, node->in[0]);
    const size_t c = (size_t)in->bs.c, d = (size_t)in->bs.depth, plane = (size_t)in->bs.h * (size_t)in->bs.w;
    struct planes_first f = {
        .move = {.n = 4, .size = {(size_t)in->bs.n / d, d, c, plane}, .step = {c * d * plane, plane, d * plane, 1}}};
    enum reel_err err = need_form(p, node->in[0], LAYOUT_PLAIN, &f.src);
    if (!err) err = make_temporary(p, (size_t)in->count * sizeof(float), &f.dst);
    struct step *s = err ? NULL : add_step(p, node, "planes first", run_planes_first, sizeof f);
    if (!s) return err ? err : no_memory(node);
    *(struct planes_first *)s->data = f;
    touch(p, &f.src, p->n_steps - 1);
    touch(p, &f.dst, p->n_steps - 1);
    *out_form = f.dst;
    return REEL_OK;
}

// ---- lowering ------------------------------------------------------------------------

// What is known before anything is made.
struct shape {
    struct conv_geometry g;                  // of one plane, of one tap of the depth
    int depth, k, stride, dilation, pad;     // along the depth
    bool in_turn;                            // tap by tap
    enum conv_method pool;                   // CONV_METHOD_NONE: a convolution, with weights
    int merge;                               // groups taken together, where they fill no vectors one by one
    int channels;                            // of a plane as it lies: whole vectors, or plain
    bool plain;                              // the source lies plain
    const float *weights, *bias;             // bias: NULL without
    struct conv_geometry of[MOST_SLABS + 1]; // [n]: of n taps
};

// All of the epilogue can be part of the step.
static bool epilogue_fits(struct program *p, const struct node *node, const struct info *out, bool in_turn)
{
    if (node->n_epilogue + (in_turn ? 2 : 0) > CONV_MAX_STEPS) return false;
    for (int i = 0; i < node->n_epilogue; i++) {
        const struct epilogue *e = &node->epilogue[i];
        if (!e->other) continue;
        const struct info *o = info_of(p, e->other);
        if ((e->kind != EPILOGUE_ADD && e->kind != EPILOGUE_MUL) || !o->volume ||
            !reel_shape_equal(&o->shape, &out->shape))
            return false;
    }
    return true;
}

// One axis of the window (w: weights; NULL for a pool); false when it is none for these kernels.
static bool axis_of(const struct node *node, const struct info *w, int axis, int *k, int *s, int *d, int *pad)
{
    const int64_t size = w ? w->shape.dim[2 + axis] : axis_attr(node, "kernel_shape", axis, 0);
    const int64_t stride = axis_attr(node, "strides", axis, 1);
    const int64_t dilation = axis_attr(node, "dilations", axis, 1), before = axis_attr(node, "pads", axis, 0);
    if (size < 1 || stride < 1 || dilation < 1 || size > 4096 || stride > 4096 || dilation > 4096) return false;
    if (before < 0 || before > 65536) return false;
    *k = (int)size, *s = (int)stride, *d = (int)dilation, *pad = (int)before;
    return true;
}

static bool window_of(const struct node *node, const struct info *in, const struct info *w, const struct info *out,
                      struct shape *v)
{
    struct conv_geometry *g = &v->g;
    *g = (struct conv_geometry){.n = 1, .oc = out->bs.c, .ih = in->bs.h, .iw = in->bs.w, .groups = 1};
    g->oh = out->bs.h, g->ow = out->bs.w;
    if (!axis_of(node, w, 0, &v->k, &v->stride, &v->dilation, &v->pad) ||
        !axis_of(node, w, 1, &g->kh, &g->sh, &g->dh, &g->pad_top) ||
        !axis_of(node, w, 2, &g->kw, &g->sw, &g->dw, &g->pad_left))
        return false;
    return v->k <= MOST_SLABS / 2;
}

// The taps of plane o of a result that meet the volume.
static int taps_of(const struct shape *v, int o, int *out_n)
{
    const int at = o * v->stride - v->pad, d = v->dilation, first = at < 0 ? (d - 1 - at) / d : 0;
    const int last = at < v->depth ? (v->depth - at + d - 1) / d : 0;
    *out_n = (last < v->k ? last : v->k) - first;
    return first;
}

static enum conv_method method_of(const struct program *p, const struct shape *v, const struct conv_geometry *g)
{
    if (v->pool != CONV_METHOD_NONE) return v->pool;
    return v->merge > 1 ? CONV_METHOD_DIRECT : p->k->choose(g, v->plain);
}

// A window reaches beyond the padding (ceil_mode).
static bool window_over(const struct node *node, const struct info *in, const struct info *out, const struct shape *v)
{
    const struct conv_geometry *g = &v->g;
    const int k[3] = {v->k, g->kh, g->kw}, s[3] = {v->stride, g->sh, g->sw}, d[3] = {v->dilation, g->dh, g->dw};
    for (int i = 0; i < 3; i++)
        if ((out->shape.dim[2 + i] - 1) * s[i] + (k[i] - 1) * d[i] + 1 >
            in->shape.dim[2 + i] + axis_attr(node, "pads", i, 0) + axis_attr(node, "pads", 3 + i, 0))
            return true;
    return false;
}
static bool pool_shape(struct program *p, const struct node *node, struct shape *v)
{
    const bool mean = !strcmp(node->op_type, "AveragePool"), all = mean && node_attr_int(node, "count_include_pad", 0);
    if ((!mean && strcmp(node->op_type, "MaxPool")) || node->n_epilogue) return false;
    const struct info *in = info_of(p, node->in[0]), *out = info_of(p, node->out[0]);
    if (!in->volume || !out->volume || strcmp(node_attr_string(node, "auto_pad", "NOTSET"), "NOTSET")) return false;
    if (node->n_out > 1 && node->out[1] && info_of(p, node->out[1])->uses) return false; // indices
    if (!window_of(node, in, NULL, out, v) || (all && window_over(node, in, out, v))) return false;
    v->in_turn = true;
    v->pool = all ? CONV_METHOD_AVERAGE_ALL : mean ? CONV_METHOD_AVERAGE : CONV_METHOD_MAX;
    v->depth = in->bs.depth;
    v->channels = blocked_count(&in->bs) * in->bs.lanes;
    v->g.ic = v->g.groups = in->bs.c;
    v->of[1] = v->g;
    for (int o = 0; o < out->bs.depth; o++) {
        int n;
        taps_of(v, o, &n);
        if (n < 1) return false;
    }
    return true;
}

static bool conv_shape(struct program *p, const struct node *node, struct shape *v)
{
    if (strcmp(node->op_type, "Conv") || node->n_in < 2) return false;
    const struct info *in = info_of(p, node->in[0]), *w = info_of(p, node->in[1]), *out = info_of(p, node->out[0]);
    const struct info *b = node->n_in > 2 && node->in[2] ? info_of(p, node->in[2]) : NULL;
    v->weights = w->form[LAYOUT_PLAIN].constant;
    v->bias = b ? b->form[LAYOUT_PLAIN].constant : NULL;
    if (!in->volume || !out->volume || w->shape.ndim != 5 || w->dtype != REEL_F32 || !v->weights) return false;
    if (b && (b->dtype != REEL_F32 || b->count != out->bs.c || !v->bias)) return false;
    const int64_t groups = node_attr_int(node, "group", 1);
    if (groups < 1 || in->bs.c % groups || strcmp(node_attr_string(node, "auto_pad", "NOTSET"), "NOTSET")) return false;
    if (w->shape.dim[0] != out->bs.c || w->shape.dim[1] != in->bs.c / groups || !window_of(node, in, w, out, v))
        return false;
    v->depth = in->bs.depth;
    v->in_turn = groups > 1 || (v->dilation > 1 && v->k > 1);
    v->g.groups = (int)groups;
    v->plain = !v->in_turn && few_channels(in) && !form_exists(&in->form[LAYOUT_BLOCKED]);
    v->channels = v->plain ? in->bs.c : blocked_count(&in->bs) * in->bs.lanes;
    for (int o = 0; o < out->bs.depth; o++) {
        int n;
        taps_of(v, o, &n);
        if (n < 1 || (int64_t)n * v->channels > (1 << 20)) return false;
        if (v->in_turn) n = 1;
        struct conv_geometry *g = &v->of[n];
        *g = v->g;
        g->ic = v->in_turn ? in->bs.c : n * v->channels;
        v->merge = 1;
        if (groups > 1 && method_of(p, v, g) == CONV_METHOD_NONE) {
            v->merge = conv_merge_groups(g, p->k->lanes, false);
            if (!v->merge) return false;
            g->groups /= v->merge;
        }
        const enum conv_method method = method_of(p, v, g);
        if (method != CONV_METHOD_DIRECT && method != CONV_METHOD_WINOGRAD && method != CONV_METHOD_DEPTHWISE)
            return false;
    }
    return epilogue_fits(p, node, out, v->in_turn);
}

// (O,C,K,KH,KW) -> (O, n channels, KH,KW) of n taps from first on; 0 for channels that fill vectors.
static float *slab_weights(const struct shape *v, int channels, int first, int n)
{
    const size_t taps = (size_t)v->g.kh * (size_t)v->g.kw, row = (size_t)n * (size_t)v->channels * taps;
    float *to = calloc((size_t)v->g.oc * row, sizeof *to);
    for (size_t o = 0; to && o < (size_t)v->g.oc; o++)
        for (size_t t = 0; t < (size_t)n; t++)
            for (size_t c = 0; c < (size_t)channels; c++)
                memcpy(to + o * row + (t * (size_t)v->channels + c) * taps,
                       v->weights + ((o * (size_t)channels + c) * (size_t)v->k + (size_t)first + t) * taps,
                       taps * sizeof *to);
    return to;
}

// (O,C,K,KH,KW) -> (O,C,KH,KW) of one tap, with groups taken together.
static float *tap_weights(const struct shape *v, int tap)
{
    struct conv_geometry g = v->of[1];
    g.groups = v->g.groups;
    const size_t taps = (size_t)g.kh * (size_t)g.kw, n = (size_t)g.oc * (size_t)(g.ic / g.groups);
    float *to = malloc(n * taps * sizeof *to);
    for (size_t i = 0; to && i < n; i++)
        memcpy(to + i * taps, v->weights + (i * (size_t)v->k + (size_t)tap) * taps, taps * sizeof *to);
    if (!to || v->merge == 1) return to;
    float *merged = malloc(n * taps * (size_t)v->merge * sizeof *merged);
    if (merged) conv_merge_weights(&g, v->merge, to, merged);
    free(to);
    return merged;
}

static bool add_slab(struct program *p, struct volume *m, const struct shape *v, int first, int n, float *weights)
{
    struct slab *s = &m->slab[m->n_slabs];
    *s = (struct slab){.first = first, .n = n};
    const struct conv_geometry *g = &v->of[n];
    const float *bias = v->in_turn ? NULL : v->bias;
    const bool pool = v->pool != CONV_METHOD_NONE;
    const bool ok = (weights || pool) && p->k->prepare(&s->plan, g, method_of(p, v, g), v->plain, weights, bias);
    free(weights);
    if (!ok) return false;
    p->constant_bytes += s->plan.w_bytes;
    want_scratch(p, s->plan.scratch_bytes + (v->in_turn ? m->plane_floats * sizeof(float) : 0));
    m->n_slabs++;
    return true;
}

// The number of the slab of these taps, made when there is none yet; -1 without memory.
static int need_slab(struct program *p, struct volume *m, const struct shape *v, int channels, int first, int n)
{
    for (int i = 0; i < m->n_slabs; i++)
        if (m->slab[i].first == first && m->slab[i].n == n) return i;
    return add_slab(p, m, v, first, n, slab_weights(v, channels, first, n)) ? m->n_slabs - 1 : -1;
}

// What the sum of n planes' means is multiplied by, one number a channel.
static bool make_shares(struct program *p, struct volume *m, const struct shape *v)
{
    m->share_floats = (size_t)v->channels;
    float *share = program_alloc(p, (size_t)v->k * m->share_floats * sizeof *share);
    for (int n = 1; share && n <= v->k; n++)
        for (size_t c = 0; c < m->share_floats; c++)
            share[(size_t)(n - 1) * m->share_floats + c] = 1 / (float)(v->pool == CONV_METHOD_AVERAGE_ALL ? v->k : n);
    m->share = share;
    return share != NULL;
}

// One slab for each tap, and what follows the last one of a plane.
static bool make_taps(struct program *p, struct volume *m, const struct shape *v, const struct info *out)
{
    const bool pool = v->pool != CONV_METHOD_NONE, largest = v->pool == CONV_METHOD_MAX;
    for (int t = 0; t < v->k; t++)
        if (!add_slab(p, m, v, t, 1, pool ? NULL : tap_weights(v, t))) return false;
    m->in_turn = true;
    m->joins = largest ? CONV_MAX_FULL : CONV_ADD_FULL;
    m->n_taps = program_alloc(p, (size_t)m->planes * sizeof *m->n_taps);
    if (pool && !largest && !make_shares(p, m, v)) return false;
    if (!m->n_taps || !v->bias) return m->n_taps != NULL;
    float *bias = program_alloc(p, (size_t)(blocked_count(&out->bs) * out->bs.lanes) * sizeof *bias);
    if (bias) memcpy(bias, v->bias, (size_t)v->g.oc * sizeof *bias);
    m->bias = bias;
    return bias != NULL;
}

// What each plane of the result is made of.
static enum reel_err make_planes(struct program *p, const struct node *node, struct volume *m, const struct shape *v)
{
    const struct info *in = info_of(p, node->in[0]), *out = info_of(p, node->out[0]);
    const size_t plane = (size_t)v->channels * (size_t)in->bs.h * (size_t)in->bs.w;
    m->planes = out->bs.n;
    m->plane_floats = blocked_floats(&out->bs) / (size_t)out->bs.n;
    m->of_plane = program_alloc(p, (size_t)m->planes * sizeof *m->of_plane);
    m->begin = program_alloc(p, ((size_t)m->planes + 1) * sizeof *m->begin);
    m->from = program_alloc(p, (size_t)m->planes * sizeof *m->from);
    if (!m->of_plane || !m->begin || !m->from) return no_memory(node);
    if (v->in_turn && !make_taps(p, m, v, out)) return no_memory(node);
    m->tap_floats = (size_t)v->dilation * plane;
    for (int i = 0; i < m->planes; i++) {
        const int o = i % out->bs.depth, image = i / out->bs.depth;
        int n;
        const int first = taps_of(v, o, &n), slab = v->in_turn ? first : need_slab(p, m, v, in->bs.c, first, n);
        if (slab < 0) return no_memory(node);
        m->of_plane[i] = slab;
        if (v->in_turn) m->n_taps[i] = n;
        m->from[i] = (size_t)(image * v->depth + o * v->stride - v->pad + first * v->dilation) * plane;
        m->begin[i + 1] = m->begin[i] + m->slab[slab].plan.units;
    }
    return REEL_OK;
}

enum reel_err lower_volume(struct program *p, const struct node *node, bool *out_done)
{
    struct shape v = {0};
    if (!conv_shape(p, node, &v) && !pool_shape(p, node, &v)) return REEL_OK;
    const struct info *out = info_of(p, node->out[0]);
    struct tail tail = {.layout = LAYOUT_BLOCKED};
    struct form src, dst;
    int left = 0;
    enum reel_err err = v.plain ? planes_first(p, node, &src) : need_form(p, node->in[0], LAYOUT_BLOCKED, &src);
    if (!err) err = map_epilogue(p, node, out, &tail, &left);
    if (!err && left < node->n_epilogue)
        err = reel_fail(REEL_ERR_FAULT, "could not compile node \"%s\": its epilogue was thought to fit", node->name);
    if (!err) err = make_form(p, node->out[0], LAYOUT_BLOCKED, &dst);
    struct step *s = err ? NULL : add_step(p, node, "planes", run_volume, sizeof(struct volume));
    if (!s) return err ? err : no_memory(node);
    struct volume *m = s->data;
    s->fini = fini_volume;
    *m = (struct volume){.tail = tail, .src = src, .dst = dst};
    err = make_planes(p, node, m, &v);
    if (err) return err;
    s->mflop = 2e-6 * m->planes * v.g.oc * v.g.oh * v.g.ow * (double)info_of(p, node->in[0])->bs.c / v.g.groups * v.k *
               v.g.kh * v.g.kw;
    touch(p, &src, p->n_steps - 1);
    touch(p, &dst, p->n_steps - 1);
    touch_tail(p, &tail, p->n_steps - 1);
    *out_done = true;
    return REEL_OK;
}

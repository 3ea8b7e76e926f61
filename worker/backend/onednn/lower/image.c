// SPDX-License-Identifier: MIT
//
// Operators on images that stay blocked (moves also of 8-bit ones): means,
// resizing, padding, cropping, and the ways out of the blocked layout
// (DepthToSpace, Transpose to N,H,W,C). Normalising, channels and plain
// transposes are in files of their own; lower_image() calls them.
#include <string.h>

#include "kernels/quant8.h"
#include "worker/backend/onednn/lower/quant.h"
#include "worker/backend/onednn/program.h"
#include "worker/onnx/ops/resample.h"

enum image_op {
    IMAGE_MEAN,
    IMAGE_GATHER,
    IMAGE_LINEAR,
    IMAGE_DEPTH_TO_SPACE, // to plain
    IMAGE_TO_NHWC,        // to plain
    IMAGE_FROM_NHWC,
};

struct image {
    struct tail tail;
    enum image_op op;
    struct blocked_shape in, out;
    struct form src, dst;
    const int *map_y, *map_x;
    float value; // GATHER: outside
    struct blocked_linear linear;
    int block;
    bool crd;
    bool bytes;
    int flip;   // of plain bytes
    bool plain; // GATHER of bytes that are not blocked
};

struct image_job {
    const struct image *m;
    const struct conv_kernels *k;
    struct conv_epilogue e;
    const float *src;
    float *dst;
};

static void move_bytes(const struct image *m, const void *src, void *dst, int u)
{
    if (m->op == IMAGE_DEPTH_TO_SPACE)
        q8_depth_to_space(&m->in, m->block, m->crd, m->flip, src, dst, u, u + 1);
    else if (m->plain)
        q8_gather_plain(&m->in, &m->out, m->map_y, m->map_x, src, dst, u, u + 1);
    else
        q8_gather(&m->in, &m->out, m->map_y, m->map_x, (int)m->value, src, dst, u, u + 1);
}

static void image_unit(const struct image_job *j, int u)
{
    const struct image *m = j->m;
    if (m->bytes) {
        move_bytes(m, j->src, j->dst, u);
        return;
    }
    switch (m->op) {
    case IMAGE_MEAN:
        blocked_mean(&m->in, j->src, j->dst, u, u + 1);
        break;
    case IMAGE_GATHER:
        blocked_gather(&m->in, &m->out, m->map_y, m->map_x, m->value, j->src, j->dst, u, u + 1);
        break;
    case IMAGE_LINEAR:
        blocked_linear(&m->in, &m->out, &m->linear, j->src, j->dst, u, u + 1);
        break;
    case IMAGE_DEPTH_TO_SPACE:
        blocked_depth_to_space(&m->in, m->block, m->crd, j->src, j->dst, u, u + 1);
        break;
    case IMAGE_TO_NHWC:
        blocked_to_nhwc(&m->in, j->src, j->dst, u, u + 1);
        break;
    case IMAGE_FROM_NHWC:
        blocked_from_nhwc(&m->out, j->src, j->dst, u, u + 1);
        break;
    }
}

// Units that a channel (or a block of them) is cut into.
static int plane_parts(const struct image *m)
{
    return m->op == IMAGE_DEPTH_TO_SPACE && !m->bytes ? m->in.h : 1;
}

static void image_units(void *job, int begin, int end, int thread)
{
    const struct image_job *j = job;
    const struct image *m = j->m;
    const int nb = blocked_count(&m->out), parts = plane_parts(m);
    for (int u = begin; u < end; u++) {
        image_unit(j, u);
        if (!j->e.n) continue;
        const size_t pixels = (size_t)m->out.h * (size_t)m->out.w / (size_t)parts;
        if (m->tail.layout == LAYOUT_PLAIN) {
            const size_t at = (size_t)u * pixels;
            const int plane = u / parts;
            j->k->apply_plain(&j->e, j->dst + at, at, plane % m->out.c, plane / m->out.c, (ptrdiff_t)pixels);
        } else {
            const size_t at = (size_t)u * pixels * (size_t)m->out.lanes;
            j->k->apply(&j->e, j->dst + at, at, u % nb * m->out.lanes, u / nb, (int)pixels);
        }
    }
}

static enum reel_err run_image(struct program *p, struct step *s)
{
    const struct image *m = s->data;
    struct image_job job = {m, p->k, bind_tail(p, &m->tail), form_at(p, &m->src), form_at(p, &m->dst)};
    int units = m->out.n * blocked_count(&m->out);
    if (m->op == IMAGE_DEPTH_TO_SPACE || m->plain) units = m->out.n * m->out.c * plane_parts(m);
    if (m->op == IMAGE_TO_NHWC) units = m->in.n * m->in.h;
    if (m->op == IMAGE_FROM_NHWC) units = m->out.n * m->out.h;
    pool_run(p->pool, image_units, &job, units);
    return REEL_OK;
}

// Adds the step m from node's first input to its first output.
static enum reel_err emit(struct program *p, const struct node *node, struct image *m, const char *kernel,
                          bool *out_done)
{
    const struct info *in = info_of(p, node->in[0]);
    const bool from_plain = m->op == IMAGE_FROM_NHWC || m->plain;
    const bool to_plain = m->op == IMAGE_DEPTH_TO_SPACE || m->op == IMAGE_TO_NHWC || m->plain;
    m->bytes = in->bytes_image;
    m->flip = memory_flip(in, LAYOUT_PLAIN);
    m->tail.layout = to_plain ? LAYOUT_PLAIN : LAYOUT_BLOCKED;
    enum reel_err err = need_form(p, node->in[0], from_plain ? LAYOUT_PLAIN : LAYOUT_BLOCKED, &m->src);
    if (!err) err = make_form(p, node->out[0], m->tail.layout, &m->dst);
    struct step *s = err ? NULL : add_step(p, node, kernel, run_image, sizeof *m);
    if (!s) return err ? err : no_memory(node);
    *(struct image *)s->data = *m;
    if (m->op != IMAGE_TO_NHWC && m->op != IMAGE_FROM_NHWC && !m->bytes) s->tail = &((struct image *)s->data)->tail;
    touch(p, &m->src, p->n_steps - 1);
    touch(p, &m->dst, p->n_steps - 1);
    *out_done = true;
    return finish_epilogue(p, node, 0);
}

// ---- means ----------------------------------------------------------------------

static enum reel_err lower_global(struct program *p, const struct node *node, const struct info *in,
                                  const struct info *out, bool *out_done)
{
    struct image m = {.op = IMAGE_MEAN, .in = in->bs, .out = out->bs};
    if (out->bs.h * out->bs.w != 1 || out->bs.c != in->bs.c || out->bs.n != in->bs.n) return REEL_OK;
    return emit(p, node, &m, "global mean", out_done);
}

// The int64 constants of input i; NULL when it is not a constant.
static const int64_t *const_ints(struct program *p, const struct node *node, int i, int *out_n)
{
    if (i >= node->n_in || !node->in[i]) return NULL;
    const struct info *c = info_of(p, node->in[i]);
    if (c->dtype != REEL_I64 || c->count < 0 || !c->form[LAYOUT_PLAIN].constant) return NULL;
    *out_n = (int)c->count;
    return c->form[LAYOUT_PLAIN].constant;
}

// ReduceMean over exactly H and W, with the axes kept.
static bool mean_over_image(struct program *p, const struct node *node, const struct info *in)
{
    if (strcmp(node->op_type, "ReduceMean") || !node_attr_int(node, "keepdims", 1)) return false;
    const int64_t *axes;
    int n = node_attr_ints(node, "axes", &axes);
    if (!n) axes = const_ints(p, node, 1, &n);
    if (!axes || n != 2 || in->shape.ndim != 4) return false;
    const int64_t a = axes[0] < 0 ? axes[0] + 4 : axes[0], b = axes[1] < 0 ? axes[1] + 4 : axes[1];
    return (a == 2 && b == 3) || (a == 3 && b == 2);
}

// ---- gathering: nearest resize, pad, crop -------------------------------------------

static int *identity_map(struct program *p, int n)
{
    int *map = program_alloc(p, sizeof(int) * (size_t)n);
    for (int i = 0; map && i < n; i++) map[i] = i;
    return map;
}

// Source index of padded position i; ONNX Pad, negative: the constant.
static int pad_index(const char *mode, int64_t i, int64_t n)
{
    if (i >= 0 && i < n) return (int)i;
    if (!strcmp(mode, "edge")) return i < 0 ? 0 : (int)n - 1;
    if (!strcmp(mode, "reflect") && n > 1) {
        const int64_t period = 2 * (n - 1);
        int64_t k = (i % period + period) % period;
        return (int)(k < n ? k : period - k);
    }
    if (!strcmp(mode, "wrap")) return (int)((i % n + n) % n);
    return -1;
}

static enum reel_err lower_pad(struct program *p, const struct node *node, const struct info *in,
                               const struct info *out, bool *out_done)
{
    const int64_t *pads;
    int n = node_attr_ints(node, "pads", &pads), nd = in->shape.ndim;
    struct image m = {.op = IMAGE_GATHER, .in = in->bs, .out = out->bs, .value = node_attr_float(node, "value", 0)};
    if (!n) pads = const_ints(p, node, 1, &n);
    if (!pads || n != 2 * nd || nd != 4 || (node->n_in > 3 && node->in[3])) return REEL_OK;
    if (pads[0] || pads[1] || pads[4] || pads[5]) return REEL_OK;
    if (node->n_in > 2 && node->in[2]) {
        const struct info *v = info_of(p, node->in[2]);
        if (v->count != 1 || v->dtype != in->dtype || !v->form[LAYOUT_PLAIN].constant) return REEL_OK;
        const void *value = v->form[LAYOUT_PLAIN].constant;
        m.value = in->bytes_image ? *(const uint8_t *)value : *(const float *)value;
    }
    if (in->bytes_image) m.value = (float)((int)m.value ^ memory_flip(in, LAYOUT_PLAIN)); // biased
    const char *mode = node_attr_string(node, "mode", "constant");
    int *y = identity_map(p, out->bs.h), *x = identity_map(p, out->bs.w);
    if (!y || !x) return no_memory(node);
    for (int i = 0; i < out->bs.h; i++) y[i] = pad_index(mode, i - pads[2], in->bs.h);
    for (int i = 0; i < out->bs.w; i++) x[i] = pad_index(mode, i - pads[3], in->bs.w);
    m.map_y = y;
    m.map_x = x;
    return emit(p, node, &m, "pad", out_done);
}

// ---- resize ------------------------------------------------------------------------

// Tap `tap` of `out` elements along an axis; one that stays has its own index at each.
static int *tap_map(struct program *p, const struct resize_axis *a, int out, int tap)
{
    int *map = identity_map(p, out);
    for (int i = 0; map && a->taps && i < out; i++) map[i] = a->index[i * a->taps + tap];
    return map;
}

static bool linear_maps(struct program *p, const struct resize_axis *a, int out, const int **out_0, const int **out_1,
                        const float **out_w)
{
    float *w = program_alloc(p, sizeof(float) * (size_t)out);
    const int *i0 = tap_map(p, a, out, 0), *i1 = tap_map(p, a, out, 1);
    if (!i0 || !i1 || !w) return false;
    for (int i = 0; i < out; i++) w[i] = i0[i] == i1[i] ? 0 : a->weight[2 * i + 1];
    *out_0 = i0, *out_1 = i1, *out_w = w;
    return true;
}

static enum reel_err lower_axes(struct program *p, const struct node *node, const struct resize_axis *axes,
                                const struct info *in, const struct info *out, bool *out_done)
{
    const bool nearest = !strcmp(node_attr_string(node, "mode", "nearest"), "nearest");
    const struct resize_axis *y = &axes[2], *x = &axes[3];
    const int64_t taps = nearest ? 1 : 2;
    if (axes[0].taps || axes[1].taps || y->outside || x->outside) return REEL_OK;
    if ((y->taps && y->taps != taps) || (x->taps && x->taps != taps)) return REEL_OK;
    struct image m = {.op = nearest ? IMAGE_GATHER : IMAGE_LINEAR, .in = in->bs, .out = out->bs};
    m.plain = in->bytes_image && in->form[LAYOUT_BLOCKED].buf < 0;
    if (nearest) {
        m.map_y = tap_map(p, y, out->bs.h, 0);
        m.map_x = tap_map(p, x, out->bs.w, 0);
        return m.map_y && m.map_x ? emit(p, node, &m, "resize nearest", out_done) : no_memory(node);
    }
    struct blocked_linear *l = &m.linear;
    if (!linear_maps(p, y, out->bs.h, &l->y0, &l->y1, &l->wy) || !linear_maps(p, x, out->bs.w, &l->x0, &l->x1, &l->wx))
        return no_memory(node);
    return emit(p, node, &m, "resize linear", out_done);
}

static enum reel_err lower_resize(struct program *p, const struct node *node, const struct info *in,
                                  const struct info *out, bool *out_done)
{
    struct resize_axis axes[REEL_MAX_DIMS] = {{0}};
    if (in->shape.ndim != 4 || (in->bytes_image && strcmp(node_attr_string(node, "mode", "nearest"), "nearest")))
        return REEL_OK;
    enum reel_err err = resize_axes_open(node, in->dtype, &in->shape, axes);
    if (!err) err = lower_axes(p, node, axes, in, out, out_done);
    resize_axes_close(axes);
    return err == REEL_AGAIN ? REEL_OK : err;
}

// ---- slices -------------------------------------------------------------------------

// A Slice with constant bounds, normalised: start and step of each axis.
static bool slice_bounds(struct program *p, const struct node *node, const struct info *in, int64_t start[4],
                         int64_t step[4])
{
    const int64_t *starts, *axes = NULL, *steps = NULL;
    int n = node_attr_ints(node, "starts", &starts), n_axes = 0, n_steps = 0;
    if (n) {
        n_axes = node_attr_ints(node, "axes", &axes);
    } else {
        starts = const_ints(p, node, 1, &n);
        if (!starts) return false;
        axes = const_ints(p, node, 3, &n_axes);
        steps = const_ints(p, node, 4, &n_steps);
        if (node->n_in > 3 && node->in[3] && !axes) return false;
        if (node->n_in > 4 && node->in[4] && !steps) return false;
    }
    for (int i = 0; i < 4; i++) start[i] = 0, step[i] = 1;
    for (int i = 0; i < n; i++) {
        int64_t axis = axes && i < n_axes ? axes[i] : i;
        if (axis < 0) axis += in->shape.ndim;
        if (axis < 0 || axis >= in->shape.ndim) return false;
        const int64_t size = in->shape.dim[axis];
        int64_t s = starts[i];
        if (s < 0) s += size;
        s = s < 0 ? 0 : s >= size ? size - 1 : s;
        start[axis] = s;
        step[axis] = steps && i < n_steps ? steps[i] : 1;
    }
    return true;
}

// Crop (experimental, until opset 9): border = left, top, right, bottom.
static enum reel_err lower_crop(struct program *p, const struct node *node, const struct info *in,
                                const struct info *out, bool *out_done)
{
    const int64_t *border;
    if (in->shape.ndim != 4 || node_attr_ints(node, "border", &border) < 2) return REEL_OK;
    if (border[0] < 0 || border[1] < 0 || border[0] + out->bs.w > in->bs.w || border[1] + out->bs.h > in->bs.h)
        return REEL_OK;
    int *y = identity_map(p, out->bs.h), *x = identity_map(p, out->bs.w);
    if (!y || !x) return no_memory(node);
    for (int i = 0; i < out->bs.h; i++) y[i] += (int)border[1];
    for (int i = 0; i < out->bs.w; i++) x[i] += (int)border[0];
    struct image m = {.op = IMAGE_GATHER, .in = in->bs, .out = out->bs, .map_y = y, .map_x = x};
    return emit(p, node, &m, "crop", out_done);
}

static enum reel_err lower_slice(struct program *p, const struct node *node, const struct info *in,
                                 const struct info *out, bool *out_done)
{
    int64_t start[4], step[4];
    if (in->shape.ndim != 4 || !slice_bounds(p, node, in, start, step)) return REEL_OK;
    const bool images = in->bs.n == out->bs.n && start[0] == 0 && step[0] == 1;
    const bool all_channels = in->bs.c == out->bs.c && start[1] == 0 && step[1] == 1;
    const bool all_pixels = in->bs.h == out->bs.h && in->bs.w == out->bs.w && step[2] == 1 && step[3] == 1;
    if (!images) return REEL_OK;
    if (all_pixels && step[1] == 1) {
        *out_done = true;
        return cut_channels(p, node, node->out[0], (int)start[1]);
    }
    if (!all_channels) return REEL_OK;
    int *y = identity_map(p, out->bs.h), *x = identity_map(p, out->bs.w);
    if (!y || !x) return no_memory(node);
    for (int i = 0; i < out->bs.h; i++) y[i] = (int)(start[2] + i * step[2]);
    for (int i = 0; i < out->bs.w; i++) x[i] = (int)(start[3] + i * step[3]);
    if (y[out->bs.h - 1] < 0 || y[out->bs.h - 1] >= in->bs.h || x[out->bs.w - 1] < 0 || x[out->bs.w - 1] >= in->bs.w)
        return REEL_OK;
    struct image m = {.op = IMAGE_GATHER, .in = in->bs, .out = out->bs, .map_y = y, .map_x = x};
    return emit(p, node, &m, "crop", out_done);
}

// ---- the rest ------------------------------------------------------------------------

static enum reel_err lower_transpose(struct program *p, const struct node *node, const struct info *in,
                                     const struct info *out, bool *out_done)
{
    const int64_t *perm;
    if (node_attr_ints(node, "perm", &perm) != 4 || perm[0] != 0) return REEL_OK;
    if (perm[1] == 2 && perm[2] == 3 && perm[3] == 1 && in->form[LAYOUT_BLOCKED].buf >= 0) {
        struct image m = {.op = IMAGE_TO_NHWC, .in = in->bs, .out = out->bs};
        return emit(p, node, &m, "to nhwc", out_done);
    }
    if (perm[1] == 3 && perm[2] == 1 && perm[3] == 2 && out->bs.c >= 8) {
        struct image m = {.op = IMAGE_FROM_NHWC, .in = in->bs, .out = out->bs};
        return emit(p, node, &m, "from nhwc", out_done);
    }
    return REEL_OK;
}

static enum reel_err lower_depth_to_space(struct program *p, const struct node *node, const struct info *in,
                                          const struct info *out, bool *out_done)
{
    struct image m = {.op = IMAGE_DEPTH_TO_SPACE, .in = in->bs, .out = out->bs};
    const int64_t block = node_attr_int(node, "blocksize", 1);
    if (block < 1 || block > BLOCKED_MOST_DEPTH) return REEL_OK;
    m.block = (int)block;
    m.crd = !strcmp(node_attr_string(node, "mode", "DCR"), "CRD");
    m.plain = in->form[LAYOUT_BLOCKED].buf < 0;
    if (m.plain && in->bytes_image) return REEL_OK;
    if (m.plain) m.in.lanes = 1;
    return emit(p, node, &m, m.plain ? "depth to space plain" : "depth to space", out_done);
}

static bool is(const struct node *node, const char *op)
{
    return !strcmp(node->op_type, op);
}

enum reel_err lower_image(struct program *p, const struct node *node, bool *out_done)
{
    if (node->n_in < 1 || !node->in[0] || !node->out[0]) return REEL_OK;
    if (is(node, "Concat")) return lower_concat(p, node, out_done);
    const struct info *in = info_of(p, node->in[0]), *out = info_of(p, node->out[0]);
    if (is(node, "Transpose")) {
        enum reel_err err = in->image && out->image ? lower_transpose(p, node, in, out, out_done) : REEL_OK;
        return err || *out_done ? err : lower_permute(p, node, out_done);
    }
    const bool bytes = in->bytes_image && out->bytes_image && in->dtype == out->dtype && !node->n_epilogue;
    if (bytes && (is(node, "Resize") || is(node, "Upsample")) && !in->v->constant)
        return lower_resize(p, node, in, out, out_done);
    if (!bytes && (!in->image || !out->image)) return REEL_OK;
    if (!bytes && is(node, "InstanceNormalization")) return lower_norm(p, node, out_done);
    // a few channels in plain form would fill a vector with nothing
    if (in->form[LAYOUT_BLOCKED].buf < 0 && in->bs.c < FEW_CHANNELS) return REEL_OK;
    if (!bytes && (is(node, "GlobalAveragePool") || mean_over_image(p, node, in)))
        return lower_global(p, node, in, out, out_done);
    if (is(node, "DepthToSpace")) return lower_depth_to_space(p, node, in, out, out_done);
    // worth it only where the input is blocked already
    if (in->form[LAYOUT_BLOCKED].buf < 0) return REEL_OK;
    if (is(node, "Resize") || is(node, "Upsample")) return lower_resize(p, node, in, out, out_done);
    if (is(node, "Pad")) return lower_pad(p, node, in, out, out_done);
    if (is(node, "Split")) return lower_split(p, node, in, out_done);
    if (is(node, "Slice")) return lower_slice(p, node, in, out, out_done);
    if (is(node, "Crop")) return lower_crop(p, node, in, out, out_done);
    return REEL_OK;
}

// SPDX-License-Identifier: MIT
//
// Pooling and resizing of NHWC images. A resize is two tables of taps, one an
// axis, computed here in double from the operator's formulas; so every mode is
// the same kernel.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "worker/backend/cudnn/program.h"

// ---- pooling -------------------------------------------------------------------------

// One axis of a pool: false where a number is out of range.
struct pool_axis {
    int size, stride, dilation, before, after;
};

static bool pool_axis(const struct node *node, int i, int axes, int64_t in, int64_t out, struct pool_axis *a)
{
    const char *mode = node_attr_string(node, "auto_pad", "NOTSET");
    const int64_t k = gpu_attr_at(node, "kernel_shape", i, 0), s = gpu_attr_at(node, "strides", i, 1);
    const int64_t d = gpu_attr_at(node, "dilations", i, 1);
    int64_t before = gpu_attr_at(node, "pads", i, 0), after = gpu_attr_at(node, "pads", axes + i, 0);
    if (!strcmp(mode, "VALID")) before = after = 0;
    if (!strncmp(mode, "SAME", 4)) {
        const int64_t total = (out - 1) * s + (k - 1) * d + 1 - in;
        before = total < 0 ? 0 : !strcmp(mode, "SAME_LOWER") ? total - total / 2 : total / 2;
        after = total < 0 ? 0 : total - before;
    }
    if (k < 1 || k > 65536 || s < 1 || s > 65536 || d < 1 || d > 65536 || before < 0 || before > 65536 || after < 0 ||
        after > 65536)
        return false;
    *a = (struct pool_axis){(int)k, (int)s, (int)d, (int)before, (int)after};
    return true;
}

enum pool_way { POOL_MAX, POOL_AVERAGE, POOL_LP };

static const char *pool_label(enum pool_way way)
{
    return way == POOL_AVERAGE ? "average pool" : way == POOL_LP ? "lp pool" : "max pool";
}

// Over one to three axes, in rows; in front of fewer than three are extents of 1.
static enum reel_err pool_volume(struct lowered *p, const struct node *node, enum pool_way way, bool *out_done)
{
    const struct info *in = info_of(p, node->in[0]), *out = info_of(p, node->out[0]);
    struct step s = gpu_step_of(STEP_POOL3, pool_label(way));
    struct gpu_pool3 *g = &s.u.pool3;
    enum form_kind kind;
    const int axes = in->shape.ndim - 2;
    const int64_t power = way == POOL_LP ? node_attr_int(node, "p", 2) : 0;
    if (in->dtype != REEL_F32 || in->count > INT32_MAX || out->count > INT32_MAX || node->in[0]->constant)
        return REEL_OK;
    if (node->n_epilogue || (node->n_out > 1 && node->out[1] && info_of(p, node->out[1])->uses)) return REEL_OK;
    if (axes < 1 || axes > 3 || power < 0 || power > 64 || (way == POOL_LP && !power)) return REEL_OK;
    g->planes = (int)(in->shape.dim[0] * in->shape.dim[1]);
    g->average = way == POOL_AVERAGE;
    g->power = (int)power;
    g->count_pad = g->average && node_attr_int(node, "count_include_pad", 0) != 0;
    for (int d = 0; d < 3 - axes; d++) g->in[d] = g->out[d] = g->size[d] = g->stride[d] = g->dilation[d] = 1;
    for (int i = 0; i < axes; i++) {
        struct pool_axis a;
        const int d = 3 - axes + i;
        if (!pool_axis(node, i, axes, in->shape.dim[2 + i], out->shape.dim[2 + i], &a)) return REEL_OK;
        g->in[d] = (int32_t)in->shape.dim[2 + i], g->out[d] = (int32_t)out->shape.dim[2 + i];
        g->size[d] = a.size, g->stride[d] = a.stride, g->dilation[d] = a.dilation;
        g->before[d] = a.before, g->after[d] = a.after;
    }
    enum reel_err err = gpu_need_rows(p, node->in[0], &kind, &s.x);
    if (!err) err = gpu_make_form(p, node->out[0], kind, &s.y);
    g->elem = gpu_form_elem(p, in, kind);
    *out_done = true;
    return err ? err : gpu_put_step(p, &s, node);
}

enum reel_err gpu_lower_pool(struct lowered *p, const struct node *node, bool *out_done)
{
    const bool average = node_is(node, "AveragePool"), lp = node_is(node, "LpPool");
    if ((!average && !lp && !node_is(node, "MaxPool")) || !node->in[0] || !node->out[0]) return REEL_OK;
    if (lp) return gpu_only_on_host(p, node->in[0]) ? REEL_OK : pool_volume(p, node, POOL_LP, out_done);
    const struct info *in = info_of(p, node->in[0]), *out = info_of(p, node->out[0]);
    if (in->shape.ndim == 5 && out->shape.ndim == 5)
        return pool_volume(p, node, average ? POOL_AVERAGE : POOL_MAX, out_done);
    if (!in->image || !out->image || in->c != out->c || in->n != out->n || node->n_epilogue) return REEL_OK;
    const bool places = node->n_out > 1 && node->out[1] && info_of(p, node->out[1])->uses;
    if (places && node_attr_int(node, "storage_order", 0)) return REEL_OK;
    struct gpu_pool g = {.elem = p->low,
                         .n = in->n,
                         .c = in->c,
                         .h = in->h,
                         .w = in->w,
                         .p = out->h,
                         .q = out->w,
                         .r = 1,
                         .s = 1,
                         .stride_h = 1,
                         .stride_w = 1,
                         .dilation_h = 1,
                         .dilation_w = 1,
                         .average = average,
                         .count_pad = average && node_attr_int(node, "count_include_pad", 0) != 0,
                         .x_pitch = in->pitch,
                         .y_pitch = out->pitch};
    const int axes = in->shape.ndim - 2;
    for (int i = 0; i < axes; i++) {
        const bool rows = axes == 2 && i == 0;
        struct pool_axis a;
        if (!pool_axis(node, i, axes, rows ? in->h : in->w, rows ? out->h : out->w, &a)) return REEL_OK;
        *(rows ? &g.r : &g.s) = a.size;
        *(rows ? &g.stride_h : &g.stride_w) = a.stride;
        *(rows ? &g.dilation_h : &g.dilation_w) = a.dilation;
        *(rows ? &g.pad_top : &g.pad_left) = a.before;
        *(rows ? &g.pad_bottom : &g.pad_right) = a.after;
    }
    struct ref x, y;
    enum reel_err err = gpu_need_form(p, node->in[0], FORM_IMAGE, &x);
    if (!err) err = gpu_make_form(p, node->out[0], FORM_IMAGE, &y);
    struct step *s = err ? NULL : gpu_add_step(p, STEP_POOL, node, pool_label(average ? POOL_AVERAGE : POOL_MAX));
    if (!s) return err ? err : gpu_no_memory(node);
    s->u.pool = g;
    s->x = x;
    s->y = y;
    gpu_touch_last(p);
    *out_done = true;
    if (!places) return REEL_OK;
    struct step t = gpu_step_of(STEP_POOL_PLACES, "places");
    t.x = x;
    t.u.pool = g;
    err = gpu_make_form(p, node->out[1], FORM_PLAIN, &t.y);
    return err ? err : gpu_put_step(p, &t, node);
}

// ---- resize --------------------------------------------------------------------------

struct axis {
    const char *transform;
    double scale;
    int in, out;
};

// Position in the input of output pixel i; ONNX Resize, opset 19.
static double source_position(const struct axis *a, int i)
{
    if (!strcmp(a->transform, "asymmetric")) return i / a->scale;
    if (!strcmp(a->transform, "align_corners")) return a->out > 1 ? (double)i * (a->in - 1) / (a->out - 1) : 0;
    if (!strcmp(a->transform, "pytorch_half_pixel") && a->out <= 1) return 0;
    if (!strcmp(a->transform, "half_pixel_symmetric")) {
        const double adjusted = a->out / (a->scale * a->in), center = a->in / 2.0;
        return center * (1 - adjusted) + (i + 0.5) / a->scale - 0.5;
    }
    return (i + 0.5) / a->scale - 0.5;
}

static int clamp(double x, int n)
{
    return x < 0 ? 0 : x > n - 1 ? n - 1 : (int)x;
}

static double nearest(const char *rounding, double x)
{
    if (!strcmp(rounding, "floor")) return floor(x);
    if (!strcmp(rounding, "ceil")) return ceil(x);
    if (!strcmp(rounding, "round_prefer_ceil")) return floor(x + 0.5);
    return ceil(x - 0.5);
}

// Cubic convolution (Keys 1981, equation 4) at t in [0,1) behind the second sample.
static void cubic(double t, double a, double w[4])
{
    const double u = 1 - t;
    w[0] = ((a * (t + 1) - 5 * a) * (t + 1) + 8 * a) * (t + 1) - 4 * a;
    w[1] = ((a + 2) * t - (a + 3)) * t * t + 1;
    w[2] = ((a + 2) * u - (a + 3)) * u * u + 1;
    w[3] = ((a * (u + 1) - 5 * a) * (u + 1) + 8 * a) * (u + 1) - 4 * a;
}

struct taps {
    const char *rounding;
    int taps; // 1, 2 or 4
    double a;
    bool exclude_outside;
};

static void fill_tables(const struct axis *a, const struct taps *t, int32_t *index, float *weight)
{
    for (int i = 0; i < a->out; i++) {
        const double x = source_position(a, i), at = floor(x);
        int32_t *k = index + (int64_t)i * t->taps;
        float *w = weight + (int64_t)i * t->taps;
        if (t->taps == 1) {
            k[0] = clamp(nearest(t->rounding, x), a->in);
            w[0] = 1;
        } else if (t->taps == 2) {
            const double inside = x < 0 ? 0 : x > a->in - 1 ? a->in - 1 : x;
            k[0] = (int)inside;
            k[1] = k[0] + 1 < a->in ? k[0] + 1 : a->in - 1;
            w[1] = (float)(inside - k[0]);
            w[0] = 1 - w[1];
        } else {
            double c[4], sum = 0;
            cubic(x - at, t->a, c);
            for (int j = 0; j < 4; j++) {
                const double place = at - 1 + j;
                if (t->exclude_outside && (place < 0 || place > a->in - 1)) c[j] = 0;
                k[j] = clamp(place, a->in);
                sum += c[j];
            }
            for (int j = 0; j < 4; j++) w[j] = (float)(t->exclude_outside ? c[j] / sum : c[j]);
        }
    }
}

// The scales along H and W as the node gives them, or from the sizes; false when
// they cannot be known or other axes are scaled.
static bool resize_scales(struct lowered *p, const struct node *node, const struct info *in, const struct info *out,
                          double scale[2])
{
    const float *given = NULL;
    int n = node_attr_floats(node, "scales", &given);
    const int at = node_is(node, "Upsample") || node->opset < 11 ? 1 : 2;
    scale[0] = (double)out->h / in->h;
    scale[1] = (double)out->w / in->w;
    if (!n && node->n_in > at && node->in[at]) {
        const struct info *s = info_of(p, node->in[at]);
        if (s->count == 0) return true;
        if (!(given = gpu_const_floats(p, node->in[at]))) return false;
        n = (int)s->count;
    }
    if (!n) return true; // by sizes
    if (n != 4) return false;
    scale[0] = (double)given[2];
    scale[1] = (double)given[3];
    return given[0] == 1 && given[1] == 1;
}

static bool resize_taps(const struct node *node, bool old, struct taps *t)
{
    const char *mode = node_attr_string(node, "mode", "nearest");
    *t = (struct taps){.rounding = old ? "floor" : node_attr_string(node, "nearest_mode", "round_prefer_floor"),
                       .a = (double)node_attr_float(node, "cubic_coeff_a", -0.75f),
                       .exclude_outside = node_attr_int(node, "exclude_outside", 0) != 0};
    t->taps = !strcmp(mode, "nearest")                               ? 1
              : !strcmp(mode, "linear") || !strcmp(mode, "bilinear") ? 2
              : !strcmp(mode, "cubic")                               ? 4
                                                                     : 0;
    if (old && t->taps == 1 && node_is(node, "Resize")) return false; // its rounding depends on the direction
    if (node_attr(node, "axes") || node_attr_int(node, "antialias", 0)) return false;
    if (strcmp(node_attr_string(node, "keep_aspect_ratio_policy", "stretch"), "stretch") != 0) return false;
    return t->taps && !(t->taps == 2 && t->exclude_outside);
}

// Every input pixel becomes a square of factor x factor equal ones.
static bool repeats(const struct taps *t, const struct info *in, const struct info *out, const int32_t *index,
                    int factor)
{
    if (t->taps != 1 || factor < 2 || out->h != in->h * factor || out->w != in->w * factor) return false;
    for (int i = 0; i < out->h; i++)
        if (index[i] != i / factor) return false;
    for (int i = 0; i < out->w; i++)
        if (index[out->h + i] != i / factor) return false;
    return true;
}

enum reel_err gpu_lower_resize(struct lowered *p, const struct node *node, bool *out_done)
{
    if ((!node_is(node, "Resize") && !node_is(node, "Upsample")) || !node->in[0] || !node->out[0]) return REEL_OK;
    const struct info *in = info_of(p, node->in[0]), *out = info_of(p, node->out[0]);
    const bool old = node_is(node, "Upsample") || node->opset < 11;
    const char *transform = old ? "asymmetric" : node_attr_string(node, "coordinate_transformation_mode", "half_pixel");
    struct taps t;
    double scale[2];
    if (!in->image || !out->image || in->shape.ndim != 4 || in->n != out->n || in->c != out->c || node->n_epilogue)
        return REEL_OK;
    if (!strcmp(transform, "tf_crop_and_resize") || !strcmp(transform, "tf_half_pixel_for_nn")) return REEL_OK;
    if (!resize_taps(node, old, &t) || !resize_scales(p, node, in, out, scale)) return REEL_OK;
    const size_t n = (size_t)(out->h + out->w) * (size_t)t.taps;
    int32_t *index = gpu_lower_alloc(p, n * sizeof *index);
    float *weight = gpu_lower_alloc(p, n * sizeof *weight);
    if (!index || !weight) return gpu_no_memory(node);
    const struct axis y = {transform, scale[0], in->h, out->h}, x = {transform, scale[1], in->w, out->w};
    fill_tables(&y, &t, index, weight);
    fill_tables(&x, &t, index + (size_t)out->h * (size_t)t.taps, weight + (size_t)out->h * (size_t)t.taps);
    const int factor = out->h / (in->h ? in->h : 1);
    if (repeats(&t, in, out, index, factor) && gpu_deferrable(p, node, factor)) {
        gpu_defer(p, node, factor, DEFER_NEAREST);
        *out_done = true;
        return REEL_OK;
    }
    struct ref src, dst, table, weights;
    enum reel_err err = gpu_make_constant(p, index, n * sizeof *index, &table);
    if (!err) err = gpu_make_constant(p, weight, n * sizeof *weight, &weights);
    if (!err) err = gpu_need_form(p, node->in[0], FORM_IMAGE, &src);
    if (!err) err = gpu_make_form(p, node->out[0], FORM_IMAGE, &dst);
    struct step *s = err ? NULL
                         : gpu_add_step(p, STEP_RESIZE, node,
                                        t.taps == 1   ? "nearest"
                                        : t.taps == 2 ? "linear"
                                                      : "cubic");
    if (!s) return err ? err : gpu_no_memory(node);
    s->u.resize = (struct gpu_resize){.elem = p->low,
                                      .n = in->n,
                                      .c = in->c,
                                      .h = in->h,
                                      .w = in->w,
                                      .p = out->h,
                                      .q = out->w,
                                      .taps_h = t.taps,
                                      .taps_w = t.taps,
                                      .x_pitch = in->pitch,
                                      .y_pitch = out->pitch};
    s->x = src;
    s->y = dst;
    s->w = table;
    s->extra[0] = weights;
    gpu_touch_last(p);
    *out_done = true;
    return REEL_OK;
}

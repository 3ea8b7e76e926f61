// SPDX-License-Identifier: MIT
//
// Finds which values of a graph must be exchanged between the bands of a picture. See bands.h.
// There are three walks: forward for each value's height relative to the input's, backward for
// how many rows beyond the band's own are read, and forward for how many of these are already
// correct without an exchange.
#include "worker/graph/bands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/graph/one_of.h"
#include "worker/onnx/op.h"

#define ALL_ROWS (INT64_MAX / 4096) // extent.valid of values that do not depend on rows

// Height of a value: mul / div times the input's, plus padding.
struct extent {
    bool picture; // depends on the picture
    int64_t mul, div;
    int64_t top, bottom; // rows of padding
    int64_t need;        // rows beyond the band's own that are read
    int64_t valid;       // rows beyond the band's own that are correct when it is computed
};

struct walk {
    const struct graph *graph;
    struct extent *extent; // by value id
    struct bands_need *need;
};

static bool is(const struct node *node, const char *op_type)
{
    return !*node->domain && !strcmp(node->op_type, op_type);
}

static bool is_one_of(const struct node *node, const char *const *op_types)
{
    return !*node->domain && node_is_one_of(node, op_types);
}

static bool unfit(struct walk *w, const struct node *node, const char *why)
{
    w->need->fit = false;
    snprintf(w->need->why, sizeof w->need->why, "%s \"%.60s\" %s", node->op_type, node->name, why);
    return false;
}

// ---- operators ------------------------------------------------------------------

// Which rows an operator reads, and how it changes the height.
struct reach {
    int64_t up, down;     // the height is multiplied by up / down
    int64_t above, below; // rows read above and below those that correspond to the result's
    int64_t top, bottom;  // rows of padding around the result
    bool window;          // reads a window; false: works row by row, so correct rows stay correct
    int64_t blur;         // no window: by how many rows of the input fewer are correct
};

static int64_t attr_at(const struct node *node, const char *name, int i, int64_t absent)
{
    const int64_t *v;
    return i < node_attr_ints(node, name, &v) ? v[i] : absent;
}

static int64_t floor_of(int64_t a, int64_t b)
{
    return a >= 0 ? a / b : -((-a + b - 1) / b);
}

// Conv, ConvTranspose and pools over (N,C,H,W); ONNX: output row i of a Conv reads rows
// i s - p ... i s - p + (k - 1) d, output row o of a ConvTranspose those i with o = i s - p + j d.
static bool reach_of_window(struct walk *w, const struct node *node, const struct extent *in, struct reach *out)
{
    const bool transposed = is(node, "ConvTranspose");
    const struct value *weight = node->n_in > 1 ? node->in[1] : NULL;
    int64_t k = attr_at(node, "kernel_shape", 0, weight ? weight->shape.dim[2] : 0);
    int64_t s = attr_at(node, "strides", 0, 1), d = attr_at(node, "dilations", 0, 1);
    int64_t p = attr_at(node, "pads", 0, 0), after = attr_at(node, "pads", 2, 0);
    const char *mode = node_attr_string(node, "auto_pad", "NOTSET");
    if (weight && (!weight->constant || weight->shape.ndim != 4))
        return unfit(w, node, "has weights that are computed, not stored in the model");
    if (strcmp(mode, "NOTSET") && strcmp(mode, "VALID"))
        return unfit(w, node, "takes its padding from the height of the whole picture (auto_pad)");
    if (node_attr_int(node, "ceil_mode", 0) || attr_at(node, "output_padding", 0, 0) ||
        attr_at(node, "output_shape", 0, 0))
        return unfit(w, node, "rounds or states its number of rows (ceil_mode, output_padding or output_shape)");
    if (node->n_out > 1 && node->out[1] && node->out[1]->n_uses)
        return unfit(w, node, "also returns positions in the whole picture");
    if (k < 1 || s < 1 || d < 1 || p < 0 || after < 0 || k > 4096 || s > 64 || d > 4096)
        return unfit(w, node, "has a window or a stride that is too large");
    const int64_t reach = (k - 1) * d;
    if (transposed) {
        if (in->top || in->bottom) return unfit(w, node, "reads rows that were added as padding");
        if (reach + 1 - p - after != s) return unfit(w, node, "does not make exactly as many rows as its stride says");
        out->up = s;
        out->above = reach > p ? (reach - p + s - 1) / s : 0;
        out->below = (p + s - 1) / s;
    } else {
        // A result row corresponds to the s rows in the middle of its window. Padding gives
        // additional rows.
        const int64_t first = in->top + p, all = first + in->bottom + after - reach - 1;
        out->down = s;
        out->top = floor_of(first - (reach - s + 1) / 2, s);
        out->bottom = floor_of(all, s) + 1 - out->top;
        out->above = first - out->top * s;
        out->below = reach - s + 1 - out->above > 0 ? reach - s + 1 - out->above : 0;
        if (out->top < 0 || out->bottom < 0 || out->above < 0)
            return unfit(w, node, "makes fewer rows than the picture has, because it pads too little");
    }
    // A 1 x 1 window is correct wherever its input is. Others are computed in blocks.
    out->window = reach > 0 || s > 1 || p > 0;
    return true;
}

static bool power_of_two(int64_t v)
{
    return v > 0 && !(v & (v - 1));
}

// Whether a Resize or Upsample scales rows by exactly f: a scale of 2.001 may give as many rows
// as 2, but at other positions.
static bool scales_by(const struct node *node, int64_t f)
{
    const int at = !strcmp(node->op_type, "Upsample") || node->opset < 11 ? 1 : 2;
    const float *scales = NULL;
    int n = node_attr_floats(node, "scales", &scales);
    const struct value *v = n || node->n_in <= at ? NULL : node->in[at];
    if (v && v->constant && v->constant->dtype == REEL_F32 && v->constant->data) {
        scales = v->constant->data;
        n = (int)reel_tensor_count(v->constant);
    }
    return n != 4 || scales[2] == (float)f; // otherwise the sizes decide
}

// Only whole factors: then all coordinate modes give the same positions in every band, less than
// two rows away (cubic: four).
static bool reach_of_resize(struct walk *w, const struct node *node, struct reach *out)
{
    const struct reel_shape *from = &node->in[0]->shape, *to = &node->out[0]->shape;
    const char *mode = node_attr_string(node, "mode", "nearest");
    const char *place = node_attr_string(node, "coordinate_transformation_mode", "half_pixel");
    int64_t f = to->dim[2] / from->dim[2];
    const bool nearest = !strcmp(mode, "nearest");
    if (!strcmp(place, "align_corners") || !strcmp(place, "tf_crop_and_resize") ||
        !strcmp(place, "half_pixel_symmetric"))
        return unfit(w, node, "places its samples by the height of the whole picture");
    if (f * from->dim[2] != to->dim[2] || !scales_by(node, f) || from->dim[0] != to->dim[0] ||
        from->dim[1] != to->dim[1])
        return unfit(w, node, "does not enlarge rows by a whole number");
    // Weights are fractions of a row, which must be exact to have the same bits in every band.
    if (!nearest && !power_of_two(f)) return unfit(w, node, "enlarges rows by a number that is not a power of two");
    out->up = f;
    out->blur = nearest ? 1 : !strcmp(mode, "cubic") ? 3 : 2;
    return true;
}

// Padding of any mode: it is correct at the edges of the whole picture, and unused elsewhere.
static bool reach_of_pad(struct walk *w, const struct node *node, struct reach *out)
{
    const struct value *v = node->n_in > 1 ? node->in[1] : NULL;
    const int64_t *pads = NULL;
    if (v && v->constant && v->constant->dtype == REEL_I64 && reel_tensor_count(v->constant) == 8)
        pads = v->constant->data;
    else if (!v && node_attr_ints(node, "pads", &pads) != 8)
        pads = NULL;
    if (!pads || (node->n_in > 3 && node->in[3]))
        return unfit(w, node, "pads by numbers that are computed, not stored in the model");
    if (pads[0] || pads[1] || pads[4] || pads[5] || pads[2] < 0 || pads[6] < 0 ||
        !strcmp(node_attr_string(node, "mode", "constant"), "wrap"))
        return unfit(w, node, "pads something else than rows and columns, cuts rows off, or wraps around");
    out->top += pads[2];
    out->bottom += pads[6];
    return true;
}

static bool channels_only(struct walk *w, const struct node *node, int64_t absent)
{
    int axis;
    if (op_axis(node_attr_int(node, "axis", absent), node->in[0]->shape.ndim, &axis) || axis != 1)
        return unfit(w, node, "joins or splits something else than channels");
    return true;
}

// The extent of a node's operands that are pictures.
static const struct extent *picture_of(const struct walk *w, const struct node *node)
{
    static const struct extent none;
    for (int i = 0; i < node->n_in; i++)
        if (node->in[i] && w->extent[node->in[i]->id].picture) return &w->extent[node->in[i]->id];
    return &none;
}

static bool reach_of(struct walk *w, const struct node *node, struct reach *out)
{
    const struct extent *in = picture_of(w, node);
    static const char *const windows[] = {"Conv", "ConvTranspose", "MaxPool", "AveragePool", NULL};
    static const char *const pointwise[] = {
        "BatchNormalization", "PRelu", "Clip", "Sum", "Mean", "Max", "Min", "Where", "Dropout", "LRN", "Affine",
        "Identity",           NULL};
    *out = (struct reach){.up = 1, .down = 1, .top = in->top, .bottom = in->bottom};
    if (is_one_of(node, windows)) return reach_of_window(w, node, in, out);
    if (is(node, "Pad")) return reach_of_pad(w, node, out);
    const bool moves =
        is(node, "Resize") || is(node, "Upsample") || is(node, "DepthToSpace") || is(node, "SpaceToDepth");
    if (moves && (in->top || in->bottom)) return unfit(w, node, "rearranges rows that were added as padding");
    if (is(node, "Resize") || is(node, "Upsample")) return reach_of_resize(w, node, out);
    if (is(node, "DepthToSpace")) return out->up = node_attr_int(node, "blocksize", 1), true;
    if (is(node, "SpaceToDepth")) return out->down = node_attr_int(node, "blocksize", 1), true;
    if (is(node, "Concat")) return channels_only(w, node, 1);
    if (is(node, "Split")) return channels_only(w, node, 0);
    if ((node->op->flags & OP_ELEMENTWISE) || is_one_of(node, pointwise)) return true;
    return unfit(w, node, "may read the whole picture for each row");
}

// ---- heights --------------------------------------------------------------------

static bool is_picture(const struct value *v)
{
    return v->shape.ndim == 4 && v->shape.dim[0] == 1 && v->shape.dim[2] > 0 && v->dtype == REEL_F32;
}

static void reduce(struct extent *e)
{
    int64_t a = e->mul, b = e->div;
    while (b) {
        const int64_t rest = a % b;
        a = b, b = rest;
    }
    e->mul /= a, e->div /= a;
}

// Checks that an operand of a node or of its epilogue has the same height as the others (*all).
static bool joins(struct walk *w, const struct node *node, const struct value *v, struct extent *all)
{
    const struct extent *e = v ? &w->extent[v->id] : NULL;
    if (!e || !e->picture) return true;
    if (all->picture && (all->mul != e->mul || all->div != e->div || all->top != e->top || all->bottom != e->bottom))
        return unfit(w, node, "combines pictures of different heights");
    *all = *e;
    return true;
}

// Checks that a constant is the same for all rows; otherwise it fits only the whole picture.
static bool is_same_for_rows(struct walk *w, const struct node *node, const struct value *v)
{
    if (!v || w->extent[v->id].picture || v->shape.ndim < 2 || v->shape.dim[v->shape.ndim - 2] == 1) return true;
    return unfit(w, node, "has a constant with other values in each row");
}

static bool height_of(struct walk *w, const struct node *node)
{
    struct extent in = {0}, out;
    for (int i = 0; i < node->n_in; i++)
        if (!joins(w, node, node->in[i], &in)) return false;
    struct extent beside = {0};
    for (int i = 0; i < node->n_epilogue; i++)
        if (!joins(w, node, node->epilogue[i].other, &beside) || !is_same_for_rows(w, node, node->epilogue[i].other))
            return false;
    if (!in.picture && !beside.picture) return true;
    if (!in.picture || !node->in[0] || node->n_out < 1 || !node->out[0] || (node->op->flags & OP_CONTROL))
        return unfit(w, node, "uses the picture in a way that is not supported");
    struct reach r;
    if (!reach_of(w, node, &r)) return false;
    // Operators that read windows or move rows must have only one picture, the first operand.
    const bool moves = r.window || r.up != 1 || r.down != 1 || r.blur || is(node, "Pad");
    for (int i = 1; i < node->n_in; i++)
        if (node->in[i] && moves && w->extent[node->in[i]->id].picture)
            return unfit(w, node, "uses the picture in a way that is not supported");
    for (int i = 0; i < node->n_in; i++)
        if (!moves && !is(node, "Conv") && !is_same_for_rows(w, node, node->in[i])) return false;
    out = (struct extent){
        .picture = true, .mul = in.mul * r.up, .div = in.div * r.down, .top = r.top, .bottom = r.bottom};
    reduce(&out);
    if (out.mul > 64 || out.div > 256) return unfit(w, node, "changes the height by too large a factor");
    if (beside.picture &&
        (beside.mul != out.mul || beside.div != out.div || beside.top != out.top || beside.bottom != out.bottom))
        return unfit(w, node, "combines pictures of different heights");
    for (int i = 0; i < node->n_out; i++) {
        if (!node->out[i]) continue;
        if (!is_picture(node->out[i])) return unfit(w, node, "makes something else than one picture of floats");
        w->extent[node->out[i]->id] = out;
    }
    return true;
}

static bool heights(struct walk *w)
{
    const struct graph *g = w->graph;
    if (g->n_inputs != 1 || g->n_outputs != 1 || !is_picture(g->inputs[0])) {
        w->need->fit = false;
        snprintf(w->need->why, sizeof w->need->why,
                 "the network does not make one picture of floats from one picture of floats");
        return false;
    }
    w->extent[g->inputs[0]->id] = (struct extent){.picture = true, .mul = 1, .div = 1};
    for (const struct node *n = g->first; n; n = n->next)
        if (!height_of(w, n)) return false;
    const struct extent *out = &w->extent[g->outputs[0]->id];
    if (out->picture && !out->top && !out->bottom) return true;
    w->need->fit = false;
    snprintf(w->need->why, sizeof w->need->why,
             "the network's output does not depend on the picture, or has rows of padding around it");
    return false;
}

// ---- rows that are read ---------------------------------------------------------

static void want(struct walk *w, const struct value *v, int64_t rows)
{
    struct extent *e = v ? &w->extent[v->id] : NULL;
    if (e && e->picture && rows > e->need) e->need = rows;
}

// How many rows of the network's input correspond to `rows` of the value.
static int64_t input_rows(const struct extent *e, int64_t rows)
{
    return (rows * e->div + e->mul - 1) / e->mul;
}

static int as_int(int64_t v)
{
    return v < 1 << 20 ? (int)v : 1 << 20;
}

// Winograd kernels are used for 3 x 3 convolutions with at least six rows per phase
// (kernels/conv_body.inc, choose()); with fewer, another kernel would give other sums.
#define LEAST_ROWS 6

static void wants(struct walk *w)
{
    want(w, w->graph->outputs[0], BANDS_OUT_ROWS);
    for (const struct node *n = w->graph->last; n; n = n->prev) {
        const struct extent *out = n->out[0] ? &w->extent[n->out[0]->id] : NULL;
        struct reach r;
        if (!out || !out->picture || !reach_of(w, n, &r)) continue;
        if (r.window) {
            want(w, n->in[0], r.above > r.below ? r.above : r.below);
            const int64_t d = attr_at(n, "dilations", 0, 1);
            const int64_t least = input_rows(out, LEAST_ROWS * d);
            if (is(n, "Conv") && least > w->need->rows) w->need->rows = as_int(least);
            // A transposed convolution is computed as one convolution of its input per phase.
            const struct extent *in = &w->extent[n->in[0]->id];
            if (is(n, "ConvTranspose") && input_rows(in, LEAST_ROWS + 2) > w->need->rows)
                w->need->rows = as_int(input_rows(in, LEAST_ROWS + 2));
        } else if (is(n, "Concat")) {
            // Exchange the parts, each once, instead of the whole again.
            for (int i = 0; i < n->n_in; i++) want(w, n->in[i], out->need);
        } else if (r.blur) {
            want(w, n->in[0], (out->need + r.up - 1) / r.up + r.blur);
        }
    }
    for (int i = 0; i < w->graph->n_values; i++) {
        const struct extent *e = &w->extent[w->graph->values[i]->id];
        if (e->picture && input_rows(e, e->need) > w->need->margin) w->need->margin = as_int(input_rows(e, e->need));
    }
}

static void walk_all(struct walk *w)
{
    *w->need = (struct bands_need){.fit = true};
    w->extent = calloc((size_t)w->graph->n_values + 1, sizeof *w->extent);
    if (!w->extent) {
        w->need->fit = false;
        snprintf(w->need->why, sizeof w->need->why, "out of memory");
        return;
    }
    if (heights(w)) wants(w);
}

void bands_need_of(const struct graph *graph, struct bands_need *out)
{
    struct walk w = {.graph = graph, .need = out};
    walk_all(&w);
    free(w.extent);
}

// ---- marking --------------------------------------------------------------------

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

// How many rows beyond the band's own are correct after the node has run.
static int64_t valid_after(const struct walk *w, const struct node *node, const struct reach *r)
{
    int64_t valid = ALL_ROWS;
    if (r->window) return 0;
    for (int i = 0; i < node->n_in + node->n_epilogue; i++) {
        const struct value *v = i < node->n_in ? node->in[i] : node->epilogue[i - node->n_in].other;
        if (v && w->extent[v->id].picture) valid = least(valid, w->extent[v->id].valid);
    }
    valid = (valid - r->blur) * r->up / r->down;
    return valid > 0 ? valid : 0;
}

static enum reel_err mark(struct value *v, struct extent *e, const struct band *b)
{
    const int64_t above = b->above * e->mul, below = b->below * e->mul, h = v->shape.dim[2];
    if (above % e->div || below % e->div || (b->above && above / e->div < e->need) ||
        (b->below && below / e->div < e->need))
        return reel_fail(REEL_ERR_UNSUPPORTED,
                         "could not cut value \"%s\" into bands: a band does not begin with a whole row of it",
                         v->name);
    v->halo = (struct value_halo){.rows = (int)(e->need > e->valid ? e->need : 0),
                                  .above = (int)(above / e->div + e->top),
                                  .below = (int)(below / e->div + e->bottom),
                                  .up = b->above > 0,
                                  .down = b->below > 0};
    if (h - v->halo.above - v->halo.below < v->halo.rows)
        return reel_fail(REEL_ERR_UNSUPPORTED,
                         "could not cut value \"%s\" into bands: its %lld rows are too few for the bands' margins",
                         v->name, (long long)h);
    if (v->halo.rows) e->valid = e->need;
    return REEL_OK;
}

enum reel_err bands_mark(struct graph *graph, const struct band *band)
{
    struct bands_need need;
    struct walk w = {.graph = graph, .need = &need};
    walk_all(&w);
    enum reel_err err = REEL_OK;
    if (!need.fit) {
        err = reel_fail(REEL_ERR_UNSUPPORTED, "could not run the network in bands: %s", need.why);
    } else if (band->margin < need.margin || graph->inputs[0]->shape.dim[2] < need.rows) {
        err = reel_fail(REEL_ERR_UNSUPPORTED,
                        "could not run the network in bands: %lld rows with margins of %d rows are too few",
                        (long long)graph->inputs[0]->shape.dim[2], band->margin);
    } else {
        w.extent[graph->inputs[0]->id].valid = band->margin;
    }
    for (const struct node *n = graph->first; n && !err; n = n->next)
        for (int i = 0; i < n->n_out && !err; i++) {
            struct extent *e = n->out[i] ? &w.extent[n->out[i]->id] : NULL;
            struct reach r;
            if (!e || !e->picture || !reach_of(&w, n, &r)) continue;
            e->valid = valid_after(&w, n, &r);
            err = mark(n->out[i], e, band);
        }
    free(w.extent);
    return err;
}

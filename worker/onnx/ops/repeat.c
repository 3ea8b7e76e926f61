// SPDX-License-Identifier: MIT
//
// The family repeat: operators whose result holds elements of the input more
// than once, or a filling beside them. Moved by their size, as in move.c.
#include "worker/onnx/ops/moving.h"

// ---- Pad --------------------------------------------------------------------

enum pad_mode { PAD_CONSTANT, PAD_REFLECT, PAD_EDGE, PAD_WRAP };

struct pad {
    enum pad_mode mode;
    int64_t before[REEL_MAX_DIMS], after[REEL_MAX_DIMS];
    struct reel_shape shape; // of the result
};

static enum reel_err pad_mode(const struct op_call *call, enum pad_mode *out_mode)
{
    static const char *const names[] = {"constant", "reflect", "edge", "wrap"};
    const char *mode = node_attr_string(call->node, "mode", "constant");
    for (int i = 0; i < 4; i++)
        if (!strcmp(mode, names[i])) {
            *out_mode = (enum pad_mode)i;
            return REEL_OK;
        }
    return reel_fail(REEL_ERR_INPUT, "attribute mode is \"%s\", which is not a padding mode", mode);
}

static enum reel_err pad_plan(const struct op_call *call, struct pad *p)
{
    const struct reel_shape *in = &call->in[0]->shape;
    const char *attr = call->opset < 2 ? "paddings" : call->opset < 11 ? "pads" : NULL;
    struct ints pads, axes;
    enum reel_err err = pad_mode(call, &p->mode);
    if (!err) err = ints_read(call, attr, attr ? -1 : 1, &pads);
    if (!err) err = ints_read(call, NULL, attr ? -1 : 3, &axes);
    if (err) return err;
    if (!pads.present) return reel_fail(REEL_ERR_INPUT, "no pads are given");
    p->shape = *in;
    if (in->ndim < 0) return REEL_OK;
    for (int d = 0; d < in->ndim; d++) p->before[d] = p->after[d] = 0;
    if (!axes.present) {
        axes.n = in->ndim;
        for (int d = 0; d < in->ndim; d++) axes.v[d] = d;
    }
    if (axes.n >= 0 && pads.n >= 0 && pads.n != 2 * axes.n)
        return reel_fail(REEL_ERR_INPUT, "%d pads are given for %d axes", pads.n, axes.n);
    if (!axes.known || axes.n < 0) {
        for (int d = 0; d < in->ndim; d++) p->shape.dim[d] = -1;
        return REEL_OK;
    }
    err = ints_axes(&axes, in->ndim);
    if (err) return err;
    for (int i = 0; i < axes.n; i++) {
        const int d = (int)axes.v[i];
        p->shape.dim[d] = -1;
        if (!pads.known) continue;
        const int64_t before = pads.v[i], after = pads.v[axes.n + i], limit = INT64_C(1) << 40;
        if (before > limit || before < -limit || after > limit || after < -limit)
            return reel_fail(REEL_ERR_INPUT, "the pads of axis %d are out of range", d);
        p->before[d] = before;
        p->after[d] = after;
        if (in->dim[d] < 0) continue;
        p->shape.dim[d] = in->dim[d] + before + after;
        if (p->shape.dim[d] < 0) return reel_fail(REEL_ERR_INPUT, "padding gives axis %d a negative extent", d);
    }
    return REEL_OK;
}

static enum reel_err infer_pad(const struct op_call *call)
{
    struct pad p;
    enum reel_err err = pad_plan(call, &p);
    if (!err && call->opset >= 11 && call_in(call, 2)) err = typed_same(call, 0, 2);
    return err ? err : move_infer(call, &p.shape);
}

// For every position along axis d of the output the input's position, or -1 for
// the constant. Negative pads cut first; the modes see what is left.
static enum reel_err pad_table(const struct pad *p, int d, int64_t extent, int64_t *table)
{
    const int64_t cut_before = p->before[d] < 0 ? -p->before[d] : 0, cut_after = p->after[d] < 0 ? -p->after[d] : 0;
    const int64_t left = p->before[d] > 0 ? p->before[d] : 0, n = extent - cut_before - cut_after;
    const int64_t total = p->shape.dim[d];
    // Cut from both ends beyond what there is: positions of the constant.
    if (p->mode != PAD_CONSTANT && n <= 0 && total > 0)
        return reel_fail(REEL_ERR_INPUT, "axis %d has no elements to pad with", d);
    for (int64_t i = 0; i < total; i++) {
        int64_t at = i - left;
        if (at < 0 || at >= n) {
            const int64_t period = 2 * (n - 1);
            switch (p->mode) {
            case PAD_CONSTANT:
                table[i] = -1;
                continue;
            case PAD_EDGE:
                at = at < 0 ? 0 : n - 1;
                break;
            case PAD_WRAP:
                at = (at % n + n) % n;
                break;
            case PAD_REFLECT:
                at = period ? (at % period + period) % period : 0;
                if (at >= n) at = period - at;
                break;
            }
        }
        table[i] = at + cut_before;
        if (table[i] >= extent) table[i] = -1;
    }
    return REEL_OK;
}

static void pad_fill(char *out, const char *value, int64_t n, size_t bytes)
{
    move_strided(out, value, 0, n, bytes);
}

// The last dimension's table as runs: n elements from the row's position `from`
// (-1: the constant), in output order.
struct pad_part {
    int64_t from, n;
};

static int64_t pad_parts(const int64_t *table, int64_t total, struct pad_part *parts)
{
    int64_t n_parts = 0;
    for (int64_t i = 0, run; i < total; i += run) {
        const int64_t step = table[i] < 0 ? 0 : 1;
        for (run = 1; i + run < total && table[i + run] == table[i] + run * step; run++) {
        }
        parts[n_parts++] = (struct pad_part){.from = table[i], .n = run};
    }
    return n_parts;
}

static void pad_row(char *out, const char *row, const struct pad_part *parts, int64_t n_parts, const char *value,
                    size_t bytes)
{
    for (int64_t i = 0; i < n_parts; i++) {
        if (parts[i].from < 0)
            pad_fill(out, value, parts[i].n, bytes);
        else
            memcpy(out, row + (size_t)parts[i].from * bytes, (size_t)parts[i].n * bytes);
        out += (size_t)parts[i].n * bytes;
    }
}

static void pad_run(char *out, const struct reel_tensor *in, const struct pad *p, int64_t *const *tables,
                    const struct pad_part *parts, int64_t n_parts, const char *value)
{
    const size_t bytes = reel_dtype_bytes(in->dtype);
    const int last = p->shape.ndim - 1;
    const int64_t n = p->shape.dim[last], rows = shape_span(&p->shape, 0, last);
    int64_t index[REEL_MAX_DIMS] = {0};
    for (int64_t r = 0; r < rows; r++, out += (size_t)n * bytes) {
        int64_t at = 0; // the row's number in the input, or -1
        for (int d = 0; d < last && at >= 0; d++)
            at = tables[d][index[d]] < 0 ? -1 : at * in->shape.dim[d] + tables[d][index[d]];
        if (at < 0)
            pad_fill(out, value, n, bytes);
        else
            pad_row(out, (const char *)in->data + (size_t)(at * in->shape.dim[last]) * bytes, parts, n_parts, value,
                    bytes);
        for (int d = last - 1; d >= 0; d--) {
            if (++index[d] < p->shape.dim[d]) break;
            index[d] = 0;
        }
    }
}

// The constant as one element of the input's type.
static enum reel_err pad_value(const struct op_call *call, char *out_value)
{
    const struct reel_tensor *in = call->in[0];
    memset(out_value, 0, 8);
    if (call->opset < 11) {
        const float v = node_attr_float(call->node, "value", 0.0f);
        reel_convert(out_value, in->dtype, &v, REEL_F32, 1);
        return REEL_OK;
    }
    const struct reel_tensor *t = call_in(call, 2);
    if (!t) return REEL_OK;
    enum reel_err err = typed_same(call, 0, 2);
    if (err) return err;
    if (reel_tensor_count(t) != 1) return reel_fail(REEL_ERR_INPUT, "the constant value is not a scalar");
    memcpy(out_value, t->data, reel_dtype_bytes(t->dtype));
    return REEL_OK;
}

static enum reel_err eval_pad(const struct op_call *call)
{
    const struct reel_tensor *in = call->in[0];
    struct pad p;
    _Alignas(8) char value[8];
    enum reel_err err = move_check(call, 0);
    if (!err) err = pad_plan(call, &p);
    if (!err) err = pad_value(call, value);
    if (err || !call->out[0]) return err;
    if (in->shape.ndim == 0) return typed_copy_as(call, &p.shape);
    err = op_alloc_out(call, 0, in->dtype, &p.shape);
    if (err || reel_shape_count(&p.shape) == 0) return err;

    int64_t *tables[REEL_MAX_DIMS] = {NULL};
    for (int d = 0; !err && d < in->shape.ndim; d++) {
        tables[d] = work_alloc(p.shape.dim[d], sizeof *tables[d]);
        err = tables[d] ? pad_table(&p, d, in->shape.dim[d], tables[d]) : REEL_ERR_NOMEM;
    }
    const int last = in->shape.ndim - 1;
    struct pad_part *parts = err ? NULL : work_alloc(p.shape.dim[last], sizeof *parts);
    if (!err && !parts) err = REEL_ERR_NOMEM;
    if (!err)
        pad_run(call->out[0]->data, in, &p, tables, parts, pad_parts(tables[last], p.shape.dim[last], parts), value);
    free(parts);
    for (int d = 0; d < in->shape.ndim; d++) free(tables[d]);
    return err;
}

// ---- Tile, Expand -----------------------------------------------------------

// The repeats along each dimension; false in *out_known when they come later.
static enum reel_err tile_repeats(const struct op_call *call, int64_t *repeats, bool *out_known)
{
    const int ndim = call->in[0]->shape.ndim;
    struct ints r;
    *out_known = false;
    for (int d = 0; d < ndim; d++) repeats[d] = 1;
    if (call->opset < 6) {
        // Opset 1: one dimension, two scalars of any type of number.
        const struct reel_tensor *tiles = call_in(call, 1), *at = call_in(call, 2);
        const int64_t n_tiles = tiles ? reel_tensor_count(tiles) : 0, n_at = at ? reel_tensor_count(at) : 0;
        if ((n_tiles >= 0 && n_tiles != 1) || (n_at >= 0 && n_at != 1))
            return reel_fail(REEL_ERR_INPUT, "tiles and axis must be one number each");
        if (!has_data(tiles) || !has_data(at)) return REEL_OK;
        int d;
        enum reel_err err = op_axis(op_scalar_int(at, 0), ndim, &d);
        if (err) return err;
        repeats[d] = op_scalar_int(tiles, 0);
        *out_known = true;
        return repeats[d] < 0 ? reel_fail(REEL_ERR_INPUT, "the number of tiles is negative") : REEL_OK;
    }
    enum reel_err err = ints_read(call, NULL, 1, &r);
    if (!err && !r.present) err = reel_fail(REEL_ERR_INPUT, "no repeats are given");
    if (err) return err;
    if (r.n >= 0 && r.n != ndim) return reel_fail(REEL_ERR_INPUT, "%d repeats are given for rank %d", r.n, ndim);
    if (!r.known) return REEL_OK;
    for (int d = 0; d < ndim; d++) {
        if (r.v[d] < 0 || r.v[d] > INT64_C(1) << 40)
            return reel_fail(REEL_ERR_INPUT, "repeat %lld is out of range", (long long)r.v[d]);
        repeats[d] = r.v[d];
    }
    *out_known = true;
    return REEL_OK;
}

static enum reel_err tile_shape(const struct op_call *call, int64_t *repeats, struct reel_shape *out)
{
    const struct reel_shape *in = &call->in[0]->shape;
    *out = *in;
    if (in->ndim < 0) return REEL_OK;
    bool known;
    enum reel_err err = tile_repeats(call, repeats, &known);
    if (err) return err;
    for (int d = 0; d < in->ndim; d++) {
        out->dim[d] = -1;
        if (!known || in->dim[d] < 0) continue;
        if (__builtin_mul_overflow(in->dim[d], repeats[d], &out->dim[d]))
            return reel_fail(REEL_ERR_INPUT, "tiling makes axis %d too long", d);
    }
    return REEL_OK;
}

static enum reel_err infer_tile(const struct op_call *call)
{
    int64_t repeats[REEL_MAX_DIMS];
    struct reel_shape shape;
    enum reel_err err = tile_shape(call, repeats, &shape);
    return err ? err : move_infer(call, &shape);
}

// Writes the tiled dimensions from d on and returns the end of the output: the
// block is built once, then repeated.
static char *tile_fill(char *out, const char **in, const struct reel_tensor *t, const int64_t *repeats, int d)
{
    const size_t bytes = reel_dtype_bytes(t->dtype);
    char *const block = out;
    if (d >= t->shape.ndim - 1) {
        const size_t row = bytes * (size_t)(t->shape.ndim ? t->shape.dim[d] : 1);
        memcpy(out, *in, row);
        *in += row;
        out += row;
    } else {
        for (int64_t i = 0; i < t->shape.dim[d]; i++) out = tile_fill(out, in, t, repeats, d + 1);
    }
    const size_t size = (size_t)(out - block);
    for (int64_t r = 1; t->shape.ndim && r < repeats[d]; r++, out += size) memcpy(out, block, size);
    return out;
}

static enum reel_err eval_tile(const struct op_call *call)
{
    int64_t repeats[REEL_MAX_DIMS];
    struct reel_shape shape;
    enum reel_err err = move_check(call, 0);
    if (!err) err = tile_shape(call, repeats, &shape);
    if (err || !call->out[0]) return err;
    err = op_alloc_out(call, 0, call->in[0]->dtype, &shape);
    if (err || reel_shape_count(&shape) == 0) return err;
    const char *in = call->in[0]->data;
    tile_fill(call->out[0]->data, &in, call->in[0], repeats, 0);
    return REEL_OK;
}

static enum reel_err expand_shape(const struct op_call *call, struct reel_shape *out)
{
    struct ints want;
    enum reel_err err = ints_read(call, NULL, 1, &want);
    if (!err && !want.present) err = reel_fail(REEL_ERR_INPUT, "no new shape is given");
    if (err) return err;
    const struct reel_shape *in = &call->in[0]->shape;
    *out = shape_unknown();
    if (want.n > REEL_MAX_DIMS) return move_too_many_dims(want.n);
    if (in->ndim < 0 || want.n < 0) return REEL_OK;
    struct reel_shape target = {.ndim = want.n};
    for (int d = 0; d < want.n; d++) {
        target.dim[d] = want.known ? want.v[d] : -1;
        if (want.known && want.v[d] < 0)
            return reel_fail(REEL_ERR_INPUT, "extent %lld of the new shape is negative", (long long)want.v[d]);
    }
    return op_broadcast(in, &target, out);
}

static enum reel_err infer_expand(const struct op_call *call)
{
    struct reel_shape shape;
    enum reel_err err = expand_shape(call, &shape);
    return err ? err : move_infer(call, &shape);
}

static enum reel_err eval_expand(const struct op_call *call)
{
    const struct reel_tensor *in = call->in[0];
    struct reel_shape shape;
    enum reel_err err = move_check(call, 0);
    if (!err) err = expand_shape(call, &shape);
    if (err || !call->out[0]) return err;
    err = op_alloc_out(call, 0, in->dtype, &shape);
    if (err) return err;
    const size_t bytes = reel_dtype_bytes(in->dtype);
    char *out = call->out[0]->data;
    struct walk w;
    for (walk_start(&w, &shape, (const struct reel_shape *const[]){&in->shape}, 1); !w.done; walk_next(&w))
        move_strided(out + (size_t)w.out * bytes, (const char *)in->data + (size_t)w.at[0] * bytes, w.step[0], w.run,
                     bytes);
    return REEL_OK;
}

// ---- the table --------------------------------------------------------------

const struct op_def ops_repeat[] = {
    DEF("Expand", 8, OPSET_LAST, 2, 2, TYPES_ANY, 0, infer_expand, eval_expand),
    DEF("Pad", 1, 10, 1, 1, TYPES_ANY, 0, infer_pad, eval_pad),
    DEF("Pad", 11, OPSET_LAST, 2, 4, TYPES_ANY, 0, infer_pad, eval_pad),
    DEF("Tile", 1, 5, 3, 3, TYPES_ANY, 0, infer_tile, eval_tile),
    DEF("Tile", 6, OPSET_LAST, 2, 2, TYPES_ANY, 0, infer_tile, eval_tile),
};
const int ops_repeat_count = sizeof ops_repeat / sizeof *ops_repeat;

// SPDX-License-Identifier: MIT
//
// Einsum, contracted two operands at a time by kernels/gemm.h, and Det. Called
// through the operator table.
#include "worker/onnx/ops/matmul.h"

#include "kernels/gemm.h"
#include "worker/onnx/ops/einsum.h"

// An operand or an intermediate: dense, one axis per label. Repeated labels (a
// diagonal) occur in operands only.
struct factor {
    struct einsum_term term;
    int64_t dim[EINSUM_LABELS];
    const void *p;
    void *owned;
};

static int label_of(char c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    return -1;
}

// Parses one term up to ',' '-' or the end. ndim < 0: the term of the result,
// whose ellipsis has `wide` axes; else an operand's, which may widen it.
static enum reel_err parse_term(const char **at, int ndim, int *wide, struct einsum_term *out_term)
{
    int before[REEL_MAX_DIMS], after[REEL_MAX_DIMS], nb = 0, na = 0;
    bool dots = false;
    for (; **at && **at != ',' && **at != '-'; (*at)++) {
        if (**at == ' ') continue;
        if (**at == '.') {
            if (strncmp(*at, "...", 3) || dots) return reel_fail(REEL_ERR_INPUT, "the equation's dots are wrong");
            dots = true;
            *at += 2;
            continue;
        }
        int label = label_of(**at);
        if (label < 0) return reel_fail(REEL_ERR_INPUT, "the equation has the character '%c'", **at);
        if (nb + na == REEL_MAX_DIMS) return reel_fail(REEL_ERR_LIMIT, "a term has too many labels");
        if (dots)
            after[na++] = label;
        else
            before[nb++] = label;
    }
    int hidden = dots ? (ndim < 0 ? *wide : ndim - nb - na) : 0;
    if (hidden < 0 || (ndim >= 0 && nb + na + hidden != ndim) || nb + na + hidden > REEL_MAX_DIMS)
        return reel_fail(REEL_ERR_INPUT, "a term of the equation does not fit rank %d", ndim);
    if (hidden > *wide) *wide = hidden;
    *out_term = (struct einsum_term){0};
    for (int i = 0; i < nb; i++) out_term->label[out_term->n++] = before[i];
    // Right-aligned: the ellipsis' last axis always has the last label.
    for (int i = 0; i < hidden; i++) out_term->label[out_term->n++] = EINSUM_LABELS - hidden + i;
    for (int i = 0; i < na; i++) out_term->label[out_term->n++] = after[i];
    return REEL_OK;
}

static enum reel_err parse_equation(const struct op_call *call, struct einsum *e)
{
    const char *at = node_attr_string(call->node, "equation", "");
    int wide = 0, count[EINSUM_LABELS] = {0};
    for (int i = 0; i < call->n_in; i++) {
        if (i && *at++ != ',') return reel_fail(REEL_ERR_INPUT, "the equation has too few terms");
        enum reel_err err = parse_term(&at, call->in[i]->shape.ndim, &wide, &e->in[i]);
        if (err) return err;
        for (int d = 0; d < e->in[i].n; d++) count[e->in[i].label[d]]++;
    }
    if (*at == ',') return reel_fail(REEL_ERR_INPUT, "the equation has too many terms");
    if (at[0] == '-') {
        if (at[1] != '>') return reel_fail(REEL_ERR_INPUT, "the equation's arrow is wrong");
        at += 2;
        enum reel_err err = parse_term(&at, -1, &wide, &e->out);
        if (!err && *at) err = reel_fail(REEL_ERR_INPUT, "the equation continues after the result");
        return err;
    }
    if (*at) return reel_fail(REEL_ERR_INPUT, "the equation is malformed");
    for (int i = EINSUM_LABELS - wide; i < EINSUM_LABELS; i++) e->out.label[e->out.n++] = i;
    for (int i = 0; i < EINSUM_ELLIPSIS; i++)
        if (count[i] == 1) {
            if (e->out.n == REEL_MAX_DIMS) return reel_fail(REEL_ERR_LIMIT, "the result has too many axes");
            e->out.label[e->out.n++] = i;
        }
    return REEL_OK;
}

enum reel_err einsum_open(const struct op_call *call, struct einsum *e, struct reel_shape *out_shape)
{
    *e = (struct einsum){.n_in = call->n_in};
    *out_shape = shape_unknown();
    for (int i = 0; i < EINSUM_LABELS; i++) e->extent[i] = -2; // not seen
    for (int i = 0; i < call->n_in; i++)
        if (!call->in[i] || call->in[i]->shape.ndim < 0) return REEL_OK;
    e->in = calloc((size_t)call->n_in + 1, sizeof *e->in);
    if (!e->in) return reel_fail(REEL_ERR_NOMEM, "no memory for the equation");
    enum reel_err err = parse_equation(call, e);
    for (int i = 0; !err && i < call->n_in; i++)
        for (int d = 0; !err && d < e->in[i].n; d++) {
            int64_t n = call->in[i]->shape.dim[d], *to = &e->extent[e->in[i].label[d]];
            if (*to == -2 || *to == 1 || (*to == -1 && n != 1))
                *to = n;
            else if (n >= 0 && n != 1 && *to >= 0 && n != *to)
                err = reel_fail(REEL_ERR_INPUT, "a label has the extents %lld and %lld", (long long)*to, (long long)n);
        }
    uint64_t seen = 0;
    out_shape->ndim = e->out.n;
    for (int i = 0; !err && i < e->out.n; i++) {
        int label = e->out.label[i];
        out_shape->dim[i] = e->extent[label];
        if (e->extent[label] == -2 || seen >> label & 1)
            err = reel_fail(REEL_ERR_INPUT, "a label of the result is unknown or appears twice");
        seen |= UINT64_C(1) << label;
    }
    if (err) free(e->in), e->in = NULL;
    return err;
}

static enum reel_err einsum_infer(const struct op_call *call)
{
    struct einsum e;
    struct reel_shape shape = {0};
    enum reel_err err = einsum_open(call, &e, &shape);
    free(e.in);
    if (err) return err;
    infer_out(call, 0, call->in[0]->dtype, &shape);
    return REEL_OK;
}

static uint64_t label_set(const struct einsum_term *t)
{
    uint64_t set = 0;
    for (int i = 0; i < t->n; i++) set |= UINT64_C(1) << t->label[i];
    return set;
}

static int64_t set_volume(const struct einsum *e, uint64_t set)
{
    struct reel_shape s = {0};
    int64_t total = 1;
    for (int i = 0; i < EINSUM_LABELS; i++)
        if (set >> i & 1) {
            s = (struct reel_shape){.ndim = 2, .dim = {total, e->extent[i]}};
            total = reel_shape_count(&s);
            if (total < 0) return -1;
        }
    return total;
}

static void append_set(struct einsum_term *t, uint64_t set)
{
    for (int i = 0; i < EINSUM_LABELS; i++)
        if (set >> i & 1) t->label[t->n++] = i;
}

// Where each label moves in f's memory: 0 for labels it lacks or broadcasts.
static void label_strides(const struct factor *f, const struct einsum *e, int64_t stride[EINSUM_LABELS])
{
    memset(stride, 0, sizeof(int64_t) * EINSUM_LABELS);
    int64_t unit = 1;
    for (int d = f->term.n - 1; d >= 0; d--) {
        int label = f->term.label[d];
        if (f->dim[d] == e->extent[label] && f->dim[d] != 1) stride[label] += unit;
        unit *= f->dim[d];
    }
}

static void add_element(void *to, const void *from, int64_t at, enum reel_dtype dtype)
{
    if (dtype == REEL_F32)
        *(float *)to += ((const float *)from)[at];
    else if (dtype == REEL_F64)
        *(double *)to += ((const double *)from)[at];
    else
        *(uint64_t *)to += ((const uint64_t *)from)[at];
}

// Lays f out along `order`, summing over the labels of `sums`; to has room.
static void lay_out(const struct factor *f, const struct einsum *e, const struct einsum_term *order, uint64_t sums,
                    enum reel_dtype dtype, void *to)
{
    struct einsum_term all = *order;
    append_set(&all, sums);
    int64_t stride[EINSUM_LABELS], at[EINSUM_LABELS] = {0}, offset = 0;
    label_strides(f, e, stride);
    int64_t n = 1, inner = 1;
    for (int i = 0; i < all.n; i++) {
        n *= e->extent[all.label[i]];
        if (i >= order->n) inner *= e->extent[all.label[i]];
    }
    size_t elem = reel_dtype_bytes(dtype);
    if (n == 0 || inner == 0) return;
    memset(to, 0, (size_t)(n / inner) * elem);
    for (int64_t i = 0; i < n; i++) {
        add_element((char *)to + (size_t)(i / inner) * elem, f->p, offset, dtype);
        for (int d = all.n - 1; d >= 0; d--) {
            offset += stride[all.label[d]];
            if (++at[d] < e->extent[all.label[d]]) break;
            offset -= stride[all.label[d]] * e->extent[all.label[d]];
            at[d] = 0;
        }
    }
}

// z = a b summed over labels in neither the result nor a later operand (keep).
static enum reel_err contract(const struct einsum *e, const struct factor *a, const struct factor *b, uint64_t keep,
                              enum reel_dtype dtype, struct factor *out_z)
{
    uint64_t in_a = label_set(&a->term), in_b = label_set(&b->term), both = in_a & in_b;
    uint64_t batch = both & keep, inner = both & ~keep, rows = in_a & keep & ~in_b, cols = in_b & keep & ~in_a;
    struct einsum_term order_a = {0}, order_b = {0};
    append_set(&order_a, batch), append_set(&order_a, rows), append_set(&order_a, inner);
    append_set(&order_b, batch), append_set(&order_b, inner), append_set(&order_b, cols);
    *out_z = (struct factor){0};
    append_set(&out_z->term, batch), append_set(&out_z->term, rows), append_set(&out_z->term, cols);
    for (int i = 0; i < out_z->term.n; i++) out_z->dim[i] = e->extent[out_z->term.label[i]];
    int64_t nb = set_volume(e, batch), m = set_volume(e, rows), n = set_volume(e, cols), k = set_volume(e, inner);
    int64_t va = set_volume(e, batch | rows | inner), vb = set_volume(e, batch | inner | cols);
    int64_t vz = set_volume(e, batch | rows | cols);
    if (va < 0 || vb < 0 || vz < 0) return reel_fail(REEL_ERR_LIMIT, "an intermediate result is too large");
    size_t elem = reel_dtype_bytes(dtype);
    char *pa = work_alloc(va, elem), *pb = work_alloc(vb, elem), *pz = work_alloc(vz, elem);
    enum reel_err err = pa && pb && pz ? REEL_OK : REEL_ERR_NOMEM;
    if (!err) {
        uint64_t only_a = in_a & ~in_b & ~keep, only_b = in_b & ~in_a & ~keep;
        if (set_volume(e, only_a) == 0) memset(pa, 0, (size_t)va * elem);
        if (set_volume(e, only_b) == 0) memset(pb, 0, (size_t)vb * elem);
        lay_out(a, e, &order_a, only_a, dtype, pa);
        lay_out(b, e, &order_b, only_b, dtype, pb);
    }
    for (int64_t i = 0; !err && i < nb; i++)
        err = mat_mul(dtype, m, n, k, (struct mat){pa + (size_t)(i * m * k) * elem, k, 1},
                      (struct mat){pb + (size_t)(i * k * n) * elem, n, 1}, pz + (size_t)(i * m * n) * elem, n, false);
    free(pa), free(pb);
    if (err) {
        free(pz);
        return err;
    }
    out_z->p = out_z->owned = pz;
    return REEL_OK;
}

static enum reel_err einsum_run(const struct einsum *e, const struct work *in, const struct op_call *call,
                                enum reel_dtype dtype, void *to)
{
    struct factor acc = {.term = e->in[0], .p = in[0].p};
    for (int d = 0; d < acc.term.n; d++) acc.dim[d] = call->in[0]->shape.dim[d];
    enum reel_err err = REEL_OK;
    for (int i = 1; !err && i < e->n_in; i++) {
        struct factor next = {.term = e->in[i], .p = in[i].p}, z;
        for (int d = 0; d < next.term.n; d++) next.dim[d] = call->in[i]->shape.dim[d];
        uint64_t keep = label_set(&e->out);
        for (int k = i + 1; k < e->n_in; k++) keep |= label_set(&e->in[k]);
        err = contract(e, &acc, &next, keep, dtype, &z);
        free(acc.owned);
        acc = err ? (struct factor){0} : z;
    }
    uint64_t out_set = label_set(&e->out);
    int64_t n = set_volume(e, out_set);
    if (!err && n > 0 && set_volume(e, label_set(&acc.term) & ~out_set) == 0)
        memset(to, 0, (size_t)n * reel_dtype_bytes(dtype));
    if (!err) lay_out(&acc, e, &e->out, label_set(&acc.term) & ~out_set, dtype, to);
    free(acc.owned);
    return err;
}

static enum reel_err einsum_eval(const struct op_call *call)
{
    struct einsum e;
    struct reel_shape shape = {0};
    enum reel_err err = einsum_open(call, &e, &shape);
    if (err || !call_out(call, 0)) {
        free(e.in);
        return err;
    }
    enum reel_dtype stored = call->in[0]->dtype;
    enum reel_dtype dtype = reel_dtype_is_float(stored) ? work_dtype(stored) : stored == REEL_U64 ? REEL_U64 : REEL_I64;
    struct work *in = calloc((size_t)call->n_in + 1, sizeof *in), y = {0};
    if (!in) err = reel_fail(REEL_ERR_NOMEM, "no memory for the operands");
    if (!err) err = op_alloc_out(call, 0, stored, &shape);
    for (int i = 0; !err && i < call->n_in; i++) err = work_in(&in[i], call->in[i], dtype);
    if (!err) err = work_out(&y, call->out[0], dtype);
    if (!err) err = einsum_run(&e, in, call, dtype, y.p);
    if (!err) work_commit(&y);
    for (int i = 0; in && i < call->n_in; i++) work_fini(&in[i]);
    work_fini(&y);
    free(in);
    free(e.in);
    return err;
}

// ---- Det (11) -----------------------------------------------------------

static enum reel_err det_shape(const struct op_call *call, struct reel_shape *out_shape)
{
    const struct reel_shape *s = &call->in[0]->shape;
    *out_shape = *s;
    if (s->ndim < 0) return REEL_OK;
    if (s->ndim < 2 || s->dim[s->ndim - 1] != s->dim[s->ndim - 2])
        return reel_fail(REEL_ERR_INPUT, "the input is not made of square matrices");
    out_shape->ndim -= 2;
    return REEL_OK;
}

static enum reel_err det_infer(const struct op_call *call)
{
    struct reel_shape shape = {0};
    enum reel_err err = det_shape(call, &shape);
    if (err) return err;
    infer_out(call, 0, call->in[0]->dtype, &shape);
    return REEL_OK;
}

// Gaussian elimination with row pivots; destroys a.
static double determinant(double *a, int64_t n)
{
    double det = 1.0;
    for (int64_t c = 0; c < n; c++) {
        int64_t pivot = c;
        for (int64_t r = c + 1; r < n; r++)
            if (fabs(a[r * n + c]) > fabs(a[pivot * n + c])) pivot = r;
        if (a[pivot * n + c] == 0.0) return 0.0;
        if (pivot != c) det = -det;
        for (int64_t i = c; i < n && pivot != c; i++) {
            double t = a[c * n + i];
            a[c * n + i] = a[pivot * n + i];
            a[pivot * n + i] = t;
        }
        det *= a[c * n + c];
        for (int64_t r = c + 1; r < n; r++) {
            double f = a[r * n + c] / a[c * n + c];
            for (int64_t i = c; i < n; i++) a[r * n + i] -= f * a[c * n + i];
        }
    }
    return det;
}

static enum reel_err det_eval(const struct op_call *call)
{
    struct reel_shape shape = {0};
    enum reel_err err = det_shape(call, &shape);
    if (err || !call_out(call, 0)) return err;
    int64_t n = call->in[0]->shape.dim[shape.ndim], count = reel_shape_count(&shape);
    struct work x = {0}, y = {0};
    double *a = NULL;
    err = op_alloc_out(call, 0, call->in[0]->dtype, &shape);
    if (!err) err = work_in(&x, call->in[0], REEL_F64);
    if (!err) err = work_out(&y, call->out[0], REEL_F64);
    if (!err && !(a = work_alloc(n * n, sizeof *a))) err = REEL_ERR_NOMEM;
    for (int64_t i = 0; !err && i < count; i++) {
        if (n) memcpy(a, (double *)x.p + i * n * n, sizeof *a * (size_t)(n * n));
        ((double *)y.p)[i] = determinant(a, n);
    }
    if (!err) work_commit(&y);
    free(a);
    work_fini(&x), work_fini(&y);
    return err;
}

// ---- table --------------------------------------------------------------

const struct op_def ops_einsum[] = {
    {"", "Einsum", 12, OPSET_LAST, 1, -1, 1, 1, TYPES_NUM, 0, einsum_infer, einsum_eval, NULL},
    {"", "Det", 11, OPSET_LAST, 1, 1, 1, 1, TYPES_FLOAT, 0, det_infer, det_eval, NULL},
};
const int ops_einsum_count = sizeof ops_einsum / sizeof ops_einsum[0];

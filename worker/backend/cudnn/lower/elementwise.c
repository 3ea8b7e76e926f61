// SPDX-License-Identifier: MIT
//
// Pointwise operators -> chains of steps: one kernel a node, in whatever form
// the main operand lies, every other operand read by its own strides. Epilogues
// of convolutions and products become chains here too.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "worker/backend/cudnn/program.h"

// ---- operators -----------------------------------------------------------------------

struct unary {
    const char *name;
    enum gpu_op op;
    const char *alpha, *beta;
    float alpha_absent, beta_absent;
};

static const struct unary unaries[] = {
    {"Relu", GPU_OP_RELU, NULL, NULL, 0, 0},
    {"LeakyRelu", GPU_OP_LEAKY, "alpha", NULL, 0.01f, 0},
    {"Sigmoid", GPU_OP_SIGMOID, NULL, NULL, 0, 0},
    {"Tanh", GPU_OP_TANH, NULL, NULL, 0, 0},
    {"HardSwish", GPU_OP_HSWISH, NULL, NULL, 0, 0},
    {"HardSigmoid", GPU_OP_HSIGMOID, "alpha", "beta", 0.2f, 0.5f},
    {"Elu", GPU_OP_ELU, "alpha", NULL, 1, 0},
    {"Selu", GPU_OP_SELU, "alpha", "gamma", 1.67326319217681884765625f, 1.05070102214813232421875f},
    {"Celu", GPU_OP_CELU, "alpha", NULL, 1, 0},
    {"ThresholdedRelu", GPU_OP_THRESHOLDED, "alpha", NULL, 1, 0},
    {"Mish", GPU_OP_MISH, NULL, NULL, 0, 0},
    {"Abs", GPU_OP_ABS, NULL, NULL, 0, 0},
    {"Neg", GPU_OP_NEG, NULL, NULL, 0, 0},
    {"Sqrt", GPU_OP_SQRT, NULL, NULL, 0, 0},
    {"Reciprocal", GPU_OP_RECIPROCAL, NULL, NULL, 0, 0},
    {"Exp", GPU_OP_EXP, NULL, NULL, 0, 0},
    {"Log", GPU_OP_LOG, NULL, NULL, 0, 0},
    {"Erf", GPU_OP_ERF, NULL, NULL, 0, 0},
    {"Floor", GPU_OP_FLOOR, NULL, NULL, 0, 0},
    {"Ceil", GPU_OP_CEIL, NULL, NULL, 0, 0},
    {"Round", GPU_OP_ROUND, NULL, NULL, 0, 0},
    {"Sin", GPU_OP_SIN, NULL, NULL, 0, 0},
    {"Cos", GPU_OP_COS, NULL, NULL, 0, 0},
    {"Sign", GPU_OP_SIGN, NULL, NULL, 0, 0},
    {"Softplus", GPU_OP_SOFTPLUS, NULL, NULL, 0, 0},
    {"Softsign", GPU_OP_SOFTSIGN, NULL, NULL, 0, 0},
    {"Not", GPU_OP_NOT, NULL, NULL, 0, 0},
    {"Swish", GPU_OP_SWISH, "alpha", NULL, 1, 0},
    {"QuickGelu", GPU_OP_SWISH, "alpha", NULL, 1.702f, 0}, // of com.microsoft
    {"Shrink", GPU_OP_SHRINK, "lambd", "bias", 0.5f, 0},
    {"Tan", GPU_OP_TAN, NULL, NULL, 0, 0},
    {"Asin", GPU_OP_ASIN, NULL, NULL, 0, 0},
    {"Acos", GPU_OP_ACOS, NULL, NULL, 0, 0},
    {"Atan", GPU_OP_ATAN, NULL, NULL, 0, 0},
    {"Sinh", GPU_OP_SINH, NULL, NULL, 0, 0},
    {"Cosh", GPU_OP_COSH, NULL, NULL, 0, 0},
    {"Asinh", GPU_OP_ASINH, NULL, NULL, 0, 0},
    {"Acosh", GPU_OP_ACOSH, NULL, NULL, 0, 0},
    {"Atanh", GPU_OP_ATANH, NULL, NULL, 0, 0},
    {"IsNaN", GPU_OP_IS_NAN, NULL, NULL, 0, 0},
};

static const struct binary {
    const char *name;
    enum gpu_op op, swapped; // swapped: the operator if the second operand is the main one
    bool variadic;
} binaries[] = {
    {"Add", GPU_OP_ADD, GPU_OP_ADD, false},   {"Sub", GPU_OP_SUB, GPU_OP_RSUB, false},
    {"Mul", GPU_OP_MUL, GPU_OP_MUL, false},   {"Div", GPU_OP_DIV, GPU_OP_RDIV, false},
    {"Pow", GPU_OP_POW, GPU_OP_RPOW, false},  {"Max", GPU_OP_MAX, GPU_OP_MAX, true},
    {"Min", GPU_OP_MIN, GPU_OP_MIN, true},    {"Sum", GPU_OP_ADD, GPU_OP_ADD, true},
    {"Mean", GPU_OP_ADD, GPU_OP_ADD, true},   {"Equal", GPU_OP_EQ, GPU_OP_EQ, false},
    {"Greater", GPU_OP_GT, GPU_OP_LT, false}, {"GreaterOrEqual", GPU_OP_GE, GPU_OP_LE, false},
    {"Less", GPU_OP_LT, GPU_OP_GT, false},    {"LessOrEqual", GPU_OP_LE, GPU_OP_GE, false},
    {"And", GPU_OP_AND, GPU_OP_AND, false},   {"Or", GPU_OP_OR, GPU_OP_OR, false},
    {"Xor", GPU_OP_XOR, GPU_OP_XOR, false},
};

static enum gpu_op op_of_epilogue(enum epilogue_kind kind)
{
    static const enum gpu_op ops[] = {
        [EPILOGUE_ADD] = GPU_OP_ADD,
        [EPILOGUE_MUL] = GPU_OP_MUL,
        [EPILOGUE_RELU] = GPU_OP_RELU,
        [EPILOGUE_LEAKY] = GPU_OP_LEAKY,
        [EPILOGUE_PRELU] = GPU_OP_PRELU,
        [EPILOGUE_CLIP] = GPU_OP_CLIP,
        [EPILOGUE_SIGMOID] = GPU_OP_SIGMOID,
        [EPILOGUE_TANH] = GPU_OP_TANH,
        [EPILOGUE_SILU] = GPU_OP_SILU,
        [EPILOGUE_HSWISH] = GPU_OP_HSWISH,
        [EPILOGUE_HSIGMOID] = GPU_OP_HSIGMOID,
        [EPILOGUE_GELU_ERF] = GPU_OP_GELU_ERF,
        [EPILOGUE_GELU_TANH] = GPU_OP_GELU_TANH,
        [EPILOGUE_ELU] = GPU_OP_ELU,
        [EPILOGUE_MISH] = GPU_OP_MISH,
    };
    return ops[kind];
}

// ---- a node's chain --------------------------------------------------------------------

bool gpu_pointwise_step(struct pointwise *plan, enum gpu_op op, float alpha, float beta)
{
    if (plan->chain.n == GPU_CHAIN_MAX) return false;
    plan->chain.step[plan->chain.n++] = (struct gpu_chain_step){op, -1, alpha, beta};
    return true;
}

bool gpu_pointwise_operand(struct lowered *p, struct pointwise *plan, enum gpu_op op, const struct value *other)
{
    float number;
    if (plan->chain.n == GPU_CHAIN_MAX) return false;
    if (gpu_const_scalar(p, other, &number) && (reel_dtype_is_float(other->constant->dtype) || op == GPU_OP_POW))
        return gpu_pointwise_step(plan, op, number, 0); // operand -1: alpha takes its place
    if (plan->chain.n_operands == GPU_OPERANDS) return false;
    plan->operand[plan->chain.n_operands] = other;
    plan->chain.step[plan->chain.n++] = (struct gpu_chain_step){op, plan->chain.n_operands++, 0, 0};
    return true;
}

// Whether arithmetic in float gives exactly this value's numbers.
static bool readable(const struct info *i)
{
    return i->dtype == REEL_F32 || i->dtype == REEL_BOOL;
}

static bool plan_clip(struct lowered *p, const struct node *node, struct pointwise *plan)
{
    float lo = node_attr_float(node, "min", -INFINITY), hi = node_attr_float(node, "max", INFINITY);
    if (node->n_in > 1 && node->in[1] && !gpu_const_scalar(p, node->in[1], &lo)) return false;
    if (node->n_in > 2 && node->in[2] && !gpu_const_scalar(p, node->in[2], &hi)) return false;
    return lo <= hi && gpu_pointwise_step(plan, GPU_OP_CLIP, lo, hi);
}

// com.microsoft's Gelu with a bias; FastGelu's bias is optional.
static bool plan_bias_gelu(struct lowered *p, const struct node *node, struct pointwise *plan)
{
    const bool fast = node_is(node, "FastGelu"), bias = node->n_in > 1 && node->in[1];
    if (!fast && !bias) return false;
    return (!bias || gpu_pointwise_operand(p, plan, GPU_OP_ADD, node->in[1])) &&
           gpu_pointwise_step(plan, fast ? GPU_OP_GELU_TANH : GPU_OP_GELU_ERF, 0, 0);
}

static bool plan_unary(struct lowered *p, const struct node *node, struct pointwise *plan)
{
    plan->main = node->in[0];
    if (node_is(node, "Clip")) return plan_clip(p, node, plan);
    if (node_is(node, "FastGelu") || node_is(node, "BiasGelu")) return plan_bias_gelu(p, node, plan);
    if (node_is(node, "IsInf"))
        return gpu_pointwise_step(plan, GPU_OP_IS_INF, node_attr_int(node, "detect_negative", 1) != 0,
                                  node_attr_int(node, "detect_positive", 1) != 0);
    if (node_is(node, "Mod")) // for floats it is C's fmod
        return node->n_in == 2 && node_attr_int(node, "fmod", 0) &&
               gpu_pointwise_operand(p, plan, GPU_OP_MOD, node->in[1]);
    if (node_is(node, "Affine")) // deprecated since opset 1
        return gpu_pointwise_step(plan, GPU_OP_AFFINE, node_attr_float(node, "alpha", 1),
                                  node_attr_float(node, "beta", 0));
    if (node_is(node, "ScaledTanh")) // deprecated since opset 1
        return gpu_pointwise_step(plan, GPU_OP_AFFINE, node_attr_float(node, "beta", 0), 0) &&
               gpu_pointwise_step(plan, GPU_OP_TANH, 0, 0) &&
               gpu_pointwise_step(plan, GPU_OP_AFFINE, node_attr_float(node, "alpha", 0), 0);
    if (node_is(node, "ParametricSoftplus"))
        return gpu_pointwise_step(plan, GPU_OP_AFFINE, node_attr_float(node, "beta", 0), 0) &&
               gpu_pointwise_step(plan, GPU_OP_SOFTPLUS, 0, 0) &&
               gpu_pointwise_step(plan, GPU_OP_AFFINE, node_attr_float(node, "alpha", 0), 0);
    if (node_is(node, "Gelu")) {
        const bool tanh = !strcmp(node_attr_string(node, "approximate", "none"), "tanh");
        return gpu_pointwise_step(plan, tanh ? GPU_OP_GELU_TANH : GPU_OP_GELU_ERF, 0, 0);
    }
    for (size_t i = 0; i < sizeof unaries / sizeof *unaries; i++) {
        const struct unary *u = &unaries[i];
        if (!node_is(node, u->name)) continue;
        return gpu_pointwise_step(plan, u->op, u->alpha ? node_attr_float(node, u->alpha, u->alpha_absent) : 0,
                                  u->beta ? node_attr_float(node, u->beta, u->beta_absent) : 0);
    }
    return false;
}

static bool full(const struct lowered *p, const struct value *v, const struct info *out)
{
    const struct info *i = info_of(p, v);
    return !v->constant && reel_shape_equal(&i->shape, &out->shape);
}

static bool plan_binary(struct lowered *p, const struct node *node, const struct info *out, struct pointwise *plan)
{
    if (node_is(node, "PRelu")) {
        plan->main = node->in[0];
        return node->n_in == 2 && gpu_pointwise_operand(p, plan, GPU_OP_PRELU, node->in[1]);
    }
    for (size_t i = 0; i < sizeof binaries / sizeof *binaries; i++) {
        const struct binary *b = &binaries[i];
        if (!node_is(node, b->name)) continue;
        if (b->variadic) {
            plan->main = node->in[0];
            for (int k = 1; k < node->n_in; k++)
                if (!node->in[k] || !gpu_pointwise_operand(p, plan, b->op, node->in[k])) return false;
            return !node_is(node, "Mean") || gpu_pointwise_step(plan, GPU_OP_DIV, (float)node->n_in, 0);
        }
        if (node->n_in != 2 || node->opset < 7 || !node->in[1]) return false;
        const bool swap = !full(p, node->in[0], out) && full(p, node->in[1], out);
        plan->main = node->in[swap ? 1 : 0];
        return gpu_pointwise_operand(p, plan, swap ? b->swapped : b->op, node->in[swap ? 0 : 1]);
    }
    return false;
}

static bool plan_where(struct lowered *p, const struct node *node, struct pointwise *plan)
{
    if (!node_is(node, "Where") || node->n_in != 3) return false;
    plan->main = node->in[1];
    return gpu_pointwise_operand(p, plan, GPU_OP_SELECT, node->in[0]) && plan->chain.n == 1 &&
           plan->chain.step[0].operand == 0 && gpu_pointwise_operand(p, plan, GPU_OP_ELSE, node->in[2]);
}

// x * s[c] + t[c] with constants a channel: BatchNormalization that no convolution
// took, ImageScaler (deprecated, opset 1). s and t are 2 x c floats; NULL when the
// node is neither, or something of it is not constant.
static float *scale_and_shift(struct lowered *p, const struct node *node, int64_t c)
{
    float *s = gpu_lower_alloc(p, 2 * (size_t)c * sizeof *s);
    if (!s) return NULL;
    if (node_is(node, "ImageScaler")) {
        const float *bias = NULL;
        const int n = node_attr_floats(node, "bias", &bias);
        if (n != 0 && n != c) return NULL;
        for (int64_t i = 0; i < c; i++) {
            s[i] = node_attr_float(node, "scale", 1);
            s[c + i] = n ? bias[i] : 0;
        }
        return s;
    }
    const float *in[4];
    if (node->n_in < 5 || node_attr_int(node, "training_mode", 0)) return NULL;
    for (int i = 0; i < 4; i++)
        if (!(in[i] = gpu_const_floats(p, node->in[i + 1])) || info_of(p, node->in[i + 1])->count != c) return NULL;
    const float epsilon = node_attr_float(node, "epsilon", 1e-5f);
    for (int64_t i = 0; i < c; i++) {
        s[i] = (float)((double)in[0][i] / sqrt((double)in[3][i] + (double)epsilon));
        s[c + i] = (float)((double)in[1][i] - (double)in[2][i] * (double)s[i]);
    }
    return s;
}

static enum reel_err scale_operands(struct lowered *p, const float *s, int64_t c, struct ref *operand,
                                    struct gpu_chain *chain)
{
    for (int i = 0; i < 2; i++) {
        enum reel_err err = gpu_make_constant_floats(p, s + i * c, c, c, GPU_ELEM_F32, &operand[i]);
        if (err) return err;
        chain->operand[i].elem = GPU_ELEM_F32;
        chain->step[i] = (struct gpu_chain_step){i ? GPU_OP_ADD : GPU_OP_MUL, i, 0, 0};
    }
    chain->n = chain->n_operands = 2;
    return REEL_OK;
}

// ---- emitting --------------------------------------------------------------------------

// Strides with which a value of shape `s` is seen as having the shape of out, from its own strides.
static void through(const struct reel_shape *s, const int64_t *stride, const struct reel_shape *out, int64_t *to)
{
    const int less = out->ndim - s->ndim;
    for (int d = 0; d < out->ndim; d++) to[d] = d < less || s->dim[d - less] == 1 ? 0 : stride[d - less];
}

static void swap_dims(struct gpu_elementwise *e, int a, int b)
{
#define SWAP(type, array)        \
    do {                         \
        const type t = array[a]; \
        array[a] = array[b];     \
        array[b] = t;            \
    } while (0)
    SWAP(int32_t, e->extent);
    SWAP(int64_t, e->x_stride);
    SWAP(int64_t, e->y_stride);
    for (int k = 0; k < GPU_OPERANDS; k++) SWAP(int64_t, e->operand_stride[k]);
#undef SWAP
}

static bool mergeable(const struct gpu_elementwise *e, int d)
{
    const int64_t n = e->extent[d + 1];
    if ((int64_t)e->extent[d] * n > INT32_MAX) return false;
    bool ok = e->x_stride[d] == e->x_stride[d + 1] * n && e->y_stride[d] == e->y_stride[d + 1] * n;
    for (int k = 0; k < e->chain.n_operands; k++) ok = ok && e->operand_stride[k][d] == e->operand_stride[k][d + 1] * n;
    return ok;
}

static void drop_dim(struct gpu_elementwise *e, int d)
{
    for (int i = d; i + 1 < e->n_dims; i++) swap_dims(e, i, i + 1);
    e->n_dims--;
}

// Sorts the dimensions in the order of the result's memory and merges those that all agree on. The last one
// gets the padding lanes.
static void tidy(struct gpu_elementwise *e, int padding)
{
    for (int d = e->n_dims - 1; d >= 0; d--)
        if (e->extent[d] == 1 && !(padding && e->y_stride[d] == 1)) drop_dim(e, d);
    for (int i = 1; i < e->n_dims; i++)
        for (int k = i; k > 0 && e->y_stride[k - 1] < e->y_stride[k]; k--) swap_dims(e, k - 1, k);
    for (int d = e->n_dims - 2; d >= 0; d--) {
        if ((padding && d == e->n_dims - 2) || !mergeable(e, d)) continue;
        e->extent[d + 1] *= e->extent[d];
        drop_dim(e, d);
    }
    if (!e->n_dims) {
        e->n_dims = 1;
        e->extent[0] = 1;
        e->x_stride[0] = e->y_stride[0] = 1;
        for (int k = 0; k < GPU_OPERANDS; k++) e->operand_stride[k][0] = 0;
    }
    e->last = e->extent[e->n_dims - 1];
    e->extent[e->n_dims - 1] += padding;
}

static bool fits(const struct reel_shape *s)
{
    for (int d = 0; d < s->ndim; d++)
        if (s->dim[d] > INT32_MAX) return false;
    return true;
}

// ---- deferred results (DepthToSpace, Resize) ----------------------------------------

// The value that is read in the place of v.
static const struct info *source_of(const struct lowered *p, const struct value *v)
{
    const struct info *i = info_of(p, v);
    return i->deferred.from ? info_of(p, i->deferred.from) : i;
}

static enum form_kind form_beside(const struct lowered *p, const struct value *v)
{
    return v->constant ? FORM_PLAIN : gpu_best_form(p, source_of(p, v));
}

bool gpu_deferrable(const struct lowered *p, const struct node *node, int factor)
{
    const struct value *v = node->out[0];
    // A value that receives rows from neighbouring bands must exist in memory.
    const bool made = node->n_epilogue || v->halo.rows;
    const struct node *reader = made ? NULL : graph_only_consumer(p->graph, v);
    if (!reader || *reader->domain || reader->n_in != 2 || reader->n_epilogue || reader->opset < 7) return false;
    if (!node_is(reader, "Add") && !node_is(reader, "Sub") && !node_is(reader, "Mul")) return false;
    const struct info *out = info_of(p, v);
    if (info_of(p, reader->out[0])->not_made) return false;
    for (int i = 0; i < 2; i++) {
        const struct info *in = info_of(p, reader->in[i]);
        if (!full(p, reader->in[i], out) || !in->image || in->dtype != REEL_F32) return false;
        if (in->deferred.from && in->deferred.factor != factor) return false;
    }
    return reader->in[0] != reader->in[1] && info_of(p, reader->out[0])->dtype == REEL_F32;
}

void gpu_defer(struct lowered *p, const struct node *node, int factor, int kind)
{
    info_of(p, node->out[0])->deferred = (struct deferred){.from = node->in[0], .factor = factor};
    info_of(p, node->out[0])->deferred.kind = kind;
}

// Turns strides over (n, c, h, w) into strides over (n, c, h / f, f, w / f, f).
static void split(int64_t *s, int64_t factor)
{
    const int64_t h = s[2], w = s[3];
    s[2] = h * factor, s[3] = h, s[4] = w * factor, s[5] = w;
}

// Strides of v seen as out, in the form `kind` if v has out's shape. factor > 0: over the split dimensions.
static enum reel_err operand_view(struct lowered *p, const struct value *v, const struct info *out, enum form_kind kind,
                                  int factor, struct view *view, int64_t *to)
{
    const struct info *i = info_of(p, v);
    enum reel_err err;
    if (i->deferred.from) {
        err = gpu_need_view(p, i->deferred.from, view);
        const int64_t *s = view->stride, b = factor, c = i->shape.dim[1];
        to[0] = s[0], to[2] = s[2], to[4] = s[3];
        to[1] = i->deferred.kind == DEFER_CRD ? s[1] * b * b : s[1];
        to[3] = i->deferred.kind == DEFER_CRD ? s[1] * b : i->deferred.kind == DEFER_DCR ? s[1] * c * b : 0;
        to[5] = i->deferred.kind == DEFER_CRD ? s[1] : i->deferred.kind == DEFER_DCR ? s[1] * c : 0;
        return err;
    }
    // an operand of full size in another form is converted to the result's form once, for all its
    // readers
    const bool whole = full(p, v, out) && i->dtype == REEL_F32 && out->dtype == REEL_F32;
    err = whole ? gpu_need_view_in(p, v, kind, view) : gpu_need_view(p, v, view);
    through(&i->shape, view->stride, &out->shape, to);
    if (factor) split(to, factor);
    return err;
}

enum reel_err gpu_pointwise_emit(struct lowered *p, const struct node *node, const char *label,
                                 const struct pointwise *plan, const struct value *to)
{
    const struct info *out = info_of(p, to);
    struct view x, y, other[GPU_OPERANDS];
    enum form_kind beside = form_beside(p, plan->main);
    // Numbers of another type lie row by row, while the pictures that they become do not.
    if (info_of(p, plan->main)->dtype != REEL_F32 && out->image) beside = FORM_IMAGE;
    int factor = info_of(p, plan->main)->deferred.factor;
    for (int k = 0; k < plan->chain.n_operands; k++) {
        const struct value *v = plan->operand[k];
        if (info_of(p, v)->deferred.from) factor = info_of(p, v)->deferred.factor;
        if (beside == FORM_IMAGE || !full(p, v, out) || info_of(p, v)->dtype != REEL_F32) continue;
        const enum form_kind best = form_beside(p, v);
        if (gpu_has_form(source_of(p, v), best) && (best == FORM_IMAGE || beside == FORM_PLAIN)) beside = best;
    }
    const enum form_kind kind = gpu_result_form(p, out, beside);
    struct gpu_elementwise e = {.n_dims = out->shape.ndim + (factor ? 2 : 0), .chain = plan->chain};
    enum reel_err err = operand_view(p, plan->main, out, kind, factor, &x, e.x_stride);
    for (int k = 0; k < plan->chain.n_operands && !err; k++) {
        if (!plan->along[k])
            err = operand_view(p, plan->operand[k], out, kind, factor, &other[k], e.operand_stride[k]);
        else if (!(err = gpu_need_view(p, plan->operand[k], &other[k])))
            e.operand_stride[k][plan->along[k] - 1] = other[k].stride[0];
    }
    if (!err) err = gpu_make_view(p, to, kind, &y);
    struct step *s = err ? NULL : gpu_add_step(p, STEP_ELEMENTWISE, node, label);
    if (!s) return err ? err : gpu_no_memory(node);
    e.x_elem = x.elem;
    e.y_elem = y.elem;
    for (int d = 0; d < out->shape.ndim; d++) {
        e.extent[d] = (int32_t)out->shape.dim[d];
        e.y_stride[d] = y.stride[d];
    }
    if (factor) {
        const int32_t h = e.extent[2] / factor, w = e.extent[3] / factor;
        e.extent[2] = h, e.extent[3] = factor, e.extent[4] = w, e.extent[5] = factor;
        split(e.y_stride, factor);
    }
    for (int k = 0; k < plan->chain.n_operands; k++) {
        e.chain.operand[k].elem = other[k].elem;
        s->operand[k] = other[k].at;
    }
    tidy(&e, kind == FORM_IMAGE ? out->pitch - out->c : 0);
    s->u.elementwise = e;
    s->x = x.at;
    s->y = y.at;
    gpu_touch_last(p);
    return REEL_OK;
}

enum reel_err gpu_pointwise_onto(struct lowered *p, const struct node *node, const char *label,
                                 const struct pointwise *plan, const struct value *v)
{
    struct info *i = info_of(p, v);
    const enum form_kind kind = gpu_best_form(p, i);
    enum reel_err err = gpu_pointwise_emit(p, node, label, plan, v);
    for (int k = 0; k < FORMS && !err; k++) // forms from before must not be read any more
        if (k != (int)kind) i->form[k] = REF_NONE;
    return err;
}

static enum reel_err lower_scale(struct lowered *p, const struct node *node, bool *out_done)
{
    struct ref operand[2];
    struct gpu_chain chain = {0};
    const struct info *out = info_of(p, node->out[0]);
    const float *numbers = out->shape.ndim >= 2 ? scale_and_shift(p, node, out->shape.dim[1]) : NULL;
    if (!numbers) return REEL_OK;
    enum reel_err err = scale_operands(p, numbers, out->shape.dim[1], operand, &chain);
    if (err) return err;
    struct view x, y;
    err = gpu_need_view(p, node->in[0], &x);
    const enum form_kind kind = gpu_result_form(p, out, gpu_best_form(p, info_of(p, node->in[0])));
    if (!err) err = gpu_make_view(p, node->out[0], kind, &y);
    struct step *s = err ? NULL : gpu_add_step(p, STEP_ELEMENTWISE, node, "scale");
    if (!s) return err ? err : gpu_no_memory(node);
    struct gpu_elementwise e = {.n_dims = out->shape.ndim, .chain = chain, .x_elem = x.elem, .y_elem = y.elem};
    for (int d = 0; d < e.n_dims; d++) {
        e.extent[d] = (int32_t)out->shape.dim[d];
        e.x_stride[d] = x.stride[d];
        e.y_stride[d] = y.stride[d];
        e.operand_stride[0][d] = e.operand_stride[1][d] = d == 1;
    }
    tidy(&e, kind == FORM_IMAGE ? out->pitch - out->c : 0);
    s->u.elementwise = e;
    s->x = x.at;
    s->y = y.at;
    s->operand[0] = operand[0];
    s->operand[1] = operand[1];
    gpu_touch_last(p);
    *out_done = true;
    return REEL_OK;
}

// A power with a whole exponent, whatever its type is.
static bool whole_exponent(const struct node *node, int i)
{
    return node_is(node, "Pow") && i == 1 && node->in[1]->constant && reel_tensor_count(node->in[1]->constant) == 1;
}

enum reel_err gpu_lower_elementwise(struct lowered *p, const struct node *node, bool *out_done)
{
    if (node->n_in < 1 || !node->in[0] || !node->out[0] || node->n_epilogue) return REEL_OK;
    const struct info *out = info_of(p, node->out[0]);
    if (!readable(out) || !fits(&out->shape)) return REEL_OK;
    bool device = false;
    for (int i = 0; i < node->n_in; i++) {
        if (!node->in[i]) continue;
        const struct info *in = info_of(p, node->in[i]);
        if ((!readable(in) && !whole_exponent(node, i)) || in->count < 0) return REEL_OK;
        device |= !node->in[i]->constant && !gpu_only_on_host(p, node->in[i]);
    }
    if (!device) return REEL_OK; // small values that are only on the host stay there
    if (node_is(node, "BatchNormalization") || node_is(node, "ImageScaler")) return lower_scale(p, node, out_done);
    struct pointwise plan = {0};
    bool ok = plan_unary(p, node, &plan);
    if (!ok) plan = (struct pointwise){0}, ok = plan_binary(p, node, out, &plan);
    if (!ok) plan = (struct pointwise){0}, ok = plan_where(p, node, &plan);
    if (!ok) return REEL_OK;
    *out_done = true;
    return gpu_pointwise_emit(p, node, node->op_type, &plan, node->out[0]);
}

// ---- epilogues -------------------------------------------------------------------------

static bool per_channel(const struct info *o, const struct info *out, bool columns)
{
    const int channel = columns ? out->shape.ndim - 1 : 1, axis = channel - (out->shape.ndim - o->shape.ndim);
    return axis >= 0 && o->count == out->shape.dim[channel] && o->shape.dim[axis] == o->count;
}

// Adds one step and its operand; *out_ok false: it cannot be part of the chain.
static enum reel_err chain_step(struct lowered *p, const struct epilogue *e, const struct info *out, bool columns,
                                struct gpu_chain *chain, struct ref *operand, bool *out_ok)
{
    struct gpu_chain_step s = {.op = op_of_epilogue(e->kind), .operand = -1, .alpha = e->alpha, .beta = e->beta};
    float number;
    *out_ok = chain->n < GPU_CHAIN_MAX;
    if (*out_ok && e->other && gpu_const_scalar(p, e->other, &number)) {
        s.alpha = number;
    } else if (*out_ok && e->other) {
        const struct info *o = info_of(p, e->other);
        const int k = chain->n_operands;
        enum reel_err err = REEL_OK;
        *out_ok = k < GPU_OPERANDS;
        if (*out_ok && e->other->constant && per_channel(o, out, columns)) {
            const int64_t whole = columns ? o->count : out->pitch;
            const float *f = gpu_const_floats(p, e->other);
            if (!f) return gpu_no_memory(NULL);
            err = gpu_make_constant_floats(p, f, o->count, whole, p->low, &operand[k]);
            chain->operand[k] = (struct gpu_chain_operand){.elem = p->low, .per_channel = true};
        } else if (*out_ok && o->dtype == REEL_F32 && reel_shape_equal(&o->shape, &out->shape) &&
                   (columns || (has_pixels(o) && o->pitch == out->pitch))) {
            const bool part = !columns && gpu_is_part(o);
            err = gpu_need_form(p, e->other, part ? FORM_PART : columns ? FORM_LOW : FORM_IMAGE, &operand[k]);
            chain->operand[k] = (struct gpu_chain_operand){.elem = p->low};
            if (!columns) chain->operand[k].pitch = part ? o->part.pitch : o->pitch;
        } else {
            *out_ok = false;
        }
        if (err) return err;
        s.operand = chain->n_operands++;
    }
    if (*out_ok) chain->step[chain->n++] = s;
    return REEL_OK;
}

static enum reel_err bias_step(struct lowered *p, const struct info *out, bool columns, const float *bias,
                               struct gpu_chain *chain, struct ref *operand)
{
    const int64_t n = columns ? out->shape.dim[out->shape.ndim - 1] : out->c, whole = columns ? n : out->pitch;
    const int k = chain->n_operands++;
    chain->operand[k] = (struct gpu_chain_operand){.elem = p->low, .per_channel = true};
    chain->step[chain->n++] = (struct gpu_chain_step){GPU_OP_ADD, k, 0, 0};
    return gpu_make_constant_floats(p, bias, n, whole, p->low, &operand[k]);
}

enum reel_err gpu_build_chain(struct lowered *p, const struct node *node, const struct info *out, bool columns,
                              const float *bias, struct gpu_chain *chain, struct ref *operand, int *out_left)
{
    enum reel_err err = REEL_OK;
    int i = 0;
    bool ok = true;
    *chain = (struct gpu_chain){0};
    // cuDNN's compiled engines accept conv + residual + bias, but not the other order
    const bool residual = node->n_epilogue && node->epilogue[0].kind == EPILOGUE_ADD && node->epilogue[0].other &&
                          !node->epilogue[0].other->constant;
    if (residual) {
        err = chain_step(p, &node->epilogue[0], out, columns, chain, operand, &ok);
        if (ok) i = 1;
    }
    if (!err && bias) err = bias_step(p, out, columns, bias, chain, operand);
    for (; ok && !err && i < node->n_epilogue; i++) {
        err = chain_step(p, &node->epilogue[i], out, columns, chain, operand, &ok);
        if (!ok) break;
    }
    *out_left = i;
    return err;
}

enum reel_err gpu_finish_epilogue(struct lowered *p, const struct node *node, int from)
{
    const struct value *y = node->out[0];
    for (int i = from; i < node->n_epilogue; i++) {
        const struct epilogue *e = &node->epilogue[i];
        struct pointwise plan = {.main = y};
        const enum gpu_op op = op_of_epilogue(e->kind);
        if (e->other ? !gpu_pointwise_operand(p, &plan, op, e->other)
                     : !gpu_pointwise_step(&plan, op, e->alpha, e->beta))
            return reel_fail(REEL_ERR_FAULT, "could not compile node \"%s\": an operand of its epilogue does not fit",
                             node->name);
        enum reel_err err = gpu_pointwise_onto(p, node, gpu_op_name(op), &plan, y);
        if (err) return err;
    }
    return REEL_OK;
}

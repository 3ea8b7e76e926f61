// SPDX-License-Identifier: MIT
//
// Builds the cuDNN operation graph of a fused pattern; see graph.h.
//
// First the steps become primitive pointwise operations on numbered values
// (emit), then values become tensors and operations descriptors (realise). The
// last operation writes y, all before it virtual tensors of type FLOAT: with
// HALF in between cuDNN 9.19 finds no precompiled kernel.
//
// Two orders matter to it as well: a residual is added before the bias, and a
// clip at 0 is a RELU followed by MIN. Both change at most the rounding of an
// fp32 sum.
#include "worker/backend/cudnn/plan/graph.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

// ---- descriptors ------------------------------------------------------------

enum reel_err plan_desc_new(struct plan_bag *bag, cudnnBackendDescriptorType_t type, cudnnBackendDescriptor_t *out_d)
{
    if (bag->n == PLAN_BAG_MAX)
        return reel_fail(REEL_ERR_LIMIT, "could not make a cuDNN descriptor: %d are in use", bag->n);
    cudnnStatus_t status = bag->api->cudnnBackendCreateDescriptor(type, out_d);
    if (status != CUDNN_STATUS_SUCCESS) return cudnn_api_fail(bag->api, status, "make a cuDNN descriptor");
    bag->d[bag->n++] = *out_d;
    return REEL_OK;
}

enum reel_err plan_desc_set(struct plan_bag *bag, cudnnBackendDescriptor_t d, cudnnBackendAttributeName_t name,
                            cudnnBackendAttributeType_t type, int64_t count, const void *values)
{
    cudnnStatus_t status = bag->api->cudnnBackendSetAttribute(d, name, type, count, values);
    if (status == CUDNN_STATUS_SUCCESS) return REEL_OK;
    char what[64];
    snprintf(what, sizeof what, "set cuDNN attribute %d", (int)name);
    return cudnn_api_fail(bag->api, status, what);
}

enum reel_err plan_desc_finalize(struct plan_bag *bag, cudnnBackendDescriptor_t d, const char *what)
{
    cudnnStatus_t status = bag->api->cudnnBackendFinalize(d);
    return status == CUDNN_STATUS_SUCCESS ? REEL_OK : cudnn_api_fail(bag->api, status, what);
}

void plan_bag_cut(struct plan_bag *bag, int n)
{
    while (bag->n > n) bag->api->cudnnBackendDestroyDescriptor(bag->d[--bag->n]);
}

void plan_bag_fini(struct plan_bag *bag)
{
    plan_bag_cut(bag, 0);
}

// ---- values and primitive operations ------------------------------------------

enum value_kind {
    VALUE_VIRTUAL,
    VALUE_CHANNEL,
    VALUE_TENSOR,
    VALUE_SCALAR,
};

#define MAX_VALUES 64
#define MAX_OPS 40

struct prim_value {
    enum value_kind kind;
    int64_t uid;
    enum gpu_type type;
    int pitch; // of a VALUE_TENSOR
    cudnnBackendDescriptor_t desc;
};

struct prim_op {
    cudnnPointwiseMode_t mode;
    int a, b;    // values; b < 0 for operators with one operand
    int out;     // value
    float alpha; // slope of LeakyReLU, alpha of ELU; NAN: the mode's default
};

struct builder {
    struct plan_graph *graph;
    const struct gpu_pattern *p;
    int n_values, n_ops;
    struct prim_value value[MAX_VALUES]; // value 0 is the main operation's result
    struct prim_op op[MAX_OPS];
};

static int add_value(struct builder *b, enum value_kind kind, int64_t uid, enum gpu_type type)
{
    if (b->n_values == MAX_VALUES) return 0; // this cannot happen, since a step makes at most 7
    b->value[b->n_values] = (struct prim_value){.kind = kind, .uid = uid, .type = type};
    return b->n_values++;
}

static int add_virtual(struct builder *b)
{
    return add_value(b, VALUE_VIRTUAL, PLAN_UID_VIRTUAL + b->n_values, GPU_F32);
}

static int add_scalar(struct builder *b, float x)
{
    struct plan_graph *g = b->graph;
    g->scalar[g->n_scalars] = x;
    return add_value(b, VALUE_SCALAR, PLAN_UID_SCALAR + g->n_scalars++, GPU_F32);
}

static int emit_with(struct builder *b, cudnnPointwiseMode_t mode, int x, int y, float alpha)
{
    int out = add_virtual(b);
    b->op[b->n_ops++] = (struct prim_op){mode, x, y, out, alpha};
    return out;
}

static int emit(struct builder *b, cudnnPointwiseMode_t mode, int x, int y)
{
    return emit_with(b, mode, x, y, NAN);
}

static int emit_clip(struct builder *b, int x, float lo, float hi)
{
    if (lo == 0)
        x = emit(b, CUDNN_POINTWISE_RELU_FWD, x, -1);
    else if (lo > -3.0e38f)
        x = emit(b, CUDNN_POINTWISE_MAX, x, add_scalar(b, lo));
    if (hi < 3.0e38f) x = emit(b, CUDNN_POINTWISE_MIN, x, add_scalar(b, hi));
    return x;
}

// clip(alpha x + beta, 0, 1): ONNX HardSigmoid, opset 6.
static int emit_hsigmoid(struct builder *b, int x, float alpha, float beta)
{
    x = emit(b, CUDNN_POINTWISE_MUL, x, add_scalar(b, alpha));
    x = emit(b, CUDNN_POINTWISE_ADD, x, add_scalar(b, beta));
    return emit_clip(b, x, 0, 1);
}

// The second operand of step i, as a value.
static int operand_value(struct builder *b, int i)
{
    const struct gpu_step *s = &b->p->step[i];
    if (s->operand == GPU_OPERAND_SCALAR) return add_scalar(b, s->alpha);
    return add_value(b, s->operand == GPU_OPERAND_CHANNEL ? VALUE_CHANNEL : VALUE_TENSOR, PLAN_UID_OPERAND + i,
                     s->type);
}

static int emit_step(struct builder *b, int x, int i)
{
    const struct gpu_step *s = &b->p->step[i];
    switch (s->kind) {
    case EPILOGUE_ADD:
        return emit(b, CUDNN_POINTWISE_ADD, x, operand_value(b, i));
    case EPILOGUE_MUL:
        return emit(b, CUDNN_POINTWISE_MUL, x, operand_value(b, i));
    case EPILOGUE_RELU:
        return emit(b, CUDNN_POINTWISE_RELU_FWD, x, -1);
    case EPILOGUE_LEAKY:
        return emit_with(b, CUDNN_POINTWISE_RELU_FWD, x, -1, s->alpha);
    case EPILOGUE_PRELU: {
        if (s->operand == GPU_OPERAND_SCALAR) return emit_with(b, CUDNN_POINTWISE_RELU_FWD, x, -1, s->alpha);
        // max(x, 0) + slope (x - max(x, 0)), which is exact because one of the two terms is 0.
        int pos = emit(b, CUDNN_POINTWISE_RELU_FWD, x, -1);
        int neg = emit(b, CUDNN_POINTWISE_SUB, x, pos);
        neg = emit(b, CUDNN_POINTWISE_MUL, neg, operand_value(b, i));
        return emit(b, CUDNN_POINTWISE_ADD, pos, neg);
    }
    case EPILOGUE_CLIP:
        return emit_clip(b, x, s->alpha, s->beta);
    case EPILOGUE_SIGMOID:
        return emit(b, CUDNN_POINTWISE_SIGMOID_FWD, x, -1);
    case EPILOGUE_TANH:
        return emit(b, CUDNN_POINTWISE_TANH_FWD, x, -1);
    case EPILOGUE_SILU:
        return emit(b, CUDNN_POINTWISE_SWISH_FWD, x, -1);
    case EPILOGUE_HSIGMOID:
        return emit_hsigmoid(b, x, s->alpha, s->beta);
    case EPILOGUE_HSWISH:
        return emit(b, CUDNN_POINTWISE_MUL, emit_hsigmoid(b, x, 1.0f / 6, 0.5f), x);
    case EPILOGUE_GELU_ERF:
        return emit(b, CUDNN_POINTWISE_GELU_FWD, x, -1);
    case EPILOGUE_GELU_TANH:
        return emit(b, CUDNN_POINTWISE_GELU_APPROX_TANH_FWD, x, -1);
    case EPILOGUE_ELU:
        return emit_with(b, CUDNN_POINTWISE_ELU_FWD, x, -1, s->alpha);
    case EPILOGUE_MISH: {
        int t = emit(b, CUDNN_POINTWISE_SOFTPLUS_FWD, x, -1);
        return emit(b, CUDNN_POINTWISE_MUL, emit(b, CUDNN_POINTWISE_TANH_FWD, t, -1), x);
    }
    }
    return x;
}

static bool is_add(const struct gpu_step *s, enum gpu_operand operand)
{
    return s->kind == EPILOGUE_ADD && s->operand == operand;
}

static void emit_steps(struct builder *b, int n_steps)
{
    const struct gpu_step *s = b->p->step;
    int x = add_virtual(b);
    for (int i = 0; i < n_steps; i++) {
        if (i + 1 < n_steps && is_add(&s[i], GPU_OPERAND_CHANNEL) && is_add(&s[i + 1], GPU_OPERAND_TENSOR)) {
            x = emit_step(b, x, i + 1);
            x = emit_step(b, x, i);
            i++;
        } else {
            x = emit_step(b, x, i);
        }
    }
    // The last result is y itself.
    b->value[x].kind = VALUE_TENSOR;
    b->value[x].uid = PLAN_UID_Y;
    b->value[x].type = b->p->y_type;
    b->value[x].pitch = b->p->y_pitch;
}

// ---- descriptors of values and operations -----------------------------------

static cudnnDataType_t data_type(enum gpu_type type)
{
    switch (type) {
    case GPU_F32:
        return CUDNN_DATA_FLOAT;
    case GPU_F16:
        return CUDNN_DATA_HALF;
    case GPU_BF16:
        return CUDNN_DATA_BFLOAT16;
    case GPU_F8E4M3:
        return CUDNN_DATA_FP8_E4M3;
    }
    return CUDNN_DATA_FLOAT;
}

struct extents {
    int n_dims;
    int64_t dim[4], stride[4];
};

// (N,C,H,W) in cuDNN's order, channels innermost in memory, `pitch` elements from
// pixel to pixel (0: no gaps).
static struct extents nhwc(int64_t n, int64_t c, int64_t h, int64_t w, int64_t pitch)
{
    if (!pitch) pitch = c;
    return (struct extents){4, {n, c, h, w}, {h * w * pitch, 1, w * pitch, pitch}};
}

static struct extents matrix(int64_t n, int64_t rows, int64_t cols)
{
    return (struct extents){3, {n, rows, cols}, {rows * cols, cols, 1}};
}

// The shape of y, and of tensors that lie like it.
static struct extents y_extents(const struct gpu_pattern *p, int pitch)
{
    int rows = 0, cols = 0;
    gpu_pattern_output(p, &rows, &cols);
    return p->kind == GPU_MATMUL ? matrix(p->n, p->h, p->k) : nhwc(p->n, p->k, rows, cols, pitch);
}

static enum reel_err tensor(struct plan_bag *bag, int64_t uid, enum gpu_type type, const struct extents *e,
                            enum value_kind kind, cudnnBackendDescriptor_t *out_d)
{
    bool yes = true;
    cudnnDataType_t dtype = data_type(type);
    int64_t align = kind == VALUE_SCALAR ? 4 : 16;
    enum reel_err err = plan_desc_new(bag, CUDNN_BACKEND_TENSOR_DESCRIPTOR, out_d);
    if (!err) err = plan_desc_set(bag, *out_d, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &dtype);
    if (!err) err = plan_desc_set(bag, *out_d, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, e->n_dims, e->dim);
    if (!err) err = plan_desc_set(bag, *out_d, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, e->n_dims, e->stride);
    if (!err) err = plan_desc_set(bag, *out_d, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &uid);
    if (!err) err = plan_desc_set(bag, *out_d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &align);
    if (!err && kind == VALUE_VIRTUAL)
        err = plan_desc_set(bag, *out_d, CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, &yes);
    if (!err && kind == VALUE_SCALAR)
        err = plan_desc_set(bag, *out_d, CUDNN_ATTR_TENSOR_IS_BY_VALUE, CUDNN_TYPE_BOOLEAN, 1, &yes);
    return err ? err : plan_desc_finalize(bag, *out_d, "describe a tensor to cuDNN");
}

static enum reel_err realise_value(struct builder *b, struct prim_value *v)
{
    struct extents e = y_extents(b->p, v->pitch);
    if (v->kind == VALUE_CHANNEL) e = b->p->kind == GPU_MATMUL ? matrix(1, 1, b->p->k) : nhwc(1, b->p->k, 1, 1, 0);
    if (v->kind == VALUE_SCALAR) e = b->p->kind == GPU_MATMUL ? matrix(1, 1, 1) : nhwc(1, 1, 1, 1, 0);
    return tensor(&b->graph->bag, v->uid, v->type, &e, v->kind, &v->desc);
}

static enum reel_err realise_op(struct builder *b, const struct prim_op *op, cudnnBackendDescriptor_t *out_d)
{
    struct plan_bag *bag = &b->graph->bag;
    cudnnBackendDescriptor_t pw;
    cudnnDataType_t comp = CUDNN_DATA_FLOAT;
    enum reel_err err = plan_desc_new(bag, CUDNN_BACKEND_POINTWISE_DESCRIPTOR, &pw);
    if (!err) err = plan_desc_set(bag, pw, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &op->mode);
    if (!err) err = plan_desc_set(bag, pw, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &comp);
    if (!err && !isnan(op->alpha)) {
        // ELU's alpha is a double, a slope is a float (cudnn_graph.h's types).
        double alpha = op->alpha;
        if (op->mode == CUDNN_POINTWISE_ELU_FWD)
            err = plan_desc_set(bag, pw, CUDNN_ATTR_POINTWISE_ELU_ALPHA, CUDNN_TYPE_DOUBLE, 1, &alpha);
        else
            err = plan_desc_set(bag, pw, CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP_SLOPE, CUDNN_TYPE_DOUBLE, 1, &alpha);
    }
    if (!err) err = plan_desc_finalize(bag, pw, "describe a pointwise mode to cuDNN");
    if (!err) err = plan_desc_new(bag, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, out_d);
    const cudnnBackendAttributeType_t desc = CUDNN_TYPE_BACKEND_DESCRIPTOR;
    if (!err) err = plan_desc_set(bag, *out_d, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, desc, 1, &pw);
    if (!err) err = plan_desc_set(bag, *out_d, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, desc, 1, &b->value[op->a].desc);
    if (!err && op->b >= 0)
        err = plan_desc_set(bag, *out_d, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, desc, 1, &b->value[op->b].desc);
    if (!err) err = plan_desc_set(bag, *out_d, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, desc, 1, &b->value[op->out].desc);
    return err ? err : plan_desc_finalize(bag, *out_d, "describe a pointwise operation to cuDNN");
}

// ---- the main operation -----------------------------------------------------

static enum reel_err convolution(struct plan_bag *bag, const struct gpu_pattern *p, cudnnBackendDescriptor_t *out_d)
{
    cudnnDataType_t comp = CUDNN_DATA_FLOAT;
    cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
    int64_t dims = 2, dilation[] = {p->dilation_h, p->dilation_w}, stride[] = {p->stride_h, p->stride_w};
    int64_t pre[] = {p->pad_top, p->pad_left}, post[] = {p->pad_bottom, p->pad_right};
    const cudnnBackendAttributeType_t i64 = CUDNN_TYPE_INT64;
    enum reel_err err = plan_desc_new(bag, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, out_d);
    if (!err) err = plan_desc_set(bag, *out_d, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &comp);
    if (!err) err = plan_desc_set(bag, *out_d, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode);
    if (!err) err = plan_desc_set(bag, *out_d, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, i64, 1, &dims);
    if (!err) err = plan_desc_set(bag, *out_d, CUDNN_ATTR_CONVOLUTION_DILATIONS, i64, 2, dilation);
    if (!err) err = plan_desc_set(bag, *out_d, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, i64, 2, stride);
    if (!err) err = plan_desc_set(bag, *out_d, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, i64, 2, pre);
    if (!err) err = plan_desc_set(bag, *out_d, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, i64, 2, post);
    return err ? err : plan_desc_finalize(bag, *out_d, "describe a convolution to cuDNN");
}

// Attribute names of the three main operations' parts.
struct main_names {
    cudnnBackendDescriptorType_t type;
    cudnnBackendAttributeName_t how, x, w, y;
};

static const struct main_names *main_names(enum gpu_pattern_kind kind)
{
    static const struct main_names names[] = {
        [GPU_CONV] = {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
                      CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
                      CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y},
        // The gradient with respect to the input is a transposed convolution.
        [GPU_DECONV] = {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
                        CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
                        CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
                        CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX},
        [GPU_MATMUL] = {CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR, CUDNN_ATTR_OPERATION_MATMUL_DESC,
                        CUDNN_ATTR_OPERATION_MATMUL_ADESC, CUDNN_ATTR_OPERATION_MATMUL_BDESC,
                        CUDNN_ATTR_OPERATION_MATMUL_CDESC},
    };
    return &names[kind];
}

static enum reel_err main_inputs(struct plan_bag *bag, const struct gpu_pattern *p, cudnnBackendDescriptor_t *out_x,
                                 cudnnBackendDescriptor_t *out_w)
{
    struct extents x = nhwc(p->n, p->c, p->h, p->w, p->x_pitch), w = nhwc(p->k, p->c / p->groups, p->r, p->s, 0);
    if (p->kind == GPU_DECONV) w = nhwc(p->c, p->k / p->groups, p->r, p->s, 0);
    if (p->kind == GPU_MATMUL) x = matrix(p->n, p->h, p->c), w = matrix(p->w_batched ? p->n : 1, p->c, p->k);
    enum reel_err err = tensor(bag, PLAN_UID_X, p->x_type, &x, VALUE_TENSOR, out_x);
    return err ? err : tensor(bag, PLAN_UID_W, p->w_type, &w, VALUE_TENSOR, out_w);
}

static enum reel_err matmul(struct plan_bag *bag, cudnnBackendDescriptor_t *out_d)
{
    cudnnDataType_t comp = CUDNN_DATA_FLOAT;
    enum reel_err err = plan_desc_new(bag, CUDNN_BACKEND_MATMUL_DESCRIPTOR, out_d);
    if (!err) err = plan_desc_set(bag, *out_d, CUDNN_ATTR_MATMUL_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &comp);
    return err ? err : plan_desc_finalize(bag, *out_d, "describe a matrix product to cuDNN");
}

static enum reel_err set_alpha_beta(struct plan_bag *bag, cudnnBackendDescriptor_t op, enum gpu_pattern_kind kind)
{
    float alpha = 1, beta = 0;
    bool back = kind == GPU_DECONV;
    enum reel_err err = plan_desc_set(bag, op,
                                      back ? CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA
                                           : CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
                                      CUDNN_TYPE_FLOAT, 1, &alpha);
    return err ? err
               : plan_desc_set(bag, op,
                               back ? CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA
                                    : CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA,
                               CUDNN_TYPE_FLOAT, 1, &beta);
}

static enum reel_err main_op(struct builder *b, cudnnBackendDescriptor_t *out_d)
{
    struct plan_bag *bag = &b->graph->bag;
    const struct gpu_pattern *p = b->p;
    const struct main_names *name = main_names(p->kind);
    const cudnnBackendAttributeType_t desc = CUDNN_TYPE_BACKEND_DESCRIPTOR;
    cudnnBackendDescriptor_t x, w, how;
    enum reel_err err = main_inputs(bag, p, &x, &w);
    if (!err) err = p->kind == GPU_MATMUL ? matmul(bag, &how) : convolution(bag, p, &how);
    if (!err) err = plan_desc_new(bag, name->type, out_d);
    if (!err) err = plan_desc_set(bag, *out_d, name->how, desc, 1, &how);
    if (!err) err = plan_desc_set(bag, *out_d, name->x, desc, 1, &x);
    if (!err) err = plan_desc_set(bag, *out_d, name->w, desc, 1, &w);
    if (!err) err = plan_desc_set(bag, *out_d, name->y, desc, 1, &b->value[0].desc);
    if (!err && p->kind != GPU_MATMUL) err = set_alpha_beta(bag, *out_d, p->kind);
    return err ? err : plan_desc_finalize(bag, *out_d, "describe the main operation to cuDNN");
}

// ---- the graph -----------------------------------------------------------------

enum reel_err plan_graph_init(struct plan_graph *out_graph, const struct plan_target *target,
                              const struct gpu_pattern *pattern, int n_steps)
{
    *out_graph = (struct plan_graph){.bag = {.api = target->api}};
    struct builder b = {.graph = out_graph, .p = pattern};
    struct plan_bag *bag = &out_graph->bag;
    emit_steps(&b, n_steps);

    cudnnBackendDescriptor_t ops[MAX_OPS + 1];
    enum reel_err err = REEL_OK;
    for (int i = 0; !err && i < b.n_values; i++) err = realise_value(&b, &b.value[i]);
    if (!err) err = main_op(&b, &ops[0]);
    for (int i = 0; !err && i < b.n_ops; i++) err = realise_op(&b, &b.op[i], &ops[i + 1]);
    if (!err) err = plan_desc_new(bag, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, &out_graph->ops);
    if (!err)
        err = plan_desc_set(bag, out_graph->ops, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                            b.n_ops + 1, ops);
    if (!err && target->handle)
        err =
            plan_desc_set(bag, out_graph->ops, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &target->handle);
    return err ? err : plan_desc_finalize(bag, out_graph->ops, "describe the graph to cuDNN");
}

void plan_graph_fini(struct plan_graph *graph)
{
    if (graph->bag.api) plan_bag_fini(&graph->bag);
    *graph = (struct plan_graph){0};
}

// SPDX-License-Identifier: MIT
//
// The GPU backend, and the same on the host. "cudnn" lowers a graph to steps
// (cudnn/program.h) and runs them on a GPU; "cudnn-host" runs the very same
// steps with the kernels' C twins: a full backend for tests, not offered to
// users. This file is what both share: compile, run with host tensors, tensors
// on the device.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cuda.h"
#include "common/log.h"
#include "worker/backend/backend.h"
#include "worker/backend/cudnn/exec.h"
#include "worker/backend/cudnn/plan/measure.h"
#include "worker/backend/cudnn/plan/plan.h"

struct program {
    const struct graph *graph;
    const struct exec_ops *ops;
    struct lowered *lowered;
    struct exec *exec;
};

static enum reel_err check_precision(const struct backend_params *params)
{
    struct reel_cuda_device d;
    if (params->precision != PRECISION_FP8) return REEL_OK;
    enum reel_err err = reel_cuda_device(params->device < 0 ? 0 : params->device, &d);
    return err ? err : gpu_fp8_check(d.name, d.cc_major, d.cc_minor);
}

static enum reel_err probe_device(const struct backend_params *params)
{
    int n = 0;
    enum reel_err err = reel_cuda_count(&n);
    if (!err && params->device >= n)
        err = reel_fail(REEL_ERR_CONFIG,
                        "could not use GPU %d: there are %d\nask for fewer with --gpu_num, run more workers on each "
                        "with --workers_per_gpu, or use CPUs with --backend onednn",
                        params->device, n);
    if (!err) err = check_precision(params);
    return err ? err : gpu_plan_probe();
}

static enum reel_err probe_host(const struct backend_params *params)
{
    (void)params;
    return REEL_OK;
}

static void destroy(struct program **program)
{
    struct program *p = *program;
    *program = NULL;
    if (!p) return;
    if (p->exec) p->ops->destroy(&p->exec);
    gpu_lowered_destroy(&p->lowered);
    free(p);
}

// What runs on the host is reported once, with the first such node, because it costs a round trip per
// frame.
static void warn_host_steps(const struct lowered *p)
{
    int64_t seen = 0;
    for (int i = 0; i < p->n_steps; i++) {
        if (p->steps[i].kind != STEP_HOST) continue;
        if (seen++ == 0)
            reel_log(REEL_LOG_WARN, "backend", "%d of %d steps run on the CPU, the first is node \"%s\" (%s)",
                     p->n_host_steps, p->n_steps, p->steps[i].node->name, p->steps[i].node->op_type);
    }
}

// The host twin lowers graphs as for this device.
#define HOST_SM 90

// Tells the user that fp8 was asked for but is used nowhere.
static void warn_no_fp8(const struct lowered *p)
{
    if (p->n_f8) return;
    const char *why = !p->ranges        ? "it does not take a single picture from which its value ranges could be found"
                      : p->n_f8_refused ? "cuDNN supports none of its convolutions in fp8"
                      : p->n_f8_middle > 0 ? "its convolutions' channels are not multiples of 16"
                                           : "it has no convolutions between the first and the last";
    reel_log(REEL_LOG_WARN, "backend", "no part of this network runs in fp8, all of it in fp16: %s", why);
}

struct attempt {
    int sm;       // 90 for compute capability 9.0
    bool join;    // the inputs of a Concat are written straight into its result
    bool *no_fp8; // by value id
};

static enum reel_err compile_with(const struct exec_ops *ops, const struct graph *graph,
                                  const struct backend_params *params, const struct attempt *a,
                                  struct program **out_program)
{
    struct program *p = calloc(1, sizeof *p);
    if (!p) return reel_fail(REEL_ERR_NOMEM, "could not compile graph \"%s\": out of memory", graph->name);
    p->graph = graph;
    p->ops = ops;
    const struct lower_params lower = {params->precision, a->sm, a->join, params->ranges, a->no_fp8};
    enum reel_err err = gpu_lowered_create(graph, &lower, &p->lowered);
    if (!err) err = ops->create(p->lowered, params, &p->exec);
    if (err) {
        destroy(&p);
        return err;
    }
    if (params->precision == PRECISION_FP8) warn_no_fp8(p->lowered);
    *out_program = p;
    return REEL_OK;
}

static int count_set(const bool *set, int n)
{
    int count = 0;
    for (int i = 0; i < n; i++) count += set[i];
    return count;
}

// Lowers again as long as cuDNN refuses something: first convolutions of e4m3 become fp16 (at least one
// each time), then nothing is joined in place.
static enum reel_err compile_refused(const struct graph *graph, const struct backend_params *params, int sm,
                                     struct program **out_program)
{
    struct attempt a = {sm, sm >= 80, calloc((size_t)graph->n_values + 1, sizeof *a.no_fp8)};
    if (!a.no_fp8) return reel_fail(REEL_ERR_NOMEM, "could not compile graph \"%s\": out of memory", graph->name);
    enum reel_err err;
    for (int refused = 0;;) {
        err = compile_with(&exec_device, graph, params, &a, out_program);
        if (err != REEL_AGAIN) break;
        const int now = count_set(a.no_fp8, graph->n_values);
        if (now == refused && !a.join) break;
        if (now == refused) {
            reel_debug("backend", "cuDNN has no engine for joining in place: what Concat joins is copied");
            a.join = false;
        }
        refused = now;
    }
    if (!err) (*out_program)->lowered->no_fp8 = NULL;
    free(a.no_fp8);
    return err;
}

static enum reel_err compile_device(const struct graph *graph, const struct backend_params *params,
                                    struct program **out_program)
{
    struct reel_cuda_device device;
    enum reel_err err = probe_device(params);
    if (!err) err = reel_cuda_device(params->device, &device);
    const int sm = err ? 0 : 10 * device.cc_major + device.cc_minor;
    if (!err) err = compile_refused(graph, params, sm, out_program);
    if (!err && params->autotune) {
        err = exec_device.autotune((*out_program)->exec, params->autotune);
        if (err) destroy(out_program);
    }
    if (err) return err;
    warn_host_steps((*out_program)->lowered);
    return REEL_OK;
}

static enum reel_err compile_host(const struct graph *graph, const struct backend_params *params,
                                  struct program **out_program)
{
    return compile_with(&exec_host, graph, params, &(struct attempt){.sm = HOST_SM, .join = true}, out_program);
}

static enum reel_err measure(const struct graph *graph, const struct reel_tensor *const *in, struct ranges *ranges)
{
    return gpu_measure(graph, in, ranges);
}

// ---- running ---------------------------------------------------------------------------

static enum reel_err give_dynamic(struct info *i, struct reel_tensor *out, bool borrow)
{
    if (i->dynamic.dtype == REEL_DTYPE_NONE)
        return reel_fail(REEL_ERR_FAULT, "could not run graph: output \"%s\" was not made", i->v->name);
    if (!borrow) return reel_tensor_copy(out, &i->dynamic);
    *out = i->dynamic;
    out->owned = false;
    return REEL_OK;
}

static enum reel_err give_output(struct program *p, int n, struct reel_tensor *out, bool borrow)
{
    struct info *i = info_of(p->lowered, p->graph->outputs[n]);
    if (i->count < 0) return give_dynamic(i, out, borrow);
    if (!out->data) {
        *out = (struct reel_tensor){0};
        enum reel_err err = reel_tensor_init(out, i->dtype, &i->shape);
        if (err) return err;
    }
    return p->ops->read(p->exec, p->lowered->out_staging[n], out->data, (size_t)i->count * reel_dtype_bytes(i->dtype));
}

static enum reel_err run(struct program *p, const struct reel_tensor *const *in, struct reel_tensor *out, bool borrow)
{
    struct lowered *l = p->lowered;
    enum reel_err err = REEL_OK;
    for (int i = 0; i < l->n_info; i++)
        if (l->info[i].dynamic.dtype != REEL_DTYPE_NONE) reel_tensor_fini(&l->info[i].dynamic);
    for (int i = 0; i < p->graph->n_inputs && !err; i++)
        err = p->ops->write(p->exec, l->in_staging[i], in[i]->data, reel_tensor_bytes(in[i]));
    if (!err) err = p->ops->run(p->exec, 0, l->main_begin);
    if (!err) err = p->ops->run(p->exec, l->main_begin, l->main_end);
    if (!err) err = p->ops->run(p->exec, l->main_end, l->n_steps);
    for (int i = 0; i < p->graph->n_outputs && !err; i++) err = give_output(p, i, &out[i], borrow);
    const enum reel_err waited = p->ops->wait(p->exec); // the caller's tensors are free after it
    return err ? err : waited;
}

// ---- tensors on the device -----------------------------------------------------------------

static enum reel_err no_tensor(const struct program *p, const char *what, int i)
{
    return reel_fail(REEL_ERR_UNSUPPORTED,
                     "could not give %s %d of graph \"%s\" as device memory: it is made on the host", what, i,
                     p->graph->name ? p->graph->name : "");
}

static enum reel_dtype dtype_of(enum gpu_elem e)
{
    return e == GPU_ELEM_F16 ? REEL_F16 : e == GPU_ELEM_BF16 ? REEL_BF16 : REEL_F32;
}

static void describe(struct program *p, const struct info *i, enum form_kind kind, struct backend_device_tensor *out)
{
    const bool image = kind == FORM_IMAGE;
    *out = (struct backend_device_tensor){.data = p->ops->at(p->exec, i->form[kind]), .nhwc = image};
    out->dtype = kind == FORM_PLAIN ? i->dtype : dtype_of(p->lowered->low);
    out->n = out->c = out->h = 1;
    out->w = (int)i->count;
    if (i->image) out->n = i->n, out->c = i->c, out->h = i->h, out->w = i->w;
    out->pixel_stride = image ? (size_t)i->pitch : 0;
}

static enum reel_err device_input(struct program *p, int i, struct backend_device_tensor *out)
{
    const struct value *v = gpu_input_value(p->lowered, i);
    const struct info *info = info_of(p->lowered, v);
    describe(p, info, gpu_has_form(info, FORM_IMAGE) ? FORM_IMAGE : FORM_PLAIN, out);
    return REEL_OK;
}

static enum reel_err device_output(struct program *p, int i, struct backend_device_tensor *out)
{
    if (!p->lowered) return no_tensor(p, "output", i);
    const struct info *info = info_of(p->lowered, p->graph->outputs[i]);
    const enum form_kind kind = gpu_output_form(p->lowered, info);
    if (info->count < 0 || !gpu_has_form(info, kind)) return no_tensor(p, "output", i);
    describe(p, info, kind, out);
    return REEL_OK;
}

static void *stream(struct program *p)
{
    return p->exec ? p->ops->stream(p->exec) : NULL;
}

static enum reel_err enqueue(struct program *p)
{
    struct lowered *l = p->lowered;
    for (int i = 0; i < l->n_info; i++)
        if (l->info[i].dynamic.dtype != REEL_DTYPE_NONE) reel_tensor_fini(&l->info[i].dynamic);
    return p->ops->run(p->exec, l->main_begin, l->main_end);
}

// ---- inspection ------------------------------------------------------------------------

static size_t memory_bytes(const struct program *p)
{
    return p->exec ? p->ops->memory_bytes(p->exec) : 0;
}

static void dump(const struct program *p, void *stdio_file)
{
    FILE *f = stdio_file;
    char text[512], note[256];
    const struct lowered *l = p->lowered;
    fprintf(f, "# %s, arena %zu KB, constants %zu KB, host %zu KB, %d steps (%d on the host)", gpu_elem_name(l->low),
            l->arena_bytes >> 10, l->const_bytes >> 10, l->host_bytes >> 10, l->n_steps, l->n_host_steps);
    if (l->n_host_steps) fprintf(f, ", which wait for the device %d times", l->n_waits);
    fputc('\n', f);
    if (l->n_f8_middle)
        fprintf(f, "# f8: %d of the %d convolutions between the first and the last; cuDNN refused %d\n", l->n_f8,
                l->n_f8_middle, l->n_f8_refused);
    for (int i = 0; i < l->n_steps; i++) {
        const char *part = i < l->main_begin ? "in " : i >= l->main_end ? "out" : "   ";
        fprintf(f, "%3d %s %s %s\n", i, part, gpu_step_text(l, &l->steps[i], text, sizeof text),
                p->ops->note(p->exec, i, note, sizeof note));
    }
}

extern const struct backend_ops backend_cudnn, backend_cudnn_host;

// The kinds of steps, by cudnn/lower/*.c. Nodes that only change a shape (Reshape, Identity) are no steps.
static const char own_ops[] =
    "Abs Acos Acosh Add Affine AffineGrid And ArgMax ArgMin Asin Asinh Atan Atanh Attention AveragePool "
    "BatchNormalization BitCast BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Cast CastLike Ceil Celu "
    "CenterCropPad Clip "
    "Col2Im Compress Concat Conv ConvInteger ConvTranspose Cos Cosh Crop "
    "CumProd CumSum DFT DeformConv DepthToSpace DequantizeLinear Det Div DynamicQuantizeLinear Einsum Elu Equal Erf "
    "Exp Expand EyeLike "
    "Floor GRU Gather GatherElements GatherND Gelu Gemm GlobalAveragePool GlobalLpPool GlobalMaxPool Greater "
    "GreaterOrEqual GridSample GroupNormalization HardSigmoid HardSwish Hardmax ImageScaler "
    "InstanceNormalization IsInf IsNaN LRN LSTM LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax "
    "LpNormalization LpPool MatMul MatMulInteger Max MaxPool MaxRoiPool MaxUnpool Mean MeanVarianceNormalization Min "
    "Mish Mod Mul Neg Not OneHot Or PRelu Pad "
    "ParametricSoftplus Pow QLinearConv "
    "QLinearMatMul QuantizeLinear RMSNormalization RNN Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp "
    "ReduceMax ReduceMean "
    "ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Resize ReverseSequence RoiAlign RotaryEmbedding "
    "Round STFT ScaledTanh Scatter ScatterElements ScatterND Selu Shrink Sigmoid Sign Sin Sinh Slice Softmax Softplus "
    "Softsign SpaceToDepth Split Sqrt Sub Sum Swish Tan Tanh TensorScatter ThresholdedRelu Tile TopK Transpose Trilu "
    "Upsample Where Xor com.microsoft.BiasGelu com.microsoft.DequantizeLinear com.microsoft.FastGelu "
    "com.microsoft.FusedMatMul com.microsoft.Gelu com.microsoft.MultiHeadAttention com.microsoft.QGemm "
    "com.microsoft.QLinearAdd com.microsoft.QLinearAveragePool com.microsoft.QLinearConcat "
    "com.microsoft.QLinearGlobalAveragePool com.microsoft.QLinearLeakyRelu com.microsoft.QLinearMul "
    "com.microsoft.QLinearSigmoid com.microsoft.QLinearSoftmax com.microsoft.QuantizeLinear "
    "com.microsoft.QuickGelu com.microsoft.SkipLayerNormalization";

#define CUDNN_CAPS                                                                                                 \
    (BACKEND_FUSES_ACT | BACKEND_FUSES_RESIDUAL | BACKEND_FUSES_PRELU | BACKEND_DYNAMIC_TAIL | BACKEND_EXCHANGES | \
     BACKEND_STEPS)

const struct backend_ops backend_cudnn = {
    .name = "cudnn",
    .caps = CUDNN_CAPS | BACKEND_DEVICE_MEMORY,
    .own_ops = own_ops,
    .probe = probe_device,
    .compile = compile_device,
    .measure = measure,
    .run = run,
    .device_input = device_input,
    .device_output = device_output,
    .stream = stream,
    .enqueue = enqueue,
    .memory_bytes = memory_bytes,
    .dump = dump,
    .destroy = destroy,
};

const struct backend_ops backend_cudnn_host = {
    .name = "cudnn-host",
    .caps = CUDNN_CAPS | BACKEND_DEVICE_MEMORY | BACKEND_DEVICE_IS_HOST,
    .own_ops = own_ops,
    .probe = probe_host,
    .compile = compile_host,
    .measure = measure,
    .run = run,
    .device_input = device_input,
    .device_output = device_output,
    .stream = stream,
    .enqueue = enqueue,
    .memory_bytes = memory_bytes,
    .dump = dump,
    .destroy = destroy,
};

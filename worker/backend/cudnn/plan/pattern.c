// SPDX-License-Identifier: MIT
//
// Extents, checks, texts and the fusing rule of fused patterns; see pattern.h.
#include "worker/backend/cudnn/plan/pattern.h"

#include <stdio.h>
#include <string.h>

struct gpu_pattern gpu_pattern_make(enum gpu_pattern_kind kind, int c, int h, int w, int k, int r, int s)
{
    struct gpu_pattern p = {.kind = kind, .n = 1, .c = c, .h = h, .w = w, .k = k, .r = r, .s = s, .groups = 1};
    p.stride_h = p.stride_w = p.dilation_h = p.dilation_w = 1;
    p.x_type = p.w_type = p.y_type = GPU_F16;
    return p;
}

bool gpu_pattern_add(struct gpu_pattern *p, enum epilogue_kind kind, enum gpu_operand operand, float alpha, float beta)
{
    if (p->n_steps == GPU_MAX_STEPS) return false;
    p->step[p->n_steps++] = (struct gpu_step){kind, operand, p->y_type, alpha, beta};
    return true;
}

size_t gpu_type_bytes(enum gpu_type type)
{
    switch (type) {
    case GPU_F32:
        return 4;
    case GPU_F16:
    case GPU_BF16:
        return 2;
    case GPU_F8E4M3:
        return 1;
    }
    return 0;
}

const char *gpu_type_name(enum gpu_type type)
{
    switch (type) {
    case GPU_F32:
        return "f32";
    case GPU_F16:
        return "f16";
    case GPU_BF16:
        return "bf16";
    case GPU_F8E4M3:
        return "f8";
    }
    return "?";
}

// ---- extents --------------------------------------------------------------

// One spatial axis of ONNX Conv or ConvTranspose (opset 11).
static int conv_extent(int in, int filter, int pad, int stride, int dilation)
{
    int span = dilation * (filter - 1) + 1;
    return in + pad < span ? 0 : (in + pad - span) / stride + 1;
}

static int deconv_extent(int in, int filter, int pad, int stride, int dilation, int out_pad)
{
    int extent = stride * (in - 1) + out_pad + dilation * (filter - 1) + 1 - pad;
    return extent > 0 ? extent : 0;
}

void gpu_pattern_output(const struct gpu_pattern *p, int *out_p, int *out_q)
{
    int pad_h = p->pad_top + p->pad_bottom, pad_w = p->pad_left + p->pad_right;
    switch (p->kind) {
    case GPU_CONV:
        *out_p = conv_extent(p->h, p->r, pad_h, p->stride_h, p->dilation_h);
        *out_q = conv_extent(p->w, p->s, pad_w, p->stride_w, p->dilation_w);
        return;
    case GPU_DECONV:
        *out_p = deconv_extent(p->h, p->r, pad_h, p->stride_h, p->dilation_h, p->out_pad_h);
        *out_q = deconv_extent(p->w, p->s, pad_w, p->stride_w, p->dilation_w, p->out_pad_w);
        return;
    case GPU_MATMUL:
        *out_p = p->h;
        *out_q = 1;
        return;
    }
}

size_t gpu_pattern_x_bytes(const struct gpu_pattern *p)
{
    return (size_t)p->n * p->h * p->w * (p->x_pitch ? p->x_pitch : p->c) * gpu_type_bytes(p->x_type);
}

size_t gpu_pattern_w_bytes(const struct gpu_pattern *p)
{
    size_t count = (size_t)p->k * p->r * p->s * (p->c / p->groups);
    if (p->kind == GPU_MATMUL) count = (size_t)p->c * p->k * (p->w_batched ? p->n : 1);
    return count * gpu_type_bytes(p->w_type);
}

size_t gpu_pattern_y_bytes(const struct gpu_pattern *p)
{
    int rows = 0, cols = 0;
    gpu_pattern_output(p, &rows, &cols);
    return (size_t)p->n * rows * cols * (p->y_pitch ? p->y_pitch : p->k) * gpu_type_bytes(p->y_type);
}

size_t gpu_pattern_operand_bytes(const struct gpu_pattern *p, int step)
{
    const struct gpu_step *s = &p->step[step];
    int rows = 0, cols = 0;
    gpu_pattern_output(p, &rows, &cols);
    switch (s->operand) {
    case GPU_OPERAND_CHANNEL:
        return p->k * gpu_type_bytes(s->type);
    case GPU_OPERAND_TENSOR:
        return (size_t)p->n * rows * cols * (s->pitch ? s->pitch : p->k) * gpu_type_bytes(s->type);
    case GPU_OPERAND_NONE:
    case GPU_OPERAND_SCALAR:
        return 0;
    }
    return 0;
}

double gpu_pattern_flop(const struct gpu_pattern *p)
{
    int rows = 0, cols = 0;
    gpu_pattern_output(p, &rows, &cols);
    double per_weight = 2.0 * p->n * p->k * (p->c / p->groups) * p->r * p->s;
    if (p->kind == GPU_DECONV) return per_weight * p->h * p->w;
    return per_weight * rows * cols;
}

// ---- checks ---------------------------------------------------------------

static bool wants_operand(enum epilogue_kind kind)
{
    return kind == EPILOGUE_ADD || kind == EPILOGUE_MUL || kind == EPILOGUE_PRELU;
}

enum reel_err gpu_pattern_check(const struct gpu_pattern *p)
{
    char text[GPU_PATTERN_TEXT_MAX];
    const char *why = NULL;
    int rows = 0, cols = 0;
    if (p->n < 1 || p->c < 1 || p->h < 1 || p->w < 1 || p->k < 1 || p->r < 1 || p->s < 1)
        why = "an extent is less than 1";
    else if (p->groups < 1 || p->c % p->groups || p->k % p->groups)
        why = "the groups do not divide the channels";
    else if (p->stride_h < 1 || p->stride_w < 1 || p->dilation_h < 1 || p->dilation_w < 1)
        why = "a stride or dilation is less than 1";
    else if (p->pad_top < 0 || p->pad_left < 0 || p->pad_bottom < 0 || p->pad_right < 0)
        why = "a padding is negative";
    else if (p->kind == GPU_MATMUL && (p->w != 1 || p->r != 1 || p->s != 1 || p->groups != 1))
        why = "a matrix product has no width, filter or groups";
    else if (p->n_steps < 0 || p->n_steps > GPU_MAX_STEPS)
        why = "too many steps";
    else if ((p->x_pitch && p->x_pitch < p->c) || (p->y_pitch && p->y_pitch < p->k))
        why = "a pitch is less than its channels";
    else if (p->kind == GPU_MATMUL && (p->x_pitch || p->y_pitch))
        why = "a matrix product has no pitch";
    if (!why) {
        gpu_pattern_output(p, &rows, &cols);
        if (rows < 1 || cols < 1) why = "the filter is larger than the padded input";
    }
    for (int i = 0; !why && i < p->n_steps; i++) {
        if (wants_operand(p->step[i].kind) != (p->step[i].operand != GPU_OPERAND_NONE))
            why = "a step has an operand too many or too few";
    }
    if (!why) return REEL_OK;
    return reel_fail(REEL_ERR_UNSUPPORTED, "could not plan \"%s\": %s", gpu_pattern_text(p, text, sizeof text), why);
}

// ---- what to fuse ---------------------------------------------------------

bool gpu_pattern_wants_own_kernel(const struct gpu_pattern *p)
{
    // cuDNN 9.19 has only generic or scalar engines when a group holds few
    // channels; with 8 and more per group its tensor-core engines apply.
    return p->kind != GPU_MATMUL && p->groups > 1 && (p->c / p->groups < 8 || p->k / p->groups < 8);
}

int gpu_pattern_fusable(const struct gpu_pattern *p)
{
    if (gpu_pattern_wants_own_kernel(p)) return 0;
    int i = 0;
    while (i < p->n_steps) i++;
    return i;
}

// ---- text -----------------------------------------------------------------

static const char *step_name(enum epilogue_kind kind)
{
    static const char *const name[] = {
        [EPILOGUE_ADD] = "add",
        [EPILOGUE_MUL] = "mul",
        [EPILOGUE_RELU] = "relu",
        [EPILOGUE_LEAKY] = "leaky",
        [EPILOGUE_PRELU] = "prelu",
        [EPILOGUE_CLIP] = "clip",
        [EPILOGUE_SIGMOID] = "sigmoid",
        [EPILOGUE_TANH] = "tanh",
        [EPILOGUE_SILU] = "silu",
        [EPILOGUE_HSWISH] = "hswish",
        [EPILOGUE_HSIGMOID] = "hsigmoid",
        [EPILOGUE_GELU_ERF] = "gelu",
        [EPILOGUE_GELU_TANH] = "gelutanh",
        [EPILOGUE_ELU] = "elu",
        [EPILOGUE_MISH] = "mish",
    };
    return (size_t)kind < sizeof name / sizeof name[0] && name[kind] ? name[kind] : "?";
}

// How many of alpha and beta a step uses.
static int step_numbers(enum epilogue_kind kind)
{
    if (kind == EPILOGUE_CLIP || kind == EPILOGUE_HSIGMOID) return 2;
    return kind == EPILOGUE_LEAKY || kind == EPILOGUE_ELU;
}

const char *gpu_pattern_text(const struct gpu_pattern *p, char *buf, size_t buf_bytes)
{
    static const char *const kind[] = {"conv", "deconv", "matmul"};
    static const char *const operand[] = {"", ":scalar", ":channel", ":tensor"};
    int at = snprintf(buf, buf_bytes, "%s %dx%dx%dx%d k%d %dx%d g%d p%d,%d,%d,%d s%d,%d d%d,%d o%d,%d%s %s,%s->%s%s",
                      kind[p->kind], p->n, p->c, p->h, p->w, p->k, p->r, p->s, p->groups, p->pad_top, p->pad_left,
                      p->pad_bottom, p->pad_right, p->stride_h, p->stride_w, p->dilation_h, p->dilation_w, p->out_pad_h,
                      p->out_pad_w, p->w_batched ? " batched" : "", gpu_type_name(p->x_type), gpu_type_name(p->w_type),
                      gpu_type_name(p->y_type), p->allow_tf32 ? " tf32" : "");
    if (p->x_pitch || p->y_pitch) at += snprintf(buf + at, buf_bytes - at, " pitch %d,%d", p->x_pitch, p->y_pitch);
    for (int i = 0; i < p->n_steps && at > 0 && (size_t)at < buf_bytes; i++) {
        const struct gpu_step *s = &p->step[i];
        at += snprintf(buf + at, buf_bytes - at, " %s%s", step_name(s->kind), operand[s->operand]);
        if (s->operand >= GPU_OPERAND_CHANNEL) at += snprintf(buf + at, buf_bytes - at, ":%s", gpu_type_name(s->type));
        if (s->pitch) at += snprintf(buf + at, buf_bytes - at, "/%d", s->pitch);
        // %a prints a float exactly.
        int numbers = s->operand == GPU_OPERAND_SCALAR ? 1 : step_numbers(s->kind);
        if (numbers > 0) at += snprintf(buf + at, buf_bytes - at, ":%a", (double)s->alpha);
        if (numbers > 1) at += snprintf(buf + at, buf_bytes - at, ":%a", (double)s->beta);
    }
    return buf;
}

// SPDX-License-Identifier: MIT
//
// DFT and STFT (kernels/gpu/fourier.h): bins are sums of their own. Signals so long
// that this would take longer than the fast transform on the host are left to it.
#include <math.h>
#include <stdlib.h>

#include "worker/backend/cudnn/program.h"

#define MOST_LENGTH 4096
// Inverse transforms of whole spectra with fewer elements are the host's: ONNX's tests
// of them (200 elements) expect the noise of single precision where numbers cancel
// (worker/onnx/ops/signal.c), and sums in double have none.
#define LEAST_INVERSE 512

// cos and sin of 2 pi k / length.
static enum reel_err make_turns(struct lowered *p, const struct node *node, int length, struct ref *out)
{
    const size_t bytes = (size_t)length * 2 * sizeof(double);
    double *turn = malloc(bytes);
    if (!turn) return gpu_no_memory(node);
    for (int k = 0; k < length; k++) {
        const double angle = 2 * M_PI * (double)k / (double)length;
        turn[2 * k] = cos(angle), turn[2 * k + 1] = sin(angle);
    }
    enum reel_err err = gpu_make_constant(p, turn, bytes, out);
    free(turn);
    return err;
}

// Reads a constant input of one number; false if it is not that.
static bool scalar_of(struct lowered *p, const struct node *node, int i, int64_t *out)
{
    int n = 0;
    const int64_t *v = gpu_const_ints(p, node->in[i], &n);
    if (!v || n != 1) return false;
    *out = *v;
    return true;
}

static bool has_in(const struct node *node, int i)
{
    return i < node->n_in && node->in[i];
}

// Adds the step. Its result is in float32, because a spectrum's largest numbers exceed fp16.
static enum reel_err emit(struct lowered *p, const struct node *node, struct gpu_fourier g, const struct value *window)
{
    struct step s = gpu_step_of(STEP_FOURIER, "transform");
    enum form_kind kind;
    enum reel_err err = gpu_need_rows(p, node->in[0], &kind, &s.x);
    if (!err) err = make_turns(p, node, g.length, &s.w);
    if (!err && window) err = gpu_need_form(p, window, FORM_PLAIN, &s.extra[0]);
    if (!err) err = gpu_make_form(p, node->out[0], FORM_PLAIN, &s.y);
    g.x_elem = gpu_form_elem(p, info_of(p, node->in[0]), kind);
    g.y_elem = GPU_ELEM_F32;
    s.u.fourier = g;
    return err ? err : gpu_put_step(p, &s, node);
}

static enum reel_err lower_dft(struct lowered *p, const struct node *node, bool *out_done)
{
    const struct info *in = info_of(p, node->in[0]), *out = info_of(p, node->out[0]);
    const int nd = in->shape.ndim;
    int64_t axis = node->opset < 20 ? node_attr_int(node, "axis", 1) : -2, inner = 1;
    if (node->opset >= 20 && has_in(node, 2) && !scalar_of(p, node, 2, &axis)) return REEL_OK;
    if (axis < 0) axis += nd;
    if (in->dtype != REEL_F32 || nd < 2 || axis < 0 || axis >= nd - 1) return REEL_OK;
    const bool onesided = node_attr_int(node, "onesided", 0) != 0;
    struct gpu_fourier g = {.outer = 1, .inverse = node_attr_int(node, "inverse", 0) != 0};
    const int64_t n = in->shape.dim[axis], bins = out->shape.dim[axis];
    g.mirrored = g.inverse && onesided;
    int64_t length = g.mirrored ? 2 * (n - 1) : n;
    if (has_in(node, 1) && !scalar_of(p, node, 1, &length)) return REEL_OK;
    if (length < 1 || length > MOST_LENGTH || n > INT32_MAX) return REEL_OK;
    if (g.inverse && !g.mirrored && in->count < LEAST_INVERSE) return REEL_OK;
    for (int d = 0; d < axis; d++) g.outer *= in->shape.dim[d];
    for (int d = (int)axis + 1; d < nd - 1; d++) inner *= in->shape.dim[d];
    g.length = (int)length, g.n = (int)n, g.bins = (int)bins, g.rows = inner;
    g.parts = (int)in->shape.dim[nd - 1], g.out_parts = (int)out->shape.dim[nd - 1];
    g.x_row = g.parts, g.x_number = inner * g.parts, g.x_outer = n * g.x_number;
    g.y_row = g.out_parts, g.y_number = inner * g.out_parts, g.y_outer = bins * g.y_number;
    *out_done = true;
    return emit(p, node, g, NULL);
}

static enum reel_err lower_stft(struct lowered *p, const struct node *node, bool *out_done)
{
    const struct info *in = info_of(p, node->in[0]), *out = info_of(p, node->out[0]);
    const struct value *window = has_in(node, 2) ? node->in[2] : NULL;
    int64_t every, length;
    if (!has_in(node, 1) || in->dtype != REEL_F32 || in->shape.ndim != 3 || out->shape.ndim != 4) return REEL_OK;
    if (window && info_of(p, window)->dtype != REEL_F32) return REEL_OK;
    length = window ? info_of(p, window)->count : in->shape.dim[1];
    if (has_in(node, 3) && !scalar_of(p, node, 3, &length)) return REEL_OK;
    if (!scalar_of(p, node, 1, &every) || every < 1 || length < 1 || length > MOST_LENGTH) return REEL_OK;
    if (length > in->shape.dim[1] || (window && info_of(p, window)->count != length)) return REEL_OK;
    struct gpu_fourier g = {.length = (int)length, .n = (int)length, .bins = (int)out->shape.dim[2], .out_parts = 2};
    g.parts = (int)in->shape.dim[2];
    g.outer = in->shape.dim[0], g.rows = out->shape.dim[1];
    g.x_number = g.parts, g.x_row = every * g.parts, g.x_outer = in->shape.dim[1] * g.parts;
    g.y_number = 2, g.y_row = 2 * (int64_t)g.bins, g.y_outer = g.rows * g.y_row;
    *out_done = true;
    return emit(p, node, g, window);
}

enum reel_err gpu_lower_fourier(struct lowered *p, const struct node *node, bool *out_done)
{
    if (node->n_in < 1 || node->n_out != 1 || !node->in[0] || !node->out[0] || node->n_epilogue) return REEL_OK;
    if (gpu_only_on_host(p, node->in[0])) return REEL_OK;
    if (node_is(node, "DFT")) return lower_dft(p, node, out_done);
    return node_is(node, "STFT") ? lower_stft(p, node, out_done) : REEL_OK;
}

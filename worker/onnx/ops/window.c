// SPDX-License-Identifier: MIT
//
// The geometry of sliding windows; see window.h.
#include "worker/onnx/ops/window.h"

int64_t window_volume(const int64_t extents[WINDOW_DIMS])
{
    return extents[0] * extents[1] * extents[2];
}

enum reel_err window_ints(const struct op_call *call, const char *name, int nd, int64_t low, int64_t *to)
{
    const int64_t *v = NULL;
    int n = node_attr_ints(call->node, name, &v);
    if (n == 0) return REEL_OK;
    if (n != nd) return reel_fail(REEL_ERR_INPUT, "%s has %d elements where %d are needed", name, n, nd);
    for (int i = 0; i < nd; i++) {
        if (v[i] < low || v[i] > WINDOW_LIMIT)
            return reel_fail(REEL_ERR_INPUT, "%s has the element %lld", name, (long long)v[i]);
        to[WINDOW_DIMS - nd + i] = v[i];
    }
    return REEL_OK;
}

enum reel_err window_attrs(const struct op_call *call, const struct reel_shape *x, const int64_t *kernel,
                           struct window *out_w)
{
    *out_w = (struct window){
        .in = {1, 1, 1}, .kernel = {1, 1, 1}, .out = {1, 1, 1}, .stride = {1, 1, 1}, .dilation = {1, 1, 1}};
    struct window *w = out_w;
    w->nd = x->ndim - 2;
    if (w->nd < 1) return reel_fail(REEL_ERR_INPUT, "the input has rank %d, at least 3 is needed", x->ndim);
    if (w->nd > WINDOW_DIMS) return reel_fail(REEL_ERR_UNSUPPORTED, "more than %d spatial axes", WINDOW_DIMS);
    int skip = WINDOW_DIMS - w->nd;
    for (int i = 0; i < w->nd; i++) w->in[skip + i] = x->dim[2 + i];

    if (!kernel && !node_attr(call->node, "kernel_shape")) return reel_fail(REEL_ERR_INPUT, "kernel_shape is missing");
    enum reel_err err = window_ints(call, "kernel_shape", w->nd, 1, w->kernel);
    if (err) return err;
    for (int i = 0; kernel && i < w->nd; i++) {
        if (node_attr(call->node, "kernel_shape") && kernel[i] >= 0 && kernel[i] != w->kernel[skip + i])
            return reel_fail(REEL_ERR_INPUT, "kernel_shape does not fit the weights' shape");
        if (kernel[i] >= 0) w->kernel[skip + i] = kernel[i];
        if (w->kernel[skip + i] < 1 || w->kernel[skip + i] > WINDOW_LIMIT)
            return reel_fail(REEL_ERR_INPUT, "a kernel extent is %lld", (long long)kernel[i]);
    }
    err = window_ints(call, "strides", w->nd, 1, w->stride);
    if (!err) err = window_ints(call, "dilations", w->nd, 1, w->dilation);
    if (err) return err;

    const int64_t *pads = NULL;
    int n = node_attr_ints(call->node, "pads", &pads);
    if (n != 0 && n != 2 * w->nd)
        return reel_fail(REEL_ERR_INPUT, "pads has %d elements where %d are needed", n, 2 * w->nd);
    for (int i = 0; i < w->nd && n; i++) {
        if (llabs(pads[i] / 2) > WINDOW_LIMIT / 2 || llabs(pads[w->nd + i] / 2) > WINDOW_LIMIT / 2)
            return reel_fail(REEL_ERR_INPUT, "pads are out of range");
        w->begin[skip + i] = pads[i];
        w->end[skip + i] = pads[w->nd + i];
    }
    return REEL_OK;
}

enum reel_err window_auto_pad(const struct op_call *call, int *out_mode)
{
    static const char *const names[] = {"NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"};
    const char *s = node_attr_string(call->node, "auto_pad", "NOTSET");
    for (int i = 0; i < 4; i++)
        if (!strcmp(s, names[i]) || !*s) {
            *out_mode = i;
            return REEL_OK;
        }
    return reel_fail(REEL_ERR_INPUT, "auto_pad is \"%s\"", s);
}

enum reel_err window_open(const struct op_call *call, const struct reel_shape *x, const int64_t *kernel,
                          struct window *out_w)
{
    struct window *w = out_w;
    int mode = 0;
    enum reel_err err = window_attrs(call, x, kernel, w);
    if (!err) err = window_auto_pad(call, &mode);
    if (err) return err;
    bool ceil_mode = node_attr_int(call->node, "ceil_mode", 0) != 0;
    for (int i = WINDOW_DIMS - w->nd; i < WINDOW_DIMS; i++) {
        int64_t span = (w->kernel[i] - 1) * w->dilation[i] + 1, in = w->in[i], s = w->stride[i];
        if (mode != PAD_NOTSET) w->begin[i] = w->end[i] = 0;
        if (in < 0) {
            w->out[i] = -1;
            continue;
        }
        if (mode == PAD_SAME_UPPER || mode == PAD_SAME_LOWER) {
            w->out[i] = (in + s - 1) / s;
            int64_t total = (w->out[i] - 1) * s + span - in;
            // Windows smaller than their stride: a convolution starts at the
            // edge, a pool is centred, as the formulas of the two have it.
            if ((total < 0 && kernel) || in == 0) total = 0;
            w->begin[i] = mode == PAD_SAME_UPPER ? total / 2 : (total + 1) / 2;
            w->end[i] = total - w->begin[i];
            continue;
        }
        int64_t room = in + w->begin[i] + w->end[i] - span;
        w->out[i] = 0;
        if (room >= 0) w->out[i] = room / s + 1;
        if (ceil_mode && mode == PAD_NOTSET) {
            w->out[i] = room > -s ? (room + s - 1) / s + 1 : 0;
            // The last window must start inside the input or its leading pad.
            if ((w->out[i] - 1) * s >= in + w->begin[i]) w->out[i]--;
        }
        if (room < 0 && w->out[i] < 1)
            return reel_fail(REEL_ERR_INPUT,
                             "a kernel spanning %lld does not fit an extent of %lld with pads %lld, %lld",
                             (long long)span, (long long)in, (long long)w->begin[i], (long long)w->end[i]);
    }
    return REEL_OK;
}

void window_shape(const struct window *w, int64_t n, int64_t c, struct reel_shape *out_shape)
{
    *out_shape = (struct reel_shape){.ndim = w->nd + 2, .dim = {n, c}};
    for (int i = 0; i < w->nd; i++) out_shape->dim[2 + i] = w->out[WINDOW_DIMS - w->nd + i];
}

// SPDX-License-Identifier: MIT
//
// The axes of convolutions. See axis.h.
#include "worker/backend/cudnn/lower/axis.h"

#include <string.h>

bool gpu_conv_axis_ok(const struct conv_axis *a)
{
    const int64_t most = CONV_AXIS_MOST;
    return a->kernel >= 1 && a->kernel <= most && a->stride >= 1 && a->stride <= most && a->dilation >= 1 &&
           a->dilation <= most && a->before >= 0 && a->before <= most && a->after >= 0 && a->after <= most &&
           a->out_pad >= 0;
}

// ONNX Conv (opset 22), attribute auto_pad.
struct conv_axis gpu_conv_axis(const struct node *node, int i, int axes, int64_t in, int64_t out, int64_t kernel)
{
    struct conv_axis a = {.kernel = kernel,
                          .stride = gpu_attr_at(node, "strides", i, 1),
                          .dilation = gpu_attr_at(node, "dilations", i, 1)};
    const char *mode = node_attr_string(node, "auto_pad", "NOTSET");
    if (!strcmp(mode, "NOTSET")) {
        a.before = gpu_attr_at(node, "pads", i, 0);
        a.after = gpu_attr_at(node, "pads", axes + i, 0);
    } else if (strcmp(mode, "VALID") != 0) {
        int64_t total = (out - 1) * a.stride + (kernel - 1) * a.dilation + 1 - in;
        if (total < 0) total = 0;
        a.before = !strcmp(mode, "SAME_LOWER") ? total - total / 2 : total / 2;
        a.after = total - a.before;
    }
    return a;
}

// ONNX ConvTranspose (opset 22): the padding that follows from the output's size.
struct conv_axis gpu_deconv_axis(const struct node *node, int i, int64_t in, int64_t out, int64_t kernel)
{
    struct conv_axis a = {.kernel = kernel,
                          .stride = gpu_attr_at(node, "strides", i, 1),
                          .dilation = gpu_attr_at(node, "dilations", i, 1)};
    const char *mode = node_attr_string(node, "auto_pad", "NOTSET");
    const int64_t *given, full = a.stride * (in - 1) + (kernel - 1) * a.dilation + 1;
    a.before = gpu_attr_at(node, "pads", i, 0);
    if (strcmp(mode, "NOTSET") || node_attr_ints(node, "output_shape", &given)) {
        const int64_t total = full + gpu_attr_at(node, "output_padding", i, 0) - out;
        a.before = total < 0 || !strcmp(mode, "VALID") ? 0
                   : !strcmp(mode, "SAME_UPPER")       ? total / 2
                                                       : total - total / 2;
    }
    a.after = full - a.before - out;
    if (a.after < 0) {
        a.out_pad = -a.after;
        a.after = 0;
    }
    return a;
}

// ---- three axes as two -----------------------------------------------------------------

// An axis along which nothing moves.
static bool stands(const struct conv_axis *a)
{
    return a->kernel == 1 && a->stride == 1 && !a->before && !a->after && !a->out_pad;
}

static void as_images(struct info *i, int64_t images, int64_t rows, int64_t columns)
{
    i->n = (int)images, i->h = (int)rows, i->w = (int)columns;
}

bool gpu_flat_volume(const struct lowered *p, const struct node *node, struct info *out_x, struct info *out_y,
                     struct conv_axis *rows, struct conv_axis *columns)
{
    const struct info *in = info_of(p, node->in[0]), *out = info_of(p, node->out[0]), *w = info_of(p, node->in[1]);
    const int64_t *x = in->shape.dim, *y = out->shape.dim;
    struct conv_axis a[3];
    if (!in->volume || !out->volume || w->shape.ndim != 5) return false;
    for (int i = 0; i < 3; i++) {
        const int64_t kernel = w->shape.dim[2 + i];
        a[i] = node_is(node, "Conv") ? gpu_conv_axis(node, i, 3, x[2 + i], y[2 + i], kernel)
                                     : gpu_deconv_axis(node, i, x[2 + i], y[2 + i], kernel);
    }
    *out_x = *in, *out_y = *out;
    if (stands(&a[0])) {
        as_images(out_x, x[0] * x[2], x[3], x[4]);
        as_images(out_y, y[0] * y[2], y[3], y[4]);
        *rows = a[1], *columns = a[2];
        return true;
    }
    if (!stands(&a[1]) || !stands(&a[2])) return false;
    as_images(out_x, x[0], x[2], x[3] * x[4]);
    as_images(out_y, y[0], y[2], y[3] * y[4]);
    *rows = a[0], *columns = CONV_AXIS_NONE;
    return true;
}

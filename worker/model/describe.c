// SPDX-License-Identifier: MIT
//
// model.h: what is said of a model, in words.
#include <stdio.h>
#include <string.h>

#include "worker/model/model.h"

const char *model_head_name(enum model_head head)
{
    static const char *const names[MODEL_HEADS] = {
        "none",       "ssd",        "yunet",  "yunet_2021", "yolox",         "yolov5",      "yolov8",
        "retinaface", "fastestdet", "detr",   "rtdetr",     "yolo_nas",      "lists",       "scrfd",
        "nanodet",    "picodet",    "yolov3", "yolov4",     "yolov7",        "yolov5_face", "yolov5_pose",
        "centernet",  "heatmap",    "simcc",  "movenet",    "finished boxes"};
    return (unsigned)head < MODEL_HEADS ? names[head] : "?";
}

static const char *colours(const struct model *m)
{
    const struct model_input *in = &m->input;
    if (in->channels == 1) return in->lightness ? "L" : "luma";
    if (m->task == REEL_TASK_COLORIZE) return in->bgr ? "gray as BGR" : "gray as RGB";
    return in->bgr ? "BGR" : "RGB";
}

// "0..255", or "-2.1..2.6" where channels are scaled each by their own.
static void range_text(const float gain[3], const float bias[3], int channels, bool inverse, char *buf, size_t bytes)
{
    float low = 0, high = 0;
    for (int i = 0; i < (channels == 1 ? 1 : 3); i++) {
        float a = inverse ? (0 - bias[i]) / gain[i] : bias[i];
        float b = inverse ? (1 - bias[i]) / gain[i] : gain[i] + bias[i];
        if (i == 0 || a < low) low = a;
        if (i == 0 || b > high) high = b;
    }
    snprintf(buf, bytes, "%.4g..%.4g", (double)low, (double)high);
}

static int describe_output(const struct model *m, const struct reel_shape *shapes, int w, int h, char *buf,
                           size_t bytes)
{
    char range[48];
    const struct reel_shape *s = &shapes[m->output.index];
    switch (m->task) {
    case REEL_TASK_IMAGE: {
        int rank = s->ndim, at = rank - 3 + (m->output.nhwc ? 0 : 1);
        range_text(m->output.gain, m->output.bias, m->output.channels, true, range, sizeof range);
        if (m->output.levels) snprintf(range, sizeof range, "scaled per picture");
        int n = snprintf(buf, bytes, "it makes %s picture %s",
                         m->output.channels == 1 ? (m->input.channels == 1 ? "a luma" : "a gray")
                         : m->output.bgr         ? "a BGR"
                                                 : "an RGB",
                         range);
        if (n < 0 || (size_t)n >= bytes || rank < 3) return n;
        double by = (double)s->dim[at + 1] / w;
        if (m->input.between) return n + snprintf(buf + n, bytes - (size_t)n, " between two frames");
        if (by == 1.0) return n + snprintf(buf + n, bytes - (size_t)n, " of the same size");
        return n + snprintf(buf + n, bytes - (size_t)n, " %g times as large", by);
    }
    case REEL_TASK_COLORIZE:
        return snprintf(buf, bytes, "it colours gray pictures (%s): %s", m->how_colours,
                        m->output.channels == 2 ? "luma is the frame's, ab the network's"
                                                : "luma is the frame's, chroma that of the network's picture");
    case REEL_TASK_FLOW:
        return snprintf(buf, bytes, "it measures the motion from each frame to the next");
    case REEL_TASK_DETECT:
        if (m->head == MODEL_HEAD_NMS || m->head == MODEL_HEAD_LISTS)
            return snprintf(buf, bytes, "it finds objects (%s head)", model_head_name(m->head));
        if (m->head == MODEL_HEAD_HEATMAP || m->head == MODEL_HEAD_SIMCC ||
            (m->head == MODEL_HEAD_MOVENET && s->ndim == 4))
            return snprintf(buf, bytes,
                            "it finds the %d points of one body, face or hand that fills the frame (%s head)",
                            m->points, model_head_name(m->head));
        if (m->points)
            return snprintf(buf, bytes, "it finds objects with %d points each (%s head, %d class%s)", m->points,
                            model_head_name(m->head), m->classes, m->classes == 1 ? "" : "es");
        return snprintf(buf, bytes, "it finds objects (%s head, %d class%s)", model_head_name(m->head), m->classes,
                        m->classes == 1 ? "" : "es");
    case REEL_TASK_CLASSIFY:
        return snprintf(buf, bytes, "it classifies into %d classes%s", m->classes,
                        m->softmax ? " (softmax is applied)" : "");
    case REEL_TASK_SEGMENT:
        return snprintf(buf, bytes, "it assigns each pixel one of %d classes", m->classes);
    case REEL_TASK_MATTE:
        return snprintf(buf, bytes, "it assigns each pixel a weight 0..1%s",
                        m->output.sigmoid ? " (sigmoid is applied)" : "");
    default:
        return snprintf(buf, bytes, "its outputs are passed on as tensors");
    }
}

static const char *layout_of(const struct model_input *in)
{
    if (in->inside) return "NCTHW";
    return !in->nhwc ? "NCHW" : in->five ? "NTHWC" : "NHWC";
}

void model_describe(const struct model *m, const struct reel_shape *out_shapes, int w, int h, char *buf,
                    size_t buf_bytes)
{
    static const char *const fits[] = {[MODEL_WHOLE] = "whole frames",
                                       [MODEL_TILES] = "tiles",
                                       [MODEL_LETTERBOX] = "letterboxed frames",
                                       [MODEL_STRETCH] = "stretched frames",
                                       [MODEL_CROP] = "frames cropped to the middle"};
    char range[48], size[48], frames[64] = "", out[360];
    range_text(m->input.gain, m->input.bias, m->input.channels, false, range, sizeof range);
    if (m->input.width && m->input.height)
        snprintf(size, sizeof size, "%dx%d", m->input.width, m->input.height);
    else
        snprintf(size, sizeof size, "any size");
    describe_output(m, out_shapes, w, h, out, sizeof out);
    if (m->input.frames > 1 && m->input.step > 1)
        snprintf(frames, sizeof frames, "%d frames at once, %d apart, each ", m->input.frames, m->input.step);
    else if (m->input.frames > 1)
        snprintf(frames, sizeof frames, "%d frames at once, each ", m->input.frames);
    snprintf(buf, buf_bytes, "model reads %s%s %s %s, %s, %s; %s\nvalues: %s%s%s", frames, colours(m), range,
             layout_of(&m->input), size, fits[m->input.fit], out, m->how_input, *m->how_output ? "; output: " : "",
             m->how_output);
    const size_t end = strlen(buf);
    if (*m->how_between && end + 1 < buf_bytes)
        snprintf(buf + end, buf_bytes - end, "\nframes: %s; %d out for each in", m->how_between, m->rate);
}

// SPDX-License-Identifier: MIT
//
// model.h: where a picture goes into the network, and how its values are read.
// What comes out is in model_output.c.
#include "worker/model.h"

#include <stdio.h>
#include <string.h>

#include "common/proto.h"
#include "worker/model_graph.h"

// Network size at which outputs are looked at when the input takes any size:
// not square, so that height and width can be told apart, and a multiple of
// every usual stride.
#define TRIAL_W 320
#define TRIAL_H 256

static const char *file_of(const struct model_facts *f)
{
    return f->path ? f->path : "?";
}

// ---- which input ------------------------------------------------------------

static bool is_channels(int64_t d)
{
    return d == 1 || d == 3;
}

#define MOST_FRAMES (2 * REEL_MAX_LOOKBACK + 1)

// How many frames of R, G, B so many channels are; 1: they are none of several.
static int frames_in(int64_t channels)
{
    const int64_t n = channels / 3;
    return channels > 3 && channels % 3 == 0 && n % 2 == 1 && n <= MOST_FRAMES ? (int)n : 1;
}

static bool is_row_of_frames(const struct reel_shape *s)
{
    return s->ndim == 5 && s->dim[0] <= 1 && s->dim[1] > 1 && s->dim[1] % 2 == 1 && s->dim[1] <= MOST_FRAMES &&
           is_channels(s->dim[2]);
}

static bool is_picture(const struct net_io *io)
{
    const struct reel_shape *s = &io->shape;
    if (is_row_of_frames(s)) return reel_dtype_is_float(io->dtype) || io->dtype == REEL_U8;
    if (s->ndim != 4 && s->ndim != 3) return false;
    // Without a batch only the channels tell a picture from any other table.
    if (s->ndim == 3 && !is_channels(s->dim[0]) && !is_channels(s->dim[2])) return false;
    return reel_dtype_is_float(io->dtype) || io->dtype == REEL_U8;
}

int model_frames_axis(const struct net_io *in, int n)
{
    const struct reel_shape *s = &in->shape;
    if (n < 3 || n % 2 == 0 || n > MOST_FRAMES || s->ndim != 4 || s->dim[0] > 1 || !is_picture(in)) return -1;
    for (int i = 1; i < n; i++)
        if (in[i].dtype != in->dtype || !reel_shape_equal(&in[i].shape, s)) return -1;
    if ((s->dim[1] == 3) == (s->dim[3] == 3)) return -1;
    return s->dim[1] == 3 ? 1 : 3;
}

// An input of the file that net_join_inputs() has made one with the others.
static bool is_joined(const struct model_facts *f, const char *name)
{
    const struct value *v = f->graph ? graph_find_value(f->graph, name) : NULL;
    return v && v->producer && v->producer == f->graph->first && v->producer->in[0] == f->graph->inputs[0] &&
           !strcmp(v->producer->op_type, "Split");
}

static enum reel_err choose_input(const struct model_facts *f, const char *wanted, int *out_index)
{
    int found = -1;
    for (int i = 0; i < f->n_in; i++) {
        if (*wanted && strcmp(f->in[i].name, wanted)) continue;
        if (!*wanted && (!is_picture(&f->in[i]) || state_of_input(f->states, i) >= 0)) continue;
        if (found < 0) found = i;
    }
    char shape[96];
    if (found < 0 && *wanted && is_joined(f, wanted))
        return reel_fail(REEL_ERR_CONFIG,
                         "could not use io.input \"%s\": it is one of the frames that model \"%s\" sees together\n"
                         "leave io.input out: all of them are given to it",
                         wanted, file_of(f));
    if (found < 0 && *wanted)
        return reel_fail(REEL_ERR_CONFIG, "could not use model \"%s\": it has no input \"%s\"", file_of(f), wanted);
    if (found < 0)
        return reel_fail(
            REEL_ERR_UNSUPPORTED,
            "could not use model \"%s\": input \"%s\" of shape %s is no picture\n"
            "a picture is NCHW or NHWC with 1 or 3 channels, or 3 for each of an odd number of frames, which may "
            "also be an input each",
            file_of(f), f->n_in ? f->in[0].name : "",
            f->n_in ? reel_shape_text(&f->in[0].shape, shape, sizeof shape) : "");
    for (int i = 0; i < f->n_in; i++)
        if (i != found && state_of_input(f->states, i) < 0)
            return reel_fail(REEL_ERR_UNSUPPORTED,
                             "could not use model \"%s\": it needs a second input \"%s\" of shape %s, and only one "
                             "picture is given to a network\n"
                             "is it what an output was in the frame before, say io.state \"%s=OUTPUT\"; is it one "
                             "number for all frames, io.constants \"%s=NUMBER\"",
                             file_of(f), f->in[i].name, reel_shape_text(&f->in[i].shape, shape, sizeof shape),
                             f->in[i].name, f->in[i].name);
    *out_index = found;
    return REEL_OK;
}

// ---- layout, channels, size -------------------------------------------------

// channels: of all frames.
static enum reel_err guess_frames(const struct model_facts *f, const struct reel_settings *s, int64_t channels,
                                  struct model_input *in)
{
    const struct net_io *io = &f->in[in->index];
    char text[96];
    reel_shape_text(&io->shape, text, sizeof text);
    in->frames = s->io.frames ? s->io.frames : frames_in(channels);
    if (in->frames % 2 == 0 || (s->io.frames > 1 && !is_channels(channels / in->frames)) || channels % in->frames)
        return reel_fail(REEL_ERR_CONFIG,
                         "could not use io.frames %d: input \"%s\" of shape %s is no odd number of frames with 1 or 3 "
                         "channels each",
                         in->frames, io->name, text);
    in->channels = (int)(channels / in->frames);
    if (!is_channels(in->channels))
        return reel_fail(REEL_ERR_UNSUPPORTED,
                         "could not use model \"%s\": input \"%s\" of shape %s has %d channels, a picture has 1 or 3, "
                         "and so has each of an odd number of frames",
                         file_of(f), io->name, text, (int)channels);
    return REEL_OK;
}

static enum reel_err guess_row_of_frames(const struct model_facts *f, const struct reel_settings *s,
                                         struct model_input *in)
{
    const struct reel_shape *shape = &f->in[in->index].shape;
    in->five = true;
    in->frames = (int)shape->dim[1];
    in->channels = (int)shape->dim[2];
    if (s->io.frames && s->io.frames != in->frames)
        return reel_fail(REEL_ERR_CONFIG, "could not use io.frames %d: the model looks at %d", s->io.frames,
                         in->frames);
    return REEL_OK;
}

static enum reel_err guess_layout(const struct model_facts *f, const struct reel_settings *s, struct model_input *in)
{
    const struct net_io *io = &f->in[in->index];
    int rank = io->shape.ndim, first = rank - 3;
    if (is_row_of_frames(&io->shape)) return guess_row_of_frames(f, s, in);
    if (rank != 3 && rank != 4)
        return reel_fail(REEL_ERR_UNSUPPORTED, "could not use model \"%s\": input \"%s\" has rank %d, a picture has 4",
                         file_of(f), io->name, rank);
    in->no_batch = rank == 3;
    int64_t a = io->shape.dim[first], c = io->shape.dim[first + 2];
    struct model_first_conv conv = model_first_conv(f->graph, io->name);
    if (s->io.layout != SET_LAYOUT_AUTO)
        in->nhwc = s->io.layout == SET_LAYOUT_NHWC;
    else if (is_channels(a) != is_channels(c))
        in->nhwc = is_channels(c);
    else if ((frames_in(a) > 1) != (frames_in(c) > 1))
        in->nhwc = frames_in(c) > 1;
    else
        in->nhwc = conv.transposed;
    int64_t channels = in->nhwc ? c : a;
    if (channels < 0) channels = is_channels(conv.channels) || frames_in(conv.channels) > 1 ? conv.channels : 3;
    if (!in->no_batch && io->shape.dim[0] > 1)
        return reel_fail(REEL_ERR_UNSUPPORTED, "could not use model \"%s\": input \"%s\" takes batches of %d only",
                         file_of(f), io->name, (int)io->shape.dim[0]);
    return guess_frames(f, s, channels, in);
}

static enum reel_err guess_size(const struct model_facts *f, const struct reel_settings *s, struct model_input *in)
{
    const struct reel_shape *shape = &f->in[in->index].shape;
    int first = shape->ndim - 3 + (in->nhwc ? 0 : 1);
    int64_t h = shape->dim[first], w = shape->dim[first + 1];
    if (h == 0 || w == 0 || h > 32768 || w > 32768)
        return reel_fail(REEL_ERR_UNSUPPORTED, "could not use model \"%s\": its input is %dx%d", file_of(f), (int)w,
                         (int)h);
    in->width = w > 0 ? (int)w : 0, in->height = h > 0 ? (int)h : 0;
    in->size_multiple = f->size_multiple > 1 ? f->size_multiple : 1;
    const char *stated = *s->io.size ? s->io.size : NULL;
    if (!stated) return REEL_OK;
    int sw, sh;
    enum reel_err err = reel_parse_size(stated, &sw, &sh);
    if (err) return err;
    if ((w > 0 && w != sw) || (h > 0 && h != sh))
        return reel_fail(REEL_ERR_CONFIG, "could not use io.size \"%s\": the model takes %dx%d", stated, in->width,
                         in->height);
    in->width = sw, in->height = sh;
    return REEL_OK;
}

enum reel_err model_guess_input(const struct model_facts *f, const struct reel_settings *s, struct model *out_model)
{
    *out_model = (struct model){0};
    struct model_input *in = &out_model->input;
    enum reel_err err = choose_input(f, s->io.input, &in->index);
    if (!err) err = guess_layout(f, s, in);
    if (!err) err = guess_size(f, s, in);
    if (err) return err;
    in->dtype = f->in[in->index].dtype;
    if (!reel_dtype_is_float(in->dtype) && in->dtype != REEL_U8)
        return reel_fail(REEL_ERR_UNSUPPORTED, "could not use model \"%s\": its input is of type %s", file_of(f),
                         reel_dtype_name(in->dtype));
    return REEL_OK;
}

void model_input_shape(const struct model *m, const struct model_facts *f, int w, int h, struct reel_shape *out_shape)
{
    const struct model_input *in = &m->input;
    const int channels = in->five ? in->channels : in->channels * in->frames;
    struct reel_shape s = {.ndim = in->no_batch ? 3 : in->five ? 5 : 4};
    int at = 0;
    if (!in->no_batch) s.dim[at++] = 1;
    if (in->five) s.dim[at++] = in->frames;
    if (!in->nhwc) s.dim[at++] = channels;
    s.dim[at++] = h;
    s.dim[at++] = w;
    if (in->nhwc) s.dim[at++] = channels;
    *out_shape = s;
}

void model_trial_size(const struct model *m, const struct reel_settings *s, int *out_w, int *out_h)
{
    int multiple = m->input.size_multiple;
    *out_w = m->input.width ? m->input.width : (TRIAL_W + multiple - 1) / multiple * multiple;
    *out_h = m->input.height ? m->input.height : (TRIAL_H + multiple - 1) / multiple * multiple;
}

// ---- text -------------------------------------------------------------------

const char *model_head_name(enum model_head head)
{
    static const char *const names[MODEL_HEADS] = {"none",   "ssd",    "yunet",      "yunet_2021", "yolox",
                                                   "yolov5", "yolov8", "retinaface", "fastestdet", "finished boxes"};
    return (unsigned)head < MODEL_HEADS ? names[head] : "?";
}

static const char *colours(int channels, bool bgr)
{
    return channels == 1 ? "luma" : bgr ? "BGR" : "RGB";
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
        int n = snprintf(buf, bytes, "it makes %s picture %s",
                         m->output.channels == 1 ? "a luma"
                         : m->output.bgr         ? "a BGR"
                                                 : "an RGB",
                         range);
        if (n < 0 || (size_t)n >= bytes || rank < 3) return n;
        double by = (double)s->dim[at + 1] / w;
        if (by == 1.0) return n + snprintf(buf + n, bytes - (size_t)n, " of the same size");
        return n + snprintf(buf + n, bytes - (size_t)n, " %g times as large", by);
    }
    case REEL_TASK_DETECT:
        return snprintf(buf, bytes, "it finds objects (%s head, %d class%s)", model_head_name(m->head), m->classes,
                        m->classes == 1 ? "" : "es");
    case REEL_TASK_CLASSIFY:
        return snprintf(buf, bytes, "it tells one of %d classes%s", m->classes,
                        m->softmax ? " (softmax is applied)" : "");
    case REEL_TASK_SEGMENT:
        return snprintf(buf, bytes, "it gives each pixel one of %d classes", m->classes);
    case REEL_TASK_MATTE:
        return snprintf(buf, bytes, "it gives each pixel a weight 0..1%s",
                        m->output.sigmoid ? " (sigmoid is applied)" : "");
    default:
        return snprintf(buf, bytes, "its outputs are passed on as tensors");
    }
}

void model_describe(const struct model *m, const struct reel_shape *out_shapes, int w, int h, char *buf,
                    size_t buf_bytes)
{
    static const char *const fits[] = {[MODEL_WHOLE] = "whole frames",
                                       [MODEL_TILES] = "tiles",
                                       [MODEL_LETTERBOX] = "frames shrunk with borders",
                                       [MODEL_STRETCH] = "stretched frames",
                                       [MODEL_CROP] = "the middle of frames"};
    char range[48], size[48], frames[40] = "", out[200];
    range_text(m->input.gain, m->input.bias, m->input.channels, false, range, sizeof range);
    if (m->input.width && m->input.height)
        snprintf(size, sizeof size, "%dx%d", m->input.width, m->input.height);
    else
        snprintf(size, sizeof size, "any size");
    describe_output(m, out_shapes, w, h, out, sizeof out);
    if (m->input.frames > 1) snprintf(frames, sizeof frames, "%d frames at once, each ", m->input.frames);
    snprintf(buf, buf_bytes, "model reads %s%s %s %s, %s, %s; %s\nvalues: %s%s%s", frames,
             colours(m->input.channels, m->input.bgr), range, m->input.nhwc ? "NHWC" : "NCHW", size, fits[m->input.fit],
             out, m->how_input, *m->how_output ? "; output: " : "", m->how_output);
}

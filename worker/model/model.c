// SPDX-License-Identifier: MIT
//
// model.h: where a picture goes into the network, and how its values are read.
// What comes out is in output.c, what is said of both in describe.c.
#include "worker/model/model.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "worker/model/graph.h"

// Network size at which outputs are looked at when the input takes any size:
// not square, so that height and width can be told apart, and a multiple of
// every usual stride.
#define TRIAL_W 320
#define TRIAL_H 256

// Of a clip of any number, as most are trained.
#define CLIP_FRAMES 16

static const char *file_of(const struct model_facts *f)
{
    return f->path ? f->path : "?";
}

// ---- shapes -------------------------------------------------------------------

static bool is_channels(int64_t d)
{
    return d == 1 || d == 3;
}

// How many frames of R, G, B so many channels are; 1: they are none of several.
static int frames_in(int64_t channels)
{
    const int64_t n = channels / 3;
    return channels > 3 && channels % 3 == 0 && n % 2 == 1 && n <= MODEL_MOST_FRAMES ? (int)n : 1;
}

// Channels behind those of two frames, -1: so many are none that are known.
static int planes_in(int64_t channels)
{
    const int64_t n = channels - 6;
    return n == 0 || n == MODEL_PLANE_TIME + 1 || n == MODEL_PLANE_SCALE + 1 || n == MODEL_PLANES ? (int)n : -1;
}

static bool is_several(int64_t channels)
{
    return frames_in(channels) > 1 || planes_in(channels) >= 0;
}

// Whether the last axis is the channels of several frames: a picture has more rows and columns.
static bool are_last_several(const struct reel_shape *s)
{
    const int64_t *d = s->dim + s->ndim - 3;
    return is_several(d[2]) && (d[0] < 0 || d[0] > d[2]) && (d[1] < 0 || d[1] > d[2]);
}

// The axis of time of a row of frames or a clip: 1 of (1,T,C,H,W) and (1,T,H,W,C), 2 of
// (1,C,T,H,W); 0: it is none.
static int time_axis(const struct reel_shape *s)
{
    if (s->ndim != 5 || s->dim[0] > 1) return 0;
    const int axis = is_channels(s->dim[2]) ? 1 : is_channels(s->dim[1]) ? 2 : is_channels(s->dim[4]) ? 1 : 0;
    return s->dim[axis] < 0 || (s->dim[axis] > 1 && s->dim[axis] <= MODEL_MOST_SEEN) ? axis : 0;
}

// One of (1,T,C,H,W) of which a picture may be made.
static bool is_row_of_frames(const struct reel_shape *s)
{
    return time_axis(s) == 1 && is_channels(s->dim[2]) && s->dim[1] <= MODEL_MOST_FRAMES &&
           (s->dim[1] % 2 == 1 || s->dim[1] == 2);
}

// Whether values of 0..255 can be stored so; 32-bit integers as MoveNet has them.
static bool is_pixel_type(enum reel_dtype dtype)
{
    return reel_dtype_is_float(dtype) || dtype == REEL_U8 || dtype == REEL_I32;
}

static bool is_picture(const struct net_io *io)
{
    const struct reel_shape *s = &io->shape;
    if (io->dtype == REEL_I32 && (s->ndim != 4 || (s->dim[1] != 3 && s->dim[3] != 3))) return false;
    if (time_axis(s)) return is_pixel_type(io->dtype);
    if (s->ndim != 4 && s->ndim != 3) return false;
    // Without a batch only the channels tell a picture from any other table.
    if (s->ndim == 3 && !is_channels(s->dim[0]) && !is_channels(s->dim[2])) return false;
    return is_pixel_type(io->dtype);
}

// ---- inputs that are a frame each ---------------------------------------------

// The axis of the three channels; -1: the input is no frame that may be joined with others.
static int frame_axis(const struct net_io *io)
{
    const struct reel_shape *s = &io->shape;
    if (s->ndim != 4 || s->dim[0] > 1 || !is_picture(io) || (s->dim[1] == 3) == (s->dim[3] == 3)) return -1;
    return s->dim[1] == 3 ? 1 : 3;
}

static bool are_alike(const struct net_io *a, const struct net_io *b)
{
    return a->dtype == b->dtype && reel_shape_equal(&a->shape, &b->shape);
}

// A name's word, in small letters, and the number behind it (-1: none): "img0" is img, 0.
static int split_name(const char *name, char word[SET_WORD])
{
    size_t n = 0;
    int number = -1;
    for (; *name; name++) {
        if (isdigit((unsigned char)*name))
            number = (number < 0 ? 0 : number % 1000 * 10) + *name - '0';
        else if (isalpha((unsigned char)*name) && n + 1 < SET_WORD)
            word[n++] = (char)tolower((unsigned char)*name);
    }
    word[n] = 0;
    return number;
}

// Whether two names say that one frame follows the other.
static bool names_follow(const char *first, const char *second)
{
    static const char *const frames[] = {"img", "image", "im", "frame", "i", "x", "inputframe", NULL};
    static const char *const pairs[][2] = {{"prev", "next"},    {"previous", "next"}, {"prevframe", "nextframe"},
                                           {"before", "after"}, {"first", "second"},  {"firstframe", "secondframe"}};
    char a[SET_WORD], b[SET_WORD];
    const int from = split_name(first, a), to = split_name(second, b);
    if (!strcmp(a, b)) return from >= 0 && to == from + 1 && model_is_one_of(a, frames);
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if (!strcmp(a, pairs[i][0]) && !strcmp(b, pairs[i][1])) return true;
    return false;
}

// One number, or a plane of them, under a name that means time.
static bool is_time(const struct net_io *io, const struct reel_settings *s)
{
    static const char *const names[] = {"t", "dt", "time", "timestep", "timesteps", "timestamp", "embt", "step", NULL};
    char word[SET_WORD];
    split_name(io->name, word);
    if (!reel_dtype_is_float(io->dtype) || io->shape.ndim < 0 || io->shape.ndim > 4) return false;
    const int sides = io->shape.ndim == 4 ? 2 : 0; // of a plane any
    int large = 0;
    for (int d = 0; d < io->shape.ndim; d++) large += io->shape.dim[d] > 1 || (sides && d > 0 && io->shape.dim[d] < 0);
    if (large > sides) return false;
    return *s->io.time ? !strcmp(io->name, s->io.time) : model_is_one_of(word, names);
}

static bool join_two(const struct net_io *in, int n, const struct reel_settings *s, struct model_join *out)
{
    int others = 0, times = 0;
    *out = (struct model_join){0};
    for (int i = 0; i < n; i++) {
        const int axis = frame_axis(&in[i]);
        if (reel_pictures_name(s->io.pictures, in[i].name)) continue;
        if (axis >= 0 && out->n < 2)
            out->axis = axis, out->which[out->n++] = i;
        else if (is_time(&in[i], s))
            times++;
        else
            others++;
    }
    if (out->n != 2 || times > 1 || others) return false;
    const struct net_io *a = &in[out->which[0]], *b = &in[out->which[1]];
    const bool stated = s->io.frames == 2 || reel_settings_task(s) == REEL_TASK_FLOW;
    return are_alike(a, b) && (times || stated || (!s->io.frames && names_follow(a->name, b->name)));
}

static bool join_odd(const struct net_io *in, int n, const struct reel_settings *s, struct model_join *out)
{
    *out = (struct model_join){.axis = -1};
    for (int i = 0; i < n; i++) {
        if (reel_pictures_name(s->io.pictures, in[i].name)) continue;
        if (!out->n) out->axis = frame_axis(&in[i]);
        if (out->n == MODEL_MOST_FRAMES || !are_alike(&in[i], &in[out->n ? out->which[0] : i])) return false;
        out->which[out->n++] = i;
    }
    return out->n >= 3 && out->n % 2 == 1 && out->axis >= 0;
}

bool model_frames_join(const struct net_io *in, int n, const struct reel_settings *s, struct model_join *out)
{
    int frames = 0, times = 0;
    for (int i = 0; i < n; i++) {
        const bool given = reel_pictures_name(s->io.pictures, in[i].name);
        frames += !given;
        times += !given && is_time(&in[i], s);
    }
    return frames == 2 || (frames == 3 && times) ? join_two(in, n, s, out) : join_odd(in, n, s, out);
}

int model_frames_made(const struct net_io *in, int n_in, const struct net_io *out)
{
    const struct reel_shape *made = &out->shape;
    if (made->ndim != 5 || !reel_dtype_is_float(out->dtype)) return 0;
    for (int i = 0; i < n_in; i++) {
        const struct reel_shape *seen = &in[i].shape;
        if (is_row_of_frames(seen) && seen->dim[1] % 2 && (made->dim[1] == seen->dim[1] || made->dim[1] < 0))
            return (int)seen->dim[1];
    }
    return 0;
}

// The node that gives each frame to its input of the file again, which
// net_join_inputs() has made one; NULL: there is none.
static const struct node *joint(const struct model_facts *f)
{
    const struct node *n = f->graph ? f->graph->first : NULL;
    return n && n->name && !strcmp(n->name, GRAPH_JOINT) ? n : NULL;
}

static bool is_joined(const struct model_facts *f, const char *name)
{
    const struct node *n = joint(f);
    for (int i = 0; n && i < n->n_out; i++)
        if (n->out[i]->name && !strcmp(n->out[i]->name, name)) return true;
    return false;
}

// ---- which input ----------------------------------------------------------------

static enum reel_err no_picture(const struct model_facts *f, const char *wanted)
{
    char shape[96];
    if (*wanted && is_joined(f, wanted))
        return reel_fail(REEL_ERR_CONFIG,
                         "could not use io.input \"%s\": it is one of the frames that model \"%s\" sees together\n"
                         "leave io.input out: all of them are given to it",
                         wanted, file_of(f));
    for (int i = 0; i < f->n_in && !*wanted; i++)
        if (is_picture(&f->in[i]) && model_picture_for(f, f->in[i].name) >= 0)
            return reel_fail(REEL_ERR_CONFIG, "could not use model \"%s\": io.pictures leaves no input for the frames",
                             file_of(f));
    if (*wanted)
        return reel_fail(REEL_ERR_CONFIG, "could not use model \"%s\": it has no input \"%s\"", file_of(f), wanted);
    return reel_fail(
        REEL_ERR_UNSUPPORTED,
        "could not use model \"%s\": input \"%s\" of shape %s is not a picture\na picture is NCHW or NHWC with 1 or 3 "
        "channels, or 3 for each of two or of an odd number of frames, which may also be separate inputs; a clip is "
        "NCTHW, "
        "NTCHW or NTHWC",
        file_of(f), f->n_in ? f->in[0].name : "", f->n_in ? reel_shape_text(&f->in[0].shape, shape, sizeof shape) : "");
}

// What is in the way of input `found`, the picture.
static enum reel_err needs_more(const struct model_facts *f, int found, int other)
{
    char shape[96];
    const struct net_io *a = &f->in[found], *b = &f->in[other];
    if (f->n_in == 2 && frame_axis(a) >= 0 && are_alike(a, b))
        return reel_fail(
            REEL_ERR_UNSUPPORTED,
            "could not use model \"%s\": it takes two pictures, \"%s\" and \"%s\", and their names do not "
            "show that one follows the other\nif it makes the frames between two, set io.frames 2; if it measures the "
            "motion from one to the next, --task flow; if the "
            "second is an output of the previous frame, io.state \"%s=OUTPUT\"; if it is a picture that "
            "you have (a style, a background), io.pictures \"%s=FILE\"",
            file_of(f), a->name, b->name, b->name, b->name);
    if (time_axis(&a->shape) && time_axis(&b->shape))
        return reel_fail(REEL_ERR_UNSUPPORTED,
                         "could not use model \"%s\": it sees two clips at different rates, \"%s\" and \"%s\" (as "
                         "SlowFast), which reelmill does not feed\nnetworks of one clip are (R3D, S3D, MViT, X3D, "
                         "SlowFast's slow path alone)",
                         file_of(f), a->name, b->name);
    return reel_fail(REEL_ERR_UNSUPPORTED,
                     "could not use model \"%s\": it needs a second input \"%s\" of shape %s, and nothing shows what "
                     "that is\nif it is an output of the previous frame, set io.state \"%s=OUTPUT\"; if it is one "
                     "number for all frames, io.constants \"%s=NUMBER\"; if it is the time between two frames, io.time "
                     "\"%s\"; if it is a picture that you have (a style, a background, a mask of what to fill in), "
                     "io.pictures \"%s=FILE\"",
                     file_of(f), b->name, reel_shape_text(&b->shape, shape, sizeof shape), b->name, b->name, b->name,
                     b->name);
}

static bool is_state(const struct model_facts *f, int i)
{
    return state_of_input(f->states, i) >= 0;
}

static bool is_given(const struct model_facts *f, int i)
{
    return model_picture_for(f, f->in[i].name) >= 0;
}

static enum reel_err no_frames(const struct model_facts *f, int input)
{
    return reel_fail(REEL_ERR_CONFIG,
                     "could not use model \"%s\": input \"%s\" takes the frames, but io.pictures gives it a picture",
                     file_of(f), f->in[input].name);
}

// Also the one that takes the time between two frames; it has a meaning with these alone.
static enum reel_err choose_input(const struct model_facts *f, const struct reel_settings *s, struct model_input *in)
{
    const char *wanted = s->io.input;
    int found = -1;
    in->time_input = -1;
    for (int i = 0; i < f->n_in && found < 0; i++)
        if (*wanted ? !strcmp(f->in[i].name, wanted) : is_picture(&f->in[i]) && !is_state(f, i) && !is_given(f, i))
            found = i;
    if (found < 0) return no_picture(f, wanted);
    if (is_given(f, found)) return no_frames(f, found);
    for (int i = 0; i < f->n_in; i++) {
        if (i == found || is_state(f, i) || is_given(f, i)) continue;
        if (in->time_input >= 0 || f->n_in != 2 + f->n_pictures || !is_time(&f->in[i], s))
            return needs_more(f, found, i);
        in->time_input = i;
    }
    if (*s->io.time && in->time_input < 0)
        return reel_fail(REEL_ERR_CONFIG,
                         "could not use io.time \"%s\": model \"%s\" has no such input of one float, or a plane of "
                         "them, beside two frames",
                         s->io.time, file_of(f));
    in->index = found;
    return REEL_OK;
}

// ---- layout, channels, size -------------------------------------------------

static bool sees_two(const struct model_facts *f, const struct reel_settings *s, int64_t channels)
{
    const bool stateful = f->states && f->states->n;
    return planes_in(channels) >= 0 && !stateful && (!s->io.frames || s->io.frames == 2);
}

// channels: of all frames.
static enum reel_err guess_frames(const struct model_facts *f, const struct reel_settings *s, int64_t channels,
                                  struct model_input *in)
{
    const struct net_io *io = &f->in[in->index];
    char text[96];
    reel_shape_text(&io->shape, text, sizeof text);
    in->frames = s->io.frames ? s->io.frames : frames_in(channels);
    if (sees_two(f, s, channels)) {
        in->between = in->pair = true;
        in->frames = 2, in->channels = 3;
        in->planes = planes_in(channels);
        return REEL_OK;
    }
    if (in->frames % 2 == 0 || (s->io.frames > 1 && !is_channels(channels / in->frames)) || channels % in->frames)
        return reel_fail(REEL_ERR_CONFIG,
                         "could not use io.frames %d: input \"%s\" of shape %s is neither two frames with 3 channels "
                         "each nor an odd number of frames with 1 or 3 channels each",
                         in->frames, io->name, text);
    in->channels = (int)(channels / in->frames);
    if (in->frames == 1 && f->n_in == 1 && (channels == 4 || channels == 2))
        return reel_fail(
            REEL_ERR_UNSUPPORTED,
            "could not use model \"%s\": input \"%s\" of shape %s has %d channels, a picture 1 or 3\nif the "
            "last one is a number for the whole picture, such as the noise's strength in 0..1 (DRUNet), set "
            "it: --io.constants \"%s=0.06\"",
            file_of(f), io->name, text, (int)channels, io->name);
    if (!is_channels(in->channels))
        return reel_fail(
            REEL_ERR_UNSUPPORTED,
            "could not use model \"%s\": input \"%s\" of shape %s has %d channels\na picture has 1 or 3, and so has "
            "each of an odd number of frames; two frames have 6, or 7, 8 or 11 with the time between them",
            file_of(f), io->name, text, (int)channels);
    return REEL_OK;
}

static enum reel_err guess_row_of_frames(const struct model_facts *f, const struct reel_settings *s,
                                         struct model_input *in)
{
    const struct reel_shape *shape = &f->in[in->index].shape;
    const enum reel_task wanted = reel_settings_task(s);
    const int time = time_axis(shape), fixed = (int)shape->dim[time];
    in->five = true;
    in->inside = time == 2;
    in->nhwc = time == 1 && !is_channels(shape->dim[2]);
    in->frames = fixed > 0 ? fixed : s->io.frames ? s->io.frames : CLIP_FRAMES;
    in->channels = (int)shape->dim[in->inside ? 1 : in->nhwc ? 4 : 2];
    in->pair = in->frames == 2 && wanted != REEL_TASK_CLASSIFY;
    in->between = in->pair;
    if (in->between && f->states && f->states->n)
        return reel_fail(REEL_ERR_UNSUPPORTED, "could not use model \"%s\": it sees two frames and carries a state",
                         file_of(f));
    if (s->io.frames && s->io.frames != in->frames)
        return reel_fail(REEL_ERR_CONFIG, "could not use io.frames %d: the model takes %d", s->io.frames, in->frames);
    if (in->between && in->channels != 3)
        return reel_fail(REEL_ERR_UNSUPPORTED, "could not use model \"%s\": its two frames are not in colour",
                         file_of(f));
    return REEL_OK;
}

int model_sees_before(const struct model_input *in)
{
    return in->pair ? 0 : in->frames / 2 * in->step;
}

int model_sees_behind(const struct model_input *in)
{
    return in->frames > 1 ? (in->frames - 1) * in->step - model_sees_before(in) : 0;
}

// How far apart the frames of a clip are.
static enum reel_err guess_step(const struct model_facts *f, const struct reel_settings *s, struct model_input *in)
{
    in->step = in->frames > 1 && !in->pair && s->classify.stride > 1 ? s->classify.stride : 1;
    if (s->classify.stride > 1 && in->step == 1)
        return reel_fail(REEL_ERR_CONFIG, "could not use classify.stride %d: model \"%s\" sees no clip",
                         s->classify.stride, file_of(f));
    if (model_sees_before(in) <= REEL_MAX_ASIDE && model_sees_behind(in) <= REEL_MAX_ASIDE) return REEL_OK;
    return reel_fail(REEL_ERR_CONFIG,
                     "could not use classify.stride %d: the %d frames that model \"%s\" sees would span %d of the "
                     "video, at most %d can be\nfewer frames a second have the same effect: --pre_filter fps=N",
                     s->classify.stride, in->frames, file_of(f), (in->frames - 1) * in->step + 1, 2 * REEL_MAX_ASIDE);
}

// Why it is thought that pictures between two frames are made, and where their time goes.
static void say_between(const struct model_facts *f, const struct reel_settings *s, struct model *m)
{
    const struct model_input *in = &m->input;
    const struct node *n = joint(f);
    char what[128], when[96];
    if (n)
        snprintf(what, sizeof what, "inputs \"%.40s\" and \"%.40s\" are two frames", n->out[0]->name, n->out[1]->name);
    else if (in->five)
        snprintf(what, sizeof what, "input \"%.40s\" has two frames", f->in[in->index].name);
    else
        snprintf(what, sizeof what, "input \"%.40s\" has the channels of two frames", f->in[in->index].name);
    if (in->time_input >= 0)
        snprintf(when, sizeof when, ", input \"%.40s\" takes the time between them", f->in[in->time_input].name);
    else if (in->planes)
        snprintf(when, sizeof when, ", channel 7 takes the time between them%s",
                 in->planes == MODEL_PLANES ? ", the last four a grid"
                 : in->planes > 1           ? ", channel 8 the scale"
                                            : "");
    else
        snprintf(when, sizeof when, "; it makes the middle frame");
    snprintf(m->how_between, sizeof m->how_between, "%s%s%s", what, s->io.frames == 2 ? " (io.frames)" : "", when);
}

// Frames out for each in. Without a time halves of halves are made.
static enum reel_err guess_rate(const struct model_facts *f, const struct reel_settings *s, struct model *m)
{
    const struct model_input *in = &m->input;
    m->rate = 1;
    if (!in->between && s->rate)
        return reel_fail(REEL_ERR_CONFIG, "could not use --rate %d: model \"%s\" does not interpolate frames", s->rate,
                         file_of(f));
    if (!in->between) return REEL_OK;
    m->rate = s->rate ? s->rate : 2;
    if (!in->planes && in->time_input < 0 && m->rate & (m->rate - 1))
        return reel_fail(REEL_ERR_CONFIG,
                         "could not use --rate %d: model \"%s\" takes no time, it makes the middle of two frames\n2, 4 "
                         "and 8 are possible, by halving",
                         m->rate, file_of(f));
    say_between(f, s, m);
    return REEL_OK;
}

static enum reel_err guess_layout(const struct model_facts *f, const struct reel_settings *s, struct model_input *in)
{
    const struct net_io *io = &f->in[in->index];
    int rank = io->shape.ndim, first = rank - 3;
    if (time_axis(&io->shape)) return guess_row_of_frames(f, s, in);
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
    else if (is_several(a) != are_last_several(&io->shape))
        in->nhwc = are_last_several(&io->shape);
    else
        in->nhwc = conv.transposed;
    int64_t channels = in->nhwc ? c : a;
    if (channels < 0) channels = is_channels(conv.channels) || is_several(conv.channels) ? conv.channels : 3;
    if (!in->no_batch && io->shape.dim[0] > 1)
        return reel_fail(REEL_ERR_UNSUPPORTED, "could not use model \"%s\": input \"%s\" takes only batches of %d",
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
    enum reel_err err = model_check_given(f);
    if (!err) err = choose_input(f, s, in);
    if (!err) err = guess_layout(f, s, in);
    if (!err && in->time_input >= 0 && !in->between) err = needs_more(f, in->index, in->time_input);
    if (!err) err = guess_step(f, s, in);
    if (!err) err = guess_rate(f, s, out_model);
    if (!err) err = guess_size(f, s, in);
    if (!err) err = model_guess_given(f, s, in);
    if (err) return err;
    in->dtype = f->in[in->index].dtype;
    if (!is_pixel_type(in->dtype))
        return reel_fail(REEL_ERR_UNSUPPORTED, "could not use model \"%s\": its input is of type %s", file_of(f),
                         reel_dtype_name(in->dtype));
    return REEL_OK;
}

// One number, or a plane of them as large as the picture.
static struct reel_shape time_shape(struct reel_shape s, int w, int h)
{
    const int first = s.ndim == 4 && s.dim[3] == 1 && s.dim[1] != 1 ? 1 : 2; // of the two sides
    for (int d = 0; d < s.ndim; d++)
        if (s.dim[d] < 0) s.dim[d] = s.ndim < 4 || d < first || d > first + 1 ? 1 : d == first ? h : w;
    return s;
}

void model_input_shapes(const struct model *m, const struct model_facts *f, int w, int h, struct reel_shape *out_shapes)
{
    const struct model_input *in = &m->input;
    const int channels = in->five ? in->channels : in->channels * in->frames + in->planes;
    struct reel_shape s = {.ndim = in->no_batch ? 3 : in->five ? 5 : 4};
    int at = 0;
    if (!in->no_batch) s.dim[at++] = 1;
    if (in->five && !in->inside) s.dim[at++] = in->frames;
    if (!in->nhwc) s.dim[at++] = channels;
    if (in->inside) s.dim[at++] = in->frames;
    s.dim[at++] = h;
    s.dim[at++] = w;
    if (in->nhwc) s.dim[at++] = channels;
    out_shapes[in->index] = s;
    if (in->time_input >= 0) out_shapes[in->time_input] = time_shape(f->in[in->time_input].shape, w, h);
    for (int i = 0; i < in->n_given; i++) out_shapes[in->given[i].index] = model_given_shape(&in->given[i], w, h);
}

void model_trial_size(const struct model *m, const struct reel_settings *s, int *out_w, int *out_h)
{
    int multiple = m->input.size_multiple;
    *out_w = m->input.width ? m->input.width : (TRIAL_W + multiple - 1) / multiple * multiple;
    *out_h = m->input.height ? m->input.height : (TRIAL_H + multiple - 1) / multiple * multiple;
}

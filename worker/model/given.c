// SPDX-License-Identifier: MIT
//
// model.h: inputs that take a picture of their own, which the user names in
// io.pictures.
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "worker/model/model.h"

static const char *file_of(const struct model_facts *f)
{
    return f->path ? f->path : "?";
}

int model_picture_for(const struct model_facts *f, const char *input)
{
    for (int i = 0; i < f->n_pictures; i++)
        if (!strcmp(f->pictures[i].input, input)) return i;
    return -1;
}

// ---- which inputs -------------------------------------------------------------

static enum reel_err no_such_input(const struct model_facts *f, const struct model_picture *p)
{
    char names[512] = "";
    size_t n = 0;
    for (int i = 0; i < f->n_in && n < sizeof names; i++)
        n += (size_t)snprintf(names + n, sizeof names - n, "%s\"%s\"", i ? ", " : "", f->in[i].name);
    return reel_fail(REEL_ERR_CONFIG,
                     "could not use io.pictures \"%s=%s\": model \"%s\" has no such input\n"
                     "its inputs: %s",
                     p->input, p->path, file_of(f), names);
}

static bool is_channels(int64_t d)
{
    return d == 1 || d == 3;
}

static enum reel_err is_no_picture(const struct model_facts *f, const struct net_io *io)
{
    char text[96];
    return reel_fail(REEL_ERR_CONFIG,
                     "could not give a picture to input \"%s\" of model \"%s\": its type is %s, its shape %s\na "
                     "picture is NCHW or NHWC with 1 or 3 channels",
                     io->name, file_of(f), reel_dtype_name(io->dtype), reel_shape_text(&io->shape, text, sizeof text));
}

// Layout, channels and fixed extents.
static enum reel_err read_shape(const struct model_facts *f, const struct reel_settings *s,
                                const struct model_input *in, struct model_given *g)
{
    const struct net_io *io = &f->in[g->index];
    const struct reel_shape *shape = &io->shape;
    const bool number = reel_dtype_is_float(io->dtype) || io->dtype == REEL_U8;
    if (!number || (shape->ndim != 3 && shape->ndim != 4) || (shape->ndim == 4 && shape->dim[0] > 1))
        return is_no_picture(f, io);
    const int64_t *d = shape->dim + shape->ndim - 3;
    g->no_batch = shape->ndim == 3;
    g->nhwc = is_channels(d[0]) != is_channels(d[2]) ? is_channels(d[2]) : in->nhwc;
    int64_t channels = g->nhwc ? d[2] : d[0];
    if (channels < 0) channels = in->channels;
    if (!is_channels(channels)) return is_no_picture(f, io);
    g->channels = (int)channels;
    g->dtype = io->dtype;
    const int64_t h = d[g->nhwc ? 0 : 1], w = d[g->nhwc ? 1 : 2];
    if (h > 32768 || w > 32768 || h == 0 || w == 0 || (h > 0) != (w > 0))
        return reel_fail(REEL_ERR_UNSUPPORTED,
                         "could not give a picture to input \"%s\" of model \"%s\": its size is %dx%d (-1: any)",
                         io->name, file_of(f), (int)w, (int)h);
    g->width = w > 0 ? (int)w : 0, g->height = h > 0 ? (int)h : 0;
    return REEL_OK;
}

// ---- how large ----------------------------------------------------------------

// The two sides of a picture among an input's dimensions.
static const char *const *sides_of(const struct net_io *io, bool nhwc)
{
    return io->dim_param + io->shape.ndim - 3 + (nhwc ? 0 : 1);
}

// Whether the file names the sides of both inputs alike: "height" and "width".
static bool sides_are_named_alike(const struct net_io *a, bool a_nhwc, const struct net_io *b, bool b_nhwc)
{
    const char *const *p = sides_of(a, a_nhwc), *const *q = sides_of(b, b_nhwc);
    return p[0] && p[1] && q[0] && q[1] && *p[0] && *p[1] && !strcmp(p[0], q[0]) && !strcmp(p[1], q[1]);
}

// A name that says that a picture is of the frames' place.
static bool is_background(const char *name)
{
    static const char *const words[] = {"background", "bgr", "bg", "backgr", "plate", "trimap", NULL};
    char word[SET_WORD];
    size_t n = 0;
    for (; *name && n + 1 < sizeof word; name++)
        if (isalpha((unsigned char)*name)) word[n++] = (char)tolower((unsigned char)*name);
    word[n] = 0;
    for (int i = 0; words[i]; i++)
        if (!strcmp(word, words[i]) || (i == 0 && strstr(word, words[i]))) return true;
    return false;
}

static int up_to(int v, int multiple)
{
    return multiple > 1 ? (v + multiple - 1) / multiple * multiple : v;
}

static enum reel_err choose_size(const struct model_facts *f, const struct reel_settings *s,
                                 const struct model_input *in, struct model_given *g)
{
    const struct net_io *io = &f->in[g->index];
    const struct model_picture *p = &f->pictures[g->picture];
    const bool fixed = g->width > 0, same = fixed && g->width == in->width && g->height == in->height;
    if (s->io.picture_size == SET_PICTURE_SIZE_FRAME && fixed && !same)
        return reel_fail(REEL_ERR_CONFIG,
                         "could not use io.picture_size \"frame\": input \"%s\" takes only %dx%d, and frames are given "
                         "to the model at %s size",
                         io->name, g->width, g->height, in->width ? "another" : "any");
    g->sure = true;
    if (s->io.picture_size != SET_PICTURE_SIZE_AUTO)
        g->as_frame = s->io.picture_size == SET_PICTURE_SIZE_FRAME;
    else if (fixed)
        g->as_frame = same && is_background(io->name);
    else
        g->as_frame = true, g->sure = f->in[in->index].shape.ndim >= 3 && f->in[in->index].shape.ndim <= 4 &&
                                      sides_are_named_alike(io, g->nhwc, &f->in[in->index], in->nhwc);
    if (!fixed) g->width = up_to(p->width, in->size_multiple), g->height = up_to(p->height, in->size_multiple);
    return REEL_OK;
}

static int input_named(const struct model_facts *f, const char *name)
{
    for (int i = 0; i < f->n_in; i++)
        if (!strcmp(f->in[i].name, name)) return i;
    return -1;
}

enum reel_err model_check_given(const struct model_facts *f)
{
    for (int k = 0; k < f->n_pictures; k++)
        if (input_named(f, f->pictures[k].input) < 0) return no_such_input(f, &f->pictures[k]);
    return REEL_OK;
}

enum reel_err model_guess_given(const struct model_facts *f, const struct reel_settings *s, struct model_input *in)
{
    for (int k = 0; k < f->n_pictures; k++) {
        struct model_given g = {.index = input_named(f, f->pictures[k].input), .picture = k};
        enum reel_err err = read_shape(f, s, in, &g);
        if (!err) err = choose_size(f, s, in, &g);
        if (err) return err;
        in->given[in->n_given++] = g;
    }
    return REEL_OK;
}

struct reel_shape model_given_shape(const struct model_given *g, int w, int h)
{
    struct reel_shape s = {.ndim = g->no_batch ? 3 : 4};
    int at = 0;
    if (!g->no_batch) s.dim[at++] = 1;
    if (!g->nhwc) s.dim[at++] = g->channels;
    s.dim[at++] = g->as_frame ? h : g->height;
    s.dim[at++] = g->as_frame ? w : g->width;
    if (g->nhwc) s.dim[at] = g->channels;
    return s;
}

void model_describe_given(const struct model *m, const struct model_facts *f, char *buf, size_t bytes)
{
    size_t at = 0;
    if (bytes) *buf = 0;
    for (int i = 0; i < m->input.n_given && at < bytes; i++) {
        const struct model_given *g = &m->input.given[i];
        const struct model_picture *p = &f->pictures[g->picture];
        const char *slash = strrchr(p->path, '/');
        at += (size_t)snprintf(buf + at, bytes - at, "%s%s from %.60s (%dx%d), ", i ? "; " : "pictures: ", p->input,
                               slash ? slash + 1 : p->path, p->width, p->height);
        if (at >= bytes) return;
        at += g->as_frame ? (size_t)snprintf(buf + at, bytes - at, "as large as the frames")
                          : (size_t)snprintf(buf + at, bytes - at, "at %dx%d", g->width, g->height);
    }
}

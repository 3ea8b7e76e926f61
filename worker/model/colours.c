// SPDX-License-Identifier: MIT
//
// look.h: networks that colour gray frames. They give ab of CIE Lab (Zhang et al.'s,
// DDColor) or a whole picture (DeOldify), of the frame's lightness L or of the gray
// as R, G, B. Two channels of numbers may as well be two classes: unless the settings
// say so, a name in the file or a constant of Lab has to.
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "worker/model/graph.h"
#include "worker/model/look.h"

#define AB_SPAN 110 // of ab where networks give it in -1..1: Zhang et al. divide by it

// ---- what tells ---------------------------------------------------------------

static bool is_alone(const char *at, const char *begin, size_t n)
{
    return (at == begin || !isalnum((unsigned char)at[-1])) && !isalnum((unsigned char)at[n]);
}

// Whether a name has one of the parts, in whatever case; whole: as a word of its own.
static bool name_has(const char *name, const char *const *parts, bool whole)
{
    for (; *parts; parts++)
        for (const char *at = name; (at = strcasestr(at, *parts)); at++)
            if (!whole || is_alone(at, name, strlen(*parts))) return true;
    return false;
}

static const char *file_name(const struct look *l)
{
    const char *path = l->f->path ? l->f->path : "", *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

bool look_file_has(const struct look *l, const char *const *words)
{
    return name_has(file_name(l), words, false);
}

// The number by which a graph's operator works on all values; 0: there is none.
static double constant_of(const struct node *n, const char *op)
{
    double c[16] = {0};
    if (!n || strcmp(n->op_type, op) || n->n_in != 2) return 0;
    if (!model_constants(n->in[1], c, 16) && strcmp(op, "Sub") && strcmp(op, "Div")) model_constants(n->in[0], c, 16);
    return c[0];
}

// The first operator is for L of 0..100: it takes 50 off it, or divides by 100.
static bool begins_with_lightness(const struct look *l)
{
    const struct node *n = model_first_node(l->f->graph, l->f->in[l->m->input.index].name);
    return l->m->input.channels == 1 && (constant_of(n, "Sub") == 50 || constant_of(n, "Add") == -50 ||
                                         constant_of(n, "Div") == 100 || fabs(constant_of(n, "Mul") - 0.01) < 1e-6);
}

static bool ends_with_ab(const struct look *l, int i)
{
    const double by = constant_of(model_last_node(l->f->graph, l->f->out[i].name), "Mul");
    return by == AB_SPAN || by == 128;
}

// Why it is thought to colour; NULL: nothing says so.
static const char *reason(const struct look *l, int i, int64_t channels)
{
    static const char *const colours[] = {"color", "colour", "chroma", NULL}, *const ab[] = {"ab", NULL},
                             *const light[] = {"l", NULL}, *const known[] = {"eccv16", "siggraph17", NULL},
                             *const makers[] = {"coloriz", "colouris", "ddcolor", "deoldify", NULL};
    const char *op = model_last_op(l->f->graph, l->f->out[i].name), *name = l->f->out[i].name;
    if (name_has(file_name(l), makers, false)) return "by the file's name";
    if (channels != 2 || !strcmp(op, "Softmax") || !strcmp(op, "LogSoftmax") || !strcmp(op, "Sigmoid")) return NULL;
    if (name_has(file_name(l), colours, false) || name_has(file_name(l), known, false)) return "by the file's name";
    if (name_has(name, ab, true) || name_has(name, colours, false)) return "by the output's name";
    if (l->m->input.channels == 1 && name_has(l->f->in[l->m->input.index].name, light, true))
        return "by the input's name";
    if (begins_with_lightness(l)) return "its first operator is for L of Lab";
    return ends_with_ab(l, i) ? "its last operator makes ab of -1..1" : NULL;
}

bool model_take_colours(const struct look *l, int i, bool stated)
{
    const struct model_input *in = &l->m->input;
    struct look_map map;
    if (in->frames != 1 || !look_as_map(&l->shapes[i], l->w, l->h, &map) || map.h * 9 < l->h) return false;
    if ((map.channels != 2 && map.channels != 3) || !reel_dtype_is_float(l->f->out[i].dtype)) return false;
    const char *why = stated ? "as stated in the settings" : reason(l, i, map.channels);
    if (!why) return false;
    l->m->output.index = i;
    l->m->output.nhwc = map.nhwc;
    l->m->output.channels = (int)map.channels;
    snprintf(l->m->how_colours, sizeof l->m->how_colours, "%s%s", why,
             stated              ? ""
             : map.channels == 2 ? "; --task segment: two classes"
                                 : "; --task image: the network's own picture");
    return true;
}

// ---- values -------------------------------------------------------------------

// L / 100 is stored as that times *out_span, with *out_base added.
static const char *lightness_of(const struct look *l, double *out_span, double *out_base)
{
    *out_span = 100, *out_base = 0;
    if (begins_with_lightness(l)) return "the graph's first operator is for L of 0..100";
    const bool caffe = l->f->producer && strcasestr(l->f->producer, "caffe");
    if (!caffe && strcmp(l->f->in[l->m->input.index].name, "data_l")) return "usual for networks that colour: L 0..100";
    *out_base = -50;
    return "usual for files made by Caffe: L less 50";
}

static enum reel_err settle_lightness(const struct look *l, const struct reel_settings *s)
{
    struct model_input *in = &l->m->input;
    double span, base;
    const char *how = lightness_of(l, &span, &base);
    const bool stated = s->io.range || s->io.mean.n || s->io.std.n;
    if (stated) {
        span = s->io.range == SET_RANGE_0_255                                      ? 255
               : s->io.range == SET_RANGE_M1_1                                     ? 2
               : s->io.range == SET_RANGE_0_100 || s->io.range == SET_RANGE_M50_50 ? 100
                                                                                   : 1;
        base = s->io.range == SET_RANGE_M1_1 ? -1 : s->io.range == SET_RANGE_M50_50 ? -50 : 0;
        how = "as stated in the settings (io)";
    }
    const double mean = s->io.mean.n ? s->io.mean.v[0] : 0, std = s->io.std.n ? s->io.std.v[0] : 1;
    if (s->io.mean.n > 1 || s->io.std.n > 1 || std == 0)
        return reel_fail(REEL_ERR_CONFIG, "could not use io.mean and io.std: of L each is one number, io.std not 0");
    in->lightness = true;
    in->gain[0] = (float)(span / std), in->bias[0] = (float)(base - mean / std * span);
    in->fill[0] = (float)(114 / 255.0); // as in values.c; of the gray
    snprintf(l->m->how_input, sizeof l->m->how_input, "%s", how);
    return REEL_OK;
}

static enum reel_err settle_ab(const struct look *l, const struct reel_settings *s)
{
    struct model_output *out = &l->m->output;
    const bool bounded = !strcmp(model_last_op(l->f->graph, l->f->out[out->index].name), "Tanh");
    double gain = 1, bias = 0;
    const char *how = "ab of Lab";
    if (s->io.out_range == SET_RANGE_MINMAX)
        return reel_fail(REEL_ERR_CONFIG, "could not use io.out_range \"minmax\": colours have a range of their own");
    if (s->io.out_range == SET_RANGE_M1_1 || (bounded && !s->io.out_range))
        gain = AB_SPAN, how = "ab of Lab in -1..1, of -110..110";
    else if (s->io.out_range) // as 8 bits hold them: 128 is none
        gain = s->io.out_range == SET_RANGE_0_1 ? 255 : 1, bias = -128, how = "ab of Lab as 8 bits hold it";
    const struct opt_floats *mean = &s->io.out_mean, *std = &s->io.out_std;
    if (mean->n > 2 || std->n > 2)
        return reel_fail(REEL_ERR_CONFIG, "could not use io.out_mean and io.out_std: ab has 1 or 2 numbers");
    for (int i = 0; i < 2; i++) {
        const double times = std->n ? std->v[std->n == 1 ? 0 : i] : 1;
        out->gain[i] = (float)(gain * times);
        out->bias[i] = (float)(bias * times + (mean->n ? mean->v[mean->n == 1 ? 0 : i] : 0));
    }
    snprintf(l->m->how_output, sizeof l->m->how_output, "%s", how);
    return REEL_OK;
}

enum reel_err model_settle_colours(const struct look *l, const struct reel_settings *s)
{
    const bool gray = s->io.channels == SET_CHANNELS_Y; // of one channel: luma as it is
    enum reel_err err = REEL_OK;
    if (l->m->input.channels == 1 && !gray) err = settle_lightness(l, s);
    if (!err && l->m->output.channels == 2) err = settle_ab(l, s);
    return err;
}

// SPDX-License-Identifier: MIT
//
// state.h: names, settings and shapes of states.
#include "worker/model/state.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/picture.h"
#include "worker/model/graph.h"

// ---- names ------------------------------------------------------------------

#define MAX_WORDS 12

struct words {
    char text[128]; // lower case, each with its NUL
    const char *word[MAX_WORDS];
    int n;
};

static bool begins_word(const char *name, size_t i)
{
    const char c = name[i], before = i ? name[i - 1] : '_';
    if (!isalnum((unsigned char)before)) return true;
    if (isupper((unsigned char)c) && islower((unsigned char)before)) return true; // prevState
    // r1i and r1o; h0 and hn.
    const bool last = !isalnum((unsigned char)name[i + 1]);
    if (last && strchr("io", c) && isdigit((unsigned char)before)) return true;
    return last && strchr("0n", c) && i == 1;
}

static void split(const char *name, struct words *w)
{
    *w = (struct words){0};
    size_t at = 0;
    for (size_t i = 0; name[i] && at + 2 < sizeof w->text; i++) {
        if (!isalnum((unsigned char)name[i])) continue;
        if (begins_word(name, i)) {
            if (w->n == MAX_WORDS) return;
            if (w->n) at++;
            w->word[w->n++] = w->text + at;
        }
        w->text[at++] = (char)tolower((unsigned char)name[i]);
        w->text[at] = 0;
    }
}

static const char *const marks_in[] = {"in",   "i",   "input", "prev", "previous", "last",
                                       "past", "old", "init",  "0",    "initial",  NULL};
static const char *const marks_out[] = {"out",     "o",   "output", "next",    "new", "updated",
                                        "present", "cur", "curr",   "current", "n",   NULL};
static const char *const marks_before[] = {"prev", "previous", "last", "past", "old", NULL};
static const char *const marks_now[] = {"cur", "curr", "current", "now", "this", "t", NULL};

// Takes a mark from either end. True when there was one.
static bool strip(struct words *w, const char *const *marks)
{
    if (w->n < 2) return false;
    if (model_is_one_of(w->word[w->n - 1], marks)) {
        w->n--;
        return true;
    }
    if (!model_is_one_of(w->word[0], marks)) return false;
    memmove(w->word, w->word + 1, (size_t)--w->n * sizeof *w->word);
    return true;
}

// Numbers alone tell inputs apart, and no more.
static bool same_words(const struct words *a, const struct words *b)
{
    bool letters = false;
    if (a->n != b->n) return false;
    for (int i = 0; i < a->n; i++) {
        if (strcmp(a->word[i], b->word[i])) return false;
        letters |= isalpha((unsigned char)*a->word[i]) != 0;
    }
    return letters;
}

// Names of one thing before and after.
static bool is_pair(const char *before, const char *after)
{
    struct words a, b;
    split(before, &a);
    split(after, &b);
    const bool marked_a = strip(&a, marks_in), marked_b = strip(&b, marks_out);
    return (marked_a || marked_b) && same_words(&a, &b);
}

static bool is_frame_before(const char *before, const char *now)
{
    struct words a, b;
    split(before, &a);
    split(now, &b);
    if (!strip(&a, marks_before)) return false;
    strip(&b, marks_now);
    return same_words(&a, &b);
}

// ---- shapes -----------------------------------------------------------------

static bool may_be_equal(const struct net_io *a, const struct net_io *b)
{
    if (a->dtype != b->dtype) return false;
    if (a->shape.ndim < 0 || b->shape.ndim < 0) return true;
    if (a->shape.ndim != b->shape.ndim) return false;
    for (int d = 0; d < a->shape.ndim; d++)
        if (a->shape.dim[d] > 0 && b->shape.dim[d] > 0 && a->shape.dim[d] != b->shape.dim[d]) return false;
    return true;
}

// Of 1 or 3 channels and any size, as frames are.
static bool looks_like_picture(const struct net_io *io)
{
    const struct reel_shape *s = &io->shape;
    if ((s->ndim != 4 && s->ndim != 3) || (s->ndim == 4 && s->dim[0] > 1)) return false;
    const int64_t *d = s->dim + s->ndim - 3;
    const bool first = d[0] == 1 || d[0] == 3, last = d[2] == 1 || d[2] == 3, open = d[0] < 0 && s->ndim == 4;
    return (reel_dtype_is_float(io->dtype) || io->dtype == REEL_U8) && (first || last || open);
}

// ---- finding ----------------------------------------------------------------

struct find {
    const struct net_io *in, *out;
    int n_in, n_out;
    const struct state_words *words;
    struct state_plan *plan;
};

// Whether input i has something else to take already.
static bool is_settled(const struct find *f, int i)
{
    return state_of_input(f->plan, i) >= 0 || reel_pictures_name(f->words->pictures, f->in[i].name);
}

static bool is_taken(const struct find *f, int out)
{
    return state_of_output(f->plan, out) >= 0;
}

static void add(struct find *f, int in, int out, bool of_input)
{
    struct state_plan *p = f->plan;
    if (p->n == GRAPH_MAX_STATES) return;
    p->state[p->n++] = (struct graph_state){.in = in, .out = out, .of_input = of_input};
}

static void drop(struct find *f, int k)
{
    struct state_plan *p = f->plan;
    memmove(&p->state[k], &p->state[k + 1], (size_t)(--p->n - k) * sizeof *p->state);
}

static void by_name(struct find *f)
{
    for (int i = 0; i < f->n_in; i++)
        for (int o = 0; o < f->n_out; o++) {
            if (is_taken(f, o) || is_settled(f, i) || !may_be_equal(&f->in[i], &f->out[o]) ||
                !is_pair(f->in[i].name, f->out[o].name))
                continue;
            add(f, i, o, false);
            break;
        }
}

// One input takes the picture: the stated one, or, where all have found an output,
// the first that can.
static void free_picture(struct find *f)
{
    bool any = *f->words->input != 0;
    for (int k = 0; k < f->plan->n; k++)
        if (!strcmp(f->in[f->plan->state[k].in].name, f->words->input)) drop(f, k--);
    for (int i = 0; i < f->n_in; i++) any |= !is_settled(f, i) && looks_like_picture(&f->in[i]);
    for (int k = 0; k < f->plan->n && !any; k++)
        if (looks_like_picture(&f->in[f->plan->state[k].in])) {
            drop(f, k);
            any = true;
        }
}

static void by_frame_before(struct find *f)
{
    for (int i = 0; i < f->n_in; i++) {
        if (is_settled(f, i) || !looks_like_picture(&f->in[i])) continue;
        for (int k = 0; k < f->n_in; k++) {
            if (k == i || is_settled(f, k) || !may_be_equal(&f->in[i], &f->in[k])) continue;
            if (!is_frame_before(f->in[i].name, f->in[k].name)) continue;
            add(f, i, k, true);
            break;
        }
    }
}

// Whether b is a's shape as it is declared, open extents by the same names.
static bool is_declared_equal(const struct net_io *a, const struct net_io *b)
{
    return a->dtype == b->dtype && a->shape.ndim >= 0 && reel_shape_equal(&a->shape, &b->shape);
}

// What is no picture, in order.
static void by_shape(struct find *f)
{
    for (int i = 0; i < f->n_in; i++) {
        if (is_settled(f, i) || looks_like_picture(&f->in[i])) continue;
        for (int o = 0; o < f->n_out; o++) {
            if (is_taken(f, o) || looks_like_picture(&f->out[o]) || !is_declared_equal(&f->in[i], &f->out[o])) continue;
            add(f, i, o, false);
            break;
        }
    }
}

static int index_of(const struct net_io *io, int n, const char *name)
{
    for (int i = 0; i < n; i++)
        if (!strcmp(io[i].name, name)) return i;
    return -1;
}

static enum reel_err wrong_state(const char *pair, const char *path, const char *why)
{
    return reel_fail(REEL_ERR_CONFIG,
                     "could not use io.state \"%s\" with model \"%s\": %s\nuse a list of INPUT=OUTPUT, like "
                     "\"r1i=r1o,r2i=r2o\", or \"none\"",
                     pair, path, why);
}

// "in=out": out is an output, or the input whose picture of the frame before is meant.
static enum reel_err by_setting(struct find *f, const char *wanted, const char *path)
{
    char list[SET_TEXT], *rest = list, pair[SET_TEXT];
    snprintf(list, sizeof list, "%s", wanted);
    for (char *word; (word = strsep(&rest, ", ")) != NULL;) {
        if (!*word) continue;
        snprintf(pair, sizeof pair, "%s", word);
        char *eq = strchr(word, '=');
        if (!eq) return wrong_state(pair, path, "it has no \"=\"");
        *eq = 0;
        const int in = index_of(f->in, f->n_in, word), out = index_of(f->out, f->n_out, eq + 1);
        const int other = index_of(f->in, f->n_in, eq + 1);
        if (in < 0) return wrong_state(pair, path, "there is no input of this name");
        if (out < 0 && (other < 0 || other == in)) return wrong_state(pair, path, "there is no output of this name");
        if (state_of_input(f->plan, in) >= 0) return wrong_state(pair, path, "the input is named twice");
        if (f->plan->n == GRAPH_MAX_STATES) return wrong_state(pair, path, "there are too many");
        if (!may_be_equal(&f->in[in], out >= 0 ? &f->out[out] : &f->in[other]))
            return wrong_state(pair, path, "the two differ in type or shape");
        add(f, in, out >= 0 ? out : other, out < 0);
    }
    for (int k = 0; k < f->plan->n; k++) {
        const struct graph_state *s = &f->plan->state[k];
        if (s->of_input && state_of_input(f->plan, s->out) >= 0)
            return wrong_state(wanted, path, "the name on the right is an input that is itself a state");
    }
    return REEL_OK;
}

static bool are_pictures(const struct find *f)
{
    bool all = true;
    for (int i = 0; i < f->n_in; i++) all &= looks_like_picture(&f->in[i]);
    return all;
}

enum reel_err state_find(const struct net_io *in, int n_in, const struct net_io *out, int n_out,
                         const struct state_words *words, const char *path, struct state_plan *plan)
{
    struct find f = {in, out, n_in, n_out, words, plan};
    const char *wanted = words->state;
    plan->n = 0;
    plan->how = "";
    if (!strcmp(wanted, "none")) return REEL_OK;
    if (*wanted) {
        plan->how = "as stated in io.state";
        return by_setting(&f, wanted, path);
    }
    if (n_in < 2) return REEL_OK;
    by_name(&f);
    free_picture(&f);
    plan->how = "by their names";
    // Frames that are seen together may have such names as well.
    if (!plan->n && n_in > 2 && are_pictures(&f)) return REEL_OK;
    by_frame_before(&f);
    free_picture(&f);
    const int named = plan->n;
    by_shape(&f);
    if (plan->n > named) plan->how = named ? "by their names and shapes" : "by their shapes";
    return REEL_OK;
}

int state_of_input(const struct state_plan *plan, int i)
{
    for (int k = 0; plan && k < plan->n; k++)
        if (plan->state[k].in == i) return k;
    return -1;
}

int state_of_output(const struct state_plan *plan, int i)
{
    for (int k = 0; plan && k < plan->n; k++)
        if (!plan->state[k].of_input && plan->state[k].out == i) return k;
    return -1;
}

// ---- constants --------------------------------------------------------------

#define RVM_SIDE 512.0 // what Robust Video Matting's own scripts bring the longer side to, where that is less

static double ratio_of(int w, int h)
{
    const int longer = w > h ? w : h;
    return longer > RVM_SIDE ? RVM_SIDE / longer : 1;
}

static struct state_constant *add_constant(struct state_plan *p, const char *name)
{
    if (p->n_constants == STATE_MAX_CONSTANTS) return NULL;
    struct state_constant *c = &p->constant[p->n_constants++];
    *c = (struct state_constant){0};
    snprintf(c->name, sizeof c->name, "%s", name);
    return c;
}

// The axis of the channels of a picture with one more behind them, a gray one's or a coloured
// one's: the strength that a denoiser takes (DRUNet). -1: it is none.
static int strength_axis(const struct net *net, const char *name)
{
    const struct net_io *io = net_input(net, 0);
    const struct reel_shape *s = &io->shape;
    if (net_input_count(net) != 1 || strcmp(io->name, name) || s->ndim != 4 || !reel_dtype_is_float(io->dtype))
        return -1;
    if (s->dim[1] == 4 || s->dim[1] == 2) return 1;
    return s->dim[3] == 4 || s->dim[3] == 2 ? 3 : -1;
}

static enum reel_err bind_constant(struct net *net, struct state_constant *c)
{
    const int axis = strength_axis(net, c->name);
    if (axis < 0) return net_bind_input(net, c->name, c->value);
    const int channel = (int)net_input(net, 0)->shape.dim[axis];
    enum reel_err err = net_add_channel(net, 0, axis, c->value);
    snprintf(c->name, sizeof c->name, "channel %d of the input", channel);
    return err;
}

static enum reel_err wrong_constant(const char *pair, const char *path, const char *why)
{
    return reel_fail(REEL_ERR_CONFIG,
                     "could not use io.constants \"%s\" with model \"%s\": %s\nuse a list of INPUT=NUMBER, like "
                     "\"downsample_ratio=0.25\"",
                     pair, path, why);
}

static enum reel_err stated_constants(const struct net *net, const char *wanted, const char *path,
                                      struct state_plan *plan)
{
    char list[SET_TEXT], *rest = list, pair[SET_TEXT];
    snprintf(list, sizeof list, "%s", wanted);
    for (char *word; (word = strsep(&rest, ", ")) != NULL;) {
        if (!*word) continue;
        snprintf(pair, sizeof pair, "%s", word);
        char *eq = strchr(word, '='), *end = NULL;
        if (!eq) return wrong_constant(pair, path, "it has no \"=\"");
        *eq = 0;
        const double value = strtod(eq + 1, &end);
        if (end == eq + 1 || *end) return wrong_constant(pair, path, "it has no number");
        bool found = false;
        for (int i = 0; i < net_input_count(net); i++) found |= !strcmp(net_input(net, i)->name, word);
        if (!found) return wrong_constant(pair, path, "there is no input of this name");
        struct state_constant *c = add_constant(plan, word);
        if (!c) return wrong_constant(pair, path, "there are too many");
        c->value = value;
    }
    return REEL_OK;
}

static bool is_known_constant(const struct state_plan *p, const char *name)
{
    for (int i = 0; i < p->n_constants; i++)
        if (!strcmp(p->constant[i].name, name)) return true;
    return false;
}

// The name and form that Robust Video Matting's published files have.
static void usual_constants(const struct net *net, struct state_plan *plan)
{
    for (int i = 0; i < net_input_count(net); i++) {
        const struct net_io *io = net_input(net, i);
        const int64_t n = io->shape.ndim == 1 ? io->shape.dim[0] : io->shape.ndim == 0 ? 1 : 0;
        if (strcmp(io->name, "downsample_ratio") || (n != 1 && n != -1) || is_known_constant(plan, io->name)) continue;
        struct state_constant *c = add_constant(plan, io->name);
        if (c) c->of_size = true, c->value = 0.5;
    }
}

enum reel_err state_set_size(struct net *net, const struct state_plan *plan, int w, int h)
{
    enum reel_err err = REEL_OK;
    for (int i = 0; i < plan->n_constants && !err; i++)
        if (plan->constant[i].of_size) err = net_bind_input(net, plan->constant[i].name, ratio_of(w, h));
    return err;
}

// ---- all of it ----------------------------------------------------------------

enum reel_err state_open(struct net *net, const struct reel_settings *settings, const char *path,
                         struct state_plan *out_plan)
{
    struct state_plan *p = out_plan;
    *p = (struct state_plan){.how = ""};
    p->begin = settings ? (enum set_begin)settings->io.state_begin : SET_BEGIN_AUTO;
    enum reel_err err = settings ? stated_constants(net, settings->io.constants, path, p) : REEL_OK;
    if (!err) usual_constants(net, p);
    for (int i = 0; i < p->n_constants && !err; i++) err = bind_constant(net, &p->constant[i]);
    const int n_in = net_input_count(net), n_out = net_output_count(net);
    if (err || n_in < 1 || n_out < 1) return err;
    struct state_words words = {"", "", ""};
    if (settings) words = (struct state_words){settings->io.state, settings->io.input, settings->io.pictures};
    err = state_find(net_input(net, 0), n_in, net_output(net, 0), n_out, &words, path, p);
    if (!err) net_set_states(net, p->state, p->n);
    return err;
}

static const char *begin_text(const struct state_plan *p)
{
    int pictures = 0;
    for (int i = 0; i < p->n; i++) pictures += p->state[i].of_input;
    if (p->begin == SET_BEGIN_PICTURE) return "initially the first picture, or zeros for those that are not pictures";
    if (p->begin == SET_BEGIN_ZEROS || !pictures) return "initially zeros";
    return pictures == p->n ? "initially the first picture" : "initially zeros and the first picture";
}

void state_describe(const struct state_plan *p, const struct net_io *in, const struct net_io *out, char *buf,
                    size_t bytes)
{
    size_t at = 0;
    *buf = 0;
    for (int i = 0; p && i < p->n && at < bytes; i++) {
        const struct graph_state *s = &p->state[i];
        at += (size_t)snprintf(buf + at, bytes - at, "%s%s from %s%s", i ? ", " : "state: ", in[s->in].name,
                               s->of_input ? in[s->out].name : out[s->out].name, s->of_input ? " (the input)" : "");
    }
    if (p && p->n && at < bytes)
        at += (size_t)snprintf(buf + at, bytes - at, " of the previous frame (%s), %s", p->how, begin_text(p));
    for (int i = 0; p && i < p->n_constants && at < bytes; i++) {
        const struct state_constant *c = &p->constant[i];
        at += (size_t)snprintf(buf + at, bytes - at, "%s%s = ",
                               i      ? ", "
                               : p->n ? "\nconstants: "
                                      : "constants: ",
                               c->name);
        if (at >= bytes) return;
        at += c->of_size ? (size_t)snprintf(buf + at, bytes - at, "%g / the longer side, at most 1", RVM_SIDE)
                         : (size_t)snprintf(buf + at, bytes - at, "%g", c->value);
    }
}

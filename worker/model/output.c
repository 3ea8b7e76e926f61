// SPDX-License-Identifier: MIT
//
// model.h, second half: what the outputs are, and how frames are fitted to the input.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "worker/model/graph.h"
#include "worker/model/look.h"

static const char *file_of(const struct look *l)
{
    return l->f->path ? l->f->path : "?";
}

int look_output(const struct look *l, const char *name)
{
    for (int i = 0; i < l->f->n_out; i++)
        if (!strcmp(l->f->out[i].name, name)) return i;
    return -1;
}

bool look_is_paddle(const struct look *l)
{
    const char *producer = l->f->producer, *graph = l->f->graph ? l->f->graph->name : NULL;
    return (producer && strstr(producer, "Paddle")) || (graph && strstr(graph, "PaddlePaddle"));
}

bool look_is_text_angle(const struct look *l)
{
    const struct reel_shape *s = &l->f->in[l->m->input.index].shape;
    if (!look_is_paddle(l) || l->m->task != REEL_TASK_CLASSIFY || l->m->classes != 2 || s->ndim != 4) return false;
    return (s->dim[2] < 0 || s->dim[2] == 48 || s->dim[2] == 80) &&
           (s->dim[3] < 0 || s->dim[3] == 192 || s->dim[3] == 160);
}

static int named(const struct net_io *out, int n, const char *const *names, int channels)
{
    for (; *names; names++)
        for (int i = 0; i < n; i++) {
            const struct reel_shape *s = &out[i].shape;
            const bool fits = s->ndim == 4 && (s->dim[1] == channels || s->dim[1] < 0);
            if (!strcmp(out[i].name, *names) && fits && reel_dtype_is_float(out[i].dtype)) return i;
        }
    return -1;
}

bool model_cuts_out(const struct net_io *out, int n, int *out_foreground, int *out_matte)
{
    static const char *const pictures[] = {"fgr", "foreground", NULL}, *const mattes[] = {"pha", "alpha", "matte",
                                                                                          NULL};
    *out_foreground = named(out, n, pictures, 3), *out_matte = named(out, n, mattes, 1);
    return *out_foreground >= 0 && *out_matte >= 0 && out[*out_foreground].dtype == out[*out_matte].dtype;
}

// ---- pictures, classes, maps ------------------------------------------------

bool look_as_map(const struct reel_shape *s, int w, int h, struct look_map *out)
{
    if (s->ndim != 4 && s->ndim != 3) return false;
    if (s->ndim == 4 && s->dim[0] != 1) return false;
    const int64_t *d = s->dim + s->ndim - 3;
    if (d[0] < 1 || d[1] < 1 || d[2] < 1) return false;
    // The layout whose spatial extents have the input's shape, NCHW first.
    double want = (double)w / h;
    double nchw = fabs((double)d[2] / (double)d[1] / want - 1), nhwc = fabs((double)d[1] / (double)d[0] / want - 1);
    bool last = nhwc < nchw && d[2] < d[0] * d[1];
    *out = last ? (struct look_map){true, d[2], d[0], d[1]} : (struct look_map){false, d[0], d[1], d[2]};
    return (last ? nhwc : nchw) < 0.1;
}

static bool name_has(const char *name, const char *const *parts)
{
    for (; *parts; parts++)
        if (strstr(name, *parts)) return true;
    return false;
}

static bool is_output_picture(const struct look *l, int i, struct look_map *out)
{
    struct look_map map;
    if (!look_as_map(&l->shapes[i], l->w, l->h, &map) || (map.channels != 3 && map.channels != 1)) return false;
    if (map.w * l->h != map.h * l->w || map.w < l->w) return false;
    if (!reel_dtype_is_float(l->f->out[i].dtype) && l->f->out[i].dtype != REEL_U8) return false;
    if (map.channels == 1 && l->m->input.channels == 3) return false;
    *out = map;
    return true;
}

static bool take_picture(const struct look *l, int i)
{
    struct look_map map;
    if (!is_output_picture(l, i, &map)) return false;
    l->m->output.index = i;
    l->m->output.nhwc = map.nhwc;
    l->m->output.channels = (int)map.channels;
    return true;
}

// Of several pictures of one size the one that another is made from is a step on the way (Zero-DCE's
// first one). What is left out is named.
static void take_last_picture(const struct look *l)
{
    const int first = l->m->output.index;
    int others = 0, other = -1;
    struct look_map a, b;
    is_output_picture(l, first, &a);
    for (int i = 0; i < l->f->n_out; i++) {
        if (i == l->m->output.index || state_of_output(l->f->states, i) >= 0 || !is_output_picture(l, i, &b)) continue;
        if (b.w != a.w || b.h != a.h || b.channels != a.channels) continue;
        others++, other = i;
        if (!strcmp(model_last_op(l->f->graph, l->f->out[i].name), "Sub")) continue; // a difference, as the noise
        if (!model_made_from(l->f->graph, l->f->out[i].name, l->f->out[l->m->output.index].name)) continue;
        other = l->m->output.index;
        take_picture(l, i);
    }
    if (others)
        snprintf(l->m->which_output, sizeof l->m->which_output,
                 "output \"%.40s\" of %d pictures (--io.output takes another, as \"%.40s\")",
                 l->f->out[l->m->output.index].name, others + 1, l->f->out[other].name);
}

// Networks that measure the depth of a picture, or what else has no fixed range.
static bool is_depth(const struct look *l, int i)
{
    static const char *const names[] = {"depth", "disp", NULL};
    const char *op = model_last_op(l->f->graph, l->f->out[i].name);
    const bool endless = !strcmp(op, "Relu") || !strcmp(op, "Softplus") || !strcmp(op, "Exp");
    return name_has(l->f->out[i].name, names) || (l->f->n_out == 1 && endless);
}

// A gray picture made of one in colours, of the input's shape at any size.
static bool take_gray(const struct look *l, int i)
{
    struct look_map map;
    if (!look_as_map(&l->shapes[i], l->w, l->h, &map) || map.channels != 1 || l->m->input.channels != 3) return false;
    if (!reel_dtype_is_float(l->f->out[i].dtype) || l->m->input.frames > 1) return false;
    l->m->output.index = i;
    l->m->output.nhwc = map.nhwc;
    l->m->output.channels = 1;
    return true;
}

static bool take_depth(const struct look *l, int i)
{
    if (!is_depth(l, i) || !take_gray(l, i)) return false;
    const char *op = model_last_op(l->f->graph, l->f->out[i].name);
    l->m->output.levels = strcmp(op, "Sigmoid") != 0; // disparities 0..1
    return true;
}

// The first of several maps with the same channels, none of which is larger: networks are trained
// by all of them, and the first is meant to be used (U2-Net, IS-Net, BiSeNet).
static bool is_best_of_alike(const struct look *l, int i)
{
    struct look_map first, other;
    if (i > 0 || !look_as_map(&l->shapes[i], l->w, l->h, &first)) return false;
    const char *op = model_last_op(l->f->graph, l->f->out[i].name);
    for (int k = 1; k < l->f->n_out; k++)
        if (!look_as_map(&l->shapes[k], l->w, l->h, &other) || other.channels != first.channels || other.w > first.w ||
            other.h > first.h || strcmp(op, model_last_op(l->f->graph, l->f->out[k].name)))
            return false;
    return first.w * 9 >= l->w && first.h * 9 >= l->h;
}

static bool take_matte(const struct look *l, int i)
{
    static const char *const names[] = {"pha", "alpha", "matte", "mask", "seg", NULL};
    struct look_map map;
    if (!look_as_map(&l->shapes[i], l->w, l->h, &map) || map.channels != 1) return false;
    if (!reel_dtype_is_float(l->f->out[i].dtype)) return false;
    const char *op = model_last_op(l->f->graph, l->f->out[i].name);
    bool bounded = !strcmp(op, "Sigmoid") || !strcmp(op, "Clip") || !strcmp(op, "HardSigmoid");
    if (l->f->n_out > 1 && !name_has(l->f->out[i].name, names) && !is_best_of_alike(l, i)) return false;
    l->m->output.index = i;
    l->m->output.nhwc = map.nhwc;
    l->m->output.channels = 1;
    l->m->output.sigmoid = !bounded;
    l->m->classes = 2;
    return true;
}

static bool take_segments(const struct look *l, int i)
{
    const struct net_io *io = &l->f->out[i];
    const struct reel_shape *s = &l->shapes[i];
    struct look_map map;
    if (!reel_dtype_is_float(io->dtype)) { // class numbers
        bool flat = s->ndim == 3 && s->dim[0] == 1;
        if (s->ndim != 4 && !flat) return false;
        struct reel_shape as4 = {.ndim = 4, .dim = {1, 1, s->dim[s->ndim - 2], s->dim[s->ndim - 1]}};
        if (!look_as_map(&as4, l->w, l->h, &map)) return false;
        map.channels = 1, map.nhwc = false;
        l->m->classes = 0;
    } else {
        if (!look_as_map(s, l->w, l->h, &map) || map.channels < 2) return false;
        // A map much coarser than the picture is a feature, not a mask.
        if (map.h * 9 < l->h) return false;
        if (l->f->n_out > 1 && strcmp(io->name, "out") && !is_best_of_alike(l, i)) return false;
        l->m->classes = (int)map.channels;
    }
    l->m->output.index = i;
    l->m->output.nhwc = map.nhwc;
    l->m->output.channels = (int)map.channels;
    if (l->m->classes == 2 && strcmp(model_last_op(l->f->graph, io->name), "Softmax"))
        snprintf(l->m->how_output, sizeof l->m->how_output,
                 "two classes; if the two channels are ab, colours for gray pictures, use --task colorize");
    else if (look_may_be_heatmap(l, i))
        LOOK_HOW(
            l, "classes of pixels (if they are heatmaps of the points of one body or face, use --detect.head heatmap)");
    return true;
}

static int64_t last_extent(const struct reel_shape *s)
{
    return s->ndim > 0 ? s->dim[s->ndim - 1] : -1;
}

static bool take_classes(const struct look *l, int i)
{
    const struct reel_shape *s = &l->shapes[i];
    int64_t n = reel_shape_count(s);
    if (n < 2 || !reel_dtype_is_float(l->f->out[i].dtype)) return false;
    static const char *const places[] = {"landmark", "keypoint", "kpts", "coord", "points", NULL};
    if (l->f->n_out > 1 || name_has(l->f->out[i].name, places)) return false;
    int wide = 0;
    for (int d = 0; d < s->ndim; d++) wide += s->dim[d] > 1;
    if (wide != 1) return false;
    l->m->output.index = i;
    l->m->classes = (int)n;
    l->m->softmax = strcmp(model_last_op(l->f->graph, l->f->out[i].name), "Softmax") != 0;
    return true;
}

// A vector that describes the picture (faces, people, likeness), not scores of classes: as long as no
// known set of classes is, and without names for them.
static bool take_embedding(const struct look *l, int i)
{
    static const int64_t lengths[] = {128, 192, 256, 384, 512, 768, 1024, 2048};
    const struct reel_shape *s = &l->shapes[i];
    const int64_t n = reel_shape_count(s);
    bool usual = false;
    for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++) usual |= n == lengths[k];
    if (!usual || l->f->n_out > 1 || last_extent(s) != n || !reel_dtype_is_float(l->f->out[i].dtype)) return false;
    if (l->f->meta && l->f->meta(l->f->user, "names")) return false;
    if (!strcmp(model_last_op(l->f->graph, l->f->out[i].name), "Softmax")) return false;
    l->m->output.index = i;
    l->m->embedding = true;
    LOOK_HOW(l,
             "a vector of %d numbers that describes the picture (if they are scores of classes, use --task classify)",
             (int)n);
    return true;
}

// States are for the next frame: only where nothing else will do are they what is wanted.
static bool any_output(const struct look *l, const struct reel_settings *s, bool (*take)(const struct look *, int))
{
    for (int states = 0; states < 2; states++)
        for (int i = 0; i < l->f->n_out; i++) {
            if ((state_of_output(l->f->states, i) >= 0) != (states > 0)) continue;
            if ((!*s->io.output || !strcmp(s->io.output, l->f->out[i].name)) && take(l, i)) return true;
        }
    return false;
}

static bool take_colours(const struct look *l, const struct reel_settings *s, enum reel_task wanted)
{
    const bool stated = wanted == REEL_TASK_COLORIZE;
    if (!stated && wanted != REEL_TASK_AUTO) return false;
    for (int i = 0; i < l->f->n_out; i++) {
        const bool this_one = !*s->io.output || !strcmp(s->io.output, l->f->out[i].name);
        if (!this_one || state_of_output(l->f->states, i) >= 0 || !model_take_colours(l, i, stated)) continue;
        l->m->task = REEL_TASK_COLORIZE;
        return true;
    }
    return false;
}

static enum reel_err no_such_task(const struct look *l, const char *what)
{
    char text[96];
    return reel_fail(REEL_ERR_CONFIG, "could not use model \"%s\": output \"%s\" of shape %s is not %s", file_of(l),
                     l->f->out[0].name, reel_shape_text(&l->shapes[0], text, sizeof text), what);
}

// Of a foreground and its matte: both together over a background, else the matte.
static bool take_cut_out(const struct look *l, const struct reel_settings *s, enum reel_task wanted)
{
    int foreground, matte;
    if (*s->io.output || !model_cuts_out(l->f->out, l->f->n_out, &foreground, &matte)) return false;
    const bool behind = s->background.n && s->segment.picture != SET_PICTURE_CUTOUT;
    const int composite = behind ? look_output(l, MODEL_COMPOSITE) : -1;
    if (composite >= 0 && take_picture(l, composite)) {
        l->m->task = REEL_TASK_IMAGE;
        return true;
    }
    if (wanted != REEL_TASK_AUTO || !take_matte(l, matte)) return false;
    l->m->task = REEL_TASK_MATTE;
    snprintf(l->m->how_output, sizeof l->m->how_output,
             "a matte; --background R,G,B puts the foreground over a colour, --segment.picture cutout makes the rest "
             "transparent, --io.output %s is the foreground alone",
             l->f->out[foreground].name);
    return true;
}

// Of a pair that is only looked at.
static void no_between(struct model *m)
{
    m->input.between = false;
    m->rate = 1;
    *m->how_between = 0;
}

// Two channels made of two frames: the motion from one to the other. Of several such
// outputs the last: RAFT and kin improve one after the other.
static bool take_flow(const struct look *l, const struct reel_settings *s)
{
    struct model *m = l->m;
    struct look_map map;
    if (!m->input.pair || m->input.planes || m->input.time_input >= 0) return false;
    for (int i = l->f->n_out - 1; i >= 0; i--) {
        if ((*s->io.output && strcmp(s->io.output, l->f->out[i].name)) || !reel_dtype_is_float(l->f->out[i].dtype) ||
            !look_as_map(&l->shapes[i], l->w, l->h, &map) || map.channels != 2 || map.w != l->w || map.h != l->h)
            continue;
        m->output.index = i;
        m->output.nhwc = map.nhwc;
        m->output.channels = 2;
        m->task = REEL_TASK_FLOW;
        no_between(m);
        return true;
    }
    return false;
}

static enum reel_err guess_task(const struct look *l, const struct reel_settings *s)
{
    struct model *m = l->m;
    enum reel_task wanted = reel_settings_task(s);
    if (*s->io.output && look_output(l, s->io.output) < 0)
        return reel_fail(REEL_ERR_CONFIG, "could not use model \"%s\": it has no output \"%s\"", file_of(l),
                         s->io.output);
    if (wanted == REEL_TASK_TENSOR) {
        m->task = REEL_TASK_TENSOR;
        return REEL_OK;
    }
    if ((wanted == REEL_TASK_AUTO || wanted == REEL_TASK_FLOW) && take_flow(l, s)) return REEL_OK;
    if (wanted == REEL_TASK_FLOW)
        return no_such_task(l, "the motion between two frames: two channels of the frames' size, from two frames with "
                               "3 channels each");
    if (take_colours(l, s, wanted)) return REEL_OK;
    if (wanted == REEL_TASK_COLORIZE)
        return no_such_task(l, "a map of two channels (ab of Lab) or three (a colour picture), made from one frame "
                               "with 1 or 3 channels");
    if ((wanted == REEL_TASK_AUTO || wanted == REEL_TASK_IMAGE) && take_cut_out(l, s, wanted)) return REEL_OK;
    const bool several = m->input.frames > 1; // of which no head is known
    bool detects = wanted == REEL_TASK_DETECT || (wanted == REEL_TASK_AUTO && !several);
    if (detects && s->detect.head != SET_HEAD_AUTO) {
        if (!model_take_head(l, (enum model_head)s->detect.head))
            return no_such_task(l, "an output of this detect.head");
        m->head = (enum model_head)s->detect.head;
    } else if (detects) {
        m->head = model_guess_head(l);
    }
    m->task = m->head ? REEL_TASK_DETECT : REEL_TASK_TENSOR;
    if (m->head) return REEL_OK;
    if (detects && look_are_raw_grids(l))
        return reel_fail(
            REEL_ERR_CONFIG,
            "could not use model \"%s\": its outputs are the raw grids of a detector, and nothing in the "
            "file shows which\nif it is a YOLO with three anchors, state detect.head yolov3, yolov4, yolov5 "
            "or yolov7; if it is another, export it with its boxes decoded; --task tensor passes the "
            "outputs on, --task segment takes them for classes of pixels",
            file_of(l));
    if (wanted == REEL_TASK_DETECT)
        return no_such_task(l, "a known detection format\nstate it in detect.head, or use --task tensor");
    if ((wanted == REEL_TASK_AUTO || wanted == REEL_TASK_IMAGE) && any_output(l, s, take_picture)) {
        m->task = REEL_TASK_IMAGE;
        if (!*s->io.output && state_of_output(l->f->states, m->output.index) < 0) take_last_picture(l);
    } else if ((wanted == REEL_TASK_AUTO || wanted == REEL_TASK_IMAGE) && any_output(l, s, take_depth))
        m->task = REEL_TASK_IMAGE;
    else if (wanted == REEL_TASK_IMAGE && any_output(l, s, take_gray))
        m->task = REEL_TASK_IMAGE;
    else if ((wanted == REEL_TASK_AUTO || wanted == REEL_TASK_SEGMENT) && any_output(l, s, take_segments))
        m->task = REEL_TASK_SEGMENT;
    else if ((wanted == REEL_TASK_AUTO || wanted == REEL_TASK_SEGMENT) && any_output(l, s, take_matte))
        m->task = wanted == REEL_TASK_SEGMENT ? REEL_TASK_SEGMENT : REEL_TASK_MATTE;
    else if (wanted == REEL_TASK_AUTO && any_output(l, s, take_embedding))
        m->task = REEL_TASK_TENSOR;
    else if ((wanted == REEL_TASK_AUTO || wanted == REEL_TASK_CLASSIFY) && any_output(l, s, take_classes))
        m->task = REEL_TASK_CLASSIFY;
    if (wanted == REEL_TASK_IMAGE && m->task != wanted) return no_such_task(l, "a picture of the input's shape");
    if (wanted == REEL_TASK_SEGMENT && m->task != wanted) return no_such_task(l, "a map of classes");
    if (wanted == REEL_TASK_CLASSIFY && m->task != wanted) return no_such_task(l, "a list of class scores");
    return REEL_OK;
}

// ---- fit --------------------------------------------------------------------

// The size that an Ultralytics export was made for ("[320, 320]", height and width), where it
// takes any: its boxes are best there, and smaller networks are far quicker.
static void take_stated_size(const struct look *l)
{
    struct model_input *in = &l->m->input;
    const char *size = l->f->meta ? l->f->meta(l->f->user, "imgsz") : NULL;
    int h, w;
    if (!size || sscanf(size, " [%d , %d", &h, &w) != 2 || h < 1 || w < 1 || h > 8192 || w > 8192) return;
    if (w % in->size_multiple || h % in->size_multiple || l->m->task == REEL_TASK_IMAGE) return;
    in->width = w, in->height = h;
}

// Likewise of older detectors and of poses; people stand upright.
static void take_usual_size(enum model_head head, struct model_input *in)
{
    if (head == MODEL_HEAD_YOLOV3 || head == MODEL_HEAD_YOLOV4)
        in->width = in->height = 416;
    else if (head == MODEL_HEAD_CENTERNET)
        in->width = in->height = 512;
    else if (head == MODEL_HEAD_HEATMAP || head == MODEL_HEAD_SIMCC)
        in->width = 192, in->height = 256;
    else if (head == MODEL_HEAD_MOVENET)
        in->width = in->height = 256;
}

static enum reel_err settle_fit(const struct look *l, const struct reel_settings *s)
{
    struct model *m = l->m;
    struct model_input *in = &m->input;
    bool picture = m->task == REEL_TASK_IMAGE;
    int tile_w, tile_h;
    bool tiled = strcmp(s->tile, "auto") && strcmp(s->tile, "off") && *s->tile;
    if (tiled && picture && (!in->width || !in->height)) {
        enum reel_err err = reel_parse_size(s->tile, &tile_w, &tile_h);
        if (err) return err;
        in->width = (tile_w + in->size_multiple - 1) / in->size_multiple * in->size_multiple;
        in->height = (tile_h + in->size_multiple - 1) / in->size_multiple * in->size_multiple;
    }
    // Feature pyramids of stride 32 that the graph alone does not show.
    if (m->head && in->size_multiple < 32) in->size_multiple = 32;
    if (!in->width && !in->height) take_stated_size(l);
    bool yolo = m->head == MODEL_HEAD_YOLOX || m->head == MODEL_HEAD_YOLOV5 || m->head == MODEL_HEAD_YOLOV8 ||
                m->head == MODEL_HEAD_NMS || m->head == MODEL_HEAD_RTDETR || m->head == MODEL_HEAD_YOLO_NAS ||
                m->head == MODEL_HEAD_YOLOV7 || m->head == MODEL_HEAD_YOLOV5_FACE || m->head == MODEL_HEAD_YOLOV5_POSE;
    if ((yolo || m->head == MODEL_HEAD_SCRFD) && !in->width && !in->height)
        in->width = in->height = 640; // what they are trained at
    if (!in->width && !in->height) take_usual_size(m->head, in);
    if (m->output.levels && in->size_multiple == 14 && !tiled && !in->width && !in->height)
        in->width = in->height = 518; // Depth Anything, likewise: attention over larger frames is slow and no better
    const bool text = look_is_text_angle(l);
    if (text && !in->width && !in->height) in->width = 192, in->height = 48;
    if ((m->task == REEL_TASK_CLASSIFY || m->embedding) && !in->width && !in->height) in->width = in->height = 224;
    if (m->task == REEL_TASK_COLORIZE && !in->width && !in->height) { // likewise: L of 256, RGB of 512
        const int side = in->channels == 1 ? 256 : 512, multiple = in->size_multiple > 1 ? in->size_multiple : 1;
        in->width = in->height = (side + multiple - 1) / multiple * multiple;
    }
    bool any = !in->width || !in->height;
    if (any && (in->width || in->height))
        return reel_fail(
            REEL_ERR_CONFIG,
            "could not use model \"%s\": only one of width and height of its input is fixed\nstate both in io.size",
            file_of(l));
    static const enum model_fit stated[] = {[SET_RESIZE_LETTERBOX] = MODEL_LETTERBOX,
                                            [SET_RESIZE_STRETCH] = MODEL_STRETCH,
                                            [SET_RESIZE_CROP] = MODEL_CROP,
                                            [SET_RESIZE_TILE] = MODEL_TILES};
    if (any)
        in->fit = MODEL_WHOLE;
    else if (s->io.resize != SET_RESIZE_AUTO)
        in->fit = stated[s->io.resize];
    else if (picture)
        in->fit = m->output.levels ? MODEL_STRETCH : MODEL_TILES;
    else if (m->head == MODEL_HEAD_DETR || m->head == MODEL_HEAD_RTDETR || m->centres ||
             m->head == MODEL_HEAD_NANODET || m->head == MODEL_HEAD_PICODET || m->task == REEL_TASK_COLORIZE ||
             m->task == REEL_TASK_FLOW)
        in->fit = MODEL_STRETCH; // as they are trained
    else if ((m->task == REEL_TASK_CLASSIFY && !text) || (m->embedding && in->width == in->height))
        in->fit = MODEL_CROP;
    else
        in->fit = MODEL_LETTERBOX;
    if (in->fit == MODEL_TILES && !picture)
        return reel_fail(REEL_ERR_CONFIG,
                         "could not use io.resize \"tile\": only networks that make pictures can work on tiles");
    if (m->output.levels && (in->fit == MODEL_TILES || tiled))
        return reel_fail(REEL_ERR_CONFIG,
                         "could not cut frames into tiles: the network's picture has no fixed range, and "
                         "tiles would differ\nstate its range in io.out_range, or io.resize \"stretch\"");
    if (in->fit == MODEL_CROP && (picture || m->task == REEL_TASK_COLORIZE || m->task == REEL_TASK_FLOW))
        return reel_fail(REEL_ERR_CONFIG,
                         "could not use io.resize \"crop\": the output picture would lack its borders");
    return REEL_OK;
}

// Sizes that RIFE and its like divide by without the graph showing it: strides of 4
// at a sixteenth, or an eighth, of the picture.
#define FLOW_MULTIPLE 32

// What lies between two frames is a picture as they are, with the colours of both.
static enum reel_err check_between(const struct look *l)
{
    struct look_map map;
    struct model *m = l->m;
    look_as_map(&l->shapes[m->output.index], l->w, l->h, &map);
    if (m->output.channels != 3 || map.w != l->w || map.h != l->h)
        return reel_fail(REEL_ERR_UNSUPPORTED,
                         "could not use model \"%s\": from two frames of %dx%d it makes a picture of %dx%d with %d "
                         "channels, which cannot lie between them",
                         file_of(l), l->w, l->h, (int)map.w, (int)map.h, m->output.channels);
    if (!m->input.width && m->input.size_multiple < FLOW_MULTIPLE) m->input.size_multiple = FLOW_MULTIPLE;
    return REEL_OK;
}

// Sizes that networks of flow divide by without the graph showing it: RAFT by 8, pyramids by more.
#define STEEPEST 64

// What is made of several frames: a picture, the classes of a clip, motion, or raw outputs.
static enum reel_err check_several(const struct look *l, int rate)
{
    struct model *m = l->m;
    const int frames = m->input.frames;
    if (m->task == REEL_TASK_CLASSIFY && !m->input.between) return REEL_OK;
    if (m->task == REEL_TASK_TENSOR && !m->input.planes && m->input.time_input < 0) no_between(m);
    if ((m->task == REEL_TASK_FLOW || m->task == REEL_TASK_TENSOR) && rate)
        return reel_fail(REEL_ERR_CONFIG, "could not use --rate %d: model \"%s\" makes no frames, it %s", rate,
                         file_of(l), m->task == REEL_TASK_FLOW ? "measures motion" : "gives tensors (--task tensor)");
    if (m->task == REEL_TASK_TENSOR && !m->input.between) return REEL_OK;
    if (m->task == REEL_TASK_FLOW && !m->input.width && m->input.size_multiple < STEEPEST)
        m->input.size_multiple = STEEPEST;
    if (m->task == REEL_TASK_FLOW) return REEL_OK;
    if (m->task != REEL_TASK_IMAGE)
        return reel_fail(REEL_ERR_UNSUPPORTED,
                         "could not use model \"%s\": it takes %d frames and does not make a picture of them, or one "
                         "list of classes",
                         file_of(l), frames);
    if (m->input.step > 1)
        return reel_fail(REEL_ERR_CONFIG, "could not use classify.stride: model \"%s\" makes pictures", file_of(l));
    if (m->input.between || (frames % 2 == 1 && frames <= MODEL_MOST_FRAMES && !m->input.inside)) return REEL_OK;
    return reel_fail(REEL_ERR_UNSUPPORTED,
                     "could not use model \"%s\": it makes a picture of %d frames%s; of an odd number, %d at most and "
                     "each with its own channels (1,T,C,H,W), the middle one is made",
                     file_of(l), frames, m->input.inside ? " whose channels stand apart" : "", MODEL_MOST_FRAMES);
}

static void say_border(const struct model_facts *f, struct model *m)
{
    const size_t end = strlen(m->how_output);
    snprintf(m->how_output + end, sizeof m->how_output - end,
             "%sthe network leaves out a border, so frames get %d x %d pixels more, their edge repeated",
             end ? "; " : "", f->border[1], f->border[0]);
}

enum reel_err model_guess_output(const struct model_facts *f, const struct reel_settings *s,
                                 const struct reel_shape *out_shapes, int w, int h, struct model *m)
{
    struct look l = {f, out_shapes, w, h, m};
    if (f->n_out < 1)
        return reel_fail(REEL_ERR_UNSUPPORTED, "could not use model \"%s\": it has no outputs", file_of(&l));
    enum reel_err err = guess_task(&l, s);
    if (!err && m->input.frames > 1) err = check_several(&l, s->rate);
    if (!err && m->input.between) err = check_between(&l);
    if (!err) err = model_settle_values(&l, s);
    if (!err) err = settle_fit(&l, s);
    if (!err && (f->border[0] || f->border[1])) say_border(f, m);
    return err;
}

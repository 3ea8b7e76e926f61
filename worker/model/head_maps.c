// SPDX-License-Identifier: MIT
//
// head.c, for networks whose outputs are maps: YOLO's raw grids with anchors, CenterNet, and
// poses as heatmaps; and for what finds points without maps (SimCC, MoveNet).
#include <stdio.h>
#include <string.h>

#include "worker/model/graph.h"
#include "worker/model/look.h"
#include "worker/task/head.h"

// ---- what operators a network has ---------------------------------------------------

static int count_op(const struct graph *g, const char *op)
{
    int n = 0;
    for (const struct node *k = g ? g->first : NULL; k; k = k->next) n += !strcmp(k->op_type, op);
    return n;
}

// x * sigmoid(x), as exports write SiLU.
static bool has_silu(const struct graph *g)
{
    for (const struct node *n = g ? g->first : NULL; n; n = n->next) {
        if (strcmp(n->op_type, "Mul") || n->n_in != 2 || !n->in[0] || !n->in[1]) continue;
        for (int k = 0; k < 2; k++) {
            const struct node *s = n->in[k]->producer;
            if (s && !strcmp(s->op_type, "Sigmoid") && s->in[0] == n->in[1 - k]) return true;
        }
    }
    return model_has_op(g, "Swish") || model_has_op(g, "HardSwish");
}

static bool has_mish(const struct graph *g)
{
    return model_has_op(g, "Mish") || (model_has_op(g, "Softplus") && model_has_op(g, "Tanh"));
}

static bool halves_by_pooling(const struct graph *g)
{
    for (const struct node *n = g ? g->first : NULL; n; n = n->next) {
        const int64_t *strides;
        if (!strcmp(n->op_type, "MaxPool") && node_attr_ints(n, "strides", &strides) > 0 && strides[0] == 2)
            return true;
    }
    return false;
}

// ---- grids with anchors ---------------------------------------------------------------

#define BOX 5 // numbers of an anchor before the classes
#define ANCHORS 3
#define GRIDS 4

// The outputs as grids of rising strides, without a gap. Exports that also join them as rows have
// no other outputs of rank 4 or more. Returns how many there are; 0: there are none.
static int grids_of(const struct look *l, int order[GRIDS], int *out_channels)
{
    int n = 0, at[4] = {-1, -1, -1, -1}; // of strides 8 to 64
    for (int i = 0; i < l->f->n_out; i++) {
        struct head_grid g;
        if (!head_as_grid(&l->shapes[i], l->w, l->h, &g)) return 0;
        const int k = g.stride == 8 ? 0 : g.stride == 16 ? 1 : g.stride == 32 ? 2 : 3;
        if (at[k] >= 0 || (n && g.channels != *out_channels)) return 0;
        at[k] = i, *out_channels = g.channels, n++;
    }
    const int first = at[0] < 0;
    for (int k = 0; k < n; k++) {
        if (first + k > 3 || at[first + k] < 0) return 0;
        order[k] = at[first + k];
    }
    return n == 2 ? (first ? n : 0) : n >= 3 && !first ? n : 0;
}

bool look_are_raw_grids(const struct look *l)
{
    int order[GRIDS], channels = 0;
    const int n = grids_of(l, order, &channels);
    const char *op = n ? model_last_op(l->f->graph, l->f->out[order[0]].name) : "";
    // As wide as the features of a pyramid are, and as what follows an activation.
    const bool features = channels % 32 == 0 || !strcmp(op, "Relu") || !strcmp(op, "LeakyRelu");
    return n && channels % ANCHORS == 0 && channels > ANCHORS * BOX && !features;
}

static bool is_sigmoid(const struct look *l, int i)
{
    return !strcmp(model_last_op(l->f->graph, l->f->out[i].name), "Sigmoid");
}

bool look_is_grids(const struct look *l, enum model_head head)
{
    int order[GRIDS], channels = 0;
    const int n = grids_of(l, order, &channels);
    if (!look_are_raw_grids(l) || !head_grids_are_known(head, n)) return false;
    // Distributions of distances beside scores (YOLOv8, YOLOv6): such have no anchors.
    if (!strcmp(model_last_op(l->f->graph, l->f->out[order[0]].name), "Concat")) return false;
    l->m->decoded = is_sigmoid(l, order[0]);
    // Sizes that are exponentials have no sigmoid.
    if (l->m->decoded && (head == MODEL_HEAD_YOLOV3 || head == MODEL_HEAD_YOLOV4)) return false;
    memcpy(l->m->head_output, order, (size_t)n * sizeof *order);
    l->m->n_head_outputs = n;
    l->m->classes = channels / ANCHORS - BOX;
    LOOK_HOW(l, "raw grids, read with %s's anchors for COCO (for another YOLO's state detect.head)",
             model_head_name(head));
    return true;
}

// By the name that the file has, then by the operators that one generation has and another has not.
static enum model_head guess_generation(const struct look *l, int n)
{
    static const struct {
        const char *const names[5]; // the last ones NULL
        enum model_head head;
    } by_name[] = {
        // With sizes as YOLOv5's and anchors as YOLOv4's, as YOLOv7 has them.
        {{"yolov4-csp", "yolov4_csp", "yolov4x", "yolov4-p", NULL}, MODEL_HEAD_YOLOV7},
        {{"yolov7-tiny", "yolov7_tiny", "yolov7tiny", NULL}, MODEL_HEAD_YOLOV5}, // which has the same anchors
        {{"yolov3", "yolo3", "yolo-v3", "yolo_v3", NULL}, MODEL_HEAD_YOLOV3},
        {{"yolov4", "yolo4", "yolo-v4", "yolo_v4", NULL}, MODEL_HEAD_YOLOV4},
        {{"yolov5", "yolo5", "yolo-v5", "yolo_v5", NULL}, MODEL_HEAD_YOLOV5},
        {{"yolov7", "yolo7", "yolo-v7", "yolo_v7", NULL}, MODEL_HEAD_YOLOV7},
    };
    for (size_t i = 0; i < sizeof by_name / sizeof *by_name; i++)
        if (look_file_has(l, by_name[i].names)) return by_name[i].head;
    const struct graph *g = l->f->graph;
    if (has_mish(g)) return MODEL_HEAD_YOLOV4;
    if (has_silu(g)) return halves_by_pooling(g) && n == 3 ? MODEL_HEAD_YOLOV7 : MODEL_HEAD_YOLOV5;
    if (!model_has_op(g, "LeakyRelu")) return MODEL_HEAD_NONE;
    if (n == 2) return count_op(g, "Concat") > 2 ? MODEL_HEAD_YOLOV4 : MODEL_HEAD_YOLOV3;
    return halves_by_pooling(g) ? MODEL_HEAD_YOLOV5 : MODEL_HEAD_YOLOV3; // the first: YOLOv7-tiny
}

// ---- CenterNet ---------------------------------------------------------------------------

#define CENTERNET_STRIDE 4

static bool is_map(const struct look *l, int i, int stride, int64_t channels)
{
    const struct reel_shape *s = &l->shapes[i];
    return s->ndim == 4 && s->dim[0] == 1 && (channels ? s->dim[1] == channels : s->dim[1] > 0) &&
           s->dim[2] * stride == l->h && s->dim[3] * stride == l->w;
}

bool look_is_centernet(const struct look *l)
{
    static const char *const names[3] = {"hm", "wh", "reg"};
    int at[3];
    for (int k = 0; k < 3; k++) at[k] = look_output(l, names[k]);
    if (at[0] < 0 || at[1] < 0 || at[2] < 0) { // in the order of its own export
        if (l->f->n_out != 3) return false;
        for (int k = 0; k < 3; k++) at[k] = k;
    }
    for (int k = 0; k < 3; k++)
        if (!is_map(l, at[k], CENTERNET_STRIDE, k ? 2 : 0)) return false;
    memcpy(l->m->head_output, at, sizeof at);
    l->m->n_head_outputs = 3;
    l->m->classes = (int)l->shapes[at[0]].dim[1];
    l->m->decoded = is_sigmoid(l, at[0]);
    return l->m->classes <= 1 << 20;
}

// ---- poses -----------------------------------------------------------------------------

#define SHRUNK 4 // heatmaps are a quarter of the picture

bool look_may_be_heatmap(const struct look *l, int i)
{
    struct look_map map;
    if (!look_as_map(&l->shapes[i], l->w, l->h, &map) || map.w * SHRUNK != l->w || map.h * SHRUNK != l->h) return false;
    return map.channels > 2 && map.channels <= REEL_OBJECT_POINTS && reel_dtype_is_float(l->f->out[i].dtype) &&
           strcmp(model_last_op(l->f->graph, l->f->out[i].name), "Softmax") != 0;
}

// The output with the maps: the only one, or the last of several alike, each of which is better than
// those before it (stacked hourglasses). -1: there is none.
static int heatmap_output(const struct look *l)
{
    for (int i = 1; i < l->f->n_out; i++)
        if (!reel_shape_equal(&l->shapes[i], &l->shapes[0])) return -1;
    return l->f->n_out - 1;
}

bool look_is_heatmap(const struct look *l)
{
    struct look_map map;
    const int i = heatmap_output(l);
    if (i < 0 || !look_as_map(&l->shapes[i], l->w, l->h, &map) || map.channels > REEL_OBJECT_POINTS) return false;
    if (l->shapes[i].ndim != 4 || !reel_dtype_is_float(l->f->out[i].dtype)) return false;
    l->m->head_output[0] = i;
    l->m->n_head_outputs = 1;
    l->m->points = (int)map.channels, l->m->point_floats = 3;
    l->m->classes = 1;
    static const char *const unbiased[] = {"vitpose", "udp", NULL};
    l->m->udp = look_file_has(l, unbiased) || !strcmp(l->f->in[l->m->input.index].name, "pixel_values");
    LOOK_HOW(l, "heatmaps, a map for each point (if they are classes of pixels, use --task segment)");
    return true;
}

static bool among(int64_t v, const int *list)
{
    for (; *list; list++)
        if (*list == v) return true;
    return false;
}

// Such maps may also be those of a segmentation. What tells: names; a picture 3 wide and 4 high, as
// people are cut out; numbers of points that data sets of bodies and faces have and those of
// classes have not.
static bool shows_points(const struct look *l)
{
    static const char *const words[] = {"heatmap", "keypoint", "kpt", "joint", "pose", "hand", "landmark", NULL};
    static const int points[] = {14, 16, 17, 26, 68, 98, 106, 133, 0}, upright[] = {13, 15, 23, 0};
    struct look_map map;
    const int i = heatmap_output(l);
    if (i < 0 || !look_may_be_heatmap(l, i) || !look_as_map(&l->shapes[i], l->w, l->h, &map)) return false;
    if (look_file_has(l, words)) return true;
    for (const char *const *w = words; *w; w++)
        if (strstr(l->f->out[i].name, *w)) return true;
    return among(map.channels, points) || (l->w * 4 == l->h * 3 && among(map.channels, upright));
}

bool look_is_simcc(const struct look *l)
{
    int x = look_output(l, "simcc_x"), y = look_output(l, "simcc_y");
    if (x < 0 || y < 0) {
        if (l->f->n_out != 2) return false;
        x = 0, y = 1;
    }
    const struct reel_shape *a = &l->shapes[x], *b = &l->shapes[y];
    if (a->ndim != 3 || b->ndim != 3 || a->dim[0] != 1 || b->dim[0] != 1 || a->dim[1] != b->dim[1]) return false;
    if (a->dim[1] < 1 || a->dim[1] > REEL_OBJECT_POINTS) return false;
    // As many for each pixel one way as the other.
    if (a->dim[2] % l->w || a->dim[2] > 4LL * l->w || a->dim[2] * l->h != b->dim[2] * l->w) return false;
    l->m->head_output[0] = x, l->m->head_output[1] = y;
    l->m->n_head_outputs = 2;
    l->m->points = (int)a->dim[1], l->m->point_floats = 3;
    l->m->classes = 1;
    return true;
}

#define BODY 17

bool look_is_movenet(const struct look *l)
{
    const struct reel_shape *s = &l->shapes[0];
    if (l->f->n_out != 1) return false;
    const bool one = s->ndim == 4 && s->dim[0] == 1 && s->dim[1] == 1 && s->dim[2] == BODY && s->dim[3] == 3;
    const bool several = s->ndim == 3 && s->dim[0] == 1 && s->dim[1] == 6 && s->dim[2] == 3 * BODY + BOX;
    l->m->head_output[0] = 0;
    l->m->n_head_outputs = 1;
    l->m->points = BODY, l->m->point_floats = 3;
    l->m->classes = 1;
    return one || several;
}

enum model_head look_guess_maps(const struct look *l)
{
    int order[GRIDS], channels = 0;
    const int n = grids_of(l, order, &channels);
    if (n && look_are_raw_grids(l)) {
        const enum model_head head = guess_generation(l, n);
        return head != MODEL_HEAD_NONE && look_is_grids(l, head) ? head : MODEL_HEAD_NONE;
    }
    if (look_is_centernet(l)) return MODEL_HEAD_CENTERNET;
    if (look_is_simcc(l)) return MODEL_HEAD_SIMCC;
    if (look_is_movenet(l)) return MODEL_HEAD_MOVENET;
    return shows_points(l) && look_is_heatmap(l) ? MODEL_HEAD_HEATMAP : MODEL_HEAD_NONE;
}

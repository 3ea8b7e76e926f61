// SPDX-License-Identifier: MIT
//
// Masks of objects. See instances.h. Each mask is computed at the prototypes' size, only around its
// box, and interpolated at the pixels of the source.
#include "worker/task/instances.h"

#include <math.h>
#include <string.h>

// A position between two neighbours of a row or column of the prototypes.
struct between {
    int at, next;
    float part; // weight of next
};

struct prototypes {
    const float *data;
    int n, w, h;
};

// Columns and rows of the prototypes, both ends included.
struct window {
    int x0, y0, x1, y1;
};

static bool prototypes_of(const struct task *task, const struct reel_tensor *t, struct prototypes *out)
{
    const int64_t *d = t->shape.dim;
    if (t->shape.ndim != 4 || d[0] != 1 || d[1] != task->model->mask_weights || !t->data) return false;
    if (d[2] < 1 || d[3] < 1 || d[2] > 8192 || d[3] > 8192) return false;
    *out = (struct prototypes){t->data, (int)d[1], (int)d[3], (int)d[2]};
    return true;
}

static int clamp(double v, int most)
{
    return v > 0 ? v < most ? (int)v : most : 0;
}

// The window of a box, with one more pixel on each side for the interpolation.
static struct window window_of(const struct head_box *b, const struct view *v, const struct prototypes *p)
{
    const double kx = (double)p->w / v->net_w, ky = (double)p->h / v->net_h;
    return (struct window){clamp(b->x1 * kx - 1.5, p->w - 1), clamp(b->y1 * ky - 1.5, p->h - 1),
                           clamp(b->x2 * kx + 1.5, p->w - 1), clamp(b->y2 * ky + 1.5, p->h - 1)};
}

// Computes the object's mask, before the sigmoid, in the window.
static void weigh(const struct prototypes *p, const struct instance *o, struct window w, float *out)
{
    const size_t width = (size_t)(w.x1 - w.x0 + 1);
    memset(out, 0, width * (size_t)(w.y1 - w.y0 + 1) * sizeof *out);
    for (int c = 0; c < p->n; c++) {
        const float by = o->weights[(size_t)c * o->step];
        const float *row = p->data + ((size_t)c * (size_t)p->h + (size_t)w.y0) * (size_t)p->w + (size_t)w.x0;
        float *to = out;
        for (int y = w.y0; y <= w.y1; y++, row += p->w, to += width)
            for (size_t x = 0; x < width; x++) to[x] += by * row[x];
    }
}

// Where pixel i of the source lies among the prototypes, counted from the window's first.
static struct between between_of(int i, double shift, double per, int first, int last)
{
    double at = (i + 0.5 - shift) * per - 0.5;
    at = at > first ? at < last ? at : last : first;
    const int whole = (int)at;
    return (struct between){whole - first, (whole < last ? whole + 1 : last) - first, (float)(at - whole)};
}

// The pixels [*begin, *end) of the source whose centres lie in [from, to) of the network's input.
static void pixels_of(float from, float to, double shift, double scale, int n, int *begin, int *end)
{
    *begin = clamp(ceil(from * scale + shift - 0.5), n);
    *end = clamp(ceil(to * scale + shift - 0.5), n);
}

struct plane {
    uint8_t *data;
    size_t stride;
};

// An object's mask over a window of the prototypes, and room for the places of its columns.
struct object_mask {
    const struct head_box *box;
    struct window window;
    const float *values;
    struct between *columns;
};

// Writes the object's number where its mask is above `least` and there is no other object yet.
static void put_one(const struct view *v, const struct prototypes *p, const struct object_mask *object, struct plane to,
                    uint8_t number, float least)
{
    const struct head_box *b = object->box;
    const struct window w = object->window;
    struct between *columns = object->columns;
    const double per_x = (double)p->w / v->net_w / v->scale_x, per_y = (double)p->h / v->net_h / v->scale_y;
    const size_t width = (size_t)(w.x1 - w.x0 + 1);
    int x0, x1, y0, y1;
    pixels_of(b->x1, b->x2, v->shift_x, v->scale_x, v->src_w, &x0, &x1);
    pixels_of(b->y1, b->y2, v->shift_y, v->scale_y, v->src_h, &y0, &y1);
    for (int x = x0; x < x1; x++) columns[x] = between_of(x, v->shift_x, per_x, w.x0, w.x1);
    for (int y = y0; y < y1; y++) {
        const struct between r = between_of(y, v->shift_y, per_y, w.y0, w.y1);
        const float *upper = object->values + (size_t)r.at * width, *lower = object->values + (size_t)r.next * width;
        uint8_t *row = to.data + (size_t)y * to.stride;
        for (int x = x0; x < x1; x++) {
            const struct between c = columns[x];
            const float a = upper[c.at] + (upper[c.next] - upper[c.at]) * c.part;
            const float d = lower[c.at] + (lower[c.next] - lower[c.at]) * c.part;
            if (!row[x] && a + (d - a) * r.part > least) row[x] = number;
        }
    }
}

enum reel_err instances_put(struct task *task, const struct task_frame *frame, const struct reel_tensor *prototypes,
                            const struct instance *objects, int n)
{
    const struct reel_geometry *g = &task->out;
    const struct view *v = &task->view;
    struct prototypes p;
    char text[96];
    if (g->format.layout != REEL_PIX_GRAY || g->format.depth != 8 || (int)g->width != v->src_w ||
        (int)g->height != v->src_h)
        return reel_fail(REEL_ERR_PROTO, "could not make masks: the output slot is no 8-bit plane of the input's size");
    if (!prototypes_of(task, prototypes, &p))
        return reel_fail(REEL_ERR_UNSUPPORTED, "could not make masks: the prototypes have shape %s",
                         reel_shape_text(&prototypes->shape, text, sizeof text));
    const size_t mask_floats = (size_t)p.w * (size_t)p.h;
    const size_t column_floats = (size_t)v->src_w * sizeof(struct between) / sizeof(float);
    float *mask = task_scratch(task, mask_floats + column_floats);
    if (!mask) return reel_fail(REEL_ERR_NOMEM, "could not make masks: out of memory");
    const struct plane to = {frame->out + g->plane_offset[0], g->plane_stride[0]};
    for (int y = 0; y < v->src_h; y++) memset(to.data + (size_t)y * to.stride, 0, (size_t)v->src_w);
    const double t = task->settings->segment.threshold;
    const float least = (float)log(t / (1 - t)); // -inf and inf at 0 and 1
    for (int i = 0; i < n && i < INSTANCES_MOST; i++) {
        const struct window w = window_of(objects[i].box, v, &p);
        weigh(&p, &objects[i], w, mask);
        const struct object_mask object = {objects[i].box, w, mask, (struct between *)(mask + mask_floats)};
        put_one(v, &p, &object, to, (uint8_t)(i + 1), least);
    }
    return REEL_OK;
}

// SPDX-License-Identifier: MIT
//
// picture_set.h. A picture is read as frames are (kernels/yuv.h), resized where it has
// another size (bicubic), and then goes where a frame would go: the same steps in the
// same order as task/task.c and task/image.c, so that a frame given as a picture has
// the values that it has as a frame.
#include "worker/picture_set.h"

#include <stdlib.h>
#include <string.h>

#include "worker/task/task.h"

// Colours R, G, B in 0..1, or luma: [n][h][w].
struct planes {
    float *p;
    int w, h, n;
};

static float *row_of(const struct planes *p, int plane, int y)
{
    return p->p + ((size_t)plane * (size_t)p->h + (size_t)y) * (size_t)p->w;
}

static enum reel_err out_of_memory(void)
{
    return reel_fail(REEL_ERR_NOMEM, "could not hold a picture for the model: out of memory");
}

static enum reel_err planes_create(int w, int h, int n, struct planes *out)
{
    *out = (struct planes){malloc(sizeof(float) * (size_t)w * (size_t)h * (size_t)n), w, h, n};
    return out->p ? REEL_OK : out_of_memory();
}

// ---- reading and resizing -----------------------------------------------------

struct reader {
    const struct yuv_picture *picture;
    const struct planes *from, *to; // from: where there is no picture
    int x0, y0;                     // where in `to`
    float *scratch;
};

static void read_row(void *user, int y, float *const *rows)
{
    const struct reader *r = user;
    if (!r->picture)
        for (int i = 0; i < r->from->n; i++) memcpy(rows[i], row_of(r->from, i, y), (size_t)r->from->w * sizeof(float));
    else if (r->to->n == 1)
        yuv_read_luma_row(r->picture, y, rows[0], r->scratch);
    else
        yuv_read_row(r->picture, y, rows[0], rows[1], rows[2], r->scratch);
}

static void write_row(void *user, int y, float *const *rows)
{
    const struct reader *r = user;
    for (int i = 0; i < r->to->n; i++)
        memcpy(row_of(r->to, i, r->y0 + y) + r->x0, rows[i], (size_t)r->to->w * sizeof(float));
}

// Colours are no less than black, whatever bicubic makes of an edge.
static void clip(const struct planes *p)
{
    const size_t n = (size_t)p->w * (size_t)p->h * (size_t)p->n;
    for (size_t i = 0; i < n && p->n == 3; i++) p->p[i] = p->p[i] < 0 ? 0 : p->p[i] > 1 ? 1 : p->p[i];
}

static enum reel_err resize(struct reader *r, const struct resize_axis *x, const struct resize_axis *y)
{
    float *scratch = malloc(resize_scratch_floats(x, y, r->to->n) * sizeof *scratch);
    if (!scratch) return out_of_memory();
    resize_rows(x, y, r->to->n, read_row, write_row, r, scratch);
    free(scratch);
    return REEL_OK;
}

// The picture at w x h; as it is where that is its size.
static enum reel_err read_picture(const struct reel_picture *picture, int w, int h, int n, struct planes *out)
{
    const struct yuv_picture p = task_picture(&picture->geometry, &picture->colour, reel_picture_slot(picture));
    enum reel_err err = planes_create(w, h, n, out);
    struct reader r = {.picture = &p, .to = out, .scratch = malloc(yuv_scratch_floats(p.width) * sizeof(float))};
    if (!r.scratch) err = out_of_memory();
    if (!err && p.width == w && p.height == h) {
        for (int y = 0; y < h; y++) {
            float *rows[3] = {row_of(out, 0, y), row_of(out, n > 1 ? 1 : 0, y), row_of(out, n > 1 ? 2 : 0, y)};
            read_row(&r, y, rows);
        }
    } else if (!err) {
        struct resize_axis ax = {0}, ay = {0};
        const bool ok =
            resize_axis_fit(&ax, RESIZE_BICUBIC, p.width, w) && resize_axis_fit(&ay, RESIZE_BICUBIC, p.height, h);
        err = ok ? resize(&r, &ax, &ay) : out_of_memory();
        if (!err) clip(out);
        resize_axis_fini(&ax);
        resize_axis_fini(&ay);
    }
    free(r.scratch);
    if (err) free(out->p);
    return err;
}

// As task_feed() resizes a frame onto the network's input: its part of it.
static enum reel_err resize_as_frame(const struct task *task, const struct planes *from, struct planes *out)
{
    const struct view *v = &task->view;
    struct resize_axis x, y;
    enum reel_err err = planes_create(v->pic_w, v->pic_h, from->n, out);
    struct reader r = {.from = from, .to = out};
    const bool ok = task_feed_axes(task, &x, &y);
    if (!err) err = ok ? resize(&r, &x, &y) : out_of_memory();
    resize_axis_fini(&x);
    resize_axis_fini(&y);
    if (err) free(out->p);
    return err;
}

// ---- as the network has it ----------------------------------------------------

// Where the planes lie on the canvas, and what is around them.
struct place {
    int x0, y0;
    bool edges; // to the right and below the planes' last values, else what the model has there
};

static float stored(const struct model_given *g, const struct planes *p, const struct place *at, int c, int x, int y)
{
    const int i = g->bgr ? 2 - c : c; // the colour
    x -= at->x0, y -= at->y0;
    const bool inside = x >= 0 && y >= 0 && x < p->w && y < p->h;
    if (!inside && !at->edges) return g->fill[i];
    return row_of(p, i, y < p->h ? y : p->h - 1)[x < p->w ? x : p->w - 1] * g->gain[i] + g->bias[i];
}

static enum reel_err store(const struct planes *p, const struct place *at, struct picture_canvas *c)
{
    const struct model_given *g = c->given;
    c->values = malloc(sizeof(float) * (size_t)c->w * (size_t)c->h * (size_t)g->channels);
    if (!c->values) return out_of_memory();
    float *to = c->values;
    for (int k = 0; k < g->channels; k++)
        for (int y = 0; y < c->h; y++)
            for (int x = 0; x < c->w; x++) *to++ = stored(g, p, at, k, x, y);
    return REEL_OK;
}

enum reel_err picture_canvas_make(const struct reel_picture *picture, const struct model_given *g,
                                  const struct task *task, struct picture_canvas *out)
{
    const struct view *v = &task->view;
    const bool as_frame = g->as_frame, cut = as_frame && v->fit == MODEL_TILES;
    const bool laid_out = as_frame && v->fit != MODEL_TILES && v->fit != MODEL_WHOLE;
    struct planes p, resized;
    struct place at = {.edges = true};
    enum reel_err err =
        read_picture(picture, as_frame ? v->src_w : g->width, as_frame ? v->src_h : g->height, g->channels, &p);
    if (err) return err;
    if (laid_out) {
        err = resize_as_frame(task, &p, &resized);
        free(p.p);
        if (err) return err;
        p = resized;
        at = (struct place){v->pic_x, v->pic_y, false};
    }
    *out = (struct picture_canvas){.given = g, .cut = cut};
    out->net_w = as_frame ? v->net_w : g->width, out->net_h = as_frame ? v->net_h : g->height;
    out->w = cut ? v->pad_w : out->net_w, out->h = cut ? v->pad_h : out->net_h;
    err = store(&p, &at, out);
    free(p.p);
    return err;
}

// ---- into the inputs ----------------------------------------------------------

static void cut(const struct picture_canvas *c, int x0, int y0, float *to)
{
    const struct model_given *g = c->given;
    const size_t px = g->nhwc ? (size_t)g->channels : 1, plane = (size_t)c->net_w * (size_t)c->net_h;
    for (int k = 0; k < g->channels; k++)
        for (int y = 0; y < c->net_h; y++) {
            const float *from = c->values + ((size_t)k * (size_t)c->h + (size_t)(y0 + y)) * (size_t)c->w + x0;
            float *row = to + (g->nhwc ? (size_t)k : (size_t)k * plane) + (size_t)y * (size_t)c->net_w * px;
            for (int x = 0; x < c->net_w; x++) row[(size_t)x * px] = from[x];
        }
}

void picture_set_cut(struct picture_set *s, int x0, int y0)
{
    for (int i = 0; i < s->n; i++) {
        const struct picture_canvas *c = &s->canvas[i];
        struct reel_tensor *values = s->values[i].data ? &s->values[i] : &s->given[i].tensor;
        cut(c, c->cut ? x0 : 0, c->cut ? y0 : 0, values->data);
        if (s->values[i].data) engine_as_input(values, &s->given[i].tensor);
    }
}

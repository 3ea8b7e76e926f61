// SPDX-License-Identifier: MIT
//
// Networks that make a picture from whole frames, from tiles, or from frames resized to the network's
// size (and back).
//
// In the simplest case a frame is converted from the slot to the network's input, and its output to
// the slot, each in one pass. Tiles, residuals and resized frames use float planes of the whole
// picture, the "canvas".
//
// With luma-only networks Y goes through the network, and chroma is resized (bicubic).
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/resize.h"
#include "worker/picture_set.h"
#include "worker/task/image.h"

struct image_state {
    int planes;      // 1 or 3: channels of the network's output
    int in_w, in_h;  // size of the input canvas (the padded source)
    float *in, *out; // canvases, planar R G B or Y (in: one for each frame seen); NULL if not needed
    size_t in_plane, out_plane;
};

// ---- sizes --------------------------------------------------------------------

enum reel_err image_output_size(const struct task *task, int *out_w, int *out_h)
{
    const struct model_output *o = &task->model->output;
    const struct reel_shape *s = &task->out_shapes[o->index];
    char text[96];
    int at = s->ndim - 3 + (o->nhwc ? 0 : 1);
    if (s->ndim < 3 || s->dim[at] < 1 || s->dim[at + 1] < 1 || s->dim[at] > 32768 || s->dim[at + 1] > 32768)
        return reel_fail(REEL_ERR_UNSUPPORTED, "could not use model: its picture would have shape %s",
                         reel_shape_text(s, text, sizeof text));
    *out_h = (int)s->dim[at], *out_w = (int)s->dim[at + 1];
    return REEL_OK;
}

static enum reel_err picture_size(const struct task *task, int *out_w, int *out_h)
{
    const struct view *v = &task->view;
    int w = 0, h = 0;
    enum reel_err err = image_output_size(task, &w, &h);
    if (err) return err;
    if (v->n_x * v->n_y > 1 && (w % v->net_w || h % v->net_h))
        return reel_fail(REEL_ERR_UNSUPPORTED,
                         "could not cut frames into tiles: the model makes %dx%d from %dx%d, which is not a whole "
                         "multiple\nuse io.resize \"stretch\"",
                         w, h, v->net_w, v->net_h);
    *out_w = (int)(((int64_t)v->src_w * w + v->net_w / 2) / v->net_w);
    *out_h = (int)(((int64_t)v->src_h * h + v->net_h / 2) / v->net_h);
    return *out_w >= 1 && *out_h >= 1 ? REEL_OK : reel_fail(REEL_ERR_UNSUPPORTED, "could not make an empty picture");
}

static enum reel_err image_shape(const struct task *task, struct reel_rec_shaped *shaped)
{
    int w = 0, h = 0;
    enum reel_err err = picture_size(task, &w, &h);
    if (err) return err;
    shaped->width = (uint32_t)w, shaped->height = (uint32_t)h;
    shaped->format = task->in.format;
    bool luma = task->model->output.channels == 1;
    shaped->luma_only = luma;
    if (shaped->format.layout == REEL_PIX_NV) shaped->format.layout = REEL_PIX_YUV;
    if (luma && shaped->format.layout == REEL_PIX_GBR)
        shaped->format = (struct reel_pixel_format){.layout = REEL_PIX_YUV, .depth = task->in.format.depth};
    if (luma && task->model->input.channels == 3) // colour in, one channel out
        shaped->format = (struct reel_pixel_format){.layout = REEL_PIX_GRAY, .depth = task->in.format.depth};
    if (!luma && shaped->format.layout == REEL_PIX_GRAY)
        shaped->format = (struct reel_pixel_format){REEL_PIX_YUV, task->in.format.depth, 1, 1};
    shaped->results_bytes = (uint32_t)sizeof(struct reel_results);
    return REEL_OK;
}

static bool is_direct(const struct task *task)
{
    return task->view.fit == MODEL_WHOLE && !task->model->output.residual;
}

static void image_close(struct task *task)
{
    struct image_state *s = task->state;
    if (!s) return;
    free(s->in);
    free(s->out);
    free(s);
    task->state = NULL;
}

static enum reel_err image_open(struct task *task)
{
    int w = 0, h = 0;
    enum reel_err err = picture_size(task, &w, &h);
    if (err) return err;
    if (task->out.format.layout == REEL_PIX_NONE || task->out.width != (uint32_t)w || task->out.height != (uint32_t)h)
        return reel_fail(REEL_ERR_PROTO, "could not make a picture of %dx%d: the output slot is %ux%u", w, h,
                         task->out.width, task->out.height);
    if (task->model->output.channels == 1 && task->out.format.layout == REEL_PIX_GBR)
        return reel_fail(REEL_ERR_UNSUPPORTED, "could not write luma into RGB pictures\nchoose a YUV encoder");
    struct image_state *s = calloc(1, sizeof *s);
    if (!s) goto no_memory;
    task->state = s;
    const struct view *v = &task->view;
    s->planes = task->model->output.channels == 1 ? 1 : 3;
    s->in_w = v->pad_w, s->in_h = v->pad_h;
    s->in_plane = (size_t)s->in_w * (size_t)s->in_h;
    s->out_plane = (size_t)w * (size_t)h;
    if (v->fit == MODEL_TILES)
        s->in = malloc(sizeof(float) * s->in_plane * (size_t)(task->model->input.channels * task->model->input.frames));
    if (!is_direct(task)) s->out = malloc(sizeof(float) * s->out_plane * (size_t)s->planes);
    if ((v->fit == MODEL_TILES && !s->in) || (!is_direct(task) && !s->out)) goto no_memory;
    return REEL_OK;
no_memory:
    image_close(task);
    return reel_fail(REEL_ERR_NOMEM, "could not hold pictures of %dx%d: out of memory", w, h);
}

// ---- the network's output -------------------------------------------------------

// Maps the smallest of n values to 0 and the largest to 1; ignores NaN and infinities.
static void stretch_levels(const float *data, int64_t n, struct rgb_view *out)
{
    float low = INFINITY, high = -INFINITY;
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(data[i])) continue;
        low = data[i] < low ? data[i] : low;
        high = data[i] > high ? data[i] : high;
    }
    const float span = high - low, gain = span > 0 && isfinite(1 / span) ? 1 / span : 0;
    for (int i = 0; i < 3; i++) out->gain[i] = gain, out->bias[i] = gain > 0 ? -low * gain : 0;
}

// The channels R, G, B (or only Y) of the network's output picture, with the factors that map them
// to 0..1.
static enum reel_err output_view(const struct task *task, const struct engine *engine, struct rgb_view *out)
{
    const struct model_output *o = &task->model->output;
    const struct reel_tensor *t = engine_output(engine, o->index);
    int w = 0, h = 0;
    enum reel_err err = image_output_size(task, &w, &h);
    if (err) return err;
    char text[96];
    if (!t->data || reel_tensor_count(t) != (int64_t)w * h * o->channels)
        return reel_fail(REEL_ERR_FAULT, "could not read the network's picture: shape %s, not %dx%d with %d channels",
                         reel_shape_text(&t->shape, text, sizeof text), w, h, o->channels);
    float *data = t->data;
    size_t plane = (size_t)w * (size_t)h;
    *out = (struct rgb_view){.width = w, .height = h, .px = o->nhwc ? (size_t)o->channels : 1};
    out->row = (size_t)w * out->px;
    for (int i = 0; i < o->channels; i++) {
        size_t c = (size_t)(o->bgr ? o->channels - 1 - i : i);
        out->c[i] = o->nhwc ? data + c : data + c * plane;
        out->gain[i] = o->gain[i], out->bias[i] = o->bias[i];
    }
    if (o->levels) stretch_levels(data, reel_tensor_count(t), out);
    return REEL_OK;
}

// ---- parts ----------------------------------------------------------------------

// The output row from which tile row i is used: the middle of the overlap, rounded to a whole chroma
// row, so that parts can be written independently.
static int seam_at(const struct task *task, int i)
{
    const struct view *v = &task->view;
    if (i == 0) return 0;
    if (i == v->n_y) return (int)task->out.height;
    int begin = view_row_at(v, i), end = view_row_at(v, i - 1) + v->net_h;
    int scale = (int)task->out.height / v->src_h, f = 1 << task->out.format.log2_chroma_h;
    if (v->margin) return view_band_at(v, i) * scale; // a multiple of four; rows above belong to the neighbour
    return (begin + end) / 2 * scale / f * f;
}

struct image_band image_band_of(const struct task *task, uint32_t part)
{
    struct image_band b = {0, task->view.n_y, 0, (int)task->out.height};
    if (task->view.parts < 2) return b;
    view_part(&task->view, (int)part, &b.tile_first, &b.tile_end);
    b.y0 = seam_at(task, b.tile_first), b.y1 = seam_at(task, b.tile_end);
    return b;
}

// ---- chroma of luma-only networks -------------------------------------------------

struct chroma {
    const struct yuv_picture *src, *dst;
    int which;
    int row0; // first row of the band
    float *scratch;
};

static void read_chroma(void *user, int y, float *const *rows)
{
    struct chroma *c = user;
    if (c->src->layout != YUV_GBR) {
        yuv_read_chroma_row(c->src, c->which, y, rows[0]);
        return;
    }
    int n = c->src->width;
    size_t step = ((size_t)n + 15) / 16 * 16;
    float *r = c->scratch, *g = r + step, *b = g + step;
    yuv_read_row(c->src, y, r, g, b, b + step);
    double kr, kb;
    yuv_matrix_weights(c->dst->matrix, &kr, &kb);
    float fr = (float)kr, fb = (float)kb, fg = (float)(1 - kr - kb);
    float per = (float)(0.5 / (1 - (c->which ? kr : kb)));
    for (int x = 0; x < n; x++) rows[0][x] = ((c->which ? r[x] : b[x]) - (fr * r[x] + fg * g[x] + fb * b[x])) * per;
}

static void write_chroma(void *user, int y, float *const *rows)
{
    struct chroma *c = user;
    yuv_write_chroma_row(c->dst, c->which, c->row0 + y, rows[0]);
}

// The position of the first chroma sample, in luma samples.
static double chroma_origin(int log2, enum yuv_site site)
{
    double span = (1 << log2) - 1;
    return site == YUV_SITE_CENTER ? span / 2 : site == YUV_SITE_LAST ? span : 0;
}

// Where a picture's chroma samples lie along an axis: n of them, in luma samples.
struct chroma_places {
    int n, apart;
    double first;
};

static struct chroma_places chroma_columns(const struct yuv_picture *p)
{
    if (p->layout == YUV_GBR) return (struct chroma_places){p->width, 1, 0};
    return (struct chroma_places){yuv_chroma_width(p), 1 << p->log2_cw, chroma_origin(p->log2_cw, p->site_x)};
}

static struct chroma_places chroma_rows(const struct yuv_picture *p)
{
    if (p->layout == YUV_GBR) return (struct chroma_places){p->height, 1, 0};
    return (struct chroma_places){yuv_chroma_height(p), 1 << p->log2_ch, chroma_origin(p->log2_ch, p->site_y)};
}

// Chroma sample i of dst lies at luma position p = first + i apart of dst, that is at luma position
// (p + 0.5) / scale - 0.5 of src, which is then converted to a chroma position of src.
static bool chroma_axis(struct resize_axis *axis, struct chroma_places src, struct chroma_places dst, double scale)
{
    const double step = dst.apart / scale / src.apart;
    const double origin = ((dst.first + 0.5) / scale - 0.5 - src.first) / src.apart;
    return resize_axis_init(axis, RESIZE_BICUBIC, src.n, dst.n, origin, step);
}

bool image_chroma_axes(const struct yuv_picture *src, const struct yuv_picture *dst, struct resize_axis *x,
                       struct resize_axis *y)
{
    const double sx = (double)dst->width / src->width, sy = (double)dst->height / src->height;
    *x = *y = (struct resize_axis){0};
    return chroma_axis(x, chroma_columns(src), chroma_columns(dst), sx) &&
           chroma_axis(y, chroma_rows(src), chroma_rows(dst), sy);
}

// The rows from <= y < to of an axis; borrows its tables.
static struct resize_axis axis_rows(const struct resize_axis *axis, int from, int to)
{
    struct resize_axis a = *axis;
    a.first += from;
    a.weight += (size_t)from * (size_t)a.taps;
    a.n_out = to - from;
    return a;
}

static enum reel_err resize_chroma(struct task *task, const struct yuv_picture *src, const struct yuv_picture *dst,
                                   const struct image_band *band)
{
    struct resize_axis x, y;
    bool ok = image_chroma_axes(src, dst, &x, &y);
    size_t rows = 3 * (((size_t)src->width + 15) / 16 * 16) + yuv_scratch_floats(src->width);
    float *scratch = ok ? task_scratch(task, rows + resize_scratch_floats(&x, &y, 1)) : NULL;
    int f = 1 << dst->log2_ch, c0 = band->y0 / f, c1 = (band->y1 + f - 1) / f;
    for (int i = 0; i < 2 && scratch; i++) {
        struct chroma c = {src, dst, i, c0, scratch};
        struct resize_axis of_band = axis_rows(&y, c0, c1);
        resize_rows(&x, &of_band, 1, read_chroma, write_chroma, &c, scratch + rows);
    }
    resize_axis_fini(&x);
    resize_axis_fini(&y);
    return scratch ? REEL_OK : reel_fail(REEL_ERR_NOMEM, "could not resize chroma: out of memory");
}

static enum reel_err neutral_chroma(struct task *task, const struct yuv_picture *dst, const struct image_band *band)
{
    float *row = task_scratch(task, (size_t)yuv_chroma_width(dst) + 16);
    if (!row) return reel_fail(REEL_ERR_NOMEM, "could not write chroma: out of memory");
    memset(row, 0, (size_t)yuv_chroma_width(dst) * sizeof *row);
    for (int y = band->y0 >> dst->log2_ch; y << dst->log2_ch < band->y1; y++)
        for (int i = 0; i < 2; i++) yuv_write_chroma_row(dst, i, y, row);
    return REEL_OK;
}

// ---- into the slot ------------------------------------------------------------------

static enum reel_err write_picture(struct task *task, const struct task_frame *frame, const struct rgb_view *v,
                                   const struct image_band *band)
{
    struct yuv_picture dst = task_picture(&task->out, &task->out_colour, frame->out);
    float *scratch = task_scratch(task, yuv_scratch_floats(dst.width));
    if (!scratch) return reel_fail(REEL_ERR_NOMEM, "could not write a picture: out of memory");
    if (task->model->output.channels == 3) {
        yuv_from_rgb_rows(&dst, v, band->y0, band->y1, scratch);
        return REEL_OK;
    }
    struct luma_view y = {v->c[0], v->row, v->width, v->height, v->gain[0], v->bias[0]};
    yuv_from_luma_rows(&dst, &y, band->y0, band->y1, scratch);
    if (dst.layout == YUV_GRAY) return REEL_OK;
    struct yuv_picture src = task_picture(&task->in, &task->media.colour, frame->in);
    if (src.layout == YUV_GRAY || task->model->input.channels != 1) return neutral_chroma(task, &dst, band);
    return resize_chroma(task, &src, &dst, band);
}

static struct rgb_view canvas_view(const struct task *task)
{
    const struct image_state *s = task->state;
    struct rgb_view v = {.row = task->out.width,
                         .px = 1,
                         .width = (int)task->out.width,
                         .height = (int)task->out.height,
                         .gain = {1, 1, 1}};
    for (int i = 0; i < s->planes; i++) v.c[i] = s->out + (size_t)i * s->out_plane;
    return v;
}

// ---- tiles ----------------------------------------------------------------------------

// Reads source rows y0 <= y < y1 of the f-th seen frame into the canvas.
static enum reel_err read_canvas(struct task *task, const struct task_frame *frame, int f, int y0, int y1)
{
    const struct image_state *s = task->state;
    const struct model_input *in = &task->model->input;
    struct yuv_picture src = task_seen_picture(task, frame, f);
    float *scratch = task_scratch(task, yuv_scratch_floats(src.width));
    if (!scratch) return reel_fail(REEL_ERR_NOMEM, "could not read a picture: out of memory");
    float *canvas = s->in + (size_t)(f * in->channels) * s->in_plane;
    if (in->channels == 1) {
        struct luma_view v = {canvas, (size_t)s->in_w, s->in_w, s->in_h, in->gain[0], in->bias[0]};
        yuv_to_luma_rows(&src, &v, y0, y1, scratch);
        return REEL_OK;
    }
    struct rgb_view v = {.row = (size_t)s->in_w, .px = 1, .width = s->in_w, .height = s->in_h};
    for (int i = 0; i < 3; i++)
        v.c[i] = canvas + (size_t)i * s->in_plane, v.gain[i] = in->gain[i], v.bias[i] = in->bias[i];
    yuv_to_rgb_rows(&src, &v, y0, y1, scratch);
    return REEL_OK;
}

static void cut_tile(const struct task *task, struct engine *engine, int x0, int y0)
{
    const struct image_state *s = task->state;
    const struct model_input *in = &task->model->input;
    int w = task->view.net_w, h = task->view.net_h;
    const int seen = in->channels * in->frames, all = seen + in->planes;
    float *data = engine_input(engine);
    for (int i = 0; i < seen; i++) {
        const int of_frame = i % in->channels;
        size_t c = (size_t)(i - of_frame + (in->bgr ? in->channels - 1 - of_frame : of_frame));
        for (int y = 0; y < h; y++) {
            const float *from = s->in + (size_t)i * s->in_plane + (size_t)(y0 + y) * (size_t)s->in_w + (size_t)x0;
            if (!in->nhwc) {
                memcpy(data + (c * (size_t)h + (size_t)y) * (size_t)w, from, (size_t)w * sizeof *from);
                continue;
            }
            float *to = data + (size_t)y * (size_t)w * (size_t)all + c;
            for (int x = 0; x < w; x++) to[(size_t)x * (size_t)all] = from[x];
        }
    }
}

// One axis of the tiles of a band: tiles first <= i < end.
struct tile_axis {
    const struct task *task;
    bool rows;
    int first, end;
    int net, scale; // scale: output pixels per source pixel, a whole number
};

static int corner_at(const struct tile_axis *a, int i)
{
    return a->rows ? view_row_at(&a->task->view, i) : view_column_at(&a->task->view, i);
}

// The output position in the middle of the overlap of tiles i - 1 and i.
static double middle_at(const struct tile_axis *a, int i)
{
    if (a->rows && a->task->view.exact) return seam_at(a->task, i);
    int begin = corner_at(a, i), end = corner_at(a, i - 1) + a->net;
    return (begin + end) / 2 * (double)a->scale;
}

// Weights of tile i's pixels: 1, falling to 0 around the middle of the overlap with its neighbours.
// The weights of both tiles add up to 1.
static void tile_weights(const struct tile_axis *a, int i, float *weight)
{
    const struct view *v = &a->task->view;
    int at = corner_at(a, i), n = a->net * a->scale;
    double ramp = v->exact ? 0 : (double)v->overlap * a->scale;
    for (int x = 0; x < n; x++) weight[x] = 1;
    for (int side = 0; side < 2; side++) {
        int other = side ? i + 1 : i - 1;
        if (other < a->first || other >= a->end) continue;
        double middle = middle_at(a, side ? other : i);
        for (int x = 0; x < n; x++) {
            double p = (double)at * a->scale + x + 0.5; // position on the canvas
            double up = ramp > 0 ? (p - middle) / ramp + 0.5 : p > middle ? 1 : 0;
            up = up < 0 ? 0 : up > 1 ? 1 : up;
            weight[x] *= (float)(side ? 1 - up : up);
        }
    }
}

void image_tile_weights(const struct task *task, const struct image_band *band, float *wx, float *wy)
{
    const struct view *v = &task->view;
    int w = 0, h = 0;
    image_output_size(task, &w, &h);
    // A single tile may have any size and scale.
    bool many = v->n_x > 1 || v->n_y > 1;
    struct tile_axis columns = {task, false, 0, v->n_x, v->net_w, w / v->net_w};
    struct tile_axis rows = {task, true, band->tile_first, band->tile_end, v->net_h, h / v->net_h};
    for (int i = 0; i < v->n_x; i++) {
        float *to = wx + (size_t)i * (size_t)w;
        for (int x = 0; x < w; x++) to[x] = 1;
        if (many) tile_weights(&columns, i, to);
    }
    for (int i = band->tile_first; i < band->tile_end; i++) {
        float *to = wy + (size_t)i * (size_t)h;
        for (int y = 0; y < h; y++) to[y] = 1;
        if (many) tile_weights(&rows, i, to);
    }
}

static void add_tile(const struct task *task, const struct rgb_view *v, int x0, int y0, const float *wx,
                     const float *wy)
{
    const struct image_state *s = task->state;
    int width = (int)task->out.width, height = (int)task->out.height;
    int w = v->width < width - x0 ? v->width : width - x0, h = v->height < height - y0 ? v->height : height - y0;
    for (int i = 0; i < s->planes; i++)
        for (int y = 0; y < h; y++) {
            if (wy[y] == 0) continue;
            float *to = s->out + (size_t)i * s->out_plane + (size_t)(y0 + y) * (size_t)width + (size_t)x0;
            const float *from = v->c[i] + (size_t)y * v->row;
            for (int x = 0; x < w; x++)
                if (wx[x] != 0) to[x] += (from[(size_t)x * v->px] * v->gain[i] + v->bias[i]) * (wx[x] * wy[y]);
        }
}

static void clear_canvas(const struct task *task, int y0, int y1)
{
    const struct image_state *s = task->state;
    size_t width = task->out.width, height = task->out.height, end = (size_t)y1 < height ? (size_t)y1 : height;
    for (int i = 0; i < s->planes; i++)
        memset(s->out + (size_t)i * s->out_plane + (size_t)y0 * width, 0, (end - (size_t)y0) * width * sizeof *s->out);
}

static enum reel_err run_tiles(struct task *task, struct engine *engine, struct task_frame *frame,
                               const struct image_band *band)
{
    const struct view *v = &task->view;
    int w = 0, h = 0;
    enum reel_err err = image_output_size(task, &w, &h);
    size_t floats = (size_t)v->n_x * (size_t)w + (size_t)v->n_y * (size_t)h;
    float *weights = err ? NULL : malloc(floats * sizeof *weights);
    if (!err && !weights) err = reel_fail(REEL_ERR_NOMEM, "could not join tiles: out of memory");
    int top = view_row_at(v, band->tile_first), bottom = view_row_at(v, band->tile_end - 1) + v->net_h;
    for (int i = 0; i < task->model->input.frames && !err; i++) err = read_canvas(task, frame, i, top, bottom);
    if (task->model->input.between) task_feed_planes(task, engine, frame); // the same for all tiles
    int scale_x = v->n_x > 1 || v->n_y > 1 ? w / v->net_w : 0, scale_y = scale_x ? h / v->net_h : 0;
    clear_canvas(task, top * scale_y, scale_y ? bottom * scale_y : h);
    if (!err) image_tile_weights(task, band, weights, weights + (size_t)v->n_x * (size_t)w);
    for (int i = band->tile_first * v->n_x; i < band->tile_end * v->n_x && !err; i++) {
        int ix = i % v->n_x, iy = i / v->n_x;
        int x0 = view_column_at(v, ix), y0 = view_row_at(v, iy);
        cut_tile(task, engine, x0, y0);
        if (task->pictures) picture_set_cut(task->pictures, x0, y0);
        if (task->states) engine_use_states(engine, task->states, i);
        struct rgb_view made;
        if ((err = engine_run(engine, &frame->run_us)) || (err = output_view(task, engine, &made))) break;
        if (task->on_step) task->on_step(task->user);
        const float *wx = weights + (size_t)ix * (size_t)w;
        const float *wy = weights + (size_t)v->n_x * (size_t)w + (size_t)iy * (size_t)h;
        add_tile(task, &made, x0 * scale_x, y0 * scale_y, wx, wy);
    }
    free(weights);
    return err;
}

// ---- resized frames ---------------------------------------------------------------------

struct back {
    const struct task *task;
    const struct rgb_view *made;
    int x0, y0; // the picture's corner in the network's output
    int width;
};

static void read_made(void *user, int y, float *const *rows)
{
    const struct back *b = user;
    for (int i = 0; i < ((const struct image_state *)b->task->state)->planes; i++) {
        const float *from = b->made->c[i] + (size_t)(b->y0 + y) * b->made->row + (size_t)b->x0 * b->made->px;
        for (int x = 0; x < b->width; x++)
            rows[i][x] = from[(size_t)x * b->made->px] * b->made->gain[i] + b->made->bias[i];
    }
}

static void write_canvas(void *user, int y, float *const *rows)
{
    const struct back *b = user;
    const struct image_state *s = b->task->state;
    size_t width = b->task->out.width;
    for (int i = 0; i < s->planes; i++)
        memcpy(s->out + (size_t)i * s->out_plane + (size_t)y * width, rows[i], width * sizeof(float));
}

void image_back_region(const struct task *task, int w, int h, int *out_x0, int *out_y0, int *out_w, int *out_h)
{
    const struct view *v = &task->view;
    *out_x0 = (int)((int64_t)v->pic_x * w / v->net_w), *out_w = (int)((int64_t)v->pic_w * w / v->net_w);
    *out_y0 = (int)((int64_t)v->pic_y * h / v->net_h), *out_h = (int)((int64_t)v->pic_h * h / v->net_h);
    if (*out_w < 1) *out_w = 1;
    if (*out_h < 1) *out_h = 1;
}

static enum reel_err run_resized(struct task *task, struct engine *engine, struct task_frame *frame)
{
    struct rgb_view made;
    enum reel_err err = task_feed(task, engine, frame);
    if (!err) err = engine_run(engine, &frame->run_us);
    if (!err) err = output_view(task, engine, &made);
    if (err) return err;
    int x0, y0, w, h;
    image_back_region(task, made.width, made.height, &x0, &y0, &w, &h);
    struct back b = {task, &made, x0, y0, w};
    struct resize_axis x = {0}, y = {0};
    int planes = ((const struct image_state *)task->state)->planes;
    float *scratch = NULL;
    if (resize_axis_fit(&x, RESIZE_BICUBIC, b.width, (int)task->out.width) &&
        resize_axis_fit(&y, RESIZE_BICUBIC, h, (int)task->out.height))
        scratch = task_scratch(task, resize_scratch_floats(&x, &y, planes));
    if (scratch) resize_rows(&x, &y, planes, read_made, write_canvas, &b, scratch);
    resize_axis_fini(&x);
    resize_axis_fini(&y);
    return scratch ? REEL_OK : reel_fail(REEL_ERR_NOMEM, "could not resize a picture: out of memory");
}

// ---- residuals ------------------------------------------------------------------------------

struct residual {
    const struct task *task;
    const struct yuv_picture *src;
    int row0; // of the band
    float *scratch;
};

static void read_source(void *user, int y, float *const *rows)
{
    const struct residual *r = user;
    if (((const struct image_state *)r->task->state)->planes == 1)
        yuv_read_luma_row(r->src, y, rows[0], r->scratch);
    else
        yuv_read_row(r->src, y, rows[0], rows[1], rows[2], r->scratch);
}

static void add_source(void *user, int y, float *const *rows)
{
    const struct residual *r = user;
    const struct image_state *s = r->task->state;
    size_t width = r->task->out.width;
    for (int i = 0; i < s->planes; i++) {
        float *to = s->out + (size_t)i * s->out_plane + (size_t)(r->row0 + y) * width;
        for (size_t x = 0; x < width; x++) to[x] += rows[i][x];
    }
}

static enum reel_err add_residual(struct task *task, const uint8_t *in_slot, const struct image_band *band)
{
    int height = (int)task->out.height, y0 = band->y0 - YUV_ROWS_AROUND, y1 = band->y1 + YUV_ROWS_AROUND;
    if (y0 < 0) y0 = 0;
    if (y1 > height) y1 = height;
    struct yuv_picture src = task_picture(&task->in, &task->media.colour, in_slot);
    struct residual r = {task, &src, y0, NULL};
    struct resize_axis x = {0}, y = {0};
    int planes = ((const struct image_state *)task->state)->planes;
    float *scratch = NULL;
    size_t reader = yuv_scratch_floats(src.width);
    if (resize_axis_fit(&x, RESIZE_BICUBIC, src.width, (int)task->out.width) &&
        resize_axis_fit(&y, RESIZE_BICUBIC, src.height, height))
        scratch = task_scratch(task, reader + resize_scratch_floats(&x, &y, planes));
    r.scratch = scratch;
    if (scratch) {
        struct resize_axis of_band = axis_rows(&y, y0, y1);
        resize_rows(&x, &of_band, planes, read_source, add_source, &r, scratch + reader);
    }
    resize_axis_fini(&x);
    resize_axis_fini(&y);
    return scratch ? REEL_OK : reel_fail(REEL_ERR_NOMEM, "could not add a picture: out of memory");
}

// ---- a frame ------------------------------------------------------------------------------

// Runs the whole frame at once and writes the result to the canvas (a residual is added).
static enum reel_err run_whole(struct task *task, struct engine *engine, struct task_frame *frame,
                               struct rgb_view *out_made)
{
    enum reel_err err = task_feed(task, engine, frame);
    if (!err) err = engine_run(engine, &frame->run_us);
    if (!err) err = output_view(task, engine, out_made);
    if (err || is_direct(task)) return err;
    const struct image_state *s = task->state;
    struct back b = {task, out_made, 0, 0, (int)task->out.width};
    for (uint32_t y = 0; y < task->out.height; y++) {
        float *rows[3];
        for (int i = 0; i < s->planes; i++) rows[i] = s->out + (size_t)i * s->out_plane + (size_t)y * task->out.width;
        read_made(&b, (int)y, rows);
    }
    return REEL_OK;
}

static enum reel_err image_run(struct task *task, struct engine *engine, struct task_frame *frame)
{
    struct rgb_view made;
    struct image_band band = image_band_of(task, frame->part);
    enum reel_err err;
    switch (task->view.fit) {
    case MODEL_WHOLE:
        err = run_whole(task, engine, frame, &made);
        break;
    case MODEL_TILES:
        err = run_tiles(task, engine, frame, &band);
        break;
    default:
        err = run_resized(task, engine, frame);
    }
    if (err) return err;
    if (!is_direct(task)) {
        if (task->model->output.residual && (err = add_residual(task, frame->in, &band))) return err;
        made = canvas_view(task);
    }
    err = write_picture(task, frame, &made, &band);
    if (!err && !frame->part) task_put_results(task, frame, REEL_TASK_IMAGE, NULL, 0, 1);
    return err;
}

const struct task_ops task_image = {
    .name = "image", .shape = image_shape, .open = image_open, .close = image_close, .run = image_run};

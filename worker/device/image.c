// SPDX-License-Identifier: MIT
//
// image.h: each function enqueues what its namesake of task/task.c or
// task/image.c does on the CPU, by the kernels that follow those bit by bit.
#include "worker/device/given.h"

#include <stdlib.h>
#include <string.h>

#include "worker/device/mask.h"
#include "worker/device/pick.h"
#include "worker/device/states.h"
#include "worker/task/between.h"

// ---- memory ------------------------------------------------------------------------

// Takes both axes to the device; ok false: they could not be made.
static enum reel_err put_axes(struct device_image *d, bool ok, struct resize_axis *x, struct resize_axis *y,
                              struct gpu_axis *out_x, struct gpu_axis *out_y)
{
    enum reel_err err = ok ? REEL_OK : reel_fail(REEL_ERR_NOMEM, "could not resize a picture: out of memory");
    if (!err) err = device_tables_put_axis(&d->tables, x, out_x);
    if (!err) err = device_tables_put_axis(&d->tables, y, out_y);
    size_t floats = 3 * (size_t)y->n_out * (size_t)x->n_in;
    if (floats > d->rows_floats) d->rows_floats = floats;
    resize_axis_fini(x);
    resize_axis_fini(y);
    return err;
}

static enum reel_err own_canvas(struct device_image *d, int w, int h, int channels, struct gpu_image *out)
{
    void *data = NULL;
    enum reel_err err = device_tables_own(&d->tables, (size_t)w * (size_t)h * (size_t)channels * sizeof(float), &data);
    *out = gpu_image_planar(data, GPU_PIXEL_F32, w, h, channels);
    return err;
}

// ---- the network's tensors ---------------------------------------------------------------

enum gpu_pixel_type device_pixel_type_of(enum reel_dtype dtype)
{
    return dtype == REEL_F16 ? GPU_PIXEL_F16 : dtype == REEL_BF16 ? GPU_PIXEL_BF16 : GPU_PIXEL_F32;
}

struct gpu_image device_channels_from(const struct gpu_image *m, int first, int n)
{
    struct gpu_image part = *m;
    const size_t element = m->type == GPU_PIXEL_F32 ? sizeof(float) : sizeof(uint16_t);
    part.data = (uint8_t *)m->data + (size_t)first * m->plane * element;
    part.channels = part.padded = n;
    return part;
}

bool device_tensor_as_image(const struct backend_device_tensor *t, int batch, bool nhwc, int w, int h, int channels,
                            struct gpu_image *out, size_t *out_bytes)
{
    const enum gpu_pixel_type type = device_pixel_type_of(t->dtype);
    if (t->dtype != REEL_F32 && t->dtype != REEL_F16 && t->dtype != REEL_BF16) return false;
    if ((int64_t)t->n * t->c * t->h * t->w != (int64_t)batch * w * h * channels) return false;
    *out_bytes = (size_t)w * (size_t)h * (t->nhwc ? t->pixel_stride : (size_t)channels) * reel_dtype_bytes(t->dtype);
    if (t->nhwc) {
        // Declared as N,H,W,C: the program has turned it, or took its rows for channels.
        if (t->n != batch || t->c != channels || t->w != w || t->h != h) return false;
        *out = gpu_image_nhwc(t->data, type, w, h, channels, t->pixel_stride);
    } else if (nhwc) {
        *out = gpu_image_nhwc(t->data, type, w, h, channels, (size_t)channels);
    } else {
        *out = gpu_image_planar(t->data, type, w, h, channels);
    }
    return true;
}

static struct gpu_coding coding_of(const float gain[3], const float bias[3], bool bgr)
{
    struct gpu_coding k = {.order = {bgr ? 2 : 0, 1, bgr ? 0 : 2}};
    memcpy(k.gain, gain, sizeof k.gain);
    memcpy(k.bias, bias, sizeof k.bias);
    return k;
}

static bool makes_pictures(const struct task *task)
{
    return task->ops == &task_image || task->ops == &task_between;
}

static bool keeps_chroma(const struct task *task)
{
    return makes_pictures(task) && task->model->output.channels == 1 && task->model->input.channels == 1 &&
           task->out.format.layout != REEL_PIX_GRAY && task->in.format.layout != REEL_PIX_GRAY;
}

static bool read_input(const struct task *task, struct engine *engine, struct gpu_image *out, size_t *out_bytes)
{
    const struct model_input *in = &task->model->input;
    const int channels = in->channels * in->frames + in->planes;
    struct backend_device_tensor t;
    if (engine_device_input(engine, &t) || !device_tensor_as_image(&t, engine_batch(engine), in->nhwc, task->view.net_w,
                                                                   task->view.net_h, channels, out, out_bytes))
        return false;
    out->channels = in->channels;
    return true;
}

static bool read_output(const struct task *task, struct engine *engine, int w, int h, struct gpu_image *out,
                        size_t *out_bytes)
{
    const struct model_output *o = &task->model->output;
    struct backend_device_tensor t;
    return !engine_device_output(engine, o->index, &t) &&
           device_tensor_as_image(&t, engine_batch(engine), o->nhwc, w, h, o->channels, out, out_bytes);
}

static bool can(const struct task *task)
{
    if (!task->model || (task->model->input.frames > 1 && (task->view.fit != MODEL_WHOLE || !makes_pictures(task))) ||
        (!makes_pictures(task) && !task->ops->finish))
        return false;
    int in = task->model->input.channels;
    if ((in != 1 && in != 3) || (task->model->input.dtype != REEL_F32 && task->model->input.dtype != REEL_F16))
        return false;
    if (!makes_pictures(task)) return task->view.fit != MODEL_TILES;
    int out = task->model->output.channels;
    return (out == 1 || out == 3) && !(keeps_chroma(task) && task->in.format.layout == REEL_PIX_GBR);
}

bool device_image_can(const struct task *task, struct engine *engine)
{
    struct gpu_image image;
    size_t bytes;
    int w, h;
    if (task->model->output.levels) return false; // they are looked for on the host
    if (!can(task) || !read_input(task, engine, &image, &bytes) || !device_given_can(task, engine)) return false;
    return !makes_pictures(task) ||
           (!image_output_size(task, &w, &h) && read_output(task, engine, w, h, &image, &bytes));
}

bool device_image_writes(const struct task *task, struct engine *engine)
{
    return makes_pictures(task) || (task->ops == &task_segment && device_mask_can(task, engine));
}

// ---- making ----------------------------------------------------------------------------------

static enum reel_err make_tiles(struct device_image *d)
{
    const struct task *task = d->task;
    const struct view *v = &task->view;
    enum reel_err err = own_canvas(d, v->pad_w, v->pad_h, task->model->input.channels, &d->in_canvas);
    size_t w = (size_t)d->made_w, h = (size_t)d->made_h, n_x = (size_t)v->n_x, n_y = (size_t)v->n_y;
    float *weights = malloc((w * n_x + h * n_y) * sizeof *weights);
    if (!err && !weights) err = reel_fail(REEL_ERR_NOMEM, "could not join tiles: out of memory");
    if (!err) {
        for (int part = 0; part < (v->parts > 1 ? v->parts : 1); part++) {
            struct image_band band = image_band_of(task, (uint32_t)part);
            image_tile_weights(task, &band, weights, weights + w * n_x);
        }
        void *x = NULL, *y = NULL;
        err = device_tables_put(&d->tables, weights, w * n_x * sizeof *weights, &x);
        if (!err) err = device_tables_put(&d->tables, weights + w * n_x, h * n_y * sizeof *weights, &y);
        d->wx = x, d->wy = y;
    }
    free(weights);
    return err;
}

static enum reel_err make_back(struct device_image *d)
{
    struct resize_axis x = {0}, y = {0};
    const struct task *task = d->task;
    int w, h;
    image_back_region(task, d->made_w, d->made_h, &d->back_x0, &d->back_y0, &w, &h);
    bool ok = resize_axis_fit(&x, RESIZE_BICUBIC, w, (int)task->out.width) &&
              resize_axis_fit(&y, RESIZE_BICUBIC, h, (int)task->out.height);
    return put_axes(d, ok, &x, &y, &d->back_x, &d->back_y);
}

static enum reel_err make_residual(struct device_image *d)
{
    struct resize_axis x = {0}, y = {0};
    const struct task *task = d->task;
    bool ok = resize_axis_fit(&x, RESIZE_BICUBIC, (int)task->in.width, (int)task->out.width) &&
              resize_axis_fit(&y, RESIZE_BICUBIC, (int)task->in.height, (int)task->out.height);
    enum reel_err err = put_axes(d, ok, &x, &y, &d->residual_x, &d->residual_y);
    if (err) return err;
    return own_canvas(d, (int)task->out.width, (int)task->out.height, task->model->output.channels, &d->residual);
}

static enum reel_err make_chroma(struct device_image *d)
{
    struct resize_axis x = {0}, y = {0};
    const struct task *task = d->task;
    struct yuv_picture src = task_picture(&task->in, &task->media.colour, NULL);
    struct yuv_picture dst = task_picture(&task->out, &task->out_colour, NULL);
    bool ok = image_chroma_axes(&src, &dst, &x, &y);
    return put_axes(d, ok, &x, &y, &d->chroma_x, &d->chroma_y);
}

static enum reel_err make_picture(struct device_image *d, struct engine *engine)
{
    const struct task *task = d->task;
    const struct model_output *o = &task->model->output;
    enum reel_err err = image_output_size(task, &d->made_w, &d->made_h);
    if (err) return err;
    if (!read_output(task, engine, d->made_w, d->made_h, &d->net_out, &d->out_bytes))
        return reel_fail(REEL_ERR_UNSUPPORTED, "could not read the network's picture on the device");
    d->out = coding_of(o->gain, o->bias, o->bgr && o->channels == 3);
    bool canvas = task->view.fit != MODEL_WHOLE;
    if (canvas) err = own_canvas(d, (int)task->out.width, (int)task->out.height, o->channels, &d->out_canvas);
    if (!err && task->view.fit == MODEL_TILES) err = make_tiles(d);
    if (!err && canvas && task->view.fit != MODEL_TILES) err = make_back(d);
    if (!err && o->residual) err = make_residual(d);
    if (!err && keeps_chroma(task)) err = make_chroma(d);
    return err;
}

enum reel_err device_image_create(const struct device_ops *ops, struct task *task, struct engine *engine,
                                  struct device_image **out)
{
    struct device_image *d = calloc(1, sizeof *d);
    if (!d) return reel_fail(REEL_ERR_NOMEM, "could not prepare a device: out of memory");
    *d = (struct device_image){
        .ops = ops, .tables = {.ops = ops}, .task = task, .plain = {{1, 1, 1}, {0, 0, 0}, {0, 1, 2}}};
    const struct model_input *in = &task->model->input;
    const struct view *v = &task->view;
    d->in = coding_of(in->gain, in->bias, in->bgr && in->channels == 3);
    enum reel_err err = REEL_OK;
    if (!read_input(task, engine, &d->net_in, &d->in_bytes))
        err = reel_fail(REEL_ERR_UNSUPPORTED, "could not feed the network on the device");
    if (!err && v->fit != MODEL_WHOLE && v->fit != MODEL_TILES) {
        struct resize_axis x, y;
        bool ok = task_feed_axes(task, &x, &y);
        err = put_axes(d, ok, &x, &y, &d->feed_x, &d->feed_y);
    }
    if (!err && makes_pictures(task)) err = make_picture(d, engine);
    if (!err && in->between) err = device_between_make(d, engine);
    if (!err) err = device_given_make(d, engine);
    if (!err && task->ops == &task_segment) err = device_mask_create(ops, task, engine, &d->mask);
    if (!err && task->ops->layout) err = device_pick_create(ops, task, engine, &d->pick);
    void *rows = NULL;
    if (!err && d->rows_floats) err = device_tables_own(&d->tables, d->rows_floats * sizeof(float), &rows);
    d->rows = rows;
    if (err)
        device_image_destroy(&d);
    else
        *out = d;
    return err;
}

void device_image_destroy(struct device_image **image)
{
    struct device_image *d = *image;
    if (!d) return;
    device_mask_destroy(&d->mask);
    device_pick_destroy(&d->pick);
    device_tables_fini(&d->tables);
    free(d);
    *image = NULL;
}

// ---- a frame -----------------------------------------------------------------------------------

static struct gpu_picture source_at(const struct device_image *d, const uint8_t *slot)
{
    struct yuv_picture p = task_picture(&d->task->in, &d->task->media.colour, slot);
    return gpu_picture_of(&p);
}

static struct gpu_picture source_of(const struct device_image *d, const struct device_frame *f)
{
    return source_at(d, f->in);
}

static enum reel_err resize_source(struct device_image *d, const struct device_frame *f, int planes,
                                   const struct gpu_axis *x, const struct gpu_axis *y, const struct gpu_image *dst,
                                   const struct gpu_coding *coding, int x0, int y0)
{
    struct gpu_rows r = {.what = GPU_ROWS_PICTURE,
                         .picture = source_of(d, f),
                         .planes = planes,
                         .width = x->n_in,
                         .y = *y,
                         .out = d->rows};
    struct gpu_columns c = {.rows = d->rows,
                            .planes = planes,
                            .height = y->n_out,
                            .x = *x,
                            .dst = *dst,
                            .coding = *coding,
                            .x0 = x0,
                            .y0 = y0};
    enum reel_err err = d->ops->rows(&r, f->stream);
    return err ? err : d->ops->columns(&c, f->stream);
}

static struct gpu_image image_of(const struct gpu_image *first, size_t bytes, int n)
{
    struct gpu_image m = *first;
    m.data = (uint8_t *)m.data + (size_t)n * bytes;
    return m;
}

enum device_rest device_image_rest(const struct device_image *d)
{
    if (makes_pictures(d->task) || d->mask) return DEVICE_REST_PLANES;
    return d->pick ? DEVICE_REST_CELLS : DEVICE_REST_OUTPUTS;
}

const struct device_pick *device_image_pick(const struct device_image *d)
{
    return d->pick;
}

static bool is_tiled(const struct device_image *d)
{
    return makes_pictures(d->task) && d->task->view.fit == MODEL_TILES;
}

bool device_image_many(const struct device_image *d)
{
    return is_tiled(d) || d->task->model->input.between;
}

// Frame i of those that the network sees; a picture that it made before lies as in the
// output.
static struct gpu_picture source_seen(const struct device_image *d, const struct device_frame *f, int i)
{
    if (!d->task->model->input.between || !f->made[i]) return source_at(d, f->seen[i]);
    struct yuv_picture p = task_picture(&d->task->out, &d->task->out_colour, f->seen[i]);
    return gpu_picture_of(&p);
}

// Whoever is the last one writes what is padded: a frame, or the planes.
enum reel_err device_image_feed_seen(struct device_image *d, const struct device_frame *f,
                                     const struct gpu_image *first)
{
    const struct model_input *in = &d->task->model->input;
    enum reel_err err = REEL_OK;
    for (int i = 0; i < in->frames && !err; i++) {
        struct gpu_picture src = source_seen(d, f, i);
        struct gpu_image to = device_channels_from(first, i * in->channels, in->channels);
        if (i + 1 == in->frames && !in->planes) to.padded = first->padded - i * in->channels;
        err = d->ops->feed(&src, &to, &d->in, f->stream);
    }
    return err;
}

enum reel_err device_image_feed(struct device_image *d, const struct device_frame *f)
{
    if (device_image_many(d)) return REEL_OK;
    enum reel_err err = device_given_feed(d, 0, 0, f->stream);
    if (err) return err;
    const struct view *v = &d->task->view;
    struct gpu_picture src = source_of(d, f);
    struct gpu_image to = image_of(&d->net_in, d->in_bytes, f->image);
    if (d->task->model->input.frames > 1) return device_image_feed_seen(d, f, &to);
    if (v->fit == MODEL_WHOLE) return d->ops->feed(&src, &to, &d->in, f->stream);
    if (v->pic_w != v->net_w || v->pic_h != v->net_h)
        err =
            d->ops->borders(&to, &d->in, v->pic_x, v->pic_y, v->pic_w, v->pic_h, d->task->model->input.fill, f->stream);
    if (err) return err;
    return resize_source(d, f, to.channels, &d->feed_x, &d->feed_y, &to, &d->in, v->pic_x, v->pic_y);
}

static enum reel_err run_tiles(struct device_image *d, struct engine *engine, const struct device_frame *f,
                               const struct image_band *band)
{
    const struct view *v = &d->task->view;
    struct gpu_picture src = source_of(d, f);
    enum reel_err err = d->ops->feed(&src, &d->in_canvas, &d->in, f->stream);
    const struct gpu_image *canvas = &d->out_canvas;
    size_t bytes = canvas->plane * (size_t)canvas->channels * sizeof(float);
    if (!err) err = d->ops->clear(canvas->data, bytes, f->stream);
    bool many = v->n_x > 1 || v->n_y > 1;
    int scale_x = many ? d->made_w / v->net_w : 0, scale_y = many ? d->made_h / v->net_h : 0;
    for (int i = band->tile_first * v->n_x; i < band->tile_end * v->n_x && !err; i++) {
        int ix = i % v->n_x, iy = i / v->n_x, x0 = view_column_at(v, ix), y0 = view_row_at(v, iy);
        struct gpu_blend b = {.tile = d->net_out,
                              .canvas = *canvas,
                              .coding = d->out,
                              .x0 = x0 * scale_x,
                              .y0 = y0 * scale_y,
                              .wx = d->wx + (size_t)ix * (size_t)d->made_w,
                              .wy = d->wy + (size_t)iy * (size_t)d->made_h};
        err = d->ops->cut(&d->in_canvas, &d->net_in, x0, y0, f->stream);
        if (!err) err = device_given_feed(d, x0, y0, f->stream);
        if (!err) err = device_states_run(d->ops, d->task, engine, i);
        if (!err) err = d->ops->blend(&b, f->stream);
    }
    return err;
}

// The network's picture at the output's size.
static enum reel_err resize_back(struct device_image *d, const struct device_frame *f)
{
    int planes = d->net_out.channels;
    struct gpu_rows r = {.what = GPU_ROWS_IMAGE,
                         .image = image_of(&d->net_out, d->out_bytes, f->image),
                         .coding = d->out,
                         .x0 = d->back_x0,
                         .y0 = d->back_y0,
                         .planes = planes,
                         .width = d->back_x.n_in,
                         .y = d->back_y,
                         .out = d->rows};
    struct gpu_columns c = {.rows = d->rows,
                            .planes = planes,
                            .height = d->back_y.n_out,
                            .x = d->back_x,
                            .dst = d->out_canvas,
                            .coding = d->plain};
    enum reel_err err = d->ops->rows(&r, f->stream);
    return err ? err : d->ops->columns(&c, f->stream);
}

// The source's chroma, resized, into the band's rows.
static enum reel_err write_chroma(struct device_image *d, const struct device_frame *f, const struct gpu_picture *dst,
                                  const struct image_band *band)
{
    int rows = 1 << dst->p.log2_ch, c0 = band->y0 / rows, c1 = (band->y1 + rows - 1) / rows;
    struct gpu_axis y = d->chroma_y;
    y.first += c0;
    y.weight += (size_t)c0 * (size_t)y.taps;
    y.n_out = c1 - c0;
    struct gpu_picture to = *dst;
    for (int i = 1; i < 3; i++)
        if (to.p.plane[i]) to.p.plane[i] += (size_t)c0 * to.p.stride[i];
    struct gpu_rows r = {.what = GPU_ROWS_CHROMA,
                         .picture = source_of(d, f),
                         .planes = 2,
                         .width = d->chroma_x.n_in,
                         .y = y,
                         .out = d->rows};
    struct gpu_columns c = {.rows = d->rows, .planes = 2, .height = y.n_out, .x = d->chroma_x};
    enum reel_err err = d->ops->rows(&r, f->stream);
    return err ? err : d->ops->columns_chroma(&c, &to, f->stream);
}

enum reel_err device_image_write_picture(struct device_image *d, const struct device_frame *f,
                                         const struct image_band *band)
{
    const struct task *task = d->task;
    bool canvas = task->view.fit != MODEL_WHOLE;
    struct yuv_picture p = task_picture(&task->out, &task->out_colour, f->out);
    struct gpu_tail t = {.dst = gpu_picture_of(&p),
                         .made = canvas ? d->out_canvas : image_of(&d->net_out, d->out_bytes, f->image),
                         .coding = canvas ? d->plain : d->out,
                         .neutral = !keeps_chroma(task),
                         .y0 = band->y0,
                         .y1 = band->y1};
    enum reel_err err = REEL_OK;
    if (task->model->output.residual) {
        err = resize_source(d, f, d->residual.channels, &d->residual_x, &d->residual_y, &d->residual, &d->plain, 0, 0);
        t.residual = d->residual;
    }
    if (!err) err = d->ops->tail(&t, f->stream);
    return err || !keeps_chroma(task) ? err : write_chroma(d, f, &t.dst, band);
}

// ---- behind the network -------------------------------------------------------------------------

enum reel_err device_image_write(struct device_image *d, struct engine *engine, const struct device_frame *f,
                                 int *out_y0, int *out_y1)
{
    struct image_band band = {.y0 = 0, .y1 = (int)d->task->out.height};
    enum reel_err err = REEL_OK;
    if (!d->mask) band = image_band_of(d->task, f->part);
    *out_y0 = band.y0, *out_y1 = band.y1;
    if (d->mask) return device_mask_write(d->mask, engine, f);
    if (d->task->model->input.between) return device_between_run(d, engine, f, &band);
    if (is_tiled(d))
        err = run_tiles(d, engine, f, &band);
    else if (d->task->view.fit != MODEL_WHOLE)
        err = resize_back(d, f);
    return err ? err : device_image_write_picture(d, f, &band);
}

enum reel_err device_image_pick_cells(struct device_image *d, struct engine *engine, const struct device_frame *f,
                                      void *count, void *to)
{
    return device_pick_enqueue(d->pick, engine, f, count, to);
}

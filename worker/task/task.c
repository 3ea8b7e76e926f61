// SPDX-License-Identifier: MIT
//
// The list of tasks, and what they share: views of slots, scratch memory, conversion of pictures to
// the network's input, and results in the aux area.
#include "worker/task/task.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/resize.h"

const struct task_ops *task_find(enum reel_task id)
{
    switch (id) {
    case REEL_TASK_IMAGE:
        return &task_image;
    case REEL_TASK_DETECT:
        return &task_detect;
    case REEL_TASK_CLASSIFY:
        return &task_classify;
    case REEL_TASK_SEGMENT:
    case REEL_TASK_MATTE:
        return &task_segment;
    case REEL_TASK_TENSOR:
        return &task_tensor;
    case REEL_TASK_COLORIZE:
        return &task_colorize;
    case REEL_TASK_FLOW:
        return &task_flow;
    default:
        return NULL;
    }
}

enum reel_task task_told(enum reel_task id)
{
    return id == REEL_TASK_COLORIZE || id == REEL_TASK_FLOW ? REEL_TASK_IMAGE : id;
}

enum reel_task task_told_of(const struct task *task)
{
    if (!task->model) return REEL_TASK_IMAGE;
    return task->numbers ? task->model->task : task_told(task->model->task);
}

struct yuv_picture task_picture(const struct reel_geometry *g, const struct reel_colour *colour, const uint8_t *slot)
{
    static const enum yuv_layout layouts[] = {
        [REEL_PIX_GRAY] = YUV_GRAY, [REEL_PIX_YUV] = YUV_PLANAR, [REEL_PIX_NV] = YUV_NV, [REEL_PIX_GBR] = YUV_GBR};
    struct reel_pixel_format f = g->format;
    struct yuv_picture p = {.layout = layouts[f.layout],
                            .depth = f.depth,
                            .shift = f.layout == REEL_PIX_NV && f.depth > 8 ? 16 - f.depth : 0,
                            .log2_cw = f.log2_chroma_w,
                            .log2_ch = f.log2_chroma_h,
                            .width = (int)g->width,
                            .height = (int)g->height,
                            .matrix = reel_colour_matrix(colour, (int)g->height),
                            .full = colour->full_range || f.layout == REEL_PIX_GBR};
    for (int i = 0; i < reel_format_planes(f); i++) {
        // Only output slots are written through this view.
        p.plane[i] = (uint8_t *)slot + g->plane_offset[i];
        p.stride[i] = g->plane_stride[i];
    }
    // AVChromaLocation: 1 left, 2 center, 3 topleft, 4 top, 5 bottomleft, 6 bottom; unspecified means
    // left (H.264 annex E). The vertical position exists only in 4:2:0, the horizontal one in 4:2:x.
    int location = colour->chroma_location;
    p.site_x = location == 2 || location == 4 || location == 6 ? YUV_SITE_CENTER : YUV_SITE_FIRST;
    p.site_y = location == 3 || location == 4   ? YUV_SITE_FIRST
               : location == 5 || location == 6 ? YUV_SITE_LAST
                                                : YUV_SITE_CENTER;
    return p;
}

float *task_scratch(struct task *task, size_t floats)
{
    if (floats <= task->scratch_floats) return task->scratch;
    float *more = aligned_alloc(64, (floats * sizeof(float) + 63) / 64 * 64);
    if (!more) return NULL;
    free(task->scratch);
    task->scratch = more;
    task->scratch_floats = floats;
    return more;
}

void task_free_scratch(struct task *task)
{
    free(task->scratch);
    task->scratch = NULL;
    task->scratch_floats = 0;
}

uint64_t task_memory_bytes(const struct task *task, const struct reel_rec_shaped *shaped)
{
    uint64_t pixels = (uint64_t)task->view.net_w * (uint64_t)task->view.net_h;
    if (task->view.fit == MODEL_TILES) // canvases of the whole picture
        pixels += (uint64_t)task->in.width * task->in.height + 2 * (uint64_t)shaped->width * shaped->height;
    if (task->ops == &task_colorize) pixels += (uint64_t)task->in.width * task->in.height;
    uint64_t bytes = 3 * sizeof(float) * pixels;
    if (task->ops == &task_flow)
        bytes += (task->numbers ? 2 : 5) * sizeof(float) * (uint64_t)task->in.width * task->in.height;
    for (int i = 0; task->model && i < task->model->input.n_given; i++) { // still pictures and their input tensors
        const struct model_given *g = &task->model->input.given[i];
        const uint64_t w = (uint64_t)(g->as_frame ? task->view.pad_w : g->width);
        const uint64_t h = (uint64_t)(g->as_frame ? task->view.pad_h : g->height);
        bytes += 2 * sizeof(float) * w * h * (uint64_t)g->channels;
    }
    return bytes;
}

// ---- picture to network input ---------------------------------------------

const uint8_t *task_seen(const struct task *task, const struct task_frame *frame, int i)
{
    return task->model->input.frames > 1 ? frame->seen[i] : frame->in;
}

struct yuv_picture task_seen_picture(const struct task *task, const struct task_frame *frame, int i)
{
    const uint8_t *slot = task_seen(task, frame, i);
    if (task->model->input.between && frame->made[i]) return task_picture(&task->out, &task->out_colour, slot);
    return task_picture(&task->in, &task->media.colour, slot);
}

float task_plane_at(const struct task *task, int plane, float time, int x, int y)
{
    const struct model_input *in = &task->model->input;
    const int w = task->view.net_w, h = task->view.net_h;
    if (plane == MODEL_PLANE_TIME) return time;
    if (in->planes < MODEL_PLANES) return 1; // MODEL_PLANE_SCALE
    const float step_x = 2.0f / (float)(w > 1 ? w - 1 : 1), step_y = 2.0f / (float)(h > 1 ? h - 1 : 1);
    return plane == MODEL_PLANE_X        ? (float)x * step_x - 1
           : plane == MODEL_PLANE_Y      ? (float)y * step_y - 1
           : plane == MODEL_PLANE_STEP_X ? step_x
                                         : step_y;
}

void task_feed_planes(const struct task *task, struct engine *engine, const struct task_frame *frame)
{
    const struct model_input *in = &task->model->input;
    const int w = task->view.net_w, h = task->view.net_h, before = in->channels * in->frames;
    const size_t all = (size_t)(before + in->planes), plane = (size_t)w * (size_t)h;
    float *data = engine_input(engine);
    for (int i = 0; i < in->planes && (i == MODEL_PLANE_TIME || !frame->fed); i++) {
        const size_t c = (size_t)(before + i), px = in->nhwc ? all : 1;
        float *to = in->nhwc ? data + c : data + c * plane;
        for (int y = 0; y < h; y++)
            for (int x = 0; x < w; x++, to += px) *to = task_plane_at(task, i, frame->time, x, y);
    }
    int64_t n;
    float *times = engine_time(engine, &n);
    for (int64_t i = 0; i < n; i++) times[i] = frame->time;
}

// The luma of frame f in the network's input tensor.
static struct luma_view luma_view(const struct task *task, float *data, int f)
{
    const struct model_input *in = &task->model->input;
    const size_t w = (size_t)task->view.net_w, h = (size_t)task->view.net_h;
    return (struct luma_view){data + (size_t)f * w * h, w,           task->view.net_w,
                              task->view.net_h,         in->gain[0], in->bias[0]};
}

// The channels R, G, B of frame f in the network's input tensor.
static struct rgb_view input_view(const struct task *task, float *data, int f)
{
    const struct model_input *in = &task->model->input;
    int w = task->view.net_w, h = task->view.net_h;
    struct rgb_view v = {.width = w, .height = h};
    size_t plane = (size_t)w * (size_t)h;
    for (int i = 0; i < 3; i++) {
        const int c = in->bgr ? 2 - i : i;
        const size_t at = (size_t)(in->inside ? c * in->frames + f : 3 * f + c);
        v.c[i] = !in->nhwc ? data + at * plane : in->five ? data + (size_t)f * 3 * plane + c : data + at;
        v.gain[i] = in->gain[i], v.bias[i] = in->bias[i];
    }
    v.px = !in->nhwc ? 1 : in->five ? 3 : 3 * (size_t)in->frames + (size_t)in->planes;
    v.row = (size_t)w * v.px;
    return v;
}

static enum reel_err feed_whole(struct task *task, const struct yuv_picture *src, float *data, int frame)
{
    float *scratch = task_scratch(task, yuv_scratch_floats(src->width));
    if (!scratch)
        return reel_fail(REEL_ERR_NOMEM, "could not read a picture of %d pixels width: out of memory", src->width);
    if (task->model->input.channels == 1) {
        struct luma_view v = luma_view(task, data, frame);
        yuv_to_luma(src, &v, scratch);
        return REEL_OK;
    }
    struct rgb_view v = input_view(task, data, frame);
    yuv_to_rgb(src, &v, scratch);
    return REEL_OK;
}

// ---- resized ----------------------------------------------------------------

struct feeder {
    const struct yuv_picture *src;
    const struct task *task;
    struct rgb_view to;
    bool luma;
    float *scratch;
};

static void read_row(void *user, int y, float *const *rows)
{
    struct feeder *f = user;
    if (f->luma)
        yuv_read_luma_row(f->src, y, rows[0], f->scratch);
    else
        yuv_read_row(f->src, y, rows[0], rows[1], rows[2], f->scratch);
}

static void write_row(void *user, int y, float *const *rows)
{
    struct feeder *f = user;
    int n = f->luma ? 1 : 3, x0 = f->task->view.pic_x, w = f->task->view.pic_w;
    for (int i = 0; i < n; i++) {
        float *d = f->to.c[i] + (size_t)(f->task->view.pic_y + y) * f->to.row + (size_t)x0 * f->to.px;
        float gain = f->to.gain[i], bias = f->to.bias[i];
        for (int x = 0; x < w; x++) d[(size_t)x * f->to.px] = rows[i][x] * gain + bias;
    }
}

static void fill_borders(const struct feeder *f)
{
    const struct view *v = &f->task->view;
    if (v->pic_w == v->net_w && v->pic_h == v->net_h) return;
    for (int i = 0; i < (f->luma ? 1 : 3); i++)
        for (int y = 0; y < v->net_h; y++) {
            float *d = f->to.c[i] + (size_t)y * f->to.row;
            bool inside = y >= v->pic_y && y < v->pic_y + v->pic_h;
            for (int x = 0; x < v->net_w; x++)
                if (!inside || x < v->pic_x || x >= v->pic_x + v->pic_w)
                    d[(size_t)x * f->to.px] = f->task->model->input.fill[i];
        }
}

bool task_feed_axes(const struct task *task, struct resize_axis *x, struct resize_axis *y)
{
    const struct view *v = &task->view;
    // The centre of the picture's first network pixel, in source pixels.
    double at_x = (v->pic_x + 0.5) * v->scale_x + v->shift_x - 0.5;
    double at_y = (v->pic_y + 0.5) * v->scale_y + v->shift_y - 0.5;
    *x = *y = (struct resize_axis){0};
    return resize_axis_init(x, RESIZE_LINEAR, v->src_w, v->pic_w, at_x, v->scale_x) &&
           resize_axis_init(y, RESIZE_LINEAR, v->src_h, v->pic_h, at_y, v->scale_y);
}

static enum reel_err feed_resized(struct task *task, const struct yuv_picture *src, float *data, int frame)
{
    const struct view *v = &task->view;
    struct feeder f = {.src = src, .task = task, .luma = task->model->input.channels == 1};
    if (f.luma)
        f.to = (struct rgb_view){.c = {data + (size_t)frame * (size_t)v->net_w * (size_t)v->net_h},
                                 .row = (size_t)v->net_w,
                                 .px = 1,
                                 .gain = {task->model->input.gain[0]},
                                 .bias = {task->model->input.bias[0]}};
    else
        f.to = input_view(task, data, frame);
    struct resize_axis ax = {0}, ay = {0};
    int planes = f.luma ? 1 : 3;
    enum reel_err err = REEL_OK;
    if (!task_feed_axes(task, &ax, &ay)) {
        err = reel_fail(REEL_ERR_NOMEM, "could not resize a picture: out of memory");
        goto done;
    }
    size_t reader = yuv_scratch_floats(src->width);
    float *scratch = task_scratch(task, reader + resize_scratch_floats(&ax, &ay, planes));
    if (!scratch) {
        err = reel_fail(REEL_ERR_NOMEM, "could not resize a picture: out of memory");
        goto done;
    }
    f.scratch = scratch;
    fill_borders(&f);
    resize_rows(&ax, &ay, planes, read_row, write_row, &f, scratch + reader);
done:
    resize_axis_fini(&ax);
    resize_axis_fini(&ay);
    return err;
}

enum reel_err task_feed(struct task *task, struct engine *engine, const struct task_frame *frame)
{
    float *data = engine_input(engine);
    enum reel_err err = REEL_OK;
    assert(task->view.fit != MODEL_TILES);
    if (task->model->input.between) task_feed_planes(task, engine, frame);
    for (int i = 0; i < task->model->input.frames && !err && !frame->fed; i++) {
        struct yuv_picture src = task_seen_picture(task, frame, i);
        err = task->view.fit == MODEL_WHOLE ? feed_whole(task, &src, data, i) : feed_resized(task, &src, data, i);
    }
    return err;
}

enum reel_err task_run_plain(struct task *task, struct engine *engine, struct task_frame *frame)
{
    enum reel_err err = task_feed(task, engine, frame);
    if (!err) err = engine_run(engine, &frame->run_us);
    return err ? err : task->ops->finish(task, engine, frame);
}

// ---- pictures in colour -------------------------------------------------------

enum reel_err task_shape_in_colour(const struct task *task, struct reel_rec_shaped *shaped)
{
    shaped->width = task->in.width;
    shaped->height = task->in.height;
    shaped->format = task->in.format;
    if (shaped->format.layout == REEL_PIX_NV) shaped->format.layout = REEL_PIX_YUV;
    if (shaped->format.layout == REEL_PIX_GRAY) // cannot hold colours
        shaped->format = (struct reel_pixel_format){REEL_PIX_YUV, task->in.format.depth, 1, 1};
    shaped->results_bytes = (uint32_t)sizeof(struct reel_results);
    return REEL_OK;
}

enum reel_err task_check_in_colour(const struct task *task, const char *what)
{
    const struct reel_geometry *in = &task->in, *out = &task->out;
    if (out->format.layout == REEL_PIX_NONE || out->width != in->width || out->height != in->height)
        return reel_fail(REEL_ERR_PROTO, "could not %s of %ux%u: the output slot is %ux%u", what, in->width, in->height,
                         out->width, out->height);
    if (out->format.layout == REEL_PIX_GRAY)
        return reel_fail(REEL_ERR_UNSUPPORTED, "could not %s: the encoder takes gray pictures", what);
    return REEL_OK;
}

// ---- results ----------------------------------------------------------------

// The set of class names, if the model's family or the number of classes tells it.
static uint32_t label_set(const struct model *m)
{
    bool faces = m->head == MODEL_HEAD_SSD || m->head == MODEL_HEAD_YUNET || m->head == MODEL_HEAD_YUNET_2021 ||
                 m->head == MODEL_HEAD_RETINAFACE || m->head == MODEL_HEAD_YOLOV5_FACE;
    const bool bodies = m->head == MODEL_HEAD_HEATMAP || m->head == MODEL_HEAD_SIMCC || m->head == MODEL_HEAD_MOVENET ||
                        m->head == MODEL_HEAD_YOLOV5_POSE;
    if (m->task == REEL_TASK_DETECT && (m->classes == 80 || (bodies && m->points == 17))) return REEL_LABELS_COCO;
    if (m->task == REEL_TASK_DETECT && faces && m->classes == 1) return REEL_LABELS_FACE;
    return m->task == REEL_TASK_SEGMENT && m->classes == 21 ? REEL_LABELS_VOC : REEL_LABELS_NONE;
}

void task_put_results(const struct task *task, struct task_frame *frame, enum reel_task id, const void *items,
                      uint32_t count, uint32_t item_bytes)
{
    uint8_t *aux = frame->aux;
    struct reel_results head = {.task = id, .labels = label_set(task->model)};
    if (task->out.aux_bytes < sizeof head) return;
    uint32_t room = (task->out.aux_bytes - (uint32_t)sizeof head) / item_bytes;
    head.count = count < room ? count : room;
    head.dropped = count - head.count;
    head.bytes = head.count * item_bytes;
    memcpy(aux, &head, sizeof head);
    if (head.bytes) memcpy(aux + sizeof head, items, head.bytes);
    frame->aux_bytes = (uint32_t)sizeof head + head.bytes;
}

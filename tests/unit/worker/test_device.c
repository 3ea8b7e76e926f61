// SPDX-License-Identifier: MIT
//
// The device path against the CPU path: the same frames, three under way at
// once, through every kind of task and fit. The device is the host (C twins of
// the kernels) and the backend the CPU's, behind device tensors: once as float32
// planes, where the bytes must be equal, once as padded NHWC of 16 bits, where
// they may differ by one in 8 bits.
#include "common/hash.h"
#include "common/log.h"
#include "tests/unit/worker/task_run.h"
#include "worker/device/device.h"
#include "worker/device/image.h"
#include "worker/device/nms.h"
#include "worker/device/ops.h"

// ---- a backend with "device" tensors ----------------------------------------------------

extern const struct backend_ops backend_onednn, backend_cudnn_host;

static const char *device_backend = "wrap";

static bool direct; // slots lie on the device already
static bool half;   // NHWC of 16 bits, padded to 8 channels; else as the graph has it
static int runs;

#define FRAMES 8
static int at_once = 1; // images of one run
static int frames = 3;  // through the device
static uint32_t made;   // of all bytes that came out

struct program {
    struct program *inner;
    const struct graph *graph;
    struct backend_device_tensor in[4], out[MODEL_MAX_OUTPUTS];
    int n_in, n_out;
};

static bool is_image(const struct value *v)
{
    return v->shape.ndim == 4 && v->dtype == REEL_F32 && v->shape.dim[1] <= 64;
}

static void lay_out(const struct value *v, struct backend_device_tensor *t)
{
    int64_t count = reel_shape_count(&v->shape);
    *t = (struct backend_device_tensor){.dtype = v->dtype, .n = 1, .c = 1, .h = 1, .w = (int)count};
    if (v->shape.ndim == 4)
        t->n = (int)v->shape.dim[0], t->c = (int)v->shape.dim[1], t->h = (int)v->shape.dim[2],
        t->w = (int)v->shape.dim[3];
    if (half && is_image(v)) {
        t->nhwc = true, t->dtype = REEL_F16, t->pixel_stride = ((size_t)t->c + 7) / 8 * 8;
        count = (int64_t)t->n * t->h * t->w * (int64_t)t->pixel_stride;
    }
    t->data = calloc((size_t)count, reel_dtype_bytes(t->dtype));
}

static enum reel_err wrap_compile(const struct graph *graph, const struct backend_params *params, struct program **out)
{
    struct program *p = calloc(1, sizeof *p);
    enum reel_err err = backend_onednn.compile(graph, params, &p->inner);
    if (err) {
        free(p);
        return err;
    }
    p->graph = graph, p->n_in = graph->n_inputs, p->n_out = graph->n_outputs;
    for (int i = 0; i < p->n_in; i++) lay_out(graph->inputs[i], &p->in[i]);
    for (int i = 0; i < p->n_out; i++) lay_out(graph->outputs[i], &p->out[i]);
    *out = p;
    return REEL_OK;
}

// Between a device tensor and row-major values.
static void move(const struct backend_device_tensor *t, void *plain, enum reel_dtype dtype, bool to_device)
{
    if (!t->nhwc) {
        size_t bytes = (size_t)t->n * (size_t)t->c * (size_t)t->h * (size_t)t->w * reel_dtype_bytes(dtype);
        memcpy(to_device ? t->data : plain, to_device ? plain : t->data, bytes);
        return;
    }
    for (int c = 0; c < t->c; c++)
        for (int i = 0; i < t->h * t->w; i++) {
            uint16_t *device = (uint16_t *)t->data + (size_t)i * t->pixel_stride + c;
            float *host = (float *)plain + (size_t)c * (size_t)(t->h * t->w) + i;
            if (to_device)
                *device = reel_f32_to_f16(*host);
            else
                *host = reel_f16_to_f32(*device);
        }
}

static enum reel_err wrap_enqueue(struct program *p)
{
    runs++;
    struct reel_tensor in[4] = {{0}}, out[MODEL_MAX_OUTPUTS] = {{0}};
    const struct reel_tensor *ins[4];
    enum reel_err err = REEL_OK;
    for (int i = 0; i < p->n_in && !err; i++) {
        const struct value *v = p->graph->inputs[i];
        err = reel_tensor_init(&in[i], v->dtype, &v->shape);
        if (!err) move(&p->in[i], in[i].data, v->dtype, false);
        ins[i] = &in[i];
    }
    if (!err) err = backend_onednn.run(p->inner, ins, out, true);
    for (int i = 0; i < p->n_out && !err; i++) move(&p->out[i], out[i].data, p->graph->outputs[i]->dtype, true);
    for (int i = 0; i < p->n_in; i++) reel_tensor_fini(&in[i]);
    for (int i = 0; i < p->n_out; i++) reel_tensor_fini(&out[i]);
    return err;
}

static enum reel_err wrap_input(struct program *p, int i, struct backend_device_tensor *out)
{
    *out = p->in[i];
    return REEL_OK;
}

static enum reel_err wrap_output(struct program *p, int i, struct backend_device_tensor *out)
{
    *out = p->out[i];
    return REEL_OK;
}

static void *wrap_stream(struct program *p)
{
    return p;
}

static size_t wrap_memory(const struct program *p)
{
    return backend_onednn.memory_bytes(p->inner);
}

static void wrap_destroy(struct program **program)
{
    struct program *p = *program;
    backend_onednn.destroy(&p->inner);
    for (int i = 0; i < p->n_in; i++) free(p->in[i].data);
    for (int i = 0; i < p->n_out; i++) free(p->out[i].data);
    free(p);
    *program = NULL;
}

static struct backend_ops wrap;

// In place of backend.c's list.
const struct backend_ops *backend_find(const char *name)
{
    if (!strcmp(name, "cudnn-host")) return &backend_cudnn_host;
    if (strcmp(name, "wrap")) return &backend_onednn;
    wrap = backend_onednn;
    wrap.name = "wrap";
    wrap.caps |= BACKEND_DEVICE_MEMORY | BACKEND_DEVICE_IS_HOST;
    wrap.compile = wrap_compile, wrap.memory_bytes = wrap_memory, wrap.destroy = wrap_destroy;
    wrap.device_input = wrap_input, wrap.device_output = wrap_output;
    wrap.stream = wrap_stream, wrap.enqueue = wrap_enqueue;
    return &wrap;
}

// ---- the comparison ---------------------------------------------------------------------

struct difference {
    int worst;
    size_t bytes;
};

static struct difference compare(const struct run *r, const uint8_t *a, const uint8_t *b)
{
    struct difference d = {0, 0};
    for (int i = 0; i < reel_format_planes(r->task.out.format); i++) {
        uint32_t w, h;
        reel_plane_size(&r->task.out, i, &w, &h);
        bool deep = r->task.out.format.depth > 8;
        for (uint32_t y = 0; y < h; y++)
            for (uint32_t x = 0; x < w; x++) {
                size_t row = r->task.out.plane_offset[i] + (size_t)y * r->task.out.plane_stride[i];
                int va = deep ? ((const uint16_t *)(a + row))[x] >> (r->task.out.format.depth - 8) : a[row + x];
                int vb = deep ? ((const uint16_t *)(b + row))[x] >> (r->task.out.format.depth - 8) : b[row + x];
                d.worst = abs(va - vb) > d.worst ? abs(va - vb) : d.worst;
                d.bytes += va != vb;
            }
    }
    return d;
}

// Objects and scores may move by the rounding of 16-bit tensors.
static bool same_results(const struct run *r, const uint8_t *a, const uint8_t *b, bool exact)
{
    const struct reel_results *ra = (const void *)(a + r->task.out.aux_offset),
                              *rb = (const void *)(b + r->task.out.aux_offset);
    if (exact) return !memcmp(ra, rb, sizeof *ra + ra->bytes);
    return ra->task == rb->task && abs((int)ra->count - (int)rb->count) <= 1;
}

// Samples and results: what lies between rows is nobody's.
static uint32_t add_bytes(const struct run *r, uint32_t sum, const uint8_t *slot)
{
    const struct reel_geometry *g = &r->task.out;
    for (int i = 0; i < reel_format_planes(g->format); i++) {
        uint32_t w, h, bytes = reel_format_bytes(g->format) * (g->format.layout == REEL_PIX_NV && i ? 2 : 1);
        reel_plane_size(g, i, &w, &h);
        for (uint32_t y = 0; y < h; y++)
            sum = reel_crc32c(sum, slot + g->plane_offset[i] + (size_t)y * g->plane_stride[i], (size_t)w * bytes);
    }
    const struct reel_results *results = (const void *)(slot + g->aux_offset);
    return reel_crc32c(sum, results, sizeof *results + results->bytes);
}

static void finish_next(struct device *device, int n)
{
    struct task_frame f;
    uint64_t token;
    CHECK_MSG(!device_finish(device, &f, &token), "%s", reel_fail_text());
    CHECK_INT(token, n);
    CHECK_INT(f.n, n);
}

// What the device should leave to be done for this task.
static enum device_rest wanted_rest(const struct task *task)
{
    if (task->ops == &task_image || task->ops == &task_segment) return DEVICE_REST_PLANES;
    return task->ops == &task_detect ? DEVICE_REST_CELLS : DEVICE_REST_OUTPUTS;
}

// The last frame once more, from all outputs downloaded: the same bytes, in 16
// bits too.
static void as_on_the_host(struct run *r, struct engine *engine, const uint8_t *got, const char *path)
{
    uint8_t *slot = calloc(1, r->task.out.slot_bytes);
    struct task_frame f = {.out = slot, .aux = slot + r->task.out.aux_offset};
    for (int i = 0; i < engine_output_count(engine); i++) {
        struct backend_device_tensor t;
        CHECK_INT(engine_device_image(engine, i, 0, &t), REEL_OK);
        CHECK_INT(engine_put_output(engine, i, &t, t.data), REEL_OK);
    }
    CHECK_INT(r->task.ops->finish(&r->task, engine, &f), REEL_OK);
    CHECK_MSG(add_bytes(r, 0, slot) == add_bytes(r, 0, got), "%s, %s: the device's results are not the host's", path,
              half ? "16 bits" : "32 bits");
    free(slot);
}

// The host's operations, counted.
static struct device_ops counted;
static int allocated, pinned, unpinned, sorted_out;
static bool no_pins, no_room;

static enum reel_err count_alloc(size_t bytes, void **out)
{
    allocated++;
    if (no_room) return reel_fail(REEL_ERR_NOMEM, "could not allocate %zu bytes", bytes);
    return device_ops_host.alloc(bytes, out);
}

static enum reel_err count_nms(const struct gpu_nms *n, void *stream)
{
    sorted_out++;
    return device_ops_host.nms(n, stream);
}

static enum reel_err count_pin(void *p, size_t bytes)
{
    if (no_pins) return reel_fail(REEL_ERR_NOMEM, "could not pin shared memory");
    pinned++;
    return REEL_OK;
}

static void count_unpin(void *p)
{
    unpinned++;
}

static const struct device_ops *counted_ops(void)
{
    counted = device_ops_host;
    counted.alloc = count_alloc, counted.pin = count_pin, counted.unpin = count_unpin, counted.nms = count_nms;
    allocated = pinned = unpinned = sorted_out = 0;
    no_pins = no_room = false;
    return &counted;
}

static void frames_through(const char *path, int w, int h, struct reel_pixel_format format, int parts, int band_h)
{
    struct run cpu, dev;
    task_run_backend = "onednn";
    CHECK_MSG(!open_parts(&cpu, path, w, h, format, parts, 0, band_h, 0), "%s: %s", path, reel_fail_text());
    task_run_backend = device_backend;
    CHECK_MSG(!open_parts(&dev, path, w, h, format, parts, 0, band_h, 0), "%s: %s", path, reel_fail_text());
    struct device *device = NULL;
    CHECK_INT(device_create(counted_ops(), 0, &device), REEL_OK);
    struct engine *engine;
    CHECK_INT(engines_get(dev.engines, &dev.model, dev.task.view.net_w, dev.task.view.net_h, at_once, &engine),
              REEL_OK);
    CHECK_MSG(device_takes(device, &dev.task, engine), "%s does not go to the device", path);
    if (at_once > 1)
        CHECK_INT(engines_batch(dev.engines, &dev.model, dev.task.view.net_w, dev.task.view.net_h, at_once), at_once);
    uint8_t *in[FRAMES], *want[FRAMES], *got[FRAMES];
    int n_parts = parts ? parts : 1, before = runs;
    for (int i = 0; i < frames; i++) {
        in[i] = calloc(1, cpu.task.in.slot_bytes);
        want[i] = calloc(1, cpu.task.out.slot_bytes), got[i] = calloc(1, cpu.task.out.slot_bytes);
        fill_picture(&cpu, in[i]);
        for (size_t k = 0; k < cpu.task.in.aux_offset - 64 && cpu.task.in.format.depth == 8; k += 7)
            in[i][64 + k] = (uint8_t)(in[i][64 + k] + 20 * i);
        for (int part = 0; part < n_parts; part++) CHECK_INT(run_part(&cpu, in[i], want[i], (uint32_t)part), REEL_OK);
    }
    for (int part = 0; part < n_parts; part++) {
        int done = 0;
        for (int i = 0; i < frames; i++) {
            struct task_frame f = {.in = in[i],
                                   .out = got[i],
                                   .aux = got[i] + dev.task.out.aux_offset,
                                   .in_on_gpu = direct,
                                   .out_on_gpu = direct && device_writes(device, &dev.task, engine),
                                   .n = (uint32_t)i,
                                   .part = (uint32_t)part};
            while (device_full(device, engine)) {
                CHECK(device_submit(device, &dev.task, engine, &f, 99));
                finish_next(device, done++);
            }
            CHECK_MSG(!device_submit(device, &dev.task, engine, &f, (uint64_t)i), "%s, %s: %s", path, device_backend,
                      reel_fail_text());
            CHECK_INT(device_in_work(device), i + 1 - done);
        }
        while (done < frames) finish_next(device, done++);
        CHECK_INT(device_in_work(device), 0);
    }
    CHECK(runs > before || strcmp(device_backend, "wrap"));
    CHECK_INT(device_writes(device, &dev.task, engine), wanted_rest(&dev.task) == DEVICE_REST_PLANES);
    CHECK_MSG(device_image_rest(dev.task.device) == wanted_rest(&dev.task), "%s, %s: the rest is %d", path,
              half ? "16 bits" : "32 bits", device_image_rest(dev.task.device));
    if (dev.task.ops->finish && at_once == 1) as_on_the_host(&dev, engine, got[frames - 1], path);
    for (int i = 0; i < frames; i++) {
        struct difference d = compare(&cpu, want[i], got[i]);
        bool classes = cpu.model.task == REEL_TASK_SEGMENT;
        int most = cpu.model.task == REEL_TASK_MATTE ? 2 : 1;
        CHECK_MSG(half ? classes ? d.bytes < (size_t)(w * h / 50) : d.worst <= most : d.bytes == 0,
                  "%s, frame %d, %s: off by %d, %zu bytes differ", path, i, half ? "16 bits" : "32 bits", d.worst,
                  d.bytes);
        CHECK_MSG(same_results(&cpu, want[i], got[i], !half), "%s, frame %d, %s: other results", path, i,
                  half ? "16 bits" : "32 bits");
        made = add_bytes(&cpu, made, got[i]);
        free(in[i]), free(want[i]), free(got[i]);
    }
    device_forget(device, &dev.task);
    device_destroy(&device);
    close_run(&cpu);
    close_run(&dev);
}

static const struct reel_pixel_format yuv = {REEL_PIX_YUV, 8, 1, 1}, deep = {REEL_PIX_YUV, 10, 1, 0},
                                      nv = {REEL_PIX_NV, 8, 1, 1}, p010 = {REEL_PIX_NV, 10, 1, 1},
                                      gbr = {REEL_PIX_GBR, 8, 0, 0}, gray = {REEL_PIX_GRAY, 8, 0, 0};

static void reset(void)
{
    opt_defaults(reel_settings_table(), &settings);
}

static void whole_frames(void)
{
    for (int i = 0; i < 2; i++) {
        half = i;
        reset();
        frames_through("tests/models/rgb2x.onnx", 61, 43, yuv, 0, 0);
        frames_through("tests/models/rgb2x.onnx", 40, 30, deep, 0, 0);
        frames_through("tests/models/rgb2x.onnx", 40, 30, nv, 0, 0);
        frames_through("models/upscale2x.onnx", 40, 30, nv, 0, 0);
        frames_through("tests/models/rgb2x.onnx", 42, 30, p010, 0, 0);
        frames_through("tests/models/rgb2x.onnx", 33, 30, gbr, 0, 0);
        frames_through("tests/models/rgb2x.onnx", 33, 30, gray, 0, 0);
    }
}

static void slots_on_the_device(void)
{
    direct = true;
    half = false;
    reset();
    frames_through("tests/models/rgb2x.onnx", 61, 43, yuv, 0, 0);
    frames_through("tests/models/rgb2x.onnx", 40, 30, p010, 0, 0);
    frames_through("tests/models/rgb2x.onnx", 60, 203, yuv, 2, 160);
    direct = false;
}

// The GPU's own backend with its kernels' C twins: NHWC of 16 bits as on a GPU.
static void twin_of_the_gpu(void)
{
    device_backend = "cudnn-host";
    half = true;
    reset();
    frames_through("tests/models/rgb2x.onnx", 61, 43, yuv, 0, 0);
    frames_through("tests/models/rgb2x.onnx", 42, 30, p010, 0, 0);
    frames_through("tests/models/rgb2x.onnx", 33, 30, gbr, 0, 0);
    frames_through("models/upscale2x.onnx", 42, 30, p010, 0, 0);
    device_backend = "wrap";
}

static void tiles_and_parts(void)
{
    for (int i = 0; i < 2; i++) {
        half = i;
        reset();
        frames_through("tests/models/rgb2x.onnx", 60, 203, yuv, 2, 160);
        snprintf(settings.tile, sizeof settings.tile, "48x48");
        frames_through("tests/models/rgb2x.onnx", 90, 70, yuv, 0, 0);
    }
}

static void resized_frames(void)
{
    for (int i = 0; i < 2; i++) {
        half = i;
        reset();
        snprintf(settings.io.size, sizeof settings.io.size, "40x40");
        opt_set(reel_settings_table(), "io.resize", "stretch", &settings);
        frames_through("tests/models/rgb2x.onnx", 70, 50, yuv, 0, 0);
        opt_set(reel_settings_table(), "io.resize", "letterbox", &settings);
        frames_through("tests/models/rgb2x.onnx", 70, 50, yuv, 0, 0);
    }
}

static bool model_path(const char *name, char *path, size_t bytes)
{
    const char *root = getenv("REELMILL_TESTDATA");
    snprintf(path, bytes, "%s/models/%s", root ? root : "../shared/testdata", name);
    return !access(path, R_OK);
}

static void other_tasks(void)
{
    static const char *const names[] = {"sr_espcn_x3_pt02_op1.onnx",
                                        "det_yolox_nano.onnx",
                                        "cls_cifar_pt.onnx",
                                        "seg_deeplabv3_mnv2.onnx",
                                        "det_fastestdet_352.onnx",
                                        "face_retinaface_mbnet025.onnx",
                                        "face_yunet_2021_160x120.onnx",
                                        "face_yunet_n_dynamic.onnx",
                                        "face_ultraface_slim320.onnx",
                                        "pose_bodypix_mnv1_x050_s16_dyn.onnx"};
    char path[1024];
    for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
        if (!model_path(names[k], path, sizeof path)) SKIP("no test data");
        for (int i = 0; i < 2; i++) {
            half = i;
            reset();
            frames_through(path, 230, 150, yuv, 0, 0);
        }
        direct = true, half = false; // masks are written into their slots
        frames_through(path, 230, 150, yuv, 0, 0);
        direct = false, half = true;
        if (k == 0) continue;
        device_backend = "cudnn-host", frames = 1;
        frames_through(path, 230, 150, yuv, 0, 0);
        device_backend = "wrap", frames = 3;
    }
}

static void random_boxes(struct nms_box *b, int n, uint64_t *seed)
{
    for (int i = 0; i < n; i++) {
        float x = (float)(check_rand(seed) % 1000), y = (float)(check_rand(seed) % 700);
        b[i] = (struct nms_box){
            x, y, x + 40, y + 60, (float)(check_rand(seed) % 500) / 500, (int)(check_rand(seed) % 3), i};
    }
}

// Few boxes, and many where the device has no memory, are the processor's; the
// device keeps the same of many.
static void boxes_on_the_device(void)
{
    enum { MOST = 2 * DEVICE_NMS_LEAST };
    static const int numbers[] = {0, 1, DEVICE_NMS_LEAST - 1, DEVICE_NMS_LEAST, MOST, DEVICE_NMS_LEAST + 1};
    struct nms_box *boxes = malloc(MOST * sizeof *boxes), *want = malloc(MOST * sizeof *want);
    uint64_t seed = 8;
    struct device_nms *nms;
    CHECK_INT(device_nms_create(counted_ops(), &nms), REEL_OK);
    for (size_t k = 0; k < 2 * sizeof numbers / sizeof *numbers; k++) {
        int n = numbers[k / 2], most = k % 2 ? 4096 : 300, before = sorted_out, kept = -1;
        random_boxes(boxes, n, &seed);
        n = nms_sort(boxes, n);
        memcpy(want, boxes, (size_t)n * sizeof *boxes);
        int n_want = nms_keep(want, n, 0.45f, most);
        CHECK_INT(device_nms_keep(nms, boxes, n, 0.45f, most, &kept), REEL_OK);
        CHECK_INT(kept, n_want);
        CHECK_MSG(!memcmp(boxes, want, (size_t)kept * sizeof *boxes), "other boxes than the processor's of %d", n);
        CHECK_INT(sorted_out - before, n >= DEVICE_NMS_LEAST);
    }
    device_nms_destroy(&nms);
    CHECK_INT(device_nms_create(counted_ops(), &nms), REEL_OK);
    no_room = true;
    int kept = -1, n_want;
    random_boxes(boxes, MOST, &seed);
    CHECK_INT(nms_sort(boxes, MOST), MOST);
    memcpy(want, boxes, MOST * sizeof *boxes);
    n_want = nms_keep(want, MOST, 0.45f, 300);
    CHECK_INT(device_nms_keep(nms, boxes, MOST, 0.45f, 300, &kept), REEL_OK);
    CHECK_INT(kept, n_want);
    CHECK(!memcmp(boxes, want, (size_t)kept * sizeof *boxes));
    CHECK_INT(sorted_out, 0);
    CHECK(allocated > 0);
    device_nms_destroy(&nms);
    free(boxes), free(want);
}

// A detector all of whose cells are objects, more than the processor takes.
static void thousands_of_boxes(void)
{
    char path[1024];
    if (!model_path("face_ultraface_slim320.onnx", path, sizeof path)) SKIP("no test data");
    half = false;
    reset();
    settings.detect.score = 0;
    settings.detect.max_objects = 4096;
    frames_through(path, 230, 150, yuv, 0, 0);
    CHECK_INT(sorted_out, frames);
}

static void residuals(void)
{
    char path[1024];
    if (!model_path("denoise_ircnn_medium_fp16.onnx", path, sizeof path)) SKIP("no test data");
    for (int i = 0; i < 2; i++) {
        half = i;
        reset();
        settings.io.residual = true;
        frames_through(path, 50, 42, yuv, 0, 0);
    }
}

// Three frames a run, eight frames: the last run is a short one. The bytes are
// those of frames that run alone.
static void check_several(const char *path, int w, int h, struct reel_pixel_format format)
{
    uint32_t sums[2] = {0, 0};
    device_backend = "cudnn-host", half = true, frames = FRAMES;
    for (int i = 0; i < 2; i++) {
        at_once = i ? 3 : 1;
        made = 0;
        frames_through(path, w, h, format, 0, 0);
        sums[i] = made;
    }
    device_backend = "wrap", at_once = 1, frames = 3;
    CHECK_MSG(sums[0] == sums[1], "%s: other bytes beside other frames", path);
}

static void several_at_once(void)
{
    char path[1024];
    reset();
    check_several("tests/models/rgb2x.onnx", 41, 33, yuv);
    snprintf(settings.io.size, sizeof settings.io.size, "40x40");
    opt_set(reel_settings_table(), "io.resize", "letterbox", &settings);
    check_several("tests/models/rgb2x.onnx", 70, 50, yuv);
    reset();
    if (model_path("cls_cifar_pt.onnx", path, sizeof path)) check_several(path, 64, 50, yuv);
    if (model_path("face_yunet_s_dynamic.onnx", path, sizeof path)) check_several(path, 96, 64, yuv);
}

// As many buffers as frames can be under way, however many go through.
static void buffers(void)
{
    reset();
    frames_through("tests/models/rgb2x.onnx", 41, 33, yuv, 0, 0);
    int few = allocated;
    frames = FRAMES;
    reel_log_init("test", 0, REEL_LOG_DEBUG, NULL); // with times taken, too
    frames_through("tests/models/rgb2x.onnx", 41, 33, yuv, 0, 0);
    reel_log_init("test", 0, REEL_LOG_WARN, NULL);
    frames = 3;
    CHECK(few > 0);
    CHECK_INT(allocated, few);
}

// Slots stay pinned as long as they are the same pages.
static void pins(void)
{
    struct device *device;
    CHECK_INT(device_create(counted_ops(), 0, &device), REEL_OK);
    char slots[64];
    struct device_pin have = {0}, a = {slots, 64, 1}, other_pages = {slots, 64, 2}, fewer = {slots, 32, 2}, none = {0};
    device_pin(device, &none, &have);
    CHECK_INT(pinned + unpinned, 0);
    device_pin(device, &a, &have);
    device_pin(device, &a, &have);
    CHECK_INT(pinned, 1);
    device_pin(device, &other_pages, &have);
    CHECK_INT(pinned, 2);
    CHECK_INT(unpinned, 1);
    device_pin(device, &fewer, &have);
    CHECK_INT(unpinned, 2);
    device_pin(device, &none, &have);
    device_pin(device, &none, &have);
    CHECK_INT(pinned, 3);
    CHECK_INT(unpinned, 3);
    CHECK(!have.p);
    no_pins = true; // and tried again with the next segment
    device_pin(device, &a, &have);
    CHECK(!have.p);
    no_pins = false;
    device_pin(device, &a, &have);
    CHECK_INT(pinned, 4);
    device_destroy(&device);
}

CHECK_MAIN({"device: boxes sorted out there", boxes_on_the_device}, {"device: thousands of boxes", thousands_of_boxes},
           {"device: whole frames", whole_frames}, {"device: slots on the device", slots_on_the_device},
           {"device: the GPU backend's twin", twin_of_the_gpu}, {"device: tiles and parts", tiles_and_parts},
           {"device: resized frames", resized_frames}, {"device: residuals", residuals},
           {"device: other tasks", other_tasks}, {"device: several frames a run", several_at_once},
           {"device: buffers", buffers}, {"device: pinned slots", pins})

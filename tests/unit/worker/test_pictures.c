// SPDX-License-Identifier: MIT
//
// Pictures that a model is given: a frame that is given as one has the values that it
// has as a frame, whole, shrunk with borders and in tiles; others are resized.
#include "worker/picture_set.h"

#include "tests/unit/worker/task_run.h"

static void reset(void)
{
    opt_defaults(reel_settings_table(), &settings);
}

// A memory file's picture, of the geometry and colour that the run's frames have.
static struct reel_picture *picture_of(struct run *r)
{
    struct reel_picture *p = calloc(1, REEL_PICTURE_OFFSET + r->task.in.slot_bytes);
    if (!p) abort();
    p->geometry = r->task.in;
    p->colour = r->task.media.colour;
    fill_picture(r, (uint8_t *)p + REEL_PICTURE_OFFSET);
    return p;
}

// An input of the same meaning as the frames'.
static struct model_given as_the_frames(const struct model_input *in)
{
    struct model_given g = {.index = 1, .nhwc = in->nhwc, .channels = in->channels, .bgr = in->bgr, .as_frame = true};
    memcpy(g.gain, in->gain, sizeof g.gain);
    memcpy(g.bias, in->bias, sizeof g.bias);
    memcpy(g.fill, in->fill, sizeof g.fill);
    return g;
}

static void same_as_fed(struct reel_pixel_format format, int w, int h)
{
    struct run r;
    struct engine *engine;
    CHECK_MSG(!open_run(&r, "tests/models/rgb2x.onnx", w, h, format), "%s", reel_fail_text());
    const struct view *v = &r.task.view;
    struct reel_picture *p = picture_of(&r);
    const struct model_given g = as_the_frames(&r.model.input);
    struct picture_canvas c;
    CHECK_INT(engines_get(r.engines, &r.model, v->net_w, v->net_h, 1, &engine), REEL_OK);
    const struct task_frame f = {.in = reel_picture_slot(p)};
    CHECK_INT(task_feed(&r.task, engine, &f), REEL_OK);
    CHECK_INT(picture_canvas_make(p, &g, &r.task, &c), REEL_OK);
    CHECK(c.w == v->net_w && c.h == v->net_h && !c.cut);
    const size_t bytes = sizeof(float) * (size_t)c.w * (size_t)c.h * 3;
    CHECK_MSG(!memcmp(c.values, engine_input(engine), bytes), "%dx%d on %dx%d: other values than as a frame", w, h,
              v->net_w, v->net_h);
    free(c.values);
    free(p);
    close_run(&r);
}

static const struct reel_pixel_format yuv = {REEL_PIX_YUV, 8, 1, 1}, deep = {REEL_PIX_YUV, 10, 1, 0},
                                      gbr = {REEL_PIX_GBR, 8, 0, 0};

static void whole_frames(void)
{
    reset();
    same_as_fed(yuv, 61, 43);
    same_as_fed(deep, 40, 30);
    opt_set(reel_settings_table(), "io.channels", "bgr", &settings);
    opt_set(reel_settings_table(), "io.range", "-1-1", &settings);
    same_as_fed(gbr, 33, 30);
}

static void laid_out_frames(void)
{
    static const char *const fits[] = {"letterbox", "stretch"};
    for (int i = 0; i < 2; i++) {
        reset();
        snprintf(settings.io.size, sizeof settings.io.size, "40x40");
        opt_set(reel_settings_table(), "io.resize", fits[i], &settings);
        same_as_fed(yuv, 70, 50);
        same_as_fed(gbr, 30, 50);
    }
}

// Of tiles: all of the frame, with its edges repeated, and each tile a part of it.
static void tiles(void)
{
    reset();
    snprintf(settings.tile, sizeof settings.tile, "48x48");
    struct run r;
    CHECK_MSG(!open_run(&r, "tests/models/rgb2x.onnx", 90, 70, gbr), "%s", reel_fail_text());
    struct reel_picture *p = picture_of(&r);
    const struct model_given g = as_the_frames(&r.model.input);
    struct picture_set s = {.n = 1, .given = {{.index = 1}}};
    CHECK_INT(picture_canvas_make(p, &g, &r.task, &s.canvas[0]), REEL_OK);
    const struct picture_canvas *c = &s.canvas[0];
    CHECK(c->cut && c->w == r.task.view.pad_w && c->h == r.task.view.pad_h && c->net_w == 48);
    const struct reel_shape shape = model_given_shape(&g, 48, 48);
    CHECK_INT(reel_tensor_init(&s.given[0].tensor, REEL_F32, &shape), REEL_OK);
    picture_set_cut(&s, 17, 9);
    const float *got = s.given[0].tensor.data;
    const uint8_t *slot = reel_picture_slot(p);
    static const int plane_of[3] = {2, 0, 1}; // of R, G, B
    for (int k = 0; k < 3; k++)
        for (int y = 0; y < 48; y += 5)
            for (int x = 0; x < 48; x += 7) {
                const struct reel_geometry *in = &r.task.in;
                const int i = plane_of[k],
                          v = slot[in->plane_offset[i] + (size_t)(y + 9) * in->plane_stride[i] + x + 17];
                CHECK_NEAR(got[(k * 48 + y) * 48 + x], v / 255.0, 1e-6);
            }
    reel_tensor_fini(&s.given[0].tensor);
    free(s.canvas[0].values);
    free(p);
    close_run(&r);
}

// At a size of its own: of one colour it stays of one colour, whatever is made of its size;
// channels last; bytes.
static void its_own_size(void)
{
    reset();
    struct run r;
    CHECK_MSG(!open_run(&r, "tests/models/rgb2x.onnx", 40, 30, gbr), "%s", reel_fail_text());
    struct reel_picture *p = picture_of(&r);
    static const uint8_t colour[3] = {60, 90, 30}; // G, B, R
    for (int i = 0; i < 3; i++)
        memset((uint8_t *)p + REEL_PICTURE_OFFSET + r.task.in.plane_offset[i], colour[i],
               (size_t)r.task.in.plane_stride[i] * 30);
    struct picture_set s = {.n = 1, .given = {{.index = 1}}};
    struct model_given g = as_the_frames(&r.model.input);
    g.as_frame = false, g.nhwc = true, g.width = 25, g.height = 50, g.dtype = REEL_U8;
    for (int i = 0; i < 3; i++) g.gain[i] = 255;
    CHECK_INT(picture_canvas_make(p, &g, &r.task, &s.canvas[0]), REEL_OK);
    CHECK(s.canvas[0].w == 25 && s.canvas[0].h == 50 && !s.canvas[0].cut);
    const struct reel_shape shape = model_given_shape(&g, 64, 64);
    CHECK(shape.dim[1] == 50 && shape.dim[2] == 25 && shape.dim[3] == 3);
    CHECK_INT(reel_tensor_init(&s.given[0].tensor, REEL_U8, &shape), REEL_OK);
    CHECK_INT(reel_tensor_init(&s.values[0], REEL_F32, &shape), REEL_OK);
    picture_set_cut(&s, 0, 0);
    const uint8_t *got = s.given[0].tensor.data;
    for (int i = 0; i < 25 * 50; i++)
        CHECK_MSG(got[3 * i] == 30 && got[3 * i + 1] == 60 && got[3 * i + 2] == 90, "pixel %d: %d %d %d", i, got[3 * i],
                  got[3 * i + 1], got[3 * i + 2]);
    reel_tensor_fini(&s.given[0].tensor);
    reel_tensor_fini(&s.values[0]);
    free(s.canvas[0].values);
    free(p);
    close_run(&r);
}

CHECK_MAIN({"pictures: as whole frames", whole_frames}, {"pictures: as frames that are laid out", laid_out_frames},
           {"pictures: as frames in tiles", tiles}, {"pictures: at a size of their own", its_own_size})

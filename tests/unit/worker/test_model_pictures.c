// SPDX-License-Identifier: MIT
//
// Which inputs of a network are frames, which are still pictures, and which networks make pictures between two
// frames.
#include "tests/unit/worker/model_fake.h"

static int axis_of(const struct net_io *in, int n)
{
    struct model_join join;
    return model_frames_join(in, n, &settings, &join) ? join.axis : -1;
}

static void frames_as_inputs(void)
{
    reset_settings();
    struct net_io nchw[] = {IO("a", 4, 1, 3, -1, -1), IO("b", 4, 1, 3, -1, -1), IO("c", 4, 1, 3, -1, -1)};
    CHECK_INT(axis_of(nchw, 3), 1);
    CHECK_INT(axis_of(nchw, 2), -1); // two need names
    CHECK_INT(axis_of(nchw, 1), -1);
    struct net_io nhwc[] = {IO("a", 4, -1, 64, 96, 3), IO("b", 4, -1, 64, 96, 3), IO("c", 4, -1, 64, 96, 3)};
    CHECK_INT(axis_of(nhwc, 3), 3);
    nhwc[2].shape.dim[2] = 95;
    CHECK_INT(axis_of(nhwc, 3), -1); // of another size
    nchw[1].dtype = REEL_U8;
    CHECK_INT(axis_of(nchw, 3), -1); // of another type
    struct net_io maps[] = {IO("a", 4, 1, 16, 8, 8), IO("b", 4, 1, 16, 8, 8), IO("c", 4, 1, 16, 8, 8)};
    CHECK_INT(axis_of(maps, 3), -1);
    struct net_io batches[] = {IO("a", 4, 2, 3, 8, 8), IO("b", 4, 2, 3, 8, 8), IO("c", 4, 2, 3, 8, 8)};
    CHECK_INT(axis_of(batches, 3), -1);
}

// Two pictures are frames by their names, by a time beside them, or because it is said.
static void two_frames_as_inputs(void)
{
    static const struct {
        const char *a, *b;
        bool follow;
    } names[] = {{"img0", "img1", true},       {"img_1", "img_2", true},    {"I0", "I1", true},
                 {"frame1", "frame2", true},   {"x0", "x1", true},          {"prev", "next", true},
                 {"image.0", "image.1", true}, {"img1", "img0", false},     {"content", "style", false},
                 {"img", "img", false},        {"input1", "input2", false}, {"left", "right", false},
                 {"img0", "img2", false},      {"first", "second", true},   {"image", "background", false}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        reset_settings();
        struct net_io in[] = {io(names[i].a, 4, (const int64_t[]){1, 3, -1, -1}),
                              io(names[i].b, 4, (const int64_t[]){1, 3, -1, -1}), IO("timestep", 1, 1)};
        CHECK_MSG((axis_of(in, 2) == 1) == names[i].follow, "%s, %s", names[i].a, names[i].b);
        CHECK_INT(axis_of(in, 3), 1); // the time says it
        settings.io.frames = 2;
        CHECK_INT(axis_of(in, 2), 1);
        settings.io.frames = 3;
        CHECK_INT(axis_of(in, 2), -1);
    }
    reset_settings();
    struct model_join join;
    struct net_io last[] = {IO("time", 2, -1, 1), IO("x0", 4, 1, -1, -1, 3), IO("x1", 4, 1, -1, -1, 3)};
    CHECK(model_frames_join(last, 3, &settings, &join));
    CHECK(join.axis == 3 && join.n == 2 && join.which[0] == 1 && join.which[1] == 2);
    struct net_io other[] = {IO("img0", 4, 1, 3, -1, -1), IO("img1", 4, 1, 3, -1, -1), IO("sharpness", 1, 1)};
    CHECK_INT(axis_of(other, 3), -1);
    snprintf(settings.io.time, sizeof settings.io.time, "sharpness");
    CHECK_INT(axis_of(other, 3), 1);
    reset_settings();
    other[2] = IO("timestep", 4, 1, 1, -1, -1);
    CHECK_INT(axis_of(other, 3), 1); // a plane of it
    other[2] = IO("timestep", 4, 1, 8, -1, -1);
    CHECK_INT(axis_of(other, 3), -1);
    other[1].shape.dim[2] = 64;
    CHECK_INT(axis_of(other, 2), -1); // not alike
}

// A model of these inputs, one of which is given a picture of 50x40.
static enum reel_err guess_given(struct fake *f, int n_in, const char *input, struct model *m)
{
    static const char *const sides[] = {NULL, NULL, "height", "width"};
    static struct model_picture picture;
    char text[1024];
    for (int i = 0; i < n_in; i++)
        for (int d = 2; d < 4 && f->in[i].shape.dim[d] < 0; d++) f->in[i].dim_param[d] = sides[d];
    picture = (struct model_picture){.input = input, .path = "a.png", .width = 50, .height = 40};
    snprintf(settings.io.pictures, sizeof settings.io.pictures, "%s=a.png", input);
    f->facts.pictures = &picture, f->facts.n_pictures = 1;
    return guess_fake(f, n_in, 1, m, text, sizeof text);
}

static void pictures_of_their_own(void)
{
    struct model m;
    struct reel_shape shapes[MODEL_MAX_INPUTS];
    reset_settings();
    struct fake plate = {.in = {IO("bgr", 4, 1, 3, -1, -1), IO("src", 4, 1, 3, -1, -1)},
                         .out = {IO("y", 4, 1, 3, 256, 320)}};
    CHECK_MSG(!guess_given(&plate, 2, "bgr", &m), "%s", reel_fail_text());
    CHECK(m.input.index == 1 && m.input.n_given == 1 && m.input.given[0].index == 0);
    CHECK(m.input.given[0].as_frame && m.input.given[0].sure); // by the names of its sides
    CHECK_NEAR(m.input.given[0].gain[0], m.input.gain[0], 0);
    char text[1024];
    model_describe_given(&m, &plate.facts, text, sizeof text);
    CHECK_HAS(text, "bgr from a.png (50x40), as large as the frames");
    model_input_shapes(&m, &plate.facts, 96, 64, shapes);
    CHECK(reel_shape_equal(&shapes[0], &shapes[1]));
    settings.io.picture_size = SET_PICTURE_SIZE_OWN;
    CHECK_INT(guess_given(&plate, 2, "bgr", &m), REEL_OK);
    model_input_shapes(&m, &plate.facts, 96, 64, shapes);
    CHECK(shapes[0].dim[2] == 40 && shapes[0].dim[3] == 50);
    reset_settings();
    settings.io.range = SET_RANGE_0_255;
    settings.io.channels = SET_CHANNELS_BGR;
    struct fake style = {.in = {IO("content", 4, 1, 3, -1, -1), IO("style", 4, 1, 32, 48, 3)},
                         .out = {IO("y", 4, 1, 3, 256, 320)}};
    CHECK_MSG(!guess_given(&style, 2, "style", &m), "%s", reel_fail_text());
    const struct model_given *g = &m.input.given[0];
    CHECK(!g->as_frame && g->sure && g->nhwc && g->width == 48 && g->height == 32 && g->bgr);
    CHECK_NEAR(g->gain[0], 255, 0);
    // As large as the frames alone, of one size: the name tells.
    struct fake fixed = {.in = {IO("x", 4, 1, 3, 64, 64), IO("background", 4, 1, 3, 64, 64)},
                         .out = {IO("y", 4, 1, 3, 64, 64)}};
    reset_settings();
    CHECK_INT(guess_given(&fixed, 2, "background", &m), REEL_OK);
    CHECK(m.input.given[0].as_frame);
    fixed.in[1].name = "reference";
    CHECK_INT(guess_given(&fixed, 2, "reference", &m), REEL_OK);
    CHECK(!m.input.given[0].as_frame);
}

static void pictures_that_do_not_fit(void)
{
    struct model m;
    reset_settings();
    struct fake f = {.in = {IO("x", 4, 1, 3, -1, -1), IO("v", 2, 1, 512)}, .out = {IO("y", 4, 1, 3, 256, 320)}};
    CHECK_INT(guess_given(&f, 2, "w", &m), REEL_ERR_CONFIG);
    CHECK_HAS(reel_fail_text(), "its inputs: \"x\", \"v\"");
    CHECK_INT(guess_given(&f, 2, "v", &m), REEL_ERR_CONFIG);
    CHECK_HAS(reel_fail_text(), "could not give a picture to input \"v\"");
    CHECK_INT(guess_given(&f, 1, "x", &m), REEL_ERR_CONFIG);
    CHECK_HAS(reel_fail_text(), "leaves no input for the frames");
    struct fake fixed = {.in = {IO("x", 4, 1, 3, -1, -1), IO("s", 4, 1, 3, 64, 64)},
                         .out = {IO("y", 4, 1, 3, 256, 320)}};
    settings.io.picture_size = SET_PICTURE_SIZE_FRAME;
    CHECK_INT(guess_given(&fixed, 2, "s", &m), REEL_ERR_CONFIG);
    CHECK_HAS(reel_fail_text(), "takes only 64x64");
    // Without a picture: what is to be written.
    reset_settings();
    fixed.facts.n_pictures = 0;
    char text[1024];
    CHECK_INT(guess_fake(&fixed, 2, 1, &m, text, sizeof text), REEL_ERR_UNSUPPORTED);
    CHECK_HAS(reel_fail_text(), "io.pictures \"s=FILE\"");
}

static void pictures_between_two(void)
{
    static const struct {
        int channels, planes;
    } known[] = {{6, 0}, {7, 1}, {8, 2}, {11, 5}};
    struct model m;
    char text[1024];
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        reset_settings();
        struct fake f = {.in = {io("x", 4, (const int64_t[]){1, known[i].channels, -1, -1})},
                         .out = {IO("y", 4, 1, 3, 256, 320)}};
        CHECK_INT(guess_fake(&f, 1, 1, &m, text, sizeof text), REEL_OK);
        CHECK(m.input.between && m.input.frames == 2 && m.input.channels == 3 && m.rate == 2);
        CHECK_INT(m.input.planes, known[i].planes);
        CHECK_INT(m.input.size_multiple, 32);
        CHECK_HAS(text, "between two frames");
        CHECK_HAS(text, "2 out for each in");
        struct reel_shape shapes[MODEL_MAX_INPUTS];
        model_input_shapes(&m, &f.facts, 96, 64, shapes);
        CHECK_INT(shapes[0].dim[1], known[i].channels);
        settings.rate = 5;
        CHECK_INT(guess_fake(&f, 1, 1, &m, text, sizeof text), known[i].planes ? REEL_OK : REEL_ERR_CONFIG);
        if (!known[i].planes) CHECK_HAS(reel_fail_text(), "takes no time");
        settings.rate = 8;
        CHECK_INT(guess_fake(&f, 1, 1, &m, text, sizeof text), REEL_OK);
        CHECK_INT(m.rate, 8);
        f.in[0] = io("x", 4, (const int64_t[]){1, -1, -1, known[i].channels});
        CHECK_INT(guess_fake(&f, 1, 1, &m, text, sizeof text), REEL_OK);
        CHECK(m.input.nhwc && m.input.between);
    }
    reset_settings();
    struct fake timed = {.in = {IO("frames", 4, 1, 6, -1, -1), IO("embt", 4, 1, 1, 1, 1)},
                         .out = {IO("y", 4, 1, 3, 256, 320)}};
    CHECK_INT(guess_fake(&timed, 2, 1, &m, text, sizeof text), REEL_OK);
    CHECK_INT(m.input.time_input, 1);
    CHECK_HAS(text, "input \"embt\" takes the time");
    struct reel_shape shapes[MODEL_MAX_INPUTS];
    timed.in[1] = IO("t", 4, -1, 1, -1, -1);
    CHECK_INT(guess_fake(&timed, 2, 1, &m, text, sizeof text), REEL_OK);
    model_input_shapes(&m, &timed.facts, 96, 64, shapes);
    CHECK(shapes[1].dim[0] == 1 && shapes[1].dim[1] == 1 && shapes[1].dim[2] == 64 && shapes[1].dim[3] == 96);
    struct fake row = {.in = {IO("x", 5, 1, 2, 3, 64, 96)}, .out = {IO("y", 4, 1, 3, 64, 96)}};
    CHECK_INT(guess_fake(&row, 1, 1, &m, text, sizeof text), REEL_OK);
    CHECK(m.input.between && m.input.five && m.rate == 2);
}

static void no_pictures_between(void)
{
    struct model m;
    char text[1024];
    reset_settings();
    struct fake style = {.in = {IO("content", 4, 1, 3, -1, -1), IO("style", 4, 1, 3, -1, -1)},
                         .out = {IO("y", 4, 1, 3, 256, 320)}};
    CHECK_INT(guess_fake(&style, 2, 1, &m, text, sizeof text), REEL_ERR_UNSUPPORTED);
    CHECK_HAS(reel_fail_text(), "io.frames 2");
    struct fake large = {.in = {IO("x", 4, 1, 6, -1, -1)}, .out = {IO("y", 4, 1, 3, 512, 640)}};
    CHECK_INT(guess_fake(&large, 1, 1, &m, text, sizeof text), REEL_ERR_UNSUPPORTED);
    CHECK_HAS(reel_fail_text(), "which cannot lie between them");
    struct fake flow = {.in = {IO("x", 4, 1, 6, -1, -1)}, .out = {IO("y", 4, 1, 2, 256, 320)}};
    CHECK_INT(guess_fake(&flow, 1, 1, &m, text, sizeof text), REEL_OK);
    CHECK_INT(m.task, REEL_TASK_FLOW);
    CHECK_INT(m.rate, 1);
    CHECK_INT(m.input.pair && !m.input.between, 1);
    CHECK_INT(m.input.size_multiple, 64);
    CHECK_HAS(text, "it measures the motion from each frame to the next");
    struct fake classes = {.in = {IO("x", 4, 1, 6, -1, -1)}, .out = {IO("y", 4, 1, 5, 256, 320)}};
    CHECK_INT(guess_fake(&classes, 1, 1, &m, text, sizeof text), REEL_ERR_UNSUPPORTED);
    CHECK_HAS(reel_fail_text(), "does not make a picture of them");
    settings.rate = 3;
    struct fake one = {.in = {IO("x", 4, 1, 3, -1, -1)}, .out = {IO("y", 4, 1, 3, 256, 320)}};
    CHECK_INT(guess_fake(&one, 1, 1, &m, text, sizeof text), REEL_ERR_CONFIG);
    CHECK_HAS(reel_fail_text(), "does not interpolate frames");
    reset_settings();
    snprintf(settings.io.time, sizeof settings.io.time, "t");
    CHECK_INT(guess_fake(&one, 1, 1, &m, text, sizeof text), REEL_ERR_CONFIG);
    CHECK_HAS(reel_fail_text(), "io.time");
}

CHECK_MAIN({"model frames as inputs", frames_as_inputs}, {"model two frames as inputs", two_frames_as_inputs},
           {"model pictures of their own", pictures_of_their_own},
           {"model pictures that do not fit", pictures_that_do_not_fit},
           {"model pictures between two", pictures_between_two}, {"model no pictures between", no_pictures_between})

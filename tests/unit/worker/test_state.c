// SPDX-License-Identifier: MIT
//
// States of networks: which inputs are such, by name and shape, and the shapes
// that they have.
#include "worker/model/state.h"

#include "tests/unit/worker/graph_make.h"

// ---- names --------------------------------------------------------------------

#define MOST 6

// Inputs and outputs of any size, "name" or "name:channels" (3 else; 0: a plain
// list of 8), and what is expected: "in=out,...".
struct naming {
    const char *in[MOST], *out[MOST];
    const char *want;
    const char *wanted, *picture, *pictures; // settings
};

static struct net_io io_of(const char *text, char name[64])
{
    const char *colon = strchr(text, ':');
    const int channels = colon ? atoi(colon + 1) : 3;
    snprintf(name, 64, "%.*s", (int)(colon ? (size_t)(colon - text) : strlen(text)), text);
    struct net_io io = {.name = name, .dtype = REEL_F32, .shape = DIMS(1, channels, -1, -1)};
    if (!channels) io.shape = DIMS(1, 8);
    return io;
}

static int ios_of(const char *const *texts, struct net_io *io, char names[MOST][64])
{
    int n = 0;
    for (; n < MOST && texts[n]; n++) io[n] = io_of(texts[n], names[n]);
    return n;
}

static const struct naming namings[] = {
    {{"src", "r1i:16", "r2i:20", "r3i:40", "r4i:64"},
     {"fgr", "pha:1", "r1o:16", "r2o:20", "r3o:40", "r4o:64"},
     "r1i=r1o,r2i=r2o,r3i=r3o,r4i=r4o"},
    {{"x", "h:32"}, {"y", "h_out:32"}, "h=h_out"},
    {{"x", "h_in:32", "c_in:32"}, {"y", "c_out:32", "h_out:32"}, "h_in=h_out,c_in=c_out"},
    {{"x", "h0:0", "c0:0"}, {"y", "hn:0", "cn:0"}, "h0=hn,c0=cn"},
    {{"x", "state:32"}, {"y", "new_state:32"}, "state=new_state"},
    {{"x", "prevState:32"}, {"y", "nextState:32"}, "prevState=nextState"},
    {{"lr", "past/hidden:32"}, {"sr", "present/hidden:32"}, "past/hidden=present/hidden"},
    {{"x", "prev_output"}, {"output"}, "prev_output=output"},
    {{"lr_curr", "lr_prev", "hr_prev"}, {"hr_curr"}, "hr_prev=hr_curr,lr_prev=lr_curr"},
    {{"frame", "prev_frame"}, {"out"}, "prev_frame=frame"},
    // Several frames, two of any time, masks: no states.
    {{"frame_prev", "frame_cur", "frame_next"}, {"out"}, ""},
    {{"img0", "img1"}, {"out"}, ""},
    {{"prev", "next"}, {"middle"}, ""},
    {{"input.1", "input.2"}, {"output.1", "output.2"}, ""},
    {{"input_1"}, {"output_1"}, ""},
    {{"picture_in"}, {"picture_out"}, ""},
    // One takes the picture, whatever the names.
    {{"image_in", "state_in:8"}, {"image_out", "state_out:8"}, "state_in=state_out"},
    {{"a_in", "b_in"}, {"a_out", "b_out"}, "b_in=b_out"},
    {{"a_in", "b_in"}, {"a_out", "b_out"}, "a_in=a_out", "", "b_in"},
    // By shape: what is no picture, in order.
    {{"x", "a:16", "b:16"}, {"y", "p:16", "q:16"}, "a=p,b=q"},
    {{"x", "a:16"}, {"y", "p:8"}, ""},
    {{"x", "a"}, {"y", "b"}, ""},
    {{"x", "h_in:16"}, {"y", "h_out:8"}, ""}, // of other channels
    // What is given a picture is no state, whatever its name.
    {{"frame", "style_in"}, {"style_out", "y"}, "style_in=style_out"},
    {{"frame", "style_in"}, {"style_out", "y"}, "", NULL, NULL, "style_in=a.png"},
    {{"prev_frame", "frame"}, {"y"}, "", NULL, NULL, "prev_frame=a.png"},
    // Settings.
    {{"x", "a"}, {"y", "b"}, "a=b", "a=b"},
    {{"x", "a"}, {"y", "b"}, "a=x", " a=x ,"},
    {{"x", "h:32"}, {"y", "h_out:32"}, "", "none"},
};

static void by_names_and_shapes(void)
{
    for (size_t i = 0; i < sizeof namings / sizeof *namings; i++) {
        const struct naming *t = &namings[i];
        struct net_io in[MOST], out[MOST];
        char in_names[MOST][64], out_names[MOST][64], got[256] = "";
        const int n_in = ios_of(t->in, in, in_names), n_out = ios_of(t->out, out, out_names);
        struct state_plan plan;
        const struct state_words words = {t->wanted ? t->wanted : "", t->picture ? t->picture : "",
                                          t->pictures ? t->pictures : ""};
        CHECK_INT(state_find(in, n_in, out, n_out, &words, "m", &plan), REEL_OK);
        for (int k = 0; k < plan.n; k++) {
            const struct graph_state *s = &plan.state[k];
            size_t at = strlen(got);
            snprintf(got + at, sizeof got - at, "%s%s=%s", k ? "," : "", in[s->in].name,
                     s->of_input ? in[s->out].name : out[s->out].name);
        }
        CHECK_MSG(!strcmp(got, t->want), "row %zu (%s, %s): \"%s\", not \"%s\"", i, t->in[0], t->in[1] ? t->in[1] : "",
                  got, t->want);
    }
}

static void settings_that_do_not_fit(void)
{
    char in_names[MOST][64], out_names[MOST][64];
    struct net_io in[MOST], out[MOST];
    const int n_in = ios_of((const char *const[MOST]){"x", "a", "b:8"}, in, in_names);
    const int n_out = ios_of((const char *const[MOST]){"y", "z"}, out, out_names);
    static const char *const wrong[][2] = {{"a", "no \"=\""},          {"c=y", "no input"},  {"a=c", "no output"},
                                           {"a=a", "no output"},       {"a=y,a=z", "twice"}, {"b=y", "differ in type"},
                                           {"a=x,x=y", "on the right"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct state_plan plan;
        const struct state_words words = {wrong[i][0], "", ""};
        CHECK_INT(state_find(in, n_in, out, n_out, &words, "m", &plan), REEL_ERR_CONFIG);
        CHECK_HAS(reel_fail_text(), wrong[i][1]);
    }
}

// ---- shapes -------------------------------------------------------------------

// The state's shape for a picture of 96x64, or the error's.
static enum reel_err shape_of(struct maker *m, struct value *state, struct value *to, struct reel_shape *out)
{
    m->graph->outputs[m->graph->n_outputs++] = to;
    graph_count_uses(m->graph);
    struct reel_shape shapes[2] = {DIMS(1, 3, 64, 96), state->shape};
    enum reel_err err =
        graph_state_shapes(m->graph, 0, &(struct graph_state){.in = 1, .out = m->graph->n_outputs - 1}, 1, shapes);
    *out = shapes[1];
    graph_destroy(&m->graph);
    return err;
}

static struct value *conv(struct maker *m, struct value *x, int in, int out, int stride)
{
    struct value *y = make_node(m, "Conv", x, make_weights(m, DIMS(out, in, 3, 3), -1, 1), NULL);
    ATTR_LIST(m, y, "pads", 1, 1, 1, 1);
    ATTR_LIST(m, y, "strides", stride, stride);
    return y;
}

static void check_shape(const char *what, struct maker *m, struct value *state, struct value *to,
                        struct reel_shape want)
{
    struct reel_shape got;
    char a[96], b[96];
    enum reel_err err = shape_of(m, state, to, &got);
    CHECK_MSG(!err, "%s: %s", what, reel_fail_text());
    CHECK_MSG(reel_shape_equal(&got, &want), "%s: %s, not %s", what, reel_shape_text(&got, a, sizeof a),
              reel_shape_text(&want, b, sizeof b));
}

static void shapes_that_come_out_as_they_went_in(void)
{
    // Added to features of half the size: one number would do, all runs but the first have more.
    struct maker m = maker();
    struct value *x = make_input(&m, "x", DIMS(1, 3, -1, -1)), *h = make_input(&m, "h", DIMS(-1, -1, -1, -1));
    check_shape("broadcast", &m, h, make_node(&m, "Add", conv(&m, x, 3, 16, 2), h, NULL), DIMS(1, 16, 32, 48));

    // Joined with features: no other size is taken.
    m = maker();
    x = make_input(&m, "x", DIMS(1, 3, -1, -1)), h = make_input(&m, "h", DIMS(1, 8, -1, -1));
    struct value *both = make_node(&m, "Concat", conv(&m, x, 3, 8, 2), h, NULL);
    make_attr(&m, both, (struct attr){.name = "axis", .type = ATTR_INT, .u.i = 1});
    check_shape("joined", &m, h, conv(&m, both, 16, 8, 1), DIMS(1, 8, 32, 48));

    // Only named: of the picture's extents.
    m = maker();
    x = make_input(&m, "x", DIMS(1, 3, -1, -1)), h = make_input(&m, "h", DIMS(1, 8, -1, -1));
    x->dim_param[2] = h->dim_param[2] = "height", x->dim_param[3] = h->dim_param[3] = "width";
    check_shape("named", &m, h, conv(&m, h, 8, 8, 1), DIMS(1, 8, 64, 96));

    // A list of its own.
    m = maker();
    x = make_input(&m, "x", DIMS(1, 3, -1, -1)), h = make_input(&m, "h", DIMS(1, 8));
    check_shape("fixed", &m, h, make_node(&m, "Tanh", h, NULL, NULL), DIMS(1, 8));
}

// The state grows with every frame.
static void a_state_that_grows_is_none(void)
{
    struct maker m = maker();
    struct reel_shape got;
    struct value *x = make_input(&m, "x", DIMS(1, 3, -1, -1)), *h = make_input(&m, "h", DIMS(-1, 3, -1, -1));
    struct value *both = make_node(&m, "Concat", h, x, NULL);
    make_attr(&m, both, (struct attr){.name = "axis", .type = ATTR_INT, .u.i = 0});
    CHECK_INT(shape_of(&m, h, both, &got), REEL_ERR_INPUT);
    CHECK_HAS(reel_fail_text(), "state \"h\"");
}

CHECK_MAIN({"by_names_and_shapes", by_names_and_shapes}, {"settings_that_do_not_fit", settings_that_do_not_fit},
           {"shapes_that_come_out_as_they_went_in", shapes_that_come_out_as_they_went_in},
           {"a_state_that_grows_is_none", a_state_that_grows_is_none})

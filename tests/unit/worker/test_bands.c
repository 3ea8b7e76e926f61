// SPDX-License-Identifier: MIT
//
// A network over the bands of a picture, each in a thread of its own, which
// exchange rows: the same bytes as over the whole picture, by the CPU backend and
// by the GPU backend's host twin. tests/gpu/test_bands.c has them on a GPU.
#include <pthread.h>

#include "tests/unit/worker/bands_make.h"
#include "worker/graph/field.h"

#ifndef BANDS_MAIN
#define BANDS_MAIN CHECK_MAIN
#endif

#define MOST_BANDS 4
#define BLOCK 4 // CONV_BLOCK of net.c

// ---- random networks --------------------------------------------------------------

static int below(struct maker *m, int n)
{
    return (int)((check_rand(&m->seed) >> 33) % (uint64_t)n);
}

struct window {
    int out, k, stride, dilation, groups;
    bool bare; // pads nothing
};

static struct value *conv(struct maker *m, struct value *x, int in, struct window w)
{
    double scale = 1.5 / sqrt((double)(in / w.groups) * w.k * w.k);
    struct value *y = make_node(m, "Conv", x, make_weights(m, DIMS(w.out, in / w.groups, w.k, w.k), -scale, scale),
                                make_weights(m, DIMS(w.out), -0.1, 0.1));
    int pad = w.bare ? 0 : w.dilation * (w.k / 2);
    ATTR_LIST(m, y, "kernel_shape", w.k, w.k);
    ATTR_LIST(m, y, "strides", w.stride, w.stride);
    ATTR_LIST(m, y, "dilations", w.dilation, w.dilation);
    ATTR_LIST(m, y, "pads", pad, pad, pad, pad);
    make_attr(m, y, (struct attr){.name = "group", .type = ATTR_INT, .u.i = w.groups});
    return y;
}

static struct value *act(struct maker *m, struct value *x, int channels)
{
    switch (below(m, 4)) {
    case 0:
        return make_node(m, "Relu", x, NULL, NULL);
    case 1:
        return make_node(m, "PRelu", x, make_weights(m, DIMS(channels, 1, 1), 0, 0.4), NULL);
    case 2: {
        struct value *y = make_node(m, "LeakyRelu", x, NULL, NULL);
        make_attr(m, y, (struct attr){.name = "alpha", .type = ATTR_FLOAT, .u.f = 0.2f});
        return y;
    }
    default:
        return make_node(m, "Mul", x, make_node(m, "Sigmoid", x, NULL, NULL), NULL);
    }
}

static struct value *joined(struct maker *m, struct value *a, struct value *b)
{
    struct value *y = make_node(m, "Concat", a, b, NULL);
    make_attr(m, y, (struct attr){.name = "axis", .type = ATTR_INT, .u.i = 1});
    return y;
}

static struct value *enlarged(struct maker *m, struct value *x)
{
    struct value *in[] = {x, NULL, NULL}, *out = graph_add_value(m->graph, NULL);
    struct reel_tensor t;
    if (reel_tensor_init(&t, REEL_F32, &DIMS(4))) abort();
    memcpy(t.data, (float[]){1, 1, 2, 2}, 16);
    in[2] = graph_add_constant(m->graph, NULL, &t);
    struct node *node = graph_add_node(m->graph, NULL, "Resize", NULL, in, 3, &out, 1);
    node->op = op_find("", "Resize", m->graph->opset, NULL);
    make_attr(m, out, (struct attr){.name = "mode", .type = ATTR_STRING, .u.s = below(m, 3) ? "nearest" : "linear"});
    make_attr(m, out,
              (struct attr){.name = "coordinate_transformation_mode",
                            .type = ATTR_STRING,
                            .u.s = below(m, 2) ? "asymmetric" : "half_pixel"});
    make_attr(m, out, (struct attr){.name = "nearest_mode", .type = ATTR_STRING, .u.s = "floor"});
    return out;
}

static struct value *shuffled(struct maker *m, struct value *x)
{
    struct value *y = make_node(m, "DepthToSpace", x, NULL, NULL);
    make_attr(m, y, (struct attr){.name = "blocksize", .type = ATTR_INT, .u.i = 2});
    make_attr(m, y, (struct attr){.name = "mode", .type = ATTR_STRING, .u.s = "CRD"});
    return y;
}

// Edge pixels repeated once, before two convolutions that pad nothing.
static struct value *padded(struct maker *m, struct value *x, int in, int channels)
{
    static const char *const modes[] = {"edge", "reflect", "constant"};
    struct value *y = make_node(m, "Pad", x, INTS(m, 0, 0, 3, 3, 0, 0, 3, 3), NULL);
    make_attr(m, y, (struct attr){.name = "mode", .type = ATTR_STRING, .u.s = modes[below(m, 3)]});
    y = conv(m, y, in, (struct window){channels, 3, 1, 1, 1, true});
    return conv(m, act(m, y, channels), channels, (struct window){channels, 5, 1, 1, 1, true});
}

// Dense blocks with residuals, as in RRDB.
static struct value *dense(struct maker *m, struct value *x, int channels)
{
    for (int block = 1 + below(m, 2); block > 0; block--) {
        struct value *all = x, *last = NULL;
        int have = channels;
        for (int i = 0; i < 3; i++) {
            struct window w = {i == 2 ? channels : 16, 3, 1, below(m, 4) ? 1 : 2, 1};
            last = conv(m, all, have, w);
            if (i == 2) break;
            last = act(m, last, 16);
            all = joined(m, all, last);
            have += 16;
        }
        x = make_node(m, "Add", make_node(m, "Mul", last, make_scalar(m, 0.2), NULL), x, NULL);
    }
    return x;
}

// Half the size and back, with what stood beside it.
static struct value *hourglass(struct maker *m, struct value *x, int channels)
{
    struct value *y;
    if (below(m, 2)) {
        y = conv(m, x, channels, (struct window){32, 3, 2, 1, 1});
    } else {
        y = make_node(m, below(m, 2) ? "MaxPool" : "AveragePool", x, NULL, NULL);
        ATTR_LIST(m, y, "kernel_shape", 2, 2);
        ATTR_LIST(m, y, "strides", 2, 2);
        y = conv(m, y, channels, (struct window){32, 3, 1, 1, 1});
    }
    y = act(m, y, 32);
    y = act(m, conv(m, y, 32, (struct window){32, 3, 1, 1, below(m, 3) ? 1 : 32}), 32);
    if (below(m, 2)) {
        y = conv(m, enlarged(m, y), 32, (struct window){channels, 3, 1, 1, 1});
    } else {
        y = make_node(m, "ConvTranspose", y, make_weights(m, DIMS(32, channels, 4, 4), -0.05, 0.05), NULL);
        ATTR_LIST(m, y, "kernel_shape", 4, 4);
        ATTR_LIST(m, y, "strides", 2, 2);
        ATTR_LIST(m, y, "pads", 1, 1, 1, 1);
    }
    return conv(m, joined(m, x, y), 2 * channels, (struct window){channels, 1, 1, 1, 1});
}

static struct maker network(uint64_t seed, int h, int w)
{
    struct maker m = maker();
    m.seed = seed;
    static const int wide[] = {16, 24, 32};
    int channels = wide[below(&m, 3)];
    struct value *x = make_input(&m, "x", DIMS(1, 3, h, w)), *in = x;
    x = below(&m, 3) ? conv(&m, x, 3, (struct window){channels, below(&m, 2) ? 3 : 5, 1, 1, 1})
                     : padded(&m, x, 3, channels);
    x = act(&m, x, channels);
    for (int i = 1 + below(&m, 2); i > 0; i--) x = below(&m, 2) ? dense(&m, x, channels) : hourglass(&m, x, channels);
    if (below(&m, 2)) {
        x = shuffled(&m, conv(&m, x, channels, (struct window){12, 3, 1, 1, 1}));
        x = make_node(&m, "Add", x, enlarged(&m, in), NULL);
    } else {
        x = conv(&m, enlarged(&m, x), channels, (struct window){3, 3, 1, 1, 1});
    }
    if (below(&m, 2)) x = make_node(&m, "Clip", x, make_scalar(&m, -1), make_scalar(&m, 1));
    make_output(&m, x);
    return m;
}

// ---- bands in threads -------------------------------------------------------------

struct meeting {
    pthread_barrier_t barrier;
    int n;
    const struct backend_rows *rows[MOST_BANDS];
    int exchanges;
    bool differ; // in number or length
};

// How a network is run.
struct how {
    const char *backend;
    int threads;
    enum precision precision;
    double tolerance; // of the numbers, beside the whole picture's; 0: the same bytes
};

struct member {
    struct meeting *meeting;
    const struct how *how;
    int rank;
    struct backend_exchange exchange;
    struct band band;
    const struct graph *graph;
    const float *picture; // (3,h,w) whole
    int h, w, from, rows;
    struct reel_tensor out;
    enum reel_err err;
    char text[256];
};

static enum reel_err meet(void *user, const struct backend_rows *rows)
{
    struct member *me = user;
    struct meeting *m = me->meeting;
    m->rows[me->rank] = rows;
    pthread_barrier_wait(&m->barrier);
    const struct backend_rows *up = me->rank ? m->rows[me->rank - 1] : NULL,
                              *down = me->rank + 1 < m->n ? m->rows[me->rank + 1] : NULL;
    if ((up && up->bytes != rows->bytes) || (down && down->bytes != rows->bytes)) {
        m->differ = true;
    } else {
        if (up) memcpy(rows->from_up, up->send_down, rows->bytes);
        if (down) memcpy(rows->from_down, down->send_up, rows->bytes);
    }
    if (!me->rank) m->exchanges++;
    pthread_barrier_wait(&m->barrier);
    return REEL_OK;
}

static void *run_member(void *user)
{
    struct member *me = user;
    struct reel_tensor in = {0};
    const struct reel_tensor *in_p = &in;
    if (reel_tensor_init(&in, REEL_F32, &DIMS(1, 3, me->rows, me->w))) abort();
    for (int c = 0; c < 3; c++)
        memcpy((float *)in.data + (size_t)c * (size_t)me->rows * (size_t)me->w,
               me->picture + ((size_t)c * (size_t)me->h + (size_t)me->from) * (size_t)me->w,
               sizeof(float) * (size_t)me->rows * (size_t)me->w);
    const struct backend_ops *ops = backend_find(me->how->backend);
    struct graph *copy = after_passes(me->graph, ops->caps);
    struct backend_params params = {
        .threads = me->how->threads, .precision = me->how->precision, .exchange = &me->exchange};
    struct program *p = NULL;
    me->err = copy ? REEL_OK : REEL_ERR_FAULT;
    if (!me->err && me->band.margin) me->err = bands_mark(copy, &me->band);
    if (!me->err) me->err = ops->compile(copy, &params, &p);
    if (!me->err) me->err = ops->run(p, &in_p, &me->out, false);
    if (me->err) snprintf(me->text, sizeof me->text, "%s", reel_fail_text());
    if (p) ops->destroy(&p);
    graph_destroy(&copy);
    reel_tensor_fini(&in);
    return NULL;
}

static int up_to(int v, int m)
{
    return (v + m - 1) / m * m;
}

static int first_other_row(const float *a, const float *b, int rows, size_t row, double tolerance)
{
    for (int y = 0; y < rows; y++) {
        const float *p = a + (size_t)y * row, *q = b + (size_t)y * row;
        if (tolerance == 0 && memcmp(p, q, row * sizeof(float))) return y;
        for (size_t x = 0; x < row && tolerance > 0; x++)
            if (!(fabs((double)p[x] - (double)q[x]) <= tolerance)) return y;
    }
    return -1;
}

static int tried;

// Cuts a picture of h rows into n bands of one network and compares, unless it is
// too small for them.
static void compare(const struct how *how, uint64_t seed, int h, int w, int n)
{
    struct maker whole = network(seed, h, w), trial = network(seed, 768, 768);
    struct graph *passed = after_passes(trial.graph, backend_find(how->backend)->caps);
    struct bands_need need;
    bands_need_of(passed, &need);
    CHECK_MSG(need.fit, "%s, seed %llu: %s", how->backend, (unsigned long long)seed, need.why);
    struct field_reach reach = field_reach_of(passed, BLOCK);
    graph_destroy(&passed);
    graph_destroy(&trial.graph);
    const int align = up_to(reach.step, BLOCK), margin = up_to(need.margin, align);
    struct meeting meeting = {.n = n};
    struct member one = {.how = how, .graph = whole.graph, .h = h, .w = w, .rows = h}, member[MOST_BANDS] = {{0}};
    struct maker makers[MOST_BANDS];
    pthread_t thread[MOST_BANDS];
    float *picture = malloc(sizeof(float) * 3 * (size_t)h * (size_t)w);
    for (int i = 0; i < 3 * h * w; i++) picture[i] = (float)make_random(&whole, -1, 1);
    one.picture = picture;
    run_member(&one);
    CHECK_MSG(!one.err, "%s, seed %llu: %s", how->backend, (unsigned long long)seed, one.text);
    bool fits = true;
    for (int i = 0; i < n; i++) {
        int begin = h * i / n / align * align, end = i + 1 < n ? h * (i + 1) / n / align * align : h;
        struct band b = {i ? margin : 0, i + 1 < n ? margin : 0, margin};
        member[i] =
            (struct member){.meeting = &meeting, .how = how, .rank = i, .band = b, .picture = picture, .h = h, .w = w};
        member[i].from = begin - b.above, member[i].rows = end + b.below - member[i].from;
        member[i].exchange = (struct backend_exchange){.rows = meet, .user = &member[i]};
        fits &= end - begin >= margin && member[i].rows >= need.rows;
    }
    for (int i = 0; i < n && fits; i++) {
        makers[i] = network(seed, member[i].rows, w);
        member[i].graph = makers[i].graph;
    }
    if (fits) {
        pthread_barrier_init(&meeting.barrier, NULL, (unsigned)n);
        for (int i = 0; i < n; i++) pthread_create(&thread[i], NULL, run_member, &member[i]);
        for (int i = 0; i < n; i++) pthread_join(thread[i], NULL);
        pthread_barrier_destroy(&meeting.barrier);
        CHECK(!meeting.differ);
        CHECK(meeting.exchanges > 0);
    }
    const int scale = one.err ? 1 : (int)(one.out.shape.dim[2] / h);
    const size_t row = (size_t)w * (size_t)scale;
    for (int i = 0; i < n && fits; i++) {
        struct member *me = &member[i];
        CHECK_MSG(!me->err, "%s, seed %llu, band %d of %d: %s", how->backend, (unsigned long long)seed, i, n, me->text);
        const int rows = (me->rows - me->band.above - me->band.below) * scale;
        for (int c = 0; c < 3 && !me->err; c++) {
            const float *a = (const float *)one.out.data +
                             ((size_t)c * (size_t)h + (size_t)(me->from + me->band.above)) * (size_t)scale * row;
            const float *b = (const float *)me->out.data +
                             ((size_t)c * (size_t)me->rows + (size_t)me->band.above) * (size_t)scale * row;
            const int first = first_other_row(a, b, rows, row, how->tolerance);
            CHECK_MSG(first < 0, "%s, seed %llu, %dx%d, band %d of %d, channel %d: other numbers in row %d of %d",
                      how->backend, (unsigned long long)seed, w, h, i, n, c, first, rows);
        }
        graph_destroy(&makers[i].graph);
        reel_tensor_fini(&me->out);
    }
    graph_destroy(&whole.graph);
    reel_tensor_fini(&one.out);
    free(picture);
    tried += fits;
}

static void compare_some(const struct how *how, uint64_t from, uint64_t to, int least)
{
    tried = 0;
    for (uint64_t seed = from; seed <= to; seed++) {
        int h = 96 + (int)(seed * 37 % 90), w = 20 + (int)(seed * 13 % 30);
        compare(how, seed, h / 2 * 2, w / 2 * 2, 2 + (int)(seed % 3));
    }
    CHECK_MSG(tried >= least, "%s: %d networks were cut", how->backend, tried);
}

static void same_bytes_as_whole(void)
{
    compare_some(&(struct how){"onednn", 1, PRECISION_FP32}, 1, 20, 12);
    compare_some(&(struct how){"onednn", 2, PRECISION_FP32}, 21, 40, 12);
}

static void same_bytes_on_the_gpus_twin(void)
{
    compare_some(&(struct how){"cudnn-host", 1, PRECISION_FP16}, 1, 24, 12);
    compare_some(&(struct how){"cudnn-host", 1, PRECISION_FP32}, 25, 32, 4);
}

// ---- what cannot be cut ----------------------------------------------------------

static void what_mixes_rows_is_left_whole(void)
{
    static const char *const ops[] = {"GlobalAveragePool", "InstanceNormalization", "Transpose", "Flatten"};
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        struct maker m = maker();
        struct value *x = conv(&m, make_input(&m, "x", DIMS(1, 3, 64, 64)), 3, (struct window){16, 3, 1, 1, 1});
        bool norm = i == 1;
        struct value *y = make_node(&m, ops[i], x, norm ? make_weights(&m, DIMS(16), 0, 1) : NULL,
                                    norm ? make_weights(&m, DIMS(16), 0, 1) : NULL);
        if (i == 2) ATTR_LIST(&m, y, "perm", 0, 1, 3, 2);
        if (i == 0) y = make_node(&m, "Mul", x, y, NULL);
        struct bands_need need = need_of(&m, y);
        CHECK_MSG(!need.fit && strstr(need.why, ops[i]), "%s: %s", ops[i], need.fit ? "fit" : need.why);
    }
    // Other constants in each row are the whole picture's.
    struct maker m = maker();
    struct value *x = conv(&m, make_input(&m, "x", DIMS(1, 3, 64, 64)), 3, (struct window){16, 3, 1, 1, 1});
    struct bands_need need = need_of(&m, make_node(&m, "Mul", x, make_weights(&m, DIMS(1, 16, 64, 1), 0, 1), NULL));
    CHECK(!need.fit);
    // Rows that are missing at the edges, and rows beyond them.
    m = maker();
    x = make_input(&m, "x", DIMS(1, 3, 64, 64));
    need = need_of(&m, conv(&m, x, 3, (struct window){16, 3, 1, 1, 1, true}));
    CHECK_MSG(!need.fit && strstr(need.why, "fewer rows"), "%s", need.why);
}

static void margins_follow_from_windows(void)
{
    struct maker m = maker();
    struct value *x = make_input(&m, "x", DIMS(1, 3, 96, 96));
    x = conv(&m, x, 3, (struct window){16, 3, 1, 1, 1});
    x = conv(&m, act(&m, x, 16), 16, (struct window){16, 3, 1, 6, 1}); // sees six rows away
    struct bands_need need = need_of(&m, x);
    CHECK(need.fit);
    CHECK_INT(need.margin, 6);
    CHECK_INT(need.rows, 36);
    // Half the size: two rows of the input each.
    m = maker();
    x = conv(&m, make_input(&m, "x", DIMS(1, 3, 96, 96)), 3, (struct window){16, 3, 2, 1, 1});
    x = conv(&m, act(&m, x, 16), 16, (struct window){16, 5, 1, 1, 1});
    x = conv(&m, enlarged(&m, x), 16, (struct window){3, 3, 1, 1, 1});
    need = need_of(&m, x);
    CHECK(need.fit);
    CHECK(need.margin >= 4 && need.margin <= 8);
}

// 2.01 makes as many rows of 16 as 2 does, in other places: those of a band would be others.
static void uneven_scales_are_refused(void)
{
    for (int kind = 0; kind < 4; kind++) {
        const int even = kind % 2, at = kind < 2 ? 2 : 1; // until opset 10 there is no region
        struct maker m = maker();
        m.graph->opset = kind < 2 ? 20 : 10;
        struct reel_tensor t;
        struct value *x = conv(&m, make_input(&m, "x", DIMS(1, 3, 16, 32)), 3, (struct window){16, 3, 1, 1, 1});
        struct value *in[3] = {x}, *out = graph_add_value(m.graph, NULL);
        if (reel_tensor_init(&t, REEL_F32, &DIMS(4))) abort();
        memcpy(t.data, (float[]){1, 1, even ? 2 : 2.01f, 2}, 16);
        in[at] = graph_add_constant(m.graph, NULL, &t);
        struct node *node = graph_add_node(m.graph, NULL, "Resize", NULL, in, at + 1, &out, 1);
        node->op = op_find("", "Resize", m.graph->opset, NULL);
        make_attr(&m, out, (struct attr){.name = "mode", .type = ATTR_STRING, .u.s = "linear"});
        CHECK_INT(need_of(&m, out).fit, even);
    }
}

static void too_few_rows_are_refused(void)
{
    struct maker m = maker();
    struct value *x = conv(&m, make_input(&m, "x", DIMS(1, 3, 16, 32)), 3, (struct window){16, 3, 1, 1, 1});
    make_output(&m, conv(&m, x, 16, (struct window){16, 3, 1, 1, 1}));
    struct graph *passed = after_passes(m.graph, backend_find("onednn")->caps);
    CHECK_INT(bands_mark(passed, &(struct band){4, 4, 4}), REEL_OK);
    CHECK_INT(bands_mark(passed, &(struct band){0, 4, 2}), REEL_ERR_UNSUPPORTED); // output rows beside chroma's
    CHECK_INT(bands_mark(passed, &(struct band){8, 8, 8}), REEL_ERR_UNSUPPORTED); // nothing of its own
    // Without somebody to exchange with it is no program.
    CHECK_INT(bands_mark(passed, &(struct band){4, 0, 4}), REEL_OK);
    struct backend_params params = {.threads = 1};
    struct program *p = NULL;
    CHECK_INT(backend_find("onednn")->compile(passed, &params, &p), REEL_ERR_UNSUPPORTED);
    CHECK_INT(backend_find("cudnn-host")->compile(passed, &params, &p), REEL_ERR_UNSUPPORTED);
    graph_destroy(&passed);
    graph_destroy(&m.graph);
    // Fewer than 36 rows would be computed by another kernel, with other sums.
    for (int rows = 35; rows < 37; rows++) {
        m = maker();
        x = conv(&m, make_input(&m, "x", DIMS(1, 3, rows, 32)), 3, (struct window){16, 3, 1, 1, 1});
        make_output(&m, conv(&m, x, 16, (struct window){16, 3, 1, 6, 1}));
        passed = after_passes(m.graph, backend_find("onednn")->caps);
        CHECK_INT(bands_mark(passed, &(struct band){0, 6, 6}), rows < 36 ? REEL_ERR_UNSUPPORTED : REEL_OK);
        graph_destroy(&passed);
        graph_destroy(&m.graph);
    }
}

BANDS_MAIN({"same_bytes_as_whole", same_bytes_as_whole}, {"same_bytes_on_the_gpus_twin", same_bytes_on_the_gpus_twin},
           {"what_mixes_rows_is_left_whole", what_mixes_rows_is_left_whole},
           {"margins_follow_from_windows", margins_follow_from_windows},
           {"uneven_scales_are_refused", uneven_scales_are_refused},
           {"too_few_rows_are_refused", too_few_rows_are_refused})

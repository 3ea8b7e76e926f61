// SPDX-License-Identifier: MIT
//
// engine.h: nets by input size, and tensors around a run.
#include "worker/engine.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/life.h"
#include "common/proto.h"
#include "worker/backend/ranges.h"
#include "worker/calibrate.h"

// Prepared sizes held at once: inputs of a run rarely mix more, and each holds
// its own weights.
#define MAX_ENGINES 3
#define MAX_PARTS REEL_MAX_PARTS
#define MAX_INPUTS (GRAPH_MAX_STATES + 1)

struct engine {
    struct net *net;         // NULL: a backend without a model
    struct program *program; // then
    const struct engines *owner;
    int w, h, batch;
    struct band band; // margin 0: no band of a picture
    uint64_t last_use, serial;
    int picture, time;                      // indices of the inputs; time -1: there is none
    struct reel_tensor input, time_input;   // float32
    struct reel_tensor native, time_native; // of the net's type, when that is not float32
    int n_out;
    struct reel_tensor raw[MODEL_MAX_OUTPUTS]; // as the net gives them
    struct reel_tensor out[MODEL_MAX_OUTPUTS]; // float32: borrows raw's data, or owns a conversion
    const struct state_plan *plan;
    struct engine_states *states; // of the next run, borrowed
    int set;
};

struct engine_states {
    const struct state_plan *plan; // borrowed
    int sets;
    bool *begun; // [sets]
    // [sets * plan->n], of the inputs' types and shapes: those of the next run, and
    // those of the last one, which its outputs may point into.
    struct reel_tensor *tensor, *before;
};

struct engines {
    struct engine_params params;
    char *path;
    const struct backend_ops *ops;
    struct engine idle[MAX_PARTS]; // of a backend without a model: for frames in i + 1 parts
    struct net *first;             // for facts and shapes; never prepared
    bool calibrated;
    struct ranges *ranges; // for every net of the same
    struct model_facts facts;
    struct net_io *io;
    struct state_plan plan;
    struct bands_need bands;
    bool bands_known;
    struct engine *list[MAX_ENGINES];
    uint64_t clock, serials;
};

// ---- opening --------------------------------------------------------------

static const char *meta_of(const void *user, const char *key)
{
    return net_meta(user, key);
}

static enum reel_err gather_facts(struct engines *e)
{
    int n_in = net_input_count(e->first), n_out = net_output_count(e->first);
    if (n_out > MODEL_MAX_OUTPUTS)
        return reel_fail(REEL_ERR_UNSUPPORTED,
                         "could not use model \"%s\": it has %d outputs, at most %d are supported", e->path, n_out,
                         MODEL_MAX_OUTPUTS);
    e->io = calloc((size_t)(n_in + n_out) + 1, sizeof *e->io);
    if (!e->io) return reel_fail(REEL_ERR_NOMEM, "could not open model \"%s\": out of memory", e->path);
    for (int i = 0; i < n_in; i++) e->io[i] = *net_input(e->first, i);
    for (int i = 0; i < n_out; i++) e->io[n_in + i] = *net_output(e->first, i);
    e->facts = (struct model_facts){.n_in = n_in,
                                    .n_out = n_out,
                                    .in = e->io,
                                    .out = e->io + n_in,
                                    .graph = net_graph(e->first),
                                    .producer = net_producer(e->first),
                                    .path = e->path,
                                    .states = &e->plan,
                                    .size_multiple = net_size_multiple(e->first),
                                    .meta = meta_of,
                                    .user = e->first};
    return REEL_OK;
}

// What stands behind a cut-out, in the values of the network's foreground.
static enum reel_err background_of(const struct reel_settings *s, double out[3])
{
    const double span = s->io.out_range == SET_RANGE_0_255 ? 255 : s->io.out_range == SET_RANGE_M1_1 ? 2 : 1;
    const double base = s->io.out_range == SET_RANGE_M1_1 ? -1 : 0;
    const bool bgr = s->io.out_channels == SET_CHANNELS_BGR ||
                     (s->io.out_channels == SET_CHANNELS_AUTO && s->io.channels == SET_CHANNELS_BGR);
    bool ok = s->background.n == 3;
    for (int i = 0; i < 3 && ok; i++) {
        const double v = s->background.v[bgr ? 2 - i : i];
        ok = v >= 0 && v <= 255;
        out[i] = v / 255 * span + base;
    }
    return ok ? REEL_OK
              : reel_fail(REEL_ERR_CONFIG, "could not use background: it is R,G,B, three numbers of 0 to 255");
}

static enum reel_err add_composite(const struct engines *e, struct net *net)
{
    const struct reel_settings *s = e->params.settings;
    const enum reel_task task = s ? reel_settings_task(s) : REEL_TASK_AUTO;
    double background[3];
    int foreground, matte;
    if (!s || !s->background.n) return REEL_OK;
    enum reel_err err = background_of(s, background);
    if (err || *s->io.output || (task != REEL_TASK_AUTO && task != REEL_TASK_IMAGE)) return err;
    if (!model_cuts_out(net_output(net, 0), net_output_count(net), &foreground, &matte)) return REEL_OK;
    return net_add_composite(net, foreground, matte, background, MODEL_COMPOSITE);
}

static enum reel_err open_net(struct engines *e, struct net **out_net)
{
    struct net_params p = {.backend = e->params.backend,
                           .backend_params = e->params.backend_params,
                           .bytes = e->params.bytes,
                           .n_bytes = e->params.n_bytes};
    enum reel_err err = net_open(e->path, &p, out_net);
    if (err) return err;
    err = state_open(*out_net, e->params.settings, e->path, &e->plan);
    struct model_join join;
    if (!err && !e->plan.n && e->params.settings &&
        model_frames_join(net_input(*out_net, 0), net_input_count(*out_net), e->params.settings, &join))
        err = net_join_inputs(*out_net, "frames", join.axis, join.which, join.n);
    if (!err) err = add_composite(e, *out_net);
    if (err) net_close(out_net);
    return err;
}

enum reel_err engines_open(const struct engine_params *params, struct engines **out_engines)
{
    const struct backend_ops *ops = backend_find(params->backend);
    if (!ops) return reel_fail(REEL_ERR_CONFIG, "could not find backend \"%s\"", params->backend);
    enum reel_err err = ops->probe(&params->backend_params);
    if (err) return err;
    struct engines *e = calloc(1, sizeof *e);
    if (!e) return reel_fail(REEL_ERR_NOMEM, "could not open model: out of memory");
    e->params = *params;
    e->ops = ops;
    if (ops->caps & BACKEND_NO_MODEL) {
        err = ops->compile(NULL, &params->backend_params, &e->idle[0].program);
    } else if (!params->path || !*params->path) {
        err = reel_fail(REEL_ERR_CONFIG,
                        "could not run backend \"%s\": no model was named\n"
                        "name one with --model FILE.onnx",
                        params->backend);
    } else {
        e->path = strdup(params->path);
        err = e->path ? open_net(e, &e->first) : reel_fail(REEL_ERR_NOMEM, "could not open model: out of memory");
        if (!err) err = gather_facts(e);
    }
    if (err) {
        engines_close(&e);
        return err;
    }
    *out_engines = e;
    return REEL_OK;
}

static void drop_outputs(struct engine *engine)
{
    for (int i = 0; i < engine->n_out; i++) {
        reel_tensor_fini(&engine->out[i]);
        reel_tensor_fini(&engine->raw[i]);
    }
}

static void destroy_engine(struct engine **engine)
{
    struct engine *g = *engine;
    if (!g) return;
    drop_outputs(g);
    reel_tensor_fini(&g->input);
    reel_tensor_fini(&g->native);
    reel_tensor_fini(&g->time_input);
    reel_tensor_fini(&g->time_native);
    net_close(&g->net);
    free(g);
    *engine = NULL;
}

void engines_close(struct engines **engines)
{
    struct engines *e = *engines;
    if (!e) return;
    for (int i = 0; i < MAX_ENGINES; i++) destroy_engine(&e->list[i]);
    for (int i = 0; i < MAX_PARTS; i++)
        if (e->idle[i].program) e->ops->destroy(&e->idle[i].program);
    net_close(&e->first);
    ranges_destroy(&e->ranges);
    free(e->io);
    free(e->path);
    free(e);
    *engines = NULL;
}

const struct model_facts *engines_facts(const struct engines *e)
{
    return e->first ? &e->facts : NULL;
}

// Shapes of all inputs for pictures of w x h.
static enum reel_err input_shapes(const struct engines *e, struct net *net, const struct model *model, int w, int h,
                                  struct reel_shape shapes[MAX_INPUTS])
{
    assert(net_input_count(net) <= MAX_INPUTS);
    model_input_shapes(model, &e->facts, w, h, shapes);
    enum reel_err err = state_set_size(net, &e->plan, w, h);
    return !err && e->plan.n ? net_state_shapes(net, shapes) : err;
}

enum reel_err engines_infer(struct engines *e, const struct model *model, int w, int h, struct reel_shape *out_shapes)
{
    struct reel_shape in[MAX_INPUTS];
    enum reel_err err = input_shapes(e, e->first, model, w, h, in);
    return err ? err : net_infer_shapes(e->first, in, out_shapes);
}

// What a state holds of a pixel was spread by every frame before: no field bounds it.
struct field_reach engines_reach(struct engines *e, bool of_bits)
{
    if (e->plan.n) return (struct field_reach){.h = -1, .w = -1, .step = 1};
    return net_reach(e->first, of_bits);
}

const struct bands_need *engines_bands(struct engines *e)
{
    if (!e->bands_known) net_bands(e->first, &e->bands);
    e->bands_known = true;
    if (e->plan.n) e->bands = (struct bands_need){.why = "it carries a state"};
    return &e->bands;
}

void engines_exchange_by(struct engines *e, const struct backend_exchange *exchange)
{
    e->params.backend_params.exchange = exchange;
}

// ---- preparing --------------------------------------------------------------

// Once, whatever sizes come.
static enum reel_err find_ranges(struct engines *e, const struct model *model)
{
    if (e->calibrated || model->input.frames > 1 || !calibrate_wanted(e->first)) return REEL_OK;
    enum reel_err err = calibrate(e->first, &model->input, &e->ranges);
    e->params.backend_params.ranges = e->ranges;
    e->calibrated = !err;
    return err;
}

// An input as float32, and of the net's type where that is another.
static enum reel_err own_input(struct reel_tensor *input, struct reel_tensor *native, enum reel_dtype dtype,
                               const struct reel_shape *shape)
{
    enum reel_err err = reel_tensor_init(input, REEL_F32, shape);
    return err || dtype == REEL_F32 ? err : reel_tensor_init(native, dtype, shape);
}

static enum reel_err create_engine(struct engines *e, const struct model *model, int w, int h, int batch,
                                   const struct band *band, struct engine **out_engine)
{
    struct engine *g = calloc(1, sizeof *g);
    if (!g) return reel_fail(REEL_ERR_NOMEM, "could not prepare model: out of memory");
    g->w = w, g->h = h, g->batch = batch;
    g->serial = ++e->serials;
    g->picture = model->input.index;
    g->time = model->input.time_input;
    g->n_out = e->facts.n_out;
    g->plan = &e->plan;
    struct reel_shape shapes[MAX_INPUTS], *shape = &shapes[g->picture];
    enum reel_err err = find_ranges(e, model);
    if (!err) err = open_net(e, &g->net);
    if (!err) err = input_shapes(e, g->net, model, w, h, shapes);
    if (!err && batch > 1) shape->dim[0] = batch;
    if (!err) err = net_prepare_band(g->net, shapes, band);
    if (!err && band) g->band = *band;
    if (!err) err = own_input(&g->input, &g->native, model->input.dtype, shape);
    if (!err && g->time >= 0)
        err = own_input(&g->time_input, &g->time_native, e->facts.in[g->time].dtype, &shapes[g->time]);
    if (err) {
        destroy_engine(&g);
        return err;
    }
    *out_engine = g;
    return REEL_OK;
}

// Without a model: a program that takes as long as one of so many parts.
static enum reel_err get_idle(struct engines *e, int parts, struct engine **out_engine)
{
    assert(parts <= MAX_PARTS);
    struct engine *g = &e->idle[parts > 1 ? parts - 1 : 0];
    struct backend_params params = e->params.backend_params;
    if (parts > 1) params.sim_ms /= parts;
    enum reel_err err = g->program ? REEL_OK : e->ops->compile(NULL, &params, &g->program);
    g->owner = e;
    g->batch = 1;
    *out_engine = g;
    return err;
}

int engines_batch(struct engines *e, const struct model *model, int w, int h, int wish)
{
    const struct net_io *in = e->first ? net_input(e->first, model->input.index) : NULL;
    if (wish < 2 || !in || !(e->ops->caps & BACKEND_DEVICE_MEMORY) || net_input_count(e->first) != 1) return 1;
    if (model->input.no_batch || in->shape.ndim < 1 || in->shape.dim[0] >= 0) return 1;
    struct reel_shape shape[MAX_INPUTS], out[MODEL_MAX_OUTPUTS];
    if (input_shapes(e, e->first, model, w, h, shape)) return 1;
    shape[0].dim[0] = wish;
    if (net_infer_shapes(e->first, shape, out)) return 1;
    for (int i = 0; i < e->facts.n_out; i++)
        if (out[i].ndim < 2 || out[i].dim[0] != wish || reel_shape_count(&out[i]) <= 0) return 1;
    return wish;
}

int engine_batch(const struct engine *g)
{
    return g->batch;
}

static bool same_band(const struct engine *g, const struct band *band)
{
    static const struct band none;
    const struct band *b = band ? band : &none;
    return g->band.above == b->above && g->band.below == b->below && g->band.margin == b->margin;
}

static enum reel_err find_engine(struct engines *e, const struct model *model, int w, int h, int batch,
                                 const struct band *band, struct engine **out_engine)
{
    int oldest = 0;
    for (int i = 0; i < MAX_ENGINES; i++) {
        struct engine *g = e->list[i];
        if (g && g->w == w && g->h == h && g->batch == batch && same_band(g, band)) {
            g->last_use = ++e->clock;
            *out_engine = g;
            return REEL_OK;
        }
        if (!g || (e->list[oldest] && g->last_use < e->list[oldest]->last_use)) oldest = i;
    }
    destroy_engine(&e->list[oldest]);
    enum reel_err err = create_engine(e, model, w, h, batch, band, &e->list[oldest]);
    if (err) return err;
    e->list[oldest]->last_use = ++e->clock;
    *out_engine = e->list[oldest];
    return REEL_OK;
}

enum reel_err engines_get(struct engines *e, const struct model *model, int w, int h, int batch,
                          struct engine **out_engine)
{
    if (e->idle[0].program) return get_idle(e, w, out_engine);
    return find_engine(e, model, w, h, batch < 1 ? 1 : batch, NULL, out_engine);
}

enum reel_err engines_get_band(struct engines *e, const struct model *model, int w, int h, const struct band *band,
                               struct engine **out_engine)
{
    return find_engine(e, model, w, h, 1, band, out_engine);
}

void engines_drop(struct engines *e)
{
    for (int i = 0; i < MAX_ENGINES; i++) destroy_engine(&e->list[i]);
}

size_t engine_memory_bytes(const struct engine *g)
{
    if (!g->net) return 0;
    size_t bytes = net_memory_bytes(g->net) + reel_tensor_bytes(&g->input) + reel_tensor_bytes(&g->native);
    for (int i = 0; i < g->plan->n; i++) { // of one lane
        const struct net_io *io = net_input(g->net, g->plan->state[i].in);
        bytes += 2 * (size_t)reel_shape_count(&io->shape) * reel_dtype_bytes(io->dtype);
    }
    return bytes;
}

// ---- states -----------------------------------------------------------------

enum reel_err engine_states_create(struct engines *e, const struct model *model, int w, int h, int sets,
                                   struct engine_states **out_states)
{
    struct reel_shape shapes[MAX_INPUTS];
    const int n = e->plan.n;
    *out_states = NULL;
    if (!n) return REEL_OK;
    enum reel_err err = input_shapes(e, e->first, model, w, h, shapes);
    if (err) return err;
    struct engine_states *s = calloc(1, sizeof *s);
    if (s) *s = (struct engine_states){.plan = &e->plan, .sets = sets, .begun = calloc((size_t)sets, sizeof *s->begun)};
    if (s) s->tensor = calloc((size_t)sets * (size_t)n, sizeof *s->tensor);
    if (s) s->before = calloc((size_t)sets * (size_t)n, sizeof *s->before);
    if (!s || !s->begun || !s->tensor || !s->before)
        err = reel_fail(REEL_ERR_NOMEM, "could not hold a state: out of memory");
    for (int i = 0; i < sets * n && !err; i++) {
        const int in = e->plan.state[i % n].in;
        err = reel_tensor_init(&s->tensor[i], net_input(e->first, in)->dtype, &shapes[in]);
        if (!err) err = reel_tensor_init(&s->before[i], net_input(e->first, in)->dtype, &shapes[in]);
    }
    if (err) engine_states_destroy(&s);
    *out_states = s;
    return err;
}

void engine_states_destroy(struct engine_states **states)
{
    struct engine_states *s = *states;
    *states = NULL;
    if (!s) return;
    for (int i = 0; s->tensor && i < s->sets * s->plan->n; i++) reel_tensor_fini(&s->tensor[i]);
    for (int i = 0; s->before && i < s->sets * s->plan->n; i++) reel_tensor_fini(&s->before[i]);
    free(s->tensor);
    free(s->before);
    free(s->begun);
    free(s);
}

void engine_use_states(struct engine *g, struct engine_states *states, int set)
{
    assert(!states || (set >= 0 && set < states->sets));
    g->states = states;
    g->set = set;
}

static void keep(struct reel_tensor *state, const struct reel_tensor *t)
{
    if (t->dtype == state->dtype)
        memcpy(state->data, t->data, reel_tensor_bytes(state));
    else
        reel_convert(state->data, state->dtype, t->data, t->dtype, reel_tensor_count(state));
}

static bool begins_as_picture(const struct engine *g, const struct graph_state *s, const struct reel_tensor *state)
{
    const enum set_begin begin = g->plan->begin;
    return reel_shape_equal(&state->shape, &g->input.shape) &&
           (begin == SET_BEGIN_PICTURE || (begin == SET_BEGIN_AUTO && s->of_input));
}

// Puts a run's states behind its inputs; the first run's are made here.
static enum reel_err put_states(struct engine *g, const struct reel_tensor *in[MAX_INPUTS])
{
    const int n = g->plan->n;
    if (!n) return REEL_OK;
    if (!g->states) return reel_fail(REEL_ERR_FAULT, "could not run the network: its state is not there");
    struct reel_tensor *t = g->states->tensor + g->set * n;
    for (int i = 0; i < n; i++) {
        const struct graph_state *s = &g->plan->state[i];
        if (!g->states->begun[g->set] && begins_as_picture(g, s, &t[i])) keep(&t[i], in[g->picture]);
        in[s->in] = &t[i];
    }
    g->states->begun[g->set] = true;
    return REEL_OK;
}

static enum reel_err take_states(struct engine *g, const struct reel_tensor *const in[MAX_INPUTS])
{
    const int n = g->plan->n;
    if (!n) return REEL_OK;
    struct reel_tensor *state = g->states->tensor + g->set * n, *next = g->states->before + g->set * n;
    for (int i = 0; i < n; i++) {
        const struct graph_state *s = &g->plan->state[i];
        const struct reel_tensor *t = s->of_input ? in[s->out] : &g->raw[s->out];
        char have[96], want[96];
        if (!reel_shape_equal(&t->shape, &next[i].shape))
            return reel_fail(REEL_ERR_FAULT, "could not keep state \"%s\": it was %s and became %s",
                             net_input(g->net, s->in)->name, reel_shape_text(&next[i].shape, want, sizeof want),
                             reel_shape_text(&t->shape, have, sizeof have));
        keep(&next[i], t);
    }
    for (int i = 0; i < n; i++) {
        const struct reel_tensor last = state[i];
        state[i] = next[i];
        next[i] = last;
    }
    return REEL_OK;
}

// ---- running ----------------------------------------------------------------

float *engine_input(struct engine *g)
{
    return g->input.data;
}

float *engine_time(struct engine *g, int64_t *out_count)
{
    *out_count = g->time < 0 ? 0 : reel_tensor_count(&g->time_input);
    return g->time_input.data;
}

// Rounds to nearest and keeps integers inside their type: converting floats
// outside of it is undefined.
static const struct reel_tensor *convert_input(const struct reel_tensor *input, struct reel_tensor *native)
{
    const float *s = input->data;
    int64_t n = reel_tensor_count(input);
    if (!native->data) return input;
    if (native->dtype == REEL_U8)
        for (int64_t i = 0; i < n; i++)
            ((uint8_t *)native->data)[i] = (uint8_t)(s[i] < 0 ? 0 : s[i] > 255 ? 255 : (int)(s[i] + 0.5f));
    else
        reel_convert(native->data, native->dtype, s, REEL_F32, n);
    return native;
}

enum reel_err engine_run(struct engine *g, int64_t *run_us)
{
    int64_t begin_us = reel_now_us();
    if (!g->net) {
        enum reel_err err = g->owner->ops->run(g->program, NULL, NULL, false);
        *run_us += reel_now_us() - begin_us;
        return err;
    }
    drop_outputs(g);
    const struct reel_tensor *in[MAX_INPUTS] = {0};
    in[g->picture] = convert_input(&g->input, &g->native);
    if (g->time >= 0) in[g->time] = convert_input(&g->time_input, &g->time_native);
    enum reel_err err = put_states(g, in);
    if (!err) err = net_run(g->net, in, g->raw, true);
    if (!err) err = take_states(g, in);
    for (int i = 0; i < g->n_out && !err; i++) {
        struct reel_tensor *raw = &g->raw[i];
        if (raw->dtype == REEL_F32) {
            g->out[i] = *raw;
            g->out[i].owned = false;
            continue;
        }
        if ((err = reel_tensor_init(&g->out[i], REEL_F32, &raw->shape))) break;
        reel_convert(g->out[i].data, REEL_F32, raw->data, raw->dtype, reel_tensor_count(raw));
    }
    *run_us += reel_now_us() - begin_us;
    return err;
}

const struct reel_tensor *engine_output(const struct engine *g, int i)
{
    assert(i >= 0 && i < g->n_out);
    return &g->out[i];
}

int engine_output_count(const struct engine *g)
{
    return g->n_out;
}

// ---- device memory ------------------------------------------------------------

uint64_t engine_serial(const struct engine *g)
{
    return g->serial;
}

unsigned engine_caps(const struct engine *g)
{
    return g->net ? net_backend(g->net)->caps : 0;
}

const struct state_plan *engine_plan(const struct engine *g)
{
    return g->plan;
}

enum reel_err engine_device_state(struct engine *g, int i, struct backend_device_tensor *out_in,
                                  struct backend_device_tensor *out_from)
{
    const struct graph_state *s = &g->plan->state[i];
    const struct backend_ops *b = net_backend(g->net);
    enum reel_err err = b->device_input(net_program(g->net), s->in, out_in);
    if (err) return err;
    return (s->of_input ? b->device_input : b->device_output)(net_program(g->net), s->out, out_from);
}

static bool keeps_states(struct engine *g)
{
    struct backend_device_tensor in, from;
    for (int i = 0; i < g->plan->n; i++) {
        if (engine_device_state(g, i, &in, &from)) return false;
        if (in.dtype != from.dtype || in.nhwc != from.nhwc || in.pixel_stride != from.pixel_stride || in.n != from.n ||
            in.c != from.c || in.h != from.h || in.w != from.w)
            return false;
    }
    return true;
}

bool engine_has_device(struct engine *g)
{
    if (!(engine_caps(g) & BACKEND_DEVICE_MEMORY) || net_input_count(g->net) != 1 + g->plan->n || !keeps_states(g))
        return false;
    struct backend_device_tensor t;
    if (engine_device_input(g, &t) || (t.dtype != REEL_F32 && t.dtype != REEL_F16 && t.dtype != REEL_BF16))
        return false;
    for (int i = 0; i < g->n_out; i++)
        if (reel_shape_count(&net_output(g->net, i)->shape) < 0 || engine_device_output(g, i, &t)) return false;
    return true;
}

enum reel_err engine_device_input(struct engine *g, struct backend_device_tensor *out)
{
    return net_backend(g->net)->device_input(net_program(g->net), g->picture, out);
}

enum reel_err engine_device_output(struct engine *g, int i, struct backend_device_tensor *out)
{
    return net_backend(g->net)->device_output(net_program(g->net), i, out);
}

enum reel_err engine_device_image(struct engine *g, int i, int image, struct backend_device_tensor *t)
{
    enum reel_err err = engine_device_output(g, i, t);
    if (err || g->batch == 1) return err;
    // What is no picture is a row of all images' numbers.
    int *images = t->n == g->batch ? &t->n : &t->w;
    *images /= g->batch;
    size_t elements = (size_t)t->n * (size_t)t->h * (size_t)t->w * (t->nhwc ? t->pixel_stride : (size_t)t->c);
    t->data = (uint8_t *)t->data + (size_t)image * elements * reel_dtype_bytes(t->dtype);
    return REEL_OK;
}

void *engine_stream(struct engine *g)
{
    return net_backend(g->net)->stream(net_program(g->net));
}

enum reel_err engine_enqueue(struct engine *g)
{
    return net_backend(g->net)->enqueue(net_program(g->net));
}

enum reel_err engine_put_output(struct engine *g, int i, const struct backend_device_tensor *like, const void *bytes)
{
    struct reel_tensor *t = &g->out[i];
    reel_tensor_fini(t);
    reel_tensor_fini(&g->raw[i]);
    struct reel_shape shape = net_output(g->net, i)->shape;
    if (g->batch > 1) shape.dim[0] = 1;
    enum reel_err err = reel_tensor_init(t, REEL_F32, &shape);
    if (err) return err;
    int64_t count = reel_tensor_count(t);
    if (!like->nhwc) {
        reel_convert(t->data, REEL_F32, bytes, like->dtype, count);
        return REEL_OK;
    }
    size_t pixels = (size_t)like->h * (size_t)like->w, c = (size_t)like->c, from = like->pixel_stride;
    float *row = malloc(from * sizeof *row);
    if (!row) return reel_fail(REEL_ERR_NOMEM, "could not read an output: out of memory");
    size_t element = reel_dtype_bytes(like->dtype);
    for (size_t p = 0; p < (size_t)like->n * pixels; p++) {
        reel_convert(row, REEL_F32, (const uint8_t *)bytes + p * from * element, like->dtype, (int64_t)from);
        float *to = (float *)t->data + p / pixels * c * pixels + p % pixels;
        for (size_t k = 0; k < c; k++) to[k * pixels] = row[k];
    }
    free(row);
    return REEL_OK;
}

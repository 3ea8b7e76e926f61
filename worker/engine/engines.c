// SPDX-License-Identifier: MIT
//
// engine.h: all engines of a model: what is known of it, and the list of prepared
// sizes.
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "worker/engine/own.h"

// ---- opening ----------------------------------------------------------------

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
                                    .border = {e->border[0], e->border[1]},
                                    .size_multiple = net_size_multiple(e->first),
                                    .n_pictures = e->params.n_pictures,
                                    .pictures = e->params.pictures,
                                    .meta = meta_of,
                                    .user = e->first};
    return REEL_OK;
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
        err =
            e->path ? engine_open_net(e, &e->first) : reel_fail(REEL_ERR_NOMEM, "could not open model: out of memory");
        if (!err) err = gather_facts(e);
        e->params.bytes = NULL, e->params.n_bytes = 0;
    }
    if (err) {
        engines_close(&e);
        return err;
    }
    *out_engines = e;
    return REEL_OK;
}

void engines_close(struct engines **engines)
{
    struct engines *e = *engines;
    if (!e) return;
    for (int i = 0; i < ENGINES_MOST; i++) engine_destroy(&e->list[i]);
    for (int i = 0; i < REEL_MAX_PARTS; i++)
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

// ---- what is known without a run --------------------------------------------

enum reel_err engines_input_shapes(const struct engines *e, struct net *net, const struct model *model, int w, int h,
                                   struct reel_shape shapes[ENGINE_MAX_INPUTS])
{
    assert(net_input_count(net) <= ENGINE_MAX_INPUTS);
    model_input_shapes(model, &e->facts, w, h, shapes);
    enum reel_err err = state_set_size(net, &e->plan, w, h);
    return !err && e->plan.n ? net_state_shapes(net, shapes) : err;
}

enum reel_err engines_infer(struct engines *e, const struct model *model, int w, int h, struct reel_shape *out_shapes)
{
    struct reel_shape in[ENGINE_MAX_INPUTS];
    enum reel_err err = engines_input_shapes(e, e->first, model, w, h, in);
    return err ? err : net_infer_shapes(e->first, in, out_shapes);
}

// A size for a picture that the frames do not have.
static void other_size(struct model_given *g, int multiple, int w, int h)
{
    if (g->width != w || g->height != h) return;
    g->width += multiple, g->height += multiple;
}

static enum reel_err settle_picture(struct engines *e, struct model *model, int k, int w, int h)
{
    struct reel_shape as_frame[MODEL_MAX_OUTPUTS], own[MODEL_MAX_OUTPUTS];
    struct model_given *g = &model->input.given[k], was = *g;
    const bool fits = !engines_infer(e, model, w, h, as_frame);
    g->as_frame = false;
    other_size(g, model->input.size_multiple, w, h);
    const enum reel_err err = engines_infer(e, model, w, h, own);
    *g = was;
    bool same = !err;
    for (int i = 0; i < e->facts.n_out && same && fits; i++) same = reel_shape_equal(&as_frame[i], &own[i]);
    if (!fits && err)
        return reel_fail(REEL_ERR_UNSUPPORTED,
                         "could not give picture \"%s\" to input \"%s\" of model \"%s\", neither at the size of the "
                         "frames nor at its own: %s",
                         e->facts.pictures[g->picture].path, e->facts.pictures[g->picture].input, e->path,
                         reel_fail_text());
    g->as_frame = !same;
    g->sure = true;
    return REEL_OK;
}

enum reel_err engines_settle_pictures(struct engines *e, struct model *model, int w, int h)
{
    enum reel_err err = REEL_OK;
    for (int k = 0; k < model->input.n_given && !err; k++)
        if (!model->input.given[k].sure) err = settle_picture(e, model, k, w, h);
    return err;
}

// What a state holds of a pixel was spread by every frame before: no field bounds it.
// Nor is a picture of another size a place of the frame.
struct field_reach engines_reach(struct engines *e, const struct model *model, bool of_bits)
{
    bool apart = e->plan.n > 0;
    for (int k = 0; k < model->input.n_given; k++) apart |= !model->input.given[k].as_frame;
    if (apart) return (struct field_reach){.h = -1, .w = -1, .step = 1};
    return net_reach(e->first, of_bits);
}

const struct bands_need *engines_bands(struct engines *e)
{
    if (!e->bands_known) net_bands(e->first, &e->bands);
    e->bands_known = true;
    if (e->plan.n) e->bands = (struct bands_need){.why = "the network carries a state from frame to frame"};
    if (e->params.n_pictures) e->bands = (struct bands_need){.why = "the network is given pictures beside the frames"};
    return &e->bands;
}

void engines_exchange_by(struct engines *e, const struct backend_exchange *exchange)
{
    e->params.backend_params.exchange = exchange;
}

int engines_batch(struct engines *e, const struct model *model, int w, int h, int wish)
{
    const struct net_io *in = e->first ? net_input(e->first, model->input.index) : NULL;
    if (wish < 2 || !in || !(e->ops->caps & BACKEND_DEVICE_MEMORY) || net_input_count(e->first) != 1) return 1;
    if (model->input.no_batch || in->shape.ndim < 1 || in->shape.dim[0] >= 0) return 1;
    struct reel_shape shape[ENGINE_MAX_INPUTS], out[MODEL_MAX_OUTPUTS];
    if (engines_input_shapes(e, e->first, model, w, h, shape)) return 1;
    shape[0].dim[0] = wish;
    if (net_infer_shapes(e->first, shape, out)) return 1;
    for (int i = 0; i < e->facts.n_out; i++)
        if (out[i].ndim < 2 || out[i].dim[0] != wish || reel_shape_count(&out[i]) <= 0) return 1;
    return net_mixes_images(e->first, shape) ? 1 : wish;
}

// ---- prepared sizes ---------------------------------------------------------

// Without a model: a program that takes as long as one of so many parts.
static enum reel_err get_idle(struct engines *e, int parts, struct engine **out_engine)
{
    assert(parts <= REEL_MAX_PARTS);
    struct engine *g = &e->idle[parts > 1 ? parts - 1 : 0];
    struct backend_params params = e->params.backend_params;
    if (parts > 1) params.sim_ms /= parts;
    enum reel_err err = g->program ? REEL_OK : e->ops->compile(NULL, &params, &g->program);
    g->owner = e;
    g->batch = 1;
    *out_engine = g;
    return err;
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
    for (int i = 0; i < ENGINES_MOST; i++) {
        struct engine *g = e->list[i];
        if (g && g->w == w && g->h == h && g->batch == batch && same_band(g, band)) {
            g->last_use = ++e->clock;
            *out_engine = g;
            return REEL_OK;
        }
        if (!g || (e->list[oldest] && g->last_use < e->list[oldest]->last_use)) oldest = i;
    }
    engine_destroy(&e->list[oldest]);
    enum reel_err err = engine_create(e, model, w, h, batch, band, &e->list[oldest]);
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
    for (int i = 0; i < ENGINES_MOST; i++) engine_destroy(&e->list[i]);
}

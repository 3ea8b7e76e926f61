// SPDX-License-Identifier: MIT
//
// net.h over the importer, the passes and a backend. The imported graph stays
// as it was read; each preparation works on a copy that borrows its weights.
#include "worker/engine/net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/backend/ranges.h"
#include "worker/graph/apart.h"
#include "worker/graph/pass.h"
#include "worker/graph/sequence.h"
#include "worker/graph/shape.h"
#include "worker/onnx/import.h"

struct net {
    char *path;
    const struct backend_ops *backend;
    struct backend_params backend_params;
    struct graph *imported;
    struct net_io *in, *out;
    int n_in, n_out;
    struct graph *prepared; // after the passes, NULL before net_prepare()
    struct program *program;
    struct ranges *ranges; // of net_set_ranges()
    struct graph_state states[GRAPH_MAX_STATES];
    int n_states;
};

static enum reel_err in_model(const struct net *net, enum reel_err err)
{
    return err ? reel_fail_prefix(err, "model \"%s\": ", net->path) : REEL_OK;
}

// ---- opening ----------------------------------------------------------------

static void describe(struct net_io *io, const struct value *v)
{
    io->name = v->name;
    io->dtype = v->dtype;
    io->shape = v->shape;
    memcpy(io->dim_param, v->dim_param, sizeof io->dim_param);
    io->list = v->list;
}

static enum reel_err describe_all(struct net *net)
{
    free(net->in);
    free(net->out);
    net->n_in = net->imported->n_inputs;
    net->n_out = net->imported->n_outputs;
    net->in = calloc((size_t)net->n_in + 1, sizeof *net->in);
    net->out = calloc((size_t)net->n_out + 1, sizeof *net->out);
    if (!net->in || !net->out)
        return reel_fail(REEL_ERR_NOMEM, "could not open model \"%s\": out of memory", net->path);
    for (int i = 0; i < net->n_in; i++) {
        describe(&net->in[i], net->imported->inputs[i]);
        if (net->in[i].dtype == REEL_DTYPE_NONE) net->in[i].dtype = REEL_F32;
        if (net->in[i].dtype == REEL_STRING)
            return reel_fail(REEL_ERR_UNSUPPORTED, "could not use model \"%s\": input \"%s\" is of type string",
                             net->path, net->in[i].name);
    }
    for (int i = 0; i < net->n_out; i++) describe(&net->out[i], net->imported->outputs[i]);
    return REEL_OK;
}

static enum reel_err refuse_lists(const struct net *net)
{
    for (int i = 0; i < net->n_in + net->n_out; i++) {
        const struct net_io *io = i < net->n_in ? &net->in[i] : &net->out[i - net->n_in];
        if (io->list)
            return reel_fail(REEL_ERR_UNSUPPORTED, "could not use model \"%s\": %s \"%s\" is %s", net->path,
                             i < net->n_in ? "input" : "output", io->name,
                             io->list == LIST_OPTIONAL ? "optional" : "a sequence");
    }
    return REEL_OK;
}

static enum reel_err open_into(struct net *net, const char *path, const struct net_params *params)
{
    struct import_params limits = IMPORT_DEFAULTS;
    if (params->max_file_bytes) limits.max_file_bytes = params->max_file_bytes;
    net->path = strdup(path);
    if (!net->path) return reel_fail(REEL_ERR_NOMEM, "could not open model \"%s\": out of memory", path);
    enum reel_err err = params->bytes ? import_read(path, params->bytes, params->n_bytes, &limits, &net->imported)
                                      : import_file(path, &limits, &net->imported);
    if (err) return err;
    err = describe_all(net);
    return (err || params->lists) ? err : refuse_lists(net);
}

enum reel_err net_open_lists(struct net *net, const int *in_lengths, const int *out_lengths)
{
    enum reel_err err = sequence_open_lists(net->imported, in_lengths, out_lengths);
    return err ? err : describe_all(net);
}

enum reel_err net_join_inputs(struct net *net, const char *name, int axis, const int *which, int n)
{
    enum reel_err err = graph_join_inputs(net->imported, name, axis, which, n);
    return err ? err : describe_all(net);
}

// ---- inputs that no frame feeds ----------------------------------------------

static void fill_with(struct reel_tensor *t, double value)
{
    const size_t bytes = reel_dtype_bytes(t->dtype);
    for (int64_t i = 0, n = reel_tensor_count(t); i < n; i++)
        reel_convert((char *)t->data + (size_t)i * bytes, t->dtype, &value, REEL_F64, 1);
}

// What was borrowed from another net stays as it is there.
static enum reel_err fill_constant(struct net *net, struct value *v, double value)
{
    if (!v->constant->owned) {
        struct reel_tensor own;
        enum reel_err err = reel_tensor_init(&own, v->constant->dtype, &v->constant->shape);
        if (err) return err;
        struct reel_tensor *mine = graph_own_tensor(net->imported, &own);
        if (!mine) {
            reel_tensor_fini(&own);
            return reel_fail(REEL_ERR_NOMEM, "could not set input \"%s\": out of memory", v->name);
        }
        v->constant = mine;
    }
    fill_with(v->constant, value);
    return REEL_OK;
}

enum reel_err net_bind_input(struct net *net, const char *name, double value)
{
    struct value *v = graph_find_value(net->imported, name);
    if (v && v->constant) return fill_constant(net, v, value);
    int at = 0;
    while (at < net->n_in && strcmp(net->in[at].name, name)) at++;
    if (at == net->n_in || !reel_dtype_bytes(net->in[at].dtype) || net->in[at].list)
        return reel_fail(REEL_ERR_UNSUPPORTED, "could not set input \"%s\" of model \"%s\": it takes no numbers", name,
                         net->path);
    struct reel_shape shape = net->in[at].shape;
    if (shape.ndim < 0) shape = (struct reel_shape){.ndim = 1};
    for (int d = 0; d < shape.ndim; d++)
        if (shape.dim[d] <= 0) shape.dim[d] = 1;
    struct reel_tensor t;
    enum reel_err err = reel_tensor_init(&t, net->in[at].dtype, &shape);
    if (err) return err;
    fill_with(&t, value);
    err = graph_bind_input(net->imported, at, &t);
    if (err) reel_tensor_fini(&t);
    return err ? err : describe_all(net);
}

enum reel_err net_add_composite(struct net *net, int foreground, int matte, const double background[3],
                                const char *name)
{
    enum reel_err err = graph_add_composite(net->imported, foreground, matte, background, name);
    return err ? err : describe_all(net);
}

enum reel_err net_take_middle(struct net *net, int output, int frames)
{
    enum reel_err err = graph_take_middle(net->imported, output, frames);
    return err ? err : describe_all(net);
}

enum reel_err net_add_channel(struct net *net, int input, int axis, double number)
{
    enum reel_err err = graph_add_channel(net->imported, input, axis, number);
    return err ? err : describe_all(net);
}

enum reel_err net_add_border(struct net *net, int axis, const int border[2])
{
    enum reel_err err = graph_add_border(net->imported, 0, axis, border);
    return err ? err : describe_all(net);
}

void net_set_states(struct net *net, const struct graph_state *states, int n)
{
    memcpy(net->states, states, (size_t)n * sizeof *states);
    net->n_states = n;
}

enum reel_err net_state_shapes(const struct net *net, struct reel_shape *in_shapes)
{
    return in_model(net, graph_state_shapes(net->imported, net->backend->caps, net->states, net->n_states, in_shapes));
}

enum reel_err net_open(const char *path, const struct net_params *params, struct net **out_net)
{
    *out_net = NULL;
    const char *name = params->backend ? params->backend : "onednn";
    const struct backend_ops *backend = backend_find(name);
    if (!backend) return reel_fail(REEL_ERR_CONFIG, "could not use backend \"%s\": there is none of this name", name);
    struct net *net = calloc(1, sizeof *net);
    if (!net) return reel_fail(REEL_ERR_NOMEM, "could not open model \"%s\": out of memory", path);
    net->backend = backend;
    net->backend_params = params->backend_params;
    enum reel_err err = open_into(net, path, params);
    if (err)
        net_close(&net);
    else
        *out_net = net;
    return err;
}

enum reel_err net_copy(const struct net *net, const struct backend_params *backend_params, struct net **out_net)
{
    struct net *copy = *out_net = calloc(1, sizeof *copy);
    enum reel_err err = copy ? REEL_OK : REEL_ERR_NOMEM;
    if (!err) {
        copy->backend = net->backend;
        copy->backend_params = *backend_params;
        net_set_states(copy, net->states, net->n_states);
        copy->path = strdup(net->path);
        copy->imported = graph_clone(net->imported);
        if (!copy->path || !copy->imported) err = REEL_ERR_NOMEM;
    }
    if (err)
        reel_fail(err, "could not prepare model \"%s\": out of memory", net->path);
    else
        err = describe_all(copy);
    if (err && copy) net_close(out_net);
    return err;
}

static void drop_program(struct net *net)
{
    if (net->program) net->backend->destroy(&net->program);
    graph_destroy(&net->prepared);
}

void net_close(struct net **net)
{
    if (!*net) return;
    drop_program(*net);
    ranges_destroy(&(*net)->ranges);
    graph_destroy(&(*net)->imported);
    free((*net)->in);
    free((*net)->out);
    free((*net)->path);
    free(*net);
    *net = NULL;
}

int net_input_count(const struct net *net)
{
    return net->n_in;
}

int net_output_count(const struct net *net)
{
    return net->n_out;
}

const struct net_io *net_input(const struct net *net, int i)
{
    return &net->in[i];
}

const struct net_io *net_output(const struct net *net, int i)
{
    return &net->out[i];
}

const char *net_meta(const struct net *net, const char *key)
{
    for (int i = 0; i < net->imported->n_meta; i++)
        if (!strcmp(net->imported->meta_keys[i], key)) return net->imported->meta_values[i];
    return NULL;
}

const char *net_producer(const struct net *net)
{
    return net->imported->producer;
}

const struct graph *net_graph(const struct net *net)
{
    return net->imported;
}

// ---- preparing --------------------------------------------------------------

// Input shapes must be complete and agree with what the file fixes.
static enum reel_err check_shapes(const struct net *net, const struct reel_shape *shapes)
{
    for (int i = 0; i < net->n_in; i++) {
        const struct reel_shape *want = &net->imported->inputs[i]->shape, *have = &shapes[i];
        bool ok = reel_shape_count(have) >= 0 && (want->ndim < 0 || want->ndim == have->ndim);
        for (int d = 0; ok && d < want->ndim; d++)
            if (want->dim[d] > 0 && want->dim[d] != have->dim[d]) ok = false;
        if (ok) continue;
        char a[128], b[128];
        return reel_fail(REEL_ERR_INPUT, "could not prepare model \"%s\": input \"%s\" is %s, not %s", net->path,
                         net->in[i].name, reel_shape_text(want, a, sizeof a), reel_shape_text(have, b, sizeof b));
    }
    return REEL_OK;
}

static enum reel_err copy_graph(const struct net *net, struct graph **out_graph)
{
    *out_graph = graph_clone(net->imported);
    return *out_graph ? REEL_OK : reel_fail(REEL_ERR_NOMEM, "could not prepare model \"%s\": out of memory", net->path);
}

enum reel_err net_prepare(struct net *net, const struct reel_shape *in_shapes)
{
    return net_prepare_band(net, in_shapes, NULL);
}

enum reel_err net_prepare_band(struct net *net, const struct reel_shape *in_shapes, const struct band *band)
{
    drop_program(net);
    enum reel_err err = check_shapes(net, in_shapes);
    if (!err) err = copy_graph(net, &net->prepared);
    if (err) return err;
    struct pass_params params = {.caps = net->backend->caps, .in_shapes = in_shapes};
    err = pass_run_all(net->prepared, &params, NULL);
    if (!err && band) err = bands_mark(net->prepared, band);
    for (int i = 0; i < net->n_states && !err; i++)
        if (!net->states[i].of_input) net->prepared->outputs[net->states[i].out]->is_state = true;
    if (!err) err = net->backend->compile(net->prepared, &net->backend_params, &net->program);
    if (err) {
        drop_program(net);
        return in_model(net, err);
    }
    for (int i = 0; i < net->n_in; i++) net->in[i].shape = in_shapes[i];
    for (int i = 0; i < net->n_out; i++) {
        net->out[i].dtype = net->prepared->outputs[i]->dtype;
        net->out[i].shape = net->prepared->outputs[i]->shape;
    }
    return REEL_OK;
}

// A copy of the graph whose values have their shapes. NULL with an error.
static enum reel_err infer(struct net *net, const struct reel_shape *in_shapes, struct graph **out_graph)
{
    *out_graph = NULL;
    enum reel_err err = check_shapes(net, in_shapes);
    if (!err) err = copy_graph(net, out_graph);
    if (err) return err;
    struct pass_params params = {.caps = net->backend->caps, .in_shapes = in_shapes};
    err = pass_float(*out_graph, &params);
    if (!err) err = shape_infer(*out_graph, in_shapes);
    if (err) graph_destroy(out_graph);
    return in_model(net, err);
}

enum reel_err net_infer_shapes(struct net *net, const struct reel_shape *in_shapes, struct reel_shape *out_shapes)
{
    struct graph *graph;
    enum reel_err err = infer(net, in_shapes, &graph);
    for (int i = 0; !err && i < net->n_out; i++) out_shapes[i] = graph->outputs[i]->shape;
    graph_destroy(&graph);
    return err;
}

bool net_mixes_images(struct net *net, const struct reel_shape *shape)
{
    struct graph *one = NULL, *several = NULL;
    struct reel_shape alone = *shape;
    alone.dim[0] = 1;
    const bool apart = net->n_in == 1 && !infer(net, &alone, &one) && !infer(net, shape, &several) &&
                       !graph_mixes_images(one, several);
    graph_destroy(&one);
    graph_destroy(&several);
    return !apart;
}

void net_set_ranges(struct net *net, struct ranges *ranges)
{
    ranges_destroy(&net->ranges);
    net->backend_params.ranges = net->ranges = ranges;
}

enum precision net_precision(const struct net *net)
{
    return net->backend_params.precision;
}

// ---- running ----------------------------------------------------------------

enum reel_err net_run(struct net *net, const struct reel_tensor *const *in, struct reel_tensor *out, bool borrow)
{
    if (!net->program) return reel_fail(REEL_ERR_CONFIG, "could not run model \"%s\": it is not prepared", net->path);
    for (int i = 0; i < net->n_in; i++) {
        if (in[i]->dtype == net->in[i].dtype && reel_shape_equal(&in[i]->shape, &net->in[i].shape)) continue;
        char a[128], b[128];
        return reel_fail(REEL_ERR_INPUT, "could not run model \"%s\": input \"%s\" is %s %s, but was prepared as %s %s",
                         net->path, net->in[i].name, reel_dtype_name(in[i]->dtype),
                         reel_shape_text(&in[i]->shape, a, sizeof a), reel_dtype_name(net->in[i].dtype),
                         reel_shape_text(&net->in[i].shape, b, sizeof b));
    }
    return net->backend->run(net->program, in, out, borrow);
}

const struct backend_ops *net_backend(const struct net *net)
{
    return net->backend;
}

struct program *net_program(struct net *net)
{
    return net->program;
}

// ---- facts ------------------------------------------------------------------

struct reel_shape net_default_shape(const struct net *net, int i, int64_t h, int64_t w)
{
    const struct value *v = net->imported->inputs[i];
    struct reel_shape shape = v->shape;
    if (shape.ndim < 0) return shape;
    int64_t c = shape.ndim == 4 ? shape.dim[1] : 0, last = shape.ndim == 4 ? shape.dim[3] : 0;
    if (shape.ndim == 5) { // frames of pictures (1,T,C,H,W), clips (1,C,T,H,W)
        const bool clip = shape.dim[1] == 3 && shape.dim[2] != 3;
        const int64_t usual[5] = {1, clip ? 3 : 1, clip ? 16 : 3, h, w};
        for (int d = 0; d < 5; d++)
            if (shape.dim[d] <= 0) shape.dim[d] = usual[d];
        return shape;
    }
    bool channels_last = shape.ndim == 4 && last >= 1 && last <= 4 && !(c >= 1 && c <= 4);
    if (shape.ndim == 4 && c <= 0 && shape.dim[2] <= 0 && last > 4 && last <= 45)
        channels_last = true; // several frames'
    for (int d = 0; d < shape.ndim; d++) {
        if (shape.dim[d] > 0) continue;
        int axis = shape.ndim == 4 ? d : 0;
        bool is_h = axis == (channels_last ? 1 : 2), is_w = axis == (channels_last ? 2 : 3);
        shape.dim[d] = is_h ? h : is_w ? w : axis == 1 || axis == 3 ? 3 : 1;
    }
    // The first convolution tells how many channels a dynamic extent has.
    if (shape.ndim == 4 && !channels_last && v->shape.dim[1] <= 0)
        for (int k = 0; k < v->n_use_nodes; k++) {
            const struct node *node = v->uses[k];
            if (!strcmp(node->op_type, "Cast") && node->out[0] && node->out[0]->n_use_nodes)
                node = node->out[0]->uses[0];
            if (strcmp(node->op_type, "Conv") || node->n_in < 2 || !node->in[1] || node->in[1]->shape.ndim != 4)
                continue;
            shape.dim[1] = node->in[1]->shape.dim[1] * node_attr_int(node, "group", 1);
        }
    return shape;
}

static bool is_state(const struct net *net, int input)
{
    for (int i = 0; i < net->n_states; i++)
        if (net->states[i].in == input) return true;
    return false;
}

// The first output that is no state.
static int main_output(const struct net *net)
{
    for (int o = 0; o < net->n_out; o++) {
        bool state = false;
        for (int i = 0; i < net->n_states; i++) state |= !net->states[i].of_input && net->states[i].out == o;
        if (!state) return o;
    }
    return 0;
}

// A trial size that powers of two and three divide; small enough to be quick.
#define TRIAL 768

// The imported graph with shapes inferred, those of states from the others; NULL
// when the graph refuses them.
static struct graph *trial_of(struct net *net, struct reel_shape *shapes)
{
    struct graph *graph = graph_clone(net->imported);
    enum reel_err err = graph ? REEL_OK : REEL_ERR_NOMEM;
    struct pass_params params = {.caps = net->backend->caps, .in_shapes = shapes};
    if (!err && net->n_states) err = net_state_shapes(net, shapes);
    if (!err) err = pass_float(graph, &params);
    if (!err) err = shape_infer(graph, shapes);
    if (!err) err = pass_clean(graph, &params);
    if (!err) err = pass_rewrite(graph, &params);
    if (err) graph_destroy(&graph);
    return graph;
}

// For pictures of h x w.
static struct graph *trial(struct net *net, int64_t h, int64_t w)
{
    struct reel_shape *shapes = calloc((size_t)net->n_in + 1, sizeof *shapes);
    bool known = shapes;
    for (int i = 0; i < net->n_in && known; i++) {
        shapes[i] = net_default_shape(net, i, h, w);
        known = shapes[i].ndim >= 0 || is_state(net, i);
    }
    struct graph *graph = known ? trial_of(net, shapes) : NULL;
    free(shapes);
    return graph;
}

// Winograd F(4x4) of kernels/conv_cpu.h; no backend makes larger blocks.
#define CONV_BLOCK 4

struct field_reach net_reach(struct net *net, bool of_bits)
{
    struct field_reach reach = {.h = -1, .w = -1, .step = 1};
    struct graph *graph = trial(net, TRIAL, TRIAL);
    if (graph) reach = field_reach_of(graph, of_bits ? CONV_BLOCK : 1);
    graph_destroy(&graph);
    return reach;
}

void net_bands(struct net *net, struct bands_need *out)
{
    *out = (struct bands_need){.why = "the backend cannot exchange rows between workers"};
    if (!(net->backend->caps & BACKEND_EXCHANGES)) return;
    struct reel_shape *shapes = calloc((size_t)net->n_in + 1, sizeof *shapes);
    struct graph *graph = shapes ? graph_clone(net->imported) : NULL;
    struct pass_params params = {.caps = net->backend->caps, .in_shapes = shapes};
    for (int i = 0; i < net->n_in && graph; i++) {
        shapes[i] = net_default_shape(net, i, TRIAL, TRIAL);
        if (shapes[i].ndim < 0) graph_destroy(&graph);
    }
    if (graph && !pass_run_all(graph, &params, NULL)) bands_need_of(graph, out);
    graph_destroy(&graph);
    free(shapes);
}

// Whether pictures of `side` pixels go through, and come out as much larger as
// those of TRIAL where the output is a picture.
static bool side_works(struct net *net, int64_t side, const struct reel_shape *base)
{
    struct graph *graph = trial(net, side, side);
    if (!graph) return false;
    const struct reel_shape *out = &graph->outputs[main_output(net)]->shape;
    bool ok = out->ndim == base->ndim;
    for (int d = 0; ok && d < out->ndim; d++)
        if (base->ndim == 4 && base->dim[d] >= TRIAL && out->dim[d] * TRIAL != base->dim[d] * side) ok = false;
    graph_destroy(&graph);
    return ok;
}

// Odd multiples of a step show what it leaves undivided; one of them may pass
// by the luck of rounding, several do not.
static bool step_works(struct net *net, int step, const struct reel_shape *base)
{
    static const int odd[] = {1, 3, 5, 7};
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++)
        if (!side_works(net, TRIAL + (int64_t)step * odd[i], base)) return false;
    return true;
}

// Whether the output is a map of exactly the picture's size, for pictures of `side` pixels.
static bool map_fits(struct net *net, int64_t side)
{
    struct graph *graph = trial(net, side, side);
    const struct reel_shape *out = graph ? &graph->outputs[main_output(net)]->shape : NULL;
    const int n = out ? out->ndim : 0;
    const bool ok = (n == 3 || n == 4) && out->dim[n - 1] == side && out->dim[n - 2] == side;
    graph_destroy(&graph);
    return ok;
}

// Patches of transformers (Depth Anything: 14 pixels) leave out what does not fill one, and the map
// that is made of them is smaller. 0: it is no such network.
static int patch_of(struct net *net, const struct reel_shape *base)
{
    static const int patches[] = {14, 28};
    const int n = base->ndim;
    if ((n != 3 && n != 4) || base->dim[n - 1] != base->dim[n - 2] || base->dim[n - 1] >= TRIAL ||
        base->dim[n - 1] <= TRIAL - 28)
        return 0;
    for (size_t i = 0; i < sizeof patches / sizeof patches[0]; i++) {
        const int64_t side = (TRIAL + patches[i] - 1) / patches[i] * patches[i];
        if (map_fits(net, side) && map_fits(net, side + patches[i]) && map_fits(net, side + 3 * (int64_t)patches[i]))
            return patches[i];
    }
    return 0;
}

int net_size_multiple(struct net *net)
{
    static const int steps[] = {1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 128};
    bool dynamic = false;
    for (int i = 0; i < net->n_in; i++) {
        const struct reel_shape *s = &net->imported->inputs[i]->shape;
        for (int d = 1; (s->ndim == 4 || s->ndim == 5) && d < s->ndim; d++) dynamic |= s->dim[d] <= 0;
    }
    struct graph *graph = dynamic ? trial(net, TRIAL, TRIAL) : NULL;
    if (!graph) return 1;
    struct reel_shape base = graph->outputs[main_output(net)]->shape;
    graph_destroy(&graph);
    const int patch = patch_of(net, &base);
    if (patch) return patch;
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
        if (step_works(net, steps[i], &base)) return steps[i];
    return 1;
}

// The extents of the picture that the one input's, of h x w, becomes. False: it is none.
static bool picture_of(struct net *net, int axis, int64_t h, int64_t w, int64_t out[2])
{
    struct reel_shape shape = net_default_shape(net, 0, h, w);
    shape.dim[axis] = h, shape.dim[axis + 1] = w; // also where the file fixes another size
    struct graph *graph = trial_of(net, &shape);
    const struct reel_shape *made = graph ? &graph->outputs[0]->shape : NULL;
    const bool ok = made && made->ndim == 4 && (made->dim[axis == 2 ? 1 : 3] == 3 || made->dim[axis == 2 ? 1 : 3] == 1);
    for (int d = 0; ok && d < 2; d++) out[d] = made->dim[axis + d];
    graph_destroy(&graph);
    return ok;
}

void net_find_border(struct net *net, int out_border[2], int *out_axis)
{
    out_border[0] = out_border[1] = 0;
    if (net->n_in != 1 || net->n_out != 1 || net->n_states) return;
    const struct reel_shape shape = net_default_shape(net, 0, TRIAL, TRIAL);
    if (shape.ndim != 4 || shape.dim[0] != 1) return;
    const bool first = shape.dim[1] == 3 || shape.dim[1] == 1, last = shape.dim[3] == 3 || shape.dim[3] == 1;
    const int axis = *out_axis = first ? 2 : 1;
    const int64_t h = shape.dim[axis], w = shape.dim[axis + 1];
    int64_t small[2], large[2];
    int border[2];
    if (first == last || !picture_of(net, axis, h, w, small)) return;
    if (small[0] == h && small[1] == w) return; // the usual case, at the price of one inference
    if (!picture_of(net, axis, h + TRIAL / 4, w + TRIAL / 4, large)) return;
    const int64_t scale = (large[0] - small[0]) / (TRIAL / 4);
    for (int d = 0; d < 2; d++) {
        const int64_t side = d ? w : h, lacks = side * scale - small[d];
        if (scale < 1 || large[d] - small[d] != scale * (TRIAL / 4) || lacks < 0 || lacks % scale) return;
        if (lacks / scale >= side / 2) return;
        border[d] = (int)(lacks / scale);
    }
    memcpy(out_border, border, sizeof border);
}

size_t net_memory_bytes(const struct net *net)
{
    return net->program ? net->backend->memory_bytes(net->program) : 0;
}

void net_dump(const struct net *net, bool after_passes, void *stdio_file)
{
    if (!after_passes) {
        graph_dump(net->imported, stdio_file);
        return;
    }
    if (!net->prepared) return;
    graph_dump(net->prepared, stdio_file);
    net->backend->dump(net->program, stdio_file);
}

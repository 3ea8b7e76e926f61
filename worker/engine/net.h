// SPDX-License-Identifier: MIT
//
// A network as the worker uses it: an ONNX file, read and made ready for given
// input shapes, then run frame after frame. This is the whole face of the
// executor (onnx/, graph/, backend/) towards the rest of the worker, and of
// --eval_model, --bench_model and --dump_graph.
#ifndef REEL_WORKER_ENGINE_NET_H
#define REEL_WORKER_ENGINE_NET_H

#include "worker/backend/backend.h"
#include "worker/graph/bands.h"
#include "worker/graph/field.h"
#include "worker/graph/state.h"

struct net;

struct net_params {
    const char *backend; // "onednn", "cudnn"
    struct backend_params backend_params;
    size_t max_file_bytes; // refuse larger models; 0 = 4 GiB
    const void *bytes;     // of the file, borrowed during net_open(); NULL: it is read
    size_t n_bytes;
    bool lists; // sequences and optionals among inputs and outputs: net_open_lists() is to follow
};

struct net_io {
    const char *name; // holds as long as the net
    enum reel_dtype dtype;
    struct reel_shape shape; // as declared; -1 = dynamic. After net_prepare: resolved (outputs may keep -1)
    const char *dim_param[REEL_MAX_DIMS];
    enum list_kind list; // only with net_params.lists
};

// Reads and checks the file: protobuf, opsets, operators (every node known, or
// refused by node, operator, opset and reason), external data beneath the
// model's folder only. Shapes may still be open. Errors: INPUT, UNSUPPORTED,
// IO, NOMEM, LIMIT.
enum reel_err net_open(const char *path, const struct net_params *params, struct net **out_net);
void net_close(struct net **net);

// Gives lists their lengths: sequence_open_lists(), once, before net_prepare().
// Inputs and outputs are counted anew.
enum reel_err net_open_lists(struct net *net, const int *in_lengths, const int *out_lengths);

// Those n inputs, which are of one type and shape, become the first input, of this name,
// in which they lie one behind the other along axis. Once, before net_prepare().
enum reel_err net_join_inputs(struct net *net, const char *name, int axis, const int *which, int n);

// The input of this name becomes a constant, one number in all its elements (open
// extents are 1), or, when it is one already, another number. Before net_prepare().
// Errors: UNSUPPORTED (no input of numbers), NOMEM, LIMIT.
enum reel_err net_bind_input(struct net *net, const char *name, double value);
// Inputs that take what an output was in the run before. Once, before net_prepare().
void net_set_states(struct net *net, const struct graph_state *states, int n);
// Sets the shapes of states, which follow from the others (graph_state_shapes()).
enum reel_err net_state_shapes(const struct net *net, struct reel_shape *in_shapes);

// graph_add_composite(). Once, before net_prepare().
enum reel_err net_add_composite(struct net *net, int foreground, int matte, const double background[3],
                                const char *name);

// Rows and columns in all that a network's picture lacks, in pixels of its one input: of networks
// that do not pad, whose picture is `scale` times as large but for a border. 0 and 0: it lacks
// none, or it makes no picture of a frame. out_axis: the input's axis of rows.
void net_find_border(struct net *net, int out_border[2], int *out_axis);
// graph_add_border() around the one input. Once, before net_prepare().
enum reel_err net_add_border(struct net *net, int axis, const int border[2]);

// graph_take_middle(). Once for an output, before net_prepare().
enum reel_err net_take_middle(struct net *net, int output, int frames);

int net_input_count(const struct net *net);
int net_output_count(const struct net *net);
const struct net_io *net_input(const struct net *net, int i);
const struct net_io *net_output(const struct net *net, int i);
// Metadata of the file ("names" of a YOLO export, ...); NULL when absent.
const char *net_meta(const struct net *net, const char *key);
const char *net_producer(const struct net *net);
// The imported graph before passes, for guessing what a model is.
const struct graph *net_graph(const struct net *net);

// Fixes the input shapes, runs the passes and compiles. May be called again
// with other shapes (the last program is dropped; weights are read again from
// the imported graph). Errors: INPUT (a shape the graph refuses, with node),
// UNSUPPORTED, NOMEM.
enum reel_err net_prepare(struct net *net, const struct reel_shape *in_shapes);
// The same for one band of a picture, whose rows and margins in_shapes has, run
// together with the others (graph/bands.h) through backend_params.exchange.
enum reel_err net_prepare_band(struct net *net, const struct reel_shape *in_shapes, const struct band *band);
// What the values measured, for net_prepare(): in place of backend_params.ranges.
// Consumes ranges.
void net_set_ranges(struct net *net, struct ranges *ranges);
enum precision net_precision(const struct net *net);
// Output shapes for given input shapes without compiling; extents that depend
// on data are -1.
enum reel_err net_infer_shapes(struct net *net, const struct reel_shape *in_shapes, struct reel_shape *out_shapes);

// Runs once. in[i] must have the prepared type and shape. out as in
// backend_ops.run.
enum reel_err net_run(struct net *net, const struct reel_tensor *const *in, struct reel_tensor *out, bool borrow);

// The compiled program and its backend, for work on device memory; holds until
// the next net_prepare().
const struct backend_ops *net_backend(const struct net *net);
struct program *net_program(struct net *net);

// A full shape for input i: what the file fixes, and for open extents 1, the
// channels the first convolution takes, and h x w. ndim -1 when the file does
// not even fix the rank.
struct reel_shape net_default_shape(const struct net *net, int i, int64_t h, int64_t w);

// How far an output pixel sees, or its bits (graph/field.h), and where pictures
// may be cut.
struct field_reach net_reach(struct net *net, bool of_bits);
// Whether an image's result may depend on those beside it in a run of several, whose number is
// the first extent of the input's shape (graph/apart.h). Of networks with one input; of others
// it is taken to.
bool net_mixes_images(struct net *net, const struct reel_shape *shape);
// What it needs to be run in bands that exchange rows. Not fit: its backend or
// one of its operators cannot.
void net_bands(struct net *net, struct bands_need *out);
// What input sizes must be a multiple of; 1 when any size works.
int net_size_multiple(struct net *net);

size_t net_memory_bytes(const struct net *net);
void net_dump(const struct net *net, bool after_passes, void *stdio_file);

#endif

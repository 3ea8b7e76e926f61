// SPDX-License-Identifier: MIT
//
// A network as the worker uses it: an ONNX file, read and prepared for given input shapes,
// then run frame after frame. This is the only interface of the executor (onnx/, graph/,
// backend/) for the rest of the worker, and for --eval_model, --bench_model and
// --dump_graph.
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
    const void *bytes;     // of the file, borrowed during net_open(); NULL: net_open() reads it
    size_t n_bytes;
    bool lists; // allow sequences and optionals as inputs and outputs; net_open_lists() must follow
};

struct net_io {
    const char *name; // valid for the life of the net
    enum reel_dtype dtype;
    struct reel_shape shape; // as declared; -1 = dynamic. After net_prepare: resolved (outputs may keep -1)
    const char *dim_param[REEL_MAX_DIMS];
    enum list_kind list; // only with net_params.lists
};

// Reads and checks the file: protobuf, opsets, operators (a node that is not supported is
// reported with operator, opset and reason), external data only below the model's folder.
// Shapes may stay open. Errors: INPUT, UNSUPPORTED, IO, NOMEM, LIMIT.
enum reel_err net_open(const char *path, const struct net_params *params, struct net **out_net);
// Another net of the same graph, with what was changed of it since it was opened. It borrows
// the weights, so it must be closed first. Metadata stays behind. Errors: NOMEM.
enum reel_err net_copy(const struct net *net, const struct backend_params *backend_params, struct net **out_net);
void net_close(struct net **net);

// Sets the lengths of lists (sequence_open_lists()). Once, before net_prepare(); it changes
// the number of inputs and outputs.
enum reel_err net_open_lists(struct net *net, const int *in_lengths, const int *out_lengths);

// Replaces n inputs of one type and shape by a new first input of this name, in which they
// are concatenated along axis. Once, before net_prepare().
enum reel_err net_join_inputs(struct net *net, const char *name, int axis, const int *which, int n);

// Turns an input into a constant with one value in all elements (open extents are 1), or
// changes the value of one that already is. Before net_prepare(). Errors: UNSUPPORTED (not
// a numeric input), NOMEM, LIMIT.
enum reel_err net_bind_input(struct net *net, const char *name, double value);
// Declares inputs that take the value that an output had in the run before. Once, before
// net_prepare().
void net_set_states(struct net *net, const struct graph_state *states, int n);
// Fills in the shapes of states, which follow from the other inputs (graph_state_shapes()).
enum reel_err net_state_shapes(const struct net *net, struct reel_shape *in_shapes);

// graph_add_composite(). Once, before net_prepare().
enum reel_err net_add_composite(struct net *net, int foreground, int matte, const double background[3],
                                const char *name);

// How many rows and columns in total the network's output picture lacks, in pixels of its
// only input. For networks without padding, whose output is `scale` times as large except
// for a border. 0 and 0 if nothing is lacking, or the network does not turn a frame into a
// picture. out_axis: the input's axis of rows.
void net_find_border(struct net *net, int out_border[2], int *out_axis);
// graph_add_channel() behind those of input i. Before net_prepare().
enum reel_err net_add_channel(struct net *net, int input, int axis, double number);
// graph_add_border() around the one input. Once, before net_prepare().
enum reel_err net_add_border(struct net *net, int axis, const int border[2]);

// graph_take_middle(). Once per output, before net_prepare().
enum reel_err net_take_middle(struct net *net, int output, int frames);

int net_input_count(const struct net *net);
int net_output_count(const struct net *net);
const struct net_io *net_input(const struct net *net, int i);
const struct net_io *net_output(const struct net *net, int i);
// Metadata of the file (such as "names" in a YOLO export); NULL if absent.
const char *net_meta(const struct net *net, const char *key);
const char *net_producer(const struct net *net);
// The imported graph before passes, for guessing what the model does.
const struct graph *net_graph(const struct net *net);

// Fixes the input shapes, runs the passes and compiles. May be called again with other
// shapes: the last program is dropped, and the weights are taken from the imported graph
// again. Errors: INPUT (the graph rejects a shape; names the node), UNSUPPORTED, NOMEM.
enum reel_err net_prepare(struct net *net, const struct reel_shape *in_shapes);
// The same for one band of a picture, run together with the others (graph/bands.h) through
// backend_params.exchange. in_shapes include the band's margins.
enum reel_err net_prepare_band(struct net *net, const struct reel_shape *in_shapes, const struct band *band);
// Sets measured ranges for net_prepare(), in place of backend_params.ranges. Consumes
// ranges.
void net_set_ranges(struct net *net, struct ranges *ranges);
enum precision net_precision(const struct net *net);
// Output shapes for given input shapes without compiling; extents that depend
// on data are -1.
enum reel_err net_infer_shapes(struct net *net, const struct reel_shape *in_shapes, struct reel_shape *out_shapes);

// Runs once. in[i] must have the prepared type and shape. out as in
// backend_ops.run.
enum reel_err net_run(struct net *net, const struct reel_tensor *const *in, struct reel_tensor *out, bool borrow);

// The compiled program and its backend, for work in device memory; valid until the next
// net_prepare().
const struct backend_ops *net_backend(const struct net *net);
struct program *net_program(struct net *net);

// A complete shape for input i: what the file fixes; for open extents 1, the channels of
// the first convolution, and h x w. ndim is -1 if the file does not even fix the rank.
struct reel_shape net_default_shape(const struct net *net, int i, int64_t h, int64_t w);

// The receptive field of an output pixel's value, or of its exact bits (graph/field.h), and
// where pictures may be cut.
struct field_reach net_reach(struct net *net, bool of_bits);
// Whether the result for one image may depend on the other images of the same run, whose
// number is the first extent of the input's shape (graph/apart.h). Assumed for networks
// with several inputs.
bool net_mixes_images(struct net *net, const struct reel_shape *shape);
// What is needed to run it in bands that exchange rows. Not fit: the backend or an operator
// cannot.
void net_bands(struct net *net, struct bands_need *out);
// What input sizes must be a multiple of; 1 when any size works.
int net_size_multiple(struct net *net);

size_t net_memory_bytes(const struct net *net);
void net_dump(const struct net *net, bool after_passes, void *stdio_file);

#endif

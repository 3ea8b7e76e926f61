// SPDX-License-Identifier: MIT
//
// A backend compiles a graph with fixed shapes into a program and runs it.
//
// backend.c has the list of backends and the choice. Each implementation is
// backend_<name>.c and exports one const struct backend_ops. Passes read the declared
// capabilities, never a backend's name.
#ifndef REEL_WORKER_BACKEND_BACKEND_H
#define REEL_WORKER_BACKEND_BACKEND_H

#include "worker/graph/graph.h"

enum precision {
    PRECISION_AUTO, // the backend's default: fp32 on CPUs, fp16 on GPUs
    PRECISION_FP32,
    PRECISION_TF32,
    PRECISION_FP16,
    PRECISION_BF16,
    PRECISION_FP8,
};

enum backend_cap {
    BACKEND_FUSES_ACT = 1 << 0,      // takes EPILOGUE_* activations on Conv, ConvTranspose, MatMul, Gemm
    BACKEND_FUSES_RESIDUAL = 1 << 1, // takes EPILOGUE_ADD with a full tensor on Conv
    BACKEND_FUSES_PRELU = 1 << 2,    // takes EPILOGUE_PRELU
    BACKEND_DYNAMIC_TAIL = 1 << 3,   // runs operators whose output shape depends on data
    BACKEND_DEVICE_MEMORY = 1 << 4,  // inputs and outputs are device pointers
    BACKEND_NO_MODEL = 1 << 5,       // needs no network (sim)
    BACKEND_INT8 = 1 << 7,           // 8-bit kernels: quantised networks keep their scales (pass_quant.c)
    BACKEND_FEW_CHANNELS = 1 << 8,   // convolutions with few input channels are as fast as others
    BACKEND_DEVICE_IS_HOST = 1 << 6, // device pointers are host pointers: the CPU twin of a GPU backend
    BACKEND_STEPS = 1 << 10,         // runs quantised networks in float32 between QuantizeLinear and DequantizeLinear
    BACKEND_EXCHANGES = 1 << 9,      // runs graphs for one band of a picture (graph/bands.h)
};

// Rows of a value that neighbouring bands give each other: a band sends its first and last
// own rows and receives the rows beyond them, `bytes` long each. The outermost bands ignore
// the pointers on their open side.
struct backend_rows {
    const void *send_up, *send_down;
    void *from_up, *from_down;
    size_t bytes;
};
// How rows are exchanged. Errors, including GONE, end the run.
struct backend_exchange {
    // Rows in host memory; they have arrived when it returns.
    enum reel_err (*rows)(void *user, const struct backend_rows *rows);
    // Rows in device memory, ordered on the stream. AGAIN: not possible now, use rows().
    // NULL: never possible.
    enum reel_err (*device_rows)(void *user, const struct backend_rows *rows, void *stream);
    void *user;
};

struct backend_params {
    int device;  // GPU number; ignored on CPUs
    int threads; // compute threads of a CPU backend
    enum precision precision;
    double sim_ms;        // sim: duration of a frame in ms
    const char *plans;    // cudnn: file of measured engines (--plans); NULL or "": none
    const char *autotune; // cudnn: time engines while compiling and write the choice to this file; NULL: no
    // FP8: the measured ranges of the network's values (calibrate.h); borrowed while
    // programs are compiled. NULL: unknown, and nothing runs in fp8.
    const struct ranges *ranges;
    const struct backend_exchange *exchange; // for graphs of bands; borrowed for the life of their programs
};

struct ranges; // ranges.h

struct program; // a compiled graph: one per shape; owned by the caller

// A picture or tensor in device memory, as a program reads or writes it: element (n, c, y,
// x) is at ((n * h + y) * w + x) * pixel_stride + c with nhwc, else row-major. Tensors that
// are not pictures are (1, 1, 1, count).
struct backend_device_tensor {
    void *data; // valid for the life of the program
    enum reel_dtype dtype;
    int n, c, h, w;
    bool nhwc;
    size_t pixel_stride; // channels of a pixel including padding, which the writer sets to 0
};

// The operations of a backend. A run's tensors have the data types that the graph declares,
// and are row-major.
struct backend_ops {
    const char *name;
    unsigned caps;
    // Operators for which it has kernels, sorted, separated by spaces; the reference
    // implementation runs the others. For docs/operators.md. May be NULL.
    const char *own_ops;
    // Whether the backend can run here. UNSUPPORTED with a text that names what is missing
    // and the command that installs it.
    enum reel_err (*probe)(const struct backend_params *params);
    // Compiles a graph that has passed all passes. The graph must stay unchanged until
    // destroy (weights may be repacked into the program). Errors: UNSUPPORTED (names the
    // node), NOMEM.
    enum reel_err (*compile)(const struct graph *graph, const struct backend_params *params,
                             struct program **out_program);
    // For precisions that need ranges: runs a graph (prepared as for compile) once on the
    // host, in float32, and widens `ranges` by the values that will need a scale.
    // Thread-safe; the same bits on every machine. NULL: no precision needs ranges. Errors:
    // as compile and run.
    enum reel_err (*measure)(const struct graph *graph, const struct reel_tensor *const *in, struct ranges *ranges);
    // Runs once, synchronously. in: graph->n_inputs tensors. out: graph->n_outputs tensors,
    // with data allocated by the caller where the shape is static; where data is NULL, the
    // program allocates it for the caller, or, if borrow is set, points it at program
    // memory that is valid until the next run.
    enum reel_err (*run)(struct program *program, const struct reel_tensor *const *in, struct reel_tensor *out,
                         bool borrow);
    // With BACKEND_DEVICE_MEMORY: where the caller's kernels write input i before a run and
    // read output i after it, both on the program's stream. UNSUPPORTED if the output's
    // shape depends on data. enqueue starts a run on the stream.
    enum reel_err (*device_input)(struct program *program, int i, struct backend_device_tensor *out);
    enum reel_err (*device_output)(struct program *program, int i, struct backend_device_tensor *out);
    void *(*stream)(struct program *program);
    enum reel_err (*enqueue)(struct program *program);
    // Peak bytes of weights + arena + scratch.
    size_t (*memory_bytes)(const struct program *program);
    // Writes one line per step (kernel or primitive chosen, shapes, bytes), for
    // --dump_graph and for tests. stdio_file is a FILE *.
    void (*dump)(const struct program *program, void *stdio_file);
    void (*destroy)(struct program **program);
};

// Finds a backend by name ("onednn", "cudnn", "sim"); NULL when unknown.
const struct backend_ops *backend_find(const char *name);

// The instruction set that the onednn backend uses with these parameters, such as "avx512"
// or "amx bf16". It affects the last digits of sums.
const char *backend_onednn_kernels(const struct backend_params *params);

// ---- the reference interpreter (interp.c) -------------------------------

// Runs any graph, node by node, with the operator table's eval functions, resolving shapes
// at run time. It is what backends are compared with, and it also runs the bodies of
// control flow and folds constants. out tensors are allocated for the caller. Errors name
// the node.
enum reel_err interp_run(const struct graph *graph, const struct reel_tensor *const *in, struct reel_tensor *out);

// The values of graph, constants aside, that the bodies of its node read, each once: *out_list,
// to be freed with free(), NULL where there are none. Errors: NOMEM.
enum reel_err interp_captures(const struct graph *graph, const struct node *node, const struct value ***out_list,
                              int *out_n);
// Runs that node, whose bodies find captured[i] at values[i]. in and out as in op_run().
enum reel_err interp_run_control(const struct graph *graph, const struct node *node,
                                 const struct reel_tensor *const *in, struct reel_tensor *const *out,
                                 const struct value *const *captured, const struct reel_tensor *const *values, int n);

#endif

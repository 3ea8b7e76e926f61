// SPDX-License-Identifier: MIT
//
// A backend compiles a graph with fixed shapes into a program and runs it.
//
// The list of backends and their choice are in backend.c; each implementation
// is backend_<name>.c and exports one const struct backend_ops. Passes read the
// declared capabilities, never a backend's name.
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
    BACKEND_NO_MODEL = 1 << 5,       // works without a network (sim)
    BACKEND_INT8 = 1 << 7,           // 8-bit kernels: quantised networks keep their scales (pass_quant.c)
    BACKEND_FEW_CHANNELS = 1 << 8,   // convolutions of a picture's few channels are as fast as others
    BACKEND_DEVICE_IS_HOST = 1 << 6, // device pointers are the host's: the twin of a GPU's backend
    BACKEND_STEPS = 1 << 10,         // quantised networks in float32 between QuantizeLinear and DequantizeLinear
    BACKEND_EXCHANGES = 1 << 9,      // runs graphs of one band of a picture (graph/bands.h)
};

// Rows of a value that neighbours give each other: the first and the last of the
// band's own are sent, those beyond them come. Each `bytes` long; of an end of the
// row of bands the pointers towards it are not used.
struct backend_rows {
    const void *send_up, *send_down;
    void *from_up, *from_down;
    size_t bytes;
};
// By whom. Errors, GONE among them, end the run.
struct backend_exchange {
    // In host memory; they have come when it returns.
    enum reel_err (*rows)(void *user, const struct backend_rows *rows);
    // In device memory, behind what is on the stream and before what is put there
    // next. AGAIN: there is no such way now, go by rows(). NULL: there never is.
    enum reel_err (*device_rows)(void *user, const struct backend_rows *rows, void *stream);
    void *user;
};

struct backend_params {
    int device;  // GPU number; ignored on CPUs
    int threads; // compute threads of a CPU backend
    enum precision precision;
    double sim_ms;        // sim: cost of a frame in ms
    const char *plans;    // cudnn: file of measured engines (--plans); NULL or "": none
    const char *autotune; // cudnn: measure engines while compiling, write them to this file; NULL: no
    // FP8: what the network's values measured (calibrate.h); borrowed as long as
    // programs are compiled. NULL: it is not known, and nothing is in fp8.
    const struct ranges *ranges;
    const struct backend_exchange *exchange; // of graphs of bands; borrowed as long as their programs
};

struct ranges; // ranges.h

struct program; // a compiled graph: one per shape; owned by the caller

// A picture or tensor in device memory, as a program reads or makes it: element
// (n, c, y, x) stands at ((n * h + y) * w + x) * pixel_stride + c with nhwc, else
// row-major. What is no picture is (1, 1, 1, count).
struct backend_device_tensor {
    void *data; // holds as long as the program
    enum reel_dtype dtype;
    int n, c, h, w;
    bool nhwc;
    size_t pixel_stride; // channels of a pixel with padding, which the writer sets to 0
};

// Buffers of a run: tensors with data at the addresses to read and write.
// Inputs are float32/whatever the graph's inputs declare, row-major.
struct backend_ops {
    const char *name;
    unsigned caps;
    // Operators with kernels of its own, sorted, separated by spaces; the others
    // run by their reference implementation. For docs/operators.md. May be NULL.
    const char *own_ops;
    // Whether the backend can run here at all; UNSUPPORTED with a text naming
    // what is missing and the command that installs it.
    enum reel_err (*probe)(const struct backend_params *params);
    // Compiles. graph has passed all passes and stays alive and unchanged
    // until destroy (weights may be repacked into the program). Errors:
    // UNSUPPORTED (node named), NOMEM.
    enum reel_err (*compile)(const struct graph *graph, const struct backend_params *params,
                             struct program **out_program);
    // For precisions that need ranges: runs a graph (passed and shaped as for
    // compile) once on the host, in float32, and widens `ranges` by what a scale is
    // wanted of. Thread-safe, the same bits on every machine. NULL: no precision
    // needs it. Errors: as compile and run.
    enum reel_err (*measure)(const struct graph *graph, const struct reel_tensor *const *in, struct ranges *ranges);
    // Runs once, synchronously. in: graph->n_inputs tensors; out:
    // graph->n_outputs tensors whose data is preallocated by the caller where
    // the shape is static, or NULL: then the program allocates (owned by the
    // caller afterwards) or, when borrow is set, points into program memory
    // that holds until the next run.
    enum reel_err (*run)(struct program *program, const struct reel_tensor *const *in, struct reel_tensor *out,
                         bool borrow);
    // With BACKEND_DEVICE_MEMORY: where the caller's kernels write input i before
    // a run and read output i after it, both on the program's stream; UNSUPPORTED
    // where data decides an output's shape. enqueue starts a run on the stream.
    enum reel_err (*device_input)(struct program *program, int i, struct backend_device_tensor *out);
    enum reel_err (*device_output)(struct program *program, int i, struct backend_device_tensor *out);
    void *(*stream)(struct program *program);
    enum reel_err (*enqueue)(struct program *program);
    // Peak bytes of weights + arena + scratch.
    size_t (*memory_bytes)(const struct program *program);
    // One line a step (kernel or primitive chosen, shapes, bytes) for
    // --dump_graph and for tests; stdio_file is a FILE *.
    void (*dump)(const struct program *program, void *stdio_file);
    void (*destroy)(struct program **program);
};

// Finds a backend by name ("onednn", "cudnn", "sim"); NULL when unknown.
const struct backend_ops *backend_find(const char *name);

// The instruction set by which backend "onednn" computes with these parameters,
// as "avx512" or "amx bf16": it decides the sums' last digits.
const char *backend_onednn_kernels(const struct backend_params *params);

// ---- the reference interpreter (interp.c) -------------------------------

// Runs any graph, node by node, by the operator table's eval functions, shapes
// resolved at run time: the yardstick of every backend, the runner of control
// flow bodies, and what folds constants. out tensors are allocated and owned
// by the caller. Errors carry the node's name.
enum reel_err interp_run(const struct graph *graph, const struct reel_tensor *const *in, struct reel_tensor *out);

#endif

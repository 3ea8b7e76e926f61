// SPDX-License-Identifier: MIT
//
// What the tests of the GPU backend's lowering share: a graph is run by its host
// twin ("cudnn-host") - the same steps, layouts, epilogues and arena as on a GPU -
// and compared with the interpreter on the graph before all passes: within 1e-5 in
// fp32, within fp16's digits in fp16.
#ifndef REEL_TESTS_UNIT_WORKER_LOWER_CASE_H
#define REEL_TESTS_UNIT_WORKER_LOWER_CASE_H

#include "tests/unit/worker/graph_make.h"
#include "worker/backend/cudnn/program.h"
#include "worker/engine/net.h"

extern const struct backend_ops backend_cudnn_host, backend_cudnn;

// On a GPU (tests/gpu): another backend, more runs (the first is step by step, the second
// captures graphs), sums in another order.
#ifndef LOWER_BACKEND
#define LOWER_BACKEND backend_cudnn_host
#define LOWER_RUNS 2
#define LOWER_LIMIT 1e-5
#define LOWER_MAIN(...) CHECK_MAIN(__VA_ARGS__)
#endif

struct result {
    struct reel_tensor out;
    char dump[16384];
};

static inline void result_fini(struct result *r)
{
    reel_tensor_fini(&r->out);
}

static inline void fill_inputs(const struct graph *g, struct reel_tensor *in, uint64_t seed)
{
    struct maker random = {.seed = seed};
    for (int i = 0; i < g->n_inputs; i++) {
        if (reel_tensor_init(&in[i], g->inputs[i]->dtype, &g->inputs[i]->shape)) abort();
        for (int64_t k = 0; k < reel_tensor_count(&in[i]); k++) {
            const double x = make_random(&random, -3, 3);
            reel_convert((char *)in[i].data + (size_t)k * reel_dtype_bytes(in[i].dtype), in[i].dtype, &x, REEL_F64, 1);
        }
    }
}

// Passes, compile, runs (the second finds the arena as the first left it).
static inline bool run_lowered(const struct graph *graph, enum precision precision, struct result *r)
{
    struct reel_tensor in[8] = {0}, out[8] = {0};
    const struct reel_tensor *in_p[8];
    struct backend_params params = {.precision = precision};
    struct program *program = NULL;
    *r = (struct result){0};
    struct graph *after = after_passes(graph, LOWER_BACKEND.caps);
    enum reel_err err = after ? LOWER_BACKEND.compile(after, &params, &program) : REEL_ERR_FAULT;
    fill_inputs(graph, in, 5);
    for (int i = 0; i < graph->n_inputs; i++) in_p[i] = &in[i];
    for (int k = 0; k < LOWER_RUNS && !err; k++) {
        for (int i = 0; i < graph->n_outputs; i++) reel_tensor_fini(&out[i]);
        err = LOWER_BACKEND.run(program, in_p, out, false);
    }
    if (!err) {
        FILE *f = fmemopen(r->dump, sizeof r->dump - 1, "w");
        LOWER_BACKEND.dump(program, f);
        fclose(f);
        r->out = out[0];
    } else {
        fprintf(stderr, "%s\n", reel_fail_text());
    }
    for (int i = 1; i < graph->n_outputs; i++) reel_tensor_fini(&out[i]);
    for (int i = 0; i < graph->n_inputs; i++) reel_tensor_fini(&in[i]);
    if (program) LOWER_BACKEND.destroy(&program);
    graph_destroy(&after);
    return !err;
}

// Compares in fp32, fp16 and bf16; the dump is the fp32 one's. `on_host`: steps
// that may be the interpreter's.
static inline bool right(const struct graph *graph, int on_host, char *out_dump)
{
    static const struct {
        enum precision precision;
        double limit;
    } kinds[] = {{PRECISION_FP16, 1e-2}, {PRECISION_BF16, 8e-2}, {PRECISION_FP32, 1e-5}};
    struct reel_tensor want = run_graph(graph, 5);
    bool ok = true;
    for (size_t k = 0; ok && k < sizeof kinds / sizeof kinds[0]; k++) {
        struct result r;
        ok = run_lowered(graph, kinds[k].precision, &r);
        const double d = ok ? tensor_difference(&r.out, &want) : 1e9;
        char host[32];
        snprintf(host, sizeof host, "(%d on the host)", on_host);
        if (ok && !strstr(r.dump, host)) ok = false;
        if (!(d <= kinds[k].limit)) ok = false;
        if (!ok) fprintf(stderr, "precision %d: apart by %g of the largest\n%s", (int)kinds[k].precision, d, r.dump);
        if (out_dump) memcpy(out_dump, r.dump, sizeof r.dump);
        result_fini(&r);
    }
    reel_tensor_fini(&want);
    return ok;
}

#define CHECK_RIGHT(m, on_host, dump)            \
    do {                                         \
        CHECK(right((m)->graph, on_host, dump)); \
        graph_destroy(&(m)->graph);              \
    } while (0)

// x (N,c,...) by an operator that only the host does: scales that are data.
static inline struct value *by_the_host(struct maker *m, struct value *x, int64_t c)
{
    struct value *scale = make_input(m, NULL, DIMS(c));
    return make_node(m, "InstanceNormalization", x, scale, make_weights(m, DIMS(c), -1, 1));
}

static inline void attr_text(struct maker *m, struct value *v, const char *name, const char *s)
{
    make_attr(m, v, (struct attr){.name = name, .type = ATTR_STRING, .count = (int)strlen(s), .u.s = s});
}

// A node with any number of inputs and outputs; the first output. domain: NULL is ONNX's.
static inline struct value *node_of(struct maker *m, const char *domain, const char *op_type, struct value *const *in,
                                    int n_in, struct value **out, int n_out)
{
    struct value *list[16];
    for (int i = 0; i < n_in; i++) list[i] = in[i];
    for (int i = 0; i < n_out; i++) out[i] = graph_add_value(m->graph, NULL);
    struct node *node = graph_add_node(m->graph, NULL, op_type, NULL, list, n_in, out, n_out);
    if (domain) node->domain = domain, node->opset = 1;
    node->op = op_find(domain ? domain : "", op_type, domain ? 1 : m->graph->opset, NULL);
    if (!node->op) abort();
    return out[0];
}

#endif

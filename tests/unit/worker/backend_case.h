// SPDX-License-Identifier: MIT
//
// A small graph on the CPU backend, against the interpreter: on 1 and on 2
// threads, twice, so that what a run leaves in the arena is seen by the next.
#ifndef REEL_TESTS_BACKEND_CASE_H
#define REEL_TESTS_BACKEND_CASE_H

#include "tests/unit/worker/graph_make.h"

static inline struct reel_tensor random_tensor(const struct value *v, struct maker *random)
{
    struct reel_tensor t;
    if (reel_tensor_init(&t, v->dtype, &v->shape)) abort();
    for (int64_t k = 0; k < reel_tensor_count(&t); k++) {
        const double x = make_random(random, -3, 3);
        reel_convert((char *)t.data + (size_t)k * reel_dtype_bytes(t.dtype), t.dtype, &x, REEL_F64, 1);
    }
    return t;
}

// The largest difference of any output in two runs; 1e9 when something failed.
// *out_dump (of the caller, 8 KB) gets the list of steps.
static inline double backend_difference(struct maker *m, int threads, enum precision precision, char *dump)
{
    const struct backend_ops *b = backend_find("onednn");
    struct graph *after = after_passes(m->graph, b->caps);
    struct program *program = NULL;
    const struct backend_params params = {.threads = threads, .precision = precision};
    if (!after || b->compile(after, &params, &program)) {
        fprintf(stderr, "%s\n", reel_fail_text());
        return 1e9;
    }
    FILE *f = fmemopen(dump, 8192, "w");
    b->dump(program, f);
    fclose(f);
    struct maker random = {.seed = 11};
    double worst = 0;
    for (int run = 0; run < 2; run++) {
        struct reel_tensor in[8], want[8] = {0}, got[8] = {0};
        const struct reel_tensor *in_p[8];
        for (int i = 0; i < m->graph->n_inputs; i++) {
            in[i] = random_tensor(m->graph->inputs[i], &random);
            in_p[i] = &in[i];
        }
        if (interp_run(m->graph, in_p, want) || b->run(program, in_p, got, false)) {
            fprintf(stderr, "%s\n", reel_fail_text());
            worst = 1e9;
        }
        for (int i = 0; i < m->graph->n_outputs && worst < 1e9; i++)
            worst = fmax(worst, tensor_difference(&want[i], &got[i]));
        for (int i = 0; i < m->graph->n_inputs; i++) reel_tensor_fini(&in[i]);
        for (int i = 0; i < m->graph->n_outputs; i++) reel_tensor_fini(&want[i]), reel_tensor_fini(&got[i]);
    }
    b->destroy(&program);
    graph_destroy(&after);
    return worst;
}

static char steps[8192]; // of the last CHECK_BACKEND

#define CHECK_BACKEND(m)                                                                              \
    do {                                                                                              \
        for (int threads_ = 1; threads_ <= 2; threads_++) {                                           \
            double d_ = backend_difference(m, threads_, PRECISION_FP32, steps);                       \
            CHECK_MSG(d_ <= 1e-5, "%d threads: apart by %g of the largest\n%s", threads_, d_, steps); \
        }                                                                                             \
    } while (0)

// The result for one fixed input on that many threads; the caller frees it with reel_tensor_fini.
static inline void result_on(struct maker *m, int threads, struct reel_tensor *out)
{
    const struct backend_ops *b = backend_find("onednn");
    const struct backend_params params = {.threads = threads, .precision = PRECISION_FP32};
    struct graph *after = after_passes(m->graph, b->caps);
    struct program *program = NULL;
    struct maker random = {.seed = 5};
    struct reel_tensor in = random_tensor(m->graph->inputs[0], &random), got[1] = {0};
    const struct reel_tensor *in_p[] = {&in};
    CHECK(after && !b->compile(after, &params, &program) && !b->run(program, in_p, got, false));
    *out = got[0];
    out->data = malloc(reel_tensor_bytes(&got[0]));
    out->owned = true;
    memcpy(out->data, got[0].data, reel_tensor_bytes(&got[0]));
    reel_tensor_fini(&got[0]);
    reel_tensor_fini(&in);
    b->destroy(&program);
    graph_destroy(&after);
}

// Whether 2 to 7 threads give the bytes that one gives.
#define CHECK_THREADS(m)                                                                                  \
    do {                                                                                                  \
        struct reel_tensor one_ = {0};                                                                    \
        result_on(m, 1, &one_);                                                                           \
        for (int threads_ = 2; threads_ <= 7; threads_++) {                                               \
            struct reel_tensor many_ = {0};                                                               \
            result_on(m, threads_, &many_);                                                               \
            CHECK_MSG(one_.data &&many_.data && !memcmp(one_.data, many_.data, reel_tensor_bytes(&one_)), \
                      "%d threads differ from one", threads_);                                            \
            reel_tensor_fini(&many_);                                                                     \
        }                                                                                                 \
        reel_tensor_fini(&one_);                                                                          \
    } while (0)

#endif

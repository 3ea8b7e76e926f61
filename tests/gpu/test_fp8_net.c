// SPDX-License-Identifier: MIT
//
// Networks in fp8 on a GPU: the cases of tests/unit/worker/test_fp8.c, by cuDNN in
// place of the host twin (a network of numbers that e4m3 holds must come out
// exactly there too, whatever the order of the sums), and both beside each other
// on random numbers. Skips where the GPU has no fp8.
#include "common/cuda.h"

#define FP8_BACKEND backend_cudnn
#define FP8_MAIN(...)                                                                                 \
    int main(int argc, char **argv)                                                                   \
    {                                                                                                 \
        static const struct check_case cases[] = {__VA_ARGS__, {"beside the twin", beside_the_twin}}, \
                                       none[] = {{"gpu: fp8", no_fp8}};                               \
        if (backend_cudnn.probe(&(struct backend_params){.precision = PRECISION_FP8}))                \
            return check_main(none, 1, argc, argv);                                                   \
        return check_main(cases, (int)(sizeof cases / sizeof cases[0]), argc, argv);                  \
    }

static void no_fp8(void);
static void beside_the_twin(void);

#include "tests/unit/worker/test_fp8.c"

static void no_fp8(void)
{
    static char why[200];
    snprintf(why, sizeof why, "%.199s", reel_fail_text());
    SKIP(why);
}

static struct reel_tensor run_by(const struct backend_ops *ops, const struct graph *graph, enum precision precision,
                                 const struct ranges *ranges, const struct reel_tensor *in)
{
    struct reel_tensor out[8] = {0};
    struct program *program = NULL;
    const struct backend_params params = {.precision = precision, .ranges = ranges};
    if (ops->compile(graph, &params, &program) || ops->run(program, &in, out, false))
        fprintf(stderr, "%s\n", reel_fail_text());
    if (program) ops->destroy(&program);
    return out[0];
}

static double rms(const struct reel_tensor *a, const struct reel_tensor *b)
{
    double sum = 0;
    const int64_t n = reel_tensor_count(a);
    if (!a->data || !b->data) return 1e9;
    for (int64_t i = 0; i < n; i++) {
        const double d = (double)((const float *)a->data)[i] - (double)((const float *)b->data)[i];
        sum += d * d;
    }
    return sqrt(sum / (double)n);
}

// A GPU sums in another order, and Hopper's e4m3 products in 14 bits or so: a few in
// a hundred numbers come to lie on the other side of a rounding to 4 bits, each by one
// step. That makes a fraction of the error of e4m3 itself: half of it would be the
// work of every fourth number.
static void beside_the_twin(void)
{
    struct maker m = maker();
    struct value *x = conv(&m, make_input(&m, "x", DIMS(2, 3, 40, 36)), 3, 64, 3), *a;
    a = make_node(&m, "PRelu", conv(&m, x, 64, 64, 3), make_weights(&m, DIMS(64, 1, 1), 0, 0.5), NULL);
    a = make_node(&m, "Sigmoid", conv(&m, a, 64, 96, 1), NULL, NULL);
    a = make_node(&m, "Add", conv(&m, a, 96, 64, 3), x, NULL);
    a = conv(&m, make_node(&m, "Relu", a, NULL, NULL), 64, 160, 3);
    ATTR_LIST(&m, a, "strides", 2, 2);
    make_output(&m, conv(&m, make_node(&m, "Relu", a, NULL, NULL), 160, 12, 3));
    struct graph *after = after_passes(m.graph, backend_cudnn.caps);
    struct reel_tensor in = {0};
    const struct reel_tensor *in_p = &in;
    struct ranges *ranges = NULL;
    fill(&in, m.graph, false);
    CHECK(!ranges_create(&ranges) && !backend_cudnn_host.measure(after, &in_p, ranges));
    struct reel_tensor exact = run_by(&backend_cudnn_host, after, PRECISION_FP32, NULL, &in),
                       twin = run_by(&backend_cudnn_host, after, PRECISION_FP8, ranges, &in),
                       gpu = run_by(&backend_cudnn, after, PRECISION_FP8, ranges, &in);
    const double error = rms(&twin, &exact), apart = rms(&gpu, &twin);
    CHECK_MSG(apart < error / 2, "apart by %g, where e4m3 makes %g", apart, error);
    reel_tensor_fini(&exact), reel_tensor_fini(&twin), reel_tensor_fini(&gpu), reel_tensor_fini(&in);
    ranges_destroy(&ranges);
    graph_destroy(&after);
    graph_destroy(&m.graph);
}

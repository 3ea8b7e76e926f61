// SPDX-License-Identifier: MIT
//
// net_copy(): copies of a net borrow its weights, and what is bound in one is not seen in another.
#include "tests/unit/worker/import_make.h"

#include "worker/engine/net.h"

// y = x w + s, with an input s.
static struct net *open_made(void)
{
    static const float w[] = {2, 3};
    struct pb f = {0};
    put_message(&f, 1, node("Mul", "x", "w", "p"));
    put_message(&f, 1, node("Add", "p", "s", "y"));
    put_message(&f, 5, tensor("w", FLOAT, 1, two, w, sizeof w));
    put_message(&f, 11, value_info("s", FLOAT, 1, (const int64_t[]){1}));
    struct pb m = model(graph_around(f));
    struct net *net = NULL;
    const struct net_params params = {.backend = "onednn", .bytes = m.bytes, .n_bytes = m.count};
    if (net_open("made.onnx", &params, &net)) fprintf(stderr, "%s\n", reel_fail_text());
    free(m.bytes);
    return net;
}

static void check_run(struct net *net, float first, float second)
{
    const struct reel_shape shape = DIMS(2);
    struct reel_tensor x = {0}, y = {0};
    const struct reel_tensor *in[] = {&x};
    CHECK_INT(net_input_count(net), 1);
    CHECK(!reel_tensor_init(&x, REEL_F32, &shape) && !net_prepare(net, &shape));
    ((float *)x.data)[0] = 10, ((float *)x.data)[1] = 100;
    CHECK_MSG(!net_run(net, in, &y, false), "%s", reel_fail_text());
    CHECK(y.data && ((float *)y.data)[0] == first && ((float *)y.data)[1] == second);
    reel_tensor_fini(&x);
    reel_tensor_fini(&y);
}

static const void *weights_of(const struct net *net)
{
    const struct value *v = graph_find_value(net_graph(net), "w");
    return v && v->constant ? v->constant->data : NULL;
}

static void copies(void)
{
    const struct backend_params params = {.threads = 1};
    struct net *net = open_made(), *a = NULL, *b = NULL;
    CHECK(net != NULL);
    CHECK_INT(net_bind_input(net, "s", 1), REEL_OK);
    CHECK(!net_copy(net, &params, &a) && !net_copy(net, &params, &b));
    CHECK(weights_of(net) && weights_of(a) == weights_of(net) && weights_of(b) == weights_of(net));
    CHECK_INT(net_bind_input(a, "s", 5), REEL_OK);
    CHECK_INT(net_bind_input(a, "s", 7), REEL_OK); // again: it has its own by now
    check_run(a, 27, 307);
    check_run(b, 21, 301);
    net_close(&a);
    check_run(b, 21, 301);
    net_close(&b);
    check_run(net, 21, 301);
    net_close(&net);
}

CHECK_MAIN({"net: copies", copies})

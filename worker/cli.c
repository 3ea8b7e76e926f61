// SPDX-License-Identifier: MIT
//
// One-process commands; see cli.h. Called by main.c; all work is net.c's.
#include "worker/cli.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/settings.h"
#include "worker/calibrate.h"
#include "worker/device/ops.h"
#include "worker/engine/net.h"
#include "worker/graph/pass.h"
#include "worker/model/state.h"
#include "worker/onnx/import.h"

// Open extents of pictures, when no shape is given.
#define DEFAULT_H 360
#define DEFAULT_W 640

int cli_exit_code(enum reel_err err)
{
    switch (err) {
    case REEL_OK:
        return 0;
    case REEL_ERR_CONFIG:
    case REEL_ERR_INPUT:
    case REEL_ERR_UNSUPPORTED:
    case REEL_ERR_LIMIT:
        return 2;
    default:
        return 1;
    }
}

static int exit_code(enum reel_err err)
{
    if (err) fprintf(stderr, "reelmill: %s\n", reel_fail_text());
    return cli_exit_code(err);
}

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static enum reel_err open_net(const struct cli_params *p, struct net **out_net)
{
    if (access(p->model, R_OK)) // a name that is wrong, rather than a disk that is
        return reel_fail(REEL_ERR_CONFIG, "could not open model \"%s\": %s", p->model, strerror(errno));
    struct net_params params = {.backend = p->backend, .backend_params = p->backend_params};
    return net_open(p->model, &params, out_net);
}

static enum reel_err out_of_memory(void)
{
    return reel_fail(REEL_ERR_NOMEM, "could not run model: out of memory");
}

// As a run has it: with constants for inputs that are such, and its states known.
static enum reel_err open_as_run(const struct cli_params *p, struct net **out_net, struct state_plan *out_plan)
{
    enum reel_err err = open_net(p, out_net);
    if (err) return err;
    err = state_open(*out_net, p->settings, p->model, out_plan);
    if (err) net_close(out_net);
    return err;
}

// ---- shapes -----------------------------------------------------------------

static enum reel_err parse_shape(const char *text, size_t len, struct reel_shape *out_shape)
{
    const char *p = text, *end = text + len;
    *out_shape = (struct reel_shape){0};
    if (len == 6 && !strncmp(text, "scalar", 6)) return REEL_OK;
    while (p < end) {
        char *stop;
        errno = 0;
        long long d = strtoll(p, &stop, 10);
        bool ends = stop == end || (stop < end && *stop == 'x');
        if (stop == p || errno || d < 0 || !ends || out_shape->ndim == REEL_MAX_DIMS)
            return reel_fail(REEL_ERR_CONFIG, "could not use shape \"%.*s\": not of the form 1x3x360x640", (int)len,
                             text);
        out_shape->dim[out_shape->ndim++] = d;
        p = stop + (stop < end);
    }
    return REEL_OK;
}

static int shapes_in(const char *list)
{
    int n = 1;
    for (; *list; list++) n += *list == ',';
    return n;
}

// What follows from the picture: constants, and the shapes of states that were not given. A
// network whose states have none that stays goes by the defaults.
static enum reel_err follow_picture(struct net *net, const struct state_plan *plan, bool states,
                                    struct reel_shape *shapes)
{
    int picture = 0;
    while (picture < net_input_count(net) - 1 && state_of_input(plan, picture) >= 0) picture++;
    const struct reel_shape *s = &shapes[picture];
    enum reel_err err = REEL_OK;
    if (s->ndim >= 3) err = state_set_size(net, plan, (int)s->dim[s->ndim - 1], (int)s->dim[s->ndim - 2]);
    struct reel_shape *found = states && !err ? calloc((size_t)net_input_count(net), sizeof *found) : NULL;
    if (!found) return err;
    memcpy(found, shapes, (size_t)net_input_count(net) * sizeof *found);
    if (!net_state_shapes(net, found)) memcpy(shapes, found, (size_t)net_input_count(net) * sizeof *found);
    free(found);
    return REEL_OK;
}

// Of a picture's shape, NCHW or NHWC; others leave both as they are.
static void sides_of(const struct reel_shape *s, int64_t *h, int64_t *w)
{
    if (s->ndim != 3 && s->ndim != 4) return;
    const int64_t *d = s->dim + s->ndim - 3;
    const bool last = d[2] <= 4 && d[0] > 4;
    *h = d[last ? 0 : 1], *w = d[last ? 1 : 2];
}

// One shape for each input, or for each but the states: as given, else what the file
// fixes and, for pictures, the size of the one that was given before, or the default.
static enum reel_err choose_shapes(struct net *net, const struct state_plan *plan, const char *given,
                                   struct reel_shape *shapes)
{
    int n = net_input_count(net);
    const char *p = given && *given ? given : NULL;
    const bool all = p && shapes_in(p) > n - plan->n;
    int multiple = p ? 1 : net_size_multiple(net);
    int64_t h = (DEFAULT_H + multiple - 1) / multiple * multiple, w = (DEFAULT_W + multiple - 1) / multiple * multiple;
    for (int i = 0; i < n; i++) {
        const bool state = !all && state_of_input(plan, i) >= 0;
        if (p && *p && !state) {
            size_t len = strcspn(p, ",");
            enum reel_err err = parse_shape(p, len, &shapes[i]);
            if (err) return err;
            sides_of(&shapes[i], &h, &w);
            p += len + (p[len] == ',');
            continue;
        }
        shapes[i] = net_default_shape(net, i, h, w);
        if (shapes[i].ndim < 0 && !state)
            return reel_fail(REEL_ERR_CONFIG,
                             "could not choose a shape for input \"%s\": the file does not fix its rank\ngive it with "
                             "--shape",
                             net_input(net, i)->name);
    }
    if (p && *p) return reel_fail(REEL_ERR_CONFIG, "could not use shape \"%s\": the model has %d inputs", p, n);
    return follow_picture(net, plan, plan->n && !all, shapes);
}

// When shapes were chosen here, a refusal may be due to them.
static enum reel_err prepare(struct net *net, const struct cli_params *p, const struct reel_shape *shapes)
{
    enum reel_err err = calibrate_net(net, p->settings, p->model);
    if (!err) err = net_prepare(net, shapes);
    if (err != REEL_ERR_INPUT || (p->shape && *p->shape)) return err;
    char text[REEL_ERROR_TEXT_MAX];
    snprintf(text, sizeof text, "%s", reel_fail_text());
    return reel_fail(err, "%s\nthe input shapes were guessed: give them with --shape", text);
}

// ---- eval -------------------------------------------------------------------

static int input_named(const struct net *net, const char *name, size_t len)
{
    for (int i = 0; i < net_input_count(net); i++) {
        const char *have = net_input(net, i)->name;
        if (strlen(have) == len && !memcmp(have, name, len)) return i;
    }
    return -1;
}

static enum reel_err no_such_input(const struct net *net, const char *word)
{
    char names[512] = "";
    size_t n = 0;
    for (int i = 0; i < net_input_count(net) && n < sizeof names; i++)
        n += (size_t)snprintf(names + n, sizeof names - n, "%s%s", i ? ", " : "", net_input(net, i)->name);
    return reel_fail(REEL_ERR_CONFIG, "could not use input \"%s\": the model has no input of this name\nits inputs: %s",
                     word, names);
}

// Reads the files of "NAME=file,..."; names may hold '=' and ':' but no ','.
static enum reel_err read_inputs(const struct net *net, const char *list, struct reel_tensor *in)
{
    char *copy = strdup(list ? list : ""), *rest = copy;
    if (!copy) return out_of_memory();
    enum reel_err err = REEL_OK;
    for (char *word; !err && (word = strsep(&rest, ",")) != NULL;) {
        if (!*word) continue;
        int at = -1;
        char *eq = NULL;
        for (char *p = strchr(word, '='); p && at < 0; p = strchr(p + 1, '=')) {
            at = input_named(net, word, (size_t)(p - word));
            eq = p;
        }
        if (at < 0)
            err = no_such_input(net, word);
        else if (in[at].data)
            err = reel_fail(REEL_ERR_CONFIG, "could not use input \"%s\": it is given twice", net_input(net, at)->name);
        else if (access(eq + 1, R_OK))
            err = reel_fail(REEL_ERR_CONFIG, "could not open tensor \"%s\": %s", eq + 1, strerror(errno));
        else
            err = reel_npy_read(eq + 1, &in[at]);
    }
    free(copy);
    for (int i = 0; !err && i < net_input_count(net); i++)
        if (!in[i].data)
            err = reel_fail(REEL_ERR_CONFIG,
                            "could not run model: input \"%s\" was not given\nuse --eval_inputs %s=FILE.npy",
                            net_input(net, i)->name, net_input(net, i)->name);
    return err;
}

// The type that the model declares, where the file has another number type.
static enum reel_err convert_input(const struct net_io *io, struct reel_tensor *t)
{
    if (t->dtype == io->dtype) return REEL_OK;
    struct reel_tensor same;
    enum reel_err err = reel_tensor_init(&same, io->dtype, &t->shape);
    if (err) return err;
    reel_convert(same.data, same.dtype, t->data, t->dtype, reel_tensor_count(t));
    reel_tensor_fini(t);
    *t = same;
    return REEL_OK;
}

static enum reel_err write_outputs(const struct net *net, const char *folder, const struct reel_tensor *out)
{
    if (mkdir(folder, 0777) && errno != EEXIST)
        return reel_fail(REEL_ERR_IO, "could not create folder \"%s\": %s", folder, strerror(errno));
    for (int i = 0; i < net_output_count(net); i++) {
        char *path = NULL;
        if (asprintf(&path, "%s/%s.npy", folder, net_output(net, i)->name) < 0) return out_of_memory();
        for (char *p = path + strlen(folder) + 1; *p; p++)
            if (*p == '/' || *p == ':') *p = '_';
        enum reel_err err = reel_npy_write(path, &out[i]);
        char text[128];
        if (!err)
            printf("%s: %s %s\n", net_output(net, i)->name, reel_dtype_name(out[i].dtype),
                   reel_shape_text(&out[i].shape, text, sizeof text));
        free(path);
        if (err) return err;
    }
    return REEL_OK;
}

static enum reel_err eval(struct net *net, const struct cli_params *p, struct reel_tensor *in, struct reel_tensor *out,
                          const struct reel_tensor **in_p, struct reel_shape *shapes)
{
    enum reel_err err = read_inputs(net, p->eval_inputs, in);
    for (int i = 0; !err && i < net_input_count(net); i++) {
        err = convert_input(net_input(net, i), &in[i]);
        shapes[i] = in[i].shape;
        in_p[i] = &in[i];
    }
    if (!err) err = calibrate_net(net, p->settings, p->model);
    if (!err) err = net_prepare(net, shapes);
    if (!err) err = net_run(net, in_p, out, false);
    if (!err) err = write_outputs(net, p->eval_outputs, out);
    return err;
}

int cli_eval_model(const struct cli_params *p)
{
    struct net *net;
    if (!p->eval_outputs || !*p->eval_outputs)
        return exit_code(reel_fail(REEL_ERR_CONFIG, "could not run model: no folder for the outputs\n"
                                                    "use --eval_outputs DIR"));
    enum reel_err err = open_net(p, &net);
    if (err) return exit_code(err);
    int n_in = net_input_count(net), n_out = net_output_count(net);
    struct reel_tensor *in = calloc((size_t)n_in + 1, sizeof *in), *out = calloc((size_t)n_out + 1, sizeof *out);
    const struct reel_tensor **in_p = calloc((size_t)n_in + 1, sizeof(*in_p));
    struct reel_shape *shapes = calloc((size_t)n_in + 1, sizeof *shapes);
    err = in && out && in_p && shapes ? eval(net, p, in, out, in_p, shapes) : out_of_memory();
    for (int i = 0; in && i < n_in; i++) reel_tensor_fini(&in[i]);
    for (int i = 0; out && i < n_out; i++) reel_tensor_fini(&out[i]);
    free(in);
    free(out);
    free(in_p);
    free(shapes);
    net_close(&net);
    return exit_code(err);
}

// ---- bench ------------------------------------------------------------------

// Repeatable contents: pictures in 0..1; small non-negative integers.
static void fill(struct reel_tensor *t)
{
    uint64_t state = 1;
    size_t item = reel_dtype_bytes(t->dtype);
    for (int64_t i = 0, n = reel_tensor_count(t); i < n; i++) {
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        double x = (double)(state >> 40) / (double)(1 << 24);
        if (!reel_dtype_is_float(t->dtype)) x = (double)(state >> 63);
        reel_convert((char *)t->data + (size_t)i * item, t->dtype, &x, REEL_F64, 1);
    }
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// At least 5 runs and a second, at most 200 runs; the first one is not counted.
#define MAX_RUNS 200

static enum reel_err time_runs(struct net *net, const struct reel_tensor *const *in, struct reel_tensor *out,
                               double *times, int *out_n)
{
    double begin = 0;
    int n = -1;
    for (; n < MAX_RUNS; n++) {
        double start = now_ms();
        enum reel_err err = net_run(net, in, out, true);
        double end = now_ms();
        for (int i = 0; i < net_output_count(net); i++) reel_tensor_fini(&out[i]);
        if (err) return err;
        if (n < 0) begin = end;
        if (n >= 0) times[n] = end - start;
        if (n >= 4 && end - begin > 1000) {
            n++;
            break;
        }
    }
    *out_n = n;
    return REEL_OK;
}

// Runs on the device one behind the other, inputs and outputs staying there: what
// the network costs a frame. Waits once at the end.
static enum reel_err run_back_to_back(struct net *net, const struct device_ops *ops, void *event, int n, double *out_ms)
{
    const struct backend_ops *b = net_backend(net);
    struct program *program = net_program(net);
    double begin = now_ms();
    enum reel_err err = REEL_OK;
    for (int i = 0; i < n && !err; i++) err = b->enqueue(program);
    if (!err) err = ops->event_record(event, b->stream(program));
    if (!err) err = ops->event_sync(event);
    *out_ms = (now_ms() - begin) / n;
    return err;
}

// As many runs as fill a second, 5 at least. *out_ms -1: not of this backend or network.
static enum reel_err time_on_device(struct net *net, double *out_ms)
{
    const struct device_ops *ops = device_ops_of(net_backend(net)->caps);
    struct backend_device_tensor t;
    void *event = NULL;
    *out_ms = -1;
    if (!ops || net_backend(net)->device_input(net_program(net), 0, &t)) return REEL_OK;
    double once;
    enum reel_err err = ops->event_create(&event);
    // Two before: the second one becomes a CUDA graph.
    if (!err) err = run_back_to_back(net, ops, event, 2, &once);
    if (!err) err = run_back_to_back(net, ops, event, 1, &once);
    int n = once > 200 ? 5 : once > 5 ? (int)(1000 / once) : MAX_RUNS;
    if (!err) err = run_back_to_back(net, ops, event, n, out_ms);
    if (event) ops->event_destroy(&event);
    return err;
}

static enum reel_err bench(struct net *net, const struct cli_params *p, double begin, struct reel_tensor *in,
                           struct reel_tensor *out, const struct reel_tensor **in_p, struct reel_shape *shapes,
                           const struct state_plan *plan)
{
    enum reel_err err = choose_shapes(net, plan, p->shape, shapes);
    double chosen = now_ms();
    if (!err) err = prepare(net, p, shapes);
    if (err) return err;
    double setup_ms = begin + (now_ms() - chosen);
    char text[128];
    for (int i = 0; !err && i < net_input_count(net); i++) {
        err = reel_tensor_init(&in[i], net_input(net, i)->dtype, &shapes[i]);
        if (err) break;
        fill(&in[i]);
        in_p[i] = &in[i];
        printf("input  %s: %s %s\n", net_input(net, i)->name, reel_dtype_name(in[i].dtype),
               reel_shape_text(&shapes[i], text, sizeof text));
    }
    double times[MAX_RUNS];
    double device_ms = -1;
    int n = 0;
    if (!err) err = time_runs(net, in_p, out, times, &n);
    if (!err) err = time_on_device(net, &device_ms);
    if (err) return err;
    qsort(times, (size_t)n, sizeof *times, by_value);
    for (int i = 0; i < net_output_count(net); i++)
        printf("output %s: %s %s\n", net_output(net, i)->name, reel_dtype_name(net_output(net, i)->dtype),
               reel_shape_text(&net_output(net, i)->shape, text, sizeof text));
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("backend %s, %d threads, %d runs: median %.3f ms, fastest %.3f ms, set up in %.1f ms, network %.1f MB\n",
           p->backend, p->backend_params.threads, n, times[n / 2], times[0], setup_ms,
           (double)net_memory_bytes(net) / 1e6);
    char device[48] = "";
    if (device_ms >= 0) {
        printf("on the device, runs back to back: %.3f ms\n", device_ms);
        snprintf(device, sizeof device, "\"ms_device\": %.4f, ", device_ms);
    }
    printf("{\"ms_median\": %.4f, \"ms_min\": %.4f, %s\"setup_ms\": %.2f, \"peak_mb\": %.2f}\n", times[n / 2], times[0],
           device, setup_ms, (double)usage.ru_maxrss * 1024 / 1e6);
    return REEL_OK;
}

int cli_bench_model(const struct cli_params *p)
{
    double begin = now_ms();
    struct net *net;
    struct state_plan plan;
    enum reel_err err = open_as_run(p, &net, &plan);
    if (err) return exit_code(err);
    double open_ms = now_ms() - begin;
    int n_in = net_input_count(net), n_out = net_output_count(net);
    struct reel_tensor *in = calloc((size_t)n_in + 1, sizeof *in), *out = calloc((size_t)n_out + 1, sizeof *out);
    const struct reel_tensor **in_p = calloc((size_t)n_in + 1, sizeof(*in_p));
    struct reel_shape *shapes = calloc((size_t)n_in + 1, sizeof *shapes);
    err = in && out && in_p && shapes ? bench(net, p, open_ms, in, out, in_p, shapes, &plan) : out_of_memory();
    for (int i = 0; in && i < n_in; i++) reel_tensor_fini(&in[i]);
    free(in);
    free(out);
    free(in_p);
    free(shapes);
    // for people who look for the slow step: the backend has timed each
    if (!err && getenv("REELMILL_PROFILE")) net_dump(net, true, stderr);
    net_close(&net);
    return exit_code(err);
}

// ---- autotune -----------------------------------------------------------------

int cli_autotune(const struct cli_params *p)
{
    struct cli_params tuned = *p;
    struct net *net;
    tuned.backend_params.autotune = p->autotune;
    if (strcmp(p->backend, "cudnn") != 0)
        return exit_code(reel_fail(REEL_ERR_CONFIG, "could not autotune: only --backend cudnn has engines to choose"));
    struct state_plan plan;
    enum reel_err err = open_as_run(&tuned, &net, &plan);
    if (err) return exit_code(err);
    struct reel_shape *shapes = calloc((size_t)net_input_count(net) + 1, sizeof *shapes);
    err = shapes ? choose_shapes(net, &plan, p->shape, shapes) : out_of_memory();
    if (!err) err = prepare(net, &tuned, shapes);
    if (!err) printf("written to \"%s\": use it with --plans\n", p->autotune);
    free(shapes);
    net_close(&net);
    return exit_code(err);
}

// ---- dump -------------------------------------------------------------------

static enum reel_err dump_passes(const struct net *net, const char *backend, const struct reel_shape *shapes)
{
    const struct backend_ops *ops = backend_find(backend);
    struct graph *graph = graph_clone(net_graph(net));
    if (!graph || !ops) {
        graph_destroy(&graph);
        return out_of_memory();
    }
    struct pass_params params = {.caps = ops->caps, .in_shapes = shapes};
    enum reel_err err = pass_run_all(graph, &params, stdout);
    graph_destroy(&graph);
    return err;
}

int cli_dump_graph(const struct cli_params *p)
{
    struct net *net;
    struct state_plan plan;
    enum reel_err err = open_as_run(p, &net, &plan);
    if (err) return exit_code(err);
    struct reel_shape *shapes = calloc((size_t)net_input_count(net) + 1, sizeof *shapes);
    err = shapes ? choose_shapes(net, &plan, p->shape, shapes) : out_of_memory();
    printf("# as imported\n");
    net_dump(net, false, stdout);
    if (!err) {
        printf("\n# passes\n");
        err = dump_passes(net, p->backend, shapes);
    }
    if (!err) err = prepare(net, p, shapes);
    if (!err) {
        printf("\n# after the passes\n");
        net_dump(net, true, stdout);
        struct field_reach values = net_reach(net, false), bits = net_reach(net, true);
        printf("\nreceptive radius %d x %d pixels (-1: unbounded), of bits %d x %d with cuts at multiples of %d, sizes "
               "must "
               "be multiples of %d\n",
               values.h, values.w, bits.h, bits.w, bits.step, net_size_multiple(net));
    }
    free(shapes);
    net_close(&net);
    return exit_code(err);
}

// Why there is nothing to do with what was asked for.
static enum reel_err no_model(const struct reel_settings *s)
{
    if (s->backend == SET_BACKEND_SIM)
        return reel_fail(REEL_ERR_CONFIG, "could not run model: backend \"sim\" cannot run networks");
    if (*s->autotune || s->dump_graph)
        return reel_fail(REEL_ERR_CONFIG, "could not %s: no model is given\nname it with --model",
                         *s->autotune ? "autotune" : "dump a graph");
    return reel_fail(REEL_ERR_CONFIG, "could not start worker: no model is given\n"
                                      "it is started by the coordinator: use ./run.sh");
}

// ---- the command line -------------------------------------------------------

int cli_main(int argc, char **argv)
{
    const struct opt_table *table = reel_settings_table();
    struct reel_settings *s = calloc(1, sizeof *s);
    bool *set = calloc((size_t)table->n, sizeof *set);
    const char **words = calloc((size_t)argc + 1, sizeof(*words));
    int n_words = 0, code;
    if (!s || !set || !words) {
        code = exit_code(out_of_memory());
        goto done;
    }
    opt_defaults(table, s);
    enum reel_err err = opt_parse_argv(table, argc, argv, s, set, words, &n_words);
    if (!err && *s->config) err = opt_load_file(table, s->config, s, set);
    if (err) {
        code = exit_code(err);
        goto done;
    }
    struct cli_params p = {
        .backend =
            s->backend == SET_BACKEND_CUDNN || (*s->autotune && s->backend == SET_BACKEND_AUTO) ? "cudnn" : "onednn",
        .backend_params = {.device = atoi(s->gpu_ids), // the first of them
                           .threads = s->threads > 0 ? s->threads : 1,
                           .precision = (enum precision)s->precision,
                           .plans = s->plans},
        .settings = s,
        .autotune = s->autotune,
        .eval_inputs = s->eval_inputs,
        .eval_outputs = s->eval_outputs,
        .shape = s->shape};
    p.model = *s->eval_model ? s->eval_model : *s->bench_model ? s->bench_model : s->model;
    if (s->backend == SET_BACKEND_SIM || !*p.model)
        code = exit_code(no_model(s));
    else if (*s->eval_model)
        code = cli_eval_model(&p);
    else if (*s->bench_model)
        code = cli_bench_model(&p);
    else if (*s->autotune)
        code = cli_autotune(&p);
    else
        code = cli_dump_graph(&p);
done:
    free(s);
    free(set);
    free(words);
    return code;
}

const char *cli_libraries(void)
{
    static _Thread_local char text[64];
    snprintf(text, sizeof text, "protobuf-c %s", import_library());
    return text;
}

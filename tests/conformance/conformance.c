// SPDX-License-Identifier: MIT
//
// Runs folders of ONNX's backend node tests: model.onnx and
// test_data_set_N/{input,output}_K.pb, which hold tensors, sequences or
// optionals. Each test runs in a process of its own
// with a time limit, so that a crash or a hang is one failed test.
//
//   conformance [--backend interp|onednn|cudnn|...] [--precision fp32|tf32|fp16|bf16]
//               [--raw] [--list] [--verbose] [--dump] [--of_max REL] [--psnr DB] DIR...
//
// --of_max compares floats with REL times the largest magnitude expected
// instead (whole models against another executor: tests/models). A DIR is a test folder or a folder of test folders.
// --psnr compares floats by their PSNR, the largest magnitude being the peak
// (16-bit executors).
// --dump prints what each model was compiled to. --raw runs the imported graph through the interpreter, without passes.
// The last line is "N passed, N failed, N skipped"; skipped are the models that the importer refuses with
// REEL_ERR_UNSUPPORTED. Tolerances are those of onnx.backend.test: rtol 1e-3, atol 1e-7; integers and booleans exactly.
// Exit code 1 when a test failed.
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/narrow.h"
#include "worker/engine/net.h"
#include "worker/graph/sequence.h"
#include "worker/onnx/import.h"

#define RTOL 1e-3
#define ATOL 1e-7
#define FLOOR 1e-2 // with --of_max: magnitudes below count as this (scores where nothing is seen)
#define SECONDS 20 // for a node test; whole models get ten times as much
#define MAX_IO 64
#define TEXT 400

enum verdict { PASSED, FAILED, SKIPPED };

struct options {
    const char *backend;
    bool raw, list, verbose, dump;
    double of_max; // > 0: tolerance relative to the largest magnitude
    double psnr;   // > 0: least PSNR in dB
    enum precision precision;
};

struct result {
    char name[128], op[64], why[TEXT];
    enum verdict verdict;
};

// ---- files ------------------------------------------------------------------

static uint8_t *slurp(const char *path, size_t *out_count)
{
    FILE *f = fopen(path, "rb");
    if (!f) return NULL;
    fseek(f, 0, SEEK_END);
    long n = ftell(f);
    rewind(f);
    uint8_t *bytes = n >= 0 ? malloc((size_t)n + 1) : NULL;
    if (bytes && fread(bytes, 1, (size_t)n, f) != (size_t)n) {
        free(bytes);
        bytes = NULL;
    }
    fclose(f);
    *out_count = (size_t)n;
    return bytes;
}

// What one file holds: a tensor, or the elements of a sequence or an optional.
struct item {
    struct reel_tensor list[MAX_IO];
    int length; // as sequence_open_lists() takes it: SEQUENCE_TENSOR, SEQUENCE_NONE or a count
};

static int item_tensors(const struct item *item)
{
    return item->length == SEQUENCE_TENSOR ? 1 : item->length == SEQUENCE_NONE ? 0 : item->length;
}

static void item_fini(struct item *item)
{
    for (int i = 0; i < item_tensors(item); i++) reel_tensor_fini(&item->list[i]);
}

// The next field of a protobuf message; false at its end and where it is damaged.
static bool next_field(const uint8_t **p, const uint8_t *end, int *out_field, const uint8_t **out_bytes, size_t *out_n)
{
    uint64_t part[2] = {0}; // key, then value or length
    for (int k = 0; k < 2; k++)
        for (int shift = 0;; shift += 7) {
            if (*p == end || shift > 63) return false;
            part[k] |= (uint64_t)(**p & 0x7f) << shift;
            if (*(*p)++ < 0x80) break;
        }
    const bool message = (part[0] & 7) == 2;
    if ((!message && part[0] & 7) || (message && part[1] > (uint64_t)(end - *p))) return false;
    *out_field = (int)(part[0] >> 3);
    *out_bytes = *p;
    *out_n = message ? (size_t)part[1] : 0;
    *p += *out_n;
    return true;
}

// SequenceProto and OptionalProto (onnx-data.proto): the tensors of the one are
// its field 3; the other has a tensor in 3 or a sequence in 5.
static bool parse_list(const uint8_t *bytes, size_t count, enum list_kind kind, struct item *out)
{
    const uint8_t *p = bytes, *part;
    size_t n;
    int field;
    out->length = kind == LIST_OPTIONAL ? SEQUENCE_NONE : 0;
    while (next_field(&p, bytes + count, &field, &part, &n)) {
        if (kind == LIST_OPTIONAL && field == 5) return parse_list(part, n, LIST_SEQUENCE, out);
        if (field != 3) continue;
        const int at = kind == LIST_OPTIONAL ? 0 : out->length;
        if (at == MAX_IO || import_tensor_bytes(part, n, &out->list[at], NULL, 0)) return false;
        out->length = kind == LIST_OPTIONAL ? SEQUENCE_TENSOR : at + 1;
    }
    return p == bytes + count;
}

// -1: no such file; 0: read; 1: nothing of a carried type.
static int read_item(const char *folder, const char *kind, int i, enum list_kind list, struct item *out)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s_%d.pb", folder, kind, i);
    size_t count;
    *out = (struct item){.length = SEQUENCE_TENSOR};
    uint8_t *bytes = slurp(path, &count);
    if (!bytes) return -1;
    // An absent optional input is an empty file, which unpacks to no type.
    bool ok = list ? parse_list(bytes, count, list, out) : !import_tensor_bytes(bytes, count, &out->list[0], NULL, 0);
    free(bytes);
    return ok ? 0 : 1;
}

// ---- comparing --------------------------------------------------------------

static double element(const struct reel_tensor *t, int64_t i)
{
    double x;
    reel_convert(&x, REEL_F64, (const char *)t->data + (size_t)i * reel_dtype_bytes(t->dtype), t->dtype, 1);
    return x;
}

static double largest(const struct reel_tensor *t)
{
    double most = 0;
    for (int64_t i = 0, n = reel_tensor_count(t); i < n; i++)
        if (isfinite(element(t, i))) most = fmax(most, fabs(element(t, i)));
    return most;
}

// One step of a type of 16 bits, relative to the value.
static double step_of(enum reel_dtype dtype)
{
    return dtype == REEL_F16 ? 1.0 / 1024 : 1.0 / 128;
}

// PSNR in dB with the largest magnitude as the peak; INFINITY when equal, -1
// where one has a NaN or an infinity and the other has not.
static double psnr(const struct reel_tensor *have, const struct reel_tensor *want)
{
    double sum = 0, peak = fmax(largest(want), FLOOR);
    int64_t count = reel_tensor_count(want);
    for (int64_t i = 0; i < count; i++) {
        double x = element(have, i), y = element(want, i);
        if (x == y || (isnan(x) && isnan(y))) continue;
        if (!isfinite(x) || !isfinite(y)) return -1;
        sum += (x - y) * (x - y);
    }
    return sum > 0 ? 10 * log10(peak * peak * (double)count / sum) : INFINITY;
}

static bool compare(const struct options *options, const struct reel_tensor *have, const struct reel_tensor *want,
                    int index, char *why)
{
    char a[128], b[128];
    if (have->dtype != want->dtype || !reel_shape_equal(&have->shape, &want->shape)) {
        snprintf(why, TEXT, "output %d is %s %s, expected %s %s", index, reel_dtype_name(have->dtype),
                 reel_shape_text(&have->shape, a, sizeof a), reel_dtype_name(want->dtype),
                 reel_shape_text(&want->shape, b, sizeof b));
        return false;
    }
    if (options->psnr > 0 && reel_dtype_is_float(want->dtype)) {
        const double db = psnr(have, want);
        size_t used = strlen(why);
        snprintf(why + used, TEXT - used, "%s%.1f dB", used ? " " : "", db);
        return db >= options->psnr;
    }
    int64_t count = reel_tensor_count(want), bad = 0, first = -1;
    double worst = 0;
    if (!reel_dtype_is_float(want->dtype) && !reel_is_narrow_float(want->dtype)) {
        size_t item = reel_dtype_bytes(want->dtype);
        for (int64_t i = 0; i < count; i++)
            if (memcmp((char *)have->data + (size_t)i * item, (char *)want->data + (size_t)i * item, item)) {
                if (first < 0) first = i;
                bad++;
            }
    } else {
        const double scale = fmax(largest(want), FLOOR);
        double fixed = options->of_max > 0 ? options->of_max * scale : -1;
        for (int64_t i = 0; i < count; i++) {
            double x = element(have, i), y = element(want, i);
            double allowed = fixed >= 0 ? fixed : ATOL + RTOL * fabs(y);
            if (fixed >= 0 && want->dtype != REEL_F32 && want->dtype != REEL_F64)
                allowed += step_of(want->dtype) * fabs(y);
            bool same = (isnan(x) && isnan(y)) || x == y || fabs(x - y) <= allowed;
            if (options->of_max > 0 && fabs(x - y) > worst) worst = fabs(x - y);
            if (!same) {
                if (first < 0) first = i;
                bad++;
            }
        }
    }
    if (!bad && options->of_max > 0 && worst > 0) {
        size_t used = strlen(why);
        snprintf(why + used, TEXT - used, "%s%.1e", used ? " " : "", worst / fmax(largest(want), FLOOR));
    }
    if (!bad) return true;
    snprintf(why, TEXT, "output %d (%s %s): %lld of %lld elements differ, [%lld] is %.8g, expected %.8g", index,
             reel_dtype_name(want->dtype), reel_shape_text(&want->shape, b, sizeof b), (long long)bad, (long long)count,
             (long long)first, element(have, first), element(want, first));
    return false;
}

// ---- one test, in the child -------------------------------------------------

struct runner {
    const struct options *options;
    struct graph *graph;
    struct net *net;
    int n_in, n_out;
};

static enum reel_err runner_open(struct runner *r, const char *path)
{
    if (r->options->raw) {
        enum reel_err err = import_file(path, NULL, &r->graph);
        if (err) return err;
        r->n_in = r->graph->n_inputs;
        r->n_out = r->graph->n_outputs;
        for (int i = 0; i < r->n_in + r->n_out; i++)
            if ((i < r->n_in ? r->graph->inputs[i] : r->graph->outputs[i - r->n_in])->list)
                return reel_fail(REEL_ERR_UNSUPPORTED, "the interpreter has no sequences");
        return REEL_OK;
    }
    struct net_params params = {.backend = r->options->backend,
                                .lists = true,
                                .backend_params = {.threads = 1, .precision = r->options->precision}};
    enum reel_err err = net_open(path, &params, &r->net);
    if (err) return err;
    r->n_in = net_input_count(r->net);
    r->n_out = net_output_count(r->net);
    return REEL_OK;
}

static enum reel_err runner_run(struct runner *r, const struct reel_tensor *const *in, struct reel_tensor *out)
{
    if (r->options->raw) return interp_run(r->graph, in, out);
    struct reel_shape shapes[MAX_IO];
    for (int i = 0; i < r->n_in; i++) shapes[i] = in[i]->shape;
    enum reel_err err = net_prepare(r->net, shapes);
    if (!err && r->options->dump) net_dump(r->net, true, stdout);
    return err ? err : net_run(r->net, in, out, false);
}

// The files of a set, one for each input and output that the model declares.
struct set {
    struct item in[MAX_IO], out[MAX_IO];
    int n_in, n_out; // declared; n_out: those that there are files of
};

static enum verdict read_set(struct runner *r, const char *folder, struct set *set, char *why)
{
    set->n_in = r->n_in;
    for (int i = 0; i < r->n_in; i++) {
        int got = read_item(folder, "input", i, r->net ? net_input(r->net, i)->list : LIST_NOT, &set->in[i]);
        if (!got) continue;
        snprintf(why, TEXT, "input %d is %s", i, got < 0 ? "missing" : "nothing of a carried type");
        return SKIPPED;
    }
    for (set->n_out = 0; set->n_out < r->n_out; set->n_out++) {
        const int i = set->n_out;
        int got = read_item(folder, "output", i, r->net ? net_output(r->net, i)->list : LIST_NOT, &set->out[i]);
        if (got < 0) break;
        if (!got) continue;
        snprintf(why, TEXT, "output %d is nothing of a carried type", i);
        return SKIPPED;
    }
    return PASSED;
}

// Lists become tensors, as many as the set has.
static enum reel_err open_lists(struct runner *r, const struct set *set)
{
    int in[MAX_IO], out[MAX_IO];
    for (int i = 0; i < MAX_IO; i++) in[i] = out[i] = SEQUENCE_TENSOR;
    bool any = false;
    for (int i = 0; i < set->n_in; i++) {
        in[i] = set->in[i].length;
        any |= net_input(r->net, i)->list != LIST_NOT;
    }
    for (int i = 0; i < r->n_out; i++) {
        out[i] = i < set->n_out ? set->out[i].length : SEQUENCE_TENSOR;
        any |= net_output(r->net, i)->list != LIST_NOT;
    }
    if (!any) return REEL_OK;
    enum reel_err err = net_open_lists(r->net, in, out);
    r->n_in = net_input_count(r->net);
    r->n_out = net_output_count(r->net);
    if (!err && (r->n_in > MAX_IO || r->n_out > MAX_IO))
        err = reel_fail(REEL_ERR_LIMIT, "more than %d inputs or outputs", MAX_IO);
    return err;
}

static enum verdict compare_set(struct runner *r, struct set *set, const struct reel_tensor *out, char *why)
{
    int at = 0;
    for (int i = 0; i < set->n_out; i++) {
        struct item *want = &set->out[i];
        for (int k = 0; k < item_tensors(want); k++)
            if (!compare(r->options, &out[at++], &want->list[k], i, why)) return FAILED;
        if (want->length < 0) continue;
        const int64_t length = *(const int64_t *)out[at++].data;
        if (length == want->length) continue;
        snprintf(why, TEXT, "output %d has %lld elements, expected %d", i, (long long)length, want->length);
        return FAILED;
    }
    return PASSED;
}

static enum verdict run_set(struct runner *r, const char *folder, char *why)
{
    struct set *set = calloc(1, sizeof *set);
    struct reel_tensor out[MAX_IO] = {0};
    const struct reel_tensor *in_p[MAX_IO];
    if (!set) return FAILED;
    enum verdict verdict = read_set(r, folder, set, why);
    if (verdict != PASSED) return verdict;
    enum reel_err err = r->net ? open_lists(r, set) : REEL_OK;
    int n = 0;
    for (int i = 0; !err && i < set->n_in; i++)
        for (int k = 0; k < item_tensors(&set->in[i]); k++) in_p[n++] = &set->in[i].list[k];
    if (!err) err = runner_run(r, in_p, out);
    if (err) {
        snprintf(why, TEXT, "%s", reel_fail_text());
        return err == REEL_ERR_UNSUPPORTED ? SKIPPED : FAILED;
    }
    verdict = compare_set(r, set, out, why);
    for (int i = 0; i < r->n_out; i++) reel_tensor_fini(&out[i]);
    for (int i = 0; i < set->n_in; i++) item_fini(&set->in[i]);
    for (int i = 0; i < set->n_out; i++) item_fini(&set->out[i]);
    free(set);
    return verdict;
}

// One set in a model opened anew: a set's lists have lengths of their own.
static enum verdict run_one(struct runner *r, const char *folder, const char *set_folder, char *why)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/model.onnx", folder);
    enum reel_err err = runner_open(r, path);
    if (err) {
        snprintf(why, TEXT, "%s", reel_fail_text());
        return err == REEL_ERR_UNSUPPORTED ? SKIPPED : FAILED;
    }
    if (r->n_in > MAX_IO || r->n_out > MAX_IO) {
        snprintf(why, TEXT, "more than %d inputs or outputs", MAX_IO);
        return FAILED;
    }
    enum verdict verdict = run_set(r, set_folder, why);
    net_close(&r->net);
    graph_destroy(&r->graph);
    return verdict;
}

static enum verdict run_test(const struct options *options, const char *folder, char *why)
{
    char path[4096];
    enum verdict verdict = PASSED;
    int sets = 0;
    for (; verdict == PASSED; sets++) {
        struct runner r = {.options = options};
        struct stat st;
        snprintf(path, sizeof path, "%s/test_data_set_%d", folder, sets);
        if (stat(path, &st)) break;
        verdict = run_one(&r, folder, path, why);
    }
    if (!sets) {
        snprintf(why, TEXT, "there is no test_data_set_0");
        verdict = FAILED;
    }
    return verdict;
}

// ---- the parent -------------------------------------------------------------

static void op_of_test(const char *folder, char *op, size_t bytes)
{
    // The operator is the first node's; from the text form of the model no
    // parser is needed beyond the importer, which may refuse the model: so the
    // name of the folder serves ("test_conv_with_strides" -> "conv").
    const char *name = strrchr(folder, '/') ? strrchr(folder, '/') + 1 : folder;
    if (!strncmp(name, "test_", 5)) name += 5;
    snprintf(op, bytes, "%.*s", (int)strcspn(name, "_"), name);
}

static void run_isolated(const struct options *options, const char *folder, struct result *result)
{
    const char *base = strrchr(folder, '/') ? strrchr(folder, '/') + 1 : folder;
    snprintf(result->name, sizeof result->name, "%s", base);
    op_of_test(folder, result->op, sizeof result->op);
    result->verdict = FAILED;
    int fds[2];
    if (pipe(fds)) return;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        close(fds[0]);
        alarm(options->of_max > 0 || options->psnr > 0 ? 10 * SECONDS : SECONDS);
        struct rlimit no_core = {0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        char why[TEXT] = "";
        enum verdict verdict = run_test(options, folder, why);
        bool sent = write(fds[1], why, sizeof why) == (ssize_t)sizeof why;
        fflush(NULL);
        _exit(sent ? 10 + (int)verdict : 1);
    }
    close(fds[1]);
    size_t got = 0;
    for (ssize_t n; got < TEXT && (n = read(fds[0], result->why + got, TEXT - got)) > 0;) got += (size_t)n;
    close(fds[0]);
    int status = 0;
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) >= 10 && WEXITSTATUS(status) <= 12)
        result->verdict = (enum verdict)(WEXITSTATUS(status) - 10);
    else if (WIFSIGNALED(status))
        snprintf(result->why, TEXT, WTERMSIG(status) == SIGALRM ? "no answer within %d s" : "crashed: signal %d",
                 WTERMSIG(status) == SIGALRM ? SECONDS : WTERMSIG(status));
    else
        snprintf(result->why, TEXT, "ended with code %d", WEXITSTATUS(status));
    for (char *p = result->why; *p; p++)
        if (*p == '\n') *p = ' ';
}

static bool is_test(const char *folder)
{
    char path[8192];
    struct stat st;
    snprintf(path, sizeof path, "%s/model.onnx", folder);
    return stat(path, &st) == 0;
}

static bool set_precision(struct options *options, const char *name)
{
    static const struct {
        const char *name;
        enum precision precision;
    } names[] = {{"auto", PRECISION_AUTO}, {"fp32", PRECISION_FP32}, {"tf32", PRECISION_TF32},
                 {"fp16", PRECISION_FP16}, {"bf16", PRECISION_BF16}, {"fp8", PRECISION_FP8}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (!strcmp(names[i].name, name)) {
            options->precision = names[i].precision;
            return true;
        }
    return false;
}

static int visible(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

struct results {
    struct result *list;
    int count, size;
};

static int run_folder(const struct options *options, const char *folder, struct results *results)
{
    if (is_test(folder)) {
        if (results->count == results->size) {
            results->size = results->size ? 2 * results->size : 256;
            results->list = realloc(results->list, (size_t)results->size * sizeof *results->list);
            if (!results->list) exit(1);
        }
        struct result *r = &results->list[results->count++];
        memset(r, 0, sizeof *r);
        run_isolated(options, folder, r);
        static const char *const words[] = {"passed", "FAILED", "skipped"};
        if (options->verbose || options->list || r->verdict == FAILED)
            printf("%-7s %s%s%s\n", words[r->verdict], r->name, *r->why ? ": " : "", r->why);
        return 1;
    }
    struct dirent **entries;
    int n = scandir(folder, &entries, visible, alphasort), found = 0;
    for (int i = 0; i < n; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        if (is_test(path)) found += run_folder(options, path, results);
        free(entries[i]);
    }
    if (n >= 0) free(entries);
    return found;
}

static int by_op(const void *a, const void *b)
{
    const struct result *x = a, *y = b;
    int c = strcmp(x->op, y->op);
    return c ? c : strcmp(x->name, y->name);
}

static void print_table(struct results *results)
{
    qsort(results->list, (size_t)results->count, sizeof *results->list, by_op);
    printf("\n%-28s %7s %7s %8s\n", "operator", "passed", "failed", "skipped");
    for (int i = 0; i < results->count;) {
        int n[3] = {0}, k = i;
        for (; k < results->count && !strcmp(results->list[k].op, results->list[i].op); k++)
            n[results->list[k].verdict]++;
        printf("%-28s %7d %7d %8d\n", results->list[i].op, n[PASSED], n[FAILED], n[SKIPPED]);
        i = k;
    }
}

// Why tests were skipped: reasons that differ in names only are counted as one.
static void print_skips(const struct results *results)
{
    printf("\nskipped:\n");
    for (int i = 0; i < results->count; i++) {
        const struct result *r = &results->list[i];
        if (r->verdict == SKIPPED) printf("  %-48s %s\n", r->name, r->why);
    }
}

int main(int argc, char **argv)
{
    struct options options = {.backend = "interp"};
    struct results results = {0};
    int found = 0;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--backend") && i + 1 < argc)
            options.backend = argv[++i];
        else if (!strcmp(argv[i], "--precision") && i + 1 < argc && set_precision(&options, argv[i + 1]))
            i++;
        else if (!strcmp(argv[i], "--psnr") && i + 1 < argc)
            options.psnr = atof(argv[++i]);
        else if (!strcmp(argv[i], "--raw"))
            options.raw = true;
        else if (!strcmp(argv[i], "--list"))
            options.list = true;
        else if (!strcmp(argv[i], "--dump"))
            options.dump = true;
        else if (!strcmp(argv[i], "--verbose"))
            options.verbose = true;
        else if (!strcmp(argv[i], "--of_max") && i + 1 < argc)
            options.of_max = atof(argv[++i]);
        else if (argv[i][0] == '-')
            return fprintf(stderr, "could not use option \"%s\": unknown\n", argv[i]), 2;
        else
            found += run_folder(&options, argv[i], &results);
    }
    if (!found) return fprintf(stderr, "could not find tests: no folder with a model.onnx was given\n"), 2;
    print_table(&results);
    int n[3] = {0};
    for (int i = 0; i < results.count; i++) n[results.list[i].verdict]++;
    if (n[SKIPPED] && !options.list) print_skips(&results);
    printf("\n%d passed, %d failed, %d skipped\n", n[PASSED], n[FAILED], n[SKIPPED]);
    free(results.list);
    return n[FAILED] ? 1 : 0;
}

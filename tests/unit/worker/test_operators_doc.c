// SPDX-License-Identifier: MIT
//
// docs/operators.md, made from the operator table and from what the backends
// declare: `test_operators_doc --print` writes it (make docs), the test fails
// when the file in the tree is not what would be written, and when a backend
// declares a kernel that it does not use.
#include "tests/unit/worker/graph_make.h"
#include "worker/onnx/import.h"

static int by_name(const void *a, const void *b)
{
    const struct op_def *x = *(const struct op_def *const *)a, *y = *(const struct op_def *const *)b;
    int c = strcmp(x->domain, y->domain);
    if (!c) c = strcmp(x->name, y->name);
    return c ? c : (x->since > y->since) - (x->since < y->since);
}

static bool listed(const char *list, const char *name)
{
    const size_t n = strlen(name);
    for (const char *p = list; p && (p = strstr(p, name)); p += n)
        if ((p == list || p[-1] == ' ') && (p[n] == ' ' || !p[n])) return true;
    return false;
}

static void print_types(FILE *f, uint32_t types)
{
    static const struct {
        uint32_t set;
        const char *text;
    } sets[] = {{TYPES_FLOAT, "float"},
                {TYPES_SINT, "int"},
                {TYPES_UINT, "uint"},
                {TYPES_NARROW, "narrow"},
                {TYPES_FLOAT8, "float8"}};
    const char *comma = "";
    if ((types & TYPES_ALL) == TYPES_ALL) {
        fputs("all", f);
        types &= ~TYPES_ALL;
        comma = ", ";
    }
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++)
        if ((types & sets[i].set) == sets[i].set) {
            fprintf(f, "%s%s", comma, sets[i].text);
            comma = ", ";
            types &= ~sets[i].set;
        }
    for (int t = 0; t < 32; t++)
        if (types & T_(t)) {
            fprintf(f, "%s%s", comma, reel_dtype_name((enum reel_dtype)t));
            comma = ", ";
        }
}

// The same bytes in another shape.
static bool no_step(const struct op_def *op)
{
    return (op->flags & (OP_VIEW | OP_INFERENCE_NOP)) != 0;
}

static void print_row(FILE *f, const struct op_def *op)
{
    static const char *const backends[] = {"onednn", "cudnn"};
    fprintf(f, "| %s%s%s | ", op->domain, *op->domain ? "." : "", op->name);
    if (op->until >= 1000)
        fprintf(f, "%d-", op->since);
    else
        fprintf(f, op->since == op->until ? "%d" : "%d-%d", op->since, op->until);
    fputs(" | ", f);
    print_types(f, op->types);
    for (size_t i = 0; i < sizeof backends / sizeof backends[0]; i++) {
        const struct backend_ops *b = backend_find(backends[i]);
        char name[128];
        snprintf(name, sizeof name, "%s%s%s", op->domain, *op->domain ? "." : "", op->name);
        fprintf(f, " | %s", b && listed(b->own_ops, name) ? "own" : no_step(op) ? "view" : "reference");
    }
    fprintf(f, " | %s |\n", op->limits ? op->limits : "");
}

static void print_fused(FILE *f)
{
    fputs("\nWritten by ONNX Runtime's optimiser and quantiser; read as the standard operators they stand for:\n", f);
    const char *name, *domain;
    for (int i = 0; (name = import_fused_name(i, &domain)); i++)
        fprintf(f, "%s%s%s%s", i ? i % 3 ? ", " : ",\n" : "", domain, *domain ? "." : "", name);
    fputs(".\n", f);
}

static void print_doc(FILE *f)
{
    int count;
    const struct op_def *const *list = op_list(&count);
    const struct op_def **sorted = malloc((size_t)count * sizeof(*sorted));
    if (!sorted) abort();
    memcpy(sorted, list, (size_t)count * sizeof(*sorted));
    qsort(sorted, (size_t)count, sizeof(*sorted), by_name);
    fputs(
        "# Operators\n"
        "\n"
        "This page lists the ONNX operators that reelmill runs, for users who want to know whether a model will work. "
        "It is\n"
        "generated from the operator table by `make docs`; do not edit it.\n"
        "\n"
        "A model runs if every operator in it is listed here for the model's opset. Otherwise it is refused at start "
        "with the\n"
        "name of the node, the operator and the opset.\n"
        "\n"
        "- **opsets**: the supported operator-set versions, inclusive; `7-` has no upper end.\n"
        "- **types**: element types of the first input. `float` means float16, bfloat16, float32 and float64; `int` "
        "and `uint`\n"
        "  mean 8 to 64 bits; `all` means these and bool. `float8` means float8e4m3fn, float8e4m3fnuz, float8e5m2 and\n"
        "  float8e5m2fnuz; `narrow` means these, float8e8m0, float4e2m1, int4, uint4, int2 and uint2.\n"
        "- **onednn, cudnn**: `own` means that the backend has its own kernel, used for float32 (16-bit floats are "
        "computed in\n"
        "  float32 on the CPU), for int8 and uint8 with quantised operators, and for the usual attributes. Everything "
        "else,\n"
        "  and operators marked `reference`, runs in the reference implementation on the CPU. A `view` takes no step: "
        "the\n"
        "  result is the input's memory in another shape, unless a picture in channels-last order must become rows "
        "first.\n"
        "- **sequences**: lists of tensors are resolved before the run into Split, Concat and the like, and loops with "
        "a known\n"
        "  number of iterations are unrolled. A model is refused if this depends on the data of a frame: a position, "
        "the\n"
        "  lengths of a split, a branch that gives a sequence.\n"
        "- **limits**: parts of the operator's definition that are not supported, or conditions.\n"
        "\n"
        "| operator | opsets | types | onednn | cudnn | limits |\n|---|---|---|---|---|---|\n",
        f);
    for (int i = 0; i < count; i++) print_row(f, sorted[i]);
    fprintf(f, "\n%d entries.\n", count);
    print_fused(f);
    free(sorted);
}

static void file_is_up_to_date(void)
{
    char *want = NULL, have[1 << 17];
    size_t bytes;
    FILE *f = open_memstream(&want, &bytes);
    print_doc(f);
    fclose(f);
    f = fopen("docs/operators.md", "r");
    CHECK_MSG(f, "docs/operators.md is missing: run make docs");
    const size_t n = fread(have, 1, sizeof have - 1, f);
    fclose(f);
    have[n] = 0;
    const bool same = n == bytes && !memcmp(have, want, n);
    free(want);
    CHECK_MSG(same, "docs/operators.md is not what the table says: run make docs");
}

// Every operator that takes one picture and no attributes.
static void check_declared(const char *backend, const char *host_label)
{
    // Split and Transpose have kernels, but none for what the defaults mean; LRN must have a size
    static const char *const none[] = {"Constant", "LRN", "Shape", "Size", "Split", "Transpose"};
    const struct backend_ops *b = backend_find(backend);
    int count, tried = 0;
    const struct op_def *const *list = op_list(&count);
    for (int i = 0; i < count; i++) {
        const struct op_def *op = list[i];
        if (*op->domain || op->min_in != 1 || op->min_out != 1 || !(op->types & T_(REEL_F32)) || op->until < 20)
            continue;
        if (op->flags & (OP_VIEW | OP_CONTROL | OP_DATA_SHAPE | OP_RANDOM | OP_INFERENCE_NOP)) continue;
        bool skip = op_find("", op->name, 20, NULL) != op;
        for (size_t k = 0; k < sizeof none / sizeof none[0]; k++) skip |= !strcmp(op->name, none[k]);
        if (skip) continue;
        struct maker m = maker();
        struct value *x = make_input(&m, "x", DIMS(1, 16, 6, 5));
        struct value *y = make_node(&m, "Conv", x, make_weights(&m, DIMS(16, 16, 1, 1), 0.1, 0.2), NULL);
        y = make_node(&m, "Floor", y, NULL, NULL); // so that it is no epilogue of the convolution
        y = make_node(&m, op->name, y, NULL, NULL);
        make_output(&m, y);
        struct program *program = NULL;
        struct graph *after = after_passes(m.graph, b->caps);
        char text[8192] = "";
        if (after && !b->compile(after, &(struct backend_params){.threads = 1}, &program)) {
            FILE *f = fmemopen(text, sizeof text, "w");
            b->dump(program, f);
            fclose(f);
            b->destroy(&program);
        }
        char row[64];
        snprintf(row, sizeof row, " %s ", op->name);
        const char *line = strstr(text, row);
        graph_destroy(&after);
        graph_destroy(&m.graph);
        if (!line) continue; // needs attributes, or the passes made it another operator
        tried++;
        const char *kernel = line + strlen(row) + strspn(line + strlen(row), " ");
        const bool reference = !strncmp(kernel, host_label, strlen(host_label));
        if (strcmp(op->name, "ReduceMean")) // has one over the picture, not over everything
            CHECK_MSG(reference != listed(b->own_ops, op->name), "%s: declared %d\n%s", op->name,
                      listed(b->own_ops, op->name), text);
    }
    CHECK_MSG(tried > 20, "only %d operators were tried", tried);
}

static void declared_kernels_are_used(void)
{
    check_declared("onednn", "reference");
}

// The GPU's steps are those of its host twin.
static void declared_steps_are_used(void)
{
    check_declared("cudnn-host", "on the host");
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {{"file_is_up_to_date", file_is_up_to_date},
                                              {"declared_kernels_are_used", declared_kernels_are_used},
                                              {"declared_steps_are_used", declared_steps_are_used}};
    if (argc > 1 && !strcmp(argv[1], "--print")) {
        print_doc(stdout);
        return 0;
    }
    return check_main(cases, (int)(sizeof cases / sizeof cases[0]), argc, argv);
}

// SPDX-License-Identifier: MIT
//
// Data of tensors as the importer reads it: elements smaller than a byte, external files, and files that are
// no regular files or too large.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/worker/import_make.h"

// ---- elements that share a byte -----------------------------------------------

// Element i of a tensor of `bits` bits an element: (i * 7 + 1) modulo what fits.
static uint8_t packed_byte(int64_t count, int bits, int64_t at)
{
    unsigned byte = 0;
    const int per = 8 / bits;
    for (int k = 0; k < per && at * per + k < count; k++)
        byte |= (unsigned)((at * per + k) * 7 + 1) % (1u << bits) << (k * bits);
    return (uint8_t)byte;
}

static void check_packed(int type, int bits, bool is_signed, int64_t count, bool in_fields)
{
    uint8_t raw[600];
    struct pb fields = {0};
    const size_t n = (size_t)((count * bits + 7) / 8);
    for (size_t i = 0; i < n; i++) {
        raw[i] = packed_byte(count, bits, (int64_t)i);
        put_varint(&fields, raw[i]);
    }
    struct pb t = tensor("t", type, 1, &count, in_fields ? NULL : raw, n);
    if (in_fields) put_bytes(&t, 5, fields.bytes, fields.count); // int32_data
    struct reel_tensor have;
    CHECK_INT(import_tensor_bytes(t.bytes, t.count, &have, NULL, 0), REEL_OK);
    CHECK_INT(reel_tensor_count(&have), count);
    for (int64_t i = 0; i < count; i++) {
        int64_t want = (i * 7 + 1) % (1 << bits);
        if (is_signed && want >= 1 << (bits - 1)) want -= 1 << bits;
        CHECK_INT(op_scalar_int(&have, i), want);
    }
    reel_tensor_fini(&have);
    free(t.bytes);
    // a byte too few
    t = tensor("t", type, 1, &count, in_fields ? NULL : raw, n - 1);
    if (in_fields) put_bytes(&t, 5, fields.bytes, fields.count - (n > 1 && raw[n - 1] > 127 ? 2 : 1));
    CHECK_INT(import_tensor_bytes(t.bytes, t.count, &have, NULL, 0), REEL_ERR_INPUT);
    free(t.bytes);
    free(fields.bytes);
}

static void packed_elements(void)
{
    static const struct {
        int type, bits;
        bool is_signed;
    } types[] = {{21, 4, false}, {22, 4, true}, {25, 2, false}, {26, 2, true}};
    for (size_t k = 0; k < sizeof types / sizeof types[0]; k++)
        for (int64_t count = 1; count < 1200; count += count < 10 ? 1 : 397)
            for (int in_fields = 0; in_fields < 2; in_fields++)
                check_packed(types[k].type, types[k].bits, types[k].is_signed, count, in_fields);
}

// ---- external data ----------------------------------------------------------

static char folder[CHECK_FOLDER_BYTES];

static void entry(struct pb *t, const char *key, const char *value)
{
    struct pb e = {0};
    put_text(&e, 1, key);
    put_text(&e, 2, value);
    put_message(t, 13, e);
}

static enum reel_err import_external_of(int type, const char *location, const char *offset, const char *length,
                                        double *out_first)
{
    struct pb f = {0}, t = {0};
    put_int(&t, 1, type == FLOAT ? 2 : 5);
    put_int(&t, 2, type);
    put_text(&t, 8, "w");
    entry(&t, "location", location);
    if (offset) entry(&t, "offset", offset);
    if (length) entry(&t, "length", length);
    put_int(&t, 14, 1);
    put_message(&f, 5, t);
    put_message(&f, 1, node("Add", "x", "w", "y"));
    struct pb m = model(graph_around(f));
    char path[256];
    snprintf(path, sizeof path, "%s/in/model.onnx", folder);
    FILE *file = fopen(path, "wb");
    fwrite(m.bytes, 1, m.count, file);
    fclose(file);
    free(m.bytes);
    struct graph *g = NULL;
    enum reel_err err = import_file(path, NULL, &g);
    if (!err && out_first) *out_first = op_scalar(graph_find_value(g, "w")->constant, 0);
    graph_destroy(&g);
    unlink(path);
    return err;
}

static enum reel_err import_external(const char *location, const char *offset, const char *length, double *out_first)
{
    return import_external_of(FLOAT, location, offset, length, out_first);
}

static void write_floats(const char *name, int n)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    for (int i = 0; i < n; i++) fwrite(&(float){(float)i}, 4, 1, f);
    fclose(f);
}

static void external_data(void)
{
    char path[256], target[256];
    snprintf(path, sizeof path, "%s/in", folder);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/in/sub", folder);
    mkdir(path, 0700);
    write_floats("outside.bin", 100);
    write_floats("in/w.bin", 100);
    write_floats("in/sub/w.bin", 4);
    snprintf(target, sizeof target, "%s/outside.bin", folder);
    snprintf(path, sizeof path, "%s/in/link.bin", folder);
    CHECK_INT(symlink(target, path), 0);
    snprintf(path, sizeof path, "%s/in/linkdir", folder);
    CHECK_INT(symlink(folder, path), 0);
    double first = -1;
    CHECK_INT(import_external("w.bin", NULL, NULL, &first), REEL_OK);
    CHECK_NEAR(first, 0, 0);
    CHECK_INT(import_external("w.bin", "40", "8", &first), REEL_OK);
    CHECK_NEAR(first, 10, 0);
    CHECK_INT(import_external("sub/w.bin", "8", NULL, &first), REEL_OK);
    CHECK_NEAR(first, 2, 0);
    enum { INT4 = 22 }; // five of them are three bytes; those of 1.0f are 00 00 80 3f
    CHECK_INT(import_external_of(INT4, "w.bin", "6", "3", &first), REEL_OK);
    CHECK(first == 0);
    CHECK_INT(import_external_of(INT4, "w.bin", "7", NULL, &first), REEL_OK);
    CHECK(first == -1);
    CHECK_INT(import_external_of(INT4, "w.bin", "6", "5", &first), REEL_ERR_INPUT);
    static const char *const outside[] = {"../outside.bin",
                                          "sub/../../outside.bin",
                                          "link.bin",
                                          "linkdir/outside.bin",
                                          "/etc/passwd",
                                          "",
                                          "sub",
                                          "none.bin",
                                          "sub//w.bin",
                                          ".."};
    for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++)
        CHECK_MSG(import_external(outside[i], NULL, NULL, NULL) == REEL_ERR_INPUT, "\"%s\" was not refused: %s",
                  outside[i], reel_fail_text());
    CHECK_INT(import_external("sub/w.bin", "12", NULL, NULL), REEL_ERR_INPUT);
    CHECK_INT(import_external("w.bin", "18446744073709551615", NULL, NULL), REEL_ERR_INPUT);
    CHECK_INT(import_external("w.bin", "-1", NULL, NULL), REEL_ERR_INPUT);
    CHECK_INT(import_external("w.bin", "0", "12", NULL), REEL_ERR_INPUT);
}

static void odd_files(void)
{
    struct graph *g;
    CHECK_INT(import_file(folder, NULL, &g), REEL_ERR_INPUT);
    CHECK_INT(import_file("/nowhere/model.onnx", NULL, &g), REEL_ERR_IO);
    CHECK_HAS(reel_fail_text(), "/nowhere/model.onnx");
    char path[256];
    snprintf(path, sizeof path, "%s/fifo", folder);
    CHECK_INT(mkfifo(path, 0600), 0);
    CHECK_INT(import_file(path, NULL, &g), REEL_ERR_INPUT);
    write_floats("big.onnx", 1000);
    snprintf(path, sizeof path, "%s/big.onnx", folder);
    struct import_params small = IMPORT_DEFAULTS;
    small.max_file_bytes = 1000;
    CHECK_INT(import_file(path, &small, &g), REEL_ERR_LIMIT);
}

static const struct check_case cases[] = {
    {"external_data", external_data},
    {"packed_elements", packed_elements},
    {"odd_files", odd_files},
};

int main(int argc, char **argv)
{
    check_folder(folder);
    int code = check_main(cases, (int)(sizeof cases / sizeof cases[0]), argc, argv);
    static const char *const made[] = {"in/link.bin", "in/linkdir",  "in/w.bin", "in/sub/w.bin", "in/sub",
                                       "in",          "outside.bin", "fifo",     "big.onnx",     ""};
    for (size_t i = 0; i < sizeof made / sizeof made[0]; i++) {
        char path[256];
        snprintf(path, sizeof path, "%s/%s", folder, made[i]);
        remove(path);
    }
    return code;
}

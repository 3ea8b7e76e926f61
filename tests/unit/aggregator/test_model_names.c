// SPDX-License-Identifier: MIT
//
// Names of classes in a model's file, written here byte by byte.
#include "aggregator/post/model_names.h"

#include "aggregator/post/labels.h"
#include "common/frame.h"
#include "tests/check.h"

static char folder[CHECK_FOLDER_BYTES], path[CHECK_FOLDER_BYTES + 16];

struct bytes {
    uint8_t at[4096];
    size_t n;
};

static void put(struct bytes *b, int byte)
{
    b->at[b->n++] = (uint8_t)byte;
}

static void put_bytes(struct bytes *b, int field, const void *data, size_t n)
{
    put(b, field << 3 | 2);
    for (size_t left = n;; left >>= 7) {
        put(b, (int)(left & 127) | (left > 127 ? 128 : 0));
        if (left <= 127) break;
    }
    memcpy(b->at + b->n, data, n);
    b->n += n;
}

static void put_pair(struct bytes *b, const char *key, const char *value)
{
    struct bytes pair = {.n = 0};
    put_bytes(&pair, 1, key, strlen(key));
    put_bytes(&pair, 2, value, strlen(value));
    put_bytes(b, 14, pair.at, pair.n);
}

// Numbers, a network that is skipped, and pairs of which that of the names is the last.
static struct bytes model(const char *value)
{
    struct bytes b = {.n = 0};
    static const char network[300] = {0x72, 5, 10, 3, 'x', 'y', 'z'}; // looks like a pair
    put(&b, 1 << 3), put(&b, 8);
    put_bytes(&b, 7, network, sizeof network);
    put(&b, 2 << 3 | 5), put(&b, 1), put(&b, 2), put(&b, 3), put(&b, 4);
    put_pair(&b, "author", "{0: 'nobody'}");
    put_pair(&b, "names", value);
    return b;
}

static char *names_of(const uint8_t *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(bytes, 1, n, f) != n || fclose(f)) abort();
    return model_names_read(path);
}

static void read_names(void)
{
    static const struct {
        const char *value, *lines; // NULL: none
    } rows[] = {
        {"{0: 'person', 1: 'bicycle'}", "person\nbicycle\n"},
        {"{0: \"driver's\", 2: 'a\\'b\\\\c', 1: 'two words'}", "driver's\ntwo words\na'b\\c\n"},
        {"['cat', \"dog\"]", "cat\ndog\n"},
        {" {\"1\": \"b\", \"0\": \"a\" } ", "a\nb\n"},
        {"{3: 'line\nbreak'}", "\n\n\nline break\n"},
        {"{0: 'caf\xc3\xa9'}", "caf\xc3\xa9\n"},
        {"{}", NULL},
        {"", NULL},
        {"person, bicycle", NULL},
        {"{0: 'person'", NULL},
        {"{0: 'person, 1: 3}", NULL},
        {"{0: 1}", NULL},
        {"{-1: 'a'}", NULL},
        {"{99999999999: 'a'}", NULL},
        {"{'a': 'b'}", NULL},
        {"{0 'a'}", NULL},
        {"[", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct bytes b = model(rows[i].value);
        char *lines = names_of(b.at, b.n);
        CHECK_MSG(rows[i].lines ? lines && !strcmp(lines, rows[i].lines) : !lines, "%s: %s", rows[i].value,
                  lines ? lines : "none");
        free(lines);
    }
}

// Cut off anywhere, and with any byte another: no crash, and no end that does not come.
static void broken_files(void)
{
    const struct bytes whole = model("{0: 'person', 1: 'bicycle'}");
    for (size_t n = 0; n < whole.n; n++) {
        char *lines = names_of(whole.at, n);
        CHECK_MSG(!lines, "%zu of %zu bytes: %s", n, whole.n, lines);
    }
    for (size_t i = 0; i < whole.n; i++)
        for (int bit = 0; bit < 8; bit++) {
            struct bytes b = whole;
            b.at[i] ^= (uint8_t)(1 << bit);
            free(names_of(b.at, b.n));
        }
    CHECK(!model_names_read("/no/such/file"));
    CHECK(!model_names_read(folder));
}

// The user's file stands before the model's names, and these before what is built in.
static void which_counts(void)
{
    const struct bytes b = model("{0: 'mine'}");
    struct labels *labels;
    char number[16];
    free(names_of(b.at, b.n));
    CHECK_INT(labels_load("", path, &labels), REEL_OK);
    CHECK_STR(labels_name(labels, REEL_LABELS_COCO, 0, number, sizeof number), "mine");
    CHECK_STR(labels_name(labels, REEL_LABELS_COCO, 1, number, sizeof number), "1");
    labels_free(&labels);
    char other[CHECK_FOLDER_BYTES + 16];
    snprintf(other, sizeof other, "%s/names", folder);
    FILE *f = fopen(other, "w");
    CHECK(f && fputs("theirs\n", f) >= 0 && !fclose(f));
    CHECK_INT(labels_load(other, path, &labels), REEL_OK);
    CHECK_STR(labels_name(labels, REEL_LABELS_COCO, 0, number, sizeof number), "theirs");
    labels_free(&labels);
    CHECK_INT(labels_load("", other, &labels), REEL_OK);
    CHECK(!labels);
    CHECK_STR(labels_name(labels, REEL_LABELS_COCO, 0, number, sizeof number), "person");
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"model names: read", read_names},
        {"model names: broken files", broken_files},
        {"model names: which counts", which_counts},
    };
    check_folder(folder);
    snprintf(path, sizeof path, "%s/m.onnx", folder);
    const int rc = check_main(cases, (int)(sizeof cases / sizeof cases[0]), argc, argv);
    char command[CHECK_FOLDER_BYTES + 16];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command) ? 1 : rc;
}

// SPDX-License-Identifier: MIT
//
// What the tests of the importer share: models made by hand, byte by byte.
#ifndef REEL_TESTS_WORKER_IMPORT_MAKE_H
#define REEL_TESTS_WORKER_IMPORT_MAKE_H

#include "worker/onnx/import.h"

#include "tests/unit/worker/graph_make.h"

// ---- protobuf by hand -------------------------------------------------------

struct pb {
    uint8_t *bytes;
    size_t count, size;
};

static inline void put(struct pb *pb, const void *bytes, size_t count)
{
    if (pb->count + count > pb->size) {
        pb->size = 2 * (pb->count + count) + 64;
        pb->bytes = realloc(pb->bytes, pb->size);
        if (!pb->bytes) abort();
    }
    if (count) memcpy(pb->bytes + pb->count, bytes, count);
    pb->count += count;
}

static inline void put_varint(struct pb *pb, uint64_t x)
{
    do {
        uint8_t byte = (uint8_t)((x & 0x7f) | (x > 0x7f ? 0x80 : 0));
        put(pb, &byte, 1);
        x >>= 7;
    } while (x);
}

static inline void put_int(struct pb *pb, int field, int64_t x)
{
    put_varint(pb, (uint64_t)field << 3);
    put_varint(pb, (uint64_t)x);
}

static inline void put_bytes(struct pb *pb, int field, const void *bytes, size_t count)
{
    put_varint(pb, (uint64_t)field << 3 | 2);
    put_varint(pb, count);
    put(pb, bytes, count);
}

static inline void put_text(struct pb *pb, int field, const char *text)
{
    put_bytes(pb, field, text, strlen(text));
}

// Consumes inner.
static inline void put_message(struct pb *pb, int field, struct pb inner)
{
    put_bytes(pb, field, inner.bytes, inner.count);
    free(inner.bytes);
}

// ---- pieces of onnx.proto ---------------------------------------------------

enum { FLOAT = 1, INT64 = 7, FLOAT16 = 10 };

static inline struct pb tensor(const char *name, int type, int n_dims, const int64_t *dims, const void *raw,
                               size_t raw_bytes)
{
    struct pb t = {0};
    for (int i = 0; i < n_dims; i++) put_int(&t, 1, dims[i]);
    put_int(&t, 2, type);
    put_text(&t, 8, name);
    if (raw) put_bytes(&t, 9, raw, raw_bytes);
    return t;
}

static inline struct pb value_info(const char *name, int type, int n_dims, const int64_t *dims)
{
    struct pb shape = {0}, t = {0}, ty = {0}, v = {0};
    for (int i = 0; i < n_dims; i++) {
        struct pb d = {0};
        if (dims[i] >= 0)
            put_int(&d, 1, dims[i]);
        else
            put_text(&d, 2, "height");
        put_message(&shape, 1, d);
    }
    put_int(&t, 1, type);
    put_message(&t, 2, shape);
    put_message(&ty, 1, t);
    put_text(&v, 1, name);
    put_message(&v, 2, ty);
    return v;
}

static inline struct pb node(const char *op, const char *in0, const char *in1, const char *out)
{
    struct pb n = {0};
    if (in0) put_text(&n, 1, in0);
    if (in1) put_text(&n, 1, in1);
    put_text(&n, 2, out);
    put_text(&n, 4, op);
    return n;
}

static const int64_t two[] = {2};

// Input "x" (2), output "y" (2) of a graph with the given further fields.
static inline struct pb graph_around(struct pb fields)
{
    struct pb g = {0};
    put(&g, fields.bytes, fields.count);
    free(fields.bytes);
    put_text(&g, 2, "g");
    put_message(&g, 11, value_info("x", FLOAT, 1, two));
    put_message(&g, 12, value_info("y", FLOAT, 1, two));
    return g;
}

static inline struct pb opset(const char *domain, int version)
{
    struct pb o = {0};
    if (*domain) put_text(&o, 1, domain);
    put_int(&o, 2, version);
    return o;
}

static inline struct pb model(struct pb graph)
{
    struct pb m = {0};
    put_int(&m, 1, 8);
    put_message(&m, 8, opset("", 17));
    put_message(&m, 7, graph);
    return m;
}

static inline enum reel_err import(struct pb m, struct graph **out_graph)
{
    enum reel_err err = import_memory(m.bytes, m.count, "made.onnx", -1, NULL, out_graph);
    free(m.bytes);
    return err;
}

#define CHECK_REFUSED(m, code, part)                  \
    do {                                              \
        struct graph *g_ = NULL;                      \
        CHECK_INT(import(m, &g_), code);              \
        CHECK(g_ == NULL);                            \
        CHECK_HAS(reel_fail_text(), part);            \
        CHECK_HAS(reel_fail_text(), "\"made.onnx\""); \
    } while (0)

#endif

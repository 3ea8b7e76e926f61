// SPDX-License-Identifier: MIT
//
// Weights of a few bits, as com.microsoft's MatMulNBits and MatMulBnb4 have them, written out
// as floats while the model is read. Called by import_fused.c.
//
// Row n of the columns' weights is cut into blocks, each with a scale of its own. MatMulNBits
// has integers of 2, 4 or 8 bits, the first in the lowest bits of a byte, less a zero point;
// MatMulBnb4 has positions in a table of 16 numbers, the first in the highest bits.
// Definitions: onnxruntime, docs/ContribOperators.md; the tables: bitsandbytes (FP4, NF4).
#include <stdlib.h>
#include <string.h>

#include "worker/onnx/import.h"
#include "worker/onnx/importer.h"

static int64_t number_of(const Onnx__NodeProto *proto, const char *name, int64_t absent)
{
    for (size_t i = 0; i < proto->n_attribute; i++)
        if (!strcmp(import_text(proto->attribute[i]->name), name)) return proto->attribute[i]->i;
    return absent;
}

static const struct reel_tensor *constant(const struct value *v)
{
    return v && v->constant && v->constant->data ? v->constant : NULL;
}

struct packed {
    int64_t k, n, block, blocks; // blocks: of a column; of all columns for MatMulBnb4
    int bits;
    const uint8_t *bytes;
    float *scales;
    float *zeros; // one a block
};

static enum reel_err wrong(const char *what)
{
    return reel_fail(REEL_ERR_INPUT, "its %s does not fit K, N, bits and block_size", what);
}

static float *floats_of(const struct reel_tensor *t)
{
    const int64_t n = reel_tensor_count(t);
    float *f = malloc(sizeof *f * (size_t)(n + 1));
    if (f) reel_convert(f, REEL_F32, t->data, t->dtype, n);
    return f;
}

// The sizes and the packed bytes. per_column: blocks do not go on from one column to the next.
static enum reel_err open_packed(struct packed *w, const Onnx__NodeProto *proto, const struct reel_tensor *bytes,
                                 const struct reel_tensor *scales, bool per_column)
{
    w->k = number_of(proto, "K", 0), w->n = number_of(proto, "N", 0), w->block = number_of(proto, "block_size", 0);
    if (w->k < 1 || w->n < 1 || w->k > (1 << 24) || w->n > (1 << 24) || w->block < 16 || w->block > (1 << 24) ||
        w->block & (w->block - 1))
        return reel_fail(REEL_ERR_INPUT, "its K, N or block_size is none");
    w->blocks = per_column ? (w->k + w->block - 1) / w->block : (w->k * w->n + w->block - 1) / w->block;
    const int64_t all = per_column ? w->blocks * w->n : w->blocks;
    const int64_t want = per_column ? all * (w->block * w->bits / 8) : (w->k * w->n + 1) / 2;
    if (bytes->dtype != REEL_U8 || reel_tensor_count(bytes) != want) return wrong("packed weights");
    if (!reel_dtype_is_float(scales->dtype) || reel_tensor_count(scales) != all) return wrong("list of scales");
    w->bytes = bytes->data;
    w->scales = floats_of(scales);
    return w->scales ? REEL_OK : import_no_memory();
}

static int bits_at(const uint8_t *bytes, int64_t i, int bits)
{
    const int per = 8 / bits;
    return bytes[i / per] >> (int)(i % per) * bits & ((1 << bits) - 1);
}

// Packed in rows of whole bytes, a column each, or floats.
static enum reel_err open_zeros(struct packed *w, const struct reel_tensor *zeros)
{
    const int64_t all = w->blocks * w->n, row = (w->blocks * w->bits + 7) / 8;
    if (zeros && reel_dtype_is_float(zeros->dtype)) {
        if (reel_tensor_count(zeros) != all) return wrong("list of zero points");
        w->zeros = floats_of(zeros);
        return w->zeros ? REEL_OK : import_no_memory();
    }
    if (zeros && (zeros->dtype != REEL_U8 || reel_tensor_count(zeros) != row * w->n))
        return wrong("list of zero points");
    w->zeros = malloc(sizeof *w->zeros * (size_t)all);
    if (!w->zeros) return import_no_memory();
    const uint8_t *bytes = zeros ? zeros->data : NULL;
    for (int64_t i = 0; i < all; i++)
        w->zeros[i] =
            (float)(bytes ? bits_at(bytes + i / w->blocks * row, i % w->blocks, w->bits) : 1 << (w->bits - 1));
    return REEL_OK;
}

static void unpack_integers(const struct packed *w, float *out)
{
    for (int64_t n = 0; n < w->n; n++)
        for (int64_t k = 0; k < w->k; k++) {
            const int64_t b = n * w->blocks + k / w->block;
            const int q = bits_at(w->bytes + b * (w->block * w->bits / 8), k % w->block, w->bits);
            out[k * w->n + n] = ((float)q - w->zeros[b]) * w->scales[b];
        }
}

static void unpack_table(const struct packed *w, const float table[16], float *out)
{
    for (int64_t n = 0; n < w->n; n++)
        for (int64_t k = 0; k < w->k; k++) {
            const int64_t i = n * w->k + k;
            const int q = i & 1 ? w->bytes[i / 2] & 15 : w->bytes[i / 2] >> 4;
            out[k * w->n + n] = table[q] * w->scales[i / w->block];
        }
}

// The constant (K,N) in the scales' type.
static enum reel_err add_weights(struct scope *scope, const struct packed *w, const float *table, enum reel_dtype dtype,
                                 struct value **out)
{
    const struct reel_shape shape = {.ndim = 2, .dim = {w->k, w->n}};
    struct reel_tensor wide, t;
    enum reel_err err = reel_tensor_init(&wide, REEL_F32, &shape);
    if (err) return err;
    if (table)
        unpack_table(w, table, wide.data);
    else
        unpack_integers(w, wide.data);
    t = wide;
    if (dtype != REEL_F32) {
        err = reel_tensor_init(&t, dtype, &shape);
        if (!err) reel_convert(t.data, dtype, wide.data, REEL_F32, reel_tensor_count(&wide));
        reel_tensor_fini(&wide);
        if (err) return err;
    }
    *out = graph_add_constant(scope->graph, NULL, &t);
    if (*out) return REEL_OK;
    reel_tensor_fini(&t);
    return import_no_memory();
}

// The weights and the unpacked ones share the bound on what a file may unpack to.
static enum reel_err take_budget(struct importer *im, const struct packed *w)
{
    const uint64_t bytes = (uint64_t)w->k * (uint64_t)w->n * sizeof(float);
    if (bytes > im->params.max_file_bytes)
        return reel_fail(REEL_ERR_LIMIT, "its weights are %llu MiB as floats", (unsigned long long)(bytes >> 20));
    return REEL_OK;
}

enum reel_err import_packed_integers(struct importer *im, struct scope *scope, const Onnx__NodeProto *proto,
                                     struct value *const *in, int n_in, struct value **out)
{
    const struct reel_tensor *bytes = constant(in[1]), *scales = constant(in[2]);
    struct packed w = {.bits = (int)number_of(proto, "bits", 4)};
    if (!bytes || !scales || (n_in > 3 && in[3] && !constant(in[3])))
        return reel_fail(REEL_ERR_UNSUPPORTED, "its weights are computed, not constants");
    if (n_in > 4 && in[4]) return reel_fail(REEL_ERR_UNSUPPORTED, "the input g_idx is not supported");
    if (w.bits != 2 && w.bits != 4 && w.bits != 8)
        return reel_fail(REEL_ERR_UNSUPPORTED, "its weights are of %d bits", w.bits);
    enum reel_err err = open_packed(&w, proto, bytes, scales, true);
    if (!err) err = take_budget(im, &w);
    if (!err) err = open_zeros(&w, n_in > 3 ? constant(in[3]) : NULL);
    if (!err) err = add_weights(scope, &w, NULL, scales->dtype, out);
    free(w.scales);
    free(w.zeros);
    return err;
}

enum reel_err import_packed_table(struct importer *im, struct scope *scope, const Onnx__NodeProto *proto,
                                  struct value *const *in, struct value **out)
{
    static const float fp4[16] = {0,     0.00520833333f,  0.66666667f,  1,  0.33333333f,  0.5f,  0.16666667f,  0.25f,
                                  -0.0f, -0.00520833333f, -0.66666667f, -1, -0.33333333f, -0.5f, -0.16666667f, -0.25f};
    static const float nf4[16] = {-1,
                                  -0.6961928009986877f,
                                  -0.5250730514526367f,
                                  -0.39491748809814453f,
                                  -0.28444138169288635f,
                                  -0.18477343022823334f,
                                  -0.09105003625154495f,
                                  0,
                                  0.07958029955625534f,
                                  0.16093020141124725f,
                                  0.24611230194568634f,
                                  0.33791524171829224f,
                                  0.44070982933044434f,
                                  0.5626170039176941f,
                                  0.7229568362236023f,
                                  1};
    const struct reel_tensor *bytes = constant(in[1]), *scales = constant(in[2]);
    const int64_t type = number_of(proto, "quant_type", -1);
    struct packed w = {.bits = 4};
    if (!bytes || !scales) return reel_fail(REEL_ERR_UNSUPPORTED, "its weights are computed, not constants");
    if ((type != 0 && type != 1) || !number_of(proto, "transB", 1))
        return reel_fail(REEL_ERR_UNSUPPORTED, "its quant_type or transB is not supported");
    enum reel_err err = open_packed(&w, proto, bytes, scales, false);
    if (!err) err = take_budget(im, &w);
    if (!err) err = add_weights(scope, &w, type ? nf4 : fp4, scales->dtype, out);
    free(w.scales);
    return err;
}

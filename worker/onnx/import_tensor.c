// SPDX-License-Identifier: MIT
//
// TensorProto -> tensor: raw and typed data, sparse tensors, external files.
// Called by import.c. Every length is compared with the shape before memory is
// taken. External paths are walked one component at a time beneath the model's
// folder with O_NOFOLLOW, so that neither "..", an absolute path nor a symbolic
// link leads out of it.
#include "worker/onnx/import_tensor.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/narrow.h"

// A sparse tensor of a few bytes must not become gigabytes.
#define MAX_SPARSE_BYTES ((size_t)256 << 20)

// ---- memory for protobuf-c --------------------------------------------------

static void *pb_alloc(void *data, size_t size)
{
    struct pb_memory *memory = data;
    if (size > memory->bytes_left) return NULL;
    memory->bytes_left -= size;
    if (size < PB_STEAL_BYTES) return malloc(size ? size : 1);
    return aligned_alloc(64, (size + 63) / 64 * 64);
}

static void pb_free(void *data, void *p)
{
    (void)data;
    free(p);
}

void pb_memory_init(struct pb_memory *memory, uint64_t budget)
{
    memory->allocator = (ProtobufCAllocator){.alloc = pb_alloc, .free = pb_free, .allocator_data = memory};
    memory->bytes_left = budget;
}

// ---- element types ----------------------------------------------------------

// onnx.proto, TensorProto.DataType; the last ones are newer than Debian's file.
static const struct {
    const char *name;
    enum reel_dtype dtype;
} onnx_types[] = {
    [0] = {"undefined", REEL_DTYPE_NONE},
    [1] = {"float32", REEL_F32},
    [2] = {"uint8", REEL_U8},
    [3] = {"int8", REEL_I8},
    [4] = {"uint16", REEL_U16},
    [5] = {"int16", REEL_I16},
    [6] = {"int32", REEL_I32},
    [7] = {"int64", REEL_I64},
    [8] = {"string", REEL_STRING},
    [9] = {"bool", REEL_BOOL},
    [10] = {"float16", REEL_F16},
    [11] = {"float64", REEL_F64},
    [12] = {"uint32", REEL_U32},
    [13] = {"uint64", REEL_U64},
    [14] = {"complex64", REEL_DTYPE_NONE},
    [15] = {"complex128", REEL_DTYPE_NONE},
    [16] = {"bfloat16", REEL_BF16},
    [17] = {"float8e4m3fn", REEL_F8E4M3FN},
    [18] = {"float8e4m3fnuz", REEL_F8E4M3FNUZ},
    [19] = {"float8e5m2", REEL_F8E5M2},
    [20] = {"float8e5m2fnuz", REEL_F8E5M2FNUZ},
    [21] = {"uint4", REEL_U4},
    [22] = {"int4", REEL_I4},
    [23] = {"float4e2m1", REEL_F4E2M1},
    [24] = {"float8e8m0", REEL_F8E8M0},
    [25] = {"uint2", REEL_U2},
    [26] = {"int2", REEL_I2},
};
#define N_ONNX_TYPES ((int)(sizeof onnx_types / sizeof onnx_types[0]))

enum reel_dtype tensor_dtype(int onnx_type)
{
    return onnx_type >= 0 && onnx_type < N_ONNX_TYPES ? onnx_types[onnx_type].dtype : REEL_DTYPE_NONE;
}

const char *tensor_type_name(int onnx_type)
{
    return onnx_type >= 0 && onnx_type < N_ONNX_TYPES ? onnx_types[onnx_type].name : "of an unknown type";
}

// ---- external data ----------------------------------------------------------

static enum reel_err open_beneath(int folder_fd, const char *location, int *out_fd)
{
    if (folder_fd < 0) return reel_fail(REEL_ERR_UNSUPPORTED, "its data is in another file, which is not allowed here");
    if (location[0] == '/' || strlen(location) >= PATH_MAX)
        return reel_fail(REEL_ERR_INPUT, "external data \"%.200s\" is not inside the model's folder", location);
    int dir = dup(folder_fd);
    const char *p = location;
    while (dir >= 0) {
        size_t len = strcspn(p, "/");
        char part[NAME_MAX + 1];
        if (len > NAME_MAX) {
            close(dir);
            return reel_fail(REEL_ERR_INPUT, "external data \"%.200s\": name too long", location);
        }
        memcpy(part, p, len);
        part[len] = '\0';
        if (!strcmp(part, "..") || !*part) {
            close(dir);
            return reel_fail(REEL_ERR_INPUT, "external data \"%.200s\" is not inside the model's folder", location);
        }
        bool last = p[len] == '\0';
        int flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | (last ? 0 : O_DIRECTORY);
        int next = openat(dir, part, flags);
        int why = errno;
        close(dir);
        if (next < 0)
            return reel_fail(REEL_ERR_INPUT, "could not open external data \"%.200s\": %s", location,
                             why == ELOOP ? "it is a symbolic link" : strerror(why));
        if (last) {
            *out_fd = next;
            return REEL_OK;
        }
        dir = next;
        p += len + 1;
    }
    return reel_fail(REEL_ERR_IO, "could not open external data \"%.200s\": %s", location, strerror(errno));
}

static bool entry_number(const char *text, uint64_t *out_value)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    *out_value = value;
    return !errno && end != text && !*end && *text != '-';
}

// ---- elements that share a byte ---------------------------------------------

// Bytes of its elements in a file.
static uint64_t stored_bytes(const struct reel_tensor *t)
{
    const uint64_t per = (uint64_t)reel_elements_a_byte(t->dtype);
    return (reel_tensor_bytes(t) + per - 1) / per;
}

// Where what a file stores is put before unpack(): the end of the tensor, so
// that unpacking from the front never overtakes it.
static void *stored_place(struct reel_tensor *t)
{
    return (char *)t->data + (reel_tensor_bytes(t) - stored_bytes(t));
}

// The first element is in the lowest bits (onnx.proto, TensorProto.int32_data).
static void unpack(struct reel_tensor *t)
{
    const int per = reel_elements_a_byte(t->dtype), bits = 8 / per;
    if (per == 1) return;
    const uint8_t *from = stored_place(t);
    uint8_t *to = t->data;
    for (int64_t i = 0, n = reel_tensor_count(t); i < n; i += per) {
        const uint8_t byte = from[i / per];
        for (int k = 0; k < per && i + k < n; k++) to[i + k] = (uint8_t)(byte >> (k * bits) & ((1 << bits) - 1));
    }
    if (reel_is_narrow_int(t->dtype)) reel_narrow_int_wrap(t->dtype, to, reel_tensor_count(t));
}

static enum reel_err read_at(int fd, void *data, uint64_t bytes, uint64_t offset)
{
    for (uint64_t done = 0; done < bytes;) {
        ssize_t n = pread(fd, (char *)data + done, bytes - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return reel_fail(REEL_ERR_IO, "could not read external data: %s", strerror(errno));
        if (n == 0) return reel_fail(REEL_ERR_INPUT, "its external data is truncated");
        done += (uint64_t)n;
    }
    return REEL_OK;
}

static enum reel_err from_external(const Onnx__TensorProto *proto, struct tensor_source *source,
                                   struct reel_tensor *out_t)
{
    const char *location = NULL;
    uint64_t offset = 0, length = 0, bytes = stored_bytes(out_t);
    bool has_length = false;
    for (size_t i = 0; i < proto->n_external_data; i++) {
        const char *key = proto->external_data[i]->key, *value = proto->external_data[i]->value;
        if (!key || !value) continue;
        bool ok = true;
        if (!strcmp(key, "location")) location = value;
        if (!strcmp(key, "offset")) ok = entry_number(value, &offset);
        if (!strcmp(key, "length")) ok = has_length = entry_number(value, &length);
        if (!ok) return reel_fail(REEL_ERR_INPUT, "external data: bad %s \"%.40s\"", key, value);
    }
    if (!location || !*location) return reel_fail(REEL_ERR_INPUT, "its external data has no location");
    if (has_length && length != bytes)
        return reel_fail(REEL_ERR_INPUT, "external data of %" PRIu64 " bytes where its shape needs %" PRIu64, length,
                         bytes);
    if (bytes > source->bytes_left) return reel_fail(REEL_ERR_LIMIT, "the model is larger than allowed");

    int fd = -1;
    enum reel_err err = open_beneath(source->folder_fd, location, &fd);
    if (err) return err;
    struct stat st;
    if (fstat(fd, &st) || !S_ISREG(st.st_mode))
        err = reel_fail(REEL_ERR_INPUT, "external data \"%.200s\" is not a file", location);
    else if (offset > (uint64_t)st.st_size || bytes > (uint64_t)st.st_size - offset)
        err = reel_fail(REEL_ERR_INPUT, "external data \"%.200s\" has %lld bytes, too few for offset %" PRIu64,
                        location, (long long)st.st_size, offset);
    if (!err) err = reel_tensor_init(out_t, out_t->dtype, &out_t->shape);
    if (!err) err = read_at(fd, stored_place(out_t), bytes, offset);
    if (!err) unpack(out_t);
    if (!err) source->bytes_left -= bytes;
    close(fd);
    return err;
}

// ---- data inside the file ---------------------------------------------------

static enum reel_err wrong_length(uint64_t have, uint64_t want)
{
    return reel_fail(REEL_ERR_INPUT, "it holds %" PRIu64 " bytes of data where its shape needs %" PRIu64, have, want);
}

static enum reel_err from_raw(Onnx__TensorProto *proto, bool keep, struct reel_tensor *out_t)
{
    size_t bytes = stored_bytes(out_t);
    if (proto->raw_data.len != bytes) return wrong_length(proto->raw_data.len, bytes);
    if (bytes >= PB_STEAL_BYTES && !keep && bytes == reel_tensor_bytes(out_t)) {
        out_t->data = proto->raw_data.data;
        out_t->owned = true;
        proto->raw_data.data = NULL;
        proto->raw_data.len = 0;
        return REEL_OK;
    }
    enum reel_err err = reel_tensor_init(out_t, out_t->dtype, &out_t->shape);
    if (!err && bytes) memcpy(stored_place(out_t), proto->raw_data.data, bytes);
    if (!err) unpack(out_t);
    return err;
}

// Typed fields: which one holds the elements, and as what (onnx.proto).
static enum reel_err from_fields(const Onnx__TensorProto *proto, struct reel_tensor *out_t)
{
    const void *src = NULL;
    size_t have = 0;
    enum reel_dtype as = REEL_DTYPE_NONE;
    switch (out_t->dtype) {
    case REEL_F32:
        src = proto->float_data, have = proto->n_float_data, as = REEL_F32;
        break;
    case REEL_F64:
        src = proto->double_data, have = proto->n_double_data, as = REEL_F64;
        break;
    case REEL_I64:
        src = proto->int64_data, have = proto->n_int64_data, as = REEL_I64;
        break;
    case REEL_U32:
    case REEL_U64:
        src = proto->uint64_data, have = proto->n_uint64_data, as = REEL_U64;
        break;
    default:
        src = proto->int32_data, have = proto->n_int32_data, as = REEL_I32;
        break;
    }
    // One field an element, but one a byte of those that share it.
    const int64_t count = (int64_t)(stored_bytes(out_t) / reel_dtype_bytes(out_t->dtype));
    if (have != (uint64_t)count) return wrong_length(have * reel_dtype_bytes(out_t->dtype), stored_bytes(out_t));
    enum reel_err err = reel_tensor_init(out_t, out_t->dtype, &out_t->shape);
    if (err) return err;
    // Floats of 16 bits and less are kept as their bits in int32_data.
    enum reel_dtype to = out_t->dtype == REEL_F16 || out_t->dtype == REEL_BF16 ? REEL_U16 : out_t->dtype;
    if (reel_is_narrow_float(to) || reel_is_narrow_int(to)) to = REEL_U8;
    reel_convert(stored_place(out_t), to, src, as, count);
    unpack(out_t);
    return REEL_OK;
}

static enum reel_err shape_from_dims(const int64_t *dims, size_t n, struct reel_shape *out_shape)
{
    if (n > REEL_MAX_DIMS)
        return reel_fail(REEL_ERR_UNSUPPORTED, "it has %zu dimensions, more than %d", n, REEL_MAX_DIMS);
    *out_shape = (struct reel_shape){.ndim = (int)n};
    for (size_t i = 0; i < n; i++) {
        if (dims[i] < 0) return reel_fail(REEL_ERR_INPUT, "it has a negative extent");
        out_shape->dim[i] = dims[i];
    }
    if (reel_shape_count(out_shape) < 0) return reel_fail(REEL_ERR_LIMIT, "it has too many elements");
    return REEL_OK;
}

enum reel_err tensor_from_proto(Onnx__TensorProto *proto, struct tensor_source *source, struct reel_tensor *out_t)
{
    struct reel_tensor t = {.dtype = tensor_dtype(proto->data_type)};
    *out_t = (struct reel_tensor){.shape.ndim = 0};
    if (t.dtype == REEL_DTYPE_NONE)
        return reel_fail(REEL_ERR_UNSUPPORTED, "element type %s (%d) is not supported",
                         tensor_type_name(proto->data_type), proto->data_type);
    enum reel_err err = shape_from_dims(proto->dims, proto->n_dims, &t.shape);
    if (err) return err;
    if (proto->segment) return reel_fail(REEL_ERR_UNSUPPORTED, "it comes in segments");
    if (t.dtype == REEL_STRING) {
        *out_t = t;
        return REEL_OK;
    }
    if (proto->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL)
        err = from_external(proto, source, &t);
    else if (proto->has_raw_data)
        err = from_raw(proto, source->keep, &t);
    else
        err = from_fields(proto, &t);
    if (err) {
        reel_tensor_fini(&t);
        return err;
    }
    if (t.dtype == REEL_BOOL) {
        uint8_t *p = t.data;
        for (int64_t i = 0, n = reel_tensor_count(&t); i < n; i++) p[i] = p[i] != 0;
    }
    *out_t = t;
    return REEL_OK;
}

// SparseTensorProto: values of shape [n]; indices of shape [n] (linear) or
// [n, rank].
static enum reel_err scatter(const struct reel_tensor *values, const struct reel_tensor *indices,
                             struct reel_tensor *dense)
{
    int64_t n = reel_tensor_count(values), count = reel_tensor_count(dense);
    int rank = dense->shape.ndim;
    bool linear = indices->shape.ndim == 1 && indices->shape.dim[0] == n;
    bool rows = indices->shape.ndim == 2 && indices->shape.dim[0] == n && indices->shape.dim[1] == rank;
    if (values->shape.ndim != 1 || indices->dtype != REEL_I64 || (!linear && !rows))
        return reel_fail(REEL_ERR_INPUT, "its indices do not fit its values");
    const int64_t *index = indices->data;
    size_t item = reel_dtype_bytes(dense->dtype);
    for (int64_t i = 0; i < n; i++) {
        int64_t at = linear ? index[i] : 0;
        for (int d = 0; rows && d < rank; d++) {
            int64_t k = index[i * rank + d];
            if (k < 0 || k >= dense->shape.dim[d]) return reel_fail(REEL_ERR_INPUT, "an index is out of range");
            at = at * dense->shape.dim[d] + k;
        }
        if (at < 0 || at >= count) return reel_fail(REEL_ERR_INPUT, "an index is out of range");
        memcpy((char *)dense->data + (size_t)at * item, (const char *)values->data + (size_t)i * item, item);
    }
    return REEL_OK;
}

enum reel_err tensor_from_sparse(Onnx__SparseTensorProto *proto, struct tensor_source *source,
                                 struct reel_tensor *out_t)
{
    struct reel_tensor values = {0}, indices = {0}, dense = {0};
    *out_t = dense;
    if (!proto->values || !proto->indices) return reel_fail(REEL_ERR_INPUT, "sparse tensor without values or indices");
    struct reel_shape shape;
    enum reel_err err = shape_from_dims(proto->dims, proto->n_dims, &shape);
    if (!err) err = tensor_from_proto(proto->values, source, &values);
    if (!err) err = tensor_from_proto(proto->indices, source, &indices);
    if (!err && (size_t)reel_shape_count(&shape) > MAX_SPARSE_BYTES / 8)
        err = reel_fail(REEL_ERR_LIMIT, "sparse tensor of more than %zu MiB", MAX_SPARSE_BYTES >> 20);
    if (!err) err = reel_tensor_init(&dense, values.dtype, &shape);
    if (!err) err = scatter(&values, &indices, &dense);
    reel_tensor_fini(&values);
    reel_tensor_fini(&indices);
    if (err)
        reel_tensor_fini(&dense);
    else
        *out_t = dense;
    return err;
}

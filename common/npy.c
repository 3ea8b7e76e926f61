// SPDX-License-Identifier: MIT
//
// NumPy .npy files: one tensor with a textual header. Read and written for
// --eval_model and by tests. The header is a Python dict literal with the keys
// descr, fortran_order and shape; this is a reader for exactly that, not for
// Python. Every size is checked against the file's before memory is allocated.
#include "common/tensor.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/narrow.h"

#define MAX_HEADER 65536

struct descr {
    const char *text;
    enum reel_dtype dtype;
};

// The first entry of a type is the one written.
static const struct descr descrs[] = {
    {"<f4", REEL_F32},  {"<f8", REEL_F64}, {"<f2", REEL_F16}, {"<V2", REEL_BF16}, {"|i1", REEL_I8},  {"<i2", REEL_I16},
    {"<i4", REEL_I32},  {"<i8", REEL_I64}, {"|u1", REEL_U8},  {"<u2", REEL_U16},  {"<u4", REEL_U32}, {"<u8", REEL_U64},
    {"|b1", REEL_BOOL}, {"<i1", REEL_I8},  {"<u1", REEL_U8},  {"|V2", REEL_BF16},
};
// Narrow types are written as ml_dtypes does it, one byte per element. The file does not say
// which type it is, so such files cannot be read.
#define NARROW_DESCR "|V1"

static const char *skip_space(const char *p)
{
    while (*p == ' ' || *p == '\t' || *p == '\n') p++;
    return p;
}

// Returns the text after 'key': in the dict, or NULL.
static const char *dict_value(const char *header, const char *key)
{
    char quoted[32];
    for (int i = 0; i < 2; i++) {
        snprintf(quoted, sizeof quoted, i ? "\"%s\"" : "'%s'", key);
        const char *p = strstr(header, quoted);
        if (!p) continue;
        p = skip_space(p + strlen(quoted));
        return *p == ':' ? skip_space(p + 1) : NULL;
    }
    return NULL;
}

static enum reel_err parse_shape(const char *path, const char *p, struct reel_shape *out_shape)
{
    *out_shape = (struct reel_shape){0};
    if (!p || *p != '(') return reel_fail(REEL_ERR_INPUT, "could not read tensor \"%s\": header has no shape", path);
    p = skip_space(p + 1);
    while (*p && *p != ')') {
        char *end;
        errno = 0;
        long long d = strtoll(p, &end, 10);
        if (end == p || errno || d < 0)
            return reel_fail(REEL_ERR_INPUT, "could not read tensor \"%s\": bad extent in its shape", path);
        if (out_shape->ndim == REEL_MAX_DIMS)
            return reel_fail(REEL_ERR_UNSUPPORTED, "could not read tensor \"%s\": more than %d dimensions", path,
                             REEL_MAX_DIMS);
        out_shape->dim[out_shape->ndim++] = d;
        p = skip_space(*end == 'L' ? end + 1 : end);
        if (*p == ',') p = skip_space(p + 1);
    }
    if (*p != ')') return reel_fail(REEL_ERR_INPUT, "could not read tensor \"%s\": its shape does not end", path);
    if (reel_shape_count(out_shape) < 0)
        return reel_fail(REEL_ERR_LIMIT, "could not read tensor \"%s\": it has too many elements", path);
    return REEL_OK;
}

// Converts from Fortran order (the first index varies fastest), in which numpy writes
// transposed arrays, to C order.
static enum reel_err from_fortran_order(const char *path, struct reel_tensor *t)
{
    const size_t item = reel_dtype_bytes(t->dtype);
    const int nd = t->shape.ndim;
    struct reel_tensor to;
    if (reel_tensor_count(t) < 2) return REEL_OK;
    if (reel_tensor_init(&to, t->dtype, &t->shape))
        return reel_fail(REEL_ERR_NOMEM, "could not read tensor \"%s\": out of memory", path);
    int64_t stride[REEL_MAX_DIMS], at[REEL_MAX_DIMS] = {0}, from = 0;
    stride[0] = 1;
    for (int i = 1; i < nd; i++) stride[i] = stride[i - 1] * t->shape.dim[i - 1];
    for (int64_t i = 0, count = reel_tensor_count(t); i < count; i++) {
        memcpy((char *)to.data + (size_t)i * item, (const char *)t->data + (size_t)from * item, item);
        for (int d = nd - 1; d >= 0; d--) {
            from += stride[d];
            if (++at[d] < t->shape.dim[d]) break;
            from -= stride[d] * at[d];
            at[d] = 0;
        }
    }
    reel_tensor_fini(t);
    *t = to;
    return REEL_OK;
}

static enum reel_err parse_header(const char *path, const char *header, enum reel_dtype *out_dtype,
                                  struct reel_shape *out_shape, bool *out_fortran)
{
    const char *descr = dict_value(header, "descr"), *order = dict_value(header, "fortran_order");
    *out_dtype = REEL_DTYPE_NONE;
    if (!descr || !order) return reel_fail(REEL_ERR_INPUT, "could not read tensor \"%s\": bad .npy header", path);
    for (size_t i = 0; i < sizeof descrs / sizeof descrs[0]; i++)
        if ((*descr == '\'' || *descr == '"') && !strncmp(descr + 1, descrs[i].text, 3) && descr[4] == *descr)
            *out_dtype = descrs[i].dtype;
    if (*out_dtype == REEL_DTYPE_NONE)
        return reel_fail(REEL_ERR_UNSUPPORTED, "could not read tensor \"%s\": element type %.*s is not supported", path,
                         (int)strcspn(descr, ",}"), descr);
    enum reel_err err = parse_shape(path, dict_value(header, "shape"), out_shape);
    if (err) return err;
    *out_fortran = !strncmp(order, "True", 4) && out_shape->ndim > 1;
    return REEL_OK;
}

static enum reel_err read_exactly(const char *path, FILE *f, void *buf, size_t bytes)
{
    if (fread(buf, 1, bytes, f) == bytes) return REEL_OK;
    if (ferror(f)) return reel_fail(REEL_ERR_IO, "could not read tensor \"%s\": %s", path, strerror(errno));
    return reel_fail(REEL_ERR_INPUT, "could not read tensor \"%s\": the file is cut off", path);
}

static enum reel_err read_file(const char *path, FILE *f, char *header, struct reel_tensor *out_t)
{
    struct stat st;
    if (fstat(fileno(f), &st)) return reel_fail(REEL_ERR_IO, "could not read tensor \"%s\": %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode)) return reel_fail(REEL_ERR_INPUT, "could not read tensor \"%s\": not a file", path);
    uint8_t lead[12];
    enum reel_err err = read_exactly(path, f, lead, 10);
    if (err) return err;
    if (memcmp(lead, "\x93NUMPY", 6) || lead[6] < 1 || lead[6] > 3)
        return reel_fail(REEL_ERR_INPUT, "could not read tensor \"%s\": not a .npy file of format 1 to 3", path);
    size_t header_bytes = lead[8] | (size_t)lead[9] << 8, lead_bytes = 10;
    if (lead[6] > 1) {
        if ((err = read_exactly(path, f, lead + 10, 2))) return err;
        header_bytes |= (size_t)lead[10] << 16 | (size_t)lead[11] << 24;
        lead_bytes = 12;
    }
    if (header_bytes > MAX_HEADER)
        return reel_fail(REEL_ERR_INPUT, "could not read tensor \"%s\": header of %zu bytes", path, header_bytes);
    if ((err = read_exactly(path, f, header, header_bytes))) return err;
    header[header_bytes] = '\0';

    enum reel_dtype dtype;
    struct reel_shape shape;
    bool fortran = false;
    if ((err = parse_header(path, header, &dtype, &shape, &fortran))) return err;
    uint64_t bytes = (uint64_t)reel_shape_count(&shape) * reel_dtype_bytes(dtype);
    if (bytes > (uint64_t)st.st_size - lead_bytes - header_bytes)
        return reel_fail(REEL_ERR_INPUT, "could not read tensor \"%s\": the file is cut off", path);
    struct reel_tensor t;
    if ((err = reel_tensor_init(&t, dtype, &shape))) return err;
    err = read_exactly(path, f, t.data, bytes);
    if (!err && fortran) err = from_fortran_order(path, &t);
    if (err) {
        reel_tensor_fini(&t);
        return err;
    }
    if (dtype == REEL_BOOL) // other values than 0 and 1 would be undefined behaviour
        for (uint64_t i = 0; i < bytes; i++) ((uint8_t *)t.data)[i] = ((uint8_t *)t.data)[i] != 0;
    *out_t = t;
    return REEL_OK;
}

enum reel_err reel_npy_read(const char *path, struct reel_tensor *out_t)
{
    *out_t = (struct reel_tensor){.shape.ndim = 0};
    // Non-blocking, so that opening a FIFO does not wait; it is refused below.
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "rb");
    if (!f) {
        int why = errno;
        if (fd >= 0) close(fd);
        return reel_fail(REEL_ERR_IO, "could not open tensor \"%s\": %s", path, strerror(why));
    }
    char *header = malloc(MAX_HEADER + 1);
    enum reel_err err = header ? read_file(path, f, header, out_t)
                               : reel_fail(REEL_ERR_NOMEM, "could not read tensor \"%s\": out of memory", path);
    free(header);
    fclose(f);
    return err;
}

enum reel_err reel_npy_write(const char *path, const struct reel_tensor *t)
{
    const char *descr = NULL;
    for (size_t i = 0; i < sizeof descrs / sizeof descrs[0] && !descr; i++)
        if (descrs[i].dtype == t->dtype) descr = descrs[i].text;
    if (reel_is_narrow_float(t->dtype) || reel_is_narrow_int(t->dtype)) descr = NARROW_DESCR;
    if (!descr || reel_tensor_count(t) < 0)
        return reel_fail(REEL_ERR_UNSUPPORTED, "could not write tensor \"%s\": element type %s", path,
                         reel_dtype_name(t->dtype));

    char dims[REEL_MAX_DIMS * 24 + 4] = "";
    size_t n = 0;
    for (int i = 0; i < t->shape.ndim; i++)
        n += (size_t)snprintf(dims + n, sizeof dims - n, "%" PRId64 "%s", t->shape.dim[i],
                              t->shape.ndim == 1      ? ","
                              : i + 1 < t->shape.ndim ? ", "
                                                      : "");
    char header[512];
    int len = snprintf(header, sizeof header, "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", descr, dims);
    // The data must begin at a multiple of 64, and the header must end with a newline.
    int padded = (10 + len + 1 + 63) / 64 * 64 - 10;
    memset(header + len, ' ', (size_t)(padded - len));
    header[padded - 1] = '\n';
    uint8_t lead[10] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (uint8_t)padded, (uint8_t)(padded >> 8)};

    FILE *f = fopen(path, "wbe");
    if (!f) return reel_fail(REEL_ERR_IO, "could not create tensor \"%s\": %s", path, strerror(errno));
    size_t bytes = reel_tensor_bytes(t);
    bool ok = fwrite(lead, 1, 10, f) == 10 && fwrite(header, 1, (size_t)padded, f) == (size_t)padded &&
              (bytes == 0 || fwrite(t->data, 1, bytes, f) == bytes);
    int why = errno;
    if (fclose(f) && ok) ok = false, why = errno;
    if (!ok) return reel_fail(REEL_ERR_IO, "could not write tensor \"%s\": %s", path, strerror(why));
    return REEL_OK;
}

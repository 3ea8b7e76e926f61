// SPDX-License-Identifier: MIT
//
// In which forms values lie on the device, and how one form is converted to another. See program.h.
#include "worker/backend/cudnn/program.h"

#include <stdlib.h>
#include <string.h>

// ---- element types -----------------------------------------------------------------

enum gpu_elem gpu_elem_of(enum reel_dtype dtype, bool *out_exact)
{
    *out_exact = true;
    switch (dtype) {
    case REEL_F32:
        return GPU_ELEM_F32;
    case REEL_F16:
        return GPU_ELEM_F16;
    case REEL_BF16:
        return GPU_ELEM_BF16;
    case REEL_I64:
        return GPU_ELEM_I64;
    case REEL_I32:
        return GPU_ELEM_I32;
    case REEL_I8:
        return GPU_ELEM_I8;
    case REEL_U8:
    case REEL_BOOL:
        return GPU_ELEM_U8;
    default:
        break;
    }
    *out_exact = false;
    const size_t bytes = reel_dtype_bytes(dtype);
    return bytes == 8 ? GPU_ELEM_I64 : bytes == 4 ? GPU_ELEM_I32 : bytes == 2 ? GPU_ELEM_F16 : GPU_ELEM_U8;
}

enum gpu_elem gpu_form_elem(const struct lowered *p, const struct info *i, enum form_kind kind)
{
    bool exact;
    if (kind == FORM_F8) return GPU_ELEM_F8;
    return kind == FORM_LOW || kind == FORM_IMAGE || kind == FORM_PART ? p->low : gpu_elem_of(i->dtype, &exact);
}

bool gpu_has_form(const struct info *i, enum form_kind kind)
{
    return i->form[kind].buf >= 0;
}

// ---- forms -------------------------------------------------------------------------

// LOW is the same as PLAIN if the program computes in float32.
static enum form_kind canonical(const struct lowered *p, enum form_kind kind)
{
    return kind == FORM_LOW && p->low == GPU_ELEM_F32 ? FORM_PLAIN : kind;
}

size_t gpu_form_bytes(const struct lowered *p, const struct info *i, enum form_kind kind)
{
    if (kind == FORM_IMAGE || kind == FORM_F8)
        return (size_t)i->n * (size_t)i->h * (size_t)i->w * (size_t)i->pitch *
               gpu_elem_bytes(gpu_form_elem(p, i, kind));
    return (size_t)i->count * (kind == FORM_LOW ? gpu_elem_bytes(p->low) : reel_dtype_bytes(i->dtype));
}

void gpu_set_form(struct lowered *p, const struct value *v, enum form_kind kind, struct ref r)
{
    info_of(p, v)->form[canonical(p, kind)] = r;
}

enum reel_err gpu_make_form(struct lowered *p, const struct value *v, enum form_kind kind, struct ref *out_ref)
{
    struct info *i = info_of(p, v);
    kind = canonical(p, kind);
    const int buf = gpu_add_buf(p, kind == FORM_HOST ? BUF_HOST : BUF_ARENA, gpu_form_bytes(p, i, kind), NULL);
    if (buf < 0) return gpu_no_memory(NULL);
    i->form[kind] = *out_ref = (struct ref){.buf = buf};
    return REEL_OK;
}

void gpu_form_strides(const struct info *i, enum form_kind kind, int64_t *stride)
{
    if (kind == FORM_IMAGE || kind == FORM_PART) {
        const int64_t pitch = kind == FORM_PART ? i->part.pitch : i->pitch;
        if (i->volume) {
            const int64_t *d = i->shape.dim;
            stride[1] = 1, stride[4] = pitch, stride[3] = d[4] * pitch;
            stride[2] = d[3] * stride[3], stride[0] = d[2] * stride[2];
            return;
        }
        const int64_t image[4] = {(int64_t)i->h * i->w * pitch, 1, (int64_t)i->w * pitch, pitch};
        for (int d = 0; d < i->shape.ndim; d++) stride[d] = image[i->shape.ndim == 3 && d == 2 ? 3 : d];
        return;
    }
    int64_t step = 1;
    for (int d = i->shape.ndim - 1; d >= 0; d--) {
        stride[d] = step;
        step *= i->shape.dim[d];
    }
}

static void fill_view(const struct lowered *p, const struct info *i, enum form_kind kind, struct ref at,
                      struct view *out_view)
{
    *out_view = (struct view){.at = at, .elem = gpu_form_elem(p, i, kind)};
    gpu_form_strides(i, kind, out_view->stride);
}

void gpu_move_pads(const struct lowered *p, const struct info *i, enum form_kind kind, struct move *m, int channel_dim)
{
    (void)p;
    if (kind != FORM_IMAGE || i->pitch == i->c) return;
    m->pad_dim = channel_dim;
    m->pad_to = m->extent[channel_dim] + (i->pitch - i->c);
}

// Changes the form of a value on the device.
static enum reel_err convert(struct lowered *p, const struct value *v, enum form_kind from, enum form_kind to)
{
    struct info *i = info_of(p, v);
    struct view src, dst;
    struct ref r;
    fill_view(p, i, from, i->form[from], &src);
    enum reel_err err = gpu_make_form(p, v, to, &r);
    if (err) return err;
    fill_view(p, i, to, r, &dst);
    struct move m = MOVE_NONE;
    m.n = i->shape.ndim;
    for (int d = 0; d < m.n; d++) m.extent[d] = i->shape.dim[d], m.src[d] = src.stride[d], m.dst[d] = dst.stride[d];
    gpu_move_pads(p, i, to, &m, 1);
    return gpu_emit_move(p, NULL,
                         to == FORM_IMAGE     ? "to nhwc"
                         : from == FORM_IMAGE ? "from nhwc"
                                              : "convert",
                         &m, src.at, src.elem, dst.at, dst.elem);
}

// With one pixel per image, NHWC is row-major too.
static bool same_bytes(const struct lowered *p, const struct info *i, enum form_kind from, enum form_kind to)
{
    const bool row_low = from == canonical(p, FORM_LOW) || to == canonical(p, FORM_LOW);
    if (!has_pixels(i) || i->h * i->w != 1 || !row_low || (from != FORM_IMAGE && to != FORM_IMAGE)) return false;
    return i->pitch == i->c || (i->n == 1 && from == FORM_IMAGE);
}

static enum reel_err host_copy(struct lowered *p, const struct value *v, enum form_kind to)
{
    struct info *i = info_of(p, v);
    const enum form_kind from = to == FORM_HOST ? FORM_PLAIN : FORM_HOST;
    struct ref src = i->form[from], dst;
    enum reel_err err = gpu_make_form(p, v, to, &dst);
    struct step *s = err ? NULL
                         : gpu_add_step(p, to == FORM_HOST ? STEP_DOWNLOAD : STEP_UPLOAD, NULL,
                                        to == FORM_HOST ? "download" : "upload");
    if (!s) return err ? err : gpu_no_memory(NULL);
    s->x = src;
    s->y = dst;
    s->bytes = gpu_form_bytes(p, i, to);
    gpu_touch_last(p);
    return REEL_OK;
}

static enum reel_err constant_form(struct lowered *p, const struct value *v, enum form_kind kind)
{
    struct info *i = info_of(p, v);
    const struct reel_tensor *t = v->constant;
    if (kind == FORM_HOST) {
        i->form[kind].buf = gpu_add_buf(p, BUF_HOST, reel_tensor_bytes(t), t->data ? t->data : "");
        return i->form[kind].buf < 0 ? gpu_no_memory(NULL) : REEL_OK;
    }
    if (kind == FORM_PLAIN) return gpu_make_constant(p, t->data, reel_tensor_bytes(t), &i->form[kind]);
    const float *f = gpu_const_floats(p, v);
    if (!f) return gpu_no_memory(NULL);
    if (kind == FORM_LOW) return gpu_make_constant_floats(p, f, i->count, i->count, p->low, &i->form[kind]);
    float *m = calloc((size_t)i->n * (size_t)i->h * (size_t)i->w * (size_t)i->pitch, sizeof *m);
    if (!m) return gpu_no_memory(NULL);
    const int64_t pixels = (int64_t)i->h * i->w;
    for (int64_t n = 0; n < i->n; n++)
        for (int64_t c = 0; c < i->c; c++)
            for (int64_t q = 0; q < pixels; q++) m[(n * pixels + q) * i->pitch + c] = f[(n * i->c + c) * pixels + q];
    const int64_t whole = i->n * pixels * i->pitch;
    enum reel_err err = gpu_make_constant_floats(p, m, whole, whole, p->low, &i->form[kind]);
    free(m);
    return err;
}

enum reel_err gpu_need_form(struct lowered *p, const struct value *v, enum form_kind kind, struct ref *out_ref)
{
    struct info *i = info_of(p, v);
    kind = canonical(p, kind);
    enum reel_err err = REEL_OK;
    if (!gpu_has_form(i, kind)) {
        if (i->count < 0)
            return reel_fail(REEL_ERR_FAULT, "could not compile value \"%s\": its shape is not known", v->name);
        if ((kind == FORM_LOW || kind == FORM_IMAGE) && i->dtype != REEL_F32)
            return reel_fail(REEL_ERR_FAULT, "could not compile value \"%s\": it is not float32", v->name);
        if (v->constant) {
            err = constant_form(p, v, kind);
        } else if (kind == FORM_HOST) {
            struct ref plain;
            err = gpu_need_form(p, v, FORM_PLAIN, &plain);
            if (!err) err = host_copy(p, v, FORM_HOST);
        } else {
            const enum form_kind from = gpu_is_part(i) ? FORM_PART : gpu_best_form(p, i);
            if (!gpu_has_form(i, from)) {
                if (!gpu_has_form(i, FORM_HOST))
                    return reel_fail(REEL_ERR_FAULT, "could not compile value \"%s\": it is read before it is computed",
                                     v->name);
                err = host_copy(p, v, FORM_PLAIN);
                if (!err && kind != FORM_PLAIN) err = gpu_need_form(p, v, kind, out_ref);
            } else if (same_bytes(p, i, from, kind)) {
                i->form[kind] = i->form[from];
            } else {
                err = convert(p, v, from, kind);
            }
        }
    }
    *out_ref = i->form[kind];
    return err;
}

enum form_kind gpu_best_form(const struct lowered *p, const struct info *i)
{
    (void)p;
    if (gpu_has_form(i, FORM_IMAGE) || gpu_has_form(i, FORM_PART))
        return FORM_IMAGE; // a part is copied when somebody asks for it
    return gpu_has_form(i, FORM_LOW) ? FORM_LOW : FORM_PLAIN;
}

enum reel_err gpu_need_view_in(struct lowered *p, const struct value *v, enum form_kind kind, struct view *out_view)
{
    struct ref at;
    kind = canonical(p, kind);
    enum reel_err err = gpu_need_form(p, v, kind, &at);
    if (!err) fill_view(p, info_of(p, v), kind, at, out_view);
    return err;
}

enum reel_err gpu_need_view(struct lowered *p, const struct value *v, struct view *out_view)
{
    return gpu_need_view_in(p, v, v->constant ? FORM_PLAIN : gpu_best_form(p, info_of(p, v)), out_view);
}

enum reel_err gpu_need_rows(struct lowered *p, const struct value *v, enum form_kind *out_kind, struct ref *out_ref)
{
    const struct info *i = info_of(p, v);
    const bool plain = v->constant || gpu_has_form(i, FORM_PLAIN) || i->dtype != REEL_F32 || !gpu_on_device(p, i);
    *out_kind = canonical(p, plain ? FORM_PLAIN : FORM_LOW);
    return gpu_need_form(p, v, *out_kind, out_ref);
}

// An upload and a launch take about 10 us, in which one core of the host handles some thousands of
// elements.
#define HOST_MOST 16384

bool gpu_only_on_host(const struct lowered *p, const struct value *v)
{
    const struct info *i = info_of(p, v);
    return !v->constant && gpu_has_form(i, FORM_HOST) && !gpu_on_device(p, i) && i->count <= HOST_MOST;
}

enum form_kind gpu_result_form(const struct lowered *p, const struct info *out, enum form_kind beside)
{
    if (out->dtype != REEL_F32) return FORM_PLAIN;
    if (beside == FORM_IMAGE && has_pixels(out)) return FORM_IMAGE;
    return canonical(p, beside == FORM_LOW ? FORM_LOW : FORM_PLAIN);
}

enum reel_err gpu_make_view(struct lowered *p, const struct value *v, enum form_kind kind, struct view *out_view)
{
    struct ref at;
    kind = canonical(p, kind);
    enum reel_err err = gpu_make_form(p, v, kind, &at);
    if (!err) fill_view(p, info_of(p, v), kind, at, out_view);
    return err;
}

// ---- constants ---------------------------------------------------------------------

const float *gpu_const_floats(struct lowered *p, const struct value *v)
{
    if (!v || !v->constant || !reel_dtype_is_float(v->constant->dtype)) return NULL;
    const struct reel_tensor *t = v->constant;
    if (t->dtype == REEL_F32) return t->data;
    float *f = gpu_lower_alloc(p, (size_t)reel_tensor_count(t) * sizeof *f);
    if (f) reel_convert(f, REEL_F32, t->data, t->dtype, reel_tensor_count(t));
    return f;
}

const int64_t *gpu_const_ints(struct lowered *p, const struct value *v, int *out_n)
{
    if (!v || !v->constant || reel_dtype_is_float(v->constant->dtype)) return NULL;
    const struct reel_tensor *t = v->constant;
    const int64_t count = reel_tensor_count(t);
    int64_t *ints = gpu_lower_alloc(p, (size_t)count * sizeof *ints);
    if (!ints || count > INT32_MAX) return NULL;
    for (int64_t i = 0; i < count; i++) ints[i] = op_scalar_int(t, i);
    *out_n = (int)count;
    return ints;
}

bool gpu_const_scalar(struct lowered *p, const struct value *v, float *out)
{
    if (!v || !v->constant || reel_tensor_count(v->constant) != 1) return false;
    *out = (float)op_scalar(v->constant, 0);
    (void)p;
    return true;
}

int64_t gpu_attr_at(const struct node *node, const char *name, int i, int64_t absent)
{
    const int64_t *v;
    const int n = node_attr_ints(node, name, &v);
    return i < n ? v[i] : absent;
}

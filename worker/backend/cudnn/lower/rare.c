// SPDX-License-Identifier: MIT
//
// Operators that few networks use: Det and TensorScatter (kernels/gpu/rare.h), Compress by a constant, and
// BitCast.
#include "worker/backend/cudnn/program.h"

static enum reel_err lower_det(struct lowered *p, const struct node *node, bool *out_done)
{
    const struct info *in = info_of(p, node->in[0]), *out = info_of(p, node->out[0]);
    const int64_t n = in->shape.ndim < 2 ? 0 : in->shape.dim[in->shape.ndim - 1];
    struct step s = gpu_step_of(STEP_DET, "determinants");
    enum form_kind kind;
    if (in->dtype != REEL_F32 || n < 1 || n > GPU_DET_MOST || out->count > INT32_MAX) return REEL_OK;
    enum reel_err err = gpu_need_rows(p, node->in[0], &kind, &s.x);
    s.u.det = (struct gpu_det){
        .x_elem = gpu_form_elem(p, in, kind), .y_elem = GPU_ELEM_F32, .n = (int)n, .count = out->count};
    if (!err) err = gpu_make_form(p, node->out[0], FORM_PLAIN, &s.y);
    if (!err) err = gpu_make_temporary(p, gpu_det_work_bytes(&s.u.det), &s.extra[0]);
    *out_done = true;
    return err ? err : gpu_put_step(p, &s, node);
}

// Both in one form: the program's float type if the cache exists only in that.
static enum reel_err lower_cache_update(struct lowered *p, const struct node *node, bool *out_done)
{
    if (node->n_in < 2 || !node->in[1]) return REEL_OK;
    const struct value *start = node->n_in > 2 ? node->in[2] : NULL;
    const struct info *cache = info_of(p, node->in[0]), *update = info_of(p, node->in[1]);
    const int nd = cache->shape.ndim;
    int64_t axis = node_attr_int(node, "axis", -2);
    if (axis < 0) axis += nd;
    const size_t bytes = reel_dtype_bytes(cache->dtype);
    if (axis < 1 || axis >= nd || update->shape.ndim != nd || cache->dtype != update->dtype || update->count < 1)
        return REEL_OK;
    if ((bytes != 1 && bytes != 2 && bytes != 4 && bytes != 8) || cache->count > INT32_MAX) return REEL_OK;
    if (start && (info_of(p, start)->dtype != REEL_I64 || info_of(p, start)->count != cache->shape.dim[0]))
        return REEL_OK;
    struct step s = gpu_step_of(STEP_CACHE_UPDATE, "rows put in");
    struct gpu_cache_update *g = &s.u.cache_update;
    *g = (struct gpu_cache_update){.batches = cache->shape.dim[0],
                                   .outer = 1,
                                   .length = cache->shape.dim[axis],
                                   .n = update->shape.dim[axis],
                                   .inner = 1,
                                   .circular = !strcmp(node_attr_string(node, "mode", "linear"), "circular")};
    for (int d = 1; d < axis; d++) g->outer *= cache->shape.dim[d];
    for (int d = (int)axis + 1; d < nd; d++) g->inner *= cache->shape.dim[d];
    enum form_kind kind;
    enum reel_err err = gpu_need_rows(p, node->in[0], &kind, &s.x);
    if (!err) err = gpu_need_form(p, node->in[1], kind, &s.w);
    if (!err && start) err = gpu_need_form(p, start, FORM_PLAIN, &s.extra[0]);
    if (!err) err = gpu_make_form(p, node->out[0], kind, &s.y);
    g->elem_bytes = (int)(kind == FORM_LOW ? gpu_elem_bytes(p->low) : bytes);
    *out_done = true;
    return err ? err : gpu_put_step(p, &s, node);
}

// What a constant condition keeps, along an axis or of all elements in a row: the same as gathering.
static enum reel_err lower_compress(struct lowered *p, const struct node *node, bool *out_done)
{
    const struct info *in = info_of(p, node->in[0]), *out = info_of(p, node->out[0]);
    const struct reel_tensor *keep = node->n_in > 1 && node->in[1] ? node->in[1]->constant : NULL;
    if (!keep || keep->dtype != REEL_BOOL) return REEL_OK;
    struct gpu_gather g = {.outer = 1, .axis = in->count, .inner = 1};
    if (node_attr(node, "axis")) {
        int64_t axis = node_attr_int(node, "axis", 0);
        if (axis < 0) axis += in->shape.ndim;
        if (axis < 0 || axis >= in->shape.ndim) return REEL_OK;
        g.axis = in->shape.dim[axis];
        for (int d = 0; d < axis; d++) g.outer *= in->shape.dim[d];
        for (int d = (int)axis + 1; d < in->shape.ndim; d++) g.inner *= in->shape.dim[d];
    }
    const int64_t n = reel_tensor_count(keep);
    int64_t *index = gpu_lower_alloc(p, (size_t)n * sizeof *index);
    if (!index) return gpu_no_memory(node);
    for (int64_t i = 0; i < n && i < g.axis; i++)
        if (((const uint8_t *)keep->data)[i]) index[g.n_index++] = i;
    const size_t bytes = reel_dtype_bytes(in->dtype);
    if (g.n_index < 1 || g.outer * g.n_index * g.inner != out->count) return REEL_OK;
    if (bytes != 1 && bytes != 2 && bytes != 4 && bytes != 8) return REEL_OK;
    struct step s = gpu_step_of(STEP_GATHER, "compress");
    enum form_kind kind;
    enum reel_err err = gpu_need_rows(p, node->in[0], &kind, &s.x);
    if (!err) err = gpu_make_constant(p, index, (size_t)g.n_index * sizeof *index, &s.w);
    if (!err) err = gpu_make_form(p, node->out[0], kind, &s.y);
    g.elem_bytes = (int)(kind == FORM_LOW ? gpu_elem_bytes(p->low) : bytes);
    s.u.gather = g;
    *out_done = true;
    return err ? err : gpu_put_step(p, &s, node);
}

// The same bytes as another type.
static enum reel_err lower_bit_cast(struct lowered *p, const struct node *node, bool *out_done)
{
    const struct info *in = info_of(p, node->in[0]), *out = info_of(p, node->out[0]);
    if (out->dtype == REEL_BOOL || in->dtype == out->dtype)
        return REEL_OK; // a boolean is 0 or 1, whatever its bits were
    if (reel_dtype_bytes(in->dtype) != reel_dtype_bytes(out->dtype) || in->count != out->count) return REEL_OK;
    struct ref at;
    enum reel_err err = gpu_need_form(p, node->in[0], FORM_PLAIN, &at);
    if (!err) gpu_set_form(p, node->out[0], FORM_PLAIN, at);
    *out_done = true;
    return err;
}

enum reel_err gpu_lower_rare(struct lowered *p, const struct node *node, bool *out_done)
{
    if (node->n_in < 1 || node->n_out != 1 || !node->in[0] || !node->out[0] || node->n_epilogue) return REEL_OK;
    if (*node->domain || gpu_only_on_host(p, node->in[0]) || node->in[0]->constant) return REEL_OK;
    if (node_is(node, "Det")) return lower_det(p, node, out_done);
    if (node_is(node, "TensorScatter")) return lower_cache_update(p, node, out_done);
    if (node_is(node, "Compress")) return lower_compress(p, node, out_done);
    return node_is(node, "BitCast") ? lower_bit_cast(p, node, out_done) : REEL_OK;
}

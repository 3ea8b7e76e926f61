// SPDX-License-Identifier: MIT
//
// What a large mask on the device has set (RetinaNet's and FCOS' candidates), for a NonZero
// that runs on the host: the device writes the positions into host memory, and the elements of
// another tensor at them, where a GatherND reads just these. Neither tensor is copied.
#include "worker/backend/cudnn/program.h"

// Copying fewer elements is as fast.
#define FOUND_LEAST 65536

// The only such GatherND, or NULL: NonZero's (rank,n) is transposed to rows of indices.
static const struct node *gather_of(const struct lowered *p, const struct node *nonzero)
{
    const struct info *mask = info_of(p, nonzero->in[0]);
    const struct value *v = nonzero->out[0];
    for (int i = 0; i < v->n_use_nodes; i++) {
        const struct node *turn = v->uses[i];
        if (!node_is(turn, "Transpose") || *turn->domain || !turn->out[0]) continue;
        const int64_t *perm;
        const int n = node_attr_ints(turn, "perm", &perm);
        if (n && (n != 2 || perm[0] != 1)) continue;
        for (int k = 0; k < turn->out[0]->n_use_nodes; k++) {
            const struct node *g = turn->out[0]->uses[k];
            if (!node_is(g, "GatherND") || *g->domain || g->n_in != 2 || g->in[1] != turn->out[0]) continue;
            const struct info *data = info_of(p, g->in[0]);
            if (g->n_epilogue || node_attr_int(g, "batch_dims", 0) || !g->out[0] || g->in[0]->constant || data->late)
                continue;
            if (reel_shape_equal(&data->shape, &mask->shape) && gpu_on_device(p, data)) return g;
        }
    }
    return NULL;
}

static bool large_mask(const struct lowered *p, const struct node *node)
{
    if (!node_is(node, "NonZero") || *node->domain || node->n_epilogue || node->n_in != 1 || !node->out[0])
        return false;
    const struct info *i = info_of(p, node->in[0]);
    bool exact;
    gpu_elem_of(i->dtype, &exact);
    return exact && !node->in[0]->constant && !i->late && i->count >= FOUND_LEAST && i->count <= GPU_FOUND_MOST &&
           gpu_on_device(p, i);
}

static enum reel_err host_buffer(struct lowered *p, size_t bytes, struct ref *out)
{
    *out = (struct ref){.buf = gpu_add_buf(p, BUF_HOST, bytes, NULL)};
    return out->buf < 0 ? gpu_no_memory(NULL) : REEL_OK;
}

// Prepares to read the data of a GatherND, in their declared type.
static enum reel_err find_data(struct lowered *p, const struct node *gather, struct step *s, struct found *f)
{
    const struct info *data = info_of(p, gather->in[0]);
    s->u.found.data_bytes = (int)reel_dtype_bytes(data->dtype);
    enum reel_err err = gpu_need_form(p, gather->in[0], FORM_PLAIN, &s->w);
    if (!err) err = host_buffer(p, (size_t)data->count * (size_t)s->u.found.data_bytes, &f->values);
    s->extra[0] = f->values;
    if (!err) info_of(p, gather->out[0])->found = f;
    return err;
}

enum reel_err gpu_find(struct lowered *p, const struct node *node)
{
    if (!large_mask(p, node)) return REEL_OK;
    const struct info *mask = info_of(p, node->in[0]);
    struct found *f = gpu_lower_alloc(p, sizeof *f);
    if (!f) return gpu_no_memory(node);
    *f = (struct found){.positions = REF_NONE, .values = REF_NONE, .shape = mask->shape};
    struct step s = gpu_step_of(STEP_FOUND, "find");
    const struct node *gather = gather_of(p, node);
    enum form_kind kind;
    enum reel_err err = gpu_need_rows(p, node->in[0], &kind, &s.x);
    s.u.found = (struct gpu_found){.elem = (int)gpu_form_elem(p, mask, kind), .n = mask->count};
    if (!err) err = host_buffer(p, ((size_t)mask->count + 1) * sizeof(int32_t), &f->positions);
    s.y = f->positions;
    if (!err && gather) err = find_data(p, gather, &s, f);
    if (!err) err = gpu_make_temporary(p, gpu_found_work_bytes(&s.u.found), &s.extra[1]);
    if (!err) info_of(p, node->out[0])->found = f;
    return err ? err : gpu_put_step(p, &s, node);
}

// ---- on the host -----------------------------------------------------------------------

// NonZero's (rank,n), made from the positions.
static enum reel_err positions_of(const struct found *f, const int32_t *found, struct reel_tensor *out)
{
    const int rank = f->shape.ndim ? f->shape.ndim : 1;
    const int64_t n = found[0];
    enum reel_err err = reel_tensor_init(out, REEL_I64, &(struct reel_shape){2, {rank, n}});
    for (int64_t i = 0; i < n && !err; i++) {
        int64_t at = found[1 + i];
        for (int d = f->shape.ndim - 1; d >= 0; d--) {
            ((int64_t *)out->data)[d * n + i] = at % f->shape.dim[d];
            at /= f->shape.dim[d];
        }
    }
    return err;
}

enum reel_err gpu_give_found(const struct lowered *p, const struct node *node, const int32_t *found, const void *values,
                             struct reel_tensor *out)
{
    const struct info *i = info_of(p, node->out[0]);
    *out = (struct reel_tensor){0};
    if (node_is(node, "NonZero")) return positions_of(i->found, found, out);
    enum reel_err err = reel_tensor_init(out, i->dtype, &(struct reel_shape){1, {found[0]}});
    if (!err && found[0]) memcpy(out->data, values, reel_tensor_bytes(out));
    return err;
}

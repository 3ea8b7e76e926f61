// SPDX-License-Identifier: MIT
//
// A detector's second stage (regions.h) as steps on a number of rows, and running these for
// one piece of the regions after another. Rows beyond the last region are computed as well,
// from features of zeros, and nobody reads them.
#include "worker/backend/cudnn/lower/regions.h"

// ---- lowering ----------------------------------------------------------------------------

static enum reel_err open_level(struct lowered *p, struct region_level *l)
{
    struct view pictures;
    enum reel_err err = gpu_open_argument(p, l->align->in[1], &l->at);
    if (!err) err = gpu_open_argument(p, l->align->in[2], &l->image);
    if (!err && l->rows) err = gpu_open_argument(p, l->rows, &l->row_no);
    // made here, because what a piece makes is made again for the next one
    return err ? err : gpu_need_view_in(p, l->align->in[0], FORM_IMAGE, &pictures);
}

// Memory on the host that a piece's rows are put into, and on the device: corners, then the
// numbers of the pictures level by level.
static enum reel_err open_rows(struct lowered *p, struct regions *r)
{
    const size_t corners = sizeof(float) * 4 * (size_t)r->rows, images = sizeof(int64_t) * (size_t)r->rows;
    const size_t bytes = corners + (size_t)r->n_levels * images;
    r->host_at = (struct ref){.buf = gpu_add_buf(p, BUF_HOST, bytes, NULL)};
    if (r->host_at.buf < 0) return gpu_no_memory(NULL);
    enum reel_err err = gpu_make_temporary(p, bytes, &r->device_at);
    for (int i = 0; i < r->n_levels; i++) {
        const size_t at = corners + (size_t)i * images;
        r->level[i].host_image = (struct ref){r->host_at.buf, at};
        r->level[i].device_image = (struct ref){r->device_at.buf, at};
    }
    return err;
}

static enum reel_err upload(struct lowered *p, const struct regions *r)
{
    struct step s = gpu_step_of(STEP_UPLOAD, "upload");
    s.x = r->host_at;
    s.y = r->device_at;
    s.bytes = p->bufs[r->host_at.buf].bytes;
    return gpu_put_step(p, &s, NULL);
}

// The features of a piece, level after level into one tensor: of a row that several levels
// name the last one stays, as scattered.
static enum reel_err put_features(struct lowered *p, struct regions *r)
{
    const struct value *v = r->value[0].v;
    const struct info *info = info_of(p, v);
    struct view x, y;
    enum reel_err err = gpu_make_view(p, v, FORM_IMAGE, &y);
    for (int i = 0; i < r->n_levels && !err; i++) {
        struct region_level *l = &r->level[i];
        struct step s;
        if (!gpu_roi_align_step(p, l->align, &s)) return gpu_no_memory(l->align); // checked by regions.c
        err = gpu_need_view_in(p, l->align->in[0], FORM_IMAGE, &x);
        s.x = x.at, s.y = y.at, s.w = r->device_at, s.extra[0] = l->device_image;
        s.u.roi_align.x = gpu_view_planes(info_of(p, l->align->in[0]), &x);
        s.u.roi_align.y = gpu_view_planes(info, &y);
        s.u.roi_align.lanes = info->pitch;
        s.u.roi_align.keep = i > 0;
        if (!err) err = gpu_put_step(p, &s, l->align);
    }
    return err;
}

static void set_shapes(struct lowered *p, const struct regions *r, bool piece)
{
    for (int i = 0; i < r->n_values; i++) {
        struct info *info = info_of(p, r->value[i].v);
        info->dtype = REEL_F32;
        info->shape = r->value[i].piece;
        info->count = piece ? reel_shape_count(&info->shape) : -1;
        if (!piece) info->shape.dim[0] = -1;
        gpu_set_pixels(p, info);
        for (int k = 0; k < FORMS; k++) info->form[k] = REF_NONE;
    }
}

// What exists when the pieces begin must stay until the last one ends, and so must their results.
static void keep_memory(struct lowered *p, const struct regions *r)
{
    for (int i = 0; i < p->n_bufs; i++)
        if (p->bufs[i].first < r->begin && p->bufs[i].last >= r->begin)
            gpu_touch(p, (struct ref){.buf = i}, r->end - 1);
    for (int i = 0; i < r->n_values; i++) gpu_touch(p, r->value[i].host, r->end - 1);
}

static enum reel_err put_piece(struct lowered *p, struct regions *r)
{
    enum reel_err err = upload(p, r);
    set_shapes(p, r, true);
    if (!err) err = put_features(p, r);
    for (int i = 1; i < r->n_values && !err; i++) err = gpu_compile_node(p, r->value[i].v->producer);
    for (int i = 0; i < r->n_values && !err; i++)
        if (r->value[i].read) err = gpu_need_form(p, r->value[i].v, FORM_HOST, &r->value[i].host);
    set_shapes(p, r, false);
    return err;
}

static enum reel_err lower_stage(struct lowered *p, struct regions *r)
{
    enum reel_err err = r->extents ? gpu_open_argument(p, r->extents, &r->all) : REEL_OK;
    for (int i = 0; i < r->n_levels && !err; i++) err = open_level(p, &r->level[i]);
    if (!err) err = open_rows(p, r);
    struct step *s = err ? NULL : gpu_add_step(p, STEP_REGIONS, r->last, "regions");
    if (!s) return err ? err : gpu_no_memory(r->last);
    s->u.regions = r;
    const int at = p->n_steps - 1;
    if (r->extents) gpu_touch(p, r->all.r, at);
    gpu_touch(p, r->host_at, at);
    for (int i = 0; i < r->n_levels; i++) {
        const struct region_level *l = &r->level[i];
        const struct ref read[] = {l->at.r, l->image.r, l->rows ? l->row_no.r : REF_NONE};
        for (size_t k = 0; k < sizeof read / sizeof *read; k++) gpu_touch(p, read[k], at);
    }
    r->begin = p->n_steps;
    err = put_piece(p, r);
    r->end = p->n_steps;
    if (!err) keep_memory(p, r);
    return err;
}

enum reel_err gpu_lower_regions(struct lowered *p, const struct node *node, bool *out_done)
{
    const struct info *i = node->n_out && node->out[0] ? info_of(p, node->out[0]) : NULL;
    if (!i || !i->regions) return REEL_OK;
    *out_done = true;
    if (i->region_role == REGION_EXTENTS) return gpu_lower_extents(p, node);
    return i->region_role == REGION_FIRST ? lower_stage(p, i->regions) : REEL_OK;
}

int gpu_regions_end(const struct step *s)
{
    return s->u.regions->end;
}

void gpu_regions_moved(const struct step *s, const int *moved)
{
    struct regions *r = s->u.regions;
    r->begin = moved[r->begin];
    r->end = moved[r->end];
}

// ---- running -----------------------------------------------------------------------------

static enum reel_err bind_level(struct lowered *p, const struct regions *r, struct region_level *l,
                                gpu_host_fn *host_at, void *exec)
{
    const struct node *node = l->align;
    enum reel_err err = gpu_bind_argument(p, node, &l->at, host_at, exec);
    if (!err) err = gpu_bind_argument(p, node, &l->image, host_at, exec);
    if (!err && l->rows) err = gpu_bind_argument(p, node, &l->row_no, host_at, exec);
    if (err) return err;
    const int64_t n = l->at.t.shape.dim[0], pictures = info_of(p, node->in[0])->n;
    if (l->image.t.shape.dim[0] != n || (l->rows ? reel_tensor_count(&l->row_no.t) : r->n) != n)
        return reel_fail(REEL_ERR_INPUT, "could not run node \"%s\": it has %lld regions, and others of their pictures",
                         node->name, (long long)n);
    const int64_t *image = l->image.t.data, *row = l->rows ? l->row_no.t.data : NULL;
    for (int64_t i = 0; i < n; i++)
        if (image[i] < 0 || image[i] >= pictures || (row && (row[i] < -r->n || row[i] >= r->n)))
            return reel_fail(REEL_ERR_INPUT, "could not run node \"%s\": region %lld is of picture %lld of %lld",
                             node->name, (long long)i, (long long)image[i], (long long)pictures);
    return REEL_OK;
}

// Results for all regions, of which the host reads some only for their extents.
static enum reel_err make_results(struct lowered *p, const struct regions *r)
{
    enum reel_err err = REEL_OK;
    for (int i = 0; i < r->n_values && !err; i++) {
        const struct region_value *rv = &r->value[i];
        struct reel_tensor *t = &info_of(p, rv->v)->dynamic;
        struct reel_shape shape = rv->piece;
        shape.dim[0] = r->n;
        if (rv->read)
            err = reel_tensor_init(t, REEL_F32, &shape);
        else if (rv->extents)
            *t = (struct reel_tensor){.dtype = REEL_F32, .shape = shape};
    }
    return err;
}

enum reel_err gpu_regions_begin(struct lowered *p, const struct step *s, gpu_host_fn *host_at, void *exec,
                                int *out_pieces)
{
    struct regions *r = s->u.regions;
    enum reel_err err = r->extents ? gpu_bind_argument(p, s->node, &r->all, host_at, exec) : REEL_OK;
    *out_pieces = 0;
    if (!err && !r->extents) err = gpu_bind_argument(p, s->node, &r->level[0].at, host_at, exec);
    if (err) return err;
    r->n = r->extents ? op_scalar_int(&r->all.t, 0) : r->level[0].at.t.shape.dim[0];
    for (int i = 0; i < r->n_levels && !err; i++) err = bind_level(p, r, &r->level[i], host_at, exec);
    if (!err) err = make_results(p, r);
    if (!err) *out_pieces = (int)((r->n + r->rows - 1) / r->rows);
    return err;
}

void gpu_regions_fill(struct lowered *p, const struct step *s, int piece, gpu_host_fn *host_at, void *exec)
{
    const struct regions *r = s->u.regions;
    const int64_t first = (int64_t)piece * r->rows;
    float *at = host_at(exec, r->host_at);
    (void)p;
    for (int k = 0; k < 4 * r->rows; k++) at[k] = 0;
    for (int i = 0; i < r->n_levels; i++) {
        int64_t *image = host_at(exec, r->level[i].host_image);
        for (int k = 0; k < r->rows; k++) image[k] = -1;
    }
    for (int i = 0; i < r->n_levels; i++) {
        const struct region_level *l = &r->level[i];
        const int64_t *row = l->rows ? l->row_no.t.data : NULL, *of = l->image.t.data;
        const float *corners = l->at.t.data;
        for (int64_t k = 0; k < l->at.t.shape.dim[0]; k++) {
            const int64_t all = row ? row[k] + (row[k] < 0 ? r->n : 0) : k, to = all - first;
            if (to < 0 || to >= r->rows) continue;
            ((int64_t *)host_at(exec, l->host_image))[to] = of[k];
            for (int c = 0; c < 4; c++) at[to * 4 + c] = corners[k * 4 + c];
        }
    }
}

void gpu_regions_take(struct lowered *p, const struct step *s, int piece, gpu_host_fn *host_at, void *exec)
{
    const struct regions *r = s->u.regions;
    const int64_t first = (int64_t)piece * r->rows;
    const int64_t rows = r->n - first < r->rows ? r->n - first : r->rows;
    for (int i = 0; i < r->n_values; i++) {
        const struct region_value *rv = &r->value[i];
        if (!rv->read) continue;
        const size_t row_bytes = (size_t)(reel_shape_count(&rv->piece) / r->rows) * sizeof(float);
        memcpy((char *)info_of(p, rv->v)->dynamic.data + (size_t)first * row_bytes, host_at(exec, rv->host),
               (size_t)rows * row_bytes);
    }
}

// SPDX-License-Identifier: MIT
//
// Operators that read pictures at computed places (kernels/gpu/sample.h), and their
// company: GridSample, AffineGrid, RoiAlign, MaxRoiPool, LRN, MaxUnpool, CenterCropPad, Col2Im.
#include <string.h>

#include "worker/backend/cudnn/program.h"

struct gpu_plane_view gpu_view_planes(const struct info *i, const struct view *v)
{
    const bool flat = i->shape.ndim == 3;
    return (struct gpu_plane_view){.elem = v->elem,
                                   .n = i->n,
                                   .c = i->c,
                                   .h = i->h,
                                   .w = i->w,
                                   .stride_n = v->stride[0],
                                   .stride_c = v->stride[1],
                                   .stride_h = flat ? 0 : v->stride[2],
                                   .stride_w = v->stride[flat ? 2 : 3]};
}

// The picture that node makes of its first input: both as views, and the channels
// that are written.
struct pictures {
    struct gpu_plane_view x, y;
    int lanes;
};

static enum reel_err open_pictures(struct lowered *p, const struct node *node, struct step *s, struct pictures *out)
{
    const struct info *in = info_of(p, node->in[0]), *result = info_of(p, node->out[0]);
    struct view x, y;
    const enum form_kind beside = node->in[0]->constant ? FORM_PLAIN : gpu_best_form(p, in);
    const enum form_kind kind = gpu_result_form(p, result, beside);
    enum reel_err err = gpu_need_view(p, node->in[0], &x);
    if (!err) err = gpu_make_view(p, node->out[0], kind, &y);
    if (err) return err;
    s->x = x.at;
    s->y = y.at;
    *out = (struct pictures){gpu_view_planes(in, &x), gpu_view_planes(result, &y),
                             kind == FORM_IMAGE ? result->pitch : result->c};
    return REEL_OK;
}

static bool are_pictures(const struct lowered *p, const struct node *node, int ndim)
{
    const struct info *in = info_of(p, node->in[0]), *out = info_of(p, node->out[0]);
    return in->image && out->image && in->shape.ndim == ndim && out->shape.ndim == ndim;
}

// ---- GridSample, AffineGrid ------------------------------------------------------------

static bool grid_attrs(const struct node *node, struct gpu_grid_sample *g)
{
    const char *mode = node_attr_string(node, "mode", "linear");
    const char *beyond = node_attr_string(node, "padding_mode", "zeros");
    g->align = node_attr_int(node, "align_corners", 0) != 0;
    g->taps = !strcmp(mode, "nearest")                               ? 1
              : !strcmp(mode, "linear") || !strcmp(mode, "bilinear") ? 2
              : !strcmp(mode, "cubic") || !strcmp(mode, "bicubic")   ? 4
                                                                     : 0;
    g->beyond = !strcmp(beyond, "zeros")        ? GPU_BEYOND_ZEROS
                : !strcmp(beyond, "border")     ? GPU_BEYOND_BORDER
                : !strcmp(beyond, "reflection") ? GPU_BEYOND_REFLECTION
                                                : -1;
    return g->taps && g->beyond >= 0;
}

// (N,C,D,H,W) in rows, its planes one below the other; false where that is too large.
static bool stacked_planes(const struct info *i, enum gpu_elem elem, struct gpu_plane_view *out)
{
    const int64_t *d = i->shape.dim, rows = d[2] * d[3];
    if (i->shape.ndim != 5 || i->dtype != REEL_F32 || i->count < 1 || i->count > INT32_MAX) return false;
    *out = (struct gpu_plane_view){
        .elem = elem, .n = (int)d[0], .c = (int)d[1], .h = (int)rows, .w = (int)d[4], .stride_h = d[4], .stride_w = 1};
    out->stride_c = rows * d[4], out->stride_n = d[1] * out->stride_c;
    return true;
}

static enum reel_err sample_volume(struct lowered *p, const struct node *node, bool *out_done)
{
    struct step s = gpu_step_of(STEP_GRID_SAMPLE, "grid sample");
    const struct info *in = info_of(p, node->in[0]), *out = info_of(p, node->out[0]), *grid = info_of(p, node->in[1]);
    struct gpu_grid_sample g = {.lanes = (int)out->shape.dim[1], .depth = (int)in->shape.dim[2]};
    if (grid->dtype != REEL_F32 || grid->shape.ndim != 5 || !grid_attrs(node, &g) || g.taps == 4) return REEL_OK;
    if (!stacked_planes(in, p->low, &g.x) || !stacked_planes(out, p->low, &g.y)) return REEL_OK;
    g.x.h = (int)in->shape.dim[3];
    g.stride_d = in->shape.dim[3] * in->shape.dim[4];
    enum form_kind kind, grid_kind;
    enum reel_err err = gpu_need_rows(p, node->in[0], &kind, &s.x);
    if (!err) err = gpu_need_rows(p, node->in[1], &grid_kind, &s.w);
    if (!err) err = gpu_make_form(p, node->out[0], kind, &s.y);
    if (err) return err;
    g.x.elem = gpu_form_elem(p, in, kind), g.y.elem = gpu_form_elem(p, out, kind);
    g.grid_elem = gpu_form_elem(p, grid, grid_kind);
    s.u.grid_sample = g;
    *out_done = true;
    return gpu_put_step(p, &s, node);
}

static enum reel_err lower_grid_sample(struct lowered *p, const struct node *node, bool *out_done)
{
    if (info_of(p, node->in[0])->shape.ndim == 5 && info_of(p, node->out[0])->shape.ndim == 5)
        return sample_volume(p, node, out_done);
    struct step s = gpu_step_of(STEP_GRID_SAMPLE, "grid sample");
    const struct info *grid = info_of(p, node->in[1]);
    struct gpu_grid_sample g = {.lanes = 0};
    struct pictures pictures;
    enum form_kind kind;
    if (!are_pictures(p, node, 4) || grid->dtype != REEL_F32 || grid->shape.ndim != 4 || !grid_attrs(node, &g))
        return REEL_OK;
    enum reel_err err = gpu_need_rows(p, node->in[1], &kind, &s.w);
    if (!err) err = open_pictures(p, node, &s, &pictures);
    if (err) return err;
    g.x = pictures.x, g.y = pictures.y, g.lanes = pictures.lanes;
    g.grid_elem = gpu_form_elem(p, grid, kind);
    s.u.grid_sample = g;
    *out_done = true;
    return gpu_put_step(p, &s, node);
}

static enum reel_err lower_affine_grid(struct lowered *p, const struct node *node, bool *out_done)
{
    const struct info *theta = info_of(p, node->in[0]), *out = info_of(p, node->out[0]);
    const int dims = out->shape.ndim - 2;
    struct step s = gpu_step_of(STEP_AFFINE_GRID, "affine grid");
    enum form_kind kind;
    if (theta->dtype != REEL_F32 || theta->shape.ndim != 3 || dims < 2 || dims > 3) return REEL_OK;
    enum reel_err err = gpu_need_rows(p, node->in[0], &kind, &s.x);
    if (!err) err = gpu_make_form(p, node->out[0], FORM_PLAIN, &s.y); // places of a picture want float32's digits
    s.u.affine_grid = (struct gpu_affine_grid){.theta_elem = gpu_form_elem(p, theta, kind),
                                               .n = (int)out->shape.dim[0],
                                               .dims = dims,
                                               .align = node_attr_int(node, "align_corners", 0) != 0};
    for (int d = 0; d < dims; d++) s.u.affine_grid.extent[d] = (int32_t)out->shape.dim[1 + d];
    *out_done = true;
    return err ? err : gpu_put_step(p, &s, node);
}

// ---- RoiAlign --------------------------------------------------------------------------

bool gpu_roi_align_step(const struct lowered *p, const struct node *node, struct step *out_step)
{
    const char *how =
        node_attr_string(node, "coordinate_transformation_mode", node->opset < 16 ? "output_half_pixel" : "half_pixel");
    const int64_t ratio = node_attr_int(node, "sampling_ratio", 0);
    if (node->n_in < 3 || !node->in[2] || info_of(p, node->in[1])->dtype != REEL_F32) return false;
    if (info_of(p, node->in[2])->dtype != REEL_I64 || ratio < 0 || ratio > GPU_ROI_SAMPLES_MOST) return false;
    *out_step = gpu_step_of(STEP_ROI_ALIGN, "roi align");
    out_step->u.roi_align = (struct gpu_roi_align){.region_elem = GPU_ELEM_F32,
                                                   .ratio = (int)ratio,
                                                   .scale = node_attr_float(node, "spatial_scale", 1),
                                                   .shift = strcmp(how, "half_pixel") ? 0 : 0.5f,
                                                   .largest = !strcmp(node_attr_string(node, "mode", "avg"), "max")};
    return true;
}

static enum reel_err lower_roi_align(struct lowered *p, const struct node *node, bool *out_done)
{
    const struct info *regions = info_of(p, node->in[1]);
    struct step s;
    struct pictures pictures;
    enum form_kind kind;
    if (!are_pictures(p, node, 4) || !gpu_roi_align_step(p, node, &s)) return REEL_OK;
    if (info_of(p, node->in[2])->count != regions->shape.dim[0]) return REEL_OK;
    enum reel_err err = gpu_need_rows(p, node->in[1], &kind, &s.w);
    if (!err) err = gpu_need_form(p, node->in[2], FORM_PLAIN, &s.extra[0]);
    if (!err) err = open_pictures(p, node, &s, &pictures);
    if (err) return err;
    s.u.roi_align.x = pictures.x;
    s.u.roi_align.y = pictures.y;
    s.u.roi_align.lanes = pictures.lanes;
    s.u.roi_align.region_elem = gpu_form_elem(p, regions, kind);
    *out_done = true;
    return gpu_put_step(p, &s, node);
}

static enum reel_err lower_roi_pool(struct lowered *p, const struct node *node, bool *out_done)
{
    const struct info *regions = info_of(p, node->in[1]);
    struct step s = gpu_step_of(STEP_ROI_POOL, "roi pool");
    struct pictures pictures;
    enum form_kind kind;
    if (!are_pictures(p, node, 4) || regions->dtype != REEL_F32 || regions->count != info_of(p, node->out[0])->n * 5)
        return REEL_OK;
    enum reel_err err = gpu_need_rows(p, node->in[1], &kind, &s.w);
    if (!err) err = open_pictures(p, node, &s, &pictures);
    if (err) return err;
    s.u.roi_pool = (struct gpu_roi_pool){.x = pictures.x,
                                         .y = pictures.y,
                                         .lanes = pictures.lanes,
                                         .region_elem = gpu_form_elem(p, regions, kind),
                                         .scale = node_attr_float(node, "spatial_scale", 1)};
    *out_done = true;
    return gpu_put_step(p, &s, node);
}

// ---- LRN -------------------------------------------------------------------------------

static enum reel_err lower_lrn(struct lowered *p, const struct node *node, bool *out_done)
{
    const int64_t size = node_attr_int(node, "size", 0);
    struct step s = gpu_step_of(STEP_LRN, "lrn");
    struct pictures pictures;
    const struct info *in = info_of(p, node->in[0]);
    if (!in->image || !info_of(p, node->out[0])->image || size < 1 || size > INT32_MAX) return REEL_OK;
    enum reel_err err = open_pictures(p, node, &s, &pictures);
    if (err) return err;
    s.u.lrn = (struct gpu_lrn){.x = pictures.x,
                               .y = pictures.y,
                               .lanes = pictures.lanes,
                               .size = (int)(size < in->c * 2 ? size : in->c * 2),
                               .alpha = node_attr_float(node, "alpha", 1e-4f),
                               .beta = node_attr_float(node, "beta", 0.75f),
                               .bias = node_attr_float(node, "bias", 1)};
    // beyond twice the channels a wider window has the same members
    s.u.lrn.alpha *= (float)s.u.lrn.size / (float)size;
    *out_done = true;
    return gpu_put_step(p, &s, node);
}

// ---- MaxUnpool -------------------------------------------------------------------------

// Scattered into zeros; positions count in the result's own extents.
static enum reel_err lower_unpool(struct lowered *p, const struct node *node, bool *out_done)
{
    const struct info *in = info_of(p, node->in[0]), *index = info_of(p, node->in[1]), *out = info_of(p, node->out[0]);
    struct step s = gpu_step_of(STEP_SCATTER, "unpool");
    enum form_kind kind;
    bool exact;
    if (node->n_in > 2 && node->in[2]) return REEL_OK; // may be larger than what the positions count in
    if (index->dtype != REEL_I64 || index->count != in->count || in->count < 1 || in->count > INT32_MAX) return REEL_OK;
    if (out->count > INT32_MAX || in->dtype != out->dtype) return REEL_OK;
    gpu_elem_of(in->dtype, &exact);
    if (!exact) return REEL_OK;
    enum reel_err err = gpu_need_rows(p, node->in[0], &kind, &s.extra[0]);
    const enum gpu_elem elem = gpu_form_elem(p, in, kind);
    const int bytes = (int)gpu_elem_bytes(elem);
    if (!err) err = gpu_need_form(p, node->in[1], FORM_PLAIN, &s.w);
    if (!err) err = gpu_make_form(p, node->out[0], kind, &s.y);
    s.u.index = (struct gpu_index){.elem = elem,
                                   .elem_bytes = bytes,
                                   .index_elem = GPU_ELEM_I64,
                                   .n_dims = 1,
                                   .extent = {(int32_t)in->count},
                                   .q = 1,
                                   .at_extent = {out->count},
                                   .at_stride = {1},
                                   .tuples = in->count,
                                   .block = 1,
                                   .count = out->count};
    if (!err) err = gpu_make_temporary(p, gpu_scatter_work_bytes(&s.u.index), &s.extra[1]);
    *out_done = true;
    return err ? err : gpu_put_step(p, &s, node);
}

// ---- CenterCropPad ---------------------------------------------------------------------

static enum reel_err lower_crop_pad(struct lowered *p, const struct node *node, bool *out_done)
{
    const struct info *in = info_of(p, node->in[0]), *out = info_of(p, node->out[0]);
    const enum form_kind beside = node->in[0]->constant ? FORM_PLAIN : gpu_best_form(p, in);
    const enum form_kind kind = gpu_result_form(p, out, beside);
    struct view x, y;
    if (in->count < 1 || in->shape.ndim != out->shape.ndim) return REEL_OK;
    enum reel_err err = gpu_need_view(p, node->in[0], &x);
    if (!err) err = gpu_make_view(p, node->out[0], kind, &y);
    if (err) return err;
    struct move m = MOVE_NONE;
    m.n = out->shape.ndim;
    for (int d = 0; d < m.n; d++) {
        const int64_t have = in->shape.dim[d], want = out->shape.dim[d], more = want - have;
        m.extent[d] = want;
        m.src[d] = x.stride[d];
        m.dst[d] = y.stride[d];
        if (more < 0) m.src_base += -more / 2 * x.stride[d];
        if (more <= 0) continue;
        int32_t *table = gpu_lower_alloc(p, (size_t)want * sizeof *table); // the odd element goes to the end
        if (!table) return gpu_no_memory(node);
        for (int64_t i = 0; i < want; i++)
            table[i] = i < more / 2 || i - more / 2 >= have ? -1 : (int32_t)(i - more / 2);
        m.table[d] = table;
    }
    gpu_move_pads(p, out, kind, &m, 1);
    *out_done = true;
    return gpu_emit_move(p, node, "crop or pad", &m, x.at, x.elem, y.at, y.elem);
}

// ---- Col2Im ----------------------------------------------------------------------------

static enum reel_err lower_col2im(struct lowered *p, const struct node *node, bool *out_done)
{
    const struct info *in = info_of(p, node->in[0]), *out = info_of(p, node->out[0]);
    int n = 0;
    const int64_t *block = node->n_in > 2 && node->in[2] ? gpu_const_ints(p, node->in[2], &n) : NULL;
    struct step s = gpu_step_of(STEP_COL2IM, "columns to image");
    enum form_kind kind;
    bool exact;
    gpu_elem_of(in->dtype, &exact);
    if (!block || n != 2 || !exact || out->shape.ndim != 4 || in->shape.ndim != 3 || out->count > INT32_MAX)
        return REEL_OK;
    struct gpu_col2im g = {.n = (int)out->shape.dim[0],
                           .c = (int)out->shape.dim[1],
                           .h = (int)out->shape.dim[2],
                           .w = (int)out->shape.dim[3],
                           .r = (int)block[0],
                           .s = (int)block[1],
                           .stride_h = (int)gpu_attr_at(node, "strides", 0, 1),
                           .stride_w = (int)gpu_attr_at(node, "strides", 1, 1),
                           .pad_top = (int)gpu_attr_at(node, "pads", 0, 0),
                           .pad_left = (int)gpu_attr_at(node, "pads", 1, 0),
                           .dilation_h = (int)gpu_attr_at(node, "dilations", 0, 1),
                           .dilation_w = (int)gpu_attr_at(node, "dilations", 1, 1)};
    const int64_t high = g.h + g.pad_top + gpu_attr_at(node, "pads", 2, 0) - (g.dilation_h * (block[0] - 1) + 1);
    const int64_t wide = g.w + g.pad_left + gpu_attr_at(node, "pads", 3, 0) - (g.dilation_w * (block[1] - 1) + 1);
    g.rows = (int)(high / g.stride_h + 1);
    g.columns = (int)(wide / g.stride_w + 1);
    if (high < 0 || wide < 0 || (int64_t)g.rows * g.columns != in->shape.dim[2]) return REEL_OK;
    enum reel_err err = gpu_need_rows(p, node->in[0], &kind, &s.x);
    if (!err) err = gpu_make_form(p, node->out[0], kind, &s.y);
    g.elem = gpu_form_elem(p, in, kind);
    s.u.col2im = g;
    *out_done = true;
    return err ? err : gpu_put_step(p, &s, node);
}

enum reel_err gpu_lower_sample(struct lowered *p, const struct node *node, bool *out_done)
{
    if (node->n_in < 1 || !node->in[0] || node->n_out != 1 || !node->out[0] || node->n_epilogue) return REEL_OK;
    if (gpu_only_on_host(p, node->in[0])) return REEL_OK;
    if (node_is(node, "LRN")) return lower_lrn(p, node, out_done);
    if (node->n_in < 2 || !node->in[1]) return REEL_OK;
    if (node_is(node, "GridSample")) return lower_grid_sample(p, node, out_done);
    if (node_is(node, "AffineGrid")) return lower_affine_grid(p, node, out_done);
    if (node_is(node, "RoiAlign")) return lower_roi_align(p, node, out_done);
    if (node_is(node, "MaxRoiPool")) return lower_roi_pool(p, node, out_done);
    if (node_is(node, "MaxUnpool")) return lower_unpool(p, node, out_done);
    if (node_is(node, "CenterCropPad")) return lower_crop_pad(p, node, out_done);
    if (node_is(node, "Col2Im")) return lower_col2im(p, node, out_done);
    return REEL_OK;
}

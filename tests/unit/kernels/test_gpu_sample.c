// SPDX-License-Identifier: MIT
//
// The kernels that read pictures at computed places (kernels/gpu/sample.h), executed on the
// CPU (tests/cuda_cpu), against their twins on random data: pictures in NHWC and in
// rows, places far outside, every float type. tests/gpu/test_sample.c is this file once
// more, on a GPU.
#include "kernels/gpu/sample.h"
#include "tests/unit/kernels/ops.h"

// A picture in NHWC, its channels padded, or in rows; the elements it takes.
static int64_t any_picture(struct gpu_plane_view *p, int c, int *out_lanes)
{
    const bool image = pick(0, 1);
    const int pitch = image ? (c + 7) / 8 * 8 : c;
    p->c = c;
    p->stride_c = image ? 1 : (int64_t)p->h * p->w;
    p->stride_w = image ? pitch : 1;
    p->stride_h = p->w * p->stride_w;
    p->stride_n = (int64_t)p->h * p->w * pitch;
    *out_lanes = pitch;
    return p->n * p->stride_n;
}

static struct gpu_plane_view any_extents(void)
{
    return (struct gpu_plane_view){.elem = any_float(), .n = pick(1, 2), .h = pick(1, 9), .w = pick(1, 9)};
}

// That picture as one of several planes; the elements they take.
static int64_t stack_planes(struct gpu_grid_sample *p, int depth)
{
    p->depth = depth;
    p->stride_d = p->x.stride_c == 1 ? p->x.stride_n : p->x.stride_c;
    if (p->x.stride_c > 1 || p->x.stride_w == 1) p->x.stride_c *= depth; // rows: (n,c,d,h,w)
    p->x.stride_n *= depth;
    return p->x.n * p->x.stride_n;
}

static void test_grid(void)
{
    CASES(150)
    {
        struct gpu_grid_sample p = {.x = any_extents(), .y = any_extents(), .grid_elem = any_float()};
        int lanes;
        const int c = pick(1, 11);
        p.x.n = p.y.n, p.taps = 1 << pick(0, 2), p.beyond = pick(0, 2), p.align = pick(0, 1);
        int64_t n = any_picture(&p.x, c, &lanes), axes = 2;
        if (pick(0, 1)) axes = 3, n = stack_planes(&p, pick(1, 4));
        struct mem x = make((enum gpu_elem)p.x.elem, n, -1, 1);
        struct mem grid = make((enum gpu_elem)p.grid_elem, (int64_t)p.y.n * p.y.h * p.y.w * axes, -2.5f, 2.5f);
        if (!pick(0, 3)) gpu_elem_store(grid.e, grid.p, pick(0, (int)grid.n - 1), pick(0, 1) ? NAN : INFINITY);
        struct mem y = make((enum gpu_elem)p.y.elem, any_picture(&p.y, c, &p.lanes), 0, 1), want = copy_of(&y);
        gpu_grid_sample_ref(&p, x.p, grid.p, want.p);
        CHECK_INT(gpu_grid_sample(&p, x.p, grid.p, y.p, NULL), 0);
        SAME(y, want, "grid sample");
        drop(&x), drop(&grid), drop(&y), drop(&want);
    }
}

static void test_affine(void)
{
    CASES(30)
    {
        struct gpu_affine_grid p = {
            .theta_elem = any_float(), .n = pick(1, 3), .dims = pick(2, 3), .align = pick(0, 1)};
        int64_t points = p.n;
        for (int d = 0; d < p.dims; d++) points *= p.extent[d] = pick(1, 8);
        struct mem theta = make((enum gpu_elem)p.theta_elem, (int64_t)p.n * p.dims * (p.dims + 1), -2, 2);
        struct mem y = make(GPU_ELEM_F32, points * p.dims, 0, 1), want = copy_of(&y);
        gpu_affine_grid_ref(&p, theta.p, want.p);
        CHECK_INT(gpu_affine_grid(&p, theta.p, y.p, NULL), 0);
        SAME(y, want, "affine grid");
        drop(&theta), drop(&y), drop(&want);
    }
}

static void test_roi(void)
{
    CASES(80)
    {
        struct gpu_roi_align p = {.x = any_extents(), .y = any_extents(), .region_elem = any_float()};
        int lanes;
        const int c = pick(1, 10);
        p.y.h = pick(1, 4), p.y.w = pick(1, 4), p.y.n = pick(1, 4);
        p.ratio = pick(0, 3), p.scale = 0.5f, p.shift = pick(0, 1) ? 0.5f : 0, p.largest = pick(0, 1),
        p.keep = pick(0, 1);
        struct mem x = make((enum gpu_elem)p.x.elem, any_picture(&p.x, c, &lanes), -1, 1);
        struct mem regions = make((enum gpu_elem)p.region_elem, p.y.n * 4, -10, 40);
        struct mem image = make(GPU_ELEM_I64, p.y.n, -1.9f, (float)p.x.n + 0.9f); // some are no images
        struct mem y = make((enum gpu_elem)p.y.elem, any_picture(&p.y, c, &p.lanes), 0, 1), want = copy_of(&y);
        gpu_roi_align_ref(&p, x.p, regions.p, image.p, want.p);
        CHECK_INT(gpu_roi_align(&p, x.p, regions.p, image.p, y.p, NULL), 0);
        SAME(y, want, "roi align");
        drop(&x), drop(&regions), drop(&image), drop(&y), drop(&want);
    }
}

static void test_roi_pool(void)
{
    CASES(80)
    {
        struct gpu_roi_pool p = {.x = any_extents(), .y = any_extents(), .region_elem = any_float(), .scale = 0.5f};
        int lanes;
        const int c = pick(1, 10);
        p.y.h = pick(1, 4), p.y.w = pick(1, 4), p.y.n = pick(1, 4);
        struct mem x = make((enum gpu_elem)p.x.elem, any_picture(&p.x, c, &lanes), -1, 1);
        struct mem regions = make((enum gpu_elem)p.region_elem, p.y.n * 5, -10, 40);
        static const float odd[] = {NAN, INFINITY, -INFINITY, 1e30f};
        for (int r = 0; r < p.y.n; r++) // some are no images
            gpu_elem_store(regions.e, regions.p, r * 5, pick(0, 4) ? (float)pick(-1, p.x.n) : NAN);
        if (!pick(0, 3)) gpu_elem_store(regions.e, regions.p, pick(1, p.y.n * 5 - 1), odd[pick(0, 3)]);
        struct mem y = make((enum gpu_elem)p.y.elem, any_picture(&p.y, c, &p.lanes), 0, 1), want = copy_of(&y);
        gpu_roi_pool_ref(&p, x.p, regions.p, want.p);
        CHECK_INT(gpu_roi_pool(&p, x.p, regions.p, y.p, NULL), 0);
        SAME(y, want, "roi pool");
        drop(&x), drop(&regions), drop(&y), drop(&want);
    }
}

static void test_lrn(void)
{
    CASES(40)
    {
        struct gpu_lrn p = {.x = any_extents(), .size = pick(1, 9), .alpha = 0.3f, .beta = 0.75f, .bias = 1};
        int lanes;
        const int c = pick(1, 12);
        p.y = p.x;
        p.y.elem = any_float();
        struct mem x = make((enum gpu_elem)p.x.elem, any_picture(&p.x, c, &lanes), -1, 1);
        struct mem y = make((enum gpu_elem)p.y.elem, any_picture(&p.y, c, &p.lanes), 0, 1), want = copy_of(&y);
        gpu_lrn_ref(&p, x.p, want.p);
        CHECK_INT(gpu_lrn(&p, x.p, y.p, NULL), 0);
        SAME(y, want, "lrn");
        drop(&x), drop(&y), drop(&want);
    }
}

static void test_deform(void)
{
    CASES(60)
    {
        struct gpu_deform p = {.x = any_extents(),
                               .p = pick(1, 5),
                               .q = pick(1, 5),
                               .r = pick(1, 3),
                               .s = pick(1, 3),
                               .stride_h = pick(1, 2),
                               .stride_w = pick(1, 2),
                               .pad_top = pick(0, 2),
                               .pad_left = pick(0, 2),
                               .dilation_h = pick(1, 2),
                               .dilation_w = pick(1, 2),
                               .groups = pick(1, 3),
                               .offset_groups = pick(1, 2),
                               .y_elem = any_float()};
        int lanes;
        const int c = p.groups * p.offset_groups * pick(1, 3), taps = p.r * p.s * p.offset_groups;
        p.offset = p.mask = (struct gpu_plane_view){.n = p.x.n, .h = p.p, .w = p.q};
        p.offset.elem = any_float(), p.mask.elem = any_float();
        p.image = pick(0, p.x.n - 1), p.first = pick(0, p.p * p.q - 1), p.pixels = pick(1, p.p * p.q - p.first);
        struct mem x = make((enum gpu_elem)p.x.elem, any_picture(&p.x, c, &lanes), -1, 1);
        struct mem offset = make((enum gpu_elem)p.offset.elem, any_picture(&p.offset, 2 * taps, &lanes), -3, 3);
        struct mem mask = make((enum gpu_elem)p.mask.elem, any_picture(&p.mask, taps, &lanes), 0, 1);
        struct mem y = make((enum gpu_elem)p.y_elem, (int64_t)p.pixels * p.r * p.s * c, 0, 1), want = copy_of(&y);
        const void *m = pick(0, 1) ? mask.p : NULL;
        gpu_deform_ref(&p, x.p, offset.p, m, want.p);
        CHECK_INT(gpu_deform(&p, x.p, offset.p, m, y.p, NULL), 0);
        SAME(y, want, "deform");
        drop(&x), drop(&offset), drop(&mask), drop(&y), drop(&want);
    }
}

static void test_col2im(void)
{
    CASES(40)
    {
        struct gpu_col2im p = {.elem = any_float(),
                               .n = pick(1, 2),
                               .c = pick(1, 3),
                               .r = pick(1, 3),
                               .s = pick(1, 3),
                               .rows = pick(1, 5),
                               .columns = pick(1, 5),
                               .stride_h = pick(1, 3),
                               .stride_w = pick(1, 3),
                               .pad_top = pick(0, 1),
                               .pad_left = pick(0, 1),
                               .dilation_h = pick(1, 2),
                               .dilation_w = pick(1, 2)};
        p.h = pick(1, 12), p.w = pick(1, 12);
        struct mem x = make((enum gpu_elem)p.elem, (int64_t)p.n * p.c * p.r * p.s * p.rows * p.columns, -1, 1);
        struct mem y = make((enum gpu_elem)p.elem, (int64_t)p.n * p.c * p.h * p.w, 0, 1), want = copy_of(&y);
        gpu_col2im_ref(&p, x.p, want.p);
        CHECK_INT(gpu_col2im(&p, x.p, y.p, NULL), 0);
        SAME(y, want, "columns to image");
        drop(&x), drop(&y), drop(&want);
    }
}

static void test_places(void)
{
    CASES(40)
    {
        struct gpu_pool p = {.elem = any_float(),
                             .n = pick(1, 2),
                             .c = pick(1, 9),
                             .h = pick(3, 9),
                             .w = pick(3, 9),
                             .r = pick(1, 3),
                             .s = pick(1, 3),
                             .stride_h = pick(1, 2),
                             .stride_w = pick(1, 2),
                             .pad_top = pick(0, 1),
                             .pad_left = pick(0, 1),
                             .dilation_h = 1,
                             .dilation_w = 1};
        p.p = pick(1, 3), p.q = pick(1, 3);
        p.x_pitch = pick(0, 1) ? p.c : (p.c + 7) / 8 * 8;
        struct mem x = make((enum gpu_elem)p.elem, (int64_t)p.n * p.h * p.w * p.x_pitch, -3, 3);
        for (int64_t i = 0; i < x.n; i++) gpu_elem_store(x.e, x.p, i, floorf(gpu_elem_load(x.e, x.p, i))); // equals
        struct mem y = make(GPU_ELEM_I64, (int64_t)p.n * p.c * p.p * p.q, 0, 1), want = copy_of(&y);
        gpu_pool_places_ref(&p, x.p, want.p);
        CHECK_INT(gpu_pool_places(&p, x.p, y.p, NULL), 0);
        SAME(y, want, "places of maxima");
        drop(&x), drop(&y), drop(&want);
    }
}

static void test_pool3(void)
{
    CASES(80)
    {
        struct gpu_pool3 p = {
            .elem = any_float(), .planes = pick(1, 3), .average = pick(0, 1), .count_pad = pick(0, 1)};
        if (!pick(0, 2)) p.power = pick(1, 4);
        if (pick(0, 1))
            p.channels = pick(1, 9), p.x_pitch = p.channels + pick(0, 3), p.y_pitch = p.channels + pick(0, 3);
        int64_t n = (int64_t)p.planes * (p.channels ? p.x_pitch : 1),
                m = (int64_t)p.planes * (p.channels ? p.y_pitch : 1);
        for (int d = 0; d < 3; d++) {
            p.in[d] = pick(1, 7), p.out[d] = pick(1, 5), p.size[d] = pick(1, 3), p.stride[d] = pick(1, 2);
            p.dilation[d] = pick(1, 2), p.before[d] = pick(0, 2), p.after[d] = pick(0, 2);
            n *= p.in[d], m *= p.out[d];
        }
        struct mem x = make((enum gpu_elem)p.elem, n, -1, 1), y = make(x.e, m, 0, 1), want = copy_of(&y);
        if (!pick(0, 3)) gpu_elem_store(x.e, x.p, pick(0, (int)n - 1), NAN);
        gpu_pool3_ref(&p, x.p, want.p);
        CHECK_INT(gpu_pool3(&p, x.p, y.p, NULL), 0);
        SAME(y, want, "pool of three axes");
        drop(&x), drop(&y), drop(&want);
    }
}

OPS_MAIN({"pools of three axes", test_pool3}, {"grid sample", test_grid}, {"affine grid", test_affine},
         {"roi align", test_roi}, {"roi pool", test_roi_pool}, {"lrn", test_lrn},
         {"deformable convolution's columns", test_deform}, {"columns to image", test_col2im},
         {"places of maxima", test_places})

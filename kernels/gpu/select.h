// SPDX-License-Identifier: MIT
//
// The GPU executor's kernels that select elements: the largest ones, those at indices that
// are data, prefixes, triangles. The rules are those of ops.h: launcher and twin, plain
// parameters, an order of sums that depends only on the extents. Tensors are row-major unless
// strides are given.
//
// A GPU cannot refuse indices that are data. An index out of range reads zeros or writes
// nothing; it never accesses other memory.
#ifndef REEL_KERNELS_GPU_SELECT_H
#define REEL_KERNELS_GPU_SELECT_H

#include "kernels/gpu/ops.h"

#ifdef __cplusplus
extern "C" {
#endif

// ---- the k largest along an axis -------------------------------------------------------

// x (outer,n,inner) -> values and positions (outer,k,inner), best first. Of equal elements, the
// lower position comes first; NaN counts as larger than every number.
struct gpu_topk {
    int elem;
    int64_t outer, n, inner, k;
    bool smallest;
    bool is_f64; // elements of type I64 are the bits of double precision numbers
};
// Longest column, and longest result, that the kernel takes.
#define GPU_TOPK_MOST_N INT64_C(0x7fffffff)
#define GPU_TOPK_MOST_K (1 << 17)
// Most keys of a column that is sorted in shared memory.
#define GPU_TOPK_SHARED 2048
// Fewest elements of a tile of a long column; and the number of columns from which on there are
// enough blocks without tiles.
#define GPU_TOPK_TILE 8192
#define GPU_TOPK_COLUMNS 256
// Keys of a column that are sorted: k rounded up to a power of two.
size_t gpu_topk_keys(const struct gpu_topk *p);
// Elements of a tile, 0: columns are not cut; and the elements of a column that remain after
// the tiles. Both depend only on the extents.
int64_t gpu_topk_tile(const struct gpu_topk *p);
int64_t gpu_topk_kept(const struct gpu_topk *p);
// Bytes of `work`, which begins with the keys to be sorted; 0: it may be NULL.
size_t gpu_topk_sort_bytes(const struct gpu_topk *p);
size_t gpu_topk_work_bytes(const struct gpu_topk *p);
// values or positions may be NULL.
int gpu_topk(const struct gpu_topk *p, const void *x, void *values, int64_t *positions, void *work, void *stream);
void gpu_topk_ref(const struct gpu_topk *p, const void *x, void *values, int64_t *positions);

// ---- elements at indices that are data -------------------------------------------------

enum gpu_combine {
    GPU_COMBINE_NONE, // of several updates of a place the last one wins
    GPU_COMBINE_ADD,
    GPU_COMBINE_MUL,
    GPU_COMBINE_MAX,
    GPU_COMBINE_MIN,
};

// Tuple i of a grid of tuples selects `block` elements of data, beginning at
// sum over d of i_d base[d] + sum over j < q of index[i][j] at_stride[j].
// Negative indices count from the end.
struct gpu_index {
    int elem;       // of data; its type counts where elements are combined
    int elem_bytes; // 1, 2, 4 or 8
    int index_elem; // I32 or I64
    int n_dims;
    int32_t extent[GPU_DIMS]; // of the grid
    int64_t base[GPU_DIMS];
    int q;
    int64_t at_extent[GPU_DIMS], at_stride[GPU_DIMS];
    int64_t tuples, block;
    int64_t count; // of data; a multiple of block, as every place is
    int combine;   // enum gpu_combine, of gpu_scatter()
};
// dst (tuples,block)
int gpu_gather_at(const struct gpu_index *p, const void *data, const void *index, void *dst, void *stream);
void gpu_gather_at_ref(const struct gpu_index *p, const void *data, const void *index, void *dst);
// y is data (NULL: zeros) with updates (tuples,block) written or combined in the tuples' order.
size_t gpu_scatter_work_bytes(const struct gpu_index *p);
int gpu_scatter(const struct gpu_index *p, const void *data, const void *index, const void *updates, void *y,
                void *work, void *stream);
void gpu_scatter_ref(const struct gpu_index *p, const void *data, const void *index, const void *updates, void *y);

// y[o][d][i] = values[1] where index[o][i] is d (or d - depth), else values[0].
struct gpu_one_hot {
    int index_elem; // any type; floats are truncated
    int elem_bytes; // of values and y
    int64_t outer, depth, inner;
};
int gpu_one_hot(const struct gpu_one_hot *p, const void *index, const void *values, void *y, void *stream);
void gpu_one_hot_ref(const struct gpu_one_hot *p, const void *index, const void *values, void *y);

// ---- prefixes, triangles, reversed sequences --------------------------------------------

// y[o][j][i] = sum (product) of x[o][..j][i]; exclusive: without j itself; reverse: from the
// end. Integers wrap.
struct gpu_scan {
    int x_elem, y_elem; // both float types, or the same
    int64_t outer, n, inner;
    bool exclusive, reverse, product;
};
int gpu_scan(const struct gpu_scan *p, const void *x, void *y, void *stream);
void gpu_scan_ref(const struct gpu_scan *p, const void *x, void *y);

// Keeps column - row >= k (upper) or <= k of every matrix, zeros elsewhere.
struct gpu_triangle {
    int elem_bytes;
    int64_t matrices, rows, columns, k;
    bool upper;
};
int gpu_triangle(const struct gpu_triangle *p, const void *x, void *y, void *stream);
void gpu_triangle_ref(const struct gpu_triangle *p, const void *x, void *y);

// Reverses the first length[b] elements of each batch of (times,batches,inner), or of
// (batches,times,inner) with batch_first.
struct gpu_reverse {
    int elem_bytes;
    int64_t times, batches, inner;
    bool batch_first;
};
int gpu_reverse(const struct gpu_reverse *p, const void *x, const int64_t *length, void *y, void *stream);
void gpu_reverse_ref(const struct gpu_reverse *p, const void *x, const int64_t *length, void *y);

#ifdef __cplusplus
}
#endif
#endif

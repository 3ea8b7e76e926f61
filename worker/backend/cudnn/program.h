// SPDX-License-Identifier: MIT
//
// Lowers a graph to the GPU executor's steps (steps.h). program.c drives the lowering,
// forms.c knows how values are laid out in memory, and lower/*.c turn nodes into steps.
//
// A value may exist in several forms at once. A node asks for the one it wants with
// gpu_need_form(), which adds the step that converts the value if that form does not exist:
//   PLAIN  row-major on the device, with the declared element type
//   LOW    row-major on the device, with the program's float type (fp16); the same as
//          PLAIN if that type is float32
//   IMAGE  NHWC on the device (volumes: NDHWC), with the program's float type, channels
//          padded to 16 bytes (from 8 channels on, and where a convolution reads it)
//   HOST   row-major in host memory, for host steps
//
// The steps are in three ranges. Those before `main_begin` convert the host's inputs to
// what the network reads; those from `main_end` on convert its results to what the host
// expects. A caller with device memory runs only the middle range.
#ifndef REEL_WORKER_BACKEND_CUDNN_PROGRAM_H
#define REEL_WORKER_BACKEND_CUDNN_PROGRAM_H

#include <string.h>

#include "worker/backend/backend.h"
#include "worker/backend/cudnn/steps.h"
#include "worker/onnx/op.h"

enum form_kind {
    FORM_PLAIN,
    FORM_LOW,
    FORM_IMAGE,
    FORM_PART, // as IMAGE, but among the channels of other values in a joined tensor (lower/parts.c)
    FORM_F8,   // as IMAGE, in e4m3 with the value's scale; only for convolutions (lower/fp8.c)
    FORM_HOST,
    FORMS,
};

enum deferral {
    DEFER_DCR, // DepthToSpace, by its mode
    DEFER_CRD,
    DEFER_NEAREST, // Resize
};

// A result that is not computed: its only reader, a pointwise node, reads the node's input
// through strides instead. The result's H and W are split into (H / factor, factor,
// W / factor, factor).
struct deferred {
    const struct value *from; // NULL: computed as usual
    int factor;
    int kind; // enum deferral
};

// Where a value lies in a joined tensor: from channel `at` of the root's image on.
struct part {
    const struct value *root; // NULL: not in a joined tensor
    int at;
    int pitch; // of the joined tensor, once the value is in it
};

struct info {
    const struct value *v;
    enum reel_dtype dtype; // declared
    struct reel_shape shape;
    int64_t count;         // -1: depends on data (the value is then `dynamic`, on the host)
    bool image;            // float32 with 3 or 4 dimensions: may be an IMAGE
    bool volume;           // the same with 5: an IMAGE of the rows of all its planes
    int n, c, h, w, pitch; // for both; (N,C,L) counts as (N,C,1,L), (N,C,D,H,W) as (N,C,D*H,W)
    struct ref form[FORMS];
    struct deferred deferred;
    struct part part;              // planned
    struct ref joined;             // for the root of parts: the tensor, from the first part on
    int uses;                      // reads by nodes and as a graph output
    const struct flash_core *core; // for the last product of an attention computed by one kernel
    const struct roll *roll;       // for slices that are joined again: the copy that replaces them
    const struct move_run *run;    // for the last of several moves in a row: the copy that replaces them
    bool late;                     // follows a result whose size depends on data (lower/order.c)
    const struct found *found;     // for a NonZero, and a GatherND at its places: the device has found them
    const struct assign *assign;   // for a ScatterND that assigns to a slice (lower/assign.c)
    struct regions *regions;       // of a node of a detector's second stage (lower/regions.h)
    int region_role;               // enum region_role
    bool not_made;                 // covered by one of these, or read through: its node adds no step
    bool read_through, read;       // while planning: it is read by strides in another value's memory; in its own
    bool f8;                       // computed by a convolution of e4m3 numbers
    bool f8_only;                  // and read only by such convolutions
    int f8_exponent;               // as an input of one: the number is code * 2^f8_exponent
    struct reel_tensor dynamic;    // at run time, when count is -1
};

// In host memory: how many elements of a mask are set, their positions (int32), and another
// tensor's elements there (nowhere: nobody reads them).
struct found {
    struct ref positions, values;
    struct reel_shape shape; // of the mask
};

struct flash_core; // lower/flash.c
struct regions;    // lower/regions.h
struct roll;       // lower/move.c
struct assign;     // lower/assign.c
struct move_run;   // lower/moves.c

struct lower_params {
    enum precision precision; // AUTO is fp16
    int sm;                   // of the device, 90 for compute capability 9.0; decides which of our kernels can be used
    bool join;                // join results in place (on sm_80 and later, where cuDNN has engines for it)
    // For FP8. ranges: the measured ranges of values. no_fp8: by value id, the results whose
    // convolutions stay fp16; an executor sets those for which cuDNN has no engine. Both
    // borrowed; NULL: none.
    const struct ranges *ranges;
    bool *no_fp8;
};

struct lowered {
    const struct graph *graph;
    const struct ranges *ranges;
    bool *no_fp8;
    int n_f8, n_f8_middle,
        n_f8_refused;  // convolutions: in e4m3; those between the first and the last; those that cuDNN refused
    enum gpu_elem low; // the program's float type
    bool allow_tf32;
    int sm;            // of the device
    bool own_matmul;   // no products by cuDNN
    struct info *info; // by value id
    int n_info;
    struct step *steps;
    int n_steps, cap_steps;
    int main_begin, main_end;
    struct buf *bufs;
    int n_bufs, cap_bufs;
    void **owned; // memory of constants and calls
    int n_owned, cap_owned;
    int n_host_steps;
    int n_waits;                                 // how often they wait for the device, in a run
    size_t most_rows_bytes;                      // largest of a STEP_ROWS; 0: there are none
    size_t arena_bytes, const_bytes, host_bytes; // arena.c
    struct ref *in_staging, *out_staging;        // PLAIN forms of the graph's inputs and outputs, for the host
};

// Lowers a graph, which must outlive the result. Errors: UNSUPPORTED (names the node), NOMEM.
enum reel_err gpu_lowered_create(const struct graph *graph, const struct lower_params *params,
                                 struct lowered **out_lowered);
// Accepts &NULL, writes NULL.
void gpu_lowered_destroy(struct lowered **lowered);
// A line for the dump and for log messages.
const char *gpu_step_text(const struct lowered *p, const struct step *s, char *buf, size_t buf_bytes);

// The value whose IMAGE or PLAIN form a caller with device memory writes for input i: the
// input itself, or its transpose if all that the graph does with it is to transpose it from
// N,H,W,C.
const struct value *gpu_input_value(const struct lowered *p, int i);

// Places all buffers (arena.c). Errors: NOMEM, LIMIT.
enum reel_err gpu_arena_place(struct lowered *p);

// ---- for lower/*.c ----------------------------------------------------------------

static inline struct info *info_of(const struct lowered *p, const struct value *v)
{
    return &p->info[v->id];
}

// Whether the value may be an IMAGE.
static inline bool has_pixels(const struct info *i)
{
    return i->image || i->volume;
}

static inline bool node_is(const struct node *node, const char *op_type)
{
    return !strcmp(node->op_type, op_type);
}

// Where a value's elements lie: element (i0,i1,...) is the sum of i_d * stride[d] from `at`.
struct view {
    struct ref at;
    enum gpu_elem elem;
    int64_t stride[REEL_MAX_DIMS];
};

// Zeroed memory that lives as long as the program; NULL: out of memory.
void *gpu_lower_alloc(struct lowered *p, size_t bytes);
// Reports it; returns NOMEM. node may be NULL.
enum reel_err gpu_no_memory(const struct node *node);
// The element type on the device for a declared type. Types that are only moved are treated
// by their size (16-bit integers as the bits of F16); *out_exact: arithmetic may read it.
enum gpu_elem gpu_elem_of(enum reel_dtype dtype, bool *out_exact);
// The element type of a value in a form.
enum gpu_elem gpu_form_elem(const struct lowered *p, const struct info *i, enum form_kind kind);
bool gpu_has_form(const struct info *i, enum form_kind kind);
// Whether it exists in any of the device's forms.
bool gpu_on_device(const struct lowered *p, const struct info *i);
// Whether it exists as a PART but not as an IMAGE. For readers that take a pitch.
bool gpu_is_part(const struct info *i);
// Plans which values become parts.
void gpu_plan_parts(struct lowered *p);
// Checks that GPUs of this compute capability multiply e4m3 numbers. Errors: UNSUPPORTED,
// with a text that names those which do.
enum reel_err gpu_fp8_check(const char *gpu, int cc_major, int cc_minor);
// Plans which convolutions multiply e4m3 numbers, and sets info->f8 of their results.
enum reel_err gpu_fp8_plan(struct lowered *p);
// v in e4m3, converted from its image unless a convolution has written it so.
enum reel_err gpu_fp8_need(struct lowered *p, const struct value *v, struct ref *out_ref);
// A convolution of e4m3 numbers; w (K,C,R,S), borrowed.
struct f8_conv {
    const struct node *node;
    const float *w;
    int k, c, taps;
};
// Makes its weights in e4m3 as (K,R,S,C), and puts the scales before its chain and, if its
// result is e4m3 too, after it. whole: no step of the epilogue is left over.
enum reel_err gpu_fp8_layer(struct lowered *p, const struct f8_conv *conv, bool whole, struct gpu_chain *chain,
                            struct ref *operand, struct ref *out_w, bool *out_y_f8);
// v's place in its joined tensor, which the step added next must write.
enum reel_err gpu_make_part(struct lowered *p, const struct value *v, struct ref *out_ref);

// Adds a buffer, in use from the next step on. Returns its number, -1: out of memory. init
// is borrowed.
int gpu_add_buf(struct lowered *p, enum buf_kind kind, size_t bytes, const void *init);
// Adds a step with all references set to REF_NONE; NULL: out of memory. Valid until the next
// step is added.
struct step *gpu_add_step(struct lowered *p, enum step_kind kind, const struct node *node, const char *label);
// The same in two parts: a step to be filled in before its buffers exist, and adding it.
struct step gpu_step_of(enum step_kind kind, const char *label);
enum reel_err gpu_put_step(struct lowered *p, const struct step *made, const struct node *node);
// Marks every buffer that the last step refers to as used by it; and one buffer by one step.
void gpu_touch_last(struct lowered *p);
void gpu_touch(struct lowered *p, struct ref r, int step);

// The value in that form, converted if needed. Errors: NOMEM, UNSUPPORTED, FAULT.
enum reel_err gpu_need_form(struct lowered *p, const struct value *v, enum form_kind kind, struct ref *out_ref);
// A new buffer for v in that form, which the step added next must write.
enum reel_err gpu_make_form(struct lowered *p, const struct value *v, enum form_kind kind, struct ref *out_ref);
enum reel_err gpu_make_temporary(struct lowered *p, size_t bytes, struct ref *out_ref);
// Constant bytes on the device; copied.
enum reel_err gpu_make_constant(struct lowered *p, const void *bytes, size_t count, struct ref *out_ref);
// n floats as constants of an element type, followed by zeros up to `whole` elements.
enum reel_err gpu_make_constant_floats(struct lowered *p, const float *values, int64_t n, int64_t whole,
                                       enum gpu_elem elem, struct ref *out_ref);
// The form in which the value exists on the device; if there are several the first of IMAGE,
// LOW, PLAIN. PLAIN if it exists only on the host.
enum form_kind gpu_best_form(const struct lowered *p, const struct info *i);
// The form in which a caller with device memory finds a graph's output. The output of a
// state has the form of the state's input.
enum form_kind gpu_output_form(const struct lowered *p, const struct info *i);
// The value in its best form (constants: PLAIN), or in a given one.
enum reel_err gpu_need_view(struct lowered *p, const struct value *v, struct view *out_view);
enum reel_err gpu_need_view_in(struct lowered *p, const struct value *v, enum form_kind kind, struct view *out_view);
// The value in row-major order: LOW if it exists only in the program's float type, else
// PLAIN. *out_kind: which of them.
enum reel_err gpu_need_rows(struct lowered *p, const struct value *v, enum form_kind *out_kind, struct ref *out_ref);
// Bytes of the value in a form, and the strides of its dimensions in elements.
size_t gpu_form_bytes(const struct lowered *p, const struct info *i, enum form_kind kind);
void gpu_form_strides(const struct info *i, enum form_kind kind, int64_t *stride);
// Whether an image is so large that row-major fp16 is precise enough for any use. Small ones
// (as in box decoding) keep float32, unless they lead to products and pictures again
// (lower/moves.c): gpu_is_feature().
bool gpu_is_large(const struct info *i);
bool gpu_is_feature(const struct lowered *p, const struct value *v);
// Whether the value exists only on the host, and is so small that moving it or going over it
// once is cheaper there.
bool gpu_only_on_host(const struct lowered *p, const struct value *v);
// The form of a new result: IMAGE if `beside` is IMAGE, LOW if it is LOW, else PLAIN.
enum form_kind gpu_result_form(const struct lowered *p, const struct info *out, enum form_kind beside);
enum reel_err gpu_make_view(struct lowered *p, const struct value *v, enum form_kind kind, struct view *out_view);
// A value as a picture by strides: an image, or row-major with 4 dimensions (3: one line).
struct gpu_plane_view gpu_view_planes(const struct info *i, const struct view *v);
// Records that v exists at r in that form.
void gpu_set_form(struct lowered *p, const struct value *v, enum form_kind kind, struct ref r);

// The numbers of a constant float32 (or narrower) tensor; NULL: v is not one, or out of
// memory. Live as long as the program.
const float *gpu_const_floats(struct lowered *p, const struct value *v);
// The integers of a constant; NULL: v is not a constant of integers.
const int64_t *gpu_const_ints(struct lowered *p, const struct value *v, int *out_n);
bool gpu_const_scalar(struct lowered *p, const struct value *v, float *out);
int64_t gpu_attr_at(const struct node *node, const char *name, int i, int64_t absent);

// A copying step (gpu_copy) over logical dimensions. Strides and bases of src and dst are in
// elements. pad_to > 0: along dimension pad_dim, zeros follow up to that index.
struct move {
    int n;
    int64_t extent[REEL_MAX_DIMS];
    int64_t src[REEL_MAX_DIMS], dst[REEL_MAX_DIMS];
    const int32_t *table[REEL_MAX_DIMS];
    int64_t src_base, dst_base;
    float fill;
    int pad_dim;
    int64_t pad_to;
};
#define MOVE_NONE ((struct move){.pad_dim = -1})
enum reel_err gpu_emit_move(struct lowered *p, const struct node *node, const char *label, struct move *m,
                            struct ref src, enum gpu_elem from, struct ref dst, enum gpu_elem to);
// Sets pad_dim and pad_to if the value has padding lanes in that form.
void gpu_move_pads(const struct lowered *p, const struct info *i, enum form_kind kind, struct move *m, int channel_dim);

// A product y (batches,m,k) = alpha x (batches,m,c) w (batches,c,k) in the program's float
// type, with y dense. Strides between matrices (0: the same one for all) and within them are
// in elements; all 0: dense. Computed by cuDNN if rows are whole vectors, otherwise by our
// kernel.
struct gpu_product {
    const struct node *node;
    int batches, m, c, k;
    struct ref x, w, y;
    int64_t x_batch, x_row, x_col, w_batch, w_row, w_col;
    float alpha; // 0: 1
    bool flat;   // the rows of a single matrix may be images
};
enum reel_err gpu_emit_product(struct lowered *p, const struct gpu_product *product);
// Whether a product (batches,m,c) x (c,k) has rows that cuDNN's engines can load.
bool gpu_product_is_whole(const struct lowered *p, int batches, int64_t m, int64_t c, int64_t k);

// ---- lowering: *out_done is true if the node has become steps -----------------------

// Plans which ScatterNDs assign to slices. Call before the others.
enum reel_err gpu_plan_assign(struct lowered *p);
// Plans which joined slices become one copy. Call before gpu_plan_flash().
void gpu_plan_rolls(struct lowered *p);
// Plans which nodes become one kernel of attention.
enum reel_err gpu_plan_flash(struct lowered *p);
// Plans which moves in a row become one copy. Call after the others.
enum reel_err gpu_plan_moves(struct lowered *p);

// Finds which nodes follow results whose size depends on data: they are lowered after all others.
enum reel_err gpu_plan_order(struct lowered *p);
bool gpu_is_late(const struct lowered *p, const struct node *node);
// Whether the node reads or makes a tensor whose size depends on data.
bool gpu_follows_data(const struct lowered *p, const struct node *node);
// Lets the device find what is set in a large mask that a NonZero reads on the host (lower/found.c).
enum reel_err gpu_find(struct lowered *p, const struct node *node);
// What the NonZero, or the GatherND, makes of it: *out, owned by the caller.
enum reel_err gpu_give_found(const struct lowered *p, const struct node *node, const int32_t *found, const void *values,
                             struct reel_tensor *out);
// Between the two: brings what the later ones read on the host, all at once.
enum reel_err gpu_begin_tail(struct lowered *p);

typedef enum reel_err lower_fn(struct lowered *p, const struct node *node, bool *out_done);
lower_fn gpu_lower_conv, gpu_lower_deconv, gpu_lower_matmul, gpu_lower_pool, gpu_lower_resize, gpu_lower_reduce,
    gpu_lower_norm, gpu_lower_elementwise, gpu_lower_integer, gpu_lower_quantize, gpu_lower_view, gpu_lower_join,
    gpu_lower_move, gpu_lower_gather, gpu_lower_select, gpu_lower_sample, gpu_lower_deform, gpu_lower_flash,
    gpu_lower_roll, gpu_lower_moves, gpu_lower_attention, gpu_lower_einsum, gpu_lower_rnn, gpu_lower_fourier,
    gpu_lower_rare, gpu_lower_volume, gpu_lower_bytes, gpu_lower_mean, gpu_lower_assign;
// Lowers any node to a call of its operator's reference implementation on the host.
enum reel_err gpu_lower_host(struct lowered *p, const struct node *node);
// Adds the steps that exchange rows with the neighbours for each result of a lowered node.
enum reel_err gpu_lower_halo(struct lowered *p, const struct node *node);
// Lowers a RoiAlign or Cast of whose result the host needs only the extents.
enum reel_err gpu_lower_extents(struct lowered *p, const struct node *node);
// Lowers any node by the first of the lower_fns that does it, or else to a call on the host.
enum reel_err gpu_compile_node(struct lowered *p, const struct node *node);
// The address of a place in host memory.
typedef void *gpu_host_fn(void *exec, struct ref r);
// Runs a STEP_HOST.
enum reel_err gpu_run_host_call(struct lowered *p, const struct step *s, gpu_host_fn *host_at, void *exec);

// ---- what is done to each region of a picture (lower/regions.h)

// Finds such stages. Call after gpu_plan_order().
enum reel_err gpu_plan_regions(struct lowered *p);
// *out_done: the node belongs to one; its first node becomes the steps of a piece.
enum reel_err gpu_lower_regions(struct lowered *p, const struct node *node, bool *out_done);
// Sets whether v is a picture, and its extents as one, from its type and shape.
void gpu_set_pixels(const struct lowered *p, struct info *i);
// The step that RoiAlign's node becomes, but for its buffers and pictures; false: the host does it.
bool gpu_roi_align_step(const struct lowered *p, const struct node *node, struct step *out_step);
// Runs a STEP_REGIONS: makes the results and finds how many pieces there are; puts a piece's
// rows into host memory; takes its results from there. The steps [begin, end) are run between
// the last two, and must be complete before the last.
enum reel_err gpu_regions_begin(struct lowered *p, const struct step *s, gpu_host_fn *host_at, void *exec,
                                int *out_pieces);
void gpu_regions_fill(struct lowered *p, const struct step *s, int piece, gpu_host_fn *host_at, void *exec);
void gpu_regions_take(struct lowered *p, const struct step *s, int piece, gpu_host_fn *host_at, void *exec);
int gpu_regions_end(const struct step *s);
// The steps of its pieces have other numbers; moved: by old number.
void gpu_regions_moved(const struct step *s, const int *moved);

// Joins small copies to the host into one for each of the device's stretches (lower/copies.c).
// Call when all steps are there. Errors: NOMEM.
enum reel_err gpu_join_copies(struct lowered *p);

// Whether the node's result may be deferred with this factor: its only reader is an addition,
// subtraction or product with a tensor of equal shape. gpu_defer() then records that instead
// of adding a step.
bool gpu_deferrable(const struct lowered *p, const struct node *node, int factor);
void gpu_defer(struct lowered *p, const struct node *node, int factor, int kind);

// ---- pointwise chains (lower/elementwise.c)

// A chain on `main` whose operands have not yet been brought into a form.
struct pointwise {
    const struct value *main;
    const struct value *operand[GPU_OPERANDS];
    int along[GPU_OPERANDS]; // 0: broadcast by the rules; otherwise a row of numbers along axis along - 1
    struct gpu_chain chain;
};
// Append a step; false: there is no room. A scalar constant becomes a number in the step.
bool gpu_pointwise_step(struct pointwise *plan, enum gpu_op op, float alpha, float beta);
bool gpu_pointwise_operand(struct lowered *p, struct pointwise *plan, enum gpu_op op, const struct value *other);
// Adds the step that computes `to` from the chain's main operand, in the form that suits its
// readers: an image beside images, and where other types become pictures.
enum reel_err gpu_pointwise_emit(struct lowered *p, const struct node *node, const char *label,
                                 const struct pointwise *plan, const struct value *to);
// Applies the chain to v, which has been computed; v is then the result, in a new buffer.
enum reel_err gpu_pointwise_onto(struct lowered *p, const struct node *node, const char *label,
                                 const struct pointwise *plan, const struct value *v);

// ---- epilogues (lower/elementwise.c) -------------------------------------------------

// Turns as much as possible of the node's epilogue into a chain that follows an image with
// out's extents in its IMAGE form (with `columns`: rows of channels). *out_left: the first
// step left over. `bias` (may be NULL) comes first, after a leading residual. Adds steps for
// the operands' forms, so call it before adding the node's step.
enum reel_err gpu_build_chain(struct lowered *p, const struct node *node, const struct info *out, bool columns,
                              const float *bias, struct gpu_chain *chain, struct ref *operand, int *out_left);
// Appends the chain as steps of cuDNN's pattern; false if the pattern lacks one of them.
bool gpu_pattern_chain(struct gpu_pattern *g, const struct gpu_chain *chain);
// Adds node->epilogue[from..] as elementwise steps.
enum reel_err gpu_finish_epilogue(struct lowered *p, const struct node *node, int from);

#endif

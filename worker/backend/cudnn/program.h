// SPDX-License-Identifier: MIT
//
// Lowering a graph to the GPU executor's steps (steps.h). program.c drives it,
// forms.c knows how values lie in memory; lower/*.c turn nodes into steps.
//
// A value may lie in several forms at once. A node asks for the one it wants
// with gpu_need_form(), which adds the change of form when it is not there yet:
//   PLAIN  row-major on the device, of the declared element type
//   LOW    row-major on the device, of the program's float type (fp16); where
//          that is float32, LOW is PLAIN
//   IMAGE  NHWC on the device (volumes: NDHWC), of the program's float type, channels
//          padded to 16 bytes (from 8 channels on, and where a convolution reads it)
//   HOST   row-major in host memory, for host steps
//
// The steps are in three ranges: before `main_begin` the host's inputs become
// what the network reads, from `main_end` on its results become what the host
// expects. A caller with device memory runs the middle alone.
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
    FORM_PART, // as IMAGE, but between the channels of others, in a joined tensor (lower/parts.c)
    FORM_F8,   // as IMAGE, in e4m3 with the value's scale, for convolutions alone (lower/fp8.c)
    FORM_HOST,
    FORMS,
};

enum deferral {
    DEFER_DCR, // DepthToSpace, by its mode
    DEFER_CRD,
    DEFER_NEAREST, // Resize
};

// A result that is not made: its one reader, a pointwise node, reads it through
// strides from what it would have been made of. Extents H and W of the result are
// split into (H / factor, factor, W / factor, factor).
struct deferred {
    const struct value *from; // NULL: made as usual
    int factor;
    int kind; // enum deferral
};

// Where a value stands in a joined tensor: channels at.. of root's image.
struct part {
    const struct value *root; // NULL: on its own
    int at;
    int pitch; // of the joined tensor, once the value is there
};

struct info {
    const struct value *v;
    enum reel_dtype dtype; // declared
    struct reel_shape shape;
    int64_t count;         // -1: depends on data (then it lives in `dynamic` on the host)
    bool image;            // float32 with 3 or 4 dimensions: may be an IMAGE
    bool volume;           // with 5: may be one too, of all its planes' rows
    int n, c, h, w, pitch; // of both; (N,C,L) counts as (N,C,1,L), (N,C,D,H,W) as (N,C,D*H,W)
    struct ref form[FORMS];
    struct deferred deferred;
    struct part part;              // planned
    struct ref joined;             // of a part's root: the tensor, from the first part on
    int uses;                      // reads by nodes and as a graph output
    const struct flash_core *core; // of the last product of an attention in one kernel: all of it
    const struct roll *roll;       // of slices joined again: the copy that they are
    const struct move_run *run;    // of the last of moves in a row: all of them
    bool not_made;                 // a part of one, or read through: its node makes no step
    bool read_through, read;       // while that is planned: by strides in another value's memory; in its own
    bool f8;                       // made by a convolution of e4m3 numbers
    bool f8_only;                  // and read by such convolutions alone
    int f8_exponent;               // as an input of one: it stands for code * 2^f8_exponent
    struct reel_tensor dynamic;    // at run time, when count is -1
};

struct flash_core; // lower/flash.c
struct roll;       // lower/move.c
struct move_run;   // lower/moves.c

struct lower_params {
    enum precision precision; // AUTO is fp16
    int sm;                   // of the device, 90 for compute capability 9.0: which own kernels there are
    bool join;                // results are joined in place (of sm_80 and later, where cuDNN has engines for it)
    // FP8: what values measured, NULL: nothing is known; and by value id the results
    // whose convolutions stay fp16, which an executor writes that has no engine for
    // one. Both borrowed, NULL: none.
    const struct ranges *ranges;
    bool *no_fp8;
};

struct lowered {
    const struct graph *graph;
    const struct ranges *ranges;
    bool *no_fp8;
    int n_f8, n_f8_middle, n_f8_refused; // convolutions: of e4m3; between the first and the last; refused by cuDNN
    enum gpu_elem low;                   // the program's float type
    bool allow_tf32;
    int sm;            // of the device
    bool own_matmul;   // no cuDNN products
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
    size_t most_rows_bytes;                      // of a STEP_ROWS; 0: there is none
    size_t arena_bytes, const_bytes, host_bytes; // arena.c
    struct ref *in_staging, *out_staging;        // PLAIN forms of the graph's inputs and outputs, for the host
};

// Lowers. Errors: UNSUPPORTED (node named), NOMEM.
enum reel_err gpu_lowered_create(const struct graph *graph, const struct lower_params *params,
                                 struct lowered **out_lowered);
// Accepts &NULL, writes NULL.
void gpu_lowered_destroy(struct lowered **lowered);
// A line for the dump and for log messages.
const char *gpu_step_text(const struct lowered *p, const struct step *s, char *buf, size_t buf_bytes);

// The value whose IMAGE or PLAIN form a caller with device memory writes for
// input i: the input, or its transpose where every reader takes it apart from
// N,H,W,C at once.
const struct value *gpu_input_value(const struct lowered *p, int i);

// Places all buffers (arena.c); NOMEM, LIMIT.
enum reel_err gpu_arena_place(struct lowered *p);

// ---- for lower/*.c ----------------------------------------------------------------

static inline struct info *info_of(const struct lowered *p, const struct value *v)
{
    return &p->info[v->id];
}

// Whether it may lie as an IMAGE.
static inline bool has_pixels(const struct info *i)
{
    return i->image || i->volume;
}

static inline bool node_is(const struct node *node, const char *op_type)
{
    return !strcmp(node->op_type, op_type);
}

// How a value's elements lie: offset of element (i0,i1,...) of its shape.
struct view {
    struct ref at;
    enum gpu_elem elem;
    int64_t stride[REEL_MAX_DIMS];
};

// Zeroed memory that lives as long as the program; NULL when there is none.
void *gpu_lower_alloc(struct lowered *p, size_t bytes);
enum reel_err gpu_no_memory(const struct node *node);
// The element type of a declared type on the device, by size where it only moves
// (16-bit integers as F16 bits...); exact tells whether arithmetic may read it.
enum gpu_elem gpu_elem_of(enum reel_dtype dtype, bool *out_exact);
// The element type of a value in a form.
enum gpu_elem gpu_form_elem(const struct lowered *p, const struct info *i, enum form_kind kind);
bool gpu_has_form(const struct info *i, enum form_kind kind);
// Whether it has been made in any of the device's forms.
bool gpu_on_device(const struct lowered *p, const struct info *i);
// Whether it is there as a PART and not as an IMAGE: for who reads with a pitch.
bool gpu_is_part(const struct info *i);
// Plans which values become parts.
void gpu_plan_parts(struct lowered *p);
// Whether GPUs of this compute capability multiply e4m3 numbers: UNSUPPORTED, with
// what does.
enum reel_err gpu_fp8_check(const char *gpu, int cc_major, int cc_minor);
// Plans which convolutions multiply e4m3 numbers: those whose info->f8 is set.
enum reel_err gpu_fp8_plan(struct lowered *p);
// v in e4m3, made from its image where no convolution has made it so.
enum reel_err gpu_fp8_need(struct lowered *p, const struct value *v, struct ref *out_ref);
// Such a convolution; w (K,C,R,S).
struct f8_conv {
    const struct node *node;
    const float *w;
    int k, c, taps;
};
// Its weights in e4m3 as (K,R,S,C), and the scales in front of its chain and, where
// its result is e4m3 too, behind. whole: no step of the epilogue is left over.
enum reel_err gpu_fp8_layer(struct lowered *p, const struct f8_conv *conv, bool whole, struct gpu_chain *chain,
                            struct ref *operand, struct ref *out_w, bool *out_y_f8);
// v's place in its joined tensor, to be written by the step added next.
enum reel_err gpu_make_part(struct lowered *p, const struct value *v, struct ref *out_ref);

// A new buffer of that kind, in use from the next step on; its number, -1: no memory. init
// is borrowed.
int gpu_add_buf(struct lowered *p, enum buf_kind kind, size_t bytes, const void *init);
// A step with all references set to nowhere; NULL when out of memory.
struct step *gpu_add_step(struct lowered *p, enum step_kind kind, const struct node *node, const char *label);
// The same by value, to be filled in before its buffers are made; and added.
struct step gpu_step_of(enum step_kind kind, const char *label);
enum reel_err gpu_put_step(struct lowered *p, const struct step *made, const struct node *node);
// Marks every buffer that the last step refers to as used there.
void gpu_touch_last(struct lowered *p);
void gpu_touch(struct lowered *p, struct ref r, int step);

// The value in that form. Errors: NOMEM, UNSUPPORTED.
enum reel_err gpu_need_form(struct lowered *p, const struct value *v, enum form_kind kind, struct ref *out_ref);
// A new buffer for v in that form, to be written by the step added next.
enum reel_err gpu_make_form(struct lowered *p, const struct value *v, enum form_kind kind, struct ref *out_ref);
enum reel_err gpu_make_temporary(struct lowered *p, size_t bytes, struct ref *out_ref);
// Constant bytes on the device; copied.
enum reel_err gpu_make_constant(struct lowered *p, const void *bytes, size_t count, struct ref *out_ref);
// floats as constants of an element type; n of them, then zeros up to `whole`.
enum reel_err gpu_make_constant_floats(struct lowered *p, const float *values, int64_t n, int64_t whole,
                                       enum gpu_elem elem, struct ref *out_ref);
// The form that v is in on the device by preference IMAGE, LOW, PLAIN; for what
// is only on the host, PLAIN.
enum form_kind gpu_best_form(const struct lowered *p, const struct info *i);
// Where a caller with device memory finds a graph's output: a state in the form of
// its input.
enum form_kind gpu_output_form(const struct lowered *p, const struct info *i);
// The value in its best form (constants: PLAIN).
enum reel_err gpu_need_view(struct lowered *p, const struct value *v, struct view *out_view);
// In that form.
enum reel_err gpu_need_view_in(struct lowered *p, const struct value *v, enum form_kind kind, struct view *out_view);
// The value in rows: LOW where it is only there in the program's float type, else
// PLAIN; in *out_kind which.
enum reel_err gpu_need_rows(struct lowered *p, const struct value *v, enum form_kind *out_kind, struct ref *out_ref);
// Bytes of the value in a form, and the strides of its dimensions in elements.
size_t gpu_form_bytes(const struct lowered *p, const struct info *i, enum form_kind kind);
void gpu_form_strides(const struct info *i, enum form_kind kind, int64_t *stride);
// Whether an image is so large that row-major fp16 is enough, whatever it is for; small
// ones (box decoding) are worth float32's digits, unless they lead to products and
// pictures again (lower/moves.c).
bool gpu_is_large(const struct info *i);
bool gpu_is_feature(const struct lowered *p, const struct value *v);
// Whether it was made on the host, is nowhere else, and is so small that what only moves it, or goes over it once, is
// cheaper there.
bool gpu_only_on_host(const struct lowered *p, const struct value *v);
// Where a new result goes: IMAGE beside an IMAGE, LOW beside LOW, else PLAIN.
enum form_kind gpu_result_form(const struct lowered *p, const struct info *out, enum form_kind beside);
enum reel_err gpu_make_view(struct lowered *p, const struct value *v, enum form_kind kind, struct view *out_view);
// A value's picture by strides: an image, or rows of 4 dimensions (3: one line).
struct gpu_plane_view gpu_view_planes(const struct info *i, const struct view *v);
// v lies where r does.
void gpu_set_form(struct lowered *p, const struct value *v, enum form_kind kind, struct ref r);

// A constant float32 (or narrower) tensor's floats; NULL when v is none or no memory.
const float *gpu_const_floats(struct lowered *p, const struct value *v);
// Integers of a constant; NULL when v is none.
const int64_t *gpu_const_ints(struct lowered *p, const struct value *v, int *out_n);
bool gpu_const_scalar(struct lowered *p, const struct value *v, float *out);
int64_t gpu_attr_at(const struct node *node, const char *name, int i, int64_t absent);

// A moving step (gpu_copy) over logical dimensions; src and dst strides and
// bases in elements. pad_to > 0: along dimension pad_dim zeros follow up to that.
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
// Sets pad_dim and pad_to when v in that form has padding lanes.
void gpu_move_pads(const struct lowered *p, const struct info *i, enum form_kind kind, struct move *m, int channel_dim);

// A product y (batches,m,k) = alpha x (batches,m,c) w (batches,c,k) in the program's
// float type, y dense; strides in elements between matrices (0 repeats) and within,
// all 0: dense. By cuDNN where rows are whole vectors, else by the own kernel.
struct gpu_product {
    const struct node *node;
    int batches, m, c, k;
    struct ref x, w, y;
    int64_t x_batch, x_row, x_col, w_batch, w_row, w_col;
    float alpha; // 0: 1
    bool flat;   // rows of the one matrix may be images
};
enum reel_err gpu_emit_product(struct lowered *p, const struct gpu_product *product);
// Whether a product (batches,m,c) x (c,k) has rows that cuDNN's engines load.
bool gpu_product_is_whole(const struct lowered *p, int batches, int64_t m, int64_t c, int64_t k);

// ---- lowering: true in *out_done when the node has become steps ---------------------

// Plans which joined slices are one copy; before the next.
void gpu_plan_rolls(struct lowered *p);
// Plans which nodes become one kernel of attention.
enum reel_err gpu_plan_flash(struct lowered *p);
// Plans which moves in a row are one copy; behind the others.
enum reel_err gpu_plan_moves(struct lowered *p);

typedef enum reel_err lower_fn(struct lowered *p, const struct node *node, bool *out_done);
lower_fn gpu_lower_conv, gpu_lower_deconv, gpu_lower_matmul, gpu_lower_pool, gpu_lower_resize, gpu_lower_reduce,
    gpu_lower_norm, gpu_lower_elementwise, gpu_lower_integer, gpu_lower_quantize, gpu_lower_view, gpu_lower_join,
    gpu_lower_move, gpu_lower_gather, gpu_lower_select, gpu_lower_sample, gpu_lower_deform, gpu_lower_flash,
    gpu_lower_roll, gpu_lower_moves, gpu_lower_attention, gpu_lower_einsum, gpu_lower_rnn, gpu_lower_fourier,
    gpu_lower_rare, gpu_lower_volume, gpu_lower_bytes, gpu_lower_mean;
// The operator's reference implementation on the host; takes every node.
enum reel_err gpu_lower_host(struct lowered *p, const struct node *node);
// What the neighbours' rows are in each result of a node that has been lowered.
enum reel_err gpu_lower_halo(struct lowered *p, const struct node *node);
// Runs a STEP_HOST; host_at gives the address of a place in host memory.
enum reel_err gpu_run_host_call(struct lowered *p, const struct step *s, void *(*host_at)(void *exec, struct ref r),
                                void *exec);

// Whether the result of node may be deferred with this factor: its only reader
// is an addition, subtraction or product with a tensor of equal shape.
// gpu_defer() then says so in place of a step.
bool gpu_deferrable(const struct lowered *p, const struct node *node, int factor);
void gpu_defer(struct lowered *p, const struct node *node, int factor, int kind);

// ---- pointwise chains (lower/elementwise.c)

// A chain on `main`, operands not yet made ready.
struct pointwise {
    const struct value *main;
    const struct value *operand[GPU_OPERANDS];
    int along[GPU_OPERANDS]; // 0: seen by the rules of broadcasting; else a row of numbers along that axis, less 1
    struct gpu_chain chain;
};
// Append a step; false when there is no room. A scalar constant becomes a number in it.
bool gpu_pointwise_step(struct pointwise *plan, enum gpu_op op, float alpha, float beta);
bool gpu_pointwise_operand(struct lowered *p, struct pointwise *plan, enum gpu_op op, const struct value *other);
// The chain from its main operand to `to`, which comes to lie where its readers want
// it: as an image beside images, and where other types become pictures.
enum reel_err gpu_pointwise_emit(struct lowered *p, const struct node *node, const char *label,
                                 const struct pointwise *plan, const struct value *to);
// The chain on v, which has been made: v is what comes out, in a buffer of its own.
enum reel_err gpu_pointwise_onto(struct lowered *p, const struct node *node, const char *label,
                                 const struct pointwise *plan, const struct value *v);

// ---- epilogues (lower/elementwise.c) -------------------------------------------------

// Turns the node's epilogue into a chain behind an image of out's extents in its
// IMAGE form (or rows of channels with `columns`), as far as it goes; the first
// step left over is *out_left. `bias` (may be NULL) comes first, behind a leading
// residual. Operands are made ready: call it before adding the step.
enum reel_err gpu_build_chain(struct lowered *p, const struct node *node, const struct info *out, bool columns,
                              const float *bias, struct gpu_chain *chain, struct ref *operand, int *out_left);
// The chain again as steps of cuDNN's pattern; false when one is none of its.
bool gpu_pattern_chain(struct gpu_pattern *g, const struct gpu_chain *chain);
// node->epilogue[from..] by elementwise steps in place.
enum reel_err gpu_finish_epilogue(struct lowered *p, const struct node *node, int from);

#endif

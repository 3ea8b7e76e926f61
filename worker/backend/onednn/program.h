// SPDX-License-Identifier: MIT
//
// A compiled graph of the CPU backend: a list of steps over buffers of one
// arena. backend_onednn.c drives compiling and running; lower/*.c turn nodes
// into steps; what is here they share.
//
// A value may lie in two layouts ("forms"): plain (row-major) and blocked
// (kernels/conv_cpu.h). A node asks for the form it wants with need_form(),
// which adds the change of layout when it is not there yet. 16-bit floats are
// kept as float32 inside; the graph's inputs and outputs are converted.
#ifndef REEL_WORKER_BACKEND_ONEDNN_PROGRAM_H
#define REEL_WORKER_BACKEND_ONEDNN_PROGRAM_H

#include "kernels/blocked.h"
#include "kernels/conv8.h"
#include "kernels/conv_cpu.h"
#include "worker/backend/backend.h"
#include "worker/backend/onednn/pool.h"

// Below this many channels a plain image is not made blocked for pooling,
// normalising or means: most of each vector would be padding.
#define FEW_CHANNELS 4

enum layout {
    LAYOUT_PLAIN,
    LAYOUT_BLOCKED,
    LAYOUTS,
};

enum buf_kind {
    BUF_ARENA,  // shares the arena with buffers of other life times
    BUF_INPUT,  // a graph input of the caller's, set at each run
    BUF_OUTPUT, // a graph output: the caller's memory, or own
};

struct buf {
    enum buf_kind kind;
    size_t asked_bytes; // of what it was made for
    size_t bytes;       // in whole vectors
    int first, last;    // steps between which it is in use
    int pending;        // reads not yet compiled, of all values in it
    int io;             // number of the graph input or output
    bool padded;        // whole vectors are written: longer than the tensor
    size_t offset;      // in the arena
    char *base;
    void *own; // memory of an output buffer when the caller gives none
};

// Where a form lies. Absent: buf < 0 and no constant.
struct form {
    int buf;
    size_t offset;
    const void *constant;
};

#define FORM_NONE ((struct form){.buf = -1})

struct info {
    const struct value *v;
    enum reel_dtype dtype; // inside the program
    struct reel_shape shape;
    int64_t count;           // -1: depends on data
    bool image;              // float32 and 3 or 4 dimensions: may be blocked
    bool bytes_image;        // 8-bit and 3 or 4 dimensions: may be blocked, biased (kernels/conv8.h)
    bool volume;             // float32 and 5 dimensions, computed: may be blocked plane by plane
    struct blocked_shape bs; // of an image; (N,C,L) counts as (N,C,1,L); of a volume: its planes
    struct form form[LAYOUTS];
    int pending; // reads by nodes not yet compiled, and as a graph output
    int uses;    // all of them
    int made;    // the last step that wrote it, -1 for inputs and constants
    int step;    // that made form[step_layout] and may be extended (append), or -1
    enum layout step_layout;
    // in the blocked form: the Concat result it is a part of, and from which
    // channel on; it is written there at once
    const struct value *home;
    int home_channel;
    // float32 without a form: what this DequantizeLinear makes, not made yet
    const struct node *dequantize;
    bool absorbed;              // bytes that only an operator reads which was compiled with their maker
    struct reel_tensor dynamic; // at run time, when count is -1
};

struct program;

struct step {
    enum reel_err (*run)(struct program *p, struct step *s);
    void (*fini)(void *data);
    void *data;
    const struct node *node; // NULL for changes of layout
    const char *kernel;      // for the dump
    double mflop;
    // an elementwise or convolution step whose result may still be changed in
    // place by steps appended to its epilogue
    struct tail *tail;
};

// The epilogue of a step and where its operands lie.
struct tail {
    struct conv_epilogue e;
    struct form data[CONV_MAX_STEPS]; // set into e before each run when buf >= 0
    enum layout layout;               // of the step's result
    bool columns;                     // channels are the last axis (matrix products)
    bool no_channels;                 // the step runs over one long row
};

struct program {
    const struct graph *graph;
    const struct conv_kernels *k;
    const struct conv8_kernels *k8; // of as many lanes
    bool bf16;                      // k rounds the operands of products to bfloat16
    struct pool *pool;
    struct info *info; // by value id
    int n_info;
    struct step *steps;
    int n_steps, cap_steps;
    struct buf *bufs;
    int n_bufs, cap_bufs;
    void **owned; // memory of constants and steps' data
    int n_owned, cap_owned;
    size_t constant_bytes;
    char *arena;
    size_t arena_bytes;
    float *scratch; // threads x scratch_bytes
    size_t scratch_bytes;
    int16_t *weights16; // room for one convolution's, while compiling
    size_t weights16_bytes;
    const struct backend_exchange *exchange; // of bands; NULL without
    double *step_us;                         // fastest time of each step, when REELMILL_PROFILE asked for it
    long long runs;
};

// So few channels that vectors of the blocked form hold more zeros than data.
static inline bool few_channels(const struct info *image)
{
    return 2 * image->bs.c < image->bs.lanes;
}

static inline void *form_at(const struct program *p, const struct form *f)
{
    return f->constant ? (void *)f->constant : p->bufs[f->buf].base + f->offset;
}

static inline bool form_exists(const struct form *f)
{
    return f->constant || f->buf >= 0;
}

static inline float *thread_scratch(const struct program *p, int thread)
{
    return p->scratch + (size_t)thread * (p->scratch_bytes / sizeof(float));
}

// ---- compiling (forms.c) -----------------------------------------------------------

struct info *info_of(struct program *p, const struct value *v);
// Zeroed memory that lives as long as the program; NULL when there is none.
void *program_alloc(struct program *p, size_t bytes);
// A step with data of that size (zeroed); NULL when out of memory.
struct step *add_step(struct program *p, const struct node *node, const char *kernel,
                      enum reel_err (*run)(struct program *, struct step *), size_t data_bytes);
// Marks a form as read or written by step `step`.
void touch(struct program *p, const struct form *f, int step);
// The value in that layout; adds a step when it must be converted. Errors: NOMEM.
enum reel_err need_form(struct program *p, const struct value *v, enum layout layout, struct form *out_form);
// A new buffer for v in that layout, to be written by the step added next.
enum reel_err make_form(struct program *p, const struct value *v, enum layout layout, struct form *out_form);
// v's room is that of *src, which the step reads `uses` times, when nothing else
// needs it any more; otherwise as make_form.
enum reel_err take_form(struct program *p, const struct value *v, enum layout layout, const struct form *src, int uses,
                        struct form *out_form);
// A buffer that is no value's, for the step added next.
enum reel_err make_temporary(struct program *p, size_t bytes, struct form *out_form);
// v lies where f does (a view, or made in place).
void set_form(struct program *p, const struct value *v, enum layout layout, struct form f);
// True when nothing but `uses` reads of the node being compiled needs f's buffer.
bool form_dies(const struct program *p, const struct form *f, int uses);
// Memory each thread needs in a step.
void want_scratch(struct program *p, size_t bytes);
int next_step(const struct program *p);
// Adds a buffer in use from that step on; its number, or -1 without memory.
int add_buf(struct program *p, enum buf_kind kind, size_t bytes, int step);
// Gives the buffers their places, and allocates the arena and the scratch.
enum reel_err plan_memory(struct program *p);
enum reel_err no_memory(const struct node *node);

// ---- lowering: true in *out_done when the node has become steps ---------------------

enum reel_err lower_conv(struct program *p, const struct node *node, bool *out_done);
// Conv over volumes (lower/volume.c).
enum reel_err lower_volume(struct program *p, const struct node *node, bool *out_done);
enum reel_err lower_deconv(struct program *p, const struct node *node, bool *out_done);
enum reel_err lower_pool(struct program *p, const struct node *node, bool *out_done);
enum reel_err lower_matmul(struct program *p, const struct node *node, bool *out_done);
// Attention and MultiHeadAttention (lower/attend.c).
enum reel_err lower_attention(struct program *p, const struct node *node, bool *out_done);
enum reel_err lower_elementwise(struct program *p, const struct node *node, bool *out_done);
enum reel_err lower_image(struct program *p, const struct node *node, bool *out_done);
enum reel_err lower_rows(struct program *p, const struct node *node, bool *out_done);
enum reel_err lower_view(struct program *p, const struct node *node, bool *out_done);
// Parts of lower_image: InstanceNormalization (lower/norm.c), Concat, Split and
// channels [from, ...) of the first input as `out` (lower/channels.c), Transpose
// of plain tensors (lower/permute.c).
enum reel_err lower_norm(struct program *p, const struct node *node, bool *out_done);
enum reel_err lower_concat(struct program *p, const struct node *node, bool *out_done);
enum reel_err lower_split(struct program *p, const struct node *node, const struct info *in, bool *out_done);
enum reel_err cut_channels(struct program *p, const struct node *node, const struct value *out, int from);
enum reel_err lower_permute(struct program *p, const struct node *node, bool *out_done);
// Part of lower_elementwise (lower/broadcast.c): kind, of the result's shape, with an
// operand that is repeated along some axes.
enum reel_err lower_broadcast(struct program *p, const struct node *node, enum conv_step_kind kind,
                              const struct value *main, const struct value *other, bool *out_done);
// Quantised operators (lower/quant.c).
enum reel_err lower_quant(struct program *p, const struct node *node, bool *out_done);
// Exchange of the rows beyond a band's own, when the node has made its results (lower/halo.c).
enum reel_err lower_halo(struct program *p, const struct node *node);
// The operator's reference implementation; takes every node.
enum reel_err lower_reference(struct program *p, const struct node *node);

// ---- geometry (lower/conv.c) -----------------------------------------------------

// Fills the geometry of a Conv over 1 or 2 axes; false when it is none the
// kernels know or a number is out of their range.
bool conv_geometry_of(const struct node *node, const struct info *in, const struct info *w, const struct info *out,
                      struct conv_geometry *g);
// The window of a pool; false when a number is out of range. *out_over tells
// whether a window reaches beyond the padding (ceil_mode).
bool pool_window(const struct node *node, const struct info *in, const struct info *out, struct conv_geometry *g,
                 bool *out_over);

// Element `axis` of an attribute of one number an axis.
int64_t axis_attr(const struct node *node, const char *name, int axis, int64_t absent);

// ---- transposed convolution as phases (lower/deconv.c) -----------------------------

struct deconv_shape {
    int k[2], s[2], d[2], pad[2]; // height, width
    int groups;
};
// One axis of a phase: its taps are from, from + step, ...; first output, number
// of outputs; padding before and dilation of the convolution that it is. No
// taps: the phase is the bias alone.
struct deconv_phase {
    int taps, from, step, first, count, pad, dilation;
};
// False for what no kernel covers.
bool deconv_shape_of(const struct node *node, const struct info *in, const struct info *w, const struct info *out,
                     struct deconv_shape *d);
struct deconv_phase deconv_phase_of(const struct deconv_shape *shape, int axis, int remainder, int out);

// ---- epilogues (tail.c, lower/elementwise.c) -----------------------------------------

// Puts the node's epilogue from *left on into tail as far as it can be done in one
// pass; the rest, if any, starts at *left then. Adds layout changes of
// operands first, so it is called before the step itself is added.
enum reel_err map_epilogue(struct program *p, const struct node *node, const struct info *out, struct tail *tail,
                           int *left);
// The step with one element a channel for that with the result's shape; CONV_SLOPE: there is none.
enum conv_step_kind conv_step_of_channel(enum conv_step_kind full);
// Adds a step with operand `other` to the tail. *out_ok stays false when the
// operand cannot be read in this layout.
enum reel_err add_operand(struct program *p, struct tail *t, const struct info *out, enum conv_step_kind kind,
                          const struct value *other, bool *out_ok);
// Steps for node->epilogue[from..]: a pass of their own, or the reference
// implementation.
enum reel_err finish_epilogue(struct program *p, const struct node *node, int from);
// The epilogue with its operands' addresses of this run.
struct conv_epilogue bind_tail(const struct program *p, const struct tail *tail);
// Marks the operands as read by a step.
void touch_tail(struct program *p, const struct tail *tail, int step);

#endif

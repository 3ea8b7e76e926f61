// SPDX-License-Identifier: MIT
//
// A task turns one input slot into one output slot: picture to network input,
// run, network output to picture or results. Implementations are task/<name>.c;
// batch.c is their only caller.
//
// A task writes between the stamp and the end of the output slot it is given,
// and nothing else; it never reads what another worker may write.
#ifndef REEL_WORKER_TASK_TASK_H
#define REEL_WORKER_TASK_TASK_H

#include "common/media.h"
#include "common/proto.h"
#include "kernels/resize.h"
#include "kernels/yuv.h"
#include "worker/engine/engine.h"
#include "worker/model/model.h"
#include "worker/view.h"

struct task_ops;
struct device_image;
struct device_states;
struct picture_set;
struct device_nms;
struct head_layout;
struct head_picked;

// Everything that is fixed for one size and format of input and output. Owned
// by the lane.
struct task {
    const struct task_ops *ops;
    const struct reel_settings *settings;
    const struct model *model;
    struct reel_media media;
    struct reel_geometry in, out;
    struct reel_colour out_colour;
    struct view view;
    int batch; // frames of one run of the network, where memory allows
    // Called behind each of a frame's runs, where they are several and may take long; or NULL.
    void (*on_step)(void *user);
    void *user;
    int n_outputs;
    struct reel_shape out_shapes[MODEL_MAX_OUTPUTS]; // of the network; -1 where data decides
    const char *output_names[MODEL_MAX_OUTPUTS];     // hold as long as the worker's engines
    float *scratch;                                  // for kernels; scratch_floats of it
    size_t scratch_floats;
    void *state;                  // the task's own
    struct picture_set *pictures; // that the network is given beside the frames; NULL: none
    struct engine_states *states; // what the network carries from frame to frame; NULL before the first, or for ever
    uint32_t next_n;              // then: frames come in order, this or a later one
    struct device_states *device_states; // likewise, of frames that go through a device
    struct device_image *device;         // its tables and buffers on a device (worker/device/device.h), NULL without
    uint64_t device_engine;              // engine_serial() of the engine they were made with
};

struct task_frame {
    const uint8_t *in; // what the geometry's plane offsets count from: a slot, or its pixels on a device
    uint8_t *out;
    uint8_t *aux; // of the output slot, in host memory
    // Of networks that see several frames at once: all of them, in order; at the ends of
    // the video the last one there again. The middle one is `in`.
    const uint8_t *seen[MODEL_MOST_SEEN];
    bool made[2];               // of two frames: it was made before, and lies as in the output
    bool fed;                   // they stand in the engine's input already: only the time is another
    float time;                 // of what is made between them, 0 to 1
    bool in_on_gpu, out_on_gpu; // only the device reaches them there
    uint32_t n;
    uint32_t after; // frames behind it that are there to be seen
    uint32_t part;  // of task->view.parts: only its rows of the output are written; results by part 0 alone
    int64_t pts;
    uint32_t aux_bytes; // written to the output's aux by the task
    int64_t run_us;     // spent inside the network
};

struct task_ops {
    const char *name;
    // Fills shaped (size, format wish, results_bytes) from settings, model,
    // media, in, view and out_shapes. Errors: UNSUPPORTED, INPUT.
    enum reel_err (*shape)(const struct task *task, struct reel_rec_shaped *shaped);
    // Called when out is known; may allocate state. Errors: NOMEM, UNSUPPORTED.
    enum reel_err (*open)(struct task *task);
    void (*close)(struct task *task);
    // One frame. engine is prepared for view's input size.
    enum reel_err (*run)(struct task *task, struct engine *engine, struct task_frame *frame);
    // What run does after the network, where that is all that happens to its
    // outputs (task_run_plain); NULL where pictures go back to pictures.
    enum reel_err (*finish)(struct task *task, struct engine *engine, struct task_frame *frame);
    // Of detectors: the outputs as cells (task/head.h), and finish from those of
    // them that a device has picked, which may help to sort out the boxes.
    enum reel_err (*layout)(const struct task *task, struct head_layout *out);
    enum reel_err (*finish_picked)(struct task *task, struct task_frame *frame, const struct head_layout *layout,
                                   const struct head_picked *picked, struct device_nms *nms);
};

extern const struct task_ops task_between, task_image, task_detect, task_classify, task_segment, task_tensor, task_sim,
    task_colorize, task_flow;

// The task of a model; sim without one.
const struct task_ops *task_find(enum reel_task id);
// What coordinator and aggregator are told of a model's task.
enum reel_task task_told(enum reel_task id);

// ---- for the implementations (task.c) -------------------------------------

// The slot's planes as the kernels see them.
struct yuv_picture task_picture(const struct reel_geometry *g, const struct reel_colour *colour, const uint8_t *slot);
// Scratch of at least n floats; NULL on out of memory.
float *task_scratch(struct task *task, size_t floats);
void task_free_scratch(struct task *task);
// Bytes that a task holds beside the engine, for the plan's sums.
uint64_t task_memory_bytes(const struct task *task, const struct reel_rec_shaped *shaped);
// Frame i of those that the network sees.
const uint8_t *task_seen(const struct task *task, const struct task_frame *frame, int i);
struct yuv_picture task_seen_picture(const struct task *task, const struct task_frame *frame, int i);
// The value of a plane beside two frames (enum model_plane) at (x, y) of the network's
// input; time: of what is made, 0 to 1.
float task_plane_at(const struct task *task, int plane, float time, int x, int y);
// Writes what stands beside two frames into the engine's inputs: the time, and other planes.
void task_feed_planes(const struct task *task, struct engine *engine, const struct task_frame *frame);
// Fills the engine's picture input from the slots by task->view (not TILES).
enum reel_err task_feed(struct task *task, struct engine *engine, const struct task_frame *frame);
// The axes of task_feed() where the picture is resized: the picture's part of
// the network's input from the source. False: out of memory.
bool task_feed_axes(const struct task *task, struct resize_axis *x, struct resize_axis *y);
// Feed, run, finish.
enum reel_err task_run_plain(struct task *task, struct engine *engine, struct task_frame *frame);
// Writes head and items into the output's aux; items that find no room are
// counted as dropped.
void task_put_results(const struct task *task, struct task_frame *frame, enum reel_task id, const void *items,
                      uint32_t count, uint32_t item_bytes);

#endif

// SPDX-License-Identifier: MIT
//
// A task turns one input slot into one output slot: it converts the picture to the network's
// input, runs the network, and converts its output to a picture or results. Implementations
// are task/<name>.c; the caller is batch.c.
//
// A task writes only to the output slot it is given, after the slot's stamp, and never reads
// anything that another worker may write.
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

// Everything that is fixed for one size and format of input and output. Owned by the lane.
struct task {
    const struct task_ops *ops;
    const struct reel_settings *settings;
    const struct model *model;
    struct reel_media media;
    struct reel_geometry in, out;
    struct reel_colour out_colour;
    struct view view;
    int batch; // frames that share a run of the network, if memory allows
    // The output takes the task's numbers in place of a picture of them (task_flow).
    bool numbers;
    // Called after each run of the network if a frame needs several, which may take long; or NULL.
    void (*on_step)(void *user);
    void *user;
    int n_outputs;
    struct reel_shape out_shapes[MODEL_MAX_OUTPUTS]; // of the network; -1 where the data decide
    const char *output_names[MODEL_MAX_OUTPUTS];     // valid as long as the worker's engines
    float *scratch;                                  // for kernels; holds scratch_floats
    size_t scratch_floats;
    void *state;                  // the task's own
    struct picture_set *pictures; // that the network takes beside the frames; NULL: none
    struct engine_states
        *states;     // what the network carries from frame to frame; NULL before the first frame and without states
    uint32_t next_n; // with states: frames come in order, the next one is this or a later one
    struct device_states *device_states; // the same for frames that go through a device
    struct device_image *device;         // its tables and buffers on a device (worker/device/device.h); NULL: none
    uint64_t device_engine;              // engine_serial() of the engine they were made with
};

struct task_frame {
    const uint8_t *in; // base of the geometry's plane offsets: a slot, or its pixels on a device
    uint8_t *out;
    uint8_t *aux; // of the output slot, in host memory
    // For networks that see several frames at once: all of them, in order. At the ends of
    // the video, the first or last frame is repeated. The middle one is `in`.
    const uint8_t *seen[MODEL_MOST_SEEN];
    bool made[2];               // of two frames: it is a picture made earlier, laid out as in the output
    bool fed;                   // they are already in the engine's input, and only the time differs
    float time;                 // of the picture made between them, 0 to 1
    bool in_on_gpu, out_on_gpu; // the pixels are on the GPU, where only the device reaches them
    uint32_t n;
    uint32_t after; // frames after it that can be seen
    uint32_t part;  // one of task->view.parts: only its output rows are written; only part 0 writes results
    int64_t pts;
    uint32_t aux_bytes; // written to the output's aux by the task
    int64_t run_us;     // spent inside the network
};

struct task_ops {
    const char *name;
    // Fills shaped (size, wanted format, results_bytes) from settings, model, media, in,
    // view and out_shapes. Errors: UNSUPPORTED, INPUT.
    enum reel_err (*shape)(const struct task *task, struct reel_rec_shaped *shaped);
    // Called once `out` is known; may allocate state. Errors: NOMEM, UNSUPPORTED.
    enum reel_err (*open)(struct task *task);
    void (*close)(struct task *task);
    // Processes one frame. The engine is prepared for the view's input size.
    enum reel_err (*run)(struct task *task, struct engine *engine, struct task_frame *frame);
    // For tasks that run with task_run_plain(): what follows the network. NULL for tasks
    // that turn pictures into pictures.
    enum reel_err (*finish)(struct task *task, struct engine *engine, struct task_frame *frame);
    // For detectors: describes the outputs as cells (task/head.h), and finishes from the
    // cells that a device has picked. nms: lets the device suppress boxes; may be NULL.
    enum reel_err (*layout)(const struct task *task, struct head_layout *out);
    enum reel_err (*finish_picked)(struct task *task, struct task_frame *frame, const struct head_layout *layout,
                                   const struct head_picked *picked, struct device_nms *nms);
};

extern const struct task_ops task_between, task_image, task_detect, task_classify, task_segment, task_tensor, task_sim,
    task_colorize, task_flow;

// The implementation of a model's task; task_sim if there is no model.
const struct task_ops *task_find(enum reel_task id);
// The task that coordinator and aggregator are told of a model, and of a task.
enum reel_task task_told(enum reel_task id);
enum reel_task task_told_of(const struct task *task);

// ---- for the implementations (task.c) -------------------------------------

// The slot's planes as the kernels take them.
struct yuv_picture task_picture(const struct reel_geometry *g, const struct reel_colour *colour, const uint8_t *slot);
// Scratch memory of at least that many floats, owned by the task; NULL: out of memory.
float *task_scratch(struct task *task, size_t floats);
void task_free_scratch(struct task *task);
// Bytes that a task holds beside the engine, for the plan of memory.
uint64_t task_memory_bytes(const struct task *task, const struct reel_rec_shaped *shaped);
// Frame i of those that the network sees, and its picture.
const uint8_t *task_seen(const struct task *task, const struct task_frame *frame, int i);
struct yuv_picture task_seen_picture(const struct task *task, const struct task_frame *frame, int i);
// The value of a plane beside two frames (enum model_plane) at (x, y) of the network's
// input. time: of the picture to be made, 0 to 1.
float task_plane_at(const struct task *task, int plane, float time, int x, int y);
// Writes what goes with two frames into the engine's inputs: the time and the other planes.
void task_feed_planes(const struct task *task, struct engine *engine, const struct task_frame *frame);
// Fills the engine's picture input from the slots as task->view says. Not for TILES.
enum reel_err task_feed(struct task *task, struct engine *engine, const struct task_frame *frame);
// The axes with which task_feed() resizes the source to the picture's part of the network's
// input; the caller frees them. False: out of memory.
bool task_feed_axes(const struct task *task, struct resize_axis *x, struct resize_axis *y);
// Feeds the frame, runs the network, and calls ops->finish.
enum reel_err task_run_plain(struct task *task, struct engine *engine, struct task_frame *frame);
// For tasks that draw in colour at the frame's size: the slot they want (of gray frames, 4:2:0),
// and whether the slot they got is one. what: "colour a picture". PROTO, UNSUPPORTED.
enum reel_err task_shape_in_colour(const struct task *task, struct reel_rec_shaped *shaped);
enum reel_err task_check_in_colour(const struct task *task, const char *what);
// Writes head and items into the output's aux. Items that do not fit are counted as dropped.
void task_put_results(const struct task *task, struct task_frame *frame, enum reel_task id, const void *items,
                      uint32_t count, uint32_t item_bytes);

#endif

// SPDX-License-Identifier: MIT
//
// Prepared networks: one net per distinct input size, kept in a small list and
// shared by all lanes, and the tensors around a run. With a backend that needs
// no model an engine only costs time. The list is in engines.c, the way from file
// to net in open.c, one engine in engine.c, its states in states.c,
// and what a device asks of it in device.c.
#ifndef REEL_WORKER_ENGINE_ENGINE_H
#define REEL_WORKER_ENGINE_ENGINE_H

#include "worker/graph/bands.h"
#include "worker/graph/field.h"
#include "worker/model/model.h"

struct engine;
struct engines;
struct engine_states; // of one lane: what its network carries from frame to frame

struct engine_params {
    const char *path; // of the model; NULL without one
    const char *backend;
    struct backend_params backend_params;
    const void *bytes; // of the file, when it was read already (borrowed until engines_close()), or NULL
    size_t n_bytes;
    const struct reel_settings *settings; // what inputs mean (borrowed until engines_close()), or NULL
    int n_pictures;
    const struct model_picture *pictures; // of io.pictures (borrowed until engines_close())
};

// An input that is the same for each frame.
struct engine_given {
    int index;                 // of the network's input
    struct reel_tensor tensor; // of its type and shape
};

// Opens the model once. Errors: as net_open().
enum reel_err engines_open(const struct engine_params *params, struct engines **out_engines);
void engines_close(struct engines **engines);
// Borrowed facts, valid as long as engines; NULL without a model.
const struct model_facts *engines_facts(const struct engines *engines);
// Output shapes for a picture of w x h.
enum reel_err engines_infer(struct engines *engines, const struct model *model, int w, int h,
                            struct reel_shape *out_shapes);
// Of pictures of io.pictures whose size nothing tells: whether the network takes each as
// large as the frames alone, or at a size of its own. w, h: as for engines_infer(). Errors:
// UNSUPPORTED: it takes one neither way.
enum reel_err engines_settle_pictures(struct engines *engines, struct model *model, int w, int h);
// net_reach().
struct field_reach engines_reach(struct engines *engines, const struct model *model, bool of_bits);
// net_bands(), and how rows are exchanged then (borrowed as long as engines).
const struct bands_need *engines_bands(struct engines *engines);
void engines_exchange_by(struct engines *engines, const struct backend_exchange *exchange);
// The engine for a network input of w x h, compiled when it is new (the one
// unused for longest goes). Holds until the next call. Of a backend without a
// model w is the number of parts that a frame is done in, and a run stands for
// one of them. Errors: as net_prepare().
// batch: images of one run (engines_batch() has agreed); 0 and 1: one.
enum reel_err engines_get(struct engines *engines, const struct model *model, int w, int h, int batch,
                          struct engine **out_engine);
// The engine for one band, w x h with its margins.
enum reel_err engines_get_band(struct engines *engines, const struct model *model, int w, int h,
                               const struct band *band, struct engine **out_engine);
// As many of `wish` images of w x h as one run may take: more than one with a
// backend of device memory, for a network with one input whose number of images
// is open, and all outputs of which have theirs along the first dimension.
int engines_batch(struct engines *engines, const struct model *model, int w, int h, int wish);
int engine_batch(const struct engine *engine);
// Lets go of all prepared engines: their memory is free. None of them has a run
// under way.
void engines_drop(struct engines *engines);
size_t engine_memory_bytes(const struct engine *engine);

// The picture input as float32, row-major in the network's layout; to be
// filled before each run.
float *engine_input(struct engine *engine);
// The input that takes the time between two frames, likewise: one number or more,
// all the same; NULL without one.
float *engine_time(struct engine *engine, int64_t *out_count);
// What the next runs are given beside it. Borrows given.
void engine_give(struct engine *engine, const struct engine_given *given, int n);
// Values (float32) as an input takes them: converted into native, rounded and kept inside
// its type, or as they are where that holds nothing.
const struct reel_tensor *engine_as_input(const struct reel_tensor *values, struct reel_tensor *native);
// Runs; adds the time to *run_us. A network with states reads and leaves them where
// engine_use_states() said last.
enum reel_err engine_run(struct engine *engine, int64_t *run_us);
// Output i of the last run as float32, its shape resolved; holds until the next
// run.
const struct reel_tensor *engine_output(const struct engine *engine, int i);
int engine_output_count(const struct engine *engine);

// States as before the first frame, for frames that go through the network at w x h,
// in `sets` tiles, each of which has its own. NULL for a network that has none.
// Errors: NOMEM, those of net_state_shapes().
enum reel_err engine_states_create(struct engines *engines, const struct model *model, int w, int h, int sets,
                                   struct engine_states **out_states);
void engine_states_destroy(struct engine_states **states);
// Whose states the next runs are of, and of which tile. Borrows.
void engine_use_states(struct engine *engine, struct engine_states *states, int set);

// ---- device memory -----------------------------------------------------------

// Whether frames can be fed and read in device memory: the backend has it, the
// picture is the only input but for states, pictures that are given and the time
// between two frames, of floats, and all output shapes are known. A state must come out in the layout in
// which it goes in.
bool engine_has_device(struct engine *engine);
// A number that no other engine of this process has had.
uint64_t engine_serial(const struct engine *engine);
unsigned engine_caps(const struct engine *engine);
enum reel_err engine_device_input(struct engine *engine, struct backend_device_tensor *out);
// The input that takes the time between two frames; false: there is none.
bool engine_device_time(struct engine *engine, struct backend_device_tensor *out);
// An input that a picture is given to.
enum reel_err engine_device_given(struct engine *engine, int index, struct backend_device_tensor *out);
enum reel_err engine_device_output(struct engine *engine, int i, struct backend_device_tensor *out);
// Of state i of the network: where it goes in, and where it comes out (or the
// picture that it is made of).
const struct state_plan *engine_plan(const struct engine *engine); // NULL: no network
enum reel_err engine_device_state(struct engine *engine, int i, struct backend_device_tensor *out_in,
                                  struct backend_device_tensor *out_from);
// That of one image of the batch.
enum reel_err engine_device_image(struct engine *engine, int i, int image, struct backend_device_tensor *out);
void *engine_stream(struct engine *engine);
enum reel_err engine_enqueue(struct engine *engine);
// Output i of one image as float32, from its bytes (host memory) in the layout of
// `like`: what engine_output() gives then. Errors: NOMEM.
enum reel_err engine_put_output(struct engine *engine, int i, const struct backend_device_tensor *like,
                                const void *bytes);

#endif

// SPDX-License-Identifier: MIT
//
// Networks ready to run: one net per distinct input size, kept in a small list that all
// lanes share, with the tensors around a run. With a backend that needs no model, an engine
// only takes time. engines.c has the list, open.c loads the file, engine.c has one engine,
// states.c its states, and device.c what is needed to use it on a device.
#ifndef REEL_WORKER_ENGINE_ENGINE_H
#define REEL_WORKER_ENGINE_ENGINE_H

#include "worker/graph/bands.h"
#include "worker/graph/field.h"
#include "worker/model/model.h"

struct engine;
struct engines;
struct engine_states; // of one lane: what the network carries from frame to frame

struct engine_params {
    const char *path; // of the model; NULL without one
    const char *backend;
    struct backend_params backend_params;
    const void *bytes; // of the file, if it was read already (borrowed by engines_open()), or NULL
    size_t n_bytes;
    const struct reel_settings *settings; // what inputs mean (borrowed until engines_close()), or NULL
    int n_pictures;
    const struct model_picture *pictures; // of io.pictures (borrowed until engines_close())
};

// An input that is the same for each frame.
struct engine_given {
    int index;                 // of the network's input
    struct reel_tensor tensor; // of the input's type and shape
};

// Opens the model once. Errors: as net_open().
enum reel_err engines_open(const struct engine_params *params, struct engines **out_engines);
void engines_close(struct engines **engines);
// Borrowed facts, valid as long as engines; NULL without a model.
const struct model_facts *engines_facts(const struct engines *engines);
// Output shapes for a picture of w x h.
enum reel_err engines_infer(struct engines *engines, const struct model *model, int w, int h,
                            struct reel_shape *out_shapes);
// For pictures in io.pictures whose size the file does not tell: finds out whether the
// network takes each at the frames' size or at a size of its own. w, h: as for
// engines_infer(). Errors: UNSUPPORTED (neither works).
enum reel_err engines_settle_pictures(struct engines *engines, struct model *model, int w, int h);
// net_reach().
struct field_reach engines_reach(struct engines *engines, const struct model *model, bool of_bits);
// net_bands(), and the functions by which rows are exchanged (borrowed for the life of
// engines).
const struct bands_need *engines_bands(struct engines *engines);
void engines_exchange_by(struct engines *engines, const struct backend_exchange *exchange);
// The engine for a network input of w x h, compiled if it is new; the least recently used
// one is dropped. Valid until the next call. batch: images per run, as agreed with
// engines_batch(); 0 and 1: one. With a backend without a model, w is the number of parts
// of a frame, and a run stands for one part. Errors: as net_prepare().
enum reel_err engines_get(struct engines *engines, const struct model *model, int w, int h, int batch,
                          struct engine **out_engine);
// The engine for one band, w x h with its margins.
enum reel_err engines_get_band(struct engines *engines, const struct model *model, int w, int h,
                               const struct band *band, struct engine **out_engine);
// How many images of w x h one run may take, at most `wish`. More than one only with a
// backend with device memory and a network with one input, whose number of images is open
// and whose outputs all have the images along the first dimension.
int engines_batch(struct engines *engines, const struct model *model, int w, int h, int wish);
int engine_batch(const struct engine *engine);
// Destroys all engines, to free their memory. None may have a run in flight.
void engines_drop(struct engines *engines);
size_t engine_memory_bytes(const struct engine *engine);

// The picture input as float32, row-major in the network's layout; the caller fills it
// before each run.
float *engine_input(struct engine *engine);
// Likewise the input that takes the time between two frames: one or more numbers, all
// equal. NULL if there is none.
float *engine_time(struct engine *engine, int64_t *out_count);
// Sets the other inputs of the following runs. Borrows given.
void engine_give(struct engine *engine, const struct engine_given *given, int n);
// Values (float32) in an input's own type: converted into `native` (rounded and clamped),
// or unchanged if native is empty.
const struct reel_tensor *engine_as_input(const struct reel_tensor *values, struct reel_tensor *native);
// Runs, and adds the time to *run_us. A network with states reads and updates those that
// engine_use_states() set last.
enum reel_err engine_run(struct engine *engine, int64_t *run_us);
// Output i of the last run as float32 with its final shape; valid until the next run.
const struct reel_tensor *engine_output(const struct engine *engine, int i);
int engine_output_count(const struct engine *engine);

// States as they are before the first frame, for frames of w x h in the network, with
// `sets` tiles that have a set each. NULL for a network without states. Errors: NOMEM,
// those of net_state_shapes().
enum reel_err engine_states_create(struct engines *engines, const struct model *model, int w, int h, int sets,
                                   struct engine_states **out_states);
void engine_states_destroy(struct engine_states **states);
// Selects the states, and the tile's set, for the following runs. Borrows.
void engine_use_states(struct engine *engine, struct engine_states *states, int set);

// ---- device memory -----------------------------------------------------------

// Whether frames can be fed and read in device memory. The backend must have it, all output
// shapes must be known, and there must be no inputs besides the picture, states, given
// pictures and the time between two frames, all of floats. A state's output must have the
// same layout as its input.
bool engine_has_device(struct engine *engine);
// A number that no other engine of this process ever has.
uint64_t engine_serial(const struct engine *engine);
unsigned engine_caps(const struct engine *engine);
enum reel_err engine_device_input(struct engine *engine, struct backend_device_tensor *out);
// The input that takes the time between two frames; false: there is none.
bool engine_device_time(struct engine *engine, struct backend_device_tensor *out);
// The input for a given picture.
enum reel_err engine_device_given(struct engine *engine, int index, struct backend_device_tensor *out);
enum reel_err engine_device_output(struct engine *engine, int i, struct backend_device_tensor *out);
// For state i: its input, and the output (or the picture) that it is taken from.
const struct state_plan *engine_plan(const struct engine *engine); // NULL: no network
enum reel_err engine_device_state(struct engine *engine, int i, struct backend_device_tensor *out_in,
                                  struct backend_device_tensor *out_from);
// The output of one image of the batch.
enum reel_err engine_device_image(struct engine *engine, int i, int image, struct backend_device_tensor *out);
void *engine_stream(struct engine *engine);
enum reel_err engine_enqueue(struct engine *engine);
// Sets output i of one image, as float32, from bytes in host memory with the layout of
// `like`; engine_output() then returns it. Errors: NOMEM.
enum reel_err engine_put_output(struct engine *engine, int i, const struct backend_device_tensor *like,
                                const void *bytes);

#endif

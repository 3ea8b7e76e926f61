// SPDX-License-Identifier: MIT
//
// What a network's inputs and outputs mean for video: layout, colour order,
// value range, sizes, task and detection head. Guessed from the file, stated by
// the settings of group io, printed in MODEL.text.
//
// Order of belief, strongest first: a setting; the file's metadata
// (Image.BitmapPixelFormat, Image.NominalPixelRange); operators at the graph's
// beginning that scale 0..255 pixels themselves; a family known by its outputs'
// names and shapes or its producer; what is usual for the task.
//
// Guessing has two steps, as the outputs' shapes are known only for a given
// input size: model_guess_input(), then shape inference at a trial size, then
// model_guess_output(). Both are pure: no net is run.
#ifndef REEL_WORKER_MODEL_MODEL_H
#define REEL_WORKER_MODEL_MODEL_H

#include "common/picture.h"
#include "common/proto.h"
#include "common/settings.h"
#include "worker/engine/net.h"
#include "worker/model/state.h"

#define MODEL_MAX_INPUTS (2 + REEL_MAX_PICTURES)
#define MODEL_MAX_OUTPUTS 32

// What stands in the channels behind those of two frames, in this order: as RIFE
// is exported for programs that give a network one input.
enum model_plane {
    MODEL_PLANE_TIME,                  // 0 at the first frame, 1 at the second
    MODEL_PLANE_SCALE,                 // of the flow, 1; where there are two planes in all
    MODEL_PLANE_X = MODEL_PLANE_SCALE, // of five: -1 to 1 from left to right
    MODEL_PLANE_Y,                     // from top to bottom
    MODEL_PLANE_STEP_X,                // of x from pixel to pixel: 2 / (w - 1)
    MODEL_PLANE_STEP_Y,                // 2 / (h - 1)
    MODEL_PLANES,
};

// How a source picture is laid on the network's input.
enum model_fit {
    MODEL_WHOLE,     // the source's own size, edge-padded to size_multiple
    MODEL_TILES,     // pieces of the network's size
    MODEL_LETTERBOX, // shrunk to fit, the rest filled
    MODEL_STRETCH,   // both axes by their own factor
    MODEL_CROP,      // the middle, shrunk to cover
};

// Families of detection outputs; MODEL_HEAD_NONE is no detector. The first ones
// are the settings' (enum set_head).
enum model_head {
    MODEL_HEAD_NONE,
    MODEL_HEAD_SSD,
    MODEL_HEAD_YUNET,
    MODEL_HEAD_YUNET_2021,
    MODEL_HEAD_YOLOX,
    MODEL_HEAD_YOLOV5,
    MODEL_HEAD_YOLOV8,
    MODEL_HEAD_RETINAFACE,
    MODEL_HEAD_FASTESTDET,
    MODEL_HEAD_DETR,
    MODEL_HEAD_RTDETR,
    MODEL_HEAD_YOLO_NAS,
    MODEL_HEAD_LISTS,
    MODEL_HEAD_NMS, // rows of finished boxes: x1 y1 x2 y2 score class (6), or with the batch number in front (7);
                    // behind the six there may be points
    MODEL_HEADS,
};

// Names as in the settings ("ssd", ...).
const char *model_head_name(enum model_head head);

// A picture that the user gives for an input (io.pictures), as it was decoded.
struct model_picture {
    const char *input, *path;
    int width, height;
};

// Of a network that makes a picture of several frames, at most.
#define MODEL_MOST_FRAMES 15
// Seen at once, at most.
#define MODEL_MOST_SEEN 64
_Static_assert(MODEL_MOST_SEEN / 2 <= REEL_MAX_ASIDE, "they are all there");

// An input that takes such a picture, the same for all frames. How its values are
// stored: as in model_input.
struct model_given {
    int index;   // of the network's input
    int picture; // of model_facts.pictures
    bool nhwc, no_batch;
    int channels; // 3, 1
    bool bgr;
    enum reel_dtype dtype;
    float gain[3], bias[3], fill[3];
    // Whether it lies where the frame lies: resized to the frame's size, then padded, cut
    // or laid out as that is. Else it has a size of its own.
    bool as_frame;
    bool sure;         // that; else engines_settle_pictures() finds out
    int width, height; // then: the input's fixed size, or the picture's, to size_multiple
};

// What is known of a network without running it. Arrays and strings are
// borrowed.
struct model_facts {
    int n_in, n_out;
    const struct net_io *in;         // [n_in]
    const struct net_io *out;        // [n_out]
    const struct graph *graph;       // or NULL
    const char *producer;            // or NULL
    const char *path;                // of the file, for messages; or NULL
    const struct state_plan *states; // NULL: none
    int border[2];                   // rows and columns of edge pixels put around a frame (net_find_border())
    int size_multiple;               // input sizes must be a multiple of this; 0 = 1
    int n_pictures;
    const struct model_picture *pictures; // [n_pictures] of io.pictures
    // Value of a metadata key or NULL; may be NULL itself.
    const char *(*meta)(const void *user, const char *key);
    const void *user;
};

struct model_input {
    int index;         // of the network's input that takes the picture
    bool nhwc;         // else NCHW
    bool no_batch;     // rank 3
    int channels;      // of a frame: 3, 1 (luma)
    bool lightness;    // of one channel: L / 100 of CIE Lab in luma's place
    int frames;        // seen at once: the frame itself is the middle one (frames / 2); 1: no others
    bool pair;         // of two: it and the next
    bool between;      // of a pair: pictures between the two are made
    int planes;        // channels behind those of the two (enum model_plane), a number each
    int time_input;    // index of the input that takes the time between the two, -1: none
    bool five;         // they are a dimension of their own (1,frames,C,H,W); else channels behind each other
    bool inside;       // then: of each channel (1,C,frames,H,W)
    int step;          // between those that are seen: every so many-th of the video
    bool bgr;          // order of the three
    int width, height; // 0: dynamic
    int size_multiple;
    enum reel_dtype dtype;
    float gain[3], bias[3]; // stored = (R, G, B in 0..1) * gain + bias; luma: element 0
    float fill[3];          // stored value of letterbox borders
    bool range_255;         // values 0..255 (decides what an image output's range is likely to be)
    enum model_fit fit;
    int n_given;
    struct model_given given[REEL_MAX_PICTURES];
};

struct model_output {
    int index;
    bool nhwc;
    int channels;
    bool bgr;
    float gain[3], bias[3]; // (R, G, B in 0..1) = stored * gain + bias; of 2 channels: a, b of CIE Lab
    bool sigmoid;           // matte: stored are logits
    bool residual;          // added to the (resized) input
    bool levels;            // of no fixed range: each picture's smallest value is 0, its largest 1
};

struct model {
    enum reel_task task;
    int rate; // frames out for each in; more than 1: input.between
    enum model_head head;
    struct model_input input;
    struct model_output output; // of IMAGE, COLORIZE, CLASSIFY, SEGMENT and MATTE
    bool softmax;               // CLASSIFY: scores are logits
    int background;             // CLASSIFY: class 0 is "none" (1001 classes)
    bool decoded;               // DETECT: boxes, not offsets from cells or priors (YOLOX, SSD); scores, not logits
                                // (DETR, RTDETR); corners in pixels, not y1 x1 y2 x2 in 0..1 (LISTS)
    int mask_output;            // DETECT: prototypes of the objects' masks,
    int mask_weights;           // of so many channels; 0: there are none
    int points, point_floats;   // DETECT: of an object, each of x y (2) or x y score (3)
    bool turned;                // DETECT: an angle stands behind a box's scores (YOLOv8) or class (NMS)
    bool centres;               // DETECT: boxes are centre and size in 0..1, not corners in pixels (NMS)
    int head_output[12];        // DETECT: indices in the head's own order
    int n_head_outputs;
    int classes;           // of DETECT, CLASSIFY, SEGMENT; 0 unknown
    char how_between[256]; // why it is thought to make pictures between two frames; "" when it does not
    char how_colours[160]; // likewise to colour gray pictures
    char how_input[160];   // where the belief about values came from
    char how_output[160];
};

// The outputs of a network that cuts out: its foreground picture and its matte, by
// their names (fgr and pha of RVM and BackgroundMatting). False: it is none.
bool model_cuts_out(const struct net_io *out, int n, int *out_foreground, int *out_matte);
#define MODEL_COMPOSITE "composite" // the output that the engine adds to such a network for settings.background

// Inputs that are the R, G, B of a frame each, in order of time: may be joined along
// an axis (net_join_inputs()).
struct model_join {
    int n, axis;
    int which[MODEL_MOST_FRAMES];
};
// All of an odd number; or two, alone or with one more that takes the time between
// them, if their names or `settings` (io.frames 2) say so. False: they are none.
bool model_frames_join(const struct net_io *in, int n, const struct reel_settings *settings, struct model_join *out);
// Whether an output has pictures for all frames (1,frames,C,H,W) that one of the inputs takes
// (an odd number of them): then the middle one is what is wanted. 0: it has not.
int model_frames_made(const struct net_io *in, int n_in, const struct net_io *out);
// ---- given.c ------------------------------------------------------------

// Whether an input of this name takes a picture of its own; index of model_facts.pictures,
// -1: it does not.
int model_picture_for(const struct model_facts *facts, const char *input);
// Whether the model has all inputs that are given pictures. Errors: CONFIG.
enum reel_err model_check_given(const struct model_facts *facts);
// Fills input->given but for values, when all else is known of the frames' input. Errors:
// CONFIG (a shape or size that does not fit), UNSUPPORTED.
enum reel_err model_guess_given(const struct model_facts *facts, const struct reel_settings *settings,
                                struct model_input *input);
// Of a given input, for a picture of w x h on the network's input.
struct reel_shape model_given_shape(const struct model_given *given, int w, int h);
// A line for the user, "" where there are none.
void model_describe_given(const struct model *model, const struct model_facts *facts, char *buf, size_t buf_bytes);

// ---- model.c, output.c --------------------------------------------------

// Fills everything about the input but fit. Errors: UNSUPPORTED (no picture
// input, several inputs), CONFIG.
enum reel_err model_guess_input(const struct model_facts *facts, const struct reel_settings *settings,
                                struct model *out_model);
// Shapes of all inputs (MODEL_MAX_INPUTS at most) for a picture of w x h on the network's input.
void model_input_shapes(const struct model *model, const struct model_facts *facts, int w, int h,
                        struct reel_shape *out_shapes);
// The size to infer the outputs' shapes at: the fixed one, else a small one.
void model_trial_size(const struct model *model, const struct reel_settings *settings, int *out_w, int *out_h);
// Fills the rest. out_shapes: of every output at the trial size w x h. Errors:
// UNSUPPORTED, CONFIG.
enum reel_err model_guess_output(const struct model_facts *facts, const struct reel_settings *settings,
                                 const struct reel_shape *out_shapes, int w, int h, struct model *model);
// How many frames before one, and behind it, the network has to be shown with it.
int model_sees_before(const struct model_input *input);
int model_sees_behind(const struct model_input *input);
// Lines for the user.
void model_describe(const struct model *model, const struct reel_shape *out_shapes, int w, int h, char *buf,
                    size_t buf_bytes);

#endif

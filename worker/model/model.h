// SPDX-License-Identifier: MIT
//
// What a network's inputs and outputs mean for video: layout, colour order, value range,
// sizes, task and detection head. This is guessed from the file unless the settings of
// group io state it, and is printed in MODEL.text.
//
// What decides, strongest first: a setting; the file's metadata (Image.BitmapPixelFormat,
// Image.NominalPixelRange); operators at the beginning of the graph that scale pixels of
// 0..255 themselves; a family recognised by the names and shapes of its outputs or by its
// producer; what is usual for the task.
//
// The shapes of the outputs are known only for a given input size. Guessing therefore has
// two steps: model_guess_input(), and after shape inference at a trial size
// model_guess_output(). Both are pure: they do not run the network.
#ifndef REEL_WORKER_MODEL_MODEL_H
#define REEL_WORKER_MODEL_MODEL_H

#include "common/picture.h"
#include "common/proto.h"
#include "common/settings.h"
#include "worker/engine/net.h"
#include "worker/model/state.h"

#define MODEL_MAX_INPUTS (2 + REEL_MAX_PICTURES)
#define MODEL_MAX_OUTPUTS 32

// What the channels after those of two frames contain, in this order. RIFE is exported
// like this for programs that give a network only one input.
enum model_plane {
    MODEL_PLANE_TIME,                  // 0 at the first frame, 1 at the second
    MODEL_PLANE_SCALE,                 // scale of the flow, always 1; if there are two planes
    MODEL_PLANE_X = MODEL_PLANE_SCALE, // if there are more: -1 to 1 from left to right
    MODEL_PLANE_Y,                     // -1 to 1 from top to bottom
    MODEL_PLANE_STEP_X,                // change of x from pixel to pixel: 2 / (w - 1)
    MODEL_PLANE_STEP_Y,                // 2 / (h - 1)
    MODEL_PLANES,
};

// How a source picture is fitted to the network's input.
enum model_fit {
    MODEL_WHOLE,     // the source's own size, edge-padded to size_multiple
    MODEL_TILES,     // pieces of the network's size
    MODEL_LETTERBOX, // scaled to fit inside, the rest is filled
    MODEL_STRETCH,   // each axis scaled by its own factor
    MODEL_CROP,      // scaled to cover the input, and the middle taken
};

// Families of detection outputs; MODEL_HEAD_NONE: not a detector. Up to MOVENET they are
// numbered like the settings' (enum set_head).
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
    MODEL_HEAD_SCRFD,
    MODEL_HEAD_NANODET,
    MODEL_HEAD_PICODET,
    MODEL_HEAD_YOLOV3,
    MODEL_HEAD_YOLOV4,
    MODEL_HEAD_YOLOV7,
    MODEL_HEAD_YOLOV5_FACE,
    MODEL_HEAD_YOLOV5_POSE,
    MODEL_HEAD_CENTERNET,
    MODEL_HEAD_HEATMAP,
    MODEL_HEAD_SIMCC,
    MODEL_HEAD_MOVENET,
    MODEL_HEAD_NMS, // rows of finished boxes: x1 y1 x2 y2 score class (6), or the same after the batch number (7);
                    // points may follow the six
    MODEL_HEADS,
};

// Names as in the settings ("ssd", ...).
const char *model_head_name(enum model_head head);

// A picture that the user gives for an input (io.pictures), with its decoded size.
struct model_picture {
    const char *input, *path;
    int width, height;
};

// Most frames of which a network may make one picture.
#define MODEL_MOST_FRAMES 15
// Most frames that a network may see at once.
#define MODEL_MOST_SEEN 64
_Static_assert(MODEL_MOST_SEEN / 2 <= REEL_MAX_ASIDE, "a worker must have all of them");

// An input that takes such a picture, the same for all frames. Fields with the names of
// those of struct model_input have the same meaning.
struct model_given {
    int index;   // index of the network's input
    int picture; // index in model_facts.pictures
    bool nhwc, no_batch;
    int channels; // 3, 1
    bool bgr;
    enum reel_dtype dtype;
    float gain[3], bias[3], fill[3];
    // Whether it covers the frame: it is resized to the frame's size, then padded, cut or
    // fitted as the frame is. Otherwise it has a size of its own.
    bool as_frame;
    bool sure;         // as_frame is known; otherwise engines_settle_pictures() finds out
    int width, height; // if it is not: the input's fixed size, or the picture's, rounded to size_multiple
};

// What is known of a network without running it. Arrays and strings are borrowed.
struct model_facts {
    int n_in, n_out;
    const struct net_io *in;         // [n_in]
    const struct net_io *out;        // [n_out]
    const struct graph *graph;       // or NULL
    const char *producer;            // or NULL
    const char *path;                // the file's path, for messages; or NULL
    const struct state_plan *states; // NULL: none
    int border[2];                   // rows and columns of edge pixels put around a frame (net_find_border())
    int size_multiple;               // input sizes must be a multiple of this; 0 = 1
    int n_pictures;
    const struct model_picture *pictures; // [n_pictures] of io.pictures
    // The value of a metadata key, or NULL. The pointer may itself be NULL.
    const char *(*meta)(const void *user, const char *key);
    const void *user;
};

struct model_input {
    int index;         // index of the network's input that takes the picture
    bool nhwc;         // otherwise NCHW
    bool no_batch;     // rank 3
    int channels;      // of one frame: 3, or 1 (luma)
    bool lightness;    // the one channel is L / 100 of CIE Lab instead of luma
    int frames;        // seen at once; the frame itself is the middle one (frames / 2); 1: only itself
    bool pair;         // it sees two frames: this one and the next
    bool between;      // it makes pictures between the two frames of a pair
    int planes;        // channels after those of the two frames (enum model_plane)
    int time_input;    // index of the input that takes the time between the two; -1: none
    bool five;         // frames are a dimension of their own (1,frames,C,H,W); otherwise their channels are joined
    bool inside;       // of such an input: the dimension follows the channels (1,C,frames,H,W)
    int step;          // distance between the frames seen, in frames of the video
    bool bgr;          // order of the three channels
    int width, height; // 0: dynamic
    int size_multiple;
    enum reel_dtype dtype;
    float gain[3], bias[3]; // stored = (R, G, B in 0..1) * gain + bias; luma: element 0
    float fill[3];          // stored value of letterbox borders
    bool range_255;         // values are 0..255 (an image output's range is then likely the same)
    enum model_fit fit;
    int n_given;
    struct model_given given[REEL_MAX_PICTURES];
};

struct model_output {
    int index;
    bool nhwc;
    int channels;
    bool bgr;
    float gain[3], bias[3]; // (R, G, B in 0..1) = stored * gain + bias; with 2 channels: a, b of CIE Lab
    bool sigmoid;           // matte: it holds logits
    bool residual;          // added to the (resized) input
    bool levels;            // no fixed range: each picture's smallest value becomes 0, its largest 1
};

struct model {
    enum reel_task task;
    int rate; // frames written for each frame read; more than 1 only with input.between
    enum model_head head;
    struct model_input input;
    struct model_output output; // for IMAGE, COLORIZE, CLASSIFY, SEGMENT and MATTE
    bool softmax;               // CLASSIFY: scores are logits
    bool embedding;             // TENSOR: a vector that describes the picture
    int background;             // CLASSIFY: class 0 is "none" (1001 classes)
    bool decoded;               // DETECT: boxes, not offsets from cells or priors (YOLOX, SSD); scores, not logits
                                // (DETR, RTDETR, CENTERNET); sigmoids of them (grids of YOLO); corners in pixels,
                                // not y1 x1 y2 x2 in 0..1 (LISTS)
    int mask_output;            // DETECT: the output with the prototypes of the objects' masks
    int mask_weights;           // their channels; 0: there are none
    int points, point_floats;   // DETECT: keypoints of an object; floats of each: x y (2) or x y score (3)
    bool turned;                // DETECT: an angle follows a box's scores (YOLOv8) or class (NMS)
    bool points_first;          // DETECT: points stand before a box's classes (YOLOV5_FACE)
    bool udp;            // DETECT: first and last cells of maps are the picture's first and last pixels (HEATMAP)
    bool centres;        // DETECT: boxes are centre and size in 0..1, not corners in pixels (NMS)
    int head_output[12]; // DETECT: indices in the head's own order
    int n_head_outputs;
    int classes;           // for DETECT, CLASSIFY, SEGMENT; 0: unknown
    char how_between[256]; // why it is taken to make pictures between two frames; "" if it does not
    char how_colours[160]; // likewise why it is taken to colour gray pictures
    char how_input[160];   // why its values are taken to be stored like this
    char how_output[160];
    char which_output[160]; // which of several pictures is taken; "" if there is one
};

// Finds the outputs of a network that cuts out the foreground: its picture and its matte,
// by their names (fgr and pha in RVM and BackgroundMatting). False: not such a network.
bool model_cuts_out(const struct net_io *out, int n, int *out_foreground, int *out_matte);
#define MODEL_COMPOSITE "composite" // output that the engine adds to such a network for settings.background

// Inputs of which each takes the R, G, B of one frame, in order of time. They can be joined
// along an axis (net_join_inputs()).
struct model_join {
    int n, axis;
    int which[MODEL_MOST_FRAMES];
};
// Either all inputs, an odd number; or two, alone or with one more that takes the time
// between them, if their names or `settings` (io.frames 2) say so. False: there are none.
bool model_frames_join(const struct net_io *in, int n, const struct reel_settings *settings, struct model_join *out);
// The number of frames if the output has a picture for each frame (1,frames,C,H,W) that one
// of the inputs takes, an odd number; the middle picture is the one to use. 0: it has not.
int model_frames_made(const struct net_io *in, int n_in, const struct net_io *out);
// ---- given.c ------------------------------------------------------------

// The index in model_facts.pictures of the picture for the input of this name; -1: none is
// given for it.
int model_picture_for(const struct model_facts *facts, const char *input);
// Checks that the model has every input for which a picture is given. Errors: CONFIG.
enum reel_err model_check_given(const struct model_facts *facts);
// Fills input->given except how values are stored. Everything else about the input for the
// frames must be known. Errors: CONFIG (a shape or size that does not fit), UNSUPPORTED.
enum reel_err model_guess_given(const struct model_facts *facts, const struct reel_settings *settings,
                                struct model_input *input);
// The shape of such an input when the network's picture input is w x h.
struct reel_shape model_given_shape(const struct model_given *given, int w, int h);
// Writes a line for the user into buf, "" if no pictures are given.
void model_describe_given(const struct model *model, const struct model_facts *facts, char *buf, size_t buf_bytes);

// ---- model.c, output.c --------------------------------------------------

// Fills everything about the input except how values are stored and frames are fitted.
// Errors: UNSUPPORTED (no picture input, several inputs), CONFIG.
enum reel_err model_guess_input(const struct model_facts *facts, const struct reel_settings *settings,
                                struct model *out_model);
// Shapes of all inputs (at most MODEL_MAX_INPUTS) when the network's picture input is w x h.
void model_input_shapes(const struct model *model, const struct model_facts *facts, int w, int h,
                        struct reel_shape *out_shapes);
// The input size at which the outputs' shapes are inferred: the fixed one, or a small one.
void model_trial_size(const struct model *model, const struct reel_settings *settings, int *out_w, int *out_h);
// Fills the rest. out_shapes: the shape of every output at the trial size w x h. Errors:
// UNSUPPORTED, CONFIG.
enum reel_err model_guess_output(const struct model_facts *facts, const struct reel_settings *settings,
                                 const struct reel_shape *out_shapes, int w, int h, struct model *model);
// How many frames before a frame, and after it, the network must see with it.
int model_sees_before(const struct model_input *input);
int model_sees_behind(const struct model_input *input);
// Writes lines for the user into buf.
void model_describe(const struct model *model, const struct reel_shape *out_shapes, int w, int h, char *buf,
                    size_t buf_bytes);

#endif

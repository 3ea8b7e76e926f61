// SPDX-License-Identifier: MIT
//
// What a picture looks like in a ring slot: pixel format, plane layout, the
// stamp in front, and the results that may stand behind it. Plain data that
// all stages agree on; numbers of libav are not used here (decoder and
// aggregator map them in one place each).
#ifndef REEL_COMMON_FRAME_H
#define REEL_COMMON_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

// ---- pixel formats ------------------------------------------------------

enum reel_pixel_layout {
    REEL_PIX_NONE,
    REEL_PIX_GRAY, // one plane: Y
    REEL_PIX_YUV,  // planar Y, Cb, Cr
    REEL_PIX_NV,   // Y, then interleaved Cb Cr (NV12, P010: NVDEC and NVENC)
    REEL_PIX_GBR,  // planar G, B, R (as libav's GBRP)
};

// Samples are unsigned, little endian, in 1 byte (depth 8) or 2 bytes (depth
// 9..16, value in the low bits; NV with depth > 8 has it in the high bits, as
// P010 does).
struct reel_pixel_format {
    uint8_t layout;        // enum reel_pixel_layout
    uint8_t depth;         // bits of a sample
    uint8_t log2_chroma_w; // 1 for 4:2:0 and 4:2:2
    uint8_t log2_chroma_h; // 1 for 4:2:0
};

// Colour as in ITU-T H.273 code points (the same numbers as libav's enums;
// 2 = unspecified).
struct reel_colour {
    uint8_t primaries;
    uint8_t transfer;
    uint8_t matrix;
    uint8_t full_range;      // 1: full (JPEG) range; 0: limited (also when unspecified)
    uint8_t range_known;     // 0: the file did not say
    uint8_t chroma_location; // libav's AVChromaLocation numbers; 0 = unspecified
};

// The matrix to assume when a file leaves it unspecified: BT.601 below 720
// lines of height, BT.709 from there on (what players do). Returns an H.273
// number.
int reel_colour_matrix(const struct reel_colour *colour, int height);

// ---- a slot -------------------------------------------------------------

#define REEL_SLOT_ALIGN 4096u // slots begin at page borders
#define REEL_STAMP_BYTES 64u  // the stamp's room in front of the planes
#define REEL_PLANES 3
#define REEL_MAX_RATE 8 // frames out for one in

// The first bytes of every slot. The writer sets it last, after the pixels;
// the reader asserts epoch and n. It is a check, never a synchronisation: the
// order comes from the messages.
struct reel_stamp {
    uint32_t magic; // REEL_STAMP_MAGIC
    uint32_t epoch;
    uint32_t n;
    uint32_t aux_bytes; // bytes in use of the aux area
    int64_t pts;        // in the job's time base
    int64_t written_us; // when (reel_now_us())
};
#define REEL_STAMP_MAGIC 0x4d525453u

// Geometry of a ring's slots for one epoch. Offsets are from the slot's
// begin. layout NONE: no picture, aux only (detections without video).
struct reel_geometry {
    struct reel_pixel_format format;
    uint32_t width, height; // of a picture in pixels
    uint32_t pictures;      // that a slot holds; 1 but for networks that make several of a frame
    uint32_t picture_bytes; // from one of them to the next; plane_offset is the first one's
    uint32_t plane_offset[REEL_PLANES];
    uint32_t plane_stride[REEL_PLANES];  // bytes from row to row, multiple of 64
    uint32_t alpha_offset, alpha_stride; // of the alpha plane behind the pictures; stride 0: there is none
    uint32_t aux_offset, aux_bytes;      // side data (input) or results (output)
    uint64_t slot_bytes;                 // multiple of REEL_SLOT_ALIGN
};

// Fills offsets and sizes for format, width, height and an aux area of at
// least aux_bytes. LIMIT when a slot would exceed 4 GiB, or width or height is
// 0 or above 32768; CONFIG for an impossible format.
enum reel_err reel_geometry_init(struct reel_geometry *g, struct reel_pixel_format format, uint32_t width,
                                 uint32_t height, uint32_t aux_bytes);
// The same with room for several pictures, one behind the other.
enum reel_err reel_geometry_init_several(struct reel_geometry *g, struct reel_pixel_format format, uint32_t width,
                                         uint32_t height, uint32_t pictures, uint32_t aux_bytes);
// Adds an alpha plane behind the pictures: width x height samples of the format's depth, 0
// (transparent) to the largest value (opaque). LIMIT as above.
enum reel_err reel_geometry_add_alpha(struct reel_geometry *g);
int reel_format_planes(struct reel_pixel_format format);
// Width and height of a plane in samples (NV's second plane: in pairs x 2).
void reel_plane_size(const struct reel_geometry *g, int plane, uint32_t *out_w, uint32_t *out_h);
static inline uint32_t reel_format_bytes(struct reel_pixel_format f)
{
    return f.depth > 8 ? 2 : 1;
}
// Whether offsets and sizes of a geometry from a message are sane for a ring
// of ring_bytes and slots slots; a peer's numbers are never trusted.
bool reel_geometry_valid(const struct reel_geometry *g, uint32_t slots, uint64_t ring_bytes);

// ---- aux of an input slot: side data ------------------------------------
// A sequence of {uint32 type; uint32 bytes; data padded to 8}, type being
// libav's AVFrameSideDataType: captions, HDR10+, mastering display... Written
// by the decoder, read by the aggregator alone.

struct reel_aux_item {
    uint32_t type, bytes;
};
#define REEL_INPUT_AUX_BYTES 65536u

// ---- aux of an output slot: results -------------------------------------

enum reel_task {
    REEL_TASK_AUTO,
    REEL_TASK_IMAGE,    // picture out
    REEL_TASK_DETECT,   // reel_object[]; with masks a picture plane 0 (GRAY 8): numbers from 1 of the objects, in order
    REEL_TASK_CLASSIFY, // reel_class_score[], best first
    REEL_TASK_SEGMENT,  // picture plane 0 (GRAY 8) holds a class number per source pixel
    REEL_TASK_MATTE,    // picture plane 0 (GRAY 8) holds alpha 0..255 per source pixel
    REEL_TASK_TENSOR,   // raw tensors
    REEL_TASK_COLORIZE, // of settings and workers; what they make is an IMAGE for everybody else
    REEL_TASK_FLOW,     // likewise, but where its numbers are the output: reel_motion[] of the frame's pixels, by rows
};

// Which class names apply when the user gives no label file.
enum reel_label_set {
    REEL_LABELS_NONE, // unknown: numbers
    REEL_LABELS_COCO, // 80 classes
    REEL_LABELS_VOC,  // 21 classes, 0 is the background
    REEL_LABELS_FACE, // every object is a face
};

// In front of the results.
struct reel_results {
    uint32_t task;    // enum reel_task
    uint32_t count;   // items behind
    uint32_t bytes;   // of all items
    uint32_t dropped; // items that found no room
    uint32_t labels;  // enum reel_label_set
    uint32_t reserved;
};

#define REEL_OBJECT_POINTS 133 // as of a whole body with face and hands; a face has 68, a body 17, a hand 21

// One detection, in upright source pixels.
struct reel_object {
    int32_t class_id;
    float score;
    float x, y, w, h;
    uint32_t n_points;
    struct {
        float x, y, score;
    } point[REEL_OBJECT_POINTS];
};

// Of networks that make pictures between frames: a byte for each picture of the
// slot says what is shown in its place.
enum reel_between {
    REEL_BETWEEN_MADE,   // the picture itself
    REEL_BETWEEN_BEFORE, // the frame before it again: none was made, across a cut or behind the last frame
    REEL_BETWEEN_BEHIND, // the frame behind it already
};

struct reel_class_score {
    int32_t class_id;
    float score;
};

// Where a pixel has gone in the next frame: pixels to the right and down.
struct reel_motion {
    float u, v;
};
#define REEL_MOTION_UNKNOWN 1e10f // of both: there is nothing to be known

// A raw output tensor: this head, then the float32 data (converted), row-major, filled up
// with zeros to a multiple of 8 bytes.
struct reel_result_tensor {
    char name[64];
    uint32_t ndim;
    uint32_t bytes; // of the data behind
    int64_t dim[8];
};

#endif

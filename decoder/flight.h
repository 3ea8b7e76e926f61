// SPDX-License-Identifier: MIT
//
// Pictures on their way into a lane's slots. A copy on a GPU is enqueued,
// followed by an event; the lane continues decoding, and announces the picture
// when the event has completed, in the order of the frames. The codec's surface
// is kept until then.
//
//   flight_add() --> event recorded --> flight_next() --> DECODED
//
// Called by lane.c, one object a lane, one thread. It knows no slot and sends
// nothing.
#ifndef REEL_DECODER_FLIGHT_H
#define REEL_DECODER_FLIGHT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "decoder/av.h"

// Pictures under way, most; each holds a surface of the codec (nvdec.c). The
// GPU serves this process and the worker's in turn, for a millisecond or two
// each: these are the pictures that one turn carries off.
#define FLIGHT_MAX 4

// Events as common/cuda.h has them.
struct flight_ops {
    enum reel_err (*event_create)(void **out_event);
    void (*event_destroy)(void **event);
    enum reel_err (*event_record)(void *event, void *stream);
    enum reel_err (*event_query)(void *event); // OK, AGAIN: not yet, or a fault
    enum reel_err (*event_sync)(void *event);
    enum reel_err (*stream_sync)(void *stream);
};

extern const struct flight_ops flight_cuda;
// A device whose memory is the host's: copies are complete at once, and said to
// be so when asked for the second time, so that lanes run as they do on a GPU.
extern const struct flight_ops flight_host;

struct flight_frame {
    uint32_t n, slot_id, aux_bytes;
    int64_t pts, duration;
    uint32_t flags;  // enum reel_frame_flag
    uint64_t serial; // of all copies of the process: the stream does them in this order
};

struct flight;

// ops NULL: there is no device, every picture is there when it is added.
enum reel_err flight_create(const struct flight_ops *ops, void *stream, struct flight **out_flight);
// Waits until nothing is copied any more and forgets the rest. Accepts &NULL.
void flight_destroy(struct flight **flight);

bool flight_full(const struct flight *flight);
// The oldest picture that was not announced; NULL: none.
const struct flight_frame *flight_oldest(const struct flight *flight);
// A picture whose copy has been enqueued on the stream (under_way), or is
// complete. Takes over picture's content (on failure too: what reads it is
// waited for). Errors: FAULT, NOMEM.
enum reel_err flight_add(struct flight *flight, const struct flight_frame *frame, AVFrame *picture, bool under_way);
// The oldest picture, if its copy is complete; its surface is free then. AGAIN:
// it is not, or there is none. Errors: FAULT of the device.
enum reel_err flight_next(struct flight *flight, struct flight_frame *out_frame);
// Sleeps until the oldest picture's copy is complete. FAULT.
enum reel_err flight_wait(struct flight *flight);

#endif

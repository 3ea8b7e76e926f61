// SPDX-License-Identifier: MIT
//
// THE contract between the coordinator and its children: messages, and who may
// touch a slot when.
//
// Messages are a head and `count` equal records, little structs of this file.
// They travel through rings and ZeroMQ (common/bus.h); pixels never do. Each link numbers
// its messages: a gap means a lost message and counts as the peer's death.
// Every record names (lane, epoch, n); what belongs to another epoch than the
// lane's present one is dropped by its receiver.
//
// One segment on a lane:
//
//   coordinator          decoder            worker(s)          aggregator
//       |-- OPEN_LANE (decoder, every worker, aggregator) ------->|
//       |-- WINDOW(end) -->|                   |                  |
//       |<- DECODED(n) ----|                   |                  |
//       |<------------------------ READY(credits)                 |
//       |-- WORK(n) -------------------------->|                  |
//       |<------------------------- DONE(n) ---|                  |
//       |-- FRAME(n) -------------------------------------------->|
//       |<-------------------------------------------- TAKEN(n) --|
//       |-- WINDOW(end+1) >|                   |                  |
//       |<- LANE_END(N) ---|                   |                  |
//       |-- FINISH(N) ------------------------------------------->|
//       |<--------------------------------------- COMMITTED ------|
//
//   An epoch that is given up: CLOSE_LANE to decoder, aggregator and workers;
//   each drops its references to the lane's slots and answers LANE_CLOSED (a
//   dead one has answered by its death); then the slots are punched out and
//   the lane may be opened again with a higher epoch. After COMMITTED the
//   decoder and the workers hold nothing; the coordinator closes the lane in
//   the same way.
//
// Who may touch input slot s = n mod in_slots, output slot s = n mod out_slots:
//
//   state     meaning                             next state on event (who)
//   FREE      nobody touches it                   FILLING   window covers n (coordinator)
//   FILLING   the decoder may write input n       DECODED   DECODED(n) (decoder)
//   DECODED   input n complete, nobody reads      GIVEN     WORK(n) sent (coordinator)
//   GIVEN     workers in its set may read input   DONE      first DONE(n) (worker)
//             n and write the output slot named   DECODED   reader died, set empty (pidfd)
//             in their descriptor
//   DONE      output n complete                   READY     FRAME(n) sent, in order (coordinator)
//   READY     the aggregator may read input n     TAKEN     TAKEN(n) (aggregator)
//             and output n
//   TAKEN     nobody reads; FREE as soon as       FREE      every worker ever given n has answered
//             every holder has answered or died             or is dead
//   (pairs)   what lies between two frames is    -         the next one that is not DROPPED when n is given
//             made of n and the next one                   is never dropped: its input is read as well
//   (seen)    where a network looks at frames    -         an input slot is not written before the
//             n - k to n + l, a holder of n               frames to n + k are FREE too; n is given, and
//             reads their inputs as well                  sent on, when those to n + l are DECODED
//   (parts)   a frame in parts: GIVEN while a     DECODED   no part is held, not all are done
//             part is held, each by one worker;   DONE      DONE(n, part) of the last part
//             all write their rows of one slot
//   DROPPED   live policy gave n up, from         FREE      at once; the aggregator is told nothing
//             DECODED only
//   any       decoder, aggregator or owner of a   FREE      epoch given up: all have answered
//             device ring died, or a stateful               LANE_CLOSED or are dead
//             lane's worker
//
// The table's code is coordinator/lanes.c; tests/unit/coordinator drives it.
//
// A live job (reel_rec_open.live) has one lane at a time and no parts. A segment is
// an attempt at the input, numbered from 0: the next one begins when the decoder
// died or the input was lost, and continues the same output. OPEN_LANE's start_pts
// is what the decoder adds to its timestamps, so that they continue; end_pts is
// INT64_MAX. FRAME names the frames to be written: numbers still increase, but with
// gaps (DROPPED). The aggregator keeps the output open from attempt to attempt,
// whatever ends one; MUX finishes it, once the last attempt's lane is closed. What
// an aggregator had open when it died is continued by its successor.
//
// A ring on a device: the decoder (input) or the aggregator (output) allocates
// it when the lane opens, sends its handle over its wire and says RING_MADE; the
// coordinator keeps the handle and a duplicate of its descriptor, sends both to
// every other member's wire and says RING; whoever has opened it says RING_OPEN,
// and only then may WORK or FRAME name one of its slots to it. At the epoch's
// end each closes it before its LANE_CLOSED; the owner frees it on FREE_RING,
// which comes when the last of them has answered or is dead. Pixels lie on the
// device; stamps and aux areas stay in the host's ring, whose slots are that
// small then.
#ifndef REEL_COMMON_PROTO_H
#define REEL_COMMON_PROTO_H

#include "common/frame.h"
#include "common/media.h"

#define REEL_PROTO_MAGIC 0x4c454552u // "REEL"
#define REEL_PROTO_VERSION 9
#define REEL_TEXT_BYTES 1024
#define REEL_NO_FRAME UINT32_MAX
#define REEL_NO_JOB UINT32_MAX
#define REEL_MAX_RECORDS 512             // per message
#define REEL_COLLECTIVE_BYTES (4u << 20) // of the object through which workers work together
#define REEL_MAX_PARTS 8                 // of a frame that several workers share

enum reel_stage {
    REEL_COORDINATOR,
    REEL_DECODER,
    REEL_WORKER,
    REEL_AGGREGATOR,
    REEL_STAGES,
};

enum reel_msg_type {
    REEL_MSG_NONE,

    // every child -> coordinator
    REEL_MSG_HELLO,       // reel_rec_hello: the process is up (a worker: its device is there)
    REEL_MSG_FAILED,      // reel_rec_failed
    REEL_MSG_NOTE,        // reel_rec_note: a line for the user
    REEL_MSG_LANE_CLOSED, // reel_rec_lane

    // coordinator -> every child
    REEL_MSG_QUIT,       // no record: finish and exit 0
    REEL_MSG_OPEN_LANE,  // reel_rec_open
    REEL_MSG_CLOSE_LANE, // reel_rec_lane

    // device rings: the handle goes over the child's wire first (common/wire.h)
    REEL_MSG_RING_MADE, // owner->C reel_rec_ring: its handle is on the wire
    REEL_MSG_RING,      // C->user reel_rec_ring: a handle is on the wire, open it
    REEL_MSG_RING_OPEN, // user->C reel_rec_ring: may be named in WORK and FRAME from now on
    REEL_MSG_FREE_RING, // C->owner reel_rec_ring: all others have let go

    // decoder
    REEL_MSG_SCAN,     // C->D reel_rec_job: scan the input, copy its other streams
    REEL_MSG_ENTRIES,  // D->C reel_rec_entry[]: before SCANNED, in order
    REEL_MSG_SCANNED,  // D->C reel_rec_scanned
    REEL_MSG_WINDOW,   // C->D reel_rec_window
    REEL_MSG_DECODED,  // D->C reel_rec_decoded[]
    REEL_MSG_STOP,     // C->D reel_rec_lane: the live input ends here
    REEL_MSG_LANE_END, // D->C reel_rec_lane_end

    // worker
    REEL_MSG_MODEL,  // W->C reel_rec_model: the network is loaded
    REEL_MSG_SHAPE,  // C->W reel_rec_shape: what comes out for this input?
    REEL_MSG_SHAPED, // W->C reel_rec_shaped
    REEL_MSG_READY,  // W->C reel_rec_ready: so many more frames may be sent
    REEL_MSG_WORK,   // C->W reel_rec_work[]: one message = one batch
    REEL_MSG_DONE,   // W->C reel_rec_done[]
    REEL_MSG_JOIN,   // C->W no record: connect to all other workers' devices, for the rows of parts
    REEL_MSG_JOINED, // W->C reel_rec_joined

    // aggregator
    REEL_MSG_PROVE,     // C->A reel_rec_prove: open the encoder at this size
    REEL_MSG_PROVEN,    // A->C reel_rec_proven
    REEL_MSG_FRAME,     // C->A reel_rec_frame[]: strictly n = 0, 1, 2... (live: with gaps)
    REEL_MSG_TAKEN,     // A->C reel_rec_taken[]
    REEL_MSG_FINISH,    // C->A reel_rec_finish: no more frames; flush and commit
    REEL_MSG_COMMITTED, // A->C reel_rec_committed
    REEL_MSG_VERIFY,    // C->A reel_rec_verify: is this part of an earlier run whole?
    REEL_MSG_VERIFIED,  // A->C reel_rec_verify with ok set
    REEL_MSG_MUX,       // C->A reel_rec_mux: put the parts together
    REEL_MSG_MUXED,     // A->C reel_rec_muxed

    REEL_MSG_TYPES,
};

// Bytes of a record of `type`, 0 when the type has none or is unknown.
size_t reel_msg_record_bytes(enum reel_msg_type type);
const char *reel_msg_name(enum reel_msg_type type);

struct reel_msg_head {
    uint32_t magic;
    uint16_t version;
    uint16_t type;        // enum reel_msg_type
    uint32_t seq;         // number on this link and direction, from 1
    uint32_t incarnation; // of the child at the link's end, both ways
    uint32_t count;       // records behind the head
    uint32_t record_bytes;
};

// ---- every stage ----------------------------------------------------------

struct reel_rec_hello {
    uint32_t stage, index;
    int32_t pid;
    uint32_t reserved;
    char version[32];     // REEL_VERSION: must equal the coordinator's
    char build[256];      // library versions of this stage, for the journal: "libavcodec 59.37.100, x264 ..."
    char device[96];      // "cpu avx512", "NVIDIA H200 #0"
    char device_kind[96]; // what must be equal for equal bytes (DESIGN 6)
};

enum reel_scope {
    REEL_SCOPE_PROCESS, // this process cannot go on (it exits with 1 next)
    REEL_SCOPE_JOB,     // the job fails; the process goes on
    REEL_SCOPE_LANE,    // this epoch fails as by a crash of the stage: it may be tried again
};

struct reel_rec_failed {
    uint32_t scope; // enum reel_scope
    uint32_t err;   // enum reel_err
    uint32_t job, lane, epoch, n;
    uint32_t part, reserved; // of frame n, with a worker
    char text[REEL_TEXT_BYTES];
};

struct reel_rec_note {
    uint32_t level; // enum reel_log_level: WARN or INFO
    uint32_t job;   // or REEL_NO_JOB
    char text[REEL_TEXT_BYTES];
};

struct reel_rec_job {
    uint32_t job;
};

struct reel_rec_lane {
    uint32_t lane, epoch;
};

enum reel_direction {
    REEL_RING_IN,
    REEL_RING_OUT,
};

enum reel_place {
    REEL_PLACE_HOST,
    REEL_PLACE_DEVICE, // pixels in a device ring, see above
};

struct reel_rec_ring {
    uint32_t lane, epoch;
    uint32_t direction; // enum reel_direction
    uint32_t ok;        // RING_MADE, RING_OPEN: 0: it could not be; text has the reason
    char text[256];
};

// A lane begins an epoch. The same record goes to decoder, workers, aggregator.
struct reel_rec_open {
    uint32_t lane, epoch, job, segment;
    uint32_t in_slots, out_slots; // out_slots counts ring slots; out_spares more stand behind them
    uint32_t out_spares;
    uint32_t window_end; // the decoder may write frames below this
    struct reel_geometry in, out;
    struct reel_media media;       // of the input
    struct reel_colour out_colour; // of the output picture
    uint32_t task;                 // enum reel_task
    uint32_t parts;                // bands that each frame is worked on in; 1: whole
    uint32_t has_entry;            // 0: decode from the file's start
    uint32_t in_place, out_place;  // enum reel_place
    uint32_t software;             // 1: decode on the processor, the GPU has failed here
    uint32_t memory;               // changes when the lane's slots in host memory are other pages than before
    uint32_t tile_pixels;          // as SHAPED said
    uint32_t exchange;             // as SHAPED said
    uint32_t live;                 // 1: an attempt of a live job, see above
    uint32_t rate;                 // of reel_rec_model
    uint32_t before, after;        // frames around the segment that are decoded too, to be seen
    uint32_t reserved;
    struct reel_entry entry;
    struct reel_lead lead;  // of those before
    struct reel_entry next; // of the segment behind: those after
    int64_t start_pts;      // frames of the segment: start_pts <= pts < end_pts
    int64_t warmup_pts;     // from here to start_pts they are REEL_FRAME_WARMUP
    int64_t end_pts;        // INT64_MAX for the last
};

// ---- decoder --------------------------------------------------------------

// What became of everything besides the pictures; `kept` in the report.
enum reel_kept_state {
    REEL_KEPT_NONE, // the input had none
    REEL_KEPT_ALL,
    REEL_KEPT_PART,    // some could not be kept: exit code 3, a NOTE says which
    REEL_KEPT_LOST,    // none could be kept
    REEL_KEPT_UNASKED, // the output is not of a kind that holds it (jsonl, images, null:)
};

struct reel_kept {
    uint8_t audio, subtitles, chapters, attachments, metadata, timestamps, colour, other;
};

struct reel_rec_entry {
    uint32_t job, reserved;
    struct reel_entry entry;
};

struct reel_rec_scanned {
    uint32_t job;
    uint32_t n_entries;
    struct reel_media media;
    struct reel_kept kept; // as far as the copy knows
    uint64_t copy_bytes;   // of the committed copy part; 0: there is none
    uint8_t copy_sha256[32];
    uint8_t input_sha256[32]; // identity: of size and the first and last MiB
    uint64_t input_bytes;
    uint32_t on_device; // 1: this stream's frames can be decoded into device memory
    uint32_t reserved;
};

struct reel_rec_window {
    uint32_t lane, epoch;
    uint32_t end; // frames n < end may be written; never goes back
};

enum reel_frame_flag {
    REEL_FRAME_CONTEXT = 1 << 0, // of a neighbour's range: read by models, never encoded
    REEL_FRAME_REPEAT = 1 << 1,  // quarantined: the aggregator encodes the frame before again
    REEL_FRAME_PASS = 1 << 2,    // quarantined: the aggregator encodes the input picture, resized
    REEL_FRAME_WARMUP = 1 << 3,  // of the range before: worked on for the state that it leaves (unless it is
                                 // CONTEXT as well), never encoded
};

struct reel_rec_decoded {
    uint32_t lane, epoch, n;
    uint32_t flags;
    int64_t pts;
    int64_t duration; // 0 unknown
};

struct reel_rec_lane_end {
    uint32_t lane, epoch;
    uint32_t frames; // DECODED were 0..frames-1, and context behind them
    uint32_t reserved;
    // Ledger of the segment's own range: packets = shown + hidden + unreadable,
    // where one packet may show several frames or fields.
    int64_t packets, hidden, unreadable, filtered;
};

// ---- worker ---------------------------------------------------------------

#define REEL_MAX_ASIDE 64 // frames that a network sees before one, and behind it

struct reel_rec_model {
    uint32_t task;          // enum reel_task, resolved
    uint32_t before, after; // it sees frames n - before to n + after; 0 for frame models
    uint32_t rate;          // frames out for each in: more than 1 for those that make frames between two
    uint32_t batch;         // largest batch it takes
    // 1: each frame begins with what the one before left
    uint32_t stateful;
    uint64_t memory_bytes;      // of weights
    uint8_t model_sha256[32];   // of the file
    char text[REEL_TEXT_BYTES]; // what was guessed or configured, lines for the user
};

struct reel_rec_shape {
    uint32_t job;
    uint32_t parts;       // wished: bands of a frame that several workers share
    uint32_t tile_pixels; // that an earlier run of the job settled on; 0: none
    uint32_t exchange;    // 1: so many workers can work on one frame at the same time
    struct reel_media media;
    struct reel_geometry in;
};

struct reel_rec_shaped {
    uint32_t job;
    uint32_t task;
    uint32_t width, height; // of the picture made; 0: none (objects, scores)
    struct reel_pixel_format
        format; // task IMAGE: layout GRAY or YUV class that the model makes (a wish; the aggregator decides)
    uint32_t results_bytes;               // of the output slot's aux
    uint64_t memory_bytes;                // of one worker at this size
    uint32_t parts;                       // that a frame can be worked on in, 1 to what was wished
    uint32_t reads_device, writes_device; // 1: frames may come from, results go to device memory
    uint32_t luma_only;                   // 1: the model makes luma, which no RGB picture can take
    uint32_t tile_pixels;                 // for want of memory frames are cut into tiles of at most so many; else 0
    uint32_t exchange;                    // 1: parts give each other rows: all of a frame at the same time
};

struct reel_rec_ready {
    uint32_t credits; // additional frames that may be sent
    uint32_t reserved;
};

struct reel_rec_work {
    uint32_t lane, epoch, n;
    uint32_t in_slot, out_slot;
    uint32_t flags;
    uint32_t part; // 0 of whole frames
    // Workers that have the parts above and below, + 1, where rows go from device to
    // device (all have JOINED); 0: there is none, or they go through host memory.
    uint16_t up, down;
    uint32_t after; // frames behind n that are there to be seen: reel_rec_model.after, or less at the end
    uint32_t next;  // the first of them: n + 1, unless frames between two are made and that was dropped
    uint64_t round; // of parts that exchange rows (common/rounds.h); else 0
    int64_t pts;
};

struct reel_rec_joined {
    uint32_t ok; // 0: this worker cannot, so nobody does
    uint32_t reserved;
};

struct reel_rec_done {
    uint32_t lane, epoch, n;
    uint32_t out_slot; // as in WORK
    uint32_t run_us;   // network, per frame
    uint32_t total_us; // with conversion, per frame
    uint32_t part;
    uint32_t credits; // as in READY, which a worker that has something to say saves
};

// ---- aggregator -----------------------------------------------------------

struct reel_rec_prove {
    uint32_t job;
    uint32_t in_slots;
    uint32_t rate, reserved; // of reel_rec_model
    struct reel_media media;
    struct reel_geometry in;
    struct reel_rec_shaped shaped;
};

struct reel_rec_proven {
    uint32_t job;
    uint32_t hold_frames; // output frames that the encoder may hold at once
    uint32_t on_device;   // 1: output frames are taken from device memory
    uint32_t reserved;
    struct reel_geometry out;
    struct reel_colour out_colour;
    struct reel_kept kept; // colour and what else the encoder knows
    uint64_t memory_bytes; // of one lane's encoder, estimated
};

struct reel_rec_frame {
    uint32_t lane, epoch, n;
    uint32_t in_slot, out_slot;
    uint32_t flags; // enum reel_frame_flag
    int64_t pts, duration;
    uint32_t after, next; // frames behind n that are there, as in WORK: their input slots may be read
    int64_t next_pts;     // of frame next
};

struct reel_rec_taken {
    uint32_t lane, epoch, n;
};

struct reel_rec_finish {
    uint32_t lane, epoch;
    uint32_t frames; // FRAMEs were 0..frames-1; live: so many
};

// How long frames of a live job were on their way, from the input slot's stamp to
// the packet (line, image) that was written: the median, what 99% did not exceed, the
// longest. 0: no frame was written.
enum reel_latency {
    REEL_LATENCY_MEDIAN,
    REEL_LATENCY_P99,
    REEL_LATENCY_MAX,
    REEL_LATENCIES,
};

struct reel_rec_committed {
    uint32_t lane, epoch, job, segment;
    uint32_t frames; // shown by the part; live: written in this attempt
    uint32_t unsent; // live: taken, but not sent: the receiver at the output's address did not take them
    uint64_t bytes;
    uint8_t sha256[32];                  // live: zeros
    uint32_t latency_us[REEL_LATENCIES]; // live: of this attempt
    uint32_t file;                       // live: number of the output's file (reel_live_file_path)
};

struct reel_rec_verify {
    uint32_t job, segment; // segment REEL_NO_FRAME: the copy part
    uint32_t frames;
    uint32_t ok;
    uint64_t bytes;
    uint8_t sha256[32];
};

struct reel_rec_mux {
    uint32_t job, segments;
    struct reel_media media; // of the output: reel_media_at_rate()
    struct reel_kept kept;   // what is known so far
    uint64_t frames;         // that all parts together must show
    uint64_t copy_bytes;     // of the copy part, as in SCANNED; 0: there need be none
    uint32_t replace;        // whether a file at the output's name is replaced
    uint32_t reserved;
};

struct reel_rec_muxed {
    uint32_t job;
    uint32_t file;          // live: number of the output's last file; else, from 2 on: its only one's, as others
                            // had their names already; 0: its own name
    uint64_t frames, bytes; // live: written in this process's life
    struct reel_kept kept;
    uint64_t unsent;                     // live: as in COMMITTED
    uint32_t latency_us[REEL_LATENCIES]; // live: of all attempts of this process's life
    uint32_t reserved;
};

#endif

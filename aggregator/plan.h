// SPDX-License-Identifier: MIT
//
// What becomes of a job's frames here: which picture is the source, which
// encoder takes it in which format, size and colour. plan_prove() decides and
// opens the encoder once; plan_open() comes to the same decision for a lane,
// in any aggregator, from the geometry that was proven.
#ifndef REEL_AGGREGATOR_PLAN_H
#define REEL_AGGREGATOR_PLAN_H

#include "aggregator/encode.h"
#include "common/job.h"
#include "common/proto.h"
#include "common/settings.h"

// What the sink is given.
enum plan_wants {
    PLAN_NOTHING, // only the count
    PLAN_RESULTS, // objects, classes, masks, motion
    PLAN_PICTURE,
};

struct plan {
    const struct reel_settings *settings;
    struct reel_job job;
    enum reel_task task;
    enum plan_wants wants;
    uint32_t rate;                // frames out for each one in
    struct reel_media source;     // of the input
    struct reel_media media;      // of the output: the same, at that rate
    struct reel_geometry in, out; // of the rings

    bool raw_mask; // the picture is the mask itself, as it stands in the output slot
    bool cutout;   // the picture is the input's, transparent where the mask has nothing
    bool alpha;    // the picture has the input's transparency, resized
    // The picture before the filter.
    struct reel_pixel_format format;
    enum AVPixelFormat drawn_format; // libav's: with an alpha plane, where there is one
    int width, height;
    struct reel_colour colour;

    // What goes into the encoder (PLAN_PICTURE).
    const AVOutputFormat *container; // VIDEO, STREAM
    char encoder_name[64];           // VIDEO, STREAM, IMAGES; "" by container
    bool without_opts;               // --encoder_opts are for an encoder that is not there
    struct encode_choice choice;     // codec NULL: MD5
    enum AVPixelFormat final_format;
    int final_width, final_height;
    struct reel_rational final_sar;
    struct reel_colour final_colour;
    struct reel_kept kept;
    char notes[REEL_TEXT_BYTES]; // lines for the user, "" when there is nothing to say
};

// libavformat's name for the container of an output, by its ending or scheme; NULL
// when it is no video.
const char *plan_container_name(const char *output);
// Whether outputs of a kind are coded video.
bool plan_is_video(enum reel_output_kind kind);

// Fills *out_proven and *out_plan. Errors: CONFIG, UNSUPPORTED, NOMEM, IO.
enum reel_err plan_prove(const struct reel_settings *settings, const struct reel_job *job,
                         const struct reel_rec_prove *prove, struct plan *out_plan, struct reel_rec_proven *out_proven);
// As decided at the proof. *out_encoder is open (VIDEO, STREAM, IMAGES), else NULL.
enum reel_err plan_open(const struct reel_settings *settings, const struct reel_job *job,
                        const struct reel_rec_open *open, struct plan *out_plan, struct encoder **out_encoder);
// When frame k (0 <= k < rate) of those for a FRAME is shown, and how long.
void plan_time(const struct plan *plan, const struct reel_rec_frame *rec, uint32_t k, int64_t *out_pts,
               int64_t *out_duration);
// Whether the input's pictures go to a video encoder in 4:2:0 and as they are, but
// for their samples' order: then results may as well be drawn on its own copies.
bool plan_keeps_input(const struct plan *plan);

#endif

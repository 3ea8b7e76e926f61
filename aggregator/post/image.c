// SPDX-License-Identifier: MIT
//
// Makes the picture that is written for a frame. See image.h.
#include "aggregator/post/image.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "aggregator/nvenc.h"
#include "aggregator/picture.h"
#include "aggregator/post/alpha.h"
#include "aggregator/post/boxes.h"
#include "aggregator/post/masks.h"
#include "aggregator/post/track.h"
#include "common/filters.h"
#include "common/log.h"

#define FILL_IN (REEL_FRAME_REPEAT | REEL_FRAME_PASS)

struct image {
    struct image_params p;
    struct labels *labels;
    struct tracker *tracker; // or NULL
    int32_t *tracks;         // of frame tracked_n's objects
    uint32_t room_tracks, tracked_n;
    bool tracked;
    struct filter *filter; // or NULL
    struct picture_pool pool, made_pool, draw_pool, mask_pool;
    struct picture_convert convert, pass_convert, alpha_convert;
    struct alpha alpha;
    AVFrame *last;  // the frame before this one, before the filter
    AVFrame *ready; // when there is no filter: what image_next() returns
    bool ended;
    bool late;         // the encoder draws, on a copy of its own
    _Atomic int loans; // slots that libav has on loan
};

// A GPU's encoders copy each picture into a surface and draw there. So that a run without a GPU takes the
// same path, software encoders do so too when they read memory that stands for a device's.
static bool draws_late(const struct image_params *p)
{
    if (!plan_keeps_input(p->plan)) return false;
    return nvenc_is(p->plan->choice.codec) ? nvenc_ready() : p->in->on_device && !p->in->on_gpu;
}

// The attempts of a live job are numbered, and its output continues over them: no track of a later attempt
// may have a number of an earlier one. In a file that is one segment.
#define TRACKS_OF_AN_ATTEMPT 1000000

static enum reel_err begin_tracks(struct image *im)
{
    const struct reel_settings *s = im->p.plan->settings;
    const uint32_t attempt = im->p.segment % (INT32_MAX / TRACKS_OF_AN_ATTEMPT);
    const struct track_params params = {.score = (float)s->detect.score,
                                        .keep = s->detect.track_seconds,
                                        .first_id = 1 + (int32_t)attempt * TRACKS_OF_AN_ATTEMPT};
    return tracker_create(&params, &im->tracker);
}

enum reel_err image_create(const struct image_params *params, struct image **out_image)
{
    struct image *im = calloc(1, sizeof *im);
    if (!im) return reel_fail(REEL_ERR_NOMEM, "could not open a lane: out of memory");
    im->p = *params;
    im->late = draws_late(params);
    if (im->late) reel_debug("image", "lane %u: results are drawn by the encoder", params->lane);
    const struct plan *plan = params->plan;
    // A filter may keep pictures for longer than a lane can do without their slots.
    if (!reel_filter_is_spatial(plan->settings->post_filter)) im->p.max_loans = 0;
    // The pictures of a slot, and those of the slot behind it, come and go one by one.
    if (plan->rate > 1) im->p.max_loans = 0;
    const char *path = plan->task == REEL_TASK_DETECT     ? plan->settings->detect.labels
                       : plan->task == REEL_TASK_CLASSIFY ? plan->settings->classify.labels
                                                          : "";
    enum reel_err err = labels_load(path, plan->settings->model, &im->labels);
    if (!err && plan->task == REEL_TASK_DETECT && plan->settings->detect.track) err = begin_tracks(im);
    if (!err && plan->wants == PLAN_PICTURE && *plan->settings->post_filter) err = filter_create(plan, &im->filter);
    if (err)
        image_destroy(&im);
    else
        *out_image = im;
    return err;
}

void image_destroy(struct image **image)
{
    struct image *im = *image;
    if (!im) return;
    filter_destroy(&im->filter);
    tracker_destroy(&im->tracker);
    free(im->tracks);
    av_frame_free(&im->last);
    av_frame_free(&im->ready);
    labels_free(&im->labels);
    picture_convert_fini(&im->convert);
    picture_convert_fini(&im->pass_convert);
    picture_convert_fini(&im->alpha_convert);
    alpha_fini(&im->alpha);
    picture_pool_fini(&im->pool);
    picture_pool_fini(&im->made_pool);
    picture_pool_fini(&im->draw_pool);
    picture_pool_fini(&im->mask_pool);
    free(im);
    *image = NULL;
}

// ---- what stands in the slots ---------------------------------------------------

enum reel_err image_check(const struct image *im, const struct reel_rec_frame *rec, struct reel_stamp *out_in)
{
    enum reel_err err = reel_ring_check(im->p.in, rec->in_slot, rec->n, out_in);
    if (err || rec->flags & FILL_IN) return err; // nobody wrote the output slot
    struct reel_stamp out;
    return reel_ring_check(im->p.out, rec->out_slot, rec->n, &out);
}

// Tracks each frame once; a frame that is filled in has no objects.
static enum reel_err add_tracks(struct image *im, const struct reel_rec_frame *rec, struct results *results)
{
    const struct reel_rational unit = im->p.plan->media.time_base;
    const uint32_t n = results->head.count;
    if (n > im->room_tracks) {
        int32_t *more = realloc(im->tracks, 2 * n * sizeof *more);
        if (!more) return reel_fail(REEL_ERR_NOMEM, "could not track objects: out of memory");
        im->tracks = more;
        im->room_tracks = 2 * n;
    }
    enum reel_err err = REEL_OK;
    if (!im->tracked || im->tracked_n != rec->n)
        err = tracker_frame(im->tracker, rec->n, unit.den ? (double)rec->pts * unit.num / unit.den : rec->n, results,
                            im->tracks);
    im->tracked = true;
    im->tracked_n = rec->n;
    results->track = im->tracks;
    return err;
}

enum reel_err image_results(struct image *im, const struct reel_rec_frame *rec, struct results *out_results)
{
    *out_results = (struct results){.head = {.task = im->p.plan->task}};
    struct reel_stamp stamp;
    enum reel_err err = REEL_OK;
    if (!(rec->flags & FILL_IN)) {
        err = reel_ring_check(im->p.out, rec->out_slot, rec->n, &stamp);
        if (!err) err = results_read(reel_ring_aux(im->p.out, rec->out_slot), stamp.aux_bytes, out_results);
    }
    return err || !im->tracker ? err : add_tracks(im, rec, out_results);
}

// Gives the input picture's captions and dynamic HDR data to the output's picture.
static void attach_side_data(const struct image *im, const struct reel_rec_frame *rec, uint32_t bytes, AVFrame *frame)
{
    const uint8_t *aux = reel_ring_aux(im->p.in, rec->in_slot);
    uint32_t at = 0;
    struct reel_aux_item item;
    while (at + sizeof item <= bytes) {
        memcpy(&item, aux + at, sizeof item);
        at += sizeof item;
        if (!item.bytes || item.bytes > bytes - at) return;
        AVFrameSideData *side = av_frame_new_side_data(frame, (enum AVFrameSideDataType)item.type, item.bytes);
        if (side) memcpy(side->data, aux + at, item.bytes);
        uint32_t padded = (item.bytes + 7) & ~7u;
        if (padded > bytes - at) return;
        at += padded;
    }
}

// ---- the picture ------------------------------------------------------------------

static enum reel_err borrow(struct image *im, const struct reel_ring *ring, uint32_t slot, struct reel_rec_taken rec,
                            bool *out_lent, AVFrame **out)
{
    // On a GPU, results go to the encoder there; so do inputs, unless the processor reads them.
    *out_lent = atomic_load(&im->loans) < im->p.max_loans && !(ring->on_gpu && ring == im->p.in && !im->late);
    if (*out_lent) return picture_wrap(ring, slot, im->p.release, rec, &im->loans, out);
    return picture_copy_slot(&im->pool, ring, slot, 0, out);
}

// Finds a frame's mask: in its slot, or in a copy. All NULL: the task makes none.
struct mask {
    const uint8_t *data;
    size_t stride;
    AVFrame *copy;
};

// here: the processor needs it, which cannot read a GPU's memory.
static enum reel_err find_mask(struct image *im, const struct reel_rec_frame *rec, bool here, struct mask *out)
{
    const struct reel_ring *ring = im->p.out;
    *out = (struct mask){0};
    if (ring->geometry.format.layout != REEL_PIX_GRAY) return REEL_OK;
    *out = (struct mask){reel_ring_plane(ring, rec->out_slot, 0), ring->geometry.plane_stride[0], NULL};
    if (!ring->on_gpu || !here) return REEL_OK;
    enum reel_err err = picture_copy_slot(&im->mask_pool, ring, rec->out_slot, 0, &out->copy);
    if (!err) out->data = out->copy->data[0], out->stride = (size_t)out->copy->linesize[0];
    return err;
}

static uint32_t background_of(const struct reel_settings *s)
{
    uint32_t rgb = 0;
    for (int i = 0; i < 3; i++) {
        const double v = s->background.v[i];
        rgb = rgb << 8 | (uint32_t)(v < 0 ? 0 : v > 255 ? 255 : v + 0.5);
    }
    return rgb;
}

// The canvas borrows the mask.
static void draw(const struct image *im, const struct results *results, const struct mask *mask,
                 struct paint_canvas *canvas)
{
    const struct plan *plan = im->p.plan;
    const struct reel_settings *s = plan->settings;
    struct boxes_params boxes = {im->labels, s->detect.line_width, s->detect.draw_labels};
    if (plan->task == REEL_TASK_DETECT) {
        if (mask->data) masks_overlay_objects(canvas, mask->data, mask->stride, results, s->segment.opacity);
        boxes_draw(canvas, results, &boxes);
    } else if (plan->task == REEL_TASK_CLASSIFY)
        boxes_draw_classes(canvas, results, &boxes);
    else if (s->background.n == 3 && s->segment.picture != SET_PICTURE_MASK)
        masks_replace_background(canvas, mask->data, mask->stride, plan->task == REEL_TASK_SEGMENT, background_of(s));
    else if (plan->task == REEL_TASK_MATTE)
        masks_overlay_matte(canvas, mask->data, mask->stride, s->segment.opacity);
    else if (s->segment.picture == SET_PICTURE_MASK)
        masks_paint_classes(canvas, mask->data, mask->stride);
    else
        masks_overlay_classes(canvas, mask->data, mask->stride, s->segment.opacity);
}

// The input's picture of that slot in the source's format and size; for a cut-out, with all its colour.
static enum reel_err pass(struct image *im, uint32_t in_slot, struct reel_rec_taken taken, bool *out_lent,
                          AVFrame **out)
{
    const struct plan *plan = im->p.plan;
    AVFrame *input;
    enum reel_err err = borrow(im, im->p.in, in_slot, taken, out_lent, &input);
    if (err) return err;
    picture_tag(input, &plan->media.colour);
    const enum AVPixelFormat format = plan->alpha ? picture_av_format(plan->format) : plan->drawn_format;
    err = picture_convert(&im->pass_convert, input, &plan->media.colour, format, plan->width, plan->height,
                          &plan->colour, out);
    av_frame_free(&input); // a loan that was not used is returned here
    return err;
}

// The input's picture, transparent where the mask is empty.
static enum reel_err cut_out(struct image *im, const struct reel_rec_frame *rec, struct reel_rec_taken taken,
                             bool *out_lent, AVFrame **out)
{
    const struct plan *plan = im->p.plan;
    struct mask mask;
    enum reel_err err = find_mask(im, rec, true, &mask);
    if (!err) err = pass(im, rec->in_slot, taken, out_lent, out);
    if (!err) {
        const int depth = av_pix_fmt_desc_get(plan->drawn_format)->comp[3].depth;
        masks_to_alpha(mask.data, mask.stride, plan->task == REEL_TASK_MATTE, plan->width, plan->height, depth,
                       (*out)->data[3], (size_t)(*out)->linesize[3]);
    }
    av_frame_free(&mask.copy);
    return err;
}

// The input with the results on it: drawn on a copy, or left to the encoder to draw, which keeps the slot
// until then. Without any results it is the input itself.
static enum reel_err with_results(struct image *im, const struct reel_rec_frame *rec, struct reel_rec_taken taken,
                                  bool *out_lent, AVFrame **out)
{
    const struct plan *plan = im->p.plan;
    struct results results;
    enum reel_err err = image_results(im, rec, &results);
    if (err) return err;
    // The masks of objects are in the processor's memory.
    bool objects = plan->task == REEL_TASK_DETECT && im->p.out->geometry.format.layout == REEL_PIX_GRAY;
    bool late = im->late && !objects && atomic_load(&im->loans) < im->p.max_loans;
    struct mask mask;
    if ((err = find_mask(im, rec, !late, &mask))) return err;
    struct paint_canvas canvas;
    paint_begin(&canvas, plan->format, plan->width, plan->height, &plan->colour);
    draw(im, &results, &mask, &canvas);
    bool nothing = !canvas.n && !canvas.full;
    if (nothing || late) {
        err = borrow(im, im->p.in, rec->in_slot, taken, out_lent, out);
        if (!err && !nothing) err = paint_attach(&canvas, *out);
    } else {
        err = picture_copy_slot(&im->draw_pool, im->p.in, rec->in_slot, 0, out);
        if (!err) err = paint_play(&canvas, *out);
    }
    paint_end(&canvas);
    av_frame_free(&mask.copy);
    if (err) av_frame_free(out);
    return err;
}

// What the worker says about picture k of those between two frames.
static enum reel_err between_of(struct image *im, const struct reel_rec_frame *rec, uint32_t k, enum reel_between *out)
{
    struct results results;
    *out = REEL_BETWEEN_BEFORE;
    if (!k || rec->flags & FILL_IN) return REEL_OK;
    enum reel_err err = image_results(im, rec, &results);
    if (err) return err;
    if (results.head.bytes != im->p.plan->rate - 1 || results.items[k - 1] > REEL_BETWEEN_BEHIND)
        return reel_fail(REEL_ERR_PROTO, "could not read frame %u: it does not say what lies behind it", rec->n);
    *out = (enum reel_between)results.items[k - 1];
    return REEL_OK;
}

// The frame itself, or picture k of those between it and the next frame.
// *place: where its transparency is.
static enum reel_err make_between(struct image *im, const struct reel_rec_frame *rec, uint32_t k,
                                  struct alpha_place *place, AVFrame **out)
{
    const struct reel_rec_taken none = {0};
    enum reel_between what;
    enum reel_err err = between_of(im, rec, k, &what);
    bool lent;
    if (err) return err;
    if (what == REEL_BETWEEN_MADE && rec->after && im->p.plan->alpha) {
        struct reel_stamp later;
        *place = (struct alpha_place){rec->in_slot, reel_ring_slot_of(im->p.in, rec->next), k, im->p.plan->rate};
        if ((err = reel_ring_check(im->p.in, place->later_id, rec->next, &later))) return err;
    }
    if (what == REEL_BETWEEN_MADE) return picture_copy_slot(&im->made_pool, im->p.out, rec->out_slot, k - 1, out);
    if (what == REEL_BETWEEN_BEFORE || !rec->after) return pass(im, rec->in_slot, none, &lent, out);
    struct reel_stamp stamp;
    const uint32_t behind = reel_ring_slot_of(im->p.in, rec->next);
    place->slot_id = behind;
    err = reel_ring_check(im->p.in, behind, rec->next, &stamp);
    return err ? err : pass(im, behind, none, &lent, out);
}

static enum reel_err make(struct image *im, const struct reel_rec_frame *rec, uint32_t k, struct reel_rec_taken taken,
                          bool *out_lent, struct alpha_place *out_place, AVFrame **out)
{
    const struct plan *plan = im->p.plan;
    *out_lent = false;
    *out_place = (struct alpha_place){.slot_id = rec->in_slot};
    if (plan->rate > 1) return make_between(im, rec, k, out_place, out);
    if (rec->flags & REEL_FRAME_REPEAT && im->last) {
        *out = av_frame_clone(im->last);
        return *out ? REEL_OK : reel_fail(REEL_ERR_NOMEM, "could not repeat a picture: out of memory");
    }
    if (rec->flags & FILL_IN) return pass(im, rec->in_slot, taken, out_lent, out);
    if (plan->task == REEL_TASK_IMAGE || plan->raw_mask)
        return borrow(im, im->p.out, rec->out_slot, taken, out_lent, out);
    return plan->cutout ? cut_out(im, rec, taken, out_lent, out) : with_results(im, rec, taken, out_lent, out);
}

// Adds the transparency of the frame's input to a picture. A picture on loan is returned.
static enum reel_err give_alpha(struct image *im, const struct alpha_place *place, AVFrame **frame)
{
    const struct plan *plan = im->p.plan;
    AVFrame *out = NULL;
    enum reel_err err =
        alpha_join(&im->alpha, &im->alpha_convert, *frame, plan->drawn_format, &plan->colour, im->p.in, place, &out);
    av_frame_free(frame);
    *frame = out;
    return err;
}

static void set_properties(const struct image *im, const struct reel_rec_frame *rec, uint32_t k, AVFrame *frame)
{
    const struct reel_media *m = &im->p.plan->media;
    plan_time(im->p.plan, rec, k, &frame->pts, av_frame_duration(frame));
    frame->pict_type = AV_PICTURE_TYPE_NONE;
    frame->sample_aspect_ratio = (AVRational){m->sar.num, m->sar.den > 0 ? m->sar.den : 1};
    av_frame_set_fields(frame, m->flags & REEL_MEDIA_INTERLACED, m->flags & REEL_MEDIA_TOP_FIRST);
    picture_tag(frame, &im->p.plan->colour);
}

// Passes a picture on: to the filter, or converted to where image_next() finds it.
static enum reel_err hand_on(struct image *im, AVFrame **frame)
{
    const struct plan *plan = im->p.plan;
    if (im->filter) return filter_send(im->filter, frame);
    enum reel_err err = picture_convert(&im->convert, *frame, &plan->colour, plan->final_format, plan->final_width,
                                        plan->final_height, &plan->final_colour, &im->ready);
    av_frame_free(frame);
    return err;
}

enum reel_err image_send(struct image *im, const struct reel_rec_frame *rec, uint32_t k)
{
    struct reel_rec_taken taken = {im->p.lane, im->p.epoch, rec->n};
    struct reel_stamp stamp;
    enum reel_err err = image_check(im, rec, &stamp);
    if (err) return err;
    AVFrame *frame = NULL;
    bool lent;
    struct alpha_place place;
    if ((err = make(im, rec, k, taken, &lent, &place, &frame))) return err;
    // A repeated picture has its transparency.
    const bool repeated = rec->flags & REEL_FRAME_REPEAT && im->last && im->p.plan->rate == 1;
    if (im->p.plan->alpha && !repeated && (err = give_alpha(im, &place, &frame))) return err;
    // A repeated picture has none of its own.
    while (frame->nb_side_data) av_frame_remove_side_data(frame, frame->side_data[0]->type);
    set_properties(im, rec, k, frame);
    if (!k && stamp.aux_bytes && plan_is_video(im->p.plan->job.kind)) attach_side_data(im, rec, stamp.aux_bytes, frame);
    if (!lent && k + 1 == im->p.plan->rate) release_return(im->p.release, taken);
    av_frame_free(&im->last);
    im->last = av_frame_clone(frame);
    if (!im->last) {
        av_frame_free(&frame);
        return reel_fail(REEL_ERR_NOMEM, "could not take a picture: out of memory");
    }
    return hand_on(im, &frame);
}

enum reel_err image_end(struct image *im)
{
    im->ended = true;
    av_frame_free(&im->last);
    AVFrame *none = NULL;
    return im->filter ? filter_send(im->filter, &none) : REEL_OK;
}

enum reel_err image_next(struct image *im, AVFrame **out_frame)
{
    if (im->filter) return filter_receive(im->filter, out_frame);
    if (!im->ready) return im->ended ? REEL_EOF : REEL_AGAIN;
    *out_frame = im->ready;
    im->ready = NULL;
    return REEL_OK;
}

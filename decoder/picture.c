// SPDX-License-Identifier: MIT
//
// Decodes a still picture for the model. See picture.h. It takes the first frame of any input that
// demux.c opens, an image or a video, turns it upright, and copies it as upload.c copies frames.
#include "decoder/picture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/hash.h"
#include "common/life.h"
#include "common/log.h"
#include "common/picture.h"
#include "decoder/decode.h"
#include "decoder/demux.h"
#include "decoder/facts.h"
#include "decoder/filter.h"
#include "decoder/upload.h"

enum { ARG_FILE = 2, ARG_MEMORY, ARG_ANSWER, ARG_MAX_PIXELS, ARG_PARENT, ARG_LIFE, ARGS };

bool picture_is_asked(int argc, char **argv)
{
    return argc == ARGS && !strcmp(argv[1], PICTURE_MARK);
}

// ---- decoding -----------------------------------------------------------------

static enum reel_err no_picture(const char *path, const char *why)
{
    return reel_fail(REEL_ERR_INPUT,
                     "could not read picture \"%s\": %s\nit must be an image (png, jpg, webp, ...) or a video, of "
                     "which the first frame is used",
                     path, why);
}

static enum reel_err no_frame(const struct demux *demux, const struct decode *decode, const char *path)
{
    const char *why = decode_last_error(decode);
    if (demux->par->width || !*why) return no_picture(path, *why ? why : "it contains no picture");
    return reel_fail(REEL_ERR_INPUT,
                     "could not read picture \"%s\": it is damaged, or has more than %g million pixels (%s)\nif that "
                     "is intended, raise --max_pixels",
                     path, demux->settings->max_pixels, why);
}

// The first frame that the codec gives.
static enum reel_err decode_first(struct demux *demux, struct decode *decode, const char *path, AVFrame *frame)
{
    AVPacket *packet = av_packet_alloc();
    enum reel_err err =
        packet ? REEL_OK : reel_fail(REEL_ERR_NOMEM, "could not read picture \"%s\": out of memory", path);
    bool ended = false;
    while (!err) {
        if ((err = decode_receive(decode, frame)) != REEL_AGAIN) break;
        if (ended) break;
        err = demux_read(demux, packet);
        ended = err == REEL_EOF;
        if (err && !ended) break;
        if (ended)
            err = decode_send(decode, NULL);
        else
            err = packet->stream_index == demux->video ? decode_send(decode, packet) : REEL_OK;
        av_packet_unref(packet);
        if (err == REEL_AGAIN) err = REEL_OK;
    }
    av_packet_free(&packet);
    return err == REEL_EOF || err == REEL_AGAIN ? no_frame(demux, decode, path) : err;
}

// The rotation of an image is in its frame, that of a video in its stream.
static enum reel_err turn_upright(struct demux *demux, AVFrame *frame)
{
    const AVFrameSideData *side = av_frame_get_side_data(frame, AV_FRAME_DATA_DISPLAYMATRIX);
    const struct filter_params params = {.pre_filter = "",
                                         .matrix = side && side->size >= 9 * sizeof(int32_t)
                                                       ? (const int32_t *)(const void *)side->data
                                                       : demux_display_matrix(demux),
                                         .time_base = demux->time_base,
                                         .frame_rate = demux->frame_rate};
    struct filter *filter = NULL;
    enum reel_err err = filter_create(&params, &filter);
    if (!err && !filter_passes(filter)) {
        err = filter_send(filter, frame);
        if (!err) err = filter_send(filter, NULL);
        if (!err) err = filter_receive(filter, frame);
    }
    filter_destroy(&filter);
    return err;
}

// Turns demux.c's message about a video into one about a picture: keeps the reason after the name.
static enum reel_err not_opened(const char *path, enum reel_err err)
{
    char text[REEL_ERROR_TEXT_MAX];
    if (err == REEL_ERR_NOMEM || err == REEL_ERR_IO) return err;
    snprintf(text, sizeof text, "%s", reel_fail_text());
    text[strcspn(text, "\n")] = 0;
    const char *why = strstr(text, "\": ");
    return no_picture(path, why ? why + 3 : text);
}

static enum reel_err check_size(const char *path, const AVCodecParameters *par, double max_pixels)
{
    if ((double)par->width * par->height <= max_pixels * 1e6) return REEL_OK;
    return reel_fail(REEL_ERR_CONFIG,
                     "could not read picture \"%s\": it is %dx%d, more than %g million pixels\nif that is intended, "
                     "raise --max_pixels",
                     path, par->width, par->height, max_pixels);
}

static enum reel_err read_frame(const char *path, const struct reel_settings *settings, AVFrame *frame)
{
    const struct reel_job job = {.input = path, .output = "", .parts_dir = ""};
    struct demux *demux = NULL;
    struct decode *decode = NULL;
    enum reel_err err = demux_open(&job, settings, &demux);
    if (err) return not_opened(path, err);
    const struct decode_params params = {.par = demux->par,
                                         .time_base = demux->time_base,
                                         .threads = 1,
                                         .max_pixels = (int64_t)(settings->max_pixels * 1e6),
                                         .name = path};
    err = check_size(path, demux->par, settings->max_pixels);
    if (!err) err = decode_open(&params, &decode);
    if (!err) err = decode_first(demux, decode, path, frame);
    if (!err) err = turn_upright(demux, frame);
    decode_close(&decode);
    demux_close(&demux);
    return err;
}

// ---- handing over -------------------------------------------------------------

static void say_nothing(void *ctx, int level, const char *text)
{
    reel_debug("picture", "%s", text);
}

static enum reel_err hand_over(const char *path, const AVFrame *frame, int memory)
{
    const struct notes notes = {say_nothing, NULL};
    const struct facts_ask ask = {
        .name = path, .notes = &notes, .source = (enum AVPixelFormat)frame->format, .still = true};
    struct reel_media media = {0};
    struct reel_picture head = {.magic = REEL_PICTURE_MAGIC};
    enum reel_err err = facts_of_picture(&ask, frame, &media);
    if (!err) err = reel_geometry_init(&head.geometry, media.format, media.width, media.height, 0);
    uint64_t size;
    if (!err) err = reel_sha256_file(path, head.sha256, &size);
    if (err) return err;
    head.colour = media.colour;
    const size_t bytes = REEL_PICTURE_OFFSET + head.geometry.slot_bytes;
    if (ftruncate(memory, (off_t)bytes))
        return reel_fail(REEL_ERR_NOMEM, "could not hold picture \"%s\": %s", path, strerror(errno));
    uint8_t *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    if (base == MAP_FAILED)
        return reel_fail(REEL_ERR_NOMEM, "could not hold picture \"%s\": %s", path, strerror(errno));
    memcpy(base, &head, sizeof head);
    struct upload upload = {0};
    bool fitted;
    err = upload_frame(&upload, &head.geometry, &head.colour, base + REEL_PICTURE_OFFSET, frame, &fitted);
    upload_fini(&upload);
    munmap(base, bytes);
    return err;
}

static enum reel_err read_picture(const char *path, int memory, double max_pixels)
{
    struct stat st;
    if (access(path, R_OK) || stat(path, &st))
        return reel_fail(REEL_ERR_CONFIG, "could not open picture \"%s\": %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode)) return no_picture(path, "it is not a file");
    struct reel_settings *settings = calloc(1, sizeof *settings);
    AVFrame *frame = av_frame_alloc();
    enum reel_err err =
        settings && frame ? REEL_OK : reel_fail(REEL_ERR_NOMEM, "could not read picture \"%s\": out of memory", path);
    if (!err) {
        opt_defaults(reel_settings_table(), settings);
        settings->max_pixels = max_pixels;
        err = read_frame(path, settings, frame);
    }
    if (!err) err = hand_over(path, frame, memory);
    av_frame_free(&frame);
    free(settings);
    return err;
}

int picture_main(int argc, char **argv)
{
    reel_log_init("decoder", 0, REEL_LOG_ERROR, NULL);
    if (reel_life_adopt((pid_t)atoi(argv[ARG_PARENT]))) return 1;
    reel_crash_init("decoder", 0, (uint32_t)atoi(argv[ARG_LIFE]));
    reel_crash_point("decoder.picture");
    av_log_set_level(AV_LOG_QUIET); // errors are part of the answer
    struct reel_picture_answer answer = {0};
    answer.err = (int32_t)read_picture(argv[ARG_FILE], atoi(argv[ARG_MEMORY]), strtod(argv[ARG_MAX_PIXELS], NULL));
    if (answer.err) snprintf(answer.text, sizeof answer.text, "%s", reel_fail_text());
    // Shorter than PIPE_BUF, so it is written whole or not at all.
    return write(atoi(argv[ARG_ANSWER]), &answer, sizeof answer) == (ssize_t)sizeof answer && !answer.err ? 0 : 1;
}

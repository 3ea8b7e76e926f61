// SPDX-License-Identifier: MIT
//
// The part that all decoders share. See decode.h.
#include "decoder/decode.h"

#include <stdlib.h>

#include "decoder/nvdec.h"

// After so many failures in a row without a frame or a new packet the codec is stuck.
#define STUCK_AFTER 1000

struct decode {
    const struct decode_ops *ops;
    void *state;
    int64_t errors;
    int in_row;
    char last_error[AV_ERROR_MAX_STRING_SIZE];
};

enum reel_err decode_open(const struct decode_params *params, struct decode **out_decode)
{
    *out_decode = NULL;
    struct decode *d = calloc(1, sizeof *d);
    if (!d) return reel_fail(REEL_ERR_NOMEM, "could not open decoder for \"%s\": out of memory", params->name);
    d->ops = params->nvdec && nvdec_can(params->par) ? &decode_nvdec : &decode_sw;
    enum reel_err err = d->ops->open(params, &d->state);
    if (err) decode_close(&d);
    *out_decode = d;
    return err;
}

void decode_close(struct decode **decode)
{
    struct decode *d = *decode;
    if (!d) return;
    if (d->state) d->ops->close(&d->state);
    free(d);
    *decode = NULL;
}

static enum reel_err count_error(struct decode *d, int code)
{
    if (code == AVERROR(ENOMEM)) return reel_fail(REEL_ERR_NOMEM, "could not decode: out of memory");
    d->errors++;
    av_strerror(code, d->last_error, sizeof d->last_error);
    return REEL_OK;
}

enum reel_err decode_send(struct decode *d, const AVPacket *packet)
{
    int r = d->ops->send(d->state, packet);
    if (r == AVERROR(EAGAIN)) return REEL_AGAIN;
    if (r >= 0 || r == AVERROR_EOF) {
        d->in_row = 0;
        return REEL_OK;
    }
    return count_error(d, r);
}

enum reel_err decode_receive(struct decode *d, AVFrame *frame)
{
    for (;;) {
        int r = d->ops->receive(d->state, frame);
        if (r >= 0) {
            d->in_row = 0;
            return REEL_OK;
        }
        if (r == AVERROR(EAGAIN)) return REEL_AGAIN;
        if (r == AVERROR_EOF || ++d->in_row > STUCK_AFTER) return REEL_EOF;
        enum reel_err err = count_error(d, r);
        if (err) return err;
    }
}

bool decode_on_gpu(const struct decode *d)
{
    return d->ops == &decode_nvdec;
}

int64_t decode_errors(const struct decode *d)
{
    return d->errors;
}

const char *decode_last_error(const struct decode *d)
{
    return d->last_error;
}

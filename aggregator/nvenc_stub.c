// SPDX-License-Identifier: MIT
//
// nvenc.h in a build without CUDA: there is never a GPU.
#include "aggregator/nvenc.h"

#include <string.h>

void nvenc_use(int device)
{
}

void nvenc_end(void)
{
}

bool nvenc_is(const AVCodec *codec)
{
    const char *end = codec ? strstr(codec->name, "_nvenc") : NULL;
    return end && !end[6];
}

bool nvenc_ready(void)
{
    return false;
}

enum reel_err nvenc_prepare(AVCodecContext *ctx)
{
    return reel_fail(REEL_ERR_UNSUPPORTED, "could not encode on a GPU: this build has no CUDA");
}

enum reel_err nvenc_surface(const AVCodecContext *ctx, const AVFrame *frame, AVFrame **out_surface)
{
    return reel_fail(REEL_ERR_UNSUPPORTED, "could not encode on a GPU: this build has no CUDA");
}

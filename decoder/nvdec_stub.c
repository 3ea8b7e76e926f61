// SPDX-License-Identifier: MIT
//
// nvdec.h in a build without CUDA: nothing can be decoded on a GPU.
#include "decoder/nvdec.h"

static enum reel_err refuse(void)
{
    return reel_fail(REEL_ERR_UNSUPPORTED, "could not decode on a GPU: this build has no CUDA");
}

enum reel_err nvdec_create(int device, struct nvdec **out_nvdec)
{
    *out_nvdec = NULL;
    return refuse();
}

void nvdec_destroy(struct nvdec **nvdec)
{
}

const char *nvdec_name(const struct nvdec *nvdec)
{
    return "cpu";
}

void *nvdec_stream(const struct nvdec *nvdec)
{
    return NULL;
}

bool nvdec_can(const AVCodecParameters *par)
{
    return false;
}

enum reel_err nvdec_to_slot(struct nvdec *nvdec, const AVFrame *frame, const struct reel_geometry *g, uint8_t *pixels)
{
    return refuse();
}

enum reel_err nvdec_download(struct nvdec *nvdec, const AVFrame *frame, AVFrame *out_frame)
{
    return refuse();
}

enum reel_err nvdec_upload(struct nvdec *nvdec, const struct reel_geometry *g, const uint8_t *slot, uint8_t *pixels)
{
    return refuse();
}

static enum reel_err no_open(const struct decode_params *p, void **out_state)
{
    return refuse();
}

const struct decode_ops decode_nvdec = {.name = "NVDEC", .open = no_open};

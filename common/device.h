// SPDX-License-Identifier: MIT
//
// The table of GPUs: what `worker --list_devices` found out, as text between
// that short-lived process and the coordinator, which loads no GPU driver.
//
// A table can also be given: the file named by REELMILL_DEVICES replaces the
// machine's GPUs (tests: machines with and without NVENC, NVDEC, peer access).
// A device marked host=1 keeps its memory in host shared memory, so that
// everything except kernels works with it.
//
//   reelmill-devices 1
//   cuda runtime=13000 driver=13000 cudnn=91900
//   gpu name="NVIDIA H200" uuid=GPU-... pci=0000:65:00.0 cc=9.0 sm=132 total=... free=... numa=0 decode=h264,hevc ...
//   trouble "one line that says why there are none"
#ifndef REEL_COMMON_DEVICE_H
#define REEL_COMMON_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define REEL_MAX_GPUS 64
#define REEL_DEVICES_ENV "REELMILL_DEVICES"

// Codecs of NVDEC and NVENC.
enum reel_gpu_codec {
    REEL_GPU_H264 = 1 << 0,
    REEL_GPU_HEVC = 1 << 1,
    REEL_GPU_HEVC_10BIT = 1 << 2,
    REEL_GPU_AV1 = 1 << 3,
    REEL_GPU_VP8 = 1 << 4,
    REEL_GPU_VP9 = 1 << 5,
    REEL_GPU_MPEG2 = 1 << 6,
    REEL_GPU_MPEG4 = 1 << 7,
    REEL_GPU_VC1 = 1 << 8,
    REEL_GPU_MJPEG = 1 << 9,
};

struct reel_gpu {
    char name[96], uuid[48], pci[16];
    int cc_major, cc_minor, sm_count;
    int numa_node; // -1 unknown
    uint64_t total_bytes, free_bytes;
    uint32_t decode, encode; // enum reel_gpu_codec bits: NVDEC, NVENC
    uint32_t decode_engines; // NVDECs; 0: unknown or none
    int encode_sessions;     // most at a time; 0: no limit
    uint64_t peers;          // bit i: its kernels may read the memory of GPU i of the table
    bool mig;                // a slice of a GPU
    bool vmm;                // memory can be shared as a file descriptor
    bool host;               // no GPU at all: memory is the host's (tests)
};

struct reel_gpu_table {
    uint32_t n;
    struct reel_gpu gpu[REEL_MAX_GPUS];
    int runtime, driver; // CUDA versions, 1000 * major + 10 * minor; 0 none
    int cudnn;           // version; 0: not found
    char trouble[512];   // why n is 0 or the GPUs cannot be used; ""
};

// What NVIDIA's support matrix says about a GPU of this name and compute
// capability (Video Codec SDK 13, "Video Encode and Decode GPU Support
// Matrix"). What a machine really has is probed when a codec is opened.
void reel_gpu_codecs(struct reel_gpu *gpu);

// Appends the table's text to out (NUL-terminated); returns its length, or -1
// when it does not fit.
int reel_gpu_table_print(const struct reel_gpu_table *table, char *out, size_t bytes);
// Errors: INPUT with the line's number.
enum reel_err reel_gpu_table_parse(const char *text, struct reel_gpu_table *out);
// Reads the file that REELMILL_DEVICES names and keeps what
// CUDA_VISIBLE_DEVICES shows (numbers, GPU-... and MIG-... in full or as a
// prefix; as in CUDA, the list ends at the first invalid entry). AGAIN: the
// variable is not set.
enum reel_err reel_gpu_table_told(struct reel_gpu_table *out);
// CUDA_VISIBLE_DEVICES' rule on any table; list NULL shows all.
void reel_gpu_table_select(struct reel_gpu_table *table, const char *list);

// "h264, hevc 10 bit, av1" of codec bits; "none" of 0.
const char *reel_gpu_codec_text(uint32_t codecs, char *buf, size_t bytes);

#endif

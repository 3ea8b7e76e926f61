// SPDX-License-Identifier: MIT
//
// The table of GPUs: text and back, what CUDA_VISIBLE_DEVICES leaves, and which
// codecs the support matrix gives to a GPU.
#include "tests/check.h"

#include "common/device.h"

static const char text[] =
    "reelmill-devices 1\n"
    "cuda runtime=13000 driver=13010 cudnn=91900\n"
    "# a comment\n"
    "gpu name=\"NVIDIA A\" uuid=GPU-11111111-0 pci=0000:01:00.0 cc=9.0 sm=132 total=1000 free=900 numa=1 "
    "decode=h264,hevc nvdecs=7 encode= sessions=0 peers=1,2 mig=0 vmm=1 host=0\n"
    "gpu name=\"B\" uuid=GPU-22222222-0 cc=8.9 sm=10 peers=0\n"
    "gpu name=\"C MIG 1g.10gb\" uuid=MIG-33333333-0 cc=9.0 sm=16 mig=1 peers=0,1\n";

static void round_trip(void)
{
    static struct reel_gpu_table a, b;
    CHECK_INT(reel_gpu_table_parse(text, &a), REEL_OK);
    CHECK_INT(a.n, 3);
    CHECK_INT(a.driver, 13010);
    CHECK_INT(a.cudnn, 91900);
    CHECK_STR(a.gpu[0].name, "NVIDIA A");
    CHECK_INT(a.gpu[0].decode, REEL_GPU_H264 | REEL_GPU_HEVC);
    CHECK_INT(a.gpu[0].decode_engines, 7);
    CHECK_INT(a.gpu[1].decode_engines, 0);
    CHECK_INT(a.gpu[0].encode, 0);
    CHECK_INT(a.gpu[0].peers, 6);
    CHECK(a.gpu[0].vmm && !a.gpu[0].mig && a.gpu[2].mig);
    CHECK_INT(a.gpu[1].numa_node, -1);
    char out[4096];
    snprintf(a.trouble, sizeof a.trouble, "first line\nhint");
    CHECK(reel_gpu_table_print(&a, out, sizeof out) > 0);
    CHECK_INT(reel_gpu_table_parse(out, &b), REEL_OK);
    CHECK_INT(memcmp(&a, &b, sizeof a), 0);
    CHECK_INT(reel_gpu_table_print(&a, out, 100), -1);
}

static void refused(void)
{
    static struct reel_gpu_table t;
    CHECK_INT(reel_gpu_table_parse("", &t), REEL_ERR_INPUT);
    CHECK_INT(reel_gpu_table_parse("something else\n", &t), REEL_ERR_INPUT);
    CHECK_INT(reel_gpu_table_parse("reelmill-devices 1\ngpu name=\"A\" speed=3\n", &t), REEL_ERR_INPUT);
    CHECK_HAS(reel_fail_text(), "line 2");
    CHECK_INT(reel_gpu_table_parse("reelmill-devices 1\ngpu name=\"A\n", &t), REEL_ERR_INPUT);
}

// CUDA C Programming Guide, "CUDA Environment Variables".
static void visible(void)
{
    static const struct {
        const char *list, *names;
    } cases[] = {{"0,2", "NC"},  {"2,0", "CN"}, {"1", "B"},    {"", ""}, {"GPU-2,0", "BN"}, {"MIG-33333333-0", "C"},
                 {"1,7,0", "B"}, // ends at the first that is none
                 {"GPU-", ""},   // the beginning of two
                 {"0,0", "N"},   {"-1", ""},    {"1, 0", "BN"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        static struct reel_gpu_table t;
        CHECK_INT(reel_gpu_table_parse(text, &t), REEL_OK);
        reel_gpu_table_select(&t, cases[i].list);
        char names[8] = "";
        for (uint32_t k = 0; k < t.n; k++) names[k] = t.gpu[k].name[0];
        CHECK_MSG(!strcmp(names, cases[i].names), "\"%s\" shows \"%s\", not \"%s\"", cases[i].list, names,
                  cases[i].names);
        if (!t.n) CHECK_HAS(t.trouble, "CUDA_VISIBLE_DEVICES");
    }
    static struct reel_gpu_table t;
    CHECK_INT(reel_gpu_table_parse(text, &t), REEL_OK);
    reel_gpu_table_select(&t, "2,0");
    CHECK_INT(t.gpu[0].peers, 2); // C may read N, which is number 1 now
    CHECK_INT(t.gpu[1].peers, 1);
    reel_gpu_table_select(&t, NULL);
    CHECK_INT(t.n, 2);
}

static struct reel_gpu gpu_of(const char *name, int major, int minor)
{
    struct reel_gpu g = {.cc_major = major, .cc_minor = minor};
    snprintf(g.name, sizeof g.name, "%s", name);
    g.mig = strstr(name, "MIG ") != NULL;
    reel_gpu_codecs(&g);
    return g;
}

static void codecs(void)
{
    static const struct {
        const char *name;
        int major, minor, av1_decode, encode, av1_encode, sessions, engines;
    } cases[] = {
        {"NVIDIA A100-SXM4-80GB", 8, 0, 0, 0, 0, 0, 5},
        {"NVIDIA H100 80GB HBM3", 9, 0, 0, 0, 0, 0, 7},
        {"NVIDIA H200", 9, 0, 0, 0, 0, 0, 7},
        {"NVIDIA B200", 10, 0, 1, 0, 0, 0, 7},
        {"Tesla T4", 7, 5, 0, 1, 0, 0, 2},
        {"NVIDIA A10", 8, 6, 1, 1, 0, 0, 2},
        {"NVIDIA RTX A1000", 8, 6, 1, 1, 0, 0, 1},
        {"NVIDIA L4", 8, 9, 1, 1, 1, 0, 4},
        {"NVIDIA L40S", 8, 9, 1, 1, 1, 0, 3},
        {"NVIDIA A100-SXM4-40GB MIG 3g.20gb", 8, 0, 0, 0, 0, 0, 1},
        {"NVIDIA H300", 9, 0, 0, 0, 0, 0, 7}, // not known by name
        {"NVIDIA GeForce RTX 3090", 8, 6, 1, 1, 0, 8, 1},
        {"NVIDIA GeForce RTX 5090", 12, 0, 1, 1, 1, 8, 2},
        {"NVIDIA GeForce RTX 2080", 7, 5, 0, 1, 0, 8, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct reel_gpu g = gpu_of(cases[i].name, cases[i].major, cases[i].minor);
        CHECK(g.decode & REEL_GPU_H264 && g.decode & REEL_GPU_HEVC_10BIT);
        CHECK_MSG(!!(g.decode & REEL_GPU_AV1) == cases[i].av1_decode, "%s: AV1 decoding", g.name);
        CHECK_MSG(!!(g.encode & REEL_GPU_HEVC) == cases[i].encode, "%s: encoding", g.name);
        CHECK_MSG(!!(g.encode & REEL_GPU_AV1) == cases[i].av1_encode, "%s: AV1 encoding", g.name);
        CHECK_MSG((int)g.decode_engines == cases[i].engines, "%s: %u NVDECs", g.name, g.decode_engines);
        CHECK_MSG(g.encode_sessions == cases[i].sessions, "%s: %d sessions", g.name, g.encode_sessions);
    }
    char buf[128];
    CHECK_STR(reel_gpu_codec_text(0, buf, sizeof buf), "none");
    CHECK_STR(reel_gpu_codec_text(REEL_GPU_H264 | REEL_GPU_HEVC | REEL_GPU_HEVC_10BIT, buf, sizeof buf),
              "h264, hevc 10 bit");
}

CHECK_MAIN({"GPU table as text", round_trip}, {"GPU tables refused", refused}, {"CUDA_VISIBLE_DEVICES", visible},
           {"NVDEC and NVENC by GPU", codecs})

// SPDX-License-Identifier: MIT
//
// The fused patterns of the networks that people run over video, at the sizes
// they run them, by hand: what the planning tests and the plan table use beside
// the patterns of model files. Included by one .c file of a program.
#ifndef REEL_TESTS_PLANNING_PATTERNS_H
#define REEL_TESTS_PLANNING_PATTERNS_H

#include "worker/backend/cudnn/plan/pattern.h"

struct named_pattern {
    const char *name;
    enum gpu_pattern_kind kind;
    int c, h, w, k, filter, stride, dilation, groups;
    // Steps after the main operation: b bias, r residual, s scale by a number,
    // g gate (multiply by a tensor); R relu, L leaky, P prelu, 6 clip(0,6),
    // C clip(0,1), S silu, H hswish, h hsigmoid, I sigmoid, T tanh, G gelu by erf,
    // t gelu by tanh, E elu, M mish.
    const char *steps;
    bool quick;    // in `make test`; the others in the long run
    int sm75_left; // steps that an sm_75 leaves to the caller: its run-time compiled
                   // engines want channels in eights and know no transposed convolution;
                   // -1: takes none, and is not asked for
    bool line;     // the filter has one column
};

static const struct named_pattern named_patterns[] = {
    // SRVGG compact, RRDB, ESPCN: upscalers
    {"srvgg body", GPU_CONV, 64, 540, 960, 64, 3, 1, 1, 1, "bP", true},
    {"srvgg body 1080p", GPU_CONV, 64, 1080, 1920, 64, 3, 1, 1, 1, "bP", false},
    {"srvgg first", GPU_CONV, 3, 540, 960, 64, 3, 1, 1, 1, "bP", true, 1},
    {"srvgg last", GPU_CONV, 64, 540, 960, 48, 3, 1, 1, 1, "b", true},
    {"rrdb dense 1", GPU_CONV, 64, 540, 960, 32, 3, 1, 1, 1, "bL", false},
    {"rrdb dense 4", GPU_CONV, 160, 540, 960, 32, 3, 1, 1, 1, "bL", true},
    {"rrdb dense 5", GPU_CONV, 192, 540, 960, 64, 3, 1, 1, 1, "bsr", true},
    {"rrdb last", GPU_CONV, 64, 2160, 3840, 3, 3, 1, 1, 1, "b", false},
    {"upscaler body", GPU_CONV, 32, 1080, 1920, 32, 3, 1, 1, 1, "bR", false},
    {"espcn 5x5", GPU_CONV, 1, 540, 960, 64, 5, 1, 1, 1, "bR", true},
    {"espcn last", GPU_CONV, 32, 540, 960, 9, 3, 1, 1, 1, "b", false},
    {"residual block", GPU_CONV, 64, 540, 960, 64, 3, 1, 1, 1, "brR", true},
    {"residual block end", GPU_CONV, 64, 540, 960, 64, 3, 1, 1, 1, "br", true},
    // IRCNN: dilated
    {"ircnn d2", GPU_CONV, 64, 1080, 1920, 64, 3, 1, 2, 1, "bR", true},
    {"ircnn d3", GPU_CONV, 64, 1080, 1920, 64, 3, 1, 3, 1, "bR", false},
    {"ircnn d4", GPU_CONV, 64, 1080, 1920, 64, 3, 1, 4, 1, "bR", false},
    // fast neural style
    {"style 9x9 first", GPU_CONV, 3, 720, 720, 32, 9, 1, 1, 1, "b", true},
    {"style down", GPU_CONV, 32, 720, 720, 64, 3, 2, 1, 1, "bR", true},
    {"style 9x9 last", GPU_CONV, 32, 720, 720, 3, 9, 1, 1, 1, "bT", true, 1},
    {"style deconv", GPU_DECONV, 128, 180, 180, 64, 3, 2, 1, 1, "b", true, 1},
    {"deconv 4x4 relu", GPU_DECONV, 64, 270, 480, 32, 4, 2, 1, 1, "bR", true, 2},
    {"rife deconv prelu", GPU_DECONV, 128, 135, 240, 64, 4, 2, 1, 1, "bP", false, 2},
    // MobileNets, YOLOX, detectors
    {"mobilenet first", GPU_CONV, 3, 416, 416, 16, 3, 2, 1, 1, "bH", true, 1},
    {"mobilenet 1x1 relu6", GPU_CONV, 32, 208, 208, 64, 1, 1, 1, 1, "b6", true},
    {"mobilenet 1x1 linear + add", GPU_CONV, 96, 52, 52, 24, 1, 1, 1, 1, "br", true},
    {"mobilenet se squeeze", GPU_CONV, 64, 1, 1, 16, 1, 1, 1, 1, "bR", true},
    {"mobilenet se excite", GPU_CONV, 16, 1, 1, 64, 1, 1, 1, 1, "bh", true},
    {"yolox silu 3x3", GPU_CONV, 64, 80, 80, 64, 3, 1, 1, 1, "bS", true},
    {"yolox silu 1x1", GPU_CONV, 128, 40, 40, 64, 1, 1, 1, 1, "bS", false},
    {"yolox silu stride 2", GPU_CONV, 64, 160, 160, 128, 3, 2, 1, 1, "bS", false},
    {"yolov8 head", GPU_CONV, 64, 80, 80, 80, 1, 1, 1, 1, "bI", true},
    {"yolov4 mish", GPU_CONV, 64, 152, 152, 64, 3, 1, 1, 1, "bM", false},
    {"retinaface leaky", GPU_CONV, 64, 80, 80, 64, 1, 1, 1, 1, "bL", false},
    {"grouped 3x3", GPU_CONV, 128, 80, 80, 128, 3, 1, 1, 4, "bR", true},
    {"lowlight sigmoid", GPU_CONV, 3, 720, 1280, 3, 3, 1, 1, 1, "bI", false, 1},
    {"elu", GPU_CONV, 64, 180, 320, 64, 3, 1, 1, 1, "bE", false},
    {"gate", GPU_CONV, 64, 180, 320, 64, 3, 1, 1, 1, "bIg", false},
    // over three axes (lower/volume.c, lower/axis.c)
    {"planes joined", GPU_CONV, 192, 112, 112, 64, 3, 1, 1, 1, "bR", true},
    {"planes joined, 4 groups", GPU_CONV, 256, 56, 56, 128, 3, 1, 1, 4, "bR", true},
    {"planes, residual", GPU_CONV, 384, 56, 56, 128, 3, 1, 1, 1, "rbR", true},
    {"across planes", GPU_CONV, 144, 16, 3136, 64, 3, 1, 1, 1, "bR", true, 0, true},
    {"across planes, stride 2", GPU_CONV, 64, 16, 3136, 64, 3, 2, 1, 1, "b", false, 0, true},
    {"planes deconv 2x2", GPU_DECONV, 64, 64, 64, 32, 2, 2, 1, 1, "b", true, 1},
    {"planes deconv 4x4", GPU_DECONV, 128, 32, 32, 64, 4, 2, 1, 1, "bR", true, 2},
    // transformers
    {"swin qkv", GPU_MATMUL, 180, 64, 1, 540, 1, 1, 1, 1, "b", true, -1},
    {"swin light", GPU_MATMUL, 60, 64, 1, 120, 1, 1, 1, 1, "bG", false, -1},
    {"matmul gelu", GPU_MATMUL, 128, 4096, 1, 512, 1, 1, 1, 1, "bG", true},
    {"matmul gelu tanh", GPU_MATMUL, 48, 64, 1, 192, 1, 1, 1, 1, "bt", false},
    {"matmul residual", GPU_MATMUL, 512, 4096, 1, 128, 1, 1, 1, 1, "br", true},
};
#define N_NAMED_PATTERNS ((int)(sizeof named_patterns / sizeof named_patterns[0]))

static inline void named_pattern_step(struct gpu_pattern *p, char step)
{
    const enum gpu_operand none = GPU_OPERAND_NONE;
    switch (step) {
    case 'b':
        gpu_pattern_add(p, EPILOGUE_ADD, GPU_OPERAND_CHANNEL, 0, 0);
        break;
    case 'r':
        gpu_pattern_add(p, EPILOGUE_ADD, GPU_OPERAND_TENSOR, 0, 0);
        break;
    case 's':
        gpu_pattern_add(p, EPILOGUE_MUL, GPU_OPERAND_SCALAR, 0.2f, 0);
        break;
    case 'g':
        gpu_pattern_add(p, EPILOGUE_MUL, GPU_OPERAND_TENSOR, 0, 0);
        break;
    case 'R':
        gpu_pattern_add(p, EPILOGUE_RELU, none, 0, 0);
        break;
    case 'L':
        gpu_pattern_add(p, EPILOGUE_LEAKY, none, 0.2f, 0);
        break;
    case 'P':
        gpu_pattern_add(p, EPILOGUE_PRELU, GPU_OPERAND_CHANNEL, 0, 0);
        break;
    case '6':
        gpu_pattern_add(p, EPILOGUE_CLIP, none, 0, 6);
        break;
    case 'C':
        gpu_pattern_add(p, EPILOGUE_CLIP, none, 0, 1);
        break;
    case 'S':
        gpu_pattern_add(p, EPILOGUE_SILU, none, 0, 0);
        break;
    case 'H':
        gpu_pattern_add(p, EPILOGUE_HSWISH, none, 0, 0);
        break;
    case 'h':
        gpu_pattern_add(p, EPILOGUE_HSIGMOID, none, 1.0f / 6, 0.5f);
        break;
    case 'I':
        gpu_pattern_add(p, EPILOGUE_SIGMOID, none, 0, 0);
        break;
    case 'T':
        gpu_pattern_add(p, EPILOGUE_TANH, none, 0, 0);
        break;
    case 'G':
        gpu_pattern_add(p, EPILOGUE_GELU_ERF, none, 0, 0);
        break;
    case 't':
        gpu_pattern_add(p, EPILOGUE_GELU_TANH, none, 0, 0);
        break;
    case 'E':
        gpu_pattern_add(p, EPILOGUE_ELU, none, 1, 0);
        break;
    case 'M':
        gpu_pattern_add(p, EPILOGUE_MISH, none, 0, 0);
        break;
    }
}

// "Same" padding for odd filters; 4x4 stride 2 transposed pads by 1.
static inline struct gpu_pattern named_pattern_make(const struct named_pattern *n)
{
    struct gpu_pattern p = gpu_pattern_make(n->kind, n->c, n->h, n->w, n->k, n->filter, n->line ? 1 : n->filter);
    int pad = n->kind == GPU_MATMUL ? 0 : n->dilation * (n->filter - 1) / 2;
    p.pad_top = p.pad_left = p.pad_bottom = p.pad_right = pad;
    p.stride_h = p.stride_w = n->stride;
    p.dilation_h = p.dilation_w = n->dilation;
    p.groups = n->groups;
    if (n->kind == GPU_DECONV && n->filter % 2) p.out_pad_h = p.out_pad_w = n->stride - 1;
    if (n->line) p.pad_left = p.pad_right = 0, p.stride_w = 1;
    for (const char *s = n->steps; *s; s++) named_pattern_step(&p, *s);
    return p;
}

#endif

// SPDX-License-Identifier: MIT
//
// Extents, checks and texts of fused patterns.
#include "tests/check.h"
#include "worker/backend/cudnn/plan/pattern.h"

static void test_extents(void)
{
    int rows, cols;
    struct gpu_pattern p = gpu_pattern_make(GPU_CONV, 3, 10, 17, 8, 3, 5);
    gpu_pattern_output(&p, &rows, &cols);
    CHECK_INT(rows, 8);
    CHECK_INT(cols, 13);
    p.pad_top = p.pad_left = 1;
    p.stride_h = 2, p.dilation_w = 3; // span 13 of 18
    gpu_pattern_output(&p, &rows, &cols);
    CHECK_INT(rows, 5);
    CHECK_INT(cols, 6);
    p.dilation_w = 9;
    gpu_pattern_output(&p, &rows, &cols);
    CHECK_INT(cols, 0);

    // ONNX's own example: 3x3 with stride 3,2 and output padding 1 makes 10x8.
    struct gpu_pattern d = gpu_pattern_make(GPU_DECONV, 1, 3, 3, 2, 3, 3);
    d.stride_h = 3, d.stride_w = 2, d.out_pad_h = d.out_pad_w = 1;
    gpu_pattern_output(&d, &rows, &cols);
    CHECK_INT(rows, 10);
    CHECK_INT(cols, 8);
}

static void test_bytes_and_flop(void)
{
    struct gpu_pattern p = gpu_pattern_make(GPU_CONV, 64, 360, 640, 32, 3, 3);
    p.pad_top = p.pad_left = p.pad_bottom = p.pad_right = 1;
    p.n = 2, p.groups = 2;
    gpu_pattern_add(&p, EPILOGUE_ADD, GPU_OPERAND_CHANNEL, 0, 0);
    gpu_pattern_add(&p, EPILOGUE_ADD, GPU_OPERAND_TENSOR, 0, 0);
    CHECK_INT(gpu_pattern_x_bytes(&p), 2 * 64 * 360 * 640 * 2);
    CHECK_INT(gpu_pattern_w_bytes(&p), 32 * 32 * 9 * 2);
    CHECK_INT(gpu_pattern_y_bytes(&p), 2 * 32 * 360 * 640 * 2);
    CHECK_INT(gpu_pattern_operand_bytes(&p, 0), 64);
    CHECK_INT(gpu_pattern_operand_bytes(&p, 1), gpu_pattern_y_bytes(&p));
    CHECK_NEAR(gpu_pattern_flop(&p), 2.0 * 2 * 32 * 32 * 9 * 360 * 640, 0);
}

static void test_refused(void)
{
    struct gpu_pattern p = gpu_pattern_make(GPU_CONV, 64, 8, 8, 64, 9, 9);
    CHECK_INT(gpu_pattern_check(&p), REEL_ERR_UNSUPPORTED);
    CHECK_HAS(reel_fail_text(), "larger than the padded input");
    p.r = p.s = 3;
    CHECK_INT(gpu_pattern_check(&p), REEL_OK);
    p.x_pitch = 63;
    CHECK_INT(gpu_pattern_check(&p), REEL_ERR_UNSUPPORTED);
    CHECK_HAS(reel_fail_text(), "pitch");
    p.x_pitch = 192;
    CHECK_INT(gpu_pattern_check(&p), REEL_OK);
    CHECK_INT(gpu_pattern_x_bytes(&p), 8 * 8 * 192 * 2);
    p.groups = 5;
    CHECK_INT(gpu_pattern_check(&p), REEL_ERR_UNSUPPORTED);
    p.groups = 1;
    gpu_pattern_add(&p, EPILOGUE_RELU, GPU_OPERAND_TENSOR, 0, 0);
    CHECK_INT(gpu_pattern_check(&p), REEL_ERR_UNSUPPORTED);
    for (int i = 1; i < GPU_MAX_STEPS; i++) CHECK(gpu_pattern_add(&p, EPILOGUE_RELU, GPU_OPERAND_NONE, 0, 0));
    CHECK(!gpu_pattern_add(&p, EPILOGUE_RELU, GPU_OPERAND_NONE, 0, 0));
}

// The text is the plan cache's key: every field that changes a plan must show.
static void test_text_tells_patterns_apart(void)
{
    struct gpu_pattern base = gpu_pattern_make(GPU_CONV, 64, 360, 640, 64, 3, 3), p;
    gpu_pattern_add(&base, EPILOGUE_LEAKY, GPU_OPERAND_NONE, 0.1f, 0);
    char a[GPU_PATTERN_TEXT_MAX], b[GPU_PATTERN_TEXT_MAX];
    gpu_pattern_text(&base, a, sizeof a);
#define DIFFERS(change)                                                                                      \
    do {                                                                                                     \
        p = base;                                                                                            \
        change;                                                                                              \
        CHECK_MSG(strcmp(a, gpu_pattern_text(&p, b, sizeof b)), "%s changes nothing in \"%s\"", #change, b); \
    } while (0)
    DIFFERS(p.kind = GPU_DECONV);
    DIFFERS(p.n = 2);
    DIFFERS(p.c = 32);
    DIFFERS(p.h = 361);
    DIFFERS(p.w = 641);
    DIFFERS(p.k = 65);
    DIFFERS(p.r = 1);
    DIFFERS(p.s = 1);
    DIFFERS(p.groups = 2);
    DIFFERS(p.pad_top = 1);
    DIFFERS(p.pad_left = 1);
    DIFFERS(p.pad_bottom = 1);
    DIFFERS(p.pad_right = 1);
    DIFFERS(p.stride_h = 2);
    DIFFERS(p.stride_w = 2);
    DIFFERS(p.dilation_h = 2);
    DIFFERS(p.dilation_w = 2);
    DIFFERS(p.out_pad_h = 1);
    DIFFERS(p.out_pad_w = 1);
    DIFFERS(p.x_pitch = 192);
    DIFFERS(p.y_pitch = 192);
    DIFFERS(p.w_batched = true);
    DIFFERS(p.x_type = GPU_BF16);
    DIFFERS(p.w_type = GPU_BF16);
    DIFFERS(p.y_type = GPU_F32);
    DIFFERS(p.allow_tf32 = true);
    DIFFERS(p.n_steps = 0);
    DIFFERS(p.step[0].kind = EPILOGUE_ELU);
    DIFFERS(p.step[0].alpha = 0.10000001f);
    gpu_pattern_add(&base, EPILOGUE_CLIP, GPU_OPERAND_NONE, 0, 6);
    gpu_pattern_add(&base, EPILOGUE_ADD, GPU_OPERAND_CHANNEL, 0, 0);
    gpu_pattern_text(&base, a, sizeof a);
    DIFFERS(p.step[1].beta = 1);
    DIFFERS(p.step[2].operand = GPU_OPERAND_SCALAR);
    DIFFERS(p.step[2].type = GPU_F32);
    DIFFERS(p.step[2].pitch = 192);
    // A number that a step does not read does not.
    p = base;
    p.step[0].beta = 7;
    CHECK_STR(a, gpu_pattern_text(&p, b, sizeof b));
    // The longest there can be fits.
    p = base;
    p.n_steps = 0;
    p.c = p.h = p.w = p.k = p.r = p.s = 1000000;
    while (gpu_pattern_add(&p, EPILOGUE_HSIGMOID, GPU_OPERAND_CHANNEL, 0.16666667f, 0.33333334f))
        ;
    CHECK(strlen(gpu_pattern_text(&p, b, sizeof b)) < sizeof b - 1);
}

CHECK_MAIN({"extents", test_extents}, {"bytes and flop", test_bytes_and_flop}, {"refused", test_refused},
           {"text tells patterns apart", test_text_tells_patterns_apart})

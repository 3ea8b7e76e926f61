// SPDX-License-Identifier: MIT
//
// Tables of measured engines: what an entry holds for, files and their faults,
// the built-in table. That a planner takes them is in test_cudnn_plan.c.
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/check.h"
#include "tests/planning/patterns.h"
#include "worker/backend/cudnn/plan/pins.h"

static struct gpu_pattern body(int h, int w)
{
    struct gpu_pattern p = gpu_pattern_make(GPU_CONV, 64, h, w, 64, 3, 3);
    p.pad_top = p.pad_left = p.pad_bottom = p.pad_right = 1;
    named_pattern_step(&p, 'b');
    named_pattern_step(&p, 'P');
    return p;
}

static const struct gpu_pin pin_a = {2, 41, 2, {{2, 4}, {34, -7}}}, pin_b = {1, 7, 0, {{0, 0}}};

static void holds_for(void)
{
    struct gpu_pins *pins;
    struct gpu_pin got;
    struct gpu_pattern hd = body(1080, 1920), other = body(540, 960), small = body(80, 80), smaller = body(40, 40);
    CHECK_INT(gpu_pins_create(&pins), REEL_OK);
    CHECK(!gpu_pins_find(pins, 90, &hd, &got) && !gpu_pins_find(NULL, 90, &hd, &got));
    CHECK_INT(gpu_pins_set(pins, 90, &hd, &pin_a), REEL_OK);
    CHECK_INT(gpu_pins_set(pins, 90, &small, &pin_b), REEL_OK);
    CHECK_INT(gpu_pins_count(pins), 2);
    // any large size and batch, of that GPU alone
    other.n = 4;
    CHECK(gpu_pins_find(pins, 90, &other, &got) && got.engine == 41 && got.n_knobs == 2 && got.knob[1].value == -7);
    CHECK(!gpu_pins_find(pins, 80, &hd, &got));
    // small sizes for themselves
    CHECK(gpu_pins_find(pins, 90, &small, &got) && got.engine == 7);
    CHECK(!gpu_pins_find(pins, 90, &smaller, &got));
    // other steps are another pattern
    named_pattern_step(&hd, 'r');
    CHECK(!gpu_pins_find(pins, 90, &hd, &got));
    // the last word counts
    CHECK_INT(gpu_pins_set(pins, 90, &other, &pin_b), REEL_OK);
    CHECK_INT(gpu_pins_count(pins), 2);
    CHECK(gpu_pins_find(pins, 90, &other, &got) && got.engine == 7 && got.n_knobs == 0);
    gpu_pins_destroy(&pins);
    CHECK(!pins);
}

static void files(void)
{
    char folder[CHECK_FOLDER_BYTES], path[CHECK_FOLDER_BYTES + 16];
    struct gpu_pins *pins, *again = NULL;
    struct gpu_pattern hd = body(1080, 1920), small = body(80, 80);
    struct gpu_pin got;
    uint8_t a[32], b[32];
    check_folder(folder);
    snprintf(path, sizeof path, "%s/a.plans", folder);
    CHECK_INT(gpu_pins_create(&pins), REEL_OK);
    CHECK(!gpu_pins_set(pins, 90, &hd, &pin_a) && !gpu_pins_set(pins, 120, &small, &pin_b));
    CHECK_INT(gpu_pins_write(pins, path), REEL_OK);
    CHECK_INT(gpu_pins_read(path, &again), REEL_OK);
    CHECK(again && gpu_pins_find(again, 90, &hd, &got) && got.steps == 2 && got.engine == 41);
    CHECK(again && gpu_pins_find(again, 120, &small, &got) && got.steps == 1 && got.n_knobs == 0);
    gpu_pins_hash(pins, a), gpu_pins_hash(again, b);
    CHECK(!memcmp(a, b, sizeof a));
    CHECK(!gpu_pins_set(again, 90, &hd, &pin_b));
    gpu_pins_hash(again, b);
    CHECK(memcmp(a, b, sizeof a) != 0);
    gpu_pins_destroy(&again);
    gpu_pins_destroy(&pins);
}

static void bad_files(void)
{
    static const char *const lines[] = {"what is this",
                                        "sm_90 steps 2 engine 41 knobs 2=4",
                                        "sm_90 steps 2 engine 41 knobs 2=x for conv",
                                        "sm_90 steps 2 engine 41 knobs 2=4,,z for conv",
                                        "sm_90 steps 99 engine 41 knobs - for conv",
                                        "sm_90 steps -1 engine 41 knobs - for conv"};
    char folder[CHECK_FOLDER_BYTES], path[CHECK_FOLDER_BYTES + 16];
    struct gpu_pins *pins;
    check_folder(folder);
    snprintf(path, sizeof path, "%s/b.plans", folder);
    CHECK_INT(gpu_pins_read(path, &pins), REEL_ERR_IO);
    CHECK_HAS(reel_fail_text(), path);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        FILE *f = fopen(path, "w");
        CHECK(f != NULL);
        fprintf(f, "# a remark\n\n%s\n", lines[i]);
        fclose(f);
        CHECK_INT(gpu_pins_read(path, &pins), REEL_ERR_CONFIG);
        CHECK_HAS(reel_fail_text(), "line 3");
        CHECK(!pins);
    }
}

// Every line of the built-in table reads, and none hides another.
static void builtin(void)
{
    int lines = 0;
    char *line = NULL;
    size_t room = 0;
    FILE *f = fopen("worker/backend/cudnn/plan/pins_builtin.inc", "r");
    if (!f) SKIP("the source is not here");
    while (getline(&line, &room, f) > 0) lines += line[0] == '"';
    fclose(f);
    free(line);
    CHECK_INT(gpu_pins_count(gpu_pins_builtin()), lines);
}

CHECK_MAIN({"what an entry holds for", holds_for}, {"files", files}, {"bad files", bad_files},
           {"the built-in table", builtin})

// SPDX-License-Identifier: MIT
//
// Of several pictures the finished one is taken, and it is said which; vectors that describe a
// picture are no scores of classes; clips at two rates are refused.
#include <math.h>

#include "tests/unit/worker/model_fake.h"
#include "worker/graph/graph.h"

static struct model m;
static char text[1024];

// x -> first -> op -> second; and x -> Conv -> third, which neither is made from.
static void check_pictures(const char *op, int taken)
{
    reset_settings();
    struct graph *g = graph_create(NULL);
    struct value *x = graph_add_value(g, "x"), *v[3];
    x->is_input = true;
    for (int i = 0; i < 3; i++) v[i] = graph_add_value(g, (const char *[]){"first", "second", "third"}[i]);
    graph_add_node(g, NULL, "Conv", "", &x, 1, &v[0], 1);
    graph_add_node(g, NULL, op, "", (struct value *[]){v[0], x}, 2, &v[1], 1);
    graph_add_node(g, NULL, "Conv", "", &x, 1, &v[2], 1);
    graph_count_uses(g);
    struct fake f = {.in = {IO("x", 4, 1, 3, 64, 96)},
                     .out = {IO("first", 4, 1, 3, 64, 96), IO("second", 4, 1, 3, 64, 96), IO("third", 4, 1, 3, 64, 96)},
                     .facts = {.graph = g}};
    CHECK_INT(guess_fake(&f, 1, 3, &m, text, sizeof text), REEL_OK);
    CHECK_MSG(m.task == REEL_TASK_IMAGE && m.output.index == taken, "%s: %s", op, text);
    CHECK_HAS(text, taken ? "output \"second\" of 3 pictures" : "output \"first\" of 3 pictures");
    CHECK_HAS(text, "--io.output takes another");
    snprintf(settings.io.output, sizeof settings.io.output, "first");
    CHECK_INT(guess_fake(&f, 1, 3, &m, text, sizeof text), REEL_OK);
    CHECK_MSG(m.output.index == 0 && !strstr(text, "of 3 pictures"), "%s", text);
    graph_destroy(&g);
}

static void the_finished_picture(void)
{
    check_pictures("Add", 1);
    check_pictures("Sub", 0); // what was taken away
    reset_settings();
    struct fake one = {.in = {IO("x", 4, 1, 3, 64, 96)}, .out = {IO("y", 4, 1, 3, 64, 96), IO("r", 4, 1, 24, 64, 96)}};
    CHECK_INT(guess_fake(&one, 1, 2, &m, text, sizeof text), REEL_OK);
    CHECK_MSG(m.task == REEL_TASK_IMAGE && !strstr(text, "--io.output"), "%s", text);
}

static void vectors(void)
{
    reset_settings();
    struct fake face = {.in = {IO("data", 4, 1, 3, 112, 112)}, .out = {IO("fc1", 2, 1, 512)}};
    CHECK_INT(guess_fake(&face, 1, 1, &m, text, sizeof text), REEL_OK);
    CHECK_MSG(m.task == REEL_TASK_TENSOR && m.input.gain[0] == 2 && m.input.bias[0] == -1, "%s", text);
    CHECK_HAS(text, "a vector of 512 numbers that describes the picture");
    settings.task = REEL_TASK_CLASSIFY;
    CHECK_INT(guess_fake(&face, 1, 1, &m, text, sizeof text), REEL_OK);
    CHECK_MSG(m.task == REEL_TASK_CLASSIFY && m.classes == 512, "%s", text);
    reset_settings();
    struct fake clip = {.in = {IO("pixel_values", 4, 1, 3, 224, 224)}, .out = {IO("image_embeds", 2, 1, 768)}};
    CHECK_INT(guess_fake(&clip, 1, 1, &m, text, sizeof text), REEL_OK);
    CHECK_MSG(m.task == REEL_TASK_TENSOR && fabs(m.input.gain[0] - 1 / 0.26862954) < 1e-5, "%s", text);
    CHECK_INT(m.input.fit, MODEL_CROP);
    struct fake classes = {.in = {IO("data", 4, 1, 3, 224, 224)}, .out = {IO("y", 2, 1, 1000)}};
    CHECK_INT(guess_fake(&classes, 1, 1, &m, text, sizeof text), REEL_OK);
    CHECK_INT(m.task, REEL_TASK_CLASSIFY);
}

static void two_clips(void)
{
    reset_settings();
    struct fake f = {.in = {IO("slow", 5, 1, 3, 8, 256, 256), IO("fast", 5, 1, 3, 32, 256, 256)},
                     .out = {IO("y", 2, 1, 400)}};
    CHECK_INT(guess_fake(&f, 2, 1, &m, text, sizeof text), REEL_ERR_UNSUPPORTED);
    CHECK_HAS(reel_fail_text(), "two clips at different rates, \"slow\" and \"fast\"");
}

CHECK_MAIN({"model the finished picture", the_finished_picture}, {"model vectors", vectors},
           {"model two clips", two_clips})

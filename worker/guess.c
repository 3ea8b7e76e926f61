// SPDX-License-Identifier: MIT
//
// What a model does, before any frame. See guess.h.
#include "worker/guess.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/child.h"
#include "worker/cli.h"
#include "worker/model/state.h"

static void add_line(char *text, size_t bytes, const char *line)
{
    const size_t at = strlen(text);
    if (*line && at + 2 < bytes) snprintf(text + at, bytes - at, "\n%s", line);
}

// What may help where the network refuses a picture of w x h.
static enum reel_err no_shapes(const struct model *m, const struct reel_settings *s, int width, int height,
                               enum reel_err err)
{
    const struct model_input *in = &m->input;
    if (in->n_given)
        return reel_fail(err, "%s\nto choose the size at which pictures are given: io.picture_size", reel_fail_text());
    if (in->width || *s->io.size) return err;
    return reel_fail(err,
                     "%s\nit was tried with a picture of %dx%d; if the network takes only certain sizes, state one in "
                     "io.size",
                     reel_fail_text(), width, height);
}

enum reel_err guess_model(struct engines *engines, const struct reel_settings *settings, struct model *out_model,
                          char *text, size_t text_bytes)
{
    const struct model_facts *facts = engines_facts(engines);
    enum reel_err err = model_guess_input(facts, settings, out_model);
    if (err) return err;
    int width = 0, height = 0;
    model_trial_size(out_model, settings, &width, &height);
    struct reel_shape shapes[MODEL_MAX_OUTPUTS];
    if ((err = engines_settle_pictures(engines, out_model, width, height))) return err;
    err = engines_infer(engines, out_model, width, height, shapes);
    if (err) return no_shapes(out_model, settings, width, height, err);
    if ((err = model_guess_output(facts, settings, shapes, width, height, out_model))) return err;
    model_describe(out_model, shapes, width, height, text, text_bytes);
    char line[REEL_TEXT_BYTES];
    state_describe(facts->states, facts->in, facts->out, line, sizeof line);
    add_line(text, text_bytes, line);
    model_describe_given(out_model, facts, line, sizeof line);
    add_line(text, text_bytes, line);
    return REEL_OK;
}

// ---- for --dry_run -----------------------------------------------------------------

static enum reel_err guess_alone(const struct reel_settings *s, char *text, size_t text_bytes)
{
    struct engine_params p = {.path = s->model, .backend = "onednn", .backend_params.threads = 1, .settings = s};
    struct engines *engines = NULL;
    struct model *model = calloc(1, sizeof *model);
    enum reel_err err =
        model ? engines_open(&p, &engines) : reel_fail(REEL_ERR_NOMEM, "could not open model: out of memory");
    if (!err) err = guess_model(engines, s, model, text, text_bytes);
    engines_close(&engines);
    free(model);
    return err;
}

int guess_main(int settings_fd)
{
    char text[REEL_TEXT_BYTES] = "";
    struct reel_settings *s = calloc(1, sizeof *s);
    enum reel_err err =
        s ? reel_child_settings(settings_fd, s) : reel_fail(REEL_ERR_NOMEM, "could not start: out of memory");
    if (!err) err = guess_alone(s, text, sizeof text);
    free(s);
    if (err)
        fprintf(stderr, "reelmill: %s\n", reel_fail_text());
    else
        printf("%s\n", text);
    return cli_exit_code(err);
}

// SPDX-License-Identifier: MIT
//
// The model's file as the network that is run. own.h.
#include <string.h>

#include "worker/engine/own.h"

// What stands behind a cut-out, in the values of the network's foreground.
static enum reel_err background_of(const struct reel_settings *s, double out[3])
{
    const double span = s->io.out_range == SET_RANGE_0_255 ? 255 : s->io.out_range == SET_RANGE_M1_1 ? 2 : 1;
    const double base = s->io.out_range == SET_RANGE_M1_1 ? -1 : 0;
    const bool bgr = s->io.out_channels == SET_CHANNELS_BGR ||
                     (s->io.out_channels == SET_CHANNELS_AUTO && s->io.channels == SET_CHANNELS_BGR);
    bool ok = s->background.n == 3;
    for (int i = 0; i < 3 && ok; i++) {
        const double v = s->background.v[bgr ? 2 - i : i];
        ok = v >= 0 && v <= 255;
        out[i] = v / 255 * span + base;
    }
    return ok ? REEL_OK
              : reel_fail(REEL_ERR_CONFIG, "could not use background: it is R,G,B, three numbers of 0 to 255");
}

static enum reel_err add_composite(const struct engines *e, struct net *net)
{
    const struct reel_settings *s = e->params.settings;
    const enum reel_task task = s ? reel_settings_task(s) : REEL_TASK_AUTO;
    double background[3];
    int foreground, matte;
    if (!s || !s->background.n) return REEL_OK;
    enum reel_err err = background_of(s, background);
    if (err || *s->io.output || (task != REEL_TASK_AUTO && task != REEL_TASK_IMAGE)) return err;
    if (!model_cuts_out(net_output(net, 0), net_output_count(net), &foreground, &matte)) return REEL_OK;
    return net_add_composite(net, foreground, matte, background, MODEL_COMPOSITE);
}

// Networks that make as many frames as they see (BasicVSR and kin): each frame is the middle
// one of a run of its own, so that it has the same neighbours wherever a segment begins.
static enum reel_err take_middles(struct net *net)
{
    enum reel_err err = REEL_OK;
    for (int i = 0; i < net_output_count(net) && !err; i++) {
        const int frames = model_frames_made(net_input(net, 0), net_input_count(net), net_output(net, i));
        if (frames) err = net_take_middle(net, i, frames);
    }
    return err;
}

// Networks that do not pad (waifu2x, Real-CUGAN, SRCNN) make a picture without its border: with
// edge pixels around each frame it has the frame's size, or a whole multiple of it.
static enum reel_err add_border(struct engines *e, struct net *net)
{
    const struct reel_settings *s = e->params.settings;
    const enum reel_task task = s ? reel_settings_task(s) : REEL_TASK_AUTO;
    if (task != REEL_TASK_AUTO && task != REEL_TASK_IMAGE) return REEL_OK;
    int axis;
    net_find_border(net, e->border, &axis);
    return e->border[0] || e->border[1] ? net_add_border(net, axis, e->border) : REEL_OK;
}

enum reel_err engine_open_net(struct engines *e, struct net **out_net)
{
    struct net_params p = {.backend = e->params.backend,
                           .backend_params = e->params.backend_params,
                           .bytes = e->params.bytes,
                           .n_bytes = e->params.n_bytes};
    enum reel_err err = net_open(e->path, &p, out_net);
    if (err) return err;
    err = state_open(*out_net, e->params.settings, e->path, &e->plan);
    struct model_join join;
    if (!err && !e->plan.n && e->params.settings &&
        model_frames_join(net_input(*out_net, 0), net_input_count(*out_net), e->params.settings, &join))
        err = net_join_inputs(*out_net, "frames", join.axis, join.which, join.n);
    if (!err && !e->plan.n) err = take_middles(*out_net);
    if (!err) err = add_composite(e, *out_net);
    if (!err && !e->plan.n) err = add_border(e, *out_net);
    if (err) net_close(out_net);
    return err;
}

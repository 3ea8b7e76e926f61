// SPDX-License-Identifier: MIT
//
// What the tests of worker/model share: the settings, and guesses about networks that are described only by
// their inputs and outputs.
#ifndef REEL_TESTS_WORKER_MODEL_FAKE_H
#define REEL_TESTS_WORKER_MODEL_FAKE_H

#include "tests/check.h"
#include "worker/model/model.h"

static struct reel_settings settings;

static inline void reset_settings(void)
{
    opt_defaults(reel_settings_table(), &settings);
}

struct fake {
    struct net_io in[2], out[9];
    struct reel_shape shapes[9];
    struct model_facts facts;
};

static inline struct net_io io(const char *name, int ndim, const int64_t *dim)
{
    struct net_io v = {.name = name, .dtype = REEL_F32, .shape = {.ndim = ndim}};
    memcpy(v.shape.dim, dim, (size_t)ndim * sizeof *dim);
    return v;
}
#define IO(name, n, ...) io(name, n, (const int64_t[]){__VA_ARGS__})

static inline enum reel_err guess_fake(struct fake *f, int n_in, int n_out, struct model *m, char *text, size_t bytes)
{
    f->facts.n_in = n_in, f->facts.n_out = n_out, f->facts.in = f->in, f->facts.out = f->out;
    if (!f->facts.path) f->facts.path = "made-up.onnx";
    int w, h;
    enum reel_err err = model_guess_input(&f->facts, &settings, m);
    if (err) return err;
    model_trial_size(m, &settings, &w, &h);
    for (int i = 0; i < n_out; i++) f->shapes[i] = f->out[i].shape;
    err = model_guess_output(&f->facts, &settings, f->shapes, w, h, m);
    if (!err) model_describe(m, f->shapes, w, h, text, bytes);
    return err;
}

#endif

// SPDX-License-Identifier: MIT
//
// What the inputs of convolutions measure, for scales (lower/fp8.c): the program
// in float32 by its host twin, each convolution's input looked at when it is about
// to be read. The twin sums in one order, without contraction, whatever the CPU: the
// maxima are the same bits on every machine but for the C library's exp and tanh.
#include <math.h>

#include "worker/backend/cudnn/exec.h"
#include "worker/backend/cudnn/plan/measure.h"
#include "worker/backend/ranges.h"

// The largest magnitude among an image's channels; NaN if there is one.
static float most_of(const float *x, const struct gpu_conv *c)
{
    float most = 0;
    for (int64_t i = 0; i < (int64_t)c->n * c->h * c->w; i++)
        for (int k = 0; k < c->c; k++) {
            const float m = fabsf(x[i * c->x_pitch + k]);
            if (!(m <= most)) most = m;
        }
    return most;
}

static bool is_convolution(const struct step *s)
{
    return (s->kind == STEP_CONV || (s->kind == STEP_PLAN && s->pattern.kind != GPU_MATMUL)) && s->node;
}

static enum reel_err run(struct lowered *p, struct exec *e, struct ranges *ranges)
{
    enum reel_err err = REEL_OK;
    for (int i = 0; i < p->n_steps && !err; i++) {
        const struct step *s = &p->steps[i];
        if (is_convolution(s))
            err = ranges_widen(ranges, s->node->in[0]->name, most_of(exec_host.at(e, s->x), &s->u.conv));
        if (!err) err = exec_host.run(e, i, i + 1);
    }
    return err;
}

enum reel_err gpu_measure(const struct graph *graph, const struct reel_tensor *const *in, struct ranges *ranges)
{
    struct lowered *p = NULL;
    struct exec *e = NULL;
    enum reel_err err = gpu_lowered_create(graph, &(struct lower_params){.precision = PRECISION_FP32}, &p);
    if (!err) err = exec_host.create(p, &(struct backend_params){0}, &e);
    for (int i = 0; i < graph->n_inputs && !err; i++)
        err = exec_host.write(e, p->in_staging[i], in[i]->data, reel_tensor_bytes(in[i]));
    if (!err) err = run(p, e, ranges);
    if (e) exec_host.destroy(&e);
    gpu_lowered_destroy(&p);
    return err;
}

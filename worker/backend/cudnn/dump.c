// SPDX-License-Identifier: MIT
//
// Writes one line per step, for --dump_graph and for tests that check what was lowered.
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "worker/backend/cudnn/program.h"

struct text {
    char *buf;
    size_t bytes, used;
};

static void put(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void put(struct text *t, const char *fmt, ...)
{
    if (t->used >= t->bytes) return;
    va_list args;
    va_start(args, fmt);
    const int n = vsnprintf(t->buf + t->used, t->bytes - t->used, fmt, args);
    va_end(args);
    if (n > 0) t->used += (size_t)n;
}

static void put_chain(struct text *t, const struct gpu_chain *c)
{
    for (int i = 0; c && i < c->n; i++) {
        const struct gpu_chain_step *s = &c->step[i];
        put(t, " +%s", gpu_op_name((enum gpu_op)s->op));
        if (s->op < GPU_OP_WITH_OPERAND && s->operand >= 0)
            put(t, c->operand[s->operand].per_channel ? ":channel" : ":tensor");
    }
}

static void put_shape(struct text *t, const struct lowered *p, const struct value *v)
{
    char buf[96];
    if (v) put(t, " %s", reel_shape_text(&p->info[v->id].shape, buf, sizeof buf));
}

// Describes attention: matrices, rows x columns, numbers in a row, and what is done to the scores.
static void put_flash(struct text *t, const struct gpu_flash *f)
{
    static const char *const op[] = {"add", "mul", "keep", "drop"};
    put(t, " %lld of %dx%d, %d", (long long)f->count, f->span.rows, f->span.columns, f->dim);
    if (f->v_dim != f->dim) put(t, " and %d", f->v_dim);
    if (f->softcap > 0) put(t, " +softcap");
    if (f->span.causal) put(t, " +causal");
    for (int i = 0; i < f->n_terms; i++) put(t, " +%s", op[f->term[i].op]);
}

// Describes what cuDNN does in a step.
static double step_mflop(const struct step *s)
{
    return s->kind == STEP_PLAN ? gpu_pattern_flop(&s->pattern) * 1e-6 : 0;
}

const char *gpu_step_text(const struct lowered *p, const struct step *s, char *buf, size_t buf_bytes)
{
    struct text t = {buf, buf_bytes, 0};
    char pattern[GPU_PATTERN_TEXT_MAX];
    put(&t, "%-16s %-14s", s->node ? s->node->op_type : "-", s->label);
    if (s->kind == STEP_PLAN) {
        struct gpu_pattern bare = s->pattern;
        bare.n_steps = 0;
        put(&t, " %s", gpu_pattern_text(&bare, pattern, sizeof pattern));
    } else if (s->node && s->kind != STEP_FLASH) {
        put_shape(&t, p, s->node->n_in ? s->node->in[0] : NULL);
        put(&t, " ->");
        put_shape(&t, p, s->node->n_out ? s->node->out[0] : NULL);
    }
    put_chain(&t, step_chain((struct step *)s));
    if (s->kind == STEP_FLASH) put_flash(&t, &s->u.flash);
    if (s->kind == STEP_COPY)
        put(&t, " %s->%s", gpu_elem_name((enum gpu_elem)s->u.copy.from), gpu_elem_name((enum gpu_elem)s->u.copy.to));
    if (s->kind == STEP_UPLOAD || s->kind == STEP_DOWNLOAD) put(&t, " %zu KB", s->bytes >> 10);
    if (step_mflop(s) > 0) put(&t, " %.2f MFLOP", step_mflop(s));
    if (s->node) put(&t, "  %s", s->node->name);
    return buf;
}

// SPDX-License-Identifier: MIT
//
// The host executor: every step by the C twin of its kernel; see exec.h. cuDNN's
// fused patterns are run by the twins of the own convolution and product. The
// bytes of a buffer are NaN in every float type when its life begins, so that a
// read of what nobody wrote is seen in the result.
#include <stdlib.h>
#include <string.h>

#include "worker/backend/cudnn/exec.h"

struct exec {
    struct lowered *p;
    const struct backend_exchange *exchange;
    struct exec_memory memory;
};

static void *at(struct exec *e, struct ref r)
{
    return exec_place(e->p, &e->memory, r);
}

static void *host_at(void *exec, struct ref r)
{
    return at(exec, r);
}

static void destroy(struct exec **exec)
{
    struct exec *e = *exec;
    *exec = NULL;
    if (!e) return;
    free(e->memory.arena);
    free(e->memory.constants);
    free(e->memory.host);
    free(e);
}

static enum reel_err create(struct lowered *p, const struct backend_params *params, struct exec **out_exec)
{
    enum reel_err err = exec_check_exchange(p, params);
    if (err) return err;
    // The device that is played has as much memory as the one of common/mem_host.c.
    const char *room = getenv("REELMILL_HOST_DEVICE_BYTES");
    const unsigned long long most = room ? strtoull(room, NULL, 10) : 0;
    if (most && p->arena_bytes + p->const_bytes > most)
        return reel_fail(REEL_ERR_NOMEM, "could not compile graph: no memory for %zu MB of intermediate results",
                         p->arena_bytes >> 20);
    struct exec *e = calloc(1, sizeof *e);
    if (!e) return gpu_no_memory(NULL);
    e->p = p;
    e->exchange = params->exchange;
    e->memory.arena = malloc(p->arena_bytes + 1);
    e->memory.constants = malloc(p->const_bytes + 1);
    e->memory.host = malloc(p->host_bytes + 1);
    if (!e->memory.arena || !e->memory.constants || !e->memory.host) {
        destroy(&e);
        return reel_fail(REEL_ERR_NOMEM, "could not compile graph: no memory for %zu MB of intermediate results",
                         p->arena_bytes >> 20);
    }
    for (int i = 0; i < p->n_bufs; i++)
        if (p->bufs[i].kind == BUF_CONST)
            memcpy(e->memory.constants + p->bufs[i].offset, p->bufs[i].init, p->bufs[i].bytes);
    *out_exec = e;
    return REEL_OK;
}

static enum reel_err run_rows(struct exec *e, const struct step *s)
{
    const struct backend_rows rows = exec_rows(&s->u.rows, at(e, s->y));
    const struct backend_exchange *x = e->exchange;
    enum reel_err err = x->device_rows ? x->device_rows(x->user, &rows, NULL) : REEL_AGAIN;
    return err == REEL_AGAIN ? x->rows(x->user, &rows) : err;
}

static void run_rnn(struct exec *e, const struct step *s)
{
    const struct gpu_rnn_data data = exec_rnn(e->p, &e->memory, s);
    gpu_rnn_ref(&s->u.rnn, &data);
}

static enum reel_err run_step(struct exec *e, const struct step *s)
{
    void *x = at(e, s->x), *y = at(e, s->y), *w = at(e, s->w);
    const void *extra[3], *operand[GPU_OPERANDS];
    for (int i = 0; i < 3; i++) extra[i] = at(e, s->extra[i]);
    for (int i = 0; i < GPU_OPERANDS; i++) operand[i] = at(e, s->operand[i]);
    switch (s->kind) {
    case STEP_PLAN:
        if (s->pattern.kind == GPU_MATMUL)
            gpu_matmul_ref(&s->u.matmul, x, w, operand, y);
        else
            gpu_conv_ref(&s->u.conv, x, w, operand, y);
        break;
    case STEP_CONV:
        gpu_conv_ref(&s->u.conv, x, w, operand, y);
        break;
    case STEP_DEPTHWISE:
        gpu_depthwise_ref(&s->u.conv, x, w, operand, y);
        break;
    case STEP_VOLUME:
        gpu_volume_ref(&s->u.volume, x, w, operand, y);
        break;
    case STEP_MATMUL:
        gpu_matmul_ref(&s->u.matmul, x, w, operand, y);
        break;
    case STEP_COPY:
        gpu_copy_ref(&s->u.copy, x, y, w);
        break;
    case STEP_QUANTISE:
        gpu_quantise_ref(&s->u.quantise, x, y);
        break;
    case STEP_ELEMENTWISE:
        gpu_elementwise_ref(&s->u.elementwise, x, operand, y);
        break;
    case STEP_INTEGER:
        gpu_integer_ref(&s->u.integer, operand, y);
        break;
    case STEP_POOL:
        gpu_pool_ref(&s->u.pool, x, y);
        break;
    case STEP_RESIZE:
        gpu_resize_ref(&s->u.resize, x, w, extra[0], y);
        break;
    case STEP_REDUCE:
        gpu_reduce_ref(&s->u.reduce, x, extra[0], y);
        break;
    case STEP_ARGMAX:
        gpu_argmax_ref(&s->u.argmax, x, y);
        break;
    case STEP_SOFTMAX:
        gpu_softmax_ref(&s->u.softmax, x, y);
        break;
    case STEP_NORM:
        gpu_norm_ref(&s->u.norm, x, extra[0], extra[1], operand[0], operand[1], y);
        break;
    case STEP_LAYER_NORM:
        gpu_layer_norm_ref(&s->u.layer_norm, x, extra[0], extra[1], y);
        break;
    case STEP_GATHER:
        gpu_gather_ref(&s->u.gather, x, w, y);
        break;
    case STEP_TOPK:
        gpu_topk_ref(&s->u.topk, x, y, at(e, s->extra[0]));
        break;
    case STEP_GATHER_AT:
        gpu_gather_at_ref(&s->u.index, x, w, y);
        break;
    case STEP_SCATTER:
        gpu_scatter_ref(&s->u.index, x, w, extra[0], y);
        break;
    case STEP_FOUND:
        gpu_found_ref(&s->u.found, x, w, y, at(e, s->extra[0]));
        break;
    case STEP_ONE_HOT:
        gpu_one_hot_ref(&s->u.one_hot, x, w, y);
        break;
    case STEP_SCAN:
        gpu_scan_ref(&s->u.scan, x, y);
        break;
    case STEP_TRIANGLE:
        gpu_triangle_ref(&s->u.triangle, x, y);
        break;
    case STEP_REVERSE:
        gpu_reverse_ref(&s->u.reverse, x, w, y);
        break;
    case STEP_GRID_SAMPLE:
        gpu_grid_sample_ref(&s->u.grid_sample, x, w, y);
        break;
    case STEP_AFFINE_GRID:
        gpu_affine_grid_ref(&s->u.affine_grid, x, y);
        break;
    case STEP_ROI_ALIGN:
        gpu_roi_align_ref(&s->u.roi_align, x, w, extra[0], y);
        break;
    case STEP_ROI_POOL:
        gpu_roi_pool_ref(&s->u.roi_pool, x, w, y);
        break;
    case STEP_LRN:
        gpu_lrn_ref(&s->u.lrn, x, y);
        break;
    case STEP_DEFORM:
        gpu_deform_ref(&s->u.deform, x, w, extra[0], y);
        break;
    case STEP_COL2IM:
        gpu_col2im_ref(&s->u.col2im, x, y);
        break;
    case STEP_POOL_PLACES:
        gpu_pool_places_ref(&s->u.pool, x, y);
        break;
    case STEP_POOL3:
        gpu_pool3_ref(&s->u.pool3, x, y);
        break;
    case STEP_ATTENTION:
        gpu_attention_ref(&s->u.attention, y, w, extra[0]);
        break;
    case STEP_FLASH:
        gpu_flash_ref(&s->u.flash, x, w, extra[0], operand, extra[1], y);
        break;
    case STEP_ROTARY:
        gpu_rotary_ref(&s->u.rotary, x, w, extra[0], extra[1], y);
        break;
    case STEP_RNN:
        run_rnn(e, s);
        break;
    case STEP_FOURIER:
        gpu_fourier_ref(&s->u.fourier, x, w, extra[0], y);
        break;
    case STEP_DET:
        gpu_det_ref(&s->u.det, x, y, at(e, s->extra[0]));
        break;
    case STEP_CACHE_UPDATE:
        gpu_cache_update_ref(&s->u.cache_update, x, w, extra[0], y);
        break;
    case STEP_BYTES:
        gpu_bytes_ref(&s->u.bytes, x, w, extra[0], extra[1], y);
        break;
    case STEP_BYTE_SCALE:
        gpu_byte_scale_ref(x, w, y, at(e, s->extra[0]));
        break;
    case STEP_UPLOAD:
    case STEP_DOWNLOAD:
        memcpy(y, x, s->bytes);
        break;
    case STEP_HOST:
        return gpu_run_host_call(e->p, s, host_at, e);
    case STEP_ROWS:
        return run_rows(e, s);
    case STEP_REGIONS: // run()
        break;
    }
    return REEL_OK;
}

// Buffers whose life begins with this step hold NaNs, whatever lay there before.
static void poison(struct exec *e, int step)
{
    for (int i = 0; step > 0 && i < e->p->n_bufs; i++) {
        const struct buf *b = &e->p->bufs[i];
        if (b->kind == BUF_ARENA && b->first == step) memset(e->memory.arena + b->offset, 0xff, b->bytes);
    }
}

static enum reel_err run(struct exec *e, int begin, int end);

static enum reel_err run_regions(struct exec *e, int i)
{
    const struct step *s = &e->p->steps[i];
    int pieces;
    enum reel_err err = gpu_regions_begin(e->p, s, host_at, e, &pieces);
    for (int k = 0; k < pieces && !err; k++) {
        gpu_regions_fill(e->p, s, k, host_at, e);
        err = run(e, i + 1, gpu_regions_end(s));
        if (!err) gpu_regions_take(e->p, s, k, host_at, e);
    }
    return err;
}

static enum reel_err run(struct exec *e, int begin, int end)
{
    enum reel_err err = REEL_OK;
    for (int i = begin; i < end && !err; i++) {
        const bool regions = e->p->steps[i].kind == STEP_REGIONS;
        poison(e, i);
        err = regions ? run_regions(e, i) : run_step(e, &e->p->steps[i]);
        if (regions) i = gpu_regions_end(&e->p->steps[i]) - 1;
    }
    return err;
}

static enum reel_err wait_none(struct exec *e)
{
    (void)e;
    return REEL_OK;
}

static enum reel_err write_buffer(struct exec *e, struct ref to, const void *src, size_t bytes)
{
    if (bytes) memcpy(at(e, to), src, bytes);
    return REEL_OK;
}

static enum reel_err read_buffer(struct exec *e, struct ref from, void *dst, size_t bytes)
{
    if (bytes) memcpy(dst, at(e, from), bytes);
    return REEL_OK;
}

static void *no_stream(struct exec *e)
{
    (void)e;
    return NULL;
}

static size_t memory_bytes(const struct exec *e)
{
    return e->p->arena_bytes + e->p->const_bytes + e->p->host_bytes;
}

static const char *note(const struct exec *e, int step, char *buf, size_t buf_bytes)
{
    (void)e, (void)step, (void)buf, (void)buf_bytes;
    return "";
}

const struct exec_ops exec_host = {
    .create = create,
    .destroy = destroy,
    .write = write_buffer,
    .read = read_buffer,
    .run = run,
    .wait = wait_none,
    .at = at,
    .stream = no_stream,
    .memory_bytes = memory_bytes,
    .note = note,
};

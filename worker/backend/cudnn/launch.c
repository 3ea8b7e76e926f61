// SPDX-License-Identifier: MIT
//
// The kernel of each kind of step; see launch.h.
#include "worker/backend/cudnn/launch.h"

static int launch_rnn(const struct lowered *p, const struct exec_memory *m, const struct step *s, void *stream)
{
    const struct gpu_rnn_data data = exec_rnn(p, m, s);
    return gpu_rnn(&s->u.rnn, &data, stream);
}

int gpu_launch(const struct lowered *p, const struct exec_memory *m, const struct step *s, const void *const *operand,
               void *stream)
{
    void *x = exec_place(p, m, s->x), *y = exec_place(p, m, s->y), *w = exec_place(p, m, s->w);
    const void *extra[3];
    for (int i = 0; i < 3; i++) extra[i] = exec_place(p, m, s->extra[i]);
    switch (s->kind) {
    case STEP_PLAN:
        if (s->pattern.kind == GPU_MATMUL) return gpu_matmul(&s->u.matmul, x, w, operand, y, stream);
        return gpu_conv(&s->u.conv, x, w, operand, y, stream);
    case STEP_CONV:
        return gpu_conv(&s->u.conv, x, w, operand, y, stream);
    case STEP_DEPTHWISE:
        return gpu_depthwise(&s->u.conv, x, w, operand, y, stream);
    case STEP_VOLUME:
        return gpu_volume(&s->u.volume, x, w, operand, y, stream);
    case STEP_MATMUL:
        return gpu_matmul(&s->u.matmul, x, w, operand, y, stream);
    case STEP_COPY:
        return gpu_copy(&s->u.copy, x, y, w, stream);
    case STEP_QUANTISE:
        return gpu_quantise(&s->u.quantise, x, y, stream);
    case STEP_ELEMENTWISE:
        return gpu_elementwise(&s->u.elementwise, x, operand, y, stream);
    case STEP_INTEGER:
        return gpu_integer(&s->u.integer, operand, y, stream);
    case STEP_POOL:
        return gpu_pool(&s->u.pool, x, y, stream);
    case STEP_RESIZE:
        return gpu_resize(&s->u.resize, x, w, extra[0], y, stream);
    case STEP_REDUCE:
        return gpu_reduce(&s->u.reduce, x, extra[0], y, stream);
    case STEP_ARGMAX:
        return gpu_argmax(&s->u.argmax, x, y, stream);
    case STEP_SOFTMAX:
        return gpu_softmax(&s->u.softmax, x, y, stream);
    case STEP_NORM:
        return gpu_norm(&s->u.norm, x, extra[0], extra[1], operand[0], operand[1], y, stream);
    case STEP_LAYER_NORM:
        return gpu_layer_norm(&s->u.layer_norm, x, extra[0], extra[1], y, stream);
    case STEP_GATHER:
        return gpu_gather(&s->u.gather, x, w, y, stream);
    case STEP_TOPK:
        return gpu_topk(&s->u.topk, x, y, exec_place(p, m, s->extra[0]), exec_place(p, m, s->extra[1]), stream);
    case STEP_GATHER_AT:
        return gpu_gather_at(&s->u.index, x, w, y, stream);
    case STEP_SCATTER:
        return gpu_scatter(&s->u.index, x, w, extra[0], y, exec_place(p, m, s->extra[1]), stream);
    case STEP_FOUND:
        return gpu_found(&s->u.found, x, w, y, exec_place(p, m, s->extra[0]), exec_place(p, m, s->extra[1]), stream);
    case STEP_ONE_HOT:
        return gpu_one_hot(&s->u.one_hot, x, w, y, stream);
    case STEP_SCAN:
        return gpu_scan(&s->u.scan, x, y, stream);
    case STEP_TRIANGLE:
        return gpu_triangle(&s->u.triangle, x, y, stream);
    case STEP_REVERSE:
        return gpu_reverse(&s->u.reverse, x, w, y, stream);
    case STEP_GRID_SAMPLE:
        return gpu_grid_sample(&s->u.grid_sample, x, w, y, stream);
    case STEP_AFFINE_GRID:
        return gpu_affine_grid(&s->u.affine_grid, x, y, stream);
    case STEP_ROI_ALIGN:
        return gpu_roi_align(&s->u.roi_align, x, w, extra[0], y, stream);
    case STEP_ROI_POOL:
        return gpu_roi_pool(&s->u.roi_pool, x, w, y, stream);
    case STEP_LRN:
        return gpu_lrn(&s->u.lrn, x, y, stream);
    case STEP_DEFORM:
        return gpu_deform(&s->u.deform, x, w, extra[0], y, stream);
    case STEP_COL2IM:
        return gpu_col2im(&s->u.col2im, x, y, stream);
    case STEP_POOL_PLACES:
        return gpu_pool_places(&s->u.pool, x, y, stream);
    case STEP_POOL3:
        return gpu_pool3(&s->u.pool3, x, y, stream);
    case STEP_ATTENTION:
        return gpu_attention(&s->u.attention, y, w, extra[0], stream);
    case STEP_FLASH:
        return gpu_flash(&s->u.flash, x, w, extra[0], operand, extra[1], y, stream);
    case STEP_ROTARY:
        return gpu_rotary(&s->u.rotary, x, w, extra[0], extra[1], y, stream);
    case STEP_RNN:
        return launch_rnn(p, m, s, stream);
    case STEP_FOURIER:
        return gpu_fourier(&s->u.fourier, x, w, extra[0], y, stream);
    case STEP_DET:
        return gpu_det(&s->u.det, x, y, exec_place(p, m, s->extra[0]), stream);
    case STEP_CACHE_UPDATE:
        return gpu_cache_update(&s->u.cache_update, x, w, extra[0], y, stream);
    case STEP_BYTES:
        return gpu_bytes(&s->u.bytes, x, w, extra[0], extra[1], y, stream);
    case STEP_BYTE_SCALE:
        return gpu_byte_scale(x, w, y, exec_place(p, m, s->extra[0]), stream);
    case STEP_UPLOAD:
    case STEP_DOWNLOAD:
    case STEP_HOST:
    case STEP_REGIONS:
    case STEP_ROWS:
        break;
    }
    return 0;
}

// SPDX-License-Identifier: MIT
//
// Raw outputs as float32, each after a header: for networks whose outputs reelmill does not
// interpret.
#include <stdio.h>
#include <string.h>

#include "worker/task/task.h"

// Space for an output whose shape depends on the data.
#define UNKNOWN_BYTES (1u << 20)

static uint32_t padded(uint64_t bytes)
{
    return (uint32_t)((bytes + 7) / 8 * 8);
}

static enum reel_err tensor_shape(const struct task *task, struct reel_rec_shaped *shaped)
{
    uint64_t bytes = sizeof(struct reel_results);
    for (int i = 0; i < task->n_outputs; i++) {
        int64_t n = reel_shape_count(&task->out_shapes[i]);
        bytes += sizeof(struct reel_result_tensor) + (n < 0 ? UNKNOWN_BYTES : padded((uint64_t)n * sizeof(float)));
    }
    if (bytes > 1u << 30)
        return reel_fail(REEL_ERR_UNSUPPORTED, "could not pass on tensors of %llu MB a frame: at most 1024 MB",
                         (unsigned long long)(bytes >> 20));
    shaped->results_bytes = (uint32_t)bytes;
    return REEL_OK;
}

static enum reel_err tensor_finish(struct task *task, struct engine *engine, struct task_frame *frame)
{
    struct reel_results head = {.task = REEL_TASK_TENSOR};
    uint8_t *aux = frame->aux;
    if (task->out.aux_bytes < sizeof head) return REEL_OK;
    uint32_t room = task->out.aux_bytes - (uint32_t)sizeof head, at = 0;
    for (int i = 0; i < engine_output_count(engine); i++) {
        const struct reel_tensor *t = engine_output(engine, i);
        size_t bytes = reel_tensor_bytes(t), whole = sizeof(struct reel_result_tensor) + (bytes + 7) / 8 * 8;
        if (whole > room - at) {
            head.dropped++;
            continue;
        }
        struct reel_result_tensor item = {.ndim = (uint32_t)t->shape.ndim, .bytes = (uint32_t)bytes};
        snprintf(item.name, sizeof item.name, "%s", task->output_names[i]);
        for (int d = 0; d < t->shape.ndim; d++) item.dim[d] = t->shape.dim[d];
        uint8_t *to = aux + sizeof head + at;
        memcpy(to, &item, sizeof item);
        if (bytes) memcpy(to + sizeof item, t->data, bytes);
        memset(to + sizeof item + bytes, 0, whole - sizeof item - bytes);
        at += (uint32_t)whole;
        head.count++;
    }
    head.bytes = at;
    memcpy(aux, &head, sizeof head);
    frame->aux_bytes = (uint32_t)sizeof head + at;
    return REEL_OK;
}

const struct task_ops task_tensor = {
    .name = "tensor", .shape = tensor_shape, .run = task_run_plain, .finish = tensor_finish};

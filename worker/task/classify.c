// SPDX-License-Identifier: MIT
//
// Classification: the best classes of a frame with their probabilities.
#include <math.h>
#include <stdlib.h>

#include "worker/task/task.h"

static enum reel_err classify_shape(const struct task *task, struct reel_rec_shaped *shaped)
{
    shaped->results_bytes = (uint32_t)(sizeof(struct reel_results) +
                                       (size_t)task->settings->classify.top_k * sizeof(struct reel_class_score));
    return REEL_OK;
}

// Softmax: exp(v - largest) / sum, added up in the order of the classes.
static void softmax(struct reel_class_score *s, int n)
{
    float top = s[0].score;
    for (int i = 1; i < n; i++) top = s[i].score > top ? s[i].score : top;
    double sum = 0;
    for (int i = 0; i < n; i++) {
        s[i].score = expf(s[i].score - top);
        sum += (double)s[i].score;
    }
    for (int i = 0; i < n; i++) s[i].score = (float)((double)s[i].score / sum);
}

static int by_score(const void *va, const void *vb)
{
    const struct reel_class_score *a = va, *b = vb;
    if (a->score != b->score) return a->score > b->score ? -1 : 1;
    return a->class_id < b->class_id ? -1 : a->class_id > b->class_id;
}

static enum reel_err classify_finish(struct task *task, struct engine *engine, struct task_frame *frame)
{
    const struct reel_tensor *t = engine_output(engine, task->model->output.index);
    int64_t n = reel_tensor_count(t);
    if (n < 1 || n > 1 << 24)
        return reel_fail(REEL_ERR_UNSUPPORTED, "could not read class scores: there are %lld", (long long)n);
    struct reel_class_score *scores = malloc((size_t)n * sizeof *scores);
    if (!scores) return reel_fail(REEL_ERR_NOMEM, "could not read class scores: out of memory");
    for (int64_t i = 0; i < n; i++) {
        float v = ((const float *)t->data)[i];
        scores[i] = (struct reel_class_score){(int32_t)i, isnan(v) ? -INFINITY : v};
    }
    if (task->model->softmax) softmax(scores, (int)n);
    qsort(scores, (size_t)n, sizeof *scores, by_score);
    uint32_t k = (uint32_t)task->settings->classify.top_k;
    task_put_results(task, frame, REEL_TASK_CLASSIFY, scores, k < (uint32_t)n ? k : (uint32_t)n, sizeof *scores);
    free(scores);
    return REEL_OK;
}

const struct task_ops task_classify = {
    .name = "classify", .shape = classify_shape, .run = task_run_plain, .finish = classify_finish};

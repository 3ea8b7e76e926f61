// SPDX-License-Identifier: MIT
//
// tables.h
#include "worker/device/tables.h"

enum reel_err device_tables_own(struct device_tables *t, size_t bytes, void **out)
{
    enum reel_err err = t->n < DEVICE_TABLES_MOST ? t->ops->alloc(bytes ? bytes : 1, out)
                                                  : reel_fail(REEL_ERR_LIMIT, "could not hold more tables on a device");
    if (!err) t->owned[t->n++] = *out;
    return err;
}

enum reel_err device_tables_put(struct device_tables *t, const void *from, size_t bytes, void **out)
{
    void *event = NULL;
    enum reel_err err = device_tables_own(t, bytes, out);
    if (!err) err = t->ops->event_create(&event);
    if (!err) err = t->ops->upload(*out, from, bytes, NULL);
    if (!err) err = t->ops->event_record(event, NULL);
    if (!err) err = t->ops->event_sync(event);
    t->ops->event_destroy(&event);
    return err;
}

enum reel_err device_tables_put_axis(struct device_tables *t, const struct resize_axis *a, struct gpu_axis *out)
{
    void *first = NULL, *weight = NULL;
    enum reel_err err = device_tables_put(t, a->first, (size_t)a->n_out * sizeof *a->first, &first);
    if (!err) err = device_tables_put(t, a->weight, (size_t)a->n_out * (size_t)a->taps * sizeof *a->weight, &weight);
    *out = (struct gpu_axis){a->n_in, a->n_out, a->taps, first, weight};
    return err;
}

void device_tables_fini(struct device_tables *t)
{
    for (int i = 0; i < t->n; i++) t->ops->free(t->owned[i]);
    t->n = 0;
}

bool device_elem_of(enum reel_dtype dtype, enum gpu_elem *out)
{
    static const struct {
        enum reel_dtype dtype;
        enum gpu_elem elem;
    } list[] = {{REEL_F32, GPU_ELEM_F32}, {REEL_F16, GPU_ELEM_F16}, {REEL_BF16, GPU_ELEM_BF16}, {REEL_U8, GPU_ELEM_U8},
                {REEL_I8, GPU_ELEM_I8},   {REEL_I32, GPU_ELEM_I32}, {REEL_I64, GPU_ELEM_I64}};
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++)
        if (list[i].dtype == dtype) {
            *out = list[i].elem;
            return true;
        }
    return false;
}

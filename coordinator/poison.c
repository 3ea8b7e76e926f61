// SPDX-License-Identifier: MIT
//
// The set of suspected frames. See poison.h. It is a list, because a job has few of them.
#include "coordinator/poison.h"

#include <stdlib.h>

void poison_fini(struct poison *p)
{
    free(p->frame);
    *p = (struct poison){0};
}

static struct poison_frame *find(const struct poison *p, uint32_t segment, uint32_t n)
{
    for (uint32_t i = 0; i < p->count; i++)
        if (p->frame[i].segment == segment && p->frame[i].n == n) return &p->frame[i];
    return NULL;
}

const struct poison_frame *poison_find(const struct poison *p, uint32_t segment, uint32_t n)
{
    return find(p, segment, n);
}

static struct poison_frame *find_or_add(struct poison *p, uint32_t segment, uint32_t n)
{
    struct poison_frame *f = find(p, segment, n);
    if (f) return f;
    if (p->count == p->capacity) {
        uint32_t capacity = p->capacity ? 2 * p->capacity : 16;
        struct poison_frame *grown = realloc(p->frame, capacity * sizeof *grown);
        if (!grown) abort();
        p->frame = grown;
        p->capacity = capacity;
    }
    f = &p->frame[p->count++];
    *f = (struct poison_frame){.segment = segment, .n = n};
    return f;
}

bool poison_on_crash(struct poison *p, uint32_t segment, uint32_t n, bool alone, uint32_t tries)
{
    struct poison_frame *f = find_or_add(p, segment, n);
    f->crashes++;
    if (f->quarantined || !alone || f->crashes < tries) return false;
    f->quarantined = true;
    return true;
}

void poison_on_done(struct poison *p, uint32_t segment, uint32_t n)
{
    struct poison_frame *f = find(p, segment, n);
    if (f && !f->quarantined) *f = p->frame[--p->count];
}

void poison_restore(struct poison *p, uint32_t segment, uint32_t n)
{
    find_or_add(p, segment, n)->quarantined = true;
}

uint32_t poison_quarantined(const struct poison *p, uint32_t segment, uint32_t from)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < p->count; i++)
        count += p->frame[i].segment == segment && p->frame[i].n >= from && p->frame[i].quarantined;
    return count;
}

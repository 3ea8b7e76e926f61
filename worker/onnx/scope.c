// SPDX-License-Identifier: MIT
//
// Names of a model file and the values they stand for, see importer.h.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/onnx/importer.h"

static uint64_t name_hash(const char *s)
{
    uint64_t h = UINT64_C(14695981039346656037); // FNV-1a
    for (; *s; s++) h = (h ^ (unsigned char)*s) * UINT64_C(1099511628211);
    return h ^ h >> 29;
}

static struct name_slot *names_place(const struct names *names, const char *name)
{
    size_t i = name_hash(name) & (names->size - 1);
    while (names->slots[i].name && strcmp(names->slots[i].name, name)) i = (i + 1) & (names->size - 1);
    return &names->slots[i];
}

struct value *names_get(const struct names *names, const char *name)
{
    return names->size ? names_place(names, name)->value : NULL;
}

bool names_put(struct names *names, const char *name, struct value *value)
{
    if (2 * (names->count + 1) > names->size) {
        struct names bigger = {.size = names->size ? names->size * 2 : 64, .count = names->count};
        bigger.slots = calloc(bigger.size, sizeof *bigger.slots);
        if (!bigger.slots) return false;
        for (size_t i = 0; i < names->size; i++)
            if (names->slots[i].name) *names_place(&bigger, names->slots[i].name) = names->slots[i];
        free(names->slots);
        *names = bigger;
    }
    struct name_slot *slot = names_place(names, name);
    if (slot->name) return true;
    *slot = (struct name_slot){.name = name, .value = value};
    names->count++;
    return true;
}

struct value *scope_find(const struct scope *scope, const char *name)
{
    for (; scope; scope = scope->outer) {
        struct value *v = names_get(&scope->names, name);
        if (v) return v;
    }
    return NULL;
}

const char *import_text(const char *s)
{
    return s ? s : "";
}

enum reel_err import_no_memory(void)
{
    return reel_fail(REEL_ERR_NOMEM, "out of memory, or its structure is larger than allowed");
}

struct value *scope_declare(struct scope *scope, const char *name)
{
    struct value *v;
    if (*scope->prefix) {
        size_t bytes = strlen(scope->prefix) + strlen(name) + 2;
        char *full = malloc(bytes);
        if (!full) return NULL;
        snprintf(full, bytes, "%s/%s", scope->prefix, name);
        v = graph_add_value(scope->graph, full);
        free(full);
    } else {
        v = graph_add_value(scope->graph, name);
    }
    return v && names_put(&scope->names, name, v) ? v : NULL;
}

// SPDX-License-Identifier: MIT
//
// The pre-scan of wire.h: a walk over protobuf's wire format guided by a table
// of the few messages of onnx.proto that contain each other. Called by the
// importer before unpacking; it allocates nothing.
#include "worker/onnx/wire.h"

#include <stdbool.h>

enum kind { NONE, MODEL, GRAPH, NODE, ATTRIBUTE, VALUE_INFO, TYPE, TYPE_ELEM, TYPE_MAP, FUNCTION, TRAINING };

// Field numbers from onnx.proto: field `number` of message `in` is an `is`.
static const struct {
    enum kind in;
    uint32_t number;
    enum kind is;
} nested[] = {
    {MODEL, 7, GRAPH},       {MODEL, 20, TRAINING},   {MODEL, 25, FUNCTION},      {GRAPH, 1, NODE},
    {GRAPH, 11, VALUE_INFO}, {GRAPH, 12, VALUE_INFO}, {GRAPH, 13, VALUE_INFO},    {NODE, 5, ATTRIBUTE},
    {ATTRIBUTE, 6, GRAPH},   {ATTRIBUTE, 11, GRAPH},  {ATTRIBUTE, 14, TYPE},      {ATTRIBUTE, 15, TYPE},
    {VALUE_INFO, 2, TYPE},   {TYPE, 4, TYPE_ELEM},    {TYPE, 9, TYPE_ELEM},       {TYPE, 5, TYPE_MAP},
    {TYPE_ELEM, 1, TYPE},    {TYPE_MAP, 2, TYPE},     {FUNCTION, 7, NODE},        {FUNCTION, 11, ATTRIBUTE},
    {TRAINING, 1, GRAPH},    {TRAINING, 2, GRAPH},    {FUNCTION, 12, VALUE_INFO},
};

struct walk {
    const struct wire_limits *limits;
    int64_t nodes, fields;
};

static enum kind kind_of(enum kind in, uint32_t number)
{
    for (size_t i = 0; i < sizeof nested / sizeof nested[0]; i++)
        if (nested[i].in == in && nested[i].number == number) return nested[i].is;
    return NONE;
}

static bool varint(const uint8_t **p, const uint8_t *end, uint64_t *out_value)
{
    uint64_t value = 0;
    for (int shift = 0; shift < 70 && *p < end; shift += 7) {
        uint8_t byte = *(*p)++;
        if (shift < 64) value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out_value = value;
            return true;
        }
    }
    return false;
}

static enum reel_err cut_off(void)
{
    return reel_fail(REEL_ERR_INPUT, "its bytes are not a protobuf message, or the file is truncated");
}

// level counts messages; three of them (graph, node, attribute) make a body.
static enum reel_err walk_message(struct walk *walk, enum kind kind, const uint8_t *p, const uint8_t *end, int level)
{
    if (level > 3 * walk->limits->max_depth + 8)
        return reel_fail(REEL_ERR_LIMIT, "it nests deeper than %d bodies or types", walk->limits->max_depth);
    while (p < end) {
        if (++walk->fields > walk->limits->max_fields)
            return reel_fail(REEL_ERR_LIMIT, "it has more than %lld fields", (long long)walk->limits->max_fields);
        uint64_t tag, value;
        if (!varint(&p, end, &tag) || tag >> 3 == 0 || tag >> 32) return cut_off();
        switch (tag & 7) {
        case 0:
            if (!varint(&p, end, &value)) return cut_off();
            break;
        case 1:
        case 5: {
            int width = (tag & 7) == 1 ? 8 : 4;
            if (end - p < width) return cut_off();
            p += width;
            break;
        }
        case 2: {
            if (!varint(&p, end, &value) || value > (uint64_t)(end - p)) return cut_off();
            enum kind inner = kind_of(kind, (uint32_t)(tag >> 3));
            if (inner == NODE && ++walk->nodes > walk->limits->max_nodes)
                return reel_fail(REEL_ERR_LIMIT, "it has more than %lld nodes", (long long)walk->limits->max_nodes);
            enum reel_err err = inner ? walk_message(walk, inner, p, p + value, level + 1) : REEL_OK;
            if (err) return err;
            p += value;
            break;
        }
        default: // groups are not used by ONNX, 6 and 7 do not exist
            return cut_off();
        }
    }
    return REEL_OK;
}

enum reel_err wire_check_model(const uint8_t *bytes, size_t count, const struct wire_limits *limits, int64_t *out_nodes)
{
    struct walk walk = {.limits = limits};
    enum reel_err err = walk_message(&walk, MODEL, bytes, bytes + count, 0);
    *out_nodes = walk.nodes;
    return err;
}

// SPDX-License-Identifier: MIT
//
// Reads class names from a model's metadata. See model_names.h. A ModelProto is a row of fields;
// metadata_props (14) are pairs of texts, key (1) and value (2).
#include "aggregator/post/model_names.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#define METADATA 14
#define MOST_BYTES (1 << 20) // of the names
#define MOST_CLASSES (1 << 16)
#define MOST_FIELDS 100000 // in a file

enum wire { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

// ---- the file ---------------------------------------------------------------

static bool read_varint(FILE *f, uint64_t *out)
{
    *out = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        const int c = fgetc(f);
        if (c == EOF) return false;
        *out |= (uint64_t)(c & 127) << shift;
        if (c < 128) return true;
    }
    return false;
}

// Reads a field: its number, or how many bytes it has. False at the end, and for anything that is not a
// field.
static bool read_field(FILE *f, uint64_t *out_number, uint64_t *out_bytes)
{
    uint64_t tag;
    if (!read_varint(f, &tag)) return false;
    *out_number = tag >> 3;
    *out_bytes = 0;
    switch (tag & 7) {
    case WIRE_VARINT:
        return read_varint(f, &tag);
    case WIRE_64:
        *out_bytes = 8;
        return true;
    case WIRE_32:
        *out_bytes = 4;
        return true;
    case WIRE_BYTES:
        return read_varint(f, out_bytes) && *out_bytes <= INT64_MAX;
    default:
        return false;
    }
}

// The value of a pair that has this key; free(). NULL: the pair has another key.
static char *value_of(FILE *pair, const char *key)
{
    char *text[3] = {0};
    uint64_t number, bytes;
    while (read_field(pair, &number, &bytes) && bytes <= MOST_BYTES) {
        char *t = calloc(1, bytes + 1);
        if (!t || fread(t, 1, bytes, pair) != bytes) number = 0;
        if (number == 1 || number == 2) {
            free(text[number]);
            text[number] = t;
        } else {
            free(t);
            if (!number) break;
        }
    }
    const bool found = text[1] && text[2] && !strcmp(text[1], key);
    free(text[1]);
    if (!found) free(text[2]);
    return found ? text[2] : NULL;
}

static char *metadata(FILE *f, const char *key)
{
    uint64_t number, bytes;
    for (int i = 0; i < MOST_FIELDS && read_field(f, &number, &bytes); i++) {
        if (number != METADATA || !bytes || bytes > MOST_BYTES) {
            if (fseeko(f, (off_t)bytes, SEEK_CUR)) return NULL;
            continue;
        }
        char *pair = malloc(bytes), *value = NULL;
        FILE *m = pair && fread(pair, 1, bytes, f) == bytes ? fmemopen(pair, bytes, "r") : NULL;
        if (m) {
            value = value_of(m, key);
            fclose(m);
        }
        free(pair);
        if (value || !m) return value;
    }
    return NULL;
}

// ---- the names --------------------------------------------------------------

struct names {
    char **of; // [MOST_CLASSES], pointing into the text that is read
    int n;
};

static const char *skip(const char *p, const char *what)
{
    return p + strspn(p, what);
}

// Reads a text in quotation marks and returns it without them; *p is behind it then. NULL: there is none.
static char *take_text(char **p)
{
    const char quote = **p;
    if (quote != '\'' && quote != '"') return NULL;
    char *from = *p + 1, *to = from, *text = from;
    for (; *from && *from != quote; from++) {
        if (*from == '\\' && from[1]) from++;
        *to++ = iscntrl((unsigned char)*from) ? ' ' : *from;
    }
    if (!*from) return NULL;
    *p = from + 1;
    *to = 0;
    return text;
}

// Reads a number, with or without quotation marks, and a colon.
static bool take_key(char **p, int *out)
{
    char *end;
    *p = (char *)skip(*p, "'\"");
    const long v = strtol(*p, &end, 10);
    if (end == *p || v < 0 || v >= MOST_CLASSES) return false;
    *p = (char *)skip(end, "'\" ");
    *out = (int)v;
    return *(*p)++ == ':';
}

// Reads {0: 'a', "1": "b"} or ['a', 'b'].
static bool take_names(char *p, struct names *out)
{
    static const char blank[] = " \t\r\n,";
    p = (char *)skip(p, blank);
    const char open = *p++, close = open == '{' ? '}' : ']';
    if (open != '{' && open != '[') return false;
    for (int at = 0;; at++) {
        p = (char *)skip(p, blank);
        if (*p == close) return out->n > 0;
        if (open == '{' && !take_key(&p, &at)) return false;
        p = (char *)skip(p, blank);
        if (at >= MOST_CLASSES || !(out->of[at] = take_text(&p))) return false;
        if (at >= out->n) out->n = at + 1;
    }
}

static char *as_lines(const struct names *names, size_t bytes)
{
    char *lines = malloc(bytes + (size_t)names->n + 1), *to = lines;
    for (int i = 0; i < names->n && lines; i++) {
        const size_t n = names->of[i] ? strlen(names->of[i]) : 0;
        if (n) memcpy(to, names->of[i], n);
        to += n;
        *to++ = '\n';
    }
    if (lines) *to = 0;
    return lines;
}

char *model_names_read(const char *path)
{
    FILE *f = fopen(path, "re");
    char *text = f ? metadata(f, "names") : NULL, *lines = NULL;
    if (f) fclose(f);
    const size_t bytes = text ? strlen(text) : 0;
    struct names names = {.of = text ? calloc(MOST_CLASSES, sizeof *names.of) : NULL};
    if (names.of && take_names(text, &names)) lines = as_lines(&names, bytes);
    free(names.of);
    free(text);
    return lines;
}
